"""`GET /media/…`: a labelled file under an address that nobody can guess, for a while. Whoever has the address needs no key.

The record of the answer that gave the address was durable before it left; asking for the file leaves none.
"""

import asyncio
import contextlib
import re
import time
from typing import Final

from guiju.core.errors import Text, define
from guiju.gateway import errors
from guiju.gateway.bundle import Media
from guiju.gateway.call import Scope, Send
from guiju.gateway.media.desk import MediaDesk
from guiju.gateway.media.publish import File
from guiju.gateway.media.store import Hosted

PATH: Final = "/media/"
_HOST: Final = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
_RANGE: Final = re.compile(rb"bytes=(\d{0,15})-(\d{0,15})")
_PIECE_BYTES: Final = 2**18

MEDIA_UNKNOWN = define(
    "MEDIA-UNKNOWN",
    status=404,
    kind="invalid_request_error",
    zh=Text("这个地址没有文件，或文件已过期。", "没有内容被送出。", "请重新生成；文件只保留一段时间。"),
    en=Text(
        "There is no file at this address, or it has expired.",
        "Nothing was delivered.",
        "Have it made again; files are kept for a while only.",
    ),
)


async def host_file(desk: MediaDesk, file: File, token: str = "") -> str:
    """Keep a labelled file and return the token of its address. Raises MEDIA-STORE-FULL."""
    settings = desk.settings
    facts = Hosted(number=file.number, published=file.published, expires_at=time.time() + settings.keep_minutes * 60)
    return await asyncio.to_thread(desk.store.host, file.path, facts, settings.store_bytes, token)


def address_of(scope: Scope, settings: Media, token: str) -> str:
    """Return the whole URL of a file: below the setting's address, or where this request came to."""
    base = settings.public_url.rstrip("/")
    if not base:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        base = "http://" + (host.decode() if _HOST.fullmatch(host) else "127.0.0.1")
    return f"{base}{PATH}{token}"


async def serve_file(desk: MediaDesk, scope: Scope, send: Send, idle_ms: int) -> None:
    """Answer `GET` and `HEAD` for one file; whole, or one range of it. A client that takes nothing for `idle_ms` is left alone."""
    found = await asyncio.to_thread(desk.store.open, scope["path"].removeprefix(PATH), time.time())
    if found is None:
        body = errors.error_body(MEDIA_UNKNOWN, {})
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 404, "headers": head})
        await send({"type": "http.response.body", "body": body})
        return
    facts, file = found
    with file:
        size = facts.published.size_bytes
        asked = next((value for name, value in scope["headers"] if name == b"range"), b"")
        start, stop, status = _range(asked, size)
        headers = [*headers_of(facts, time.time()), (b"content-length", b"%d" % (stop - start))]
        if status == 206:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, size)))
        elif status == 416:
            headers.append((b"content-range", b"bytes */%d" % size))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        stop = start if scope["method"] == "HEAD" else stop
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.to_thread(file.seek, start)
            while start < stop and (piece := await asyncio.to_thread(file.read, min(_PIECE_BYTES, stop - start))):
                start += len(piece)
                async with asyncio.timeout(idle_ms / 1000):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def headers_of(facts: Hosted, now: float) -> list[tuple[bytes, bytes]]:
    """Return the headers of a file: shown as what it is and as nothing else, in no page of ours."""
    return [
        (b"content-type", facts.published.media_type.encode()),
        (b"content-disposition", b'attachment; filename="%s"' % facts.name.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"cache-control", b"private, max-age=%d" % max(0, int(facts.expires_at - now))),
        (b"accept-ranges", b"bytes"),
    ]


def _range(asked: bytes, size: int) -> tuple[int, int, int]:
    """Return first byte, end and status of what a `Range` asks for; what cannot be understood asks for all."""
    found = _RANGE.fullmatch(asked.strip())
    if not found or not (found[1] or found[2]):
        return 0, size, 200
    if not found[1]:
        length = min(int(found[2]), size)
        return (size - length, size, 206) if length else (0, 0, 416)
    start = int(found[1])
    stop = min(int(found[2]) + 1, size) if found[2] else size
    return (start, stop, 206) if start < stop else (0, 0, 416)
