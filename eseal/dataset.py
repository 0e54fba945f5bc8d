"""Several documents under one seal, as one run of bytes: so a seal's pieces name parts of them as they name parts of one."""

import bisect
import io
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO

from trust.errors import Malformed
from trust.model import Document
from trust.streams import Sized


def joined(documents: Sequence[Document]) -> Document:
    """Documents one behind the other; of one, itself. However many there are, one is open at a time. Malformed where one cannot be read."""
    if len(documents) == 1:
        return documents[0]
    sizes = [d.size for d in documents]
    known = [s for s in sizes if s is not None]
    if len(known) < len(sizes):
        raise Malformed("only digests of a document are known")
    return Document(None, sum(known), lambda: io.BufferedReader(_Joined(documents, known), Document.CHUNK))


class _Joined(Sized):
    """A seekable stream over documents."""

    def __init__(self, documents: Sequence[Document], sizes: Sequence[int]) -> None:
        self._documents = documents
        self._starts = list(accumulate(sizes, initial=0))
        super().__init__(self._starts[-1])
        self._open: tuple[int, BinaryIO] | None = None

    def bytes_at(self, offset: int, count: int) -> bytes:
        number = bisect.bisect_right(self._starts, offset) - 1
        stream = self._stream(number)
        stream.seek(offset - self._starts[number])
        data = stream.read(min(count, self._starts[number + 1] - offset))
        if not data:
            raise Malformed("a document became shorter while it was read")
        return data

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
