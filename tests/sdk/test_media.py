"""Pictures, speech and films with the official Python SDK, unmodified, against a real worker."""

import base64
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from guiju.gateway.media.tests.conftest import site_for
from guiju.gateway.media.tests.made import film
from guiju.gateway.media.tests.models import BEHAVIOURS, PNG, body
from guiju.gateway.tests.rig import KEYS, TERM, ScriptedUpstream, Worker
from guiju.labelling import read
from guiju.labelling.values import FileLabel


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    state = {
        "id": "up",
        "object": "video",
        "status": "completed",
        "progress": 100,
        "created_at": 1,
        "seconds": "3",
        "size": "320x240",
        "model": "film",
    }
    films = {
        "film": body(json.dumps(state).encode(), "application/json"),
        "/videos/up": body(json.dumps(state).encode(), "application/json"),
    }
    if importlib.util.find_spec("av") is not None:
        films["/videos/up/content"] = body(film(), "video/mp4")
    upstream = ScriptedUpstream(BEHAVIOURS | films)
    site = site_for(upstream, tmp_path_factory.mktemp("media") / "data")
    site.publish()
    running = Worker(site, tmp_path_factory.mktemp("media-log") / "worker.log")
    yield running
    assert running.stop() == 0
    upstream.close()


@pytest.fixture
def client(worker: Worker) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=worker.url, api_key=KEYS["main"], max_retries=0) as made:
        yield made


def number_of(raw: bytes) -> str:
    found = read(raw)
    assert isinstance(found, FileLabel), found
    return found.produce_id


def test_pictures_in_the_answer(client: openai.OpenAI) -> None:
    answer = client.images.generate(model="picture-many", prompt="一只猫", n=2, size="1024x1024")
    assert answer.data is not None
    numbers = [number_of(base64.b64decode(picture.b64_json or "")) for picture in answer.data]
    assert numbers == [f"{answer._request_id}-1", f"{answer._request_id}-2"]
    assert (answer.data[0].model_extra or {})["aigc"]["ProduceID"] == numbers[0]


def test_a_picture_by_its_url(client: openai.OpenAI, worker: Worker) -> None:
    answer = client.images.generate(model="picture", prompt="一只猫", response_format="url")
    assert answer.data is not None
    url = answer.data[0].url or ""
    assert number_of(worker.get(url.partition(str(worker.port))[2]).body) == answer._request_id


def test_a_picture_that_is_changed(client: openai.OpenAI) -> None:
    answer = client.images.edit(model="picture-mirrored", image=("a.png", PNG, "image/png"), prompt="加一顶帽子")
    assert answer.data is not None
    assert answer.data[0].revised_prompt == "1 of the picture"
    with pytest.warns(DeprecationWarning, match="deprecated"):  # of the SDK itself
        again = client.images.create_variation(model="picture-mirrored", image=("a.png", PNG, "image/png"))
    assert again.data is not None
    assert number_of(base64.b64decode(again.data[0].b64_json or "")) == again._request_id


def test_a_refused_prompt(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="picture", prompt=f"画{TERM}")
    assert caught.value.code == "input_refused"


def test_a_picture_that_cannot_be_labelled(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.images.generate(model="picture-cut", prompt="一只猫")
    assert (caught.value.code or "").startswith("label_")


def test_speech(client: openai.OpenAI, tmp_path: Path) -> None:
    spoken = client.audio.speech.create(model="sound", voice="alloy", input="你好", response_format="wav")
    assert number_of(spoken.content) == spoken.response.headers["x-request-id"]
    with client.audio.speech.with_streaming_response.create(model="sound", voice="alloy", input="你好") as streamed:
        streamed.stream_to_file(tmp_path / "a.wav")
    assert number_of((tmp_path / "a.wav").read_bytes()) == streamed.headers["x-request-id"]


def test_a_chat_that_answers_in_sound(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="chat-audio",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        messages=[{"role": "user", "content": "你好"}],
    )
    audio = answer.choices[0].message.audio
    assert audio is not None
    assert number_of(base64.b64decode(audio.data)) == f"{answer._request_id}-1"


@pytest.mark.filterwarnings(
    "ignore:The Sora API:DeprecationWarning"
)  # of the SDK: its maker ends its own service, others speak the interface
def test_a_film(client: openai.OpenAI) -> None:
    pytest.importorskip("av", reason="NOT TESTED: films, because the extra media is not installed")
    ordered = client.videos.create(model="film", prompt="一只猫", seconds="4", size="720x1280")
    assert ordered.id.startswith("video_")
    found = client.videos.retrieve(ordered.id)
    assert (found.status, found.model) == ("completed", "film")
    raw = client.videos.download_content(ordered.id).read()
    assert number_of(raw) == ordered.id.removeprefix("video_")


@pytest.mark.filterwarnings(
    "ignore:The Sora API:DeprecationWarning"
)  # of the SDK: its maker ends its own service, others speak the interface
def test_an_ordered_film_with_a_picture(client: openai.OpenAI) -> None:
    assert client.videos.create(model="film", prompt="一只猫", input_reference=("a.png", PNG, "image/png")).id.startswith("video_")
