"""DOCX, XLSX, PPTX, their templates and forms with macros: the label is the custom property `AIGC` in `docProps/custom.xml`.

A document without custom properties gets the part, its content type and its relationship. Signed packages are read and not
written: a label comes before a signature.
Source: TC260-PG-20258A §6.1 (text file guide); ISO/IEC 29500-2 (packages), -1 §22.3 (custom properties).
"""

import posixpath
import re
from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES
from guiju.labelling.containers import xml_part
from guiju.labelling.containers.source import Broken, Edit, Found, Sealed, Site, Source
from guiju.labelling.containers.xml_part import Element, text_xml
from guiju.labelling.containers.zipped import Archive

CUSTOM: Final = b"docProps/custom.xml"
TYPES: Final = b"[Content_Types].xml"
_ROOT_RELATIONSHIPS: Final = b"_rels/.rels"
_FMTID: Final = "{D5CDD505-2E9C-101B-9397-08002B2CF9AE}"
_MARKUP: Final = "http://schemas.openxmlformats.org/officeDocument/2006"
_STRICT: Final = "http://purl.oclc.org/ooxml/officeDocument"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_SIGNATURES: Final = f"{_PACKAGE}/relationships/digital-signature/origin"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.custom-properties+xml"
_KINDS: Final = (("wordprocessingml", "DOCX"), ("ms-word", "DOCX"), ("spreadsheetml", "XLSX"), ("ms-excel", "XLSX"), ("presentationml", "PPTX"), ("ms-powerpoint", "PPTX"))  # fmt: skip


def form_of(archive: Archive) -> str | None:
    """Return DOCX, XLSX or PPTX by the content type of the package's main part; None for another archive. Raises Broken."""
    types, relationships = archive.text(TYPES), archive.text(_ROOT_RELATIONSHIPS)
    if types is None or relationships is None:
        return None
    main = _target(_relationships(archive, relationships), ("officeDocument",))
    if main is None:
        return None
    found = xml_part.elements(types, ("Override", "Default"), "the list of content types", archive.entries[TYPES].at)
    kind = _content_type(found, main)
    return next((form for word, form in _KINDS if word in kind.lower()), None)


def examine(source: Source) -> Found:
    """Read the package's lists and its custom properties. Raises Broken."""
    archive = Archive(source)
    if len({name.lower() for name in archive.entries}) != len(archive.entries):
        raise Broken("two parts of the package have the same name")
    types, relationships = archive.text(TYPES), archive.text(_ROOT_RELATIONSHIPS)
    if types is None or relationships is None:
        raise Broken("the package lacks its list of content types or of relationships")
    listed = _relationships(archive, relationships)
    name = _target(listed, ("custom-properties", "customProperties"))
    related = name is not None
    name = name or CUSTOM
    sites: list[Site] = []
    parts: dict[bytes, tuple[bytes, list[Element]]] = {}
    for each in {name, CUSTOM}:
        if (text := archive.text(each)) is not None:
            labels = _labels(archive, each, text)
            parts[each] = (text, labels)
            entry = archive.entries[each]
            sites += [Site(f"ooxml:{each.decode('ascii', 'replace')} AIGC", entry.at, entry.stop, label.text.strip()) for label in labels]
    if related and name not in parts:
        raise Broken("the package names custom properties that it does not hold")
    signed = any(each.lower().startswith(b"_xmlsignatures/") for each in archive.entries) or any(
        each.attributes.get("Type") == _SIGNATURES for each in listed
    )
    traces = ("c2pa",) if b"META-INF/content_credential.c2pa" in archive.entries else ()

    def place(inner: str) -> list[Edit]:
        if signed:
            raise Sealed
        changes = {each: xml_part.without(text, labels) for each, (text, labels) in parts.items() if labels}
        strict = any(_STRICT in str(each.attributes.get("Type")) for each in listed)
        text = changes.get(name) or (parts[name][0] if name in parts else _properties(strict))
        changes[name] = _with_label(text, inner, archive.entries[name].at if name in parts else 0)
        if name not in parts or not related:
            changes |= _announced(archive, types, relationships, listed, strict)
        return archive.edits(changes)

    return Found(tuple(sites), traces, place, ("signed: the package is signed, so no label is written into it",) if signed else ())


def _relationships(archive: Archive, text: bytes) -> list[Element]:
    found = xml_part.elements(
        text, ("Relationship", "Relationships"), "the package's list of relationships", archive.entries[_ROOT_RELATIONSHIPS].at
    )
    if not found or found[0].local != "Relationships":
        raise Broken("the package's list of relationships is none", archive.entries[_ROOT_RELATIONSHIPS].at)
    return found


def _target(listed: list[Element], kinds: tuple[str, ...]) -> bytes | None:
    """Return the part that the one relationship of this kind names. Raises Broken when there are several."""
    wanted = {f"{space}/relationships/{kind}" for space in (_MARKUP, _STRICT) for kind in kinds}
    found = [each for each in listed if each.attributes.get("Type") in wanted and each.attributes.get("TargetMode") != "External"]
    if len(found) > 1:
        raise Broken(f"the package has {len(found)} relationships of the kind {kinds[0]}")
    if not found:
        return None
    path = posixpath.normpath("/" + found[0].attributes.get("Target", "")).lstrip("/")
    return path.encode("utf-8", "replace")


def _content_type(found: list[Element], name: bytes) -> str:
    part = "/" + name.decode("utf-8", "replace").lower()
    for each in found:
        if each.local == "Override" and each.attributes.get("PartName", "").lower() == part:
            return each.attributes.get("ContentType", "")
    ending = part.rpartition(".")[2]
    for each in found:
        if each.local == "Default" and each.attributes.get("Extension", "").lower() == ending:
            return each.attributes.get("ContentType", "")
    return ""


def _labels(archive: Archive, name: bytes, text: bytes) -> list[Element]:
    """Return the properties AIGC of a part; Office takes names without regard to case."""
    found = xml_part.elements(text, ("property",), "the part of custom properties", archive.entries[name].at)
    labels = [each for each in found if each.attributes.get("name", "").lower() == "aigc"]
    if any(len(each.text) > VALUE_LIMIT_BYTES for each in labels):
        raise Broken("a property AIGC is longer than any label", archive.entries[name].at)
    return labels


def _properties(strict: bool) -> bytes:
    space = f"{_STRICT}/customProperties" if strict else f"{_MARKUP}/custom-properties"
    types = f"{_STRICT}/docPropsVTypes" if strict else f"{_MARKUP}/docPropsVTypes"
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Properties xmlns="{space}" xmlns:vt="{types}"></Properties>'.encode()


def _with_label(text: bytes, inner: str, at: int) -> bytes:
    """Return the part with the label as its last property, under an identifier that no other has."""
    found = xml_part.elements(text, ("Properties", "property"), "the part of custom properties", at)
    if not found or found[0].local != "Properties":
        raise Broken("the part of custom properties is none", at)
    space = found[0].space
    types = space.rpartition("/")[0] + "/docPropsVTypes"
    used = [int(each.attributes["pid"]) for each in found[1:] if re.fullmatch(r"\d{1,9}", each.attributes.get("pid", ""))]
    new = (
        f'<property xmlns="{space}" fmtid="{_FMTID}" pid="{max([1, *used]) + 1}" name="AIGC">'
        f'<vt:lpwstr xmlns:vt="{types}">{text_xml(inner)}</vt:lpwstr></property>'
    )
    return xml_part.appended(text, found[0], new.encode())


def _announced(archive: Archive, types: bytes, relationships: bytes, listed: list[Element], strict: bool) -> dict[bytes, bytes]:
    """Return the two lists with the new part in them."""
    changes = {}
    found = xml_part.elements(types, ("Types", "Override", "Default"), "the list of content types", archive.entries[TYPES].at)
    if _content_type(found, CUSTOM) != _TYPE:
        override = f'<Override xmlns="{_PACKAGE}/content-types" PartName="/{CUSTOM.decode()}" ContentType="{_TYPE}"/>'
        changes[TYPES] = xml_part.appended(types, found[0], override.encode())
    used = {each.attributes.get("Id") for each in listed}
    number = next(f"rId{number}" for number in range(1, len(used) + 2) if f"rId{number}" not in used)
    kind = f"{_STRICT}/relationships/customProperties" if strict else f"{_MARKUP}/relationships/custom-properties"
    relationship = f'<Relationship xmlns="{_PACKAGE}/relationships" Id="{number}" Type="{kind}" Target="{CUSTOM.decode()}"/>'
    changes[_ROOT_RELATIONSHIPS] = xml_part.appended(relationships, listed[0], relationship.encode())
    return changes
