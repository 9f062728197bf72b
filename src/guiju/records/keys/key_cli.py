"""`guiju records rotate-site-key`, `site-keys`, `stamp`: what signs and stamps checkpoints, from the command line. 站点密钥与时间戳。"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

_DAYS = 7


def add_to(app: typer.Typer) -> None:
    """Give the verbs of this file to `guiju records`."""
    app.command("rotate-site-key")(rotate_site_key)
    app.command("site-keys")(site_keys)
    app.command("stamp")(stamp)


def rotate_site_key(
    data: Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")] = Path("guiju-data"),
    overlap_days: Annotated[int, typer.Option(min=0, max=365, help="Days on which the old key signs too. 新旧并行的天数。")] = _DAYS,
    finish: Annotated[bool, typer.Option("--finish", help="End the overlap now. 立即结束并行。")] = False,
    actor: Annotated[str, typer.Option("--actor", help="Who does this, for the record. 记录中的操作人。")] = "person:cli",
) -> None:
    """Change the key that signs checkpoints and bundles; the old one signs beside it for a while. 更换站点密钥。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings

    from guiju.records.keys import rotation
    from guiju.records.log.note import verifier_text

    change = rotation.finish(actor) if finish else rotation.begin(actor, timedelta(days=overlap_days))
    origin = settings.SITE.ledger.origin
    typer.echo(f"签名 signs    {verifier_text(origin, change.signing.public_key())}")
    if finish:
        typer.echo(f"停用 retired  {verifier_text(origin, change.leaving.public_key())}")
    else:
        typer.echo(f"并行 leaving  {verifier_text(origin, change.leaving.public_key())}  → {change.leaving.leaves_at}")
        typer.echo(f"公布新公钥 publish {settings.DATA_FOLDER.keys / 'site.pub'}")


def site_keys(
    data: Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")] = Path("guiju-data"),
) -> None:
    """List the keys that sign and have signed, with their spans. 列出站点密钥。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings

    from guiju.core.keys import load_ring
    from guiju.records.log.note import verifier_text

    for key in load_ring(settings.DATA_FOLDER.keys):
        until = f"{key.until_size} · {key.until_at}" if key.state == "retired" else key.leaves_at
        since = f"{key.from_size} · {key.from_at}".removesuffix(" · ")
        typer.echo(f"{key.state}  起 from {since}" + (f"  止 until {until}" if until else ""))
        typer.echo(verifier_text(settings.SITE.ledger.origin, key.public_key()))  # alone on its line: `--public-key` takes it


def stamp(
    data: Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")] = Path("guiju-data"),
) -> None:
    """Have the newest checkpoint stamped now by the authority of the settings. 立即加盖时间戳。"""
    from guiju.web import open_data_folder

    open_data_folder(data)
    from django.conf import settings

    from guiju.core.errors import GuijuError
    from guiju.records import flow
    from guiju.records.log import anchor
    from guiju.records.log.tiles import read_checkpoint
    from guiju.records.offline.timestamp import read_pem

    roots, note = flow.stamp_roots(), read_checkpoint(settings.DATA_FOLDER.ledger)
    if not settings.SITE.ledger.tsa_url or roots is None:
        raise GuijuError(anchor.ANCHOR_UNSET)
    if note is None:
        typer.echo("账本为空 the ledger is empty")
        return
    made = anchor.stamp(settings.DATA_FOLDER.ledger, note, settings.SITE.ledger.tsa_url, roots)
    typer.echo(f"{made.size} 条记录 records  < {made.stamped_at(read_pem(roots.read_bytes())).isoformat()}")
