"""What the paper side needs out of `guiju.toml`."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Site:
    """Addresses and the database."""

    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8000
    allowed_hosts: tuple[str, ...] = ()
    public_url: str = ""
    database_url: str = ""
    database_password: str = ""
    ledger_origin: str = "guiju.local/ledger"


def read_site(path: Path) -> Site:
    """Return the site's settings; the defaults when there is no file yet. Raises the SETTING- errors."""
    if not path.exists():
        return Site()
    raise NotImplementedError
