"""`guiju library`: keyword libraries from the command line. 关键词库。"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guiju.records.reasons import reason_argument, reason_option

if TYPE_CHECKING:
    from guiju.screening.libraries.library import Library
    from guiju.screening.libraries.sizing import Sizing
    from guiju.screening.models import LibraryVersion

app = typer.Typer(
    no_args_is_help=True, help="Keyword libraries: validate, check, import, compare, put in force. 关键词库：校验、核对、导入、比较、启用。"
)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV, YAML or XLSX file. 词库文件。")]
Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
Actor = Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")]
Version = Annotated[str, typer.Argument(help="Version, 8 digits or more. 版本号。")]
Which = Annotated[
    str, typer.Argument(metavar="[VERSION|FILE]", help="Version or file; by default what is in force. 版本或文件，默认使用中的。")
]
Json = Annotated[bool, typer.Option("--json", help="As JSON. 输出 JSON。")]
_DATA = Path("guiju-data")
NOT_MET = 1


@app.command()
def validate(file: File) -> None:
    """Check a file and print every mistake with its line; change nothing. 只校验。"""
    from guiju.core.errors import GuijuError
    from guiju.screening.libraries.formats import read_library

    try:
        library = read_library(file.name, file.read_bytes())
    except GuijuError as problem:
        for each in problem.facts.get("problems", ()):
            typer.echo(f"{file.name}:{each.line}: {each.column_name or '-'}: {each.reason_zh} / {each.reason_en}", err=True)
        typer.echo(problem.both(), err=True)
        sys.exit(2)
    typer.echo(f"{library.version[:12]}  {len(library.entries)} entries")


@app.command()
def check(
    which: Which = "",
    profile: Annotated[
        str, typer.Option(help="What to measure against; by default the settings', else the standard in force. 核对标准。")
    ] = "",
    as_json: Json = False,
    data: Data = _DATA,
) -> None:
    """Counts by risk against the standard, renewal, rows that nobody signed. Exit status 0 as asked for, 1 not, 2 error. 核对规模与更新。"""
    from datetime import UTC, datetime

    from guiju.screening.libraries import sizing
    from guiju.screening.libraries.formats import read_library

    if which and Path(which).is_file():
        library = read_library(which, Path(which).read_bytes())
        found = sizing.size_library(library, sizing.get_profile(profile or sizing.DEFAULT_PROFILE), renewed_at=None, now=datetime.now(UTC))
    else:
        flow = _flow(data)
        found = flow.size_version(which or flow.active_library().version, profile)
    if as_json:
        _print_json(sizing.as_json(found))
    else:
        _print_sizing(found)
    sys.exit(0 if found.met else NOT_MET)


@app.command("import")
def import_(file: File, data: Data = _DATA, actor: Actor = "person:cli") -> None:
    """Keep a file as a new draft version. 导入为待启用版本。"""
    _say(_flow(data).import_library(file.name, file.read_bytes(), actor))


@app.command()
def export(
    version: Version,
    file: Annotated[Path, typer.Argument(help="Where to; .csv, .xlsx or .yaml says in which form. 输出文件。")],
    data: Data = _DATA,
) -> None:
    """Write all rows of a version; importing the file gives the same version. 导出。"""
    from guiju.screening.libraries.formats import form_of, write_library

    flow = _flow(data)
    library = flow.library_of(flow.get_version(version).version)
    file.write_bytes(write_library(library, form_of(file.name), flow.profile_in_use().least()))
    typer.echo(f"{library.version[:12]}  {len(library.entries)} entries  {file}")


@app.command()
def activate(
    version: Version,
    reason: Annotated[str, typer.Option(help="Why, for the record. 理由。", callback=reason_option)] = "",
    dropping: Annotated[
        int,
        typer.Option(
            min=0,
            help="How many entries in force may go, where much of what is in force goes: the refusal names the figure. 确认去掉的条数。",
        ),
    ] = 0,
    data: Data = _DATA,
    actor: Actor = "person:cli",
) -> None:
    """Put a version in force and publish the bundle. 启用。"""
    _say(_flow(data).activate_library(version, actor, reason, dropping=dropping))


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why, for the record. 理由。", callback=reason_argument)],
    version: Annotated[
        str, typer.Option(help="Version that was in force before; by default the one before. 回退到哪一版，默认上一版。")
    ] = "",
    data: Data = _DATA,
    actor: Actor = "person:cli",
) -> None:
    """Put back in force what was in force before, in one step, and publish the bundle. 回退。"""
    from guiju.core.errors import GuijuError

    flow = _flow(data)
    former = flow.get_version(version) if version else flow.find_former()
    if former is None or former.activated_at is None:
        raise GuijuError(flow.LIBRARY_UNKNOWN, version=version or "–")
    _say(flow.activate_library(former.version, actor, reason))


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="Version or file before. 前一版。")],
    b: Annotated[str, typer.Argument(metavar="B", help="Version or file after. 后一版。")],
    as_json: Json = False,
    data: Data = _DATA,
) -> None:
    """Rows added, removed and changed from A to B. Exit status 0 the same, 1 different, 2 error. 比较两版。"""
    from guiju.screening.libraries.difference import as_json as plain
    from guiju.screening.libraries.difference import find_difference

    found = find_difference(_library(a, data), _library(b, data))
    if as_json:
        _print_json(plain(found))
    else:
        for sign, rows in (("+", found.added), ("-", found.removed)):
            for row in rows:
                typer.echo(f"{sign} {row['risk']:6} {row['term']}")
        for change in found.changed:
            told = "; ".join(f"{column}: {was or '–'} → {now or '–'}" for column, (was, now) in change.columns.items())
            typer.echo(f"~ {change.risk:6} {change.term}  {told}")
        typer.echo(f"+{len(found.added)} −{len(found.removed)} ~{len(found.changed)}  ={found.same}", err=True)
    sys.exit(1 if found.added or found.removed or found.changed else 0)


@app.command()
def trial(
    version: Version,
    reason: Annotated[str, typer.Option(help="Why, for the record. 理由。", callback=reason_argument)],
    days: Annotated[int, typer.Option(min=1, max=31, help="Days back from now. 最近几天。")] = 1,
    as_json: Json = False,
    data: Data = _DATA,
    actor: Actor = "person:cli",
) -> None:
    """Dry run: what a version would newly refuse, stop and hit in what was said; counts only, nothing is put in force. 试运行。"""
    from rich.console import Console
    from rich.progress import Progress

    flow = _flow(data)
    from guiju.screening.trial import running

    begun = running.begin_trial(version, days, actor, reason)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("试运行 dry run", total=begun.total)
        done = running.run_trial(begun.id, lambda at, _: progress.update(bar, completed=at))
    assert done is not None  # nobody else knew of it
    if as_json:
        _print_json(
            {
                "trial": done.record,
                "library": done.library_id,
                "before": done.before,
                "found": done.found,
                "read": done.total,
                **done.counts,
            }
        )
        return
    typer.echo(f"{done.library_id[:12]} ↔ {done.before[:12]}  {done.total:,} / {done.found:,} records")
    for name, side in (("输入 inputs", done.counts["inputs"]), ("回答 answers", done.counts["answers"])):
        typer.echo(
            f"{name}: {side['examined']:,}  拦截 ended {side['before']:,} → {side['after']:,}  新增 newly {side['newly']:,}  不再 no longer {side['no_longer']:,}"
        )
    terms = {entry.id: entry.term for entry in flow.library_of(done.library_id).entries}
    for rule in done.counts["rules"]:
        if rule["newly"]:
            typer.echo(f"  +{rule['newly']:,}  {rule['rule']}  {terms.get(rule['rule'], '')}")


@app.command()
def variants(
    what: Annotated[str, typer.Argument(metavar="TERM|FILE", help="One term, or all rows of a file. 一个词条，或文件中的全部。")],
    risk: Annotated[str, typer.Option(help="Risk of a single term. 单个词条的风险。")] = "",
    way: Annotated[
        list[str] | None,
        typer.Option(help="traditional, separators, pinyin, initials, homophone, shape, split; may be repeated. 方式，可重复。"),
    ] = None,
) -> None:
    """Propose other ways to write terms, as CSV rows for a person to review; nothing is imported. 生成变体草稿。"""
    import csv

    from guiju.screening.libraries.formats import read_library
    from guiju.screening.libraries.library import COLUMNS, marked
    from guiju.screening.libraries.variants import WAYS, draft_rows, list_variants
    from guiju.screening.risks import BY_ID

    unknown = [each for each in way or () if each not in WAYS]
    if unknown:
        raise typer.BadParameter(f"没有这种方式 no such way: {', '.join(unknown)}; {', '.join(WAYS)}")
    chosen = [each for each in WAYS if not way or each in way]
    if Path(what).is_file():
        rows = read_library(what, Path(what).read_bytes()).rows()
    elif risk in BY_ID:
        rows = [{"term": what, "risk": risk}]
    else:
        raise typer.BadParameter(
            "单个词条须用 --risk 写明风险，如 A.1.h。什么也没有生成。 A single term needs --risk, such as A.1.h; nothing was made."
        )
    drafts = draft_rows(rows, chosen)
    out = csv.DictWriter(sys.stdout, COLUMNS, restval="", lineterminator="\n")
    out.writeheader()
    out.writerows({name: marked(cell) for name, cell in draft.items()} for draft in drafts)
    found = sum(each.found for row in rows for each in list_variants(row["term"], chosen))
    typer.echo(
        f"{len(drafts)} 条草稿 drafts；{found} 种写法本来就能查到 found without a row. 请逐条审核后导入。 Review each before importing.",
        err=True,
    )


@app.command("list")
def list_(data: Data = _DATA) -> None:
    """Print the versions, newest first. 列出版本。"""
    _flow(data)
    from guiju.screening.models import LibraryVersion

    for kept in LibraryVersion.objects.defer("body"):
        typer.echo(f"{kept.version[:12]}  {kept.state:8}  {kept.entries:7}  {_beijing(kept.imported_at.timestamp())}  {kept.name}")


@app.command()
def history(data: Data = _DATA, limit: Annotated[int, typer.Option(min=1, help="How many steps. 条数。")] = 50) -> None:
    """Print who did what with which version, newest first. 历史。"""
    for step in _flow(data).list_steps(limit):
        told = f"  ({step.reason})" if step.reason else ""
        before = f"  ← {step.before[:12]}" if step.before else ""
        typer.echo(f"{_beijing(step.at.timestamp())}  {step.what:11}  {step.library_id[:12]}{before}  {step.actor}{told}")


def _flow(data: Path) -> Any:
    """Return `screening.flow`, which can be imported once Django knows the data folder."""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.screening import flow

    return flow


def _library(which: str, data: Path) -> "Library":
    from guiju.screening.libraries.formats import read_library

    if Path(which).is_file():
        return read_library(which, Path(which).read_bytes())
    flow = _flow(data)
    found: Library = flow.library_of(flow.get_version(which).version)
    return found


def _say(kept: "LibraryVersion") -> None:
    typer.echo(f"{kept.version[:12]}  {kept.entries} entries  {kept.state}")


def _beijing(seconds: float) -> str:
    from guiju.core.clock import beijing_text

    return beijing_text(int(seconds * 1_000_000))


def _print_json(value: object) -> None:
    import json

    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _print_sizing(found: "Sizing") -> None:
    from rich.console import Console
    from rich.table import Table

    console, profile = Console(highlight=False), found.profile
    console.print(f"{profile.zh} / {profile.en} · {profile.from_}", markup=False)
    if not profile.confirmed:
        console.print("数字为解读，未与官方文本核对。 The figures are a reading, not compared with the official text.", style="yellow")
    table = Table("风险 risk", "名称 name", "条数 terms", "下限 at least", "", box=None)
    for each in found.counts:
        if each.least or each.terms:
            state = "—" if not each.least else "✓" if not each.short else f"缺 short {each.short}"
            table.add_row(each.risk.id, each.risk.zh, str(each.terms), str(each.least or "—"), state, style="yellow" if each.short else "")
    console.print(table)
    console.print(
        f"合计 total {found.total:,} / {profile.total.least:,}" + (f"  缺 short {found.total_short:,}" if found.total_short else "  ✓")
    )
    if found.empty:
        named = " ".join(each.risk.id for each in found.empty)
        console.print(f"由提供者自行补充 for the provider to fill: {named}", style="yellow")
    for column, count in found.unsigned.items():
        if count:
            console.print(f"{count:,} 条没有 rows without {column}", style="yellow")
    days = profile.renewal.days
    if found.renewed_at is None:
        console.print(f"更新：未知，须每 {days} 天至少一次。 Renewal: not known; at least every {days} days.", style="yellow")
    else:
        late = "已逾期 overdue" if found.overdue else "✓"
        console.print(f"更新 renewed {_beijing(found.renewed_at.timestamp())}，每 {days} 天 every {days} days  {late}")
