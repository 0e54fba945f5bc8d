"""ZIP containers (PKWARE APPNOTE 6.3) as ASiC and OpenDocument use them, read strictly, in pieces, and never into the file system.

A ZIP can be read from its central directory or from its local headers, and programs differ; here both must tell the same. What one program
would show and another not is a fact of the container (`faults`); what no program could read is Malformed. Nothing is held but the directory.
"""

import io
import zlib
from collections.abc import Callable
from typing import BinaryIO

from trust.codecs.zip_directory import DEFLATED, END, LOCAL, STORED, Directory, Entry, Fault, directory
from trust.errors import Malformed
from trust.model import Document

__all__ = ["STORED", "Container", "Entry", "Fault", "claims", "container"]


class Container:
    """The entries of a ZIP, in the order of their data, each as a Document that is unpacked while it is read."""

    def __init__(self, source: Document, found: Directory) -> None:
        self.entries = found.entries
        self.faults = found.faults
        self.comment = found.comment
        self.damaged: set[str] = set()
        """Names of entries that were read to their end and whose CRC-32 differs."""
        self._source = source
        self._starts = found.starts
        self.documents: dict[str, Document] = {}
        """By name, folders left out; of entries with one name the first."""
        for entry in found.entries:
            if not entry.is_folder:
                self.documents.setdefault(entry.name, Document(entry.name, entry.size, self._opener(entry)))

    def _opener(self, entry: Entry) -> Callable[[], BinaryIO]:
        def spoiled() -> None:
            self.damaged.add(entry.name)

        return lambda: io.BufferedReader(_Stream(self._source, entry, self._starts[entry.offset], spoiled), Document.CHUNK)

    def read(self, name: str, limit: int) -> bytes:
        """All bytes of an entry; Malformed where there is none of this name, TooLarge above `limit`."""
        if name not in self.documents:
            raise Malformed("container has no such entry")
        return self.documents[name].read(limit)


class _Stream(io.RawIOBase):
    """An entry's content. Seeking backwards starts again. Malformed where the packed data are not what the directory says."""

    def __init__(self, source: Document, entry: Entry, start: int, spoiled: Callable[[], None]) -> None:
        self._entry = entry
        self._start = start
        self._spoiled = spoiled
        self._file = source.open()
        self._rewind()

    def _rewind(self) -> None:
        self._file.seek(self._start)
        self._left = self._entry.packed
        self._at = 0
        self._crc = 0
        self._unpacker = zlib.decompressobj(-15) if self._entry.method == DEFLATED else None
        self._tail = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        target = offset + (self._at if whence == io.SEEK_CUR else self._entry.size if whence == io.SEEK_END else 0)
        if target < 0:
            raise ValueError("negative position")
        if target < self._at:
            self._rewind()
        while self._at < target and self.read(min(1 << 18, target - self._at)):
            pass
        return self._at

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._entry.size - self._at)
        data = self._next(wanted) if wanted else b""
        if wanted and not data:
            raise Malformed("container entry ends early")
        buffer[: len(data)] = data
        self._at += len(data)
        self._crc = zlib.crc32(data, self._crc)
        if self._at == self._entry.size:
            self._finish()
        return len(data)

    def _next(self, wanted: int) -> bytes:
        if self._unpacker is None:
            return self._packed(wanted)
        while not self._unpacker.eof:
            try:
                data = self._unpacker.decompress(self._tail or self._packed(1 << 16), wanted)
            except zlib.error as error:
                raise Malformed("container entry is not what deflate makes") from error
            self._tail = self._unpacker.unconsumed_tail
            if data or (not self._left and not self._tail):
                return data
        return b""

    def _packed(self, wanted: int) -> bytes:
        data = self._file.read(min(wanted, self._left))
        self._left -= len(data)
        return data

    def _finish(self) -> None:
        if self._unpacker is not None and not self._unpacker.eof:
            # One byte more than announced is enough to know that the directory lies.
            rest = self._tail or self._packed(1 << 16)
            try:
                if self._unpacker.decompress(rest, 1) or not self._unpacker.eof:
                    raise Malformed("container entry is longer than the directory says")
            except zlib.error as error:
                raise Malformed("container entry is not what deflate makes") from error
        if self._unpacker is not None and (self._unpacker.unused_data or self._left):
            raise Malformed("container entry has bytes after its end")
        if self._crc != self._entry.crc:
            self._spoiled()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def claims(head: bytes) -> bool:
    """A local file header, or the end of an empty container."""
    return head[:4] in (LOCAL, END)


def container(document: Document) -> Container:
    """The container in a document. Malformed for what no program could read, TooLarge for bombs."""
    with document.open() as stream:
        found = directory(stream)
    return Container(document, found)
