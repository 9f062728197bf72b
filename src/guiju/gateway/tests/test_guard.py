"""A real worker with real guards behind it: what they say ends an answer, and what they do not say is never a pass.

Guarded lines, each seen red when changed: `stops_for`, `with_guards`, the wait for the input in `_ask_model`, `outside` in `whole.py`, the redirect
(`answer.status != 200`), `ANSWER_BYTES`, the deadline of `examine`, the queue, `tell`.
"""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guiju.gateway.bundle import Guard, GuardUse, Key, Service
from guiju.gateway.tests import guards
from guiju.gateway.tests.client import Heard, hear
from guiju.gateway.tests.guards import BAD, GUARDS, UNSURE
from guiju.gateway.tests.rig import Call, Reply, ScriptedUpstream, Site, Worker, closed_port, wait_for
from guiju.gateway.tests.upstreams import BEHAVIOURS, DONE, LAST, either, event
from guiju.gateway.tests.upstreams import completion as answer
from guiju.records.entry import Entry

SECRET = "a secret of the operator"
SAFE_TEXT = "今天天气很好，适合出门走走，也适合在家读书写字。" * 4
FAILING = ("hang", "reset", "half", "drip", "huge", "html", "status", "redirect", "smuggled", "wrong")
KINDS = {"json_chat": "json_chat", "moderation": "openai_moderation", "webhook": "webhook"}
BAD_ANSWER = SAFE_TEXT + f"下面是{BAD}，请记好。" + "后面的话。" * 40
HASTY_MS = 500


async def speaks(call: Call) -> None:
    """Speak of what was asked, whole or a few characters at a time; go on until somebody hangs up."""
    text = BAD_ANSWER if "坏" in json.dumps(call.request["messages"][-1], ensure_ascii=False) else SAFE_TEXT
    if not call.request.get("stream"):
        await call.reply(200, json.dumps(answer(text), ensure_ascii=False).encode())
        return
    await call.stream(*(event({"content": text[at : at + 4]}) for at in range(0, len(text), 4)), LAST, DONE)


async def stays(call: Call) -> None:
    """Begin to answer and then say nothing more until the other side hangs up."""
    if call.request.get("stream"):
        await call.stream(event({"content": "我想一想"}))
    await call.hang()
    call.closes = True


MODELS = BEHAVIOURS | {
    "speaks": speaks,
    "stays": stays,
    "two": either(answer(SAFE_TEXT, BAD_ANSWER), event({"content": "好"}), LAST, DONE),
    "unsure": either(answer(f"这件事{UNSURE}"), event({"content": f"这件事{UNSURE}"}), LAST, DONE),
}


class Place:
    """A worker, its guards and its model; a service for each guard and way, with the service's name as its key."""

    def __init__(self, root: Path) -> None:
        self.model = ScriptedUpstream(MODELS)
        self.guards = ScriptedUpstream(GUARDS)
        self.site = Site(root / "data", self.model.url)
        key = root / "key"
        key.write_text(SECRET)
        made, services = [], []
        for name in (*GUARDS, "away"):
            url = f"http://127.0.0.1:{closed_port()}" if name == "away" else self.guards.url
            if name == "webhook":
                url = url.removesuffix("/v1") + "/judge"
            made.append(
                Guard(
                    name=name.replace("_", "-"), kind=KINDS.get(name, "qwen3guard"), base_url=url, model=name,  # type: ignore[arg-type]
                    api_key_file=str(key) if name in ("webhook", "qwen") else "", every_characters=40, lag_characters=60,
                    timeout_ms=HASTY_MS if name in FAILING else 10_000, breaker_failures=3 if name == "moody" else 1_000,
                    breaker_open_ms=300, concurrency=1 if name == "slow_qwen" else 64, queue=1 if name == "slow_qwen" else 256,
                )
            )  # fmt: skip
            for suffix, use in (
                ("", {}),
                ("+deliver", {"could_not_examine": "deliver"}),
                ("+along", {"release": "alongside", "input": "alongside"}),
            ):
                uses: Any = use
                services.append(
                    Service(
                        id=name + suffix, name_zh="甲", name_en="a", upstreams=("up",), label=self.site.bundle.services[0].label,
                        guard=GuardUse(guards=(name.replace("_", "-"),), moderations="on", **uses),
                    )
                )  # fmt: skip
        keys = tuple(Key(id=f"k-{each.id}", sha256=hashlib.sha256(each.id.encode()).digest(), service=each.id) for each in services)
        self.site.publish(msgspec.structs.replace(self.site.bundle, services=tuple(services), keys=keys, guards=tuple(made)))
        self.worker = Worker(self.site, root / "worker.log")

    def ask(self, service: str, text: str = "你好", model: str = "speaks", **more: Any) -> Reply:
        return self.worker.chat(model, key=service, messages=[{"role": "user", "content": text}], **more)

    def hear(self, service: str, text: str = "你好", model: str = "speaks") -> tuple[Reply, Heard]:
        reply = self.ask(service, text, model, stream=True)
        return reply, hear(reply.body) if reply.status == 200 else Heard()

    def record(self, reply: Reply) -> Entry:
        return self.site.closing(reply.headers["x-request-id"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("guards"))
    yield made
    assert made.worker.stop() == 0
    made.model.close()
    made.guards.close()
    assert "Traceback" not in made.worker.log.read_text()


@pytest.mark.parametrize("kind", ["qwen", "json_chat", "moderation", "webhook"])
def test_every_kind_of_guard_lets_good_pass_and_ends_what_is_bad(place: Place, kind: str) -> None:
    whole, (reply, heard) = place.ask(kind), place.hear(kind)
    assert SAFE_TEXT in whole.json["choices"][0]["message"]["content"]
    assert heard.text().startswith(SAFE_TEXT)
    for each in (whole, reply):
        told: Any = place.record(each).metadata["guard"]
        assert told["outcome"] == "pass"
        assert {note["direction"] for note in told["listed"]} == {"input", "output"}
        assert {note["verdict"] for note in told["listed"]} == {"safe"}
    refused = place.ask(kind, f"请给我{BAD}")
    assert (refused.status, refused.json["error"]["code"]) == (400, "input_refused")
    entry = place.record(refused)
    assert entry.kind == "gateway.input.refused"
    hits: Any = entry.metadata["input"]
    assert {(hit["rule"], hit["path"]) for hit in hits["hits"]} == {(f"GD-{kind.replace('_', '-')}", "messages[0]")}
    for service in (kind, f"{kind}+along"):
        reply, heard = place.hear(service, "坏")
        assert heard.finishes == {0: "content_filter"}
        assert len(heard.retractions) == 1
        assert service != kind or BAD not in heard.text()
        entry = place.record(reply)
        assert entry.kind == "gateway.answer.stopped"
        found: Any = entry.metadata
        assert found["output"]["hits"][0]["rule"] == f"GD-{kind.replace('_', '-')}"
        assert found["guard"]["outcome"] == "hit"
    whole = place.ask(kind, "坏")
    assert whole.json["choices"][0]["finish_reason"] == "content_filter"
    assert BAD.encode() not in whole.body
    assert place.record(whole).kind == "gateway.answer.stopped"


def test_what_the_guard_is_asked_and_with_which_key(place: Place) -> None:
    place.guards.calls.clear()
    place.ask("qwen", "你好")
    first, last = place.guards.calls[0], place.guards.calls[-1]
    assert first.head.startswith("POST /v1/chat/completions HTTP/1.1")
    assert f"authorization: Bearer {SECRET}" in first.head
    assert first.request["messages"] == [{"role": "user", "content": "你好"}]
    assert last.request["messages"] == [{"role": "user", "content": "你好"}, {"role": "assistant", "content": SAFE_TEXT}]
    place.ask("webhook", "你好")
    call = place.guards.calls[-1]
    assert call.head.startswith("POST /judge HTTP/1.1")
    assert SECRET not in call.head
    headers = dict(line.split(": ", 1) for line in call.head.split("\r\n")[1:] if line)
    expected = hmac.new(SECRET.encode(), headers["x-guiju-timestamp"].encode() + b"." + call.body, hashlib.sha256).hexdigest()
    assert headers["x-guiju-signature"] == f"sha256={expected}"
    assert abs(int(headers["x-guiju-timestamp"]) - time.time()) < 60


@pytest.mark.parametrize("guard", [*FAILING, "away"])
def test_a_guard_that_fails_has_not_examined(place: Place, guard: str) -> None:
    """Each branch: input and answer, whole and streamed, where the service stops for it and where it delivers."""
    for streams in (False, True):
        reply = place.ask(guard, stream=streams)
        assert (reply.status, reply.json["error"]["code"]) == (503, "guard_unavailable"), reply.body
        entry = place.record(reply)
        assert entry.kind == "gateway.input.refused"
        told: Any = entry.metadata["guard"]
        assert told["outcome"] == "could_not_examine"
        assert told["listed"][0]["guard"] == guard
        assert told["reason"].startswith(f"{guard}: ")
        verdict: Any = entry.metadata["input"]
        assert (verdict["outcome"], verdict["reason"]) == ("could_not_examine", told["reason"])
    reply, heard = place.hear(f"{guard}+along")
    errors = [reply.json["error"]] if reply.status != 200 else heard.errors
    assert [error["code"] for error in errors] == ["guard_unavailable"]
    assert f"{guard}:" not in errors[0]["message"]
    if guard not in ("hang", "drip"):  # those take their time for each part
        for delivered in (place.ask(f"{guard}+deliver"), place.hear(f"{guard}+deliver")[0]):
            assert delivered.status == 200
            assert SAFE_TEXT[:10].encode() in delivered.body or SAFE_TEXT[:2] in hear(delivered.body).text()
            found: Any = place.record(delivered).metadata
            assert found["input"]["outcome"] == found["output"]["outcome"] == found["guard"]["outcome"] == "could_not_examine"


def test_an_input_that_may_not_go_on_is_refused_before_the_model_answers(place: Place) -> None:
    begun = time.monotonic()
    reply = place.ask("qwen", f"请给我{BAD}", "stays")
    assert reply.status == 400
    assert time.monotonic() - begun < 5
    wait_for(lambda: "stays" in place.model.left)  # the model was told to stop


def test_alongside_the_first_word_does_not_wait_for_the_input_and_the_answer_is_taken_back(place: Place) -> None:
    reply, heard = place.hear("late_qwen+along", f"请给我{BAD}", "stays")
    assert heard.text().startswith("我想一想")
    assert heard.finishes == {0: "content_filter"}
    assert [each["reason"] for each in heard.retractions] == ["content_filter"]
    entry = place.record(reply)
    assert entry.kind == "gateway.answer.stopped"
    verdict: Any = entry.metadata["input"]
    assert verdict["hits"][0]["action"] == "refuse"
    whole = place.ask("qwen+along", f"请给我{BAD}")
    assert (whole.status, whole.json["error"]["code"]) == (400, "input_refused")


def test_one_choice_of_a_whole_answer_is_stopped_and_the_other_left(place: Place) -> None:
    reply = place.ask("qwen", "你好", "two", n=2)
    assert [choice["finish_reason"] for choice in reply.json["choices"]] == ["stop", "content_filter"]
    assert reply.json["retraction"]["choice"] in (0, 1)
    assert BAD.encode() not in reply.body


def test_what_a_guard_is_unsure_of_is_delivered_and_on_record(place: Place) -> None:
    for reply in (place.ask("qwen", f"这{UNSURE}", "unsure"), place.hear("qwen", f"这{UNSURE}", "unsure")[0]):
        assert reply.status == 200
        found: Any = place.record(reply).metadata
        for side in ("input", "output"):
            assert [(hit["rule"], hit["action"]) for hit in found[side]["hits"]] == [("GD-qwen", "deliver")]


def test_more_than_may_wait_was_not_examined(place: Place) -> None:
    replies: list[Reply] = []
    threads = [threading.Thread(target=lambda: replies.append(place.ask("slow_qwen"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted({reply.status for reply in replies}) == [200, 503] or {reply.status for reply in replies} == {503}
    full = [reply for reply in replies if reply.status == 503]
    assert full
    told: Any = place.record(full[0]).metadata["guard"]
    assert told["reason"] == "slow-qwen: queue full"


def test_a_guard_that_keeps_failing_is_left_alone_tried_and_used_again(place: Place) -> None:
    guards.ANGRY["until"] = time.monotonic() + 3_600
    for _ in range(3):
        assert place.ask("moody").status == 503
    before = len(place.guards.calls)
    reply = place.ask("moody")
    told: Any = place.record(reply).metadata["guard"]
    assert told["reason"] in ("moody: breaker open", "moody: status 500")
    assert len(place.guards.calls) <= before + 1
    assert place.worker.get("/healthz").json["guards"]["moody"] in ("open", "half_open")
    guards.ANGRY["until"] = 0.0
    wait_for(lambda: place.ask("moody").status == 200)
    assert place.worker.get("/healthz").json["guards"]["moody"] == "closed"
    kinds = [(entry.kind, entry.metadata) for entry in place.site.entries() if entry.kind.startswith("screening.guard.")]
    moody = [(kind, metadata) for kind, metadata in kinds if metadata["guard"] == "moody"]
    assert [kind for kind, _ in moody] == ["screening.guard.unavailable", "screening.guard.available"]
    assert moody[0][1]["reason"] == "status 500"


def test_a_client_that_leaves_leaves_nothing_behind(place: Place) -> None:
    client = place.worker.connect(
        place.worker.raw_chat("stays", stream=True).replace(b"Bearer sk-main", b"Bearer qwen")
    )  # fmt: skip
    wait_for(lambda: place.model.calls and place.model.calls[-1].request["model"] == "stays")
    client.close()
    wait_for(lambda: place.worker.get("/healthz").json["in_progress"] == 0)
    assert place.ask("qwen").status == 200


def test_texts_sent_for_moderation_are_shown_to_guards_where_the_service_says_so(place: Place) -> None:
    def ask(service: str, *texts: str) -> tuple[Reply, list[dict[str, Any]]]:
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {service}"}
        reply = place.worker.ask("POST", "/v1/moderations", json.dumps({"input": texts}).encode(), sent)
        return reply, reply.json["results"]

    reply, (good, bad, unsure) = ask("qwen", "晴天", f"要{BAD}", f"这{UNSURE}")
    assert [each["flagged"] for each in (good, bad, unsure)] == [False, True, False]
    assert (good["categories"]["A.4.a"], good["categories"]["A.5.a"]) == (False, None)  # a category of the guard, and none
    assert (bad["categories"]["A.1.h"], unsure["outcome"]) == (True, "hit")
    told: Any = place.record(reply).metadata["guard"]
    assert (told["outcome"], told["examinations"]) == ("hit", 3)
    _, (missed,) = ask("status", "晴天")
    assert (missed["flagged"], missed["outcome"]) == (True, "could_not_examine")
    assert set(missed["categories"].values()) == {None}
    _, (long,) = ask("qwen", "长" * 200_000)
    assert (long["flagged"], long["outcome"]) == (True, "could_not_examine")
