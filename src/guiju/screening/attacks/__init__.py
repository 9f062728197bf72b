"""Prompt attacks, one kind a file. A new one is a file and a line in `KINDS`."""

from typing import Final

from guiju.screening.attacks.encoded import ENCODED
from guiju.screening.attacks.exfiltration import EXFILTRATION
from guiju.screening.attacks.fake_role import FAKE_ROLE
from guiju.screening.attacks.hypothetical import HYPOTHETICAL
from guiju.screening.attacks.instruction_override import INSTRUCTION_OVERRIDE
from guiju.screening.attacks.invisible import INVISIBLE
from guiju.screening.attacks.kind import Kind, Span
from guiju.screening.attacks.many_shot import MANY_SHOT
from guiju.screening.attacks.output_constraint import OUTPUT_CONSTRAINT
from guiju.screening.attacks.payload_split import PAYLOAD_SPLIT
from guiju.screening.attacks.prompt_extraction import PROMPT_EXTRACTION
from guiju.screening.attacks.role_override import ROLE_OVERRIDE

KINDS: Final[tuple[Kind, ...]] = (
    INSTRUCTION_OVERRIDE,
    ROLE_OVERRIDE,
    PROMPT_EXTRACTION,
    OUTPUT_CONSTRAINT,
    HYPOTHETICAL,
    FAKE_ROLE,
    MANY_SHOT,
    ENCODED,
    PAYLOAD_SPLIT,
    INVISIBLE,
    EXFILTRATION,
)
CODES: Final[dict[str, Kind]] = {kind.code: kind for kind in KINDS}

HINTS: Final[tuple[str, ...]] = tuple({hint: None for kind in KINDS for hint in kind.hints})
"""Folded words without which no kind that is read folded is in a text."""

__all__ = ["CODES", "HINTS", "KINDS", "Kind", "Span"]
