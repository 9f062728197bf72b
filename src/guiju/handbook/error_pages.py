"""One page for every error code, in Chinese and English, with an index: `docs/errors/`."""

import re
import sys
from types import ModuleType
from typing import Final

from guiju.core.errors import REGISTRY, ErrorCode, Text

INDEX: Final = "errors/index.md"
_FACT: Final = re.compile(r"\{(\w+)\}")
_MARKUP: Final = re.compile(r"([\\*<\[|])")


def error_pages() -> dict[str, str]:
    """Return the pages of `docs/errors/` by path, from the codes declared so far; `import_everything` declares them all."""
    codes = [REGISTRY[code] for code in sorted(REGISTRY)]
    return {INDEX: _index(codes)} | {f"errors/{error.code}.md": _page(error) for error in codes}


def _index(codes: list[ErrorCode]) -> str:
    lines = [
        "# 错误 · Errors",
        "",
        "每条错误说三件事：发生了什么，保留了什么，怎么办。代码在各版本间不变，可按代码查找。",
        "",
        "Every error says three things: what happened, what was kept, what to do. A code keeps its meaning from one version to the next.",
        "",
        "| 代码 Code | HTTP | 发生了什么 | What happened |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| [`{error.code}`]({error.code}.md) | {error.status} | {_shown(error.zh.happened)} | {_shown(error.en.happened)} |"
        for error in codes
    ]
    return "\n".join(lines) + "\n"


def _page(error: ErrorCode) -> str:
    retry = (
        "是，同一请求稍后可能成功 · yes, the same request may succeed later"
        if error.retry
        else "否，先按上文处理 · no, first do what is said above"
    )
    lines = [
        f"# {error.code}",
        "",
        *_part("中文", error.zh, ("发生了什么", "保留了什么", "怎么办"), "："),
        *_part("English", error.en, ("What happened", "What was kept", "What to do"), ": "),
        "## 给程序 · For programs",
        "",
        "| | |",
        "|---|---|",
        f"| HTTP | {error.status} |",
        f"| `error.type` | `{error.kind}` |",
        f"| `error.code` | `{error.code.lower().replace('-', '_')}` |",
        f"| 可重试 Retry | {retry} |",
        f"| 声明于 Declared in | `{_declared_in(error)}` |",
    ]
    facts = sorted(
        {name for text in (error.zh, error.en) for part in (text.happened, text.kept, text.todo) for name in _FACT.findall(part)}
    )
    if facts:
        lines.append(f"| 具体情况 Facts | {', '.join(f'`{name}`' for name in facts)} |")
    return "\n".join(lines) + "\n"


def _part(title: str, text: Text, names: tuple[str, str, str], colon: str) -> list[str]:
    parts = zip(names, (text.happened, text.kept, text.todo), strict=True)
    return [f"## {title}", "", *(f"- **{name}**{colon}{_shown(part)}" for name, part in parts), ""]


def _shown(text: str) -> str:
    """Return a text as Markdown that shows it as it is; the places of facts stand in ‹ ›."""
    return _FACT.sub(r"‹\1›", _MARKUP.sub(r"\\\1", text))


def _declared_in(error: ErrorCode) -> str:
    """Return the module whose source declares the code."""
    modules = [
        module
        for name, module in sorted(sys.modules.items())
        if name.startswith("guiju.") and ".tests" not in name and error in _errors_of(module)  # a test may name a code and declares none
    ]
    return next(module.__name__ for module in modules if f'"{error.code}"' in _source(module))


def _errors_of(module: ModuleType) -> list[ErrorCode]:
    return [value for value in vars(module).values() if isinstance(value, ErrorCode)]


def _source(module: ModuleType) -> str:
    with open(module.__file__ or "", encoding="utf-8") as file:
        return file.read()
