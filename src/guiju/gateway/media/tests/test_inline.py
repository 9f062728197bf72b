"""Files in streams: none of it leaves, in whatever field and pieces it comes; words about files are words."""

import json
from typing import Any

import pytest

from guiju.core.errors import GuijuError
from guiju.gateway.inline import TEXT_CHARACTERS, may_hold_files
from guiju.gateway.tests.scripts import chunk
from guiju.gateway.tests.test_stream import SNAPSHOT, plain, pour, said, stream_of

FILES: dict[str, list[dict[str, Any]]] = {
    "sound": [{"audio": {"data": "//abcd+/"}}],
    "a picture": [{"images": [{"image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}],
    "a picture by its URL": [{"images": [{"image_url": {"url": "https://files.example/a.png"}}]}],
    "a part by its URL": [{"content": [{"type": "image_url", "image_url": {"url": "https://files.example/a.png"}}]}],
    "a film by its URL": [{"part": {"video_url": "https://files.example/a.mp4"}}],
    "a picture in an unknown field": [{"picture": {"deep": ["DATA:image/png;base64,iVBORw0KGgo="]}}],
    "base64 in a field that holds it": [{"part": {"b64_json": "iVBORw0KGgo="}}],
    "a picture in the text": [{"content": "![](data:image/png;base64," + "A" * 3_000 + ")"}],
    "a picture in the text, character by character": [{"content": each} for each in "data:image/png;base64," + "A" * 3_000],
    "two in one piece": [{"content": "data:image/png;base64,AAAA data:image/png;base64," + "A" * 3_000}],
    "between two fields": [
        {"content": "data:image/png;base64,"}, *({name: "A" * 9} for _ in range(300) for name in ("content", "reasoning_content"))
    ],
}  # fmt: skip


@pytest.mark.parametrize("deltas", FILES.values(), ids=FILES)
def test_a_file_ends_the_stream_and_none_of_it_leaves(deltas: list[dict[str, Any]]) -> None:
    stream = stream_of(SNAPSHOT)
    out = b""
    code = ""
    for event in plain([*said({"content": "好"}, finish=None), *said(*deltas, finish=None)], done=False):
        try:
            out += stream.feed(event)
        except GuijuError as error:
            code = error.code.code
            break
    assert code == "MEDIA-IN-STREAM"
    assert "好" in out.decode()
    out += stream.fail({"code": "x"}) + stream.tail()
    assert out.count(b"A") < 2 * TEXT_CHARACTERS
    assert b"iVBOR" not in out
    assert b"abcd" not in out


@pytest.mark.parametrize(
    "text", ["写作 data:image/png;base64,iVBORw0KGgo= 即可", "base64,base64,base64,", "a, b, c: base64, as it is called", "A" * 9_000]
)
def test_words_about_files_are_none(text: str) -> None:
    heard = pour(stream_of(SNAPSHOT), plain(said(*({"content": text[at : at + 5]} for at in range(0, len(text), 5)))))
    assert heard.finishes == {0: "stop"}


URL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    "event",
    [
        chunk([{"index": 0, "delta": {"content": "好"}, "finish_reason": None, "preview": {"deep": [URL]}}]),
        chunk([{"index": 0, "delta": {"content": "好"}, "finish_reason": None}]) | {"images": [{"url": "https://files.example/a.png"}]},
        chunk([{"index": 0, "delta": {"content": "好"}, "finish_reason": None}]) | {"more": {"b64_json": "iVBORw0KGgo="}},
    ],
)
def test_a_file_beside_the_delta(event: dict[str, Any]) -> None:
    with pytest.raises(GuijuError) as caught:
        stream_of(SNAPSHOT).feed(plain([event], done=False)[0])
    assert caught.value.code.code == "MEDIA-IN-STREAM"


def whole(**message: object) -> dict[str, Any]:
    return {
        "id": "c",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "好" * 300} | message, "finish_reason": "stop"}],
    }


LONG = "data:image/png;base64," + "A" * 3_000
HOLDING: list[dict[str, Any]] = [
    whole(audio={"data": "AAAA"}),
    whole(images=[]),
    whole(content=[{"type": "text", "text": "x"}]),
    whole(content="看 " + URL),
    whole(tool_calls=[{"function": {"name": "f", "arguments": LONG}}]),
    whole(reasoning_content=LONG),
    whole() | {"extra": 1},
    whole() | {"usage": {"deep": [LONG]}},
    whole() | {"model": LONG},
]


@pytest.mark.parametrize("answer", HOLDING)
@pytest.mark.parametrize("escaped", [False, True])
def test_where_there_may_be_files(answer: dict[str, Any], escaped: bool) -> None:
    raw = json.dumps(answer, ensure_ascii=escaped).replace("base64", "b\\u0061se64" if escaped else "base64").encode()
    assert may_hold_files(raw, json.loads(raw))


@pytest.mark.parametrize(
    "answer", [whole(), whole(content=None, tool_calls=[{"function": {"arguments": "{}"}}]), whole(content="x" * 9_000)]
)
def test_where_there_are_none(answer: dict[str, Any]) -> None:
    for escaped in (False, True):
        assert not may_hold_files(json.dumps(answer, ensure_ascii=escaped).encode(), answer)
