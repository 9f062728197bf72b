"""Which settings are in force: those that the last bundle was made of, not what the file says meanwhile.

Beside the bundles lie `settings.json` (the settings that were published) and `source.json` (what they came from). A
mistake in `guiju.toml` therefore never stops somebody from revoking a key, and a start can tell in a millisecond
whether the bundle still fits the file. No Django here: the supervisor reads it before anything else runs.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

import guiju
from guiju.core.durable import replace
from guiju.core.layout import DataFolder
from guiju.core.settings import Settings, default_settings, read_settings
from guiju.gateway.bundle import Service, Upstream
from guiju.labelling.implicit import DEMO_PRODUCER
from guiju.labelling.values import Label

DEMO_MODEL: Final = "guiju-demo"
DEMO_PORT: Final = 8001


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What a published bundle came from."""

    bundle: str
    settings: str
    """SHA-256 of the settings file; empty when there was none that could be read."""
    demo_port: int
    version: str


def settings_in_force(data: DataFolder, file: Path) -> Settings:
    """Return the settings that are published, else those in `file`, else the defaults. Raises the SETTING- errors."""
    return published_settings(data) or (read_settings(file) if file.exists() else default_settings())


def published_settings(data: DataFolder) -> Settings | None:
    """Return the settings that were published last; None before a first publication."""
    try:
        return msgspec.json.decode((data.bundles / "settings.json").read_bytes(), type=Settings)
    except (OSError, msgspec.DecodeError):
        return None


def awaits_publishing(data: DataFolder, file: Path) -> bool:
    """Tell whether the settings file says something else than what was published of it."""
    source = published_source(data)
    return source is not None and source.settings != source_now(data, file).settings


def keep_in_force(data: DataFolder, settings: Settings) -> None:
    """Remember the settings that are being published."""
    replace(data.bundles / "settings.json", msgspec.json.encode(settings))


def source_now(data: DataFolder, file: Path, bundle: str = "") -> Source:
    """Return what a bundle made at this moment would come from."""
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        digest = ""
    return Source(bundle=bundle, settings=digest, demo_port=demo_port(data), version=guiju.__version__)


def published_source(data: DataFolder) -> Source | None:
    """Return what the bundle in force came from; None when that is not known, or another bundle is in force."""
    try:
        source = msgspec.json.decode((data.bundles / "source.json").read_bytes(), type=Source)
        return source if (data.bundles / "current").read_text().strip() == source.bundle else None
    except (OSError, msgspec.DecodeError):
        return None


def keep_source(data: DataFolder, source: Source) -> None:
    """Remember what the bundle in force came from."""
    replace(data.bundles / "source.json", msgspec.json.encode(source))


def is_fresh(data: DataFolder, file: Path | None) -> bool:
    """Tell whether the bundle in force was made by this version of guiju, from this file, for this demo model.

    Without a file, because it has a mistake, whatever the bundle was made from counts.
    """
    source = published_source(data)
    if source is None:
        return False
    now = source_now(data, file or data.settings, source.bundle)
    return source == (now if file is not None else msgspec.structs.replace(now, settings=source.settings))


def demo_port(data: DataFolder) -> int:
    """Return the port on which the demo model listens, or listened last."""
    try:
        return int((data.run / "demo-port").read_text())
    except (OSError, ValueError):
        return DEMO_PORT


def served(settings: Settings, port: int) -> tuple[tuple[Service, ...], tuple[Upstream, ...]]:
    """Return the services and upstreams as the live side gets them.

    Without an upstream all services are served by the demo model on `port`, and without a provider it is their producer; a service that names no upstream has all, and one
    that has no rate of reviews of its own has the common one.
    """
    upstreams = settings.upstreams or (Upstream(name="demo", base_url=f"http://127.0.0.1:{port}/v1", models=(DEMO_MODEL,)),)
    names = tuple(upstream.name for upstream in upstreams)
    common = settings.screening.review_sample_per_mille
    services = [
        msgspec.structs.replace(
            each,
            label=each.label if settings.upstreams or each.label.content_producer else _of_demo(each.label),
            upstreams=each.upstreams or names,
            review_sample_per_mille=common if each.review_sample_per_mille < 0 else each.review_sample_per_mille,
        )
        for each in settings.services
    ]
    return tuple(services), upstreams


def _of_demo(label: Label) -> Label:
    return msgspec.structs.replace(label, content_producer=DEMO_PRODUCER)
