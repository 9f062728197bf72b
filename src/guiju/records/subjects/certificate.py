"""The certificate of an erasure: a signed document, and its check without database or ledger. Pure.

{"certificate": "guiju-erasure-1", "id", "origin", "at", "subject", "reason", "asked_by", "approved_by", "keys", "records",
"contents", "remains", "public_key", "signature"}: the signature is Ed25519 by the site key over a line that names the form,
then the canonical JSON of everything else.
Source: Measures Art. 11; PIPL Art. 47.
"""

import base64
import binascii
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guiju.core.canonical import canonical_json
from guiju.core.errors import GuijuError
from guiju.records.log.note import parse_verifier, verifier_text
from guiju.records.log.proof import other_key
from guiju.records.log.report import Report, Step

FORM: Final = "guiju-erasure-1"
_SIGNED: Final = FORM.encode() + b"\n"
REMAINS: Final = (
    (
        "记录本身及其元数据（时间、类型、结论、计数、以本站密钥计算的文本指纹）按法定最短期限保留，并可继续证明。",
        "The records with their metadata (times, kinds, verdicts, counts, keyed fingerprints of texts) stay as long as the law asks, and still prove.",
    ),
    (
        "此前已在途、尚未入账的内容，入账时不再保留；只留其哈希。",
        "Content that was on its way at that time and is not on record yet is not kept when it arrives; only a hash is.",
    ),
    (
        "数据库备份、预写日志和 PostgreSQL 的旧行中可能仍有已包裹的密钥；更换主密钥并销毁原主密钥后，它们也无法打开。",
        "Backups, write-ahead logs and old rows of PostgreSQL may still hold the wrapped key; once the master key is rotated and the former one destroyed, they do not open.",
    ),
    (
        "无法读取而另存的条目封存在站点密钥之下，不属于任何主体，不在删除之列。",
        "Entries that could not be read are kept aside under the site's own key; they belong to no subject and are not part of the erasure.",
    ),
    ("此前导出或展示给他人的副本不受影响。", "Copies exported or shown to somebody before are not affected."),
)
NOT_PROVEN: Final = (
    ("公钥属于哪一家提供者：请从提供者以外的渠道核对。", "Whose key this is: compare it with what the provider published elsewhere."),
    (
        "别处没有密钥的副本：证书是提供者的声明，“remains”列出了已知的余留。",
        "That no copy of the key lies elsewhere: the certificate is the provider's statement; “remains” lists what is known to stay.",
    ),
)


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was destroyed; `id` is its number in the provider's table, `master` the id of the key that wrapped it."""

    id: int
    master: str
    created_at: str


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """How many records, from which to which number of the log; -1 when there are none."""

    count: int
    first_index: int
    last_index: int
    size_bytes: int = 0


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The document."""

    certificate: str
    id: str
    origin: str
    at: str
    subject: str
    reason: str
    asked_by: str
    approved_by: str
    request: str
    keys: tuple[Keys, ...]
    records: Extent
    contents: Extent
    remains: tuple[dict[str, str], ...]
    public_key: str = ""
    signature: str = ""


def sign_certificate(certificate: Certificate, key: Ed25519PrivateKey) -> bytes:
    """Return the canonical JSON of the certificate with public key and signature filled in."""
    named = msgspec.structs.replace(certificate, public_key=verifier_text(certificate.origin, key.public_key()), signature="")
    signature = base64.b64encode(key.sign(_message(named))).decode()
    return canonical_json(msgspec.to_builtins(msgspec.structs.replace(named, signature=signature)))


def remains() -> tuple[dict[str, str], ...]:
    """Return what an erasure leaves, in both languages, as certificates say it."""
    return tuple({"zh": zh, "en": en} for zh, en in REMAINS)


def is_certificate(document: Any) -> bool:
    """Tell whether a document says that it is a certificate of this kind."""
    return isinstance(document, dict) and "certificate" in document


def check_certificate(document: Any, trusted: Ed25519PublicKey | None = None) -> Report:
    """Return what a certificate proves, step by step; the first step that fails is the last one.

    `trusted` is the provider's public key from elsewhere; without it the key in the document is used, and step 3 says so.
    """
    # 1. The document has its form, and nothing besides: what is not signed must not be read.
    zh, en = "文件是一份删除证书", "The document is a certificate of erasure"
    try:
        certificate = msgspec.convert(document, Certificate)
        name, enclosed = parse_verifier(certificate.public_key)
        signature = base64.b64decode(certificate.signature, validate=True)
        problem = "" if certificate.certificate == FORM else f"its form is {certificate.certificate!r}"
        if canonical_json(msgspec.to_builtins(certificate)) != canonical_json(document):
            problem = "it holds something that is not signed"
        if base64.b64encode(signature).decode() != certificate.signature:
            problem = "its signature is not written in the one way"
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError, binascii.Error) as reason:
        return Report((Step(1, "fails", zh, en, str(reason)),), NOT_PROVEN)
    except GuijuError as reason:
        return Report((Step(1, "fails", zh, en, str(reason.facts["reason"])),), NOT_PROVEN)
    if problem:
        return Report((Step(1, "fails", zh, en, problem),), NOT_PROVEN)
    contents = certificate.contents
    detail = f"{certificate.id} · {certificate.at} · {certificate.subject} · {contents.count} contents, {len(certificate.keys)} keys"
    first = Step(1, "holds", zh, en, detail)

    # 2. It is signed by the key that it names, under the log's name.
    zh, en = f"证书有 {certificate.origin} 的有效签名", f"The certificate carries a valid signature of {certificate.origin}"
    detail = certificate.public_key if name == certificate.origin else f"the key is named {name}"
    holds = name == certificate.origin
    try:
        enclosed.verify(signature, _message(msgspec.structs.replace(certificate, signature="")))
    except InvalidSignature:
        holds, detail = False, "the signature does not fit the document"
    second = Step(2, "holds" if holds else "fails", zh, en, detail)
    if not holds:
        return Report((first, second), NOT_PROVEN)

    # 3. The key is the provider's.
    zh, en = "签名公钥就是提供者公布的公钥", "The signing key is the one that the provider published"
    if trusted is None:
        third = Step(3, "open", zh, en, "not compared: no key was given")
    else:
        same = trusted.public_bytes_raw() == enclosed.public_bytes_raw()
        given = verifier_text(certificate.origin, trusted)
        detail = given if same else other_key(verifier_text(certificate.origin, enclosed), given)
        third = Step(3, "holds" if same else "fails", zh, en, detail)
    return Report((first, second, third), NOT_PROVEN)


def _message(certificate: Certificate) -> bytes:
    document = msgspec.to_builtins(certificate)
    del document["signature"]
    return _SIGNED + canonical_json(document)
