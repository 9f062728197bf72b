"""Prompt attacks in a request: one automaton of hint words for all kinds, and the kinds themselves only where a hint stands.

Looked at is what people, tools and documents gave. What the application says itself is its own: its system prompt may well speak of
ignoring instructions. A find flags unless the policy says otherwise, and then only a sure one ends an input, or one that comes with harm.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import ahocorasick_rs

from guiju.screening.attacks import KINDS, Kind, Span
from guiju.screening.attacks.invisible import HIDDEN, INVISIBLE
from guiju.screening.personal.finds import Screen
from guiju.screening.personal.signs import Signs
from guiju.screening.spellings.fold import PLAIN, fold, origins
from guiju.screening.spellings.portions import PORTION, folded_by_portion, holds_any, matches_by_portion
from guiju.screening.values import Confidence, Hit, Policy, Source

RISK: Final = "attack"
"""Stands where a hit has its risk: an attack is a way, not one of the 31 risks."""
AROUND: Final = 140
"""No folded kind reaches further than this from its hint."""
EXAMINED_CHARACTERS: Final = 60_000
"""So many folded characters around hints are examined for one kind in one text. What is denser in hints than any text of people is flagged."""

GIVEN: Final = frozenset(("user", "tool", "document"))
"""Whose texts are looked at."""
TOLD_AT_MOST: Final = 5
"""So many flags of one kind are told of one text: a record lists a few hits, and they must not crowd out others."""

_WORDS: Final = [(hint, kind) for kind in KINDS for hint in kind.hints]
_OWNERS: Final = [kind for _, kind in _WORDS]
_LONGEST_HINT: Final = max(len(hint) for hint, _ in _WORDS)
_HINTS_AT_MOST: Final = 2 * EXAMINED_CHARACTERS
"""So many hints of one kind are more than are looked around; of those behind them, only the last is kept."""


_PASSES: Final = {"*": "pass"}


class Find(NamedTuple):
    """An attack in a text, in characters of the original; `decoded` is what it hides."""

    kind: Kind
    start: int
    end: int
    confidence: Confidence
    decoded: str
    alone: bool


@lru_cache(maxsize=1)
def _automaton() -> ahocorasick_rs.AhoCorasick:
    return ahocorasick_rs.AhoCorasick([hint for hint, _ in _WORDS], store_patterns=False, implementation=ahocorasick_rs.Implementation.DFA)


@lru_cache(maxsize=1)
def _signs() -> ahocorasick_rs.AhoCorasick:
    return ahocorasick_rs.AhoCorasick(SIGNS, store_patterns=False)


_MENTION: Final = re.compile(
    "什么是|是什么意思|解释|介绍|讲解|科普|防御|防范|防止|抵御|检测|识别|研究|论文|课程|教程|培训|例如|比如|举例|翻译|提示词注入|提示注入|注入攻击|攻击方式|越狱攻击"
    "|whatis|explain|howdoes|howto(?:prevent|defend|detect)|defen[cs]e|detect|research|paper|lecture|forexample|translate|promptinjection|jailbreakattack"
)
"""Words of who speaks about an attack. They lower the confidence of a find in the same sentence, or of one that is quoted there; they never
make a find a pass, for an attacker can write them too.
"""
_SENTENCE_CHARACTERS: Final = 300
_SENTENCE_ENDS: Final = re.compile(r"[。！？!?；;]|(?<![:：])\n|\.(?=\s)")
_QUOTES: Final = dict(zip("“‘「『《〈", "”’」』》〉", strict=True))


def listens(policy: Policy) -> bool:
    """Tell whether a policy wants to know of any attack."""
    return policy.attack_on_input != _PASSES or policy.attack_on_documents != _PASSES


SIGNS: Final = tuple(sorted({sign for kind in KINDS for sign in kind.signs}))
"""What attacks that are read as written are known by; what hides in characters outside of the first plane is beside them."""
_LONGEST_SIGN: Final = max(map(len, SIGNS))


@lru_cache(maxsize=256)
def signs_of(screen: Screen | None, attacks: bool) -> Signs:
    """Return the signs of personal information, of attacks, or of both together: one quick look for all that is looked for."""
    hints = screen.hints if screen is not None else []
    return Signs([*hints, *((sign, "PA") for sign in (SIGNS if attacks else ()))], astral=attacks)


def may_attack(text: str, *, hinted: bool = True) -> bool:
    """Tell whether there may be an attack in this text: the quick test that most traffic fails; about 3 µs for 200 characters. A text in
    which no hint can be, as a first look has told, is not `hinted`.
    """
    return (hinted and has_hints(text)) or _has_signs(text)


def has_hints(text: str) -> bool:
    """Tell the same of the kinds that are read folded."""
    if len(text) <= PORTION:
        return bool(_automaton().find_matches_as_indexes(fold(text)))
    return any(_automaton().find_matches_as_indexes(some) for some in folded_by_portion(text, PLAIN, _LONGEST_HINT))


def _has_signs(text: str) -> bool:
    try:
        few = len(text) <= PORTION
        return bool(_signs().find_matches_as_indexes(text) if few else holds_any(_signs(), text, _LONGEST_SIGN)) or _may_hide(text)
    except UnicodeEncodeError:  # half a surrogate: no JSON holds one, a program's own text may
        return True


def _may_hide(text: str) -> bool:
    """Tell whether characters outside of the first plane may hide a text; two bytes a character rule that out at once."""
    return not text.isascii() and len(text.encode("utf-16-le", "surrogatepass")) != 2 * len(text) and HIDDEN.search(text) is not None


def find(text: str, *, given: bool = False) -> Iterator[Find]:
    """Yield every attack in one text; `given` for what a tool or a document brought."""
    folded = fold(text)
    hinted: dict[str, list[int]] = {}
    kinds = {kind.code: kind for kind in KINDS if any(sign in text for sign in kind.signs)}
    for some in matches_by_portion(_automaton(), folded, _LONGEST_HINT):
        for index, start, _ in some:
            kind = _OWNERS[index]
            kinds[kind.code] = kind
            hints = hinted.setdefault(kind.code, [])
            if len(hints) > _HINTS_AT_MOST:
                hints[-1] = start
            else:
                hints.append(start)
    if _may_hide(text):
        kinds[INVISIBLE.code] = INVISIBLE
    places = None
    for kind in kinds.values():
        if kind.only_given and not given:
            continue
        if kind.reads == "written":
            spans = [(span, span.start, span.end) for span in kind.examine(text)]
        else:
            spans = []
            for span in _around(kind, folded, hinted.get(kind.code, ())):
                places = origins(text) if places is None else places
                spans.append((span, int(places[span.start]), int(places[span.end - 1]) + 1))
        for span, start, end in spans:
            confidence = span.confidence
            if confidence != "low" and kind is not INVISIBLE and _is_mentioned(text, start, end):
                confidence = "low"
            yield Find(kind, start, end, confidence, span.decoded, span.alone)


def _is_mentioned(text: str, start: int, end: int) -> bool:
    """Tell whether the sentence in which a find stands, or in which it is quoted, speaks about attacks."""
    before = text[max(0, start - _SENTENCE_CHARACTERS) : start]
    opened = _opening_quote(before)
    before = before if opened is None else before[:opened]
    begins = [match.end() for match in _SENTENCE_ENDS.finditer(before)]
    after = text[end : end + _SENTENCE_CHARACTERS]
    ends = _SENTENCE_ENDS.search(after)
    sentence = (
        before[begins[-1] if begins else 0 :]
        + text[start : min(end, start + _SENTENCE_CHARACTERS)]
        + after[: ends.start() if ends else None]
    )
    return _MENTION.search(fold(sentence)) is not None


def _opening_quote(before: str) -> int | None:
    """Return where the quotation begins that is open at the end of this text; None where there is none."""
    opened = [place for mark, closing in _QUOTES.items() if (place := before.rfind(mark)) > before.rfind(closing)]
    if before.count('"') % 2:
        opened.append(before.rfind('"'))
    return max(opened, default=None)


def _around(kind: Kind, folded: str, hints: Sequence[int]) -> Iterator[Span]:
    """Yield what a folded kind finds near its hints; the rest of the text is not looked at."""
    left = EXAMINED_CHARACTERS
    begin = end = -1
    for at in [*sorted(hints), len(folded) + 2 * AROUND]:
        if begin >= 0 and at - AROUND > end:
            if left <= 0:
                yield Span(begin, end, "low")
                return
            last = min(end, begin + left)
            yield from (
                Span(begin + span.start, begin + span.end, span.confidence, span.decoded, span.alone)
                for span in kind.examine(folded[begin:last])
            )
            left -= end - begin
            begin = -1
            if left < 0:
                yield Span(last, end, "low")
                return
        if begin < 0:
            begin = max(0, at - AROUND)
        end = min(len(folded), at + AROUND)


def examine_attacks(
    texts: Sequence[tuple[str, str, Source]], policy: Policy, harmful: bool, screen: Callable[[str, str], Sequence[Hit]]
) -> list[Hit]:
    """Return the attacks in (path, text, source) triples, and what stands in the texts that they hide.

    `screen` gives the hits of a decoded text; `harmful` says that the request has a hit already. Both make an attack one with harm.
    """
    found: list[tuple[Find, str, Source]] = []
    hits: list[Hit] = []
    seen: set[tuple[str, str]] = set()
    for path, text, source in texts:
        for each in find(text, given=source in ("tool", "document")):
            inside: Sequence[Hit] = ()
            if each.decoded and (path, each.decoded) not in seen:
                seen.add((path, each.decoded))
                inside = screen(f"{path} (decoded)", each.decoded)
                hits += inside
            if inside or each.alone or not each.kind.only_with_harm:
                found.append((each, path, source))
    harmful = harmful or bool(hits)
    told: Counter[tuple[str, str]] = Counter()
    for each, path, source in found:
        table = policy.attack_on_documents if source in ("tool", "document") else policy.attack_on_input
        wanted = table.get(each.kind.code) or table.get("*") or "flag"
        if wanted == "pass":
            continue
        ends = wanted == "refuse" and (each.confidence == "high" or harmful)
        told[path, each.kind.code] += 1
        if told[path, each.kind.code] > TOLD_AT_MOST and not ends:
            continue
        severity, action = ("block", "refuse") if ends else ("flag", "deliver")
        hits.append(Hit(path, each.start, each.end, RISK, each.kind.code, severity, action, each.confidence, source))  # type: ignore[arg-type]
    return hits
