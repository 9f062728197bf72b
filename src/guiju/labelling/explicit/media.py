"""Put the label that people see or hear into a file: the one call for pictures, sounds, films and documents.

Source: Labelling Measures Art. 4; GB 45438-2025 §5.2–5.4.
"""

import re
from typing import Final

import msgspec

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_NOT_SEEN, LABEL_WORDING
from guiju.labelling.explicit.text import holds_elements
from guiju.labelling.values import ExplicitStyle, Marked, Medium

_HEAD_BYTES: Final = 4096
_FTYP: Final = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"M4A ": "M4A", b"M4B ": "M4A"}  # fmt: skip
_SVG: Final = re.compile(
    rb"^(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!DOCTYPE[^>\[]*(\[[^\]]*\]\s*)?>\s*)*<([A-Za-z_][\w.-]*:)?svg[\s>]", re.DOTALL
)
_HTML: Final = re.compile(
    rb"^(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*(<!doctype html|<html[\s>]|<head[\s>]|<body[\s>])", re.DOTALL | re.IGNORECASE
)
_MEDIUM: Final[dict[str, Medium]] = {
    **dict.fromkeys(("JPEG", "PNG", "WebP", "GIF", "TIFF", "AVIF", "HEIC", "SVG", "BMP"), "picture"),
    **dict.fromkeys(("WAV", "MP3", "FLAC", "Ogg", "M4A", "AAC"), "sound"),
    **dict.fromkeys(("MP4", "Matroska", "AVI", "FLV"), "film"),
    **dict.fromkeys(("PDF", "ZIP", "HTML", "text"), "document"),
}


def mark(data: bytes, style: ExplicitStyle) -> Marked:
    """Return the file with its explicit label, read back; never a file without one.

    The form is told by the bytes, never by a name. This decodes and encodes media: call it outside of an event loop.
    Raises GuijuError: LABEL-MEDIUM, LABEL-UNDECODABLE, LABEL-TOO-LARGE, LABEL-TOO-SMALL, LABEL-FONT, LABEL-LIBRARY, LABEL-PROMPT,
    LABEL-NOT-SEEN, LABEL-WORDING.
    """
    if not holds_elements(style.text):
        raise GuijuError(LABEL_WORDING, text=style.text[:100])
    return _with_label_of(data, _marked(data, style))


def _marked(data: bytes, style: ExplicitStyle) -> Marked:
    form = find_form(data)
    medium = _MEDIUM.get(form)
    if medium == "picture":
        from guiju.labelling.explicit.picture import mark_picture

        return mark_picture(data, form, style)
    if medium == "sound":
        from guiju.labelling.explicit.sound import mark_sound

        return mark_sound(data, form, style)
    if medium == "film":
        from guiju.labelling.explicit.film import mark_film

        return mark_film(data, form, style)
    if medium == "document":
        from guiju.labelling.explicit.document import mark_document

        return mark_document(data, form, style)
    raise GuijuError(LABEL_MEDIUM, form=form, reason="guiju does not know it", reason_zh="guiju 不认识")


def _with_label_of(data: bytes, marked: Marked) -> Marked:
    """Return the marked file with the metadata label of whoever made it: an encoder may have left that out. Raises LABEL-NOT-SEEN."""
    from guiju.labelling.files import LABEL_CONTAINER, read, write
    from guiju.labelling.values import FileLabel

    try:
        label = read(data)
        if not isinstance(label, FileLabel) or read(marked.data) == label:
            return marked
        again = write(marked.data, label)
    except GuijuError as error:
        if error.code is LABEL_CONTAINER:
            return marked  # a form that has no such label
        raise
    if read(again) != label:
        raise GuijuError(
            LABEL_NOT_SEEN, form=find_form(data), reason="the label of whoever made it is lost", reason_zh="原有的生成者标识丢失"
        )
    return msgspec.structs.replace(marked, data=again)


def find_form(data: bytes) -> str:
    """Return what the first bytes say the file is; `unknown` for anything else."""
    head = data[:_HEAD_BYTES]
    brand = head[8:12]
    if head[:3] == b"ID3":
        size = sum((each & 127) << shift for each, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
        behind = data[10 + size + (10 if len(head) > 5 and head[5] & 0x10 else 0) :][:4]
        return {b"fLaC": "FLAC"}.get(behind, "AAC" if _is_adts(behind) else "MP3")
    if head[4:8] == b"ftyp":
        return _FTYP.get(brand, "MP4")
    for magic, form in (
        (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"),
        (b"BM", "BMP"), (b"fLaC", "FLAC"), (b"OggS", "Ogg"), (b"\x1aE\xdf\xa3", "Matroska"), (b"FLV\x01", "FLV"),
        (b"%PDF-", "PDF"), (b"PK\x03\x04", "ZIP"),
    ):  # fmt: skip
        if head.startswith(magic):
            return form
    if head[:4] in (b"RIFF", b"RF64"):
        return {b"WEBP": "WebP", b"WAVE": "WAV", b"AVI ": "AVI"}.get(brand, "unknown")
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "AAC" if _is_adts(head) else "MP3"
    if _SVG.match(head):
        return "SVG"
    if _HTML.match(head):
        return "HTML"
    return "text" if _is_text(data) else "unknown"


def _is_adts(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and "\0" not in text[:_HEAD_BYTES]
