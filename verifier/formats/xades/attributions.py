"""What properties say of single data objects and of what they cover (EN 319 132-1 clauses 5.1.4, 5.2.3, 5.2.4): held to what is signed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from trust.codecs.xml import id_of, method_of
from trust.codecs.xml.names import BASE64, COUNTERSIGNED_TYPE, ENVELOPED, EXC, RSA_PSS, ds, split, text_of
from trust.model import Defect
from verifier.formats.xades.references import Resolved
from verifier.formats.xades.structure import Frame

_FORMAT: Final = "EN 319 132-1 clause 5.2.4"
_COMMITMENT: Final = "EN 319 132-1 clause 5.2.3"
_STAMP: Final = "EN 319 132-1 clause 5.1.4.4.2"


def media_types(frame: Frame) -> Mapping[str, str]:
    """The MimeType that the signer states of each reference, by its Id."""
    found: dict[str, str] = {}
    for element in frame.data_property("DataObjectFormat"):
        text = next((text_of(c).strip() for c in element.iterchildren("*") if split(c.tag)[1] == "MimeType"), "")
        if text:
            found.setdefault((element.get("ObjectReference") or "").removeprefix("#"), text)
    return found


def misattributed(frame: Frame, references: Sequence[Resolved]) -> Iterator[Defect]:
    """Formats and commitments that are of nothing that was signed, or twice of the same; one Defect of a kind."""
    every = [x for r in references for x in (r, *r.entries)]
    # deviates: X-Road names the reference by the file that it is to.
    known = {f"#{r.id}" for r in every if r.id is not None} | {uri for r in every if (uri := r.reference.uri) and not uri.startswith("#")}
    formats = [
        element.get("ObjectReference") for element in frame.data_property("DataObjectFormat") if len(element) or element.get("ObjectReference")
    ]
    if any(said not in known for said in formats):
        yield _refused(_FORMAT, "a format is stated of a data object that is not signed")
    if len(set(formats)) < len(formats):
        yield _refused(_FORMAT, "two formats are stated of one data object")
    commitments = frame.data_property("CommitmentTypeIndication")
    named = [text_of(c).strip() for one in commitments for c in one.iterchildren("*") if split(c.tag)[1] == "ObjectReference"]
    if any(said not in known for said in named):
        yield _refused(_COMMITMENT, "a commitment is made to a data object that is not signed")


_ENCODINGS: Final = frozenset((None, "", *(f"http://uri.etsi.org/01903/v1.2.2#{name}" for name in ("DER", "BER", "CER"))))


def mistyped(references: Sequence[Resolved]) -> Iterator[Defect]:
    """EN 319 132-1 clause 5.2.7.3: what is called the signature value of another signature is one."""
    if any(r.type == COUNTERSIGNED_TYPE and r.target is not None and r.target.tag != ds("SignatureValue") for r in references):
        yield _refused("EN 319 132-1 clause 5.2.7.3", "a reference says that it is to a signature value, and is to something else")


def misapplied(frame: Frame) -> Iterator[Defect]:
    """Parameters, names and places that contradict where they stand."""
    if frame.signed_info is not None:
        for method in frame.signed_info.iterchildren(ds("SignatureMethod")):
            if len(method) and method.get("Algorithm") != RSA_PSS:
                # HMACOutputLength too (clause 6.3.1): a parameter that somebody reads and somebody does not.
                yield _refused("XML Signature clause 4.4.2", "the signature method has parameters that are none of its own")
    for holder in frame.objects:
        own = [e for e in holder.iter(ds("SignatureProperty")) if id_of(frame.element) is not None]
        if any(e.get("Target") != f"#{id_of(frame.element)}" for e in own):
            yield _refused("XML Signature clause 5.2", "a signature property is of another signature")
    if any(_has_parameters(t) for r in frame.references for t in r.iter(ds("Transform"))):
        yield _refused("XML Signature clause 4.4.3.4", "a transform has parameters that are none of its own")
    if frame.qualifying is not None and any(e.get("Encoding") not in _ENCODINGS for e in frame.qualifying.iter("{*}*")):
        yield _refused("EN 319 132-1 clause 5.1.3", "a property holds another encoding than is read")
    if _included_elsewhere(frame):
        yield _refused(_STAMP, "a time-stamp says that it covers something else than it does")


def _has_parameters(transform: Any) -> bool:
    """Of those that have none but prefixes; what others have is theirs to judge."""
    algorithm = transform.get("Algorithm", "")
    alone = algorithm in (ENVELOPED, BASE64) or method_of(transform) is not None
    return alone and any(split(c.tag) != (EXC, "InclusiveNamespaces") for c in transform.iterchildren("*"))


_IMPLICIT: Final = (
    "SignatureTimeStamp",
    "SigAndRefsTimeStamp",
    "SigAndRefsTimeStampV2",
    "RefsOnlyTimeStamp",
    "RefsOnlyTimeStampV2",
    "ArchiveTimeStamp",
)
"""Stamps that cover what their clause says."""


def _included_elsewhere(frame: Frame) -> bool:
    """deviates: `Include` (of V1.1.1 `HashDataInfo`) has no place in these; older makers name with it what is covered anyway."""
    stamps = [e for e in frame.unsigned if frame.is_property(e, *_IMPLICIT)]
    named = {e: [c for c in e.iterchildren("*") if split(c.tag)[1] in ("Include", "HashDataInfo")] for e in stamps}
    if not any(named.values()):
        return False
    value = set() if frame.signature_value is None else {id_of(frame.signature_value)}
    inside = {id_of(e) for e in frame.element.iter("*")}
    return any(
        (c.get("URI") or c.get("uri") or "").removeprefix("#") not in (value if frame.is_property(stamp, "SignatureTimeStamp") else inside)
        for stamp, said in named.items()
        for c in said
    )


def _refused(clause: str, why: str) -> Defect:
    return Defect(clause, why, fatal=False, refused=True)
