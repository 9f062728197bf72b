"""Labels in files: write one, read one, inspect what there is; in memory, or from file to file for large ones.

A write is a few edits of the original. What it gives is examined anew and must hold exactly the label that was asked for, once;
otherwise nothing is returned. A file that carries a valid label of its producer keeps it: the writer becomes its propagator, unless
the writer is that producer, whose new label then takes the place of its old one. A label that cannot be kept (several that disagree,
or one that cannot be read) is another's all the same: it is refused, and goes only when the caller says so.
Source: Measures Art. 12; Labelling Measures Arts. 5, 6 and 10; GB 45438-2025 §6.1.
"""

import dataclasses
import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from guiju.core.errors import GuijuError, Text, define
from guiju.labelling import annex_e
from guiju.labelling.containers import find_container, plain_text, saved_answer
from guiju.labelling.containers.source import Broken, Edit, Found, NoRoom, Sealed, Source, write_all
from guiju.labelling.findings import Finding, list_findings
from guiju.labelling.signatures.check import PinnedKey, SignatureFinding, check
from guiju.labelling.values import SIDECAR_SUFFIX, CredentialsFinding, Damaged, FileLabel, Heard

_HEAD_BYTES = 4096
Verdict = Literal["compliant", "noncompliant", "not_found", "inconclusive"]
State = Literal["declared", "possible", "suspected", "none"]

LABEL_CONTAINER = define(
    "LABEL-CONTAINER",
    status=502,
    kind="server_error",
    zh=Text("无法识别文件格式，不能写入标识。", "文件未改动，也未送出。", "请改用 docs/labels.md 所列的格式。"),
    en=Text(
        "The form of the file is not known, so no label can be written.",
        "The file is unchanged and was not delivered.",
        "Use one of the forms in docs/labels.md.",
    ),
)
LABEL_DAMAGED = define(
    "LABEL-DAMAGED",
    status=502,
    kind="server_error",
    zh=Text("{container} 文件在第 {at} 字节处无法检查：{reason}。", "文件未改动，也未送出。", "请从生成方重新取得该文件。"),
    en=Text(
        "The {container} file cannot be examined at byte {at}: {reason}.",
        "The file is unchanged and was not delivered.",
        "Get the file again from where it was made.",
    ),
)
LABEL_NO_ROOM = define(
    "LABEL-NO-ROOM",
    status=502,
    kind="server_error",
    zh=Text("{container} 文件没有放置标识的空间：{reason}。", "文件未改动，也未送出。", "请减少文件中的其他元数据，或改用其他格式。"),
    en=Text(
        "The {container} file has no room for a label: {reason}.",
        "The file is unchanged and was not delivered.",
        "Let the file carry less other metadata, or use another form.",
    ),
)
LABEL_SEALED = define(
    "LABEL-SEALED",
    status=502,
    kind="server_error",
    zh=Text("{container} 文件带有数字签名，写入标识会使签名失效。", "文件未改动，也未送出。", "请先写入标识，再签名。"),
    en=Text(
        "The {container} file is signed, and a label would break its signature.",
        "The file is unchanged and was not delivered.",
        "Write the label first, then sign.",
    ),
)
LABEL_CONFLICT = define(
    "LABEL-CONFLICT",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "{container} 文件已有标识，但不能原样保留：{reason}。",
        "文件未改动，也未送出；他人的标识不得擅自删除或改动（标识办法第十条）。",
        "请先用 guiju inspect 查看；确有依据要以新标识取代的，加 --replace（程序中为 replace=True）。",
    ),
    en=Text(
        "The {container} file carries a label that cannot be kept as it is: {reason}.",
        "The file is unchanged and was not delivered; nobody may delete or alter another's label (Labelling Measures Art. 10).",
        "Look at it with guiju inspect; where there is a ground to put a new one in its place, say --replace (replace=True in programs).",
    ),
)
LABEL_BREAKS_MANIFEST = define(
    "LABEL-BREAKS-MANIFEST",
    status=409,
    kind="invalid_request_error",
    zh=Text(
        "{container} 文件带有 C2PA 清单，写入标识会使清单与文件不符。",
        "文件未改动，也未送出；清单照旧有效。",
        "须写标识的，加 --break-manifest（程序中为 break_manifest=True）；有自己的证书的，写入后以原文件为来源重新签署（docs/label-signatures.md）。",
    ),
    en=Text(
        "The {container} file carries a C2PA manifest, which a label would break.",
        "The file is unchanged and was not delivered; its manifest fits as before.",
        "Where the label must be written, say --break-manifest (break_manifest=True in programs); with certificates of your own, sign it anew from the original (docs/label-signatures.md).",
    ),
)  # fmt: skip
LABEL_READ_BACK = define(
    "LABEL-READ-BACK",
    status=500,
    kind="server_error",
    zh=Text("写入 {container} 后回读的标识与要写的不一致。", "原文件未改动，新文件已弃去，未送出。", "请将该文件与本错误一并报告给 guiju 的维护者。"),
    en=Text("The label read back from the {container} file is not the one that was written.", "The original is unchanged; the new file was discarded and not delivered.", "Report this error to guiju's maintainers together with the file."),
)  # fmt: skip


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One place of a label: channel, where its part lies in bytes, its text, and the label if it is one."""

    channel: str
    start: int
    stop: int
    text: str
    label: FileLabel | None


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of itself. `state` is that of Labelling Measures Art. 6; None where the file could not be examined."""

    verdict: Verdict
    state: State | None
    container: str
    label: FileLabel | None
    places: list[Place]
    errors: list[str]
    warnings: list[str]
    traces: list[str]
    damaged: Damaged | None = None
    signatures: list[SignatureFinding] = []
    """What ReservedCode1 proves, then ReservedCode2 where it holds something; empty without a label."""
    credentials: CredentialsFinding | None = None
    """What its C2PA manifest proves; None where none was seen."""
    heard: Heard | None = None
    """What is heard in a sound; None where nobody listened."""

    @property
    def findings(self) -> list[Finding]:
        """Every check by its name, with its result."""
        return list_findings(
            self.container, len(self.places), self.label, self.errors, self.warnings, self.signatures, self.damaged, self.heard
        )


def first_label(provider: str, number: str, *, reserved: str = "") -> FileLabel:
    """Return the label of a first write: the producer is its first propagator too (Annex E note 1)."""
    return FileLabel(
        content_producer=provider, produce_id=number, reserved_code1=reserved, content_propagator=provider, propagate_id=number
    )


def write(data: bytes, label: FileLabel, *, replace: bool = False, break_manifest: bool = False, hint: str | None = None) -> bytes:
    """Return the file with this label, the only one in it; everything else stays byte for byte.

    `replace` lets go of a label that cannot be kept: several that disagree, or one that cannot be read (Labelling Measures Art. 10).
    `break_manifest` writes into a file whose C2PA manifest fits, and does not afterwards.
    `hint` is the file's name or media type. Texts alone need it (Markdown, a page without its first tags), and of nothing else is it believed.
    Raises GuijuError: LABEL-CONTAINER, LABEL-DAMAGED, LABEL-CONFLICT, LABEL-BREAKS-MANIFEST, LABEL-NO-ROOM, LABEL-SEALED, LABEL-VALUE,
    LABEL-READ-BACK.
    """
    source = Source(data)
    container, edits, wanted = _planned(source, label, replace, break_manifest, hint)
    labelled = source.edited(edits)
    _read_back(Source(labelled), container, wanted, hint)
    return labelled


def write_file(
    original: Path, target: Path, label: FileLabel, *, replace: bool = False, break_manifest: bool = False, hint: str | None = None
) -> None:
    """Write the labelled file to `target`, which appears whole or not at all; memory does not grow with the file. Raises as `write`.

    The hint is the original's name unless another is given. A plain text has no metadata: it is copied as it is, and its label stands
    beside it in `NAME.aigc.json`, which is there before it.
    """
    hint = hint or original.name
    with original.open("rb") as opened:
        source = Source(opened.fileno())
        if _is_plain_text(source, hint):
            beside = _planned_beside(source, original, label, replace, hint)
            plain_text.put(_beside(target), beside, 0o644)
            if original.resolve() != target.resolve():
                plain_text.put(target, source, os.fstat(opened.fileno()).st_mode & 0o777)
            return
        container, edits, wanted = _planned(source, label, replace, break_manifest, hint)
        handle, name = tempfile.mkstemp(prefix=".guiju-", dir=target.parent)
        try:
            at = 0
            for part in source.spans(edits):
                if isinstance(part, bytes):
                    write_all(handle, part, at)
                    at += len(part)
                else:
                    source.copy_to(handle, part[0], part[1] - part[0], at)
                    at += part[1] - part[0]
            os.ftruncate(handle, at)
            os.fsync(handle)
            _read_back(Source(handle), container, wanted, hint)
            os.fchmod(handle, os.fstat(opened.fileno()).st_mode & 0o777)
            Path(name).replace(target)
        except BaseException as error:
            Path(name).unlink(missing_ok=True)
            if isinstance(error, Broken):
                raise GuijuError(LABEL_DAMAGED, container=container, at=error.at, reason=error.reason) from error
            raise
        finally:
            os.close(handle)


def read(data: bytes, *, hint: str | None = None) -> FileLabel | Damaged | None:
    """Return the file's label, None when it has none, Damaged when that cannot be told. Raises GuijuError LABEL-CONTAINER.

    `hint` is as for `write`.
    """
    return _read(_inspect(Source(data), False, False, hint))


def read_file(path: Path, *, hint: str | None = None) -> FileLabel | Damaged | None:
    """Return the label of a file of any size, as `read` does; its name stands in for the hint. Of a plain text it is the label beside it."""
    with path.open("rb") as opened:
        return _read(_inspect_file(Source(opened.fileno()), path, False, False, hint or path.name))


def inspect(
    data: bytes | Path,
    *,
    user_declares: bool = False,
    strict: bool = True,
    pinned: Sequence[PinnedKey] = (),
    roots: str = "",
    hint: str | None = None,
    listens: bool = False,
) -> Inspection:
    """Return what is found in a file and what follows from it; never raises for what the file holds.

    `strict` fails several equal labels, which Annex E forbids; without it they are a warning. `user_declares` is what the person
    who published the file said (Labelling Measures Art. 6). `pinned` are the keys under which a signature is authentic, `roots`
    PEM certificates that vouch for the signer of a C2PA manifest. `hint` is as for `write`; a path's own name stands in for it.
    `listens` looks for the rhythm of an explicit label in sounds, which decodes a part of them: it is a trace, and no label of its own.
    """
    if isinstance(data, bytes):
        found = _with_signatures(_inspect(Source(data), user_declares, strict, hint), pinned)
    else:
        with data.open("rb") as opened:
            found = _with_signatures(_inspect_file(Source(opened.fileno()), data, user_declares, strict, hint or data.name), pinned)
    if listens and found.damaged is None:
        found = _with_heard(found, data)
    return _with_credentials(found, data, roots) if "c2pa" in found.traces else found


def _with_heard(found: Inspection, data: bytes | Path) -> Inspection:
    """Return the inspection of a sound with what is heard: without a label a rhythm makes it suspected, and never declared."""
    from guiju.labelling.explicit.listening import is_sound, listen  # here: it loads PyAV and numpy

    with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as opened:
        head = opened.read(12)
        if not is_sound(found.container, head):
            return found
        opened.seek(0)
        heard = listen(opened, found.container)
    if heard.result != "rhythm":
        return msgspec.structs.replace(found, heard=heard)
    state = "suspected" if found.state == "none" else found.state
    return msgspec.structs.replace(found, heard=heard, traces=sorted({*found.traces, "rhythm"}), state=state)


def _with_credentials(found: Inspection, data: bytes | Path, roots: str) -> Inspection:
    """Return the inspection with what the manifest proves; one that does not fit says nothing about the label, and is a warning."""
    from guiju.labelling.content_credentials import check as check_manifest  # here: it loads 16 MB of compiled code

    credentials = check_manifest(data, roots=roots)
    told = [f"credentials: {credentials.result}: {credentials.reason}"] if credentials.result in ("invalid", "unexamined") else []
    return msgspec.structs.replace(found, credentials=credentials, warnings=[*found.warnings, *told])


def _with_signatures(found: Inspection, pinned: Sequence[PinnedKey]) -> Inspection:
    """Return the inspection with what its signatures prove: a false one is an error, one that cannot be examined a warning."""
    if found.label is None:
        return found
    signatures = check(found.label, pinned)
    told = {
        result: [f"security_data: {each.key}: {each.reason}" for each in signatures if each.result == result]
        for result in ("false", "unexamined")
    }
    return msgspec.structs.replace(
        found,
        signatures=signatures,
        verdict="noncompliant" if told["false"] else found.verdict,
        errors=[*found.errors, *told["false"]],
        warnings=[*found.warnings, *told["unexamined"]],
    )


def _inspect_file(source: Source, path: Path, user_declares: bool, strict: bool, hint: str) -> Inspection:
    """Inspect an opened file, a plain text together with the label beside it."""
    if not _is_plain_text(source, hint):
        return _inspect(source, user_declares, strict, hint)
    found = plain_text.examine(source)
    try:
        with _beside(path).open("rb") as opened:
            site = plain_text.read_sidecar(source, Source(opened.fileno()))
    except FileNotFoundError:
        return _inspect(source, user_declares, strict, hint)
    except Broken as error:
        return _inconclusive(Damaged(container=plain_text.NAME, reason=error.reason, at=error.at))
    return _judged(plain_text.NAME, dataclasses.replace(found, sites=(site,), notes=()), user_declares, strict)


def _is_plain_text(source: Source, hint: str) -> bool:
    try:
        container = find_container(source, hint)
    except Broken:
        return False
    return container is not None and container.name == plain_text.NAME


def _beside(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR_SUFFIX)


def _inspect(source: Source, user_declares: bool, strict: bool, hint: str | None) -> Inspection:
    name = "unknown"
    try:
        container = find_container(source, hint)
        if (container is None or container.name == plain_text.NAME) and (sites := saved_answer.find_sites(source)):
            return _judged(saved_answer.NAME, dataclasses.replace(plain_text.examine(source), sites=sites, notes=()), user_declares, strict)
        if container is None:
            return _inconclusive(Damaged(container=name, reason=_unknown(source, hint), at=0))
        name = container.name
        found = container.examine(source)
    except Broken as error:
        return _inconclusive(Damaged(container=name, reason=error.reason, at=error.at))
    return _judged(name, found, user_declares, strict)


def _unknown(source: Source, hint: str | None) -> str:
    """Return why nobody knows what this is: standard input, whose hint is `-`, has no name that would tell a text's form."""
    if hint != "-" or not plain_text.sniff(source.head(_HEAD_BYTES)):
        return "the form of the file is not known / 无法识别文件格式"
    if not source.size:
        return "standard input was empty / 标准输入没有内容"
    return (
        "standard input has no name that tells what kind of text it is; save it as .txt, .md or .json and inspect that / "
        "标准输入没有文件名，无法得知是哪种文本；请存为 .txt、.md 或 .json 文件再查验"
    )


def _judged(name: str, found: Found, user_declares: bool, strict: bool) -> Inspection:
    readings = [annex_e.read_text(site.text) for site in found.sites]
    places = [
        Place(channel=site.channel, start=site.start, stop=site.stop, text=_shown(site.text), label=reading.label)
        for site, reading in zip(found.sites, readings, strict=True)
    ]
    errors = [error for reading in readings for error in reading.errors]
    warnings = [*found.notes, *(warning for reading in readings for warning in reading.warnings)]
    labels = [reading.label for reading in readings if reading.label]
    if len(found.sites) > 1:
        (errors if strict or len(set(labels)) != 1 else warnings).append(f"one_label: there are {len(found.sites)}")
    label = labels[0] if labels and len(set(labels)) == 1 else None
    verdict: Verdict
    if not found.sites:
        verdict = "not_found"
    elif not errors and all(reading.empty for reading in readings):
        verdict = "inconclusive"
    else:
        verdict = "noncompliant" if errors or label is None else "compliant"
    state: State = "none"
    if label is not None:
        state = ("declared", "possible", "suspected")[int(label.label) - 1]
    elif user_declares:
        state = "possible"
    elif found.traces or found.sites:
        state = "suspected"
    return Inspection(
        verdict=verdict, state=state, container=name, label=label, places=places, errors=errors, warnings=warnings, traces=sorted(set(found.traces))
    )  # fmt: skip


def _shown(text: str) -> str:
    return text[: annex_e.VALUE_LIMIT_BYTES].encode("utf-8", "replace").decode()


def _inconclusive(damaged: Damaged) -> Inspection:
    return Inspection(
        verdict="inconclusive", state=None, container=damaged.container, label=None, places=[], errors=[], warnings=[], traces=[], damaged=damaged
    )  # fmt: skip


def _read(found: Inspection) -> FileLabel | Damaged | None:
    if found.damaged is not None:
        if found.container == "unknown":
            raise GuijuError(LABEL_CONTAINER)
        return found.damaged
    if found.label is None and found.places:
        reason = "; ".join(found.errors) or "the place of the label is empty"
        return Damaged(container=found.container, reason=reason, at=found.places[0].start)
    return found.label


def _planned(source: Source, label: FileLabel, replace: bool, break_manifest: bool, hint: str | None) -> tuple[str, list[Edit], FileLabel]:
    """Return the container's name, the edits, and the label that will stand in the file."""
    name = "unknown"
    try:
        container = find_container(source, hint)
        if container is None:
            raise GuijuError(LABEL_CONTAINER)
        name = container.name
        found = container.examine(source)
        judged = _judged(name, found, False, True)
        wanted = _wanted(judged, label, replace)
        if judged.verdict == "compliant" and judged.label == wanted:
            return name, [], wanted
        if "c2pa" in found.traces and not break_manifest and _manifest_fits(source):
            raise GuijuError(LABEL_BREAKS_MANIFEST, container=name)
        return name, found.place(annex_e.inner(wanted)), wanted
    except Broken as error:
        raise GuijuError(LABEL_DAMAGED, container=name, at=error.at, reason=error.reason) from error
    except NoRoom as error:
        raise GuijuError(LABEL_NO_ROOM, container=name, reason=str(error)) from error
    except Sealed as error:
        raise GuijuError(LABEL_SEALED, container=name) from error


def _planned_beside(source: Source, path: Path, label: FileLabel, replace: bool, hint: str) -> bytes:
    """Return the file that will stand beside a plain text."""
    judged = _inspect_file(source, path, False, True, hint)
    if judged.damaged and not replace:  # the label of another text, or no label at all: not to be overwritten unasked
        raise GuijuError(LABEL_CONFLICT, container=plain_text.NAME, reason=judged.damaged.reason)
    return plain_text.sidecar(source, annex_e.inner(_wanted(judged, label, replace)))


def _wanted(judged: Inspection, label: FileLabel, replace: bool) -> FileLabel:
    """Return the label that will stand in the file, given what stands in it. Raises GuijuError: LABEL-CONFLICT, LABEL-VALUE."""
    if not replace and (reason := _lost(judged)):
        raise GuijuError(LABEL_CONFLICT, container=judged.container, reason=reason)
    kept = judged.label
    if kept is not None and label.content_producer and kept.content_producer == label.content_producer == label.content_propagator:
        kept = None if kept != label else kept  # the producer labels its own content anew
    return annex_e.checked(label if kept is None else _spread(kept, label), kept)


def _manifest_fits(source: Source) -> bool:
    """Tell whether there is a manifest that a change would break; one that nobody can read is taken for one."""
    from guiju.labelling.content_credentials import check_source  # here: it loads 16 MB of compiled code

    return check_source(source).result not in ("none", "invalid")


def _lost(judged: Inspection) -> str:
    """Return what of another's label a write could not keep, "" when it keeps all: the place was empty, or one label was read whole."""
    if judged.label is None:
        disagree = len({place.label for place in judged.places if place.label}) > 1
        return "the labels in it disagree" if disagree else "; ".join(error for error in judged.errors if not error.startswith("one_label"))
    return "; ".join(
        error
        for error in judged.errors
        if error.startswith(("key_spelling", "value_is_string", "json_object", "charset", "least_elements"))
    )


def _spread(kept: FileLabel, label: FileLabel) -> FileLabel:
    """Return the producer's label with the writer as propagator (Labelling Measures Art. 6: nothing of the producer's changes)."""
    return msgspec.structs.replace(
        kept,
        content_propagator=label.content_propagator,
        propagate_id=label.propagate_id,
        reserved_code2=label.reserved_code2,
    )


def _read_back(source: Source, container: str, wanted: FileLabel, hint: str | None) -> None:
    found = _inspect(source, False, True, hint)
    if found.damaged or len(found.places) != 1 or found.label != wanted or found.container != container:
        raise GuijuError(LABEL_READ_BACK, container=container)
