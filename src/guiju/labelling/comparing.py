"""What happened to a label between two states of a file: kept, added, removed, changed. Nobody may delete or alter one.

Source: Labelling Measures Arts. 6 and 10; Deep Synthesis Provisions Art. 18.
"""

from typing import Final, Literal

import msgspec

from guiju.labelling.annex_e import KEYS
from guiju.labelling.files import Inspection

Change = Literal["kept", "added", "removed", "changed", "propagated", "none", "inconclusive"]
CHANGES: Final[dict[Change, tuple[str, str]]] = {
    "kept": ("标识保留", "the label is the same"),
    "added": ("标识为新加", "a label was added"),
    "removed": ("标识被删除", "the label was removed"),
    "changed": ("标识被改动", "the label was changed"),
    "propagated": ("只改动了传播者字段", "the propagator's keys alone are others"),
    "none": ("前后都没有标识", "there was and is no label"),
    "inconclusive": ("无法判断", "cannot be told"),
}
_PROPAGATORS: Final = frozenset(KEYS[4:])


class Comparison(msgspec.Struct, frozen=True):
    """The change, and the keys of Annex E whose values differ."""

    change: Change
    keys: list[str]


def compare(before: Inspection, after: Inspection) -> Comparison:
    """Compare two inspections of what should be one content."""
    if before.damaged is not None or after.damaged is not None:
        return Comparison("inconclusive", [])
    if before.label is None or after.label is None:
        if before.label is after.label:
            same = [place.text for place in before.places] == [place.text for place in after.places]
            return Comparison("none" if not before.places and not after.places else "kept" if same else "inconclusive", [])
        return Comparison("added" if before.label is None else "removed", list(KEYS))
    old, new = msgspec.structs.astuple(before.label), msgspec.structs.astuple(after.label)
    keys = [key for key, was, is_now in zip(KEYS, old, new, strict=True) if was != is_now]
    if not keys:
        return Comparison("kept", [])
    return Comparison("propagated" if set(keys) <= _PROPAGATORS else "changed", keys)
