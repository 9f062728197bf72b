"""One file made of the modules of this folder, for an inspector who has Python 3.9 and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

MODULES = (
    "report", "ed25519", "tree", "signed", "der", "timestamp", "packfile", "packrecords", "packcheck", "command",
)  # fmt: skip
"""In the order in which they need each other."""
_HEAD = '''#!/usr/bin/env python3
"""Checks a pack of guiju records. Needs Python 3.9 or newer and nothing else: python3 verify.py PACK

Read it before you trust it; take it from elsewhere than the pack. Written from the modules of guiju.records.offline.
核对 guiju 记录包；只需 Python 3.9 以上版本。请先阅读，并从记录包以外的渠道取得本文件。
"""

from __future__ import annotations
'''


def single_file() -> str:
    """Return the source of the single file: the modules one behind the other, without their imports of each other."""
    folder = Path(__file__).parent
    plain: set[str] = set()
    named: dict[str, set[str]] = {}
    bodies = []
    for name in MODULES:
        source = (folder / f"{name}.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        lines = source.split("\n")
        for node in tree.body:
            if isinstance(node, ast.Import):
                plain.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(("guiju.", "__future__")):
                named.setdefault(node.module or "", set()).update(alias.name for alias in node.names)
            if isinstance(node, (ast.Import, ast.ImportFrom)) or _is_entry(node, name):
                lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
        docstring = tree.body[0]
        text = ast.get_docstring(tree) or ""
        lines[docstring.lineno - 1 : docstring.end_lineno] = [f"# ── {name}: {text.splitlines()[0]}"] + [
            f"# {line}".rstrip() for line in text.splitlines()[1:]
        ]
        bodies.append(_squeezed(lines))
    imports = [f"import {name}" for name in sorted(plain)]
    imports += [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(named.items())]
    entry = 'if __name__ == "__main__":\n    sys.exit(main())\n'
    return _HEAD + "\n\n\n".join(["\n" + "\n".join(imports), *bodies, entry])


def _is_entry(node: ast.stmt, name: str) -> bool:
    return name == "command" and isinstance(node, ast.If)


def _squeezed(lines: list[str]) -> str:
    """Return lines with no more than two empty ones together, and none at either end."""
    kept: list[str] = []
    for line in lines:
        if line or kept[-2:] != ["", ""]:
            kept.append(line)
    return "\n".join(kept).strip("\n")
