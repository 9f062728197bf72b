"""A streamed answer that guards examine while it comes: what the exchange reads instead of the upstream itself.

    upstream bytes → events → examined text by text, at the same points however they came
                            └ events whose text was examined (or may run ahead) → the stream's own screening

In the strict way an event that reaches beyond a point is divided there, so that what has left when a guard says "unsafe" is the text up
to the last point before: the same for every way of cutting the stream. The finish of a choice waits in every way.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Final

import msgspec

from guiju.core.errors import GuijuError
from guiju.gateway.connections import Answer
from guiju.gateway.errors import GUARD_UNAVAILABLE, INPUT_REFUSED
from guiju.gateway.guard_parts import Growing, Part, windows
from guiju.gateway.guarding import Examination, Guarding, reason_of
from guiju.gateway.places import Path, nest, place_of, shown
from guiju.gateway.sse import Cutter, EventTooLong
from guiju.gateway.stream import UpstreamBroken
from guiju.screening.guards.form import Turn
from guiju.screening.values import Hit
from guiju.screening.view import is_base64

Place = tuple[int, Path]

_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(dict[str, Any]).decode
_NAMES: Final = frozenset(("role", "id", "type", "name", "call_id"))
"""Fields that say what something is, not what somebody reads."""
_AUDIO: Final[Path] = ("audio", "data")
_AT_A_TIME: Final = 4
"""So many points of one text are examined at a time."""
_HELD_BYTES: Final = 2**20
"""With so much waiting for a guard, the upstream waits too."""
_ENVELOPE: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
"""What stands beside the choices in every part of an event that was divided."""


class Unsafe(Exception):
    """A guard says that the answer must not go on: one choice, or all of them."""

    def __init__(self, hits: Sequence[Hit], choice: int | None) -> None:
        super().__init__("unsafe")
        self.hits = hits
        self.choice = choice


class _Event:
    """An event that waits: how far which texts must be examined, and which choices whole (None for all) before it may go on."""

    __slots__ = ("ends", "needs", "raw")

    def __init__(self, raw: bytes, needs: list[tuple[Place, int]], ends: set[int] | None) -> None:
        self.raw = raw
        self.needs = needs
        self.ends = ends


class GuardedAnswer:
    """The body of an upstream's answer, as far as guards let it through. Read it like an `Answer`; `close` it when done."""

    def __init__(
        self, answer: Answer, guarding: Guarding, question: tuple[Turn, ...], *,
        on_input: Callable[[Examination], Sequence[Hit]], on_wait: Callable[[bool], None],
    ) -> None:  # fmt: skip
        """`on_input` takes the verdict on the input and returns what ends the answer; `on_wait` hears whether the upstream is waited for."""
        self._answer = answer
        self._guarding = guarding
        self._question = question
        self._on_input = on_input
        self._on_wait = on_wait
        self._examines = guarding.looks_at("output")
        self._ahead = guarding.ahead if self._examines else 0
        self._waits = guarding.use.input == "wait"
        self._cutter = Cutter()
        self._queue: deque[_Event] = deque()
        self._held_bytes = 0
        self._texts: dict[Place, Growing] = {}
        self._flights: dict[Place, deque[tuple[int, asyncio.Task[Examination]]]] = {}
        self._stopped: set[int] = set()
        self._reading: asyncio.Task[bytes] | None = None
        self._closed = False

    async def readany(self) -> bytes:
        """Return what may go on, at least a byte; empty at the end of the answer.

        Raises Unsafe, INPUT-REFUSED while nothing has left, GUARD-UNAVAILABLE where the service stops for that, UpstreamBroken, and OSError as an `Answer` does.
        """
        while True:
            out = self._released()
            if out:
                return out
            if self._settled():
                continue
            if self._closed and not self._queue:
                return b""
            self._launch()
            await self._something()

    def close(self) -> None:
        """Read no more and give up what is being examined."""
        reading = self._reading
        if reading is not None and not reading.cancel() and not reading.cancelled():
            reading.exception()  # it was the exchange that ended; nobody will ask
        self._give_up(list(self._flights))

    # ── what waits ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _before_the_input(self) -> bool:
        """Whether nothing may come of the answer yet: what is there of it is examined meanwhile."""
        return self._waits and self._guarding.input is not None

    def _released(self) -> bytes:
        if self._before_the_input:
            return b""
        out = []
        while self._queue and self._may_leave(self._queue[0]):
            event = self._queue.popleft()
            self._held_bytes -= len(event.raw)
            out.append(event.raw)
        return b"".join(out)

    def _may_leave(self, event: _Event) -> bool:
        for place, end in event.needs:
            if place[0] not in self._stopped and end > self._texts[place].cleared + self._ahead:
                return False
        if event.ends == set():
            return True
        if self._guarding.input is not None:
            return False
        return all(
            text.cleared >= text.length
            for place, text in self._texts.items()
            if place[0] not in self._stopped and (event.ends is None or place[0] in event.ends)
        )

    def _settled(self) -> bool:
        """Take one result that is there; return whether there was one. Results of one text count in the order of its points."""
        guarding = self._guarding
        if guarding.input is not None and guarding.input.done():
            found, guarding.input = guarding.input.result(), None
            ending = self._on_input(found)
            if ending and self._waits:
                raise GuijuError(INPUT_REFUSED)
            if ending:
                raise Unsafe(ending, None)
            return True
        if self._before_the_input:
            return False
        for place, flights in self._flights.items():
            if flights and flights[0][1].done():
                end, task = flights.popleft()
                self._take(place, end, task.result())
                return True
        return False

    def _take(self, place: Place, end: int, found: Examination) -> None:
        if found.ending:
            self._stopped.add(place[0])
            self._give_up([each for each in self._flights if each[0] == place[0]])
            raise Unsafe(found.hits, place[0])
        if found.missed and self._guarding.use.could_not_examine == "stop":
            raise GuijuError(GUARD_UNAVAILABLE, reason=reason_of(found))
        self._guarding.flags += found.hits
        self._texts[place].cleared = end

    def _give_up(self, places: Sequence[Place]) -> None:
        for place in places:
            for _, task in self._flights.pop(place, ()):
                task.cancel()

    def _launch(self) -> None:
        window = self._guarding.window
        for place, text in self._texts.items():
            if place[0] in self._stopped:
                continue
            flights = self._flights.setdefault(place, deque())
            while text.points and len(flights) < (1 if self._ahead else _AT_A_TIME):
                done = flights[-1][0] if flights else text.cleared
                end = text.points.popleft()
                while self._ahead and text.points and text.points[0] - done <= window:
                    end = text.points.popleft()  # the text has run on: what is there is examined at once
                flights.append((end, asyncio.create_task(self._examine(place, text, done, end, window))))

    def _examine(self, place: Place, text: Growing, done: int, end: int, window: int) -> Coroutine[Any, Any, Examination]:
        path = shown(*place)
        parts = [Part((*self._question, Turn("assistant", text.shown(a, b, window))), path, a, b) for a, b in windows(done, end, window)]
        return self._guarding.examine_all("output", parts)

    async def _something(self) -> None:
        """Wait until more has come or something was examined."""
        waiting: list[asyncio.Task[Any]] = []
        if not self._before_the_input:
            waiting += [flights[0][1] for flights in self._flights.values() if flights]
        if self._guarding.input is not None:
            waiting.append(self._guarding.input)
        reads = not self._closed and (self._held_bytes < _HELD_BYTES or not waiting)
        if reads:
            if self._reading is None:
                self._reading = asyncio.create_task(self._answer.readany())
            waiting.append(self._reading)
        self._on_wait(reads)
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        reading = self._reading
        if reading is not None and reading.done():
            self._reading = None
            self._more(reading.result())

    # ── what comes ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _more(self, raw: bytes) -> None:
        if not raw:
            self._closed = True
            if self._cutter.rest:
                self._hold(_Event(self._cutter.rest, [], set()))
            for text in self._texts.values():
                text.end()
            return
        try:
            events = self._cutter.feed(raw)
        except EventTooLong:
            raise UpstreamBroken("an event without end") from None
        for data in events:
            if data[:6] == b"[DONE]":
                for text in self._texts.values():
                    text.end()
                self._hold(_Event(b"data: [DONE]\n\n", [], None))
            elif data:
                self._event(data)

    def _event(self, data: bytes) -> None:
        try:
            event = _DECODE(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            event = {}  # the stream's own reading says what is wrong with it
        try:
            found = _texts_in(event) if self._examines else []
        except RecursionError:
            raise UpstreamBroken("an event is nested too deeply") from None
        raw = b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n"
        if not self._examines:
            self._hold(_Event(raw, [], _finished(event)))
            return
        needs: list[tuple[Place, int]] = []
        divided: list[tuple[Any, str | int, list[str], Place, list[int]]] = []
        for place, holder, name in found:
            text = self._texts.get(place)
            if text is None:
                text = self._texts[place] = Growing(self._guarding.every)
            begin, piece = text.length, holder[name]
            points = [point for point in text.grow(piece) if point < text.length]
            if points and not self._ahead and place[0] not in self._stopped:
                marks = [0, *(point - begin for point in points), len(piece)]
                divided.append((holder, name, [piece[a:b] for a, b in zip(marks, marks[1:], strict=False)], place, [*points, text.length]))
                needs.append((place, points[0]))
            else:
                needs.append((place, text.length))
        ends = _finished(event)
        for index in ends:
            for place, text in self._texts.items():
                if place[0] == index:
                    text.end()
        if not divided:
            self._hold(_Event(raw, needs, ends))
            return
        last = _ending_of(event)
        for holder, name, pieces, _, _ in divided:
            holder[name] = pieces[0]
        self._hold(_Event(_wire(event), needs, set()))
        beside = {name: event[name] for name in _ENVELOPE if name in event}
        for _, _, pieces, place, marks in divided:
            for piece, mark in zip(pieces[1:], marks[1:], strict=True):
                delta = {"index": place[0], "delta": nest(place[1], piece), "finish_reason": None}
                self._hold(_Event(_wire(beside | {"choices": [delta]}), [(place, mark)], set()))
        if last:
            self._hold(_Event(_wire(beside | {"choices": last}), [], ends))

    def _hold(self, event: _Event) -> None:
        self._queue.append(event)
        self._held_bytes += len(event.raw)


def _wire(event: dict[str, Any]) -> bytes:
    return b"data: " + _ENCODE(event) + b"\n\n"


def _choices(event: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        index = choice.get("index", 0) if isinstance(choice, dict) else None
        if isinstance(index, int):
            yield index, choice


def _finished(event: dict[str, Any]) -> set[int]:
    return {index for index, choice in _choices(event) if choice.get("finish_reason")}


def _ending_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Take finish reasons and log probabilities out of an event that is divided, and return them as the choices of its last part."""
    last: list[dict[str, Any]] = []
    for index, choice in _choices(event):
        finish, logprobs = choice.get("finish_reason"), choice.get("logprobs")
        if finish or logprobs:
            last.append({"index": index, "delta": {}, "finish_reason": finish, "logprobs": logprobs})
            choice["finish_reason"] = choice["logprobs"] = None
    return last


def _texts_in(event: dict[str, Any]) -> list[tuple[Place, Any, str | int]]:
    """Return every text of an event that somebody reads: its place, and where it stands."""
    found: list[tuple[Place, Any, str | int]] = []
    for index, choice in _choices(event):
        if isinstance(choice.get("delta"), dict):
            _collect(choice["delta"], index, (), found)
    return found


def _collect(value: Any, index: int, path: Path, found: list[tuple[Place, Any, str | int]]) -> None:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        if isinstance(item, str):
            here = (*path, name)
            if item and name not in _NAMES and not (here == _AUDIO and is_base64(item)):
                found.append(((index, here), value, name))
        elif isinstance(item, (dict, list)):
            step = place_of(item, name) if isinstance(name, int) else name
            _collect(item, index, (*path, step), found)
