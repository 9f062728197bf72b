"""Keyword libraries: import, put in force, read the one in force. Each change leaves a record."""

import re
from functools import lru_cache

from django.db import transaction
from django.utils import timezone

from guiju.core.errors import GuijuError, Text, define
from guiju.records import flow as records
from guiju.screening.library import Library, parse_csv, parse_yaml
from guiju.screening.models import LibraryVersion
from guiju.screening.snapshot import Snapshot

LIBRARY_UNKNOWN = define(
    "LIBRARY-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("没有版本以 {version} 开头的关键词库，或有多个。", "正在使用的词库不变。", "请用 guiju library list 查看版本，并写全版本号。"),
    en=Text(
        "No keyword library, or more than one, has a version that begins with {version}.",
        "The library in force is unchanged.",
        "List the versions with guiju library list and give the version in full.",
    ),
)
LIBRARY_MISSING = define(
    "LIBRARY-MISSING",
    status=503,
    kind="server_error",
    zh=Text(
        "没有启用任何关键词库。",
        "没有发布运行包，仍按上一个运行包提供服务。",
        "请在控制台启用一个关键词库，或运行 guiju library activate。",
    ),
    en=Text(
        "No keyword library is in force.",
        "No bundle was published; the last bundle stays in force.",
        "Put a library in force in the console, or with guiju library activate.",
    ),
)


def read_library(name: str, raw: bytes) -> Library:
    """Return the library in a file; `name` says whether it is YAML (`.yaml`, `.yml`) or CSV (all others).

    Raises LIBRARY-INVALID with every mistake and its line.
    """
    return parse_yaml(raw, name) if name.lower().endswith((".yaml", ".yml")) else parse_csv(raw, name)


def import_library(name: str, raw: bytes, actor: str) -> LibraryVersion:
    """Keep a new keyword library as a draft; leave `screening.library.imported`.

    Equal content is an equal version: importing it again changes nothing and returns the one that is kept.
    Raises LIBRARY-INVALID and keeps nothing when a row is wrong.
    """
    library = read_library(name, raw)
    with transaction.atomic():
        kept, created = LibraryVersion.objects.get_or_create(
            version=library.version,
            defaults={"name": name[:200], "body": library.csv, "entries": len(library.entries), "imported_by": actor},
        )
        if created:
            records.append(
                kind="screening.library.imported",
                actor=actor,
                metadata={
                    "library": library.version,
                    "name": name[:200],
                    "entries": len(library.entries),
                    "by_risk": library.count_by_risk(),
                },
            )
    return kept


def activate_library(version: str, actor: str) -> LibraryVersion:
    """Put a version in force, retire the one before, leave `screening.library.activated` and publish the bundle.

    `version` may be cut short to 8 digits or more. Raises LIBRARY-UNKNOWN. When publishing fails, its error is
    raised, the choice stays, and `guiju publish` puts it in force.
    """
    chosen = get_version(version)
    with transaction.atomic():
        before = LibraryVersion.objects.select_for_update().filter(state=LibraryVersion.State.ACTIVE).first()
        if before is None or before.version != chosen.version:
            if before is not None:
                LibraryVersion.objects.filter(version=before.version).update(state=LibraryVersion.State.RETIRED)
            LibraryVersion.objects.filter(version=chosen.version).update(state=LibraryVersion.State.ACTIVE, activated_at=timezone.now())
            records.append(
                kind="screening.library.activated",
                actor=actor,
                metadata={
                    "library": chosen.version,
                    "name": chosen.name,
                    "entries": chosen.entries,
                    "before": before.version if before else "",
                },
            )
    from guiju.services import flow as services  # here, because publishing reads the active library from this module

    services.publish(actor=actor)
    chosen.refresh_from_db()
    return chosen


def get_version(version: str) -> LibraryVersion:
    """Return the version that begins with these digits (8 or more). Raises LIBRARY-UNKNOWN."""
    found = list(LibraryVersion.objects.filter(version__startswith=version)[:2]) if re.fullmatch("[0-9a-f]{8,64}", version) else []
    if len(found) != 1:
        raise GuijuError(LIBRARY_UNKNOWN, version=version)
    return found[0]


def active_library() -> Library:
    """Return the library in force. Raises LIBRARY-MISSING when there is none."""
    active = find_active()
    if active is None:
        raise GuijuError(LIBRARY_MISSING)
    return library_of(active.version)


def find_active() -> LibraryVersion | None:
    """Return the version in force, its rows left in the database; None when there is none."""
    return LibraryVersion.objects.defer("body").filter(state=LibraryVersion.State.ACTIVE).first()


@lru_cache(maxsize=4)
def library_of(version: str) -> Library:
    """Return the library of one kept version, by its whole version; content-hashed, so it may be remembered."""
    kept = LibraryVersion.objects.get(version=version)
    return parse_csv(bytes(kept.body), kept.name)


@lru_cache(maxsize=2)
def snapshot_of(version: str) -> Snapshot:
    """Return the matcher of one kept version, for trying texts; content-hashed, so it may be remembered."""
    return Snapshot(library_of(version).entries, version)
