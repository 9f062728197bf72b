"""The site key changes with an overlap, and no instant of the change leaves a site that does not work.

Guarded lines: the order of `write_ring` and `flow.append` in rotation.py; `covers` in `verify_site_checkpoint`; the endorsement
in `ring_from`; the keys read anew in `Gateway._load`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from guiju.core import keys
from guiju.core.errors import GuijuError
from guiju.core.keys import load_accepted_public_keys, load_ring, load_site_key, load_site_public_key
from guiju.core.layout import DataFolder
from guiju.core.site_keys import KEY_RING_DAMAGED, public_text, write_ring
from guiju.gateway.bundle import current_hash, load_bundle
from guiju.gateway.tests.rig import ScriptedUpstream, Site, Worker, wait_for
from guiju.gateway.tests.upstreams import BEHAVIOURS
from guiju.records import flow
from guiju.records.cli import app
from guiju.records.keys import rotation
from guiju.records.log.note import NOTE_INVALID, Checkpoint, sign_checkpoint, signed_by, stated_checkpoint
from guiju.records.log.proof import check_proof
from guiju.records.log.signers import ring_from, verify_site_checkpoint
from guiju.records.log.tiles import read_checkpoint
from guiju.records.models import OutboxEntry, Record
from guiju.records.recorder.ledger import Ledger
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.site import RECORD, make_site
from guiju.records.tests.test_verify import append, verify

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


class Killed(BaseException):
    """Stands for a kill: nobody catches it."""


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    scripted = ScriptedUpstream(BEHAVIOURS)
    yield scripted
    scripted.close()


@pytest.fixture
def site(data: DataFolder, upstream: ScriptedUpstream) -> Site:
    """A site with a bundle in force, over the data folder of the test."""
    made = Site(data.root, upstream.url)
    made.publish()
    return made


def newest(data: DataFolder) -> bytes:
    note = read_checkpoint(data.ledger)
    assert note is not None
    return note


def signers(data: DataFolder) -> list[str]:
    every = [key.public_key() for key in load_ring(data.keys)]
    return [public_text(key) for key in signed_by(newest(data), ORIGIN, *every)[1]]


def test_both_sign_meanwhile_and_then_the_new_one_alone(data: DataFolder) -> None:
    append(data, 5)
    old = load_site_public_key(data.keys)
    before = flow.prove(Record.objects.get(index=2).id)
    begun = datetime.now(UTC)
    change = rotation.begin("person:owner", now=begun)
    append(data, 5)  # the record of the change comes with them
    new = load_site_public_key(data.keys)
    assert (data.keys / "site.pub").read_bytes() == new.public_bytes_raw() != old.public_bytes_raw()
    assert signers(data) == [public_text(new), public_text(old)]
    assert verify(data).ok
    document = flow.prove(Record.objects.get(index=2).id)
    assert check_proof(document, old).ok
    assert check_proof(document, new).ok
    assert change.leaving.public == public_text(old)

    assert not rotation.finish_if_due(begun + WEEK - timedelta(seconds=1))
    assert rotation.finish_if_due(begun + WEEK)
    append(data, 5)
    assert signers(data) == [public_text(new)]
    assert [path.name for path in data.keys.glob("site*.key")] == [change.signing.file]
    assert verify(data).ok
    assert check_proof(before, old).ok  # what the old key has signed still holds under it
    assert not check_proof(flow.prove(Record.objects.get(index=2).id), old).ok
    retired = load_ring(data.keys)[0]
    assert (retired.state, retired.until_size) == ("retired", 11)
    kinds = list(Record.objects.filter(kind__startswith="records.key").order_by("index").values_list("kind", "actor"))
    assert kinds == [("records.key.changed", "person:owner"), ("records.key.retired", "recorder")]
    rotation.begin("person:owner")
    append(data, 1)
    assert len(signers(data)) == 2
    assert len(load_ring(data.keys)) == 3
    assert ring_from(load_ring(data.keys), ORIGIN, old) == load_ring(data.keys)
    assert verify(data).ok


def test_a_retired_key_signs_nothing_new(data: DataFolder) -> None:
    append(data, 3)
    stolen = load_site_key(data.keys)
    rotation.begin("person:owner")
    append(data, 3)
    rotation.finish("person:owner")
    ring = load_ring(data.keys)
    for size, good in ((3, True), (7, True), (8, False), (100, False)):
        note = sign_checkpoint(Checkpoint(ORIGIN, size, bytes(32)), stolen)
        assert _holds(verify_site_checkpoint, note, ORIGIN, ring) is good, size
    early = sign_checkpoint(Checkpoint(ORIGIN, 2, bytes(32)), load_site_key(data.keys))
    assert not _holds(verify_site_checkpoint, early, ORIGIN, ring)


def test_a_key_that_nobody_named_is_not_followed(data: DataFolder) -> None:
    append(data, 3)
    old = load_site_public_key(data.keys)
    rotation.begin("person:owner")
    ring = load_ring(data.keys)
    other = public_text(Ed25519PrivateKey.generate().public_key())
    for changed in (
        msgspec.structs.replace(ring[1], public=other),
        msgspec.structs.replace(ring[1], from_size=2),
        msgspec.structs.replace(ring[1], endorsement=""),
    ):
        assert not _holds(ring_from, (ring[0], changed), ORIGIN, old)
    assert not _holds(ring_from, ring, ORIGIN, Ed25519PrivateKey.generate().public_key())
    write_ring(data.keys, (ring[0], msgspec.structs.replace(ring[1], public=other)))
    assert not verify(data).ok


def _holds(check: Callable[..., object], *given: object) -> bool:
    try:
        check(*given)
    except GuijuError as problem:
        return problem.code is not NOTE_INVALID
    return True


def test_one_change_at_a_time(data: DataFolder) -> None:
    with pytest.raises(GuijuError) as told:
        rotation.finish("person:owner")
    assert told.value.code is rotation.KEY_CHANGE_NONE
    rotation.begin("person:owner")
    with pytest.raises(GuijuError) as told:
        rotation.begin("person:owner")
    assert told.value.code is rotation.KEY_CHANGE_OPEN
    assert len(load_ring(data.keys)) == 2


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"[1]", b'[{"public":"AA==","file":"x"}]'])
def test_a_damaged_ring_is_told_and_signs_nothing(data: DataFolder, raw: bytes) -> None:
    (data.keys / "site.json").write_bytes(raw)
    for load in (load_site_key, load_site_public_key, load_accepted_public_keys, keys.load_signing_keys, keys.create_keys):
        with pytest.raises(GuijuError) as told:
            load(data.keys)
        assert told.value.code is KEY_RING_DAMAGED


# ── killed ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """End with `Killed` before the step after `steps` that changes a file or the database."""
    done: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if len(done) == steps:
                raise Killed(name)
            result = real(*given, **named)
            done.append(name)
            return result

        return call

    with monkeypatch.context() as patch:
        for name in ("replace", "link", "fsync"):
            patch.setattr(os, name, counted(name, getattr(os, name)))
        patch.setattr(Path, "unlink", counted("unlink", Path.unlink))
        patch.setattr(flow, "append", counted("append", flow.append))
        yield done


def _works(data: DataFolder, site: Site) -> None:
    """What a site must do at any time: sign, be verified, load its bundle, publish the next one."""
    digest = current_hash(site.folder.bundles)
    load_bundle(data.bundles, digest, *load_accepted_public_keys(data.keys))
    Ledger(data.ledger, ORIGIN, data.keys).catch_up()
    append(data, 1)
    assert stated_checkpoint(newest(data)).size == Record.objects.count()
    assert verify(data).ok
    site.publish()
    load_bundle(data.bundles, digest, *load_accepted_public_keys(data.keys))
    keys.create_keys(data.keys)
    assert verify(data).ok


@pytest.mark.parametrize("verb", ["begin", "finish"])
def test_a_kill_at_any_instant_leaves_a_site_that_works(data: DataFolder, site: Site, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    work: Callable[[str], object] = rotation.begin if verb == "begin" else rotation.finish
    append(data, 2)
    whole = 0
    for kill_after in range(60):
        if verb == "finish" and not any(key.state == "leaving" for key in load_ring(data.keys)):
            rotation.begin("person:owner")
        count = len(load_ring(data.keys))
        with _killed_after(kill_after, monkeypatch) as done:
            try:
                work("person:owner")
                whole += 1
            except Killed:
                pass
        _works(data, site)
        if whole:
            break
        assert len(done) == kill_after
        if any(key.state == "leaving" for key in load_ring(data.keys)) == (verb == "finish"):
            work("person:owner")  # taken up where it was left
        rotation.finish_if_due(datetime.now(UTC))
        rotation.tidy()
        _works(data, site)
        if verb == "begin":
            assert len([key for key in load_ring(data.keys) if key.state != "retired"]) == 2
            assert len(load_ring(data.keys)) <= count + 1
            rotation.finish("person:owner")
        assert {key.file for key in load_ring(data.keys) if key.state != "retired"} <= {path.name for path in data.keys.iterdir()}
        assert not [key for key in load_ring(data.keys) if key.state == "retired" and (data.keys / key.file).exists()]
    assert whole
    assert kill_after >= 5
    append(data, 1)
    told = [(each.kind, each.metadata.get("new") or each.metadata["old"]) for each in Record.objects.filter(kind__startswith="records.key")]
    ring = load_ring(data.keys)
    assert {key for kind, key in told if kind == "records.key.changed"} == {key.public for key in ring[1:]}
    assert {key for kind, key in told if kind == "records.key.retired"} == {key.public for key in ring if key.state == "retired"}
    assert OutboxEntry.objects.count() <= 4


# ── workers ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _runs_on(worker: Worker, digest: str) -> bool:
    return bool(worker.get("/healthz").json["bundle"] == digest[:16])


def test_workers_go_on_through_a_change(data: DataFolder, site: Site, tmp_path: Path) -> None:
    running = [Worker(site, tmp_path / "first")]
    try:
        worker = running[0]
        digest = current_hash(data.bundles)
        rotation.begin("person:owner")
        assert worker.chat("ok").status == 200
        running.append(Worker(site, tmp_path / "second"))  # started meanwhile, on the bundle that was signed anew
        for number in range(2):
            if number:
                rotation.finish("person:owner")
            new = site.publish(msgspec.structs.replace(site.bundle, issued_at=f"2026-11-2{number}T00:00:00Z"))
            assert new != digest
            for each in running:
                wait_for(partial(_runs_on, each, new))
                assert each.chat("ok").status == 200
        running.append(Worker(site, tmp_path / "third"))
        assert running[2].chat("ok").status == 200
    finally:
        assert [each.stop() for each in running] == [0] * len(running)
    assert not [each for each in running if "not taken" in each.log.read_text()]


def test_a_bundle_of_a_retired_key_is_refused(data: DataFolder, site: Site) -> None:
    digest = current_hash(data.bundles)
    path = data.bundles / f"{digest}.bundle"
    before = path.read_bytes()
    rotation.begin("person:owner")
    assert path.read_bytes()[64:] == before[64:]
    assert path.read_bytes() != before
    path.write_bytes(before)
    load_bundle(data.bundles, digest, *load_accepted_public_keys(data.keys))
    rotation.finish("person:owner")
    load_bundle(data.bundles, digest, *load_accepted_public_keys(data.keys))  # signed anew by `finish`
    path.write_bytes(before)
    with pytest.raises(GuijuError, match="BUNDLE-INVALID"):
        load_bundle(data.bundles, digest, *load_accepted_public_keys(data.keys))


def test_the_verb(data: DataFolder) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--data", str(data.root)])
        assert result.exit_code == 0, result.output
        return result.output

    append(data, 1)
    assert "leaving" in run("rotate-site-key", "--overlap-days", "3")
    assert "leaving" in run("site-keys")
    assert "retired" in run("rotate-site-key", "--finish")
    assert "retired" in run("site-keys")


def test_a_real_recorder_ends_the_overlap_when_its_time_has_come(tmp_path: Path) -> None:
    """Guarded by `finish_if_due` in upkeep.py; the recorder signs on meanwhile."""
    made = make_site(tmp_path / "data")
    recorder = made.start(RECORD)
    try:
        made.run("from datetime import timedelta; from guiju.records.keys import rotation; rotation.begin('person:owner', timedelta(0))")
        wait_for(lambda: [key.state for key in load_ring(made.data.keys)] == ["retired", "signing"], 60)
        wait_for((made.data.ledger / "checkpoint").exists, 30)
    finally:
        recorder.terminate()
        assert recorder.wait(30) == 0
        assert recorder.stdout is not None
        recorder.stdout.close()
    seen = made.look()
    assert [kind for _, _, kind, _ in seen["records"]] == ["records.key.changed", "records.key.retired"]
    assert not [step for step in seen["steps"] if step[0] == "fails"]
