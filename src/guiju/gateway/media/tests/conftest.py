"""One worker with a scripted model that returns files; what a model returns is looked up by its name."""

from collections.abc import Iterator

import msgspec
import pytest

from guiju.gateway.bundle import Media
from guiju.gateway.media.tests.models import BEHAVIOURS
from guiju.gateway.tests.rig import ScriptedUpstream, Site, Worker

CODE = "001191110102MACQD9K64010000"


def site_for(upstream: ScriptedUpstream, root: object, **media: object) -> Site:
    """Return a site whose services have a provider's code."""
    site = Site(root, upstream.url)  # type: ignore[arg-type]
    services = tuple(
        msgspec.structs.replace(each, label=msgspec.structs.replace(each.label, content_producer=CODE)) for each in site.bundle.services
    )
    settings = {"file_bytes": 2**20, "fetch_timeout_ms": 1_500, "label_timeout_ms": 20_000, **media}
    site.bundle = msgspec.structs.replace(site.bundle, services=services, media=Media(**settings))  # type: ignore[arg-type]
    return site


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    scripted = ScriptedUpstream(dict(BEHAVIOURS))
    yield scripted
    scripted.close()


@pytest.fixture(scope="package")
def site(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = site_for(upstream, tmp_path_factory.mktemp("media-site") / "data")
    made.publish()
    return made


@pytest.fixture(scope="package")
def worker(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    running = Worker(site, tmp_path_factory.mktemp("media-log") / "worker.log")
    yield running
    assert running.stop() == 0
    log = running.log.read_text()
    assert "Traceback" not in log, log
