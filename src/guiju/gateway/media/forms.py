"""A form with files (`multipart/form-data`): read once, and written anew for the upstream, so that it gets what was examined and nothing else.

Source: RFC 7578, RFC 2046 §5.1.
"""

import re
import secrets
from typing import Any, Final, NamedTuple

from guiju.core.errors import GuijuError
from guiju.gateway import errors
from guiju.gateway.call import field_invalid

PARTS_AT_MOST: Final = 64
_HEAD_BYTES: Final = 4096
_BOUNDARY: Final = re.compile(
    rb"multipart/form-data\s*;(?:[^\"]*;)?\s*boundary=(?:\"([^\"\r\n]{1,200})\"|([0-9A-Za-z'()+_,./:=?-]{1,200}))\s*(?:;.*)?", re.IGNORECASE
)
_PARAMETER: Final = re.compile(rb";\s*(name|filename)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;\s\"]+))", re.IGNORECASE)
_TYPE: Final = re.compile(rb"[\w.+-]+/[\w.+-]+(?:\s*;\s*[\w-]+=[\w.+-]+)*")


class Part(NamedTuple):
    """One field: its name, its value, and for a file its name and type."""

    name: str
    value: bytes
    filename: str | None = None
    content_type: str = ""


def boundary_of(content_type: bytes) -> bytes | None:
    """Return the boundary that a content type names; None when it is no form with files."""
    found = _BOUNDARY.fullmatch(content_type.strip())
    return (found[1] or found[2]) if found else None


def read_form(body: bytes, boundary: bytes) -> list[Part]:
    """Return the fields in their order. Raises BODY-NOT-FORM for anything that is not exactly such a form."""
    delimiter = b"\r\n--" + boundary
    start = body.find(b"--" + boundary)
    if start < 0 or (start and body[start - 2 : start] != b"\r\n"):
        raise _broken("it does not begin with its boundary")
    pieces = (b"\r\n" + body[start:]).split(delimiter, PARTS_AT_MOST + 2)[1:]
    if len(pieces) > PARTS_AT_MOST + 1:
        raise _broken(f"it has more than {PARTS_AT_MOST} fields")
    if not pieces or not pieces[-1].startswith(b"--"):
        raise _broken("it does not end with its boundary")
    return [_part(piece) for piece in pieces[:-1]]


def write_form(parts: list[Part]) -> tuple[bytes, bytes]:
    """Return the content type and the body of a form."""
    boundary = b"guiju-" + secrets.token_hex(16).encode()  # 128 random bits: no file holds them
    body = []
    for part in parts:
        head = b"--%s\r\ncontent-disposition: form-data; name=%s" % (boundary, _quoted(part.name))
        if part.filename is not None:
            head += b"; filename=%s" % _quoted(part.filename)
        if part.content_type:
            head += b"\r\ncontent-type: " + part.content_type.encode("latin-1")
        body += [head, b"\r\n\r\n", part.value, b"\r\n"]
    return b"multipart/form-data; boundary=" + boundary, b"".join([*body, b"--", boundary, b"--\r\n"])


def _part(piece: bytes) -> Part:
    if not piece.startswith(b"\r\n"):
        raise _broken("a boundary does not end its line")
    head, found, value = piece[:_HEAD_BYTES].partition(b"\r\n\r\n")
    if not found:
        raise _broken("the head of a field does not end")
    value = piece[len(head) + 4 :]
    name: str | None = None
    filename: str | None = None
    content_type = ""
    for line in head.split(b"\r\n"):
        title, _, told = line.partition(b":")
        title = title.strip().lower()
        if title == b"content-disposition":
            kind = told.split(b";", 1)[0].strip().lower()
            if kind != b"form-data" or name is not None:
                raise _broken("a field is no form data")
            for key, quoted, plain in _PARAMETER.findall(told):
                text = _text(re.sub(rb"\\(.)", rb"\1", quoted) or plain)
                if key.lower() == b"name":
                    name = text
                else:
                    filename = text
            if b"filename*" in told.lower() or b"name*" in told.lower():
                raise _broken("a name is in a form that is not taken")
        elif title == b"content-type":
            if not _TYPE.fullmatch(told.strip()):
                raise _broken("the type of a field is none")
            content_type = told.strip().decode("latin-1")
        elif title == b"content-transfer-encoding" and told.strip().lower() not in (b"binary", b"8bit", b"7bit"):
            raise _broken("a field is encoded")
    if not name:
        raise _broken("a field has no name")
    return Part(name, value, filename, content_type)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _broken("a name is not UTF-8") from None


def _quoted(text: str) -> bytes:
    return b'"' + re.sub(r"[\r\n\0]", "_", text).replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def _broken(reason: str) -> GuijuError:
    return GuijuError(errors.BODY_NOT_FORM, reason=reason)


def fields_of(form: list[Part]) -> dict[str, Any]:
    """Return the texts of a form; of a name that comes twice, all. Raises FIELD-INVALID for a text that is no UTF-8."""
    fields: dict[str, Any] = {}
    for part in form:
        if part.filename is not None:
            continue
        try:
            text = part.value.decode()
        except UnicodeDecodeError:
            raise field_invalid(part.name[:100], "UTF-8 文本", "text in UTF-8") from None
        if part.name in fields:
            before = fields[part.name]
            fields[part.name] = [*before, text] if isinstance(before, list) else [before, text]
        else:
            fields[part.name] = text
    return fields
