"""Streams of known size that are read at any place: what `Document.open` gives where no single file holds the bytes."""

import io
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, Protocol, SupportsIndex, overload

from trust.errors import Malformed

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


BLOCK, MOST_BLOCKS = 1 << 20, 16
"""Bytes that are read at a time; how many of these are kept: readers go to and fro between tables and what they lead to."""
PIECE = 1 << 18
"""Bytes of a long run that are in memory at a time."""


class Blocks:
    """The bytes of a document of any size, as far as they are asked for: in memory are the last few blocks. No file is held open.

    Malformed where the document has become shorter.
    """

    def __init__(self, opening: Callable[[], BinaryIO], size: int) -> None:
        self._opening = opening
        self._size = size
        self._kept: dict[int, bytes] = {}

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> int | bytes:
        """As of bytes."""
        if not isinstance(index, slice):
            at = index.__index__()
            if not 0 <= at < self._size:
                raise IndexError(at)
            return self.some(at, at + 1)[0]
        start, end, _ = index.indices(self._size)
        if start >= end:
            return b""
        part = self.some(start, end)
        return bytes(part) if len(part) == end - start else b"".join(self.run(start, end))

    def startswith(self, prefix: bytes, start: int = 0, /) -> bool:
        return self[start : start + len(prefix)] == prefix

    def some(self, start: int, end: int) -> memoryview:
        """At least one byte from `start`, at most up to `end`, which lie in the document."""
        number, inside = divmod(start, BLOCK)
        return memoryview(self._block(number))[inside : inside + end - start]

    def _block(self, number: int) -> bytes:
        found = self._kept.pop(number, None)
        if found is None:
            found = b"".join(self.run(number * BLOCK, min(self._size, (number + 1) * BLOCK)))
            while len(self._kept) >= MOST_BLOCKS:
                del self._kept[next(iter(self._kept))]
        self._kept[number] = found  # the last that was asked for stands last
        return found

    def run(self, start: int, end: int) -> Iterator[bytes]:
        """These bytes in pieces."""
        with self._opening() as stream:
            stream.seek(start)
            while start < end:
                piece = stream.read(min(PIECE, end - start))
                if not piece:
                    raise Malformed("the document became shorter while it was read")
                yield piece
                start += len(piece)


class Source(Protocol):
    """What a Window looks at."""

    def some(self, start: int, end: int) -> memoryview:
        """At least one byte from `start`, at most up to `end`."""


class Window(Sized):
    """Ranges of a source, one after the other, as a file that can be read and sought."""

    def __init__(self, source: Source, ranges: Sequence[tuple[int, int]]) -> None:
        self._source = source
        self._ranges = ranges
        super().__init__(sum(end - start for start, end in ranges))

    def bytes_at(self, offset: int, count: int) -> memoryview:
        for start, end in self._ranges:
            if offset < end - start:
                return self._source.some(start + offset, min(end, start + offset + count))
            offset -= end - start
        return memoryview(b"")
