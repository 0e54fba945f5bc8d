"""A PDF's bytes: read in blocks, looked at through windows, opened by qpdf as a whole or as one of its revisions.

A revision is a prefix of the file up to its `%%EOF` (ISO 32000-2 clause 7.5.6). No copy is made per revision: qpdf reads through a window.
Errors: Malformed, and Locked for a file that takes a password; nothing else.
"""

import io
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import pikepdf

from trust.algorithms import hasher
from trust.errors import KakuinError, Locked, Malformed
from trust.model import Document
from trust.streams import BLOCK, Blocks, Window

# qpdf tells the logger of every oddity of a hostile file: a program that set up no logging must not show them on standard error.
logging.getLogger("pikepdf").addHandler(logging.NullHandler())

MAX_PDF = 2 << 30
"""Bytes."""
MAX_COPY = 16 << 20
"""Bytes of a revision that is copied to be read; a handful are open at a time. A file that is no larger is held in memory."""
HEADER_WITHIN = 1024
"""ISO 32000-2 annex: the header stands within the first 1,024 bytes; EU DSS and Acrobat look as far."""
_TAIL = re.compile(rb"%%EOF[ \t]*(?:\r\n|\r|\n)?[\x00\s]*\Z")


class Bytes:
    """The whole file: in memory while it is small, else in blocks of which the last few are kept, so that a PDF of any size takes no more memory.

    No file is held open: a block that is wanted again is read again.
    """

    def __init__(self, document: Document) -> None:
        self.password = document.password
        self._whole = _small(document)
        self.size = len(self._whole) if self._whole is not None else document.size or 0
        if self.size > MAX_PDF:
            raise Malformed(f"PDF is over {MAX_PDF} bytes")
        self._blocks = Blocks(document.open, self.size)
        self._begun: dict[str, tuple[int, Any]] = {}
        """By digest algorithm: how far from the beginning is hashed, and the running hash."""

    def some(self, start: int, end: int) -> memoryview:
        """At least one byte from `start`, at most up to `end`, which lie in the file."""
        return self._blocks.some(start, end) if self._whole is None else self._whole[start:end]

    def _run(self, start: int, end: int) -> Iterator[bytes | memoryview]:
        """These bytes in pieces. Malformed where the file has become shorter."""
        return self._blocks.run(start, end) if self._whole is None else iter((self._whole[start:end],))

    def slice(self, start: int, end: int) -> bytes:
        """As of bytes: what lies beyond the end is left out."""
        return self._blocks[start:end] if self._whole is None else bytes(self._whole[start:end])

    def window(self, ranges: Sequence[tuple[int, int]]) -> BinaryIO:
        return io.BufferedReader(Window(self, [(start, max(start, min(end, self.size))) for start, end in ranges if start <= self.size]), 1 << 16)

    def prefix(self, end: int) -> BinaryIO:
        """The file up to here: a copy where it is small, which qpdf, asking for a few bytes at a time, reads at twice the speed."""
        return io.BytesIO(self.slice(0, end)) if end <= MAX_COPY else self.window([(0, end)])

    def document(self, ranges: Sequence[tuple[int, int]], name: str) -> Document:
        """These ranges as a Document: hashed in pieces, once for each digest."""
        size = sum(end - start for start, end in ranges)
        return Document(name, size, lambda: self.window(ranges), hashed=lambda algorithm: self._digest(algorithm, ranges))

    def _digest(self, algorithm: str, ranges: Sequence[tuple[int, int]]) -> bytes:
        """Each signature signs all that stands before it: what an earlier one hashed is not hashed again, so that many cost no more than the file."""
        running, rest = hasher(algorithm), ranges
        if ranges and ranges[0][0] == 0:
            end = ranges[0][1]
            done, begun = self._begun.get(algorithm, (0, running))
            if done > end:
                done, begun = 0, running
            self._feed(begun, done, end)
            self._begun[algorithm] = end, begun
            running, rest = begun.copy(), ranges[1:]
        for start, stop in rest:
            self._feed(running, start, stop)
        return bytes(running.digest())

    def _feed(self, running: Any, start: int, end: int) -> None:
        for piece in self._run(start, min(end, self.size)):
            running.update(piece)

    def ends_revision(self, end: int) -> bool:
        """Whether the file up to here ends with `%%EOF` and nothing but white space."""
        return _TAIL.search(self.slice(max(0, end - 64), end)) is not None

    def is_blank(self, start: int, end: int) -> bool:
        """Whether there is nothing but white space (ISO 32000-2 table 1) in between."""
        return not any(bytes(piece).strip(b"\0\t\n\f\r ") for piece in self._run(start, min(end, self.size)))

    def rfind(self, needle: bytes, start: int, end: int) -> int:
        """Offset of the last occurrence, -1 when there is none."""
        end = min(end, self.size)
        while start < end:
            before = max(start, end - BLOCK)
            found = self.slice(before, end).rfind(needle)
            if found >= 0:
                return before + found
            end = before + len(needle) - 1 if before > start else start
        return -1

    def find(self, needle: bytes, start: int, end: int) -> int:
        """Offset of the first occurrence, -1 when there is none."""
        return next((at + found for at, part in self._parts(start, end, len(needle)) if (found := part.find(needle)) >= 0), -1)

    def matches(self, pattern: re.Pattern[bytes], longest: int) -> Iterator[re.Match[bytes]]:
        """What matches in the whole file; no match may be longer than `longest` bytes, nor hold the beginning of another."""
        for at, part in self._parts(0, self.size, longest):
            whole = at + len(part) >= self.size
            yield from (found for found in pattern.finditer(part) if whole or found.start() < len(part) - longest + 1)

    def _parts(self, start: int, end: int, overlap: int) -> Iterator[tuple[int, bytes]]:
        """Pieces with their offsets; each begins so far before the last one's end that what has `overlap` bytes stands whole in one of them."""
        end, at = min(end, self.size), start
        carried = b""
        for piece in self._run(start, end):
            part = carried + bytes(piece)
            yield at, part
            kept = min(overlap - 1, len(part))
            carried = part[len(part) - kept :]
            at += len(part) - kept


def _small(document: Document) -> memoryview | None:
    """What is small, or of no known size, in memory."""
    if document.size is not None and document.size > MAX_COPY:
        return None
    with document.open() as stream:
        # No more than there is: a stream takes memory for all that it is asked for.
        data = stream.read(min(MAX_PDF, document.size) + 1 if document.size is not None else MAX_PDF + 1)
    if len(data) > MAX_PDF:
        raise Malformed(f"PDF is over {MAX_PDF} bytes")
    return memoryview(data)


_OTHERS = (b"PK\x03\x04", b"\x30", b"<", b"{", b"\xef\xbb\xbf<")
"""How a container, CMS, XML or JSON begins, whose content may be a PDF."""


def is_pdf(head: bytes) -> bool:
    """Whether a file that begins so is a PDF: bytes may stand before the header, but not those of another format."""
    return b"%PDF-" in head[:HEADER_WITHIN] and not head.startswith(_OTHERS)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Whatever qpdf raises becomes Malformed."""
    try:
        yield
    except KakuinError:
        raise
    except pikepdf.PasswordError as error:
        raise Locked(_LOCKED) from error
    except Exception as error:  # qpdf, pikepdf and the objects of a hostile file raise a dozen kinds that share no base
        raise Malformed(f"PDF cannot be read: {what}") from error


def opened(data: Bytes, end: int | None = None) -> pikepdf.Pdf:
    """The PDF, or its revision that ends at `end`.

    Where the cross-reference section leads nowhere (a /Prev of 0, seen from a maker), its pointer is left out, and qpdf finds the
    objects by scanning, as every viewer does.
    """
    end = data.size if end is None else end
    try:
        return _open(data, end)
    except pikepdf.PdfError:
        pointer = data.rfind(b"startxref", max(0, end - _POINTER_WITHIN), end)
        with reading("its structure is broken"):
            return _open(data, end if pointer < 0 else pointer)


_LOCKED = "the PDF is encrypted: it is read with its password alone"
_POINTER_WITHIN = 2048
"""Bytes from the end in which the last `startxref` is looked for."""


def _open(data: Bytes, end: int) -> pikepdf.Pdf:
    try:
        return pikepdf.open(data.prefix(end), password=data.password or "", inherit_page_attributes=False, suppress_warnings=True)
    except pikepdf.PasswordError as error:
        raise Locked(_LOCKED if data.password is None else "the PDF is encrypted, and the password does not open it") from error
    except pikepdf.PdfError:
        raise
    except Exception as error:
        raise Malformed("PDF cannot be read: its structure is broken") from error


MAX_REBUILT = 12
"""Revisions whose cross-reference table qpdf had to rebuild by scanning; a hostile file could ask for thousands."""
_KEPT = 3
"""Revisions that are held open beside the whole file."""


class Revisions:
    """The revisions of a file by where they end. The last few stay open; asked for in order, each is opened once."""

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self.whole = opened(data)
        self._opened: dict[int, pikepdf.Pdf | Malformed] = {}
        self._rebuilt = 0

    def at(self, end: int) -> pikepdf.Pdf:
        """Malformed where the file up to there is no PDF of its own."""
        if end == self._data.size:
            return self.whole
        if end not in self._opened:
            while len(self._opened) >= _KEPT:
                del self._opened[next(iter(self._opened))]
            self._opened[end] = self._open(end)
        found = self._opened[end]
        if isinstance(found, Malformed):
            raise found
        return found

    def _open(self, end: int) -> "pikepdf.Pdf | Malformed":
        if self._rebuilt >= MAX_REBUILT:
            return Malformed(f"PDF has more than {MAX_REBUILT} revisions without a cross-reference table")
        try:
            found = opened(self._data, end)
        except Malformed as error:
            self._rebuilt += 1
            return error
        except Locked:  # of a file that opened as a whole
            return Malformed("PDF cannot be read: an earlier revision takes another password")
        self._rebuilt += any("reconstruct" in str(warning) for warning in found.get_warnings())
        return found
