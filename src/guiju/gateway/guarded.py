"""What a call that guards take part in does with their word: the input's verdict, a whole answer, an answer that streams."""

import asyncio
from collections.abc import Sequence
from typing import Any

from guiju.core.errors import GuijuError
from guiju.gateway import errors
from guiju.gateway.call import Call
from guiju.gateway.connections import Answer
from guiju.gateway.guard_parts import question_of
from guiju.gateway.guard_stream import GuardedAnswer
from guiju.gateway.guarding import Examination, Guarding, reason_of, with_guards
from guiju.screening.values import PASS, Hit, Verdict


class GuardedCall(Call):
    """A call whose input and answer guards may examine; without guards it has none of this."""

    _guarding: Guarding | None = None
    """What guards elsewhere make of it; None where the service has none."""
    _asked: dict[str, Any] = {}  # replaced whole, never changed
    """The request as it goes to the upstream."""
    _verdict: Verdict = PASS
    """The verdict on the input."""

    async def _await_input(self, guarding: Guarding, examining: "asyncio.Task[Examination]") -> None:
        """Wait for the guards' word on the input. Raises INPUT-REFUSED, and GUARD-UNAVAILABLE where the service stops for that."""
        self.deadline = 0.0  # guards have their own
        guarding.input = None
        if self._take_input(await examining):
            raise GuijuError(errors.INPUT_REFUSED)

    def _take_input(self, found: Examination) -> Sequence[Hit]:
        """Take the guards' word on the input; return what ends the exchange."""
        assert self._guarding is not None
        stops = self._guarding.use.could_not_examine == "stop"
        self._verdict = with_guards(self._verdict, found, stops=stops)
        if found.missed and stops and not found.ending:
            raise GuijuError(errors.GUARD_UNAVAILABLE, reason=reason_of(found))
        return found.ending

    async def _ask_guards(self, guarding: Guarding, choices: object) -> list[tuple[int, Hit]]:
        """Return what guards find in a whole answer, by place of the choice."""
        question = question_of(self._asked["messages"], guarding.window)
        found = await guarding.examine_answer(choices if isinstance(choices, list) else [], question)
        if isinstance(found, str):
            raise GuijuError(errors.GUARD_UNAVAILABLE, reason=found)
        return found

    def _guarded(self, guarding: Guarding, response: Answer, idle_ms: int) -> "Answer | GuardedAnswer":
        """Return the answer as guards let it through."""
        if guarding.input is None and not guarding.looks_at("output"):
            return response

        def wait(upstream: bool) -> None:
            if upstream:
                self._wait(idle_ms, "next_piece")
            else:
                self.deadline = 0.0  # guards have their own

        question = question_of(self._asked["messages"], guarding.window)
        return GuardedAnswer(response, guarding, question, on_input=self._take_input, on_wait=wait)
