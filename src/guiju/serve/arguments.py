"""`guiju serve` as it is usually written, read without the library of the whole command line: loading that would take longer than all else here.

What is not plainly `--name value` with a name and a value of this table is left to the verb in `verbs.py`, which reads everything and
says what is wrong. A test holds both to the same reading.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

OWNER_PASSWORD: Final = "GUIJU_OWNER_PASSWORD"
"""Environment variable with the owner's password for a first start without a person."""
_TEXTS: Final = frozenset(("--data", "--settings", "--host", "--owner-name"))
_NUMBERS: Final[Mapping[str, range]] = {"--port": range(0x10000), "--console-port": range(0x10000), "--workers": range(1, 257)}
_DIGITS_AT_MOST: Final = 5


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; None and empty text leave it to the settings file."""

    data: Path
    settings: Path | None = None
    host: str = ""
    port: int | None = None
    console_port: int | None = None
    workers: int | None = None
    owner_name: str = "owner"
    owner_password: str = ""


def find_options(arguments: Sequence[str], environment: MutableMapping[str, str]) -> Options | None:
    """Return what the arguments of `guiju serve` and the environment say; None where the verb must read them.

    The owner's password is taken out of the environment, so that no child inherits it.
    """
    names, values = arguments[::2], arguments[1::2]
    given = dict(zip(names, values, strict=False))
    if len(names) != len(values) or not all(_is_plain(name, value) for name, value in zip(names, values, strict=True)):
        return None
    settings = given.get("--settings") or environment.get("GUIJU_SETTINGS")
    number = {name: int(given[name]) for name in _NUMBERS if name in given}
    return Options(
        data=Path(given.get("--data") or environment.get("GUIJU_DATA") or "guiju-data"),
        settings=Path(settings) if settings else None,
        host=given.get("--host", ""),
        port=number.get("--port"),
        console_port=number.get("--console-port"),
        workers=number.get("--workers"),
        owner_name=given.get("--owner-name", "owner"),
        owner_password=environment.pop(OWNER_PASSWORD, ""),
    )


def _is_plain(name: str, value: str) -> bool:
    if name in _TEXTS:
        return bool(value) and not value.startswith("-")
    return name in _NUMBERS and value.isascii() and value.isdecimal() and len(value) <= _DIGITS_AT_MOST and int(value) in _NUMBERS[name]
