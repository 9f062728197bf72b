"""The table of a policy: rows read from text, and the mistakes of a table found before it is in force.

A row is five words: risk, direction, audience, confidence, action. Of the rows that tell of a find the most particular decides: the one
that is, column by column, no wider than any other. Two rows that cross, so that neither is the narrower, are a mistake wherever both
tell of one find: nobody should have to guess. So is a row that decides nothing because narrower ones cover all that it tells of.
Source: Measures Arts. 4, 10, 14.
"""

import hashlib
from collections.abc import Sequence
from itertools import product
from typing import Final, NamedTuple, get_args

from guiju.screening.risks import BY_ID, GROUPS
from guiju.screening.values import AUDIENCES, CONFIDENCES, Action, Audience, Confidence, Direction, PolicyRow

ROWS_LIMIT: Final = 200
ACTIONS: Final[dict[str, tuple[Action, ...]]] = {
    "input": ("deliver", "warn", "refuse", "answer", "hold"),
    "output": ("deliver", "stop", "hold"),
    "both": ("deliver", "hold"),
}
"""What a row may do, by its direction."""
SCOPES: Final = ("*", *GROUPS, *BY_ID)
READERS: Final = ("*", *AUDIENCES)
SURENESS: Final = ("*", *CONFIDENCES)
DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)


class Mistake(NamedTuple):
    """What is wrong with a row; `place` counts rows from 0."""

    place: int
    zh: str
    en: str


def read_row(text: str) -> PolicyRow | Mistake:
    """Return the row that five words make.

    >>> print(read_row("A.1.f  input minor * refuse"))
    A.1.f input minor * refuse
    >>> read_row("A.1.f output adult high refuse").en
    "an output's action is one of deliver, stop, hold, not 'refuse'"
    """
    words = text.split()
    if len(words) != 5:
        return Mistake(0, "应为五个词：风险 方向 读者 把握 处置", "must be five words: risk direction audience confidence action")
    risk, direction, audience, confidence, action = words
    columns: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
        (risk, SCOPES, "风险", "risk"),
        (direction, tuple(ACTIONS), "方向", "direction"),
        (audience, READERS, "读者", "audience"),
        (confidence, SURENESS, "把握", "confidence"),
    )
    for value, allowed, zh, en in columns:
        if value not in allowed:
            shown = "A.1.f, A.1, *" if en == "risk" else ", ".join(allowed)
            return Mistake(0, f"{zh}应为 {shown} 之一，不是“{value[:40]}”", f"the {en} is one of {shown}, not '{value[:40]}'")
    if action not in ACTIONS[direction]:
        may = ", ".join(ACTIONS[direction])
        name = {"input": ("输入", "an input's"), "output": ("输出", "an output's"), "both": ("输入与输出", "both directions'")}[direction]
        return Mistake(0, f"{name[0]}的处置应为 {may} 之一，不是“{action[:40]}”", f"{name[1]} action is one of {may}, not '{action[:40]}'")
    return PolicyRow(risk, direction, audience, confidence, action)  # type: ignore[arg-type]  # each was looked up above


def mistakes_of(rows: Sequence[PolicyRow]) -> list[Mistake]:
    """Return what is wrong with a table as a whole, by row: rows that cross or are equal, and rows that never decide."""
    if len(rows) > ROWS_LIMIT:
        return [Mistake(ROWS_LIMIT, f"最多 {ROWS_LIMIT} 行", f"there are at most {ROWS_LIMIT} rows")]
    decides = [False] * len(rows)
    crossing: dict[tuple[int, int], str] = {}
    for direction, risk, confidence, audience in cells():
        telling = [
            (ranks, place) for place, row in enumerate(rows) if (ranks := row.ranks(direction, risk, confidence, audience)) is not None
        ]
        if not telling:
            continue
        narrowest = tuple(map(min, zip(*(ranks for ranks, _ in telling), strict=True)))
        winners = [place for ranks, place in telling if ranks == narrowest]
        if len(winners) == 1:
            decides[winners[0]] = True
            continue
        least = [
            place for ranks, place in telling
            if not any(other != ranks and all(a <= b for a, b in zip(other, ranks, strict=True)) for other, _ in telling)
        ]  # fmt: skip
        for place in least:
            decides[place] = True
        crossing.setdefault((least[0], least[1]), f"{risk} {direction} {audience} {confidence}")
    found = [
        Mistake(
            second,
            f"与第 {first + 1} 行都适用于 {cell}，哪一行也不更具体：请删去一行，或为该情形单写一行",
            f"it and row {first + 1} both tell of {cell} and neither is the narrower: remove one, or write a row for that case",
        )
        for (first, second), cell in crossing.items()
    ]
    found += [
        Mistake(place, "永远不会起作用：更具体的行已覆盖它的全部情形", "it never decides: narrower rows cover all that it tells of")
        for place, row in enumerate(rows)
        if not decides[place]
    ]
    return sorted(found)


def cells() -> "product[tuple[Direction, str, Confidence, Audience]]":
    """Return every find that a table can be asked about: direction, risk, confidence, reader."""
    return product(DIRECTIONS, BY_ID, CONFIDENCES, AUDIENCES)


def version_of(rows: Sequence[PolicyRow], default_audience: Audience) -> str:
    """Return the version of a table: the SHA-256 of its rows, in any order, and of who reads where nobody says."""
    return hashlib.sha256(body_of(rows, default_audience)).hexdigest()


def body_of(rows: Sequence[PolicyRow], default_audience: Audience) -> bytes:
    """Return a table as it is kept: the reader, then the rows, sorted, one a line."""
    return "\n".join((default_audience, *sorted(map(str, rows)))).encode()


def read_body(body: bytes) -> tuple[tuple[PolicyRow, ...], Audience]:
    """Return the table that `body_of` wrote. Raises ValueError for anything else."""
    audience, *lines = body.decode().split("\n")
    rows = [read_row(line) for line in lines]
    if audience not in AUDIENCES or any(isinstance(row, Mistake) for row in rows):
        raise ValueError("not a policy table")
    return tuple(row for row in rows if isinstance(row, PolicyRow)), audience
