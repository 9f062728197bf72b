"""The single file is the modules, keeps to Python 3.9, and needs nothing but the standard library.

Guarded lines: the order of MODULES; a name declared in two modules; an import of a library outside of a function.
"""

import ast
import sys
from collections import Counter
from pathlib import Path

from guiju.records import offline
from guiju.records.offline.single import MODULES, single_file

FOLDER = Path(offline.__file__).parent
LATER = {
    "UTC", "TaskGroup", "StrEnum", "tomllib", "pairwise", "batched", "ExceptionGroup", "slots", "kw_only", "strict", "match_args", "Self",
}  # fmt: skip
"""Names and arguments of the standard library that came after Python 3.9 and would be easy to use here."""


def test_it_holds_every_module() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {*MODULES, "__init__", "single"}
    source = single_file()
    assert "guiju.records.offline import" not in source
    assert "\nfrom guiju" not in source
    for name in MODULES:
        assert f"# ── {name}: " in source


def test_no_name_is_declared_twice() -> None:
    declared: list[str] = []
    for node in ast.parse(single_file()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            declared.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            declared += [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
    assert [name for name, count in Counter(declared).items() if count > 1] == []


def test_it_is_python_3_9() -> None:
    tree = ast.parse(single_file(), feature_version=(3, 9))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match)]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }
    used |= {each.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for each in node.keywords if each.arg}
    assert not used & LATER
    # `A | B` of types is only understood from 3.10 on, save in annotations, which nobody evaluates here.
    unions = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr)
    ]
    assert not [node for node in unions if isinstance(node.value.left, (ast.Subscript, ast.Name))]  # type: ignore[attr-defined]  # a BinOp, as filtered


def test_it_imports_the_standard_library_alone() -> None:
    tree = ast.parse(single_file())
    top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {"__future__"}
    inner = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node not in top}
    assert {name.partition(".")[0] for name in inner if name} == {"cryptography"}
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) and node not in top for alias in node.names}
    assert plain == {"msgspec"}
