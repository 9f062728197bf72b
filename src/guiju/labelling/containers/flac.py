"""FLAC: the label stands in the Vorbis comment `AIGC=`; a file without comments gets a block behind STREAMINFO.

Source: TC260-PG-202510A; RFC 9639 §8.6.
"""

from typing import Final

from guiju.labelling.containers import id3, vorbis
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
    traces: tuple[str, ...] = ()
    if length:
        tag = id3.examine(source.read(0, length), 0, "flac:ID3")
        if tag.sites:
            raise Broken("a label stands in an ID3 tag, where FLAC has none", 0)
        traces = ("c2pa",) if tag.manifest else ()
    at = length + 4
    comments: list[tuple[int, int, bool, vorbis.Comments]] = []
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
            found = vorbis.examine(source.read(at + 4, stop - at - 4), at)
            comments.append((at, stop, last, found))
            sites += [Site("flac:comment", at, stop, text) for text in found.labels]
        at = stop
        if last:
            break
    else:
        raise Broken("there are too many metadata blocks", at)
    if source.size > at and source.read(at, min(2, source.size - at))[0] != 0xFF:
        raise Broken("no sound follows the metadata", at)

    def place(inner: str) -> list[Edit]:
        edits: list[Edit] = []
        for index, (start, stop, is_last, found) in enumerate(comments):
            edits.append(Edit(start, stop, _block(vorbis.with_label(found, None if index else inner), last=is_last)))
        if not comments:
            last_one = bool(head & 0x80)
            edits.append(Edit(insert_at - 38, insert_at - 37, bytes([head & 0x7F])))
            edits.append(Edit(insert_at, insert_at, _block(vorbis.with_label(vorbis.Comments(b"guiju", (), b""), inner), last=last_one)))
        return edits

    return Found(tuple(sites), traces, place)


def _block(body: bytes, *, last: bool) -> bytes:
    if len(body) > _ROOM:
        raise NoRoom("the block of comments would grow over 16 MiB")
    return bytes([_COMMENT | (0x80 if last else 0)]) + len(body).to_bytes(3, "big") + body
