"""A tree from some of its leaves: the hashes that are missing, and the root that all of them lead to; and growth of a log.

Level 0 are the leaf hashes; node `index` of level L stands for the leaves from index·2^L on. A last node without a
neighbour goes up as it is, which makes the tree of RFC 6962. Source: RFC 6962 §2.1; RFC 9162 §2.1.4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from guiju.records.offline.report import Broken

Node = tuple[int, int]
"""Level and index."""


def missing_nodes(leaves: Sequence[int], size: int) -> Iterator[Node]:
    """Yield the nodes that must be given beside the leaves (ascending, at least one) for the root, lowest level first."""
    level, row = 0, list(leaves)
    while size > 1:
        above: list[int] = []
        for at, index in enumerate(row):
            neighbour = index ^ 1
            beside = (at and row[at - 1] == neighbour) or (at + 1 < len(row) and row[at + 1] == neighbour)
            if not beside and neighbour < size:
                yield level, neighbour
            if not above or above[-1] != index >> 1:
                above.append(index >> 1)
        level, row, size = level + 1, above, (size + 1) >> 1


def root_from_leaves(leaves: Sequence[int], hashes: Sequence[bytes], size: int, given: Iterator[tuple[Node, bytes]]) -> bytes:
    """Return the root over leaf hashes at ascending places and the missing nodes, which must come in their order.

    Raises Broken when nodes are missing, superfluous, or in another order.
    """
    indices, row, level = list(leaves), list(hashes), 0
    if not indices or len(indices) != len(row) or indices[-1] >= size:
        raise Broken("the leaves do not lie in the tree")

    def take(index: int) -> bytes:
        node, value = next(given, ((-1, -1), b""))
        if node != (level, index):
            raise Broken(f"the tree lacks the hash {index} of level {level}, or has another in its place")
        return value

    while size > 1:
        first, last = indices[0], indices[-1]
        if last - first + 1 == len(indices):  # without gaps, as most of a range is: quicker
            if first & 1:
                first, row = first - 1, [take(first - 1), *row]
            if not last & 1 and last + 1 < size:
                row = [*row, take(last + 1)]
            pairs = iter(row)
            lonely = [row[-1]] if len(row) & 1 else []
            row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs)] + lonely
            indices = list(range(first >> 1, (last >> 1) + 1))
        else:
            indices, row = _row_above(indices, row, size, take)
        level, size = level + 1, (size + 1) >> 1
    if next(given, None) is not None:
        raise Broken("the tree has hashes that nothing asks for")
    return row[0]


def _row_above(indices: list[int], row: list[bytes], size: int, take: Callable[[int], bytes]) -> tuple[list[int], list[bytes]]:
    above_indices: list[int] = []
    above: list[bytes] = []
    at, count = 0, len(indices)
    while at < count:
        index, value = indices[at], row[at]
        if index & 1:
            value = sha256(b"\x01" + take(index - 1) + value).digest()
        elif at + 1 < count and indices[at + 1] == index + 1:
            at += 1
            value = sha256(b"\x01" + value + row[at]).digest()
        elif index + 1 < size:
            value = sha256(b"\x01" + value + take(index + 1)).digest()
        above_indices.append(index >> 1)
        above.append(value)
        at += 1
    return above_indices, above


def check_growth(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Return when the path proves a log of `old` leaves to be the beginning of one of `new`. Raises Broken otherwise."""
    if not 0 <= old <= new:
        raise Broken(f"{old} records are not the beginning of {new}")
    if old in (0, new):
        if path or old_root != (new_root if old else sha256().digest()):
            raise Broken("the roots differ")
        return
    rest = list(reversed(path))

    def walk(size: int, kept: int, whole: bool) -> tuple[bytes, bytes]:
        """Return the hashes of the part that the old log has of `size` leaves, and of all of them."""
        if kept == size:
            value = old_root if whole else _taken(rest)
            return value, value
        middle = 1 << (size - 1).bit_length() - 1
        beside = _taken(rest)
        if kept <= middle:
            before, left = walk(middle, kept, whole)
            return before, sha256(b"\x01" + left + beside).digest()
        before, right = walk(size - middle, kept - middle, False)
        return sha256(b"\x01" + beside + before).digest(), sha256(b"\x01" + beside + right).digest()

    first, second = walk(new, old, True)
    if rest or first != old_root or second != new_root:
        raise Broken("the later log does not begin with the earlier one")


def _taken(path: list[bytes]) -> bytes:
    if not path:
        raise Broken("the proof of growth is too short")
    return path.pop(0)
