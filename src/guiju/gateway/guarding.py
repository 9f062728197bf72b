"""What the guards of a service make of one exchange: its input, its answer, and what the record says of both."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Literal, NamedTuple

from guiju.gateway.bundle import GuardUse
from guiju.gateway.connections import Answer
from guiju.gateway.guard import GuardClient, NotExamined
from guiju.gateway.guard_parts import PARTS_AT_MOST, Part, TooLong, answer_parts, input_parts, windows
from guiju.screening.guards.form import Passage, Turn, confidence_of
from guiju.screening.values import ENDS, Direction, Hit, Policy, Verdict

_LISTED: Final = 20
"""So many examinations are listed in a record, and as many again of those that were not safe; the others are counted."""


class Examination(NamedTuple):
    """What became of a part: hits of all guards, and why one of them did not examine it, or empty."""

    hits: tuple[Hit, ...] = ()
    missed: str = ""

    @property
    def ending(self) -> tuple[Hit, ...]:
        """The hits after which the text is not delivered."""
        return tuple(hit for hit in self.hits if hit.action in ENDS)


SAFE: Final = Examination()


class Guarding:
    """The guards' part in one exchange. `close` it when the exchange ends: whatever is under way is given up."""

    __slots__ = ("_clients", "_count", "_hit", "_notes", "_policy", "_tasks", "flags", "input", "missed", "use")

    def __init__(self, clients: Sequence[GuardClient], use: GuardUse, policy: Policy) -> None:
        self.use = use
        self.flags: list[Hit] = []
        """What was found in the answer and stops nothing."""
        self.input: asyncio.Task[Examination] | None = None
        """The examination of the input, until somebody has taken its result."""
        self._clients = clients
        self._policy = policy
        self.missed: dict[Direction, str] = {}
        """Why some part of the input or of the answer was not examined."""
        self._count = 0
        self._hit = False
        self._notes: list[dict[str, object]] = []
        self._tasks: set[asyncio.Task[Examination]] = set()

    def begin(self, direction: Direction, part: Part) -> "asyncio.Task[Examination]":
        """Begin to examine a part and return the task; it raises nothing."""
        return self._kept(asyncio.create_task(self.examine(direction, part)))

    def begin_input(self, messages: Sequence[dict[str, Any]]) -> None:
        """Begin to examine what the model reads."""
        if self.looks_at("input"):
            self.input = self._kept(asyncio.create_task(self._examine_input(messages)))

    def looks_at(self, direction: Direction) -> bool:
        """Tell whether any guard examines this direction."""
        return any(client.looks_at(direction) for client in self._clients)

    @property
    def window(self) -> int:
        """How many characters every guard takes at once."""
        return min(client.guard.window_characters for client in self._clients)

    @property
    def every(self) -> int:
        """How often a growing text is examined."""
        return min(client.guard.every_characters for client in self._clients if client.looks_at("output"))

    @property
    def ahead(self) -> int:
        """How far a text may leave before it is examined."""
        if self.use.release == "after_guard":
            return 0
        return min(client.guard.lag_characters for client in self._clients if client.looks_at("output"))

    def stops_for(self, found: Examination) -> bool:
        """Tell whether such a result ends the exchange: by what was found, or because it was not examined."""
        return bool(found.ending) or (bool(found.missed) and self.use.could_not_examine == "stop")

    async def beside(self, asking: Coroutine[Any, Any, Answer]) -> Answer | None:
        """Return the upstream's answer; None, and the upstream is given up, when the input is examined before it and may not go on."""
        task, answer = asyncio.create_task(asking), None
        try:
            if self.input is not None:
                await asyncio.wait((task, self.input), return_when=asyncio.FIRST_COMPLETED)
            if self.input is None or task.done() or not self.stops_for(await self.input):
                answer = await task
            return answer
        finally:
            if answer is None:
                task.cancel()
                task.add_done_callback(_let_go)

    async def examine(self, direction: Direction, part: Part) -> Examination:
        """Return what all guards of this direction make of a part."""
        passage = Passage(direction, part.turns)
        asked = [client for client in self._clients if client.looks_at(direction)]
        if len(asked) == 1:
            return await self._ask(asked[0], passage, part)
        return together(await asyncio.gather(*(self._ask(client, passage, part) for client in asked)))

    async def examine_all(self, direction: Direction, parts: Sequence[Part]) -> Examination:
        """Return what they make of several parts at once."""
        if len(parts) == 1:
            return await self.examine(direction, parts[0])
        return together(await asyncio.gather(*(self.examine(direction, part) for part in parts)))

    async def examine_answer(self, choices: Sequence[object], question: tuple[Turn, ...]) -> list[tuple[int, Hit]] | str:
        """Return the hits in a whole answer by place of the choice, or why it could not be examined where that stops it."""
        if not self.looks_at("output"):
            return []
        try:
            places = [
                (place, part)
                for place, choice in enumerate(choices)
                for part in answer_parts(
                    choice.get("message") if isinstance(choice, dict) else None, question, f"choices[{place}].message", self.window
                )
            ]
        except TooLong:
            return self._too_long("output")
        found = await asyncio.gather(*(self.examine("output", part) for _, part in places))
        missed = together(found).missed
        ending = any(each.ending for each in found)
        if missed and not ending and self.use.could_not_examine == "stop":
            return missed
        return [(place, hit) for (place, _), each in zip(places, found, strict=True) for hit in each.hits]

    async def examine_view(self, direction: Direction, view: Sequence[tuple[str, str]]) -> Examination:
        """Return what they make of texts by themselves, each at its path, with no conversation around them."""
        role: Literal["user", "assistant"] = "user" if direction == "input" else "assistant"
        parts = [
            Part((Turn(role, text[start:end]),), path, start, end)
            for path, text in view
            if text
            for start, end in windows(0, len(text), self.window)
        ]
        if len(parts) > PARTS_AT_MOST:
            return Examination((), self._too_long(direction))
        return await self.examine_all(direction, parts) if parts and self.looks_at(direction) else SAFE

    def told(self) -> dict[str, object]:
        """Return what the record says: how many examinations, what became of them, who said what of which characters."""
        if not (self._count or self.missed):
            return {}
        outcome = "could_not_examine" if self.missed else "hit" if self._hit else "pass"
        found: dict[str, object] = {"outcome": outcome, "examinations": self._count, "listed": self._notes}
        if self.missed:
            found["reason"] = "; ".join(dict.fromkeys(self.missed.values()))
        return found

    def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()

    async def _examine_input(self, messages: Sequence[dict[str, Any]]) -> Examination:
        try:
            parts = input_parts(messages, self.window)
        except (TooLong, RecursionError):
            return Examination((), self._too_long("input"))
        return await self.examine_all("input", parts) if parts else SAFE

    async def _ask(self, client: GuardClient, passage: Passage, part: Part) -> Examination:
        begun = time.monotonic()
        guard = client.guard
        self._count += 1
        note: dict[str, object] = {
            "guard": guard.name, "kind": guard.kind, "model": guard.model, "direction": passage.direction, "path": part.path,
            "start": part.start, "end": part.end,
        }  # fmt: skip
        try:
            finding = await client.examine(passage)
        except NotExamined as problem:
            reason = f"{guard.name}: {problem}"
            self.missed.setdefault(passage.direction, reason)
            self._note(note | {"verdict": "could_not_examine", "reason": str(problem)}, begun, safe=False)
            return Examination((), reason)
        note["verdict"] = finding.level
        if finding.version:
            note["version"] = finding.version
        if finding.score:
            note["score"] = finding.score
        if finding.level == "safe":
            self._note(note, begun, safe=True)
            return SAFE
        self._hit = True
        note["categories"] = list(finding.categories)
        self._note(note, begun, safe=False)
        confidence = confidence_of(finding.level)
        return Examination(
            tuple(
                Hit(
                    part.path, part.start, part.end, risk, f"GD-{guard.name}", "block" if finding.level == "unsafe" else "flag",
                    self._policy.action(passage.direction, risk, confidence), confidence,
                )
                for risk in client.form.risks_of(finding)
            )
        )  # fmt: skip

    def _note(self, note: dict[str, object], begun: float, *, safe: bool) -> None:
        if len(self._notes) < (_LISTED if safe else 2 * _LISTED):
            note["duration_us"] = int((time.monotonic() - begun) * 1_000_000)
            self._notes.append(note)

    def _too_long(self, direction: Direction) -> str:
        self.missed.setdefault(direction, "too long")
        return "too long"

    def _kept(self, task: "asyncio.Task[Examination]") -> "asyncio.Task[Examination]":
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def together(found: Sequence[Examination]) -> Examination:
    """Return several examinations as one."""
    return Examination(tuple(hit for each in found for hit in each.hits), next((each.missed for each in found if each.missed), ""))


def reason_of(found: Examination) -> str:
    """Return why something was not examined, without the guard's name: users need not know whom we ask."""
    return found.missed.partition(": ")[2] or found.missed


def with_guards(verdict: Verdict, found: Examination, *, stops: bool) -> Verdict:
    """Return the verdict on an input with what guards say of it; `stops` where an input that was not examined is refused."""
    hits = verdict.hits + found.hits
    if found.ending:
        return Verdict("hit", "refuse", hits)
    if found.missed:
        return Verdict("could_not_examine", "refuse" if stops else verdict.action, hits, found.missed)
    return Verdict("hit", verdict.action, hits) if found.hits else verdict


def _let_go(task: "asyncio.Task[Answer]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
