"""FLAC: the label stands in the Vorbis comment `AIGC=`; a file without comments gets a block behind STREAMINFO.

Source: TC260-PG-202510A; RFC 9639 §8.6.
"""

import struct
from typing import Final

from guiju.labelling.annex_e import mentions_label
from guiju.labelling.containers import id3
from guiju.labelling.containers.source import PARTS_LIMIT, Broken, Edit, Found, NoRoom, Site, Source

NAME: Final = "FLAC"
_COMMENT: Final = 4
_ROOM: Final = (1 << 24) - 1


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as FLAC, behind an ID3 tag that some writers put there."""
    at = id3.tag_length(head)
    return head[at : at + 4] == b"fLaC"


def examine(source: Source) -> Found:
    """Read the metadata blocks; sound must follow. Raises Broken."""
    sites: list[Site] = []
    length = id3.tag_length(source.read(0, min(10, source.size)))
    if length and id3.examine(source.read(0, length), 0, "flac:ID3").sites:
        raise Broken("a label stands in an ID3 tag, where FLAC has none", 0)
    at = length + 4
    comments: list[tuple[int, int, bool, bytes, list[bytes]]] = []
    first = last = False
    insert_at = 0
    for _ in range(PARTS_LIMIT):
        flags, *size = source.read(at, 4)
        kind, last, stop = flags & 0x7F, bool(flags & 0x80), at + 4 + int.from_bytes(bytes(size), "big")
        if stop > source.size or kind == 127 or (not first and kind != 0):
            raise Broken("a metadata block is wrong, or reaches beyond the end of the file", at)
        if not first:
            first, insert_at = True, stop
            if stop - at != 38:
                raise Broken("STREAMINFO has a wrong length", at)
            head = source.read(at, 1)[0]
        if kind == _COMMENT:
            vendor, texts = _comments(source.read(at + 4, stop - at - 4), at)
            comments.append((at, stop, last, vendor, texts))
            sites += [Site("flac:comment", at, stop, text) for text in map(_label_of, texts) if text is not None]
        at = stop
        if last:
            break
    else:
        raise Broken("there are too many metadata blocks", at)
    if source.size > at and source.read(at, min(2, source.size - at))[0] != 0xFF:
        raise Broken("no sound follows the metadata", at)

    def place(inner: str) -> list[Edit]:
        edits: list[Edit] = []
        for index, (start, stop, is_last, vendor, texts) in enumerate(comments):
            kept = [text for text in texts if _label_of(text) is None]
            if not index:
                kept.append(b"AIGC=" + inner.encode())
            edits.append(Edit(start, stop, _block(vendor, kept, last=is_last)))
        if not comments:
            last_one = bool(head & 0x80)
            edits.append(Edit(insert_at - 38, insert_at - 37, bytes([head & 0x7F])))
            edits.append(Edit(insert_at, insert_at, _block(b"guiju", [b"AIGC=" + inner.encode()], last=last_one)))
        return edits

    return Found(tuple(sites), (), place)


def _comments(block: bytes, at: int) -> tuple[bytes, list[bytes]]:
    """Return the vendor and the comments; what lies behind them is not read."""
    try:
        (length,) = struct.unpack_from("<I", block, 0)
        vendor, place = block[4 : 4 + length], 4 + length
        (count,) = struct.unpack_from("<I", block, place)
        place += 4
        texts = []
        for _ in range(min(count, len(block))):
            (length,) = struct.unpack_from("<I", block, place)
            if place + 4 + length > len(block):
                raise Broken("a comment reaches beyond its block", at)
            texts.append(block[place + 4 : place + 4 + length])
            place += 4 + length
    except struct.error as error:
        raise Broken("a block of comments is cut", at) from error
    if len(texts) != count:
        raise Broken("a block of comments is cut", at)
    return vendor, texts


def _label_of(comment: bytes) -> str | None:
    name, _, value = comment.partition(b"=")
    if name.upper() == b"AIGC":
        return value.decode("utf-8", "replace")
    text = value.decode("utf-8", "replace") if name.upper() in (b"COMMENT", b"DESCRIPTION") else ""
    return text if mentions_label(text) else None


def _block(vendor: bytes, texts: list[bytes], *, last: bool) -> bytes:
    body = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(texts))
    body += b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if len(body) > _ROOM:
        raise NoRoom("the block of comments would grow over 16 MiB")
    return bytes([_COMMENT | (0x80 if last else 0)]) + len(body).to_bytes(3, "big") + body
