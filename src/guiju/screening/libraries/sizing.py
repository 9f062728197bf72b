"""Is the keyword library what the standard asks for? Counts by risk, renewal, and who stands for each row, against a dated profile.

The figures are data (`profiles/*.yaml`), each with its source, whether it is a must or a should, and whether anybody compared it with
the official text. Nothing here changes anything.
Source: GB/T 45654-2025 App. B; TC260-003 8.1.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any, Final, Literal

import msgspec
import yaml

from guiju.core.errors import GuijuError, Text, define
from guiju.screening.libraries.library import Library, rows_of
from guiju.screening.risks import RISKS, Risk

PROFILE_UNKNOWN = define(
    "LIBRARY-PROFILE",
    status=404,
    kind="not_found_error",
    zh=Text("没有名为 {profile} 的核对标准。", "没有核对，词库不变。", "请用其中之一：{known}。"),
    en=Text("There is no profile {profile}.", "Nothing was checked; the library is unchanged.", "Use one of these: {known}."),
)
DEFAULT_PROFILE: Final = "gbt45654@2025"
SIGNED: Final = ("source", "reviewer", "reviewed_on")
"""Columns that say who stands for a row, and on what ground."""


class Figure(msgspec.Struct, frozen=True):
    """How many there must or should be at least. `mark` S: read in a secondary source."""

    least: int
    force: Literal["must", "should"]
    source: str
    mark: str


class Renewal(msgspec.Struct, frozen=True):
    """How often the library is renewed at least; `unclear` where sources differ on whether it is a must."""

    days: int
    force: Literal["must", "should", "unclear"]
    source: str
    mark: str


class Profile(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """One reading of the requirements on a library. `risks` gives the least for each risk of a group (`A.1`) or for one risk (`A.1.f`)."""

    profile: str
    zh: str
    en: str
    nature_zh: str
    nature_en: str
    from_: date
    read_on: date
    confirmed: bool
    total: Figure
    risks: dict[str, Figure]
    renewal: Renewal

    def figure_of(self, risk: Risk) -> Figure | None:
        """Return what the profile asks of a risk; None where it asks nothing."""
        return self.risks.get(risk.id) or self.risks.get(risk.group)

    def least(self) -> dict[str, int]:
        """Return risk id → how many terms it should have, for the risks that the profile names."""
        return {risk.id: figure.least for risk in RISKS if (figure := self.figure_of(risk)) is not None}


@dataclass(frozen=True, slots=True)
class RiskCount:
    """How many terms a risk has, and what the profile asks; `least` is 0 where it asks nothing."""

    risk: Risk
    terms: int
    least: int

    @property
    def short(self) -> int:
        """How many are missing."""
        return max(0, self.least - self.terms)

    @property
    def share(self) -> int:
        """How far it is filled, in percent, at most 100."""
        return min(100, 100 * self.terms // self.least) if self.least else 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What there is in one library: rows in all, by risk, and without each column that signs for them."""

    total: int
    risks: dict[str, int]
    unsigned: dict[str, int]


@dataclass(frozen=True, slots=True)
class Sizing:
    """One library against one profile. `renewed_at` is None where it is not known; `unsigned` counts rows by what they lack."""

    profile: Profile
    version: str
    total: int
    counts: tuple[RiskCount, ...]
    unsigned: dict[str, int]
    renewed_at: datetime | None
    now: datetime

    @property
    def total_short(self) -> int:
        """How many terms are missing in all."""
        return max(0, self.profile.total.least - self.total)

    @property
    def empty(self) -> tuple[RiskCount, ...]:
        """Risks that must have terms and have none: the provider's own filing material."""
        return tuple(each for each in self.counts if each.least and not each.terms)

    @property
    def short(self) -> tuple[RiskCount, ...]:
        """Risks that have fewer terms than they should."""
        return tuple(each for each in self.counts if each.short)

    @property
    def due_at(self) -> datetime | None:
        """Until when the library is to be renewed; None where its last renewal is not known."""
        return self.renewed_at + timedelta(days=self.profile.renewal.days) if self.renewed_at else None

    @property
    def overdue(self) -> bool | None:
        """Whether that has passed; None where nothing is known."""
        return self.due_at < self.now if self.due_at else None

    @property
    def met(self) -> bool:
        """Whether everything is as the profile asks, every row is signed for, and the renewal is known and in time."""
        return not (self.total_short or self.short or any(self.unsigned.values()) or self.overdue is not False)


@lru_cache(maxsize=1)
def load_profiles() -> dict[str, Profile]:
    """Return the profiles that come along, by name, newest first."""
    files = resources.files("guiju.screening.libraries").joinpath("profiles").iterdir()
    found = [msgspec.convert(yaml.safe_load(file.read_text()), Profile) for file in files if file.name.endswith(".yaml")]
    return {each.profile: each for each in sorted(found, key=lambda each: each.from_, reverse=True)}


def get_profile(name: str = DEFAULT_PROFILE) -> Profile:
    """Return a profile by its name. Raises LIBRARY-PROFILE."""
    known = load_profiles()
    if name not in known:
        raise GuijuError(PROFILE_UNKNOWN, profile=name, known=", ".join(known))
    return known[name]


def count_rows(canonical: bytes) -> Counts:
    """Return what there is in a library's canonical CSV."""
    rows = rows_of(canonical)
    return Counts(
        len(rows), dict(Counter(row["risk"] for row in rows)), {column: sum(not row[column] for row in rows) for column in SIGNED}
    )


def size_library(library: Library, profile: Profile, *, renewed_at: datetime | None, now: datetime) -> Sizing:
    """Return how a library stands against a profile. `renewed_at` is when what is in force last became other terms."""
    return size_counts(library.version, count_rows(library.csv), profile, renewed_at=renewed_at, now=now)


def size_counts(version: str, counts: Counts, profile: Profile, *, renewed_at: datetime | None, now: datetime) -> Sizing:
    """Return the same from what was counted."""
    least = profile.least()
    risks = tuple(RiskCount(risk, counts.risks.get(risk.id, 0), least.get(risk.id, 0)) for risk in RISKS)
    return Sizing(profile, version, counts.total, risks, dict(counts.unsigned), renewed_at, now)


def as_json(sizing: Sizing) -> dict[str, Any]:
    """Return the finding as plain values for `--json`."""
    profile = sizing.profile
    return {
        "profile": profile.profile,
        "figures_confirmed": profile.confirmed,
        "version": sizing.version,
        "met": sizing.met,
        "total": {"terms": sizing.total, "least": profile.total.least, "short": sizing.total_short, "force": profile.total.force},
        "risks": [
            {
                "risk": each.risk.id,
                "terms": each.terms,
                "least": each.least,
                "short": each.short,
                "force": figure.force if (figure := profile.figure_of(each.risk)) else "",
            }
            for each in sizing.counts
        ],
        "empty": [each.risk.id for each in sizing.empty],
        "rows_without": sizing.unsigned,
        "renewal": {
            "renewed_at": sizing.renewed_at.isoformat(timespec="seconds") if sizing.renewed_at else None,
            "days": profile.renewal.days,
            "overdue": sizing.overdue,
            "force": profile.renewal.force,
        },
    }
