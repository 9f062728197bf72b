"""Tiles: whatever the sizes of the batches, the files on disk prove the tree over all leaves.

Guarded lines: the number of a full tile in `TileWriter._push`, the row in `TileWriter.root`, `resume`'s comparison of entries.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.records.log.merkle import (
    EMPTY_ROOT,
    check_consistency,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_from_inclusion,
    root_of,
)
from guiju.records.log.tiles import TILE_MISSING, WIDTH, TileReader, TileWriter, iterate_entries, tile_path

LEAVES = [number.to_bytes(4, "big") * 8 for number in range(WIDTH * WIDTH + 700)]
HASHES = [leaf_hash(data) for data in LEAVES]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (1, 999, 1, "tile/1/999.p/1"),
        (0, 1000, 256, "tile/0/x001/000"),
        ("entries", 1234067, 8, "tile/entries/x001/x234/067.p/8"),
    ],
)
def test_paths_are_those_of_the_specification(level: int | str, number: int, width: int, path: str) -> None:
    assert tile_path(level, number, width) == path


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=6), st.data())
def test_any_batches_give_a_log_that_proves_itself(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int], draw: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    writer, sizes = TileWriter(folder), [0]
    for count in batches:
        if draw.draw(st.booleans()):  # a new process takes up where the last one stopped
            writer = TileWriter.resume(folder, sizes[-1])
        writer.extend(LEAVES[sizes[-1] : sizes[-1] + count])
        sizes.append(sizes[-1] + count)
        assert writer.root() == root_of(HASHES[: sizes[-1]])
        if draw.draw(st.booleans()):
            writer.prune()
    size = sizes[-1]
    reader = TileReader(folder, size)
    assert list(iterate_entries(folder, size)) == LEAVES[:size]
    index = draw.draw(st.integers(0, size - 1))
    assert root_from_inclusion(HASHES[index], index, size, inclusion_path(index, size, reader.subtree)) == root_of(HASHES[:size])
    for old in sizes[1:]:
        assert TileReader(folder, old).root() == root_of(HASHES[:old])  # a reader that holds an older checkpoint
        check_consistency(old, size, root_of(HASHES[:old]), root_of(HASHES[:size]), consistency_path(old, size, reader.subtree))


def test_three_levels(tmp_path: Path) -> None:
    writer = TileWriter(tmp_path)
    writer.extend(LEAVES[: WIDTH * WIDTH - 1])
    writer.extend(LEAVES[WIDTH * WIDTH - 1 :])
    writer.prune()
    size = len(LEAVES)
    root = root_of(HASHES)
    assert writer.root() == TileReader(tmp_path, size).root() == root
    assert (tmp_path / "tile/2/000.p/1").stat().st_size == 32
    for index in (0, 255, 256, WIDTH * WIDTH - 1, WIDTH * WIDTH, size - 1):
        path = inclusion_path(index, size, TileReader(tmp_path, size).subtree)
        assert root_from_inclusion(HASHES[index], index, size, path) == root
    writer = TileWriter.resume(tmp_path, size)
    writer.extend([b"one more"])
    assert writer.root() == root_of([*HASHES, leaf_hash(b"one more")])


def test_pruning_leaves_one_partial_tile_a_level(tmp_path: Path) -> None:
    writer = TileWriter(tmp_path)
    for start in range(0, 600, 150):
        writer.extend(LEAVES[start : start + 150])
        writer.prune()
    assert files(tmp_path) == sorted(
        ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"]
    )


def test_an_empty_log(tmp_path: Path) -> None:
    assert TileReader(tmp_path, 0).root() == TileWriter.resume(tmp_path, 0).root() == EMPTY_ROOT


def test_what_is_missing_or_short_is_told(tmp_path: Path) -> None:
    writer = TileWriter(tmp_path)
    writer.extend(LEAVES[:300])
    for name in ("tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"):
        raw = (tmp_path / name).read_bytes()
        for content in (raw[:-1], b""):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(GuijuError) as told:
                TileWriter.resume(tmp_path, 300)
            assert told.value.code is TILE_MISSING
        (tmp_path / name).unlink()
        with pytest.raises(GuijuError):
            TileWriter.resume(tmp_path, 300)
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "tile/entries/001.p/44").write_bytes(raw[:2] + b"x" + raw[3:])
    with pytest.raises(GuijuError):  # the entries do not have the hashes of their tile
        TileWriter.resume(tmp_path, 300)
