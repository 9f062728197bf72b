"""The change of the site key: begun, overlapping, ended. Killed at any instant, the site works and the next call goes on.

Begin: 1. the new key's file; 2. the ring names it as planned; 3. the record is committed; 4. the ring lets it sign, in one
replacement of one file, and lets the old one sign beside it until its time; 5. the bundle in force is signed anew.
End: 1. the bundle in force is signed by the new key alone; 2. the record is committed; 3. the ring closes the old key's
span at the last checkpoint; 4. its private half is removed. A kill between a record and the ring leaves the record twice.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from django.conf import settings

from guiju.core.durable import replace
from guiju.core.errors import GuijuError, Text, define
from guiju.core.keys import create_site_key, load_accepted_public_keys, load_ring, load_site_key
from guiju.core.layout import DataFolder
from guiju.core.site_keys import Ring, SiteKey, public_text, signing_key, write_ring
from guiju.gateway.bundle import resign_bundle
from guiju.records import flow
from guiju.records.log.note import stated_checkpoint
from guiju.records.log.signers import endorse
from guiju.records.log.tiles import read_checkpoint

KEY_CHANGE_OPEN = define(
    "KEY-CHANGE-OPEN",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "上一次更换站点密钥尚未结束：旧密钥仍与新密钥一同签名，直到 {until}。",
        "没有生成新密钥，两个密钥照常签名。",
        "请等到该时间，或用 --finish 提前结束，然后再更换。",
    ),
    en=Text(
        "The last change of the site key is not over: the old key signs beside the new one until {until}.",
        "No key was made; both keys go on signing.",
        "Wait until then, or end it early with --finish, then change the key again.",
    ),
)
KEY_CHANGE_NONE = define(
    "KEY-CHANGE-NONE",
    status=409,
    kind="invalid_request_error",
    zh=Text("没有正在进行的站点密钥更换。", "密钥没有变化。", "要更换密钥，请运行 guiju records rotate-site-key。"),
    en=Text("No change of the site key is under way.", "The keys are unchanged.", "To change the key, run guiju records rotate-site-key."),
)

OVERLAP: Final = timedelta(days=7)
log = logging.getLogger("guiju.records")


@dataclass(frozen=True, slots=True)
class Change:
    """What a call has done: the key that signs now, and the one that leaves or has left."""

    signing: SiteKey
    leaving: SiteKey


def begin(actor: str, overlap: timedelta = OVERLAP, now: datetime | None = None) -> Change:
    """Put a new site key in force; the old one signs beside it for `overlap`. Leaves `records.key.changed`.

    Checkpoints carry both signatures meanwhile; bundles are good under either. Takes up a change that was killed halfway.
    Raises KEY-CHANGE-OPEN while an earlier change overlaps.
    """
    folder, origin = _site()
    with _one_at_a_time(folder.keys):
        ring = load_ring(folder.keys)
        leaving = _leaving(ring)
        if leaving is not None:
            raise GuijuError(KEY_CHANGE_OPEN, until=leaving.leaves_at)
        begun = now or datetime.now(UTC)
        old = signing_key(ring)
        planned = next((key for key in ring if key.state == "planned"), None)
        if planned is None:
            name, public = create_site_key(folder.keys)
            planned = SiteKey(public=public_text(public), file=name, state="planned", from_size=_size(folder), from_at=_text(begun))
            planned = msgspec.structs.replace(planned, endorsement=endorse(origin, planned, load_site_key(folder.keys)))
            ring = (*ring, planned)
            write_ring(folder.keys, ring)
        leaves_at = _text(begun + overlap)
        facts: dict[str, object] = {"new": planned.public, "old": old.public, "from_size": planned.from_size, "old_signs_until": leaves_at}
        flow.append(kind="records.key.changed", actor=actor, metadata=facts | {"endorsement": planned.endorsement})
        old = msgspec.structs.replace(old, state="leaving", leaves_at=leaves_at)
        new = msgspec.structs.replace(planned, state="signing")
        write_ring(folder.keys, (*(key for key in ring if key.state == "retired"), old, new))
        _settle(folder)
    return Change(new, old)


def finish(actor: str, now: datetime | None = None) -> Change:
    """Let the old key sign no more: close its span, remove its private half. Leaves `records.key.retired`.

    Raises KEY-CHANGE-NONE when no change is under way.
    """
    folder, _ = _site()
    with _one_at_a_time(folder.keys):
        ring = load_ring(folder.keys)
        old = _leaving(ring)
        if old is None:
            raise GuijuError(KEY_CHANGE_NONE)
        _settle(folder)
        size, at = _size(folder), _text(now or datetime.now(UTC))
        flow.append(kind="records.key.retired", actor=actor, metadata={"old": old.public, "until_size": size})
        # A checkpoint that is being signed now may still carry the old signature; it then carries the new one too.
        left = msgspec.structs.replace(old, state="retired", until_size=size, until_at=at)
        write_ring(folder.keys, tuple(left if key is old else key for key in ring))
        (folder.keys / old.file).unlink(missing_ok=True)
    return Change(signing_key(ring), left)


def finish_if_due(now: datetime | None = None) -> bool:
    """End a change whose overlap is over. Return whether one was ended."""
    folder, _ = _site()
    old = _leaving(load_ring(folder.keys))
    if old is None or datetime.fromisoformat(old.leaves_at) > (now or datetime.now(UTC)):
        return False
    finish("recorder", now)
    return True


def tidy() -> None:
    """Do what a kill has left of a change: the published half, the bundle, the private halves of keys that are retired."""
    folder, _ = _site()
    if len(load_ring(folder.keys)) > 1:
        with _one_at_a_time(folder.keys):
            _settle(folder)
            for key in load_ring(folder.keys):
                if key.state == "retired":
                    (folder.keys / key.file).unlink(missing_ok=True)


def _settle(folder: DataFolder) -> None:
    """Make what follows from the ring: the published half in `site.pub`, and the bundle in force signed by the newest key."""
    public = signing_key(load_ring(folder.keys)).public_key().public_bytes_raw()
    path = folder.keys / "site.pub"
    if not path.exists() or path.read_bytes() != public:
        replace(path, public)
    if (folder.bundles / "current").exists():
        resign_bundle(folder.bundles, load_accepted_public_keys(folder.keys), load_site_key(folder.keys))


def _site() -> tuple[DataFolder, str]:
    return settings.DATA_FOLDER, settings.SITE.ledger.origin


def _leaving(ring: Ring) -> SiteKey | None:
    return next((key for key in ring if key.state == "leaving"), None)


def _size(folder: DataFolder) -> int:
    note = read_checkpoint(folder.ledger)
    return stated_checkpoint(note).size if note is not None else 0


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


@contextmanager
def _one_at_a_time(keys: Path) -> Iterator[None]:
    descriptor = os.open(keys / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
