"""`guiju library`: keyword libraries from the command line. 关键词库。"""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Keyword libraries: validate, import, put in force. 关键词库：校验、导入、启用。")

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV or YAML file. 词库文件。")]
Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
Actor = Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")]
_DATA = Path("guiju-data")


@app.command()
def validate(file: File) -> None:
    """Check a file and print every mistake with its line; change nothing. 只校验。"""
    from guiju.core.errors import GuijuError
    from guiju.screening.library import parse_csv, parse_yaml

    try:
        read = parse_yaml if file.suffix.lower() in (".yaml", ".yml") else parse_csv
        library = read(file.read_bytes(), file.name)
    except GuijuError as problem:
        for each in problem.facts.get("problems", ()):
            typer.echo(f"{file.name}:{each.line}: {each.column_name or '-'}: {each.reason_zh} / {each.reason_en}", err=True)
        typer.echo(problem.both(), err=True)
        sys.exit(2)
    typer.echo(f"{library.version[:12]}  {len(library.entries)} entries")


@app.command("import")
def import_(file: File, data: Data = _DATA, actor: Actor = "person:cli") -> None:
    """Keep a file as a new draft version. 导入为待启用版本。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.screening import flow

    kept = flow.import_library(file.name, file.read_bytes(), actor)
    typer.echo(f"{kept.version[:12]}  {kept.entries} entries  {kept.state}")


@app.command()
def activate(
    version: Annotated[str, typer.Argument(help="Version, 8 digits or more. 版本号。")], data: Data = _DATA, actor: Actor = "person:cli"
) -> None:
    """Put a version in force and publish the bundle. 启用。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.screening import flow

    kept = flow.activate_library(version, actor)
    typer.echo(f"{kept.version[:12]}  {kept.entries} entries  {kept.state}")


@app.command("list")
def list_(data: Data = _DATA) -> None:
    """Print the versions, newest first. 列出版本。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.core.clock import beijing_text
    from guiju.screening.models import LibraryVersion

    for kept in LibraryVersion.objects.defer("body"):
        at = beijing_text(int(kept.imported_at.timestamp() * 1_000_000))
        typer.echo(f"{kept.version[:12]}  {kept.state:8}  {kept.entries:7}  {at}  {kept.name}")
