"""What Django's checks say against a value, in both languages: each sentence of an error keeps to its own."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from django.core.exceptions import ValidationError
from django.utils import translation

_ZH: Final = {"password_too_short": "密码太短，至少须有 {min_length} 个字符。"}
"""By Django's own codes, what its Chinese catalogue says in English."""


def objections(check: Callable[[], object]) -> dict[str, str]:
    """Return why `check` raises a ValidationError, as the facts `reason_zh` and `reason` of an error; nothing where it does not.

    It is run once for each language: some texts are made when the error is, others when it is read.
    """
    told = {}
    for fact, language, between in (("reason_zh", "zh-hans", ""), ("reason", "en", " ")):
        with translation.override(language):
            try:
                check()
            except ValidationError as problem:
                told[fact] = between.join(_sentences(problem, _ZH if fact == "reason_zh" else {}))
    return told


def _sentences(problem: ValidationError, ours: dict[str, str]) -> Iterator[str]:
    fields = problem.error_dict.values() if hasattr(problem, "error_dict") else [problem.error_list]
    for each in chain.from_iterable(fields):
        known = ours.get(each.code or "")
        yield known.format_map(each.params or {}) if known else "".join(each.messages)
