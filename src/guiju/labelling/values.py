"""Frozen values of labelling, shared with the live side."""

from typing import Literal

import msgspec

ExplicitMode = Literal["suffix", "prefix", "both", "interface"]


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """How answers of a service are labelled (Measures Art. 12)."""

    mode: ExplicitMode = "suffix"
    text: str = "（本内容由人工智能生成）"
    content_producer: str = ""
    """27-character provider code, or the provider's name; empty only with the built-in demo model."""
