"""The schemas of XML Signature and XAdES: which children each element of a signature has, in which order, which attributes, and what text.

What stands where the schema has no place for it is read by nobody, or by some: it is told and not accepted. Content that the schemas leave open
(ds:Object, parameters of algorithms, qualifiers of policies) is left open here. W3C xmldsig-core-schema; EN 319 132-1 annex C (XAdES 1.3.2 and
1.4.1); TS 101 903 V1.2.2 and V1.1.1 for their namespaces.
"""

from collections.abc import Iterator
from typing import Any, Final

from trust.codecs.xml.names import DS, XADES_111, XADES_122, XADES_132, XADES_141, split
from trust.codecs.xml.shape import Shape, Shapes, is_base64, is_moment, is_number, is_text, misfit, unlike
from trust.model import Defect

_CLAUSE: Final = {
    DS: "XML Signature clause 4",
    XADES_132: "EN 319 132-1 annex C",
    XADES_141: "EN 319 132-1 annex C",
    XADES_122: "TS 101 903 V1.2.2 annex A",
    XADES_111: "TS 101 903 V1.1.1 annex A",
}


def _holds(model: str | None, *attributes: str, mixed: bool = False) -> Shape:
    return Shape.of(model, *attributes, mixed=mixed)


_TEXT: Final = Shape.of("", text=is_text)
_WORD: Final = Shape.of("", text=bool)
"""Text that says something."""
_BASE64: Final = Shape.of("", text=is_base64)
_MOMENT: Final = Shape.of("", text=is_moment)
_NUMBER: Final = Shape.of("", text=is_number)
_OPEN: Final = Shape.of("", "Id", "Encoding", text=is_text)
"""deviates: certificates and status data that are no base64 are skipped, as EU DSS does, because nothing rests on them then."""

_PARAMETERS: Final = "(e:InclusiveNamespaces,)?"
_SIGNATURE: Final = {
    "Signature": _holds("SignedInfo,SignatureValue,(KeyInfo,)?(Object,)*", "Id"),
    "SignatureValue": Shape.of("", "Id", text=is_base64),
    "SignedInfo": _holds("CanonicalizationMethod,SignatureMethod,(Reference,)+", "Id"),
    # deviates: the parameters that some algorithm has are the only ones: what a reader does not know, it would leave out.
    "CanonicalizationMethod": _holds(_PARAMETERS, "Algorithm!", mixed=True),
    "SignatureMethod": _holds("(~,)*", "Algorithm!", mixed=True),
    "Reference": _holds("(Transforms,)?DigestMethod,DigestValue,", "Id", "URI", "Type"),
    "Transforms": _holds("(Transform,)+"),
    "Transform": _holds(None, "Algorithm!"),
    "DigestMethod": _holds("", "Algorithm!", mixed=True),
    "DigestValue": _BASE64,
    "KeyInfo": _holds("((KeyName|KeyValue|RetrievalMethod|X509Data|PGPData|SPKIData|MgmtData|~),)+", "Id", mixed=True),
    "KeyValue": _holds("(DSAKeyValue|RSAKeyValue|~),", mixed=True),
    "RSAKeyValue": _holds("Modulus,Exponent,"),
    "Modulus": _BASE64,
    "Exponent": _BASE64,
    "RetrievalMethod": _holds("(Transforms,)?", "URI", "Type"),
    "X509Data": _holds("((X509IssuerSerial|X509SKI|X509SubjectName|X509Certificate|X509CRL|~),)+"),
    "X509IssuerSerial": _holds("X509IssuerName,X509SerialNumber,"),
    "X509IssuerName": _TEXT,
    "X509SerialNumber": _NUMBER,
    "X509SubjectName": _TEXT,
    "X509Certificate": _BASE64,
    "X509CRL": _BASE64,
    "X509SKI": _BASE64,
    "Manifest": _holds("(Reference,)+", "Id"),
    "SignatureProperties": _holds("(SignatureProperty,)+", "Id"),
    "SignatureProperty": _holds(None, "Id", "Target!"),
}

_STAMP: Final = "(Include,)*(ds:CanonicalizationMethod,)?((EncapsulatedTimeStamp|XMLTimeStamp),)+"
_STAMPS: Final = (
    "AllDataObjectsTimeStamp",
    "IndividualDataObjectsTimeStamp",
    "SignatureTimeStamp",
    "SigAndRefsTimeStamp",
    "RefsOnlyTimeStamp",
    "ArchiveTimeStamp",
)
_DIGEST: Final = "ds:DigestMethod,ds:DigestValue,"
_OBJECT_ID: Final = _holds("Identifier,(Description,)?(DocumentationReferences,)?")
_REVOCATION_REFS: Final = _holds("(CRLRefs,)?(OCSPRefs,)?(OtherRefs,)?", "Id")
_REVOCATION_VALUES: Final = _holds("(CRLValues,)?(OCSPValues,)?(OtherValues,)?", "Id")
_CERTIFICATE_VALUES: Final = _holds("((EncapsulatedX509Certificate|OtherCertificate),)*", "Id")

_PROPERTIES: Final = {
    "QualifyingProperties": _holds("(SignedProperties,)?(UnsignedProperties,)?", "Id", "Target!"),
    "SignedProperties": _holds("(SignedSignatureProperties,)?(SignedDataObjectProperties,)?", "Id"),
    # deviates: the role may stand before the place, as Latvian makers write it.
    "SignedSignatureProperties": _holds(
        "(SigningTime,)?(SigningCertificate,)?(SigningCertificateV2,)?(SignaturePolicyIdentifier,)?"
        "((SignatureProductionPlace|SignatureProductionPlaceV2|SignerRole|SignerRoleV2),)*(~,)*",
        "Id",
    ),
    "SignedDataObjectProperties": _holds(
        "(DataObjectFormat,)*(CommitmentTypeIndication,)*(AllDataObjectsTimeStamp,)*(IndividualDataObjectsTimeStamp,)*(~,)*", "Id"
    ),
    "UnsignedProperties": _holds("(UnsignedSignatureProperties,)?(UnsignedDataObjectProperties,)?", "Id"),
    # deviates: it may be empty, as makers leave it for those who add to it.
    "UnsignedSignatureProperties": _holds(
        "((CounterSignature|SignatureTimeStamp|CompleteCertificateRefs|CompleteRevocationRefs|AttributeCertificateRefs|AttributeRevocationRefs|"
        "SigAndRefsTimeStamp|RefsOnlyTimeStamp|CertificateValues|RevocationValues|AttrAuthoritiesCertValues|AttributeRevocationValues|"
        "ArchiveTimeStamp|~),)*",
        "Id",
    ),
    "UnsignedDataObjectProperties": _holds("(UnsignedDataObjectProperty,)+", "Id"),
    "SigningTime": _MOMENT,
    "SigningCertificate": _holds("(Cert,)+"),
    "SigningCertificateV2": _holds("(Cert,)+"),
    "CertRefs": _holds("(Cert,)+"),
    "Cert": _holds("CertDigest,IssuerSerial,", "URI"),
    "SigningCertificateV2/Cert": _holds("CertDigest,(IssuerSerialV2,)?", "URI"),
    "CertDigest": _holds(_DIGEST),
    "IssuerSerial": _holds("ds:X509IssuerName,ds:X509SerialNumber,"),
    "IssuerSerialV2": _BASE64,
    "SignaturePolicyIdentifier": _holds("(SignaturePolicyId|SignaturePolicyImplied),"),
    "SignaturePolicyId": _holds("SigPolicyId,(ds:Transforms,)?SigPolicyHash,(SigPolicyQualifiers,)?"),
    "SigPolicyId": _OBJECT_ID,
    "SigPolicyHash": _holds(_DIGEST),
    "SigPolicyQualifiers": _holds("(SigPolicyQualifier,)+"),
    "SPURI": _TEXT,
    "SPUserNotice": _holds("(NoticeRef,)?(ExplicitText,)?"),
    "NoticeRef": _holds("Organization,NoticeNumbers,"),
    "NoticeNumbers": _holds("(int,)*"),
    "int": _NUMBER,
    "CounterSignature": _holds("ds:Signature,", "Id"),
    # deviates: a format without its reference is let through where it says nothing (see `attributions`).
    "DataObjectFormat": _holds("(Description,)?(ObjectIdentifier,)?(MimeType,)?(Encoding,)?", "ObjectReference"),
    "ObjectIdentifier": _OBJECT_ID,
    "Identifier": Shape.of("", "Qualifier", text=bool),
    "Description": _TEXT,
    "MimeType": _TEXT,
    "Encoding": _TEXT,
    "DocumentationReferences": _holds("(DocumentationReference,)+"),
    "DocumentationReference": _TEXT,
    "CommitmentTypeIndication": _holds("CommitmentTypeId,((ObjectReference,)+|AllSignedDataObjects,)(CommitmentTypeQualifiers,)?"),
    "CommitmentTypeId": _OBJECT_ID,
    "CommitmentTypeQualifiers": _holds("(CommitmentTypeQualifier,)*"),
    "ObjectReference": _WORD,
    # deviates: parts of a place in any order, as makers write them.
    "SignatureProductionPlace": _holds("((City|StateOrProvince|PostalCode|CountryName),)*"),
    "SignatureProductionPlaceV2": _holds("((City|StreetAddress|StateOrProvince|PostalCode|CountryName),)*"),
    "City": _TEXT,
    "StreetAddress": _TEXT,
    "StateOrProvince": _TEXT,
    "PostalCode": _TEXT,
    "CountryName": _TEXT,
    "SignerRole": _holds("(ClaimedRoles,)?(CertifiedRoles,)?"),
    "SignerRoleV2": _holds("(ClaimedRoles,)?(CertifiedRolesV2,)?(SignedAssertions,)?"),
    "ClaimedRoles": _holds("(ClaimedRole,)+"),
    "CertifiedRoles": _holds("(CertifiedRole,)+"),
    "CertifiedRolesV2": _holds("(CertifiedRole,)+"),
    "CertifiedRolesV2/CertifiedRole": _holds("(X509AttributeCertificate|OtherAttributeCertificate),"),
    "SignedAssertions": _holds("(SignedAssertion,)+"),
    **dict.fromkeys(_STAMPS, _holds(_STAMP, "Id")),
    "Include": _holds("", "URI!", "referencedData"),
    "EncapsulatedTimeStamp": Shape.of("", "Id", "Encoding", text=is_base64),
    "CompleteCertificateRefs": _holds("CertRefs,", "Id"),
    "AttributeCertificateRefs": _holds("CertRefs,", "Id"),
    "CompleteRevocationRefs": _REVOCATION_REFS,
    "AttributeRevocationRefs": _REVOCATION_REFS,
    "CRLRefs": _holds("(CRLRef,)+"),
    "CRLRef": _holds("DigestAlgAndValue,(CRLIdentifier,)?"),
    "DigestAlgAndValue": _holds(_DIGEST),
    "CRLIdentifier": _holds("Issuer,IssueTime,(Number,)?", "URI"),
    "Issuer": _TEXT,
    "IssueTime": _MOMENT,
    "Number": _NUMBER,
    "OCSPRefs": _holds("(OCSPRef,)+"),
    "OCSPRef": _holds("OCSPIdentifier,(DigestAlgAndValue,)?"),
    "OCSPIdentifier": _holds("ResponderID,ProducedAt,", "URI"),
    "ResponderID": _holds("(ByName|ByKey),"),
    "ByName": _TEXT,
    "ByKey": _BASE64,
    "ProducedAt": _MOMENT,
    "OtherRefs": _holds("(OtherRef,)+"),
    "CertificateValues": _CERTIFICATE_VALUES,
    "AttrAuthoritiesCertValues": _CERTIFICATE_VALUES,
    "RevocationValues": _REVOCATION_VALUES,
    "AttributeRevocationValues": _REVOCATION_VALUES,
    # deviates: empty lists of values, as Estonian makers write them.
    "CRLValues": _holds("(EncapsulatedCRLValue,)*"),
    "OCSPValues": _holds("(EncapsulatedOCSPValue,)*"),
    "OtherValues": _holds("(OtherValue,)+"),
    **dict.fromkeys(("EncapsulatedX509Certificate", "EncapsulatedCRLValue", "EncapsulatedOCSPValue"), _OPEN),
}

_LATER: Final = {
    **dict.fromkeys(("TimeStampValidationData", "AnyValidationData"), _holds("(x:CertificateValues,)?(x:RevocationValues,)?", "Id", "URI")),
    # deviates: what the document is written in may be left out, as widespread software lets its users do.
    "SignaturePolicyStore": _holds("(SPDocSpecification,)?(SignaturePolicyDocument|SigPolDocLocalURI),", "Id"),
    "SPDocSpecification": _holds("x:Identifier,(x:Description,)?(x:DocumentationReferences,)?"),
    "SignaturePolicyDocument": _BASE64,
    "SigPolDocLocalURI": _TEXT,
    **dict.fromkeys(
        ("ArchiveTimeStamp", "SigAndRefsTimeStampV2", "RefsOnlyTimeStampV2"),
        _holds("(x:Include,)*(ds:CanonicalizationMethod,)?((x:EncapsulatedTimeStamp|x:XMLTimeStamp),)+", "Id"),
    ),
    **dict.fromkeys(("CompleteCertificateRefsV2", "AttributeCertificateRefsV2"), _holds("CertRefs,", "Id")),
    "CertRefs": _holds("(x:Cert,)+"),
    "CertRefs/Cert": _holds("CertDigest,(IssuerSerialV2,)?", "URI"),
    "RenewedDigests": _holds("ds:DigestMethod,(RecomputedDigestValue,)+", "Id"),
    "RenewedDigestsV2": _holds("ds:CanonicalizationMethod,ds:DigestMethod,(RecomputedDigestValue,)+", "Id"),
    "RecomputedDigestValue": _holds(None, "Order"),
    "NewSDODigestValue": _BASE64,
    "OriginalRefDigest": _BASE64,
}
"""Of XAdES 1.4.1. A child in the namespace of 1.3.2 is looked up under its parent here, where it has another type than there."""

_OLDER: Final = {
    **_PROPERTIES,
    "SignedSignatureProperties": _holds(
        "(SigningTime,)?(SigningCertificate,)?(SignaturePolicyIdentifier,)?((SignatureProductionPlace|SignerRole),)*", "Id"
    ),
    "SignedDataObjectProperties": _holds(
        "(DataObjectFormat,)*(CommitmentTypeIndication,)*(AllDataObjectsTimeStamp,)*(IndividualDataObjectsTimeStamp,)*", "Id"
    ),
    "CommitmentTypeIndication": _holds("CommitmentTypeId,((ObjectReference,)*|AllSignedDataObjects,)(CommitmentTypeQualifiers,)?"),
    "ResponderID": _TEXT,
}
_OLDEST: Final = {
    name: _OLDER[name]
    for name in ("SignedProperties", "SignedSignatureProperties", "SignedDataObjectProperties", "SigningCertificate", "SigningTime")
}
"""Of V1.1.1 the frame of what is signed: DigiDoc, which alone uses it, has habits of its own in the rest."""

_SHAPES: Final[Shapes] = {
    (space, name): shape
    for space, table in (
        (DS, _SIGNATURE),
        (XADES_132, _PROPERTIES),
        (XADES_141, _LATER),
        (XADES_122, _OLDER),
        (XADES_111, _OLDEST),
    )
    for name, shape in table.items()
}


def strays(signature: Any, namespace: str) -> Iterator[Defect]:
    """What the schema of its parent does not have where it stands, one Defect for each kind of element. `namespace` is that of its properties."""
    told: set[tuple[str, str]] = set()
    for element in _own(signature):
        key = split(element.tag)
        # DigiDoc 1.0 had an order of its own.
        if key in told or (namespace == XADES_111 and key[0] == DS):
            continue
        if (why := _misfit(element)) is not None:
            told.add(key)
            yield Defect(_CLAUSE[key[0]], why, fatal=False, refused=True)


def _misfit(element: Any) -> str | None:
    space, name = split(element.tag)
    if space == XADES_141 and name not in _LATER:
        return f"{name} is no element of its schema"
    if split(element.tag)[1] == "SignatureTimeStamp" and len(element) == 0 and (element.text or "").startswith("MI") and is_base64(element.text):
        return None  # deviates: X-Road's message logs write the token without its element; it is not read, and proves nothing
    parent = element.getparent()
    if parent is not None:
        space, name = split(parent.tag)
        if (shape := _SHAPES.get((space, f"{name}/{split(element.tag)[1]}"))) is not None:
            return unlike(element, shape)
    return misfit(element, _SHAPES)


_OWN_IN_OBJECT: Final = frozenset((f"{{{DS}}}Manifest", f"{{{DS}}}SignatureProperties"))


def _own(signature: Any) -> Iterator[Any]:
    """Its frame and properties: without what is signed in a ds:Object, and without counter-signatures."""
    yield signature
    for child in signature.iterchildren("*"):
        if split(child.tag) != (DS, "Object"):
            yield from child.iter("*")
            continue
        for held in child.iterchildren("*"):
            if held.tag in _OWN_IN_OBJECT:
                yield held
                yield from (e for e in held.iter(f"{{{DS}}}*") if e is not held)
            elif split(held.tag)[1] == "QualifyingProperties" and split(held.tag)[0] in _CLAUSE:
                yield from _without_signatures(held)


def _without_signatures(qualifying: Any) -> Iterator[Any]:
    """deviates: a signed assertion or an XML time-stamp inside is its maker's, like a counter-signature."""
    inner = tuple(qualifying.iter(f"{{{DS}}}Signature"))
    hidden = {e for one in inner for e in one.iter("*")} if inner else ()
    yield from (e for e in qualifying.iter("*") if e not in hidden)
