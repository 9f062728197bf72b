"""What a signature in ReservedCode proves: every form that is met, every change of what was signed, and hostile values."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from guiju.cli import whole_app
from guiju.core.errors import GuijuError
from guiju.labelling import annex_e
from guiju.labelling.containers.tests.samples import CODE, LABEL, OTHER, exiftool, run, sample, tool
from guiju.labelling.files import inspect, read, write
from guiju.labelling.signatures import sm2
from guiju.labelling.signatures.check import PinnedKey, SignatureFinding, check
from guiju.labelling.signatures.keys import SigningKey, new_key
from guiju.labelling.signatures.security_data import producer_message, propagator_message, sign, sign_as_propagator
from guiju.labelling.signatures.tests.test_sm2 import openssl_verifies
from guiju.labelling.signatures.told import read_pinned
from guiju.labelling.values import FileLabel

KEYS = {"sm2": new_key("sm2"), "ed25519": new_key("ed25519")}
SIGNED = {name: sign(LABEL, key) for name, key in KEYS.items()}
both = pytest.mark.parametrize("algorithm", ["sm2", "ed25519"])


def pinned(key: SigningKey, provider: str = CODE) -> list[PinnedKey]:
    return [PinnedKey(provider=provider, key=key.public)]


def first(label: FileLabel, *known: PinnedKey) -> SignatureFinding:
    return check(label, known)[0]


def altered(label: FileLabel, **parts: Any) -> FileLabel:
    """Return the label with other parts of its first (signature) and second (key) entry; None takes one away."""
    data = json.loads(label.reserved_code1)
    entries = data["SecurityData"]["PubSD"]
    for name, value in parts.items():
        entry = entries[1] if name.startswith("Key") else entries[0]
        if value is None:
            entry.pop(name)
        else:
            entry[name] = value
    return msgspec.structs.replace(label, reserved_code1=json.dumps(data, separators=(",", ":")))


@both
def test_the_form_is_the_guides(algorithm: str) -> None:
    data = json.loads(SIGNED[algorithm].reserved_code1)
    assert list(data) == ["SecurityData"]
    assert {name: data["SecurityData"][name] for name in ("Type", "Version")} == {"Type": "TC260PG", "Version": 1}
    signature, key = data["SecurityData"]["PubSD"]
    id = {"sm2": "1.2.156.10197.1.501", "ed25519": "1.3.101.112"}[algorithm]
    assert signature == {"Type": "DS", "AlgID": id, "TBSData": {"Type": "Md"}, "Signature": signature["Signature"]}
    assert key == {"Type": "PubKey", "AlgID": id, "KeyID": KEYS[algorithm].public.id, "KeyValue": KEYS[algorithm].public.spki.hex()}
    assert producer_message(LABEL) == f'"Label":"1","ContentProducer":"{CODE}","ProduceID":"{LABEL.produce_id}"'.encode()


@both
@pytest.mark.parametrize("name", ["plain.png", "plain.jpeg", "plain.webp", "plain.gif", "plain.mp3", "plain.wav", "plain.flac"])
def test_a_file_carries_it_and_others_read_and_verify_it(tmp_path: Path, name: str, algorithm: str) -> None:
    path = tmp_path / name
    path.write_bytes(write(sample(name), SIGNED[algorithm]))
    assert read(path.read_bytes()) == SIGNED[algorithm]
    found = inspect(path, pinned=pinned(KEYS[algorithm]))
    assert (found.verdict, found.signatures[0].result, found.signatures[0].convention) == ("compliant", "authentic", "raw")
    shown = run(tool("exiftool"), "-U", "-b", "-Unknown_AIGC", str(path)) if name == "plain.wav" else exiftool(path)
    inner = json.loads(shown[shown.index('{"Label"') : shown.rindex("}") + 1].splitlines()[0])
    signature = json.loads(inner["ReservedCode1"])["SecurityData"]["PubSD"][0]["Signature"]
    message = ",".join(f'"{key}":"{inner[key]}"' for key in ("Label", "ContentProducer", "ProduceID")).encode()
    assert openssl_verifies(tmp_path, KEYS[algorithm].public, message, bytes.fromhex(signature))


@both
def test_only_a_pinned_key_of_the_same_provider_makes_it_authentic(algorithm: str) -> None:
    label, key = SIGNED[algorithm], KEYS[algorithm]
    assert first(label).result == "intact"
    assert first(label, *pinned(key)).result == "authentic"
    assert first(label, *pinned(key, CODE[:22] + "1000A")).result == "authentic"
    assert first(label, *pinned(key, OTHER)).result == "intact"
    assert first(label, *pinned(key, "")).result == "intact"
    assert first(label, *pinned(new_key("sm2")), *pinned(new_key("ed25519"))).result == "intact"
    other = sign(msgspec.structs.replace(LABEL, content_producer=OTHER), key)  # our own key says that it is another's file
    assert first(other, *pinned(key)).result == "intact"
    without = altered(label, KeyValue=None)
    assert first(without).result == "unexamined"
    assert first(without, *pinned(key)).result == "authentic"


@both
@settings(max_examples=40, deadline=None)
@given(
    field=st.sampled_from(["label", "content_producer", "produce_id"]),
    value=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=40),
)
def test_every_change_of_what_was_signed_is_seen(algorithm: str, field: str, value: str) -> None:
    label = SIGNED[algorithm]
    changed = msgspec.structs.replace(label, **{field: value})
    expected = "intact" if changed == label else "false"
    assert first(changed).result == expected
    assert first(changed, *pinned(KEYS[algorithm])).result in (expected, "authentic" if expected == "intact" else expected)


def test_a_value_that_imitates_the_next_key_does_not_pass() -> None:
    """The message is a plain text; a quote inside a value must not let it be cut in another place."""
    label = sign(msgspec.structs.replace(LABEL, produce_id='7","x":"'), KEYS["ed25519"])
    cut = msgspec.structs.replace(label, content_producer=f'{CODE}","ProduceID":"7', produce_id="")
    assert first(label).result == "intact"
    assert first(cut).result == "false"


def test_both_live_conventions_and_all_spellings_are_read() -> None:
    key = KEYS["sm2"]
    message = producer_message(LABEL)
    assert message.startswith(b'"Label":"1","ContentProducer"')
    for convention, signed in (("raw", message), ("prehashed", sm2.sm3(message))):
        value = key.sign(signed).hex()
        for type_ in ("Md", "LabelMataData"):
            for form in (
                key.public.spki,
                b"\x04" + key.public.raw,
                key.public.raw,
                bytes([2 + key.public.raw[63] % 2]) + key.public.raw[:32],
                b"\0" + key.public.raw[:32],
            ):
                label = altered(SIGNED["sm2"], Signature=value.upper(), TBSData={"Type": type_}, KeyValue=form.hex().upper())
                found = first(msgspec.structs.replace(label, reserved_code1=label.reserved_code1.replace("PubSD", "PubSd")))
                assert (found.result, found.convention, found.key_id) == ("intact", convention, key.public.id)


def test_a_propagator_signs_for_itself_and_the_producers_signature_stays() -> None:
    theirs = new_key("sm2")
    spread = sign_as_propagator(msgspec.structs.replace(SIGNED["ed25519"], content_propagator=OTHER, propagate_id="P1"), theirs)
    file = write(write(sample("plain.png"), SIGNED["ed25519"]), spread)
    assert read(file) == spread
    found = inspect(file, pinned=[*pinned(KEYS["ed25519"]), *pinned(theirs, OTHER)]).signatures
    assert [(each.key, each.result) for each in found] == [("ReservedCode1", "authentic"), ("ReservedCode2", "authentic")]
    assert check(spread, pinned(theirs))[1].result == "intact"  # a key pinned for the producer is not the propagator's
    for name in ("label", "content_producer", "produce_id", "content_propagator", "propagate_id"):
        assert check(msgspec.structs.replace(spread, **{name: "2"}))[1].result == "false"
    assert propagator_message(spread) == producer_message(spread) + f',"ContentPropagator":"{OTHER}","PropagateID":"P1"'.encode()


def test_what_is_not_known_is_neither_true_nor_false() -> None:
    label = SIGNED["sm2"]
    strange = msgspec.structs.replace(LABEL, reserved_code2=altered(label, Signature=KEYS["sm2"].sign(b"who knows").hex()).reserved_code1)
    assert [each.result for each in check(strange)] == ["none", "unexamined"]
    assert inspect(write(sample("plain.png"), strange)).verdict == "compliant"
    for parts in (
        {"AlgID": "1.2.840.10045.4.3.2"},
        {"AlgID": None},
        {"AlgID": 7},
        {"TBSData": {"Type": "Bnd"}},
        {"TBSData": None},
        {"KeyValue": "04" + "7" * 128},
    ):
        assert first(altered(label, **parts)).result == "unexamined", parts
    bound = msgspec.structs.replace(
        label, reserved_code1=label.reserved_code1.replace('"Version":1', '"Version":1,"Bindings":[{"Type":"Bnd"}]')
    )
    assert first(bound).result == "intact"
    assert "bindings to the content were not examined" in first(bound).reason


@pytest.mark.parametrize(
    "value",
    [
        "q83vEjRWeJA=",
        "7f3a" * 8,
        "01M8541RFZ2W8VNPF2VCNJVC99",
        "L-1",
        "K-2",
        "3045022100ab",
        "{}",
        '{"SecurityData":7}',
        '{"SecurityData":{},"SecurityData":{}}',
        '{"SecurityData"' + "[" * 30_000,
    ],
)
def test_other_fillings_are_opaque_and_no_fault(value: str) -> None:
    label = msgspec.structs.replace(LABEL, reserved_code1=value)
    assert first(label).result == "opaque"
    if len(value) < 8192 and annex_e.checked(label):
        assert inspect(write(sample("plain.png"), label)).verdict == "compliant"


def test_one_false_signature_outweighs_a_good_one_and_the_verdict_says_so() -> None:
    data = json.loads(SIGNED["sm2"].reserved_code1)
    wrong = json.loads(altered(SIGNED["sm2"], Signature=KEYS["sm2"].sign(b"else").hex()).reserved_code1)
    data["SecurityData"]["PubSD"].append(wrong["SecurityData"]["PubSD"][0])
    label = msgspec.structs.replace(LABEL, reserved_code1=json.dumps(data, separators=(",", ":")))
    assert first(label, *pinned(KEYS["sm2"])).result == "false"
    found = inspect(write(sample("plain.png"), label))
    assert (found.verdict, found.state) == ("noncompliant", "declared")
    assert found.errors == ["security_data: ReservedCode1: the keys of the label are not those that were signed"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["DS", "PubKey", "Md", "1.2.156.10197.1.501", "00" * 32, "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["Type", "AlgID", "TBSData", "Signature", "KeyValue", "KeyID", "PubSD", "Bindings"]), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(data=json_values, parts=st.lists(json_values, max_size=6))
def test_no_value_raises_and_none_is_authentic(data: Any, parts: Any) -> None:
    for security in (data, {"PubSD": parts}, {"PubSd": data}):
        label = msgspec.structs.replace(LABEL, reserved_code1=json.dumps({"SecurityData": security}), produce_id="\ud800x")
        assert first(label, *pinned(KEYS["sm2"])).result in ("opaque", "unexamined", "false")


def test_many_parts_take_bounded_time() -> None:
    import time

    data = json.loads(SIGNED["sm2"].reserved_code1)
    signature, key = data["SecurityData"]["PubSD"]
    signature["Signature"] = KEYS["sm2"].sign(b"else").hex()
    keys = [{**key, "KeyValue": "00" + new_key("sm2").public.raw[:32].hex()} for _ in range(40)]
    data["SecurityData"]["PubSD"] = [signature, *keys[:8]] * 8
    label = msgspec.structs.replace(LABEL, reserved_code1=json.dumps(data))
    known = [each for _ in range(40) for each in pinned(new_key("sm2"))]
    began = time.thread_time()
    assert first(label, *known).result == "false"
    assert time.thread_time() - began < 3


# ── the command line ────────────────────────────────────────────────────────────────────────────────────────────────


def published(path: Path, *keys: tuple[str, str]) -> Path:
    path.write_text(json.dumps({"keys": [{"provider": provider, "public_key": key} for provider, key in keys]}))
    return path


def test_the_command_line_tells_it(tmp_path: Path) -> None:
    runner, file = CliRunner(), tmp_path / "a.png"
    file.write_bytes(write(sample("plain.png"), SIGNED["sm2"]))
    keys = published(tmp_path / "keys.json", (CODE, KEYS["sm2"].public.spki.hex()))
    assert "ReservedCode1 完整（仅以文件内的公钥核验） intact  sm2 raw" in runner.invoke(whole_app(), ["inspect", str(file)]).stdout
    done = runner.invoke(whole_app(), ["inspect", "--json", "--keys", str(keys), str(file)])
    assert done.exit_code == 0
    row = json.loads(done.stdout)["signatures"][0]
    assert (row["result"], row["algorithm"], row["convention"], row["key_id"]) == ("authentic", "sm2", "raw", KEYS["sm2"].public.id)
    changed = msgspec.structs.replace(SIGNED["sm2"], produce_id="another")
    file.write_bytes(write(sample("plain.png"), changed))
    done = runner.invoke(whole_app(), ["inspect", "--keys", str(keys), str(file)])
    assert done.exit_code == 1
    assert "不符 false" in done.stdout


def test_a_file_of_keys_of_which_a_part_is_not_understood_is_not_used(tmp_path: Path) -> None:
    good = KEYS["sm2"].public.spki.hex()
    assert read_pinned(published(tmp_path / "k", (CODE, good))) == pinned(KEYS["sm2"])
    path = tmp_path / "k"
    for content in ("", "[]", '{"keys": 7}', '{"keys": [7]}', '{"keys": [{"provider": "x"}]}', "{" * 90_000, " " * 1_100_000):
        path.write_text(content)
        with pytest.raises(GuijuError, match="LABEL-KEYS-UNREADABLE"):
            read_pinned(path)
    for keys in (((CODE, good), (CODE, "zz")), ((CODE, good), ("", good)), ((CODE, "00" + good[-128:-64]),)):
        with pytest.raises(GuijuError, match="LABEL-KEYS-UNREADABLE"):
            read_pinned(published(path, *keys))
    with pytest.raises(GuijuError, match="LABEL-KEYS-UNREADABLE"):
        read_pinned(tmp_path / "none")


def test_nothing_is_printed_by_the_library(tmp_path: Path) -> None:
    """Values of strangers never reach the C library, which would write its own lines to standard error."""
    path = tmp_path / "a.png"
    path.write_bytes(write(sample("plain.png"), altered(SIGNED["sm2"], Signature="3006020100020100")))
    command = [sys.executable, "-m", "guiju.cli", "inspect", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == ""
