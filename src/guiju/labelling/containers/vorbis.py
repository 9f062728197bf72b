"""Vorbis comments, which FLAC and the codecs in Ogg share: the label is the comment `AIGC=`.

Source: TC260-PG-202510A (audio guide); Vorbis I §5; RFC 7845 §5.2; RFC 9639 §8.6.
"""

import struct
from dataclasses import dataclass
from itertools import islice

from guiju.labelling.annex_e import mentions_label
from guiju.labelling.containers.source import LABELS_LIMIT, Broken


@dataclass(frozen=True, slots=True)
class Comments:
    """A list of comments: who wrote it, the comments as bytes, and what lies behind them (a framing bit, padding)."""

    vendor: bytes
    texts: tuple[bytes, ...]
    tail: bytes

    @property
    def labels(self) -> list[str]:
        """The texts of the comments that are the place of a label."""
        return list(islice((label for label in map(label_of, self.texts) if label is not None), LABELS_LIMIT + 1))


def examine(block: bytes, at: int) -> Comments:
    """Read a list of comments whose block lies at `at` of its file. Raises Broken."""
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
    return Comments(vendor, tuple(texts), block[place:])


def label_of(comment: bytes) -> str | None:
    """Return the text of a comment that is the place of a label: `AIGC=`, or a description with the JSON."""
    name, _, value = comment.partition(b"=")
    if name.upper() == b"AIGC":
        return value.decode("utf-8", "replace")
    text = value.decode("utf-8", "replace") if name.upper() in (b"COMMENT", b"DESCRIPTION") else ""
    return text if mentions_label(text) else None


def with_label(comments: Comments, inner: str | None) -> bytes:
    """Return the list with this label alone, or with none; every other comment stays, and what lies behind them too."""
    texts = [text for text in comments.texts if label_of(text) is None]
    if inner is not None:
        texts.append(b"AIGC=" + inner.encode("ascii"))
    head = struct.pack("<I", len(comments.vendor)) + comments.vendor + struct.pack("<I", len(texts))
    return head + b"".join(struct.pack("<I", len(text)) + text for text in texts) + comments.tail
