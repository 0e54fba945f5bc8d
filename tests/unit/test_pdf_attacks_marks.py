"""Attacks on signed PDFs by what lies over the page: signature fields, time-stamps, seals, annotations; and by who permits what."""

from collections.abc import Callable

import pytest

from tests.papers import Paper, look, stream
from tests.unit.test_pdf_attacks import suspicion
from tests.unit.test_pdf_changes import CERTIFIED, FORM_XOBJECT, NEW, OTHER, PLAIN, SEAL, SIGNED, TSU, alarms, annotated, drawn, filled

Story = Callable[[], Paper]
P3 = PLAIN.signed(SEAL, doc_mdp=3)
OVER = "[70 695 300 725]"
"""Over the price."""
ASIDE = "[300 50 500 100]"
WHITE = stream(b"1 g 0 0 200 20 re f", f"{FORM_XOBJECT} /BBox [0 0 200 20]")
GRAPHICS = "<< /ExtGState << /G << /BM /Multiply >> >> >>"
HIGHLIGHT = stream(b"/G gs 1 1 0 rg 0 0 200 20 re f", f"{FORM_XOBJECT} /BBox [0 0 200 20] /Resources {GRAPHICS}")
SCRAWL = stream(b"0 0 1 RG 2 w 0 10 m 50 20 90 0 200 10 c S", f"{FORM_XOBJECT} /BBox [0 0 200 20]")
NOTE = "/Subtype /Text /Rect [10 10 30 30]"
YELLOW = stream(b"1 1 0 rg 0 0 200 20 re f", f"{FORM_XOBJECT} /BBox [0 0 200 20]")
QUADS = "/QuadPoints [70 725 300 725 70 695 300 695]"
VISIBLE = PLAIN.signed(SEAL, rectangle=ASIDE, appearance=look("Sealed"))


def sealed_widget(made: Paper) -> int:
    return next(n for n, b in made.bodies.items() if b"/T (Sig1)" in b)


def changed(made: Paper, old: bytes, new: bytes) -> Paper:
    """The widget of the seal is another."""
    number = sealed_widget(made)
    assert old in made.bodies[number]
    return made.saved({number: made.bodies[number].replace(old, new)})


def decoy(entries: str, appearance: bytes | None = None, rectangle: str = OVER, made: Paper = SIGNED) -> Paper:
    """A further field, not signed in its own right."""
    number = made.fresh
    shape = f"/AP << /N {number + 1} 0 R >>" if appearance is not None else ""
    body = f"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Decoy) /F 4 /Rect {rectangle} /P 3 0 R {shape} {entries} >>".encode()
    refs = f"{number} 0 R"
    objects = {number: body, **({number + 1: appearance} if appearance is not None else {})}
    return made.rearranged(objects, annotations=(*made.annotations, refs), fields=(*made.fields, refs))


def kid_of_the_seal() -> Paper:
    """The seal's field gets a second widget, over the price."""
    number, kid = sealed_widget(SIGNED), SIGNED.fresh
    body = f"<< /Type /Annot /Subtype /Widget /Parent {number} 0 R /F 4 /Rect {OVER} /P 3 0 R /AP << /N {kid + 1} 0 R >> >>".encode()
    parent = SIGNED.bodies[number].replace(b"/FT /Sig", b"/FT /Sig /Kids [%d 0 R]" % kid)
    return SIGNED.rearranged({kid: body, kid + 1: look("900 yen"), number: parent}, annotations=(*SIGNED.annotations, f"{kid} 0 R"))


def noted(subtype: str, appearance: bytes = b"", made: Paper = P3) -> Paper:
    """An annotation with an appearance."""
    return annotated(made, f"{subtype} /AP << /N LOOK >>", appearance)


def marked(then: str, now: str | None, made: Paper = PLAIN, *, level: int | None = 3) -> Paper:
    """An annotation that was there when it was signed is another, or gone."""
    number = made.fresh
    ready = made.rearranged({number: f"<< /Type /Annot /P 3 0 R {then} >>".encode()}, annotations=(*made.annotations, f"{number} 0 R"))
    signed = ready.signed(SEAL, doc_mdp=level)
    if now is None:
        return signed.rearranged(annotations=tuple(a for a in signed.annotations if a != f"{number} 0 R"))
    return signed.saved({number: f"<< /Type /Annot /P 3 0 R {now} >>".encode()})


def cat1(more: str) -> str:
    return f"{PLAIN.signed(SEAL, doc_mdp=1).catalogue} {more}"


def catalogue_tags() -> dict[int, bytes]:
    return {90: b"<< /Type /StructTreeRoot >>"}


def mdp(parameters: str) -> str:
    inner = f"<< /Type /TransformParams {parameters} /V /1.2 >>"
    return f"/Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams {inner} >>]"


def no_view() -> Paper:
    made = decoy("", look("900 yen"))
    number = made.fresh - 2
    assert b"/T (Decoy)" in made.bodies[number]
    body = made.bodies[number].replace(b"/F 4", b"/F 36")
    return SIGNED.rearranged({number: body, number + 1: made.bodies[number + 1]}, annotations=made.annotations, fields=made.fields)


def hidden() -> Paper:
    """A signed field that is hidden, and whose appearance shows another price."""
    number = PLAIN.fresh
    body = f"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Sig1) /F 2 /Rect {OVER} /P 3 0 R /AP << /N {number + 1} 0 R >> >>".encode()
    refs = f"{number} 0 R"
    ready = PLAIN.rearranged({number: body, number + 1: look("900 yen")}, annotations=(*PLAIN.annotations, refs), fields=(*PLAIN.fields, refs))
    return ready.signed(SEAL, "Other")


def state_seal() -> Paper:
    """The seal's appearance has two states."""
    number = PLAIN.fresh + 2
    states = {number: look("100 yen"), number + 1: look("900 yen")}
    return PLAIN.signed(SEAL, rectangle=f"{ASIDE} /AS /a /AP << /N << /a {number} 0 R /b {number + 1} 0 R >> >>", objects=states)


SEALS: dict[str, Story] = {
    "value of another field": lambda: decoy(f"/V {NEW - 2} 0 R", look("900 yen")),
    "value of another field, without area": lambda: decoy(f"/V {NEW - 2} 0 R", rectangle="[0 0 0 0]"),
    "second widget of the seal": kid_of_the_seal,
    "white box of an unsigned field": lambda: decoy("", WHITE),
    "white box of an unsigned field, without view but printed": no_view,
    "background of an unsigned field": lambda: decoy("/MK << /BG [1 1 1] >>"),
    "empty dictionary as a value": lambda: decoy("/V << /Type /Sig >>", look("900 yen")),
    "dictionary without byte range": lambda: decoy("/V << /Type /Sig /SubFilter /ETSI.CAdES.detached /Contents <00> >>", look("900 yen")),
    "time-stamp that claims itself": lambda: decoy("/V << /Type /DocTimeStamp /SubFilter /ETSI.RFC3161 >>", WHITE),
    "time-stamp with a white box": lambda: SIGNED.stamped(TSU, rectangle=OVER, appearance=WHITE),
    "time-stamp with a script": lambda: SIGNED.stamped(TSU, rectangle="[0 0 0 0] /AA << /E << /S /JavaScript /JS (1) >> >>"),
    "time-stamp with a background": lambda: SIGNED.stamped(TSU, rectangle=f"{OVER} /MK << /BG [1 1 1] >>"),
    "signature with a script": lambda: SIGNED.signed(OTHER, "Sig2", rectangle="[0 0 0 0] /AA << /E << /S /JavaScript /JS (1) >> >>"),
    "signature over the price": lambda: SIGNED.signed(OTHER, "Sig2", rectangle=OVER, appearance=look("The price is 900 yen")),
    "signature over the price after certification": lambda: CERTIFIED.signed(OTHER, "Sig2", rectangle=OVER, appearance=look("900 yen")),
    "signature with a white box over the price": lambda: SIGNED.signed(OTHER, "Sig2", rectangle=OVER, appearance=WHITE),
    "signature over a field": lambda: SIGNED.signed(OTHER, "Sig2", rectangle="[72 600 272 620]", appearance=look("9000")),
    "seal hidden": lambda: changed(VISIBLE, b"/F 132", b"/F 134"),
    "seal not printed": lambda: changed(VISIBLE, b"/F 132", b"/F 128"),
    "seal moved": lambda: changed(VISIBLE, ASIDE.encode(), OVER.encode()),
    "seal drawn anew": lambda: VISIBLE.saved({sealed_widget(VISIBLE) + 1: look("Sealed by the minister")}),
    "seal in a layer": lambda: changed(VISIBLE, b"/FT /Sig", b"/FT /Sig /OC << /Type /OCG /Name (x) >>"),
    "hidden seal shown": lambda: changed(hidden(), b"/F 2", b"/F 4"),
    "seal of a state": lambda: changed(state_seal(), b"/AS /a", b"/AS /b"),
    "lock of an unknown kind": lambda: filled(PLAIN.signed(SEAL, lock="/Action /Everything"), "1000"),
    "lock without fields": lambda: filled(PLAIN.signed(SEAL, lock="/Action /Exclude"), "1000"),
    "filled after certification with a level that is a fraction": lambda: filled(PLAIN.signed(SEAL, entries=mdp("/P 1.0")), "1000"),
    "filled after certification with an indirect level": lambda: filled(PLAIN.signed(SEAL, entries=mdp("/P 90 0 R"), objects={90: b"1"}), "1000"),
    "level raised": lambda: annotated(
        PLAIN.signed(SEAL, entries=mdp("/P 90 0 R"), objects={90: b"2"}).saved({90: b"3"}), "/Subtype /Text /Rect [10 10 30 30]"
    ),
    "structure after certification 1": lambda: PLAIN.signed(SEAL, doc_mdp=1).rearranged(catalogue_tags(), catalogue=cat1("/StructTreeRoot 90 0 R")),
    "private data after certification 1": lambda: PLAIN.signed(SEAL, doc_mdp=1).rearranged(catalogue=cat1("/PieceInfo << >>")),
    "title after certification 1": lambda: PLAIN.signed(SEAL, doc_mdp=1).saved({90: b"<< /Title (Other) >>"}, trailer="/Info 90 0 R"),
}


TILE = "/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 10 12] /XStep 10 /YStep 12 /Resources << >>"


def squiggly(cell: bytes) -> Paper:
    """A line below words, drawn with a pattern of such cells."""
    number = P3.fresh + 20
    resources = f"/Resources << /Pattern << /P {number} 0 R >> >>"
    tile = P3.saved({number: stream(cell, TILE)})
    shape = stream(b"/Pattern cs /P scn 0 0 230 12 re f", f"{FORM_XOBJECT} /BBox [0 0 230 12] {resources}")
    return noted(f"/Subtype /Squiggly /Rect [70 690 300 702] {QUADS}", shape, tile)


MARKS: dict[str, Story] = {
    "squiggly of white tiles": lambda: squiggly(b"1 g 0 0 10 12 re f"),
    "squiggly of tiles with words": lambda: squiggly(b"BT /F 8 Tf (9) Tj ET"),
    "highlight that covers": lambda: noted(f"/Subtype /Highlight /Rect {OVER} {QUADS}", YELLOW),
    "highlight in white": lambda: noted(f"/Subtype /Highlight /Rect {OVER} {QUADS}", WHITE),
    "strike-out as a bar": lambda: noted(f"/Subtype /StrikeOut /Rect {OVER} {QUADS}", YELLOW),
    "ink as a bar": lambda: noted(f"/Subtype /Ink /Rect {OVER} /InkList [[70 700 300 700]]", WHITE),
    "ink as broad as a bar": lambda: noted(
        f"/Subtype /Ink /Rect {OVER} /InkList [[70 700 300 700]]", stream(b"1 G 30 w 0 10 m 200 10 l S", f"{FORM_XOBJECT} /BBox [0 0 200 20]")
    ),
    "ink as broad as a bar, drawn by readers": lambda: annotated(
        P3, f"/Subtype /Ink /Rect {OVER} /InkList [[70 700 300 700]] /BS << /W 40 >> /C [1 1 1]"
    ),
    "note in white": lambda: noted("/Subtype /Text /Rect [200 700 220 720]", stream(b"1 g 0 0 20 20 re f", f"{FORM_XOBJECT} /BBox [0 0 20 20]")),
    "pop-up that draws": lambda: noted(f"/Subtype /Popup /Rect {OVER}", WHITE),
    "square": lambda: noted(f"/Subtype /Square /Rect {OVER} /IC [1 1 1]"),
    "line": lambda: noted(f"/Subtype /Line /Rect {OVER} /L [70 700 300 700]"),
    "redaction": lambda: noted(f"/Subtype /Redact /Rect {OVER} {QUADS}"),
    "free text by its default appearance": lambda: annotated(P3, f"/Subtype /FreeText /Rect {OVER} /DA (/Helv 12 Tf) /Contents (900 yen)"),
    "watermark": lambda: noted(f"/Subtype /Watermark /Rect {OVER}"),
    "file attachment": lambda: annotated(P3, "/Subtype /FileAttachment /Rect [10 10 30 30] /FS << /Type /Filespec /F (a) >>"),
    "screen": lambda: annotated(P3, f"/Subtype /Screen /Rect {OVER}"),
    "rich media": lambda: annotated(P3, f"/Subtype /RichMedia /Rect {OVER}"),
    "no kind": lambda: noted(f"/Rect {OVER}"),
    "free text that becomes a note": lambda: marked(
        f"/Subtype /FreeText /Rect {OVER} /DA (/Helv 12 Tf) /Contents (100 yen)", "/Subtype /Text /Rect [10 10 30 30]"
    ),
    "link that becomes a note": lambda: marked(f"/Subtype /Link /Rect {OVER}", "/Subtype /Text /Rect [10 10 30 30]"),
    "link taken away": lambda: marked(f"/Subtype /Link /Rect {OVER}", None),
    "free text taken away": lambda: marked(f"/Subtype /FreeText /Rect {OVER} /DA (/Helv 12 Tf) /Contents (not)", None),
    "hidden free text shown": lambda: marked(
        f"/Subtype /FreeText /Rect {OVER} /F 2 /DA (x) /Contents (9)",
        f"/Subtype /FreeText /Rect {OVER} /F 4 /DA (x) /Contents (9)",
    ),
    "strike-out taken away, though nobody permitted it": lambda: marked(f"/Subtype /StrikeOut /Rect {OVER} {QUADS}", None, level=None),
    "ink taken away, though nobody permitted it": lambda: marked(f"/Subtype /Ink /Rect {OVER} /InkList [[70 700 300 700]]", None, level=None),
    "note with an action": lambda: annotated(P3, "/Subtype /Text /Rect [10 10 30 30] /A << /S /URI /URI (http://x) >>"),
}

LAWFUL: dict[str, Story] = {
    "signature aside after certification": lambda: CERTIFIED.signed(OTHER, "Sig2", rectangle=ASIDE, appearance=look("Sealed")),
    "signature below another": lambda: VISIBLE.signed(OTHER, "Sig2", rectangle="[300 110 500 160]", appearance=look("Sealed")),
    "highlight that shines through": lambda: noted(f"/Subtype /Highlight /Rect {OVER} {QUADS}", HIGHLIGHT),
    "highlight drawn by readers": lambda: annotated(P3, f"/Subtype /Highlight /Rect {OVER} {QUADS} /C [1 1 0]"),
    "strike-out as a line": lambda: noted(
        f"/Subtype /StrikeOut /Rect {OVER} {QUADS}", stream(b"1 0 0 RG 1 w 0 10 m 200 10 l S", f"{FORM_XOBJECT} /BBox [0 0 200 20]")
    ),
    "underline as a thin box": lambda: noted(
        f"/Subtype /Underline /Rect {OVER} {QUADS}", stream(b"1 0 0 rg 0 1 200 1 re f", f"{FORM_XOBJECT} /BBox [0 0 200 20]")
    ),
    "squiggly of waves": lambda: squiggly(b"1 0 0 RG 1 w 0 1 m 5 11 l 10 1 l S"),
    "note with a white ground and a dark sign": lambda: noted(
        NOTE, stream(b"1 1 0 rg q 1 g 0 0 18 18 re f Q 2 2 m 16 2 l 9 16 l h b", f"{FORM_XOBJECT} /BBox [0 0 18 18]")
    ),
    "ink": lambda: noted(
        f"/Subtype /Ink /Rect {OVER} /InkList [[70 700 300 700]]",
        SCRAWL,
    ),
    "note with a pop-up": lambda: annotated(annotated(P3, f"{NOTE} /Contents (a)"), "/Subtype /Popup /Rect [30 30 200 100]"),
    "note that becomes another": lambda: marked(f"{NOTE} /Contents (a)", f"{NOTE} /Contents (b)"),
    "note taken away": lambda: marked(f"{NOTE} /Contents (a)", None),
    "strike-out taken away as permitted": lambda: marked(f"/Subtype /StrikeOut /Rect {OVER} {QUADS}", None),
    "empty field for a further signature": lambda: decoy("", rectangle=ASIDE),
    "time-stamp of no area": lambda: SIGNED.stamped(TSU),
    "seal locked": lambda: changed(VISIBLE, b"/F 132", b"/F 196"),
}


# One object in two roles: what a rule lets change in the one is seen in the other.


def two_roles(before: dict[int, bytes], after: dict[int, bytes], *, level: int | None = None, **how: object) -> Paper:
    """`before` stands in the signed revision, `after` in the update."""
    return PLAIN.rearranged(before, **how).signed(SEAL, doc_mdp=level).saved(after)


def annotations_that_are_content(before: bytes, after: bytes) -> Paper:
    """/Annots and /Contents of the second page are the same object."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 50 0 R /Annots 50 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
    return two_roles({9: page, 50: before, 51: drawn("100"), 52: drawn("900")}, {50: after})


def resources_that_are(number: int, body: bytes, old: bytes, new: bytes, **how: object) -> Paper:
    """The second page's resources are another object of the file, whose drawing is exchanged."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 10 0 R /Resources %d 0 R >>" % number
    box = f"{FORM_XOBJECT} /BBox [0 0 200 20]"
    before = {9: page, number: body, 51: stream(b"", box), 52: stream(b"1 g 0 0 200 20 re f", box)}
    assert old in body
    return two_roles(before, {number: body.replace(old, new)}, **how)


DRAWS = b"/XObject << /X 51 0 R >>"
HIDES = b"/XObject << /X 52 0 R >>"


def catalogue_that_is_resources() -> Paper:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 10 0 R /Resources 1 0 R >>"
    box = f"{FORM_XOBJECT} /BBox [0 0 200 20]"
    objects = {9: page, 51: stream(b"", box), 52: stream(b"1 g 0 0 200 20 re f", box)}
    return PLAIN.rearranged(objects, catalogue=DRAWS.decode()).signed(SEAL).rearranged(catalogue=HIDES.decode())


ROLES: dict[str, Story] = {
    "annotations that are a content stream": lambda: annotations_that_are_content(drawn("100"), drawn("900")),
    "annotations that are a list of streams": lambda: annotations_that_are_content(b"[51 0 R]", b"[51 0 R 52 0 R]"),
    "node of the page tree that is resources": lambda: resources_that_are(
        2, b"<< /Type /Pages /Kids [3 0 R 9 0 R] /Count 2 " + DRAWS + b" >>", DRAWS, HIDES
    ),
    "note that is resources": lambda: resources_that_are(
        53, b"<< /Type /Annot /Subtype /Text /Rect [10 10 30 30] " + DRAWS + b" >>", DRAWS, HIDES, annotations=("7 0 R", "53 0 R")
    ),
    "catalogue that is resources": catalogue_that_is_resources,
    "node of the page tree that is a list of fonts": lambda: two_roles(
        {
            9: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 10 0 R /Resources << /Font 2 0 R >> >>",
            2: b"<< /Type /Pages /Kids [3 0 R 9 0 R] /Count 2 /F1 5 0 R >>",
        },
        {2: b"<< /Type /Pages /Kids [3 0 R 9 0 R] /Count 2 /F1 << /Type /Font /Subtype /Type1 /BaseFont /Symbol >> >>"},
    ),
}


@pytest.mark.parametrize("name", ROLES)
def test_one_object_in_two_roles(name: str) -> None:
    assert suspicion(ROLES[name]()) != []


@pytest.mark.parametrize("name", [*SEALS, *MARKS])
def test_attacks(name: str) -> None:
    assert suspicion({**SEALS, **MARKS}[name]()) != []


@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_twins(name: str) -> None:
    assert alarms(LAWFUL[name]()) == []
