"""All that is decided about a seal's field before anything is written: which, where, what it shows, what it locks."""

from dataclasses import dataclass
from typing import Any

from cryptography import x509
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm, SigFieldSpec
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigMDPSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import PdfSignedData

from eseal.formats.pades import appearance, placing
from eseal.formats.pades.appearance import Drawing, Facts
from eseal.formats.pades.fields import Target, chosen
from eseal.formats.pades.paper import Writer, elements
from eseal.levels import Means, signing_time
from eseal.pdf_seal import Figure, Place
from eseal.spec import Spec
from trust.model import Cert, Document


@dataclass(frozen=True, slots=True)
class Plan:
    """What `put` writes."""

    target: Target
    digest: str
    drawing: Drawing | None = None
    page: int = 1
    box: placing.Rectangle | None = None
    """Of a new field that is seen, in user space."""
    turned: int = 0
    label: str | None = None
    """For those who do not see the field (ISO 32000-1 clause 14.9.3)."""

    def put(self, writer: Writer, data: PdfSignedData) -> None:
        """The field with `data` as its value, its appearance, and the transforms that say what may change afterwards."""
        fresh = None
        if self.box is not None:
            fresh = SigFieldSpec(self.target.name, on_page=self.page - 1 if self.page > 0 else self.page, box=self.box)  # type: ignore[arg-type]
        embedder = PdfCMSEmbedder(fresh).write_cms(self.target.name, writer, existing_fields_only=not self.target.is_new)
        field = next(embedder).get_object()
        if self.drawing is not None:
            widget = next((k for k in elements(field, "/Kids") if isinstance(k, generic.DictionaryObject)), field)
            placing.draw(writer, widget, self.drawing, self.turned)
            if widget is not field:
                writer.update_container(widget)
        if self.target.is_new and self.label is not None:
            field[pdf_name("/TU")] = generic.pdf_string(self.label)
        embedder.send(SigObjSetup(sig_placeholder=data, mdp_setup=self._transforms()))
        if self.target.certify:
            writer.update_root()

    def _transforms(self) -> SigMDPSetup | None:
        target = self.target
        if target.lock is None and not target.certify:
            return None
        allowed = MDPPerm(target.permission) if target.permission is not None else None
        return SigMDPSetup(self.digest, certify=target.certify, field_lock=target.lock, docmdp_perms=allowed)


def planned(reader: PdfFileReader, document: Document, spec: Spec, means: Means, digest: str) -> Plan:
    """Unacceptable for a field, page or rectangle that there is not, Malformed for an image or font that cannot be read."""
    target, look = chosen(reader, spec, means, digest), spec.pdf.look
    if look is None:
        return Plan(target, digest)
    facts = _facts(document if look.figure is Figure.QR else None, spec, means)
    place = spec.pdf.place or Place()
    if target.is_new:
        sheet = placing.sheet_of(reader, place.page)
        shown = placing.placed(sheet, place, appearance.usual_size(look, facts))
        box = sheet.on_paper(shown)
    else:
        sheet, box = placing.sheet_under(target.widget), None
        shown = sheet.as_shown(placing.field_box(target.widget))
    drawing = appearance.drawn(look, facts, shown[2] - shown[0], shown[3] - shown[1])
    return Plan(target, digest, drawing, place.page, box, sheet.turned, drawing.alternative)


def _facts(document: Document | None, spec: Spec, means: Means) -> Facts:
    """With the digest of a document, where one is shown."""
    claims, given = spec.claims, document.digest("sha256") if document is not None else None
    at = signing_time(claims.signing_time, means)
    return Facts(_organisation(means.key.certificate), at, given, claims.location, claims.reason, claims.commitment, claims.role)


def _organisation(certificate: Cert) -> str:
    """Who seals, as the certificate says: the organisation, or else the common name."""
    names: Any = certificate.x509.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return str(names[0].value) if names else certificate.name
