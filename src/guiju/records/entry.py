"""The entry: what the live side writes into its spool, and what the recorder turns into a record."""

import msgspec


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One thing that happened.

    `kind` is `duty.object.verb`; every kind is declared in `records/kinds.py`. `metadata` holds only what canonical
    JSON holds (no floats). `content` is what people wrote and what models answered: MessagePack, sealed per subject by
    the recorder, empty when there is none.
    """

    id: str
    at_us: int
    kind: str
    service: str
    actor: str
    subject: str
    obligations: tuple[str, ...]
    metadata: dict[str, object]
    content: bytes = b""


def encode_entry(entry: Entry) -> bytes:
    """Return the MessagePack of the entry."""
    return _ENCODER.encode(entry)


def decode_entry(raw: bytes) -> Entry:
    """Return the entry. Raises msgspec.DecodeError for other bytes."""
    return _DECODER.decode(raw)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Entry)
