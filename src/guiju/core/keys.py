"""The key files of a data folder: made once, never overwritten, readable by their owner only.

| file | what it is | who reads it |
|---|---|---|
| `site.key`, `site.pub` | Ed25519; signs bundles and checkpoints | paper side; the public half everybody |
| `site.json`, `site-<id>.key` | after a change of the site key: the ring of keys, and the newer ones | paper side, gateways the ring |
| `recorder.key`, `recorder.pub` | X25519; the spool is sealed to it | recorder; the public half by way of the bundle |
| `master.key` | 32 bytes; wraps the keys of subjects (core/master_keys.py tells how it is rotated) | recorder, records |
| `master-next.key`, `master-….key` | the master key of a rotation under way; those of earlier times, by id | recorder, records |
| `pseudonym.key` | 32 bytes; end users appear in records under an HMAC; the key of watermarks is derived from it | live side, by way of the bundle |
| `labels.json`, `label-<id>.key` | the ring of keys that sign labels, and their private halves (labelling/signatures/ring.py) | paper side; whoever labels files |
| `django.key` | text; signs sessions | console |
| `playground.key` | text; the API key of the console's playground | console, tour |
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from guiju.core.durable import write_new
from guiju.core.errors import GuijuError, Text, define
from guiju.core.site_keys import FIRST, Ring, SiteKey, find_ring, public_text, signing_key

KEY_FILE_MISSING = define(
    "KEY-FILE-MISSING",
    status=500,
    kind="server_error",
    zh=Text("缺少密钥文件 {path}。", "没有用它做任何事，其他文件不变。", "请从备份恢复该文件；若是新的数据目录，运行 guiju serve 会生成。"),
    en=Text(
        "The key file {path} is missing.",
        "Nothing was done with it; all other files are unchanged.",
        "Restore it from a backup; for a new data folder, guiju serve makes it.",
    ),
)
KEY_FILE_DAMAGED = define(
    "KEY-FILE-DAMAGED",
    status=500,
    kind="server_error",
    zh=Text("密钥文件 {path} 有 {size} 字节，应为 {wanted}。", "没有用它做任何事，文件未被改动。", "请从备份恢复该文件。"),
    en=Text(
        "The key file {path} has {size} bytes; it must have {wanted}.",
        "Nothing was done with it; the file is unchanged.",
        "Restore it from a backup.",
    ),
)
KEY_FILE_OPEN = define(
    "KEY-FILE-OPEN",
    status=500,
    kind="server_error",
    zh=Text(
        "密钥文件 {path} 的权限是 {mode}，他人可以读取。", "没有使用这个密钥。", "请运行 chmod 600 {path}；若他人可能已经读过，请更换密钥。"
    ),
    en=Text(
        "The key file {path} has mode {mode}: others can read it.",
        "The key was not used.",
        "Run chmod 600 {path}; if somebody may have read it, replace the key.",
    ),
)

KEY_BYTES: Final = 32
API_KEY_PREFIX: Final = "sk-guiju-"


def new_api_key() -> str:
    """Return a new API key: `sk-guiju-` and 256 random bits."""
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


def create_keys(folder: Path) -> None:
    """Make the key files that are missing; existing ones are left alone. Safe to call again after a kill."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    if find_ring(folder) is None:
        _create(folder / FIRST, lambda: Ed25519PrivateKey.generate().private_bytes_raw())
    _create(folder / "site.pub", lambda: load_site_key(folder).public_key().public_bytes_raw())
    _create(folder / "recorder.key", lambda: X25519PrivateKey.generate().private_bytes_raw())
    _create(folder / "recorder.pub", lambda: load_recorder_key(folder).public_key().public_bytes_raw())
    for name in ("master.key", "pseudonym.key"):
        _create(folder / name, lambda: os.urandom(KEY_BYTES))
    _create(folder / "django.key", lambda: secrets.token_urlsafe(48).encode())
    _create(folder / "playground.key", lambda: new_api_key().encode())


def create_site_key(folder: Path) -> tuple[str, Ed25519PublicKey]:
    """Make another Ed25519 key beside those that are there; return the name of its file and its public half."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key()
    name = f"site-{public.public_bytes_raw()[:8].hex()}.key"
    write_new(folder / name, key.private_bytes_raw())
    return name, public


def load_ring(folder: Path) -> Ring:
    """Return the site keys, oldest first. Raises the KEY- errors, as do all below."""
    return find_ring(folder) or (SiteKey(public=public_text(Ed25519PublicKey.from_public_bytes(_read(folder / "site.pub"))), file=FIRST),)


def load_site_key(folder: Path) -> Ed25519PrivateKey:
    """Return the key that signs bundles and checkpoints: of several the newest."""
    ring = find_ring(folder)
    return _load_private(folder, signing_key(ring).file if ring is not None else FIRST)


def load_signing_keys(folder: Path) -> tuple[Ed25519PrivateKey, ...]:
    """Return the keys that sign checkpoints now, the newest first; two while one follows the other."""
    for _ in range(3):  # a key that has just left is gone from the ring first, then from the folder
        with contextlib.suppress(GuijuError):
            return _signing_keys(folder)
    return _signing_keys(folder)


def _signing_keys(folder: Path) -> tuple[Ed25519PrivateKey, ...]:
    return tuple(_load_private(folder, key.file) for key in reversed(load_ring(folder)) if key.state in ("signing", "leaving"))


def load_site_public_key(folder: Path) -> Ed25519PublicKey:
    """Return the public half of the site key: of several the newest."""
    return signing_key(load_ring(folder)).public_key()


def load_accepted_public_keys(folder: Path) -> tuple[Ed25519PublicKey, ...]:
    """Return the public keys whose bundles are good now, the newest first."""
    return tuple(key.public_key() for key in reversed(load_ring(folder)) if key.state in ("signing", "leaving"))


def _load_private(folder: Path, name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(read_key_file(folder / name))


def load_recorder_key(folder: Path) -> X25519PrivateKey:
    """Return the key that opens the spool."""
    return X25519PrivateKey.from_private_bytes(read_key_file(folder / "recorder.key"))


def load_recorder_public_key(folder: Path) -> X25519PublicKey:
    """Return the public half of the recorder key."""
    return X25519PublicKey.from_public_bytes(_read(folder / "recorder.pub"))


def load_master_key(folder: Path) -> bytes:
    """Return the 32 bytes of `master.key`; `master_keys.load_master_keys` knows those of a rotation too."""
    return read_key_file(folder / "master.key")


def load_pseudonym_key(folder: Path) -> bytes:
    """Return the 32 bytes under which end users get their pseudonyms."""
    return read_key_file(folder / "pseudonym.key")


def load_watermark_key(folder: Path) -> bytes:
    """Return the 32 bytes of watermarks: derived from `pseudonym.key`, which they do not tell; whoever takes pictures apart gets them alone."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"guiju watermark 1").derive(load_pseudonym_key(folder))


def read_text_key(folder: Path, name: str) -> str:
    """Return the text of `django.key` or `playground.key`."""
    return read_key_file(folder / name, wanted=0).decode().strip()


def _create(path: Path, make: Callable[[], bytes]) -> None:
    if not path.exists():
        write_new(path, make())


def read_key_file(path: Path, wanted: int = KEY_BYTES) -> bytes:
    """Return the bytes of a secret key file. Raises the KEY-FILE- errors; `wanted` 0 takes any length but none."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        raise GuijuError(KEY_FILE_MISSING, path=path) from None
    if mode & 0o077:
        raise GuijuError(KEY_FILE_OPEN, path=path, mode=f"{mode:04o}")
    return _read(path, wanted)


def _read(path: Path, wanted: int = KEY_BYTES) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError:
        raise GuijuError(KEY_FILE_MISSING, path=path) from None
    if len(raw) != wanted if wanted else not raw:
        raise GuijuError(KEY_FILE_DAMAGED, path=path, size=len(raw), wanted=wanted or "> 0")
    return raw
