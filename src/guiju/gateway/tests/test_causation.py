"""The causation record: what it says of an answer, and what it must not say.

Guarded lines: `_plain` (people's words would stand in clear), `key=key` in `fingerprint` (anybody could try out guesses),
`request.pop(EXTENSION)` in `exchange.py` (the upstream would be told what is ours), `_sent` before the hits are taken out.
"""

import json
from typing import Any

import msgspec
import pytest

from guiju.core.canonical import canonical_json
from guiju.core.errors import GuijuError
from guiju.core.fingerprint import fingerprint
from guiju.gateway.causation import NOTHING_TOLD, Told, cause, examined, read_told
from guiju.gateway.tests.client import hear
from guiju.gateway.tests.rig import KEYS, ScriptedUpstream, Site, Worker
from guiju.records.entry import Entry
from guiju.records.meanings import meaning_of
from guiju.screening.values import Hit, Verdict

KEY = bytes(range(32))
SECRET = "张三的病历：高血压"
REQUEST: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "你是客服。"},
        {"role": "developer", "content": [{"type": "text", "text": "简短。"}]},
        {"role": "user", "content": SECRET},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": SECRET},
    ],
    "tools": [{"type": "function", "function": {"name": "look_up"}}, {"type": "function", "function": {"name": SECRET}}, 7],
    "temperature": 0.7,
    "seed": 2**60,
    "top_p": 1,
    "n": None,
    "reasoning_effort": "high",
    "frequency_penalty": SECRET,
    "user": SECRET,
}
TOLD = {
    "application": "helpdesk 3.2",
    "channel": "web",
    "conversation": "c-17",
    "turn": "4",
    "retrieval": [{"id": "manual-12", "version": "2026-05", "sha256": "9f86", "score": 0.83}, {"id": "manual-13"}],
}


def test_what_is_known_of_a_request() -> None:
    found = cause({"model": "m", **REQUEST}, read_told(TOLD), KEY, "chat")
    assert found == {
        "decoding": {"temperature": "0.7", "seed": "(sealed)", "top_p": 1, "reasoning_effort": "high", "frequency_penalty": "(sealed)"},
        "messages": 5,
        "system_prompt": fingerprint(KEY, "chat", "你是客服。\n简短。"),
        "tool_results": [{"call": "c1", "result": fingerprint(KEY, "chat", SECRET)}],
        "tools": ["look_up", "(sealed)", "(sealed)"],
        "application": {
            "application": "helpdesk 3.2",
            "channel": "web",
            "conversation": "c-17",
            "turn": "4",
            "retrieval": [{"id": "manual-12", "version": "2026-05", "sha256": "9f86", "score": "0.83"}, {"id": "manual-13"}],
        },
    }
    assert SECRET not in canonical_json(found).decode()


def test_a_fingerprint_tells_texts_apart_and_says_nothing_without_the_key() -> None:
    one = fingerprint(KEY, "chat", "你好")
    assert one == fingerprint(KEY, "chat", "你好")
    assert len(one) == 32
    others = {
        fingerprint(KEY, "chat", "你好 "),
        fingerprint(KEY, "talk", "你好"),
        fingerprint(bytes(32), "chat", "你好"),
        fingerprint(KEY, "chat", ""),
        fingerprint(KEY, "chat", "\ud800"),
    }
    assert len(others | {one}) == 6


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        "x",
        {"conversation": 1},
        {"unknown": "x"},
        {"retrieval": [{"version": "1"}]},
        {"retrieval": [{"id": "x"}] * 201},
        {"turn": "x" * 201},
        {"retrieval": [{"id": "x", "score": [1]}]},
    ],
)
def test_what_an_application_tells_wrongly_is_refused(wrong: object) -> None:
    with pytest.raises(GuijuError) as caught:
        read_told(wrong)
    assert caught.value.code.code == "FIELD-INVALID"
    assert caught.value.facts["param"] == "guiju"


def test_nothing_told_is_nothing_said() -> None:
    assert read_told({}) == NOTHING_TOLD == Told()
    assert "tools" not in cause({"messages": [{"role": "user", "content": "x"}]}, NOTHING_TOLD, KEY, "chat")


def metadata(site: Site, reply: Any) -> tuple[Entry, dict[str, Any]]:
    entry = site.closing(reply.headers["x-request-id"])
    canonical_json(entry.metadata)  # no floats, nothing that a record cannot hold
    return entry, entry.metadata


def leaves(value: Any, name: str = "") -> list[str]:
    """Return the dotted names of what is no object; findings have a table of their own."""
    if not isinstance(value, dict):
        return [name]
    return [leaf for key, inner in value.items() if key != "hits" for leaf in leaves(inner, f"{name}.{key}" if name else key)]


@pytest.mark.parametrize("streams", [False, True])
def test_every_answer_has_its_cause_on_record(worker: Worker, site: Site, upstream: ScriptedUpstream, streams: bool) -> None:
    key = site.bundle.pseudonym_key
    sent = {"messages": REQUEST["messages"], "tools": REQUEST["tools"][:1], "temperature": 0.7, "guiju": TOLD, "user": "u"}
    reply = worker.chat("public", stream=streams, key=KEYS["bare"], **sent)
    assert reply.status == 200
    text = hear(reply.body).text() if streams else reply.json["choices"][0]["message"]["content"]
    entry, found = metadata(site, reply)
    assert entry.kind == "gateway.answer.delivered"
    assert found["source"] == {"name": "up", "model": "internal", "answered_as": "internal", "answer": "chatcmpl-up"}
    assert found["model"] == "public"
    assert found["cause"]["decoding"] == {"temperature": "0.7"}
    assert found["cause"]["application"]["retrieval"][0]["id"] == "manual-12"
    assert found["cause"]["tool_results"] == [{"call": "c1", "result": fingerprint(key, "bare", SECRET)}]
    assert found["output"]["texts"] == [fingerprint(key, "bare", text)]
    assert SECRET not in canonical_json(found).decode()
    assert [name for name in leaves(found) if meaning_of(name) is None] == []  # pages have a name for each
    assert "guiju" not in upstream.calls[-1].request
    sealed = msgspec.msgpack.decode(entry.content)
    if not streams:
        assert json.loads(sealed["request"])["guiju"] == TOLD  # as it came


def test_a_stopped_answer_tells_which_notice_stood_in_for_it(worker: Worker, site: Site) -> None:
    key = site.bundle.pseudonym_key
    for streams in (False, True):
        reply = worker.chat("strays", stream=streams, headers={"Accept-Language": "en"})
        entry, found = metadata(site, reply)
        assert entry.kind == "gateway.answer.stopped"
        assert found["notice"] == {"id": "stop", "language": "en"}
        assert found["output"]["outcome"] == "hit"
        content = msgspec.msgpack.decode(entry.content)["answer"]
        model_said = content["choices[0].content"] if streams else json.loads(content)["choices"][0]["message"]["content"]
        assert found["output"]["texts"] == [fingerprint(key, "main", model_said)]


def test_what_the_provider_registered_and_the_supplier_s_number_are_on_record(own_site: Site, start: list[Worker], tmp_path: Any) -> None:
    hasty, closed, up = (next(each for each in own_site.bundle.upstreams if each.name == name) for name in ("hasty", "closed", "up"))
    registered = msgspec.structs.replace(
        up,
        supplier="示例模型公司",
        model_version={"numbered": "2.1"},
        weights_sha256={"numbered": "ab" * 32},
        filing_number={"numbered": "X-2026-1", "other": "X-2026-2"},
    )
    own_site.publish(msgspec.structs.replace(own_site.bundle, upstreams=(hasty, closed, registered)))
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    _, found = metadata(own_site, worker.chat("numbered"))
    assert found["source"] == {
        "name": "up",
        "model": "numbered",
        "answered_as": "internal",
        "answer": "chatcmpl-up",
        "supplier": "示例模型公司",
        "version": "2.1",
        "weights_sha256": "ab" * 32,
        "filing_number": "X-2026-1",
        "request_id": "req_0815",
    }


def test_tools_that_the_model_called_are_named_and_their_arguments_are_not(worker: Worker, site: Site) -> None:
    for streams in (False, True):
        _, found = metadata(site, worker.chat("calls_tools", stream=streams))
        calls = found["output"]["tool_calls"]
        assert [(call["id"], call["name"]) for call in calls] == [("call_1", "weather"), ("call_2", "weather")]
        key = site.bundle.pseudonym_key
        assert [call["arguments"] for call in calls] == [
            fingerprint(key, "main", '{"city":"北京"}'),
            fingerprint(key, "main", '{"city":"上海"}'),
        ]


def test_a_record_lists_the_first_hits_and_says_how_many_there_are() -> None:
    hit = Hit("messages[0].content", 0, 2, "A.1.h", "kw-1", "flag", "deliver")
    few, many = (
        examined(Verdict("hit", "deliver", (*[hit] * count, msgspec.structs.replace(hit, more=more))), 9)
        for count, more in ((1, 0), (30, 70))
    )
    assert "hits_in_all" not in few
    assert (len(many["hits"]), many["hits_in_all"]) == (20, 101)  # type: ignore[arg-type]  # a list
