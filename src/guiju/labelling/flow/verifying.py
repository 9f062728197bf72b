"""What the public page does: look at a file, a URL or a text, and say whether this service issued it. Nothing is kept but a count.

A stranger's file is looked at in a process of its own (`cli/apart.py`), two at a time, with a limit on memory, processor and wall time.
How often one address may ask is counted in memory: nothing about who asked is kept.
Source: Labelling Measures Arts. 5 and 6.
"""

import ipaddress
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from guiju.core.clock import BEIJING
from guiju.core.errors import GuijuError, Text, define
from guiju.core.fetch import Limits, fetch
from guiju.core.keys import load_pseudonym_key
from guiju.gateway.bundle import Service
from guiju.labelling.annex_e import KEYS
from guiju.labelling.explicit import holds_elements
from guiju.labelling.models import Verification
from guiju.labelling.signatures.check import check
from guiju.labelling.signatures.ring import pinned, read_ring
from guiju.labelling.values import FileLabel
from guiju.records import flow as records

MEBIBYTE: Final = 1024 * 1024
_WALL_S: Final = 40.0
_FETCH_S: Final = 20.0
_TURN_S: Final = 15.0
_HOUR_S: Final = 3600
_ADDRESSES: Final = 20_000
_EDGE_CHARACTERS: Final = 64
_DELIVERED: Final = frozenset(
    {"gateway.answer.delivered", "gateway.answer.stopped", "gateway.answer.interrupted", "gateway.media.delivered"}
)
_ENDING: Final = re.compile(r"\.[A-Za-z0-9]{1,10}$")
_turns: Final = threading.BoundedSemaphore(2)
_inside: Final = threading.BoundedSemaphore(4)
"""Half of the console's threads: strangers who wait for a slow server, or for each other, leave the rest to those who work here."""

CHECK_LIMIT = define(
    "CHECK-LIMIT",
    status=429,
    kind="rate_limit_error",
    retry=True,
    zh=Text("来自您网络地址的查验已达每小时 {limit} 次。", "这次没有查验，文件没有保留。", "请一小时后再试，或下载 guiju 用命令行查验。"),
    en=Text("Your network address has asked {limit} times within the hour.", "Nothing was looked at this time, and no file was kept.", "Try again in an hour, or use guiju's command line."),
)  # fmt: skip
CHECK_BUSY = define(
    "CHECK-BUSY",
    status=503,
    kind="server_error",
    retry=True,
    zh=Text("正在查验的文件太多。", "这次没有查验，文件没有保留。", "请稍候再试。"),
    en=Text("Too many files are being looked at just now.", "Yours was not, and was not kept.", "Try again in a moment."),
)
CHECK_TOO_LARGE = define(
    "CHECK-TOO-LARGE",
    status=413,
    kind="invalid_request_error",
    zh=Text("文件超过 {limit_mb} MiB 的上限。", "没有查验，文件没有保留。", "请用 guiju inspect 在本机查验大文件。"),
    en=Text(
        "The file is larger than the limit of {limit_mb} MiB.",
        "It was not looked at and was not kept.",
        "Use guiju inspect for large files on your own machine.",
    ),
)
CHECK_NOTHING = define(
    "CHECK-NOTHING",
    status=400,
    kind="invalid_request_error",
    zh=Text("没有收到要查验的文件、文字或网址。", "没有查验任何内容。", "请选择一个文件，或填写一段文字。"),
    en=Text("No file, text or URL came to be looked at.", "Nothing was looked at.", "Choose a file, or fill in a text."),
)
CHECK_URLS_OFF = define(
    "CHECK-URLS-OFF",
    status=403,
    kind="invalid_request_error",
    zh=Text("本站不查验网址。", "没有访问该网址。", "请下载后提交文件本身。"),
    en=Text("This site does not look at URLs.", "The URL was not asked for.", "Download the file and give the file itself."),
)

Result = Literal[
    "issued", "issued_wording", "changed", "number_only", "unknown_number", "false_signature", "not_ours", "not_found", "too_short", "cannot_tell"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Issue:
    """Whether this service issued something: the result, when, and which record says so (for those who may read it)."""

    result: Result
    at: datetime | None = None
    record: str = ""


@dataclass(frozen=True, slots=True)
class SeenText:
    """What a text says of itself: whether the words of a label stand at its beginning or end."""

    characters: int
    explicit: bool


class Allowance:
    """How often each address asked within the hour; the addresses of one IPv6 network (/64) are one. Forgets whom it has not seen longest."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, address: str, limit: int, now: float | None = None) -> bool:
        """Count one more and tell whether it is within the limit."""
        at = time.monotonic() if now is None else now
        key = _network_of(address)
        with self._lock:
            began, count = self._asked.pop(key, (at, 0))
            if at - began >= _HOUR_S:
                began, count = at, 0
            self._asked[key] = (began, min(count + 1, limit + 1))
            while len(self._asked) > _ADDRESSES:
                self._asked.popitem(last=False)
            return count < limit

    def clear(self) -> None:
        """Forget everybody."""
        with self._lock:
            self._asked.clear()


allowance: Final = Allowance()


def _network_of(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def admit(address: str) -> None:
    """Let an address ask once more. Raises CHECK-LIMIT."""
    limit = settings.SITE.verify.per_hour
    if not allowance.take(address, limit):
        raise GuijuError(CHECK_LIMIT, limit=limit)


@contextmanager
def one_of_few() -> Iterator[None]:
    """Be one of those who are looked after just now. Raises CHECK-BUSY at once when they are too many."""
    if not _inside.acquire(blocking=False):
        raise GuijuError(CHECK_BUSY)
    try:
        yield
    finally:
        _inside.release()


def look_at_file(file: IO[bytes], name: str = "") -> dict[str, Any]:
    """Return the row of `guiju inspect` for a file on disk, looked at in a process of its own; never more than two at a time.

    Of its name only the ending counts, and only for texts. A file that takes that process down, or takes too long, is `inconclusive`. Raises CHECK-BUSY.
    """
    if not _turns.acquire(timeout=_TURN_S):
        raise GuijuError(CHECK_BUSY)
    try:
        file.flush()
        file.seek(0)
        done = subprocess.run(
            [sys.executable, "-I", "-m", "guiju.labelling.cli.apart", *_ending_of(name)],
            stdin=file, capture_output=True, timeout=_WALL_S, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, check=False,
        )  # fmt: skip
        row: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else _unread("the reading process ended")
    except subprocess.TimeoutExpired:
        row = _unread("it took too long to read")
    except ValueError:
        row = _unread("the reading process gave no answer")
    finally:
        _turns.release()
    _count("file", row["verdict"])
    return row


def _ending_of(name: str) -> list[str]:
    ending = _ENDING.search(name)
    return [f"a{ending[0]}"] if ending else []


def look_at_url(url: str) -> dict[str, Any]:
    """Return the row of what a public URL leads to, and where it was fetched from. Raises CHECK-URLS-OFF, CHECK-BUSY, the FETCH- codes."""
    if settings.SITE.verify.urls != "on":
        raise GuijuError(CHECK_URLS_OFF)
    with tempfile.NamedTemporaryFile(prefix="guiju-") as kept:
        limits = Limits(size_bytes=settings.SITE.verify.upload_mb * MEBIBYTE, time_s=_FETCH_S)
        fetched = fetch(url, kept.file, limits=limits)
        return look_at_file(kept.file, urlsplit(fetched.url).path) | {"fetched_from": fetched.url}


def look_at_text(text: str) -> SeenText:
    """Tell whether a text carries the words of a label (GB 45438-2025 §5.1)."""
    plain = text.strip()
    explicit = holds_elements(plain[:_EDGE_CHARACTERS]) or holds_elements(plain[-_EDGE_CHARACTERS:])
    return SeenText(len(text), explicit)


def whose_file(row: dict[str, Any], services: Iterable[Service]) -> Issue:
    """Say whether this service issued a file that was looked at: by its label's number, the record of that number, and the file's hash."""
    label = row["label"]
    if label is None or row["damaged"] is not None:
        return Issue("cannot_tell")
    key = load_pseudonym_key(settings.DATA_FOLDER.keys)
    delivered = records.find_file(row["sha256"], (), key)
    if delivered is not None:  # byte for byte: whatever code this service has had since
        return Issue("issued", delivered[0].at, delivered[0].id)
    ours = {service.label.content_producer for service in services if service.label.content_producer}
    if not ours:
        return Issue("cannot_tell")
    numbers = [
        label[number] for code, number in (("ContentProducer", "ProduceID"), ("ContentPropagator", "PropagateID")) if label[code] in ours
    ]
    if not numbers:
        return Issue("not_ours")
    row["signatures"] = msgspec.to_builtins(check(_label_of(label), pinned(read_ring(settings.DATA_FOLDER.keys))))
    if any(each["result"] == "false" for each in row["signatures"]):
        return Issue("false_signature")
    found = records.find_file(row["sha256"], numbers, key)
    if found is not None:
        return Issue("changed", found[0].at, found[0].id)
    known = [each for number in numbers if (each := records.find_number(number)) and each.kind in _DELIVERED]
    return Issue("number_only", known[0].at, known[0].id) if known else Issue("unknown_number")


def whose_text(text: str, number: str, services: Iterable[Service]) -> Issue:
    """Say whether this service issued a text: by its fingerprints, or by the record of the number that came with it."""
    key = load_pseudonym_key(settings.DATA_FOLDER.keys)
    labels = [(service.id, service.label.text) for service in services]
    found = records.find_text(text, labels, key, number=number)
    if found is not None:
        issue = Issue("issued" if found.match == "exact" else "issued_wording", found.at, found.record)
    elif number:
        record = records.find_number(number)
        if record is None or record.kind not in _DELIVERED:
            issue = Issue("unknown_number")
        else:
            issue = Issue("changed" if records.holds_texts(record) else "number_only", record.at, record.id)
    else:
        issue = Issue("not_found" if records.is_findable(text) else "too_short")
    _count("text", issue.result)
    return issue


def _label_of(keys: dict[str, str]) -> FileLabel:
    return FileLabel(**dict(zip(FileLabel.__struct_fields__, (keys[key] for key in KEYS), strict=True)))


def _unread(reason: str) -> dict[str, Any]:
    from importlib.metadata import version

    from guiju.labelling.rows import RULES

    return {
        "file": "", "sha256": "", "size_bytes": 0, "container": "unknown", "verdict": "inconclusive", "state": None, "label": None, "places": [],
        "findings": [{"check": "container_walk", "outcome": "not_examined", "detail": reason}], "errors": [], "warnings": [], "traces": [],
        "signatures": [], "heard": None, "damaged": {"reason": reason, "at": 0}, "rules": RULES, "guiju": version("guiju"),
    }  # fmt: skip


def _count(way: str, result: str) -> None:
    day = timezone.now().astimezone(BEIJING).date()
    Verification.objects.get_or_create(day=day, way=way, result=result)
    Verification.objects.filter(day=day, way=way, result=result).update(count=F("count") + 1)
