"""Documents that were prepared before they were signed: a field over the price, a button whose other state says more, a font that is still missing.

Filling and signing are permitted; what they put over the page, or make of it, is not. Each has a twin that only fills in.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests import papers
from tests.papers import TEXT, TEXT_LOOK, Paper, look, pades_cms, stream, text_field
from tests.unit.test_pdf_attacks import suspicion
from tests.unit.test_pdf_attacks_marks import ASIDE, OVER
from tests.unit.test_pdf_changes import BOX, FORM_XOBJECT, OTHER, PLAIN, SEAL, SIGNED, SYMBOL, alarms

Story = Callable[[], Paper]
FONTS = "/Resources << /Font << /Helv 5 0 R >> >>"
SHEET = f"{FORM_XOBJECT} /BBox [0 0 230 30] {FONTS}"
GROUND = "1 g 0 0 230 30 re f"
WORDS = "BT /Helv 12 Tf 0 g 2 10 Td (The price is 900 yen) Tj ET"


def drawn(operators: str, entries: str = SHEET) -> bytes:
    return stream(operators.encode(), entries)


def text_at(rectangle: str, operators: str, then: str = "/Tx BMC EMC", style: str = "") -> Paper:
    """A text field there, filled with a price."""
    body = text_field("", entries=style).replace(b"[72 600 272 620]", rectangle.encode())
    ready = PLAIN.saved({TEXT: body, TEXT_LOOK: drawn(then)}).signed(SEAL)
    return ready.saved({TEXT: body.replace(b"/V ()", b"/V (The price is 900 yen)"), TEXT_LOOK: drawn(operators)})


def button_at(rectangle: str, operators: str, off: str = "") -> Paper:
    """A check box there, pressed."""

    def body(state: str) -> bytes:
        states = "/AP << /N << /Yes 42 0 R /Off 43 0 R >> >>"
        return f"<< /Type /Annot /Subtype /Widget /FT /Btn /T (Box) /V /{state} /AS /{state} /F 4 /Rect {rectangle} /P 3 0 R {states} >>".encode()

    objects = {41: body("Off"), 42: drawn(operators), 43: drawn(off)}
    ready = PLAIN.rearranged(objects, fields=("7 0 R", "41 0 R"), annotations=("7 0 R", "41 0 R")).signed(SEAL)
    return ready.saved({41: body("Yes")})


def signature_at(rectangle: str, operators: str) -> Paper:
    """A signature field there, signed by somebody else."""
    number = PLAIN.fresh
    body = f"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Second) /F 4 /Rect {rectangle} /P 3 0 R >>".encode()
    refs = f"{number} 0 R"
    ready = PLAIN.rearranged({number: body}, annotations=(*PLAIN.annotations, refs), fields=(*PLAIN.fields, refs)).signed(SEAL)
    value = ready.fresh
    gap = f"/ByteRange [0 {'*' * 30}] /Contents <{'0' * papers.ROOM}>"
    dictionary = f"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached {gap} >>".encode()
    signed = body.replace(b"/F 4", b"/F 4 /V %d 0 R /AP << /N %d 0 R >>" % (value, value + 1))
    return ready.saved({value: dictionary, value + 1: drawn(operators), number: signed}).filled(lambda over: pades_cms(OTHER, over))


def missing_font(font: bytes, *, in_default: bool = False, name: str = "New") -> Paper:
    """What the field shows names a font that nobody has yet; the update brings it."""
    if in_default:
        field = text_field("100").replace(b"/Helv 12", f"/{name} 12".encode()).replace(b"/AP << /N 8 0 R >>", b"")
        ready = PLAIN.saved({TEXT: field}).signed(SEAL)
    else:
        picture = stream(f"BT /{name} 12 Tf 0 g 2 6 Td (100) Tj ET".encode(), f"{BOX} /Resources << >>")
        ready = PLAIN.saved({TEXT: text_field("100"), TEXT_LOOK: picture}).signed(SEAL)
    return ready.rearranged({80: font}, form=f"/DR << /Font << /Helv 5 0 R /{name} 80 0 R >> >> /DA (/Helv 12 Tf 0 g)")


LYING = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Differences [49 /nine] >> >>"
USUAL = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
DINGBATS = b"<< /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >>"


def rich(style: str, words: str = "1000") -> Paper:
    value = f"/RV (<body><p>1<span style=\\042{style}\\042>{words[1:]}</span></p></body>)"
    return SIGNED.saved({TEXT: text_field("1000", entries=value), TEXT_LOOK: look("1000")})


def data(then: str, now: str, value: str = "", packet: str = "datasets") -> Paper:
    """A form with XFA, whose packet is written again when the field `Total` is filled."""

    def packets(text: str) -> bytes:
        return stream(f"<xfa:{packet}><xfa:data>{text}</xfa:data></xfa:{packet}>".encode())

    form = f"{PLAIN.form} /XFA [(template) 70 0 R ({packet}) 71 0 R]"
    ready = PLAIN.rearranged({70: stream(b"<t/>"), 71: packets(then)}, form=form).signed(SEAL)
    return ready.saved({71: packets(now), TEXT: text_field(value), TEXT_LOOK: look(value)})


def lines(operators: str) -> Paper:
    """A field that waits for a signature, with these lines."""
    number = SIGNED.fresh
    body = f"<< /Type /Annot /Subtype /Widget /FT /Sig /T (New) /F 4 /Rect {ASIDE} /P 3 0 R /AP << /N {number + 1} 0 R >> >>".encode()
    refs = f"{number} 0 R"
    made = {number: body, number + 1: drawn(operators)}
    return SIGNED.rearranged(made, annotations=(*SIGNED.annotations, refs), fields=(*SIGNED.fields, refs))


def sized(size: int) -> Paper:
    """An update with an object of number 90, and this /Size."""
    objects = b"90 0 obj\n(x)\nendobj\n"
    at = len(SIGNED.data)
    table = f"xref\n90 1\n{at:010d} 00000 n \ntrailer\n<< /Size {size} /Root 1 0 R /Prev {SIGNED.start} >>\n"
    return replace(SIGNED, data=SIGNED.data + objects + f"{table}startxref\n{at + len(objects)}\n%%EOF\n".encode())


BOXED = "[320 100 340 120]"
TICK = "BT /Helv 14 Tf 0 g 5 4 Td (X) Tj ET"

HOSTILE: dict[str, Story] = {
    "text field over the price": lambda: text_at(OVER, f"{GROUND} {WORDS}"),
    "button over the price": lambda: button_at(OVER, f"{GROUND} {WORDS}"),
    "button that whites out the price": lambda: button_at(OVER, GROUND),
    "button that says more": lambda: button_at(ASIDE, "BT /Helv 12 Tf 0 g 2 10 Td (and 900 more) Tj ET"),
    "button that draws more": lambda: button_at(ASIDE, " ".join(f"{x} 5 m {x + 6} 25 l S" for x in range(0, 200, 9))),
    "signature field over the price": lambda: signature_at(OVER, f"{GROUND} {WORDS}"),
    "font that was missing": lambda: missing_font(LYING),
    "font that was missing, in the default appearance": lambda: missing_font(SYMBOL, in_default=True),
    "data of two elements exchanged": lambda: data("<Total>1</Total><B>9</B>", "<Total>9</Total><B>1</B>"),
    "data of an element that no field has": lambda: data("<Total/><B/>", "<Total/><B>1000</B>", "1000"),
    "data taken away": lambda: data("<Total/><B>not</B>", "<Total/><B></B>"),
    "attribute of the data": lambda: data('<Total v="1"/>', '<Total v="9"/>'),
    "element added to the data": lambda: data("<Total/>", "<Total>1000</Total><B>1000</B>", "1000"),
    "data that is no row of elements": lambda: data("<Total/>", "<Total>1000</Total> <", "1000"),
    "word in the state of a form": lambda: data('<field name="Total"/>', '<field name="Total"><text>9</text></field>', "1000", "form"),
    "waiting field with letters of lines": lambda: lines(" ".join(f"{x} 5 m {x + 6} 25 l S" for x in range(0, 200, 9))),
    "waiting field with a curve": lambda: lines("0 0 m 10 10 20 30 40 5 c S"),
    "update that leaves out its own object": lambda: sized(5),
    "rich text without size": lambda: rich("font-size:0pt"),
    "rich text in white": lambda: rich("color:#FFFFFF"),
    "rich text that is not displayed": lambda: rich("display:none"),
}

LAWFUL: dict[str, Story] = {
    "text field on a ground, where nothing is": lambda: text_at("[300 100 530 130]", f"{GROUND} {WORDS}"),
    "text field over the price, whose ground was there": lambda: text_at(OVER, f"{GROUND} {WORDS}", GROUND),
    "button pressed": lambda: button_at(BOXED, TICK),
    "button pressed on a ground": lambda: button_at(BOXED, f"{GROUND} {TICK}", GROUND),
    "signature field, signed": lambda: signature_at(ASIDE, f"{GROUND} {WORDS}"),
    "usual font that was missing": lambda: missing_font(USUAL, in_default=True),
    "dingbats that were missing": lambda: missing_font(DINGBATS, in_default=True, name="ZaDb"),
    "data of the field": lambda: data("<Total/><B>9</B>", "<Total\n>1000</Total\n><B>9</B>", "1000"),
    "data of the field, escaped": lambda: data("<Total/>", "<Total>1&#48;00</Total>", "1000"),
    "state of a form": lambda: data('<field name="Total"/>', '<field name="Total"><text>1000</text></field>', "1000", "form"),
    "waiting field with a frame": lambda: lines("0.5 0.5 229 29 re S"),
    "update with its size": lambda: sized(91),
    "rich text in a colour": lambda: rich("font-size:12pt;color:#800000;font-weight:bold"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_attacks(name: str) -> None:
    assert suspicion(HOSTILE[name]()) != []


@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_twins(name: str) -> None:
    assert alarms(LAWFUL[name]()) == []
