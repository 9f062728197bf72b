"""`guiju screen`: texts of a file or of standard input are examined, with a progress bar and a summary. 审查文件。

What was found goes to standard output, everything else to standard error, so that a pipe gets the findings alone.
"""

import os
import signal
import sys
import time
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from guiju.core.errors import GuijuError
    from guiju.screening.screen.bulk import Tally, Task
    from guiju.screening.screen.sources import Source
    from guiju.screening.screener import Screener

FOUND = 1
FAILED = 2
INTERRUPTED = 130


class Form(StrEnum):
    """Forms of a source."""

    AUTO = "auto"
    TEXT = "text"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Way(StrEnum):
    """Directions."""

    INPUT = "input"
    OUTPUT = "output"


class Errors(StrEnum):
    """What to do with a row that cannot be read."""

    STOP = "stop"
    REPLACE = "replace"
    NOTE = "note"


def screen_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="File of texts, .gz too; - for standard input. 文件，- 为标准输入。")],
    form: Annotated[Form, typer.Option("--format", help="By default told by the name. 格式，默认依文件名。")] = Form.AUTO,
    field: Annotated[str, typer.Option(help="Field of JSON lines, column of Parquet; a.b is b in a. 字段。")] = "text",
    direction: Annotated[Way, typer.Option(help="As an input or as an answer. 按输入还是回答审查。")] = Way.INPUT,
    library: Annotated[Path | None, typer.Option(help="Keyword library, CSV or YAML; else the starter library. 词库文件。")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder: what is in force there. 数据目录中生效的词库与策略。")] = None,
    service: Annotated[str, typer.Option(help="With --data: whose policy; else the first. 服务。")] = "",
    detectors: Annotated[
        bool, typer.Option("--detectors/--no-detectors", help="Look for personal information and secrets. 是否检测个人信息与密钥。")
    ] = True,
    classifier: Annotated[bool, typer.Option("--classifier", help="Ask the embedded classifier too; slower. 另用内置分类器。")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line for each text. 每条文本一行 JSON。")] = False,
    only_hits: Annotated[bool, typer.Option("--only-hits", help="With --json: no lines for passes. 不输出未命中。")] = False,
    errors: Annotated[
        Errors, typer.Option(help="For rows that cannot be read: stop, replace bad bytes, or note and go on. 坏行。")
    ] = Errors.STOP,
    jobs: Annotated[int, typer.Option(min=0, max=256, help="Processes; 0 for one a core. 进程数，0 为每核一个。")] = 1,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="FILE is an export of reviews: precision and recall. 由复核结论评测。")
    ] = False,
) -> None:
    """Examine texts. Exit status 0 nothing found, 1 found, 2 error or a text could not be examined, 130 interrupted. 审查文本。"""
    from guiju.screening.screen.bulk import Task
    from guiju.screening.screen.sources import form_of, get_form, open_source

    if library is not None and data is not None:
        raise typer.BadParameter("--library and --data exclude each other. 二者只能用其一。")
    if evaluate:
        _evaluate(Path(file), _screener(library, data, service, detectors, classifier), as_json)
        return
    chosen = form_of(file) if form is Form.AUTO else get_form(form.value)
    source = open_source(file, chosen, field)
    screener = _screener(library, data, service, detectors, classifier)
    task = Task(chosen, field, direction.value, errors.value, as_json, only_hits)
    sys.exit(_run(source, screener, task, jobs or len(os.sched_getaffinity(0))))


def _screener(library: Path | None, data: Path | None, service: str, detectors: bool, classifier: bool) -> "Screener":
    from guiju.screening.screener import Screener

    if data is not None:
        return Screener.of_data_folder(data, service, detectors=detectors, classifier=classifier)
    return Screener(library, detectors=detectors, classifier=classifier)


def _evaluate(file: Path, screener: "Screener", as_json: bool) -> None:
    import json

    from guiju.screening.review.evaluate import as_rows, evaluate, print_evaluation, read_export

    try:
        found = evaluate(read_export(file), screener)
    except OSError as problem:
        raise typer.BadParameter(f"{file}: {problem.strerror}") from None
    if as_json:
        typer.echo(json.dumps(as_rows(found), ensure_ascii=False))
    else:
        print_evaluation(found, screener.version)


def _run(source: "Source", screener: "Screener", task: "Task", jobs: int) -> int:
    """Examine a source to its end, its first problem, or Ctrl-C; return the exit status, or raise the problem after the summary."""
    from rich.console import Console

    from guiju.core.errors import GuijuError
    from guiju.screening.screen.bulk import Tally

    console = Console(stderr=True)
    tally, begun = Tally(), time.monotonic()
    problem: GuijuError | None = None
    status = 0
    try:
        problem = _examine(source, screener, task, jobs, tally, console)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:  # whoever read the findings has gone: what was done is told, and nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = FAILED
    except GuijuError as error:
        problem = error
    _summary(console, tally, screener, time.monotonic() - begun)
    if status == INTERRUPTED:
        typer.echo(
            f"已中断 interrupted: 已审查 examined {tally.texts:,}，命中 hits {tally.hits:,}，至第 {tally.last:,} 行 up to line", err=True
        )
        return status
    if problem is not None:
        raise problem
    if status or tally.not_examined:
        return FAILED
    return FOUND if tally.hits else 0


def _examine(source: "Source", screener: "Screener", task: "Task", jobs: int, tally: "Tally", console: "Console") -> "GuijuError | None":
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from guiju.screening.screen.bulk import examine_blocks, problem_of

    out = sys.stdout.buffer
    columns: tuple[Any, ...] = (TextColumn("审查 screening {task.fields[told]}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    begun = time.monotonic()
    writing = interrupted = False

    def interrupt(*_: object) -> None:
        """Ctrl-C while findings are written and counted waits for both, so that what is told is what was done."""
        nonlocal interrupted
        interrupted = True
        if not writing:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
        closing(examine_blocks(screener, source.blocks, task, jobs)) as examined,
    ):
        shown = bar.add_task("", total=source.whole, told="")
        for block in examined:
            writing = True
            out.write(block.out)
            if source.whole is None:
                out.flush()  # somebody may be waiting for each line of a pipe
            tally.add(block.tally)
            writing = False
            if interrupted:
                raise KeyboardInterrupt
            rate = tally.texts / max(time.monotonic() - begun, 1e-6)
            bar.update(shown, completed=block.done, told=f"{tally.texts:,}  命中 hits {tally.hits:,}  {rate:,.0f}/s")
            problem = problem_of(block)
            if problem is not None:
                out.flush()
                return problem
        out.flush()
    return None


def _summary(console: "Console", tally: "Tally", screener: "Screener", seconds: float) -> None:
    from rich.table import Table

    from guiju.screening.risks import BY_ID

    table = Table(title=f"词库 library {screener.version[:12]} ({len(screener.entries):,})", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("文本 texts", f"{tally.texts:,}")
    table.add_row("有命中 with hits", f"{tally.hits:,}")
    for risk, count in sorted(tally.by_risk.items()):
        table.add_row(f"  {risk} {BY_ID[risk].zh} {BY_ID[risk].en}" if risk in BY_ID else f"  {risk}", f"{count:,}")
    if tally.not_examined:
        table.add_row("未能审查 could not be examined", f"{tally.not_examined:,}")
    if tally.replaced:
        table.add_row("替换过坏字节 with bad bytes replaced", f"{tally.replaced:,}")
    seconds = max(seconds, 1e-6)
    table.add_row("速度 rate", f"{tally.texts / seconds:,.0f}/s  {tally.size_bytes / 1e6 / seconds:,.1f} MB/s")
    table.add_row("用时 time", f"{seconds:,.1f} s")
    console.print(table)
    if not screener.has_detectors:
        console.print("没有检测个人信息与密钥 personal information and secrets were not looked for")
    if screener.has_classifier:
        from guiju.screening.classifier.coverage import not_covered

        console.print(
            f"分类器 classifier {screener.classifier_version[:12]}；不覆盖 not covered by it: {' '.join(risk.id for risk in not_covered())}"
        )
    if screener.uncovered:
        console.print(
            f"词库没有词条的风险，未命中不表示没有 risks without a term, a pass says nothing about them: {' '.join(screener.uncovered)}"
        )
