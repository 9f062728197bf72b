"""The history of the ledger: has it grown from a checkpoint that was kept, and since when are its time stamps. Reads only."""

from pathlib import Path

from guiju.core.errors import GuijuError
from guiju.core.keys import load_ring
from guiju.core.layout import DataFolder
from guiju.records.log.anchor import Anchor, list_anchors, read_anchor
from guiju.records.log.merkle import check_consistency, consistency_path
from guiju.records.log.note import Checkpoint
from guiju.records.log.report import Step
from guiju.records.log.signers import verify_site_checkpoint
from guiju.records.log.tiles import TileReader
from guiju.records.offline.report import Broken
from guiju.records.offline.timestamp import read_pem


def check_grown(number: int, data: DataFolder, origin: str, newest: Checkpoint | None, earlier: bytes) -> Step:
    """Return the step that says whether the log has grown from an earlier checkpoint: nothing removed, nothing exchanged."""
    zh, en = "账本由此前保存的检查点增长而来", "The ledger has grown from the checkpoint that was kept"
    try:
        old = verify_site_checkpoint(earlier, origin, load_ring(data.keys))
        size, root = (newest.size, newest.root) if newest is not None else (0, b"")
        if old.size > size:
            return Step(number, "fails", zh, en, f"the checkpoint kept has {old.size} records, the ledger {size}")
        check_consistency(old.size, size, old.root, root, consistency_path(old.size, size, TileReader(data.ledger, size).subtree))
    except (GuijuError, OSError) as problem:
        return Step(number, "fails", zh, en, str(problem.facts.get("reason", problem)) if isinstance(problem, GuijuError) else str(problem))
    return Step(number, "holds", zh, en, f"{old.size} → {size}")


def check_stamps(number: int, data: DataFolder, origin: str, newest: Checkpoint | None, root_file: Path) -> Step:
    """Return the step about time stamps: each is valid, and the ledger has grown from the checkpoint that was stamped."""
    paths = list_anchors(data.ledger)
    zh = f"{len(paths)} 个时间戳有效，账本由各自的检查点增长而来"
    en = f"{len(paths)} time stamps are valid; the ledger has grown from the checkpoint of each"
    if not paths:
        return Step(number, "open", zh, en, "nothing was stamped yet")
    told = ""
    try:
        roots = read_pem(root_file.read_bytes())
        for path in paths:
            told = _stamp_told(read_anchor(path), path, data, origin, newest, roots)
    except (GuijuError, Broken, OSError) as problem:
        return Step(number, "fails", zh, en, f"{problem}")
    return Step(number, "holds", zh, en, told)


def _stamp_told(anchor: Anchor, path: Path, data: DataFolder, origin: str, newest: Checkpoint | None, roots: list[bytes]) -> str:
    try:
        at = anchor.stamped_at(roots)
    except Broken as problem:
        raise Broken(f"{path.name}: {problem}") from None
    grown = check_grown(0, data, origin, newest, anchor.checkpoint.encode())
    if grown.outcome != "holds":
        raise Broken(f"{path.name}: {grown.detail}")
    return f"{anchor.size} records existed before {at.isoformat()}"
