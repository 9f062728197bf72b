"""Who sees what: every console address is guarded, every page carries the headers, sign-in is slow to guess at."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from guiju.core.layout import DataFolder
from guiju.web import signin
from guiju.web.middleware import HEADERS
from guiju.web.models import RefusedSignIn
from guiju.web.tests.rig import OWNER_PASSWORD, left, tags_of

OPEN = {"portal", "law", "law-duty", "label-keys", "language", "sign-in", "sign-out", "verify", "verify-proof", "verify-api"}
PAGES = ["/console/", "/console/records/", "/console/records/requests/", "/console/keywords/", "/console/services/", "/console/try/"]


def _patterns(resolver: URLResolver, before: str = "") -> list[tuple[str, URLPattern]]:
    found: list[tuple[str, URLPattern]] = []
    for each in resolver.url_patterns:
        at = before + str(each.pattern)
        found += _patterns(each, at) if isinstance(each, URLResolver) else [(at, each)]
    return found


def test_every_view_but_the_open_ones_asks_for_a_permission() -> None:
    # Guarded line: `guarded.permission = …` in access.needs, and the decorator on each view.
    unguarded = [at for at, each in _patterns(get_resolver()) if each.name not in OPEN and not getattr(each.callback, "permission", "")]
    assert unguarded == []


def test_every_permission_exists(db: None) -> None:
    from django.contrib.auth.models import Permission

    known = {f"{each.content_type.app_label}.{each.codename}" for each in Permission.objects.select_related("content_type")}
    asked = {getattr(each.callback, "permission", "") for _, each in _patterns(get_resolver())} - {""}
    assert asked
    assert asked <= known


@pytest.mark.parametrize("page", PAGES)
def test_nobody_signed_in_meets_the_sign_in_page(anybody: Client, page: str) -> None:
    response = anybody.get(page)
    assert response.status_code == 302
    assert response.headers["Location"] == f"/console/sign-in/?next={page}"


def test_a_partial_page_reloads_into_the_sign_in_page(anybody: Client) -> None:
    response = anybody.get("/console/records/", headers={"HX-Request": "true"})
    assert response.headers["HX-Refresh"] == "true"
    assert response.content == b""


@pytest.mark.parametrize("page", PAGES)
def test_the_stranger_is_not_told_that_a_page_exists(stranger: Client, page: str) -> None:
    missing = stranger.get("/console/no-such-page/")
    hidden = stranger.get(page)
    assert hidden.status_code == missing.status_code == 404
    assert "概览" not in hidden.content.decode()


@pytest.mark.parametrize("page", ["/", "/console/sign-in/", *PAGES, "/console/no-such-page/", "/static/web/console.css", "/language/"])
def test_every_answer_carries_the_headers(owner: Client, page: str) -> None:
    response = owner.get(page)
    response.close()
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    if not page.startswith("/static/"):
        assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("page", ["/", "/console/sign-in/", *PAGES])
def test_no_page_needs_what_the_policy_forbids(owner: Client, page: str) -> None:
    for tag, attributes in tags_of(owner.get(page).content.decode()):
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert (attributes.get("src") or "").startswith("/static/")
        if tag == "link":
            assert (attributes.get("href") or "").startswith("/static/")


def _try(client: Client, password: str, name: str = "owner", **more: Any) -> Any:
    return client.post("/console/sign-in/", {"name": name, "password": password, **more})


@pytest.fixture
def account(data: DataFolder) -> User:
    return User.objects.create_superuser("owner", password=OWNER_PASSWORD)


def test_signing_in_and_out_leaves_a_record(data: DataFolder, account: User, anybody: Client) -> None:
    response = _try(anybody, OWNER_PASSWORD, next="/console/records/")
    assert (response.status_code, response.headers["Location"]) == (302, "/console/records/")
    assert (left(data)[-1].kind, left(data)[-1].actor) == ("web.session.signed_in", "person:owner")
    cookie = anybody.cookies["guiju"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert anybody.get("/console/").status_code == 200
    assert anybody.get("/console/sign-out/").status_code == 405
    anybody.post("/console/sign-out/")
    assert anybody.get("/console/").status_code == 302


@pytest.mark.parametrize("onward", ["https://example.com/", "//example.com", "javascript:alert(1)", "http:///example.com"])
def test_nobody_is_sent_to_another_site(account: User, anybody: Client, onward: str) -> None:
    assert _try(anybody, OWNER_PASSWORD, next=onward).headers["Location"] == "/console/"


def test_a_wrong_password_and_an_unknown_name_look_the_same(data: DataFolder, account: User, anybody: Client) -> None:
    known, unknown = _try(anybody, "wrong"), _try(anybody, "wrong", name="nobody")
    assert known.status_code == unknown.status_code == 403
    pages = [_without_tokens(each.content.decode()) for each in (known, unknown)]
    assert pages[0].replace("owner", "?") == pages[1].replace("nobody", "?")
    refused = [entry for entry in left(data) if entry.kind == "web.session.refused"]
    assert [entry.actor for entry in refused] == ["person:owner", ""]
    assert "nobody" not in str(refused[1])


def test_after_five_refusals_even_the_right_password_waits(account: User, anybody: Client) -> None:
    # Guarded line: `refusal = "waiting" if _must_wait(…)` in signin.sign_in.
    for _ in range(signin.FAILURES):
        assert _try(anybody, "wrong").status_code == 403
    waits = _try(anybody, OWNER_PASSWORD)
    assert waits.status_code == 429
    assert "尝试次数过多" in waits.content.decode()
    for _ in range(signin.FAILURES):
        _try(anybody, "wrong", name="nobody")
    assert _try(anybody, "wrong", name="nobody").status_code == 429
    assert _try(anybody, "wrong", name="OWNER").status_code == 429


def test_another_address_need_not_wait(account: User, anybody: Client) -> None:
    for _ in range(signin.FAILURES):
        _try(anybody, "wrong")
    assert _try(Client(REMOTE_ADDR="192.0.2.7"), OWNER_PASSWORD).status_code == 302


def test_one_address_cannot_try_many_names(account: User, anybody: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "ADDRESS_FAILURES", 8)
    for number in range(8):
        assert _try(anybody, "wrong", name=f"name-{number}").status_code == 403
    assert _try(anybody, OWNER_PASSWORD).status_code == 429


def test_the_wait_ends(account: User, anybody: Client) -> None:
    from datetime import timedelta

    for _ in range(signin.FAILURES):
        _try(anybody, "wrong")
    for row in RefusedSignIn.objects.all():
        RefusedSignIn.objects.filter(pk=row.pk).update(refused_at=row.refused_at - timedelta(minutes=signin.WINDOW_MINUTES))
    assert _try(anybody, OWNER_PASSWORD).status_code == 302


def test_a_form_without_its_token_changes_nothing(data: DataFolder, account: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(account)
    before = len(left(data))
    for page in (
        "/console/keywords/import/",
        "/console/services/keys/create/",
        "/console/try/send/",
        "/console/ledger-check/",
        "/console/records/subject/erase/",
        "/console/records/subject/export/",
        "/console/sign-out/",
    ):
        response = strict.post(page)
        assert response.status_code == 403
        assert "FORM-EXPIRED" in response.content.decode()
    assert len(left(data)) == before
    assert strict.get("/console/").status_code == 200


def test_an_unknown_host_is_refused(anybody: Client) -> None:
    assert anybody.get("/", headers={"host": "evil.example"}).status_code == 400


def test_behind_tls_cookies_do_not_travel_in_the_clear() -> None:
    import subprocess
    import sys
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "guiju.toml").write_text('[console]\npublic_url = "https://console.example.cn"\n')
        code = "from guiju.web import settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_NAME, s.ALLOWED_HOSTS[-1])"
        environment = {"GUIJU_DATA": folder, "PATH": "/usr/bin:/bin"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout.split() == ["True", "True", "__Host-guiju", "console.example.cn"], done.stderr


def _without_tokens(html: str) -> str:
    import re

    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", html)
