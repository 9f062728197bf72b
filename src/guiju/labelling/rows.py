"""One inspected file as a row: of `--json`, of a report, of a terminal. A row is plain JSON and holds everything that was found."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from guiju.labelling.annex_e import KEYS
from guiju.labelling.files import Inspection
from guiju.labelling.findings import CHECKS
from guiju.labelling.signatures.check import SignatureFinding
from guiju.labelling.signatures.told import signature_line, signature_row
from guiju.labelling.values import FileLabel

RULES: Final = "GB 45438-2025"
VERDICTS: Final = {"compliant": "合规", "noncompliant": "不合规", "not_found": "未发现", "inconclusive": "无法判断"}
STATES: Final = {"declared": "属于", "possible": "可能", "suspected": "疑似", "none": "无"}
HEARD: Final = {"rhythm": "节奏标识", "nothing": "没有节奏标识", "unexamined": "无法查验"}
CREDENTIALS: Final = {"none": "无清单", "trusted": "可信", "valid": "完整", "invalid": "不符", "unexamined": "无法核验"}
_COLUMNS: Final = (
    "file", "sha256", "size_bytes", "container", "verdict", "state", "channel", "offset", "length", "payload", *KEYS,
    "fails", "warns", "not_examined", "traces", "error", "rules", "guiju",
)  # fmt: skip


def row_of(name: str, sha256: str, size_bytes: int, found: Inspection) -> dict[str, Any]:
    """Return the row of one file."""
    places = [
        {"channel": each.channel, "offset": each.start, "length": each.stop - each.start, "text": each.text, "label": keys_of(each.label)}
        for each in found.places
    ]
    return {
        "file": name,
        "sha256": sha256,
        "size_bytes": size_bytes,
        "container": found.container,
        "verdict": found.verdict,
        "state": found.state,
        "label": keys_of(found.label),
        "places": places,
        "findings": [{"check": each.check, "outcome": each.outcome, "detail": each.detail} for each in found.findings],
        "errors": found.errors,
        "warnings": found.warnings,
        "traces": found.traces,
        "signatures": [signature_row(each) for each in found.signatures],
        "credentials": None if found.credentials is None else msgspec.to_builtins(found.credentials),
        "heard": None if found.heard is None else msgspec.to_builtins(found.heard),
        "damaged": None if found.damaged is None else {"reason": found.damaged.reason, "at": found.damaged.at},
        "rules": RULES,
        "guiju": version("guiju"),
    }


def keys_of(label: FileLabel | None) -> dict[str, str] | None:
    """Return the seven keys by their names in Annex E."""
    return None if label is None else dict(zip(KEYS, msgspec.structs.astuple(label), strict=True))


def lines_of(row: dict[str, Any]) -> Iterator[str]:
    """Yield what a terminal shows of a row; no value of a file steers it."""
    state = "–" if row["state"] is None else f"{STATES[row['state']]} {row['state']}"
    yield plain(f"{VERDICTS[row['verdict']]} {row['verdict']}  {state}  {row['container']}  {row['file']}")
    for key, value in (row["label"] or {}).items():
        yield plain(f"  {key}: {value}")
    for signature in row["signatures"]:
        yield plain(f"  签名 signature: {signature_line(msgspec.convert(signature, SignatureFinding))}")
    if manifest := row["credentials"]:
        signer = f"  {manifest['signer']}" if manifest["signer"] else ""
        yield plain(f"  C2PA: {CREDENTIALS[manifest['result']]} {manifest['result']}{signer}  {manifest['reason']}")
    if heard := row["heard"]:
        yield plain(f"  听到 heard: {HEARD[heard['result']]} {heard['result']}  {heard['reason']}")
    for place in row["places"]:
        yield plain(f"  位置 place: {place['channel']}, {place['offset']}–{place['offset'] + place['length']}")
    if row["damaged"] is not None:
        yield plain(f"  {row['damaged']['reason']} ({row['damaged']['at']})")
    for heading, texts in (("错误 error", row["errors"]), ("提示 warning", row["warnings"]), ("痕迹 trace", row["traces"])):
        for text in texts:
            yield plain(f"  {heading}: {_with_name(text)}")
    if unseen := [each["check"] for each in row["findings"] if each["outcome"] == "not_examined" and row["damaged"] is None]:
        yield plain(f"  未查验 not examined: {', '.join(map(_with_name, unseen))}")


def _with_name(text: str) -> str:
    """Return what was found with what its check asks, in Chinese and English."""
    asked = CHECKS.get(text.partition(":")[0])
    return f"{text}（{asked[0]} / {asked[1]}）" if asked else text


def plain(text: str) -> str:
    """Return a line in which nothing steers a terminal: values of a file are a stranger's."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)[:2000]


def as_json(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return a report: one array of rows."""
    return (json.dumps(list(rows), ensure_ascii=True, indent=1) + "\n").encode()


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return a report as a table, a line for each place of a label and one for each file without; UTF-8 with its mark, for spreadsheets."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(_COLUMNS)
    for row in rows:
        for place in row.get("places") or [None]:
            cells = {**row, **(row.get("label") or {}), "traces": "; ".join(row.get("traces", ()))}
            for outcome, column in (("fail", "fails"), ("warn", "warns"), ("not_examined", "not_examined")):
                cells[column] = "; ".join(_told(each) for each in row.get("findings", ()) if each["outcome"] == outcome)
            if place is not None:
                cells |= {"channel": place["channel"], "offset": place["offset"], "length": place["length"], "payload": place["text"]}
            table.writerow(_inert(cells.get(column)) for column in _COLUMNS)
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "backslashreplace")


def _told(finding: dict[str, str]) -> str:
    return finding["check"] + (f": {finding['detail']}" if finding["detail"] else "")


def _inert(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return "" if value is None else value
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
