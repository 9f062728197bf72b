"""A mistake in the settings file while other settings are in force: found by whoever starts, told once, an obstacle to nobody.

What is about the file itself (a first start, `guiju publish`, a reload) reads it and refuses; everything else goes on with what was
published, and says so. No Django here: the supervisor reads it before anything else runs.
"""

import hashlib
import logging
from pathlib import Path
from typing import Final

from guiju.core.durable import replace
from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.core.settings import Settings, read_settings
from guiju.services.in_force import published_settings, published_source, source_now

_NOT_IN_FORCE: Final = "{0} 有错误，未生效；按正在使用的设置继续。 / {0} has a mistake and is not in force; the settings in force go on."

Mistakes = tuple[GuijuError, ...]


def settings_at_start(data: DataFolder, file: Path) -> tuple[Settings, Mistakes]:
    """Return the settings that a start puts in force: those in `file`, or where it has mistakes, which are returned too, those published last.

    Raises the SETTING- errors where nothing was published yet.
    """
    try:
        return read_settings(file), ()
    except GuijuError as error:
        published = published_settings(data)
        if published is None:
            raise
        return published, _all_of(error)


def find_mistakes(data: DataFolder, file: Path) -> Mistakes:
    """Return the mistakes of a settings file that is not what was published; none where it only waits to be published."""
    source = published_source(data)
    if source.settings == source_now(data, file).settings if source is not None else not file.exists():
        return ()
    try:
        read_settings(file)
    except GuijuError as error:
        return _all_of(error)
    return ()


def lines_of(file: Path, mistakes: Mistakes) -> list[str]:
    """Return what is said of the mistakes: that the file is not in force, then each of them, in both languages."""
    return [_NOT_IN_FORCE.format(file.name), *(each.both() for each in mistakes)] if mistakes else []


def tell_mistakes(data: DataFolder, file: Path, log: logging.Logger, mistakes: Mistakes | None = None) -> None:
    """Log the mistakes of the settings file, once for each text of the file, whichever process of the service comes first.

    Without `mistakes` they are looked for, and only told where nobody has; those that are given are told again.
    """
    found = find_mistakes(data, file) if mistakes is None else mistakes
    if not found:
        return
    told, now = data.run / "told-mistake", hashlib.sha256("\n".join(map(str, found)).encode()).hexdigest()
    try:
        if mistakes is None and told.read_text() == now:
            return
    except OSError:
        pass  # nothing was told yet
    for line in lines_of(file, found):
        log.error("%s", line)
    replace(told, now.encode())


def _all_of(error: GuijuError) -> Mistakes:
    return (error, *error.facts.get("others", ()))
