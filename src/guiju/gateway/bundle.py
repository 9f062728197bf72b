"""The bundle: all that the live side knows, in one immutable, content-hashed, signed file.

The paper side publishes `<hash>.bundle` and then renames `current` over the old one; `current` holds the hash.
Workers look at `current` a few times a second and swap to the new bundle whole, or stay on the old one whole.

File format: 64 bytes Ed25519 signature, then the MessagePack of `Bundle`. The hash in the name is SHA-256 of the
MessagePack. A bundle that does not verify is never loaded.
"""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guiju.core.errors import GuijuError, Text, define
from guiju.labelling.values import Label
from guiju.screening.answers.values import ApprovedAnswer
from guiju.screening.values import ClassifierUse, LibraryEntry, Policy

BUNDLE_INVALID = define(
    "BUNDLE-INVALID",
    status=500,
    kind="server_error",
    zh=Text("运行包 {path} 无法使用：{reason}。", "仍按上一个运行包提供服务；首次启动则不提供服务。", "请重新发布运行包：guiju publish。"),
    en=Text(
        "The bundle {path} cannot be used: {reason}.",
        "The last bundle stays in force; at a first start nothing is served.",
        "Publish it again: guiju publish.",
    ),
)


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A model server that speaks the OpenAI API. The key itself is never in a bundle, only where to find it."""

    name: str
    base_url: str
    api_key_env: str = ""
    api_key_file: str = ""
    models: tuple[str, ...] = ()
    """Model names offered; empty offers whatever the upstream lists."""
    rename: dict[str, str] = msgspec.field(default_factory=dict)
    """Public model name → the upstream's own name."""
    supplier: str = ""
    """Who runs the model, as records name it."""
    model_version: dict[str, str] = msgspec.field(default_factory=dict)
    """The upstream's own name → the version that runs; likewise the two below."""
    weights_sha256: dict[str, str] = msgspec.field(default_factory=dict)
    filing_number: dict[str, str] = msgspec.field(default_factory=dict)
    connect_timeout_ms: int = 5_000
    first_byte_timeout_ms: int = 60_000
    idle_timeout_ms: int = 60_000
    max_connections: int = 1_000


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """Something elsewhere that judges texts. The key itself is never in a bundle, only where to find it."""

    name: str
    kind: Literal["qwen3guard", "json_chat", "openai_moderation", "webhook"]
    base_url: str
    model: str = ""
    api_key_env: str = ""
    api_key_file: str = ""
    directions: Literal["both", "input", "output"] = "both"
    timeout_ms: int = 2_000
    connect_timeout_ms: int = 1_000
    concurrency: int = 64
    """Requests to it at a time from one worker; `queue` more may wait."""
    queue: int = 256
    every_characters: int = 100
    """A streamed text is examined at ends of clauses, and at the latest after so many characters."""
    window_characters: int = 4_000
    """So much of a text is shown at once; a longer one is shown in several parts."""
    lag_characters: int = 400
    """Where text goes on while it is examined, it runs ahead by no more than this."""
    breaker_failures: int = 5
    breaker_window_ms: int = 10_000
    breaker_open_ms: int = 5_000


class GuardUse(msgspec.Struct, frozen=True, kw_only=True):
    """Which guards a service has, and what waits for them."""

    guards: tuple[str, ...] = ()
    input: Literal["wait", "alongside"] = "wait"
    """Whether the first byte of an answer waits until the input is examined; the end of an answer always does."""
    release: Literal["after_guard", "alongside"] = "after_guard"
    """Whether a streamed text waits until it is examined, or leaves and is retracted."""
    could_not_examine: Literal["stop", "deliver"] = "stop"
    moderations: Literal["on", "off"] = "off"
    """Whether texts sent to /v1/moderations are shown to the guards too."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service offered to the public."""

    id: str
    name_zh: str
    name_en: str
    upstreams: tuple[str, ...]
    review_sample_per_mille: int = -1
    """How many of a thousand exchanges people review; -1 in a settings file only: as `[screening]` says."""
    classifier: ClassifierUse = "evidence"
    """What the classifier's finds are to this service."""
    policy: Policy = Policy()
    label: Label = Label()
    guard: GuardUse = GuardUse()


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key in force; revoked keys are listed too, so that their use is told apart from an unknown key."""

    id: str
    sha256: bytes
    service: str
    revoked: bool = False


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient who may have answers without the explicit label, until an instant (seconds since 1970). Source: Labelling Measures Art. 9."""

    id: str
    service: str
    subject: str
    """Pseudonym of the recipient."""
    agreement: str
    """Version of the agreement that fixes the recipient's duty to label."""
    until_s: int


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and times of the live path."""

    body_bytes: int = 10 * 2**20
    answer_bytes: int = 16 * 2**20
    body_idle_ms: int = 20_000
    client_idle_ms: int = 60_000
    """How long a client may take no byte of its answer, whole or streamed; one that takes it slowly is waited for."""
    concurrent_requests: int = 2_000
    spool_bytes: int = 4 * 2**30
    drain_ms: int = 30_000
    heartbeat_ms: int = 60_000


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures, sounds and films on their way out: how large, how labelled, how long they are kept under an address of ours."""

    file_bytes: int = 128 * 2**20
    store_bytes: int = 8 * 2**30
    keep_minutes: int = 60
    public_url: str = ""
    """Where clients reach the gateway; empty takes what the request says."""
    fetch_hosts: tuple[str, ...] = ()
    """Hosts, as `name` or `name:port`, whose files are fetched although they are no public address, over http too."""
    fetch_timeout_ms: int = 60_000
    label_processes: int = 1
    label_timeout_ms: int = 120_000
    label_memory_bytes: int = 3 * 2**30


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the live side reads."""

    version: int = 1
    issued_at: str
    services: tuple[Service, ...]
    upstreams: tuple[Upstream, ...]
    keys: tuple[Key, ...]
    waivers: tuple[Waiver, ...] = ()
    guards: tuple[Guard, ...] = ()
    limits: Limits = Limits()
    media: Media = Media()
    classifier_version: str = ""
    """SHA-256 of the classifier's weights that were there when this was published."""
    library_version: str
    library: tuple[LibraryEntry, ...]
    answers_version: str = ""
    """Of the approved answers; empty where no bank is in force."""
    answers: tuple[ApprovedAnswer, ...] = ()
    recorder_public_key: bytes
    """X25519; the spool is sealed to it."""
    pseudonym_key: bytes
    """32 bytes; end users appear in records as HMAC-SHA256 under this key."""


__all__ = [
    "Bundle",
    "Guard",
    "GuardUse",
    "Key",
    "Label",
    "LibraryEntry",
    "Limits",
    "Media",
    "Policy",
    "Service",
    "Upstream",
    "Waiver",
    "current_hash",
    "load_bundle",
    "publish_bundle",
    "resign_bundle",
]

_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_DECODER = msgspec.msgpack.Decoder(Bundle)


def publish_bundle(bundle: Bundle, folder: Path, signing_key: Ed25519PrivateKey) -> str:
    """Write the bundle, put it in force and return its hash (64 hex digits). Older files stay for the record."""
    body = _ENCODER.encode(bundle)
    digest = hashlib.sha256(body).hexdigest()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_durably(folder / f"{digest}.bundle", signing_key.sign(body) + body)
    _write_durably(folder / "current", digest.encode())
    return digest


def current_hash(folder: Path) -> str:
    """Return the hash of the bundle in force. Raises BUNDLE-INVALID when none was published."""
    path = folder / "current"
    try:
        return path.read_text().strip()
    except OSError as problem:
        raise GuijuError(BUNDLE_INVALID, path=path, reason=problem.strerror) from problem


def load_bundle(folder: Path, digest: str, *public_keys: Ed25519PublicKey) -> Bundle:
    """Read one bundle and verify it by these keys. Raises BUNDLE-INVALID for anything but the signed bytes of that hash."""
    path = folder / f"{digest}.bundle"
    try:
        _, body = _verified(path, digest, public_keys)
        return _DECODER.decode(body)
    except msgspec.DecodeError as problem:
        raise GuijuError(BUNDLE_INVALID, path=path, reason=str(problem)) from problem


def resign_bundle(folder: Path, public_keys: Sequence[Ed25519PublicKey], signing_key: Ed25519PrivateKey) -> None:
    """Sign the bundle in force with another key: the same bytes under the same name. Workers that run do not notice.

    Raises BUNDLE-INVALID when none of `public_keys` has signed it before.
    """
    digest = current_hash(folder)
    path = folder / f"{digest}.bundle"
    signer, body = _verified(path, digest, public_keys)
    if signer.public_bytes_raw() != signing_key.public_key().public_bytes_raw():
        _write_durably(path, signing_key.sign(body) + body)


def _verified(path: Path, digest: str, public_keys: Sequence[Ed25519PublicKey]) -> tuple[Ed25519PublicKey, bytes]:
    """Return who signed a bundle file, and its body."""
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise GuijuError(BUNDLE_INVALID, path=path, reason=problem.strerror) from problem
    body = raw[64:]
    if hashlib.sha256(body).hexdigest() != digest:
        raise GuijuError(BUNDLE_INVALID, path=path, reason="its content does not have the hash in its name")
    for key in public_keys:
        with contextlib.suppress(InvalidSignature):
            key.verify(raw[:64], body)
            return key, body
    raise GuijuError(BUNDLE_INVALID, path=path, reason="its signature is not this site's")


def _write_durably(path: Path, content: bytes) -> None:
    """Replace `path` whole: a reader sees the old bytes or the new ones, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
