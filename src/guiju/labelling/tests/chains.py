"""Certificate chains made for a test: a root, and a signer below it as C2PA wants one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Chain:
    """PEM texts: signer and root in one, the signer's key, the root alone."""

    certificates: str
    key: str
    root: str

    def files(self, folder: Path) -> tuple[Path, Path]:
        """Write chain and key, and return their paths."""
        chain, key = folder / "chain.pem", folder / "chain.key"
        chain.write_text(self.certificates)
        key.write_text(self.key)
        key.chmod(0o600)
        return chain, key


def new_chain(algorithm: str = "es256", *, days: int = 20, name: str = "Test signer", ocsp: str = "") -> Chain:
    """Return a new chain; `days` until the signer's certificate ends, `ocsp` the address that its revocation is asked at."""
    digest = None if algorithm == "ed25519" else hashes.SHA256()
    root_key, key = _key(algorithm), _key(algorithm)
    root = _certificate("Test root", "Test root", root_key.public_key(), days + 1).add_extension(x509.BasicConstraints(True, None), True)
    root = root.add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
    root = root.add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), False)
    signer = _certificate(name, "Test root", key.public_key(), days).add_extension(x509.BasicConstraints(False, None), True)
    signer = signer.add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), True)
    signer = signer.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    signer = signer.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False)
    signer = signer.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    if ocsp:
        place = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp))
        signer = signer.add_extension(x509.AuthorityInformationAccess([place]), False)
    pem = [each.sign(root_key, digest).public_bytes(Encoding.PEM).decode() for each in (signer, root)]
    return Chain("".join(pem), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), pem[1])


def _key(algorithm: str) -> ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if algorithm == "es384" else ec.SECP256R1())


def _certificate(
    subject: str, issuer: str, key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey, days: int
) -> x509.CertificateBuilder:
    names = [
        x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, each)])
        for each in (subject, issuer)
    ]
    began = datetime.now(UTC) - timedelta(days=30)
    builder = (
        x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key).serial_number(x509.random_serial_number())
    )
    return builder.not_valid_before(began).not_valid_after(datetime.now(UTC) + timedelta(days=days))
