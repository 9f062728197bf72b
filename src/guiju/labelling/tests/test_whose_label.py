"""The one door for files: whose label a file leaves with, and what never leaves. Words and waivers: `test_publishing.py`."""

import pytest

from guiju.core.errors import GuijuError
from guiju.gateway.media.tests.made import png, wav
from guiju.labelling import FileLabel, first_label, read, write
from guiju.labelling.publishing import Order, publish
from guiju.labelling.values import Medium

CODE = "001191110102MACQD9K64010000"
OTHER = "001191310104MACE0YX63918020"


def order(medium: Medium | None = "picture", producer: str = CODE) -> Order:
    return Order(medium=medium, producer=producer, number="N-1")


def refusal(data: bytes, asked: Order) -> str:
    with pytest.raises(GuijuError) as caught:
        publish(data, asked)
    return caught.value.code.code


@pytest.mark.parametrize(("data", "medium"), [(png(), "picture"), (wav(), "sound"), (png(), None)])
def test_what_comes_without_a_label_is_the_services_own(data: bytes, medium: Medium | None) -> None:
    labelled, told = publish(data, order(medium))
    assert read(labelled) == first_label(CODE, "N-1") == told.label
    assert not told.kept
    assert told.explicit
    assert labelled != write(data, first_label(CODE, "N-1"))  # the words are in it, not the metadata alone


@pytest.mark.parametrize("data", [png(), wav()])
def test_a_label_of_another_stays_and_the_service_is_entered_beside_it(data: bytes) -> None:
    theirs = write(data, first_label(OTHER, "THEIRS"))
    labelled, told = publish(theirs, order(None))
    assert told.kept
    assert told.label == FileLabel(content_producer=OTHER, produce_id="THEIRS", content_propagator=CODE, propagate_id="N-1")
    assert read(labelled) == told.label


def test_a_label_of_the_services_own_is_written_anew() -> None:
    labelled, told = publish(write(png(), first_label(CODE, "OLD")), order())
    assert not told.kept
    assert read(labelled) == first_label(CODE, "N-1")


@pytest.mark.parametrize(
    ("data", "asked", "code"),
    [
        (wav(), order("picture"), "LABEL-UNEXPECTED"),
        (png(), order("film"), "LABEL-UNEXPECTED"),
        (png(), order(producer=""), "LABEL-VALUE"),
        (png(), order(producer="a name"), "LABEL-VALUE"),
        (b"", order(None), "LABEL-CONTAINER"),
        (b"<!doctype html><html></html>", order(), "LABEL-CONTAINER"),
        (bytes(1_000), order(None), "LABEL-CONTAINER"),
    ],
)
def test_what_does_not_leave(data: bytes, asked: Order, code: str) -> None:
    assert refusal(data, asked) == code


def test_a_picture_that_is_cut_does_not_leave() -> None:
    data = png(160, 120)
    for stop in range(0, len(data), max(len(data) // 40, 1)):
        assert refusal(data[:stop], order()).startswith("LABEL-")


def test_what_looks_like_a_label_and_cannot_be_read_does_not_leave() -> None:
    labelled = write(png(), first_label(OTHER, "THEIRS"))
    assert refusal(labelled.replace(b'"Label"', b'"Labe!"'), order()).startswith("LABEL-")
