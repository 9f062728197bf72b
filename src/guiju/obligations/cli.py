"""`guiju check`: every duty of every service, by chapter and article, for people and for build servers. 检查。"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from guiju.obligations.judging import Light

FAILED: Final = 1
"""Exit status when a duty is breached or overdue."""
_MARKS: Final = {
    "met": ("[green]●[/]", "已履行", "met"),
    "due": ("[yellow]▲[/]", "待办", "due"),
    "overdue": ("[red]▼[/]", "逾期", "overdue"),
    "breach": ("[red]✕[/]", "违反", "breach"),
    "needs_person": ("[blue]?[/]", "待人判断", "needs a person"),
    "not_built": ("[dim]□[/]", "未建", "not built"),
    "not_applicable": ("[dim]–[/]", "不适用", "not applicable"),
}
Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
_DATA = Path("guiju-data")


class Form(StrEnum):
    """How the result is written."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"


app = typer.Typer(no_args_is_help=True, help="Duties as documents: OSCAL, the gap matrix. 义务的导出：OSCAL、差距表。")


class Part(StrEnum):
    """Which OSCAL document."""

    CATALOG = "catalog"
    COMPONENT = "component"
    RESULTS = "results"


@app.command()
def oscal(
    part: Annotated[Part, typer.Argument(help="catalog, component or results. 目录、组件或结果。")],
    data: Data = _DATA,
    out: Annotated[Path | None, typer.Option(help="Write to this file. 写入文件。", dir_okay=False)] = None,
) -> None:
    """Write the catalogue, what guiju does, or the lights as an OSCAL document. 导出 OSCAL。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.obligations.exports import oscal_document

    text = json.dumps(oscal_document(part.value), ensure_ascii=False, indent=1) + "\n"
    _write(text.encode(), out)


@app.command()
def matrix(
    data: Data = _DATA,
    out: Annotated[Path | None, typer.Option(help="A .csv or .xlsx file; without it CSV on the terminal. 文件。", dir_okay=False)] = None,
) -> None:
    """Write the gap matrix for counsel (DOC-19). 差距表。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.obligations.exports import matrix_file

    suffix = ".csv" if out is None else out.suffix.lower()
    if suffix not in (".csv", ".xlsx"):
        raise typer.BadParameter("the matrix is a .csv or .xlsx file / 差距表须为 .csv 或 .xlsx", param_hint="--out")
    _write(matrix_file("xlsx" if suffix == ".xlsx" else "csv"), out)


def _write(content: bytes, out: Path | None) -> None:
    if out is not None:
        out.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)


def check_command(
    data: Data = _DATA,
    service: Annotated[str, typer.Option(help="Only this service. 只查一项服务。")] = "",
    form: Annotated[Form, typer.Option("--format", help="table, json, junit or github. 输出形式。")] = Form.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="As --format json. 供程序读取。")] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file. 写入文件。", dir_okay=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="With duties that do not bind or are not built. 连同不适用与未建。")] = False,
    lang: Annotated[str, typer.Option(help="zh or en; else from LANG. 语言。")] = "",
) -> None:
    """Judge every duty from the evidence; exit status 1 when one is breached or overdue; lines with tabs for what is no terminal. 检查各项义务。"""
    from guiju.core.languages import language_of
    from guiju.web import open_data_folder

    language = language_of(lang)
    open_data_folder(data)
    from django.utils import timezone

    from guiju.core.errors import GuijuError
    from guiju.obligations import reports
    from guiju.obligations.judging import judge_all, judge_service, list_notices
    from guiju.services.flow import SERVICE_UNKNOWN, settings_now
    from guiju.web.rows import is_terminal, line_of

    now = timezone.now()
    known = [each.id for each in settings_now().services]
    if service and service not in known:
        raise GuijuError(SERVICE_UNKNOWN, service=service, known=", ".join(known))
    lights = judge_service(service, now) if service else [each for own in judge_all(now).values() for each in own]
    chosen = Form.JSON if as_json else form
    shown = [each for each in lights if all_ or each.status not in ("not_built", "not_applicable")]
    if chosen is Form.TABLE and out is None and is_terminal():
        _print_table(lights, language, all_)
    else:
        for notice in list_notices(now):
            typer.echo(notice.in_language(language), err=True)
        text = {
            Form.TABLE: lambda: "".join(line_of(row) + "\n" for row in reports.as_rows(shown, language)),
            Form.JSON: lambda: json.dumps(reports.as_json(lights), ensure_ascii=False, indent=1) + "\n",
            Form.JUNIT: lambda: reports.as_junit(lights).decode(),
            Form.GITHUB: lambda: reports.as_annotations(lights),
        }[chosen]()
        if out is not None:
            out.write_text(text)
        else:
            typer.echo(text, nl=False)
    sys.exit(FAILED if any(each.status in reports.FAILING for each in lights) else 0)


def _print_table(lights: list["Light"], language: str, everything: bool) -> None:
    from django.utils import timezone
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from guiju.core.deadlines import last_moment
    from guiju.obligations.judging import count_states, list_notices, next_deadlines
    from guiju.obligations.loading import shipped_catalogue

    zh = language.startswith("zh")
    console = Console()
    for notice in list_notices(timezone.now()):
        console.print(f"[yellow]▲[/] {escape(notice.in_language(language))}")
    for service in dict.fromkeys(each.service for each in lights):
        own = [each for each in lights if each.service == service]
        console.print(f"\n[bold]{escape(service)}[/]")
        chapter = None
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for each in own:
            if each.status in ("not_built", "not_applicable") and not everything:
                continue
            here = shipped_catalogue().chapter_of(each.obligation.article)
            if here is not chapter:
                chapter = here
                table.add_row("", "", f"[bold]{escape(here.title.in_language(language))}[/]", "")
            mark, *names = _MARKS[each.status]
            due = f" · {last_moment(each.finding.due_at)[:10]}" if each.finding.due_at else ""
            told = each.finding.reason.in_language(language)
            table.add_row(
                f"{mark} {names[0] if zh else names[1]}",
                each.obligation.id,
                escape(each.obligation.title.in_language(language)),
                f"[dim]{escape(told)}{due}[/]",
            )
        console.print(table)
        counts = count_states(own)
        console.print("  ".join(f"{_MARKS[state][0]} {_MARKS[state][1 if zh else 2]} {count}" for state, count in counts.items() if count))
        dated = next_deadlines(own, 5)
        if dated:
            console.print("[bold]下一期限[/]" if zh else "[bold]Next deadlines[/]")
            for due_at, each in dated:
                title = escape(each.obligation.title.in_language(language))
                console.print(f"  {last_moment(due_at)}  {each.obligation.id}  {title}")
