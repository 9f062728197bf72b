"""Checkpoints stamped by a real authority; what two independent checks make of stamps and of changed ones; nothing hinders recording.

Guarded lines: each `raise Broken` of offline/timestamp.py; both checks in `stamp`; the status and the size in `_ask`.
"""

import logging
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest
from cryptography.x509 import load_pem_x509_certificates
from pytest_django.fixtures import Settings
from typer.testing import CliRunner

from guiju.core.errors import GuijuError
from guiju.core.keys import load_site_public_key
from guiju.core.layout import DataFolder
from guiju.records.cli import app
from guiju.records.log.anchor import ANCHOR_REFUSED, ANCHOR_UNSET, Anchor, list_anchors, read_anchor, stamp
from guiju.records.log.tiles import read_checkpoint
from guiju.records.offline import timestamp
from guiju.records.offline.der import der_one, der_parts, verify_with_key, verify_with_key_plainly
from guiju.records.offline.packcheck import check_pack
from guiju.records.offline.report import Broken
from guiju.records.offline.timestamp import X509, check_time_stamp, read_certificate, read_pem
from guiju.records.packs.pack import Selection, write_pack
from guiju.records.recorder.upkeep import Upkeep
from guiju.records.tests.conftest import ORIGIN
from guiju.records.tests.test_pack import alone
from guiju.records.tests.test_verify import append
from guiju.records.tests.tsa import Authority, serving
from guiju.records.verify import verify_ledger

pytestmark = pytest.mark.django_db
KINDS = {
    "p256": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "p384": ("ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "rsa": ("RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
}

if shutil.which("openssl") is None:
    pytest.skip("openssl is not installed: stamps were NOT TESTED", allow_module_level=True)


@pytest.fixture(scope="module", params=KINDS)
def authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with serving(Authority(tmp_path_factory.mktemp("tsa") / "files", KINDS[request.param])) as running:
        yield running


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with serving(Authority(tmp_path_factory.mktemp("tsa") / "files")) as running:
        yield running


@pytest.fixture
def full(data: DataFolder) -> DataFolder:
    append(data, 20)
    return data


def newest(data: DataFolder) -> bytes:
    note = read_checkpoint(data.ledger)
    assert note is not None
    return note


def library_accepts(token: bytes, note: bytes, root: Path) -> bool:
    """What the rfc3161-client library says."""
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    builder = VerifierBuilder()
    for certificate in load_pem_x509_certificates(root.read_bytes()):
        builder = builder.add_root_certificate(certificate)
    try:
        return builder.build().verify_message(decode_timestamp_response(token), note)
    except (VerificationError, ValueError):
        return False


def ours_accepts(token: bytes, note: bytes, root: Path) -> bool:
    try:
        check_time_stamp(token, note, read_pem(root.read_bytes()))
    except Broken:
        return False
    return True


def test_a_checkpoint_is_stamped_and_the_whole_check_says_since_when(authority: Authority, full: DataFolder) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    anchor = stamp(full.ledger, newest(full), authority.url, authority.root)
    assert before <= anchor.stamped_at(read_pem(authority.root.read_bytes())) <= datetime.now(UTC) + timedelta(seconds=2)
    assert library_accepts(anchor.token, newest(full), authority.root)
    assert read_anchor(list_anchors(full.ledger)[0]) == anchor
    append(full, 30)
    stamp(full.ledger, newest(full), authority.url, authority.root)
    step = verify_ledger(full, ORIGIN, load_site_public_key(full.keys), stamps=authority.root).steps[5]
    assert step.outcome == "holds"
    assert step.detail.startswith("50 records existed before 20")


def test_a_changed_stamp_is_accepted_by_neither_check(authority: Authority, full: DataFolder) -> None:
    """Every part that is signed or named by its hash; what lies around them says nothing that counts."""
    note, random = newest(full), Random(1)
    token = stamp(full.ledger, note, authority.url, authority.root).token
    data = der_parts(der_one(der_parts(der_parts(der_one(token, 0x30).content)[1].content)[1].content, 0x30).content)
    signer = der_parts(der_parts(data[-1].content)[0].content)
    info = der_parts(data[2].content)[1].content
    certificate = next(part for part in data if part.tag == 0xA0).content
    for part in (info, signer[3].raw, signer[5].content, certificate):
        start = token.index(part)
        for bit in random.sample(range(8 * start, 8 * (start + len(part))), 60):
            changed = token[: bit // 8] + bytes([token[bit // 8] ^ 1 << bit % 8]) + token[bit // 8 + 1 :]
            assert not ours_accepts(changed, note, authority.root), bit
            if part is not certificate:
                assert not library_accepts(changed, note, authority.root), bit
    for wrong in (note[:-1], b"", note + b"x"):
        assert not ours_accepts(token, wrong, authority.root)
        assert not library_accepts(token, wrong, authority.root)
    for wrong_token in (b"", token[:-1], token + b"x", b"\x30\x00", b"\x30\x80" + token, bytes(len(token))):
        assert not ours_accepts(wrong_token, note, authority.root)


def test_integers_alone_come_to_the_same_as_the_library(authority: Authority, full: DataFolder) -> None:
    """The signature of the authority's certificate under its root, by both ways of checking."""
    root = read_certificate(read_pem(authority.root.read_bytes())[0])
    leaf = read_certificate(read_pem((authority.folder / "tsa.pem").read_bytes())[0])
    for signature in (leaf.signature, leaf.signature[:-1] + bytes([leaf.signature[-1] ^ 1])):
        holds = signature == leaf.signature
        assert verify_with_key(root.key_info, leaf.algorithm, "", signature, leaf.signed_part) is holds
        assert verify_with_key_plainly(root.key_info, "sha256", signature, leaf.signed_part) is holds
        assert not verify_with_key_plainly(root.key_info, "sha256", signature, leaf.signed_part + b"x")
        assert not verify_with_key_plainly(leaf.key_info, "sha256", signature, leaf.signed_part)


def test_another_root_and_another_usage_are_not_accepted(one: Authority, full: DataFolder, tmp_path: Path) -> None:
    note = newest(full)
    token = stamp(full.ledger, note, one.url, one.root).token
    other = Authority(tmp_path / "other")
    assert not ours_accepts(token, note, other.root)
    assert not library_accepts(token, note, other.root)
    both = tmp_path / "both.pem"
    both.write_bytes(other.root.read_bytes() + one.root.read_bytes())
    assert ours_accepts(token, note, both)
    wrong = Authority(tmp_path / "wrong", usage="other")
    with pytest.raises(AssertionError, match="purpose"):  # openssl itself does not stamp with it
        wrong.reply((one.folder / "query").read_bytes())


def test_a_certificate_for_another_use_or_another_time_is_refused(
    one: Authority, full: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`openssl ts` makes no such stamp, so what the certificate says is changed after it was read."""
    note, real = newest(full), timestamp.read_certificate
    token = stamp(full.ledger, note, one.url, one.root).token
    usage, limits, past = "2.5.29.37", "2.5.29.19", datetime(2020, 1, 1, tzinfo=UTC)
    critical, value = real(read_pem((one.folder / "tsa.pem").read_bytes())[0]).extensions[usage]
    assert critical
    changes: list[Callable[[X509], X509]] = [
        lambda each: replace(each, extensions=each.extensions | ({usage: (False, value)} if usage in each.extensions else {})),
        lambda each: replace(each, extensions={name: said for name, said in each.extensions.items() if name != usage}),
        lambda each: replace(each, extensions={name: said for name, said in each.extensions.items() if name != limits}),
        lambda each: replace(each, ends=past),
        lambda each: replace(each, begins=datetime(2999, 1, 1, tzinfo=UTC)),
        lambda each: replace(each, issuer=b"x" + each.issuer),
    ]
    assert ours_accepts(token, note, one.root)
    for change in changes:
        monkeypatch.setattr(timestamp, "read_certificate", lambda raw, change=change: change(real(raw)))
        assert not ours_accepts(token, note, one.root)


@pytest.mark.parametrize(
    ("answer", "reason"),
    {
        "status": ((500, {}, b"x"), "status 500"),
        "redirect": ((302, {"Location": "http://127.0.0.1:9/elsewhere"}, b""), "status 302"),
        "nonsense": ((200, {}, b"nonsense"), ""),
        "empty": ((200, {}, b""), ""),
        "long": ((200, {}, bytes(2**17 + 1)), "longer"),
    }.values(),
    ids=["status", "redirect", "nonsense", "empty", "long"],
)
def test_what_is_no_stamp_is_not_kept(one: Authority, full: DataFolder, answer: tuple[int, dict[str, str], bytes], reason: str) -> None:
    one.answer, one.asked[:] = answer, []
    try:
        with pytest.raises(GuijuError) as told:
            stamp(full.ledger, newest(full), one.url, one.root)
    finally:
        one.answer = None
    assert told.value.code is ANCHOR_REFUSED
    assert reason in str(told.value.facts["reason"])
    assert one.asked == ["/tsr"]  # asked once, and nobody else
    assert list_anchors(full.ledger) == []


def test_a_stamp_of_another_request_is_not_kept(one: Authority, full: DataFolder) -> None:
    """Guarded by the nonce, which the library compares with that of the request."""
    stamp(full.ledger, newest(full), one.url, one.root)
    old = (one.folder / "reply").read_bytes()
    for path in list_anchors(full.ledger):
        path.unlink()
    one.answer = (200, {}, old)
    try:
        with pytest.raises(GuijuError):
            stamp(full.ledger, newest(full), one.url, one.root)
    finally:
        one.answer = None
    assert list_anchors(full.ledger) == []


def test_an_authority_that_hangs_holds_up_nothing(full: DataFolder, one: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(GuijuError) as told:
            stamp(full.ledger, newest(full), f"http://127.0.0.1:{silent.getsockname()[1]}/", one.root, within_s=0.3)
        assert told.value.code is ANCHOR_REFUSED
        assert time.monotonic() - begun < 5


def test_changed_files_of_stamps_are_found(one: Authority, full: DataFolder) -> None:
    stamp(full.ledger, newest(full), one.url, one.root)
    path = list_anchors(full.ledger)[0]
    whole = path.read_bytes()
    anchor = msgspec.json.decode(whole, type=Anchor)

    def outcome() -> str:
        return verify_ledger(full, ORIGIN, load_site_public_key(full.keys), stamps=one.root).steps[5].outcome

    assert outcome() == "holds"
    for changed in (
        whole[:-9],
        msgspec.json.encode(msgspec.structs.replace(anchor, checkpoint=anchor.checkpoint.replace("\n20\n", "\n19\n"))),
        msgspec.json.encode(msgspec.structs.replace(anchor, token=anchor.token[:-1])),
    ):
        path.write_bytes(changed)
        assert outcome() == "fails"
    path.unlink()
    assert outcome() == "open"


# ── upkeep ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_upkeep_stamps_at_its_interval_and_tells_of_trouble_once(
    one: Authority, full: DataFolder, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = msgspec.structs.replace(settings.SITE.ledger, tsa_url=one.url, tsa_root_file=str(one.root), tsa_interval_minutes=10)
    upkeep, now = Upkeep(full, ledger), 1_000.0
    one.asked.clear()
    upkeep.step(now)
    assert [path.stem for path in list_anchors(full.ledger)] == ["000000000020"]
    append(full, 5)
    upkeep.step(now + 599)
    assert len(one.asked) == 1
    upkeep.step(now + 601)
    upkeep.step(now + 3_000)  # nothing new: not asked
    assert len(one.asked) == len(list_anchors(full.ledger)) == 2
    append(full, 5)
    one.answer = (503, {}, b"")
    try:
        with caplog.at_level(logging.ERROR, "guiju.records"):
            for second in range(0, 200, 2):
                upkeep.step(now + 4_000 + second)
    finally:
        one.answer = None
    assert len(one.asked) == 2 + 3  # at 0, 30 and 90 seconds
    assert len([record for record in caplog.records if "ANCHOR-REFUSED" in record.getMessage()]) == 1
    upkeep.step(now + 9_000)
    assert len(list_anchors(full.ledger)) == 3


def test_upkeep_is_off_by_default_and_ends_with_its_recorder(full: DataFolder, settings: Settings) -> None:
    assert settings.SITE.ledger.tsa_url == ""
    Upkeep(full, settings.SITE.ledger).step(0.0)
    assert not (full.ledger / "anchors").exists()
    stop = threading.Event()
    stop.set()
    thread = Upkeep(full, settings.SITE.ledger).start(stop)
    thread.join(5)
    assert not thread.is_alive()


def test_the_verb_stamps_now(one: Authority, full: DataFolder, settings: Settings) -> None:
    with pytest.raises(GuijuError) as told:
        CliRunner().invoke(app, ["stamp", "--data", str(full.root)], catch_exceptions=False)
    assert told.value.code is ANCHOR_UNSET
    settings.SITE = msgspec.structs.replace(
        settings.SITE, ledger=msgspec.structs.replace(settings.SITE.ledger, tsa_url=one.url, tsa_root_file=str(one.root))
    )
    assert CliRunner().invoke(app, ["stamp", "--data", str(full.root)], catch_exceptions=False).output.startswith("20 条记录")


# ── in packs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pack_says_since_when_its_records_exist(authority: Authority, full: DataFolder, tmp_path: Path, settings: Settings) -> None:
    settings.SITE = msgspec.structs.replace(
        settings.SITE, ledger=msgspec.structs.replace(settings.SITE.ledger, tsa_root_file=str(authority.root))
    )
    stamp(full.ledger, newest(full), authority.url, authority.root)
    append(full, 30)
    stamp(full.ledger, newest(full), authority.url, authority.root)
    append(full, 3)
    out, trusted = tmp_path / "pack.zip", load_site_public_key(full.keys).public_bytes_raw()
    roots = read_pem(authority.root.read_bytes())
    write_pack(out, Selection(first=10, last=40), actor="person:owner")
    step = check_pack(out, trusted=trusted, tsa_roots=roots).steps[7]
    assert step.outcome == "holds"
    assert step.detail.startswith("10 before 20")
    assert "; 21 before 20" in step.detail
    assert check_pack(out, trusted=trusted).steps[7].outcome == "open"  # the root that lies in the pack proves nothing by itself
    other = read_pem(Authority(tmp_path / "other").root.read_bytes())
    assert check_pack(out, trusted=trusted, tsa_roots=other).steps[7].outcome == "fails"
    words = [str(out), "--public-key", str(full.keys / "site.pub"), "--tsa-root", str(authority.root)]
    ran = alone(*words, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert step.detail in ran.stdout
    write_pack(out, Selection(first=40), actor="person:owner")
    report = check_pack(out, trusted=trusted, tsa_roots=roots)
    assert report.steps[7].outcome == "open"
    assert report.steps[7].detail.endswith("3 not stamped")
