"""The gate: lets a streaming text out as soon as no part of it can become a hit, and not before.

Held back is exactly the tail that could still begin a term (or wait for the longer word that excuses it). After the last
piece everything is decided. What has left, and where the text is cut, is the same for every way of cutting the stream.
Source: Measures Arts. 4, 14; design promise 1.
"""

from bisect import bisect_left

from guiju.screening.fold import ADJACENT, INVISIBLE, PLAIN, Fold, Folder, Reading
from guiju.screening.rules import Pattern, Rule, begins_a_word, bridged, reaches
from guiju.screening.spellings.escapes import MARKS


class Trie:
    """Every proper prefix of every pattern, with the widest gap that may follow it."""

    __slots__ = (
        "_inert", "_inert_above", "_texts", "endings", "patterns", "prefixes", "reading", "readings", "starts", "term_prefixes",
    )  # fmt: skip

    def __init__(self, patterns: dict[str, Pattern], reading: Reading = PLAIN, readings: "tuple[Trie, ...]" = ()) -> None:
        self.reading = reading
        self.readings = readings
        """The same terms in the other readings that they ask for."""
        self.patterns = patterns
        self.prefixes: dict[str, int] = {}  # of terms and exceptions
        self.term_prefixes: dict[str, int] = {}  # of terms alone: only these hold text back
        for text, pattern in patterns.items():
            for rule in pattern.rules:
                _widen(self.term_prefixes, text, rule.bridges)
                _widen(self.prefixes, text, rule.bridges)
            for _, bridges in pattern.excuses:
                _widen(self.prefixes, text, bridges)
        self.starts = frozenset(text[0] for text in patterns)
        self.endings = frozenset(prefix[-2:] for prefix in self.term_prefixes)
        """The last two characters of every beginning of a term (one, where it has one): what a text ends in that a term could complete."""
        self._texts = sorted(patterns)
        self._inert: set[str] = set()  # characters of originals that begin no pattern; filled as they turn up
        self._inert_above = self._inert.issuperset

    def may_become_a_term(self, prefix: str, gaps: list[int], start: int, gap: int) -> bool:
        """Tell whether what was read from `start` on, with this gap after it, is the beginning of a term."""
        if gap > self.term_prefixes.get(prefix, -1):
            return False
        if not any(gaps[start + 1 : start + len(prefix)]):
            return True  # nothing was bridged yet, so the widest gap is the gap of a term that fits
        for place in range(bisect_left(self._texts, prefix), len(self._texts)):
            text = self._texts[place]
            if not text.startswith(prefix):
                return False
            if any(reaches(gaps, start, len(prefix), gap, rule.bridges) for rule in self.patterns[text].rules):
                return True
        return False

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

    __slots__ = ("end", "rule", "start", "word_end_known")

    def __init__(self, rule: Rule, start: int, end: int, word_end_known: bool) -> None:
        self.rule = rule
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
        "_found",
        "_gap_after",
        "_held",
        "_live",
        "_passed",
        "_pending",
        "_released",
        "_trie",
        "hit",
    )

    def __init__(self, trie: Trie, passed: int = 0) -> None:
        self.hit: tuple[int, int, Rule] | None = None
        self._trie = trie
        self._passed = passed  # so many characters were decided elsewhere: what ends in them is no hit here
        self._folder = Folder(trie.reading)
        self._fold = Fold([], [], [], [])
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
                longer.append((character, at))
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

    def _settle(self) -> None:
        """Confirm or drop the matches that nothing to come can change."""
        kept = []
        for pending in self._pending:
            rule, start, end = pending.rule, pending.start, pending.end
            if any(rule_id == rule.entry.id and first <= start and end <= last for rule_id, first, last in self._excused):
                continue
            hopeful = rule.exceptions and self._may_be_excused(rule, start)
            if hopeful or not pending.word_end_known:
                kept.append(pending)
                continue
            place = (self._fold.starts[start], self._fold.ends[end - 1], rule)
            if place[1] > self._passed and (self._found is None or place[:2] < self._found[:2]):
                self._found = place
        self._pending = kept

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
            safe = min(safe, fold.starts[pending.start])
        if self._found is not None and self._found[0] <= safe:
            self.hit = self._found
            safe = self._found[0]
        out = self._held[: safe - self._released]
        self._held = "" if self.hit is not None else self._held[safe - self._released :]
        self._released = safe
        if not self._live and not self._pending and self._found is None:
            self._forget()
        return out

    def _forget(self) -> None:
        """Keep one folded character: the next one must know whether it stands inside a word."""
        fold = self._fold
        self._excused.clear()
        if len(fold.characters) > 1:
            for column in fold:
                del column[:-1]
