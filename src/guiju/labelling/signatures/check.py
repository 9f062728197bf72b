"""What the signatures of a label prove: nothing, that its keys are as they were signed, or that a known provider signed them.

A key that lies in the file proves integrity alone: whoever changes the label can put in another key. Only a key that was known before
(pinned) tells who signed. What cannot be examined is said to be so, and is neither true nor false.
Source: TC260-PG-202511A, Annex A.1; two conventions are met: the signature of the message, and that of its SM3 digest.
"""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from guiju.labelling.signatures.keys import PublicKey, public_keys
from guiju.labelling.signatures.security_data import (
    PRODUCER_TYPES,
    PROPAGATOR_TYPE,
    SecurityData,
    Signature,
    producer_message,
    propagator_message,
    read,
)
from guiju.labelling.signatures.sm2 import sm3
from guiju.labelling.values import FileLabel

Result = Literal["none", "opaque", "intact", "authentic", "false", "unexamined"]
Convention = Literal["", "raw", "prehashed"]
_KEYS_LIMIT: Final = 4
"""Keys inside a file that are tried; a trial of SM2 takes about 2 ms."""
_PINNED_LIMIT: Final = 16
"""Pinned keys of one provider that are tried, those that the file names first."""
_SUBJECT: Final = slice(0, 22)
"""Characters of a provider code that name the subject; the rest names service and model."""
_GRAVEST: Final[tuple[Result, ...]] = ("false", "authentic", "intact", "unexamined")


class PinnedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key known beforehand, and the provider (code or name) whose it is."""

    provider: str
    key: PublicKey

    def speaks_for(self, provider: str) -> bool:
        """Tell whether a signature under this key is this provider's: the same code, or codes of one subject."""
        return bool(provider) and (
            self.provider == provider or (len(self.provider) == len(provider) == 27 and self.provider[_SUBJECT] == provider[_SUBJECT])
        )


class SignatureFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What one ReservedCode proves. `authentic`: signed by a pinned key of the provider that the label names; `intact`: signed by
    the key that lies beside it; `false`: signed otherwise; `opaque`: no signature that is understood; `none`: empty.
    """

    key: Literal["ReservedCode1", "ReservedCode2"]
    result: Result
    reason: str
    algorithm: str = ""
    convention: Convention = ""
    key_id: str = ""
    public_key: str = ""
    """Hex of the DER SubjectPublicKeyInfo under which the signature verifies."""


def check(label: FileLabel, pinned: Iterable[PinnedKey] = ()) -> list[SignatureFinding]:
    """Return what ReservedCode1 proves, and ReservedCode2 where it is not empty; never raises on what a file holds."""
    pinned = tuple(pinned)
    first = _judged("ReservedCode1", label.reserved_code1, label, label.content_producer, pinned)
    if not label.reserved_code2:
        return [first]
    return [first, _judged("ReservedCode2", label.reserved_code2, label, label.content_propagator, pinned)]


def _judged(
    key: Literal["ReservedCode1", "ReservedCode2"], text: str, label: FileLabel, provider: str, pinned: tuple[PinnedKey, ...]
) -> SignatureFinding:
    if not text:
        return SignatureFinding(key=key, result="none", reason="no signature")
    data = read(text)
    if data is None:
        return SignatureFinding(key=key, result="opaque", reason="a value that is no signature object")
    if not data.signatures:
        return SignatureFinding(key=key, result="unexamined", reason="a security object without a signature")
    known = [each.key for each in pinned if each.speaks_for(provider)]
    found = [_one(key, each, data, label, known) for each in data.signatures]
    best = min(found, key=lambda finding: _GRAVEST.index(finding.result))
    if data.bindings:
        best = msgspec.structs.replace(best, reason=best.reason + "; its bindings to the content were not examined")
    return best


def _one(
    key: Literal["ReservedCode1", "ReservedCode2"], signature: Signature, data: SecurityData, label: FileLabel, known: list[PublicKey]
) -> SignatureFinding:
    algorithm = signature.algorithm
    if algorithm is None:
        return SignatureFinding(
            key=key,
            result="unexamined",
            algorithm=signature.algorithm_id,
            reason=f"the algorithm {signature.algorithm_id} is not known here",
        )

    def finding(result: Result, reason: str, under: PublicKey | None = None, convention: Convention = "") -> SignatureFinding:
        told = {} if under is None else {"key_id": under.id, "public_key": under.spki.hex()}
        return SignatureFinding(key=key, result=result, reason=reason, algorithm=algorithm, convention=convention, **told)

    messages, certain = _messages(key, signature.type, label)
    if not messages:
        return finding("unexamined", f"what is signed ({signature.type}) is not known here")
    if signature.value is None:
        return finding("false", "the signature is no hex")
    inside = [each for digits in data.keys[:_KEYS_LIMIT] for each in public_keys(algorithm, digits)][:_KEYS_LIMIT]
    known = sorted(
        (each for each in known if each.algorithm == algorithm), key=lambda each: each not in inside and each.id not in data.key_ids
    )
    known = known[:_PINNED_LIMIT]
    for under in (*known, *(each for each in inside if each not in known)):
        for message in messages:
            convention = _convention(under, message, signature.value)
            if convention and under in known:
                return finding("authentic", "signed by a pinned key of this provider", under, convention)
            if convention:
                told = "; it is none of the keys pinned for this provider" if known else ""
                return finding("intact", f"signed by the key in the file: integrity alone{told}", under, convention)
    if not certain:
        return finding("unexamined", "the text that a propagator signs is not known")
    if inside or any(each.id in data.key_ids for each in known):
        return finding("false", "the keys of the label are not those that were signed")
    if data.keys:
        return finding("unexamined", "the key in the file is in no form that is known")
    return finding("unexamined", "no key in the file, and none of those pinned fits")


def _messages(key: str, type_: str, label: FileLabel) -> tuple[list[bytes], bool]:
    """Return the texts that may have been signed, and whether it is certain that it is one of them."""
    if key == "ReservedCode1":
        return ([producer_message(label)], True) if type_ in PRODUCER_TYPES else ([], True)
    if type_ == PROPAGATOR_TYPE:
        return [propagator_message(label)], True
    return ([propagator_message(label), producer_message(label)], False) if type_ in PRODUCER_TYPES else ([], False)


def _convention(under: PublicKey, message: bytes, signature: bytes) -> Convention:
    if under.verify(message, signature):
        return "raw"
    if under.algorithm == "sm2" and under.verify(sm3(message), signature):
        return "prehashed"
    return ""
