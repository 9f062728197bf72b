"""`POST /v1/images/generations`, `/v1/images/edits`, `/v1/images/variations`: pictures, in the answer or under an address of ours.

Source: Measures Arts. 4, 12; Labelling Measures Arts. 4, 5; GB 45438-2025 §5.2.
"""

import asyncio
import base64
import binascii
import re
import time
from pathlib import Path
from typing import Any, Final

from guiju.core.errors import GuijuError
from guiju.gateway.call import field_invalid
from guiju.gateway.media.addresses import address_of, host_file
from guiju.gateway.media.call import ENCODE, MediaCall
from guiju.gateway.media.fetch import MEDIA_TOO_LARGE
from guiju.gateway.media.forms import Part, boundary_of, read_form, write_form
from guiju.gateway.media.publish import File
from guiju.screening.view import is_base64

PICTURES_AT_MOST: Final = 10
_FORMS: Final = (None, "url", "b64_json")
_DATA_URL: Final = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)
_FILE_CHARACTERS: Final = 1_000
_OURS: Final = frozenset(("aigc", "data", "retraction"))


class ImageCall(MediaCall):
    """One request for pictures."""

    _wanted: str | None = None
    _form: list[Part] | None = None

    async def _take(self) -> None:
        self.endpoint = self.scope["path"].removeprefix("/v1/").replace("/", ".")
        live_service = self._authenticate()
        self._service = live_service.service
        request = await self._fields()
        self._wanted = request.get("response_format")
        if self._wanted not in _FORMS:
            raise field_invalid("response_format", "url 或 b64_json", "url or b64_json")
        count = request.get("n")
        if isinstance(count, str) and count.isdigit() and self._form is not None:
            count = int(count)
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= PICTURES_AT_MOST):
            raise field_invalid("n", f"1 到 {PICTURES_AT_MOST} 的整数", f"an integer from 1 to {PICTURES_AT_MOST}")
        if request.get("stream") not in (None, False, "false"):
            raise field_invalid("stream", "false：图片完整之后才能加标识", "false: a picture can be labelled only when it is whole")
        self._admit(request, live_service)
        await self._examine(live_service)
        body, content_type = self._body_for_upstream(request)
        response = await self._ask("POST", self.scope["path"].removeprefix("/v1"), body, content_type)
        answer = await self._read_json(response)
        items = answer.pop("data", None)
        if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items) or len(items) > PICTURES_AT_MOST:
            raise self.broken("it has no pictures")
        self._usage = answer.get("usage")
        pictures = [(item.pop("b64_json", None), item.pop("url", None)) for item in items]
        rest = {name: value for name, value in answer.items() if name not in _OURS}
        words = self.words(
            {**rest, "data": items},
            {f"data[{n}].revised_prompt": text for n, item in enumerate(items) if isinstance(text := item.get("revised_prompt"), str)},
        )
        refuse_other_files(self, words)
        files = await self._published(pictures)
        await self._leave(words, pictures, files)

    async def _fields(self) -> dict[str, Any]:
        """Return the fields of a JSON body, or those of a form that are texts."""
        content_type = next((value for name, value in self.scope["headers"] if name == b"content-type"), b"")
        boundary = boundary_of(content_type)
        if boundary is None:
            return await self._request()
        self._form = read_form(await self._read_body(), boundary)
        return self.take_form(self._form)

    def _body_for_upstream(self, request: dict[str, Any]) -> tuple[bytes, bytes]:
        if self._form is None:
            return ENCODE(request), b"application/json"
        content_type, body = write_form(with_model(self._form, self._sent_model))
        return body, content_type

    async def _published(self, pictures: list[tuple[Any, Any]]) -> list[File]:
        """Return the labelled pictures in their order; all of them, or an error."""
        numbers = [self.id if len(pictures) == 1 else f"{self.id}-{place + 1}" for place in range(len(pictures))]
        tasks = [
            asyncio.create_task(self._one(place, encoded, url, numbers[place])) for place, (encoded, url) in enumerate(pictures)
        ]  # fmt: skip
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, place: int, encoded: Any, url: Any, number: str) -> File:
        file = self._work(f"{place}")
        if isinstance(encoded, str) and encoded:
            await write_decoded(self, encoded, file)
        elif isinstance(url, str) and (inline := _DATA_URL.match(url)):
            await write_decoded(self, url[inline.end() :], file)
        elif isinstance(url, str) and url:
            assert self._upstream is not None
            self.deadline = 0.0  # fetching has its own
            await self._desk.fetcher.fetch(url, file, self._upstream.upstream.base_url)
        else:
            raise self.broken("a picture has neither b64_json nor url")
        return await self._publish(file, number)

    async def _leave(self, words: dict[str, Any], pictures: list[tuple[Any, Any]], files: list[File]) -> None:
        """Put the pictures into the answer as they were asked for, record, and send."""
        items = words["data"]
        tokens: list[str] = []
        try:
            for item, (encoded, _), file in zip(items, pictures, files, strict=True):
                wanted = self._wanted or ("b64_json" if encoded else "url")
                if wanted == "url":
                    token = await host_file(self._desk, file)
                    tokens.append(token)
                    item["url"] = address_of(self.scope, self._desk.settings, token)
                else:
                    item["b64_json"] = await asyncio.to_thread(_encoded, file.path)
                item["aigc"] = file.aigc()
            if "output_format" in words:
                words["output_format"] = files[0].published.ending.replace("jpg", "jpeg")
            words.setdefault("created", int(time.time()))
            body = await asyncio.to_thread(ENCODE, words)
            await self._deliver(files)
        except BaseException:
            for token in tokens:
                await asyncio.shield(asyncio.to_thread(self._desk.store.withdraw, token))
            raise
        await self._reply(200, body, self._label_headers())


def with_model(form: list[Part], model: str) -> list[Part]:
    """Return the form as the upstream gets it: its own name of the model, without what was for us."""
    return [part._replace(value=model.encode()) if part.name == "model" else part for part in form if part.name != "guiju"]


async def write_decoded(call: MediaCall, encoded: str, file: Path) -> None:
    """Write a file that came in base64. Raises UPSTREAM-BROKEN and MEDIA-TOO-LARGE."""
    limit_bytes = call.settings.file_bytes
    if len(encoded) > limit_bytes * 4 // 3 + 4:
        raise GuijuError(MEDIA_TOO_LARGE, limit=limit_bytes)
    try:
        await asyncio.to_thread(_decode_to, encoded, file)
    except (binascii.Error, ValueError):
        raise call.broken("a file is no base64") from None


def _decode_to(encoded: str, file: Path) -> None:
    raw = base64.b64decode(encoded, validate=True)
    with file.open("xb") as opened:
        opened.write(raw)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def refuse_other_files(call: MediaCall, value: object) -> None:
    """Raise UPSTREAM-BROKEN where a file stands in a place that is not known: nothing of it was labelled."""
    if isinstance(value, str):
        if _DATA_URL.match(value) or (len(value) >= _FILE_CHARACTERS and is_base64(value)):
            raise call.broken("it has a file in an unknown place")
    elif isinstance(value, dict):
        for item in value.values():
            refuse_other_files(call, item)
    elif isinstance(value, list):
        for item in value:
            refuse_other_files(call, item)
