"""`guiju label-keys`: the keys that sign labels, listed, published, replaced. 标识签名密钥。"""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Keys that sign labels: list, export, rotate. 标识签名密钥。", rich_markup_mode=None)

Data = Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")]
_DATA = Path("guiju-data")


@app.command("list")
def list_(data: Data = _DATA) -> None:
    """Print the keys that sign and have signed, oldest first. 列出密钥。"""
    from guiju.labelling.signatures.ring import read_ring

    for key in read_ring(_keys(data)):
        until = f"  止 until {key.until_at}" if key.until_at else ""
        typer.echo(f"{key.id}  {key.state:8}  {key.algorithm:8}  {key.provider}  起 from {key.from_at}{until}")


@app.command()
def export(data: Data = _DATA) -> None:
    """Print what is published of the keys, as JSON: no private half. guiju inspect --keys reads it. 导出公钥。"""
    from guiju.labelling.signatures.ring import published, read_ring

    typer.echo(json.dumps(published(read_ring(_keys(data))), indent=1))


@app.command()
def rotate(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="Provider code, as content_producer has it. 提供者编码。")],
    algorithm: Annotated[str, typer.Option("--algorithm", help="sm2 or ed25519; with --file, that of the file. 算法。")] = "",
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Take this key (PKCS #8 PEM, mode 600) instead of making one. 导入已有密钥。", dir_okay=False),
    ] = None,
    data: Data = _DATA,
    actor: Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")] = "person:cli",
) -> None:
    """Let another key sign a provider's labels from now on; what the former has signed stays verifiable. 更换密钥。"""
    from guiju.labelling.signatures.keys import ALGORITHM_IDS, load_key

    given = None if file is None else load_key(file)
    named = next((each for each in ALGORITHM_IDS if each == algorithm), None) if given is None else given.public.algorithm
    if named is None or (given is not None and algorithm not in ("", named)):
        raise typer.BadParameter("sm2, ed25519", param_hint="--algorithm")
    from guiju.web import open_data_folder

    open_data_folder(data)
    from guiju.labelling import flow

    new, old = flow.rotate_key(provider, named, actor, given)
    typer.echo(f"签名 signs    {new.id}  {new.algorithm}  {new.provider}")
    if old is not None:
        typer.echo(f"停用 retired  {old.id}")


def _keys(data: Path) -> Path:
    """Return the folder of keys. Raises DATA-MISSING."""
    from guiju.core.errors import GuijuError
    from guiju.core.layout import DATA_MISSING, DataFolder

    folder = DataFolder(data.absolute()).keys
    if not folder.is_dir():
        raise GuijuError(DATA_MISSING, path=data)
    return folder
