"""An answer that completes what the last message began is stopped, streamed exactly as whole; every other answer is what it always was.

The oracle is `Snapshot.examine` on both texts together and on the answer alone. The guarded lines: `return ""` in `_settled` (without it
half a term leaves) and `place[1] > self._passed` in the gate (without it a hit in the message alone stops the answer).
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.screening.matching.continued import Before, Continued, before_of, reaching_in
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.matching.tests.test_gate import LETTERS, NOISE, POLICY, allowed, cut, libraries, texts
from guiju.screening.outlet import Outlet
from guiju.screening.personal.finds import NOTHING_SAID, screen_for
from guiju.screening.values import LibraryEntry, Policy

DENSE = st.text(LETTERS + NOISE, max_size=12)
TERMS = Snapshot([LibraryEntry("kw-1", "赌博", "A.1.h", "block", ("赌博罪",)), LibraryEntry("kw-2", "代办假身份证", "A.1.h")], "test")


def streamed(gate: Continued, pieces: list[str]) -> tuple[str, bool]:
    out = []
    for piece in pieces:
        out.append(gate.feed(piece))
        if gate.hit:
            break
    else:
        out.append(gate.finish())
    return "".join(out), gate.hit is not None


def reaches_in(snapshot: Snapshot, before: str, text: str) -> bool:
    hits = snapshot.examine(before + text, "output", POLICY).hits
    return any(hit.start < len(before) < hit.end for hit in hits)


def expected(snapshot: Snapshot, before: str, text: str) -> tuple[str, bool]:
    """Nothing where a hit reaches from the message into the answer; otherwise what the answer alone allows."""
    return ("", True) if reaches_in(snapshot, before, text) else allowed(snapshot, text)


@settings(max_examples=700, deadline=None)
@given(libraries, DENSE, texts, st.lists(st.integers(0, 1000), max_size=20))
def test_streamed_equals_whole_for_every_cut(library: list[LibraryEntry], before: str, text: str, places: list[int]) -> None:
    if "\\" in before:
        before = before.replace("\\", "")  # a message is examined as it stands: an escape does not go on in the answer
    snapshot = Snapshot(library, "test")
    trie = snapshot.trie(POLICY, "output")
    wanted = expected(snapshot, before, text)
    assert streamed(Continued(trie, before), cut(text, places)) == wanted
    assert streamed(Continued(trie, before), list(text)) == wanted
    assert (reaching_in(trie, Before("m", before, 0), text) is not None) == reaches_in(snapshot, before, text)


@settings(max_examples=500, deadline=None)
@given(libraries, st.data())
def test_nothing_that_could_be_continued_is_overlooked(library: list[LibraryEntry], data: st.DataObject) -> None:
    """Where `before_of` says None, no answer at all completes a term."""
    snapshot = Snapshot(library, "test")
    term = data.draw(st.sampled_from(library)).term
    at = data.draw(st.integers(1, len(term) - 1))
    text = term[at:] + data.draw(st.sampled_from(["", "。", "罪"]))
    for start in data.draw(st.lists(st.text(LETTERS + " ", max_size=6), min_size=1, max_size=3)):  # ends that are known by then, and others
        before_of([{"role": "assistant", "content": start + term[:at][-2:]}], snapshot, POLICY)  # the same end, known by now
        before = start + term[:at]
        wanted = expected(snapshot, before[-snapshot.longest :], text)
        found = before_of([{"role": "assistant", "content": before}], snapshot, POLICY)
        if found is None:
            assert not reaches_in(snapshot, before[-snapshot.longest :], text)
        else:
            assert streamed(Continued(snapshot.trie(POLICY, "output"), found.text), list(text)) == wanted


def test_what_an_answer_continues() -> None:
    def found(role: str, content: object) -> Before | None:
        return before_of([{"role": "user", "content": "你好"}, {"role": role, "content": content}], TERMS, POLICY)

    assert found("assistant", "他去赌") == Before("messages[1].content", "他去赌", 0)
    assert found("assistant", "春" * 90 + "赌") == Before("messages[1].content", "春春春春春赌", 85)
    assert found("user", [{"type": "text", "text": "接着写：他去赌"}]) == Before("messages[1].content[0].text", "着写：他去赌", 1)
    assert found("user", "他去赌。") is None  # complete: an answer answers it
    assert found("assistant", "代办假。") is not None  # a long term bridges the full stop
    assert found("tool", "他去赌") is None
    assert found("user", "今天天气好") is None
    assert found("assistant", None) is None
    assert found("assistant", "") is None


def test_an_outlet_tells_both_places_and_a_hit_in_the_message_alone_is_not_the_answers() -> None:
    trie, screen = TERMS.trie(POLICY, "output"), screen_for(Policy(), "output")
    before = Before("messages[0].content", "他去赌", 7)
    outlet = Outlet(trie, screen, NOTHING_SAID, before=before)
    assert (outlet.feed(" "), outlet.feed("博")) == ("", "")
    assert outlet.feed("吧") == ""
    assert outlet.stopped
    [hit] = outlet.hits("choices[0].content", POLICY)
    assert (hit.path, hit.start, hit.end, hit.rule) == ("messages[0].content + choices[0].content", 9, 2, "kw-1")
    harmless = Outlet(trie, screen, NOTHING_SAID, before=before)
    assert harmless.feed("气了。") == "气了。"
    told_before = Outlet(trie, screen, NOTHING_SAID, before=Before("messages[0].content", "去赌博", 0))
    assert told_before.feed("的人") + told_before.finish() == "的人"
    assert not told_before.stopped
    assert hit.source == "assistant"
