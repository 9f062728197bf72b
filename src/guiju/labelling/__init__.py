"""Labels of generated content: words that people read, keys that programs read, in answers and in files."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guiju.labelling.files import first_label, inspect, read, read_file, write, write_file
    from guiju.labelling.values import Damaged, FileLabel

__all__ = ["Damaged", "FileLabel", "first_label", "inspect", "read", "read_file", "write", "write_file"]


def __getattr__(name: str) -> Any:
    """Load a name when it is asked for: the live side labels text and needs no container, and `--help` needs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'values' if name in ('Damaged', 'FileLabel') else 'files'}"), name)
