"""A real worker with a scripted model behind it, for the official SDKs."""

from collections.abc import Iterator

import pytest

from guiju.gateway.tests.rig import ScriptedUpstream, Site, Worker
from guiju.gateway.tests.upstreams import BEHAVIOURS
from tests.sdk.scripted import hold, speak, turn


@pytest.fixture(scope="package")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    upstream = ScriptedUpstream(BEHAVIOURS | {"sdk": speak, "held": hold, "turn": turn})
    site = Site(tmp_path_factory.mktemp("sdk") / "data", upstream.url)
    site.publish()
    running = Worker(site, tmp_path_factory.mktemp("sdk-log") / "worker.log")
    yield running
    assert running.stop() == 0
    upstream.close()
    log = running.log.read_text()
    assert "Traceback" not in log, log
