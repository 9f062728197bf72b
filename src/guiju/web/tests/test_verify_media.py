"""From end to end: a picture and an answer leave a real worker, the recorder records them, and the public page knows them again."""

import base64
import json
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from guiju.core.keys import load_site_public_key
from guiju.gateway.media.tests.conftest import site_for
from guiju.gateway.media.tests.models import BEHAVIOURS
from guiju.gateway.tests.rig import KEYS, ScriptedUpstream, Worker
from guiju.labelling.flow import verifying
from guiju.records.log.proof import check_leaf_proof
from guiju.web.tests.rig import record_all
from guiju.web.tests.test_verify_page import told, upload


def test_what_left_the_gateway_is_known_on_the_page(tmp_path: Path, settings: Settings, db: None) -> None:
    pytest.importorskip("PIL", reason="NOT TESTED: pictures, because Pillow is not installed")
    upstream = ScriptedUpstream(BEHAVIOURS)
    site = site_for(upstream, tmp_path / "data")
    site.publish()
    worker = Worker(site, tmp_path / "worker.log")
    try:
        order = {"model": "picture", "prompt": "一只猫", "response_format": "b64_json"}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEYS['main']}"}
        answer = worker.ask("POST", "/v1/images/generations", json.dumps(order).encode(), headers)
        picture = base64.b64decode(json.loads(answer.body)["data"][0]["b64_json"])
    finally:
        worker.stop()
        upstream.close()
    settings.DATA_FOLDER = site.folder
    settings.SETTINGS_FILE = site.folder.settings
    verifying.allowance.clear()
    record_all(site.folder)
    client = Client()
    found = told(upload(client, picture, "/api/verify"))
    assert (found["issued"]["result"], found["file"]["verdict"], found["file"]["state"]) == ("issued", "compliant", "declared")
    proof = json.loads(client.get(found["issued"]["proof"]).content)
    assert check_leaf_proof(proof, load_site_public_key(site.folder.keys)).ok
    assert told(upload(client, picture + b"\0", "/api/verify"))["issued"]["result"] == "changed"
