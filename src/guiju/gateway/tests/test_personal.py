"""Personal information in answers is hidden, in inputs it is told, and in records it stands nowhere in clear.

The guarded lines: `Outlet` in `stream._text` (with a bare gate the first property goes red), `_give_logprobs`, `_hide` in `whole.py`,
`said` in both, `examine_messages` in `inputs.py`, `mask_all` in `exchange._harmless` and `causation.py`.
"""

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.stream import AnswerStream
from guiju.gateway.tests.client import Heard, Path, hear
from guiju.gateway.tests.rig import ScriptedUpstream, Site, Worker
from guiju.gateway.tests.scripts import Step, left_behind
from guiju.gateway.tests.upstreams import DONE, LAST, completion, either, event, refuse
from guiju.gateway.whole import WholeAnswer, whole_answer
from guiju.labelling.values import Label
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.personal.detectors.tests.samples import SAMPLES, cut, planted
from guiju.screening.personal.finds import NOTHING_SAID, Said, examine_messages, mask, screen_for
from guiju.screening.values import LibraryEntry, Policy

SNAPSHOT = Snapshot([LibraryEntry("kw-1", "赌博", "A.1.h")], "test")
LABEL = Label(mode="interface", content_producer="p")
MASKS = screen_for(Policy(), "output")
NOTICE = "【停】"
ID, HIDDEN = "11010519491231002X", "110***********002X"
FIELDS: tuple[Path, ...] = (("content",), ("reasoning_content",), ("x_note",), ("tool_calls", 0, "function", "arguments"))
MASKING = Policy()
STOPS = Policy(personal_on_output={"*": "stop"})


def nested(path: Path, text: str) -> dict[str, Any]:
    value: Any = text
    for step in reversed(path):
        value = [{"index": step, **value}] if isinstance(step, int) else {step: value}
    return value  # type: ignore[no-any-return]


def pour(stream: AnswerStream, pieces: list[bytes]) -> Heard:
    out = []
    for piece in pieces:
        out.append(stream.feed(piece))
        if stream.ended:
            break
    return hear(b"".join(out) + stream.tail())


def stream_of(policy: Policy, choices: int = 1, said: Said = NOTHING_SAID, *, machine: bool = False) -> AnswerStream:
    return AnswerStream(
        SNAPSHOT, policy, LABEL, "P1", choices=choices, prose=True, notice=NOTICE, said=said, machine=machine
    )  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_the_client_receives_what_masking_the_whole_would_give(seed: int, choices: int) -> None:
    """Several choices, several fields, each cut anywhere and mixed at random; `hear` fails when a log probability leaves early."""
    rng = random.Random(seed)
    whole: dict[tuple[int, Path], str] = {}
    queues = []
    for choice in range(choices):
        for path in rng.sample(FIELDS, rng.randint(1, 3)):
            text = planted(rng.randrange(2**32))
            if path[0] == "tool_calls":
                text = json.dumps({"note": text}, ensure_ascii=rng.random() < 0.5)
            whole[choice, path] = text
            queues.append([(choice, path, piece) for piece in cut(text, rng)])
    events, script = [], []
    while queues := [queue for queue in queues if queue]:
        choice, path, piece = rng.choice(queues).pop(0)
        script.append(Step(choice, path, piece))
        logprobs = {"content": [{"token": letter, "logprob": -0.5} for letter in piece]} if path == ("content",) else None
        events.append(event(nested(path, piece), None, choice) if logprobs is None else _with(nested(path, piece), choice, logprobs))
    events += [event({}, "stop", index) for index in range(choices)]
    stream = stream_of(Policy(), choices)
    heard = pour(stream, [*events, DONE])
    stream.note_flags()
    for (choice, path), text in whole.items():
        expected = mask(text, MASKS, NOTHING_SAID, machine=path[0] == "tool_calls")
        got = heard.text(choice, path)
        if got != expected.text:  # it came back after its tail had left (decision 0046): behind that it is masked as the whole is
            ends = [at for at in left_behind(script, choice)[path] if got[at:] == expected.text[at:]]
            assert any(got[:at] == mask(text[:at], MASKS, NOTHING_SAID, machine=path[0] == "tool_calls").text for at in ends)
            continue
        shown = f"choices[{choice}]" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        told = {(hit.start, hit.end, hit.rule) for hit in stream.hits if hit.path == shown}
        owed = {(hit.start, hit.end, hit.rule) for hit in expected.hits}
        assert told == owed or (told > owed and path in left_behind(script, choice))  # what was hidden at an end that was none is told too
        if path[0] == "tool_calls":
            json.loads(heard.text(choice, path))
    assert all(reason == "stop" for reason in heard.finishes.values())


def _with(delta: dict[str, Any], index: int, logprobs: dict[str, Any]) -> bytes:
    choices = [{"index": index, "delta": delta, "finish_reason": None, "logprobs": logprobs}]
    return (
        b"data: "
        + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices}).encode()
        + b"\n\n"
    )


def test_log_probabilities_never_spell_what_was_hidden() -> None:
    text = f"号码 {ID}。完"
    events = [_with({"content": letter}, 0, {"content": [{"token": letter, "logprob": -1.0}]}) for letter in text]
    heard = pour(stream_of(Policy()), [*events, LAST, DONE])
    assert heard.text() == f"号码 {HIDDEN}。完"
    assert heard.tokens[0] == "号码 11"  # the rest waited: it could have been a number, or what stands before an @
    answer = completion(text)
    answer["choices"][0]["logprobs"] = {"content": [{"token": letter, "logprob": -1.0} for letter in text]}
    body = json.loads(whole(answer).body)
    assert body["choices"][0]["message"]["content"] == f"号码 {HIDDEN}。完"
    assert body["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("width", [1, 3, 100])
def test_a_stop_delivers_nothing_of_the_value_and_says_so(width: int) -> None:
    text = f"号码是 {ID}，记住了"
    events = [event({"content": text[at : at + width]}) for at in range(0, len(text), width)]
    stream = stream_of(STOPS)
    heard = pour(stream, [*events, LAST, DONE])
    assert heard.text() == f"号码是 110\n\n{NOTICE}"
    assert heard.finishes == {0: "content_filter"}
    assert [(hit.rule, hit.action, hit.start, hit.end) for hit in stream.hits] == [("PI-RESIDENT-ID", "stop", 4, 22)]
    made = whole(completion(text, "第二个"), STOPS)
    body = json.loads(made.body)
    assert [choice["message"]["content"] for choice in body["choices"]] == [NOTICE, "第二个"]
    assert body["retraction"]["choice"] == 0
    assert ID not in made.body.decode()


def test_half_a_number_before_a_term_does_not_leave() -> None:
    heard = pour(stream_of(Policy()), [event({"content": piece}) for piece in ("电话1381234", "赌", "博")])
    assert heard.text() == f"电话13\n\n{NOTICE}"


def test_json_mode_stays_json() -> None:
    text = json.dumps({"phone": 13812345678, "id": ID, "note": "\n13812345678"}, ensure_ascii=False)
    expected = {"phone": 13800005678, "id": HIDDEN, "note": "\n138****5678"}
    heard = pour(stream_of(Policy(), machine=True), [*(event({"content": letter}) for letter in text), LAST, DONE])
    assert json.loads(heard.text()) == expected
    assert json.loads(json.loads(whole(completion(text), machine=True).body)["choices"][0]["message"]["content"]) == expected


def test_fields_that_nobody_knows_are_hidden_too() -> None:
    answer = completion("好", x_note={"deep": [f"号码 {ID}"]}) | {"x_top": [f"{ID}"]}
    answer["choices"][0]["x_choice"] = f"「{ID}」"
    made = whole(answer)
    assert ID not in made.body.decode()
    assert made.body.decode().count(HIDDEN) == 3
    chunk = json.dumps({"x_top": ID, "choices": [{"index": 0, "delta": {"content": "好"}, "x_choice": [ID], "finish_reason": None}]})
    heard = pour(stream_of(Policy()), [f"data: {chunk}\n\n".encode()] * 2 + [LAST, DONE])
    assert ID not in json.dumps(heard.events)


def test_calls_keep_their_names_and_numbers() -> None:
    call = {"index": 0, "id": "13812345678", "type": "function", "function": {"name": "find", "arguments": json.dumps({"id": ID})}}
    heard = pour(stream_of(Policy()), [event({"role": "assistant", "tool_calls": [call]}), event({}, "tool_calls"), DONE])
    assert heard.text(0, ("tool_calls", 0, "id")) == "13812345678"
    assert json.loads(heard.text(0, ("tool_calls", 0, "function", "arguments"))) == {"id": HIDDEN}
    made = json.loads(whole(completion(None, tool_calls=[call])).body)["choices"][0]["message"]["tool_calls"][0]
    assert made["id"] == "13812345678"
    assert json.loads(made["function"]["arguments"]) == {"id": HIDDEN}


def whole(answer: dict[str, Any], policy: Policy = MASKING, *, said: Said = NOTHING_SAID, machine: bool = False) -> WholeAnswer:
    return whole_answer(answer, SNAPSHOT, policy, LABEL, "P1", prose=True, notice=lambda: NOTICE, said=said, machine=machine)


# ── a real worker ───────────────────────────────────────────────────────────────────────────────────────────────────

QUOTES = f"示例号码 {ID}，完。"


@pytest.fixture(scope="module", autouse=True)
def models(upstream: ScriptedUpstream) -> None:
    upstream.behaviours["quotes"] = either(completion(QUOTES), *(event({"content": letter}) for letter in QUOTES), LAST, DONE)
    upstream.behaviours["refuse_quoting"] = refuse(400, f"bad message: {ID}")


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_quotes_an_identity_number_arrives_masked(worker: Worker, site: Site, stream: bool) -> None:
    reply = worker.chat("quotes", stream=stream, user="someone")
    text = hear(reply.body).text() if stream else reply.json["choices"][0]["message"]["content"]
    assert text.startswith(f"示例号码 {HIDDEN}，完。")
    assert ID not in reply.body.decode()
    entry = site.closing(reply.headers["x-request-id"])
    assert entry.kind == "gateway.answer.delivered"
    wanted = {"path": "choices[0].content" if stream else "choices[0].message.content", "start": 5, "end": 23, "risk": "A.4.f"}
    assert entry.metadata["output"]["hits"] == [{**wanted, "rule": "PI-RESIDENT-ID", "action": "mask", "confidence": "high"}]  # type: ignore[index]
    assert ID not in json.dumps(entry.metadata)
    assert ID.encode() in entry.content  # sealed: what was said


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_person_gave_comes_back_and_is_told(worker: Worker, site: Site, stream: bool) -> None:
    messages = [
        {"role": "user", "content": f"我的号码是 {ID}"},
        {"role": "assistant", "content": "好"},
        {"role": "user", "content": "再说一遍"},
    ]
    reply = worker.chat("quotes", stream=stream, messages=messages)
    text = hear(reply.body).text() if stream else reply.json["choices"][0]["message"]["content"]
    assert ID in text
    assert reply.headers["x-guiju-personal-information"] == "PI-RESIDENT-ID"
    entry = site.closing(reply.headers["x-request-id"])
    hit = {"path": "messages[0].content", "start": 6, "end": 24, "risk": "A.4.f", "rule": "PI-RESIDENT-ID", "action": "warn"}
    hit |= {"confidence": "high", "source": "user"}
    assert entry.metadata["input"]["hits"] == [hit]  # type: ignore[index]
    assert entry.metadata["output"]["hits"] == []  # type: ignore[index]
    assert ID not in json.dumps(entry.metadata)


@pytest.mark.parametrize("role", ["system", "tool"])
def test_what_an_application_or_a_tool_gave_is_not_the_persons(worker: Worker, role: str) -> None:
    messages = [{"role": role, "content": f"客户号码 {ID}", "tool_call_id": "c1"}, {"role": "user", "content": "他的号码？"}]
    reply = worker.chat("quotes", messages=messages)
    assert ID not in reply.body.decode()
    assert ("x-guiju-personal-information" in reply.headers) == (role == "tool")


def test_a_service_may_refuse_or_look_away(own_site: Site, start: list[Worker], tmp_path: Any, upstream: ScriptedUpstream) -> None:
    main, *others = own_site.bundle.services
    refusing = Policy(personal_on_input={"*": "pass", "PI-RESIDENT-ID": "refuse"}, personal_on_output={"*": "pass"})
    services = (msgspec.structs.replace(main, policy=refusing), *others)
    own_site.publish(msgspec.structs.replace(own_site.bundle, services=services))
    start.append(Worker(own_site, tmp_path / "worker.log"))
    asked = len(upstream.calls)
    reply = start[0].chat("quotes", messages=[{"role": "user", "content": f"号码 {ID}"}])
    assert reply.status == 400
    assert reply.json["error"]["code"] == "input_personal"
    assert "PI-RESIDENT-ID" in reply.json["error"]["message"]
    assert ID not in reply.body.decode()
    assert len(upstream.calls) == asked
    assert own_site.closing(reply.headers["x-request-id"]).kind == "gateway.input.refused"
    reply = start[0].chat("quotes", messages=[{"role": "user", "content": "手机13812345678"}])
    assert reply.status == 200
    assert "x-guiju-personal-information" not in reply.headers
    assert ID in reply.body.decode()


def test_an_upstream_that_quotes_a_number_in_its_error_is_masked(worker: Worker, site: Site) -> None:
    reply = worker.chat("refuse_quoting")
    assert reply.status == 400
    assert ID not in reply.body.decode()
    assert HIDDEN in reply.body.decode()
    assert ID not in json.dumps(site.closing(reply.headers["x-request-id"]).metadata)


def test_what_an_application_tells_is_masked_in_the_record(worker: Worker, site: Site) -> None:
    told = {"conversation": "手机13812345678", "retrieval": [{"id": f"card {ID}"}]}
    reply = worker.chat("ok", guiju=told)
    metadata = json.dumps(site.closing(reply.headers["x-request-id"]).metadata, ensure_ascii=False)
    assert ID not in metadata
    assert "手机138****5678" in metadata


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_masked_whole_is_masked_streamed(seed: int) -> None:
    """Both ways of asking for one answer hide the same."""
    rng = random.Random(seed)
    text = rng.choice(list(SAMPLES.values()))[0](rng) + "，" + planted(seed)
    streamed = pour(stream_of(Policy()), [*(event({"content": piece}) for piece in cut(text, rng)), LAST, DONE]).text()
    assert json.loads(whole(completion(text)).body)["choices"][0]["message"]["content"] == streamed


def test_odd_messages_are_examined_and_break_nothing() -> None:
    odd: list[dict[str, Any]] = [{}, {"role": []}, {"role": {"a": 1}, "content": f"{ID}"}, {"role": "user", "content": None}]
    odd.append(
        {
            "role": "user",
            "content": [{"type": "text", "text": f"手机13812345678和{ID}"}, {"type": "image_url", "image_url": {"url": "x"}}, 7],
        }
    )
    verdict = examine_messages(odd, Policy())
    assert [(hit.path, hit.rule) for hit in verdict.hits] == [
        ("messages[2].content", "PI-RESIDENT-ID"),
        ("messages[4].content[0].text", "PI-MOBILE-PHONE"),
        ("messages[4].content[0].text", "PI-RESIDENT-ID"),
    ]
    assert Said(odd)("138 1234 5678")
