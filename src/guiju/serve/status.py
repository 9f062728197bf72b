"""`guiju status`: what runs, told to a person."""

import http.client
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from guiju.gateway.bundle import Upstream
from guiju.serve.sockets import address
from guiju.serve.state import State

_ASK_TIMEOUT_S = 2.0
_GUARD_STATES = {"closed": "可用 / available", "open": "暂停使用 / left alone", "half_open": "试探中 / being tried"}


def print_status(state: State, upstreams: Sequence[Upstream]) -> None:
    """Print where the service listens, its upstreams, what a gateway worker says of itself, and the processes."""
    console = Console(highlight=False)
    gateway = address(state.host, state.ports["gateway"])
    console.print(f"guiju {state.version}  自 / since {state.started_at}")
    console.print(f"  网关 gateway   http://{gateway}/v1")
    console.print(f"  控制台 console  http://{address(state.host, state.ports['console'])}/console/")
    for each in upstreams:
        console.print(f"  上游 upstream  {escape(each.name)}  {escape(each.base_url)}")
    if not upstreams:
        console.print("  上游 upstream  演示模型 / demo model")
    facts = _ask(state)
    if facts:
        told = ", ".join(f"{name} {count}" for name, count in sorted(facts.get("records", {}).items())) or "–"
        console.print(
            f"  运行包 bundle   {facts.get('bundle', '?')}  词库 library {facts.get('library', '?')}  ({facts.get('terms', '?')})"
        )
        console.print(f"  进行中 in progress {facts.get('in_progress', '?')}  记录 records {told}")
        for name, guard_state in sorted(facts.get("guards", {}).items()):
            told = _GUARD_STATES.get(guard_state, guard_state)
            console.print(f"  外部审查 guard    {name}  {told}")
    else:
        console.print("  [red]✗[/red] 网关没有回应 / the gateway does not answer")
    table = Table(box=None, pad_edge=False)
    for title in ("process", "pid", "restarts"):
        table.add_column(title)
    for name, pid in state.pids.items():
        table.add_row(name, str(pid), str(state.restarts.get(name, 0)))
    console.print(table)


def _ask(state: State) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection(state.host, state.ports["gateway"], timeout=_ASK_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return msgspec.json.decode(connection.getresponse().read(), type=dict[str, Any])
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()
