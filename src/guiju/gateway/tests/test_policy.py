"""Who reads decides what a find does: the table of the policy through a real worker."""

import json
import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.gateway.sample import review_mark
from guiju.gateway.stream import AnswerStream
from guiju.gateway.tests.client import hear
from guiju.gateway.tests.rig import LIBRARY, TERM, ScriptedUpstream, Site, Worker
from guiju.gateway.tests.upstreams import DONE, LAST, event
from guiju.gateway.whole import whole_answer
from guiju.labelling.values import Label
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.table import read_row
from guiju.screening.values import AUDIENCES, ENDS, Audience, Hit, Policy, PolicyRow


def rows(*texts: str) -> tuple[PolicyRow, ...]:
    return tuple(row for row in map(read_row, texts) if isinstance(row, PolicyRow))


POLICY = Policy(
    rows=rows("A.1 input * high refuse", "A.1.f input minor low hold", "A.1.h input minor-16-18 high warn", "A.1.f input adult low warn")
)


@pytest.fixture
def ruled(own_site: Site, start: list[Worker], tmp_path: Path) -> Worker:
    main, *others = own_site.bundle.services
    own_site.publish(msgspec.structs.replace(own_site.bundle, services=(msgspec.structs.replace(main, policy=POLICY), *others)))
    start.append(Worker(own_site, tmp_path / "worker.log"))
    return start[0]


def test_the_same_words_are_answered_or_not_by_who_reads(ruled: Worker, upstream: ScriptedUpstream) -> None:
    def ask(words: str, **told: str) -> tuple[int, str]:
        reply = ruled.chat("ok", messages=[{"role": "user", "content": words}], guiju=told)
        return reply.status, reply.headers.get("x-guiju-risk", "")

    asked = len(upstream.calls)
    assert ask(f"哪里有{TERM}") == (400, "")
    assert ask(f"哪里有{TERM}", audience="minor") == (400, "")
    assert ask("flagged words", audience="minor-8-12") == (400, "")
    assert len(upstream.calls) == asked
    assert ask(f"哪里有{TERM}", audience="minor-16-18") == (200, "A.1.h")
    assert ask("flagged words") == (200, "A.1.f")
    assert ask("nothing of the kind", audience="minor-0-3") == (200, "")
    assert len(upstream.calls) == asked + 3


def test_what_is_held_is_refused_told_and_marked_for_a_person(ruled: Worker, own_site: Site) -> None:
    reply = ruled.chat("ok", messages=[{"role": "user", "content": "flagged words"}], guiju={"audience": "minor"})
    assert reply.json["error"]["code"] == "input_refused"
    assert "申诉" in reply.json["error"]["message"]
    assert "appeal" in reply.json["error"]["message"]
    entry = own_site.closing(reply.headers["x-request-id"])
    assert (entry.kind, entry.metadata["review"], entry.metadata["policy"]) == ("gateway.input.refused", "hit", POLICY.short)
    assert [hit["action"] for hit in entry.metadata["input"]["hits"]] == ["hold"]  # type: ignore[index]  # as recorded


def test_a_reader_that_nobody_knows_is_refused_and_a_known_one_is_on_record(ruled: Worker, own_site: Site) -> None:
    reply = ruled.chat("ok", guiju={"audience": "child"})
    assert reply.status == 400
    assert "$.audience" in reply.json["error"]["message"]
    reply = ruled.chat("ok", guiju={"audience": "minor-12-16"})
    assert own_site.closing(reply.headers["x-request-id"]).metadata["cause"]["application"] == {"audience": "minor-12-16"}  # type: ignore[index]  # as recorded


WORDS = st.lists(st.sampled_from((TERM, TERM[0], "罪", "flagged", " words", "，", "今天", "sell", " drugs")), max_size=12).map("".join)
OUTPUT = Policy(
    rows=rows("A.1.h output adult * deliver", "A.1.f output minor low hold", "A.1.f output minor-8-12 * deliver"),
    personal_on_output={"*": "pass"},
)
READ = Snapshot(LIBRARY, "test")


@given(WORDS, st.sampled_from(AUDIENCES), st.randoms(use_true_random=False))
def test_for_every_reader_and_cut_a_stream_gives_what_the_whole_gives(text: str, audience: Audience, rng: random.Random) -> None:
    policy, label = OUTPUT.read_by(audience), Label(mode="interface", content_producer="p")
    ending = [hit for hit in READ.examine(text, "output", policy).hits if hit.action in ENDS]
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    whole = whole_answer(answer, READ, policy, label, "P1", prose=True, notice=lambda: "【停】")
    stream = AnswerStream(READ, policy, label, "P1", choices=1, prose=True, notice="【停】")
    out, at = [], 0
    while at < len(text) and not stream.ended:
        width = rng.randint(1, 4)
        out.append(stream.feed(event({"content": text[at : at + width]})))
        at += width
    if not stream.ended:
        out.append(stream.feed(LAST + DONE))
    heard = hear(b"".join(out) + stream.tail())
    content = json.loads(whole.body)["choices"][0]["message"]["content"]
    assert (content == "【停】", heard.finishes[0] == "content_filter") == (bool(ending),) * 2
    if ending:
        before = text[: min(hit.start for hit in ending)]
        assert heard.text() == (f"{before}\n\n【停】" if before else "【停】")
        assert {hit.action for hit in stream.hits if hit.action in ENDS} <= {hit.action for hit in ending}
    else:
        assert heard.text() == content == text


def test_a_sure_find_that_is_held_is_marked_although_it_is_sure() -> None:
    hit = Hit("", 0, 1, "A.1.h", "kw-1", "block", "hold", "high")
    assert review_mark("x", ((hit,),), bytes(32), 0) == "hit"
    assert review_mark("x", ((msgspec.structs.replace(hit, action="refuse"),),), bytes(32), 0) == ""
