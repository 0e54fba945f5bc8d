"""C2SP tlog-tiles: where the resources of a log lie, and what an entry bundle is. Pure.

checkpoint                    the signed root
tile/<level>/<number>[.p/<width>]      256 hashes, or `width` where the tree ends
tile/entries/<number>[.p/<width>]      the entries under a tile of level 0, each behind its length in two octets
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trust.errors import Malformed, NotFound, TooLarge
from trust.log.tree import MAX_SIZE, TILE_HEIGHT, TILE_WIDTH

CHECKPOINT = "checkpoint"
ENTRIES = -1
"""In the place of a tile's level: the entries themselves."""
MAX_ENTRY = 65_535
MAX_BUNDLE = TILE_WIDTH * (MAX_ENTRY + 2)
"""Bytes."""

_HIGHEST = 63
_PATH = re.compile(r"tile/(0|[1-9][0-9]?|entries)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile, or with `level` ENTRIES one bundle."""

    level: int
    number: int
    width: int = TILE_WIDTH

    @property
    def full(self) -> bool:
        return self.width == TILE_WIDTH

    @property
    def height(self) -> int:
        """Of the hashes in it: each spans 2**height leaves."""
        return TILE_HEIGHT * max(self.level, 0)

    @property
    def path(self) -> str:
        """Below the log's prefix."""
        digits = f"{self.number:03d}"
        digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"tile/{level}/{name}" + ("" if self.full else f".p/{self.width}")


def tile_at(path: str) -> Tile:
    """The tile that this path names. NotFound for every path that is not the one and only way to write it."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise NotFound("there is no tile of this name")
    level = ENTRIES if found[1] == "entries" else int(found[1])
    number = int(found[2].replace("x", "").replace("/", ""))
    tile = Tile(level, number, int(found[3]) if found[3] else TILE_WIDTH)
    if level > _HIGHEST or (number + 1) << (tile.height + TILE_HEIGHT) > MAX_SIZE or tile.path != path:
        raise NotFound("there is no tile of this name")
    return tile


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries, each behind its length."""
    pieces = []
    for data in entries:
        if len(data) > MAX_ENTRY:
            raise TooLarge(f"an entry of a bundle is at most {MAX_ENTRY} bytes, got {len(data)}")
        pieces += [len(data).to_bytes(2, "big"), data]
    return b"".join(pieces)


def unbundled(data: bytes, count: int) -> list[bytes]:
    """The entries of a bundle, exactly `count`."""
    found, at = list[bytes](), 0
    while at < len(data) and len(found) < count:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if len(data) - at < 2 or end > len(data):
            raise Malformed(f"entry {len(found)} of the bundle is cut off")
        found.append(data[at + 2 : end])
        at = end
    if len(found) != count or at != len(data):
        raise Malformed(f"the bundle has {count} entries, got {len(found)} and {len(data) - at} bytes more")
    return found


@dataclass(frozen=True, slots=True)
class Said:
    """What a leaf's data says."""

    kind: str
    at: int
    """Microseconds since 1970 UTC."""
    body: bytes


def said_by(data: bytes) -> Said:
    """The reverse of `entry_data`."""
    kind, line, rest = data.partition(b"\n")
    if not line or len(rest) < 8 or re.fullmatch(rb"[a-z]{1,20}", kind) is None:
        raise Malformed("a leaf's data is its kind, a line feed, a time in eight octets and its body")
    return Said(kind.decode("ascii"), int.from_bytes(rest[:8], "big"), rest[8:])
