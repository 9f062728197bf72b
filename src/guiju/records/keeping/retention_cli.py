"""Verbs about how long records are kept, and about those that are missing. 保存期限与缺失。"""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from guiju.core.clock import BEIJING
from guiju.records.reasons import reason_option

Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
Json = Annotated[bool, typer.Option("--json", help="For programs. 供程序读取。")]
_DATA = Path("guiju-data")
FAILED = 1
"""Exit status while a gap is open."""


def add_to(app: typer.Typer) -> None:
    """Add the verbs to `guiju records`."""
    app.command("retention")(retention)
    app.command("gaps")(gaps)


def retention(
    data: Data = _DATA,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go. 只显示，不清除。")] = False,
    as_json: Json = False,
) -> None:
    """Remove what is past its days, now; the service does it once a day. 清除超过保存期限的内容与记录。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings

    from guiju.records.keeping import sweep

    kept = settings.SITE.retention
    if dry_run:
        today = datetime.now(UTC).date()
        plans = {str(what): list(sweep.plan(what, kept, today)) for what in (sweep.CONTENT, sweep.RECORD)}
        found = {
            what: [
                {"first": each.first, "until": each.until, "count": len(each.numbers), "classes": dict(each.by_class)} for each in of_what
            ]
            for what, of_what in plans.items()
        }
        if as_json:
            typer.echo(json.dumps({"paused": sweep.find_clock_trouble(today), "plans": found}, ensure_ascii=False, indent=1))
            return
        _print_classes()
        for what, name in ((sweep.CONTENT, "封存内容 contents"), (sweep.RECORD, "记录 records")):
            count = sum(len(each.numbers) for each in plans[str(what)])
            typer.echo(f"{name}: {count} 条将被清除 would go")
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=as_json) as bar:
        task = bar.add_task("清除 removing")
        done = sweep.sweep(kept, progress=lambda gone, whole: bar.update(task, completed=gone, total=whole))
    if as_json:
        typer.echo(json.dumps(asdict(done), ensure_ascii=False, indent=1))
        return
    if done.paused:
        typer.echo(f"没有安排新的清除：{done.paused[0]}。")
        typer.echo(f"No new removal was ordered: {done.paused[1]}.")
    typer.echo(
        f"清除了 {done.contents} 份封存内容、{done.records} 条记录。 {done.contents} contents and {done.records} records were removed."
    )
    if done.waiting:
        typer.echo(f"{done.waiting} 项清除等待其记录入账，稍后继续。 {done.waiting} removals wait for their record to be in the ledger.")


def gaps(
    data: Data = _DATA,
    close: Annotated[int, typer.Option(help="Close the gap with this number. 关闭该编号的缺失。")] = 0,
    reason: Annotated[str, typer.Option(help="What was found out and done. 查明的原因和措施。", callback=reason_option)] = "",
    actor: Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")] = "person:cli",
    look: Annotated[bool, typer.Option("--look", help="Look now; the service looks every minute. 立即检查。")] = False,
    as_json: Json = False,
) -> None:
    """List records that are missing and that nobody has accounted for. Exit status 1 while there is one. 记录缺失。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings

    from guiju.records.keeping.gaps import close_gap, open_gaps
    from guiju.records.keeping.watch import look as look_now

    if look:
        look_now(datetime.now(UTC), settings.SITE.limits.heartbeat_ms)
    if close:
        close_gap(close, actor=actor, reason=reason)
    found = list(open_gaps())
    if as_json:
        names = ("id", "cause", "key", "zh", "en", "service", "record")
        rows = [{name: getattr(gap, name) for name in names} | {"found_at": gap.found_at.isoformat()} for gap in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for gap in found:
            typer.echo(f"{gap.pk:>4}  {gap.found_at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}  {gap.cause:<10} {gap.zh}  {gap.en}")
        typer.echo(f"{len(found)} 处缺失未处理 gaps are open")
    if found:
        sys.exit(FAILED)


def _print_classes() -> None:
    from django.conf import settings
    from rich.console import Console
    from rich.table import Table

    from guiju.records.values import CLASSES

    kept = settings.SITE.retention
    table = Table(box=None, header_style="bold")
    for heading in ("类别 class", "法律下限 minimum", "记录上限 records", "内容上限 contents", "依据 basis"):
        table.add_column(heading)
    for each in CLASSES:
        most = kept.days_of(each.name)
        least = str(each.minimum_days) if each.minimum_days else "不清除 ever"
        row = (
            f"{each.zh} {each.en}",
            least,
            str(most) if most else "–",
            str(kept.content_days_of(each.name)),
            f"{each.basis} \\[{each.mark}]",
        )
        table.add_row(*row)
    Console().print(table)
