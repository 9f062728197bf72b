"""EPUB 2 and 3: the label is `<meta name="AIGC" content="…">` in the metadata of the package document.

The place is guiju's choice; the guide's own for this form was not read. Read as well: a property `AIGC` with the label as text.
Source: TC260-PG-20258A (text file guide); EPUB 3.3 §3.4 and §4.2 (OCF, container.xml), EPUB 2.0.1 OPF §2.2.
"""

import posixpath
from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES
from guiju.labelling.containers import xml_part
from guiju.labelling.containers.source import Broken, Edit, Found, Sealed, Site, Source
from guiju.labelling.containers.xml_part import Element, text_xml
from guiju.labelling.containers.zipped import Archive

NAME: Final = "EPUB"
_CONTAINER: Final = b"META-INF/container.xml"
_OPF: Final = "http://www.idpf.org/2007/opf"
_PACKAGES_LIMIT: Final = 16


def form_of(archive: Archive) -> str | None:
    """Return EPUB when the archive's media type is that of EPUB."""
    return NAME if (archive.text(b"mimetype") or b"").strip() == b"application/epub+zip" else None


def examine(source: Source) -> Found:
    """Read the container's list and every package document that it names. Raises Broken."""
    archive = Archive(source)
    sites: list[Site] = []
    packages: list[tuple[bytes, bytes, list[Element]]] = []
    for name in _package_names(archive):
        text = archive.text(name)
        if text is None:
            raise Broken("the book names a package document that it does not hold")
        entry = archive.entries[name]
        found = xml_part.elements(text, ("metadata", "meta"), "the package document", entry.at)
        labels = [each for each in found if each.local == "meta" and _is_label(each)]
        if any(len(_value(each)) > VALUE_LIMIT_BYTES for each in labels):
            raise Broken("a label is longer than any may be", entry.at)
        sites += [Site("epub:meta AIGC", entry.at, entry.stop, _value(each)) for each in labels]
        packages.append((name, text, labels))
    signed = b"META-INF/signatures.xml" in archive.entries

    def place(inner: str) -> list[Edit]:
        if signed:
            raise Sealed
        changes = {name: xml_part.without(text, labels) for name, text, labels in packages if labels}
        name, text, _ = packages[0]
        rest = changes.get(name, text)
        at = archive.entries[name].at
        metadata = next((each for each in xml_part.elements(rest, ("metadata",), "the package document", at) if each.space == _OPF), None)
        if metadata is None:
            raise Broken("the package document has no metadata", at)
        changes[name] = xml_part.appended(rest, metadata, f'<meta xmlns="{_OPF}" name="AIGC" content="{text_xml(inner)}"/>'.encode())
        return archive.edits(changes)

    warnings = ("signed: the book is signed, so no label is written into it",) if signed else ()
    return Found(tuple(sites), ("c2pa",) if b"META-INF/content_credential.c2pa" in archive.entries else (), place, warnings)


def _package_names(archive: Archive) -> list[bytes]:
    text = archive.text(_CONTAINER)
    if text is None:
        raise Broken("the book has no META-INF/container.xml")
    listed = xml_part.elements(text, ("rootfile",), "META-INF/container.xml", archive.entries[_CONTAINER].at)
    names = [
        posixpath.normpath(each.attributes.get("full-path", "")).encode()
        for each in listed
        if each.attributes.get("media-type") == "application/oebps-package+xml"
    ]
    if not names or len(names) > _PACKAGES_LIMIT:
        raise Broken("the book names no package document, or too many", archive.entries[_CONTAINER].at)
    return list(dict.fromkeys(names))


def _is_label(meta: Element) -> bool:
    name = meta.attributes.get("name") or meta.attributes.get("property", "").rpartition(":")[2]
    return name.lower() == "aigc"


def _value(meta: Element) -> str:
    return meta.attributes.get("content", meta.text).strip()
