"""Bulk screening and streams against the figures that were promised, beside the usual matcher and the plain loop over terms, in one run.

The text is everyday Chinese in lines, with a planted term about every 2,000 characters: a third as written, a third with a separator
between the characters, a third in full width or traditional forms. Processor time of one core.
"""

import io
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import ahocorasick
import opencc

from bench.report import Row, row
from guiju.screening import Screener
from guiju.screening.classifier.model import Classifier
from guiju.screening.examiner import Examiner
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.outlet import Outlet
from guiju.screening.personal.finds import NOTHING_SAID, screen_for
from guiju.screening.screen.bulk import Task, examine_blocks
from guiju.screening.screen.sources import line_blocks
from guiju.screening.values import LibraryEntry, Policy
from guiju.screening.watched import Watched

TERMS: Final = 20_000
LINE_CHARACTERS: Final = 60
_SLICE_CHARACTERS: Final = 20_000
"""The plain loop is given this much: it would take minutes for all."""
_MESSAGE_CHARACTERS: Final = 200
_CHUNK_CHARACTERS: Final = 8


def planted(text: str, terms: Sequence[str], seed: int = 3) -> tuple[list[str], int]:
    """Return the text in lines, and how many terms were put into it."""
    rng = random.Random(seed)
    traditional = opencc.OpenCC("s2t").convert
    lines, count = [], 0
    for at in range(0, len(text), LINE_CHARACTERS):
        line = text[at : at + LINE_CHARACTERS]
        if rng.random() < LINE_CHARACTERS / 2_000:
            term = rng.choice(terms)
            written = (term, "·".join(term), traditional(term))[count % 3]
            place = rng.randrange(len(line))
            line, count = line[:place] + "。" + written + "。" + line[place:], count + 1
        lines.append(line)
    return lines, count


def bulk(entries: Sequence[LibraryEntry], text: str) -> Iterator[Row]:
    """Yield the rows of bulk screening and of its peers."""
    terms = [entry.term for entry in entries]
    lines, count = planted(text, terms)
    raw = ("\n".join(lines) + "\n").encode()
    size_mb = len(raw) / 1e6
    screener = Screener(entries)
    list(screener.examine_many(lines[:1_000]))  # fills the fold's tables
    name = f"bulk, {len(entries):,} terms"

    def examine() -> int:
        return sum(bool(verdict.hits) for verdict in screener.examine_many(lines))

    def blocks() -> int:
        task = Task("text", as_json=True, only_hits=True)
        done = list(examine_blocks(screener, line_blocks(io.BytesIO(raw).read, lambda: 0, "text"), task))
        return sum(each.tally.hits for each in done)

    found, seconds = _best(examine)
    yield row(f"{name}, exact spans, detectors, prompt attacks: Screener.examine_many", size_mb / seconds, "MB/s per core", at_least=30)
    calm = Screener(entries, Policy(attack_on_input={"*": "pass"}, attack_on_documents={"*": "pass"}))
    _, seconds = _best(lambda: sum(bool(verdict.hits) for verdict in calm.examine_many(lines)))
    yield row(f"{name}, exact spans, detectors", size_mb / seconds, "MB/s per core", at_least=30)
    bare = Screener(entries, detectors=False)
    _, seconds = _best(lambda: sum(bool(verdict.hits) for verdict in bare.examine_many(lines)))
    yield row(f"{name}, exact spans, prompt attacks, without detectors", size_mb / seconds, "MB/s per core", at_least=30)
    judging = Screener(entries, classifier=True)
    _, seconds = _best(lambda: sum(bool(verdict.hits) for verdict in judging.examine_many(lines)), repeat=1)
    yield row(f"{name}, exact spans, detectors, prompt attacks and classifier", size_mb / seconds, "MB/s per core")
    yield row(f"{name}: of {count} planted lines found", found / count, "×", at_least=0.95)
    again, seconds = _best(blocks)
    if again != found:
        raise SystemExit(f"guiju screen finds {again} lines, the Screener {found}: a figure of a run that lost texts says nothing")
    yield row(f"{name}: guiju screen, lines to JSON", size_mb / seconds, "MB/s per core")

    usual = ahocorasick.Automaton()
    for term in terms:
        usual.add_word(term, len(term))
    usual.make_automaton()
    found, seconds = _best(lambda: sum(next(usual.iter(line), None) is not None for line in lines), repeat=1)
    yield row(f"{name}: pyahocorasick, text as it is", size_mb / seconds, "MB/s per core")
    yield row(f"{name}: pyahocorasick, of {count} planted lines found", found / count, "×")
    part = "\n".join(lines)[:_SLICE_CHARACTERS]
    _, seconds = _best(lambda: sum(part.count(term) for term in terms), repeat=1)
    yield row(f"{name}: plain loop over the terms, text as it is", len(part.encode()) / 1e6 / seconds, "MB/s per core")


def _best(work: Callable[[], int], repeat: int = 3) -> tuple[int, float]:
    """Return what the work returned, and the least processor time of one run."""
    times, result = [], 0
    for _ in range(repeat):
        began = time.process_time()
        result = work()
        times.append(time.process_time() - began)
    return result, min(times)


def live(name: str, snapshot: Snapshot, text: str, policy: Policy) -> Iterator[Row]:
    """Yield the rows of one message and of one stream."""
    messages = [text[at : at + _MESSAGE_CHARACTERS] for at in range(0, 200_000, _MESSAGE_CHARACTERS)]
    alone = [_message_ns(lambda message=message: snapshot.examine(message, "input", policy)) for _ in range(3) for message in messages]
    yield row(f"{name}: message of 200 characters, library alone, p50", statistics.median(alone) / 1000, "µs", at_most=150)
    examiner = Examiner(snapshot, True, Classifier.load())
    whole = [
        _message_ns(lambda message=message: examiner.examine_all([("", message)], "input", policy))
        for _ in range(3)
        for message in messages
    ]
    yield row(
        f"{name}: message of 200 characters, library, detectors and classifier, p50", statistics.median(whole) / 1000, "µs", at_most=150
    )
    pieces = [text[at : at + _CHUNK_CHARACTERS] for at in range(0, 80_000, _CHUNK_CHARACTERS)]

    def stream() -> int:
        gate = snapshot.gate(policy)
        for piece in pieces:
            gate.feed(piece)
        return len(gate.finish())

    _, seconds = _best(stream)
    yield row(f"{name}: stream, chunk of 8 characters", seconds / len(pieces) * 1e6, "µs CPU", at_most=40)

    def watched() -> int:
        way = Watched(Outlet(snapshot.trie(policy, "output"), screen_for(policy, "output"), NOTHING_SAID), Classifier.load(), policy)
        for piece in pieces:
            way.feed(piece)
        return len(way.finish())

    _, seconds = _best(watched)
    yield row(f"{name}: stream, chunk of 8, mask and classifier at clause ends", seconds / len(pieces) * 1e6, "µs CPU", at_most=40)


def _message_ns(work: Callable[[], object]) -> int:
    began = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - began


def hold_back(name: str, screener: Screener, texts: Sequence[str], *, judged: bool = True) -> Iterator[Row]:
    """Yield how many characters are held after each character of harmless text."""
    held = []
    for text in texts:
        stream = screener.stream()
        for character in text:
            stream.feed(character)
            if stream.stopped:
                break
            held.append(len(stream.held))
    if held:
        held.sort()
        p95, most = held[int(0.95 * (len(held) - 1))], held[-1]
        yield row(f"{name}: held back on harmless text, p95 of {len(held):,}", p95, "characters", at_most=2 if judged else None)
        yield row(f"{name}: held back on harmless text, most", most, "characters")
