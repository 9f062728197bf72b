"""`guiju`: the command line. The verbs are in `verbs.py`; `guiju serve` as it is usually written starts without them (`serve/arguments.py`)."""

import os
import sys
from typing import TYPE_CHECKING, Final

from guiju.core.errors import GuijuError, Text, define, reason_zh

if TYPE_CHECKING:
    import typer

FAILED: Final = 2
"""Exit status of an error that was told in full; a traceback is a defect."""
INTERRUPTED: Final = 130
FILE_UNUSABLE = define(
    "FILE-UNUSABLE",
    status=500,
    kind="server_error",
    zh=Text("无法读写 {path}：{reason_zh}。", "此前已完成的有效，此后没有再做什么。", "请检查路径、权限和剩余空间后重试。"),
    en=Text(
        "{path} cannot be read or written: {reason}.",
        "What was done before stands; nothing was done after.",
        "Look at the path, the right to use it and the room that is left, and try again.",
    ),
)


def whole_app() -> "typer.Typer":
    """Return the command line with the verbs of all duties."""
    from guiju.verbs import whole_app

    return whole_app()


def main() -> None:
    """Run the command line; an expected error is told in its three parts and ends with status 2."""
    try:
        if sys.argv[1:2] == ["serve"]:
            _serve()
        whole_app()()
    except OSError as problem:
        if problem.filename is None:
            raise
        reason = problem.strerror or type(problem).__name__
        print_error(GuijuError(FILE_UNUSABLE, path=problem.filename, reason=reason, reason_zh=reason_zh(problem)))
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except GuijuError as error:
        for each in (error, *error.facts.get("others", ())):
            print_error(each)
        sys.exit(FAILED)


def _serve() -> None:
    """Start the service and leave with its status, where what is said of it is plain; else leave it to the verb."""
    from guiju.serve.arguments import find_options

    options = find_options(sys.argv[2:], os.environ)
    if options is not None:
        from guiju.serve.command import serve

        sys.exit(serve(options))


def print_error(error: GuijuError) -> None:
    """Print the parts of an error on standard error, Chinese first."""
    print(error.code.code, file=sys.stderr)
    for language in ("zh", "en"):
        print("  " + error.text(language).removeprefix(f"{error.code.code} "), file=sys.stderr)


if __name__ == "__main__":
    main()
