"""The public page: what a file, a text and a program are told; hostile uploads, forms without a token, too many, too large."""

import hashlib
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django.fixtures import Settings

from guiju.core.fingerprint import fingerprint
from guiju.core.ids import new_id
from guiju.core.keys import load_pseudonym_key, load_recorder_public_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.settings import Verify
from guiju.labelling.containers.tests.samples import CODE, INNER, LABEL, OTHER, fuzzed, png_with, sample
from guiju.labelling.content_credentials import load_credentials
from guiju.labelling.content_credentials import sign as seal
from guiju.labelling.files import first_label, write
from guiju.labelling.flow import verifying
from guiju.labelling.models import Verification
from guiju.labelling.signatures.keys import new_key
from guiju.labelling.signatures.security_data import sign
from guiju.labelling.tests.chains import new_chain
from guiju.labelling.values import Label
from guiju.records.entry import encode_entry
from guiju.records.keys.sealing import seal_to
from guiju.records.log.proof import check_leaf_proof
from guiju.records.models import Lease, OutboxEntry
from guiju.web.tests.rig import entry, record_all

ANSWER = "春天的花开了，城里的人们都去看花。\n\n* 第一朵是白色的；\n* 第二朵是红色的。"
PLAIN = "春天的花开了，城里的人们都去看花。 第一朵是白色的； 第二朵是红色的。"
LABELLED = ANSWER + "（本内容由人工智能生成）"


@pytest.fixture
def site(data: DataFolder, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    """A site whose service has a provider code, and on which nobody has asked yet."""
    from guiju.gateway.bundle import Service
    from guiju.labelling import views

    verifying.allowance.clear()
    service = Service(id="chat", name_zh="对话", name_en="Chat", upstreams=(), label=Label(content_producer=CODE))

    class Force:
        bundle = type("B", (), {"services": (service,)})

    monkeypatch.setattr(views, "bundle_in_force", lambda: Force)
    return data


def upload(client: Client, content: bytes, path: str = "/verify/", language: str = "zh-hans", **fields: str) -> Any:
    return client.post(path, {**fields, "file": SimpleUploadedFile("a.bin", content)}, headers={"Accept-Language": language})


def told(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.content)
    return found


def issued(data: DataFolder, text: str = ANSWER, kind: str = "gateway.answer.delivered", **metadata: object) -> str:
    """Let an answer with this text be recorded as the gateway and the recorder do; return its number."""
    key = load_pseudonym_key(data.keys)
    made = msgspec.structs.replace(
        entry(kind, metadata={"output": {"texts": [fingerprint(key, "chat", text)]}, **metadata}),
        id=str(metadata.get("number", new_id())),
        content=msgspec.msgpack.encode({"request": b"{}", "answer": {"choices[0].content": text}}),
    )
    OutboxEntry.objects.create(sealed=seal_to(load_recorder_public_key(data.keys).public_bytes_raw(), encode_entry(made)))
    Lease.objects.all().delete()  # that of the recorder before
    record_all(data)
    return made.id


def test_the_page_is_open_to_everybody_and_loads_nothing(anybody: Client, site: DataFolder) -> None:
    response = anybody.get("/verify/")
    assert response.status_code == 200
    assert "查验文件" in response.content.decode()
    assert "查验网址" not in response.content.decode()
    assert "script-src" not in response.headers["Content-Security-Policy"]
    assert b"<script>" not in response.content
    assert b"style=" not in response.content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (write(sample("plain.png"), LABEL), ["标识合规", "本内容属于人工智能生成合成内容", CODE, "本服务没有这个编号"]),
        (sample("plain.wav"), ["没有发现标识", "无法判断是否由本服务发出"]),
        (png_with((b"tEXt", b"AIGC\0" + INNER.replace('"Label":"1"', '"Label":"9"').encode())), ["标识不合规", "Label 为 1、2 或 3"]),
        (sample("plain.png")[:50], ["无法判断", "为何无法判断"]),
        (b"", ["无法判断"]),
        (write(sample("plain.png"), first_label(OTHER, "1")), ["标识写明的是其他提供者"]),
    ],
)
def test_what_a_file_says_is_shown(anybody: Client, site: DataFolder, content: bytes, words: list[str]) -> None:
    response = upload(anybody, content)
    page = response.content.decode()
    for each in words:
        assert each in page


def picture_of(number: str) -> bytes:
    return write(sample("plain.png"), first_label(CODE, number))


def recorded_picture(data: DataFolder) -> bytes:
    """Return a picture that the service delivered, as its record says."""
    number = new_id()
    made = picture_of(number)
    files = [{"produce_id": number, "sha256": hashlib.sha256(made).hexdigest()}]
    issued(data, kind="gateway.media.delivered", number=number, media=files)
    return made


def test_a_file_of_this_service_is_known_unchanged_or_changed(anybody: Client, owner: Client, site: DataFolder) -> None:
    made = recorded_picture(site)
    page = upload(anybody, made).content.decode()
    assert "是本服务发出的，此后没有改动" in page
    assert "查看记录" not in page
    assert "查看记录" in upload(owner, made).content.decode()
    assert "但与现在的不同" in upload(anybody, made + b"\0").content.decode()
    assert "编号是本服务的" in upload(anybody, picture_of(issued(site))).content.decode()


def test_a_false_signature_is_told_whatever_the_record_says(anybody: Client, site: DataFolder) -> None:
    signed = sign(LABEL, new_key("ed25519"))
    label = msgspec.structs.replace(signed, produce_id=new_id())
    result = told(upload(anybody, write(sample("plain.png"), label), "/api/verify"))
    assert result["issued"]["result"] == "false_signature"
    assert result["file"]["verdict"] == "noncompliant"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (ANSWER, "issued"),
        (LABELLED, "issued"),
        (ANSWER.replace("\n", "\r\n") + "\n", "issued"),
        (PLAIN, "issued_wording"),
        (PLAIN + "\n（本内容由人工智能生成）", "issued_wording"),
        (ANSWER.replace("红", "蓝"), "not_found"),
        (ANSWER + "还有第三朵。", "not_found"),
        ("春天的花开了", "too_short"),
    ],
)
def test_a_text_is_found_by_what_it_says(anybody: Client, site: DataFolder, text: str, result: str) -> None:
    issued(site)
    assert told(anybody.post("/api/verify", {"text": text}))["issued"]["result"] == result


def test_a_text_with_its_number_is_compared_with_that_record(anybody: Client, site: DataFolder) -> None:
    number, other = issued(site), issued(site, "这是另外一个足够长的回答，与前一个回答毫无关系可言。")

    def ask(text: str, number: str) -> str:
        return str(told(anybody.post("/api/verify", {"text": text, "number": number}))["issued"]["result"])

    assert ask(ANSWER, number) == "issued"
    assert ask(ANSWER, f"{number}.1") == "issued"
    assert ask(ANSWER, other) == "changed"
    assert ask(ANSWER, new_id()) == "unknown_number"
    assert ask(ANSWER, "x") == "unknown_number"
    assert ask(ANSWER, issued(site, kind="gateway.request.rejected")) == "unknown_number"


def test_the_public_proof_holds_and_tells_nothing_of_the_record(anybody: Client, site: DataFolder) -> None:
    issued(site, subject_told="somebody", model="secret-model")
    address = told(anybody.post("/api/verify", {"text": ANSWER}))["issued"]["proof"]
    response = anybody.get(address)
    document = json.loads(response.content)
    assert set(document) == {"proof", "index", "size", "path", "leaf", "checkpoint", "public_key"}
    assert check_leaf_proof(document, load_site_public_key(site.keys)).ok
    for name, wrong in (
        ("leaf", "00" * 32),
        ("index", document["index"] + 1),
        ("checkpoint", document["checkpoint"].replace(f"\n{document['size']}\n", "\n9\n", 1)),
        ("proof", "x"),
    ):
        assert not check_leaf_proof(document | {name: wrong}, load_site_public_key(site.keys)).ok
    assert anybody.get(address.replace(".json", "x.json")).status_code == 404
    assert anybody.get("/verify/proof/x.json").status_code == 404


def test_nothing_that_was_given_is_kept_or_shown_of_others(anybody: Client, site: DataFolder) -> None:
    issued(site)
    page = anybody.post("/verify/", {"text": PLAIN}).content.decode()
    assert ANSWER not in page
    assert "key-1" not in page
    upload(anybody, sample("plain.png"))
    assert {(each.way, each.result, each.count) for each in Verification.objects.all()} == {
        ("text", "issued_wording", 1),
        ("file", "not_found", 1),
    }


def test_a_form_without_its_token_is_refused_and_a_program_needs_none(site: DataFolder) -> None:
    client = Client(enforce_csrf_checks=True)
    assert upload(client, sample("plain.png")).status_code == 403
    assert not Verification.objects.exists()
    client.get("/verify/")
    token = client.cookies["guiju-form"].value
    assert upload(client, sample("plain.png"), csrfmiddlewaretoken=token).status_code == 200
    assert upload(client, sample("plain.png"), "/api/verify").status_code == 200


@pytest.mark.parametrize("path", ["/verify/", "/api/verify"])
def test_a_large_file_is_cut_off_and_not_looked_at(anybody: Client, site: DataFolder, settings: Settings, path: str) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, verify=Verify(upload_mb=1))
    for size in (1024 * 1024 + 1, 3 * 1024 * 1024):  # the one is seen while it comes, the other by what it says of its length
        response = upload(anybody, bytes(size), path)
        assert response.status_code == 413
        assert "CHECK-TOO-LARGE" in response.content.decode()
    assert upload(anybody, sample("plain.png"), path).status_code == 200
    assert Verification.objects.count() == 1


def test_one_address_may_ask_so_often_and_another_still_may(anybody: Client, site: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, verify=Verify(per_hour=2))
    codes = [anybody.post("/verify/", {"text": PLAIN}).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert anybody.post("/api/verify", {"text": PLAIN}).status_code == 429
    assert anybody.post("/verify/", {"text": PLAIN}, REMOTE_ADDR="192.0.2.1").status_code == 200


def test_strangers_never_hold_all_threads(anybody: Client, site: DataFolder) -> None:
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(verifying.one_of_few())
        response = anybody.post("/api/verify", {"text": PLAIN})
        assert (response.status_code, told(response)["error"]["code"]) == (503, "CHECK-BUSY")
    assert anybody.post("/api/verify", {"text": PLAIN}).status_code == 200


def test_the_allowance_forgets_by_the_hour_and_counts_a_network_once() -> None:
    asked = verifying.Allowance()
    assert [asked.take("192.0.2.1", 2, 0.0) for _ in range(3)] == [True, True, False]
    assert not asked.take("192.0.2.1", 2, 3599.0)
    assert asked.take("192.0.2.1", 2, 3601.0)
    assert [asked.take(f"2001:db8::{number}", 2, 0.0) for number in range(3)] == [True, True, False]
    assert asked.take("2001:db8:0:1::1", 2, 0.0)


def test_a_page_that_is_off_is_not_there(anybody: Client, site: DataFolder, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(settings.SITE, verify=Verify(page="off"))
    assert anybody.get("/verify/").status_code == 404
    assert anybody.post("/api/verify", {"text": PLAIN}).status_code == 404
    assert "/verify/" not in anybody.get("/").content.decode()


def test_a_url_is_asked_for_only_where_the_site_says_so_and_never_inside(anybody: Client, site: DataFolder, settings: Settings) -> None:
    assert anybody.post("/api/verify", {"url": "http://127.0.0.1/"}).status_code == 403
    settings.SITE = msgspec.structs.replace(settings.SITE, verify=Verify(urls="on"))
    for url in ("http://127.0.0.1:8000/", "http://[::1]/", "http://169.254.169.254/", "file:///etc/passwd"):
        response = anybody.post("/api/verify", json.dumps({"url": url}), content_type="application/json")
        assert response.status_code == 400
        assert told(response)["error"]["code"] in ("FETCH-ADDRESS", "FETCH-URL")
    assert "查验网址" in anybody.get("/verify/").content.decode()


def test_a_manifest_is_looked_at_in_the_process_of_the_page(anybody: Client, site: DataFolder, tmp_path: Path) -> None:
    sealed = seal(write(sample("plain.png"), LABEL), load_credentials(*new_chain(name="某<b>人").files(tmp_path)))
    page = upload(anybody, sealed).content.decode()
    assert "与签署时相同，签署者未经确认" in page
    assert "某&lt;b&gt;人" in page
    assert told(upload(anybody, sealed, "/api/verify"))["file"]["credentials"]["result"] == "valid"
    changed = bytearray(sealed)
    changed[-20] ^= 1
    assert "与签署时不同" in upload(anybody, bytes(changed)).content.decode()


def test_hostile_uploads_are_answered(anybody: Client, site: DataFolder) -> None:
    labelled = write(sample("plain.png"), LABEL)
    hostile = [*fuzzed([labelled, sample("plain.mp3")], 6, 3), b"\0" * 1000, b"<svg/>", b"%PDF-1.7"]
    for data in hostile:
        assert told(upload(anybody, data, "/api/verify"))["file"]["verdict"] in ("compliant", "noncompliant", "not_found", "inconclusive")
    page = upload(anybody, png_with((b"tEXt", b"AIGC\0" + INNER.replace("7f3a", "<script>alert(1)</script>").encode()))).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("how", ["time", "crash"])
def test_a_file_that_takes_its_process_down_is_not_called_free_of_labels(
    anybody: Client, site: DataFolder, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "time":
        monkeypatch.setattr(verifying, "_WALL_S", 0.001)
    else:
        monkeypatch.setattr(sys, "executable", "/bin/false")
    found = told(upload(anybody, sample("plain.png"), "/api/verify"))
    assert (found["file"]["verdict"], found["file"]["state"], found["issued"]["result"]) == ("inconclusive", None, "cannot_tell")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"text": 5}', b"\xff"])
def test_programs_that_say_nothing_are_told(anybody: Client, site: DataFolder, body: bytes) -> None:
    response = anybody.post("/api/verify", body, content_type="application/json")
    assert (response.status_code, told(response)["error"]["code"]) == (400, "CHECK-NOTHING")


def test_the_page_is_complete_in_english(anybody: Client, site: DataFolder) -> None:
    page = upload(anybody, write(sample("plain.png"), LABEL), language="en").content.decode()
    shown = page.partition("<main")[2].partition("</main>")[0]
    assert not [each for each in shown if "\u4e00" <= each <= "\u9fff"]
