"""ZIP containers (PKWARE APPNOTE 6.3) of any size, written as pieces: entries are stored, and a document's bytes are only named.

Every header is complete before the data (no descriptors after them, no deflate), which is what the strictest readers ask for; zip64 where a
number does not fit. Sizes and checksums are known beforehand, so nothing is ever rewritten.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from eseal.draft import Span, size_of

_LOCAL, _CENTRAL, _END, _END64, _LOCATOR = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"
_UTF8 = 0x0800
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_PLAIN, _WITH_ZIP64 = 20, 45
"""Version needed to extract: 2.0, and 4.5 for zip64."""
_UNIX = 3 << 8
_REGULAR_FILE, _FOLDER = 0o100644 << 16, 0o040755 << 16 | 0x10
_EARLIEST, _LATEST = 1980, 2107


@dataclass(frozen=True, slots=True)
class Entry:
    """A file to be."""

    name: str
    content: bytes | Span
    crc: int
    """CRC-32 of the content."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a container that is written anew around it: its local header, its data and what follows them stay as they are."""

    name: bytes
    """As it is encoded."""
    span: Span
    size: int
    packed: int
    crc: int
    method: int
    flags: int
    moment: bytes
    """MS-DOS time and date."""


def archive(entries: Sequence[Entry | Kept], at: datetime, comment: bytes = b"") -> tuple[bytes | Span, ...]:
    """A ZIP of these entries in this order, each new one with the time `at` (in UTC: the format has no zone)."""
    pieces: list[bytes | Span] = []
    directory: list[bytes] = []
    offset = 0
    for entry in entries:
        if isinstance(entry, Kept):
            directory.append(_listed(entry, offset))
            pieces.append(entry.span)
            offset += size_of((entry.span,))
            continue
        size = size_of((entry.content,))
        local = _local(entry, size, at)
        directory.append(_central(entry, size, offset, at))
        pieces += [local, entry.content]
        offset += len(local) + size
    listed = b"".join(directory)
    return (*pieces, listed + _end(len(entries), len(listed), offset, comment))


def _local(entry: Entry, size: int, at: datetime) -> bytes:
    """APPNOTE 4.3.7. Sizes over 4 GiB stand in the zip64 field, always both of them (4.5.3)."""
    name = entry.name.encode()
    extra = struct.pack("<HHQQ", 1, 16, size, size) if size >= _FULL32 else b""
    short = min(size, _FULL32)
    return (
        _LOCAL
        + struct.pack("<3H", _WITH_ZIP64 if extra else _PLAIN, _flags(entry), 0)
        + _moment(at)
        + struct.pack("<3I2H", entry.crc, short, short, len(name), len(extra))
        + name
        + extra
    )


def _central(entry: Entry, size: int, offset: int, at: datetime) -> bytes:
    """APPNOTE 4.3.12."""
    return _listed(Kept(entry.name.encode(), Span(0, 0), size, size, entry.crc, 0, _flags(entry), _moment(at)), offset)


def _listed(kept: Kept, offset: int) -> bytes:
    numbers = (kept.size, kept.packed, offset)
    long = [n for n in numbers if n >= _FULL32]
    extra = struct.pack(f"<HH{len(long)}Q", 1, 8 * len(long), *long) if long else b""
    needed = _WITH_ZIP64 if long else _PLAIN
    size, packed, at = (min(n, _FULL32) for n in numbers)
    attributes = _FOLDER if kept.name.endswith(b"/") else _REGULAR_FILE
    return (
        _CENTRAL
        + struct.pack("<4H", _UNIX | needed, needed, kept.flags, kept.method)
        + kept.moment
        + struct.pack("<3I5H2I", kept.crc, packed, size, len(kept.name), len(extra), 0, 0, 0, attributes, at)
        + kept.name
        + extra
    )


def _end(count: int, length: int, offset: int, comment: bytes = b"") -> bytes:
    """APPNOTE 4.3.14 to 4.3.16."""
    long = b""
    if count >= _FULL16 or length >= _FULL32 or offset >= _FULL32:
        record = _END64 + struct.pack("<Q2H2I4Q", 44, _UNIX | _WITH_ZIP64, _WITH_ZIP64, 0, 0, count, count, length, offset)
        long = record + _LOCATOR + struct.pack("<IQI", 0, offset + length, 1)
    short = min(count, _FULL16)
    return long + _END + struct.pack("<4H2IH", 0, 0, short, short, min(length, _FULL32), min(offset, _FULL32), len(comment)) + comment


def _flags(entry: Entry) -> int:
    return 0 if entry.name.isascii() else _UTF8


def _moment(at: datetime) -> bytes:
    """MS-DOS time and date (APPNOTE 4.4.6): two seconds fine."""
    utc = at.astimezone(UTC)
    year = min(max(utc.year, _EARLIEST), _LATEST)
    return struct.pack("<2H", utc.hour << 11 | utc.minute << 5 | utc.second // 2, (year - _EARLIEST) << 9 | utc.month << 5 | utc.day)
