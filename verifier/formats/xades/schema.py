"""The schemas of XML Signature and XAdES, as far as a signature's frame goes: which children each element has, in which order, and which attributes.

What stands where the schema has no place for it is read by nobody, or by some: it is told and not accepted. Content that the schemas leave open
(ds:Object, ds:KeyInfo's text, parameters of algorithms) is left open here. W3C xmldsig-core-schema, EN 319 132-1 annex C (XAdES 1.3.2).
"""

from collections.abc import Iterator
from typing import Any, Final

from trust.codecs.xml.names import DS, XADES_132, split
from trust.codecs.xml.shape import Shape, Shapes, misfit
from trust.model import Defect

_CLAUSE: Final = {DS: "XML Signature clause 4", XADES_132: "EN 319 132-1 annex C"}

_SAID_BY_SIGNER: Final = (
    "(SigningTime,)?(SigningCertificate,)?(SigningCertificateV2,)?(SignaturePolicyIdentifier,)?"
    "((SignatureProductionPlace|SignatureProductionPlaceV2|SignerRole|SignerRoleV2),)*(~,)*"
)
"""deviates: the role may stand before the place, as Latvian makers write it."""

_SHAPES: Final[Shapes] = {
    (DS, "Signature"): Shape.of("SignedInfo,SignatureValue,(KeyInfo,)?(Object,)*", "Id"),
    (DS, "SignedInfo"): Shape.of("CanonicalizationMethod,SignatureMethod,(Reference,)+", "Id"),
    (DS, "Reference"): Shape.of("(Transforms,)?DigestMethod,DigestValue,", "Id", "URI", "Type"),
    (DS, "Transforms"): Shape.of("(Transform,)+"),
    (DS, "X509Data"): Shape.of("((X509IssuerSerial|X509SKI|X509SubjectName|X509Certificate|X509CRL|~),)+"),
    (DS, "X509IssuerSerial"): Shape.of("X509IssuerName,X509SerialNumber,"),
    (XADES_132, "QualifyingProperties"): Shape.of("(SignedProperties,)?(UnsignedProperties,)?", "Id", "Target"),
    (XADES_132, "SignedProperties"): Shape.of("(SignedSignatureProperties,)?(SignedDataObjectProperties,)?", "Id"),
    (XADES_132, "SignedSignatureProperties"): Shape.of(_SAID_BY_SIGNER, "Id"),
    (XADES_132, "SignedDataObjectProperties"): Shape.of(
        "(DataObjectFormat,)*(CommitmentTypeIndication,)*(AllDataObjectsTimeStamp,)*(IndividualDataObjectsTimeStamp,)*(~,)*", "Id"
    ),
    (XADES_132, "DataObjectFormat"): Shape.of("(Description,)?(ObjectIdentifier,)?(MimeType,)?(Encoding,)?", "ObjectReference"),
    (XADES_132, "CommitmentTypeIndication"): Shape.of("CommitmentTypeId,((ObjectReference,)+|AllSignedDataObjects,)(CommitmentTypeQualifiers,)?"),
    (XADES_132, "UnsignedProperties"): Shape.of("(UnsignedSignatureProperties,)?(UnsignedDataObjectProperties,)?", "Id"),
    (XADES_132, "SigningCertificate"): Shape.of("(Cert,)+"),
    (XADES_132, "SigningCertificateV2"): Shape.of("(Cert,)+"),
    (XADES_132, "CounterSignature"): Shape.of("~,", "Id"),
}


def strays(signature: Any) -> Iterator[Defect]:
    """What the schema of its parent does not have where it stands, one Defect for each kind of element."""
    told: set[tuple[str, str]] = set()
    for element in _own(signature):
        key = split(element.tag)
        if key in told or key not in _SHAPES:
            continue
        if (why := misfit(element, _SHAPES)) is not None:
            told.add(key)
            yield Defect(_CLAUSE[key[0]], why, fatal=False, refused=True)


def _own(signature: Any) -> Iterator[Any]:
    """Its frame and properties: without what is signed in a ds:Object, and without counter-signatures."""
    yield signature
    for child in signature.iterchildren("*"):
        if split(child.tag) != (DS, "Object"):
            yield from child.iter("*")
            continue
        for qualifying in child.iterchildren(f"{{{XADES_132}}}QualifyingProperties"):
            inner = tuple(qualifying.iter(f"{{{DS}}}Signature"))
            hidden = {e for one in inner for e in one.iter("*")} if inner else ()
            yield from (e for e in qualifying.iter("*") if e not in hidden)
