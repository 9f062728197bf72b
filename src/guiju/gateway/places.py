"""Where a text stands in a choice of a streamed answer: the way to it through names and list places."""

from typing import Any

Path = tuple[str | int, ...]
"""`("tool_calls", 0, "function", "arguments")` and the like; it begins with a name."""


def is_plain(value: object) -> bool:
    """Tell whether a value holds no words."""
    return value is None or isinstance(value, (int, float))


def place_of(item: object, place: int) -> int:
    """Return the place of an item in its list: the index that it names, else the one where it stands."""
    index = item.get("index") if isinstance(item, dict) else None
    return index if isinstance(index, int) else place


def nest(path: Path, text: str) -> dict[str, Any]:
    """Return a delta that carries `text` at `path`; of a text that parts make together, one more part."""
    value: Any = text
    if len(path) > 1 and path[0] == "content" and isinstance(path[1], str):
        kind = path[1]
        return {"content": [{"type": kind, kind: [{"type": "text", "text": text}] if kind == "thinking" else text}]}
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [{"index": step, **value}] if isinstance(value, dict) else [value]
    return value  # type: ignore[no-any-return]  # paths begin with a name


def shown(index: int, path: Path) -> str:
    """Return a path as records show it: `choices[0].tool_calls[0].function.arguments`."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"choices[{index}]{steps}"
