"""A sign of life while something takes long."""

import contextlib
import sys
import threading
import unicodedata
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

PATIENCE = 1.0
"""Seconds that a person waits before wondering whether anything happens."""
REFRESH = 0.2
"""Seconds from one look of that line to the next."""
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
        wait = self._patience
        while not self._over.wait(wait):
            with self._lock:
                self._stream.write(ERASE + _cut(self._text))
                self._stream.flush()
                self._shown, wait = True, REFRESH


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
