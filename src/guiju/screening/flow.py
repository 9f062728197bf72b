"""Keyword libraries: import, have them reviewed, put them in force, go back to one, read the one in force.

Each step leaves a record and a line of the history. Where `screening.library_people` is 2, what one person imported comes
into force only after another has reviewed it. What would drop much of what is in force is put there by nobody who did not say so.
Source: GB/T 45654-2025 App. B; Measures Arts. 4, 14.
"""

import logging
import re
from datetime import datetime
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from guiju.core.errors import GuijuError, Text, define
from guiju.core.settings import Screening
from guiju.records import flow as records
from guiju.screening.libraries.formats import read_library
from guiju.screening.libraries.library import Library, parse_csv, starter_library
from guiju.screening.libraries.replacing import Loss, count_new, find_loss
from guiju.screening.libraries.sizing import SIGNED, Counts, Profile, Sizing, count_rows, get_profile, size_counts
from guiju.screening.matching.snapshot import Snapshot
from guiju.screening.models import LibraryStep, LibraryVersion

__all__ = ["read_library"]

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


REVIEW_NEEDED = define(
    "LIBRARY-REVIEW-NEEDED",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "词库 {version} 由 {importer} 导入，还没有经另一人审核。",
        "没有启用，正在使用的词库不变。",
        "请有审核权限的另一人在控制台的词库页审核；之后再启用。",
    ),
    en=Text(
        "Library {version} was imported by {importer} and nobody else has reviewed it.",
        "It was not put in force; the library in force is unchanged.",
        "Let another person with the right to review look at it on the library page; then put it in force.",
    ),
)
REVIEW_REFUSED = define(
    "LIBRARY-REVIEW-REFUSED",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "词库 {version} 不能由 {actor} 审核：{reason_zh}。", "词库的状态不变，没有留下审核记录。", "请由导入者以外的人审核待启用的词库。"
    ),
    en=Text(
        "Library {version} cannot be reviewed by {actor}: {reason}.",
        "Its state is unchanged and no review is on record.",
        "Let somebody other than who imported it review a draft.",
    ),
)
PROVENANCE_MISSING = define(
    "LIBRARY-PROVENANCE",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "词库 {version} 有 {source} 条没有来源，{reviewer} 条没有审核人，{reviewed_on} 条没有审核日期。",
        "没有启用，正在使用的词库不变。",
        "请补全后重新导入；或在设置中将 screening.library_provenance 改为 optional。",
    ),
    en=Text(
        "Library {version} has {source} rows without source, {reviewer} without reviewer and {reviewed_on} without day of review.",
        "It was not put in force; the library in force is unchanged.",
        "Fill them in and import it again, or set screening.library_provenance to optional.",
    ),
)
log = logging.getLogger("guiju.screening")

REASON_MISSING = define(
    "LIBRARY-REASON",
    status=400,
    kind="invalid_request_error",
    zh=Text("回退到以前用过的词库 {version} 须写明理由。", "没有回退，正在使用的词库不变。", "请写明至少四个字的理由后再试。"),
    en=Text(
        "Going back to library {version}, which was in force before, needs a reason.",
        "Nothing was rolled back; the library in force is unchanged.",
        "Give a reason of four characters or more and try again.",
    ),
)
EMPTY = define(
    "LIBRARY-EMPTY",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "词库 {version}（{name}）没有任何词条，启用后什么也不会被审查出来。",
        "没有启用，正在使用的词库不变。",
        "请导入有词条的词库后再启用。",
    ),
    en=Text(
        "Library {version} ({name}) holds no term; with it in force nothing would be found.",
        "It was not put in force; the library in force is unchanged.",
        "Import a library that has terms and put that in force.",
    ),
)
LOSS = define(
    "LIBRARY-LOSS",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "启用词库 {version}（{after} 条）会去掉正在使用的 {before} 条中的 {dropped} 条{risks_zh}。",
        "没有启用，正在使用的词库不变。",
        "若非有意：用 guiju library export 导出正在使用的词库，加上自己的词条后重新导入。若确要如此：在控制台词库页启用时写明理由并确认，或运行 "
        "guiju library activate {version} --dropping {dropped} --reason 理由（至少四个字）；条数与理由留下记录。",
    ),
    en=Text(
        "Library {version} ({after} entries) would drop {dropped} of the {before} entries in force{risks}.",
        "It was not put in force; the library in force is unchanged.",
        "If you did not mean this: export the library in force with guiju library export, add your own terms and import the whole. If you do: "
        "put it in force on the library page, with a reason, or run guiju library activate {version} --dropping {dropped} --reason REASON (four "
        "characters or more); the figure and the reason go on record.",
    ),
)
REASON_CHARACTERS: Final = 4
REASON_LONGEST: Final = 200
RISKS_NAMED: Final = 6
EARLIER: Final = 30
"""With how many activations before it one is compared for new terms: half a year of weekly ones, some 10 ms each, once in a process."""


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
            record = records.append(
                kind="screening.library.imported",
                actor=actor,
                metadata={
                    "library": library.version,
                    "name": name[:200],
                    "entries": len(library.entries),
                    "by_risk": library.count_by_risk(),
                },
            )
            LibraryStep.objects.create(library=kept, what=LibraryStep.What.IMPORTED, actor=actor, record=record)
    return kept


def review_library(version: str, actor: str, reason: str = "") -> LibraryVersion:
    """Review a draft that somebody else imported; leave `screening.library.reviewed`.

    Raises LIBRARY-UNKNOWN, and LIBRARY-REVIEW-REFUSED for one's own import and for what is no draft (any more).
    """
    chosen = get_version(version)
    said = reason.strip()[:REASON_LONGEST]
    with transaction.atomic():
        drafts = LibraryVersion.objects.filter(version=chosen.version, state=LibraryVersion.State.DRAFT).exclude(imported_by=actor)
        if not drafts.update(state=LibraryVersion.State.REVIEWED, reviewed_by=actor, reviewed_at=timezone.now()):
            chosen.refresh_from_db()
            own = chosen.state == LibraryVersion.State.DRAFT
            raise GuijuError(
                REVIEW_REFUSED,
                version=chosen.version[:12],
                actor=actor,
                reason="it is their own import" if own else f"it is {chosen.state}, no draft",
                reason_zh="由其本人导入" if own else f"它的状态是“{chosen.get_state_display()}”",
            )
        facts: dict[str, object] = {"library": chosen.version, "name": chosen.name, "imported_by": chosen.imported_by}
        record = records.append(kind="screening.library.reviewed", actor=actor, metadata=facts | ({"reason": said} if said else {}))
        LibraryStep.objects.create(library=chosen, what=LibraryStep.What.REVIEWED, actor=actor, reason=said, record=record)
    chosen.refresh_from_db()
    return chosen


def activate_library(version: str, actor: str, reason: str = "", *, dropping: int = 0) -> LibraryVersion:
    """Put a version in force, retire the one before, leave `screening.library.activated` and publish the bundle.

    `version` may be cut short to 8 digits or more. A version that was in force before comes back with a reason: a roll-back.
    What drops much of what is in force (`Loss.much`) takes a reason, and `dropping`: how many entries the caller knows to go. A roll-back
    takes its reason for both. Raises LIBRARY-UNKNOWN, LIBRARY-EMPTY, LIBRARY-REVIEW-NEEDED, LIBRARY-PROVENANCE, LIBRARY-REASON,
    LIBRARY-LOSS. When publishing fails, its error is raised, the choice stays, and `guiju publish` puts it in force.
    """
    chosen, said = get_version(version), reason.strip()[:REASON_LONGEST]
    with transaction.atomic():
        before = LibraryVersion.objects.select_for_update().filter(state=LibraryVersion.State.ACTIVE).first()
        if before is None or before.version != chosen.version:
            back = chosen.activated_at is not None
            if not chosen.entries:  # imported by an earlier release, which took empty files
                raise GuijuError(EMPTY, version=chosen.version[:12], name=chosen.name)
            if back and len(said) < REASON_CHARACTERS:
                raise GuijuError(REASON_MISSING, version=chosen.version[:12])
            if not back:
                _check_ready(chosen)
            loss = find_loss(library_of(before.version), library_of(chosen.version)) if before else Loss()
            if loss.much and not back and (loss.dropped != dropping or len(said) < REASON_CHARACTERS):
                raise _loss_refused(chosen, loss)
            if before is not None:
                LibraryVersion.objects.filter(version=before.version).update(state=LibraryVersion.State.RETIRED)
            LibraryVersion.objects.filter(version=chosen.version).update(state=LibraryVersion.State.ACTIVE, activated_at=timezone.now())
            metadata: dict[str, object] = {
                "library": chosen.version,
                "name": chosen.name,
                "entries": chosen.entries,
                "before": before.version if before else "",
            }
            metadata |= {"rolled_back": True} if back else {}
            metadata |= {"dropped": {"entries": loss.dropped, "of": loss.entries, "risks": list(loss.risks)}} if loss.much else {}
            metadata |= {"reason": said} if said else {}
            metadata |= {"reviewed_by": chosen.reviewed_by} if chosen.reviewed_by else {}
            record = records.append(kind="screening.library.activated", actor=actor, metadata=metadata)
            LibraryStep.objects.create(
                library=chosen,
                what=LibraryStep.What.ROLLED_BACK if back else LibraryStep.What.ACTIVATED,
                actor=actor,
                reason=said,
                before=before.version if before else "",
                record=record,
            )
    from guiju.services import flow as services  # here, because publishing reads the active library from this module

    services.publish(actor=actor)
    chosen.refresh_from_db()
    return chosen


def _check_ready(chosen: LibraryVersion) -> None:
    """Refuse what has not been reviewed or signed for as the settings ask. What was in force once has been through this."""
    asked: Screening = settings.SITE.screening
    first = not LibraryVersion.objects.filter(activated_at__isnull=False).exists()
    if first and chosen.version == starter_library().version:
        return  # a first start has nobody to ask, and without a library nothing would be screened
    if asked.library_people > 1 and chosen.state != LibraryVersion.State.REVIEWED:
        raise GuijuError(REVIEW_NEEDED, version=chosen.version[:12], importer=chosen.imported_by)
    if asked.library_provenance == "required":
        rows = library_of(chosen.version).rows()
        missing = {column: sum(not fields[column] for fields in rows) for column in SIGNED}
        if any(missing.values()):
            raise GuijuError(PROVENANCE_MISSING, version=chosen.version[:12], **missing)


def _loss_refused(chosen: LibraryVersion, loss: Loss) -> GuijuError:
    named = loss.risks[:RISKS_NAMED]
    more_zh, more = (f" 等 {len(loss.risks)} 类", f" and {len(loss.risks) - len(named)} more") if len(loss.risks) > len(named) else ("", "")
    return GuijuError(
        LOSS,
        version=chosen.version[:12],
        after=chosen.entries,
        before=loss.entries,
        dropped=loss.dropped,
        risks=f", and leave no term of equal force for {', '.join(named)}{more}" if named else "",
        risks_zh=f"，{'、'.join(named)}{more_zh}不再有同等效力的词条" if named else "",
    )


def size_version(version: str, profile: str = "") -> Sizing:
    """Return how a version stands against a profile, that of the settings by default. Raises LIBRARY-UNKNOWN, LIBRARY-PROFILE."""
    return size_kept(get_version(version).version, profile)


def size_kept(version: str, profile: str = "") -> Sizing:
    """Return the same for a version that is known to be kept, by its whole version. Raises LIBRARY-PROFILE."""
    measured = get_profile(profile) if profile else profile_in_use()
    return size_counts(version, _counts_of(version), measured, renewed_at=last_renewal(), now=timezone.now())


@lru_cache(maxsize=4)
def _counts_of(version: str) -> Counts:
    """Return what there is in a kept version; content-hashed, so it may be remembered."""
    return count_rows(_body_of(version))


def profile_in_use() -> Profile:
    """Return the profile that the settings name. Raises LIBRARY-PROFILE."""
    return get_profile(settings.SITE.screening.library_profile)


def last_renewal() -> datetime | None:
    """Return when a library with new terms last came into force: with some that none of the `EARLIER` activations before it had.

    A roll-back is no renewal, nor is what only drops or re-orders terms. None before the first.
    """
    what = LibraryStep.What
    put = LibraryStep.objects.filter(what__in=(what.ACTIVATED, what.ROLLED_BACK))
    steps: list[tuple[str, datetime, str]] = list(put.values_list("what", "at", "library_id"))
    for place, (done, at, version) in enumerate(steps, 1):
        if done == what.ACTIVATED and _has_new_terms(version, tuple(step[2] for step in steps[place : place + EARLIER])):
            return at
    return None


@lru_cache(maxsize=64)
def _has_new_terms(version: str, earlier: tuple[str, ...]) -> bool:
    """Tell whether a kept version has a term that none of the earlier ones has; content-hashed, so it may be remembered."""
    return count_new(_body_of(version), (_body_of(each) for each in dict.fromkeys(earlier))) > 0


def _body_of(version: str) -> bytes:
    return bytes(LibraryVersion.objects.values_list("body", flat=True).get(version=version))


def list_steps(limit: int) -> list[LibraryStep]:
    """Return the latest steps of all libraries, newest first."""
    return list(LibraryStep.objects.select_related("library").defer("library__body")[:limit])


def find_former() -> LibraryVersion | None:
    """Return the version that was in force before the one that is; None when there was none."""
    latest = LibraryStep.objects.exclude(before="").filter(what__in=(LibraryStep.What.ACTIVATED, LibraryStep.What.ROLLED_BACK)).first()
    return LibraryVersion.objects.defer("body").filter(version=latest.before).first() if latest else None


def get_version(version: str) -> LibraryVersion:
    """Return the version that begins with these digits (8 or more). Raises LIBRARY-UNKNOWN."""
    found = (
        list(LibraryVersion.objects.defer("body").filter(version__startswith=version)[:2])
        if re.fullmatch("[0-9a-f]{8,64}", version)
        else []
    )
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
    """Return the library of one kept version, by its whole version; content-hashed, so it may be remembered.

    Rows that an import would refuse today are kept and told in the log: a library that was accepted once is never refused.
    """
    kept = LibraryVersion.objects.get(version=version)
    library = parse_csv(bytes(kept.body), kept.name, kept=True)
    if library.told:
        log.warning(
            "library %s (%s) has %d rows that an import would refuse today, first line %d: %s; all rows are kept. Correct them in the next version.",
            kept.version[:12], kept.name, len(library.told), library.told[0].line, library.told[0].reason_en,
        )  # fmt: skip
    return library


@lru_cache(maxsize=2)
def snapshot_of(version: str) -> Snapshot:
    """Return the matcher of one kept version, for trying texts; content-hashed, so it may be remembered."""
    return Snapshot(library_of(version).entries, version)
