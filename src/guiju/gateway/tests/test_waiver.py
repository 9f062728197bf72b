"""An answer without the explicit label is one recipient's: by its number, its user, its service and its time; the log is durable before the last byte.

Guarded: each comparison of `find_waiver`, `without_words`, `_log_supply` in `Call._record`.
"""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from guiju.core.pseudonyms import pseudonym_of
from guiju.gateway.bundle import Waiver
from guiju.gateway.tests.rig import Reply, ScriptedUpstream, Site, Worker

USER = "studio-1"
WORDS = "（AI 生成）"


@pytest.fixture(scope="module")
def shared(module_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    def waiver(number: str, service: str = "main", user: str = USER, until_s: float = 2**33) -> Waiver:
        subject = pseudonym_of(module_site.bundle.pseudonym_key, service, user)
        return Waiver(id=number, service=service, subject=subject, agreement="v3", until_s=int(until_s))

    waivers = (waiver("w-1"), waiver("w-old", until_s=time.time() - 1), waiver("w-bare", "bare"), waiver("w-other", user="studio-2"))
    module_site.publish(msgspec.structs.replace(module_site.bundle, waivers=waivers))
    worker = Worker(module_site, tmp_path_factory.mktemp("log") / "worker.log")
    yield worker
    worker.stop()


@pytest.fixture
def waiving(shared: Worker) -> Worker:
    """The worker of this module; `new_entries` gives what this test leaves."""
    shared.site.new_entries()
    return shared


def _ask(worker: Worker, number: str = "", user: str = USER, **more: Any) -> Reply:
    headers = {"X-Guiju-Unlabelled": number} if number else {}
    return worker.chat("ok", headers=headers, user=user, messages=[{"role": "user", "content": "hello"}], **more)


def test_a_whole_answer_has_no_words_and_keeps_its_implicit_label(waiving: Worker) -> None:
    labelled, bare = _ask(waiving), _ask(waiving, "w-1")
    assert WORDS in labelled.json["choices"][0]["message"]["content"]
    answer = bare.json
    assert WORDS not in answer["choices"][0]["message"]["content"]
    assert (answer["aigc"]["explicit"], answer["aigc"]["explicit_required"], answer["aigc"]["Label"]) == ("waived", False, "1")
    number = answer["aigc"]["ProduceID"]
    entries = waiving.site.new_entries()
    [closing] = [entry for entry in entries if entry.id == number]
    assert closing.metadata["label"] == {"produce_id": number, "explicit": "waived"}
    [log] = [entry for entry in entries if entry.kind == "labelling.unlabelled.supplied"]
    assert log.subject == closing.subject
    assert log.metadata == {"supply": "w-1", "agreement": "v3", "produce_id": number, "record": number}


def test_a_stream_has_no_words_either(waiving: Worker) -> None:
    labelled, bare = _ask(waiving, stream=True), _ask(waiving, "w-1", stream=True)
    assert WORDS in labelled.body.decode()
    text = bare.body.decode()
    assert WORDS not in text
    assert text.count('"explicit":"waived"') == 2  # the first event and the last
    assert text.rstrip().endswith("[DONE]")
    assert [entry.kind for entry in waiving.site.new_entries()].count("labelling.unlabelled.supplied") == 1


@pytest.mark.parametrize(
    ("number", "user"), [("w-none", USER), ("w-old", USER), ("w-bare", USER), ("w-other", USER), ("w-1", "studio-2"), ("w-1", "")]
)
def test_nothing_is_generated_for_a_grant_that_is_not_theirs(waiving: Worker, upstream: ScriptedUpstream, number: str, user: str) -> None:
    asked = len(upstream.calls)
    refused = _ask(waiving, number, user)
    assert refused.status == 403
    assert refused.json["error"]["code"] == "unlabelled_refused"
    assert len(upstream.calls) == asked
    kinds = [entry.kind for entry in waiving.site.new_entries()]
    assert "labelling.unlabelled.supplied" not in kinds
    assert kinds.count("gateway.request.rejected") == 1


def test_the_waiver_of_one_request_is_none_for_the_next(waiving: Worker) -> None:
    _ask(waiving, "w-1")
    assert WORDS in _ask(waiving).json["choices"][0]["message"]["content"]
