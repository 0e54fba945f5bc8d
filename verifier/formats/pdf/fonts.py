"""Which letters the codes of a font stand for (ISO 32000-2 clause 9), as far as a program that does not draw can be sure of it.

A font that came after signing and draws its own letters may show others than it names. Errors: Unknown.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pikepdf

from verifier.formats.pdf.store import decoded

MAX_MAP = 4 << 20
"""Bytes of one /ToUnicode map."""

Familiar = Callable[[Any], bool]
"""Whether a font was in the document when it was signed: only then can its own say of which code is which letter be believed."""

Letters = Callable[[bytes], str]
"""From the bytes of a string to its text."""

_PICTURES = re.compile(r"symbol|dingbat|wingding|webding|ornament|pi\b|barcode|code\s?39|emoji", re.IGNORECASE)
"""Fonts, by name, whose codes are not letters."""
_ENCODINGS = {"/WinAnsiEncoding": "cp1252", "/MacRomanEncoding": "mac-roman", "/StandardEncoding": "latin-1", "/PDFDocEncoding": "latin-1"}
_CJK = {f"/Uni{script}-{form}-H": "utf-16-be" for script in ("JIS", "GB", "CNS", "KS") for form in ("UTF16", "UCS2")} | {
    "/UniJIS-UCS2-HW-H": "utf-16-be",
    "/90ms-RKSJ-H": "cp932",
    "/90msp-RKSJ-H": "cp932",
    "/EUC-H": "euc_jp",
}
"""Predefined CMaps (ISO 32000-2 table 116) of fonts that are not embedded: readers draw them with letters of their own."""


class Unknown(ValueError):
    """What is drawn cannot be told."""


def letters(font: Any, familiar: Familiar) -> Letters:
    """How a font is read. Unknown for one that draws its own letters and came after signing, or whose codes are no letters."""
    known = familiar(font)
    read = _letters(font, known)
    return read if known or "/Widths" not in font else _spaced(font, read)


def _letters(font: Any, familiar: bool) -> Letters:
    kind = str(font.get("/Subtype"))
    if _PICTURES.search(str(font.get("/BaseFont", ""))):
        raise Unknown
    if kind == "/Type0" and not _embedded_below(font) and str(font.get("/Encoding")) in _CJK:
        if not familiar and not _evenly_spaced(font):
            raise Unknown
        return _through(_CJK[str(font.get("/Encoding"))])
    if kind in {"/Type0", "/Type3"} or _embedded(font):
        if not familiar:
            raise Unknown
        to_unicode = font.get("/ToUnicode")
        if isinstance(to_unicode, pikepdf.Stream):
            return _mapped(_cmap(decoded(to_unicode, MAX_MAP)))
        if kind not in {"/TrueType", "/Type1"}:
            raise Unknown
    return _simple(font.get("/Encoding"))


_BREADTHS = range(100, 2501)
"""Thousandths of its size by which a letter moves the next one on; others put letters over each other, or out of sight."""


def _spaced(font: Any, read: Letters) -> Letters:
    """A new font says itself how broad its letters are."""
    first = int(font.get("/FirstChar", 0))
    widths = [float(w) for w in font.get("/Widths")]

    def checked(data: bytes) -> str:
        if any(not 0 <= code - first < len(widths) or not _BREADTHS[0] <= widths[code - first] <= _BREADTHS[-1] for code in data):
            raise Unknown
        return read(data)

    return checked


def _evenly_spaced(font: Any) -> bool:
    """The same of a composite font: /DW, and every width in /W."""
    return all(
        _BREADTHS[0] <= float(width) <= _BREADTHS[-1]
        for below in list(font.get("/DescendantFonts"))
        for width in (below.get("/DW", 1000), *_composite_widths(list(below.get("/W", []))))
    )


def _composite_widths(items: list[Any]) -> Iterator[Any]:
    """`first [widths]`, or `first last width`, one after the other (ISO 32000-2 clause 9.7.4.3)."""
    rest = iter(items)
    for _ in rest:
        second = next(rest, 0)
        if isinstance(second, pikepdf.Array):
            yield from list(second)
        else:
            yield next(rest, 0)


def _simple(encoding: Any) -> Letters:
    base = encoding.get("/BaseEncoding") if isinstance(encoding, pikepdf.Dictionary) else encoding
    name = "/StandardEncoding" if base is None else str(base)
    if name not in _ENCODINGS:
        raise Unknown
    moved = _differences(encoding, _ENCODINGS[name])
    return _through(_ENCODINGS[name]) if moved is None else _mapped(moved)


def _through(codec: str) -> Letters:
    def read(data: bytes) -> str:
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            raise Unknown from None

    return read


def _mapped(codes: dict[bytes, str]) -> Letters:
    width = max((len(k) for k in codes), default=1)

    def read(data: bytes) -> str:
        try:
            return "".join(codes[data[i : i + width]] for i in range(0, len(data), width))
        except KeyError:
            raise Unknown from None

    return read


def _embedded_below(font: Any) -> bool:
    """Whether a composite font's letters are in the file."""
    below = font.get("/DescendantFonts")
    return not isinstance(below, pikepdf.Array) or any(not isinstance(f, pikepdf.Dictionary) or _embedded(f) for f in list(below))


def _embedded(font: Any) -> bool:
    descriptor = font.get("/FontDescriptor")
    return isinstance(descriptor, pikepdf.Dictionary) and any(k in descriptor for k in ("/FontFile", "/FontFile2", "/FontFile3"))


def _differences(encoding: Any, codec: str) -> "dict[bytes, str] | None":
    """A simple font's codes where /Differences moves letters; a glyph name that is not in the table stands for none."""
    listed = encoding.get("/Differences") if isinstance(encoding, pikepdf.Dictionary) else None
    if not isinstance(listed, pikepdf.Array):
        return None
    found = {bytes((code,)): bytes((code,)).decode(codec, "replace") for code in range(256)}
    code = 0
    items: list[Any] = list(listed)
    for item in items:
        if isinstance(item, int):
            code = item
        elif isinstance(item, pikepdf.Name) and 0 <= code < 256:
            glyph = str(item)[1:]
            character = _character(glyph)
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
    "less": "<", "greater": ">", "bracketleft": "[", "bracketright": "]", "braceleft": "{", "braceright": "}", "bar": "|", "backslash": "\\",
    "grave": "`", "asciicircum": "^", "asciitilde": "~", "endash": "–", "emdash": "—", "ellipsis": "…", "quoteleft": "‘", "quoteright": "’",
    "quotesinglbase": "‚", "quotedblleft": "“", "quotedblright": "”", "quotedblbase": "„", "guillemotleft": "«", "guillemotright": "»",
    "guilsinglleft": "‹", "guilsinglright": "›", "germandbls": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "eth": "ð", "Eth": "Ð", "thorn": "þ",
    "Thorn": "Þ", "dotlessi": "ı", "lslash": "ł", "Lslash": "Ł", "oslash": "ø", "Oslash": "Ø", "dcroat": "đ", "Dcroat": "Đ", "section": "§",
    "paragraph": "¶", "degree": "°", "mu": "µ", "plusminus": "±", "multiply": "×", "divide": "÷", "copyright": "©", "registered": "®",
    "trademark": "™", "cent": "¢", "currency": "¤", "florin": "ƒ", "onehalf": "½", "onequarter": "¼", "threequarters": "¾", "onesuperior": "¹",
    "twosuperior": "²", "threesuperior": "³", "ordfeminine": "ª", "ordmasculine": "º", "periodcentered": "·", "exclamdown": "¡",
    "questiondown": "¿", "logicalnot": "¬", "brokenbar": "¦", "dagger": "†", "daggerdbl": "‡", "perthousand": "‰", "fi": "ﬁ", "fl": "ﬂ",
    "nbspace": " ", "sfthyphen": "-", "macron": "¯", "acute": "´", "dieresis": "¨", "cedilla": "¸",
}  # fmt: skip
_ACCENTS = {
    "grave": 0x300, "acute": 0x301, "circumflex": 0x302, "tilde": 0x303, "macron": 0x304, "breve": 0x306, "dotaccent": 0x307, "dieresis": 0x308,
    "ring": 0x30A, "hungarumlaut": 0x30B, "caron": 0x30C, "commaaccent": 0x326, "cedilla": 0x327, "ogonek": 0x328,
}  # fmt: skip
_ACCENTED = re.compile(r"([A-Za-z])([a-z]+)")
_BY_NUMBER = re.compile(r"uni([0-9A-F]{4})|u([0-9A-F]{4,6})")


def _character(glyph: str) -> str | None:
    """The letter that a glyph's name stands for, by the rules of the Adobe Glyph List."""
    if len(glyph) == 1 or glyph in _GLYPHS:
        return _GLYPHS.get(glyph, glyph)
    if (number := _BY_NUMBER.fullmatch(glyph)) is not None:
        return chr(min(int(number[1] or number[2], 16), 0x10FFFF))
    if (parts := _ACCENTED.fullmatch(glyph)) is not None and parts[2] in _ACCENTS:
        made = unicodedata.normalize("NFC", parts[1] + chr(_ACCENTS[parts[2]]))
        return made if len(made) == 1 else None
    return None


_SECTION = re.compile(rb"begin(bfchar|bfrange)")
_CHAR = re.compile(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>")
_RANGE = re.compile(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*(?:<([0-9A-Fa-f]+)>|\[([<>0-9A-Fa-f\s]*+)\])")
_LIST = re.compile(rb"<([0-9A-Fa-f]+)>")
MAX_CODES = 70_000


def _sections(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each. What begins and never ends is looked for once, not from each beginning."""
    at, ends = 0, dict[bytes, int]()
    for begin in _SECTION.finditer(data):
        kind = begin[1]
        if begin.start() < at or ends.get(kind, 0) < 0:
            continue
        ends[kind] = data.find(b"end" + kind, begin.end())
        if ends[kind] >= 0:
            at = ends[kind]
            yield kind, data[begin.end() : at]


def _cmap(data: bytes) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for kind, body in _sections(data):
        if kind == b"bfchar":
            for code, text in _CHAR.findall(body):
                found[_octets(code)] = _octets(text).decode("utf-16-be", "replace")
            continue
        for low, high, start, listed in _RANGE.findall(body):
            first, last, width = int(low, 16), int(high, 16), len(_octets(low))
            if last - first > MAX_CODES or len(found) > MAX_CODES:
                raise Unknown
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
