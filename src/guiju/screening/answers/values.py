"""An approved answer as the live side needs it."""

from typing import Literal

import msgspec

Origin = Literal["people", "generated"]
"""Who wrote the words: people, or a model whose words people reviewed. The label of the answer follows from it."""


class ApprovedAnswer(msgspec.Struct, frozen=True, array_like=True):
    """One row of the bank. It answers in a language that it has, until `until_s` (seconds since 1970, the end of a Beijing day)."""

    id: str
    questions: tuple[str, ...]
    answer_zh: str
    answer_en: str
    risk: str
    origin: Origin
    until_s: int
