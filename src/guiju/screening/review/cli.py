"""`guiju review`: the queue of reviews and its decisions from the command line. 复核。"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from guiju.core.clock import BEIJING
from guiju.records.reasons import reason_option

app = typer.Typer(no_args_is_help=True, help="Reviews by people: the queue, and decisions as data. 人工复核：队列与结论数据。")

Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
Actor = Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Beijing day. 日期。")]
_DATA = Path("guiju-data")


@app.command()
def status(data: Data = _DATA) -> None:
    """Print how many items wait, are taken and are overdue. 队列概况。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.screening.review.flow import count_open

    counts = count_open()
    typer.echo(f"待复核 waiting {counts['waiting']}  复核中 taken {counts['taken']}  逾期 overdue {counts['overdue']}")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="New file, JSON lines. 新文件。", dir_okay=False)],
    data: Data = _DATA,
    since: Day = None,
    until: Day = None,
    service: Annotated[str, typer.Option(help="Only this service. 服务。")] = "",
    texts: Annotated[bool, typer.Option("--texts", help="Open the contents too; needs --reason. 含文字，须写理由。")] = False,
    reason: Annotated[str, typer.Option(help="Why the contents are opened. 打开的理由。", callback=reason_option)] = "",
    actor: Actor = "person:cli",
) -> None:
    """Write decisions as data, by default without any text; `guiju screen FILE --evaluate` reads it. 导出复核结论。"""
    if texts and not reason:
        raise typer.BadParameter("--texts needs --reason; nothing was written. 导出文字须写明理由；没有写出文件。")
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.screening.review.export import write_export

    begins = since.replace(tzinfo=BEIJING) if since else datetime.now(BEIJING) - timedelta(days=90)
    ends = until.replace(tzinfo=BEIJING) + timedelta(days=1) if until else None
    try:
        count = write_export(file, begins, ends, actor=actor, service=service, reason=reason, texts=texts)
    except FileExistsError:
        raise typer.BadParameter(f"{file} is there already and was not touched. 文件已存在，未改动。") from None
    typer.echo(f"{file}  {count}")
