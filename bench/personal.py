"""How often the detectors hit harmless text, how many made-up values they find, what they cost, and how much a stream waits.

    python -m bench.personal [--data DIR]

DIR (or GUIJU_TEXTS) holds `*.jsonl.gz`: one JSON object a line with `text` and `group` (`none` = harmless). The texts are no part of
the project; without them false hits are not measured, and the table says so. Values are drawn by a seeded generator.
"""

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.report import Row, report, row
from bench.screening import CAREFUL, HARMLESS, QUARRELS, best_cpu_s, prose, texts_of
from guiju.screening.libraries.library import starter_library
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.outlet import Outlet
from guiju.screening.personal.detectors.tests.samples import SAMPLES, escaped, sprinkled, wide
from guiju.screening.personal.finds import NOTHING_SAID, screen_for
from guiju.screening.values import Policy

POLICY = Policy()
SCREEN = screen_for(POLICY, "output")
LIBRARY = starter_library()
TRIE = Snapshot(LIBRARY.entries, LIBRARY.version).trie(POLICY, "output")
VALUES = 500
WAIT_TEXTS = 400
ENGLISH = (
    "The mornings in the mountains often begin with a sea of clouds. With time to spare you can walk up from the temple; it takes about "
    "three hours. In the afternoon take the canyon path, go at your own pace and carry water. Bread costs 3.50, the cable car 80. "
)


def pieces_of(text: str, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)]


def waits(texts: Sequence[str], width: int) -> list[int]:
    """Return how many characters wait after each piece, keyword gate and mask together."""
    found = []
    for text in texts:
        outlet = Outlet(TRIE, SCREEN, NOTHING_SAID)
        for piece in pieces_of(text, width):
            outlet.feed(piece)
            found.append(len(outlet.held))
    return sorted(found)


def streaming(name: str, texts: Sequence[str], bar: float | None) -> Iterator[Row]:
    """Yield how much waits, and what a piece costs."""
    for width in (1, 8):
        held = waits(texts, width)
        yield row(f"{name}: characters held, p95, pieces of {width}", held[len(held) * 95 // 100], "characters", at_most=bar)
        yield row(f"{name}: characters held, p99, pieces of {width}", held[len(held) * 99 // 100], "characters")
    cut = [pieces_of(text, 8) for text in texts]

    def run() -> None:
        for pieces in cut:
            outlet = Outlet(TRIE, SCREEN, NOTHING_SAID)
            for piece in pieces:
                outlet.feed(piece)
            outlet.finish()

    yield row(f"{name}: gate and mask, piece of 8 characters", best_cpu_s(run) / sum(map(len, cut)) * 1e6, "µs CPU", at_most=40)


def recall() -> Iterator[Row]:
    """Yield how many made-up values with right check digits are found, as written and in other spellings."""
    spellings: dict[str, Callable[[str, random.Random], str]] = {
        "as written": lambda value, rng: value,
        "full width": lambda value, rng: wide(value),
        "invisible characters": sprinkled,
        "JSON escapes": lambda value, rng: escaped(value),
    }
    for spelling, spell in spellings.items():
        rng = random.Random(11)
        missed: Counter[str] = Counter()
        for code, makers in SAMPLES.items():
            for number in range(VALUES):
                text = f"这里写着 {spell(makers[number % len(makers)](rng), rng)}，请核对。"
                missed[code] += code not in {find.detector.code for find in SCREEN.find(text)}
        total = VALUES * len(SAMPLES)
        worst = ", ".join(f"{code} {count}" for code, count in missed.most_common(2) if count)
        yield row(f"recall, {spelling}" + (f" (missed: {worst})" if worst else ""), 100 * (1 - missed.total() / total), "% found")


def false_hits(folder: Path) -> Iterator[Row]:
    """Yield false hits for each 1,000 harmless texts; posts that quote real numbers are counted as false, too."""
    for kind, names in (("harmless", HARMLESS), ("news, law, safety", CAREFUL), ("posts", QUARRELS)):
        texts = [text for _, found in texts_of(folder, names, harmless=True) for text in found]
        if not texts:
            continue
        counted: Counter[str] = Counter()
        hit = 0
        for text in texts:
            codes = {find.detector.code for find in SCREEN.find(text)}
            counted.update(codes)
            hit += bool(codes)
        yield row(f"{kind}: texts with a hit, of {len(texts)}", 1000 * hit / len(texts), "per 1,000", at_most=5)
        for code, count in counted.most_common():
            yield row(f"{kind}: {code}, {count} texts", 1000 * count / len(texts), "per 1,000")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write `bench/out/personal.json`; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Precision, recall, cost and waiting of the detectors")
    parser.add_argument("--data", type=Path, default=os.environ.get("GUIJU_TEXTS"), help="folder of *.jsonl.gz texts (or GUIJU_TEXTS)")
    folder: Path | None = parser.parse_args(arguments).data
    there = folder is not None and any(Path(folder).glob("*.jsonl.gz"))
    made_up = pieces_of(prose(80_000), 200)
    rows = [
        row(
            "all detectors, clean Chinese message of 200 characters",
            best_cpu_s(lambda: [SCREEN.find(message) for message in made_up]) / len(made_up) * 1e6,
            "µs CPU",
            at_most=15,
        ),
        *streaming("made-up Chinese", made_up, 2),
        *streaming("English", [ENGLISH] * 40, None),
        *recall(),
    ]
    if there and folder is not None:
        texts = [text for _, found in texts_of(Path(folder), ("alpaca_zh_out", "llamafactory_zh_out"), harmless=True) for text in found]
        chosen = random.Random(5).sample(texts, min(WAIT_TEXTS, len(texts)))
        rows += [*streaming("instruction answers", chosen, 2), *false_hits(Path(folder))]
    missed = report("personal", rows)
    if not there:
        print("No texts: false hits were NOT measured. Give --data DIR or set GUIJU_TEXTS.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
