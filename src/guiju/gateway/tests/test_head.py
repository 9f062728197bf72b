"""What an application names a header leaves as that one header, or not at all.

Guarded: in `head_lines`, the comparison with `_VALUE_BYTES` taken out; in `_Names.__missing__`, the check of the name, and the limit.
"""

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guiju.gateway.head import _BEGUN, _NAMES_KEPT, head_lines


class Heard:
    """What a parser of other people hears in an answer."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


NAMES = st.sampled_from([b"content-type", b"x-request-id", b"x!#$%&'*+-.^_`|~"]) | st.binary(max_size=4)
VALUES = st.binary(max_size=12) | st.text("a \t\r\n:é", max_size=8).map(lambda text: text.encode("latin-1"))


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4))
@example([(b"a", b"b\r\nc: d")])
@example([(b"a", b"\n")])
@example([(b"a", b"\r\n"), (b"b", b"")])
@example([(b"a: b\r\nc", b"d")])
@example([(b"", b"a")])
@example([(b"A", b"capital")])
def test_headers_are_heard_as_they_were_said_or_refused(headers: list[tuple[bytes, bytes]]) -> None:
    try:
        lines = head_lines(headers)
    except RuntimeError:
        assert any(
            not name or name.lower() != name or not name.isascii() or name.translate(None, b"\"(),/:;<=>?@[\\]{} ") != name
            or any((byte < 0x20 and byte != 9) or byte == 0x7F for byte in name + value)
            for name, value in headers
        )  # fmt: skip
        return
    heard = Heard()
    httptools.HttpResponseParser(heard).feed_data(b"HTTP/1.1 204 No Content\r\n%s\r\n" % lines)
    assert [(name, value.strip(b" \t")) for name, value in heard.headers] == [(name, value.strip(b" \t")) for name, value in headers]


def test_names_do_not_gather() -> None:
    for number in range(1_000):
        assert head_lines([(b"x-%d" % number, b"1")]) == b"x-%d: 1\r\n" % number
    assert len(_BEGUN) <= _NAMES_KEPT
    with pytest.raises(RuntimeError):
        head_lines([(b"X-Capital", b"1")])
