"""Accounts by role: what each may and may not, names that are taken, weak passwords; disabled, enabled, given another password.

Guarded lines: `person.full_clean()` in `add_person`; `_end_sessions` in `disable_person` (the session would live again with the account) and in
`reset_password`; the comparison with `owners`, and `is_active=True` where they are looked for.
"""

import json
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from typer.testing import CliRunner

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.web.people import (
    LAST_OWNER,
    PASSWORD_REFUSED,
    PERSON_REFUSED,
    PERSON_SAME,
    PERSON_UNKNOWN,
    ROLE_UNKNOWN,
    ROLES,
    Person,
    add_person,
    disable_person,
    enable_person,
    list_people,
    reset_password,
)
from guiju.web.people_cli import app
from guiju.web.tests.rig import OWNER_PASSWORD, left

MAY = {
    "reader": {"records.view_record", "screening.view_libraryversion", "obligations.view_profile", "obligations.view_attestation", "supply.view_supply"},
    "officer": {
        "records.view_record", "records.open_record", "records.erase_subject", "records.set_hold", "records.close_gap",
        "screening.view_libraryversion", "screening.add_libraryversion", "screening.change_libraryversion",
        "policies.view_version", "policies.add_version", "policies.change_version",
        "obligations.view_profile", "obligations.view_attestation", "supply.view_supply", "obligations.add_profile", "obligations.add_attestation", "obligations.change_attestation", "supply.add_supply", "supply.change_supply",
    },
    "approver": {
        "records.view_record", "records.approve_opening", "records.approve_erasure",
        "screening.view_libraryversion", "screening.review_libraryversion",
        "policies.view_version", "policies.review_version",
        "obligations.view_profile", "obligations.view_attestation", "supply.view_supply", "obligations.sign_determination", "supply.decide_supply",
    },
    "reviewer": {"records.view_record", "review.view_item", "review.review_item"},
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_it_says_and_no_more(data: DataFolder, role: str) -> None:
    password = add_person("lin", role, "person:owner")
    person = User.objects.get(username="lin")
    assert person.check_password(password)
    assert person.get_all_permissions() == MAY[role]
    assert not person.is_superuser
    told = left(data)[-1]
    assert (told.kind, told.actor, told.metadata) == ("web.person.added", "person:owner", {"name": "lin", "role": role})
    assert password not in str(told)


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [("owner", "reader", OWNER_PASSWORD), ("", "reader", ""), ("a b", "reader", ""), ("lin", "king", ""), ("lin", "reader", "123")],
)
def test_what_cannot_be_is_refused(data: DataFolder, name: str, role: str, password: str) -> None:
    User.objects.create_superuser("owner", password=OWNER_PASSWORD)
    before = len(left(data))
    with pytest.raises(GuijuError) as told:
        add_person(name, role, "person:owner", password)
    assert told.value.code is (ROLE_UNKNOWN if role == "king" else PERSON_REFUSED)
    said = told.value.text("zh").replace("reader, officer, approver, reviewer", "").replace("“owner”", "").replace("“king”", "")
    assert told.value.text("en").isascii()
    assert not re.search("[a-z]{4}", said.replace("guiju people", "")), "each language by itself"
    assert role != "king" or "reader, officer, approver" in str(told.value)
    assert User.objects.count() == 1
    assert len(left(data)) == before


# ── disabled, enabled, another password ─────────────────────────────────────────────────────────────────────────────────


def signed_in(name: str, password: str) -> Client:
    client = Client()
    assert client.post("/console/sign-in/", {"name": name, "password": password}).status_code == 302
    assert sees(client)
    return client


def sees(client: Client) -> bool:
    status: int = client.get("/console/records/").status_code
    assert status in (200, 302)
    return status == 200


def told_last(data: DataFolder) -> tuple[str, str, object]:
    told = left(data)[-1]
    return told.kind, told.actor, told.metadata


def test_sessions_of_a_disabled_account_end_at_once_and_do_not_come_back(data: DataFolder, owner: Client) -> None:
    password = add_person("lin", "reader", "person:owner")
    here, there = signed_in("lin", password), signed_in("lin", password)
    assert disable_person("lin", "person:owner") == 2
    assert told_last(data) == ("web.person.disabled", "person:owner", {"name": "lin", "sessions": 2})
    assert not sees(here)
    assert Client().post("/console/sign-in/", {"name": "lin", "password": password}).status_code == 403
    enable_person("lin", "person:owner")
    assert told_last(data) == ("web.person.enabled", "person:owner", {"name": "lin"})
    assert not sees(there)
    signed_in("lin", password)
    assert sees(owner), "others go on"


def test_a_new_password_ends_the_sessions_of_the_old_one(data: DataFolder, owner: Client) -> None:
    old = add_person("lin", "reader", "person:owner")
    client = signed_in("lin", old)
    new = reset_password("lin", "person:owner")
    assert told_last(data) == ("web.password.reset", "person:owner", {"name": "lin", "sessions": 1})
    assert new not in str(left(data)[-1])
    assert not sees(client)
    assert Client().post("/console/sign-in/", {"name": "lin", "password": old}).status_code == 403
    assert reset_password("lin", "person:owner", "another long one") == "another long one"
    signed_in("lin", "another long one")
    assert sees(owner)
    assert Session.objects.count() == 2


def test_one_owner_always_stays(data: DataFolder) -> None:
    for name in ("first", "second"):
        User.objects.create_superuser(name, password=OWNER_PASSWORD)
    add_person("lin", "officer", "person:first")
    disable_person("first", "person:second")
    with pytest.raises(GuijuError) as told:
        disable_person("second", "person:second")
    assert told.value.code is LAST_OWNER
    assert "guiju people password second" in str(told.value)
    assert User.objects.get(username="second").is_active
    disable_person("lin", "person:second")
    enable_person("first", "person:second")
    disable_person("second", "person:first")
    assert [each.name for each in list_people() if each.active] == ["first"]


def test_what_cannot_be_changed_is_told_and_leaves_nothing(data: DataFolder, owner: Client) -> None:
    add_person("lin", "reader", "person:owner")
    before = len(left(data))
    for act, code in (
        (lambda: disable_person("nobody", "person:owner"), PERSON_UNKNOWN),
        (lambda: enable_person("nobody", "person:owner"), PERSON_UNKNOWN),
        (lambda: reset_password("nobody", "person:owner"), PERSON_UNKNOWN),
        (lambda: enable_person("lin", "person:owner"), PERSON_SAME),
        (lambda: reset_password("lin", "person:owner", "123"), PASSWORD_REFUSED),
    ):
        with pytest.raises(GuijuError) as told:
            act()
        assert told.value.code is code
    assert len(left(data)) == before
    disable_person("lin", "person:owner")
    with pytest.raises(GuijuError) as told:
        disable_person("lin", "person:owner")
    assert told.value.code is PERSON_SAME
    assert len(left(data)) == before + 1


def test_the_command_line_does_the_same(data: DataFolder, owner: Client, tmp_path: Path) -> None:
    def run(*words: str, given: str = "") -> str:
        done = CliRunner().invoke(app, [*words, "--data", str(data.root)], input=given, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "lin  officer  密码 password" in run("add", "lin", "--role", "officer")
    client = signed_in("lin", run("password", "lin").split()[-1])
    assert run("list").splitlines()[0].split("\t")[:3] == ["lin", "officer", "可用 active"]
    assert "1 sessions ended" in run("disable", "lin", "--actor", "person:wu")
    assert told_last(data)[1] == "person:wu"
    assert not sees(client)
    shown = json.loads(run("list", "--json"))
    assert [(each["name"], each["role"], each["active"]) for each in shown] == [("lin", "officer", False), ("owner", "owner", True)]
    run("enable", "lin")
    told = run("password", "lin", "--ask", given="typed in twice\ntyped in twice\n")
    assert "typed" not in told
    signed_in("lin", "typed in twice")
    (tmp_path / "given").write_text("from a file, long\n")
    assert "from" not in run("password", "lin", "--password-file", str(tmp_path / "given"))
    signed_in("lin", "from a file, long")
    (tmp_path / "given").write_text("\n")
    assert CliRunner().invoke(app, ["password", "lin", "--password-file", str(tmp_path / "given"), "--data", str(data.root)]).exit_code == 2


def test_permissions_of_no_role_are_called_none(data: DataFolder) -> None:
    User.objects.create_user("wu", password=OWNER_PASSWORD)
    assert list_people() == [Person("wu", "", True, None)]
