"""`guiju watermark`: whether pictures bear this site's watermark, and of which number. 查找本站水印。

The exit status: 0 all bear it, 2 one bears none, 3 one could not be examined; the gravest counts, in the order 3, 2, 0.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from guiju.core.errors import GuijuError

FOUND, NONE, UNEXAMINED = 0, 2, 3
_FILE_BYTES: Final = 256 * 1024 * 1024


def watermark_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures. 图片。")],
    data: Annotated[Path, typer.Option("--data", envvar="GUIJU_DATA", help="Data folder. 数据目录。")] = Path("guiju-data"),
    size: Annotated[
        str,
        typer.Option("--size", metavar="WxH", help="Size in which it was delivered, if it was resized. 送出时的尺寸，图片缩放过时填写。"),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each file. 每个文件一行 JSON。")] = False,
) -> None:
    """Look for this site's watermark in pictures; exit status 0, 2 or 3. It is no label. 查找本站水印（不是标识）。"""
    from guiju.core.keys import load_watermark_key
    from guiju.core.layout import DataFolder

    key = load_watermark_key(DataFolder(data.absolute()).keys)
    wanted = _size(size)
    statuses = set()
    for file in files:
        row, status = _look(file, key, wanted)
        statuses.add(status)
        typer.echo(json.dumps(row, ensure_ascii=True) if as_json else _line(row), err=status == UNEXAMINED and not as_json)
    sys.exit(max(statuses))


def _look(file: Path, key: bytes, size: tuple[int, int] | None) -> tuple[dict[str, Any], int]:
    from guiju.core.ids import made_at_ms
    from guiju.labelling.cli.inspect import INSPECT_UNREADABLE
    from guiju.labelling.watermark import extract

    name = str(file)
    try:
        with file.open("rb") as opened:
            found = extract(opened.read(_FILE_BYTES), key, size)
    except GuijuError as error:
        return {"file": name, "error": error.both()}, UNEXAMINED
    except OSError as error:
        return {"file": name, "error": GuijuError(INSPECT_UNREADABLE, path=name, reason=error.strerror or "–").both()}, UNEXAMINED
    if found is None:
        return {"file": name, "watermark": None}, NONE
    made = datetime.fromtimestamp(made_at_ms(found.prefix) / 1000, UTC).isoformat(timespec="milliseconds")
    return {"file": name, "watermark": {"number_prefix": found.prefix, "made_at": made, "confidence": found.confidence}}, FOUND


def _line(row: dict[str, Any]) -> str:
    from guiju.labelling.rows import plain

    if "error" in row:
        return plain(f"{row['file']}: {row['error']}")
    found = row["watermark"]
    if found is None:
        return plain(
            f"{row['file']}: 读不出本站水印（不表示不是本站生成） / no watermark of this site can be read (which does not say that it was not made here)"
        )
    return plain(
        f"{row['file']}: 编号前缀 number begins {found['number_prefix']}  {found['made_at']}  置信 confidence {found['confidence']:.2f}"
    )


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and 1 <= len(side) <= 5 for side in sides):
        raise typer.BadParameter("1024x768", param_hint="--size")
    return int(sides[0]), int(sides[1])
