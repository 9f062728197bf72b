"""Small real files (made by ffmpeg, in `data/`), the same with old labels and other metadata, and the independent readers."""

import hashlib
import json
import random
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pillow_heif
import pytest

from guiju.labelling.containers.tests import documents
from guiju.labelling.files import first_label
from guiju.labelling.values import FileLabel

DATA = Path(__file__).parent / "data"
CODE = "001191110102MACQD9K64010000"
OTHER = "001191310104MACE0YX63918020"
LABEL = first_label(CODE, "01M8541RFZ2W8VNPF2VCNJVC99")
OLD = FileLabel(content_producer="MiniMax", produce_id="7f3a", content_propagator="MiniMax", propagate_id="7f3a")
INNER = (
    '{"Label":"1","ContentProducer":"MiniMax","ProduceID":"7f3a","ReservedCode1":"",'
    '"ContentPropagator":"MiniMax","PropagateID":"7f3a","ReservedCode2":""}'
)
WRAPPED = '{"AIGC": ' + INNER + "}"


def sample(name: str) -> bytes:
    """Return a file of `data/`: `plain.png`, `alpha.webp`, …; or a document made by hand: `plain.docx`, …"""
    if name in documents.MADE:
        return documents.MADE[name]()
    return (DATA / f"{name}.bin").read_bytes()


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return the plain picture with these chunks behind IHDR."""
    data = sample("plain.png")
    added = b"".join(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks)
    return data[:33] + added + data[33:]


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """Return the plain picture with these segments behind SOI."""
    data = sample("plain.jpeg")
    return data[:2] + b"".join(bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments) + data[2:]


def exif_block(comment: bytes, order: str = "<") -> bytes:
    """Return an EXIF block with a maker and this UserComment."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    main = struct.pack(order + "H", 2) + struct.pack(order + "HHI4s", 0x010F, 2, 4, b"abc\0")
    main += struct.pack(order + "HHII", 0x8769, 4, 1, 38) + bytes(4)
    below = struct.pack(order + "H", 1) + struct.pack(order + "HHII", 0x9286, 7, len(comment), 56) + bytes(4)
    return head + main + below + comment


def packet(description: str) -> bytes:
    """Return an XMP packet with padding, this description, and one property of somebody else's."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/png"/>'
        f"{description}</rdf:RDF></x:xmpmeta>{' ' * 200}"
        '<?xpacket end="w"?>'
    ).encode()


def description(body: str = "", attributes: str = "") -> str:
    """Return a description in the namespace of TC260, under an unusual prefix."""
    return f'<rdf:Description rdf:about="uuid:1" xmlns:q="http://www.tc260.org.cn/ns/AIGC/1.0/"{attributes}>{body}</rdf:Description>'


def escaped(text: str) -> str:
    return text.replace('"', "&quot;")


def fuzzed(originals: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield `count` damaged files: cut, bytes changed, spans dropped, doubled or filled, lengths made huge."""
    chance = random.Random(seed)
    for number in range(count):
        data = bytearray(originals[number % len(originals)])
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(min(len(data), 256))
            span = chance.randint(1, 64)
            match chance.randrange(6):
                case 0:
                    del data[max(at, 4) :]
                case 1:
                    data[at] ^= 1 << chance.randrange(8)
                case 2:
                    del data[at : at + span]
                case 3:
                    data[at:at] = data[at : at + span]
                case 4:
                    data[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x80"])
                case _:
                    data[at : at + span] = chance.randbytes(span)
            if not data:
                data = bytearray(b"\0")
        yield bytes(data)


def tool(name: str) -> str:
    """Return the path of an independent reader; without it the test says loudly that it was skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"NO {name.upper()}: it is not installed, so no independent reader looked at the labels (make readers)")
    return path


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


def exiftool(path: Path) -> str:
    """Return every value that exiftool shows, as one text."""
    found: list[dict[str, Any]] = json.loads(run(tool("exiftool"), "-j", "-a", "-G1", "-U", "-api", "struct=0", str(path)))
    return "\n".join(f"{key}={value}" for key, value in found[0].items())


def decoded(path: Path) -> str:
    """Return the check sums of every decoded picture or sample: by libheif for HEIC, else by ffmpeg."""
    if path.read_bytes()[8:12] in (b"heic", b"heix"):
        return _decoded_heic(path)
    return run(tool("ffmpeg"), "-v", "error", "-i", str(path), "-f", "framemd5", "-")


def memory_to_label(big: Path, out: Path) -> int:
    """Label a large sparse file in a process of its own; return by how many KiB its highest memory grew.

    That of its address space is asked for: `ru_maxrss` begins with that of the process that started it, and would tell of no growth.
    """
    code = (
        "import re; from pathlib import Path; from guiju.labelling import *\n"
        "highest = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "before = highest()\n"
        f"write_file(Path({str(big)!r}), Path({str(out)!r}), first_label({OTHER!r}, 'big'))\n"
        f"assert read_file(Path({str(out)!r})).produce_id == 'big'\n"
        "print(highest() - before)"
    )
    return int(run(sys.executable, "-c", code))


def _decoded_heic(path: Path) -> str:
    file = pillow_heif.open_heif(str(path))
    return "\n".join(f"{each.mode} {each.size} {hashlib.sha256(bytes(each.data)).hexdigest()}" for each in file)


def packets(path: Path) -> str:
    """Return the check sums of every packet as it lies in the file, not decoded, by ffmpeg."""
    return run(tool("ffmpeg"), "-v", "error", "-i", str(path), "-map", "0", "-c", "copy", "-f", "framemd5", "-")
