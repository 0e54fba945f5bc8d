"""Merkle trees over SHA-256 as RFC 6962 section 2.1 and RFC 9162 section 2.1 define them: growing, proving, verifying. Pure.

A tree is read through its tiles (C2SP tlog-tiles: 256 hashes side by side, at heights 0, 8, 16, …), wherever these come from: `Tiles`.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from trust.errors import Malformed, Unacceptable

HASH_SIZE = 32
"""Bytes of SHA-256."""
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_SIZE = (1 << 63) - 1
MAX_PROOF = 63
"""Hashes: what a tree of MAX_SIZE leaves needs."""

Tiles = Callable[[int, int, int], bytes]
"""Level, number, width -> the hashes of that tile, one after the other. Whoever fetches them decides where from; they are believed no more than
the proofs that are made of them."""


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962 section 2.1: the hash of a leaf is SHA-256 over a zero octet and the leaf's data."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 section 2.1: the hash of a node is SHA-256 over a one octet and its children's hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()
"""RFC 6962 section 2.1: the hash of an empty tree is that of an empty string."""


@dataclass(frozen=True, slots=True)
class Node:
    """The hash over a full tile: one hash of a tile of the level above."""

    level: int
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed of a tree for making it grow: the perfect subtrees that its leaves fall into, left to right."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()
    """As many as `size` has bits that are set."""

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or self.size.bit_count() != len(self.hashes) or any(len(h) != HASH_SIZE for h in self.hashes):
            raise Malformed(f"a frontier of {self.size} leaves has {self.size.bit_count()} hashes of {HASH_SIZE} bytes, got {len(self.hashes)}")

    def root(self) -> bytes:
        """The Merkle tree hash."""
        return _folded(self.hashes) if self.hashes else EMPTY_ROOT

    def grown(self, leaves: Iterable[bytes]) -> "tuple[Frontier, list[Node]]":
        """With these leaf hashes behind the others, and the full tiles that came to be by them, lower ones first."""
        digest = hashlib.sha256
        stack, size, full = list(self.hashes), self.size, list[Node]()
        for leaf in leaves:
            merged, rest, height = leaf, size, 0
            while rest & 1:
                merged = digest(b"\x01" + stack.pop() + merged).digest()
                rest >>= 1
                height += 1
                if height % TILE_HEIGHT == 0:
                    full.append(Node(height // TILE_HEIGHT, rest, merged))
            stack.append(merged)
            size += 1
        return Frontier(size, tuple(stack)), full


EMPTY = Frontier()
"""Of no leaf."""


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The Merkle tree hash over leaf hashes."""
    return EMPTY.grown(leaves)[0].root()


def _folded(hashes: Sequence[bytes]) -> bytes:
    """Subtrees of falling sizes, joined from the right."""
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded


# Tiles.


def width(level: int, number: int, size: int) -> int:
    """How many hashes the tile has in a tree of `size` leaves: 256 when full, 0 when there is none."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - number * TILE_WIDTH))


def subtree(tiles: Tiles, size: int, height: int, number: int) -> bytes:
    """The hash of the perfect subtree over leaves `number * 2**height` and on. Malformed when a tile is not as long as it has to be."""
    level, rest = divmod(height, TILE_HEIGHT)
    tile, offset = divmod(number << rest, TILE_WIDTH)
    wide = width(level, tile, size)
    hashes = tiles(level, tile, wide)
    if len(hashes) != wide * HASH_SIZE:
        raise Malformed(f"tile {tile} of level {level} is {wide * HASH_SIZE} bytes, got {len(hashes)}")
    row = [hashes[at * HASH_SIZE : (at + 1) * HASH_SIZE] for at in range(offset, offset + (1 << rest))]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _peaks(tiles: Tiles, size: int, start: int, end: int) -> tuple[bytes, ...]:
    """The perfect subtrees of leaves `start` up to, without, `end`."""
    found = []
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        found.append(subtree(tiles, size, height, start >> height))
        start += 1 << height
    return tuple(found)


def frontier_of(tiles: Tiles, size: int) -> Frontier:
    """The frontier of the tree of `size` leaves."""
    return Frontier(size, _peaks(tiles, size, 0, size))


# Proofs.


def inclusion(tiles: Tiles, index: int, size: int) -> tuple[bytes, ...]:
    """RFC 6962 section 2.1.1: the path from leaf `index` to the root of the tree of `size` leaves, the leaf's sibling first."""
    if not 0 <= index < size:
        raise Unacceptable(f"a tree of {size} leaves has none of index {index}")
    start, end, ranges = 0, size, list[tuple[int, int]]()
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    tiles = _once(tiles)
    return tuple(_folded(_peaks(tiles, size, *each)) for each in reversed(ranges))


def consistency(tiles: Tiles, old: int, new: int) -> tuple[bytes, ...]:
    """RFC 6962 section 2.1.2: that the tree of `old` leaves is the beginning of that of `new` ones."""
    if not 0 <= old <= new:
        raise Unacceptable(f"a consistency proof goes from a smaller tree to a larger one, got {old} and {new}")
    if old in (0, new):
        return ()
    start, end, left, whole, ranges = 0, new, old, True, list[tuple[int, int]]()
    while left != end - start:
        split = _split(end - start)
        if left <= split:
            ranges.append((start + split, end))
            end = start + split
        else:
            ranges.append((start, start + split))
            start, left, whole = start + split, left - split, False
    if not whole:
        ranges.append((start, end))
    tiles = _once(tiles)
    return tuple(_folded(_peaks(tiles, new, *each)) for each in reversed(ranges))


def _once(tiles: Tiles) -> Tiles:
    """A proof takes several hashes from one tile: each is fetched once."""
    fetched: dict[tuple[int, int, int], bytes] = {}

    def tile(level: int, number: int, wide: int) -> bytes:
        if (level, number, wide) not in fetched:
            fetched[level, number, wide] = tiles(level, number, wide)
        return fetched[level, number, wide]

    return tile


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def includes(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162 section 2.1.3.2: whether the path leads from this leaf hash to this root."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while at and not at & 1:
                at >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and found == root


def extends(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """RFC 9162 section 2.1.4.2: whether the path shows that the tree `new` begins with the tree `old`."""
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if old == new:
        return not path and old_root == new_root
    if not path:
        return False
    if old & (old - 1) == 0:
        path = (old_root, *path)
    at, last = old - 1, new - 1
    while at & 1:
        at >>= 1
        last >>= 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while at and not at & 1:
                at >>= 1
                last >>= 1
        else:
            second = node_hash(second, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and first == old_root and second == new_root
