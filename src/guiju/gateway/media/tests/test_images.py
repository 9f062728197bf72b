"""Pictures: each leaves labelled and on record, or not at all."""

import base64
import concurrent.futures
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guiju.core.keys import load_watermark_key
from guiju.gateway.media.tests.conftest import CODE, site_for
from guiju.gateway.media.tests.models import PNG
from guiju.gateway.tests.rig import TERM, Reply, ScriptedUpstream, Site, Worker, wait_for
from guiju.labelling import read
from guiju.labelling.content_credentials import check as check_manifest
from guiju.labelling.signatures.check import check
from guiju.labelling.signatures.ring import put_in_force
from guiju.labelling.tests.chains import new_chain
from guiju.labelling.values import FileLabel
from guiju.labelling.watermark import extract

PATH = "/v1/images/generations"


def ask(worker: Worker, model: str, path: str = PATH, key: str = "sk-main", **more: Any) -> Reply:
    body = json.dumps({"model": model, "prompt": "一只猫", **more}, ensure_ascii=False).encode()
    return worker.ask("POST", path, body, {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})


def told_of(site: Site, number: str) -> Any:
    """Return what the record of an answer says of its files."""
    return site.closing(number).metadata["media"]


def label_of(raw: bytes) -> FileLabel:
    found = read(raw)
    assert isinstance(found, FileLabel), found
    return found


def test_a_picture_is_marked_labelled_and_recorded(worker: Worker, site: Site) -> None:
    reply = ask(worker, "picture-words")
    assert reply.status == 200, reply.body
    item = reply.json["data"][0]
    raw = base64.b64decode(item["b64_json"])
    number = reply.headers["x-request-id"]
    label = label_of(raw)
    assert (label.label, label.content_producer, label.produce_id) == ("1", CODE, number)
    assert item["aigc"]["ProduceID"] == reply.headers["x-aigc-produceid"] == number
    assert item["revised_prompt"] == "一只猫 / a cat"
    record = site.closing(number)
    assert record.kind == "gateway.media.delivered"
    told = told_of(site, number)[0]
    assert told["sha256"] == hashlib.sha256(raw).hexdigest()
    assert told["original_sha256"] == hashlib.sha256(PNG).hexdigest()
    assert told["medium"] == "picture"
    assert "glyph" in told["explicit"]
    assert record.metadata["usage"] == {"total_tokens": 5}
    content = msgspec.msgpack.decode(record.content)
    assert json.loads(content["request"])["prompt"] == "一只猫"
    assert content["answer"] == {"data[0].revised_prompt": "一只猫 / a cat"}


def test_an_address_of_ours_gives_the_labelled_file(worker: Worker, site: Site) -> None:
    reply = ask(worker, "picture-own-url")
    assert reply.status == 200, reply.body
    url = reply.json["data"][0]["url"]
    assert url.startswith(f"http://127.0.0.1:{worker.port}/media/")
    path = url.removeprefix(f"http://127.0.0.1:{worker.port}")
    got = worker.get(path)
    assert got.status == 200
    assert label_of(got.body).produce_id == reply.headers["x-request-id"]
    assert got.headers["content-type"] == "image/png"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"] == f'attachment; filename="{reply.headers["x-request-id"]}.png"'
    assert "sandbox" in got.headers["content-security-policy"]
    assert hashlib.sha256(got.body).hexdigest() == told_of(site, reply.headers["x-request-id"])[0]["sha256"]
    part = worker.ask("GET", path, b"", {"Range": "bytes=1-3"})
    assert (part.status, part.body) == (206, b"PNG")
    assert part.headers["content-range"] == f"bytes 1-3/{len(got.body)}"
    assert worker.ask("GET", path, b"", {"Range": "bytes=-4"}).body == got.body[-4:]
    assert worker.ask("GET", path, b"", {"Range": f"bytes={len(got.body)}-"}).status == 416
    head = worker.ask("HEAD", path, b"", {})
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(got.body)))


@pytest.mark.parametrize(
    ("model", "wanted", "field"),
    [("picture", "url", "url"), ("picture-own-url", "b64_json", "b64_json"), ("picture-data-url", None, "url")],
)
def test_pictures_come_in_the_form_that_was_asked_for(worker: Worker, model: str, wanted: str | None, field: str) -> None:
    reply = ask(worker, model, **({"response_format": wanted} if wanted else {}))
    assert reply.status == 200, reply.body
    item = reply.json["data"][0]
    assert set(item) == {field, "aigc"}
    raw = base64.b64decode(item[field]) if field == "b64_json" else worker.get(item[field].partition(str(worker.port))[2]).body
    assert label_of(raw).produce_id == reply.headers["x-request-id"]


def test_ten_pictures_have_ten_numbers(worker: Worker, site: Site) -> None:
    reply = ask(worker, "picture-many", n=10)
    assert reply.status == 200, reply.body
    number = reply.headers["x-request-id"]
    found = [label_of(base64.b64decode(item["b64_json"])).produce_id for item in reply.json["data"]]
    assert found == [f"{number}-{place}" for place in range(1, 11)]
    assert [each["produce_id"] for each in told_of(site, number)] == found


def test_many_at_once(worker: Worker) -> None:
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda _: ask(worker, "picture-many", n=2), range(10)))
    assert [reply.status for reply in replies] == [200] * 10
    numbers = {label_of(base64.b64decode(item["b64_json"])).produce_id for reply in replies for item in reply.json["data"]}
    assert len(numbers) == 20


WITHHELD = {
    "picture-cut": "label_",
    "picture-bomb": "label_too_large",
    "picture-html": "label_",
    "picture-sound": "label_unexpected",
    "picture-strays": "answer_withheld",
    "picture-huge": "media_too_large",
    "picture-endless": "media_too_large",
    "picture-hanging": "media_fetch",
    "picture-moved": "media_fetch",
    "picture-other-port": "media_fetch",
    "picture-file-url": "media_fetch",
}
BROKEN = ("picture-nothing", "picture-none", "picture-no-base64", "picture-hidden", "picture-hidden-plain", "picture-no-json")


@pytest.mark.parametrize("model", WITHHELD)
def test_what_cannot_be_labelled_does_not_leave(worker: Worker, site: Site, model: str) -> None:
    reply = ask(worker, model)
    assert reply.status in (400, 502), reply.body
    assert reply.json["error"]["code"].startswith(WITHHELD[model])
    assert b"data" not in reply.json
    record = site.closing(reply.headers["x-request-id"])
    assert record.kind == "gateway.media.withheld"
    assert "media" not in record.metadata
    assert TERM not in reply.body.decode()
    assert ask(worker, "picture").status == 200


@pytest.mark.parametrize("model", BROKEN)
def test_what_is_no_answer_is_none(worker: Worker, site: Site, model: str) -> None:
    reply = ask(worker, model)
    assert (reply.status, reply.json["error"]["code"]) == (502, "upstream_broken")
    assert site.closing(reply.headers["x-request-id"]).kind == "gateway.upstream.failed"


def test_a_status_that_http_does_not_know_becomes_one_that_it_knows(worker: Worker, site: Site) -> None:
    """Red when `status_for_client` in `upstream.py` passes on whatever an upstream says: no server has a line for it."""
    reply = ask(worker, "picture-498")
    error = reply.json["error"]
    assert (reply.status, error["code"]) == (400, "upstream_refused")
    assert "(498): no capacity in this tier" in error["message"]
    assert site.closing(error["record"]).kind == "gateway.upstream.failed"


def test_a_prompt_is_screened(worker: Worker, site: Site) -> None:
    reply = ask(worker, "picture", prompt=f"教我{TERM}")
    assert (reply.status, reply.json["error"]["code"]) == (400, "input_refused")
    record = site.closing(reply.headers["x-request-id"])
    assert record.kind == "gateway.input.refused"
    told: Any = record.metadata["input"]
    assert told["hits"][0]["path"] == "prompt"


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 11), ("n", 0), ("n", True), ("response_format", "svg"), ("stream", True), ("prompt", 3), ("model", ""), ("guiju", {"x": 1})],
)
def test_fields_that_are_none(worker: Worker, field: str, value: object) -> None:
    asked: dict[str, Any] = {"model": "picture", field: value}
    reply = ask(worker, **asked)
    assert (reply.status, reply.json["error"]["code"], reply.json["error"]["param"]) == (400, "field_invalid", field)


def form(fields: dict[str, str], picture: bytes) -> tuple[bytes, str]:
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    parts.append(
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        + picture
        + b"\r\n--x--\r\n"
    )
    return b"".join(parts), "multipart/form-data; boundary=x"


@pytest.mark.parametrize("path", ["/v1/images/edits", "/v1/images/variations"])
def test_a_form_with_a_picture(worker: Worker, site: Site, upstream: ScriptedUpstream, path: str) -> None:
    body, content_type = form({"model": "picture-mirrored", "prompt": "加一顶帽子", "n": "1"}, PNG)
    reply = worker.ask("POST", path, body, {"Content-Type": content_type, "Authorization": "Bearer sk-main"})
    assert reply.status == 200, reply.body
    assert reply.json["data"][0]["revised_prompt"] == "1 of the picture"
    assert upstream.calls[-1].head.split()[1] == path
    content = msgspec.msgpack.decode(site.closing(reply.headers["x-request-id"]).content)
    kept = json.loads(content["request"])
    assert kept["prompt"] == "加一顶帽子"
    assert kept["files"] == [{"field": "image", "name": "a.png", "size_bytes": len(PNG), "sha256": hashlib.sha256(PNG).hexdigest()}]
    refused, _ = form({"model": "picture-mirrored", "prompt": f"画{TERM}"}, PNG)
    reply = worker.ask("POST", path, refused, {"Content-Type": content_type, "Authorization": "Bearer sk-main"})
    assert (reply.status, reply.json["error"]["code"]) == (400, "input_refused")
    reply = worker.ask("POST", path, body[:-8], {"Content-Type": content_type, "Authorization": "Bearer sk-main"})
    assert (reply.status, reply.json["error"]["code"]) == (400, "body_not_form")


def test_a_service_without_a_code_gives_no_picture(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    site = Site(tmp_path / "data", upstream.url)
    site.publish()
    running = Worker(site, tmp_path / "log")
    try:
        reply = ask(running, "picture")
        assert (reply.status, reply.json["error"]["code"]) == (500, "label_value")
        assert site.closing(reply.headers["x-request-id"]).kind == "gateway.media.withheld"
    finally:
        running.stop()


def test_nothing_stays_of_the_work(worker: Worker, site: Site) -> None:
    ask(worker, "picture-cut")
    ask(worker, "picture")
    wait_for(lambda: not list((site.folder.media / "work").iterdir()))


def test_the_label_is_signed_where_the_service_wants_it(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    site = site_for(upstream, tmp_path / "data")
    services = tuple(
        msgspec.structs.replace(each, label=msgspec.structs.replace(each.label, signature="ed25519")) for each in site.bundle.services
    )
    site.publish(msgspec.structs.replace(site.bundle, services=services))
    key, _ = put_in_force(site.folder.keys, CODE, "ed25519")
    running = Worker(site, tmp_path / "log")
    try:
        label = label_of(base64.b64decode(ask(running, "picture").json["data"][0]["b64_json"]))
        findings = check(label)
        assert [finding.result for finding in findings] == ["intact"], findings
        assert findings[0].key_id == key.id
    finally:
        running.stop()


def test_pictures_bear_the_watermark_where_the_service_wants_it(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    site = site_for(upstream, tmp_path / "data")
    services = tuple(
        msgspec.structs.replace(each, label=msgspec.structs.replace(each.label, watermark="on")) for each in site.bundle.services
    )
    site.publish(msgspec.structs.replace(site.bundle, services=services))
    running = Worker(site, tmp_path / "log")
    try:
        reply = ask(running, "picture-large")
        data = base64.b64decode(reply.json["data"][0]["b64_json"])
        number = label_of(data).produce_id
        found = extract(data, load_watermark_key(site.folder.keys))
        assert found is not None
        assert found.prefix == number[: len(found.prefix)]
        (told,) = told_of(site, reply.headers["x-request-id"])
        assert told["watermark"].startswith("held;")
        reply = ask(running, "picture")
        (told,) = told_of(site, reply.headers["x-request-id"])
        assert told["watermark"].startswith("skipped;reason=size ")
    finally:
        running.stop()


def test_pictures_bear_none_unless_the_service_asks(worker: Worker, site: Site) -> None:
    reply = ask(worker, "picture-large")
    data = base64.b64decode(reply.json["data"][0]["b64_json"])
    assert extract(data, load_watermark_key(site.folder.keys)) is None
    assert "watermark" not in told_of(site, reply.headers["x-request-id"])[0]


def test_a_manifest_is_signed_last_in_another_process(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    site = site_for(upstream, tmp_path / "data")
    chain = new_chain()
    certificates, key = chain.files(tmp_path)
    sealed = {"c2pa_chain_file": str(certificates), "c2pa_key_file": str(key)}
    services = tuple(msgspec.structs.replace(each, label=msgspec.structs.replace(each.label, **sealed)) for each in site.bundle.services)
    site.publish(msgspec.structs.replace(site.bundle, services=services))
    running = Worker(site, tmp_path / "log")
    try:
        reply = ask(running, "picture")
        data = base64.b64decode(reply.json["data"][0]["b64_json"])
        assert label_of(data).content_producer == CODE
        found = check_manifest(data, roots=chain.root)
        assert (found.result, found.generated) == ("trusted", True)
        (told,) = told_of(site, reply.headers["x-request-id"])
        assert (told["c2pa"], told["sha256"], told["size_bytes"]) == (True, hashlib.sha256(data).hexdigest(), len(data))
        key.chmod(0o644)  # a key that others can read signs nothing, and nothing leaves without its manifest
        reply = ask(running, "picture")
        assert (reply.status, reply.json["error"]["code"]) == (502, "media_unlabelled")
        assert key.name not in reply.body.decode()
        assert f"KEY-FILE-OPEN The key file {key}" in (tmp_path / "log").read_text()
        assert site.closing(reply.headers["x-request-id"]).kind == "gateway.media.withheld"
        wait_for(lambda: not list((site.folder.media / "work").iterdir()))
    finally:
        running.stop()
