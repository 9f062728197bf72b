"""Errors in three parts: what happened, what was kept, what to do; in Chinese and English, with one code.

A code is declared once, beside the code that raises it, with `define`. The edge (OpenAI-shaped JSON, page, exit
status) translates it once. `docs/errors/` has a page for every code; a test compares the two.
"""

import errno
from dataclasses import dataclass
from typing import Any, Final, Literal

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Text:
    """One message in three parts; `{name}` is filled from the facts of the error."""

    happened: str
    kept: str
    todo: str


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A declared error.

    `status` is the HTTP status at the edge, `kind` the `error.type` of the OpenAI shape, `retry` whether the same
    request may succeed later without a change.
    """

    code: str
    status: int
    kind: str
    retry: bool
    zh: Text
    en: Text


REGISTRY: Final[dict[str, ErrorCode]] = {}


def define(code: str, *, status: int, kind: str, zh: Text, en: Text, retry: bool = False) -> ErrorCode:
    """Declare an error code and return it. Raises ValueError when the code is taken."""
    if code in REGISTRY:
        raise ValueError(f"error code {code} is declared twice")
    error = REGISTRY[code] = ErrorCode(code, status, kind, retry, zh, en)
    return error


_OF_SYSTEM_ZH: Final = {
    errno.ENOENT: "没有这个文件或目录",
    errno.EACCES: "没有权限",
    errno.EPERM: "没有权限",
    errno.EISDIR: "它是目录",
    errno.ENOTDIR: "路径中有一段不是目录",
    errno.EROFS: "文件系统只读",
    errno.ENOSPC: "磁盘已满",
}


def reason_zh(problem: OSError) -> str:
    """Return in Chinese why the system did not do something; its own words in quotes where they are seldom met."""
    return _OF_SYSTEM_ZH.get(problem.errno or 0) or f"系统说“{problem.strerror or type(problem).__name__}”"


class GuijuError(Exception):
    """An error that a person or a program is told about; carries its code and the facts of this case."""

    def __init__(self, code: ErrorCode, **facts: Any) -> None:
        self.code = code
        self.facts = facts
        super().__init__(code.code)

    def __str__(self) -> str:
        return self.text("en")

    def text(self, language: Language) -> str:
        """Return the three parts as one line, the code first."""
        text = self.code.zh if language == "zh" else self.code.en
        parts = [part.format_map(_Facts(self.facts)) for part in (text.happened, text.kept, text.todo)]
        return f"{self.code.code} " + ("".join(parts) if language == "zh" else " ".join(parts))

    def both(self) -> str:
        """Return the Chinese line and the English line; for readers whose language is not known."""
        english = self.text("en").removeprefix(self.code.code + " ")
        return f"{self.text('zh')} / {english}"


class _Facts(dict[str, Any]):
    """Facts of an error; one that is not known yet shows as a dash: telling of an error must not fail."""

    def __missing__(self, name: str) -> str:
        return "–"
