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


class FileLabel(msgspec.Struct, frozen=True, kw_only=True):
    """The label of a file: the seven keys of Annex E, in their order. `label` is 1 (is), 2 (may be) or 3 (suspected) generated."""

    label: str = "1"
    content_producer: str = ""
    produce_id: str = ""
    reserved_code1: str = ""
    content_propagator: str = ""
    propagate_id: str = ""
    reserved_code2: str = ""


class Damaged(msgspec.Struct, frozen=True, kw_only=True):
    """The file could not be examined: why, and at which byte. This is never "no label"."""

    container: str
    reason: str
    at: int
