"""Write the generated pages of a documentation folder, or tell which are stale.

python -m guiju.handbook            writes docs/
python -m guiju.handbook --check    changes nothing; exit status 1 when a page is stale
"""

import argparse
import sys
from pathlib import Path

from guiju.handbook.pages import find_stale, write_pages


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m guiju.handbook")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs"))
    parser.add_argument("--check", action="store_true", help="change nothing, tell what is stale")
    options = parser.parse_args(arguments)
    if not options.check:
        write_pages(options.folder)
        return 0
    stale = find_stale(options.folder)
    for path in stale:
        print(f"{options.folder / path} is stale: run python -m guiju.handbook", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
