"""`guiju status`: what runs, told to a person."""

import http.client
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from guiju.gateway.bundle import Upstream
from guiju.serve.sockets import address
from guiju.serve.state import State
from guiju.web.rows import is_terminal, line_of, readable

_ASK_TIMEOUT_S = 2.0
_GUARD_STATES = {"closed": "可用 available", "open": "暂停使用 left alone", "half_open": "试探中 being tried"}
_BY_WORKER = "由答复的网关进程 by the worker that answered"


def print_status(state: State, upstreams: Sequence[Upstream], notices: Sequence[str] = ()) -> None:
    """Print where the service listens, its upstreams, what a gateway worker says of itself, the processes, and the notices.

    On a terminal the names stand above one another; whatever else reads it gets a line for each fact, tabs between name and values.
    """
    rows: list[Sequence[object]] = [
        ("guiju", state.version, f"自 since {state.started_at}"),
        ("网关 gateway", f"http://{address(state.host, state.ports['gateway'])}/v1"),
        ("控制台 console", f"http://{address(state.host, state.ports['console'])}/console/"),
    ]
    rows += [("上游 upstream", each.name, each.base_url) for each in upstreams] or [("上游 upstream", "演示模型 demo model")]
    facts = _ask(state)
    if facts:
        left = sorted(facts.get("records", {}).items())
        rows += [
            ("运行包 bundle", facts.get("bundle", "?")),
            ("词库 library", facts.get("library", "?"), f"{facts.get('terms', '?')} 条 terms"),
            ("进行中 in progress", facts.get("in_progress", "?")),
        ]
        rows += [("记录 records", kind, count, _BY_WORKER) for kind, count in left] or [("记录 records", f"还没有 none yet, {_BY_WORKER}")]
        rows += [("外部审查 guard", name, _GUARD_STATES.get(told, told)) for name, told in sorted(facts.get("guards", {}).items())]
    else:
        rows.append(("网关 gateway", "✗ 没有回应 does not answer"))
    rows += [("进程 process", name, f"pid {pid}", f"重启 restarts {state.restarts.get(name, 0)}") for name, pid in state.pids.items()]
    rows += [("进程 process", name, "✗ 未运行 down", f"重启 restarts {state.restarts.get(name, 0)}") for name in state.down]
    rows += [("设置 settings", f"✗ {notice}") for notice in notices]
    if not is_terminal():
        for row in rows:
            print(line_of(row))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, *values in rows:
        table.add_row(str(name), "  ".join(readable(str(value)) for value in values))
    Console(highlight=False, markup=False).print(table)


def _ask(state: State) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection(state.host, state.ports["gateway"], timeout=_ASK_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return msgspec.json.decode(connection.getresponse().read(), type=dict[str, Any])
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()
