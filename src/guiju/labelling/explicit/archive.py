"""ZIP archives of documents: a few parts are replaced, all others stay byte for byte, compressed as they are."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

from guiju.core.errors import GuijuError
from guiju.labelling.explicit.errors import LABEL_MEDIUM, LABEL_TOO_LARGE, LABEL_UNDECODABLE

PARTS_AT_MOST: Final = 20_000
PART_BYTES_AT_MOST: Final = 64 * 2**20
_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 1, 8, 0x800
_BIG: Final = 0xFFFFFFFF


class Archive:
    """An archive that was opened and found sound. Raises GuijuError LABEL-UNDECODABLE, LABEL-MEDIUM, LABEL-TOO-LARGE."""

    def __init__(self, data: bytes, form: str = "ZIP") -> None:
        self._data, self._form = data, form
        try:
            self._file = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError, UnicodeDecodeError) as error:
            raise GuijuError(LABEL_UNDECODABLE, form=form, reason=str(error)[:200]) from error
        self._parts = self._file.infolist()
        self.names = [part.filename for part in self._parts]
        if len(self._parts) > PARTS_AT_MOST:
            raise GuijuError(LABEL_TOO_LARGE, form=form, found=len(self._parts), unit="parts", unit_zh="个部分", most=PARTS_AT_MOST)
        if len(set(self.names)) != len(self.names):
            raise GuijuError(LABEL_UNDECODABLE, form=form, reason="two parts have one name")
        if any(part.flag_bits & _ENCRYPTED for part in self._parts):
            raise GuijuError(LABEL_MEDIUM, form=form, reason="it is encrypted", reason_zh="它已加密")
        if any(max(part.file_size, part.compress_size, part.header_offset) >= _BIG for part in self._parts):
            raise GuijuError(LABEL_MEDIUM, form=form, reason="it is ZIP64", reason_zh="它是 ZIP64")

    def read(self, name: str) -> bytes:
        """Return one part. Raises GuijuError when it is not there, too large or damaged."""
        try:
            part = self._file.getinfo(name)
        except KeyError:
            raise GuijuError(LABEL_UNDECODABLE, form=self._form, reason=f"there is no part {name[:100]}") from None
        if part.file_size > PART_BYTES_AT_MOST:
            raise GuijuError(LABEL_TOO_LARGE, form=self._form, found=part.file_size, unit="bytes", unit_zh="字节", most=PART_BYTES_AT_MOST)
        try:
            with self._file.open(part) as opened:
                found = opened.read(PART_BYTES_AT_MOST + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError, RuntimeError) as error:
            raise GuijuError(LABEL_UNDECODABLE, form=self._form, reason=f"{name[:100]}: {error}"[:200]) from error
        if len(found) != part.file_size:
            raise GuijuError(LABEL_UNDECODABLE, form=self._form, reason=f"{name[:100]} has not the size that is announced")
        return found

    def replaced(self, parts: Mapping[str, bytes]) -> bytes:
        """Return the archive with these parts in place of its own; the order stays, and so do the bytes of all others."""
        out, directory = io.BytesIO(), io.BytesIO()
        for part in self._parts:
            offset = out.tell()
            name = part.filename.encode("utf-8" if part.flag_bits & _UTF8 else "cp437")
            method, packed, crc, size = part.compress_type, self._packed(part), part.CRC, part.file_size
            if part.filename in parts:
                body = parts[part.filename]
                method, crc, size = (0 if method == 0 else 8), zlib.crc32(body), len(body)
                deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
                packed = body if method == 0 else deflate.compress(body) + deflate.flush()
            flags = part.flag_bits & ~_DESCRIPTOR
            at, day = _dos_time(part)
            out.write(_LOCAL.pack(b"PK\3\4", part.extract_version, flags, method, at, day, crc, len(packed), size, len(name), 0) + name)
            out.write(packed)
            extra, comment = part.extra, part.comment
            directory.write(
                _CENTRAL.pack(
                    b"PK\1\2", part.create_version | part.create_system << 8, part.extract_version, flags, method, at, day, crc, len(packed), size, len(name), len(extra), len(comment), 0, part.internal_attr, part.external_attr, offset,
                )
                + name + extra + comment
            )  # fmt: skip
        start, body = out.tell(), directory.getvalue()
        comment = self._file.comment
        return (
            out.getvalue() + body + _END.pack(b"PK\5\6", 0, 0, len(self._parts), len(self._parts), len(body), start, len(comment)) + comment
        )

    def _packed(self, part: zipfile.ZipInfo) -> bytes:
        head = self._data[part.header_offset : part.header_offset + _LOCAL.size]
        if len(head) < _LOCAL.size or head[:4] != b"PK\3\4":
            raise GuijuError(LABEL_UNDECODABLE, form=self._form, reason=f"{part.filename[:100]} has no head")
        start = part.header_offset + _LOCAL.size + sum(struct.unpack_from("<HH", head, 26))
        packed = self._data[start : start + part.compress_size]
        if len(packed) != part.compress_size:
            raise GuijuError(LABEL_UNDECODABLE, form=self._form, reason=f"{part.filename[:100]} is cut")
        return packed


def _dos_time(part: zipfile.ZipInfo) -> tuple[int, int]:
    year, month, day, hour, minute, second = part.date_time
    return hour << 11 | minute << 5 | second // 2, max(year - 1980, 0) << 9 | month << 5 | day
