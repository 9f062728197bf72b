"""Approved answers through a real worker and the official SDK: before any model is asked, whole as streamed, on record, rightly labelled.

The guarded lines: the condition in `exchange._serve` (without `verdict.action == "answer"` a row `answer` refuses), `_valid` in
`match.py` (without it an expired row answers), `approved_of` (without `origin` people's words are called generated).
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import openai
import pytest

from guiju.gateway.approved import question_of
from guiju.gateway.tests.client import hear
from guiju.gateway.tests.rig import KEYS, TERM, ScriptedUpstream, Site, Worker
from guiju.screening.answers.values import ApprovedAnswer
from guiju.screening.table import read_row
from guiju.screening.values import Policy, PolicyRow

LATER = 2**33
WORDS = "请拨打 12356 心理援助热线，24 小时有人接听。"
ENGLISH = "Call 12356, the mental health line; somebody answers at any hour."
BANK = (
    ApprovedAnswer(
        "help-1", ("心里很难受，想找人说说话怎么办", "Who can I talk to when I feel down?"), WORDS, ENGLISH, "A.4.a", "people", LATER
    ),
    ApprovedAnswer("old-1", ("去年的医保缴费期限是哪天",), "已过期的回答", "", "A.5.a", "people", 1_000),
    ApprovedAnswer("made-1", ("遇到网络诈骗应该怎样保存证据",), "截图并保留聊天记录。", "", "A.1.h", "generated", LATER),
    ApprovedAnswer("term-1", (f"参与{TERM}会有什么法律后果",), "可能受到治安处罚或刑事处罚。", "", "A.1.h", "people", LATER),
)
ASK = BANK[0].questions[0]
ROW = read_row("A.1.h input adult high answer")


@pytest.fixture(scope="module")
def banked(module_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    assert isinstance(ROW, PolicyRow)
    main, narrow, bare = module_site.bundle.services
    main = msgspec.structs.replace(main, policy=Policy(rows=(ROW,)))
    bare = msgspec.structs.replace(bare, policy=Policy(approved_answers="off"))
    bundle = msgspec.structs.replace(module_site.bundle, services=(main, narrow, bare), answers=BANK, answers_version="bank" * 16)
    module_site.publish(bundle)
    worker = Worker(module_site, tmp_path_factory.mktemp("log") / "worker.log")
    yield worker
    worker.stop()


def ask(worker: Worker, words: Any, **more: Any) -> Any:
    return worker.chat("ok", messages=[{"role": "user", "content": words}], **more)


def test_the_sdk_receives_the_same_whole_and_streamed(banked: Worker, upstream: ScriptedUpstream) -> None:
    asked = len(upstream.calls)
    with openai.OpenAI(base_url=banked.url, api_key=KEYS["main"], max_retries=0) as client:
        messages: list[Any] = [{"role": "user", "content": "请问：心裡很難受，想找人说说话 怎么办？"}]
        whole = client.chat.completions.create(model="ok", messages=messages, n=2)
        assert [choice.message.content for choice in whole.choices] == [WORDS, WORDS]
        assert {choice.finish_reason for choice in whole.choices} == {"stop"}
        assert whole.usage is not None
        assert whole.usage.total_tokens == 0
        with client.chat.completions.stream(model="ok", messages=messages, stream_options={"include_usage": True}) as stream:
            deltas = "".join(event.delta for event in stream if event.type == "content.delta")
            final = stream.get_final_completion()
        assert deltas == final.choices[0].message.content == WORDS
        assert final.choices[0].finish_reason == "stop"
        assert final.usage is not None
        assert final.usage.total_tokens == 0
    assert len(upstream.calls) == asked


@pytest.mark.parametrize("stream", [False, True])
def test_the_record_says_which_row_of_which_bank_answered_and_how_close(banked: Worker, module_site: Site, stream: bool) -> None:
    reply = ask(banked, "我心里很难受，想找人说说话怎么办", stream=stream)
    assert reply.headers["x-guiju-approved-answer"] == "help-1"
    entry = module_site.closing(reply.headers["x-request-id"])
    assert entry.kind == "gateway.answer.delivered"
    facts = entry.metadata["approved_answer"]
    assert isinstance(facts, dict)
    assert (facts["id"], facts["version"], facts["match"]) == ("help-1", "bank" * 4, "near")
    assert 750 <= facts["score_per_mille"] < 1_000
    assert "upstream" not in entry.metadata
    assert WORDS in msgspec.msgpack.decode(entry.content)["answer"]
    assert "难受" not in msgspec.json.encode(entry.metadata).decode()


def test_english_is_answered_in_english(banked: Worker) -> None:
    assert ask(banked, "who can I talk to when I feel down").json["choices"][0]["message"]["content"] == ENGLISH


@pytest.mark.parametrize("stream", [False, True])
def test_what_people_wrote_is_not_called_generated_and_what_a_model_wrote_is(banked: Worker, stream: bool) -> None:
    reply = ask(banked, ASK, stream=stream)
    assert "aigc" not in reply.body.decode()
    assert "AI 生成" not in reply.body.decode()
    assert not any(name.startswith("x-aigc") for name in reply.headers)
    reply = ask(banked, BANK[2].questions[0], stream=stream)
    text = hear(reply.body).text() if stream else reply.json["choices"][0]["message"]["content"]
    assert text == "截图并保留聊天记录。\n\n（AI 生成）"
    assert reply.headers["x-aigc-label"] == "1"
    body = hear(reply.body).events[-1] if stream else reply.json
    assert (body["aigc"]["Label"], body["aigc"]["explicit"]) == ("1", "suffix")


def test_an_expired_answer_never_answers(banked: Worker, upstream: ScriptedUpstream) -> None:
    asked = len(upstream.calls)
    reply = ask(banked, BANK[1].questions[0])
    assert reply.status == 200
    assert "已过期" not in reply.body.decode()
    assert len(upstream.calls) == asked + 1


def test_a_row_that_answers_does_so_only_where_there_is_an_answer(banked: Worker, upstream: ScriptedUpstream, module_site: Site) -> None:
    asked = len(upstream.calls)
    reply = ask(banked, BANK[3].questions[0])
    assert reply.json["choices"][0]["message"]["content"] == "可能受到治安处罚或刑事处罚。"
    assert module_site.closing(reply.headers["x-request-id"]).metadata["input"]["hits"][0]["action"] == "answer"  # type: ignore[index]  # as recorded
    assert ask(banked, f"哪里可以{TERM}").json["error"]["code"] == "input_refused"
    # For a minor no row answers: the input is refused although the bank knows the question.
    assert ask(banked, BANK[3].questions[0], guiju={"audience": "minor"}).json["error"]["code"] == "input_refused"
    assert len(upstream.calls) == asked


@pytest.mark.parametrize(
    "request_",
    [
        {"key": "sk-bare"},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "user", "content": ASK}, {"role": "assistant", "content": "好"}]},
        {"messages": [{"role": "system", "content": ASK}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ASK}, {"type": "image_url", "image_url": {"url": "x"}}]}]},
        {"messages": [{"role": "user", "content": f"{ASK}？另外帮我写一封给公司的请假信，说明家里有事"}]},
    ],
)
def test_what_is_no_question_of_a_person_alone_goes_to_the_model(
    banked: Worker, upstream: ScriptedUpstream, request_: dict[str, Any]
) -> None:
    asked = len(upstream.calls)
    reply = banked.chat(**{"model": "ok", "messages": [{"role": "user", "content": ASK}], **request_})
    assert reply.status == 200
    assert len(upstream.calls) == asked + 1


def test_the_question_is_what_a_person_wrote_last() -> None:
    parts = [{"type": "text", "text": "甲"}, {"type": "text", "text": "乙"}]
    assert question_of({"role": "user", "content": parts}) == "甲\n乙"
    odd: list[Any] = [None, 5, [], [5], {"type": "text"}, [{"type": "text", "text": "x"}, "y"]]
    assert {question_of({"role": "user", "content": content}) for content in odd} == {""}
    assert question_of({}) == ""
