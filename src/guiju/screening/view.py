"""The screening view: every string of a request or an answer that a model or a person will read, with its path.

Nothing is listed by name here: all strings of the JSON are in the view, known field or not, values and names alike. Only
names that the API itself defines are left out. A file in base64 (a data URL, or a field that is defined to hold one) is
in the view as the text that it decodes to; a picture or a sound decodes to none.
Source: design, promise 1; Measures Art. 4.
"""

import base64
import binascii
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

API_NAMES: Final = frozenset(
    """
    model messages role content name tool_calls tool_call_id function arguments type id index refusal audio text image_url url detail input_audio data format
    file file_data file_id filename stream stream_options include_usage temperature top_p n stop max_tokens max_completion_tokens presence_penalty
    frequency_penalty logit_bias logprobs top_logprobs user safety_identifier prompt_cache_key seed tools tool_choice parallel_tool_calls response_format
    json_schema schema strict description parameters properties required items enum additionalProperties anyOf allOf oneOf modalities prediction
    reasoning_effort service_tier store metadata verbosity web_search_options voice object created choices message delta finish_reason usage
    prompt_tokens completion_tokens total_tokens system_fingerprint reasoning_content reasoning annotations transcript token bytes logprob error param code
    """.split()
)
"""Names of fields that the API defines: they say nothing. Any other name is text that a model may read."""

DECODED: Final = " (decoded)"
"""Stands behind the path of a file when what it decodes to is meant."""
BINARY_CHARACTERS: Final = 1_000
"""Base64 shorter than this is examined as it is written too."""
PATH_CHARACTERS: Final = 400
"""A longer path is told by its beginning."""
_KEPT_CHARACTERS: Final = 200
_ENCODED: Final = frozenset(("data", "file_data", "b64_json"))
"""Fields that the API defines to hold base64. In any other field the same characters are words: `how-to-…` is base64 too."""
_USUAL: Final = API_NAMES - _ENCODED
"""Names that say nothing, of fields that hold words."""
_DATA_URL: Final = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_CHARSET: Final = re.compile(r";charset=\"?([\w.:-]+)", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\-=\r\n]*")
_URL_SAFE: Final = str.maketrans("-_", "+/")


def strings(value: object) -> list[str]:
    """Return every string of the view, in the order of `paths`."""
    found: list[str] = []
    _collect(value, found)
    return found


def paths(value: object) -> list[tuple[str, str]]:
    """Return (path, string) for every string of the view; paths look like `messages[1].content[0].text`.

    Of a path that is longer than 400 characters the beginning is kept and a number put behind it: each string has a path of its own, and names
    of a megabyte do not stand before each of the values under them.
    """
    found: list[tuple[str, str]] = []
    _walk(value, "", "", found, count(1))
    return found


def shortened(path: str, number: int | str = "") -> str:
    """Return a path, or of a long one its beginning and the number."""
    return path if len(path) <= PATH_CHARACTERS else f"{path[:_KEPT_CHARACTERS]}…{number}"


def without_files(view: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return a view, (path, string) pairs, without the strings that are in it decoded as well."""
    files = {path.removesuffix(DECODED) for path, _ in view if path.endswith(DECODED)}
    return [each for each in view if each[0] not in files] if files else list(view)


def _collect(value: object, found: list[str]) -> None:
    kind = value.__class__
    if kind is dict:
        if _USUAL.issuperset(value):  # type: ignore[arg-type]  # nearly always: names that say nothing, of fields that hold words
            for item in value.values():  # type: ignore[attr-defined]
                kind = item.__class__
                if kind is str:
                    if item[4:5] != ":":
                        found.append(item)
                    else:
                        found += _of_field("", item)
                elif kind is dict:
                    _collect(item, found)
                elif kind is list:
                    for each in item:
                        _collect(each, found)
            return
        for name, item in value.items():  # type: ignore[attr-defined]
            if name not in API_NAMES:
                found.append(name)
            if item.__class__ is str:
                found += _of_field(name, item)
            else:
                _collect(item, found)
    elif kind is str:
        found += _of_field("", value)  # type: ignore[arg-type]
    elif kind is list:
        for each in value:  # type: ignore[attr-defined]
            _collect(each, found)


def _walk(value: object, path: str, field: str, found: list[tuple[str, str]], numbers: Iterator[int]) -> None:
    if len(path) > PATH_CHARACTERS:
        path = shortened(path, next(numbers))
    if isinstance(value, str):
        found += [(path if text is value else path + DECODED, text) for text in _of_field(field, value)]
    elif isinstance(value, dict):
        for name, item in value.items():
            here = f"{path}.{name[:PATH_CHARACTERS]}" if path else str(name)
            if name not in API_NAMES:
                found.append((f"{shortened(here, next(numbers))} (name)", name))
            _walk(item, here, name, found, numbers)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, f"{path}[{index}]", "", found, numbers)


def _of_field(name: str, text: str) -> Sequence[str]:
    return readings(text) if name in _ENCODED or _is_data_url(text) else (text,)


def _is_data_url(text: str) -> bool:
    return text[4:5] == ":" and text[:5].lower() == "data:"


def is_base64(text: str) -> bool:
    """Tell whether every character could stand in base64."""
    return _BASE64.fullmatch(text) is not None


def readings(text: str) -> list[str]:
    """Return what can be read in the value of a field that may hold a file: the value itself unless it is long base64, and
    the text that it decodes to, if it is text.
    """
    url = _DATA_URL.match(text)
    start, options = (url.end(), url[2]) if url else (0, "")
    if url and not options.lower().endswith(";base64"):
        return [text, urllib.parse.unquote(text[start:], errors="replace")]
    if not _BASE64.fullmatch(text, start):
        return [text]
    found = [text] if len(text) < BINARY_CHARACTERS else []
    charset = _CHARSET.search(options)
    decoded = _decoded(text[start:], charset[1] if charset else "", bool(url) and text[5:10].lower() == "text/")
    return [*found, decoded] if decoded else found


def _decoded(encoded: str, charset: str, surely_text: bool) -> str:
    try:
        raw = base64.b64decode(encoded.rstrip("=\r\n").translate(_URL_SAFE) + "==")
    except binascii.Error:
        return ""
    for name in (charset, "utf-8"):
        try:
            if name:
                return raw.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("gb18030", "replace") if surely_text else ""
