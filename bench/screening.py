"""How fast screening is, how often the starter library hits harmless text, and how little of harmful text it finds.

    python -m bench.screening [--data DIR]

DIR (or GUIJU_TEXTS) holds `*.jsonl.gz`: one JSON object a line with `text` and `group` (`none` = harmless). The texts are
no part of the project; without them the speed alone is measured, and the table says so.
"""

import argparse
import gzip
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench import bulk, harmless
from bench.report import Row, report, row
from guiju.screening import Screener
from guiju.screening.libraries.library import starter_library
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.spellings.fold import fold
from guiju.screening.values import Direction, LibraryEntry, Policy

POLICY: Final = Policy()
TERMS: Final = 10_000
HELD_TEXTS: Final = 100
"""Of each harmless set, this many texts are streamed to see what is held back."""
HARMLESS: Final = (
    "alpaca_zh",
    "alpaca_zh_out",
    "belle_seed",
    "llamafactory_zh",
    "llamafactory_zh_out",
    "roleplay_prompts_zh",
    "smp2019",
    "hotel_reviews",
    "shopping_reviews",
    "waimai_reviews",
)
CAREFUL: Final = ("thucnews_title", "law_paragraphs", "csafetyqa", "cvalues", "xsafety", "jade_answers")
"""News, statutes, questions about safety, answers that refuse: where false alarms come from."""
QUARRELS: Final = ("cold", "swsr", "toxicn", "ced_rumor")
"""Posts that people judged harmless; some quote or use a slur. Shown, not judged."""
HARMFUL: Final = ("jade", "seval_base", "xsafety", "chineseharm", "cold", "swsr", "toxicn")


EVERYDAY: Final = "我们今天天气很好可以一起公园散步这个问题需要认真研究数据模型回答使用学习城市生活发展技术因为所以但是如果"
WAYS: Final[tuple[Direction, ...]] = ("input", "output")


def synthetic(count: int, text: str, seed: int = 1) -> list[LibraryEntry]:
    """Return that many terms of 3 to 8 Han characters, none of them in the text.

    Half are made of the text's own characters, so that it often begins a term and seldom goes on: the gate's hard case.
    """
    rng = random.Random(seed)
    han = [chr(code) for code in range(0x4E00, 0x9FA5)]
    folded = fold(text)
    terms: dict[str, None] = {}
    while len(terms) < count:
        term = "".join(rng.choices(EVERYDAY if len(terms) % 2 else han, k=rng.randint(3, 8)))
        if term not in folded:
            terms[term] = None
    return [LibraryEntry(f"kw-{n}", term, "A.1.h") for n, term in enumerate(terms)]


def prose(characters: int, seed: int = 2) -> str:
    """Return made-up Chinese text: everyday words of two characters and punctuation in random order."""
    rng = random.Random(seed)
    out: list[str] = []
    for _ in range(characters // 2):
        at = rng.randrange(0, len(EVERYDAY), 2)
        out += (EVERYDAY[at : at + 2], "，" if rng.random() < 0.12 else "。" if rng.random() < 0.08 else "")
    return "".join(out)[:characters]


def best_cpu_s(work: Callable[[], object], repeat: int = 5) -> float:
    """Return the least CPU time of one run: what is left when the machine's other work is taken away."""
    times = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def speed(name: str, entries: Sequence[LibraryEntry], text: str) -> Iterator[Row]:
    """Yield the rows of one library on one text that it does not hit."""
    began = time.process_time()
    snapshot = Snapshot(entries, name)
    yield row(f"{name}: snapshot built", time.process_time() - began, "s CPU")
    began = time.process_time()
    snapshot.trie(POLICY, "output")
    yield row(f"{name}: prefixes for streaming built", time.process_time() - began, "s CPU")
    if snapshot.examine(text, "output", POLICY).hits:  # also fills the fold's tables
        raise SystemExit(f"{name}: the text hits a term; a stream that stops early would look fast")
    seconds = best_cpu_s(lambda: snapshot.examine(text, "input", POLICY))
    yield row(f"{name}: examine, long text", len(text.encode()) / 1e6 / seconds, "MB/s of UTF-8")
    messages = [text[at : at + 200] for at in range(0, 200_000, 200)]
    seconds = best_cpu_s(lambda: [snapshot.examine(message, "input", POLICY) for message in messages])
    yield row(f"{name}: examine, 200 characters", seconds / len(messages) * 1e6, "µs CPU", at_most=20)
    caught = [message[:-8] + entries[-1].term for message in messages]
    seconds = best_cpu_s(lambda: [snapshot.examine(message, "input", POLICY) for message in caught])
    yield row(f"{name}: examine, 200 characters with a hit", seconds / len(messages) * 1e6, "µs CPU")
    pieces = [text[at : at + 4] for at in range(0, 40_000, 4)]

    def stream() -> None:
        gate = snapshot.gate(POLICY)
        for piece in pieces:
            gate.feed(piece)
        gate.finish()

    yield row(f"{name}: gate, piece of 4 characters", best_cpu_s(stream) / len(pieces) * 1e6, "µs CPU", at_most=10)


def lines(path: Path) -> list[tuple[str, str]]:
    """Return (text, group) of every line."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [(each["text"], str(each["group"])) for each in map(json.loads, stream)]


def share(snapshot: Snapshot, texts: Sequence[str]) -> tuple[int, int]:
    """Return how many texts are blocked, in one direction or the other, and how many are flagged only."""
    blocked = flagged = 0
    for text in texts:
        hits = [hit for verdict in (snapshot.examine(text, way, POLICY) for way in WAYS) for hit in verdict.hits]
        blocked += any(hit.severity == "block" for hit in hits)
        flagged += bool(hits) and all(hit.severity == "flag" for hit in hits)
    return blocked, flagged


def texts_of(folder: Path, names: Sequence[str], harmless: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield each set that is there with its texts; jailbreak techniques are neither harmful nor harmless by themselves."""
    for name in names:
        path = folder / f"{name}.jsonl.gz"
        if path.exists():
            yield name, [text for text, group in lines(path) if (group == "none") == harmless and group not in ("attack", "other")]


def on_own_texts(snapshot: Snapshot) -> Iterator[Row]:
    """Yield the rows about the harmless set of our own: people who report, teach, judge or ask for help."""
    blocked, flagged = share(snapshot, harmless.TEXTS)
    count = len(harmless.TEXTS)
    yield row(f"refused or stopped of our own harmless set, {blocked} of {count}", 100 * blocked / count, "% blocked", at_most=0.05)
    yield row(f"flagged only of our own harmless set, {flagged} of {count}", 100 * flagged / count, "% flagged only")


def on_texts(folder: Path, snapshot: Snapshot) -> Iterator[Row]:
    """Yield the rows about real text with the starter library."""
    library = starter_library()
    yield row("starter: terms", len(library.entries), "terms")
    yield row("starter: terms that block", sum(entry.severity == "block" for entry in library.entries), "terms")
    everything = [0, 0]
    for kind, names, bar in (
        ("harmless", HARMLESS, 0.05),
        ("news, law, safety", CAREFUL, 0.1),
        ("quarrels, judged harmless", QUARRELS, None),
    ):
        all_of_kind = [0, 0, 0]
        for name, texts in texts_of(folder, names, harmless=True):
            blocked, flagged = share(snapshot, texts)
            all_of_kind = [all_of_kind[0] + blocked, all_of_kind[1] + flagged, all_of_kind[2] + len(texts)]
            yield row(f"{kind}: {name}, {blocked} of {len(texts)} blocked", 100 * blocked / len(texts), "% blocked")
        if not all_of_kind[2]:
            continue
        yield row(f"{kind}: all {all_of_kind[2]}", 100 * all_of_kind[0] / all_of_kind[2], "% blocked", at_most=bar)
        yield row(f"{kind}: all {all_of_kind[2]}", 100 * all_of_kind[1] / all_of_kind[2], "% flagged only")
        if bar is not None:
            everything = [everything[0] + all_of_kind[0], everything[1] + all_of_kind[2]]
    if everything[1]:
        yield row(f"over-blocking, {everything[0]} of {everything[1]}", 100 * everything[0] / everything[1], "% blocked", at_most=0.05)
    found = [0, 0, 0]
    for name, texts in texts_of(folder, HARMFUL, harmless=False):
        blocked, flagged = share(snapshot, texts)
        found = [found[0] + blocked, found[1] + blocked + flagged, found[2] + len(texts)]
        yield row(f"harmful: {name}, {len(texts)} texts", 100 * blocked / len(texts), "% blocked")
        yield row(f"harmful: {name}, {len(texts)} texts", 100 * (blocked + flagged) / len(texts), "% hit")
    if found[2] and everything[1]:  # one beside the other: neither means anything alone
        yield row(f"of {everything[1]} harmless texts refused or stopped", 100 * everything[0] / everything[1], "% blocked")
        yield row(f"of {found[2]} harmful texts refused or stopped (recall)", 100 * found[0] / found[2], "% blocked")
        yield row(f"of {found[2]} harmful texts hit at all (recall)", 100 * found[1] / found[2], "% hit")
    sample = [text for _, texts in texts_of(folder, HARMLESS, harmless=True) for text in texts[:HELD_TEXTS]]
    yield from bulk.hold_back("starter, texts of DIR", Screener(), sample)


def promised(text: str) -> Iterator[Row]:
    """Yield the rows of what was promised for 20,000 terms: bulk, one message, a stream, and what a stream holds back."""
    entries = synthetic(bulk.TERMS, text)
    yield from bulk.bulk(entries, text * 6)
    snapshot = Snapshot(entries, "bench")
    yield from bulk.live(f"{bulk.TERMS:,} terms", snapshot, text, POLICY)
    yield from bulk.hold_back("starter, our own harmless set", Screener(), harmless.TEXTS)
    yield from bulk.hold_back(f"{bulk.TERMS:,} terms, half of the text's own characters", Screener(entries), [text[:60_000]], judged=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write `bench/out/screening.json`; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Speed, over-blocking and recall of screening")
    parser.add_argument("--data", type=Path, default=os.environ.get("GUIJU_TEXTS"), help="folder of *.jsonl.gz texts (or GUIJU_TEXTS)")
    folder: Path | None = parser.parse_args(arguments).data
    text = prose(300_000)
    rows = [*speed(f"{TERMS:,} terms", synthetic(TERMS, text), text), *speed("starter", starter_library().entries, text)]
    rows += promised(text)
    snapshot = Snapshot(starter_library().entries, "starter")
    rows += on_own_texts(snapshot)
    there = folder is not None and any(Path(folder).glob("*.jsonl.gz"))
    if folder is not None and there:
        rows += on_texts(Path(folder), snapshot)
    missed = report("screening", rows)
    if not there:
        print("No texts: over-blocking and recall were NOT measured. Give --data DIR or set GUIJU_TEXTS.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
