"""Documents that a command is given: a file, or standard input. Every error names the file."""

import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

from trust.edge.files import plainly
from trust.errors import KakuinError, Malformed, NotFound
from trust.model import Document

STDIN = Path("-")
SPOOL = 16 << 20
"""Bytes of standard input that are kept in memory; more goes to a temporary file."""


def document_of(path: Path, name: str | None = None) -> Document:
    """A file, or standard input for `-`, as a document. NotFound when it is not there, is a folder or may not be read; Malformed when it is empty."""
    if path == STDIN:
        import sys

        return streamed(sys.stdin.buffer)
    if size_of(path) == 0:
        raise Malformed(f"{shown(path)} is empty")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise unreadable(path, error) from error
    return Document(name or path.name, path.stat().st_size, lambda: path.open("rb"))


def streamed(stream: BinaryIO, name: str = "standard input") -> Document:
    """All of a stream as a document; what is large stands in a temporary file that goes away with the process."""
    spool = tempfile.SpooledTemporaryFile(SPOOL)  # noqa: SIM115  # the document keeps it
    try:
        shutil.copyfileobj(stream, spool)
    except OSError as error:
        raise plainly(error, f"read {name}") from error
    size = spool.tell()
    if size == 0:
        raise Malformed(f"{name} is empty")
    if size <= SPOOL:
        spool.seek(0)
        return Document.of(spool.read())
    spool.rollover()
    spool.flush()
    handle = spool.fileno()
    # The opener holds on to the spool: the file lives as long as the document.
    return Document(None, size, lambda _kept=spool: Path(f"/dev/fd/{handle}").open("rb"))  # type: ignore[misc]


def size_of(path: Path) -> int:
    """Bytes of a file; NotFound for a folder or what is not there."""
    if path.is_dir():
        raise NotFound(f"{shown(path)} is a folder, expected a file")
    try:
        return path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise NotFound(f"not a file name: {shown(path)}") from error


def unreadable(path: Path, error: OSError) -> KakuinError:
    """An operating system's refusal to read, in one line."""
    if isinstance(error, FileNotFoundError):
        return NotFound(f"no such file: {shown(path)}")
    return NotFound(f"cannot read {shown(path)}: {(error.strerror or 'input/output error').lower()}")


def shown(path: Path) -> str:
    """A path in an error message: control characters never raw."""
    text = str(path)
    return text if text.isprintable() else repr(text)
