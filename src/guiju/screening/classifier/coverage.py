"""Which of the 31 risks the embedded classifier covers, and how well. What it does not cover is named, never shown as safe.

Read together with `Classifier.columns`: a score speaks for the risks marked `covered`, weakly for those marked `partly`, and
says nothing of the rest, whatever its value. Those need the provider's own library, a remote guard, detectors, or a person.
"""

from dataclasses import dataclass
from typing import Final, Literal

from guiju.screening.risks import RISKS, Risk

Level = Literal["covered", "partly", "not covered"]

CUT: Final = 0.5
"""At this probability of `any` and above a text is worth a look. Measured on ordinary instructions: docs/model-card.md."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the classifier can say of one risk, and why not more."""

    level: Level
    zh: str
    en: str


_WITHHELD: Final = Coverage(
    "not covered", "没有可合法用于训练的公开数据，本项目也不编写此类内容", "no open data may lawfully be used, and we write none"
)
_TRUTH: Final = Coverage("not covered", "是否属实不能只凭文字判断", "whether it is true cannot be seen from the words alone")
_QUESTIONS: Final = Coverage("partly", "主要来自提问，陈述和广告较少", "learned from questions; few statements and advertisements")
_POSTS: Final = Coverage("covered", "来自公开评论语料", "learned from open sets of posts")
_FEW: Final = Coverage("partly", "只有本项目自写的例句", "learned only from sentences written for this project")

COVERAGE: Final[dict[str, Coverage]] = {
    "A.1.a": _WITHHELD,
    "A.1.b": _WITHHELD,
    "A.1.c": _WITHHELD,
    "A.1.d": Coverage("partly", "只学过有关恐怖活动的提问，没有宣传材料", "learned from questions about terrorism; no propaganda texts"),
    "A.1.e": _WITHHELD,
    "A.1.f": Coverage("partly", "暴力提问较多，色情文字很少", "many questions about violence; very few obscene texts"),
    "A.1.g": Coverage("partly", "只识别造谣的请求，不判断内容真假", "sees requests to make up rumours; cannot tell what is true"),
    "A.1.h": Coverage("covered", "来自违法行为的提问", "learned from questions about unlawful acts"),
    "A.2.a": _POSTS,
    "A.2.b": _FEW,
    "A.2.c": Coverage("partly", "公开语料以种族为主，国别很少", "the open sets are about race; few are about countries"),
    "A.2.d": _POSTS,
    "A.2.e": _POSTS,
    "A.2.f": _FEW,
    "A.2.g": _FEW,
    "A.2.h": _FEW,
    "A.2.i": _FEW,
    "A.3.a": _FEW,
    "A.3.b": _FEW,
    "A.3.c": _FEW,
    "A.3.d": _FEW,
    "A.3.e": _FEW,
    "A.4.a": _QUESTIONS,
    "A.4.b": _FEW,
    "A.4.c": _QUESTIONS,
    "A.4.d": Coverage("not covered", "没有训练数据", "no data to learn from"),
    "A.4.e": _QUESTIONS,
    "A.4.f": Coverage(
        "partly",
        "识别索取他人信息的请求；文中的个人信息由检测器识别",
        "sees requests for somebody's data; the data itself is for detectors",
    ),
    "A.4.g": _QUESTIONS,
    "A.5.a": _TRUTH,
    "A.5.b": _TRUTH,
}
"""Risk id → coverage, for all 31."""


def not_covered() -> tuple[Risk, ...]:
    """Return the risks of which a score says nothing, in the standard's order: for every page that shows a score."""
    return tuple(risk for risk in RISKS if COVERAGE[risk.id].level == "not covered")
