"""The check of a pack: offline, from nothing but the file and what the reader has from elsewhere.

Steps are numbered as in the report; the first one that fails is the last one:
1. the file has the bytes that were sealed;
2. the public keys follow one from another;
3. the newest key has sealed it, and its members are those that the manifest lists;
4. the checkpoint is signed by a key within its span;
5. every record is in its form and unchanged, and all of them lead to the checkpoint's root;
6. every record is one that the selection asks for;
7. nothing is left out;
8. time stamps: what existed when;
9. content that was opened belongs to records of the pack;
10. the log has grown from a checkpoint that the reader kept;
11. the key is the provider's.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from guiju.records.offline.packfile import (
    ALWAYS,
    ANCHORS,
    CHECKPOINT,
    CONTENTS,
    KEYS,
    MANIFEST,
    PACK_FORM,
    RECORDS,
    SOMETIMES,
    TREE,
    TSA_ROOTS,
    PackReader,
    read_seal,
    strict_json,
)
from guiju.records.offline.packrecords import read_records
from guiju.records.offline.report import Broken, Report, Step
from guiju.records.offline.signed import (
    LogKey,
    StatedCheckpoint,
    parse_stated,
    plain_base64,
    read_log_keys,
    read_signed_checkpoint,
    split_note,
    text_signed_by,
)
from guiju.records.offline.timestamp import check_time_stamp, read_pem
from guiju.records.offline.tree import check_growth, root_from_leaves

TokenCheck = Callable[[bytes, bytes, "list[bytes]"], datetime]
_SELECTORS = ("ids", "kind", "service", "subject", "since", "until", "first", "last")
_MANIFEST_TYPES: dict[str, type] = {
    "pack": str, "origin": str, "made_at": str, "made_by": str, "selection": dict, "not_found": list, "records": int,
    "without_text": int, "opened": int, "checkpoint": dict, "members": list,
}  # fmt: skip
_TRUTH = (
    "记录所述之事是否属实：只证明签发检查点之后没有改动过。",
    "That what the records say is true: only that they have not changed since the checkpoint.",
)


class PackCheck:
    """One check of one pack. `steps` grows as it goes on."""

    def __init__(self, path: Path, trusted: bytes | None, kept: bytes | None, tsa_roots: list[bytes] | None, token_check: TokenCheck):
        self.steps: list[Step] = []
        self.not_proven = [_TRUTH]
        self._path, self._trusted, self._kept, self._tsa_roots, self._token_check = path, trusted, kept, tsa_roots, token_check

    def run(self) -> None:
        """Do all steps. Raises Broken at the first that fails, after the steps before it were noted."""
        # 1. The file has the bytes that were sealed. By whom is seen in step 3.
        self.title = "文件与封存时逐字节相同", "The file has the bytes that were sealed"
        note, origin = read_seal(self._path)
        self._holds(f"{self._path.stat().st_size} bytes")
        self._pack = PackReader(self._path, note)
        try:
            self._check_members(note, origin)
        finally:
            self._pack.close()

    def _check_members(self, note: bytes, origin: str) -> None:
        # 2. The keys. Each was named by the one before it, so trust in one leads to the later ones.
        self.title = "公钥一个接一个地指定", "The public keys follow one from another"
        keys = read_log_keys(self._pack.document(KEYS), origin)
        self._holds(", ".join(key.line for key in keys))

        # 3. The seal. Its signature is the newest key's; the list of members is looked at once they were read.
        self.title = "由最新的公钥封存，成员与清单一致", "Sealed by the newest key; the members are those that the manifest lists"
        if len(split_note(note)[1]) != 1:
            raise Broken("the seal has not exactly one signature")
        text_signed_by(note, origin, [keys[-1].public])
        manifest = _read_manifest(self._pack.document(MANIFEST), origin)
        listed = {row["name"]: (row["bytes"], row["sha256"]) for row in manifest["members"]}
        names = {*listed, MANIFEST}
        if sorted(self._pack.names) != sorted(names) or len(listed) != len(manifest["members"]) or MANIFEST in listed:
            raise Broken("it has other members than its manifest lists")
        if not ALWAYS <= names <= ALWAYS | SOMETIMES:
            raise Broken("it has not the members that a pack has")
        selection, count = manifest["selection"], manifest["records"]
        checkpoint = self._pack.whole(CHECKPOINT)
        nodes = list(_tree_nodes(self._pack))
        growth = [_growth_line(line) for line in _lines(self._pack, ANCHORS)]
        contents = [strict_json(line, CONTENTS) for line in _lines(self._pack, CONTENTS)] if CONTENTS in listed else []
        problem = ""
        indices: array[int] = array("Q")
        hashes: list[bytes] = []
        ids: list[str] = []
        without_text, misfits = 0, ""
        try:
            for block in read_records(self._pack.lines(RECORDS, listed[RECORDS][0]), listed[RECORDS][0], selection, bool(contents)):
                indices.extend(block.indices)
                hashes += [block.hashes[at : at + 32] for at in range(0, len(block.hashes), 32)]
                ids += block.ids
                without_text += block.without_text
                misfits = misfits or block.misfits
        except Broken as reason:
            problem = str(reason)  # told in its step, when the members were as listed up to there
        for name, member in listed.items():
            if name not in self._pack.found and not (name == RECORDS and problem):
                for _ in self._pack.pieces(name, member[0]):
                    pass
            if self._pack.found.get(name, member) != member:
                raise Broken(f"{name} is not the member that the manifest lists")
        self._holds(f"{len(listed) + 1} members, made {manifest['made_at']} by {manifest['made_by']}")

        # 4. The checkpoint.
        self.title = f"检查点有 {origin} 的有效签名", f"The checkpoint carries a valid signature of {origin}"
        stated = read_signed_checkpoint(checkpoint, origin, keys)
        if manifest["checkpoint"] != {"size": stated.size, "root": stated.root.hex()}:
            raise Broken("the manifest names another checkpoint")
        self._holds(f"{stated.size} · {stated.root.hex()}")

        # 5. The records. Each has its place in the tree, once; all of them and the hashes given lead to the root.
        self.title = f"{count} 条记录未改动，各在其位", f"{count} records are unchanged and in their places"
        if problem:
            raise Broken(problem)
        if len(indices) != count or without_text != manifest["without_text"]:
            raise Broken(f"it holds {len(indices)} records, the manifest says {count}")
        if not count:
            raise Broken("it holds no record")
        if any(later <= before for before, later in zip(indices, indices[1:])):
            raise Broken("the records are not in their order, or one stands twice")
        if root_from_leaves(indices, hashes, stated.size, iter(nodes)) != stated.root:
            raise Broken("the records do not lead to the root of the checkpoint")
        self._holds(f"{indices[0]} … {indices[-1]}" + (f"; {without_text} without their text" if without_text else ""))

        # 6. The selection.
        self.title = "每条记录都符合所述的选择条件", "Every record is one that the selection asks for"
        if misfits:
            raise Broken(misfits)
        self._holds(", ".join(f"{name}={value}" for name, value in selection.items() if value is not None and name != "ids"))

        self._check_whole(indices, selection, stated)
        self._check_times(indices, growth, keys, stated)
        self._check_contents(contents, ids, manifest["opened"])
        self._check_kept(growth, keys, stated)

        # 11. The key is the provider's, or one from which the provider's newest follows.
        self.title = "公钥就是提供者公布的公钥", "The key is the one that the provider published"
        if self._trusted is None:
            self._open("not compared: no key was given")
            self.not_proven.append(
                (
                    "公钥属于哪一家提供者：请从提供者以外的渠道核对。",
                    "Whose key this is: compare it with what the provider published elsewhere.",
                )
            )
        elif self._trusted not in [key.public for key in keys]:
            raise Broken(
                "the given key is none of those in the pack; if the pack is older than a change of the site key, or younger, check with the "
                "other key's line from `guiju records site-keys` 所给公钥不在包内；若其间更换过站点密钥，请用 site-keys 列出的另一行核对"
            )
        else:
            self._holds("")

    def _check_whole(self, indices: array[int], selection: dict[str, Any], stated: StatedCheckpoint) -> None:
        # 7. A range without gaps is whole. Of any other selection nobody can see what was left out.
        first = selection["first"] if selection["first"] is not None else 0
        last = min(selection["last"] if selection["last"] is not None else stated.size - 1, stated.size - 1)
        is_range = all(selection[name] is None for name in _SELECTORS[:6])
        self.title = "没有遗漏", "Nothing is left out"
        if is_range:
            if (indices[0], indices[-1], len(indices)) != (first, last, last - first + 1):
                raise Broken(f"records are missing from the range {first} to {last}")
            self._holds(f"{first} … {last}")
            return
        self._open("only a range of numbers without other conditions can show that")
        self.not_proven.append(
            (
                "所选条件下没有遗漏记录：只有连续编号的区间才能证明。",
                "That no record of the selection is left out: only a range of numbers shows that.",
            )
        )

    def _check_times(self, indices: array[int], growth: list[Growth], keys: list[LogKey], stated: StatedCheckpoint) -> None:
        # 8. Each time stamp is of a checkpoint from which this one has grown: what that one held existed at that time.
        self.title = "时间戳证明记录在某时已存在", "Time stamps prove that the records existed at a time"
        roots = self._tsa_roots
        if roots is None and TSA_ROOTS in self._pack.names:
            roots = read_pem(self._pack.whole(TSA_ROOTS))
        reached, told = 0, []
        for each in growth:
            early = read_signed_checkpoint(each.checkpoint, stated.origin, keys)
            check_growth(early.size, stated.size, early.root, stated.root, each.path)
            if each.token:
                if roots is None:
                    raise Broken("there is no root certificate to check a time stamp under")
                at = self._token_check(each.token, each.checkpoint, roots)
                covered = sum(1 for index in indices if index < early.size)
                if covered > reached:
                    told.append(f"{covered - reached} before {at.isoformat()}")
                    reached = covered
        if reached == len(indices) and self._tsa_roots is not None:
            self._holds("; ".join(told))
            return
        if reached:
            told.append("the authority was not compared: no root was given" if self._tsa_roots is None else "")
        self._open("; ".join([*filter(None, told), f"{len(indices) - reached} not stamped"]))
        self.not_proven.append(
            (
                "时间戳之前、或没有时间戳的记录是何时写入的：只有提供者自己的时间。",
                "When records were written that no compared time stamp covers, and what came before it: there is only the provider's own time.",
            )
        )

    def _check_contents(self, contents: list[Any], ids: list[str], opened: int) -> None:
        # 9. Opened content is what the provider says it was: the record holds the hash of the sealed bytes.
        self.title = "打开的内容属于包内的记录", "Content that was opened belongs to records of the pack"
        known = {tuple(each.split(" ")[:2]) for each in ids if each.split(" ")[2]}
        for each in contents:
            if not isinstance(each, dict) or (each.get("record"), str(each.get("index"))) not in known:
                raise Broken("content was added to a record that has none, or that is not here")
        if len(contents) != opened:
            raise Broken(f"{len(contents)} contents are there, the manifest says {opened}")
        if not contents:
            self._holds("0")
            return
        self._open(f"{len(contents)}, as the provider opened them")
        self.not_proven.append(
            (
                "打开的内容与封存时相同：由提供者打开并随包封存，记录中只有密文的哈希。",
                "That opened content is what was sealed: the provider opened it; the record holds the hash of the sealed bytes.",
            )
        )

    def _check_kept(self, growth: list[Growth], keys: list[LogKey], stated: StatedCheckpoint) -> None:
        # 10. A checkpoint that the reader kept: the same log, grown.
        self.title = "日志由您保存的检查点增长而来", "The log has grown from the checkpoint that you kept"
        if self._kept is None:
            self._open("not compared: no earlier checkpoint was given")
            self.not_proven.append(
                (
                    "在此检查点之前没有换过整个账本：请与此前保存的检查点比对。",
                    "That the whole ledger was not replaced before this checkpoint: compare with one that you kept earlier.",
                )
            )
            return
        kept = read_signed_checkpoint(self._kept, stated.origin, keys)
        if kept.size > stated.size:
            self._open(f"the checkpoint kept is the later one: it has {kept.size} records, this one {stated.size}; ask for a newer pack")
            return
        path = next((each.path for each in growth if parse_stated(split_note(each.checkpoint)[0]).size == kept.size), None)
        if path is None and kept.size not in (0, stated.size):
            self._open(f"the pack has no proof of growth from {kept.size}: ask for one made with --since and this checkpoint")
            return
        check_growth(kept.size, stated.size, kept.root, stated.root, path if path is not None and kept.size != stated.size else [])
        self._holds(f"{kept.size} → {stated.size}")

    def _holds(self, detail: str) -> None:
        self.steps.append(Step(len(self.steps) + 1, "holds", *self.title, detail))

    def _open(self, detail: str) -> None:
        self.steps.append(Step(len(self.steps) + 1, "open", *self.title, detail))


class Growth:
    """An earlier checkpoint, the proof that the log has grown from it, and its time stamp, which may be empty."""

    def __init__(self, checkpoint: bytes, path: list[bytes], token: bytes) -> None:
        self.checkpoint, self.path, self.token = checkpoint, path, token


def check_pack(
    path: Path,
    *,
    trusted: bytes | None = None,
    kept: bytes | None = None,
    tsa_roots: list[bytes] | None = None,
    token_check: TokenCheck = check_time_stamp,
) -> Report:
    """Return what a pack proves, step by step; the first step that fails is the last one. Never raises for a bad pack.

    `trusted` are the 32 bytes of the provider's public key, `kept` a checkpoint, `tsa_roots` certificates of time-stamp
    authorities in DER, all from elsewhere; without them the steps that need them stay open.
    """
    check = PackCheck(path, trusted, kept, tsa_roots, token_check)
    try:
        check.run()
    except Broken as problem:
        check.steps.append(Step(len(check.steps) + 1, "fails", *check.title, str(problem)))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as problem:
        check.steps.append(Step(len(check.steps) + 1, "fails", *check.title, f"it has not its form ({type(problem).__name__}: {problem})"))
    return Report(tuple(check.steps), tuple(check.not_proven))


def _read_manifest(document: Any, origin: str) -> dict[str, Any]:
    if not isinstance(document, dict) or {name: type(value) for name, value in document.items()} != _MANIFEST_TYPES:
        raise Broken("the manifest has not its form")
    if document["pack"] != PACK_FORM or document["origin"] != origin or set(document["selection"]) != set(_SELECTORS):
        raise Broken("the manifest is that of another pack")
    for row in document["members"]:
        if set(row) != {"name", "bytes", "sha256"} or type(row["bytes"]) is not int:
            raise Broken("the manifest has not its form")
    return document


def _lines(pack: PackReader, name: str) -> Iterator[bytes]:
    for block in pack.lines(name):
        yield from block.split(b"\n")[:-1]


def _tree_nodes(pack: PackReader) -> Iterator[tuple[tuple[int, int], bytes]]:
    for line in _lines(pack, TREE):
        row = strict_json(line, TREE)
        if set(row) != {"level", "index", "hash"} or len(row["hash"]) != 64:
            raise Broken(f"{TREE} has not its form")
        yield (row["level"], row["index"]), bytes.fromhex(row["hash"])


def _growth_line(line: bytes) -> Growth:
    row = strict_json(line, ANCHORS)
    if set(row) != {"size", "checkpoint", "growth", "token"}:
        raise Broken(f"{ANCHORS} has not its form")
    return Growth(row["checkpoint"].encode(), [plain_base64(step) for step in row["growth"]], plain_base64(row["token"]))
