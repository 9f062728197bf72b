"""Rhythm and voice in sounds: heard again, also after others have compressed them; the sound itself stays as it was."""

import io
import random
import shutil
import struct
import subprocess
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.labelling.explicit import wav
from guiju.labelling.explicit.media import find_form, mark
from guiju.labelling.explicit.rhythm import find_rhythm, make_rhythm
from guiju.labelling.explicit.tests.canvas import STYLE, code_of, facts
from guiju.labelling.files import first_label, read, write
from guiju.labelling.values import ExplicitStyle

av = pytest.importorskip("av", reason="PyAV is not installed (guiju[media]), so compressed sounds cannot be made or marked")

RATE = 24_000


def melody(seconds: float = 2.0, rate: int = RATE, channels: int = 1) -> Any:
    """Return something like speech: a low tone that swells and falls, with noise."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(3).normal(0, 0.05, len(time))
    one = 0.5 * np.sin(2 * np.pi * 180 * time) * np.abs(np.sin(2 * np.pi * 2.3 * time)) + noise
    return np.stack([one * (1 - 0.3 * place) for place in range(channels)], -1)


def wav_file(samples: Any, rate: int = RATE) -> bytes:
    """Return samples (count, channels) as a WAV file of 16 bits."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def compress(samples: Any, form: str, codec: str, rate: int = RATE, bits: int = 64_000, **metadata: str) -> bytes:
    """Return samples as a compressed file."""
    out = io.BytesIO()
    with av.open(out, "w", format=form) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono" if samples.shape[1] == 1 else "stereo")
        stream.bit_rate = bits
        file.metadata.update(metadata)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.astype(np.float32).reshape(1, -1)), format="flt", layout=stream.layout.name
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(format=stream.format.name, layout=stream.layout.name, rate=rate)
        for part in resampler.resample(frame):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return out.getvalue()


def heard(data: bytes) -> tuple[Any, int]:
    """Return the first channel of any sound file, and its rate."""
    with av.open(io.BytesIO(data)) as file:
        rate = file.streams.audio[0].rate
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        parts = [part.to_ndarray()[0] for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate(parts).astype(np.float64), rate


def packets(data: bytes) -> list[bytes]:
    """Return the packets of the sound."""
    with av.open(io.BytesIO(data)) as file:
        return [bytes(packet) for packet in file.demux(file.streams.audio[0]) if packet.size]


# ── the rhythm ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rhythm_is_short_long_short_short_and_lasts_eleven_units() -> None:
    samples = make_rhythm(48_000, STYLE)
    assert len(samples) / 48_000 == pytest.approx(1.32)
    assert np.abs(samples).max() == pytest.approx(0.501, abs=0.01)
    loud = np.abs(samples[: len(samples) // 480 * 480]).reshape(-1, 480).max(axis=1) > 0.25
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))).tolist()
    assert [length * 10 for length in runs] == [120, 120, 360, 360, 120, 120, 120]


@settings(max_examples=60, deadline=None)
@given(
    unit=st.integers(60, 300), pitch=st.integers(300, 3000), level=st.integers(-18, -1), rate=st.sampled_from([8_000, 16_000, 22_050, 44_100]),
    before=st.floats(0, 0.9), loud=st.floats(0, 0.002),
)  # fmt: skip
def test_every_rhythm_that_the_settings_allow_is_found(unit: int, pitch: int, level: int, rate: int, before: float, loud: float) -> None:
    style = ExplicitStyle(unit_ms=unit, pitch_hz=pitch, level_db=level)
    samples = np.concatenate([np.zeros(round(before * rate)), make_rhythm(rate, style), np.zeros(rate // 2)])
    samples += np.random.default_rng(1).normal(0, loud, len(samples))
    found = find_rhythm(samples, rate)
    assert found is not None
    assert found.start_s == pytest.approx(before, abs=0.03)
    assert found.unit_ms == pytest.approx(unit, abs=12)
    assert found.pitch_hz == pytest.approx(pitch, abs=15)


def morse(pattern: str, unit_s: float = 0.12, pitch: float = 1046.5, gap_units: int = 1) -> Any:
    """Return tones by a pattern of `.`, `-` and blanks between letters."""
    parts = []
    for sign in pattern:
        if sign == " ":
            parts.append(np.zeros(round((gap_units - 1) * unit_s * RATE)))
            continue
        time = np.arange(round((3 if sign == "-" else 1) * unit_s * RATE)) / RATE
        parts += [0.5 * np.sin(2 * np.pi * pitch * time), np.zeros(round(unit_s * RATE))]
    return np.concatenate(parts)


def test_the_other_known_profile_is_heard_too() -> None:
    found = find_rhythm(np.concatenate([morse(".- .."), np.zeros(RATE)]), RATE)
    assert found is not None
    assert (found.profile, round(found.pitch_hz)) == ("even", 1047) or found.pitch_hz == pytest.approx(1046.5, abs=5)


@pytest.mark.parametrize("pattern", ["... --- ...", "-.- ..", ".- -.", "....", "----", ".. .-", "-. .."])
def test_other_patterns_are_no_label(pattern: str) -> None:
    assert find_rhythm(np.concatenate([morse(pattern, gap_units=3), np.zeros(RATE)]), RATE) is None


def test_other_sounds_are_no_label() -> None:
    chance = np.random.default_rng(11)
    assert find_rhythm(melody(20)[:, 0], RATE) is None
    assert find_rhythm(chance.normal(0, 0.3, RATE * 10), RATE) is None
    assert find_rhythm(np.zeros(RATE), RATE) is None
    assert find_rhythm(np.zeros(3), RATE) is None
    bursts = chance.normal(0, 0.3, RATE * 2) * (np.concatenate([morse(".- ..", gap_units=3), np.zeros(RATE * 2)])[: RATE * 2] != 0)
    assert find_rhythm(bursts, RATE) is None, "noise in the right rhythm is no tone"


@pytest.mark.parametrize(("form", "codec", "bits"), [("mp3", "libmp3lame", 64_000), ("ogg", "libopus", 24_000), ("adts", "aac", 48_000)])
@pytest.mark.parametrize("place", ["start", "end"])
def test_the_rhythm_of_a_marked_file_survives_compression(form: str, codec: str, bits: int, place: Any) -> None:
    marked = mark(wav_file(melody(2, 48_000), 48_000), ExplicitStyle(sound_place=place)).data
    samples, rate = heard(compress(heard(marked)[0][:, None], form, codec, 48_000, bits))
    part = samples[: round(1.9 * rate)] if place == "start" else samples[-round(1.95 * rate) :]
    found = find_rhythm(part, rate)
    assert found is not None
    assert found.unit_ms == pytest.approx(120, abs=6)
    assert found.pitch_hz == pytest.approx(1000, abs=10)


# ── WAV ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def raw_wav(kind: int, channels: int, bits: int, samples: bytes, *extra: tuple[bytes, bytes], rate: int = RATE) -> bytes:
    """Return a WAV file of any form; chunks behind the samples where a name begins with a lower-case letter."""
    width = channels * bits // 8
    parts = [(b"fmt ", struct.pack("<HHIIHH", kind, channels, rate, rate * width, width, bits)), (b"data", samples), *extra]
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(part)) + part + b"\0" * (len(part) & 1) for name, part in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(("kind", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("place", ["start", "end", "both"])
def test_samples_stay_and_the_rhythm_is_in_their_own_form(kind: int, bits: int, channels: int, place: Any) -> None:
    width = channels * bits // 8
    body = np.random.default_rng(2).integers(0, 256, 500 * width, dtype=np.uint8).tobytes()
    if kind == 3:
        body = (np.random.default_rng(2).normal(0, 0.1, 500 * channels)).astype(f"<f{bits // 8}").tobytes()
    marked = mark(raw_wav(kind, channels, bits, body), ExplicitStyle(sound_place=place))
    parts = wav.parse(marked.data)
    spent = round(1.82 * RATE) * width
    at = 0 if place == "end" else spent
    assert parts.samples[at : at + len(body)] == body
    assert len(parts.samples) == len(body) + spent * (2 if place == "both" else 1)
    assert (parts.kind, parts.channels, parts.bits, parts.rate) == (kind, channels, bits, RATE)
    label = parts.samples[:spent] if place != "end" else parts.samples[-spent:]
    found = find_rhythm(wav.mono_of(label, parts), RATE)
    assert found is not None
    assert np.abs(wav.mono_of(label, parts)).max() == pytest.approx(0.501, abs=0.01)


def test_ffmpeg_reads_what_was_marked() -> None:
    samples, rate = heard(mark(wav_file(melody(1, channels=2)), STYLE).data)
    assert len(samples) == round(1.82 * RATE) + RATE
    assert rate == RATE
    assert find_rhythm(samples, rate) is not None


def test_marks_in_the_samples_move_along() -> None:
    cue = struct.pack("<I", 1) + struct.pack("<II4sIII", 1, 40, b"data", 0, 0, 40)
    data = raw_wav(1, 1, 16, bytes(2000), (b"cue ", cue), (b"fact", struct.pack("<I", 1000)), (b"LIST", b"INFOINAM\x02\0\0\0a\0"))
    parts = wav.parse(mark(data, STYLE).data)
    after = dict(parts.after)
    moved = round(1.82 * RATE)
    assert struct.unpack_from("<II4sIII", after[b"cue "], 4)[1:] == (40 + moved, b"data", 0, 0, 40 + moved)
    assert after[b"fact"] == struct.pack("<I", 1000 + moved)
    assert after[b"LIST"] == b"INFOINAM\x02\0\0\0a\0"


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_sizes_that_a_streaming_writer_never_filled_in(size: int) -> None:
    data = bytearray(raw_wav(1, 1, 16, bytes(3000)))
    data[40:44] = struct.pack("<I", size)
    parts = wav.parse(mark(bytes(data), STYLE).data)
    assert parts.samples.endswith(bytes(3000))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (raw_wav(7, 1, 8, bytes(100)), "LABEL-MEDIUM"),
        (raw_wav(1, 1, 12, bytes(100)), "LABEL-MEDIUM"),
        (raw_wav(1, 0, 16, bytes(100)), "LABEL-UNDECODABLE"),
        (raw_wav(1, 1, 16, b""), "LABEL-UNDECODABLE"),
        (raw_wav(1, 1, 16, bytes(100))[:-30], "LABEL-UNDECODABLE"),
        (b"RF64" + raw_wav(1, 1, 16, bytes(100))[4:], "LABEL-MEDIUM"),
        (b"RIFF\x04\0\0\0WAVE", "LABEL-UNDECODABLE"),
    ],
)  # fmt: skip
def test_a_wav_that_cannot_be_marked_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(data, STYLE)
    assert code_of(caught) == code


# ── compressed ──────────────────────────────────────────────────────────────────────────────────────────────────────

FORMS = [("mp3", "libmp3lame", 24_000), ("mp3", "libmp3lame", 44_100), ("adts", "aac", 24_000), ("ipod", "aac", 44_100), ("ogg", "libopus", 48_000), ("flac", "flac", 24_000)]  # fmt: skip


def test_the_lead_of_an_encoder_at_a_low_rate_is_no_defect() -> None:
    assert facts(mark(compress(melody(2, 8_000, 1), "ipod", "aac", 8_000), STYLE).how)["packets"] == "same"


@pytest.mark.parametrize(("form", "codec", "rate"), FORMS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("place", ["start", "end", "both"])
def test_a_compressed_sound_has_the_rhythm_and_keeps_its_own(form: str, codec: str, rate: int, channels: int, place: Any) -> None:
    data = compress(melody(1.5, rate, channels), form, codec, rate, title="a river")
    marked = mark(data, ExplicitStyle(sound_place=place))
    old, _ = heard(data)
    new, _ = heard(marked.data)
    spent = 1.82 * (2 if place == "both" else 1)
    assert len(new) / rate == pytest.approx(len(old) / rate + spent, abs=0.2)
    if codec == "flac":
        at = 0 if place == "end" else round(1.82 * rate)
        assert (new[at : at + len(old)] == old).all()
        assert facts(marked.how)["samples"] == "same"
    else:
        own, whole = packets(data), packets(marked.data)
        at = whole.index(own[len(own) // 2]) - len(own) // 2
        assert whole[at : at + len(own)] == own
        assert facts(marked.how)["packets"] == "same"
    for part in ([new[: round(2 * rate)]] if place != "end" else []) + ([new[-round(2 * rate) :]] if place != "start" else []):
        assert find_rhythm(part, rate) is not None
    with av.open(io.BytesIO(marked.data)) as file:
        titles = {**file.metadata, **file.streams.audio[0].metadata}
        if form != "adts":
            assert titles.get("title", titles.get("TITLE")) == "a river"


@pytest.mark.parametrize(
    ("form", "codec", "rate"),
    [("mp3", "libmp3lame", 24_000), ("flac", "flac", 24_000), ("adts", "aac", 24_000), ("ogg", "libopus", 48_000), ("ipod", "aac", 44_100)],
)
def test_the_label_of_whoever_made_it_stays(form: str, codec: str, rate: int) -> None:
    theirs = first_label("001191310104MACE0YX63918020", "7f3a")
    data = write(compress(melody(1, rate), form, codec, rate), theirs)
    assert read(mark(data, STYLE).data) == theirs


@pytest.mark.parametrize(("form", "codec", "layout", "kept"), [("ogg", "libopus", "5.1", "samples=encoded_anew"), ("ipod", "alac", "stereo", "samples=same"), ("ogg", "flac", "mono", "samples=same")])  # fmt: skip
@pytest.mark.parametrize("place", ["start", "both"])
def test_what_cannot_be_joined_is_encoded_anew(form: str, codec: str, layout: str, kept: str, place: Any) -> None:
    out = io.BytesIO()
    with av.open(out, "w", format=form) as file:
        stream = file.add_stream(codec, rate=48_000, layout=layout)
        frame = av.AudioFrame.from_ndarray(melody(1.5, 48_000)[:, 0].astype(np.float32)[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for part in av.AudioResampler(format=stream.format.name, layout=layout, rate=48_000).resample(frame):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    marked = mark(out.getvalue(), ExplicitStyle(sound_place=place))
    assert kept in marked.how
    new, rate = heard(marked.data)
    assert len(new) / rate == pytest.approx(1.5 + 1.82 * (2 if place == "both" else 1), abs=0.1)
    if kept == "samples=same":
        old, _ = heard(out.getvalue())
        at = round(1.82 * rate)
        assert (new[at : at + len(old)] == old).all()


def test_an_id3_tag_stays_byte_for_byte() -> None:
    tag = b"ID3\x04\0\0\0\0\0\x20" + b"TIT2\0\0\0\x08\0\0\0a river" + bytes(14)
    plain = compress(melody(1), "mp3", "libmp3lame")
    body = plain[10 + plain[9] + (plain[8] << 7) :] if plain[:3] == b"ID3" else plain
    marked = mark(tag + body + b"TAG" + b"x" * 125, STYLE).data
    assert marked.startswith(tag)
    assert marked.endswith(b"TAG" + b"x" * 125)


def test_a_form_without_an_encoder_is_refused() -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg on this machine: a Vorbis file cannot be made")
    made = subprocess.run(["ffmpeg", "-v", "error", "-i", "-", "-c:a", "libvorbis", "-f", "ogg", "-"], input=wav_file(melody(1)), capture_output=True, check=True)  # fmt: skip
    with pytest.raises(GuijuError) as caught:
        mark(made.stdout, STYLE)
    assert code_of(caught) == "LABEL-MEDIUM"


@pytest.mark.parametrize(("form", "codec", "rate"), FORMS)
def test_a_cut_or_spoilt_sound_is_refused_or_marked_and_nothing_else(form: str, codec: str, rate: int) -> None:
    data = compress(melody(0.6, rate), form, codec, rate)
    assert find_form(data) != "unknown"
    chance = random.Random(5)
    for _ in range(12):
        spoilt = bytearray(data[: chance.randint(1, len(data))] if chance.random() < 0.4 else data)
        for _ in range(chance.randint(0, 3)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        try:
            marked = mark(bytes(spoilt), STYLE).data
        except GuijuError:
            continue
        assert find_rhythm(heard(marked)[0][: 2 * rate], rate) is not None


# ── a recorded voice ────────────────────────────────────────────────────────────────────────────────────────────────


def voice(tmp_path: Path, seconds: float = 2.4, loud: float = 1.0, rate: int = 16_000) -> str:
    """Return the path of a recording: syllables of noise."""
    time = np.arange(round(seconds * rate)) / rate
    syllables = np.abs(np.sin(2 * np.pi * 1.3 * time)) * (np.sin(2 * np.pi * 0.31 * time) > -0.5)
    samples = loud * 0.7 * np.sin(2 * np.pi * 240 * time) * syllables
    path = tmp_path / "voice.wav"
    path.write_bytes(wav_file(samples[:, None], rate))
    return str(path)


@pytest.mark.parametrize("form", ["wav", "mp3", "flac"])
@pytest.mark.parametrize("place", ["start", "end"])
def test_a_voice_stands_in_place_of_the_rhythm(tmp_path: Path, form: str, place: Any) -> None:
    sound = melody(1, 44_100, 2)
    data = wav_file(sound, 44_100) if form == "wav" else compress(sound, form, {"mp3": "libmp3lame", "flac": "flac"}[form], 44_100)
    marked = mark(data, ExplicitStyle(prompt_file=voice(tmp_path), sound_place=place))
    samples, rate = heard(marked.data)
    assert len(samples) / rate == pytest.approx(1 + 0.5 + 2.4, abs=0.15)
    assert facts(marked.how)["label"] == "voice"
    assert find_rhythm(samples, rate) is None


@pytest.mark.parametrize(("seconds", "loud", "said"), [(0.5, 1.0, "0.5 s"), (31.0, 1.0, "s"), (2.0, 0.01, "too soft")])
def test_a_voice_that_cannot_be_a_label_is_refused(tmp_path: Path, seconds: float, loud: float, said: str) -> None:
    with pytest.raises(GuijuError) as caught:
        mark(wav_file(melody(1)), ExplicitStyle(prompt_file=voice(tmp_path, seconds, loud)))
    assert code_of(caught) == "LABEL-PROMPT"
    assert said in caught.value.text("en")


def test_a_voice_that_is_not_there_or_no_sound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("not a sound")
    for name in ("nothing.wav", "note.txt"):
        with pytest.raises(GuijuError) as caught:
            mark(wav_file(melody(1)), ExplicitStyle(prompt_file=str(tmp_path / name)))
        assert code_of(caught) == "LABEL-PROMPT"
        assert str(tmp_path) not in caught.value.text("en")


def test_without_pyav_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = compress(melody(0.5), "mp3", "libmp3lame")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(GuijuError) as caught:
        mark(data, STYLE)
    assert code_of(caught) == "LABEL-LIBRARY"
    assert "guiju[media]" in caught.value.text("en")
    assert mark(wav_file(melody(0.5)), STYLE).medium == "sound"
