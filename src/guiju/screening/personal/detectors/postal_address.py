"""Home addresses: a known division, a road or a village, and a number that leads to one door.

An address is one person's when it names the room, or when words before it say that somebody lives there or gets post there. That of a museum
is neither, and stays. Hidden is what follows the road: 北京市朝阳区建国路****** .
"""

import re
from functools import lru_cache
from typing import Any, Final

from stdnum import numdb

from guiju.screening.personal.detectors.detector import IN_FORCE, PERSONAL, Detector

_LEADS_TO: Final = frozenset("路街道巷同里村庄莊镇鎮园園苑区區寓厦廈场場社墅")
"""What a road, a village or a housing estate ends in: 路, 大街, 胡同, 小区, 公寓, …"""
_DETAIL: Final = (
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz一二三四五六七八九十-#号號弄栋棟幢座院楼樓单單元层層室户戶附之房组組"
)
_LONGEST: Final = 30
_NUMBER: Final = r"\d{1,5}(?:-\d{1,4})?(?:[号號弄院栋棟幢座]|#)"
_DOOR: Final = re.compile(_NUMBER, re.ASCII)
_ROOM: Final = re.compile(
    rf"{_NUMBER}.*?(?:\d(?:室|户|戶|房)|单元|單元|[层層]\d|[号號楼樓栋棟幢座#]\D{{0,2}}\d+-\d+|[栋棟幢座#楼樓]\d{{3,4}}\b)", re.ASCII
)
_BEFORE: Final = re.compile(r"[\u4e00-\u9fff0-9A-Za-z·]{2,40}\Z")
_HOME: Final = re.compile("住址|家住|住在|我住|居住|收货|收件|寄[到往至]|送[到往至]|户籍|通讯地址|联系地址|家庭地址|快递")
_HOME_WITHIN: Final = 12
_ENDS: Final = frozenset("省市区區县縣旗州盟")
_NAME_CHARACTERS: Final = range(3, 9)


@lru_cache(maxsize=1)
def _divisions() -> frozenset[str]:
    """Return the names of provinces, cities and counties, those of the past too."""
    names: set[str] = set()

    def collect(children: list[Any]) -> None:
        for *_, properties, below in children:
            for written in properties.values():
                names.update(re.sub(r"\[.*?\]", "", part) for part in written.split(","))
            collect(below)

    collect(numdb.get("cn/loc").prefixes)
    return frozenset(name for name in names if len(name) in _NAME_CHARACTERS and name != "市辖区")


def _division_start(before: str) -> int:
    """Return where the first known division begins; -1 when there is none."""
    names = _divisions()
    for place, character in enumerate(before):
        if character in _ENDS:
            for length in _NAME_CHARACTERS:
                if length <= place + 1 and before[place + 1 - length : place + 1].replace("區", "区").replace("縣", "县") in names:
                    return place + 1 - length
    return -1


def _place(text: str, start: int) -> str | None:
    """Return what stands before a number, where it is a road or a village in a known division."""
    if not start or text[start - 1] not in _LEADS_TO:
        return None
    before = _BEFORE.search(text, max(0, start - 40), start)
    if before is None:
        return None
    begins = _division_start(before[0])
    return None if begins < 0 else text[max(0, before.start() + begins - _HOME_WITHIN) : before.start() + begins]


def _is_home(match: re.Match[str]) -> bool:
    detail = match["hidden"]
    if not _DOOR.match(detail):
        return False
    room = _ROOM.match(detail) is not None
    lead = _place(match.string, match.start("hidden"))
    return lead is not None and (room or _HOME.search(lead) is not None)


def _begun(text: str) -> int:
    start = len(text.rstrip(_DETAIL))
    detail = text[start : start + _LONGEST + 1]
    if detail and len(detail) <= _LONGEST and "0" <= detail[0] <= "9" and _place(text, start) is not None:
        return start
    return len(text)


POSTAL_ADDRESS: Final = Detector(
    code="PI-POSTAL-ADDRESS",
    zh="住址",
    en="home address",
    risk=PERSONAL,
    source="PIPL Art. 4; Civil Code Art. 1034",
    effective_from=IN_FORCE,
    hold_chars=_LONGEST,
    hints=tuple(f"{leads}0" for leads in sorted(_LEADS_TO)),
    patterns=(
        re.compile(
            rf"(?<=[{''.join(sorted(_LEADS_TO))}])(?P<hidden>[0-9][{re.escape(_DETAIL)}]{{1,{_LONGEST - 1}}}+)(?![{re.escape(_DETAIL)}])"
        ),
    ),
    tail=re.compile(f"[{re.escape(_DETAIL)}]"),
    begun=_begun,
    judge=_is_home,
)
