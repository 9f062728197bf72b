"""Which form a document has whose first bytes do not tell it: an archive by what it holds, a text by its beginning or by a hint.

A hint is a file's name or a media type. It is believed of texts alone: what begins as something else is that.
"""

from typing import Final

from guiju.labelling.containers import epub, html, markdown, odf, ooxml, plain_text, zipped
from guiju.labelling.containers.source import Broken, Found, Source

ARCHIVE: Final = "ZIP"
"""An archive that cannot be read, so that nobody knows which document it would be."""
_ENDINGS: Final = {
    html.NAME: frozenset({"html", "htm", "xhtml", "xht"}),
    markdown.NAME: frozenset({"md", "markdown", "mdown", "mkd", "mdx", "qmd", "rmd"}),
    plain_text.NAME: frozenset(
        {"txt", "text", "log", "csv", "tsv", "json", "jsonl", "ndjson", "yaml", "yml", "toml", "ini", "srt", "vtt", "rst", "adoc", "tex", "bib"}
        | {"py", "js", "mjs", "ts", "jsx", "tsx", "css", "c", "h", "cc", "cpp", "hpp", "java", "kt", "go", "rs", "rb", "php", "sh", "sql"}
    ),
}  # fmt: skip
_MEDIA: Final = {
    "text/html": html.NAME,
    "application/xhtml+xml": html.NAME,
    "text/markdown": markdown.NAME,
    "text/x-markdown": markdown.NAME,
    "application/json": plain_text.NAME,
    "application/jsonl": plain_text.NAME,
    "application/x-ndjson": plain_text.NAME,
    "application/yaml": plain_text.NAME,
    "application/javascript": plain_text.NAME,
}


def archive_form(source: Source) -> str | None:
    """Return the form of the document in an archive, ARCHIVE when that cannot be told, None when it is no known document."""
    try:
        archive = zipped.Archive(source)
        return odf.form_of(archive) or epub.form_of(archive) or ooxml.form_of(archive)
    except Broken:
        return ARCHIVE


def refuse_archive(source: Source) -> Found:
    """Raise Broken with what is wrong about an archive."""
    archive = zipped.Archive(source)
    for form_of in (odf.form_of, epub.form_of, ooxml.form_of):
        form_of(archive)
    raise Broken("the archive changed while it was read")


def text_form(head: bytes, hint: str | None) -> str | None:
    """Return the form of a text: what its beginning shows, or else what the hint says; None when neither tells.

    >>> text_form(b"# A heading", "notes.md"), text_form(b"# A heading", None), text_form(b"<!DOCTYPE html><p>", "notes.txt")
    ('Markdown', None, 'HTML')
    """
    if html.sniff(head):
        return html.NAME
    if not plain_text.sniff(head):
        return None
    return hinted(hint) or (markdown.NAME if markdown.sniff(head) else None)


def hinted(hint: str | None) -> str | None:
    """Return the form of text that a file's name or a media type speaks of.

    >>> hinted("text/markdown; charset=utf-8"), hinted("a/b.CSV"), hinted("text/x-c"), hinted("picture.png")
    ('Markdown', 'text', 'text', None)
    """
    if not hint:
        return None
    media = hint.partition(";")[0].strip().lower()
    if media in _MEDIA:
        return _MEDIA[media]
    if media.startswith("text/") and "." not in media:
        return plain_text.NAME
    ending = hint.rpartition(".")[2].strip().lower()
    return next((form for form, endings in _ENDINGS.items() if ending in endings), None)
