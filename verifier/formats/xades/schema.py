"""The schemas of XML Signature and XAdES, as far as a signature's frame goes: which children each element has, in which order, and which attributes.

What stands where the schema has no place for it is read by nobody, or by some: it is told and not accepted. Content that the schemas leave open
(ds:Object, ds:KeyInfo's text, parameters of algorithms) is left open here. W3C xmldsig-core-schema, EN 319 132-1 annex C (XAdES 1.3.2).
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from trust.codecs.xml.names import DS, XADES_132, split
from trust.model import Defect

_CLAUSE: Final = {DS: "XML Signature clause 4", XADES_132: "EN 319 132-1 annex C"}
_ANY: Final = "~"
"""An element of another namespace than its parent's."""
_ID: Final = frozenset(("Id",))
_NONE: Final[frozenset[str]] = frozenset()

_SAID_BY_SIGNER: Final = (
    "(SigningTime,)?(SigningCertificate,)?(SigningCertificateV2,)?(SignaturePolicyIdentifier,)?"
    "((SignatureProductionPlace|SignatureProductionPlaceV2|SignerRole|SignerRoleV2),)*(~,)*"
)
"""deviates: the role may stand before the place, as Latvian makers write it."""

# Children by name, each followed by a comma; `~` is any element of another namespace.
_MODELS: Final[dict[tuple[str, str], tuple[str, frozenset[str]]]] = {
    (DS, "Signature"): ("SignedInfo,SignatureValue,(KeyInfo,)?(Object,)*", _ID),
    (DS, "SignedInfo"): ("CanonicalizationMethod,SignatureMethod,(Reference,)+", _ID),
    (DS, "Reference"): ("(Transforms,)?DigestMethod,DigestValue,", frozenset(("Id", "URI", "Type"))),
    (DS, "Transforms"): ("(Transform,)+", _NONE),
    (DS, "X509Data"): ("((X509IssuerSerial|X509SKI|X509SubjectName|X509Certificate|X509CRL|~),)+", _NONE),
    (DS, "X509IssuerSerial"): ("X509IssuerName,X509SerialNumber,", _NONE),
    (XADES_132, "QualifyingProperties"): ("(SignedProperties,)?(UnsignedProperties,)?", frozenset(("Id", "Target"))),
    (XADES_132, "SignedProperties"): ("(SignedSignatureProperties,)?(SignedDataObjectProperties,)?", _ID),
    (XADES_132, "SignedSignatureProperties"): (
        _SAID_BY_SIGNER,
        _ID,
    ),
    (XADES_132, "SignedDataObjectProperties"): (
        "(DataObjectFormat,)*(CommitmentTypeIndication,)*(AllDataObjectsTimeStamp,)*(IndividualDataObjectsTimeStamp,)*(~,)*",
        _ID,
    ),
    (XADES_132, "DataObjectFormat"): ("(Description,)?(ObjectIdentifier,)?(MimeType,)?(Encoding,)?", frozenset(("ObjectReference",))),
    (XADES_132, "CommitmentTypeIndication"): ("CommitmentTypeId,((ObjectReference,)+|AllSignedDataObjects,)(CommitmentTypeQualifiers,)?", _NONE),
    (XADES_132, "UnsignedProperties"): ("(UnsignedSignatureProperties,)?(UnsignedDataObjectProperties,)?", _ID),
    (XADES_132, "SigningCertificate"): ("(Cert,)+", _NONE),
    (XADES_132, "SigningCertificateV2"): ("(Cert,)+", _NONE),
    (XADES_132, "CounterSignature"): ("~,", _ID),
}
_PATTERNS: Final = {key: re.compile(model) for key, (model, _) in _MODELS.items()}


def strays(signature: Any) -> Iterator[Defect]:
    """What the schema of its parent does not have where it stands, one Defect for each kind of element."""
    told: set[tuple[str, str]] = set()
    for element in _own(signature):
        key = split(element.tag)
        if key in told or key not in _MODELS:
            continue
        if (why := _odd(element, key)) is not None:
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


def _odd(element: Any, key: tuple[str, str]) -> str | None:
    space, name = key
    children = [split(child.tag) for child in element.iterchildren("*")]
    listed = "".join(f"{child if of == space else _ANY}," for of, child in children)
    if _PATTERNS[key].fullmatch(listed) is None:
        return f"{name} holds elements that its schema does not have there"
    # Attributes of other namespaces (xsi:schemaLocation) mean nothing to who reads the signature.
    if any(not attribute.startswith("{") and attribute not in _MODELS[key][1] for attribute in element.attrib):
        return f"{name} has an attribute that its schema does not have"
    if (element.text or "").strip() or any((child.tail or "").strip() for child in element):
        return f"{name} holds text, where its schema has elements alone"
    return None
