"""The public page: give a file, a text or a URL, and read what its label says and whether this service issued it. No sign-in, no script.

An upload is cut at the size limit while it comes, before anything of the form is read; Django keeps it in a temporary file that is gone with
the request. The page tells yes or no, a time and a proof; never a content, never whose it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any, Final

import msgspec
from django.conf import settings
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import StopUpload, TemporaryFileUploadHandler
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods

from guiju.core.errors import GuijuError
from guiju.labelling.findings import CHECKS
from guiju.labelling.flow import verifying as flow
from guiju.labelling.flow.verifying import Issue, SeenText
from guiju.labelling.notices import NOTICES
from guiju.records import flow as records
from guiju.web.access import post_only, text_of
from guiju.web.live import bundle_in_force

_FORM_BYTES: Final = 1024 * 1024
_PROOF_S: Final = 24 * 3600
_SALT: Final = "guiju.verify.proof"
_TEXT_CHARACTERS: Final = 200_000


class _Cut(TemporaryFileUploadHandler):
    """Takes one file, up to the limit; what is more is not written, and the request is marked."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.taken_bytes = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.taken_bytes += len(raw_data)
        if self.taken_bytes > _limit_bytes() or getattr(self.request, "too_large", False):
            self.request.too_large = True  # type: ignore[union-attr]  # set by this handler, read by the view
            raise StopUpload(connection_reset=True)
        super().receive_data_chunk(raw_data, start)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a page or a program is told: of a file its row, of a text what was seen, and whether this service issued it."""

    issue: Issue
    row: dict[str, Any] | None = None
    text: SeenText | None = None


def _bounded(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Put the limit on uploads in force before anything reads the form; the check of the form's token does."""

    def handle(request: HttpRequest) -> HttpResponse:
        if settings.SITE.verify.page != "on":
            raise Http404(_("没有这个页面，或您无权查看。"))
        request.upload_handlers = [_Cut(request)]
        length = request.META.get("CONTENT_LENGTH") or "0"
        request.too_large = not length.isdigit() or int(length) > _limit_bytes() + _FORM_BYTES  # type: ignore[attr-defined]
        return view(request)

    return handle


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@_bounded
def verify(request: HttpRequest) -> HttpResponse:
    """Show the forms, and what came of one."""
    if getattr(request, "too_large", False):
        return _page(request, problem=GuijuError(flow.CHECK_TOO_LARGE, limit_mb=settings.SITE.verify.upload_mb))
    return _verify(request)


@csrf_protect
def _verify(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request)
    try:
        return _page(request, outcome=_looked_at(request, request.POST))
    except GuijuError as problem:
        return _page(request, problem=problem)


@csrf_exempt
@post_only
@_bounded
def verify_api(request: HttpRequest) -> HttpResponse:
    """Answer a program: a file as multipart, or JSON with `text` (and `number`) or `url`. No cookie counts here, so no token is asked for."""
    try:
        fields: Any = request.POST
        if request.content_type == "application/json" and not request.too_large:  # type: ignore[attr-defined]  # set by _bounded
            fields = _fields(request.body)
        outcome = _looked_at(request, fields)
    except GuijuError as problem:
        code = problem.code
        message = {"zh": problem.text("zh"), "en": problem.text("en")}
        return JsonResponse({"error": {"code": code.code, "type": code.kind, "message": message}}, status=code.status)
    issue = outcome.issue
    told: dict[str, Any] = {"issued": {"result": issue.result, "at": issue.at.isoformat() if issue.at else None, "proof": _proof_at(issue)}}
    if outcome.row is not None:
        told["file"] = outcome.row
        told["notice"] = dict(zip(("zh", "en"), NOTICES[outcome.row["state"]], strict=True)) if outcome.row["state"] else None
    if outcome.text is not None:
        told["text"] = {"characters": outcome.text.characters, "explicit_label": outcome.text.explicit}
    return JsonResponse(told)


@require_GET
def proof(request: HttpRequest, token: str) -> HttpResponse:
    """Give the proof that a page offered: the leaf, its path and the signed checkpoint, without the record."""
    if settings.SITE.verify.page != "on":
        raise Http404(_("没有这个页面，或您无权查看。"))
    try:
        record = signing.loads(token, salt=_SALT, max_age=_PROOF_S)
    except signing.BadSignature:
        raise Http404(_("没有这个页面，或您无权查看。")) from None
    flow.admit(request.META.get("REMOTE_ADDR", ""))
    response = JsonResponse(records.prove_leaf(str(record)), json_dumps_params={"indent": 1})
    response.headers["Content-Disposition"] = 'attachment; filename="guiju-proof.json"'
    return response


def _looked_at(request: HttpRequest, fields: Any) -> Outcome:
    """Look at what was given. Raises GuijuError with a CHECK- or FETCH- code."""
    flow.admit(request.META.get("REMOTE_ADDR", ""))
    with flow.one_of_few():
        return _judged(request, fields)


def _judged(request: HttpRequest, fields: Any) -> Outcome:
    file = request.FILES.get("file")
    if getattr(request, "too_large", False):
        raise GuijuError(flow.CHECK_TOO_LARGE, limit_mb=settings.SITE.verify.upload_mb)
    force = bundle_in_force()
    services = force.bundle.services if force else ()
    if isinstance(file, UploadedFile):
        with NamedTemporaryFile(prefix="guiju-") as kept:  # the process that looks at it opens it by its number
            for chunk in file.chunks():
                kept.write(chunk)
            row = flow.look_at_file(kept.file, file.name or "")
        return Outcome(flow.whose_file(row, services), row=row)
    url = str(fields.get("url") or "").strip()
    if url:
        row = flow.look_at_url(url)
        return Outcome(flow.whose_file(row, services), row=row)
    text = str(fields.get("text") or "").replace("\0", "")[:_TEXT_CHARACTERS]
    if text.strip():
        number = str(fields.get("number") or "").strip()[:40]
        return Outcome(flow.whose_text(text, number, services), text=flow.look_at_text(text))
    raise GuijuError(flow.CHECK_NOTHING)


def _page(request: HttpRequest, outcome: Outcome | None = None, problem: GuijuError | None = None) -> HttpResponse:
    facts: dict[str, Any] = {
        "limit_mb": settings.SITE.verify.upload_mb,
        "urls": settings.SITE.verify.urls == "on",
        "problem": problem,
        "least": records.LEAST_CHARACTERS,
        "since": records.since(),
    }
    if not getattr(request, "too_large", False):
        facts |= {"text": text_of(request.POST, "text", _TEXT_CHARACTERS), "number": text_of(request.POST, "number", 40)}
    if outcome is not None:
        issue = outcome.issue
        facts |= {"outcome": outcome, "row": outcome.row, "issue": issue, "issue_told": _ISSUES[issue.result], "proof_at": _proof_at(issue)}
        if issue.record and request.user.has_perm("records.view_record"):
            facts["record_at"] = reverse("records:detail", args=[issue.record])
        if outcome.row is not None:
            facts |= _shown(outcome.row)
    return render(request, "labelling/verify.html", facts, status=problem.code.status if problem else 200)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in the words of the page."""
    label = row["label"] or {}
    findings = [(*CHECKS.get(each["check"], (each["check"], each["check"])), each["outcome"], each["detail"]) for each in row["findings"]]
    findings.sort(key=lambda each: ("fail", "warn", "not_examined", "info", "pass").index(each[2]))
    return {
        "verdict": (_VERDICTS[row["verdict"]]),
        "notice": NOTICES[row["state"]] if row["state"] in ("declared", "possible", "suspected") else None,
        "keys": [(key, _KEYS[key], label[key]) for key in label],
        "findings": [((zh, en), _OUTCOMES[outcome], detail) for zh, en, outcome, detail in findings if outcome != "pass"],
        "passed": [(zh, en) for zh, en, outcome, _ in findings if outcome == "pass"],
        "signatures": [(each["key"], _SIGNED[each["result"]], each["reason"]) for each in row["signatures"] if each["result"] != "none"],
        "credentials": _told(row.get("credentials")),
        "heard": _HEARD[row["heard"]["result"]] if row.get("heard") else None,
    }


def _told(credentials: dict[str, Any] | None) -> tuple[tuple[str, tuple[str, str]], str] | None:
    """Return what a C2PA manifest proves, in the words of the page, and who signed it."""
    return None if credentials is None else (_CREDENTIALS[credentials["result"]], credentials["signer"])


def _proof_at(issue: Issue) -> str:
    """Return the address of the proof, good for a day; empty when there is nothing to prove."""
    if not issue.record or issue.result not in ("issued", "issued_wording", "changed", "number_only"):
        return ""
    return reverse("labelling:verify-proof", args=[signing.dumps(issue.record, salt=_SALT)])


def _fields(raw: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    return {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def _limit_bytes() -> int:
    return int(settings.SITE.verify.upload_mb) * flow.MEBIBYTE


_VERDICTS: Final = {
    "compliant": ("good", ("标识合规", "The label is as the standard asks")),
    "noncompliant": ("bad", ("标识不合规", "The label is not as the standard asks")),
    "not_found": ("", ("没有发现标识", "No label was found")),
    "inconclusive": ("warn", ("无法判断", "It cannot be told")),
}
_OUTCOMES: Final = {
    "pass": ("good", ("通过", "passes")),
    "fail": ("bad", ("不通过", "fails")),
    "warn": ("warn", ("提示", "unusual")),
    "info": ("note", ("说明", "note")),
    "not_examined": ("", ("未查验", "not examined")),
}
_SIGNED: Final = {
    "none": ("", ("没有签名", "no signature")),
    "opaque": ("", ("不是签名的值", "a value that is no signature")),
    "intact": ("note", ("完整，但密钥未经确认", "intact, under a key that is not known")),
    "authentic": ("good", ("签名真实", "authentic")),
    "false": ("bad", ("签名不符", "false")),
    "unexamined": ("warn", ("无法核验", "could not be examined")),
}
_CREDENTIALS: Final = {
    "none": ("", ("没有 C2PA 清单", "no manifest")),
    "trusted": ("good", ("与签署时相同，签署者可信", "as it was signed, by one who is vouched for")),
    "valid": ("note", ("与签署时相同，签署者未经确认", "as it was signed; nothing vouches for the signer")),
    "invalid": ("bad", ("与签署时不同", "not as it was signed")),
    "unexamined": ("warn", ("无法核验", "could not be examined")),
}
_HEARD: Final = {
    "rhythm": ("note", ("听到节奏标识（短长短短）", "the rhythm of a label is heard (short-long short-short)")),
    "nothing": ("", ("开头和结尾没有听到节奏标识；语音须由人来听", "no rhythm at its beginning and end; a voice is for a person to hear")),
    "unexamined": ("warn", ("无法查验", "could not be examined")),
}
_KEYS: Final = {
    "Label": ("属性：1 属于，2 可能，3 疑似", "property: 1 is generated, 2 may be, 3 suspected"),
    "ContentProducer": ("生成服务提供者", "the provider that generated it"),
    "ProduceID": ("生成者给内容的编号", "the producer's number of this content"),
    "ReservedCode1": ("生成者的安全数据", "the producer's security data"),
    "ContentPropagator": ("传播服务提供者", "the provider that spreads it"),
    "PropagateID": ("传播者给内容的编号", "the propagator's number of this content"),
    "ReservedCode2": ("传播者的安全数据", "the propagator's security data"),
}
_ISSUES: Final = {
    "issued": ("good", ("是本服务发出的，此后没有改动", "This service issued it, and it has not changed since")),
    "issued_wording": (
        "good",
        (
            "是本服务发出的：文字相同，空白和标点可能不同",
            "This service issued it: the words are the same, spaces and punctuation may differ",
        ),
    ),
    "changed": (
        "bad",
        ("本服务发出过这个编号的内容，但与现在的不同", "This service issued something under this number, but this is not it"),
    ),
    "number_only": (
        "warn",
        (
            "编号是本服务的，但记录中没有可与之比对的指纹",
            "The number is this service's, but the record has no fingerprint to compare it with",
        ),
    ),
    "unknown_number": (
        "bad",
        ("自称是本服务发出的，但本服务没有这个编号", "It claims to be this service's, but there is no such number here"),
    ),
    "false_signature": ("bad", ("自称是本服务发出的，但签名不符", "It claims to be this service's, but its signature is false")),
    "not_ours": ("", ("标识写明的是其他提供者", "The label names another provider")),
    "not_found": ("", ("没有找到相同的回答", "No answer with these words was found")),
    "too_short": ("warn", ("文字太短，不能查找", "The text is too short to be looked up")),
    "cannot_tell": ("warn", ("无法判断是否由本服务发出", "It cannot be told whether this service issued it")),
}
