"""The snapshot: one library in memory, immutable, with the version that goes into every record.

`examine` looks at whole texts; `gate` gives the state that screens one text while it streams. Both follow the rules
of `rules.py`; that they agree for every text and every way of cutting it is promise 1.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import ahocorasick_rs
import numpy

from guiju.screening.fold import Fold, fold, fold_exactly, origins
from guiju.screening.gate import Gate, Trie
from guiju.screening.rules import Rule, begins_a_word, bridged, compile_rules, ends_a_word
from guiju.screening.values import GRAVITY, PASS, Confidence, Direction, Hit, LibraryEntry, Policy, Verdict

_SHORT_CHARACTERS = 80
"""A shorter text is folded exactly as a whole: looking for the parts that need it would cost more."""

_Found = tuple[str, int, int, Rule]


class Snapshot:
    """A keyword library ready to match. Build it off the event loop: 10,000 terms take about 0.2 s."""

    def __init__(self, entries: Sequence[LibraryEntry], version: str) -> None:
        self.version = version
        self.entries = tuple(entries)
        self._patterns = compile_rules(entries)
        self._by_index = list(self._patterns.values())
        self._longest = max(map(len, self._patterns), default=0)
        self._automaton = ahocorasick_rs.AhoCorasick(list(self._patterns), store_patterns=False)
        self._tries: dict[tuple[Direction, frozenset[tuple[str, Confidence]]], Trie] = {}

    @property
    def longest(self) -> int:
        """How many characters the longest term or exception has, folded."""
        return self._longest

    def finds_nothing(self, strings: Sequence[str]) -> bool:
        """Tell that no term can be in these strings: the quick test that nearly all traffic passes."""
        return not self._automaton.find_matches_as_indexes(fold("\n".join(strings)))

    def examine(self, text: str, direction: Direction, policy: Policy, path: str = "") -> Verdict:
        """Return the verdict on one text; spans are characters of `text`."""
        return self.examine_all([(path, text)], direction, policy)

    def examine_all(self, strings: Sequence[tuple[str, str]], direction: Direction, policy: Policy) -> Verdict:
        """Return the verdict on a view: (path, text) pairs, examined in one pass; no hit reaches over two of them."""
        found = self._find([text for _, text in strings], direction)
        return _verdict([(strings[place][0], start, end, rule) for place, start, end, rule in found], direction, policy)

    def examine_each(self, texts: Sequence[str], direction: Direction, policy: Policy) -> list[Verdict]:
        """Return the verdict on each of many texts, examined in one pass: what bulk screening does. Paths are empty."""
        verdicts = [PASS] * len(texts)
        by_text: dict[int, list[_Found]] = {}
        for place, start, end, rule in self._find(texts, direction):
            by_text.setdefault(place, []).append(("", start, end, rule))
        for place, found in by_text.items():
            verdicts[place] = _verdict(found, direction, policy)
        return verdicts

    def _find(self, texts: Sequence[str], direction: Direction) -> list[tuple[int, int, int, Rule]]:
        """Return (which text, start, end, rule) for every hit."""
        text = texts[0] if len(texts) == 1 else "\n".join(texts)
        matches = self._automaton.find_matches_as_indexes(fold(text), overlapping=True)
        return self._confirmed(matches, text, texts, direction) if matches else []

    def _confirmed(
        self, matches: list[tuple[int, int, int]], text: str, texts: Sequence[str], direction: Direction
    ) -> list[tuple[int, int, int, Rule]]:
        """Return the matches that the rules allow: gaps bridged, words whole, not inside one exception, not over two texts."""
        begins = [0]
        for each in texts:
            begins.append(begins[-1] + len(each) + 1)
        excused: dict[str, list[tuple[int, int]]] = {}
        candidates: list[tuple[int, int, int, int, int, Rule]] = []
        for index, first, last, exact, moved, offset in _unfolded(matches, text):
            start, end = first - moved, last - moved
            begin, finish = exact.starts[start] + offset, exact.ends[end - 1] + offset
            place = bisect_right(begins, begin) - 1
            if finish >= begins[place + 1] or not begins_a_word(exact, start):
                continue
            pattern = self._by_index[index]
            for rule_id, bridges in pattern.excuses:
                if bridged(exact.gaps, start, bridges):
                    excused.setdefault(rule_id, []).append((first, last))
            candidates += [
                (place, begin - begins[place], finish - begins[place], first, last, rule)
                for rule in pattern.rules
                if rule.entry.direction in ("both", direction) and bridged(exact.gaps, start, rule.bridges) and ends_a_word(exact, end)
            ]
        for covers in excused.values():
            covers.sort()
        return [
            (place, start, end, rule)
            for place, start, end, first, last, rule in candidates
            if not self._is_excused(excused.get(rule.entry.id), first, last)
        ]

    def _is_excused(self, covers: list[tuple[int, int]] | None, first: int, last: int) -> bool:
        """Tell whether one of the exceptions found, in order, holds the match. Only those that begin near it are looked at."""
        if not covers:
            return False
        for place in range(bisect_left(covers, (last - self._longest, 0)), len(covers)):
            begin, end = covers[place]
            if begin > first:
                return False
            if end >= last:
                return True
        return False

    def gate(self, policy: Policy) -> Gate:
        """Return the state that screens one answer text while it streams, for the terms that this policy stops."""
        return Gate(self.trie(policy, "output"))

    def trie(self, policy: Policy, direction: Direction) -> Trie:
        """Return the prefixes of the terms that this policy stops in this direction.

        Built once for each set of hits that policies stop: about 0.1 s for 10,000 terms. Look it up once for a text.
        """
        key = (direction, policy.ends(direction))
        known = self._tries.get(key)
        if known is None:
            stopped = key[1]
            entries = [e for e in self.entries if e.direction in ("both", direction) and (e.risk, e.confidence) in stopped]
            known = self._tries[key] = Trie(compile_rules(entries))
        return known


def _verdict(found: Sequence[_Found], direction: Direction, policy: Policy) -> Verdict:
    if not found:
        return PASS
    hits = []
    for path, start, end, rule in found:
        entry = rule.entry
        action = policy.action(direction, entry.risk, entry.confidence)
        hits.append(Hit(path, start, end, entry.risk, entry.id, entry.severity, action, entry.confidence))
    hits.sort(key=lambda hit: (hit.path, hit.start, hit.end, hit.rule))
    return verdict_of(hits)


def verdict_of(hits: Sequence[Hit]) -> Verdict:
    """Return the verdict on a text with these hits: the gravest action decides."""
    return Verdict("hit", max((hit.action for hit in hits), key=GRAVITY.__getitem__), tuple(hits)) if hits else PASS


def _unfolded(matches: list[tuple[int, int, int]], text: str) -> Iterator[tuple[int, int, int, Fold, int, int]]:
    """Yield each match (pattern, start, end in the fold) with the exact fold of the part of the text that decides about it.

    That is the match with one character more on either side, for the gaps; parts that touch are one, so no character is folded twice.
    The part begins at folded character `moved` and at character `offset` of the text.
    """
    if len(text) <= _SHORT_CHARACTERS:
        exact = fold_exactly(text)
        yield from ((index, start, end, exact, 0, 0) for index, start, end in matches)
        return
    starts = origins(text)
    _, begins, ends = numpy.array(matches, numpy.intp).T
    low = starts.searchsorted(starts[numpy.maximum(begins - 1, 0)], "left")
    high = starts.searchsorted(starts[numpy.minimum(ends, len(starts) - 1)], "right")
    order = low.argsort(kind="stable")
    high_so_far = numpy.maximum.accumulate(high[order])
    first = numpy.flatnonzero(numpy.concatenate(([True], low[order][1:] > high_so_far[:-1])))
    bounds = [*first.tolist(), len(order)]
    for a, b in zip(bounds, bounds[1:], strict=False):
        moved, until = int(low[order[a]]), int(high_so_far[b - 1])
        offset = int(starts[moved])
        exact = fold_exactly(text[offset : int(starts[until]) if until < len(starts) else len(text)])
        for place in order[a:b].tolist():
            index, start, end = matches[place]
            yield index, start, end, exact, moved, offset
