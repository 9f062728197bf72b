"""The ring of site keys: which Ed25519 key signs now, which one still signs beside it, which ones have signed before.

`keys/site.json` is the ring and the only truth; it is replaced whole. Without it there is one key, `site.key`, for ever.
A key is `planned` (made, signs nothing yet), then `signing`, then `leaving` (signs beside its successor), then `retired`:
its private half is gone, its public half stays with its span, so that what it has signed can still be checked.
"""

import base64
import binascii
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guiju.core.durable import replace
from guiju.core.errors import GuijuError, Text, define

KEY_RING_DAMAGED = define(
    "KEY-RING-DAMAGED",
    status=500,
    kind="server_error",
    zh=Text("密钥目录文件 {path} 无法读取：{reason}。", "没有签名，也没有采信任何签名；密钥文件未被改动。", "请从备份恢复该文件。"),
    en=Text(
        "The ring of site keys {path} cannot be read: {reason}.",
        "Nothing was signed and no signature was relied on; the key files are unchanged.",
        "Restore the file from a backup.",
    ),
)

RING: Final = "site.json"
FIRST: Final = "site.key"
_PUBLIC_BYTES: Final = 32


class SiteKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the site. Sizes are numbers of records: the key may sign checkpoints from `from_size` to `until_size`."""

    public: str
    """The 32 bytes in base64."""
    file: str
    """Name of the file with the private half."""
    state: Literal["planned", "signing", "leaving", "retired"] = "signing"
    from_size: int = 0
    from_at: str = ""
    leaves_at: str = ""
    """When it stops signing; set once its successor signs."""
    until_size: int | None = None
    until_at: str = ""
    endorsement: str = ""
    """The signed note in which the key before it names it; empty for the first."""

    def public_key(self) -> Ed25519PublicKey:
        """Return the public half."""
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public))

    def covers(self, size: int) -> bool:
        """Tell whether a checkpoint over `size` records may carry its signature."""
        return self.state != "planned" and self.from_size <= size and (self.until_size is None or size <= self.until_size)


Ring = tuple[SiteKey, ...]


def public_text(key: Ed25519PublicKey) -> str:
    """Return a public key as the ring writes it."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def find_ring(folder: Path) -> Ring | None:
    """Return the ring, oldest key first; None when no key was ever changed. Raises KEY-RING-DAMAGED."""
    path = folder / RING
    try:
        ring = msgspec.json.decode(path.read_bytes(), type=Ring)
        if [len(base64.b64decode(key.public, validate=True)) for key in ring] != [_PUBLIC_BYTES] * len(ring):
            raise ValueError("a public key has not 32 bytes")
        if [key.state for key in ring].count("signing") != 1:
            raise ValueError("not exactly one key signs")
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, binascii.Error, ValueError) as problem:
        raise GuijuError(KEY_RING_DAMAGED, path=path, reason=str(problem)) from problem
    return ring


def write_ring(folder: Path, ring: Ring) -> None:
    """Put a ring in force; a reader sees the old one or this one, also after a power cut."""
    replace(folder / RING, msgspec.json.format(msgspec.json.encode(ring), indent=1) + b"\n")


def signing_key(ring: Ring) -> SiteKey:
    """Return the key that signs: the newest that is in force."""
    return next(key for key in ring if key.state == "signing")
