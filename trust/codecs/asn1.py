"""ASN.1 tag-length-value walking: X.690 over bytes that a stranger made, without copying and within caps.

Two rules of encoding: `DER` refuses everything X.690 clause 10 forbids of lengths and forms; `BER` lets through what real
makers of CMS write (indefinite lengths, constructed octet strings, long forms of short lengths: Adobe, Bouncy Castle's
streams, Microsoft). Nothing is parsed twice, nothing is ever re-encoded but by `der()`, and contents are sliced only when
asked for. Errors: Malformed, nothing else.
"""

import functools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Protocol, SupportsIndex, overload

from trust.errors import Malformed

MAX_DEPTH = 40
"""Nesting: a CMS with a token in an attribute, with a certificate in that, stays under 30."""
MAX_CHILDREN = 100_000
"""Elements of one constructed value: above any real set of certificates, below what would hurt."""

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A
UTF8, PRINTABLE, T61, IA5, UTC_TIME, GENERALIZED_TIME, VISIBLE, UNIVERSAL, BMP = 0x0C, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1A, 0x1C, 0x1E
SEQUENCE, SET = 0x30, 0x31
_CONSTRUCTED = 0x20


def context(number: int) -> int:
    """The identifier octet of a constructed context tag [number]; primitive (IMPLICIT over a primitive type) is `context(n) & ~0x20`."""
    return 0xA0 | number


class Rules(Enum):
    """Which encoding is let through."""

    DER = "DER"
    BER = "BER"

    __hash__ = object.__hash__  # part of the keys of what is remembered: Enum's own takes ten times as long


class Octets(Protocol):
    """Bytes: in memory, or read from where they lie when they are asked for (trust.streams.Blocks)."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...
    def startswith(self, prefix: bytes, start: int, /) -> bool: ...


LONG = 1 << 18
"""Bytes of a value that are given out at a time where it is for hashing."""


class Node:
    """One TLV inside a buffer: `start:stop` is the whole of it, `body:end` its content (an end marker lies between `end` and `stop`)."""

    __slots__ = ("_children", "body", "data", "depth", "end", "rules", "start", "stop", "tag")

    def __init__(  # one per TLV of every token: keywords would cost more than the parsing
        self, data: Octets, tag: int, start: int, body: int, end: int, stop: int, depth: int, rules: Rules
    ) -> None:
        self.data = data
        self.tag = tag
        """Identifier octet; for tag numbers above 30 all identifier octets, big-endian."""
        self.start = start
        self.body = body
        self.end = end
        self.stop = stop
        self.depth = depth
        self.rules = rules
        self._children: list[Node] | None = None

    @property
    def raw(self) -> bytes:
        """The encoding as it stands in the buffer."""
        return self.data[self.start : self.stop]

    @property
    def content(self) -> bytes:
        return self.data[self.body : self.end]

    @property
    def constructed(self) -> bool:
        first = self.tag
        if first <= 0xFF:
            return first & _CONSTRUCTED != 0
        while first > 0xFF:
            first >>= 8
        return first & _CONSTRUCTED != 0

    @property
    def children(self) -> "list[Node]":
        """The elements of a constructed value."""
        found = self._children
        if found is None:
            if (self.tag > 0xFF or not self.tag & _CONSTRUCTED) and not self.constructed:
                raise Malformed("ASN.1: constructed value expected, got a primitive one")
            found, position, data, end, depth, rules = [], self.body, self.data, self.end, self.depth + 1, self.rules
            last = end - 2 if depth <= MAX_DEPTH else -1
            crowded = end - position > 2 * MAX_CHILDREN  # an element has two octets at least
            while position < end:
                # The common cases of `_read` in place: a one-octet tag, a length below 65,536. Most of the time of reading a token is spent here.
                if position <= last and (tag := data[position]) & 0x1F != 0x1F and (length := data[position + 1]) != 0x80 and length <= 0x82:
                    body = position + 2
                    if length > 0x80:
                        body += length - 0x80
                        if body > end or (rules is Rules.DER and data[position + 2] < (0x80 if length == 0x81 else 1)):
                            _read(data, position, end, depth, rules)  # which says what is wrong
                        length = data[position + 2] if length == 0x81 else data[position + 2] << 8 | data[position + 3]
                    stop = body + length
                    if stop > end:
                        raise Malformed("ASN.1: value is longer than the data")
                    found.append(Node(data, tag, position, body, stop, stop, depth, rules))
                    position = stop
                else:
                    child = _read(data, position, end, depth, rules)
                    found.append(child)
                    position = child.stop
                if crowded and len(found) > MAX_CHILDREN:
                    raise Malformed(f"ASN.1: more than {MAX_CHILDREN} elements in one value")
            self._children = found
        return found

    def expect(self, *tags: int) -> "Node":
        """Itself, when its tag is one of these."""
        if self.tag not in tags:
            raise Malformed(f"ASN.1: tag {' or '.join(f'{t:#04x}' for t in tags)} expected, got {self.tag:#04x}")
        return self

    def only(self, *tags: int) -> "Node":
        """The single element of an explicit tag or of a one-valued set."""
        children = self.children
        if len(children) != 1:
            raise Malformed(f"ASN.1: one element expected, got {len(children)}")
        return children[0].expect(*tags) if tags else children[0]

    def fields(self, *tags: int) -> "Fields":
        """Its elements, to be taken in order; `tags` (default SEQUENCE) are the tags it may have."""
        if tags or self.tag != SEQUENCE:
            self.expect(*(tags or (SEQUENCE,)))
        return Fields(self.children)

    def oid(self) -> str:
        """Dotted OBJECT IDENTIFIER, whatever its (implicit) tag."""
        return oid_text(self.content)

    def integer(self) -> int:
        body = self.content
        if not body or len(body) > 2048:
            raise Malformed(f"ASN.1: integer of {len(body)} bytes")
        if self.rules is Rules.DER and len(body) > 1 and body[0] in (0, 0xFF) and (body[0] ^ body[1]) < 0x80:
            raise Malformed("ASN.1: integer is not minimally encoded")
        return int.from_bytes(body, "big", signed=True)

    def small(self) -> int:
        """An integer that versions and counts use: up to 64 bits."""
        if self.end - self.body > 8:
            raise Malformed("ASN.1: small integer expected")
        return self.integer()

    def boolean(self) -> bool:
        body = self.content
        if len(body) != 1 or (self.rules is Rules.DER and body[0] not in (0, 0xFF)):
            raise Malformed("ASN.1: boolean is not one byte of 00 or ff")
        return body[0] != 0

    def octets(self) -> bytes:
        """The bytes of an OCTET STRING, whatever its (implicit) tag: BER pieces joined."""
        return b"".join(self.pieces()) if self.constructed else self.content

    def pieces(self) -> Iterator[bytes]:
        """The bytes of an OCTET STRING one piece after the other: for hashing without joining."""
        for start, end in self.ranges():
            yield from self._run(start, end)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Where in the buffer the bytes of an OCTET STRING stand: a range for each piece that its encoding has."""
        if not self.constructed:
            yield self.body, self.end
            return
        if self.rules is Rules.DER:
            raise Malformed("ASN.1: constructed string in DER")
        for child in self.children:
            yield from child.expect(OCTET_STRING, OCTET_STRING | _CONSTRUCTED).ranges()

    def runs(self) -> Iterator[bytes]:
        """`raw` one piece after the other, however long it is."""
        return self._run(self.start, self.stop)

    def _run(self, start: int, end: int) -> Iterator[bytes]:
        return (self.data[at : min(end, at + LONG)] for at in range(start, end, LONG))

    def bits(self) -> bytes:
        """The bytes of a BIT STRING that has no unused bits."""
        body = self.content
        if not body or body[0] != 0 or self.constructed:
            raise Malformed("ASN.1: bit string of whole bytes expected")
        return body[1:]

    def text(self) -> str:
        """A character string for people: undecodable bytes become U+FFFD."""
        body = self.octets() if self.constructed else self.content
        if self.tag == BMP:
            return body.decode("utf-16-be", "replace")
        if self.tag == UNIVERSAL:
            return body.decode("utf-32-be", "replace")
        return body.decode("latin-1" if self.tag == T61 else "utf-8", "replace")

    def time(self) -> datetime:
        """UTCTime or GeneralizedTime as aware UTC."""
        self.expect(UTC_TIME, GENERALIZED_TIME)
        return moment(self.content, self.tag)

    def __repr__(self) -> str:
        return f"Node({self.tag:#04x}, {self.start}:{self.stop})"


class Fields:
    """The elements of a SEQUENCE, taken one after the other; `done()` refuses what is left over."""

    __slots__ = ("_at", "_nodes")

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._at = 0

    def take(self, *tags: int) -> Node:
        """The next element, which must be there and have one of these tags (any when none are given)."""
        try:
            node = self._nodes[self._at]
        except IndexError:
            raise Malformed("ASN.1: sequence ends early") from None
        if tags and node.tag not in tags:
            node.expect(*tags)
        self._at += 1
        return node

    def maybe(self, *tags: int) -> Node | None:
        """The next element if it has one of these tags."""
        if self._at < len(self._nodes) and (node := self._nodes[self._at]).tag in tags:
            self._at += 1
            return node
        return None

    def rest(self) -> list[Node]:
        found = self._nodes[self._at :]
        self._at = len(self._nodes)
        return found

    def done(self) -> None:
        if self._at != len(self._nodes):
            raise Malformed(f"ASN.1: {len(self._nodes) - self._at} elements too many in a sequence")


def parse(data: Octets, rules: Rules = Rules.DER) -> Node:
    """The one value that these bytes are; Malformed when bytes are left over."""
    node = _read(data, 0, len(data), 0, rules)
    if node.stop != len(data):
        raise Malformed(f"ASN.1: {len(data) - node.stop} bytes after the end of the value")
    return node


def parse_inner(data: Octets, rules: Rules, depth: int) -> Node:
    """A whole value that was cut out of another, where it stood at this depth: what is refused there is refused here."""
    return _read(data, 0, len(data), depth, rules)


def parse_head(data: Octets, rules: Rules = Rules.DER, at: int = 0) -> Node:
    """The value at an offset; what follows it is the caller's to judge (padding in a PDF's /Contents)."""
    return _read(data, at, len(data), 0, rules)


def _read(data: Octets, start: int, limit: int, depth: int, rules: Rules) -> Node:
    if depth > MAX_DEPTH:
        raise Malformed(f"ASN.1: nested deeper than {MAX_DEPTH}")
    if start + 2 > limit:
        raise Malformed("ASN.1: data ends inside a value")
    tag, at = data[start], start + 1
    if tag & 0x1F == 0x1F:
        tag, at = _long_tag(data, at, limit, tag)
        if at >= limit:
            raise Malformed("ASN.1: data ends inside a value")
    length = data[at]
    at += 1
    if length < 0x80:
        end = at + length
    elif length == 0x80:
        return _indefinite(data, start, tag, at, limit, depth, rules)
    else:
        count = length & 0x7F
        if count > 8 or at + count > limit:
            raise Malformed("ASN.1: length is longer than the data")
        length = int.from_bytes(data[at : at + count], "big")
        if rules is Rules.DER and (length < 0x80 or data[at] == 0):
            raise Malformed("ASN.1: length is not minimally encoded")
        at += count
        end = at + length
    if end > limit:
        raise Malformed("ASN.1: value is longer than the data")
    return Node(data, tag, start, at, end, end, depth, rules)


def _long_tag(data: Octets, at: int, limit: int, tag: int) -> tuple[int, int]:
    for _ in range(4):
        if at >= limit:
            raise Malformed("ASN.1: data ends inside a tag")
        octet = data[at]
        tag, at = tag << 8 | octet, at + 1
        if octet < 0x80:
            return tag, at
    raise Malformed("ASN.1: tag number is too large")


def _indefinite(data: Octets, start: int, tag: int, body: int, limit: int, depth: int, rules: Rules) -> Node:
    """X.690 clause 8.1.3.6: the children tell where it ends."""
    if rules is Rules.DER:
        raise Malformed("ASN.1: indefinite length in DER")
    node = Node(data, tag, start, body, body, body, depth, rules)
    if not node.constructed:
        raise Malformed("ASN.1: indefinite length of a primitive value")
    children: list[Node] = []
    at = body
    while data[at : at + 2] != b"\0\0" or at + 2 > limit:
        child = _read(data, at, limit, depth + 1, rules)
        children.append(child)
        at = child.stop
        if len(children) > MAX_CHILDREN:
            raise Malformed(f"ASN.1: more than {MAX_CHILDREN} elements in one value")
    node.end, node.stop = at, at + 2
    node._children = children
    return node


# Writing: only what a reader must rebuild in order to hash it.


def length_octets(length: int) -> bytes:
    """DER length octets."""
    if length < 0x80:
        return bytes((length,))
    body = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(body),)) + body


def tlv(tag: int, content: bytes) -> bytes:
    """One DER value; `tag` as in `Node.tag`."""
    if tag < 0x100 and len(content) < 0x80:
        return bytes((tag, len(content))) + content
    return tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big") + length_octets(len(content)) + content


def der(node: Node, tag: int | None = None) -> bytes:
    """The DER encoding of a value that may be BER, under another tag if one is given: lengths minimal, strings in one piece, sets sorted.

    X.690 clauses 10.1, 10.2 and 11.6 (of a value under an implicit tag the type is unknown: only SET, or what is named as one by `tag`, is sorted).
    """
    outer = node.tag if tag is None else tag
    if not node.constructed:
        if outer == node.tag and node.body - node.start == 2:
            return node.data[node.start : node.stop]
        return tlv(outer, node.content)
    if outer == (OCTET_STRING | _CONSTRUCTED):
        return tlv(OCTET_STRING, node.octets())
    parts = [der(child) for child in node.children]
    if outer == SET and len(parts) > 1:
        parts.sort()
    return tlv(outer, b"".join(parts))


@functools.lru_cache(maxsize=4096)
def oid_text(body: bytes) -> str:
    """Dotted text of the content octets of an OBJECT IDENTIFIER."""
    if not body or len(body) > 128 or body[-1] & 0x80:
        raise Malformed("ASN.1: object identifier ends early or is too long")
    arcs: list[int] = []
    value, fresh = 0, True
    for octet in body:
        if fresh and octet == 0x80:
            raise Malformed("ASN.1: object identifier is not minimally encoded")
        value = value << 7 | octet & 0x7F
        fresh = octet < 0x80
        if fresh:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


@functools.lru_cache(maxsize=4096)
def oid_content(dotted: str) -> bytes:
    """Content octets of a dotted OBJECT IDENTIFIER."""
    try:
        first, second, *rest = (int(arc) for arc in dotted.split("."))
    except ValueError as error:
        raise Malformed("object identifier is not dotted numbers") from error
    out = bytearray()
    for arc in (40 * first + second, *rest):
        if arc < 0:
            raise Malformed("object identifier has a negative arc")
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        out += bytes(reversed(groups))
    return bytes(out)


def printable(text: str, limit: int = 200) -> str:
    """A stranger's text made harmless for logs and reports: control and unassigned characters replaced, cut off at `limit`."""
    shown = text[:limit]
    return shown if shown.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)


_GENERALIZED = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?Z")
_UTC = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:Z|([+-])(\d\d)(\d\d))")


def moment(text: bytes, tag: int) -> datetime:
    """UTCTime or GeneralizedTime content as aware UTC. Fractions below the microsecond are cut off."""
    try:
        if tag == GENERALIZED_TIME:
            found = _GENERALIZED.fullmatch(text)
            if found is None:
                raise Malformed("GeneralizedTime is not YYYYMMDDhhmmss[.f]Z")
            year, *rest = (int(found[i]) for i in range(1, 7))
            return datetime(year, *rest, int((found[7] or b"0").ljust(6, b"0")[:6]), tzinfo=UTC)  # type: ignore[misc,arg-type]
        found = _UTC.fullmatch(text)
        if found is None:
            raise Malformed("UTCTime is not YYMMDDhhmm[ss] with a zone")
        year, *rest = (int(found[i] or 0) for i in range(1, 7))
        made = datetime(year + (1900 if year >= 50 else 2000), *rest, tzinfo=UTC)  # type: ignore[misc,arg-type]
        if found[7]:
            shift = timedelta(hours=int(found[8]), minutes=int(found[9]))
            made = made - shift if found[7] == b"+" else made + shift
        return made
    except (ValueError, OverflowError) as error:
        raise Malformed("time is not a date of the calendar") from error
