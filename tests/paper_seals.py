"""PDFs sealed in every way that a PDF can be: what they are for our verifier, EU DSS, pyHanko and poppler alike. Each is lawful."""

import functools
import io
from collections.abc import Callable
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name
from PIL import Image, ImageDraw

from eseal.formats import pades
from eseal.pdf_seal import OPTIONS, wished
from eseal.spec import Claims, Commitment, choose
from tests import pki as office
from tests.pki import Party
from tests.sealing import blank_pdf, means, whole
from tests.services import absent
from trust.edge.fonts import USUAL
from trust.edge.source import document
from trust.model import Document

PKI = office.pki()
SECOND = office.signer(PKI.ca, "Second Seal")
NAME = "株式会社角印商事"
WORDS = Claims("内容を確認し、承認したため", "東京都")


@functools.cache
def japanese_font() -> Document:
    """Of Debian's fonts-noto-cjk."""
    found = next((path for path in USUAL if path.name.startswith("NotoSerifCJK") and path.is_file()), None)
    if found is None:
        absent("a Japanese font (fonts-noto-cjk)")
        raise AssertionError
    return document(found)


def sealed(
    data: bytes, level: str = "B-B", party: Party | None = None, claims: Claims | None = None, password: str | None = None, **said: Any
) -> bytes:
    """Sealed as `said`, by the names of eseal.pdf_seal.OPTIONS, with the Japanese font where letters are shown and none is given."""
    files = {name: said.pop(name) for name in ("image", "font") if name in said}
    if "seal" in (visible := said.get("visible", "")) or "text" in visible:
        files.setdefault("font", japanese_font())
    assert set(said) <= set(OPTIONS)
    subject = Document.of(data)
    spec = choose(data[:1024], level=level, claims=claims or Claims(), password=password, pdf=wished(said, **files))
    return whole(subject, pades.seal(subject, spec, means(PKI, party)))


def turned(degrees: int, **entries: Any) -> bytes:
    """A page that is shown turned."""
    with pikepdf.open(io.BytesIO(blank_pdf())) as paper:
        paper.pages[0].obj.Rotate = degrees
        for name, value in entries.items():
            paper.pages[0].obj[Name(f"/{name}")] = value
        made = io.BytesIO()
        paper.save(made)
    return made.getvalue()


def form(**entries: Any) -> bytes:
    """A document with an empty signature field called Approval on its second page, and a text field called Total on its first."""
    with pikepdf.open(io.BytesIO(blank_pdf())) as paper:
        widget = {"Type": Name.Annot, "Subtype": Name.Widget, "F": 4}
        total = Dictionary(**widget, FT=Name.Tx, T="Total", V="100", DA="/Helv 12 Tf 0 g", Rect=Array([72, 600, 272, 620]), P=paper.pages[0].obj)
        given = {"Rect": Array([300, 100, 400, 200]), **{k: v(paper) if callable(v) else v for k, v in entries.items()}}
        approval = Dictionary(**{**widget, "FT": Name.Sig, "T": "Approval", "P": paper.pages[1].obj, **given})
        fields = [paper.make_indirect(total), paper.make_indirect(approval)]
        paper.pages[0].obj.Annots, paper.pages[1].obj.Annots = Array(fields[:1]), Array(fields[1:])
        paper.Root.AcroForm = Dictionary(Fields=Array(fields))
        made = io.BytesIO()
        paper.save(made)
    return made.getvalue()


def picture(kind: str, mode: str = "RGBA") -> Document:
    """A red ring with a blue half transparent square in it."""
    made = Image.new(mode, (120, 120))
    pen = ImageDraw.Draw(made)
    red, blue = {"RGBA": ((200, 30, 30, 255), (30, 30, 200, 128)), "RGB": ((200, 30, 30), (30, 30, 200)), "L": (40, 90)}[mode]
    pen.ellipse((4, 4, 116, 116), outline=red, width=10)
    pen.rectangle((40, 40, 80, 80), fill=blue)
    out = io.BytesIO()
    made.save(out, kind)
    return Document.of(out.getvalue(), f"ring.{kind.lower()}")


def _locked() -> bytes:
    lock = Dictionary(Type=Name.SigFieldLock, Action=Name.Include, Fields=Array([pikepdf.String("Total")]))
    return form(Lock=lambda paper: paper.make_indirect(lock))


PAPERS: dict[str, Callable[[], bytes]] = {
    "a square seal": lambda: sealed(blank_pdf(), visible="seal", seal_name=NAME),
    "a plate": lambda: sealed(blank_pdf(), visible="seal", seal_name="Kakuin Example K.K."),
    "a seal with words": lambda: sealed(blank_pdf(), "B-LTA", claims=WORDS, visible="seal+text", seal_name=NAME),
    "words": lambda: sealed(blank_pdf(), claims=Claims(location="Tokyo", commitment=Commitment.APPROVAL), visible="text"),
    "a code with words": lambda: sealed(blank_pdf(), "B-T", visible="qr+text"),
    "a transparent picture": lambda: sealed(blank_pdf(), visible="image", image=picture("PNG"), page="2"),
    "a photograph": lambda: sealed(blank_pdf(), visible="image+text", image=picture("JPEG", "RGB"), page="last"),
    "grey": lambda: sealed(blank_pdf(), visible="image", image=picture("PNG", "L")),
    "a page turned by 90 degrees": lambda: sealed(turned(90), visible="seal", seal_name=NAME),
    "a page turned by 180 degrees": lambda: sealed(turned(180), visible="seal", seal_name=NAME),
    "a page turned by 270 degrees": lambda: sealed(turned(270, CropBox=Array([50, 60, 500, 700])), visible="seal", seal_name=NAME),
    "a field that was there": lambda: sealed(form(), field="Approval"),
    "a field that was there, visible": lambda: sealed(form(), "B-LTA", field="Approval", visible="seal", seal_name=NAME),
    "a field that locks others": lambda: sealed(_locked(), field="Approval"),
    "certified, no changes": lambda: sealed(form(), "B-LT", certify="no-changes"),
    "certified, no changes, archived": lambda: sealed(form(), "B-LTA", certify="no-changes"),
    "certified, forms": lambda: sealed(form(), "B-LTA", certify="forms", visible="seal", seal_name=NAME),
    "certified, comments": lambda: sealed(form(), "B-LTA", certify="comments", lock="Total"),
    "all locked": lambda: sealed(form(), "B-LTA", lock="all"),
    "one locked": lambda: sealed(form(), lock="Total"),
    "all but one locked": lambda: sealed(form(), lock="all-but:Total"),
    "sealed twice, both visible": lambda: sealed(
        sealed(form(), "B-LTA", visible="seal", seal_name=NAME), "B-LTA", SECOND, visible="seal", seal_name="甲乙商事"
    ),
    "certified, then sealed in a field": lambda: sealed(sealed(form(), "B-LTA", certify="forms"), "B-LTA", SECOND, field="Approval", visible="qr"),
    "locked, then sealed": lambda: sealed(sealed(form(), lock="Total"), "B-B", SECOND, visible="text"),
}
