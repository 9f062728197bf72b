"""A key of ours for the server of somebody else, in a file of one line or in a variable of the environment."""

from pathlib import Path

from guiju.core.errors import reason_zh


class KeyUnusable(Exception):
    """A key that cannot be used; the text says why in English, `zh` in Chinese, and neither holds any of it."""

    def __init__(self, zh: str, en: str) -> None:
        self.zh = zh
        super().__init__(en)


def read_key_file(file: str) -> str:
    """Return the key in a file, white space around it cut off. Raises KeyUnusable."""
    try:
        return check_key(Path(file).read_text())
    except UnicodeDecodeError:
        raise KeyUnusable("不是文本", "it is no text") from None
    except OSError as problem:
        raise KeyUnusable(reason_zh(problem), problem.strerror or type(problem).__name__) from problem


def check_key(text: str) -> str:
    """Return the key in a text, white space around it cut off. Raises KeyUnusable."""
    key = text.strip()
    if not key:
        raise KeyUnusable("其中没有密钥", "it holds no key")
    if len(key.splitlines()) > 1:
        raise KeyUnusable("不止一行", "it has more than one line")
    if not (key.isascii() and key.isprintable()):
        raise KeyUnusable("含有请求头中不能有的字符", "it holds characters that no header may")
    return key
