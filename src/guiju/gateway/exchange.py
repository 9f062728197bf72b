"""One exchange: a request, what was decided about it, its answer, and the record that both left.

    authenticate → admit → screen input → upstream → (screen → label) per piece → record → deliver the end

Whatever happens, an exchange leaves exactly one closing record, durable before the last byte: delivered, stopped, refused,
rejected, failed or interrupted. A streamed answer also leaves `gateway.answer.opened` before its first byte, so that what a
killed worker had begun to send is on record too.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from guiju.core.errors import GuijuError
from guiju.core.fingerprint import fingerprint
from guiju.gateway import errors
from guiju.gateway.approved import Approved, find_approved, stream_body, whole_body
from guiju.gateway.asking import NOT_EXAMINED, AskingCall
from guiju.gateway.bundle import Service
from guiju.gateway.call import DECODE, LARGE_CHARACTERS, RECORD_BYTES, field_invalid
from guiju.gateway.causation import EXTENSION, Outcome, cause, counts, documents_of, effect, examined, read_told, source
from guiju.gateway.classified import judge_input
from guiju.gateway.connections import Answer
from guiju.gateway.guard_stream import Unsafe
from guiju.gateway.guarding import Guarding
from guiju.gateway.inline import check_request, may_hold_files
from guiju.gateway.inputs import examine_input, refusal_of, warnings
from guiju.gateway.live import LiveService
from guiju.gateway.sse import DONE
from guiju.gateway.stream import AnswerStream, UpstreamBroken
from guiju.gateway.upstream import harmless, media_type, not_json, refusal, status_for_client
from guiju.gateway.whole import WholeAnswer, whole_answer
from guiju.labelling.explicit import asks_for_words, wants_json
from guiju.screening.classifier.afterwards import AFTERWARDS, MARK
from guiju.screening.matching.continued import before_of
from guiju.screening.personal.finds import Said
from guiju.screening.values import ENDS, Hit, Verdict
from guiju.screening.view import strings

_ENCODE: Final = msgspec.json.Encoder().encode
_EVENTS: Final = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
_SWITCH: Final = frozenset((bool, type(None)))  # what a field that is on or off may be

log = logging.getLogger("guiju.gateway")


class Exchange(AskingCall):
    """One chat request on its way through."""

    _renamed = ""
    """The model's name where the upstream calls it otherwise: its own name is nobody's business."""
    _stream: AnswerStream | None = None
    _started = False
    _flagged = False
    _unflagged: Exception | None = None
    """Why it could not be looked in a streamed answer for what is only flagged."""
    media: list[dict[str, object]] = []  # replaced whole, never changed
    """The files of the answer, for its record."""

    # ── the way of a request ────────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self) -> None:
        live_service = self._authenticate()
        service = self._service = live_service.service
        self._policy = service.policy
        self._judge = self._live.classifier if service.classifier == "policy" else None
        request = await self._request()
        self._admit(request, live_service)
        verdict = self._verdict = await self._examine_input(request)
        refused = refusal_of(verdict)
        answers = self._live.answers
        if answers is not None and (refused is None or verdict.action == "answer") and self._policy.approved_answers != "off":
            approved = find_approved(answers, self._policy, request, self._label, time.time())
            if approved is not None:
                await self._deliver_approved(approved, request, service)
                return
        if refused is not None:
            raise GuijuError(refused, codes=", ".join(sorted({hit.rule for hit in verdict.hits if hit.rule[:3] == "PI-"})))
        if not live_service.guards:
            await self._ask_model(request, service)
            return
        guarding = self._guarding = Guarding(live_service.guards, service.guard, self._policy)
        try:
            guarding.begin_input(request["messages"])
            await self._ask_model(request, service)
        finally:
            guarding.close()

    async def _ask_model(self, request: dict[str, Any], service: Service) -> None:
        upstream = self._upstream
        assert upstream is not None
        streams = request.get("stream") is True
        if not streams:
            # Before the upstream works for nothing: room for the record that is to come. A stream's first record asks by itself.
            self.gateway.spool.refuse_if_full(len(self._body) + RECORD_BYTES)
        opened = self._open() if streams else None
        self._wait(upstream.upstream.first_byte_timeout_ms, "first_byte")
        guarding, asking = self._guarding, upstream.chat(_ENCODE(request))
        response = self._response = await asking if guarding is None else await guarding.beside(asking)
        if guarding is not None and guarding.input is not None and (response is None or not streams):
            await self._await_input(guarding, guarding.input)
        assert response is not None
        if response.status != 200:
            raise harmless(await refusal(upstream.upstream, response), self._live.snapshot, self._policy)
        prose = asks_for_words(request)
        if streams:
            assert opened is not None
            await self._deliver_stream(request, response, service, prose, opened)
        else:
            await self._deliver_whole(response, prose)

    def _admit(self, request: dict[str, Any], live_service: LiveService) -> None:
        model, messages, count = request.get("model"), request.get("messages"), request.get("n")
        if not model or model.__class__ is not str:
            raise field_invalid("model", "非空字符串", "a non-empty string")
        if messages.__class__ is not list or not messages or [message for message in messages if message.__class__ is not dict]:
            raise field_invalid("messages", "非空的对象数组", "a non-empty array of objects")
        if request.get("stream").__class__ not in _SWITCH:
            raise field_invalid("stream", "布尔值", "true or false")
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 128):
            raise field_invalid("n", "1 到 128 的整数", "an integer from 1 to 128")
        self._name(request)
        self._model = model
        found = live_service.find_upstream(model)
        if found is None:
            raise GuijuError(errors.MODEL_UNKNOWN, model=model[:100], param="model")
        self._upstream, request["model"] = found
        self._asked = request
        if "modalities" in request or "audio" in request:
            check_request(request)
        if EXTENSION in request:
            self._told = read_told(request.pop(EXTENSION))
            if self._told.audience:
                self._policy = self._policy.read_by(self._told.audience)
        self._renamed = model if request["model"] != model else ""

    async def _examine_input(self, request: dict[str, Any]) -> Verdict:
        """Return the verdict on everything the model would read. Raises NOT-EXAMINED where the policy stops for that."""
        snapshot, policy = self._live.snapshot, self._policy
        try:
            found = strings(request)
            documents = documents_of(self._told)
            if len(self._body) < LARGE_CHARACTERS:
                verdict = examine_input(snapshot, policy, request, found, documents)
                return verdict if self._judge is None else judge_input(verdict, self._judge, policy, request["messages"])
            verdict = await asyncio.to_thread(examine_input, snapshot, policy, request, found, documents)
            if self._judge is None:
                return verdict
            return await asyncio.to_thread(judge_input, verdict, self._judge, policy, request["messages"])
        except RecursionError:
            raise GuijuError(errors.BODY_NOT_JSON, reason="nested too deeply") from None
        except Exception as problem:
            log.exception("input of %s could not be examined", self.id)
            return self._not_examined(problem)

    def _not_examined(self, problem: Exception) -> Verdict:
        if self._policy.could_not_examine == "stop":
            self._verdict = Verdict("could_not_examine", "refuse", (), type(problem).__name__)
            raise GuijuError(errors.NOT_EXAMINED, reason=type(problem).__name__)
        return Verdict("could_not_examine", "deliver", (), type(problem).__name__)

    async def _deliver_approved(self, approved: Approved, request: dict[str, Any], service: Service) -> None:
        """Answer from the bank. No model was asked; the record says which row answered, and is durable before the first byte."""
        key = self._live.bundle.pseudonym_key
        self._upstream = None
        streams = request.get("stream") is True
        metadata = self._metadata()
        metadata["approved_answer"] = approved.facts
        metadata["cause"] = cause(request, self._told, key, service.id)
        metadata["output"] = {
            "outcome": "approved", "hits": [], "released_characters": len(approved.text), "texts": [fingerprint(key, service.id, approved.text)],
        }  # fmt: skip
        metadata["finish"] = ["stop"] * (request.get("n") or 1)
        if approved.applied is not None:
            metadata["label"] = {"produce_id": self.id, "explicit": approved.applied}
        if streams:
            metadata["streamed"] = True
        self._mark(metadata)
        await self._record("gateway.answer.delivered", metadata, {"request": self._body, "answer": approved.text})
        headers = [(b"x-guiju-approved-answer", str(approved.facts["id"]).encode()), *warnings(self._verdict.hits)]
        if approved.applied is not None:
            headers += self._label_headers()[:2]
        body = (stream_body if streams else whole_body)(approved, request, self._model, self._label, self.id)
        if not streams:
            await self._reply(200, body, headers)
            return
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": [*_EVENTS, (b"x-request-id", self.id.encode()), *headers]}
        )
        await self._send({"type": "http.response.body", "body": body})

    # ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _deliver_whole(self, response: Answer, prose: bool) -> None:
        limits = self._live.bundle.limits
        try:
            raw = await response.read(limits.answer_bytes)
        except OSError as problem:
            raise self.broken(f"the connection broke ({type(problem).__name__})") from problem
        self.deadline = 0.0
        if raw is None:
            raise self.broken(f"it is larger than {limits.answer_bytes} bytes")
        try:
            body = DECODE(raw)
            upstream_id, answered_as = str(body.get("id", "")), str(body.get("model", ""))
            usage, system_fingerprint = body.get("usage"), body.get("system_fingerprint")
            if self._renamed:
                body["model"] = self._renamed
            if may_hold_files(raw, body):
                from guiju.gateway.media.in_chat import label_answer  # loaded when the first such answer comes

                await label_answer(self, body, self._label, self._upstream)
            outside = await self._ask_guards(self._guarding, body.get("choices")) if self._guarding is not None else ()
            large = len(raw) >= LARGE_CHARACTERS
            whole = await asyncio.to_thread(self._whole, body, prose, outside) if large else self._whole(body, prose, outside)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as problem:
            raise self.broken(not_json(response, problem) or f"not a chat completion: {problem}") from None
        except GuijuError:
            raise
        except Exception as problem:
            raise self._unexamined(problem) from problem
        stopped = bool(whole.hits) and any(hit.action in ENDS for hit in whole.hits)
        if whole.hits and self.media and any(hit.action == "mask" and ".audio." in hit.path for hit in whole.hits):
            raise GuijuError(errors.ANSWER_WITHHELD)  # what is hidden in the transcript is heard in the sound
        outcome = Outcome(
            whole.hits, whole.finishes, whole.applied, whole.released_characters, upstream_id, usage, answered_as, system_fingerprint,
            whole.texts, whole.calls,
        )  # fmt: skip
        metadata = self._metadata(outcome)
        self._mark(metadata, whole.hits)
        kind = "gateway.answer.stopped" if stopped else "gateway.answer.delivered"
        await self._record(kind, metadata, {"request": self._body, "answer": raw})
        await self._reply(200, whole.body, self._label_headers())

    def _whole(self, body: dict[str, Any], prose: bool, outside: Sequence[tuple[int, Hit]]) -> WholeAnswer:
        asked, snapshot, policy = self._asked, self._live.snapshot, self._policy
        return whole_answer(
            body, snapshot, policy, self._label, self.id, prose=prose, notice=self._notice, said=Said(asked["messages"]),
            machine=wants_json(asked), before=before_of(asked["messages"], snapshot, policy), classifier=self._judge, outside=outside,
        )  # fmt: skip

    async def _deliver_stream(
        self, request: dict[str, Any], response: Answer, service: Service, prose: bool, opened: "asyncio.Future[None]"
    ) -> None:
        if response.content_type != "text/event-stream":
            raise self.broken(f"it sent {media_type(response)} where a stream was asked for")
        live = self._live
        stream = AnswerStream(
            live.snapshot,
            self._policy,
            self._label,
            self.id,
            choices=request.get("n") or 1,
            prose=prose,
            notice=self._notice(),
            model=self._renamed,
            said=Said(self._asked["messages"]),
            machine=wants_json(self._asked),
            before=before_of(self._asked["messages"], self._live.snapshot, self._policy),
            classifier=self._judge,
        )
        if self._watcher is None:
            self._watcher = asyncio.create_task(self.watch())
        self.deadline = 0.0  # the upstream has answered: what is waited for is our own disk
        await opened
        self._stream = stream
        idle_ms = self._upstream.upstream.idle_timeout_ms if self._upstream else 0
        pieces = response if self._guarding is None else self._guarded(self._guarding, response, idle_ms)
        size = 0
        try:
            while not stream.ended:
                self._wait(idle_ms, "next_piece")
                try:
                    raw = await pieces.readany()
                except Unsafe as found:
                    await self._send_piece(stream.stop(found.hits, found.choice))
                    continue
                if not raw:
                    out = stream.finish()
                else:
                    size += len(raw)
                    if size > live.bundle.limits.answer_bytes * 16:
                        raise self.broken("it does not end")
                    out = stream.feed(raw)
                if out:
                    await self._send_piece(out)
        except UpstreamBroken as problem:
            raise self.broken(str(problem)) from None
        except OSError as problem:
            raise self.broken(f"the connection broke ({type(problem).__name__})") from problem
        except GuijuError:
            raise
        except Exception as problem:
            raise self._unexamined(problem) from problem
        finally:
            if pieces is not response:
                pieces.close()
        self.deadline = 0.0
        if any(reason == "content_filter" for reason in stream.finishes) and stream.hits:
            response.close()
        await self._end_stream(stream)

    def _unexamined(self, problem: Exception) -> GuijuError:
        """An answer that could not be examined stops, whatever the policy lets through on the way in."""
        log.error("the answer of %s could not be examined", self.id, exc_info=problem)
        return GuijuError(errors.NOT_EXAMINED, reason=type(problem).__name__, record=self.id)

    async def _end_stream(self, stream: AnswerStream) -> None:
        piece = stream.finish()
        stopped = any(hit.action in ENDS for hit in stream.hits)
        self._note_flags(stream)
        if self._unflagged is not None and not stopped and self._policy.could_not_examine == "stop":
            raise self._unexamined(self._unflagged)
        await self._close_stream("gateway.answer.stopped" if stopped else "gateway.answer.delivered", piece)

    async def _close_stream(self, kind: str, piece: bytes = b"", **more: object) -> None:
        """Record a streamed answer, then send its last bytes: `piece` and the tail."""
        stream = self._stream
        assert stream is not None
        self._note_flags(stream)
        metadata = self._metadata(stream.outcome())
        metadata["streamed"] = True
        self._mark(metadata, stream.hits)
        metadata.update(more)
        await self._record(kind, metadata, {"answer": stream.texts()})
        if not self.gone:
            await self._send_piece(piece + stream.tail())
            self.deadline = 0.0
            await self._send({"type": "http.response.body", "body": b""})

    def _note_flags(self, stream: AnswerStream) -> None:
        """Add to the hits what stops nothing; once, and whatever happens: the record is owed also where nobody can tell."""
        if self._flagged:
            return
        self._flagged = True
        try:
            stream.note_flags()
        except Exception as problem:
            log.exception("flags in the answer of %s could not be looked for", self.id)
            self._unflagged = problem
        if self._guarding is not None:
            stream.hits += self._guarding.flags

    def _cut(self, stream: AnswerStream, error: Mapping[str, object], *, decide: bool = True) -> bytes:
        """End a stream with an error and return its last piece, without what it holds where that cannot be decided."""
        try:
            return stream.fail(error, decide=decide)
        except Exception:
            log.exception("what the answer of %s held could not be examined", self.id)
            return stream.fail(error, decide=False)

    async def _send_piece(self, piece: bytes) -> None:
        if not self._started:
            self._started = True
            headers = [*_EVENTS, (b"x-request-id", self.id.encode()), *self._label_headers()]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self._wait(self._live.bundle.limits.client_idle_ms, "client")
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    # ── ends that are no answer ─────────────────────────────────────────────────────────────────────────────────────

    async def _fail(self, error: GuijuError) -> None:
        """Tell the client what happened, after the record of it is durable."""
        self.deadline = 0.0
        error.facts.setdefault("record", self.id)
        error.facts.setdefault("reason", "")
        code = error.code
        if self._closed:
            return  # its record is written; only the client's connection failed
        stream = self._stream
        if stream is not None and stream.complete and not stream.ended and code.code.startswith("UPSTREAM"):
            try:
                await self._end_stream(stream)  # every choice has its finish: how the upstream leaves does not matter
            except GuijuError as problem:
                await self._fail(problem)
            return
        if stream is not None and self._started:
            await self._fail_stream(stream, error)
            return
        kind = "gateway.request.rejected"
        if code in NOT_EXAMINED and self._response is not None and self._verdict.action != "refuse":
            kind = "gateway.answer.stopped"
        elif code in (errors.INPUT_REFUSED, errors.INPUT_PERSONAL, *NOT_EXAMINED):
            kind = "gateway.input.refused"
        elif code.code.startswith("UPSTREAM"):
            kind = "gateway.upstream.failed"
        elif code in (errors.STOPPING, errors.INTERNAL):  # nobody else is at fault
            kind = "gateway.answer.interrupted"
        elif code.code.startswith(("LABEL-", "MEDIA-")) or code is errors.ANSWER_WITHHELD:
            kind = "gateway.media.withheld"
        metadata = self._metadata()
        metadata |= {"error": code.code, "status": code.status, "detail": str(error.facts["reason"])[:300]}
        if kind == "gateway.input.refused":
            self._mark(metadata)
        content = self._kept(error)
        if stream is not None and content is not None:
            content["answer"] = stream.texts()
        await self._refuse(kind, error, status_for_client(error), metadata, content)

    async def _fail_stream(self, stream: AnswerStream, error: GuijuError) -> None:
        """End a stream that began, and end it whole: what is decided, the error, `[DONE]`."""
        begun = any(text for path, text in stream.texts().items() if not path.endswith(".role"))
        facts = error.facts | errors.delivery(begun)
        decide = error.code not in (*NOT_EXAMINED, errors.INTERNAL)
        piece = self._cut(stream, errors.error_object(error.code, facts), decide=decide)
        try:
            await self._close_stream("gateway.answer.interrupted", piece, reason=error.code.code, detail=str(facts["reason"])[:300])
        except GuijuError as problem:
            log.error("exchange %s left no closing record: %s", self.id, problem)
            await self._send_piece(b"data: " + errors.error_body(problem.code, self._spool_facts(problem)) + b"\n\n" + DONE)
            await self._send({"type": "http.response.body", "body": b""})

    async def _abandoned(self, reason: str) -> None:
        """The client has left or takes nothing any more: there is nothing to send, but the record is owed."""
        if self._closed or self._stream is None:
            await super()._abandoned(reason)
            return
        self.deadline = 0.0
        self._cut(self._stream, {"code": reason})
        await self._quietly(self._close_stream("gateway.answer.interrupted", reason=reason))

    # ── record and reply ────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> "asyncio.Future[None]":
        """Record that an answer begins; the first byte waits for it, which the upstream's own delay hides."""
        metadata = self._metadata() | {"streamed": True}
        opening = self._append("gateway.answer.opened", metadata, {"request": self._body}, self.id)
        self._opened = True  # only now: what the spool refuses at once did not begin
        return opening

    def _metadata(self, outcome: Outcome | None = None) -> dict[str, object]:
        """Return what the record says beside who and when; with an outcome it is the causation record of an answer."""
        live = self._live
        metadata: dict[str, object] = {
            "bundle": live.short_digest,
            "library": live.short_library,
            "policy": self._service.policy.short if self._service is not None else "",
            "model": self._model[:100],
            "duration_us": int((time.monotonic() - self.begun) * 1_000_000),
            "input": examined(self._verdict, len(self._body)),
        }
        upstream, service = self._upstream, self._service
        if service is not None and service.classifier != "off":
            metadata[MARK] = AFTERWARDS if self._judge is None else self._judge.version[:16]
        if upstream is not None:
            metadata["upstream"] = upstream.upstream.name
        if outcome is not None and upstream is not None and service is not None and self._response is not None:
            key = live.bundle.pseudonym_key
            metadata["cause"] = cause(self._asked, self._told, key, service.id)
            metadata["source"] = source(upstream.upstream, self._asked["model"], outcome, self._response.headers)
            metadata["output"] = produced = effect(outcome, key, service.id)
            missed = "" if self._guarding is None else self._guarding.missed.get("output", "")
            if self._unflagged is not None:
                produced["flags"] = "not_examined"
                missed = missed or type(self._unflagged).__name__
            if missed and not outcome.hits:
                produced |= {"outcome": "could_not_examine", "reason": missed}
            metadata["label"] = {"produce_id": self.id, "explicit": outcome.applied}
            if self.media:
                metadata["media"] = self.media
            metadata["finish"] = outcome.finishes
            usage = counts(outcome.usage)
            if usage is not None:
                metadata["usage"] = usage
            if outcome.hits and "content_filter" in outcome.finishes:
                metadata["notice"] = {"id": "stop", "language": self._notice_language()}
        if self._guarding is not None and (told := self._guarding.told()):
            metadata["guard"] = told
        return metadata

    def _notice(self) -> str:
        policy = self._policy
        zh = f"{policy.stop_notice_zh}（编号 {self.id}）"
        en = f"{policy.stop_notice_en} (number {self.id})"
        wanted = self._notice_language()
        return zh if wanted == "zh" else en if wanted == "en" else f"{zh}\n{en}"

    def _notice_language(self) -> str:
        return {b"zh": "zh", b"en": "en"}.get(self._language[:2].lower(), "both")
