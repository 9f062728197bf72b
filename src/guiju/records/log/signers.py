"""Which site key may have signed what: checkpoints by the span of the key, a new key by the word of the one before it. Pure."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guiju.core.errors import GuijuError
from guiju.core.site_keys import Ring, SiteKey, public_text
from guiju.records.log.note import NOTE_INVALID, Checkpoint, sign, stated_checkpoint, verify, verify_checkpoint

ENDORSEMENT: Final = "guiju-site-key-1"


def verify_site_checkpoint(note: bytes, origin: str, ring: Ring) -> Checkpoint:
    """Return the checkpoint in a note that a key of the ring has signed within its span. Raises NOTE-INVALID."""
    size = stated_checkpoint(note).size
    return verify_checkpoint(note, origin, *[key.public_key() for key in ring if key.covers(size)])


def endorsement_text(origin: str, public: str, from_size: int, from_at: str) -> str:
    """Return what a key says of its successor."""
    return f"{ENDORSEMENT}\n{origin}\n{public}\n{from_size}\n{from_at}\n"


def endorse(origin: str, successor: SiteKey, key: Ed25519PrivateKey) -> str:
    """Return the note in which `key` names its successor."""
    return sign(endorsement_text(origin, successor.public, successor.from_size, successor.from_at), origin, key).decode()


def ring_from(ring: Ring, origin: str, trusted: Ed25519PublicKey) -> Ring:
    """Return the keys that follow from one that is trusted: itself, and each that the one before it has named.

    Raises NOTE-INVALID when the trusted key is not in the ring, or a key behind it was not named by the one before.
    """
    text = public_text(trusted)
    at = next((number for number, key in enumerate(ring) if key.public == text), None)
    if at is None:
        raise GuijuError(NOTE_INVALID, reason="the given key is none of this site's")
    for before, key in zip(ring[at:], ring[at + 1 :], strict=False):
        said = verify(key.endorsement.encode(), origin, before.public_key())
        if said != endorsement_text(origin, key.public, key.from_size, key.from_at):
            raise GuijuError(NOTE_INVALID, reason="a key names another successor than the ring says")
    return ring[at:]
