"""How many prompt attacks are told, by source and kind; how many harmless texts are taken for one; what looking for them and for code costs.

    python -m bench.attacks [--data DIR]

DIR (or GUIJU_TEXTS) holds `*.jsonl.gz`: one JSON object a line with `text`, `label`, `group` and, in one file, `attack`. The texts are no
part of the project and are measured on only; without them there is nothing but the cost, and the table says so.
"""

import argparse
import base64
import gzip
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.corpus import PROMPT
from bench.report import Row, report, row
from bench.screening import CAREFUL, HARMLESS, best_cpu_s, texts_of
from guiju.screening.attacks.screen import find, may_attack
from guiju.screening.spellings.encoded import decoded_runs, may_be_encoded

ENGLISH = ("Could you tell me how to prepare a simple dinner for six people who like vegetables and fish, what to buy on the day before, "
"and which of the dishes can wait in a warm oven until the guests are here? Thanks.")  # fmt: skip
EVERY = ("roleplay_prompts_zh", "cvalues", "csafetyqa", "law_paragraphs", "alpaca_zh")


def told(text: str) -> dict[str, str]:
    """Return kind → surest confidence of what is told of a text. What counts only with harm is left out: no library is asked here."""
    order = ("high", "medium", "low")
    found: dict[str, str] = {}
    for each in find(text) if may_attack(text) else ():
        if each.alone or not each.kind.only_with_harm:
            code = each.kind.code
            found[code] = min(found.get(code, "low"), each.confidence, key=order.index)
    return found


def rows_of(folder: Path, name: str) -> Iterator[dict[str, str]]:
    path = folder / f"{name}.jsonl.gz"
    if path.exists():
        with gzip.open(path, "rt") as lines:
            yield from map(json.loads, lines)


def attacks_of(folder: Path) -> dict[str, list[str]]:
    """Return attacks by source and technique."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in rows_of(folder, "xsafety"):
        if each["group"] == "attack":
            found[f"XSafety {each['label']}"].append(each["text"])
    for each in rows_of(folder, "seval_attack"):
        found[f"S-Eval {each['attack']}"].append(each["text"])
    for name in ("inthewild_jailbreak_en", "sysprompt_attacks_en"):
        found[name] = [each["text"] for each in rows_of(folder, name)]
    return {name: texts for name, texts in found.items() if texts}


def recall(folder: Path) -> Iterator[Row]:
    for name, texts in attacks_of(folder).items():
        finds = [told(text) for text in texts]
        kinds = Counter(code for find in finds for code in find).most_common(2)
        surest = sum(any(confidence != "low" for confidence in find.values()) for find in finds)
        named = ", ".join(f"{code} {count}" for code, count in kinds)
        yield row(f"{name}, {len(texts)} ({named or '–'})", 100 * sum(map(bool, finds)) / len(texts), "% told")
        yield row(f"{name}: of medium or high confidence", 100 * surest / len(texts), "%")


def false_hits(folder: Path) -> Iterator[Row]:
    sets = [(name, (name,)) for name in EVERY] + [("prompts, answers, reviews", HARMLESS), ("news, law, safety", CAREFUL)]
    for name, names in sets:
        texts = [text for _, found in texts_of(folder, names, harmless=True) for text in found]
        if texts:
            finds = [told(text) for text in texts]
            count = sum(map(bool, finds))
            sure = sum("high" in find.values() for find in finds)
            yield row(f"harmless {name}: {count} of {len(texts)} told, {sure} as sure", 1000 * count / len(texts), "per 1,000")


def code(folder: Path | None) -> Iterator[Row]:
    """Yield what looking for runs of code costs, and how many harmless texts have one that can be read."""
    clean = [PROMPT] * 500
    cost = best_cpu_s(lambda: [may_be_encoded(message) for message in clean], 20) / len(clean)
    yield row("clean Chinese message of 200 characters: is there code?", cost * 1e6, "µs CPU", at_most=0.3)
    english = [ENGLISH] * 500
    cost = best_cpu_s(lambda: [may_be_encoded(message) for message in english], 20) / len(english)
    yield row("clean English message of 200 characters: is there code?", cost * 1e6, "µs CPU")
    large = base64.b64encode("今天天气很好".encode() * 416_666).decode()
    yield row("10 MB of base64, decoded", best_cpu_s(lambda: list(decoded_runs(large)), 1), "s CPU", at_most=1)
    if folder is not None:
        texts = [text for names in (HARMLESS, CAREFUL) for _, found in texts_of(folder, names, harmless=True) for text in found]
        count = sum(may_be_encoded(text) and next(decoded_runs(text), None) is not None for text in texts)
        yield row(f"harmless texts with code that can be read: {count} of {len(texts)}", 1000 * count / max(1, len(texts)), "per 1,000")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write `bench/out/attacks.json`; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Recall, false hits and cost of looking for prompt attacks")
    parser.add_argument("--data", type=Path, default=os.environ.get("GUIJU_TEXTS"), help="folder of *.jsonl.gz texts (or GUIJU_TEXTS)")
    folder: Path | None = parser.parse_args(arguments).data
    clean = [PROMPT] * 500
    cost = best_cpu_s(lambda: [may_attack(message) for message in clean], 20) / len(clean)
    rows = [row("clean Chinese message of 200 characters", cost * 1e6, "µs CPU", at_most=5)]
    there = folder is not None and any(Path(folder).glob("*.jsonl.gz"))
    rows += code(Path(folder) if there and folder is not None else None)
    if there and folder is not None:
        rows += [*recall(Path(folder)), *false_hits(Path(folder))]
    missed = report("attacks", rows)
    if not there:
        print("No texts: recall and false hits were NOT measured. Give --data DIR or set GUIJU_TEXTS.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
