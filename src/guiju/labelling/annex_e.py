"""The label of a file as a string: seven keys in the order of Annex E, written strictly, read with what is found in the wild.

Source: GB 45438-2025 §6.1, Annex E; TC260-PG-20252A for provider codes.
"""

import json
import re
from typing import Any, Final

from guiju.core.errors import GuijuError, Text, define
from guiju.labelling.implicit import DEMO_PRODUCER, is_provider_code
from guiju.labelling.values import FileLabel

KEYS: Final = ("Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2")
VALUE_LIMIT_BYTES: Final = 64 * 1024
_FIELDS: Final = ("label", "content_producer", "produce_id", "reserved_code1", "content_propagator", "propagate_id", "reserved_code2")
_VALUE: Final = re.compile(r"[!-\[\]-~]*")
_WITH_CREDIT_CODE: Final = re.compile(r"0011[0-9A-Z]{18}(?:00000|[12][0-9A-Z]{4})")
_VALUES: Final = ("1", "2", "3")
_ALMOST: Final = {"reservecode1", "reservecode2", "propagator", "propatorid", "producer", "contentproduce"}

LABEL_VALUE = define(
    "LABEL-VALUE",
    status=500,
    kind="server_error",
    zh=Text(
        "标识字段 {key} 的值“{value}”不合规范：{reason_zh}。",
        "文件未改动，也未送出；提供者编码不会由软件编造。",
        "文件标识须用 27 位提供者编码（设置项 [service.label] content_producer 只填名称时，只能标识文字）；其他字段只用可见的 ASCII 字符，不含空格和反斜杠。",
    ),
    en=Text(
        "The value '{value}' of the label's {key} is not as the standard asks: {reason}.",
        "The file is unchanged and was not delivered; no software makes up a provider code.",
        "Files need the provider's 27-character code: a name in [service.label] content_producer serves texts alone. Elsewhere use printable ASCII without space and backslash.",
    ),
)


def checked(label: FileLabel, kept: FileLabel | None = None) -> FileLabel:
    """Return the label if it may be written. What `kept` holds too was another's to write and stays as it is.

    Raises GuijuError LABEL-VALUE: the property, characters, a provider code that is none, or a first write without producer.
    Source: Annex E c) to j).
    """
    for key, name in zip(KEYS, _FIELDS, strict=True):
        value = getattr(label, name)
        if kept is not None and value == getattr(kept, name):
            continue
        if not _VALUE.fullmatch(value) or len(value) > VALUE_LIMIT_BYTES // 8:
            _refuse(key, value, "含有不允许的字符，或过长", "it has characters that may not stand there, or is too long")
        if key == "Label" and value not in _VALUES:
            _refuse(key, value, "只能是 1、2 或 3", "it must be 1, 2 or 3")
        if key in ("ContentProducer", "ContentPropagator") and value not in ("", DEMO_PRODUCER) and not is_provider_code(value):
            _refuse(key, value, "不是有效的提供者编码", "it is no valid provider code")
        if key == "ContentProducer" and value[22:23] == "2":
            _refuse(key, value, "这是传播服务的编码", "it is the code of a propagation service")
        if key in ("ContentProducer", "ProduceID") and not value and label.label == "1":
            _refuse(key, value, "不能为空", "it must not be empty")
    return label


def _refuse(key: str, value: str, reason_zh: str, reason: str) -> None:
    raise GuijuError(LABEL_VALUE, key=key, value=value[:80], reason_zh=reason_zh, reason=reason)


def inner(label: FileLabel) -> str:
    """Return the seven keys as JSON without white space, in ASCII, in the order of Annex E."""
    return "{" + ",".join(f'"{key}":{json.dumps(getattr(label, name))}' for key, name in zip(KEYS, _FIELDS, strict=True)) + "}"


def mentions_label(text: str) -> bool:
    """Tell whether the text of a place that others use too (a comment) is JSON with a key of Annex E."""
    return "{" in text and any(f'"{key}"' in text for key in KEYS[1:]) and _object(text) is not None


class Reading:
    """One text read as a label: the label, when it has the least that makes one, and what is wrong or unusual about it."""

    __slots__ = ("empty", "errors", "label", "warnings")

    def __init__(self) -> None:
        self.label: FileLabel | None = None
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.empty = False
        """A shell: the place of a label with nothing in it."""


def read_text(text: str) -> Reading:
    """Read a text, inner or wrapped; never raises. Checks carry the names of the reference."""
    reading = Reading()
    if "\ufffd" in text:
        reading.errors.append("charset: what stands there is no text")
        return reading
    found = _object(text)
    if found is None or not found:
        reading.empty = not text.strip() or found == {}
        if not reading.empty:
            reading.errors.append("json_object")
        return reading
    if not _is_text(found):
        reading.errors.append("charset: half a character stands there, which no text has")
        return reading
    if missing := [key for key in KEYS if key not in found]:
        reading.errors.append(f"keys_present: {', '.join(missing)}")
    for key in sorted(set(found) - set(KEYS)):
        if key.lower() in _ALMOST:
            reading.errors.append(f"key_spelling: {key[:40]}")
        else:
            reading.warnings.append(f"extra_key: {key[:40]}")
    values = {key: _value(reading, key, found.get(key, "")) for key in KEYS}
    if values["Label"] not in _VALUES:
        reading.errors.append("label_enum")
    for key in ("ContentProducer", "ContentPropagator"):
        if values[key] and not is_provider_code(values[key]):
            if _WITH_CREDIT_CODE.fullmatch(values[key]):
                reading.errors.append(f"uscc_checksum: {key}")
            else:
                reading.warnings.append(f"provider_code_format: {key}")
    if is_provider_code(values["ContentProducer"]) and values["ContentProducer"][22] == "2":
        reading.errors.append("service_type_matches_field")
    if values["Label"] in _VALUES:
        label = FileLabel(**{name: values[key] for key, name in zip(KEYS, _FIELDS, strict=True)})
        if label.content_producer and label.produce_id:
            reading.label = label
        elif label.label != "1" and (label.content_propagator and label.propagate_id):
            reading.label = label  # a platform's own label, of content whose producer nobody named
        else:
            reading.errors.append("least_elements")
    return reading


def _value(reading: Reading, key: str, value: Any) -> str:
    if isinstance(value, str):
        if not _VALUE.fullmatch(value):
            reading.warnings.append(f"charset: {key}")
        return value
    if key == "Label" and type(value) is int:
        reading.errors.append("label_is_number")
        return str(value) if 0 <= value <= 9 else ""
    reading.errors.append(f"value_is_string: {key}")
    return ""


def _is_text(found: dict[str, Any]) -> bool:
    """Tell whether all of it can be written down: JSON can spell halves of characters alone."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(text: str) -> dict[str, Any] | None:
    """Return the seven keys of a text, its wrapping taken off; None when it is no such object."""
    if len(text) > VALUE_LIMIT_BYTES:
        return None
    try:
        found = json.loads(text.strip().rstrip("\0"), object_pairs_hook=no_key_twice)
        if isinstance(found, dict) and isinstance(found.get("AIGC"), str) and len(found) == 1:
            found = {"AIGC": json.loads(found["AIGC"], object_pairs_hook=no_key_twice)}
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict) and isinstance(found.get("AIGC"), dict):
        found = found["AIGC"]
    return found if isinstance(found, dict) else None


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; for `json.loads`. Raises ValueError where a key stands twice: readers would differ about it."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
