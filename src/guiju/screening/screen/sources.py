"""Files of texts, read in blocks: plain text (a line is a text), JSON lines, Parquet; `-` is standard input, `.gz` is read directly.

A block is whole lines, some hundred kB of them, so a file of any size takes the memory of a few blocks. What a block holds is
looked at elsewhere (`bulk.py`), perhaps by another process.
"""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from guiju.core.errors import GuijuError, Text, define

Form = Literal["text", "jsonl", "parquet"]

_FORMS: Final[dict[str, Form]] = {"text": "text", "jsonl": "jsonl", "parquet": "parquet"}
BLOCK_BYTES: Final = 256 * 1024
LINE_LIMIT_BYTES: Final = 16 * 2**20
"""A longer line ends the run: memory stays bounded, and nothing is cut where a term may stand."""
_PARQUET_ROWS: Final = 256
_GZIP: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_JSON_NAMES: Final = (".jsonl", ".ndjson", ".json")

SCREEN_FILE = define(
    "SCREEN-FILE",
    status=400,
    kind="invalid_request_error",
    zh=Text("无法读取“{name}”：{reason}。", "此前读到的文本已审查并计入结果，其余没有审查。", "请核对文件、权限和 --format 后重新运行。"),
    en=Text(
        "'{name}' cannot be read: {reason}.",
        "The texts read before were examined and are counted; the rest was not examined.",
        "Check the file, the permissions and --format, and run it again.",
    ),
)
SCREEN_LINE = define(
    "SCREEN-LINE",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "“{name}”第 {line} 行超过 {limit} 字节。",
        "此前各行已审查并计入结果，本行及其后没有审查。",
        "请先把该行拆分；若不是按行的文件，请用 --format 指明格式。",
    ),
    en=Text(
        "Line {line} of '{name}' is longer than {limit} bytes.",
        "The lines before were examined and are counted; this one and the rest were not.",
        "Split the line first; if the file does not consist of lines, name its form with --format.",
    ),
)
SCREEN_PARQUET = define(
    "SCREEN-PARQUET",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "读取 Parquet 需要 pyarrow，当前没有安装。", "没有审查任何文本。", "请安装：pip install 'guiju[parquet]'；或把文件转为 JSONL。"
    ),
    en=Text(
        "Reading Parquet needs pyarrow, which is not installed.",
        "Nothing was examined.",
        "Install it: pip install 'guiju[parquet]'; or turn the file into JSON lines.",
    ),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a source: `raw` is whole lines, or `rows` the values of one column; `first` numbers its first line or row, from 1."""

    first: int
    raw: bytes = b""
    rows: tuple[Any, ...] | None = None
    done: int = 0
    """How far the source is read after this block: bytes of the file as it lies on the disk, or rows of Parquet."""


@dataclass(frozen=True, slots=True)
class Source:
    """An open source. `whole` is what `done` comes to at its end; None where nobody knows."""

    name: str
    form: Form
    whole: int | None
    blocks: Iterator[Block]


def form_of(name: str) -> Form:
    """Return the form that a file's name tells.

    >>> form_of("a/b.JSONL.gz"), form_of("rows.parquet"), form_of("notes"), form_of("-")
    ('jsonl', 'parquet', 'text', 'text')
    """
    name = name.lower().removesuffix(".gz")
    return "jsonl" if name.endswith(_JSON_NAMES) else "parquet" if name.endswith((".parquet", ".pq")) else "text"


def get_form(name: str) -> Form:
    """Return the form of this name. Raises KeyError."""
    return _FORMS[name]


def open_source(name: str, form: Form, field: str = "") -> Source:
    """Open a file, or standard input for `-`. `field` names the column of Parquet. Raises SCREEN-FILE and SCREEN-PARQUET."""
    try:
        if form == "parquet":
            return _parquet(name, field)
        if name == "-":
            # What is there is looked at: who pipes line after line does not wait for a whole block.
            read1: Callable[[int], bytes] = sys.stdin.buffer.read1  # type: ignore[union-attr]  # standard input is buffered
            return Source(name, form, None, line_blocks(read1, lambda: 0, name))
        path = Path(name)
        file = path.open("rb")
        packed = file.peek(2)[:2] == _GZIP
        read = gzip.GzipFile(fileobj=file).read if packed else file.read
        return Source(name, form, path.stat().st_size, line_blocks(read, file.tell, name, file))
    except OSError as problem:
        raise _unreadable(name, problem) from problem


def line_blocks(read: Callable[[int], bytes], told: Callable[[], int], name: str, file: BinaryIO | None = None) -> Iterator[Block]:
    """Yield blocks of whole lines. Raises SCREEN-FILE for what cannot be read, SCREEN-LINE for a line without end."""
    line = 1
    begun: list[bytes] = []  # pieces of a line whose end is not read yet
    begun_bytes = 0
    mark = _BYTE_ORDER_MARK
    try:
        while True:
            try:
                piece = read(BLOCK_BYTES)
            except (OSError, EOFError, zlib.error) as problem:
                raise _unreadable(name, problem) from problem
            if not piece:
                break
            cut = piece.rfind(b"\n") + 1
            if not cut:
                begun.append(piece)
                begun_bytes += len(piece)
                if begun_bytes > LINE_LIMIT_BYTES:
                    raise GuijuError(SCREEN_LINE, name=name, line=line, limit=LINE_LIMIT_BYTES)
                continue
            raw = b"".join((*begun, piece[:cut])).removeprefix(mark)
            mark = b""
            yield Block(line, raw, done=told())
            line += raw.count(b"\n")
            begun, begun_bytes = [piece[cut:]], len(piece) - cut
        rest = b"".join(begun).removeprefix(mark)
        if rest:
            yield Block(line, rest, done=told())
    finally:
        if file is not None:
            file.close()


def _parquet(name: str, field: str) -> Source:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as problem:
        raise GuijuError(SCREEN_PARQUET) from problem
    if name == "-":
        raise GuijuError(SCREEN_FILE, name=name, reason="Parquet must be a file, it is read from its end")
    try:
        file = parquet.ParquetFile(name, pre_buffer=False)
    except pyarrow.ArrowException as problem:
        raise _unreadable(name, problem) from problem
    columns = file.schema_arrow.names
    column = field if field in columns else field.split(".", maxsplit=1)[0]
    if column not in columns:
        file.close()
        raise GuijuError(SCREEN_FILE, name=name, reason=f"it has no column '{column}' (--field), but {', '.join(columns)}")
    return Source(name, "parquet", file.metadata.num_rows, _parquet_blocks(file, column, name))


def _parquet_blocks(file: Any, column: str, name: str) -> Iterator[Block]:
    import pyarrow

    first = 1
    try:
        for batch in file.iter_batches(_PARQUET_ROWS, columns=[column], use_threads=False):
            rows = tuple(batch.to_pylist())
            yield Block(first, rows=rows, done=first + len(rows) - 1)
            first += len(rows)
    except (pyarrow.ArrowException, OSError) as problem:
        raise _unreadable(name, problem) from problem
    finally:
        file.close()


def _unreadable(name: str, problem: Exception) -> GuijuError:
    return GuijuError(SCREEN_FILE, name=name, reason=getattr(problem, "strerror", None) or str(problem) or type(problem).__name__)
