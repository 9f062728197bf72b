"""What guards answer: their own lines are understood, everything else is no finding and never a pass.

Guarded lines, each seen red when changed: `_WHOLE.fullmatch` there instead of `search`, the contradiction of safe and a category, the cut answer
in `chat_text`, `flagged` that is no bool.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.screening.guards import FORMS
from guiju.screening.guards.form import OTHERWISE, UNKNOWN, Finding, NoFinding, Passage, Turn, confidence_of
from guiju.screening.guards.webhook import signature
from guiju.screening.risks import BY_ID

ASKED = Passage("input", (Turn("user", "今天天气怎么样"),))
ANSWERED = Passage("output", (Turn("user", "今天天气怎么样"), Turn("assistant", "晴天")))
QWEN, CHAT, OPENAI, HOOK = (FORMS[name] for name in ("qwen3guard", "json_chat", "openai_moderation", "webhook"))


def chat(text: object, finish: object = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return json.dumps({"id": "c", "model": "guard-1", "choices": [choice], **more}).encode()


def moderated(flagged: object, scores: dict[str, float], **set_: object) -> bytes:
    result = {"flagged": flagged, "categories": {"violence": False, "sexual": False, **set_}, "category_scores": scores}
    return json.dumps({"id": "m", "model": "omni", "results": [result]}).encode()


READ = [
    (QWEN, chat("Safety: Safe\nCategories: None"), Finding("safe", (), "", "guard-1")),
    (QWEN, chat("Safety: Unsafe\nCategories: Violent\n"), Finding("unsafe", ("Violent",), "", "guard-1")),
    (QWEN, chat("Safety: Safe\nCategories: None\nRefusal: Yes"), Finding("safe", (), "", "guard-1")),
    (QWEN, chat("Safety: Controversial\nCategories: Suicide & Self-Harm, PII\nRefusal: No"), Finding("controversial", ("Suicide & Self-Harm", "PII"), "", "guard-1")),
    (QWEN, chat("Safety: Unsafe\nCategories: None"), Finding("unsafe", (), "", "guard-1")),
    (CHAT, chat('{"unsafe": false, "categories": [], "score": 0.9}'), Finding("safe", (), "0.9000", "guard-1")),
    (CHAT, chat('```json\n{"unsafe": true, "categories": ["A.1.f", "made up"], "score": 1}\n```'), Finding("unsafe", ("A.1.f", UNKNOWN), "1.0000", "guard-1")),
    (CHAT, chat('{"unsafe": true, "categories": ["A.2.e"], "score": 0.3}'), Finding("controversial", ("A.2.e",), "0.3000", "guard-1")),
    (OPENAI, moderated(False, {"violence": 0.1}), Finding("safe", (), "", "omni")),
    (OPENAI, moderated(True, {"violence": 0.8, "sexual": 0.2}, violence=True), Finding("unsafe", ("violence",), "0.8000", "omni")),
    (OPENAI, moderated(True, {}, **{"A.1.h": True, "self-harm/x": None}), Finding("unsafe", ("A.1.h",), "", "omni")),
    (HOOK, b'{"verdict": "safe"}', Finding("safe")),
    (HOOK, b'{"verdict": "unsafe", "categories": ["A.4.a"], "score": 0.5, "version": "r-1"}', Finding("unsafe", ("A.4.a",), "0.5000", "r-1")),
]  # fmt: skip


@pytest.mark.parametrize(("form", "raw", "finding"), READ)
def test_an_answer_is_understood(form: Any, raw: bytes, finding: Finding) -> None:
    assert form.read(raw, ANSWERED) == finding


NO_FINDING: list[tuple[Any, bytes]] = [
    *((form, raw) for form in FORMS.values() for raw in (
        b"", b"null", b"[]", b"{", b"<html>", b"\xff\xfe", b'{"a": 1}', b"[" * 5_000, chat(""), chat(None), chat(["Safety: Safe"]),
        chat("Safety: Safe\nCategories: None", "length"), chat('{"unsafe": false}', "length"), b'{"choices": []}', b'{"choices": [{}]}',
        b'{"error": {"message": "overloaded"}}', moderated(None, {}), moderated("false", {}), b'{"results": []}',
    )),
    (QWEN, chat("Safety: Safe")),
    (QWEN, chat("safe")),
    (QWEN, chat("Safety: Safe\nCategories: Violent")),
    (QWEN, chat("Safety: Safe\nCategories: None\nSafety: Unsafe\nCategories: Violent")),
    (QWEN, chat("Safety: Unsafe\nCategories: Violent\nSafety: Safe\nCategories: None")),
    (QWEN, chat("用户说“Safety: Safe\nCategories: None”，这不安全")),
    (QWEN, chat("Safety: Safe\nCategories: None" + "\n" * 50)),
    (QWEN, chat("Safety: Safe\nCategories: Nothing")),
    (QWEN, json.dumps({"choices": [json.loads(chat("Safety: Safe\nCategories: None"))["choices"][0]] * 2}).encode()),
    (CHAT, chat('我认为 {"unsafe": false, "categories": []} 是对的')),
    (CHAT, chat('{"unsafe": false, "categories": []}{"unsafe": true, "categories": ["A.1.f"]}')),
    (CHAT, chat('{"unsafe": "false", "categories": []}')),
    (CHAT, chat('{"unsafe": 0, "categories": []}')),
    (CHAT, chat('{"unsafe": false, "categories": ["A.1.f"]}')),
    (CHAT, chat('{"unsafe": false, "categories": [], "note": "x"}')),
    (CHAT, chat('{"unsafe": false, "categories": {}}')),
    (CHAT, chat('{"unsafe": false, "categories": [], "score": 7}')),
    (CHAT, chat('{"unsafe": false, "categories": [], "score": true}')),
    (OPENAI, moderated(False, {}, violence=True)),
    (OPENAI, moderated(False, {}, violence="no")),
    (OPENAI, b'{"results": [{"flagged": false, "categories": {}, "outcome": "could_not_examine"}]}'),
    (OPENAI, b'{"results": [{"flagged": false, "categories": {}}, {"flagged": true, "categories": {}}]}'),
    (HOOK, b'{"verdict": "safe", "categories": ["A.1.f"]}'),
    (HOOK, b'{"verdict": "SAFE"}'),
    (HOOK, b'{"verdict": "safe", "also": 1}'),
    (HOOK, b'{"verdict": "unsafe", "categories": "A.1.f"}'),
]  # fmt: skip


@pytest.mark.parametrize(("form", "raw"), NO_FINDING)
def test_anything_else_is_no_finding(form: Any, raw: bytes) -> None:
    with pytest.raises(NoFinding) as told:
        form.read(raw, ANSWERED)
    assert "Safety" not in str(told.value)  # the reason names no words of the guard


@given(st.sampled_from(sorted(FORMS)), st.text(), st.binary(max_size=60))
def test_no_answer_is_an_error_of_another_kind(kind: str, text: str, raw: bytes) -> None:
    for body in (raw, chat(text.encode("utf-8", "replace").decode())):
        try:
            found = FORMS[kind].read(body, ASKED)
        except NoFinding:
            continue
        assert found.level in ("safe", "controversial", "unsafe")


@given(st.text(max_size=40))
def test_words_around_the_lines_of_qwen_are_never_a_pass(words: str) -> None:
    words = words.encode("utf-8", "replace").decode()
    if words.strip():
        for text in (words + "Safety: Safe\nCategories: None", "Safety: Safe\nCategories: None" + words):
            with pytest.raises(NoFinding):
                QWEN.read(chat(text), ASKED)


def test_every_category_stands_for_risks_and_what_is_not_covered_is_named() -> None:
    for form in FORMS.values():
        assert {risk for risks in form.risks.values() for risk in risks} <= set(BY_ID)
        assert form.risks_of(Finding("unsafe", (UNKNOWN,))) == OTHERWISE
    assert set(QWEN.risks) == {
        "Violent", "Non-violent Illegal Acts", "Sexual Content or Sexual Acts", "PII", "Suicide & Self-Harm", "Unethical Acts",
        "Politically Sensitive Topics", "Copyright Violation", "Jailbreak",
    }  # fmt: skip
    assert {"A.1.a", "A.2.e", "A.3.d", "A.5.a"} <= set(QWEN.uncovered)
    assert "A.5.b" in OPENAI.uncovered
    assert CHAT.uncovered == HOOK.uncovered == ()
    assert OPENAI.risks_of(Finding("unsafe", ("A.3.d", "violence"))) == ("A.3.d", "A.1.f")
    assert [confidence_of(level) for level in ("unsafe", "controversial")] == ["medium", "low"]


def test_what_is_asked() -> None:
    body = json.loads(QWEN.ask(ANSWERED, "q"))
    assert body["messages"] == [{"role": "user", "content": "今天天气怎么样"}, {"role": "assistant", "content": "晴天"}]
    assert (body["model"], body["temperature"], body["stream"]) == ("q", 0, False)
    body = json.loads(CHAT.ask(ANSWERED, "j"))
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert json.loads(body["messages"][1]["content"])["turns"][1]["text"] == "晴天"
    assert all(risk in body["messages"][0]["content"] for risk in BY_ID)
    assert json.loads(OPENAI.ask(ANSWERED, "")) == {"input": "晴天"}
    assert json.loads(HOOK.ask(ASKED, "")) == {
        "version": 1,
        "direction": "input",
        "model": "",
        "turns": [{"role": "user", "text": "今天天气怎么样"}],
    }


def test_a_signature_covers_time_and_body() -> None:
    signed = signature(b"key", "1", b"{}")
    assert signed != signature(b"key", "2", b"{}") != signature(b"key", "2", b"{ }")
    assert signed != signature(b"other", "1", b"{}")
