"""What the live side is doing, as seen from outside: the bundle in force, the gateway's answer to /healthz."""

import http.client
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.core.cache import cache

from guiju.core.errors import GuijuError
from guiju.core.keys import load_accepted_public_keys
from guiju.core.layout import DataFolder
from guiju.gateway.bundle import Bundle, current_hash, load_bundle
from guiju.serve.state import read_state

HEALTH_TIMEOUT_S = 1.0
_HEALTH_KEPT_S = 3


@dataclass(frozen=True, slots=True)
class InForce:
    """The bundle in force and its hash."""

    digest: str
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class GatewayState:
    """What a gateway worker says of itself; `facts` is empty when it did not answer."""

    address: str
    facts: dict[str, Any]

    @property
    def up(self) -> bool:
        return bool(self.facts)


def bundle_in_force() -> InForce | None:
    """Return the bundle in force, verified; None when there is none that can be used."""
    folder: DataFolder = settings.DATA_FOLDER
    try:
        digest = current_hash(folder.bundles)
        return InForce(
            digest, _bundle(folder.bundles, digest, tuple(key.public_bytes_raw() for key in load_accepted_public_keys(folder.keys)))
        )
    except (GuijuError, OSError, ValueError):
        return None


@lru_cache(maxsize=2)
def _bundle(folder: Path, digest: str, public_keys: tuple[bytes, ...]) -> Bundle:
    return load_bundle(folder, digest, *map(Ed25519PublicKey.from_public_bytes, public_keys))


def gateway_address() -> tuple[str, int]:
    """Return host and port of the running gateway: what the supervisor wrote down, else what the settings say."""
    folder: DataFolder = settings.DATA_FOLDER
    state = read_state(folder)
    server = settings.SITE.server
    host, port = (state.host, state.ports.get("gateway", server.port)) if state else (server.host, server.port)
    return ("127.0.0.1" if host in ("0.0.0.0", "::", "") else host), port  # listening everywhere is reached here


def gateway_state() -> GatewayState:
    """Ask the gateway how it is; the answer is remembered for a few seconds."""
    host, port = gateway_address()
    known: GatewayState | None = cache.get("gateway-state")
    if known is None or known.address != f"{host}:{port}":
        known = GatewayState(f"{host}:{port}", _healthz(host, port))
        cache.set("gateway-state", known, _HEALTH_KEPT_S)
    return known


def _healthz(host: str, port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        facts = json.loads(response.read(65_536))
        return facts if response.status == 200 and isinstance(facts, dict) else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
