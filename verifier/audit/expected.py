"""What should have been stamped: a list of digests or files, held in a temporary file, however long it is.

A line each: a digest in hexadecimal as sha256sum and its like write it, with or without a name (trust.codecs.sums); or the name of a file, from the
folder of the list on.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from trust.algorithms import DIGESTS
from trust.codecs import sums
from trust.edge.files import told
from trust.edge.source import shown
from trust.errors import KakuinError, Malformed
from trust.model import Digest
from verifier import sources

MAX_LINE = 8_192
OF_FILES = ("sha256", "sha384", "sha512")
"""Digests of a file that a token may have as its imprint."""


class Expected:
    """`with Expected(path) as expected:`; then `called` for each token, and `missing` at the end. None of it without a list."""

    def __init__(self, path: Path | None) -> None:
        """Malformed names the line that is neither digest nor file."""
        self.there = path is not None
        self.listed = 0
        self._seen: list[tuple[str, bytes]] = []
        # An empty name is a temporary file of SQLite's own, which goes away with it.
        self._store = sqlite3.connect("", isolation_level=None)
        self._store.execute("PRAGMA journal_mode = OFF")
        self._store.execute("CREATE TABLE item (number INTEGER PRIMARY KEY, name TEXT, digest TEXT, seen INTEGER DEFAULT 0)")
        self._store.execute("CREATE TABLE digest (value BLOB, algorithm TEXT, item INTEGER, PRIMARY KEY (value, algorithm, item)) WITHOUT ROWID")
        if path is not None:
            try:
                self._fill(path)
            except BaseException:
                self._store.close()
                raise

    def __enter__(self) -> "Expected":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._store.close()

    def called(self, digest: Digest) -> str | None:
        """What the list calls it, the empty text where it only has the digest; None where it is not on the list."""
        if not self.there:
            return ""
        query = "SELECT item.number, name, seen FROM digest JOIN item ON item.number = digest.item WHERE value = ? AND algorithm = ?"
        rows = self._store.execute(query, (digest.value, digest.algorithm)).fetchall()
        if not rows:
            return None
        if any(not seen for _, _, seen in rows):
            self._store.executemany("UPDATE item SET seen = 1 WHERE number = ?", [(number,) for number, _, _ in rows])
        return str(rows[0][1])

    def missing(self) -> Iterator[tuple[str, str]]:
        """Name and digest of everything that no token was over, in the order of the list."""
        yield from self._store.execute("SELECT name, digest FROM item WHERE NOT seen ORDER BY number")

    def _fill(self, path: Path) -> None:
        with told(f"read {shown(path)}"), path.open("rb") as stream, contextlib.closing(self._store.cursor()) as cursor:
            cursor.execute("BEGIN")
            for number, line in enumerate(_lines(stream, path), start=1):
                try:
                    name, digests = _parsed(line, path.parent)
                except KakuinError as error:
                    raise type(error)(f"{shown(path)}, line {number}: {error}") from error
                first = digests[0]
                self.listed += 1
                said = (number, name.encode("utf-8", "backslashreplace").decode(), f"{first.algorithm}:{first.value.hex()}")
                cursor.execute("INSERT INTO item (number, name, digest) VALUES (?, ?, ?)", said)
                cursor.executemany("INSERT OR IGNORE INTO digest VALUES (?, ?, ?)", [(d.value, d.algorithm, number) for d in digests])
            cursor.execute("COMMIT")


def _lines(stream: BinaryIO, path: Path) -> Iterator[str]:
    while line := stream.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise Malformed(f"{shown(path)} has a line of over {MAX_LINE} bytes")
        text = line.decode("utf-8", "surrogateescape").removeprefix("\ufeff").rstrip("\r\n")
        yield text


def named_in(path: Path) -> Iterator[Path]:
    """The files that a list names, whether or not they are there."""
    with told(f"read {shown(path)}"), path.open("rb") as stream:
        for line in _lines(stream, path):
            if (name := line.strip()) and "\0" not in name and _sum(line) is None:
                yield path.parent / name


def _sum(line: str) -> sums.Sum | None:
    """The digest that a line holds; None for the name of a file, which may be digits alone."""
    found = sums.parsed(line.lstrip())
    return None if found is None or not (found.name or found.algorithm or len(found.digits) in sums.BY_LENGTH) else found


def _parsed(line: str, folder: Path) -> tuple[str, list[Digest]]:
    found = _sum(line)
    if found is None:
        name = line.strip()
        if not name or "\0" in name:
            raise Malformed("expected a digest or the name of a file")
        document = sources.document(folder / name)
        return name, [digest for algorithm in OF_FILES if (digest := document.digest(algorithm)) is not None]
    algorithm = found.algorithm or sums.BY_LENGTH.get(len(found.digits), "")
    if algorithm not in DIGESTS or DIGESTS[algorithm].size * 2 != len(found.digits):
        raise Malformed("expected a digest of SHA-256, SHA-384 or SHA-512, or one with its algorithm before it, such as sha3_256:…")
    return found.name, [Digest(algorithm, bytes.fromhex(found.digits))]
