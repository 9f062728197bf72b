"""Forms with files: what is read is what is written anew; what is no form is refused, however it is broken."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.gateway.media.forms import Part, boundary_of, read_form, write_form

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=20)
PARTS = st.lists(
    st.builds(
        Part, NAMES, st.binary(max_size=200), st.one_of(st.none(), NAMES), st.sampled_from(["", "image/png", "text/plain; charset=utf-8"])
    ),
    min_size=1, max_size=6,
)  # fmt: skip
GOOD = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nvalue\r\n--b--\r\n'


@given(PARTS)
def test_what_is_written_is_read_again(parts: list[Part]) -> None:
    content_type, body = write_form(parts)
    boundary = boundary_of(content_type)
    assert boundary is not None
    assert read_form(body, boundary) == parts


def test_a_preamble_and_an_end_are_no_fields() -> None:
    assert read_form(b"hello\r\n" + GOOD + b"bye", b"b") == [Part("x", b"value")]


@pytest.mark.parametrize("stop", range(len(GOOD) - 3))
def test_a_form_that_was_cut_is_none(stop: int) -> None:
    with pytest.raises(GuijuError) as caught:
        read_form(GOOD[:stop], b"b")
    assert caught.value.code.code == "BODY-NOT-FORM"


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_read(raw: bytes) -> None:
    for body in (raw, b"--b\r\n" + raw + b"\r\n--b--\r\n"):
        with contextlib.suppress(GuijuError):
            assert all(part.name for part in read_form(body, b"b"))


@pytest.mark.parametrize(
    "head",
    [
        b"", b"X: y", b"Content-Disposition: form-data", b'Content-Disposition: attachment; name="x"', b'Content-Disposition: form-data; name=""',
        b"Content-Disposition: form-data; name*=utf-8''x", b'Content-Disposition: form-data; name="\xff"',
        b'Content-Disposition: form-data; name="x"\r\nContent-Transfer-Encoding: base64', b'Content-Disposition: form-data; name="x"\r\nContent-Type: \x00',
        b'Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="y"', b'Content-Disposition: form-data; name="x"; a="' + b"b" * 5_000,
    ],
)  # fmt: skip
def test_heads_that_are_none(head: bytes) -> None:
    with pytest.raises(GuijuError):
        read_form(b"--b\r\n" + head + b"\r\n\r\nvalue\r\n--b--\r\n", b"b")


def test_too_many_fields() -> None:
    with pytest.raises(GuijuError):
        read_form(GOOD.removesuffix(b"--b--\r\n") * 65 + b"--b--\r\n", b"b")


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"), (b'Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        (b"application/json", None), (b"multipart/form-data", None), (b"multipart/form-data; boundary=", None), (b"multipart/mixed; boundary=a", None),
        (b"", None),
    ],
)  # fmt: skip
def test_boundaries(told: bytes, wanted: bytes | None) -> None:
    assert boundary_of(told) == wanted
