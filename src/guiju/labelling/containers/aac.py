"""AAC as bare ADTS frames: the label stands in an ID3v2 tag in front of the first, the frame TXXX with the description AIGC.

The guides name no place for ADTS; players skip an ID3 tag there, as in MP3. A stream has no end mark: a cut between frames is not seen.
Source: ISO/IEC 14496-3 §1.A.3 (ADTS); TC260-PG-202510A for the tag of MP3.
"""

from typing import Final

from guiju.labelling.containers import id3
from guiju.labelling.containers.source import Broken, Found, Source

NAME: Final = "AAC"
_FRAMES: Final = 16
"""So many frames must follow one another before the file counts as AAC."""


def sniff(head: bytes) -> bool:
    """Tell whether the file begins with an ADTS frame, behind ID3 tags or without."""
    at = 0
    while length := id3.tag_length(head[at : at + 10]):
        at += length
    return _frame_length(head[at : at + 7]) > 0


def examine(source: Source) -> Found:
    """Read the tags at the beginning; frames must follow. Raises Broken."""
    tags, at = id3.tags_before(source, "aac")
    for _ in range(_FRAMES):
        length = _frame_length(source.read(at, min(7, source.size - at)))
        if not length or at + length > source.size:
            raise Broken("a frame of ADTS is cut, or none follows", at)
        at += length
        if at == source.size or source.read(at, min(3, source.size - at)) == b"TAG":
            break
    id3.refuse_hidden(source)
    traces = ("c2pa",) if any(tag.manifest for _, tag in tags) else ()
    return Found(tuple(site for _, tag in tags for site in tag.sites), traces, lambda inner: id3.placed(tags, inner))


def _frame_length(head: bytes) -> int:
    """Return the length of the frame that these seven bytes begin; 0 when they begin none: sync, layer 0, a known sampling rate."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 0xF > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= (7 if head[1] & 1 else 9) else 0
