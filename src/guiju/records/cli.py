"""`guiju records` and `guiju verify`: list, show, prove and check from the command line. 记录。"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from guiju.records import sealing_cli
from guiju.records.keeping import retention_cli
from guiju.records.keys import key_cli
from guiju.records.log.report import Report
from guiju.records.offline.command import read_public_key, report_document
from guiju.records.offline.report import Broken
from guiju.records.packs import pack_cli
from guiju.records.reasons import reason_option

FAILED = 1
"""Exit status of a check in which something does not hold."""

app = typer.Typer(
    no_args_is_help=True,
    help="Records: list, show, prove, export, pack; holds, erasure, retention, gaps, keys. 记录：列出、查看、证明、导出、打包；保全、删除、保存期限、缺失、密钥。",
)
sealing_cli.add_to(app)
key_cli.add_to(app)
pack_cli.add_to(app)
retention_cli.add_to(app)

Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
Json = Annotated[bool, typer.Option("--json", help="For programs. 供程序读取。")]
Id = Annotated[str, typer.Argument(help="Id of the record. 记录编号。")]
Actor = Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")]
_DATA = Path("guiju-data")
_MARKS = {"holds": "[green]✓[/]", "fails": "[red]✗[/]", "open": "[yellow]?[/]"}


@app.command("list")
def list_(
    data: Data = _DATA,
    kind: Annotated[str, typer.Option(help="Only this kind, or kinds that begin with it and a dot. 类型。")] = "",
    subject: Annotated[str, typer.Option(help="Only records about this subject. 主体。")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first. 条数。")] = 20,
    as_json: Json = False,
) -> None:
    """List records, newest first; one line each, tabs between the values, where no terminal reads them. 列出记录。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.db.models import Q

    from guiju.core.errors import GuijuError
    from guiju.records.heart import QUIET_KINDS
    from guiju.records.kinds import KIND_UNKNOWN, is_known
    from guiju.records.models import Record
    from guiju.records.showing import beijing, summary_of
    from guiju.web.rows import print_rows

    if kind and not is_known(kind):
        raise GuijuError(KIND_UNKNOWN, kind=kind)
    found = Record.objects.order_by("-index")
    # Heartbeats are shown to those who ask for them.
    found = found.filter(Q(kind=kind) | Q(kind__startswith=f"{kind}.")) if kind else found.exclude(kind__in=QUIET_KINDS)
    if subject:
        found = found.filter(subject=subject)
    found = found[:limit]
    rows = [summary_of(record) for record in found]
    if as_json:
        _print_json(rows)
        return
    lines = [[row["index"], row["id"], beijing(row["at"]), row["kind"], row["service"], row["subject"]] for row in rows]
    shown = [[*line[:2], line[2][5:19].replace("T", " "), *line[3:]] for line in lines]
    print_rows(("#", "id", "时间 Beijing", "类型 kind", "服务 service", "主体 subject"), lines, shown)


@app.command()
def show(
    record_id: Id,
    data: Data = _DATA,
    open_: Annotated[bool, typer.Option("--open", help="Open the sealed content; leaves a record. 打开封存内容。")] = False,
    reason: Annotated[str, typer.Option(help="Why it is opened. 打开的理由。", callback=reason_option)] = "",
    actor: Actor = "person:cli",
    as_json: Json = False,
) -> None:
    """Show one record, of a streamed answer also how it ended; with --open and --reason the sealed content. 查看一条记录。"""
    if open_ and not reason.strip():
        raise typer.BadParameter("--open needs --reason; it goes into the record. 打开须写明理由。")
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.core.errors import GuijuError
    from guiju.records import flow
    from guiju.records.access.content import plain
    from guiju.records.models import Record
    from guiju.records.showing import print_answer, whole_answer

    record = Record.objects.filter(id=record_id).first()
    if record is None:
        raise GuijuError(flow.RECORD_UNKNOWN, id=record_id)
    shown = whole_answer(record)
    if open_:
        shown["content"] = plain(flow.open_content(record_id, actor=actor, reason=reason))
    if as_json:
        _print_json(shown)
    else:
        print_answer(shown)


@app.command()
def prove(
    record_id: Id,
    data: Data = _DATA,
    out: Annotated[Path | None, typer.Option("--out", help="Write the proof here. 证明写入文件。")] = None,
    as_json: Json = False,
) -> None:
    """Prove that a record is in the log, and the one that closed the answer it began; proofs are checked before they are written. 证明一条记录在账。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings

    from guiju.core.keys import load_site_public_key
    from guiju.records import flow
    from guiju.records.log.proof import check_proof
    from guiju.records.showing import find_closing, outcome_of

    document = flow.prove(record_id)
    closing = find_closing(record_id)
    if out is not None:
        _write_proof(out, document)
    if as_json:
        _print_json(document)
        if closing is not None:
            typer.echo(f"结束这一回答的记录 The record that closed this answer: {closing.id} {closing.kind}", err=True)
        return
    trusted = load_site_public_key(settings.DATA_FOLDER.keys)
    _print_report(check_proof(document, trusted))
    if out is not None:
        typer.echo(f"{out}")
    if closing is None:
        return
    typer.echo(f"\n{record_id} 开始的回答由 {closing.id} 结束：{outcome_of(closing.kind)}")
    typer.echo(f"The answer that it began was closed by {closing.id}; its proof:\n")
    ended = flow.prove(closing.id)
    _print_report(check_proof(ended, trusted))
    if out is not None:
        beside = out.with_name(f"{out.stem}-closed{out.suffix}")
        _write_proof(beside, ended)
        typer.echo(f"{beside}")


def _write_proof(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@app.command("fingerprint")
def fingerprint_(
    text: Annotated[Path, typer.Argument(help="File with the text; - reads standard input. 文本文件。")],
    service: Annotated[str, typer.Option(help="The service whose records are meant. 服务标识。")],
    data: Data = _DATA,
    find: Annotated[bool, typer.Option("--find", help="Look through all records for it. 在全部记录中查找。")] = False,
    as_json: Json = False,
) -> None:
    """Give the fingerprint under which records name a text: an answer, a system prompt, a tool's result. 文本在记录中的指纹。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings

    from guiju.core.fingerprint import fingerprint
    from guiju.core.keys import load_pseudonym_key
    from guiju.records.browse import find_fingerprint
    from guiju.records.showing import beijing, summary_of

    try:
        raw = sys.stdin.buffer.read() if str(text) == "-" else text.read_bytes()
        made = fingerprint(load_pseudonym_key(settings.DATA_FOLDER.keys), service, raw.decode())
    except (OSError, UnicodeDecodeError) as problem:
        raise typer.BadParameter(str(problem)) from None
    found = [summary_of(record) for record in find_fingerprint(made)] if find else []
    if as_json:
        _print_json({"fingerprint": made} | ({"records": found} if find else {}))
        return
    typer.echo(made)
    for row in found:
        typer.echo(f"{row['index']}  {row['id']}  {beijing(row['at'])}  {row['kind']}")
    if find and not found:
        typer.echo("没有记录提到它。 No record names it.")


def verify_command(
    proof: Annotated[
        Path | None,
        typer.Argument(
            exists=True, dir_okay=False, help="A pack, a proof or a certificate; without one, the whole ledger. 记录包、证明或删除证书。"
        ),
    ] = None,
    data: Data = _DATA,
    public_key: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The provider's site.pub, or a file with its line from site-keys. 提供者公钥。"),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A checkpoint kept earlier: did the log grow from it? 此前保存的检查点。"),
    ] = None,
    tsa_root: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Root certificates of time-stamp authorities, PEM. 时间戳机构根证书。")
    ] = None,
    write_verifier: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the check that needs nothing but Python, and stop. 写出独立核对程序。")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the whole ledger, or a pack, proof or certificate without it. Exit status 1 when something fails. 核对账本、记录包、证明或证书。"""
    if write_verifier is not None:
        pack_cli.write_verifier(write_verifier)
        return
    if proof is None:
        report = _verify_site(data, checkpoint, tsa_root, quiet=as_json)
    elif pack_cli.is_pack(proof):
        report = pack_cli.verify_pack(proof, public_key, checkpoint, tsa_root)
    else:
        report = _verify_file(proof, public_key)
    if as_json:
        _print_json(report_document(report))
    else:
        _print_report(report)
    if not report.ok:
        sys.exit(FAILED)


def _verify_file(proof: Path, public_key: Path | None) -> Report:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from guiju.core.errors import GuijuError
    from guiju.records.log.proof import check_leaf_proof, check_proof, is_leaf_proof
    from guiju.records.packs import given
    from guiju.records.subjects.certificate import check_certificate, is_certificate

    try:
        document: Any = json.loads(proof.read_bytes())
    except (ValueError, RecursionError):
        raise GuijuError(given.VERIFY_FILE, path=proof) from None
    try:
        trusted = Ed25519PublicKey.from_public_bytes(read_public_key(public_key.read_bytes())) if public_key is not None else None
    except (ValueError, Broken):
        raise GuijuError(given.VERIFY_KEY, path=public_key) from None
    if is_leaf_proof(document):
        return check_leaf_proof(document, trusted)
    return check_certificate(document, trusted) if is_certificate(document) else check_proof(document, trusted)


def _verify_site(data: Path, checkpoint: Path | None, tsa_root: Path | None, *, quiet: bool) -> Report:
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from guiju.core.keys import load_site_public_key
    from guiju.records import flow
    from guiju.records.verify import verify_ledger

    folder = settings.DATA_FOLDER
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Refreshed by hand: a thread that does it would keep the check from using a second core (beside.py).
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet, auto_refresh=False) as bar:
        task = bar.add_task("核对 verifying")
        return verify_ledger(
            folder,
            settings.SITE.ledger.origin,
            load_site_public_key(folder.keys),
            lambda done, whole: bar.update(task, completed=done, total=whole, refresh=True),
            earlier=checkpoint.read_bytes() if checkpoint is not None else None,
            stamps=tsa_root or flow.stamp_roots(),
        )


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))


def _print_report(report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape

    from guiju.web.rows import is_terminal

    console = Console(highlight=False, soft_wrap=not is_terminal())  # what no person reads has a line for each step
    for step in report.steps:
        console.print(f"{_MARKS[step.outcome]} {step.number}. {escape(step.zh)}  [dim]{escape(step.en)}[/]")
        if step.detail:
            console.print(f"     [{'red' if step.outcome == 'fails' else 'dim'}]{escape(step.detail)}[/]")
    console.print("\n未证明 Not proven:")
    for zh, en in report.not_proven:
        console.print(f"  · {escape(zh)}  [dim]{escape(en)}[/]")
    verdict = "[green]成立 holds[/]" if report.ok else "[red]不成立 does not hold[/]"
    console.print(f"\n{verdict}")
