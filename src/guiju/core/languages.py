"""In which language somebody wants to be spoken to."""

import os

from guiju.core.errors import GuijuError, Language, Text, define

LANGUAGE_UNKNOWN = define(
    "LANGUAGE-UNKNOWN",
    status=400,
    kind="invalid_request_error",
    zh=Text("没有“{language}”这种语言的文本。", "什么也没有做。", "请用 zh（中文）或 en（英文）；不写则按环境变量 LANG。"),
    en=Text(
        "There are no texts in the language '{language}'.",
        "Nothing was done.",
        "Use zh (Chinese) or en (English); without it LANG decides.",
    ),
)


def language_of(asked: str) -> Language:
    """Return the language that was asked for, with or without a region; for nothing, English where the environment says so, else Chinese.

    Raises LANGUAGE-UNKNOWN for a language in which there are no texts.
    """
    if asked:
        chosen = asked.lower().replace("_", "-").partition("-")[0]
        if chosen == "zh":
            return "zh"
        if chosen == "en":
            return "en"
        raise GuijuError(LANGUAGE_UNKNOWN, language=asked)
    told = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "en" if told.lower().startswith("en") else "zh"
