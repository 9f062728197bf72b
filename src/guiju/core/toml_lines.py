"""On which line each key of a TOML text stands; the standard library reads values and forgets where they were.

The text has been read by `tomllib` before, so it is valid; this walk only has to find the way, not to judge.
"""

import re
import tomllib
from typing import Final

Path = tuple[str | int, ...]

_SPACE: Final = re.compile(r"[ \t]*")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}#\r\n]+")
_BASIC: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL: Final = re.compile(r"'[^']*'")
_LONG_BASIC: Final = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL)
_LONG_LITERAL: Final = re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL)
_STRINGS: Final = (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL)


def find_lines(text: str) -> dict[Path, int]:
    """Return the line (from 1) of every table, key and array item, by its path.

    A path holds keys and, for arrays, positions from 0: `("upstream", 0, "base_url")`. A table that is only implied by
    a longer name has the line of that name. `text` must be valid TOML.
    """
    walk = _Walk(text)
    walk.document()
    return walk.lines


class _Walk:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._arrays: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line = self._here()
        repeated = self._text.startswith("[[", self._at)
        self._at += 2 if repeated else 1
        keys = self._key()
        self._at += 2 if repeated else 1
        path: Path = ()
        for place, key in enumerate(keys):
            path += (key,)
            last = place == len(keys) - 1
            if last and repeated:
                self._arrays[path] = self._arrays.get(path, -1) + 1
            self.lines.setdefault(path, line)
            if path in self._arrays:
                path += (self._arrays[path],)
                self.lines.setdefault(path, line)
        self.lines[path] = line
        return path

    def _pair(self, table: Path) -> None:
        line = self._here()
        keys = self._key()
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        for place in range(1, len(keys)):
            self.lines.setdefault(table + keys[:place], line)
        self.lines[table + keys] = line
        self._value(table + keys)

    def _key(self) -> tuple[str, ...]:
        keys = []
        while True:
            self._skip(_SPACE)
            bare = _BARE.match(self._text, self._at)
            if bare:
                keys.append(bare[0])
                self._at = bare.end()
            else:
                keys.append(tomllib.loads("key = " + self._string())["key"])
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return tuple(keys)
            self._at += 1

    def _value(self, path: Path) -> None:
        first = self._text[self._at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        place = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "]":
                self._at += 1
                return
            self.lines[(*path, place)] = self._here()
            self._value((*path, place))
            place += 1
            self._comma()

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while True:
            self._skip(_BLANK)  # newer TOML lets an inline table go over several lines
            if self._text[self._at] == "}":
                self._at += 1
                return
            self._pair(path)
            self._comma()

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += 1

    def _string(self) -> str:
        for form in _STRINGS:
            found = form.match(self._text, self._at)
            if found:
                self._at = found.end()
                return found[0]
        raise ValueError(f"no string on line {self._here()}")

    def _skip(self, form: re.Pattern[str]) -> None:
        found = form.match(self._text, self._at)
        if found:
            self._at = found.end()

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line
