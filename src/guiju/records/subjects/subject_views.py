"""The page of one subject: what is on record, holds, opening, searching, exporting, erasing."""

import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError
from guiju.core.keys import load_pseudonym_key
from guiju.core.pseudonyms import pseudonym_of
from guiju.records.access.opening import find_opening, open_subject, policy_is_one_person
from guiju.records.access.request_views import tell_hold
from guiju.records.access.requests import APPROVAL_NEEDED, Deed, ask, find_live, people_for, policy
from guiju.records.browse import Asked, page_of
from guiju.records.keeping.hold import Selection, lift_hold, refuse_if_held, set_hold
from guiju.records.reasons import REASON_CHARACTERS
from guiju.records.subjects.erasure import erase_subject, get_erasure
from guiju.records.subjects.personal_data import Export, begin_export, find, list_members
from guiju.records.subjects.search import Step, begin_search, search
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.templatetags.guiju import error_text

SUBJECT_CHARACTERS: Final = 200
_SALT: Final = "guiju.records.subjects.search"
_TOKEN_S: Final = 24 * 3600
_SAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


@needs("records.view_record")
@require_GET
def subject(request: HttpRequest) -> HttpResponse:
    """Show what there is about one subject."""
    return _page(request, text_of(request.GET, "subject", SUBJECT_CHARACTERS))


@needs("records.view_record")
@post_only
def find_person(request: HttpRequest) -> HttpResponse:
    """Go to the subject under which a service's user is on record. By POST: the identifier belongs into no address and no log."""
    service, user = text_of(request.POST, "service", SUBJECT_CHARACTERS), text_of(request.POST, "user", 1_000)
    name = pseudonym_of(load_pseudonym_key(settings.DATA_FOLDER.keys), service, user)
    return redirect(_address(name))


@needs("records.open_record")
@post_only
def open_all(request: HttpRequest) -> HttpResponse:
    """Open all contents of the subject to this person for a while, or ask for it."""
    if request.POST.get("step") == "ask":
        return _ask(request, Deed.OPEN_SUBJECT)
    return _do(request, lambda name, reason: open_subject(name, actor=actor_of(request), reason=reason), _("内容已对您打开，已留记录。"))


@needs("records.erase_subject")
@post_only
def erase(request: HttpRequest) -> HttpResponse:
    """Erase the subject, or ask for it; whoever pressed "ask" never erases, even if an approval came meanwhile."""
    if request.POST.get("step") == "ask":
        return _ask(request, Deed.ERASE_SUBJECT)
    return _do(request, lambda name, reason: erase_subject(name, actor=actor_of(request), reason=reason), _("已删除；证书在本页。"))


@needs("records.set_hold")
@post_only
def hold(request: HttpRequest) -> HttpResponse:
    """Set a legal hold on the subject."""
    reference = text_of(request.POST, "reference", 200)

    def work(name: str, reason: str) -> None:
        tell_hold(request, set_hold(Selection(subject=name), actor=actor_of(request), reason=reason, reference=reference))

    return _do(request, work, "")


@needs("records.set_hold")
@post_only
def lift(request: HttpRequest, id: str) -> HttpResponse:
    """Lift a legal hold."""
    return _do(request, lambda _name, reason: lift_hold(id, actor=actor_of(request), reason=reason), _("保全已解除。"))


@needs("records.open_record")
@post_only
def search_contents(request: HttpRequest) -> HttpResponse:
    """Begin a search, which leaves a record, or go on with one that this page began."""
    actor, token = actor_of(request), request.POST.get("token", "")
    after, done, found = -1, 0, 0
    if token:
        try:
            name, words, by, after, done, found = signing.loads(token, salt=_SALT, max_age=_TOKEN_S)
        except signing.BadSignature:
            by = ""
        if by != actor:
            return HttpResponse(status=400)
    else:
        name, words = text_of(request.POST, "subject", SUBJECT_CHARACTERS), text_of(request.POST, "words", 200)
    try:
        if not token:
            begin_search(name, words, actor=actor)
        step = search(name, words, actor=actor, after=after, done=done)
    except GuijuError as problem:
        if request.headers.get("HX-Request"):  # it puts nothing but successes into the page
            return render(request, "records/_search.html", {"problem": error_text(problem)})
        messages.error(request, error_text(problem))
        return redirect(_address(name))
    facts = _search_facts(step, name, words, actor, found)
    if request.headers.get("HX-Request"):
        return render(request, "records/_search.html", facts)
    return _page(request, name, facts)


@needs("records.open_record")
@post_only
def export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Give the records about the subject as one archive, written while it is sent: no copy of it lies on the server."""
    name, reason = text_of(request.POST, "subject", SUBJECT_CHARACTERS), text_of(request.POST, "reason", 200)
    if len(reason) < REASON_CHARACTERS:
        messages.error(request, _("请写明理由（至少 4 个字）。什么也没有做。"))
        return redirect(_address(name))
    opened, complete = (request.POST.get(each) == "1" for each in ("opened", "complete"))
    made = begin_export(name, actor=actor_of(request), reason=reason, opened=opened, complete=complete)
    response = StreamingHttpResponse(_archive(made), content_type="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="records-{_SAFE.sub("_", name)}.zip"'
    return response


@needs("records.view_record")
@require_GET
def certificate(request: HttpRequest, id: str) -> HttpResponse:
    """Return the certificate of an erasure as a file that `guiju verify` checks."""
    erasure = get_erasure(id)
    response = HttpResponse(erasure.certificate, content_type="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="erasure-{erasure.id}.json"'
    return response


def _do(request: HttpRequest, work: Callable[[str, str], object], done: str) -> HttpResponse:
    """Do what a form asks, for a reason, and go back to the subject; an expected refusal is told on its page."""
    name, reason = text_of(request.POST, "subject", SUBJECT_CHARACTERS), text_of(request.POST, "reason", 200)
    if len(reason) < REASON_CHARACTERS:
        messages.error(request, _("请写明理由（至少 4 个字）。什么也没有做。"))
    else:
        try:
            work(name, reason)
            if done:
                messages.success(request, done)
        except GuijuError as problem:
            tell = messages.warning if problem.code is APPROVAL_NEEDED else messages.error
            tell(request, error_text(problem))
    return redirect(_address(name) if name else "records:requests")


def _ask(request: HttpRequest, deed: Deed) -> HttpResponse:
    """Make a request for another person to approve, and nothing else."""
    actor = actor_of(request)

    def work(name: str, reason: str) -> object:
        find(name)
        if deed == Deed.ERASE_SUBJECT:
            refuse_if_held(name)
        return ask(deed, actor=actor, reason=reason, subject=name)

    return _do(request, work, _("申请已提出，等待另一人批准；批准后请回到本页操作。"))


def _page(request: HttpRequest, name: str, more: dict[str, Any] | None = None) -> HttpResponse:
    found = find(name)
    facts = {
        "subject": found,
        "newest": page_of(Asked(subject=name)).found[:5],
        "opening": find_opening(name, actor_of(request)),
        "to_open": find_live(Deed.OPEN_SUBJECT, actor=actor_of(request), subject=name),
        "to_erase": find_live(Deed.ERASE_SUBJECT, actor=actor_of(request), subject=name),
        "opening_alone": policy_is_one_person(),
        "erasing_alone": people_for(Deed.ERASE_SUBJECT) == 1,
        "policy": policy(),
        "me": actor_of(request),
        "here": _address(name),  # the language switch comes back to the subject also from what a form has shown
    }
    return render(request, "records/subject.html", facts | (more or {}))


def _search_facts(step: Step, name: str, words: str, actor: str, before: int) -> dict[str, Any]:
    found = before + len(step.hits)
    token = "" if step.after is None else signing.dumps([name, words, actor, step.after, step.done, found], salt=_SALT)
    return {"step": step, "token": token, "found": found, "words": words}


def _address(name: str) -> str:
    return f"{reverse('records:subject')}?{urlencode({'subject': name})}"


class _Outgoing:
    """What zipfile writes to: pieces wait here until they are sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing waits elsewhere."""

    def take(self) -> bytes:
        piece, self._pieces = b"".join(self._pieces), []
        return piece


def _archive(made: Export) -> Iterator[bytes]:
    out = _Outgoing()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]  # it writes, nothing else
        for member, pieces in list_members(made):
            with archive.open(member, "w", force_zip64=True) as file:
                for piece in pieces:
                    file.write(piece)
                    if waiting := out.take():
                        yield waiting
    yield out.take()
