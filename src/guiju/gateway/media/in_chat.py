"""Files inside of a whole chat answer: the sound of `message.audio`, pictures in `message.images` or any other field, data URLs in its text,
and what a part of the answer names by its URL (`image_url`, `video_url`, `audio_url`): that is fetched.

Each is labelled in its place before the answer is screened as a whole. What has the form of a file that is known and cannot be labelled makes the
answer an error. A link in the text is text: what lies behind it is not ours.
Source: Measures Art. 12; Labelling Measures Arts. 4, 5.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from guiju.core.errors import GuijuError
from guiju.gateway.call import Scope
from guiju.gateway.inline import DATA_URL, TEXT_CHARACTERS, named_medium
from guiju.gateway.media.addresses import address_of, host_file
from guiju.gateway.media.desk import MediaDesk
from guiju.gateway.media.fetch import MEDIA_TOO_LARGE
from guiju.gateway.media.labellers import MEDIA_UNLABELLED
from guiju.gateway.media.publish import File, publish_file
from guiju.gateway.upstream import UpstreamClient
from guiju.labelling.explicit.media import find_form
from guiju.labelling.values import Label, Medium
from guiju.screening.view import is_base64

if TYPE_CHECKING:
    from guiju.gateway.app import Gateway

FILES_AT_MOST: Final = 16
_FIELDS: Final = frozenset(("data", "file_data", "b64_json"))
"""Fields that the API defines to hold base64."""
_IN_TEXT: Final = re.compile(r"(data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,)([A-Za-z0-9+/=]{%d,})" % (TEXT_CHARACTERS + 1), re.IGNORECASE)  # noqa: UP031
_NO_FILE: Final = ("unknown", "text", "HTML")


class Place(NamedTuple):
    """Where a file stands: in `holder[key]`, as base64 behind a head that may be empty; one that is named has its URL as its head."""

    holder: Any
    key: str | int
    head: str
    encoded: str
    medium: Medium | None


class AsksForFiles(Protocol):
    """The call whose answer this is."""

    gateway: "Gateway"
    scope: Scope
    id: str
    media: list[dict[str, object]]
    """What the record says of the files."""


async def label_answer(call: AsksForFiles, answer: dict[str, Any], label: Label, upstream: UpstreamClient | None) -> None:
    """Label every file of an answer in its place, and note them for the record. Raises as `label_files`."""
    desk = call.gateway.media_desk()
    try:
        files = await label_files(answer, desk, label, call.id, call.scope, upstream.upstream.base_url if upstream is not None else "")
        call.media = [file.told() for file in files]
    finally:
        await asyncio.shield(asyncio.to_thread(desk.store.clear_work, call.id))


async def label_files(answer: Any, desk: MediaDesk, label: Label, number: str, scope: Scope, upstream: str) -> list[File]:
    """Label every file of an answer in its place; return them.

    Raises the errors of labelling and fetching, MEDIA-UNLABELLED for what has no label to be written.
    """
    places = list(_places(answer, desk.settings.file_bytes))
    if len(places) > FILES_AT_MOST:
        raise _unlabelled("文件过多", "it holds too many files")
    files: list[File] = []
    tokens: list[str] = []
    try:
        for place in places:
            own = f"{number}-{len(files) + 1}"
            work = desk.store.work_path(f"{number}-chat{len(files)}")
            if place.head.startswith("http"):
                await desk.fetcher.fetch(place.head, work, upstream)
            else:
                await asyncio.to_thread(_decode_to, place.encoded, work)
            made = await publish_file(desk, label, work, own, place.medium)
            files.append(made)
            if place.head.startswith("http"):
                tokens.append(await host_file(desk, made))
                place.holder[place.key] = address_of(scope, desk.settings, tokens[-1])
            else:
                encoded = await asyncio.to_thread(_encoded, made.path)
                head = f"data:{made.published.media_type};base64," if place.head else ""
                before = place.holder[place.key]
                place.holder[place.key] = before.replace(place.head + place.encoded, head + encoded)
    except BaseException:
        for token in tokens:
            await asyncio.shield(asyncio.to_thread(desk.store.withdraw, token))
        raise
    return files


def _places(value: Any, limit_bytes: int, holder: Any = None, key: str | int = "", way: tuple[str | int, ...] = ()) -> Iterator[Place]:
    if isinstance(value, dict):
        for name, item in list(value.items()):
            yield from _places(item, limit_bytes, value, name, (*way, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places(item, limit_bytes, value, index, (*way, index))
    elif isinstance(value, str):
        if len(value) > limit_bytes * 4 // 3 + 100:
            raise GuijuError(MEDIA_TOO_LARGE, limit=limit_bytes)
        yield from _in_string(value, holder, key, way)


def _in_string(value: str, holder: Any, key: str | int, way: tuple[str | int, ...]) -> Iterator[Place]:
    if way[-2:] == ("audio", "data"):
        yield Place(holder, key, "", value, "sound")
    elif whole := DATA_URL.match(value):
        yield Place(holder, key, whole[0], value[whole.end() :], None)
    elif value[:4].lower() == "http" and (named := named_medium(way)) is not None:
        yield Place(holder, key, value, "", named)
    elif key in _FIELDS and len(value) > 32 and is_base64(value) and _form(value) not in _NO_FILE:
        yield Place(holder, key, "", value, None)
    elif "base64," in value:
        for found in {found[0]: found for found in _IN_TEXT.finditer(value)}.values():
            yield Place(holder, key, found[1], found[2], None)


def _form(encoded: str) -> str:
    try:
        return find_form(base64.b64decode(encoded[:4_096]))
    except (binascii.Error, ValueError):
        return "unknown"


def _decode_to(encoded: str, file: Path) -> None:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _unlabelled("不是有效的 base64", "it is no base64") from None
    with file.open("xb") as opened:
        opened.write(raw)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _unlabelled(reason_zh: str, reason: str) -> GuijuError:
    return GuijuError(MEDIA_UNLABELLED, reason_zh=reason_zh, reason=reason)
