"""The bytes that follow a signed revision (ISO 32000-2 clause 7.5.6): an incremental update and nothing else, read alike by every program.

qpdf reads a file in one way. A key that stands twice, two objects of one number, a table and a stream that disagree, objects that no table lists:
other programs read them in another, and show what nobody judged. Errors: none; what cannot be read is told.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pikepdf

from trust.errors import Malformed
from trust.model import Uncovered
from verifier.formats.pdf.comparison import array_of
from verifier.formats.pdf.file import Bytes, reading
from verifier.formats.pdf.graph import Entry, Revision
from verifier.formats.pdf.store import decoded
from verifier.formats.pdf.syntax import Parser, Written, object_at, table_at

MAX_UPDATE = 64 << 20
"""Bytes of updates that are read in this way."""
MAX_DECODED = 64 << 20
"""Bytes of one object stream."""
MAX_PREDICTED = 1 << 18
"""Bytes of a compressed stream with a predictor."""


@dataclass(slots=True)
class _Update:
    """What stands in the bytes of one step: several updates, where a file was saved more than once."""

    objects: dict[tuple[int, int], Written] = field(default_factory=dict)
    """The last of each number."""
    streams: list[Written] = field(default_factory=list)
    """Cross-reference streams."""
    start: int | None = None
    """What the last `startxref` says."""
    tables: list[tuple[dict[int, int | None], Any]] = field(default_factory=list)
    """Tables with their trailers."""
    twice: bool = False
    """A table lists a number twice."""


def disagreements(data: Bytes, start: int, end: int, old: Revision, new: Revision, when: str) -> Iterator[Uncovered]:
    """Everything about the bytes from `start` to `end` that programs read differently."""
    raw = data.slice(start, min(end, start + MAX_UPDATE))
    if not raw.replace(b"%%EOF", b"").strip(b"\0\t\n\f\r "):
        return
    parser = Parser(raw)
    # Offsets count from the header, where bytes stand before it.
    header = max(0, data.find(b"%PDF-", 0, 1024))
    try:
        if end - start > MAX_UPDATE:
            raise Malformed(f"update is over {MAX_UPDATE} bytes")
        found = _parsed(parser)
        doubled = parser.doubled | _doubled_in_streams(old, new)
        beside = {start + written.at - header: written for written in found.streams}
        with reading("a cross-reference stream is broken"):
            hybrid = any(_contradict(table, trailer, beside, new) for table, trailer in found.tables)
    except (Malformed, RecursionError):
        yield Uncovered("objects outside any revision", f"appended {when}, where only some readers see them")
        return
    led = found.start is not None and any(start <= found.start + shift < end for shift in (0, header))
    if not led or any(_unlisted(written, start - header, raw, new.entries) for written in found.objects.values()):
        yield Uncovered("objects outside any revision", f"appended {when}, where only some readers see them")
    if doubled:
        yield Uncovered("dictionary with a key that stands twice", f"appended {when}, where readers differ")
    if parser.misled:
        yield Uncovered("stream of another length than it says", f"appended {when}, where readers differ")
    if hybrid or found.twice or any(_short(table, trailer) for table, trailer in found.tables):
        yield Uncovered("cross-reference tables that contradict each other", f"appended {when}, where readers differ")


def _parsed(parser: Parser) -> _Update:
    """Malformed where something stands that is no part of an update."""
    found = _Update()
    while True:
        parser.skip_space()
        written = object_at(parser)
        if written is not None:
            if isinstance(written.value, dict) and written.value.get(b"/Type") == b"/XRef":
                found.streams.append(written)
            else:
                found.objects[written.number, written.generation] = written
            continue
        token = parser.token()
        if token == b"":
            return found
        if token == b"xref":
            table: dict[int, int | None] = {}
            for number, offset in table_at(parser):
                found.twice |= number in table and table[number] != offset
                table[number] = offset
            if parser.token() != b"trailer":
                raise Malformed("cross-reference table has no trailer")
            found.tables.append((table, parser.value()))
        elif token == b"startxref":
            digits = parser.token()
            found.start = int(digits) if digits.isdigit() and len(digits) < 12 else None
        else:
            raise Malformed("bytes stand between the objects of an update")


def _unlisted(written: Written, base: int, raw: bytes, entries: dict[tuple[int, int], Entry]) -> bool:
    """Whether the cross-reference leads elsewhere than to the last object of this number, or to the white space before it."""
    entry = entries.get((written.number, written.generation))
    if entry is None or entry[0] != 1:
        return True
    place = entry[1] - base
    return not 0 <= place <= written.at or bool(raw[place : written.at].strip(b"\0\t\n\f\r "))


def _doubled_in_streams(old: Revision, new: Revision) -> set[bytes]:
    """Keys that stand twice in objects inside of the object streams that are new."""
    holders = {e[1] for key, e in new.entries.items() if e[0] == 2 and not new.same_place(old, key)}
    found: set[bytes] = set()
    for number in sorted(holders):
        with reading("an object stream is broken"):
            stream = new.pdf.get_object(number, 0)
            parser = Parser(_content(stream), int(stream.get("/First", 0)))
        while token := parser.token():
            parser.value(token)
        found |= parser.doubled
    return found


def _short(table: dict[int, int | None], trailer: Any) -> bool:
    """Whether /Size leaves out objects that the table lists (ISO 32000-2 table 15): programs then read them as missing, or do not."""
    size = trailer.get(b"/Size") if isinstance(trailer, dict) else None
    listed = [number for number, offset in table.items() if offset is not None]
    return isinstance(size, bytes) and size.isdigit() and len(size) < 12 and bool(listed) and max(listed) >= int(size)


def _contradict(table: dict[int, int | None], trailer: Any, streams: dict[int, Written], new: Revision) -> bool:
    """Whether a table and the stream that stands beside it for newer programs (/XRefStm) give two places for one object."""
    if not isinstance(trailer, dict) or b"/XRefStm" not in trailer:
        return False
    place = trailer[b"/XRefStm"]
    beside = streams.get(int(place)) if isinstance(place, bytes) and place.isdigit() and len(place) < 12 else None
    if beside is None:
        return True
    return any(table.get(number, offset) not in {None, offset} for number, offset in _rows(new.pdf.get_object(beside.number, beside.generation)))


def _rows(stream: Any) -> Iterator[tuple[int, int]]:
    """The numbers that a cross-reference stream gives a place, with their offsets; -1 for those in object streams (clause 7.5.8.3)."""
    data = _content(stream)
    widths = [int(w) for w in array_of(stream.get("/W"))]
    index = [int(i) for i in array_of(stream.get("/Index"))] or [0, int(stream.get("/Size", 0))]
    numbers = itertools.chain.from_iterable(range(first, first + count) for first, count in zip(index[::2], index[1::2], strict=True))
    if len(widths) != 3 or not 0 < sum(widths) <= 32 or min(widths) < 0:
        raise Malformed("cross-reference stream has no rows")
    for number, row in zip(numbers, (data[i : i + sum(widths)] for i in range(0, len(data), sum(widths))), strict=False):
        kind = int.from_bytes(row[: widths[0]], "big") if widths[0] else 1
        if kind:
            yield number, int.from_bytes(row[widths[0] : widths[0] + widths[1]], "big") if kind == 1 else -1


def _content(stream: Any) -> bytes:
    """The data of an object or cross-reference stream, whose predictor qpdf alone undoes: then only where it is small."""
    if not isinstance(stream, pikepdf.Stream):
        raise Malformed("stream expected, got another object")
    if "/DecodeParms" not in stream:
        return decoded(stream, MAX_DECODED)
    if len(stream.read_raw_bytes()) > MAX_PREDICTED:
        raise Malformed(f"stream with a predictor is over {MAX_PREDICTED} bytes")
    return stream.read_bytes()
