"""HTML: the label is `<meta name="AIGC" content="…">`, last in the head.

The place is guiju's choice; the guide's own for this form was not read. A page without a head gets the tag where its head would
end: browsers make the head themselves. Read are `name` and `property` in any case, anywhere outside of comments and scripts.
Source: TC260-PG-20258A (text file guide); HTML Living Standard §4.2.5 and §13.2.
"""

import html
import re
from dataclasses import dataclass
from typing import Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES
from guiju.labelling.containers.html_tags import Tag, Unclosed, attributes, list_tags
from guiju.labelling.containers.source import LABELS_LIMIT, Broken, Edit, Found, Site, Source, whole_text

NAME: Final = "HTML"
_BEGINS: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s++|<!--.*?-->|<\?xml[^>]*+>)*+<(?:!doctype\s++html|html|head)[\s>]", re.IGNORECASE | re.DOTALL
)
_IN_HEAD: Final = frozenset({b"base", b"link", b"meta", b"script", b"style", b"title", b"basefont", b"bgsound", b"noframes"})
_MARK: Final = b"\xef\xbb\xbf"
_WIDE: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UNSAFE: Final = ("utf-7", "iso-2022", "hz", "utf-16", "utf-32", "ebcdic", "cp037", "replacement")
"""Encodings in which bytes of markup may be parts of other characters, or which a page cannot name."""


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as bytes whose markup is ASCII: `wide` is 2 where each stands for two bytes of the file, which begin at `at`."""

    text: bytes
    raw: bytes
    encoding: str
    at: int
    wide: int

    def place(self, at: int) -> int:
        return self.at + at * self.wide

    def shown(self, start: int, stop: int) -> str:
        return self.raw[start * self.wide : stop * self.wide].decode(self.encoding, "replace")

    def written(self, text: str) -> bytes:
        return text.encode(self.encoding if self.wide == 2 else "ascii")


def sniff(head: bytes) -> bool:
    """Tell whether the text begins as a page."""
    if head[:2] in _WIDE:
        head = head[2:].replace(b"\0", b"")
    return bool(_BEGINS.match(head))


def examine(source: Source) -> Found:
    """Read every tag of the page. Raises Broken."""
    page = _opened(whole_text(source))
    labels: list[tuple[Tag, str]] = []
    place_at = _Place(3 if page.text.startswith(_MARK) else 0)
    try:
        for tag in list_tags(page.text, xml=page.text[:200].lstrip(_MARK).startswith(b"<?xml")):
            place_at.take(tag, page.text)
            if tag.name == b"meta" and not tag.closes and (value := _label(page, tag)) is not None:
                if len(labels) > LABELS_LIMIT:
                    raise Broken(f"there are more than {LABELS_LIMIT} labels", page.place(tag.start))
                labels.append((tag, value))
    except Unclosed as error:
        raise Broken("a tag, a comment or a script of the page has no end", page.place(error.at)) from error
    sites = tuple(Site("html:meta AIGC", page.place(tag.start), page.place(tag.stop), value) for tag, value in labels)

    def place(inner: str) -> list[Edit]:
        at = page.place(place_at.at)
        new = f'<meta name="AIGC" content="{inner.replace("&", "&amp;").replace(chr(34), "&quot;").replace("<", "&lt;")}" />'
        removed = [Edit(site.start, site.stop) for site in sites]
        return [*removed, Edit(at, at, page.written(new))]

    return Found(sites, (), place)


class _Place:
    """Where the head ends: behind the last thing that belongs to it."""

    def __init__(self, at: int) -> None:
        self.at = at
        self._open = True
        self._inside = b""

    def take(self, tag: Tag, page: bytes) -> None:
        if not self._open:
            return
        if not self._inside and page[self.at : tag.start].strip(b"\t\n\f\r "):
            self._open = False  # words: the body has begun
        elif self._inside:
            if tag.closes and tag.name == self._inside:
                self._inside, self.at = b"", tag.stop
        elif tag.name in (b"!", b"html", b"head") and not tag.closes:
            self.at = tag.stop
        elif tag.name in _IN_HEAD and not tag.closes:
            if tag.name in (b"base", b"link", b"meta", b"basefont", b"bgsound"):
                self.at = tag.stop
            else:
                self._inside = tag.name
        else:
            if tag.name == b"head":
                self.at = tag.start
            self._open = False


def _opened(data: bytes) -> _Page:
    if encoding := _WIDE.get(data[:2]):
        if data[:4] == b"\xff\xfe\0\0" or len(data) % 2:
            raise Broken("the page is in no encoding that is read")
        low, high = (data[2::2], data[3::2]) if encoding == "utf-16-le" else (data[3::2], data[2::2])
        shown = bytes(byte if not above and byte < 128 else 0x80 for byte, above in zip(low, high, strict=True))
        return _Page(shown, data[2:], encoding, 2, 2)
    if b"\0" in data:
        raise Broken("the page has bytes that are no text", data.index(b"\0"))
    if data.startswith(_MARK):
        return _Page(data, data, "utf-8", 0, 1)
    return _Page(data, data, _encoding(data), 0, 1)


def _encoding(data: bytes) -> str:
    """Return the encoding that the page names at its beginning; UTF-8 when it names none."""
    match = re.search(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([A-Za-z0-9_:.\-]+)", data[:1024])
    name = match[1].decode("ascii").lower() if match else "utf-8"
    if name.startswith("utf-16"):
        return "utf-8"  # a page that could be read so far is not in UTF-16: browsers take it for UTF-8, too
    if name.startswith(_UNSAFE) or b"\x1b$" in data or b"\x1b(" in data:
        raise Broken(f"the page is in {name}, in which markup cannot be told from text by its bytes")
    try:
        "".encode({"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252"}.get(name, name))
    except (LookupError, UnicodeError):
        return "utf-8"
    return {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252"}.get(name, name)


def _label(page: _Page, tag: Tag) -> str | None:
    """Return the text of a label, None when the tag is another's."""
    found = attributes(tag)
    names = [page.text[slice(*found[key])].strip().lower() for key in ("name", "property", "itemprop") if key in found]
    if not any(name == b"aigc" or name.endswith(b":aigc") for name in names):
        return None
    start, stop = found.get("content", (tag.start, tag.start))
    if stop - start > VALUE_LIMIT_BYTES:
        raise Broken("a label is longer than any may be", page.place(tag.start))
    return html.unescape(page.shown(start, stop)).strip()
