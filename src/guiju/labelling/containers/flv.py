"""FLV: the label is the string `AIGC` of the script data `onMetaData`.

Script data may say where the key pictures stand, counted from the beginning of the file, and how long it is; those numbers grow with it.
Source: TC260-PG-20257A (video guide); Adobe Flash Video File Format 10.1, Annex E; AMF 0 §2.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from guiju.labelling.annex_e import mentions_label
from guiju.labelling.containers.source import VALUE_LIMIT_BYTES, Broken, Edit, Found, NoRoom, Site, Source, names_label

NAME: Final = "FLV"
_HEAD_BYTES: Final = 11
_SCRIPT: Final = 18
_TAGS_LIMIT: Final = 8_000_000
_SCRIPTS_LIMIT: Final = 1000
_VALUES_LIMIT: Final = 200_000
_DEPTH_LIMIT: Final = 16
_NUMBER, _STRING, _OBJECT, _ARRAY, _LIST, _LONG_STRING = 0, 2, 3, 8, 10, 12
_PLACES: Final = ("filepositions", "filesize", "lastkeyframelocation")
"""Properties that count bytes of the file."""
_FIXED: Final = {1: 1, 5: 0, 6: 0, 7: 2, 11: 10, 13: 0}
"""Values of a fixed length: boolean, null, undefined, reference, date, unsupported."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """One property: its name with those around it, where it begins and where its value does, its kind, and where it ends."""

    path: tuple[str, ...]
    start: int
    value: int
    kind: int
    stop: int


@dataclass(slots=True)
class _Script:
    """Script data `onMetaData`: where its tag begins and its data ends, where its first property stands, and what it holds."""

    at: int
    stop: int
    first: int
    counted: bool
    pairs: list[_Pair] = field(default_factory=list)


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as an FLV."""
    return head[:4] == b"FLV\1" and len(head) >= 9 and 9 <= int.from_bytes(head[5:9], "big") <= 4096


def examine(source: Source) -> Found:
    """Read every tag's head, and script data whole. Raises Broken."""
    start = int.from_bytes(source.read(5, 4), "big") + 4
    scripts = list(_scripts(source, start))
    sites: list[Site] = []
    labels: list[tuple[_Script, _Pair]] = []
    for script in scripts:
        for pair in script.pairs:
            text = _text(source, pair)
            name = pair.path[-1].upper()
            if len(pair.path) == 1 and (name == "AIGC" or (name in ("COMMENT", "DESCRIPTION") and mentions_label(text))):
                sites.append(Site("flv:onMetaData", pair.start, pair.stop, text))
                labels.append((script, pair))

    def place(inner: str) -> list[Edit]:
        value = inner.encode("ascii")
        new = b"\0\4AIGC" + bytes([_STRING]) + struct.pack(">H", len(value)) + value
        first = scripts[0] if scripts else None
        edits = [edit for script, pair in labels if script is not first for edit in _blanked(pair)]
        if first is None:
            return [*edits, Edit(start, start, _tag(b"\2\0\nonMetaData\10" + struct.pack(">I", 1) + new + b"\0\0\t"))]
        own = [pair for script, pair in labels if script is first]
        grown = len(new) - sum(pair.stop - pair.start for pair in own)
        edits += [Edit(pair.start, pair.stop) for pair in own]
        edits += [Edit(first.first, first.first, new), *_resized(source, first, grown, 1 - len(own))]
        return [*edits, *(edit for script in scripts for edit in _moved(source, script, grown, first.first))]

    return Found(tuple(sites), (), place)


def _scripts(source: Source, at: int) -> Iterator[_Script]:
    count = 0
    for _ in range(_TAGS_LIMIT):
        if at == source.size:
            return
        head = source.read(at, _HEAD_BYTES)
        kind, body = head[0], at + _HEAD_BYTES
        stop = body + int.from_bytes(head[1:4], "big")
        if kind & 0x1F not in (8, 9, _SCRIPT) or stop + 4 > source.size:
            raise Broken("a tag is of no known kind, or reaches beyond the end of the file", at)
        if kind & 0x1F == _SCRIPT:
            count += 1
            if kind & 0x20:
                raise Broken("script data is encrypted", at)
            if count > _SCRIPTS_LIMIT:
                raise Broken("there is too much script data", at)
            script = _script(source.read(body, stop - body), at, body)
            if script is not None:
                yield script
        at = stop + 4
    raise Broken("there are too many tags", at)


def _script(data: bytes, at: int, body: int) -> _Script | None:
    """Read script data; None when it is another than `onMetaData`."""
    if not data.startswith(b"\2\0\nonMetaData"):
        if names_label(data):
            raise Broken("a label may stand in script data that is not read", at)
        return None
    place = 13
    if data[place : place + 1] not in (bytes([_ARRAY]), bytes([_OBJECT])):
        raise Broken("onMetaData is no list of properties", at)
    counted = data[place] == _ARRAY
    first = place + (5 if counted else 1)
    reader = _Amf(data, body)
    reader.properties(first, ())
    return _Script(at, body + len(data), body + first, counted, reader.pairs)


class _Amf:
    """The values of AMF 0: properties with their places, and the ends of everything else."""

    def __init__(self, data: bytes, base: int) -> None:
        self._data, self._base = data, base
        self._left = _VALUES_LIMIT
        self.pairs: list[_Pair] = []

    def properties(self, at: int, path: tuple[str, ...]) -> int:
        """Read properties up to their end mark; return the place behind it."""
        while True:
            (length,) = self._unpack(">H", at)
            if not length and self._data[at + 2 : at + 3] == b"\t":
                return at + 3
            name, value = self._data[at + 2 : at + 2 + length].decode("utf-8", "replace"), at + 2 + length
            kind = self._kind(value)
            stop = self._value(value, (*path, name))
            self.pairs.append(_Pair((*path, name), self._base + at, self._base + value + 1, kind, self._base + stop))
            at = stop

    def _value(self, at: int, path: tuple[str, ...]) -> int:
        """Return where the value ends that begins here."""
        self._left -= 1
        if self._left < 0 or len(path) > _DEPTH_LIMIT:
            raise Broken("script data holds too many values, or too deep", self._base + at)
        kind = self._kind(at)
        at += 1
        if kind == _NUMBER:
            stop = at + 8
        elif kind in (_STRING, _LONG_STRING):
            width = 2 if kind == _STRING else 4
            (length,) = self._unpack(">H" if kind == _STRING else ">I", at)
            stop = at + width + length
        elif kind in (_OBJECT, _ARRAY):
            stop = self.properties(at + (4 if kind == _ARRAY else 0), path)
        elif kind == _LIST:
            (count,) = self._unpack(">I", at)
            stop = at + 4
            for _ in range(count):
                start, stop = stop, self._value(stop, (*path, ""))
                if path[-1] == "filepositions":
                    self.pairs.append(_Pair(path, self._base + start, self._base + start + 1, self._data[start], self._base + stop))
        elif kind in _FIXED:
            stop = at + _FIXED[kind]
        else:
            raise Broken("script data holds a value of no known kind", self._base + at)
        if stop > len(self._data):
            raise Broken("script data is cut", self._base + at)
        return stop

    def _kind(self, at: int) -> int:
        if at >= len(self._data):
            raise Broken("script data is cut", self._base + at)
        return self._data[at]

    def _unpack(self, form: str, at: int) -> tuple[int]:
        try:
            found: tuple[int] = struct.unpack_from(form, self._data, at)
        except struct.error as error:
            raise Broken("script data is cut", self._base + at) from error
        return found


def _text(source: Source, pair: _Pair) -> str:
    width = {_STRING: 2, _LONG_STRING: 4}.get(pair.kind, 0)
    length = pair.stop - pair.value - width
    if not width:
        return "\ufffd"  # something that is no string: a label that is none
    if length > VALUE_LIMIT_BYTES:
        if pair.path[-1].upper() == "AIGC":
            raise Broken("a property AIGC is longer than any label", pair.start)
        return ""
    return source.read(pair.value + width, length).decode("utf-8", "replace")


def _blanked(pair: _Pair) -> list[Edit]:
    """Return the edits after which a property of later script data is no label: nothing moves."""
    width = {_STRING: 2, _LONG_STRING: 4}.get(pair.kind, pair.stop - pair.value)
    text = pair.value + width
    name = [Edit(pair.start + 2, pair.start + 6, b"junk")] if len(pair.path[0]) == 4 else []
    return [*name, Edit(text, pair.stop, b" " * (pair.stop - text))]


def _resized(source: Source, script: _Script, grown: int, more: int) -> list[Edit]:
    """Return the edits of the length of a tag, at both of its ends, and of the count of its properties."""
    size = script.stop - script.at - _HEAD_BYTES + grown
    if size >= 1 << 24:
        raise NoRoom("the script data would grow over 16 MiB")
    edits = [Edit(script.at + 1, script.at + 4, size.to_bytes(3, "big"))]
    edits.append(Edit(script.stop, script.stop + 4, (size + _HEAD_BYTES).to_bytes(4, "big")))
    if script.counted and more:
        (count,) = struct.unpack(">I", source.read(script.first - 4, 4))
        edits.append(Edit(script.first - 4, script.first, struct.pack(">I", max(count + more, 0))))
    return edits


def _moved(source: Source, script: _Script, grown: int, behind: int) -> list[Edit]:
    """Return the edits of the numbers that count bytes of the file: places of key pictures, and its length."""
    edits = []
    for pair in script.pairs:
        if pair.kind != _NUMBER or pair.path[-1] not in _PLACES:
            continue
        (number,) = struct.unpack(">d", source.read(pair.value, 8))
        if number > behind and grown:
            edits.append(Edit(pair.value, pair.value + 8, struct.pack(">d", number + grown)))
    return edits


def _tag(data: bytes) -> bytes:
    head = bytes([_SCRIPT]) + len(data).to_bytes(3, "big") + bytes(7)
    return head + data + (len(data) + _HEAD_BYTES).to_bytes(4, "big")
