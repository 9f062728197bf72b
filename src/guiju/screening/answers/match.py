"""Finding the approved answer to a question: the same question in any spelling, or one that is close.

*Exact*: both fold to the same characters (`fold.py`) once words of courtesy around them are taken away. *Near*: their pairs of
characters overlap (Jaccard) by at least `NEAR_PER_MILLE`, and nothing that turns a question around differs: numbers, Latin words, negations.

Most messages are told apart from all questions by their length, most others by how few of their pairs any question has. What is left
looks up its rarest pairs only: a question that close shares one of them (prefix filter).
Source of the filter: Bayardo, Ma, Srikant, Scaling Up All Pairs Similarity Search, WWW 2007.
"""

import re
from collections import Counter
from collections.abc import Sequence
from math import ceil
from typing import Final, Literal, NamedTuple

from guiju.screening.answers.values import ApprovedAnswer
from guiju.screening.fold import fold

QUESTION_CHARACTERS: Final = 100
"""A folded question is at most this long."""
NEAR_PER_MILLE: Final = 750
"""Measured: `python -m bench.answers --data DIR`."""
_RAW_CHARACTERS: Final = 4 * QUESTION_CHARACTERS
"""A message longer than this is no question of the bank, whatever its separators."""
_BEFORE: Final = re.compile(
    r"(?:你好|您好|请问一下|请问|想问一下|我想问一下|我想问|想问|我想知道|麻烦问一下|麻烦问|咨询一下|hello|hi|please|pleasetellme|excuseme)+"
)
_AFTER: Final = re.compile(r"(?:谢谢你|谢谢您|谢谢|多谢|呢|呀|啊|吧|thankyou|thanks|please)+$")
_TURNS: Final = re.compile(r"[a-z]+|[0-9]+|[不没无未非否别勿莫]|除了|以外|之外")
"""What turns a question around."""


class Match(NamedTuple):
    """An approved answer for a question, and how close the question was; 1,000 for the same."""

    answer: ApprovedAnswer
    match: Literal["exact", "near"]
    score_per_mille: int


class _Variant(NamedTuple):
    answer: int
    pairs: frozenset[str]
    turns: tuple[str, ...]


class Matcher:
    """A bank ready to be asked. Immutable; 5,000 answers take about 0.2 s to build."""

    def __init__(self, answers: Sequence[ApprovedAnswer], version: str) -> None:
        self.version = version
        self.short = version[:16]
        self._answers = tuple(answers)
        self._exact: dict[str, int] = {}
        self._variants: list[_Variant] = []
        for place, answer in enumerate(answers):
            for question in answer.questions:
                plain = plain_question(question)
                if plain and plain not in self._exact:
                    self._exact[plain] = place
                    self._variants.append(_Variant(place, pairs_of(plain), turns_of(plain)))
        self._counts = Counter(pair for variant in self._variants for pair in variant.pairs)
        self._rare: dict[str, list[int]] = {}
        for number, variant in enumerate(self._variants):
            for pair in self._rarest(variant.pairs):
                self._rare.setdefault(pair, []).append(number)
        lengths = [len(plain) for plain in self._exact] or [0]
        self._least, self._most = min(lengths) * NEAR_PER_MILLE // 1_000, max(lengths) * 1_000 // NEAR_PER_MILLE

    def find(self, text: str, now_s: float, *, near: bool) -> Match | None:
        """Return the approved answer to this question, or None. An answer that is no longer valid is none."""
        if len(text) > _RAW_CHARACTERS:
            return None
        plain = plain_question(text)
        place = self._exact.get(plain)
        if place is not None:
            return self._valid(place, "exact", 1_000, now_s)
        if not near or not self._least <= len(plain) <= self._most:
            return None
        pairs = pairs_of(plain)
        counts = self._counts
        if sum([pair in counts for pair in pairs]) * 1_000 < len(pairs) * NEAR_PER_MILLE:
            return None
        candidates = {number for pair in self._rarest(pairs) for number in self._rare.get(pair, ())}
        if not candidates:
            return None
        size, turns = len(pairs), turns_of(plain)
        least, most = size * NEAR_PER_MILLE, size * 1_000 // NEAR_PER_MILLE
        scored = []
        for number in candidates:
            answer, theirs, wanted = self._variants[number]
            if len(theirs) * 1_000 >= least and len(theirs) <= most and wanted == turns:
                shared = len(pairs & theirs)
                scored.append((shared * 1_000 // (size + len(theirs) - shared), -answer))
        # Two answers that are equally close are two meanings: nobody may guess which.
        best = max(scored, default=(0, 0))
        if best[0] < NEAR_PER_MILLE or any(score == best[0] and answer != best[1] for score, answer in scored):
            return None
        return self._valid(-best[1], "near", best[0], now_s)

    def _valid(self, place: int, match: Literal["exact", "near"], score_per_mille: int, now_s: float) -> Match | None:
        answer = self._answers[place]
        return Match(answer, match, score_per_mille) if now_s < answer.until_s else None

    def _rarest(self, pairs: frozenset[str]) -> list[str]:
        """Return the pairs of which every question that is close has at least one: the rarest in the bank."""
        counts = self._counts
        return sorted(pairs, key=lambda pair: (counts[pair], pair))[: len(pairs) - ceil(len(pairs) * NEAR_PER_MILLE / 1_000) + 1]


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


def turns_of(plain: str) -> tuple[str, ...]:
    """Return what turns the question around, in order of the alphabet."""
    return tuple(sorted(_TURNS.findall(plain)))
