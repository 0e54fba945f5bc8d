"""What an annotation hides (ISO 32000-2 clauses 11.6.4 and 12.5.5): paint that nothing shines through, and the letters of the page below it.

Errors: none; what cannot be read hides.
"""

import functools
from collections.abc import Iterator
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.appearance import MAX_TOKENS, SHOWING, named, operations, streams, tokens
from verifier.formats.pdf.comparison import array_of, dictionary_of
from verifier.formats.pdf.drawing import IDENTITY, Box, Matrix, bounds, box_of, hull, matrix_of, numbers, product, rgb
from verifier.formats.pdf.file import reading
from verifier.formats.pdf.pictures import Looked, blank_below
from verifier.formats.pdf.store import DECODED, decoded
from verifier.formats.pdf.veils import PAPER, Grid, Mark, border, marks, opaque

THIN = 4.0
"""Points: a box so low is a line below words or through them."""
BROAD = 12.0
"""Points: a stroke so broad is a bar."""
_FILLS = frozenset({"f", "F", "f*", "B", "B*", "b", "b*"})
_STROKES = frozenset({"S", "s", "B", "B*", "b", "b*"})
_DEPTH = 8
_LONGEST = 16 << 20
"""Bytes of the content of a page."""
_OTHERWISE = 1 << 15
"""Bytes of content that is encoded in another way than most, as it is encoded."""


def hides(annotation: Any, below: "Below | None" = None) -> bool:
    """Whether an annotation paints what nothing can be read through: areas, bars, pictures, all of it together.

    `below` is the page: strokes that are solid over its letters or pictures hide, though they are no broader than a pen's.
    """
    try:
        if border(annotation) > BROAD:
            return True
        found = opaque(marks(annotation))
        # Readers that draw a mark themselves draw it where it says, whatever its rectangle.
        outside = [] if "/AP" in annotation else [box for mark in found for box in mark.boxes]
        return _covers(found, hull([box_of(annotation.get("/Rect")), *outside]), below)
    except (Malformed, TypeError, ValueError, ArithmeticError):
        return True


def hides_now(node: Any) -> bool:
    """The same of a widget in its state; readers that draw it themselves begin with its background."""
    style = dictionary_of(node.get("/MK"))
    if "/AP" not in node and style is not None and array_of(style.get("/BG")):
        return True
    try:
        return _covers(opaque(marks(node, states=False)), box_of(node.get("/Rect")), None)
    except (Malformed, TypeError, ValueError, ArithmeticError):
        return True


def veiled(annotations: list[Any], below: "Below") -> bool:
    """Whether remarks that hide nothing for themselves do so together."""
    found, boxes = [], []
    try:
        for annotation in annotations:
            found += marks(annotation)
            boxes.append(box_of(annotation.get("/Rect")))
        return bool(boxes) and _covers(opaque(found), hull(boxes), below)
    except (Malformed, TypeError, ValueError, ArithmeticError):
        return True


def _covers(solid: list[Mark], rectangle: Box, below: "Below | None") -> bool:
    areas = [box for mark in solid if not mark.stroked for box in mark.boxes]
    if any(min(box[2] - box[0], box[3] - box[1]) > THIN for box in areas):
        return True
    if not solid:
        return False
    for boxes, side in ((areas, THIN), ([box for mark in solid for box in mark.boxes], BROAD)):
        grid = Grid(rectangle)
        for box in boxes:
            grid.paint(box)
        if any(grid.blocks(side + 1)):
            return True
    return below is not None and any(grid.blocks(THIN + 1)) and (below.pictured(rectangle) or grid.solid_at(iter(below.letters), THIN + 1))


def blank(annotation: Any, below: "Below") -> bool:
    """Whether an icon is painted in nothing but white, or with white over what the page shows: it looks like paper, and covers."""
    try:
        colours = [c for stream in streams(annotation.get("/AP")) for c in _colours(stream, 0)]
        white = [min(c) >= PAPER for c in colours]
        papers = [b for mark in opaque(marks(annotation)) if mark.white for b in mark.boxes if min(b[2] - b[0], b[3] - b[1]) > THIN]
        over = bool(papers) and (below.lettered(annotation.get("/Rect")) or below.pictured(box_of(annotation.get("/Rect"))))
    except (Malformed, TypeError, ValueError, ArithmeticError):
        return True
    return bool(colours) and (all(white) or over)


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


Picture = tuple[Matrix, Any]
"""Where it lies, and its stream; None where it stands in the content."""


class Below:
    """What a page draws by itself: the middles of its letters, and where its pictures lie. Read when it is asked for."""

    def __init__(self, page: Any, looked: Looked) -> None:
        self._page = page
        self._looked = looked

    @functools.cached_property
    def _drawn(self) -> tuple[list[tuple[float, float]], list[Picture]]:
        pictures: list[Picture] = []
        return list(_letters(self._page, self._page, IDENTITY, 0, pictures)), pictures

    @property
    def letters(self) -> list[tuple[float, float]]:
        return self._drawn[0]

    def lettered(self, rectangle: Any) -> bool:
        """Whether letters have their middle in the rectangle; also where that cannot be read."""
        try:
            left, bottom, right, top = box_of(rectangle)
            return any(left < x < right and bottom < y < top for x, y in self.letters)
        except (Malformed, TypeError, ValueError, ArithmeticError):
            return True

    def pictured(self, rectangle: Box) -> bool:
        """Whether a picture of the page reaches into the rectangle."""
        return any(self._pictures(rectangle))

    def inked(self, rectangle: Any, *, opaque: bool) -> bool:
        """Whether a picture of the page shows something in the rectangle. Of what cannot be told, a long page too: whether it is seen no more."""
        try:
            box = box_of(rectangle)
            found = [None if picture is None else blank_below(picture, matrix, box, self._looked) for matrix, picture in self._pictures(box)]
        except (Malformed, TypeError, ValueError, ArithmeticError):
            return True
        return any(blank is False or (blank is None and opaque) for blank in found) or (opaque and not _moderate(self._page))

    def _pictures(self, rectangle: Box) -> "Iterator[Picture]":
        for matrix, picture in self._drawn[1]:
            box = bounds(matrix, (0, 0, 1, 1))
            if all(min(rectangle[i + 2], box[i + 2]) > max(rectangle[i], box[i]) for i in (0, 1)):
                yield matrix, picture


def _letters(page: Any, stream: Any, matrix: Matrix, depth: int, pictures: list[Picture]) -> Iterator[tuple[float, float]]:
    """The middles of the letters that a page or a form on it draws, in the page's space; pictures are put into the list."""
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
                yield from _letters(page, inner, product(matrix_of(array_of(inner.get("/Matrix")) or list(IDENTITY)), matrix), depth + 1, pictures)
            elif inner is not None:
                pictures.append((matrix, inner))
        elif name == "INLINE IMAGE":
            pictures.append((matrix, None))


def _moderate(stream: Any) -> bool:
    """Whether a page's content, or a form's on it, may be read: of a longer one nothing is told of its letters."""
    contents = stream if isinstance(stream, pikepdf.Stream) else stream.get("/Contents")
    parts = array_of(contents) if isinstance(contents, pikepdf.Array) else [contents]
    count, left = 0, _LONGEST
    for part in parts:
        if isinstance(part, pikepdf.Stream):
            data = _content(part, left)
            if data is None:
                return False
            count, left = count + tokens(data), left - len(data)
    return count <= MAX_TOKENS


def _content(part: Any, limit: int) -> bytes | None:
    try:
        return decoded(part, limit)
    except Malformed:
        # Old pages are encoded in other ways: how long they become is not known before.
        filters = part.get("/Filter")
        names = {str(f) for f in (array_of(filters) or [filters])}
        if (names <= DECODED and "/DecodeParms" not in part) or len(part.read_raw_bytes()) > _OTHERWISE:
            return None
    with reading("a page is broken"):
        data: bytes = part.read_bytes()
        return data


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
