"""Visible seals: drawn by poppler, read by qpdf, judged by our verifier."""

import contextlib
import io
import re
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pikepdf
import pytest
import segno
from fontTools.cffLib import SubrsIndex
from fontTools.fontBuilder import FontBuilder
from fontTools.misc.psCharStrings import T2CharString
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.DefaultTable import DefaultTable
from pikepdf import Array
from PIL import Image

from eseal.formats.pades import figures, letters, pictures
from eseal.pdf_seal import Figure, Look, Place, wished
from eseal.spec import Claims, choose
from tests.paper_seals import NAME, PAPERS, PKI, form, japanese_font, picture, sealed, turned
from tests.sealing import blank_pdf, lists
from tests.services import program
from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable
from trust.model import Document
from verifier.policy import load
from verifier.question import Question
from verifier.service import judge
from verifier.verdict import Conclusion

DOTS = 144
"""An inch: two a point."""
RECT = (100.0, 300.0, 200.0, 400.0)
AT = {"rect": ",".join(map(str, RECT))}


def drawn(pdf: bytes, folder: Path, page: int = 1) -> Image.Image:
    """A page as poppler draws it."""
    (folder / "in.pdf").write_bytes(pdf)
    subprocess.run(
        [program("pdftoppm"), "-cropbox", "-r", str(DOTS), "-f", str(page), "-l", str(page), "-png", folder / "in.pdf", folder / "page"], check=True
    )
    with Image.open(next(folder.glob("page*.png"))) as made:
        return made.convert("RGB")


def text_of(pdf: bytes, folder: Path) -> str:
    (folder / "in.pdf").write_bytes(pdf)
    return subprocess.run([program("pdftotext"), folder / "in.pdf", "-"], check=True, capture_output=True, text=True).stdout


def cut(page: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """The part of a drawn page that a rectangle of it is, in points from its lower left corner."""
    scale = DOTS / 72
    left, bottom, right, top = (round(v * scale) for v in box)
    return page.crop((left, page.height - top, right, page.height - bottom))


def share(page: Image.Image, is_of: Callable[[int, int, int], bool]) -> float:
    data = page.tobytes()
    pixels = list(zip(data[::3], data[1::3], data[2::3], strict=True))
    return sum(is_of(*p) for p in pixels) / len(pixels)


def red(r: int, g: int, b: int) -> bool:
    return r > 150 and g < 110 and b < 110


def inked(r: int, g: int, b: int) -> bool:
    return min(r, g, b) < 250


@pytest.mark.parametrize("name", PAPERS)
def test_our_verifier_passes_every_kind(name: str) -> None:
    made = Document.of(PAPERS[name]())
    from tests.matrix import LOOKED

    verdict = judge(Question(made, LOOKED, load("strict"), (PKI.root.certificate,), crls=lists(PKI)))
    assert verdict.conclusion is Conclusion.PASSED, verdict.reasons
    assert verdict.evidence.uncovered == () or not any(u.grave for u in verdict.evidence.uncovered)


def test_the_square_seal_is_drawn_where_it_belongs(tmp_path: Path) -> None:
    made = sealed(blank_pdf(), visible="seal", seal_name=NAME, **AT)
    page = drawn(made, tmp_path)
    inside = cut(page, RECT)
    assert 0.2 < share(inside, red) < 0.7
    assert share(inside, inked) == pytest.approx(share(page, inked) * page.width * page.height / inside.width / inside.height, rel=0.02)
    # Three columns and three rows, each cell with ink; and the frame on all four sides.
    cells = [share(cut(page, (100 + 33 * x, 300 + 33 * y, 133 + 33 * x, 333 + 33 * y)), red) for x in range(3) for y in range(3)]
    assert all(0.15 < cell < 0.8 for cell in cells)
    for edge in ((100, 320, 103, 380), (197, 320, 200, 380), (120, 300, 180, 303), (120, 397, 180, 400)):
        assert share(cut(page, edge), red) > 0.8
    assert share(cut(page, (100, 300, 101, 301)), inked) == 0, "the frame's corners are round"


def test_the_name_is_found_in_the_order_that_it_is_read_in(tmp_path: Path) -> None:
    assert NAME in text_of(sealed(blank_pdf(), visible="seal", seal_name=NAME), tmp_path)


def test_words_come_out_as_they_went_in(tmp_path: Path) -> None:
    made = sealed(blank_pdf(), claims=Claims("契約の内容を確認し、承認したため", "東京都千代田区"), visible="text")
    text = text_of(made, tmp_path).replace("\n", "")
    for expected in ("Example", "日時: 2025-03-01 18:00:00 +09:00", "場所: 東京都千代田区", "理由: 契約の内容を確認し、承認したため"):
        assert expected in text
    english = text_of(sealed(blank_pdf(), claims=Claims("Approved", "Tokyo"), visible="text"), tmp_path)
    assert "Time: 2025-03-01 09:00:00 UTC" in english
    assert "Reason: Approved" in english


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_on_a_turned_page_it_stands_upright(degrees: int, tmp_path: Path) -> None:
    straight = cut(drawn(sealed(blank_pdf(), visible="seal", seal_name=NAME, **AT), tmp_path), RECT)
    moved = turned(degrees, CropBox=Array([30, 40, 580, 760]))
    seen = cut(drawn(sealed(moved, visible="seal", seal_name=NAME, **AT), tmp_path), RECT)
    pairs = list(zip(straight.convert("L").tobytes(), seen.convert("L").tobytes(), strict=True))
    assert sum(abs(a - b) > 100 for a, b in pairs) / len(pairs) < 0.02


def test_a_code_has_the_modules_of_its_text(tmp_path: Path) -> None:
    data = blank_pdf()
    page = drawn(sealed(data, visible="qr", qr="https://example.jp/v?sha256={sha256}", **AT), tmp_path)
    digest = Document.of(data).digest("sha256")
    assert digest is not None
    matrix = segno.make(f"https://example.jp/v?sha256={digest.value.hex()}", error="m", micro=False).matrix
    step = 100 / (len(matrix) + 2 * pictures.QUIET)
    grey = cut(page, RECT).convert("L")
    for row, line in enumerate(matrix):
        for column, dark in enumerate(line):
            spot = tuple(round((pictures.QUIET + n + 0.5) * step * DOTS / 72) for n in (column, row))
            assert (grey.getpixel(spot) < 128) == bool(dark), (row, column)  # type: ignore[operator]


def test_a_picture_is_drawn_with_its_transparency(tmp_path: Path) -> None:
    page = cut(drawn(sealed(blank_pdf(), visible="image", image=picture("PNG"), **AT), tmp_path), RECT)
    assert red(*page.getpixel((page.width // 2, 12)))  # type: ignore[misc]
    assert page.getpixel((page.width // 2, page.height // 2)) == pytest.approx((142, 142, 227), abs=6)
    assert page.getpixel((3, 3)) == (255, 255, 255)


def test_nothing_of_a_photograph_but_its_pixels_gets_into_the_document() -> None:
    out = io.BytesIO()
    described = Image.Exif()
    described[0x010E] = "SECRET PLACE"
    Image.new("RGB", (40, 40), (200, 10, 10)).save(out, "JPEG", exif=described, comment=b"SECRET NOTE")
    assert b"SECRET PLACE" in out.getvalue()
    made = sealed(blank_pdf(), visible="image", image=Document.of(out.getvalue() + b"SECRET TAIL"))
    with pikepdf.open(io.BytesIO(made)) as paper:
        assert not any(b"SECRET" in (o.read_raw_bytes() + o.read_bytes()) for o in paper.objects if isinstance(o, pikepdf.Stream))


def test_the_font_holds_what_is_shown_and_no_more() -> None:
    made = sealed(blank_pdf(), visible="seal", seal_name=NAME)
    with pikepdf.open(io.BytesIO(made)) as paper:
        [widget] = paper.pages[0].obj.Annots
        font = widget.AP.N.Resources.Font.F
        [below] = font.DescendantFonts
        assert len(below.FontDescriptor.FontFile2.read_bytes()) < 8_000
        assert len(below.W[1]) == len(set(NAME + "印"))
        assert str(widget.TU) == NAME


def test_a_free_place_is_taken_beside_what_is_there() -> None:
    once = sealed(blank_pdf(), visible="qr")
    with pikepdf.open(io.BytesIO(sealed(once, visible="qr"))) as paper:
        one, two = ([float(v) for v in a.Rect] for a in paper.pages[0].obj.Annots)
    assert two[2] <= one[0]
    assert one[1] == two[1]


NAMES = {
    "株式会社角印商事": ["株式会", "社角印", "商事印"],
    "甲乙商事": ["甲乙", "商事"],
    "角": ["角"],
    "東京データセンター": ["東京デ", "ータセ", "ンター"],
    "山田商店之印": ["山田", "商店", "之印"],
    "葛\U000e0100城市": ["葛\U000e0100城", "市印"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_set_in_columns(name: str) -> None:
    assert figures.columns(name) == NAMES[name]


def test_a_line_does_not_begin_with_a_full_stop() -> None:
    face = letters.Face(small_font("あいうえお。 abc"))
    shown = figures.words(["あいうえお。"], face, figures.Box(0, 0, 60, 40), largest=12)
    assert shown.count("Tm") == 2
    assert shown.split("Tj")[0].split("<")[1].count("000") == 4, "the letter before the full stop goes to the next line with it"
    with pytest.raises(Unacceptable, match="too small"):
        figures.words(["あいうえお"], face, figures.Box(0, 0, 10, 5))


# Fonts.


def small_font(text: str, units: int = 2048, fs_type: int = 0, nested: int = 0, tall: int = 0, hollow: bool = False) -> Document:
    """A TrueType font of 2048 units to the em, in which every letter is a box three quarters of an em wide."""
    names = [".notdef", *(f"u{ord(c):04X}" for c in dict.fromkeys(text))]
    made = FontBuilder(units, isTTF=True)
    made.setupGlyphOrder([*names, *(f"c{n}" for n in range(nested))])
    made.setupCharacterMap({ord(c): f"u{ord(c):04X}" for c in text})
    side = tall or units * 3 // 4
    pen = TTGlyphPen(None)
    for move, point in (("moveTo", (0, 0)), ("lineTo", (side, 0)), ("lineTo", (side, side)), ("lineTo", (0, side))):
        getattr(pen, move)(point)
    pen.closePath()
    box = TTGlyphPen(None).glyph() if hollow else pen.glyph()
    glyphs = dict.fromkeys(names, box)
    for n in range(nested):
        composite = TTGlyphPen(dict.fromkeys([*names, *(f"c{m}" for m in range(n))]))
        for _ in range(10):
            composite.addComponent(f"c{n - 1}" if n else names[-1], (1, 0, 0, 1, 0, 0))
        glyphs[f"c{n}"] = composite.glyph()
    if nested:
        made.setupCharacterMap({ord(text[0]): f"c{nested - 1}"})
    for glyph in glyphs.values():
        glyph.xMin, glyph.yMin, glyph.xMax, glyph.yMax = 0, 0, min(side, 32_767), min(side, 32_767)
    made.setupGlyf(glyphs, calcGlyphBounds=False)
    made.setupHorizontalMetrics(dict.fromkeys(glyphs, (units * 7 // 8, 0)))
    made.setupHorizontalHeader(ascent=units, descent=-units // 4)
    made.setupOS2(fsType=fs_type)
    made.setupNameTable({"familyName": "Small", "styleName": "Regular"})
    made.setupPost()
    out = io.BytesIO()
    made.font.recalcBBoxes = False
    made.save(out)
    return Document.of(out.getvalue(), "small.ttf")


@pytest.mark.parametrize("units", [1000, 2048, 4096])
def test_every_font_is_measured_in_thousandths(units: int) -> None:
    face = letters.Face(small_font("AB", units))
    one, two = face.glyphs("AB")
    assert (one.advance, one.bounds) == (875, (0, 0, 750, 750))
    assert (one.number, two.number) == (1, 2)
    assert face.program().data[:4] == b"\x00\x01\x00\x00"


def test_a_font_of_2048_units_is_drawn_at_the_right_width(tmp_path: Path) -> None:
    made = sealed(blank_pdf(), visible="text", font=small_font("Exampletim: 0123456789-UTC+T"), **AT)
    with pikepdf.open(io.BytesIO(made)) as paper:
        operators = paper.pages[0].obj.Annots[0].AP.N.read_bytes().decode()
    size = float(operators.split(" Tf")[0].split("/F ")[1])
    (tmp_path / "in.pdf").write_bytes(made)
    told = subprocess.run([program("pdftotext"), "-bbox", tmp_path / "in.pdf", "-"], check=True, capture_output=True, text=True).stdout
    found = re.search(r'xMin="([0-9.]+)" yMin="([0-9.]+)" xMax="([0-9.]+)" yMax="([0-9.]+)">Example<', told)
    assert found is not None
    left, _, right, bottom = map(float, found.groups())
    assert right - left == pytest.approx(7 * 0.875 * size, abs=0.01), "what /W says"
    line = cut(drawn(made, tmp_path), (left - 1, 792 - bottom, right + 1, 792 - bottom + size))
    ink = line.convert("L").point(lambda v: 255 if v < 128 else 0).getbbox()
    assert ink is not None
    assert (ink[2] - ink[0]) * 72 / DOTS == pytest.approx((6 * 0.875 + 0.75) * size, abs=1), "what is drawn"


@pytest.mark.parametrize("text", ["abc", "AあB", "A\u0627", "A\u0e01\u0e33"], ids=["latin", "kana", "arabic", "thai"])
def test_what_a_font_cannot_show_is_refused(text: str) -> None:
    with pytest.raises(Unacceptable, match=r"U\+"):
        letters.Face(small_font("AB")).glyphs(text)


def test_decomposed_kana_are_joined_and_names_keep_their_ideographs() -> None:
    face = letters.Face(small_font("が\ufa19神"))
    assert [g.text for g in face.glyphs("か\u3099\ufa19")] == ["が", "\ufa19"]


@pytest.mark.parametrize("fs_type", [2, 0x100, 0x200])
def test_a_font_that_may_not_be_embedded_is_refused(fs_type: int) -> None:
    with pytest.raises(Unacceptable, match="fsType"):
        letters.Face(small_font("A", fs_type=fs_type))
    letters.Face(small_font("A", fs_type=8))


@pytest.mark.parametrize("hollow", [False, True], ids=["drawn", "empty"])
def test_a_glyph_that_unfolds_without_end_is_refused(hollow: bool) -> None:
    with pytest.raises(TooLarge, match="put together from over 500 others"):
        letters.Face(small_font("A", nested=20, hollow=hollow)).glyphs("A")


def with_table(tag: str, data: bytes) -> Document:
    font = TTFont(io.BytesIO(small_font("A").read(1 << 16)))
    font[tag] = DefaultTable(tag)
    font[tag].data = data
    out = io.BytesIO()
    font.save(out)
    return Document.of(out.getvalue())


@pytest.mark.parametrize("last", [0x10FFFF, 0xFFFFFFFF], ids=["all of Unicode", "more than that"])
def test_a_range_of_characters_is_counted_before_it_is_listed(last: int) -> None:
    """OpenType 1.9, cmap format 12: twelve bytes would become hundreds of megabytes."""
    ranges = struct.pack(">HHHHL", 0, 1, 3, 10, 12) + struct.pack(">HHLLLLLL", 12, 0, 28, 0, 1, 0, last, 1)
    with pytest.raises(TooLarge, match="characters"):
        letters.Face(with_table("cmap", ranges))


def test_a_broken_table_of_variants_is_malformed() -> None:
    """OpenType 1.9, cmap format 14 (found by `font`): it is read where a name has a variation selector."""
    plain = struct.pack(">HHHHHHHHHHHHHhHH", 4, 32, 0, 4, 4, 1, 0, 0x41, 0xFFFF, 0, 0x41, 0xFFFF, 0xFFC0, 1, 0, 0)
    broken = struct.pack(">HLL", 14, 10 + 11, 1) + b"\0\xfe\0" + struct.pack(">LL", 0, 21) + struct.pack(">L", 9)
    tables = struct.pack(">HHHHLHHL", 0, 2, 0, 5, 20 + len(plain), 3, 1, 20) + plain + broken
    face = letters.Face(with_table("cmap", tables))
    assert face.glyphs("A")
    with pytest.raises(Malformed, match="variants"):
        face.glyphs("A\ufe00")


def test_a_glyph_whose_program_calls_without_end_is_refused() -> None:
    """Adobe TN 5177 section 4.7: each subroutine calls the next one ten times, and none draws."""
    made = FontBuilder(1000, isTTF=False)
    made.font.recalcBBoxes = False
    names = [".notdef", "A"]
    made.setupGlyphOrder(names)
    made.setupCharacterMap({0x41: "A"})
    made.setupCFF("Small", {}, {n: T2CharString(program=[0, "hmoveto", -107, "callsubr", "endchar"]) for n in names}, {})
    private = made.font["CFF "].cff.topDictIndex[0].Private
    private.Subrs = SubrsIndex()
    for number in range(12):
        private.Subrs.append(T2CharString(program=[*([number - 106, "callsubr"] * 10 if number < 11 else []), "return"]))
    made.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupPost()
    out = io.BytesIO()
    made.save(out)
    with pytest.raises(TooLarge, match="program"):
        letters.Face(Document.of(out.getvalue())).glyphs("A")


def test_substitutions_without_end_are_refused() -> None:
    """OpenType 1.9, GSUB: all lookups of the feature are the same one, and all its subtables."""
    count = 1000
    feature = struct.pack(">H4sHHH", 1, b"vert", 8, 0, count) + b"".join(struct.pack(">H", n) for n in range(count))
    lookup = struct.pack(">HHH", 1, 0, count) + struct.pack(">H", 6 + 2 * count) * count + struct.pack(">HHhHHH", 1, 6, 1, 1, 1, 1)
    lookups = struct.pack(">H", count) + struct.pack(">H", 2 + 2 * count) * count + lookup
    table = struct.pack(">LHHHH", 0x10000, 10, 12, 12 + len(feature), 0) + feature + lookups
    with pytest.raises(TooLarge, match="subtables"):
        letters.Face(with_table("GSUB", table)).glyphs("A", upright=True)


def test_a_collection_without_end_is_refused() -> None:
    with pytest.raises(TooLarge, match="100000 fonts"):
        letters.Face(Document.of(b"ttcf" + struct.pack(">LL", 0x10000, 100_000) + bytes(400_000)))


def test_a_glyph_that_would_cover_the_page_is_refused() -> None:
    with pytest.raises(Malformed, match="eight times"):
        letters.Face(small_font("A", tall=30_000)).glyphs("A")


@pytest.mark.parametrize("at", range(0, 600, 7))
def test_a_broken_font_is_an_error_of_ours(at: int) -> None:
    data = bytearray(small_font("AB").read(1 << 16))
    data[at : at + 3] = b"\xff\x80\x7f"
    with contextlib.suppress(KakuinError):
        face = letters.Face(Document.of(bytes(data)))
        face.glyphs("AB", upright=True)
        assert len(face.program().data) < 4096


@pytest.mark.parametrize("data", [b"wOFF" + bytes(60), b"ttcf" + bytes(60), b"", b"%PDF-1.7\n", bytes(100)])
def test_what_is_no_font_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match="font"):
        letters.Face(Document.of(data))


# Pictures.


def png(width: int, height: int, data: bytes = b"") -> Document:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return Document.of(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


def gif() -> Document:
    out = io.BytesIO()
    Image.new("L", (4, 4)).save(out, "GIF")
    return Document.of(out.getvalue())


BAD_PICTURES: dict[str, tuple[Callable[[], Document], type[KakuinError]]] = {
    "bomb": (lambda: png(50_000, 50_000), TooLarge),
    "more pixels than are drawn": (lambda: png(2001, 2000), TooLarge),
    "rows missing": (lambda: png(100, 100, b"\0" * 50), Malformed),
    "another kind": (gif, Malformed),
    "text": (lambda: Document.of(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), Malformed),
    "cut off": (lambda: Document.of(picture("JPEG", "RGB").read(1 << 20)[:400]), Malformed),
}


def test_a_chunk_that_ends_in_its_name_is_malformed() -> None:
    """Pillow raises an IndexError (found by `picture`): ISO/IEC 15948 clause 11.3.2.3, a profile has a name, a method and itself."""
    out = io.BytesIO()
    Image.new("L", (4, 4)).save(out, "PNG")
    whole, name = out.getvalue(), b"iCCPname"
    chunk = struct.pack(">L", 4) + name + struct.pack(">L", zlib.crc32(name))
    assert pictures.picture(Document.of(whole)).width == 4
    for before in (b"IDAT", b"IEND"):
        at = whole.index(before) - 4
        with pytest.raises(Malformed, match="image"):
            pictures.picture(Document.of(whole[:at] + chunk + whole[at:]))


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_refused(name: str) -> None:
    make, kind = BAD_PICTURES[name]
    with pytest.raises(kind, match="image"):
        pictures.picture(make())


# What cannot be.

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "page that there is not": ({"visible": "qr", "page": "3"}, "the PDF has 2 pages, and a seal is wanted on page 3"),
    "outside the page": ({"visible": "qr", "rect": "500,20,700,120"}, "not on the page, which is 612 x 792 points"),
    "below the page": ({"visible": "qr", "rect": "100,-50,200,50"}, "not on the page"),
    "field without room": ({"field": "Approval", "visible": "qr"}, "no room for a visible seal"),
    "hidden field": ({"field": "Approval", "visible": "qr", "flags": "2"}, "a hidden one"),
    "letters without a font": ({"visible": "seal", "font": None}, "needs a font"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_drawn_is_refused(name: str) -> None:
    said, why = REFUSED[name]
    flags = {"F": int(said["flags"])} if "flags" in said else {"Rect": Array([0, 0, 0, 0])}
    data = form(**flags) if "field" in said else blank_pdf()
    with pytest.raises(Unacceptable, match=why):
        sealed(data, **{name: value for name, value in said.items() if name != "flags"})


UNSOUND: dict[str, tuple[dict[str, str], str]] = {
    "unknown look": ({"visible": "stamp"}, "a visible seal shows text, seal, image, qr"),
    "page alone": ({"page": "1"}, "say what it shows"),
    "name alone": ({"seal_name": "A"}, "say what it shows"),
    "page zero": ({"visible": "qr", "page": "0"}, "a page is 1"),
    "page in other digits": ({"visible": "qr", "page": "２"}, "a page is 1"),
    "three numbers": ({"visible": "qr", "rect": "1,2,3"}, "left,bottom,right,top"),
    "turned over": ({"visible": "qr", "rect": "200,20,100,120"}, "sides of"),
    "smaller than can be seen": ({"visible": "qr", "rect": "100,100,104,104"}, "sides of"),
    "not a number": ({"visible": "qr", "rect": "1,2,nan,4"}, "left,bottom,right,top"),
    "image without one": ({"visible": "image"}, "needs one"),
    "code's text without code": ({"visible": "text", "qr": "x"}, "belongs to a seal that shows one"),
    "line end in a name": ({"visible": "seal", "seal_name": "a\nb"}, "without line ends"),
    "two fields": ({"field": "A", "new_field": "B"}, "not both"),
    "place of a field": ({"visible": "qr", "field": "A", "page": "1"}, "its own place"),
    "name with a period": ({"new_field": "A.B"}, "without a period"),
    "certification of no kind": ({"certify": "all"}, "no-changes, forms, comments"),
    "lock of nothing": ({"lock": "A,,B"}, "a lock is all"),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_wish_that_makes_no_sense_is_refused(name: str) -> None:
    said, why = UNSOUND[name]
    with pytest.raises(Unacceptable, match=why):
        wished(said)


def test_millimetres_are_points() -> None:
    place = wished({"visible": "qr", "rect": "25.4mm,0,50.8mm,72"}).place
    assert place is not None
    assert place.rectangle == pytest.approx((72, 0, 144, 72))
    assert wished({"visible": "qr", "page": "last"}).place == Place(-1)
    assert wished({"visible": "seal"}).look == Look(Figure.SEAL)


def test_a_look_belongs_to_a_pdf() -> None:
    with pytest.raises(Unacceptable, match="belong to a PDF"):
        choose(b"a,b\r\n", pdf=wished({"visible": "seal"}))


def test_the_same_letters_make_the_same_font() -> None:
    one, two = (letters.Face(small_font("AB")) for _ in range(2))
    assert one.glyphs("AB") == two.glyphs("AB")
    assert one.program() == two.program()


def test_the_japanese_face_of_a_collection_is_taken() -> None:
    face = letters.Face(japanese_font())
    [upright] = face.glyphs("ー", upright=True)
    [lying] = face.glyphs("ー")
    face.close()
    assert upright.bounds[3] - upright.bounds[1] > 3 * (lying.bounds[3] - lying.bounds[1])
