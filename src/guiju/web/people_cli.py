"""`guiju people`: the accounts of the console from the command line. 账号。"""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="People of the console: list, add, disable, enable, password. 控制台的人员：列出、创建、停用、启用、重设密码。",
)
Name = Annotated[str, typer.Argument(help="Name to sign in with. 登录名。")]
Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
Actor = Annotated[str, typer.Option(help="Who does this. 操作人。")]
PasswordFile = Annotated[Path | None, typer.Option(help="File with the password. 密码文件。", dir_okay=False, exists=True)]
Ask = Annotated[bool, typer.Option("--ask", help="Ask for the password, unseen. 键入密码，不显示。")]
_DATA = Path("guiju-data")
_CLI = "person:cli"


@app.command("list")
def list_(data: Data = _DATA, as_json: Annotated[bool, typer.Option("--json", help="For programs. 供程序读取。")] = False) -> None:
    """List the accounts with role, state and last sign-in; lines with tabs where no terminal reads them. 列出账号。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.core.clock import BEIJING
    from guiju.web.people import list_people
    from guiju.web.rows import print_rows

    people = list_people()
    if as_json:
        rows = [
            {"name": each.name, "role": each.role, "active": each.active, "signed_in_at": each.signed_in_at.isoformat() if each.signed_in_at else None}
            for each in people
        ]  # fmt: skip
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    print_rows(
        ("登录名 name", "角色 role", "状态 state", "最近登录 last sign-in, Beijing"),
        [
            (
                each.name,
                each.role or "–",
                "可用 active" if each.active else "已停用 disabled",
                each.signed_in_at.astimezone(BEIJING).isoformat(timespec="seconds") if each.signed_in_at else "–",
            )
            for each in people
        ],
    )


@app.command()
def add(
    name: Name,
    data: Data = _DATA,
    role: Annotated[str, typer.Option(help="reader, officer, approver or reviewer. 角色：查看、经办、批准、复核。")] = "reader",
    password_file: PasswordFile = None,
    ask: Ask = False,
    actor: Actor = _CLI,
) -> None:
    """Make an account; without a password file its password is generated and shown once. 创建账号。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.web.people import add_person

    given = _given(password_file, ask)
    password = add_person(name, role, actor, given)
    typer.echo(f"{name}  {role}" + ("" if given else f"  密码 password  {password}"))


@app.command()
def disable(name: Name, data: Data = _DATA, actor: Actor = _CLI) -> None:
    """Disable an account and end its sessions at once; the last owner's cannot be. 停用账号。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.web.people import disable_person

    ended = disable_person(name, actor)
    typer.echo(f"{name}  已停用，结束会话 {ended} 个 / disabled, {ended} sessions ended")


@app.command()
def enable(name: Name, data: Data = _DATA, actor: Actor = _CLI) -> None:
    """Let a disabled account sign in again, with its old password. 启用账号。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.web.people import enable_person

    enable_person(name, actor)
    typer.echo(f"{name}  已启用 / enabled")


@app.command()
def password(name: Name, data: Data = _DATA, password_file: PasswordFile = None, ask: Ask = False, actor: Actor = _CLI) -> None:
    """Reset a password and end the account's sessions; generated and shown once, unless a file gives it or --ask. 重设密码。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.web.people import reset_password

    given = _given(password_file, ask)
    chosen = reset_password(name, actor, given)
    typer.echo(f"{name}  密码已重设，原有会话已结束 / password reset, sessions ended" + ("" if given else f"  密码 password  {chosen}"))


def _given(file: Path | None, ask: bool) -> str:
    if ask and file is not None:
        raise typer.BadParameter("give --ask or --password-file / 二者只能用一个", param_hint="--ask")
    if ask:
        return str(typer.prompt("密码 password", hide_input=True, confirmation_prompt=True, err=True))
    if file is None:
        return ""
    read = file.read_text().strip()
    if not read:
        raise typer.BadParameter("the file is empty / 密码文件是空的", param_hint="--password-file")
    return read
