"""Mistakes on the command line are told in three parts, never in the words of Python.

Guarded lines: `is_known` in `records list`, and the except clause of `beijing_time`.
"""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.records.cli import app
from guiju.records.kinds import KIND_UNKNOWN, KINDS, is_known
from guiju.records.models import Hold
from guiju.records.times import TIME_UNREADABLE, beijing_time

HOLD = ["hold", "--subject", "u-1", "--reason", "案件需要", "--reference", "1"]


@pytest.mark.parametrize("kind", ["nokind", "gateway.answer.deliver", "gateway.", "."])
def test_a_kind_that_is_none_is_not_an_empty_list(data: DataFolder, kind: str) -> None:
    done = CliRunner().invoke(app, ["list", "--data", str(data.root), "--kind", kind])
    assert isinstance(done.exception, GuijuError)
    assert done.exception.code is KIND_UNKNOWN
    assert kind in str(done.exception)


def test_every_kind_and_every_beginning_of_whole_words_is_known() -> None:
    for kind in KINDS:
        words = kind.split(".")
        assert all(is_known(".".join(words[:length])) for length in (1, 2, 3))


@pytest.mark.parametrize("words", [["--since", "yesterday"], ["--until", "2026-13-01"], ["--since", "2026-11-24T25:00"]])
@pytest.mark.django_db
def test_a_time_that_is_none_sets_no_hold(data: DataFolder, words: list[str]) -> None:
    done = CliRunner().invoke(app, [*HOLD, *words, "--data", str(data.root)])
    assert isinstance(done.exception, GuijuError)
    assert done.exception.code is TIME_UNREADABLE
    assert words[1] in str(done.exception)
    assert not Hold.objects.exists()


def test_a_time_is_beijing_time_unless_it_says_otherwise() -> None:
    assert beijing_time("2026-11-24") == datetime(2026, 11, 23, 16, tzinfo=UTC)
    assert beijing_time(" 2026-11-24T09:00Z ") == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert beijing_time("") is None
