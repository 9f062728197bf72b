"""What a real worker passes on, what it swaps while it runs, how it ends, and what it does when nothing can be recorded.

The guarded lines: `exchange.py` `_record` before `_reply` and before the tail; `app.py` `_follow_bundle`; `worker.py` the drain.
"""

import base64
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from guiju.gateway.bundle import LibraryEntry, Upstream
from guiju.gateway.tests.client import hear
from guiju.gateway.tests.rig import HANGING, KEYS, TERM, ScriptedUpstream, Site, Worker, closed_port, wait_for
from guiju.gateway.tests.upstreams import raw
from guiju.records.entry import Entry
from guiju.records.spool.segment import list_segments
from guiju.screening.tests.test_view import REQUEST, at, walk

LABEL = "（AI 生成）"


# ── passed on as it came ────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_parameter_reaches_the_upstream_as_it_was_sent(worker: Worker, upstream: ScriptedUpstream) -> None:
    for streams in (False, True):
        # A stream cannot be asked for sound: it could not be labelled.
        heard = {"modalities": ["text"] if streams else ["text", "audio"], "audio": {"voice": "a", "format": "wav"}}
        sent = (
            REQUEST | heard | {"model": "ok", "stream": streams, "x_float": 1e-7, "x_int": 2**53, "x_null": None, "x_text": "\u2028\x00é"}
        )
        assert worker.post(json.dumps(sent).encode()).status == 200
        assert upstream.calls[-1].request == sent
        assert "sk-main" not in upstream.calls[-1].head


def test_a_public_name_of_a_model_becomes_the_upstreams_own(worker: Worker, upstream: ScriptedUpstream) -> None:
    whole, streamed = worker.chat("public"), worker.chat("public", stream=True)
    assert upstream.calls[-1].request["model"] == "internal"
    assert whole.json["model"] == "public"
    assert {event["model"] for event in hear(streamed.body).events} == {"public"}
    assert b"internal" not in whole.body + streamed.body


def test_a_connection_that_the_upstream_closed_meanwhile_is_tried_once_more(worker: Worker, upstream: ScriptedUpstream) -> None:
    """Red without the StaleConnection branch of `Pool.ask`."""
    assert worker.chat("ok").status == 200  # its connection waits in the pool
    reply = worker.chat("closed_once")
    assert reply.status == 200
    assert reply.json["choices"][0]["message"]["content"].startswith("又好了")
    assert [call.request["model"] for call in upstream.calls[-2:]] == ["closed_once", "closed_once"]


def test_fields_of_an_answer_that_nobody_knows_arrive(worker: Worker) -> None:
    answer = worker.chat("parrot", key=KEYS["bare"]).json
    assert answer["x_top"] == {"y": [1.5, True]}
    assert answer["service_tier"] == "default"
    assert answer["choices"][0]["x_choice"] == "三"
    assert answer["choices"][0]["message"]["x_message"] == {"deep": ["一", 2, None]}
    heard = hear(worker.chat("parrot", key=KEYS["bare"], stream=True).body)
    assert heard.events[0]["x_top"] == {"y": [1.5, True]}
    assert heard.events[0]["choices"][0]["delta"]["x_delta"] == {"deep": ["一", 2]}
    assert [choice["x_choice"] for event in heard.events for choice in event["choices"] if "x_choice" in choice] == ["三"]
    assert heard.finishes == {0: "length"}
    assert heard.usage == {"total_tokens": 5, "x_tokens": 1}


def test_the_answer_the_header_the_label_and_the_record_have_one_number(worker: Worker, site: Site) -> None:
    whole, streamed = worker.chat("ok"), worker.chat("ok", stream=True)
    assert whole.json["choices"][0]["message"]["content"] == f"你好，世界\n\n{LABEL}"
    heard = hear(streamed.body)
    assert heard.text() == f"你好，世界\n\n{LABEL}"
    for reply, label in ((whole, whole.json["aigc"]), (streamed, heard.events[0]["aigc"]), (streamed, heard.events[-1]["aigc"])):
        number = reply.headers["x-request-id"]
        assert reply.headers["x-aigc-produceid"] == number == label["ProduceID"]
        entry = site.closing(number)
        assert entry.kind == "gateway.answer.delivered"
        assert entry.metadata["label"] == {"produce_id": number, "explicit": "suffix"}
        assert entry.service == "main"
        assert "世界".encode() in entry.content
    opened = [entry for entry in site.entries() if entry.id == streamed.headers["x-request-id"]]
    assert [entry.kind for entry in opened] == ["gateway.answer.opened"]
    assert "你好".encode() in opened[0].content


def test_models_are_listed(worker: Worker) -> None:
    reply = worker.get("/v1/models", KEYS["main"])
    assert {model["id"] for model in reply.json["data"]} == {*HANGING, "nobody", "listed"}
    assert next(model for model in reply.json["data"] if model["id"] == "listed")["x"] == "y"
    assert reply.headers["x-request-id"]
    assert {model["id"] for model in worker.get("/v1/models", KEYS["narrow"]).json["data"]} == set(HANGING)


def test_the_sdk_asks_for_one_model(worker: Worker) -> None:
    """Guarded lines: the route of `_MODEL` and `raise problem or …` in `app.py`."""
    with openai.OpenAI(base_url=worker.url, api_key=KEYS["main"], max_retries=0) as client:
        found = client.models.retrieve("listed")
        assert (found.id, found.object) == ("listed", "model")
        assert client.models.retrieve(HANGING[0]).owned_by == "hasty"
        with pytest.raises(openai.NotFoundError) as refused:
            client.models.retrieve("of/nobody")
    narrow = worker.get("/v1/models/listed", KEYS["narrow"])
    chat = worker.chat("listed", key=KEYS["narrow"])
    assert refused.value.code == "model_unknown"
    assert (narrow.status, narrow.json["error"]) == (chat.status, chat.json["error"] | {"record": None})
    assert worker.get("/v1/models/listed", "sk-nobody").status == 401
    assert worker.get("/v1/models/", KEYS["main"]).json["error"]["code"] == "path_unknown"


def test_an_upstream_that_names_a_model_goes_before_one_that_takes_any(
    own_site: Site, start: list[Worker], tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """Guarded line: `if model in upstream.models` of `find_upstream`, before the one that names none is taken."""
    main, *others = own_site.bundle.services
    [up] = [each for each in own_site.bundle.upstreams if each.name == "up"]
    named = msgspec.structs.replace(up, name="named", models=("mine/one",), rename={"mine/one": "ok"})
    services = (msgspec.structs.replace(main, upstreams=("up", "named")), *others)
    own_site.publish(msgspec.structs.replace(own_site.bundle, services=services, upstreams=(*own_site.bundle.upstreams, named)))
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    assert worker.get("/v1/models/mine/one", KEYS["main"]).json["owned_by"] == "named"
    assert worker.chat("mine/one").status == 200
    assert upstream.calls[-1].request["model"] == "ok"
    assert worker.chat("parrot").status == 200
    assert upstream.calls[-1].request["model"] == "parrot"  # any other name is the upstream's to judge


def test_an_upstream_that_is_away_hides_only_its_own_models(own_site: Site, start: list[Worker], tmp_path: Path) -> None:
    away = Upstream(name="away", base_url=f"http://127.0.0.1:{closed_port()}/v1")
    main, narrow, *others = own_site.bundle.services
    services = (
        msgspec.structs.replace(main, upstreams=("away", "hasty", "up")),
        msgspec.structs.replace(narrow, upstreams=("away",)),
        *others,
    )
    own_site.publish(msgspec.structs.replace(own_site.bundle, services=services, upstreams=(*own_site.bundle.upstreams, away)))
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    assert {model["id"] for model in worker.get("/v1/models", KEYS["main"]).json["data"]} == {*HANGING, "listed"}
    reply = worker.get("/v1/models", KEYS["narrow"])
    assert (reply.status, reply.json["error"]["code"]) == (502, "models_unlisted")
    for key, name, status in (("main", HANGING[0], 200), ("main", "listed", 200), ("main", "not-listed", 502), ("narrow", "any", 502)):
        assert worker.get(f"/v1/models/{name}", KEYS[key]).status == status, name  # what may be there is not called unknown
    assert reply.json["error"]["record"] is None
    assert "UPSTREAM-UNREACHABLE" in reply.json["error"]["message"]


@pytest.mark.parametrize(
    "body", [b'{"data": ' + b"[" * 100_000, b'{"data": 7}', b"[]", b"<html>", b""], ids=["deep", "7", "list", "html", ""]
)
def test_a_list_of_models_that_is_none_is_told(tmp_path: Path, start: list[Worker], body: bytes) -> None:
    """Guarded: the last `except` of `UpstreamClient.models`."""
    odd = ScriptedUpstream({"/models": raw(body)})
    site = Site(tmp_path / "data", odd.url)
    site.publish()
    worker = Worker(site, tmp_path / "log")
    start.append(worker)
    reply = worker.get("/v1/models", KEYS["bare"])
    odd.close()
    assert (reply.status, reply.json["error"]["code"]) == (502, "models_unlisted")
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_end_users_are_recorded_under_a_pseudonym(worker: Worker, site: Site) -> None:
    def subject(**request: Any) -> str:
        return site.closing(worker.chat("ok", **request).headers["x-request-id"]).subject

    one = subject(user="13800138000")
    assert one.startswith("u-")
    assert "13800138000" not in one
    assert subject(user="13800138000") == subject(safety_identifier="13800138000") == one
    assert subject(user="x", headers={"X-Guiju-User": "13800138000"}) == one
    assert subject(user="13800138001") != one
    assert subject() == "key-k-main"
    assert subject(user="13800138000", key=KEYS["bare"]) != one  # services do not share pseudonyms


# ── refused and stopped ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_term_in_any_place_of_the_input_is_refused_and_not_told(worker: Worker, site: Site, upstream: ScriptedUpstream) -> None:
    before = len(upstream.calls)
    places = [path for path in walk(REQUEST) if path != ("model",)]
    for path in places:
        marked = json.loads(json.dumps(REQUEST)) | {"model": "ok"}
        at(marked, path[:-1])[path[-1]] = "我们去赌 博吧"
        reply = worker.post(json.dumps(marked, ensure_ascii=False).encode())
        assert reply.status == 400, path
        assert reply.json["error"]["code"] == "input_refused", path
        assert not any(told in reply.body.decode() for told in (TERM, "赌", "kw-1", "A.1")), path
    assert len(upstream.calls) == before
    refused = {entry.id: entry for entry in site.entries() if entry.kind == "gateway.input.refused"}
    assert len(refused) >= len(places)
    last = refused[reply.headers["x-request-id"]]
    assert last.metadata["error"] == "INPUT-REFUSED"
    assert last.metadata["input"]["hits"][0]["rule"] == "kw-1"  # type: ignore[index]
    assert "赌 博".encode() in last.content


def test_a_term_in_a_text_file_is_refused_and_a_picture_is_not_read(worker: Worker) -> None:
    def ask(url: str) -> int:
        return worker.chat("ok", messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]).status

    assert ask("data:text/plain;base64," + base64.b64encode(f"去{TERM}".encode()).decode()) == 400
    assert ask("data:image/png;base64," + base64.b64encode(bytes(range(256)) * 4_000).decode()) == 200


@pytest.mark.parametrize("streams", [False, True])
def test_an_answer_that_strays_is_stopped(worker: Worker, site: Site, streams: bool) -> None:
    reply = worker.chat("strays", stream=streams, headers={"Accept-Language": "en-GB"})
    assert reply.status == 200
    assert TERM not in reply.body.decode()
    number = reply.headers["x-request-id"]
    entry = site.closing(number)
    assert entry.kind == "gateway.answer.stopped"
    assert TERM.encode() in entry.content
    assert entry.metadata["output"]["hits"][0]["rule"] == "kw-1"  # type: ignore[index]
    if streams:
        heard = hear(reply.body)
        assert heard.text().startswith("你好，我们去\n\nThis answer was stopped")
        assert number in heard.text()
        assert heard.finishes == {0: "content_filter"}
        assert heard.retractions[0]["record"] == number
    else:
        assert reply.json["choices"][0]["message"]["content"].startswith("This answer was stopped")
        assert reply.json["choices"][0]["finish_reason"] == "content_filter"


def test_the_notice_speaks_the_readers_language(worker: Worker) -> None:
    def notice(language: str) -> str:
        headers = {"Accept-Language": language} if language else {}
        return str(worker.chat("strays", headers=headers).json["choices"][0]["message"]["content"])

    assert "回答已停止" in notice("zh-CN")
    assert "was stopped" not in notice("zh-CN")
    assert "回答已停止" in notice("")
    assert "was stopped" in notice("")


@pytest.mark.parametrize("streams", [False, True])
def test_a_flagged_word_leaves_and_is_on_record(worker: Worker, site: Site, streams: bool) -> None:
    reply = worker.chat("flags", stream=streams)
    text = hear(reply.body).text() if streams else reply.json["choices"][0]["message"]["content"]
    assert text.startswith("some flagged words here")
    entry = site.closing(reply.headers["x-request-id"])
    assert entry.kind == "gateway.answer.delivered"
    assert [hit["rule"] for hit in entry.metadata["output"]["hits"]] == ["kw-3"]  # type: ignore[index]


# ── swapped while it runs ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_bundle_is_in_force_within_a_second_and_streams_go_on(own_site: Site, start: list[Worker], tmp_path: Path) -> None:
    own_site.publish()
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    client = worker.connect(worker.raw_chat("steady", stream=True))
    client.recv(10)
    new = msgspec.structs.replace(
        own_site.bundle,
        library_version="library-2",
        library=(*own_site.bundle.library, LibraryEntry("kw-9", "新词", "A.1.h")),
        keys=tuple(msgspec.structs.replace(key, revoked=key.revoked or key.id == "k-bare") for key in own_site.bundle.keys),
    )
    assert worker.chat("ok", key=KEYS["bare"]).status == 200
    assert worker.chat("ok", messages=[{"role": "user", "content": "新词"}]).status == 200
    own_site.publish(new)
    published_at = time.monotonic()
    wait_for(lambda: worker.chat("ok", key=KEYS["bare"]).status == 401, 3)
    wait_for(lambda: worker.chat("ok", messages=[{"role": "user", "content": "新词"}]).status == 400, 3)
    assert time.monotonic() - published_at < 3  # the promise is one second; the rest is for a busy machine
    whole = b""
    while piece := client.recv(65536):
        whole += piece
        if b"[DONE]" in whole:
            break
    client.close()
    assert b"99 " in whole  # the stream that had begun under the old bundle went to its end


def test_a_bad_bundle_is_not_taken_and_the_next_good_one_is(own_site: Site, start: list[Worker], tmp_path: Path) -> None:
    first = own_site.publish()
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    current = own_site.folder.bundles / "current"
    forged = "f" * 64
    (own_site.folder.bundles / f"{forged}.bundle").write_bytes(b"\0" * 500)
    current.write_text(forged)
    wait_for(lambda: forged[:16] in worker.log.read_text())
    current.unlink()
    wait_for(lambda: "bundle none not taken" in worker.log.read_text())
    assert worker.chat("ok").status == 200
    assert worker.get("/healthz").json["bundle"] == first[:16]
    again = own_site.publish(msgspec.structs.replace(own_site.bundle, issued_at="2026-11-23T01:00:00Z"))
    wait_for(lambda: worker.get("/healthz").json["bundle"] == again[:16])
    assert worker.log.read_text().count("not taken") == 2  # told once each, not four times a second


def test_a_worker_does_not_start_on_a_bundle_that_is_not_its_sites(own_site: Site, tmp_path: Path) -> None:
    digest = own_site.publish()
    path = own_site.folder.bundles / f"{digest}.bundle"
    path.write_bytes(b"\1" + path.read_bytes()[1:])
    command = [sys.executable, "-m", "guiju.gateway.worker", "--data", str(own_site.folder.root), "--fd", "0"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert "BUNDLE-INVALID" in ended.stderr
    assert "Traceback" not in ended.stderr


# ── the end of a worker, and a spool that is full ───────────────────────────────────────────────────────────────────────


def test_a_worker_leaves_heartbeats_that_count_its_answers(own_site: Site, start: list[Worker], tmp_path: Path) -> None:
    limits = msgspec.structs.replace(own_site.bundle.limits, heartbeat_ms=1_000)
    own_site.publish(msgspec.structs.replace(own_site.bundle, limits=limits))
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    for _ in range(2):
        assert worker.chat("ok").status == 200
    assert worker.chat("ok", key=KEYS["bare"], stream=True).status == 200

    def beats() -> list[Entry]:
        return [each for each in own_site.entries() if each.kind == "gateway.worker.alive" and each.metadata["services"]]

    wait_for(lambda: any(each.metadata["services"] == {"main": 2, "bare": 1} for each in beats()))
    worker.stop()
    ended = own_site.entries()[-1]
    assert ended.kind == "gateway.worker.ended"
    assert ended.metadata["services"] == {"main": 2, "bare": 1}
    assert {each.metadata["writer"] for each in beats()} == {ended.metadata["writer"]}
    assert [path.name.partition("-")[0] for path in list_segments(own_site.folder.spool)] == [ended.metadata["writer"]]


def test_answers_under_way_are_finished_before_a_worker_ends(own_site: Site, start: list[Worker], tmp_path: Path) -> None:
    own_site.publish(msgspec.structs.replace(own_site.bundle, limits=msgspec.structs.replace(own_site.bundle.limits, drain_ms=20_000)))
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    with worker.connect(worker.raw_chat("steady", stream=True)) as client:
        received = client.recv(10)
        worker.process.send_signal(signal.SIGTERM)
        while piece := client.recv(65536):
            received += piece
    assert worker.stop() == 0
    assert b"99 " in received
    assert received.count(b"data: [DONE]") == 1
    assert [entry.kind for entry in own_site.entries()] == ["gateway.answer.opened", "gateway.answer.delivered"]


def test_an_answer_that_outlasts_the_drain_ends_with_an_error_and_a_record(own_site: Site, start: list[Worker], tmp_path: Path) -> None:
    own_site.publish(msgspec.structs.replace(own_site.bundle, limits=msgspec.structs.replace(own_site.bundle.limits, drain_ms=1_000)))
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    with worker.connect(worker.raw_chat("steady", stream=True)) as client, worker.connect(worker.raw_chat("slow")) as waiting:
        received = client.recv(10)
        wait_for(lambda: worker.get("/healthz").json["in_progress"] == 2)
        worker.process.send_signal(signal.SIGTERM)
        while piece := client.recv(65536):
            received += piece
        assert b"HTTP/1.1 503" in waiting.recv(65536)
    assert worker.stop() == 0
    assert b"STOPPING" in received
    assert received.count(b"data: [DONE]") == 1
    kinds = [entry.kind for entry in own_site.entries()]
    assert sorted(kinds) == ["gateway.answer.interrupted", "gateway.answer.interrupted", "gateway.answer.opened"]


def test_too_many_at_once_are_sent_away(own_site: Site, start: list[Worker], tmp_path: Path) -> None:
    own_site.publish(
        msgspec.structs.replace(own_site.bundle, limits=msgspec.structs.replace(own_site.bundle.limits, concurrent_requests=2))
    )
    worker = Worker(own_site, tmp_path / "log")
    start.append(worker)
    with worker.connect(worker.raw_chat("slow")), worker.connect(worker.raw_chat("slow")):
        wait_for(lambda: worker.get("/healthz").json["in_progress"] == 2)
        reply = worker.chat("ok")
        assert (reply.status, reply.json["error"]["code"]) == (503, "busy")
        assert reply.headers["retry-after"] == "1"
        assert own_site.closing(reply.json["error"]["record"]).kind == "gateway.request.rejected"
    wait_for(lambda: worker.chat("ok").status == 200)


def test_a_key_is_never_in_a_record_or_a_log(worker: Worker, site: Site) -> None:
    worker.post(b'{"model": "ok", "messages": []}', key="sk-secret-of-somebody")
    everything = b"".join(msgspec.msgpack.encode(entry) for entry in site.entries()) + worker.log.read_bytes()
    assert b"sk-secret" not in everything
    assert b"sk-main" not in everything


# ── waiting for its first bundle ────────────────────────────────────────────────────────────────────────────────────────


def test_a_worker_that_waits_serves_nothing_until_it_may_and_then_what_is_published(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """Red without `_wait` in `worker.py`: there is no bundle yet, and the worker would end with status 2."""
    site = Site(tmp_path / "data", upstream.url)
    go, let_go = os.pipe()
    worker = Worker(site, tmp_path / "log", go=go)
    os.close(go)
    try:
        site.publish()
        asked = socket.create_connection(("127.0.0.1", worker.port), timeout=15)
        asked.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert not select.select([asked], [], [], 0.3)[0]
        assert worker.process.poll() is None
        os.close(let_go)
        assert asked.recv(12).endswith(b" 200")
        asked.close()
    finally:
        assert worker.stop() == 0


def test_a_worker_that_waits_can_be_told_to_end(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """Red with the usual handler of SIGTERM: the status would be -15, and the supervisor would warn of it."""
    go, let_go = os.pipe()
    worker = Worker(Site(tmp_path / "data", upstream.url), tmp_path / "log", go=go)
    os.close(go)
    assert worker.stop() == 0
    os.close(let_go)
