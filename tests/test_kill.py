"""Promise 3: nothing leaves unrecorded. Gateways and recorder are killed (SIGKILL) at random instants under load, 200 times.

Afterwards every answer that a client received whole has exactly one closing record, every stream of which a client saw a
byte has its beginning and exactly one end on record, no number is missing, a worker's records are in its order, and the
ledger verifies. `make soak` does the same on PostgreSQL, which is killed as well, more than 500 times.

Guarded lines: `await self._append(…)` in `Exchange._record` before the last bytes are sent (without it answers are
missing here), the durable write of the spool, the cursor that the recorder saves in the transaction of the records
(without it records are doubled), and `await opened` before the first byte of a stream.
"""

import asyncio
from pathlib import Path

import pytest

from tests.disturbances import Kills
from tests.under_load import Site, under_load

KILLS = 200

pytestmark = pytest.mark.slow


def test_killed_two_hundred_times_no_answer_is_without_its_record(tmp_path: Path) -> None:
    site, kills = Site(tmp_path), Kills(KILLS)
    seen = asyncio.run(under_load(site, kills))
    log = site.log.read_text()
    assert kills.killed.total() >= KILLS
    assert len(seen.whole) > KILLS * 3, (len(seen.whole), seen.broken, log[-2000:])
    assert max(len(run) for run in seen.runs) > 2
    assert site.judge(seen).faults() == {}
    assert "Traceback" not in log, log[-3000:]
