"""Places and colours in content streams (ISO 32000-2 clauses 8.3 and 8.6): matrices, boxes, components. Errors: Unknown."""

from typing import Any

from verifier.formats.pdf.fonts import Unknown

Matrix = tuple[float, float, float, float, float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""
IDENTITY: Matrix = (1, 0, 0, 1, 0, 0)


def numbers(operands: Any, count: int) -> list[float]:
    found = [float(o) for o in operands]
    if len(found) != count:
        raise Unknown
    return found


def matrix_of(operands: Any) -> Matrix:
    a, b, c, d, e, f = numbers(operands, 6)
    return a, b, c, d, e, f


def product(one: Matrix, other: Matrix) -> Matrix:
    a, b, c, d, e, f = one
    g, h, i, j, k, m = other
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m


def bounds(matrix: Matrix, box: Box) -> Box:
    """The box, moved, as a box."""
    a, b, c, d, e, f = matrix
    corners = [(a * x + c * y + e, b * x + d * y + f) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def hull(boxes: list[Box]) -> Box:
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def box_of(value: Any) -> Box:
    left, bottom, right, top = (float(v) for v in value)
    return min(left, right), min(bottom, top), max(left, right), max(bottom, top)


def extent(rectangle: Any) -> float:
    """The longer side of a rectangle in points; infinite for what is none."""
    try:
        left, bottom, right, top = (float(v) for v in rectangle)
    except (TypeError, ValueError):
        return float("inf")
    return max(abs(right - left), abs(top - bottom))


def rgb(components: list[float]) -> tuple[float, ...]:
    if len(components) == 4:
        *cmy, black = components
        return tuple(max(0.0, 1 - c - black) for c in cmy)
    return tuple(components * 3) if len(components) == 1 else tuple(components)
