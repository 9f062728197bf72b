"""The console and the portal: the Django project that the paper side runs in. Importing this imports no Django."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guiju.core.settings import Settings

_given: "Settings | None" = None


def configure_django(data: Path | None = None, settings: Path | None = None, site: "Settings | None" = None) -> None:
    """Make Django ready in this process, once; a second call does nothing.

    `data` is the data folder; without it GUIJU_DATA counts, then `guiju-data` here. `settings` is `guiju.toml`;
    without it GUIJU_SETTINGS counts, then the file in the data folder. `site` are settings to work with that are
    about to be put in force; without them those in force count, and before a first publication those of the file.
    """
    global _given  # Django loads its settings by the name of their module: there is no other way in
    import django
    from django.apps import apps

    from guiju.core.layout import folder_at

    if apps.ready:
        return
    if data is not None:
        os.environ["GUIJU_DATA"] = str(folder_at(Path(data)).root)
    if settings is not None:
        os.environ["GUIJU_SETTINGS"] = str(Path(settings).absolute())
    os.environ["DJANGO_SETTINGS_MODULE"] = "guiju.web.settings"
    _given = site
    django.setup()


def find_given() -> "Settings | None":
    """Return the settings that `configure_django` was given; None where those in force count."""
    return _given


def open_data_folder(data: Path, settings: Path | None = None, *, of_file: bool = False) -> None:
    """Make Django ready on a data folder that is there: what a command begins with. Raises DATA-MISSING.

    The command works with the settings in force and says on standard error when the file has a mistake; with `of_file`
    it works with those of the file. Raises the SETTING- errors then, and where nothing was published yet.
    """
    from guiju.core.errors import GuijuError
    from guiju.core.layout import DATA_MISSING, folder_at, settings_file, whole_path

    if not (data / "keys").is_dir():
        raise GuijuError(DATA_MISSING, path=folder_at(data).root)
    os.umask(0o077)
    folder = folder_at(data)
    file = whole_path(settings) if settings else settings_file(folder)
    if of_file:
        from guiju.core.settings import read_settings

        configure_django(data, file, read_settings(file))
        return
    configure_django(data, settings)
    from guiju.services.mistakes import find_mistakes, lines_of

    for line in lines_of(file, find_mistakes(folder, file)):
        print(line, file=sys.stderr)
