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
    """What a command is given: a file, or standard input for `-`."""
    if path == STDIN:
        import sys

        return streamed(sys.stdin.buffer)
    return document(path, name)


def document(path: Path, name: str | None = None) -> Document:
    """A file as a document. NotFound when it is not there, is a folder or may not be read; Malformed when it is empty."""
    size = size_of(path)
    if size == 0:
        raise Malformed(f"{shown(path)} is empty")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise unreadable(path, error) from error
    return Document(name or path.name, size, lambda: path.open("rb"))


def streamed(stream: BinaryIO, what: str = "standard input", name: str | None = None) -> Document:
    """All of a stream as a document of this name; what is large stands in a temporary file that goes away with the document."""
    try:
        head = stream.read(SPOOL + 1)
        if not head:
            raise Malformed(f"{what} is empty")
        if len(head) <= SPOOL:
            return Document.of(head, name)
        spool = tempfile.NamedTemporaryFile(prefix="kakuin-")  # noqa: SIM115  # the document keeps it, and it deletes itself
        spool.write(head)
        shutil.copyfileobj(stream, spool)
        spool.flush()
    except OSError as error:
        raise plainly(error, f"read {what}") from error
    return Document(name, spool.tell(), lambda: Path(spool.name).open("rb"))


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
