"""The keys with which the labels of this site are signed: one that signs for each provider and algorithm, and those before it.

`keys/labels.json` is the ring and the only truth; it is replaced whole. The private half of a key lies beside it in `label-<id>.key`
and is removed when another key takes its place; the public half stays, so that what it has signed can be verified for good.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from guiju.core.durable import replace, write_new
from guiju.core.errors import GuijuError, Text, define
from guiju.labelling.signatures.check import PinnedKey
from guiju.labelling.signatures.keys import ALGORITHM_IDS, Algorithm, PublicKey, SigningKey, load_key, new_key, public_keys, public_pem

RING: Final = "labels.json"

LABEL_KEY_RING = define(
    "LABEL-KEY-RING",
    status=500,
    kind="server_error",
    zh=Text("标识密钥目录文件 {path} 无法读取：{reason}。", "没有签名，也没有采信任何公钥；密钥文件未被改动。", "请从备份恢复该文件。"),
    en=Text(
        "The ring of label keys {path} cannot be read: {reason}.",
        "Nothing was signed and no key was relied on; the key files are unchanged.",
        "Restore the file from a backup.",
    ),
)
LABEL_KEY_MISSING = define(
    "LABEL-KEY-MISSING",
    status=500,
    kind="server_error",
    zh=Text(
        "没有提供者 {provider} 的 {algorithm} 标识签名密钥。", "没有签名，文件未改动，也未送出。", "请在设置中写明 signature 后运行 guiju publish，或运行 guiju label-keys rotate。"
    ),
    en=Text(
        "There is no {algorithm} key that signs labels of the provider {provider}.",
        "Nothing was signed; the file is unchanged and was not delivered.",
        "Set `signature` in the settings and run guiju publish, or run guiju label-keys rotate.",
    ),
)  # fmt: skip


class LabelKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the ring. `public` is the hex of its DER SubjectPublicKeyInfo."""

    id: str
    provider: str
    algorithm: Algorithm
    public: str
    state: Literal["signing", "retired"] = "signing"
    from_at: str
    until_at: str = ""

    @property
    def file(self) -> str:
        """Name of the file with the private half."""
        return f"label-{self.id}.key"

    def public_key(self) -> PublicKey:
        """Return the public half."""
        return public_keys(self.algorithm, self.public)[0]


Ring = tuple[LabelKey, ...]


def read_ring(folder: Path) -> Ring:
    """Return the keys, oldest first; empty where none was ever made. Raises LABEL-KEY-RING."""
    path = folder / RING
    try:
        ring = msgspec.json.decode(path.read_bytes(), type=Ring)
        if any([each.id for each in public_keys(key.algorithm, key.public)] != [key.id] for key in ring):
            raise ValueError("a public key does not have its id")
        signing = [(key.provider, key.algorithm) for key in ring if key.state == "signing"]
        if len(set(signing)) != len(signing):
            raise ValueError("two keys sign for one provider")
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, ValueError) as problem:
        raise GuijuError(LABEL_KEY_RING, path=path, reason=str(problem)) from problem
    return ring


def find_signing(ring: Ring, provider: str, algorithm: Algorithm) -> LabelKey | None:
    """Return the key that signs for this provider now."""
    return next((key for key in ring if (key.provider, key.algorithm, key.state) == (provider, algorithm, "signing")), None)


def load_signing_key(folder: Path, provider: str, algorithm: Algorithm) -> SigningKey:
    """Return the key that signs for this provider, its file read. Raises LABEL-KEY-MISSING, -RING, -DAMAGED, and the KEY-FILE- errors."""
    for _ in range(2):  # a key that has just been replaced leaves the ring first, then the folder
        with contextlib.suppress(GuijuError):
            return _load(folder, provider, algorithm)
    return _load(folder, provider, algorithm)


def _load(folder: Path, provider: str, algorithm: Algorithm) -> SigningKey:
    found = find_signing(read_ring(folder), provider, algorithm)
    if found is None:
        raise GuijuError(LABEL_KEY_MISSING, provider=provider, algorithm=algorithm)
    key = load_key(folder / found.file)
    if key.public.id != found.id:
        raise GuijuError(LABEL_KEY_RING, path=folder / RING, reason=f"{found.file} holds another key")
    return key


def put_in_force(
    folder: Path,
    provider: str,
    algorithm: Algorithm,
    *,
    given: SigningKey | None = None,
    keep: bool = False,
    before: Callable[[LabelKey, LabelKey | None], None] = lambda new, old: None,
) -> tuple[LabelKey, LabelKey | None]:
    """Let a new key, or the given one, sign for this provider; return it, and the key whose place it took, which signs no more.

    With `keep` a key that signs already stays. `before` is called with both once the new key's file lies there and nothing else has
    changed: it leaves the record. Killed at any instant, the next call goes on. Raises LABEL-SM-LIBRARY, LABEL-KEY-RING.
    """
    with _one_at_a_time(folder):
        ring = read_ring(folder)
        old = find_signing(ring, provider, algorithm)
        if old is not None and (keep or (given is not None and given.public.id == old.id)):
            return old, None
        key, at = given or new_key(algorithm), datetime.now(UTC).isoformat(timespec="seconds")
        new = LabelKey(id=key.public.id, provider=provider, algorithm=algorithm, public=key.public.spki.hex(), from_at=at)
        write_new(folder / new.file, key.pem())
        before(new, old)
        retired = None if old is None else msgspec.structs.replace(old, state="retired", until_at=at)
        ring = (
            *(retired if each is old and retired is not None else each for each in ring if (each.id, each.provider) != (new.id, provider)),
            new,
        )
        replace(folder / RING, msgspec.json.format(msgspec.json.encode(ring), indent=1) + b"\n")
        _tidy(folder, ring)
    return new, retired


def _tidy(folder: Path, ring: Ring) -> None:
    """Remove the private halves that sign no more, those too that a kill left before they were in the ring."""
    signing = {key.file for key in ring if key.state == "signing"}
    for path in folder.glob("label-*.key"):
        if path.name not in signing:
            path.unlink(missing_ok=True)


def pinned(ring: Ring) -> list[PinnedKey]:
    """Return the keys of this site as one that verifies takes them."""
    return [PinnedKey(provider=key.provider, key=key.public_key()) for key in ring]


def published(ring: Ring) -> dict[str, Any]:
    """Return what this site publishes of its keys: `guiju inspect --keys` reads it, and any OpenSSL its PEM."""
    return {
        "keys": [
            {
                "id": key.id,
                "provider": key.provider,
                "algorithm": key.algorithm,
                "alg_id": ALGORITHM_IDS[key.algorithm],
                "public_key": key.public,
                "pem": public_pem(key.public_key()),
                "state": key.state,
                "from": key.from_at,
                "until": key.until_at,
            }
            for key in ring
        ]
    }


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / ".labels.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
