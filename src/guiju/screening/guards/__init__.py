"""The forms in which guards are asked, one a file."""

from typing import Final

from guiju.screening.guards import json_chat, openai_moderation, qwen3guard, webhook
from guiju.screening.guards.form import Form

FORMS: Final[dict[str, Form]] = {each.FORM.kind: each.FORM for each in (qwen3guard, json_chat, openai_moderation, webhook)}
"""By the name that the settings use."""
