"""What a format makes: the sealed document as a list of pieces, in which the document itself is only named.

So a document of any size is sealed without a copy, a sandbox hands back kilobytes, and the same seal can be given again
to whoever comes back with the same document.
"""

import base64
import bisect
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, BinaryIO

from trust.errors import Malformed
from trust.model import Document
from trust.streams import Sized

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `stop` of the document that was given."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Base64:
    """Bytes `start` to `stop` of the document as text (RFC 4648 section 4): what XML and JSON hold it as."""

    start: int
    stop: int
    url: bool = False
    """The alphabet of section 5, without padding, as JOSE has it."""

    @property
    def size(self) -> int:
        count = self.stop - self.start
        return (4 * count + 2) // 3 if self.url else 4 * ((count + 2) // 3)

    def read(self, base: BinaryIO, offset: int, count: int) -> bytes:
        """At most `count` octets of the text from `offset` on."""
        group, skip = divmod(offset, 4)
        at = self.start + 3 * group
        wanted = min(3 * ((skip + count + 3) // 4), self.stop - at)
        base.seek(at)
        data = base.read(wanted)
        if len(data) < wanted:
            raise Malformed("the document became shorter while it was read")
        text = base64.urlsafe_b64encode(data).rstrip(b"=") if self.url else base64.b64encode(data)
        return text[skip : skip + count]


Piece = bytes | Span | Base64


@dataclass(frozen=True, slots=True)
class Draft:
    """A seal that has been made and not yet been checked, recorded or released."""

    pieces: tuple[Piece, ...]
    """The sealed document, in order."""
    signature: bytes
    """The signature value: names this signature among others in the file."""
    stamps: tuple[bytes, ...] = ()
    """The tokens in it as the authority gave them, in order of time."""
    warnings: tuple[str, ...] = ()
    """For people."""


def size_of(pieces: Sequence[Piece]) -> int:
    return sum(p.stop - p.start if isinstance(p, Span) else p.size if isinstance(p, Base64) else len(p) for p in pieces)


def assembled(document: Document, pieces: Sequence[Piece], name: str | None, media_type: str | None) -> Document:
    """The sealed document, which reads `document` where a piece is a span of it: it lives as long as that one does."""
    return Document(name, size_of(pieces), lambda: _opened(document, pieces), media_type=media_type)


def _opened(document: Document, pieces: Sequence[Piece]) -> BinaryIO:
    whole = [p for p in pieces if size_of((p,))]
    if len(whole) == 1 and isinstance(whole[0], bytes):
        return io.BytesIO(whole[0])
    return io.BufferedReader(Rope(document.open(), whole), 1 << 16)


class Rope(Sized):
    """A seekable stream over pieces; closes the document's stream with itself."""

    def __init__(self, base: BinaryIO, pieces: Sequence[Piece]) -> None:
        self._base = base
        self._pieces = pieces
        self._starts = list(accumulate((size_of((piece,)) for piece in pieces), initial=0))
        super().__init__(self._starts[-1])

    def bytes_at(self, offset: int, count: int) -> bytes:
        number = bisect.bisect_right(self._starts, offset) - 1
        piece, inside = self._pieces[number], offset - self._starts[number]
        count = min(count, self._starts[number + 1] - offset)
        if not isinstance(piece, Span):
            return piece.read(self._base, inside, count) if isinstance(piece, Base64) else piece[inside : inside + count]
        self._base.seek(piece.start + inside)
        data = self._base.read(count)
        if not data:
            raise Malformed("the document became shorter while it was read")
        return data

    def close(self) -> None:
        if not self.closed:
            self._base.close()
        super().close()


class Appended(io.RawIOBase):
    """A document that can be read, and written only behind its end: what an incremental update needs. What was written is `tail`."""

    def __init__(self, base: BinaryIO, size: int) -> None:
        self._base = base
        self._size = size
        self._at = 0
        self.tail = bytearray()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + (0, self._at, self._size + len(self.tail))[whence]
        if at < 0:
            # As files do: readers of PDF walk backwards and rely on it.
            raise OSError(22, "Invalid argument")
        self._at = at
        return at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        if self._at < self._size:
            self._base.seek(self._at)
            data = self._base.read(min(len(room), self._size - self._at))
        else:
            start = self._at - self._size
            data = bytes(self.tail[start : start + len(room)])
        room[: len(data)] = data
        self._at += len(data)
        return len(data)

    def write(self, data: Any) -> int:
        start = self._at - self._size
        if start < 0:
            raise OSError(30, "the document itself is never written to")
        count = len(memoryview(data).cast("B"))
        self.tail[start : start + count] = data
        self._at += count
        return count

    def truncate(self, size: int | None = None) -> int:
        keep = max(0, (self._at if size is None else size) - self._size)
        del self.tail[keep:]
        return self._size + len(self.tail)
