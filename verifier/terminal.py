"""The reader's terminal: its language, width and colours, and where the report goes."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from trust.edge.progress import Progress
from trust.language import from_environment
from verifier.report.json import dumps, pieces
from verifier.report.plain import printable
from verifier.report.text import WIDTH, Style

SPOOL = 1 << 20
"""Bytes of an output file that are kept in memory until it is written; more waits in a temporary file."""


def style(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Style:
    """How to show something on this stream: colours on a terminal only, and never where NO_COLOR is set (no-color.org)."""
    terminal = stream.isatty()
    colour = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    width = shutil.get_terminal_size((WIDTH, 24)).columns if terminal else WIDTH
    return Style(from_environment(environment), width, colour)


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
        if indent is None:
            self.write(dumps(value, only_ascii=not utf8) + "\n")
            return
        for piece in pieces(value, indent=indent, only_ascii=not utf8):
            self.write(piece)
        self.write("\n")

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
