"""Files that are there whole or not at all."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trust.errors import Conflict, KakuinError, Misconfigured, NotFound, TooLarge

_WHY = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.ENOENT: "no such file or folder",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "the name is too long",
}


def plainly(error: OSError, doing: str) -> KakuinError:
    """An operating system's error as one line; `doing` says what was tried: `write /srv/kakuin/keys/tsu.pem`."""
    return Misconfigured(f"cannot {doing}: {_WHY.get(error.errno or 0, (error.strerror or 'input/output error').lower())}")


@contextlib.contextmanager
def told(doing: str) -> Iterator[None]:
    """Every OSError inside becomes Misconfigured, in one line."""
    try:
        yield
    except OSError as error:
        raise plainly(error, doing) from error


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> None:
    """Durable when it returns; a reader sees the old bytes or the new, never a part.

    With `replace` false an existing file is a Conflict. Misconfigured when the disk refuses.
    """
    with told(f"write {path}"):
        if not replace and path.exists():
            raise Conflict(f"{path} exists already")
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fchmod(handle, mode)
                os.fsync(handle)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A rename survives a power cut only after its folder is flushed."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_small(path: Path, what: str, limit: int = 1 << 20) -> bytes:
    """The bytes of a settings, key or certificate file; NotFound, TooLarge or Misconfigured, each naming it."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError as error:
        raise NotFound(f"{what} {path} does not exist") from error
    except OSError as error:
        raise plainly(error, f"read {what} {path}") from error
    if len(data) > limit:
        raise TooLarge(f"{what} {path} is over {limit} bytes")
    return data
