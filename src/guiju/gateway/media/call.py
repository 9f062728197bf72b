"""A call whose answer is a file: what pictures, sounds and films have in common.

    authenticate → admit → screen the words → upstream → screen its words → publish each file → record → deliver

A file is published in a process of its own (`labellers.py`), and only what came out of there leaves: there is no other way from an upstream's
bytes to a client's. The words around a file are screened both ways; what a picture shows and a voice says beyond them is not looked at, and
the record says so.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from guiju.core.errors import GuijuError
from guiju.gateway import errors
from guiju.gateway.asking import NOT_EXAMINED, AskingCall
from guiju.gateway.bundle import Media
from guiju.gateway.call import LARGE_CHARACTERS, RECORD_BYTES, field_invalid, log
from guiju.gateway.causation import EXTENSION, Outcome, cause, counts, effect, examined, read_told, source
from guiju.gateway.classified import judge_input
from guiju.gateway.connections import Answer
from guiju.gateway.guarding import Guarding
from guiju.gateway.inputs import examine_input, refusal_of
from guiju.gateway.live import LiveService
from guiju.gateway.media.desk import MediaDesk
from guiju.gateway.media.fetch import MEDIA_TOO_LARGE
from guiju.gateway.media.forms import Part, fields_of
from guiju.gateway.media.publish import File, publish_file
from guiju.gateway.upstream import harmless, not_json, refusal, status_for_client
from guiju.gateway.whole import examine_json
from guiju.labelling.values import Medium
from guiju.screening.personal.finds import NOTHING_SAID, mask_value, screen_for
from guiju.screening.values import ENDS, Hit, Verdict
from guiju.screening.view import strings

ENCODE: Final = msgspec.json.Encoder().encode
_ROOM_BYTES: Final = 2**20
_PIECE_BYTES: Final = 2**18


class MediaCall(AskingCall):
    """One request for files on its way through."""

    endpoint = ""
    medium: Medium = "picture"
    prompt = "prompt"
    """The field that holds what a person asks for."""

    _sent_model = ""
    _answered = False
    _worked = False
    """Whether it has begun a file."""
    _output: Sequence[Hit] = ()
    _texts: Mapping[str, str] = {}  # replaced whole, never changed
    """The words beside the files, by path."""
    _usage: object = None
    _upstream_id = ""
    _files: Sequence[File] = ()

    async def _serve(self) -> None:
        try:
            await self._take()
        finally:
            if self._worked:
                await asyncio.shield(asyncio.to_thread(self._desk.store.clear_work, self.id))

    @cached_property
    def _desk(self) -> MediaDesk:
        return self.gateway.media_desk()

    async def _take(self) -> None:
        """Do what was asked."""
        raise NotImplementedError

    @property
    def settings(self) -> Media:
        """The settings of files in force."""
        return self._desk.settings

    # ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────

    def _admit(self, request: dict[str, Any], live_service: LiveService) -> None:
        """Take model, who asks and what the application tells. Raises FIELD-INVALID and MODEL-UNKNOWN."""
        self._policy = live_service.service.policy
        self._judge = self._live.classifier if live_service.service.classifier == "policy" else None
        model = request.get("model")
        if not isinstance(model, str) or not model:
            raise field_invalid("model", "非空字符串", "a non-empty string")
        if not isinstance(request.get(self.prompt, ""), str):
            raise field_invalid(self.prompt, "字符串", "a string")
        self._name(request)
        self._model = model
        found = live_service.find_upstream(model)
        if found is None:
            raise GuijuError(errors.MODEL_UNKNOWN, model=model[:100], param="model")
        self._upstream, self._sent_model = found
        request["model"] = self._sent_model
        if EXTENSION in request:
            self._told = read_told(request.pop(EXTENSION))
            if self._told.audience:
                self._policy = self._policy.read_by(self._told.audience)
        self._asked = {
            **{name: value for name, value in request.items() if name != self.prompt},
            "messages": [{"role": "user", "content": request.get(self.prompt, "")}],
        }

    async def _examine(self, live_service: LiveService) -> None:
        """Screen what the model would read. Raises INPUT-REFUSED, INPUT-PERSONAL, NOT-EXAMINED, GUARD-UNAVAILABLE."""
        verdict = self._verdict = await self._verdict_on_input()
        refused = refusal_of(verdict)
        if refused is not None:
            raise GuijuError(refused, codes=", ".join(sorted({hit.rule for hit in verdict.hits if hit.rule[:3] == "PI-"})))
        if live_service.guards:
            guarding = self._guarding = Guarding(live_service.guards, live_service.service.guard, self._policy)
            try:
                guarding.begin_input(self._asked["messages"])
                if guarding.input is not None:
                    await self._await_input(guarding, guarding.input)
            finally:
                guarding.close()

    def take_form(self, form: list[Part]) -> dict[str, Any]:
        """Return the texts of a form, and keep it for the record as people can read it: of its files, what they are. Raises FIELD-INVALID."""
        fields = fields_of(form)
        files = [
            {"field": part.name, "name": part.filename, "size_bytes": len(part.value), "sha256": hashlib.sha256(part.value).hexdigest()}
            for part in form
            if part.filename is not None
        ]
        self._body = ENCODE({**fields, "files": files})
        return fields

    async def _verdict_on_input(self) -> Verdict:
        snapshot, policy, asked, judge = self._live.snapshot, self._policy, self._asked, self._judge

        def examine() -> Verdict:
            verdict = examine_input(snapshot, policy, asked, strings(asked))
            return verdict if judge is None else judge_input(verdict, judge, policy, asked["messages"])

        try:
            verdict = await asyncio.to_thread(examine) if len(self._body) >= LARGE_CHARACTERS else examine()
        except RecursionError:
            raise GuijuError(errors.BODY_NOT_JSON, reason="nested too deeply") from None
        except Exception as problem:
            log.exception("input of %s could not be examined", self.id)
            stops = policy.could_not_examine == "stop"
            broken = self._verdict = Verdict("could_not_examine", "refuse" if stops else "deliver", (), type(problem).__name__)
            if stops:
                raise GuijuError(errors.NOT_EXAMINED, reason=type(problem).__name__) from problem
            return broken
        hits = tuple(msgspec.structs.replace(hit, path=hit.path.replace("messages[0].content", self.prompt)) for hit in verdict.hits)
        return msgspec.structs.replace(verdict, hits=hits) if hits else verdict

    # ── the upstream ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, method: str, path: str, body: bytes = b"", content_type: bytes = b"application/json") -> Answer:
        """Return the upstream's answer, once it has begun with 200. Raises the UPSTREAM- errors."""
        upstream = self._upstream
        assert upstream is not None
        # Before the upstream works for nothing: room for the record that is to come.
        self.gateway.spool.refuse_if_full(len(self._body) + RECORD_BYTES)
        self._wait(upstream.upstream.first_byte_timeout_ms, "first_byte")
        response = self._response = await upstream.ask(method, path, body, content_type)
        if response.status != 200:
            raise harmless(await refusal(upstream.upstream, response), self._live.snapshot, self._policy)
        self._answered = True
        return response

    def _wait_for_piece(self) -> None:
        assert self._upstream is not None
        self._wait(self._upstream.upstream.idle_timeout_ms, "next_piece")

    async def _read_json(self, response: Answer) -> dict[str, Any]:
        """Return an upstream's JSON object with its texts and its files in base64. Raises UPSTREAM-BROKEN, MEDIA-TOO-LARGE."""
        limit_bytes = self._desk.settings.file_bytes * 4 // 3 + _ROOM_BYTES
        pieces: list[bytes] = []
        size = 0
        try:
            while True:
                self._wait_for_piece()
                piece = await response.readany()
                if not piece:
                    break
                size += len(piece)
                if size > limit_bytes:
                    raise GuijuError(MEDIA_TOO_LARGE, limit=self._desk.settings.file_bytes)
                pieces.append(piece)
        except OSError as problem:
            raise self.broken(f"the connection broke ({type(problem).__name__})") from problem
        self.deadline = 0.0
        try:
            found = await asyncio.to_thread(msgspec.json.decode, b"".join(pieces))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise self.broken(not_json(response, problem) or f"it is no JSON: {problem}") from None
        if not isinstance(found, dict):
            raise self.broken("it is no JSON object")
        return found

    def words(self, rest: dict[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
        """Return what stands beside the files as it may leave. Raises ANSWER-WITHHELD where screening stops it."""
        self._texts = texts
        try:
            verdict = examine_json(self._live.snapshot, self._policy, rest)
        except Exception as problem:
            log.exception("the answer of %s could not be examined", self.id)
            raise GuijuError(errors.NOT_EXAMINED, reason=type(problem).__name__) from problem
        hits = list(verdict.hits)
        screen = screen_for(self._policy, "output")
        masked = {name: mask_value(value, screen, NOTHING_SAID, name, hits) for name, value in rest.items()}
        self._output = hits
        if verdict.action in ENDS or any(hit.action in ENDS for hit in hits):
            raise GuijuError(errors.ANSWER_WITHHELD)
        return masked

    # ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self, name: str) -> Path:
        self._worked = True
        return self._desk.store.work_path(f"{self.id}-{name}")

    async def _publish(self, file: Path, number: str, medium: Medium | None = None) -> File:
        """Return the labelled file. Raises the LABEL- errors, MEDIA-BUSY, MEDIA-UNLABELLED."""
        self.deadline = 0.0  # labelling has its own
        assert self._service is not None
        label = self._label if self._waiver is not None else self._service.label
        return await publish_file(self._desk, label, file, number, medium or self.medium)

    async def _send_file(self, file: BinaryIO, size_bytes: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send a file whose record is durable."""
        head = [*headers, (b"content-length", b"%d" % size_bytes), (b"x-request-id", self.id.encode())]
        await self._send({"type": "http.response.start", "status": 200, "headers": head})
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            self._wait(self._live.bundle.limits.client_idle_ms, "client")
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self.deadline = 0.0
        await self._send({"type": "http.response.body", "body": b""})

    # ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _fail(self, error: GuijuError) -> None:
        self.deadline = 0.0
        error.facts.setdefault("record", self.id)
        error.facts.setdefault("reason", "")
        code = error.code
        if self._closed:
            return  # its record is written; only the client's connection failed
        kind = "gateway.request.rejected"
        if code.code.startswith("UPSTREAM"):
            kind = "gateway.upstream.failed"
        elif code is errors.STOPPING:
            kind = "gateway.answer.interrupted"
        elif self._answered:
            kind = "gateway.media.withheld"
        elif code in (errors.INPUT_REFUSED, errors.INPUT_PERSONAL, errors.ANSWER_WITHHELD, *NOT_EXAMINED):
            kind = "gateway.input.refused"
        metadata = self._metadata() | {"error": code.code, "status": code.status, "detail": str(error.facts["reason"])[:300]}
        if kind in ("gateway.input.refused", "gateway.media.withheld"):
            self._mark(metadata, self._output)
        content = self._kept(error)
        if content is not None and self._texts:
            content["answer"] = self._texts
        await self._refuse(kind, error, status_for_client(error), metadata, content)

    async def _deliver(self, files: Sequence[File], kind: str = "gateway.media.delivered", **more: object) -> None:
        """Record what is about to leave. Nothing of it leaves before."""
        self._files = files
        metadata = self._metadata() | more
        self._mark(metadata, self._output)
        content: dict[str, object] = {"request": self._body} if self._body else {}
        if self._texts:
            content["answer"] = self._texts
        await self._record(kind, metadata, content or None)

    def _metadata(self) -> dict[str, object]:
        live, service = self._live, self._service
        metadata: dict[str, object] = {
            "bundle": live.short_digest,
            "library": live.short_library,
            "policy": service.policy.short if service is not None else "",
            "model": self._model[:100],
            "endpoint": self.endpoint,
            "duration_us": int((time.monotonic() - self.begun) * 1_000_000),
            "input": examined(self._verdict, len(self._body)),
        }
        upstream, response = self._upstream, self._response
        if upstream is not None:
            metadata["upstream"] = upstream.upstream.name
        if self._answered and upstream is not None and service is not None and response is not None:
            key, texts = live.bundle.pseudonym_key, list(self._texts.values())
            outcome = Outcome(
                self._output,
                (),
                "interface",
                sum(map(len, texts)),
                self._upstream_id,
                self._usage,
                self._sent_model,
                None,
                texts,
                (),
            )
            if self._asked:
                metadata["cause"] = cause(self._asked, self._told, key, service.id)
            metadata["source"] = source(upstream.upstream, self._sent_model, outcome, response.headers)
            metadata["output"] = effect(outcome, key, service.id) | {"files": "not_examined"}
            usage = counts(self._usage)
            if usage is not None:
                metadata["usage"] = usage
        if self._files:
            metadata["label"] = {"produce_id": self._files[0].number, "explicit": "file" if self._waiver is None else "waived"}
            metadata["media"] = [file.told() for file in self._files]
        if self._guarding is not None and (told := self._guarding.told()):
            metadata["guard"] = told
        return metadata
