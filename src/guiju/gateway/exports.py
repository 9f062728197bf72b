"""`POST /v1/exports`: a text of this service as a file that somebody takes along, with both labels in it.

    {"text": "…", "format": "txt|md|html|docx", "produce_id": "the answer's number, if there is one"}

The text is screened as an answer is: what would not leave in an answer does not leave in a file. Its record is durable before the first byte.
Source: Measures Art. 12; Labelling Measures Art. 4(2).
"""

import asyncio
import hashlib
import re
from typing import Any, Final

from guiju.core.errors import GuijuError
from guiju.gateway import errors
from guiju.gateway.call import LARGE_CHARACTERS, RECORD_BYTES, Call, field_invalid, log
from guiju.gateway.causation import examined
from guiju.screening.values import ENDS, PASS, Verdict

FORMS: Final = ("txt", "md", "html", "docx")
TEXT_CHARACTERS: Final = 1_000_000
_NUMBER: Final = re.compile(r"[0-9A-Za-z-]{1,64}")


class Export(Call):
    """One export on its way through."""

    _verdict: Verdict = PASS
    _facts: dict[str, object] = {}  # replaced whole, never changed

    async def _serve(self) -> None:
        service = self._service = self._authenticate().service
        request = await self._request()
        self._name(request)
        text, form, number = _read(request)
        self.gateway.spool.refuse_if_full(len(self._body) + RECORD_BYTES)
        await self._examine(text)
        label, number = self._label, number or self.id

        def make() -> tuple[bytes, str]:
            from guiju.labelling.export import MEDIA_TYPES, export_text  # loaded when the first export comes

            return export_text(text, form, label, number), MEDIA_TYPES[form]  # type: ignore[index,arg-type]  # looked up by _read

        file, media_type = await asyncio.to_thread(make)
        self._facts = {
            "format": form, "produce_id": number, "sha256": hashlib.sha256(file).hexdigest(), "size_bytes": len(file), "explicit": "waived" if label.waived else "text",
        }  # fmt: skip
        await self._record("gateway.export.delivered", self._metadata(), {"request": self._body})
        log.debug("exported %s of %s", form, service.id)
        await self._send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", media_type.encode()),
                    (b"content-length", b"%d" % len(file)),
                    (b"content-disposition", f'attachment; filename="{number}.{form}"'.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"x-request-id", self.id.encode()),
                    (b"x-aigc-label", b"1"),
                    (b"x-aigc-produceid", number.encode()),
                ],
            }
        )
        await self._send({"type": "http.response.body", "body": file})

    async def _examine(self, text: str) -> None:
        """Screen the text as an answer. Raises ANSWER-WITHHELD, NOT-EXAMINED."""
        assert self._service is not None
        policy, snapshot = self._service.policy, self._live.snapshot
        try:
            if len(text) < LARGE_CHARACTERS:
                self._verdict = snapshot.examine(text, "output", policy)
            else:
                self._verdict = await asyncio.to_thread(snapshot.examine, text, "output", policy)
        except Exception as problem:
            log.exception("the text of %s could not be examined", self.id)
            self._verdict = Verdict("could_not_examine", "refuse", (), type(problem).__name__)
            raise GuijuError(errors.NOT_EXAMINED, reason=type(problem).__name__) from problem
        if self._verdict.action in ENDS:
            raise GuijuError(errors.ANSWER_WITHHELD)

    async def _fail(self, error: GuijuError) -> None:
        self.deadline = 0.0
        error.facts.setdefault("record", self.id)
        error.facts.setdefault("reason", "")
        if self._closed:
            return  # its record is written; only the client's connection failed
        metadata = self._metadata() | {"error": error.code.code, "status": error.code.status, "detail": str(error.facts["reason"])[:300]}
        kind = "gateway.request.rejected" if self._verdict is PASS else "gateway.export.withheld"
        await self._refuse(kind, error, error.code.status, metadata, self._kept(error))

    def _metadata(self) -> dict[str, object]:
        facts: dict[str, object] = {
            "bundle": self._live.short_digest,
            "library": self._live.short_library,
            "input": examined(self._verdict, len(self._body)),
        }
        return facts | ({"export": self._facts} if self._facts else {})


def _read(request: dict[str, Any]) -> tuple[str, str, str]:
    text, form, number = request.get("text"), request.get("format", "txt"), request.get("produce_id", "")
    if not isinstance(text, str) or not text.strip() or len(text) > TEXT_CHARACTERS:
        raise field_invalid("text", f"1 到 {TEXT_CHARACTERS} 字", f"1 to {TEXT_CHARACTERS} characters")
    if form not in FORMS:
        raise field_invalid("format", f"{'、'.join(FORMS)} 之一", f"one of {', '.join(FORMS)}")
    if not isinstance(number, str) or (number and not _NUMBER.fullmatch(number)):
        raise field_invalid("produce_id", "字母、数字和连字符，至多 64 个", "letters, digits and hyphens, at most 64")
    return text, str(form), number
