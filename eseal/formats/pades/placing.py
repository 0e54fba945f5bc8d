"""Where on a page a seal is drawn (ISO 32000-1 clauses 8.3.2, 12.5.5 and 14.11.2), and its drawing as PDF objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.rw_common import PdfHandler

from eseal.formats.pades.appearance import Drawing
from eseal.formats.pades.letters import EM, Glyph, Program
from eseal.formats.pades.paper import Writer, elements, entry
from eseal.formats.pades.pictures import Picture
from eseal.pdf_seal import LARGEST, SMALLEST, Place
from trust.errors import Malformed, Unacceptable

MARGIN = 28.0
"""Points between a seal without a place of its own and the page's edges, about a centimetre."""
NEXT_TO = 6.0
"""Points between it and what is there."""
MAX_DEPTH = 64
MOST_ANNOTATIONS = 2_000
SLACK = 0.01
_TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
"""What turns a drawing so that it stands upright on a page turned clockwise by so many degrees."""

_UNSEEN = 1 << 1 | 1 << 5
"""Hidden and NoView (table 165)."""

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page as it is shown: its crop box in user space, and its rotation."""

    box: Rectangle
    turned: int
    annotations: tuple[Rectangle, ...]
    """Of what stands on it, as it is shown."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height as it is shown."""
        width, height = self.box[2] - self.box[0], self.box[3] - self.box[1]
        return (width, height) if self.turned in {0, 180} else (height, width)

    def on_paper(self, shown: Rectangle) -> Rectangle:
        """A rectangle of the page as it is shown, in user space."""
        left, bottom, right, top = self.box
        one, two = (self._point(x, y, right - left, top - bottom) for x, y in ((shown[0], shown[1]), (shown[2], shown[3])))
        return (
            left + min(one[0], two[0]),
            bottom + min(one[1], two[1]),
            left + max(one[0], two[0]),
            bottom + max(one[1], two[1]),
        )

    def as_shown(self, box: Rectangle) -> Rectangle:
        """The other way."""
        width, height = self.box[2] - self.box[0], self.box[3] - self.box[1]
        points = [(box[0] - self.box[0], box[1] - self.box[1]), (box[2] - self.box[0], box[3] - self.box[1])]
        turn = {0: lambda x, y: (x, y), 90: lambda x, y: (y, width - x), 180: lambda x, y: (width - x, height - y), 270: lambda x, y: (height - y, x)}
        (a, b), (c, d) = (turn[self.turned](x, y) for x, y in points)
        return min(a, c), min(b, d), max(a, c), max(b, d)

    def _point(self, x: float, y: float, width: float, height: float) -> tuple[float, float]:
        return {0: (x, y), 90: (width - y, x), 180: (width - x, height - y), 270: (y, height - x)}[self.turned]


def sheet_of(handler: PdfHandler, page: int) -> Sheet:
    """Page from 1, or -1 for the last. Unacceptable for one that there is not."""
    count = entry(entry(handler.root, "/Pages"), "/Count")
    if not isinstance(count, int) or not 1 <= (page if page > 0 else count) <= count:
        raise Unacceptable(f"the PDF has {int(count) if isinstance(count, int) else 0} pages, and a seal is wanted on page {page}")
    container, index, _ = handler.find_page_container(page - 1 if page > 0 else page)
    return _sheet(container.get_object()["/Kids"][index].get_object())


def sheet_under(widget: Any) -> Sheet:
    """The page that a field's annotation is on."""
    page = entry(widget, "/P")
    if not isinstance(page, generic.DictionaryObject):
        raise Unacceptable("the signature field does not say on which page it is: it gets no visible seal")
    return _sheet(page)


def _sheet(page: Any) -> Sheet:
    box = _numbers(_inherited(page, "/CropBox")) or _numbers(_inherited(page, "/MediaBox"))
    if box is None or box[2] - box[0] < SMALLEST or box[3] - box[1] < SMALLEST:
        raise Malformed("the page has no size")
    turned = _inherited(page, "/Rotate")
    bare = Sheet(box, int(turned) % 360 if isinstance(turned, int) and int(turned) % 90 == 0 else 0, ())
    there = [_numbers(entry(a, "/Rect")) for a, _ in zip(elements(page, "/Annots"), range(MOST_ANNOTATIONS), strict=False)]
    return Sheet(bare.box, bare.turned, tuple(bare.as_shown(r) for r in there if r is not None and r[2] > r[0] and r[3] > r[1]))


def _inherited(page: Any, key: str) -> Any:
    node = page
    for _ in range(MAX_DEPTH):
        if not isinstance(node, generic.DictionaryObject):
            return None
        if key in node:
            return entry(node, key)
        node = entry(node, "/Parent")
    return None


def _numbers(value: Any) -> Rectangle | None:
    """A rectangle whose corners may be given in any order (clause 7.9.5)."""
    try:
        a, b, c, d = (float(value[i]) for i in range(4))
    except (TypeError, ValueError, IndexError, KeyError, ArithmeticError):
        return None
    return (min(a, c), min(b, d), max(a, c), max(b, d)) if all(abs(v) < 1e6 for v in (a, b, c, d)) else None


def placed(sheet: Sheet, place: Place, usual: tuple[float, float]) -> Rectangle:
    """Of a seal, as the page is shown. Unacceptable outside the page."""
    width, height = sheet.size
    found = place.rectangle or _free(sheet, usual)
    left, bottom, right, top = found
    if left < -SLACK or bottom < -SLACK or right > width + SLACK or top > height + SLACK:
        raise Unacceptable(f"the rectangle is not on the page, which is {width:g} x {height:g} points")
    return found


def _free(sheet: Sheet, usual: tuple[float, float]) -> Rectangle:
    """From the lower right corner to the left and up, where no annotation stands."""
    width, height = sheet.size
    wide, high = min(usual[0], width - SMALLEST), min(usual[1], height - SMALLEST)
    margin = min(MARGIN, (width - wide) / 2, (height - high) / 2)
    bottom = margin
    while bottom + high <= height - margin + SLACK:
        right = width - margin
        while right - wide >= margin - SLACK:
            found = (right - wide, bottom, right, bottom + high)
            if not any(_meet(found, other) for other in sheet.annotations):
                return found
            right -= wide + NEXT_TO
        bottom += high + NEXT_TO
    return width - margin - wide, margin, width - margin, margin + high


def _meet(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def field_box(widget: Any) -> Rectangle:
    """Of a field that is there, in user space. Unacceptable for one that has no area."""
    flags, box = entry(widget, "/F"), _numbers(entry(widget, "/Rect"))
    if isinstance(flags, int) and flags & _UNSEEN:
        raise Unacceptable("the signature field is a hidden one: it gets no visible seal")
    if box is None or not (SMALLEST <= box[2] - box[0] <= LARGEST and SMALLEST <= box[3] - box[1] <= LARGEST):
        raise Unacceptable("the signature field has no room for a visible seal")
    return box


def draw(writer: Writer, widget: Any, drawing: Drawing, turned: int) -> None:
    """The normal appearance of an annotation (clause 12.5.5)."""
    resources = generic.DictionaryObject()
    if drawing.font is not None:
        resources[pdf_name("/Font")] = generic.DictionaryObject({pdf_name("/F"): _font(writer, drawing.font)})
    if drawing.picture is not None:
        resources[pdf_name("/XObject")] = generic.DictionaryObject({pdf_name("/Im"): _image(writer, drawing.picture)})
    form = _stream(drawing.operators, Type="XObject", Subtype="Form")
    form[pdf_name("/BBox")] = _array([0, 0, drawing.width, drawing.height])
    if turned:
        form[pdf_name("/Matrix")] = _array([*_TURNS[turned], 0, 0])
    form[pdf_name("/Resources")] = resources
    widget[pdf_name("/AP")] = generic.DictionaryObject({pdf_name("/N"): writer.add_object(form)})


def _stream(data: bytes, *, packed: bytes | None = None, **names: str) -> generic.StreamObject:
    entries = {pdf_name(f"/{key}"): pdf_name(f"/{value}") for key, value in names.items()}
    if packed is not None:
        return generic.StreamObject({**entries, pdf_name("/Filter"): pdf_name("/FlateDecode")}, encoded_data=packed)
    made = generic.StreamObject(entries, stream_data=data)
    made.compress()
    return made


def _array(values: Sequence[float]) -> generic.ArrayObject:
    return generic.ArrayObject([generic.NumberObject(v) if isinstance(v, int) else generic.FloatObject(round(v, 3)) for v in values])


def _image(writer: Writer, picture: Picture) -> Any:
    made = _pixels(picture.width, picture.height, "DeviceGray" if picture.colours == 1 else "DeviceRGB", picture.samples)
    if picture.opacity is not None:
        made[pdf_name("/SMask")] = writer.add_object(_pixels(picture.width, picture.height, "DeviceGray", picture.opacity))
    return writer.add_object(made)


def _pixels(width: int, height: int, colours: str, packed: bytes) -> generic.StreamObject:
    made = _stream(b"", packed=packed, Type="XObject", Subtype="Image", ColorSpace=colours)
    for key, value in (("Width", width), ("Height", height), ("BitsPerComponent", 8)):
        made[pdf_name(f"/{key}")] = generic.NumberObject(value)
    return made


def _font(writer: Writer, font: Program) -> Any:
    """Clause 9.7: a composite font of two-byte codes, each of which is a glyph's number."""
    name = pdf_name(f"/{font.name}")
    program = _stream(font.data)
    program[pdf_name("/Length1")] = generic.NumberObject(len(font.data))
    left, bottom = (min((g.bounds[i] for g in font.glyphs), default=0.0) for i in (0, 1))
    right, top = (max((g.bounds[i] for g in font.glyphs), default=0.0) for i in (2, 3))
    descriptor = generic.DictionaryObject({pdf_name("/Type"): pdf_name("/FontDescriptor"), pdf_name("/FontName"): name})
    for key, value in (("Flags", 4), ("ItalicAngle", 0), ("Ascent", font.ascent), ("Descent", font.descent), ("CapHeight", 700), ("StemV", 80)):
        descriptor[pdf_name(f"/{key}")] = generic.NumberObject(value)
    descriptor[pdf_name("/FontBBox")] = _array([round(v) for v in (left, bottom, right, top)])
    descriptor[pdf_name("/FontFile2")] = writer.add_object(program)
    order = generic.DictionaryObject(
        {
            pdf_name("/Registry"): generic.TextStringObject("Adobe"),
            pdf_name("/Ordering"): generic.TextStringObject("Identity"),
            pdf_name("/Supplement"): generic.NumberObject(0),
        }
    )
    letters = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Font"),
            pdf_name("/Subtype"): pdf_name("/CIDFontType2"),
            pdf_name("/BaseFont"): name,
            pdf_name("/CIDSystemInfo"): order,
            pdf_name("/CIDToGIDMap"): pdf_name("/Identity"),
            pdf_name("/FontDescriptor"): writer.add_object(descriptor),
            pdf_name("/DW"): generic.NumberObject(EM),
            pdf_name("/W"): generic.ArrayObject([generic.NumberObject(1), _array([g.advance for g in font.glyphs])]),
        }
    )
    whole = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Font"),
            pdf_name("/Subtype"): pdf_name("/Type0"),
            pdf_name("/BaseFont"): name,
            pdf_name("/Encoding"): pdf_name("/Identity-H"),
            pdf_name("/DescendantFonts"): generic.ArrayObject([writer.add_object(letters)]),
            pdf_name("/ToUnicode"): writer.add_object(_stream(_to_unicode(font.glyphs))),
        }
    )
    return writer.add_object(whole)


def _to_unicode(glyphs: Sequence[Glyph]) -> bytes:
    """Clause 9.10.3: so that a search and a reader aloud find the text."""
    lines = [f"<{g.number:04X}> <{g.text.encode('utf-16-be').hex().upper()}>" for g in glyphs]
    blocks = [lines[i : i + 100] for i in range(0, len(lines), 100)]
    body = "\n".join(f"{len(b)} beginbfchar\n" + "\n".join(b) + "\nendbfchar" for b in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n{body}\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode()
