"""The tags of an HTML page by place: what a browser would take for a tag, and not what stands in comments, scripts and styles.

Works on bytes in which markup is ASCII; a page in UTF-16 is shown as such bytes first. Source: HTML Living Standard §13.2.5 and §13.2.6.5.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

TAGS_LIMIT: Final = 1_000_000
_SPACE: Final = rb"[\t\n\f\r ]"
# A quoted value that never ends makes no tag, and quotes inside of a bare value are nothing. Each goes over a tag once.
_ONE: Final = (
    rb"[^\t\n\f\r />][^\t\n\f\r />=]*+"
    rb"(?:" + _SPACE + rb"*+=" + _SPACE + rb"*+(?:\"[^\"]*+\"|'[^']*+'|[^\t\n\f\r >\"'][^\t\n\f\r >]*+|(?=>))|(?!" + _SPACE + rb"*+=))"
)
_TAG: Final = re.compile(rb"<(/?)([A-Za-z][^\t\n\f\r />]*+)((?:[\t\n\f\r /]++|" + _ONE + rb")*+)>")
_ATTRIBUTE: Final = re.compile(
    rb"([^\t\n\f\r />][^\t\n\f\r />=]*+)(?:"
    + _SPACE
    + rb"*+="
    + _SPACE
    + rb"*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*+))?)?"
)
_RAW: Final = frozenset({b"script", b"style", b"textarea", b"title", b"xmp", b"iframe", b"noembed", b"noframes"})
_FOREIGN: Final = frozenset({b"svg", b"math"})
_HEAD: Final = frozenset({b"html", b"head", b"base", b"link", b"meta", b"noscript", b"basefont", b"bgsound", b"plaintext"})
_LEAVES: Final = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta nobr ol p pre ruby s small "
    b"span strong strike sub sup table tt u ul var".split()
)
_HTML_AGAIN: Final = {b"svg": frozenset({b"foreignobject", b"desc", b"title"}), b"math": frozenset({b"mi", b"mo", b"mn", b"ms", b"mtext"})}
# Everything up to the next tag that matters, in one go: text, and tags of other names with their values.
_QUIET: Final = re.compile(
    rb"(?:[^<]++|<(?![A-Za-z/!?])|</?(?!(?:" + b"|".join(sorted(_RAW | _FOREIGN | _HEAD)) + rb")[\t\n\f\r />])"
    rb"[A-Za-z][^\t\n\f\r />]*+(?:[\t\n\f\r /]++|" + _ONE + rb")*+>)*+",
    re.IGNORECASE,
)


class Unclosed(Exception):
    """A tag, a comment or a script has no end; what follows cannot be told. Where it begins, in bytes."""

    def __init__(self, at: int) -> None:
        self.at = at
        super().__init__(f"at byte {at}")


@dataclass(frozen=True, slots=True)
class Tag:
    """One piece of markup. `name` is that of a tag in lower case, `!` for a comment or a document type; a closing tag has `closes`."""

    name: bytes
    closes: bool
    start: int
    stop: int
    rest: bytes
    """What stands between the name and the `>`, from `rest_at` on."""
    rest_at: int


def list_tags(page: bytes, *, xml: bool = False) -> Iterator[Tag]:
    """Yield in order comments, document types, the tags of a head, and those that change how what follows is read.

    In `xml` CDATA may stand anywhere, and `/>` closes any tag. Raises Unclosed.
    """
    inside = _Inside()
    at = number = 0
    while (at := page.find(b"<", at) if inside.open else _quiet_stop(page, at)) >= 0 and at < len(page):
        number += 1
        if number > TAGS_LIMIT:
            raise Unclosed(at)
        following = page[at + 1 : at + 2]
        if following in (b"!", b"?") or (following == b"/" and not page[at + 2 : at + 3].isalpha()):
            stop = _markup_stop(page, at, xml or inside.foreign)
            yield Tag(b"!", False, at, stop, b"", stop)
            at = stop
            continue
        if not (following.isalpha() or following == b"/"):
            at += 1
            continue
        match = _TAG.match(page, at)
        if match is None:
            raise Unclosed(at)
        tag = Tag(match[2].lower(), bool(match[1]), at, match.end(), match[3], match.start(3))
        yield tag
        at = tag.stop
        if not xml:
            inside.take(tag)
        if tag.closes or inside.foreign or (xml and closes_itself(tag)):
            continue
        if tag.name == b"plaintext":
            return
        if tag.name in _RAW:
            at = _raw_stop(page, tag)


class _Inside:
    """Whether what follows is read as SVG or MathML, where there are no scripts and titles of HTML, and CDATA may stand."""

    def __init__(self) -> None:
        self.open: list[tuple[bytes, bool]] = []
        """What was entered: SVG and MathML, and the elements in them whose content is HTML again."""

    @property
    def foreign(self) -> bool:
        return bool(self.open) and self.open[-1][1]

    def take(self, tag: Tag) -> None:
        """Follow one tag. Raises Unclosed where more is entered than is followed."""
        if self.foreign and (tag.name in _LEAVES or (tag.name == b"font" and {"color", "face", "size"} & set(attributes(tag)))):
            if not tag.closes or tag.name in (b"p", b"br"):  # it cannot stand there, so the browser goes back to HTML
                while self.foreign:
                    self.open.pop()
            return
        if tag.closes:
            place = next((place for place in range(len(self.open) - 1, -1, -1) if self.open[place][0] == tag.name), None)
            if place is not None:
                del self.open[place:]
            return
        within = self.open[-1][0] if self.foreign else b""
        again = tag.name in _HTML_AGAIN.get(within, ()) or (within == b"math" and tag.name == b"annotation-xml" and _is_html(tag))
        if (tag.name in _FOREIGN or again) and not closes_itself(tag):
            if len(self.open) >= 64:
                raise Unclosed(tag.start)
            self.open.append((tag.name, tag.name in _FOREIGN))


def _is_html(tag: Tag) -> bool:
    start, stop = attributes(tag).get("encoding", (0, 0))
    return tag.rest[start - tag.rest_at : stop - tag.rest_at].lower() in (b"text/html", b"application/xhtml+xml") if stop else False


def closes_itself(tag: Tag) -> bool:
    """Tell whether a tag ends with a slash that is no part of a value."""
    if not tag.rest.endswith(b"/"):
        return False
    return all(match.end() < len(tag.rest) for match in _ATTRIBUTE.finditer(tag.rest))


def _quiet_stop(page: bytes, at: int) -> int:
    match = _QUIET.match(page, at)
    return match.end() if match else at


def attributes(tag: Tag) -> dict[str, tuple[int, int]]:
    """Return where the value of each attribute lies, by name in lower case; of one that stands twice the first counts."""
    found: dict[str, tuple[int, int]] = {}
    for match in _ATTRIBUTE.finditer(tag.rest):
        group = next((number for number in (2, 3, 4) if match[number] is not None), 0)
        start, stop = match.span(group) if group else (match.end(), match.end())
        found.setdefault(match[1].decode("latin-1").lower(), (tag.rest_at + start, tag.rest_at + stop))
    return found


def _markup_stop(page: bytes, at: int, foreign: bool) -> int:
    """Return where a comment, a document type or what a browser takes for a comment ends."""
    if page.startswith(b"<!--", at):
        if page.startswith((b"<!-->", b"<!--->"), at):
            return page.index(b">", at) + 1
        match = re.compile(rb"--!?>").search(page, at + 4)
        if match is None:
            raise Unclosed(at)
        return match.end()
    mark = b"]]>" if foreign and page.startswith(b"<![CDATA[", at) else b">"
    return _found(page, mark, at)


def _found(page: bytes, mark: bytes, at: int) -> int:
    stop = page.find(mark, at)
    if stop < 0:
        raise Unclosed(at)
    return stop + len(mark)


def _raw_stop(page: bytes, tag: Tag) -> int:
    """Return where the closing tag of a script, a style or a title begins; a script holds one that stands in its comment."""
    closing = re.compile(rb"</" + tag.name + rb"[\t\n\f\r />]", re.IGNORECASE)
    at = tag.stop
    while match := closing.search(page, at):
        if tag.name != b"script" or not _escaped_twice(page[tag.stop : match.start()]):
            return match.start()
        at = match.end()
    raise Unclosed(tag.start)


def _escaped_twice(script: bytes) -> bool:
    """Tell whether a script is inside a `<!-- <script` at its end, where a closing tag ends only the inner one."""
    twice, commented = False, False
    for match in re.finditer(rb"<!--|-->|<(/?)script[\t\n\f\r />]", script, re.IGNORECASE):
        if match[0] == b"<!--":
            commented = True
        elif match[0] == b"-->":
            commented = twice = False
        elif commented:
            twice = not match[1]
    return twice
