"""Whether the appearances of a check box or radio button show what their states mean: a sign when it is on, none when it is off.

Makers that fill forms draw them anew (ISO 32000-2 clause 12.7.5.2): a ground, a frame and, for the states other than Off, a dingbat or a shape.
Anything else cannot be told. Errors: none outside.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.appearance import SHOWING, named, operations, strings
from verifier.formats.pdf.comparison import dictionary_of
from verifier.formats.pdf.drawing import IDENTITY, Box, Matrix, box_of, hull, matrix_of, numbers, product, rgb
from verifier.formats.pdf.fonts import Familiar, Unknown, letters
from verifier.formats.pdf.sheet import MIN_CONTRAST, WHITE
from verifier.formats.pdf.veils import Path, Point
from verifier.formats.pdf.words import plain

_COVERING = 0.75
"""Of a box's side: what spans it is its ground or its frame."""
_FULL = 0.7
"""Of a shape's own box: so much of it a rectangle and a circle fill, and a cross or a tick does not."""
_EDGE = 0.15
"""Of a box's side: so far from the edge lies its frame."""
_SIGN = 0.25
"""Of a box's side: a smaller sign is overlooked."""
_SIGNS = frozenset("Xx✓✔✕✖✗✘•●■*√レ")
_FILLS = frozenset({"f", "F", "f*", "B", "B*", "b", "b*"})
_STROKES = frozenset({"S", "s", "B", "B*", "b", "b*"})
_COLOURS = {"g": 1, "rg": 3, "k": 4}
_SILENT = frozenset({"BMC", "EMC", "BDC", "DP", "MP", "ET", "j", "J", "d", "i", "M", "ri", "BX", "EX", "TL", "Tc", "Tw"})


def shows_states(node: Any, familiar: Familiar) -> bool:
    """Whether each state of a button shows what it means."""
    appearance = dictionary_of(node.get("/AP"))
    normal = appearance.get("/N") if appearance is not None else None
    if not isinstance(normal, pikepdf.Dictionary) or isinstance(normal, pikepdf.Stream):
        return False
    try:
        return all(isinstance(s, pikepdf.Stream) and _has_sign(s, familiar) == (state != "/Off") for state, s in normal.items())
    except (Malformed, Unknown, TypeError, ValueError, ArithmeticError):
        return False


def _has_sign(stream: Any, familiar: Familiar) -> bool:
    if list(stream.get("/Matrix", IDENTITY))[:4] != [1, 0, 0, 1] or "/OC" in stream:
        raise Unknown
    drawing = _Drawing(stream, box_of(stream.get("/BBox")), familiar)
    for operation in operations(stream):
        drawing.take(str(operation.operator), operation.operands)
    return drawing.signed


@dataclass(frozen=True, slots=True)
class _State:
    matrix: Matrix = IDENTITY
    fill: tuple[float, ...] = (0.0, 0.0, 0.0)
    stroke: tuple[float, ...] = (0.0, 0.0, 0.0)
    width: float = 1.0


@dataclass(slots=True)
class _Drawing:
    stream: Any
    box: Box
    familiar: Familiar
    signed: bool = False
    state: _State = field(default_factory=_State)
    saved: list[_State] = field(default_factory=list)
    ground: tuple[float, ...] = WHITE
    path: Path = field(default_factory=lambda: Path(IDENTITY))
    clips: bool = False
    font: Any = None
    size: float = 0.0
    line: Matrix = IDENTITY

    def take(self, name: str, operands: Any) -> None:
        """One operator. Unknown for those that no maker of buttons needs."""
        if name in _COLOURS or name.lower() in _COLOURS:
            colour = rgb(numbers(operands, _COLOURS[name.lower()]))
            self.state = replace(self.state, fill=colour) if name in _COLOURS else replace(self.state, stroke=colour)
        elif name in {"m", "l", "c", "v", "y", "re", "h"}:
            self.path.matrix = self.state.matrix
            self.path.add(name, operands)
        elif name in {"W", "W*"}:
            self.clips = True
        elif name in _FILLS or name in _STROKES or name == "n":
            self._paint(name)
        elif name in {"Tf", "BT", "Td", "TD", "Tm"} or name in SHOWING:
            self._write(name, operands)
        else:
            self._set(name, operands)

    def _set(self, name: str, operands: Any) -> None:
        if name == "q":
            self.saved.append(self.state)
        elif name == "Q":
            self.state = self.saved.pop() if self.saved else self.state
        elif name == "cm":
            self.state = replace(self.state, matrix=product(matrix_of(operands), self.state.matrix))
        elif name == "w":
            self.state = replace(self.state, width=numbers(operands, 1)[0])
        elif name == "gs":
            plain(named(self.stream, "/ExtGState", operands))
        elif name not in _SILENT or (name in {"BDC", "DP"} and str(operands[0]) == "/OC"):
            raise Unknown

    def _paint(self, name: str) -> None:
        parts = [[*part, part[0]] for part in self.path.parts if len(part) > 1]
        if self.clips and not (len(parts) == 1 and self._is_whole(parts[0])):
            raise Unknown
        for part in parts:
            if name in _FILLS:
                self._shape(part, self.state.fill, filled=True)
            if name in _STROKES and self.state.width > 0:
                self._shape(part, self.state.stroke, filled=False)
        self.path, self.clips = Path(IDENTITY), False

    def _shape(self, part: list[Point], colour: tuple[float, ...], *, filled: bool) -> None:
        if self._is_whole(part):
            if filled:
                if self.signed:
                    raise Unknown
                self.ground = colour
        elif not all(self._is_edge(side) for side in _sides(part)):
            self._sign(_box(part), colour)

    def _sign(self, box: Box, colour: tuple[float, ...]) -> None:
        """A sign that people see: in its box, large enough, of another colour than its ground."""
        large = any(box[i + 2] - box[i] >= _SIGN * (self.box[i + 2] - self.box[i]) for i in (0, 1))
        inside = all(self.box[i] <= (box[i] + box[i + 2]) / 2 <= self.box[i + 2] for i in (0, 1))
        if not (large and inside) or max(abs(a - b) for a, b in zip(colour, self.ground, strict=True)) < MIN_CONTRAST:
            raise Unknown
        self.signed = True

    def _is_whole(self, part: list[Point]) -> bool:
        """Whether a shape is a rectangle or a circle about as large as the box."""
        box = _box(part)
        area = abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(part))) / 2
        broad = all(box[i + 2] - box[i] >= _COVERING * (self.box[i + 2] - self.box[i]) for i in (0, 1))
        return broad and area >= _FULL * (box[2] - box[0]) * (box[3] - box[1])

    def _is_edge(self, side: Box) -> bool:
        bands = [_EDGE * (self.box[i + 2] - self.box[i]) for i in (0, 1)]
        return any(side[i + 2] <= self.box[i] + bands[i] or side[i] >= self.box[i + 2] - bands[i] for i in (0, 1))

    def _write(self, name: str, operands: Any) -> None:
        if name == "BT":
            self.line = IDENTITY
        elif name == "Tm":
            self.line = matrix_of(operands)
        elif name == "Tf":
            self.font, self.size = named(self.stream, "/Font", operands), float(operands[1])
        elif name in {"Td", "TD"}:
            x, y = numbers(operands, 2)
            self.line = product((1, 0, 0, 1, x, y), self.line)
        elif data := b"".join(strings(operands)).strip():
            a, b, c, d, x, y = product(self.line, self.state.matrix)
            if self.font is None or b or c or min(a, d) <= 0 or not self._is_sign(data):
                raise Unknown
            self._sign((x, y, x + 0.6 * a * self.size, y + 0.6 * d * self.size), self.state.fill)

    def _is_sign(self, data: bytes) -> bool:
        """Every dingbat is one; of letters those that people tick with."""
        if str(self.font.get("/BaseFont")) == "/ZapfDingbats" and not {"/FontDescriptor", "/Widths"} & set(self.font.keys()):
            encoding = self.font.get("/Encoding")
            return len(data) == 1 and not isinstance(encoding, pikepdf.Dictionary)
        return letters(self.font, self.familiar)(data) in _SIGNS


def _box(part: list[Point]) -> Box:
    return hull([(*p, *p) for p in part])


def _sides(part: list[Point]) -> Iterator[Box]:
    return (hull([(*a, *a), (*b, *b)]) for a, b in pairwise(part))
