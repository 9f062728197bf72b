"""Rows of results: a table for people, a file for programs. Nothing here knows what was measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

OUT: Final = Path(__file__).parent / "out"
_WIDTH: Final = 130


class Row(msgspec.Struct, frozen=True):
    """One measured value. `bar` says what was promised (`≤ 2`), `ok` whether it was kept; both None where nothing was."""

    name: str
    value: float
    unit: str
    bar: str | None = None
    ok: bool | None = None


def row(name: str, value: float, unit: str, *, at_most: float | None = None, at_least: float | None = None) -> Row:
    """Return a row, judged by its bar. The value is judged as it is shown: with four digits."""
    value = float(f"{value:.4g}")
    if at_most is not None:
        return Row(name, value, unit, f"≤ {at_most:g}", value <= at_most)
    if at_least is not None:
        return Row(name, value, unit, f"≥ {at_least:g}", value >= at_least)
    return Row(name, value, unit)


def report(name: str, rows: Sequence[Row]) -> list[Row]:
    """Print the rows, write them to `bench/out/<name>.json`, and return those that miss their bar."""
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(list(rows)), indent=1) + b"\n")
    table = Table(title=name, title_justify="left")
    for heading in ("measure", "value", "unit", "bar", ""):
        table.add_column(heading, justify="right" if heading in ("value", "bar") else "left")
    for each in rows:
        mark = "" if each.ok is None else "[green]met[/]" if each.ok else "[red]missed[/]"
        table.add_row(each.name, _shown(each.value), each.unit, each.bar or "", mark)
    console = Console()
    console.width = max(console.width, _WIDTH)  # a file or a pipe has no width, and the log of a build server is wide
    console.print(table)
    return [each for each in rows if each.ok is False]


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
