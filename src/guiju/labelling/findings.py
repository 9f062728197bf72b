"""The checks of a label by name, each with its result: what a report, a page and a program show of an inspection.

`not_examined` is said of what no program here looked at; it is never "pass". `info` and `warn` leave the verdict as it is.
Source: GB 45438-2025 §6.1, Annex E; TC260-PG-20252A; Labelling Measures Arts. 4 to 6.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from guiju.labelling.signatures.check import Result, SignatureFinding
from guiju.labelling.values import Damaged, FileLabel, Heard

Outcome = Literal["pass", "fail", "warn", "info", "not_examined"]

CHECKS: Final[dict[str, tuple[str, str]]] = {
    "container_walk": ("文件结构读到末尾", "the container was read to its end"),
    "one_label": ("只有一个标识", "there is one label"),
    "json_object": ("标识是一个 JSON 对象", "the label is a JSON object"),
    "keys_present": ("七个字段齐全", "all seven keys are there"),
    "key_spelling": ("字段名拼写正确", "the keys are spelt as in Annex E"),
    "extra_key": ("没有其他字段", "there are no other keys"),
    "value_is_string": ("各字段的值是字符串", "every value is a string"),
    "label_enum": ("Label 为 1、2 或 3", "Label is 1, 2 or 3"),
    "charset": ("只含允许的字符", "the values hold allowed characters alone"),
    "least_elements": ("属性、生成者和编号俱全", "property, producer and number are named"),
    "provider_code_format": ("提供者编码的形式", "the form of the provider codes"),
    "uscc_checksum": ("统一社会信用代码的校验位", "the check character of the credit code"),
    "service_type_matches_field": ("生成者编码属于生成服务", "the producer's code is that of a generation service"),
    "first_write_equality": ("首次写入：传播者与生成者一致", "first write: the propagator is the producer"),
    "security_data": ("安全数据（ReservedCode）", "security data (ReservedCode)"),
    "explicit_text": ("文字的显式标识", "the explicit label of a text"),
    "explicit_image": ("画面上的显式标识", "the explicit label on a picture"),
    "explicit_audio": ("声音的显式标识", "the explicit label of a sound"),
    "explicit_video_2s": ("视频起始画面的显式标识（不少于 2 秒）", "the explicit label at a video's opening, 2 seconds or more"),
}
"""Every check, in the order of reports: its name → what it asks, in Chinese and English."""

_ALIASES: Final = {"label_is_number": "value_is_string", "exif_broken": "container_walk", "xmp_broken": "container_walk"}
_OF_LABEL: Final = (
    "json_object", "keys_present", "key_spelling", "extra_key", "value_is_string", "label_enum", "charset", "least_elements",
    "provider_code_format", "uscc_checksum", "service_type_matches_field",
)  # fmt: skip
_SIGNED: Final[dict[Result, Outcome]] = {
    "none": "info", "opaque": "info", "intact": "pass", "authentic": "pass", "false": "fail", "unexamined": "not_examined",
}  # fmt: skip
_PICTURES: Final = frozenset({"PNG", "JPEG", "WebP", "GIF", "TIFF", "HEIF", "HEIC", "AVIF", "SVG"})
_SOUNDS: Final = frozenset({"WAV", "MP3", "FLAC", "Ogg", "Opus", "AAC", "ADTS", "M4A"})
_VIDEOS: Final = frozenset({"MP4", "MOV", "Matroska", "MKV", "WebM", "AVI", "FLV"})


class Finding(msgspec.Struct, frozen=True):
    """The result of one check; `detail` says what was found, empty when there is nothing to say."""

    check: str
    outcome: Outcome
    detail: str = ""


def list_findings(
    container: str,
    places: int,
    label: FileLabel | None,
    errors: Sequence[str],
    warnings: Sequence[str],
    signatures: Sequence[SignatureFinding],
    damaged: Damaged | None,
    heard: Heard | None = None,
) -> list[Finding]:
    """Return every check that applies, in the order of `CHECKS`."""
    if damaged is not None:
        return [Finding("container_walk", "not_examined", f"{damaged.reason} ({damaged.at})")]
    told: dict[str, Finding] = {}
    for outcome, texts in (("warn", warnings), ("fail", errors)):
        for text in texts:
            name, _, detail = text.partition(": ")
            name = _ALIASES.get(name, name)
            earlier = told[name].detail if name in told else ""
            told[name] = Finding(name, outcome, "; ".join(part for part in (earlier, detail) if part))  # type: ignore[arg-type]
    found = [told.get("container_walk", Finding("container_walk", "pass"))]
    if places:
        found.append(told.get("one_label", Finding("one_label", "pass")))
        unread = label is None and "json_object" in told
        for name in _OF_LABEL:
            otherwise = Finding(name, "not_examined") if unread and name != "json_object" else Finding(name, "pass")
            found.append(told.get(name, otherwise))
    if label is not None:
        found.append(_first_write(label))
        found += [Finding("security_data", _SIGNED[each.result], f"{each.key}: {each.result}: {each.reason}") for each in signatures]
    found += _explicit(container, heard)
    return found + [each for name, each in told.items() if name not in CHECKS]


def _first_write(label: FileLabel) -> Finding:
    same = (label.content_producer, label.produce_id) == (label.content_propagator, label.propagate_id)
    detail = "" if same else "no propagator is named" if not label.content_propagator else "another propagated it"
    return Finding("first_write_equality", "info", detail or "yes")


def _explicit(container: str, heard: Heard | None) -> list[Finding]:
    if heard is not None:
        return [Finding("explicit_audio", "pass" if heard.result == "rhythm" else "not_examined", heard.reason)]
    for names, check in ((_PICTURES, "explicit_image"), (_SOUNDS, "explicit_audio"), (_VIDEOS, "explicit_video_2s")):
        if container in names:
            return [Finding(check, "not_examined", "to be looked at by a person")]
    return [Finding("explicit_text", "not_examined", "to be looked at by a person")]
