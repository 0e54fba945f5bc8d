"""Signatures that stand in the bytes of a PDF and that its structure does not lead to.

A damaged cross-reference, or an update that takes a field away, makes a signature disappear; programs that repair files, or that show an earlier
revision, may still find it. A reader who is told nothing would not know that the file says different things to different programs.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from trust.errors import Malformed
from trust.model import Uncovered
from verifier.formats.pdf.file import Bytes
from verifier.formats.pdf.signatures import SignatureDictionary
from verifier.formats.pdf.syntax import MAX_DEPTH, Parser

_BYTE_RANGE = re.compile(rb"/ByteRange\s{0,20}\[\s{0,20}0\s{1,20}(\d{1,10})\s{1,20}(\d{1,10})\s{1,20}(\d{1,10})")
LONGEST = 160
"""Bytes of what that matches."""
_RIGHTS = frozenset({b"/UR", b"/UR3"})
"""ISO 32000-2 clause 12.8.2.3: what a program may do with the file, signed by its maker; no field has it, and it proves nothing here."""
NEAR = 1 << 16
"""Bytes before and after the gap in which the rest of its dictionary is looked for."""
MOST = 1_000
"""Byte ranges that are looked at in one file."""


def tail(data: Bytes) -> Iterator[Uncovered]:
    """What follows the last end of file: the beginning of an update that was cut off, or bytes that another program reads as something."""
    end = data.rfind(b"%%EOF", 0, data.size)
    if end >= 0 and not data.is_blank(end + 5, data.size):
        yield Uncovered(f"bytes {end + 5} to {data.size}", "they follow the end of the last revision and are no part of it")


def strays(data: Bytes, dictionaries: Sequence[SignatureDictionary]) -> Iterator[Uncovered]:
    """Byte ranges whose gap really holds a value in this very file, and which no signature of its structure has."""
    known = {dictionary.ranges[0][1] for dictionary in dictionaries if dictionary.ranges}
    for count, found in enumerate(data.matches(_BYTE_RANGE, LONGEST)):
        if count >= MOST:
            return
        before, after, length = (int(number) for number in found.groups())
        # An embedded PDF has byte ranges too: their offsets are its own, and do not meet a gap here.
        placed = before < after <= data.size and data.slice(before, before + 1) == b"<" and data.slice(after - 1, after) == b">"
        if placed and before not in known and after + length <= data.size and not _is_of_usage_rights(data, before, after):
            known.add(before)
            yield Uncovered(f"bytes {before} to {after}", "a signature stands there that the structure of the file does not lead to")


def _is_of_usage_rights(data: Bytes, before: int, after: int) -> bool:
    """Whether the dictionary around a gap is a signature of usage rights, by the transforms that it refers to; a string that says so is none."""
    head = data.rfind(b"obj", max(0, before - NEAR), before)
    if head < 0:
        return False
    try:
        value = Parser(data.slice(head + 3, before) + b"<>" + data.slice(after, after + NEAR)).value()
    except Malformed:
        return False
    holder = _holder(value, 0)
    references = holder.get(b"/Reference") if holder is not None else None
    items = references if isinstance(references, list) else []
    methods = [r.get(b"/TransformMethod") for r in items if isinstance(r, dict)]
    return bool(methods) and all(isinstance(m, bytes) and m in _RIGHTS for m in methods)


def _holder(value: Any, depth: int) -> dict[bytes, Any] | None:
    """The dictionary, at any depth, that has the gap as its /Contents."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, dict) and value.get(b"/Contents") == b"<>":
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for v in inner if (found := _holder(v, depth + 1)) is not None), None)
