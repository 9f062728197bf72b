"""`POST /v1/videos`, `GET /v1/videos/{id}`, `GET /v1/videos/{id}/content`: a film is ordered, looked after, and fetched when it is there.

The number of the order is the film's number: its label carries it however often it is fetched. A fetched film is kept as long as other files
are, so that it is labelled once; each time it leaves, that is a record.
Source: Measures Arts. 4, 12; Labelling Measures Art. 4(4); GB 45438-2025 §5.4.
"""

import asyncio
import base64
import hmac
import re
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from guiju.core.errors import GuijuError, Text, define
from guiju.gateway.call import field_invalid
from guiju.gateway.live import LiveService
from guiju.gateway.media.addresses import headers_of, host_file
from guiju.gateway.media.call import ENCODE, MediaCall
from guiju.gateway.media.fetch import save
from guiju.gateway.media.forms import boundary_of, read_form, write_form
from guiju.gateway.media.images import with_model
from guiju.gateway.media.publish import File
from guiju.gateway.media.store import Job
from guiju.labelling.values import Medium

PATH: Final = re.compile(r"/v1/videos/video_([0-9A-Z]{26})(/content)?")
_VARIANTS: Final[dict[str, Medium]] = {"video": "film", "thumbnail": "picture", "spritesheet": "picture"}
_VARIANT: Final = re.compile(rb"(?:.*&)?variant=([a-z]+)(?:&.*)?")
_PLAIN: Final = ("status", "progress", "created_at", "completed_at", "expires_at", "seconds", "size", "quality")
_WORDS: Final = ("prompt", "error")

VIDEO_UNKNOWN = define(
    "VIDEO-UNKNOWN",
    status=404,
    kind="invalid_request_error",
    zh=Text("本服务没有编号为 {video} 的视频。", "没有内容被送出。", "请核对编号；视频由同一服务的密钥查询，保留 30 天。"),
    en=Text(
        "This service has no video '{video}'.",
        "Nothing was delivered.",
        "Check the number; a video is asked for with a key of the same service, within 30 days.",
    ),
)


class VideoOrder(MediaCall):
    """One order for a film."""

    endpoint = "videos"
    medium: Medium = "film"

    async def _take(self) -> None:
        live_service = self._authenticate()
        self._service = live_service.service
        content_type = next((value for name, value in self.scope["headers"] if name == b"content-type"), b"")
        boundary = boundary_of(content_type)
        form = read_form(await self._read_body(), boundary) if boundary is not None else None
        request = self.take_form(form) if form is not None else await self._request()
        if not isinstance(request.get("prompt"), str) or not request["prompt"]:
            raise field_invalid("prompt", "非空字符串", "a non-empty string")
        self._admit(request, live_service)
        await self._examine(live_service)
        body, sent_as = ENCODE(request), b"application/json"
        if form is not None:
            sent_as, body = write_form(with_model(form, self._sent_model))
        response = await self._ask("POST", "/videos", body, sent_as)
        answer = await self._read_json(response)
        upstream_id = answer.get("id")
        if not isinstance(upstream_id, str) or not upstream_id or len(upstream_id) > 500:
            raise self.broken("the video has no id")
        self._upstream_id = upstream_id
        told = _told_of(self, answer, self.id, self._model)
        assert self._upstream is not None
        job = Job(
            number=self.id, service=live_service.service.id, upstream=self._upstream.upstream.name, upstream_id=upstream_id,
            model=self._model, created_at=time.time(),
        )  # fmt: skip
        await asyncio.to_thread(self._desk.store.keep_job, job)
        await self._deliver([], "gateway.media.submitted", job={"number": self.id, "upstream_id": upstream_id[:100]})
        await self._reply(200, ENCODE(told), [])


class VideoGet(MediaCall):
    """One question about a film, or the film itself."""

    endpoint = "videos.get"
    medium: Medium = "film"

    async def _take(self) -> None:
        live_service = self._authenticate()
        self._service = live_service.service
        self._policy = live_service.service.policy
        path = PATH.fullmatch(self.scope["path"])
        assert path is not None
        job = await asyncio.to_thread(self._desk.store.find_job, path[1])
        if job is None or job.service != live_service.service.id or not self._find_upstream(live_service, job):
            raise GuijuError(VIDEO_UNKNOWN, video=f"video_{path[1]}")
        self._model, self._sent_model, self._upstream_id = job.model, job.model, job.upstream_id
        where = "/videos/" + quote(job.upstream_id, safe="")
        if path[2]:
            await self._content(job, where)
            return
        answer = await self._read_json(await self._ask("GET", where))
        await self._reply(200, ENCODE(_told_of(self, answer, job.number, job.model)), [])

    def _find_upstream(self, live_service: LiveService, job: Job) -> bool:
        self._upstream = next((client for client in live_service.upstreams if client.upstream.name == job.upstream), None)
        return self._upstream is not None

    async def _content(self, job: Job, where: str) -> None:
        self.endpoint = "videos.content"
        found = _VARIANT.fullmatch(self.scope.get("query_string", b""))
        variant = found[1].decode() if found else "video"
        if variant not in _VARIANTS:
            raise field_invalid("variant", f"{'、'.join(_VARIANTS)} 之一", f"one of {', '.join(_VARIANTS)}")
        number = job.number if variant == "video" else f"{job.number}-{variant}"
        token = _token(self._live.bundle.pseudonym_key, number)
        async with self._desk.lock(number):
            kept = await asyncio.to_thread(self._desk.store.open, token, time.time())
            if kept is None:
                await self._labelled(where, variant, number, token)
                kept = await asyncio.to_thread(self._desk.store.open, token, time.time())
        if kept is None:
            raise self.broken("the film could not be kept")
        facts, file = kept
        with file:
            self._answered = True
            about = {"number": job.number, "upstream_id": job.upstream_id[:100]}
            await self._deliver([File(Path(), number, facts.published)], job=about)
            headers = [*headers_of(facts, time.time()), *self._label_headers(number)]
            await self._send_file(file, facts.published.size_bytes, [each for each in headers if each[0] != b"accept-ranges"])

    async def _labelled(self, where: str, variant: str, number: str, token: str) -> None:
        """Fetch the film from the upstream, label it and keep it."""
        query = "" if variant == "video" else f"?variant={variant}"
        response = await self._ask("GET", f"{where}/content{query}")
        file = self._work("film")
        try:
            await save(response, file, self.settings.file_bytes, self._wait_for_piece)
        except OSError as problem:
            raise self.broken(f"the connection broke ({type(problem).__name__})") from problem
        made = await self._publish(file, number, _VARIANTS[variant])
        await host_file(self._desk, made, token)


def _told_of(call: MediaCall, answer: dict[str, Any], number: str, model: str) -> dict[str, Any]:
    """Return what a client hears of a film: known fields, under our number. Raises ANSWER-WITHHELD for words that may not leave."""
    words = {name: answer[name] for name in _WORDS if answer.get(name) is not None}
    error = words.get("error")
    if isinstance(error, dict):
        words["error"] = {name: str(error[name])[:500] for name in ("code", "message") if name in error}
    words = call.words(words, {"prompt": text} if isinstance(text := words.get("prompt"), str) else {})
    plain = {name: answer[name] for name in _PLAIN if isinstance(answer.get(name), (int, str)) and len(str(answer[name])) < 100}
    return {"id": f"video_{number}", "object": "video", "model": model, "progress": 0, **plain, **words}


def _token(key: bytes, number: str) -> str:
    """Return under which token a film is kept: the same for all workers, and for nobody without the installation's key."""
    return base64.urlsafe_b64encode(hmac.digest(key, f"film\0{number}".encode(), "sha256")).decode().rstrip("=")
