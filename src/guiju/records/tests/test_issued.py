"""Texts are found by their wording through the record that lies in the log, and by nothing else."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from guiju.core.fingerprint import fingerprint
from guiju.core.keys import load_pseudonym_key
from guiju.core.layout import DataFolder
from guiju.records.entry import Entry
from guiju.records.models import IssuedText, Record
from guiju.records.recorder import issued
from guiju.records.tests.site import make_postgresql_site
from guiju.web.tests.conftest import data  # noqa: F401  # the fixture
from guiju.web.tests.rig import entry, write_records

KEY = os.urandom(32)
TEXT = "一段足够长的回答，用来验证：查找只看字词。It has words, too!"


def answer(content: object, kind: str = issued.DELIVERED, **metadata: object) -> Entry:
    made = msgspec.msgpack.encode({"request": b"{}", "answer": content})
    return msgspec.structs.replace(entry(kind, metadata=metadata), content=made)


def completion(*texts: object) -> bytes:
    return msgspec.json.encode({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}} for text in texts]})


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (completion(TEXT), [TEXT]),
        (completion(TEXT, None, TEXT + "二"), [TEXT, TEXT + "二"]),
        (
            {"choices[0].content": TEXT, "choices[0].reasoning_content": TEXT + "想", "choices[0].tool_calls[0].function.arguments": "{}"},
            [TEXT],
        ),
        (TEXT, [TEXT]),
        ("short", []),
        (completion({"a": 1}), []),
        (b"not json", []),
        (b'{"choices": [{"message": 5}]}', []),
        (7, []),
    ],
)
def test_every_form_of_an_answer_has_the_fingerprints_of_its_wordings(content: object, texts: list[str]) -> None:
    made = answer(content)
    marked = issued.worded(made, KEY)
    wanted = [issued._mark_of(issued.wording_of(text), KEY) for text in texts]
    assert marked.metadata.get("wording", []) == wanted
    assert issued.worded(marked, KEY) is marked
    assert (marked is made) == (not texts)


def test_only_delivered_answers_are_marked() -> None:
    for kind in ("gateway.answer.stopped", "gateway.input.refused", "web.session.signed_in"):
        made = answer(TEXT, kind)
        assert issued.worded(made, KEY) is made


@settings(max_examples=150, deadline=None)
@given(
    some.text(min_size=0, max_size=80), some.lists(some.sampled_from(list(" \t\r\n*_#>-，。！…\u3000\u200b")), max_size=30), some.randoms()
)
def test_spaces_and_marks_do_not_change_a_wording_and_letters_do(text: str, marks: list[str], chance: object) -> None:
    wording = issued.wording_of(text)
    spread = list(text)
    for mark in marks:
        spread.insert(chance.randint(0, len(spread)), mark)  # type: ignore[attr-defined]
    assert issued.wording_of("".join(spread)) == wording
    assert issued.wording_of(wording.decode("utf-16-le", "surrogatepass")) == wording
    if wording:
        assert issued.wording_of(text + "x") != wording
        assert len(wording) // 2 >= issued.LEAST_CHARACTERS


def test_a_way_that_its_record_does_not_confirm_leads_nowhere(data: DataFolder) -> None:  # noqa: F811
    key = load_pseudonym_key(data.keys)
    marked = issued.worded(answer(TEXT), key)
    (record,) = write_records(data, [marked])
    assert issued.find_text(TEXT, (), key) is None  # nothing leads there yet
    issued.note_issued([marked], record.index, key)
    found = issued.find_text(TEXT, (), key)
    assert found is not None
    assert (found.record, found.match) == (record.id, "wording")
    assert issued.find_text(TEXT, (), os.urandom(32)) is None
    assert issued.find_text(TEXT[:10], (), key) is None
    (plain,) = write_records(data, [answer("another answer, with no fingerprint in its record")])
    forged = issued._mark_of(issued.wording_of("another answer, with no fingerprint in its record"), key)
    IssuedText.objects.create(mark=bytes.fromhex(forged), place=plain.index * issued.PLACES)
    assert issued.find_text("another answer, with no fingerprint in its record", (), key) is None


def test_ways_to_records_that_are_gone_go(data: DataFolder) -> None:  # noqa: F811
    key = load_pseudonym_key(data.keys)
    marked = issued.worded(answer(TEXT), key)
    (record,) = write_records(data, [marked])
    issued.note_issued([marked, marked], record.index, key)
    issued.forget_issued([record.index, record.index + 1])
    assert [place // issued.PLACES for place in IssuedText.objects.values_list("place", flat=True)] == [record.index]
    assert Record.objects.count() == 1
    assert issued.since() == record.at


def test_a_file_is_found_by_its_hash_and_by_its_number_through_the_record_that_says_so(data: DataFolder) -> None:  # noqa: F811
    key = load_pseudonym_key(data.keys)
    media = [{"produce_id": f"N-{number}", "sha256": f"{number:064x}"} for number in range(10)]
    made = entry("gateway.media.delivered", metadata={"media": media})
    (record,) = write_records(data, [made])
    issued.note_issued([made], record.index, key)
    assert issued.find_file(f"{9:064x}", [], key) == (record, True)
    assert issued.find_file("f" * 64, ["N-9"], key) == (record, False)
    assert issued.find_file("f" * 64, ["N-10"], key) is None
    (other,) = write_records(data, [entry("gateway.media.delivered", metadata={"media": "wrong"})])
    IssuedText.objects.create(mark=bytes.fromhex(fingerprint(key, "file.sha256", "e" * 64)), place=other.index * issued.PLACES)
    assert issued.find_file("e" * 64, [], key) is None


RECORD = """
from django.db import transaction
from guiju.core.keys import load_pseudonym_key
from guiju.core.master_keys import load_master_keys
from guiju.records.recorder import issued
from guiju.records.recorder.ingest import write_entries
from guiju.records.models import IssuedText, Record
from guiju.records.tests.test_issued import TEXT, answer
key = load_pseudonym_key(settings.DATA_FOLDER.keys)
made = issued.worded(answer(TEXT, media=[{"sha256": "a", "produce_id": "b"}]), key)
with transaction.atomic():
    issued.note_issued([made], write_entries([made], load_master_keys(settings.DATA_FOLDER.keys)).first, key)
found = issued.find_text(TEXT, (), key)
file = issued.find_file("a", (), key)
issued.forget_issued([0])
print(found.match, file[1], IssuedText.objects.count())
"""


def test_on_postgresql_too(tmp_path: Path, postgresql_url: str) -> None:
    site = make_postgresql_site(tmp_path / "data", postgresql_url, "issued")
    assert site.run(RECORD).split() == [b"wording", b"True", b"3"]
