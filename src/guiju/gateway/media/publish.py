"""From a file of an upstream to one that may leave: the one way, for every call of the gateway.

The signature of a label is made here, in the worker; a C2PA manifest in a process of its own: those that take files apart hold no key.
"""

import asyncio
import logging
from pathlib import Path
from typing import Final, NamedTuple

from guiju.core.errors import GuijuError
from guiju.core.keys import load_watermark_key
from guiju.gateway.media.desk import MediaDesk
from guiju.gateway.media.labellers import MEDIA_UNLABELLED
from guiju.labelling.files import first_label
from guiju.labelling.publishing import WAIVED, Order, Published, Seal
from guiju.labelling.signatures.ring import load_signing_key
from guiju.labelling.signatures.security_data import sign
from guiju.labelling.values import Label, Medium

_OF_KEYS: Final = ("KEY-FILE-", "LABEL-KEY-", "LABEL-CREDENTIALS-UNUSABLE")

log = logging.getLogger("guiju.gateway")


class File(NamedTuple):
    """A file that may leave."""

    path: Path
    number: str
    published: Published

    def aigc(self) -> dict[str, object]:
        """Return the label as the answer tells it beside the file; the file itself carries it too."""
        label = self.published.label
        keys = {
            "Label": label.label,
            "ContentProducer": label.content_producer,
            "ProduceID": label.produce_id,
            "ReservedCode1": label.reserved_code1,
            "ContentPropagator": label.content_propagator,
            "PropagateID": label.propagate_id,
            "ReservedCode2": label.reserved_code2,
        }
        return {**keys, "explicit": "waived" if self.published.explicit == WAIVED else "file", "explicit_required": False}

    def told(self) -> dict[str, object]:
        """Return what the record says of it."""
        published = self.published
        return (
            {
                "produce_id": self.number,
                "medium": published.medium,
                "container": published.container,
                "explicit": published.explicit,
                "original_sha256": published.original_sha256,
                "sha256": published.sha256,
                "size_bytes": published.size_bytes,
            }
            | ({"c2pa": True} if published.sealed else {})
            | ({"watermark": published.watermark} if published.watermark else {})
            | ({"producer": published.label.content_producer, "their_id": published.label.produce_id} if published.kept else {})
        )


async def publish_file(desk: MediaDesk, label: Label, file: Path, number: str, medium: Medium | None) -> File:
    """Return the labelled file; `medium` is what it has to be, None for any kind that can be labelled.

    Raises the LABEL- errors, MEDIA-BUSY, MEDIA-UNLABELLED; the last also for a key that cannot be used: where keys lie is told to the log alone.
    """
    try:
        return await _published(desk, label, file, number, medium)
    except GuijuError as error:
        if not error.code.code.startswith(_OF_KEYS):
            raise
        log.error("a file was not delivered: %s", error)
        told = {"reason_zh": "服务的签名密钥无法使用", "reason": "the key with which the service signs cannot be used"}
        raise GuijuError(MEDIA_UNLABELLED, **told) from error


async def _published(desk: MediaDesk, label: Label, file: Path, number: str, medium: Medium | None) -> File:
    reserved = ""
    if label.signature != "none":
        reserved = await asyncio.to_thread(_signature, desk.keys, label, number)
    watermark_key = await asyncio.to_thread(load_watermark_key, desk.keys) if label.watermark == "on" else b""
    order = Order(
        medium=medium, producer=label.content_producer, number=number, reserved=reserved, style=label.style, waived=label.waived,
        watermark_key=watermark_key,
    )  # fmt: skip
    target = file.with_name(file.name + ".labelled")
    published = await desk.labellers.publish(file, target, order)
    if label.c2pa_chain_file:
        labelled, target = target, file.with_name(file.name + ".sealed")
        seal = Seal(original=str(file), published=published, chain_file=label.c2pa_chain_file, key_file=label.c2pa_key_file)
        published = await desk.sealers.publish(labelled, target, seal)
    return File(target, number, published)


def _signature(keys: Path, label: Label, number: str) -> str:
    key = load_signing_key(keys, label.content_producer, label.signature)  # type: ignore[arg-type]  # "none" was asked before
    return sign(first_label(label.content_producer, number), key).reserved_code1
