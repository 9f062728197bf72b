"""Files that a model might return, drawn here by code."""

import io
import struct
import wave
import zlib


def png(width: int = 320, height: int = 240, tint: int = 90) -> bytes:
    """Return a PNG with a gradient."""
    rows = b"".join(
        b"\0" + bytes(value for x in range(width) for value in (x * 255 // width, y * 255 // height, tint)) for y in range(height)
    )
    return _png(width, height, zlib.compress(rows, 1))


def bomb() -> bytes:
    """Return a PNG of some kilobytes that would be 3.6 GB of pixels."""
    side = 30_000
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(side * 3 + 1)) for _ in range(400)) + packer.flush()
    return _png(side, side, packed)


def wide(side: int) -> bytes:
    """Return a black PNG that is small as a file and large as pixels."""
    return _png(side, side, zlib.compress(bytes((side * 3 + 1) * side), 1))


def wav(seconds: float = 0.5) -> bytes:
    """Return mono PCM with a ramp."""
    kept = io.BytesIO()
    with wave.open(kept, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(16_000)
        opened.writeframes(b"".join(struct.pack("<h", (n * 37) % 8_000 - 4_000) for n in range(int(16_000 * seconds))))
    return kept.getvalue()


def film(seconds: int = 3) -> bytes:
    """Return an MP4 with H.264, a grey that changes, ten pictures a second."""
    import av  # of the extra `media`
    import numpy as np

    kept = io.BytesIO()
    with av.open(kept, "w", format="mp4") as opened:
        stream = opened.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(10 * seconds):
            frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 40 + number, np.uint8), format="rgb24")
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode())
    return kept.getvalue()


def _png(width: int, height: int, packed: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
