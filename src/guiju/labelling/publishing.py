"""The one place where a generated file becomes one that may leave: looked at, marked for people, labelled for programs, read back.

    sniff → what an upstream said of itself → (watermark) → explicit label → metadata label → read back
    and, where there are certificates, in another process → C2PA manifest → read back

Whatever cannot take one of these steps does not leave: every other way out of here is an error.

Who is the producer. Whoever offers generation through an interface is a provider, whatever model they ask (Measures Art. 22), so a file that comes
without a label is the service's own. A file that comes with a valid label of another keeps that: nobody may alter it (Labelling Measures Art. 10)
and a file has one label (§6.1 c), so the service is entered beside it, as the one that spreads it, with its own number.
Source: Measures Art. 12; Labelling Measures Arts. 4, 5, 10; GB 45438-2025 §5, §6.1.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from guiju.core.errors import GuijuError, Text, define
from guiju.labelling.containers import find_container
from guiju.labelling.containers.source import Source
from guiju.labelling.files import LABEL_CONTAINER, LABEL_DAMAGED, LABEL_READ_BACK, first_label, inspect, read, write
from guiju.labelling.values import Damaged, ExplicitStyle, FileLabel, Marked, Medium

LABEL_UNEXPECTED = define(
    "LABEL-UNEXPECTED",
    status=502,
    kind="server_error",
    zh=Text("模型返回的文件是 {container}，不是要求的{wanted_zh}。", "该文件没有送出。", "请让模型服务返回所要求的内容，或改用其他模型。"),
    en=Text(
        "The file that the model returned is {container} and not the {wanted} that was asked for.",
        "It was not delivered.",
        "Have the model server return what is asked for, or use another model.",
    ),
)
_WANTED_ZH: Final = {"picture": "图片", "sound": "音频", "film": "视频", "document": "文档"}

Form = tuple[Medium, str, str]
"""Medium, media type, ending."""

WAIVED: Final = "waived"
FORMS: Final[dict[str, Form]] = {
    "PNG": ("picture", "image/png", "png"),
    "JPEG": ("picture", "image/jpeg", "jpg"),
    "WebP": ("picture", "image/webp", "webp"),
    "GIF": ("picture", "image/gif", "gif"),
    "HEIF": ("picture", "image/heic", "heic"),
    "TIFF": ("picture", "image/tiff", "tif"),
    "WAV": ("sound", "audio/wav", "wav"),
    "MP3": ("sound", "audio/mpeg", "mp3"),
    "FLAC": ("sound", "audio/flac", "flac"),
    "Ogg": ("sound", "audio/ogg", "ogg"),
    "AAC": ("sound", "audio/aac", "aac"),
    "MP4": ("film", "video/mp4", "mp4"),
    "MKV": ("film", "video/x-matroska", "mkv"),
    "AVI": ("film", "video/x-msvideo", "avi"),
    "FLV": ("film", "video/x-flv", "flv"),
    "PDF": ("document", "application/pdf", "pdf"),
    "DOCX": ("document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    "XLSX": ("document", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    "PPTX": ("document", "application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
    "EPUB": ("document", "application/epub+zip", "epub"),
}
"""By the name of the container. What is not here is not published: its kind would be a guess."""
_INSIDE: Final[dict[str, tuple[tuple[bytes, Form], ...]]] = {
    "HEIF": ((b"ftypavif", ("picture", "image/avif", "avif")), (b"ftypavis", ("picture", "image/avif", "avif"))),
    "MP4": (
        (b"ftypqt  ", ("film", "video/quicktime", "mov")),
        (b"ftypM4A ", ("sound", "audio/mp4", "m4a")),
        (b"ftypM4B ", ("sound", "audio/mp4", "m4a")),
    ),
    "ODF": tuple(
        (
            b"mimetypeapplication/vnd.oasis.opendocument.%sPK" % kind,
            ("document", f"application/vnd.oasis.opendocument.{kind.decode()}", ending),
        )
        for kind, ending in ((b"text", "odt"), (b"spreadsheet", "ods"))
    ),
    "MKV": ((b"\x42\x82\x84webm", ("film", "video/webm", "webm")),),
}
"""What the beginning of a file says more of a container that is several, or one of several alone."""
_HEAD_BYTES: Final = 256


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a file has to be, and as whose it leaves."""

    medium: Medium | None
    """None for any that can be labelled."""
    producer: str
    """27-character code of the service's provider."""
    number: str
    """The service's own number of this content."""
    reserved: str = ""
    """Security data of the provider, as text; empty for none."""
    style: ExplicitStyle = ExplicitStyle()
    waived: bool = False
    """Whether its recipient may have it without the explicit label (Labelling Measures Art. 9)."""
    watermark_key: bytes = b""
    """Pictures get the site's watermark under this key; empty for none."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A file that may leave, without its bytes: what it is, and how it is labelled."""

    container: str
    medium: Medium
    media_type: str
    ending: str
    explicit: str
    """What people are shown or hear, and where."""
    label: FileLabel
    kept: bool
    """Whether the label of another producer was there and stayed."""
    original_sha256: str
    sha256: str
    size_bytes: int
    sealed: bool = False
    """Whether a C2PA manifest was signed over the whole of it."""
    watermark: str = ""
    """What became of the watermark that was asked for, in `key=value` pairs; empty where none was."""


def publish(data: bytes, order: Order) -> tuple[bytes, Published]:
    """Return the file as it may leave, and what was done to it.

    Raises GuijuError, after which nothing may leave: LABEL-CONTAINER for a form that takes no label here, LABEL-UNEXPECTED for another kind
    of file, LABEL-DAMAGED, LABEL-VALUE for a provider without a code, LABEL-NO-ROOM, LABEL-READ-BACK, and those of the explicit label.
    """
    from guiju.labelling.explicit.media import mark  # here, because it draws: heavy, and never in a worker of the gateway

    container, medium, media_type, ending = _form_of(data)
    wanted = order.medium or medium
    if medium != wanted:
        raise GuijuError(LABEL_UNEXPECTED, container=container, wanted=wanted, wanted_zh=_WANTED_ZH[wanted])
    before = read(data)
    if isinstance(before, Damaged):
        raise GuijuError(LABEL_DAMAGED, container=before.container, at=before.at, reason=before.reason)
    own = first_label(order.producer, order.number, reserved=order.reserved)
    plain, watermark = _watermarked(data, medium, before, order)
    marked = Marked(data=plain, medium=medium, how=WAIVED) if order.waived else mark(plain, order.style)
    labelled = write(_with(before, marked.data), own, break_manifest=True)  # drawing has broken it already
    container, medium, media_type, ending = _form_of(labelled)
    found = inspect(labelled)
    label = found.label
    if label is None or len(found.places) != 1 or found.errors or {medium, marked.medium} != {wanted}:
        raise GuijuError(LABEL_READ_BACK, container=container)
    kept = label.content_producer != order.producer
    if order.number != (label.propagate_id if kept else label.produce_id):
        raise GuijuError(LABEL_READ_BACK, container=container)
    return labelled, Published(
        container=container, medium=medium, media_type=media_type, ending=ending, explicit=marked.how, label=label, kept=kept,
        original_sha256=hashlib.sha256(data).hexdigest(), sha256=hashlib.sha256(labelled).hexdigest(), size_bytes=len(labelled),
        watermark=_watermark_told(labelled, watermark, order),
    )  # fmt: skip


def _watermarked(data: bytes, medium: Medium, before: FileLabel | None, order: Order) -> tuple[bytes, str]:
    """Return the file with the watermark that was asked for, and what is told of it. It hinders no file: what cannot bear one goes without."""
    if not order.watermark_key or medium != "picture":
        return data, ""
    if before is not None:
        return data, "skipped;reason=it came with a label"  # another's picture may bear another's watermark
    from guiju.labelling.watermark import embed

    borne = embed(data, order.number, order.watermark_key)
    return borne.data, f"skipped;reason={borne.skipped}" if borne.skipped else f"psnr_db={borne.psnr_db}"


def _watermark_told(labelled: bytes, told: str, order: Order) -> str:
    """Return what the record says of the watermark, which is looked for in the file as it leaves."""
    if not told or told.startswith("skipped"):
        return told
    from guiju.labelling.watermark import PREFIX_CHARACTERS, extract

    found = extract(labelled, order.watermark_key)
    if found is None or found.prefix != order.number[:PREFIX_CHARACTERS]:
        return f"lost;{told}"  # below the words of the explicit label
    return f"held;{told};confidence={found.confidence}"


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What signs a manifest over a published file, in a process that draws nothing and decodes nothing: there alone lies the key."""

    original: str
    """Path of the file as it came."""
    published: Published
    chain_file: str
    key_file: str


def seal(data: bytes, work: Seal) -> tuple[bytes, Published]:
    """Return a published file with a C2PA manifest behind its label; one whose form takes none is returned as it is.

    Raises the LABEL-CREDENTIALS- and KEY-FILE- errors, after which nothing may leave.
    """
    from guiju.labelling.content_credentials import load_credentials, sign, takes_manifest

    if not takes_manifest(data):
        return data, work.published
    credentials = load_credentials(Path(work.chain_file), Path(work.key_file))
    sealed = sign(data, credentials, original=Path(work.original).read_bytes())
    if read(sealed) != work.published.label:
        raise GuijuError(LABEL_READ_BACK, container=work.published.container)
    digest = hashlib.sha256(sealed).hexdigest()
    return sealed, msgspec.structs.replace(work.published, sha256=digest, size_bytes=len(sealed), sealed=True)


def _form_of(data: bytes) -> tuple[str, Medium, str, str]:
    container = find_container(Source(data))
    name = container.name if container is not None else ""
    found = next((form for mark, form in _INSIDE.get(name, ()) if mark in data[:_HEAD_BYTES]), FORMS.get(name))
    if found is None:
        raise GuijuError(LABEL_CONTAINER)
    return name, *found


def _with(before: FileLabel | None, marked: bytes) -> bytes:
    """Return the marked file with the label that it had: drawing may have lost it, and it is another's to keep."""
    if before is None or read(marked) == before:
        return marked
    return write(marked, before, break_manifest=True)
