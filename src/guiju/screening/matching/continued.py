"""An answer that goes on where the last message ends: a term that begins there and ends here is found, streamed exactly as whole.

The answer is screened for itself, as always. While a term that began in the last message could still be completed, nothing of the
answer leaves; that is decided after a few characters. Which text is let out, and where it is cut, is the same for every way of cutting.
Source: Measures Arts. 4, 14; design, promise 1.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from guiju.screening.matching.conversation import source_of_message
from guiju.screening.matching.gate import Gate, Trie
from guiju.screening.matching.gates import Gates, open_gate
from guiju.screening.matching.rules import Rule
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.spellings.escapes import may_escape
from guiju.screening.spellings.fold import fold
from guiju.screening.values import Hit, Policy

_SENTENCE_ENDS: Final = frozenset('。？！…?!\n\r”’"》」』）)')
"""A person's message that ends in one of these is complete: what follows answers it. A message without goes on, perhaps."""
_ENDS_KNOWN: Final = 20_000


class Before(NamedTuple):
    """What an answer continues: the path of the last message's text, and its end, which begins at character `offset`."""

    path: str
    text: str
    offset: int


def before_of(messages: Sequence[Any], snapshot: Snapshot, policy: Policy) -> Before | None:
    """Return what the answer could continue; None for nearly all conversations.

    That is the end of the last message, where a term begins in it that is not complete: of the words that the application has put into
    the model's mouth, or of a person's message that ends within a sentence.
    """
    message = messages[-1]
    content, steps = message.get("content"), ".content"
    if content.__class__ is list and content and content[-1].__class__ is dict:
        steps, content = f".content[{len(content) - 1}].text", content[-1].get("text")
    if content.__class__ is not str or not content:
        return None
    source = source_of_message(message)
    if source == "user":
        if content[-1] in _SENTENCE_ENDS:
            return None
    elif source != "assistant":
        return None
    trie = snapshot.trie(policy, "output")
    end = content[-snapshot.longest :]
    if not trie.known_ends.get(content[-2:], True) and not may_escape(end):
        return None
    for each in (trie, *trie.readings):
        if not may_escape(end) and not _may_end_in(end, each):
            continue
        folded, prefixes, pairs = fold(end, each.reading), each.term_prefixes, each.pair_prefixes
        for start in range(len(folded)):
            if folded[start:] in prefixes or folded[start:] in pairs:
                return Before(f"messages[{len(messages) - 1}]{steps}", end, len(content) - len(end))
    _note_end(content[-2:], trie)
    return None


def _note_end(last: str, trie: Trie) -> None:
    """Remember that no term begins in what ends in these two characters, where nothing that stands before them could change that."""
    if len(trie.known_ends) > _ENDS_KNOWN:
        trie.known_ends.clear()
    tries = (trie, *trie.readings)
    trie.known_ends[last] = any(any(each.reading[one].__class__ is int for one in last) or _may_end_in(last, each) for each in tries)


def _may_end_in(text: str, trie: Trie) -> bool:
    """Tell whether the last two folded characters are those of a beginning of a term: the quick test."""
    one, last = trie.reading[text[-2]] if len(text) > 1 else 0, trie.reading[text[-1]]
    if one.__class__ is str and last.__class__ is str:  # nearly always; what vanishes in the fold needs the longer look
        both = one + last
        return both[-2:] in trie.endings or both[-1:] in trie.endings
    end = ""
    for character in reversed(text):
        cell = trie.reading[character]
        if isinstance(cell, str):
            end = cell + end
            if len(end) > 1:
                break
    return end[-2:] in trie.endings or end[-1:] in trie.endings


class Continued:
    """The gate of an answer that continues something: the same to use as `Gate`. The start of a hit may be negative: before the answer."""

    __slots__ = ("_before", "_joint", "_own", "_ready", "_seen", "hit")

    def __init__(self, trie: Trie, before: str) -> None:
        self.hit: tuple[int, int, Rule] | None = None
        self._own = open_gate(trie)
        self._joint: Gate | Gates | None = open_gate(trie, passed=len(before))
        self._joint.feed(before)
        self._before = len(before)
        self._seen = 0  # how much came of the answer, or since a pause
        self._ready = ""  # what the answer's own gate has let out while the joint is open

    @property
    def held(self) -> str:
        """What was fed and neither returned nor cut off yet."""
        return self._ready + self._own.held

    def feed(self, piece: str) -> str:
        """Take the next piece and return the text that may leave now, possibly empty."""
        if self.hit is not None:
            return ""
        text = self._own.feed(piece)
        if self._joint is None:
            self.hit = self._own.hit
            return text
        self._ready += text
        self._seen += len(piece)
        self._joint.feed(piece)
        return self._settled(final=False)

    def finish(self) -> str:
        """Say that the text is complete and return what may leave of the rest."""
        if self.hit is not None:
            return ""
        text = self._own.finish()
        if self._joint is None:
            self.hit = self._own.hit
            return text
        self._ready += text
        self._joint.finish()
        return self._settled(final=True)

    def pause(self) -> str:
        """Let out what is held as if the text ended here, though it may go on; see `Gate.pause`."""
        if self.hit is not None:
            return ""
        text, joint = self._own.pause(), self._joint
        if joint is None:
            self.hit = self._own.hit
            return text
        self._ready += text
        joint.pause()
        text = self._settled(final=True)
        if self.hit is None:
            self._joint, self._seen = joint, -1  # what began in the last message stays open while all that comes is held
        return text

    def _settled(self, *, final: bool) -> str:
        """Return what may leave once it is decided whether something reaches over the joint; nothing before."""
        joint = self._joint
        assert joint is not None
        if joint.hit is None and not final and len(joint.held) > self._seen:
            return ""  # a character of the last message could still begin a hit
        self._joint = None
        if joint.hit is not None and joint.hit[0] < self._before:
            start, end, rule = joint.hit
            self.hit, self._ready = (start - self._before, end - self._before, rule), ""
            return ""
        self.hit = self._own.hit
        text, self._ready = self._ready, ""
        return text


def reaching_in(trie: Trie, before: Before, text: str) -> tuple[int, int, Rule] | None:
    """Return the hit that begins in the last message and ends in a whole answer, if there is one; places count from the answer's start."""
    gate = Continued(trie, before.text)
    gate.feed(text)
    gate.finish()
    return gate.hit if gate.hit is not None and gate.hit[0] < 0 else None


def hit_of(place: tuple[int, int, Rule], before: Before, path: str, policy: Policy) -> Hit:
    """Return the hit that this leaves in the record: with both paths, as for turns."""
    start, end, rule = place
    entry = rule.entry
    action = policy.action("output", entry.risk, entry.confidence)
    where = before.offset + len(before.text) + start
    return Hit(f"{before.path} + {path}", where, end, entry.risk, entry.id, entry.severity, action, entry.confidence, "assistant")
