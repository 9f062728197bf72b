"""The gate: lets a streaming text out as soon as no part of it can become a hit, and not before.

Held back is exactly the tail that could still begin a term (or wait for the longer word that excuses it). After the last
piece everything is decided. What has left, and where the text is cut, is the same for every way of cutting the stream.
Source: Measures Arts. 4, 14; design promise 1.
"""

from bisect import bisect_left
from collections.abc import Iterator
from copy import copy

from guiju.screening.matching.near import Sighting, first_hit, go_together, still_needed
from guiju.screening.matching.rules import NearWord, Pattern, Rule, begins_a_word, bridged, reaches
from guiju.screening.spellings.escapes import MARKS
from guiju.screening.spellings.fold import ADJACENT, INVISIBLE, PLAIN, Fold, Folder, Reading

_FOLDED_AT_MOST = 512
"""Where something is always being read, the fold before it is forgotten when it has grown so long."""


class Trie:
    """Every proper prefix of every pattern, with the widest gap that may follow it."""

    __slots__ = (
        "_inert", "_inert_above", "_texts", "endings", "known_ends", "pair_prefixes", "patterns", "prefixes", "reach", "reading", "readings", "starts",
        "term_prefixes",
    )  # fmt: skip

    def __init__(self, patterns: dict[str, Pattern], reading: Reading = PLAIN, readings: "tuple[Trie, ...]" = ()) -> None:
        self.reading = reading
        self.readings = readings
        """The same terms in the other readings that they ask for."""
        self.patterns = patterns
        self.prefixes: dict[str, int] = {}  # of terms and exceptions
        self.term_prefixes: dict[str, int] = {}  # of terms alone: only these hold text back
        self.pair_prefixes: dict[str, int] = {}  # of terms with near words, and of near words: they do where one of the others was seen
        self.reach = 0
        """How far apart a term and its near word may be, at most; 0 where no term has any."""
        for text, pattern in patterns.items():
            for rule in pattern.rules:
                _widen(self.pair_prefixes if rule.near else self.term_prefixes, text, rule.bridges)
                _widen(self.prefixes, text, rule.bridges)
                if rule.near:
                    self.reach = max(self.reach, rule.entry.within)
            for word in pattern.near:
                _widen(self.pair_prefixes, text, word.bridges)
                _widen(self.prefixes, text, word.bridges)
            for _, bridges in pattern.excuses:
                _widen(self.prefixes, text, bridges)
        self.starts = frozenset(text[0] for text in patterns)
        self.endings = frozenset(prefix[-2:] for prefix in (*self.term_prefixes, *self.pair_prefixes))
        """The last two characters of every beginning of a term (one, where it has one): what a text ends in that a term could complete."""
        self.known_ends: dict[str, bool] = {}
        """Last two characters of texts → whether a term may begin in what ends so; filled as they turn up (`continued.py`)."""
        self._texts = sorted(patterns)
        self._inert: set[str] = set()  # characters of originals that begin no pattern; filled as they turn up
        self._inert_above = self._inert.issuperset

    def may_become_a_term(self, prefix: str, gaps: list[int], start: int, gap: int) -> bool:
        """Tell whether what was read from `start` on, with this gap after it, is the beginning of a term."""
        if gap > self.term_prefixes.get(prefix, -1):
            return False
        if not any(gaps[start + 1 : start + len(prefix)]):
            return True  # nothing was bridged yet, so the widest gap is the gap of a term that fits
        return any(
            reaches(gaps, start, len(prefix), gap, rule.bridges)
            for pattern in self._patterns_from(prefix)
            for rule in pattern.rules
            if not rule.near
        )

    def may_make_a_pair(self, prefix: str, gaps: list[int], start: int, gap: int, before: list[tuple[Rule | NearWord, int]]) -> bool:
        """Tell whether what was read from `start` on is the beginning of a word that goes with one of those `before` it, so far away."""
        if not before or gap > self.pair_prefixes.get(prefix, -1):
            return False
        return any(
            reaches(gaps, start, len(prefix), gap, word.bridges) and any(go_together(word, what, distance) for what, distance in before)
            for pattern in self._patterns_from(prefix)
            for word in pattern.words
        )

    def _patterns_from(self, prefix: str) -> Iterator[Pattern]:
        for place in range(bisect_left(self._texts, prefix), len(self._texts)):
            text = self._texts[place]
            if not text.startswith(prefix):
                return
            yield self.patterns[text]

    def is_inert(self, piece: str) -> bool:
        """Tell whether no character of this piece begins a pattern. The common case, in one set operation."""
        if self._inert_above(piece):
            return True
        if len(self._inert) > 200_000:
            self._inert.clear()
        for character in piece:
            if character not in self._inert:
                cell = self.reading[character]
                if character in MARKS or (isinstance(cell, str) and not self.starts.isdisjoint(cell)):
                    return False
                self._inert.add(character)
        return True


def _widen(prefixes: dict[str, int], text: str, bridges: tuple[int, ...]) -> None:
    for length in range(1, len(text)):
        prefix = text[:length]
        prefixes[prefix] = max(prefixes.get(prefix, 0), bridges[length])


class _Pending:
    """A match that the characters to come may still excuse."""

    __slots__ = ("end", "needs_another", "start", "what", "word_end_known")

    def __init__(self, what: Rule | NearWord, start: int, end: int, word_end_known: bool) -> None:
        self.what = what
        self.needs_another = isinstance(what, NearWord) or bool(what.near)
        self.start = start
        self.end = end
        self.word_end_known = word_end_known


class Gate:
    """One text on its way out. Feed it pieces; send what `feed` and `finish` return; stop when `hit` is set.

    `hit` is (start, end, rule) in characters of the original text. Nothing at or after `start` was ever returned, and
    everything before it was.
    """

    __slots__ = (
        "_excused",
        "_fold",
        "_folder",
        "_forgotten",
        "_found",
        "_gap_after",
        "_held",
        "_live",
        "_passed",
        "_pending",
        "_released",
        "_seen",
        "_trie",
        "hit",
    )

    def __init__(self, trie: Trie, passed: int = 0) -> None:
        self.hit: tuple[int, int, Rule] | None = None
        self._trie = trie
        self._passed = passed  # so many characters were decided elsewhere: what ends in them is no hit here
        self._folder = Folder(trie.reading)
        self._fold = Fold([], [], [], [])
        self._forgotten = 0  # so many folded characters were forgotten before it; kept up while something is seen
        self._seen: list[Sighting] = []  # terms with near words, and near words, that what comes may go with
        self._gap_after = ADJACENT  # after the character that was read last
        self._held = ""
        self._released = 0
        self._live: list[tuple[str, int]] = []  # (what was read of a pattern, where it begins in the fold), oldest first
        self._pending: list[_Pending] = []
        self._excused: list[tuple[str, int, int]] = []
        self._found: tuple[int, int, Rule] | None = None

    @property
    def held(self) -> str:
        """What was fed and neither returned nor cut off yet."""
        return self._held

    def feed(self, piece: str) -> str:
        """Take the next piece and return the text that may leave now, possibly empty."""
        if self.hit is not None:
            return ""
        if not self._held and piece and self._found is None and self._trie.is_inert(piece) and self._pass(piece):
            return piece
        self._held += piece
        fold = self._fold
        known = len(fold.characters)
        self._folder.feed(piece, fold)
        self._advance(known)
        return self._release(self._folder.at)

    def _pass(self, piece: str) -> bool:
        """Let out a piece in which nothing begins, while nothing is open. Only what the next character must know is kept."""
        last = self._trie.reading[piece[-1]]
        if last == INVISIBLE or self._live or self._pending or self._folder.undecided:
            return False
        if self._seen:
            self._step_over(piece)
        for column in self._fold:
            column.clear()
        if isinstance(last, str):
            self._folder.skip(len(piece), ADJACENT)
            if last.isascii():  # the next character may stand inside a word
                at = self._folder.at
                self._fold = Fold([last[-1]], [at - 1], [at], [ADJACENT])
        else:
            self._folder.skip(len(piece), last)
        self._released += len(piece)
        return True

    def _step_over(self, piece: str) -> None:
        """Count the folded characters of a piece in which nothing begins, and forget what was seen too long ago."""
        cells = self._trie.reading
        count = sum(len(cell) for character in piece if isinstance(cell := cells[character], str))
        last = cells[piece[-1]]
        kept = int(isinstance(last, str) and last.isascii())  # the one that `_pass` keeps
        self._forgotten += len(self._fold.characters) + count - kept
        self._seen = still_needed(self._seen, self._forgotten + kept, self._trie.reach)

    def finish(self) -> str:
        """Say that the text is complete and return what may leave of the rest."""
        if self.hit is not None:
            return ""
        known = len(self._fold.characters)
        self._folder.finish(self._fold)
        self._advance(known)
        self._live.clear()
        for pending in self._pending:
            pending.word_end_known = True
        self._settle()
        return self._release(self._folder.at)

    def pause(self) -> str:
        """Let out what is held as if the text ended here. It may go on all the same: then what comes is examined together with what has left.

        A hit from then on may begin in what has left: nothing after that leaves.
        """
        if self.hit is not None or not self._held:
            return ""
        fold, folder, gap_after, found = Fold(*[[*column] for column in self._fold]), copy(self._folder), self._gap_after, self._found
        live, pending, seen, excused = [*self._live], [copy(each) for each in self._pending], [*self._seen], [*self._excused]
        forgotten = self._forgotten
        text = self.finish()
        if self.hit is None:
            self._fold, self._folder, self._gap_after, self._found, self._forgotten = fold, folder, gap_after, found, forgotten
            self._live, self._pending, self._seen, self._excused = live, pending, seen, excused
        return text

    def _advance(self, known: int) -> None:
        """Step over the folded characters from `known` on, then drop what the gap after the last one rules out."""
        fold, trie = self._fold, self._trie
        prefixes, patterns, starts = trie.prefixes, trie.patterns, trie.starts
        characters, gaps = fold.characters, fold.gaps
        live = self._live
        for at in range(known, len(characters)):
            character = characters[at]
            if not live and character not in starts and not self._pending:
                continue
            if self._pending:
                self._end_words(at)
            gap = gaps[at]
            matched: list[tuple[str, int]] = []
            longer: list[tuple[str, int]] = []
            for prefix, start in live:
                if gap <= prefixes[prefix]:
                    text = prefix + character
                    if text in prefixes:
                        longer.append((text, start))
                    if text in patterns:
                        matched.append((text, start))
            if character in starts and begins_a_word(fold, at):
                if character in prefixes:
                    longer.append((character, at))
                if character in patterns:  # a near word may be one character
                    matched.append((character, at))
            live = longer
            if matched:
                self._match(matched, at + 1)
            if self._pending:
                self._live, self._gap_after = live, gaps[at + 1] if at + 1 < len(gaps) else ADJACENT
                self._settle()
        gap = self._gap_after = self._folder.gap
        if gap and live:
            live = [(prefix, start) for prefix, start in live if gap <= prefixes[prefix]]
        self._live = live
        if self._pending:
            if gap:
                for pending in self._pending:
                    pending.word_end_known = True
            self._settle()

    def _end_words(self, at: int) -> None:
        """Drop matches that the character at `at` shows to end inside a word."""
        inside = not begins_a_word(self._fold, at)
        kept = []
        for pending in self._pending:
            if not pending.word_end_known and inside:
                continue
            pending.word_end_known = True
            kept.append(pending)
        self._pending = kept

    def _match(self, matched: list[tuple[str, int]], end: int) -> None:
        gaps, ascii_end = self._fold.gaps, self._fold.characters[end - 1].isascii()
        for text, start in matched:
            pattern = self._trie.patterns[text]
            for rule_id, bridges in pattern.excuses:
                if bridged(gaps, start, bridges):
                    self._excused.append((rule_id, start, end))
            for rule in pattern.rules:
                if bridged(gaps, start, rule.bridges):
                    self._pending.append(_Pending(rule, start, end, not ascii_end))
            for word in pattern.near:
                if bridged(gaps, start, word.bridges):
                    self._pending.append(_Pending(word, start, end, not ascii_end))

    def _settle(self) -> None:
        """Confirm or drop the matches that nothing to come can change."""
        kept = []
        sighted = False
        for pending in self._pending:
            what, start, end = pending.what, pending.start, pending.end
            hopeful = False
            if isinstance(what, Rule):
                if any(rule_id == what.entry.id and first <= start and end <= last for rule_id, first, last in self._excused):
                    continue
                hopeful = bool(what.exceptions) and self._may_be_excused(what, start)
            if hopeful or not pending.word_end_known:
                kept.append(pending)
                continue
            place: tuple[int, int, Rule] | None
            if pending.needs_another:
                sighting = self._sighting(pending)
                place = first_hit(sighting, self._seen)
                self._seen.append(sighting)
                sighted = True
            else:
                assert isinstance(what, Rule)
                place = (self._fold.starts[start], self._fold.ends[end - 1], what)
            if place is not None and place[1] > self._passed and (self._found is None or place[:2] < self._found[:2]):
                self._found = place
        self._pending = kept
        if sighted:
            open_ = [start for _, start in self._live[:1]] + [pending.start for pending in kept]
            oldest = min([self._forgotten + start for start in open_] or [max(each.last for each in self._seen)])
            self._seen = still_needed(self._seen, oldest, self._trie.reach)

    def _sighting(self, pending: _Pending) -> Sighting:
        fold, start, end = self._fold, pending.start, pending.end
        return Sighting(pending.what, self._forgotten + start, self._forgotten + end, fold.starts[start], fold.ends[end - 1])

    def _may_be_excused(self, rule: Rule, start: int) -> bool:
        """Tell whether a longer word that excuses this rule is being read around the match that begins at `start`."""
        gaps, gap = self._fold.gaps, self._gap_after
        return any(
            first <= start and text.startswith(prefix) and reaches(gaps, first, len(prefix), gap, bridges)
            for prefix, first in self._live
            for text, bridges in rule.exceptions
        )

    def _release(self, decided: int) -> str:
        """Return the text before everything that is open; forget the fold where nothing is open."""
        fold = self._fold
        safe = decided
        for prefix, start in self._live:
            if self._trie.may_become_a_term(prefix, fold.gaps, start, self._folder.gap):
                safe = min(safe, fold.starts[start])
                break  # oldest first
        for pending in self._pending:
            if not pending.needs_another:
                safe = min(safe, fold.starts[pending.start])
        if self._trie.reach:
            safe = self._before_pairs(safe)
        if self._found is not None and self._found[0] <= safe:
            self.hit = self._found
            safe = self._found[0]
        safe = max(safe, self._released)  # what is before has left, perhaps in a pause
        out = self._held[: safe - self._released]
        self._held = "" if self.hit is not None else self._held[safe - self._released :]
        self._released = safe
        if not self._live and not self._pending and self._found is None:
            self._forget()
        elif len(fold.characters) > _FOLDED_AT_MOST and self.hit is None:
            self._forget_before(min([start for _, start in self._live[:1]] + [pending.start for pending in self._pending]))
        return out

    def _before_pairs(self, safe: int) -> int:
        """Return the place up to which text may leave, with regard to words that are open and go with one that was seen or is open too."""
        fold = self._fold
        waiting = [self._sighting(pending) for pending in self._pending if pending.needs_another]
        seen = self._seen + waiting
        if not seen:
            return safe
        for each in waiting:
            hit = first_hit(each, seen)
            if hit is not None:
                safe = min(safe, hit[0])
        reach, gap = self._trie.reach, self._folder.gap
        for prefix, start in self._live:
            if fold.starts[start] >= safe:
                break  # oldest first
            first = self._forgotten + start
            before = [(each.what, first - each.last) for each in seen if 0 <= first - each.last <= reach]
            if self._trie.may_make_a_pair(prefix, fold.gaps, start, gap, before):
                return min(safe, fold.starts[start])
        return safe

    def _forget(self) -> None:
        """Keep one folded character: the next one must know whether it stands inside a word."""
        fold = self._fold
        self._excused.clear()
        count = len(fold.characters) - 1
        if count > 0:
            self._forgotten += count
            for column in fold:
                del column[:-1]

    def _forget_before(self, place: int) -> None:
        """Keep the fold from the character before a place on, where what is open begins."""
        count = max(place - 1, 0)
        self._forgotten += count
        for column in self._fold:
            del column[:count]
        self._live = [(prefix, start - count) for prefix, start in self._live]
        for pending in self._pending:
            pending.start -= count
            pending.end -= count
        self._excused = [(rule_id, first - count, last - count) for rule_id, first, last in self._excused if last > count]
