"""Streams of known size that are read at any place: what `Document.open` gives where no single file holds the bytes."""

import io
from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Sized(io.RawIOBase):
    """A position over `size` bytes, of which a subclass knows what stands where. Read-only; beyond the end there is nothing."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._at = 0

    @abstractmethod
    def bytes_at(self, offset: int, count: int) -> "bytes | bytearray | memoryview":
        """At least one byte from `offset`, at most `count`; asked only for what lies before the end."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        wanted = min(len(room), self._size - self._at)
        if wanted <= 0:
            return 0
        data = self.bytes_at(self._at, wanted)
        room[: len(data)] = data
        self._at += len(data)
        return len(data)
