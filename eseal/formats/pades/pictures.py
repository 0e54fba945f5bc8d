"""Pictures for a visible seal: PNG and JPEG, decoded and written anew, so that nothing but their pixels gets into the document."""

import io
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import segno
from PIL import Image

from eseal.pdf_seal import LARGEST_IMAGE
from trust.errors import Malformed, TooLarge, Unacceptable
from trust.model import Document

MOST_PIXELS = 4_000_000
"""2000 x 2000: a seal of 24 mm at 2000 dots an inch. A file of some bytes may unpack to a thousand times that."""
QUIET = 4
"""Modules of margin around a QR code (ISO/IEC 18004 clause 6.3.8)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """8 bits a sample, rows from the top, packed by zlib."""

    width: int
    height: int
    colours: int
    """1 for grey, 3 for red, green and blue."""
    samples: bytes
    opacity: bytes | None
    """A sample for each pixel; None where all is opaque."""


def picture(file: Document) -> Picture:
    """Malformed for what is neither PNG nor JPEG or is broken, TooLarge above MOST_PIXELS."""
    data = file.read(LARGEST_IMAGE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, of sizes that are refused here
            opened = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
            if opened.width * opened.height > MOST_PIXELS:
                raise TooLarge(f"the image has {opened.width} x {opened.height} pixels; at most {MOST_PIXELS} are drawn")
            opened.load()
            has_opacity = "A" in opened.getbands() or "transparency" in opened.info
            whole = opened.convert("RGBA") if has_opacity else None
            grey = whole is None and opened.mode in {"1", "L"}
            plain = (whole or opened).convert("L" if grey else "RGB")
    except (TooLarge, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise TooLarge(f"the image unpacks to more than the {MOST_PIXELS} pixels that are drawn") from error
    except Exception as error:  # a broken file makes Pillow raise a dozen kinds that share no base: IndexError, struct.error, zlib.error …
        raise Malformed("the image cannot be read: a PNG or JPEG file is expected") from error
    opacity = zlib.compress(whole.getchannel("A").tobytes()) if whole is not None else None
    return Picture(plain.width, plain.height, 1 if grey else 3, zlib.compress(plain.tobytes()), opacity)


def qr_modules(text: str) -> Sequence[Sequence[bool]]:
    """ISO/IEC 18004: the modules of a code with this text, dark ones true, without margin; error correction M."""
    try:
        code = segno.make(text, error="m", micro=False)
    except segno.DataOverflowError as error:
        raise Unacceptable("the text is too long for a QR code") from error
    return tuple(tuple(bool(module) for module in row) for row in code.matrix)
