"""Evidence records written (RFC 4998): many documents under one time-stamp, each with its own reduced hash tree.

The tree is binary; what has no neighbour on its floor moves up as it is. The first list of a reduced tree holds the document's digest alone: each
document is a data group of its own (RFC 4998 section 4.2.1, where the value of a group of one is that document's hash), so no record claims its
neighbour as a data object. Section 4.3 could be read to hash a list of one too; EU DSS, Bouncy Castle and our reader take its value as it is.

A record is a head, a reduced tree and a token. The token is the same for all, and what stands above a pair is put together once for all
documents under it; so a record costs a few joined slices, and memory holds the floors of the tree as flat bytes and nothing else.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from trust.algorithms import DIGESTS, hasher
from trust.codecs import asn1
from trust.codecs.asn1 import INTEGER, OCTET_STRING, OID, SEQUENCE, context, tlv
from trust.errors import Malformed, Unacceptable

BLOCK_FLOORS = 9
"""Floors of the subtrees that are written at once: 512 documents, some 300 kB of reduced trees."""
_VERSION_1 = tlv(INTEGER, b"\x01")


def algorithm(name: str) -> bytes:
    """AlgorithmIdentifier of a digest, DER, without parameters (RFC 5754 section 2). Unacceptable for one that is not known here."""
    if name not in DIGESTS:
        raise Unacceptable(f"unknown digest algorithm {name[:40]!r}")
    return tlv(SEQUENCE, _digest(name))


def _digest(name: str) -> bytes:
    """Its content, which also stands under the implicit tag of `digestAlgorithm`."""
    return tlv(OID, asn1.oid_content(DIGESTS[name].oid))


# Trees.


@dataclass(frozen=True, slots=True)
class Tree:
    """A hash tree (RFC 4998 section 4.2): its floors from the leaves up, each as the values of its nodes side by side."""

    algorithm: str
    floors: tuple[bytes, ...]
    blinds: bytes = b""
    """Where neighbours must not learn of each other: a random value for each document, and each leaf the hash of the two."""
    documents: bytes = b""
    """With `blinds`: the digests of the documents; without, they are the leaves."""

    @property
    def size(self) -> int:
        """Bytes of a hash value."""
        return DIGESTS[self.algorithm].size

    @property
    def root(self) -> bytes:
        """What the archive time-stamp's token is over."""
        return self.floors[-1]

    def __len__(self) -> int:
        return len(self.floors[0]) // self.size


def tree(algorithm: str, digests: bytes, blinds: bytes = b"") -> Tree:
    """The tree over documents whose digests stand side by side. `blinds`: as many random bytes, or none.

    Unblinded digests must differ (`distinct`): a value beside itself in a list is read differently by different readers.
    Malformed for no digest, or a part of one; Unacceptable for an unknown algorithm.
    """
    if algorithm not in DIGESTS:
        raise Unacceptable(f"unknown digest algorithm {algorithm[:40]!r}")
    size = DIGESTS[algorithm].size
    if not digests or len(digests) % size:
        raise Malformed(f"hash tree: one or more digests of {size} bytes expected, got {len(digests)} bytes")
    if blinds and len(blinds) != len(digests):
        raise Malformed(f"hash tree: {len(digests)} bytes of blinds expected, got {len(blinds)}")
    floors = [digests]
    if blinds:
        floors = [_joined(algorithm, _pairs(size, digests, blinds))]
    while len(floors[-1]) > size:
        floor = floors[-1]
        whole = len(floor) // (2 * size) * 2 * size
        floors.append(_joined(algorithm, struct.iter_unpack(f"{size}s{size}s", memoryview(floor)[:whole])) + floor[whole:])
    return Tree(algorithm, tuple(floors), blinds, digests if blinds else b"")


def _pairs(size: int, left: bytes, right: bytes) -> Iterable[tuple[bytes, bytes]]:
    return zip(values(size, left), values(size, right), strict=True)


def _joined(algorithm: str, pairs: Iterable[tuple[bytes, ...]]) -> bytes:
    """RFC 4998 section 4.2: each pair binary sorted, concatenated and hashed."""
    empty = hasher(algorithm)
    made = bytearray()
    for left, right in pairs:
        running = empty.copy()  # half the cost of a new one
        running.update(left + right if left < right else right + left)
        made += running.digest()
    return bytes(made)


def values(size: int, flat: bytes) -> Iterator[bytes]:
    """Values of `size` bytes that stand side by side."""
    return (value for (value,) in struct.iter_unpack(f"{size}s", flat))


def distinct(size: int, digests: bytes) -> "tuple[bytes, array[int] | None]":
    """Each digest once, in the order of first appearance; and for each that was given its place among them (None where all differ)."""
    places: dict[bytes, int] = {}
    found = array("L", (places.setdefault(value, len(places)) for value in values(size, digests)))
    return (digests, None) if len(found) == len(places) else (b"".join(places), found)


def reduced(tree: Tree, index: int) -> tuple[tuple[bytes, ...], ...]:
    """RFC 4998 section 4.2: the reduced hash tree of a document: a list with its digest, then one for each value beside it, up to the root's."""
    own = _at(tree.documents or tree.floors[0], index, tree.size)
    if tree.blinds:
        return ((own,), (_at(tree.blinds, index, tree.size),), *((value,) for value in beside(tree, index)))
    return ((own,), *((value,) for value in beside(tree, index))) if len(tree) > 1 else ()


def beside(tree: Tree, index: int) -> tuple[bytes, ...]:
    """What stands beside a leaf, and beside each node above it, where there is something."""
    found = (_at(floor, (index >> at) ^ 1, tree.size) for at, floor in enumerate(tree.floors[:-1]))
    return tuple(value for value in found if value)


def _at(floor: bytes, index: int, size: int) -> bytes:
    """Empty beyond the last."""
    return floor[index * size : (index + 1) * size]


# Records.


def around(name: str, token: bytes, length: int) -> bytes:
    """The head of a record of one archive time-stamp: all that stands before the lists of its reduced tree, which have `length` bytes together.

    The token follows the lists and ends the record. Where there are no lists there is no tree: the token covers the one digest itself.
    """
    lists = bytes((context(2),)) + asn1.length_octets(length) if length else b""
    inner = len(lists) + length + len(token)
    named = tlv(context(0), _digest(name))
    for _ in range(3):  # ArchiveTimeStamp, -Chain, -Sequence
        named = bytes((SEQUENCE,)) + asn1.length_octets(len(named) + inner) + named
    body = _VERSION_1 + tlv(SEQUENCE, algorithm(name)) + named
    return bytes((SEQUENCE,)) + asn1.length_octets(len(body) + inner) + body + lists


def archive_time_stamp(name: str, lists: Sequence[Sequence[bytes]], token: bytes) -> bytes:
    """RFC 4998 section 4.1, DER: one alone, for a record that has others."""
    tree = b"".join(_list(group) for group in lists)
    return tlv(SEQUENCE, tlv(context(0), _digest(name)) + (tlv(context(2), tree) if tree else b"") + token)


def records(tree: Tree, token: bytes) -> Iterator[bytes]:
    """The evidence record of each document in order, DER; `token` is the DER TimeStampToken over the tree's root."""
    # Documents under one subtree have reduced trees of one length, but for those at the right edge, where values move up.
    head, length = b"", -1
    for trees in _blocks(tree):
        for lists in trees:
            if len(lists) != length:
                length = len(lists)
                head = around(tree.algorithm, token, length)
            yield head + lists + token


def record(tree: Tree, token: bytes, index: int) -> bytes:
    """That of one document."""
    lists = b"".join(_list(group) for group in reduced(tree, index))
    return around(tree.algorithm, token, len(lists)) + lists + token


def _list(group: Sequence[bytes]) -> bytes:
    """PartialHashtree: binary ascending."""
    return tlv(SEQUENCE, b"".join(tlv(OCTET_STRING, value) for value in sorted(group)))


def _blocks(tree: Tree) -> Iterator[list[bytes]]:
    """The lists of each document's reduced tree, DER: those under a whole subtree at once, from its top down; then one by one those of the rest."""
    count, size = len(tree), tree.size
    floors = min(BLOCK_FLOORS, len(tree.floors) - 1)
    whole = count >> floors if floors else 0
    head = _list((bytes(size),))[:-size]
    for block in range(whole):
        made = [_above(tree, floors, block)]
        for at in range(floors - 1, -1, -1):
            floor = tree.floors[at][block * size << (floors - at) : (block + 1) * size << (floors - at)]
            below: list[bytes] = []
            for (left, right), above in zip(struct.iter_unpack(f"{size}s{size}s", floor), made, strict=True):
                below += (head + right + above, head + left + above)
            made = below
        span = slice(block * size << floors, (block + 1) * size << floors)
        if tree.blinds:
            made = [head + blind + above for blind, above in zip(values(size, tree.blinds[span]), made, strict=True)]
        documents = values(size, (tree.documents or tree.floors[0])[span])
        yield [head + own + above for own, above in zip(documents, made, strict=True)]
    for index in range(whole << floors, count):
        yield [b"".join(_list(group) for group in reduced(tree, index))]


def _above(tree: Tree, floor: int, index: int) -> bytes:
    """The lists above a node, DER."""
    return b"".join(_list((value,)) for value in beside(Tree(tree.algorithm, tree.floors[floor:]), index))
