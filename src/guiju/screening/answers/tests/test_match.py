"""The same question in any spelling is answered; close ones are, others are not; the index finds what looking at all would find."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.screening.answers.match import NEAR_PER_MILLE, Match, Matcher, core_of, pairs_of, plain_question
from guiju.screening.answers.values import ApprovedAnswer

LATER = 2**33


def bank(*questions: str) -> Matcher:
    return Matcher([ApprovedAnswer(f"a-{place}", (text,), "答", "", "A.4.a", "people", LATER) for place, text in enumerate(questions)], "v")


MATCHER = bank(
    "身份证丢了怎么补办",
    "身份证过期了怎么换领",
    "被骗了钱怎么报警",
    "未成年人可以开通支付账户吗",
    "拨打12315可以投诉什么",
    "How do I report a scam?",
)


def found(text: str, *, near: bool = True) -> str:
    match = MATCHER.find(text, 0, near=near)
    return f"{match.answer.id} {match.match}" if match is not None else ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("身份证丢了怎么补办", "a-0 exact"),
        ("您好，請問身份證丟了怎麼補辦？？謝謝", "a-0 exact"),
        ("身.份.证.丢.了 怎 么 补 办", "a-0 exact"),
        ("我的身份证丢了怎么补办", "a-0 near"),
        ("身份证丢了怎么补办呢", "a-0 near"),
        ("身份证丢失了怎么补办", ""),
        ("未成年人能不能开通支付账户", "a-3 near"),
        ("户口本丢了怎么补办", ""),
        ("身份证怎么办", ""),
        ("未成年人不可以开通支付账户吗", ""),
        ("拨打12345可以投诉什么", ""),
        ("拨打12315能投诉些什么", "a-4 near"),
        ("投诉什么可以拨打12315", "a-4 near"),
        ("打拨诉投12315可以什么", ""),
        ("hello, HOW DO I report a scam", "a-5 exact"),
        ("How do I report a scan?", ""),
        ("", ""),
        ("谢谢", ""),
        ("身份证丢了怎么补办" * 60, ""),
    ],
)
def test_what_answers_and_what_does_not(text: str, expected: str) -> None:
    assert found(text) == expected
    assert found(text, near=False) == (expected if expected.endswith("exact") else "")


def test_two_answers_that_are_equally_close_answer_nothing() -> None:
    matcher = bank("我在北京怎么办理居住证", "你在北京怎么办理居住证")
    assert matcher.find("在北京怎么办理居住证", 0, near=True) is None
    assert matcher.find("你在北京怎么办理居住证", 0, near=True) is not None


def test_an_answer_ends_with_its_day() -> None:
    matcher = Matcher([ApprovedAnswer("a", ("身份证丢了怎么补办",), "答", "", "A.4.a", "people", 1_000)], "v")
    for text in ("身份证丢了怎么补办", "我身份证丢了怎么补办"):
        assert matcher.find(text, 999.9, near=True) is not None
        assert matcher.find(text, 1_000.0, near=True) is None


def test_a_bank_without_rows_answers_nothing() -> None:
    assert Matcher([], "v").find("身份证丢了怎么补办", 0, near=True) is None


_WORDS = st.lists(st.sampled_from("如何 办理 挂失 身份证 不 能 吗 12 怎么 请问 的".split()), min_size=1, max_size=9).map("".join)


@given(st.lists(_WORDS, min_size=1, max_size=12), _WORDS)
def test_the_index_finds_what_looking_at_all_would_find(questions: list[str], asked: str) -> None:
    def plain_answer() -> tuple[str, int] | None:
        plain, pairs = plain_question(asked), pairs_of(plain_question(asked))
        first: dict[str, str] = {}
        for place, text in enumerate(questions):
            first.setdefault(plain_question(text), f"a-{place}")
        if plain in first:
            return first[plain], 1_000
        scores: dict[str, int] = {}
        for text, id in first.items():
            theirs = pairs_of(text)
            score = len(pairs & theirs) * 1_000 // len(pairs | theirs)
            if core_of(text) == core_of(plain) != "" and score >= NEAR_PER_MILLE:
                scores[id] = max(score, scores.get(id, 0))
        if len(plain) * NEAR_PER_MILLE > max(map(len, first)) * 1_000:
            return None
        best = [id for id, score in scores.items() if score == max(scores.values())]
        return (best[0], scores[best[0]]) if len(best) == 1 else None

    match = bank(*questions).find(asked, 0, near=True)
    assert (None if match is None else (match.answer.id, match.score_per_mille)) == plain_answer()


@given(st.text(max_size=500))
def test_any_text_may_be_asked(text: str) -> None:
    match = MATCHER.find(text, 0, near=True)
    assert match is None or isinstance(match, Match)


def test_hostile_texts_take_no_time() -> None:
    """Bounded by length before anything else: 10 MB are told apart at once."""
    rng = random.Random(4)
    for text in (
        "谢谢" * 5_000_000,
        "请问" * 190 + "x",
        "".join(chr(rng.randrange(0x300, 0x36F)) for _ in range(400)),
        "\ud800" * 300,
        "㍿" * 400,
    ):
        assert MATCHER.find(text, 0, near=True) is None
