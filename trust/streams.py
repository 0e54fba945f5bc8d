"""Streams of known size that are read at any place: what `Document.open` gives where no single file holds the bytes."""

import io
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

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


class Lent(Sized):
    """A stream that is opened when it is first read, and closed when its last byte was: however many there are, one is open at a time."""

    def __init__(self, opening: Callable[[], BinaryIO], size: int) -> None:
        super().__init__(size)
        self._opening = opening
        self._stream: BinaryIO | None = None

    def bytes_at(self, offset: int, count: int) -> bytes:
        if self._stream is None:
            self._stream = self._opening()
        self._stream.seek(offset)
        data = self._stream.read(count)
        if not data or offset + len(data) >= self._size:
            self._shut()
        return data

    def _shut(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        self._shut()
        super().close()
