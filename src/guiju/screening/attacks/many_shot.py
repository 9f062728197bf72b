"""A long made-up talk inside one message, in which the model has already said yes many times."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from guiju.screening.attacks.kind import Kind, Span

_TURN: Final = re.compile(
    r"(?:^|\n)[ \t>*#-]{0,8}(?:(用户|user|human|人类|问|q|question|提问者?|red[ -]?lm|客户)|(助手|assistant|ai|bot|chatgpt|模型|答|a|answer|回答者?|base[ -]?lm|助理))[ \t*]{0,4}\d{0,4}[ \t*]{0,4}[:：]",
    re.IGNORECASE,
)
UNSURE_TURNS: Final = 10
MANY_TURNS: Final = 64
"""So many alternating turns in one message are no example of a task any more."""


_ANY_TURN: Final = re.compile(r"(?:^|\n)[ \t>*#-]{0,8}([^\s:：]{1,20}(?: [^\s:：]{1,10})?)[ \t*]{0,4}[:：]")
_THOUGHT: Final = re.compile(
    r"(?:内心|内部|心里|心中)的?(?:想法|思考|独白|活动)|(?:internal|inner|hidden|secret|my) ?thoughts?|[(（\[]\s{0,3}thoughts?",
    re.IGNORECASE,
)
_THOUGHT_TURNS: Final = 4


def _with_thoughts(text: str) -> Iterator[Span]:
    """Yield a short talk of two speakers in which one is made to think aloud how to help."""
    thought = _THOUGHT.search(text)
    if thought is None:
        return
    speakers = [match[1].lower() for match in _ANY_TURN.finditer(text[:20_000])]
    said = Counter(speakers).most_common(2)
    if len(said) == 2 and said[1][1] >= _THOUGHT_TURNS // 2:
        yield Span(thought.start(), thought.end(), "low")


def _examine(text: str) -> Iterator[Span]:
    yield from _with_thoughts(text)
    if text.count("\n") < UNSURE_TURNS - 1:
        return
    turns, last, start, end = 0, 0, -1, 0
    for match in _TURN.finditer(text):
        speaker = match.lastindex or 0
        if speaker == last:
            continue
        last, end = speaker, match.end()
        turns += 1
        start = match.start() if start < 0 else start
    if turns >= UNSURE_TURNS:
        yield Span(start, end, "medium" if turns >= MANY_TURNS else "low")


MANY_SHOT: Final = Kind(
    code="PA-MANY-SHOT",
    zh="多轮诱导",
    en="many-shot",
    hints=("助手", "助理", "assistant", "chatgpt", "baselm", "chatbot", "redlm", "内心", "内部想", "内部思", "心里想", "thought"),
    signs=("\nA:", "\nA：", "\nA1", "\n答", "\n回答", "\nAI:", "\nAI：", "\nBot", "\nAnswer"),
    reads="written",
    examine=_examine,
)
