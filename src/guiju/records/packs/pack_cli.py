"""`guiju records pack`, and the part of `guiju verify` that checks packs without Django and database. 记录包。"""

from pathlib import Path
from typing import Annotated

import typer

from guiju.records.log.report import Report
from guiju.records.reasons import reason_option


def add_to(app: typer.Typer) -> None:
    """Give the verbs of this file to `guiju records`."""
    app.command("pack")(pack)


def pack(
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="Write the pack here. 记录包写入此文件。")],
    data: Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")] = Path("guiju-data"),
    ids: Annotated[list[str] | None, typer.Option("--id", help="This record; may be repeated. 记录编号，可重复。")] = None,
    kind: Annotated[str, typer.Option(help="This kind, or kinds that begin with it and a dot. 类型。")] = "",
    service: Annotated[str, typer.Option(help="Records of this service. 服务。")] = "",
    subject: Annotated[str, typer.Option(help="Records about this subject. 主体。")] = "",
    since: Annotated[str, typer.Option(help="From this time on, Beijing time, 2026-11-24T09:00. 从。")] = "",
    until: Annotated[str, typer.Option(help="Before this time. 到。")] = "",
    first: Annotated[int | None, typer.Option(min=0, help="From this number on; a range alone can be shown whole. 起始编号。")] = None,
    last: Annotated[int | None, typer.Option(min=0, help="Up to this number. 截止编号。")] = None,
    grown_from: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A checkpoint kept earlier; proves that the log grew from it. 此前的检查点。"),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the sealed content; each leaves a record. 打开封存内容。")] = False,
    reason: Annotated[str, typer.Option(help="Why it is opened. 打开的理由。", callback=reason_option)] = "",
    actor: Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")] = "person:cli",
    with_verifier: Annotated[bool, typer.Option(help="Enclose the check that runs alone. 附上独立核对程序。")] = True,
) -> None:
    """Write a selection of records with its proofs into one sealed file that anybody can check. 制作记录包。"""
    if open_ and not reason.strip():
        raise typer.BadParameter("--open needs --reason; it goes into the record. 打开须写明理由。")
    if out.exists():
        raise typer.BadParameter(
            f"{out} 已存在，未改动。请换一个文件名，或先移走它。 {out} exists and is unchanged. Give another name, or move it away first."
        )
    from guiju.web import open_data_folder

    open_data_folder(data)
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    from guiju.records.packs.pack import Earlier, Selection, write_pack

    selection = Selection(
        ids=tuple(ids) if ids else None,
        kind=kind or None,
        service=service or None,
        subject=subject or None,
        since=_utc(since),
        until=_utc(until),
        first=first,
        last=last,
    )

    earlier = [Earlier(checkpoint=grown_from.read_bytes())] if grown_from is not None else []
    with Progress(TextColumn("{task.description} {task.completed}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("记录 records", total=None)
        made = write_pack(
            out,
            selection,
            actor=actor,
            open_reason=reason if open_ else "",
            earlier=earlier,
            with_verifier=with_verifier,
            progress=lambda done: bar.update(task, completed=done),
        )
    typer.echo(f"{out}  {made.records} 条 records  {made.opened} 已打开 opened\nsha256 {made.sha256}")
    if made.left_sealed:
        typer.echo(f"{made.left_sealed} 份内容在申请之后才有，批准不包括它们，未打开。")
        typer.echo(f"{made.left_sealed} contents came after the request; the approval does not name them, and they stay sealed.")


def _utc(text: str) -> str | None:
    from guiju.records.packs.pack import pack_time
    from guiju.records.times import beijing_time

    at = beijing_time(text)
    return pack_time(at) if at else None


def is_pack(path: Path) -> bool:
    """Tell whether a file is a zip, as packs are."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def verify_pack(path: Path, public_key: Path | None, checkpoint: Path | None, tsa_root: Path | None) -> Report:
    """Check a pack by what the reader gives. Raises VERIFY-KEY, and BadParameter for other files that are not what they should be."""
    from guiju.core.errors import GuijuError
    from guiju.records.offline.command import read_public_key
    from guiju.records.offline.packcheck import check_pack
    from guiju.records.offline.report import Broken
    from guiju.records.offline.timestamp import read_pem
    from guiju.records.packs.given import VERIFY_KEY

    try:
        trusted = read_public_key(public_key.read_bytes()) if public_key is not None else None
    except Broken:
        raise GuijuError(VERIFY_KEY, path=public_key) from None
    try:
        return check_pack(
            path,
            trusted=trusted,
            kept=checkpoint.read_bytes() if checkpoint is not None else None,
            tsa_roots=read_pem(tsa_root.read_bytes()) if tsa_root is not None else None,
        )
    except Broken as problem:
        raise typer.BadParameter(str(problem)) from None


def write_verifier(path: Path) -> None:
    """Write the check that runs alone."""
    from guiju.records.offline.single import single_file

    path.write_text(single_file(), encoding="utf-8")
    typer.echo(f"{path}")
