"""Labels among what describes a film: lists of keys and values, iTunes lists, user data of QuickTime.

The guide's place is moov.udta.meta: the handler `mdta`, a key `AIGC` in `keys`, its value in `ilst`. A list of iTunes that stands
there already keeps its own `meta`, and the label's stands behind it; readers that were tried take both.
Source: TC260-PG-20257A (video guide), TC260-PG-202510A (audio guide); QuickTime File Format, "Metadata".
"""

import struct
from dataclasses import dataclass
from typing import Final

from guiju.labelling.annex_e import mentions_label
from guiju.labelling.containers.boxes import Box, box, end_of
from guiju.labelling.containers.film import Film, Meta, UserData
from guiju.labelling.containers.settled import Change, removed
from guiju.labelling.containers.source import LABELS_LIMIT, VALUE_LIMIT_BYTES, Broken, Edit, NoRoom, Site

_KEY: Final = b"AIGC"
_UTF16: Final = 2
_GUIDE: Final = "moov.udta.meta"
_OTHERS_OWN: Final = frozenset({b"meta", b"free", b"skip", b"XMP_", b"udta"})


@dataclass(frozen=True, slots=True)
class Described:
    """One label: where it is told, and the box that goes when it goes; `is_guides` when it stands in the guide's place."""

    site: Site
    box: Box
    is_guides: bool = False


def find_labels(film: Film, container: str) -> list[Described]:
    """Return every label in the metadata and the user data. Raises Broken."""
    found: list[Described] = []
    for meta in film.metas:
        found += _in_meta(film, meta, container)
        if len(found) > LABELS_LIMIT:
            raise Broken(f"there are more than {LABELS_LIMIT} labels", meta.box.at)
    for data in film.user_data:
        found += _in_user_data(film, data, container)
    return found


def changes_for(film: Film, found: list[Described], inner: str) -> list[Change]:
    """Return the changes after which the label stands in the guide's place, once."""
    if film.moov is None:
        raise Broken("there is no film's head (moov)", 0)
    guides = next((each for each in found if each.is_guides), None)
    changes = [removed(each) for each in dict.fromkeys(each.box for each in found if guides is None or each.box is not guides.box)]
    if guides:
        index = film.source.read(guides.box.at + 4, 4)
        return [*changes, Change(Edit(guides.box.at, guides.box.stop, _value(index, inner)), guides.box.within)]
    data = next((each for each in film.user_data if each.path == "moov.udta"), None)
    if data is None:
        return [*changes, Change(Edit(film.moov_end, film.moov_end, box(b"udta", _new_meta(inner))), film.moov)]
    meta = next((each for each in film.metas if each.box.within is data.box and each.handler == b"mdta"), None)
    if meta is None:
        at = end_of(data.boxes, data.box.body)
        return [*changes, Change(Edit(at, at, _new_meta(inner)), data.box)]
    return [*changes, *_added_key(film, meta, inner)]


def _added_key(film: Film, meta: Meta, inner: str) -> list[Change]:
    """Return the changes that add the key and its value to a list that has other keys, or has the key without a value."""
    keys, values = meta.find(b"keys"), meta.find(b"ilst")
    names = _names(film, keys) if keys else []
    index = struct.pack(">I", names.index(_KEY) + 1 if _KEY in names else len(names) + 1)
    changes: list[Change] = []
    end = end_of(meta.boxes, meta.box.body)
    listed = film.boxes.within(values) if values else []
    if any(len(names) < int.from_bytes(each.kind, "big") < 1 << 16 for each in listed):
        raise NoRoom("a list of metadata has values without a key, which a new key would name")
    if keys is None:
        changes.append(Change(Edit(end, end, _keys()), meta.box))
    elif _KEY not in names:
        at = keys.body + 8 + sum(8 + len(name) for name in names)
        changes.append(Change(Edit(keys.body + 4, keys.body + 8, index), keys))
        changes.append(Change(Edit(at, at, _key()), keys))
    if values is None:
        changes.append(Change(Edit(end, end, box(b"ilst", _value(index, inner))), meta.box))
    else:
        at = end_of(listed, values.body)
        changes.append(Change(Edit(at, at, _value(index, inner)), values))
    return changes


def _key() -> bytes:
    return struct.pack(">I4s", 8 + len(_KEY), b"mdta") + _KEY


def _keys() -> bytes:
    return box(b"keys", struct.pack(">II", 0, 1), _key())


def _value(index: bytes, inner: str) -> bytes:
    return box(index, box(b"data", struct.pack(">II", 1, 0), inner.encode("ascii")))


def _new_meta(inner: str) -> bytes:
    handler = box(b"hdlr", bytes(8), b"mdta", bytes(13))
    return box(b"meta", bytes(4), handler, _keys(), box(b"ilst", _value(struct.pack(">I", 1), inner)))


def _in_meta(film: Film, meta: Meta, container: str) -> list[Described]:
    values = meta.find(b"ilst")
    if values is None:
        return []
    keys = meta.find(b"keys")
    names = _names(film, keys) if keys else []
    found: list[Described] = []
    for item in film.boxes.within(values):
        parts = film.boxes.within(item)
        place = int.from_bytes(item.kind, "big")
        if item.kind == b"----":
            name = next((_text(film, part, 4) for part in parts if part.kind == b"name"), "")
        elif keys and 0 < place <= len(names):
            name = names[place - 1].decode("utf-8", "replace")
        else:
            name = item.kind.decode("latin-1")
        is_label = name.rstrip("\0").upper().rpartition(".")[2] == "AIGC"
        for part in parts:
            if part.kind != b"data" or part.stop - part.body < 8:
                continue
            text = _data(film, part, is_label)
            if is_label or mentions_label(text):
                channel = f"{container}:{meta.path} {'----:' * (item.kind == b'----')}{name.rstrip(chr(0))}"
                guides = meta.path == _GUIDE and meta.handler == b"mdta" and item.kind != b"----" and name == "AIGC"
                if len(found) > LABELS_LIMIT:
                    raise Broken(f"there are more than {LABELS_LIMIT} labels", part.at)
                found.append(Described(Site(channel, part.at, part.stop, text), item, guides))
    return found


def _names(film: Film, keys: Box) -> list[bytes]:
    """Return the names of the keys in order. Raises Broken."""
    data = film.source.read(keys.body, keys.stop - keys.body)
    if len(data) < 8:
        raise Broken("a list of keys is cut", keys.at)
    (count,), at, names = struct.unpack_from(">I", data, 4), 8, []
    for _ in range(min(count, len(data) // 8)):
        length = int.from_bytes(data[at : at + 4], "big")
        if length < 8 or at + length > len(data):
            raise Broken("a key reaches beyond its list", keys.at)
        names.append(data[at + 8 : at + length])
        at += length
    if len(names) != count:
        raise Broken("a list of keys is cut", keys.at)
    return names


def _data(film: Film, part: Box, is_label: bool) -> str:
    length = part.stop - part.body - 8
    if length > VALUE_LIMIT_BYTES * 3:
        if is_label:
            raise Broken("a value AIGC is longer than any label", part.at)
        return ""
    kind = int.from_bytes(film.source.read(part.body, 4), "big")
    raw = film.source.read(part.body + 8, length)
    return raw.decode("utf-16-be" if kind == _UTF16 else "utf-8", "replace").rstrip("\0")


def _text(film: Film, part: Box, skip: int) -> str:
    start = min(part.body + skip, part.stop)
    return film.source.read(start, min(part.stop - start, 1024)).decode("utf-8", "replace")


def _in_user_data(film: Film, data: UserData, container: str) -> list[Described]:
    """Return the labels in entries of user data: one that is named AIGC, or text with the JSON behind whatever head it has."""
    found = []
    for entry in data.boxes:
        length = entry.stop - entry.body
        if entry.kind in _OTHERS_OWN:
            continue
        named = entry.kind.upper() == _KEY
        if length > VALUE_LIMIT_BYTES * 3:
            if named:
                raise Broken("an entry AIGC is longer than any label", entry.at)
            continue
        raw = film.source.read(entry.body, length)
        start, stop = raw.find(b"{"), raw.rfind(b"}") + 1
        text = raw[start:stop].decode("utf-8", "replace") if 0 <= start < stop else ""
        if named:
            text = text or raw.decode("utf-8", "replace").strip("\0")
        if named or mentions_label(text):
            name = entry.kind.decode("latin-1")
            found.append(Described(Site(f"{container}:{data.path} {name}", entry.at, entry.stop, text), entry))
    return found
