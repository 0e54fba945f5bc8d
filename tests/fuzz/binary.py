"""Mutations of pictures and fonts: a piece is changed, and what the format says of it, its length, its checksum, its place, is made to fit."""

import struct
import zlib
from collections.abc import Sequence
from random import Random

from tests.fuzz.mutate import MAX, octets

_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNKS = (
    b"IHDR",
    b"PLTE",
    b"tRNS",
    b"IDAT",
    b"IEND",
    b"iCCP",
    b"zTXt",
    b"iTXt",
    b"tEXt",
    b"eXIf",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"gAMA",
    b"cHRM",
    b"pHYs",
)
_WORDS = (0, 1, 2, 7, 8, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10FFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def _words(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A number in it, or whatever else."""
    if len(data) < 2 or random.random() < 0.4:
        return octets(random, data, others)
    size = random.choice((1, 2, 2, 4))
    at = random.randrange(0, max(1, len(data) - size + 1), random.choice((1, 2)))
    return data[:at] + (random.choice(_WORDS) & ((1 << 8 * size) - 1)).to_bytes(size, "big") + data[at + size :]


def _rearranged(random: Random, parts: list[tuple[bytes, bytes]], more: Sequence[tuple[bytes, bytes]], names: Sequence[bytes]) -> None:
    """One named part left out, doubled, moved, renamed, or another file's put in."""
    at = random.randrange(len(parts))
    match random.randrange(5):
        case 0:
            del parts[at]
        case 1:
            parts[at:at] = [parts[at]] * random.choice((1, 1, 30))
        case 2:
            parts.insert(random.randrange(len(parts)), parts.pop(at))
        case 3:
            parts[at] = (random.choice(names), parts[at][1])
        case _:
            parts.insert(at, random.choice(more or parts))


# PNG (ISO/IEC 15948).


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(_PNG)
    while at + 12 <= len(data) and len(found) < 1000:
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def png(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A chunk changed, inside its packing too, with its length and checksum; anything else as JPEG."""
    chunks = _chunks(data) if data.startswith(_PNG) else []
    if not chunks:
        return jpeg(random, data, others)
    at = random.randrange(len(chunks))
    kind, inside = chunks[at]
    if random.random() < 0.3:
        _rearranged(random, chunks, [c for o in others if o.startswith(_PNG) for c in _chunks(o)], _CHUNKS)
    elif kind in (b"IDAT", b"fdAT") and random.random() < 0.7:
        try:
            inside = zlib.compress(_words(random, zlib.decompressobj().decompress(inside, 1 << 20), others))
        except zlib.error:
            inside = octets(random, inside, others)
        chunks[at] = (kind, inside)
    else:
        chunks[at] = (kind, _words(random, inside, others))
    made = b"".join(struct.pack(">L", len(c)) + k + c + struct.pack(">L", zlib.crc32(k + c)) for k, c in chunks if len(k) == 4)
    return (_PNG + made)[:MAX]


# JPEG (ITU-T T.81): segments up to the entropy-coded data.


def _segments(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    found, at = [], 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        kind, size = data[at : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((kind, data[at + 4 : at + 2 + size]))
        at += 2 + max(2, size)
        if kind == b"\xff\xda":
            break
    return found, data[at:]


def jpeg(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    segments, rest = _segments(data) if data[:2] == b"\xff\xd8" else ([], b"")
    if not segments:
        return octets(random, data, others)
    at = random.randrange(len(segments))
    if random.random() < 0.3:
        kinds = [bytes((0xFF, n)) for n in (0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE)]
        _rearranged(random, segments, [s for o in others if o[:2] == b"\xff\xd8" for s in _segments(o)[0]], kinds)
    elif random.random() < 0.15:
        rest = octets(random, rest, others)
    else:
        segments[at] = (segments[at][0], _words(random, segments[at][1], others))
    return (b"\xff\xd8" + b"".join(k + struct.pack(">H", min(0xFFFF, len(s) + 2)) + s for k, s in segments) + rest)[:MAX]


# Fonts (OpenType 1.9): a directory, and tables at the places that it says.


def _tables(data: bytes) -> list[tuple[bytes, bytes]]:
    count = int.from_bytes(data[4:6], "big")
    rows = [data[at : at + 16] for at in range(12, 12 + 16 * min(count, 64), 16)]
    return [(r[:4], data[int.from_bytes(r[8:12], "big") :][: int.from_bytes(r[12:16], "big")]) for r in rows if len(r) == 16]


def font(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A table changed, left out, doubled, renamed or exchanged for another font's; the directory fits."""
    tables = _tables(data) if data[:4] in (b"\0\1\0\0", b"OTTO") else []
    if not tables:
        return _words(random, data, others)
    if random.random() < 0.25:
        others_tables = [t for o in others if o[:4] in (b"\0\1\0\0", b"OTTO") for t in _tables(o)]
        _rearranged(random, tables, others_tables, [name for name, _ in others_tables or tables])
    else:
        at = random.randrange(len(tables))
        tables[at] = (tables[at][0], _words(random, tables[at][1], others))
    made, at = b"", 12 + 16 * len(tables)
    for name, table in tables:
        made += name.ljust(4)[:4] + struct.pack(">LLL", 0, at, len(table))
        at += len(table) + -len(table) % 4
    return (data[:4] + struct.pack(">H", len(tables)) + bytes(6) + made + b"".join(t + bytes(-len(t) % 4) for _, t in tables))[:MAX]
