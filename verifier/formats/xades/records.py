"""Evidence records inside a signature: the SealingEvidenceRecords property of ETSI TS 119 132-3 clause 5.2.

The group of data objects that a record proves is what an archive time-stamp in its place would cover, each object hashed on its own.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from trust.algorithms import hasher
from trust.codecs.xml import METHODS, Method, NodeSet
from trust.codecs.xml.names import XADES_ER, octets_of, split
from trust.errors import Malformed, Unacceptable
from trust.model import Defect, Document, Evidence, Id
from verifier.formats import ers
from verifier.formats.xades.references import Exhausted, Resolved, Work
from verifier.formats.xades.stamps import before
from verifier.formats.xades.structure import Frame

MAX_RECORDS: Final = 100
_AS_IT_STANDS: Final = METHODS["http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"]
"""Carries the namespaces in scope along, so that the record's own canonicalisation finds what it would have found in its place."""


def sealing(
    frame: Frame, references: tuple[Resolved, ...], work: Work, covered: Callable[[Any], frozenset[Id]]
) -> tuple[Evidence, tuple[Defect, ...]]:
    """The records of a signature with what they prove; `covered` names what stands before a property. One that cannot be read is a Defect."""
    found = Evidence("XML")
    defects: list[Defect] = []
    count = 0
    for holder in (p for p in frame.unsigned if split(p.tag) == (XADES_ER, "SealingEvidenceRecords")):
        group = _group(frame, references, holder, work)
        for element in holder.iterchildren("*"):
            count += 1
            if count > MAX_RECORDS:
                raise Malformed(f"at most {MAX_RECORDS} evidence records expected in a signature")
            try:
                subject = ers.Subject(frame.name or "signature", group, lambda at=holder: covered(at))  # type: ignore[misc]
                found |= ers.of_record(Document.of(_octets(frame, element, work)), [subject])
            except Exhausted:
                raise
            except (Malformed, Unacceptable) as error:
                defects.append(Defect("TS 119 132-3 clause 5.2", f"evidence record cannot be read: {error}", fatal=False, refused=True))
    return found, tuple(defects)


def _octets(frame: Frame, element: Any, work: Work) -> bytes:
    if split(element.tag)[1] == "ASN1EvidenceRecord":
        return octets_of(element)
    return work.canonical(NodeSet(frame.tree, element), _AS_IT_STANDS)


def _group(frame: Frame, references: tuple[Resolved, ...], holder: Any, work: Work) -> Callable[[str, Method | None], bytes | None]:
    """The digest of the group: those of its objects in binary order, hashed together; that of an only one as it is (RFC 6283 section 3.2.2)."""
    made: dict[str, bytes | None] = {}

    def digest(algorithm: str, _: Method | None) -> bytes | None:
        if algorithm not in made:
            try:
                values = sorted(_hashed(algorithm, pieces) for pieces in _objects(frame, references, holder, work))
                made[algorithm] = values[0] if len(values) == 1 else _hashed(algorithm, iter(values))
            except Exhausted:
                raise
            except (Malformed, Unacceptable):
                made[algorithm] = None
        return made[algorithm]

    return digest


def _hashed(algorithm: str, pieces: Iterator[bytes]) -> bytes:
    running = hasher(algorithm)
    for piece in pieces:
        running.update(piece)
    return bytes(running.digest())


def _objects(frame: Frame, references: tuple[Resolved, ...], holder: Any, work: Work) -> Iterator[Iterator[bytes]]:
    """Clause 5.2.2: signed data, SignedInfo, value, KeyInfo, the unsigned properties before, ds:Objects, and what signed manifests list."""
    method = frame.method
    if method is None:
        raise Unacceptable("canonicalization of ds:SignedInfo is not one that is applied here")

    def canonical(nodes: NodeSet) -> bytes:
        return work.canonical(nodes, method)

    for r in references:
        yield iter(r.bytes_under(canonical))
    parts = (frame.signed_info, frame.signature_value, frame.key_info, *before(frame, holder))
    objects = (o for o in frame.objects if frame.qualifying is None or frame.qualifying.getparent() is not o)
    for element in (*parts, *objects):
        if element is not None:
            yield iter((canonical(NodeSet(frame.tree, element)),))
    for r in references:
        for entry in r.entries:
            yield iter(entry.bytes_under(canonical))
