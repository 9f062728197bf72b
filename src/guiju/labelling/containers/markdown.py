"""Markdown: the label is the map `AIGC` in the YAML front matter, values in single quotes.

What the front matter holds besides stays byte for byte; a file without one gets one. Read as well: the label as a string, a front
matter in TOML, and blocks between `---` lines further down, as others leave them when they join files; code blocks are no place.
Source: TC260-PG-20258A §6.5 (text file guide).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from guiju.labelling.annex_e import VALUE_LIMIT_BYTES
from guiju.labelling.containers.source import Broken, Edit, Found, NoRoom, Site, Source, whole_text

NAME: Final = "Markdown"
FRONT_LIMIT_CHARS: Final = 128 * 1024
"""YAML of one file, all its blocks together: reading it takes about ten seconds for a megabyte."""
_LABELS_LIMIT: Final = 100
_MARK: Final = "\ufeff"
_OPENS: Final = re.compile(r"---[ \t]*\r?\n")
_CLOSES: Final = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)
_TOML: Final = re.compile(r"\+\+\+[ \t]*\r?\n(.*?)^\+\+\+[ \t]*\r?$", re.MULTILINE | re.DOTALL)
_LINE: Final = re.compile(r"[^\n]*(?:\n|\Z)")
_DASHES_OR_FENCE: Final = re.compile(r"^(?:(---)[ \t]*|[ ]{0,3}(`{3,}|~{3,})([^\n]*?))\r?$\n?", re.MULTILINE)
_KEY: Final = re.compile(r"^[\"']?AIGC[\"']?[ \t]*:", re.MULTILINE | re.IGNORECASE)
_ANY_KEY: Final = re.compile(r"[\"']?[A-Za-z_][\w.-]*[\"']?[ \t]*:")


@dataclass(frozen=True, slots=True)
class _Block:
    """YAML between two lines of dashes: where its text lies in the file, in characters, and what of it are labels."""

    start: int
    stop: int
    labels: tuple[tuple[int, int, str], ...]
    """(from, up to, text) of each label, whole lines."""
    holds_a_map: bool


def sniff(head: bytes) -> bool:
    """Tell whether the text begins with a front matter that has a label: no other text is known for Markdown by its beginning."""
    text = head.decode("utf-8", "ignore").removeprefix(_MARK)
    return bool(_OPENS.match(text) and _KEY.search(text))


def examine(source: Source) -> Found:
    """Read the front matter and every other block of dashes. Raises Broken."""
    data = whole_text(source)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Broken("the text is not in UTF-8", error.start) from error
    if "\0" in text:
        raise Broken("the text has characters that are none", data.index(b"\0"))
    begin = len(_MARK) if text.startswith(_MARK) else 0
    front = _front(text, begin)
    labels = list(front.labels) if front else []
    for block in _others(text, front.stop if front else begin, FRONT_LIMIT_CHARS - (front.stop - front.start if front else 0)):
        labels += block.labels
        if len(labels) > _LABELS_LIMIT:
            raise Broken(f"there are more than {_LABELS_LIMIT} labels")
    toml = None if front else _TOML.match(text, begin)
    sites = [Site("markdown:AIGC", _bytes(text, start), _bytes(text, stop), value) for start, stop, value in labels]
    if toml and (value := _toml_label(toml[1])) is not None:
        sites.append(Site("markdown:TOML AIGC", _bytes(text, toml.start()), _bytes(text, toml.end()), value))

    def place(inner: str) -> list[Edit]:
        if toml:
            raise NoRoom("its front matter is in TOML, where the guide has no place for a label")
        newline = "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"
        body = newline.join(["AIGC:", *(f"  {key}: {_quoted(value)}" for key, value in json.loads(inner).items()), ""])
        edits = [Edit(site.start, site.stop) for site in sites]
        if front and front.holds_a_map:
            at = _bytes(text, front.stop)
            gap = "" if text[front.start : front.stop].endswith("\n") or front.start == front.stop else newline
            return [*edits, Edit(at, at, (gap + body).encode())]
        at = _bytes(text, begin)
        return [*edits, Edit(at, at, f"---{newline}{body}---{newline}".encode())]

    return Found(tuple(sites), (), place)


def _front(text: str, begin: int) -> _Block | None:
    """Return the front matter, None when the text has none. Raises Broken when dashes hold something that YAML cannot be."""
    opened = _OPENS.match(text, begin)
    closed = _CLOSES.search(text, opened.end()) if opened else None
    if opened is None:
        return None
    if closed is None:
        if _KEY.match(text, opened.end()):
            raise Broken("a front matter with a label has no end", begin)
        return None
    return _block(text, opened.end(), closed.start(), first=True)


def _others(text: str, at: int, left: int) -> Iterator[_Block]:
    """Yield the blocks of dashes behind the front matter that hold a label; fenced code is left out. Raises Broken above `left` characters."""
    if not _KEY.search(text, at):
        return
    fence, opened = "", -1
    for match in _DASHES_OR_FENCE.finditer(text, at):
        if fence:
            if match[2] and match[2].startswith(fence) and not match[3].strip():
                fence = ""
        elif match[2]:
            fence, opened = match[2], -1
        elif opened >= 0 and _KEY.search(text, opened, match.start()):
            left -= match.start() - opened
            if left < 0:
                raise Broken("the blocks of YAML are longer than what is examined", _bytes(text, opened))
            yield _block(text, opened, match.start(), first=False)
            opened = -1
        else:
            opened = match.end() if _ANY_KEY.match(text, match.end()) else -1


def _block(text: str, start: int, stop: int, *, first: bool) -> _Block:
    import yaml

    if stop - start > FRONT_LIMIT_CHARS:
        raise Broken("a block of YAML is longer than what is examined", _bytes(text, start))
    try:
        node = yaml.compose(text[start:stop], Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Broken("a block between dashes is no YAML", _bytes(text, start)) from error
    if not isinstance(node, yaml.MappingNode):
        return _Block(start, stop, (), first and node is None)
    if node.flow_style:
        if any(_is_key(key) for key, _ in node.value):
            raise Broken("a label stands in a map in braces", _bytes(text, start))
        return _Block(start, stop, (), False)
    labels = []
    for key, value in node.value:
        if _is_key(key):
            begins = start + key.start_mark.index
            ends = _line_end(text, start + _last(value).end_mark.index, stop)
            if text[start + key.start_mark.index - 1 : begins] not in ("\n", "") or not 0 < ends - begins <= VALUE_LIMIT_BYTES:
                raise Broken("a label does not stand in lines of its own, or is too long", _bytes(text, begins))
            labels.append((begins, ends, _value(value)))
    return _Block(start, stop, tuple(labels), first)


def _is_key(node: Any) -> bool:
    return str(getattr(node, "value", "")).upper() == "AIGC"


def _last(node: Any) -> Any:
    """Return the last node below this one that is no collection in lines: where its text ends, not where the next begins."""
    import yaml

    for _ in range(100):
        if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
            node = node.value[-1][1]
        elif isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
            node = node.value[-1]
        else:
            return node
    raise Broken("a block of YAML nests too deep")


def _line_end(text: str, at: int, stop: int) -> int:
    if at > 0 and text[at - 1] == "\n":
        return min(at, stop)
    line = _LINE.match(text, at)
    return min(line.end() if line else at, stop)


def _value(node: Any) -> str:
    """Return a label's text as JSON: a map of seven keys, or a string that holds JSON itself."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return "" if node.tag == "tag:yaml.org,2002:null" else node.value.strip()
    if not isinstance(node, yaml.MappingNode):
        return "[]"
    pairs = []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            return "[]"
        shown = value.value if isinstance(value, yaml.ScalarNode) else None
        null = shown is not None and value.tag == "tag:yaml.org,2002:null"
        pairs.append(f"{json.dumps(key.value)}:{json.dumps('' if null else shown)}")
    return "{" + ",".join(pairs) + "}"


def _toml_label(text: str) -> str | None:
    import tomllib

    try:
        value = tomllib.loads(text.replace("\r\n", "\n")).get("AIGC")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Broken("a front matter in TOML is none") from error
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return "[]"
    return json.dumps({str(key): each if isinstance(each, str) else None for key, each in value.items()})


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _bytes(text: str, at: int) -> int:
    return len(text[:at].encode())
