"""The official Node SDK, unmodified, against a real worker. `make node` installs it from tests/node/package-lock.json."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from guiju.gateway.tests.rig import KEYS, Worker

FOLDER = Path(__file__).parent.parent / "node"
CHECKS = 12


@pytest.mark.node
def test_the_node_sdk_speaks_to_the_gateway(worker: Worker) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT TESTED: the Node SDK, because there is no `node` on this machine")
    if not (FOLDER / "node_modules" / "openai").is_dir():
        pytest.skip("NOT TESTED: the Node SDK, because it is not installed; run `make node`")
    environment = {**os.environ, "GUIJU_URL": worker.url, "GUIJU_KEY": KEYS["main"], "NO_PROXY": "127.0.0.1"}
    ended = subprocess.run(
        [node, "check.mjs"], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(ended.stdout.splitlines()) == CHECKS
