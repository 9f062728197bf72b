"""Rows as a command writes them: a table for a person at a terminal, plain lines for whatever else reads them.

A line holds one row with all of its values in full, a tab between them and nothing wrapped or cut, so that `grep`, `cut` and `awk` can take it.
"""

import sys
from collections.abc import Iterable, Sequence


def is_terminal() -> bool:
    """Tell whether a person reads standard output."""
    return sys.stdout.isatty()


def readable(text: str) -> str:
    """Return a text without what a terminal would obey: signs that are not printed become `\ufffd`, ends of lines stay."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)


def line_of(values: Iterable[object]) -> str:
    """Return values as one line, tabs between them; white space inside a value becomes one space.

    >>> line_of(["a", 1, "two\\nlines"])
    'a\\t1\\ttwo lines'
    """
    return "\t".join(readable(" ".join(str(value).split())) for value in values)


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[object]], shown: Iterable[Sequence[object]] | None = None) -> None:
    """Print rows: lines without a heading, or a table on a terminal, there of what is `shown` where that is shorter than the rows."""
    if not is_terminal():
        for row in rows:
            print(line_of(row))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for heading in headings:
        table.add_column(escape(heading), overflow="fold", no_wrap=heading in ("#", "id") or heading.startswith("时间"))
    for row in rows if shown is None else shown:
        table.add_row(*(escape(readable(str(value))) for value in row))
    Console(highlight=False).print(table)
