"""The Merkle tree of RFC 6962: hashes, roots, proofs and their verification. Pure; hashes are 32 bytes.

Functions that need the hash of a stretch of leaves take `subtree(start, end)`, so that a proof costs what its reader
costs: over tiles that is a few files, over a list a recomputation.
Source: RFC 6962 §2.1; RFC 9162 §2.1.3.2, §2.1.4.2 (verification).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from guiju.core.errors import GuijuError, Text, define

PROOF_INVALID = define(
    "PROOF-INVALID",
    status=422,
    kind="invalid_request_error",
    zh=Text("证明不成立：{reason}。", "账本和记录未被改动。", "请向提供者重新索取证明；若再次不成立，请运行 guiju verify。"),
    en=Text(
        "The proof does not hold: {reason}.",
        "The ledger and the records are unchanged.",
        "Ask the provider for the proof again; if it fails again, run guiju verify.",
    ),
)

Subtree = Callable[[int, int], bytes]
EMPTY_ROOT = sha256().digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one leaf."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def split(size: int) -> int:
    """Return the largest power of two that is smaller than `size` (at least 2): where a tree divides."""
    return 1 << (size - 1).bit_length() - 1


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes; of none, the hash of nothing."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        above = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def subtree_of(hashes: Sequence[bytes]) -> Subtree:
    """Return the reader of a tree whose leaf hashes are at hand."""
    return lambda start, end: root_of(hashes[start:end])


def inclusion_path(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return the path that proves leaf `index` in the tree of `size` leaves, nearest sibling first.

    Raises IndexError for a leaf outside the tree.
    """
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} of {size}")
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return path[::-1]


def consistency_path(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Return the path that proves the tree of `old` leaves to be the beginning of the tree of `new` leaves.

    Empty when they are equal or the old tree is empty. Raises IndexError when the old tree is the larger one.
    """
    if not 0 <= old <= new:
        raise IndexError(f"{old} leaves are not the beginning of {new}")
    if old in (0, new):
        return []
    path, start, end, whole = [], 0, new, True
    while end != old:
        middle = start + split(end - start)
        if old <= middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(subtree(start, end))
    return path[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that leaf hash `leaf` at `index` and the path lead to.

    Raises PROOF-INVALID when the path has not the length that such a tree asks for.
    """
    if not 0 <= index < size:
        raise GuijuError(PROOF_INVALID, reason=f"leaf {index} lies outside a tree of {size}")
    here, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise GuijuError(PROOF_INVALID, reason="the path is too long")
        if here & 1 or here == last:
            root = node_hash(step, root)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            root = node_hash(root, step)
        here, last = here >> 1, last >> 1
    if last:
        raise GuijuError(PROOF_INVALID, reason="the path is too short")
    return root


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Return when the path proves the old tree to be the beginning of the new one. Raises PROOF-INVALID otherwise."""
    if not 0 <= old <= new:
        raise GuijuError(PROOF_INVALID, reason=f"{old} leaves are not the beginning of {new}")
    if old in (0, new):
        same = old_root == (EMPTY_ROOT if old == 0 else new_root)
        if path or not same:
            raise GuijuError(PROOF_INVALID, reason="the path must be empty" if same else "the roots differ")
        return
    steps = list(path) if old & (old - 1) else [old_root, *path]
    if not steps:
        raise GuijuError(PROOF_INVALID, reason="the path is too short")
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise GuijuError(PROOF_INVALID, reason="the path is too long")
        if here & 1 or here == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            second = node_hash(second, step)
        here, last = here >> 1, last >> 1
    if last or first != old_root or second != new_root:
        raise GuijuError(PROOF_INVALID, reason="the path is too short" if last else "the path leads to other roots")
