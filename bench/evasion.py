"""How many evasive spellings of the starter library's terms are found, technique by technique, and what each layer adds on harmless texts.

    python -m bench.evasion [--data DIR]

The library asks for each spelling alone, where the term allows it. Harmless texts are read as they are and written in the same techniques:
their difference is what odd writing alone sets off. What is written comes from the same tables as what is looked for, in the mixtures that are
looked for: the figures say that the layers do what they say, not that people write so. DIR (or GUIJU_TEXTS) as for `bench.screening`; without it recall alone is measured.
"""

import argparse
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import opencc

from bench.report import Row, report, row
from bench.screening import CAREFUL, HARMLESS, POLICY, texts_of
from guiju.screening.libraries.library import starter_library
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.spellings.check import SPELLINGS, spelling_problems
from guiju.screening.spellings.fold import fold
from guiju.screening.spellings.readings import reading
from guiju.screening.spellings.tables import parts, syllables
from guiju.screening.values import Direction, LibraryEntry

SEEDS: Final = 2
SAMPLE: Final = 4_000
"""So many harmless texts are written in each technique."""
_BATCH: Final = 2_000
_CYRILLIC: Final = dict(zip("aceopxy", "асеорху", strict=True))


def asking(entries: Sequence[LibraryEntry], names: Sequence[str]) -> list[LibraryEntry]:
    """Return the entries, each asking for those of the spellings that its term allows."""
    return [
        msgspec.structs.replace(entry, spellings=tuple(name for name in names if not list(spelling_problems(entry.term, name))))
        for entry in entries
    ]


def _others(name: str) -> dict[str, list[str]]:
    """Return folded character → the usual characters that a reading takes for it."""
    found: dict[str, list[str]] = {}
    for character in (*syllables(), *"0123456789@$!"):
        found.setdefault(fold(character, reading(name)), []).append(character)
    return found


def _replaced(text: str, rng: random.Random, ways: Callable[[str], Sequence[str]], share: float = 0.5) -> str:
    """Return the text with about that share of the characters replaced, at least one where one can be."""
    able = [place for place, character in enumerate(text) if ways(character)]
    if not able:
        return text
    chosen = {place for place in able if rng.random() < share} or {rng.choice(able)}
    return "".join(rng.choice(ways(character)) if place in chosen else character for place, character in enumerate(text))


def _one_or_all(text: str, rng: random.Random, table: dict[str, tuple[str, ...]]) -> str:
    """Return the text with one character, two neighbours or all replaced by the first way to write them."""
    able = [place for place, character in enumerate(text) if character in table]
    if not able:
        return text
    at, how = rng.randrange(len(able)), rng.random()
    chosen = able if how < 0.34 else able[at : at + 1 + (how < 0.67)]
    return "".join(table[character][0] if place in chosen else character for place, character in enumerate(text))


def techniques() -> dict[str, tuple[str, Callable[[str, random.Random], str]]]:
    """Return technique → (the spelling that undoes it, empty where the fold does; how it writes a text)."""
    traditional, japanese = opencc.OpenCC("s2t").convert, opencc.OpenCC("t2jp").convert
    others = {name: _others(name) for name in ("homophone", "shape", "leet")}

    def alike(name: str) -> Callable[[str, random.Random], str]:
        def write(text: str, rng: random.Random) -> str:
            return _replaced(text, rng, lambda each: [o for o in others[name].get(fold(each, reading(name)), ()) if o != each])

        return write

    return {
        "full width": ("", lambda text, _: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)),
        "zero width": ("", lambda text, _: "\u200b".join(text)),
        "separators": ("", lambda text, rng: "".join(c + (rng.choice("·*-😀") if not c.isascii() else "") for c in text)),
        "traditional": ("", lambda text, _: traditional(text)),
        "Japanese forms": ("", lambda text, _: japanese(traditional(text))),
        "look-alike letters": ("", lambda text, _: "".join(_CYRILLIC.get(c, c) for c in text)),
        "JSON escapes": ("", lambda text, _: "".join(f"\\u{ord(c):04x}" if not c.isascii() else c for c in text)),
        "URL escapes": ("", lambda text, _: "".join(f"%{b:02X}" if b > 127 else chr(b) for b in text.encode())),
        "entities": ("", lambda text, _: "".join(f"&#{ord(c)};" if not c.isascii() else c for c in text)),
        "pinyin": ("pinyin", lambda text, rng: _one_or_all(text, rng, syllables())),
        "split": ("split", lambda text, rng: _one_or_all(text, rng, parts())),
        "reversed": ("reversed", lambda text, _: text[::-1]),
        "homophone": ("homophone", alike("homophone")),
        "shape": ("shape", alike("shape")),
        "leet": ("leet", alike("leet")),
    }


def recall(snapshots: dict[str, Snapshot]) -> Iterator[Row]:
    """Yield the share of the terms that are found, as each technique writes them; terms that it cannot change are left out."""
    for technique, (name, write) in techniques().items():
        found = found_without = count = 0
        for seed in range(SEEDS):
            rng = random.Random(seed)
            for entry in snapshots[name].entries:
                term = fold(entry.term) if name in ("pinyin", "split", "reversed") else entry.term
                text = write(term, rng)
                if text == term or (name and name not in entry.spellings):
                    continue
                count += 1
                found += any(hit.rule == entry.id for hit in snapshots[name].examine(f"，{text}。", _way(entry), POLICY).hits)
                found_without += any(hit.rule == entry.id for hit in snapshots[""].examine(f"，{text}。", _way(entry), POLICY).hits)
        if count:
            yield row(f"{technique}: found of {count}, asking for {name or 'nothing'}", 100 * found / count, "%", at_least=95)
            if name:
                yield row(f"{technique}: found by the fold alone", 100 * found_without / count, "%")


def _way(entry: LibraryEntry) -> Direction:
    return "output" if entry.direction == "both" else entry.direction


def hit(snapshot: Snapshot, texts: Sequence[str]) -> set[int]:
    """Return which of the texts are hit on the way out."""
    return {
        at + place
        for at in range(0, len(texts), _BATCH)
        for place, verdict in enumerate(snapshot.examine_each(texts[at : at + _BATCH], "output", POLICY))
        if verdict.hits
    }


def precision(snapshots: dict[str, Snapshot], texts: Sequence[str]) -> Iterator[Row]:
    """Yield how many harmless texts each layer hits besides, and how many more when they are written oddly."""
    before = hit(snapshots[""], texts)
    yield row(f"harmless texts hit by the fold alone, {len(before)} of {len(texts)}", 1000 * len(before) / len(texts), "of 1,000")
    for name in SPELLINGS:
        more = hit(snapshots[name], texts) - before
        yield row(
            f"harmless texts hit besides by {name}, {len(more)} of {len(texts)}", 1000 * len(more) / len(texts), "of 1,000", at_most=1
        )
    rng = random.Random(7)
    sample = rng.sample(list(texts), min(SAMPLE, len(texts)))
    for technique, (name, write) in techniques().items():
        odd = hit(snapshots[name], [write(text, rng) for text in sample])
        plain = hit(snapshots[name], sample)
        more_often = 100 * (len(odd) - len(plain)) / len(sample)
        yield row(f"harmless texts in {technique}: hit more often than as written", more_often, "% of texts", at_most=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write `bench/out/evasion.json`; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Evasive spellings: recall by technique, harm to harmless text by layer")
    parser.add_argument("--data", type=Path, default=os.environ.get("GUIJU_TEXTS"), help="folder of *.jsonl.gz texts (or GUIJU_TEXTS)")
    folder: Path | None = parser.parse_args(arguments).data
    entries = starter_library().entries
    snapshots = {name: Snapshot(asking(entries, [name] if name else []), name or "plain") for name in ("", *SPELLINGS)}
    rows = list(recall(snapshots))
    texts = (
        [text for names in (HARMLESS, CAREFUL) for _, found in texts_of(Path(folder), names, harmless=True) for text in found]
        if folder
        else []
    )
    if texts:
        rows += precision(snapshots, texts)
    missed = report("evasion", rows)
    if not texts:
        print("No texts: what the layers do to harmless text was NOT measured. Give --data DIR or set GUIJU_TEXTS.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
