"""The tags of an HTML page by place: what a browser would take for a tag, and not what stands in comments, scripts and styles.

Works on bytes in which markup is ASCII; a page in UTF-16 is shown as such bytes first. Source: HTML Living Standard §13.2.5.
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
    """Yield every tag, comment and document type in order; in `xml` CDATA stands anywhere. Raises Unclosed."""
    at, foreign, number = 0, 0, 0
    while (at := page.find(b"<", at)) >= 0:
        number += 1
        if number > TAGS_LIMIT:
            raise Unclosed(at)
        following = page[at + 1 : at + 2]
        if following in (b"!", b"?") or (following == b"/" and not page[at + 2 : at + 3].isalpha()):
            stop = _markup_stop(page, at, xml or foreign > 0)
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
        if tag.name in _FOREIGN and not tag.rest.rstrip().endswith(b"/"):
            foreign = max(0, foreign + (-1 if tag.closes else 1))
        elif tag.name == b"plaintext" and not tag.closes:
            return
        elif tag.name in _RAW and not tag.closes and not foreign:
            at = _raw_stop(page, tag)


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
