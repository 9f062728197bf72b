"""MP3: the label stands in the ID3v2 tag at the beginning, the frame TXXX with the description AIGC.

Source: TC260-PG-202510A (audio guide).
"""

from typing import Final

from guiju.labelling.containers import id3
from guiju.labelling.containers.source import Broken, Found, Source

NAME: Final = "MP3"


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
    tags, at = id3.tags_before(source, "mp3")
    if not _is_frame(source.read(at, 4)):
        raise Broken("no frame of layer III follows the tags", at)
    id3.refuse_hidden(source)
    traces = ("c2pa",) if any(tag.manifest for _, tag in tags) else ()
    return Found(tuple(site for _, tag in tags for site in tag.sites), traces, lambda inner: id3.placed(tags, inner))
