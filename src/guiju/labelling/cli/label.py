"""`guiju label`: write the label into files, as the provider that generated them or as the platform that spreads them. 写入标识。

Exit status: 0 every file carries the label now, 2 there was nothing to write for a file, 1 a file was refused, 10 it could not be
opened; of several the gravest counts, in the order 10, 1, 2, 0. An original is changed only with --in-place.
"""

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from guiju.core.errors import GuijuError, Text, define
from guiju.labelling.cli import batch
from guiju.labelling.cli.inspect import INSPECT_UNREADABLE, UNREADABLE

if TYPE_CHECKING:
    from guiju.labelling.values import FileLabel

REFUSED: Final = 1
NOTHING: Final = 2
_GRAVEST: Final = (UNREADABLE, REFUSED, NOTHING, 0)

LABEL_TARGET = define(
    "LABEL-TARGET",
    status=409,
    kind="invalid_request_error",
    zh=Text("“{path}”已经存在。", "没有覆盖它，原文件也未改动。", "请换一个 -o，或用 --in-place 改写原文件。"),
    en=Text("'{path}' exists already.", "It was not overwritten, and the original is unchanged.", "Give another -o, or --in-place to write the original anew."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seals:
    """With what a label and its file are signed: files of keys, read where the work is done; no secret goes between processes."""

    key: Path | None
    chain: Path | None
    chain_key: Path | None
    break_manifest: bool

    def look(self) -> None:
        """Raise the error of a key that cannot be used."""
        from guiju.labelling.content_credentials import load_credentials
        from guiju.labelling.signatures.keys import load_key

        if self.key is not None:
            load_key(self.key)
        if self.chain is not None and self.chain_key is not None:
            load_credentials(self.chain, self.chain_key)

    def signed(self, label: "FileLabel", found: "FileLabel | None", *, producer: bool) -> "FileLabel":
        """Return the label with the signature of its writer; `found` is the label in the file, whose producer stays."""
        import msgspec

        from guiju.labelling.signatures.keys import load_key
        from guiju.labelling.signatures.security_data import sign, sign_as_propagator

        if self.key is None:
            return label
        if producer and (found is None or found.content_producer == label.content_producer):
            return sign(label, load_key(self.key))
        if found is not None:
            label = msgspec.structs.replace(found, content_propagator=label.content_propagator, propagate_id=label.propagate_id)
        return sign_as_propagator(label, load_key(self.key))

    def seal(self, labelled: Path, original: Path) -> None:
        """Sign a manifest over the labelled file, made from the original."""
        from guiju.labelling.content_credentials import load_credentials, sign_file

        if self.chain is not None and self.chain_key is not None:
            sign_file(labelled, labelled, load_credentials(self.chain, self.chain_key), original=original)


def label_command(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE|DIR", help="Files or folders. 文件或目录。", exists=True)],
    provider: Annotated[str, typer.Option("--provider", help="Your 27-character code. 27 位提供者编码。")],
    as_producer: Annotated[bool, typer.Option("--as-producer", help="The files are your service's output. 本服务生成的文件。")] = False,
    as_propagator: Annotated[bool, typer.Option("--as-propagator", help="Somebody published them with you. 传播他人发布的文件。")] = False,
    number: Annotated[str, typer.Option("--number", help="Number of one file; made anew if unset. 内容编号，不写则新编。")] = "",
    user_declares: Annotated[
        bool, typer.Option("--user-declares", "--declared", help="Whoever published it declares it generated. 发布者已声明。")
    ] = False,
    suspected: Annotated[bool, typer.Option("--suspected", help="Your own look found traces of generation. 平台检测为疑似。")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The labelled file, or folder. 输出文件或目录。")] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Write the original anew. 改写原文件。")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let go of a label that cannot be kept (Art. 10). 取代不能保留的标识。")
    ] = False,
    break_manifest: Annotated[
        bool, typer.Option("--break-manifest", help="Write into a file whose C2PA manifest no longer fits then. 允许使已有 C2PA 清单失效。")
    ] = False,
    sign_key: Annotated[
        Path | None,
        typer.Option("--sign-key", help="Sign ReservedCode with this key (PKCS #8 PEM, mode 600). 标识签名密钥。", dir_okay=False),
    ] = None,
    c2pa_chain: Annotated[
        Path | None, typer.Option("--c2pa-chain", help="Sign a C2PA manifest last: certificates, PEM. C2PA 证书链。", dir_okay=False)
    ] = None,
    c2pa_key: Annotated[
        Path | None, typer.Option("--c2pa-key", help="Key of the first certificate, PEM, mode 600. C2PA 私钥。", dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each file. 每个文件一行 JSON。")] = False,
    jobs: Annotated[int, typer.Option("--jobs", help="Processes side by side. 并行进程数。", min=0, max=64)] = 0,
) -> None:
    """Write labels into files; exit status 0, 1, 2 or 10. 写入标识。"""
    listed = [(Path(file), path) for path in paths for file in batch.list_files(str(path))]
    if as_producer == as_propagator:
        raise typer.BadParameter("say --as-producer or --as-propagator / 须写明生成者或传播者")
    if as_producer and (user_declares or suspected):
        raise typer.BadParameter("a producer knows that it generates / 生成者无须声明或检测")
    if in_place == (out is not None):
        raise typer.BadParameter("say -o or --in-place / 须写明 -o 或 --in-place")
    if number and len(listed) != 1:
        raise typer.BadParameter("one number is for one file / 一个编号只用于一个文件", param_hint="--number")
    if (c2pa_chain is None) != (c2pa_key is None):
        raise typer.BadParameter("--c2pa-chain and --c2pa-key go together / 须同时给出")
    seals = Seals(sign_key, c2pa_chain, c2pa_key, break_manifest)
    seals.look()  # a key that cannot be used ends it before anything is written
    targets = {str(file): _target(file, top, out, single=len(paths) == 1) for file, top in listed}
    work = partial(
        label_one, targets=targets, provider=provider, number=number, producer=as_producer, user_declares=user_declares,
        suspected=suspected, replace=replace, seals=seals,
    )  # fmt: skip
    statuses = set()
    done = batch.each_done(work, list(targets), jobs or batch.default_jobs(), _lost)
    for row in batch.with_progress(done, len(targets), "标识 label"):
        statuses.add(_tell(row, as_json))
    if not listed:
        typer.echo("没有文件 / no file", err=True)
        statuses.add(UNREADABLE)
    sys.exit(next(status for status in _GRAVEST if status in statuses))


def label_one(
    path: str,
    *,
    targets: dict[str, Path],
    provider: str,
    number: str,
    producer: bool,
    user_declares: bool,
    suspected: bool,
    replace: bool,
    seals: "Seals",
) -> dict[str, Any]:
    """Label one file and return its row: `written`, the state, the notice to show around it, and the label; or `error`."""
    from guiju.core.ids import new_id
    from guiju.labelling.files import first_label, inspect, read_file
    from guiju.labelling.notices import NOTICES, propagator_label
    from guiju.labelling.rows import keys_of
    from guiju.labelling.values import FileLabel

    file, target = Path(path), targets[path]
    try:
        found = inspect(file, user_declares=user_declares, listens=not producer)
        label = (
            first_label(provider, number or new_id())
            if producer
            else propagator_label(found, provider, number or new_id(), suspected=suspected)
        )
        if label is None and found.damaged is None:
            zh, en = NOTICES["none"]
            return {"file": path, "written": False, "state": "none", "notice": {"zh": zh, "en": en}}
        # A file that could not be examined goes on to be refused by the write, which says why.
        label = label or FileLabel(label="3", content_propagator=provider, propagate_id="-")
        _write(file, target, seals.signed(label, found.label, producer=producer), replace, seals)
        kept = read_file(target, hint=file.name)
        if not isinstance(kept, FileLabel):  # written and read back a moment ago: somebody else changed it
            raise OSError(0, "changed meanwhile")
        state = ("declared", "possible", "suspected")[int(kept.label) - 1]
        zh, en = NOTICES[state]  # type: ignore[index]  # the three states of a label
        return {"file": path, "written": True, "out": str(target), "state": state, "notice": {"zh": zh, "en": en}, "label": keys_of(kept)}
    except GuijuError as error:
        return {"file": path, "written": False, "code": error.code.code, "error": error.both()}
    except OSError as error:
        return {"file": path, "written": False, "error": GuijuError(INSPECT_UNREADABLE, path=path, reason=error.strerror or "–").both()}


def _write(file: Path, target: Path, label: Any, replace: bool, seals: "Seals") -> None:
    """Write beside the target and then put it there: in its own place atomically, elsewhere only where nothing is yet."""
    from guiju.labelling.files import write_file
    from guiju.labelling.values import SIDECAR_SUFFIX

    in_place = target == file
    target = file.resolve() if in_place else target
    if not in_place and (target.exists() or target.is_symlink()):
        raise GuijuError(LABEL_TARGET, path=target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".guiju-", dir=target.parent)
    os.close(handle)
    beside = Path(name + SIDECAR_SUFFIX)
    try:
        write_file(file, Path(name), label, replace=replace, break_manifest=seals.break_manifest or seals.chain is not None)
        seals.seal(Path(name), file)
        at = target.with_name(target.name + SIDECAR_SUFFIX)
        if in_place:
            if beside.exists():  # the label of a plain text, which is there before the text
                beside.replace(at)
            Path(name).replace(target)
        else:
            if beside.exists():
                os.link(beside, at)
            try:
                os.link(name, target)
            except FileExistsError:
                if beside.exists():  # the label beside it is this one's, and not of what somebody put there meanwhile
                    at.unlink(missing_ok=True)
                raise
    except FileExistsError as error:
        raise GuijuError(LABEL_TARGET, path=error.filename2 or target) from None
    finally:
        beside.unlink(missing_ok=True)
        Path(name).unlink(missing_ok=True)


def _target(file: Path, top: Path, out: Path | None, *, single: bool) -> Path:
    """Return where the labelled file goes: a folder is mirrored below `out`, several files go into it by their names."""
    if out is None:
        return file
    if file != top:
        return out / file.relative_to(top)
    return out if single and not out.is_dir() else out / file.name


def _lost(path: str) -> dict[str, Any]:
    return {
        "file": path,
        "written": False,
        "error": GuijuError(INSPECT_UNREADABLE, path=path, reason="the writing process died / 进程异常结束").both(),
    }


def _tell(row: dict[str, Any], as_json: bool) -> int:
    from guiju.labelling.rows import plain

    if as_json:
        typer.echo(json.dumps(row, ensure_ascii=True))
    if "error" in row:
        typer.echo(plain(row["error"]), err=True)
        return REFUSED if "code" in row else UNREADABLE
    if not as_json:
        notice = f"{row['notice']['zh']} / {row['notice']['en']}"
        done = f"已写入 labelled  {row['out']}" if row["written"] else "无须写入 nothing to write"
        typer.echo(plain(f"{done}  {row['state']}  {row['file']}"))
        typer.echo(plain(f"  提示 notice: {notice}"))
    return 0 if row["written"] else NOTHING
