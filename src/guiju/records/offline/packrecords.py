"""The lines of `records.jsonl`: each in its one form, each of the selection; on all cores where there are many.

{"index":12,"record":{…canonical JSON of the record…}}
{"index":13,"leaf":"…hash of a record whose text retention has removed…"}
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import threading
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from hashlib import sha256
from typing import Any, NamedTuple

from guiju.records.offline.report import Broken

_SERIAL_BYTES = 16 * 2**20
_QUEUED = 8
_RECORD_LINE = re.compile(rb'\{"index":(0|[1-9][0-9]{0,18}),"record":(\{.*\})\}')
_LEAF_LINE = re.compile(rb'\{"index":(0|[1-9][0-9]{0,18}),"leaf":"([0-9a-f]{64})"\}')
_CANONICAL_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_RECORD_FIELDS = frozenset("v id at kind service actor subject obligations metadata content_hash salt".split())


class ReadLines(NamedTuple):
    """What a block of lines holds; `problem` is empty when every line is right."""

    indices: array[int]
    hashes: bytes
    ids: list[str]
    """Ids, where the selection is by ids or contents were opened; else empty."""
    without_text: int
    misfits: str
    """The first record that the selection does not ask for."""
    problem: str


def _refuse_number(text: str) -> Any:
    raise ValueError(f"records hold no number like {text}")


_DECODE_JSON = json.JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number).decode


def _is_canonical_slowly(body: bytes) -> dict[str, Any] | None:
    try:
        text = body.decode()
        record = _DECODE_JSON(text)
        return record if isinstance(record, dict) and _CANONICAL_JSON(record) == text else None
    except (ValueError, RecursionError):
        return None


def canonical_reader() -> Callable[[bytes], dict[str, Any] | None]:
    """Return the function that reads a record; it gives None for what is not in its one form.

    `msgspec` does it in a fifth of the time where it is installed; what it does not take is left to the standard library.
    """
    try:
        import msgspec
    except ImportError:
        return _is_canonical_slowly
    decode = msgspec.json.Decoder(float_hook=_refuse_number).decode
    encode = msgspec.json.Encoder(order="sorted").encode

    def read(body: bytes) -> dict[str, Any] | None:
        try:
            record = decode(body)
            if encode(record) == body and isinstance(record, dict):
                return record
        except (ValueError, RecursionError, OverflowError):
            pass
        return _is_canonical_slowly(body)

    return read


def read_block(block: bytes, selection: dict[str, Any], wants_ids: bool) -> ReadLines:
    """Return what a block of whole lines holds."""
    indices: array[int] = array("Q")
    hashes: list[bytes] = []
    ids: list[str] = []
    without_text, misfits = 0, ""
    wanted_ids = frozenset(selection["ids"]) if selection.get("ids") is not None else None
    read, digest = canonical_reader(), sha256
    all_fit = all(value is None for value in selection.values())
    for line in block.split(b"\n")[:-1]:
        match = _RECORD_LINE.fullmatch(line)
        if match is None:
            leaf_match = _LEAF_LINE.fullmatch(line)
            if leaf_match is None:
                return ReadLines(indices, b"", ids, 0, "", f"line {len(indices) + 1} of a block has not its form: {line[:60]!r}")
            index = int(leaf_match[1])
            leaf = bytes.fromhex(leaf_match[2].decode())
            without_text += 1
            problem = _misfit(index, {}, selection, wanted_ids)
        else:
            index, body = int(match[1]), match[2]
            record = read(body)
            if record is None or not record.keys() >= _RECORD_FIELDS:
                return ReadLines(indices, b"", ids, 0, "", f"record {index} is not in its one form")
            leaf = digest(body).digest()
            problem = "" if all_fit else _misfit(index, record, selection, wanted_ids)
            if wants_ids:
                ids.append(f"{record['id']} {index} {record['content_hash']}")
        misfits = misfits or problem
        indices.append(index)
        hashes.append(digest(b"\x00" + leaf).digest())
    return ReadLines(indices, b"".join(hashes), ids, without_text, misfits, "")


def _misfit(index: int, record: dict[str, Any], selection: dict[str, Any], wanted_ids: frozenset[str] | None) -> str:
    """Return why a record is none that the selection asks for; empty when it is. Of one without its text only the number counts."""
    first, last = selection["first"], selection["last"]
    if (first is not None and index < first) or (last is not None and index > last):
        return f"record {index} lies outside the range"
    if wanted_ids is not None and record.get("id") not in wanted_ids:
        return f"record {index} was not asked for"
    for name in ("kind", "service", "subject"):
        asked, said = selection[name], record.get(name)
        if asked is not None and said != asked and not (name == "kind" and str(said).startswith(asked + ".")):
            return f"record {index} is of another {name}"
    since, until, at = selection["since"], selection["until"], record.get("at", "")
    if (since is not None and at < since) or (until is not None and not (at and at < until)):
        return f"record {index} is of another time"
    return ""


def read_records(blocks: Iterator[bytes], size: int, selection: dict[str, Any], wants_ids: bool) -> Iterator[ReadLines]:
    """Yield what each block holds, in order; on all cores when `size` bytes are worth it. Raises Broken."""
    workers = min(os.cpu_count() or 1, 16)
    if size < _SERIAL_BYTES or workers < 2:
        for block in blocks:
            yield _good(read_block(block, selection, wants_ids))
        return
    # A process with threads is not forked; one that has none starts its like at once.
    forks = "fork" in multiprocessing.get_all_start_methods() and threading.active_count() == 1
    waiting: list[Future[ReadLines]] = []
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork" if forks else "spawn")) as pool:
        try:
            for block in blocks:
                waiting.append(pool.submit(read_block, block, selection, wants_ids))
                if len(waiting) == _QUEUED:
                    yield _good(waiting.pop(0).result())
            for each in waiting:
                yield _good(each.result())
        finally:
            for each in waiting:
                each.cancel()


def _good(lines: ReadLines) -> ReadLines:
    if lines.problem:
        raise Broken(lines.problem)
    return lines
