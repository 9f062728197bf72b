"""`python -m bench`: every measurement, one after the other; `--quick` in about a minute; a name runs only that one.

Ends with status 1 when a bar is missed, and says which.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console

from bench import gateway, rig, service
from bench.report import OUT, Row

NAMES = (
    "gateway",
    "service",
    "screening",
    "evasion",
    "hostile",
    "classifier",
    "guard",
    "personal",
    "records",
    "sealing",
    "growth",
    "labels",
    "watermark",
    "board",
)
_QUICK_S = 240
_FULL_S = 900


def main() -> int:
    """Measure what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure guiju on this machine.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of {', '.join(NAMES)}; all without")
    parser.add_argument("--quick", action="store_true", help="shorter turns: for a look, not for a report")
    parser.add_argument("--ten-million", action="store_true", help="growth: the ledger at ten million leaves too")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no measurement is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    rig.prepare(_QUICK_S if options.quick else _FULL_S)
    say = _progress()
    missed: list[tuple[str, Row]] = []
    for name in options.names or NAMES:
        if name == "gateway":
            found = gateway.run(say, quick=options.quick)
        elif name == "service":
            found = service.run(say, quick=options.quick)
        else:
            say(name)
            found = _apart(name, *(["--ten-million"] if name == "growth" and options.ten_million else []))
        missed += [(name, each) for each in found]
    for name, each in missed:
        print(f"missed: {name}: {each.name} is {each.value:g} {each.unit}, bar {each.bar}", file=sys.stderr)
    say(f"done; results are in {OUT}")
    return 1 if missed else 0


def _apart(name: str, *words: str) -> list[Row]:
    """Run a measurement that is a program of its own and return the rows that miss their bar."""
    written = OUT / f"{name}.json"
    written.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", f"bench.{name}", *words], check=False, cwd=Path(__file__).parent.parent)
    if not written.exists():
        return [Row(f"bench.{name} came to no result", 1, "", "≤ 0", False)]
    return [each for each in msgspec.json.decode(written.read_bytes(), type=list[Row]) if each.ok is False]


def _progress() -> Callable[[str], None]:
    """Return what tells people, on standard error, what is being measured now."""
    console, begun = Console(stderr=True), time.monotonic()
    return lambda text: console.print(f"[dim]{time.monotonic() - begun:5.0f} s[/] {text}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
