"""A generated text as a file that somebody takes along: the words for people, the label for programs, read back.

Where download, copy or export is offered, the file itself carries the explicit label; so does a text that is copied.
Source: Labelling Measures Art. 4(2) and Art. 5; GB 45438-2025 §5.1, §6.1.
"""

import html
import io
import zipfile
from typing import Final, Literal, get_args

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.text import prefix, suffix
from guiju.labelling.files import LABEL_READ_BACK, first_label, read, write
from guiju.labelling.values import Label

ExportForm = Literal["txt", "md", "html", "docx"]
FORMS: Final[tuple[ExportForm, ...]] = get_args(ExportForm)
MEDIA_TYPES: Final[dict[ExportForm, str]] = {
    "txt": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
_WORD: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PARTS: Final = {
    "[Content_Types].xml": '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
    "_rels/.rels": '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
}  # fmt: skip


def labelled_words(text: str, label: Label) -> str:
    """Return a text with the words of its label, once: what is copied. A text that has them already stays as it is."""
    if label.waived or label.text in text[: len(label.text) + 64] or label.text in text[-len(label.text) - 64 :]:
        return text
    return prefix(label) + text if label.mode == "prefix" else text.rstrip() + suffix(label)


def export_text(text: str, form: ExportForm, label: Label, number: str) -> bytes:
    """Return the text as a file of this form with both labels; a plain text has no place for the implicit one (labels.md).

    The words are part of the text, so that they are there wherever the file is opened. `number` is the content's number.
    Raises LABEL-VALUE where the service has no provider code and the form holds a label, LABEL-READ-BACK.
    """
    words = labelled_words(text, label)
    data = {"txt": _plain, "md": _plain, "html": _page, "docx": _document}[form](words)
    if form == "txt":
        return data
    own = first_label(label.content_producer, number)
    labelled = write(data, own, hint="a.md") if form == "md" else write(data, own)
    if (read(labelled, hint="a.md") if form == "md" else read(labelled)) != own:
        raise GuijuError(LABEL_READ_BACK, container=form)
    return labelled


def _plain(text: str) -> bytes:
    return (text if text.endswith("\n") else text + "\n").encode()


def _page(text: str) -> bytes:
    shown = html.escape(_printable(text))
    return (
        '<!doctype html>\n<html lang="zh-Hans">\n<head>\n<meta charset="utf-8">\n<title>AI</title>\n</head>\n'
        f'<body>\n<pre style="white-space: pre-wrap">{shown}</pre>\n</body>\n</html>\n'
    ).encode()


def _document(text: str) -> bytes:
    paragraphs = "".join(
        f'<w:p><w:r><w:t xml:space="preserve">{html.escape(line, quote=False)}</w:t></w:r></w:p>' for line in _printable(text).split("\n")
    )
    body = (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<w:document xmlns:w="{_WORD}"><w:body>{paragraphs}</w:body></w:document>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in (*_PARTS.items(), ("word/document.xml", body)):
            archive.writestr(zipfile.ZipInfo(name), part)
    return out.getvalue()


def _printable(text: str) -> str:
    """Return the text without what XML cannot hold."""
    return "".join(
        each
        for each in text.replace("\r\n", "\n").replace("\r", "\n")
        if each in "\n\t" or " " <= each < "\ud800" or "\ue000" <= each not in "\ufffe\uffff"
    )
