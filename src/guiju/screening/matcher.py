"""The matcher: finds the patterns of one reading in whole texts, with exact places in the original."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import ahocorasick_rs
import numpy

from guiju.screening.first_look import FirstLook, Units
from guiju.screening.fold import PLAIN, Fold, Reading, fold, fold_exactly, origins
from guiju.screening.rules import NearWord, Pattern, Rule, begins_a_word, bridged, ends_a_word
from guiju.screening.values import Direction

_SHORT_CHARACTERS = 80
"""A shorter text is folded exactly as a whole: looking for the parts that need it would cost more."""

Place = tuple[int, int, int, Rule]
"""Which text, start and end in it, and the rule."""


class _Match(NamedTuple):
    """A whole word in one of the texts: which text, where in it, and where in the fold."""

    place: int
    start: int
    end: int
    first: int
    last: int


class Matcher:
    """Patterns and the automaton that finds them; near words have one of their own, asked only where a term was found. Immutable."""

    def __init__(self, patterns: dict[str, Pattern], reading: Reading = PLAIN) -> None:
        self.reading = reading
        self.longest = max(map(len, patterns), default=0)
        told = {text: pattern for text, pattern in patterns.items() if pattern.rules or pattern.excuses}
        self._by_index = list(told.values())
        self._automaton = ahocorasick_rs.AhoCorasick(list(told), store_patterns=False)
        self.words = tuple(told)
        self._first_look = FirstLook(self.words, reading)
        beside = {text: pattern for text, pattern in patterns.items() if pattern.near}
        self._near_by_index = list(beside.values())
        self._near_automaton = ahocorasick_rs.AhoCorasick(list(beside), store_patterns=False) if beside else None
        self.reach = max((rule.entry.within for pattern in told.values() for rule in pattern.rules if rule.near), default=0)

    def finds_nothing(self, text: str, units: Units) -> bool:
        """Tell that no pattern is in a text, given with its units; gaps are not looked at."""
        return self._first_look.rules_out(text, units) or not self._automaton.find_matches_as_indexes(fold(text, self.reading))

    def find(self, text: str, texts: Sequence[str], direction: Direction) -> list[Place]:
        """Return every hit in `texts`, of which `text` is the whole, line by line."""
        folded = fold(text, self.reading)
        matches = self._automaton.find_matches_as_indexes(folded, overlapping=True)
        if not matches:
            return []
        begins = [0]
        for each in texts:
            begins.append(begins[-1] + len(each) + 1)
        found = self._confirmed(matches, text, begins, direction)
        if self._near_automaton is None:
            return [(match.place, match.start, match.end, rule) for match, rule in found]
        alone = [(match.place, match.start, match.end, rule) for match, rule in found if not rule.near]
        waiting = sorted(((match, rule) for match, rule in found if rule.near), key=lambda each: each[0].first)
        return alone + self._paired(waiting, self._near(waiting, folded, text, begins)) if waiting else alone

    def _confirmed(
        self, matches: list[tuple[int, int, int]], text: str, begins: list[int], direction: Direction
    ) -> list[tuple[_Match, Rule]]:
        """Return the matches that the rules allow: gaps bridged, words whole, not inside one exception, not over two texts."""
        excused: dict[str, list[tuple[int, int]]] = {}
        candidates: list[tuple[_Match, Rule]] = []
        for index, first, last, exact, moved, offset in _unfolded(matches, text, self.reading):
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
                (_Match(place, begin - begins[place], finish - begins[place], first, last), rule)
                for rule in pattern.rules
                if rule.entry.direction in ("both", direction) and bridged(exact.gaps, start, rule.bridges) and ends_a_word(exact, end)
            ]
        for covers in excused.values():
            covers.sort()
        return [(match, rule) for match, rule in candidates if not self._is_excused(excused.get(rule.entry.id), match.first, match.last)]

    def _near(self, waiting: list[tuple[_Match, Rule]], folded: str, text: str, begins: list[int]) -> dict[NearWord, list[_Match]]:
        """Return the near words that stand somewhere about the terms that wait for one; both in order."""
        assert self._near_automaton is not None
        firsts = [match.first for match, _ in waiting]
        matches = []
        for index, first, last in self._near_automaton.find_matches_as_indexes(folded, overlapping=True):
            place = bisect_left(firsts, first - self.reach - self.longest)
            if place < len(firsts) and firsts[place] <= last + self.reach:
                matches.append((index, first, last))
        found: dict[NearWord, list[_Match]] = defaultdict(list)
        for index, first, last, exact, moved, offset in _unfolded(matches, text, self.reading) if matches else ():
            start, end = first - moved, last - moved
            begin, finish = exact.starts[start] + offset, exact.ends[end - 1] + offset
            place = bisect_right(begins, begin) - 1
            if finish < begins[place + 1] and begins_a_word(exact, start) and ends_a_word(exact, end):
                match = _Match(place, begin - begins[place], finish - begins[place], first, last)
                for word in self._near_by_index[index].near:
                    if bridged(exact.gaps, start, word.bridges):
                        found[word].append(match)
        for each in found.values():
            each.sort(key=lambda match: match.first)
        return found

    def _paired(self, waiting: list[tuple[_Match, Rule]], near: dict[NearWord, list[_Match]]) -> list[Place]:
        """Return the later word of each term and near word that go together, once."""
        found: dict[tuple[int, int, int, str], Rule] = {}
        firsts = {word: [match.first for match in matches] for word, matches in near.items()}
        told: dict[tuple[int, NearWord], int] = {}  # of each rule and word, the words up to here were told
        for term, rule in waiting:
            for word in rule.near:
                matches = near.get(word)
                if not matches:
                    continue
                within, length = rule.entry.within, len(word.folded)
                place = bisect_right(firsts[word], term.first - length) - 1
                if place >= 0 and matches[place].place == term.place and term.first - matches[place].last <= within:
                    found[term.place, term.start, term.end, rule.entry.id] = rule
                place = max(bisect_left(firsts[word], term.last), told.get((id(rule), word), 0))
                while place < len(matches) and matches[place].place == term.place and matches[place].first - term.last <= within:
                    found[term.place, matches[place].start, matches[place].end, rule.entry.id] = rule
                    place += 1
                told[id(rule), word] = place
        return [(place, start, end, rule) for (place, start, end, _), rule in found.items()]

    def _is_excused(self, covers: list[tuple[int, int]] | None, first: int, last: int) -> bool:
        """Tell whether one of the exceptions found, in order, holds the match. Only those that begin near it are looked at."""
        if not covers:
            return False
        for place in range(bisect_left(covers, (last - self.longest, 0)), len(covers)):
            begin, end = covers[place]
            if begin > first:
                return False
            if end >= last:
                return True
        return False


def _unfolded(matches: list[tuple[int, int, int]], text: str, reading: Reading) -> Iterator[tuple[int, int, int, Fold, int, int]]:
    """Yield each match (pattern, start, end in the fold) with the exact fold of the part of the text that decides about it.

    That is the match with one character more on either side, for the gaps; parts that touch are one, so no character is folded twice.
    The part begins at folded character `moved` and at character `offset` of the text.
    """
    if len(text) <= _SHORT_CHARACTERS:
        exact = fold_exactly(text, reading)
        yield from ((index, start, end, exact, 0, 0) for index, start, end in matches)
        return
    starts = origins(text, reading)
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
        exact = fold_exactly(text[offset : int(starts[until]) if until < len(starts) else len(text)], reading)
        for place in order[a:b].tolist():
            index, start, end = matches[place]
            yield index, start, end, exact, moved, offset
