"""Matroska and WebM: the label is a SimpleTag `AIGC` of a Tag without targets, in an element Tags of its own.

Every place in a Matroska file counts from the beginning of its Segment, so nothing behind may move. The element takes the place of a free one in
front of the first cluster; without one that is large enough it goes to the end of the Segment, and the list of elements (SeekHead) gets an entry
for it when there is room. Where no place is written down at all, as in live recordings, it is put in front of the first cluster.
Source: TC260-PG-20257A (video guide); RFC 9559 (Matroska); RFC 8794 (EBML).
"""

from dataclasses import dataclass, field
from typing import Final

from guiju.labelling.annex_e import mentions_label
from guiju.labelling.containers import ebml
from guiju.labelling.containers.ebml import Element
from guiju.labelling.containers.source import VALUE_LIMIT_BYTES, Broken, Edit, Found, Site, Source

NAME: Final = "MKV"
_SEGMENT, _SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x18538067, 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_CLUSTER, _CUES, _POSITION, _INFO, _TRACKS, _CHAPTERS, _ATTACHMENTS = (
    0x1F43B675,
    0x1C53BB6B,
    0xA7,
    0x1549A966,
    0x1654AE6B,
    0x1043A770,
    0x1941A469,
)
_TAGS, _TAG, _TARGETS, _SIMPLE_TAG, _TAG_NAME, _TAG_STRING, _TAG_BINARY = 0x1254C367, 0x7373, 0x63C0, 0x67C8, 0x45A3, 0x4487, 0x4485
_DOC_TYPE, _MAX_ID, _MAX_SIZE = 0x4282, 0x42F2, 0x42F3
_TOP: Final = frozenset({_SEEK_HEAD, _CLUSTER, _CUES, _INFO, _TRACKS, _CHAPTERS, _ATTACHMENTS, _TAGS})
"""The elements below Segment; each ends a cluster whose writer did not know how long it would be."""
_BLOCKS: Final = frozenset({0xA3, 0xA0, 0xAF})
_ELEMENTS_LIMIT: Final = 4_000_000
_PARTS_LIMIT: Final = 20_000
_DEPTH_LIMIT: Final = 16


@dataclass(frozen=True, slots=True)
class _Label:
    """A tag that is the place of a label; `drop` is what goes for it: the SimpleTag, or what would be left empty without it."""

    text: str
    start: int
    stop: int
    drop: tuple[int, int]


@dataclass(slots=True)
class _Segment:
    """One segment: its own element, its end, and of what it holds that which matters here."""

    element: Element
    stop: int
    parts: list[tuple[Element, int]] = field(default_factory=list)
    """Free elements, lists of elements, tags, check sums, with their ends."""
    labels: list[tuple[Element, int, list[_Label]]] = field(default_factory=list)
    first_cluster: int = -1
    told: bool = False
    """Whether a place within the segment is written down anywhere: cues, positions of clusters."""


def sniff(head: bytes) -> bool:
    """Tell whether the file begins as Matroska or WebM."""
    return head[:4] == b"\x1a\x45\xdf\xa3" and (b"matroska" in head[:256] or b"webm" in head[:256])


def examine(source: Source) -> Found:
    """Read the elements of every segment, and the tags whole. Raises Broken."""
    at, segments = _header(source, 0), []
    while at < source.size:
        each = ebml.element_at(source, at, source.size)
        if each.name == _SEGMENT:
            segments.append(_segment(source, each))
            at = segments[-1].stop
        elif each.name == ebml.HEADER:
            at = _header(source, at)
        elif each.name == ebml.VOID and each.stop is not None:
            at = each.stop
        else:
            raise Broken("something stands behind the segments", at)
        if len(segments) > _PARTS_LIMIT:
            raise Broken("there are too many segments", at)
    if not segments:
        raise Broken("there is no segment", at)
    sites = [
        Site("mkv:SimpleTag", label.start, label.stop, label.text) for each in segments for _, _, labels in each.labels for label in labels
    ]

    def place(inner: str) -> list[Edit]:
        edits = _placed(source, segments[0], inner)
        return [*edits, *(edit for each in segments[1:] for part in each.labels for edit in _without(source, *part))]

    return Found(tuple(sites), (), place)


def _header(source: Source, at: int) -> int:
    """Read the header of the file; return its end."""
    head = ebml.element_at(source, at, source.size)
    if head.name != ebml.HEADER or head.stop is None:
        raise Broken("there is no EBML header", at)
    kind = b""
    for each, stop in ebml.children(source, head.body, head.stop, 256):
        value = source.read(each.body, min(stop - each.body, 64))
        if each.name == _DOC_TYPE:
            kind = value.rstrip(b"\0")
        elif (each.name == _MAX_ID and int.from_bytes(value, "big") > 4) or (each.name == _MAX_SIZE and int.from_bytes(value, "big") > 8):
            raise Broken("the header asks for longer names or lengths than Matroska has", each.at)
    if kind not in (b"matroska", b"webm"):
        raise Broken("it is neither Matroska nor WebM", at)
    return head.stop


def _segment(source: Source, element: Element) -> _Segment:
    found = _Segment(element, source.size if element.stop is None else element.stop)
    at = element.body
    for _ in range(_ELEMENTS_LIMIT):
        if at == found.stop:
            return found
        each = ebml.element_at(source, at, found.stop)
        if element.stop is None and each.name in (ebml.HEADER, _SEGMENT):
            found.stop = at
            return found
        if each.name == _CLUSTER:
            at = _cluster(source, found, each)
            continue
        if each.stop is None:
            raise Broken("an element does not say where it ends", at)
        if (
            each.name in (_SEEK_HEAD, _TAGS)
            or (each.name == ebml.VOID and found.first_cluster < 0)
            or (each.name == ebml.CRC and at == element.body)
        ):
            if len(found.parts) == _PARTS_LIMIT:
                raise Broken("there are too many free elements, tags and lists", at)
            found.parts.append((each, each.stop))
        if each.name == _TAGS and (labels := _labels(source, each)):
            found.labels.append((each, each.stop, labels))
        found.told = found.told or each.name == _CUES
        at = each.stop
    raise Broken("there are too many elements", at)


def _cluster(source: Source, found: _Segment, cluster: Element) -> int:
    """Look into a cluster for its position; return its end, which one of unknown length has at the next element of the segment."""
    if found.first_cluster < 0:
        found.first_cluster = cluster.at
    at, end = cluster.body, found.stop if cluster.stop is None else cluster.stop
    for _ in range(_ELEMENTS_LIMIT):
        if at == end:
            return end
        each = ebml.element_at(source, at, end)
        if each.name in _BLOCKS and cluster.stop is not None:
            return cluster.stop
        if cluster.stop is None and each.name in (*_TOP, ebml.HEADER, _SEGMENT):
            return at
        if each.stop is None:
            raise Broken("an element does not say where it ends", at)
        if each.name == _POSITION and any(source.read(each.body, min(8, each.stop - each.body))):
            found.told = True
        at = each.stop
    raise Broken("there are too many elements", at)


def _labels(source: Source, tags: Element) -> list[_Label]:
    """Return the labels of one element Tags."""
    stop = tags.stop if tags.stop is not None else tags.body
    body = Source(source.read(tags.body, stop - tags.body))
    found: list[_Label] = []
    whole = [each for each, _ in ebml.children(body, 0, body.size, _PARTS_LIMIT) if each.name == _TAG]
    kept = 0
    for tag, tag_stop in ((each, each.stop or 0) for each in whole):
        simple = [each for each, _ in ebml.children(body, tag.body, tag_stop, _PARTS_LIMIT) if each.name == _SIMPLE_TAG]
        before = len(found)
        for each in simple:
            _simple_tag(body, each, 0, found, tags.body)
        outer = {label.drop for label in found[before:]}
        gone = sum((each.at + tags.body, (each.stop or 0) + tags.body) in outer for each in simple)
        if simple and gone == len(simple):
            drop = (tag.at + tags.body, tag_stop + tags.body)
            found[before:] = [_Label(label.text, label.start, label.stop, drop) for label in found[before:]]
        else:
            kept += 1
    if found and not kept:
        found = [_Label(label.text, label.start, label.stop, (tags.at, stop)) for label in found]
    return found


def _simple_tag(body: Source, tag: Element, depth: int, found: list[_Label], base: int) -> None:
    """Read one tag and those within it."""
    if depth > _DEPTH_LIMIT:
        raise Broken("tags stand in one another too deep", base + tag.at)
    stop = tag.stop or 0
    name, values, inner = "", list[tuple[int, int]](), []
    for each, end in ebml.children(body, tag.body, stop, _PARTS_LIMIT):
        if each.name == _TAG_NAME:
            name = body.read(each.body, min(end - each.body, 256)).rstrip(b"\0").decode("utf-8", "replace")
        elif each.name in (_TAG_STRING, _TAG_BINARY):
            values.append((each.body, end))
        elif each.name == _SIMPLE_TAG:
            inner.append(each)
    if name.upper() == "AIGC" and (len(values) > 1 or any(end - start > VALUE_LIMIT_BYTES for start, end in values)):
        raise Broken("a label is longer than any may be, or has several values", base + tag.at)
    start, end = next((each for each in values if each[1] - each[0] <= VALUE_LIMIT_BYTES), (0, 0))
    text = body.read(start, end - start).rstrip(b"\0").decode("utf-8", "replace")
    if name.upper() == "AIGC" or (name.upper() in ("COMMENT", "DESCRIPTION") and mentions_label(text)):
        place = (base + tag.at, base + stop)
        found.append(_Label(text, *place, place))
        if inner:
            raise Broken("a label has tags within it", base + tag.at)
        return
    for each in inner:
        _simple_tag(body, each, depth + 1, found, base)


def _without(source: Source, tags: Element, stop: int, labels: list[_Label]) -> list[Edit]:
    """Return the edit after which an element Tags holds no label, and is as long as before."""
    drops = {label.drop for label in labels}
    if (tags.at, stop) in drops:
        return [Edit(tags.at, stop, ebml.void(stop - tags.at))]
    body = bytearray(source.read(tags.body, stop - tags.body))
    for start, end in drops:
        body[start - tags.body : end - tags.body] = ebml.void(end - start)
    return [Edit(tags.body, stop, _guarded(bytes(body)))]


def _guarded(body: bytes) -> bytes:
    """Return the data of an element with its check sum made right, when it begins with one."""
    if body[:2] == b"\xbf\x84" and len(body) >= 6:
        return ebml.check_sum(body[6:]) + body[6:]
    return body


def _placed(source: Source, segment: _Segment, inner: str) -> list[Edit]:
    simple = ebml.element(_TAG_NAME, b"AIGC") + ebml.element(_TAG_STRING, inner.encode("ascii"))
    body = ebml.element(_TAG, ebml.element(_TARGETS, b"") + ebml.element(_SIMPLE_TAG, simple))
    new = ebml.element(_TAGS, body)
    # The check sum of a whole segment is rare, and would no longer be right.
    edits = [Edit(each.at, stop, ebml.void(stop - each.at)) for each, stop in segment.parts if each.name == ebml.CRC]
    edits += [edit for part in segment.labels for edit in _without(source, *part)]
    own = [(each.at, stop) for each, stop, labels in segment.labels if all(label.drop == (each.at, stop) for label in labels)]
    heads = [_SeekHead(source, segment, each, stop) for each, stop in segment.parts if each.name == _SEEK_HEAD]
    listed = segment.told or any(position >= segment.first_cluster for head in heads for position in head.positions)
    free = [(each.at, stop) for each, stop in segment.parts if each.name == ebml.VOID]
    for start, stop in [*own, *free]:
        into = ebml.filled(_TAGS, body, stop - start)
        if into is None and (start, stop) in own and (stop == segment.stop or not listed):
            into = new
        if into is not None:
            edits = [edit for edit in edits if (edit.start, edit.stop) != (start, stop)]
            edits += [edit for head in heads for edit in head.edits([at for at, _ in own if at != start], None, None)]
            return [*edits, Edit(start, stop, into), *_grown(segment, len(into) - (stop - start))]
    if segment.first_cluster >= 0 and not listed:
        at, added, room = segment.first_cluster, None, None
    else:
        at = added = segment.stop
        room = next((stop for start, stop in free if heads and start == heads[0].stop), None)
    for index, head in enumerate(heads):
        edits += head.edits([start for start, _ in own], None if index else added, None if index else room)
    return [*edits, Edit(at, at, new), *_grown(segment, len(new))]


def _grown(segment: _Segment, more: int) -> list[Edit]:
    """Return the edit of the segment's length. Places count from behind it, so it may take eight bytes where it took fewer."""
    if segment.element.stop is None or not more:
        return []
    at, body = segment.element.at + 4, segment.element.body
    length = segment.element.stop - body + more
    return [Edit(at, body, ebml.size(length, 8 if length >= (1 << 7 * (body - at)) - 1 else body - at))]


class _SeekHead:
    """The list of elements of a segment: which name stands where, counted from the beginning of the segment."""

    def __init__(self, source: Source, segment: _Segment, element: Element, stop: int) -> None:
        self._element, self.stop, self._base = element, stop, segment.element.body
        self._body = source.read(element.body, stop - element.body)
        self._entries: list[tuple[int, int, int, bool]] = []
        body = Source(self._body)
        for each, end in ebml.children(body, 0, body.size, _PARTS_LIMIT):
            if each.name != _SEEK:
                continue
            name, position = b"", -1
            for part, part_end in ebml.children(body, each.body, end, 64):
                value = body.read(part.body, min(part_end - part.body, 8))
                if part.name == _SEEK_ID:
                    name = value
                elif part.name == _SEEK_POSITION:
                    position = self._base + int.from_bytes(value, "big")
            self._entries.append((each.at, end, position, name == _TAGS.to_bytes(4, "big")))

    @property
    def positions(self) -> list[int]:
        return [position for _, _, position, _ in self._entries]

    def edits(self, gone: list[int], added: int | None, room: int | None) -> list[Edit]:
        """Return the edit after which no entry leads to what is gone, and one leads to what is added, if a free element up to `room` allows."""
        body = bytearray(self._body)
        for start, end, position, is_tags in self._entries:
            if is_tags and position in gone:
                body[start:end] = ebml.void(end - start)
        changed = bytes(body)
        if added is not None:
            position = added - self._base
            place = position.to_bytes(max(1, (position.bit_length() + 7) // 8), "big")
            entry = ebml.element(_SEEK, ebml.element(_SEEK_ID, _TAGS.to_bytes(4, "big")) + ebml.element(_SEEK_POSITION, place))
            for start, end, where, is_tags in self._entries:
                if is_tags and where in gone and end - start - len(entry) in (0, *range(2, 64)):
                    body[start:end] = entry + ebml.void(end - start - len(entry))
                    return [Edit(self._element.body, self.stop, _guarded(bytes(body)))]
            if room is not None:
                new = ebml.filled(_SEEK_HEAD, _guarded(changed + entry), room - self._element.at)
                if new is not None:
                    return [Edit(self._element.at, room, new)]
        return [] if changed == self._body else [Edit(self._element.body, self.stop, _guarded(changed))]
