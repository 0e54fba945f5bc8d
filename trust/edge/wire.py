"""Values as bytes, between a process that is trusted and one that has parsed a stranger's file.

Not pickle: a pickle is a program. This is a tree of plain values, our own frozen dataclasses, enumerations, DER objects, documents and errors;
nothing that arrives can name a function, and every count is checked against the bytes that are there. Both ends are the same version of this package.
"""

import enum
import functools
import importlib
import re
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from typing import Any, BinaryIO, NoReturn

from trust import errors
from trust.errors import KakuinError, Malformed, TooLarge
from trust.model import Cert, Crl, Digest, Document, Ocsp

MAX_DEPTH = 100
"""Containers in containers. The deepest value of ours, an evidence with tokens in stamps, needs about 8."""

AS_ONE = "crosses_as_one"
"""Name of an attribute of dataclasses whose values are frozen, and the same again and again (a policy): each is encoded once, and decoded once."""
MOST_AS_ONE, LARGEST_AS_ONE = 16, 1 << 16
"""That are kept, and bytes of one."""

_COUNT = struct.Struct(">Q")
_INT = struct.Struct(">q")
_FLOAT = struct.Struct(">d")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_MESSAGE = 500
"""Characters of an error's message that are believed."""

_DER: dict[str, type[Cert] | type[Crl] | type[Ocsp]] = {"Cert": Cert, "Crl": Crl, "Ocsp": Ocsp}
_SEQUENCES: dict[bytes, Callable[[Iterable[Any]], Any]] = {b"l": list, b"t": tuple, b"e": set, b"z": frozenset}
_SEQUENCE_TAGS: dict[type, bytes] = {list: b"l", tuple: b"t", set: b"e", frozenset: b"z"}
_CONSTANTS = {b"N": None, b"T": True, b"F": False}
_OURS = re.compile(r"(?:trust|tsa|eseal|verifier)(?:\.[a-z][a-z0-9_]*)*")


@dataclass(slots=True)
class Luggage:
    """Open files that travel beside the bytes, as descriptors; `opened` are those that encode() opened itself, for the sender to close."""

    files: list[BinaryIO] = field(default_factory=list)
    opened: list[BinaryIO] = field(default_factory=list)


def encode(value: Any, luggage: Luggage | None = None) -> bytes:
    """The bytes of `value`. Malformed, naming the type, for one that does not cross.

    With `luggage`, open binary files cross, and documents with their content. Without, a document crosses as its name, size and the digests known
    so far.
    """
    out: list[bytes] = []
    _put(value, out, luggage, 0)
    return b"".join(out)


def _put(value: Any, out: list[bytes], luggage: Luggage | None, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TooLarge(f"value is nested over {MAX_DEPTH} deep")

    def put(*inner: Any) -> None:
        for item in inner:
            _put(item, out, luggage, depth + 1)

    kind = type(value)
    if value is None or kind is bool:
        out.append(b"N" if value is None else b"T" if value else b"F")
    elif kind is int and -(1 << 63) <= value < 1 << 63:
        out.append(b"i" + _INT.pack(value))
    elif kind is int:
        _put_bytes(b"I", value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True), out)
    elif kind is float:
        out.append(b"f" + _FLOAT.pack(value))
    elif kind is str:
        _put_bytes(b"s", value.encode("utf-8", "surrogatepass"), out)
    elif isinstance(value, bytes | bytearray | memoryview):
        _put_bytes(b"b", bytes(value), out)
    elif kind in _SEQUENCE_TAGS:
        out.append(_SEQUENCE_TAGS[kind] + _COUNT.pack(len(value)))
        put(*value)
    elif kind is dict:
        out.append(b"d" + _COUNT.pack(len(value)))
        for pair in value.items():
            put(*pair)
    elif kind is datetime:
        if value.tzinfo is None:
            raise Malformed("a time without zone does not cross to another process")
        out.append(b"m" + _INT.pack((value - _EPOCH) // _MICROSECOND))
    elif isinstance(value, enum.Enum):
        _put_bytes(b"n", _name_of(kind), out)
        put(value.value)
    elif isinstance(value, Cert | Crl | Ocsp):
        out.append(b"x")
        put(kind.__name__, value.der)
    elif isinstance(value, Document):
        out.append(b"D")
        put(value.name, value.size, value.media_type, value.known, value.password)
        _put_content(value, out, luggage)
    elif isinstance(value, PurePath):
        out.append(b"p")
        put(str(value))
    elif isinstance(value, KakuinError):
        out.append(b"r")
        put(kind.__name__, str(value))
    elif depth and getattr(kind, AS_ONE, False) and _is_value(kind):
        data = _encoded_once(value)
        if len(data) <= LARGEST_AS_ONE:
            _put_bytes(b"k", data, out)
        else:
            out.append(data)
    elif _is_value(kind):
        _put_bytes(b"o", _name_of(kind), out)
        shown = [f.name for f in fields(kind) if f.init]
        out.append(_COUNT.pack(len(shown)))
        for name in shown:
            put(name, getattr(value, name))
    elif luggage is not None and hasattr(value, "fileno"):
        _put_file(value, out, luggage)
    else:
        raise Malformed(f"a {kind.__module__}.{kind.__qualname__} does not cross to another process")


_once: dict[int, tuple[object, bytes]] = {}
"""By the identity of values that are kept here, so that it stays theirs."""
_lock = threading.Lock()


def _encoded_once(value: object) -> bytes:
    with _lock:
        known = _once.get(id(value))
    if known is None:
        known = value, encode(value)
        with _lock:
            _once[id(value)] = known
            while len(_once) > MOST_AS_ONE:
                del _once[next(iter(_once))]
    return known[1]


@functools.lru_cache(maxsize=16)
def _decoded_once(data: bytes, depth: int) -> Any:
    taking = _Taking(data, None)
    value = taking.value(depth)
    if taking.at != len(data) or not getattr(type(value), AS_ONE, False):
        raise Malformed("value from another process breaks its encoding")
    return value


def _put_bytes(tag: bytes, data: bytes, out: list[bytes]) -> None:
    out.append(tag + _COUNT.pack(len(data)))
    out.append(data)


def _name_of(kind: type) -> bytes:
    return f"{kind.__module__}:{kind.__qualname__}".encode()


def _put_file(stream: BinaryIO, out: list[bytes], luggage: Luggage) -> None:
    out.append(b"h" + _COUNT.pack(len(luggage.files)))
    out.append(b"T" if stream.writable() else b"F")
    luggage.files.append(stream)


def _put_content(document: Document, out: list[bytes], luggage: Luggage | None) -> None:
    """As a descriptor where it is a file, or else as bytes."""
    if luggage is None or not document.readable:
        out.append(b"N")
        return
    stream = document.open()
    try:
        stream.fileno()
    except (OSError, AttributeError):
        with stream:
            _put_bytes(b"b", stream.read(), out)
    else:
        luggage.opened.append(stream)
        _put_file(stream, out, luggage)


def decode(data: bytes, opener: Callable[[int, bool], BinaryIO] | None = None) -> Any:
    """The value that encode() wrote; Malformed for anything else, TooLarge when nested too deeply.

    `opener` opens the n-th of the files that came along, for writing or not. Without it, bytes that speak of files are malformed.
    """
    taking = _Taking(data, opener)
    try:
        value = taking.value(0)
    except (TypeError, ValueError, OverflowError, LookupError, AttributeError) as error:
        raise Malformed("value from another process breaks its encoding") from error
    if taking.at != len(data):
        raise Malformed("value from another process has bytes after its end")
    return value


class _Taking:
    """A place in the bytes that are being read."""

    def __init__(self, data: bytes, opener: Callable[[int, bool], BinaryIO] | None) -> None:
        self.data = data
        self.at = 0
        self.opener = opener

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Malformed("value from another process is cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def count(self) -> int:
        """Of bytes, or of values, each of which needs a byte at least."""
        count = int(_COUNT.unpack(self.take(8))[0])
        if count > len(self.data) - self.at:
            raise Malformed("value from another process is cut short")
        return count

    def blob(self) -> bytes:
        return self.take(self.count())

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise TooLarge(f"value from another process is nested over {MAX_DEPTH} deep")
        tag = self.take(1)
        if tag in _CONSTANTS:
            return _CONSTANTS[tag]
        if tag in _SEQUENCES:
            return _SEQUENCES[tag]([self.value(depth + 1) for _ in range(self.count())])
        match tag:
            case b"i":
                return _INT.unpack(self.take(8))[0]
            case b"I":
                return int.from_bytes(self.blob(), "big", signed=True)
            case b"f":
                return _FLOAT.unpack(self.take(8))[0]
            case b"s":
                return self.blob().decode("utf-8", "surrogatepass")
            case b"b":
                return self.blob()
            case b"d":
                return {self.value(depth + 1): self.value(depth + 1) for _ in range(self.count())}
            case b"m":
                return _EPOCH + _INT.unpack(self.take(8))[0] * _MICROSECOND
            case b"n":
                return _class(self.blob(), enum.Enum)(self.value(depth + 1))
            case b"x":
                return _DER[self.text(depth)](self.exactly(bytes, depth))
            case b"p":
                return Path(self.text(depth))
            case b"r":
                return _error(self.text(depth), self.text(depth))
            case b"o":
                kind = _class(self.blob(), None)
                return kind(**{self.text(depth): self.value(depth + 1) for _ in range(self.count())})
            case b"k":
                data = self.blob()
                return _decoded_once(data, depth + 1) if len(data) <= LARGEST_AS_ONE else self.too_large()
            case b"h":
                return self.file()
            case b"D":
                return self.document(depth)
        raise Malformed("value from another process has an unknown tag")

    def too_large(self) -> NoReturn:
        raise TooLarge(f"value from another process that is kept has over {LARGEST_AS_ONE} bytes")

    def exactly(self, kind: type, depth: int) -> Any:
        value = self.value(depth + 1)
        if type(value) is not kind:
            raise Malformed(f"value from another process has no {kind.__name__} where one belongs")
        return value

    def text(self, depth: int) -> str:
        return str(self.exactly(str, depth))

    def file(self) -> BinaryIO:
        index = int(_COUNT.unpack(self.take(8))[0])
        writable = self.take(1) == b"T"
        if self.opener is None:
            raise Malformed("value from another process speaks of files where none came along")
        return self.opener(index, writable)

    def document(self, depth: int) -> Document:
        name, size, media_type, known, password = (self.value(depth + 1) for _ in range(5))
        if not all(isinstance(d, Digest) for d in known) or not isinstance(size, int | None) or not isinstance(password, str | None):
            raise Malformed("document from another process breaks its encoding")
        content = self.value(depth + 1)
        if content is None:
            return Document(name, size, None, known, media_type)
        if isinstance(content, bytes):
            return Document.of(content, name, media_type).opened_by(password)
        return Document(name, size, _reopener(content), known, media_type, password=password)


def _reopener(stream: BinaryIO) -> Callable[[], BinaryIO]:
    """Each opening has its own position, also in a file that has no name any more (Linux: /proc/self/fd)."""
    return lambda: Path(f"/proc/self/fd/{stream.fileno()}").open("rb")


def _class(name: bytes, parent: type | None) -> Any:
    """One of our own dataclasses, or a child of `parent`, by `module:Class`; nothing else can be named."""
    module, _, attribute = name.decode("ascii").partition(":")
    if not _OURS.fullmatch(module):
        raise Malformed("value from another process names a class that is not ours")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise Malformed("value from another process names a module that does not exist") from error
    fitting = isinstance(found, type) and found.__module__ == module and (issubclass(found, parent) if parent else _is_value(found))
    if not fitting:
        raise Malformed("value from another process names something that is no value")
    return found


def _is_value(kind: type) -> bool:
    """A frozen dataclass. Others are workbenches: one reads the document that it is given at once, and that is never done where keys are."""
    params = getattr(kind, "__dataclass_params__", None)
    return params is not None and bool(params.frozen)


def _error(kind: str, message: str) -> KakuinError:
    found = getattr(errors, kind, None)
    line = "".join(c if c.isprintable() else "?" for c in message[:_LONGEST_MESSAGE])
    return found(line) if isinstance(found, type) and issubclass(found, KakuinError) else KakuinError(line)
