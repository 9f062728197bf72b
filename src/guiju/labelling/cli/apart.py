"""One stranger's file, inspected in a process of its own: little memory, little time, nothing written. The file is standard input.

`python -m guiju.labelling.cli.apart [NAME]` writes the row of `guiju inspect --json` to standard output. The readers of containers are
bounded by themselves; this is the second wall, for a defect in one of them or in a library.
"""

import hashlib
import json
import resource
import sys
from pathlib import Path
from typing import Final

from guiju.labelling.files import inspect
from guiju.labelling.rows import row_of

_MEMORY_BYTES: Final = 1024 * 1024 * 1024
CPU_S: Final = 20


def main() -> int:
    """Inspect standard input; return the exit status."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    file = Path("/proc/self/fd/0")
    found = inspect(file, hint=sys.argv[1] if len(sys.argv) > 1 else None, listens=True)  # a name is believed of texts alone
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        size = opened.tell()
    sys.stdout.write(json.dumps(row_of("", digest, size, found), ensure_ascii=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
