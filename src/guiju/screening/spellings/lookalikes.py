"""Letters of other scripts that look like Latin ones, and radicals that look like characters: part of the fold of every text.

A small table of our own, for what a reader takes for the letter. Words of those scripts fold to Latin letters too, and so do terms in them.
"""

import re
import unicodedata
from typing import Final

_CYRILLIC: Final = ("авсеԁһнікјӏмопрԛѕтухүѵԝ", "abcedhhikjlmonpqstyxyvw")
_GREEK: Final = ("αβεηικμνορτυχωγϲϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "abenikuvoptuxwycjabezhikmnoptyx")
_LATIN: Final = ("ɑɡıȷɩɛʋ", "agijiev")
_ARMENIAN: Final = ("օսհոցզ", "ouhngq")
_CHEROKEE: Final = ("ᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏀᏃᎥ", "abcdehjklmprstvwgzi")
_LISU: Final = ("ꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ", "bpdtgkjczfmnlsrvhwxyaeiou")
_RADICALS: Final = (
    "⺁⺄⺊⺋⺏⺒⺓⺔⺗⺜⺝⺠⺢⺤⺨⺩⺪⺬⺮⺯⺱⺷⺻⺼⺽⻁⻃⻄⻅⻆⻉⻋⻑⻒⻓⻔⻗⻘⻙⻚⻛⻜⻝⻟⻢⻤⻥⻦⻨⻩⻪⻬⻮⻰",
    "厂乙卜卩尢巳么彑心日月民水爪犬王疋示竹糸网羊聿月臼虎西西见角贝车长长长门雨青韦页风飞食食马鬼鱼鸟麦黄黾齐齿龙",
)
SIDES: Final = dict(zip("讠亻氵扌艹忄钅纟饣犭礻衤灬刂", "言人水手草心金糸食犬示衣火刀", strict=True))
"""The forms that a character takes at the side of another: 讠者 is 言者."""
_NAMED: Final = re.compile(r"LATIN (?:LETTER SMALL CAPITAL|(?:SMALL|CAPITAL) LETTER) ([A-Z])(?: WITH .+)?$")
"""Letters with a stroke, a hook or a tail, and small capitals: what normalisation leaves as they are."""


def _table() -> dict[str, str]:
    pairs = (_CYRILLIC, _GREEK, _LATIN, _ARMENIAN, _CHEROKEE, _LISU, _RADICALS)
    table = {strange: usual for written, read in pairs for strange, usual in zip(written, read, strict=True)}
    for code in (*range(0x180, 0x2B0), *range(0x1D00, 0x1D80), *range(0xA720, 0xA800), 0xD8, 0xF8, *range(0x100, 0x180)):
        named = _NAMED.match(unicodedata.name(chr(code), ""))
        if named and not unicodedata.decomposition(chr(code)):
            table.setdefault(chr(code), named[1].lower())
    return table


LOOKALIKES: Final = _table()
"""Character → what it looks like, folded. Greek capitals and small letters look like different letters, so case counts here."""
