"""What an appearance stream draws (ISO 32000-2 clauses 8 and 9), as far as forgery needs it: words, pictures, lines, areas.

Errors: none; a stream that cannot be read draws everything.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.file import reading
from verifier.formats.pdf.store import decoded

MAX_STREAM = 4 << 20
"""Bytes of one appearance: those of signatures with pictures keep the picture in a stream of its own."""
MAX_TOKENS = 400_000
"""Numbers, names, strings and operators of one content stream: each costs memory."""
MAX_STREAMS = 200
SHOWING = frozenset({"Tj", "TJ", "'", '"'})
_SEPARATORS = (b" ", b"\n", b"\r", b"\t", b"\f", b"\0", b"/", b"(", b")", b"<", b">", b"[", b"]", b"{", b"}", b"%")
_FILLING = frozenset({"f", "F", "f*", "B", "B*", "b", "b*"})
_STROKING = frozenset({"S", "s"})


class Paint(StrEnum):
    TEXT = "text"
    PICTURE = "picture"
    """Images, inline images, shadings."""
    LINES = "lines"
    AREAS = "areas"
    """Fills: they can hide what lies below them."""


def paints(appearances: Any) -> frozenset[Paint]:
    """What the streams of an appearance dictionary draw, all states together; nothing where there is none."""
    found: set[Paint] = set()
    try:
        for stream in streams(appearances):
            for kind in _painted(stream, 0):
                found.add(kind)
    except Malformed:
        return frozenset(Paint)
    return frozenset(found)


def seen(node: Any) -> frozenset[Paint]:
    """What an annotation draws where people see it, on the screen or in print."""
    if not is_visible(node):
        return frozenset()
    style = node.get("/MK")
    filled = isinstance(style, pikepdf.Dictionary) and isinstance(style.get("/BG"), pikepdf.Array) and len(style["/BG"]) > 0
    return paints(node.get("/AP")) | (frozenset({Paint.AREAS}) if filled else frozenset())


def is_visible(node: Any) -> bool:
    """Whether a widget shows: an area on the page, and not hidden; without view it may still be printed, or shown when it is pointed at."""
    flags = node.get("/F", 0)
    try:
        left, bottom, right, top = (float(v) for v in node.get("/Rect"))
    except (TypeError, ValueError):
        return "/AP" in node
    hidden = isinstance(flags, int) and (flags & 2 or (flags & 32 and not flags & (4 | 256)))
    return left != right and bottom != top and not hidden


def streams(value: Any) -> Iterator[Any]:
    """The streams of /N, /R and /D, through one level of states."""
    count = 0
    stack = [value]
    while stack:
        item = stack.pop()
        count += 1
        if count > MAX_STREAMS:
            raise Malformed("appearance has too many states")
        if isinstance(item, pikepdf.Stream):
            yield item
        elif isinstance(item, pikepdf.Dictionary):
            stack.extend(v for _, v in item.items())


def shown(node: Any) -> list[Any]:
    """The stream that a node of the form shows: its normal appearance, or the one of its state."""
    appearances = node.get("/AP")
    normal = appearances.get("/N") if isinstance(appearances, pikepdf.Dictionary) else None
    if isinstance(normal, pikepdf.Dictionary) and not isinstance(normal, pikepdf.Stream):
        state = node.get("/AS")
        normal = normal.get(str(state)) if isinstance(state, pikepdf.Name) else None
    return [normal] if isinstance(normal, pikepdf.Stream) else []


def painted(found: list[Any]) -> frozenset[Paint]:
    """What these streams draw."""
    try:
        return frozenset(kind for stream in found for kind in _painted(stream, 0))
    except Malformed:
        return frozenset(Paint)


def written_in(stream: Any, depth: int = 0) -> int:
    """Bytes of the strings that a stream shows. Malformed where it is broken."""
    count = 0
    for operation in operations(stream):
        if str(operation.operator) in SHOWING:
            count += sum(len(s.strip()) for s in strings(operation.operands))
        elif str(operation.operator) == "Do" and depth < 8:
            inner = named(stream, "/XObject", operation.operands)
            count += written_in(inner, depth + 1) if isinstance(inner, pikepdf.Stream) and str(inner.get("/Subtype")) == "/Form" else 0
    return count


def operations(stream: Any) -> list[Any]:
    """The operators of a content stream. Malformed where it is broken or too long."""
    if tokens(decoded(stream, MAX_STREAM)) > MAX_TOKENS:
        raise Malformed(f"appearance has more than {MAX_TOKENS} tokens")
    if isinstance(stream, pikepdf.Stream) and "/F" in stream:
        raise Malformed("appearance stands in another file")
    with reading("an appearance is broken"):
        return list(pikepdf.parse_content_stream(stream))


def tokens(data: bytes) -> int:
    """At the most so many stand in a content stream."""
    return 1 + sum(data.count(separator) for separator in _SEPARATORS)


def _painted(stream: Any, depth: int) -> Iterator[Paint]:
    if depth > 8:
        raise Malformed("appearance is nested too deeply")
    for operation in operations(stream):
        name = str(operation.operator)
        if name in SHOWING:
            if any(strings(operation.operands)):
                yield Paint.TEXT
        elif name in {"INLINE IMAGE", "BI", "sh"}:
            yield Paint.PICTURE
        elif name in _FILLING:
            yield Paint.AREAS
        elif name in _STROKING:
            yield Paint.LINES
        elif name == "Do":
            inner = named(stream, "/XObject", operation.operands)
            if inner is None:
                continue
            if str(inner.get("/Subtype")) == "/Form":
                yield from _painted(inner, depth + 1)
            else:
                yield Paint.PICTURE
        elif name in {"scn", "SCN"} and any(isinstance(o, pikepdf.Name) for o in operation.operands):
            tile = named(stream, "/Pattern", list(operation.operands)[-1:])
            if isinstance(tile, pikepdf.Stream):
                yield from _painted(tile, depth + 1)
            else:
                yield Paint.PICTURE


def named(stream: Any, category: str, operands: Any) -> Any | None:
    """A resource that the stream names."""
    resources = stream.get("/Resources")
    entries = resources.get(category) if isinstance(resources, pikepdf.Dictionary) else None
    if not isinstance(entries, pikepdf.Dictionary) or not len(operands) or not isinstance(operands[0], pikepdf.Name):
        return None
    found = entries.get(str(operands[0]))
    return found if isinstance(found, pikepdf.Stream | pikepdf.Dictionary) else None


def strings(operands: Any) -> Iterator[bytes]:
    for operand in operands:
        if isinstance(operand, pikepdf.String):
            yield bytes(operand)
        elif isinstance(operand, pikepdf.Array):
            yield from (bytes(o) for o in operand if isinstance(o, pikepdf.String))
