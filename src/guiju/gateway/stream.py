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
from guiju.gateway.classified import Way, watched
from guiju.gateway.inline import begins_run, refuse_field, refuse_files
from guiju.gateway.places import Path, is_plain, nest, place_of, shown
from guiju.gateway.sse import DONE, Cutter, EventTooLong
from guiju.labelling.explicit import Applied, begins_with_label, ends_with_label, prefix, stays_readable, suffix, without_words
from guiju.labelling.implicit import aigc_object
from guiju.labelling.values import Label
from guiju.screening.classifier.model import Classifier
from guiju.screening.matching.continued import Before
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.outlet import Outlet
from guiju.screening.personal.finds import NOTHING_SAID, mask_value, screen_for
from guiju.screening.values import Hit, Policy
from guiju.screening.view import API_NAMES, strings

_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(dict[str, Any]).decode
_WHOLE: Final = frozenset(("role", "id", "type", "name", "object", "call_id"))
"""Fields that most clients take from one event: never held in part. Some clients join them, so the join is watched too."""
_ENVELOPE: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
"""What an event made here repeats of the upstream's last one."""
_BESIDE: Final = frozenset((*_ENVELOPE, "usage"))
_OURS: Final = frozenset(("aigc", "retraction"))
"""Names that only this gateway may use: nobody else's label or retraction is passed on under them."""
_FINISHES: Final = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
_CONTENT: Final[Path] = ("content",)
_MARKUP: Final = "{[`~"
"""A text that begins with one of these may be for a program: no words are put before it."""
_SEEN_LIMIT: Final = 1_000
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
        self._leads = prose and begins_with_label(label.mode)
        self._notice = notice
        self._model = model
        """What the model is called here, where the upstream calls it otherwise."""
        self._cutter = Cutter()
        self._choices: dict[int, Choice] = {}
        self._seen: set[str] = set()
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
        for name in chunk.keys() - _BESIDE:
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
        elif not self.ended and any(value for name, value in chunk.items() if name not in _ENVELOPE):
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
            if name in _OURS:
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

    def _is_clean(self, value: object, path: str) -> bool:
        """Examine a value as a whole; remembers what passed, since the same strings stand in every event."""
        for text in [value] if isinstance(value, str) else strings(value):
            if text in self._seen:
                continue
            verdict = self._snapshot.examine(text, "output", self._policy, path)
            self.hits += verdict.hits
            if verdict.action != "deliver":
                return False
            if len(self._seen) < _SEEN_LIMIT and len(text) < 256:
                self._seen.add(text)
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
        if finish and not (isinstance(finish, str) and finish in _FINISHES) and not self._whole(state, ("finish_reason",), finish):
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
        if state.logprobs and not any(gate.holds for gate in state.gates.values()):
            state.give_logprobs(kept)
        return kept if released or not delta or len(kept) > 3 else None

    def _delta(self, state: Choice, delta: dict[str, Any]) -> dict[str, Any] | None:
        """Return the delta with only the text that may leave; None when the choice was stopped."""
        released = state.partial = {}
        calls: list[Any] = []
        for name, value in delta.items():
            if value.__class__ is str and name in API_NAMES and name not in _WHOLE:
                text = self._text(state, (name,), value)
                if state.ended:
                    return None
                if text or not value:
                    released[name] = text
            elif name in API_NAMES and (value is None or value is True or value is False):
                released[name] = value
            elif name == "tool_calls" and value.__class__ is list:
                calls = value or released.setdefault(name, value)
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
                self._emit_delta(state.index, nest(path, self._led(state, path, text)))

    def _nested(self, state: Choice, value: object, path: Path, name: str) -> Any:
        """Return the part of a nested value that may leave now; None for nothing."""
        if name and name not in API_NAMES and not self._is_clean(name, shown(state.index, path)):
            self._stop(state)
            return None
        if isinstance(value, str):
            refuse_field(path, value)
            if name in _WHOLE or not name:
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

    def _text(self, state: Choice, path: Path, piece: str) -> str:
        """Feed one piece through its gate; stops the choice on a hit (then the text before it has been emitted)."""
        gate = state.gates.get(path)
        if gate is None:
            machine = self._machine or path[0] in ("tool_calls", "function_call")
            outlet = Outlet(self._trie, self._screen, self._said, machine=machine, before=self._before if path == _CONTENT else None)
            gate = state.gates[path] = watched(outlet, path, self._classifier, self._policy)
            state.texts[path] = []
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
            if self._leads and not state.begun:
                return self._led(state, path, text)
        return text

    def _led(self, state: Choice, path: Path, text: str) -> str:
        """Return the text with the label before it, where these are the first words of an answer in prose."""
        if state.begun or path != _CONTENT or not text.strip() or not self._leads:
            return text
        state.begun = True
        if text.lstrip()[0] in _MARKUP:
            return text
        state.labelled_before = True
        return prefix(self._label) + text

    def _take_logprobs(self, state: Choice, logprobs: object) -> bool:
        """Keep log probabilities until the text they tell of has left: they spell it. False when the choice was stopped."""
        if not isinstance(logprobs, dict):
            raise UpstreamBroken("logprobs is not an object")
        if not self._is_clean(logprobs, shown(state.index, ("logprobs",))):
            self._stop(state)
            return False
        for name, entries in logprobs.items():
            if isinstance(entries, list):
                state.logprobs.setdefault(name, []).extend(entries)
        return True

    def _masked(self, value: Any, path: str) -> Any:
        """Return a value that leaves whole with what is personal in it hidden; stopping is for the texts of the answer."""
        hits: list[Hit] = []
        masked = mask_value(value, self._screen, self._said, path, hits)
        self.hits += [msgspec.structs.replace(hit, action="mask") for hit in hits]
        return masked

    # ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, state: Choice, kept: dict[str, Any], reason: str) -> dict[str, Any] | None:
        """End a choice: its remaining text, its label, and then its finish reason as the last it sends."""
        if kept["delta"]:
            self._emit_delta(state.index, kept["delta"])
            kept["delta"] = {}
        self._flush(state)
        if state.ended:
            return None
        if state.logprobs:
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
                self._emit_delta(state.index, nest(path, self._led(state, path, text)))

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
            self._emit_delta(state.index, nest(path, self._led(state, path, text)))
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
        return envelope | {name: self._head[name] for name in _ENVELOPE if name in self._head}

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
