"""The reader's terminal: its language, width and colours, a sign of life while something takes long, and where the report goes."""

import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from verifier.report.json import dumps
from verifier.report.locale import from_environment
from verifier.report.plain import columns, printable
from verifier.report.text import WIDTH, Style

PATIENCE = 1.0
"""Seconds that a person waits before wondering whether anything happens."""
REFRESH = 0.2
"""Seconds from one look of that line to the next."""
NARROWEST = 78
"""Columns of that line: one line also where nobody knows the width."""
ERASE = "\r\x1b[K"
SPOOL = 1 << 20
"""Bytes of an output file that are kept in memory until it is written; more waits in a temporary file."""


def style(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Style:
    """How to show something on this stream: colours on a terminal only, and never where NO_COLOR is set (no-color.org)."""
    terminal = stream.isatty()
    colour = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    width = shutil.get_terminal_size((WIDTH, 24)).columns if terminal else WIDTH
    return Style(from_environment(environment), width, colour)


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
        self._text = printable(text)

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
    if columns(text) <= NARROWEST:
        return text
    while columns(text) >= NARROWEST:
        text = text[:-1]
    return text + "…"


class Output:
    """Standard output, or a file that is there whole or not at all: written when everything went well, otherwise left as it was."""

    def __init__(self, path: Path | None, progress: Progress) -> None:
        self._progress = progress
        self._path = None if path is None or str(path) == "-" else path
        self.stream: TextIO = sys.stdout
        if self._path is not None and self._path.is_dir():
            from trust.errors import Conflict

            raise Conflict(f"{printable(str(path))} is a folder, expected a file to write")
        self._spool = tempfile.SpooledTemporaryFile(SPOOL)  # noqa: SIM115  # closed with the output

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._spool as spool:
            if self._path is not None and kind is None:
                from trust.edge.options import written

                spool.seek(0)
                written(iter(lambda: spool.read(SPOOL), b""), self._path, replace=True)

    def style(self) -> Style:
        return style(sys.stdout) if self._path is None else Style(from_environment(os.environ))

    def write_json(self, value: Mapping[str, Any], *, indent: int | None = None) -> None:
        """As UTF-8, or in ASCII where the terminal has another encoding: JSON knows its own escapes and no others."""
        utf8 = self._path is not None or (self.stream.encoding or "utf-8").lower().replace("-", "") == "utf8"
        self.write(dumps(value, indent=indent, only_ascii=not utf8) + "\n")

    def write(self, text: str) -> None:
        """At once, so that whoever reads the other end of a pipe gets each answer when it is there."""
        if self._path is not None:
            self._spool.write(text.encode("utf-8", "backslashreplace"))
            return
        encoding = self.stream.encoding or "utf-8"
        with self._progress.hidden():
            # What a terminal of another encoding cannot show is written out.
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self.stream.flush()
