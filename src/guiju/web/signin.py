"""Sign-in and sign-out. Guessing is slowed down, and the answer never tells whether a name exists.

After `FAILURES` refusals for one name from one address within `WINDOW_MINUTES`, or `ADDRESS_FAILURES` from one address,
no password is looked at any more until the oldest refusal is that old.
"""

import hashlib
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.contrib import auth
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from guiju.records import flow as records
from guiju.web.access import actor_of, onward_of, post_only, text_of
from guiju.web.models import RefusedSignIn

FAILURES: Final = 5
NAME_CHARACTERS: Final = 150
ADDRESS_FAILURES: Final = 50
WINDOW_MINUTES: Final = 5


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the form; take a name and a password; go on to the page that was asked for."""
    onward = onward_of(request, "/console/")
    if request.method == "GET":
        return redirect(onward) if request.user.is_authenticated else render(request, "web/sign_in.html", {"next": onward})
    name = text_of(request.POST, "name", NAME_CHARACTERS)
    address = request.META.get("REMOTE_ADDR", "")
    refusal = "waiting" if _must_wait(name, address) else ""
    if not refusal:
        person = auth.authenticate(request, username=name, password=request.POST.get("password", ""))
        if person is not None:
            with transaction.atomic():
                auth.login(request, person)
                records.append(kind="web.session.signed_in", actor=actor_of(request), metadata={"address": address})
            RefusedSignIn.objects.filter(target=_target(name, address)).delete()
            return redirect(onward)
        refusal = "not_accepted"
    _keep_refusal(name, address, refusal)
    return render(
        request,
        "web/sign_in.html",
        {"next": onward, "refusal": refusal, "name": name, "minutes": WINDOW_MINUTES},
        status=429 if refusal == "waiting" else 403,
    )


@post_only
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    auth.logout(request)
    return redirect("web:sign-in")


def _target(name: str, address: str) -> str:
    return hashlib.sha256(f"{settings.SECRET_KEY}\n{name.casefold()}\n{address}".encode()).hexdigest()


def _must_wait(name: str, address: str) -> bool:
    since = timezone.now() - timedelta(minutes=WINDOW_MINUTES)
    recent = RefusedSignIn.objects.filter(refused_at__gt=since)
    by_name = recent.filter(target=_target(name, address)).count()
    return by_name >= FAILURES or recent.filter(target=_target("", address)).count() >= ADDRESS_FAILURES


def _keep_refusal(name: str, address: str, reason: str) -> None:
    now = timezone.now()
    known = auth.get_user_model().objects.filter(username=name).exists()
    with transaction.atomic():
        RefusedSignIn.objects.filter(refused_at__lt=now - timedelta(minutes=WINDOW_MINUTES)).delete()
        if reason != "waiting":  # waiting does not make the wait longer
            RefusedSignIn.objects.bulk_create([RefusedSignIn(target=_target(each, address), refused_at=now) for each in ({name, ""})])
            # A name nobody has is not recorded: people type passwords into the wrong box.
            records.append(
                kind="web.session.refused", actor=f"person:{name}" if known else "", metadata={"address": address, "reason": reason}
            )
