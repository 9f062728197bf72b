"""Marks with which model servers tell speakers apart, written by somebody who is not one: <|im_start|>system, [INST] <<SYS>>, ### System:."""

import re
from collections.abc import Iterator
from typing import Final

from guiju.screening.attacks.kind import Kind, Span

_ROLE: Final = r"(?:system|user|assistant|developer|tool|human|model)"
_SURE: Final = re.compile(
    rf"<\|(?:im_start|start_header_id|start)\|>\s{{0,4}}{_ROLE}|<\|{_ROLE}\|>|\[INST\]\s{{0,8}}<<SYS>>|<\|im_end\|>\s{{0,4}}<\|im_start\|>"
    rf"|<start_of_turn>\s{{0,4}}{_ROLE}|<\|(?:eot_id|endoftext|end_of_text)\|>",
    re.IGNORECASE,
)
_LIKELY: Final = re.compile(
    r"\[/?INST\]|<</?SYS>>|<\|im_(?:start|end)\|>"
    r"|(?:^|\n)[ \t]{0,4}#{2,4}[ \t]{0,4}(?:system|instruction|assistant|系统|新指令|指令)[ \t]{0,4}(?:prompt|message|提示|消息)?[ \t]{0,4}[:：]"
    r"|(?:^|\n)[ \t]{0,4}[\[【<{(]{1,2}(?:system|系统)(?:[ _]?(?:message|prompt|note|override|提示|消息|指令|通知))?[\]】>})]{1,2}"
    r"|[\"']role[\"']\s{0,4}:\s{0,4}[\"']system[\"']|(?:BEGIN|END|START)[ _](?:SYSTEM|ADMIN)[ _](?:PROMPT|MESSAGE|OVERRIDE)",
    re.IGNORECASE,
)
_UNSURE: Final = re.compile(r"(?:^|\n)[ \t]{0,4}(?:system|系统消息|系统提示|系统)[ \t]{0,4}[:：]", re.IGNORECASE)


def _examine(text: str) -> Iterator[Span]:
    """Yield the marks, the surest first; a text with nothing but marks is told by its first hundred."""
    left = 100
    for pattern, confidence in ((_SURE, "high"), (_LIKELY, "medium"), (_UNSURE, "low")):
        for match in pattern.finditer(text):
            if left == 0:
                return
            left -= 1
            yield Span(match.start(), match.end(), confidence)  # type: ignore[arg-type]  # one of the three
        if left < 100:
            return


FAKE_ROLE: Final = Kind(
    code="PA-FAKE-ROLE",
    zh="伪造角色标记",
    en="fake role markers",
    signs=(
        "<|",
        "[INST",
        "[inst",
        "<<SYS",
        "<<sys",
        "##",
        "<start_of_turn",
        "ystem",
        "YSTEM",
        "系统：",
        "系统:",
        "系统消",
        "系统提",
        "系统]",
        "系统】",
        "_ADMIN",
        " ADMIN",
    ),
    reads="written",
    examine=_examine,
)
