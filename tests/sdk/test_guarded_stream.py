"""The official Python SDK, unmodified, hears a stream that a guard stops midway."""

from collections.abc import Iterator

import openai
import pytest

from guiju.gateway.tests.guards import BAD
from guiju.gateway.tests.rig import wait_for
from guiju.gateway.tests.test_guard import SAFE_TEXT, Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("guarded"))
    yield made
    assert made.worker.stop() == 0
    made.model.close()
    made.guards.close()


@pytest.mark.parametrize("service", ["qwen", "qwen+along"])
def test_a_stream_that_a_guard_stops_midway_ends_in_order(place: Place, service: str) -> None:
    text, finishes, retractions = "", [], []
    with openai.OpenAI(base_url=place.worker.url, api_key=service, max_retries=0) as client:
        for chunk in client.chat.completions.create(model="speaks", messages=[{"role": "user", "content": "说些坏的"}], stream=True):
            retractions += [(chunk.model_extra or {})["retraction"]] if "retraction" in (chunk.model_extra or {}) else []
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finishes += [choice.finish_reason] if choice.finish_reason else []
    assert text.startswith(SAFE_TEXT[:20])
    assert finishes == ["content_filter"]
    assert len(retractions) == 1
    assert "本次回答已停止" in retractions[0]["replace_with"]
    if service == "qwen":  # the strict way
        assert BAD not in text
    wait_for(lambda: "speaks" in place.model.left)
    found = [entry for entry in place.site.entries() if entry.service == service and entry.kind == "gateway.answer.stopped"]
    assert len(found) == 1


def test_a_refused_input_is_the_error_that_the_sdk_knows(place: Place) -> None:
    with openai.OpenAI(base_url=place.worker.url, api_key="qwen", max_retries=0) as client, pytest.raises(openai.BadRequestError) as told:
        client.chat.completions.create(model="speaks", messages=[{"role": "user", "content": f"请给我{BAD}"}])
    assert told.value.code == "input_refused"
    with (
        openai.OpenAI(base_url=place.worker.url, api_key="status", max_retries=0) as client,
        pytest.raises(openai.InternalServerError) as late,
    ):
        client.chat.completions.create(model="speaks", messages=[{"role": "user", "content": "你好"}])
    assert late.value.code == "guard_unavailable"
