"""Tables of `guiju.toml` that are read when the service starts: a change of them is published, and counts from the next start."""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from guiju.core.settings import Settings

_READ_AT_START: Final = ("server", "console", "database", "ledger", "records", "screening", "retention", "verify")


def digests_at_start(settings: Settings) -> dict[str, str]:
    """Return what each of the tables says, as a digest; the rate of the review sample is left out: it counts at once."""
    screening = msgspec.structs.replace(settings.screening, review_sample_per_mille=0)
    tables = {name: getattr(settings, name) for name in _READ_AT_START} | {"screening": screening}
    return {name: hashlib.sha256(msgspec.json.encode(table)).hexdigest()[:16] for name, table in tables.items()}


def changed_since_start(settings: Settings, at_start: Mapping[str, str]) -> list[str]:
    """Return the tables that say something else than when the service started, in the order of the file."""
    return [name for name, digest in digests_at_start(settings).items() if at_start.get(name, digest) != digest]
