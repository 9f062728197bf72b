"""Files that are there whole or not at all, also after a kill or a power cut."""

import os
from pathlib import Path

_MODE = 0o600


def write_new(path: Path, content: bytes) -> bool:
    """Make a file (mode 0600) and return True; return False and change nothing when it exists already."""
    temporary = _write_beside(path, content)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_folder(path.parent)
    return True


def replace(path: Path, content: bytes) -> None:
    """Put `content` (mode 0600) in the place of what was there; a reader sees the old bytes or the new ones."""
    os.replace(_write_beside(path, content), path)
    sync_folder(path.parent)


def _write_beside(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _MODE)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return temporary


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk: files that were made, renamed or removed."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
