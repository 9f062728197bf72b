"""WAV and RF64: the label is a chunk of its own, `AIGC`, behind `fmt `.

Read as well: an ID3 tag in a chunk `id3 `, and a comment ICMT of LIST/INFO with the wrapped JSON.
Source: TC260-PG-202510A (audio guide); EBU Tech 3306 for RF64.
"""

from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES
from guiju.labelling.containers import id3
from guiju.labelling.containers.riff import Chunk, chunk, info_labels, list_chunks, resized
from guiju.labelling.containers.source import Broken, Edit, Found, Site, Source, names_label

NAME: Final = "WAV"


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as a WAV."""
    return head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE"


def examine(source: Source) -> Found:
    """Read every chunk's head, and those that may hold a label whole. Raises Broken."""
    chunks = list_chunks(source)
    form = next((each for each in chunks if each.name == b"fmt "), None)
    if form is None or not any(each.name == b"data" for each in chunks):
        raise Broken("there is no sound", 12)
    sites: list[Site] = []
    edits: list[Edit] = []
    traces = ("c2pa",) if any(each.name == b"C2PA" for each in chunks) else ()
    for each in chunks:
        if each.name.upper() == b"AIGC":
            if each.length > VALUE_LIMIT_BYTES:
                raise Broken("a chunk AIGC is longer than any label", each.at)
            sites.append(
                Site("wav:AIGC", each.at, each.stop, source.read(each.at + 8, each.length).decode("utf-8", "replace").rstrip("\0"))
            )
            edits.append(Edit(each.at, each.stop))
        elif each.name in (b"id3 ", b"ID3 "):
            _tag(source, each, sites, edits)
        elif each.name == b"_PMX" and names_label(source.read(each.at + 8, each.length)):
            raise Broken("a label may stand in an XMP packet, which WAV is not read for", each.at)
        elif each.name == b"LIST" and each.length >= 4 and source.read(each.at + 8, 4) == b"INFO":
            info_labels(source, each, "wav", sites, edits)

    def place(inner: str) -> list[Edit]:
        new = chunk(b"AIGC", inner.encode("ascii"))
        return resized(source, [*edits, Edit(form.stop, form.stop, new)])

    return Found(tuple(sites), traces, place)


def _tag(source: Source, part: Chunk, sites: list[Site], edits: list[Edit]) -> None:
    block = source.read(part.at + 8, part.length)
    length = id3.tag_length(block)
    if not length or length > len(block):
        raise Broken("a chunk id3 holds no whole tag", part.at)
    tag = id3.examine(block[:length], part.at + 8, "wav:id3")
    sites += tag.sites
    if tag.sites and not tag.movable:
        raise Broken("a label stands in an unsynchronised tag", part.at)
    # Blanked in place: the frame stays and holds nothing.
    edits += [Edit(drop.start + 10, drop.stop, bytes(drop.stop - drop.start - 10)) for drop in tag.drops if drop.stop - drop.start > 10]
