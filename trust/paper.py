"""Text on plain PDF pages, without any font file: what the verifier's report and the sealer's demonstration both draw with.

Latin text is in Helvetica, one of the 14 fonts that every reader has; the scripts of East Asia are in PDF's predefined fonts with predefined CMaps
(ISO 32000-1 clause 9.7.5.2), which readers replace with the system's own. Embedding would need a subsetter and a font of 20 MB on every machine, and
would make one verdict's report differ between machines. A character that no face has is written out as its number.
"""

import functools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import pikepdf
from pikepdf import Array, Dictionary, Name

MIN_VERSION = "1.5"
"""Of a PDF with these fonts: the CMaps for UTF-16 are that old (ISO 32000-1 table 118)."""


@dataclass(frozen=True, slots=True)
class _Script:
    """A predefined font, and by which of Python's codecs its characters are known."""

    key: str
    font: str
    cmap: str
    """UTF-16 in, so that the text can be searched and copied."""
    ordering: str
    supplement: int
    codecs: tuple[str, ...]
    half: tuple[int, int] | None = None
    """CIDs that are half as wide as the others."""


_SCRIPTS = (
    _Script("Japan", "HeiseiKakuGo-W5", "UniJIS-UTF16-H", "Japan1", 5, ("cp932", "euc_jis_2004"), (231, 632)),
    _Script("Korea", "HYGoThic-Medium", "UniKS-UTF16-H", "Korea1", 2, ("cp949",)),
    _Script("China", "STSong-Light", "UniGB-UTF16-H", "GB1", 4, ("gbk",)),
    _Script("Taiwan", "MSung-Light", "UniCNS-UTF16-H", "CNS1", 3, ("cp950",)),
)
"""The first that has a character draws it."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that draw nothing, or steer what others draw."""

_LATIN, _BOLD = "Latin", "LatinBold"
# Adobe's font metrics of Helvetica and Helvetica-Bold, 0x20 to 0x7E, in thousandths of the size.
_WIDTHS = {
    _LATIN: (
        "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 584 584 584 556 1015 "
        "667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 "
        "556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584"
    ),
    _BOLD: (
        "278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 333 333 584 584 584 611 975 "
        "722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667 611 722 667 944 667 667 611 333 278 333 584 556 333 "
        "556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 611 611 389 556 333 611 556 778 556 556 500 389 280 389 584"
    ),
}
_BEYOND_ASCII = {"“": 400, "”": 400, "‘": 250, "’": 250, "…": 1000, "—": 1000, "–": 556, "•": 350, "·": 278, "©": 737, "®": 737, "™": 1000, "Æ": 1000}
"""Where the letter below the accent does not tell; in thousandths."""


@functools.cache
def _latin_width(face: str, character: str) -> int:
    if character in _BEYOND_ASCII:
        return _BEYOND_ASCII[character]
    base = unicodedata.normalize("NFD", character)[0]
    return int(_WIDTHS[face].split()[ord(base) - 0x20]) if " " <= base <= "~" else 611


@functools.lru_cache(maxsize=8192)
def _face(character: str) -> str:
    """The key of the face that has this character; empty where none has."""
    if unicodedata.category(character) in _UNSEEN:
        return ""
    if _encodable(character, "cp1252"):
        return _LATIN
    return next((s.key for s in _SCRIPTS if any(_encodable(character, codec) for codec in s.codecs)), "")


def _encodable(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def drawable(text: str) -> str:
    """The text as it is drawn: composed, and what no face has written out as `\\u{1f600}`."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(c if _face(c) else f"\\u{{{ord(c):x}}}" for c in composed)


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Points that drawable text takes."""
    face = _BOLD if bold else _LATIN
    return sum(_latin_width(face, c) if _face(c) == _LATIN else 500 if unicodedata.east_asian_width(c) == "H" else 1000 for c in text) * size / 1000


def shown(text: str, size: float, x: float, y: float, *, bold: bool = False) -> bytes:
    """Operators that draw one line, its baseline beginning at (x, y) in points from the lower left."""
    parts = [f"BT {x:.2f} {y:.2f} Td"]
    for face, encoded in _runs(drawable(text)):
        # Predefined fonts come in one weight: a thin outline makes them bold (rendering mode 2).
        weight = f"2 Tr {size * 0.03:.2f} w" if bold and face != _LATIN else "0 Tr"
        parts.append(f"/{_BOLD if bold and face == _LATIN else face} {size:g} Tf {weight} <{encoded.hex()}> Tj")
    return " ".join([*parts, "ET"]).encode("ascii")


def _runs(text: str) -> Iterator[tuple[str, bytes]]:
    """Characters of one face after another, encoded for it."""
    for face, run in groupby(text, _face):
        yield face, "".join(run).encode("cp1252" if face == _LATIN else "utf-16-be")


def fonts(paper: pikepdf.Pdf) -> pikepdf.Object:
    """The font resources that `shown` names. Nothing is read for a face until a reader needs it."""
    made = {key: _simple(paper, font) for key, font in ((_LATIN, "Helvetica"), (_BOLD, "Helvetica-Bold"))}
    made |= {script.key: _composite(paper, script) for script in _SCRIPTS}
    return paper.make_indirect(Dictionary({f"/{key}": font for key, font in made.items()}))


def _simple(paper: pikepdf.Pdf, font: str) -> pikepdf.Object:
    return paper.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name("/" + font), Encoding=Name.WinAnsiEncoding))


def _composite(paper: pikepdf.Pdf, script: _Script) -> pikepdf.Object:
    """ISO 32000-1 clause 9.7.3: a composite font over a CID font that is not embedded."""
    name = Name("/" + script.font)
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=name,
        Flags=4,
        FontBBox=Array([-92, -250, 1010, 922]),
        ItalicAngle=0,
        Ascent=752,
        Descent=-221,
        CapHeight=737,
        StemV=114,
    )
    descendant = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType0,
        BaseFont=name,
        CIDSystemInfo=Dictionary(Registry=pikepdf.String("Adobe"), Ordering=pikepdf.String(script.ordering), Supplement=script.supplement),
        DW=1000,
        FontDescriptor=paper.make_indirect(descriptor),
    )
    if script.half:
        descendant["/W"] = Array([*script.half, 500])
    return paper.make_indirect(
        Dictionary(
            Type=Name.Font,
            Subtype=Name.Type0,
            BaseFont=Name(f"/{script.font}-{script.cmap}"),
            Encoding=Name("/" + script.cmap),
            DescendantFonts=Array([paper.make_indirect(descendant)]),
        )
    )
