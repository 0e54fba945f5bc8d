"""That a sealed PDF shows what it showed before, in the eyes of qpdf, which shares no code with what wrote the update.

An update rewrites the catalog, the first page and the form. A file that two readers understand differently could come out with a page more, or
without its fonts; then there is no seal.
"""

import hashlib
import math
import re
from decimal import Decimal
from typing import Any, BinaryIO

import pikepdf
from pikepdf import Array, Dictionary, Name, Stream, String

from trust.errors import Malformed
from trust.model import Document

CATALOG = frozenset({"/AcroForm", "/DSS", "/Extensions", "/Version", "/Perms"})
"""What an update may change in the catalog."""
PAGE = frozenset({"/Annots"})
"""And in a page: fields are added there, and none are taken away."""
MAX_DEPTH = 12
"""Of what is compared entry by entry: resources with their fonts stand three deep."""
_OBJECT = re.compile(rb"(?<!\d)(\d{1,9}) (\d{1,5}) obj\b")


def require_unchanged(before: Document, after: Document, password: str | None) -> None:
    """Malformed unless both can be read, and have the same pages with the same content, and the same catalog but for what a seal brings."""
    secret = password or ""
    try:
        with before.open() as one, after.open() as two, _opened(one, secret) as old, _opened(two, secret) as new:
            same = len(old.pages) == len(new.pages) and all(_same_page(a.obj, b.obj) for a, b in zip(old.pages, new.pages, strict=True))
            same = same and _same_entries(old.Root, new.Root, CATALOG, MAX_DEPTH) and _in_their_places(old, new, _written(before, after))
    except (pikepdf.PdfError, ValueError, TypeError, AttributeError) as error:
        raise Malformed("the PDF cannot be updated: it breaks its format, and readers differ about what it says") from error
    if not same:
        raise Malformed("the PDF cannot be updated: it breaks its format, and an update would change what it shows")


def _opened(stream: BinaryIO, secret: str) -> pikepdf.Pdf:
    """Read through the stream: mapped, a document of hundreds of megabytes would count as so much memory."""
    return pikepdf.open(stream, password=secret, access_mode=pikepdf.AccessMode.stream)


def _written(before: Document, after: Document) -> set[tuple[int, int]]:
    """Numbers of the objects behind the end of what was there: all that the update wrote, and whatever else looks so."""
    with after.open() as stream:
        stream.seek(before.size or 0)
        return {(int(number), int(generation)) for number, generation in _OBJECT.findall(stream.read())}


def _in_their_places(old: pikepdf.Pdf, new: pikepdf.Pdf, written: set[tuple[int, int]]) -> bool:
    """Whether what was written anew has grown, and nothing else took its number: where a maker's /Size is too small, a new object would stand in the
    place of an image, a font or an earlier signature that pages and forms still refer to."""
    return all(_grown(old.get_object(*name), new.get_object(*name)) for name in written)


def _grown(old: Any, new: Any) -> bool:
    match old, new:
        case (None, _):
            return True
        case (Stream(), Stream()):
            return bool(old.read_raw_bytes() == new.read_raw_bytes())
        case (Stream(), _) | (_, Stream()):
            return False
        case (Dictionary(), Dictionary()):
            return set(old.keys()) <= set(new.keys())
        case (Array(), Array()):
            return len(old) <= len(new)
    return type(old) is type(new)


def _same_page(old: Any, new: Any) -> bool:
    there = [a.objgen for a in old.get("/Annots", ()) if a.is_indirect]
    kept = [a.objgen for a in new.get("/Annots", ()) if a.is_indirect]
    return kept[: len(there)] == there and _content(old) == _content(new) and _same_entries(old, new, PAGE, MAX_DEPTH)


def _content(page: Any) -> bytes:
    content = page.get("/Contents")
    streams = list(content) if isinstance(content, Array) else [content]
    return hashlib.sha256(b"".join(s.read_raw_bytes() for s in streams if isinstance(s, Stream))).digest()


def _same_entries(old: Any, new: Any, but: frozenset[str], depth: int) -> bool:
    names = set(old.keys()) - but
    return names == set(new.keys()) - but and all(_same(old[name], new[name], depth - 1) for name in names)


def _same(old: Any, new: Any, depth: int) -> bool:
    """References are the same when they name the same object: what an update does not rewrite is where it was. Otherwise what they lead to counts
    (inherited entries of pages get new numbers whenever qpdf reads a file)."""
    if depth < 0:
        return False
    number = getattr(old, "objgen", (0, 0))
    if number != (0, 0) and number == getattr(new, "objgen", (0, 0)):
        return True
    match old, new:
        case (bool(), bool()) | (None, None):
            return old is new
        case (int() | float() | Decimal(), int() | float() | Decimal()):
            return math.isclose(float(old), float(new), abs_tol=1e-6)  # a number may be written in another way
        case (Stream(), _) | (_, Stream()):
            return False
        case (Dictionary(), Dictionary()):
            return _same_entries(old, new, frozenset(), depth)
        case (Array(), Array()):
            return len(old) == len(new) and all(_same(a, b, depth - 1) for a, b in zip(old, new, strict=True))
        case (Name(), Name()):
            return str(old) == str(new)
        case (String(), String()):
            return bytes(old) == bytes(new) or str(old) == str(new)  # so may a text
    return False
