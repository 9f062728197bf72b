"""The snapshot: one library in memory, immutable, with the version that goes into every record.

`examine` looks at whole texts; `gate` gives the state that screens one text while it streams. Both follow the rules
of `rules.py`; that they agree for every text and every way of cutting it is promise 1.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Final

import msgspec

from guiju.screening.attacks import HINTS
from guiju.screening.matching.gate import Gate, Trie
from guiju.screening.matching.gates import Gates, open_gate
from guiju.screening.matching.matcher import Matcher, Place
from guiju.screening.matching.rules import Rule, compile_readings, compile_rules
from guiju.screening.spellings.first_look import NEITHER, FirstLook, Units, units_of
from guiju.screening.values import ENDS, GRAVITY, PASS, Confidence, Direction, Hit, LibraryEntry, Policy, Verdict

_Found = tuple[str, int, int, Rule]

_LONG_CHARACTERS: Final = 2**17
"""What begins with so many characters that are refused or stopped is not read on: ten megabytes of one term would fill the memory with hits."""
_NO_MORE: Final[Mapping[tuple[str, str], int]] = MappingProxyType({})
_UNDECIDED_CHARACTERS: Final = 2**13
"""An exception that begins before the cut may end behind it: 64 characters, each with what it bridges."""


class Snapshot:
    """A keyword library ready to match. Build it off the event loop: 10,000 terms take about 0.2 s."""

    def __init__(self, entries: Sequence[LibraryEntry], version: str) -> None:
        self.version = version
        self.entries = tuple(entries)
        self._matcher = Matcher(compile_rules(self.entries))
        self._first_look = self._matcher.first_look
        self._readings = [Matcher(patterns, reading) for reading, patterns in compile_readings(self.entries)]
        self.longest = max(2 * each.longest + each.reach if each.reach else each.longest for each in (self._matcher, *self._readings))
        """How many folded characters a hit may rest on: those of the longest term or exception; with near words, of both and between."""
        self._tries: dict[tuple[Direction, frozenset[tuple[str, Confidence]]], Trie] = {}

    def finds_nothing(self, strings: Sequence[str]) -> bool:
        """Tell that no term can be in these strings: the quick test that nearly all traffic passes."""
        text = "\n".join(strings)
        return self.finds_nothing_in(text, units_of(text))

    def finds_nothing_in(self, text: str, units: Units) -> bool:
        """Tell the same of one text, given with its units."""
        return self._first_look.look(text, units) == NEITHER and not (self._readings and self._may_read_otherwise(text, units))

    def look(self, text: str, units: Units) -> tuple[bool, bool]:
        """Tell whether a term, and whether a hint of an attack, may be in a text, given with its units."""
        term, hint = self._with_hints.look(text, units)
        return term or bool(self._readings and self._may_read_otherwise(text, units)), hint

    def _may_read_otherwise(self, text: str, units: Units) -> bool:
        return not all(each.finds_nothing(text, units) for each in self._readings)

    @cached_property
    def _with_hints(self) -> FirstLook:
        return FirstLook(self._matcher.words, hints=HINTS)

    def examine(self, text: str, direction: Direction, policy: Policy, path: str = "") -> Verdict:
        """Return the verdict on one text; spans are characters of `text`."""
        return self.examine_all([(path, text)], direction, policy)

    def examine_all(self, strings: Sequence[tuple[str, str]], direction: Direction, policy: Policy) -> Verdict:
        """Return the verdict on a view: (path, text) pairs, examined in one pass; no hit reaches over two of them."""
        for path, text in strings:
            if len(text) > _LONG_CHARACTERS:
                found, _ = self._find([text[:_LONG_CHARACTERS]], direction)
                sure = [(path, start, end, rule) for _, start, end, rule in found if end <= _LONG_CHARACTERS - _UNDECIDED_CHARACTERS]
                verdict = _verdict(sure, direction, policy)
                if verdict.action in ENDS:
                    return verdict
        found, more = self._find([text for _, text in strings], direction)
        if not found:
            return PASS
        beside = {(strings[place][0], rule_id): count for (place, rule_id), count in more.items()} if more else {}
        return _verdict([(strings[place][0], start, end, rule) for place, start, end, rule in found], direction, policy, beside)

    def examine_each(self, texts: Sequence[str], direction: Direction, policy: Policy) -> list[Verdict]:
        """Return the verdict on each of many texts, examined in one pass: what bulk screening does. Paths are empty."""
        verdicts = [PASS] * len(texts)
        by_text: dict[int, list[_Found]] = {}
        found, more = self._find(texts, direction)
        for place, start, end, rule in found:
            by_text.setdefault(place, []).append(("", start, end, rule))
        beside: dict[int, dict[tuple[str, str], int]] = {}
        for (place, rule_id), count in more.items():
            beside.setdefault(place, {})["", rule_id] = count
        for place, of_text in by_text.items():
            verdicts[place] = _verdict(of_text, direction, policy, beside.get(place, _NO_MORE))
        return verdicts

    def _find(self, texts: Sequence[str], direction: Direction) -> tuple[list[Place], Mapping[tuple[int, str], int]]:
        if not texts:
            return [], {}
        found, more = self._matcher.find(texts, direction)
        if not self._readings:
            return found, more
        most = Counter(more)
        for matcher in self._readings:
            others, more = matcher.find(texts, direction)
            found += others
            most |= Counter(more)
        if len(found) > 1:  # a term as it is written is found in every reading
            found = list({(place, start, end, rule.entry.id): (place, start, end, rule) for place, start, end, rule in found}.values())
        return found, most

    def gate(self, policy: Policy) -> Gate | Gates:
        """Return the state that screens one answer text while it streams, for the terms that this policy stops."""
        return open_gate(self.trie(policy, "output"))

    def trie(self, policy: Policy, direction: Direction) -> Trie:
        """Return the prefixes of the terms that this policy stops in this direction.

        Built once for each set of hits that policies stop: about 0.1 s for 10,000 terms. Look it up once for a text.
        """
        key = (direction, policy.ends(direction))
        known = self._tries.get(key)
        if known is None:
            stopped = key[1]
            entries = [e for e in self.entries if e.direction in ("both", direction) and (e.risk, e.confidence) in stopped]
            readings = tuple(Trie(patterns, reading) for reading, patterns in compile_readings(entries))
            known = self._tries[key] = Trie(compile_rules(entries), readings=readings)
        return known


def _verdict(
    found: Sequence[_Found], direction: Direction, policy: Policy, more: Mapping[tuple[str, str], int] = _NO_MORE
) -> Verdict:  # fmt: skip
    """Return the verdict; `more` tells for (path, rule id) how many places there are beside those found."""
    if not found:
        return PASS
    hits = []
    for path, start, end, rule in found:
        entry = rule.entry
        action = policy.action(direction, entry.risk, entry.confidence)
        hits.append(Hit(path, start, end, entry.risk, entry.id, entry.severity, action, entry.confidence))
    hits.sort(key=lambda hit: (hit.path, hit.start, hit.end, hit.rule))
    if more:
        last = {(hit.path, hit.rule): place for place, hit in enumerate(hits)}
        for key, count in more.items():
            hits[last[key]] = msgspec.structs.replace(hits[last[key]], more=count)
    return verdict_of(hits)


def verdict_of(hits: Sequence[Hit]) -> Verdict:
    """Return the verdict on a text with these hits: the gravest action decides."""
    return Verdict("hit", max((hit.action for hit in hits), key=GRAVITY.__getitem__), tuple(hits)) if hits else PASS
