"""Make the tables of this room from their sources: `python -m guiju.screening.spellings.make [--tables DIR]`; no part of the service.

`han.table` comes from OpenCC (Apache-2.0) and `syllables.table` from pypinyin (MIT). `shapes.table` and `parts.table` are chosen from two tables in DIR: similar-shape.txt
(contr4l/SimilarCharacter, MIT) and chaizi-jt.txt (kfcd/chaizi, CC BY 3.0). Only characters of GB 2312 are taken, as the fold writes them.
"""

import argparse
import contextlib
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Final

from guiju.screening.spellings.fold import fold
from guiju.screening.spellings.lookalikes import SIDES

FOLDER: Final = Path(__file__).parent
_READINGS_AT_MOST: Final = 3
_PARTS: Final = (2, 3)
_STROKES: Final = frozenset("一丨丿丶乙乚亅㇆乛㇀乀㇏𠃊𠃌𠂇𠂉龴冂凵勹匚匸厶冖亠宀彑彡丷丆丅丄")
"""No part of a character that people write beside another to be read as one."""


def han() -> str:
    """Return a line for each Han character that has other forms, traditional ones and variants, with all of them.

    Forms that any of OpenCC's tables joins are one: 鉅 and 巨 by one of them, 钜 and 鉅 by another. Japanese forms count where the character is
    none of Chinese (GB 2312): 欠 is not 缺 here.
    """
    import opencc

    characters = [chr(code) for start, end in ((0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x2A6E0)) for code in range(start, end)]

    def pairs(table: str) -> list[tuple[str, str]]:
        converted = opencc.OpenCC(table).convert("\n".join(characters)).split("\n")
        return [(before, after) for before, after in zip(characters, converted, strict=True) if before != after and len(after) == 1]

    once = dict(pairs("t2s"))
    folded = {before: once.get(after, after) for before, after in once.items()}  # a few simplify in two steps
    joined: dict[str, str] = {}

    def one(form: str) -> str:
        form = folded.get(form, form)
        while form in joined:
            form = joined[form]
        return form

    for table in ("s2t", "tw2t", "hk2t", "jp2t"):
        for written, usual in pairs(table):
            if table != "jp2t" or not _is_usual(written):
                first, second = sorted((one(written), one(usual)), key=lambda form: (not _is_usual(form), form))
                if first != second:
                    joined[second] = first
    joined |= {side: one(whole) for side, whole in SIDES.items()}
    forms: dict[str, list[str]] = defaultdict(list)
    for form in sorted({*folded, *joined}):
        forms[one(form)].append(form)
    return "".join(f"{character} {''.join(forms[character])}\n" for character in sorted(forms))


def _is_usual(character: str) -> bool:
    """Tell whether GB 2312 has it: the characters of ordinary simplified text."""
    with contextlib.suppress(UnicodeEncodeError):
        return bool(character.encode("gb2312"))
    return False


def usual_characters() -> list[str]:
    """Return the Han characters of GB 2312 that fold to themselves."""
    rows = (bytes((high, low)) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF))
    decoded = (each.decode("gb2312", "ignore") for each in rows)
    return sorted(character for character in decoded if character and fold(character) == character)


def syllables() -> str:
    """Return a line for each syllable with its characters, then a line for each character that is read in other ways too."""
    from pypinyin.constants import PINYIN_DICT

    by_syllable: dict[str, list[str]] = defaultdict(list)
    further: list[str] = []
    for code in range(0x4E00, 0xA000):
        character = chr(code)
        if fold(character) != character or code not in PINYIN_DICT:
            continue
        readings = list(dict.fromkeys(_toneless(each) for each in PINYIN_DICT[code].split(",")))[:_READINGS_AT_MOST]
        by_syllable[readings[0]].append(character)
        if len(readings) > 1:
            further.append(f"{character} {' '.join(readings[1:])}")
    return "".join(f"{syllable} {''.join(by_syllable[syllable])}\n" for syllable in sorted(by_syllable)) + "\n".join(["", *further, ""])


def _toneless(syllable: str) -> str:
    plain = unicodedata.normalize("NFD", syllable).replace("u\u0308", "v")
    return "".join(character for character in plain if character.isascii() and character.isalpha())


def shapes(raw: str) -> str:
    """Return a line for each set of characters that look alike: those that the source joins in both ways."""
    usual = set(usual_characters())
    alike: dict[str, set[str]] = defaultdict(set)
    for line in raw.splitlines():
        character, _, others = line.strip("\ufeff").partition(" ")
        alike[fold(character)] |= {fold(other) for other in others.strip()} & usual
    sets, seen = [], set()
    for character in sorted(usual):
        together, open_ = set(), [character]
        while open_:
            each = open_.pop()
            if each not in together:
                together.add(each)
                open_ += [other for other in alike[each] if each in alike[other]]
        if len(together) > 1 and character not in seen:
            sets.append("".join(sorted(together)))
            seen |= together
    return "\n".join(sets) + "\n"


def parts(raw: str) -> str:
    """Return a line for each character that two or three characters beside each other are read as: `婊 女表`."""
    usual = set(usual_characters())
    chosen: dict[str, dict[str, None]] = defaultdict(dict)
    for line in raw.splitlines():
        character, *ways = line.split("\t")
        if character not in usual:
            continue
        for way in ways:
            pieces = way.split()
            written = fold("".join(pieces))
            if len(pieces) in _PARTS and len(written) == len(pieces) and not _STROKES & set(written) and character not in written:
                chosen[character][written] = None
    return "".join(f"{character} {' '.join(list(ways)[:2])}\n" for character, ways in sorted(chosen.items()))


def main() -> int:
    """Write the tables whose sources are there."""
    parser = argparse.ArgumentParser(description="Make the tables of spellings")
    parser.add_argument("--tables", type=Path, help="folder of similar-shape.txt and chaizi-jt.txt")
    folder: Path | None = parser.parse_args().tables
    FOLDER.joinpath("han.table").write_text(han(), "utf-8")
    FOLDER.joinpath("syllables.table").write_text(syllables(), "utf-8")
    if folder is not None:
        FOLDER.joinpath("shapes.table").write_text(shapes(folder.joinpath("similar-shape.txt").read_text("utf-8")), "utf-8")
        FOLDER.joinpath("parts.table").write_text(parts(folder.joinpath("chaizi-jt.txt").read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
