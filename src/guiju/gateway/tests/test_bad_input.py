"""Whatever comes in or comes back: a clear error in the OpenAI shape, a record of it, and a worker that goes on.

The guarded lines are in `exchange.py`: without the record in `_fail` every case goes red; without the sweeper's
`task.cancel()` in `app.py` the hanging ones do; without `harmless` the upstream's own words leave; without
`status in _REFUSALS` in `upstream.py` a status of the upstream's own making (498) leaves, or nothing at all.
"""

import json
import socket
import struct
import time

import pytest

from guiju.core.errors import ErrorCode
from guiju.gateway import errors
from guiju.gateway.tests.client import hear
from guiju.gateway.tests.rig import KEYS, REVOKED, TERM, Reply, ScriptedUpstream, Site, Worker, raw_head, wait_for
from guiju.records.entry import Entry
from guiju.screening.classifier.afterwards import AFTERWARDS, Afterwards
from guiju.screening.classifier.model import Classifier

CLASSIFIER = Classifier.load()
CODES = {declared.code: declared for declared in vars(errors).values() if isinstance(declared, ErrorCode)}


def check_error(site: Site, reply: Reply, status: int, code: str, kind: str) -> Entry:
    """Assert the shape of an error, and that its record says the same; return the record."""
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    error = reply.json["error"]
    return check_told(site, error, code, kind)


def check_told(site: Site, error: dict[str, object], code: str, kind: str) -> Entry:
    assert set(error) == {"message", "type", "param", "code", "record"}
    declared = CODES[code]
    assert error["code"] == code.lower().replace("-", "_")
    assert error["type"] == declared.kind
    chinese, english = str(error["message"]).split(" / ")
    assert "–" not in chinese + english, "a fact is missing"
    assert chinese.startswith(f"{code} ")
    for told, text in ((chinese, declared.zh), (english, declared.en)):
        for part in (text.happened, text.kept, text.todo):
            assert part.split("{")[0] in told
    entry = site.closing(str(error["record"]))
    assert entry.kind == kind
    assert entry.metadata.get("error", entry.metadata.get("reason")) == code
    assert TERM not in json.dumps(error, ensure_ascii=False)
    return entry


def check_alive(worker: Worker) -> None:
    reply = worker.chat("ok")
    assert reply.status == 200
    assert reply.json["choices"][0]["message"]["content"].startswith("你好，世界")


REJECTED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "BODY-NOT-JSON"),
    "broken JSON": (b'{"model": "ok", ', "BODY-NOT-JSON"),
    "a list": (b"[]", "BODY-NOT-JSON"),
    "a string": (b'"hello"', "BODY-NOT-JSON"),
    "invalid UTF-8": (b'{"model": "\xff\xfe"}', "BODY-NOT-JSON"),
    "a lone surrogate": (b'{"model": "ok", "messages": [{"role": "user", "content": "\\ud800"}]}', "BODY-NOT-JSON"),
    "no number at all": (b'{"model": "ok", "temperature": NaN}', "BODY-NOT-JSON"),
    "deep nesting": (b'{"model": "ok", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "BODY-NOT-JSON"),
    "no model": (b'{"messages": [{"role": "user"}]}', "FIELD-INVALID"),
    "a model that is a number": (b'{"model": 4, "messages": [{}]}', "FIELD-INVALID"),
    "an empty model": (b'{"model": "", "messages": [{}]}', "FIELD-INVALID"),
    "no messages": (b'{"model": "ok"}', "FIELD-INVALID"),
    "empty messages": (b'{"model": "ok", "messages": []}', "FIELD-INVALID"),
    "messages that are text": (b'{"model": "ok", "messages": "hi"}', "FIELD-INVALID"),
    "messages of text": (b'{"model": "ok", "messages": ["hi"]}', "FIELD-INVALID"),
    "a stream that is text": (b'{"model": "ok", "messages": [{}], "stream": "yes"}', "FIELD-INVALID"),
    "no choices": (b'{"model": "ok", "messages": [{}], "n": 0}', "FIELD-INVALID"),
    "too many choices": (b'{"model": "ok", "messages": [{}], "n": 1000000}', "FIELD-INVALID"),
    "half a choice": (b'{"model": "ok", "messages": [{}], "n": 1.5}', "FIELD-INVALID"),
    "true choices": (b'{"model": "ok", "messages": [{}], "n": true}', "FIELD-INVALID"),
    "a user that is an object": (b'{"model": "ok", "messages": [{}], "user": {"a": 1}}', "FIELD-INVALID"),
}


@pytest.mark.parametrize(("body", "code"), REJECTED.values(), ids=REJECTED)
def test_a_bad_body_is_rejected_and_recorded(worker: Worker, site: Site, body: bytes, code: str) -> None:
    headers = {} if b'"user"' in body else {"X-Guiju-User": "13800138000"}
    entry = check_error(site, worker.post(body, headers=headers), 400, code, "gateway.request.rejected")
    assert entry.actor == "key-k-main"
    assert "13800138000" not in entry.subject
    assert body[:100] in entry.content
    check_alive(worker)


@pytest.mark.parametrize(
    "body", [*(body for body, _ in REJECTED.values()), b'{"messages": [1e999]}', b"[1]", b'{"model": "ok", "messages": 5}']
)
def test_a_bad_body_leaves_the_recorder_nothing_to_assess_and_nothing_to_complain_of(
    worker: Worker, site: Site, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Any client could fill the log otherwise. Guarded: the `except _NoRequest` in `Afterwards.assess`, and `_REJECTED` there."""
    entry = site.closing(worker.post(body).json["error"]["record"])
    assert entry.metadata["classifier"] == AFTERWARDS
    told = Afterwards(CLASSIFIER).assess(entry.id, entry.metadata, entry.content)
    outcome = told["classifier"]["outcome"]  # type: ignore[index]
    assert outcome in ("no_text", "pass")
    assert "review" not in told
    assert caplog.records == []


def test_no_depth_of_nesting_is_an_internal_error(worker: Worker) -> None:
    for depth in (900, 950, 970, 980, 985, 990, 995, 1000, 1100):
        reply = worker.post(b'{"model": "ok", "messages": [{"x": ' + b"[" * depth + b"]" * depth + b"}]}")
        assert (reply.status, reply.json.get("error", {}).get("code")) in ((200, None), (400, "body_not_json")), depth


KEYS_REFUSED = {
    "none": ({}, "KEY-MISSING", "anonymous"),
    "empty": ({"Authorization": "Bearer "}, "KEY-MISSING", "anonymous"),
    "another scheme": ({"Authorization": "Basic c2stbWFpbg=="}, "KEY-MISSING", "anonymous"),
    "unknown": ({"Authorization": "Bearer sk-wrong"}, "KEY-UNKNOWN", "anonymous"),
    "not ASCII": ({"Authorization": "Bearer \xe9\xe9"}, "KEY-UNKNOWN", "anonymous"),
    "revoked": ({"Authorization": f"Bearer {REVOKED}", "X-Guiju-User": "somebody"}, "KEY-REVOKED", "key-k-revoked"),
}


@pytest.mark.parametrize(("headers", "code", "actor"), KEYS_REFUSED.values(), ids=KEYS_REFUSED)
def test_a_request_without_a_good_key_goes_nowhere(
    worker: Worker, site: Site, upstream: ScriptedUpstream, headers: dict[str, str], code: str, actor: str
) -> None:
    before = len(upstream.calls)
    reply = worker.post(b'{"model": "ok", "messages": [{"role": "user", "content": "hi"}]}', key=None, headers=headers)
    entry = check_error(site, reply, 401, code, "gateway.request.rejected")
    assert (entry.actor, entry.content, "somebody" in entry.subject) == (actor, b"", False)
    assert len(upstream.calls) == before
    listed = worker.ask("GET", "/v1/models", b"", headers)
    assert (listed.status, listed.json["error"]["code"]) == (401, code.lower().replace("-", "_"))


def test_a_model_that_no_upstream_of_the_service_has(worker: Worker, site: Site) -> None:
    entry = check_error(site, worker.chat("ok", key=KEYS["narrow"]), 404, "MODEL-UNKNOWN", "gateway.request.rejected")
    assert entry.service == "narrow"


def test_a_path_that_is_none_leaves_nothing(worker: Worker, site: Site) -> None:
    before = len(site.entries())
    for method, path in (("GET", "/v1/chat/completions"), ("POST", "/v1/embeddings"), ("GET", "/%E8%B5%8C"), ("DELETE", "/v1/models")):
        reply = worker.ask(method, path, b"", {"Authorization": "Bearer sk-main"})
        assert (reply.status, reply.json["error"]["code"], reply.json["error"]["record"]) == (404, "path_unknown", None)
        assert reply.headers["x-request-id"]
    assert len(site.entries()) == before  # whoever reaches the port could fill the log otherwise; docs/api.md says so


# ── bodies that are too large or never end ──────────────────────────────────────────────────────────────────────────────


def read_reply(client: socket.socket) -> Reply:
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = client.recv(65536)
        assert piece, raw
        raw += piece
    head, body = raw.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    while len(body) < int(headers["content-length"]):
        body += client.recv(65536)
    return Reply(int(lines[0].split()[1]), headers, body)


def test_a_hundred_megabytes_that_are_announced_are_not_read(worker: Worker, site: Site) -> None:
    with worker.connect(raw_head(100 * 2**20) + b"x" * 1000) as client:
        check_error(site, read_reply(client), 413, "BODY-TOO-LARGE", "gateway.request.rejected")
    check_alive(worker)


def test_a_hundred_megabytes_in_chunks_are_not_kept(worker: Worker, site: Site) -> None:
    piece = b"%x\r\n%s\r\n" % (2**16, b"x" * 2**16)
    with worker.connect(raw_head(None)) as client:
        client.settimeout(5)
        sent = 0
        try:
            while sent < 100 * 2**20:
                client.sendall(piece)
                sent += 2**16
        except OSError:
            pass  # the gateway closed after its answer
        assert sent < 50 * 2**20
    found = [entry for entry in site.entries() if entry.metadata.get("error") == "BODY-TOO-LARGE"]
    assert found
    assert found[-1].content == b""
    check_alive(worker)


@pytest.mark.parametrize("pieces", [(), (b'{"model": "ok",',), (b'{"model"', b': "ok",')])
def test_a_body_that_stops_half_way(worker: Worker, site: Site, pieces: tuple[bytes, ...]) -> None:
    """What had come is counted from the first piece on. Guarded: `size = self.received_bytes` in `Call._read_body`."""
    with worker.connect(raw_head(500)) as client:
        for piece in pieces:
            client.sendall(piece)
        reply = read_reply(client)
    check_error(site, reply, 408, "BODY-CUT", "gateway.request.rejected")
    assert f"The request body stopped at byte {sum(map(len, pieces))}." in reply.json["error"]["message"]
    check_alive(worker)


def test_a_body_whose_sender_leaves_half_way(worker: Worker, site: Site) -> None:
    before = sum(entry.metadata.get("error") == "BODY-CUT" for entry in site.entries())
    worker.connect(raw_head(500) + b'{"model": "ok",').close()
    wait_for(lambda: sum(entry.metadata.get("error") == "BODY-CUT" for entry in site.entries()) == before + 1)
    check_alive(worker)


# ── an upstream that fails ──────────────────────────────────────────────────────────────────────────────────────────────

FAILS: dict[str, tuple[int, str]] = {
    "nobody": (502, "UPSTREAM-UNREACHABLE"),
    "hang_head": (504, "UPSTREAM-TIMEOUT"),
    "reset_head": (502, "UPSTREAM-BROKEN"),
    "garbage_head": (502, "UPSTREAM-BROKEN"),
    "html": (502, "UPSTREAM-BROKEN"),
    "html502": (502, "UPSTREAM-FAILED"),
    "redirect": (502, "UPSTREAM-FAILED"),
    "refuse_400": (400, "UPSTREAM-REFUSED"),
    "refuse_words": (400, "UPSTREAM-REFUSED"),
    "refuse_html": (400, "UPSTREAM-REFUSED"),
    "refuse_401": (502, "UPSTREAM-FAILED"),
    "refuse_403": (502, "UPSTREAM-FAILED"),
    "refuse_404": (404, "UPSTREAM-REFUSED"),
    "refuse_422": (422, "UPSTREAM-REFUSED"),
    "refuse_429": (429, "UPSTREAM-BUSY"),
    "refuse_419": (400, "UPSTREAM-REFUSED"),
    "refuse_444": (400, "UPSTREAM-REFUSED"),
    "refuse_498": (400, "UPSTREAM-REFUSED"),
    "refuse_499": (400, "UPSTREAM-REFUSED"),
    "refuse_500": (502, "UPSTREAM-FAILED"),
}
FAILS_WHOLE = FAILS | {
    "hang_body": (504, "UPSTREAM-TIMEOUT"),
    "reset_body": (502, "UPSTREAM-BROKEN"),
    "odd_type": (502, "UPSTREAM-BROKEN"),
    "event_stream": (502, "UPSTREAM-BROKEN"),
    "empty": (502, "UPSTREAM-BROKEN"),
    "array": (502, "UPSTREAM-BROKEN"),
    "no_choices": (502, "UPSTREAM-BROKEN"),
    "empty_choices": (502, "UPSTREAM-BROKEN"),
    "error_in_200": (502, "UPSTREAM-BROKEN"),
    "not_utf8": (502, "UPSTREAM-BROKEN"),
    "deep": (502, "UPSTREAM-BROKEN"),
    "huge": (502, "UPSTREAM-BROKEN"),
    "gzip_broken": (502, "UPSTREAM-BROKEN"),
    "gzip_bomb": (502, "UPSTREAM-BROKEN"),
}
FAILS_BEFORE_THE_FIRST_PIECE = FAILS | {
    "json": (502, "UPSTREAM-BROKEN"),
    "hang_first": (504, "UPSTREAM-TIMEOUT"),
    "empty_stream": (502, "UPSTREAM-BROKEN"),
    "only_done": (502, "UPSTREAM-BROKEN"),
    "comments": (502, "UPSTREAM-BROKEN"),
    "error_first": (502, "UPSTREAM-BROKEN"),
}
FAILS_IN_THE_MIDDLE = {
    "hang_middle": "UPSTREAM-TIMEOUT",
    "reset_middle": "UPSTREAM-BROKEN",
    "broken_chunks": "UPSTREAM-BROKEN",
    "half_event": "UPSTREAM-BROKEN",
    "no_finish": "UPSTREAM-BROKEN",
    "bad_utf8": "UPSTREAM-BROKEN",
    "not_json": "UPSTREAM-BROKEN",
    "no_choices_event": "UPSTREAM-BROKEN",
    "error_middle": "UPSTREAM-BROKEN",
    "endless_event": "UPSTREAM-BROKEN",
}


REASONS = {
    "html": "it sent text/html where JSON was asked for",
    "odd_type": "it sent something without a media type where JSON was asked for",
    "event_stream": "it sent text/event-stream where JSON was asked for",
    "empty": "not a chat completion: Input data was truncated",
    "array": "not a chat completion: Expected `object`, got `array`",
    "reset_head": "the connection broke (ConnectionResetError)",
    "garbage_head": "its answer is no HTTP",
}


def check_nothing_delivered(message: str) -> None:
    """Guarded: `errors.delivery(False)` in `Call._refuse`, and what `delivery` makes of it."""
    assert "没有内容被传出；" in message
    assert "Nothing was delivered;" in message


@pytest.mark.parametrize(("model", "status", "code"), [(model, *wanted) for model, wanted in FAILS_WHOLE.items()])
def test_an_upstream_that_fails_a_whole_answer(worker: Worker, site: Site, model: str, status: int, code: str) -> None:
    reply = worker.chat(model)
    entry = check_error(site, reply, status, code, "gateway.upstream.failed")
    assert b"model" in entry.content
    assert "127.0.0.1" not in reply.json["error"]["message"]
    check_nothing_delivered(reply.json["error"]["message"])
    assert REASONS.get(model, "") in reply.json["error"]["message"]
    if model == "refuse_429":
        assert reply.headers["retry-after"] == "7"
    if model == "refuse_400":
        assert "messages[0] has no role" in reply.json["error"]["message"]
    check_alive(worker)


@pytest.mark.parametrize(("model", "status", "code"), [(model, *wanted) for model, wanted in FAILS_BEFORE_THE_FIRST_PIECE.items()])
def test_an_upstream_that_fails_before_the_first_piece(worker: Worker, site: Site, model: str, status: int, code: str) -> None:
    """Nothing has left yet, so the client gets a real status, which SDKs act on."""
    reply = worker.chat(model, stream=True)
    entry = check_error(site, reply, status, code, "gateway.upstream.failed")
    check_nothing_delivered(reply.json["error"]["message"])
    opened = [other for other in site.entries() if other.id == entry.metadata["answer"]]
    assert [other.kind for other in opened] == ["gateway.answer.opened"]
    check_alive(worker)


@pytest.mark.parametrize(("model", "code"), FAILS_IN_THE_MIDDLE.items())
def test_an_upstream_that_fails_in_the_middle_of_a_stream(worker: Worker, site: Site, model: str, code: str) -> None:
    reply = worker.chat(model, stream=True)
    assert reply.status == 200
    heard = hear(reply.body)
    assert heard.dones == 1
    assert heard.text() == "你好，\n\n（AI 生成）"
    assert len(heard.errors) == 1
    entry = check_told(site, heard.errors[0], code, "gateway.answer.interrupted")
    assert "已传出的内容有效；" in str(heard.errors[0]["message"])
    assert "What was delivered stands;" in str(heard.errors[0]["message"])
    assert "你好，".encode() in entry.content
    check_alive(worker)


def test_a_stream_that_brought_no_word_yet_says_that_nothing_was_delivered(worker: Worker) -> None:
    """Guarded: `begun` in `Exchange._fail_stream`."""
    message = hear(worker.chat("hang_after_role", stream=True).body).errors[0]["message"]
    assert "UPSTREAM-TIMEOUT" in message
    check_nothing_delivered(message)


@pytest.mark.parametrize("model", ["hang_after_finish", "reset_after_finish"])
def test_how_an_upstream_leaves_after_the_finish_does_not_matter(worker: Worker, site: Site, model: str) -> None:
    reply = worker.chat(model, stream=True)
    heard = hear(reply.body)
    assert (heard.errors, heard.finishes, heard.dones) == ([], {0: "stop"}, 1)
    assert site.closing(reply.headers["x-request-id"]).kind == "gateway.answer.delivered"


@pytest.mark.parametrize("streams", [False, True])
def test_a_count_that_is_none_spoils_neither_answer_nor_record(worker: Worker, site: Site, streams: bool) -> None:
    reply = worker.chat("odd_usage", stream=streams)
    assert reply.status == 200
    assert str(10**30) in reply.body.decode()
    assert site.closing(reply.headers["x-request-id"]).metadata["usage"] == {"x" * 100: 1, "y": 2}


def test_a_compressed_answer_is_read(worker: Worker) -> None:
    assert worker.chat("gzip").json["choices"][0]["message"]["content"] == "晴天\n\n（AI 生成）"


# ── a client that leaves ────────────────────────────────────────────────────────────────────────────────────────────────


def interrupted(site: Site, reason: str) -> int:
    return sum(entry.kind == "gateway.answer.interrupted" and entry.metadata.get("reason") == reason for entry in site.entries())


@pytest.mark.parametrize(("model", "streams"), [("steady", True), ("slow", True), ("slow", False), ("slow_body", False)])
def test_a_client_that_leaves_stops_the_upstream(worker: Worker, site: Site, upstream: ScriptedUpstream, model: str, streams: bool) -> None:
    before, left, calls = interrupted(site, "CLIENT-LEFT"), upstream.left.count(model), len(upstream.calls)
    with worker.connect(worker.raw_chat(model, stream=streams)) as client:
        wait_for(lambda: len(upstream.calls) > calls)
        if model == "steady":
            assert client.recv(100)
        gone_at = time.monotonic()
    wait_for(lambda: upstream.left.count(model) > left)
    assert time.monotonic() - gone_at < 3
    wait_for(lambda: interrupted(site, "CLIENT-LEFT") == before + 1)
    check_alive(worker)


def test_a_client_that_takes_nothing_does_not_hold_the_upstream(worker: Worker, site: Site, upstream: ScriptedUpstream) -> None:
    before = interrupted(site, "CLIENT-STALLED")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", worker.port))
    with client:
        client.sendall(worker.raw_chat("flood", stream=True))
        wait_for(lambda: interrupted(site, "CLIENT-STALLED") == before + 1)
        wait_for(lambda: "flood" in upstream.left)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    check_alive(worker)
