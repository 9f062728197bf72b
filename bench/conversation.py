"""What reading over the joints of a conversation finds, what it finds without reason, and what it costs.

    python -m bench.conversation [--data DIR]

DIR (or GUIJU_TEXTS) holds `*.jsonl.gz`: one JSON object a line with `text` and `group` (`none` = harmless). The texts are no part of the
project; without them false joints are not measured, and the table says so.
"""

import argparse
import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.report import Row, report, row
from bench.screening import CAREFUL, HARMLESS, best_cpu_s, texts_of
from guiju.gateway.inputs import examine_input
from guiju.screening.libraries.library import starter_library
from guiju.screening.matching.conversation import joints
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.values import LibraryEntry, Policy
from guiju.screening.view import strings

POLICY = Policy(personal_on_input={"*": "pass"})
LIBRARY = starter_library()
SNAPSHOT = Snapshot(LIBRARY.entries, LIBRARY.version)
PAIRS = 20_000
Split = Callable[[str, str], list[dict[str, Any]]]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def tool(value: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c1", "content": json.dumps(value, ensure_ascii=False)}


ANSWERED = {"role": "assistant", "content": "好的，请继续。"}
SPLITS: dict[str, Split] = {
    "two turns of the person": lambda a, b: [user(a), ANSWERED, user(b)],
    "text parts of one message": lambda a, b: [user([{"type": "text", "text": a}, {"type": "text", "text": b}])],
    "values of a tool's JSON": lambda a, b: [user("查一下"), tool({"first": a, "then": [b]})],
    "a last message and the words that the answer begins with": lambda a, b: [user(a), {"role": "assistant", "content": b}],
    "one character a turn": lambda a, b: [each for sign in a + b for each in (user(sign), ANSWERED)],
}


def hits(messages: Sequence[dict[str, Any]], snapshot: Snapshot = SNAPSHOT) -> list[str]:
    """Return the rules that hit over a joint."""
    request = {"messages": messages}
    return [hit.rule for hit in examine_input(snapshot, POLICY, request, strings(request)).hits if " + " in hit.path]


def recall() -> Iterator[Row]:
    """Yield how many terms that block are found when they are split at a place drawn by lot."""
    terms = [entry for entry in LIBRARY.entries if entry.severity == "block" and entry.direction != "output" and len(entry.term) > 1]
    for name, split in SPLITS.items():
        rng, found, tried = random.Random(3), 0, 0
        for entry in rng.sample(terms, 600):
            at = rng.randrange(1, len(entry.term))
            tried += 1
            whole = "one character" in name
            before, behind = ("", "") if whole else ("我想问一下，", "，谢谢。")
            found += entry.id in hits(split(before + entry.term[:at], entry.term[at:] + behind))
        yield row(f"terms split over {name}", 100 * found / tried, "% found")


def false_joints(folder: Path) -> Iterator[Row]:
    """Yield how often harmless texts, put behind each other at random, hit over their joint."""
    short = tuple(LibraryEntry(f"short-{place}", term, "A.1.h") for place, term in enumerate(_two_character_words(folder)))
    for name, names in (("prompts and posts", HARMLESS), ("news, law, safety", CAREFUL)):
        texts = [text for _, found in texts_of(folder, names, harmless=True) for text in found]
        if not texts:
            continue
        rng = random.Random(7)
        pairs = [(rng.choice(texts), rng.choice(texts)) for _ in range(PAIRS)]
        for library, snapshot in (("starter library", SNAPSHOT), (f"{len(short)} terms of two characters", Snapshot(short, "short"))):
            for how in ("two turns of the person", "text parts of one message"):
                count = sum(bool(hits(SPLITS[how](a, b), snapshot)) for a, b in pairs)
                yield row(f"{name}: {how}, {library}, {count} of {PAIRS} pairs", 1000 * count / PAIRS, "per 1,000", at_most=1)


def _two_character_words(folder: Path) -> list[str]:
    """Return 300 pairs of characters that begin harmless titles: a hostile library, for real terms are rarer than these."""
    pairs = {text[:2] for _, found in texts_of(folder, ("thucnews_title",), harmless=True) for text in found}
    return sorted(pair for pair in pairs if all("\u4e00" <= sign <= "\u9fff" for sign in pair))[:300]


def cost() -> Iterator[Row]:
    """Yield what putting together costs, in processor time."""
    text = "今天我们一起去公园散步，路上遇到几位老朋友，大家坐在树下喝茶，聊起各自的工作和孩子。" * 5
    alone = [user(text)]
    turns = [each for _ in range(10) for each in (user(text), {"role": "assistant", "content": text})]
    for name, messages in (("one message", alone), ("20 messages of 200 characters", turns)):
        request = {"messages": messages}
        view = strings(request)
        yield row(f"{name}: joints", best_cpu_s(lambda m=messages: joints(m, SNAPSHOT.longest)) * 1e6, "µs CPU")  # type: ignore[misc]
        yield row(f"{name}: whole input", best_cpu_s(lambda r=request, v=view: examine_input(SNAPSHOT, POLICY, r, v)) * 1e6, "µs CPU")  # type: ignore[misc]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write `bench/out/conversation.json`; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Recall, false joints and cost of reading over the joints of a conversation")
    parser.add_argument("--data", type=Path, default=os.environ.get("GUIJU_TEXTS"), help="folder of *.jsonl.gz texts (or GUIJU_TEXTS)")
    folder: Path | None = parser.parse_args(arguments).data
    rows = [*recall(), *cost()]
    there = folder is not None and any(Path(folder).glob("*.jsonl.gz"))
    if there and folder is not None:
        rows += false_joints(Path(folder))
    missed = report("conversation", rows)
    if not there:
        print("No texts: false joints were NOT measured. Give --data DIR or set GUIJU_TEXTS.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
