"""The level of a signature, named from its shape: EN 319 132-1 clause 6.3 (baseline), EN 319 132-2 (extended), TS 101 903 (older).

Names are those of EU DSS. No judgement: a level says which properties stand there, not that they are worth anything.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trust.codecs.xml.names import COUNTERSIGNED_TYPE, MANIFEST_TYPE, XADES_ER, ds, split, text_of
from trust.model import Cert, SignerReference, StampKind
from verifier.formats.validation_data import complete, in_time, self_issued
from verifier.formats.xades.material import Material, of_token
from verifier.formats.xades.references import Resolved
from verifier.formats.xades.stamps import Found, Placed
from verifier.formats.xades.structure import SIGNED_PROPERTIES_TYPE, Frame

NOT_ETSI: Final = "XML-NOT-ETSI"


@dataclass(frozen=True, eq=False)
class Shape:
    """What the level depends on."""

    frame: Frame
    references: tuple[Resolved, ...]
    signer: Cert | None
    signer_reference: SignerReference
    key_certs: tuple[Cert, ...]
    stamps: tuple[Placed, ...]
    found: tuple[Found, ...]
    material: Material
    """Carried in properties, without that of tokens."""

    @functools.cached_property
    def by_id(self) -> dict[str, Resolved]:
        """References and manifest entries, as a DataObjectFormat names them."""
        return {r.id: r for top in self.references for r in (top, *top.entries) if r.id is not None}


def level(shape: Shape) -> str:
    if not _bes(shape):
        return NOT_ETSI
    baseline = _baseline_b(shape)
    if not _has_t(shape):
        return "XAdES-BASELINE-B" if baseline else "XAdES-EPES" if _epes(shape) else "XAdES-BES"
    baseline = baseline and all(len(f.tokens) + len(f.defects) == 1 for f in shape.found if f.name == "SignatureTimeStamp")
    valued = _has_values(shape)
    archived = any(p.stamp.kind is StampKind.ARCHIVE for p in shape.stamps)
    recorded = _has_record(shape)
    if baseline and valued and _only_values(shape):
        return "XAdES-ERS" if recorded else "XAdES-BASELINE-LTA" if archived else "XAdES-BASELINE-LT"
    if _has_refs(shape):
        stamped = _count(shape, "RefsOnlyTimeStamp", "RefsOnlyTimeStampV2", "SigAndRefsTimeStamp", "SigAndRefsTimeStampV2") > 0
        if valued and (recorded or archived or stamped):
            return "XAdES-ERS" if recorded else "XAdES-A" if archived else "XAdES-XL"
        return "XAdES-X" if stamped else "XAdES-C"
    if valued:
        return "XAdES-ERS" if recorded else "XAdES-A" if archived else "XAdES-LT"
    return "XAdES-BASELINE-T" if baseline else "XAdES-T"


def _count(shape: Shape, *names: str) -> int:
    return len(shape.frame.unsigned_property(*names))


def _bes(shape: Shape) -> bool:
    """EN 319 132-2 clause 6.2: at most one of each, and the signing certificate named, or signed in ds:KeyInfo."""
    frame = shape.frame
    once = (("SigningTime",), ("SignatureProductionPlace", "SignatureProductionPlaceV2"), ("SignerRole", "SignerRoleV2"))
    if any(len(frame.signed_property(*names)) > 1 for names in once):
        return False
    if not all(_format_fits(shape, f) for f in frame.data_property("DataObjectFormat")):
        return False
    named = len(frame.signed_property("SigningCertificate", "SigningCertificateV2"))
    return named == 1 or (named == 0 and _key_info_signed(shape))


def _key_info_signed(shape: Shape) -> bool:
    covered = any(r.sound and r.reaches(shape.frame.key_info) for r in shape.references)
    return covered and shape.signer is not None and shape.signer in shape.key_certs


def _epes(shape: Shape) -> bool:
    stores = _count(shape, "SignaturePolicyStore")
    policies = shape.frame.signed_property("SignaturePolicyIdentifier")
    return len(policies) == 1 and (stores == 0 or (stores == 1 and any(split(e.tag)[1] == "SigPolicyHash" for e in policies[0].iter())))


def _named(shape: Shape, data_object_format: Any) -> Resolved | None:
    """The reference that a DataObjectFormat speaks of (EN 319 132-1 clause 5.2.4)."""
    target = data_object_format.get("ObjectReference") or ""
    return shape.by_id.get(target[1:]) if target.startswith("#") else None


def _format_fits(shape: Shape, element: Any) -> bool:
    """Clause 5.2.4: it describes something, names a reference, and agrees with what the ds:Object itself says."""
    counts = {name: sum(split(c.tag)[1] == name for c in element.iterchildren("*")) for name in ("Description", "ObjectIdentifier", "MimeType")}
    named = _named(shape, element)
    if 1 not in counts.values() or named is None:
        return False
    holder = named.target if named.target is not None and named.target in shape.frame.objects else None
    if holder is None:
        return True
    for child, attribute in (("MimeType", "MimeType"), ("Encoding", "Encoding")):
        said = next((text_of(c) for c in element.iterchildren("*") if split(c.tag)[1] == child), None)
        if said is not None and holder.get(attribute) and holder.get(attribute) != said:
            return False
    return True


def _baseline_b(shape: Shape) -> bool:
    """EN 319 132-1 clause 6.3, the rows for B."""
    frame = shape.frame
    if frame.key_info is None or frame.method is None or len(frame.references) < 2:
        return False
    if any(len(list(r.iterchildren(ds("Transforms")))) > 1 for r in frame.references):
        return False
    if len(frame.signed_property("SigningTime")) != 1 or len(frame.signed_property("SigningCertificate", "SigningCertificateV2")) != 1:
        return False
    if len(frame.signed_property("SignaturePolicyIdentifier")) > 1 or _count(shape, "SignaturePolicyStore") > 1:
        return False
    formats = frame.data_property("DataObjectFormat")
    if not all(_described(f) for f in formats):
        return False
    if shape.signer is None or shape.signer not in shape.key_certs:
        return False
    named = frame.signed_property("SigningCertificateV2")
    if any(c.get("URI") is not None for s in named for c in s.iterchildren("*") if split(c.tag)[1] == "Cert"):
        return False
    described = {id(n.element) for f in formats if (n := _named(shape, f)) is not None}
    # deviates: of several references without an Id only the last is asked, as EU DSS does, because no DataObjectFormat could name them.
    asked = {r.id: r for r in shape.references}
    return all(id(r.element) in described or _own_part(shape, r) for r in asked.values())


def _described(element: Any) -> bool:
    counts = [sum(split(c.tag)[1] == name for c in element.iterchildren("*")) for name in ("MimeType", "Description", "ObjectIdentifier", "Encoding")]
    return counts[0] == 1 and max(counts[1:]) <= 1


def _own_part(shape: Shape, r: Resolved) -> bool:
    """Requirement (k): references that need no DataObjectFormat, because they are to the signature's own parts."""
    frame = shape.frame
    uri = r.reference.uri
    if uri is not None and not uri.startswith("#"):
        return False
    if r.type == SIGNED_PROPERTIES_TYPE[frame.namespace] or r.type == MANIFEST_TYPE:
        return True
    if r.type == COUNTERSIGNED_TYPE or _countersigned(frame, r):
        return frame.master is not None
    if r.target is None:
        return False
    return r.target is frame.key_info or (
        split(r.target.tag) in ((_DS, "SignatureProperties"), (_DS, "SignatureProperty")) and frame.element in r.target.iterancestors()
    )


_DS: Final = ds("")[1:-1]


def _countersigned(frame: Frame, r: Resolved) -> bool:
    return frame.master is not None and r.target is not None and r.target is frame.master.signature_value


def _has_t(shape: Shape) -> bool:
    """A signature time-stamp, and none made after the signer's certificate expired."""
    moments = [p.stamp.token.gen_time for p in shape.stamps if p.stamp.kind is StampKind.SIGNATURE]
    if any(not f.tokens and not f.defects for f in shape.found if f.name == "SignatureTimeStamp"):
        return False
    return bool(moments) and in_time(shape.signer, moments)


def _early(stamps: Iterable[Placed]) -> Sequence[Placed]:
    """All stamps but the last archive stamp, which nothing can hold status for yet."""
    row = list(stamps)
    last = max((p for p in row if p.stamp.kind is StampKind.ARCHIVE), key=lambda p: p.stamp.token.gen_time, default=None)
    return [p for p in row if p is not last]


def _has_values(shape: Shape) -> bool:
    """Status of every certificate on the chains of the signer and of every stamp but the last archive stamp."""
    early = _early(shape.stamps)
    carried = Material.united((shape.material, *(of_token(p.stamp.token) for p in early)))
    full = Material.united((carried, *(of_token(p.stamp.token) for p in shape.stamps)))
    if carried.certs and all(self_issued(c) for c in carried.certs):
        return _count(shape, "CertificateValues", "AttrAuthoritiesCertValues", "TimeStampValidationData", "AnyValidationData") > 0
    if not (full.crls or full.ocsps):
        return False
    leaves = [c for c in (shape.signer, *(p.stamp.token.signature.signer for p in early)) if c is not None]
    return complete(leaves, full.certs, full.crls, full.ocsps)


def _only_values(shape: Shape) -> bool:
    """Clause 6.3, the rows for LT: values at most once each, and no references nor stamps over them."""
    if any(_count(shape, n) > 1 for n in ("CertificateValues", "AttrAuthoritiesCertValues", "RevocationValues", "AttributeRevocationValues")):
        return False
    references = ("CompleteCertificateRefs", "CompleteCertificateRefsV2", "CompleteRevocationRefs")
    return _count(shape, *references, "RefsOnlyTimeStamp", "RefsOnlyTimeStampV2", "SigAndRefsTimeStamp", "SigAndRefsTimeStampV2") == 0


def _has_refs(shape: Shape) -> bool:
    certs, revocations = _count(shape, "CompleteCertificateRefs", "CompleteCertificateRefsV2"), _count(shape, "CompleteRevocationRefs")
    return certs == 1 and (revocations == 1 or (revocations == 0 and all(self_issued(c) for c in (*shape.key_certs, *shape.material.certs))))


def _has_record(shape: Shape) -> bool:
    recorded = any(split(p.tag) == (XADES_ER, "SealingEvidenceRecords") for p in shape.frame.unsigned)
    return recorded and len(shape.frame.signed_property("SigningTime")) == 1
