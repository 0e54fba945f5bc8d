"""TS 119 102-2 annex A: what stands in the signature beside its value; clause 4.3.8: who the signer is."""

from collections.abc import Iterator

from cryptography import x509

from trust.errors import KakuinError
from trust.model import Cert, Digest, Signature, StampKind
from verifier.report.etsi.objects import Objects, signature_reference
from verifier.report.etsi.xml import Element, digest_parts, element, reference, time_element, uri
from verifier.report.parties import attempt, readable

STAMP_ELEMENTS = {
    StampKind.CONTENT: "AllDataObjectsTimeStamp",
    StampKind.SIGNATURE: "SignatureTimeStamp",
    StampKind.REFERENCES: "RefsOnlyTimeStamp",
    StampKind.VALIDATION_DATA: "SigAndRefsTimeStamp",
    StampKind.ARCHIVE: "ArchiveTimeStamp",
    StampKind.DOCUMENT: "DocTimeStamp",
}
"""Stamps that are attributes of a signature; those of a container or record stand among the validation objects alone."""
_SIGNED = {"Signed": "true"}
_UNSIGNED = {"Signed": "false"}


def attributes(objects: Objects, signature: Signature) -> Element | None:
    """SignatureAttributes; None where nothing is known of any."""
    found = [*_signed(objects, signature), *_unsigned(objects, signature)]
    return element("SignatureAttributes", *found) if found else None


def _signed(objects: Objects, signature: Signature) -> Iterator[Element]:
    claims = signature.claims
    if claims.time is not None:
        yield element("SigningTime", time_element("Time", claims.time), attributes=_SIGNED)
    yield from _signing_certificate(objects, signature)
    if claims.content_type:
        name = "MimeType" if "/" in claims.content_type else "ContentType"
        value = claims.content_type if name == "MimeType" else uri(claims.content_type)
        yield element("DataObjectFormat", element(name, value), attributes=_SIGNED)
    for commitment in claims.commitments:
        yield element("CommitmentTypeIndication", element("CommitmentTypeIdentifier", uri(commitment)), attributes=_SIGNED)
    if claims.policy:
        yield element("SigPolicyIdentifier", element("SigPolicyId", uri(claims.policy)), attributes=_SIGNED)
    if claims.place:
        yield element("SignatureProductionPlace", element("AddressString", claims.place), attributes=_SIGNED)
    if claims.roles:
        roles = (element("RoleDetails", element("Role", role), element("EndorsementType", "claimed")) for role in claims.roles)
        yield element("SignerRole", *roles, attributes=_SIGNED)
    if claims.reason:
        yield element("Reason", element("ReasonElement", claims.reason), attributes=_SIGNED)
    if claims.contact:
        yield element("ContactInfo", element("ContactInfoElement", claims.contact), attributes=_SIGNED)


def _signing_certificate(objects: Objects, signature: Signature) -> Iterator[Element]:
    """The reference, where it is to the certificate that was found: its digest is then known."""
    said, signer = signature.signer_reference, signature.signer
    if signer is None or not said.digest_matches or not said.digest_algorithm:
        return
    try:
        digest = Digest.of(said.digest_algorithm, signer.der)
    except KakuinError:
        return
    identified = element("CertID", *digest_parts(digest))
    yield element("SigningCertificate", reference("AttributeObject", objects.names[signer.id]), identified, attributes=_SIGNED)


def _unsigned(objects: Objects, signature: Signature) -> Iterator[Element]:
    for found in objects.verdict.stamps:
        stamp = found.stamp
        name = STAMP_ELEMENTS.get(stamp.kind)
        if name and (stamp.of == signature.id or (stamp.of is None and signature.id in stamp.covers)):
            target = reference("AttributeObject", objects.names[stamp.token.id])
            signed = _SIGNED if stamp.kind is StampKind.CONTENT else _UNSIGNED
            yield element(name, target, time_element("TimeStampValue", stamp.token.gen_time), attributes=signed)
    for other in objects.verdict.evidence.signatures:
        if other.countersigns == signature.id:
            yield element("CounterSignature", signature_reference("CounterSignature", other), attributes=_UNSIGNED)


def signer_information(objects: Objects, signer: Cert | None) -> Element | None:
    """Clause 4.3.8; None where the certificate is not there."""
    if signer is None:
        return None
    pseudonym = attempt(lambda: bool(signer.x509.subject.get_attributes_for_oid(x509.NameOID.PSEUDONYM)))
    name = attempt(lambda: readable(signer.x509.subject))
    return element(
        "SignerInformation",
        reference("SignerCertificate", objects.names[signer.id]),
        element("Signer", name) if name else None,
        attributes={} if pseudonym is None else {"Pseudonym": "true" if pseudonym else "false"},
    )
