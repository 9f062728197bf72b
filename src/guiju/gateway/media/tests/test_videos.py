"""Films: ordered, looked after, and fetched with their label; the same film has the same number however often it leaves."""

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from guiju.gateway.media.store import MediaStore
from guiju.gateway.media.tests.conftest import site_for
from guiju.gateway.media.tests.made import film, png
from guiju.gateway.media.tests.models import body
from guiju.gateway.media.tests.test_images import label_of, told_of
from guiju.gateway.tests.rig import TERM, Behaviour, Reply, ScriptedUpstream, Site, Worker

av = pytest.importorskip("av", reason="NOT TESTED: films, because the extra media is not installed")
FILM = film()
STATE = {
    "object": "video",
    "status": "queued",
    "progress": 0,
    "created_at": 1700000000,
    "seconds": "3",
    "size": "320x240",
    "model": "internal",
}


def state(**more: Any) -> Behaviour:
    return body(json.dumps(STATE | more, ensure_ascii=False).encode(), "application/json")


BEHAVIOURS: dict[str, Behaviour] = {
    "film": state(id="up/1", secret="kept from clients"),
    "film-own": state(id="own"),
    "film-failed": state(id="failed"),
    "film-strays": state(id="strays"),
    "film-nothing": state(),
    "/videos/up%2F1": state(id="up/1", status="completed", progress=100, prompt="一只猫", extra="data:image/png;base64,AAAA"),
    "/videos/own": state(id="own", status="completed"),
    "/videos/failed": state(id="failed", status="failed", error={"code": "moderation", "message": "no", "extra": "x"}),
    "/videos/strays": state(id="strays", status="failed", error={"code": "x", "message": f"有人在{TERM}"}),
    "/videos/up%2F1/content": body(FILM, "video/mp4"),
    "/videos/own/content": body(FILM[: len(FILM) // 2], "video/mp4"),
    "/videos/failed/content": body(b"{}", "application/json", 404),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    scripted = ScriptedUpstream(dict(BEHAVIOURS))
    yield scripted
    scripted.close()


@pytest.fixture(scope="module")
def site(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = site_for(upstream, tmp_path_factory.mktemp("film-site") / "data", label_timeout_ms=60_000)
    made.publish()
    return made


@pytest.fixture(scope="module")
def worker(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    running = Worker(site, tmp_path_factory.mktemp("film-log") / "worker.log")
    yield running
    assert running.stop() == 0
    log = running.log.read_text()
    assert "Traceback" not in log, log


def order(worker: Worker, model: str = "film", prompt: str = "一只猫", key: str = "sk-main") -> Reply:
    sent = json.dumps({"model": model, "prompt": prompt}, ensure_ascii=False).encode()
    return worker.ask("POST", "/v1/videos", sent, {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})


def test_a_film_from_its_order_to_its_end(worker: Worker, site: Site, upstream: ScriptedUpstream) -> None:
    ordered = order(worker)
    assert ordered.status == 200, ordered.body
    number = ordered.headers["x-request-id"]
    assert ordered.json == STATE | {"id": f"video_{number}", "model": "film"}
    assert site.closing(number).kind == "gateway.media.submitted"
    assert site.closing(number).metadata["job"] == {"number": number, "upstream_id": "up/1"}

    found = worker.get(f"/v1/videos/video_{number}", "sk-main")
    assert found.json == STATE | {"id": f"video_{number}", "model": "film", "status": "completed", "progress": 100, "prompt": "一只猫"}

    got = worker.get(f"/v1/videos/video_{number}/content", "sk-main")
    assert got.status == 200, got.body
    assert label_of(got.body).produce_id == got.headers["x-aigc-produceid"] == number
    assert got.headers["content-type"] == "video/mp4"
    told = told_of(site, got.headers["x-request-id"])[0]
    assert told["sha256"] == hashlib.sha256(got.body).hexdigest()
    assert told["original_sha256"] == hashlib.sha256(FILM).hexdigest()
    assert (told["medium"], told["produce_id"]) == ("film", number)

    asked = len(upstream.calls)
    again = worker.get(f"/v1/videos/video_{number}/content", "sk-main")
    assert again.body == got.body
    assert len(upstream.calls) == asked  # labelled once
    assert site.closing(again.headers["x-request-id"]).metadata["job"] == {"number": number, "upstream_id": "up/1"}


def test_a_thumbnail_has_a_number_of_its_own(worker: Worker, upstream: ScriptedUpstream) -> None:
    number = order(worker).headers["x-request-id"]
    upstream.behaviours["/videos/up%2F1/content"] = body(png(), "image/png")
    try:
        got = worker.get(f"/v1/videos/video_{number}/content?variant=thumbnail", "sk-main")
        assert got.status == 200, got.body
        assert label_of(got.body).produce_id == f"{number}-thumbnail"
        assert worker.get(f"/v1/videos/video_{number}/content", "sk-main").json["error"]["code"] == "label_unexpected"
        assert worker.get(f"/v1/videos/video_{number}/content?variant=all", "sk-main").json["error"]["param"] == "variant"
    finally:
        upstream.behaviours["/videos/up%2F1/content"] = BEHAVIOURS["/videos/up%2F1/content"]


def test_a_film_that_was_cut_does_not_leave(worker: Worker, site: Site) -> None:
    number = order(worker, "film-own").headers["x-request-id"]
    got = worker.get(f"/v1/videos/video_{number}/content", "sk-main")
    assert got.json["error"]["code"].startswith("label_"), got.body
    assert site.closing(got.headers["x-request-id"]).kind == "gateway.media.withheld"


def test_a_film_that_failed_says_why_in_words_that_may_leave(worker: Worker, site: Site) -> None:
    number = order(worker, "film-failed").headers["x-request-id"]
    assert worker.get(f"/v1/videos/video_{number}", "sk-main").json["error"] == {"code": "moderation", "message": "no"}
    assert worker.get(f"/v1/videos/video_{number}/content", "sk-main").status == 404
    number = order(worker, "film-strays").headers["x-request-id"]
    found = worker.get(f"/v1/videos/video_{number}", "sk-main")
    assert found.json["error"]["code"] == "answer_withheld"
    assert TERM not in found.body.decode()
    assert site.closing(found.headers["x-request-id"]).kind == "gateway.media.withheld"


def test_orders_that_are_none(worker: Worker) -> None:
    assert order(worker, prompt=f"拍{TERM}").json["error"]["code"] == "input_refused"
    assert order(worker, prompt="").json["error"]["param"] == "prompt"
    assert order(worker, "film-nothing").json["error"]["code"] == "upstream_broken"


def test_a_film_is_its_services_own(worker: Worker) -> None:
    number = order(worker).headers["x-request-id"]
    for path in (f"/v1/videos/video_{number}", f"/v1/videos/video_{number}/content"):
        assert worker.get(path).json["error"]["code"] == "key_missing"
        assert worker.get(path, "sk-bare").json["error"]["code"] == "video_unknown"
    assert worker.get("/v1/videos/video_" + "0" * 26, "sk-main").json["error"]["code"] == "video_unknown"
    assert worker.get("/v1/videos/up", "sk-main").json["error"]["code"] == "path_unknown"
    assert worker.get("/v1/videos", "sk-main").json["error"]["code"] == "path_unknown"


def test_jobs_outlive_a_restart(site: Site, worker: Worker) -> None:
    number = order(worker).headers["x-request-id"]
    job = MediaStore(site.folder.media).find_job(number)
    assert job is not None
    assert msgspec.structs.replace(job, created_at=0.0).upstream_id == "up/1"
    assert time.time() - job.created_at < 60
