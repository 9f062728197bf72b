"""Why a text is no TOML, in Chinese and English, and on which line: what the standard library's parser says of it, told to people."""

import ast
import re
from typing import Any, Final

from guiju.core.toml_lines import find_lines

_PLACE: Final = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")
_TWICE: Final = re.compile(r"Cannot declare (\(.*\)) twice")
_ZH: Final = (
    (re.compile(r"Invalid value"), "值的写法不对；文本须加引号"),
    (re.compile(r"Invalid statement"), "这一行不是“名称 = 值”，也不是表头"),
    (re.compile(r"Expected '=' after a key in a key/value pair"), "名称之后应为等号"),
    (re.compile(r"Invalid initial character for a key part"), "名称的写法不对"),
    (re.compile(r"Expected newline or end of document after a statement"), "值之后还有多余的内容"),
    (re.compile(r"Expected '\]\]?' at the end of an? \w+ declaration"), "表头缺少右方括号"),
    (re.compile(r"Unterminated string"), "引号没有配对"),
    (re.compile(r"Expected '(?:\"\"\"|\"|'+)'"), "引号没有配对"),
    (re.compile(r"""Expected (?:"'+"|'"+')"""), "引号没有配对"),
    (re.compile(r"Illegal character '\\n'|Found invalid character '\\n'"), "一行之内没有写完"),
    (re.compile(r"Unclosed array"), "数组缺少右方括号，或元素之间缺少逗号"),
    (re.compile(r"Unclosed inline table"), "表缺少右花括号，或各项之间缺少逗号"),
    (re.compile(r"Cannot overwrite a value"), "同一名称写了两次"),
    (re.compile(r"Unescaped '\\' in a string|Invalid hex value"), "引号内的反斜杠须写成两个，或改用单引号"),
    (re.compile(r"Invalid date or datetime"), "日期或时间不存在"),
)
"""What people meet, by the parser's own words; what is rare keeps them, in quotes."""


def told_of(message: str, text: str) -> dict[str, Any]:
    """Return the facts of a parser's message on `text`: `line`, and `reason_` and `hint_` in both languages."""
    found = _PLACE.search(message)
    line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
    reason = message[: found.start()] if found else message
    zh = next((zh for form, zh in _ZH if form.fullmatch(reason)), f"解析器说“{reason}”")
    plain = {"reason_zh": zh, "reason_en": reason, "hint_zh": "", "hint_en": ""}
    return {"line": line, **(_told_of_twice(reason, line, text) or plain)}


def _told_of_twice(reason: str, line: int, text: str) -> dict[str, str] | None:
    """Tell of a table that is declared a second time where it began; None for any other mistake."""
    twice = _TWICE.fullmatch(reason)
    if twice is None:
        return None
    path = ast.literal_eval(twice[1])
    # tomllib read everything before this line, so it is valid.
    began = find_lines("".join(text.splitlines(keepends=True)[: line - 1])).get(path)
    table = "[" + ".".join(path) + "]"
    return {
        "reason_zh": f"{table} 已从第 {began} 行开始" if began else f"{table} 写了两次",
        "reason_en": f"{table} already begins at line {began}" if began else f"{table} is declared twice",
        "hint_zh": f"请把设置写到第 {began} 行的 {table} 之下。" if began else "",
        "hint_en": f"Put the setting below {table} at line {began}. " if began else "",
    }
