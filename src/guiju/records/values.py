"""Retention classes: how long the law wants records kept, and which kinds of record belong to which class. Data.

`minimum_days` is the law's where `mark` is S or S2 (read in the text, or second-hand), our own reading where it is D; the
policy's maximum is a setting. The database refuses to remove a record before its minimum, whoever asks.
Source: Cybersecurity Law Art. 23(3); Labelling Measures Art. 9; PIPL Arts. 19, 47, 56; Network Data Regulations Art. 12.
"""

from dataclasses import dataclass
from typing import Final, Literal

Mark = Literal["S", "S2", "D"]
SIX_MONTHS_DAYS: Final = 184
"""The longest six months have 184 days."""
THREE_YEARS_DAYS: Final = 1096


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """One class; `minimum_days` 0 says that its records are never removed."""

    name: str
    zh: str
    en: str
    minimum_days: int
    basis: str
    mark: Mark
    kinds: tuple[str, ...]
    """Kinds, or beginnings of kinds that end with a dot; the longest that fits decides."""


CLASSES: Final = (
    RetentionClass(
        "log", "网络日志", "Network logs", SIX_MONTHS_DAYS, "CSL 23(3); ALG 28(2)", "S",
        ("gateway.", "web.", "records.ledger.checked", "records.recorder."),
    ),
    RetentionClass(
        "case", "处置与情形", "Measures and cases", SIX_MONTHS_DAYS, "GAI 14(2); CSL 23(3), 49", "S",
        ("gateway.answer.stopped", "gateway.input.refused", "records.entry.damaged"),
    ),
    RetentionClass(
        "label", "未加标识的提供", "Unlabelled deliveries", SIX_MONTHS_DAYS, "LAB 9", "S",
        ("labelling.",),
    ),
    RetentionClass(
        "rule", "规则、密钥与运行包", "Rules, keys and bundles", THREE_YEARS_DAYS, "GAI 4, 14, 19", "D",
        ("services.", "screening.", "labelling.key.", "obligations."),
    ),
    RetentionClass(
        "rights", "个人权利与内容查阅", "Rights of persons, and who saw content", THREE_YEARS_DAYS, "GAI 11(2); PIPL 50, 56", "D",
        ("records.request.", "records.content.", "records.subject.", "records.hold."),
    ),
    RetentionClass(
        "transfer", "个人信息影响评估与提供", "PI impact assessments and transfers", THREE_YEARS_DAYS, "PIPL 56; NDSR 12", "S",
        ("personal_information.",),
    ),
    RetentionClass(
        "ledger", "账本自身的凭据", "What the ledger rests on", 0, "CSL 23(3)", "D",
        ("records.", "records.subject.erased"),
    ),
)  # fmt: skip
BY_NAME: Final = {each.name: each for each in CLASSES}
_BY_KIND: Final = {kind: each for each in CLASSES for kind in each.kinds}


def class_of(kind: str) -> RetentionClass | None:
    """Return the class of a kind; None for a kind that nobody placed, whose records are kept."""
    if kind in _BY_KIND:
        return _BY_KIND[kind]
    parts = kind.split(".")
    for length in range(len(parts) - 1, 0, -1):
        found = _BY_KIND.get(".".join(parts[:length]) + ".")
        if found is not None:
            return found
    return None
