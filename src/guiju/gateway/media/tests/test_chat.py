"""Files inside of chat answers: labelled in their place, or the answer ends there."""

import base64
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from guiju.gateway.inline import TEXT_CHARACTERS
from guiju.gateway.media.tests.models import PICTURE, SOUND, URL
from guiju.gateway.media.tests.test_images import label_of
from guiju.gateway.tests.rig import Site, Worker


def message_of(worker: Worker, model: str, **more: Any) -> tuple[Any, str]:
    reply = worker.chat(model, **more)
    assert reply.status == 200, reply.body
    return reply.json["choices"][0]["message"], reply.headers["x-request-id"]


def decoded(url: str) -> bytes:
    head, _, encoded = url.partition(";base64,")
    assert head == "data:image/png"
    return base64.b64decode(encoded)


def test_a_spoken_answer(worker: Worker, site: Site) -> None:
    message, number = message_of(worker, "chat-audio", modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"})
    raw = base64.b64decode(message["audio"]["data"])
    assert label_of(raw).produce_id == f"{number}-1"
    assert message["audio"]["transcript"] == "你好"
    told: Any = site.closing(number).metadata["media"]
    assert [each["medium"] for each in told] == ["sound"]
    assert len(raw) > len(base64.b64decode(SOUND))


@pytest.mark.parametrize("model", ["chat-images", "chat-parts", "chat-markdown", "chat-elsewhere"])
def test_pictures_wherever_they_stand(worker: Worker, site: Site, model: str) -> None:
    message, number = message_of(worker, model)
    assert PICTURE not in json.dumps(message)
    if model == "chat-images":
        found = [decoded(each["image_url"]["url"]) for each in message["images"]]
    elif model == "chat-parts":
        found = [decoded(message["content"][1]["image_url"]["url"])]
    elif model == "chat-markdown":
        assert message["content"].startswith("看：![猫](data:image/png;base64,")
        assert message["content"].endswith(")。\n\n（AI 生成）")
        found = [decoded(re.findall(r"\((.*)\)。", message["content"])[0])]
    else:
        found = [base64.b64decode(message["extra"]["deep"][0]["b64_json"])]
    assert [label_of(raw).produce_id for raw in found] == [f"{number}-{place + 1}" for place in range(len(found))]
    assert site.closing(number).kind == "gateway.answer.delivered"


def test_a_part_that_names_a_picture_is_fetched_and_kept_here(worker: Worker) -> None:
    message, number = message_of(worker, "chat-parts-url")
    kept = worker.get(urlsplit(message["content"][0]["image_url"]["url"]).path)
    assert label_of(kept.body).produce_id == f"{number}-1"


def test_a_picture_beside_the_choices(worker: Worker) -> None:
    reply = worker.chat("chat-beside")
    assert label_of(decoded(reply.json["extra"][0])).produce_id == f"{reply.headers['x-request-id']}-1"


@pytest.mark.parametrize(
    ("model", "code"), [("chat-cut", ("label_", "media_")), ("chat-audio-pcm", "label_"), ("chat-audio-private", "answer_withheld")]
)
def test_what_cannot_be_labelled_or_hidden_is_withheld(worker: Worker, site: Site, model: str, code: str | tuple[str, ...]) -> None:
    reply = worker.chat(model)
    assert reply.json["error"]["code"].startswith(code), reply.body
    assert site.closing(reply.headers["x-request-id"]).kind == "gateway.media.withheld"


def test_a_spoken_answer_that_strays_is_stopped_whole(worker: Worker) -> None:
    message, _ = message_of(worker, "chat-audio-strays")
    assert set(message) == {"role", "content", "refusal"}


@pytest.mark.parametrize("model", ["chat-example", "chat-sealed"])
def test_words_and_sealed_thoughts_are_no_files(worker: Worker, site: Site, model: str) -> None:
    _, number = message_of(worker, model)
    assert "media" not in site.closing(number).metadata


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("stream", {"stream": True, "modalities": ["text", "audio"], "audio": {"format": "wav"}}),
        ("stream", {"stream": True, "modalities": ["image", "text"]}),
        ("audio.format", {"modalities": ["text", "audio"], "audio": {"format": "pcm16"}}),
    ],
)
def test_what_could_never_be_labelled_is_refused_before_the_model_works(worker: Worker, field: str, more: dict[str, Any]) -> None:
    reply = worker.chat("chat-audio", **more)
    assert (reply.status, reply.json["error"]["param"]) == (400, field)


@pytest.mark.parametrize(
    "model", ["stream-audio", "stream-images", "stream-images-url", "stream-b64", "stream-markdown", "stream-markdown-cut"]
)
def test_a_stream_that_brings_a_file_ends_there(worker: Worker, site: Site, model: str) -> None:
    reply = worker.chat(model, stream=True)
    assert b'"code":"media_in_stream"' in reply.body
    assert reply.status == 502 or reply.body.count(b"data: [DONE]") == 1
    assert SOUND[:100].encode() not in reply.body
    assert reply.body.count(b"A") < TEXT_CHARACTERS
    if model != "stream-markdown-cut":
        assert PICTURE[:100].encode() not in reply.body
    kind = "gateway.media.withheld" if reply.status == 502 else "gateway.answer.interrupted"
    assert site.closing(reply.headers["x-request-id"]).kind == kind


def test_a_stream_with_an_example_goes_on(worker: Worker) -> None:
    reply = worker.chat("stream-example", stream=True)
    assert b"error" not in reply.body
    assert b"iVBORw0KGgo" in reply.body
    assert URL.encode() not in reply.body
