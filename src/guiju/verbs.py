"""The verbs of `guiju`. They import what they need when they run, so that --help is quick."""

import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final

import typer

from guiju.duties import DUTIES

NOT_RUNNING: Final = 3
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", envvar="GUIJU_SETTINGS", help="Settings file. 设置文件。")]
_DATA = Path("guiju-data")


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"guiju {version('guiju')}")
        raise typer.Exit


@app.callback()
def guiju(
    version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version. 版本。")] = False,
) -> None:
    """guiju 规矩: the Interim Measures for generative AI services, as running software. 生成式人工智能服务管理暂行办法的软件。"""


@app.command()
def serve(
    data: Data = _DATA,
    settings: SettingsFile = None,
    host: Annotated[str, typer.Option(help="Address for gateway and console. 监听地址。")] = "",
    port: Annotated[int | None, typer.Option(help="Gateway port, 8000 if unset. 网关端口。", min=0, max=65535)] = None,
    console_port: Annotated[int | None, typer.Option(help="Console port, 8080 if unset. 控制台端口。", min=0, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Gateway processes. 网关进程数。", min=1, max=256)] = None,
    owner_name: Annotated[str, typer.Option(help="Owner's name at a first start. 首次启动的所有者名。")] = "owner",
    owner_password_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the owner's password, or GUIJU_OWNER_PASSWORD. 所有者密码文件。", dir_okay=False, exists=True, readable=True
        ),
    ] = None,
) -> None:
    """Start the service and keep it running; Ctrl-C drains and stops it. 启动服务。"""
    from guiju.serve.arguments import OWNER_PASSWORD, Options
    from guiju.serve.command import serve as run

    password = owner_password_file.read_text().strip() if owner_password_file else os.environ.pop(OWNER_PASSWORD, "")
    sys.exit(run(Options(data, settings, host, port, console_port, workers, owner_name, password)))


@app.command()
def status(data: Data = _DATA) -> None:
    """Tell what runs, where it listens, what was started anew. Exit status 3 when nothing runs. 运行状态。"""
    from guiju.core.layout import folder_at, settings_file
    from guiju.serve.state import is_held, read_state
    from guiju.serve.status import print_status
    from guiju.services.in_force import published_settings
    from guiju.services.mistakes import find_mistakes, lines_of

    folder = folder_at(data)
    state = read_state(folder)
    if state is None or not is_held(folder):
        typer.echo(f"未在运行 / not running  {folder.root}")
        sys.exit(NOT_RUNNING)
    published = published_settings(folder)
    file = settings_file(folder)
    print_status(state, published.upstreams if published else (), lines_of(file, find_mistakes(folder, file)))


@app.command()
def publish(
    data: Data = _DATA, settings: SettingsFile = None, actor: Annotated[str, typer.Option(help="Who does this. 操作人。")] = "person:cli"
) -> None:
    """Put the settings file, the keys and the active library in force, within a second. 发布运行包。"""
    from guiju.web import open_data_folder

    open_data_folder(data, settings, of_file=True)
    from guiju.serve.prepare import list_notices, publish_file

    typer.echo(publish_file(actor))
    for line in list_notices():
        typer.echo(line, err=True)


@app.command()
def demo(
    data: Data = _DATA,
    key: Annotated[str, typer.Option(envvar="GUIJU_API_KEY", help="API key; else the playground's. API 密钥。")] = "",
    lang: Annotated[str, typer.Option(help="zh or en; else from LANG. 语言。")] = "",
    fast: Annotated[bool, typer.Option("--fast", help="Without pauses. 不停顿。")] = False,
) -> None:
    """Take a short tour of the running service. 导览。"""
    from guiju.core.layout import DataFolder
    from guiju.demo.tour import tour

    sys.exit(tour(DataFolder(data.absolute()), key=key, language=lang, fast=fast))


@cache
def whole_app() -> typer.Typer:
    """Return the command line with the verbs of all duties."""
    for duty in DUTIES:
        if duty.commands:
            app.add_typer(import_module(duty.commands).app, name=duty.command_name)
    app.add_typer(import_module("guiju.web.people_cli").app, name="people")
    app.command("screen")(import_module("guiju.screening.screen.cli").screen_command)
    app.command("inspect")(import_module("guiju.labelling.cli.inspect").inspect_command)
    app.command("label")(import_module("guiju.labelling.cli.label").label_command)
    app.command("watermark")(import_module("guiju.labelling.cli.watermark").watermark_command)
    app.command("check")(import_module("guiju.obligations.cli").check_command)
    app.command("verify")(import_module("guiju.records.cli").verify_command)
    return app
