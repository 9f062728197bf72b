"""A streamed answer on its way to the client: upstream bytes in, screened and labelled bytes out. No input or output here.

Every event is parsed, rebuilt from what screening let out, and encoded anew: what the client receives is what was
examined. Text waits only while its tail could still become a hit; each choice and each field waits for itself, until another begins.

    upstream events → gate and mask per choice and field → label → events for the client
                                                        ├ at once                      (`feed`, `stop_early`)
                                                        └ after the record is durable  (`tail`: last finish, usage, [DONE])
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from guiju.gateway.causation import FINISH_CHARACTERS, Outcome
from guiju.gateway.choice import Choice, applied_to, flags_of
from guiju.gateway.chunk import BESIDE, ENVELOPE, FINISHES, OURS, WHOLE, Wholes
from guiju.gateway.classified import Way, watched
from guiju.gateway.inline import begins_run, refuse_field, refuse_files
from guiju.gateway.places import Path, is_plain, nest, place_of, shown
from guiju.gateway.spelled import Spelled
from guiju.gateway.sse import DONE, Cutter, EventTooLong
from guiju.labelling.explicit import Applied, begins_with_label, ends_with_label, prefix, stays_readable, suffix, without_words
from guiju.labelling.implicit import aigc_object
from guiju.labelling.values import Label
from guiju.screening.classifier.model import Classifier
from guiju.screening.matching.continued import Before
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.outlet import Outlet
from guiju.screening.parted import Parted
from guiju.screening.parts import text_at
from guiju.screening.personal.finds import NOTHING_SAID, screen_for
from guiju.screening.values import Hit, Policy
from guiju.screening.view import API_NAMES

_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(dict[str, Any]).decode
_CONTENT: Final[Path] = ("content",)
_JOIN_CHARACTERS: Final = 1_000
_CHOICES_LIMIT: Final = 128


class UpstreamBroken(Exception):
    """The upstream sent something that is no chat completion stream; the text says what."""


class AnswerStream:
    """One streamed answer. `feed` it what the upstream sends, send what it returns, and stop reading when `ended`.

    When the answer ended, record it, and then send `tail()`. `fail` ends it with an error instead.
    """

    def __init__(
        self, snapshot: Snapshot, policy: Policy, label: Label, produce_id: str, *, choices: int, prose: bool, notice: str, model: str = "",
        said: Callable[[str], bool] = NOTHING_SAID, machine: bool = False, before: Before | None = None,
        classifier: Classifier | None = None,
    ) -> None:  # fmt: skip
        self.ended = False
        self._before = before
        self.hits: list[Hit] = []
        self.usage: dict[str, Any] | None = None
        self.upstream_id = ""
        self.upstream_model = ""
        self._system_fingerprint: object = None
        self._snapshot = snapshot
        self._trie = snapshot.trie(policy, "output")
        self._screen = screen_for(policy, "output")
        self._said = said
        self._classifier = classifier
        self._machine = machine
        """Whether the answer is JSON for a program."""
        self._policy = policy
        self._label = label
        self._produce_id = produce_id
        self._expected = choices
        self._prose = prose
        self._lead = prefix(label) if prose and begins_with_label(label.mode) else ""
        self._notice = notice
        self._model = model
        """What the model is called here, where the upstream calls it otherwise."""
        self._cutter = Cutter()
        self._choices: dict[int, Choice] = {}
        wholes = Wholes(snapshot, policy, self._screen, said, self.hits)
        self._is_clean, self._masked, self._seen = wholes.is_clean, wholes.masked, wholes.seen
        self._head: dict[str, Any] = {}
        self._out: list[bytes] = []
        self._tail: list[dict[str, Any]] = []
        self._closing = False
        self._first = True

    # ── what the exchange asks ──────────────────────────────────────────────────────────────────────────────────────

    def feed(self, raw: bytes) -> bytes:
        """Take bytes from the upstream, cut anywhere, and return the bytes that may be sent now.

        Raises UpstreamBroken for anything but a stream of chat completion chunks; what was returned before stands.
        """
        try:
            for event in self._cutter.feed(raw):
                if event[:6] == b"[DONE]":
                    self._complete()
                    break
                if event:
                    self._event(event)
                if self.ended:
                    break
        except EventTooLong:
            raise UpstreamBroken("an event without end") from None
        except RecursionError:
            raise UpstreamBroken("an event is nested too deeply") from None
        return self._taken()

    def finish(self) -> bytes:
        """Say that the upstream closed. Raises UpstreamBroken when the answer is not complete."""
        if not self.ended:
            if not self._choices or any(not choice.ended for choice in self._choices.values()):
                raise UpstreamBroken(
                    "the stream ended inside an event" if self._cutter.rest.strip() else "the stream ended before the answer did"
                )
            self._complete()
        return self._taken()

    def fail(self, error: Mapping[str, object], *, decide: bool = True) -> bytes:
        """End the answer with an error: let out what is decided, label it, and put the error before the end.

        An answer that had ended is taken back to the error alone: its finish was not sent yet and will not be. Without
        `decide` nothing more is examined and nothing more leaves: screening itself is what failed.
        """
        if self.ended:
            self._tail.clear()
        for choice in list(self._choices.values()):
            if not choice.ended and decide:
                self._flush(choice)
            if not choice.ended:
                self._close_text(choice)
                choice.ended = "error"
        self._tail.append({"error": dict(error)})
        self._close()
        return self._taken()

    def stop(self, hits: Sequence[Hit], index: int | None = None) -> bytes:
        """End one choice, or all of them, for what something else found in the answer; return the bytes that may be sent now.

        What had left stays and is retracted by the notice; what still waited is not delivered. A choice that had ended stays as it is.
        """
        self.hits += hits
        known = range(max(self._expected, len(self._choices))) if index is None else (index,)
        for each in known:
            self._stop(self._choices.get(each) or self._new_choice(each))
        return self._taken()

    def tail(self) -> bytes:
        """Return the last bytes of the answer; they leave after its record is durable."""
        for chunk in reversed(self._tail):
            if "error" not in chunk:
                chunk["aigc"] = self._aigc()
                break
        else:
            self._tail.insert(0, {**self._envelope(), "choices": [self._nothing()], "aigc": self._aigc()})
        if "aigc" in self._tail[0]:
            self._tail[0]["aigc"] = self._aigc()  # where the first event waits for the record too, everything is decided
        return b"".join([b"data: " + _ENCODE(chunk) + b"\n\n" for chunk in self._tail]) + DONE

    @property
    def applied(self) -> Applied:
        """How the answer was labelled for people: by words in every text it holds, or else by the interface."""
        return applied_to(self._choices.values(), self._label)

    @property
    def complete(self) -> bool:
        """Whether every choice has its finish: what the upstream does after that cannot spoil the answer."""
        return self._closing

    @property
    def finishes(self) -> list[str]:
        """Why each choice ended, by index; empty text for one that did not."""
        return [self._choices[index].ended[:FINISH_CHARACTERS] for index in sorted(self._choices)]

    @property
    def released_characters(self) -> int:
        """How many characters of the answer were let out."""
        return sum(choice.released for choice in self._choices.values())

    def texts(self) -> dict[str, str]:
        """Return all text that the upstream sent, by path, whether it left or not. For the record, sealed."""
        return {shown(choice.index, path): "".join(pieces) for choice in self._choices.values() for path, pieces in choice.texts.items()}

    def outcome(self) -> Outcome:
        """Return what became of the answer, for its record."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        texts = ["".join(choice.texts.get(_CONTENT, ())) for choice in choices]
        calls = [call for choice in choices if len(choice.texts) > 1 for call in choice.tool_calls()]
        return Outcome(
            self.hits, self.finishes, self.applied, self.released_characters, self.upstream_id, self.usage, self.upstream_model,
            self._system_fingerprint, texts, calls,
        )  # fmt: skip

    def note_flags(self) -> None:
        """Add to `hits` what stopped nothing: personal information that was hidden, and words that are only flagged."""
        self.hits += flags_of(self._choices.values(), self.texts(), self._snapshot, self._policy)

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _event(self, event: bytes) -> None:
        try:
            chunk = _DECODE(event)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise UpstreamBroken(f"an event is not a JSON object: {problem}") from None
        if chunk.get("error"):
            raise UpstreamBroken("it reports an error in the stream")
        choices = chunk.pop("choices", None)
        if not self._head_is_clean(chunk):
            return
        for name in chunk.keys() - BESIDE:
            refuse_files((name,), chunk[name])
            chunk[name] = self._masked(chunk[name], name)
        self._head = chunk
        if not isinstance(choices, list):
            raise UpstreamBroken("an event has no choices")
        if not choices:
            if not self._closing or isinstance(chunk.get("usage"), dict):
                chunk["choices"] = []
                self._emit(chunk)
            return
        out: list[dict[str, Any]] = []
        for choice in choices:
            if not isinstance(choice, dict):
                raise UpstreamBroken("a choice is not an object")
            if out and choice.get("index", 0) in [each["index"] for each in out]:  # it goes on: what it said before leaves before
                self._emit({**self._envelope(), "choices": out})
                out = []
            kept = self._choice(choice)
            if kept is not None:
                out.append(kept)
        if out:
            self._emit({**chunk, "choices": out})
        elif not self.ended and any(value for name, value in chunk.items() if name not in ENVELOPE):
            self._emit_beside(chunk, [choice.get("index", 0) for choice in choices])

    def _head_is_clean(self, chunk: dict[str, Any]) -> bool:
        """Examine everything beside the choices; a hit there stops the whole answer."""
        ours = []
        for name, value in chunk.items():
            if value.__class__ is str:
                if value in self._seen and (name in API_NAMES or name in self._seen):
                    continue
            elif name == "usage":
                if isinstance(value, dict):
                    self.usage = value
                if not value:
                    continue
            elif (value is None or value.__class__ is int) and name in API_NAMES:
                continue
            if name in OURS:
                ours.append(name)
                continue
            if not self._is_clean([value, name] if name not in API_NAMES else value, name):
                self._head = {}
                for index in range(max(self._expected, len(self._choices))):
                    self._stop(self._choices.get(index) or self._new_choice(index))
                return False
        for name in ours:
            del chunk[name]
        if not self.upstream_id:
            self.upstream_id = str(chunk.get("id", ""))
            self.upstream_model = str(chunk.get("model", ""))
            self._system_fingerprint = chunk.get("system_fingerprint")
        if self._model and "model" in chunk:
            chunk["model"] = self._model
        return True

    def _new_choice(self, index: int) -> Choice:
        choice = self._choices[index] = Choice(index)
        return choice

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        """Return what of this choice's event may leave now, or None."""
        index = choice.get("index", 0)
        if not isinstance(index, int) or not 0 <= index < _CHOICES_LIMIT:
            raise UpstreamBroken("a choice has no index that it could have")
        state = self._choices.get(index) or self._new_choice(index)
        if state.ended:
            return None
        delta = choice.get("delta")
        if delta is not None and not isinstance(delta, dict):
            raise UpstreamBroken("a delta is not an object")
        released = self._delta(state, delta) if delta else {}
        if released is None:
            return None
        finish = choice.get("finish_reason")
        if finish and not (isinstance(finish, str) and finish in FINISHES) and not self._whole(state, ("finish_reason",), finish):
            return None
        kept: dict[str, Any] = {"index": index, "delta": released, "finish_reason": None}
        for name, value in choice.items():
            if name == "logprobs":
                if value and not self._take_logprobs(state, value):
                    return None
            elif name not in kept:
                refuse_files((name,), value)
                if not self._is_clean([value, name], shown(index, (name,))):
                    self._stop(state)
                    return None
                if isinstance(value, str) and not self._whole(state, (name,), value):
                    return None
                kept[name] = value if is_plain(value) else self._masked(value, shown(index, (name,)))
        state.partial = {}
        if finish:
            return self._finish(state, kept, str(finish))
        if state.logprobs is not None and not (state.logprobs.holds or any(gate.holds for gate in state.gates.values())):
            state.give_logprobs(kept)
        return kept if released or not delta or len(kept) > 3 else None

    def _delta(self, state: Choice, delta: dict[str, Any]) -> dict[str, Any] | None:
        """Return the delta with only the text that may leave; None when the choice was stopped."""
        released = state.partial = {}
        calls: list[Any] = []
        for name, value in delta.items():
            if value.__class__ is str and name in API_NAMES and name not in WHOLE:
                text = self._text(state, (name,), value)
                if state.ended:
                    return None
                if text or not value:
                    released[name] = text
            elif name in API_NAMES and (value is None or value is True or value is False):
                released[name] = value
            elif name == "tool_calls" and value.__class__ is list:
                calls = value or released.setdefault(name, value)
            elif name == "content" and value.__class__ is list and value:
                self._parts(state, value, released)
                if state.ended:
                    return None
            else:
                kept = self._nested(state, value, (name,), name)
                if state.ended:
                    return None
                if kept is not None or value is None:
                    released[name] = kept
        for place, call in enumerate(calls):
            if state.waits:  # the call before it, or the text, ends in this very event
                self._settle(state)
                if state.ended:
                    return None
                if released:
                    self._emit_delta(state.index, released)
                released = state.partial = {}
                if call.__class__ is dict:
                    call["index"] = place_of(call, place)
            kept = self._nested(state, call, ("tool_calls", place_of(call, place)), "")
            if state.ended:
                return None
            if kept is not None:
                released.setdefault("tool_calls", []).append(kept)
        if state.now == state.spoke:
            state.now.clear()
        elif state.now:
            self._settle(state)
        return None if state.ended else released

    def _settle(self, state: Choice) -> None:
        """Let out what texts hold that spoke before the event at hand and not in it: they have ended, as far as one can tell (decision 0046)."""
        for path in state.left_behind():
            gate = state.gates[path]
            text = gate.pause()
            if gate.stopped:
                state.partial = {}
                self._stop(state, path, gate, text)
                return
            if text:
                state.released += len(text)
                self._emit_delta(state.index, nest(path, state.led(path, text, self._lead)))

    def _parts(self, state: Choice, parts: list[Any], released: dict[str, Any]) -> None:
        """Take the parts of a content one after the other: what may leave of one leaves, also when the next stops the choice."""
        for place, part in enumerate(parts):
            kept = self._nested(state, part, (*_CONTENT, place_of(part, place)), "")
            if state.ended:
                return
            if kept is not None:
                released.setdefault("content", []).append(kept)

    def _nested(self, state: Choice, value: object, path: Path, name: str) -> Any:
        """Return the part of a nested value that may leave now; None for nothing."""
        if name and name not in API_NAMES and not self._is_clean(name, shown(state.index, path)):
            self._stop(state)
            return None
        if isinstance(value, str):
            refuse_field(path, value)
            if path[0] == "content" and (joined := text_at(path)) is not path:
                return self._text(state, joined, value, path)
            if name in WHOLE or not name:
                known = len(state.texts.get(path, ()))
                if not self._whole(state, path, value):
                    return None
                if len(state.texts[path]) != known:
                    state.now.append(path)
                return value
            text = self._text(state, path, value)
            return text if text or not value else None
        if isinstance(value, dict):
            parts = {
                key: item if is_plain(item) and key in API_NAMES else self._nested(state, item, (*path, key), key)
                for key, item in value.items()
            }
            kept = {key: item for key, item in parts.items() if item is not None or value[key] is None}
            return kept if set(kept) - {"index"} or set(value) <= {"index"} else None
        if isinstance(value, list):
            items = [
                self._nested(state, item, (*path, place_of(item, place)), "") if not is_plain(item) else item
                for place, item in enumerate(value)
            ]
            return [item for item in items if item is not None] or (None if value else [])
        return value

    def _whole(self, state: Choice, path: Path, value: object) -> bool:
        """Tell whether a value that is never held in part may leave; stops the choice when it may not.

        It is examined alone, and as the next piece of what the field has spelled so far: a client that joins the pieces
        of a tool's name must not get a term either.
        """
        if not isinstance(value, str):
            raise UpstreamBroken(f"{path[-1]} is not text")
        pieces = state.texts.setdefault(path, [])
        if pieces and pieces[-1] == value:
            return True  # many upstreams repeat a role or a name in every event
        pieces.append(value)
        told = shown(state.index, path)
        if self._is_clean(value, told) and (len(pieces) == 1 or self._is_clean("".join(pieces)[-_JOIN_CHARACTERS:], told)):
            return True
        self._stop(state)
        return False

    def _text(self, state: Choice, path: Path, piece: str, part: Path | None = None) -> str:
        """Feed one piece, of a `part` of the text or of all of it, through its gate; stops the choice on a hit (then the text before it has
        been emitted).
        """
        gate = state.gates.get(path)
        if gate is None:
            machine = path[0] in ("tool_calls", "function_call")
            outlet = self._outlet(machine=machine, before=self._before if path == _CONTENT else None)
            gate = state.gates[path] = watched(outlet, path, self._classifier, self._policy)
            state.texts[path] = []
        if part is not None:
            if not isinstance(gate, Parted):
                gate = state.gates[path] = Parted(gate, self._outlet)
            gate.turn_to(part)
        if piece:
            state.now.append(path)
        pieces = state.texts[path]
        pieces.append(piece)
        if state.runs and path in state.runs:
            if not state.runs[path].feed(piece):
                del state.runs[path]
        elif "," in piece and (run := begins_run(pieces)) is not None:
            state.runs[path] = run
        text = gate.feed(piece)
        if gate.stopped:
            self._stop(state, path, gate, text)
            return ""
        if text:
            state.released += len(text)
            if self._lead and not state.begun:
                return state.led(path, text, self._lead)
        return text

    def _outlet(self, *, machine: bool = False, before: Before | None = None) -> Outlet:
        return Outlet(self._trie, self._screen, self._said, machine=machine or self._machine, before=before)

    def _take_logprobs(self, state: Choice, logprobs: object) -> bool:
        """Keep log probabilities until the text they tell of has left: they spell it. False when the choice was stopped."""
        if not isinstance(logprobs, dict):
            raise UpstreamBroken("logprobs is not an object")
        if not self._is_clean(logprobs, shown(state.index, ("logprobs",))):
            self._stop(state)
            return False
        if state.logprobs is None:
            state.logprobs = Spelled(self._outlet)
        state.logprobs.take(logprobs)
        return self._spell_well(state, state.logprobs)

    def _spell_well(self, state: Choice, logprobs: Spelled) -> bool:
        """Tell whether log probabilities spell nothing that must not leave; stops the choice when they do."""
        if logprobs.stopped:
            self.hits += logprobs.hits(shown(state.index, ("logprobs",)), self._policy)
            self._stop(state)
        return not logprobs.stopped

    # ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, state: Choice, kept: dict[str, Any], reason: str) -> dict[str, Any] | None:
        """End a choice: its remaining text, its label, and then its finish reason as the last it sends."""
        if kept["delta"]:
            self._emit_delta(state.index, kept["delta"])
            kept["delta"] = {}
        self._flush(state)
        if state.ended:
            return None
        if state.logprobs is not None:
            state.logprobs.finish()
            if not self._spell_well(state, state.logprobs):
                return None
            state.give_logprobs(kept)
        self._close_text(state)
        state.ended = reason
        kept["finish_reason"] = reason
        self._close_if_all_ended()
        return kept

    def _flush(self, state: Choice) -> None:
        """Decide what the gates still hold, now that no more text comes."""
        for path, gate in state.gates.items():
            text = gate.finish()
            if gate.stopped:
                self._stop(state, path, gate, text)
                return
            if text:
                state.released += len(text)
                self._emit_delta(state.index, nest(path, state.led(path, text, self._lead)))

    def _close_text(self, state: Choice) -> None:
        """Put the label behind the text, where the text is prose."""
        if not (self._prose and ends_with_label(self._label.mode) and state.released) or any(
            path[0] in ("tool_calls", "function_call") for path in state.texts
        ):
            return
        content = state.texts.get(_CONTENT)
        if content and stays_readable("".join(content)):
            state.labelled_after = True
            self._emit_delta(state.index, {"content": suffix(self._label)})

    def _stop(self, state: Choice, path: Path = (), gate: Way | None = None, text: str = "") -> None:
        """End a choice at a hit: what was clean, the approved notice, `content_filter`, and a retraction for interfaces."""
        if state.now:
            self._settle(state)  # a text before it may wait; it may hold a hit too, and then that one counts
        if state.ended:
            return
        state.ended = "content_filter"
        if gate is not None:
            self.hits += gate.hits(shown(state.index, path), self._policy)
        if state.partial:
            self._emit_delta(state.index, state.partial)
        if text:
            state.released += len(text)
            self._emit_delta(state.index, nest(path, state.led(path, text, self._lead)))
        notice = self._notice
        if state.released and self._prose and ends_with_label(self._label.mode):
            state.labelled_after = True
            notice += suffix(self._label)
        self._emit_delta(state.index, {"content": f"\n\n{notice}" if state.released else notice})
        self._close_if_all_ended()
        self._emit(
            {
                **self._envelope(),
                "choices": [{"index": state.index, "delta": {}, "finish_reason": "content_filter"}],
                "retraction": {"choice": state.index, "reason": "content_filter", "replace_with": self._notice, "record": self._produce_id},
            }
        )
        if self._closing:
            self.ended = True  # nothing more is wanted from the upstream

    def _close_if_all_ended(self) -> None:
        if len(self._choices) >= self._expected and all(choice.ended for choice in self._choices.values()):
            self._closing = True

    def _complete(self) -> None:
        """The upstream says the answer is complete: end what it did not end itself."""
        if not self._choices:
            raise UpstreamBroken("the stream ended before the answer began")
        for choice in list(self._choices.values()):
            if not choice.ended:
                kept = self._finish(choice, {"index": choice.index, "delta": {}, "finish_reason": None}, "stop")
                if kept is not None:
                    self._emit({**self._envelope(), "choices": [kept]})
        self._close()

    def _close(self) -> None:
        self._closing = True
        self.ended = True

    # ── out ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _emit_delta(self, index: int, delta: dict[str, Any]) -> None:
        self._emit({**self._envelope(), "choices": [{"index": index, "delta": delta, "finish_reason": None}]})

    def _emit_beside(self, chunk: dict[str, Any], indices: list[int]) -> None:
        """Send what stands beside choices whose text waits; where each choice has its finish, with the last event."""
        if self._closing:
            self._tail[-1].update(chunk)
            return
        self._emit({**chunk, "choices": [self._nothing(indices)]})

    def _nothing(self, indices: Sequence[int] = ()) -> dict[str, Any]:
        """Return a choice that says nothing, one that has not finished if there is any: every client reads `choices[0]`."""
        known = self._choices
        running = (each for each in (*indices, *known, *range(self._expected)) if each not in known or known[each].ended in ("", "error"))
        return {"index": next(running, 0), "delta": {}, "finish_reason": None}

    def _envelope(self) -> dict[str, Any]:
        """Return what an event made here says beside its choices."""
        envelope = {"id": f"chatcmpl-{self._produce_id}", "object": "chat.completion.chunk", "created": 0, "model": ""}
        return envelope | {name: self._head[name] for name in ENVELOPE if name in self._head}

    def _emit(self, chunk: dict[str, Any]) -> None:
        if self._first:
            self._first = False
            may_have_words = self._prose and not self._label.waived and self._label.mode != "interface"
            chunk["aigc"] = aigc_object(self._label, self._produce_id, "undecided" if may_have_words else without_words(self._label))
        if self._closing:
            self._tail.append(chunk)
        else:
            self._out.append(b"data: " + _ENCODE(chunk) + b"\n\n")

    def _taken(self) -> bytes:
        out, self._out = self._out, []
        return b"".join(out)

    def _aigc(self) -> dict[str, object]:
        return aigc_object(self._label, self._produce_id, self.applied)
