"""A stream that something outside stops: nothing more leaves, it ends in order, and the same for every cut.

Guarded line: `AnswerStream.stop` flushes nothing; with `_flush` before it the cuts differ (red).
"""

from hypothesis import given
from hypothesis import strategies as st

from guiju.gateway.tests.client import hear
from guiju.gateway.tests.scripts import chunk
from guiju.gateway.tests.test_stream import NOTICE, SNAPSHOT, allowed, libraries, plain, said, scripts, stream_of
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.values import Hit, LibraryEntry

FOUND = Hit("choices[0].content", 0, 2, "A.1.h", "GD-test", "block", "stop", "medium")


@given(libraries, st.data())
def test_a_stop_from_outside_gives_nothing_more_and_is_the_same_for_every_cut(library: list[LibraryEntry], data: st.DataObject) -> None:
    """Red when `stop` lets out what the gate holds, and when it lets the notice alone out."""
    snapshot = Snapshot(tuple(library), "v")
    text = "".join(step.piece for step in data.draw(scripts(library, 1, (("content",),))))
    ways = []
    for width in (1, 3, len(text) + 1):
        stream = stream_of(snapshot)
        sent = b"".join(stream.feed(piece) for at in range(0, len(text), width) for piece in plain([
            chunk([{"index": 0, "delta": {"content": text[at : at + width]}, "finish_reason": None}])], done=False))  # fmt: skip
        stopped_before = stream.ended
        more = stream.stop([FOUND])
        assert stopped_before or hear(more).text() in ("", f"\n\n{NOTICE}", NOTICE)
        assert stream.ended
        assert stream.finishes == ["content_filter"]
        assert stream.feed(plain([chunk([{"index": 0, "delta": {"content": "后来"}, "finish_reason": "stop"}])])[0]) == b""
        heard = hear(sent + more + stream.tail())
        assert (len(heard.retractions), heard.dones, heard.finishes) == (1, 1, {0: "content_filter"})
        ways.append(heard.text())
    assert ways[0] == ways[1] == ways[2]
    assert allowed(snapshot, text)[0].startswith(ways[0].removesuffix(NOTICE).removesuffix("\n\n"))


def test_one_choice_is_stopped_from_outside_and_the_others_go_on() -> None:
    stream = stream_of(SNAPSHOT, 2)
    sent = b"".join(
        stream.feed(piece)
        for piece in plain([*said({"content": "好"}, finish=None), *said({"content": "晴"}, choice=1, finish=None)], False)
    )
    sent += stream.stop([FOUND], 0)
    assert not stream.ended
    assert stream.hits == [FOUND]
    sent += b"".join(stream.feed(piece) for piece in plain([*said({"content": "无声"}), *said({"content": "天"}, choice=1)]))
    heard = hear(sent + stream.tail())
    assert (heard.text(0), heard.text(1)) == (f"好\n\n{NOTICE}", "晴天")
    assert heard.finishes == {0: "content_filter", 1: "stop"}
    assert [each["choice"] for each in heard.retractions] == [0]


def test_a_stop_before_the_first_word_gives_the_notice_alone() -> None:
    stream = stream_of(SNAPSHOT, 2)
    heard = hear(stream.stop([FOUND]) + stream.tail())
    assert stream.ended
    assert (heard.text(0), heard.text(1), heard.finishes) == (NOTICE, NOTICE, {0: "content_filter", 1: "content_filter"})
