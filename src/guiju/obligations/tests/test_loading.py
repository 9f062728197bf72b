"""The catalogue is complete and consistent, and a mistake in it is told with its file and line."""

from datetime import date
from importlib import resources

import pytest

from guiju.core.errors import GuijuError
from guiju.obligations.loading import CATALOGUE_INVALID, FORMS, differences, load_catalogue, shipped_catalogue
from guiju.records.kinds import KINDS

TODAY = date(2026, 11, 29)


@pytest.fixture
def files() -> dict[str, bytes]:
    folder = resources.files("guiju.obligations").joinpath("catalogue")
    return {name: folder.joinpath(f"{name}.yaml").read_bytes() for name in FORMS}


def _mistakes(files: dict[str, bytes]) -> list[str]:
    with pytest.raises(GuijuError) as told:
        load_catalogue(files)
    assert told.value.code is CATALOGUE_INVALID
    return [str(each) for each in told.value.facts["mistakes"]]


def _line_of(files: dict[str, bytes], name: str, text: str) -> int:
    return files[name].decode().split(text)[0].count("\n") + 1


def test_every_article_has_an_entry_and_every_entry_both_languages() -> None:
    catalogue = shipped_catalogue()
    assert {each[-1].article for each in catalogue.obligations.values()} == set(range(1, 25))
    for versions in catalogue.obligations.values():
        for each in versions:
            for words in (each.title, each.duty, each.trigger, each.evidence, each.person, each.now, each.missing):
                assert words is None or (words.zh and words.en), each.id
                # Latin names stand in Chinese texts; Chinese in an English one is a translation that was forgotten.
                assert words is None or not any("\u4e00" <= character <= "\u9fff" for character in words.en), each.id


def test_what_records_are_evidence_for_is_in_the_catalogue() -> None:
    named = {obligation for kind in KINDS.values() for obligation in kind.obligations}
    assert named <= set(shipped_catalogue().obligations)


def test_a_duty_is_in_force_from_its_day() -> None:
    catalogue = shipped_catalogue()
    assert "GAI-12.2" not in catalogue.in_force(date(2025, 8, 31))
    assert "GAI-12.2" in catalogue.in_force(date(2025, 9, 1))
    assert not catalogue.in_force(date(2023, 8, 14))


def test_a_misspelt_key_is_told_with_its_line(files: dict[str, bytes]) -> None:
    files["clocks"] = files["clocks"].replace(b"amount: 4, unit: hours", b"amount: 4, unit: hour", 1)
    line = _line_of(files, "clocks", "unit: hour,")
    assert _mistakes(files) == [f"clocks.yaml line {line}: Invalid enum value 'hour' (at $.limits[0].unit)"]


def test_a_name_without_an_entry_is_told(files: dict[str, bytes]) -> None:
    files["chapter-3"] = files["chapter-3"].replace(b"clocks: [CLK-LOG]", b"clocks: [CLK-LOGS]", 1)
    line = _line_of(files, "chapter-3", "- id: GAI-9.3")
    assert _mistakes(files) == [f"chapter-3.yaml line {line}: GAI-9.3: there is no CLK-LOGS in clocks.yaml"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("{law: CSL, at: 13(2)}", "{law: CLS, at: 13(2)}", "GAI-4.1: there is no statute CLS"),
        ("applies: [{public: ['no']}]", "applies: [{public: ['never']}]", "GAI-2.2: the fact public has no answer never"),
        ("applies: [{public: ['no']}]", "applies: [{open: ['no']}]", "GAI-2.2: there is no fact open"),
        ("- id: GAI-2.2\n  article: 2", "- id: GAI-2.2\n  article: 3", "GAI-2.2: the id must be GAI-3.<number>"),
        ("- id: GAI-4.7\n  article: 4", "- id: GAI-40.7\n  article: 40", "GAI-40.7: the Measures have no Article 40 (chapters.yaml)"),
        ("- id: GAI-4.7\n", "- id: GAI-4.6\n", "GAI-4.6: version 1 does not follow 1"),
        ("  package: users\n", "", "GAI-4.7: a duty of providers names the package that answers for it"),
    ],
)
def test_a_contradiction_is_told(files: dict[str, bytes], old: str, new: str, reason: str) -> None:
    changed = files["chapter-1"].replace(old.encode(), new.encode(), 1)
    assert changed != files["chapter-1"]
    assert any(each.endswith(reason) for each in _mistakes({**files, "chapter-1": changed}))


def test_a_figure_of_the_law_stands_in_a_law(files: dict[str, bytes]) -> None:
    old = b"amount: 30, unit: minutes, basis: policy"
    files["clocks"] = files["clocks"].replace(old, old.replace(b"policy", b"law"), 1)
    assert _mistakes(files)[0].endswith("CLK-MINOR-30M: a limit of the law names a law, regulation or rule as its source")


def test_a_figure_that_is_not_confirmed_is_no_limit_of_the_law(files: dict[str, bytes]) -> None:
    old = b"unit: days, basis: policy, mark: unconfirmed"
    files["clocks"] = files["clocks"].replace(old, old.replace(b"policy", b"law"), 1)
    assert _mistakes(files)[0].endswith("CLK-VUL-2D: a limit that is not confirmed is a policy, not the law's")


@pytest.mark.parametrize("raw", [b"", b"a: b", b"- [", b"- \xff", b"- id: A\n  id: B", b"- " + b"[" * 5000])
def test_what_is_no_list_of_entries_is_refused(files: dict[str, bytes], raw: bytes) -> None:
    assert _mistakes({**files, "penalties": raw})[0].startswith("penalties.yaml line ")


def test_an_amended_law_is_a_new_version_with_a_difference(files: dict[str, bytes]) -> None:
    entry = files["chapter-5"].decode().split("- id: GAI-23.2")[1].split("- id: GAI-24.0")[0]
    later = "- id: GAI-23.2" + entry.replace(
        "since: 2023-08-15", "since: 2027-01-01\n  version: 2\n  changed: {zh: 试点扩大, en: The pilot grew}"
    ).replace("en: Any foreign equity", "en: Foreign equity over half")
    catalogue = load_catalogue({**files, "chapter-5": files["chapter-5"] + later.encode()})
    first, second = catalogue.obligations["GAI-23.2"]
    assert differences(first, second) == {"trigger": ("zh: 存在外资\nen: Any foreign equity", "zh: 存在外资\nen: Foreign equity over half")}
    assert catalogue.in_force(date(2026, 12, 31))["GAI-23.2"] is first
    assert catalogue.in_force(date(2027, 1, 1))["GAI-23.2"] is second
    assert catalogue.version != shipped_catalogue().version


def test_a_later_version_says_what_changed(files: dict[str, bytes]) -> None:
    entry = files["chapter-5"].decode().split("- id: GAI-23.2")[1].split("- id: GAI-24.0")[0]
    silent = "- id: GAI-23.2" + entry.replace("since: 2023-08-15", "since: 2027-01-01\n  version: 2")
    assert _mistakes({**files, "chapter-5": files["chapter-5"] + silent.encode()})[0].endswith(
        "GAI-23.2: a later version begins later, and `changed` says what is new"
    )
