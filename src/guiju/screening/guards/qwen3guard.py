"""Qwen3Guard-Gen behind any server that speaks the OpenAI API (vLLM, SGLang).

A prompt is moderated as a user's message, an answer as the assistant's message behind it; the model writes two or three lines:
`Safety: Safe|Unsafe|Controversial`, `Categories: …`, and for an answer `Refusal: Yes|No`.

Qwen3Guard-Stream judges token by token and has no form that is served over the OpenAI API (its questions page has it open as issue 25;
the change to vLLM was closed). A stream is therefore examined by Gen, as its text grows.
Source: model cards of Qwen3Guard-Gen (Apache-2.0), github.com/QwenLM/Qwen3Guard; arXiv 2510.14276; docs.vllm.ai, recipes.
"""

import re
from typing import Final

from guiju.screening.guards.form import Finding, Form, Level, NoFinding, Passage, chat_body, chat_text

RISKS: Final[dict[str, tuple[str, ...]]] = {
    "Violent": ("A.1.f", "A.1.d"),
    "Non-violent Illegal Acts": ("A.1.h",),
    "Sexual Content or Sexual Acts": ("A.1.f",),
    "PII": ("A.4.f", "A.4.e"),
    "Suicide & Self-Harm": ("A.4.a",),
    "Unethical Acts": ("A.2.i", "A.4.c"),
    "Politically Sensitive Topics": ("A.1.b", "A.1.g"),
    "Copyright Violation": ("A.3.a",),
    "Jailbreak": ("A.1.h",),  # an attempt on the model, for inputs only; none of the 31 is about the attempt itself
}
"""The model's nine categories. They are coarser than the standard: a hit names the risks that it may be, not one that was told apart."""
_MAX_TOKENS: Final = 64
_LEVELS: Final[dict[str, Level]] = {"Safe": "safe", "Controversial": "controversial", "Unsafe": "unsafe"}
_NAMES: Final = "|".join(map(re.escape, (*RISKS, "None")))
# The whole answer and nothing else: a line that the examined text has smuggled in makes it no answer.
_WHOLE: Final = re.compile(
    rf"\s{{0,8}}Safety: (Safe|Unsafe|Controversial) ?\nCategories: ((?:{_NAMES})(?:, ?(?:{_NAMES}))*) ?(?:\nRefusal: (?:Yes|No) ?)?\s{{0,8}}"
)


def ask(passage: Passage, model: str) -> bytes:
    """Return the body of the request; the conversation as it is, its last turn being what is judged."""
    return chat_body(model, [{"role": turn.role, "content": turn.text} for turn in passage.turns], _MAX_TOKENS)


def read(raw: bytes, passage: Passage) -> Finding:
    """Return what the model says. Raises NoFinding for anything but its own lines, or when they contradict each other."""
    text, model = chat_text(raw)
    lines = _WHOLE.fullmatch(text)
    if lines is None:
        raise NoFinding("its answer has not the lines of Qwen3Guard")
    level = _LEVELS[lines[1]]
    categories = tuple(dict.fromkeys(name for name in re.split(", ?", lines[2]) if name != "None"))
    if level == "safe" and categories:
        raise NoFinding("it says safe and names a category")
    return Finding(level, categories, "", model)


FORM: Final = Form("qwen3guard", "/chat/completions", ask, read, RISKS)
