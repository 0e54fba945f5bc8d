"""CBOR (RFC 8949): what COSE needs of it, read strictly and within caps, written deterministically.

Strict: one item and nothing after it, no label twice in a map, text that is UTF-8, no reserved forms. Encodings that are longer than
they need be are well-formed and let through; whoever hashes an item hashes it as it stands (`Item.raw`).
"""

import struct
from dataclasses import dataclass
from typing import Any

from trust.errors import Malformed

MAX_DEPTH = 16
MAX_ITEMS = 100_000
_INDEFINITE = 31
_BREAK = 0xFF


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged value."""

    number: int
    value: Any


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple value other than false, true, null and undefined."""

    number: int


UNDEFINED = Simple(23)
_SIMPLE: dict[int, Any] = {20: False, 21: True, 22: None, 23: UNDEFINED}


@dataclass(frozen=True, slots=True)
class Item:
    """A value, and the bytes that it stands in."""

    value: Any
    """int, bytes, str, list, dict, Tag, bool, None, float or Simple."""
    raw: bytes


def decode(data: bytes) -> Any:
    """The one value in these bytes."""
    reader = _Reader(data)
    value = reader.value(0)
    reader.done()
    return value


def elements(data: bytes) -> tuple[tuple[int, ...], list[Item]]:
    """The tags around the array that these bytes are, outermost first, and its elements, each with its own bytes."""
    reader = _Reader(data)
    tags: list[int] = []
    while reader.peek() >> 5 == 6:
        if len(tags) >= MAX_DEPTH:
            raise Malformed(f"CBOR: more than {MAX_DEPTH} tags around a value")
        tags.append(reader.head()[1])
    found = reader.array_items()
    reader.done()
    return tuple(tags), found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.items = 0

    def done(self) -> None:
        if self.at != len(self.data):
            raise Malformed(f"CBOR: {len(self.data) - self.at} bytes after the end of the value")

    def peek(self) -> int:
        if self.at >= len(self.data):
            raise Malformed("CBOR: data ends inside a value")
        return self.data[self.at]

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Malformed("CBOR: data ends inside a value")
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self) -> tuple[int, int, int]:
        """Major type, argument, and the additional information (31: indefinite length)."""
        self.items += 1
        if self.items > MAX_ITEMS:
            raise Malformed(f"CBOR: more than {MAX_ITEMS} items")
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info, info
        if info < 28:
            return major, int.from_bytes(self.take(1 << (info - 24)), "big"), info
        if info == _INDEFINITE and major in (2, 3, 4, 5):
            return major, 0, info
        raise Malformed("CBOR: reserved form of a head")

    def array_items(self) -> list[Item]:
        major, count, info = self.head()
        if major != 4:
            raise Malformed("CBOR: array expected")
        found: list[Item] = []
        while self._more(len(found), count, info):
            start = self.at
            value = self.value(1)
            found.append(Item(value, self.data[start : self.at]))
        return found

    def _more(self, have: int, count: int, info: int) -> bool:
        if info != _INDEFINITE:
            return have < count
        if self.peek() == _BREAK:
            self.at += 1
            return False
        return True

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise Malformed(f"CBOR: nested deeper than {MAX_DEPTH}")
        major, argument, info = self.head()
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major in (2, 3):
            return self._string(major, argument, info)
        if major == 4:
            items: list[Any] = []
            while self._more(len(items), argument, info):
                items.append(self.value(depth + 1))
            return items
        if major == 5:
            return self._map(argument, info, depth)
        if major == 6:
            return Tag(argument, self.value(depth + 1))
        return self._simple(argument, info)

    def _string(self, major: int, length: int, info: int) -> bytes | str:
        if info != _INDEFINITE:
            data = self.take(length)
        else:
            parts = []
            while self.peek() != _BREAK:
                kind, size, inner = self.head()
                if kind != major or inner == _INDEFINITE:
                    raise Malformed("CBOR: string in pieces of another kind")
                parts.append(self.take(size))
            self.at += 1
            data = b"".join(parts)
        if major == 2:
            return data
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("CBOR: text is not UTF-8") from error

    def _map(self, count: int, info: int, depth: int) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        while self._more(len(made), count, info):
            label = self.value(depth + 1)
            if not isinstance(label, int | str | bytes) or isinstance(label, bool):
                raise Malformed("CBOR: label of a map is an integer or a string, got something else")
            if label in made:
                raise Malformed("CBOR: map has the same label twice")
            made[label] = self.value(depth + 1)
        return made

    def _simple(self, argument: int, info: int) -> Any:
        if info in (25, 26, 27):
            width = {25: ">e", 26: ">f", 27: ">d"}[info]
            return struct.unpack(width, argument.to_bytes(struct.calcsize(width), "big"))[0]
        if info == 24 and argument < 32:
            raise Malformed("CBOR: reserved form of a simple value")
        return _SIMPLE.get(argument, Simple(argument))


# Writing: RFC 8949 section 4.2.1, core deterministic encoding.


def head(major: int, argument: int) -> bytes:
    """The shortest head."""
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 24:
            return bytes((major << 5 | argument,))
        if argument < 1 << (8 * size):
            return bytes((major << 5 | info,)) + argument.to_bytes(size, "big")
    raise Malformed("CBOR: argument is over 64 bits")


def encode(value: Any) -> bytes:
    """int, bytes, str, bool, None, list or tuple, dict, Tag."""
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case None:
            return b"\xf6"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            text = value.encode("utf-8")
            return head(3, len(text)) + text
        case list() | tuple():
            return head(4, len(value)) + b"".join(encode(v) for v in value)
        case dict():
            pairs = sorted((encode(k), encode(v)) for k, v in value.items())
            return head(5, len(pairs)) + b"".join(k + v for k, v in pairs)
        case Tag():
            return head(6, value.number) + encode(value.value)
    raise Malformed("CBOR: a value of a kind that is not written here")
