"""SM2: the example of the standard, openssl in both directions, and everything that is no signature."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.labelling.containers.tests.samples import tool
from guiju.labelling.signatures import sm2
from guiju.labelling.signatures.keys import PublicKey, SigningKey, load_key, new_key, public_keys, public_pem, read_public_key

# GB/T 32918.5-2017, Annex A: key, message and signature of the worked example.
PUBLIC = bytes.fromhex(
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
PRIVATE = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
MESSAGE = b"message digest"
R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
SIGNATURE = encode_dss_signature(R, S)


def openssl_verifies(folder: Path, key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Ask openssl; of SM2 it needs the user id."""
    for name, content in (("key", public_pem(key).encode()), ("message", message), ("signature", signature)):
        (folder / name).write_bytes(content)
    sm = ("-digest", "sm3", "-pkeyopt", "distid:1234567812345678") if key.algorithm == "sm2" else ()
    command = [
        tool("openssl"), "pkeyutl", "-verify", "-pubin", "-inkey", str(folder / "key"), "-rawin", "-in", str(folder / "message"),
        "-sigfile", str(folder / "signature"), *sm,
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert "Signature Verified" in done.stdout or "Signature Verification Failure" in done.stdout, done.stderr
    return "Signature Verified Successfully" in done.stdout


def test_the_example_of_the_standard() -> None:
    assert sm2.sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert sm2.verify(PUBLIC, MESSAGE, SIGNATURE)
    assert not sm2.verify(PUBLIC, MESSAGE + b"s", SIGNATURE)


def test_openssl_verifies_what_we_sign(tmp_path: Path) -> None:
    for algorithm in ("sm2", "ed25519"):
        key = new_key(algorithm)
        made = key.sign(b"abc")
        assert openssl_verifies(tmp_path, key.public, b"abc", made)
        assert not openssl_verifies(tmp_path, key.public, b"abd", made)
    assert openssl_verifies(tmp_path, PublicKey(algorithm="sm2", raw=PUBLIC), MESSAGE, SIGNATURE)


@pytest.mark.parametrize("algorithm", ["SM2", "ed25519"])
def test_keys_of_openssl_are_read_and_what_it_signs_verifies(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "key.pem"
    subprocess.run([tool("openssl"), "genpkey", "-algorithm", algorithm, "-out", str(path)], check=True, capture_output=True, timeout=60)
    path.chmod(0o600)
    key = load_key(path)
    assert key.pem() == path.read_bytes()
    assert openssl_verifies(tmp_path, key.public, b"abc", key.sign(b"abc"))
    (tmp_path / "m").write_bytes(b"abc")
    sm = ("-digest", "sm3", "-pkeyopt", "distid:1234567812345678") if algorithm == "SM2" else ()
    command = [tool("openssl"), "pkeyutl", "-sign", "-inkey", str(path), "-rawin", "-in", str(tmp_path / "m"), *sm]
    made = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    assert key.public.verify(b"abc", made)
    assert not key.public.verify(b"abd", made)
    shown = subprocess.run([tool("openssl"), "pkey", "-in", str(path), "-pubout"], check=True, capture_output=True, timeout=60).stdout
    assert read_public_key(shown.decode()) == key.public
    assert public_pem(key.public).encode() == shown


def test_the_private_half_shows_nowhere_and_a_mixed_pair_signs_nothing(tmp_path: Path) -> None:
    key = new_key("sm2")
    assert key.private.hex() not in repr(key)
    assert str(key.private) not in repr(key)
    mixed = SigningKey(new_key("sm2").public, key.private)
    with pytest.raises(GuijuError, match="LABEL-SIGNING"):
        mixed.sign(b"abc")


def test_a_damaged_or_open_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "label.key"
    pem = new_key("sm2").pem()
    for content, mode, code in (
        (pem, 0o644, "KEY-FILE-OPEN"),
        (b"", 0o600, "KEY-FILE-DAMAGED"),
        (pem[:-60], 0o600, "LABEL-KEY-DAMAGED"),
        (pem.replace(b"MIGH", b"MIGI"), 0o600, "LABEL-KEY-DAMAGED"),
        (pem * 2, 0o600, "LABEL-KEY-DAMAGED"),
        (pem.replace(b"PRIVATE", b"ENCRYPTED PRIVATE"), 0o600, "LABEL-KEY-DAMAGED"),
        (b"x" * 70_000, 0o600, "LABEL-KEY-DAMAGED"),
    ):
        path.write_bytes(content)
        path.chmod(mode)
        with pytest.raises(GuijuError, match=code):
            load_key(path)
    with pytest.raises(GuijuError, match="KEY-FILE-MISSING"):
        load_key(tmp_path / "none")


def test_every_form_of_a_key_is_read() -> None:
    key = PublicKey(algorithm="sm2", raw=PUBLIC)
    x, odd = PUBLIC[:32], PUBLIC[63] % 2
    compressed = bytes([2 + odd]) + x
    for form in (
        key.spki,
        b"\x04" + PUBLIC,
        PUBLIC,
        compressed,
        bytes.fromhex("3039301306072a8648ce3d020106082a811ccf5501822d032200") + compressed,
    ):
        assert public_keys("sm2", form.hex()) == [key]
        assert public_keys("sm2", form.hex().upper()) == [key]
    for form in (x, b"\0" + x):
        both = public_keys("sm2", form.hex())
        assert key in both
        assert len(both) == 2
    for wrong in (
        "",
        "zz",
        "04" + "00" * 64,
        "05" + PUBLIC.hex(),
        PUBLIC.hex()[:-2],
        PUBLIC.hex()[:-1] + "0",
        next(f"{x:064x}" for x in range(2, 99) if sm2.points_over(x) is None),
        f"{sm2.P + 1:064x}",
        "0" * 1_000_000,
        "é" * 64,
    ):
        assert public_keys("sm2", wrong) == [], wrong[:80]


def test_numbers_at_the_edges_are_no_signature() -> None:
    top = sm2.N
    for r, s in ((0, S), (R, 0), (R, top), (top, S), (R + top, S), (R, top - R), (R, S + top), (top - 1, 1)):
        assert not sm2.verify(PUBLIC, MESSAGE, encode_dss_signature(r, s)), (r, s)
    for wrong in (
        b"",
        SIGNATURE[:-1],
        SIGNATURE + b"\0",
        b"\x30\x80" + SIGNATURE[2:] + b"\0\0",
        b"\x30\x06\x02\x01\xff\x02\x01\xff",
        bytes(200),
    ):
        assert not sm2.verify(PUBLIC, MESSAGE, wrong)
    off_curve = PUBLIC[:-1] + bytes([PUBLIC[-1] ^ 1])
    over = next(x for x in range(1, 99) if sm2.points_over(x))
    y = (sm2.points_over(over) or (b"",))[0][32:]
    assert sm2.is_point(over.to_bytes(32, "big") + y)
    for wrong in (off_curve, bytes(64), b"", PUBLIC[:63], PUBLIC + b"\0", (over + sm2.P).to_bytes(32, "big") + y):
        assert not sm2.is_point(wrong)
        assert not sm2.verify(wrong, MESSAGE, SIGNATURE)
    assert not sm2.verify(bytes(64), MESSAGE, SIGNATURE)
    beyond = (int.from_bytes(PUBLIC[:32], "big") + sm2.P).to_bytes(33, "big")[-32:] + PUBLIC[32:]
    assert not sm2.verify(beyond, MESSAGE, SIGNATURE)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 8 * len(SIGNATURE) - 1))
def test_no_changed_bit_of_a_signature_verifies(place: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[place // 8] ^= 1 << place % 8
    assert not sm2.verify(PUBLIC, MESSAGE, bytes(changed))


@settings(max_examples=25, deadline=None)
@given(message=st.binary(max_size=300))
def test_the_library_and_our_arithmetic_agree(message: bytes) -> None:
    import gmssl_pyx

    made = gmssl_pyx.sm2_sign(PRIVATE, PUBLIC, message)
    assert sm2.verify(PUBLIC, message, made)
    assert not sm2.verify(PUBLIC, message + b"\0", made)
    ours = SigningKey(PublicKey(algorithm="sm2", raw=PUBLIC), PRIVATE).sign(message)
    assert gmssl_pyx.sm2_verify(PUBLIC, message, ours)
