"""The console and the portal: the Django project that the paper side runs in. Importing this imports no Django."""

import os
from pathlib import Path


def configure_django(data: Path | None = None, settings: Path | None = None) -> None:
    """Make Django ready in this process, once; a second call does nothing.

    `data` is the data folder; without it GUIJU_DATA counts, then `guiju-data` here. `settings` is `guiju.toml`;
    without it GUIJU_SETTINGS counts, then the file in the data folder.
    """
    import django
    from django.apps import apps

    if apps.ready:
        return
    if data is not None:
        os.environ["GUIJU_DATA"] = str(Path(data).absolute())
    if settings is not None:
        os.environ["GUIJU_SETTINGS"] = str(Path(settings).absolute())
    os.environ["DJANGO_SETTINGS_MODULE"] = "guiju.web.settings"
    django.setup()


def open_data_folder(data: Path, settings: Path | None = None) -> None:
    """Make Django ready on a data folder that is there: what a command begins with. Raises DATA-MISSING."""
    from guiju.core.errors import GuijuError
    from guiju.core.layout import DATA_MISSING

    if not (data / "keys").is_dir():
        raise GuijuError(DATA_MISSING, path=data.absolute())
    os.umask(0o077)
    configure_django(data, settings)
