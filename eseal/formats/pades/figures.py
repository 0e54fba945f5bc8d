"""The figures of visible seals as PDF drawing operators (ISO 32000-1 clauses 8 and 9): the square seal, the plate, the QR code, lines of words."""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eseal.formats.pades.letters import Face, Glyph
from eseal.formats.pades.pictures import QUIET
from trust.errors import Unacceptable

VERMILION = "0.784 0.125 0.110"
"""The red of seal ink (朱), as red, green and blue."""
INK = "0.1 0.1 0.1"
MOST_COLUMNS = 5
SIZES = (12.0, 11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0)
"""Of words, in points: the largest that fits is taken."""
LEADING = 1.35
_ENDINGS = ("之印", "印", "")
"""What the engravers of seals add to a name so that it fills the square."""
_NOT_FIRST = frozenset("、。，．・：；？！）〕］｝」』】ー々ゝヽ,.:;?!)]}%")
"""Not at the beginning of a line (JIS X 4051)."""


@dataclass(frozen=True, slots=True)
class Box:
    left: float
    bottom: float
    width: float
    height: float

    def inset(self, by: float) -> "Box":
        return Box(self.left + by, self.bottom + by, max(0.0, self.width - 2 * by), max(0.0, self.height - 2 * by))


def number(value: float) -> str:
    """As PDF has them: no exponents, no needless digits."""
    return f"{value:.3f}".rstrip("0").rstrip(".") or "0"


def operands(*values: float) -> str:
    return " ".join(number(v) for v in values)


def is_upright(name: str) -> bool:
    """Whether a name is written in characters that fill a square: ideographs and kana."""
    return all(unicodedata.east_asian_width(c) in "WF" or unicodedata.category(c) == "Mn" for c in name)


def columns(name: str) -> list[str]:
    """The columns of a square seal, the first at the right: as few as there can be, and the ending that leaves the least room."""
    letters = _letters(name)
    endings = ("",) if name.endswith("印") else _ENDINGS
    _, _, whole = min(_fit(letters + list(ending)) for ending in endings)
    across = _side(len(whole))
    rows = math.ceil(len(whole) / across)
    return ["".join(whole[i : i + rows]) for i in range(0, len(whole), rows)]


def _letters(name: str) -> list[str]:
    """Characters, each with its variation selector."""
    found: list[str] = []
    for char in name:
        if unicodedata.category(char) == "Mn" and found:
            found[-1] += char
        elif not char.isspace():
            found.append(char)
    return found


def _side(count: int) -> int:
    return math.isqrt(max(count, 1) - 1) + 1


def _fit(letters: list[str]) -> tuple[int, int, list[str]]:
    across = _side(len(letters))
    return across, across * across - len(letters), letters


def seal(name: str, face: Face, box: Box) -> str:
    """A 角印: the name in columns from the right to the left in a square frame; a plate where the name is not of such characters, or too long."""
    upright = is_upright(name) and len(_letters(name)) <= MOST_COLUMNS**2
    return _square(name, face, box) if upright else _plate(name, face, box)


def _square(name: str, face: Face, box: Box) -> str:
    side = min(box.width, box.height)
    frame = Box(box.left + (box.width - side) / 2, box.bottom + (box.height - side) / 2, side, side)
    line = 0.045 * side
    inner = frame.inset(2.1 * line)
    texts = columns(name)
    wide = inner.width / len(texts)
    drawn = [_frame(frame.inset(line / 2), line, 0.07 * side)]
    for index, text in enumerate(texts):
        glyphs = face.glyphs(text, upright=True)
        high = inner.height / len(glyphs)
        left = inner.left + inner.width - (index + 1) * wide
        drawn += [_filling(g, Box(left, inner.bottom + inner.height - (row + 1) * high, wide, high)) for row, g in enumerate(glyphs)]
    return _said(name, f"{VERMILION} rg {VERMILION} RG\n" + "\n".join(drawn))


def _filling(glyph: Glyph, cell: Box) -> str:
    """A letter that fills its cell as an engraved one does; one that is thin by nature keeps its shape."""
    left, bottom, right, top = glyph.bounds
    if right <= left or top <= bottom:
        return ""
    # Its ink fills nine tenths of the cell, but is stretched no further than its em square would be by a fifth.
    across = min(0.9 * cell.width / (right - left), 1.2 * cell.width / 1000)
    up = min(0.9 * cell.height / (top - bottom), 1.2 * cell.height / 1000)
    x = cell.left + cell.width / 2 - across * (left + right) / 2
    y = cell.bottom + cell.height / 2 - up * (bottom + top) / 2
    return f"BT /F {number(1)} Tf {_fine(1000 * across)} 0 0 {_fine(1000 * up)} {operands(x, y)} Tm <{glyph.number:04X}> Tj ET"


def _fine(value: float) -> str:
    return f"{value:.4f}"


def _plate(name: str, face: Face, box: Box) -> str:
    """A frame of two lines with the name in the middle."""
    line = max(0.6, 0.03 * min(box.width, box.height))
    inner = box.inset(4.5 * line)
    text = words([name], face, inner, largest=72.0, middle=True)
    frames = _frame(box.inset(line / 2), line, 0) + "\n" + _frame(box.inset(2.2 * line), line / 2, 0)
    return f"{VERMILION} rg {VERMILION} RG\n{frames}\n{text}"


def _frame(box: Box, line: float, corner: float) -> str:
    x, y, right, top = box.left, box.bottom, box.left + box.width, box.bottom + box.height
    head = f"{number(line)} w "
    if not corner:
        return f"{head}{operands(x, y, box.width, box.height)} re S"
    k = 0.4477 * corner  # a quarter of a circle as a Bézier curve leaves so much of the corner
    parts = (
        f"{operands(x + corner, y)} m {operands(right - corner, y)} l {operands(right - k, y, right, y + k, right, y + corner)} c",
        f"{operands(right, top - corner)} l {operands(right, top - k, right - k, top, right - corner, top)} c",
        f"{operands(x + corner, top)} l {operands(x + k, top, x, top - k, x, top - corner)} c",
        f"{operands(x, y + corner)} l {operands(x, y + k, x + k, y, x + corner, y)} c h S",
    )
    return head + " ".join(parts)


def _said(text: str, drawn: str) -> str:
    """What a reader aloud, or a search, finds instead of the letters in their columns (ISO 32000-1 clause 14.9.4)."""
    return f"/Span << /ActualText <FEFF{text.encode('utf-16-be').hex().upper()}> >> BDC\n{drawn}\nEMC"


def code(modules: Sequence[Sequence[bool]], box: Box) -> str:
    """A QR code on white, with its margin; runs of dark modules are one rectangle."""
    count = len(modules) + 2 * QUIET
    side = min(box.width, box.height)
    left, top, step = box.left + (box.width - side) / 2, box.bottom + (box.height + side) / 2, side / count
    runs = []
    for row, line in enumerate(modules):
        start = None
        for column, dark in enumerate((*line, False)):
            if dark and start is None:
                start = column
            elif not dark and start is not None:
                x, y = left + (QUIET + start) * step, top - (QUIET + row + 1) * step
                runs.append(f"{_fine(x)} {_fine(y)} {_fine((column - start) * step)} {_fine(step)} re")
                start = None
    return f"1 g {operands(left, top - side, side, side)} re f\n0 g\n" + "\n".join(runs) + " f"


def words(lines: Iterable[str], face: Face, box: Box, *, largest: float = SIZES[0], middle: bool = False) -> str:
    """Lines of text, broken where they are too long, at the largest size that fits. Unacceptable where even the smallest does not."""
    texts = [face.glyphs(line) for line in lines]
    sizes = [s for s in (72.0, 60.0, 48.0, 40.0, 36.0, 32.0, 28.0, 24.0, 20.0, 18.0, 16.0, 14.0, *SIZES) if s <= largest]
    for size in sizes:
        broken = [part for glyphs in texts for part in _broken(glyphs, 1000 * box.width / size)]
        if broken and len(broken) * LEADING * size <= box.height and all(_width(b) * size <= 1000 * box.width for b in broken):
            break
    else:
        raise Unacceptable(f"the rectangle is too small for its text: at {SIZES[-1]:g} points it still does not fit")
    rise = (face.ascent + face.descent) / 2000 * size
    first = box.bottom + box.height / 2 + (len(broken) - 1) / 2 * LEADING * size - min(rise, 0.4 * size)
    drawn = []
    for index, part in enumerate(broken):
        x = box.left + (box.width - _width(part) * size / 1000) / 2 if middle else box.left
        text = "".join(f"{g.number:04X}" for g in part)
        drawn.append(f"1 0 0 1 {operands(x, first - index * LEADING * size)} Tm <{text}> Tj")
    return f"BT /F {number(size)} Tf\n" + "\n".join(drawn) + "\nET"


def _width(glyphs: Sequence[Glyph]) -> int:
    return sum(g.advance for g in glyphs)


def _broken(glyphs: Sequence[Glyph], width: float) -> list[list[Glyph]]:
    """In lines: at spaces where there are any, else between ideographs, and no line begins with a full stop."""
    lines: list[list[Glyph]] = [[]]
    for unit in _units(glyphs):
        if lines[-1] and _width(lines[-1]) + _width(_trimmed(unit)) > width:
            lines[-1] = _trimmed(lines[-1])
            lines.append([])
        lines[-1] += unit
    return [_trimmed(line) for line in lines if line]


def _units(glyphs: Sequence[Glyph]) -> list[list[Glyph]]:
    """What is not broken: words, and an ideograph with the marks that may not begin a line."""
    units: list[list[Glyph]] = []
    for glyph in glyphs:
        before = units[-1][-1].text if units else ""
        wide = unicodedata.east_asian_width(glyph.text[0]) in "WF"
        fresh = not units or before == " " or (wide and glyph.text not in _NOT_FIRST) or unicodedata.east_asian_width(before[0]) in "WF"
        if fresh and not (units and (glyph.text in _NOT_FIRST or glyph.text == " ")):
            units.append([])
        units[-1].append(glyph)
    return units


def _trimmed(glyphs: Sequence[Glyph]) -> list[Glyph]:
    kept = list(glyphs)
    while kept and kept[-1].text.isspace():
        kept.pop()
    return kept
