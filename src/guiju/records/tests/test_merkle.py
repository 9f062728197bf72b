"""The tree against the published vectors, against pymerkle, and against altered proofs.

Guarded lines: `split`, the `whole` flag of `consistency_path`, and `last` at the end of both verifications.
"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from guiju.core.errors import GuijuError
from guiju.records.log.merkle import (
    EMPTY_ROOT,
    check_consistency,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    root_of,
    subtree_of,
)

# The eight leaves and the roots over the first 0, 1, … of them that accompany RFC 6962.
LEAVES = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
HASHES = [leaf_hash(data) for data in LEAVES]
Leaves = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def test_roots_are_the_published_ones() -> None:
    assert [root_of(HASHES[:size]) for size in range(9)] == ROOTS


def test_every_proof_of_small_trees_holds() -> None:
    for size in range(1, 9):
        for index in range(size):
            path = inclusion_path(index, size, subtree_of(HASHES))
            assert root_from_inclusion(HASHES[index], index, size, path) == ROOTS[size]
        for old in range(size + 1):
            check_consistency(old, size, ROOTS[old], ROOTS[size], consistency_path(old, size, subtree_of(HASHES)))


def test_proofs_are_those_of_the_text() -> None:
    """The tree of seven leaves of RFC 6962 §2.1.3, with its letters."""
    a, b, c, d, e, f, j = HASHES[:7]
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l_ = node_hash(g, h), node_hash(i, j)
    tree = subtree_of(HASHES[:7])
    assert inclusion_path(0, 7, tree) == [b, h, l_]
    assert inclusion_path(3, 7, tree) == [c, g, l_]
    assert inclusion_path(4, 7, tree) == [f, j, k]
    assert inclusion_path(6, 7, tree) == [i, k]
    assert consistency_path(3, 7, tree) == [c, d, g, l_]
    assert consistency_path(4, 7, tree) == [l_]
    assert consistency_path(6, 7, tree) == [i, j, k]


@given(Leaves, st.data())
def test_proofs_are_those_of_another_implementation(leaves: list[bytes], draw: st.DataObject) -> None:
    tree = InmemoryTree(algorithm="sha256")
    for data in leaves:
        tree.append_entry(data)
    hashes = [leaf_hash(data) for data in leaves]
    size = draw.draw(st.integers(1, len(leaves)))
    old = draw.draw(st.integers(1, size))
    index = draw.draw(st.integers(0, size - 1))
    root, old_root = root_of(hashes[:size]), root_of(hashes[:old])
    assert (root, old_root) == (tree.get_root(size), tree.get_root(old))
    path = inclusion_path(index, size, subtree_of(hashes))
    theirs = [bytes.fromhex(text) for text in tree.prove_inclusion(index + 1, size).serialize()["path"]]
    assert sorted([*path, hashes[index]]) == sorted(theirs)
    assert root_from_inclusion(hashes[index], index, size, path) == root
    steps = consistency_path(old, size, subtree_of(hashes))
    check_consistency(old, size, old_root, root, steps)


@given(Leaves, st.data())
def test_an_altered_inclusion_proof_does_not_hold(leaves: list[bytes], draw: st.DataObject) -> None:
    hashes = [leaf_hash(data + bytes([number])) for number, data in enumerate(leaves)]
    size, index = len(hashes), draw.draw(st.integers(0, len(hashes) - 1))
    path = inclusion_path(index, size, subtree_of(hashes))
    altered = [path[:-1], [*path, bytes(32)]]
    altered += [[*path[:at], bytes([step[0] ^ 1]) + step[1:], *path[at + 1 :]] for at, step in enumerate(path)]
    altered += [[*path[:at], b, a, *path[at + 2 :]] for at, (a, b) in enumerate(pairwise(path))]
    for steps in altered:
        if steps != path:
            assert not _leads(hashes[index], index, size, steps, root_of(hashes)), steps
    assert not _leads(bytes(32), index, size, path, root_of(hashes))
    other = draw.draw(st.integers(-1, size))
    if other != index:
        assert not _leads(hashes[index], other, size, path, root_of(hashes))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**256 - 1), st.integers(0, 10))
def test_an_altered_history_is_not_consistent(old: int, more: int, change: int, at: int) -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(old + more)]
    new = old + more
    path = consistency_path(old, new, subtree_of(hashes))
    rewritten = [leaf_hash(b"rewritten"), *hashes[1:]]
    for old_root, new_root, steps in (
        (root_of(rewritten[:old]), root_of(hashes), path),
        (root_of(hashes[:old]), root_of(rewritten), path),
        (root_of(hashes[:old]), root_of(rewritten), consistency_path(old, new, subtree_of(rewritten))),
        (root_of(hashes[:old]), root_of(hashes), path[:-1]),
        (root_of(hashes[:old]), root_of(hashes), [*path, bytes(32)]),
        (root_of(hashes[:old]), root_of(hashes), [*path[: at % len(path)], change.to_bytes(32, "big"), *path[at % len(path) + 1 :]]),
    ):
        with pytest.raises(GuijuError):
            check_consistency(old, new, old_root, new_root, steps)


def test_a_path_of_a_smaller_tree_does_not_hold() -> None:
    """The root of two leaves, given out as that of four: the path leads there, but it is too short."""
    first, second = HASHES[:2]
    with pytest.raises(GuijuError):
        root_from_inclusion(first, 0, 4, [second])
    with pytest.raises(GuijuError):
        check_consistency(1, 4, first, node_hash(first, second), [second])
    with pytest.raises(GuijuError):
        root_from_inclusion(first, 0, 1, [second])


def test_sizes_that_make_no_sense() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(IndexError):
            inclusion_path(index, size, subtree_of(HASHES))
        with pytest.raises(GuijuError):
            root_from_inclusion(HASHES[0], index, size, [])
    with pytest.raises(IndexError):
        consistency_path(4, 3, subtree_of(HASHES))
    with pytest.raises(GuijuError):
        check_consistency(4, 3, ROOTS[4], ROOTS[3], [])
    with pytest.raises(GuijuError):
        check_consistency(3, 3, ROOTS[3], ROOTS[4], [])
    with pytest.raises(GuijuError):
        check_consistency(0, 3, ROOTS[3], ROOTS[3], [])
    check_consistency(0, 3, EMPTY_ROOT, ROOTS[3], [])


def _leads(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    try:
        return root_from_inclusion(leaf, index, size, path) == root
    except GuijuError:
        return False
