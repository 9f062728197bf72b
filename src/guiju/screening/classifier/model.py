"""The classifier: for a text, how likely it is of each group of risks. Evidence, never a verdict.

Weights are one file, mapped into memory so that workers share its pages: a line that says what it is, one line of JSON
(`Head`), then a table of small integers with a row for each hashed run of characters. A text's score is the sum of its
rows, divided by the root of their number, put on a scale of probabilities. No user is ever sanctioned by it alone.

Source: Measures Art. 4, 14; GB/T 45654-2025 App. A. How it was trained, and what it cannot do: docs/model-card.md.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy
import numpy.typing

from guiju.core.errors import GuijuError, Text, define
from guiju.screening.classifier.features import ROW_BITS, RUNS, Units, fold_fingerprint, rows_of, units_of

FOLDER: Final = Path(__file__).parent / "weights"
WEIGHTS: Final = "weights.bin"
MANIFEST: Final = "manifest.json"
MAGIC: Final = b"guiju classifier 2\n"
ROWS: Final = 1 << ROW_BITS
LANES: Final = 8
"""Columns in the file: one machine word a row. Lanes that no column uses hold zeros."""
HEAD_BYTES: Final = 4096

WINDOW_UNITS: Final = 256
"""A longer text is looked at through windows of this size, half overlapping; the worst one counts."""
_STEP: Final = WINDOW_UNITS // 2
_PORTION_UNITS: Final = 512 * _STEP
"""A long text is worked through in portions of this size: 10 MB need no more memory than 100 kB."""

CLASSIFIER_DAMAGED = define(
    "CLASSIFIER-DAMAGED",
    status=503,
    kind="server_error",
    zh=Text(
        "分类器权重文件 {name} 无法使用：{reason_zh}。", "没有载入任何权重，未用它审查任何文本。", "请重新安装 guiju；安装包自带该文件。"
    ),
    en=Text(
        "The classifier's weights {name} cannot be used: {reason}.",
        "No weights were loaded, and no text was examined with them.",
        "Install guiju again; the file comes with the package.",
    ),
)


class Cuts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The scores of `any` that 1 % and 5 % of the harmless validation texts reach: from there on a find is `medium`, or `low`."""

    medium: float
    low: float


NO_CUTS: Final = Cuts(1.0, 1.0)


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the table means. `scale` and `bias` (one a column) turn a sum into the logit of a probability."""

    row_bits: int
    runs: int
    columns: tuple[str, ...]
    scale: tuple[float, ...]
    bias: tuple[float, ...]
    cuts: dict[Literal["input", "output"], Cuts]
    """For texts that are looked at as a whole, and for answers, looked at clause by clause."""


class Classifier:
    """The weights, ready; immutable, and safe to share between threads. Get it with `Classifier.load()`."""

    __slots__ = ("_bias", "_columns", "_scale", "_words", "columns", "cuts", "version")

    def __init__(self, head: Head, table: numpy.typing.NDArray[numpy.int8], version: str) -> None:
        self.version: Final = version
        """SHA-256 of the weights file: it goes into the record of whatever the scores led to."""
        self.columns: Final = head.columns
        """The groups that have a score, `attack` (attempts on the model itself) and `any` (harm of whichever group)."""
        self.cuts: Final = head.cuts
        self._columns = len(head.columns)
        self._words = table.reshape(-1).view(numpy.uint64)
        self._scale = head.scale
        self._bias = head.bias

    @staticmethod
    @lru_cache(maxsize=2)
    def load(folder: Path = FOLDER) -> "Classifier":
        """Return the classifier whose weights lie in `folder`; the one that comes with guiju unless told otherwise.

        Raises GuijuError (CLASSIFIER-DAMAGED) unless the file is whole and the one that its manifest names.
        """
        return _read(folder)

    def scores(self, text: str) -> Mapping[str, float]:
        """Return column → probability. A column that is missing is a group that is *not covered*, not one that is safe.

        Text without a letter, digit or character has the score of nothing: 0 in each column. Takes about 20 µs for 200 characters.
        """
        units = units_of(text)
        if not len(units):
            return dict.fromkeys(self.columns, 0.0)
        sums = [self._sums(units)] if len(units) <= WINDOW_UNITS else self._window_sums(units)
        return {
            name: _probability(max(scale * each[place] for each in sums) + bias)
            for place, (name, scale, bias) in enumerate(zip(self.columns, self._scale, self._bias, strict=True))
        }

    def scores_many(self, texts: Iterable[str]) -> list[Mapping[str, float]]:
        """Return the scores of each text, in order; each is what `scores` gives for it alone."""
        return [self.scores(text) for text in texts]

    def _sums(self, units: Units) -> list[float]:
        rows = rows_of(units)
        table = self._words.take(rows).view(numpy.int8).reshape(-1, LANES)
        root = math.sqrt(len(rows))
        return [each / root for each in table.sum(axis=0, dtype=numpy.int32).tolist()]

    def _window_sums(self, units: Units) -> list[list[float]]:
        """Return, for each lane, the largest sum of any window (scales are positive): one row."""
        best = numpy.full(LANES, -numpy.inf)
        for begin in range(0, max(len(units) - _STEP, 1), _PORTION_UNITS):
            portion = units[begin : begin + _PORTION_UNITS + _STEP + RUNS - 1]
            steps = self._step_sums(portion)
            numpy.maximum(best, (steps[:-1] + steps[1:]).max(axis=0) if len(steps) > 1 else steps[0], out=best)
        return [(best / math.sqrt(RUNS * WINDOW_UNITS)).tolist()]

    def _step_sums(self, units: Units) -> numpy.typing.NDArray[numpy.int32]:
        """Return the sum of the rows of all runs that begin in each half window; the last one may be short."""
        whole = max(-(-(len(units) - RUNS + 1) // _STEP), 1)
        sums = numpy.zeros((whole, LANES), numpy.int32)
        rows = rows_of(units)
        for run in range(RUNS):
            count = len(units) - run
            begins = range(0, min(count, whole * _STEP), _STEP)
            table = self._words.take(rows[:count]).view(numpy.int8).reshape(-1, LANES)
            rows = rows[count:]
            sums[: len(begins)] += numpy.add.reduceat(table[: whole * _STEP], begins, axis=0, dtype=numpy.int32)
        return sums


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-max(min(logit, 40.0), -40.0)))


def write_weights(folder: Path, head: Head, table: numpy.typing.NDArray[numpy.int8]) -> str:
    """Write the weights file; return its SHA-256. The same head and table give the same bytes."""
    opening = MAGIC + msgspec.json.encode(head)
    if len(opening) >= HEAD_BYTES or table.shape != (ROWS, LANES):
        raise ValueError(f"the head takes {len(opening)} of {HEAD_BYTES} bytes, the table is {table.shape}")
    content = opening.ljust(HEAD_BYTES - 1) + b"\n" + table.tobytes()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _read(folder: Path) -> Classifier:
    path = folder / WEIGHTS
    try:
        with path.open("rb") as file:
            opening = file.read(HEAD_BYTES)
            file.seek(0)
            version = hashlib.file_digest(file, "sha256").hexdigest()
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
        if version != manifest["weights_sha256"]:
            raise _damaged(path, "内容与清单中的指纹不符", "its content is not the one whose fingerprint the manifest has")
        if not opening.startswith(MAGIC):
            raise _damaged(path, "格式无法识别", "its format is not known")
        head = msgspec.json.decode(opening[len(MAGIC) :], type=Head)
        fits = head.row_bits == ROW_BITS and head.runs == RUNS and 0 < len(head.columns) <= LANES
        if not fits or not len(head.columns) == len(head.scale) == len(head.bias) or min(head.scale) <= 0 or len(head.cuts) != 2:
            raise _damaged(path, "与本版本程序不匹配", "it was made for another version of the program")
        if manifest["fold_sha256"] != fold_fingerprint():
            raise _damaged(
                path,
                "训练所用的折叠规则与现在的不同，分数不再可信",
                "it was trained on another fold than that of this program, and its scores would mislead",
            )
        return Classifier(head, numpy.memmap(path, numpy.int8, "r", HEAD_BYTES, (ROWS, LANES)), version)
    except (OSError, ValueError, LookupError, TypeError, msgspec.MsgspecError) as problem:
        raise _damaged(path, f"无法读取（{type(problem).__name__}）", f"it cannot be read ({type(problem).__name__})") from problem


def _damaged(path: Path, reason_zh: str, reason_en: str) -> GuijuError:
    return GuijuError(CLASSIFIER_DAMAGED, name=path.name, reason_zh=reason_zh, reason=reason_en)
