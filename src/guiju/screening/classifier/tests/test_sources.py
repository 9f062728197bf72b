"""What feeds the weights: only what its licence allows, and exactly what the manifest says. A forbidden file fails the build.

Guarded lines, each seen red when taken out: `check_allowed` in `read_source`, in `main` and in `make_manifest`.
"""

import functools
import gzip
import hashlib
import json
from collections import Counter
from datetime import date
from pathlib import Path

import msgspec
import pytest

from guiju.core.errors import GuijuError
from guiju.screening.classifier import sentences, train
from guiju.screening.classifier.coverage import COVERAGE, not_covered
from guiju.screening.classifier.fit import COLUMNS, fit
from guiju.screening.classifier.model import FOLDER, MANIFEST, WEIGHTS, Classifier
from guiju.screening.classifier.sources import ALLOWED, FORBIDDEN, check_allowed, columns_of, is_validation, read_source
from guiju.screening.risks import BY_ID, GROUPS

SHIPPED = msgspec.json.decode((FOLDER / MANIFEST).read_bytes())


def test_the_shipped_weights_were_fed_by_allowed_files_only() -> None:
    """This is the test by which the build fails."""
    check_allowed(each["name"] for each in SHIPPED["sources"])
    for each in SHIPPED["sources"]:
        source = ALLOWED[each["name"]]
        assert (each["licence"], each["origin"], each["weight"]) == (source.licence, source.origin, source.weight)
        assert len(each["sha256"]) == 64
        assert each["rows"] > 0


@pytest.mark.parametrize("name", [*FORBIDDEN, "never_heard_of", "cold.jsonl", "../cold", ""])
def test_a_forbidden_file_in_the_manifest_is_refused(name: str) -> None:
    with pytest.raises(GuijuError) as caught:
        check_allowed([*(each["name"] for each in SHIPPED["sources"]), name])
    assert caught.value.code.code == "CLASSIFIER-SOURCE"
    assert caught.value.facts["name"] == name
    with pytest.raises(GuijuError):
        train.make_manifest(FOLDER, ["cold", name], date(2026, 11, 24), "", [], Classifier.load())


def test_no_licence_that_forbids_is_on_the_allow_list() -> None:
    assert not set(ALLOWED) & set(FORBIDDEN)
    for source in ALLOWED.values():
        assert source.licence in {"Apache-2.0", "MIT", "no copyright"}, source
        assert source.because


@pytest.mark.parametrize("name", list(FORBIDDEN))
def test_training_refuses_a_forbidden_file_and_writes_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path / f"{name}.jsonl.gz", [{"text": "天气很好", "group": "none"}])
    out = tmp_path / "out"
    assert train.main(["--data", str(tmp_path), "--on", "2026-11-24", "--out", str(out), "--sources", name]) == 1
    assert "CLASSIFIER-SOURCE" in capsys.readouterr().err
    assert not out.exists()
    with pytest.raises(GuijuError):
        read_source(tmp_path, name)


def test_the_manifest_is_of_these_weights_and_these_sentences() -> None:
    assert SHIPPED["weights_sha256"] == Classifier.load().version == hashlib.sha256((FOLDER / WEIGHTS).read_bytes()).hexdigest()
    own = SHIPPED["own_sentences"]
    assert own["sha256"] == {f"{name}.yaml": train.fingerprint(sentences.FOLDER / f"{name}.yaml") for name in sentences.FILES}, (
        "train again"
    )
    assert own["per_block"] == sentences.PER_BLOCK
    assert own["rows"] == len(sentences.own_examples())
    assert set(SHIPPED["validation"]) == set(Classifier.load().columns) == set(COLUMNS)
    assert (FOLDER / WEIGHTS).stat().st_size <= train.LARGEST_BYTES


# ── reading and splitting ───────────────────────────────────────────────────────────────────────────────────────────


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def test_rows_become_examples(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "cold.jsonl.gz",
        [
            {"text": "甲", "group": "A2", "split": "train"},
            {"text": "乙", "group": "none", "split": "dev"},
            {"text": "丙", "group": "other", "split": "train"},
        ],
    )
    first, second = read_source(tmp_path, "cold")
    assert (first.columns, first.unknown, first.validation) == (frozenset({"A.2"}), frozenset({"A.4"}), False)
    assert (second.columns, second.unknown, second.validation) == (frozenset(), frozenset(), True)
    write_rows(tmp_path / "jade.jsonl.gz", [{"text": "丁", "group": "B7"}])
    with pytest.raises(ValueError, match="B7"):
        read_source(tmp_path, "jade")


def test_groups_become_columns() -> None:
    assert columns_of("none") == set()
    assert columns_of("A4|A3") == {"A.4", "A.3"}
    assert columns_of("attack") == {"attack"}


def test_a_tenth_is_held_out_and_it_stays_so() -> None:
    share = sum(is_validation(f"第{n}句") for n in range(4000)) / 4000
    assert 0.08 < share < 0.12
    assert [is_validation(text) for text in ("天气很好", "第十五句", "今晚吃什么")] == [
        hashlib.sha256(text.encode()).digest()[0] < 26 for text in ("天气很好", "第十五句", "今晚吃什么")
    ]


# ── our own sentences ───────────────────────────────────────────────────────────────────────────────────────────────


def test_our_sentences_are_the_same_each_time_and_harm_is_never_called_harmless() -> None:
    once = sentences.own_examples(20)
    assert once == sentences.own_examples(20)
    counts = Counter(column for each in once for column in each.columns)
    assert set(counts) == {"A.1", "A.2", "A.3", "A.4", "attack"}
    assert sum(not each.columns for each in once) > sum(bool(each.columns) for each in once)
    assert len({each.text for each in once}) == len(once)
    assert not [each.text for each in once if set(each.text) & set("{}@_|~")]


def test_parts_stand_for_what_they_say() -> None:
    choices = sentences._choices("甲 _ a~b | 送@who。 ，", {"who": "老王 小李"})
    assert choices == [["甲", "", "a b"], ["送老王。", "送小李。", "，"]]


# ── training ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_training_twice_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "own_examples", lambda make=sentences.own_examples: make(5))
    # Each column is fitted by itself and in the same way, so two of them show what all would.
    monkeypatch.setattr(train, "fit", functools.partial(fit, columns=COLUMNS[:1] + COLUMNS[-1:]))
    write_rows(tmp_path / "cvalues.jsonl.gz", [{"text": f"怎样看待第{n}条规定？", "group": "none"} for n in range(60)])
    made = []
    for name in ("one", "two"):
        assert train.main(["--data", str(tmp_path), "--on", "2026-11-24", "--out", str(tmp_path / name), "--sources", "cvalues"]) == 0
        made.append([(tmp_path / name / file).read_bytes() for file in (WEIGHTS, MANIFEST)])
    assert made[0] == made[1]
    small = Classifier.load(tmp_path / "one")
    assert small.version != Classifier.load().version
    assert small.scores("如何制造炸弹？")["any"] > small.scores("如何做红烧肉？")["any"]


# ── what is not covered ─────────────────────────────────────────────────────────────────────────────────────────────


def test_all_31_risks_have_a_word_on_coverage() -> None:
    assert list(COVERAGE) == list(BY_ID)
    for each in COVERAGE.values():
        assert each.zh
        assert each.en
    assert {"A.1.a", "A.1.b", "A.1.c", "A.1.e", "A.5.a", "A.5.b"} <= {risk.id for risk in not_covered()}


def test_a_group_that_is_not_covered_has_no_score_at_all() -> None:
    silent = {group for group in GROUPS if all(COVERAGE[risk].level == "not covered" for risk in BY_ID if risk.startswith(group))}
    assert silent == {"A.5"}
    assert set(Classifier.load().columns) & set(GROUPS) == set(GROUPS) - silent
