"""The last look at a sealed PDF: whatever an update changes beside the seal is noticed."""

import io
from collections.abc import Callable
from decimal import Decimal

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name

from eseal.demonstration import pdf
from eseal.formats.unchanged import require_unchanged
from trust.errors import Malformed
from trust.model import Document

PDF = pdf()


def changed(change: Callable[[pikepdf.Pdf], object], data: bytes = PDF) -> bytes:
    paper = pikepdf.open(io.BytesIO(data))
    change(paper)
    out = io.BytesIO()
    paper.save(out)
    return out.getvalue()


def held(before: bytes, after: bytes) -> None:
    require_unchanged(Document.of(before), Document.of(after), None)


def field(paper: pikepdf.Pdf) -> None:
    widget = paper.make_indirect(Dictionary(Type=Name.Annot, Subtype=Name.Widget, FT=Name.Sig))
    paper.pages[0].obj.Annots = Array([*paper.pages[0].obj.get("/Annots", ()), widget])
    fields = paper.Root.AcroForm.Fields if "/AcroForm" in paper.Root else ()
    paper.Root.AcroForm = Dictionary(Fields=Array([*fields, widget]))


BASE = changed(field)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda p: setattr(p.Root, "DSS", Dictionary(Certs=Array([]))),
        lambda p: setattr(p.Root, "Version", Name("/2.0")),
        lambda p: setattr(p.pages[0].obj, "MediaBox", Array([0, 0, Decimal("595.0"), 842])),
        lambda p: setattr(p.Root, "Lang", pikepdf.String("ja")),
    ],
)
def test_what_a_seal_brings_is_no_change(change: Callable[[pikepdf.Pdf], object]) -> None:
    held(BASE, changed(change, BASE))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.pages.append(p.pages[0]),
        lambda p: p.pages.remove(p=2),
        lambda p: p.pages.reverse(),
        lambda p: setattr(p.pages[1].obj, "Contents", p.make_stream(b"BT ET")),
        lambda p: setattr(p.pages[0].obj, "MediaBox", Array([0, 0, 595, 100])),
        lambda p: setattr(p.pages[0].obj, "Rotate", 90),
        lambda p: setattr(p.pages[0].obj, "Resources", Dictionary()),
        lambda p: (
            setattr(p.pages[0].obj.Resources.Font.Latin, "BaseFont", Name.Courier)
            or setattr(p.pages[0].obj, "Resources", Dictionary(Font=Dictionary()))
        ),
        lambda p: setattr(p.pages[0].obj, "Annots", Array([])),
        lambda p: setattr(p.Root, "OpenAction", Dictionary(S=Name.JavaScript, JS=pikepdf.String("x"))),
        lambda p: setattr(p.Root, "Lang", pikepdf.String("en")),
    ],
)
def test_anything_else_is(change: Callable[[pikepdf.Pdf], object]) -> None:
    with pytest.raises(Malformed, match="would change what it shows"):
        held(BASE, changed(change, BASE))


def test_what_cannot_be_read_is_not_the_same() -> None:
    for before, after in ((b"%PDF-1.7", PDF), (PDF, b"%PDF-1.7"), (PDF, b"")):
        with pytest.raises(Malformed, match="readers differ"):
            held(before, after)


def test_deep_structures_end() -> None:
    def deep(paper: pikepdf.Pdf) -> None:
        inner = Dictionary()
        for _ in range(40):
            inner = Dictionary(A=inner)
        paper.Root.Deep = inner

    with pytest.raises(Malformed):
        held(changed(deep), changed(deep))
