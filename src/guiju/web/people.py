"""Accounts of the people who work in the console, by role; the owner of the first start may do everything.

| role | may |
|---|---|
| reader | read records without their content, the board, and keyword libraries |
| officer | and open, search, export, ask to erase, set and lift holds, close gaps; import libraries, draft policies and approved answers, and put them in force; answer service profiles, attest duties; enter and end supplies without the explicit label |
| approver | and approve what others ask for; sign scope determinations, decide on supplies without the explicit label; review libraries, policies and approved answers |
| reviewer | read records without their content, and review what screening did |
"""

import secrets
from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import translation

from guiju.core.errors import GuijuError, Text, define
from guiju.records import flow as records

PERSON_REFUSED = define(
    "PERSON-REFUSED",
    status=400,
    kind="invalid_request_error",
    zh=Text("无法为“{name}”创建账号：{reason}", "没有创建或改动任何账号。", "请换一个名称或密码再试；不给密码则自动生成。"),
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


def add_person(name: str, role: str, actor: str, password: str = "") -> str:
    """Make an account with the permissions of its role, leave `web.person.added`, and return its password.

    Raises ROLE-UNKNOWN, and PERSON-REFUSED for a name that is taken or no name and for a weak password.
    """
    people = get_user_model()
    chosen = password or secrets.token_urlsafe(15)
    if role not in ROLES:
        raise GuijuError(ROLE_UNKNOWN, role=role, roles=", ".join(ROLES))
    with transaction.atomic(), translation.override("zh-hans"):
        person = people(username=name)
        person.set_password(chosen)
        try:
            person.full_clean()
            validate_password(chosen, person)
        except ValidationError as problem:
            raise GuijuError(PERSON_REFUSED, name=name, reason=" ".join(problem.messages)) from None
        person.save()
        for permission in ROLES[role]:
            app, codename = permission.split(".")
            person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        records.append(kind="web.person.added", actor=actor, metadata={"name": name, "role": role})
    return chosen
