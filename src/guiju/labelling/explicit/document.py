"""Words in documents: at the beginning, at the end, or on every page, as their form allows.

Source: Labelling Measures Art. 4; GB 45438-2025 §5.1.
"""

import re
from html.parser import HTMLParser
from typing import Final

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_NOT_SEEN
from guiju.labelling.explicit.text import stays_readable
from guiju.labelling.values import ExplicitStyle, Marked

_FRONT: Final = re.compile(r"\ufeff?---[ \t]*\r?\n.*?\r?\n(---|\.\.\.)[ \t]*(\r?\n|$)", re.DOTALL)
_UNSEEN: Final = frozenset({"script", "style", "title", "textarea", "template", "noscript", "iframe", "noembed", "noframes", "xmp", "option", "svg", "math"})  # fmt: skip
_TABLE_ROWS: Final = 20


def mark_document(data: bytes, form: str, style: ExplicitStyle) -> Marked:
    """Return the document with the words in it. Raises as `media.mark` does."""
    if form == "PDF":
        from guiju.labelling.explicit.pdf import mark_pdf

        return mark_pdf(data, style)
    if form == "ZIP":
        from guiju.labelling.explicit.office import mark_archive

        return mark_archive(data, style)
    return _page(data, style) if form == "HTML" else _plain(data, style)


# ── plain text, Markdown ────────────────────────────────────────────────────────────────────────────────────────────


def _plain(data: bytes, style: ExplicitStyle) -> Marked:
    text = data.decode("utf-8")
    why = _for_programs(text)
    if why:
        raise GuijuError(LABEL_MEDIUM, form="text", reason=f"it is {why[0]}, which words would break", reason_zh=f"它是{why[1]}，加文字会使其不能解析")  # fmt: skip
    line = "\r\n" if "\r\n" in text else "\n"
    words = f"（{style.text}）"
    # Behind an open code block the words would become code.
    place = "start" if style.document_place == "end" and not stays_readable(text) else style.document_place
    if place != "start":
        if not stays_readable(text):
            raise GuijuError(LABEL_MEDIUM, form="text", reason="a code block is still open at its end", reason_zh="末尾有未结束的代码块")
        text = text.rstrip("\r\n") + line + line + words + line
    if place != "end":
        front = _FRONT.match(text)
        at = front.end() if front else 1 if text.startswith("\ufeff") else 0
        text = text[:at] + (line if front else "") + words + line + line + text[at:]
    return Marked(data=text.encode(), medium="document", how=f"document;form=text;place={place}")


def _for_programs(text: str) -> tuple[str, str] | None:
    """Tell what a text is that a program reads; None for what people read."""
    bare = text.strip()
    if bare[:1] in "{[" and not stays_readable(bare):
        return "JSON", " JSON"
    if bare.startswith(("<?", "<!DOCTYPE", "<svg", "#!")):
        return "XML or a program", " XML 或程序"
    rows = [row for row in bare.splitlines() if row.strip()][:_TABLE_ROWS]
    for mark in (",", "\t", ";"):
        counts = {row.count(mark) for row in rows}
        if len(rows) > 1 and len(counts) == 1 and counts != {0}:
            return "a table (CSV)", "表格（CSV）"
    if rows and all(row.strip()[:1] == "{" and not stays_readable(row) for row in rows):
        return "JSON lines", " JSON 行"
    return None


# ── HTML ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Walk(HTMLParser):
    """Where the body begins and ends, and what of the text is seen."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self._lines = [0]
        for line in text.splitlines(keepends=True) if "\r" not in text and "\f" not in text else re.split(r"(?<=\n)", text):
            self._lines.append(self._lines[-1] + len(line))
        self.begin, self.finish, self.seen = -1, -1, list[str]()
        self._hidden: list[str] = []
        self._in_head = False
        self.feed(text)
        self.close()

    def _at(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body" and self.begin < 0 and not self._hidden:
            self.begin = self._at() + len(self.get_starttag_text() or "")
        if tag in _UNSEEN or (tag == "head" and self.begin < 0):
            self._hidden.append(tag)
        elif self._hidden == ["head"] and tag == "body":
            self._hidden.clear()

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif tag == "body" and not self._hidden:
            self.finish = self._at()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.seen.append(data)


def _page(data: bytes, style: ExplicitStyle) -> Marked:
    """Put a paragraph into the body, in ASCII: so it reads alike in whatever charset the page has."""
    text = data.decode("latin-1")
    walk = _Walk(text)
    words = f'<p class="guiju-explicit-label">（{style.text}）</p>'.replace("&", "&amp;").encode("ascii", "xmlcharrefreplace").decode()
    if style.document_place != "start":
        at = walk.finish if walk.finish >= 0 else len(text)
        if walk.finish < 0 and (text.rfind("<!--") > text.rfind("-->") or text.rfind("<") > text.rfind(">")):
            # Browsers swallow all that follows; the parser here does not.
            raise GuijuError(LABEL_NOT_SEEN, form="HTML", reason="it ends inside a comment or a tag", reason_zh="它在注释或标签中结束")
        text = text[:at] + words + text[at:]
    if style.document_place != "end":
        if walk.begin < 0:
            raise GuijuError(
                LABEL_MEDIUM, form="HTML", reason="it has no body tag to put the words behind", reason_zh="没有 body 标签，不知文字应放何处"
            )
        text = text[: walk.begin] + words + text[walk.begin :]
    wanted = 2 if style.document_place == "both" else 1
    if "".join(_Walk(text).seen).count(f"（{style.text}）") < wanted:
        raise GuijuError(
            LABEL_NOT_SEEN, form="HTML", reason="the words stand where a reader does not see them", reason_zh="文字处在读者看不到的地方"
        )
    return Marked(data=text.encode("latin-1"), medium="document", how=f"document;form=HTML;place={style.document_place}")
