"""What a row of the library may ask for in its column `spellings`, and what its term must be for it."""

from collections.abc import Iterator
from typing import Final

from guiju.screening.spellings.expand import EXPANSIONS
from guiju.screening.spellings.fold import BREAK, fold, fold_exactly
from guiju.screening.spellings.readings import READINGS
from guiju.screening.spellings.tables import parts, syllables

ALIAS: Final = "~"
"""What an alias begins with: `~wx` is initials, a nickname or any other spelling that is looked for as it is written."""
ALIASES_AT_MOST: Final = 16
ALIAS_CHARACTERS: Final = 64
SPELLINGS: Final = (*READINGS, *EXPANSIONS)
"""The names in the column `spellings`."""

_LEAST: Final = {"homophone": 3, "shape": 3, "reversed": 3, "pinyin": 2, "split": 2, "leet": 2}
"""How many folded characters a term has at least: in fewer, the spelling hits everyday words."""


def names_of(column: str) -> tuple[str, ...]:
    """Return the names and aliases in the column, each once."""
    return tuple(dict.fromkeys(name.strip() for name in column.split("|") if name.strip()))


def spelling_problems(term: str, column: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the column of a term, in Chinese and English."""
    folded, names = fold(term), names_of(column)
    known = ", ".join(SPELLINGS)
    for name in names:
        if name.startswith(ALIAS):
            yield from _alias_problems(name.removeprefix(ALIAS).strip(), folded)
        elif name not in SPELLINGS:
            yield f"“{name}”不是写法名（{known}，或以 ~ 开头的别名）", f"'{name}' is no spelling ({known}, or an alias after ~)"
        elif len(folded) < _LEAST[name]:
            yield (
                f"{name} 要求词条至少 {_LEAST[name]} 个字，更短会误伤日常用语",
                f"{name} needs a term of at least {_LEAST[name]} characters; shorter ones hit everyday words",
            )
        elif name == "homophone" and not all(character in syllables() for character in folded):
            yield "homophone 要求词条全是有读音的汉字", "homophone needs a term of Han characters with a reading throughout"
        elif name in ("pinyin", "split") and not any(character in (syllables() if name == "pinyin" else parts()) for character in folded):
            yield f"{name} 要求词条含有可替换的汉字", f"{name} needs a term with Han characters that it can replace"
    if sum(name.startswith(ALIAS) for name in names) > ALIASES_AT_MOST:
        yield f"别名最多 {ALIASES_AT_MOST} 个", f"at most {ALIASES_AT_MOST} aliases"


def _alias_problems(alias: str, folded: str) -> Iterator[tuple[str, str]]:
    length = len(fold(alias))
    if not 2 <= length <= ALIAS_CHARACTERS or BREAK in fold_exactly(alias).gaps:
        yield (
            f"别名“{alias}”折叠后应为 2–{ALIAS_CHARACTERS} 个字，间隔不超过三个符号",
            f"the alias '{alias}' must fold to 2–{ALIAS_CHARACTERS} characters, with no more than three separators in a row",
        )
    elif fold(alias) == folded:
        yield f"别名“{alias}”折叠后就是词条本身", f"the alias '{alias}' folds to the term itself"
