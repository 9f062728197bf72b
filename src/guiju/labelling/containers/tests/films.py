"""Films and pictures put together from boxes, and a plain reader of their addresses that knows nothing of guiju's own."""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from guiju.labelling.containers.tests.samples import INNER, sample

ADOBE = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_AROUND = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"udta", b"moof", b"traf", b"mfra"}


def box(kind: bytes, *parts: bytes, long: bool = False) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body if long else struct.pack(">I4s", 8 + len(body), kind) + body


def walk(
    data: bytes, start: int = 0, stop: int | None = None, path: tuple[bytes, ...] = ()
) -> Iterator[tuple[tuple[bytes, ...], int, int]]:
    """Yield path, where the content begins, where the box ends."""
    at, stop = start, len(data) if stop is None else stop
    while at + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            size, body = struct.unpack_from(">Q", data, body)[0], body + 8
        elif size == 0 and not path:
            size = stop - at
        if size < 8:
            return
        here = (*path, kind)
        yield here, body, at + size
        if kind in _AROUND:
            yield from walk(data, body, at + size, here)
        elif kind == b"meta":
            yield from walk(data, body if data[body + 4 : body + 8] == b"hdlr" else body + 4, at + size, here)
        at += size


def addresses(data: bytes) -> list[int]:
    """Return every address of samples in the tables of chunks, and of what is beside them (`saio`)."""
    found: list[int] = []
    for path, body, _ in walk(data):
        if path[-1] in (b"stco", b"co64"):
            (count,) = struct.unpack_from(">I", data, body + 4)
            found += struct.unpack_from(f">{count}{'I' if path[-1] == b'stco' else 'Q'}", data, body + 8)
        elif path[-1] == b"saio":
            (count,) = struct.unpack_from(">I", data, body + 12)
            found += struct.unpack_from(f">{count}{'Q' if data[body] else 'I'}", data, body + 16)
    return found


_TABLES = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def own_addresses(data: bytes) -> list[int]:
    """Return the addresses of tracks alone, where all samples lie in the file itself; tables astray are nobody's."""
    boxes = list(walk(data))
    if any(path[-1] == b"dref" and data[body + 16 : body + 20] != b"\0\0\0\1" for path, body, _ in boxes):
        return []
    return [
        address
        for path, body, _ in boxes
        if path[:5] == _TABLES and path[5:] in ((b"stco",), (b"co64",))
        for address in struct.unpack_from(f">{_count(data, body)}{'I' if path[-1] == b'stco' else 'Q'}", data, body + 8)
    ]


def _count(data: bytes, body: int) -> int:
    return int.from_bytes(data[body + 4 : body + 8], "big")


def tampered(originals: list[bytes], count: int, chance: random.Random) -> Iterator[bytes]:
    """Yield damaged films: what is done is done to whole boxes, so that many of them are still films."""
    words = [b"\xff\xff\xff\xff", bytes(4), b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\0\0\0\x08", b"\0\1\0\0"]
    names = [b"moov", b"meta", b"ilst", b"keys", b"free", b"stco", b"co64", b"udta", b"mdat", b"uuid", b"tfhd", b"sidx", b"tfra", b"XMP_"]
    for _ in range(count):
        data = bytearray(chance.choice(originals))
        boxes = list(walk(bytes(data)))
        _, body, stop = chance.choice(boxes)
        _, other, _ = chance.choice(boxes)
        match chance.randrange(7):
            case 0:
                data[body - 8 : body - 4] = chance.choice(words)
            case 1:
                data[body - 4 : body] = chance.choice(names)
            case 2:
                data[body + 4 : body + 8] = chance.choice(words)
            case 3:
                size = int.from_bytes(data[body - 8 : body - 4], "big") + chance.choice([-8, -4, -1, 1, 4, 8, 100])
                data[body - 8 : body - 4] = size.to_bytes(8, "big", signed=True)[-4:]
            case 4:
                del data[body - 8 : stop]
            case 5:
                data[other:other] = data[body - 8 : stop]
            case _:
                data[chance.randrange(body - 8, min(stop, body + 64))] ^= 1 << chance.randrange(8)
        yield bytes(data)


def inserted(data: bytes, path: list[bytes], new: bytes, *, first: bool = False) -> bytes:
    """Return a film whose head comes last with `new` in the box of this path, at its end or its beginning."""
    sizes = []
    for here, body, stop in walk(data):
        if list(here) == path[: len(here)]:
            sizes.append(body - 8)
            if len(here) == len(path):
                at = body if first else stop
                break
    else:
        raise ValueError(f"there is no {path}")
    grown = bytearray(data)
    for place in sizes:
        struct.pack_into(">I", grown, place, struct.unpack_from(">I", grown, place)[0] + len(new))
    return bytes(grown[:at] + new + grown[at:])


def moved(film: bytes, by: int) -> bytes:
    """Return the film with every four-byte address of a chunk changed by hand."""
    changed = bytearray(film)
    for path, body, _ in walk(film):
        if path[-1] == b"stco":
            (count,) = struct.unpack_from(">I", film, body + 4)
            for place in range(body + 8, body + 8 + 4 * count, 4):
                struct.pack_into(">I", changed, place, struct.unpack_from(">I", film, place)[0] + by)
    return bytes(changed)


def keys(*names: bytes) -> bytes:
    return box(b"keys", struct.pack(">II", 0, len(names)), *(struct.pack(">I4s", 8 + len(name), b"mdta") + name for name in names))


def value(index: int | bytes, text: bytes, kind: int = 1) -> bytes:
    return box(index if isinstance(index, bytes) else struct.pack(">I", index), box(b"data", struct.pack(">II", kind, 0), text))


def meta(handler: bytes, *parts: bytes, full: bool = True) -> bytes:
    return box(b"meta", bytes(4 if full else 0), box(b"hdlr", bytes(8), handler, bytes(13)), *parts)


def freeform(text: str) -> bytes:
    name = (box(b"mean", bytes(4), b"com.apple.iTunes"), box(b"name", bytes(4), b"AIGC"))
    return box(b"----", *name, box(b"data", struct.pack(">II", 1, 0), text.encode()))


def bare(text: str = INNER) -> bytes:
    """Return a list of metadata with the label and a title."""
    return meta(b"mdta", keys(b"title", b"AIGC"), box(b"ilst", value(1, b"a title"), value(2, text.encode())))


FILM = sample("plain.mp4")
"""Its head comes last, with an empty list of iTunes in its user data."""


@dataclass
class Chance:
    """Films laid out by chance: every chunk's bytes are its own, so that a wrong address is seen."""

    random: random.Random
    chunks: list[bytes] = field(default_factory=list)

    def film(self) -> bytes:
        """Return a film: head first or last, one to three tracks, both kinds of tables, free space, long sizes, other boxes between."""
        chance = self.random
        bodies = [bytes([number % 251]) * 3 + number.to_bytes(4, "big") * 8 for number in range(chance.randint(1, 40))]
        tracks: list[list[int]] = [[] for _ in range(chance.randint(1, 3))]
        for number in range(len(bodies)):
            chance.choice(tracks).append(number)
        wide = [chance.random() < 0.4 for _ in tracks]
        described = chance.choice([b"", box(b"udta"), box(b"udta", meta(b"mdir", box(b"ilst"))), box(b"udta", bare()), box(b"udta", bytes(4)),
                                   meta(b"mdta", keys(b"AIGC"), box(b"ilst", value(1, INNER.encode())), full=False)])  # fmt: skip
        inside = box(b"free", bytes(chance.choice([0, 3, 400, 2000]))) if chance.random() < 0.3 else b""
        between = b"".join(
            box(b"free", bytes(chance.choice([0, 4, 306, 307, 2000]))) if chance.random() < 0.5 else box(b"wide")
            for _ in range(chance.randint(0, 2))
        )
        with_saio = chance.random() < 0.3
        head_first, long, to_end = chance.random() < 0.7, chance.random() < 0.3, chance.random() < 0.3

        def moov(at: list[int]) -> bytes:
            made = []
            for track, is_wide in zip(tracks, wide, strict=True):
                places = [at[number] for number in track]
                table = box(
                    b"co64" if is_wide else b"stco", struct.pack(f">II{len(places)}{'Q' if is_wide else 'I'}", 0, len(places), *places)
                )
                dinf = box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), box(b"url ", bytes(3) + b"\1")))
                letter = "Q" if is_wide else "I"
                beside = box(b"saio", struct.pack(f">BBBB4sII{len(places)}{letter}", is_wide, 0, 0, 1, b"cenc", 0, len(places), *places))
                made.append(box(b"trak", box(b"mdia", box(b"minf", dinf, box(b"stbl", table, beside if with_saio else b"")))))
            return box(b"moov", box(b"mvhd", bytes(100)), *made, inside, described)

        front = box(b"ftyp", b"isom", bytes(4), b"mp42")
        early = chance.randint(1, len(bodies)) if head_first and chance.random() < 0.4 else 0
        if early:  # some of the samples stand in front of the head, too
            front += box(b"mdat", *bodies[:early])
        start = len(moov([0] * len(bodies))) + len(between) if head_first else 0
        at, places = len(front) - sum(map(len, bodies[:early])), []
        for number, body in enumerate(bodies):
            if number == early:
                at = len(front) + start + (16 if long else 8)
            places.append(at)
            at += len(body)
        samples = box(b"mdat", *bodies[early:], long=long)
        if to_end and head_first and not long:
            samples = bytes(4) + samples[4:]
        self.chunks = bodies
        head = moov(places)
        return front + (head + between + samples if head_first else samples + between + head)
