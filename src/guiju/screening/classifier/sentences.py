"""Sentences of our own, put together from the parts in `own/*.yaml`: harm as it is asked for, and harmless text that looks like it.

The hard negatives matter most: the same acts in news, law, study, prevention and cries for help; ordinary tasks in the very
words in which harm is asked for. The draw is seeded by file and block, so that the same parts give the same sentences.
"""

import math
import random
import re
from itertools import product
from pathlib import Path
from typing import Any, Final

import yaml

from guiju.screening.classifier.sources import Example, columns_of, is_validation

FOLDER: Final = Path(__file__).parent / "own"
FILES: Final = ("harm", "harmless", "ordinary", "legal", "care")
NAME: Final = "own"
PER_BLOCK: Final = 300
_LIST: Final = re.compile("@([a-z]+)")


def own_examples(per_block: int = PER_BLOCK) -> list[Example]:
    """Return the sentences, each once, in a fixed order: `per_block` draws of each block, times its `times`."""
    found: dict[str, str] = {}
    acts: list[str] = []
    for name in FILES:
        content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
        for place, block in enumerate(content["blocks"]):
            rng = random.Random(f"{name} {place}")  # noqa: S311  # a draw that anybody can repeat
            count = per_block * block.get("times", 1)
            said = list(acts) if "acts" in block else _draw(_choices(block["parts"], content.get("lists", {})), rng, count)
            if name == "harm" and "ask" in block["frames"].split():
                acts += said
            rng.shuffle(said)
            for turn in range(count):
                sentence = _frame(block, content, rng).replace("{}", said[turn % len(said)])
                found.setdefault(sentence, block.get("group", "none"))
    return [Example(text, columns_of(group), NAME, validation=is_validation(text)) for text, group in found.items()]


def _frame(block: dict[str, Any], content: dict[str, Any], rng: random.Random) -> str:
    """Return a way to say it. Plain questions are three times as likely as the other ways: people ask plainly."""
    names = block["frames"].split()
    name = rng.choice(["ask", "ask", *names] if "ask" in names else names)
    ways: list[str] = content["frames"][name].split()
    return rng.choice(ways)


def _choices(parts: str, lists: dict[str, str]) -> list[list[str]]:
    return [[said for word in part.split() for said in _said(word, lists)] for part in parts.split(" | ")]


def _said(word: str, lists: dict[str, str]) -> list[str]:
    """Return what one word of a part stands for: itself, nothing, or each word of a list."""
    if list_ := _LIST.search(word):
        return [word[: list_.start()] + each + word[list_.end() :] for other in lists[list_[1]].split() for each in _said(other, lists)]
    return ["" if word == "_" else word.replace("~", " ")]


def _draw(choices: list[list[str]], rng: random.Random, count: int) -> list[str]:
    if math.prod(map(len, choices)) <= count:
        return ["".join(chosen) for chosen in product(*choices)]
    return list(dict.fromkeys("".join(map(rng.choice, choices)) for _ in range(count)))
