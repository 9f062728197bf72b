"""The containers, one file each, told apart by their content. Order matters: the first that knows the beginning has the file.

Archives are told apart by what they hold, and of texts alone a hint is believed: see `documents.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from guiju.labelling.containers import (
    aac,
    avi,
    documents,
    epub,
    flac,
    flv,
    gif,
    heif,
    html,
    id3,
    jpeg,
    markdown,
    mkv,
    mp3,
    mp4,
    odf,
    ogg,
    ooxml,
    pdf,
    plain_text,
    png,
    svg,
    tiff,
    wav,
    webp,
    zipped,
)  # fmt: skip
from guiju.labelling.containers.source import PART_LIMIT_BYTES, Found, Source

HEAD_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Container:
    """One container: its name, whether a beginning is its own, and what stands in it."""

    name: str
    sniff: Callable[[bytes], bool]
    examine: Callable[[Source], Found]


CONTAINERS: Final[tuple[Container, ...]] = tuple(
    Container(each.NAME, each.sniff, each.examine)
    for each in (png, jpeg, webp, gif, tiff, svg, heif, mp4, wav, flac, ogg, aac, mp3, avi, mkv, flv, pdf)
)


DOCUMENTS: Final[tuple[Container, ...]] = (
    *(Container(form, zipped.sniff, ooxml.examine) for form in ("DOCX", "XLSX", "PPTX")),
    *(Container(each.NAME, zipped.sniff, each.examine) for each in (odf, epub)),
)
TEXTS: Final[tuple[Container, ...]] = tuple(Container(each.NAME, each.sniff, each.examine) for each in (html, markdown, plain_text))
ALL_CONTAINERS: Final = (*CONTAINERS, *DOCUMENTS, *TEXTS)
_BY_NAME: Final = {each.name: each for each in (*DOCUMENTS, *TEXTS, Container(documents.ARCHIVE, zipped.sniff, documents.refuse_archive))}


def find_container(source: Source, hint: str | None = None) -> Container | None:
    """Return the container of this content. `hint`, a file's name or a media type, is believed of texts alone."""
    head = source.head(HEAD_BYTES)
    if tag := id3.tag_length(head):  # what follows a tag says whose it is
        head = source.head(min(tag + HEAD_BYTES, PART_LIMIT_BYTES))
    found = next((each for each in CONTAINERS if each.sniff(head)), None)
    if found is not None:
        return found
    name = documents.archive_form(source) if zipped.sniff(head) else documents.text_form(head, hint)
    return _BY_NAME[name] if name else None
