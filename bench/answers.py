"""How often approved answers grab a question that is another, how many paraphrases they find, and what looking costs.

    python -m bench.answers [--data DIR]

The bank is our own: 60 questions about procedures, distress and hotlines, each with two paraphrases and one question that looks like it
and is another (`approved_questions.txt`). DIR (or GUIJU_TEXTS) holds `*.jsonl.gz` texts that are no part of the project; none of
them asks what the bank answers, but for a few that do, so every match counts as false.
"""

import argparse
import os
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.report import Row, report, row
from bench.screening import CAREFUL, HARMLESS, QUARRELS, best_cpu_s, prose, texts_of
from guiju.screening.answers.match import NEAR_PER_MILLE, Matcher
from guiju.screening.answers.values import ApprovedAnswer

QUESTIONS: Final = Path(__file__).parent / "approved_questions.txt"
THRESHOLDS: Final = (300, 400, 500, 600, 700)
PARTS: Final = """
如何 怎么 怎样 哪里 办理 申请 补办 挂失 查询 取消 身份证 护照 驾照 社保卡 医保 公积金 居住证 户口 银行卡 手机号 报警 求助 热线 电话 材料 条件 时间 费用
未成年人 老人 残疾人 学生 孩子 丢失 损坏 过期 变更 地址 姓名 需要 可以 应该 吗 流程
""".split()
LATER: Final = 2**33


def questions() -> list[tuple[str, list[str], str]]:
    """Return each question with its paraphrases and the question that looks like it."""
    found = []
    for line in QUESTIONS.read_text().splitlines():
        if line and not line.startswith("#"):
            own, other = line.split("||")
            first, *again = own.split("|")
            found.append((first, again, other))
    return found


def matcher(near_per_mille: int) -> Matcher:
    return Matcher(
        [ApprovedAnswer(f"q-{n}", (own,), "答", "", "A.5.b", "people", LATER) for n, (own, _, _) in enumerate(questions())],
        "bench",
        near_per_mille,
    )


def quality(texts: Sequence[tuple[str, list[str]]]) -> Iterator[Row]:
    """Yield what each threshold finds and grabs; the bars are those of the one that ships."""
    for near in THRESHOLDS:
        bank, ships = matcher(near), near == NEAR_PER_MILLE
        asked = [(n, text) for n, (_, again, _) in enumerate(questions()) for text in again]
        right = sum((match := bank.find(text, 0, near=True)) is not None and match.answer.id == f"q-{n}" for n, text in asked)
        others = [other for _, _, other in questions()]
        grabbed = sum(bank.find(text, 0, near=True) is not None for text in others)
        mark = " (ships)" if ships else ""
        yield row(f"{near} ‰{mark}: paraphrases answered, of {len(asked)}", 100 * right / len(asked), "%")
        yield row(f"{near} ‰{mark}: look-alikes answered, of {len(others)}", 100 * grabbed / len(others), "%", at_most=5 if ships else None)
        for kind, found in texts:
            false = sum(bank.find(text, 0, near=True) is not None for text in found)
            yield row(
                f"{near} ‰{mark}: {kind}, {false} of {len(found)} answered",
                1e6 * false / len(found),
                "per million",
                at_most=50 if ships else None,
            )


def cost() -> Iterator[Row]:
    """Yield what a message costs that matches nothing, with 5,000 answers of three questions each."""
    rng = random.Random(1)

    def question() -> str:
        return "".join(rng.choices(PARTS, k=rng.randint(4, 8)))

    bank = Matcher(
        [ApprovedAnswer(f"a{n}", (question(), question(), question()), "答", "", "A.5.b", "people", LATER) for n in range(5_000)], "bench"
    )
    text = prose(200_000)
    for name, messages in (
        ("made-up Chinese, 20 characters", [text[at : at + 20] for at in range(0, 40_000, 20)]),
        ("made-up Chinese, 80 characters", [text[at : at + 80] for at in range(0, 80_000, 80)]),
        ("made-up Chinese, 200 characters", [text[at : at + 200] for at in range(0, 200_000, 200)]),
        ("drawn from the 44 words of the bank's 15,000 questions", [question() for _ in range(1_000)]),
        ("60 questions that the bank does not hold", [own for own, _, _ in questions()]),
    ):
        yield row(f"no match: {name}", _each_us(bank, messages), "µs CPU", at_most=30)


def _each_us(bank: Matcher, messages: Sequence[str]) -> float:
    return best_cpu_s(lambda: [bank.find(message, 0, near=True) for message in messages]) / len(messages) * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write `bench/out/answers.json`; return 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="False matches, paraphrases and cost of approved answers")
    parser.add_argument("--data", type=Path, default=os.environ.get("GUIJU_TEXTS"), help="folder of *.jsonl.gz texts (or GUIJU_TEXTS)")
    folder: Path | None = parser.parse_args(arguments).data
    texts: list[tuple[str, list[str]]] = []
    if folder is not None:
        for kind, names in (("harmless", HARMLESS), ("news, law, safety", CAREFUL), ("posts", QUARRELS)):
            found = [text for _, each in texts_of(Path(folder), names, harmless=True) for text in each]
            if found:
                texts.append((kind, found))
    missed = report("answers", [*cost(), *quality(texts)])
    if not texts:
        print("No texts: false matches were NOT measured. Give --data DIR or set GUIJU_TEXTS.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
