"""C2PA: signed last over a labelled file, verified by other hands (exiftool, openssl, cbor2), and never by asking a network."""

import hashlib
import http.server
import io
import json
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pikepdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from guiju.cli import whole_app
from guiju.core.errors import GuijuError
from guiju.labelling import content_credentials
from guiju.labelling.containers.tests import documents, pdfs
from guiju.labelling.containers.tests.samples import CODE, LABEL, OTHER, decoded, fuzzed, run, sample, tool
from guiju.labelling.content_credentials import (
    GENERATED,
    MEDIA_TYPES,
    Credentials,
    check,
    load_credentials,
    sign,
    sign_file,
    takes_manifest,
)
from guiju.labelling.files import first_label, inspect, read, write, write_file
from guiju.labelling.signatures.keys import new_key
from guiju.labelling.tests.chains import Chain, new_chain

SAMPLES = [
    "plain.png", "plain.jpeg", "plain.webp", "plain.gif", "plain.wav", "plain.mp3", "plain.flac", "plain.avi",
    "plain.mp4", "faststart.mp4", "fragmented.mp4", "plain.mov", "plain.m4a", "plain.avif", "sequence.avif", "plain.tiff",
]  # fmt: skip
CHAIN = new_chain()


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return load_credentials(*CHAIN.files(tmp_path))


def labelled(name: str = "plain.png") -> bytes:
    return write(sample(name), LABEL)


# ── other hands ─────────────────────────────────────────────────────────────────────────────────────────────────────


def boxes(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, begin and end of the JUMBF boxes of a span, without their headers."""
    while at < stop:
        length, name = struct.unpack(">I4s", data[at : at + 8])
        yield name, at + 8, at + length
        at += length


def labels_of(data: bytes) -> dict[str, tuple[int, int]]:
    """Return the span of every named superbox of the manifest store, found by its first bytes."""
    found: dict[str, tuple[int, int]] = {}

    def walk(at: int, stop: int) -> None:
        first, *others = boxes(data, at, stop)
        assert first[0] == b"jumd"
        found[data[first[1] + 17 : data.index(b"\0", first[1] + 17)].decode()] = (at, stop)
        for name, begin, end in others:
            if name == b"jumb":
                walk(begin, end)

    at = data.index(b"jumdc2pa") - 12
    walk(at + 8, at + int.from_bytes(data[at : at + 4], "big"))
    return found


def content_of(data: bytes, span: tuple[int, int]) -> bytes:
    """Return the CBOR of a superbox."""
    return next(data[begin:end] for name, begin, end in boxes(data, *span) if name == b"cbor")


def digest_of_bytes(data: bytes, exclusions: list[dict[str, Any]]) -> bytes:
    covered, at = hashlib.sha256(), 0
    for each in sorted(exclusions, key=lambda each: each["start"]):
        covered.update(data[at : each["start"]])
        at = each["start"] + each["length"]
    covered.update(data[at:])
    return covered.digest()


def digest_of_boxes(data: bytes, exclusions: list[dict[str, Any]]) -> bytes:
    """Hash the outermost boxes that are not left out, each behind its place."""
    covered, at = hashlib.sha256(), 0
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if not any(
            each["xpath"] == f"/{name.decode()}"
            and all(data[at + part["offset"] :].startswith(part["value"]) for part in each.get("data") or ())
            for each in exclusions
        ):
            covered.update(struct.pack(">Q", at) + data[at : at + length])
        at += length
    return covered.digest()


def verify_by_other_hands(data: bytes, chain: Chain, folder: Path) -> dict[str, Any]:
    """Follow file → hash → assertion → claim → signature → certificate → root without the library that signed; return the claim."""
    spans = labels_of(data)
    claim_bytes = content_of(data, spans["c2pa.claim.v2"])
    boxed = "c2pa.hash.bmff.v3" in spans
    bound = "c2pa.hash.bmff.v3" if boxed else "c2pa.hash.data"
    binding = cbor2.loads(content_of(data, spans[bound]))
    assert (digest_of_boxes if boxed else digest_of_bytes)(data, binding["exclusions"]) == binding["hash"]
    claim = cbor2.loads(claim_bytes)
    named = {each["url"].rpartition("/")[2]: each["hash"] for each in (*claim["created_assertions"], *claim.get("gathered_assertions", ()))}
    for name in (bound, "c2pa.actions.v2"):
        assert named[name] == hashlib.sha256(data[slice(*spans[name])]).digest()
    protected, _, payload, signature = cbor2.loads(content_of(data, spans["c2pa.signature"])).value
    assert payload is None
    leaf = x509.load_der_x509_certificate(cbor2.loads(protected)[33][0])
    signed = cbor2.dumps(["Signature1", protected, b"", claim_bytes])
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    for name, content in (
        ("leaf.pem", leaf.public_bytes(Encoding.PEM)), ("pub.pem", leaf.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
        ("root.pem", chain.root.encode()), ("signed", signed), ("der", der),
    ):  # fmt: skip
        (folder / name).write_bytes(content)
    openssl = tool("openssl")
    assert "OK" in run(openssl, "verify", "-CAfile", str(folder / "root.pem"), str(folder / "leaf.pem"))
    assert "Verified OK" in run(
        openssl, "dgst", "-sha256", "-verify", str(folder / "pub.pem"), "-signature", str(folder / "der"), str(folder / "signed")
    )
    actions = cbor2.loads(content_of(data, spans["c2pa.actions.v2"]))["actions"]
    return {"generator": claim["claim_generator_info"], "actions": actions}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_signed_file_keeps_its_label_and_its_content_and_is_whole(tmp_path: Path, credentials: Credentials, name: str) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(labelled(name))
    data = sign(before.read_bytes(), credentials)
    after.write_bytes(data)
    assert read(data) == LABEL
    assert decoded(after) == decoded(before)
    found = inspect(after, roots=CHAIN.root)
    assert (found.verdict, found.traces, found.warnings) == ("compliant", ["c2pa"], [])
    assert found.credentials is not None
    assert (found.credentials.result, found.credentials.generated) == ("trusted", True)
    assert found.credentials.signer == "Test · Test signer"
    assert found.credentials.generator.startswith("guiju ")
    assert check(data).result == "valid"  # without a root nothing vouches for the signer
    assert check(data, roots=new_chain().root).result == "valid"
    assert check(before.read_bytes()).result == "none"
    if name != "plain.gif":  # there the store lies in pieces
        told = verify_by_other_hands(data, CHAIN, tmp_path)
        assert told["actions"] == [{"action": "c2pa.created", "digitalSourceType": GENERATED}]


@pytest.mark.parametrize("name", ["svg", "pdf", "pdf with object streams"])
def test_drawings_and_documents_keep_their_label(tmp_path: Path, credentials: Credentials, name: str) -> None:
    plain = sample("plain.svg") if name == "svg" else pdfs.plain() if name == "pdf" else pdfs.packed()
    data = sign(write(plain, LABEL), credentials)
    found = inspect(data, roots=CHAIN.root)
    assert (found.verdict, found.label, found.traces) == ("compliant", LABEL, ["c2pa"])
    assert found.credentials is not None
    assert found.credentials.result == "trusted"
    with pytest.raises(GuijuError, match="LABEL-BREAKS-MANIFEST"):
        write(data, first_label(OTHER, "P1"))
    if name != "svg":  # there the store is base64
        verify_by_other_hands(data, CHAIN, tmp_path)
        (tmp_path / "a.pdf").write_bytes(data)
        with pikepdf.open(tmp_path / "a.pdf") as opened:
            assert len(opened.pages) == len(pikepdf.open(io.BytesIO(plain)).pages)
            assert LABEL.produce_id in str(opened.docinfo["/AIGC"])


def test_a_signed_document_is_not_written_anew(credentials: Credentials) -> None:
    signed = pdfs.plain({**pdfs.OBJECTS, 1: b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /SigFlags 3 /Fields [] >> >>"})
    with pytest.raises(GuijuError, match="a signature of its own"):
        sign(write(signed, LABEL), credentials)


@pytest.mark.parametrize("make", [documents.docx, documents.odt, documents.epub], ids=["docx", "odt", "epub"])
def test_packed_documents_take_no_manifest(credentials: Credentials, make: Any) -> None:
    data = write(make(), LABEL)
    assert not takes_manifest(data)
    with pytest.raises(GuijuError, match="this form takes no manifest"):
        sign(data, credentials)


def test_exiftool_reads_the_same(tmp_path: Path, credentials: Credentials) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(sign(labelled("plain.jpeg"), credentials))
    (shown,) = json.loads(run(tool("exiftool"), "-j", "-a", "-G1", str(path)))
    assert shown["CBOR:ActionsAction"] == "c2pa.created"
    assert shown["CBOR:ActionsDigitalSourceType"] == GENERATED
    assert LABEL.produce_id in shown["XMP-TC260:Aigc"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_change_anywhere_outside_the_manifest_is_seen(credentials: Credentials, name: str) -> None:
    data = sign(labelled(name), credentials)
    at = data.index(b'"ContentProducer"' if b'"ContentProducer"' in data else b"ContentProducer&quot;")
    content = data.rindex(b"mdat") + 12 if b"mdat" in data else len(data) - 2
    for place in (at, content):
        changed = bytearray(data)
        changed[place] ^= 1
        assert check(bytes(changed)).result in ("invalid", "none", "unexamined"), place


@pytest.mark.parametrize("algorithm", ["es256", "es384", "ed25519"])
def test_every_algorithm_signs(tmp_path: Path, algorithm: str) -> None:
    chain = new_chain(algorithm)
    made = load_credentials(*chain.files(tmp_path))
    assert made.algorithm == algorithm
    assert "PRIVATE" not in repr(made)
    assert check(sign(labelled(), made), roots=chain.root).result == "trusted"


def test_what_cannot_sign_is_refused_before_a_file_is_touched(tmp_path: Path) -> None:
    chain, key = CHAIN.files(tmp_path)
    good, good_key = chain.read_text(), key.read_text()
    for certificates, private, mode, code in (
        ("", good_key, 0o600, "-UNUSABLE"),
        (good_key, good_key, 0o600, "-UNUSABLE"),
        (good * 6, good_key, 0o600, "-UNUSABLE"),
        (good, new_chain().key, 0o600, "-UNUSABLE"),
        (good, "x", 0o600, "-UNUSABLE"),
        (good, new_key("sm2").pem().decode(), 0o600, "-UNUSABLE"),
        (new_chain(days=-1).certificates, good_key, 0o600, "-UNUSABLE"),
        (good, good_key, 0o644, "KEY-FILE-OPEN"),
    ):
        chain.write_text(certificates)
        key.write_text(private)
        key.chmod(mode)
        with pytest.raises(GuijuError, match=code):
            load_credentials(chain, key)
    late = new_chain(days=-1)
    chain.write_text(late.certificates)
    key.write_text(late.key)
    key.chmod(0o600)
    with pytest.raises(GuijuError, match="not valid now"):
        load_credentials(chain, key)
    with pytest.raises(GuijuError, match="-UNUSABLE"):
        load_credentials(tmp_path / "none", key)


def test_without_a_label_nothing_is_signed_and_nothing_is_left(tmp_path: Path, credentials: Credentials) -> None:
    with pytest.raises(GuijuError, match="carries no label yet"):
        sign(sample("plain.png"), credentials)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(sample("plain.png"))
    with pytest.raises(GuijuError, match="carries no label yet"):
        sign_file(source, target, credentials)
    with pytest.raises(GuijuError, match="this form takes no manifest"):
        sign(b"nothing that is known", credentials)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "chain.key", "chain.pem"]


def test_a_form_that_loses_its_label_is_not_signed(credentials: Credentials) -> None:
    """The library moves the items of a HEIC and not their addresses, and still calls the result valid."""
    with pytest.raises(GuijuError, match="cannot be read any more"):
        sign(labelled("plain.heic"), credentials)


def test_what_is_too_large_is_neither_signed_nor_examined(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = sign(labelled(), credentials)
    monkeypatch.setattr(content_credentials, "SIZE_LIMIT_BYTES", len(labelled()) - 1)
    for original in (None, signed):
        with pytest.raises(GuijuError, match="it is larger than"):
            sign(labelled(), credentials, original=original)
    assert not takes_manifest(labelled())
    assert check(signed).result == "unexamined"
    assert any("is not examined" in warning for warning in inspect(signed).warnings)
    with pytest.raises(GuijuError, match="LABEL-BREAKS-MANIFEST"):  # and its manifest is taken for one that fits
        write(signed, first_label(OTHER, "P1"))


def test_a_file_is_signed_beside_and_appears_whole(tmp_path: Path, credentials: Credentials) -> None:
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    source.write_bytes(labelled("plain.wav"))
    source.chmod(0o640)
    sign_file(source, target, credentials)
    assert check(target).result == "valid"
    assert target.stat().st_mode & 0o777 == 0o640
    assert source.read_bytes() == labelled("plain.wav")
    assert not list(tmp_path.glob(".*"))


# ── a manifest that was there before ────────────────────────────────────────────────────────────────────────────────


def test_a_label_does_not_silently_break_a_manifest(tmp_path: Path, credentials: Credentials) -> None:
    upstream = sign(labelled(), load_credentials(*new_chain(name="Upstream").files(tmp_path)))
    spread = first_label(OTHER, "P1")
    with pytest.raises(GuijuError, match="LABEL-BREAKS-MANIFEST"):
        write(upstream, spread)
    (tmp_path / "up").write_bytes(upstream)
    with pytest.raises(GuijuError, match="LABEL-BREAKS-MANIFEST"):
        write_file(tmp_path / "up", tmp_path / "down", spread)
    assert not (tmp_path / "down").exists()
    assert write(upstream, LABEL) == upstream  # nothing to write, nothing to break
    broken = write(upstream, spread, break_manifest=True)
    found = inspect(broken)
    assert found.verdict == "compliant"
    assert found.credentials is not None
    assert found.credentials.result == "invalid"
    assert any("assertion.dataHash.mismatch" in each for each in found.warnings)
    assert read(write(broken, first_label(OTHER, "P2"))) is not None  # what does not fit any more is not protected


def test_what_came_with_a_manifest_keeps_it_as_its_origin(tmp_path: Path, credentials: Credentials) -> None:
    import c2pa

    theirs = new_chain(name="Upstream")
    upstream = sign(labelled(), load_credentials(*theirs.files(tmp_path)))
    spread = write(upstream, first_label(OTHER, "P1"), break_manifest=True)
    made = sign(spread, credentials, original=upstream)
    assert read(made) == read(spread)
    assert check(made, roots=CHAIN.root).result == "valid"  # nobody vouches for the origin
    found = check(made, roots=CHAIN.root + theirs.root)
    assert (found.result, found.signer, found.generated) == ("trusted", "Test · Test signer", False)
    told = json.loads(c2pa.Reader("image/png", io.BytesIO(made)).json())
    (origin,) = told["manifests"][told["active_manifest"]]["ingredients"]
    assert origin["relationship"] == "parentOf"
    assert told["manifests"][origin["active_manifest"]]["signature_info"]["common_name"] == "Upstream"
    assert not origin["validation_results"]["activeManifest"]["failure"]


# ── hostile files, no network, no library ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["plain.png", "plain.jpeg", "plain.mp3"])
def test_damaged_files_raise_nothing_and_a_changed_one_is_not_whole(credentials: Credentials, name: str) -> None:
    good = sign(labelled(name), credentials)
    for data in fuzzed([good], 150, seed=7):
        found = check(data)
        assert found.result in ("none", "invalid", "unexamined", "valid")
        assert found.result != "valid" or len(data) == len(good)  # a bit of the store's padding may change unseen
        inspect(data)


class Counting(http.server.BaseHTTPRequestHandler):
    """Counts who asks, and gives nothing."""

    asked: list[str] = []

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        self.send_error(404)

    do_POST = do_GET  # noqa: N815  # the name that the server calls

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    Counting.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", Counting.asked
        server.shutdown()
        thread.join()


def test_nobody_is_asked_over_a_network(tmp_path: Path, asked: tuple[str, list[str]]) -> None:
    import c2pa

    address, requests = asked
    chain = new_chain(ocsp=f"{address}/ocsp")
    made = load_credentials(*chain.files(tmp_path))
    data = sign(labelled(), made)
    assert check(data, roots=chain.root).result == "trusted"
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", chain.certificates.encode(), chain.key.encode(), None))
    builder = c2pa.Builder(
        {
            "claim_generator_info": [{"name": "elsewhere", "version": "1"}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": GENERATED}]}}],
        }
    )
    builder.set_no_embed()
    builder.set_remote_url(f"{address}/manifest.c2pa")
    out = io.BytesIO()
    builder.sign(signer, "image/jpeg", io.BytesIO(sample("plain.jpeg")), out)
    remote = out.getvalue()
    assert b"/manifest.c2pa" in remote
    assert check(remote).reason == "the manifest lies elsewhere and is not fetched"
    inspect(remote)
    with pytest.raises(GuijuError):
        sign(remote, made)
    assert requests == []
    settings = c2pa.Settings.from_dict({"verify": {"remote_manifest_fetch": True}})
    with pytest.raises(c2pa.C2paError):
        c2pa.Reader("image/jpeg", io.BytesIO(remote), context=c2pa.Context(settings=settings))
    assert requests == ["/manifest.c2pa"]  # the same look without our settings would have asked


def test_without_the_library_a_manifest_is_unexamined_and_nothing_is_signed(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sign(labelled(), credentials)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert check(data).result == "unexamined"
    found = inspect(data)
    assert (found.verdict, found.warnings) == ("compliant", ["credentials: unexamined: c2pa-python is not installed"])
    with pytest.raises(GuijuError, match="LABEL-CREDENTIALS-LIBRARY"):
        sign(labelled(), credentials)
    with pytest.raises(GuijuError, match="LABEL-BREAKS-MANIFEST"):
        write(data, first_label(OTHER, "P1"))


def test_the_library_is_not_loaded_for_a_file_without_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(labelled())
    code = f"import sys; from pathlib import Path; from guiju.labelling import inspect; print(inspect(Path({str(path)!r})).verdict, 'c2pa' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout == "compliant False\n"
    )


# ── the command line ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_line_labels_signs_and_seals(tmp_path: Path) -> None:
    chain, key = CHAIN.files(tmp_path)
    label_key = tmp_path / "label.key"
    label_key.write_bytes(new_key("sm2").pem())
    label_key.chmod(0o600)
    (tmp_path / "root.pem").write_text(CHAIN.root)
    source, out = tmp_path / "a.png", tmp_path / "b.png"
    source.write_bytes(sample("plain.png"))
    words = ["label", str(source), "--as-producer", "--provider", CODE, "-o", str(out)]
    seals = ["--sign-key", str(label_key), "--c2pa-chain", str(chain), "--c2pa-key", str(key)]
    runner = CliRunner()
    done = runner.invoke(whole_app(), [*words, *seals])
    assert done.exit_code == 0, done.output
    shown = runner.invoke(whole_app(), ["inspect", "--c2pa-roots", str(tmp_path / "root.pem"), str(out)])
    assert shown.exit_code == 0
    assert "intact  sm2 raw" in shown.stdout
    assert "C2PA: 可信 trusted  Test · Test signer" in shown.stdout
    row = json.loads(runner.invoke(whole_app(), ["inspect", "--json", str(out)]).stdout)
    assert row["credentials"]["result"] == "valid"
    spread = [str(out), "--as-propagator", "--provider", OTHER, "--in-place"]
    refused = runner.invoke(whole_app(), ["label", *spread])
    assert refused.exit_code == 1
    assert "LABEL-BREAKS-MANIFEST" in refused.stderr
    done = runner.invoke(whole_app(), ["label", *spread, *seals])
    assert done.exit_code == 0, done.output
    found = inspect(out)
    assert [(each.key, each.result) for each in found.signatures] == [("ReservedCode1", "intact"), ("ReservedCode2", "intact")]
    assert found.credentials is not None
    assert found.credentials.result == "valid"
    assert runner.invoke(whole_app(), [*words[:-1], str(tmp_path / "c.png"), "--c2pa-key", str(key)]).exit_code == 2
    key.chmod(0o644)
    open_key = runner.invoke(whole_app(), [*words[:-1], str(tmp_path / "c.png"), *seals])
    assert isinstance(open_key.exception, GuijuError)
    assert not (tmp_path / "c.png").exists()


def test_every_form_that_takes_a_manifest_is_one_of_ours() -> None:
    from guiju.labelling.containers import CONTAINERS

    known = {each.name for each in CONTAINERS}
    assert {"PNG", "JPEG", "WebP", "GIF", "WAV", "MP3", "FLAC", "AVI", "MP4", "HEIF"} <= known & set(MEDIA_TYPES)
