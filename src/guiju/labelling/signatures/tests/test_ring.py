"""The ring of label keys: made once, replaced whole, killed anywhere; what is published; records of every change."""

import json
import stat
import subprocess
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings
from typer.testing import CliRunner

from guiju.cli import whole_app
from guiju.core.errors import GuijuError
from guiju.core.layout import DataFolder
from guiju.core.settings import read_settings
from guiju.gateway.bundle import current_hash
from guiju.labelling import flow
from guiju.labelling.containers.tests.samples import CODE, LABEL, OTHER, sample, tool
from guiju.labelling.files import inspect, write
from guiju.labelling.signatures.keys import new_key
from guiju.labelling.signatures.ring import LabelKey, find_signing, load_signing_key, pinned, put_in_force, read_ring
from guiju.labelling.signatures.security_data import sign
from guiju.labelling.tests.chains import new_chain
from guiju.labelling.values import Label
from guiju.services import flow as services
from guiju.web.tests.rig import furnish, left

SERVICE = f"""[[upstream]]
name = "main"
base_url = "http://127.0.0.1:9/v1"
[[service]]
id = "chat"
name_zh = "对话"
name_en = "Chat"
[service.label]
content_producer = "{CODE}"
signature = "ed25519"
"""


@pytest.fixture
def data(tmp_path: Path, settings: Settings, db: None) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    settings.DATA_FOLDER = folder
    settings.SETTINGS_FILE = folder.settings
    furnish(folder)
    return folder


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    made, old = put_in_force(tmp_path, CODE, "sm2", keep=True)
    again, _ = put_in_force(tmp_path, CODE, "sm2", keep=True)
    assert (made, old) == (again, None)
    assert stat.S_IMODE((tmp_path / made.file).stat().st_mode) == 0o600
    key = load_signing_key(tmp_path, CODE, "sm2")
    assert (key.public.id, key.public) == (made.id, made.public_key())
    put_in_force(tmp_path, CODE, "ed25519", keep=True)
    put_in_force(tmp_path, OTHER, "ed25519", keep=True)
    assert len({key.id for key in read_ring(tmp_path)}) == 3
    with pytest.raises(GuijuError, match="LABEL-KEY-MISSING"):
        load_signing_key(tmp_path, OTHER, "sm2")


def test_what_the_former_key_signed_stays_authentic_and_its_private_half_is_gone(tmp_path: Path) -> None:
    first, _ = put_in_force(tmp_path, CODE, "sm2")
    signed = write(sample("plain.png"), sign(LABEL, load_signing_key(tmp_path, CODE, "sm2")))
    second, retired = put_in_force(tmp_path, CODE, "sm2")
    assert retired is not None
    assert (retired.id, retired.state, second.state) == (first.id, "retired", "signing")
    assert not (tmp_path / first.file).exists()
    assert load_signing_key(tmp_path, CODE, "sm2").public.id == second.id
    assert inspect(signed, pinned=pinned(read_ring(tmp_path))).signatures[0].result == "authentic"


def test_a_kill_before_the_ring_leaves_the_former_key_and_the_next_change_tidies(tmp_path: Path) -> None:
    first, _ = put_in_force(tmp_path, CODE, "ed25519")

    def killed(new: LabelKey, old: LabelKey | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put_in_force(tmp_path, CODE, "ed25519", before=killed)
    assert len(list(tmp_path.glob("label-*.key"))) == 2
    assert load_signing_key(tmp_path, CODE, "ed25519").public.id == first.id
    second, _ = put_in_force(tmp_path, CODE, "ed25519")
    assert [path.name for path in tmp_path.glob("label-*.key")] == [second.file]


def test_a_ring_that_is_not_what_it_says_signs_nothing(tmp_path: Path) -> None:
    first, _ = put_in_force(tmp_path, CODE, "ed25519")
    ring = json.loads((tmp_path / "labels.json").read_text())
    path = tmp_path / "labels.json"
    other = new_key("ed25519").public
    for changed in (
        "{", "[7]", json.dumps([*ring, ring[0]]), json.dumps([{**ring[0], "public": "zz"}]), json.dumps([{**ring[0], "public": other.spki.hex()}]),
    ):  # fmt: skip
        path.write_text(changed)
        with pytest.raises(GuijuError, match="LABEL-KEY-RING"):
            load_signing_key(tmp_path, CODE, "ed25519")
    path.write_text(json.dumps(ring))
    (tmp_path / first.file).write_bytes(new_key("ed25519").pem())
    with pytest.raises(GuijuError, match="holds another key"):
        load_signing_key(tmp_path, CODE, "ed25519")
    (tmp_path / first.file).chmod(0o640)
    with pytest.raises(GuijuError, match="KEY-FILE-OPEN"):
        load_signing_key(tmp_path, CODE, "ed25519")


def test_publishing_makes_the_key_that_a_service_wants_and_leaves_a_record(data: DataFolder) -> None:
    data.settings.write_text(SERVICE)
    services.publish(read_settings(data.settings))
    services.publish(read_settings(data.settings))
    (key,) = read_ring(data.keys)
    assert (key.provider, key.algorithm, key.state) == (CODE, "ed25519", "signing")
    made = [entry for entry in left(data) if entry.kind == "labelling.key.made"]
    assert [entry.metadata["key"] for entry in made] == [key.id]
    private = load_signing_key(data.keys, CODE, "ed25519").private
    assert private not in (data.bundles / f"{current_hash(data.bundles)}.bundle").read_bytes()
    assert private.hex() not in repr([entry.metadata for entry in left(data)])


def test_certificates_that_cannot_sign_are_not_put_in_force(data: DataFolder, tmp_path: Path) -> None:
    before = current_hash(data.bundles)
    chain, key = new_chain().files(data.root)
    both = f'c2pa_chain_file = "{chain.name}"\nc2pa_key_file = "{key.name}"\n'
    data.settings.write_text(SERVICE + both)
    settings = read_settings(data.settings)
    assert settings.services[0].label.c2pa_key_file == str(key)
    key.chmod(0o644)
    with pytest.raises(GuijuError, match="KEY-FILE-OPEN"):
        services.publish(settings)
    key.write_text(new_chain().key)
    key.chmod(0o600)
    with pytest.raises(GuijuError, match="LABEL-CREDENTIALS-UNUSABLE"):
        services.publish(settings)
    assert current_hash(data.bundles) == before
    new_chain().files(data.root)
    services.publish(settings)
    assert current_hash(data.bundles) != before
    assert b"PRIVATE" not in (data.bundles / f"{current_hash(data.bundles)}.bundle").read_bytes()
    for alone in both.splitlines():
        data.settings.write_text(f"{SERVICE}{alone}\n")
        with pytest.raises(GuijuError, match="certificates and their key go together"):
            read_settings(data.settings)


def test_a_service_that_signs_nothing_has_no_key(data: DataFolder) -> None:
    flow.make_missing_keys([Label(content_producer=CODE), Label(signature="sm2")], "person:test")
    assert read_ring(data.keys) == ()
    assert not (data.keys / "labels.json").exists()


def test_a_person_replaces_a_key_and_both_changes_are_recorded(data: DataFolder) -> None:
    first, _ = flow.rotate_key(CODE, "ed25519", "person:a")
    second, old = flow.rotate_key(CODE, "ed25519", "person:b")
    assert old is not None
    assert old.id == first.id
    told = [(entry.kind, entry.actor, entry.metadata["key"]) for entry in left(data) if entry.kind.startswith("labelling.key.")]
    assert told == [
        ("labelling.key.made", "person:a", first.id), ("labelling.key.made", "person:b", second.id), ("labelling.key.retired", "person:b", first.id),
    ]  # fmt: skip


def test_the_public_halves_are_everybodys_and_verify_with_what_is_published(data: DataFolder, tmp_path: Path) -> None:
    flow.rotate_key(CODE, "sm2", "person:a")
    flow.rotate_key(CODE, "sm2", "person:a")
    private = load_signing_key(data.keys, CODE, "sm2").private
    answer = Client().get("/label-keys.json")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert private.hex() not in answer.content.decode()
    assert b"PRIVATE" not in answer.content
    assert [(key["state"], bool(key["until"])) for key in answer.json()["keys"]] == [("retired", True), ("signing", False)]
    assert Client().post("/label-keys.json").status_code == 405
    file, keys = tmp_path / "a.png", tmp_path / "keys.json"
    file.write_bytes(write(sample("plain.png"), sign(LABEL, load_signing_key(data.keys, CODE, "sm2"))))
    keys.write_bytes(answer.content)
    done = CliRunner().invoke(whole_app(), ["inspect", "--keys", str(keys), str(file)])
    assert "真实（已知公钥） authentic  sm2 raw" in done.stdout
    (tmp_path / "pem").write_text(answer.json()["keys"][1]["pem"])
    shown = subprocess.run(
        [tool("openssl"), "pkey", "-pubin", "-in", str(tmp_path / "pem"), "-noout", "-text"], check=True, capture_output=True, text=True
    )
    assert "SM2" in shown.stdout
    exported = CliRunner().invoke(whole_app(), ["label-keys", "export", "--data", str(data.root)])
    assert json.loads(exported.stdout) == answer.json()


def test_the_command_line_lists_and_refuses(data: DataFolder, tmp_path: Path) -> None:
    new, _ = flow.rotate_key(CODE, "ed25519", "person:a")
    runner = CliRunner()
    assert f"{new.id}  signing   ed25519   {CODE}" in runner.invoke(whole_app(), ["label-keys", "list", "--data", str(data.root)]).stdout
    for words in (["rotate", CODE], ["rotate", CODE, "--algorithm", "rsa"]):
        assert runner.invoke(whole_app(), ["label-keys", *words, "--data", str(data.root)]).exit_code == 2
    absent = runner.invoke(whole_app(), ["label-keys", "list", "--data", str(tmp_path / "none")])
    assert isinstance(absent.exception, GuijuError)
    assert absent.exception.code.code == "DATA-MISSING"


def test_a_key_of_ones_own_is_taken(data: DataFolder) -> None:
    given = new_key("sm2")
    new, _ = flow.rotate_key(CODE, "sm2", "person:a", given)
    assert load_signing_key(data.keys, CODE, "sm2") == given
    assert flow.rotate_key(CODE, "sm2", "person:a", given) == (new, None)
    other, _ = flow.rotate_key(OTHER, "sm2", "person:a", given)  # one key for two providers
    assert find_signing(read_ring(data.keys), CODE, "sm2") == new
    assert other.provider == OTHER
    assert load_signing_key(data.keys, OTHER, "sm2") == given


def test_the_portal_names_the_signature(data: DataFolder) -> None:
    data.settings.write_text(SERVICE)
    services.publish(read_settings(data.settings))
    page = Client().get("/", headers={"accept-language": "zh"}).content.decode()
    assert "Ed25519" in page
    assert 'href="/label-keys.json"' in page
