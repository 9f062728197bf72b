"""What arrives as bytes comes out with canonical metadata, or is kept aside: a float nowhere gets into a record.

Guarded line: the search for the marks of floats in `read_entry`; without it a float is recorded as JSON prints it.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.core.canonical import canonical_json
from guiju.records.entry import encode_entry
from guiju.records.recorder.incoming import DAMAGED, aside, incoming, read_entry
from guiju.records.tests.site import entry

PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(metadata=st.dictionaries(st.text(), PLAIN, max_size=4), content=st.binary(max_size=40))
def test_metadata_without_floats_is_canonical_json(metadata: dict[str, object], content: bytes) -> None:
    said = msgspec.structs.replace(entry(content=content), metadata=metadata)
    assert read_entry(encode_entry(said)) == (said, canonical_json(metadata)) == incoming(said)


@given(number=st.floats(), before=PLAIN, content=st.binary(max_size=40))
def test_a_float_at_any_depth_is_kept_aside(number: float, before: Any, content: bytes) -> None:
    for metadata in ({"a": before, "z": number}, {"a": [before, [number]]}, {"a": {"b": {"c": number}}, "z": before}):
        raw = encode_entry(msgspec.structs.replace(entry(content=content), metadata=metadata))
        kept, told = read_entry(raw)
        assert (kept.kind, kept.content) == (DAMAGED, raw)
        assert msgspec.json.decode(told)["size_bytes"] == len(raw)


def test_bytes_that_look_like_a_float_are_none() -> None:
    said = entry(content=b"\xcb" * 9, note="ʋ", number=0xCBCB)
    assert read_entry(encode_entry(said)).entry == said


def test_an_entry_with_more_behind_its_content_hides_no_float() -> None:
    raw = msgspec.msgpack.encode([*msgspec.to_builtins(entry(number=1.5, content=bytes(64))), bytes(200)])
    assert read_entry(raw).entry.kind == DAMAGED


@pytest.mark.parametrize("column", ["service", "actor", "subject"])
def test_a_name_fits_its_column(column: str) -> None:
    for name, fits in (("x" * 200, True), ("x" * 201, False), ("x\0", False), ("", True)):
        kept = read_entry(encode_entry(msgspec.structs.replace(entry(), **{column: name}))).entry
        assert (kept.kind != DAMAGED) == fits, name


def test_what_is_kept_aside_is_whole() -> None:
    kept, told = aside("because", b"raw bytes", segment="s")
    assert (kept.kind, kept.content, kept.actor) == (DAMAGED, b"raw bytes", "recorder")
    assert told == canonical_json({"reason": "because", "segment": "s", "size_bytes": 9})
