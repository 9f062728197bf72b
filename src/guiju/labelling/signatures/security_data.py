"""The signature as a value of ReservedCode: a small JSON object with the signature and the key, written and read.

What is signed by the producer is the text of three keys; a propagator signs five, in a form that is ours. The content of the file is
bound by neither: the guide's rules for that (`Bindings`, `CntSel`) are not known to us, so nothing of the kind is written.
Source: TC260-PG-202511A, Annex A.1 (as several implementations quote it); GB 45438-2025 Annex E f), i).
"""

import json
from typing import Any, Final

import msgspec

from guiju.labelling.annex_e import no_key_twice
from guiju.labelling.signatures.keys import ALGORITHM_IDS, Algorithm, PublicKey, SigningKey
from guiju.labelling.values import FileLabel

LIMIT_BYTES: Final = 64 * 1024
PRODUCER_TYPES: Final = frozenset({"Md", "LabelMataData", "LabelMetaData"})
"""What is signed is the label's own keys: `Md` in the guide, the second in files of two providers."""
PROPAGATOR_TYPE: Final = "GuijuPropagator"
"""Ours: which text a propagator signs by the guide is not known."""
_SIGNATURES_LIMIT: Final = 4
_PARTS_LIMIT: Final = 16
_BY_ID: Final = {id: algorithm for algorithm, id in ALGORITHM_IDS.items()}
_PRODUCER_KEYS: Final = (("Label", "label"), ("ContentProducer", "content_producer"), ("ProduceID", "produce_id"))
_PROPAGATOR_KEYS: Final = (*_PRODUCER_KEYS, ("ContentPropagator", "content_propagator"), ("PropagateID", "propagate_id"))


def producer_message(label: FileLabel) -> bytes:
    """Return what a producer signs: three keys and their values as JSON spells them, without braces.

    >>> producer_message(FileLabel(content_producer="001191110102MACQD9K64010000", produce_id="7f3a")).decode()
    '"Label":"1","ContentProducer":"001191110102MACQD9K64010000","ProduceID":"7f3a"'
    """
    return _message(label, _PRODUCER_KEYS)


def propagator_message(label: FileLabel) -> bytes:
    """Return what a propagator signs here: the producer's three keys and its own two."""
    return _message(label, _PROPAGATOR_KEYS)


def _message(label: FileLabel, keys: tuple[tuple[str, str], ...]) -> bytes:
    return ",".join(f'"{key}":{json.dumps(getattr(label, name), ensure_ascii=False)}' for key, name in keys).encode(
        "utf-8", "surrogatepass"
    )


def sign(label: FileLabel, key: SigningKey) -> FileLabel:
    """Return the label with the producer's signature as its ReservedCode1. Raises LABEL-SM-LIBRARY, LABEL-SIGNING."""
    return msgspec.structs.replace(label, reserved_code1=_written(key, "Md", producer_message(label)))


def sign_as_propagator(label: FileLabel, key: SigningKey) -> FileLabel:
    """Return the label with the propagator's signature as its ReservedCode2; `label` holds the producer's keys as they stand in the file.

    Raises as `sign`.
    """
    return msgspec.structs.replace(label, reserved_code2=_written(key, PROPAGATOR_TYPE, propagator_message(label)))


def _written(key: SigningKey, type_: str, message: bytes) -> str:
    id = ALGORITHM_IDS[key.public.algorithm]
    parts = [
        {"Type": "DS", "AlgID": id, "TBSData": {"Type": type_}, "Signature": key.sign(message).hex()},
        {"Type": "PubKey", "AlgID": id, "KeyID": key.public.id, "KeyValue": key.public.spki.hex()},
    ]
    return json.dumps({"SecurityData": {"Type": "TC260PG", "Version": 1, "PubSD": parts}}, separators=(",", ":"))


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One signature of a security object."""

    algorithm: Algorithm | None
    """None when the AlgID is none that is known here."""
    algorithm_id: str
    type: str
    value: bytes | None
    """None when it is no hex."""


class SecurityData(msgspec.Struct, frozen=True, kw_only=True):
    """What a security object holds, as far as it is understood."""

    signatures: list[Signature]
    keys: list[str]
    """Hex digits of the keys inside, in whatever form."""
    key_ids: list[str]
    bindings: bool
    """It also binds something to the content, which is not examined here."""


def read(text: str) -> SecurityData | None:
    """Read a value of ReservedCode; None when it is something else: a digest, a number, a text. Never raises."""
    if len(text) > LIMIT_BYTES or '"SecurityData"' not in text:
        return None
    try:
        found = json.loads(text, object_pairs_hook=no_key_twice)
    except (ValueError, RecursionError):
        return None
    data = found.get("SecurityData") if isinstance(found, dict) else None
    if not isinstance(data, dict):
        return None
    listed = data.get("PubSD", data.get("PubSd"))
    parts = [part for part in (listed if isinstance(listed, list) else [])[:_PARTS_LIMIT] if isinstance(part, dict)]
    return SecurityData(
        signatures=[_signature(part) for part in parts if part.get("Type") == "DS"][:_SIGNATURES_LIMIT],
        keys=[part["KeyValue"] for part in parts if part.get("Type") == "PubKey" and isinstance(part.get("KeyValue"), str)],
        key_ids=[part["KeyID"] for part in parts if isinstance(part.get("KeyID"), str)],
        bindings="Bindings" in data or any("Bindings" in part for part in parts),
    )


def _signature(part: dict[str, Any]) -> Signature:
    id, signed, value = part.get("AlgID"), part.get("TBSData"), part.get("Signature")
    type_ = signed.get("Type") if isinstance(signed, dict) else signed
    try:
        raw = bytes.fromhex(value) if isinstance(value, str) and len(value) <= 1024 else None
    except ValueError:
        raw = None
    return Signature(
        algorithm=_BY_ID.get(id) if isinstance(id, str) else None, algorithm_id=_shown(id), type=_shown(type_), value=raw
    )  # fmt: skip


def _shown(name: Any) -> str:
    """Return a name as it can be shown: JSON can spell halves of characters, which no text has."""
    return name[:64].encode("utf-8", "replace").decode() if isinstance(name, str) else ""


__all__ = [
    "LIMIT_BYTES",
    "PRODUCER_TYPES",
    "PROPAGATOR_TYPE",
    "PublicKey",
    "SecurityData",
    "Signature",
    "producer_message",
    "propagator_message",
    "read",
    "sign",
    "sign_as_propagator",
]
