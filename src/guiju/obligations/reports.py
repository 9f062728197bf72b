"""The lights for programs: JSON, JUnit for build servers, and annotations for GitHub's. Pure."""

from typing import Any, Final
from xml.etree import ElementTree

from guiju.core.clock import BEIJING
from guiju.obligations.finding import Finding, Status
from guiju.obligations.judging import Light

FAILING: Final[frozenset[Status]] = frozenset({"breach", "overdue"})
"""States that fail a release."""
_LEVELS: Final[dict[Status, str]] = {"breach": "error", "overdue": "error", "due": "warning", "needs_person": "notice"}
SKIPPED: Final[frozenset[Status]] = frozenset({"not_applicable", "not_built", "needs_person"})


def as_json(lights: list[Light]) -> list[dict[str, Any]]:
    """Return each light as plain values, in order."""
    return [
        {
            "service": each.service,
            "id": each.obligation.id,
            "article": each.obligation.article,
            "version": each.obligation.version,
            "title": {"zh": each.obligation.title.zh, "en": each.obligation.title.en},
            "package": each.obligation.package,
            "binds": each.binding.binds,
            "because": [{"fact": one.fact, "wanted": list(one.wanted), "given": list(one.given)} for one in each.binding.because],
            "status": each.status,
            "reason": {"zh": each.finding.reason.zh, "en": each.finding.reason.en},
            "evidence": [{"what": one.what, "id": one.id} for one in each.finding.evidence],
            "due_at": _due(each.finding),
        }
        for each in lights
    ]


def as_rows(lights: list[Light], language: str) -> list[tuple[str, ...]]:
    """Return each light as (service, state, id, last day, title, reason); the state is the word that `as_json` gives, the day empty for none."""
    return [
        (
            each.service, each.status, each.obligation.id, (_due(each.finding) or "")[:10], each.obligation.title.in_language(language),
            each.finding.reason.in_language(language),
        )
        for each in lights
    ]  # fmt: skip


def as_junit(lights: list[Light]) -> bytes:
    """Return JUnit XML: a suite for each service, a case for each duty; overdue and breach fail, what nobody judges is skipped."""
    root = ElementTree.Element("testsuites", name="guiju check")
    for service in dict.fromkeys(each.service for each in lights):
        own = [each for each in lights if each.service == service]
        suite = ElementTree.SubElement(
            root, "testsuite", name=service, tests=str(len(own)), failures=str(sum(each.status in FAILING for each in own)),
            skipped=str(sum(each.status in SKIPPED for each in own)),
        )  # fmt: skip
        for each in own:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"guiju.{each.obligation.package}", name=f"{each.obligation.id} {each.obligation.title.en}"
            )
            if each.status in FAILING:
                ElementTree.SubElement(case, "failure", type=each.status, message=each.finding.reason.en).text = each.finding.reason.zh
            elif each.status in SKIPPED:
                ElementTree.SubElement(case, "skipped", message=f"{each.status}: {each.finding.reason.en}")
            elif each.status == "due":
                ElementTree.SubElement(case, "system-out").text = f"due {_due(each.finding)}: {each.finding.reason.en}"
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def as_annotations(lights: list[Light]) -> str:
    """Return GitHub's workflow commands, one line for each light that is neither met, built nor due."""
    lines = [
        f"::{_LEVELS[each.status]} title={_property(f'{each.obligation.id} {each.obligation.title.en} ({each.service})')}::"
        + _message(f"{each.status}: {each.finding.reason.en}")
        for each in lights
        if each.status in _LEVELS
    ]
    return "".join(f"{line}\n" for line in lines)


def _due(finding: Finding) -> str | None:
    return finding.due_at.astimezone(BEIJING).isoformat(timespec="minutes") if finding.due_at else None


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
