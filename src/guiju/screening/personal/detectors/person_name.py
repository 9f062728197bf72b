"""Names of persons, where the words before say that a name follows; the first character stays readable."""

import re
from typing import Final

from guiju.screening.personal.detectors.detector import IN_FORCE, PERSONAL, Detector, ending_in

_FAMILY: Final = (
    "王李张陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭"
    "廖邹熊金陆郝孔崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚庞樊兰殷施陶翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂焦向柳邢"
    "骆岳齐梅莫庄辛管祝左涂谷祁耿牟卜詹关苗凌费纪靳盛童甄项裴席卫屈鲍霍翁隋植甘景薄单柏宁闵解强柴丛鞠"
    "張陳楊趙黃吳孫馬羅鄭謝韓馮許蘇盧蔣賈葉閻鐘譚鄒陸顧龍錢湯賴龔龐蘭顏嚴盧魯葛聶駱齊莊塗關費紀項衛"
)
_DOUBLE: Final = (
    "欧阳",
    "司马",
    "上官",
    "诸葛",
    "司徒",
    "东方",
    "皇甫",
    "尉迟",
    "公孙",
    "令狐",
    "慕容",
    "宇文",
    "长孙",
    "端木",
    "歐陽",
    "諸葛",
)
_HAN: Final = "[\u4e00-\u9fff]"
_FORMS: Final = "姓名|名字|联系人|聯繫人|收件人|收货人|寄件人|户主|持卡人|开户人|申请人|投保人|被保险人|患者|法定代表人"
_LEAD: Final = rf"(?:(?:{_FORMS})[ \t]{{0,3}}[:：][ \t]{{0,3}}|姓名[是为叫]|名字[是叫]|[我名]叫)"
_END: Final = rf"(?=(?!{_HAN})|[今来是在住的])"

PERSON_NAME: Final = Detector(
    code="PI-PERSON-NAME",
    zh="姓名",
    en="name of a person",
    risk=PERSONAL,
    source="PIPL Art. 4; Civil Code Art. 1034",
    effective_from=IN_FORCE,
    hold_chars=3,
    hints=("我叫", "名叫", *_FORMS.split("|")),
    patterns=(re.compile(rf"{_LEAD}(?P<value>(?:{'|'.join(_DOUBLE)}|[{_FAMILY}]){_HAN}{{1,2}}?){_END}", re.ASCII),),
    tail=re.compile(_HAN),
    begun=ending_in(rf"{_LEAD}[{_FAMILY}{''.join(double[0] for double in _DOUBLE)}](?P<hidden>{_HAN}{{0,3}})", 18),
    keep=(1, 0),
)
