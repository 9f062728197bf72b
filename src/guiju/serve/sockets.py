"""Listening sockets, opened by the supervisor: a worker that is started anew finds the callers still waiting in them."""

import contextlib
import errno
import socket
import time
from typing import Final

from guiju.core.durable import replace
from guiju.core.errors import GuijuError, Text, define
from guiju.core.layout import DataFolder
from guiju.services.in_force import demo_port

PORT_TAKEN = define(
    "PORT-TAKEN",
    status=500,
    kind="server_error",
    zh=Text(
        "{host} 的端口 {port} 已被其他程序占用。",
        "没有启动任何进程，数据目录中已有的内容不变。",
        "请停掉占用它的程序，或用 {option} 换一个端口。",
    ),
    en=Text(
        "Port {port} of {host} is in use by another program.",
        "No process was started; what the data folder holds is unchanged.",
        "Stop that program, or choose another port with {option}.",
    ),
)
PORT_REFUSED = define(
    "PORT-REFUSED",
    status=500,
    kind="server_error",
    zh=Text(
        "无法在 {host} 的端口 {port} 上监听：{reason}。",
        "没有启动任何进程，数据目录中已有的内容不变。",
        "请核对地址；1024 以下的端口需要特权。",
    ),
    en=Text(
        "It is not possible to listen on port {port} of {host}: {reason}.",
        "No process was started; what the data folder holds is unchanged.",
        "Check the address; ports below 1024 need a privilege.",
    ),
)

BACKLOG: Final = 4096
_LOOK_AGAIN_S: Final = 0.05


def listen(host: str, port: int, option: str, wait_s: float = 0.0) -> socket.socket:
    """Return a listening socket; port 0 takes any free one. `option` is what the caller may change.

    Waits up to `wait_s` for a port whose last owner is just leaving. Raises PORT-TAKEN or PORT-REFUSED.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            listener = socket.socket(family, kind, protocol)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(BACKLOG)
            except OSError:
                listener.close()
                raise
            return listener
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise GuijuError(PORT_REFUSED, host=host, port=port, reason=problem.strerror) from problem
            if time.monotonic() >= deadline:
                raise GuijuError(PORT_TAKEN, host=host, port=port, option=option) from problem
            time.sleep(_LOOK_AGAIN_S)


def listen_for_demo(data: DataFolder) -> socket.socket:
    """Return the demo model's socket on loopback: its last port when that is free, so that the bundle still fits; else any."""
    listener = None
    with contextlib.suppress(GuijuError):
        listener = listen("127.0.0.1", demo_port(data), "")
    listener = listener or listen("127.0.0.1", 0, "")
    replace(data.run / "demo-port", str(port_of(listener)).encode())
    return listener


def port_of(listener: socket.socket) -> int:
    """Return the port on which a socket listens."""
    return int(listener.getsockname()[1])


def reached_at(host: str) -> str:
    """Return the address under which this machine reaches what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)


def address(host: str, port: int) -> str:
    """Return `host:port` as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
