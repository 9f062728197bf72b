"""The proof that one record is in the log, as a document, and its check. Pure: needs neither database nor ledger.

{"proof": "guiju-record-1", "index", "size", "path": [base64], "body": text, "checkpoint": text, "public_key": text}

For the public there is a proof without the record, "guiju-leaf-1": `leaf`, the hash of the record, in place of `body`.
"""

import base64
import binascii
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guiju.core.canonical import canonical_json
from guiju.core.errors import GuijuError
from guiju.records.log.merkle import leaf_hash, root_from_inclusion
from guiju.records.log.note import parse_verifier, stated_checkpoint, verifier_text, verify
from guiju.records.log.report import Report, Step

FORM: Final = "guiju-record-1"
LEAF_FORM: Final = "guiju-leaf-1"
_HASH_BYTES: Final = 32
NOT_PROVEN: Final = (
    ("公钥属于哪一家提供者：请从提供者以外的渠道核对。", "Whose key this is: compare it with what the provider published elsewhere."),
    (
        "记录所述之事是否属实：只证明签发检查点之后没有改动过。",
        "That what the record says is true: only that it has not changed since the checkpoint.",
    ),
)


LEAF_NOT_PROVEN: Final = (
    *NOT_PROVEN,
    (
        "这一叶子对应哪条记录：提供者或有权机关可出示记录原文，其 SHA-256 即为叶子。",
        "Which record the leaf is of: the provider, or an authority, can show the record, whose SHA-256 is the leaf.",
    ),
)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The document; `body` is the record's canonical JSON, `checkpoint` a signed note, `public_key` a verifier line."""

    proof: str
    index: int
    size: int
    path: tuple[str, ...]
    body: str
    checkpoint: str
    public_key: str


class LeafProof(msgspec.Struct, frozen=True, kw_only=True):
    """The document without the record; `leaf` is its SHA-256."""

    proof: str
    index: int
    size: int
    path: tuple[str, ...]
    leaf: str
    checkpoint: str
    public_key: str


def make_proof(index: int, body: bytes, path: list[bytes], checkpoint: bytes, size: int, origin: str, key: Ed25519PublicKey) -> Proof:
    """Return the document for one record."""
    texts = tuple(base64.b64encode(step).decode() for step in path)
    return Proof(
        proof=FORM,
        index=index,
        size=size,
        path=texts,
        body=body.decode(),
        checkpoint=checkpoint.decode(),
        public_key=verifier_text(origin, key),
    )


def check_proof(document: Any, trusted: Ed25519PublicKey | None = None) -> Report:
    """Return what a proof document proves, step by step; the first step that fails is the last one.

    `trusted` is the provider's public key from elsewhere: the checkpoint must carry its signature. Without it the key in the
    document is used, and step 5 says so.
    """
    steps: list[Step] = []

    def note(holds: bool, zh: str, en: str, detail: str = "") -> bool:
        steps.append(Step(len(steps) + 1, "holds" if holds else "fails", zh, en, detail))
        return holds

    def report() -> Report:
        return Report(tuple(steps), NOT_PROVEN)

    # 1. The document has its form, and the record in it is the one way of writing it; its hash is the leaf.
    zh, en = "记录的哈希就是日志的叶子", "The record's hash is the leaf of the log"
    try:
        proof = msgspec.convert(document, Proof)
        path = [_hash(text) for text in proof.path]
        body = proof.body.encode()
        record = msgspec.json.decode(body, type=dict[str, Any])
        problem = "" if proof.proof == FORM and canonical_json(record) == body else "the record is not in its one form"
    except (msgspec.ValidationError, msgspec.DecodeError, TypeError, ValueError, RecursionError) as reason:
        note(False, zh, en, str(reason))
        return report()
    leaf = sha256(body).digest()
    if not note(not problem, zh, en, problem or f"{record.get('id')} · {leaf.hex()}"):
        return report()

    _follow(proof, leaf, path, trusted, steps, note)
    return report()


def make_leaf_proof(document: Proof) -> dict[str, Any]:
    """Return the proof of a record without the record: its leaf alone, which commits to it and tells nothing of it."""
    facts = msgspec.to_builtins(document)
    return {
        **{name: value for name, value in facts.items() if name != "body"},
        "proof": LEAF_FORM,
        "leaf": sha256(document.body.encode()).hexdigest(),
    }


def check_leaf_proof(document: Any, trusted: Ed25519PublicKey | None = None) -> Report:
    """Return what the proof of a leaf proves, step by step, as `check_proof` does for a whole record."""
    steps: list[Step] = []

    def note(holds: bool, zh: str, en: str, detail: str = "") -> bool:
        steps.append(Step(len(steps) + 1, "holds" if holds else "fails", zh, en, detail))
        return holds

    zh, en = "文件写明一个叶子", "The document states a leaf"
    try:
        proof = msgspec.convert(document, LeafProof)
        path = [_hash(text) for text in proof.path]
        leaf = bytes.fromhex(proof.leaf)
        problem = "" if proof.proof == LEAF_FORM and len(leaf) == _HASH_BYTES else "it is no proof of a leaf"
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as reason:
        note(False, zh, en, str(reason))
        return Report(tuple(steps), LEAF_NOT_PROVEN)
    if note(not problem, zh, en, problem or leaf.hex()):
        _follow(proof, leaf, path, trusted, steps, note)
    return Report(tuple(steps), LEAF_NOT_PROVEN)


def is_leaf_proof(document: Any) -> bool:
    """Tell whether a document says that it proves a leaf."""
    return isinstance(document, dict) and document.get("proof") == LEAF_FORM


def _follow(
    proof: "Proof | LeafProof",
    leaf: bytes,
    path: list[bytes],
    trusted: Ed25519PublicKey | None,
    steps: list[Step],
    note: Callable[..., bool],
) -> None:
    """Note the steps 2 to 5, from the leaf to the provider's key; the first that fails is the last."""
    # 2. Leaf and path lead to a root.
    zh, en = f"第 {proof.index} 号叶子经 {len(path)} 步到达树根", f"Leaf {proof.index} leads to a root in {len(path)} steps"
    try:
        root = root_from_inclusion(leaf_hash(leaf), proof.index, proof.size, path)
    except GuijuError as reason:
        note(False, zh, en, str(reason.facts["reason"]))
        return
    note(True, zh, en, root.hex())

    # 3. The checkpoint states exactly this size and this root.
    zh, en = f"检查点写明 {proof.size} 条记录和同一树根", f"The checkpoint states {proof.size} records and the same root"
    try:
        stated = stated_checkpoint(proof.checkpoint.encode())
    except GuijuError as reason:
        note(False, zh, en, str(reason.facts["reason"]))
        return
    if not note(stated.size == proof.size and stated.root == root, zh, en, f"{stated.origin} · {stated.size} · {stated.root.hex()}"):
        return

    # 4. The checkpoint is signed under the log's name.
    zh, en = f"检查点有 {stated.origin} 的有效签名", f"The checkpoint carries a valid signature of {stated.origin}"
    try:
        name, enclosed = parse_verifier(proof.public_key)
        verify(proof.checkpoint.encode(), stated.origin, enclosed)
        detail = "" if name == stated.origin else f"the key is named {name}"
    except GuijuError as reason:
        detail = str(reason.facts["reason"])
    if not note(not detail, zh, en, detail or proof.public_key):
        return

    # 5. The key is the provider's.
    zh, en = "签名公钥就是提供者公布的公钥", "The signing key is the one that the provider published"
    if trusted is None:
        steps.append(Step(5, "open", zh, en, "not compared: no key was given"))
    else:
        given = verifier_text(stated.origin, trusted)
        signs = _signs(trusted, proof.checkpoint, stated.origin)
        note(signs, zh, en, given if signs else other_key(proof.public_key, given))


def other_key(signing: str, given: str) -> str:
    """Return what a check says of a key that is another than the one given."""
    return (
        f"signed by {signing}, given was {given}; if the former is an earlier key of this provider, check with its line from "
        "`guiju records site-keys` 签名用的是另一把公钥；若它是该提供者此前的公钥，请用 site-keys 列出的那一行核对"
    )


def _signs(key: Ed25519PublicKey, checkpoint: str, origin: str) -> bool:
    """Tell whether this key signed the checkpoint: while one key follows another, two have."""
    try:
        return bool(verify(checkpoint.encode(), origin, key))
    except GuijuError:
        return False


def _hash(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as problem:
        raise ValueError(str(problem)) from None
    if len(raw) != _HASH_BYTES or base64.b64encode(raw).decode() != text:
        raise ValueError("a step of the path is not a hash")
    return raw
