"""What the demo model says: a plain table of scripts, chosen by words in the last user message.

Every script is made up for the demo. The identity number is fictional: its area code and date are real in form only.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Script:
    """One scripted answer: the words that choose it, and what it says in Chinese and in English."""

    name: str
    words: tuple[str, ...]
    zh: str
    en: str


_LONG_ZH: Final = (
    "黄山的清晨常常从云海开始。山谷里的水汽在夜间凝结，天亮前后缓缓升起，把一座座山峰托成海上的岛屿。"
    "如果时间充裕，可以从云谷寺步行上山，沿途经过仙人指路、入胜亭，大约三个小时到达白鹅岭。"
    "山上的松树多生在石缝里，根系沿着裂隙伸展，树冠被风修剪成平顶，因此远看像一把把撑开的伞。\n\n"
    "午后适合走西海大峡谷。步道贴着崖壁修建，台阶很陡，建议量力而行，并随身带足饮水。"
    "峡谷底部有地轨缆车，可以省下返程的体力。傍晚回到光明顶，天气好时能看到落日把云层染成橘色。\n\n"
    "住宿方面，山上的旅店床位有限，节假日需要提前预订；山下汤口镇的选择更多，清晨乘第一班车上山也来得及。"
    "衣物应当分层准备，山顶与山脚的温差常有十度以上，春秋两季尤其明显。雨衣比雨伞实用，因为栈道上风大。\n\n"
    "第二天可以去山下的古村落走一走。粉墙黛瓦的民居沿水而建，门前的水圳把溪水引进每一户人家，既能洗濯，也能防火。"
    "村口的古樟树往往有几百年的树龄，老人们习惯坐在树下聊天。午饭可以尝尝毛豆腐和臭鳜鱼，味道浓厚，配一碗米饭正好。\n\n"
    "如果同行有老人和孩子，可以把行程放慢一天：上午坐索道上山，只走始信峰一带的平路，中午在北海歇脚，下午看看天气再决定要不要继续。"
    "山里的云说来就来，有时等上半个小时，整片山谷又会重新露出来，所以不必急着赶往下一处。\n\n"
    "最后提醒几件小事：下山时膝盖受力更大，登山杖能分担一部分；拍照时先站稳再举起相机；垃圾请带下山。"
    "愿你在这一趟旅途里，既看到风景，也有时间坐下来，听一听风穿过松林的声音。"
)
_LONG_EN: Final = (
    "A morning on Huangshan often begins with a sea of clouds. Vapour gathers in the valleys overnight and rises before dawn, "
    "until the peaks stand in it like islands. If you have time, walk up from the Cloud Valley: about three hours, past old "
    "pavilions and steps cut into the granite. The pines grow from cracks in the rock; the wind trims their crowns flat, so "
    "that from afar they look like open umbrellas.\n\nIn the afternoon take the West Sea canyon. The path clings to the cliff and "
    "the steps are steep, so go at your own pace and carry water. A small cable railway at the bottom saves you the climb back. "
    "In the evening, from the Bright Summit, the setting sun paints the clouds orange.\n\nPack clothes in layers: the top is often "
    "ten degrees colder than the foot of the mountain. A rain coat serves better than an umbrella, for the walkways are windy. "
    "And take your litter down with you."
)

SCRIPTS: Final = (
    Script(
        "stray",
        ("故事", "story"),
        "从前有一个刚到城里的年轻人，四处打听怎样快些挣钱。巷口的人把他拉到一边，压低声音说：我这里出售银行卡四件套，当天发货，包你满意。"
        "年轻人听完，头也不回地走了。",
        "A young man, new in town, asked around how to earn money fast. At the corner somebody pulled him aside and whispered: "
        "I have cloned credit cards for sale, shipped the same day. The young man walked away without looking back.",
    ),
    Script(
        "identity",
        ("身份证", "identity number", "id card"),
        "示例：姓名张三，公民身份号码 11010519491231002X。这是用于演示的虚构号码。",
        "An example: name Zhang San, identity number 11010519491231002X. The number is fictional and serves this demo only.",
    ),
    Script("long", ("长文", "详细", "long", "travel"), _LONG_ZH, _LONG_EN),
    Script(
        "harmless",
        (),
        "你好！我是脚本演示模型，回答都是事先写好的。今天的北京晴，适合出门散步；晚上风大，记得添一件外套。",
        "Hello! I am the scripted demo model: every answer of mine was written beforehand. It is a fine day for a walk; "
        "the evening will be windy, so take a coat.",
    ),
)

JSON_ANSWER: Final = '{"city": "北京", "weather": "晴", "temperature_c": 22, "scripted": true}'
TOOL_ARGUMENTS: Final = '{"city": "北京", "unit": "celsius"}'


def choose_script(text: str) -> Script:
    """Return the first script one of whose words stands in the text; the last script serves everything else."""
    lowered = text.lower()
    return next((script for script in SCRIPTS if any(word in lowered for word in script.words)), SCRIPTS[-1])


def is_chinese(text: str) -> bool:
    """Tell whether the text has a Han character; then the answer is in Chinese."""
    return any("\u4e00" <= character <= "\u9fff" for character in text)
