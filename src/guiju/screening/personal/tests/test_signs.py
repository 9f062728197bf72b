"""The quick look sees every hint, however it is written, and lets ordinary text pass."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.screening.personal.detectors import DETECTORS
from guiju.screening.personal.detectors.tests.samples import SAMPLES, escaped, wide
from guiju.screening.personal.finds import screen_for
from guiju.screening.personal.plain import INVISIBLE, plain_of
from guiju.screening.personal.signs import Signs
from guiju.screening.spellings.encoded import may_be_encoded
from guiju.screening.spellings.first_look import units_of
from guiju.screening.values import Policy

SIGNS = Signs([("000000", "number"), ("sk-", "key"), ("京A", "plate"), ("我叫", "name")])
SEEN = [
    ("number", "电话 123456"),
    ("number", "1 2-3 4-56"),
    ("number", "１２３４５６"),
    ("key", "task sk-x"),
    ("plate", "京Q8"),
    ("plate", "京Ｑ8"),
    ("name", "你好，我叫"),
]


@pytest.mark.parametrize(("owner", "text"), SEEN)
def test_a_hint_is_seen(owner: str, text: str) -> None:
    assert SIGNS.may_be_in(text, units_of(text))
    assert SIGNS.owners_in(plain_of(text).text) == {owner}


@pytest.mark.parametrize("text", ["", "今天天气很好。", "12345 和 6789", "京a1 我 叫", "SK-", "\ud800", "😀𠀀"])
def test_what_holds_none_passes(text: str) -> None:
    assert not SIGNS.may_be_in(text, units_of(text))
    assert SIGNS.owners_in(text) == set()


@pytest.mark.parametrize("sign", ["\\", *INVISIBLE])
def test_what_changes_its_neighbours_is_looked_at_closely(sign: str) -> None:
    """In `Signs`, without `_UNUSUAL_BYTE` among the words these would pass: 我\\u200b叫 is read as 我叫."""
    text = f"我{sign}叫"
    assert SIGNS.may_be_in(text, units_of(text))


VALUES = [make(random.Random(5)) for makers in SAMPLES.values() for make in makers]
ALL = screen_for(Policy(), "output")


@given(
    st.lists(
        st.sampled_from(
            [
                *VALUES,
                *map(escaped, VALUES),
                *map(wide, VALUES),
                "１２",
                "3 4",
                "5-6",
                "京",
                "Ａ",
                "\\u6211",
                "叫",
                "\u200b",
                "，",
                "平常的话",
            ]
        ),
        max_size=8,
    )
)
def test_the_quick_look_never_misses_what_the_close_look_sees(parts: list[str]) -> None:
    text = "".join(parts)
    if any(True for detector in DETECTORS for _ in detector.examine(plain_of(text).text)):
        assert ALL.may_find(text, units_of(text))


@given(st.text("aB90+/_%-中ａ９，\\ \n🙂京", max_size=80))
def test_a_run_of_code_is_seen_in_the_same_look(text: str) -> None:
    signs, code = ALL._signs.look(text, units_of(text))
    assert signs == ALL._signs.may_be_in(text, units_of(text))
    assert code or not may_be_encoded(text)
    if not set("ａ９") & set(text):
        assert code == may_be_encoded(text)
