"""What one library takes away from another, and whether anything in it is new: by folded terms, whatever their order and spelling."""

import pytest

from guiju.screening.libraries.library import Library, parse_csv
from guiju.screening.libraries.replacing import Loss, count_new, find_loss

HEADER = "term,risk,severity,direction\n"
BEFORE = "词条甲,A.1.h,block,both\n词条乙,A.1.h,block,both\n词条丙,A.1.h,flag,both\n词条丁,A.4.f,block,output\n"


def _library(rows: str) -> Library:
    return parse_csv((HEADER + rows).encode(), kept=not rows)


@pytest.mark.parametrize(
    ("after", "loss", "much"),
    [
        (BEFORE, Loss(4, 0), False),
        (BEFORE.replace("词条甲", "詞·條甲"), Loss(4, 0), False),
        (BEFORE.replace("词条乙", "另一词"), Loss(4, 1), False),
        (BEFORE.replace("词条甲,A.1.h,block", "词条甲,A.1.h,flag"), Loss(4, 1), False),
        (BEFORE.replace("词条丙,A.1.h,flag,both", "词条丙,A.1.h,block,input"), Loss(4, 1), False),
        (BEFORE.replace("词条丙,A.1.h,flag", "词条丙,A.1.h,block"), Loss(4, 0), False),
        (BEFORE.replace("output", "both"), Loss(4, 0), False),
        ("词条甲,A.1.h,block,both\n词条丁,A.4.f,block,output\n", Loss(4, 2), False),
        ("别的词,A.1.h,block,both\n词条丁,A.4.f,block,output\n", Loss(4, 3), True),
        (BEFORE.replace("词条丁,A.4.f", "词条丁,A.3.a"), Loss(4, 1, ("A.4.f",)), True),
        (BEFORE.replace("词条丁,A.4.f,block", "词条丁,A.4.f,flag"), Loss(4, 1, ("A.4.f",)), True),
        (BEFORE.replace("output", "input"), Loss(4, 1, ("A.4.f",)), True),
        ("", Loss(4, 4, ("A.1.h", "A.4.f")), True),
    ],
)
def test_what_goes_is_counted(after: str, loss: Loss, much: bool) -> None:
    """Guarded lines: the comparison of forces in `find_loss`, the two halves of `Loss.much`."""
    found = find_loss(_library(BEFORE), _library(after))
    assert (found, found.much) == (loss, much)


def test_two_rows_that_fold_alike_count_by_the_graver() -> None:
    both = _library("词条甲,A.1.h,block,input\n词条甲,A.1.h,flag,output\n")
    assert find_loss(both, _library("词条甲,A.1.h,block,both\n")) == Loss(2, 0)
    assert find_loss(_library("词条甲,A.1.h,block,both\n"), both) == Loss(1, 1, ("A.1.h",))


def test_new_is_what_none_of_the_earlier_ones_had() -> None:
    one, two, both = (_library(rows).csv for rows in ("词条甲,A.1.h,,\n", "词条乙,A.1.h,,\n", "词条乙,A.1.h,,\n詞條甲,A.4.f,,\n"))
    assert count_new(both, []) == 2
    assert count_new(both, [one]) == 1
    assert count_new(both, [one, two]) == 0
    assert count_new(_library('"词条,甲",A.1.h,,\n').csv, [one]) == 0  # quoted, and the same when it is folded
