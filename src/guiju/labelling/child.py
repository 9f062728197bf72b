"""A process of its own in which files of strangers are taken apart: what goes wrong there goes wrong there.

    python -m guiju.labelling.child --memory-bytes N --file-bytes N

One line of JSON in, one line out, one file at a time: `{"source": path, "target": path, "order": {…}}` (or `"seal"`), and then `{"published": {…}}` once
the target is written whole, or `{"error": {…}}`. It is started with no secrets in its environment, may take so much memory and write files so
large, ends with whoever started it, and is killed from outside when it takes too long.
"""

import argparse
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from guiju.core.durable import write_new
from guiju.core.errors import ErrorCode, GuijuError, Text, define
from guiju.core.process import SUPERVISOR_PID, die_with_parent

LABEL_MEMORY = define(
    "LABEL-MEMORY",
    status=502,
    kind="server_error",
    zh=Text("标识该文件所需的内存超过上限。", "该文件没有送出。", "请生成较小的文件；运营者可调整 media.label_memory_bytes。"),
    en=Text(
        "Labelling this file takes more memory than is allowed.",
        "It was not delivered.",
        "Have a smaller one made; an operator can change media.label_memory_bytes.",
    ),
)
LABEL_FAILED = define(
    "LABEL-FAILED",
    status=502,
    kind="server_error",
    zh=Text("给文件加标识的过程失败：{reason}。", "该文件没有送出。", "请重新生成；若仍然出现，请联系服务运营者。"),
    en=Text(
        "Labelling the file failed: {reason}.",
        "It was not delivered.",
        "Have it made again; if it stays, tell the operator of the service.",
    ),
)
_NO_MEMORY: Final = 3


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One file to publish, or to seal. `order` is a `publishing.Order`, `seal` a `publishing.Seal`, not decoded yet."""

    source: str
    target: str
    order: msgspec.Raw = msgspec.Raw()
    seal: msgspec.Raw = msgspec.Raw()


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it crosses the pipe: the code with its texts, so that who reads it needs none of the modules that declare it."""

    code: ErrorCode
    facts: dict[str, str]

    def error(self) -> GuijuError:
        """Return the error again."""
        return GuijuError(self.code, **self.facts)


def fault_of(error: GuijuError) -> Fault:
    """Return an error for the pipe."""
    return Fault(code=error.code, facts={name: str(value)[:300] for name, value in error.facts.items()})


def answer_to(line: bytes) -> tuple[dict[str, Any], bool]:
    """Return the answer to one line, and whether this process can go on."""
    from guiju.labelling.publishing import Order, Seal, publish, seal

    try:
        work = msgspec.json.decode(line, type=Work)
        data = Path(work.source).read_bytes()
        if work.seal:
            labelled, published = seal(data, msgspec.json.decode(work.seal, type=Seal))
        else:
            labelled, published = publish(data, msgspec.json.decode(work.order, type=Order))
        if not write_new(Path(work.target), labelled):
            return {"error": fault_of(GuijuError(LABEL_FAILED, reason="the target exists"))}, True
        return {"published": published}, True
    except GuijuError as error:
        return {"error": fault_of(error)}, True
    except MemoryError:
        return {"error": fault_of(GuijuError(LABEL_MEMORY))}, False
    except RecursionError:
        return {"error": fault_of(GuijuError(LABEL_FAILED, reason="nested too deeply"))}, False
    except Exception as error:
        return {"error": fault_of(GuijuError(LABEL_FAILED, reason=type(error).__name__))}, True


def main(arguments: list[str] | None = None) -> int:
    """Serve lines until there are none; return the exit status."""
    parser = argparse.ArgumentParser(prog="guiju.labelling.child")
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--file-bytes", type=int, required=True)
    options = parser.parse_args(arguments)
    die_with_parent(signal.SIGKILL)
    os.environ.pop(SUPERVISOR_PID, None)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (options.memory_bytes, options.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (options.file_bytes, options.file_bytes))
    encode = msgspec.json.Encoder().encode
    while line := sys.stdin.buffer.readline():
        answer, goes_on = answer_to(line)
        sys.stdout.buffer.write(encode(answer) + b"\n")
        sys.stdout.buffer.flush()
        if not goes_on:
            return _NO_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main())
