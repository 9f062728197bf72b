"""Judge: every duty of a service by its check, and what no check judges by an attestation, or by nobody. This is the only way to a light.

A check that fails is never met: it shows as needing a person, with the error. Checks are those of the packages that `duties.py` lists.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from guiju.core.clock import BEIJING
from guiju.core.deadlines import CALENDAR_GAP, last_moment, missing_year
from guiju.core.errors import GuijuError
from guiju.duties import DUTIES
from guiju.obligations import flow
from guiju.obligations.applicability import Binding, answers_of, list_bindings, question_of
from guiju.obligations.finding import GRAVEST, Case, Check, Finding, Proof, Status
from guiju.obligations.loading import shipped_catalogue
from guiju.obligations.values import MEASURES, Obligation, Words
from guiju.services.flow import settings_now
from guiju.services.in_force import awaits_publishing
from guiju.services.mistakes import find_mistakes

EXPIRES_SOON: Final = timedelta(days=30)
"""An attestation that ends within this time shows as due."""
logger = logging.getLogger("guiju.obligations")


@dataclass(frozen=True, slots=True)
class Light:
    """One light of the board: a duty, whether it binds the service, and its state."""

    service: str
    binding: Binding
    finding: Finding

    @property
    def obligation(self) -> Obligation:
        """The duty."""
        return self.binding.obligation

    @property
    def status(self) -> Status:
        """Its state."""
        return self.finding.status


@cache
def all_checks() -> Mapping[str, Check]:
    """Return the checks of all packages by the id of their obligation. Raises ValueError when two judge one, or one judges nothing."""
    found: dict[str, Check] = {}
    for duty in DUTIES:
        if not duty.checks:
            continue
        for obligation, check in import_module(duty.checks).CHECKS.items():
            if obligation in found or obligation not in shipped_catalogue().obligations:
                raise ValueError(f"{duty.checks}: {obligation} is judged twice or is no obligation")
            found[obligation] = check
    return found


def judge_all(now: datetime) -> dict[str, list[Light]]:
    """Return the lights of every service that is published, each in the order of the Measures."""
    known: dict[str, Any] = {}
    return {each.id: judge_service(each.id, now, known) for each in settings_now().services}


def judge_service(service: str, now: datetime, known: dict[str, Any] | None = None) -> list[Light]:
    """Return the lights of one service for the duties of providers, by the law of this Beijing day. `known` is shared by one judging."""
    profile = flow.profile_of(service)
    answers = flow.read_answers(profile.answers) if profile else {}
    case = Case(service, now, answers, {} if known is None else known, profile=profile.id if profile else "")
    bindings = list_bindings(shipped_catalogue(), answers, now.astimezone(BEIJING).date())
    return [Light(service, each, judge(each, case)) for each in bindings if each.obligation.binds_provider]


def judge(binding: Binding, case: Case) -> Finding:
    """Return the state of one duty."""
    obligation = binding.obligation
    if binding.binds == "no":
        return Finding("not_applicable", _not_bound(binding))
    check = all_checks().get(obligation.id)
    if check is not None:
        return _checked(check, case, obligation)
    if obligation.person is not None:
        return _attested(obligation, obligation.person, case)
    missing = obligation.missing or Words("没有检查", "No check")
    return Finding("not_built", Words(f"未建：{missing.zh}", f"Not built: {missing.en}"))


def _not_bound(binding: Binding) -> Words:
    """Return why a duty does not bind; what the Measures do not reach, other laws may."""
    catalogue = shipped_catalogue()
    facts = [(question_of(each, catalogue), answers_of(each, catalogue)) for each in binding.because]
    zh = "依服务画像不适用：" + "；".join(f"{question.zh}——{given.zh}" for question, given in facts)
    en = "Does not bind, by the profile: " + "; ".join(f"{question.en} – {given.en}" for question, given in facts)
    hooks = [each for each in binding.obligation.hooks if each.law != MEASURES]
    statutes = [(shipped_catalogue().statutes[each.law], each.at) for each in hooks]
    others = [(each.title, at) for each, at in statutes if each.rank in ("law", "regulation")]
    if others and any(each.fact == "covered" for each in binding.because):
        zh += "；仍须遵守：" + "、".join(f"{title.zh} {at}".strip() for title, at in others)
        en += "; still to be kept: " + ", ".join(f"{title.en} {at}".strip() for title, at in others)
    return Words(zh, en)


def _checked(check: Check, case: Case, obligation: Obligation) -> Finding:
    try:
        return check(case)
    except GuijuError as error:
        return Finding("needs_person", Words(f"检查未能完成：{error.text('zh')}", f"The check could not be done: {error.text('en')}"))
    except Exception as error:  # a check that fails must not take the board with it, and is no "met"
        logger.exception("the check of %s failed", obligation.id)
        name = type(error).__name__
        return Finding("needs_person", Words(f"检查未能完成：{name}", f"The check could not be done: {name}"))


def _attested(obligation: Obligation, why: Words, case: Case) -> Finding:
    found = flow.attestation_of(case.service, obligation.id)
    if found is None:
        return Finding("needs_person", Words(f"须由人判断：{why.zh}", f"A person must judge: {why.en}"))
    proof = (Proof("record", found.record), Proof("attestation", found.id))
    if not flow.is_on_record(found, case.now):
        said = Words("声明或其文件与留下的记录不符，须重新声明", "The attestation or its document is not what its record says; attest anew")
        return Finding("breach", said, proof)
    if found.made_at.astimezone(BEIJING).date() < obligation.since:
        said = Words(
            f"义务自 {obligation.since} 起变更，声明在此之前，须重新声明", f"The duty is another since {obligation.since}; attest anew"
        )
        return Finding("overdue", said, proof)
    until = last_moment(found.expires_at)[:10]
    if found.expires_at <= case.now:
        return Finding("overdue", Words(f"声明已于 {until} 到期", f"The attestation ended on {until}"), proof, found.expires_at)
    said = Words(f"{found.made_by} 声明，至 {until}", f"Attested by {found.made_by} until {until}")
    return Finding("due" if found.expires_at - case.now <= EXPIRES_SOON else "met", said, proof, found.expires_at)


def list_notices(now: datetime) -> list[Words]:
    """Return what concerns the whole board and no single light: a year without a calendar, settings that wait to be published."""
    return [each for each in (calendar_notice(now), _unpublished_notice()) if each is not None]


def _unpublished_notice() -> Words | None:
    file: Path = settings.SETTINGS_FILE
    if not awaits_publishing(settings.DATA_FOLDER, file):
        return None
    mistakes = find_mistakes(settings.DATA_FOLDER, file)
    if mistakes:
        first = mistakes[0]
        return Words(
            f"{file.name} 有错误，未生效；灯依已发布的设置计算。{first.text('zh')}",
            f"{file.name} has a mistake and is not in force; lights are those of what was published. {first.text('en')}",
        )
    return Words(
        f"{file.name} 自上次发布后有改动，尚未生效；灯依已发布的设置计算。请运行 guiju publish。",
        f"{file.name} was changed since it was published, and the change is not in force; lights are those of what was published. Run guiju publish.",
    )


def calendar_notice(now: datetime) -> Words | None:
    """Return what is to be done about a year without a holiday notice that periods reach, or will soon; None when there is none."""
    year = missing_year(now.astimezone(BEIJING).date(), settings_now().calendar.work_calendar())
    if year is None:
        return None
    error = GuijuError(CALENDAR_GAP, year=year)
    return Words(error.text("zh"), error.text("en"))


def count_states(lights: list[Light]) -> dict[Status, int]:
    """Return how many lights are in which state, the gravest first; states without a light are there with 0."""
    counts: dict[Status, int] = dict.fromkeys(GRAVEST, 0)
    for each in lights:
        counts[each.status] += 1
    return counts


def next_deadlines(lights: list[Light], limit: int = 10) -> list[tuple[datetime, Light]]:
    """Return the deadlines of lights that bind, the earliest first."""
    dated = [(each.finding.due_at, each) for each in lights if each.finding.due_at is not None]
    return sorted(dated, key=lambda each: (each[0], each[1].obligation.id))[:limit]
