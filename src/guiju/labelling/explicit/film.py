"""Words in the opening of a film, burned into its pictures; its sound and everything else are copied.

The whole picture track is encoded anew: pictures of one encoder cannot follow those of another in one track without a second
description of it, which many players do not read. Source: Labelling Measures Art. 4; GB 45438-2025 §5.4.
"""

import io
import os
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image

from guiju.core.errors import GuijuError
from guiju.core.process import without_real_time
from guiju.labelling.explicit import boxes
from guiju.labelling.explicit.compressed import faults, load_av, mark_compressed
from guiju.labelling.explicit.drawing import CONTRAST, Array, Inks, Sketch, choose_inks, look, sketch
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_NOT_SEEN, LABEL_TOO_LARGE, LABEL_UNDECODABLE
from guiju.labelling.explicit.fonts import find_font
from guiju.labelling.explicit.picture import told
from guiju.labelling.values import ExplicitStyle, Marked

SECONDS_AT_MOST: Final = 30 * 60
PIXELS_AT_MOST: Final = 4096 * 2304
_LEAST_S: Final = 2.0
_AGREEMENT: Final = 0.9
_ENCODERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "h264": ("libx264", {"preset": "fast", "crf": "18"}), "hevc": ("libx265", {"preset": "fast", "crf": "20", "x265-params": "log-level=none"}),
    "vp8": ("libvpx", {"crf": "8", "b": "6M", "deadline": "good", "cpu-used": "4"}), "vp9": ("libvpx-vp9", {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}),
    "av1": ("libsvtav1", {"preset": "9", "crf": "25"}), "mpeg4": ("mpeg4", {"qscale": "2"}),
}  # fmt: skip
_PLANAR: Final = {
    "yuv420p": (8, 1, 1), "yuvj420p": (8, 1, 1), "yuv422p": (8, 1, 0), "yuvj422p": (8, 1, 0), "yuv444p": (8, 0, 0), "yuvj444p": (8, 0, 0),
    "yuv420p10le": (10, 1, 1), "yuv422p10le": (10, 1, 0), "yuv444p10le": (10, 0, 0),
}  # fmt: skip
"""Pixel format → bits of a sample, and by how many powers of two colours are coarser across and along."""
_ORIENTATIONS: Final = {0: 1, -90: 6, 180: 3, -180: 3, 90: 8}
"""Degrees by which players turn the picture against the clock → the same as EXIF counts it."""
_FULL_RANGE: Final = 2


class _Stamp(NamedTuple):
    """The label as it is laid over every picture: planes of samples, and where they go."""

    left: int
    top: int
    luma: Array
    drawn: Sketch
    inks: Inks
    size: tuple[int, int]


def mark_film(data: bytes, form: str, style: ExplicitStyle) -> Marked:
    """Return the film with the words in its opening. Raises as `media.mark` does."""
    av = load_av(form)
    try:
        with without_real_time(), av.open(io.BytesIO(data)) as source:
            pictures = [each for each in source.streams.video if not _is_cover(each)]
            if not pictures and form == "MP4":
                return mark_compressed(data, "M4A", style)
            stream = _pictures_of(pictures, form)
            made, stamp, until_s, counts = _made(av, source, stream, form, style)
        marked = boxes.with_metadata_of(data, made) if form == "MP4" else made
        contrast = _read_back(av, marked, form, stamp, until_s, counts)
    except faults() as error:
        raise GuijuError(LABEL_UNDECODABLE, form=form, reason=f"{type(error).__name__}: {error}"[:200]) from error
    drawn = told("film", form, stamp.size, style, stamp.drawn, stamp.inks._replace(contrast=contrast))
    return Marked(data=marked, medium="film", how=f"{drawn};opening_s={until_s:.2f};frames={counts[0]};frames_with_words={counts[1]};pictures=encoded_anew;other_packets=same")  # fmt: skip


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _pictures_of(streams: list[Any], form: str) -> Any:
    if len(streams) != 1:
        raise GuijuError(
            LABEL_MEDIUM, form=form, reason=f"it has {len(streams)} tracks of pictures", reason_zh=f"它有 {len(streams)} 条画面轨"
        )
    stream = streams[0]
    name = stream.codec_context.name
    if _codec(name) not in _ENCODERS:
        raise GuijuError(
            LABEL_MEDIUM, form=form, reason=f"pictures coded as {name} are not supported", reason_zh=f"不支持 {name} 编码的画面"
        )
    if not 0 < stream.width * stream.height <= PIXELS_AT_MOST:
        raise GuijuError(LABEL_TOO_LARGE, form=form, found=stream.width * stream.height, unit="pixels", unit_zh="像素", most=PIXELS_AT_MOST)
    return stream


def _codec(name: str) -> str:
    return {"libdav1d": "av1", "libaom-av1": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(name, name)


# ── decode, draw, encode ────────────────────────────────────────────────────────────────────────────────────────────


def _made(av: Any, source: Any, stream: Any, form: str, style: ExplicitStyle) -> tuple[bytes, _Stamp, float, tuple[int, int]]:
    """Return the new file, the label, until when it stands, and how many pictures there are and carry it."""
    stream.thread_type = "AUTO"
    wanted_s = float("inf") if style.film == "whole" else max(style.opening_ms / 1000, _LEAST_S)
    out = io.BytesIO()
    stamp: _Stamp | None = None
    total = with_words = 0
    first = last = 0.0
    with av.open(out, "w", format=_muxer(source, form)) as target:
        target.metadata.update(source.metadata)
        made: Any = None
        copies = {each.index: target.add_stream_from_template(each) for each in (*source.streams.audio, *source.streams.subtitles)}
        waiting: list[Any] = []
        for packet in source.demux(stream, *source.streams.audio, *source.streams.subtitles):
            if packet.stream.index in copies:
                if packet.size:
                    packet.stream = copies[packet.stream.index]
                    (waiting.append if made is None else target.mux)(packet)
                continue
            if packet.is_corrupt:
                raise ValueError(f"a picture is cut at byte {packet.pos}")
            for frame in packet.decode():
                if stamp is None:
                    stamp, first = _stamp(frame, stream, form, style), float(frame.time or 0)
                    made = _picture_track(target, stream, frame)
                    target.mux(waiting)
                last = max(last, float(frame.time or 0) - first)
                if last > SECONDS_AT_MOST:
                    raise GuijuError(
                        LABEL_TOO_LARGE, form=form, found=f"> {SECONDS_AT_MOST}", unit="seconds", unit_zh="秒", most=SECONDS_AT_MOST
                    )
                drawn = float(frame.time or 0) - first < wanted_s
                total, with_words = total + 1, with_words + drawn
                target.mux(made.encode(_drawn(frame, stamp) if drawn else _fresh(frame)))
        if stamp is None:
            raise ValueError("there is no picture in it")
        if form == "MP4" and stream.frames > total + 1:
            raise ValueError(f"{stream.frames} pictures are announced, {total} are there")
        target.mux(made.encode(None))
        if source.chapters():
            target.set_chapters(source.chapters())
    return out.getvalue(), stamp, min(wanted_s, last), (total, with_words)


def _muxer(source: Any, form: str) -> str:
    if form == "MP4":
        return "mov" if source.metadata.get("major_brand", "").startswith("qt") else "mp4"
    if form == "Matroska":
        codecs = {each.codec_context.name for each in source.streams.audio if each.codec_context}
        codecs |= {_codec(each.codec_context.name) for each in source.streams.video}
        return "webm" if codecs <= {"opus", "libopus", "vorbis", "vp8", "vp9", "av1"} and not source.streams.subtitles else "matroska"
    return {"AVI": "avi", "FLV": "flv"}[form]


def _picture_track(target: Any, stream: Any, frame: Any) -> Any:
    """Return a track that is encoded as the film's own pictures are: size, format, colours, rate, times, the way it is turned."""
    name, options = _ENCODERS[_codec(stream.codec_context.name)]
    os.environ.setdefault("SVT_LOG", "1")  # the encoder of AV1 tells its whole set-up otherwise
    context = stream.codec_context
    made = target.add_stream(name, rate=stream.average_rate or stream.guessed_rate or Fraction(25), options=options)
    made.time_base = made.codec_context.time_base = stream.time_base
    made.width, made.height, made.pix_fmt = frame.width, frame.height, _format_of(frame)
    made.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio or Fraction(1)
    for colour in ("color_range", "color_primaries", "color_trc", "colorspace"):
        setattr(made.codec_context, colour, getattr(context, colour))
    if _codec(context.name) == "hevc" and target.format.name in ("mp4", "mov"):
        made.codec_context.codec_tag = "hvc1"
    made.metadata.update(stream.metadata)
    if frame.rotation:
        made.set_display_rotation(frame.rotation)
    return made


def _format_of(frame: Any) -> str:
    name = frame.format.name
    return name if name in _PLANAR else "yuv420p"


def _stamp(frame: Any, stream: Any, form: str, style: ExplicitStyle) -> _Stamp:
    """Return the label for pictures like this one; its plate is dense, for what lies below changes."""
    rotation = round(frame.rotation or 0)
    if rotation not in _ORIENTATIONS or frame.interlaced_frame:
        raise GuijuError(LABEL_MEDIUM, form=form, reason="its pictures are interlaced, or turned by no right angle", reason_zh="画面为隔行扫描，或旋转角度不是直角")  # fmt: skip
    orientation = _ORIENTATIONS[rotation]
    aspect = float(stream.sample_aspect_ratio or 1)
    wide = (round(frame.width * aspect), frame.height)
    seen = (wide[1], wide[0]) if orientation >= 5 else wide
    planned = sketch(*seen, style, find_font(style.text, style.font_file))
    bits, across, along = _PLANAR[_format_of(frame)]
    left, top, ink = _stored(planned, seen, orientation)
    ink, left = _narrowed(ink, aspect), round(left / aspect)
    ink, left, top = _aligned(ink, left, top, 1 << across, 1 << along)
    ink = ink[: frame.height - top, : frame.width - left]
    below = frame.to_ndarray(format="rgb24")[top : top + ink.shape[0], left : left + ink.shape[1]]
    inks = choose_inks(below, 1.0)
    full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    black, white = (0, 255) if full else (16, 235)
    plate, words = (black, white) if inks.light else (white, black)
    luma = np.rint((plate + (words - plate) * ink.astype(np.float64) / 255) * (1 << (bits - 8)))
    return _Stamp(left, top, luma.astype("<u2" if bits > 8 else np.uint8), planned._replace(ink=ink), inks, seen)


def _stored(planned: Sketch, seen: tuple[int, int], orientation: int) -> tuple[int, int, Array]:
    """Return where the plate lies in the stored picture, and its ink turned as that is."""
    width, height = seen
    left, top, ink = planned.left, planned.top, planned.ink
    if orientation == 3:
        return width - left - planned.width, height - top - planned.height, np.rot90(ink, 2)
    if orientation == 6:  # players turn it with the clock
        return top, width - left - planned.width, np.rot90(ink, 1)
    if orientation == 8:
        return height - top - planned.height, left, np.rot90(ink, -1)
    return left, top, ink


def _narrowed(ink: Array, aspect: float) -> Array:
    """Return the ink for pixels that are shown wider or narrower than high."""
    if abs(aspect - 1) < 0.001:
        return ink
    image = Image.fromarray(np.ascontiguousarray(ink)).resize(
        (max(round(ink.shape[1] / aspect), 1), ink.shape[0]), Image.Resampling.LANCZOS
    )
    return np.asarray(image)


def _aligned(ink: Array, left: int, top: int, across: int, along: int) -> tuple[Array, int, int]:
    """Return the plate, made larger until its edges are those of whole colour samples."""
    before, above = left % across, top % along
    right, below = -(left + ink.shape[1]) % across, -(top + ink.shape[0]) % along
    return np.pad(ink, ((above, below), (before, right))), left - before, top - above


def _drawn(frame: Any, stamp: _Stamp) -> Any:
    """Return the picture with the label over it. The decoder still needs its own: so it is a copy that is drawn upon."""
    frame = _fresh(frame)
    frame.make_writable()
    bits, across, along = _PLANAR[frame.format.name]
    height, width = stamp.luma.shape
    for place, plane in enumerate(frame.planes):
        fine = place == 0
        rows = np.frombuffer(plane, stamp.luma.dtype).reshape(plane.height, -1)
        top, left = (stamp.top, stamp.left) if fine else (stamp.top >> along, stamp.left >> across)
        down, right = (height, width) if fine else (-(-height >> along), -(-width >> across))
        rows[top : top + down, left : left + right] = stamp.luma if fine else 128 << (bits - 8)
    return frame


def _fresh(frame: Any) -> Any:
    """Return the picture in a form that can be encoded; which kind it was in the old track is forgotten."""
    if frame.format.name not in _PLANAR:
        frame = frame.reformat(format="yuv420p")
    frame.pict_type = 0
    return frame


# ── reading back ────────────────────────────────────────────────────────────────────────────────────────────────────


def _read_back(av: Any, marked: bytes, form: str, stamp: _Stamp, until_s: float, counts: tuple[int, int]) -> float:
    """Decode what will be delivered, look at every picture of the opening, and return the least contrast. Raises LABEL-NOT-SEEN."""
    contrast, total, seen_words, first = 21.0, 0, 0, None
    height, width = stamp.luma.shape
    with av.open(io.BytesIO(marked)) as result:
        stream = next(each for each in result.streams.video if not _is_cover(each))
        stream.thread_type = "AUTO"
        for frame in result.decode(stream):
            first = float(frame.time or 0) if first is None else first
            total += 1
            if seen_words >= counts[1]:
                continue
            below = frame.to_ndarray(format="rgb24")[stamp.top : stamp.top + height, stamp.left : stamp.left + width]
            seen = look(below, stamp.drawn, stamp.inks)
            if seen.agreement < _AGREEMENT or seen.contrast < CONTRAST:
                _not_seen(
                    form,
                    f"at {float(frame.time or 0) - first:.2f} s contrast and agreement are {seen.contrast:.1f}:1 and {seen.agreement:.0%}",
                )
            contrast, seen_words = min(contrast, seen.contrast), seen_words + 1
    if (total, seen_words) != counts:
        _not_seen(form, f"{total} pictures, {seen_words} with words; {counts[0]} and {counts[1]} were made")
    return contrast


def _not_seen(form: str, reason: str) -> None:
    raise GuijuError(LABEL_NOT_SEEN, form=form, reason=reason, reason_zh=reason)
