"""Where tokens come from: an export of the log, an instance's own log, files and folders. Nothing is judged here."""

import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trust.codecs.cms import MAX_TOKEN
from trust.edge.source import shown
from trust.errors import KakuinError, Malformed, NotFound
from trust.model import Document
from verifier import bulk
from verifier import sources as files_of
from verifier.audit.rows import COLUMNS, Row
from verifier.formats import tst

if TYPE_CHECKING:
    from trust.log.journal import Entry

ENDINGS = (".tsr", ".tst", ".tsp")
"""Files called so are tokens; one that cannot be read is a finding. Of the others those are tokens whose bytes say so."""
MAX_LIST_LINE = 8_192
_HEAD = 400
_FIRST = 64 << 10
"""Bytes that are read at once: nearly every token whole."""


def peeked(entries: "Iterable[Entry]") -> "tuple[Entry | None, Iterator[Entry]]":
    """The first, and all of them."""
    stream = iter(entries)
    first = next(stream, None)
    return first, stream if first is None else itertools.chain([first], stream)


def token_files(paths: Iterable[Path], listed: Path | None) -> Iterator[Path]:
    """Each file: those that were named, those in folders by their names, and those on a list (a name a line, from the folder of the list on)."""
    yield from bulk.files(paths)
    if listed is None:
        return
    try:
        stream = listed.open("rb")
    except OSError as error:
        raise NotFound(f"cannot read {shown(listed)}: {(error.strerror or 'input/output error').lower()}") from error
    with stream:
        while line := stream.readline(MAX_LIST_LINE + 1):
            name = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            if len(line) > MAX_LIST_LINE or "\0" in name:
                raise Malformed(f"{shown(listed)} has a line that is no file name")
            if name:
                yield listed.parent / name


def token_in(path: Path) -> bytes | None:
    """The bytes of a file that is a token or a response, read once; None for another. Malformed where its name says that it is one."""
    named = path.suffix.lower() in ENDINGS
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for
            raise Malformed(f"{shown(path)} is no regular file")
        with path.open("rb", buffering=0) as stream:
            data = stream.read(_FIRST) or b""
            if not named and not (data and tst.claims(data[:_HEAD])):
                return None
            while len(data) >= _FIRST and len(data) <= MAX_TOKEN and (more := stream.read(MAX_TOKEN + 1 - len(data))):
                data += more
    except OSError as error:
        raise NotFound(f"cannot read {shown(path)}: {(error.strerror or 'input/output error').lower()}") from error
    if len(data) > MAX_TOKEN:
        raise Malformed(f"{shown(path)} is over {MAX_TOKEN} bytes, and no token")
    return data


def document_of(path: Path) -> Document | None:
    """The document that stands beside its token: NAME beside NAME.tsr."""
    document = path.with_suffix("")
    if path.suffix.lower() not in ENDINGS or not document.name or not document.is_file():
        return None
    try:
        return files_of.document(document)
    except KakuinError:
        return None


class Shelf:
    """Rows of files until all are there, by unit, number and time. In a temporary file, however many they are."""

    def __init__(self) -> None:
        # An empty name is a temporary file of SQLite's own, which goes away with it.
        self._store = sqlite3.connect("", isolation_level=None)
        self._store.execute("PRAGMA journal_mode = OFF")
        self._store.execute("CREATE TABLE shelf (unit TEXT, serial BLOB, time TEXT, token BLOB, row TEXT)")
        self._store.execute("BEGIN")

    def close(self) -> None:
        self._store.close()

    def put(self, row: Row, token: bytes) -> None:
        """`token`: its digest."""
        kept = {name: value for name in COLUMNS if (value := getattr(row, name)) not in ("", None, ())}
        for name in ("recorded", "time"):
            if name in kept:
                kept[name] = kept[name].isoformat()
        key = (row.unit, _sortable(row.serial), kept.get("time", ""), token, json.dumps(kept))
        self._store.execute("INSERT INTO shelf VALUES (?, ?, ?, ?, ?)", key)

    def rows(self) -> Iterator[tuple[Row, bool]]:
        """Each row, and whether it is of the same token as the one before. Those without a number first."""
        before: bytes | None = None
        for token, said in self._store.execute("SELECT token, row FROM shelf ORDER BY unit, serial, token"):
            kept = json.loads(said)
            for name in ("recorded", "time"):
                if name in kept:
                    kept[name] = datetime.fromisoformat(kept[name])
            kept["findings"] = tuple(kept.get("findings", ()))
            yield Row(**kept), token == before
            before = token


def _sortable(serial: int | None) -> bytes:
    """In the order of numbers, those below zero first: a sign, a length and the octets."""
    if serial is None:
        return b""
    octets = abs(serial).to_bytes((abs(serial).bit_length() + 7) // 8, "big")
    key = len(octets).to_bytes(4, "big") + octets
    return b"\2" + key if serial >= 0 else b"\1" + bytes(255 - octet for octet in key)
