"""Static files: served from the package as they are, with the hash of their content in the address."""

import hashlib
from functools import lru_cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage


class VersionedStorage(StaticFilesStorage):
    """Addresses like `/static/web/console.css?v=1a2b3c4d5e6f`: a browser may keep a file, and a new one gets a new address."""

    def url(self, name: str | None) -> str:
        return f"{super().url(name)}?v={_version(name or '')}"


@lru_cache(maxsize=256)
def _version(name: str) -> str:
    path = finders.find(name)
    if not isinstance(path, str):
        raise FileNotFoundError(f"static file {name!r}")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
