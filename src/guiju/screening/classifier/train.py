"""Train the classifier and write its weights: `python -m guiju.screening.classifier.train --data DIR --on YYYY-MM-DD`.

DIR holds the files named in `sources.py`; the texts are no part of the project. The same files, sentences and library
versions give the same weights, bit for bit. The date is passed in: it is written into the manifest and decides nothing.
"""

import argparse
import hashlib
import platform
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy
import sklearn

from guiju.core.errors import GuijuError
from guiju.screening.classifier import sentences
from guiju.screening.classifier.features import ROW_BITS, RUNS, fold_fingerprint
from guiju.screening.classifier.fit import INVERSE_REGULARISATION, ITERATIONS, fit, labels_of
from guiju.screening.classifier.model import FOLDER, MANIFEST, WEIGHTS, WINDOW_UNITS, Classifier, write_weights
from guiju.screening.classifier.sources import ALLOWED, SPLIT_RULE, Example, check_allowed, read_source

LARGEST_BYTES: Final = 20_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write, tell; return the exit status: 1 when a source is forbidden or missing, and then nothing is written."""
    parser = argparse.ArgumentParser(description="Train the embedded classifier. 训练内置分类器。")
    parser.add_argument("--data", type=Path, required=True, help="folder of *.jsonl.gz. 数据目录。")
    parser.add_argument("--on", type=date.fromisoformat, required=True, help="today's date, for the manifest. 日期，写入清单。")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the weights. 权重目录。")
    parser.add_argument("--sources", nargs="*", default=list(ALLOWED), help="files to learn from, without ending. 所用数据文件。")
    options = parser.parse_args(arguments)
    try:
        check_allowed(options.sources)
        examples = [each for name in options.sources for each in read_source(options.data, name)]
    except (GuijuError, OSError) as problem:
        print(problem.both() if isinstance(problem, GuijuError) else problem, file=sys.stderr)
        return 1
    for name, count in Counter(each.source for each in examples).items():
        print(f"{name}: {count} rows, {ALLOWED[name].licence}")
    own = sentences.own_examples()
    print(f"{sentences.NAME}: {len(own)} sentences")
    examples += own
    fitted = fit(examples, say=print)
    version = write_weights(options.out, fitted.head, fitted.table)
    manifest = make_manifest(options.data, options.sources, options.on, version, examples, fitted.classifier())
    (options.out / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    size_bytes = (options.out / WEIGHTS).stat().st_size
    print(f"{WEIGHTS}: {size_bytes} bytes, SHA-256 {version}")
    return 0 if size_bytes <= LARGEST_BYTES else 1


def make_manifest(
    folder: Path, names: Sequence[str], on: date, version: str, examples: Sequence[Example], made: Classifier
) -> dict[str, Any]:
    """Return what the weights were made from and with. Raises GuijuError (CLASSIFIER-SOURCE) for a file that is not allowed."""
    check_allowed(names)
    counts = Counter(each.source for each in examples)
    return {
        "weights_sha256": version,
        "fold_sha256": fold_fingerprint(),
        "trained_on": on.isoformat(),
        "sources": [
            {
                "name": name,
                "origin": ALLOWED[name].origin,
                "licence": ALLOWED[name].licence,
                "allowed_because": ALLOWED[name].because,
                "sha256": fingerprint(folder / f"{name}.jsonl.gz"),
                "rows": counts[name],
                "weight": ALLOWED[name].weight,
            }
            for name in names
        ],
        "own_sentences": {
            "rows": counts[sentences.NAME],
            "per_block": sentences.PER_BLOCK,
            "sha256": {f"{name}.yaml": fingerprint(sentences.FOLDER / f"{name}.yaml") for name in sentences.FILES},
        },
        "split": SPLIT_RULE,
        "parameters": {
            "row_bits": ROW_BITS,
            "runs": RUNS,
            "window_units": WINDOW_UNITS,
            "inverse_regularisation": INVERSE_REGULARISATION,
            "iterations_at_most": ITERATIONS,
            "weights": "int8, one scale a column",
            "calibration": "Platt scaling on the validation part",
            "cuts": "scores that 1 % and 5 % of the harmless validation texts reach, as a whole and clause by clause",
        },
        "cuts": {name: msgspec.structs.asdict(cuts) for name, cuts in made.cuts.items()},
        "made_with": {"python": platform.python_version(), "numpy": numpy.__version__, "scikit-learn": sklearn.__version__},
        "validation": held_out_figures(examples, made),
    }


def held_out_figures(examples: Sequence[Example], made: Classifier) -> dict[str, dict[str, float]]:
    """Return for each column, on the validation part, how many rows there are, and precision and recall at one half."""
    held = [each for each in examples if each.validation]
    scores = made.scores_many(each.text for each in held)
    figures = {}
    for column in made.columns:
        labels, known = labels_of(held, column)
        said = numpy.array([each[column] >= 0.5 for each in scores])
        right = int((said & labels & known).sum())
        figures[column] = {
            "rows": int(known.sum()),
            "positive": int((labels & known).sum()),
            "precision": round(right / max(int((said & known).sum()), 1), 4),
            "recall": round(right / max(int((labels & known).sum()), 1), 4),
        }
    return figures


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
