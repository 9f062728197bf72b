"""A streamed answer that says things in unusual shapes: a choice twice in one event.

Guarded lines, each seen red when changed: the look for the same index in `_event`.
"""

import pytest

from guiju.gateway.tests.client import hear
from guiju.gateway.tests.scripts import chunk
from guiju.gateway.tests.test_stream import NOTICE, SNAPSHOT, plain, stream_of


@pytest.mark.parametrize(
    ("first", "second", "finish", "wanted"),
    [
        ("好，去赌", "博吧", None, f"好，去\n\n{NOTICE}"),
        ("好", "的", None, "好的"),
        ("好", "的", "stop", "好的"),
        ("去赌", "场吧", "stop", "去赌场吧"),
    ],
)
def test_what_a_choice_says_twice_in_one_event_leaves_in_its_order(first: str, second: str, finish: str | None, wanted: str) -> None:
    stream = stream_of(SNAPSHOT)
    choices = [
        {"index": 0, "delta": {"content": first}, "finish_reason": None},
        {"index": 0, "delta": {"content": second}, "finish_reason": finish},
    ]
    end = [] if finish else [chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])]
    sent = b"".join(stream.feed(piece) for piece in plain([chunk(choices), *end]))
    heard = hear(sent + stream.tail())
    assert (heard.text(), heard.finishes) == (wanted, {0: "content_filter" if NOTICE in wanted else "stop"})
