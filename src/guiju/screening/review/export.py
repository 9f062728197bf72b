"""Decisions as data for evaluation: one JSON line for each item, without any text unless the contents were opened for it.

`guiju screen FILE --evaluate` reads it. The form, one object a line: form, record, at, service, kind, origin, library, bundle, decisions,
findings (direction, rule, risk, verdict, verdicts), and with texts: texts (direction, path, text).
"""

import json
import os
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from django.db import transaction

from guiju.records import flow as records
from guiju.records.access.opening_many import begin_opening, finish_opening, list_contents
from guiju.screening.review.figures import Settled, list_settled
from guiju.screening.review.models import Decision, Item
from guiju.screening.review.texts import texts_shown

FORM: Final = "guiju-review/1"


def write_export(
    path: Path, begins: datetime, until: datetime | None, *, actor: str, service: str = "", reason: str = "", texts: bool = False
) -> int:
    """Write the decisions about exchanges from `begins` until `until` to a new file and return how many items it holds.

    With `texts` the contents are opened as for a pack: one request for all where two people are needed, the reason in each record of an
    opening; what a reviewer would be shown of them is written, personal information masked. Leaves `screening.review.exported`. No file
    is left by an export that fails. Raises FileExistsError, and with `texts` ValueError without a reason, APPROVAL-NEEDED, ERASED-MEANWHILE.
    """
    items = _by_item(list_settled(begins, until=until, service=service))
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with path.open("xb"):  # the name is ours from here on
        pass
    try:
        if texts:
            _write_with_texts(draft, items, f"review {begins.isoformat()}–{until.isoformat() if until else ''} {service}", actor, reason)
        else:
            _write(draft, (_row(item, settled) for item, settled in items))
        told: dict[str, object] = {"items": len(items), "texts": texts, "sha256": sha256(draft.read_bytes()).hexdigest()}
        with transaction.atomic():
            records.append(kind="screening.review.exported", actor=actor, service=service, metadata=told)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise
    return len(items)


def _by_item(settled: list[Settled]) -> list[tuple[Item, list[Settled]]]:
    found: dict[str, list[Settled]] = {}
    for each in settled:
        found.setdefault(each.item, []).append(each)
    items = Item.objects.in_bulk(list(found))
    return [(items[record], about) for record, about in found.items()]


def _row(item: Item, settled: list[Settled], texts: list[dict[str, str]] | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "form": FORM,
        "record": item.pk,
        "at": item.at.isoformat(timespec="seconds"),
        "service": item.service,
        "kind": item.kind,
        "origin": item.origin,
        "library": item.library,
        "bundle": item.bundle,
        "decisions": Decision.objects.filter(item=item).count(),
        "findings": [
            {"direction": each.direction, "rule": each.rule, "risk": each.risk, "verdict": each.verdict, "verdicts": list(each.verdicts)}
            for each in settled
        ],
    }
    return row if texts is None else row | {"texts": texts}


def _write_with_texts(draft: Path, items: list[tuple[Item, list[Settled]]], selection: str, actor: str, reason: str) -> None:
    ids = [id for item, _ in items for id in (item.begun, item.pk) if id]
    opening = begin_opening(ids, selection=selection, actor=actor, reason=reason)
    contents = dict(list_contents(opening))

    def rows() -> Iterator[dict[str, Any]]:
        for item, settled in items:
            shown = texts_shown([contents[id] for id in (item.begun, item.pk) if id in contents], item.hits)
            yield _row(item, settled, [{"direction": each.direction, "path": each.path, "text": each.text} for each in shown])

    _write(draft, rows())
    with transaction.atomic(durable=True):
        finish_opening(opening, list(contents), pack=sha256(draft.read_bytes()).hexdigest())


def _write(draft: Path, rows: Iterator[dict[str, Any]]) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
        out.flush()
        os.fsync(out.fileno())
