"""A word in pieces, with the order to put them together: `a="…"; b="…"; a+b`, 把这些字连起来：…, the first character of each line.

Putting texts together is ordinary work. Only where the result holds what screening forbids does this count.
"""

import re
from collections.abc import Iterator
from typing import Final

from guiju.screening.attacks.kind import Kind, Span

_SET: Final = re.compile(
    r"(?<![\w])([A-Za-z_]\w{0,20}|[甲乙丙丁]|变量\w{1,3})\s{0,4}(?:=|:=|为|是|：|:)\s{0,4}[\"'“‘「『`]([^\"'”’」』`\n]{1,60})[\"'”’」』`]"
)
_SUM: Final = re.compile(r"(?<![\w])(?:[A-Za-z_]\w{0,20}|[甲乙丙丁])(?:\s{0,3}[+＋]\s{0,3}(?:[A-Za-z_]\w{0,20}|[甲乙丙丁])){1,30}")
_QUOTED: Final = re.compile(r"[\"'“‘「『`]([^\"'”’」』`\n]{1,30})[\"'”’」』`]")
_LISTED: Final = re.compile(r"(?:[\w]{1,4}[ \t]{0,2}[、,，+＋/|\-~→\t ][ \t]{0,2}){1,40}[\w]{1,4}")
_LINES: Final = re.compile(r"(?:藏头|首字|第一个字|开头的字|首字母|firstletter|firstcharacter|firstword|acrostic)", re.IGNORECASE)
_BACK: Final = re.compile(r"(?:倒着|反过来|倒过来|倒序|逆序|从右往左|从右到左|从后往前|backward|revers)", re.IGNORECASE)
_ORDER: Final = re.compile(
    "回答|作答|答复|执行|遵循|回应|输出详细|详细(?:说明|描述|解释|步骤)|answer|respond|reply|carry out|execute", re.IGNORECASE
)
_QUESTION_CHARACTERS: Final = 7
"""What is put together and is to be answered is at least so long: shorter texts are words in a lesson of programming."""
_HINTS: Final = (
    *(
        "拼接",
        "拼起来",
        "连起来",
        "连接",
        "合起来",
        "组合",
        "合并",
        "串起来",
        "拼成",
        "组成",
        "连成",
        "相加",
        "藏头",
        "首字",
        "第一个字",
        "倒着",
        "反过来",
        "倒过来",
        "倒序",
        "逆序",
    ),
    *(
        "从右",
        "从后往前",
        "开头的字",
        "concat",
        "combin",
        "joinup",
        "jointhe",
        "puttogether",
        "together",
        "firstletter",
        "firstcharacter",
        "firstword",
        "acrostic",
        "backward",
        "revers",
    ),
)
_TOGETHER: Final = re.compile("|".join(r"\s?".join(hint) if hint.isascii() else hint for hint in _HINTS), re.IGNORECASE)
"""The same words as they are written."""
EXAMINED_CHARACTERS: Final = 100_000
"""So many characters of one text are read from its start, and as many around orders to put something together in the rest. What has more of
those is flagged. Sums are put together up to four times that length.
"""
_AROUND: Final = 400


def _examine(text: str) -> Iterator[Span]:
    yield from _read(text[:EXAMINED_CHARACTERS])
    if len(text) <= EXAMINED_CHARACTERS:
        return
    left, read = EXAMINED_CHARACTERS, EXAMINED_CHARACTERS
    for match in _TOGETHER.finditer(text, EXAMINED_CHARACTERS):
        if match.start() < read:
            continue
        begin, read = match.start() - _AROUND, match.end() + _AROUND
        left -= read - begin
        if left < 0:
            yield Span(match.start(), len(text), "low", alone=True)
            return
        for span in _read(text[begin:read]):
            yield span._replace(start=begin + span.start, end=begin + span.end)
    if "+" in text or "＋" in text:
        yield from _sums(text, EXAMINED_CHARACTERS)


def _sums(text: str, since: int) -> Iterator[Span]:
    """Yield what the sums of a long text give that end behind a place."""
    values: dict[str, str] | None = None
    left = 4 * EXAMINED_CHARACTERS
    for match in _SUM.finditer(text, since - _AROUND):
        if match.end() <= since:
            continue
        if values is None:
            values = {found[1]: found[2] for found in _SET.finditer(text)}
        names = re.findall(r"\w+", match[0])
        if not all(name in values for name in names):
            continue
        joined = "".join(values[name] for name in names)
        left -= len(joined)
        if left < 0:
            yield Span(match.start(), len(text), "low", alone=True)
            return
        yield Span(match.start(), match.end(), "low", joined)


def _read(text: str) -> Iterator[Span]:
    whole = (0, len(text))
    left = 4 * len(text)
    values = {match[1]: match[2] for match in _SET.finditer(text)}
    if values:
        for match in _SUM.finditer(text):
            names = re.findall(r"\w+", match[0])
            if all(name in values for name in names):
                joined = "".join(values[name] for name in names)
                left -= len(joined)
                if left < 0:
                    yield Span(match.start(), len(text), "low", alone=True)
                    break
                question = len(joined) >= _QUESTION_CHARACTERS and _ORDER.search(text) is not None
                yield Span(*whole, "medium" if question else "low", joined, question)
        yield Span(*whole, "low", "".join(values.values()))
    quoted = [match[1] for match in _QUOTED.finditer(text)]
    if len(quoted) > 1:
        yield Span(*whole, "medium", "".join(quoted))
    for match in _LISTED.finditer(text):
        yield Span(match.start(), match.end(), "medium", "".join(re.findall(r"\w+", match[0])))
    if _LINES.search(text.replace(" ", "")):
        lines = re.split(r"[\n。！？!?；;，,]", text)
        firsts = [line.strip(" \t-*0123456789.、)（(")[:1] for line in lines]
        yield Span(*whole, "medium", "".join(firsts))
        yield Span(*whole, "medium", "".join(line.strip(" \t-*0123456789.、)（(")[:1] for line in text.split("\n")))
    if _BACK.search(text):
        yield Span(*whole, "medium", text[::-1])


PAYLOAD_SPLIT: Final = Kind(
    code="PA-PAYLOAD-SPLIT",
    zh="拆分拼接",
    en="payload splitting",
    hints=_HINTS,
    signs=("+", "＋"),
    reads="written",
    only_with_harm=True,
    examine=_examine,
)
