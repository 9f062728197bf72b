"""Who may import whom, read from the source with `ast`; `test_imports.py` holds the code to it.

The directions are those of the architecture page: pure rooms → stage → flow and models → faces. The live side knows
no Django and no database; a duty calls another duty's flow, never its tables.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = "guiju"
DUTIES: Final[dict[str, tuple[int, ...]]] = {
    "services": (2, 10, 13, 17, 20, 22, 23),
    "gateway": (9, 13, 14),
    "screening": (4, 9, 14),
    "labelling": (12,),
    "users": (4, 9, 10, 12, 14),
    "records": (9, 11, 14, 19),
    "personal_information": (7, 9, 11),
    "complaints": (15, 18),
    "incidents": (11, 13, 14),
    "corpus": (4, 7),
    "annotation": (8,),
    "assessment": (4, 17),
    "filing": (4, 7, 12, 17, 19, 23),
    "inspection": (9, 16, 19, 21),
    "agents": (),
    "obligations": tuple(range(1, 25)),
}
"""The duties and the articles of the Measures that each discharges; those without a number answer to all or to policy briefs."""

LIVE_PACKAGES: Final = frozenset({"core", "gateway", "labelling"})
LIVE_ROOMS: Final = frozenset({"stage", "values", "rules", "containers", "detectors"})
LIVE_MODULES: Final = {
    "screening": frozenset(
        {
            "answers",
            "attacks",
            "classifier",
            "examiner",
            "guards",
            "libraries.library",
            "matching",
            "outlet",
            "parted",
            "parts",
            "personal",
            "risks",
            "screener",
            "spellings",
            "table",
            "values",
            "view",
            "watched",
        }
    ),
    "records": frozenset({"spool", "entry", "heart"}),
}
"""Rooms, and single modules of rooms, by duty."""
PAPER_ROOMS: Final = {"labelling": frozenset({"supply"})}
"""Rooms of live packages that are workflows of the paper side."""
TRAINING: Final = frozenset(f"guiju.screening.classifier.{name}" for name in ("train", "fit", "sources", "sentences")) | {
    "guiju.screening.spellings.make"
}
"""Makes what the live side reads, on a developer's machine; needs scikit-learn, which is no part of the service."""
LIVE_LIBRARIES: Final = frozenset(
    {"ahocorasick_rs", "chinese_calendar", "cryptography", "httptools", "msgspec", "numpy", "opencc", "stdnum", "uvicorn", "uvloop", "yaml"}
) | {"PIL", "av", "c2pa", "gmssl_pyx", "pillow_heif", "pypdf"}  # imported where files are labelled or signed, not at the start
"""What the live side may import besides the standard library: plain Python, no Django, no pages, no database."""

TABLES: Final = frozenset({"models", "migrations"})
FACES: Final = frozenset({"views", "urls", "api", "forms", "admin"})
READERS: Final = frozenset({"checks", "personal_data", "evidence"})
"""Rooms that read a duty's state for a board, a person or an inspector: they show, and call nobody's flow to change it."""


@dataclass(frozen=True, order=True)
class Import:
    """One import: who, whom, and on which line."""

    importer: str
    imported: str
    line: int
    for_types: bool = False

    def __str__(self) -> str:
        return f"{self.importer} line {self.line} imports {self.imported}"


@dataclass(frozen=True, order=True)
class Violation:
    """An import against one of the rules."""

    found: Import
    rule: str

    def __str__(self) -> str:
        return f"{self.found}: {self.rule}"


def find_violations(source: Path) -> list[Violation]:
    """Return every import below `source` (the folder that holds `guiju/`) against the directions, in order."""
    return sorted(Violation(found, rule) for found in list_imports(source) for rule in _broken_rules(found))


def list_modules(source: Path) -> dict[str, Path]:
    """Return the modules below `source` by name; tests are left out: they may import anything."""
    modules = {}
    for path in sorted((source / ROOT).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        if "tests" not in parts:
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def list_imports(source: Path) -> Iterator[Import]:
    """Yield every import of every module, those inside functions and type-checking blocks too."""
    modules = list_modules(source)
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        tree = ast.parse(path.read_text(), str(path))
        typing_only = {id(below) for node in ast.walk(tree) for line in _type_checked(node) for below in ast.walk(line)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(name, alias.name, node.lineno, id(node) in typing_only)
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield Import(name, full if full in modules else base, node.lineno, id(node) in typing_only)


def _type_checked(node: ast.AST) -> list[ast.stmt]:
    """Return the lines that only a type checker reads."""
    return node.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else []


def is_live(module: str) -> bool:
    """Tell whether a module belongs to the live side."""
    package, room = _place(module)
    if module in TRAINING:
        return False
    if room in TABLES | FACES | READERS | {"cli", "flow", "apps"} or room in PAPER_ROOMS.get(package, ()):
        return False
    named = {room, module.removeprefix(f"{ROOT}.{package}.")} & LIVE_MODULES.get(package, frozenset())
    return package in LIVE_PACKAGES or room in LIVE_ROOMS or bool(named) or module == ROOT


def find_cycle(edges: dict[str, set[str]]) -> list[str]:
    """Return packages that import each other in a circle, the first again at the end; empty when there is none."""
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for following in sorted(edges.get(name, ())):
            found = visit(following, [*trail, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in sorted(edges) if (found := visit(name, []))), [])


def flow_edges(source: Path) -> dict[str, set[str]]:
    """Return which duty's flow calls which other duty's flow."""
    edges: dict[str, set[str]] = {}
    for found in list_imports(source):
        (package, room), (other, other_room) = _place(found.importer), _place(found.imported)
        if room == other_room == "flow" and package != other:
            edges.setdefault(package, set()).add(other)
    return edges


def room_edges(source: Path, duty: str) -> dict[str, set[str]]:
    """Return which room of a duty imports which other; a file in front is a room of its own."""
    edges: dict[str, set[str]] = {}
    for found in list_imports(source):
        (package, room), (other, other_room) = _place(found.importer), _place(found.imported)
        if package == other == duty and room and other_room and room != other_room:
            edges.setdefault(room, set()).add(other_room)
    return edges


def _place(module: str) -> tuple[str, str]:
    """Return (package, room) of a module of guiju: `guiju.records.flow` → `records`, `flow`."""
    parts = module.split(".")
    return (parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else "")


def _broken_rules(found: Import) -> Iterator[str]:
    importer, imported = found.importer, found.imported
    package, room = _place(importer)
    top = imported.partition(".")[0]
    if top != ROOT:
        if is_live(importer) and top not in sys.stdlib_module_names and top not in LIVE_LIBRARIES:
            yield f"the live side imports no {top}"
        return
    other, other_room = _place(imported)
    # `python -m guiju.x` and a package's own name say nothing about rooms.
    if is_live(importer) and not is_live(imported) and not (other_room == "" and other in LIVE_MODULES):
        yield "the live side imports the live side only"
    if other_room in FACES and room != "urls" and importer != f"{ROOT}.duties" and not (package == other and room in FACES):
        yield "only duties.py and urls.py import a face"
    # A flow returns rows, and whoever calls it may name their type; reading and writing them is the duty's own.
    if package != other and other_room in TABLES and room != "migrations" and not found.for_types:
        yield "a duty calls another duty's flow, never its tables"
    if room == "models" and other_room not in {"values", "kinds", "risks", "models", "entry"} and other != "core":
        yield "a table knows values, nothing that acts"
    if room == "flow" and (other_room in FACES or other == "web" or other_room == "cli"):
        yield "a flow knows no page"
    if package == "core" and other not in {"core", "gateway", "labelling", "screening"} and other_room != "values":
        yield "core is below every duty"
