"""Under which paint of an annotation nothing can be read any more (ISO 32000-2 clauses 11.3, 11.6.4 and 12.5.5): paint by paint, and all together.

Bars side by side, strokes next to each other and veils one over the other hide as one opaque box does: the paint is put on a grid, and what is solid
there counts. Errors: Malformed, Unknown, ValueError and the like for what cannot be read: it hides.
"""

import functools
import itertools
import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.appearance import Paint, named, operations, paints, shown, streams
from verifier.formats.pdf.comparison import array_of, dictionary_of, name_of
from verifier.formats.pdf.drawing import IDENTITY, Box, Matrix, bounds, box_of, hull, matrix_of, numbers, product, rgb

CLEAR = 0.4
"""Of the contrast of what lies below, left over by all paint above it: less cannot be read."""
PAPER = 0.95
"""Of each colour of what looks like paper."""
FINE = 2
"""Cells of the grid in a point."""
MAX_CELLS = 2400
"""Of a side of the grid: a larger rectangle has larger cells."""
MAX_BOXES = 60_000
"""Of one appearance."""
MAX_VEILS = 500
MAX_WORK = 4_000_000
"""Rows of cells that are painted."""
_FILLS = frozenset({"f", "F", "f*", "B", "B*", "b", "b*"})
_STROKES = frozenset({"S", "s", "B", "B*", "b", "b*"})
_SHINING = frozenset({"/Multiply", "/Darken"})
_DEPTH = 8
_FRAME = 8
"""Straight lines."""
_STEPS = 6
"""Lines that a curve is drawn by."""

Point = tuple[float, float]
Left = tuple[float, ...]
"""Of each colour, how much of the contrast of what lies below is left."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One painting operator, in points of the page."""

    boxes: tuple[Box, ...]
    left: Left
    stroked: bool = False
    white: bool = False


@dataclass(frozen=True, slots=True)
class _Paint:
    """The graphics state, as far as hiding needs it."""

    matrix: Matrix = IDENTITY
    opacity: float = 1.0
    shines: bool = False
    width: float = 1.0
    fill: tuple[float, ...] = (0.0, 0.0, 0.0)
    stroke: tuple[float, ...] = (0.0, 0.0, 0.0)
    pattern: Any = None
    """What areas are filled with, where that is no colour."""

    def left(self, colour: tuple[float, ...]) -> Left:
        if not self.shines:
            return (1 - self.opacity,) * 3
        return tuple(1 - self.opacity * (1 - c) for c in colour)


def marks(annotation: Any, *, states: bool = True) -> list[Mark]:
    """Everything that the appearances of an annotation paint, in all states or in its own; what readers paint themselves, where it has none."""
    rectangle = box_of(annotation.get("/Rect"))
    shines = name_of(annotation.get("/BM")) in _SHINING
    found: list[Mark] = []
    count = 0
    for stream in streams(annotation.get("/AP")) if states else shown(annotation):
        own = matrix_of(array_of(stream.get("/Matrix")) or list(IDENTITY))
        matrix = product(own, _into(bounds(own, box_of(stream.get("/BBox"))), rectangle))
        for mark in _marks(stream, _Paint(matrix, shines=shines), 0):
            found.append(mark)
            count += max(1, len(mark.boxes))
            if count > MAX_BOXES:
                raise Malformed("appearance has too many operators")
    if "/AP" not in annotation:
        found += _drawn_by_readers(annotation, rectangle)
    return found


def _into(box: Box, rectangle: Box) -> Matrix:
    """Algorithm 8: the appearance's box is put into the rectangle."""
    across, up = ((rectangle[i + 2] - rectangle[i]) / max(box[i + 2] - box[i], 1e-6) for i in (0, 1))
    return across, 0.0, 0.0, up, rectangle[0] - box[0] * across, rectangle[1] - box[1] * up


def _drawn_by_readers(annotation: Any, rectangle: Box) -> Iterator[Mark]:
    """Highlights multiply; lines are as broad as the border says."""
    kind = name_of(annotation.get("/Subtype"))
    opacity = float(annotation.get("/CA", 1))
    colour = rgb([float(c) for c in array_of(annotation.get("/C"))]) if array_of(annotation.get("/C")) else (1.0, 1.0, 0.0)
    quads = [float(v) for v in array_of(annotation.get("/QuadPoints"))]
    corners = [quads[i : i + 8] for i in range(0, len(quads) - 7, 8)]
    boxes = tuple((min(q[::2]), min(q[1::2]), max(q[::2]), max(q[1::2])) for q in corners) or (rectangle,)
    if kind == "/Highlight":
        yield Mark(boxes, tuple(1 - opacity * (1 - c) for c in colour))
    elif kind in {"/Underline", "/Squiggly", "/StrikeOut"}:
        # A line by the words is about as broad as the fourteenth part of their height.
        lines = (((left, middle), (right, middle), (top - bottom) / 14) for left, bottom, right, top in boxes for middle in ((bottom + top) / 2,))
        yield Mark(tuple(b for one, other, width in lines for b in _line(one, other, width)), (1 - opacity,) * 3, stroked=True)
    elif kind in _LINES:
        width = border(annotation)
        paths = [path for key in ("/L", "/Vertices") for path in [_points(annotation.get(key))] if path]
        paths += [_points(item) for item in array_of(annotation.get("/InkList"))]
        if kind in {"/Square", "/Circle"}:
            paths.append([(rectangle[0], rectangle[1]), (rectangle[0], rectangle[3]), (rectangle[2], rectangle[3]), (rectangle[2], rectangle[1])])
        boxes = _lines(paths, width)
        yield Mark(boxes, (1 - opacity,) * 3, stroked=True)
        if array_of(annotation.get("/IC")):
            yield Mark((rectangle,), (1 - opacity,) * 3)


_LINES = frozenset({"/Ink", "/Line", "/PolyLine", "/Polygon", "/Square", "/Circle"})


def border(annotation: Any) -> float:
    """How broad a border or line is."""
    style = dictionary_of(annotation.get("/BS"))
    width = style.get("/W", 1) if style is not None else (array_of(annotation.get("/Border"))[2:3] or [1])[0]
    return float(width)


def _points(value: Any) -> list[Point]:
    found = [float(v) for v in array_of(value)]
    return list(zip(found[::2], found[1::2], strict=False))


def _line(one: Point, other: Point, width: float) -> Iterator[Box]:
    """A stroke as squares along it."""
    half = max(width, 0.0) / 2
    if one[0] == other[0] or one[1] == other[1]:
        (left, right), (bottom, top) = (sorted((one[i], other[i])) for i in (0, 1))
        yield left - half, bottom - half, right + half, top + half
        return
    steps = min(2000, math.ceil(math.dist(one, other) / max(half, 0.5)))
    for step in range(steps + 1):
        x, y = (one[i] + (other[i] - one[i]) * step / steps for i in (0, 1))
        yield x - half, y - half, x + half, y + half


def _lines(parts: list[list[Point]], width: float) -> tuple[Box, ...]:
    found = tuple(itertools.islice((b for part in parts for one, other in pairwise(part) for b in _line(one, other, width)), MAX_BOXES + 1))
    if len(found) > MAX_BOXES:
        raise Malformed("appearance has too many operators")
    return found


_OPERANDS = {"m": 2, "l": 2, "c": 6, "v": 4, "y": 4, "re": 4, "h": 0}
"""Numbers before each operator (ISO 32000-2 table 58): where there are others, readers differ about what is drawn."""


@dataclass(slots=True)
class Path:
    matrix: Matrix
    parts: list[list[Point]] = field(default_factory=list)

    def add(self, name: str, operands: Any) -> None:
        values = numbers(operands, _OPERANDS[name])
        if name == "re":
            x, y, w, h = values
            self.parts.append([self._at(*p) for p in ((x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y))])
            return
        if name == "h":
            if self.parts:
                self.parts[-1].append(self.parts[-1][0])
            return
        points = [self._at(x, y) for x, y in zip(values[::2], values[1::2], strict=True)]
        if name == "m" or not self.parts:
            self.parts.append(points)
        elif name == "l":
            self.parts[-1] += points
        else:
            self.parts[-1] += _curve(self.parts[-1][-1], points, name)

    def _at(self, x: float, y: float) -> Point:
        a, b, c, d, e, f = self.matrix
        return a * x + c * y + e, b * x + d * y + f


def _curve(start: Point, points: list[Point], name: str) -> list[Point]:
    one, two = (start, points[0]) if name == "v" else (points[0], points[-1] if name == "y" else points[1])
    end = points[-1]
    made = []
    for step in range(1, _STEPS + 1):
        t = step / _STEPS
        weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        made.append(
            (
                sum(w * p[0] for w, p in zip(weights, (start, one, two, end), strict=True)),
                sum(w * p[1] for w, p in zip(weights, (start, one, two, end), strict=True)),
            )
        )
    return made


def _marks(stream: Any, paint: _Paint, depth: int) -> Iterator[Mark]:
    if depth > _DEPTH:
        raise Malformed("appearance is nested too deeply")
    saved: list[_Paint] = []
    path = Path(paint.matrix)
    for operation in operations(stream):
        name, operands = str(operation.operator), operation.operands
        if name == "q":
            saved.append(paint)
        elif name == "Q" and saved:
            paint = saved.pop()
        elif name in {"cm", "w", "gs"} or name.lower() in {"g", "rg", "k", "sc", "scn"}:
            paint = _changed(paint, name, operands, stream)
        elif name in {"m", "l", "c", "v", "y", "re", "h"}:
            path.matrix = paint.matrix
            path.add(name, operands)
        elif name == "Do":
            yield from _inner(stream, operands, paint, depth)
        elif name in {"sh", "INLINE IMAGE"}:
            yield Mark((bounds(paint.matrix, (0, 0, 1, 1)) if name != "sh" else (-1e5, -1e5, 1e5, 1e5),), (1 - paint.opacity,) * 3)
        elif name in _FILLS or name in _STROKES or name == "n":
            yield from _of_path(path, paint, name)
            path = Path(paint.matrix)


def _of_path(path: Path, paint: _Paint, name: str) -> Iterator[Mark]:
    # A pattern of lines, such as a wave, leaves room between them.
    solid = paint.pattern is None or bool(paints(paint.pattern) - {Paint.LINES})
    if name in _FILLS and solid:
        colour = paint.fill if paint.pattern is None else (0.0, 0.0, 0.0)
        yield Mark(tuple(hull([(*p, *p) for p in part]) for part in path.parts if part), paint.left(colour), white=min(colour) >= PAPER)
    if name in _STROKES:
        width = paint.width * math.sqrt(abs(paint.matrix[0] * paint.matrix[3] - paint.matrix[1] * paint.matrix[2]))
        parts = [[*part, part[0]] if name in {"s", "b", "b*"} else part for part in path.parts if part]
        yield Mark(
            tuple(b for part in parts for one, other in pairwise(part) for b in _line(one, other, width)), paint.left(paint.stroke), stroked=True
        )


def _changed(paint: _Paint, name: str, operands: Any, stream: Any) -> _Paint:
    if name == "cm":
        return replace(paint, matrix=product(matrix_of(operands), paint.matrix))
    if name == "w":
        return replace(paint, width=numbers(operands, 1)[0])
    if name == "gs":
        return _with(paint, named(stream, "/ExtGState", operands))
    colour = rgb([float(o) for o in operands if not isinstance(o, pikepdf.Name)])
    # Colours of other spaces are none that is known: they are taken as black.
    colour = colour if len(colour) == 3 else (0.0, 0.0, 0.0)
    if name.isupper():
        return replace(paint, stroke=colour)
    return replace(paint, fill=colour, pattern=named(stream, "/Pattern", list(operands)[-1:]) if name == "scn" else None)


def _inner(stream: Any, operands: Any, paint: _Paint, depth: int) -> Iterator[Mark]:
    inner = named(stream, "/XObject", operands)
    if inner is None:
        return
    if str(inner.get("/Subtype")) == "/Form":
        matrix = product(matrix_of(array_of(inner.get("/Matrix")) or list(IDENTITY)), paint.matrix)
        yield from _marks(inner, replace(paint, matrix=matrix), depth + 1)
    elif not any(k in inner for k in ("/SMask", "/Mask", "/ImageMask")):
        yield Mark((bounds(paint.matrix, (0, 0, 1, 1)),), paint.left((0.0, 0.0, 0.0)))


def _with(paint: _Paint, state: Any) -> _Paint:
    if state is None:
        return paint
    blend = state.get("/BM")
    names = [name_of(b) for b in (array_of(blend) or [blend])]
    opacity = min((float(state.get(k)) for k in ("/ca", "/CA") if k in state), default=paint.opacity)
    return replace(paint, opacity=opacity, shines=paint.shines if blend is None else names[0] in _SHINING)


def frames(node: Any) -> bool:
    """Whether a few straight lines are all that is drawn: a frame, a line to sign on; more of them could be letters."""
    try:
        found = marks(node)
    except (Malformed, TypeError, ValueError, ArithmeticError):
        return False
    return all(mark.stroked for mark in found) and sum(len(mark.boxes) for mark in found) <= _FRAME


class Grid:
    """Where paint is solid."""

    def __init__(self, box: Box) -> None:
        self._left, self._bottom = box[0], box[1]
        longest = max(box[2] - box[0], box[3] - box[1], 1e-6)
        self._fine = min(FINE, MAX_CELLS / longest)
        self._rows = [0] * (math.ceil((box[3] - box[1]) * self._fine) + 1)
        self._columns = math.ceil((box[2] - box[0]) * self._fine) + 1
        self._work = 0

    def paint(self, box: Box) -> None:
        """Every cell whose middle lies in the box."""
        left, right = (self._cell(box[i] - self._left, self._columns) for i in (0, 2))
        bottom, top = (self._cell(box[i] - self._bottom, len(self._rows)) for i in (1, 3))
        if left >= right:
            return
        self._work += top - bottom + 1
        if self._work > MAX_WORK:
            raise Malformed("appearance has too many operators")
        mask = (1 << right) - (1 << left)
        for row in range(bottom, top):
            self._rows[row] |= mask

    def _cell(self, distance: float, count: int) -> int:
        return min(count, max(0, math.ceil(distance * self._fine - 0.5)))

    def blocks(self, side: float) -> "list[int]":
        """The rows of the cells at which a solid square of this side begins."""
        size = max(1, round(side * self._fine))
        rows = list(self._rows)
        for step in range(1, size):
            rows = [row & (base >> step) for row, base in zip(rows, self._rows, strict=True)]
        return [functools.reduce(operator.and_, rows[start : start + size]) for start in range(len(rows) - size + 1)]

    def solid_at(self, points: Iterator[Point], side: float) -> bool:
        """Whether one of the points lies in a solid square of this side."""
        blocks, size = self.blocks(side), max(1, round(side * self._fine))
        if not any(blocks):
            return False
        for x, y in points:
            column, row = (math.floor((v - o) * self._fine) for v, o in ((x, self._left), (y, self._bottom)))
            if not (0 <= column < self._columns and 0 <= row < len(self._rows)):
                continue
            first = max(0, column - size + 1)
            mask = (1 << (column + 1)) - (1 << first)
            if any(block & mask for block in blocks[max(0, row - size + 1) : row + 1]):
                return True
        return False


def opaque(found: list[Mark]) -> list[Mark]:
    """The marks under which nothing can be read: by themselves, or with the veils that lie over or under them."""
    veils = [m for m in found if max(m.left) >= CLEAR and min(m.left) < 0.97]
    solid = [m for m in found if max(m.left) < CLEAR]
    if len(veils) > MAX_VEILS:
        raise Malformed("appearance has too many operators")
    for veil in veils if len(veils) > 1 else ():
        for box in veil.boxes:
            others = [m for m in veils if m is not veil and any(_meet(box, b) for b in m.boxes)]
            left = [math.prod(values) for values in zip(veil.left, *(m.left for m in others), strict=True)]
            if max(left) < CLEAR:
                solid.append(Mark((box,), tuple(left), stroked=veil.stroked))
    return solid


def _meet(one: Box, other: Box) -> bool:
    return all(min(one[i + 2], other[i + 2]) - max(one[i], other[i]) > 1.0 for i in (0, 1))
