"""How good the embedded classifier is, how often it is wrong about harmless text, how fast and how large it is.

    python -m bench.classifier [--data DIR]

DIR (or GUIJU_TEXTS) holds `*.jsonl.gz` with `text` and `group`; texts are no part of the project, and without them only
speed and size are measured. Sets that may not feed shipped weights are measured on and never trained on. For each source
that is trained on, weights are fitted once more without it: validation parts flatter, a source never seen does not.

"At 1 % false positives" means: at the score that 1 % of all ordinary instructions reach (sets of instructions, none trained on).
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy

from bench import harmless
from bench.report import Row, report, row
from bench.screening import prose
from guiju.screening.classifier.afterwards import AFTERWARDS, Afterwards
from guiju.screening.classifier.coverage import CUT
from guiju.screening.classifier.judge import find_in_answer
from guiju.screening.classifier.model import FOLDER, WEIGHTS, Classifier
from guiju.screening.classifier.sources import ALLOWED, columns_of, is_validation, rows_in

ORDINARY: Final = ("alpaca_zh", "llamafactory_zh", "smp2019", "belle_seed")
HARMLESS: Final = ("thucnews_title", "hotel_reviews", "shopping_reviews", "waimai_reviews", "alpaca_zh_out", "llamafactory_zh_out")
CAREFUL: Final = ("cvalues", "csafetyqa", "roleplay_prompts_zh", "law_paragraphs", "jade_answers", "xsafety", "cold", "swsr")
UNSEEN: Final = ("seval_base", "seval_attack", "chineseharm", "toxicn", "inthewild_jailbreak_en")
SEEN: Final = ("jade", "xsafety", "cold", "swsr", "jade_answers")
LEFT_OUT: Final = (("jade", "jade_answers"), ("xsafety",), ("cold",), ("swsr",), ("law_paragraphs",))
_HARMFUL_BAR: Final = 60.0


class Sets:
    """The texts by set, read once. A set that is trained on gives its validation part unless the whole is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def rows(self, name: str, *, whole: bool = False) -> list[dict[str, Any]]:
        """Return the rows of a set; none when it is not there."""
        if name not in self._rows:
            path = self._folder / f"{name}.jsonl.gz"
            self._rows[name] = [each for each in rows_in(path) if each["group"] != "other"] if path.exists() else []
        rows = self._rows[name]
        if whole or name not in ALLOWED:
            return rows
        return [each for each in rows if (each["split"] == "dev" if "split" in each else is_validation(each["text"]))]

    def texts(self, name: str, harmful: bool, *, whole: bool = False, covered: bool = True) -> list[str]:
        """Return the harmful or the harmless texts; those of groups without a column (A.5) only when `covered` is off."""
        rows = self.rows(name, whole=whole)
        return [
            each["text"] for each in rows if (each["group"] != "none") == harmful and (not covered or columns_of(each["group"]) != {"A.5"})
        ]


def score(made: Classifier, texts: Sequence[str], column: str = "any") -> "numpy.typing.NDArray[numpy.float64]":
    """Return the column's score of each text."""
    return numpy.array([each[column] for each in made.scores_many(texts)])


def percent(share: float) -> float:
    """Return a share in per cent."""
    return 100 * float(share)


def speed() -> Iterator[Row]:
    """Yield what needs no data folder: size, speed, and false alarms on harmless texts of our own that nothing was trained on."""
    made = Classifier.load()
    yield row("weights", (FOLDER / WEIGHTS).stat().st_size / 1e6, "MB", at_most=20)
    text = prose(400_000)
    messages = [text[at : at + 200] for at in range(0, 400_000, 200)]
    made.scores_many(messages[:50])  # fills the fold's tables
    times = []
    for message in messages:
        began = time.perf_counter_ns()
        made.scores(message)
        times.append((time.perf_counter_ns() - began) / 1000)
    yield row("200 characters, p50", statistics.median(times), "µs", at_most=60)
    yield row("200 characters, p99", statistics.quantiles(times, n=100)[98], "µs")
    yield row("evidence in the recorder: 200 characters asked, 400 answered", evidence_us(made, text), "µs CPU")
    flagged = score(made, harmless.TEXTS) >= CUT
    yield row(f"harmless, sensitive subjects, our own {len(flagged)}", percent(flagged.mean()), f"% at {CUT}")
    for name, long in (("10 MB of one character", "a" * 10_000_000), ("3 million Han characters", (text * 8)[:3_000_000])):
        began = time.process_time()
        made.scores(long)
        yield row(name, time.process_time() - began, "s CPU", at_most=10)


def evidence_us(made: Classifier, text: str) -> float:
    """Return the processor time in which the recorder looks at one clean exchange."""
    request = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": text[:200]}]})
    answer = msgspec.json.encode({"choices": [{"message": {"content": text[200:600]}}]})
    content, looks = msgspec.msgpack.encode({"request": request, "answer": answer}), Afterwards(made)
    metadata = {"classifier": AFTERWARDS, "input": {"outcome": "pass"}, "output": {"outcome": "pass", "hits": []}}
    began = time.process_time()
    for number in range(2_000):
        looks.assess(str(number), metadata, content)
    return (time.process_time() - began) / 2_000 * 1e6


def shipped(sets: Sets) -> Iterator[Row]:
    """Yield the rows of the shipped weights: what they find and what they wrongly find."""
    made = Classifier.load()
    ordinary = {name: score(made, sets.texts(name, harmful=False)) for name in ORDINARY}
    pool = numpy.concatenate([each for each in ordinary.values() if len(each)])
    at_one, at_five = numpy.quantile(pool, 0.99), numpy.quantile(pool, 0.95)
    yield row(f"ordinary instructions, all {len(pool)}", percent((pool >= CUT).mean()), f"% at {CUT}", at_most=1)
    for name, values in ordinary.items():
        if len(values):
            yield row(f"ordinary instructions: {name}, {len(values)}", percent((values >= CUT).mean()), f"% at {CUT}")
    cuts = made.cuts["input"]
    for name, cut in (("medium", cuts.medium), ("low", cuts.low)):
        yield row(f"cut for {name} ({cut:.2f}): ordinary instructions", percent((pool >= cut).mean()), "%")
        for other in ("seval_base", "seval_attack", "jade", "xsafety"):
            harmful = sets.texts(other, harmful=True)
            if harmful:
                yield row(f"cut for {name}: {other}, recall", percent((score(made, harmful) >= cut).mean()), "%")
        for other in ("alpaca_zh_out", "llamafactory_zh_out"):
            found = [find_in_answer(made, text) for text in sets.texts(other, harmful=False)]
            told = [each for each in found if each is not None and (name == "low" or each.confidence == "medium")]
            yield row(f"cut for {name}: ordinary answers, clause by clause: {other}", percent(len(told) / max(len(found), 1)), "%")
    for name in (*HARMLESS, *CAREFUL):
        texts = sets.texts(name, harmful=False)
        if texts:
            yield row(f"harmless: {name}, {len(texts)}", percent((score(made, texts) >= CUT).mean()), f"% at {CUT}")
    for name in (*SEEN, *UNSEEN):
        texts = sets.texts(name, harmful=True)
        if not texts:
            continue
        values, wrong = score(made, texts), score(made, sets.texts(name, harmful=False))
        kind = "validation" if name in ALLOWED else "never trained on"
        bar = _HARMFUL_BAR if name == "seval_base" else None
        yield row(f"{kind}: {name}, {len(texts)}: recall at 1 % false positives", percent((values >= at_one).mean()), "%", at_least=bar)
        yield row(f"{kind}: {name}: recall at 5 % false positives", percent((values >= at_five).mean()), "%")
        yield row(f"{kind}: {name}: recall at {CUT}", percent((values >= CUT).mean()), "%")
        if len(wrong) and name != "jade_answers":
            found = (values >= CUT).sum()
            yield row(f"{kind}: {name}: precision at {CUT}", percent(found / max(found + (wrong >= CUT).sum(), 1)), "%")
            yield from two_classes(f"{kind}: {name}", values, wrong)
    alone = score(made, sets.texts("seval_base", harmful=True, covered=False))
    if len(alone):
        yield row(
            f"never trained on: seval_base with A.5, {len(alone)}: recall at 1 % false positives", percent((alone >= at_one).mean()), "%"
        )
    yield from groups(made, sets)


def two_classes(
    name: str, harmful: "numpy.typing.NDArray[numpy.float64]", harmless: "numpy.typing.NDArray[numpy.float64]"
) -> Iterator[Row]:
    """Yield accuracy and macro-F1 of harmful against harmless at the cut; the bar is for sets like COLD."""
    hits, misses = int((harmful >= CUT).sum()), int((harmful < CUT).sum())
    wrong, right = int((harmless >= CUT).sum()), int((harmless < CUT).sum())
    accuracy = (hits + right) / (len(harmful) + len(harmless))
    yield row(f"{name}: accuracy", accuracy, "", at_least=0.82 if name.endswith(" cold") else None)
    yield row(f"{name}: macro-F1", (2 * hits / (2 * hits + misses + wrong) + 2 * right / (2 * right + misses + wrong)) / 2, "")


def groups(made: Classifier, sets: Sets) -> Iterator[Row]:
    """Yield F1 for each group at one half on the validation parts of all sets that are trained on, and their mean."""
    rows = [(each, name) for name in ALLOWED for each in sets.rows(name)]
    said = made.scores_many(each["text"] for each, _ in rows)
    found = []
    for column in made.columns:
        if column == "any":
            continue
        known = [(column in columns_of(each["group"]), scores[column] >= 0.5) for (each, name), scores in zip(rows, said, strict=True)
                 if each["group"] == "none" or column not in ALLOWED[name].unknown_if_harmful]  # fmt: skip
        both = sum(label and hit for label, hit in known)
        found.append(2 * both / max(sum(label for label, _ in known) + sum(hit for _, hit in known), 1))
        yield row(f"validation, group {column}: F1 over {sum(label for label, _ in known)} texts", found[-1], "")
    yield row("validation, groups: macro-F1", statistics.fmean(found), "")


def left_out(sets: Sets, folder: Path) -> Iterator[Row]:
    """Yield the rows of weights fitted without one source, on the whole of that source."""
    from guiju.screening.classifier.fit import fit
    from guiju.screening.classifier.sentences import own_examples
    from guiju.screening.classifier.sources import read_source

    own = own_examples()
    ordinary = [text for name in ORDINARY for text in sets.texts(name, harmful=False)]
    for without in LEFT_OUT:
        name = without[0]
        examples = [each for other in ALLOWED if other not in without for each in read_source(folder, other)] + own
        columns = ("any", "A.2") if name in ("cold", "swsr") else ("any",)
        made = fit(examples, columns).classifier()
        pool = score(made, ordinary)
        at_one, at_five = numpy.quantile(pool, 0.99), numpy.quantile(pool, 0.95)
        harmless = score(made, sets.texts(name, harmful=False, whole=True))
        texts = sets.texts(name, harmful=True, whole=True)
        if name == "law_paragraphs":
            yield row(f"left out: statutes, {len(harmless)}", percent((harmless >= CUT).mean()), f"% at {CUT}", at_most=1)
            yield row(f"left out: statutes, {len(harmless)}", percent((harmless >= at_one).mean()), "% at 1 % of ordinary", at_most=1)
            continue
        harmful = score(made, texts)
        bar = _HARMFUL_BAR if name in ("jade", "xsafety") else None
        yield row(f"left out: {name}, {len(texts)}: recall at 1 % false positives", percent((harmful >= at_one).mean()), "%", at_least=bar)
        yield row(f"left out: {name}: recall at 5 % false positives", percent((harmful >= at_five).mean()), "%")
        if len(harmless):
            yield row(f"left out: {name}, harmless {len(harmless)}", percent((harmless >= CUT).mean()), f"% at {CUT}")
        if name in ("cold", "swsr"):
            ours = score(made, texts, "A.2"), score(made, sets.texts(name, harmful=False, whole=True), "A.2")
            yield from two_classes(f"left out: {name} (A.2)", *ours)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write `bench/out/classifier.json`; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Quality, speed and size of the embedded classifier")
    parser.add_argument("--data", type=Path, default=os.environ.get("GUIJU_TEXTS"), help="folder of *.jsonl.gz texts (or GUIJU_TEXTS)")
    folder: Path | None = parser.parse_args(arguments).data
    rows = list(speed())
    there = folder is not None and any((Path(folder) / f"{name}.jsonl.gz").exists() for name in ORDINARY)
    if folder is not None and there:
        sets = Sets(Path(folder))
        rows += [*shipped(sets), *left_out(sets, Path(folder))]
    missed = report("classifier", rows)
    if not there:
        print("No texts: quality was NOT measured. Give --data DIR or set GUIJU_TEXTS.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
