"""The data folder of a first start: folders, keys, the commented settings file. No Django; safe to repeat after a kill."""

import os
from pathlib import Path

import msgspec

from guiju.core.durable import replace, write_new
from guiju.core.keys import create_keys
from guiju.core.layout import DataFolder
from guiju.core.settings_text import commented_toml

MARK = "prepared.json"


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """Written once the owner's password and the first API key have been shown: from then on a start shows neither."""

    at: str
    version: str


def make_folder(data: DataFolder, settings_file: Path | None = None) -> None:
    """Make what is missing of folders (mode 0700), keys and settings file (mode 0600); change nothing that is there.

    A settings file elsewhere is linked into a folder that has none, so that every other command finds it too.
    """
    for folder in (data.keys, data.bundles, data.spool, data.ledger, data.run):
        folder.mkdir(exist_ok=True, mode=0o700)
    create_keys(data.keys)
    if settings_file is not None and not os.path.lexists(data.settings):
        data.settings.symlink_to(settings_file)
    elif not data.settings.exists():
        write_new(data.settings, commented_toml().encode())


def is_prepared(data: DataFolder) -> bool:
    """Tell whether a first start was completed here."""
    return (data.root / MARK).exists()


def mark_prepared(data: DataFolder, prepared: Prepared) -> None:
    """Remember that the first start is complete."""
    replace(data.root / MARK, msgspec.json.encode(prepared))
