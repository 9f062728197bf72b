"""Readings: the fold with some characters taken for others, one for one. A term that asks for one is looked for in it besides.

Each character is read on its own, so a text may be cut anywhere, and every place in a reading is a place in the text.
"""

from functools import lru_cache
from typing import Final

from guiju.screening.spellings.fold import Reading, fold
from guiju.screening.spellings.tables import shapes, syllables

READINGS: Final = ("leet", "homophone", "shape")

_SYMBOLS: Final = dict(zip("@$!|€£¢", "asiieic", strict=True))
_DIGITS: Final = dict(zip("0134578l", "oieastbi", strict=True))
"""Digits read as letters. `1` is read as i and as l, so these two are one."""
_PICTURES: Final = dict(
    zip(
        "🐎🐴🐶🐕🐔🐓🐷🐖🐮🐂🐄🐑🐏🐍🐉🐲🐭🐀🐒🐯🐅🐟🦆🐘🐻🐝➕➖🔫💊🔪💵💰☠💀🔥💧☀🌞🌙🌕🏠🚗🚙🍺🍷🍵🥬🍚🍖🥚🌹🌸👄👀👁👂✋🦶👣❤💔🚬💉🛒🎫🃏🎲📱⚡🌧❄⛰🏔🌲🌾🌱🌿👑👸👩👨👶👴👵🔑🚪📖📕🖊✒✈🚢⛵🍎🍑🍬🎂⚔🗡🏹⏰",
        "马马狗狗鸡鸡猪猪牛牛牛羊羊蛇龙龙鼠鼠猴虎虎鱼鸭象熊蜂加减枪药刀钱钱死死火水日日月月家车车酒酒茶菜饭肉蛋花花口看眼耳手脚脚心心烟针买票牌骰机电雨雪山山树草草草王女女男婴爷奶钥门书书笔笔飞船船果桃糖糕剑剑弓钟",
        strict=True,
    )
)
"""Emoji that stand for a word by what they show; by sound a homophone goes on from there."""
_MARTIAN: Final = dict(
    zip("莪伱沵妳祢牠洧卟鈈芣沒莈莓哋嘚僦瑝惢怹湜噯嗳圊瓻扖亼", "我你你你你它有不不不没没没地的就皇心他是爱爱青吃入人", strict=True)
)
_KANA: Final = dict(zip("ロエニカハタトチシミムメモノヒイ囗ㄅㄙㄚㄕ", "口工二力八夕卜千シ三厶メ毛丿匕亻口勹厶丫尸", strict=True))
_SPOKEN: Final = dict(zip("0123456789", "零一二三四五六七八九", strict=True))


@lru_cache(maxsize=3)
def reading(name: str) -> Reading:
    """Return the reading of this name: `leet`, `homophone` or `shape`."""
    pictures = {picture: fold(word) for picture, word in _PICTURES.items()}
    if name == "leet":
        words = {fold(written): fold(word) for written, word in _MARTIAN.items() if fold(written) != fold(word)}
        return Reading(_SYMBOLS | pictures, _DIGITS | words)
    alike: dict[str, str] = {}
    if name == "homophone":
        first: dict[str, str] = {}
        for character, (syllable, *_) in syllables().items():
            alike[character] = first.setdefault(syllable, character)
        return Reading(pictures, alike | {digit: alike[fold(word)] for digit, word in _SPOKEN.items()})
    for together in shapes():
        alike |= dict.fromkeys(together, together[0])
    kana = {fold(written): alike.get(fold(word), fold(word)) for written, word in _KANA.items() if fold(written) not in alike}
    return Reading({}, alike | {written: word for written, word in kana.items() if written != word and word not in kana})
