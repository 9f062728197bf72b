"""A bank of approved answers: what is right comes back as it was, every mistake has its line, hostile files are refused."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guiju.core.errors import GuijuError
from guiju.screening.answers.bank import ANSWERS_INVALID, COLUMNS, read_bank

RIGHT = {
    "id": "id-1", "questions": "身份证丢了怎么补办|补办身份证要带什么", "answer_zh": "携带户口簿到派出所办理。", "answer_en": "Go to a police station.",
    "risk": "A.5.a", "origin": "", "source": "居民身份证法", "reviewer": "法务", "reviewed_on": "2026-05-01", "valid_until": "2026-12-31", "note": "",
}  # fmt: skip


def csv_of(*rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def test_a_row_becomes_an_answer_that_ends_with_its_beijing_day() -> None:
    bank = read_bank("bank.csv", csv_of(RIGHT))
    (answer,) = bank.answers
    assert (answer.id, answer.questions, answer.origin) == ("id-1", ("身份证丢了怎么补办", "补办身份证要带什么"), "people")
    assert answer.until_s == 1_798_732_800  # 2027-01-01 00:00 in Beijing
    assert read_bank("again.csv", bank.csv) == bank


def test_yaml_says_the_same_as_csv_and_order_is_no_matter() -> None:
    other = RIGHT | {"id": "id-2", "questions": "居住证过期了怎么续签", "origin": "generated"}
    lines = []
    for row in (other, RIGHT):
        questions = row["questions"].split("|")
        lines += [f"- questions: {questions}", *(f"  {name}: '{value}'" for name, value in row.items() if name != "questions")]
    assert read_bank("bank.yaml", "\n".join(lines).encode()).version == read_bank("bank.csv", csv_of(RIGHT, other)).version


@pytest.mark.parametrize(
    ("change", "column", "says"),
    [
        ({"id": ""}, "id", "is required"),
        ({"id": "有空 格"}, "id", "must be 1–64"),
        ({"id": "../../etc"}, "id", "must be 1–64"),
        ({"questions": "|"}, "questions", ""),
        ({"questions": "怎么"}, "questions", "must fold to 4–100"),
        ({"questions": "长" * 101}, "questions", "must fold to 4–100"),
        ({"questions": "|".join(f"第{n}种问法怎么问" for n in range(51))}, "questions", "at most 50"),
        ({"answer_zh": ""}, "answer_zh", "is required"),
        ({"answer_zh": "字" * 8_001}, "answer_zh", "longer than 8000"),
        ({"risk": "A.9.x"}, "risk", "none of the 31"),
        ({"origin": "robot"}, "origin", "people or generated"),
        ({"source": ""}, "source", "is required"),
        ({"reviewer": ""}, "reviewer", "is required"),
        ({"reviewed_on": "yesterday"}, "reviewed_on", "must be a day"),
        ({"valid_until": "2026-02-30"}, "valid_until", "must be a day"),
        ({"valid_until": "20261231"}, "valid_until", "must be a day"),
        ({"valid_until": "2026-04-30"}, "valid_until", "before the day"),
        ({"note": "x\0y"}, "", "UTF-8"),
    ],
)
def test_every_mistake_has_its_line_and_column(change: dict[str, str], column: str, says: str) -> None:
    other = RIGHT | {"id": "id-2", "questions": "居住证过期了怎么续签"}
    with pytest.raises(GuijuError) as caught:
        read_bank("bank.csv", csv_of(other, RIGHT | change))
    assert caught.value.code is ANSWERS_INVALID
    assert [(each.line, each.column_name) for each in caught.value.facts["problems"]] == [(3, column)] * len(caught.value.facts["problems"])
    if says:
        assert says in caught.value.facts["problems"][0].reason_en
    assert "没有导入任何一行" in caught.value.both()


def test_one_question_has_one_answer() -> None:
    with pytest.raises(GuijuError) as caught:
        read_bank(
            "bank.csv",
            csv_of(RIGHT, RIGHT | {"id": "id-2", "questions": "請問 補辦身份證要帶什麼？"}, RIGHT | {"questions": "别的问题是什么"}),
        )
    assert [(each.line, each.reason_en) for each in caught.value.facts["problems"]] == [
        (3, "'請問 補辦身份證要帶什麼？' is a question of line 2"),
        (4, "has the id of line 2"),
    ]


@pytest.mark.parametrize(
    ("name", "raw", "line"),
    [
        ("b.csv", b"\xff\xfe", 1),
        ("b.csv", b"", 1),
        ("b.csv", b"id,questions\n", 1),
        ("b.csv", csv_of(RIGHT) + b"x,y,z\n" * 2, 3),
        ("b.csv", csv_of(RIGHT).replace(b"note", b"id,"), 1),
        ("b.csv", b'id,"' + b"x" * 200_000, 1),
        ("b.yaml", b"", 1),
        ("b.yaml", b"a: 1", 1),
        ("b.yaml", b"- 1", 1),
        ("b.yaml", b"- [1, 2", 1),
        ("b.yaml", b"[" * 50_000, 1),
        ("b.yaml", b"- id: {a: b}", 1),
        ("b.yaml", b"- !!python/object/apply:os.system ['true']", 1),
        ("b.yaml", b"- ? [a, b]\n  : c\n", 1),
        ("b.yaml", b"- &x\n  id: x\n" + b"- *x\n" * 30_000, 20_001),
    ],
)
def test_hostile_files_are_refused_with_a_line(name: str, raw: bytes, line: int) -> None:
    with pytest.raises(GuijuError) as caught:
        read_bank(name, raw)
    assert caught.value.code is ANSWERS_INVALID
    assert line in {each.line for each in caught.value.facts["problems"]} or line == 20_001


@given(st.binary(max_size=300), st.sampled_from(("b.csv", "b.yaml")))
def test_any_bytes_are_refused_in_order(raw: bytes, name: str) -> None:
    with pytest.raises(GuijuError) as caught:
        read_bank(name, csv_of(RIGHT).splitlines()[0] + b"\n\x00" + raw if name == "b.csv" else raw)
    assert caught.value.code is ANSWERS_INVALID


@given(st.lists(st.tuples(st.text(min_size=1, max_size=30), st.text(max_size=30)), max_size=3))
def test_what_was_taken_in_can_be_read_again(rows: list[tuple[str, str]]) -> None:
    given_rows = [
        RIGHT | {"id": f"i{n}", "questions": f"问题第{'甲乙丙'[n]}种怎么办", "answer_zh": zh, "note": note}
        for n, (zh, note) in enumerate(rows)
    ]
    try:
        raw = csv_of(*given_rows)
        bank = read_bank("b.csv", raw)
    except (GuijuError, UnicodeEncodeError, csv.Error):
        return
    assert read_bank("c.csv", bank.csv) == bank
