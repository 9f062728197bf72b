"""Signatures as they are told on the command line and to programs, and the files in which providers publish their keys.

A published file is JSON: `{"keys": [{"provider": "…", "algorithm": "sm2", "public_key": "<hex or PEM>", …}, …]}`.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guiju.core.errors import GuijuError, Text, define

if TYPE_CHECKING:
    from guiju.labelling.signatures.check import PinnedKey, SignatureFinding

_LIMIT_BYTES: Final = 1024 * 1024
_RESULTS: Final = {
    "none": "没有签名", "opaque": "不是签名的值", "intact": "完整（仅以文件内的公钥核验）", "authentic": "真实（已知公钥）",
    "false": "不符", "unexamined": "无法核验",
}  # fmt: skip

LABEL_KEYS_UNREADABLE = define(
    "LABEL-KEYS-UNREADABLE",
    status=400,
    kind="invalid_request_error",
    zh=Text("公钥文件 {path} 无法使用：{reason_zh}。", "没有采信其中任何公钥，也没有查验文件。", "请使用提供者公布的 JSON，其中每个公钥都写明 provider。"),
    en=Text(
        "The file of public keys {path} cannot be used: {reason_en}.",
        "None of its keys was relied on, and no file was inspected.",
        "Use the JSON that the provider publishes; each key in it names its provider.",
    ),
)  # fmt: skip


def signature_line(finding: "SignatureFinding") -> str:
    """Return one finding as a line for people."""
    how = " ".join(word for word in (finding.algorithm, finding.convention, finding.key_id) if word)
    return f"{finding.key} {_RESULTS[finding.result]} {finding.result}" + (f"  {how}" if how else "") + f"  {finding.reason}"


def signature_row(finding: "SignatureFinding") -> dict[str, Any]:
    """Return one finding for programs."""
    import msgspec

    row: dict[str, Any] = msgspec.to_builtins(finding)
    return row


def read_pinned(path: Path) -> list["PinnedKey"]:
    """Return the keys in a published file. Raises LABEL-KEYS-UNREADABLE: a file of which a part is not understood is not used at all."""
    from guiju.labelling.signatures.check import PinnedKey
    from guiju.labelling.signatures.keys import read_public_key

    try:
        with path.open("rb") as file:
            raw = file.read(_LIMIT_BYTES + 1)
        if len(raw) > _LIMIT_BYTES:
            raise _unreadable(path, "文件过大", "it is too large")
        listed = json.loads(raw)["keys"]
        found = [(each["provider"], each["public_key"]) for each in listed]
    except OSError as error:
        raise _unreadable(path, error.strerror or "–", error.strerror or "–") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(path, "不是所述的 JSON", "it is not the JSON described") from error
    pinned = []
    for provider, text in found:
        key = read_public_key(text) if isinstance(text, str) else None
        if key is None or not isinstance(provider, str) or not provider:
            raise _unreadable(path, "有一个公钥无法识别，或没有写明提供者", "one of its keys is not understood, or names no provider")
        pinned.append(PinnedKey(provider=provider, key=key))
    return pinned


def _unreadable(path: Path, zh: str, en: str) -> GuijuError:
    return GuijuError(LABEL_KEYS_UNREADABLE, path=path, reason_zh=zh, reason_en=en)
