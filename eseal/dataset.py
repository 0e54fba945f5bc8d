"""Several documents under one seal, as one run of bytes: so a seal's pieces name parts of them as they name parts of one."""

import bisect
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from trust.errors import Malformed
from trust.model import Document

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def joined(documents: Sequence[Document]) -> Document:
    """Documents one behind the other; of one, itself. However many there are, one is open at a time. Malformed where one cannot be read."""
    if len(documents) == 1:
        return documents[0]
    sizes = [d.size for d in documents]
    known = [s for s in sizes if s is not None]
    if len(known) < len(sizes):
        raise Malformed("only digests of a document are known")
    return Document(None, sum(known), lambda: io.BufferedReader(_Joined(documents, known), Document.CHUNK))


class _Joined(io.RawIOBase):
    """A seekable stream over documents."""

    def __init__(self, documents: Sequence[Document], sizes: Sequence[int]) -> None:
        self._documents = documents
        self._starts = [0]
        for size in sizes:
            self._starts.append(self._starts[-1] + size)
        self._at = 0
        self._open: tuple[int, BinaryIO] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._starts[-1])[whence])
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._at >= self._starts[-1]:
            return 0
        number = bisect.bisect_right(self._starts, self._at) - 1
        room = memoryview(buffer).cast("B")
        count = min(len(room), self._starts[number + 1] - self._at)
        stream = self._stream(number)
        stream.seek(self._at - self._starts[number])
        data = stream.read(count)
        if not data:
            raise Malformed("a document became shorter while it was read")
        room[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _stream(self, number: int) -> BinaryIO:
        if self._open is None or self._open[0] != number:
            self._shut()
            self._open = (number, self._documents[number].open())
        return self._open[1]

    def _shut(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def close(self) -> None:
        if not self.closed:
            self._shut()
        super().close()
