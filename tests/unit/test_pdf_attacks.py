"""Attacks on signed PDFs beyond those of the literature, family by family: whatever a later revision does that is shown, opened or read otherwise.

Each table of attacks has lawful twins beside it. What decides is the alarm that the whole file raises, wherever it is found.
"""

from collections.abc import Callable

import pytest

from tests.papers import PAGE, PAGES, TEXT, TEXT_LOOK, Paper, look, stream, text_field
from tests.unit.test_pdf_changes import BOX, FORM_XOBJECT, NEW, OTHER, PLAIN, SEAL, SIGNED, alarms, filled
from trust.errors import KakuinError
from trust.model import Document
from verifier.read import read

Story = Callable[[], Paper]


def suspicion(made: Paper) -> list[str]:
    """Everything that keeps the file from a plain pass, as far as reading tells it."""
    try:
        found = read(Document.of(made.data))
    except KakuinError as error:
        return [str(error)]
    defects = (d.why for s in (*found.signatures, *found.stamps) for d in s.defects if d.fatal or d.refused)
    references = [r for s in (*found.signatures, *found.stamps) for r in s.references]
    broken = ["not intact"] if not all(r.intact for r in references) else []
    unread = [d.why for d in found.defects if d.fatal or d.refused]
    return [*(f"{u.name}: {u.why}" for u in found.uncovered if u.grave), *unread, *defects, *broken]


# Page tree and catalogue.


def nested(kids: str, entries: str = "", *, through: str = "[50 0 R]", count: int = 2) -> Paper:
    """Pages under an intermediate node."""
    node = f"<< /Type /Pages /Parent 2 0 R /Kids [{kids}] /Count 2 {entries} >>".encode()
    return PLAIN.saved({PAGES: f"<< /Type /Pages /Kids {through} /Count {count} >>".encode(), 50: node})


def inherited_through_a_new_parent() -> Paper:
    body = SIGNED.bodies[PAGE].replace(b"/Parent 2 0 R", b"/Parent 80 0 R")
    return SIGNED.saved({80: b"<< /Type /Pages /Kids [3 0 R] /Count 1 /Rotate 180 >>", PAGE: body})


def inherited_through_a_node_between() -> Paper:
    node = b"<< /Type /Pages /Parent 2 0 R /Kids [3 0 R 9 0 R] /Count 2 /Rotate 180 >>"
    return SIGNED.saved({80: node, PAGES: b"<< /Type /Pages /Kids [80 0 R] /Count 2 >>"})


def tags() -> Paper:
    ready = PLAIN.rearranged(
        {60: b"<< /Type /StructTreeRoot /K [61 0 R] >>", 61: b"<< /Type /StructElem /S /P /P 60 0 R /Pg 3 0 R /K [0] /Alt (The price is 100 yen) >>"},
        catalogue="/StructTreeRoot 60 0 R /MarkInfo << /Marked true >>",
    )
    return ready.signed(SEAL)


def tagged(*, signed: bool) -> Paper:
    """The words that stand for an element, as a screen reader or a search reads them, are others."""
    ready = tags()
    old = ready.bodies[61]
    return ready.saved({61: old.replace(b"100 yen", b"900 yen") if signed else old.replace(b"/K [0]", b"/K [0  ]")})


def untagged_then_tagged() -> Paper:
    elements = {60: b"<< /Type /StructTreeRoot /K [61 0 R] >>", 61: b"<< /Type /StructElem /S /P /P 60 0 R /Pg 3 0 R /K [0] /ActualText (900 yen) >>"}
    return SIGNED.rearranged(elements, catalogue="/StructTreeRoot 60 0 R")


def tagged_field() -> Paper:
    """A further signature whose widget joins the structure."""
    ready = tags().signed(OTHER, "Sig2")
    widget = ready.fresh - 1
    return tags().signed(
        OTHER,
        "Sig2",
        objects={
            60: b"<< /Type /StructTreeRoot /K [61 0 R 70 0 R] /ParentTree << /Nums [1 70 0 R] >> /ParentTreeNextKey 2 >>",
            70: b"<< /Type /StructElem /S /Form /P 60 0 R /Pg 3 0 R /K << /Type /OBJR /Obj %d 0 R >> >>" % widget,
        },
    )


TREE: dict[str, Story] = {
    "rotation inherited through a new parent": inherited_through_a_new_parent,
    "rotation inherited through a node put between": inherited_through_a_node_between,
    "count of pages lowered": lambda: SIGNED.saved({PAGES: b"<< /Type /Pages /Kids [3 0 R 9 0 R] /Count 1 >>"}),
    "a page that is a template now": lambda: SIGNED.saved({PAGE: SIGNED.bodies[PAGE].replace(b"/Type /Page ", b"/Type /Template ")}),
    "media box of the second page": lambda: SIGNED.saved({9: SIGNED.bodies[9].replace(b"595 842", b"595 400")}),
    "a page too deep to be looked at": lambda: SIGNED.saved(
        {
            PAGES: b"<< /Type /Pages /Kids [3 0 R 9 0 R 100 0 R] /Count 3 >>",
            **{n: b"<< /Type /Pages /Parent %d 0 R /Kids [%d 0 R] /Count 1 >>" % (n - 1 if n > 100 else 2, n + 1) for n in range(100, 180)},
            180: SIGNED.bodies[9],
        }
    ),
    "user unit": lambda: SIGNED.rearranged(page="/UserUnit 2"),
    "page action": lambda: SIGNED.rearranged(page="/AA << /O << /S /JavaScript /JS (app.alert(1)) >> >>"),
    "outlines": lambda: SIGNED.rearranged({80: b"<< /Type /Outlines /Count 0 >>"}, catalogue="/Outlines 80 0 R"),
    "collection": lambda: SIGNED.rearranged(catalogue="/Collection << /View /H >>"),
    "associated file": lambda: SIGNED.rearranged({80: b"<< /Type /Filespec /F (a) >>"}, catalogue="/AF [80 0 R]"),
    "words for screen readers": lambda: tagged(signed=True),
    "words for screen readers over what was not tagged": untagged_then_tagged,
    "structure taken away": lambda: (t := tags()).saved({1: t.bodies[1].replace(b"/StructTreeRoot", b"/Struct")}),
    "roles of the structure": lambda: (t := tags()).saved({60: t.bodies[60].replace(b"/K", b"/RoleMap << /P /Artifact >> /K")}),
    "certification claimed for an approval": lambda: SIGNED.rearranged(catalogue=f"/Perms << /DocMDP {NEW - 2} 0 R >>"),
}


TREE_LAWFUL: dict[str, Story] = {
    "pages under a node, written again": lambda: (n := nested("3 0 R 9 0 R").signed(SEAL)).saved({50: n.bodies[50]}),
    "element of the structure written again": lambda: tagged(signed=False),
    "field that joins the structure": tagged_field,
}

# Forms.


def group(value: str = "", parent: str = "", kid: str = "", picture: bytes | None = None) -> Paper:
    """A text field with its widget below it."""
    ready = PLAIN.rearranged(
        {
            40: f"<< /FT /Tx /T (Group) /V ({value}) /DA (/Helv 12 Tf 0 g) /Kids [41 0 R] {parent} >>".encode(),
            41: f"<< /Type /Annot /Subtype /Widget /Parent 40 0 R /F 4 /Rect [72 500 272 520] /P 3 0 R /AP << /N 42 0 R >> {kid} >>".encode(),
            42: picture or look(value),
        },
        fields=("7 0 R", "40 0 R"),
        annotations=("7 0 R", "41 0 R"),
    )
    return ready.signed(SEAL)


def group_filled(value: str, picture: str | None, **how: str) -> Paper:
    made = group(**how)
    objects = {40: made.bodies[40].replace(b"/V ()", f"/V ({value})".encode())}
    return made.saved(objects | ({42: look(picture)} if picture is not None else {}))


def renamed(how: bytes) -> Paper:
    """A locked field leaves its name behind, and is filled."""
    ready = PLAIN.rearranged({45: b"<< /T (Other) /Kids [] >>"}, fields=("7 0 R", "45 0 R")).signed(SEAL, lock="/Action /Include /Fields [(Total)]")
    if how == b"/T":
        return ready.saved({TEXT: text_field("1000").replace(b"(Total)", b"(Other)"), TEXT_LOOK: look("1000")})
    moved = ready.rearranged(fields=tuple(f for f in ready.fields if f != "7 0 R"))
    return moved.saved(
        {45: b"<< /T (Other) /Kids [7 0 R] >>", TEXT: text_field("1000", entries="/Parent 45 0 R"), TEXT_LOOK: look("1000")},
    )


ON, OFF = (stream(drawing, f"{FORM_XOBJECT} /BBox [0 0 20 20]") for drawing in (b"0 0 20 20 re S 2 2 m 18 18 l S", b"0 0 20 20 re S"))


def radio(group_value: str, states: tuple[str, str], made: Paper | None = None) -> Paper:
    """Two radio buttons; `made` is the revision before."""
    before = made or PLAIN
    objects = {
        40: f"<< /FT /Btn /Ff 49152 /T (Choice) /V /{group_value} /Kids [41 0 R 42 0 R] >>".encode(),
        **{
            41 + i: (
                f"<< /Type /Annot /Subtype /Widget /Parent 40 0 R /F 4 /Rect [{72 + 50 * i} 500 {92 + 50 * i} 520] /P 3 0 R /AS /{states[i]} "
                f"/AP << /N << /{name} 43 0 R /Off 44 0 R >> >> >>"
            ).encode()
            for i, name in enumerate(("Yes", "No"))
        },
    }
    if made is not None:
        return before.saved(objects)
    return before.rearranged({**objects, 43: ON, 44: OFF}, fields=("7 0 R", "40 0 R"), annotations=("7 0 R", "41 0 R", "42 0 R")).signed(SEAL)


LISTED = stream(
    b"0.9 g 0 0 200 20 re f q 1 1 198 18 re W n 0 0 0.4 rg 1 1 198 9 re f BT 1 0 0 1 2 12 Tm /Helv 8 Tf 0 g (agreed) Tj ET "
    b"BT 1 0 0 1 2 3 Tm /Helv 8 Tf 1 g (refused) Tj 0 g ET Q",
    f"{BOX} /Resources << /Font << /Helv 5 0 R >> >>",
)


def combo(value: str, picture: str, flags: int = 1 << 17, drawn: bytes | None = None) -> Paper:
    def field(chosen: str) -> bytes:
        return (
            f"<< /Type /Annot /Subtype /Widget /FT /Ch /Ff {flags} /T (Pick) /V ({chosen}) /Opt [(agreed) (refused) [(m) (maybe)]] "
            "/DA (/Helv 12 Tf 0 g) /F 4 /Rect [72 500 272 520] /P 3 0 R /AP << /N 41 0 R >> >>"
        ).encode()

    ready = PLAIN.rearranged({40: field(""), 41: look("")}, fields=("7 0 R", "40 0 R"), annotations=("7 0 R", "40 0 R")).signed(SEAL)
    return ready.saved({40: field(value), 41: drawn or look(picture)})


def drawn_as(operators: str, value: str = "1000", resources: str = "/Font << /Helv 5 0 R >>", box: str = BOX, made: Paper | None = None) -> Paper:
    """The text field is filled with `value`, and its appearance made of these operators."""
    return filled(made or SIGNED, value, stream(operators.encode(), f"{box} /Resources << {resources} >>"))


def unplaced() -> Paper:
    """A field whose widget stands on no page when it is signed, and is put on one later."""
    ready = PLAIN.rearranged(
        {
            40: text_field("The price is 900 yen", 41).replace(b"(Total)", b"(Hidden)").replace(b"[72 600 272 620]", b"[70 690 300 730]"),
            41: look("The price is 900 yen"),
        },
        fields=("7 0 R", "40 0 R"),
    ).signed(SEAL)
    return ready.rearranged(annotations=(*ready.annotations, "40 0 R"))


def state_of_a_text(of: str) -> Paper:
    """The appearance of a text is a table of states, and the state is another."""
    body = text_field("100").replace(b"/AP << /N 8 0 R >>", b"/AS /a /AP << /N << /a 8 0 R /b 40 0 R >> >>")
    ready = PLAIN.saved({TEXT: body, TEXT_LOOK: look("100"), 40: look("900")}).signed(SEAL)
    return ready.saved({TEXT: body.replace(b"/AS /a", f"/AS /{of}".encode())})


def redrawn(value: str) -> Paper:
    """Readers are told to draw fields anew: those show then what the signer did not see."""
    ready = PLAIN.saved({TEXT: text_field("900"), TEXT_LOOK: look(value)}).signed(SEAL)
    return ready.rearranged(form=f"{ready.form} /NeedAppearances true")


MINCHO = (
    "<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiMin-W3 /Encoding /UniJIS-UCS2-H /DescendantFonts [<< /Type /Font /Subtype /CIDFontType0 "
    "/BaseFont /HeiseiMin-W3 /FontDescriptor << /Type /FontDescriptor /FontName /HeiseiMin-W3 >> >>] >>"
)
DINGBATS = "/Font << /Helv << /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >> >>"
TEXT_DRAWN = "BT /Helv 12 Tf 0 g 2 6 Td (1000) Tj ET"


def stale_group() -> Paper:
    made = group("1000")
    return made.saved({40: made.bodies[40].replace(b"/V (1000)", b"/V (9000)")})


def font_of_the_form(differences: str) -> Paper:
    """The appearance names a font that only the form's resources know, and they came with it."""
    new = f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Differences {differences} >> >>"
    ready = SIGNED.rearranged({80: new.encode()}, form="/DR << /Font << /Helv 5 0 R /New 80 0 R >> >> /DA (/Helv 12 Tf 0 g)")
    return filled(ready, "1000", stream(TEXT_DRAWN.replace("/Helv", "/New").encode(), BOX))


def comb(value: str) -> Paper:
    """A comb field: each character has its cell."""
    cells = " ".join(f"{20 * i + 6 if i == 0 else 20} {6 if i == 0 else 0} Td ({c}) Tj" for i, c in enumerate(value))
    lines = " ".join(f"{20 * i} 0 m {20 * i} 20 l S" for i in range(1, 10))
    ready = PLAIN.saved({TEXT: text_field("", entries="/Ff 16777216 /MaxLen 10")}).signed(SEAL)
    made = stream(
        f"0 0 200 20 re S {lines} /Tx BMC q BT /Helv 12 Tf 0 g {cells} ET Q EMC".encode(), f"{BOX} /Resources << /Font << /Helv 5 0 R >> >>"
    )
    return ready.saved({TEXT: text_field(value, entries="/Ff 16777216 /MaxLen 10"), TEXT_LOOK: made})


FORMS: dict[str, Story] = {
    "picture of a group without its value": lambda: group().saved({42: look("900")}),
    "locked field renamed": lambda: renamed(b"/T"),
    "locked field moved below another": lambda: renamed(b"/Kids"),
    "field adopted by another that nothing lists": lambda: SIGNED.saved(
        {TEXT: text_field("", entries="/Parent 90 0 R"), 90: b"<< /T (X) /FT /Tx /V (900) /Kids [7 0 R] >>"}
    ),
    "caption": lambda: SIGNED.saved({TEXT: text_field("", entries="/MK << /CA (900) >>")}),
    "radio: both on": lambda: radio("Yes", ("Yes", "No"), radio("Off", ("Off", "Off"))),
    "radio: the wrong one on": lambda: radio("Yes", ("Off", "No"), radio("Off", ("Off", "Off"))),
    "radio: value without state": lambda: radio("Yes", ("Off", "Off"), radio("Off", ("Off", "Off"))),
    "radio: state without value": lambda: radio("Off", ("Yes", "Off"), radio("Off", ("Off", "Off"))),
    "radio: value that no button has": lambda: radio("Perhaps", ("Off", "Off"), radio("Yes", ("Yes", "Off"))),
    "radio: picture of a state": lambda: radio("Off", ("Off", "Off")).saved({44: ON}),
    "choice shown as another": lambda: combo("refused", "agreed"),
    "choice shown as nothing": lambda: combo("refused", ""),
    "choice shown as a part": lambda: combo("m", "may"),
    "widget put on a page": unplaced,
    "state of a text": lambda: state_of_a_text("b"),
    "drawn anew from a value nobody saw": lambda: redrawn("100"),
    "white text": lambda: drawn_as("BT /Helv 12 Tf 1 g 2 6 Td (1000) Tj ET"),
    "text outside of its box": lambda: drawn_as("BT /Helv 12 Tf 0 g 2 6 Td (1) Tj 900 0 Td (000) Tj ET"),
    "black on a black bar": lambda: drawn_as("0 g 9 0 190 20 re f BT /Helv 12 Tf 2 6 Td (1000) Tj ET"),
    "white on a bar that ends": lambda: drawn_as("0 g 0 0 9 20 re f BT /Helv 12 Tf 1 g 2 6 Td (1000) Tj ET"),
    "colours of another space": lambda: drawn_as("/Spot cs 0 sc BT /Helv 12 Tf 2 6 Td (1000) Tj ET"),
    "text out of order": lambda: drawn_as("BT /Helv 12 Tf 0 g 52 6 Td (1) Tj -40 0 Td (9) Tj ET", "19"),
    "text moved backwards": lambda: drawn_as("BT /Helv 12 Tf 0 g 52 6 Td [(1) 5000 (9)] TJ ET", "19"),
    "text of no size": lambda: drawn_as("BT /Helv 12 Tf 0 g 2 6 Td (1) Tj /Helv 0.01 Tf (000) Tj ET"),
    "text of no width": lambda: drawn_as("BT /Helv 12 Tf 0 g 2 6 Td (1) Tj 0 Tz (000) Tj ET"),
    "text shrunk by a matrix": lambda: drawn_as("BT /Helv 12 Tf 0 g 2 6 Td (1) Tj 0.001 0 0 0.001 20 6 Tm (000) Tj ET"),
    "text painted over": lambda: drawn_as(f"{TEXT_DRAWN} 1 g 9 0 190 20 re f"),
    "text clipped away": lambda: drawn_as("q 0 0 9 20 re W n BT /Helv 12 Tf 0 g 2 6 Td (1) Tj 10 0 Td (000) Tj ET Q"),
    "transparent text": lambda: drawn_as(f"/G gs {TEXT_DRAWN}", resources="/Font << /Helv 5 0 R >> /ExtGState << /G << /ca 0 >> >>"),
    "masked text": lambda: drawn_as(f"/G gs {TEXT_DRAWN}", resources="/Font << /Helv 5 0 R >> /ExtGState << /G << /SMask << /S /Alpha >> >> >>"),
    "text in a layer": lambda: drawn_as(
        f"/OC /L BDC {TEXT_DRAWN} EMC", resources="/Font << /Helv 5 0 R >> /Properties << /L << /Type /OCG /Name (x) >> >>"
    ),
    "appearance in a layer": lambda: drawn_as(TEXT_DRAWN, box=f"{BOX} /OC << /Type /OCG /Name (x) >>"),
    "digits of rectangles": lambda: drawn_as(TEXT_DRAWN + " ".join(f"{60 + 8 * i} 2 2 16 re f" for i in range(12))),
    "digits of lines": lambda: drawn_as(TEXT_DRAWN + " ".join(f"{60 + 8 * i} 2 m {62 + 8 * i} 16 l S" for i in range(30))),
    "dingbats": lambda: drawn_as(TEXT_DRAWN, resources=DINGBATS),
    "expert encoding": lambda: drawn_as(
        TEXT_DRAWN, resources="/Font << /Helv << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /MacExpertEncoding >> >>"
    ),
    "font that only the form has": lambda: font_of_the_form("[49 /nine]"),
    "rich text of another value": lambda: SIGNED.saved({TEXT: text_field("1000", entries="/RV (<body><p>9000</p></body>)"), TEXT_LOOK: look("1000")}),
    "thousand for one": lambda: filled(SIGNED, "1.000", look("1000")),
    "value inherited by pictures that stay": stale_group,
    "calculation order": lambda: SIGNED.rearranged(form=f"{SIGNED.form} /CO [7 0 R]"),
    "widget of a field on another page too": lambda: SIGNED.saved({9: SIGNED.bodies[9].replace(b"/Contents", b"/Annots [7 0 R] /Contents")}),
    "appearance while the mouse is over it": lambda: SIGNED.saved(
        {TEXT: text_field("1000").replace(b"/N 8 0 R", b"/N 8 0 R /R 60 0 R"), TEXT_LOOK: look("1000"), 60: look("9000")}
    ),
    "field script": lambda: SIGNED.saved({TEXT: text_field("", entries="/AA << /K << /S /JavaScript /JS (1) >> >>")}),
    "maximum length": lambda: SIGNED.saved({TEXT: text_field("", entries="/MaxLen 3")}),
    "font of the form exchanged": lambda: SIGNED.rearranged(
        {80: b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"}, form="/DR << /Font << /Helv 80 0 R >> >> /DA (/Helv 12 Tf 0 g)"
    ),
    "default appearance of the form": lambda: SIGNED.rearranged(form="/DR << /Font << /Helv 5 0 R >> >> /DA (/Helv 1 Tf 1 g)"),
}


FORMS_LAWFUL: dict[str, Story] = {
    "group filled": lambda: group_filled("1000", "1000"),
    "radio pressed": lambda: radio("Yes", ("Yes", "Off"), radio("Off", ("Off", "Off"))),
    "radio changed": lambda: radio("No", ("Off", "No"), radio("Yes", ("Yes", "Off"))),
    "radio released": lambda: radio("Off", ("Off", "Off"), radio("Yes", ("Yes", "Off"))),
    "choice": lambda: combo("agreed", "agreed"),
    "choice by its display": lambda: combo("m", "maybe"),
    "list": lambda: combo("refused", "agreed refused maybe", 0),
    "comb": lambda: comb("12345"),
    "drawn anew from the value that was seen": lambda: redrawn("900"),
    "background, border and text": lambda: drawn_as(
        f"q 1 1 0.9 rg 0 0 200 20 re f 0 G 0.5 0.5 199 19 re s Q /Tx BMC q 1 1 198 18 re W n {TEXT_DRAWN} Q EMC"
    ),
    "white on dark": lambda: drawn_as("0 0 0.5 rg 0 0 200 20 re f BT /Helv 12 Tf 1 g 2 6 Td (1000) Tj ET"),
    "colours by their spaces": lambda: drawn_as("/DeviceRGB cs 0.9 0.9 1 sc 0 0 200 20 re f /DeviceGray cs 0 sc BT /Helv 12 Tf 2 6 Td (1000) Tj ET"),
    "list with its choice in white on a bar": lambda: combo("refused", "", 0, LISTED),
    "kerned": lambda: drawn_as("BT /Helv 12 Tf 0 g 2 6 Td [(1) -20 (00) 15 (0)] TJ ET"),
    "lines": lambda: drawn_as("BT /Helv 9 Tf 0 g 2 12 Td (first) Tj 0 -9 Td (second) Tj ET", "first second"),
    "lines with leading": lambda: drawn_as("BT /Helv 9 Tf 9 TL 0 g 1 0 0 1 2 12 Tm (first ) Tj T* (second) Tj ET", "first second"),
    "font that the form had": lambda: filled(SIGNED, "1000", stream(TEXT_DRAWN.encode(), BOX)),
    "centred": lambda: drawn_as("BT /Helv 12 Tf 0 g 90 6 Td (1000) Tj ET"),
    "yen": lambda: filled(SIGNED, "1000", look("1,000 JPY")),
    "negative in parentheses": lambda: filled(SIGNED, "-1000", look("\\(1,000.00\\)")),
    "decimal comma": lambda: filled(SIGNED, "1000.5", look("1.000,50")),
    "value taken back": lambda: filled(PLAIN.saved({TEXT: text_field("1"), TEXT_LOOK: look("1")}).signed(SEAL), ""),
    "Japanese, in a font that is not embedded": lambda: SIGNED.saved(
        {
            TEXT: text_field("").replace(b"/V ()", b"/V <FEFF91D1984D>"),
            TEXT_LOOK: stream(b"BT /J 12 Tf 0 g 2 6 Td <91D1984D> Tj ET", f"{BOX} /Resources << /Font << /J {MINCHO} >> >>"),
        }
    ),
    "rich text": lambda: SIGNED.saved({TEXT: text_field("1000", entries="/RV (<body><p>1000</p></body>)"), TEXT_LOOK: look("1000")}),
    "state of a text stays": lambda: state_of_a_text("a"),
}


# XFA: what some readers show in place of the form.


def xfa(template: str, data: str, made: Paper | None = None, value: str = "", lock: str = "") -> Paper:
    """A form with XFA packets; `made` is the revision before."""
    packets = {70: stream(template.encode()), 71: stream(f"<xfa:datasets><xfa:data><Total>{data}</Total></xfa:data></xfa:datasets>".encode())}
    if made is not None:
        return made.saved({**packets, TEXT: text_field(value), TEXT_LOOK: look(value)})
    return PLAIN.rearranged(packets, form=f"{PLAIN.form} /XFA [(template) 70 0 R (datasets) 71 0 R]").signed(SEAL, lock=lock)


XFA: dict[str, Story] = {
    "data that no field has": lambda: xfa("<t/>", "9000", xfa("<t/>", ""), "1000"),
    "template": lambda: xfa("<script/>", "1000", xfa("<t/>", ""), "1000"),
    "data of a locked form": lambda: xfa("<t/>", "1000", xfa("<t/>", "", lock="/Action /All"), ""),
    "packets added": lambda: SIGNED.rearranged({70: stream(b"<t/>")}, form=f"{SIGNED.form} /XFA [(template) 70 0 R]"),
    "packets taken away": lambda: xfa("<t/>", "").rearranged(form=PLAIN.form),
}
XFA_LAWFUL: dict[str, Story] = {"data of the fields": lambda: xfa("<t/>", "1000", xfa("<t/>", ""), "1000")}


@pytest.mark.parametrize("name", XFA)
def test_attacks_on_xfa(name: str) -> None:
    assert suspicion(XFA[name]()) != []


@pytest.mark.parametrize("name", XFA_LAWFUL)
def test_lawful_twins_of_xfa(name: str) -> None:
    assert alarms(XFA_LAWFUL[name]()) == []


@pytest.mark.parametrize("name", [*TREE, *FORMS])
def test_attacks(name: str) -> None:
    assert suspicion({**TREE, **FORMS}[name]()) != []


@pytest.mark.parametrize("name", [*TREE_LAWFUL, *FORMS_LAWFUL])
def test_lawful_twins(name: str) -> None:
    assert alarms({**TREE_LAWFUL, **FORMS_LAWFUL}[name]()) == []
