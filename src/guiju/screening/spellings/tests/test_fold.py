"""Folding: the same for every cut, exact in its offsets, and the fast way equal to the exact one.

Guarded lines, each seen red when taken out: `begun` in `Folder.feed` (cuts inside an escape), `_many` in `fold`
(characters that become several), `gap = ADJACENT` in `Folder._one`, the two `BREAK`s there.
"""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.screening.spellings.fold import (
    ADJACENT,
    BLANK,
    BREAK,
    GAP_CHARACTERS,
    INVISIBLE_RUN,
    STOP,
    SYMBOL,
    Fold,
    Folder,
    fold,
    fold_exactly,
    origins,
)

PARTS = [
    "%",
    "25",
    "E8",
    "%B5",
    "%8C",
    "&",
    "#",
    "36172",
    ";",
    "&#x8d4c",
    "&nbsp",
    "\\",
    "x",
    "e8",
    "\\xb5",
    "\\x8c",
    "u{",
    "}",
    "u8d4c",
    "\\ud835",
    "\\udc1a",
    "a",
    "赌",
]
AWKWARD = "赌賭赌博ＡａÀﬁ㍿①Ⓐ🅰𝐚😀 \t-_/·.，。\n\u200b\u00ad\u0301\ufe0f\ud83d\ude00\\u8d4cnDdEeßİıΣς臺台ヷガ한"
texts = st.one_of(
    st.text(AWKWARD, max_size=40), st.text(st.characters(), max_size=20), st.lists(st.sampled_from(PARTS), max_size=14).map("".join)
)

SAME = [
    ("賭博", "赌博"),
    ("ＡＢＣ１２", "abc12"),
    ("Ⓐⓑ①⒈", "ab11"),
    ("🅰🅱", "ab"),
    ("𝐚𝓫𝕔𝟙", "abc1"),
    ("é É e\u0301", "eee"),
    ("ﬁ", "fi"),
    ("㍿", "株式会社"),
    ("Straße", "strasse"),
    ("银\u200b行\u00ad卡\ufe0f", "银行卡"),
    ("银 行-卡。四\n件😀套", "银行卡四件套"),
    (r"\u8d4c\u535a", "赌博"),
    (r"\uFF21", "a"),
    (r"\ud835\udc1a", "a"),
    (r"赌\n博", "赌博"),
    (r"a\zb", "azb"),
    ("٣५", "35"),
    ("钜鉅巨麹麴曲馀餘馀著着", "巨巨巨曲曲曲余余余着着"),
    ("売買実図圧", "卖买实图压"),
    ("раѕѕроrt", "passport"),
    ("ΡΑΥ ΜΕ", "payme"),
    ("ᴘᴀʏ ɓøɱƀ", "paybomb"),
    ("ꓐꓳꓟꓐ", "bomb"),
    ("⻢⼝⺼", "马口月"),
    ("%E8%B5%8C%e5%8d%9a", "赌博"),
    ("%25E8%25B5%258C", "赌"),
    ("%61%20%62", "ab"),
    (r"\xe8\xb5\x8c\x61".replace("\\\\", "\\"), "赌a"),
    ("&#36172;&#x535a;&#21338", "赌博博"),
    ("赌&nbsp;博&zwnj;&amp;", "赌博"),
    (r"\u{8d4c}", "赌"),
    ("50%的R&D", "50的rd"),
    ("%E8%B5", "e8b5"),
    ("%ED%A0%80", "eda080"),
    ("&#x110000;", ""),
    ("が", "が"),
    ("", ""),
]


def in_pieces(pieces: list[str]) -> tuple[Fold, int, int]:
    folder, result = Folder(), Fold([], [], [], [])
    for piece in pieces:
        folder.feed(piece, result)
    folder.finish(result)
    return result, folder.at, folder.gap


@pytest.mark.parametrize(("text", "folded"), SAME)
def test_spellings_fold_to_one(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert "".join(fold_exactly(text).characters) == folded


def test_the_fast_fold_is_the_exact_fold_for_every_code_point() -> None:
    """One by one for the offsets, and in blocks so that the table meets its neighbours."""
    different = []
    for first in range(0, 0x110000, 0x400):
        block = "".join(map(chr, range(first, first + 0x400)))
        if fold(block) != "".join(fold_exactly(block).characters):
            different += [hex(ord(c)) for c in block if fold(c) != "".join(fold_exactly(c).characters)] or [hex(first)]
    assert different == []


def test_folding_a_fold_changes_nothing() -> None:
    every = "".join(chr(code) for code in range(0x110000) if code != 0x5C)
    once = fold(every)
    assert fold(once) == once


@settings(max_examples=600, deadline=None)
@given(texts)
def test_the_fast_fold_is_the_exact_fold(text: str) -> None:
    assert fold(text) == "".join(fold_exactly(text).characters)


@settings(max_examples=1000, deadline=None)
@given(texts)
def test_the_way_back_is_the_exact_one(text: str) -> None:
    assert origins(text).tolist() == fold_exactly(text).starts


def test_the_way_back_is_the_exact_one_for_every_code_point() -> None:
    every = "".join(chr(code) for code in range(0x110000))
    assert origins(every).tolist() == fold_exactly(every).starts


@settings(max_examples=600, deadline=None)
@given(texts, st.lists(st.integers(0, 100), max_size=8))
def test_any_cut_folds_as_the_whole(text: str, places: list[int]) -> None:
    marks = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    pieces = [text[a:b] for a, b in pairwise(marks)]
    assert in_pieces(pieces) == in_pieces([text]) == in_pieces(list(text))
    assert in_pieces(pieces)[0] == fold_exactly(text)
    assert in_pieces(pieces)[1] == len(text)


@settings(max_examples=600, deadline=None)
@given(texts)
def test_offsets_lead_back_to_what_folded(text: str) -> None:
    exact = fold_exactly(text)
    assert exact.starts == sorted(exact.starts)
    for first, start in enumerate(exact.starts):
        end = exact.ends[first]
        together = [c for c, begin in zip(exact.characters, exact.starts, strict=True) if begin == start]
        assert 0 <= start < end <= len(text)
        assert fold(text[start:end]) == "".join(together)
    for k in range(1, len(exact.starts)):
        if exact.starts[k] != exact.starts[k - 1]:  # not a further character of the same original
            assert exact.ends[k - 1] <= exact.starts[k]
            assert fold(text[exact.ends[k - 1] : exact.starts[k]]) == ""


@settings(max_examples=400, deadline=None)
@given(texts)
def test_a_span_of_the_fold_is_a_span_of_the_text(text: str) -> None:
    exact = fold_exactly(text)
    for first in range(len(exact.characters)):
        for last in range(first, min(first + 4, len(exact.characters))):
            alone = exact.starts.index(exact.starts[first]) == first and exact.starts.count(exact.starts[last]) == 1
            if alone:
                assert fold(text[exact.starts[first] : exact.ends[last]]) == "".join(exact.characters[first : last + 1])


@pytest.mark.parametrize(
    ("between", "gap"),
    [
        ("", ADJACENT),
        ("\u200b\u200b", ADJACENT),
        (" ", BLANK),
        ("-", BLANK),
        ("\u3000", BLANK),
        ("|", BLANK),
        ("*", SYMBOL),
        ("😀", SYMBOL),
        ("。", STOP),
        ("\n", STOP),
        (r"\n", STOP),
        ("”", STOP),
        (" * ", SYMBOL),
        (" " * GAP_CHARACTERS, BLANK),
        (" " * (GAP_CHARACTERS + 1), BREAK),
        ("\u200b" * INVISIBLE_RUN, ADJACENT),
        ("\u200b" * (INVISIBLE_RUN + 1), BREAK),
    ],
)
def test_a_gap_is_as_wide_as_its_widest_separator(between: str, gap: int) -> None:
    assert fold_exactly(f"赌{between}博").gaps == [ADJACENT, gap]


def test_characters_of_one_original_stand_together() -> None:
    exact = fold_exactly("甲 ㍿")
    assert exact.gaps == [ADJACENT, BLANK, ADJACENT, ADJACENT, ADJACENT]
    assert exact.starts == [0, 2, 2, 2, 2]
    assert exact.ends == [1, 3, 3, 3, 3]


@pytest.mark.parametrize("text", ["\\", "\\u", "\\u8", "\\u8d4", "\\ud835", "\\ud835\\", "\\ud835\\u", "\\ud835\\udc1", "\\x", "a\\"])
def test_an_escape_that_never_ends_is_the_characters_it_is_written_with(text: str) -> None:
    assert in_pieces(list(text))[0] == fold_exactly(text)
    assert in_pieces(list(text))[1] == len(text)
    assert fold(text) == "".join(fold_exactly(text).characters)
