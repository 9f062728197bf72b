"""A run of code stands for its text wherever it stands and however it is written; what is no text stands for none; all of it is bounded.

Guarded lines, each seen red when changed: the four shifts in `decode`, `_TO_STANDARD`, the joined lines in `_decoded_in` and the single
ones after them, `_is_one_code`, `DEEPEST`, the stride in `may_be_encoded`, the share that can be read in `readable`.
"""

import base64
import hashlib
import re
import time
import tracemalloc
import urllib.parse
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.screening.spellings.encoded import RUN_CHARACTERS, decoded_runs, may_be_encoded

TEXT = "明天下午三点在老地方见面，别迟到"
_RUN = re.compile("[A-Za-z0-9+/_%-]{16}")


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


WAYS: dict[str, Callable[[str], str]] = {
    "base64": b64,
    "without padding": lambda text: b64(text).rstrip("="),
    "URL-safe": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "with escaped signs": lambda text: urllib.parse.quote(b64(text), safe=""),
    "in lines": lambda text: base64.encodebytes(text.encode() * 3).decode(),
    "in lines of Windows": lambda text: base64.encodebytes(text.encode() * 3).decode().replace("\n", "\r\n"),
    "hexadecimal": lambda text: text.encode().hex(),
    "capital hexadecimal": lambda text: text.encode().hex().upper(),
    "per cent": percent,
    "lower per cent": lambda text: percent(text).lower(),
    "base64 of base64": lambda text: b64(b64(text)),
    "base64 of hexadecimal": lambda text: b64(text.encode().hex()),
    "per cent of base64": lambda text: percent(b64(text)),
}


def texts_in(text: str) -> str:
    return "\n".join(run.text for run in decoded_runs(text))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_of_writing_is_read_at_its_place(way: Callable[[str], str]) -> None:
    run = way(TEXT).rstrip("\r\n")
    for before, behind in (("", ""), ("请看：", "。谢谢"), ("a b\n", "\nc d"), ("(", ")"), ("key=", "&x=1")):
        text = f"{before}{run}{behind}"
        assert may_be_encoded(text)
        assert TEXT in texts_in(text)
        found = next(each for each in decoded_runs(text) if TEXT in each.text)
        assert found.start == len(before)
        assert text[found.start : found.end].removesuffix("\nc") == run  # a line that follows may belong to it


@pytest.mark.parametrize(("before", "times"), [("", 1), ("x", 1), ("xy", 1), ("xyz", 1), ("--", 1), ("wxyz", 2), ("base64_", 2)])
def test_letters_right_before_a_run_do_not_hide_it(before: str, times: int) -> None:
    assert TEXT in texts_in(f"看{before}{b64(TEXT * times)}")


def test_lines_that_are_no_one_code_are_read_one_by_one() -> None:
    text = f"{'q' * 60}\n{b64(TEXT)}\n{hashlib.sha256(b'').hexdigest()}"
    [run] = decoded_runs(text)
    assert (run.text, run.start, run.end) == (TEXT, 61, 61 + len(b64(TEXT)))


def test_a_long_code_does_not_hide_a_short_one_on_the_next_line() -> None:
    long = b64("今天天气很好，我们去公园里散步，看花，喝茶，下棋，聊天，听人唱戏，晚上再回家" * 14 + "a").rstrip("=")
    assert len(long) % 4
    for behind in ("", "\n" + long):
        assert TEXT in texts_in(f"{long}\n{b64(TEXT)}{behind}")


def test_two_deep_and_no_deeper() -> None:
    assert TEXT in texts_in(b64(b64(TEXT)))
    assert TEXT not in texts_in(b64(b64(b64(TEXT))))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "短",
        b64("你好吗")[:15],
        "internationalization_of_everything",
        "https://docs.example.org/en/latest/getting-started/index.html",
        str(uuid.UUID(int=2**127 + 12345)),
        hashlib.sha256(b"x").hexdigest(),
        "-" * 80,
        "_" * 80,
        "====" * 20,
        "%%%%" * 20,
        "0" * 40,
        "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 8).decode(),
        "今天天气很好" * 50,
        "\ud800" * 40,
    ],
)
def test_what_is_no_text_in_code_stands_for_none(text: str) -> None:
    assert list(decoded_runs(text)) == []


def test_a_few_bytes_that_cannot_be_read_hide_nothing_and_many_make_it_none() -> None:
    def coded(unreadable: int) -> str:
        return base64.b64encode((TEXT * 2).encode() + b"\xff" * unreadable).decode()

    readable = len(TEXT) * 2
    assert TEXT in texts_in(coded(readable // 10))
    assert texts_in(coded(readable // 4)) == ""


@settings(max_examples=300, deadline=None)
@given(st.text(), st.sampled_from(list(WAYS.values())), st.text("春夏秋冬abcXYZ019 +/=_-%，。\n", min_size=12, max_size=60), st.text())
def test_whatever_stands_around_a_run_it_is_read(before: str, way: Callable[[str], str], hidden: str, behind: str) -> None:
    text = f"{before} {way(hidden)} {behind}"
    runs = list(decoded_runs(text))
    for run in runs:
        assert 0 <= run.start < run.end <= len(text)
        assert may_be_encoded(text)
    assert sum(len(run.text) for run in runs) <= 4 * len(text)
    assert hidden in "\n".join(run.text for run in runs)


@settings(max_examples=300, deadline=None)
@given(st.text("aB9+/_%-中，🙂\n ", max_size=90))
def test_the_quick_test_is_exact(text: str) -> None:
    assert may_be_encoded(text) is (_RUN.search(text) is not None)


@pytest.mark.parametrize("size", range(RUN_CHARACTERS - 1, RUN_CHARACTERS + 2))
@pytest.mark.parametrize("before", range(40))
def test_the_quick_test_sees_a_run_at_every_place(before: int, size: int) -> None:
    assert may_be_encoded("天" * before + "a" * size + "天" * 40) is (size >= RUN_CHARACTERS)


HOSTILE: dict[str, Callable[[int], str]] = {
    "a picture": lambda size: base64.b64encode(hashlib.shake_128(b"p").digest(size * 3 // 4)).decode(),
    "one letter": lambda size: "a" * size,
    "one digit": lambda size: "1" * size,
    "a long text": lambda size: b64("今天天气很好" * (size // 24)),
    "base64 of base64": lambda size: b64(b64("今天天气很好" * (size // 32))),
    "runs": lambda size: (b64(TEXT) + " ") * (size // 70),
    "short lines": lambda size: "abcdefghijklmnopq\n" * (size // 18),
    "line ends": lambda size: "a" * 16 + "\n" * size,
    "per cent": lambda size: "%E5%A4%A9" * (size // 9),
    "signs of per cent": lambda size: "%" * size,
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_ten_million_characters_take_bounded_time_and_memory(make: Callable[[int], str]) -> None:
    text = make(10_000_000)
    begun = time.process_time()
    assert sum(len(run.text) for run in decoded_runs(text)) <= 4 * len(text)
    assert time.process_time() - begun < 8
    text = text[:1_000_000]
    tracemalloc.start()
    for _ in decoded_runs(text):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * len(text)
