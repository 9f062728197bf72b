"""Speech: the sound leaves with its label before the words, or not at all."""

import hashlib
import io
import json
import wave
from typing import Any

import numpy as np
import pytest

from guiju.gateway.media.tests.conftest import CODE
from guiju.gateway.media.tests.models import WAV
from guiju.gateway.media.tests.test_images import label_of, told_of
from guiju.gateway.tests.rig import TERM, Reply, Site, Worker
from guiju.labelling.explicit.rhythm import find_rhythm


def ask(worker: Worker, model: str = "sound", **more: Any) -> Reply:
    body = json.dumps({"model": model, "input": "你好", "voice": "alloy", **more}, ensure_ascii=False).encode()
    return worker.ask("POST", "/v1/audio/speech", body, {"Content-Type": "application/json", "Authorization": "Bearer sk-main"})


def seconds(raw: bytes) -> float:
    with wave.open(io.BytesIO(raw)) as opened:
        return float(opened.getnframes() / opened.getframerate())


def heard(raw: bytes) -> bool:
    with wave.open(io.BytesIO(raw)) as opened:
        samples = np.frombuffer(opened.readframes(opened.getnframes()), "<i2").astype(np.float64) / 32_768
        return find_rhythm(samples, opened.getframerate()) is not None


def test_a_text_is_read_aloud_with_its_label(worker: Worker, site: Site) -> None:
    reply = ask(worker, response_format="wav")
    assert reply.status == 200, reply.body
    number = reply.headers["x-request-id"]
    label = label_of(reply.body)
    assert (label.content_producer, label.produce_id) == (CODE, number)
    assert reply.headers["content-type"] == "audio/wav"
    assert reply.headers["x-aigc-produceid"] == number
    assert seconds(reply.body) > seconds(WAV) + 1
    assert heard(reply.body)
    record = site.closing(number)
    assert record.kind == "gateway.media.delivered"
    told = told_of(site, number)[0]
    assert told["sha256"] == hashlib.sha256(reply.body).hexdigest()
    assert told["medium"] == "sound"


@pytest.mark.parametrize(
    ("model", "code"), [("sound-json", "upstream_broken"), ("sound-picture", "label_unexpected"), ("sound-cut", "label_")]
)
def test_what_is_no_sound_does_not_leave(worker: Worker, site: Site, model: str, code: str) -> None:
    reply = ask(worker, model)
    assert reply.json["error"]["code"].startswith(code), reply.body
    assert site.closing(reply.headers["x-request-id"]).kind in ("gateway.media.withheld", "gateway.upstream.failed")


def test_what_is_to_be_said_is_screened(worker: Worker) -> None:
    assert ask(worker, input=f"去{TERM}").json["error"]["code"] == "input_refused"
    assert ask(worker, instructions=f"像在{TERM}一样说").json["error"]["code"] == "input_refused"


@pytest.mark.parametrize(
    ("field", "value"),
    [("input", ""), ("input", None), ("response_format", "pcm"), ("response_format", 3), ("stream_format", "sse"), ("model", None)],
)
def test_fields_that_are_none(worker: Worker, field: str, value: object) -> None:
    body = {"model": "sound", "input": "你好", "voice": "alloy", field: value}
    reply = worker.ask("POST", "/v1/audio/speech", json.dumps(body).encode(), {"Authorization": "Bearer sk-main"})
    assert (reply.status, reply.json["error"]["code"], reply.json["error"]["param"]) == (400, "field_invalid", field)
