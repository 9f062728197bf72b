"""The page of services and keys: a key is shown once, counts at once, and is gone for good when revoked."""

import hashlib

from django.test import Client

from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.gateway.bundle import Bundle, current_hash, load_bundle
from guiju.services.models import ApiKey
from guiju.web.tests.rig import left

HOSTILE = '"><script>alert(1)</script>'


def _bundle(data: DataFolder) -> Bundle:
    return load_bundle(data.bundles, current_hash(data.bundles), load_site_public_key(data.keys))


def test_a_key_is_shown_once_and_is_in_force(owner: Client, data: DataFolder) -> None:
    response = owner.post("/console/services/keys/create/", {"service": "chat", "label": "手机应用"})
    secret = response.context["secret"]
    assert response.content.decode().count(secret) == 1
    assert secret not in owner.get("/console/services/").content.decode()
    assert hashlib.sha256(secret.encode()).digest() in {key.sha256 for key in _bundle(data).keys}
    kinds = [(entry.kind, entry.actor) for entry in left(data)]
    assert ("services.key.created", "person:owner") in kinds
    assert secret not in str([entry.metadata for entry in left(data)])


def test_a_revoked_key_stays_listed_and_is_revoked_in_the_bundle(owner: Client, data: DataFolder) -> None:
    owner.post("/console/services/keys/create/", {"service": "chat", "label": "x"})
    key = ApiKey.objects.get()
    owner.post(f"/console/services/keys/{key.id}/revoke/")
    assert [each.revoked for each in _bundle(data).keys] == [True]
    html = owner.get("/console/services/").content.decode()
    assert "已撤销" in html
    assert f"/keys/{key.id}/revoke/" not in html
    assert [entry.kind for entry in left(data)].count("services.key.revoked") == 1
    owner.post(f"/console/services/keys/{key.id}/revoke/")
    assert [entry.kind for entry in left(data)].count("services.key.revoked") == 1


def test_an_unknown_service_or_key_is_a_page_in_three_parts(owner: Client) -> None:
    made = owner.post("/console/services/keys/create/", {"service": "no-such", "label": "x"})
    assert (made.status_code, ApiKey.objects.count()) == (404, 0)
    assert "SERVICE-UNKNOWN" in made.content.decode()
    assert "API-KEY-UNKNOWN" in owner.post("/console/services/keys/000000/revoke/").content.decode()


def test_hostile_labels_stay_text(owner: Client) -> None:
    html = owner.post("/console/services/keys/create/", {"service": "chat", "label": HOSTILE}).content.decode()
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert") >= 2


def test_looking_is_not_changing(data: DataFolder) -> None:
    from django.contrib.auth.models import Permission, User

    reader = User.objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client = Client()
    client.force_login(reader)
    assert client.get("/console/services/").status_code == 200
    assert client.post("/console/services/keys/create/", {"service": "chat", "label": "x"}).status_code == 404
    assert ApiKey.objects.count() == 0
