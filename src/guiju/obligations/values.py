"""The law as frozen values: statutes, obligations, clocks, penalties, documents, and the facts that decide which of them bind.

All of it is read from `catalogue/*.yaml` (loading.py). Texts are our own words; a statute's wording is not kept here.
Every entry says how certain it is (`mark`), so that a page never shows a second-hand figure as the law's.
"""

from datetime import date
from typing import Final, Literal

import msgspec

Mark = Literal["read", "second_hand", "unconfirmed", "design"]
"""How certain a fact is: read in the text of the law; read where somebody reports it; known, not confirmed; our own design, no law."""
Who = Literal["provider", "user", "authority", "nobody"]
Basis = Literal["law", "policy"]
"""Whose limit it is: the law's, or one that the provider sets itself where the law says no more than "in time"."""
Unit = Literal["minutes", "hours", "working_days", "days", "months", "years"]
Sense = Literal["within", "keep", "before", "every"]
"""What a limit asks: act within it, keep for at least so long, act so long before, or act each time it has passed."""

MEASURES: Final = "GAI"
"""Id of the Measures among the statutes."""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text in both languages; the Chinese is the master."""

    zh: str
    en: str

    def in_language(self, language: str) -> str:
        """Return the text for a language code such as `zh-hans` or `en`."""
        return self.zh if language.startswith("zh") else self.en


class Hook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another rule that the duty hangs on: statute, place in it, and how certain that is."""

    law: str
    at: str = ""
    mark: Mark = "read"
    note: Words | None = None


class StatuteVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text of a statute: in force from `since`. `moved` names articles by their numbers in the text before."""

    since: date
    mark: Mark
    name: str = ""
    moved: dict[str, str] = {}
    note: Words | None = None


class Statute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A law, regulation, standard or practice, with its texts, the oldest first."""

    id: str
    title: Words
    rank: Literal["law", "regulation", "rule", "standard", "guide", "practice"]
    versions: tuple[StatuteVersion, ...]


class Chapter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A chapter of the Measures and its articles: number → what it is about."""

    number: int
    title: Words
    articles: dict[int, Words]


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long: `within` 10 `working_days`, `keep` 6 `months`. `of` tells apart the limits of one clock; `default` is what guiju uses, in days."""

    sense: Sense
    amount: int
    unit: Unit
    basis: Basis
    mark: Mark
    of: Words | None = None
    default: int | None = None


class Clock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A period that begins with an event."""

    id: str
    title: Words
    starts: Words
    limits: tuple[Limit, ...]
    source: tuple[Hook, ...]
    note: Words | None = None


class Penalty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a breach may cost; for the risk register. Amounts are renminbi."""

    id: str
    title: Words
    consequence: Words
    source: tuple[Hook, ...]
    mark: Mark


class Paper(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document that a provider draws up (DOC-…): its title, its headings, and the articles it serves."""

    id: str
    title: Words
    headings: Words
    articles: tuple[str, ...]
    mark: Mark


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer to a question of the profile."""

    id: str
    title: Words


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question of the service profile, and the answers there are. `several` allows more than one."""

    id: str
    question: Words
    why: Words
    choices: tuple[Choice, ...]
    mark: Mark
    several: bool = False


Condition = dict[str, tuple[str, ...]]
"""Facts and the answers that fulfil them; all of them must be fulfilled."""


class Obligation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One duty of the Measures (or a policy, or a definition that binds nobody), in one version.

    `applies`: any one of the conditions; none: whenever the Measures cover the service. `person` says why only a person can judge it. `now` says what
    guiju does about it today, `missing` what it does not.
    """

    id: str
    article: int
    who: tuple[Who, ...]
    title: Words
    duty: Words
    mark: Mark
    since: date
    version: int = 1
    changed: Words | None = None
    trigger: Words | None = None
    evidence: Words | None = None
    applies: tuple[Condition, ...] = ()
    clocks: tuple[str, ...] = ()
    hooks: tuple[Hook, ...] = ()
    penalties: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    package: str = ""
    person: Words | None = None
    now: Words | None = None
    missing: Words | None = None

    @property
    def binds_provider(self) -> bool:
        """Whether a provider has something to do."""
        return "provider" in self.who


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, each part by id and in the order of its file. `obligations` holds every version of one, the oldest first."""

    version: str
    statutes: dict[str, Statute]
    chapters: tuple[Chapter, ...]
    facts: dict[str, Fact]
    clocks: dict[str, Clock]
    penalties: dict[str, Penalty]
    documents: dict[str, Paper]
    obligations: dict[str, tuple[Obligation, ...]]

    def in_force(self, on: date) -> dict[str, Obligation]:
        """Return the obligations of a Beijing day, each in its version of that day, in the order of the Measures."""
        found = {}
        for name, versions in self.obligations.items():
            begun = [each for each in versions if each.since <= on]
            if begun:
                found[name] = begun[-1]
        return found

    def chapter_of(self, article: int) -> Chapter:
        """Return the chapter of an article. Raises KeyError when the Measures have no such article."""
        for chapter in self.chapters:
            if article in chapter.articles:
                return chapter
        raise KeyError(article)
