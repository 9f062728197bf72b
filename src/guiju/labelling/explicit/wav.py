"""A rhythm or a voice before and after the samples of a WAV file, in the file's own sample format; the samples themselves stay.

Source: GB 45438-2025 §5.3.
"""

import struct
from typing import Any, Final, NamedTuple

import numpy as np

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_UNDECODABLE

Array = np.ndarray[Any, np.dtype[Any]]

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNFILLED: Final = (0, 0xFFFFFFFF, 0x7FFFFFFF)
"""Sizes that streaming writers leave behind: the samples go on to the end of the file."""
_CUE_BYTES: Final = 24


class Wav(NamedTuple):
    """A WAV file in parts: its form, the chunks before the samples, the samples, the chunks behind them."""

    kind: int
    channels: int
    rate: int
    bits: int
    before: list[tuple[bytes, bytes]]
    samples: bytes
    after: list[tuple[bytes, bytes]]

    @property
    def frame_bytes(self) -> int:
        """Return the bytes of one sample of every channel."""
        return self.channels * self.bits // 8


def parse(data: bytes) -> Wav:
    """Return the parts of a WAV file. Raises GuijuError LABEL-UNDECODABLE, LABEL-MEDIUM."""
    if data[:4] == b"RF64":
        raise GuijuError(LABEL_MEDIUM, form="WAV", reason="it is RF64", reason_zh="它是 RF64")
    form: tuple[int, int, int, int] | None = None
    before: list[tuple[bytes, bytes]] = []
    after: list[tuple[bytes, bytes]] = []
    samples: bytes | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"data" and size in _UNFILLED:
            size = len(data) - at - 8
        if at + 8 + size > len(data):
            raise GuijuError(LABEL_UNDECODABLE, form="WAV", reason=f"it ends inside the chunk at byte {at}")
        body = data[at + 8 : at + 8 + size]
        if name == b"data" and samples is None:
            samples = body
        else:
            (before if samples is None else after).append((name, body))
        if name == b"fmt " and form is None:
            form = _form(body)
        at += 8 + size + (size & 1)
    if form is None or not samples:
        raise GuijuError(LABEL_UNDECODABLE, form="WAV", reason="it has no format or no samples")
    wav = Wav(*form, before, samples, after)
    return wav._replace(samples=samples[: len(samples) // wav.frame_bytes * wav.frame_bytes])


def _form(body: bytes) -> tuple[int, int, int, int]:
    if len(body) < 16:
        raise GuijuError(LABEL_UNDECODABLE, form="WAV", reason="its format chunk is cut")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if kind == _EXTENSIBLE and len(body) >= 26:
        kind = int.from_bytes(body[24:26], "little")
    if (kind, bits) not in ((_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)):
        raise GuijuError(LABEL_MEDIUM, form="WAV", reason=f"samples of format {kind} with {bits} bits are not supported", reason_zh=f"不支持格式 {kind}、{bits} 位的样本")  # fmt: skip
    if not (1 <= channels <= 64 and 1_000 <= rate <= 768_000):
        raise GuijuError(LABEL_UNDECODABLE, form="WAV", reason=f"{channels} channels at {rate} Hz")
    return kind, channels, rate, bits


def samples_of(wave: Array, wav: Wav) -> bytes:
    """Return samples of one channel (-1 to 1) in the file's own format, the same in every channel."""
    if wav.kind == _FLOAT:
        single = wave.astype("<f4" if wav.bits == 32 else "<f8")
        return np.repeat(single[:, None], wav.channels, axis=1).tobytes()
    whole = np.rint(np.clip(wave, -1, 1) * (2 ** (wav.bits - 1) - 1)).astype("<i8")
    if wav.bits == 8:
        whole = whole + 128
    raw = np.frombuffer(whole.astype("<i8").tobytes(), np.uint8).reshape(-1, 8)[:, : wav.bits // 8]
    return np.repeat(raw[:, None], wav.channels, axis=1).tobytes()


def mono_of(raw: bytes, wav: Wav) -> Array:
    """Return the first channel of samples in the file's format, -1 to 1."""
    if wav.kind == _FLOAT:
        return np.frombuffer(raw, "<f4" if wav.bits == 32 else "<f8").reshape(-1, wav.channels)[:, 0].astype(np.float64)
    size = wav.bits // 8
    parts = np.frombuffer(raw, np.uint8).reshape(-1, wav.channels, size)[:, 0].astype(np.int64)
    raw_value = np.zeros(len(parts), np.int64)
    for place in range(size):
        raw_value |= parts[:, place] << (8 * place)
    half = 1 << (wav.bits - 1)
    signed = raw_value - half if size == 1 else np.where(raw_value >= half, raw_value - 2 * half, raw_value)
    found: Array = signed / half
    return found


def build(wav: Wav, head: bytes, tail: bytes) -> bytes:
    """Return the file with samples before and behind its own; marks in it move along."""
    moved = len(head) // wav.frame_bytes
    count = (len(head) + len(wav.samples) + len(tail)) // wav.frame_bytes
    parts = [b"WAVE"]
    for name, body in [*wav.before, (b"data", head + wav.samples + tail), *wav.after]:
        parts.append(_chunk(name, _moved(name, body, moved, count)))
    whole = b"".join(parts)
    return b"RIFF" + len(whole).to_bytes(4, "little") + whole


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) & 1)


def _moved(name: bytes, body: bytes, moved: int, count: int) -> bytes:
    if name == b"fact" and len(body) >= 4:
        return count.to_bytes(4, "little") + body[4:]
    if name != b"cue " or len(body) < 4:
        return body
    cues = bytearray(body)
    for place in range(4, len(body) - _CUE_BYTES + 1, _CUE_BYTES):
        for at in (place + 4, place + 20):
            struct.pack_into("<I", cues, at, min(struct.unpack_from("<I", cues, at)[0] + moved, 0xFFFFFFFF))
    return bytes(cues)
