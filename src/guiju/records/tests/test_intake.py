"""What the recorder makes of the spool folder: a frame under way is waited for, damage is stepped over, and nothing in a file ends it.

Guarded: `final=gone` in `SpoolIntake.take` and all of `_watch`, the place of the break there, the count of `_SEGMENTS_AT_ONCE`, the cursor of a
segment that held nothing; in `segment.py` the `ValueError` of a header, `_NAME`, `read_through`, `doubted`, `_TRIED_BYTES`, `_next_data`;
`is_to_end` in `SpoolWriter._write`; `held_up` in `Recorder.step`; `_MARK` in `issued.py`, `is_id` in `Recorder._note_answers`, the look at the
earlier hits in `Afterwards.assess`.
"""

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guiju.core.clock import now_us
from guiju.core.ids import new_id
from guiju.core.keys import load_recorder_public_key
from guiju.core.layout import DataFolder
from guiju.records.entry import encode_entry
from guiju.records.keeping.watch import find_missing_segments
from guiju.records.models import Record, SpoolCursor
from guiju.records.recorder import intake
from guiju.records.recorder.ingest import DAMAGED
from guiju.records.recorder.recording import Recorder
from guiju.records.spool import segment as segments
from guiju.records.spool import writer as spool
from guiju.records.spool.backlog import measure_backlog
from guiju.records.spool.direct import BLOCK_BYTES
from guiju.records.spool.growing import GrowingSegment
from guiju.records.spool.segment import END_SUFFIX, FRAME, HEADER_BYTES, TAG_BYTES, Damage, header, list_segments, read_segment
from guiju.records.spool.writer import SpoolWriter
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry, make_postgresql_site

pytestmark = pytest.mark.django_db
DELIVERED = "gateway.answer.delivered"
LATER_US = 15_000_000


@pytest.fixture
def recorder(data: DataFolder) -> Recorder:
    return Recorder(data, ORIGIN)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is looked at now and then is looked at each time."""
    monkeypatch.setattr(intake, "_LOOK_S", 0.0)
    monkeypatch.setattr(intake, "_STUCK_S", -1.0)
    monkeypatch.setattr(spool, "_LOOK_AGAIN_S", -1.0)


def growing(data: DataFolder, *, number: int = 1) -> GrowingSegment:
    public = load_recorder_public_key(data.keys).public_bytes_raw()
    return GrowingSegment(data.spool, public, f"{new_id()}-{number:06d}-w.seg")


def ended(data: DataFolder, *raws: bytes, number: int = 1) -> Path:
    segment = growing(data, number=number)
    if raws:
        segment.write(list(raws))
    segment.end()
    return segment.path


def drain(recorder: Recorder) -> int:
    total = 0
    while (wrote := recorder.step()) or list_segments(recorder._data.spool):
        total += wrote
    return total


def kinds() -> list[str]:
    return list(Record.objects.order_by("index").values_list("kind", flat=True))


def said(size: int = 3_000) -> bytes:
    return encode_entry(entry(content=os.urandom(size)))


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def test_a_write_of_which_the_end_is_there_first_is_waited_for(data: DataFolder, recorder: Recorder, hasty: None) -> None:
    """The kernel promises no order among the blocks of one write. What is acknowledged then must become records."""
    segment = growing(data)
    segment.write([said(5)])
    assert recorder.step() == 1
    batch = [said(), said(), said()]
    content = segment.sealed(batch)
    before, offset = segment.last_block()
    image = (before + content).ljust(4 * BLOCK_BYTES, b"\0")
    overwrite(segment.path, offset + BLOCK_BYTES, image[BLOCK_BYTES:])
    for there in (0, len(before) + 40):  # nothing of the first block; then its beginning
        overwrite(segment.path, offset, image[:there])
        assert recorder.step() == 0
        assert recorder.step() == 0
        assert recorder._intake.held_up
    overwrite(segment.path, offset, image)
    segment.written(content, 3)
    assert recorder.step() == 3
    assert recorder.step() == 0
    assert not recorder._intake.held_up
    assert segment.is_to_end()  # that is all that came of it
    segment.end()
    assert drain(recorder) == 0
    assert kinds() == [DELIVERED] * 4
    assert os.listdir(data.spool) == []


@pytest.mark.parametrize("damage", [b"\xee" * 9, bytes(60)], ids=["bits", "a_block_that_never_came"])
def test_damage_in_a_segment_that_grows_ends_it_and_no_more(data: DataFolder, recorder: Recorder, hasty: None, damage: bytes) -> None:
    """Told meanwhile: the backlog is late, although a recorder is at work that finds nothing to do."""
    raws = [said(2 * BLOCK_BYTES) for _ in range(6)]
    writer = SpoolWriter(data.spool, load_recorder_public_key(data.keys).public_bytes_raw(), worker="w")

    async def append(*some: bytes) -> None:
        for raw in some:
            await writer.append(raw)

    with asyncio.Runner() as worker:
        worker.run(append(*raws[:3]))
        (path,) = list_segments(data.spool)
        overwrite(path, HEADER_BYTES + FRAME.size + TAG_BYTES + len(raws[0]), damage)
        assert recorder.step() == 1
        assert not path.with_suffix(END_SUFFIX).exists()
        assert recorder.step() == 0
        recorder._told_at = 0.0
        drained_us = recorder._progress.drained_at_us
        assert recorder.step() == 0
        assert recorder._progress.drained_at_us == drained_us
        waits = measure_backlog(data.spool, data.run, now_us() + LATER_US)
        assert waits.late
        assert waits.size_bytes > 2 * BLOCK_BYTES
        assert path.with_suffix(END_SUFFIX).exists()
        worker.run(append(*raws[3:5]))  # the first of them ends the segment, if the second lies in another
        assert drain_but_the_last(recorder) == 4
        worker.run(append(raws[5]))
        worker.run(writer.close())
    assert drain(recorder) == 1
    assert kinds() == [DELIVERED, DAMAGED, *[DELIVERED] * 4]
    told = Record.objects.get(kind=DAMAGED).metadata
    assert (told["segment"], told["counter"], told["lost"]) == (path.name, 1, 1)
    assert [each.name for each in (data.spool / "damaged").iterdir()] == [path.name]
    assert list(data.spool.glob("*" + END_SUFFIX)) == []


def drain_but_the_last(recorder: Recorder) -> int:
    return sum(recorder.step() for _ in range(6))


LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]


@pytest.mark.parametrize("key", LOW_ORDER, ids=lambda key: key.hex()[:8])
def test_a_key_with_which_no_secret_can_be_agreed_costs_its_segment_only(data: DataFolder, recorder: Recorder, key: bytes) -> None:
    data.spool.mkdir(exist_ok=True)
    hostile = f"{new_id()}-000001"
    (data.spool / f"{hostile}-w.seg").write_bytes(header(hostile, key, 1))
    ended(data, said(), said())
    assert drain(recorder) == 3
    assert sorted(kinds()) == sorted([DAMAGED, DELIVERED, DELIVERED])
    assert Record.objects.get(kind=DAMAGED).metadata["segment"] == f"{hostile}-w.seg"
    assert [each.name for each in (data.spool / "damaged").iterdir()] == [f"{hostile}-w.seg"]


def pieces(data: DataFolder) -> Callable[[list[tuple[int, int, bytes]], bytes], bytes]:
    """A real segment of which parts were overwritten, and something behind it."""
    raw = ended(data, said(20), said(500), said(9)).read_bytes()
    (path,) = list_segments(data.spool)
    path.unlink()

    def made(changes: list[tuple[int, int, bytes]], behind: bytes) -> bytes:
        content = raw
        for at, size, put in changes:
            content = content[: at % (len(raw) + 1)] + put + content[at % (len(raw) + 1) + size :]
        return content + behind

    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(st.binary(max_size=600), st.tuples(st.just(b"GJSPOOL1"), st.binary(max_size=600)).map(b"".join)),
    changes=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 40), st.binary(max_size=40)), max_size=4),
    whole=st.booleans(),
)
def test_no_bytes_end_the_recorder_or_hide_another_segment(
    data: DataFolder, content: bytes, changes: list[tuple[int, int, bytes]], whole: bool
) -> None:
    recorder = Recorder(data, ORIGIN)
    recorder._holder = "the same"
    made = pieces(data)(changes, content if whole else b"")
    written = made if changes or whole else content
    name = written[8:41].decode("latin-1") if len(written) > 41 else ""
    stem = name if segments._NAME.fullmatch(f"{name}-w.seg") else f"{new_id()}-000001"
    (data.spool / f"{stem}-w.seg").write_bytes(written)
    good = entry()
    ended(data, encode_entry(good))
    assert drain(recorder) >= 1
    assert Record.objects.filter(id=good.id).count() == 1


def test_a_file_that_says_it_is_long_is_not_read_to_its_end(data: DataFolder, recorder: Recorder) -> None:
    path = ended(data, said())
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"\xee" * 100)
        file.truncate(2**42)
    ended(data, said())
    assert 100 < measure_backlog(data.spool, data.run, now_us()).size_bytes < 10_000
    assert drain(recorder) == 2
    assert kinds() == [DELIVERED] * 2


def test_made_up_headers_do_not_keep_the_recorder_for_days(data: DataFolder, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether what was given up held entries: it is kept, and on record."""
    monkeypatch.setattr(segments, "_TRIED_BYTES", 2**27)
    path = ended(data, said())
    size = 3 * 2**20
    with path.open("ab") as file:
        file.write(b"\xee" * 8 + b"".join(FRAME.pack(size // 2, 2 + number % 1_000) for number in range(size // 8)))
    ended(data, said())
    assert drain(recorder) == 3
    assert kinds() == [DELIVERED, DAMAGED, DELIVERED]
    assert [each.name for each in (data.spool / "damaged").iterdir()] == [path.name]


def test_what_no_writer_makes_is_passed_over(data: DataFolder, recorder: Recorder) -> None:
    """A pipe would be waited for, a folder cannot be read, and no database keeps such names."""
    ended(data, said())
    name = f"{new_id()}-000001-w.seg"
    os.mkfifo(data.spool / ("0" + name[1:]))
    (data.spool / ("1" + name[1:])).mkdir()
    (data.spool / ("2" + name[1:])).symlink_to("/dev/zero")
    (data.spool / ("3" + name[1:])).symlink_to("3" + name[1:])
    for odd in (os.fsdecode(b"4\xff" + os.fsencode(name[2:])), "5.seg", f"{name[:-4]}{'w' * 200}.seg", "6\n" + name[2:]):
        (data.spool / odd).write_bytes(b"?")
    recorder.start()
    assert drain(recorder) == 1
    assert kinds() == [DELIVERED]


def test_what_cannot_be_set_aside_stops_nothing(data: DataFolder, recorder: Recorder) -> None:
    ended(data, said())
    (data.spool / "damaged").write_bytes(b"in the way")
    hostile = data.spool / f"{new_id()}-000001-w.seg"
    hostile.write_bytes(b"?")
    ended(data, said())
    assert sum(recorder.step() for _ in range(5)) == 3
    assert list_segments(data.spool) == [hostile]


def test_those_that_have_nothing_do_not_hide_those_that_come_after_them(data: DataFolder, recorder: Recorder) -> None:
    """As many workers as may be started, each with a segment that it goes on writing."""
    living = [growing(data) for _ in range(intake._SEGMENTS_AT_ONCE + 6)]
    living[-1].write([said()])
    assert recorder.step() == 1
    for segment in living:
        segment.write([said()])
    assert recorder.step() == intake._SEGMENTS_AT_ONCE
    assert recorder.step() == 6
    for segment in living:
        segment.end()
    assert drain(recorder) == 0


def test_a_segment_that_held_nothing_is_no_gap(data: DataFolder, recorder: Recorder) -> None:
    first = growing(data)
    first.end()
    later = GrowingSegment(data.spool, load_recorder_public_key(data.keys).public_bytes_raw(), f"{first.path.name[:26]}-000002-w.seg")
    later.write([said()])
    later.end()
    assert drain(recorder) == 1
    assert SpoolCursor.objects.get(segment=first.path.name).counter == -1
    assert list(find_missing_segments()) == []


@pytest.fixture
def bad_block(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """From now on the disk does not give back this block of this file."""
    bad: list[tuple[int, int]] = []
    real = os.pread

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        inode = os.fstat(descriptor).st_ino
        for number, block in bad:
            if number == inode and offset < (block + 1) * BLOCK_BYTES and block * BLOCK_BYTES < offset + size:
                if offset >= block * BLOCK_BYTES:
                    raise OSError(errno.EIO, "input/output error")
                size = block * BLOCK_BYTES - offset
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    return lambda path, block: bad.append((path.stat().st_ino, block))


@pytest.mark.parametrize("again", [False, True], ids=["one_recorder", "another_goes_on"])
def test_a_block_that_the_disk_does_not_give_back_costs_its_entries_only(
    data: DataFolder, recorder: Recorder, bad_block: Callable[[Path, int], None], again: bool
) -> None:
    raws = [said(BLOCK_BYTES) for _ in range(8)]
    path = ended(data, *raws)
    other = ended(data, said())
    bad_block(path, 4)
    damage: list[Damage] = []
    kept = [raw for _, raw in read_segment(path, recorder._recorder_key.private_bytes_raw(), on_damage=damage.append)]
    lost = sum(each.lost for each in damage)
    assert 1 <= lost <= 2
    assert [raw for raw in raws if raw in kept] == kept
    assert len(kept) == len(raws) - lost
    if again:
        assert recorder.step() == len(kept) + 2
        recorder.forget()
    assert drain(recorder) == (0 if again else len(kept) + 2)
    assert not other.exists()
    assert Record.objects.filter(kind=DELIVERED).count() == len(kept) + 1
    assert Record.objects.get(kind=DAMAGED).metadata["lost"] == lost
    assert [each.name for each in (data.spool / "damaged").iterdir()] == [path.name]


def test_a_last_block_that_the_disk_does_not_give_back_is_no_torn_tail(
    data: DataFolder, recorder: Recorder, bad_block: Callable[[Path, int], None]
) -> None:
    """Nobody knows what was in it: the segment is kept, and that is on record."""
    path = ended(data, *[said(BLOCK_BYTES - 60) for _ in range(3)])
    bad_block(path, path.stat().st_size // BLOCK_BYTES)
    drain(recorder)
    assert Record.objects.get(kind=DAMAGED).metadata["lost"] == 0
    assert [each.name for each in (data.spool / "damaged").iterdir()] == [path.name]


def test_a_head_that_the_disk_does_not_give_back_costs_its_segment_only(
    data: DataFolder, recorder: Recorder, bad_block: Callable[[Path, int], None]
) -> None:
    path = ended(data, said(9_000))
    ended(data, said())
    bad_block(path, 0)
    assert drain(recorder) == 2
    assert sorted(kinds()) == sorted([DAMAGED, DELIVERED])


def test_a_head_that_cannot_be_read_yet_is_not_set_aside_under_its_writer(data: DataFolder, recorder: Recorder, hasty: None) -> None:
    segment = growing(data)
    segment.write([said(9_000)])
    head = segment.path.read_bytes()[:HEADER_BYTES]
    overwrite(segment.path, 0, bytes(HEADER_BYTES))
    assert recorder.step() == recorder.step() == 0
    assert recorder._intake.held_up
    assert segment.is_to_end()
    overwrite(segment.path, 0, head)
    segment.end()
    assert drain(recorder) == 1
    assert kinds() == [DELIVERED]


def test_what_is_cached_is_not_believed_against_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers write past the page cache: a page that was read meanwhile may be older."""
    key = X25519PrivateKey.generate()
    segment = GrowingSegment(tmp_path, key.public_key().public_bytes_raw(), f"{new_id()}-000001-w.seg")
    raws = [Random(number).randbytes(BLOCK_BYTES) for number in range(4)]
    segment.write(raws)
    segment.end()
    stale = [True]
    real, advise = os.pread, os.posix_fadvise

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        found = bytearray(real(descriptor, size, offset))
        if stale[0]:
            for at in range(max(offset, BLOCK_BYTES), min(offset + len(found), 2 * BLOCK_BYTES)):
                found[at - offset] = 0
        return bytes(found)

    def dropped(descriptor: int, offset: int, size: int, advice: int) -> None:
        stale[0] = stale[0] and advice != os.POSIX_FADV_DONTNEED
        advise(descriptor, offset, size, advice)

    monkeypatch.setattr(os, "pread", pread)
    monkeypatch.setattr(os, "posix_fadvise", dropped)
    assert [raw for _, raw in read_segment(segment.path, key.private_bytes_raw())] == raws


def test_an_idle_worker_is_heard_of_by_its_lock(data: DataFolder, recorder: Recorder, hasty: None) -> None:
    """Nothing lies behind what was read: nobody is asked for anything, however often that is looked at."""
    segment = growing(data)
    segment.write([said()])
    segment.make_room()
    assert recorder.step() == 1
    for _ in range(5):
        assert recorder.step() == 0
    assert not recorder._intake.held_up
    assert not segment.is_to_end()
    with pytest.raises(BlockingIOError), segment.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    segment.end()


HARM = msgspec.msgpack.encode({"request": msgspec.json.encode({"messages": [{"role": "user", "content": "如何入侵别人的银行账户偷钱？"}]})})


@pytest.mark.parametrize(
    "metadata",
    [
        {"wording": ["z" * 32]},
        {"wording": [" " * 32]},
        {"output": {"texts": ["\u00e9" * 32]}},
        {"classifier": "afterwards", "input": {"hits": 5}},
        {"classifier": "afterwards", "input": {"hits": None}, "answer": "\0"},
        {"media": [{"sha256": "\0", "produce_id": "\u00e9"}]},
    ],
    ids="-".join,
)
def test_no_metadata_ends_the_recorder(data: DataFolder, recorder: Recorder, metadata: dict[str, Any]) -> None:
    """A worker that was taken over seals what it likes: it becomes a record that says so."""
    ended(data, encode_entry(entry(content=HARM, **metadata)), said())
    assert drain(recorder) == 2


_NUL = """
from guiju.records.entry import encode_entry
from guiju.records.models import Record
from guiju.records.recorder.recording import Recorder
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry
from guiju.records.tests.test_intake import ended
from django.conf import settings
ended(settings.DATA_FOLDER, encode_entry(entry(answer="a" + chr(0))), encode_entry(entry(answer="x" * 100_000)))
assert Recorder(settings.DATA_FOLDER, ORIGIN).step() == 2
assert Record.objects.count() == 2
"""


def test_an_answer_that_postgresql_cannot_look_for_stops_nothing(tmp_path: Path, postgresql_url: str) -> None:
    make_postgresql_site(tmp_path / "data", postgresql_url, "nul_in_answer").run(_NUL)
