"""Labels in files: megabytes a second for a write that is read back, in memory, for every container; and file to file.

The bodies are noise of the size of a large picture or an album track: what lies between a file's parts is copied, never decoded.
Pages and Markdown are read to their end, so theirs are words: 8 and 13 MB of them.
"""

import os
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from bench.report import Row, report, row
from guiju.labelling import content_credentials
from guiju.labelling.containers import ALL_CONTAINERS
from guiju.labelling.containers.tests import documents, pdfs
from guiju.labelling.containers.tests.samples import LABEL, sample
from guiju.labelling.files import read, write, write_file
from guiju.labelling.signatures.check import check
from guiju.labelling.signatures.keys import ALGORITHM_IDS, new_key
from guiju.labelling.signatures.security_data import sign
from guiju.labelling.tests.chains import new_chain

SIZE_BYTES: Final = 32 * 1024 * 1024
TURNS: Final = 15
BAR_MB_S: Final = 500
_HINTS: Final = {"Markdown": "a.md"}
BARRED: Final = ("PNG", "JPEG", "WebP")


def large(name: str) -> bytes:
    """Return a sound file of this container with a body of `SIZE_BYTES`."""
    body = os.urandom(SIZE_BYTES).replace(b"\xff", b"\xfe")
    match name:
        case "PNG":
            data = sample("plain.png")
            pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
            chunks = [struct.pack(">I", len(piece)) + b"IDAT" + piece + struct.pack(">I", zlib.crc32(b"IDAT" + piece)) for piece in pieces]
            return data[:33] + b"".join(chunks) + data[-12:]
        case "JPEG":
            return sample("plain.jpeg")[:-2] + body + b"\xff\xd9"
        case "WebP":
            return _riff(b"WEBP", sample("plain.webp")[20:30] + body, b"VP8 ")
        case "WAV":
            data = sample("plain.wav")
            head = data[12 : data.index(b"data")]
            return b"RIFF" + struct.pack("<I", len(head) + len(body) + 12) + b"WAVE" + head + b"data" + struct.pack("<I", len(body)) + body
        case "GIF":
            data = sample("plain.gif")
            blocks = b"".join(b"\xff" + body[at : at + 255] for at in range(0, len(body) - 255, 255))
            return data[:-2] + blocks + data[-2:]
        case "MP4":
            return _grown_last(sample("faststart.mp4"), body)
        case "HEIF":
            return _grown_last(sample("plain.heic"), body)
        case "MP3" | "FLAC":
            return sample(f"plain.{name.lower()}") + body
        case "AAC":
            return sample("plain.aac") * 16 + body
        case "Ogg":
            serial = sample("plain.opus")[14:18]
            pieces = [body[at : at + 65_025] for at in range(0, len(body) - 65_024, 65_025)]
            head = struct.pack("<4sBBq", b"OggS", 0, 0, 1) + serial + bytes(8) + b"\xff" * 256
            return sample("plain.opus") + b"".join(part for piece in pieces for part in (head, piece))
        case "MKV":
            data = sample("plain.mkv")
            cluster = b"\x1f\x43\xb6\x75" + struct.pack(">Q", len(body) + 9 | 1 << 56) + b"\xa3" + struct.pack(">Q", len(body) | 1 << 56)
            at = data.index(b"\x18\x53\x80\x67") + 4
            return data[:at] + struct.pack(">Q", len(data) - at - 8 + len(cluster) + len(body) | 1 << 56) + data[at + 8 :] + cluster + body
        case "AVI":
            data = sample("plain.avi")
            return data[:4] + struct.pack("<I", len(data) + len(body)) + data[8:] + b"JUNK" + struct.pack("<I", len(body)) + body
        case "FLV":
            pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
            head = b"\x09" + (65_536).to_bytes(3, "big") + bytes(7)
            return sample("plain.flv") + b"".join(part for piece in pieces for part in (head, piece, struct.pack(">I", 65_547)))
        case "TIFF":
            return sample("plain.tiff") + body
        case "SVG":
            shapes = b"".join(b"<path d='" + body[at : at + 512].hex().encode() + b"'/>" for at in range(0, len(body) // 2, 512))
            return sample("plain.svg").replace(b"</svg>", shapes + b"</svg>")
        case "PDF":
            return _pdf(body)
        case "DOCX" | "XLSX" | "PPTX" | "ODF" | "EPUB":
            made = {"ODF": "odt"}.get(name, name.lower())
            return documents.archive({**documents.unpacked(sample(f"plain.{made}")), "media/film.bin": body}, stored=True)
        case "HTML":
            return documents.PAGE.replace("<p>", "<p class='x'>words and words, and <b>more</b> of them.</p>\n<p>" * 160_000).encode()
        case "Markdown":
            return documents.TEXT.encode() + b"words and words, and **more** of them.\n\n" * 200_000
    raise ValueError(f"there is no large {name}")


def _pdf(body: bytes) -> bytes:
    """Return a PDF of 10,000 objects, the noise in one of them."""
    noise = b"<< /Length %d >>\nstream\n" % len(body) + body + b"\nendstream"
    return pdfs.plain({**pdfs.OBJECTS, **dict.fromkeys(range(10, 10_010), b"<< /Type /Font >>"), 7: noise})


def _riff(kind: bytes, body: bytes, name: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 12) + kind + name + struct.pack("<I", len(body)) + body


def _grown_last(data: bytes, body: bytes) -> bytes:
    """Return a file whose last box, the samples, has so much more in it."""
    at = data.rindex(b"mdat") - 4
    return data[:at] + struct.pack(">I", len(data) - at + len(body)) + data[at + 4 :] + body


def measure() -> Iterator[Row]:
    """Yield a row for each container, and one for a write from file to file."""
    for container in ALL_CONTAINERS:
        try:
            data = large(container.name)
        except ValueError:
            continue
        took = []
        for _ in range(TURNS):
            started = time.perf_counter()
            labelled = write(data, LABEL, hint=_HINTS.get(container.name))
            took.append(time.perf_counter() - started)
        speed = len(data) / 1e6 / sorted(took)[TURNS // 2]
        if read(labelled, hint=_HINTS.get(container.name)) != LABEL:
            raise RuntimeError(f"{container.name} does not hold its label")
        yield row(f"{container.name}: write, read back, in memory", speed, "MB/s", at_least=BAR_MB_S if container.name in BARRED else None)
    for name in ("WAV", "MP4"):
        with tempfile.TemporaryDirectory() as folder:
            original = Path(folder, "a")
            original.write_bytes(large(name))
            started = time.perf_counter()
            write_file(original, Path(folder, "b"), LABEL)
            yield row(f"{name}: file to file, on the disk before it is named", SIZE_BYTES / 1e6 / (time.perf_counter() - started), "MB/s")


def measure_signatures() -> Iterator[Row]:
    """Yield what a signature in ReservedCode and a C2PA manifest cost, in CPU time of one thread."""
    for algorithm in ALGORITHM_IDS:
        key = new_key(algorithm)
        signed = sign(LABEL, key)
        yield row(f"ReservedCode, {algorithm}: sign", _cpu_ms(partial(sign, LABEL, key)), "ms")
        yield row(f"ReservedCode, {algorithm}: verify", _cpu_ms(partial(check, signed)), "ms")
        yield row(f"ReservedCode, {algorithm}: in the label", len(signed.reserved_code1), "characters")
    with tempfile.TemporaryDirectory() as folder:
        credentials = content_credentials.load_credentials(*new_chain().files(Path(folder)))
    data = write(large("PNG"), LABEL)
    sealed = content_credentials.sign(data, credentials)
    yield row(
        "C2PA, ES256: sign and look again, PNG", len(data) / 1e3 / _cpu_ms(partial(content_credentials.sign, data, credentials), 3), "MB/s"
    )
    yield row("C2PA, ES256: verify, PNG", len(data) / 1e3 / _cpu_ms(partial(content_credentials.check, sealed), 3), "MB/s")


def _cpu_ms(work: Callable[[], object], turns: int = 100) -> float:
    started = time.thread_time()
    for _ in range(turns):
        work()
    return (time.thread_time() - started) / turns * 1000


def main() -> int:
    """Measure, print, write `bench/out/labels.json`; return 1 when a bar is missed."""
    return 1 if report("labels", [*measure(), *measure_signatures()]) else 0


if __name__ == "__main__":
    sys.exit(main())
