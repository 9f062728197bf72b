"""PDF files made by hand in every build: tables, streams, object streams, hybrid, linearised, many revisions."""

import zlib
from collections.abc import Mapping

CONTENT = b"BT /F1 24 Tf 20 100 Td (a page) Tj ET"
OBJECTS: Mapping[int, bytes] = {
    1: b"<< /Type /Catalog /Pages 2 0 R >>",
    2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
    4: b"<< /Length %d >>\nstream\n" % len(CONTENT) + CONTENT + b"\nendstream",
    5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    6: b"<< /Title (a \\(small\\) page) /Producer <feff0062007900200068> /CreationDate (D:20260102030405+08'00') >>",
}
ID = b"[<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]"
HEAD = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


def plain(
    objects: Mapping[int, bytes] = OBJECTS, trailer: bytes = b"/Root 1 0 R /Info 6 0 R", *, before: bytes = HEAD, prev: int = 0
) -> bytes:
    """Return a file with a table; with `before` and `prev`, one more revision of it."""
    out, places = bytearray(before), {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    at = len(out)
    out += b"xref\n"
    if not prev:
        out += b"0 1\n0000000000 65535 f \n"
    for number in sorted(places):
        out += b"%d 1\n%010d 00000 n \n" % (number, places[number])
    size = max([6, *objects]) + 1
    out += b"trailer\n<< /Size %d %s /ID %s" % (size, trailer, ID) + (b" /Prev %d" % prev if prev else b"") + b" >>\n"
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % at)


def start(data: bytes) -> int:
    return int(data[data.rindex(b"startxref") + 9 :].split()[0])


def revised(data: bytes, objects: Mapping[int, bytes], trailer: bytes = b"/Root 1 0 R /Info 6 0 R") -> bytes:
    return plain(objects, trailer, before=data, prev=start(data))


def stream(facts: bytes, data: bytes, predictor: int = 0, columns: int = 1) -> bytes:
    """Return a stream object packed by Flate, with a predictor of PNG if one is asked for."""
    if predictor:
        facts += b" /DecodeParms << /Predictor %d /Columns %d >>" % (10 + predictor, columns)
        data = predicted(data, predictor, columns)
    packed = zlib.compress(data)
    return b"<< %s /Filter /FlateDecode /Length %d >>\nstream\n" % (facts, len(packed)) + packed + b"\nendstream"


def predicted(data: bytes, kind: int, width: int) -> bytes:
    out, above = b"", bytes(width)
    for at in range(0, len(data), width):
        row = data[at : at + width]
        out += bytes([kind])
        for column, byte in enumerate(row):
            left, up = (row[column - 1], above[column]) if column else (0, above[column])
            corner = above[column - 1] if column else 0
            paeth = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
            out += bytes([(byte - (0, left, up, (left + up) // 2, paeth)[kind]) & 255])
        above = row
    return out


def packed(objects: Mapping[int, bytes] = OBJECTS, *, trailer: bytes = b"/Root 1 0 R /Info 6 0 R", predictor: int = 2) -> bytes:
    """Return a file with a cross-reference stream, and everything but streams in an object stream."""
    out, rows = bytearray(HEAD), {}
    inside = [number for number, body in objects.items() if b"stream" not in body]
    for number, body in objects.items():
        if number not in inside:
            rows[number] = (1, len(out), 0)
            out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    listed, bodies = b"", b""
    for number in inside:
        listed += b"%d %d " % (number, len(bodies))
        bodies += objects[number] + b" "
    pack = max([6, *objects]) + 1
    rows |= {number: (2, pack, position) for position, number in enumerate(inside)}
    rows[pack] = (1, len(out), 0)
    facts = b"/Type /ObjStm /N %d /First %d" % (len(inside), len(listed))
    out += b"%d 0 obj\n" % pack + stream(facts, listed + bodies) + b"\nendobj\n"
    at = len(out)
    rows[pack + 1] = (1, at, 0)
    rows[0] = (0, 0, 65535)
    table = b"".join(
        bytes([kind]) + place.to_bytes(4, "big") + third.to_bytes(2, "big") for _, (kind, place, third) in sorted(rows.items())
    )
    index = b" ".join(b"%d 1" % number for number in sorted(rows))
    facts = b"/Type /XRef /Size %d /W [1 4 2] /Index [%s] /ID %s %s" % (pack + 2, index, ID, trailer)
    out += b"%d 0 obj\n" % (pack + 1) + stream(facts, table, predictor, 7) + b"\nendobj\n"
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % at)


def hybrid() -> bytes:
    """Return a file with a table in which the document information is free, and a stream that says where it is."""
    out = bytearray(HEAD)
    places = {}
    for number, body in OBJECTS.items():
        if number != 6:
            places[number] = len(out)
            out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    pack = b"6 0 " + OBJECTS[6]
    places[7] = len(out)
    out += b"7 0 obj\n" + stream(b"/Type /ObjStm /N 1 /First 4", pack) + b"\nendobj\n"
    hidden = places[8] = len(out)
    table = b"\2" + (7).to_bytes(4, "big") + b"\0\0"
    out += b"8 0 obj\n" + stream(b"/Type /XRef /Size 9 /W [1 4 2] /Index [6 1]", table) + b"\nendobj\n"
    at = len(out)
    out += b"xref\n0 9\n0000000006 65535 f \n" + b"".join(
        b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 00000 f \n" for number in range(1, 9)
    )
    out += b"trailer\n<< /Size 9 /Root 1 0 R /Info 6 0 R /XRefStm %d >>\nstartxref\n%d\n%%%%EOF\n" % (hidden, at)
    return bytes(out)


def with_metadata(packet: bytes, *, packed_up: bool = False, more: bytes = b"") -> bytes:
    """Return a file whose catalog has this XMP packet, and this besides."""
    facts = b"/Type /Metadata /Subtype /XML"
    body = stream(facts, packet) if packed_up else b"<< %s /Length %d >>\nstream\n" % (facts, len(packet)) + packet + b"\nendstream"
    return plain({**OBJECTS, 1: b"<< /Type /Catalog /Pages 2 0 R /Metadata 7 0 R %s >>" % more, 7: body})


def with_information(entries: bytes) -> bytes:
    return plain({**OBJECTS, 6: b"<< /Title (x) %s >>" % entries})
