"""`docs/articles.md`: article → duty → package → how it is judged → evidence → what is missing, made from the catalogue and the checks."""

from typing import Final

from guiju.obligations.judging import all_checks
from guiju.obligations.loading import shipped_catalogue
from guiju.obligations.values import Mark, Obligation, Words

PAGE: Final = "articles.md"
_MARKS: Final[dict[Mark, str]] = {
    "read": "",
    "second_hand": " （转述 second-hand）",
    "unconfirmed": " （未证实 unconfirmed）",
    "design": " （自定 ours）",
}
_HEAD: Final = """# 条文对照 · Articles

逐条写明：哪个包负责，怎样判断，证据是什么，还缺什么。“未建”就是未建。由 `src/guiju/obligations/catalogue/` 和各包的 `checks.py` 生成，不是法律意见。

The Measures article by article: which package answers for a duty, how it is judged, what the evidence is, what is missing. *Not built* means not built. Made from the catalogue of obligations and the packages' checks; it is not
legal advice.

{counts}

Around Art. 12: the Measures for Labelling AI-Generated Content (in force 1 September 2025) and GB 45438-2025; see [labels](labels.md).
Where guiju does something other than a norm says, [divergences](divergences.md) tells. How lights are computed: [obligations and the board](obligations.md).
"""


def articles_page() -> str:
    """Return the page, every duty in its newest version."""
    catalogue = shipped_catalogue()
    newest = [versions[-1] for versions in catalogue.obligations.values()]
    parts = [_HEAD.format(counts=_counts(newest))]
    for chapter in catalogue.chapters:
        parts.append(f"\n## {chapter.title.zh} · {chapter.title.en}\n")
        parts.append("| Art. | 义务 Duty | Package | 判断 Judged | 证据 Evidence | 现有 Now | 缺 Missing |\n|---|---|---|---|---|---|---|")
        parts += [_row(each) for each in newest if each.article in chapter.articles]
    return "\n".join(parts) + "\n"


def _counts(newest: list[Obligation]) -> str:
    bound = [each for each in newest if each.binds_provider]
    checked = sum(each.id in all_checks() for each in bound)
    by_person = sum(each.person is not None for each in bound)
    return (
        f"提供者义务 {len(bound)} 项：有检查 {checked}，须由人判断 {by_person}，未建 {len(bound) - checked - by_person}。 / "
        f"Duties of providers: {len(bound)}; judged by a check {checked}, by a person {by_person}, not built {len(bound) - checked - by_person}."
    )


def _row(each: Obligation) -> str:
    cells = [
        str(each.article),
        f"**{each.id}** {each.title.zh}<br>{each.title.en}{_MARKS[each.mark]}",
        f"`{each.package}`" if each.package else "–",
        _judged(each),
        _both(each.evidence),
        _both(each.now),
        _both(each.missing),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _judged(each: Obligation) -> str:
    if not each.binds_provider:
        return "–"
    check = all_checks().get(each.id)
    if check is not None:
        module = check.__module__.removeprefix("guiju.")
        return f"检查 check `{module}.{check.__name__}`"
    return f"人 person: {_both(each.person)}" if each.person else "**未建 not built**"


def _both(words: Words | None) -> str:
    return f"{words.zh}<br>{words.en}" if words else "–"
