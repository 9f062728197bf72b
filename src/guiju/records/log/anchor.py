"""Time stamps: an RFC 3161 authority says that it has seen a checkpoint, so all records below it existed at that time.

Stamps lie beside the ledger, one file for each: `anchors/<size>.json` with the checkpoint and the authority's whole answer. They
are optional and hinder nothing: an authority that does not answer costs a line in the log. Only the configured address is
asked; redirects, proxies of the environment and long answers are not followed. What comes is kept only when two checks
accept it: that of the rfc3161-client library, and that of the file with which inspectors check packs.
Source: RFC 3161; RFC 6962 §3 (a log is bound to time by its signed heads).
"""

import http.client
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from guiju.core.durable import write_new
from guiju.core.errors import GuijuError, Text, define
from guiju.records.log.note import stated_checkpoint
from guiju.records.offline.report import Broken
from guiju.records.offline.timestamp import check_time_stamp, read_pem

ANCHOR_REFUSED = define(
    "ANCHOR-REFUSED",
    status=502,
    kind="server_error",
    retry=True,
    zh=Text(
        "时间戳机构 {url} 没有给出有效的时间戳：{reason}。",
        "没有保存时间戳；账本与记录不受影响，稍后会再试。",
        "请检查 guiju.toml 的 [ledger] tsa_url 与 tsa_root_file，以及到该地址的网络。",
    ),
    en=Text(
        "The time-stamp authority {url} gave no valid time stamp: {reason}.",
        "No stamp was kept; ledger and records are not affected, and it will be tried again.",
        "Check tsa_url and tsa_root_file in [ledger] of guiju.toml, and the network to that address.",
    ),
)
ANCHOR_LIBRARY = define(
    "ANCHOR-LIBRARY",
    status=500,
    kind="server_error",
    zh=Text(
        "设置了时间戳机构，但没有安装 rfc3161-client。",
        "没有加盖时间戳；账本与记录不受影响。",
        "请安装 guiju[timestamps]，或清空 tsa_url。",
    ),
    en=Text(
        "A time-stamp authority is set, but rfc3161-client is not installed.",
        "Nothing was stamped; ledger and records are not affected.",
        "Install guiju[timestamps], or leave tsa_url empty.",
    ),
)
ANCHOR_UNSET = define(
    "ANCHOR-UNSET",
    status=409,
    kind="invalid_request_error",
    zh=Text("没有设置时间戳机构。", "没有加盖时间戳。", "请在 guiju.toml 的 [ledger] 写明 tsa_url 与 tsa_root_file，然后重新启动。"),
    en=Text(
        "No time-stamp authority is set.",
        "Nothing was stamped.",
        "Set tsa_url and tsa_root_file in [ledger] of guiju.toml, then start again.",
    ),
)
ANCHOR_DAMAGED = define(
    "ANCHOR-DAMAGED",
    status=500,
    kind="server_error",
    zh=Text(
        "时间戳文件 {path} 无法读取：{reason}。",
        "账本、记录和其他时间戳不受影响。",
        "请从备份恢复该文件；没有备份时，下一个时间戳只能证明以后的时间。",
    ),
    en=Text(
        "The time stamp {path} cannot be read: {reason}.",
        "The ledger, the records and the other stamps are not affected.",
        "Restore the file from a backup; without one the next stamp proves a later time only.",
    ),
)

FOLDER: Final = "anchors"
_ANSWER_BYTES: Final = 2**17
_PIECE_BYTES: Final = 2**14


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """One time stamp: the checkpoint that was stamped, and the authority's answer (TimeStampResp in DER)."""

    size: int
    checkpoint: str
    token: bytes

    def stamped_at(self, roots: list[bytes]) -> datetime:
        """Return when the authority has seen the checkpoint, by the check that inspectors use. Raises Broken."""
        return check_time_stamp(self.token, self.checkpoint.encode(), roots)


def stamp(ledger: Path, note: bytes, url: str, root_file: Path, *, within_s: float = 20.0) -> Anchor:
    """Have a checkpoint stamped, check the stamp and keep it beside the ledger.

    Raises ANCHOR-REFUSED when there is no answer in time, or none that both checks accept; ANCHOR-LIBRARY.
    """
    try:
        from rfc3161_client import TimestampRequestBuilder, VerificationError, VerifierBuilder, decode_timestamp_response
        from rfc3161_client.base import HashAlgorithm
    except ImportError:
        raise GuijuError(ANCHOR_LIBRARY) from None
    from cryptography.x509 import load_der_x509_certificate

    request = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        roots = read_pem(root_file.read_bytes())
        token = _ask(url, request.as_bytes(), time.monotonic() + within_s)
        response = decode_timestamp_response(token)
        builder = VerifierBuilder.from_request(request)
        for root in roots:
            builder = builder.add_root_certificate(load_der_x509_certificate(root))
        builder.build().verify_message(response, note)
        anchor = Anchor(size=stated_checkpoint(note).size, checkpoint=note.decode(), token=token)
        anchor.stamped_at(roots)
    except (OSError, http.client.HTTPException, Broken, VerificationError, ValueError) as problem:
        raise GuijuError(ANCHOR_REFUSED, url=url, reason=str(problem) or type(problem).__name__) from problem
    folder = ledger / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_new(folder / f"{anchor.size:012d}.json", msgspec.json.encode(anchor) + b"\n")  # an earlier stamp of this size is worth more
    return anchor


def list_anchors(ledger: Path) -> list[Path]:
    """Return the files of all time stamps, in the order of the log."""
    return sorted((ledger / FOLDER).glob("[0-9]*.json"))


def read_anchor(path: Path) -> Anchor:
    """Return one time stamp; whether it holds is another question. Raises ANCHOR-DAMAGED."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Anchor)
    except (OSError, msgspec.DecodeError) as problem:
        raise GuijuError(ANCHOR_DAMAGED, path=path, reason=str(problem)) from problem


def newest_anchor(ledger: Path) -> tuple[int, datetime] | None:
    """Return size and time of writing of the newest stamp, from its file's name and time; None before the first."""
    paths = list_anchors(ledger)
    return (int(paths[-1].stem), datetime.fromtimestamp(paths[-1].stat().st_mtime, UTC)) if paths else None


def _ask(url: str, body: bytes, deadline: float) -> bytes:
    """Return what the authority answers: one request to one address, no redirect, no proxy, a bounded answer in bounded time."""
    parts = urlsplit(url)
    host, left = parts.hostname or "", deadline - time.monotonic()
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=left, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=left)
    try:
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        connection.request("POST", parts.path or "/", body, headers)
        with connection.getresponse() as answer:
            return _bounded(answer, deadline)
    finally:
        connection.close()


def _bounded(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    if answer.status != 200:
        raise ValueError(f"it answered with status {answer.status}")
    found = b""
    while len(found) <= _ANSWER_BYTES:
        if time.monotonic() > deadline:
            raise TimeoutError("it took too long to answer")
        piece = answer.read1(_PIECE_BYTES)
        if not piece:
            return found
        found += piece
    raise ValueError(f"its answer is longer than {_ANSWER_BYTES} bytes")
