"""Home, portal, playground and the ledger check: figures are counted, hostile text stays text."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django_tasks_db.models import DBTaskResult

from guiju.core.clock import now_us
from guiju.core.layout import DataFolder
from guiju.gateway.bundle import Key, Service
from guiju.labelling.values import Label
from guiju.records.spool.backlog import Progress, write_progress
from guiju.records.spool.writer import SpoolWriter
from guiju.serve.state import State, write_state
from guiju.web import chart, playground, tasks
from guiju.web.chart import Hour
from guiju.web.tests.rig import entry, record_all, write_records

HOUR_US = 3_600_000_000


def test_today_begins_at_midnight_in_beijing(owner: Client, data: DataFolder) -> None:
    day_us = 24 * HOUR_US
    midnight_us = (now_us() + 8 * HOUR_US) // day_us * day_us - 8 * HOUR_US
    write_records(
        data,
        [
            entry("gateway.media.delivered", at_us=midnight_us),
            entry("gateway.answer.delivered", at_us=midnight_us - 1),
            entry("gateway.answer.stopped", at_us=midnight_us),
            entry("gateway.input.refused", at_us=midnight_us - 1),
        ],
    )
    response = owner.get("/console/")
    today = response.context["today"]
    assert (today.delivered, today.stopped, today.refused, today.failed) == (1, 1, 0, 0)


def test_the_chart_holds_every_answer_of_24_hours(owner: Client, data: DataFolder) -> None:
    from guiju.web import figures

    write_records(data, [entry(at_us=now_us() - hours * HOUR_US) for hours in (0, 1, 23)] + [entry(at_us=now_us() - 25 * HOUR_US)])
    hours = figures.last_day()
    assert len(hours) == 24
    assert sum(hour.delivered for hour in hours) == 3
    assert owner.get("/console/").content.decode().count("<svg class=") == 2


@pytest.mark.parametrize(("highest", "top"), [(0, 2), (2, 2), (3, 4), (5, 10), (11, 20), (40, 40), (41, 100), (99_999, 100_000)])
def test_the_scale_is_round_and_never_too_small(highest: int, top: int) -> None:
    from datetime import UTC, datetime

    drawn = chart.draw([Hour(datetime(2026, 11, 23, tzinfo=UTC), highest, 0, 0)], "title")
    assert f">{top}</text>" in drawn


def test_the_ledger_is_shown_from_its_signed_checkpoint(owner: Client, data: DataFolder) -> None:
    assert owner.get("/console/").context["ledger"].size == 0
    record_all(data)
    shown = owner.get("/console/").context["ledger"]
    assert shown.size == 3  # the library imported and activated, the bundle published
    checkpoint = data.ledger / "checkpoint"
    raw = bytearray(checkpoint.read_bytes())
    raw[-5] ^= 1
    checkpoint.write_bytes(raw)
    cache.clear()
    assert "检查点无法读取" in owner.get("/console/").content.decode()


def _run_queued() -> None:
    """Run what is queued as the jobs process does; its own loop is run for real by tests/browser."""
    for row in DBTaskResult.objects.filter(finished_at=None):
        row.claim("test")
        row.set_successful(row.task.call())


def test_the_ledger_check_runs_and_is_shown(owner: Client, data: DataFolder) -> None:
    record_all(data)
    owner.post("/console/ledger-check/")
    assert tasks.latest_check().state == "running"
    assert "自检正在进行" in owner.post("/console/ledger-check/", follow=True).content.decode()
    assert DBTaskResult.objects.count() == 1
    _run_queued()
    found = tasks.latest_check()
    assert found.state == "good", found
    assert "自检通过" in owner.get("/console/").content.decode()
    tasks.queue_due()
    checks = DBTaskResult.objects.filter(task_path=tasks.check_ledger.module_path)
    assert checks.count() == 1, "the next one is due in a day"


def test_a_ledger_that_does_not_hold_is_shown_in_red(owner: Client, data: DataFolder) -> None:
    record_all(data)
    tile = next(path for path in (data.ledger / "tile").rglob("*") if path.is_file())
    raw = bytearray(tile.read_bytes())
    raw[-1] ^= 1
    tile.write_bytes(raw)
    owner.post("/console/ledger-check/")
    _run_queued()
    assert tasks.latest_check().state == "bad"
    assert "自检不通过" in owner.get("/console/").content.decode()


def test_what_waits_to_be_recorded_is_shown_with_its_reason(owner: Client, data: DataFolder) -> None:
    def waiting() -> str:
        return owner.get("/console/").content.decode().partition("待入账")[2].partition("最近自检")[0]

    assert "无" in waiting()
    assert "延迟入账" not in waiting()

    async def write() -> None:
        writer = SpoolWriter(data.spool, bytes(range(32)), worker="w")
        await writer.append(bytes(2_000))
        await writer.close()

    asyncio.run(write())
    assert "2.0" in waiting()
    assert "最早的已等待 0 秒" in waiting()
    write_progress(data.run, Progress(reason="<connection refused>"))
    assert "延迟入账" in waiting()
    assert "&lt;connection refused&gt;" in waiting()


def test_the_portal_shows_what_is_in_force(anybody: Client) -> None:
    html = anybody.get("/").content.decode()
    assert "（本内容由人工智能生成）" in html
    assert "guiju-demo" in html


def test_without_a_bundle_the_pages_still_answer(owner: Client, data: DataFolder) -> None:
    (data.bundles / "current").unlink()
    for page in ("/", "/console/", "/console/services/"):
        assert owner.get(page).status_code == 200


# ── playground ──────────────────────────────────────────────────────────────────────────────────────────────────────

EVENTS = [b'data: {"choices":[{"index":0,"delta":{"content":"\xe4\xbd\xa0', b'\xe5\xa5\xbd"}}]}\n\n', b"data: [DONE]\n\n"]


class _Gateway(BaseHTTPRequestHandler):
    """Stands in for the gateway: lists one model, streams `EVENTS`, refuses the word 拒绝, breaks off at 断开."""

    asked: list[dict[str, Any]]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.startswith("/media/"):
            self._reply(200 if self.path == "/media/TOKEN" else 404, b"picture", "image/png")
            return
        self._reply(200, json.dumps({"data": [{"id": "<script>alert(1)</script>"}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append({"headers": dict(self.headers), "body": body})
        if "prompt" in body:
            item = {"url": "http://g/media/TOKEN", "aigc": {"Label": "1", "ProduceID": "01K<b>"}}
            refused = {"error": {"message": "LABEL-FONT <b>no</b>"}}
            answers: dict[str, Any] = {"拒绝": refused, "破": {"data": []}}
            self._reply(500 if body["prompt"] == "拒绝" else 200, json.dumps(answers.get(body["prompt"], {"data": [item]})).encode())
            return
        text = body["messages"][-1]["content"]
        if "拒绝" in text:
            self._reply(400, b'{"error":{"message":"no","code":"INPUT-REFUSED"}}')
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("x-request-id", "01KAZZZZZZZZZZZZZZZZZZZZZZ")
        self.end_headers()
        for event in EVENTS[:1] if "断开" in text else EVENTS:
            self.wfile.write(event)

    def _reply(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def gateway(data: DataFolder) -> Iterator[list[dict[str, Any]]]:
    _Gateway.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Gateway)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    port = server.server_address[1]
    write_state(data, State(pid=1, started_at="", version="", host="127.0.0.1", ports={"gateway": port}, pids={}))
    yield _Gateway.asked
    server.shutdown()
    thread.join()
    server.server_close()


def _send(client: Client, text: str) -> Any:
    body = {"model": "guiju-demo", "messages": [{"role": "user", "content": text}]}
    return client.post("/console/try/send/", json.dumps(body), content_type="application/json")


def test_an_answer_is_relayed_byte_for_byte(owner: Client, data: DataFolder, gateway: list[dict[str, Any]]) -> None:
    response = _send(owner, "你好")
    assert b"".join(response.streaming_content) == b"".join(EVENTS)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["X-Guiju-Answer"] == "01KAZZZZZZZZZZZZZZZZZZZZZZ"
    asked = gateway[0]
    assert asked["body"]["stream"] is True
    assert asked["headers"]["Authorization"] == "Bearer " + (data.keys / "playground.key").read_text()
    assert asked["headers"]["X-Guiju-User"] == "person:owner"


def test_the_words_that_are_copied_are_those_of_the_service_that_is_asked(
    owner: Client, data: DataFolder, gateway: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = (data.keys / "playground.key").read_text().strip()
    services = [Service(id=each, name_zh=each, name_en=each, upstreams=(), label=Label(text=f"AI 生成：{each}")) for each in ("one", "two")]

    class Force:
        bundle = SimpleNamespace(services=services, keys=[Key(id="1", sha256=hashlib.sha256(secret.encode()).digest(), service="two")])

    monkeypatch.setattr(playground, "bundle_in_force", lambda: Force)
    assert 'data-words="AI 生成：two"' in owner.get("/console/try/").content.decode()


def test_the_key_never_reaches_the_browser(owner: Client, data: DataFolder, gateway: list[dict[str, Any]]) -> None:
    secret = (data.keys / "playground.key").read_text()
    response = _send(owner, "你好")
    assert secret not in b"".join(response.streaming_content).decode() + str(response.headers)
    assert secret not in owner.get("/console/try/").content.decode()


def test_a_refusal_keeps_its_status(owner: Client, gateway: list[dict[str, Any]]) -> None:
    response = _send(owner, "拒绝")
    assert response.status_code == 400
    assert json.loads(b"".join(response.streaming_content))["error"]["code"] == "INPUT-REFUSED"


def test_a_stream_that_breaks_off_ends_without_done(owner: Client, gateway: list[dict[str, Any]]) -> None:
    assert b"[DONE]" not in b"".join(_send(owner, "断开").streaming_content)


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"model": "m"}', '{"model": "m", "messages": [1]}', "\x00", '{"model":"m","messages":"x"}']
)
def test_a_body_that_is_no_conversation_is_refused(owner: Client, gateway: list[dict[str, Any]], body: str) -> None:
    assert owner.post("/console/try/send/", body, content_type="application/json").status_code == 400
    assert gateway == []


def test_a_conversation_that_is_too_long_is_refused(owner: Client, gateway: list[dict[str, Any]]) -> None:
    assert _send(owner, "长" * 100_000).status_code == 413
    assert gateway == []


def test_without_a_gateway_the_page_says_so(owner: Client, data: DataFolder) -> None:
    write_state(data, State(pid=1, started_at="", version="", host="127.0.0.1", ports={"gateway": 9}, pids={}))
    assert "PLAYGROUND-GATEWAY" in owner.get("/console/try/").content.decode()
    response = _send(owner, "你好")
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "PLAYGROUND-GATEWAY"


def test_hostile_model_names_stay_text(owner: Client, gateway: list[dict[str, Any]]) -> None:
    html = owner.get("/console/try/").content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_the_record_of_an_answer_is_the_one_that_closes_it(owner: Client, data: DataFolder) -> None:
    opened = entry("gateway.answer.opened")
    other = entry("gateway.answer.delivered", metadata={"answer": "01KAZZZZZZZZZZZZZZZZZZZZZZ"})
    closed = entry("gateway.answer.stopped", metadata={"answer": opened.id})
    write_records(data, [opened])
    assert owner.get(f"/console/try/record/{opened.id}/").json() == {"record": None}
    write_records(data, [other, closed])
    assert owner.get(f"/console/try/record/{opened.id}/").json() == {"record": closed.id}
    whole = entry("gateway.answer.delivered")
    write_records(data, [whole])
    assert owner.get(f"/console/try/record/{whole.id}/").json() == {"record": whole.id}
    assert owner.get("/console/try/record/x' OR 1/").json() == {"record": None}


def test_a_picture_is_shown_with_its_label_and_comes_from_this_page(owner: Client, gateway: list[dict[str, Any]]) -> None:
    html = owner.post("/console/try/picture/", {"model": "m", "prompt": "<b>山"}).content.decode()
    assert gateway[0]["body"] == {"model": "m", "prompt": "<b>山", "response_format": "url"}
    assert 'src="/console/try/picture/TOKEN/"' in html
    assert "01K&lt;b&gt;" in html
    assert "<b>山" not in html
    response = owner.get("/console/try/picture/TOKEN/")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/png")
    assert b"".join(response.streaming_content) == b"picture"  # type: ignore[attr-defined]
    gone = owner.get("/console/try/picture/other/")
    assert (gone.status_code, b"".join(gone.streaming_content)) == (404, b"picture")  # type: ignore[attr-defined]


def test_a_picture_that_is_refused_is_told_of(owner: Client, gateway: list[dict[str, Any]]) -> None:
    html = owner.post("/console/try/picture/", {"model": "m", "prompt": "拒绝"}).content.decode()
    assert "LABEL-FONT &lt;b&gt;no" in html
    assert "<img" not in html.partition("<main")[2]
    assert "<figure" not in owner.post("/console/try/picture/", {"model": "m", "prompt": "破"}).content.decode()


def test_a_stranger_draws_nothing(client: Client, gateway: list[dict[str, Any]]) -> None:
    assert client.post("/console/try/picture/", {"model": "m", "prompt": "山"}).status_code in (302, 403)
    assert client.get("/console/try/picture/TOKEN/").status_code in (302, 403)
    assert gateway == []
