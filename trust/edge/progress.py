"""A sign of life while something takes long."""

import contextlib
import io
import sys
import threading
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, TextIO, TypeVar

from trust.model import Document

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PATIENCE = 1.0
"""Seconds that a person waits before wondering whether anything happens."""
REFRESH = 0.2
"""Seconds from one look of that line to the next."""
STILL = 2.0
"""Seconds after which a line that does not change counts."""
WORTH_TELLING = 8 << 20
"""Bytes."""
BUFFER = 8192
"""Bytes."""
NARROWEST = 78
"""Columns of that line: one line also where nobody knows the width."""
ERASE = "\r\x1b[K"


class Progress:
    """One line on standard error that says what is being done, when it takes over a second; only for people."""

    def __init__(self, stream: TextIO | None = None, patience: float = PATIENCE) -> None:
        self._stream = stream or sys.stderr
        self._patience = patience
        self._text = ""
        self._shown = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Progress":
        if self._stream.isatty():
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        with self.hidden():
            pass

    @property
    def seen(self) -> bool:
        """Whether anybody looks."""
        return self._thread is not None

    def tell(self, text: str) -> None:
        self._text = "".join(c if c.isprintable() else "?" for c in text)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """The line is away while something else is written to the terminal; it comes back by itself."""
        with self._lock:
            if self._shown:
                self._stream.write(ERASE)
                self._stream.flush()
                self._shown = False
            yield

    def _show(self) -> None:
        wait, last, since = self._patience, self._text, time.monotonic()
        while not self._over.wait(wait):
            if self._text != last:
                last, since = self._text, time.monotonic()
            with self._lock:
                self._stream.write(ERASE + _standing(last, time.monotonic() - since))
                self._stream.flush()
                self._shown, wait = True, REFRESH


def counted(chunks: Iterable[bytes], progress: Progress, doing: str) -> Iterator[bytes]:
    """The same pieces; how much of them went by is told."""
    done = 0
    progress.tell(doing)
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        if progress.seen and done >= WORTH_TELLING:
            progress.tell(f"{doing}: {_megabytes(done)}")


T = TypeVar("T")


def passing(things: Iterable[T], progress: Progress, what: str, every: int = 1000) -> Iterator[T]:
    """The same things; how many of them went by is told."""
    for count, thing in enumerate(things, start=1):
        if count % every == 0:
            progress.tell(f"{count:,} {what}")
        yield thing


def _standing(text: str, seconds: float) -> str:
    """The line; what nothing is heard of any more (a confined process reads unheard) counts seconds, so that it does not look dead."""
    return _cut(text) if seconds < STILL else _cut(f"{text} ({seconds:.0f} s)")


class Reading:
    """Documents whose reading is told: how much of them all has been read, and in which round (a seal reads for digest, checksum and check)."""

    def __init__(self, documents: Sequence[Document], progress: Progress, doing: str) -> None:
        self._size = max(1, sum(d.size or 0 for d in documents))
        self._progress = progress
        self._about = self._doing = doing
        self._read = 0
        self.documents = tuple(self._heard(d) for d in documents) if progress.seen else tuple(documents)
        """The same documents; the very same where nobody looks."""
        progress.tell(doing)

    def _heard(self, document: Document) -> Document:
        def opened() -> BinaryIO:
            # Not more at a time than is asked for: of a container each file in it is opened, and most are small.
            return io.BufferedReader(_Heard(document.open(), self), BUFFER)

        return Document(document.name, document.size, opened, document.known, document.media_type, password=document.password)

    def phase(self, doing: str) -> None:
        """What is done from now on, in which reading begins anew."""
        self._doing, self._read = f"{self._about}, {doing}", 0
        self._progress.tell(self._doing)

    def heard(self, count: int) -> None:
        self._read += count
        rounds, read = divmod(self._read, self._size)
        again = f", round {rounds + 1}" if rounds else ""
        self._progress.tell(f"{self._doing}: {100 * read // self._size} % of {_megabytes(self._size)} read{again}")


class _Heard(io.RawIOBase):
    """A stream that says what is read of it. Another process is handed the file behind it, and reads unheard."""

    def __init__(self, stream: BinaryIO, reading: Reading) -> None:
        super().__init__()
        self._stream = stream
        self._reading = reading

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        data = self._stream.read(len(room))
        room[: len(data)] = data
        self._reading.heard(len(data))
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _cut(text: str) -> str:
    """What fits in one line of any terminal."""
    if _columns(text) <= NARROWEST:
        return text
    while _columns(text) >= NARROWEST:
        text = text[:-1]
    return text + "…"


def _columns(text: str) -> int:
    """On a terminal: Japanese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
