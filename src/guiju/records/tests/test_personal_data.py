"""One person's records: searched and exported, whole, by whoever has them open, within bounded memory; nobody else's.

Guarded lines: `get_opening` in `search` and `begin_export`; `subject=subject` in `list_opened`; the batches of `list_opened`.
"""

import html
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pytest_django.fixtures import Settings

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.core.master_keys import load_master_keys
from guiju.core.settings import Records
from guiju.records.access import opening
from guiju.records.access.content import plain, texts_of
from guiju.records.access.opening import OPENING_NEEDED, SUBJECT_UNKNOWN, open_content, open_subject
from guiju.records.entry import Entry
from guiju.records.keeping.hold import Selection, set_hold
from guiju.records.models import Record, RecordContent
from guiju.records.recorder.ingest import write_entries
from guiju.records.recorder.recording import Recorder
from guiju.records.subjects import personal_data, search
from guiju.records.subjects.erasure import erase_subject
from guiju.records.subjects.handed_over import LEFT_OUT
from guiju.records.subjects.personal_data import begin_export, find, list_members
from guiju.records.subjects.search import SEARCH_EMPTY, Hit, begin_search
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import entry

pytestmark = pytest.mark.django_db
OFFICER = "person:officer"
HOSTILE = "<script>alert('你')</script>"
FETCHED = re.compile(r"""(?:src|href)=["']?(?:https?:)?//|@import|url\(""")


def said(question: str, answer: str, subject: str = "u-1", **metadata: Any) -> Entry:
    request = json.dumps({"messages": [{"role": "user", "content": question}]}, ensure_ascii=False).encode()
    return entry(
        subject=subject, content=msgspec.msgpack.encode({"request": request, "answer": {"choices[0].message.content": answer}}), **metadata
    )


@pytest.fixture
def filled(data: DataFolder) -> DataFolder:
    entries = [
        said("如何保管密码？", "请使用密码管理器，不要写在纸上。", output={"hits": [{"risk": "A.1.h", "start": 3}], "outcome": "pass"}),
        said("What is a Passkey?", HOSTILE),
        said("u-2 asks", "密码 of another person", subject="u-2"),
        entry(subject="u-1", reason="no content"),
        said("最后一问", "完"),
    ]
    write_entries(entries, load_master_keys(data.keys))
    return data


def opened(subject: str = "u-1") -> None:
    open_subject(subject, actor=OFFICER, reason="request of the person")


def found(words: str) -> list[Hit]:
    return search.search("u-1", words, actor=OFFICER).hits


def on_record(data: DataFolder, kind: str) -> list[Record]:
    recorder = Recorder(data, ORIGIN)
    while recorder.step():
        pass
    return list(Record.objects.filter(kind=kind).order_by("index"))


# ── content ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_texts_are_found_wherever_they_are() -> None:
    content = msgspec.msgpack.encode({"request": b'{"a": [{"b": "x"}], "n": 1.5}', "answer": {"p": "y"}, "raw": b"\xff\x00"})
    assert list(texts_of(content)) == [("request.a[0].b", "x"), ("answer.p", "y"), ("raw", "ff00")]
    assert plain("只是文字".encode()) == "只是文字"
    assert plain(b"7") == "7"
    deep = b"[" * 900 + b'"x"' + b"]" * 900
    assert next(texts_of(msgspec.msgpack.encode({"request": deep})))[1] in ("x", deep.decode())
    assert list(texts_of(b"\xc1\xff")) == [("", "c1ff")]


# ── searching ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_whoever_has_the_subject_open_searches_it(filled: DataFolder) -> None:
    for work in (lambda: begin_search("u-1", "密码", actor=OFFICER), lambda: search.search("u-1", "密码", actor=OFFICER)):
        with pytest.raises(GuijuError) as told:
            work()
        assert told.value.code is OPENING_NEEDED
    assert on_record(filled, search.SEARCHED) == []


def test_a_search_finds_record_path_and_snippet_in_one_persons_contents(filled: DataFolder) -> None:
    opened()
    begin_search("u-1", "密码", actor=OFFICER)
    hits = found("密码")
    assert [(hit.record.index, hit.path) for hit in hits] == [(0, "request.messages[0].content"), (0, "answer.choices[0].message.content")]
    assert (hits[1].before, hits[1].words, hits[1].after) == ("请使用", "密码", "管理器，不要写在纸上。")
    assert [hit.words for hit in found("passKEY")] == ["Passkey"]
    assert found("another person") == []
    assert found(".*") == []  # words are words, not a pattern


def test_the_words_are_not_in_the_clear_and_go_with_the_subject(filled: DataFolder, settings: Settings) -> None:
    opened()
    begin_search("u-1", "管理器", actor=OFFICER)
    (record,) = on_record(filled, search.SEARCHED)
    assert "管理器" not in bytes(record.body).decode()
    assert record.metadata["reason"] == "request of the person"
    assert plain(open_content(record.id, actor=OFFICER, reason="oversight")) == {"words": "管理器"}
    assert [hit.record.index for hit in found("管理器")] == [0]  # a search does not find itself
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(erasure_people=1))
    erase_subject("u-1", actor=OFFICER, reason="request of the person")
    assert RecordContent.objects.filter(record=record).count() == 0


def test_a_search_goes_on_in_bounded_steps(filled: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    write_entries([said("q", f"needle {number}") for number in range(30)], load_master_keys(filled.keys))
    opened()
    monkeypatch.setattr(search, "STEP_RECORDS", 7)
    hits, after, done, steps = [], -1, 0, 0
    while True:
        step = search.search("u-1", "NEEDLE", actor=OFFICER, after=after, done=done)
        steps += 1
        hits += [hit.after for hit in step.hits]
        assert step.whole == 33
        if step.after is None:
            break
        assert step.done - done == 7
        after, done = step.after, step.done
    assert (hits, step.done, steps) == ([f" {number}" for number in range(30)], 33, 5)
    monkeypatch.setattr(search, "STEP_S", -1.0)
    assert search.search("u-1", "needle", actor=OFFICER).after == -1  # no time at all: it begins again, and loses nothing


def test_a_search_without_words_is_none(filled: DataFolder) -> None:
    opened()
    with pytest.raises(GuijuError) as told:
        begin_search("u-1", "  ", actor=OFFICER)
    assert told.value.code is SEARCH_EMPTY


# ── exporting ───────────────────────────────────────────────────────────────────────────────────────────────────────


def exported(*, open_: bool = True, subject: str = "u-1", complete: bool = False) -> dict[str, bytes]:
    export = begin_export(subject, actor=OFFICER, reason="access request 4", opened=open_, complete=complete)
    return {name: b"".join(pieces) for name, pieces in list_members(export)}


def test_an_export_is_whole_and_about_one_person(filled: DataFolder) -> None:
    opened()
    members = exported(complete=True)
    assert list(members) == ["records.json", "records-zh-0001.html", "records-en-0001.html"]
    told = json.loads(members["records.json"])
    assert (told["subject"], told["count"], told["contents_opened"], told["by"]) == ("u-1", 4, True, OFFICER)
    records = told["records"]
    assert [(each["index"], each["content_state"]) for each in records] == [(0, "opened"), (1, "opened"), (3, "none"), (4, "opened")]
    kept = Record.objects.get(index=0)
    assert records[0]["metadata"] == kept.metadata
    assert records[0]["metadata"]["output"]["hits"] == [{"risk": "A.1.h", "start": 3}]
    assert (records[0]["id"], records[0]["kind_zh"]) == (kept.id, "回答已送达")
    assert records[0]["at"] == kept.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert records[0]["content"]["answer"] == {"choices[0].message.content": "请使用密码管理器，不要写在纸上。"}
    everything = b"".join(members.values()).decode()
    assert "another person" not in everything
    for name in ("records-zh-0001.html", "records-en-0001.html"):
        page = members[name].decode()
        assert "请使用密码管理器，不要写在纸上。" in page
        assert "output.hits[0].risk" in page
        assert html.escape(HOSTILE) in page
        assert HOSTILE not in page
        assert not FETCHED.search(page)
    assert "个人记录导出" in members["records-zh-0001.html"].decode()
    assert "Records of one person" in members["records-en-0001.html"].decode()
    (record,) = on_record(filled, "records.subject.exported")
    assert (record.metadata["records"], record.metadata["last_index"], record.metadata["opened"]) == (4, 4, True)


def test_what_is_for_the_person_gives_nothing_away(filled: DataFolder) -> None:
    hit = {"risk": "A.1.h", "rule": "kw-77", "action": "stop"}
    stopped = said("停下的问题", "从未送达的文字", input={"hits": [hit]}, output={"hits": [hit]})
    masked = said("号码", "电话 13800138000 可联系", output={"hits": [hit | {"action": "mask"}]})
    stopped = msgspec.structs.replace(stopped, kind="gateway.answer.stopped")
    masked = msgspec.structs.replace(masked, actor="person:investigator")
    masked.metadata["review"] = "hit"  # that somebody looks at it
    reviewed = entry("screening.review.decided", item="0" * 26, findings=[{"rule": "kw-77", "verdict": "false"}])
    write_entries([stopped, masked, reviewed], load_master_keys(filled.keys))
    set_hold(Selection(subject="u-1"), actor="person:investigator", reason="secret case", reference="(2026) 7")
    opened()
    begin_search("u-1", "密码", actor=OFFICER)
    on_record(filled, "records.")
    given = exported()
    everything = b"".join(given.values()).decode()
    for secret in (
        "kw-77",
        "从未送达的文字",
        "13800138000",
        "person:",
        "secret case",
        "(2026) 7",
        "access request 4",
        "records.hold",
        "records.subject.",
        "screening.review",
        '"review"',
    ):
        assert secret not in everything, secret
    assert "停下的问题" in everything
    told = json.loads(given["records.json"])
    assert (told["count"], told["complete"], len(told["records"])) == (6, False, 6)
    for text, name in zip(LEFT_OUT, ("zh", "en"), strict=True):
        assert text in given[f"records-{name}-0001.html"].decode()
    whole = b"".join(exported(complete=True).values()).decode()
    for secret in (
        "kw-77",
        "从未送达的文字",
        "13800138000",
        "person:investigator",
        "secret case",
        "records.subject.searched",
        "screening.review.decided",
    ):
        assert secret in whole, secret


def test_a_person_of_whom_nothing_but_handling_is_on_record(data: DataFolder) -> None:
    write_entries([entry("records.hold.set", subject="u-9")], load_master_keys(data.keys))
    assert json.loads(exported(open_=False, subject="u-9")["records.json"])["records"] == []


def test_without_opening_the_export_holds_metadata_alone(filled: DataFolder) -> None:
    everything = exported(open_=False)
    assert {each["content_state"] for each in json.loads(everything["records.json"])["records"]} == {"sealed", "none"}
    assert "管理器" not in b"".join(everything.values()).decode()
    with pytest.raises(GuijuError) as told:
        exported()
    assert told.value.code is OPENING_NEEDED
    assert len(on_record(filled, "records.subject.exported")) == 1


def test_what_is_erased_during_an_export_is_not_given_out(filled: DataFolder, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, records=Records(erasure_people=1))
    monkeypatch.setattr(opening, "BATCH_RECORDS", 1)
    monkeypatch.setattr(personal_data, "PAGE_RECORDS", 1)
    opened()
    members = list_members(begin_export("u-1", actor=OFFICER, reason="access request 4", opened=True))
    pieces = next(members)[1]
    assert "管理器" in (next(pieces) + next(pieces)).decode()
    erase_subject("u-1", actor="person:other", reason="request of the person")
    with pytest.raises(GuijuError) as told:
        next(pieces)
    assert told.value.code is OPENING_NEEDED


def test_records_that_come_during_an_export_are_in_none_of_its_files(filled: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened()
    export = begin_export("u-1", actor=OFFICER, reason="access request 4", opened=True)
    write_entries([said("too late", "too late")], load_master_keys(filled.keys))
    assert b"too late" not in b"".join(b"".join(pieces) for _, pieces in list_members(export))


def test_many_records_make_many_pages_and_need_little_memory(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_data, "PAGE_RECORDS", 100)
    write_entries([said("q" * 1_000, "a" * 1_000) for _ in range(1_050)], load_master_keys(data.keys))
    opened()
    export = begin_export("u-1", actor=OFFICER, reason="access request 4", opened=True)
    assert [len(b"".join(pieces)) for _, pieces in list_members(export)]  # templates are loaded before memory is looked at
    size, names = 0, []
    tracemalloc.start()
    for name, pieces in list_members(export):
        names.append(name)
        size += sum(map(len, pieces))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert names == ["records.json", *[f"records-{language}-{number:04d}.html" for language in ("zh", "en") for number in range(1, 12)]]
    assert size > 7_500_000
    assert peak < 3_500_000


def test_what_there_is_about_a_subject(filled: DataFolder) -> None:
    told = find("u-1")
    assert (told.records, told.contents, told.holds, told.erasures) == (4, 3, [], [])
    assert told.sealed_since is not None
    for nobody in ("u-404", ""):
        with pytest.raises(GuijuError) as refused:
            find(nobody)
        assert refused.value.code is SUBJECT_UNKNOWN


def test_the_command_line_exports_erases_and_verifies(tmp_path: Path) -> None:
    from guiju.records.tests.site import make_site
    from tests.serving import guiju

    site = make_site(tmp_path / "data")
    (site.data.root / "guiju.toml").write_text("[records]\nerasure_people = 1\n")
    site.run(
        "from guiju.core.master_keys import load_master_keys\nfrom guiju.core.pseudonyms import pseudonym_of\n"
        "from guiju.core.keys import load_pseudonym_key\nfrom guiju.records.recorder.ingest import write_entries\n"
        "from guiju.records.tests.test_personal_data import said\nfolder = settings.DATA_FOLDER.keys\n"
        "subject = pseudonym_of(load_pseudonym_key(folder), 'chat', '张三')\n"
        "write_entries([said('question', '秘密答案', subject=subject)], load_master_keys(folder))\n"
    )
    data = ("--data", str(site.data.root))
    told = guiju("records", "subject", *data, "--service", "chat", "--user", "张三")
    subject = re.search(r"u-[a-z2-7]{24}", told.stdout)[0]  # type: ignore[index]
    out = tmp_path / "out"
    done = guiju("records", "export", *data, "--subject", subject, "--reason", "access request", "--open", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "秘密答案" in (out / "records-zh-0001.html").read_text()
    assert {path.suffix for path in out.iterdir()} == {".json", ".html"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in out.iterdir())
    assert guiju("records", "export", *data, "--subject", subject, "--reason", "again", "--out", str(out)).returncode == 2
    certificate = tmp_path / "certificate.json"
    done = guiju("records", "erase", *data, "--subject", subject, "--reason", "deletion request", "--out", str(certificate))
    assert done.returncode == 0, done.stderr
    public = ("--public-key", str(site.data.keys / "site.pub"))
    assert guiju("verify", str(certificate), *public).returncode == 0
    certificate.write_text(certificate.read_text().replace("deletion request", "another request"))
    assert guiju("verify", str(certificate), *public).returncode == 1
