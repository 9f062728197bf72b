"""Words in films: in every picture of the opening, upright, at least two seconds; sound, times and everything beside stay."""

import io
import os
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from guiju.core.errors import GuijuError
from guiju.core.process import without_real_time
from guiju.labelling.explicit import boxes
from guiju.labelling.explicit.media import find_form, mark
from guiju.labelling.explicit.tests.canvas import STYLE, code_of, facts, needs_font, waves
from guiju.labelling.files import first_label, read, write
from guiju.labelling.values import ExplicitStyle

av = pytest.importorskip("av", reason="PyAV is not installed (guiju[media]), so films cannot be made or marked")
pytestmark = needs_font

FORMS = [
    ("mp4", "libx264", "yuv420p", "aac"), ("mov", "libx264", "yuv422p", "aac"), ("mp4", "libx265", "yuv420p10le", None), ("matroska", "libx264", "yuv420p", "libmp3lame"),
    ("webm", "libvpx-vp9", "yuv420p", "libopus"), ("webm", "libvpx", "yuv420p", None), ("avi", "mpeg4", "yuv420p", "libmp3lame"), ("flv", "libx264", "yuv420p", "aac"), ("mp4", "libsvtav1", "yuv420p", None),
]  # fmt: skip
SWIFT = {"libx264": {"preset": "ultrafast"}, "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"}, "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}, "libvpx": {"deadline": "realtime", "cpu-used": "8"}, "libsvtav1": {"preset": "12"}}  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVT_LOG", "1")


def film(
    form: str = "mp4", codec: str = "libx264", pixels: str = "yuv420p", sound: str | None = None, *, seconds: float = 4, size: tuple[int, int] = (320, 180),
    rate: int = 10, rotation: int = 0, aspect: Fraction | None = None, times: list[int] | None = None,
) -> bytes:  # fmt: skip
    """Return a film of waves that drift."""
    out = io.BytesIO()
    still = waves(size[0] * 2, size[1])
    with without_real_time(), av.open(out, "w", format=form) as file:
        file.metadata["title"] = "a river"
        track = file.add_stream(codec, rate=rate, options=SWIFT.get(codec, {}))
        track.width, track.height, track.pix_fmt = *size, pixels
        if aspect:
            track.codec_context.sample_aspect_ratio = aspect
        if rotation:
            track.set_display_rotation(rotation)
        voice = file.add_stream(sound, rate=48_000, layout="mono") if sound else None
        if voice is not None:
            wave = (0.3 * np.sin(np.arange(round(48_000 * seconds)) / 30)).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            resampler = av.AudioResampler(format=voice.format.name, layout="mono", rate=48_000)
            for part in resampler.resample(frame):
                file.mux(voice.encode(part))
            file.mux(voice.encode(None))
        for place in range(round(seconds * rate)):
            shift = place * 4 % size[0]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(still[:, shift : shift + size[0]]), format="rgb24")
            picture.pts, picture.time_base = (times[place] if times else place), Fraction(1, rate)
            file.mux(track.encode(picture))
        file.mux(track.encode(None))
    return out.getvalue()


def shown(data: bytes) -> list[tuple[float, Any]]:
    """Return time and pixels of every picture as the viewer sees it."""
    with av.open(io.BytesIO(data)) as file:
        pictures = [
            (float(frame.time), np.rot90(frame.to_ndarray(format="rgb24").astype(int), round(frame.rotation / 90)))
            for frame in file.decode(video=0)
        ]
    return [(time - pictures[0][0], picture) for time, picture in pictures]


def has_words(picture: Any) -> bool:
    """Tell whether the lower right corner holds black and white and hardly anything else."""
    height, width = picture.shape[:2]
    short = min(height, width)
    corner = picture[
        height - round(0.09 * short) : height - round(0.03 * short), width - round(0.3 * short) : width - round(0.04 * short)
    ].mean(axis=2)
    return float(((corner < 50) | (corner > 205)).mean()) > 0.7 and corner.min() < 50 and corner.max() > 205


def sound_packets(data: bytes) -> list[bytes]:
    with av.open(io.BytesIO(data)) as file:
        return [bytes(packet) for packet in file.demux(file.streams.audio[0]) if packet.size]


@pytest.mark.parametrize(("form", "codec", "pixels", "sound"), FORMS)
def test_every_picture_of_the_opening_has_the_words(form: str, codec: str, pixels: str, sound: str | None) -> None:
    data = film(form, codec, pixels, sound)
    marked = mark(data, STYLE)
    found = facts(marked.how)
    assert marked.medium == "film"
    assert int(found["glyph_px"]) >= 12 > 9
    assert float(found["contrast"]) >= 4.5
    old, new = shown(data), shown(marked.data)
    assert len(new) == len(old)
    assert [time for time, _ in new] == pytest.approx([time for time, _ in old], abs=0.005)
    for wanted in (0.0, 1.0, 1.9, 2.9):
        assert has_words(min(new, key=lambda each: abs(each[0] - wanted))[1]), wanted
    assert not has_words(new[-1][1])
    assert not any(has_words(picture) for _, picture in old)
    # Behind the opening nothing is left of them: what the decoder still needed was not drawn upon.
    for (time, before), (_, after) in zip(old, new, strict=True):
        if time > 3:
            assert np.abs(before - after)[-20:, -80:].mean() < 12, time
    # Away from the words the pictures are as they were, but for the encoder.
    assert np.abs(old[5][1][:120] - new[5][1][:120]).mean() < 6
    if sound:
        assert sound_packets(marked.data) == sound_packets(data)
    with av.open(io.BytesIO(data)) as before, av.open(io.BytesIO(marked.data)) as after:
        assert before.streams.video[0].codec_context.name == after.streams.video[0].codec_context.name
        assert after.streams.video[0].codec_context.pix_fmt == pixels
        assert {**after.metadata}.get("title") == {**before.metadata}.get("title")
        assert find_form(data) == find_form(marked.data)


@pytest.mark.parametrize(("rotation", "size"), [(-90, (320, 180)), (90, (320, 180)), (180, (320, 180)), (0, (180, 320))])
def test_upright_for_the_viewer(rotation: int, size: tuple[int, int]) -> None:
    marked = mark(film(seconds=2.5, rotation=rotation, size=size), STYLE).data
    upright = mark(film(seconds=0.5, size=(180, 320) if abs(rotation) == 90 else size), STYLE).data
    picture, wanted = shown(marked)[3][1], shown(upright)[3][1]
    assert picture.shape == wanted.shape
    assert has_words(picture)
    height, width = picture.shape[:2]
    one, other = (each[height - 30 :, width - 110 :].mean(axis=2) for each in (picture, wanted))
    # The ground may ask for the reverse ink; the words are the same then, too.
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) > 0.9
    with av.open(io.BytesIO(marked)) as file:
        assert next(file.decode(video=0)).rotation % 360 == rotation % 360


def test_pixels_that_are_shown_wider() -> None:
    found = facts(mark(film(size=(240, 180), aspect=Fraction(4, 3), seconds=1), STYLE).how)
    assert found["size"] == "320x180"


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.9])
def test_a_short_film_has_the_words_throughout(seconds: float) -> None:
    new = shown(mark(film(seconds=seconds), STYLE).data)
    assert all(has_words(picture) for _, picture in new)


def test_the_whole_film() -> None:
    new = shown(mark(film(seconds=4), ExplicitStyle(film="whole")).data)
    assert all(has_words(picture) for _, picture in new)


def test_the_opening_is_never_shorter_than_two_seconds() -> None:
    new = shown(mark(film(seconds=3), ExplicitStyle(opening_ms=100)).data)
    assert all(has_words(picture) for time, picture in new if time < 2)
    assert not has_words(new[-1][1])


def test_pictures_at_uneven_times_keep_them() -> None:
    times = [0, 1, 2, 5, 6, 12, 13, 14, 25, 30, 31, 33]
    data = film(seconds=1.2, times=times)
    new = shown(mark(data, STYLE).data)
    assert [round(time * 10) for time, _ in new] == times
    assert [has_words(picture) for _, picture in new] == [time < 30 for time in times]


def test_the_boxes_beside_the_media_stay_byte_for_byte() -> None:
    data = film(sound="aac", seconds=1)
    kept = b"\0\0\0\x1cuuid" + b"x" * 20
    marked = mark(data + kept, STYLE).data
    assert kept in marked

    def udta(file: bytes) -> bytes:
        return b"".join(file[at:end] for name, at, _, end in boxes._inside(file, b"moov") if name == b"udta")

    assert udta(marked) == udta(data) != b""
    names = [name for name, _, _, _ in boxes.boxes(marked)]
    assert names.index(b"moov") < names.index(b"mdat")


def test_a_file_with_sound_alone_is_a_sound() -> None:
    from guiju.labelling.explicit.tests.test_sound import compress, melody

    data = compress(melody(1, 44_100), "mp4", "aac", 44_100)
    assert find_form(data) == "MP4"
    assert mark(data, STYLE).medium == "sound"


@pytest.mark.parametrize(
    ("form", "codec"), [("mp4", "libx264"), ("matroska", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4"), ("flv", "libx264")]
)
def test_the_label_of_whoever_made_it_stays(form: str, codec: str) -> None:
    theirs = first_label("001191310104MACE0YX63918020", "7f3a")
    marked = mark(write(film(form, codec, seconds=0.3), theirs), STYLE).data
    assert read(marked) == theirs
    assert has_words(shown(marked)[0][1])


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_film_without_room_is_refused() -> None:
    with pytest.raises(GuijuError) as caught:
        mark(film(size=(32, 32), seconds=0.5), STYLE)
    assert code_of(caught) == "LABEL-TOO-SMALL"


@pytest.mark.parametrize(("form", "codec"), [("mp4", "libx264"), ("matroska", "libx264"), ("webm", "libvpx")])
def test_a_cut_or_spoilt_film_is_refused_or_marked_and_nothing_else(form: str, codec: str) -> None:
    data = film(form, codec, seconds=0.5)
    chance = random.Random(5)
    for _ in range(10):
        spoilt = bytearray(data[: chance.randint(1, len(data))] if chance.random() < 0.4 else data)
        for _ in range(chance.randint(0, 3)):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        try:
            marked = mark(bytes(spoilt), STYLE).data
        except GuijuError:
            continue
        assert has_words(shown(marked)[0][1])


def test_an_mp4_that_is_cut_is_refused() -> None:
    data = mark(film(seconds=1), STYLE).data  # its index stands before the pictures
    with pytest.raises(GuijuError) as caught:
        mark(data[: len(data) * 3 // 4], STYLE)
    assert code_of(caught) == "LABEL-UNDECODABLE"


def test_boxes_that_lie_are_refused() -> None:
    data = bytearray(film(seconds=0.3))
    at = data.index(b"moov")
    data[at - 4 : at] = (0x7FFFFFFF).to_bytes(4, "big")
    with pytest.raises(GuijuError) as caught:
        mark(bytes(data), STYLE)
    assert code_of(caught) == "LABEL-UNDECODABLE"


def test_no_encoder_takes_a_core_for_itself() -> None:
    # Guarded: `without_real_time` in mark_film. As root, SVT-AV1 makes the thread that calls it a real-time one.
    before = os.sched_getscheduler(0)
    mark(film("mp4", "libsvtav1"), ExplicitStyle())
    assert os.sched_getscheduler(0) == before
