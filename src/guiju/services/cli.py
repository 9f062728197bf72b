"""`guiju keys`: API keys from the command line. API 密钥。"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke. API 密钥：创建、列出、撤销。", rich_markup_mode=None)

Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
Actor = Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")]
_DATA = Path("guiju-data")


@app.command()
def create(
    service: Annotated[str, typer.Argument(help="Service the key opens. 服务标识。")] = "chat",
    label: Annotated[str, typer.Option(help="What the key is for. 用途。")] = "cli",
    data: Data = _DATA,
    actor: Actor = "person:cli",
) -> None:
    """Make a key, show it once, put it in force. 创建密钥并立即生效。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.services import flow

    key, secret = flow.create_key(service, label, actor)
    flow.publish(actor=actor)
    typer.echo(f"{key.id}  {key.service}  {key.label}", err=True)
    typer.echo("密钥只显示这一次。 / The key is shown this once.", err=True)
    typer.echo(secret)


@app.command("list")
def list_(data: Data = _DATA) -> None:
    """Print the keys, newest first, never their secrets. 列出密钥。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.core.clock import beijing_text
    from guiju.services.models import ApiKey

    for key in ApiKey.objects.order_by("-created_at"):
        at = beijing_text(int(key.created_at.timestamp() * 1_000_000))
        typer.echo(f"{key.id}  {'revoked' if key.revoked_at else 'in force':8}  {key.service}  {key.prefix}…  {at}  {key.label}")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Number of the key, 6 characters or more. 密钥编号。")],
    data: Data = _DATA,
    actor: Actor = "person:cli",
) -> None:
    """Revoke a key for good; within a second it opens nothing. 撤销密钥。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.services import flow

    revoked = flow.revoke_key(key, actor)
    flow.publish(actor=actor)
    typer.echo(f"{revoked.id}  revoked  {revoked.service}  {revoked.label}")
