"""Hostile input against the bars that were promised: examined in time that grows with the text and no faster, in bounded memory.

Every text of `screening/tests/hostile.py` at 1 MB and at 2 MB (about 100 MB in all), examined, masked and streamed in pieces of 512 characters;
the time of twice the text over that of the text is the figure that counts. Then some at 10 MB in one piece, and a text of nothing but one term.
Processor time of one core.
"""

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bench.report import Row, report, row
from guiju.screening.libraries.library import starter_library
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.outlet import Outlet
from guiju.screening.personal.finds import NOTHING_SAID, mask, screen_for
from guiju.screening.screener import Screener
from guiju.screening.tests.hostile import HOSTILE, TERM, near_misses
from guiju.screening.values import LibraryEntry, Policy

POLICY: Final = Policy()
SCREEN: Final = screen_for(POLICY, "output")
_PIECE_CHARACTERS: Final = 512
_MB: Final = 1_000_000
FLAGGED: Final = "标记词条"
_AT_MOST: Final = 2.6
_LARGE: Final = (
    "one letter",
    "one Han character",
    "combining marks on one letter",
    "zero width alone",
    "escapes of escapes",
    "half surrogates",
)


def run() -> Iterator[Row]:
    """Yield the rows."""
    planted = [LibraryEntry("kw-planted", TERM, "A.1.h"), LibraryEntry("kw-flagged", FLAGGED, "A.1.h", "flag")]
    entries = [*starter_library().entries, *planted]
    snapshot = Snapshot(entries, "hostile")

    def streamed(text: str) -> None:
        outlet = Outlet(snapshot.trie(POLICY, "output"), SCREEN, NOTHING_SAID)
        for at in range(0, len(text), _PIECE_CHARACTERS):
            outlet.feed(text[at : at + _PIECE_CHARACTERS])
            if outlet.stopped:
                raise SystemExit("a hostile text holds a term: a stream that stopped says nothing of time")
        outlet.finish()

    works: dict[str, Callable[[str], object]] = {
        "examined": lambda text: snapshot.examine(text, "input", POLICY),
        "masked": lambda text: mask(text, SCREEN, NOTHING_SAID),
        "streamed": streamed,
        "library, classifier and detectors": Screener(entries).examine,
    }
    missed: list[str] = []
    total_mb = total_s = 0.0
    for name, work in works.items():
        ratios: dict[str, float] = {}
        slowest: dict[str, float] = {}
        for kind, make in HOSTILE.items():
            text = make(_characters(make))
            work(text[:10_000])
            once, twice = _seconds(work, text), _seconds(work, text + text)
            if max(once, twice) > 0.005:  # below that the clock is the figure
                ratios[kind] = twice / once
            slowest[kind] = _size_mb(text) / max(once, 1e-9)
            total_mb, total_s = total_mb + 3 * _size_mb(text), total_s + once + twice
            if not snapshot.examine(f"{text}。{TERM}", "input", POLICY).hits:
                missed.append(kind)
        worst = max(ratios, key=lambda kind: ratios[kind])
        slow = min(slowest, key=lambda kind: slowest[kind])
        yield row(f"{name}: time of 2 MB over 1 MB, worst of {len(HOSTILE)} kinds ({worst})", ratios[worst], "×", at_most=_AT_MOST)
        yield row(f"{name}: slowest kind ({slow})", slowest[slow], "MB/s per core")
    yield row("all of it", total_s / total_mb * 100, "s for 100 MB")
    yield row("terms behind hostile text that were not found", len(set(missed)), "kinds", at_most=0)
    peaks: dict[str, float] = {}
    for kind in _LARGE:
        text = HOSTILE[kind](10 * _MB)
        seconds = _seconds(works["examined"], text)
        peaks[kind] = _peak_mb(works["examined"], text)
        yield row(f"10,000,000 characters in one piece, examined: {kind}", seconds, "s")
        del text
    most = max(peaks, key=lambda kind: peaks[kind])
    yield row(f"memory to examine 10,000,000 characters in one piece, the most ({most})", peaks[most], "MB", at_most=1_000)
    yield from _dense(snapshot)
    yield from _large_library()


def _dense(snapshot: Snapshot) -> Iterator[Row]:
    """A text of nothing but one term: as many hits as there can be."""
    for name, term in (("refused", TERM), ("flagged", FLAGGED)):
        text = term * (10 * _MB // len(term.encode()))

        def work(each: str) -> object:
            return snapshot.examine(each, "input", POLICY)

        once, half = _seconds(work, text), _seconds(work, text[: len(text) // 2])
        yield row(f"10 MB of nothing but one term that is {name}: time of it over that of 5 MB", once / half, "×", at_most=_AT_MOST)
        yield row(f"10 MB of nothing but one term that is {name}", once, "s", at_most=1.5)
        yield row(f"10 MB of nothing but one term that is {name}: memory", _peak_mb(work, text), "MB", at_most=250)


def _large_library() -> Iterator[Row]:
    """100,000 terms, and a text made of them without their last characters."""
    terms = [chr(0x4E00 + place // 300) + chr(0x5E00 + place % 300) + "甲乙丙" + "丁戊"[place % 2] + "己" for place in range(100_000)]
    snapshot = Snapshot([LibraryEntry(f"kw-{place}", term, "A.1.h") for place, term in enumerate(terms)], "large")
    text = near_misses(terms, 4 * _MB)

    def work(each: str) -> object:
        return snapshot.examine(each, "input", POLICY)

    once, twice = _seconds(work, text), _seconds(work, text * 2)
    yield row("100,000 terms, near misses alone: time of 8,000,000 characters over 4,000,000", twice / once, "×", at_most=_AT_MOST)
    yield row("100,000 terms, near misses alone", _size_mb(text) / once, "MB/s per core")


def _characters(make: Callable[[int], str]) -> int:
    return int(_MB / max(1e-9, _size_mb(make(3_000)) * _MB / 3_000))


def _size_mb(text: str) -> float:
    return len(text.encode("utf-8", "surrogatepass")) / _MB


def _seconds(work: Callable[[str], object], text: str) -> float:
    """Return the processor time of the better of two runs."""
    best = float("inf")
    for _ in range(2):
        gc.collect()
        begun = time.process_time()
        work(text)
        best = min(best, time.process_time() - begun)
    return best


def _peak_mb(work: Callable[[str], object], text: str) -> float:
    """Return how much more memory a process holds at the most while it works; Linux forgets its earlier peak when told so."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_mb("VmRSS")
    work(text)
    return max(0.0, _status_mb("VmHWM") - before)


def _status_mb(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    report("hostile", list(run()))
