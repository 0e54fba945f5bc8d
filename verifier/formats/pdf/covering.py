"""What an annotation hides (ISO 32000-2 clauses 11.6.4 and 12.5.5): paint that nothing shines through, and the letters of the page below it.

Errors: none; what cannot be read hides.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.appearance import MAX_STREAM, SHOWING, Paint, named, operations, paints, streams
from verifier.formats.pdf.comparison import array_of, dictionary_of, name_of
from verifier.formats.pdf.drawing import IDENTITY, Box, Matrix, bounds, box_of, hull, matrix_of, numbers, product, rgb
from verifier.formats.pdf.file import reading

THIN = 4.0
"""Points: a box so low is a line below words or through them."""
BROAD = 12.0
"""Points: a stroke so broad is a bar."""
CLEAR = 0.6
"""Opacity up to which what lies below can be read."""
WHITE = 0.95
_FILLS = frozenset({"f", "F", "f*", "B", "B*", "b", "b*"})
_STROKES = frozenset({"S", "s", "B", "B*", "b", "b*"})
_SHINING = frozenset({"/Multiply", "/Darken"})
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class _Paint:
    """The graphics state, as far as hiding needs it."""

    matrix: Matrix = IDENTITY
    opacity: float = 1.0
    shines: bool = False
    width: float = 1.0
    pattern: Any = None
    """What areas are filled with, where that is no colour."""


def hides(annotation: Any) -> bool:
    """Whether an annotation paints areas, bars or pictures through which nothing shines."""
    border = dictionary_of(annotation.get("/BS"))
    width = border.get("/W") if border is not None else (array_of(annotation.get("/Border"))[2:3] or [1])[0]
    try:
        if width is not None and float(width) > BROAD:
            return True
        scale_to = box_of(annotation.get("/Rect"))
        shines = name_of(annotation.get("/BM")) in _SHINING
        for stream in streams(annotation.get("/AP")):
            scale = _scale(stream, scale_to)
            if any(_opaque(stream, _Paint(shines=shines), scale, 0)):
                return True
    except (Malformed, TypeError, ValueError, ArithmeticError):
        return True
    return False


def blank(annotation: Any) -> bool:
    """Whether an icon is painted in nothing but white: it shows nothing, and covers."""
    try:
        colours = [c for stream in streams(annotation.get("/AP")) for c in _colours(stream, 0)]
    except (Malformed, TypeError, ValueError):
        return True
    return bool(colours) and all(min(c) >= WHITE for c in colours)


def _scale(stream: Any, rectangle: Box) -> float:
    """How much larger a length becomes when the appearance is put into its rectangle."""
    box = bounds(matrix_of(array_of(stream.get("/Matrix")) or list(IDENTITY)), box_of(stream.get("/BBox")))
    return max((rectangle[i + 2] - rectangle[i]) / max(box[i + 2] - box[i], 1e-6) for i in (0, 1))


def _opaque(stream: Any, paint: _Paint, scale: float, depth: int) -> Iterator[bool]:
    """Whether each painting operator hides."""
    if depth > _DEPTH:
        raise Malformed("appearance is nested too deeply")
    saved: list[_Paint] = []
    path: list[Box] = []
    for operation in operations(stream):
        name, operands = str(operation.operator), operation.operands
        if name == "q":
            saved.append(paint)
        elif name == "Q" and saved:
            paint = saved.pop()
        elif name == "cm":
            paint = replace(paint, matrix=product(matrix_of(operands), paint.matrix))
        elif name == "w":
            paint = replace(paint, width=numbers(operands, 1)[0])
        elif name == "gs":
            paint = _with(paint, named(stream, "/ExtGState", operands))
        elif name in {"g", "rg", "k", "sc", "scn"}:
            paint = replace(paint, pattern=named(stream, "/Pattern", list(operands)[-1:]) if name == "scn" else None)
        elif name in {"m", "l", "c", "v", "y", "re"}:
            path += _extent(name, operands, paint.matrix)
        elif name in _FILLS or name in _STROKES or name in {"n", "sh", "INLINE IMAGE", "Do"}:
            seen = paint.opacity > CLEAR and not paint.shines
            if name == "Do":
                yield from _inner(stream, operands, paint, scale, depth)
            elif name in {"sh", "INLINE IMAGE"}:
                yield seen
            elif path and name != "n":
                grown = max(abs(v) for v in paint.matrix[:4]) * scale
                area = hull(path)
                # A pattern of lines, such as a wave, leaves room between them.
                solid = paint.pattern is None or bool(paints(paint.pattern) - {Paint.LINES})
                yield seen and name in _FILLS and solid and min(area[2] - area[0], area[3] - area[1]) * scale > THIN
                yield seen and name in _STROKES and paint.width * grown > BROAD
            path = []


def _inner(stream: Any, operands: Any, paint: _Paint, scale: float, depth: int) -> Iterator[bool]:
    inner = named(stream, "/XObject", operands)
    if inner is None:
        return
    if str(inner.get("/Subtype")) == "/Form":
        matrix = product(matrix_of(array_of(inner.get("/Matrix")) or list(IDENTITY)), paint.matrix)
        yield from _opaque(inner, replace(paint, matrix=matrix), scale, depth + 1)
    else:
        yield paint.opacity > CLEAR and not paint.shines and not any(k in inner for k in ("/SMask", "/Mask", "/ImageMask"))


def _with(paint: _Paint, state: Any) -> _Paint:
    if state is None:
        return paint
    blend = state.get("/BM")
    names = [name_of(b) for b in (array_of(blend) or [blend])]
    opacity = min((float(state.get(k)) for k in ("/ca", "/CA") if k in state), default=paint.opacity)
    return replace(paint, opacity=opacity, shines=paint.shines if blend is None else names[0] in _SHINING)


def _extent(name: str, operands: Any, matrix: Matrix) -> list[Box]:
    values = [float(o) for o in operands]
    if name == "re":
        x, y, w, h = numbers(operands, 4)
        return [bounds(matrix, (x, y, x + w, y + h))]
    return [bounds(matrix, (x, y, x, y)) for x, y in zip(values[::2], values[1::2], strict=True)]


def _colours(stream: Any, depth: int) -> Iterator[tuple[float, ...]]:
    """Every colour that is painted with; a picture counts as one that is seen."""
    if depth > _DEPTH:
        raise Malformed("appearance is nested too deeply")
    now: dict[bool, tuple[float, ...]] = {True: (0.0,), False: (0.0,)}
    saved: list[dict[bool, tuple[float, ...]]] = []
    for operation in operations(stream):
        name, operands = str(operation.operator), operation.operands
        if name == "q":
            saved.append(dict(now))
        elif name == "Q" and saved:
            now = saved.pop()
        elif name.lower() in {"g", "rg", "k", "sc", "scn"}:
            values = [float(o) for o in operands if not isinstance(o, pikepdf.Name)]
            now[name.islower()] = rgb(values) if values else (0.0,)
        elif name in _FILLS:
            yield now[True]
        elif name in _STROKES:
            yield now[False]
        elif name == "Do" and (inner := named(stream, "/XObject", operands)) is not None:
            if str(inner.get("/Subtype")) == "/Form":
                yield from _colours(inner, depth + 1)
            else:
                yield (0.0,)
        elif name in {"sh", "INLINE IMAGE"}:
            yield (0.0,)


# The page below.

_FILLERS = frozenset(b"_.-\xb7 \t\xa0\0")
"""Codes of what leaves room for a signature: lines of underscores and dots."""
_WIDTH = 0.5
"""Of a letter's height, where its font does not say."""


def letters_below(page: Any, rectangle: Any) -> bool:
    """Whether letters of the page's own content have their middle in the rectangle."""
    try:
        left, bottom, right, top = box_of(rectangle)
        return any(left < x < right and bottom < y < top for x, y in _letters(page, page, IDENTITY, 0))
    except (Malformed, TypeError, ValueError, ArithmeticError):
        return True


def _letters(page: Any, stream: Any, matrix: Matrix, depth: int) -> Iterator[tuple[float, float]]:
    """The middles of the letters that a page or a form on it draws, in the page's space."""
    if depth > _DEPTH:
        raise Malformed("page is nested too deeply")
    resources = _resources(stream) if stream is page or "/Resources" in stream else _resources(page)
    saved: list[Matrix] = []
    font, size, leading = None, 0.0, 0.0
    line = text = IDENTITY
    with reading("a page is broken"):
        listed = list(pikepdf.parse_content_stream(stream)) if _moderate(stream) else []
    for operation in listed:
        name, operands = str(operation.operator), operation.operands
        if name == "q":
            saved.append(matrix)
        elif name == "Q" and saved:
            matrix = saved.pop()
        elif name == "cm":
            matrix = product(matrix_of(operands), matrix)
        elif name == "BT":
            line = text = IDENTITY
        elif name == "Tf":
            font, size = _of(resources, "/Font", operands), float(operands[1])
        elif name == "TL":
            leading = numbers(operands, 1)[0]
        elif name == "Tm":
            line = text = matrix_of(operands)
        elif name in {"Td", "TD"}:
            x, y = numbers(operands, 2)
            leading = -y if name == "TD" else leading
            line = text = product((1, 0, 0, 1, x, y), line)
        elif name == "T*" or name in {"'", '"'}:
            line = text = product((1, 0, 0, 1, 0, -leading), line)
        if name in SHOWING:
            for width, filler in _advances(operands, font):
                if not filler and width > 0:
                    whole = product((1, 0, 0, 1, width * size / 2, 0.3 * size), product(text, matrix))
                    yield whole[4], whole[5]
                text = product((1, 0, 0, 1, width * size, 0), text)
        elif name == "Do":
            inner = _of(resources, "/XObject", operands)
            if inner is not None and str(inner.get("/Subtype")) == "/Form":
                yield from _letters(page, inner, product(matrix_of(array_of(inner.get("/Matrix")) or list(IDENTITY)), matrix), depth + 1)


def _moderate(stream: Any) -> bool:
    """Whether a page's content may be read: beyond it, nothing is told of its letters."""
    contents = stream if isinstance(stream, pikepdf.Stream) else stream.get("/Contents")
    parts = array_of(contents) if isinstance(contents, pikepdf.Array) else [contents]
    found = [p for p in parts if isinstance(p, pikepdf.Stream)]
    return sum(len(p.read_raw_bytes()) for p in found) <= MAX_STREAM


def _advances(operands: Any, font: Any) -> Iterator[tuple[float, bool]]:
    """The width of each letter as a part of its size, and whether it leaves room; of adjustments between them, negative or not, too."""
    for operand in operands:
        for item in list(operand) if isinstance(operand, pikepdf.Array) else [operand]:
            if isinstance(item, pikepdf.String):
                yield from _widths(bytes(item), font)
            elif isinstance(operand, pikepdf.Array):
                yield -float(item) / 1000, True


def _widths(data: bytes, font: Any) -> Iterator[tuple[float, bool]]:
    if font is not None and str(font.get("/Subtype")) == "/Type0":
        yield from ((_WIDTH, False) for _ in range(len(data) // 2))
        return
    given = array_of(font.get("/Widths")) if font is not None else []
    first = font.get("/FirstChar", 0) if font is not None else 0
    for code in data:
        place = code - int(first)
        yield (float(given[place]) / 1000 if 0 <= place < len(given) else _WIDTH), code in _FILLERS


def _resources(holder: Any) -> Any:
    node = holder
    for _ in range(_DEPTH * 8):
        if node is None or "/Resources" in node:
            break
        node = dictionary_of(node.get("/Parent"))
    return None if node is None else dictionary_of(node.get("/Resources"))


def _of(resources: Any, category: str, operands: Any) -> Any:
    entries = dictionary_of(resources.get(category)) if resources is not None else None
    found = entries.get(str(operands[0])) if entries is not None and len(operands) else None
    return found if isinstance(found, pikepdf.Stream | pikepdf.Dictionary) else None
