"""Finding the approved answer to a question: the same question in any spelling, or one that is close.

*Exact*: both fold to the same characters (`spellings/fold.py`) once words of courtesy around them are taken away. *Near*: they differ by light
words alone (的, 应该, 怎么样, 以后), and in about the same order: what is left without light characters is the same, counted, and the pairs
of neighbouring characters overlap (Jaccard) by at least `NEAR_PER_MILLE`. A number, a negation or a noun that differs makes another question.

A bank of any size is asked by two look-ups.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from guiju.screening.answers.values import ApprovedAnswer
from guiju.screening.spellings.fold import fold

QUESTION_CHARACTERS: Final = 100
"""A folded question is at most this long."""
NEAR_PER_MILLE: Final = 500
"""Measured: `python -m bench.answers --data DIR`."""
_RAW_CHARACTERS: Final = 4 * QUESTION_CHARACTERS
"""A message longer than this is no question of the bank, whatever its separators."""
_BEFORE: Final = re.compile(
    r"(?:你好|您好|请问一下|请问|想问一下|我想问一下|我想问|想问|我想知道|麻烦问一下|麻烦问|咨询一下|hello|hi|please|pleasetellme|excuseme)+"
)
_AFTER: Final = re.compile(r"(?:谢谢你|谢谢您|谢谢|多谢|thankyou|thanks|please)+$")
_WHETHER: Final = re.compile(r"(能|可|是|会|有|要)[不没]\1")
"""能不能 asks what 能…吗 asks; the negation in it turns nothing around."""
LIGHT: Final = frozenset(
    "的地得了着呢吗呀啊吧么嘛我你您咱们这那是否应该需要会能可以怎样如何咋什哪些个请问想知道后时候到去在就还都给才再与和及所其"
)
"""Characters that carry no subject of a question. No number, no negation, no 谁, 多, 前, 为 or 被: those make another question."""
_LIGHT: Final = re.compile("[" + "".join(sorted(LIGHT)) + "]")


class Match(NamedTuple):
    """An approved answer for a question, and how close the question was; 1,000 for the same."""

    answer: ApprovedAnswer
    match: Literal["exact", "near"]
    score_per_mille: int


class Matcher:
    """A bank ready to be asked. Immutable; 5,000 answers take about 0.1 s to build."""

    def __init__(self, answers: Sequence[ApprovedAnswer], version: str, near_per_mille: int = NEAR_PER_MILLE) -> None:
        self.version = version
        self.short = version[:16]
        self._near = near_per_mille
        self._answers = tuple(answers)
        self._exact: dict[str, int] = {}
        self._cores: dict[str, list[tuple[int, frozenset[str]]]] = {}
        for place, answer in enumerate(answers):
            for question in answer.questions:
                plain = plain_question(question)
                if plain and plain not in self._exact:
                    self._exact[plain] = place
                    self._cores.setdefault(core_of(plain), []).append((place, pairs_of(plain)))
        self._cores.pop("", None)
        self._most = max(map(len, self._exact), default=0) * 1_000 // near_per_mille

    def find(self, text: str, now_s: float, *, near: bool) -> Match | None:
        """Return the approved answer to this question, or None. An answer that is no longer valid is none."""
        if len(text) > _RAW_CHARACTERS:
            return None
        plain = plain_question(text)
        place = self._exact.get(plain)
        if place is not None:
            return self._valid(place, "exact", 1_000, now_s)
        if not near or len(plain) > self._most:
            return None
        variants = self._cores.get(core_of(plain))
        if variants is None:
            return None
        pairs = pairs_of(plain)
        scored = [(len(pairs & theirs) * 1_000 // len(pairs | theirs), place) for place, theirs in variants]
        score, place = max(scored)
        # Two answers that are equally close are two meanings: nobody may guess which.
        if score < self._near or any(other == score and answer != place for other, answer in scored):
            return None
        return self._valid(place, "near", score, now_s)

    def _valid(self, place: int, match: Literal["exact", "near"], score_per_mille: int, now_s: float) -> Match | None:
        answer = self._answers[place]
        return Match(answer, match, score_per_mille) if now_s < answer.until_s else None


def plain_question(text: str) -> str:
    """Return a question in one spelling, without words of courtesy around it.

    >>> plain_question("您好，請問 怎麼掛失 身份證？谢谢！")
    '怎么挂失身份证'
    """
    folded = fold(text)
    before = _BEFORE.match(folded)
    bare = folded[before.end() :] if before else folded
    return _AFTER.sub("", bare) or folded


def pairs_of(plain: str) -> frozenset[str]:
    """Return the pairs of neighbouring characters; of a single character itself."""
    return frozenset(map("".join, zip(plain, plain[1:], strict=False))) or frozenset((plain,))


def core_of(plain: str) -> str:
    """Return what a question is about: its characters without the light ones, in order of the alphabet.

    >>> core_of("身份证丢了应该怎么补办") == core_of("我的身份证丢了怎样补办")
    True
    >>> core_of("能不能退款") == core_of("可以退款吗") != core_of("不能退款吗")
    True
    """
    return "".join(sorted(_LIGHT.sub("", _WHETHER.sub(r"\1", plain))))
