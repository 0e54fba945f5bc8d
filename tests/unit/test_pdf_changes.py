"""verifier.formats.pdf.changes: what a later revision of a signed PDF may do. Each attack has a lawful twin."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests import papers
from tests.papers import CONTENTS, FONT, PAGE, TEXT, TEXT_LOOK, Paper, look, pades_cms, paper, shown, stream, text_field
from tests.pki import authority, crl, root, signer, unit
from tests.unit.test_pdf_reader import intact
from trust.model import Document
from verifier.read import read

ROOT = root()
CA = authority(ROOT)
SEAL = signer(CA)
OTHER = signer(CA, "Another Seal")
TSU = unit(CA)
STATUS = (crl(CA), crl(ROOT))
PLAIN = paper()
SIGNED = PLAIN.signed(SEAL)
CERTIFIED = PLAIN.signed(SEAL, doc_mdp=2)
ZOOMED = PLAIN.rearranged(page="/PZ 1.0").signed(SEAL)
NEW = SIGNED.fresh
SIZE = "/DA (/Helv 12 Tf 0 g)"
FORM_XOBJECT = "/Type /XObject /Subtype /Form"


def alarms(made: Paper) -> list[str]:
    found = read(Document.of(made.data))
    assert found.signatures
    assert all(intact(s) for s in found.signatures), "what is tried here leaves every signature intact"
    return [f"{u.name}: {u.why}" for u in found.uncovered if u.grave]


def drawn(text: str) -> bytes:
    return stream(shown(text))


def annotated(made: Paper, annotation: str, appearance: bytes = b"") -> Paper:
    number = made.fresh
    body = f"<< /Type /Annot /P 3 0 R {annotation.replace('LOOK', f'{number + 1} 0 R')} >>".encode()
    icon = appearance or stream(b"0.9 0.9 0 rg 0 0 20 20 re f", f"{FORM_XOBJECT} /BBox [0 0 20 20]")
    return made.rearranged({number: body, number + 1: icon}, annotations=(*made.annotations, f"{number} 0 R"))


def shining() -> bytes:
    """What a highlight draws: it multiplies with the letters below it."""
    blended = f"{FORM_XOBJECT} /BBox [0 0 20 20] /Resources << /ExtGState << /G << /BM /Multiply >> >> >>"
    return stream(b"/G gs 0.9 0.9 0 rg 0 0 20 20 re f", blended)


def filled(made: Paper, value: str, appearance: bytes = b"") -> Paper:
    return made.saved({TEXT: text_field(value), TEXT_LOOK: appearance or look(value)})


def signed_in_an_empty_field() -> Paper:
    """A field that stood empty in the signed revision is signed later, and shows it."""
    empty = PLAIN.fresh
    body = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Second) /F 4 /Rect [300 50 500 100] /P 3 0 R >>"
    refs = f"{empty} 0 R"
    ready = PLAIN.rearranged({empty: body}, annotations=(*PLAIN.annotations, refs), fields=(*PLAIN.fields, refs)).signed(SEAL)
    value = ready.fresh
    gap = f"/ByteRange [0 {'*' * 30}] /Contents <{'0' * papers.ROOM}>"
    dictionary = f"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached {gap} >>".encode()
    field = body.replace(b"/F 4", b"/F 4 /V %d 0 R /AP << /N %d 0 R >>" % (value, value + 1))
    return ready.saved({value: dictionary, value + 1: look("Second"), empty: field}).filled(lambda over: pades_cms(OTHER, over))


NOTE = "/Subtype /Text /Rect [10 10 30 30] /Contents (well done) /AP << /N LOOK >>"
LINE = "/Rect [70 690 300 730] /AP << /N LOOK >>"
QUADS = "/QuadPoints [70 730 300 730 70 690 300 690]"

LAWFUL: dict[str, Callable[[], Paper]] = {
    "white space": lambda: Paper(SIGNED.data + b"\n\n", SIGNED.bodies, SIGNED.start),
    "further signature": lambda: SIGNED.signed(OTHER, "Sig2"),
    "further signature that shows": lambda: SIGNED.signed(OTHER, "Sig2", rectangle="[300 50 500 100]", appearance=look("Sealed")),
    "signature in an empty field": signed_in_an_empty_field,
    "signature after certification 2": lambda: CERTIFIED.signed(OTHER, "Sig2"),
    "document time-stamp after certification 1": lambda: PLAIN.signed(SEAL, doc_mdp=1).stored((), STATUS).stamped(TSU),
    "document time-stamp without area": lambda: SIGNED.stamped(TSU, appearance=look("")),
    "store": lambda: SIGNED.stored((CA.certificate,), STATUS),
    "store again, by another maker": lambda: SIGNED.stored((CA.certificate,)).stored((CA.certificate,), STATUS, vri="/VRI << /AB << >> >>"),
    "metadata": lambda: SIGNED.rearranged({NEW: stream(b"<x/>", "/Type /Metadata")}, catalogue=f"/Metadata {NEW} 0 R /Version /2.0"),
    "extensions": lambda: SIGNED.rearranged(catalogue="/Extensions << /ESIC << /BaseVersion /1.7 /ExtensionLevel 5 >> >> /PieceInfo << >>"),
    "private key of a maker": lambda: SIGNED.rearranged(catalogue="/ITXT (made by)"),
    "tags": lambda: SIGNED.rearranged({NEW: b"<< /Type /StructTreeRoot >>"}, catalogue=f"/StructTreeRoot {NEW} 0 R"),
    "font for filling": lambda: SIGNED.rearranged({NEW: SIGNED.bodies[FONT]}, form=f"/DR << /Font << /Helv 5 0 R /New {NEW} 0 R >> >> {SIZE}"),
    "same objects written again": lambda: SIGNED.saved({n: SIGNED.bodies[n] for n in (CONTENTS, PAGE, FONT)}),
    "an entry's number written otherwise": lambda: replace(ZOOMED, page="/PZ 1").signed(OTHER, "Sig2"),
    "numbers written otherwise": lambda: SIGNED.saved({PAGE: SIGNED.bodies[PAGE].replace(b"595 842", b"595.0 842.0004")}),
    "unreferenced object added": lambda: SIGNED.saved({NEW: drawn("900")}),
    "unreferenced object freed": lambda: PLAIN.saved({60: b"(rest)"}).signed(SEAL).saved({95: b"null"}, free=[60]),
    "filled in": lambda: filled(SIGNED, "1000"),
    "filled in twice": lambda: filled(filled(SIGNED, "1000"), "2000"),
    "filled in after certification 2": lambda: filled(CERTIFIED, "1000"),
    "filled in, formatted": lambda: filled(SIGNED, "1000", look("1,000.00")),
    "filled in, drawn by readers": lambda: SIGNED.rearranged({TEXT: text_field("1000")}, form=f"{SIGNED.form} /NeedAppearances true"),
    "filled in beside a lock": lambda: filled(PLAIN.signed(SEAL, lock="/Action /Include /Fields [(Other)]"), "1000"),
    "filled in as excepted": lambda: filled(PLAIN.signed(SEAL, lock="/Action /Exclude /Fields [(Total)]"), "1000"),
    "field made read-only": lambda: SIGNED.saved({TEXT: text_field("", entries="/Ff 1")}),
    "note after certification 3": lambda: annotated(PLAIN.signed(SEAL, doc_mdp=3), NOTE),
    "note after approval": lambda: annotated(SIGNED, NOTE),
    "highlight": lambda: annotated(SIGNED, f"/Subtype /Highlight /Rect [70 690 300 730] {QUADS} /AP << /N LOOK >>", shining()),
}


@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_changes_raise_no_alarm(name: str) -> None:
    assert alarms(LAWFUL[name]()) == []


def painted(content: bytes, number: int, xobject: bytes | None) -> Paper:
    """The first page draws object `number` as /X."""
    ready = PLAIN.rearranged({CONTENTS: stream(content)}, resources=f"/Font << /F1 5 0 R >> /XObject << /X {number} 0 R >>")
    return ready.saved({number: xobject}) if xobject is not None else ready


def hide() -> Paper:
    """A price is painted over by an object that an update takes away: shadow attack "hide"."""
    content = shown("The price is 900 yen") + b" /X Do " + shown("The price is 100 yen")
    page = f"{FORM_XOBJECT} /BBox [0 0 595 842]"
    signed = painted(content, 80, stream(b"1 g 70 690 300 40 re f", page)).signed(SEAL)
    return signed.saved({80: stream(b"", page)})


def hide_and_replace() -> Paper:
    """A second catalogue with other pages lies in the signed file; the update lets the trailer lead to it: shadow attack "hide and replace"."""
    other = {
        50: b"<< /Type /Catalog /Pages 51 0 R /AcroForm 6 0 R >>",
        51: b"<< /Type /Pages /Kids [52 0 R] /Count 1 >>",
        52: b"<< /Type /Page /Parent 51 0 R /MediaBox [0 0 595 842] /Contents 53 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        53: drawn("The price is 900 yen"),
    }
    made = PLAIN.saved(other).signed(SEAL)
    old, new = (b"/Root %d 0 R /Prev %d " % (n, made.start) for n in (1, 50))
    data = made.saved({}).data
    assert old in data
    return Paper(data.replace(old, new), made.bodies, made.start)


def dangling() -> Paper:
    """The signed page refers to an object that does not exist; the update makes it."""
    signed = painted(shown("The price is 100 yen") + b" /X Do", 90, None).signed(SEAL)
    return signed.saved({90: stream(b"1 g 0 0 595 842 re f", f"{FORM_XOBJECT} /BBox [0 0 595 842]")})


def dangling_before_two_signatures() -> Paper:
    """The same, with another signature between."""
    signed = painted(shown("The price is 100 yen") + b" /X Do", 90, None).signed(SEAL).signed(OTHER, "Sig2")
    return signed.saved({90: stream(b"1 g 0 0 595 842 re f", f"{FORM_XOBJECT} /BBox [0 0 595 842]")})


def indirect_length() -> Paper:
    """Where a stream ends is said by an object of its own, which the update changes."""
    first, rest = shown("The price is 100 yen"), shown("and 900 more")
    body = b"<< /Length 70 0 R >>\nstream\n" + first + b" " + rest + b"\nendstream"
    signed = PLAIN.saved({CONTENTS: body, 70: b"%d" % (len(first) + 1 + len(rest))}).signed(SEAL)
    return signed.saved({70: b"%d" % len(first)})


def swapped_signature() -> Paper:
    """The field of the first signature is given the value of the second."""
    both = SIGNED.signed(OTHER, "Sig2")
    field = next(n for n, b in both.bodies.items() if b"/T (Sig1)" in b)
    first, second = NEW - 2, both.fresh - 2
    return both.saved({field: both.bodies[field].replace(b"/V %d 0 R" % first, b"/V %d 0 R" % second)})


def new_field(entries: str, appearance: bytes) -> Paper:
    body = f"<< /Type /Annot /Subtype /Widget /Rect [72 690 300 720] /P 3 0 R /T (New) /AP << /N {NEW + 1} 0 R >> {entries} >>".encode()
    lists = {"annotations": (*SIGNED.annotations, f"{NEW} 0 R"), "fields": (*SIGNED.fields, f"{NEW} 0 R")}
    return SIGNED.rearranged({NEW: body, NEW + 1: appearance}, **lists)


def page(old: bytes, new: bytes) -> Paper:
    assert old in SIGNED.bodies[PAGE]
    return SIGNED.saved({80: drawn("900"), PAGE: SIGNED.bodies[PAGE].replace(old, new)})


def pages(kids: str) -> Paper:
    tree = f"<< /Type /Pages /Kids [{kids}] /Count {kids.count('R')} >>"
    return SIGNED.saved({80: SIGNED.bodies[papers.SECOND], papers.PAGES: tree.encode()})


BOX = f"{FORM_XOBJECT} /BBox [0 0 200 20]"
PICTURE = stream(b"q 200 0 0 20 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID x EI Q", BOX)
CURVES = stream(b"/Tx BMC 10 0 m 20 20 30 20 40 0 c f EMC", BOX)
INVISIBLE = stream(b"BT 3 Tr /Helv 12 Tf 2 6 Td (1000) Tj ET", f"{BOX} /Resources << /Font << /Helv 5 0 R >> >>")
LYING = "<< /Font << /Helv << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Differences [49 /nine] >> >> >> >>"
OWN = "<< /Font << /Helv << /Type /Font /Subtype /TrueType /BaseFont /X /FontDescriptor << /FontFile2 5 0 R >> >> >> >>"
SYMBOL = b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"

HOSTILE: dict[str, Callable[[], Paper]] = {
    "page content replaced": lambda: SIGNED.saved({CONTENTS: drawn("The price is 900 yen")}),
    "page content redirected": lambda: page(b"/Contents 4 0 R", b"/Contents 80 0 R"),
    "page content added to": lambda: page(b"/Contents 4 0 R", b"/Contents [4 0 R 80 0 R]"),
    "page content freed": lambda: SIGNED.saved({80: b"null"}, free=[CONTENTS]),
    "font replaced": lambda: SIGNED.saved({FONT: SYMBOL}),
    "font replaced after certification": lambda: CERTIFIED.saved({FONT: SYMBOL}),
    "page cropped": lambda: page(b"/MediaBox [0 0 595 842]", b"/MediaBox [0 0 595 600]"),
    "page turned": lambda: SIGNED.rearranged(page="/Rotate 180"),
    "page added": lambda: pages("3 0 R 9 0 R 80 0 R"),
    "page removed": lambda: pages("3 0 R"),
    "pages in another order": lambda: pages("9 0 R 3 0 R"),
    "shadow hide": hide,
    "shadow hide and replace": hide_and_replace,
    "dangling reference filled": dangling,
    "dangling reference filled after two signatures": dangling_before_two_signatures,
    "length of a stream changed": indirect_length,
    "objects without a table": lambda: Paper(SIGNED.data + b"4 0 obj\n" + drawn("900") + b"\nendobj\n", SIGNED.bodies, SIGNED.start),
    "action on opening": lambda: SIGNED.rearranged(catalogue="/OpenAction << /S /JavaScript /JS (app.alert(1)) >>"),
    "script": lambda: SIGNED.rearranged(catalogue="/Names << /JavaScript << /Names [(a) << /S /JavaScript /JS (1) >>] >> >>"),
    "attachment": lambda: SIGNED.rearranged(catalogue="/Names << /EmbeddedFiles << /Names [(a) << /Type /Filespec /F (a) >>] >> >>"),
    "layers": lambda: SIGNED.rearranged(catalogue="/OCProperties << /OCGs [] /D << >> >>"),
    "certification taken back": lambda: filled(CERTIFIED.rearranged(catalogue=""), "1000"),
    "signature taken out": lambda: SIGNED.rearranged(fields=PLAIN.fields, annotations=PLAIN.annotations),
    "signature field emptied": lambda: SIGNED.saved({NEW - 1: SIGNED.bodies[NEW - 1].replace(b"/V ", b"/X ")}),
    "signature swapped": swapped_signature,
    "text field added": lambda: new_field("/FT /Tx /V (900)", look("900")),
    "unsigned signature field that shows": lambda: new_field("/FT /Sig", look("The price is 900 yen")),
    "document time-stamp that shows": lambda: SIGNED.stamped(TSU, rectangle="[72 690 300 720]", appearance=look("900 yen")),
    "signature after certification 1": lambda: PLAIN.signed(SEAL, doc_mdp=1).signed(OTHER, "Sig2"),
    "filled in after certification 1": lambda: filled(PLAIN.signed(SEAL, doc_mdp=1), "1000"),
    "filled in though locked": lambda: filled(PLAIN.signed(SEAL, lock="/Action /Include /Fields [(Total)]"), "1000"),
    "filled in though all is locked": lambda: filled(PLAIN.signed(SEAL, lock="/Action /All"), "1000"),
    "filled in though not excepted": lambda: filled(PLAIN.signed(SEAL, lock="/Action /Exclude /Fields [(Other)]"), "1000"),
    "appearance of another value": lambda: filled(SIGNED, "1000", look("9000")),
    "an entry's number": lambda: replace(ZOOMED, page="/PZ 1.5").signed(OTHER, "Sig2"),
    "appearance of another number": lambda: filled(SIGNED, "1000", look("1,000,000")),
    "appearance without value": lambda: SIGNED.saved({TEXT_LOOK: look("9000")}),
    "appearance by picture": lambda: filled(SIGNED, "1000", PICTURE),
    "appearance by curves": lambda: filled(SIGNED, "1000", CURVES),
    "appearance with invisible text": lambda: filled(SIGNED, "1000", INVISIBLE),
    "appearance through a lying encoding": lambda: filled(SIGNED, "1000", look("1000", resources=LYING)),
    "appearance through a font of its own": lambda: filled(SIGNED, "1000", look("1000", resources=OWN)),
    "value without its appearance": lambda: filled(SIGNED, "1000").saved({TEXT: text_field("2000")}),
    "field moved": lambda: SIGNED.saved({TEXT: text_field("").replace(b"[72 600 272 620]", b"[72 690 272 720]")}),
    "field given an action": lambda: SIGNED.saved({TEXT: text_field("", entries="/A << /S /URI /URI (http://x) >>")}),
    "field hidden": lambda: SIGNED.saved({TEXT: text_field("").replace(b"/F 4", b"/F 2")}),
    "note after certification 2": lambda: annotated(CERTIFIED, NOTE),
    "free text after certification 3": lambda: annotated(PLAIN.signed(SEAL, doc_mdp=3), f"/Subtype /FreeText {LINE}", look("900")),
    "stamp over the text": lambda: annotated(SIGNED, f"/Subtype /Stamp {LINE}", look("900")),
    "note that draws words": lambda: annotated(SIGNED, "/Subtype /Text /Rect [10 10 30 30] /AP << /N LOOK >>", look("900")),
    "note that covers the page": lambda: annotated(SIGNED, "/Subtype /Text /Rect [0 0 595 842] /AP << /N LOOK >>"),
    "link": lambda: annotated(SIGNED, "/Subtype /Link /Rect [70 690 300 730] /A << /S /URI /URI (http://x) >>"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_changes_that_were_not_permitted_raise_an_alarm(name: str) -> None:
    assert alarms(HOSTILE[name]()) != []


def test_a_change_that_a_later_signer_covers_is_still_told() -> None:
    """The second signer signs what the first did not: the first one's reader must know."""
    changed = SIGNED.saved({CONTENTS: drawn("The price is 900 yen")}).signed(OTHER, "Sig2")
    assert any("after revision 1" in a for a in alarms(changed))


def test_an_appearance_shared_with_a_page_cannot_be_filled() -> None:
    """The stream that a field draws is also on the page: filling the field would change the page."""
    shared = painted(shown("The price is 100 yen") + b" /X Do", TEXT_LOOK, None).signed(SEAL)
    assert alarms(filled(shared, "1000")) != []
    assert alarms(filled(SIGNED, "1000")) == []


def test_a_shadow_form_shows_another_value_than_it_has() -> None:
    """The value stood there when it was signed, its picture did not: drawing it later changes what is read (shadow attack "replace")."""
    shadow = PLAIN.saved({TEXT: text_field("900"), TEXT_LOOK: look("100")}).signed(SEAL)
    assert alarms(shadow.saved({TEXT_LOOK: look("900")})) != []
    honest = PLAIN.saved({TEXT: text_field("900"), TEXT_LOOK: look("900")}).signed(SEAL)
    assert alarms(honest.saved({TEXT_LOOK: look("900", "/FormType 1")})) == []


def test_what_is_permitted_is_remarked() -> None:
    found = read(Document.of(filled(SIGNED, "1000").data)).uncovered
    assert [(u.name, u.grave) for u in found] == [("field Total", False)]


def test_a_signature_dictionary_that_is_changed_later_is_not_the_signed_one() -> None:
    """Spoofing: the bytes that were signed stay, what people are shown of the signature does not."""
    body = SIGNED.data[SIGNED.data.rindex(b"<< /Type /Sig") : SIGNED.data.index(b"endobj", SIGNED.data.rindex(b"<< /Type /Sig"))].strip()
    spoofed = SIGNED.saved({NEW - 2: body.replace(b"/Filter", b"/Reason (approved by all) /Filter")})
    (signature,) = read(Document.of(spoofed.data)).signatures
    assert any("not the one that was signed" in d.why and d.fatal for d in signature.defects)
    assert alarms(spoofed) != []
    again = SIGNED.saved({NEW - 2: body})
    assert read(Document.of(again.data)).signatures[0].defects == ()
    assert alarms(again) == []
