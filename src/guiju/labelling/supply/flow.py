"""Supply without the explicit label: ask, decide, end; each leaves its record, each change checks the state before it.

Source: Labelling Measures Arts. 8 and 9 (an agreement that fixes the user's duty, the log of the recipient for six months); the rest is ours.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from hashlib import sha256
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.core.keys import load_pseudonym_key
from guiju.core.layout import DataFolder
from guiju.core.pseudonyms import pseudonym_of
from guiju.gateway.bundle import Waiver
from guiju.labelling.supply.models import Supply
from guiju.records import flow as records
from guiju.services.flow import settings_now

State = Supply.State
PURPOSE_LEAST: Final = 10
TEXT_CHARACTERS: Final = 200
PURPOSE_CHARACTERS: Final = 2_000
AGREEMENT_LIMIT_BYTES: Final = 8 * 2**20
LONGEST_DAYS: Final = 366

SUPPLY_INVALID = define(
    "SUPPLY-INVALID",
    status=400,
    kind="invalid_request_error",
    zh=Text(
        "不加显式标识的申请有误：{reason_zh}。",
        "没有保存，标识照常添加。",
        "须有对象、身份核验、已接受的协议、不少于 10 字的用途和天数，请补齐后重试。",
    ),
    en=Text(
        "The request for supply without the explicit label has a mistake: {reason}.",
        "It was not kept; labels are added as before.",
        "It needs the recipient, where the identity was verified, the agreement accepted, a purpose of 10 characters or more, and days; complete it and try again.",
    ),
)
SUPPLY_OWN = define(
    "SUPPLY-OWN",
    status=403,
    kind="permission_error",
    zh=Text("申请 {id} 由您本人提出。", "没有改动。", "请由另一位有权决定的人处理。"),
    en=Text("You entered the request {id} yourself.", "Nothing was changed.", "Let another person with the right to decide do it."),
)
SUPPLY_MOVED = define(
    "SUPPLY-MOVED",
    status=409,
    kind="invalid_request_error",
    zh=Text("申请 {id} 不存在，或已不在可这样处理的状态。", "没有改动。", "请刷新页面。"),
    en=Text(
        "The request {id} is not there, or no longer in a state in which this can be done.", "Nothing was changed.", "Reload the page."
    ),
)


def ask(
    service: str,
    user: str,
    *,
    identity: str,
    agreement: bytes,
    agreement_version: str,
    accepted_on: date,
    purpose: str,
    days: int,
    actor: str,
) -> Supply:
    """Keep a recipient's request as asked and leave `labelling.supply.asked`. `user` is the identifier that the service uses; its pseudonym is kept.

    Raises SUPPLY-INVALID: no such service, no identifier, identity or version, no document or one of more than 8 MiB, an acceptance in the future, a purpose of
    fewer than 10 characters, days outside 1 to 366.
    """
    today = timezone.now().astimezone(BEIJING).date()
    problem = next(
        (
            each
            for wrong, each in (
                (service not in {one.id for one in settings_now().services}, ("没有这项服务", "there is no such service")),
                (not user.strip(), ("没有对象", "no recipient")),
                (not identity.strip(), ("没有身份核验", "no verified identity")),
                (not agreement_version.strip(), ("没有协议版本", "no version of the agreement")),
                (
                    not agreement or len(agreement) > AGREEMENT_LIMIT_BYTES,
                    ("没有协议文件，或超过 8 MiB", "no agreement, or more than 8 MiB"),
                ),
                (accepted_on > today, ("接受日期在将来", "the agreement was accepted in the future")),
                (
                    not PURPOSE_LEAST <= len(purpose.strip()) <= PURPOSE_CHARACTERS,
                    ("用途须为 10 至 2000 字", "the purpose has 10 to 2,000 characters"),
                ),
                (not 1 <= days <= LONGEST_DAYS, ("天数须为 1 至 366", "1 to 366 days")),
            )
            if wrong
        ),
        None,
    )
    if problem:
        raise GuijuError(SUPPLY_INVALID, reason=problem[1], reason_zh=problem[0])
    folder: DataFolder = settings.DATA_FOLDER
    with transaction.atomic():
        supply = Supply.objects.create(
            id=new_id(),
            service=service,
            subject=pseudonym_of(load_pseudonym_key(folder.keys), service, user.strip()),
            identity=identity.strip()[:TEXT_CHARACTERS],
            agreement_version=agreement_version.strip()[:TEXT_CHARACTERS],
            agreement_sha256=sha256(agreement).hexdigest(),
            agreement=agreement,
            accepted_on=accepted_on,
            purpose=purpose.strip(),
            days=days,
            asked_by=actor,
            asked_at=timezone.now(),
        )
        _leave(
            "asked",
            supply,
            actor,
            agreement=supply.agreement_version,
            agreement_sha256=supply.agreement_sha256,
            accepted_on=accepted_on.isoformat(),
            purpose=supply.purpose,
            days=days,
        )
    return supply


def count_to_decide(actor: str) -> int:
    """Return how many requests wait for somebody other than the actor, who entered none of them."""
    return Supply.objects.filter(state=State.ASKED).exclude(asked_by=actor).count()


def decide(id: str, *, grant: bool, reason: str, actor: str) -> Supply:  # the name that callers and pages use
    """Grant or refuse what somebody else asked for; leave `labelling.supply.granted` or `.refused`. A grant counts once a bundle is published.

    Raises SUPPLY-MOVED for one that is not waiting, SUPPLY-OWN for one's own.
    """
    now = timezone.now()
    with transaction.atomic():
        supply = _waiting(id)
        if supply.asked_by == actor:
            raise GuijuError(SUPPLY_OWN, id=id)
        changed = Supply.objects.filter(id=id, state=State.ASKED).update(
            state=State.GRANTED if grant else State.REFUSED,
            decided_by=actor,
            decided_at=now,
            decided_reason=reason.strip()[:TEXT_CHARACTERS],
            expires_at=now + timedelta(days=supply.days) if grant else None,
        )
        if not changed:
            raise GuijuError(SUPPLY_MOVED, id=id)
        supply.refresh_from_db()
        facts = {"until": supply.expires_at.isoformat(timespec="seconds")} if supply.expires_at else {}
        _leave("granted" if grant else "refused", supply, actor, reason=supply.decided_reason, **facts)
    return supply


def end(id: str, *, actor: str) -> Supply:  # the name that callers and pages use
    """End a grant before its day; leave `labelling.supply.ended`. It counts once a bundle is published. Raises SUPPLY-MOVED."""
    with transaction.atomic():
        if not Supply.objects.filter(id=id, state=State.GRANTED).update(state=State.ENDED, ended_by=actor, ended_at=timezone.now()):
            raise GuijuError(SUPPLY_MOVED, id=id)
        supply = Supply.objects.defer("agreement").get(id=id)
        _leave("ended", supply, actor)
    return supply


def list_supplies(limit: int) -> list[Supply]:
    """Return the newest cases, without their agreements."""
    return list(Supply.objects.defer("agreement")[:limit])


def grants_of(service: str, ids: Iterable[str]) -> dict[str, Supply]:
    """Return the cases of a service among these that were granted, ended ones too, without their agreements."""
    found = Supply.objects.defer("agreement").filter(service=service, id__in=list(ids), state__in=(State.GRANTED, State.ENDED))
    return {each.id: each for each in found}


def agreement_of(id: str) -> Supply:  # the name that callers and pages use
    """Return a case with its agreement. Raises SUPPLY-MOVED when there is none."""
    found = Supply.objects.filter(id=id).first()
    if found is None:
        raise GuijuError(SUPPLY_MOVED, id=id)
    return found


def live_waivers() -> tuple[Waiver, ...]:
    """Return what the gateway may act on: the grants whose day has not passed."""
    found = Supply.objects.filter(state=State.GRANTED, expires_at__gt=timezone.now()).order_by("id")
    return tuple(
        Waiver(
            id=each.id,
            service=each.service,
            subject=each.subject,
            agreement=each.agreement_version,
            until_s=int(each.expires_at.timestamp()),
        )
        for each in found.defer("agreement")
        if each.expires_at is not None
    )


def _waiting(id: str) -> Supply:
    found = Supply.objects.defer("agreement").filter(id=id, state=State.ASKED).first()
    if found is None:
        raise GuijuError(SUPPLY_MOVED, id=id)
    return found


def _leave(what: str, supply: Supply, actor: str, **facts: Any) -> None:
    records.append(
        kind=f"labelling.supply.{what}",
        actor=actor,
        service=supply.service,
        subject=supply.subject,
        metadata={"supply": supply.id, **facts},
    )
