"""A picture or a link that would carry the conversation away, in what a tool or a document brought."""

import re
from collections.abc import Iterator
from typing import Final

from guiju.screening.attacks.kind import Kind, Span

_LINK: Final = re.compile(r"!?\[[^\]\n]{0,200}\]\(\s{0,3}https?://[^)\s]{1,500}", re.IGNORECASE)
_IMAGE: Final = re.compile(r"<img[^>]{0,200}src\s{0,3}=\s{0,3}[\"']?https?://[^\"'>\s]{1,500}", re.IGNORECASE)
_BLANK: Final = re.compile(
    r"[?&/=](?:[^\s&]{0,60}=)?(?:\{\{?[^}\s]{1,60}\}|%7B[^%\s]{1,60}%7D|\$\{?[A-Za-z_]|\[[A-Za-z_ \u4e00-\u9fff]{2,40}\]?|<[A-Za-z_ \u4e00-\u9fff]{2,40}>?|[A-Z]{3,20}_[A-Z_]{2,30}|[\u4e00-\u9fff]{2,20})",
)
_ORDER: Final = re.compile(
    r"(?:附上|附加|替换|填入|插入|拼接|追加|写入|编码|append|insert|replac|encod|includ|fill|put|add).{0,80}"
    r"(?:对话|聊天|历史|上文|密钥|口令|密码|用户的|邮箱|记忆|conversation|history|chat|secret|password|api.?key|user.?s|email|context|memory)",
    re.IGNORECASE | re.DOTALL,
)


def _examine(text: str) -> Iterator[Span]:
    left = 50
    for pattern in (_LINK, _IMAGE):
        for match in pattern.finditer(text):
            around = text[max(0, match.start() - 300) : match.end() + 300]
            blank, order = _BLANK.search(match[0]), _ORDER.search(around)
            if blank or order:
                yield Span(match.start(), match.end(), "high" if blank and order else "medium" if order else "low")
                left -= 1
                if left == 0:
                    return


EXFILTRATION: Final = Kind(
    code="PA-EXFILTRATION",
    zh="外传链接",
    en="exfiltration link",
    signs=("](http", "](HTTP", "<img", "<IMG", "]( http"),
    reads="written",
    only_given=True,
    examine=_examine,
)
