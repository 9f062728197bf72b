"""The data folder of a first start: folders, keys, the commented settings file. No Django; safe to repeat after a kill."""

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


def make_folder(data: DataFolder) -> None:
    """Make what is missing of folders (mode 0700), keys and settings file (mode 0600); change nothing that is there."""
    for folder in (data.keys, data.bundles, data.spool, data.ledger, data.run):
        folder.mkdir(exist_ok=True, mode=0o700)
    create_keys(data.keys)
    if not data.settings.exists():
        write_new(data.settings, commented_toml().encode())


def is_prepared(data: DataFolder) -> bool:
    """Tell whether a first start was completed here."""
    return (data.root / MARK).exists()


def mark_prepared(data: DataFolder, prepared: Prepared) -> None:
    """Remember that the first start is complete."""
    replace(data.root / MARK, msgspec.json.encode(prepared))
