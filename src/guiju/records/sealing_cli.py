"""Verbs about sealed content and the person it is about: hold, erase, export, rotate the master key. 封存内容的命令。"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from guiju.core.clock import BEIJING
from guiju.records.reasons import reason_argument

Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
Actor = Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")]
Reason = Annotated[str, typer.Option(help="Why; it goes into the record. 理由，写入记录。", callback=reason_argument)]
Subject = Annotated[str, typer.Option("--subject", help="Subject as records name it. 主体。")]
_DATA = Path("guiju-data")
_CLI = "person:cli"


def add_to(app: typer.Typer) -> None:
    """Add the verbs to `guiju records`."""
    app.command("rotate-master-key")(rotate)
    app.command("hold")(hold)
    app.command("lift-hold")(lift)
    app.command("holds")(holds)
    app.command("subject")(subject)
    app.command("erase")(erase)
    app.command("export")(export)


def rotate(data: Data = _DATA, actor: Actor = _CLI) -> None:
    """Put a new master key in force; content is not written again. Run it again after a kill. 更换主密钥。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from guiju.core.master_keys import former_name
    from guiju.records.keys.master_key import rotate_master_key

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("重新包裹主体密钥 wrapping subject keys")
        rotated = rotate_master_key(actor, lambda done, whole: bar.update(task, completed=done, total=whole))
    typer.echo(f"主密钥 {rotated.id} 已生效；本次重新包裹 {rotated.wrapped} 个主体密钥。")
    typer.echo(f"Master key {rotated.id} is in force; {rotated.wrapped} subject keys were wrapped anew in this run.")
    if rotated.before:
        path = settings.DATA_FOLDER.keys / former_name(rotated.before)
        typer.echo(f"原主密钥在 {path}，此数据库不再需要；更早的备份仍需要它。请移出并随那些备份一同销毁。")
        typer.echo(f"The former one is {path}: this database needs it no more, older backups do. Move it away and destroy it with them.")


def hold(
    reason: Reason,
    reference: Annotated[str, typer.Option(help="Number of the order or case. 文号或案号。")],
    data: Data = _DATA,
    subject: Annotated[str, typer.Option(help="Records about this subject. 主体。")] = "",
    kind: Annotated[str, typer.Option(help="Records of this kind. 类型。")] = "",
    service: Annotated[str, typer.Option(help="Records of this service. 服务。")] = "",
    since: Annotated[str, typer.Option(help="From this time on, Beijing time, 2026-11-24T09:00. 从。")] = "",
    until: Annotated[str, typer.Option(help="Before this time. 到。")] = "",
    actor: Actor = _CLI,
) -> None:
    """Set a legal hold: what it selects is neither erased nor removed. 设定法律保全。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.records.keeping.hold import Selection, count_held, set_hold
    from guiju.records.times import beijing_time

    made = set_hold(
        Selection(subject, kind, service, beijing_time(since), beijing_time(until)), actor=actor, reason=reason, reference=reference
    )
    typer.echo(made.id)
    count = count_held(made)
    typer.echo(f"现有 {count} 条记录属于此保全。 It selects {count} records now.", err=True)
    if not count:
        typer.echo("警告：它现在不保全任何记录。请核对条件；今后符合条件的记录会被保全。", err=True)
        typer.echo("Warning: it holds nothing now. Check its conditions; records to come that fit them are held.", err=True)


def lift(
    hold_id: Annotated[str, typer.Argument(help="Id of the hold. 保全编号。")], reason: Reason, data: Data = _DATA, actor: Actor = _CLI
) -> None:
    """Lift a legal hold. 解除法律保全。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.records.keeping.hold import lift_hold

    lift_hold(hold_id, actor=actor, reason=reason)


def holds(data: Data = _DATA) -> None:
    """List the legal holds that stand. 列出有效的法律保全。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from rich.console import Console
    from rich.table import Table

    from guiju.records.keeping.hold import count_held, standing_holds

    table = Table(box=None, header_style="bold")
    for heading in ("id", "时间 set", "对象 what", "现有记录 records now", "文号 reference", "理由 reason", "设定者 by"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    for each in standing_holds():
        parts = [each.subject, each.kind, each.service]
        parts += [f"{name} {at.astimezone(BEIJING):%Y-%m-%d %H:%M}" for name, at in (("≥", each.since), ("<", each.until)) if at]
        what = " · ".join(filter(None, parts))
        set_at, count = f"{each.set_at.astimezone(BEIJING):%Y-%m-%d %H:%M}", str(count_held(each))
        table.add_row(each.id, set_at, what, count, each.reference, each.reason, each.set_by)
    Console().print(table)


def subject(
    data: Data = _DATA,
    name: Annotated[str, typer.Option("--subject", help="Subject as records name it. 主体。")] = "",
    service: Annotated[str, typer.Option(help="With --user: the service. 服务。")] = "",
    user: Annotated[str, typer.Option(help="Identifier that the service sends for its user. 服务所用的用户标识。")] = "",
) -> None:
    """Tell what there is about a subject; with --service and --user, under which subject that user is on record. 主体。"""
    if bool(name) == bool(user) or bool(user) != bool(service):
        raise typer.BadParameter("give --subject, or --service and --user. 请给出 --subject，或 --service 与 --user。")
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings

    from guiju.core.keys import load_pseudonym_key
    from guiju.core.pseudonyms import pseudonym_of
    from guiju.records.subjects.personal_data import find

    found = find(name or pseudonym_of(load_pseudonym_key(settings.DATA_FOLDER.keys), service, user))
    for label, value in (
        ("主体 subject", found.subject),
        ("记录 records", found.records),
        ("封存内容 sealed contents", found.contents),
        ("最早 first", _when(found.first_at)),
        ("最近 last", _when(found.last_at)),
        ("保全 holds", ", ".join(each.reference for each in found.holds) or "–"),
        ("删除证书 certificates", ", ".join(each.id for each in found.erasures) or "–"),
    ):
        typer.echo(f"{label}  {value}")


def erase(
    name: Subject,
    reason: Reason,
    data: Data = _DATA,
    out: Annotated[Path | None, typer.Option("--out", help="Write the certificate here. 证书写入文件。")] = None,
    actor: Actor = _CLI,
) -> None:
    """Destroy a subject's key and give the signed certificate; asks for approval first where the policy says so. 删除一个主体的内容。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.records.subjects.erasure import erase_subject

    erasure = erase_subject(name, actor=actor, reason=reason)
    if out is None:
        typer.echo(erasure.certificate)
        return
    out.write_text(erasure.certificate + "\n", encoding="utf-8")
    typer.echo(f"{out}")


def export(
    name: Subject,
    reason: Reason,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to; it must be new or empty. 写入的目录。")],
    data: Data = _DATA,
    open_: Annotated[
        bool, typer.Option("--open", help="With the sealed contents; asks for approval first where the policy says so. 含封存内容。")
    ] = False,
    complete: Annotated[
        bool, typer.Option("--complete", help="Everything, for the file; not for the person. 完整，供存档，不交给本人。")
    ] = False,
    actor: Actor = _CLI,
) -> None:
    """Write the records about a subject as JSON for programs and as pages in Chinese and English for people. 导出一个主体的记录。"""
    if out.exists() and any(out.iterdir()):
        raise typer.BadParameter(f"{out} is not empty. 目录非空。")
    from guiju.web import open_data_folder

    open_data_folder(data)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from guiju.records.access.opening import open_subject
    from guiju.records.subjects.personal_data import PAGE_RECORDS, begin_export, list_members

    if open_:
        open_subject(name, actor=actor, reason=reason)
    export = begin_export(name, actor=actor, reason=reason, opened=open_, complete=complete)
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("导出 exporting", total=3 * export.records)
        for member, pieces in list_members(export):
            part = out / f"{member}.part"
            with part.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                    bar.advance(task, 1 if member.endswith(".json") else PAGE_RECORDS)
            part.rename(out / member)
    typer.echo(f"{out}  {export.records} 条记录 records")


def _when(at: datetime | None) -> str:
    return at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S") if at else "–"
