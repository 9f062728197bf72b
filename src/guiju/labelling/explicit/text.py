"""The explicit label of a text answer: words a person reads, at the start, at the end, or shown by the interface.

Source: Measures Art. 12; Labelling Measures Art. 4; GB 45438-2025 §5.1.
"""

import re
from typing import Final, Literal

import msgspec

from guiju.labelling.values import ExplicitMode, Label

Applied = Literal["suffix", "prefix", "both", "interface", "waived"]

_ARTIFICIAL: Final = re.compile("人工智能|AI", re.IGNORECASE)
_GENERATED: Final = re.compile("生成|合成")
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)


def holds_elements(text: str) -> bool:
    """Tell whether a wording is a label: it names artificial intelligence and it names generation.

    Source: GB 45438-2025 §5 (the element rule, the same for every text label).
    """
    return bool(_ARTIFICIAL.search(text) and _GENERATED.search(text))


def stays_readable(text: str) -> bool:
    """Tell whether words may be put after this text without breaking what a program reads in it.

    They may not after JSON, nor inside a code block that is still open. After a closed code block they may.
    """
    bare = text.strip()
    if not bare:
        return False
    if bare[0] in "{[" and bare[-1] in "}]":
        try:
            msgspec.json.decode(bare)
        except RecursionError:
            return False  # brackets without end: nothing that a person reads
        except (msgspec.DecodeError, ValueError):
            return True
        return False
    opened = ""
    for fence in _FENCE.finditer(text) if "`" in text or "~" in text else ():
        if not opened:
            opened = fence[1]
        elif fence[1][0] == opened[0] and len(fence[1]) >= len(opened):
            opened = ""
    return not opened


def asks_for_words(request: dict[str, object]) -> bool:
    """Tell whether the answer to this request is prose for people: no JSON mode, no log probabilities.

    Tool calls are told apart later, answer by answer: offering tools does not make every answer a call.
    """
    return not wants_json(request) and not request.get("logprobs")


def wants_json(request: dict[str, object]) -> bool:
    """Tell whether the answer to this request is for a program: JSON mode, or any other form that is not plain text."""
    form = request.get("response_format")
    kind = form.get("type") if isinstance(form, dict) else None
    return kind not in (None, "text")


def without_words(label: Label) -> Applied:
    """Return how an answer without words is labelled: by the interface, or not at all where that was waived for its recipient."""
    return "waived" if label.waived else "interface"


def suffix(label: Label) -> str:
    """Return what stands after a labelled text."""
    return "\n\n" + label.text


def prefix(label: Label) -> str:
    """Return what stands before a labelled text."""
    return label.text + "\n\n"


def ends_with_label(mode: ExplicitMode) -> bool:
    """Tell whether this mode puts words after the text."""
    return mode in ("suffix", "both")


def begins_with_label(mode: ExplicitMode) -> bool:
    """Tell whether this mode puts words before the text."""
    return mode in ("prefix", "both")
