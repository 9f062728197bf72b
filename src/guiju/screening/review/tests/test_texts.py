"""What a reviewer is shown: marks stand where the hits are, personal information is hidden, the rest stays sealed.

Guarded: `mask_all` in `_window`, its margin, and which paths are shown anyway.
"""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from guiju.screening.review.texts import SHOWN_CHARACTERS, Shown, find_quote, texts_shown

PHONE = "13800138000"


def sealed(request: object, answer: object = None) -> bytes:
    content: dict[str, Any] = {"request": json.dumps(request, ensure_ascii=False).encode()}
    if answer is not None:
        content["answer"] = answer if isinstance(answer, (dict, bytes)) else json.dumps(answer).encode()
    return msgspec.msgpack.encode(content)


def asked(*contents: object) -> dict[str, Any]:
    return {"model": "m", "user": PHONE, "messages": [{"role": "user", "content": content} for content in contents]}


def at(path: str, start: int, end: int, rule: str = "kw-1", direction: str = "input") -> dict[str, Any]:
    return {"path": path, "start": start, "end": end, "rule": rule, "direction": direction}


def test_earlier_turns_are_shown_only_where_something_hit() -> None:
    content = sealed(asked("第一句", "第二句", [{"type": "text", "text": "第三句"}, {"type": "text", "text": "第四句"}]))
    assert [each.text for each in texts_shown([content], [])] == ["第三句", "第四句"]
    shown = texts_shown([content], [at("messages[0].content", 0, 2)])
    assert [each.text for each in shown] == ["第一句", "第三句", "第四句"]
    assert [(piece.text, piece.rules) for piece in shown[0].pieces] == [("第一", "kw-1"), ("句", "")]


def test_of_an_order_for_a_picture_the_words_are_shown_and_not_who_asks() -> None:
    content = sealed({"model": "m", "user": PHONE, "prompt": "画违禁的猫"}, {"data[0].revised_prompt": "一只猫"})
    shown = texts_shown([content], [at("prompt", 1, 3)])
    assert [(each.direction, each.path, each.text) for each in shown] == [
        ("input", "prompt", "画违禁的猫"), ("output", "data[0].revised_prompt", "一只猫"),
    ]  # fmt: skip
    assert [(piece.text, piece.rules) for piece in shown[0].pieces] == [("画", ""), ("违禁", "kw-1"), ("的猫", "")]


def test_a_long_text_is_shown_around_its_hit_and_a_number_at_the_cut_is_hidden_whole() -> None:
    text = "好" * 60_000 + "违禁" + "好" * (SHOWN_CHARACTERS - 2_000 - 2 - 5) + PHONE + "好" * 9_000
    (shown,) = texts_shown([sealed(asked(text))], [at("messages[0].content", 60_000, 60_002)])
    assert shown.is_cut
    assert (len(shown.text), shown.begins, shown.whole_characters) == (SHOWN_CHARACTERS, 58_000, len(text))
    assert [piece.text for piece in shown.pieces if piece.rules] == ["违禁"]
    assert not any(sign.isdigit() and sign not in PHONE[:3] for sign in shown.text)
    assert shown.text.endswith("138**")


def test_overlapping_hits_and_places_that_are_none() -> None:
    hits = [at("messages[0].content", 0, 4), at("messages[0].content", 2, 6, "kw-2"), at("messages[0].content", 90, 99), at("gone", 0, 1)]
    (shown,) = texts_shown([sealed(asked("一二三四五六七"))], hits)
    assert [(piece.text, piece.rules) for piece in shown.pieces] == [("一二三四", "kw-1, kw-2"), ("五六", "kw-2"), ("七", "")]


def test_a_hit_over_several_texts_is_marked_in_each() -> None:
    request = asked("想找违", "中间", "禁词条吗")
    shown = texts_shown([sealed(request)], [at("messages[0].content + messages[2].content", 2, 3)])
    assert [[(piece.text, piece.rules) for piece in each.pieces] for each in shown] == [
        [("想找", ""), ("违", "kw-1")],
        [("禁词条", "kw-1"), ("吗", "")],
    ]
    whole = {"choices": [{"message": {"role": "assistant", "content": "词条。"}}]}
    over = at("messages[2].content + choices[0].message.content", 0, 2, direction="output")
    shown = texts_shown([sealed(request, msgspec.json.encode(whole))], [over])
    assert [(each.direction, [piece.text for piece in each.pieces if piece.rules]) for each in shown] == [
        ("input", ["禁词条吗"]),
        ("output", ["词条"]),
    ]


def test_content_of_any_kind_is_shown_or_left_out_and_fails_nothing() -> None:
    for content in (
        b"",
        b"\xff\xfe",
        b"plain words",
        msgspec.msgpack.encode({"request": b"{not json"}),
        sealed({"messages": 7}),
        sealed([]),
    ):
        texts_shown([content], [at("messages[0].content", 0, 1)])
    assert [each.text for each in texts_shown([msgspec.msgpack.encode({"request": b"{not json"})], [])] == ["{not json"]
    streamed = texts_shown([sealed(asked("问")), msgspec.msgpack.encode({"answer": {"choices[0].message.content": "答"}})], [])
    assert [(each.direction, each.text) for each in streamed] == [("input", "问"), ("output", "答")]


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=5))
def test_pieces_are_the_text_whole(text: str, places: list[tuple[int, int]]) -> None:
    text = text.encode("utf-8", "replace").decode()
    hits = [at("messages[0].content", start, end) for start, end in places]
    for shown in texts_shown([sealed(asked(text))], hits):
        assert "".join(piece.text for piece in shown.pieces) == shown.text
        assert len(shown.text) == len(text)


def test_quoted_words_are_found_where_they_stand() -> None:
    texts = [Shown("input", "a", "一二三", 0, 3, ()), Shown("output", "b", "二三四", 100, 200, ())]
    assert find_quote(texts, " 二三 ") == ("output", "b", 100, 102)
    assert find_quote(texts, "一") == ("input", "a", 0, 1)
    assert find_quote(texts, "五") is None
    assert find_quote(texts, "  ") is None


def test_an_answer_in_parts_is_shown() -> None:
    """Red without `text` in `_PROSE`."""
    parts = [{"type": "text", "text": "词"}, {"type": "text", "text": "条。"}]
    answer = {"choices": [{"message": {"role": "assistant", "content": parts}}]}
    over = at("choices[0].message.content[0].text + choices[0].message.content[1].text", 0, 1, direction="output")
    for hits, marked in (([], [[], []]), ([over], [["词"], ["条"]])):
        shown = texts_shown([sealed(asked("问"), msgspec.json.encode(answer))], hits)[1:]
        assert [[piece.text for piece in each.pieces if piece.rules] for each in shown] == marked
