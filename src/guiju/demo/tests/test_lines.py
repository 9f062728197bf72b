"""Lines break where a reader expects it, and a text that comes in pieces is laid out as the whole would be.

Guarded lines, each seen red when changed: `_CLOSES` and `_OPENS` in `_UNIT`, the `[:-1]` in `Coming.take`, `spaces` in `_laid_out`.
"""

import random

import pytest
from rich.cells import cell_len

from guiju.core.errors import GuijuError
from guiju.core.languages import LANGUAGE_UNKNOWN, language_of
from guiju.demo.lines import Coming, wrap
from guiju.demo.scripts import SCRIPTS
from guiju.demo.texts import TEXTS

NUMBER = "01M8MAQSHD09B4FK6MAW0H51M6"
ALL = [
    *(text for texts in TEXTS.values() for text in texts.values()),
    *(text for script in SCRIPTS for text in (script.zh, script.en)),
    f"本次回答已停止：内容属于服务协议所列的禁止情形。（编号 {NUMBER}）\n\n（本内容由人工智能生成）",
    f"This answer was stopped. (number {NUMBER})",
    "",
    "\n",
    "  two  spaces  ",
    "长" * 50 + "。" * 3,
    "x" * 300,
    "——" * 40,
]


@pytest.mark.parametrize("width", [30, 60, 74, 76, 80])
@pytest.mark.parametrize("text", ALL)
def test_lines_fit_and_break_where_they_may(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split()), "nothing is lost"
    for line in lines:
        assert cell_len(line) <= width
        assert line == line.rstrip(" ")
        if "。。" not in text and "————" not in text:
            assert not line.startswith(tuple("。，、；：！？）】」』”…"))
            assert not line.endswith(tuple("（【「『“"))
    if NUMBER in text:
        assert any(NUMBER in line for line in lines), "an id stays whole"


def test_marks_that_open_go_with_what_they_open_and_spaces_do_not_begin_a_line() -> None:
    text = "甲乙丙（编号一）丁戊“己庚”。"
    assert wrap(text, 8) == ["甲乙丙", "（编号", "一）丁戊", "“己庚”。"]  # the first line has room for the mark alone
    assert wrap("  ab  cd", 5) == ["ab", "cd"]


def test_chinese_behind_a_word_fills_the_line() -> None:
    text = TEXTS["zh"]["masked.before"]
    first, *_ = wrap(text, 80)
    assert "guiju 分不出" in first


@pytest.mark.parametrize("text", ALL)
def test_what_comes_in_pieces_is_laid_out_as_the_whole(text: str) -> None:
    draw = random.Random(7)
    for width in (20, 76):
        coming, shown, rest = Coming(width), "", text
        while rest:
            size = draw.randint(1, 4)
            shown += coming.take(rest[:size])
            rest = rest[size:]
        assert shown + coming.end() == "\n".join(wrap(text, width))


@pytest.mark.parametrize(("asked", "spoken"), [("zh", "zh"), ("zh-Hans", "zh"), ("EN", "en"), ("en_US.UTF-8", "en")])
def test_a_language_there_is_is_spoken(asked: str, spoken: str) -> None:
    assert language_of(asked) == spoken


@pytest.mark.parametrize("asked", ["fr", "english", "z", "-"])
def test_a_language_there_is_not_is_refused_with_those_there_are(asked: str) -> None:
    with pytest.raises(GuijuError) as told:
        language_of(asked)
    assert told.value.code is LANGUAGE_UNKNOWN
    assert asked in str(told.value)
    assert "zh (Chinese) or en (English)" in str(told.value)


def test_the_english_words_of_the_tour_are_english() -> None:
    assert not [name for name, text in TEXTS["en"].items() if any("\u4e00" <= sign <= "\u9fff" for sign in text)]
    assert not [script.name for script in SCRIPTS if any("\u4e00" <= sign <= "\u9fff" for sign in script.en)]
