"""The containers, one file each, told apart by their content. Order matters: the first that knows the beginning has the file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from guiju.labelling.containers import aac, avi, flac, gif, heif, id3, jpeg, mkv, mp3, mp4, ogg, png, wav, webp
from guiju.labelling.containers.source import PART_LIMIT_BYTES, Found, Source

HEAD_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Container:
    """One container: its name, whether a beginning is its own, and what stands in it."""

    name: str
    sniff: Callable[[bytes], bool]
    examine: Callable[[Source], Found]


CONTAINERS: Final[tuple[Container, ...]] = tuple(
    Container(each.NAME, each.sniff, each.examine) for each in (png, jpeg, webp, gif, heif, mp4, wav, flac, ogg, aac, mp3, avi, mkv)
)


def find_container(source: Source) -> Container | None:
    """Return the container of this content; the name of a file tells nothing."""
    head = source.head(HEAD_BYTES)
    if tag := id3.tag_length(head):  # what follows a tag says whose it is
        head = source.head(min(tag + HEAD_BYTES, PART_LIMIT_BYTES))
    return next((each for each in CONTAINERS if each.sniff(head)), None)
