"""The matcher: finds the patterns of one reading in whole texts, with exact places in the original."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import ahocorasick_rs
import numpy

from guiju.screening.fold import PLAIN, Fold, Reading, fold, fold_exactly, origins
from guiju.screening.rules import Pattern, Rule, begins_a_word, bridged, ends_a_word
from guiju.screening.values import Direction

_SHORT_CHARACTERS = 80
"""A shorter text is folded exactly as a whole: looking for the parts that need it would cost more."""

Place = tuple[int, int, int, Rule]
"""Which text, start and end in it, and the rule."""


class Matcher:
    """Patterns and the automaton that finds them. Immutable."""

    def __init__(self, patterns: dict[str, Pattern], reading: Reading = PLAIN) -> None:
        self.reading = reading
        self._by_index = list(patterns.values())
        self.longest = max(map(len, patterns), default=0)
        self._automaton = ahocorasick_rs.AhoCorasick(list(patterns), store_patterns=False)

    def finds_nothing(self, folded: str) -> bool:
        """Tell that no pattern can be in a text that was folded in this reading."""
        return not self._automaton.find_matches_as_indexes(folded)

    def find(self, text: str, texts: Sequence[str], direction: Direction) -> list[Place]:
        """Return every hit in `texts`, of which `text` is the whole, line by line."""
        matches = self._automaton.find_matches_as_indexes(fold(text, self.reading), overlapping=True)
        return self._confirmed(matches, text, texts, direction) if matches else []

    def _confirmed(self, matches: list[tuple[int, int, int]], text: str, texts: Sequence[str], direction: Direction) -> list[Place]:
        """Return the matches that the rules allow: gaps bridged, words whole, not inside one exception, not over two texts."""
        begins = [0]
        for each in texts:
            begins.append(begins[-1] + len(each) + 1)
        excused: dict[str, list[tuple[int, int]]] = {}
        candidates: list[tuple[int, int, int, int, int, Rule]] = []
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
