"""The time-stamps in a XAdES signature, each held against the bytes that it must cover.

EN 319 132-1 clauses 5.2.8 (content), 5.3 (signature), 5.5 (archive) and annex A.1.5 (references); TS 101 903 V1.4.2 clauses 7 and 8 for the older
properties. Errors: Malformed where a limit is passed; a token that cannot be read becomes a Defect of the signature.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from trust.algorithms import hasher
from trust.codecs.cms import token
from trust.codecs.xml import DEFAULT, Method, NodeSet, id_of, method_of
from trust.codecs.xml.names import XADES_141, ds, octets_of, split
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Defect, Digest, Id, Reference, Stamp, StampKind, Token
from verifier.formats.xades.material import Material, referenced, token_ids
from verifier.formats.xades.references import Exhausted, Missing, Resolved, Work
from verifier.formats.xades.structure import SIGNED_PROPERTIES_TYPE, Frame

MAX_STAMPS: Final = 500
"""Tokens of one signature."""

_REFS: Final = ("CompleteCertificateRefs", "CompleteRevocationRefs", "AttributeCertificateRefs", "AttributeRevocationRefs")
_REFS_V2: Final = ("CompleteCertificateRefsV2", "CompleteRevocationRefs", "AttributeCertificateRefsV2", "AttributeRevocationRefs")

KINDS: Final = {
    "AllDataObjectsTimeStamp": StampKind.CONTENT,
    "IndividualDataObjectsTimeStamp": StampKind.CONTENT,
    "SignatureTimeStamp": StampKind.SIGNATURE,
    "RefsOnlyTimeStamp": StampKind.REFERENCES,
    "RefsOnlyTimeStampV2": StampKind.REFERENCES,
    "SigAndRefsTimeStamp": StampKind.VALIDATION_DATA,
    "SigAndRefsTimeStampV2": StampKind.VALIDATION_DATA,
    "ArchiveTimeStamp": StampKind.ARCHIVE,
}


@dataclass(frozen=True, eq=False)
class Place:
    """A signature with what its stamps may have to cover."""

    frame: Frame
    references: tuple[Resolved, ...]
    signer: Cert | None
    signer_bound: bool
    """Whether the signed properties name the signer's certificate by its digest."""
    properties_signed: bool
    key_certs: tuple[Cert, ...]
    material: Material
    """Of the whole signature: what references are looked up in."""
    values: dict[Any, Material]
    """What each unsigned property holds."""
    counters: dict[Any, frozenset[Id]]
    """What each CounterSignature property holds: signatures, certificates, tokens."""
    work: Work
    named: dict[Any, frozenset[Id]] = field(default_factory=dict)
    """What each property of references names, as far as somebody has asked."""

    def names(self, element: Any) -> frozenset[Id]:
        if element not in self.named:
            self.named[element] = referenced(element, self.material)
        return self.named[element]


@dataclass(frozen=True, eq=False)
class Placed:
    """A stamp with the property that holds it, and how many tokens that property holds."""

    property: Any
    name: str
    stamp: Stamp


@dataclass(frozen=True, eq=False)
class Found:
    """The tokens of a property, before they are judged by their imprints."""

    property: Any
    name: str
    tokens: tuple[Token, ...]
    method: Method | None
    defects: tuple[Defect, ...] = field(default=())


def find(frame: Frame, certs: Iterable[Cert], *, properties_signed: bool) -> tuple[Found, ...]:
    """The time-stamp properties in their order. Content time-stamps are signed properties, and nothing else counts as one."""
    pool = tuple(certs)
    properties = frame.data_property("AllDataObjectsTimeStamp", "IndividualDataObjectsTimeStamp") if properties_signed else ()
    properties += tuple(p for p in frame.unsigned if frame.is_property(p, *KINDS) and split(p.tag)[1] not in _CONTENT)
    found: list[Found] = []
    count = 0
    for element in properties:
        one = _found(element, pool)
        count += len(one.tokens)
        if count > MAX_STAMPS:
            raise Malformed(f"at most {MAX_STAMPS} time-stamps expected in a signature")
        found.append(one)
    return tuple(found)


_CONTENT: Final = ("AllDataObjectsTimeStamp", "IndividualDataObjectsTimeStamp")


def _found(element: Any, certs: tuple[Cert, ...]) -> Found:
    name = split(element.tag)[1]
    tokens: list[Token] = []
    defects: list[Defect] = []
    for inner in element.iterchildren("*"):
        if split(inner.tag)[1] != "EncapsulatedTimeStamp":
            continue
        try:
            tokens.append(token(octets_of(inner), certs))
        except Malformed as error:
            defects.append(Defect("EN 319 132-1 clause 5.1.4.4.2", f"time-stamp in {name} cannot be read: {error}", fatal=False, refused=True))
    if not tokens and not defects:
        defects.append(Defect("EN 319 132-1 clause 5.1.4.4.2", f"{name} holds no RFC 3161 token", fatal=False))
    named = next((c for c in element.iterchildren(ds("CanonicalizationMethod"))), None)
    return Found(element, name, tuple(tokens), DEFAULT if named is None else method_of(named), tuple(defects))


def judged(place: Place, found: tuple[Found, ...]) -> tuple[Placed, ...]:
    """Each token with whether its imprint is of what it must cover, and what it then proves to have existed."""
    placed: list[Placed] = []
    for one in found:
        placed += [Placed(one.property, one.name, _stamp(place, one, held, found)) for held in one.tokens]
    return tuple(placed)


def _stamp(place: Place, one: Found, held: Token, others: tuple[Found, ...]) -> Stamp:
    kind = KINDS[one.name]
    defects: list[Defect] = []
    intact, there = False, True
    if one.method is None:
        defects.append(Defect("EN 319 132-1 clause 4.5", "canonicalization of a time-stamp is not one that is applied here", fatal=False))
    else:
        try:
            intact = _digest(held.imprint.algorithm, _pieces(place, one)) == held.imprint
        except Exhausted:
            raise
        except (Malformed, Unacceptable) as error:
            there = not isinstance(error, Missing)
            defects.append(Defect("EN 319 132-1 clause 5.5.2.2", str(error), fatal=False))
    covers = _covers(place, one, others) if intact else frozenset()
    return Stamp(held, kind, intact, covers, place.frame.id, there, _words(place, one), tuple(defects))


def _digest(algorithm: str, pieces: Iterable[bytes]) -> Digest:
    running = hasher(algorithm)
    for piece in pieces:
        running.update(piece)
    return Digest(algorithm, running.digest())


def _pieces(place: Place, one: Found) -> Iterator[bytes]:
    """The octets to hash, in their order."""
    method = one.method or DEFAULT

    def canonical(nodes: NodeSet) -> bytes:
        return place.work.canonical(nodes, method)

    def element(x: Any) -> bytes:
        return canonical(NodeSet(place.frame.tree, x))

    yield from _PIECES[one.name](place, one, element, canonical)


_Element = Callable[[Any], bytes]
_Canonical = Callable[[NodeSet], bytes]


def _of_references(references: Iterable[Resolved], canonical: _Canonical) -> Iterator[bytes]:
    for r in references:
        if not r.available:
            raise Missing("data of a reference are not there")
        yield from r.bytes_under(canonical)


def _all_data(place: Place, _: Found, __: _Element, canonical: _Canonical) -> Iterator[bytes]:
    """Clause 5.2.8.1: every reference but the one to the SignedProperties."""
    kind = SIGNED_PROPERTIES_TYPE[place.frame.namespace]
    yield from _of_references((r for r in place.references if r.type != kind), canonical)


def _individual(place: Place, one: Found, __: _Element, canonical: _Canonical) -> Iterator[bytes]:
    """Clause 5.2.8.2: the references that the Include elements name, in their order, and their data rather than the elements themselves."""
    yield from _of_references(_included(place, one), canonical)


def _included(place: Place, one: Found) -> list[Resolved]:
    by_id = {r.id: r for r in (x for r in place.references for x in (r, *r.entries)) if r.id is not None}
    found = []
    for include in one.property.iterchildren("*"):
        if split(include.tag)[1] != "Include":
            continue
        named = by_id.get((include.get("URI") or "").removeprefix("#"))
        if named is None or include.get("referencedData") not in ("true", "1"):
            raise Unacceptable("Include names no reference of this signature, or not its data")
        found.append(named)
    if not found:
        raise Unacceptable("IndividualDataObjectsTimeStamp includes nothing")
    return found


def _signature(place: Place, _: Found, element: _Element, __: _Canonical) -> Iterator[bytes]:
    """Clause 5.3: the ds:SignatureValue element."""
    yield element(_needed(place.frame.signature_value))


def _needed(element: Any | None) -> Any:
    if element is None:
        raise Unacceptable("an element that must be covered is missing")
    return element


def before(frame: Frame, element: Any) -> Iterator[Any]:
    """The unsigned properties that stand before this one."""
    for other in frame.unsigned:
        if other is element:
            return
        yield other


def _complete(place: Place, one: Found, element: _Element, _: _Canonical) -> Iterator[bytes]:
    """Annex A.1.5.1, and TS 101 903 clause 7.5.1: the value, then signature time-stamps and references that stand before."""
    yield element(_needed(place.frame.signature_value))
    names = ("SignatureTimeStamp", *(_REFS_V2 if one.name.endswith("V2") else _REFS))
    for other in before(place.frame, one.property):
        if place.frame.is_property(other, *names):
            yield element(other)


def _references(place: Place, one: Found, element: _Element, _: _Canonical) -> Iterator[bytes]:
    """Annex A.1.5.2, and TS 101 903 clause 7.5.2: the references that stand before."""
    names = _REFS_V2 if one.name.endswith("V2") else _REFS
    found = [other for other in before(place.frame, one.property) if place.frame.is_property(other, *names)]
    if not found:
        raise Unacceptable("a time-stamp over references stands before any reference")
    yield from map(element, found)


def _archive(place: Place, one: Found, element: _Element, canonical: _Canonical) -> Iterator[bytes]:
    """Clause 5.5.2.2 (the older property: TS 101 903 V1.3.2 clause 7.7.1): signed data, signature, unsigned properties before, ds:Objects."""
    frame = place.frame
    yield from _of_references(place.references, canonical)
    for part in (_needed(frame.signed_info), _needed(frame.signature_value), frame.key_info):
        if part is not None:
            yield element(part)
    for other in before(frame, one.property):
        yield element(other)
    older = split(one.property.tag)[0] != XADES_141
    named = {(r.reference.uri or "").removeprefix("#") for r in place.references}
    for holder in frame.objects:
        if frame.qualifying is not None and frame.qualifying.getparent() is holder:
            continue
        if older and id_of(holder) in named:
            continue
        yield element(holder)


_PIECES: Final[dict[str, Callable[[Place, Found, _Element, _Canonical], Iterator[bytes]]]] = {
    "AllDataObjectsTimeStamp": _all_data,
    "IndividualDataObjectsTimeStamp": _individual,
    "SignatureTimeStamp": _signature,
    "RefsOnlyTimeStamp": _references,
    "RefsOnlyTimeStampV2": _references,
    "SigAndRefsTimeStamp": _complete,
    "SigAndRefsTimeStampV2": _complete,
    "ArchiveTimeStamp": _archive,
}


def _covers(place: Place, one: Found, others: tuple[Found, ...]) -> frozenset[Id]:
    """What stands, itself or by its digest, in the octets that were hashed."""
    kind = KINDS[one.name]
    if kind is StampKind.CONTENT:
        return _documents(_included(place, one) if one.name.startswith("Individual") else place.references)
    if kind is StampKind.SIGNATURE:
        return _signature_ids(place, others)
    earlier = list(before(place.frame, one.property))
    by_property = {f.property: f for f in others}
    names = _REFS_V2 if one.name.endswith("V2") else _REFS
    refs = frozenset(i for e in earlier if place.frame.is_property(e, *names) for i in place.names(e))
    if kind is StampKind.REFERENCES:
        return refs
    if kind is StampKind.VALIDATION_DATA:
        stamps = (e for e in earlier if place.frame.is_property(e, "SignatureTimeStamp"))
        return _signature_ids(place, others) | refs | frozenset(i for e in stamps for t in by_property[e].tokens for i in token_ids(t))
    return everything_before(place, one.property, others)


def everything_before(place: Place, element: Any, others: tuple[Found, ...]) -> frozenset[Id]:
    """The signature, its signed data and key, and all that the unsigned properties before this one hold or name by digest."""
    by_property = {f.property: f for f in others}
    held: set[Id] = set(_signature_ids(place, others)) | _documents(place.references)
    held.update(c.id for c in place.key_certs)
    for e in before(place.frame, element):
        held |= place.values[e].ids
        held.update(i for t in (by_property[e].tokens if e in by_property else ()) for i in token_ids(t))
        held |= place.counters.get(e, frozenset())
        if place.frame.is_property(e, *_REFS, *_REFS_V2):
            held |= place.names(e)
    return frozenset(held)


def _signature_ids(place: Place, others: tuple[Found, ...]) -> frozenset[Id]:
    """The signature; by the digests in its signed properties the signer's certificate and the content time-stamps; a signed ds:KeyInfo."""
    held = {place.frame.id}
    if place.signer is not None and place.signer_bound:
        held.add(place.signer.id)
    if place.properties_signed:
        held.update(i for f in others if f.name in _CONTENT for t in f.tokens for i in token_ids(t))
    if any(r.sound and r.reaches(place.frame.key_info) for r in place.references):
        held.update(c.id for c in place.key_certs)
    return frozenset(held)


def _documents(references: Iterable[Resolved]) -> frozenset[Id]:
    """Companions that are covered whole."""
    held = set()
    for r in references:
        if r.document is not None and r.document.readable and r.data is None and r.sound:
            made = r.document.digest("sha256")
            if made is not None:
                held.add(Id(made.value))
    return frozenset(held)


def _words(place: Place, one: Found) -> tuple[Reference, ...]:
    if KINDS[one.name] is not StampKind.CONTENT:
        return ()
    try:
        chosen: Iterable[Resolved] = _included(place, one) if one.name.startswith("Individual") else place.references
    except Unacceptable:
        return ()
    return tuple(r.reference for r in chosen if r.type != SIGNED_PROPERTIES_TYPE[place.frame.namespace])
