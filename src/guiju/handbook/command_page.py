"""The page of every verb of the `guiju` command: `docs/commands.md`."""

from collections.abc import Iterator
from typing import Any, Final

import typer
from typer.main import get_command

PAGE: Final = "commands.md"


def command_page(app: typer.Typer) -> str:
    """Return `docs/commands.md`: every verb with its arguments and options, as `--help` shows them."""
    lines = [
        "# 命令 · Commands",
        "",
        "一个命令，若干动词；`guiju <动词> --help` 显示同样的内容。预期内的错误以三段话写到标准错误输出，退出状态为 2。",
        "",
        "One command and its verbs; `guiju <verb> --help` shows the same. An error that was to be expected is told in its three parts",
        "on standard error, with exit status 2; [errors](errors/index.md) explains each.",
    ]
    for verb, command in list_verbs(app):
        lines += ["", f"## `{verb}`", "", _text(command.help)]
        rows = [_row(parameter) for parameter in command.params if parameter.name != "help" and not getattr(parameter, "hidden", False)]
        if rows:
            lines += ["", "| 参数 Parameter | 默认 Default | 说明 Meaning |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def list_verbs(app: typer.Typer) -> list[tuple[str, Any]]:
    """Return (`guiju verb …`, its command) for every verb that does something, in the order of `--help`."""
    return list(_walk("guiju", get_command(app)))


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    # typer carries its own copy of click and names no type for these; a group is what has commands.
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for verb, item in below.items():
        if not item.hidden:
            yield from _walk(f"{name} {verb}", item)


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        shown = f"`{(parameter.metavar or parameter.name).upper()}`"
    else:
        shown = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))
    if parameter.required:
        default = "必填 required"
    elif parameter.default in (None, False, (), "") or callable(parameter.default):
        default = "–"
    else:
        default = f"`{parameter.default}`"
    return f"| {shown} | {default} | {_text(getattr(parameter, 'help', ''))} |".replace("\n", " ")


def _text(text: str | None) -> str:
    return (text or "–").strip().replace("|", "\\|").replace("<", "\\<").replace("\f", "")
