"""Evidence, afterwards: the recorder asks the classifier about an exchange while it turns it into a record, off the way of the answer.

A gateway marks the exchanges of services for which the classifier is evidence (`AFTERWARDS`); the recorder opens each entry anyway to
seal it for its subject, so no content is opened for this. Finds stand among the hits of the record, with the action `deliver`, and the
record is marked for review. A body that the gateway rejected as no request has nothing to assess (`no_text`). Whatever else goes wrong is said as `could_not_examine` and is marked as well. Nothing is stopped here.

Source: Measures Arts. 4, 14; decision 0024.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from guiju.screening.classifier.judge import find_in, said_by_the_user
from guiju.screening.classifier.model import Classifier
from guiju.screening.parts import Joined, words_in
from guiju.screening.values import Hit

AFTERWARDS: Final = "afterwards"
MARK: Final = "classifier"
_ANSWER_FIELDS: Final = (".content", ".reasoning_content", ".content.thinking")
_OPENINGS_KEPT: Final = 20_000
_LISTED: Final = 20
_JSON: Final = msgspec.json.Decoder().decode
_UNPACK: Final = msgspec.msgpack.Decoder(dict[str, Any]).decode

_REJECTED: Final = ("BODY-NOT-JSON", "FIELD-INVALID")
"""With these errors the gateway sends away what cannot be read as a request."""

log = logging.getLogger("guiju.screening")


class _NoRequest(Exception):
    """What was sent is no request: there is nothing to assess."""


class Afterwards:
    """Looks at exchanges one after the other. What a streamed answer was asked stands in its opening record, so that is remembered."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._asked: dict[str, list[dict[str, object]]] = {}

    def assess(self, id: str, metadata: Mapping[str, object], content: bytes) -> dict[str, object]:
        """Return the metadata of an entry that is marked, with what was found. `content` is what the entry seals, in MessagePack."""
        told = dict(metadata)
        if not content and "content_omitted_bytes" not in metadata:
            told[MARK] = {"version": self._classifier.version[:16], "outcome": "no_text"}
            return told
        try:
            # What sealed nothing was too large for it: nobody has looked.
            asked, answered = self._look(_UNPACK(content), rejected=metadata.get("error") in _REJECTED)
            answer = metadata.get("answer")
            if isinstance(answer, str):
                asked += self._asked.pop(answer, [])
            elif asked and metadata.get("streamed"):
                if len(self._asked) >= _OPENINGS_KEPT:
                    del self._asked[next(iter(self._asked))]
                self._asked[id] = list(asked)
        except _NoRequest:  # any client can send that, and no model was asked: nothing failed here
            told[MARK] = {"version": self._classifier.version[:16], "outcome": "no_text"}
            return told
        except Exception as problem:  # whatever the content holds, the record is owed, and it says that nobody looked
            log.exception("%s could not be assessed", id)
            told[MARK] = {"version": self._classifier.version[:16], "outcome": "could_not_examine", "reason": type(problem).__name__}
            told["review"] = "hit"
            return told
        told[MARK] = {"version": self._classifier.version[:16], "outcome": "hit" if asked or answered else "pass"}
        for part, hits in (("input", asked), ("output", answered)):
            if hits:
                before = told.get(part)
                old: dict[str, Any] = before if isinstance(before, dict) else {}
                earlier = old.get("hits")
                told[part] = {**old, "outcome": "hit", "hits": [*(earlier if isinstance(earlier, list) else ()), *hits][:_LISTED]}
        if asked or answered:
            told["review"] = "hit"
        return told

    def _look(self, content: Mapping[str, Any], *, rejected: bool) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        asked = []
        request = content.get("request")
        if isinstance(request, bytes):
            for path, text in _said(request, rejected):
                find = find_in(self._classifier, text)
                if find is not None:
                    asked.append(_told(find.hit(path, "deliver")))
        answered = []
        for words in _answers(content.get("answer")):
            find = find_in(self._classifier, words.text)  # as a whole: clause by clause would cost the recorder four times as much
            if find is not None:
                answered.append(_told(words.standing(find.hit(words.path, "deliver"))))
        return asked, answered


def _said(request: bytes, rejected: bool) -> list[tuple[str, str]]:
    """Return (path, text) of what the person said. Raises _NoRequest for a body that the gateway `rejected` because it is no request."""
    try:
        return said_by_the_user(_JSON(request)["messages"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
        if rejected:
            raise _NoRequest from None
        raise


def _answers(answer: object) -> Iterator[Joined]:
    """Yield the words for people in an answer: as it was sent, or by the paths of a stream. Approved answers are skipped."""
    if isinstance(answer, dict):
        yield from (Joined(path, text, ()) for path, text in answer.items() if path.endswith(_ANSWER_FIELDS))
    elif isinstance(answer, bytes):
        for place, choice in enumerate(_JSON(answer)["choices"]):
            yield from words_in(choice.get("message"), f"choices[{place}].message")


def _told(hit: Hit) -> dict[str, object]:
    return {
        "path": hit.path, "start": hit.start, "end": hit.end, "risk": hit.risk, "rule": hit.rule, "action": hit.action,
        "confidence": hit.confidence,
    }  # fmt: skip
