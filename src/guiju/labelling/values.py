"""Frozen values of labelling, shared with the live side."""

from typing import Final, Literal

import msgspec

ExplicitMode = Literal["suffix", "prefix", "both", "interface"]


Medium = Literal["picture", "sound", "film", "document"]
Place = Literal["bottom_right", "bottom_left", "top_right", "top_left", "bottom", "top"]


class ExplicitStyle(msgspec.Struct, frozen=True, kw_only=True):
    """How files carry the label that people see or hear; the settings hold every value inside the limits of the standard.

    Source: Labelling Measures Art. 4; GB 45438-2025 §5.2–5.4. Opacity, margin and the figures of the rhythm are ours.
    """

    text: str = "人工智能生成"
    place: Place = "bottom_right"
    height_percent: int = 5
    """Least ink height of the shortest glyph, in per cent of the shortest side; never under 5."""
    opacity_percent: int = 80
    """Of the plate behind the words; the words themselves are opaque. Never under 60; raised where the contrast asks for it."""
    margin_percent: int = 2
    font_file: str = ""
    """A font with the glyphs of `text`; empty looks for one on the machine."""
    film: Literal["opening", "whole"] = "opening"
    opening_ms: int = 3000
    """How long the words stand at the opening of a film; never under 2000."""
    sound_place: Literal["start", "end", "both"] = "start"
    prompt_file: str = ""
    """A recorded voice that says the label; empty gives the rhythm."""
    unit_ms: int = 120
    pitch_hz: int = 1000
    level_db: int = -6
    """Peak of the rhythm below full scale."""
    document_place: Literal["start", "end", "both"] = "end"


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """A file that carries its explicit label.

    `how` tells in `key=value` pairs, apart by `;`, what was put where, with what was measured.
    """

    data: bytes
    medium: Medium
    how: str


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """How answers of a service are labelled (Measures Art. 12)."""

    mode: ExplicitMode = "suffix"
    text: str = "（本内容由人工智能生成）"
    content_producer: str = ""
    """27-character provider code, or the provider's name; empty only with the built-in demo model."""
    signature: Literal["none", "sm2", "ed25519"] = "none"
    """With what ReservedCode1 of files is signed; the `aigc` object of an answer is not."""
    c2pa_chain_file: str = ""
    """Certificates of the provider, PEM, the signer's first: files get a C2PA manifest behind the label."""
    c2pa_key_file: str = ""
    watermark: Literal["off", "on"] = "off"
    """Whether pictures get a watermark that only this site can read; an aid for audits, no label."""
    style: ExplicitStyle = ExplicitStyle()
    """How files are labelled."""

    @property
    def waived(self) -> bool:
        """Whether the explicit label is waived for one recipient: never a setting, never in a bundle."""
        return False


class WaivedLabel(Label, frozen=True, kw_only=True):
    """The label of a service for one recipient who may have content without its words (Labelling Measures Art. 9)."""

    @property
    def waived(self) -> bool:
        return True


class FileLabel(msgspec.Struct, frozen=True, kw_only=True):
    """The label of a file: the seven keys of Annex E, in their order. `label` is 1 (is), 2 (may be) or 3 (suspected) generated."""

    label: str = "1"
    content_producer: str = ""
    produce_id: str = ""
    reserved_code1: str = ""
    content_propagator: str = ""
    propagate_id: str = ""
    reserved_code2: str = ""


SIDECAR_SUFFIX: Final = ".aigc.json"
"""What the file beside a plain text is called behind the text's own name: a text has no metadata for its label."""


class Damaged(msgspec.Struct, frozen=True, kw_only=True):
    """The file could not be examined: why, and at which byte. This is never "no label"."""

    container: str
    reason: str
    at: int


class CredentialsFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What a C2PA manifest proves. `valid`: the file is as it was signed, by somebody; `trusted`: by one whom the given roots vouch for;
    `invalid`: it is not, or the manifest is broken; `unexamined`: there is one, and nothing here could read it.
    """

    result: Literal["none", "trusted", "valid", "invalid", "unexamined"]
    reason: str
    generator: str = ""
    signer: str = ""
    generated: bool | None = None
    """Whether an action of the active manifest says that a trained model made it; None where it is not read."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard in a sound: the rhythm of a label, nothing of that kind, or nothing because it could not be listened to."""

    result: Literal["rhythm", "nothing", "unexamined"]
    reason: str
