"""PDFs made by hand, revision by revision: sound unless a keyword says otherwise. Nothing here is shared with the sealer."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from tests.envelopes import SIGNATURE_TIME_STAMP, attribute, envelope, seq, signer_info, usual_attributes, value_of
from tests.pki import SIGNED, Party, token
from trust.codecs.asn1 import context, parse, tlv
from trust.model import Cert, Crl, Digest, Ocsp

CATALOGUE, PAGES, PAGE, CONTENTS, FONT, FORM, TEXT, TEXT_LOOK, SECOND, SECOND_CONTENTS = range(1, 11)
ROOM = 24_000
"""Hexadecimal digits kept for /Contents."""


def stream(data: bytes, entries: str = "") -> bytes:
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def shown(text: str) -> bytes:
    return f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()


def look(text: str, entries: str = "", resources: str = "<< /Font << /Helv 5 0 R >> >>") -> bytes:
    """The appearance of a text field."""
    drawn = f"/Tx BMC q BT /Helv 12 Tf 0 g 2 6 Td ({text}) Tj ET Q EMC" if text else "/Tx BMC EMC"
    return stream(drawn.encode(), f"/Type /XObject /Subtype /Form /BBox [0 0 200 20] /Resources {resources} {entries}")


@dataclass(frozen=True)
class Paper:
    """A PDF with what it takes to make its next revision."""

    data: bytes
    bodies: Mapping[int, bytes]
    start: int
    """Where its last cross-reference table begins."""
    annotations: tuple[str, ...] = ("7 0 R",)
    fields: tuple[str, ...] = ("7 0 R",)
    catalogue: str = ""
    form: str = "/DR << /Font << /Helv 5 0 R >> >> /DA (/Helv 12 Tf 0 g)"
    page: str = ""
    resources: str = "/Font << /F1 5 0 R >>"
    """Of the first page."""
    trailer: str = ""
    """In every trailer from here on."""

    @property
    def fresh(self) -> int:
        return max(self.bodies) + 1

    def saved(self, objects: Mapping[int, bytes], *, free: Iterable[int] = (), trailer: str = "") -> "Paper":
        """An incremental update with these objects."""
        out = bytearray(self.data)
        if not out.endswith(b"\n"):
            out += b"\n"
        offsets = {}
        for number, body in sorted(objects.items()):
            offsets[number] = len(out)
            out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
        start = len(out)
        out += b"xref\n"
        for number in sorted({*offsets, *free}):
            line = b"%010d 00000 n \n" % offsets[number] if number in offsets else b"0000000000 00001 f \n"
            out += b"%d 1\n" % number + line
        bodies = {**self.bodies, **objects}
        previous = f"/Prev {self.start}" if self.start else ""
        out += f"trailer\n<< /Size {max(bodies) + 1} /Root 1 0 R {previous} {self.trailer} {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
        return replace(self, data=bytes(out), bodies=bodies, start=start)

    def arranged(self) -> dict[int, bytes]:
        """Catalogue, page and form as the lists and additions say."""
        return {
            CATALOGUE: f"<< /Type /Catalog /Pages 2 0 R /AcroForm 6 0 R {self.catalogue} >>".encode(),
            PAGE: (
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << {self.resources} >> "
                f"/Annots [{' '.join(self.annotations)}] {self.page} >>"
            ).encode(),
            FORM: f"<< /Fields [{' '.join(self.fields)}] /SigFlags 3 {self.form} >>".encode(),
        }

    def rearranged(self, objects: Mapping[int, bytes] | None = None, **changes: object) -> "Paper":
        """An update of the lists or of what is added to catalogue, form or page, with further objects."""
        made = replace(self, **changes)  # type: ignore[arg-type]
        now = {k: v for k, v in made.arranged().items() if v != self.bodies.get(k)}
        return made.saved({**now, **(objects or {})})

    def signed(
        self,
        party: Party,
        name: str = "Sig1",
        *,
        sub_filter: str = "ETSI.CAdES.detached",
        cms: Callable[[bytes], bytes] | None = None,
        doc_mdp: int | None = None,
        lock: str = "",
        entries: str = "",
        type_: str = "/Sig",
        rectangle: str = "[0 0 0 0]",
        appearance: bytes | None = None,
        objects: Mapping[int, bytes] | None = None,
    ) -> "Paper":
        """Signed in a new field. `cms` makes what stands in /Contents of the signed bytes; `lock` is a FieldMDP transform's parameters."""
        made = cms or (lambda over: pades_cms(party, over))
        value, widget = self.fresh, self.fresh + 1
        transform = ""
        for method, parameters in (("DocMDP", "" if doc_mdp is None else f"/P {doc_mdp}"), ("FieldMDP", lock)):
            if parameters:
                inner = f"<< /Type /TransformParams {parameters} /V /1.2 >>"
                transform = f"/Reference [<< /Type /SigRef /TransformMethod /{method} /TransformParams {inner} >>]"
        date = SIGNED.strftime("D:%Y%m%d%H%M%SZ")
        dictionary = (
            f"<< /Type {type_} /Filter /Adobe.PPKLite /SubFilter /{sub_filter} /M ({date}) {transform} {entries} "
            f"/ByteRange [0 {'*' * 30}] /Contents <{'0' * ROOM}> >>"
        ).encode()
        shape = f"/AP << /N {widget + 1} 0 R >>" if appearance is not None else ""
        field = f"<< /Type /Annot /Subtype /Widget /FT /Sig /T ({name}) /V {value} 0 R /F 132 /Rect {rectangle} /P 3 0 R {shape} >>".encode()
        added = {value: dictionary, widget: field, **({widget + 1: appearance} if appearance is not None else {}), **(objects or {})}
        refs = f"{widget} 0 R"
        catalogue = self.catalogue + (f" /Perms << /DocMDP {value} 0 R >>" if doc_mdp is not None else "")
        drawn = self.rearranged(added, annotations=(*self.annotations, refs), fields=(*self.fields, refs), catalogue=catalogue)
        return drawn.filled(made)

    def filled(self, cms: Callable[[bytes], bytes]) -> "Paper":
        """The placeholder of /ByteRange and /Contents filled in."""
        mark = self.data.rindex(b"/ByteRange [0 *")
        gap = self.data.index(b"<" + b"0" * ROOM + b">", mark)
        after = gap + ROOM + 2
        numbers = f"{gap} {after} {len(self.data) - after}".ljust(30).encode()
        data = self.data.replace(b"*" * 30, numbers, 1)
        value = cms(data[:gap] + data[after:]).hex().encode().ljust(ROOM, b"0")
        return replace(self, data=data[: gap + 1] + value + data[after - 1 :])

    def stamped(self, tsu: Party, name: str = "Stamp1", *, cms_: bytes | None = None, **how: object) -> "Paper":
        """With a document time-stamp; `cms_` puts other hexadecimal digits where the token belongs."""
        return self.signed(
            tsu,
            name,
            sub_filter="ETSI.RFC3161",
            type_="/DocTimeStamp",
            cms=lambda over: bytes.fromhex(cms_.decode()) if cms_ else token(tsu, Digest.of("sha256", over)),
            **how,  # type: ignore[arg-type]
        )

    def stored(self, certs: Iterable[Cert] = (), crls: Iterable[Crl] = (), ocsps: Iterable[Ocsp] = (), vri: str = "") -> "Paper":
        """With a /DSS."""
        objects: dict[int, bytes] = {}
        lists = {}
        for key, items in (("Certs", certs), ("CRLs", crls), ("OCSPs", ocsps)):
            refs = []
            for item in items:
                number = self.fresh + len(objects)
                objects[number] = stream(item.der)
                refs.append(f"{number} 0 R")
            lists[key] = " ".join(refs)
        store = " ".join(f"/{k} [{v}]" for k, v in lists.items())
        kept = re.sub(r"/DSS <<.*?>>", "", self.catalogue)
        return self.rearranged(objects, catalogue=f"{kept} /DSS << {store} {vri} >>")


def paper(catalogue: str = "", extra: Mapping[int, bytes] | None = None) -> Paper:
    """A contract of two pages with one empty text field."""
    blank = Paper(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", {}, 0, catalogue=catalogue)
    objects = {
        **blank.arranged(),
        PAGES: b"<< /Type /Pages /Kids [3 0 R 9 0 R] /Count 2 >>",
        CONTENTS: stream(shown("The price is 100 yen")),
        FONT: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        TEXT: text_field(""),
        TEXT_LOOK: look(""),
        SECOND: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 10 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        SECOND_CONTENTS: stream(shown("Second page")),
        **(extra or {}),
    }
    return blank.saved(objects, trailer="/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]")


def text_field(value: str, appearance: int = TEXT_LOOK, entries: str = "") -> bytes:
    return (
        f"<< /Type /Annot /Subtype /Widget /FT /Tx /T (Total) /V ({value}) /DA (/Helv 12 Tf 0 g) /F 4 /Rect [72 600 272 620] /P 3 0 R "
        f"/AP << /N {appearance} 0 R >> {entries} >>"
    ).encode()


def pades_cms(party: Party, over: bytes, *, extra: Iterable[Cert] = (), unsigned: Iterable[bytes] = (), content: bytes | None = None) -> bytes:
    """What EN 319 142-1 wants in /Contents: no signing-time, the chain inside."""
    attributes = [a for i, a in enumerate(usual_attributes(party, over)) if i != 1]
    info = signer_info(party, over, attributes=attributes, unsigned=unsigned)
    return envelope([info], certs=(party.certificate, *party.chain, *extra), content=content)


def attribute_stamp(tsu: Party) -> Callable[[bytes], bytes]:
    """A signature time-stamp attribute for a signature value."""
    return lambda value: attribute(SIGNATURE_TIME_STAMP, token(tsu, Digest.of("sha256", value)))


def pades_cms_stamped(party: Party, over: bytes, stamp: Callable[[bytes], bytes]) -> bytes:
    """The same with a signature time-stamp."""
    attributes = [a for i, a in enumerate(usual_attributes(party, over)) if i != 1]
    info = signer_info(party, over, attributes=attributes)
    stamped = seq(parse(info).content, tlv(context(1), stamp(value_of(info))))
    return envelope([stamped], certs=(party.certificate, *party.chain))
