"""Has this service issued this text, or this file? Found by keyed fingerprints and by numbers; the answer comes from the record itself.

The recorder adds to the record of a delivered answer the fingerprint of its *wording*: its letters and digits alone, so that a copy out of a
page (other spaces, no marks of Markdown) is still found. A small table leads from fingerprints to records; it proves nothing by itself: what it finds
is believed only where the record, which lies in the log, holds the fingerprint too. Nobody without the installation's key can make one.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal

import msgspec
import numpy as np

from guiju.core.errors import GuijuError
from guiju.core.fingerprint import fingerprint, fingerprint_bytes
from guiju.records.entry import Entry
from guiju.records.models import IssuedText, Record
from guiju.records.recorder.bulk import insert_rows

DELIVERED: Final = "gateway.answer.delivered"
WORDING: Final = "wording"
LEAST_CHARACTERS: Final = 20
"""Letters and digits that a text must have to be looked up: shorter ones could be guessed, or are anybody's."""
TEXT_CHARACTERS: Final = 200_000
_NUMBER: Final = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25})(?:[.-]\d{1,4})?")
_MARK: Final = re.compile(r"[0-9a-f]{32}")
_LISTED: Final = 8
PLACES: Final = 64
"""Room for the fingerprints of one record: of wordings, texts, and two of each file, all listed in part."""
_FILES: Final = 16
_LOOKED_AT: Final = 20

Match = Literal["exact", "wording"]


@dataclass(frozen=True, slots=True)
class Issued:
    """A record of something that this service issued: which, when, and how what was shown agrees with it."""

    record: str
    at: datetime
    match: Match


class _Content(msgspec.Struct):
    answer: Any = None


class _Message(msgspec.Struct):
    content: Any = None


class _Choice(msgspec.Struct):
    message: _Message | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []


_CONTENT: Final = msgspec.msgpack.Decoder(_Content)
_COMPLETION: Final = msgspec.json.Decoder(_Completion)


def wording_of(text: str) -> bytes:
    """Return the letters and digits of a text, in one form for all ways of writing them; empty when there are too few or too many.

    One look into a table for all characters, because the recorder does this for every answer.
    """
    codes = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)
    kept = _table()[codes]
    kept = kept[kept != 0]
    return kept.tobytes() if LEAST_CHARACTERS <= len(kept) <= TEXT_CHARACTERS else b""


@cache
def _table() -> "np.ndarray[Any, np.dtype[np.uint16]]":
    """Return for each code of UTF-16 the one that stands for it, 0 for spaces and marks; halves of a character beyond them stay."""
    table = np.zeros(0x10000, np.uint16)
    for code in range(0x10000):
        if 0xD800 <= code < 0xE000:
            table[code] = code
        elif chr(code).isalnum():
            plain = _plain(chr(code))
            last = len(plain) == 1 and plain.isalnum() and ord(plain) < 0x10000 and _plain(plain) == plain
            table[code] = ord(plain) if last else code
    return table


def _plain(character: str) -> str:
    return unicodedata.normalize("NFKC", character).casefold()


def _mark_of(wording: bytes, key: bytes) -> str:
    return fingerprint_bytes(key, WORDING, wording)


def worded(entry: Entry, key: bytes) -> Entry:
    """Return the entry of a delivered answer with the fingerprints of its wordings; any other entry as it is."""
    if entry.kind != DELIVERED or not entry.content or WORDING in entry.metadata:
        return entry
    marks = [_mark_of(wording, key) for text in _texts(entry.content) if (wording := wording_of(text))]
    return msgspec.structs.replace(entry, metadata={**entry.metadata, WORDING: marks}) if marks else entry


def note_issued(entries: Sequence[Entry], first: int, key: bytes) -> None:
    """Keep the way from the fingerprints of these entries to the records that they became, numbered from `first`; in the caller's transaction.

    Of a file that was delivered, its SHA-256 and its number lead there.
    """
    rows = [
        ((first + place) * PLACES + number, bytes.fromhex(mark))
        for place, entry in enumerate(entries)
        if entry.kind == DELIVERED or "media" in entry.metadata
        for number, mark in enumerate([*_marks(entry.metadata), *_file_marks(entry.metadata, key)])
    ]
    insert_rows(IssuedText, ("place", "mark"), rows)


def _file_marks(metadata: dict[str, Any], key: bytes) -> list[str]:
    found = [(name, each[name]) for each in _files(metadata) for name in ("sha256", "produce_id") if isinstance(each.get(name), str)]
    return list(dict.fromkeys(fingerprint(key, f"file.{name}", value) for name, value in found))


def _files(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    files = metadata.get("media")
    return [each for each in files[:_FILES] if isinstance(each, dict)] if isinstance(files, (list, tuple)) else []


def find_file(sha256: str, numbers: Iterable[str], key: bytes) -> tuple[Record, bool] | None:
    """Return the newest record that says that this file was delivered, and True; or one of a file under one of these numbers, and False."""
    for name, values in (("sha256", [sha256]), ("produce_id", list(numbers))):
        marks = [bytes.fromhex(fingerprint(key, f"file.{name}", value)) for value in values]
        places = IssuedText.objects.filter(mark__in=marks).order_by("-place").values_list("place", flat=True)[:_LOOKED_AT]
        for index in dict.fromkeys(place // PLACES for place in places):
            record = Record.objects.filter(index=index).first()
            if record is not None and any(each.get(name) in values for each in _files(record.metadata)):
                return record, name == "sha256"
    return None


def is_findable(text: str) -> bool:
    """Tell whether a text has enough letters and digits to be looked up, and not too many."""
    return bool(wording_of(text))


def find_text(text: str, labels: Iterable[tuple[str, str]], key: bytes, number: str = "") -> Issued | None:
    """Return the newest record of an answer with this text; None when there is none, or the text is too short to be looked up.

    `labels` are (service, words of its explicit label): the words are no part of the answer. An exact match has the very characters.
    With a `number`, only the record of that number is looked at.
    """
    labels = tuple(labels)
    exact = {fingerprint(key, service, variant) for service, words in labels for variant in _variants(text, words)}
    wordings = {wording_of(text), *(wording_of(each) for _, words in labels for each in _unlabelled(text.strip(), words))}
    loose = {_mark_of(wording, key) for wording in wordings if wording}
    if not loose:
        return None
    if number:
        record = find_number(number)
        return _matched(record, exact, loose)
    rows = IssuedText.objects.filter(mark__in=[bytes.fromhex(mark) for mark in exact | loose]).order_by("-place")
    for index in dict.fromkeys(place // PLACES for place in rows.values_list("place", flat=True)[: _LOOKED_AT * 2]):
        if (found := _matched(Record.objects.filter(index=index).first(), exact, loose)) is not None:
            return found
    return None


def _matched(record: Record | None, exact: set[str], loose: set[str]) -> Issued | None:
    """Return the record as what issued a text, if it says so itself."""
    if record is None or record.kind != DELIVERED:
        return None
    held = set(_marks(record.metadata))
    return Issued(record.id, record.at, "exact" if held & exact else "wording") if held & (exact | loose) else None


def since() -> datetime | None:
    """Return the time of the first answer that can be found by its text; None before there is one."""
    first = IssuedText.objects.order_by("place").values_list("place", flat=True).first()
    return (
        None if first is None else Record.objects.filter(index__gte=first // PLACES).order_by("index").values_list("at", flat=True).first()
    )


def find_number(number: str) -> Record | None:
    """Return the record that closes what was issued under this number (of an answer, or one of its files); None when there is none."""
    from guiju.records.browse import find_closing_record

    match = _NUMBER.fullmatch(number)
    return find_closing_record(match[1]) if match else None


def holds_texts(record: Record) -> bool:
    """Tell whether a record says which texts were delivered whole, so that another text can be told from them."""
    return record.kind == DELIVERED and bool(_marks(record.metadata))


def forget_issued(indexes: Sequence[int]) -> None:
    """Remove the ways to those of these records that are there no more."""
    there = Record.objects.filter(index__in=indexes).values_list("index", flat=True)
    gone = set(indexes) - set(there)
    IssuedText.objects.filter(place__in=[index * PLACES + number for index in gone for number in range(PLACES)]).delete()


def _marks(metadata: dict[str, Any]) -> list[str]:
    """Return the fingerprints in an answer's metadata: of its wordings, and of its texts as the model sent them."""
    output = metadata.get("output")
    exact = output.get("texts") if isinstance(output, dict) else None
    return list(dict.fromkeys([*_listed(metadata.get(WORDING)), *_listed(exact)]))


def _listed(marks: Any) -> list[str]:
    return [mark for mark in marks[:_LISTED] if isinstance(mark, str) and _MARK.fullmatch(mark)] if isinstance(marks, (list, tuple)) else []


def _texts(content: bytes) -> Iterator[str]:
    """Yield the first texts of an answer: of a whole one, of a stream by its paths, of an approved one."""
    try:
        answer = _CONTENT.decode(content).answer
        if isinstance(answer, bytes):
            choices = _COMPLETION.decode(answer).choices[:_LISTED]
            yield from (each.message.content for each in choices if each.message and isinstance(each.message.content, str))
        elif isinstance(answer, dict):
            yield from (text for path, text in list(answer.items())[:_LISTED] if isinstance(text, str) and str(path).endswith("].content"))
        elif isinstance(answer, str):
            yield answer
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, GuijuError):
        return


def _variants(text: str, words: str) -> set[str]:
    """Return the ways in which a delivered text may have been copied: line ends, edges, and the label's words around it."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    stripped = unix.strip()
    return {text, unix, stripped, f"{stripped}\n", *_unlabelled(stripped, words)}


def _unlabelled(text: str, words: str) -> list[str]:
    """Return the text without the label's words before it, behind it, and both; only those that differ."""
    if not words:
        return []
    behind = text.removesuffix(words).rstrip()
    return list(
        dict.fromkeys(each for each in (behind, text.removeprefix(words).lstrip(), behind.removeprefix(words).lstrip()) if each != text)
    )
