"""What every step of the tour has at hand: the client, the words, and how they are shown."""

import os
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.text import Text as Words

from guiju.core.errors import Language
from guiju.demo.lines import Coming, wrap

if TYPE_CHECKING:
    from openai import OpenAI

_FRAME_CELLS = 6


class Unexpected(Exception):
    """A step did not show what it should; the text says what was seen."""


@dataclass(frozen=True, slots=True)
class Guide:
    """Speaks one language on one console, with a pause behind each sentence."""

    client: "OpenAI"
    console: Console
    texts: dict[str, str]
    language: Language
    pause_s: float

    def say(self, name: str, **facts: object) -> None:
        self._print(self.texts[name].format_map(facts))
        time.sleep(self.pause_s)

    def title(self, number: int, name: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{number} · {self.texts[name]}", align="left", style="cyan")

    def show(self, text: str, style: str = "") -> None:
        self._print(text, "    ", "    ", style)

    def show_coming(self, pieces: Iterable[str]) -> str:
        """Show a text while it comes; return the whole of it."""
        lines, whole = Coming(self.console.width - 4), ""

        def put(text: str) -> None:
            self.console.print(Words(text.replace("\n", "\n    ")), end="", soft_wrap=True)

        put("    ")
        for piece in pieces:
            whole += piece
            put(lines.take(piece))
        put(lines.end())
        self.console.print()
        return whole

    def frame(self, text: str) -> None:
        lines = "\n".join(wrap(text, self.console.width - _FRAME_CELLS))
        self.console.print(Panel(Words(lines), border_style="cyan", padding=(1, 2)))

    def ask(self, question: str) -> None:
        self._print(question, "  › ", "    ", "bold")
        time.sleep(self.pause_s)

    def result(self, text: str, *, failed: bool = False) -> None:
        self._print(text, "  ✗ " if failed else "  ✓ ", "    ", "red" if failed else "green")

    def half(self, message: str) -> str:
        """Return the half of an error's message that is in the language of the tour, its code in front."""
        chinese, _, english = message.partition(" / ")
        return chinese if self.language == "zh" or not english else f"{chinese.partition(' ')[0]} {english}"

    def expect(self, holds: object, seen: object) -> None:
        if not holds:
            raise Unexpected(str(seen)[:500])

    def _print(self, text: str, first: str = "", later: str = "", style: str = "") -> None:
        for number, line in enumerate(wrap(text, self.console.width - len(later))):
            self.console.print(Words((later if number else first) + line, style=style), soft_wrap=True)


def own_command() -> str:
    """Return how the person at the terminal calls guiju: by its name where the shell finds it, else by the way to it."""
    called = Path(sys.argv[0])
    found = shutil.which("guiju")
    if called.name != "guiju" or (found is not None and Path(found).resolve() == called.resolve()):
        return "guiju"
    way = os.path.relpath(called)
    return way if not way.startswith("..") else str(called.absolute())
