"""Importing all of guiju, so that everything that is declared anywhere is declared now."""

import importlib
import pkgutil
from pathlib import Path
from typing import Final

import guiju
from guiju.web import configure_django

_NO_DATA: Final = Path("no-data-folder")
"""Declarations need none; this one is never made."""


def import_everything() -> tuple[str, ...]:
    """Import every module of guiju but tests, migrations and `__main__`; return their names in order."""
    configure_django(_NO_DATA)
    names = sorted(found.name for found in pkgutil.walk_packages(guiju.__path__, "guiju.") if _declares(found.name))
    for name in names:
        importlib.import_module(name)
    return tuple(names)


def _declares(name: str) -> bool:
    return not {"tests", "migrations", "__main__"} & set(name.split("."))
