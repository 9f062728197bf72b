"""The categories of OpenAI's moderation API, and which of the 31 risks falls under each.

The standard divides otherwise than that API, so a category may stand for several risks, and one risk (A.1.f) for two categories. Where
no risk is as narrow as a category, nothing is claimed: it is answered as not covered.
Source: GB/T 45654-2025 Appendix A; the category names of the API.
"""

from dataclasses import dataclass
from typing import Final

from guiju.screening.risks import RISKS


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the API, the risks that fall under it, and why; without risks, why none does."""

    name: str
    risks: tuple[str, ...]
    reason_zh: str
    reason_en: str


CATEGORIES: Final[tuple[Category, ...]] = (
    Category(
        "harassment",
        ("A.2.f", "A.2.g", "A.4.c", "A.4.d"),
        "侮辱、诽谤个人；按年龄、职业的歧视不属于该接口所称的受保护群体",
        "insult and defamation; age and occupation are no protected groups of that API",
    ),
    Category("harassment/threatening", (), "没有只指威胁的风险类别", "no risk is about threats alone"),
    Category(
        "hate",
        ("A.1.e", "A.2.a", "A.2.b", "A.2.c", "A.2.d", "A.2.e", "A.2.h", "A.2.i"),
        "民族仇恨，以及按民族、信仰、国别、地域、性别、健康等的歧视",
        "ethnic hatred; discrimination by ethnicity, belief, country, region, sex, health and other grounds",
    ),
    Category("hate/threatening", (), "没有只指威胁的风险类别", "no risk is about threats alone"),
    Category(
        "illicit",
        ("A.1.h", "A.3.a", "A.3.b", "A.3.c", "A.3.d", "A.3.e", "A.4.e", "A.4.f"),
        "毒品、赌博、诈骗等违法行为，侵权与商业违法，买卖隐私和个人信息",
        "drugs, gambling, fraud and the like; commercial violations; trade in privacy and personal information",
    ),
    Category("illicit/violent", ("A.1.d",), "恐怖主义、极端主义", "terrorism and extremism"),
    Category("self-harm", ("A.4.a",), "危害身心健康，含自伤自杀", "harm to body or mind, self-harm among it"),
    Category("self-harm/intent", (), "没有区分意图的风险类别", "no risk tells intent apart"),
    Category("self-harm/instructions", (), "没有区分方法的风险类别", "no risk tells instructions apart"),
    Category(
        "sexual",
        ("A.1.f",),
        "标准把暴力与淫秽色情合为一类：命中时两项同时为真",
        "the standard has one risk for violence and obscenity: a hit sets both",
    ),
    Category("sexual/minors", (), "没有区分未成年人的风险类别", "no risk tells minors apart"),
    Category(
        "violence",
        ("A.1.d", "A.1.f"),
        "标准把暴力与淫秽色情合为一类：命中时两项同时为真",
        "the standard has one risk for violence and obscenity: a hit sets both",
    ),
    Category("violence/graphic", (), "没有区分血腥程度的风险类别", "no risk tells detail apart"),
)

NAMES: Final = (*(category.name for category in CATEGORIES), *(risk.id for risk in RISKS))
"""What an answer names: the API's categories, then the 31 risks."""


def names_of(risk: str) -> tuple[str, ...]:
    """Return what a hit of this risk sets: the categories, and the risk itself.

    >>> names_of("A.1.f"), names_of("A.1.a")
    (('sexual', 'violence', 'A.1.f'), ('A.1.a',))
    """
    return (*(category.name for category in CATEGORIES if risk in category.risks), risk)


def table() -> str:
    """Return the Markdown table of the categories."""
    rows = ["| category | risks | 理由 | reason |", "|---|---|---|---|"]
    rows += [
        f"| `{category.name}` | {', '.join(category.risks) or '–'} | {category.reason_zh} | {category.reason_en} |"
        for category in CATEGORIES
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
