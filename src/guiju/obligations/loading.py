"""Read the catalogue: every mistake is told with its file and line, and a catalogue with one is not used.

The files are YAML lists of entries (`values.py` has their fields). What an entry names (statutes, clocks, penalties, documents, facts) must
exist; versions of an obligation follow one another in time.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import msgspec
import yaml

from guiju.core.errors import GuijuError, Text, define
from guiju.obligations.values import (
    MEASURES,
    Catalogue,
    Chapter,
    Clock,
    Fact,
    Hook,
    Obligation,
    Paper,
    Penalty,
    Statute,
)

CATALOGUE_INVALID = define(
    "CATALOGUE-INVALID",
    status=500,
    kind="server_error",
    zh=Text("义务目录有 {count} 处错误：{summary}。", "目录未启用，看板不作判断。", "请按文件和行号改正；目录的格式见 CONTRIBUTING。"),
    en=Text(
        "The catalogue of obligations has {count} mistakes: {summary}.",
        "It is not used, and nothing was judged by it.",
        "Correct the files at the lines named; CONTRIBUTING shows the form.",
    ),
)
OBLIGATION_FILES: Final = ("chapter-1", "chapter-2", "chapter-3", "chapter-4", "chapter-5")
FORMS: Final[dict[str, type[msgspec.Struct]]] = {
    "statutes": Statute,
    "chapters": Chapter,
    "facts": Fact,
    "clocks": Clock,
    "penalties": Penalty,
    "documents": Paper,
    **dict.fromkeys(OBLIGATION_FILES, Obligation),
}
DERIVED_FACTS: Final[dict[str, tuple[str, ...]]] = {"covered": ("yes", "no")}
"""Facts that follow from others (applicability.py)."""
BINDING_RANKS: Final = frozenset({"law", "regulation", "rule"})
"""Whose figures are the law's; those of standards, guides and practice are not."""
SHOWN: Final = 5
_OBLIGATION_ID: Final = re.compile(r"GAI-(\d+)\.(\d+)")
_PATH_PART: Final = re.compile(r"\[(\d+)\]|\[\.\.\.\]|\.(\w+)")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a file of the catalogue."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Read:
    """One entry and the line where it begins."""

    entry: Any
    file: str
    line: int


@lru_cache(maxsize=1)
def shipped_catalogue() -> Catalogue:
    """Return the catalogue that ships with guiju. Raises CATALOGUE-INVALID."""
    folder = resources.files("guiju.obligations").joinpath("catalogue")
    return load_catalogue({name: folder.joinpath(f"{name}.yaml").read_bytes() for name in FORMS})


def load_catalogue(files: dict[str, bytes]) -> Catalogue:
    """Return the catalogue in these files (name without ending → content). Raises CATALOGUE-INVALID with every mistake, its file and line."""
    mistakes: list[Mistake] = []
    read = {name: list(_entries(name, files.get(name, b""), mistakes)) for name in FORMS}
    if not mistakes:
        mistakes += _contradictions(read)
    if mistakes:
        _refuse(mistakes)
    digest = hashlib.sha256()
    for name in FORMS:
        digest.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    obligations: dict[str, tuple[Obligation, ...]] = {}
    for each in (item.entry for name in OBLIGATION_FILES for item in read[name]):
        obligations[each.id] = (*obligations.get(each.id, ()), each)
    return Catalogue(
        version=digest.hexdigest()[:16],
        statutes={each.entry.id: each.entry for each in read["statutes"]},
        chapters=tuple(each.entry for each in read["chapters"]),
        facts={each.entry.id: each.entry for each in read["facts"]},
        clocks={each.entry.id: each.entry for each in read["clocks"]},
        penalties={each.entry.id: each.entry for each in read["penalties"]},
        documents={each.entry.id: each.entry for each in read["documents"]},
        obligations=obligations,
    )


def _refuse(mistakes: list[Mistake]) -> None:
    more = f"; and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
    raise GuijuError(CATALOGUE_INVALID, count=len(mistakes), summary="; ".join(map(str, mistakes[:SHOWN])) + more, mistakes=mistakes)


def _entries(name: str, raw: bytes, mistakes: list[Mistake]) -> Iterator[Read]:
    file = f"{name}.yaml"
    try:
        root = yaml.compose(raw.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        mark = problem.problem_mark if isinstance(problem, yaml.MarkedYAMLError) else None
        mistakes.append(Mistake(file, mark.line + 1 if mark else 1, "not valid YAML"))
        return
    if not isinstance(root, yaml.SequenceNode) or not root.value:
        mistakes.append(Mistake(file, 1, "must be a list of entries"))
        return
    for node in root.value:
        line = node.start_mark.line + 1
        twice = next(_repeated_keys(node), None)
        if twice is not None:
            mistakes.append(Mistake(file, twice.start_mark.line + 1, f"'{twice.value}' stands there twice"))
            continue
        try:
            yield Read(msgspec.convert(_plain(node), FORMS[name], strict=False), file, line)
        except msgspec.ValidationError as problem:
            reason, _, path = str(problem).partition(" - at `")
            mistakes.append(Mistake(file, _line_of(node, path), reason + (f" (at {path.rstrip('`')})" if path else "")))


def _plain(node: yaml.Node) -> Any:
    """Return a node as mappings, lists and texts: what a text means, the form of the entry decides."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each) for each in node.value]
    return str(node.value).strip()


def _repeated_keys(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _repeated_keys(each)


def _line_of(node: yaml.Node, path: str) -> int:
    """Return the line of what msgspec names with a path such as `$.hooks[0].law`; that of the entry when it is not there."""
    for index, name in _PATH_PART.findall(path):
        if index and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
            node = node.value[int(index)]
        elif name and isinstance(node, yaml.MappingNode):
            found = next((value for key, value in node.value if key.value == name), None)
            if found is None:
                break
            node = found
        else:
            break
    return node.start_mark.line + 1


def _contradictions(read: dict[str, list[Read]]) -> Iterator[Mistake]:
    """Yield what no single entry shows: names without an entry, ids that stand twice, versions out of order."""
    known: dict[str, set[str]] = {}
    for name in ("statutes", "facts", "clocks", "penalties", "documents"):
        known[name] = set()
        for each in read[name]:
            if each.entry.id in known[name]:
                yield Mistake(each.file, each.line, f"{each.entry.id} stands there twice")
            known[name].add(each.entry.id)
    answers = {each.entry.id: {choice.id for choice in each.entry.choices} for each in read["facts"]}
    answers |= {name: set(choices) for name, choices in DERIVED_FACTS.items()}
    articles = {number for each in read["chapters"] for number in each.entry.articles}
    for each in read["statutes"]:
        yield from (Mistake(each.file, each.line, reason) for reason in _statute_problems(each.entry))
    for each in (*read["clocks"], *read["penalties"]):
        yield from (Mistake(each.file, each.line, reason) for reason in _hook_problems(each.entry.source, known["statutes"]))
    binding = {each.entry.id for each in read["statutes"] if each.entry.rank in BINDING_RANKS}
    for each in read["clocks"]:
        if any(limit.basis == "law" for limit in each.entry.limits) and not binding & {hook.law for hook in each.entry.source}:
            yield Mistake(each.file, each.line, f"{each.entry.id}: a limit of the law names a law, regulation or rule as its source")
        if any(limit.basis == "law" and limit.mark == "unconfirmed" for limit in each.entry.limits):
            yield Mistake(each.file, each.line, f"{each.entry.id}: a limit that is not confirmed is a policy, not the law's")
    newest: dict[str, Obligation] = {}
    for each in (item for name in OBLIGATION_FILES for item in read[name]):
        for reason in _obligation_problems(each.entry, known, answers, articles, newest.get(each.entry.id)):
            yield Mistake(each.file, each.line, f"{each.entry.id}: {reason}")
        newest[each.entry.id] = each.entry


def _statute_problems(statute: Statute) -> Iterator[str]:
    days = [each.since for each in statute.versions]
    if not days or days != sorted(set(days)):
        yield f"{statute.id}: the versions must follow one another, and there must be one"


def _hook_problems(hooks: Iterable[Hook], statutes: set[str]) -> Iterator[str]:
    yield from (f"there is no statute {hook.law}" for hook in hooks if hook.law not in statutes)


def _obligation_problems(
    each: Obligation, known: dict[str, set[str]], answers: dict[str, set[str]], articles: set[int], before: Obligation | None
) -> Iterator[str]:
    match = _OBLIGATION_ID.fullmatch(each.id)
    if not match or int(match[1]) != each.article:
        yield f"the id must be {MEASURES}-{each.article}.<number>"
    if each.article not in articles:
        yield f"the Measures have no Article {each.article} (chapters.yaml)"
    yield from _hook_problems(each.hooks, known["statutes"])
    for name, ids in (("clocks", each.clocks), ("penalties", each.penalties), ("documents", each.documents)):
        yield from (f"there is no {one} in {name}.yaml" for one in ids if one not in known[name])
    for condition in each.applies:
        for fact, wanted in condition.items():
            if fact not in answers:
                yield f"there is no fact {fact}"
            else:
                yield from (f"the fact {fact} has no answer {one}" for one in wanted if one not in answers[fact])
    if each.version != (before.version + 1 if before else 1):
        yield f"version {each.version} does not follow {before.version if before else 'nothing'}"
    if before and (each.since <= before.since or each.changed is None):
        yield "a later version begins later, and `changed` says what is new"
    if each.binds_provider and not each.package:
        yield "a duty of providers names the package that answers for it"


def differences(old: Obligation, new: Obligation) -> dict[str, tuple[str, str]]:
    """Return what a new version changes: field → (before, after), as text; the fields that only number it are left out."""
    found = {}
    for field in msgspec.structs.fields(Obligation):
        if field.name in {"version", "since", "changed"}:
            continue
        before, after = (_as_text(getattr(one, field.name)) for one in (old, new))
        if before != after:
            found[field.name] = (before, after)
    return found


def _as_text(value: Any) -> str:
    plain = msgspec.to_builtins(value)
    return plain if isinstance(plain, str) else yaml.safe_dump(plain, allow_unicode=True, sort_keys=False, width=120).strip()
