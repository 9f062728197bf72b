"""What people may say of a service, and what follows: answer its profile, sign the scope determination, attest and withdraw; each leaves its record.

A determination is a signed note (Ed25519, the site's key) over a text that names the person, every answer, and every duty with whether it binds; it holds for 12 months, and
no longer than the profile and the catalogue that it is about.
Source: Measures Arts. 2, 17, 20, 22 and 23.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Final, Literal

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from guiju.core.canonical import canonical_json
from guiju.core.clock import BEIJING
from guiju.core.deadlines import due_at, last_moment
from guiju.core.errors import GuijuError, Text, define
from guiju.core.ids import new_id
from guiju.core.keys import load_accepted_public_keys, load_site_key
from guiju.core.layout import DataFolder
from guiju.obligations.applicability import Answers, list_bindings
from guiju.obligations.loading import shipped_catalogue
from guiju.obligations.models import Attestation, Determination, Profile
from guiju.obligations.values import Catalogue, Words
from guiju.records import flow as records
from guiju.records import recent
from guiju.records.log.note import sign, verify
from guiju.services.flow import settings_now

DETERMINATION_MONTHS: Final = 12
STATEMENT_CHARACTERS: Final = 2_000
NAME_CHARACTERS: Final = 200
DOCUMENT_LIMIT_BYTES: Final = 8 * 2**20
ON_ITS_WAY: Final = timedelta(hours=1)
ATTESTATION_DAYS: Final = 366
"""The longest time for which one attestation holds."""
FORM: Final = "guiju-scope-determination-1"
CONTRARY: Final[tuple[tuple[tuple[str, str], tuple[str, frozenset[str]]], ...]] = (
    (("public", "no"), ("audience", frozenset({"consumers", "firms"}))),
    (("trains", "no"), ("model", frozenset({"own", "tuned"}))),
    (
        ("sectors", "none"),
        ("sectors", frozenset({"news", "publishing", "film", "literature", "av", "medical", "finance", "education", "maps"})),
    ),
)
"""Answers that cannot stand beside one another: each would free a service from duties that its other answer brings."""

PROFILE_INVALID = define(
    "PROFILE-INVALID",
    status=400,
    kind="invalid_request_error",
    zh=Text("服务“{service}”的画像有误：{reason_zh}。", "没有保存，原有画像不变。", "请改正后重新保存。"),
    en=Text("The profile of '{service}' has a mistake: {reason}.", "It was not kept; the profile in force is unchanged.", "Correct it and save again."),
)  # fmt: skip
PROFILE_OPEN = define(
    "PROFILE-OPEN",
    status=409,
    kind="invalid_request_error",
    zh=Text("服务“{service}”的画像还有 {count} 个问题没有回答：{facts}。", "没有签署判断书。", "请先回答全部问题。"),
    en=Text("{count} questions of the profile of '{service}' have no answer: {facts}.", "No determination was signed.", "Answer them all first."),
)  # fmt: skip
DETERMINATION_OWN = define(
    "DETERMINATION-OWN",
    status=403,
    kind="permission_error",
    zh=Text("服务“{service}”的画像由您本人填写。", "没有签署判断书，画像不变。", "请由另一位有权签署的人核对后签署。"),
    en=Text(
        "You answered the profile of '{service}' yourself.",
        "No determination was signed; the profile is unchanged.",
        "Let another person with the right to sign check and sign it.",
    ),
)
ATTESTATION_INVALID = define(
    "ATTESTATION-INVALID",
    status=400,
    kind="invalid_request_error",
    zh=Text("对 {obligation} 的声明有误：{reason_zh}。", "没有保存，灯的状态不变。", "声明须有说明、文件和到期日，请补齐后重试。"),
    en=Text(
        "The attestation of {obligation} has a mistake: {reason}.",
        "It was not kept; the light is unchanged.",
        "An attestation has a statement, a document and a last day; complete it and try again.",
    ),
)
ATTESTATION_GONE = define(
    "ATTESTATION-GONE",
    status=409,
    kind="invalid_request_error",
    zh=Text("声明 {id} 不存在或已撤回。", "什么也没有改动。", "请刷新页面。"),
    en=Text("The attestation {id} is not there, or was withdrawn.", "Nothing was changed.", "Reload the page."),
)
ATTESTATION_ALTERED = define(
    "ATTESTATION-ALTERED",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "声明 {id} 的文件与记录 {record} 中的哈希不符。", "文件没有给出。", "请撤回这份声明，附上原文件重新声明，并查明数据库何以被改动。"
    ),
    en=Text(
        "The document of attestation {id} does not have the hash that record {record} names.",
        "It was not given.",
        "Withdraw the attestation, attest anew with the original, and find out how the database was changed.",
    ),
)
Holds = Literal["none", "holds", "altered", "profile_changed", "law_changed", "expired"]


def answers_of(service: str) -> dict[str, tuple[str, ...]]:
    """Return the answers of the profile in force; none when there is no profile."""
    found = profile_of(service)
    return read_answers(found.answers) if found else {}


def profile_of(service: str) -> Profile | None:
    """Return the profile in force; None when there is none."""
    return Profile.objects.filter(service=service).first()


def read_answers(text: str) -> dict[str, tuple[str, ...]]:
    """Return the answers in the form they are kept in."""
    return msgspec.json.decode(text, type=dict[str, tuple[str, ...]])


def answer_profile(service: str, answers: Mapping[str, tuple[str, ...]], actor: str) -> Profile:
    """Keep a new profile of a service and leave `obligations.profile.answered`; equal answers keep the old one.

    Questions without an answer stay open. Raises PROFILE-INVALID for a service, question or answer that does not exist, and for several answers to a
    question that takes one.
    """
    catalogue = shipped_catalogue()
    kept = {fact: tuple(dict.fromkeys(given)) for fact, given in sorted(answers.items()) if given}
    _check_answers(service, kept, catalogue)
    text = canonical_json({fact: list(given) for fact, given in kept.items()}).decode()
    with transaction.atomic():
        before = Profile.objects.filter(service=service).first()
        if before is not None and before.answers == text:
            return before
        profile = Profile.objects.create(id=new_id(), service=service, answers=text, made_by=actor, made_at=timezone.now())
        old = read_answers(before.answers) if before else {}
        changed = {
            fact: [list(old.get(fact, ())), list(kept.get(fact, ()))] for fact in sorted({*old, *kept}) if old.get(fact) != kept.get(fact)
        }
        records.append(
            kind="obligations.profile.answered", actor=actor, service=service, metadata={"profile": profile.id, "changed": changed}
        )
    return profile


def _check_answers(service: str, answers: Answers, catalogue: Catalogue) -> None:
    def refuse(zh: str, en: str) -> GuijuError:
        return GuijuError(PROFILE_INVALID, service=service, reason=en, reason_zh=zh)

    if service not in {each.id for each in settings_now().services}:
        raise refuse("没有这项服务", "there is no such service")
    for fact, given in answers.items():
        asked = catalogue.facts.get(fact)
        if asked is None:
            raise refuse(f"没有问题 {fact}", f"there is no question {fact}")
        unknown = [each for each in given if each not in {choice.id for choice in asked.choices}]
        if unknown:
            raise refuse(f"问题 {fact} 没有答案 {unknown[0]}", f"{fact} has no answer {unknown[0]}")
        if len(given) > 1 and not asked.several:
            raise refuse(f"问题 {fact} 只能有一个答案", f"{fact} takes one answer")
    for (fact, answer), (other, against) in CONTRARY:
        both = sorted(against & set(answers.get(other, ())))
        if answer in answers.get(fact, ()) and both:
            one, two = _named(catalogue, fact, answer), _named(catalogue, other, both[0])
            this, that = catalogue.facts[fact].question, catalogue.facts[other].question
            raise refuse(
                f"“{this.zh}”答“{one.zh}”，与“{that.zh}”答“{two.zh}”矛盾",
                f"'{this.en}' is answered '{one.en}', which contradicts '{two.en}' to '{that.en}'",
            )


def _named(catalogue: Catalogue, fact: str, answer: str) -> Words:
    """Return what an answer is called."""
    return next(choice.title for choice in catalogue.facts[fact].choices if choice.id == answer)


def determine_scope(service: str, actor: str) -> Determination:
    """Sign the scope determination of a service on its profile in force and leave `obligations.scope.determined`.

    Raises PROFILE-OPEN while a question has no answer, DETERMINATION-OWN for the person who answered them.
    """
    catalogue = shipped_catalogue()
    now = timezone.now()
    with transaction.atomic():
        profile = Profile.objects.filter(service=service).first()
        answers = read_answers(profile.answers) if profile else {}
        missing = [fact for fact in catalogue.facts if fact not in answers]
        if profile is None or missing:
            raise GuijuError(PROFILE_OPEN, service=service, count=len(missing), facts=", ".join(missing))
        if profile.made_by == actor:
            raise GuijuError(DETERMINATION_OWN, service=service)
        expires = due_at(now, DETERMINATION_MONTHS, "months", settings_now().calendar.work_calendar())
        folder: DataFolder = settings.DATA_FOLDER
        text = _determination_text(service, actor, answers, catalogue, now, expires)
        note = sign(text, settings.SITE.ledger.origin, load_site_key(folder.keys)).decode()
        made = Determination.objects.create(
            id=new_id(), service=service, profile=profile.id, catalogue=catalogue.version, note=note, made_by=actor, made_at=now, expires_at=expires
        )  # fmt: skip
        records.append(
            kind="obligations.scope.determined",
            actor=actor,
            service=service,
            metadata={
                "determination": made.id,
                "profile": profile.id,
                "catalogue": catalogue.version,
                "sha256": sha256(note.encode()).hexdigest(),
            },
        )
    return made


def _determination_text(service: str, actor: str, answers: Answers, catalogue: Catalogue, now: datetime, expires: datetime) -> str:
    """Return the lines that are signed: form, service, person, times, catalogue, answers, then each duty of providers with its word and its reasons."""
    lines = [FORM, service, actor, _minute(now), _minute(expires), catalogue.version]
    lines += [f"{fact}={','.join(given)}" for fact, given in sorted(answers.items())]
    for each in list_bindings(catalogue, answers, now.astimezone(BEIJING).date()):
        if each.obligation.binds_provider:
            lines.append(
                f"{each.obligation.id} v{each.obligation.version} {each.binds} " + ",".join(because.fact for because in each.because)
            )
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _minute(at: datetime) -> str:
    return at.astimezone(BEIJING).strftime("%Y-%m-%dT%H:%M+08:00")


def determination_of(service: str, now: datetime) -> tuple[Determination | None, Holds]:
    """Return the newest determination of a service and whether it still holds; it is altered where its row is not what was signed."""
    found = Determination.objects.filter(service=service).first()
    if found is None:
        return None, "none"
    signed = _signed_lines(found)
    if signed[:6] != [FORM, service, found.made_by, _minute(found.made_at), _minute(found.expires_at), found.catalogue]:
        return found, "altered"
    if found.expires_at <= now:
        return found, "expired"
    profile = profile_of(service)
    if profile is None or profile.id != found.profile:
        return found, "profile_changed"
    if found.catalogue != shipped_catalogue().version:
        return found, "law_changed"
    answers = [f"{fact}={','.join(given)}" for fact, given in sorted(read_answers(profile.answers).items())]
    return found, "holds" if signed[6 : 6 + len(answers)] == answers else "altered"


def _signed_lines(made: Determination) -> list[str]:
    """Return the lines of a determination that the site has signed; none where its signature does not hold."""
    folder: DataFolder = settings.DATA_FOLDER
    try:
        return verify(made.note.encode(), settings.SITE.ledger.origin, *load_accepted_public_keys(folder.keys)).splitlines()
    except GuijuError:
        return []


def attest(service: str, obligation: str, statement: str, document: bytes, document_name: str, last_day: date, actor: str) -> Attestation:
    """Keep what a person says of a duty that only a person can judge, and leave `obligations.duty.attested`.

    Raises ATTESTATION-INVALID: a duty that is judged by a check or by nobody yet, no statement, no document or one of more than 8 MiB, a last day
    that is past or more than a year ahead.
    """
    now = timezone.now()
    found = shipped_catalogue().in_force(now.astimezone(BEIJING).date()).get(obligation)
    problem = _attestation_problem(service, found is not None and found.person is not None, statement, document, last_day, now)
    if problem:
        raise GuijuError(ATTESTATION_INVALID, obligation=obligation, reason=problem[1], reason_zh=problem[0])
    digest = sha256(document).hexdigest()
    name = document_name[:NAME_CHARACTERS] or "document"
    expires = datetime(last_day.year, last_day.month, last_day.day, tzinfo=BEIJING) + timedelta(days=1)
    with transaction.atomic():
        identity = new_id()
        record = records.append(
            kind="obligations.duty.attested",
            actor=actor,
            service=service,
            metadata={"attestation": identity, "obligation": obligation, "statement": statement, "document": name, "document_sha256": digest, "until": last_day.isoformat()},
            obligations=(obligation,),
        )  # fmt: skip
        return Attestation.objects.create(
            id=identity, service=service, obligation=obligation, statement=statement, document_name=name, document=document,
            document_sha256=digest, record=record, made_by=actor, made_at=now, expires_at=expires,
        )  # fmt: skip


def _attestation_problem(
    service: str, by_person: bool, statement: str, document: bytes, last_day: date, now: datetime
) -> tuple[str, str] | None:
    today = now.astimezone(BEIJING).date()
    if service not in {each.id for each in settings_now().services}:
        return "没有这项服务", "there is no such service"
    if not by_person:
        return "这项义务不由人判断", "the duty is not one that a person judges"
    if not statement.strip() or len(statement) > STATEMENT_CHARACTERS:
        return f"说明须有 1 至 {STATEMENT_CHARACTERS} 字", f"the statement has 1 to {STATEMENT_CHARACTERS} characters"
    if not document or len(document) > DOCUMENT_LIMIT_BYTES:
        return "须附文件，不超过 8 MiB", "a document of at most 8 MiB is needed"
    if not today <= last_day <= today + timedelta(days=ATTESTATION_DAYS):
        return "到期日须在今天至一年之内", "the last day lies between today and a year from now"
    return None


def withdraw(attestation: str, actor: str) -> None:
    """Withdraw an attestation and leave `obligations.duty.withdrawn`. Raises ATTESTATION-GONE when it is not there or was withdrawn."""
    with transaction.atomic():
        if not Attestation.objects.filter(id=attestation, withdrawn_at=None).update(withdrawn_at=timezone.now(), withdrawn_by=actor):
            raise GuijuError(ATTESTATION_GONE, id=attestation)
        found = Attestation.objects.get(id=attestation)
        records.append(
            kind="obligations.duty.withdrawn",
            actor=actor,
            service=found.service,
            metadata={"attestation": found.id, "obligation": found.obligation},
            obligations=(found.obligation,),
        )


def attestation_of(service: str, obligation: str) -> Attestation | None:
    """Return the newest attestation that was not withdrawn, without its document; it may have expired."""
    return Attestation.objects.defer("document").filter(service=service, obligation=obligation, withdrawn_at=None).first()


def is_on_record(made: Attestation, now: datetime) -> bool:
    """Tell whether the record of an attestation says what its row says; its document is held against its hash when it is given (`document_of`).

    A record that is on its way to the ledger counts for an hour.
    """
    told = recent.metadata_of(made.record)
    if told is None:
        return now - made.made_at < ON_ITS_WAY
    said = {
        "attestation": made.id,
        "obligation": made.obligation,
        "statement": made.statement,
        "document_sha256": made.document_sha256,
        "until": last_moment(made.expires_at)[:10],
    }
    return all(told.get(name) == value for name, value in said.items())


def document_of(service: str, obligation: str, attestation: str) -> Attestation:
    """Return an attestation with its document. Raises ATTESTATION-GONE, and ATTESTATION-ALTERED for a document that is not the one on record."""
    found = Attestation.objects.filter(id=attestation, service=service, obligation=obligation).first()
    if found is None:
        raise GuijuError(ATTESTATION_GONE, id=attestation)
    told = recent.metadata_of(found.record)
    if sha256(bytes(found.document)).hexdigest() != (told or {"document_sha256": found.document_sha256}).get("document_sha256"):
        raise GuijuError(ATTESTATION_ALTERED, id=attestation, record=found.record)
    return found
