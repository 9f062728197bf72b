"""The command line of the single file: python3 verify.py PACK. 独立核对程序。"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from guiju.records.offline.packcheck import check_pack
from guiju.records.offline.report import Broken, Report
from guiju.records.offline.signed import parse_key_line
from guiju.records.offline.timestamp import read_pem

_MARKS = {"holds": "✓", "fails": "✗", "open": "?"}


def read_public_key(raw: bytes) -> bytes:
    """Return the 32 bytes of a key file: those bytes themselves, or one line `name+id+key`. Raises Broken."""
    if len(raw) == 32:
        return raw
    try:
        return parse_key_line(raw.decode().strip())[1]
    except UnicodeDecodeError:
        raise Broken("the file of the public key has neither 32 bytes nor a verifier line") from None


def report_document(report: Report) -> dict[str, object]:
    """Return a report as programs read it."""
    steps = [{"number": step.number, "outcome": step.outcome, "zh": step.zh, "en": step.en, "detail": step.detail} for step in report.steps]
    return {"ok": report.ok, "steps": steps, "not_proven": [{"zh": zh, "en": en} for zh, en in report.not_proven]}


def main(arguments: list[str] | None = None) -> int:
    """Check a pack and print what holds; return 0, 1 when something fails, 2 when the files given cannot be read."""
    parser = argparse.ArgumentParser(description="核对记录包，无须安装任何软件。 Check a pack of records; nothing need be installed.")
    parser.add_argument("pack", type=Path, help="记录包。 The pack.")
    parser.add_argument("--public-key", type=Path, help="提供者公钥文件 site.pub。 The provider's site.pub, from elsewhere than the pack.")
    parser.add_argument("--checkpoint", type=Path, help="此前保存的检查点。 A checkpoint that you kept earlier.")
    parser.add_argument("--tsa-root", type=Path, help="时间戳机构的根证书 (PEM)。 Root certificates of the time-stamp authority.")
    parser.add_argument("--json", action="store_true", help="供程序读取。 For programs.")
    given = parser.parse_args(arguments)
    try:
        trusted = read_public_key(given.public_key.read_bytes()) if given.public_key else None
        kept = given.checkpoint.read_bytes() if given.checkpoint else None
        roots = read_pem(given.tsa_root.read_bytes()) if given.tsa_root else None
        with given.pack.open("rb") as file:
            if file.read(64).lstrip()[:1] == b"{":
                raise Broken(
                    "it is a proof or a certificate, not a pack: check it with `guiju verify` 这是证明或证书，不是记录包；请用 guiju verify 核对"
                )
        report = check_pack(given.pack, trusted=trusted, kept=kept, tsa_roots=roots)
    except (OSError, Broken) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        print(
            f"未能核对 {given.pack}：{reason}。什么也没有改动。请核对文件。\n{given.pack} was not checked: {reason}. Nothing was changed. Check the file.",
            file=sys.stderr,
        )
        return 2
    if given.json:
        print(json.dumps(report_document(report), ensure_ascii=False, indent=1))
    else:
        print_plainly(report)
    return 0 if report.ok else 1


def print_plainly(report: Report) -> None:
    """Print a report as text."""
    for step in report.steps:
        print(f"{_MARKS[step.outcome]} {step.number}. {step.zh}  {step.en}")
        if step.detail:
            print(f"     {step.detail}")
    print("\n未证明 Not proven:")
    for zh, en in report.not_proven:
        print(f"  · {zh}\n    {en}")
    print("\n成立 holds" if report.ok else "\n不成立 does not hold")


if __name__ == "__main__":
    sys.exit(main())
