"""`guiju inspect`: the label of a file, of every file in a folder, or of standard input. 查验标识。

Verdicts go to standard output, progress and errors to standard error. The exit status is the verdict's: 0 compliant, 1 noncompliant,
2 not found, 3 inconclusive, 10 a file could not be opened; of several files the gravest counts, in the order 10, 1, 3, 2, 0.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from guiju.core.errors import GuijuError, Text, define
from guiju.labelling.signatures.told import read_pinned, signature_line, signature_row

if TYPE_CHECKING:
    from guiju.labelling.files import Inspection
    from guiju.labelling.signatures.check import PinnedKey
    from guiju.labelling.values import FileLabel

STATUS: Final = {"compliant": 0, "noncompliant": 1, "not_found": 2, "inconclusive": 3}
UNREADABLE: Final = 10
_GRAVEST: Final = (UNREADABLE, 1, 3, 2, 0)
_RULES: Final = "GB 45438-2025"
_VERDICTS: Final = {"compliant": "合规", "noncompliant": "不合规", "not_found": "未发现", "inconclusive": "无法判断"}
_STATES: Final = {"declared": "属于", "possible": "可能", "suspected": "疑似", "none": "无"}

INSPECT_UNREADABLE = define(
    "INSPECT-UNREADABLE",
    status=400,
    kind="invalid_request_error",
    zh=Text("打不开“{path}”：{reason}。", "该文件没有查验，其余文件照常查验。", "请检查路径和读取权限后重试。"),
    en=Text(
        "'{path}' cannot be opened: {reason}.", "It was not inspected; all others were.", "Look at the path and the right to read it, then try again."
    ),
)  # fmt: skip


def inspect_command(
    paths: Annotated[
        list[str], typer.Argument(metavar="FILE|DIR|-", help="Files or folders; - for standard input. 文件或目录，- 为标准输入。")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each file. 每个文件一行 JSON。")] = False,
    platform: Annotated[
        bool, typer.Option("--platform", help="As a platform reads: several equal labels are a warning. 平台口径：重复的相同标识只提示。")
    ] = False,
    user_declares: Annotated[
        bool, typer.Option("--user-declares", help="Whoever published it says it is generated. 发布者已声明为生成内容。")
    ] = False,
    keys: Annotated[
        list[Path] | None,
        typer.Option("--keys", help="Keys that a provider publishes (JSON): signatures under them are authentic. 已知公钥。"),
    ] = None,
) -> None:
    """Inspect the labels of generated content in files; exit status 0, 1, 2, 3 or 10. 查验文件中的生成内容标识。"""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    pinned = [key for file in keys or () for key in read_pinned(file)]
    files = [file for path in paths for file in _files(path)]
    statuses = set()
    shown = Progress(
        TextColumn("查验 inspect"), BarColumn(), MofNCompleteColumn(), console=Console(stderr=True), transient=True,
        disable=len(files) < 2 or not sys.stderr.isatty(),
    )  # fmt: skip
    with shown as progress:
        for file in progress.track(files):
            statuses.add(_told(file, as_json=as_json, strict=not platform, user_declares=user_declares, pinned=pinned))
    if not files:
        typer.echo("没有文件 / no file", err=True)
        statuses.add(UNREADABLE)
    sys.exit(next(status for status in _GRAVEST if status in statuses))


def _files(path: str) -> Iterator[str]:
    """Yield the files of a folder in order, links left out; anything else as it is."""
    if path == "-" or not Path(path).is_dir():
        yield path
        return
    for folder, below, names in os.walk(path):
        below.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink():
                yield str(file)


def _told(path: str, *, as_json: bool, strict: bool, user_declares: bool, pinned: list["PinnedKey"]) -> int:
    try:
        if path != "-":
            return _inspected(Path(path), path, as_json, strict, user_declares, pinned)
        with tempfile.NamedTemporaryFile(prefix="guiju-") as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            kept.flush()
            return _inspected(Path(kept.name), path, as_json, strict, user_declares, pinned)
    except OSError as error:
        typer.echo(GuijuError(INSPECT_UNREADABLE, path=_plain(path), reason=error.strerror or "–").both(), err=True)
        return UNREADABLE


def _inspected(file: Path, name: str, as_json: bool, strict: bool, user_declares: bool, pinned: list["PinnedKey"]) -> int:
    from guiju.labelling.files import inspect

    found = inspect(file, user_declares=user_declares, strict=strict, pinned=pinned)
    if as_json:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        typer.echo(json.dumps(_row(name, digest, found), ensure_ascii=True))
    else:
        for line in _lines(name, found):
            typer.echo(line)
    return STATUS[found.verdict]


def _row(name: str, digest: str, found: "Inspection") -> dict[str, Any]:
    places = [
        {
            "channel": place.channel,
            "offset": place.start,
            "length": place.stop - place.start,
            "text": place.text,
            "label": _keys(place.label),
        }
        for place in found.places
    ]
    return {
        "file": name,
        "sha256": digest,
        "container": found.container,
        "verdict": found.verdict,
        "state": found.state,
        "label": _keys(found.label),
        "places": places,
        "errors": found.errors,
        "warnings": found.warnings,
        "traces": found.traces,
        "signatures": [signature_row(each) for each in found.signatures],
        "damaged": None if found.damaged is None else {"reason": found.damaged.reason, "at": found.damaged.at},
        "rules": _RULES,
        "guiju": version("guiju"),
    }


def _keys(label: "FileLabel | None") -> dict[str, str] | None:
    import msgspec

    from guiju.labelling.annex_e import KEYS

    return None if label is None else dict(zip(KEYS, msgspec.structs.astuple(label), strict=True))


def _lines(name: str, found: "Inspection") -> Iterator[str]:
    state = "–" if found.state is None else f"{_STATES[found.state]} {found.state}"
    yield _plain(f"{_VERDICTS[found.verdict]} {found.verdict}  {state}  {found.container}  {name}")
    if found.label is not None:
        for key, value in (_keys(found.label) or {}).items():
            yield _plain(f"  {key}: {value}")
    for signature in found.signatures:
        yield _plain(f"  签名 signature: {signature_line(signature)}")
    for place in found.places:
        yield _plain(f"  位置 place: {place.channel}, {place.start}–{place.stop}")
    if found.damaged is not None:
        yield _plain(f"  {found.damaged.reason} ({found.damaged.at})")
    for heading, texts in (("错误 error", found.errors), ("提示 warning", found.warnings), ("痕迹 trace", found.traces)):
        for text in texts:
            yield _plain(f"  {heading}: {text}")


def _plain(text: str) -> str:
    """Return a line in which nothing steers a terminal: values of a file are a stranger's."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)[:2000]
