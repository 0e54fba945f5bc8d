"""A container with some files of it replaced and some added, all others in the bytes in which they came."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import BinaryIO

from eseal.draft import Span
from eseal.formats.container import Entry, Kept, archive
from trust.codecs.container import Container, container
from trust.codecs.container import Entry as Listed
from trust.errors import Malformed, Unacceptable
from trust.model import Document

_DEFERRED = 0x0008
_SIGNATURE = b"PK\7\x08"


def opened(document: Document) -> Container:
    """Unacceptable for a container that programs read differently: what would be extended is not what everybody sees."""
    found = container(document)
    grave = next((f for f in found.faults if f.grave), None)
    if grave is not None:
        raise Unacceptable(f"the container is not sound as a container: {grave.why}")
    return found


def rebuilt(
    document: Document, found: Container, changed: Mapping[str, bytes | None], added: Sequence[tuple[str, bytes]], at: datetime
) -> tuple[bytes | Span, ...]:
    """`changed` is new content by name, None for a file that goes; `added` come last."""
    entries: list[Entry | Kept] = []
    with document.open() as stream:
        for listed in found.entries:
            if listed.name not in changed:
                entries.append(_kept(stream, listed))
            elif (data := changed[listed.name]) is not None:
                entries.append(Entry(listed.name, data, zlib.crc32(data)))
    entries += [Entry(name, data, zlib.crc32(data)) for name, data in added]
    return archive(entries, at, found.comment)


def _kept(stream: BinaryIO, listed: Listed) -> Kept:
    stream.seek(listed.offset)
    fixed = stream.read(30)
    if len(fixed) != 30:
        raise Malformed("container entry has no local header")
    names, extras = struct.unpack("<2H", fixed[26:30])
    stop = listed.offset + 30 + names + extras + listed.packed
    if listed.flags & _DEFERRED:
        stream.seek(stop)
        stop += _descriptor(stream.read(24), listed)
    span = Span(listed.offset, stop)
    return Kept(listed.raw_name, span, listed.size, listed.packed, listed.crc, listed.method, listed.flags, fixed[10:14])


def _descriptor(data: bytes, listed: Listed) -> int:
    """APPNOTE 4.3.9: the length of what follows the data."""
    skip = 4 if data[:4] == _SIGNATURE else 0
    for layout in ("<III", "<IQQ"):
        length = struct.calcsize(layout)
        if len(data) >= skip + length and struct.unpack(layout, data[skip : skip + length]) == (listed.crc, listed.packed, listed.size):
            return skip + length
    raise Malformed("container entry's sizes after the data differ from the directory")
