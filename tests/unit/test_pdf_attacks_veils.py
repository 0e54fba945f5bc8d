"""Attacks on signed PDFs by remarks that hide: dark highlights, veils over veils, bars and strokes side by side. What remains readable is lawful."""

import base64
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace

import pikepdf
import pytest

from tests.papers import CONTENTS, Paper, look, stream
from tests.unit.test_pdf_attacks import suspicion
from tests.unit.test_pdf_attacks_marks import OVER, P3, QUADS, noted
from tests.unit.test_pdf_changes import FORM_XOBJECT, OTHER, PLAIN, SEAL, SIGNED, alarms, annotated, filled
from verifier.formats.pdf.covering import hides_now

Story = Callable[[], Paper]
SHEET = f"{FORM_XOBJECT} /BBox [0 0 230 30]"
BLANK = "[320 100 520 160]"
"""Where the page is empty."""


def state(entries: str) -> str:
    return f"{SHEET} /Resources << /ExtGState << /G << {entries} >> >> >>"


def highlight(operators: str, entries: str = "/BM /Multiply", made: Paper = P3, at: str = OVER) -> Paper:
    return noted(f"/Subtype /Highlight /Rect {at} {QUADS}", stream(operators.encode(), state(entries)), made)


def stacked(count: int, operators: str, entries: str) -> Paper:
    made = P3
    for _ in range(count):
        made = highlight(operators, entries, made)
    return made


def pen(operators: str, at: str = OVER, made: Paper = P3) -> Paper:
    return noted(f"/Subtype /Ink /Rect {at} /InkList [[70 700 300 700]]", stream(operators.encode(), SHEET), made)


def drawing(kind: str, entries: str, operators: str = "", at: str = OVER) -> Paper:
    if not operators:
        return annotated(P3, f"/Subtype /{kind} /Rect {at} {entries}")
    return noted(f"/Subtype /{kind} /Rect {at} {entries}", stream(operators.encode(), SHEET))


def scanned() -> Paper:
    """A page that is a picture."""
    picture = stream(b"\x80" * 4, "/Type /XObject /Subtype /Image /Width 2 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8")
    ready = PLAIN.rearranged(
        {CONTENTS: stream(b"q 595 0 0 842 0 0 cm /X Do Q"), 80: picture}, resources="/Font << /F1 5 0 R >> /XObject << /X 80 0 R >>"
    )
    return ready.signed(SEAL, doc_mdp=3)


def title(then: str, now: str, entries: str = "/DisplayDocTitle true") -> Paper:
    ready = replace(PLAIN, trailer="/Info 90 0 R").rearranged(catalogue=f"/ViewerPreferences << {entries} >>")
    signed = ready.saved({90: f"<< {then} >>".encode()}).signed(SEAL)
    return signed.saved({90: f"<< {now} >>".encode()})


def described(then: str, now: str) -> Paper:
    """The same by metadata."""

    def packet(text: str) -> bytes:
        alternatives = f'<rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt>'
        return stream(f"<rdf:Description><dc:title>{alternatives}</dc:title></rdf:Description>".encode(), "/Type /Metadata /Subtype /XML")

    ready = PLAIN.rearranged({90: packet(then)}, catalogue="/Metadata 90 0 R /ViewerPreferences << /DisplayDocTitle true >>").signed(SEAL)
    return ready.saved({90: packet(now)})


def thumbnail(then: bytes, now: bytes | None) -> Paper:
    entries = "/Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8"
    ready = PLAIN.rearranged({80: stream(then, entries)}, page="/Thumb 80 0 R").signed(SEAL)
    return ready.rearranged(page="") if now is None else ready.rearranged({81: stream(now, entries)}, page="/Thumb 81 0 R")


def scan(samples: bytes = b"\xf0" * 64 + b"\x10" * 64, entries: str = "/ColorSpace /DeviceGray", made: bytes = b"") -> Paper:
    """A scanned page of 8 by 16 samples: its upper half is paper, its lower half is ink."""
    picture = made or stream(samples, f"/Type /XObject /Subtype /Image /Width 8 /Height 16 /BitsPerComponent 8 {entries}")
    ready = PLAIN.rearranged(
        {CONTENTS: stream(b"q 595 0 0 842 0 0 cm /X Do Q"), 80: picture}, resources="/Font << /F1 5 0 R >> /XObject << /X 80 0 R >>"
    )
    return ready.signed(SEAL)


PAPER, INK, EDGE = "[300 700 500 750]", "[300 100 500 150]", "[300 400 500 450]"
PHOTOGRAPH = "/ColorSpace /DeviceGray /Filter /DCTDecode"
STAMP = stream(b"1 g 0 0 200 50 re f BT /F1 9 Tf 0 g 2 2 Td (Sealed) Tj ET", f"{FORM_XOBJECT} /BBox [0 0 200 50]")


def sealed(made: Paper, at: str, appearance: bytes | None = None) -> Paper:
    return made.signed(OTHER, "Sig2", rectangle=at, appearance=appearance or look("Sealed"))


def masked_picture(at: str) -> Paper:
    """A seal that is a picture through which the page is seen."""
    mask = "/SMask << /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 >>"
    drawn_by = "/Resources << /XObject << /I 95 0 R >> >>"
    picture = stream(b"\0", f"/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 {mask}")
    seal = stream(b"q 200 0 0 20 0 0 cm /I Do Q", f"{FORM_XOBJECT} /BBox [0 0 200 20] {drawn_by}")
    return SIGNED.signed(OTHER, "Sig2", rectangle=at, appearance=seal, objects={95: picture})


def icon(at: str, operators: str) -> Paper:
    return noted(f"/Subtype /Text /Rect {at} /Contents (a)", stream(operators.encode(), f"{FORM_XOBJECT} /BBox [0 0 20 20]"))


VEIL = "/Resources << /ExtGState << /G << /ca 0.6 >> >> >>"
PAPER_LIKE = "1 g 0 0 20 20 re f 0 G 0.1 w 0 0 m 0.2 0 l S"


def long_page(made: bytes) -> Paper:
    """A page of more operators than are read."""
    content = zlib.compress(b"q Q " * 300_000)
    ready = PLAIN.rearranged({CONTENTS: stream(content, "/Filter /FlateDecode")}).signed(SEAL)
    return sealed(ready, BLANK, made)


def in_text(*filters: str) -> Paper:
    """An appearance, compressed and written as text."""
    data = b"BT /Helv 12 Tf 0 g 2 6 Td (1000) Tj ET"
    encoders = {
        "FlateDecode": zlib.compress,
        "ASCII85Decode": lambda d: base64.a85encode(d) + b"~>",
        "ASCIIHexDecode": lambda d: d.hex().encode() + b">",
    }
    for name in reversed(filters):
        data = encoders[name](data)
    entries = f"/Filter [{' '.join('/' + f for f in filters)}] {FORM_XOBJECT} /BBox [0 0 200 20] /Resources << /Font << /Helv 5 0 R >> >>"
    return filled(SIGNED, "1000", stream(data, entries))


BAR = "0 0 230 30 re f"
STRIPS = " ".join(f"0 {y} 230 3 re f" for y in range(0, 30, 3))
LINES = " ".join(f"0 {y} m 230 {y} l S" for y in range(0, 30, 3))
STEEP = " ".join(f"{x} 0 m {x + 4} 30 l S" for x in range(0, 230, 2))

HOSTILE: dict[str, Story] = {
    "black that multiplies": lambda: highlight(f"/G gs 0 g {BAR}"),
    "black that darkens": lambda: highlight(f"/G gs 0.1 g {BAR}", "/BM /Darken"),
    "black drawn by readers": lambda: annotated(P3, f"/Subtype /Highlight /Rect {OVER} {QUADS} /C [0 0 0]"),
    "two colours that multiply to black": lambda: highlight(f"/G gs 1 0 0 rg {BAR} 0 0 1 rg {BAR}"),
    "two colours of two highlights that multiply to black": lambda: highlight(f"/G gs 0 0 1 rg {BAR}", made=highlight(f"/G gs 1 0 0 rg {BAR}")),
    "veils in one appearance": lambda: highlight(f"/G gs 1 g {' '.join([BAR] * 10)}", "/ca 0.5"),
    "veils over veils": lambda: stacked(6, f"/G gs 1 g {BAR}", "/ca 0.5"),
    "two veils": lambda: stacked(2, f"/G gs 1 g {BAR}", "/ca 0.55"),
    "thin bars side by side": lambda: drawing("StrikeOut", QUADS, f"1 g {STRIPS}"),
    "thin bars side by side, over a drawing": lambda: drawing("StrikeOut", QUADS, f"1 g {STRIPS}", BLANK),
    "thin bars of two remarks": lambda: noted(
        f"/Subtype /StrikeOut /Rect {OVER} {QUADS}",
        stream(f"1 g {' '.join(f'0 {y} 230 3 re f' for y in range(3, 30, 6))}".encode(), SHEET),
        drawing("StrikeOut", QUADS, f"1 g {' '.join(f'0 {y} 230 3 re f' for y in range(0, 30, 6))}"),
    ),
    "strokes as broad as letters": lambda: pen("1 G 8 w 0 16 m 230 16 l S"),
    "strokes side by side": lambda: pen(f"1 G 3.5 w {LINES}"),
    "strokes side by side, steep": lambda: pen(f"1 G 3 w {STEEP}"),
    "strokes over a scanned page": lambda: pen("1 G 8 w 0 16 m 230 16 l S", made=scanned()),
    "strokes of readers as broad as letters": lambda: drawing("Ink", "/InkList [[70 708 300 708]] /BS << /W 10 >> /C [1 1 1]"),
    "high strike-out by readers": lambda: annotated(P3, f"/Subtype /StrikeOut /Rect {OVER} /C [1 1 1] /QuadPoints [70 800 300 800 70 600 300 600]"),
    "square filled by readers": lambda: drawing("Square", "/IC [1 1 1]"),
    "square filled": lambda: drawing("Square", "", f"1 g {BAR}"),
    "circle filled": lambda: drawing("Circle", "", "1 g 0 15 m 0 30 230 30 230 15 c 230 0 0 0 0 15 c f"),
    "polygon filled": lambda: drawing("Polygon", "/Vertices [70 690 300 690 300 730 70 730]", f"1 g {BAR}"),
    "line with a caption": lambda: drawing("Line", "/L [320 120 500 120] /Cap true /Contents (900 yen)", at=BLANK),
    "line with words": lambda: drawing("Line", "/L [320 120 500 120]", "BT /F1 9 Tf (900 yen) Tj ET", BLANK),
    "seal over what was scanned": lambda: sealed(scan(b"\xf0\x10" * 64), INK),
    "seal over the edge of what was scanned": lambda: sealed(scan(), EDGE),
    "seal over what was scanned in colours": lambda: sealed(scan(b"\xf0" * 192 + b"\xf0\x10\x10" * 64, "/ColorSpace /DeviceRGB"), EDGE),
    "opaque seal over a photograph": lambda: sealed(scan(b"x", PHOTOGRAPH), PAPER, STAMP),
    "note like paper over the price": lambda: icon("[150 695 190 735]", PAPER_LIKE),
    "opaque seal on a page that is too long to be read": lambda: long_page(STAMP),
    "seal of lines over the price": lambda: sealed(SIGNED, OVER, stream(b"0 0 m 200 20 l S", SHEET)),
    "seal as a picture over the price, seen through": lambda: masked_picture(OVER),
    "title that is shown": lambda: title("/Title (100 yen)", "/Title (900 yen)"),
    "title that is shown, added": lambda: title("/Producer (a)", "/Producer (a) /Title (900 yen)"),
    "title that is shown, in the metadata": lambda: described("100 yen", "900 yen"),
    "thumbnail exchanged": lambda: thumbnail(b"\0", b"\xff"),
    "thumbnail added": lambda: SIGNED.rearranged(
        {80: stream(b"\0", "/Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8")}, page="/Thumb 80 0 R"
    ),
}

LAWFUL: dict[str, Story] = {
    "yellow that multiplies": lambda: highlight(f"/G gs 1 1 0 rg {BAR}"),
    "red that multiplies": lambda: highlight(f"/G gs 1 0.3 0.3 rg {BAR}"),
    "yellow twice": lambda: stacked(2, f"/G gs 1 1 0 rg {BAR}", "/BM /Multiply"),
    "yellow and green": lambda: highlight(f"/G gs 0.5 1 0.5 rg {BAR}", made=highlight(f"/G gs 1 1 0 rg {BAR}")),
    "one veil": lambda: highlight(f"/G gs 1 1 0 rg {BAR}", "/ca 0.4"),
    "veils beside each other": lambda: highlight("/G gs 1 1 0 rg 0 0 100 14 re f 0 15 230 14 re f 110 0 100 14 re f", "/ca 0.5"),
    "pen": lambda: pen("1 0 0 RG 2 w 0 10 m 40 25 80 0 120 15 c 150 20 l S"),
    "broad pen where nothing is": lambda: pen("1 0 0 RG 8 w 0 10 m 100 20 l S", BLANK),
    "pen drawn by readers": lambda: drawing("Ink", "/InkList [[70 708 300 708]] /BS << /W 2 >> /C [1 0 0]"),
    "handwriting": lambda: pen("0 0 1 RG 1.5 w " + " ".join(f"{x} 5 m {x + 6} 25 l {x + 9} 6 l S" for x in range(0, 200, 12))),
    "strike-out by readers": lambda: annotated(P3, f"/Subtype /StrikeOut /Rect {OVER} {QUADS} /C [1 0 0]"),
    "square": lambda: drawing("Square", "/C [1 0 0] /BS << /W 2 >>"),
    "square, drawn": lambda: drawing("Square", "/C [1 0 0]", "1 0 0 RG 2 w 1 1 228 28 re S"),
    "circle": lambda: drawing("Circle", "/C [1 0 0]", "1 0 0 RG 0 15 m 0 30 230 30 230 15 c 230 0 0 0 0 15 c s"),
    "line": lambda: drawing(
        "Line", "/L [70 700 300 700] /LE [/None /OpenArrow] /C [1 0 0]", "1 0 0 RG 0 10 m 220 10 l S 215 13 m 220 10 l 215 7 l S"
    ),
    "polygon": lambda: drawing("Polygon", "/Vertices [320 100 520 100 420 160] /C [1 0 0]", at=BLANK),
    "lines": lambda: drawing("PolyLine", "/Vertices [320 100 520 100 420 160] /C [1 0 0]", at=BLANK),
    "seal over paper that was scanned": lambda: sealed(scan(), PAPER),
    "opaque seal over paper that was scanned": lambda: sealed(scan(), PAPER, STAMP),
    "seal over paper that was scanned in colours": lambda: sealed(scan(b"\xf0\xe8\xf0" * 128, "/ColorSpace /DeviceRGB"), PAPER),
    "seal over a photograph, seen through": lambda: sealed(scan(b"x", PHOTOGRAPH), PAPER),
    "note like paper where nothing is": lambda: icon("[10 10 30 30]", PAPER_LIKE),
    "note on a white veil over the price": lambda: noted(
        "/Subtype /Text /Rect [150 695 170 715] /Contents (a)",
        stream(b"q /G gs 1 g 0 0 20 20 re f Q 1 1 0 rg 2 2 m 18 2 l 10 18 l f", f"{FORM_XOBJECT} /BBox [0 0 20 20] {VEIL}"),
    ),
    "note in yellow over the price": lambda: icon("[150 695 190 735]", "1 1 0 rg 0 0 20 20 re f"),
    "seal on a page that is too long to be read": lambda: long_page(look("Sealed")),
    "appearance as text": lambda: in_text("ASCII85Decode", "FlateDecode"),
    "appearance in hexadecimal digits": lambda: in_text("ASCIIHexDecode"),
    "seal of lines aside": lambda: sealed(SIGNED, BLANK, stream(b"0 0 m 200 20 l S", SHEET)),
    "seal as a picture aside": lambda: masked_picture(BLANK),
    "title that is not shown": lambda: title("/Title (100 yen)", "/Title (900 yen)", "/HideMenubar true"),
    "title that stays": lambda: title("/Title (100 yen)", "/Title (100  yen) /Producer (b)"),
    "title that stays in the metadata": lambda: described("100 yen", " 100 yen "),
    "thumbnail taken away": lambda: thumbnail(b"\0", None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_attacks(name: str) -> None:
    assert suspicion(HOSTILE[name]()) != []


@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_twins(name: str) -> None:
    assert alarms(LAWFUL[name]()) == []


def test_an_appearance_of_many_operators_is_given_up() -> None:
    """Neither time nor memory without end: what is too much to be drawn hides."""
    assert suspicion(pen("1 w " + "0 0 m 230 30 l S " * 21_000)) != []


@pytest.mark.parametrize("operators", ["m h f", "m c f", "m l S", "1 2 m 3 c f", "1 2 3 4 m f"])
def test_a_path_that_nobody_can_draw_hides(operators: str) -> None:
    """ISO 32000-2 table 58: an operator without its numbers (found by `extend-pades`: the whole document could not be read)."""
    with pikepdf.new() as paper:
        drawn = paper.make_stream(operators.encode(), Subtype=pikepdf.Name.Form, BBox=[0, 0, 9, 9])
        assert hides_now(pikepdf.Dictionary(Rect=[0, 0, 9, 9], AP=pikepdf.Dictionary(N=drawn)))


@pytest.mark.parametrize("count", [500_000, 8_000_000], ids=["many", "endless"])
def test_operators_without_number_cost_no_memory(count: int) -> None:
    """A small stream becomes a large one, and each of its operators an object: neither on a page nor in an appearance are they made."""
    bomb = zlib.compress(b"q Q " * count, 9)
    ready = PLAIN.rearranged({CONTENTS: stream(bomb, "/Filter /FlateDecode")}).signed(SEAL)
    tracemalloc.start()
    try:
        alarms(sealed(ready, BLANK))
        suspicion(noted(f"/Subtype /Ink /Rect {OVER}", stream(bomb, f"{SHEET} /Filter /FlateDecode")))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_what_the_page_shows_is_read_for_what_covers_it() -> None:
    assert alarms(noted(f"/Subtype /Ink /Rect {BLANK} /InkList [[1 1 2 2]]", stream(b"8 w 0 10 m 100 20 l S", SHEET), scanned())) != []
