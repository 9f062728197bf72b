"""The database is stopped under load and started again: every answer goes on, nothing is lost or doubled, order is kept.

Some seconds here; `make soak` takes the database away for a minute.
Guarded lines: `SpoolWriter.append` instead of any wait for the recorder; `Recorder._quietly`, without which the recorder ends;
`RECORDS-DELAYED` said once.
"""

import asyncio
from pathlib import Path

import pytest

from guiju.records.tests.postgresql import running
from tests.disturbances import Outage
from tests.under_load import Site, under_load

pytestmark = pytest.mark.slow
OUTAGE_S = 6.0


def test_answers_go_on_while_the_database_is_away(tmp_path: Path) -> None:
    with running() as postgresql:
        site, outage = Site(tmp_path, postgresql), Outage(OUTAGE_S, before_s=3.0)
        seen = asyncio.run(under_load(site, outage))
        log = site.log.read_text()
        found = site.judge(seen)
    assert (seen.broken, dict(seen.refused)) == (0, {})
    assert outage.answers_during > 50
    assert found.faults() == {}
    assert found.records > len(seen.whole)
    assert outage.ready_during["status"] == "degraded"
    assert outage.ready_during["spool"]["waiting_bytes"] > 10_000
    assert outage.ready_during["spool"]["oldest_ms"] > (OUTAGE_S - 2) * 1000
    assert log.count("RECORDS-DELAYED") == 1
    assert log.count("records are written again") == 1
    assert "Traceback" not in log, log[-3000:]
    before, during = (outage.percentile_ms(seen, 0.99, during=away) for away in (False, True))
    print(f"\np99 before {before:.0f} ms, during the outage {during:.0f} ms; drained {outage.drained_after_s:.1f} s after it")
