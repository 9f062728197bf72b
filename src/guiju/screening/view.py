"""The screening view: every string of a request or an answer that a model or a person will read, with its path.

Nothing is listed by name here: all strings of the JSON are in the view, known field or not, values and names alike. Only
names that the API itself defines are left out, and data that is no text (a picture in base64) is left out of the text.
Source: design, promise 1; Measures Art. 4.
"""

import base64
import binascii
import re
from collections.abc import Iterator
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

BINARY_CHARACTERS: Final = 1_000
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.=+-]+)*;base64,")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\-=\r\n]*")


def strings(value: object) -> list[str]:
    """Return every string of the view, in the order of `paths`."""
    found: list[str] = []
    _collect(value, found)
    return found


def paths(value: object) -> list[tuple[str, str]]:
    """Return (path, string) for every string of the view; paths look like `messages[1].content[0].text`."""
    return list(_walk(value, ""))


def _collect(value: object, found: list[str]) -> None:
    """Add the strings below `value`. Numbers are passed over without a call: this runs for every request."""
    if value.__class__ is dict:
        for name, item in value.items():  # type: ignore[attr-defined]
            if name not in API_NAMES:
                found.append(name)
            kind = item.__class__
            if kind is str:
                found.append(item if len(item) < BINARY_CHARACTERS else readable(item))
            elif kind is dict or kind is list:
                _collect(item, found)
    elif value.__class__ is list:
        for item in value:  # type: ignore[attr-defined]
            _collect(item, found)
    elif value.__class__ is str:
        found.append(value if len(value) < BINARY_CHARACTERS else readable(value))  # type: ignore[arg-type]


def _walk(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value if len(value) < BINARY_CHARACTERS else readable(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            here = f"{path}.{name}" if path else str(name)
            if name not in API_NAMES:
                yield here + " (name)", name
            yield from _walk(item, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}[{index}]")


def readable(text: str) -> str:
    """Return what of a long string is text: all of it, or nothing of data in base64, or the text that a data URL carries."""
    url = _DATA_URL.match(text)
    if url is None:
        return "" if _BASE64.fullmatch(text) else text
    if not _BASE64.fullmatch(text, url.end()):
        return text
    if url[1] and not url[1].startswith("text/"):
        return ""
    try:
        return base64.b64decode(text[url.end() :], validate=False).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
