"""Streams whose text waits, as the official Python SDK reads them."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from guiju.gateway.tests.rig import KEYS, Worker
from tests.sdk.scripted import HELD

ASK: list[Any] = [{"role": "user", "content": "北京天气怎么样？"}]
LABEL = "\n\n（AI 生成）"


@pytest.fixture
def client(worker: Worker) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=worker.url, api_key=KEYS["main"], max_retries=0) as made:
        yield made


def test_every_piece_has_a_choice_to_read(client: openai.OpenAI) -> None:
    """The loop of every guide. Red when `AnswerStream._emit_beside` sends `choices: []`."""
    text, beside = "", []
    for chunk in client.chat.completions.create(model="held", messages=ASK, stream=True):
        text += chunk.choices[0].delta.content or ""
        beside.append((chunk.model_extra or {}).get("x_place"))
    assert text == "".join(HELD) + LABEL
    assert [each for each in beside if each is not None] == list(range(len(HELD) + 2))
