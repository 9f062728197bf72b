"""The arithmetic of the single file against published vectors and against the libraries that the rest of guiju uses.

Guarded lines: `scalar >= ORDER` and the comparison at the end of `verify_ed25519_plainly`; the order of `missing_nodes`;
`rest` and both roots at the end of `check_growth`.
"""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from guiju.core.canonical import canonical_json
from guiju.records.log.merkle import consistency_path, leaf_hash, root_of, subtree_of
from guiju.records.offline.ed25519 import ORDER, verify_ed25519, verify_ed25519_plainly
from guiju.records.offline.packrecords import _is_canonical_slowly, canonical_reader
from guiju.records.offline.report import Broken
from guiju.records.offline.signed import key_line, parse_key_line, split_note, text_signed_by
from guiju.records.offline.tree import check_growth, missing_nodes, root_from_leaves

# RFC 8032 §7.1, tests 1, 2, 3 and "SHA(abc)": public key, message, signature.
PUBLISHED = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]
# The example of the signed-note specification, and the two keys of Go's note package under one text.
SPECIFIED = (
    "This is an example message.\n\n"
    "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
OF_GO = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    "\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
NOTES = [
    ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", SPECIFIED),
    ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", OF_GO),
    ("EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop", OF_GO),
]


@pytest.mark.parametrize("verify", [verify_ed25519, verify_ed25519_plainly])
@pytest.mark.parametrize("vector", PUBLISHED)
def test_published_signatures_hold_and_no_other(verify, vector: tuple[str, str, str]) -> None:  # type: ignore[no-untyped-def]  # one of two functions
    public, message, signature = (bytes.fromhex(text) for text in vector)
    assert verify(public, signature, message)
    assert not verify(public, signature, message + b"x")
    assert not verify(public, signature[:-1], message)
    higher = int.from_bytes(signature[32:], "little") + ORDER  # the same scalar, written in another way
    assert not verify(public, signature[:32] + higher.to_bytes(32, "little"), message)
    for bit in range(0, 512, 7):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify(public, bytes(changed), message), bit


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 95), st.integers(0, 7))
def test_both_ways_of_checking_agree(seed: bytes, message: bytes, at: int, bit: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert verify_ed25519_plainly(public, signature, message)
    changed = bytearray(public + signature)
    changed[at] ^= 1 << bit
    assert not verify_ed25519_plainly(bytes(changed[:32]), bytes(changed[32:]), message)
    assert not verify_ed25519(bytes(changed[:32]), bytes(changed[32:]), message)


def test_a_key_that_is_no_point_or_written_otherwise_is_refused() -> None:
    for public in ((2).to_bytes(32, "little"), (2**255 - 18).to_bytes(32, "little"), (1 | 1 << 255).to_bytes(32, "little"), bytes(31)):
        assert not verify_ed25519(public, bytes(64), b"")
        assert not verify_ed25519_plainly(public, bytes(64), b"")


@pytest.mark.parametrize(("line", "note"), NOTES)
def test_published_notes_are_read(line: str, note: str) -> None:
    name, public = parse_key_line(line)
    assert key_line(name, public) == line
    assert text_signed_by(note.encode(), name, [public]) + "\n" in note
    assert [signer for signer, _, _ in split_note(note.encode())[1]].count(name) == 1
    for changed in (note.replace("is", "iz", 1), note.replace(f"\u2014 {name}", "\u2014 other"), note[:-1], note.replace("\n\n", "\n")):
        with pytest.raises(Broken):
            text_signed_by(changed.encode(), name, [public])
    for broken in (line[:-1], line.replace("+", "-"), line + "=", "x" + line):
        with pytest.raises(Broken):
            parse_key_line(broken)


# ── the tree ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 90), st.data())
def test_some_leaves_and_the_missing_hashes_lead_to_the_root(size: int, draw: st.DataObject) -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(size)]
    oracle = InmemoryTree(algorithm="sha256")
    for number in range(size):
        oracle.append_entry(b"%d" % number)
    chosen = sorted(draw.draw(st.sets(st.integers(0, size - 1), min_size=1)))
    nodes = list(missing_nodes(chosen, size))
    given_ = [((level, index), root_of(hashes[index << level : (index + 1) << level])) for level, index in nodes]
    assert root_from_leaves(chosen, [hashes[index] for index in chosen], size, iter(given_)) == oracle.get_root(size)
    assert len(set(nodes)) == len(nodes)
    if len(chosen) == chosen[-1] - chosen[0] + 1:
        assert len(nodes) <= 2 * size.bit_length()
    if given_:
        at = draw.draw(st.integers(0, len(given_) - 1))
        for wrong in (
            given_[:at] + given_[at + 1 :],
            [*given_, given_[at]],
            given_[at + 1 :] + given_[: at + 1] if len(given_) > 1 else [],
        ):
            assert wrong == given_ or _root_or_none(chosen, [hashes[index] for index in chosen], size, wrong) != oracle.get_root(size)


def test_leaves_outside_of_the_tree_are_refused() -> None:
    for leaves in ([], [3], [0, 5]):
        with pytest.raises(Broken):
            root_from_leaves(leaves, [bytes(32)] * len(leaves), 3, iter([]))


def _root_or_none(leaves: list[int], hashes: list[bytes], size: int, nodes: list[tuple[tuple[int, int], bytes]]) -> bytes | None:
    try:
        return root_from_leaves(leaves, hashes, size, iter(nodes))
    except Broken:
        return None


@given(st.integers(0, 70), st.integers(0, 70), st.data())
def test_growth_is_seen_and_nothing_else_is_taken_for_it(old: int, more: int, draw: st.DataObject) -> None:
    new = old + more
    hashes = [leaf_hash(b"%d" % number) for number in range(new)]
    path = consistency_path(old, new, subtree_of(hashes))
    old_root, new_root = root_of(hashes[:old]), root_of(hashes)
    check_growth(old, new, old_root, new_root, path)
    wrong: list[tuple[bytes, bytes, list[bytes]]] = [(old_root, new_root, [*path, bytes(32)]), (bytes(32), new_root, path)]
    if old:
        wrong.append((old_root, bytes(32), path))
    if path:
        at = draw.draw(st.integers(0, len(path) - 1))
        wrong += [(old_root, new_root, path[:at] + path[at + 1 :]), (old_root, new_root, [*path[:at], bytes(32), *path[at + 1 :]])]
    for first, second, steps in wrong:
        with pytest.raises(Broken):
            check_growth(old, new, first, second, steps)
    with pytest.raises(Broken):
        check_growth(new + 1, new, old_root, new_root, path)


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

Scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(codec="utf-8"), max_size=20)
Documents = st.recursive(Scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4))


@given(Documents)
def test_the_one_form_is_that_of_the_records(document: object) -> None:
    try:
        wanted = canonical_json({"record": document})
    except UnicodeEncodeError:
        return  # half of a surrogate pair: no record holds it
    for read in (canonical_reader(), _is_canonical_slowly):
        assert read(wanted) == {"record": document}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'{"a":1.5}',
        b'{"a":1e5}',
        b'{"a":1e400}',
        b'{"a":NaN}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\u4e2d"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\/"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}\n',
        b"[" * 100_000,
        b'{"a":"\x01"}',
    ],
)
def test_what_is_not_in_the_one_form(body: bytes) -> None:
    """By both ways of reading, for the single file must come to the same verdict without `msgspec`."""
    assert canonical_reader()(body) is None
    assert _is_canonical_slowly(body) is None


def test_large_numbers_are_read_alike() -> None:
    for number in (2**63, 2**64, -(2**63) - 1, 10**30):
        body = b'{"a":%d}' % number
        assert canonical_reader()(body) == _is_canonical_slowly(body) == {"a": number}
