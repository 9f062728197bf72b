"""Made-up texts: a library of terms that mean nothing, a prompt, an answer. The same on every machine.

Terms use characters that no text here uses, so a clean text never hits by chance and every leaked character is seen.
"""

import random
from functools import lru_cache
from typing import Final

from guiju.gateway.bundle import LibraryEntry

TERM_CHARACTERS: Final = "璆琳琅玕璠玙瑾瑜璋琮璜珩璩瑷珏瑗琬琰璎珞玦瑛琇瑀玠珽瑭瓒琤瑕"
"""Thirty names of jades."""
_EVERYDAY: Final = (
    "今天我们一起去公园散步路上遇到几位老朋友大家坐在树下喝茶聊起各自的工作和孩子后来又说到做饭旅行读书还有最近看过的电影"
    "春夏秋冬早晚山水花草鸟鱼米面红绿长短高低多少快慢新旧远近左右前后里外东西南北学写算问答想听讲买卖开关进出来回"
)
TERMS: Final = 10_000
TERM_LENGTH: Final = 6


def text(characters: int, seed: int) -> str:
    """Return everyday characters with a comma after each 12 and a full stop after each 36."""
    chosen = random.Random(seed)
    return "".join("。" if place % 36 == 0 else "，" if place % 12 == 0 else chosen.choice(_EVERYDAY) for place in range(1, characters + 1))


@lru_cache(maxsize=1)
def terms() -> tuple[str, ...]:
    """Return the 10,000 terms, each of six characters; none is part of another."""
    chosen = random.Random(10_000)
    found: dict[str, None] = {}
    while len(found) < TERMS:
        found["".join(chosen.choices(TERM_CHARACTERS, k=TERM_LENGTH))] = None
    return tuple(found)


def library() -> tuple[LibraryEntry, ...]:
    """Return the terms as a keyword library."""
    return tuple(LibraryEntry(f"bench-{number}", term, "A.1.a") for number, term in enumerate(terms()))


PROMPT: Final = text(200, 1)
ANSWER: Final = text(400, 2)
PIECE_CHARACTERS: Final = 4
