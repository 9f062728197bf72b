"""The catalogue, what guiju does about it, and the lights, in NIST's OSCAL: for tools that compare frameworks. Pure.

The identifiers are made of the names, so that the same catalogue gives the same document.
"""

from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from guiju.obligations.finding import Check, Finding
from guiju.obligations.judging import Light
from guiju.obligations.values import Catalogue, Obligation, Words

VERSION: Final = "1.1.3"
SPACE: Final = "urn:guiju:oscal"
"""Name space of our own properties; nothing is fetched from it."""
_ROOT: Final = uuid5(NAMESPACE_URL, SPACE)
_STATES: Final = {"met": "satisfied"}


def catalog_document(catalogue: Catalogue, on: date) -> dict[str, Any]:
    """Return the Measures of a Beijing day as an OSCAL catalog: a group for each chapter and article, a control for each duty."""
    force = catalogue.in_force(on)
    groups = []
    for chapter in catalogue.chapters:
        articles = []
        for number, title in chapter.articles.items():
            controls = [_control(each) for each in force.values() if each.article == number]
            articles.append(
                {"id": f"article-{number}", "title": f"第 {number} 条 {title.zh} / Article {number}: {title.en}", "controls": controls}
            )
        groups.append(
            {"id": f"chapter-{chapter.number}", "title": _both(chapter.title), "groups": [each for each in articles if each["controls"]]}
        )
    statutes = [
        {"uuid": _id("statute", each.id), "title": _both(each.title), "props": [_prop("rank", each.rank)], "description": f"{each.id}, in force since {each.versions[-1].since}"}
        for each in catalogue.statutes.values()
    ]  # fmt: skip
    return {
        "catalog": {
            "uuid": _id("catalog", catalogue.version),
            "metadata": _metadata("生成式人工智能服务管理暂行办法 / Interim Measures for Generative AI Services", catalogue.version, on),
            "groups": groups,
            "back-matter": {"resources": statutes},
        }
    }


def component_document(catalogue: Catalogue, checks: dict[str, Check], on: date) -> dict[str, Any]:
    """Return what guiju does about each duty of providers, as an OSCAL component definition; what is not built says so."""
    requirements = []
    for each in catalogue.in_force(on).values():
        if not each.binds_provider:
            continue
        check = checks.get(each.id)
        judged = f"{check.__module__}.{check.__name__}" if check else "person" if each.person else "not-built"
        said = " ".join(_both(words) for words in (each.now, each.missing, each.person) if words) or "—"
        requirements.append(
            {
                "uuid": _id("requirement", catalogue.version, each.id),
                "control-id": _token(each.id),
                "description": said,
                "props": [_prop("judged-by", judged), _prop("package", each.package)],
            }
        )
    return {
        "component-definition": {
            "uuid": _id("component-definition", catalogue.version),
            "metadata": _metadata("guiju 规矩", catalogue.version, on),
            "components": [
                {
                    "uuid": _id("component"),
                    "type": "software",
                    "title": "guiju",
                    "description": "The Measures as running software.",
                    "control-implementations": [
                        {
                            "uuid": _id("implementation", catalogue.version),
                            "source": f"#{_id('catalog', catalogue.version)}",
                            "description": "What guiju does about each duty of providers today.",
                            "implemented-requirements": requirements,
                        }
                    ],
                }
            ],
            "back-matter": {"resources": [_resource("catalog", catalogue.version)]},
        }
    }


def results_document(catalogue: Catalogue, lights: dict[str, list[Light]], now: datetime) -> dict[str, Any]:
    """Return the lights of every service as OSCAL assessment results, one result for each service.

    `satisfied` is what is met, and nothing else; what does not bind is left out; the state itself is a property of its finding.
    """
    return {
        "assessment-results": {
            "uuid": _id("results", now.isoformat()),
            "metadata": _metadata("guiju check", catalogue.version, now.date()),
            "import-ap": {"href": f"#{_id('plan')}"},
            "results": [_result(service, own, now) for service, own in lights.items()],
            "back-matter": {
                "resources": [
                    {"uuid": _id("plan"), "title": "guiju check", "description": "Every duty of providers, judged from records and state."},
                ]
            },
        }
    }


def _result(service: str, lights: list[Light], now: datetime) -> dict[str, Any]:
    bound = [each for each in lights if each.status != "not_applicable"]
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    result: dict[str, Any] = {
        "uuid": _id("result", service, at),
        "title": service,
        "description": f"Duties of providers for the service {service}.",
        "start": at,
        "end": at,
        "reviewed-controls": {"control-selections": [{"include-controls": [{"control-id": _token(each.obligation.id)} for each in bound]}] if bound else [{"include-all": {}}]},
    }  # fmt: skip
    if bound:
        result["observations"] = [_observation(service, each, at) for each in bound]
        result["findings"] = [_finding(service, each, at) for each in bound]
    return result


def _observation(service: str, light: Light, at: str) -> dict[str, Any]:
    finding = light.finding
    observed: dict[str, Any] = {
        "uuid": _id("observation", service, light.obligation.id, at),
        "description": _both(finding.reason),
        "methods": ["TEST"] if finding.evidence else ["EXAMINE"],
        "collected": at,
    }
    if finding.evidence:
        observed["relevant-evidence"] = [
            {"description": f"{each.what} {each.id}", "props": [_prop(_token(each.what), each.id)]} for each in finding.evidence
        ]
    return observed


def _finding(service: str, light: Light, at: str) -> dict[str, Any]:
    return {
        "uuid": _id("finding", service, light.obligation.id, at),
        "title": f"{light.obligation.id} {_both(light.obligation.title)}",
        "description": _both(light.finding.reason),
        "props": [_prop("state", light.status), *_due(light.finding)],
        "target": {
            "type": "objective-id",
            "target-id": _token(light.obligation.id),
            "status": {"state": _STATES.get(light.status, "not-satisfied"), "reason": light.status},
        },
        "related-observations": [{"observation-uuid": _id("observation", service, light.obligation.id, at)}],
    }


def _due(finding: Finding) -> list[dict[str, str]]:
    return [_prop("due-at", finding.due_at.isoformat(timespec="seconds"))] if finding.due_at else []


def _control(each: Obligation) -> dict[str, Any]:
    token = _token(each.id)
    parts = [{"id": f"{token}_smt", "name": "statement", "prose": _both(each.duty)}]
    for name, words in (("trigger", each.trigger), ("evidence", each.evidence)):
        if words:
            parts.append({"id": f"{token}_{name}", "name": "guidance", "ns": SPACE, "title": name, "prose": _both(words)})
    links = [{"href": f"#{_id('statute', hook.law)}", "rel": "reference", "text": f"{hook.law} {hook.at}".strip()} for hook in each.hooks]
    return {
        "id": token,
        "class": "obligation",
        "title": _both(each.title),
        "props": [
            {"name": "label", "value": each.id},
            _prop("certainty", each.mark),
            _prop("in-force-since", each.since.isoformat()),
            _prop("version", str(each.version)),
            *[_prop("binds", who) for who in each.who],
            *[_prop("clock", name) for name in each.clocks],
            *[_prop("penalty", name) for name in each.penalties],
        ],
        "parts": parts,
        **({"links": links} if links else {}),  # OSCAL takes no empty list
    }


def _metadata(title: str, version: str, on: date) -> dict[str, Any]:
    return {
        "title": title,
        "last-modified": datetime(on.year, on.month, on.day, tzinfo=UTC).isoformat(),
        "version": version,
        "oscal-version": VERSION,
    }


def _resource(what: str, version: str) -> dict[str, str]:
    return {"uuid": _id(what, version), "title": f"{what} {version}"}


def _prop(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": SPACE, "value": value}


def _both(words: Words) -> str:
    return f"{words.zh} / {words.en}"


def _token(text: str) -> str:
    return text.lower().replace("_", "-")


def _id(*names: str) -> str:
    """Return a version 4 look-alike made of the names: OSCAL takes no others, and the same names give the same."""
    raw = bytearray(uuid5(_ROOT, "\0".join(names)).bytes)
    raw[6] = raw[6] & 0x0F | 0x40
    return str(UUID(bytes=bytes(raw)))
