"""What may be done with versions of policies and approved answers, by whom, from which state; each step leaves its record.

Where `screening.policy_people` is 2, a version is reviewed by somebody who did not make it before it can be put in force. Each change checks
the old state in the same update; of two who put versions in force at once, the second is told that something else is in force now.
Source: Measures Arts. 4, 10, 14.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction

from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.gateway.bundle import Service
from guiju.records import flow as records
from guiju.screening.answers.bank import Bank, read_bank
from guiju.screening.policies.models import Version
from guiju.screening.table import Mistake, body_of, mistakes_of, read_body, read_row, version_of
from guiju.screening.values import AUDIENCES, Audience, Policy, PolicyRow

POLICY_INVALID = define(
    "POLICY-INVALID",
    status=400,
    kind="invalid_request_error",
    zh=Text("策略表有 {count} 处错误：{summary_zh}。", "没有保存草稿，正在使用的策略不变。", "请按行号改正后重新保存。"),
    en=Text(
        "The policy table has {count} mistakes: {summary}.",
        "No draft was kept; the policy in force is unchanged.",
        "Correct the rows named and save it again.",
    ),
)
VERSION_UNKNOWN = define(
    "VERSION-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有编号为 {id} 的版本。", "什么也没有改动。", "请刷新页面后再选。"),
    en=Text("There is no version with the id {id}.", "Nothing was changed.", "Reload the page and choose again."),
)
VERSION_OWN = define(
    "VERSION-OWN",
    status=403,
    kind="permission_error",
    zh=Text("版本 {version} 由您本人编制。", "版本未经复核，状态不变。", "请由另一位有复核权限的人处理。"),
    en=Text(
        "You made version {version} yourself.",
        "It was not reviewed; its state is unchanged.",
        "Let another person with the right to review it.",
    ),
)
VERSION_NOT_REVIEWED = define(
    "VERSION-NOT-REVIEWED",
    status=409,
    kind="invalid_request_error",
    zh=Text("版本 {version} 尚未由另一人复核。", "没有启用，正在使用的版本不变。", "请有复核权限的另一人先复核。"),
    en=Text(
        "Nobody else has reviewed version {version} yet.",
        "It was not put in force; what is in force stays.",
        "Let another person with the right to review it first.",
    ),
)
VERSION_MOVED = define(
    "VERSION-MOVED",
    status=409,
    kind="invalid_request_error",
    zh=Text("其间情况已变：{found}。", "您的操作没有执行，现状不变。", "请刷新页面，看过差异再操作。"),
    en=Text(
        "Something changed meanwhile: {found}.",
        "What you asked for was not done; all is as it is now.",
        "Reload the page, look at the difference, then decide again.",
    ),
)
VERSION_REASON = define(
    "VERSION-REASON",
    status=400,
    kind="invalid_request_error",
    zh=Text("回退或停用需要写明理由。", "没有改动，正在使用的版本不变。", "请写明理由后再操作。"),
    en=Text(
        "Going back to a version, or retiring it, needs a reason.",
        "Nothing was changed; what is in force stays.",
        "Give a reason and do it again.",
    ),
)
REASON_CHARACTERS: Final = 200
Subject, State = Version.Subject, Version.State


# ── drafts ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def draft_policy(service: str, rows: Sequence[str], default_audience: str, name: str, actor: str) -> Version:
    """Keep a table for a service as a draft; leave `screening.policy.drafted`. An equal one that is kept is returned as it is.

    Raises POLICY-INVALID with every mistake and its row (counted from 1); nothing is kept then.
    """
    read = [read_row(text) for text in rows]
    table = tuple(row for row in read if isinstance(row, PolicyRow))
    mistakes = [row._replace(place=place) for place, row in enumerate(read) if isinstance(row, Mistake)] or mistakes_of(table)
    if default_audience not in AUDIENCES:
        mistakes = [Mistake(-1, "默认读者不是其中之一", "the default audience is none of them"), *mistakes]
    if not table and not mistakes:
        mistakes = [Mistake(-1, "一行也没有", "it has no row")]
    if mistakes:
        raise GuijuError(
            POLICY_INVALID,
            count=len(mistakes),
            summary="; ".join(f"row {each.place + 1}: {each.en}" for each in mistakes[:3]),
            summary_zh="；".join(f"第 {each.place + 1} 行{each.zh}" for each in mistakes[:3]),
            problems=tuple(mistakes),
        )
    audience: Audience = default_audience  # type: ignore[assignment]  # looked up above
    return _draft(Subject.POLICY, service, version_of(table, audience), name, body_of(table, audience), len(table), actor)


def draft_answers(name: str, raw: bytes, actor: str) -> Version:
    """Keep a bank of approved answers as a draft; leave `screening.answers.drafted`. Raises ANSWERS-INVALID."""
    bank = read_bank(name, raw)
    return _draft(Subject.ANSWERS, "", bank.version, name, bank.csv, len(bank.rows), actor)


def _draft(subject: Version.Subject, service: str, version: str, name: str, body: bytes, rows: int, actor: str) -> Version:
    facts = {"id": new_id(), "name": name[:200], "body": body, "rows": rows, "made_by": actor, "made_at": datetime.now(UTC)}
    with transaction.atomic():
        kept, created = Version.objects.get_or_create(subject=subject, service=service, version=version, defaults=facts)
        if created:
            _leave(kept, "drafted", actor, rows=rows, name=name[:200])
    return kept


# ── review, in force, retired ───────────────────────────────────────────────────────────────────────────────────────────


def review(id: str, actor: str) -> Version:
    """Say that a version was looked at by somebody who did not make it; leave `…reviewed`.

    Raises VERSION-UNKNOWN, VERSION-OWN, and VERSION-MOVED where it is no draft any more.
    """
    kept = get_version(id)
    if kept.made_by == actor:
        raise GuijuError(VERSION_OWN, version=kept.version[:12])
    with transaction.atomic():
        draft = Version.objects.filter(id=id, reviewed_by="", state__in=(State.DRAFT, State.RETIRED))
        if not draft.update(reviewed_by=actor, reviewed_at=datetime.now(UTC)):
            raise _moved(id)
        Version.objects.filter(id=id, state=State.DRAFT).update(state=State.REVIEWED)
        _leave(kept, "reviewed", actor, made_by=kept.made_by)
    return get_version(id)


def activate(id: str, actor: str, before: str, reason: str = "") -> Version:
    """Put a version in force in place of `before` (the id of what the person saw in force, or empty); leave `…activated`; publish.

    A version that was in force once needs a reason: that is a roll-back. Raises VERSION-UNKNOWN, VERSION-NOT-REVIEWED, VERSION-REASON, and
    VERSION-MOVED for whoever comes second. When publishing fails, its error is raised, the choice stays, and `guiju publish` puts it in force.
    """
    reason = reason.strip()[:REASON_CHARACTERS]
    try:
        with transaction.atomic():
            kept = get_version(id)
            if settings.SITE.screening.policy_people == 2 and not kept.reviewed_by:
                raise GuijuError(VERSION_NOT_REVIEWED, version=kept.version[:12])
            if kept.state == State.RETIRED and not reason:
                raise GuijuError(VERSION_REASON)
            retired = Version.objects.filter(subject=kept.subject, service=kept.service, state=State.ACTIVE).exclude(id=id)
            if set(retired.values_list("id", flat=True)) != {before} - {""}:
                raise _moved(id)
            if retired.update(state=State.RETIRED) != len({before} - {""}):
                raise _moved(id)
            ready = Version.objects.filter(id=id, state=kept.state).exclude(state=State.ACTIVE)
            if not ready.update(state=State.ACTIVE, activated_by=actor, activated_at=datetime.now(UTC)):
                raise _moved(id)
            old = Version.objects.filter(id=before).first()
            facts = {"before": old.version if old else "", "made_by": kept.made_by, "reviewed_by": kept.reviewed_by}
            _leave(kept, "activated", actor, **facts, **({"reason": reason, "back": True} if kept.state == State.RETIRED else {}))
    except IntegrityError:  # somebody else's came into force between our look and our update
        raise _moved(id) from None
    _publish(actor)
    return get_version(id)


def retire(id: str, actor: str, reason: str) -> Version:
    """Take a version out of force with none in its place: the settings file counts again. Leaves `…retired`; publishes.

    Raises VERSION-UNKNOWN, VERSION-REASON, and VERSION-MOVED where it is not in force.
    """
    reason = reason.strip()[:REASON_CHARACTERS]
    if not reason:
        raise GuijuError(VERSION_REASON)
    kept = get_version(id)
    with transaction.atomic():
        if not Version.objects.filter(id=id, state=State.ACTIVE).update(state=State.RETIRED):
            raise _moved(id)
        _leave(kept, "retired", actor, reason=reason)
    _publish(actor)
    return get_version(id)


def _moved(id: str) -> GuijuError:
    kept = Version.objects.filter(id=id).first()
    return GuijuError(VERSION_MOVED, found=f"{kept.version[:12]} {kept.state}" if kept else "–")


def _leave(kept: Version, step: str, actor: str, **facts: object) -> None:
    metadata = {"version": kept.version, **facts}
    records.append(kind=f"screening.{kept.subject}.{step}", actor=actor, service=kept.service, metadata=metadata)


def _publish(actor: str) -> None:
    from guiju.services import flow as services  # here, because publishing reads what is in force from this module

    services.publish(actor=actor)


# ── what is there ───────────────────────────────────────────────────────────────────────────────────────────────────────


def get_version(id: str) -> Version:
    """Return a version without its body. Raises VERSION-UNKNOWN."""
    kept = Version.objects.defer("body").filter(id=id).first()
    if kept is None:
        raise GuijuError(VERSION_UNKNOWN, id=id[:26])
    return kept


def find_active(subject: str, service: str = "") -> Version | None:
    """Return the version in force, without its body; None where there is none."""
    return Version.objects.defer("body").filter(subject=subject, service=service, state=State.ACTIVE).first()


def list_versions(subject: str, service: str = "") -> list[Version]:
    """Return the versions, newest first, without their bodies."""
    return list(Version.objects.defer("body").filter(subject=subject, service=service)[:50])


def table_of(id: str) -> tuple[tuple[PolicyRow, ...], Audience]:
    """Return the table of a policy's version. Raises VERSION-UNKNOWN."""
    kept = Version.objects.filter(id=id, subject=Subject.POLICY).first()
    if kept is None:
        raise GuijuError(VERSION_UNKNOWN, id=id[:26])
    return read_body(bytes(kept.body))


def with_table(policy: Policy, rows: tuple[PolicyRow, ...], default_audience: Audience) -> Policy:
    """Return the policy with this table in place of the one of the settings: of `rows`, `on_input`, `on_output`, `default_audience` none stays."""
    plain, version = Policy(), version_of(rows, default_audience)
    table = {"rows": rows, "default_audience": default_audience, "on_input": plain.on_input, "on_output": plain.on_output}
    return msgspec.structs.replace(policy, version=version, **table)


def with_policies(services: Sequence[Service]) -> tuple[Service, ...]:
    """Return services with the tables that are in force for them; the others as they are."""
    active = {each.service: each for each in Version.objects.filter(subject=Subject.POLICY, state=State.ACTIVE)}
    return tuple(
        msgspec.structs.replace(each, policy=with_table(each.policy, *read_body(bytes(active[each.id].body))))
        if each.id in active
        else each
        for each in services
    )


def active_bank() -> Bank | None:
    """Return the bank of approved answers in force; None where there is none."""
    active = find_active(Subject.ANSWERS)
    return bank_of(active.version) if active is not None else None


@lru_cache(maxsize=2)
def bank_of(version: str) -> Bank:
    """Return the bank of one kept version; content-hashed, so it may be remembered."""
    return read_bank("bank.csv", bytes(Version.objects.get(subject=Subject.ANSWERS, version=version).body))
