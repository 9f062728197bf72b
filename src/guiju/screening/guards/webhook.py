"""A guard of the operator's own, asked over HTTP: one JSON object to its address, one back.

    POST {base_url}                                      x-guiju-timestamp: 1764000000
    {"version": 1, "direction": "output", "model": "…",  x-guiju-signature: sha256=<hex of HMAC-SHA256(key, timestamp + "." + body)>
     "turns": [{"role": "user", "text": "…"}, {"role": "assistant", "text": "…"}]}

    {"verdict": "safe" | "controversial" | "unsafe", "categories": ["A.1.f"], "score": 0.97, "version": "rules-2026-11"}

`turns` ends with what is to be examined. `categories` are risks of the standard; `score` and `version` may be left out. Anything else in
the answer makes it no answer. The signature and the time let the receiver tell our requests from others' and from old ones.
"""

import hashlib
import hmac
from typing import Final

from guiju.screening.guards.form import ENCODE, OUR_RISKS, Finding, Form, NoFinding, Passage, answer_object, known, plain, score_of


def ask(passage: Passage, model: str) -> bytes:
    """Return the body of the request."""
    turns = [turn._asdict() for turn in passage.turns]
    return ENCODE({"version": 1, "direction": passage.direction, "model": model, "turns": turns})


def read(raw: bytes, passage: Passage) -> Finding:
    """Return what the guard says. Raises NoFinding."""
    answer = answer_object(raw)
    verdict = answer.get("verdict")
    if set(answer) - {"verdict", "categories", "score", "version"} or verdict not in ("safe", "controversial", "unsafe"):
        raise NoFinding("its answer is not {verdict, categories, score, version}")
    categories = known(answer.get("categories", []), OUR_RISKS)
    if verdict == "safe" and categories:
        raise NoFinding("it says safe and names a category")
    return Finding(verdict, categories, score_of(answer.get("score")), plain(answer.get("version")))


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """Return the value of the header `x-guiju-signature`.

    >>> signature(b"key", "1764000000", b"{}")[:23]
    'sha256=135a1a8c79ff2a07'
    """
    return "sha256=" + hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


FORM: Final = Form("webhook", "", ask, read, OUR_RISKS, needs_model=False, signs=True)
