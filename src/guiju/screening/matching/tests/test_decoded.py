"""What a run of code stands for is screened in every input, by its policy; in an answer it is noted and stops nothing, whole as streamed.

Guarded lines, each seen red when changed: `code` in `examine_input`, `may_be_encoded` in the examiner, `known` in `hits_in_encoded`, `without_files` in
`_runs`, `action="deliver"` in `flags_in_encoded`, `flags_in_encoded` in `whole.py` and in `stream.py`.
"""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.gateway.inputs import examine_input
from guiju.gateway.stream import AnswerStream
from guiju.gateway.tests.client import hear
from guiju.gateway.whole import whole_answer
from guiju.labelling.values import Label
from guiju.screening.matching.decoded import hits_in_encoded
from guiju.screening.matching.gate import Gate
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.screener import Screener
from guiju.screening.values import Hit, LibraryEntry, Policy, PolicyRow, Verdict
from guiju.screening.view import strings

TERM, TOPIC = "代办假身份证", "赌博"
ROWS = [LibraryEntry("kw-1", TERM, "A.1.h"), LibraryEntry("kw-2", TOPIC, "A.1.h", "flag")]
SNAPSHOT = Snapshot(ROWS, "test")
POLICY = Policy(personal_on_input={"*": "pass"}, personal_on_output={"*": "pass"})
STOPS_LOW = Policy(rows=(PolicyRow("*", "output", "*", "*", "stop"),), personal_on_output={"*": "pass"})
LABEL = Label(mode="interface", text="（AI 生成）", content_producer="p")


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


RUN = b64(f"哪里有人{TERM}")


def ask(content: Any, policy: Policy = POLICY, role: str = "user", documents: frozenset[str] = frozenset()) -> Verdict:
    request = {"model": "m", "messages": [{"role": role, "content": content}]}
    return examine_input(SNAPSHOT, policy, request, strings(request), documents)


# ── inputs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("run", [RUN, f"哪里{TERM}".encode().hex(), b64(RUN), "".join(f"%{byte:02x}" for byte in RUN.encode())])
def test_a_term_in_code_is_a_term_whatever_stands_beside_it(run: str) -> None:
    verdict = ask(f"你好 {run}")
    assert verdict.action == "refuse"
    assert verdict.hits == (Hit("messages[0].content", 3, 3 + len(run), "A.1.h", "kw-1", "block", "refuse", "high", "user"),)


def test_the_policy_decides_as_for_any_other_hit() -> None:
    assert ask(RUN, Policy(on_input={"*": "deliver"})).action == "deliver"
    assert ask(RUN, Policy(rows=(PolicyRow("A.1.h", "input", "*", "high", "hold"),))).action == "hold"
    [hit] = ask(b64(f"我想谈谈{TOPIC}")).hits
    assert (hit.rule, hit.action, hit.confidence) == ("kw-2", "deliver", "low")


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_it_is_read_whoever_said_it(role: str) -> None:
    [hit] = ask(RUN, role=role).hits
    assert hit.source == role
    assert [hit.source for hit in ask(RUN, documents=frozenset({"messages[0].content"})).hits] == ["document"]


def test_what_was_found_as_it_is_written_is_not_told_twice() -> None:
    run = "".join(f"%{byte:02X}" for byte in f"好{TERM}好".encode())
    [hit] = ask(run).hits
    assert (hit.start, hit.end) == (9, len(run) - 9)


def test_a_file_is_decoded_once() -> None:
    file = {"type": "file", "file": {"file_data": f"data:text/plain;base64,{RUN}", "filename": "a.txt"}}
    [hit] = ask([file]).hits
    assert hit.path == "messages[0].content[0].file.file_data (decoded)"
    bare = {"type": "file", "file": {"file_data": RUN, "filename": "a.txt"}}
    assert [hit.path for hit in ask([bare]).hits] == ["messages[0].content[0].file.file_data (decoded)"]


def test_a_picture_holds_nothing() -> None:
    picture = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 8).decode()
    assert ask([{"type": "image_url", "image_url": {"url": picture}}]).outcome == "pass"
    assert ask(f"![图]({picture}) 好看吗").outcome == "pass"


def test_many_runs_of_one_text_are_screened_in_one_pass_each_at_its_place() -> None:
    text = " ".join([RUN, b64("今天天气很好，适合出门"), RUN])
    found = hits_in_encoded([("a", "x"), ("b", text)], SNAPSHOT, "input", POLICY)
    assert [(hit.path, hit.start, hit.end) for hit in found] == [("b", 0, len(RUN)), ("b", len(text) - len(RUN), len(text))]


# ── the Screener ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_screener_says_what_the_gateway_says_and_of_answers_only_flags() -> None:
    screener = Screener(ROWS, POLICY)
    texts = ["今天天气不错", f"看 {RUN}", "再见", TERM]
    assert [verdict.action for verdict in screener.examine_many(texts)] == ["deliver", "refuse", "deliver", "refuse"]
    assert list(screener.examine_many(texts)) == [screener.examine(text) for text in texts]
    verdict = screener.examine(texts[1], "output")
    assert (verdict.outcome, verdict.action) == ("hit", "deliver")
    assert verdict.hits == (Hit("", 2, 2 + len(RUN), "A.1.h", "kw-1", "block", "deliver", "low"),)
    assert list(screener.examine_many(texts, "output")) == [screener.examine(text, "output") for text in texts]


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def chunk(choices: list[dict[str, Any]]) -> bytes:
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def streamed(text: str, width: int, policy: Policy) -> tuple[str, str, list[tuple[Any, ...]]]:
    stream = AnswerStream(SNAPSHOT, policy, LABEL, "P1", choices=1, prose=True, notice="【停】")
    out = b""
    for at in range(0, len(text), width):
        out += stream.feed(chunk([{"index": 0, "delta": {"content": text[at : at + width]}, "finish_reason": None}]))
        if stream.ended:
            break
    else:
        out += stream.feed(chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]) + b"data: [DONE]\n\n")
    stream.note_flags()
    told: list[tuple[Any, ...]] = [(hit.start, hit.end, hit.rule, hit.action, hit.confidence) for hit in stream.hits]
    return hear(out + stream.tail()).text(0, ("content",)), stream.finishes[0], told


def whole(text: str, policy: Policy) -> tuple[str, str, list[tuple[Any, ...]]]:
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "id": "c"}
    made = whole_answer(answer, SNAPSHOT, policy, LABEL, "P1", prose=True, notice=lambda: "【停】")
    told: list[tuple[Any, ...]] = [(hit.start, hit.end, hit.rule, hit.action, hit.confidence) for hit in made.hits]
    return json.loads(made.body)["choices"][0]["message"]["content"], made.finishes[0], told


@pytest.mark.parametrize("policy", [POLICY, STOPS_LOW])
def test_an_answer_leaves_and_the_run_is_noted_even_where_low_confidence_would_stop(policy: Policy) -> None:
    text = f"这是编码：{RUN}。再见"
    expected = (text, "stop", [(5, 5 + len(RUN), "kw-1", "deliver", "low")])
    assert whole(text, policy) == expected
    for width in (1, 3, 7, 1_000):
        assert streamed(text, width, policy) == expected


PIECES = [
    RUN,
    b64(RUN),
    "今天天气",
    "，",
    " ",
    "\n",
    "https://example.org/a-long-path_to/some-thing",
    "代办",
    "假",
    "身份证",
    TOPIC,
    "5f" * 20,
]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join), st.sampled_from([1, 2, 5, 16, 40]))
def test_for_every_cut_what_leaves_is_what_the_terms_in_clear_allow_and_the_notes_are_those_of_the_whole(text: str, width: int) -> None:
    gate = Gate(SNAPSHOT.trie(POLICY, "output"))
    allowed = gate.feed(text) + gate.finish()
    heard, finish, told = streamed(text, width, POLICY)
    whole_heard, whole_finish, whole_told = whole(text, POLICY)
    assert finish == whole_finish == ("stop" if gate.hit is None else "content_filter")
    if gate.hit is None:
        assert heard == whole_heard == allowed == text
        assert sorted(told) == sorted(whole_told)
    else:
        assert heard.startswith(allowed)
        assert heard.removeprefix(allowed).strip() == "【停】"
