"""The line of a mistake is exact, whatever a person writes around it."""

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.toml_lines import Path, find_lines

HARD = '''# [not.a.table] = "x"
title = "a # b = [c]"   # d = "e"
"quoted key"."with \\"quote" . 'li.teral' = 1

[server] # [x]
port = 8000
note = """
port = 1
[console]
\\""" still "" inside
"""
raw = \'\'\'
[upstream]
'' \'\'\'
ends = """x"""""
date = 1979-05-27 07:32:00
point = { x = 1, "y.z" = { w = [1, 2] }, last = true }

[[upstream]]
name = "one"
models = [
  "a", # "b"
  # "c",
  "d",
]

  [upstream.rename]
  "gpt-4.1" = "x"
[[upstream]]
name = "two"
rename."a.b" = "y"
[[service]]
[service.policy]
on_input."A.1" = "refuse"
on_input."*" = "deliver"
[a.b.c]
[a]
z = [[1,
 2], [ ], [
 3]]
'''


def test_every_key_of_a_hard_text() -> None:
    tomllib.loads(HARD)
    wanted: dict[Path, int] = {
        ("title",): 2,
        ("quoted key",): 3,
        ("quoted key", 'with "quote', "li.teral"): 3,
        ("server",): 5,
        ("server", "port"): 6,
        ("server", "note"): 7,
        ("server", "raw"): 12,
        ("server", "ends"): 15,
        ("server", "date"): 16,
        ("server", "point", "y.z", "w", 1): 17,
        ("server", "point", "last"): 17,
        ("upstream", 0): 19,
        ("upstream", 0, "models", 0): 22,
        ("upstream", 0, "models", 1): 24,
        ("upstream", 0, "rename"): 27,
        ("upstream", 0, "rename", "gpt-4.1"): 28,
        ("upstream", 1): 29,
        ("upstream", 1, "name"): 30,
        ("upstream", 1, "rename", "a.b"): 31,
        ("service", 0, "policy", "on_input", "A.1"): 34,
        ("service", 0, "policy", "on_input", "*"): 35,
        ("a", "b", "c"): 36,
        ("a",): 37,
        ("a", "z", 0, 1): 39,
        ("a", "z", 2, 0): 40,
    }
    found = find_lines(HARD)
    assert {path: found.get(path) for path in wanted} == wanted


def test_carriage_returns_are_no_second_line() -> None:
    assert find_lines("a = 1\r\n\r\n[b]\r\nc = '''\r\n'''\r\nd = 2\r\n")[("b", "d")] == 6


KEYS = st.text(st.sampled_from("ab\"'\\.#=[]\n é中"), min_size=1, max_size=4)
TEXTS = st.text(st.sampled_from("ab\"'\\#=[]{},\n é中"), max_size=8)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if c in '"\\\n' else c for c in text) + '"'


def _long(text: str) -> str:
    return '"""\n' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""'


VALUES = st.recursive(
    st.one_of(st.integers(0, 99).map(str), TEXTS.map(_quoted), TEXTS.map(_long), st.just("'[{#'"), st.just("1.5e3"), st.just("true")),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[ # ]\n" + ",\n".join(items) + "\n]"),
    max_leaves=4,
)


@given(st.lists(st.tuples(st.lists(KEYS, min_size=1, max_size=2), st.integers(0, 2), VALUES), max_size=6))
@settings(max_examples=150, deadline=None)
def test_lines_of_any_text_and_every_path_it_has(entries: list[tuple[list[str], int, str]]) -> None:
    lines: list[str] = []
    wanted: dict[Path, int] = {}
    for place, (names, gap, value) in enumerate(entries):
        keys = [f"k{place}", *names]
        lines += ["# x = 1"] * gap
        wanted[("t", place, *keys)] = len(lines) + 2
        lines += ["[[t]]", *f"{keys[0]} . {'.'.join(map(_quoted, keys[1:]))} = {value}".split("\n")]
    text = "\n".join(lines)
    found = find_lines(text)
    assert {path: found.get(path) for path in wanted} == wanted
    assert set(_paths(tomllib.loads(text), ())) <= set(found)


def _paths(value: Any, path: Path) -> list[Path]:
    items: list[tuple[str | int, Any]] = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [step for key, inner in items for step in [(*path, key), *_paths(inner, (*path, key))]]
