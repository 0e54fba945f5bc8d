"""What is made of a stranger's document: a seal in it, a signature beside those that are there, a higher level, a renewed evidence record.

The document is parsed where no key is; still nothing but a refusal may come of it, in bounded time and memory. What is made our own reader reads
again: each signature that was there is there, its signed bytes untouched, and what was added is sound (`tests.fuzz.kept`).
"""

import functools
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from fontTools.cffLib import SubrsIndex
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.misc.psCharStrings import T2CharString
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from eseal import drafting, extend
from eseal.confined import sound
from eseal.drafting import Holder
from eseal.extend import Kind, Wanted
from eseal.extend_material import Known
from eseal.formats.pades.letters import Face
from eseal.formats.pades.pictures import picture
from eseal.spec import Level, choose
from tests import pki
from tests.fuzz import binary, seeds
from tests.fuzz.kept import kept
from tests.fuzz.mutate import octets
from tests.fuzz.target import DER, JSON, PDF, XML, ZIP, Target
from trust.codecs import ers, ers_renewal
from trust.errors import Unacceptable, Unavailable
from trust.model import Cert, Digest, Document
from trust.ports import Status

NOW = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
BESIDE = Document.of(b"content that stands apart\n", "content.txt")
_NO = (Unacceptable, Unavailable)


@functools.cache
def _office() -> pki.Pki:
    return pki.pki()


@functools.cache
def _status() -> Status:
    return Status(crls=_office().crls(NOW), certs=(_office().ca.certificate, _office().root.certificate))


def _status_of(_: Sequence[Cert]) -> Status:
    return _status()


def _seal(**options: str) -> Callable[[bytes], None]:
    """A seal at B-B; the stamps of the higher levels are over what is made, and read nothing of the document."""

    def run(data: bytes) -> None:
        document = Document.of(data, "file")
        spec = choose(data[:4096], level="B-B", **options)
        holder = Holder.of(_office().signer)
        for more in ((), (BESIDE,)) if spec.addition is not None else ((),):  # what is signed is inside, or stands apart
            try:
                made = drafting.draft(document, spec, holder, NOW, *more, sign=_signed, stamp=pki.stamper(_office().tsu), status=_status_of)
            except _NO:
                continue
            if spec.addition is None:
                sound(made, document, spec)
            kept(document, made, more, _office().signer)

    return run


def _add_to_container(data: bytes) -> None:
    """As the signatures are that are in it."""
    for name in ("asic-e-cades", "asic-e-xades"):
        _seal(format=name, addition="parallel")(data)


def _signed(data: bytes) -> bytes:
    return _office().signer.sign(data)


def _extend(kind: Kind) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        document = Document.of(data, "file")
        stamp = pki.stamper(_office().tsu, NOW)
        for level in (Level.B_T, Level.B_LTA):
            try:
                made = extend.draft(document, kind, Wanted(level), Known(), NOW, BESIDE, stamp=_same(stamp), status=_status_of)
            except _NO:  # strangers' certificates have no status here; a level that it has, or has no place for
                continue
            kept(document, made, (BESIDE,))

    return run


def _same(stamp: Callable[[Digest], bytes]) -> Callable[[Digest], bytes]:
    """A token for each digest, made once: what the authority costs is not the reader's."""
    return lambda digest: _token(stamp, digest)


def _token(stamp: Callable[[Digest], bytes], digest: Digest) -> bytes:
    if digest not in _TOKENS:
        if len(_TOKENS) > 2000:
            _TOKENS.clear()
        _TOKENS[digest] = stamp(digest)
    return _TOKENS[digest]


_TOKENS: dict[Digest, bytes] = {}


def _renewal(data: bytes) -> None:
    """RFC 4998 section 5.2, with a token that another record has."""
    record = ers_renewal.renewable(data)
    [value] = [ers_renewal.over_stamp(record)]
    tree = ers.tree(record.algorithm, value)
    renewed = ers_renewal.renewed(record, "time-stamp", record.algorithm, ers_renewal.lists_of(tree, 0, (value,)), record.last.der)
    assert len(ers_renewal.renewable(renewed).parsed.chains) == len(record.parsed.chains)
    ers_renewal.completed(record, record.last.der)
    for name in ("sha256", "sha512"):
        if name != record.algorithm:
            group = ers_renewal.over_data(record, name, [Digest.of(name, b"document").value])
            tree = ers.tree(name, ers_renewal.node_of(name, group))
            ers_renewal.renewed(record, "hash tree", name, ers_renewal.lists_of(tree, 0, group), record.last.der)


def _picture(data: bytes) -> None:
    picture(Document.of(data, "picture"))


def _font(data: bytes) -> None:
    """The letters of a name in a stranger's font, drawn anew."""
    face = Face(Document.of(data, "font"))
    try:
        for upright in (False, True):
            face.glyphs("AB", upright=upright)
        face.glyphs("A\ufe00", upright=True)
        face.program()
    finally:
        face.close()


# Seeds


def _pictures() -> tuple[bytes, ...]:
    found = []
    for mode, kind in (("RGBA", "PNG"), ("L", "PNG"), ("P", "PNG"), ("1", "PNG"), ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG")):
        made = io.BytesIO()
        Image.linear_gradient("L").resize((24, 24)).convert(mode).save(made, kind)
        found.append(made.getvalue())
    return (*found, *_richer_pictures())


def _richer_pictures() -> Iterator[bytes]:
    """With what stands beside the pixels: profiles, texts, Exif, a transparent colour, frames."""
    grey, words, exif = Image.linear_gradient("L").resize((24, 24)), PngInfo(), Image.Exif()
    words.add_text("Title", "x" * 40, zip=True)
    words.add_itxt("Comment", "印", "ja", "", zip=True)
    exif[0x010E], exif[0x0112] = "description", 6
    profile = bytes(range(128))
    frames = [grey.convert("RGB").rotate(turn) for turn in (10, 20)]
    ways: tuple[tuple[Image.Image, str, dict[str, Any]], ...] = (
        (grey.convert("P"), "PNG", {"transparency": 3, "pnginfo": words}),
        (grey.convert("RGB"), "PNG", {"transparency": (1, 2, 3), "icc_profile": profile, "exif": exif}),
        (grey.convert("I;16"), "PNG", {}),
        (grey.convert("LA"), "PNG", {}),
        (frames[0], "PNG", {"save_all": True, "append_images": frames[1:]}),
        (grey.convert("RGB"), "JPEG", {"progressive": True, "icc_profile": profile, "exif": exif, "comment": b"words"}),
        (frames[0], "MPO", {"save_all": True, "append_images": frames[1:]}),
    )
    for image, kind, said in ways:
        made = io.BytesIO()
        image.save(made, kind, **said)
        yield made.getvalue()


@functools.cache
def _fonts() -> tuple[bytes, ...]:
    made = FontBuilder(1000, isTTF=True)
    made.font.recalcTimestamp = False
    made.updateHead(created=0, modified=0)
    made.setupGlyphOrder([".notdef", "A", "B"])
    made.setupCharacterMap({0x41: "A", 0x42: "B"})
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((500, 700))
    pen.qCurveTo((700, 300), (0, 0))
    pen.closePath()
    drawn = pen.glyph()
    composite = TTGlyphPen({"A": drawn})
    composite.addComponent("A", (1, 0, 0, 1, 30, 30))
    made.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "A": drawn, "B": composite.glyph()})
    made.setupHorizontalMetrics({".notdef": (500, 0), "A": (700, 0), "B": (700, 0)})
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "Example", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    out = io.BytesIO()
    made.save(out)
    return (out.getvalue(), *_richer_fonts(made))


def _richer_fonts(plain: FontBuilder) -> Iterator[bytes]:
    """With forms of vertical writing and of ideographs, characters beyond the first plane; with outlines of PostScript; several in one."""
    plain.setupCharacterMap({0x41: "A", 0x42: "B", 0x2_0000: "B"}, uvs=[(0x41, 0xFE00, "B"), (0x42, 0xFE00, None)])
    addOpenTypeFeaturesFromString(plain.font, "feature vert { sub A by B; } vert;")
    whole = io.BytesIO()
    plain.save(whole)
    yield whole.getvalue()
    names = [".notdef", "A", "B"]
    curves = FontBuilder(1000, isTTF=False)
    curves.font.recalcTimestamp = False
    curves.setupGlyphOrder(names)
    curves.setupCharacterMap({0x41: "A", 0x42: "B"})
    program = [500, 0, "rmoveto", 10, 20, 30, 40, 50, 60, "rrcurveto", -107, "callsubr", "endchar"]
    curves.setupCFF("Example", {}, {name: T2CharString(program=program) for name in names}, {})
    private = curves.font["CFF "].cff.topDictIndex[0].Private
    private.Subrs = SubrsIndex()
    private.Subrs.append(T2CharString(program=[100, "hlineto", 100, "vlineto", "return"]))
    curves.setupHorizontalMetrics(dict.fromkeys(names, (700, 0)))
    curves.setupHorizontalHeader(ascent=800, descent=-200)
    curves.setupNameTable({"familyName": "Example JP", "styleName": "Regular"})
    curves.setupOS2()
    curves.setupPost()
    one = io.BytesIO()
    curves.save(one)
    yield one.getvalue()
    several, both = TTCollection(), io.BytesIO()
    several.fonts = [TTFont(io.BytesIO(each.getvalue())) for each in (whole, one)]
    several.save(both)
    yield both.getvalue()


def _small_pdfs() -> tuple[bytes, ...]:
    return seeds.of_format("PAdES", limit=seeds.LARGEST)


def _kind(*names: str) -> Callable[[], tuple[bytes, ...]]:
    return functools.partial(seeds.of_format, *names)


TARGETS: dict[str, Target] = {
    "seal-pades": Target(_seal(format="pades"), _small_pdfs, PDF, refuses=_NO, inputs=150),
    "seal-xades": Target(_seal(format="xades", packaging="enveloped"), _kind("XAdES", "XMLDSig"), XML, refuses=_NO, inputs=800),
    "add-cades": Target(_seal(format="cades", addition="parallel"), _kind("CAdES"), DER, refuses=_NO, inputs=4000),
    "add-jades": Target(_seal(format="jades", addition="parallel"), _kind("JAdES"), JSON, refuses=_NO, inputs=3000),
    "add-asic": Target(_add_to_container, _kind("ASiC*"), ZIP, refuses=_NO, inputs=1500),
    "countersign-cades": Target(_seal(format="cades", addition="countersignature"), _kind("CAdES"), DER, refuses=_NO, inputs=4000),
    "countersign-xades": Target(_seal(format="xades", addition="countersignature"), _kind("XAdES"), XML, refuses=_NO, inputs=800),
    "countersign-jades": Target(_seal(format="jades", addition="countersignature"), _kind("JAdES"), JSON, refuses=_NO, inputs=3000),
    "extend-pades": Target(_extend(Kind.PDF), _small_pdfs, PDF, refuses=_NO, inputs=80),
    "extend-cades": Target(_extend(Kind.CMS), _kind("CAdES"), DER, refuses=_NO, inputs=1000),
    "extend-xades": Target(_extend(Kind.XML), _kind("XAdES"), XML, refuses=_NO, inputs=200),
    "extend-jades": Target(_extend(Kind.JWS), _kind("JAdES"), JSON, refuses=_NO, inputs=500),
    "extend-cose": Target(_extend(Kind.COSE), seeds.cose_messages, (octets,), refuses=_NO, inputs=1500),
    "extend-asic": Target(_extend(Kind.ASIC_E), _kind("ASiC*", "ODF*"), ZIP, refuses=_NO, inputs=500),
    "renewal": Target(_renewal, _kind("ERS"), DER, refuses=(Unacceptable,), inputs=5000),
    "picture": Target(_picture, _pictures, (binary.png, binary.png, octets), inputs=4000),
    "font": Target(_font, _fonts, (binary.font, binary.font, octets), refuses=(Unacceptable,), inputs=800),
}
