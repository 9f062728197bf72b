"""A dry run from its beginning to its counts: asked for with a reason, on record before anything is read, run by the jobs process.

What people wrote is read the way an opening reads it (`records/access/reading.py`, decision 0019): where two people open, another approves first. No
person sees a text; kept are counts by rule.
Source: Measures Arts. 4, 11, 14; PIPL Art. 51.
"""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import load_accepted_public_keys
from guiju.core.layout import DataFolder
from guiju.gateway.bundle import current_hash, load_bundle
from guiju.records import flow as records
from guiju.screening import flow
from guiju.screening.models import LibraryTrial
from guiju.screening.trial.counting import KINDS, Counts
from guiju.screening.values import Policy

TRIAL_REFUSED = define(
    "TRIAL-REFUSED",
    status=400,
    kind="invalid_request_error",
    zh=Text("不能试运行：{reason_zh}。", "没有读取任何内容，正在使用的词库不变。", "请改正后再试。"),
    en=Text("The dry run cannot begin: {reason}.", "Nothing was read; the library in force is unchanged.", "Correct this and try again."),
)
DAYS_AT_MOST: Final = 31
RULES_ON_RECORD: Final = 50
STALE: Final = timedelta(minutes=10)
"""A run that has not moved for so long has lost its process."""
_PROGRESS_EVERY: Final = 200
_State = LibraryTrial.State


def begin_trial(version: str, days: int, actor: str, reason: str) -> LibraryTrial:
    """Make a dry run of a version over the last days and put it on record as `screening.trial.begun`; `run_trial` runs it.

    Raises LIBRARY-UNKNOWN, LIBRARY-MISSING, TRIAL-REFUSED, APPROVAL-NEEDED where two people open.
    """
    chosen, said = flow.get_version(version), reason.strip()[: flow.REASON_LONGEST]
    before = flow.active_library()
    if not 1 <= days <= DAYS_AT_MOST:
        _refuse(f"天数应为 1–{DAYS_AT_MOST}", f"it is for 1 to {DAYS_AT_MOST} days")
    if len(said) < flow.REASON_CHARACTERS:
        _refuse("没有写明至少四个字的理由", "it has no reason of four characters or more")
    if chosen.version == before.version:
        _refuse("此版正在使用", "this version is in force")
    until = timezone.now()
    since = until - timedelta(days=days)
    reading = records.begin_reading(
        KINDS,
        since=since,
        until=until,
        at_most=settings.SITE.screening.trial_records,
        selection=f"screening.trial library={chosen.version[:12]} days={days} counts only",
        actor=actor,
        reason=said,
    )
    ids = reading.opening.ids
    # Committed to the disk before the first content is unsealed.
    with transaction.atomic(durable=True):
        facts: dict[str, object] = {
            "library": chosen.version,
            "before": before.version,
            "since": since.isoformat(timespec="seconds"),
            "until": until.isoformat(timespec="seconds"),
            "found": reading.found,
            "records": len(ids),
            "records_sha256": sha256("\n".join(ids).encode()).hexdigest(),
            "reason": reading.opening.reason,
        }
        record = records.append(kind="screening.trial.begun", actor=actor, metadata=facts | records.use_reading(reading))
        return LibraryTrial.objects.create(
            library=chosen,
            before=before.version,
            days=days,
            since=since,
            until=until,
            found=reading.found,
            one_in=reading.one_in,
            ids=list(ids),
            total=len(ids),
            reason=reading.opening.reason,
            asked_by=actor,
            record=record,
        )


def run_trial(id: str, told: Callable[[int, int], None] | None = None) -> LibraryTrial | None:
    """Run a dry run that waits and leave `screening.trial.finished` with its counts; None when another process has it.

    `told` hears (done, total) on the way. What is cut off by a kill is marked as not finished when it is looked at.
    """
    if not LibraryTrial.objects.filter(id=id, state=_State.QUEUED).update(state=_State.RUNNING, touched_at=timezone.now()):
        return None
    trial = LibraryTrial.objects.select_related("library").defer("library__body").get(id=id)
    try:
        counts = _count(trial, told)
    except BaseException:
        LibraryTrial.objects.filter(id=id).update(state=_State.FAILED, finished_at=timezone.now(), ids=[])
        raise
    plain = counts.plain()
    facts: dict[str, object] = {
        "trial": trial.record,
        "library": trial.library_id,
        "before": trial.before,
        "inputs": plain["inputs"],
        "answers": plain["answers"],
        "gone": counts.gone,
        "not_examined": counts.not_examined,
        "newly_hit": dict(sorted(counts.newly_hit.most_common(RULES_ON_RECORD))),
    }
    with transaction.atomic():
        records.append(kind="screening.trial.finished", actor=trial.asked_by, metadata=facts)
        LibraryTrial.objects.filter(id=id).update(
            state=_State.DONE, done=trial.total, finished_at=timezone.now(), touched_at=timezone.now(), counts=plain, ids=[]
        )
    trial.refresh_from_db()
    return trial


def _count(trial: LibraryTrial, told: Callable[[int, int], None] | None) -> Counts:
    before, after = flow.snapshot_of(trial.before), flow.snapshot_of(trial.library_id)
    policies, counts = _policies(), Counts()
    for done, read in enumerate(records.list_read(trial.ids), 1):
        if read.gone:
            counts.gone += 1
        elif read.content is None:
            counts.not_examined += 1
        else:
            counts.add(read.content, before, after, policies.get(read.service) or Policy())
        if done % _PROGRESS_EVERY == 0:
            LibraryTrial.objects.filter(id=trial.id).update(done=done, touched_at=timezone.now())
            if told is not None:
                told(done, trial.total)
    return counts


def settle_lost() -> None:
    """Mark runs that lost their process as not finished: their ids are forgotten and nothing of them is shown as a result."""
    lost = LibraryTrial.objects.filter(state=_State.RUNNING, touched_at__lt=timezone.now() - STALE)
    lost.update(state=_State.FAILED, finished_at=timezone.now(), ids=[])


def _policies() -> dict[str, Policy]:
    folder: DataFolder = settings.DATA_FOLDER
    bundle = load_bundle(folder.bundles, current_hash(folder.bundles), *load_accepted_public_keys(folder.keys))
    return {service.id: service.policy for service in bundle.services}


def _refuse(zh: str, en: str) -> None:
    raise GuijuError(TRIAL_REFUSED, reason_zh=zh, reason=en)
