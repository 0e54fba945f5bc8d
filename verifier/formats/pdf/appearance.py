"""What an appearance stream draws (ISO 32000-2 clauses 8 and 9), as far as forgery needs it: words, pictures, and which words.

Errors: none; a stream that cannot be read draws everything and says nothing.
"""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.file import reading
from verifier.formats.pdf.store import decoded

MAX_STREAM = 4 << 20
"""Bytes of one appearance: those of signatures with pictures keep the picture in a stream of its own."""
MAX_STREAMS = 200
_SHOWING = frozenset({"Tj", "TJ", "'", '"'})
_OPAQUE = frozenset({"INLINE IMAGE", "BI", "sh", "c", "v", "y"})
"""Operators that can draw letters without being text: images, shadings, curves."""
_FILLING = frozenset({"f", "F", "f*", "B", "B*", "b", "b*", "S", "s"})


class Paint(StrEnum):
    TEXT = "text"
    PICTURE = "picture"
    """Images, inline images, shadings, patterns of unknown content."""
    LINES = "lines"
    """Strokes and fills."""


def paints(appearances: Any) -> frozenset[Paint]:
    """What the streams of an appearance dictionary draw, all states together; nothing where there is none."""
    found: set[Paint] = set()
    try:
        for stream in _streams(appearances):
            for kind in _painted(stream, 0):
                found.add(kind)
    except Malformed:
        return frozenset(Paint)
    return frozenset(found)


def _streams(value: Any) -> Iterator[Any]:
    """The streams of /N, /R and /D, through one level of states."""
    count = 0
    stack = [value]
    while stack:
        item = stack.pop()
        count += 1
        if count > MAX_STREAMS:
            raise Malformed("appearance has too many states")
        if isinstance(item, pikepdf.Stream):
            yield item
        elif isinstance(item, pikepdf.Dictionary):
            stack.extend(v for _, v in item.items())


def _operations(stream: Any) -> list[Any]:
    """The operators of a content stream. Malformed where it is broken or too long."""
    decoded(stream, MAX_STREAM)
    with reading("an appearance is broken"):
        return list(pikepdf.parse_content_stream(stream))


def _painted(stream: Any, depth: int) -> Iterator[Paint]:
    if depth > 8:
        raise Malformed("appearance is nested too deeply")
    for operation in _operations(stream):
        name = str(operation.operator)
        if name in _SHOWING:
            if any(_bytes_of(operation.operands)):
                yield Paint.TEXT
        elif name in {"INLINE IMAGE", "BI", "sh"}:
            yield Paint.PICTURE
        elif name in _FILLING:
            yield Paint.LINES
        elif name == "Do":
            inner = _named(stream, "/XObject", operation.operands)
            if inner is None:
                continue
            if str(inner.get("/Subtype")) == "/Form":
                yield from _painted(inner, depth + 1)
            else:
                yield Paint.PICTURE
        elif name in {"scn", "SCN"} and any(isinstance(o, pikepdf.Name) for o in operation.operands):
            yield Paint.PICTURE


def _named(stream: Any, category: str, operands: Any) -> Any | None:
    """A resource that the stream names."""
    resources = stream.get("/Resources")
    entries = resources.get(category) if isinstance(resources, pikepdf.Dictionary) else None
    if not isinstance(entries, pikepdf.Dictionary) or not len(operands) or not isinstance(operands[0], pikepdf.Name):
        return None
    found = entries.get(str(operands[0]))
    return found if isinstance(found, pikepdf.Stream | pikepdf.Dictionary) else None


def _bytes_of(operands: Any) -> Iterator[bytes]:
    for operand in operands:
        if isinstance(operand, pikepdf.String):
            yield bytes(operand)
        elif isinstance(operand, pikepdf.Array):
            yield from (bytes(o) for o in operand if isinstance(o, pikepdf.String))


# Words.

Familiar = Callable[[Any], bool]
"""Whether a font was in the document when it was signed: only then can its own say of which code is which letter be believed."""


def words(stream: Any, familiar: Familiar) -> str | None:
    """The text that the appearance of a field shows, white space left out; None where it cannot be told.

    That is where pictures or curves could draw letters, where text is invisible, and where a font that came after signing maps codes
    to letters: it may show another letter than it names.
    """
    try:
        found = list(_shown(stream, familiar, 0))
    except (Malformed, _Unknown):
        return None
    return re.sub(r"\s+", "", "".join(found))


class _Unknown(Exception):
    """A code that no map gives a character to."""


def _shown(stream: Any, familiar: Familiar, depth: int) -> Iterator[str]:
    if depth > 8:
        raise _Unknown
    font: dict[bytes, str] | None = None
    for operation in _operations(stream):
        name = str(operation.operator)
        if name == "Tf":
            font = _map_of(_named(stream, "/Font", operation.operands), familiar)
        elif name in _SHOWING:
            for data in _bytes_of(operation.operands):
                yield _decoded_text(data, font)
        elif name in _OPAQUE or (name == "Tr" and [str(o) for o in operation.operands] != ["0"]):
            raise _Unknown
        elif name == "Do":
            inner = _named(stream, "/XObject", operation.operands)
            if inner is None or str(inner.get("/Subtype")) != "/Form":
                raise _Unknown
            yield from _shown(inner, familiar, depth + 1)


def _decoded_text(data: bytes, font: "dict[bytes, str] | None") -> str:
    """Through the font's map; without one as PDFDocEncoding, which the standard fonts agree with on letters and digits."""
    if font is None:
        return bytes(data).decode("latin-1")
    width = max((len(k) for k in font), default=1)
    codes = [data[i : i + width] for i in range(0, len(data), width)]
    try:
        return "".join(font[c] for c in codes)
    except KeyError:
        raise _Unknown from None


def _map_of(font: Any, familiar: Familiar) -> "dict[bytes, str] | None":
    """Code to text; None for a standard encoding. Unknown for a font that draws its own letters and came after signing."""
    if font is None:
        return None
    kind = str(font.get("/Subtype"))
    if kind in {"/Type0", "/Type3"} or _embedded(font):
        if not familiar(font):
            raise _Unknown
        to_unicode = font.get("/ToUnicode")
        if isinstance(to_unicode, pikepdf.Stream):
            return _cmap(decoded(to_unicode, MAX_STREAM))
        if kind not in {"/TrueType", "/Type1"}:
            raise _Unknown
    return _differences(font.get("/Encoding"))


def _embedded(font: Any) -> bool:
    descriptor = font.get("/FontDescriptor")
    return isinstance(descriptor, pikepdf.Dictionary) and any(k in descriptor for k in ("/FontFile", "/FontFile2", "/FontFile3"))


def _differences(encoding: Any) -> "dict[bytes, str] | None":
    """A simple font's codes where /Differences moves letters; a glyph name that is not in the table stands for none."""
    listed = encoding.get("/Differences") if isinstance(encoding, pikepdf.Dictionary) else None
    if not isinstance(listed, pikepdf.Array):
        return None
    found = {bytes((code,)): bytes((code,)).decode("latin-1") for code in range(256)}
    code = 0
    items: list[Any] = list(listed)
    for item in items:
        if isinstance(item, int):
            code = item
        elif isinstance(item, pikepdf.Name) and 0 <= code < 256:
            glyph = str(item)[1:]
            character = glyph if len(glyph) == 1 else _GLYPHS.get(glyph)
            if character is None:
                found.pop(bytes((code,)), None)
            else:
                found[bytes((code,))] = character
            code += 1
    return found


_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_GLYPHS = {name: str(value) for value, name in enumerate(_DIGITS)} | {
    "space": " ", "period": ".", "comma": ",", "hyphen": "-", "minus": "-", "plus": "+", "colon": ":", "semicolon": ";", "slash": "/", "percent": "%",
    "parenleft": "(", "parenright": ")", "at": "@", "ampersand": "&", "numbersign": "#", "dollar": "$", "Euro": "€", "yen": "¥", "sterling": "£",
    "underscore": "_", "quotesingle": "'", "quotedbl": '"', "equal": "=", "asterisk": "*", "question": "?", "exclam": "!", "bullet": "•",
}  # fmt: skip

_SECTION = re.compile(rb"begin(bfchar|bfrange)(.*?)end\1", re.DOTALL)
_CHAR = re.compile(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>")
_RANGE = re.compile(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*(?:<([0-9A-Fa-f]+)>|\[([^\]]*)\])")
_LIST = re.compile(rb"<([0-9A-Fa-f]+)>")
MAX_CODES = 70_000


def _cmap(data: bytes) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for kind, body in _SECTION.findall(data):
        if kind == b"bfchar":
            for code, text in _CHAR.findall(body):
                found[_octets(code)] = _octets(text).decode("utf-16-be", "replace")
            continue
        for low, high, start, listed in _RANGE.findall(body):
            first, last, width = int(low, 16), int(high, 16), len(_octets(low))
            if last - first > MAX_CODES or len(found) > MAX_CODES:
                raise _Unknown
            texts = [_octets(t) for t in _LIST.findall(listed)]
            for offset in range(last - first + 1):
                if start:
                    base = _octets(start)
                    text = (int.from_bytes(base, "big") + offset).to_bytes(len(base) + 1, "big")[-len(base) :]
                elif offset < len(texts):
                    text = texts[offset]
                else:
                    break
                found[(first + offset).to_bytes(width, "big")] = text.decode("utf-16-be", "replace")
    return found


def _octets(digits: bytes) -> bytes:
    return bytes.fromhex((b"0" * (len(digits) % 2) + digits).decode("ascii"))
