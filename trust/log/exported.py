"""What `kakuin log export` wrote, read again: one entry a line."""

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from trust.codecs.jose import unique
from trust.edge.files import plainly
from trust.errors import Malformed, NotFound
from trust.log.journal import Entry
from trust.log.page import MAX_BODY, moment

MAX_LINE = MAX_BODY * 2


def entries(path: Path) -> Iterator[Entry]:
    """In the file's order, as they stand: nothing is compared. Malformed for a line that is no entry."""
    try:
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except OSError as error:
        raise plainly(error, f"read {path}") from error
    with stream:
        yield from lines(stream)


def lines(stream: BinaryIO) -> Iterator[Entry]:
    """The same of an open stream."""
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise Malformed(f"line {number} is over {MAX_LINE} bytes")
        yield _entry(number, line)


def _entry(number: int, line: bytes) -> Entry:
    try:
        row = json.loads(line, object_pairs_hook=unique)
        at = datetime.fromisoformat(row["at"])
        if type(row["index"]) is not int or at.tzinfo is None or not isinstance(row["kind"], str) or not row["kind"].isascii() or at < moment(0):
            raise ValueError
        body, leaf = base64.b64decode(row["body"], validate=True), bytes.fromhex(row["leaf"])
        return Entry(row["index"], row["kind"], at, body, leaf, row["unit"], row["serial"])
    except (Malformed, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise Malformed(f"line {number} is no entry of an export") from error
