"""The sheet that an appearance is drawn on: which letters lie where, in which lines, on which ground, and whether people can see them.

Letters count as seen where they begin inside of the box and of every clip, differ from what is painted below them, and follow each other as text
does: a gap, a shift or a run of spaces may not push the rest of a value out of the box. How broad letters are is not asked: the least is taken.
Errors: Unknown.
"""

import unicodedata
from dataclasses import dataclass, field

from verifier.formats.pdf.drawing import IDENTITY, Box, Matrix
from verifier.formats.pdf.fonts import Letters, Unknown

MAX_SIZE = 1.6
"""Of a letter beside its box: higher ones show a part of themselves."""
WIDTH = 0.6
"""Of a letter's height, on the average at the most."""
MIN_CONTRAST = 0.15
"""Of a colour component, between a letter and what is painted below it."""
SPANNING = 0.6
"""Of a box's side: a fill that spans it is a background, or a bar in a list."""
FRAMING = 0.8
"""Of a box's side: a stroke that spans it is a border or a divider."""
_BAR = 5.0
"""Points: a fill that is lower is a line."""
_BAND = 3.0
"""Points: so near to the edges of the box lie borders and bevels."""
LOOSE = 0.3
"""Of a letter's width: a larger gap is none that a font makes."""
_BLANKS = 3
"""Spaces in a row that are more than a gap between words."""
_FOLLOWING = 2.5
"""Of a letter's height: the next line is no farther away."""
_ALIKE = 1.15
"""Times the size that the field says: no larger are letters that run out of the box because the value is long."""
_NARROW = frozenset("ijltfrIJ.,:;'|!()[]{}-/\\\"`")
WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class State:
    """The graphics state (table 51), as far as letters need it."""

    matrix: Matrix = IDENTITY
    colour: tuple[float, ...] = (0.0, 0.0, 0.0)
    components: int = 1
    """Of the colour space that is set."""
    clips: tuple[Box, ...] = ()
    letters: Letters | None = None
    size: float = 0.0
    leading: float = 0.0
    spacing: float = 0.0
    """Between letters (Tc), and more between words (Tw)."""
    words: float = 0.0
    stretch: float = 1.0
    """Tz."""
    rise: float = 0.0
    width: float = 1.0
    """Of lines."""

    @property
    def is_odd(self) -> bool:
        """Whether letters are put over each other, or out of their line."""
        return min(self.spacing, self.words) < -0.2 * self.size or abs(self.rise) > 0.5 * self.size


@dataclass(frozen=True, slots=True)
class Shape:
    """A part of a path."""

    box: Box
    sides: tuple[Box, ...]
    """Its lines, each as a box."""
    solid: bool
    """Filled, it fills its box."""


@dataclass(slots=True)
class Sheet:
    """What has been drawn so far."""

    box: Box
    given: float
    """The size of letters that the field says; 0 where they are fitted into the box."""
    comb: bool = False
    """Letters have cells of their own."""
    lines: list[tuple[str, tuple[float, ...]]] = field(default_factory=list)
    """With the ground that each begins on."""
    heights: list[float] = field(default_factory=list)
    painted: list[tuple[tuple[float, ...], Box, bool]] = field(default_factory=list)
    """Colours and where they lie, and whether they fill all of that."""
    shown: list[Box] = field(default_factory=list)
    """Where letters are, at the most."""
    pen: float = 0.0
    """Where the next letter begins at the least."""
    line: float | None = None
    """The base line; None before the first letter."""
    inside: int = 0
    """Lines that lie in the box."""
    loose: bool = False
    """Something else than the letters before decides where on its line the next one stands."""
    blanks: int = 0

    def show(self, text: str, at: tuple[float, float] | None, em: tuple[float, float], state: State) -> None:
        """Letters at a place; None where they go on from the last. `em` is how broad and how high a letter of size 1 em is."""
        if not text:
            return
        across, height = em
        if not 0 < height <= MAX_SIZE * (self.box[3] - self.box[1]) or not height / 4 <= across <= 5 * height:
            raise Unknown
        self.heights.append(min(em))
        if at is not None:
            self._place(at, across, height, state)
        if self.line is None:
            raise Unknown
        self._contrast(self.pen, self.line, height, len(text), state)
        self.shown.append((self.pen, self.line - 0.2 * height, self.pen + WIDTH * across * len(text), self.line + 0.75 * height))
        self.lines[-1] = self.lines[-1][0] + text, self.lines[-1][1]
        shift = state.spacing * across / state.size
        self.loose |= shift > LOOSE * across
        for character in text:
            self._letter(character, across, height, state)
            self.pen += shift

    def gap(self, ems: float, across: float) -> None:
        """An adjustment between letters."""
        if ems < -0.25:
            raise Unknown
        self.loose |= ems > LOOSE
        self.pen += ems * across

    def _letter(self, character: str, across: float, height: float, state: State) -> None:
        if character.isspace():
            self.blanks += 1
            self.loose |= self.blanks >= _BLANKS or state.words > state.size
            self.pen += 0.2 * across + state.words * across / state.size
            return
        self.blanks = 0
        right = min(b[2] for b in (self.box, *state.clips))
        # A long value may run out of its box, but only at the size that its field says, and only by its own letters.
        if self.pen + (0.25 * across if self.loose else 0) > right and (self.loose or not height <= _ALIKE * self.given):
            raise Unknown
        self.pen += _least(character) * across

    def _place(self, at: tuple[float, float], across: float, height: float, state: State) -> None:
        x, y = at
        boxes = (self.box, *state.clips)
        if any(x < left - 0.2 * height or y + 0.4 * height > top for left, _, _, top in boxes):
            raise Unknown
        fresh = self.line is None or y < self.line - 0.2 * height
        # Lines of a long text leave the box at its bottom, one after the other.
        if any(y < bottom - 0.35 * height for _, bottom, _, _ in boxes):
            if fresh and (self.inside < 2 or self.line is None or self.line - y > _FOLLOWING * height):
                raise Unknown
        elif fresh:
            self.inside += 1
        if self.line is not None and not fresh and not (abs(y - self.line) <= 0.5 * height and x >= self.pen - 0.1 * across):
            raise Unknown
        self.loose = not fresh or x > self.box[0] + 0.25 * (self.box[2] - self.box[0])
        self.blanks = 0
        if fresh:
            self.lines.append(("", self._ground(x + 0.1 * height, y + 0.25 * height)))
        self.pen, self.line = x, y if fresh or self.line is None else self.line

    @property
    def ground(self) -> tuple[float, ...]:
        """The background of the whole box."""
        found = (c for c, box, solid in reversed(self.painted) if solid and all(_spans(box, self.box, 0.9, axis) for axis in (0, 1)))
        return next(found, WHITE)

    def _ground(self, x: float, y: float) -> tuple[float, ...]:
        found = (c for c, (left, bottom, right, top), solid in reversed(self.painted) if solid and left <= x <= right and bottom <= y <= top)
        return next(found, WHITE)

    def _contrast(self, x: float, y: float, height: float, count: int, state: State) -> None:
        """Letters must differ from all that shows below them: from the last paint back to one that lies below the whole run, or to the page."""
        right = min(x + WIDTH * height * count, self.box[2] - self._band)
        below: list[tuple[float, ...]] = []
        for colour, (left, bottom, end, top), solid in reversed(self.painted):
            if left <= right and x <= end and bottom <= y + height / 2 and y <= top:
                below.append(colour)
                if solid and left <= x and right <= end and bottom <= y + height / 4 and y + height / 2 <= top:
                    break
        else:
            below.append(WHITE)
        if any(max(abs(a - b) for a, b in zip(colour, state.colour, strict=True)) < MIN_CONTRAST for colour in below):
            raise Unknown

    def paint(self, path: "list[Shape]", state: State, *, fill: bool) -> None:
        """Backgrounds, bars, frames and dividers; anything else could be a letter, or a line through one."""
        for shape in path:
            box = shape.box
            if fill and any(_meet(box, area) for area in self.shown):
                raise Unknown
            if not (self._is_ground(shape) if fill else self._is_line(shape)):
                raise Unknown
            if fill:
                self.painted.append((state.colour, box, shape.solid and len(path) == 1))
        if not fill and state.width > 0.3 * (self.box[3] - self.box[1]):
            raise Unknown

    @property
    def _band(self) -> float:
        """How far from its edges the frame of the box reaches."""
        return max(_BAND, 0.12 * min(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    def _is_ground(self, shape: Shape) -> bool:
        """Whether a fill is a background, a bar behind a line of a list, or a bevel along the edges."""
        box = shape.box
        if shape.solid and any(_spans(box, self.box, SPANNING, axis) for axis in (0, 1)) and min(box[3] - box[1], box[2] - box[0]) >= _BAR:
            return True
        return any(_spans(box, self.box, FRAMING, axis) for axis in (0, 1)) and all(any(self._edges(side)) for side in shape.sides)

    def _is_line(self, shape: Shape) -> bool:
        """Whether a stroke frames the box, runs along an edge of it, or stands between the cells of a comb."""
        if shape.solid and all(_spans(shape.box, self.box, FRAMING, axis) for axis in (0, 1)):
            return True
        return all(self._is_divider(side) for side in shape.sides)

    def _is_divider(self, side: Box) -> bool:
        beside, level = self._edges(side)
        broad, high = (_spans(side, self.box, FRAMING, axis) for axis in (0, 1))
        if self.comb and ((high and side[2] - side[0] < 1) or (level and side[2] - side[0] >= _BAR)):
            return True
        return (level and broad) or (beside and high)

    def _edges(self, side: Box) -> tuple[bool, bool]:
        """Whether a line lies along the left or the right edge, and along the upper or the lower one."""
        left, bottom, right, top = self.box
        band = self._band
        return side[2] <= left + band or side[0] >= right - band, side[3] <= bottom + band or side[1] >= top - band


def _least(character: str) -> float:
    """How broad a letter is at the least, as a part of its size."""
    if unicodedata.combining(character):
        return 0.0
    if character in _NARROW:
        return 0.15
    if unicodedata.east_asian_width(character) in "WF":
        return 0.45
    return 0.38 if character.isdigit() or character.isupper() else 0.25


def _meet(one: Box, other: Box) -> bool:
    return all(one[i] < other[i + 2] and other[i] < one[i + 2] for i in (0, 1))


def _spans(box: Box, whole: Box, part: float, axis: int) -> bool:
    """Whether a box is about as wide (axis 0) or as high (axis 1) as the whole."""
    return box[axis + 2] - box[axis] >= part * (whole[axis + 2] - whole[axis])
