"""The directory of a ZIP held against its local headers (PKWARE APPNOTE 6.3, sections 4.3 and 4.5): what both tell alike, and where they differ."""

import struct
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from trust.errors import Malformed, TooLarge

MAX_ENTRIES = 50_000
MAX_DIRECTORY = 64 << 20
"""Bytes of the central directory."""
MAX_TOTAL = 64 << 30
"""Bytes of all entries together, unpacked."""
MAX_RATIO = 200
"""Unpacked to packed, above FREE_BYTES: office documents stay under 100; deflate reaches 1032."""
FREE_BYTES = 64 << 20

STORED, DEFLATED = 0, 8
LOCAL, END = b"PK\3\4", b"PK\5\6"
_CENTRAL, _END64, _LOCATOR64, _DESCRIPTOR = b"PK\1\2", b"PK\6\6", b"PK\6\7", b"PK\7\x08"
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_DEFERRED = 0x0008
_UTF8 = 0x0800
_UNICODE_PATH = 0x7075
_ZIP64 = 0x0001
_FULL32, _FULL16 = 0xFFFFFFFF, 0xFFFF
_SYMBOLIC_LINK = 0o120000


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the container as a container."""

    why: str
    grave: bool
    """Whether two programs may show different contents, or write outside of the folder."""
    name: str = ""
    """The entry concerned."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the container, as the central directory has it."""

    name: str
    size: int
    packed: int
    crc: int
    method: int
    flags: int
    offset: int
    """Of its local header."""
    raw_name: bytes
    other_name: str | None = None
    """What the Unicode path field (4.6.9) calls it, where that is not the name."""

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/") and self.size == 0


@dataclass(frozen=True, slots=True)
class Directory:
    """All entries, in the order of their data."""

    entries: tuple[Entry, ...]
    starts: dict[int, int]
    """Where the data of an entry begin, by the place of its local header."""
    faults: tuple[Fault, ...]
    comment: bytes


def directory(stream: BinaryIO) -> Directory:
    """Malformed for what no program could read, TooLarge for bombs."""
    end, twice = _end(stream, stream.seek(0, 2))
    if end.size > MAX_DIRECTORY or end.count > MAX_ENTRIES:
        raise TooLarge(f"container has more than {MAX_ENTRIES} entries or {MAX_DIRECTORY} bytes of directory")
    stream.seek(end.start)
    entries = tuple(sorted(_central(stream.read(end.size), end.count), key=lambda e: e.offset))
    _within_caps(entries)
    starts, faults = _locals(stream, entries, end.start)
    faults += [*_names(entries), *([Fault("two directories", grave=True)] if twice else [])]
    return Directory(entries, starts, tuple(faults), end.comment)


@dataclass(frozen=True, slots=True)
class _End:
    """The end of central directory record."""

    start: int
    size: int
    count: int
    comment: bytes


def _end(stream: BinaryIO, length: int) -> tuple[_End, bool]:
    """The record that ends the file and whose directory ends at it; and whether a second reading is possible.

    A comment may hold what looks like a record; one that no directory precedes is nothing but a comment.
    """
    tail_length = min(length, 22 + _FULL16)
    stream.seek(length - tail_length)
    tail = stream.read(tail_length)
    found: list[_End] = []
    at = tail.rfind(END)
    while at >= 0:
        if at + 22 <= len(tail) and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail):
            candidate = _end_at(stream, tail[at:], length - tail_length + at)
            found += [candidate] if candidate else []
        at = tail.rfind(END, 0, at)
    if not found:
        raise Malformed("not a container: no end of central directory that ends the file")
    return found[-1], len(found) > 1


def _end_at(stream: BinaryIO, record: bytes, end: int) -> _End | None:
    short = struct.unpack("<4HIIH", record[4:22])[:6]
    disk, first, here, count, size, start = short
    if _FULL16 in short[:4] or _FULL32 in short[4:]:
        long = _end64(stream, end, short)
        if long is not None:
            (disk, first, here, count, size, start), end = long
    stream.seek(min(start, end))
    directory = stream.read(4)
    if disk or first or here != count or start + size != end or (count and directory != _CENTRAL):
        return None
    return _End(start, size, count, record[22:])


def _end64(stream: BinaryIO, end: int, short: tuple[int, ...]) -> tuple[tuple[int, ...], int] | None:
    """APPNOTE 4.3.14 and 4.3.15: the long record's fields, which agree with the short one's, and where it stands."""
    stream.seek(max(0, end - 20))
    locator = stream.read(20)
    if locator[:4] != _LOCATOR64:
        return None
    at = int.from_bytes(locator[8:16], "little")
    stream.seek(min(at, end))
    record = stream.read(56)
    if len(record) != 56 or record[:4] != _END64:
        return None
    long = struct.unpack("<IIQQQQ", record[16:])
    limits = (_FULL16,) * 4 + (_FULL32,) * 2
    return (long, at) if all(a in (limit, b) for a, b, limit in zip(short, long, limits, strict=True)) else None


def _central(directory: bytes, count: int) -> Iterator[Entry]:
    at = 0
    for _ in range(count):
        fixed = directory[at : at + 46]
        if len(fixed) != 46 or fixed[:4] != _CENTRAL:
            raise Malformed("container directory ends early")
        _, _, flags, method, _, _, crc, packed, size, name_length, extra_length, comment_length, disk, _, external, offset = struct.unpack(
            "<6H3I5H2I", fixed[4:]
        )
        raw = directory[at + 46 : at + 46 + name_length]
        extra = directory[at + 46 + name_length : at + 46 + name_length + extra_length]
        at += 46 + name_length + extra_length + comment_length
        if at > len(directory) or disk:
            raise Malformed("container directory ends early")
        size, packed, offset = _zip64(extra, size, packed, offset)
        if flags & _ENCRYPTED:
            raise Malformed("container has encrypted entries")
        if method not in (STORED, DEFLATED) or (method == STORED and size != packed):
            raise Malformed(f"container entries are stored or deflated, got method {method}")
        if external >> 16 & 0o170000 == _SYMBOLIC_LINK:
            raise Malformed("container has a symbolic link")
        name, path = _name(raw, flags, extra), _unicode_path(raw, extra)
        yield Entry(name, size, packed, crc, method, flags, offset, raw, path if path != name else None)
    if at != len(directory):
        raise Malformed("container directory is longer than its entries")


def _extras(extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[at : at + 4])
        yield kind, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _zip64(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """APPNOTE 4.5.3: the fields that did not fit, in this order."""
    if _FULL32 not in (size, packed, offset):
        return size, packed, offset
    data = next((body for kind, body in _extras(extra) if kind == _ZIP64), b"")
    values = []
    for short in (size, packed, offset):
        long = short == _FULL32 and len(data) >= 8
        values.append(int.from_bytes(data[:8], "little") if long else short)
        data = data[8:] if long else data
    return values[0], values[1], values[2]


def _name(raw: bytes, flags: int, extra: bytes) -> str:
    """UTF-8 where it is said or where it is; else the Unicode path beside it (4.6.9), or the old default, code page 437."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if flags & _UTF8:
            raise Malformed("container entry's name is not the UTF-8 that it says") from error
    return _unicode_path(raw, extra) or raw.decode("cp437")


def _unicode_path(raw: bytes, extra: bytes) -> str | None:
    """APPNOTE 4.6.9: the name in UTF-8, for programs that know this field; where it is of this name and can be read."""
    for kind, body in _extras(extra):
        if kind == _UNICODE_PATH and len(body) > 5 and body[0] == 1 and int.from_bytes(body[1:5], "little") == zlib.crc32(raw):
            try:
                return body[5:].decode("utf-8")
            except UnicodeDecodeError:
                return None
    return None


def _within_caps(entries: tuple[Entry, ...]) -> None:
    total = sum(e.size for e in entries)
    packed = sum(e.packed for e in entries)
    if total > MAX_TOTAL:
        raise TooLarge(f"container unpacks to more than {MAX_TOTAL} bytes")
    if total > FREE_BYTES and (total > MAX_RATIO * packed or any(e.size > FREE_BYTES and e.size > MAX_RATIO * e.packed for e in entries)):
        raise TooLarge(f"container unpacks to more than {MAX_RATIO} times its size")


def _locals(stream: BinaryIO, entries: tuple[Entry, ...], directory: int) -> tuple[dict[int, int], list[Fault]]:
    """Each local header against the directory; no bytes between the entries, before them, or twice in use."""
    starts: dict[int, int] = {}
    faults: list[Fault] = []
    reached = 0
    for entry in entries:
        if entry.offset < reached:
            raise Malformed("container entries overlap")
        if entry.offset > reached:
            faults.append(_gap(stream, reached, entry.offset))
        start, differs = _local(stream, entry)
        starts[entry.offset] = start
        if differs:
            faults.append(Fault(f"local header and directory differ in {differs}", grave=True, name=entry.name))
        reached = start + entry.packed
        if reached > directory:
            raise Malformed("container entries run into the directory")
        if entry.flags & _DEFERRED:
            reached += _descriptor(stream, entry, reached, faults)
    if reached < directory:
        faults.append(_gap(stream, reached, directory))
    return starts, faults


def _gap(stream: BinaryIO, start: int, end: int) -> Fault:
    """Bytes that the directory does not know. A reader that goes from header to header sees an entry in them."""
    stream.seek(start)
    hides = LOCAL in stream.read(min(end - start, 1 << 20))
    return Fault("an entry that the directory does not name" if hides else "bytes that belong to no entry", grave=hides or start == 0)


def _local(stream: BinaryIO, entry: Entry) -> tuple[int, str]:
    """Where the entry's data begin, and in what its local header differs."""
    stream.seek(entry.offset)
    fixed = stream.read(30)
    if len(fixed) != 30 or fixed[:4] != LOCAL:
        raise Malformed("container entry has no local header")
    _, flags, method, _, _, crc, packed, size, name_length, extra_length = struct.unpack("<5H3I2H", fixed[4:])
    raw, extra = stream.read(name_length), stream.read(extra_length)
    size, packed, _ = _zip64(extra, size, packed, 0)
    deferred = bool(entry.flags & _DEFERRED)
    compared = {
        "name": (raw, entry.raw_name),
        "method": (method, entry.method),
        "encryption": (flags & _ENCRYPTED, 0),
        "layout": (flags & _DEFERRED, entry.flags & _DEFERRED),
    }
    # With the sizes after the data, the header's are zero, or already right.
    if not deferred or (crc, packed, size) != (0, 0, 0):
        compared |= {"checksum": (crc if crc or not deferred else entry.crc, entry.crc)}
        compared |= {"size": ((packed or entry.packed, size or entry.size) if deferred else (packed, size), (entry.packed, entry.size))}
    differing = [what for what, (here, there) in compared.items() if here != there]
    return entry.offset + 30 + name_length + extra_length, ", ".join(differing)


def _descriptor(stream: BinaryIO, entry: Entry, at: int, faults: list[Fault]) -> int:
    """APPNOTE 4.3.9: checksum and sizes after the data, with or without signature, in 4 or 8 bytes; returns its length."""
    stream.seek(at)
    data = stream.read(24)
    skip = 4 if data[:4] == _DESCRIPTOR else 0
    for layout in ("<III", "<IQQ"):
        length = struct.calcsize(layout)
        if len(data) >= skip + length and struct.unpack(layout, data[skip : skip + length]) == (entry.crc, entry.packed, entry.size):
            return skip + length
    faults.append(Fault("sizes after the data differ from the directory", grave=True, name=entry.name))
    return 0


def _names(entries: tuple[Entry, ...]) -> Iterator[Fault]:
    """Names that stand twice, and names that lead out of the folder in which a program unpacks."""
    seen: set[str] = set()
    folded: set[str] = set()
    for entry in entries:
        name, alike = entry.name, unicodedata.normalize("NFC", entry.name).casefold()
        if name in seen:
            yield Fault("the same name twice", grave=True, name=name)
        elif alike in folded:
            # Where file names know no case, or one form of composed characters, the later file takes the place of the earlier.
            yield Fault("two names that are one to many programs", grave=False, name=name)
        if entry.other_name is not None:
            yield Fault("a second name in another field", grave=True, name=name)
        seen.add(name)
        folded.add(alike)
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or (len(parts[0]) == 2 and parts[0][1] == ":"):
            yield Fault("a name that leads out of the folder", grave=True, name=name)
        elif not name or "." in parts or any(ord(c) < 32 or ord(c) == 127 for c in name) or "" in parts[:-1]:
            yield Fault("a name that programs read differently", grave=True, name=name)
        elif "\\" in name:
            yield Fault("a backslash in a name", grave=False, name=name)
