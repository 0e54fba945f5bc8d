"""The words that the appearance of a field shows (ISO 32000-2 clauses 8.4, 9.4 and 12.7.4.3), told only where nothing about them is odd.

Makers draw a value with few operators: a background, a border, a clip, lines of text from left to right and from top to bottom. Anything that
could hide, reorder or counterfeit letters (pictures, curves, paint over text, colours that cannot be seen, letters outside of the box or pushed out
of it, a box shrunk or turned, no size) makes the words unknown. Errors: none outside; Unknown inside.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.appearance import SHOWING, named, operations
from verifier.formats.pdf.drawing import IDENTITY, Box, Matrix, bounds, box_of, hull, matrix_of, numbers, product, rgb
from verifier.formats.pdf.fonts import Familiar, Letters, Unknown, letters
from verifier.formats.pdf.sheet import Shape, Sheet, State

MIN_SIZE = 2.0
"""Points: smaller letters are not read by people."""
MAX_SQUEEZE = 4.0
"""Times by which a letter may be narrower or broader than its font draws it."""
_COLOURS = {"g": 1, "rg": 3, "k": 4, "sc": 0, "scn": 0}
"""How many components each takes; 0 where the colour space says."""
_DEVICE = {"/DeviceGray": 1, "/DeviceRGB": 3, "/DeviceCMYK": 4}
_FILLS = frozenset({"f", "F", "f*", "B", "B*", "b", "b*"})
_STROKES = frozenset({"S", "s", "B", "B*", "b", "b*"})
_UNREADABLE = frozenset({"INLINE IMAGE", "BI", "sh", "c", "v", "y", "d0", "d1"})
"""Images, shadings and curves can draw letters without being text."""
_VISIBLE_BLENDS = frozenset({"/Normal", "/Compatible", "/Multiply", "/Darken"})
_USUAL = frozenset({"/Helv", "/HeBo", "/TiRo", "/TiBo", "/Cour", "/CoBo", "/Helvetica", "/Helvetica-Bold", "/Times-Roman", "/Courier"})
"""Names by which readers find a font of their own where the form has none."""
_RECOLOURING = ("/TR", "/TR2")
"""Functions that every colour goes through."""
_SETTINGS: Mapping[str, Callable[[State, float], State]] = {
    "TL": lambda state, value: replace(state, leading=value),
    "Tc": lambda state, value: replace(state, spacing=value),
    "Tw": lambda state, value: replace(state, words=value),
    "Tz": lambda state, value: replace(state, stretch=value / 100),
    "Ts": lambda state, value: replace(state, rise=value),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """Where an appearance is put, and how its field says that text is set."""

    rectangle: Box | None = None
    """Of the widget, in points; None where it has none that can be read."""
    turn: int = 0
    """/R of /MK: degrees by which the widget is turned on its page."""
    size: float = 0.0
    """Of letters, by /DA; 0 where the text is fitted into the box."""
    comb: bool = False
    """Each letter has a cell of its own."""


@dataclass(frozen=True, slots=True)
class Words:
    """What an appearance shows."""

    lines: tuple[tuple[str, tuple[float, ...]], ...]
    """From top to bottom, white space left out, each with the colour that it begins on."""
    ground: tuple[float, ...]
    """The colour of the whole."""

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.lines)


def words(stream: Any, familiar: Familiar, fonts: Mapping[str, Any], setting: Setting) -> Words | None:
    """What is shown; None where it cannot be told. `fonts` are those that the form lends to appearances without any."""
    try:
        sheet = Sheet(box_of(stream.get("/BBox")), setting.size, setting.comb)
        scale = _scale(stream, sheet.box, setting)
        _draw(stream, State(), sheet, _Fonts(familiar, fonts), 0)
        if scale is not None and any(not _is_readable(height, scale) for height in sheet.heights):
            return None
    except (Malformed, Unknown, ValueError, TypeError, ArithmeticError):
        return None
    return Words(tuple((re.sub(r"\s+", "", text), ground) for text, ground in sheet.lines), sheet.ground)


def _scale(stream: Any, box: Box, setting: Setting) -> tuple[float, float] | None:
    """How much longer and higher letters become where the appearance is put into its rectangle (algorithm 8); None where nobody sees it.

    A matrix may turn the appearance as /MK says, and no other way: letters upside down or mirrored are not what they are.
    """
    a, b, c, d, _, _ = matrix = matrix_of(list(stream.get("/Matrix")) if "/Matrix" in stream else IDENTITY)
    size = math.hypot(a, b), math.hypot(c, d)
    if min(size) <= 0:
        raise Unknown
    turned = round(math.degrees(math.atan2(b, a))) % 360
    cosine, sine = round(math.cos(math.radians(turned))), round(math.sin(math.radians(turned)))
    if (
        turned not in {0, setting.turn % 360}
        or turned % 90
        or math.dist((a, b, c, d), (cosine * size[0], sine * size[0], -sine * size[1], cosine * size[1])) > 1e-3 * max(size)
    ):
        raise Unknown
    if setting.rectangle is None:
        return None
    left, bottom, right, top = setting.rectangle
    if left == right or bottom == top:
        return None
    put = bounds(matrix, box)
    across, up = (right - left) / (put[2] - put[0]), (top - bottom) / (put[3] - put[1])
    if turned % 180:
        across, up = up, across
    return size[0] * across, size[1] * up


def _is_readable(height: float, scale: tuple[float, float]) -> bool:
    across, up = scale
    return min(across, up) * height >= MIN_SIZE and max(across, up) <= MAX_SQUEEZE * min(across, up)


@dataclass(frozen=True, slots=True)
class _Fonts:
    familiar: Familiar
    lent: Mapping[str, Any]

    def named(self, stream: Any, operands: Any) -> Letters:
        font = named(stream, "/Font", operands)
        if font is None:
            font = self.lent.get(str(operands[0])) if len(operands) else None
        if font is None and len(operands) and str(operands[0]) in _USUAL:
            return _latin
        if font is None:
            raise Unknown
        return letters(font, self.familiar)


def _latin(data: bytes) -> str:
    return data.decode("latin-1")


def _draw(stream: Any, state: State, sheet: Sheet, fonts: _Fonts, depth: int) -> None:
    if depth > 8 or "/OC" in stream:
        raise Unknown
    _Drawing(stream, state, sheet, fonts, depth).run()


class _Drawing:
    """One content stream being drawn."""

    def __init__(self, stream: Any, state: State, sheet: Sheet, fonts: _Fonts, depth: int) -> None:
        self._stream, self._state, self._sheet, self._fonts, self._depth = stream, state, sheet, fonts, depth
        self._saved: list[State] = []
        self._line = self._text = IDENTITY
        self._moved = True
        self._path: list[Shape] = []
        self._points: list[tuple[float, float]] = []
        self._clip = False

    def run(self) -> None:
        for operation in operations(self._stream):
            name, operands = str(operation.operator), operation.operands
            if name in _UNREADABLE:
                raise Unknown
            if name in SHOWING:
                self._show(name, operands)
            elif name in _COLOURS:
                # Numbers without a colour space that has as many are read in several ways.
                components = self._state.components if name in {"sc", "scn"} else _COLOURS[name]
                self._state = replace(self._state, colour=rgb(numbers(operands, components)), components=components)
            elif name in {"re", "m", "l", "h"}:
                self._construct(name, operands)
            elif name in {"W", "W*"}:
                self._clip = True
            elif name in _FILLS or name in _STROKES or name == "n":
                self._paint(name)
            elif name in {"Td", "TD", "Tm", "T*", "BT", "TL", "Tf", "Tc", "Tw", "Tz", "Tr", "Ts"}:
                self._set_text(name, operands)
            else:
                self._set(name, operands)

    def _set(self, name: str, operands: Any) -> None:
        if name == "q":
            self._saved.append(self._state)
        elif name == "Q" and self._saved:
            self._state = self._saved.pop()
        elif name == "cm":
            self._state = replace(self._state, matrix=product(matrix_of(operands), self._state.matrix))
        elif name == "w":
            self._state = replace(self._state, width=numbers(operands, 1)[0])
        elif name == "cs":
            # Other colour spaces than these hide which colour a number is.
            if str(operands[0]) not in _DEVICE:
                raise Unknown
            self._state = replace(self._state, colour=(0.0, 0.0, 0.0), components=_DEVICE[str(operands[0])])
        elif name == "gs":
            plain(named(self._stream, "/ExtGState", operands))
        elif name in {"BDC", "DP"} and str(operands[0]) == "/OC":
            raise Unknown
        elif name == "Do":
            self._inner(operands)

    def _inner(self, operands: Any) -> None:
        inner = named(self._stream, "/XObject", operands)
        if inner is None or str(inner.get("/Subtype")) != "/Form":
            raise Unknown
        given = inner.get("/Matrix")
        matrix = product(matrix_of(list(given)) if isinstance(given, pikepdf.Array) else IDENTITY, self._state.matrix)
        clip = bounds(matrix, box_of(inner.get("/BBox")))
        _draw(inner, replace(self._state, matrix=matrix, clips=(*self._state.clips, clip)), self._sheet, self._fonts, self._depth + 1)

    def _set_text(self, name: str, operands: Any) -> None:
        state = self._state
        if name == "BT":
            self._move(IDENTITY)
        elif name == "Tm":
            self._move(matrix_of(operands))
        elif name in {"Td", "TD"}:
            x, y = numbers(operands, 2)
            if name == "TD":
                self._state = replace(state, leading=-y)
            self._move(product((1, 0, 0, 1, x, y), self._line))
        elif name == "T*":
            self._next_line()
        elif name == "Tf":
            self._state = replace(state, letters=self._fonts.named(self._stream, operands), size=float(operands[1]))
        elif name in _SETTINGS:
            self._state = _SETTINGS[name](state, numbers(operands, 1)[0])
        elif numbers(operands, 1)[0]:  # Tr: outlines, nothing, or a clip
            raise Unknown

    def _move(self, matrix: Matrix) -> None:
        self._line = self._text = matrix
        self._moved = True

    def _next_line(self) -> None:
        self._move(product((1, 0, 0, 1, 0, -self._state.leading), self._line))

    def _show(self, name: str, operands: Any) -> None:
        state = self._state
        if name == '"':
            state = self._state = replace(state, words=float(operands[0]), spacing=float(operands[1]))
        if name in {"'", '"'}:
            self._next_line()
        read = state.letters
        if read is None or state.size <= 0:
            raise Unknown
        whole = product(self._text, state.matrix)
        em = state.size * whole[0] * state.stretch, state.size * whole[3]
        # Mirrored or turned letters are not what a value looks like.
        if max(abs(whole[1]), abs(whole[2])) > 1e-3 * max(whole[0], whole[3]) or state.is_odd:
            raise Unknown
        for item in _items(operands[-1:]):
            if isinstance(item, pikepdf.String):
                text = read(bytes(item))
                self._sheet.show(text, (whole[4], whole[5] + state.rise * whole[3]) if self._moved else None, em, state)
                self._moved = self._moved and not text
            elif name == "TJ" and not self._moved:
                self._sheet.gap(-float(item) / 1000, em[0])
            elif name == "TJ":
                whole = product((1, 0, 0, 1, -float(item) / 1000 * state.size * state.stretch, 0), whole)

    def _construct(self, name: str, operands: Any) -> None:
        matrix = self._state.matrix
        if max(abs(matrix[1]), abs(matrix[2])) > 1e-3 * max(abs(matrix[0]), abs(matrix[3])):
            raise Unknown
        if name == "re":
            x, y, w, h = numbers(operands, 4)
            left, bottom, right, top = box = bounds(matrix, (x, y, x + w, y + h))
            sides = ((left, bottom, left, top), (right, bottom, right, top), (left, bottom, right, bottom), (left, top, right, top))
            self._end_line()
            self._path.append(Shape(box, sides, solid=True))
        elif name in {"m", "l"}:
            x, y = numbers(operands, 2)
            if name == "m":
                self._end_line()
            self._points.append(bounds(matrix, (x, y, x, y))[:2])
        elif name == "h" and self._points:
            self._points.append(self._points[0])

    def _end_line(self) -> None:
        """What was begun with `m` becomes a shape."""
        found, self._points = self._points, []
        if len(found) < 2:
            return
        sides = tuple((min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])) for a, b in pairwise(found))
        box = hull(list(sides))
        area = abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise([*found, found[0]]))) / 2
        self._path.append(Shape(box, sides, solid=len(found) <= 5 and area >= 0.99 * (box[2] - box[0]) * (box[3] - box[1]) > 0))

    def _paint(self, name: str) -> None:
        self._end_line()
        if self._clip and self._path:
            self._state = replace(self._state, clips=(*self._state.clips, _clipping(self._path)))
        if name in _FILLS and self._path:
            self._sheet.paint(self._path, self._state, fill=True)
        if name in _STROKES and self._path:
            self._sheet.paint(self._path, self._state, fill=False)
        self._path, self._clip = [], False


def _clipping(path: list[Shape]) -> Box:
    """What a path leaves to be seen: a box, or nobody knows."""
    if len(path) != 1 or not path[0].solid:
        raise Unknown
    return path[0].box


def plain(state: Any) -> None:
    """An /ExtGState must leave letters as they are: neither transparent nor masked."""
    if state is None:
        return
    if any(key in state and float(state.get(key)) < 0.5 for key in ("/ca", "/CA")) or "/Font" in state:
        raise Unknown
    if any(str(state.get(key, "/Identity")) not in {"/Identity", "/Default"} for key in _RECOLOURING):
        raise Unknown
    if str(state.get("/SMask", "/None")) != "/None" or str(state.get("/BM", "/Normal")) not in _VISIBLE_BLENDS:
        raise Unknown


def _items(operands: Any) -> Iterator[Any]:
    for operand in operands:
        yield from list(operand) if isinstance(operand, pikepdf.Array) else [operand]
