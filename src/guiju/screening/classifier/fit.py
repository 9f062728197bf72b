"""Fit weights to examples: a linear model for each column, made small and put on a scale of probabilities.

Training only: needs scikit-learn, which is no part of the service. Every step is deterministic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import numpy
import numpy.typing
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from guiju.screening.classifier.features import ROW_BITS, RUNS, rows_of, units_of
from guiju.screening.classifier.judge import ANY, LOOK_BACK_CHARACTERS, clause_ends
from guiju.screening.classifier.model import LANES, NO_CUTS, ROWS, WINDOW_UNITS, Classifier, Cuts, Head
from guiju.screening.classifier.sources import Example

COLUMNS: Final = ("A.1", "A.2", "A.3", "A.4", "attack", "any")
INVERSE_REGULARISATION: Final = 3.0
ITERATIONS: Final = 400
FALSE_POSITIVES: Final = (0.01, 0.05)
"""Shares of harmless validation texts that may reach the cut for medium confidence, and the one for low."""
_LARGEST: Final = 127

Floats = numpy.typing.NDArray[numpy.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights in the form of the file."""

    head: Head
    table: numpy.typing.NDArray[numpy.int8]

    def classifier(self) -> Classifier:
        """Return the weights as a classifier in memory."""
        return Classifier(self.head, self.table, "in memory")


def counts_of(texts: Sequence[str]) -> Any:
    """Return the runs of each text's first window as a sparse row: how often each occurs, by the root of their number."""
    found, values, ends = [], [], [0]
    for text in texts:
        rows, count = numpy.unique(rows_of(units_of(text)[:WINDOW_UNITS]), return_counts=True)
        found.append(rows.astype(numpy.int32))
        values.append((count / numpy.sqrt(max(count.sum(), 1))).astype(numpy.float32))
        ends.append(ends[-1] + len(rows))
    return sparse.csr_matrix((numpy.concatenate(values), numpy.concatenate(found), ends), shape=(len(texts), ROWS))


def labels_of(examples: Sequence[Example], column: str) -> tuple[numpy.typing.NDArray[numpy.bool_], numpy.typing.NDArray[numpy.bool_]]:
    """Return (is an example of the column, is known to be one or not) for each."""
    labels = numpy.array([bool(each.columns) if column == ANY else column in each.columns for each in examples])
    return labels, numpy.array([column not in each.unknown for each in examples])


def fit(examples: Sequence[Example], columns: Sequence[str] = COLUMNS, say: Callable[[str], None] = lambda _: None) -> Fitted:
    """Return weights fitted to the training part of the examples and calibrated on the validation part."""
    counts = counts_of([each.text for each in examples])
    held = numpy.array([each.validation for each in examples])
    weights = numpy.array([each.weight for each in examples])
    table = numpy.zeros((ROWS, LANES), numpy.int8)
    scales, biases = [], []
    for lane, column in enumerate(columns):
        labels, known = labels_of(examples, column)
        chosen = known & ~held
        model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=ITERATIONS)
        model.fit(counts[chosen], labels[chosen], sample_weight=weights[chosen])
        unit = numpy.abs(model.coef_[0]).max() / _LARGEST
        table[:, lane] = numpy.rint(model.coef_[0] / unit).astype(numpy.int8)
        logits = counts[known & held] @ table[:, lane].astype(numpy.float32) * unit
        slope, offset = _calibrate(logits, labels[known & held], weights[known & held])
        scales.append(float(unit) * slope)
        biases.append(offset)
        say(f"{column}: {labels[chosen].sum()} of {chosen.sum()} rows; slope {slope:.3f}, {model.n_iter_[0]} iterations")
    head = Head(ROW_BITS, RUNS, tuple(columns), tuple(scales), tuple(biases), {"input": NO_CUTS, "output": NO_CUTS})
    cuts = _cuts(Fitted(head, table).classifier(), [each.text for each in examples if each.validation and not each.columns], say)
    return Fitted(msgspec.structs.replace(head, cuts=cuts), table)


def _cuts(made: Classifier, harmless: Sequence[str], say: Callable[[str], None]) -> dict[Literal["input", "output"], Cuts]:
    """Return the cuts that 1 % and 5 % of the harmless validation texts reach: as a whole, and clause by clause."""
    if ANY not in made.columns or not harmless:
        return {"input": NO_CUTS, "output": NO_CUTS}
    whole = [each[ANY] for each in made.scores_many(harmless)]
    worst = [
        max(made.scores(text[max(0, place - LOOK_BACK_CHARACTERS) : place])[ANY] for place in (*clause_ends(text), len(text)))
        for text in harmless
    ]
    cuts: dict[Literal["input", "output"], Cuts] = {}
    for name, values in (("input", whole), ("output", worst)):
        medium, low = (round(float(numpy.quantile(values, 1 - share)), 6) for share in FALSE_POSITIVES)
        cuts[name] = Cuts(medium, low)  # type: ignore[index]  # one of the two
        say(f"cuts for {name}: medium {medium}, low {low}, of {len(harmless)} harmless texts")
    return cuts


def _calibrate(logits: Floats, labels: numpy.typing.NDArray[numpy.bool_], weights: Floats) -> tuple[float, float]:
    """Return slope and offset that make held-out logits probabilities (Platt scaling)."""
    model = LogisticRegression(C=1e6, max_iter=ITERATIONS).fit(logits.reshape(-1, 1), labels, sample_weight=weights)
    return max(float(model.coef_[0][0]), 1e-3), float(model.intercept_[0])
