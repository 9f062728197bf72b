"""An XML part of a document: where its elements lie, so that one can be put in or taken out and the rest stays byte for byte.

A part is a stranger's work: no document type that declares anything (entities are how small parts grow large; old OpenDocument names
one that is elsewhere, and it is never fetched), no other encoding than UTF-8, no more than what is examined of any part.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape

from guiju.labelling.containers.source import PART_LIMIT_BYTES, Broken

DEPTH_LIMIT: Final = 256
ELEMENTS_LIMIT: Final = 20_000
NAMES_LIMIT: Final = 20_000
NAMESPACE_LIMIT: Final = 256
"""Characters of a namespace: each name in it is read with all of them in front."""
_STEP_BYTES: Final = 64 * 1024
# It goes over a tag once, and keeps nothing to come back to.
_TAG: Final = re.compile(rb"<(?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>")


@dataclass(slots=True)
class Element:
    """One element: its names and attributes, its text, and where it lies. `end` is where its end tag begins."""

    space: str
    local: str
    attributes: dict[str, str]
    start: int
    depth: int
    text: str = ""
    end: int = -1
    stop: int = -1
    pieces: list[str] = field(default_factory=list)


def elements(part: bytes, wanted: Iterable[str], what: str, at: int, *, spaces: bool = True) -> list[Element]:
    """Return the elements with these local names, in the order in which they begin; their text is that of all below them.

    Without `spaces` prefixes are passed over: old parts use some that only a document type elsewhere binds.

    Raises Broken when the part is no well-formed XML in UTF-8, has a document type that declares something, or nests too deep.
    """
    if len(part) > PART_LIMIT_BYTES:
        raise Broken(f"{what} is longer than what is examined", at)
    if part[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in part[:4]:
        raise Broken(f"{what} is not in UTF-8", at)
    reader = _Reader(frozenset(wanted), spaces)
    try:
        parse(reader.parser, pieces_of(part))
    except expat.ExpatError as error:
        raise Broken(f"{what} is no well-formed XML: {expat.ErrorString(error.code)}", at) from error
    except ValueError as error:
        raise Broken(f"{what} {error}", at) from error
    for each in reader.found:
        each.stop = element_stop(part, each.start, each.end)
        each.text = "".join(each.pieces)
    return reader.found


def pieces_of(part: bytes) -> Iterator[bytes]:
    """Yield a part piece by piece, for `parse`."""
    for at in range(0, len(part), _STEP_BYTES):
        yield part[at : at + _STEP_BYTES]


def parse(parser: expat.XMLParserType, pieces: Iterable[bytes]) -> None:
    """Let a parser read these pieces. Raises ValueError for more names than any document has: each takes memory up to the end.

    A tag is looked at when it is whole, so what stands in one that goes on over several pieces is counted by its `=`.
    """
    further = parser.StartNamespaceDeclHandler

    def declared(prefix: str, uri: str) -> None:
        if len(uri or "") > NAMESPACE_LIMIT:
            raise ValueError(f"has a namespace of more than {NAMESPACE_LIMIT} characters")
        if further is not None:
            further(prefix, uri)

    parser.StartNamespaceDeclHandler = declared
    at, attributes = -1, 0
    for piece in pieces:
        attributes = piece.count(b"=") + (attributes if parser.CurrentByteIndex == at else 0)
        at = parser.CurrentByteIndex
        if max(attributes, len(parser.intern)) > NAMES_LIMIT:
            raise ValueError(f"has more than {NAMES_LIMIT} names")
        parser.Parse(piece, False)
    parser.Parse(b"", True)


def text_xml(text: str) -> str:
    """Return a text as it stands in an element or in an attribute in double quotes."""
    return escape(text, {'"': "&quot;"})


def tag_end(part: bytes, at: int) -> int:
    """Return the place behind the `>` of the tag that begins at `at`; quoted values may hold one. Raises ValueError."""
    match = _TAG.match(part, at)
    if match is None:
        raise ValueError("a tag has no end")
    return match.end()


def element_stop(part: bytes, start: int, left_at: int) -> int:
    """Return where the element that begins at `start` ends; the parser left it at `left_at`, before its end tag or, if empty, behind it."""
    if part[left_at - 2 : left_at] == b"/>" and tag_end(part, start) == left_at:
        return left_at
    return part.index(b">", left_at) + 1


def appended(part: bytes, element: Element, new: bytes) -> bytes:
    """Return the part with new content at the end of an element."""
    if element.end != element.stop:
        return part[: element.end] + new + part[element.end :]
    opened = part[element.start : element.stop - 2].rstrip()
    if part[element.stop - 2 : element.stop] != b"/>":
        raise Broken("an empty element could not be located", element.start)
    name = opened[1:].split()[0]
    return part[: element.start] + opened + b">" + new + b"</" + name + b">" + part[element.stop :]


def without(part: bytes, found: Iterable[Element]) -> bytes:
    """Return the part without these elements."""
    kept, reached = [], 0
    for each in sorted(found, key=lambda element: element.start):
        if each.start >= reached:  # otherwise it lies in one that goes
            kept.append(part[reached : each.start])
            reached = each.stop
    return b"".join([*kept, part[reached:]])


class _Reader:
    """One pass of expat over a part."""

    def __init__(self, wanted: frozenset[str], spaces: bool) -> None:
        self.found: list[Element] = []
        self._wanted = wanted
        self._separator = " " if spaces else ":"
        self._open: list[Element] = []
        self._depth = 0
        self.parser = parser = expat.ParserCreate(namespace_separator=" " if spaces else None)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        parser.SkippedEntityHandler = self._skipped
        parser.XmlDeclHandler = self._declared

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding and encoding.lower() not in ("utf-8", "us-ascii", "ascii"):
            raise ValueError(f"is in {encoding}, not in UTF-8")

    def _doctype(self, _name: str, _system: str | None, _public: str | None, declares: int) -> None:
        if declares:
            raise ValueError("has a document type that declares something")

    def _skipped(self, name: str, _parameter: int) -> None:
        raise ValueError(f"uses {name[:40]}, which nothing in it declares")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise ValueError(f"nests deeper than {DEPTH_LIMIT}")
        space, _, local = name.rpartition(self._separator)
        if local in self._wanted:
            if len(self.found) == ELEMENTS_LIMIT:
                raise ValueError(f"has more than {ELEMENTS_LIMIT} entries")
            element = Element(space, local, attributes, self.parser.CurrentByteIndex, self._depth)
            self.found.append(element)
            self._open.append(element)

    def _end(self, _name: str) -> None:
        if self._open and self._open[-1].depth == self._depth:
            self._open.pop().end = self.parser.CurrentByteIndex
        self._depth -= 1

    def _characters(self, text: str) -> None:
        for each in self._open:
            each.pieces.append(text)
