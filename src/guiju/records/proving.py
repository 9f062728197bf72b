"""The proof of one record as a page shows it: four steps, each passed, failed, or waiting for the next checkpoint.

1. The record's body has the hash that is its leaf.
2. The newest checkpoint is signed by this site's key.
3. The record's number lies below the checkpoint's size.
4. The leaf and its path through the tree lead to the checkpoint's root.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from django.conf import settings
from django.utils.translation import gettext as _

from guiju.core.errors import GuijuError
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records.merkle import inclusion_path, leaf_hash, root_from_inclusion
from guiju.records.models import Record
from guiju.records.note import Checkpoint, verify_checkpoint
from guiju.records.tiles import TileReader, read_checkpoint

Tone = Literal["good", "bad", "skipped"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step and how it went; `detail` is the hash or the reason."""

    tone: Tone
    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """The steps; `waiting` when the only thing missing is a checkpoint that reaches the record."""

    steps: tuple[Step, ...]
    waiting: bool

    @property
    def ok(self) -> bool:
        return not self.waiting and all(step.tone == "good" for step in self.steps)


def prove(record: Record) -> Proof:
    """Prove one record now, from the tiles and the checkpoint on disk; never raises for a proof that fails."""
    steps = list(_steps(record))
    return Proof(tuple(steps), waiting=any(step.tone == "skipped" for step in steps) and all(step.tone != "bad" for step in steps))


def _steps(record: Record) -> Iterator[Step]:
    folder: DataFolder = settings.DATA_FOLDER
    leaf = bytes(record.leaf)
    # 1
    body = sha256(bytes(record.body)).digest()
    yield Step("good" if body == leaf else "bad", _("记录正文的摘要就是它的叶子"), body.hex())
    # 2
    try:
        checkpoint = _checkpoint(folder)
    except (GuijuError, OSError) as problem:
        yield Step("bad", _("最近的检查点由本站密钥签名"), str(problem))
        return
    # 3
    if checkpoint is None or record.index >= checkpoint.size:
        yield Step("skipped", _("记录已写入，等待下一个检查点把它纳入日志"), _("第 %d 条") % record.index)
        return
    yield Step("good", _("最近的检查点由本站密钥签名"), f"{checkpoint.origin} · {checkpoint.size}")
    yield Step("good", _("记录的序号在检查点之内"), f"{record.index} < {checkpoint.size}")
    # 4
    try:
        path = inclusion_path(record.index, checkpoint.size, TileReader(folder.ledger, checkpoint.size).subtree)
        root = root_from_inclusion(leaf_hash(leaf), record.index, checkpoint.size, path)
    except (GuijuError, OSError) as problem:
        yield Step("bad", _("叶子沿路径算出检查点的根"), str(problem))
        return
    same = root == checkpoint.root
    yield Step(
        "good" if same else "bad",
        _("叶子沿 %d 步路径算出检查点的根") % len(path),
        root.hex() if same else f"{root.hex()} ≠ {checkpoint.root.hex()}",
    )


def _checkpoint(folder: DataFolder) -> Checkpoint | None:
    signed = read_checkpoint(folder.ledger)
    if signed is None:
        return None
    return verify_checkpoint(signed, settings.SITE.ledger.origin, load_site_public_key(folder.keys))
