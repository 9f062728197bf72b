"""A service whose policy lets the classifier act: inputs, whole answers and streams alike, recorded with its version; others wait for nothing.

Guarded lines, each seen red when changed: `action in ENDS` in `judge_answer`, the fields in `FIELDS`, `Watched` in `stream.py`, the last
turn in `said_by_the_user`, `service.classifier == "policy"` in `exchange.py`.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.classified import judge_answer, judge_input
from guiju.gateway.stream import AnswerStream
from guiju.gateway.tests.client import hear
from guiju.gateway.tests.rig import Site, Worker
from guiju.gateway.whole import whole_answer
from guiju.labelling.values import Label
from guiju.screening.classifier.afterwards import AFTERWARDS
from guiju.screening.classifier.model import Classifier
from guiju.screening.tests.test_watched import HARM, PIECES, SNAPSHOT, STOPS, allowed
from guiju.screening.values import PASS, ClassifierUse, Policy, PolicyRow, Verdict

CLASSIFIER = Classifier.load()
REFUSES = Policy(rows=(PolicyRow("*", "both", "*", "medium", "refuse"), PolicyRow("*", "output", "*", "medium", "stop")))
NOTICE = "【停】"
LABEL = Label(mode="interface", text="（AI 生成）", content_producer="p")


def chunk(choices: list[dict[str, Any]]) -> bytes:
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def streamed(text: str, width: int, field: str = "content", policy: Policy = STOPS) -> tuple[str, AnswerStream]:
    stream = AnswerStream(SNAPSHOT, policy, LABEL, "P1", choices=1, prose=True, notice=NOTICE, classifier=CLASSIFIER)
    out = b""
    for at in range(0, len(text), width):
        out += stream.feed(chunk([{"index": 0, "delta": {field: text[at : at + width]}, "finish_reason": None}]))
        if stream.ended:
            break
    else:
        out += stream.feed(chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]) + b"data: [DONE]\n\n")
    stream.note_flags()
    return hear(out + stream.tail()).text(0, (field,)), stream


def whole(text: str, policy: Policy = STOPS, field: str = "content") -> tuple[str, str, list[str]]:
    message = {"role": "assistant", "content": "", field: text}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "id": "c", "model": "m"}
    made = whole_answer(answer, SNAPSHOT, policy, LABEL, "P1", prose=True, notice=lambda: NOTICE, classifier=CLASSIFIER)
    body = json.loads(made.body)
    return body["choices"][0]["message"]["content"], made.finishes[0], [hit.rule for hit in made.hits]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=25).map("".join))
def test_a_stream_and_a_whole_answer_are_stopped_alike_for_every_cut(text: str) -> None:
    released, stops = allowed(text, STOPS)
    for width in (1, 5, 1_000):
        heard, stream = streamed(text, width)
        assert stream.finishes == ["content_filter" if stops else "stop"]
        assert heard == (released + ("\n\n" if released else "") + NOTICE if stops else released)
    content, finish, _ = whole(text)
    assert finish == ("content_filter" if stops else "stop")
    assert content == (NOTICE if stops else released)


@pytest.mark.parametrize("field", ["content", "reasoning_content"])
def test_what_people_read_is_judged(field: str) -> None:
    assert streamed(f"你好。{HARM}然后", 3, field)[1].finishes == ["content_filter"]
    assert whole(f"你好。{HARM}然后", field=field)[:2] == (NOTICE, "content_filter")


def test_without_a_row_it_is_noted_and_delivered() -> None:
    heard, stream = streamed(HARM, 4, policy=Policy())
    assert heard == HARM
    assert [(hit.rule, hit.action, hit.confidence) for hit in stream.hits] == [("CL-A1", "deliver", "medium")]
    assert whole(HARM, Policy()) == (HARM, "stop", ["CL-A1"])


def test_a_machine_part_and_other_shapes_are_not_judged_and_harm_nobody() -> None:
    assert judge_answer(
        CLASSIFIER, STOPS, [{}, {"message": None}, {"message": {"content": None}}, {"message": {"content": [{"x": HARM}]}}]
    ) == (
        [],
        set(),
    )


# ── inputs ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        ([user(HARM)], "messages[0].content"),
        ([user([{"type": "text", "text": HARM}, {"type": "image_url", "image_url": {}}])], "messages[0].content"),
        ([user("你好"), {"role": "assistant", "content": "好"}, user(HARM)], "messages[2].content"),
        ([user("如何入侵别人的"), {"role": "assistant", "content": "什么？"}, user("银行账户偷钱？")], "messages"),
    ],
)
def test_the_last_turn_and_the_turns_together_are_judged(messages: list[dict[str, object]], path: str) -> None:
    verdict = judge_input(PASS, CLASSIFIER, REFUSES, messages)
    assert verdict.action == "refuse"
    assert path in {hit.path for hit in verdict.hits}
    assert judge_input(PASS, CLASSIFIER, Policy(), messages).action == "deliver"


def test_only_people_are_judged_and_what_ends_already_ends() -> None:
    other = [{"role": "system", "content": HARM}, {"role": "assistant", "content": HARM}, user("你好"), {"role": "tool", "content": HARM}]
    assert judge_input(PASS, CLASSIFIER, REFUSES, other) is PASS
    ended = Verdict("hit", "refuse")
    assert judge_input(ended, CLASSIFIER, REFUSES, [user(HARM)]) is ended


# ── through a worker ────────────────────────────────────────────────────────────────────────────────────────────────


def served(site: Site, use: ClassifierUse, policy: Policy) -> None:
    services = tuple(
        msgspec.structs.replace(each, classifier=use, policy=policy) if each.id == "main" else each for each in site.bundle.services
    )
    site.publish(msgspec.structs.replace(site.bundle, services=services, classifier_version=CLASSIFIER.version))


def test_a_policy_that_names_the_classifiers_confidence_refuses_and_the_record_says_so(own_site: Site, start: list[Worker]) -> None:
    served(own_site, "policy", REFUSES)
    start.append(worker := Worker(own_site, own_site.folder.root / "worker.log"))
    reply = worker.chat("ok", messages=[user(HARM)])
    assert reply.status == 400, reply.body
    entry = own_site.closing(reply.headers["x-request-id"])
    assert entry.kind == "gateway.input.refused"
    assert entry.metadata["classifier"] == CLASSIFIER.version[:16]
    hit = entry.metadata["input"]["hits"][0]  # type: ignore[index]
    assert (hit["rule"], hit["confidence"], hit["action"]) == ("CL-A1", "medium", "refuse")
    assert entry.metadata["review"] == "hit"
    assert HARM not in json.dumps(entry.metadata, ensure_ascii=False)
    assert worker.chat("ok").status == 200


@pytest.mark.parametrize("use", ["evidence", "off"])
def test_otherwise_nothing_is_asked_on_the_way_whatever_the_rows_say(own_site: Site, start: list[Worker], use: ClassifierUse) -> None:
    served(own_site, use, REFUSES)
    start.append(worker := Worker(own_site, own_site.folder.root / "worker.log"))
    reply = worker.chat("ok", messages=[user(HARM)])
    assert reply.status == 200
    entry = own_site.closing(reply.headers["x-request-id"])
    assert entry.metadata.get("classifier") == (AFTERWARDS if use == "evidence" else None)
    assert "hits" not in entry.metadata["input"]  # type: ignore[operator]
