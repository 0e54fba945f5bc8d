"""The syntax of PDF objects as it stands in the bytes (ISO 32000-2 clause 7.3): what a tolerant reader never tells, such as a key that stands twice.

Values become dictionaries, lists, names (`/Name`, escapes resolved) and other tokens as bytes. Errors: Malformed, nothing else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from trust.errors import Malformed

MAX_DEPTH = 100
_SPACE = rb"[\x00\t\n\f\r ]"
_IGNORED = rb"(?:" + _SPACE + rb"++|%[^\r\n]*+)*+"
"""White space and comments, without a way back: a line of percent signs can be divided in too many."""
_TOKEN = re.compile(
    _IGNORED + rb"(<<|>>|\[|\]|\(|<[0-9A-Fa-f\x00\t\n\f\r ]*+>|/[^\x00\t\n\f\r ()<>\[\]{}/%]*+|[^\x00\t\n\f\r ()<>\[\]{}/%]++|[{}<>)])"
)
_STRING_PART = re.compile(rb"[^\\()]*(\\.|[()])", re.DOTALL)
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_SKIPPED = re.compile(_IGNORED)
_AFTER_STREAM = re.compile(rb"\r?\n|\r")
_END_STREAM = re.compile(rb"(?:\r\n|\r|\n)?[ ]*endstream")
_END = re.compile(rb"endstream")
"""Looked for from anywhere: what may stand before it is not taken along, which would look at each run of blanks from each of its places."""


@dataclass(slots=True)
class Parser:
    """Reads values one after the other from `data`, beginning at `at`."""

    data: bytes
    at: int = 0
    doubled: set[bytes] = field(default_factory=set)
    """Keys that stand twice in one dictionary, with two values."""
    misled: bool = False
    """A stream says a length that it does not have."""

    def token(self) -> bytes:
        """The next token; empty at the end. Of a string all of it."""
        found = _TOKEN.match(self.data, self.at)
        if found is None:
            self.at = len(self.data)
            return b""
        self.at = found.end()
        return self._string(found.start(1)) if found[1] == b"(" else found[1]

    def _string(self, start: int) -> bytes:
        depth = 1
        while depth:
            found = _STRING_PART.match(self.data, self.at)
            if found is None:
                raise Malformed("PDF string has no end")
            self.at = found.end()
            depth += {b"(": 1, b")": -1}.get(found[1], 0)
        return self.data[start : self.at]

    def value(self, token: bytes | None = None, depth: int = 0) -> Any:
        """The next value. References are three tokens: nobody here follows them."""
        token = self.token() if token is None else token
        if depth > MAX_DEPTH:
            raise Malformed("PDF object is nested too deeply")
        if token == b"[":
            items = []
            while (inner := self.token()) not in {b"]", b""}:
                items.append(self.value(inner, depth + 1))
            return items
        if token == b"<<":
            return self._dictionary(depth)
        return _ESCAPE.sub(lambda m: bytes.fromhex(m[1].decode()), token) if token[:1] == b"/" else token

    def _dictionary(self, depth: int) -> dict[bytes, Any]:
        """Values of several tokens (references) are lists."""
        made: dict[bytes, Any] = {}
        repeated: list[tuple[bytes, list[Any]]] = []
        values: list[Any] = []
        while (token := self.token()) not in {b">>", b""}:
            value = self.value(token, depth + 1)
            # A name is a key where a value is complete, a value where none is yet.
            if isinstance(value, bytes) and value[:1] == b"/" and (not made or values):
                values = []
                if value in made:
                    repeated.append((value, values))
                else:
                    made[value] = values
            else:
                values.append(value)
        # A maker calls its time-stamps /DocTimeStamp and /Sig at once: of a signature dictionary /Type says nothing that matters.
        told = {b"/Type"} if b"/ByteRange" in made else set()
        self.doubled.update(key for key, again in repeated if again != made[key] and key not in told)
        return {key: found[0] if len(found) == 1 else found for key, found in made.items()}

    def skip_space(self) -> int:
        """Past white space and comments."""
        found = _SKIPPED.match(self.data, self.at)
        self.at = self.at if found is None else found.end()
        return self.at

    def skip_stream(self, length: Any) -> None:
        """Past a stream's data, where `stream` has been read: by its length, or else to the next `endstream`."""
        started = _AFTER_STREAM.match(self.data, self.at)
        start = self.at if started is None else started.end()
        size = int(length) if isinstance(length, bytes) and length.isdigit() and len(length) < 12 else None
        found = None if size is None else _END_STREAM.match(self.data, start + size)
        if found is None:
            # A length that is an object of its own is not followed here.
            self.misled |= not isinstance(length, list)
            found = _END.search(self.data, start)
        if found is None:
            raise Malformed("PDF stream has no end")
        self.at = found.end()


@dataclass(frozen=True, slots=True)
class Written:
    """An object as it stands in the bytes."""

    number: int
    generation: int
    at: int
    value: Any


_HEAD = re.compile(rb"(\d{1,10})" + _SPACE + rb"+(\d{1,5})" + _SPACE + rb"+obj(?![A-Za-z])")


def object_at(parser: Parser) -> Written | None:
    """The indirect object that begins where the parser stands; None where none does."""
    found = _HEAD.match(parser.data, parser.at)
    if found is None:
        return None
    at, parser.at = parser.at, found.end()
    value, token = parser.value(), parser.token()
    if token == b"stream":
        parser.skip_stream(value.get(b"/Length") if isinstance(value, dict) else None)
        token = parser.token()
    elif token.isdigit():  # an object that is a reference to another
        token = parser.token() if parser.token() == b"R" else b""
    if token != b"endobj":
        raise Malformed("PDF object does not end where it should")
    return Written(int(found[1]), int(found[2]), at, value)


_SUBSECTION = re.compile(_SPACE + rb"*(\d{1,10})" + _SPACE + rb"+(\d{1,10})" + _SPACE + rb"+")
_ENTRY = re.compile(_SPACE + rb"*(\d{1,10})" + _SPACE + rb"+(\d{1,5})" + _SPACE + rb"+([nf])" + _SPACE + rb"*")


def table_at(parser: Parser) -> Iterator[tuple[int, int | None]]:
    """The numbers of a cross-reference table, where `xref` has been read, with their offsets; None for free ones."""
    while (head := _SUBSECTION.match(parser.data, parser.at)) is not None:
        first, count = int(head[1]), int(head[2])
        parser.at = head.end()
        for number in range(first, first + count):
            entry = _ENTRY.match(parser.data, parser.at)
            if entry is None:
                break
            parser.at = entry.end()
            yield number, int(entry[1]) if entry[3] == b"n" else None
