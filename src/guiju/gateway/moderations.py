"""`POST /v1/moderations`: texts are examined and nothing else is done with them; OpenAI's shape, with the 31 risks beside its categories.

What was not examined is never answered as safe: a category that nothing covers, and a part that is no text, are null.
Source: Measures Arts. 4, 14.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec

from guiju.core.errors import GuijuError
from guiju.gateway import errors
from guiju.gateway.call import LARGE_CHARACTERS, RECORD_BYTES, Call, field_invalid, log
from guiju.gateway.categories import NAMES, names_of
from guiju.gateway.causation import EXTENSION, examined
from guiju.gateway.guard import GuardClient
from guiju.gateway.guarding import Guarding, with_guards
from guiju.gateway.live import LiveService
from guiju.screening.attacks import CODES as KINDS
from guiju.screening.attacks import Kind
from guiju.screening.classifier.coverage import COVERAGE, not_covered
from guiju.screening.classifier.judge import RULE_PREFIX
from guiju.screening.examiner import Examiner
from guiju.screening.personal.detectors import CODES
from guiju.screening.personal.finds import screen_for
from guiju.screening.values import ENDS, PASS, Direction, Policy, Verdict
from guiju.screening.view import paths

INPUTS_AT_MOST: Final = 1_024
"""Each input has a result of some kilobytes."""
MODEL: Final = "guiju-screening-"
_BLOCKS: Final = 1.0
_FLAGS: Final = 0.5
_ENCODE: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Found:
    """What became of the inputs: a verdict and the parts that are no text for each result."""

    direction: Direction = "input"
    verdicts: list[Verdict] = field(default_factory=list)
    unread: list[list[dict[str, object]]] = field(default_factory=list)


class Moderation(Call):
    """One request for moderation on its way through."""

    _found = _Found()  # replaced whole, never changed
    _model = ""
    _guarding: Guarding | None = None

    async def _serve(self) -> None:
        live_service = self._authenticate()
        service = self._service = live_service.service
        request = await self._request()
        self._name(request)
        model = request.get("model")
        if not isinstance(model, (str, type(None))):
            raise field_invalid("model", "字符串", "a string")
        self._model = model or ""
        direction = _direction(request.get(EXTENSION))
        inputs, unread = _inputs(request.get("input"))
        # Before anything is done for nothing: room for the record that is to come.
        self.gateway.spool.refuse_if_full(len(self._body) + RECORD_BYTES)
        verdicts = await self._examine(inputs, direction, service.policy)
        guarded = frozenset[str]()
        if live_service.guards and service.guard.moderations == "on":
            verdicts = await self._ask_guards(live_service, inputs, direction, verdicts)
            guarded = names_covered(live_service.guards, direction)
        self._found = _Found(direction, verdicts, unread)
        examiner = self._examiner
        results = [
            _result(verdict, parts, examiner, direction, service.policy, [text for _, text in view], guarded)
            for verdict, parts, view in zip(verdicts, unread, inputs, strict=True)
        ]
        answer = _ENCODE({"id": f"modr-{self.id}", "model": MODEL + self._live.short_library, "results": results})
        await self._record("gateway.moderation.examined", self._metadata(), {"request": self._body})
        await self._reply(200, answer, [])

    async def _examine(self, inputs: list[list[tuple[str, str]]], direction: Direction, policy: Policy) -> list[Verdict]:
        """Return a verdict for each input. Raises NOT-EXAMINED where the policy stops for what could not be examined."""
        examiner = self._examiner

        def examine() -> list[Verdict]:
            return [examiner.examine_all(view, direction, policy) if view else PASS for view in inputs]

        try:
            large = sum(len(text) for view in inputs for _, text in view) >= LARGE_CHARACTERS
            return await asyncio.to_thread(examine) if large else examine()
        except Exception as problem:
            log.exception("input of %s could not be examined", self.id)
            broken = Verdict("could_not_examine", "refuse", (), type(problem).__name__)
            self._found = _Found(direction, [broken])
            if policy.could_not_examine == "stop":
                raise GuijuError(errors.NOT_EXAMINED, reason=broken.reason) from problem
            return [Verdict("could_not_examine", "deliver", (), broken.reason)] * len(inputs)

    async def _ask_guards(
        self, live_service: LiveService, inputs: list[list[tuple[str, str]]], direction: Direction, verdicts: list[Verdict]
    ) -> list[Verdict]:
        """Return the verdicts with what guards say; a text that a guard did not examine is flagged where the service stops for that."""
        use = live_service.service.guard
        guarding = self._guarding = Guarding(live_service.guards, use, live_service.service.policy)
        try:
            found = await asyncio.gather(*(guarding.examine_view(direction, view) for view in inputs))
        finally:
            guarding.close()
        stops = use.could_not_examine == "stop"
        return [with_guards(verdict, each, stops=stops) for verdict, each in zip(verdicts, found, strict=True)]

    @property
    def _examiner(self) -> Examiner:
        uses = self._service is not None and self._service.classifier != "off"
        return Examiner(self._live.snapshot, True, self._live.classifier if uses else None)

    async def _fail(self, error: GuijuError) -> None:
        self.deadline = 0.0
        error.facts.setdefault("record", self.id)
        error.facts.setdefault("reason", "")
        if self._closed:
            return  # its record is written; only the client's connection failed
        metadata = self._metadata() | {"error": error.code.code, "status": error.code.status, "detail": str(error.facts["reason"])[:300]}
        await self._refuse("gateway.request.rejected", error, error.code.status, metadata, self._kept(error))

    def _metadata(self) -> dict[str, object]:
        found = self._found
        hits = tuple(hit for verdict in found.verdicts for hit in verdict.hits)
        outcomes = {verdict.outcome for verdict in found.verdicts}
        outcome = next((each for each in ("hit", "could_not_examine") if each in outcomes), "pass")
        reason = next((verdict.reason for verdict in found.verdicts if verdict.reason), "")
        gravest: Verdict = Verdict(outcome, "deliver", hits, reason)  # type: ignore[arg-type]  # one of the outcomes
        told = self._guarding.told() if self._guarding is not None else {}
        return ({"guard": told} if told else {}) | {
            "bundle": self._live.short_digest,
            "library": self._live.short_library,
            "classifier": examiner.classifier.version[:16] if (examiner := self._examiner).classifier is not None else "",
            "model": self._model[:100],
            "duration_us": int((time.monotonic() - self.begun) * 1_000_000),
            "direction": found.direction,
            "inputs": len(found.verdicts),
            "flagged": sum(verdict.action in ENDS for verdict in found.verdicts),
            "parts_not_examined": sum(map(len, found.unread)),
            "input": examined(gravest, len(self._body)),
        }


def _direction(told: object) -> Direction:
    """Return how the texts are to be examined: as inputs, unless the field `guiju` says that they are answers."""
    if told is None:
        return "input"
    if isinstance(told, dict) and set(told) <= {"direction"}:
        direction = told.get("direction", "input")
        if direction == "input" or direction == "output":
            return direction  # type: ignore[no-any-return]  # one of the two
    raise field_invalid(EXTENSION, '{"direction": "input" 或 "output"}', '{"direction": "input" or "output"}')


def _inputs(value: object) -> tuple[list[list[tuple[str, str]]], list[list[dict[str, object]]]]:
    """Return for each result to come the view of its texts, and the parts that are no text. Raises FIELD-INVALID.

    A string has one result, each string of an array its own, the content parts of an array one together: as in OpenAI's API.
    """
    if isinstance(value, str):
        return [[("input", value)]], [[]]
    if isinstance(value, list) and 0 < len(value) <= INPUTS_AT_MOST:
        if all(isinstance(each, str) for each in value):
            return [[(f"input[{index}]", each)] for index, each in enumerate(value)], [[] for _ in value]
        if all(isinstance(each, dict) and isinstance(each.get("type"), str) for each in value):
            for index, part in enumerate(value):
                if part["type"] == "text" and not isinstance(part.get("text"), str):
                    raise field_invalid(f"input[{index}].text", "字符串", "a string")
            unread: list[dict[str, object]] = [
                {"index": index, "type": part["type"][:100]} for index, part in enumerate(value) if part["type"] != "text"
            ]
            try:
                return [paths({"input": value})], [unread]
            except RecursionError:
                raise GuijuError(errors.BODY_NOT_JSON, reason="nested too deeply") from None
    raise field_invalid(
        "input",
        f"字符串、字符串数组或内容片段数组（至多 {INPUTS_AT_MOST} 项）",
        f"a string, an array of strings or an array of content parts (at most {INPUTS_AT_MOST})",
    )


def _result(
    verdict: Verdict, unread: Sequence[dict[str, object]], examiner: Examiner, direction: Direction, policy: Policy, texts: Sequence[str],
    guarded: frozenset[str] = frozenset(),
) -> dict[str, Any]:  # fmt: skip
    """Return one result. Null is what nothing examined; `flagged` is true for what the policy does not let through."""
    whole = verdict.outcome != "could_not_examine" and not unread
    covered = _covered(examiner, direction) | guarded if whole else frozenset[str]()
    judged = examiner.scores(texts) if verdict.outcome != "could_not_examine" else {}
    categories: dict[str, bool | None] = dict.fromkeys(NAMES)
    scores: dict[str, float | None] = dict.fromkeys(NAMES)
    for name in NAMES:
        if name in covered:
            categories[name], scores[name] = False, 0.0
        if whole and (groups := judged.keys() & _groups(name)):
            scores[name] = max(judged[group] for group in groups)
    for hit in verdict.hits:
        if hit.rule.startswith(("PI-", "PA-", RULE_PREFIX)):
            continue  # told by kind, or by group: which of the risks it is nobody said
        for name in names_of(hit.risk):
            scores[name] = max(scores[name] or 0.0, _BLOCKS if hit.severity == "block" else _FLAGS)
            categories[name] = bool(categories[name]) or hit.action in ENDS
    flagged: bool | None = verdict.action in ENDS
    if not (flagged or whole):
        flagged = True if policy.could_not_examine == "stop" else None
    found = {hit.rule for hit in verdict.hits}
    looked_for = {detector.code for detector, _ in screen_for(policy, direction).active} if whole and examiner.detectors else set()
    listened_for = {kind.code for kind in KINDS.values() if _is_listened_for(kind, policy)} if whole and direction == "input" else set()
    classifier = examiner.classifier
    return {
        "flagged": flagged,
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": {name: [] if value is None else ["text"] for name, value in categories.items()},
        "outcome": verdict.outcome if verdict.hits or whole else "could_not_examine",
        "not_covered": [name for name, value in categories.items() if value is None],
        "not_examined": list(unread),
        "personal_information": {code: True if code in found else False if code in looked_for else None for code in CODES},
        "prompt_attacks": {code: True if code in found else False if code in listened_for else None for code in KINDS},
        "classifier": None
        if classifier is None or not judged
        else {
            "version": classifier.version[:16],
            "scores": judged,
            "finds": sorted((hit.rule, hit.confidence) for hit in verdict.hits if hit.rule.startswith(RULE_PREFIX)),
            "not_covered": [risk.id for risk in not_covered()],
        },
    }


def _is_listened_for(kind: Kind, policy: Policy) -> bool:
    """Tell whether a policy wants to know of an attack of this kind by a person; what only tools and documents bring is not looked for."""
    return not kind.only_given and (policy.attack_on_input.get(kind.code) or policy.attack_on_input.get("*")) != "pass"


def names_covered(guards: Sequence[GuardClient], direction: Direction) -> frozenset[str]:
    """Return the names that the categories of these guards stand for."""
    risks = {risk for guard in guards if guard.looks_at(direction) for each in guard.form.risks.values() for risk in each}
    return frozenset(name for risk in risks for name in names_of(risk))


@lru_cache(maxsize=16)
def _covered(examiner: Examiner, direction: Direction) -> frozenset[str]:
    """Return the names that the library says something about in this direction, or the classifier and not in part only."""
    risks = {entry.risk for entry in examiner.snapshot.entries if entry.direction in ("both", direction)}
    if examiner.classifier is not None:
        risks |= {risk for risk, coverage in COVERAGE.items() if coverage.level == "covered"}
    return frozenset(name for risk in risks for name in names_of(risk))


@lru_cache(maxsize=64)
def _groups(name: str) -> frozenset[str]:
    """Return the groups of the risks that a name speaks of and the classifier covers, in part at least: their scores are its score."""
    risks = [risk for risk in COVERAGE if name in names_of(risk) and COVERAGE[risk].level != "not covered"]
    return frozenset(risk[:3] for risk in risks)
