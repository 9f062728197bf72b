"""The matcher: finds the patterns of one reading in whole texts, with exact places in the original."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import ahocorasick_rs
import numpy
import numpy.typing

from guiju.screening.matching.rules import NearWord, Pattern, Rule, begins_a_word, bridged, ends_a_word
from guiju.screening.spellings.first_look import FirstLook, Units
from guiju.screening.spellings.fold import PLAIN, Fold, Reading, fold, fold_exactly, origins
from guiju.screening.spellings.portions import PORTION, Match, cuts, together
from guiju.screening.values import Direction

_SHORT_CHARACTERS = 80
"""A shorter text is folded exactly as a whole: looking for the parts that need it would cost more."""

_LONG_CHARACTERS = 2 * PORTION
"""A longer text is read in portions."""

TOLD_IN_A_TEXT = 100
"""So many hits of one rule are told of one text; the last says how many more there are."""

TOLD_IN_ALL = 10_000
"""When so many hits are told of all texts together, one is told of each rule in each further text, and none of a rule with a hundred."""

_NO_MORE: Mapping[tuple[int, str], int] = MappingProxyType({})

Place = tuple[int, int, int, Rule]
"""Which text, start and end in it, and the rule."""


class _Match(NamedTuple):
    """A whole word in one of the texts: which text, where in it, and where in the fold."""

    place: int
    start: int
    end: int
    first: int
    last: int


class _Part(NamedTuple):
    """A text, or the part of a long one that is being read: its fold, where each of its lines begins, and of a part where each folded
    character begins and how far the text has been read.
    """

    text: str
    folded: str
    begins: list[int]
    starts: numpy.typing.NDArray[numpy.intp] | None = None
    end: int = 0


class Told:
    """The hits that are told, and for (text, rule id) how many more places there are: these were counted and not looked at one by one."""

    __slots__ = ("_last", "_told", "_told_in_all", "full", "full_everywhere", "more", "places")

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.more: Counter[tuple[int, str]] = Counter()
        self.full: set[tuple[int, str]] = set()
        """Of which no more is told in this text."""
        self.full_everywhere: set[str] = set()
        self._told: Counter[tuple[int, str]] = Counter()
        self._told_in_all: Counter[str] = Counter()
        self._last: dict[str, int] = {}

    def is_full(self, place: int | None, rule_id: str) -> bool:
        """Tell whether no more hits of a rule are told of this text; of any text without one."""
        return rule_id in self.full_everywhere or (place is not None and (place, rule_id) in self.full)

    def count(self, place: int | None, rule_id: str, count: int) -> None:
        """Count places that are not told, with the last hit that is."""
        last = self._last[rule_id]
        self.more[place if place is not None and (place, rule_id) in self._told else last, rule_id] += count

    def take(self, found: Iterable[Place]) -> None:
        """Take hits in the order in which they stand."""
        for each in found:
            place, rule_id = key = each[0], each[3].entry.id
            if self.is_full(place, rule_id):
                self.count(place, rule_id, 1)
                continue
            self.places.append(each)
            self._last[rule_id] = place
            self._told[key] += 1
            self._told_in_all[rule_id] += 1
            many = len(self.places) > TOLD_IN_ALL
            if many or self._told[key] == TOLD_IN_A_TEXT:
                self.full.add(key)
            if many and self._told_in_all[rule_id] >= TOLD_IN_A_TEXT:
                self.full_everywhere.add(rule_id)


class Matcher:
    """Patterns and the automaton that finds them; near words have one of their own, asked only where a term was found. Immutable."""

    def __init__(self, patterns: dict[str, Pattern], reading: Reading = PLAIN) -> None:
        self.reading = reading
        self.longest = max(map(len, patterns), default=0)
        told = {text: pattern for text, pattern in patterns.items() if pattern.rules or pattern.excuses}
        self._by_index = list(told.values())
        self._automaton = ahocorasick_rs.AhoCorasick(list(told), store_patterns=False)
        self.words = tuple(told)
        self.first_look = FirstLook(self.words, reading)
        beside = {text: pattern for text, pattern in patterns.items() if pattern.near}
        self._near_by_index = list(beside.values())
        self._near_automaton = ahocorasick_rs.AhoCorasick(list(beside), store_patterns=False) if beside else None
        self.reach = max((rule.entry.within for pattern in told.values() for rule in pattern.rules if rule.near), default=0)

    def finds_nothing(self, text: str, units: Units) -> bool:
        """Tell that no pattern is in a text, given with its units."""
        return self.first_look.rules_out(text, units)

    def find(self, texts: Sequence[str], direction: Direction) -> tuple[list[Place], Mapping[tuple[int, str], int]]:
        """Return the hits in each of `texts`, and for (text, rule id) how many further places there are: of a rule that hits again and again,
        the first hundred of a text are told, and the rest is counted and not looked at one by one.
        """
        if (len(texts[0]) if len(texts) == 1 else sum(map(len, texts))) <= _LONG_CHARACTERS:
            found = self._find_together(texts, direction)
            if len(found) <= TOLD_IN_A_TEXT:
                return [place for _, place in found], _NO_MORE
            told = Told()
            told.take(place for _, place in found)
            return told.places, told.more
        told = Told()
        for first, some in together(texts, _LONG_CHARACTERS):
            if len(some[0]) > _LONG_CHARACTERS:
                self._read_long(some[0], first, direction, told)
            else:
                told.take((first + place, start, end, rule) for _, (place, start, end, rule) in self._find_together(some, direction, told))
        return told.places, told.more

    def _find_together(self, texts: Sequence[str], direction: Direction, told: "Told | None" = None) -> list[tuple[int, Place]]:
        """Return the hits in texts that are read as one, line by line, but for what is not to be told any more; and where each begins."""
        text = texts[0] if len(texts) == 1 else "\n".join(texts)
        folded = fold(text, self.reading)
        matches = self._automaton.find_matches_as_indexes(folded, overlapping=True)
        if told is not None and told.full_everywhere:
            matches = self._not_yet_full(matches, None, (0, len(folded)), direction, told)
        if not matches:
            return []
        begins = [0]
        for each in texts:
            begins.append(begins[-1] + len(each) + 1)
        return self._found(matches, _Part(text, folded, begins), direction)

    def _read_long(self, text: str, number: int, direction: Direction, told: "Told") -> None:
        """Put the hits in one long text among those that are told. It is read portion by portion; a hit is decided when all that decides about
        it has been read: what stands beside it, exceptions around it, near words before it.
        """
        behind, ahead = self.reach + 3 * self.longest + 2, 2 * self.longest + 2
        folded, starts = "", numpy.empty(0, numpy.intp)
        decided = 0
        for begin, end in cuts(text):
            piece = text[begin:end]
            folded += fold(piece, self.reading)
            starts = numpy.concatenate((starts, origins(piece, self.reading) + begin))
            until = len(folded) if end == len(text) else max(decided, len(folded) - ahead)
            matches = self._automaton.find_matches_as_indexes(folded, overlapping=True)
            if told.full or told.full_everywhere:
                matches = self._not_yet_full(matches, number, (decided, until), direction, told)
            if matches:
                found = self._found(matches, _Part(text, folded, [0, len(text) + 1], starts, end), direction)
                told.take((number, start, end, rule) for first, (_, start, end, rule) in found if decided <= first < until)
            keep = max(0, until - behind)
            if keep < len(starts):
                keep = int(starts.searchsorted(starts[keep]))  # what one character folds to is kept together
            folded, starts, decided = folded[keep:], starts[keep:], until - keep

    def _not_yet_full(
        self, matches: list[Match], number: int | None, part: tuple[int, int], direction: Direction, told: "Told"
    ) -> list[Match]:  # fmt: skip
        """Return the matches that can still give a hit that is told; count those in this part of the fold that cannot."""
        spent = {index for index in {index for index, _, _ in matches} if self._is_spent(self._by_index[index], number, direction, told)}
        if not spent:
            return matches
        begin, end = part
        counted = Counter([index for index, first, _ in matches if index in spent and begin <= first < end])
        for index, count in counted.items():
            for rule in self._by_index[index].rules:
                if rule.entry.direction in ("both", direction):
                    told.count(number, rule.entry.id, count)
        return [match for match in matches if match[0] not in spent]

    def _is_spent(self, pattern: Pattern, number: int | None, direction: Direction, told: "Told") -> bool:
        return all(
            told.is_full(number, rule.entry.id) for rule in pattern.rules if rule.entry.direction in ("both", direction)
        ) and all(told.is_full(number, rule_id) for rule_id, _ in pattern.excuses)  # fmt: skip

    def _found(self, matches: list[Match], part: "_Part", direction: Direction) -> list[tuple[int, Place]]:
        """Return every hit among the matches, and where in the fold it begins."""
        found = self._confirmed(matches, part, direction)
        if self._near_automaton is None:
            return [(match.first, (match.place, match.start, match.end, rule)) for match, rule in found]
        alone = [(match.first, (match.place, match.start, match.end, rule)) for match, rule in found if not rule.near]
        waiting = sorted(((match, rule) for match, rule in found if rule.near), key=lambda each: each[0].first)
        return alone + self._paired(waiting, self._near(waiting, part)) if waiting else alone

    def _confirmed(self, matches: list[Match], part: "_Part", direction: Direction) -> list[tuple[_Match, Rule]]:
        """Return the matches that the rules allow: gaps bridged, words whole, not inside one exception, not over two texts."""
        excused: dict[str, list[tuple[int, int]]] = {}
        candidates: list[tuple[_Match, Rule]] = []
        begins = part.begins
        for index, first, last, exact, moved, offset in _unfolded(matches, part, self.reading):
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

    def _near(self, waiting: list[tuple[_Match, Rule]], part: "_Part") -> dict[NearWord, list[_Match]]:
        """Return the near words that stand somewhere about the terms that wait for one; both in order."""
        assert self._near_automaton is not None
        firsts = [match.first for match, _ in waiting]
        matches = []
        for index, first, last in self._near_automaton.find_matches_as_indexes(part.folded, overlapping=True):
            place = bisect_left(firsts, first - self.reach - self.longest)
            if place < len(firsts) and firsts[place] <= last + self.reach:
                matches.append((index, first, last))
        found: dict[NearWord, list[_Match]] = defaultdict(list)
        begins = part.begins
        for index, first, last, exact, moved, offset in _unfolded(matches, part, self.reading) if matches else ():
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

    def _paired(self, waiting: list[tuple[_Match, Rule]], near: dict[NearWord, list[_Match]]) -> list[tuple[int, Place]]:
        """Return the later word of each term and near word that go together, once."""
        found: dict[tuple[int, int, int, str], tuple[int, Rule]] = {}
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
                    found[term.place, term.start, term.end, rule.entry.id] = term.first, rule
                place = max(bisect_left(firsts[word], term.last), told.get((id(rule), word), 0))
                while place < len(matches) and matches[place].place == term.place and matches[place].first - term.last <= within:
                    word_found = matches[place]
                    found[term.place, word_found.start, word_found.end, rule.entry.id] = word_found.first, rule
                    place += 1
                told[id(rule), word] = place
        return [(first, (place, start, end, rule)) for (place, start, end, _), (first, rule) in found.items()]

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


def _unfolded(matches: list[Match], part: _Part, reading: Reading) -> Iterator[tuple[int, int, int, Fold, int, int]]:
    """Yield each match (pattern, start, end in the fold) with the exact fold of the part of the text that decides about it.

    That is the match with one character more on either side, for the gaps; parts that touch are one, so no character is folded twice.
    The part begins at folded character `moved` and at character `offset` of the text.
    """
    text = part.text
    if part.starts is None and len(text) <= _SHORT_CHARACTERS:
        exact = fold_exactly(text, reading)
        yield from ((index, start, end, exact, 0, 0) for index, start, end in matches)
        return
    starts = origins(text, reading) if part.starts is None else part.starts
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
        exact = fold_exactly(text[offset : int(starts[until]) if until < len(starts) else part.end or len(text)], reading)
        for place in order[a:b].tolist():
            index, start, end = matches[place]
            yield index, start, end, exact, moved, offset
