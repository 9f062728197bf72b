"""Accounts of the people who work in the console, by role; the owner of the first start may do everything.

An account is never removed, records name it; it is disabled, which ends its sessions at once. Of the owners one always stays.

| role | may |
|---|---|
| reader | read records without their content, the board, and keyword libraries |
| officer | and open, search, export, ask to erase, set and lift holds, close gaps; import libraries, draft policies and approved answers, and put them in force; answer service profiles, attest duties; enter and end supplies without the explicit label |
| approver | and approve what others ask for; sign scope determinations, decide on supplies without the explicit label; review libraries, policies and approved answers |
| reviewer | read records without their content, and review what screening did |
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.models import Permission
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.db import transaction

from guiju.core.errors import GuijuError, Text, define
from guiju.records import flow as records
from guiju.web.objections import objections

PERSON_REFUSED = define(
    "PERSON-REFUSED",
    status=400,
    kind="invalid_request_error",
    zh=Text("无法为“{name}”创建账号：{reason_zh}", "没有创建或改动任何账号。", "请换一个名称或密码再试；不给密码则自动生成。"),
    en=Text(
        "No account could be made for '{name}': {reason}",
        "No account was made or changed.",
        "Try another name or password; without one, a password is generated.",
    ),
)
ROLE_UNKNOWN = define(
    "ROLE-UNKNOWN",
    status=400,
    kind="invalid_request_error",
    zh=Text("没有名为“{role}”的角色。", "没有创建或改动任何账号。", "请用其中之一：{roles}。"),
    en=Text("There is no role '{role}'.", "No account was made or changed.", "Use one of these: {roles}."),
)

PERSON_UNKNOWN = define(
    "PERSON-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有名为“{name}”的账号。", "没有改动任何账号。", "请用 guiju people list 查看有哪些账号。"),
    en=Text("There is no account '{name}'.", "No account was changed.", "guiju people list shows the accounts there are."),
)
PERSON_SAME = define(
    "PERSON-SAME",
    status=409,
    kind="invalid_request_error",
    zh=Text("账号“{name}”原已{state_zh}。", "没有改动任何账号，也没有留下记录。", "无需处理。"),
    en=Text("The account '{name}' is {state_en} already.", "No account was changed, and no record was left.", "Nothing needs doing."),
)
LAST_OWNER = define(
    "LAST-OWNER",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "“{name}”是最后一个可用的所有者账号，不能停用。",
        "没有改动任何账号。",
        "若怀疑密码泄露，请用 guiju people password {name} 重设，原有会话随之结束。",
    ),
    en=Text(
        "'{name}' is the last owner's account in use and cannot be disabled.",
        "No account was changed.",
        "If its password may be known to others, reset it with guiju people password {name}, which ends its sessions.",
    ),
)
PASSWORD_REFUSED = define(
    "PASSWORD-REFUSED",
    status=400,
    kind="invalid_request_error",
    zh=Text("给“{name}”的新密码不能用：{reason_zh}", "原密码不变，会话不受影响。", "请换一个密码再试；不给密码则自动生成。"),
    en=Text(
        "The new password for '{name}' cannot be used: {reason}",
        "The old password stays, and so do the sessions.",
        "Try another one; without one, a password is generated.",
    ),
)

_READ: Final = (
    "records.view_record",
    "screening.view_libraryversion",
    "obligations.view_profile",
    "obligations.view_attestation",
    "supply.view_supply",
)
_RECORDS: Final = ("records.open_record", "records.erase_subject", "records.set_hold", "records.close_gap")
_POLICIES: Final = ("policies.view_version", "policies.add_version", "policies.change_version")
_DUTIES: Final = (
    "obligations.add_profile",
    "obligations.add_attestation",
    "obligations.change_attestation",
    "supply.add_supply",
    "supply.change_supply",
)
_WORK: Final = (*_READ, *_DUTIES, *_RECORDS, *_POLICIES, "screening.add_libraryversion", "screening.change_libraryversion")
_SECOND: Final = ("policies.view_version", "policies.review_version")
_APPROVE: Final = (
    *_READ,
    "records.approve_opening",
    "records.approve_erasure",
    "screening.review_libraryversion",
    "obligations.sign_determination",
    "supply.decide_supply",
    *_SECOND,
)
_REVIEW: Final = ("records.view_record", "review.view_item", "review.review_item")
ROLES: Final = {"reader": _READ, "officer": _WORK, "approver": _APPROVE, "reviewer": _REVIEW}


@dataclass(frozen=True, slots=True)
class Person:
    """An account as lists show it. `role` is `owner`, one of `ROLES`, or empty where its permissions are those of no role."""

    name: str
    role: str
    active: bool
    signed_in_at: datetime | None


def list_people() -> list[Person]:
    """Return the accounts by name."""
    found = get_user_model().objects.order_by("username")
    return [Person(each.get_username(), _role_of(each), each.is_active, each.last_login) for each in found]


def _role_of(person: Any) -> str:
    if person.is_superuser:
        return "owner"
    held = {f"{each.content_type.app_label}.{each.codename}" for each in person.user_permissions.select_related("content_type")}
    return next((role for role, permissions in ROLES.items() if held == set(permissions)), "")


def disable_person(name: str, actor: str) -> int:
    """Disable an account and leave `web.person.disabled`; return how many sessions ended with it.

    Raises PERSON-UNKNOWN, PERSON-SAME, and LAST-OWNER for the only owner who may still sign in.
    """
    with transaction.atomic():
        people = get_user_model().objects.select_for_update()
        owners = [
            each.pk for each in people.filter(is_superuser=True, is_active=True).order_by("pk")
        ]  # locked: two could disable each other
        person = _get(name)
        if not person.is_active:
            raise GuijuError(PERSON_SAME, name=name, state_zh="停用", state_en="disabled")
        if owners == [person.pk]:
            raise GuijuError(LAST_OWNER, name=name)
        person.is_active = False
        person.save(update_fields=["is_active"])
        ended = _end_sessions(person)
        records.append(kind="web.person.disabled", actor=actor, metadata={"name": name, "sessions": ended})
    return ended


def enable_person(name: str, actor: str) -> None:
    """Let an account that was disabled sign in again, with its old password, and leave `web.person.enabled`.

    Raises PERSON-UNKNOWN, PERSON-SAME.
    """
    with transaction.atomic():
        person = _get(name)
        if person.is_active:
            raise GuijuError(PERSON_SAME, name=name, state_zh="启用", state_en="enabled")
        person.is_active = True
        person.save(update_fields=["is_active"])
        records.append(kind="web.person.enabled", actor=actor, metadata={"name": name})


def reset_password(name: str, actor: str, password: str = "") -> str:
    """Give an account a new password, end its sessions, leave `web.password.reset`, and return the password.

    Raises PERSON-UNKNOWN, and PASSWORD-REFUSED for a weak password.
    """
    chosen = password or secrets.token_urlsafe(15)
    with transaction.atomic():
        person = _get(name)
        against = objections(lambda: validate_password(chosen, person))
        if against:
            raise GuijuError(PASSWORD_REFUSED, name=name, **against)
        person.set_password(chosen)
        person.save(update_fields=["password"])
        records.append(kind="web.password.reset", actor=actor, metadata={"name": name, "sessions": _end_sessions(person)})
    return chosen


def _get(name: str) -> Any:
    person = get_user_model().objects.select_for_update().filter(username=name).first()
    if person is None:
        raise GuijuError(PERSON_UNKNOWN, name=name)
    return person


def _end_sessions(person: Any) -> int:
    """Remove the sessions of an account, so that none of them lives again with it; return how many there were."""
    theirs = [each.pk for each in Session.objects.iterator() if each.get_decoded().get(SESSION_KEY) == str(person.pk)]
    return Session.objects.filter(pk__in=theirs).delete()[0]


def add_person(name: str, role: str, actor: str, password: str = "") -> str:
    """Make an account with the permissions of its role, leave `web.person.added`, and return its password.

    Raises ROLE-UNKNOWN, and PERSON-REFUSED for a name that is taken or no name and for a weak password.
    """
    people = get_user_model()
    chosen = password or secrets.token_urlsafe(15)
    if role not in ROLES:
        raise GuijuError(ROLE_UNKNOWN, role=role, roles=", ".join(ROLES))
    with transaction.atomic():
        person = people(username=name)
        person.set_password(chosen)
        against = objections(person.full_clean) or objections(lambda: validate_password(chosen, person))
        if against:
            raise GuijuError(PERSON_REFUSED, name=name, **against)
        person.save()
        for permission in ROLES[role]:
            app, codename = permission.split(".")
            person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        records.append(kind="web.person.added", actor=actor, metadata={"name": name, "role": role})
    return chosen
