"""Server-sent events, byte for byte: a stream is cut at CR and LF only, wherever the network cut it."""

from typing import Final

EVENT_BYTES: Final = 4 * 2**20
DONE: Final = b"data: [DONE]\n\n"


class EventTooLong(Exception):
    """An event passed `EVENT_BYTES` without an end."""


class Cutter:
    """Takes bytes as they come and gives the data of whole events; `rest` is what has no end yet."""

    __slots__ = ("_carriage_return", "rest")

    def __init__(self) -> None:
        self.rest = b""
        self._carriage_return = False

    def feed(self, raw: bytes) -> list[bytes]:
        """Return the data of every event that ends in these bytes. Raises EventTooLong."""
        if self._carriage_return or b"\r" in raw:
            raw = self._only_line_feeds(raw)
        *events, self.rest = (self.rest + raw).split(b"\n\n")
        if len(self.rest) > EVENT_BYTES:
            raise EventTooLong
        return [event[6:] if event[:6] == b"data: " and b"\n" not in event else _data(event) for event in events if event]

    def _only_line_feeds(self, raw: bytes) -> bytes:
        if not raw:
            return raw
        if self._carriage_return and raw[:1] == b"\n":
            raw = raw[1:]  # the second half of a CRLF whose first half ended the line already
        self._carriage_return = raw[-1:] == b"\r"
        return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _data(event: bytes) -> bytes:
    lines = [line[5:].removeprefix(b" ") for line in event.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)
