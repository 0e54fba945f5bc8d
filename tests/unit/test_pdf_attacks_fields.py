"""Forged appearances of form fields beyond the plain ones: a value of which a part is pushed out of sight, another option marked, a box that shrinks.

Their lawful twins are what makers of forms really write: other orders in /DA, colours in other digits, bevels, bars, right-to-left scripts.
"""

from collections.abc import Callable

import pytest

from tests.papers import TEXT, TEXT_LOOK, Paper, look, stream, text_field
from tests.unit.test_pdf_attacks import LISTED, TEXT_DRAWN, combo, drawn_as, suspicion
from tests.unit.test_pdf_changes import BOX, FORM_XOBJECT, PLAIN, SEAL, SIGNED, alarms, filled

Story = Callable[[], Paper]
FONTS = "/Font << /Helv 5 0 R >>"


def drawn_text(operators: str) -> str:
    return f"BT /Helv 12 Tf 0 g {operators} ET"


def boxed(entries: str, operators: str = TEXT_DRAWN, value: str = "1000") -> Paper:
    """An appearance whose dictionary has these entries."""
    return drawn_as(operators, value, box=f"{FORM_XOBJECT} {entries}")


def in_font(entries: str) -> Paper:
    font = f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding {entries} >>"
    return drawn_as(TEXT_DRAWN, resources=f"/Font << /Helv {font} >>")


def kept(then: str, now: str, value: str = "1000", drawn: bytes | None = None, *, old: str = "") -> Paper:
    """A text field with these entries is signed, then filled with other entries."""
    ready = PLAIN.saved({TEXT: text_field(old, entries=then), TEXT_LOOK: look(old)}).signed(SEAL)
    return ready.saved({TEXT: text_field(value, entries=now), TEXT_LOOK: drawn or look(value)})


def styled(default: str) -> Paper:
    """Filled, with another /DA."""
    return SIGNED.saved({TEXT: text_field("1000").replace(b"/Helv 12 Tf 0 g", default.encode()), TEXT_LOOK: look("1000")})


def without_fonts(default: str, font: bytes = b"") -> Paper:
    """A form that lends no fonts; filled with another /DA, and with the font that it names where there is one."""
    ready = PLAIN.rearranged(form="").signed(SEAL)
    field = text_field("1000").replace(b"/Helv 12 Tf 0 g", default.encode())
    form = "/DR << /Font << /New 80 0 R >> >>" if font else ""
    return ready.rearranged({TEXT: field, TEXT_LOOK: look("1000"), **({80: font} if font else {})}, form=form)


def multiline(lines: str, value: str) -> Paper:
    """A high box, of several lines."""
    body = text_field("", entries="/Ff 4096").replace(b"[72 600 272 620]", b"[72 570 272 620]")
    ready = PLAIN.saved({TEXT: body}).signed(SEAL)
    made = stream(f"BT /Helv 12 Tf 0 g {lines} ET".encode(), f"{FORM_XOBJECT} /BBox [0 0 200 50] /Resources << {FONTS} >>")
    return ready.saved({TEXT: body.replace(b"/V ()", f"/V ({value})".encode()), TEXT_LOOK: made})


def listing(bar: str, value: str = "refused", lines: tuple[str, ...] = ("agreed", "refused", "maybe")) -> Paper:
    """A list of three lines, of which a bar marks one."""
    drawn = " ".join(f"BT /Helv 5 Tf 0 g 2 {14.5 - 6 * i} Td ({line}) Tj ET" for i, line in enumerate(lines))
    picture = stream(f"0.9 g 0 0 200 20 re f 0.6 0.7 0.9 rg {bar} {drawn}".encode(), f"{BOX} /Resources << {FONTS} >>")
    return combo(value, "", 0, picture)


BARS = tuple(f"1 {13.2 - 6 * i} 198 6 re f" for i in range(3))


def turned(degrees: int, matrix: str, *, mk: bool = True) -> Paper:
    """A field that stands turned on its page."""
    entries = f"/MK << /R {degrees} >>" if mk else ""
    body = text_field("", entries=entries).replace(b"[72 600 272 620]", b"[72 420 92 620]")
    ready = PLAIN.saved({TEXT: body}).signed(SEAL)
    made = stream(TEXT_DRAWN.encode(), f"{FORM_XOBJECT} /BBox [0 0 200 20] /Matrix [{matrix}] /Resources << {FONTS} >>")
    return ready.saved({TEXT: body.replace(b"/V ()", b"/V (1000)"), TEXT_LOOK: made})


def in_encoding(differences: str, codes: bytes, value: bytes) -> Paper:
    """Letters by the names that a font of the form gives them."""
    font = f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Type /Encoding /Differences [{differences}] >> >>"
    made = stream(b"BT /Helv 12 Tf 0 g 2 6 Td (" + codes + b") Tj ET", f"{BOX} /Resources << /Font << /Helv {font} >> >>")
    return SIGNED.saved({TEXT: text_field("").replace(b"/V ()", b"/V <" + value.hex().encode() + b">"), TEXT_LOOK: made})


def hebrew(drawn: str) -> Paper:
    """Three letters of Hebrew and a number, in the order in which they are drawn."""
    return in_encoding("97 /uni05D0 /uni05D1 /uni05D2", drawn.encode(), b"\xfe\xff" + "אבג 100".encode("utf-16-be"))


def calculated(script: str) -> Paper:
    entries = f"/Ff 1 {script}"
    return kept(entries, entries)


def formatted(call: str, value: str, picture: str) -> Paper:
    """A field whose script, signed with it, decides what a value looks like."""
    script = call.replace("(", "\\(").replace(")", "\\)")
    entries = f"/AA << /F << /S /JavaScript /JS ({script}) >> >>"
    return kept(entries, entries, value, look(picture))


KILOGRAMS = 'AFNumber_Format(2, 0, 0, 0, " kg", false);'
PERCENT = "AFPercent_Format(2, 0);"
TELEPHONE = "AFSpecial_Format(2);"

HOSTILE: dict[str, Story] = {
    "list shown as another option": lambda: combo("refused", "agreed", 0),
    "list with the other of two marked": lambda: combo("agreed", "", 0, LISTED),
    "list with another marked": lambda: listing(BARS[2]),
    "list with two marked": lambda: listing(BARS[1] + " " + BARS[2]),
    "list with one marked, though none is chosen": lambda: listing(BARS[2], ""),
    "list without what is chosen": lambda: listing("", lines=("agreed", "maybe")),
    "letters upside down": lambda: boxed("/BBox [0 0 200 20] /Matrix [-1 0 0 -1 200 20]"),
    "letters mirrored": lambda: boxed("/BBox [0 0 200 20] /Matrix [-1 0 0 1 200 0]"),
    "letters turned": lambda: turned(90, "0 -1 1 0 0 200"),
    "letters turned, though the field is not": lambda: turned(0, "0 1 -1 0 20 0", mk=False),
    "letters leaning": lambda: boxed("/BBox [0 0 200 20] /Matrix [1 0 3 1 0 0]"),
    "box shrunk": lambda: boxed("/BBox [0 0 20000 2000]"),
    "box squeezed": lambda: boxed("/BBox [0 0 20000 20]"),
    "box squeezed to a fifth": lambda: boxed("/BBox [0 0 1000 20]"),
    "pushed out by spaces": lambda: drawn_as(drawn_text(f"2 6 Td (1{' ' * 400}000) Tj")),
    "pushed out by an adjustment": lambda: drawn_as(drawn_text("2 6 Td [(1) -50000 (000)] TJ")),
    "pushed out by two adjustments": lambda: drawn_as(drawn_text("2 6 Td [(1) -9000 -9000 (000)] TJ")),
    "pushed out by the space between letters": lambda: drawn_as(drawn_text("2 6 Td 300 Tc (1000) Tj")),
    "pushed out by the space between words": lambda: drawn_as(drawn_text("2 6 Td 900 Tw (1 000) Tj"), "1 000"),
    "pushed out by an operator of three": lambda: drawn_as(drawn_text('2 6 Td 0 300 (1000) "')),
    "pushed up": lambda: drawn_as(drawn_text("2 6 Td (1) Tj 400 Ts (000) Tj")),
    "letters over each other": lambda: drawn_as(drawn_text("2 6 Td -6 Tc (1000) Tj")),
    "letters over each other by adjustments": lambda: drawn_as(drawn_text("2 6 Td [(1) 450 (0) 450 (0) 450 (0)] TJ")),
    "continued far below": lambda: drawn_as(drawn_text("2 6 Td (1) Tj 0 -100 Td (000) Tj")),
    "continued in the next line, which is not seen": lambda: drawn_as(drawn_text("2 6 Td (1) Tj 0 -14 Td (000) Tj")),
    "below the box": lambda: drawn_as(drawn_text("2 -11 Td (1000) Tj")),
    "above the box": lambda: drawn_as(drawn_text("2 19.9 Td (1000) Tj")),
    "first letter to the left of the box": lambda: drawn_as(drawn_text("-7 6 Td (9100) Tj"), "9100"),
    "the rest at the right edge": lambda: drawn_as(drawn_text("2 6 Td (1) Tj 197.5 0 Td (000) Tj")),
    "only the beginning in the box": lambda: drawn_as(drawn_text("185 6 Td (1000) Tj")),
    "larger than the box": lambda: drawn_as("BT /Helv 200 Tf 0 g 2 2 Td (1000) Tj ET"),
    "larger than the field says, so that the end is not seen": lambda: drawn_as(
        "BT /Helv 28 Tf 0 g 2 2 Td (1000000000000000000000000) Tj ET", "1" + "0" * 24
    ),
    "recoloured by a function": lambda: drawn_as(
        f"/G gs {TEXT_DRAWN}", resources=f"{FONTS} /ExtGState << /G << /TR << /FunctionType 2 /Domain [0 1] /C0 [1] /C1 [1] /N 1 >> >> >>"
    ),
    "three numbers in a space of one": lambda: drawn_as("1 0 0 sc BT /Helv 12 Tf 2 6 Td (1000) Tj ET"),
    "font without breadth": lambda: in_font(f"/FirstChar 0 /LastChar 255 /Widths [{'0 ' * 256}]"),
    "font of great breadth": lambda: in_font(f"/FirstChar 0 /LastChar 255 /Widths [{'60000 ' * 256}]"),
    "font whose letters are beyond its breadths": lambda: in_font("/FirstChar 32 /LastChar 33 /Widths [500 500]"),
    "a digit made of a line": lambda: drawn_as(f"{TEXT_DRAWN} 1 w 60 3 m 60 15 l S"),
    "a digit made of a box": lambda: drawn_as(f"60 3 1.5 12 re f {TEXT_DRAWN}"),
    "a point made of a box": lambda: drawn_as(f"{TEXT_DRAWN} 15 6 1 1 re f"),
    "digits made of one shape": lambda: drawn_as(f"{TEXT_DRAWN} 40 4 m 40 16 l 60 16 l 60 4 l 80 4 l 80 16 l 190 16 l 190 15 l f"),
    "struck through": lambda: drawn_as(f"1 0 0 RG {TEXT_DRAWN} 0 10 m 200 10 l S"),
    "struck through by a box": lambda: drawn_as(f"1 0 0 rg 0 9 200 1 re f {TEXT_DRAWN}"),
    "black on black within a bevel": lambda: drawn_as(f"0 g 0 0 200 20 re f 1 g 0 0 m 0 20 l 200 20 l 198 18 l 2 18 l 2 2 l f {TEXT_DRAWN}"),
    "clip of two boxes": lambda: drawn_as(f"q 0 0 9 20 re 150 0 50 20 re W n {TEXT_DRAWN} Q"),
    "/DA in white": lambda: styled("/Helv 12 Tf 1 g"),
    "/DA of no size": lambda: styled("/Helv 0.1 Tf 0 g"),
    "/DA of another font": lambda: styled("/ZaDb 12 Tf 0 g"),
    "/DA that says two things": lambda: styled("/Helv 12 Tf 0 g 1 g"),
    "/DA with an invisible mode": lambda: styled("/Helv 12 Tf 3 Tr 0 g"),
    "/MK with another colour": lambda: kept("/MK << /BG [1 1 1] >>", "/MK << /BG [0 0 0] >>"),
    "/MK with a turn": lambda: kept("/MK << /BG [1 1 1] >>", "/MK << /BG [1 1 1] /R 180 >>"),
    "/MK with a caption": lambda: kept("/MK << /BG [1 1 1] >>", "/MK << /BG [1 1 1] /CA (9) >>"),
    "/DA of another font, where the form has none": lambda: without_fonts("/New 12 Tf 0 g", b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"),
    "/DA in white, where the form has no fonts": lambda: without_fonts("/Helvetica 12 Tf 1 g"),
    "font that nobody has": lambda: drawn_as("BT /Other 12 Tf 0 g 2 6 Td (1000) Tj ET", resources="/ProcSet [/PDF]"),
    "/BS of another kind": lambda: kept("/BS << /S /S >> /MK << /BC [1 0 0] >>", "/BS << /S /B >> /MK << /BC [1 0 0] >>"),
    "password shown as another": lambda: kept("/Ff 8192", "/Ff 8192", "secret", look("public")),
    "/BS as a bar": lambda: kept("/BS << /W 1 >>", "/BS << /W 30 >>"),
    "read-only": lambda: kept("/Ff 1", "/Ff 1"),
    "read-only, no longer": lambda: kept("/Ff 1", "/Ff 0"),
    "read-only with another script": lambda: calculated("/AA << /F << /S /JavaScript /JS (1) >> >>"),
    "unit of another number": lambda: formatted(KILOGRAMS, "5", "50 kg"),
    "unit that the script does not add": lambda: formatted(KILOGRAMS, "5", "5 t"),
    "percent of another number": lambda: formatted(PERCENT, "0.5", "5.00%"),
    "percent without a script": lambda: filled(SIGNED, "0.5", look("50%")),
    "telephone number of other digits": lambda: formatted(TELEPHONE, "5551234567", "\\(555\\) 123-4568"),
    "number with dashes, without a script": lambda: filled(SIGNED, "1000", look("10-00")),
    "script that does more": lambda: formatted(f"{KILOGRAMS} event.value = 9;", "5", "5.00 kg"),
    "Hebrew with its number backwards": lambda: hebrew("001 cba"),
    "letters by a wrong name": lambda: in_encoding("97 /eacute", b"a", b"\xe8"),
}

LAWFUL: dict[str, Story] = {
    "list with its choice on a bar": lambda: listing(BARS[1]),
    "list without bars": lambda: listing(""),
    "list of which nothing is chosen": lambda: listing("", ""),
    "list drawn line by line, with the bar between": lambda: combo(
        "refused",
        "",
        0,
        stream(
            b"BT /Helv 5 Tf 0 g 2 14.5 Td (agreed) Tj ET 0 0 0.4 rg 1 7.2 198 6 re f BT /Helv 5 Tf 1 g 2 8.5 Td (refused) Tj ET "
            b"BT /Helv 5 Tf 0 g 2 2.5 Td (maybe) Tj ET",
            f"{BOX} /Resources << {FONTS} >>",
        ),
    ),
    "choice written in capitals": lambda: combo("m", "maybe"),
    "field turned": lambda: turned(90, "0 1 -1 0 20 0"),
    "field turned twice": lambda: boxed("/BBox [0 0 200 20] /Matrix [1 0 0 1 0 0]"),
    "box of another unit": lambda: drawn_as("BT /Helv 24 Tf 0 g 4 12 Td (1000) Tj ET", box=f"{FORM_XOBJECT} /BBox [0 0 400 40]"),
    "at the right": lambda: drawn_as(drawn_text("170 6 Td (1000) Tj")),
    "word by word": lambda: drawn_as(drawn_text("2 6 Td (agreed) Tj 45 0 Td (upon) Tj"), "agreed upon"),
    "space between words": lambda: drawn_as(drawn_text("2 6 Td 3 Tw (agreed upon) Tj"), "agreed upon"),
    "comb by adjustments": lambda: kept(
        "/Ff 16777216 /MaxLen 10",
        "/Ff 16777216 /MaxLen 10",
        "123",
        stream(
            b"0 0 200 20 re S 20 1 m 20 19 l S 40 1 m 40 19 l S BT 0 6 Td /Helv 12 Tf [-555(1)-1110(2)-1110(3)] TJ ET",
            f"{BOX} /Resources << {FONTS} >>",
        ),
    ),
    "long text that leaves its box": lambda: drawn_as(drawn_text(f"2 6 Td ({'agreed upon ' * 8}) Tj"), "agreed upon " * 8),
    "lines that leave their box": lambda: multiline(
        "2 36 Td (first) Tj 0 -14 Td (second) Tj 0 -14 Td (third) Tj 0 -14 Td (fourth) Tj", "first second third fourth"
    ),
    "bevel of four sides": lambda: drawn_as(
        "q 0.9 0.9 1 rg 0 0 200 20 re f Q q 0.1 g 1 19 m 199 19 l 200 20 l 0 20 l 1 19 l f Q q 0.1 g 199 19 m 199 1 l 200 0 l 200 20 l 199 19 l f Q "
        f"q 0.75 g 199 1 m 1 1 l 0 0 l 200 0 l 199 1 l f Q q 0.75 g 1 1 m 1 19 l 0 20 l 0 0 l 1 1 l f Q q 1 1 198 18 re W n {TEXT_DRAWN} Q"
    ),
    "bevel of two corners": lambda: drawn_as(f"0.5 g 1 1 m 1 19 l 199 19 l 198 18 l 2 18 l 2 2 l f {TEXT_DRAWN}"),
    "frame by its sides": lambda: drawn_as(f"0.5 0.5 m 0.5 19.5 l 199.5 19.5 l 199.5 0.5 l s {TEXT_DRAWN}"),
    "line below": lambda: drawn_as(f"0 0.5 m 200 0.5 l S {TEXT_DRAWN}"),
    "coordinates from the top": lambda: drawn_as("1 0 0 -1 0 20 cm BT /Helv 12 Tf 0 g 1 0 0 -1 2 14 Tm (1000) Tj ET"),
    "/DA in another order": lambda: styled("0 g /Helv 12 Tf"),
    "/DA in other digits": lambda: styled("/Helv 12.0 Tf 0.0 g"),
    "/DA in another space of colours": lambda: styled("/Helv 12 Tf 0 0 0 rg"),
    "/MK in other digits": lambda: kept(
        "/MK << /BG [.8 .843 1] /BC [.1 .1 .1] >>", "/MK << /BG [0.8 0.8431372 1] /BC [0.1019607 0.1019607 0.1019607] >>"
    ),
    "/MK left out": lambda: kept("/MK << /BG [1 1 1] >>", ""),
    "/BS spelt out": lambda: kept("", "/BS << /S /S /W 1 >>"),
    "/BS left out": lambda: kept("/BS << /W 1 >>", ""),
    "/BS a little broader": lambda: kept("/BS << /W 0 >> /MK << /BC [1 0 0] >>", "/BS << /W 1 /S /S >> /MK << /BC [1 0 0] >>"),
    "/BS of another kind, without a colour": lambda: kept("/BS << /S /S >>", "/BS << /S /B >>"),
    "/DA of another font, where the form has none": lambda: without_fonts("0 g /Helvetica 12 Tf"),
    "usual font that nobody has": lambda: drawn_as("BT /Helv 12 Tf 0 g 2 6 Td (1000) Tj ET", resources="/ProcSet [/PDF]"),
    "password in stars": lambda: kept("/Ff 8192", "/Ff 8192", "secret", look("******")),
    "password in clear": lambda: kept("/Ff 8192", "/Ff 8192", "secret"),
    "/I left empty": lambda: kept("/I [0]", "/I []"),
    "calculated": lambda: calculated("/AA << /C << /S /JavaScript /JS (1) >> >>"),
    "unit": lambda: formatted(KILOGRAMS, "5", "5.00 kg"),
    "percent": lambda: formatted(PERCENT, "0.5", "50.00%"),
    "telephone number": lambda: formatted(TELEPHONE, "5551234567", "\\(555\\) 123-4567"),
    "appearance made anew by another maker": lambda: filled(
        PLAIN.saved({TEXT: text_field("1000"), TEXT_LOOK: look("1000")}).signed(SEAL),
        "1000",
        stream(f"q 1 1 198 18 re W n {TEXT_DRAWN} Q".encode(), f"{BOX} /Resources << {FONTS} >>"),
    ),
    "Hebrew": lambda: hebrew("100 cba"),
    "Hebrew, its number behind": lambda: hebrew("cba 100"),
    "letters by their names": lambda: in_encoding("97 /eacute /udieresis /Zcaron /uni0142", b"abcd", b"\xfe\xff" + "éüŽł".encode("utf-16-be")),
    "letters composed": lambda: in_encoding("97 /eacute", b"a", b"\xfe\xff" + "e\u0301".encode("utf-16-be")),
    "ligature": lambda: in_encoding("97 /fi", b"a", b"fi"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_attacks(name: str) -> None:
    assert suspicion(HOSTILE[name]()) != []


@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_twins(name: str) -> None:
    assert alarms(LAWFUL[name]()) == []
