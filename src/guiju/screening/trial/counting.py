"""What two libraries make of the same content: counts, and never a word of it. Pure.

A request counts as refused, an answer as stopped, where a term does it under the policy of its service for an adult. Personal information, the
classifier and guards judge alike under both libraries and are left out. A record that holds no request and no answer that can be read counts
as not examined.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from guiju.screening.matching.conversation import across, joints
from guiju.screening.matching.snapshot import Snapshot, verdict_of
from guiju.screening.values import ENDS, Direction, Hit, Policy
from guiju.screening.view import paths

KINDS: Final = (
    "gateway.answer.opened",
    "gateway.answer.delivered",
    "gateway.answer.stopped",
    "gateway.answer.interrupted",
    "gateway.input.refused",
)
"""Records whose content holds what people asked or models answered."""
RULES_KEPT: Final = 200


@dataclass(slots=True)
class Side:
    """Requests, or answers: how many were examined, and how many each library ends."""

    examined: int = 0
    before: int = 0
    after: int = 0
    newly: int = 0
    no_longer: int = 0


@dataclass(slots=True)
class Counts:
    """All of a dry run. `rules` gives, for each rule, in how many requests and answers the library after has it and the one before has not."""

    inputs: Side = field(default_factory=Side)
    answers: Side = field(default_factory=Side)
    gone: int = 0
    not_examined: int = 0
    newly_hit: Counter[str] = field(default_factory=Counter)
    no_longer_hit: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)

    def add(self, content: bytes, before: Snapshot, after: Snapshot, policy: Policy) -> None:
        """Examine one content under both libraries."""
        found = False
        for direction, value in _parts(content):
            found = True
            side = self.inputs if direction == "input" else self.answers
            was, now = (_hits(snapshot, direction, value, policy) for snapshot in (before, after))
            side.examined += 1
            ended, ends = (verdict_of(hits).action in ENDS for hits in (was, now))
            side.before += ended
            side.after += ends
            side.newly += ends and not ended
            side.no_longer += ended and not ends
            old, new = {hit.rule for hit in was}, {hit.rule for hit in now}
            self.hit.update(new)
            self.newly_hit.update(new - old)
            self.no_longer_hit.update(old - new)
        self.not_examined += not found

    def plain(self) -> dict[str, Any]:
        """Return the counts as JSON can hold them; of rules those with the most new hits, then the most hits."""
        rules = sorted(
            {*self.hit, *self.no_longer_hit},
            key=lambda rule: (-self.newly_hit[rule], -self.no_longer_hit[rule], -self.hit[rule], rule),
        )
        return {
            "inputs": _plain(self.inputs),
            "answers": _plain(self.answers),
            "gone": self.gone,
            "not_examined": self.not_examined,
            "rules_hit": len(rules),
            "rules": [
                {"rule": rule, "newly": self.newly_hit[rule], "no_longer": self.no_longer_hit[rule], "hit": self.hit[rule]}
                for rule in rules[:RULES_KEPT]
            ],
        }


def _plain(side: Side) -> dict[str, int]:
    return {
        "examined": side.examined,
        "before": side.before,
        "after": side.after,
        "newly": side.newly,
        "no_longer": side.no_longer,
    }


def _parts(content: bytes) -> Iterator[tuple[Direction, Any]]:
    """Yield the request and the answer in a content; an answer is a completion, or the texts of a stream by their paths."""
    try:
        kept = msgspec.msgpack.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if not isinstance(kept, dict):
        return
    for name, direction in (("request", "input"), ("answer", "output")):
        value = kept.get(name)
        if isinstance(value, bytes):
            try:
                value = msgspec.json.decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
        if isinstance(value, dict):
            yield direction, value  # type: ignore[misc]  # one of the two words above


def _hits(snapshot: Snapshot, direction: Direction, value: Mapping[str, Any], policy: Policy) -> Sequence[Hit]:
    hits = snapshot.examine_all(paths(dict(value)), direction, policy).hits
    messages = value.get("messages")
    if direction == "output" or not isinstance(messages, list):
        return hits
    runs = joints(messages, snapshot.longest)
    return (*hits, *across(runs, snapshot, direction, policy)) if runs else hits
