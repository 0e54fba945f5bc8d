"""Letters for a visible seal. The outlines that are needed are drawn anew into a small TrueType font of 1000 units to the em; of a font file that
somebody gave nothing else gets into the document: no program, no table, no name."""

import io
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from fontTools.cu2qu import errors as _cu2qu
from fontTools.fontBuilder import FontBuilder
from fontTools.misc.psCharStrings import T2OutlineExtractor
from fontTools.pens.basePen import BasePen
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont

from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable
from trust.model import Document

EM = 1000
MOST_STROKES = 20_000
"""Of one glyph: the most intricate ideographs have some 500."""
MOST_PARTS = 500
"""Glyphs in a glyph. Each may have parts of its own: ten in ten in ten would have no end."""
MOST_STEPS = 1_000_000
"""Bytes of programs that draw one glyph of a CFF font, subroutines each time that they are called: these may call others, and draw nothing."""
MOST_FACES = 64
MOST_CHARACTERS = 500_000
"""Of the ranges in a table of characters, all together: a font has at most 65,535 glyphs, and a range may be all of Unicode in twelve bytes."""
MOST_SUBTABLES = 64
"""Of a table of characters, and of the substitutions for vertical writing: real fonts have some five."""
_RESTRICTED, _NO_SUBSET, _BITMAPS = 0x0002, 0x0100, 0x0200
"""OS/2 fsType: what the font's maker forbids (OpenType 1.9, OS/2)."""
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
"""Variation selectors: which of the forms of an ideograph a name is written with."""
_DECOMPOSED = re.compile("[^\u0300-\u036f\u3099\u309a][\u0300-\u036f\u3099\u309a]+")
_JOINED = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI"})

Stroke = tuple[str, tuple[tuple[float, float], ...]]


@dataclass(frozen=True, slots=True)
class Glyph:
    """One letter as it is drawn; measures in thousandths of its size."""

    number: int
    """In the font that is made."""
    advance: int
    text: str
    bounds: tuple[float, float, float, float]
    """Of its ink: left, bottom, right, top; nothing for a space."""


@dataclass(frozen=True, slots=True)
class Program:
    """The font that was made."""

    data: bytes
    name: str
    glyphs: tuple[Glyph, ...]
    """By number, from 1: glyph 0 is .notdef, and nothing shows it."""
    ascent: int
    descent: int


class Face:
    """A font file that is read, and the glyphs taken from it so far."""

    def __init__(self, file: Document) -> None:
        """Malformed for what is no font, Unacceptable for one whose maker forbids embedding."""
        self._stream = file.open()
        try:
            self._font = _opened(self._stream)
            _require_few_characters(self._font)
            self._cmap: dict[int, str] = self._font.getBestCmap() or {}
            self._shapes: Any = self._font.getGlyphSet()
            self._scale = EM / self._font["head"].unitsPerEm
            line = self._font["hhea"]
            self.ascent, self.descent = round(line.ascent * self._scale), round(line.descent * self._scale)
            if not all(-8 * EM < height < 8 * EM for height in (self.ascent, self.descent)):
                raise Malformed("the font cannot be read: its lines are eight times higher than its letters")
            rights = self._font["OS/2"].fsType if "OS/2" in self._font else 0
        except (KakuinError, MemoryError):
            self.close()
            raise
        except Exception as error:  # whatever a broken table raises
            self.close()
            raise Malformed("the font cannot be read: a TrueType or OpenType font, or a collection of them, is expected") from error
        if rights & 0x000F == _RESTRICTED or rights & (_NO_SUBSET | _BITMAPS):
            raise Unacceptable("the font's maker does not allow to embed a part of it in documents (OS/2 fsType)")
        self._variants: dict[tuple[int, int], str] | None = None
        self._upright: dict[str, str] | None = None
        self._glyphs: dict[tuple[str, str], Glyph] = {}
        self._strokes: list[tuple[Stroke, ...]] = []

    def close(self) -> None:
        """Nothing is read any more; what was made of it stays."""
        self._stream.close()

    def glyphs(self, text: str, *, upright: bool = False) -> tuple[Glyph, ...]:
        """Of a line, a glyph for a character; `upright` in the forms of vertical writing. Unacceptable where the font has none."""
        return tuple(self._glyph(base, selector, upright) for base, selector in _clusters(text))

    def program(self) -> Program:
        """The font with all glyphs that were asked for."""
        glyphs = tuple(sorted(self._glyphs.values(), key=lambda g: g.number))
        names = [".notdef", *(f"g{g.number}" for g in glyphs)]
        made = FontBuilder(EM, isTTF=True)
        made.font.recalcTimestamp = False
        made.updateHead(created=0, modified=0)
        made.setupGlyphOrder(names)
        made.setupCharacterMap({})
        drawn = [TTGlyphPen(None).glyph(), *(_quadratic(s) for s in self._strokes)]
        made.setupGlyf(dict(zip(names, drawn, strict=True)))
        bearings = [made.font["glyf"][name].xMin if len(strokes) else 0 for name, strokes in zip(names[1:], self._strokes, strict=True)]
        made.setupHorizontalMetrics({".notdef": (EM, 0), **{n: (g.advance, b) for n, g, b in zip(names[1:], glyphs, bearings, strict=True)}})
        made.setupHorizontalHeader(ascent=self.ascent, descent=self.descent)
        for table in ("cmap", "name", "OS/2", "post"):
            if table in made.font and table != "cmap":
                del made.font[table]
        out = io.BytesIO()
        made.font.save(out, reorderTables=False)
        data = out.getvalue()
        tag = "".join(chr(ord("A") + digit % 26) for digit in zlib.crc32(data).to_bytes(4, "big") + bytes(2))
        return Program(data, f"{tag}+KakuinSeal", glyphs, self.ascent, self.descent)

    def _glyph(self, base: str, selector: str, upright: bool) -> Glyph:
        name = self._variant(base, selector) if selector else None
        name = name or self._cmap.get(ord(base))
        if name is None:
            raise Unacceptable(f"the font has no glyph for U+{ord(base):04X}")
        if upright:
            name = self._vertical().get(name, name)
        found = self._glyphs.get((name, base + selector))
        if found is None:
            strokes, advance = self._drawn(name)
            points = [p for _, ps in strokes for p in ps]
            xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
            self._strokes.append(strokes)
            found = Glyph(len(self._strokes), advance, base + selector, (min(xs), min(ys), max(xs), max(ys)))
            self._glyphs[name, base + selector] = found
        return found

    def _drawn(self, name: str) -> tuple[tuple[Stroke, ...], int]:
        pen = _Outline(self._shapes, self._scale)
        try:
            shape = self._shapes[name]
            if (programs := getattr(self._shapes, "charStrings", None)) is not None:
                programs[name].outlineExtractor = _Counted
            shape.draw(pen)
            return tuple(pen.strokes), max(0, min(10 * EM, round(shape.width * self._scale)))
        except (KakuinError, MemoryError):
            raise
        except Exception as error:
            raise Malformed("the font cannot be read: the outline of a glyph breaks its format") from error

    def _variant(self, base: str, selector: str) -> str | None:
        if self._variants is None:
            self._variants = {}
            try:
                for table in _few(t for t in self._font["cmap"].tables if t.format == 14):
                    self._variants.update({(char, vs): name for vs, pairs in table.uvsDict.items() for char, name in pairs if name is not None})
            except (KakuinError, MemoryError):
                raise
            except Exception as error:
                raise Malformed("the font cannot be read: its table of variants breaks its format") from error
        return self._variants.get((ord(base), ord(selector)))

    def _vertical(self) -> dict[str, str]:
        """The glyphs of vertical writing: GSUB, feature vert, single substitutions."""
        if self._upright is None:
            self._upright = {}
            try:
                table: Any = self._font["GSUB"].table if "GSUB" in self._font else None
                records = table.FeatureList.FeatureRecord if table is not None else ()
                numbers = dict.fromkeys(n for r in records if r.FeatureTag == "vert" for n in r.Feature.LookupListIndex[: MOST_SUBTABLES + 1])
                few = _few(table.LookupList.Lookup[n] for n in sorted(numbers))
                for sub in _few(s for lookup in few for s in lookup.SubTable):
                    self._upright.update(getattr(getattr(sub, "ExtSubTable", sub), "mapping", {}))
            except (KakuinError, MemoryError):
                raise
            except Exception as error:
                raise Malformed("the font cannot be read: its table of substitutions breaks its format") from error
        return self._upright


def _opened(stream: BinaryIO) -> TTFont:
    """The font; of a collection the Japanese one where there is one (the same characters are drawn otherwise in Chinese and Korean)."""
    head = stream.read(4)
    stream.seek(0)
    if head in (b"wOFF", b"wOF2"):
        raise Malformed("the font is packed for the web: a TrueType or OpenType font is expected")
    if head != b"ttcf":
        return TTFont(stream, lazy=True)
    if (count := int.from_bytes(stream.read(12)[8:], "big")) > MOST_FACES:
        raise TooLarge(f"the file holds {count} fonts; at most {MOST_FACES} are read")
    stream.seek(0)
    faces = TTCollection(stream, lazy=True).fonts
    return next((f for f in faces if "JP" in str(f["name"].getDebugName(4)).split()), faces[0])


def _require_few_characters(font: TTFont) -> None:
    """Before fontTools lists each of them (OpenType 1.9, cmap; formats 12 and 13 are ranges)."""
    table: bytes = font.reader["cmap"] if "cmap" in font else b""
    starts = {start for _, _, start in struct.iter_unpack(">HHL", table[4 : 4 + 8 * int.from_bytes(table[2:4], "big")])}
    ranges = [table[start:] for start in _few(starts) if table[start : start + 2] in (b"\0\x0c", b"\0\x0d")]
    count = 0
    for each in ranges:
        groups = each[16 : 16 + 12 * int.from_bytes(each[12:16], "big")]
        count += sum(last - first + 1 for first, last, _ in struct.iter_unpack(">LLL", groups[: len(groups) // 12 * 12]))
    if count > MOST_CHARACTERS:
        raise TooLarge(f"the font's table of characters lists over {MOST_CHARACTERS} of them")


def _few(found: Iterable[Any]) -> Iterator[Any]:
    for count, each in enumerate(found):
        if count == MOST_SUBTABLES:
            raise TooLarge(f"a table of the font has over {MOST_SUBTABLES} subtables")
        yield each


class _Counted(T2OutlineExtractor):  # type: ignore[misc]  # fontTools is not typed
    """Runs the program of a CFF glyph (Type 2, Adobe TN 5177), so far."""

    steps = 0

    def execute(self, charString: Any) -> None:  # noqa: N803  # fontTools' name
        self.steps += len(charString.bytecode or charString.program)
        if self.steps > MOST_STEPS:
            raise TooLarge("the program that draws a glyph of the font has no end in sight")
        super().execute(charString)


def _clusters(text: str) -> Iterator[tuple[str, str]]:
    """Characters, each with its variation selector. Unacceptable for scripts that join or are written from the right: they are not shaped here."""
    # Not the whole text: NFC would also take another form of an ideograph than the one a name is written with.
    plain = _DECOMPOSED.sub(lambda m: unicodedata.normalize("NFC", m[0]), text)
    for index, char in enumerate(plain):
        if any(ord(char) in r for r in _SELECTORS):
            continue
        if unicodedata.bidirectional(char) in _JOINED or unicodedata.category(char) in {"Mn", "Mc", "Me", "Cc", "Cf", "Co", "Cs"}:
            raise Unacceptable(f"a visible seal cannot show U+{ord(char):04X}: letters that are written from the right, or joined, are not drawn")
        after = plain[index + 1 : index + 2]
        yield char, after if after and any(ord(after) in r for r in _SELECTORS) else ""


class _Outline(BasePen):  # type: ignore[misc]  # fontTools is not typed
    """Records an outline, composites resolved."""

    def __init__(self, shapes: Any, scale: float) -> None:
        super().__init__(shapes)
        self.strokes: list[Stroke] = []
        self._scale = scale
        self._parts = 0

    def addComponent(self, name: str, transformation: Any) -> None:  # noqa: N802
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise TooLarge(f"a glyph of the font is put together from over {MOST_PARTS} others")
        super().addComponent(name, transformation)

    def _add(self, kind: str, *points: tuple[float, float]) -> None:
        if len(self.strokes) >= MOST_STROKES:
            raise TooLarge(f"a glyph of the font has over {MOST_STROKES} strokes")
        scaled = tuple((x * self._scale, y * self._scale) for x, y in points)
        if not all(-8 * EM < v < 8 * EM for p in scaled for v in p):
            raise Malformed("the font cannot be read: a glyph is eight times larger than its letter")
        self.strokes.append((kind, scaled))

    def _moveTo(self, pt: tuple[float, float]) -> None:  # noqa: N802
        self._add("moveTo", pt)

    def _lineTo(self, pt: tuple[float, float]) -> None:  # noqa: N802
        self._add("lineTo", pt)

    def _curveToOne(self, pt1: tuple[float, float], pt2: tuple[float, float], pt3: tuple[float, float]) -> None:  # noqa: N802
        self._add("curveTo", pt1, pt2, pt3)

    def _qCurveToOne(self, pt1: tuple[float, float], pt2: tuple[float, float]) -> None:  # noqa: N802
        self._add("qCurveTo", pt1, pt2)

    def _closePath(self) -> None:  # noqa: N802
        self._add("closePath")

    def _endPath(self) -> None:  # noqa: N802
        self._add("closePath")


def _quadratic(strokes: tuple[Stroke, ...]) -> Any:
    """A TrueType glyph: cubic curves become quadratic ones, within a two-thousandth of the letter's size."""
    pen = TTGlyphPen(None)
    through = Cu2QuPen(pen, max_err=0.5)
    try:
        for kind, points in strokes:
            getattr(through, kind)(*points)
    except _cu2qu.Error as error:
        raise Malformed("the font cannot be read: a curve of it cannot be drawn") from error
    return pen.glyph()
