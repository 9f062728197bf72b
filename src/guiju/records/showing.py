"""A record as the command line shows it, with the other record of the same streamed answer.

The number that a user sees (in a notice, in `retraction.record`, in `x-request-id`) names the record that opened a streamed answer; how the answer
ended says the record that closed it. So of an opened record the closing one is shown first.
"""

import json
from datetime import datetime
from typing import Any

from guiju.core.clock import BEIJING
from guiju.records import flow
from guiju.records.browse import OPENED, find_related
from guiju.records.kinds import KINDS
from guiju.records.models import Record
from guiju.web.rows import is_terminal, line_of, readable

_INDENT = 22


def summary_of(record: Record) -> dict[str, Any]:
    """Return who, when and what, for programs: times in UTC with their offset."""
    at: datetime = record.at
    names = ("kind", "service", "actor", "subject")
    return {"index": record.index, "id": record.id, "at": at.isoformat()} | {name: getattr(record, name) for name in names}


def facts_of(record: Record) -> dict[str, Any]:
    """Return all that a record says, and where its sealed content is."""
    found = flow.find_whereabouts(record)
    facts = summary_of(record) | {"obligations": record.obligations, "metadata": record.metadata, "content_hash": record.content_hash}
    facts["content_state"] = found.state
    if found.at is not None:
        facts |= {"content_gone_at": found.at.isoformat(timespec="seconds"), "content_gone_by": found.paper}
    return facts


def whole_answer(record: Record) -> dict[str, Any]:
    """Return the facts of a record, those of the one that closed its answer before them (`closed_by`; none while the answer goes on).

    A record that closes a streamed answer names the one that opened it (`opened_by`).
    """
    related = find_related(record)
    if record.kind == OPENED:
        return {"closed_by": facts_of(related) if related is not None else None} | facts_of(record)
    return facts_of(record) | ({"opened_by": related.id} if related is not None else {})


def find_closing(record_id: str) -> Record | None:
    """Return the record that closed the streamed answer which this record began; None where it began none, or it goes on."""
    record = Record.objects.filter(id=record_id, kind=OPENED).first()
    return find_related(record) if record is not None else None


def outcome_of(kind: str) -> str:
    """Return a kind of record in both languages."""
    known = KINDS.get(kind)
    return f"{known.zh} {known.en}" if known else kind


def print_answer(facts: dict[str, Any]) -> None:
    """Print what `whole_answer` gives, times in Beijing time: how the answer ended first."""
    if "closed_by" in facts:
        closed, facts = facts["closed_by"], {name: value for name, value in facts.items() if name != "closed_by"}
        if closed is None:
            print(f"{facts['id']} 开始了一次流式回答，尚无记录结束它。 It begins a streamed answer; no record closes it yet.\n")
        else:
            print(f"{facts['id']} 开始的回答，结果是：{outcome_of(closed['kind'])}")
            print(f"The answer that it began ended so, in the record {closed['id']}:\n")
            _print_facts(closed)
            print(f"\n{facts['id']}，回答开始时的记录 The record of its beginning:\n")
    _print_facts(facts)


def beijing(iso: str) -> str:
    """Return a time in Beijing time, to the second.

    >>> beijing("2026-11-29T01:02:03.456+00:00")
    '2026-11-29T09:02:03+08:00'
    """
    return datetime.fromisoformat(iso).astimezone(BEIJING).isoformat(timespec="seconds")


def _print_facts(facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        told = beijing(value) if name in ("at", "content_gone_at") else value
        if not is_terminal():
            print(line_of([name, json.dumps(told, ensure_ascii=False) if isinstance(told, (dict, list)) else told]))
            continue
        if isinstance(told, (dict, list)):
            told = json.dumps(told, ensure_ascii=False, indent=2 if told else None).replace("\n", "\n" + " " * _INDENT)
        print(f"{name:{_INDENT}}{readable(str(told))}")
