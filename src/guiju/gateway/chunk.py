"""What a chunk of a stream holds beside running text: names that mean something, and values that leave whole or not at all."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.personal.finds import Screen, mask_value
from guiju.screening.values import Hit, Policy
from guiju.screening.view import strings

WHOLE: Final = frozenset(("role", "id", "type", "name", "object", "call_id"))
"""Fields that most clients take from one event: never held in part. Some clients join them, so the join is watched too."""
ENVELOPE: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
"""What an event made here repeats of the upstream's last one."""
BESIDE: Final = frozenset((*ENVELOPE, "usage"))
OURS: Final = frozenset(("aigc", "retraction"))
"""Names that only this gateway may use: nobody else's label or retraction is passed on under them."""
FINISHES: Final = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
_SEEN_LIMIT: Final = 1_000


class Wholes:
    """The values of one stream that leave whole. What is found in them goes into `hits`."""

    __slots__ = ("_hits", "_policy", "_said", "_screen", "_snapshot", "seen")

    def __init__(self, snapshot: Snapshot, policy: Policy, screen: Screen, said: Callable[[str], bool], hits: list[Hit]) -> None:
        self.seen: set[str] = set()
        """Strings that passed: the same ones stand in every event."""
        self._snapshot = snapshot
        self._policy = policy
        self._screen = screen
        self._said = said
        self._hits = hits

    def is_clean(self, value: object, path: str) -> bool:
        """Examine a value as a whole."""
        for text in [value] if isinstance(value, str) else strings(value):
            if text in self.seen:
                continue
            verdict = self._snapshot.examine(text, "output", self._policy, path)
            self._hits += verdict.hits
            if verdict.action != "deliver":
                return False
            if len(self.seen) < _SEEN_LIMIT and len(text) < 256:
                self.seen.add(text)
        return True

    def masked(self, value: Any, path: str) -> Any:
        """Return a value with what is personal in it hidden; stopping is for the texts of the answer."""
        hits: list[Hit] = []
        masked = mask_value(value, self._screen, self._said, path, hits)
        self._hits += [msgspec.structs.replace(hit, action="mask") for hit in hits]
        return masked
