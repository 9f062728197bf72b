"""`guiju inspect`: the label of a file, of every file in a folder, behind a URL, or of standard input. 查验标识。

Verdicts go to standard output, progress and errors to standard error. The exit status is the verdict's: 0 compliant, 1 noncompliant,
2 not found, 3 inconclusive, 10 a file could not be opened or fetched; of several files the gravest counts, in the order 10, 1, 3, 2, 0.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from guiju.core.errors import GuijuError, Text, define
from guiju.labelling.cli import batch
from guiju.labelling.signatures.told import read_pinned

if TYPE_CHECKING:
    from guiju.labelling.signatures.check import PinnedKey

STATUS: Final = {"compliant": 0, "noncompliant": 1, "not_found": 2, "inconclusive": 3}
UNREADABLE: Final = 10
GRAVEST: Final = (UNREADABLE, 1, 3, 2, 0)
_URLS: Final = ("http://", "https://")
_MEBIBYTE: Final = 1024 * 1024

INSPECT_UNREADABLE = define(
    "INSPECT-UNREADABLE",
    status=400,
    kind="invalid_request_error",
    zh=Text("打不开“{path}”：{reason}。", "该文件没有查验，其余文件照常查验。", "请检查路径和读取权限后重试。"),
    en=Text(
        "'{path}' cannot be opened: {reason}.", "It was not inspected; all others were.", "Look at the path and the right to read it, then try again."
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How files are looked at."""

    strict: bool = True
    user_declares: bool = False
    allow_private: bool = False
    size_bytes: int = 256 * _MEBIBYTE
    time_s: float = 60.0
    keys: tuple[Path, ...] = ()
    roots: str = ""


def inspect_command(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="FILE|DIR|URL|-", help="Files, folders or URLs; - for standard input. 文件、目录或网址，- 为标准输入。"),
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
    roots: Annotated[
        Path | None,
        typer.Option(
            "--c2pa-roots", help="PEM certificates that vouch for signers of C2PA manifests. C2PA 根证书。", dir_okay=False, exists=True
        ),
    ] = None,
    before: Annotated[
        Path | None, typer.Option("--before", help="The file as it was: tell what happened to its label. 与此前的文件比对标识。")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write a report: .csv or .json. 写出报告。")] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Processes side by side, 0 for as many as fit. 并行进程数。", min=0, max=64)] = 0,
    allow_private: Annotated[bool, typer.Option("--allow-private", help="Fetch URLs of private networks too. 允许访问内网网址。")] = False,
    max_size_mb: Annotated[int, typer.Option("--max-size", help="Largest file fetched, in MiB. 下载上限（MiB）。", min=1)] = 256,
    time_s: Annotated[float, typer.Option("--time", help="Seconds for one URL. 每个网址的时限（秒）。", min=1.0)] = 60.0,
) -> None:
    """Inspect the labels of generated content; exit status 0, 1, 2, 3 or 10. 查验生成内容标识。"""
    look = Look(
        not platform, user_declares, allow_private, max_size_mb * _MEBIBYTE, time_s, tuple(keys or ()), roots.read_text() if roots else ""
    )
    _pinned(look.keys)  # a file of keys that is not understood ends it before anything is inspected
    if out is not None and out.suffix.lower() not in (".csv", ".json"):
        raise typer.BadParameter("the report is a .csv or .json file / 报告须为 .csv 或 .json", param_hint="--out")
    if before is not None:
        if len(paths) != 1:
            raise typer.BadParameter("one file is compared with --before / 比对时只给一个文件", param_hint="--before")
        sys.exit(_compared(before, paths[0], look, as_json))
    files = [file for path in paths for file in batch.list_files(path)]
    work = partial(inspect_one, look=look)
    done = batch.each_done(work, files, 1 if "-" in files else jobs or batch.default_jobs(), _lost)
    rows, tally, statuses = [], Counter[str](), set()
    for row in batch.with_progress(done, len(files), "查验 inspect"):
        statuses.add(_tell(row, as_json=as_json))
        tally[row.get("verdict", "unreadable")] += 1
        if out is not None:
            rows.append(row)
    if not files:
        typer.echo("没有文件 / no file", err=True)
        statuses.add(UNREADABLE)
    if len(files) > 1 and not as_json:
        _summed(tally)
    if out is not None:
        _write_report(out, rows)
    sys.exit(next(status for status in GRAVEST if status in statuses))


def inspect_one(path: str, look: Look) -> dict[str, Any]:
    """Return the row of one file, URL, or standard input; a row with `error` when it could not be opened or fetched."""
    try:
        if path != "-" and not path.lower().startswith(_URLS):
            return _row(Path(path), path, look)
        with tempfile.NamedTemporaryFile(prefix="guiju-") as kept:
            if path == "-":
                shutil.copyfileobj(sys.stdin.buffer, kept)
                kept.flush()
                return _row(Path(kept.name), path, look)
            from guiju.core.addresses import networks
            from guiju.core.fetch import Limits, fetch

            allowed = networks(["0.0.0.0/0", "::/0"]) if look.allow_private else ()
            fetched = fetch(path, kept.file, limits=Limits(look.size_bytes, look.time_s), allowed=allowed)
            return _row(Path(kept.name), path, look) | {"fetched_from": fetched.url}
    except GuijuError as error:
        return {"file": path, "error": error.both()}
    except OSError as error:
        return {"file": path, "error": GuijuError(INSPECT_UNREADABLE, path=path, reason=error.strerror or "–").both()}


def _row(file: Path, name: str, look: Look) -> dict[str, Any]:
    from guiju.labelling.files import inspect
    from guiju.labelling.rows import row_of

    hint = urlsplit(name).path if name.lower().startswith(_URLS) else name
    found = inspect(
        file, user_declares=look.user_declares, strict=look.strict, pinned=_pinned(look.keys), roots=look.roots, hint=hint, listens=True
    )
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return row_of(name, digest, opened.tell(), found)


@cache
def _pinned(files: tuple[Path, ...]) -> "list[PinnedKey]":
    return [key for file in files for key in read_pinned(file)]


def _lost(path: str) -> dict[str, Any]:
    return {"file": path, "error": GuijuError(INSPECT_UNREADABLE, path=path, reason="the reading process died / 读取进程异常结束").both()}


def _tell(row: dict[str, Any], *, as_json: bool) -> int:
    from guiju.labelling.rows import lines_of, plain

    if "error" in row:
        typer.echo(plain(row["error"]), err=True)
        if as_json:
            typer.echo(json.dumps(row, ensure_ascii=True))
        return UNREADABLE
    if as_json:
        typer.echo(json.dumps(row, ensure_ascii=True))
    else:
        for line in lines_of(row):
            typer.echo(line)
    return STATUS[row["verdict"]]


def _summed(tally: "Counter[str]") -> None:
    """Show how many files had which verdict."""
    from rich.console import Console
    from rich.table import Table

    from guiju.labelling.rows import VERDICTS

    table = Table("结论 verdict", "文件 files", box=None)
    for verdict, chinese in (*VERDICTS.items(), ("unreadable", "打不开")):
        if tally[verdict]:
            table.add_row(f"{chinese} {verdict}", str(tally[verdict]))
    Console(width=80).print(table)


def _write_report(out: Path, rows: list[dict[str, Any]]) -> None:
    from guiju.core.durable import replace
    from guiju.labelling.rows import as_csv, as_json

    replace(out, as_csv(rows) if out.suffix.lower() == ".csv" else as_json(rows))


def _compared(before: Path, path: str, look: Look, as_json: bool) -> int:
    """Tell what happened to the label between two files; a label that was removed or changed has the status of noncompliant."""
    from guiju.labelling.comparing import CHANGES, compare
    from guiju.labelling.files import inspect
    from guiju.labelling.rows import keys_of, plain

    try:
        was, now = (
            inspect(Path(each), user_declares=look.user_declares, strict=look.strict, pinned=_pinned(look.keys), roots=look.roots)
            for each in (before, path)
        )
    except OSError as error:
        typer.echo(plain(GuijuError(INSPECT_UNREADABLE, path=error.filename or path, reason=error.strerror or "–").both()), err=True)
        return UNREADABLE
    found = compare(was, now)
    if as_json:
        told = {"before": str(before), "file": path, "change": found.change, "keys": found.keys}
        typer.echo(json.dumps(told | {"label_before": keys_of(was.label), "label": keys_of(now.label)}, ensure_ascii=True))
    else:
        zh, en = CHANGES[found.change]
        typer.echo(plain(f"{zh} {found.change}: {en}  {before} → {path}"))
        old, new = keys_of(was.label) or {}, keys_of(now.label) or {}
        for key in found.keys:
            typer.echo(plain(f"  {key}: {old.get(key, '–')} → {new.get(key, '–')}"))
    if found.change in ("removed", "changed"):
        return STATUS["noncompliant"]
    return STATUS["inconclusive"] if found.change == "inconclusive" else STATUS[now.verdict]
