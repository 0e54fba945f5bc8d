"""Options that every command spells the same way, and how a command reads and writes files."""

import errno
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from trust.edge.files import plainly, sync_folder, told
from trust.errors import Conflict

F = TypeVar("F", bound=Callable[..., Any])

STDIO = Path("-")
DEFAULT_INSTANCE = "kakuin-instance"


class FileName(click.Path):
    """The name of a file: an empty one, which a script's unset variable gives, is none, and no folder where one stands."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in ("", b""):
            self.fail("the name of the file is empty", param, ctx)
        return super().convert(value, param, ctx)


file_path = FileName(path_type=Path, allow_dash=True)
folder_path = click.Path(path_type=Path, file_okay=False)


def instance(function: F) -> F:
    """`--instance DIR`."""
    return click.option(
        "--instance", type=folder_path, envvar="KAKUIN_INSTANCE", default=DEFAULT_INSTANCE, show_default=True, help="Folder of the instance."
    )(function)


def passphrase_file(function: F) -> F:
    """`--passphrase-file FILE`: never the passphrase itself, which every user of the machine could read in the list of processes."""
    return click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="KAKUIN_PASSPHRASE_FILE",
        help="File with the passphrase of the keys. [env var: KAKUIN_PASSPHRASE_FILE; or the passphrase in KAKUIN_PASSPHRASE]",
    )(function)


def output(function: F) -> F:
    """`-o/--output FILE`."""
    return click.option("-o", "--output", type=file_path, help="Where to write; - is standard output.")(function)


def receipt(function: F) -> F:
    """`--receipt FILE`."""
    return click.option(
        "--receipt",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Where to write the receipt too: that it is in the log of what was issued (C2SP tlog-proof).",
    )(function)


def as_json(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(function)


_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?(Z|[+-][0-9]{2}:[0-9]{2})?")
"""A day, a month or a year (ISO 8601), and a zone where it is not UTC."""


def moment(text: str) -> datetime:
    """A time with its zone; or the beginning of a day, a month or a year, in UTC where no zone stands behind it."""
    said = text.strip()
    if (found := _DAY.fullmatch(said)) is not None:
        said = f"{found[1]}-{found[2] or '01'}-{found[3] or '01'}T00:00:00{found[4] or 'Z'}"
    try:
        parsed = datetime.fromisoformat(said)
    except ValueError as error:
        raise click.BadParameter(f"expected a time such as 2026-06-01T09:00:00+09:00, 2026-06-01+09:00 or 2026-06, got {text[:40]!r}") from error
    if parsed.tzinfo is None:
        raise click.BadParameter(f"the time has no zone, expected 2026-06-01T09:00:00+09:00, got {text[:40]!r}")
    try:
        return parsed.astimezone(UTC)
    except OverflowError as error:
        raise click.BadParameter(f"the time is out of range: {text[:40]!r}") from error


def written(chunks: Iterable[bytes], path: Path, *, replace: bool) -> None:
    """All of it or nothing, durable when it returns. `-` is standard output. Errors are those of writable()."""
    if path == STDIO:
        stream: BinaryIO = sys.stdout.buffer
        stream.writelines(chunks)
        stream.flush()
        return
    writable(path, replace=replace)
    if path.exists() and not path.is_file():
        # A device or a pipe (`-o /dev/null`): nothing to replace.
        with told(f"write {path}"), path.open("wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        return
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise plainly(error, f"write {path}") from error
    temporary = Path(name)
    try:
        with told(f"write {path}"), os.fdopen(handle, "wb") as out:
            for chunk in chunks:
                out.write(chunk)
            out.flush()
            os.fchmod(handle, 0o666 & ~_umask())
            os.fsync(handle)
            temporary.replace(path)
            sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def writable(path: Path, *, replace: bool) -> None:
    """That a file can come to stand there, so far as it can be told before there is one: asked before any work is done that is recorded.

    Conflict for a folder, and where the file exists and `replace` is not given; Misconfigured where its folder is not there or takes no files.
    """
    if path == STDIO:
        return
    with told(f"write {path}"):
        there, folder = path.exists(), path.parent
        if path.is_dir():
            raise Conflict(f"{path} is a folder, expected a file to write")
        if there and not replace:
            raise Conflict(f"{path} exists already: name another file with -o, or the same to replace it")
        if there and not path.is_file():
            return
        folder.stat()
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def pieces(stream: BinaryIO, size: int = 1 << 18) -> Iterable[bytes]:
    """A stream in pieces, closed at the end."""
    with stream:
        while piece := stream.read(size):
            yield piece


def text_out(text: str, path: Path | None) -> None:
    """Text to a file or, without one, to standard output."""
    if path is None or path == STDIO:
        click.echo(text)
    else:
        written(pieces(io.BytesIO((text + "\n").encode())), path, replace=True)
