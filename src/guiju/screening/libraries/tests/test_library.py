"""The keyword library says every mistake with its line, loads all or nothing, and gives back what it was given.

Guarded lines: `_problems` (each `yield`), the `seen` table and the `before` line count in `library.py`.
"""

import csv
import io
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.screening.libraries.library import (
    COLUMNS,
    LATER_COLUMNS,
    LIBRARY_INVALID,
    TERM_CHARACTERS,
    Library,
    Problem,
    parse_csv,
    parse_yaml,
    starter_library,
)
from guiju.screening.values import LibraryEntry

HEADER = "term,risk,severity,direction,exceptions,source,reviewer,reviewed_on,note\n"


def problems(raw: bytes | str, yaml: bool = False) -> tuple[Problem, ...]:
    body = raw.encode() if isinstance(raw, str) else raw
    with pytest.raises(GuijuError) as refused:
        (parse_yaml if yaml else parse_csv)(body, "词库")
    assert refused.value.code is LIBRARY_INVALID
    found: tuple[Problem, ...] = refused.value.facts["problems"]
    assert all(problem.reason_zh and problem.reason_en for problem in found)
    return found


def places(raw: bytes | str, yaml: bool = False) -> list[tuple[int, str]]:
    return [(problem.line, problem.column_name) for problem in problems(raw, yaml)]


def refused(row: str) -> list[tuple[int, str]]:
    return places(HEADER + row)


MISTAKES = [
    ("赌,A.1.h,,,,,,,", [(2, "term")]),
    (",A.1.h,,,,,,,", [(2, "term")]),
    ("。。。,A.1.h,,,,,,,", [(2, "term")]),
    ("\u200b赌\u200b,A.1.h,,,,,,,", [(2, "term")]),
    ("毒" * (TERM_CHARACTERS + 1) + ",A.1.h,,,,,,,", [(2, "term")]),
    ("㍿" * (TERM_CHARACTERS // 4 + 1) + ",A.1.h,,,,,,,", [(2, "term")]),
    ("赌博,A.1.z,,,,,,,", [(2, "risk")]),
    ("赌博,,,,,,,,", [(2, "risk")]),
    ("赌博,A.1,,,,,,,", [(2, "risk")]),
    ("赌博,A.1.h,BLOCK,,,,,,", [(2, "severity")]),
    ("赌博,A.1.h,,out,,,,,", [(2, "direction")]),
    ("赌....博,A.1.h,,,,,,,", [(2, "term")]),
    ("赌博,A.1.h,,,赌,,,,", [(2, "exceptions")]),
    ("赌博,A.1.h,,,反....赌博,,,,", [(2, "exceptions")]),
    ("赌博,A.1.h,,,赌博,,,,", [(2, "exceptions")]),
    ("赌博,A.1.h,,,赌 博。,,,,", [(2, "exceptions")]),
    ("赌博,A.1.h,,,赌博罪|毒品罪,,,,", [(2, "exceptions")]),
    ("赌博,A.1.h,,,赌博" + "罪" * TERM_CHARACTERS + ",,,,", [(2, "exceptions")]),
    ("赌博,A.1.h,,,,,,,,多", [(2, "")]),
    ("赌,A.9.z,high,up,毒,,,,", [(2, "term"), (2, "risk"), (2, "severity"), (2, "direction"), (2, "exceptions")]),
]


@pytest.mark.parametrize(("row", "expected"), MISTAKES, ids=[str(number) for number in range(len(MISTAKES))])
def test_each_mistake_is_named_with_its_line_and_column(row: str, expected: list[tuple[int, str]]) -> None:
    assert refused(row + "\n") == expected


def test_all_mistakes_are_named_and_nothing_is_loaded() -> None:
    assert refused("赌博,A.1.h,,,,,,,\n赌,A.1.h,,,,,,,\n毒品,A.9.z,,,,,,,\n") == [(3, "term"), (4, "risk")]


def test_lines_are_counted_through_quoted_line_ends_and_blank_lines() -> None:
    raw = HEADER + '赌博,A.1.h,,,,"刑法\n第 303 条\n",,,\n\n赌,A.1.h,,,,,,,\n'
    assert places(raw) == [(6, "term")]
    assert places(raw.replace("\n", "\r\n")) == [(6, "term")]
    assert places(raw.replace("\n", "\r")) == [(6, "term")]


@pytest.mark.parametrize(
    ("again", "line"),
    [
        ("赌博,A.1.h,,,,,,,", 3),
        ("賭博,A.1.h,,,,,,,", 3),
        ("赌·博,A.1.h,,,,,,,", 3),
        ("赌\u200b博,A.1.h,flag,,,,,,", 3),
        ("赌博,A.1.h,,both,,,,,", 3),
    ],
)
def test_rows_that_fold_to_the_same_are_one_too_many(again: str, line: int) -> None:
    found = problems(HEADER + "赌博,A.1.h,,,,,,,\n" + again + "\n")
    assert [(problem.line, problem.column_name) for problem in found] == [(line, "term")]
    assert "2" in found[0].reason_zh
    assert "line 2" in found[0].reason_en


def test_the_same_term_under_another_risk_or_direction_is_another_row() -> None:
    library = parse_csv((HEADER + "赌博,A.1.h,,,,,,,\n赌博,A.4.a,,,,,,,\n赌博,A.1.h,,input,,,,,\n").encode())
    assert len({entry.id for entry in library.entries}) == 3
    assert library.count_by_risk() == {"A.1.h": 2, "A.4.a": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"term\n",
        b"risk\n",
        "词条,风险\n赌博,A.1.h\n".encode(),
        b"term,risk,colour\n",
        b"term,risk,term\n",
        b"term;risk\n",
        (HEADER + "赌博\n").encode("gb18030"),
        HEADER.encode("utf-16"),
        b"\xff\xfe\x00",
    ],
)
def test_a_file_that_is_no_library_is_refused_at_its_first_line(raw: bytes) -> None:
    assert problems(raw)[0].line in (1, 2)


def test_the_line_that_is_not_utf_8_is_named() -> None:
    assert places((HEADER + "赌博,A.1.h\n").encode() + "毒品".encode("gb18030")) == [(3, "")]
    assert places("- term: 赌博\n".encode() + b"  risk: \xff\n", yaml=True) == [(2, "")]


def test_an_open_quotation_mark_does_not_swallow_the_rest_in_silence() -> None:
    rows = "".join(f"词条{number},A.1.h,,,,,,,\n" for number in range(100))
    assert places(HEADER + '"赌博,A.1.h,,,,,,,\n' + rows)[0][0] == 2


@pytest.mark.parametrize(("raw", "yaml"), [(HEADER, False), (HEADER + "\n,,,,\n", False), ("", True), ("[]", True), ("# 空\n", True)])
def test_a_library_without_a_term_is_refused(raw: str, yaml: bool) -> None:
    """Guarded line: `if not rows` of `make_library`."""
    (found,) = problems(raw, yaml)
    assert (found.line, found.reason_en) == (1, "holds no term: with it in force nothing would be found")
    assert parse_csv(HEADER.encode(), kept=True).entries == ()  # one that an earlier release took is still read


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("term,rsik", [("rsik", "there is no column 'rsik'; did you mean risk?")]),
        ("Term,risk", [("Term", "there is no column 'Term'; did you mean term?")]),
        ("词条,风险", [("词条", "there is no column '词条'; did you mean term?"), ("风险", "there is no column '风险'; did you mean risk?")]),
        ("term,risk,term", [("term", "the header names the column 'term' twice")]),
        ("term,risk,", [("", "column 3 has no name in the header")]),
        ("risk,reviewd on", [("reviewd on", "there is no column 'reviewd on'; did you mean reviewed_on?"), ("term", "the header lacks the column 'term'")]),
    ],
)  # fmt: skip
def test_the_header_is_told_by_the_column_that_is_wrong(header: str, told: list[tuple[str, str]]) -> None:
    """Guarded line: the loop of `header_problems`; `meant` keeps quiet about what follows from it."""
    found = problems(header + "\n赌博,A.1.h\n")
    assert [(problem.column_name, problem.reason_en) for problem in found] == told
    assert "是否想写 risk" in problems("term,rsik\n")[0].reason_zh


def test_a_column_that_is_like_none_names_those_that_there_are() -> None:
    (found,) = problems("term,risk,colour\n")
    assert found.reason_en == f"there is no column 'colour'; use {', '.join(COLUMNS)}"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("- {trm: 赌博, risk: A.1.h}", ["there is no key 'trm'; did you mean term?"]),
        ("- trm: 赌博\n  risk: B.9", ["there is no key 'trm'; did you mean term?", "'B.9' is none of the 31 risks (such as A.1.f)"]),
        ("- {term: 赌博, risk: A.1.h, note: {a: b}}", ["the value of the key 'note' is nested"]),
        ("- {term: 赌博, term: 毒品, risk: A.1.h}", ["the key 'term' stands twice"]),
        ("- {term: '', risk: A.1.h, spellings: pinyin}", ["the term is empty"]),
        ("- {risk: A.1.h}", ["the term is empty"]),
        ("- {term: 赌博}", ["the risk is empty (one of the 31, such as A.1.f)"]),
    ],
)
def test_an_entry_names_the_key_that_is_wrong_and_not_what_follows_from_it(entry: str, told: list[str]) -> None:
    """Guarded lines: the `mistakes` of `_yaml_rows` and how `make_library` leaves out absent columns for them; `the term is empty`."""
    assert [problem.reason_en for problem in problems(entry, yaml=True)] == told


def test_a_key_is_told_with_its_own_line() -> None:
    assert places("- term: 赌博\n  risk: A.1.h\n  nte: x\n", yaml=True) == [(3, "nte")]


def test_columns_may_stand_in_any_order_and_be_left_out() -> None:
    full = parse_csv((HEADER + "赌博,A.1.h,block,both,赌博罪|反赌博,,,,\n").encode())
    short = parse_csv("\ufeffexceptions , risk, direction,severity,term\r\n赌博罪|反赌博,A.1.h,both,block, 赌博 \r\n".encode())
    assert short.entries == full.entries
    assert short.version == full.version
    assert full.entries[0] == LibraryEntry(full.entries[0].id, "赌博", "A.1.h", "block", ("赌博罪", "反赌博"), "both")


def test_the_version_follows_the_content_and_not_the_order() -> None:
    one, two, three = "赌博,A.1.h,,,,,,,\n", "毒品,A.1.h,,,,,,,\n", "毒品,A.1.h,,,,刑法,,,\n"
    version = parse_csv((HEADER + one + two).encode()).version
    assert len(version) == 64
    assert parse_csv((HEADER + two + "\n" + one).encode()).version == version
    assert parse_csv((HEADER + one + three).encode()).version != version
    assert parse_csv((HEADER + one).encode()).version != version


def test_what_goes_in_comes_out() -> None:
    starter = starter_library()
    again = parse_csv(starter.csv)
    assert again == Library(starter.version, again.entries, starter.csv)
    assert {entry.id: entry for entry in again.entries} == {entry.id: entry for entry in starter.entries}
    written = list(csv.DictReader(io.StringIO(starter.csv.decode(), newline="")))
    assert tuple(written[0]) == tuple(name for name in COLUMNS if name not in LATER_COLUMNS or name in written[0])


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.sampled_from("赌毒a,\"\r\n\x00\u2028 '|;=~"), max_size=12),
    st.text(st.sampled_from('注,"\r\n\x85 '), max_size=8),
    st.booleans(),
)
def test_whatever_is_kept_can_be_read_again(term: str, note: str, as_yaml: bool) -> None:
    """The kept body is read at every activation: a library that was taken in must never be refused then."""
    if as_yaml:
        raw = json.dumps([{"term": term, "risk": "A.1.h", "note": note}, {"term": "词条", "risk": "A.1.h"}]).encode()
    else:
        table = io.StringIO(newline="")
        csv.writer(table, quoting=csv.QUOTE_ALL).writerows([("term", "risk", "note"), (term, "A.1.h", note), ("词条", "A.1.h", "")])
        raw = table.getvalue().encode()
    try:
        library = (parse_yaml if as_yaml else parse_csv)(raw)
    except GuijuError:
        return
    again = parse_csv(library.csv)
    assert again.version == library.version
    assert set(again.entries) == set(library.entries)


def test_nothing_in_yaml_is_nothing() -> None:
    with_null = parse_yaml("- {term: 赌博, risk: A.1.h, source: ~, exceptions: null}\n".encode())
    assert with_null.version == parse_csv((HEADER + "赌博,A.1.h,,,,,,,\n").encode()).version


def test_csv_and_yaml_of_the_same_rows_are_the_same_library() -> None:
    text = """
- term: 赌博
  risk: A.1.h
  exceptions: [赌博罪, 反赌博]
  source: 刑法第 303 条
- {term: 12345, risk: A.1.h, severity: flag, note: "a, b"}
"""
    table = HEADER + '赌博,A.1.h,,,赌博罪|反赌博,刑法第 303 条,,,\n12345,A.1.h,flag,,,,,,"a, b"\n'
    assert parse_yaml(text.encode()).version == parse_csv(table.encode()).version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- term: 赌博\n  risk: A.1.h\n\n- term: 赌\n  risk: A.1.h\n", [(4, "term")]),
        ("- term: 赌博\n  risk: A.1.h\n  colour: red\n", [(3, "colour")]),
        ("- term: 赌博\n  risk: {id: A.1.h}\n", [(2, "risk")]),
        ("- term: 赌博\n  risk: A.1.h\n- 赌博\n", [(3, "")]),
        ("- {term: 赌博, risk: A.1.h, term: 毒品}\n", [(1, "term")]),
        ('- {term: "\\ud83d赌博", risk: A.1.h}\n', [(1, "")]),
        ("[" * 20_000, [(1, "")]),
        ("term: 赌博\n", [(1, "")]),
        ("just words", [(1, "")]),
        ("- term: [\n", [(2, "")]),
        ("- term: 赌博\n\t risk: A.1.h\n", [(2, "")]),
        ("- !!python/object/apply:os.system ['true']\n", [(1, "")]),
    ],
)
def test_mistakes_in_yaml_have_their_line(text: str, expected: list[tuple[int, str]]) -> None:
    assert places(text, yaml=True) == expected


def test_a_yaml_tag_makes_nothing_happen() -> None:
    """The nodes are read as text: a tag that would build an object builds none."""
    library = parse_yaml("- {term: !!python/name:os.system 赌博, risk: A.1.h}\n".encode())
    assert [entry.term for entry in library.entries] == ["赌博"]


def test_a_hundred_thousand_rows_are_read_in_seconds() -> None:
    rows = "".join(f"测试词条{number},A.1.h,,,,,,,\n" for number in range(100_000))
    began = time.process_time()
    library = parse_csv((HEADER + rows).encode())
    assert len(library.entries) == 100_000
    assert time.process_time() - began < 20  # about 2 s on a quiet core
    assert places(HEADER + rows + "测试词条7,A.1.h,,,,,,,\n") == [(100_002, "term")]


def test_the_refusal_says_what_was_kept() -> None:
    with pytest.raises(GuijuError) as caught:
        parse_csv((HEADER + "赌,A.1.h,,,,,,,\n").encode(), "三月.csv")
    assert "三月.csv" in caught.value.text("zh")
    assert "正在使用的词库不变" in caught.value.text("zh")
    assert "line 2" in caught.value.text("en")
    assert "the library in force is unchanged" in caught.value.text("en").lower()


def test_a_library_with_mistakes_is_refused_again_although_it_is_kept() -> None:
    """Red when `parse_csv` remembers a library of which something is told: an import would take over what only a kept one may have."""
    wrong = "term,risk\n赌博广告,A.1.h\n赌 博广告,A.1.h\n".encode()
    assert parse_csv(wrong, kept=True).told
    for _ in range(2):
        with pytest.raises(GuijuError) as refused:
            parse_csv(wrong)
        assert refused.value.code.code == "LIBRARY-INVALID"


def test_a_library_that_is_read_again_is_the_same_and_another_is_another() -> None:
    one, other = ("term,risk\n赌博广告,A.1.h\n".encode(), "term,risk\n赌博网站,A.1.h\n".encode())
    for _ in range(2):
        assert [entry.term for entry in parse_csv(one).entries] == ["赌博广告"]
        assert [entry.term for entry in parse_csv(other).entries] == ["赌博网站"]
