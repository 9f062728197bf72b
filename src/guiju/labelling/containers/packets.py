"""XMP packets in boxes of the ISO base media family: the box of Adobe's type, and `XMP_` in user data.

A label that moves elsewhere is taken out of such a packet without changing its length: what stands behind the packet stays where it is.
"""

from dataclasses import dataclass

from guiju.labelling.containers import xmp
from guiju.labelling.containers.boxes import Box
from guiju.labelling.containers.film import Film
from guiju.labelling.containers.settled import Change
from guiju.labelling.containers.source import Edit, Site


@dataclass(frozen=True, slots=True)
class Boxed:
    """One packet: its box, its text, and what is in it."""

    box: Box
    text: bytes
    packet: xmp.Packet


def read_packets(film: Film) -> list[Boxed]:
    """Return the packets. Raises Broken."""
    found = []
    for each in film.packets:
        text = film.source.held(film.source.read(each.body, each.stop - each.body), each.at)
        found.append(Boxed(each, text, xmp.examine(text, each.at)))
    return found


def sites_of(found: list[Boxed], container: str) -> list[Site]:
    """Return the labels in the packets."""
    return [Site(f"{container}:XMP", each.box.at, each.box.stop, one) for each in found for one in each.packet.texts]


def without_labels(found: list[Boxed]) -> list[Change]:
    """Return the changes that take the labels out; lengths stay."""
    return [
        Change(Edit(each.box.body, each.box.stop, padded(xmp.without_label(each.text, each.packet), len(each.text))), each.box)
        for each in found
        if each.packet.texts
    ]


def padded(packet: bytes, length: int) -> bytes:
    """Return the packet filled up with spaces, in front of its end where it has one."""
    end = packet.rfind(b"<?xpacket end=")
    filling = b" " * (length - len(packet))
    return (
        packet[:end] + filling + packet[end:]
        if end >= 0
        else packet.rstrip(b"\0") + filling + b"\0" * (len(packet) - len(packet.rstrip(b"\0")))
    )
