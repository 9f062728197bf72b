"""C2PA: a manifest that binds the whole file, signed after everything else, and the look at one that is there.

The Chinese label comes first and stays: C2PA does not replace it. Whatever changes a file after its manifest breaks the manifest, so
the order is pixels, explicit label, metadata label, manifest. Nothing here asks a network: no time stamp, no remote manifest, no OCSP.
Source: C2PA 2.x; the reference implementation by way of the extra `c2pa`.
"""

import io
import os
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import guiju
from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import read_key_file
from guiju.labelling.containers import find_container
from guiju.labelling.containers.boxes import Boxes
from guiju.labelling.containers.source import Broken, Source
from guiju.labelling.files import read, read_file
from guiju.labelling.values import CredentialsFinding, Damaged

if TYPE_CHECKING:
    import c2pa

MEDIA_TYPES: Final = {
    "PNG": "image/png", "JPEG": "image/jpeg", "WebP": "image/webp", "GIF": "image/gif", "TIFF": "image/tiff", "HEIF": "image/heic", "SVG": "image/svg+xml",
    "WAV": "audio/wav", "MP3": "audio/mpeg", "FLAC": "audio/flac", "MP4": "video/mp4", "AVI": "video/x-msvideo", "PDF": "application/pdf",
}  # fmt: skip
"""Name of a container → media type, where the library can put a manifest; Ogg, Matroska and packed documents it cannot."""
_BRANDED: Final = {
    ("HEIF", b"avif"): "image/avif", ("HEIF", b"avis"): "image/avif", ("MP4", b"qt  "): "video/quicktime", ("MP4", b"M4A "): "audio/mp4",
}  # fmt: skip
GENERATED: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_OFFLINE: Final[dict[str, Any]] = {
    "core": {"backing_store_memory_threshold_in_mb": 8},  # what the library makes on its way lies in an unnamed file, not in memory
    "verify": {"verify_after_sign": True, "verify_trust": False, "ocsp_fetch": False, "remote_manifest_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
SIZE_LIMIT_BYTES: Final = 256 * 2**20
"""Larger files are neither signed nor examined: of some forms the library holds twice the file in memory."""
FILM_LIMIT_BYTES: Final = 4 * 2**30
"""As much of a film whose samples lie in one part, which is signed in pieces and needs 15 MB; others are signed up to the limit above.

A manifest is looked at up to here in any film: whoever signed it otherwise, the library holds 530 MB at most.
"""
_FILMS: Final = ("video/mp4", "video/quicktime", "audio/mp4")
_PIECES_FROM_BYTES: Final = 16 * 2**20
_PIECE_KIB: Final = 4096
_CHAIN_LIMIT: Final = 8
_SHOWN_CHARACTERS: Final = 200

CREDENTIALS_LIBRARY = define(
    "LABEL-CREDENTIALS-LIBRARY",
    status=500,
    kind="server_error",
    zh=Text("没有安装 C2PA 所需的软件包 c2pa-python。", "没有签署，文件未改动，也未送出。", "请运行 pip install 'guiju[c2pa]'，或删去设置中的 c2pa_ 各项。"),
    en=Text(
        "The package c2pa-python, which makes C2PA manifests, is not installed.",
        "Nothing was signed; the file is unchanged and was not delivered.",
        "Run pip install 'guiju[c2pa]', or take the c2pa_ settings out.",
    ),
)  # fmt: skip
CREDENTIALS_UNUSABLE = define(
    "LABEL-CREDENTIALS-UNUSABLE",
    status=500,
    kind="server_error",
    zh=Text("{path} 不能用于签署 C2PA：{reason_zh}。", "没有签署，文件未改动，也未送出。", "请提供从签名证书开始的 PEM 证书链和它的私钥（ES256、ES384 或 Ed25519，PKCS #8，未加密）。"),
    en=Text(
        "{path} cannot sign C2PA manifests: {reason_en}.",
        "Nothing was signed; the file is unchanged and was not delivered.",
        "Give a chain of PEM certificates that begins with the signer's, and its key (ES256, ES384 or Ed25519, PKCS #8, not encrypted).",
    ),
)  # fmt: skip
CREDENTIALS_FAILED = define(
    "LABEL-CREDENTIALS-FAILED",
    status=500,
    kind="server_error",
    zh=Text("{container} 文件不能签署 C2PA：{reason}。", "原文件未改动，新文件已弃去，未送出。", "请改用 docs/label-signatures.md 所列的格式，或检查证书；不需要 C2PA 时删去设置中的 c2pa_ 各项。"),
    en=Text(
        "The {container} file cannot be signed with C2PA: {reason}.",
        "The original is unchanged; the new file was discarded and not delivered.",
        "Use one of the forms in docs/label-signatures.md, or look at the certificates; where no C2PA is needed, take the c2pa_ settings out.",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs manifests: a chain in PEM that begins with the signer's certificate, and its key in PEM, which shows in no `repr`."""

    chain: bytes
    algorithm: Literal["es256", "es384", "ed25519"]
    key: bytes = field(repr=False)


def load_credentials(chain: Path, key: Path) -> Credentials:
    """Return what signs, looked at: the key is the certificate's, and the certificate valid now.

    Raises LABEL-CREDENTIALS-UNUSABLE, and the KEY-FILE- errors for the key: its mode must be 0600.
    """
    try:
        raw = chain.read_bytes()
        certificates = x509.load_pem_x509_certificates(raw)
    except OSError as error:
        raise _unusable(chain, error.strerror or "–", error.strerror or "–") from error
    except ValueError as error:
        raise _unusable(chain, "不是 PEM 证书链", "it is no chain of PEM certificates") from error
    if len(certificates) > _CHAIN_LIMIT:
        raise _unusable(chain, "证书过多", "there are too many certificates")
    private = read_key_file(key, wanted=0)
    try:
        loaded = serialization.load_pem_private_key(private, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(key, "不是未加密的 PEM 私钥", "it is no unencrypted PEM key") from error
    leaf = certificates[0]
    if _spki(leaf.public_key()) != _spki(loaded.public_key()):
        raise _unusable(key, "与第一张证书不成对", "it does not belong to the first certificate")
    now = datetime.now(UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise _unusable(chain, "第一张证书不在有效期内", "the first certificate is not valid now")
    algorithm: Literal["es256", "es384", "ed25519"]
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        algorithm = "ed25519"
    elif isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.name in ("secp256r1", "secp384r1"):
        algorithm = "es256" if loaded.curve.name == "secp256r1" else "es384"
    else:
        raise _unusable(key, "不是 P-256、P-384 或 Ed25519 密钥", "it is no key of P-256, P-384 or Ed25519")
    pem = loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Credentials(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates), algorithm, pem)


def _spki(key: Any) -> bytes:
    der: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return der


def _unusable(path: Path, zh: str, en: str) -> GuijuError:
    return GuijuError(CREDENTIALS_UNUSABLE, path=path, reason_zh=zh, reason_en=en)


# ── signing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def sign(data: bytes, credentials: Credentials, *, original: bytes | None = None) -> bytes:
    """Return the labelled file with a manifest over all of it; the label in it is read back, and the manifest verified.

    `original` is the file as it came: where it carries a manifest of its own, that stays, as what this one was made from.
    Raises LABEL-CREDENTIALS-FAILED, also when the label did not survive, and LABEL-CREDENTIALS-LIBRARY.
    """
    out = io.BytesIO()
    name = _sign(Source(data), io.BytesIO(data), out, credentials, io.BytesIO(original) if original is not None else None)
    signed = out.getvalue()
    _look_again(name, read(data), read(signed), check(signed))
    return signed


def sign_file(labelled: Path, target: Path, credentials: Credentials, *, original: Path | None = None) -> None:
    """Write the signed file to `target`, which appears whole or not at all. Raises as `sign`."""
    handle, name = tempfile.mkstemp(prefix=".guiju-", dir=target.parent)
    made = Path(name)
    try:
        with labelled.open("rb") as source, os.fdopen(handle, "w+b") as out:
            if original is None:
                name = _sign(Source(source.fileno()), source, out, credentials, None)
            else:
                with original.open("rb") as came:
                    name = _sign(Source(source.fileno()), source, out, credentials, came)
        _look_again(name, read_file(labelled), read_file(made), check(made))
        made.chmod(labelled.stat().st_mode & 0o777)
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)


def _sign(source: Source, data: BinaryIO, out: BinaryIO, credentials: Credentials, original: BinaryIO | None) -> str:
    c2pa = library()
    container = find_container(source)
    name = "unknown" if container is None else container.name
    media_type = _media_type(source, name)
    if media_type is None:
        raise GuijuError(CREDENTIALS_FAILED, container=name, reason="this form takes no manifest here")
    in_pieces = _in_pieces(source, media_type)
    limit = FILM_LIMIT_BYTES if in_pieces else SIZE_LIMIT_BYTES
    if source.size > limit or (original is not None and original.seek(0, os.SEEK_END) > limit):
        raise GuijuError(CREDENTIALS_FAILED, container=name, reason=f"it is larger than {limit} bytes")
    if name == "PDF" and _is_signed(source):
        raise GuijuError(CREDENTIALS_FAILED, container=name, reason="it carries a signature of its own, and the library writes a PDF anew")
    parent = original is not None and check_stream(original, media_type).result != "none"
    action = {"action": "c2pa.edited.metadata"} if parent else {"action": "c2pa.created", "digitalSourceType": GENERATED}
    manifest = {
        "claim_generator_info": [{"name": "guiju", "version": guiju.__version__}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(credentials.algorithm, credentials.chain, credentials.key, None))
        core = {**_OFFLINE["core"], **({"merkle_tree_chunk_size_in_kb": _PIECE_KIB} if in_pieces else {})}
        with c2pa.Context(settings=c2pa.Settings.from_dict({**_OFFLINE, "core": core}), signer=signer) as context:
            builder = c2pa.Builder(manifest, context)
            if parent and original is not None:
                original.seek(0)
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
                builder.add_ingredient({"relationship": "parentOf"}, media_type, original)
            data.seek(0)
            builder.sign(media_type, data, out)
    except c2pa.C2paError as error:
        raise GuijuError(CREDENTIALS_FAILED, container=name, reason=_shown(str(error))) from error
    return name


def _in_pieces(source: Source, media_type: str) -> bool:
    """Tell whether a film is large and its samples lie in one part that says where it ends: only of such the library verifies pieces."""
    if media_type not in _FILMS or source.size < _PIECES_FROM_BYTES:
        return False
    try:
        parts = [each for each in Boxes(source).top() if each.kind in (b"mdat", b"moof")]
    except Broken:
        return False  # it fails to be read back, and says why
    return len(parts) == 1 and not parts[0].open


def _is_signed(source: Source) -> bool:
    container = find_container(source)
    try:
        return container is not None and any(note.startswith("signed") for note in container.examine(source).notes)
    except Broken:
        return False  # it fails to be read back, and says why


def takes_manifest(data: bytes) -> bool:
    """Tell whether a file is of a form and size that can be signed; HEIC cannot: the library moves its items and not all of their addresses."""
    source = Source(data)
    container = find_container(source)
    media_type = None if container is None else _media_type(source, container.name)
    if media_type is None or media_type == "image/heic":
        return False
    return len(data) <= (FILM_LIMIT_BYTES if _in_pieces(source, media_type) else SIZE_LIMIT_BYTES)


def _media_type(source: Source, name: str) -> str | None:
    """Return the media type under which the library takes a file; forms built of boxes are told apart by their chief brand."""
    brand = source.head(12)[8:12]
    return _BRANDED.get((name, brand)) or MEDIA_TYPES.get(name)


def _look_again(name: str, before: Any, after: Any, manifest: CredentialsFinding) -> None:
    if before is None or isinstance(before, Damaged):
        raise GuijuError(CREDENTIALS_FAILED, container=name, reason="it carries no label yet, and a manifest comes last")
    if after != before:
        raise GuijuError(CREDENTIALS_FAILED, container=name, reason="its label cannot be read any more once a manifest is put in")
    if manifest.result not in ("valid", "trusted"):
        raise GuijuError(CREDENTIALS_FAILED, container=name, reason=manifest.reason)


# ── looking at one that is there ────────────────────────────────────────────────────────────────────────────────────


def check(data: bytes | Path, *, roots: str = "") -> CredentialsFinding:
    """Return what the manifest in a file proves; never raises for what the file holds. `roots` are PEM certificates that are trusted."""
    if isinstance(data, bytes):
        return check_source(Source(data), roots)
    with data.open("rb") as opened:
        return check_source(Source(opened.fileno()), roots)


def check_source(source: Source, roots: str = "") -> CredentialsFinding:
    """Return what the manifest in an open source proves, as `check`."""
    try:
        container = find_container(source)
    except Broken:
        container = None
    media_type = _media_type(source, "unknown" if container is None else container.name)
    if media_type is None:
        return CredentialsFinding(result="unexamined", reason="manifests of this form are not read here")
    limit = FILM_LIMIT_BYTES if media_type in _FILMS else SIZE_LIMIT_BYTES
    if source.size > limit:
        return CredentialsFinding(result="unexamined", reason=f"a file of more than {limit} bytes is not examined")
    with source.stream() as data:
        return check_stream(data, media_type, roots)


def check_stream(data: BinaryIO, media_type: str, roots: str = "") -> CredentialsFinding:
    """Return what the manifest in an open file of this media type proves."""
    try:
        c2pa = library()
    except GuijuError:
        return CredentialsFinding(result="unexamined", reason="c2pa-python is not installed")
    settings = {**_OFFLINE, "verify": {**_OFFLINE["verify"], "verify_trust": bool(roots)}}
    if roots:
        settings["trust"] = {"trust_anchors": roots}
    try:
        data.seek(0)
        with (
            c2pa.Context(settings=c2pa.Settings.from_dict(settings)) as context,
            c2pa.Reader(media_type, data, context=context) as reader,
        ):
            return _told(reader.get_validation_state(), reader.get_validation_results(), reader.get_active_manifest())
    except c2pa.C2paError.ManifestNotFound:
        return CredentialsFinding(result="none", reason="there is no manifest")
    except (c2pa.C2paError, ValueError) as error:
        if str(error).startswith("Remote"):
            return CredentialsFinding(result="unexamined", reason="the manifest lies elsewhere and is not fetched")
        return CredentialsFinding(result="invalid", reason=f"the manifest cannot be read: {_shown(str(error))}")


def _told(state: str | None, results: Any, manifest: Any) -> CredentialsFinding:
    active = (results or {}).get("activeManifest") or {}
    failures = [str(each.get("code")) for each in active.get("failure") or ()]
    manifest = manifest or {}
    generators = [f"{each.get('name', '')} {each.get('version', '')}".strip() for each in manifest.get("claim_generator_info") or ()]
    signed = manifest.get("signature_info") or {}
    actions = [
        action
        for assertion in manifest.get("assertions") or ()
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in (assertion.get("data") or {}).get("actions") or ()
    ]
    result: Literal["trusted", "valid", "invalid"]
    if state == "Trusted":
        result, reason = "trusted", "the file is as it was signed, and a given root vouches for the signer"
    elif state == "Valid":
        result, reason = "valid", "the file is as it was signed; nothing vouches for the signer"
    else:
        result, reason = "invalid", ", ".join(dict.fromkeys(failures)) or str(state)
    return CredentialsFinding(
        result=result,
        reason=_shown(reason),
        generator=_shown(", ".join(generators)),
        signer=_shown(" · ".join(str(signed[key]) for key in ("issuer", "common_name") if signed.get(key))),
        generated=any(str(action.get("digitalSourceType", "")).endswith("rainedAlgorithmicMedia") for action in actions),
    )


def _shown(text: str) -> str:
    return text[:_SHOWN_CHARACTERS]


def library() -> "c2pa":
    """Return the library. Raises LABEL-CREDENTIALS-LIBRARY."""
    try:
        import c2pa
    except ImportError as error:
        raise GuijuError(CREDENTIALS_LIBRARY) from error
    return c2pa
