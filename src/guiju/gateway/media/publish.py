"""From a file of an upstream to one that may leave: the one way, for every call of the gateway.

The signature of a label is made here, in the worker: the process that takes files apart never holds the key.
"""

import asyncio
from pathlib import Path
from typing import NamedTuple

from guiju.gateway.media.desk import MediaDesk
from guiju.labelling.files import first_label
from guiju.labelling.publishing import Order, Published
from guiju.labelling.signatures.ring import load_signing_key
from guiju.labelling.signatures.security_data import sign
from guiju.labelling.values import Label, Medium


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
        return {**keys, "explicit": "file", "explicit_required": False}

    def told(self) -> dict[str, object]:
        """Return what the record says of it."""
        published = self.published
        return {
            "produce_id": self.number,
            "medium": published.medium,
            "container": published.container,
            "explicit": published.explicit,
            "original_sha256": published.original_sha256,
            "sha256": published.sha256,
            "size_bytes": published.size_bytes,
        } | ({"producer": published.label.content_producer, "their_id": published.label.produce_id} if published.kept else {})


async def publish_file(desk: MediaDesk, label: Label, file: Path, number: str, medium: Medium | None) -> File:
    """Return the labelled file; `medium` is what it has to be, None for any kind that can be labelled.

    Raises the LABEL- errors, MEDIA-BUSY, MEDIA-UNLABELLED.
    """
    reserved = ""
    if label.signature != "none":
        reserved = await asyncio.to_thread(_signature, desk.keys, label, number)
    order = Order(medium=medium, producer=label.content_producer, number=number, reserved=reserved, style=label.style)
    target = file.with_name(file.name + ".labelled")
    return File(target, number, await desk.labellers.publish(file, target, order))


def _signature(keys: Path, label: Label, number: str) -> str:
    key = load_signing_key(keys, label.content_producer, label.signature)  # type: ignore[arg-type]  # "none" was asked before
    return sign(first_label(label.content_producer, number), key).reserved_code1
