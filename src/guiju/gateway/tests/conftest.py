"""One upstream and one worker for all tests of this package that speak to a real process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from guiju.gateway.tests.rig import ScriptedUpstream, Site, Worker
from guiju.gateway.tests.upstreams import BEHAVIOURS


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    scripted = ScriptedUpstream(BEHAVIOURS)
    yield scripted
    scripted.close()


@pytest.fixture(scope="package")
def site(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("site") / "data", upstream.url)
    made.publish()
    return made


@pytest.fixture(scope="package")
def worker(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    running = Worker(site, tmp_path_factory.mktemp("log") / "worker.log")
    yield running
    assert running.stop() == 0
    log = running.log.read_text()
    assert "Traceback" not in log, log


@pytest.fixture(scope="module")
def module_site(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A data folder for the tests of one module, whose worker they share."""
    return Site(tmp_path_factory.mktemp("module") / "data", upstream.url)


@pytest.fixture
def own_site(upstream: ScriptedUpstream, tmp_path: Path) -> Site:
    """A data folder for one test, which publishes into it what it likes."""
    return Site(tmp_path / "data", upstream.url)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[list[Worker]]:
    """Workers that a test starts itself; they are stopped after it."""
    started: list[Worker] = []
    yield started
    for running in started:
        running.stop()
