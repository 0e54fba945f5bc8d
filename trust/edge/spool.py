"""Bytes of a document that is on its way: in memory while they are few, else in a file without a name, which even a crash leaves no trace of."""

import errno
import io
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from trust.errors import Unavailable
from trust.model import Document
from trust.streams import Sized

IN_MEMORY = 1 << 20
"""Bytes of a document that stay in memory; what is larger goes to the disk."""


class Spool:
    """Collects one document. Close it, or leave its context, when the document is not needed any more."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._waiting = bytearray()
        self._file: BinaryIO | None = None
        self.size = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def add(self, data: bytes | memoryview) -> None:
        self._waiting += data
        self.size += len(data)

    @property
    def full(self) -> bool:
        return len(self._waiting) > IN_MEMORY

    def flush(self) -> None:
        """To the disk, once there is more than memory should hold. Unavailable when the disk is full."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # closed by close()
            self._file.write(self._waiting)
            self._file.flush()
        except OSError as error:
            why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or "input/output error").lower()
            raise Unavailable(f"no room for the document: {why}") from error
        self._waiting.clear()

    def document(self, name: str | None, media_type: str | None) -> Document:
        """What has arrived. It can be read any number of times, by several readers at once, until close()."""
        if self._file is None:
            return Document.of(bytes(self._waiting), name, media_type)
        if self._waiting:
            self.flush()
        handle, size = self._file.fileno(), self.size
        return Document(name, size, lambda: io.BufferedReader(_View(handle, size), 1 << 16), media_type=media_type)

    def close(self) -> None:
        self._waiting.clear()
        if self._file is not None:
            self._file.close()


class _View(Sized):
    """A reader of an open file with a position of its own."""

    def __init__(self, handle: int, size: int) -> None:
        super().__init__(size)
        self._handle = handle

    def fileno(self) -> int:
        return self._handle

    def bytes_at(self, offset: int, count: int) -> bytes:
        return os.pread(self._handle, count, offset)
