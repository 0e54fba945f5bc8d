"""What a picture of a page shows below a rectangle: nothing, something, or nobody knows (ISO 32000-2 clause 8.9). Scanned pages are pictures.

Only plain samples are looked at, grey or of three colours, of eight bits; what is compressed as a photograph or a fax is not. Errors: none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trust.errors import Malformed
from verifier.formats.pdf.drawing import Box, Matrix
from verifier.formats.pdf.store import decoded

MAX_LOOKED = 192 << 20
"""Bytes of samples, of all pictures together."""
MAX_SAMPLES = 32 << 20
"""Bytes: a page of A4 in colours, at 300 dots an inch, has 26 MB."""
CONTRAST = 80
"""Of 255: paper that was scanned differs less from itself, and ink more from paper."""
_COMPONENTS = {"/DeviceGray": 1, "/CalGray": 1, "/DeviceRGB": 3, "/CalRGB": 3}


@dataclass(slots=True)
class Looked:
    """How many samples of a file's pictures were looked at: a file of many revisions has each page in all of them."""

    samples: int = 0

    def take(self, count: int) -> None:
        self.samples += count
        if self.samples > MAX_LOOKED:
            raise Malformed(f"pictures have more than {MAX_LOOKED} samples")


def blank_below(picture: Any, matrix: Matrix, rectangle: Box, looked: Looked) -> bool | None:
    """Whether the part of a picture that lies below a rectangle shows nothing; None where it cannot be told. `matrix` is the picture's place."""
    try:
        rows = list(_rows(picture, matrix, rectangle, looked))
    except (Malformed, TypeError, ValueError, ArithmeticError):
        return None
    for samples, components in rows:
        if not samples:
            continue
        if any(max(part) - min(part) > CONTRAST for part in (samples[i::components] for i in range(components)) if part):
            return False
    lines = [samples[:components] for samples, components in rows if samples]
    return not any(max(part) - min(part) > CONTRAST for part in zip(*lines, strict=True))


def _rows(picture: Any, matrix: Matrix, rectangle: Box, looked: Looked) -> Iterator[tuple[bytes, int]]:
    """The samples of each line that lies below the rectangle."""
    width, height = int(picture.get("/Width")), int(picture.get("/Height"))
    components = _COMPONENTS.get(str(picture.get("/ColorSpace")), 0)
    a, b, c, d, x, y = matrix
    stride = width * components
    if not components or int(picture.get("/BitsPerComponent", 0)) != 8 or min(a, d) <= 0 or b or c or not 0 < stride * height <= MAX_SAMPLES:
        raise ValueError
    if any(key in picture for key in ("/SMask", "/Mask", "/Decode")):
        raise ValueError
    looked.take(stride * height)
    data = decoded(picture, MAX_SAMPLES)
    left, right = (_sample((rectangle[i] - x) / a, width) for i in (0, 2))
    bottom, top = (_sample(1 - (rectangle[i] - y) / d, height) for i in (1, 3))
    for row in range(top, min(bottom + 1, height)):
        yield data[row * stride + left * components : row * stride + min(right + 1, width) * components], components


def _sample(part: float, count: int) -> int:
    return min(count, max(0, int(part * count)))
