"""Searching the sealed contents of one subject: a bounded step at a time, for somebody who has the subject open.

The words are kept as sealed content of the record of the search, under the subject's own key: whoever oversees searches can
open them, for a reason, and erasing the subject erases them too. In the record's metadata they would stay readable for years.
Source: Measures Art. 11.
"""

import re
import time
from dataclasses import dataclass
from typing import Final

import msgspec
from django.db import transaction

from guiju.core.errors import GuijuError, Text, define
from guiju.records.access.content import texts_of
from guiju.records.access.opening import approval_of, get_opening, list_opened
from guiju.records.models import Record
from guiju.records.outbox import append

SEARCHED: Final = "records.subject.searched"
WORDS_CHARACTERS: Final = 200
STEP_RECORDS: Final = 2_000
STEP_S: Final = 1.0
STEP_HITS: Final = 50
_BEFORE_CHARACTERS: Final = 40
_AFTER_CHARACTERS: Final = 80

SEARCH_EMPTY = define(
    "SEARCH-EMPTY",
    status=400,
    kind="invalid_request_error",
    zh=Text("没有写明要查找的词。", "没有查找任何内容。", "请写明要查找的词（不超过 {limit} 个字）。"),
    en=Text("No words to search for were given.", "No content was searched.", "Give the words to search for, at most {limit} characters."),
)


@dataclass(frozen=True, slots=True)
class Hit:
    """One place: the record, the path inside its content, and the text around the words."""

    record: Record
    path: str
    before: str
    words: str
    after: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one step found; `done` of `whole` records are searched; `after` is where the next step goes on, None at the end."""

    hits: list[Hit]
    done: int
    whole: int
    after: int | None
    unreadable: int


def begin_search(subject: str, words: str, *, actor: str) -> str:
    """Leave `records.subject.searched`, durable before anything is searched; return its id.

    Raises OPENING-NEEDED, SEARCH-EMPTY.
    """
    words = _checked(words)
    opening = get_opening(subject, actor)
    metadata: dict[str, object] = {"opening": opening.id, "reason": opening.reason} | approval_of(opening)
    with transaction.atomic(durable=True):
        return append(kind=SEARCHED, actor=actor, subject=subject, metadata=metadata, content=msgspec.msgpack.encode({"words": words}))


def search(subject: str, words: str, *, actor: str, after: int = -1, done: int = 0) -> Step:
    """Search the subject's records behind index `after` for the words, upper and lower case alike, until a bound is met.

    Call `begin_search` first. Raises OPENING-NEEDED once the opening has ended, SEARCH-EMPTY.
    """
    pattern = re.compile(re.escape(_checked(words)), re.IGNORECASE)
    get_opening(subject, actor)
    whole = Record.objects.filter(subject=subject).exclude(content_hash="").count()
    hits: list[Hit] = []
    seen = unreadable = 0
    ends_at = time.monotonic() + STEP_S
    for each in list_opened(subject, after=after):
        if seen >= STEP_RECORDS or len(hits) >= STEP_HITS or time.monotonic() > ends_at:
            return Step(hits, done + seen, whole, after, unreadable)
        after = each.record.index
        seen += bool(each.record.content_hash)
        unreadable += each.state == "unreadable"
        if each.state == "opened" and each.record.kind != SEARCHED:  # a search does not find itself
            hits += _hits(each.record, each.content, pattern)
    return Step(hits, max(done + seen, whole), whole, None, unreadable)


def _hits(record: Record, content: bytes, pattern: re.Pattern[str]) -> list[Hit]:
    """Return the first hit of each text in a record."""
    found = []
    for path, text in texts_of(content):
        match = pattern.search(text)
        if match is not None:
            start, end = match.span()
            before = ("…" if start > _BEFORE_CHARACTERS else "") + text[max(0, start - _BEFORE_CHARACTERS) : start]
            after = text[end : end + _AFTER_CHARACTERS] + ("…" if len(text) > end + _AFTER_CHARACTERS else "")
            found.append(Hit(record, path, before, match[0], after))
    return found


def _checked(words: str) -> str:
    words = words.strip()[:WORDS_CHARACTERS]
    if not words:
        raise GuijuError(SEARCH_EMPTY, limit=WORDS_CHARACTERS)
    return words
