"""SVG: the label is the property of XMP within the element `metadata` of the root. The guides name no place for SVG.

The text is read once over in windows and never held whole; only the metadata is. A document type that declares anything is refused, since entities
could hide a label or grow without end; one that names a public identifier alone is passed over and never fetched, as many drawing programs write it.
Source: SVG 1.1 §21 (metadata); ISO 16684-1 (XMP).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from guiju.labelling.containers import xmp
from guiju.labelling.containers.source import PART_LIMIT_BYTES, Broken, Edit, Found, Site, Source
from guiju.labelling.containers.xml_part import parse

NAME: Final = "SVG"
_SVG: Final = "http://www.w3.org/2000/svg"
_C2PA: Final = "http://c2pa.org/manifest"
_STEP_BYTES: Final = 64 * 1024
_TAG_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""A tag with its attributes (a picture within the drawing); longer ones are refused."""
_DEPTH_LIMIT: Final = 1000
_METADATA_LIMIT: Final = 100
_PREFIXES_LIMIT: Final = 256
_ENCODINGS: Final = {"utf-8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "iso-8859-1"}
_ROOT: Final = re.compile(
    r"\ufeff?\s*(?:<\?[^>]*+>\s*|<!--(?:[^-]|-(?!->))*+-->\s*|<!DOCTYPE[^>\[]*+(?:\[[^\]]*+\]\s*)?>\s*)*+<(?:[\w.-]+:)?svg[\s/>]",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Drawing:
    """What matters of a drawing: its encoding, the metadata of its root, other metadata, and where the root ends."""

    encoding: str = "utf-8"
    metadata: list[tuple[int, int, dict[str, str]]] = field(default_factory=list)
    """Where an element begins and ends, and the namespaces that it stands in."""
    own: int = -1
    """Which of them is a child of the root."""
    end: int = 0
    """Where the end of the root begins: `</svg>`, or `/>`."""
    closed: bool = False
    """Whether the root is one empty tag."""
    name: str = ""
    """The root's name with its prefix."""
    manifest: bool = False
    """Whether a C2PA manifest stands in it."""


@dataclass(frozen=True, slots=True)
class _Metadata:
    """One element `metadata` in UTF-8, with what stands in it; places count from `skip` on."""

    start: int
    stop: int
    text: bytes
    packet: bytes
    skip: int
    found: xmp.Packet


def sniff(head: bytes) -> bool:
    """Tell whether the root of a text is `svg`; behind comments and a document type, in UTF-8 or UTF-16."""
    return _ROOT.match(head.decode(_wide(head) or "utf-8", "replace")) is not None


def examine(source: Source) -> Found:
    """Read the text once, and the metadata whole. Raises Broken when it is no well-formed XML or its root is no drawing."""
    drawing = _Reader(source).run()
    parts = [_metadata(source, drawing.encoding, *each) for each in drawing.metadata]
    sites = [Site("svg:XMP", part.start, part.stop, text) for part in parts for text in part.found.texts]
    traces = [trace for part in parts for trace in part.found.traces] + ["c2pa"] * drawing.manifest
    notes = [note for part in parts for note in part.found.notes]

    def place(inner: str) -> list[Edit]:
        edits: list[Edit] = []
        for index, part in enumerate(parts):
            if index == drawing.own:
                edits.append(_edit(part, _with_label(part, inner), drawing.encoding))
            elif part.found.spans:
                edits.append(_edit(part, _inside(part, xmp.without_label(part.packet, part.found)), drawing.encoding))
        if drawing.own < 0:
            new = f'<metadata xmlns="{_SVG}">'.encode() + xmp.tree_xml(inner) + b"</metadata>"
            edits.append(_appended(drawing, new))
        return edits

    return Found(tuple(sites), tuple(traces), place, tuple(notes))


def _wide(head: bytes) -> str:
    """Return the encoding of a text in UTF-16; nothing for another one."""
    if head[:2] in (b"\xff\xfe", b"<\0"):
        return "utf-16-le"
    return "utf-16-be" if head[:2] in (b"\xfe\xff", b"\0<") else ""


class _Reader:
    """One pass of expat over a drawing, window by window."""

    def __init__(self, source: Source) -> None:
        self._source, self._found = source, _Drawing(encoding=_wide(source.head(2)) or "utf-8")
        self._depth, self._inside, self._start, self._root = 0, 0, 0, 0
        self._spaces: dict[str, list[str]] = {}
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.namespace_prefixes = True
        parser.StartElementHandler = self._open
        parser.EndElementHandler = self._close
        parser.StartNamespaceDeclHandler = lambda prefix, uri: self._spaces.setdefault(prefix or "", []).append(uri or "")
        parser.EndNamespaceDeclHandler = lambda prefix: self._spaces[prefix or ""].pop()
        parser.StartDoctypeDeclHandler = self._doctype
        parser.SkippedEntityHandler = self._skipped
        parser.XmlDeclHandler = self._declared

    def run(self) -> _Drawing:
        """Read to the end. Raises Broken."""
        try:
            parse(self._parser, self._pieces())
        except expat.ExpatError as error:
            raise Broken(f"it is no well-formed XML: {expat.ErrorString(error.code)}", max(self._parser.ErrorByteIndex, 0)) from error
        except ValueError as error:
            raise Broken(f"it {error}", max(self._parser.CurrentByteIndex, 0)) from error
        return self._found

    def _pieces(self) -> Iterator[bytes]:
        source = self._source
        for at in range(0, source.size, _STEP_BYTES):
            if at - (begun := max(self._parser.CurrentByteIndex, 0)) > _TAG_LIMIT_BYTES:
                raise Broken("a tag or a comment is longer than what is examined", begun)
            yield source.read(at, min(_STEP_BYTES, source.size - at))

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is None or self._found.encoding != "utf-8":
            return
        if encoding.lower() not in _ENCODINGS:
            raise Broken(f"it is in {encoding[:40]}, which is not read here", 0)
        self._found.encoding = _ENCODINGS[encoding.lower()]

    def _doctype(self, _name: str, _system: str | None, _public: str | None, declares: int) -> None:
        if declares:
            raise Broken("its document type declares something", max(self._parser.CurrentByteIndex, 0))

    def _skipped(self, name: str, _is_parameter: int) -> None:
        raise Broken(f"it uses &{name[:40]};, which nothing declares", max(self._parser.CurrentByteIndex, 0))

    def _open(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise Broken("its elements stand in one another too deep", self._parser.CurrentByteIndex)
        space, local, prefix = [*name.split(" "), "", ""][:3] if " " in name else ("", name, "")
        if self._depth == 1:
            if (space, local) != (_SVG, "svg"):
                raise Broken("its root is no drawing", self._parser.CurrentByteIndex)
            self._found.name = f"{prefix}:svg" if prefix else "svg"
            self._root = self._parser.CurrentByteIndex
        elif space == _C2PA:
            self._found.manifest = True
        elif not self._inside and (space, local) == (_SVG, "metadata"):
            self._inside, self._start = self._depth, self._parser.CurrentByteIndex

    def _close(self, _name: str) -> None:
        at = self._parser.CurrentByteIndex
        if self._inside == self._depth:
            self._inside = 0
            spaces = {prefix: uris[-1] for prefix, uris in self._spaces.items() if uris and prefix != "xml"}
            if self._depth == 2 and self._found.own < 0:
                self._found.own = len(self._found.metadata)
            stop = at if self._is_empty(self._start, at) else self._tag_end(at)
            self._found.metadata.append((self._start, stop, spaces))
            if len(self._found.metadata) > _METADATA_LIMIT or len(spaces) > _PREFIXES_LIMIT:
                raise Broken("there are too many elements metadata, or too many namespaces around one", at)
        elif self._depth == 1:
            self._found.closed = self._is_empty(self._root, at)
            self._found.end = at - self._wide * 2 if self._found.closed else at
        self._depth -= 1

    @property
    def _wide(self) -> int:
        return 2 if self._found.encoding.startswith("utf-16") else 1

    def _is_empty(self, start: int, at: int) -> bool:
        """Tell whether the element that began at `start` is one empty tag: expat tells its end behind the tag, and that of another before `</`."""
        mark = "/>".encode(self._found.encoding)
        return self._source.read(at - len(mark), len(mark)) == mark and self._tag_end(start) == at

    def _tag_end(self, at: int) -> int:
        """Return where the tag ends that begins here; quoted values may hold a `>`."""
        source, mark, quote = self._source, ">".encode(self._found.encoding), b""
        step, stop = self._wide, min(self._source.size, at + _TAG_LIMIT_BYTES)
        while at < stop:
            piece = source.read(at, min(65_536, stop - at))
            for index in range(0, len(piece) - step + 1, step):
                one = piece[index : index + step]
                plain = one.strip(b"\0")
                if quote:
                    quote = b"" if plain == quote else quote
                elif plain in (b'"', b"'"):
                    quote = plain
                elif one == mark:
                    return at + index + step
            at += len(piece) - len(piece) % step
        raise Broken("a tag is longer than what is examined", at)


def _metadata(source: Source, encoding: str, start: int, stop: int, spaces: dict[str, str]) -> _Metadata:
    """Read an element on its own, in the namespaces that it stands in."""
    if stop - start > PART_LIMIT_BYTES:
        raise Broken("the metadata is longer than what is examined", start)
    text = source.held(source.read(start, stop - start), start).decode(encoding).encode()
    declared = "".join(f" xmlns{':' + prefix if prefix else ''}={quoteattr(uri)}" for prefix, uri in spaces.items())
    head = f"<around{declared}>".encode()
    packet = head + text + b"</around>"
    return _Metadata(start, stop, text, packet, len(head), xmp.examine(packet, start))


def _inside(part: _Metadata, packet: bytes) -> bytes:
    return packet[part.skip : len(packet) - len(b"</around>")]


def _with_label(part: _Metadata, inner: str) -> bytes:
    """Return the element with this label alone: in the place of the old one, in its RDF, or with an RDF of its own."""
    if part.found.rdf_end >= 0 or any(part.packet[start : start + 1] == b"<" for start, _ in part.found.spans):
        return _inside(part, xmp.with_label(part.packet, part.found, inner))
    text = _inside(part, xmp.without_label(part.packet, part.found))
    if text.endswith(b"/>"):
        name = re.match(rb"<([^\s/>]+)", text)
        if name is None:
            raise Broken("the metadata has no name", part.start)
        return text[:-2] + b">" + xmp.tree_xml(inner) + b"</" + name[1] + b">"
    end = text.rindex(b"</")
    return text[:end] + xmp.tree_xml(inner) + text[end:]


def _edit(part: _Metadata, new: bytes, encoding: str) -> Edit:
    return Edit(part.start, part.stop, new.decode().encode(encoding, "xmlcharrefreplace"))


def _appended(drawing: _Drawing, new: bytes) -> Edit:
    """Return the edit that puts an element last in the root; an empty root is opened for it."""
    if not drawing.closed:
        return Edit(drawing.end, drawing.end, new.decode().encode(drawing.encoding))
    opened = f">{new.decode()}</{drawing.name}>".encode(drawing.encoding)
    return Edit(drawing.end, drawing.end + len("/>".encode(drawing.encoding)), opened)
