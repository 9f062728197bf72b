"""Every container: one label goes in and comes out, nothing else changes, what is cut or hostile is told, never passed."""

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from guiju.core.errors import GuijuError
from guiju.labelling.containers import ALL_CONTAINERS, find_container
from guiju.labelling.containers.source import Edit, Source
from guiju.labelling.containers.tests.samples import CODE, LABEL, OLD, OTHER, decoded, exiftool, fuzzed, png_with, run, sample, tool
from guiju.labelling.files import first_label, inspect, read, read_file, write, write_file
from guiju.labelling.values import Damaged, FileLabel

PICTURES = ["plain.png", "plain.jpeg", "plain.webp", "alpha.webp", "plain.gif", "plain.tiff", "plain.svg"]
FILMS = ["plain.avi", "plain.mkv", "plain.webm"]
BOXES = ["plain.mp4", "faststart.mp4", "fragmented.mp4", "plain.mov", "plain.m4a", "plain.heic", "plain.avif", "sequence.avif"]
"""Those that hold addresses, which are moved: `test_mp4.py` and `test_heif.py` say what else stays."""
SOUNDS = ["plain.wav", "plain.flac", "plain.mp3", "plain.ogg", "plain.opus", "plain.aac"]
ARCHIVES = ["plain.docx", "plain.xlsx", "plain.pptx", "plain.odt", "plain.epub"]
"""Those whose directory is written anew: `test_archives.py` says what else stays."""
PDFS = ["plain.pdf", "packed.pdf", "hybrid.pdf"]
TEXTS = ["plain.html", "plain.md"]
MEDIA = [*PICTURES, *FILMS, "live.webm", "plain.flv", *SOUNDS, *BOXES]
SAMPLES = [*MEDIA, *ARCHIVES, *PDFS, *TEXTS]
CLOSED = [*PICTURES, *FILMS, "plain.wav", *(name for name in BOXES if name != "fragmented.mp4"), *ARCHIVES]
"""Those whose form says where it ends: every cut is seen."""
FUZZED = 520


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_without_a_label_reads_as_none_and_with_one_as_that_one(name: str) -> None:
    data = sample(name)
    assert read(data, hint=name) is None
    assert inspect(data, hint=name).verdict == "not_found"
    labelled = write(data, LABEL, hint=name)
    assert read(labelled, hint=name) == LABEL
    seen = inspect(labelled, hint=name)
    assert (seen.verdict, seen.state, len(seen.places), seen.errors, seen.warnings) == ("compliant", "declared", 1, [], [])


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in BOXES and name not in ARCHIVES])
def test_what_was_there_stays_byte_for_byte(name: str) -> None:
    """Without the inserted parts the file is the old one, but for a size, a flag and a version at the beginning."""
    data = sample(name)
    source = Source(data)
    container = find_container(source, name)
    assert container
    edits = container.examine(source).place("{}")
    changed = [edit for edit in edits if edit.start != edit.stop]
    for edit in changed:
        old = data[edit.start : edit.stop]
        free = len(edit.new) == len(old) and not any(old[9:])  # the head of a free part, and nothing in it
        assert free or len(edit.new) == len(old) <= 8 or edit.new.startswith(old[:3]), edit
    if name in PICTURES or name in PDFS or name == "plain.wav":
        assert all(len(edit.new) == edit.stop - edit.start <= 8 and edit.start < 32 for edit in changed), changed
    assert Source(data).edited([Edit(edit.start, edit.stop, data[edit.start : edit.stop]) for edit in edits]) == data


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_label_again_changes_nothing(name: str) -> None:
    once = write(sample(name), LABEL, hint=name)
    assert write(once, LABEL, hint=name) == once


@pytest.mark.parametrize("name", SAMPLES)
def test_a_second_writer_is_the_propagator_and_the_producer_stays(name: str) -> None:
    once = write(sample(name), LABEL, hint=name)
    found = read(write(once, first_label(OTHER, "second"), hint=name))
    assert isinstance(found, FileLabel)
    assert (found.content_producer, found.produce_id) == (CODE, LABEL.produce_id)
    assert (found.content_propagator, found.propagate_id) == (OTHER, "second")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_producer_that_labels_its_own_content_anew_gives_it_its_new_number(name: str) -> None:
    twice = write(write(sample(name), LABEL, hint=name), first_label(CODE, "second"))
    assert read(twice) == first_label(CODE, "second")
    assert len(inspect(twice).places) == 1
    spread = write(write(sample(name), LABEL, hint=name), FileLabel(label="2", content_propagator=CODE, propagate_id="third"))
    assert read(spread) == FileLabel(content_producer=CODE, produce_id=LABEL.produce_id, content_propagator=CODE, propagate_id="third")


@pytest.mark.parametrize("name", SAMPLES)
def test_files_are_written_as_bytes_are(name: str, tmp_path: Path) -> None:
    original, target = tmp_path / f"a.{name}", tmp_path / f"b.{name}"
    original.write_bytes(sample(name))
    write_file(original, target, LABEL)
    assert target.read_bytes() == write(sample(name), LABEL, hint=name)
    assert read_file(target) == LABEL
    assert read_file(original) is None
    write_file(target, target, first_label(OTHER, "second"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{name}", f"b.{name}"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_refused_write_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(sample(name))
    with pytest.raises(GuijuError) as told:
        write_file(tmp_path / "a", tmp_path / "b", first_label("001191110102MACQD9K64010001"[:22] + "10000", "x y"), hint=name)
    assert told.value.code.code == "LABEL-VALUE"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", CLOSED)
def test_every_cut_is_seen(name: str) -> None:
    labelled = write(sample(name), LABEL, hint=name)
    for length in range(16, len(labelled) - 1):
        found = inspect(labelled[:length], hint=name)
        assert found.verdict == "inconclusive", length
        assert found.state is None
        assert found.damaged
    cut = labelled[: len(labelled) // 2]
    assert isinstance(read(cut, hint=name), Damaged)
    with pytest.raises(GuijuError) as told:
        write(cut, LABEL, hint=name)
    assert told.value.code.code == "LABEL-DAMAGED"
    assert "文件未改动" in told.value.text("zh")


@pytest.mark.parametrize("container", [each for each in ALL_CONTAINERS if each.name != "text"], ids=lambda container: container.name)
def test_damaged_files_never_crash_hang_or_declare_what_nobody_wrote(container: object) -> None:
    names = [name for name in SAMPLES if find_container(Source(sample(name)), name) is container]
    assert names
    plain = [sample(name) for name in names]
    hint = names[0]
    labelled = [write(data, LABEL, hint=hint) for data in plain]
    started = time.process_time()
    for data in fuzzed(plain, FUZZED, 1):
        assert inspect(data, hint=hint).state in (None, "none")
    for data in fuzzed(labelled, FUZZED, 2):
        found = inspect(data, hint=hint)
        if found.state == "declared":
            assert found.label
            assert len({place.label for place in found.places}) == 1
            assert "\ufffd" not in found.places[0].text
        written = _written_or_refused(data, hint)
        if written:
            after = read(written, hint=hint)
            assert isinstance(after, FileLabel)
            assert after.content_propagator == OTHER
    assert time.process_time() - started < 20


def _written_or_refused(data: bytes, hint: str) -> bytes:
    """Return the labelled file, or nothing where it was refused; a write that fails its own reading is a defect."""
    try:
        return write(data, first_label(OTHER, "second"), hint=hint)
    except GuijuError as error:
        if error.code.code not in ("LABEL-CONTAINER", "LABEL-DAMAGED", "LABEL-CONFLICT", "LABEL-NO-ROOM"):
            raise
        return b""


@pytest.mark.parametrize("name", MEDIA)
def test_an_independent_reader_sees_the_label_and_the_same_pictures_or_samples(name: str, tmp_path: Path) -> None:
    tool("exiftool")
    before, after = (tmp_path / each / name for each in ("before", "after"))
    before.parent.mkdir()
    after.parent.mkdir()
    before.write_bytes(sample(name))
    write_file(before, after, LABEL)
    unknown = name in ("plain.wav", "plain.avi")
    shown = run(tool("exiftool"), "-U", "-b", "-Unknown_AIGC", str(after)) if unknown else exiftool(after)
    assert f'"ContentProducer":"{CODE}"' in shown
    assert f'"ProduceID":"{LABEL.produce_id}"' in shown
    if name != "plain.aac":  # without a tag exiftool does not know it
        assert CODE not in exiftool(before)
    assert "Warning" not in shown
    assert decoded(after) == decoded(before)


def _xml(names: int) -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg">' + b"".join(b"<p%x/>" % number for number in range(names)) + b"</svg>"


def _tiff(*directories: bytes) -> bytes:
    """Return the beginning of a TIFF; each directory is given with what follows it."""
    return b"II*\0" + struct.pack("<I", 8) + b"".join(struct.pack("<H", len(each) // 12) + each for each in directories)


GREEDY: dict[str, Callable[[], bytes]] = {
    "names": lambda: _xml(30_000),
    "names of attributes": lambda: _xml(0)[:-6] + b"<p" + b"".join(b" a%x=''" % number for number in range(40_000)) + b"/></svg>",
    "a long namespace": lambda: (
        _xml(0)[:-7] + b" xmlns:q='" + b"u" * 9_000 + b"'>" + b"".join(b"<q:a%d/>" % number for number in range(999)) + b"</svg>"
    ),
    "a long namespace in a packet": lambda: png_with((b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + b"<a xmlns='" + b"u" * 9_000 + b"'/>")),
    "namespaces": lambda: _xml(0)[:-7] + b"".join(b" xmlns:a%d='b'" % number for number in range(300)) + b"><metadata/></svg>",
    "names in a packet": lambda: png_with((b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + _xml(30_000))),
    "packets": lambda: png_with(
        *[(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<a>" + bytes([32]) * 4_000_000 + b"</a>"))] * 5
    ),
    "labels": lambda: png_with(*[(b"tEXt", b"AIGC\0{}")] * 1001),
    "labels of a page": lambda: b"<html>" + b"<meta name=AIGC content=x>" * 1002,
    "boxes": lambda: sample("plain.mp4") + b"\0\0\0\x08free" * 250_000,
    "chunks": lambda: b"RIFF" + struct.pack("<I", 800_036) + b"WAVEfmt \x10\0\0\0" + bytes(16) + b"JUNK\0\0\0\0" * 100_001,
    "directories in one another": lambda: (
        _tiff(struct.pack("<HHII", 0x14A, 4, 4, 26) + bytes(4) + struct.pack("<4I", 99, 102, 105, 108)) + b"\xff" * 790_000
    ),
    "tables in one another": lambda: (
        _tiff(*(struct.pack("<HHIIHHIII", 0x111, 4, 999, 8, 0x117, 4, 999, 8, next) for next in (38, 68, 0))) + bytes(4_000)
    ),
    "texts in one another": lambda: _tiff(struct.pack("<HHII", 0x10E, 2, 120_000, 8) * 200 + bytes(4)) + bytes(120_000),
    "values": lambda: (
        sample("plain.flv")[:13] + b"\x12\x0d\0\0" + bytes(7) + b"\2\0\nonMetaData\3" + b"\0\1a\5" * 212_988 + b"\0\0" + bytes(4)
    ),
}


@pytest.mark.parametrize("name", GREEDY)
def test_what_would_take_much_memory_is_refused(name: str) -> None:
    """Each of these took 130 MB to 4 GB; what is refused early never does."""
    found = inspect(GREEDY[name]())
    assert found.damaged
    assert any(word in found.damaged.reason for word in ("more than", "too many", "longer than")), found.damaged.reason


def test_the_provider_code_is_never_made_up() -> None:
    for code in ("", "doubao", OLD.content_producer, CODE[:-1], CODE[:22] + "20000"):
        with pytest.raises(GuijuError) as told:
            write(sample("plain.png"), first_label(code, "n"))
        assert told.value.code.code == "LABEL-VALUE"


def test_what_is_no_known_form_is_refused_and_never_reads_as_none() -> None:
    for data in (b"", b"BM" + bytes(60), bytes(300)):
        with pytest.raises(GuijuError) as told:
            read(data)
        assert told.value.code.code == "LABEL-CONTAINER"
        assert inspect(data).verdict == "inconclusive"
