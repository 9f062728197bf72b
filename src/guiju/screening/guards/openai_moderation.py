"""A server of OpenAI's moderation API: `POST /moderations`, thirteen categories, and our 31 risks where the server is another guiju.

Source: the reference of the API; GB/T 45654-2025 Appendix A.
"""

from typing import Final

from guiju.screening.guards.form import ENCODE, OUR_RISKS, Finding, Form, NoFinding, Passage, answer_object, joined, plain, score_of

CATEGORIES: Final[dict[str, tuple[str, ...]]] = {
    "harassment": ("A.4.c",),
    "harassment/threatening": ("A.4.a",),
    "hate": ("A.2.i",),
    "hate/threatening": ("A.2.i", "A.1.f"),
    "illicit": ("A.1.h",),
    "illicit/violent": ("A.1.d", "A.1.h"),
    "self-harm": ("A.4.a",),
    "self-harm/intent": ("A.4.a",),
    "self-harm/instructions": ("A.4.a",),
    "sexual": ("A.1.f",),
    "sexual/minors": ("A.1.f",),
    "violence": ("A.1.f",),
    "violence/graphic": ("A.1.f",),
}
"""The risk that stands nearest to each category."""


def ask(passage: Passage, model: str) -> bytes:
    """Return the body of the request: one text. The API knows no conversation."""
    return ENCODE({"input": joined(passage), **({"model": model} if model else {})})


def read(raw: bytes, passage: Passage) -> Finding:
    """Return what the server says of its one result; its score is the highest of the categories it sets. Raises NoFinding."""
    answer = answer_object(raw)
    results = answer.get("results")
    if not isinstance(results, list) or len(results) != 1 or not isinstance(results[0], dict):
        raise NoFinding("its answer has not one result")
    result = results[0]
    flagged, categories, scores = result.get("flagged"), result.get("categories"), result.get("category_scores") or {}
    if not isinstance(flagged, bool) or result.get("outcome") == "could_not_examine":
        raise NoFinding("it does not say whether the text is flagged")
    if not isinstance(categories, dict) or not isinstance(scores, dict) or len(categories) > 200:
        raise NoFinding("its categories are no table")
    if not all(value is None or isinstance(value, bool) for value in categories.values()):
        raise NoFinding("its categories are no table of true and false")
    names = [name for name, value in categories.items() if value]
    if names and not flagged:
        raise NoFinding("it flags nothing and sets a category")
    score = max((score_of(scores.get(name)) for name in names), default="")
    told = tuple(name for name in names if name in CATEGORIES or name in OUR_RISKS)
    return Finding("unsafe" if flagged else "safe", told, score, plain(answer.get("model")))


FORM: Final = Form("openai_moderation", "/moderations", ask, read, CATEGORIES, needs_model=False)
