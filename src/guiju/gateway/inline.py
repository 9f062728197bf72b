"""Files inside of chat answers: where there may be some, and that a stream which brings one ends there, for nobody can label a file in pieces.

In a field of its own a file is known by how it begins. In running text it may be an example that the model writes: a data URL counts as a file
from `TEXT_CHARACTERS` of base64 on. No input or output here.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from guiju.core.errors import GuijuError, Text, define
from guiju.gateway.call import field_invalid
from guiju.labelling.values import Medium

TEXT_CHARACTERS: Final = 2_000
"""1.5 kB: hardly a picture or sound that anybody would look at is smaller, and hardly an example in a text larger."""
DATA_URL: Final = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)
_NAMED: Final[dict[str | int, Medium]] = {"image_url": "picture", "video_url": "film", "audio_url": "sound"}
"""Fields that name a file by its URL, as that itself or as an object with `url`."""
_LAST_PIECES: Final = 8
_RUN: Final = re.compile(r"[A-Za-z0-9+/=_\\\r\n-]*")
_BESIDE: Final = frozenset(("choices", "id", "object", "created", "model", "system_fingerprint", "service_tier", "usage"))
_CHOICE: Final = frozenset(("index", "message", "finish_reason", "logprobs"))
_MESSAGE: Final = frozenset(("role", "content", "refusal", "tool_calls", "reasoning_content", "function_call"))

MEDIA_IN_STREAM = define(
    "MEDIA-IN-STREAM",
    status=502,
    kind="server_error",
    zh=Text(
        "流式回答中出现了文件（图片或声音），无法分段加标识。", "文件没有送出，此前的文字有效；编号 {record} 留有记录。", "请以 stream=false 重发。"
    ),
    en=Text(
        "The answer that streams brought a file, a picture or a sound, which cannot be labelled in pieces.",
        "The file was not delivered, the text before it stands; record {record} keeps the case.",
        "Ask again with stream=false.",
    ),
)  # fmt: skip


def check_request(request: Mapping[str, Any]) -> None:
    """Refuse what could not be labelled before the model works for nothing. Raises FIELD-INVALID."""
    modalities = request.get("modalities")
    if isinstance(modalities, list) and set(map(str, modalities)) - {"text"} and request.get("stream") is True:
        raise field_invalid(
            "stream", "false：声音和图片完整之后才能加标识", "false: sounds and pictures can be labelled only when they are whole"
        )
    audio = request.get("audio")
    if isinstance(audio, dict) and str(audio.get("format", "")).startswith("pcm"):
        raise field_invalid(
            "audio.format",
            "wav、mp3、flac、opus 或 aac；pcm 没有放置标识的位置",
            "wav, mp3, flac, opus or aac; pcm has no place for a label",
        )


def may_hold_files(raw: bytes, answer: Mapping[str, Any]) -> bool:
    """Tell whether a whole answer may hold files: quickly, and never no where one stands in a field of its own or is as large as counts."""
    if not _BESIDE.issuperset(answer):
        return True
    beyond = len(raw) - TEXT_CHARACTERS  # what is not the words of the answer, as far as it could be a file
    choices = answer.get("choices")
    for choice in choices if choices.__class__ is list else ():
        message = choice.get("message") if choice.__class__ is dict else None
        if message.__class__ is not dict:
            continue  # no chat completion, and refused as none
        if not (_CHOICE.issuperset(choice) and _MESSAGE.issuperset(message)):
            return True
        content = message.get("content")
        if content.__class__ is str:
            if "base64," in content:
                return True
            beyond -= 3 * len(content)
        elif content is not None:
            return True
    return beyond > 0 and (b"base64" in raw or b"\\u00" in raw)


def named_medium(path: tuple[str | int, ...]) -> Medium | None:
    """Return what kind of file a field names by its URL; None for a field that names none."""
    if "images" in path and path[-1] in ("url", "image_url"):
        return "picture"
    return _NAMED.get(path[-2] if path[-1] == "url" and len(path) > 1 else path[-1])


def refuse_field(path: tuple[str | int, ...], value: str) -> None:
    """Raise MEDIA-IN-STREAM where the value of a field of a stream is a file, or names one."""
    if value and (
        (value[:5].lower() == "data:" and DATA_URL.match(value))
        or path[-2:] == ("audio", "data")
        or named_medium(path) is not None
        or path[-1] in ("b64_json", "file_data")
    ):
        raise GuijuError(MEDIA_IN_STREAM)


def refuse_files(path: tuple[str | int, ...], value: object) -> None:
    """Raise MEDIA-IN-STREAM where any string of a value beside the deltas is a file, or names one."""
    if isinstance(value, str):
        refuse_field(path, value)
    elif isinstance(value, dict):
        for name, item in value.items():
            refuse_files((*path, name), item)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            refuse_files((*path, place), item)


class Run:
    """How much base64 has come since the head of a data URL, in one running text."""

    __slots__ = ("length",)

    def __init__(self) -> None:
        self.length = 0

    def feed(self, piece: str) -> bool:
        """Take the next piece; False when the base64 has ended. Raises MEDIA-IN-STREAM when it is a file by now."""
        run = _RUN.match(piece)
        assert run is not None
        self.length += run.end()
        if self.length > TEXT_CHARACTERS:
            raise GuijuError(MEDIA_IN_STREAM)
        return run.end() == len(piece)


def begins_run(pieces: list[str]) -> Run | None:
    """Return the run of base64 with which a text ends, where its last pieces hold the head of a data URL; asked when a comma comes.

    Raises MEDIA-IN-STREAM as `Run.feed` does, for any run in these pieces.
    """
    run: Run | None = None
    for rest in "".join(pieces[-_LAST_PIECES:]).split("base64,")[1:]:
        run = Run()
        run = run if run.feed(rest) else None
    return run
