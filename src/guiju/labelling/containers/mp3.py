"""MP3: the label stands in the ID3v2 tag at the beginning, the frame TXXX with the description AIGC.

Source: TC260-PG-202510A (audio guide).
"""

from typing import Final

from guiju.labelling.containers import id3
from guiju.labelling.containers.source import Broken, Edit, Found, Site, Source

NAME: Final = "MP3"
_TAGS_LIMIT: Final = 16


def sniff(head: bytes) -> bool:
    """Tell whether the file begins with an MPEG audio frame of layer III, or with a tag that no FLAC follows."""
    length = id3.tag_length(head)
    if length:
        return length + 4 > len(head) or head[length : length + 4] != b"fLaC"
    return _is_frame(head[:4])


def _is_frame(head: bytes) -> bool:
    """Tell whether four bytes are the head of a layer III frame: sync, version, layer, bit rate and sampling rate all in use."""
    return (
        len(head) == 4
        and head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[1] & 0x18 != 0x08
        and head[2] & 0xF0 not in (0x00, 0xF0)
        and head[2] & 0x0C != 0x0C
    )


def examine(source: Source) -> Found:
    """Read the tags at the beginning; a frame of layer III must follow. Raises Broken."""
    tags: list[tuple[bytes, id3.Tag]] = []
    at = 0
    while length := id3.tag_length(source.read(at, min(10, source.size - at))):
        if len(tags) == _TAGS_LIMIT:
            raise Broken("there are too many tags", at)
        block = source.read(at, length)
        tags.append((block, id3.examine(block, at, "mp3")))
        at += length
    while at + 4 <= source.size and at < _PADDING_LIMIT + sum(len(block) for block, _ in tags) and source.read(at, 1) == b"\0":
        at += 1  # padding that a writer left outside its tag
    if not _is_frame(source.read(at, 4)):
        raise Broken("no frame of layer III follows the tags", at)
    sites: list[Site] = [site for _, tag in tags for site in tag.sites]

    def place(inner: str) -> list[Edit]:
        edits = [drop for _, tag in tags[1:] for drop in _emptied(tag)]
        if not tags:
            return [Edit(0, 0, id3.new_tag(inner))]
        block, tag = tags[0]
        return [Edit(tag.start, tag.stop, id3.with_label(block, tag, inner)), *edits]

    return Found(tuple(sites), (), place)


_PADDING_LIMIT: Final = 65_536


def _emptied(tag: id3.Tag) -> list[Edit]:
    """Blank the labels of a later tag in place: sizes stay, and the frame holds nothing."""
    return [Edit(drop.start + 10, drop.stop, bytes(drop.stop - drop.start - 10)) for drop in tag.drops if drop.stop - drop.start > 10]
