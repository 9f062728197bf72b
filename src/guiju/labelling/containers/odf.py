"""OpenDocument (ODT, ODS, ODP and the others): the label is the user-defined field `AIGC` in `meta.xml`.

The place is guiju's choice; the guide's own for this form was not read. Signed and encrypted documents are not written.
Source: TC260-PG-20258A (text file guide); OASIS OpenDocument 1.3, part 2 §3.1 and part 3 §4.3.
"""

from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES
from guiju.labelling.containers import xml_part
from guiju.labelling.containers.source import Broken, Edit, Found, Sealed, Site, Source
from guiju.labelling.containers.xml_part import Element, text_xml
from guiju.labelling.containers.zipped import Archive

NAME: Final = "ODF"
_MEDIA: Final = b"application/vnd.oasis.opendocument."
_META: Final = b"meta.xml"
_MANIFEST: Final = b"META-INF/manifest.xml"
_OFFICE: Final = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
_SPACE: Final = "urn:oasis:names:tc:opendocument:xmlns:meta:1.0"
_LISTS: Final = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"


def form_of(archive: Archive) -> str | None:
    """Return ODF when the archive's media type is one of OpenDocument."""
    return NAME if (archive.text(b"mimetype") or b"").startswith(_MEDIA) else None


def examine(source: Source) -> Found:
    """Read the manifest and the document's own fields. Raises Broken."""
    archive = Archive(source)
    manifest = archive.text(_MANIFEST)
    if manifest is None:
        raise Broken("the document has no manifest")
    listed = xml_part.elements(
        manifest,
        ("manifest", "file-entry", "encryption-data", "encrypted-key"),
        "the manifest",
        archive.entries[_MANIFEST].at,
        spaces=False,
    )
    if any(each.local.startswith("encrypt") for each in listed):
        raise Broken("the document is encrypted", archive.entries[_MANIFEST].at)
    text = archive.text(_META)
    at = archive.entries[_META].at if text is not None else 0
    found = _fields(text, at) if text is not None else []
    labels = [each for each in found if each.local == "user-defined" and _name(each).upper() == "AIGC"]
    if any(len(each.text) > VALUE_LIMIT_BYTES for each in labels):
        raise Broken("a field AIGC is longer than any label", at)
    sites = tuple(Site("odf:meta.xml AIGC", at, archive.entries[_META].stop, each.text.strip()) for each in labels)
    signed = any(each.startswith(b"META-INF/") and b"signatures" in each for each in archive.entries)

    def place(inner: str) -> list[Edit]:
        if signed:
            raise Sealed
        field = f'<meta:user-defined xmlns:meta="{_SPACE}" meta:name="AIGC">{text_xml(inner)}</meta:user-defined>'.encode()
        if text is None:
            return archive.edits({_META: _new_meta(field), _MANIFEST: _announced(manifest, listed)})
        rest = xml_part.without(text, labels)
        meta = next((each for each in _fields(rest, at) if each.local == "meta" and each.space == _OFFICE), None)
        if meta is None:
            raise Broken("meta.xml has no place for a field", at)
        return archive.edits({_META: xml_part.appended(rest, meta, field)})

    warnings = ("signed: the document is signed, so no label is written into it",) if signed else ()
    return Found(sites, ("c2pa",) if b"META-INF/content_credential.c2pa" in archive.entries else (), place, warnings)


def _fields(text: bytes, at: int) -> list[Element]:
    return xml_part.elements(text, ("meta", "user-defined"), "meta.xml", at)


def _name(field: Element) -> str:
    return field.attributes.get(f"{_SPACE} name", "") if field.space == _SPACE else ""


def _new_meta(field: bytes) -> bytes:
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document-meta xmlns:office="{_OFFICE}" office:version="1.2"><office:meta>'
    return head.encode() + field + b"</office:meta></office:document-meta>"


def _announced(manifest: bytes, listed: list[Element]) -> bytes:
    if not listed or listed[0].local != "manifest":
        raise Broken("the manifest is none")
    if any(value == _META.decode() and name.endswith("full-path") for each in listed for name, value in each.attributes.items()):
        return manifest
    entry = f'<m:file-entry xmlns:m="{_LISTS}" m:full-path="{_META.decode()}" m:media-type="text/xml"/>'
    return xml_part.appended(manifest, listed[0], entry.encode())
