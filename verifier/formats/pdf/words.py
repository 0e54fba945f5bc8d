"""The words that the appearance of a field shows (ISO 32000-2 clauses 8.4, 9.4 and 12.7.4.3), told only where nothing about them is odd.

Makers draw a value with few operators: a background, a border, a clip, lines of text from left to right and from top to bottom. Anything that
could hide, reorder or counterfeit letters (pictures, curves, paint over text, colours that cannot be seen, letters outside of the box, no size)
makes the words unknown. Errors: none outside; Unknown inside.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.appearance import SHOWING, named, operations, strings
from verifier.formats.pdf.drawing import IDENTITY, Box, Matrix, bounds, box_of, hull, matrix_of, numbers, product, rgb
from verifier.formats.pdf.fonts import Familiar, Letters, Unknown, letters

MIN_SIZE = 2.0
"""Points: smaller letters are not read by people."""
WIDTH = 0.6
"""Of a letter's height, on the average at the most."""
MIN_CONTRAST = 0.15
"""Of a colour component, between a letter and what is painted below it."""
MAX_DETAILS = 8
"""Short strokes and small fills of bevels and frames; more could draw a letter."""
SPANNING = 0.6
"""Of a box's side: a stroke or fill that spans it is a border, a divider or a background."""
_COLOURS = {"g": (1,), "rg": (3,), "k": (4,), "sc": (1, 3, 4), "scn": (1, 3, 4)}
"""How many components each takes."""
_DEVICE = frozenset({"/DeviceGray", "/DeviceRGB", "/DeviceCMYK"})
_FILLS = frozenset({"f", "F", "f*", "B", "B*", "b", "b*"})
_STROKES = frozenset({"S", "s", "B", "B*", "b", "b*"})
_UNREADABLE = frozenset({"INLINE IMAGE", "BI", "sh", "c", "v", "y", "d0", "d1"})
"""Images, shadings and curves can draw letters without being text."""
_VISIBLE_BLENDS = frozenset({"/Normal", "/Compatible", "/Multiply", "/Darken"})


def words(stream: Any, familiar: Familiar, fonts: Mapping[str, Any]) -> str | None:
    """The text, white space left out; None where it cannot be told. `fonts` are those that the form lends to appearances without any."""
    try:
        page = _Sheet(box_of(stream.get("/BBox")))
        _draw(stream, _State(), page, _Fonts(familiar, fonts), 0)
    except (Malformed, Unknown, ValueError, TypeError):
        return None
    return re.sub(r"\s+", "", "".join(page.text))


@dataclass(frozen=True, slots=True)
class _Fonts:
    familiar: Familiar
    lent: Mapping[str, Any]

    def named(self, stream: Any, operands: Any) -> Letters:
        font = named(stream, "/Font", operands)
        if font is None:
            font = self.lent.get(str(operands[0])) if len(operands) else None
        if font is None:
            raise Unknown
        return letters(font, self.familiar)


@dataclass(frozen=True, slots=True)
class _State:
    """The graphics state (table 51), as far as letters need it."""

    matrix: Matrix = IDENTITY
    colour: tuple[float, ...] = (0.0, 0.0, 0.0)
    clips: tuple[Box, ...] = ()
    letters: Letters | None = None
    size: float = 0.0
    leading: float = 0.0
    width: float = 1.0
    """Of lines."""


@dataclass(slots=True)
class _Sheet:
    """What has been drawn so far."""

    box: Box
    text: list[str] = field(default_factory=list)
    painted: list[tuple[tuple[float, ...], Box]] = field(default_factory=list)
    details: int = 0
    last: tuple[float, float, float] | None = None
    """Where the last run of letters ends at the least, its base line, and the height of its letters."""

    def show(self, text: str, at: tuple[float, float] | None, height: float, state: _State) -> None:
        """Letters at a place; None where they go on from the last."""
        if not text:
            return
        if height < MIN_SIZE:
            raise Unknown
        if at is not None:
            self._place(at, height, state)
        if self.last is None:
            raise Unknown
        self._contrast(self.last[0], self.last[1], height, len(text), state)
        self.last = (self.last[0] + 0.15 * height * len(text), self.last[1], height)
        self.text.append(text)

    def _place(self, at: tuple[float, float], height: float, state: _State) -> None:
        x, y = at
        for left, bottom, right, top in (self.box, *state.clips):
            # Lines of a long text leave the box at its bottom; nothing begins beside it or above.
            if not (left - height <= x <= right and y <= top and (y >= bottom - height or self.text)):
                raise Unknown
        if self.last is not None:
            end, line, size = self.last
            if not (y < line - 0.2 * size or (abs(y - line) <= 0.5 * size and x >= end)):
                raise Unknown
        self.last = (x, y, height)

    def _contrast(self, x: float, y: float, height: float, count: int, state: _State) -> None:
        """Letters must differ from all that shows below them: from the last paint back to one that lies below the whole run, or to the page."""
        right = min(x + WIDTH * height * count, self.box[2])
        below: list[tuple[float, ...]] = []
        for colour, (left, bottom, end, top) in reversed(self.painted):
            if left <= right and x <= end and bottom <= y + height / 2 and y <= top:
                below.append(colour)
                if left <= x and right <= end and bottom <= y + height / 4 and y + height / 2 <= top:
                    break
        else:
            below.append((1.0, 1.0, 1.0))
        if any(max(abs(a - b) for a, b in zip(colour, state.colour, strict=True)) < MIN_CONTRAST for colour in below):
            raise Unknown

    def paint(self, shapes: list[Box], state: _State, *, fill: bool) -> None:
        if fill and self.text:
            raise Unknown
        for box in shapes:
            if not _spans(box, self.box):
                self.details += 1
            if fill:
                self.painted.append((state.colour, box))
        if self.details > MAX_DETAILS or (not fill and state.width > 0.3 * (self.box[3] - self.box[1])):
            raise Unknown


def _draw(stream: Any, state: _State, sheet: _Sheet, fonts: _Fonts, depth: int) -> None:
    if depth > 8 or "/OC" in stream:
        raise Unknown
    _Drawing(stream, state, sheet, fonts, depth).run()


class _Drawing:
    """One content stream being drawn."""

    def __init__(self, stream: Any, state: _State, sheet: _Sheet, fonts: _Fonts, depth: int) -> None:
        self._stream, self._state, self._sheet, self._fonts, self._depth = stream, state, sheet, fonts, depth
        self._saved: list[_State] = []
        self._line = self._text = IDENTITY
        self._moved = True
        self._path: list[Box] = []
        self._point = (0.0, 0.0)
        self._clip = False

    def run(self) -> None:
        for operation in operations(self._stream):
            name, operands = str(operation.operator), operation.operands
            if name in _UNREADABLE:
                raise Unknown
            if name in SHOWING:
                self._show(name, operands)
            elif name in _COLOURS:
                if len(operands) not in _COLOURS[name]:
                    raise Unknown
                self._state = replace(self._state, colour=rgb(numbers(operands, len(operands))))
            elif name in {"re", "m", "l", "h"}:
                self._construct(name, operands)
            elif name in {"W", "W*"}:
                self._clip = True
            elif name in _FILLS or name in _STROKES or name == "n":
                self._paint(name)
            elif name in {"Td", "TD", "Tm", "T*", "BT", "TL", "Tf", "Tc", "Tz", "Tr", "Ts"}:
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
            self._state = replace(self._state, colour=(0.0, 0.0, 0.0))
        elif name == "gs":
            _plain(named(self._stream, "/ExtGState", operands))
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
        elif name == "TL":
            self._state = replace(state, leading=numbers(operands, 1)[0])
        elif name == "Tf":
            self._state = replace(state, letters=self._fonts.named(self._stream, operands), size=float(operands[1]))
        elif name in {"Tr", "Tz", "Tc", "Ts"}:
            low, high = {"Tr": (0.0, 0.0), "Tz": (20.0, 1000.0)}.get(name, (-0.4 * state.size, 500.0))
            if not low <= numbers(operands, 1)[0] <= high:
                raise Unknown

    def _move(self, matrix: Matrix) -> None:
        self._line = self._text = matrix
        self._moved = True

    def _next_line(self) -> None:
        self._move(product((1, 0, 0, 1, 0, -self._state.leading), self._line))

    def _show(self, name: str, operands: Any) -> None:
        if name in {"'", '"'}:
            self._next_line()
        read = self._state.letters
        if read is None:
            raise Unknown
        if name == "TJ" and any(float(o) > 500 for o in _items(operands) if not isinstance(o, pikepdf.String)):
            raise Unknown
        whole = product(self._text, self._state.matrix)
        # The lesser of what a letter is wide and high: a matrix may flatten it. Mirrored or turned letters are not what a value looks like.
        height = min(abs(self._state.size) * whole[0], abs(self._state.size) * whole[3]) if self._state.size > 0 else 0.0
        for data in strings(operands):
            self._sheet.show(read(data), (whole[4], whole[5]) if self._moved else None, height, self._state)
            self._moved = self._moved and not data

    def _construct(self, name: str, operands: Any) -> None:
        matrix = self._state.matrix
        if name == "re":
            x, y, w, h = numbers(operands, 4)
            self._path.append(bounds(matrix, (x, y, x + w, y + h)))
        elif name == "m":
            self._point = (numbers(operands, 2)[0], numbers(operands, 2)[1])
        elif name == "l":
            x, y = numbers(operands, 2)
            self._path.append(bounds(matrix, (*self._point, x, y)))
            self._point = (x, y)

    def _paint(self, name: str) -> None:
        if self._clip and self._path:
            self._state = replace(self._state, clips=(*self._state.clips, hull(self._path)))
        if name in _FILLS and self._path:
            self._sheet.paint([hull(self._path)] if len(self._path) > 1 else self._path, self._state, fill=True)
        if name in _STROKES:
            self._sheet.paint(self._path, self._state, fill=False)
        self._path, self._clip = [], False


def _plain(state: Any) -> None:
    """An /ExtGState must leave letters as they are: neither transparent nor masked."""
    if state is None:
        return
    if any(key in state and float(state.get(key)) < 0.5 for key in ("/ca", "/CA")) or "/Font" in state:
        raise Unknown
    if str(state.get("/SMask", "/None")) != "/None" or str(state.get("/BM", "/Normal")) not in _VISIBLE_BLENDS:
        raise Unknown


def _items(operands: Any) -> Iterator[Any]:
    for operand in operands:
        yield from list(operand) if isinstance(operand, pikepdf.Array) else [operand]


def _spans(box: Box, whole: Box) -> bool:
    """Whether a box is about as wide or as high as the whole."""
    return any(box[i + 2] - box[i] >= SPANNING * (whole[i + 2] - whole[i]) for i in (0, 1))
