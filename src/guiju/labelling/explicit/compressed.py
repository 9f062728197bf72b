"""Labels in compressed sounds, by PyAV: the label is encoded as the sound is, and its packets are joined to the sound's own.

Where packets of one encoder cannot follow those of another (HE-AAC, more than two channels of Opus), all is encoded anew at the same rate;
FLAC and ALAC lose nothing by it. There is no Vorbis encoder in PyAV.
Source: GB 45438-2025 §5.3.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import numpy as np

from guiju.core.errors import GuijuError
from guiju.labelling.explicit import boxes
from guiju.labelling.explicit.errors import LABEL_LIBRARY, LABEL_MEDIUM, LABEL_NOT_SEEN, LABEL_TOO_LARGE, LABEL_UNDECODABLE
from guiju.labelling.explicit.rhythm import Array
from guiju.labelling.values import ExplicitStyle, Marked

SECONDS_AT_MOST: Final = 4 * 3600
_ENCODERS: Final = {"mp3": "libmp3lame", "mp3float": "libmp3lame", "aac": "aac", "opus": "libopus", "libopus": "libopus", "flac": "flac", "alac": "alac"}  # fmt: skip
_LOSSLESS: Final = frozenset({"flac", "alac"})
_MUXERS: Final = {"MP3": "mp3", "FLAC": "flac", "Ogg": "ogg", "M4A": "ipod", "AAC": "adts"}
_DEMUXERS: Final = {"MP3": "mp3", "FLAC": "flac", "Ogg": "ogg", "M4A": "mov", "AAC": "aac"}
_USUAL_BITS: Final = 128_000
_SLACK_S: Final = 0.25
_SLACK_SAMPLES: Final = 4096
"""What encoders put before and behind: so many samples are more time where the rate is low."""


def load_av(form: str) -> Any:
    """Return PyAV, quiet. Raises GuijuError LABEL-LIBRARY where it is not installed."""
    try:
        import av
        import av.logging
    except ImportError:
        raise GuijuError(LABEL_LIBRARY, form=form, library="PyAV", extra="media") from None
    av.logging.set_level(None)
    return av


def faults() -> tuple[type[Exception], ...]:
    """Return what PyAV raises for files that are cut or lie about themselves."""
    av = load_av("")
    return (
        av.FFmpegError,
        ValueError,
        EOFError,
        OSError,
        IndexError,
        TypeError,
        OverflowError,
        AttributeError,
        ZeroDivisionError,
        MemoryError,
    )


def decoded(data: bytes, rate: int, seconds: float) -> Array:
    """Return the beginning of any sound as samples of one channel. Raises ValueError for what cannot be decoded."""
    av = load_av("prompt")
    try:
        with av.open(io.BytesIO(data)) as container:
            return heard(container, rate, 0, seconds)
    except faults() as error:
        raise ValueError(str(error)) from error


def heard(container: Any, rate: int, start_s: float, end_s: float) -> Array:
    """Return what is heard between two times, as samples of one channel; the times count from the first sample."""
    av = load_av("")
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    parts: list[Array] = []
    at, first, last = 0, round(start_s * rate), round(end_s * rate)
    for frame in _frames(container):
        frame.pts = None
        for mono in resampler.resample(frame):
            samples = mono.to_ndarray()[0]
            if at + len(samples) > first and at < last:
                parts.append(samples[max(first - at, 0) : last - at])
            at += len(samples)
        if at >= last:
            break
    if not parts:
        raise ValueError("there is no sound in it")
    return np.concatenate(parts).astype(np.float64)


def _frames(container: Any) -> Iterator[Any]:
    if not container.streams.audio:
        raise ValueError("there is no sound in it")
    yield from container.decode(container.streams.audio[0])


def mark_compressed(data: bytes, form: str, style: ExplicitStyle) -> Marked:
    """Return the sound with its label. Raises as `media.mark` does."""
    from guiju.labelling.explicit.sound import around, check_heard, label_samples, told

    av = load_av(form)
    label: Array
    try:
        with av.open(io.BytesIO(data), format=_DEMUXERS[form]) as source:
            stream = _sound_of(source, form)
            rate, before_s = stream.rate, _measured_s(data, form)
            label = label_samples(rate, style)
            head, tail = around(label, rate, style)
            joined, codec = _joins(av, stream), stream.codec_context.name
            made = _joined(av, source, stream, form, head, tail) if joined else _encoded(av, source, stream, form, head, tail)
        marked = _with_metadata_of(data, made, form)
        after_s = _measured_s(marked, form)
        if abs(after_s - before_s - (len(head) + len(tail)) / rate) > max(_SLACK_S, _SLACK_SAMPLES / rate):
            raise GuijuError(LABEL_NOT_SEEN, form=form, reason=f"it lasts {after_s:.2f} s, was {before_s:.2f} s", reason_zh=f"时长 {after_s:.2f} 秒，原为 {before_s:.2f} 秒")  # fmt: skip
        for part, place in ((head, "start"), (tail, "end")):
            if len(part):
                length = len(part) / rate
                span = (0.0, length + 0.1) if place == "start" else (max(after_s - length - 0.1, 0), after_s + 1)
                with av.open(io.BytesIO(marked), format=_DEMUXERS[form]) as result:
                    check_heard(heard(result, rate, *span), label, rate, style, form, place)
    except faults() as error:
        raise GuijuError(LABEL_UNDECODABLE, form=form, reason=f"{type(error).__name__}: {error}"[:200]) from error
    kept = "packets=same" if joined else "samples=same" if codec in _LOSSLESS else "samples=encoded_anew"
    return Marked(data=marked, medium="sound", how=told(form, style, len(label) / rate, rate, kept))


def _sound_of(source: Any, form: str) -> Any:
    if len(source.streams.audio) != 1 or any(not _is_cover(video) for video in source.streams.video):
        raise GuijuError(LABEL_MEDIUM, form=form, reason="it is not one sound alone", reason_zh="它不是单一的声音")
    stream = source.streams.audio[0]
    if stream.codec_context.name not in _ENCODERS:
        raise GuijuError(LABEL_MEDIUM, form=form, reason=f"sounds coded as {stream.codec_context.name} are not supported", reason_zh=f"不支持 {stream.codec_context.name} 编码")  # fmt: skip
    return stream


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _measured_s(data: bytes, form: str) -> float:
    """Return how long a sound lasts, decoded to its end. Raises GuijuError LABEL-TOO-LARGE."""
    av = load_av(form)
    samples = rate = 0
    with av.open(io.BytesIO(data), format=_DEMUXERS[form]) as container:
        for frame in _frames(container):
            samples, rate = samples + frame.samples, frame.sample_rate
            if samples > SECONDS_AT_MOST * rate:
                raise GuijuError(
                    LABEL_TOO_LARGE, form=form, found=f"> {SECONDS_AT_MOST}", unit="seconds", unit_zh="秒", most=SECONDS_AT_MOST
                )
    if not samples:
        raise ValueError("there is no sound in it")
    return float(samples / rate)


# ── the label in the sound's own code ───────────────────────────────────────────────────────────────────────────────


def _encoder(av: Any, stream: Any) -> Any:
    """Return an encoder set as the sound is: rate, channels, bit rate."""
    context = stream.codec_context
    encoder = av.CodecContext.create(_ENCODERS[context.name], "w")
    encoder.sample_rate = 48_000 if context.name in ("opus", "libopus") else stream.rate
    encoder.layout = context.layout.name
    encoder.format = _format_of(encoder, context)
    if _ENCODERS[context.name] not in _LOSSLESS:
        encoder.bit_rate = stream.bit_rate or context.bit_rate or _USUAL_BITS
    encoder.time_base = Fraction(1, encoder.sample_rate)
    return encoder


def _format_of(encoder: Any, context: Any) -> str:
    offered = [each.name for each in encoder.codec.audio_formats]
    return str(context.format.name if context.format.name in offered else offered[0])


def _label_frames(av: Any, samples: Array, encoder: Any) -> Iterator[Any]:
    count = len(encoder.layout.channels)
    stereo = np.repeat(samples.astype(np.float32)[:, None], count, axis=1).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(stereo), format="flt", layout=encoder.layout.name)
    frame.sample_rate = encoder.sample_rate
    frame.pts, frame.time_base = 0, Fraction(1, encoder.sample_rate)
    resampler = av.AudioResampler(
        format=encoder.format.name, layout=encoder.layout.name, rate=encoder.sample_rate, frame_size=encoder.frame_size
    )
    yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _label_packets(av: Any, samples: Array, stream: Any, rate: int) -> list[Any]:
    if not len(samples):
        return []
    encoder = _encoder(av, stream)
    encoder.open()
    wave = _at_rate(samples, rate, encoder.sample_rate)
    packets = [packet for frame in _label_frames(av, wave, encoder) for packet in encoder.encode(frame)]
    return packets + list(encoder.encode(None))


def _at_rate(samples: Array, rate: int, wanted: int) -> Array:
    if rate == wanted:
        return samples
    count = round(len(samples) * wanted / rate)
    return np.interp(np.arange(count) * rate / wanted, np.arange(len(samples)), samples)


def _joins(av: Any, stream: Any) -> bool:
    """Tell whether packets of our encoder can stand in one stream with the sound's own."""
    name, context = stream.codec_context.name, stream.codec_context
    if name in ("mp3", "mp3float"):
        return True
    if name in ("opus", "libopus"):
        return len(context.layout.channels) <= 2
    if name != "aac":
        return False
    encoder = _encoder(av, stream)
    encoder.open()
    ours, theirs = encoder.extradata, context.extradata
    # Object type, frequency and channels fill the first 13 bits of AudioSpecificConfig.
    if theirs:
        return bool(ours) and int.from_bytes(ours[:2], "big") >> 3 == int.from_bytes(theirs[:2], "big") >> 3
    return stream.codec_context.profile in ("LC", "Main") and stream.rate == encoder.sample_rate


def _joined(av: Any, source: Any, stream: Any, form: str, head: Array, tail: Array) -> bytes:
    """Return label packets and the sound's own, in order; those of the sound are copied as they lie."""
    if form == "AAC":
        return _joined_adts(av, source, stream, head, tail)
    out = io.BytesIO()
    base = stream.time_base
    with av.open(out, "w", format=_MUXERS[form], options=_MUXER_OPTIONS.get(form, {})) as target:
        copy = target.add_stream_from_template(stream)
        copy.time_base = base
        copy.metadata.update(stream.metadata)
        at = 0
        for packet in _label_packets(av, head, stream, stream.rate):
            at = _put(target, copy, packet, at, base)
        for packet in source.demux(stream):
            if packet.size:
                at = _put(target, copy, packet, at, base)
        for packet in _label_packets(av, tail, stream, stream.rate):
            at = _put(target, copy, packet, at, base)
    return out.getvalue()


_MUXER_OPTIONS: Final[dict[str, dict[str, str]]] = {"MP3": {"id3v2_version": "0", "write_id3v1": "0"}}


def _put(target: Any, stream: Any, packet: Any, at: int, base: Fraction) -> int:
    """Put one packet at a time and return where the next one stands; both in units of the stream's time base."""
    lasts = round(packet.duration * packet.time_base / base) if packet.duration else 0
    packet.stream = stream
    packet.time_base = base
    packet.pts = packet.dts = at
    packet.duration = lasts
    target.mux(packet)
    return at + lasts


def _joined_adts(av: Any, source: Any, stream: Any, head: Array, tail: Array) -> bytes:
    """Return ADTS frames one after the other: each says all about itself, so the sound's bytes stay as they lie."""
    own = b"".join(bytes(packet) for packet in source.demux(stream) if packet.size)
    return _adts(av, head, stream) + own + _adts(av, tail, stream)


def _adts(av: Any, samples: Array, stream: Any) -> bytes:
    if not len(samples):
        return b""
    out = io.BytesIO()
    with av.open(out, "w", format="adts") as target:
        made = target.add_stream("aac", rate=stream.rate, layout=stream.codec_context.layout.name)
        made.codec_context.bit_rate = stream.codec_context.bit_rate or stream.bit_rate or _USUAL_BITS
        for frame in _label_frames(av, samples, _opened(made.codec_context)):
            target.mux(made.encode(frame))
        target.mux(made.encode(None))
    return out.getvalue()


def _opened(context: Any) -> Any:
    if not context.is_open:
        context.open()
    return context


def _encoded(av: Any, source: Any, stream: Any, form: str, head: Array, tail: Array) -> bytes:
    """Return label and sound, encoded anew by one encoder at the sound's own rate."""
    out = io.BytesIO()
    model = _encoder(av, stream)
    with av.open(out, "w", format=_MUXERS[form]) as target:
        made = target.add_stream(model.codec.name, rate=model.sample_rate, layout=model.layout.name, format=model.format.name)
        if model.bit_rate and model.codec.name not in _LOSSLESS:
            made.codec_context.bit_rate = model.bit_rate
        made.metadata.update(stream.metadata)
        target.metadata.update(source.metadata)
        encoder = _opened(made.codec_context)
        resampler = av.AudioResampler(
            format=encoder.format.name, layout=encoder.layout.name, rate=encoder.sample_rate, frame_size=encoder.frame_size
        )

        def frames() -> Iterator[Any]:
            if len(head):
                yield from _label_frames(av, head, _Plain(encoder))
            alike = av.AudioResampler(format=encoder.format.name, layout=encoder.layout.name, rate=encoder.sample_rate)
            yield from _flushed(alike, _frames(source))
            if len(tail):
                yield from _label_frames(av, tail, _Plain(encoder))

        at = 0
        for frame in _flushed(resampler, frames()):
            frame.pts, frame.time_base = at, Fraction(1, encoder.sample_rate)
            at += frame.samples
            target.mux(made.encode(frame))
        target.mux(made.encode(None))
    return out.getvalue()


class _Plain:
    """The form of an encoder's frames without their fixed size: they are cut when all is joined."""

    def __init__(self, encoder: Any) -> None:
        self.layout, self.format, self.sample_rate, self.frame_size = encoder.layout, encoder.format, encoder.sample_rate, 0


def _flushed(resampler: Any, frames: Iterator[Any]) -> Iterator[Any]:
    for frame in frames:
        frame.pts = None
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


# ── what is no sound ────────────────────────────────────────────────────────────────────────────────────────────────


def _with_metadata_of(data: bytes, made: bytes, form: str) -> bytes:
    if form == "MP3" or form == "AAC":
        return _id3_head(data) + made + _id3_tail(data)
    if form == "FLAC":
        return _flac_head(data, made)
    return boxes.with_metadata_of(data, made) if form == "M4A" else made


def _id3_head(data: bytes) -> bytes:
    at = 0
    while data[at : at + 3] == b"ID3" and at + 10 <= len(data):
        size = sum((data[at + 6 + place] & 127) << (21 - 7 * place) for place in range(4))
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return data[:at]


def _id3_tail(data: bytes) -> bytes:
    return data[-128:] if data[-128:-125] == b"TAG" else b""


def _flac_blocks(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    at = len(_id3_head(data)) + 4
    blocks = []
    while True:
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        blocks.append((kind & 127, data[at + 4 : at + 4 + size]))
        at += 4 + size
        if kind & 128:
            return blocks, at


def _flac_head(data: bytes, made: bytes) -> bytes:
    """Return the new FLAC with the original's metadata blocks; the stream's own description is the new one's."""
    old, _ = _flac_blocks(data)
    new, frames = _flac_blocks(made)
    # A seek table (3) counts samples that have moved; without one players search.
    blocks = [block for block in new if block[0] == 0] + [block for block in old if block[0] not in (0, 1, 3)]
    parts = [
        bytes([kind | (128 if place == len(blocks) - 1 else 0)]) + len(body).to_bytes(3, "big") + body
        for place, (kind, body) in enumerate(blocks)
    ]
    return b"fLaC" + b"".join(parts) + made[frames:]
