"""Qualifying properties of EN 319 132-1: what the seal says (clause 5.2), and what later proves it (clauses 5.3 to 5.5)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from eseal.claims import IMPLIED, Claims, Commitment, SignaturePolicy
from eseal.formats.cms import ocsp_response
from eseal.formats.xades.markup import algorithm, b64, digested, element, escaped, values
from trust.codecs.xml.names import XADES_141
from trust.model import Cert, Digest, Token
from trust.ports import Status

_PROOF_OF = "http://uri.etsi.org/01903/v1.2.2#ProofOf"
# Clause 5.2.3.
_COMMITMENTS = {
    Commitment.ORIGIN: _PROOF_OF + "Origin",
    Commitment.RECEIPT: _PROOF_OF + "Receipt",
    Commitment.DELIVERY: _PROOF_OF + "Delivery",
    Commitment.SENDER: _PROOF_OF + "Sender",
    Commitment.APPROVAL: _PROOF_OF + "Approval",
    Commitment.CREATION: _PROOF_OF + "Creation",
}


def signed_properties(
    name: str, certificate: Cert, digest: str, at: datetime, claims: Claims, formats: Sequence[tuple[str, str]], stamp: str = ""
) -> str:
    """xades:SignedProperties with the Id `name`. `formats` is the Id of each reference and the media type of what it is of; `stamp` is the
    time-stamp over all of that, made before."""
    said = [
        element("xades:SigningTime", f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"),
        _signing_certificate(certificate, digest),
    ]
    if claims.policy is not None:
        said.append(_policy(claims.policy))
    if claims.location is not None:
        # Clause 5.2.5: the place as it was said, in the one part that names no kind of place more precisely than it did.
        said.append(element("xades:SignatureProductionPlaceV2", element("xades:City", escaped(claims.location))))
    if claims.role is not None:
        said.append(element("xades:SignerRoleV2", element("xades:ClaimedRoles", element("xades:ClaimedRole", escaped(claims.role)))))
    described = element("xades:Description", escaped(claims.description)) if claims.description is not None else ""
    data = [element("xades:DataObjectFormat", described, element("xades:MimeType", escaped(mime)), ObjectReference=f"#{to}") for to, mime in formats]
    if claims.commitment is not None:
        data.append(_commitment(claims.commitment))
    data.append(stamp)
    return element(
        "xades:SignedProperties",
        element("xades:SignedSignatureProperties", *said),
        _unless_empty("xades:SignedDataObjectProperties", "".join(data)),
        Id=name,
    )


def _signing_certificate(certificate: Cert, digest: str) -> str:
    """Clause 5.2.2: the certificate by its digest alone; IssuerSerialV2 adds nothing to it."""
    named = element("xades:CertDigest", digested(Digest.of(digest, certificate.der)))
    return element("xades:SigningCertificateV2", element("xades:Cert", named))


def _policy(policy: SignaturePolicy) -> str:
    """Clause 5.2.9: by URI, or object identifier as one (RFC 3061), with the digest of its text."""
    if policy.id == IMPLIED or policy.digest is None:
        return element("xades:SignaturePolicyIdentifier", element("xades:SignaturePolicyImplied"))
    identifier = element("xades:Identifier", escaped(policy.as_uri), Qualifier="OIDAsURN" if policy.is_oid else None)
    parts = [element("xades:SigPolicyId", identifier), element("xades:SigPolicyHash", digested(policy.digest))]
    if policy.uri is not None:
        where = element("xades:SigPolicyQualifier", element("xades:SPURI", escaped(policy.uri)))
        parts.append(element("xades:SigPolicyQualifiers", where))
    return element("xades:SignaturePolicyIdentifier", element("xades:SignaturePolicyId", *parts))


def _commitment(commitment: Commitment) -> str:
    identifier = element("xades:CommitmentTypeId", element("xades:Identifier", _COMMITMENTS[commitment]))
    return element("xades:CommitmentTypeIndication", identifier, element("xades:AllSignedDataObjects"))


def content_stamp(name: str, c14n: str, token: Token) -> str:
    """Clause 5.2.8.1: over the data of every reference but the one to the signed properties themselves."""
    return element("xades:AllDataObjectsTimeStamp", *_stamp(name, c14n, token), Id=name)


def signature_stamp(name: str, c14n: str, token: Token) -> str:
    """Clause 5.3: over ds:SignatureValue."""
    return element("xades:SignatureTimeStamp", *_stamp(name, c14n, token), Id=name)


def archive_stamp(name: str, c14n: str, token: Token) -> str:
    """Clause 5.5.2."""
    return _later("ArchiveTimeStamp", *_stamp(name, c14n, token), Id=name)


def _stamp(name: str, c14n: str, token: Token) -> tuple[str, str]:
    return algorithm("ds:CanonicalizationMethod", c14n), element("xades:EncapsulatedTimeStamp", b64(token.der), Id=f"{name}-token")


def _later(name: str, *inside: str, **attributes: str | None) -> str:
    """A property of version 1.4.1, which declares its own prefix: at B-B and B-T nobody needs it."""
    made, start = element(f"xades141:{name}", *inside, **attributes), f"<xades141:{name}"
    return made.replace(start, f'{start} xmlns:xades141="{XADES_141}"', 1)


def validation_values(found: Status) -> tuple[str, ...]:
    """Clauses 5.4.1 and 5.4.3: CertificateValues and RevocationValues, each where there is something for it."""
    certificates = values("xades:EncapsulatedX509Certificate", (c.der for c in found.certs))
    lists = values("xades:EncapsulatedCRLValue", (c.der for c in found.crls))
    answers = values("xades:EncapsulatedOCSPValue", map(ocsp_response, found.ocsps))
    revocation = _unless_empty("xades:CRLValues", lists) + _unless_empty("xades:OCSPValues", answers)
    return tuple(
        made for made in (_unless_empty("xades:CertificateValues", certificates), _unless_empty("xades:RevocationValues", revocation)) if made
    )


def stamp_validation(stamp: str | None, found: Status) -> str:
    """Clause 5.5.1: what the time-stamp property with the Id `stamp` needs; None where it has no Id."""
    return _later("TimeStampValidationData", *validation_values(found), URI=None if stamp is None else f"#{stamp}")


def _unless_empty(name: str, inside: str) -> str:
    return element(name, inside) if inside else ""
