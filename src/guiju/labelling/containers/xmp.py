"""The label inside an XMP packet: the property `AIGC` of the namespace of TC260.

An existing packet keeps everything else byte for byte: the property is taken out and put in by place, the packet is never
written anew. Read are the element, the attribute, any prefix, and the seven keys as properties of their own. A packet with a
document type is refused: XMP has none, and entities are how small packets grow large.
Source: TC260-PG-20259A (image guide); ISO 16684-1.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape, unescape

from guiju.labelling.annex_e import KEYS
from guiju.labelling.containers.source import LABELS_LIMIT, PART_LIMIT_BYTES, Broken, NoRoom, may_hide_label
from guiju.labelling.containers.xml_part import element_stop, parse, pieces_of, tag_end

NAMESPACE: Final = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_SPACES: Final = frozenset({NAMESPACE, NAMESPACE.rstrip("/")})
_LOCAL: Final = frozenset({"AIGC", *KEYS})


@dataclass(slots=True)
class Packet:
    """What a packet holds: texts of labels, spans to take out for them, and where a new property may stand."""

    texts: list[str] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    rdf_end: int = -1
    """Where `</rdf:RDF>` begins."""
    about: str = ""
    notes: list[str] = field(default_factory=list)


def examine(packet: bytes, at: int) -> Packet:
    """Read a packet that lies at `at` of its file.

    One that is no well-formed XML is passed over with a note when no word of a label stands in it; it takes no label then.
    Raises Broken when one does, and when the packet is not in UTF-8, too long, or has a document type.
    """
    if len(packet) > PART_LIMIT_BYTES:
        raise Broken("an XMP packet is longer than what is examined", at)
    reader = _Reader(packet.rstrip(b"\0"))
    try:
        reader.run()
    except expat.ExpatError as error:
        reason = f"an XMP packet is no well-formed XML: {expat.ErrorString(error.code)}"
        if may_hide_label(packet) or b"<!DOCTYPE" in packet:
            raise Broken(reason, at) from error
        return Packet(notes=[f"xmp_broken: {reason}; no word of a label stands in it"])
    except ValueError as error:
        raise Broken(str(error), at) from error
    return reader.found


def property_xml(inner: str, about: str) -> bytes:
    """Return the description that carries the label, with its own namespaces."""
    subject = escape(about, {'"': "&quot;"})
    return (
        f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about="{subject}" xmlns:TC260="{NAMESPACE}">'
        f"<TC260:AIGC>{escape(inner)}</TC260:AIGC></rdf:Description>"
    ).encode()


def tree_xml(inner: str) -> bytes:
    """Return the tree around the property, without the packet's wrapping."""
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="'
        + _RDF.encode()
        + b'">'
        + property_xml(inner, "")
        + b"</rdf:RDF></x:xmpmeta>"
    )


def new_packet(inner: str, padding: int = 0) -> bytes:
    """Return a packet that holds the label alone, with so many bytes of room for what others may add."""
    return '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode() + tree_xml(inner) + b" " * padding + b'<?xpacket end="w"?>'


def with_label(packet: bytes, found: Packet, inner: str, limit: int = PART_LIMIT_BYTES) -> bytes:
    """Return the packet with this label alone; where it would grow over `limit` bytes, of its padding only so much as is needed goes."""
    element = next((start for start, _ in found.spans if packet[start : start + 1] == b"<"), -1)
    if element >= 0:  # the new property takes the place of the old one
        new = f'<TC260:AIGC xmlns:TC260="{NAMESPACE}">{escape(inner)}</TC260:AIGC>'.encode()
        edited = _cut(packet, found.spans, element, new)
    elif found.rdf_end >= 0:
        edited = _cut(packet, found.spans, found.rdf_end, property_xml(inner, found.about))
    else:
        raise NoRoom("its XMP packet has no RDF that could take a property")
    end = edited.rfind(b"<?xpacket end=")
    if len(edited) > limit and end >= 0:
        over = len(edited) - limit
        padding = end - len(edited[:end].rstrip())
        edited = edited[: end - min(over, padding)] + edited[end:]
    return edited


def without_label(packet: bytes, found: Packet) -> bytes:
    """Return the packet without any label."""
    return _cut(packet, found.spans)


def _cut(packet: bytes, spans: list[tuple[int, int]], insert_at: int = -1, new: bytes = b"") -> bytes:
    parts, at = [], 0
    for start, stop in sorted([*spans, *([(insert_at, insert_at)] if insert_at >= 0 else [])]):
        parts.append(packet[at:start])
        if start == stop:
            parts.append(new)
        at = max(at, stop)
    return b"".join([*parts, packet[at:]])


class _Reader:
    """One pass of expat over a packet."""

    def __init__(self, packet: bytes) -> None:
        self.found = Packet()
        self._packet = packet
        self._stack: list[tuple[str, str, int]] = []
        self._text: list[str] | None = None
        self._text_depth = 0
        self._keys: dict[str, str] = {}
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        parser.XmlDeclHandler = self._declared

    def run(self) -> None:
        if self._packet[:2] in (b"\xff\xfe", b"\xfe\xff") or self._packet[:1] == b"\0" or self._packet[1:2] == b"\0":
            raise ValueError("an XMP packet is not in UTF-8")
        parse(self._parser, pieces_of(self._packet))
        if self._keys:
            self.found.texts.append(json.dumps(self._keys, ensure_ascii=False))

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding and encoding.lower() not in ("utf-8", "us-ascii", "ascii"):
            raise ValueError(f"an XMP packet is in {encoding}, not in UTF-8")

    def _doctype(self, *_facts: object) -> None:
        raise ValueError("an XMP packet has a document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        at = self._parser.CurrentByteIndex
        self._stack.append((space, local, at))
        if local == "Description" and not self.found.about:
            self.found.about = attributes.get(f"{_RDF} about", "")
        for key, value in attributes.items():
            self._attribute(key, value, at)
        if (space in _SPACES and local in _LOCAL) or local == "DigitalSourceType":
            if self._text is None:
                self._text, self._text_depth = [], len(self._stack)
                self._text += [attributes[key] for key in (f"{_RDF} value", f"{_RDF} resource") if key in attributes]
            if local == "DigitalSourceType":
                for value in attributes.values():
                    self._text.append(value)

    def _attribute(self, key: str, value: str, at: int) -> None:
        space, _, local = key.rpartition(" ")
        if local == "DigitalSourceType":
            self._trace(value)
        if space not in _SPACES or local not in _LOCAL:
            return
        self._take(local, value)
        tag = self._packet[at : tag_end(self._packet, at)]
        for match in re.finditer(rb"(?<=[\s\"'])[^\s=<>\"'/:]++:" + local.encode() + rb"\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", tag):
            shown = (match[1] if match[1] is not None else match[2]).decode("utf-8", "replace")
            if _same(shown, value) and (at + match.start(), at + match.end()) not in self.found.spans:
                self.found.spans.append((at + match.start(), at + match.end()))
                return
        raise ValueError("a label in an XMP attribute could not be located")

    def _end(self, name: str) -> None:
        space, local, start = self._stack.pop()
        at = self._parser.CurrentByteIndex
        if space == _RDF and local == "RDF" and self.found.rdf_end < 0 and element_stop(self._packet, start, at) != at:
            self.found.rdf_end = at
        if self._text is None or len(self._stack) + 1 != self._text_depth:
            return
        text, self._text = "".join(self._text).strip(), None
        if local == "DigitalSourceType":
            self._trace(text)
            return
        self._take(local, text)
        self.found.spans.append((start, element_stop(self._packet, start, at)))

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _take(self, local: str, value: str) -> None:
        if len(self.found.texts) == LABELS_LIMIT:
            raise ValueError(f"an XMP packet has more than {LABELS_LIMIT} labels")
        if local == "AIGC":
            self.found.texts.append(value)
        elif local in self._keys:
            self.found.texts.append(json.dumps({local: value}))  # the key a second time: a second label, and one too many
        else:
            self._keys[local] = value

    def _trace(self, value: str) -> None:
        if value.lower().endswith("trainedalgorithmicmedia"):
            self.found.traces.append("iptc:DigitalSourceType")


def _same(shown: str, value: str) -> bool:
    """Compare an attribute as it is written with its value as it is read, white space aside."""
    plain = unescape(shown, {"&quot;": '"', "&apos;": "'"})
    plain = re.sub(r"&#(x?)([0-9a-fA-F]{1,6});", lambda hit: chr(int(hit[2], 16 if hit[1] else 10) % 0x110000), plain)
    return "".join(plain.split()) == "".join(value.split())
