"""A zip with one file in it, written as a stream that another process can go on with.

The state of a deflate stream cannot be stored. But a stream that was flushed fully needs none: what follows
refers to nothing before it, so a new compressor goes on in the same stream. What is kept is the checksum
and three counts.
"""

import struct
import zlib
from dataclasses import dataclass
from datetime import datetime

MOST_BYTES = 2**32 - 2**26
"""Sizes are written with 32 bits, which every unzipper reads; beyond this the file is too large."""

_LEVEL = 6
_DEFLATED = 8
_VERSION = 20
_SIZES_FOLLOW_AND_UTF8 = 0x0808


class FileTooLarge(Exception):
    """More than a plain zip can hold."""


@dataclass
class ZipStream:
    """What is written comes out as bytes to be appended.

    `crc`, `raw_bytes` and `packed_bytes` are the whole state.
    """

    file_name: str
    at: datetime
    """The date that the file inside carries."""
    crc: int = 0
    raw_bytes: int = 0
    packed_bytes: int = 0

    def __post_init__(self) -> None:
        self._deflate = self._compressor()

    def begin(self) -> bytes:
        """What stands before the first byte of the file."""
        header = struct.pack(
            "<4s5H3L2H",
            b"PK\x03\x04",
            *(_VERSION, _SIZES_FOLLOW_AND_UTF8, _DEFLATED, *self._dos_time()),
            *(0, 0, 0),
            *(len(self._name), 0),
        )
        return header + self._name

    def write(self, data: bytes) -> bytes:
        """Add to the file inside.

        Raises:
            FileTooLarge: it does not fit into a plain zip.
        """
        if self.raw_bytes + len(data) > MOST_BYTES:
            raise FileTooLarge
        self.crc = zlib.crc32(data, self.crc)
        self.raw_bytes += len(data)
        return self._counted(self._deflate.compress(data))

    def pause(self) -> bytes:
        """Bring out everything; `ZipStream` with the same name, date and state goes on behind it."""
        flushed = self._counted(self._deflate.flush(zlib.Z_FULL_FLUSH))
        self._deflate = self._compressor()
        return flushed

    def finish(self) -> bytes:
        """The rest of the file, its sizes, and the directory at the zip's end."""
        rest = self._counted(self._deflate.flush(zlib.Z_FINISH))
        sizes = (self.crc, self.packed_bytes, self.raw_bytes)
        descriptor = struct.pack("<4s3L", b"PK\x07\x08", *sizes)
        entry = struct.pack(
            "<4s6H3L5H2L",
            b"PK\x01\x02",
            *(_VERSION, _VERSION, _SIZES_FOLLOW_AND_UTF8, _DEFLATED, *self._dos_time()),
            *sizes,
            *(len(self._name), 0, 0, 0, 0),
            *(0, 0),
        )
        directory_at = len(self.begin()) + self.packed_bytes + len(descriptor)
        directory = entry + self._name
        end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), directory_at, 0)
        return rest + descriptor + directory + end

    @property
    def _name(self) -> bytes:
        return self.file_name.encode()

    def _counted(self, packed: bytes) -> bytes:
        self.packed_bytes += len(packed)
        return packed

    def _dos_time(self) -> tuple[int, int]:
        at = self.at
        return at.hour << 11 | at.minute << 5 | at.second // 2, (at.year - 1980) << 9 | at.month << 5 | at.day

    @staticmethod
    def _compressor() -> "zlib._Compress":
        return zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
