"""Content screening. `from guiju.screening import Screener` is the way in for programs; it is loaded when it is asked for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guiju.screening.screener import Screener as Screener

__all__ = ["Screener"]


def __getattr__(name: str) -> object:
    if name == "Screener":
        from guiju.screening.screener import Screener

        return Screener
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
