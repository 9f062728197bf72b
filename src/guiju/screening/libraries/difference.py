"""What differs between two keyword libraries: rows added, removed, and changed by column. Pure."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from guiju.screening.libraries.library import COLUMNS, Library
from guiju.screening.risks import RISKS

Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """A row that is in both libraries and not the same; `columns` gives what differs as (before, after)."""

    term: str
    risk: str
    columns: dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows added, removed and changed from the library `before` to the one `after`, in the order of risk and term."""

    before: str
    after: str
    added: tuple[Fields, ...]
    removed: tuple[Fields, ...]
    changed: tuple[Change, ...]
    same: int

    def by_risk(self) -> list[tuple[str, int, int, int]]:
        """Return (risk, added, removed, changed) for each risk that has any; a changed row counts for the risk that it has now."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for place, risks in enumerate(
            ([row["risk"] for row in self.added], [row["risk"] for row in self.removed], [change.risk for change in self.changed])
        ):
            for risk in risks:
                counts[risk][place] += 1
        return [(risk.id, *counts[risk.id]) for risk in RISKS if risk.id in counts]  # type: ignore[misc]  # three of them

    def by_column(self) -> dict[str, int]:
        """Return how many of the changed rows differ in each column."""
        counts = {column: sum(column in change.columns for change in self.changed) for column in COLUMNS}
        return {column: count for column, count in counts.items() if count}


def find_difference(before: Library, after: Library) -> Difference:
    """Return what differs. Rows are the same row by term, risk and direction; a term that is left over once on either side is one
    row whose risk or direction changed.
    """
    old, new = _keyed(before), _keyed(after)
    pairs = [(old.pop(key), new.pop(key)) for key in list(old) if key in new]
    for term, (gone, come) in _left_over(old, new).items():
        if term and len(gone) == len(come) == 1:
            pairs.append((old.pop(gone[0]), new.pop(come[0])))
    changed, same = [], 0
    for was, now in pairs:
        columns = {column: (was[column], now[column]) for column in COLUMNS if was[column] != now[column]}
        if columns:
            changed.append(Change(now["term"], now["risk"], columns))
        else:
            same += 1
    changed.sort(key=lambda change: (change.risk, change.term))
    return Difference(before.version, after.version, tuple(new.values()), tuple(old.values()), tuple(changed), same)


def as_json(difference: Difference) -> dict[str, Any]:
    """Return the difference as plain values for `--json`."""
    return {
        "before": difference.before,
        "after": difference.after,
        "same": difference.same,
        "added": list(difference.added),
        "removed": list(difference.removed),
        "changed": [
            {"term": each.term, "risk": each.risk, "columns": {column: list(pair) for column, pair in each.columns.items()}}
            for each in difference.changed
        ],
        "by_risk": [{"risk": risk, "added": a, "removed": r, "changed": c} for risk, a, r, c in difference.by_risk()],
    }


_Key = tuple[str, str, str]


def _keyed(library: Library) -> dict[_Key, Fields]:
    return {(row["risk"], row["term"], row["direction"] or "both"): row for row in library.rows()}


def _left_over(old: dict[_Key, Fields], new: dict[_Key, Fields]) -> dict[str, tuple[list[_Key], list[_Key]]]:
    by_term: dict[str, tuple[list[_Key], list[_Key]]] = defaultdict(lambda: ([], []))
    for place, keys in enumerate((old, new)):
        for key in keys:
            by_term[key[1]][place].append(key)
    return dict(by_term)
