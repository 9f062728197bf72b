"""A text that is taken along carries both labels, and was screened and recorded first.

Guarded: `labelled_words`, the read-back in `export_text`, ENDS in `Export._examine`, the order of record and reply.
"""

import io
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from guiju.gateway.tests.rig import KEYS, TERM, Reply, Site, Worker
from guiju.labelling import first_label, read
from guiju.labelling.values import Label

CODE = "001191110102MACQD9K64010000"
WORDS = "（AI 生成）"
TEXT = "西湖在杭州。\n\n<b>第二段</b> & 其他"


@pytest.fixture(scope="module")
def shared(module_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    services = tuple(
        msgspec.structs.replace(each, label=Label(text=WORDS, content_producer=CODE, mode=each.label.mode))
        for each in module_site.bundle.services
    )
    module_site.publish(msgspec.structs.replace(module_site.bundle, services=services))
    worker = Worker(module_site, tmp_path_factory.mktemp("log") / "worker.log")
    yield worker
    worker.stop()


@pytest.fixture
def exporting(shared: Worker) -> Worker:
    """The worker of this module; `new_entries` gives what this test leaves."""
    shared.site.new_entries()
    return shared


def _export(worker: Worker, key: str = "main", **request: Any) -> Reply:
    headers = {"Authorization": f"Bearer {KEYS[key]}", "Content-Type": "application/json"}
    return worker.ask("POST", "/v1/exports", msgspec.json.encode({"text": TEXT, "produce_id": "n-1"} | request), headers)


@pytest.mark.parametrize("key", ["main", "bare"])  # words in the text, and a service whose interface shows them
@pytest.mark.parametrize("form", ["md", "html", "docx", "txt"])
def test_a_file_has_both_labels_and_its_record_first(exporting: Worker, form: str, key: str) -> None:
    reply = _export(exporting, key, format=form)
    assert reply.status == 200, reply.body
    assert reply.headers["x-aigc-produceid"] == "n-1"
    assert reply.headers["content-disposition"] == f'attachment; filename="n-1.{form}"'
    shown = reply.body.decode() if form != "docx" else zipfile.ZipFile(io.BytesIO(reply.body)).read("word/document.xml").decode()
    assert shown.count(WORDS) == 1
    assert "西湖在杭州。" in shown
    if form in ("html", "docx"):
        assert "&lt;b&gt;第二段" in shown
    if form != "txt":
        assert read(reply.body, hint=f"a.{form}") == first_label(CODE, "n-1")
    [entry] = [each for each in exporting.site.new_entries() if each.kind == "gateway.export.delivered"]
    assert entry.metadata["export"]["sha256"] == sha256(reply.body).hexdigest()  # type: ignore[index]


def test_words_that_are_there_are_not_put_twice(exporting: Worker) -> None:
    assert _export(exporting, text=f"{TEXT}\n\n{WORDS}").body.decode().count(WORDS) == 1


def test_what_would_not_leave_in_an_answer_does_not_leave_in_a_file(exporting: Worker) -> None:
    refused = _export(exporting, text=f"来{TERM}吧")
    assert refused.status == 400
    assert refused.json["error"]["code"] == "answer_withheld"
    assert TERM not in refused.body.decode()
    assert [each.kind for each in exporting.site.new_entries()].count("gateway.export.withheld") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": ""},
        {"text": 7},
        {"text": "x" * 1_000_001},
        {"format": "pdf"},
        {"format": 3},
        {"produce_id": '"; x'},
        {"produce_id": "a" * 65},
    ],
)
def test_a_mistaken_export_is_refused(exporting: Worker, wrong: dict[str, Any]) -> None:
    refused = _export(exporting, **wrong)
    assert refused.status == 400
    assert refused.json["error"]["param"] == next(iter(wrong))
    assert [each.kind for each in exporting.site.new_entries()] == ["gateway.request.rejected"]
