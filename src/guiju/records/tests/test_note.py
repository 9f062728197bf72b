"""Signed notes: the published example is read, ours are written the same way, and no altered one passes.

Guarded lines: `public_key.verify` and `if not seen` in `verify`; the canonical base64 of `_plain`.
"""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.records.log.note import (
    NOTE_INVALID,
    Checkpoint,
    parse_checkpoint,
    parse_verifier,
    sign,
    sign_checkpoint,
    signed_by,
    verifier_text,
    verify,
    verify_checkpoint,
)
from guiju.records.offline.tests.test_arithmetic import NOTES

# The example note of Go's note package.
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PUBLISHED = (
    f"{PUBLISHED_TEXT}\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
KEY = Ed25519PrivateKey.generate()
ORIGIN = "example.com/log"
CHECKPOINT = Checkpoint(ORIGIN, 42, bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, KEY)


def test_the_published_note_is_read() -> None:
    name, key = parse_verifier(PUBLISHED_KEY)
    assert verify(PUBLISHED, name, key) == PUBLISHED_TEXT


@pytest.mark.parametrize(("line", "note"), NOTES)
def test_other_published_notes_are_read(line: str, note: str) -> None:
    name, key = parse_verifier(line)
    assert verify(note.encode(), name, key) + "\n" in note


def test_a_published_signing_key_signs_as_published() -> None:
    """`PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz` of Go's note package."""
    seed = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert sign(PUBLISHED_TEXT, "PeterNeumann", key) == PUBLISHED
    assert verifier_text("PeterNeumann", key.public_key()) == PUBLISHED_KEY


def test_two_keys_sign_one_note() -> None:
    other = Ed25519PrivateKey.generate()
    note = sign_checkpoint(CHECKPOINT, KEY, other)
    for keys in ((KEY,), (other,), (other, KEY)):
        assert verify_checkpoint(note, ORIGIN, *[key.public_key() for key in keys]) == CHECKPOINT
    assert len(signed_by(note, ORIGIN, KEY.public_key(), other.public_key())[1]) == 2
    wrong = note[:-10] + (b"A" if note[-10:-9] != b"A" else b"B") + note[-9:]
    assert verify_checkpoint(wrong, ORIGIN, KEY.public_key()) == CHECKPOINT
    with pytest.raises(GuijuError):  # a wrong signature of a key that is known is no stranger's
        verify_checkpoint(wrong, ORIGIN, KEY.public_key(), other.public_key())


def test_a_checkpoint_comes_back() -> None:
    assert verify_checkpoint(NOTE, ORIGIN, KEY.public_key()) == CHECKPOINT
    assert parse_checkpoint(CHECKPOINT.text() + "an extension\n") == CHECKPOINT
    assert parse_verifier(verifier_text(ORIGIN, KEY.public_key()))[1].public_bytes_raw() == KEY.public_key().public_bytes_raw()


def test_signatures_of_others_are_passed_over() -> None:
    other = sign_checkpoint(CHECKPOINT, Ed25519PrivateKey.generate()).decode().partition("\n\n")[2]
    assert verify_checkpoint(NOTE + other.encode(), ORIGIN, KEY.public_key()) == CHECKPOINT


@given(st.integers(0, len(NOTE) - 1), st.integers(0, 7))
def test_any_flipped_bit_is_found(at: int, bit: int) -> None:
    altered = NOTE[:at] + bytes([NOTE[at] ^ 1 << bit]) + NOTE[at + 1 :]
    with pytest.raises(GuijuError) as told:
        verify_checkpoint(altered, ORIGIN, KEY.public_key())
    assert told.value.code is NOTE_INVALID


@pytest.mark.parametrize(
    "note",
    {
        "empty": b"",
        "not_utf8": b"\xff" + NOTE,
        "no_signature": CHECKPOINT.text().encode() + b"\n",
        "another_key": sign_checkpoint(CHECKPOINT, Ed25519PrivateKey.generate()),
        "another_log": sign(CHECKPOINT.text().replace("example", "exemple"), ORIGIN, KEY),
        "no_root": sign(f"{ORIGIN}\n42\n", ORIGIN, KEY),
        "short_root": sign(f"{ORIGIN}\n42\nAAAA\n", ORIGIN, KEY),
        "padded_size": sign(CHECKPOINT.text().replace("42", "042"), ORIGIN, KEY),
        "negative_size": sign(CHECKPOINT.text().replace("42", "-42"), ORIGIN, KEY),
        "carriage_return": NOTE.replace(b"\n", b"\r\n"),
        "no_last_line_feed": NOTE[:-1],
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_no_checkpoint_is_refused(note: tuple[str, bytes]) -> None:
    with pytest.raises(GuijuError) as told:
        verify_checkpoint(note[1], ORIGIN, KEY.public_key())
    assert told.value.code is NOTE_INVALID


def test_what_cannot_be_signed() -> None:
    for text, name in (("no line feed", "name"), ("text\n", "a name"), ("text\n", "a+name"), ("\x07\n", "name")):
        with pytest.raises(ValueError, match="note"):
            sign(text, name, KEY)


@pytest.mark.parametrize(
    "line", ["", "name", "name+00000000+AAAA", PUBLISHED_KEY.replace("c74f", "c74e"), PUBLISHED_KEY.replace("Peter", "Pieter")]
)
def test_what_is_no_public_key(line: str) -> None:
    with pytest.raises(GuijuError):
        parse_verifier(line)
