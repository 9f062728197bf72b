"""Places in the XML of a document, by bytes: where an element begins, where its content ends, what its text is."""

from typing import Final, NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape

from guiju.core.errors import GuijuError
from guiju.labelling.containers.xml_part import parse, pieces_of
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_UNDECODABLE
from guiju.labelling.values import ExplicitStyle

_ELEMENTS_AT_MOST: Final = 5_000_000


class Element(NamedTuple):
    """An element: namespace and name, attributes, depth, first byte, first byte behind its start tag, first byte of its end tag, its text."""

    space: str
    name: str
    attributes: dict[str, str]
    depth: int
    start: int
    inside: int
    end: int
    empty: bool


def find_elements(data: bytes, form: str, names: frozenset[str], *, depth: int = 1_000) -> list[Element]:
    """Return the elements with one of these local names, in order of their ends; those deeper than `depth` are left out.

    Raises GuijuError LABEL-UNDECODABLE for what is no well-formed XML or declares entities, LABEL-MEDIUM for UTF-16.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise GuijuError(LABEL_MEDIUM, form=form, reason="its XML is UTF-16", reason_zh="其 XML 为 UTF-16")
    parser = expat.ParserCreate(namespace_separator="\n")
    found: list[Element] = []
    opened: list[tuple[str, dict[str, str], int]] = []
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > _ELEMENTS_AT_MOST:
            raise GuijuError(LABEL_UNDECODABLE, form=form, reason="it has too many elements")
        opened.append((name, attributes, parser.CurrentByteIndex))

    def end(name: str) -> None:
        _, attributes, at = opened.pop()
        space, _, local = name.rpartition("\n")
        if local in names and len(opened) <= depth:
            close = parser.CurrentByteIndex
            # For <a/> expat tells the same byte twice.
            empty = data[close : close + 2] != b"</"
            found.append(Element(space, local, attributes, len(opened), at, _behind_tag(data, at), close, empty))

    def refuse(*_: object) -> None:
        raise GuijuError(LABEL_UNDECODABLE, form=form, reason="it declares entities")

    parser.StartElementHandler, parser.EndElementHandler, parser.EntityDeclHandler = start, end, refuse
    try:
        parse(parser, pieces_of(data))
    except (expat.ExpatError, ValueError) as error:
        raise GuijuError(LABEL_UNDECODABLE, form=form, reason=str(error)) from error
    return found


def _behind_tag(data: bytes, at: int) -> int:
    quote = 0
    while at < len(data):
        sign = data[at]
        if quote:
            quote = 0 if sign == quote else quote
        elif sign in b"\"'":
            quote = sign
        elif sign == 0x3E:
            return at + 1
        at += 1
    return at


def text_of(data: bytes, form: str) -> str:
    """Return all character data of a part, one after the other."""
    parser = expat.ParserCreate()
    parts: list[str] = []
    parser.CharacterDataHandler = parts.append
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise GuijuError(LABEL_UNDECODABLE, form=form, reason=str(error)) from error
    return "".join(parts)


def insert(data: bytes, at: int, xml: str) -> bytes:
    """Return the part with this element at a place, in ASCII: it fits every encoding that XML parts have here."""
    return data[:at] + xml.encode("ascii", "xmlcharrefreplace") + data[at:]


class Edited(NamedTuple):
    """A document with words: its form, the parts that are new, where the words stand."""

    form: str
    parts: dict[str, bytes]
    where: str


def words(style: ExplicitStyle) -> str:
    """Return the words as XML."""
    return f"（{escape(style.text)}）"


def at_places(data: bytes, style: ExplicitStyle, start: int, end: int, xml: str) -> bytes:
    """Return the part with this element at the start, the end or both, as the style says."""
    if style.document_place != "start":
        data = insert(data, end, xml)
    return insert(data, start, xml) if style.document_place != "end" else data
