"""Accounts by role: what each may and may not, names that are taken, weak passwords.

Guarded line: `person.full_clean()` in `add_person`.
"""

import pytest
from django.contrib.auth.models import User

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.web.people import PERSON_REFUSED, ROLE_UNKNOWN, ROLES, add_person
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
    assert role != "king" or "reader, officer, approver" in str(told.value)
    assert User.objects.count() == 1
    assert len(left(data)) == before
