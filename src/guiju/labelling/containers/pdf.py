"""PDF: the label is the entry `AIGC` of the document information dictionary, added as a new revision behind the old file.

The bytes of the original all stay: a label that was there before is in force no more, and can still be found in the earlier revision.
Read as well: the property in the document's XMP packet; a written label leaves that without one. Encrypted files are not read,
certified ones not written.
Source: TC260-PG-20258A §6.3 (text file guide); ISO 32000-1:2008 §7.5.6 (incremental updates), §14.3.3, §12.8.2.2 (DocMDP).
"""

import hashlib
from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES
from guiju.labelling.containers import xmp
from guiju.labelling.containers.pdf_file import Found as Object
from guiju.labelling.containers.pdf_file import PdfFile
from guiju.labelling.containers.pdf_objects import Dictionary, Item, Literal, Name, Reference, Value, string_of, text_of
from guiju.labelling.containers.source import Broken, Edit, Found, NoRoom, Sealed, Site, Source

NAME: Final = "PDF"
_KEY: Final = b"AIGC"
_OWN: Final = frozenset({b"Size", b"Prev", b"XRefStm", b"Info", b"ID"})
_OF_STREAMS: Final = frozenset({b"Type", b"W", b"Index", b"Length", b"Filter", b"DecodeParms", b"F", b"FFilter", b"FDecodeParms", b"DL"})
_TABLE_LIMIT: Final = 9_999_999_999
_SIGNED: Final = (
    "signed: the document is signed; a label stands behind what the signature covers, and readers will say that something was added"
)


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as a PDF."""
    return head.startswith(b"%PDF-")


def examine(source: Source) -> Found:
    """Read the cross-references, the document information and the document's XMP packet. Raises Broken."""
    pdf = PdfFile(source)
    if pdf.trailer.get(b"Encrypt") is not None:
        raise Broken("the PDF is encrypted; what it says of itself cannot be read", pdf.newest.at)
    catalog = pdf.dictionary(pdf.trailer.get(b"Root"))
    if catalog is None:
        raise Broken("the PDF has no catalog", pdf.newest.at)
    sites: list[Site] = []
    info = _information(pdf)
    if info and isinstance(info.value, Dictionary):
        sites += [_site(pdf, info, info.value.entries[key]) for key in _keys(info.value)]
    metadata, packet, text = _packet(pdf, catalog)
    if metadata and packet:
        sites += [Site("pdf:XMP", metadata.at, metadata.stream_at, each) for each in packet.texts]
    traces = [*(packet.traces if packet else ()), *_credentials(pdf, catalog)]
    certified, signed = _signatures(pdf, catalog)

    def place(inner: str) -> list[Edit]:
        if certified:
            raise Sealed
        update = _Update(pdf, inner)
        update.information(info)
        if metadata and packet and packet.texts:
            update.metadata(catalog.get(b"Metadata"), metadata, xmp.without_label(text, packet))
        return [Edit(source.size, source.size, update.written())]

    notes = [*(packet.notes if packet else ()), *([_SIGNED] if signed else [])]
    if certified:
        notes.append("certified: the document's author allows no such change, so no label is written into it")
    return Found(tuple(sites), tuple(traces), place, tuple(notes))


def _information(pdf: PdfFile) -> Object | None:
    """Return the document information dictionary, None when there is none. Raises Broken when it is something else."""
    told = pdf.trailer.get(b"Info")
    if isinstance(told, Dictionary):
        return Object(told, pdf.newest.raw, pdf.newest.at)
    found = pdf.resolved(told)
    if found is not None and not isinstance(found.value, Dictionary) and found.value != Literal(b"null", word=True):
        raise Broken("the document information of the PDF is no dictionary", found.at)
    return found if found and isinstance(found.value, Dictionary) else None


def _keys(entries: Dictionary) -> frozenset[bytes]:
    """Return the keys of a dictionary that are AIGC, in whatever case."""
    return frozenset(key for key in entries.entries if key.upper() == _KEY)


def _site(pdf: PdfFile, info: Object, item: Item) -> Site:
    value = pdf.resolved(item.value)
    text = "\ufffd"  # something that is no string: a label that is none
    if value and isinstance(value.value, Literal) and not value.value.word:
        if len(value.value.data) > 2 * VALUE_LIMIT_BYTES:
            raise Broken("an entry AIGC is longer than any label", info.at)
        text = text_of(value.value.data).strip()
    base = info.raw_at
    return Site("pdf:Info AIGC", *((base + item.start, base + item.stop) if base >= 0 else (info.at, info.at)), text)


def _packet(pdf: PdfFile, catalog: Dictionary) -> tuple[Object | None, xmp.Packet | None, bytes]:
    found = pdf.resolved(catalog.get(b"Metadata"))
    if found is None or found.stream_at < 0:
        if found is not None and found.value != Literal(b"null", word=True):
            raise Broken("the PDF's metadata are no stream", found.at)
        return None, None, b""
    text = pdf.stream(found)
    return found, xmp.examine(text, found.at), text


def _credentials(pdf: PdfFile, catalog: Dictionary) -> list[str]:
    listed = pdf.resolved(catalog.get(b"AF"))
    files = listed.value if listed and isinstance(listed.value, list) else []
    related = [pdf.dictionary(each.value) for each in files[:64]]
    return ["c2pa"] if any(each and each.get(b"AFRelationship") == Name(b"C2PA_Manifest") for each in related) else []


def _signatures(pdf: PdfFile, catalog: Dictionary) -> tuple[bool, bool]:
    """Return whether the author certified the document, and whether anybody signed it."""
    permissions = pdf.dictionary(catalog.get(b"Perms"))
    form = pdf.dictionary(catalog.get(b"AcroForm"))
    flags = pdf.resolved(form.get(b"SigFlags")) if form else None
    signed = bool(flags and isinstance(flags.value, int) and flags.value & 1)
    certified = bool(permissions and permissions.get(b"DocMDP") is not None)
    return certified, signed or bool(permissions and permissions.entries)


class _Update:
    """One revision: the objects that change, and the cross-references that lead to them, of the same build as the newest."""

    def __init__(self, pdf: PdfFile, inner: str) -> None:
        self._pdf = pdf
        self._inner = inner
        size = pdf.source.size
        behind = pdf.source.read(size - 1, 1)
        self._out = bytearray(b"" if behind in (b"\n", b"\r") else b"\n")
        self._places: dict[Reference, int] = {}
        sizes = [section.trailer.get(b"Size") for section in pdf.sections]
        if not all(isinstance(each, int) and 0 < each <= 8_388_607 for each in sizes):
            raise Broken("the PDF does not say how many objects it has", pdf.newest.at)
        self._next = max(each for each in sizes if isinstance(each, int))
        self._info = Reference(0, 0)

    def information(self, old: Object | None) -> None:
        """Write the document information with the label as its last entry."""
        told = self._pdf.trailer.get(b"Info")
        entry = b"/AIGC " + string_of(self._inner) + b">>"
        if old is None or not isinstance(old.value, Dictionary):
            body = b"<<" + entry
        else:
            body = _without(old.raw, old.value, _keys(old.value)) + b" " + entry
        self._info = told if isinstance(told, Reference) and old is not None else self._new()
        self._object(self._info, body)

    def metadata(self, told: Value | None, old: Object, packet: bytes) -> None:
        """Write the document's XMP packet anew, as it lies."""
        assert isinstance(old.value, Dictionary)
        if not isinstance(told, Reference):
            raise Broken("the PDF's metadata are no object of their own", old.at)
        facts = _without(old.raw, old.value, frozenset({b"Length", b"Filter", b"DecodeParms"}))
        self._object(told, facts + b"/Length %d>>\nstream\n" % len(packet) + packet + b"\nendstream")

    def written(self) -> bytes:
        """Return the whole revision."""
        pdf = self._pdf
        facts = _without(pdf.newest.raw, pdf.trailer, _OWN | (_OF_STREAMS if pdf.newest.is_stream else frozenset()))
        facts += b" /Info %d %d R /Prev %d%s" % (self._info.number, self._info.generation, pdf.start, self._identifiers())
        at = pdf.source.size + len(self._out)
        if pdf.newest.is_stream:
            own = self._new()
            self._places[own] = at
            rows = sorted(self._places.items(), key=lambda each: each[0].number)
            wide = (at.bit_length() + 7) // 8
            table = b"".join(b"\1" + place.to_bytes(wide, "big") + key.generation.to_bytes(2, "big") for key, place in rows)
            index = b" ".join(b"%d 1" % key.number for key, _ in rows)
            facts += b" /Type /XRef /Size %d /W [1 %d 2] /Index [%s] /Length %d>>" % (self._next, wide, index, len(table))
            self._out += b"%d 0 obj\n" % own.number + facts + b"\nstream\n" + table + b"\nendstream\nendobj\n"
        else:
            self._out += b"xref\n"
            for key, place in sorted(self._places.items(), key=lambda each: each[0].number):
                if place > _TABLE_LIMIT:
                    raise NoRoom("its cross-reference table ends at ten digits")
                self._out += b"%d 1\n%010d %05d n \n" % (key.number, place, key.generation)
            self._out += b"trailer\n" + facts + b" /Size %d>>\n" % self._next
        self._out += b"startxref\n%d\n%%%%EOF\n" % at
        return bytes(self._out)

    def _new(self) -> Reference:
        self._next += 1
        return Reference(self._next - 1, 0)

    def _object(self, reference: Reference, body: bytes) -> None:
        self._places[reference] = self._pdf.source.size + len(self._out)
        self._out += b"%d %d obj\n" % (reference.number, reference.generation) + body + b"\nendobj\n"

    def _identifiers(self) -> bytes:
        """Return the file's two identifiers, the second changed as every revision does."""
        found = self._pdf.resolved(self._pdf.trailer.get(b"ID"))
        values = [each.value for each in found.value] if found and isinstance(found.value, list) else []
        if len(values) != 2 or not all(isinstance(each, Literal) and len(each.data) <= 256 for each in values):
            return b""
        first, second = (each.data for each in values if isinstance(each, Literal))
        changed = hashlib.sha256(second + self._inner.encode()).digest()[:16]
        return b" /ID [<%s> <%s>]" % (first.hex().encode(), changed.hex().encode())


def _without(raw: bytes, entries: Dictionary, keys: frozenset[bytes]) -> bytes:
    """Return a dictionary as it is written, without these entries and without its end."""
    out, at = b"", entries.start
    for key, item in entries.entries.items():
        if key in keys:
            out, at = out + raw[at : item.start], item.stop
    return out + raw[at : entries.inner_stop]
