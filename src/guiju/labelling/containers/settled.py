"""From the few changes that a label needs to all edits of a file of the ISO base media family: sizes of boxes, addresses of samples.

A file whose samples come before its head needs no more than the sizes. Where the head comes first, free space near it takes the
growth; where there is none, every address that lies behind is moved, table by table and window by window.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise

from guiju.labelling.containers.addresses import Index, Moves, Table, entries_of, moved_table
from guiju.labelling.containers.boxes import WORD, Box, box, lineage, size_edit
from guiju.labelling.containers.film import Film
from guiju.labelling.containers.items import Places, places_box
from guiju.labelling.containers.source import Broken, Edit, NoRoom, Rewrite, Source


@dataclass(frozen=True, slots=True)
class Change:
    """One edit, and the box whose content it changes; None for the outermost."""

    edit: Edit
    around: Box | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """The places of a `meta`'s items, and whether they are written anew whatever moves: an entry has been added or changed."""

    places: Places
    anew: bool = False


def removed(each: Box) -> Change:
    """Return the change that takes a box out."""
    return Change(Edit(each.at, each.stop), each.within)


def settled(film: Film, changes: Sequence[Change], placed: Sequence[Placed] = (), added: bytes = b"") -> list[Edit]:
    """Return all edits after which the changes stand, every box has its size and every address leads where it led.

    `added` becomes the content of a box `mdat` at the end. Raises NoRoom.
    """
    blank = [(each, Edit(each.places.box.at, each.places.box.stop, places_box(each.places, None))) for each in placed]
    anew = [Change(edit, each.places.box.within) for each, edit in blank if each.anew or edit.grown]
    # Of two changes at one place, the one of the inner box comes first.
    changes = sorted([*changes, *anew], key=lambda each: -len(list(lineage(each.around))))
    wide: set[Table] = set()
    for rounds in count():
        grown = [*changes, *(Change(_widened(each, None), each.box) for each in wide)]
        grown += _from_free_space(film, grown)
        moves = Moves([each.edit for each in grown])
        more = {each for each in film.tables if each.box.kind == b"stco" and moves.to(each.highest) > WORD}
        if more <= wide:
            break
        # A table that grows moves the others: after two rounds all grow that could, so that this ends.
        wide |= more if rounds < 2 else {each for each in film.tables if each.box.kind == b"stco"}
    _refuse_growth_within_fragments(film, grown)
    edits = [each.edit for each in grown if not isinstance(each.edit, Rewrite) and each not in anew]
    edits += _tables(film, wide, moves)
    edits += [edit for each in film.indexes for edit in _index_edits(each, moves)]
    tail, head = _tail(film, added, sum(each.edit.grown for each in grown if film.top[-1] in lineage(each.around)))
    added_at = film.end + sum(each.edit.grown for each in grown) + head
    edits += [Edit(edit.start, edit.stop, places_box(each.places, moves, added_at)) for each, edit in blank]
    if added:
        _refuse_open_items(placed)
    return _apart([*edits, *_sizes(film.source, grown), *tail])


def _apart(edits: list[Edit]) -> list[Edit]:
    """Return the edits in order. Raises Broken where two meet, as items that share their bytes make them do."""
    ordered = sorted(edits, key=lambda each: (each.start, each.stop))
    for before, after in pairwise(ordered):
        if after.start < before.stop:
            raise Broken("two parts of the file that change lie in one another", after.start)
    return ordered


def _tail(film: Film, added: bytes, grown: int) -> tuple[list[Edit], int]:
    """Return the edits that put `added` behind everything, and how far behind the last box, which grows, its first byte lies."""
    if not added:
        return [], 0
    last = film.top[-1]
    if last.open and last.kind == b"mdat":
        return [Edit(film.end, film.end, added)], 0
    edits = [Edit(film.end, film.end, box(b"mdat", added))]
    if last.open:
        if last.size + grown > WORD:
            raise NoRoom("the last box is larger than its form can say")
        edits.append(Edit(last.at, last.at + 4, (last.size + grown).to_bytes(4, "big")))
    return edits, 8


def _from_free_space(film: Film, changes: Sequence[Change]) -> list[Change]:
    """Return the change that takes the growth out of free space in front of the samples, where some is large enough."""
    grown = sum(each.edit.grown for each in changes)
    if grown <= 0:
        return []
    places = [each.edit.start for each in changes if each.edit.grown]
    first, last = min(places), max(places)
    samples = min((each.at for each in film.top if each.kind in (b"mdat", b"moof") and each.at >= first), default=0)
    if last >= samples:
        return []
    for free in film.free:
        left = free.size - grown
        *_, around = lineage(free)
        inside = around.at <= first < around.stop
        if free.body - free.at != 8 or free.open or free.stop > samples or (left and left < 8) or not (inside or free.at >= last):
            continue
        new = struct.pack(">I4s", left, free.kind) if left else b""
        return [Change(Edit(free.at, free.stop - max(left - 8, 0), new), free.within)]
    return []


def _refuse_growth_within_fragments(film: Film, changes: Sequence[Change]) -> None:
    """Addresses within a fragment count from its beginning: what grows between it and its samples would move them."""
    inside = film.fragments()
    if inside and any(inside[0] < each.edit.start < inside[1] for each in changes if each.edit.grown):
        raise NoRoom("metadata stands between the fragments")


def _widened(table: Table, moves: Moves | None) -> Rewrite:
    """Return a table of four-byte addresses as one of eight-byte addresses."""
    make = partial(moved_table, table, moves=moves or Moves([]), width=8)
    return Rewrite(table.at, table.stop, make=make, step=table.stride, times=2)


def _tables(film: Film, wide: set[Table], moves: Moves) -> list[Edit]:
    """Return the edits of the tables. Raises NoRoom now, not when their windows are written."""
    edits: list[Edit] = []
    for table in film.tables:
        if table.count and table.highest >= moves.first:
            if table not in wide and moves.to(table.highest) >> (8 * table.width):
                raise NoRoom("an address would lie where its table has no room for it")
            if table.lowest < moves.last:
                for window in film.source.windows(table.at, table.stop, table.stride):
                    moves.all(entries_of(table, window))
        if table in wide:
            edits.append(Edit(table.box.at + 4, table.box.at + 8, b"co64"))
            edits.append(_widened(table, moves))
        elif table.count and table.highest >= moves.first:
            make = partial(moved_table, table, moves=moves, width=table.width)
            edits.append(Rewrite(table.at, table.stop, make=make, step=table.stride))
    return edits


def _index_edits(index: Index, moves: Moves) -> list[Edit]:
    start = index.box.stop + index.first
    if not index.total or start + index.total <= moves.first:
        return []
    first = moves.to(start) - moves.to(index.box.stop - 1) - 1
    if moves.to(start + index.total - 1) - moves.to(start) != index.total - 1:
        raise NoRoom("metadata stands among the segments that an index tells apart")
    if not 0 <= first < 1 << (8 * index.width):
        raise NoRoom("an index of segments has no room for its new address")
    return [Edit(index.at, index.at + index.width, first.to_bytes(index.width, "big"))] if first != index.first else []


def _refuse_open_items(placed: Iterable[Placed]) -> None:
    for each in placed:
        if any(not length for place in each.places.entries if not place.method for _, _, length in place.pieces):
            raise NoRoom("an item reaches to the end of the file, and would reach over the label")


def _sizes(source: Source, changes: Iterable[Change]) -> list[Edit]:
    grown: dict[Box, int] = {}
    for each in changes:
        for around in lineage(each.around):
            grown[around] = grown.get(around, 0) + each.edit.grown
    return [edit for around, by in grown.items() if (edit := size_edit(source, around, by))]
