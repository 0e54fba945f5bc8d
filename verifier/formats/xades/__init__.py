"""XAdES and XML Signature (EN 319 132-1 and -2, TS 101 903 V1.1.1 to V1.4.2, W3C XML Signature): bytes to Evidence.

`claims` and `read` are the reader; `signatures` is the same for containers, whose references lead to their entries.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trust.codecs.xml import MAX_BYTES, Tree, looks_like_xml, parse
from trust.codecs.xml.names import COUNTERSIGNED_TYPE, XADES_132, ds, split
from trust.errors import Malformed
from trust.model import Cert, Claims, Defect, Digest, Document, Evidence, Form, Id, Reference, Scope, Signature, Uncovered
from verifier.formats.xades import stamps as time_stamps
from verifier.formats.xades.attributions import media_types, misapplied, misattributed, mistyped
from verifier.formats.xades.coverage import uncovered
from verifier.formats.xades.levels import Shape, level
from verifier.formats.xades.material import Material, encapsulated, of_token, token_ids
from verifier.formats.xades.properties import claims as said
from verifier.formats.xades.properties import policy_defects
from verifier.formats.xades.records import sealing
from verifier.formats.xades.references import Reach, Resolve, Resolved, Work, by_content, companions, resolve_all
from verifier.formats.xades.schema import strays
from verifier.formats.xades.signer import bare_key, bare_keys, key_info_certificates, misnamed_key, signer_of, strangers, unreadable
from verifier.formats.xades.structure import MAX_SIGNATURES, SIGNED_PROPERTIES_TYPE, Frame, counter_signatures, find, frame

MAX_COUNTERSIGNING: int = 5
"""Counter-signatures of counter-signatures."""


def claims(head: bytes) -> bool:
    """Whether the first bytes begin an XML document."""
    return looks_like_xml(head)


def read(document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """The signatures of an XML document. Malformed, or everything. `certs` are candidates for signers whose certificate it does not carry."""
    if document.size is not None and document.size > MAX_BYTES:
        raise Malformed(f"xml document of at most {MAX_BYTES} bytes expected, got {document.size}")
    with document.open() as stream:
        return signatures(stream.read(MAX_BYTES + 1), companions(detached), by_digest=by_content(detached), certs=certs, given=detached)


def signatures(
    data: bytes,
    resolve: Resolve,
    *,
    by_digest: Callable[[Digest], Document | None] | None = None,
    certs: Iterable[Cert] = (),
    kind: str = "XML",
    tree: Tree | None = None,
    given: Sequence[Document] = (),
) -> Evidence:
    """Every signature in `data`, with what its references find. `tree` is what was parsed of it, where somebody has; `given` are companions that a
    signature must cover.

    `resolve` is given the percent-decoded name of what stands outside of the document, and answers with the Document or None; given None, with the
    only companion there can be, for a reference without a URI or with another name: a container of several entries answers None to that.
    `by_digest` finds companions that were renamed. Neither is ever asked for anything inside the document.
    """
    tree = tree or parse(data)
    reach = Reach(Work(len(data)), resolve, by_digest, tuple(certs), untyped=kind == "ODF")
    readings: list[_Reading] = []
    for element in find(tree):
        _read(_At(tree, element), reach, readings)
    made = _evidence(tree, readings, kind)
    return replace(made, uncovered=(*made.uncovered, *_loose(readings, given)))


class _Reading:
    """One signature and what was found on the way."""

    def __init__(self, one: Frame, references: tuple[Resolved, ...]) -> None:
        self.frame = one
        self.references = references
        self.signature: Signature | None = None
        self.stamps: tuple[time_stamps.Placed, ...] = ()
        self.material = Material()
        self.counters: list[_Reading] = []
        self.records = Evidence("XML")

    @property
    def ids(self) -> frozenset[Id]:
        """The signature and all that stands in it."""
        held = {self.frame.id} | self.material.ids
        held.update(i for p in self.stamps for i in token_ids(p.stamp.token))
        for counter in self.counters:
            held |= counter.ids
        return frozenset(held)


@dataclass(frozen=True, eq=False)
class _At:
    """A ds:Signature in its document, with the one it countersigns."""

    tree: Tree
    element: Any
    master: Frame | None = None
    depth: int = 0


def _read(at: _At, reach: Reach, readings: list[_Reading]) -> _Reading:
    one = frame(at.tree, at.element, at.master)
    reading = _Reading(one, resolve_all(one, reach))
    if len(readings) >= MAX_SIGNATURES:
        raise Malformed(f"at most {MAX_SIGNATURES} signatures expected in a document")
    readings.append(reading)
    if at.depth < MAX_COUNTERSIGNING:
        reading.counters = [_read(_At(at.tree, c, one, at.depth + 1), reach, readings) for c in counter_signatures(one)]
    _complete(reading, reach)
    return reading


def _complete(reading: _Reading, reach: Reach) -> None:
    """The signature of a frame: properties count only where a reference leads to all of them."""
    one, references = reading.frame, reading.references
    bound = any(r.reaches(one.signed_properties) for r in references)
    key_certs = key_info_certificates(one)
    values = {element: encapsulated(element) for element in one.unsigned}
    carried = Material.united((Material(key_certs), *values.values()))
    pool = (*carried.certs, *reach.certs)
    signer, reference = signer_of(one, key_certs, pool, properties_signed=bound)
    found = time_stamps.find(one, pool, properties_signed=bound)
    place = time_stamps.Place(
        one,
        references,
        signer,
        reference.digest_matches is True,
        bound,
        key_certs,
        Material.united((carried, *(of_token(t) for f in found for t in f.tokens))),
        values,
        {c.frame.element.getparent(): c.ids for c in reading.counters},
        reach.work,
    )
    reading.material = carried
    reading.stamps = time_stamps.judged(place, found)
    reading.records, unreadable = sealing(one, references, reach.work, lambda at: time_stamps.everything_before(place, at, found))
    shape = Shape(one, references, signer, reference, key_certs, reading.stamps, found, carried)
    odd = (
        *_strays(one),
        *misapplied(one),
        *mistyped(references),
        *(misattributed(one, references) if bound else ()),
        *(policy_defects(one) if bound else ()),
        *_key_defects(one, signer),
        *_properties_defects(one, references, bound=bound),
        *(() if reach.untyped else _untyped(one, references)),
        *(d for f in found for d in f.defects),
        *unreadable,
    )
    reading.signature = _signature(shape, said(one) if bound else Claims(), odd)


def _signature(shape: Shape, claimed: Claims, odd: tuple[Defect, ...]) -> Signature:
    one, references = shape.frame, shape.references
    facts = _reference_facts(one, references)
    digests = (*(r.digest.algorithm for r in facts if r.digest is not None), shape.signer_reference.digest_algorithm)
    return Signature(
        one.id,
        Form.XADES,
        level(shape),
        one.value,
        one.signed,
        one.algorithm,
        shape.signer,
        shape.signer_reference,
        facts,
        claimed,
        (*one.defects, *(d for r in references for x in (r, *r.entries) for d in x.defects), *odd),
        None if one.master is None else one.master.id,
        one.name,
        tuple(dict.fromkeys(d for d in digests if d is not None)),
        None if shape.key_certs else bare_key(one),
    )


def _strays(one: Frame) -> tuple[Defect, ...]:
    """Of this signature alone: what stands in its counter-signatures is theirs."""
    return tuple(strays(one.element, one.namespace))


def _key_defects(one: Frame, signer: Cert | None) -> tuple[Defect, ...]:
    """XML Signature clause 4.5: everything in ds:KeyInfo is about the same key."""
    if signer is not None and (why := misnamed_key(one, signer)) is not None:
        return (Defect("XML Signature clause 4.5.4", why, fatal=False, refused=True),)
    if unreadable(one):
        return (Defect("XML Signature clause 4.5.4", "ds:X509Data holds what is no certificate or list", fatal=False, refused=True),)
    if signer is not None and strangers(one, signer):
        return (Defect("XML Signature clause 4.5.4", "ds:KeyInfo holds a certificate that is not of the signer's chain", fatal=False, refused=True),)
    if signer is None or signer.public_key is None:
        return ()
    own = signer.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if all(bare == own for bare in bare_keys(one)):
        return ()
    return (Defect("XML Signature clause 4.5", "the key in ds:KeyInfo is another than the signer's", fatal=False, refused=True),)


def _properties_defects(one: Frame, references: tuple[Resolved, ...], *, bound: bool) -> tuple[Defect, ...]:
    """Properties that nothing signs. Where the reference to them was not found or does not match, that says it already."""
    told = any(r.type == SIGNED_PROPERTIES_TYPE[one.namespace] and not r.sound for r in references)
    if one.signed_properties is None or bound or told:
        return ()
    return (Defect("EN 319 132-1 clause 4.4.2", "no reference covers the SignedProperties of this signature"),)


def _untyped(one: Frame, references: tuple[Resolved, ...]) -> tuple[Defect, ...]:
    """EN 319 132-1 clause 4.4.2: one reference leads to the SignedProperties and says so; by that programs find them."""
    typed = [r for r in references if r.type == SIGNED_PROPERTIES_TYPE[one.namespace]]
    if one.namespace != XADES_132 or len(typed) == 1 or not any(r.reaches(one.signed_properties) for r in references):
        return ()
    return (Defect("EN 319 132-1 clause 4.4.2", "one reference of the type of SignedProperties expected", fatal=False, refused=True),)


def _reference_facts(one: Frame, references: tuple[Resolved, ...]) -> tuple[Reference, ...]:
    """Every reference and manifest entry; what must be there and is not stands as a reference that was not found."""
    facts: list[Reference] = []
    kinds = media_types(one)
    for r in references:
        name = "signed properties" if r.target is not None and r.target is one.signed_properties else r.reference.name
        facts.append(replace(r.reference, name=name, media_type=kinds.get(r.id or "")))
        # A manifest is a list of digests: the signature over it stands, given or not what it lists (XML Signature clause 5.1).
        facts += [e.reference for e in r.entries if not e.absent]
    if references and not any(_is_content(one, r) for r in references):
        facts.append(Reference("signed data", found=False, intact=False))
    if one.master is not None and not any(r.reaches(one.master.signature_value) for r in references):
        facts.append(Reference("countersigned signature value", found=True, intact=False, scope=Scope.COUNTERSIGNED))
    return tuple(facts)


def _is_content(one: Frame, r: Resolved) -> bool:
    """Whether the reference is to more than the signature's own properties and key."""
    if r.target is None:
        return r.type != SIGNED_PROPERTIES_TYPE[one.namespace]
    if r.target is one.signed_properties or r.target is one.key_info:
        return False
    own_property = split(r.target.tag)[1] in ("SignatureProperties", "SignatureProperty") and r.target.tag.startswith("{" + ds("")[1:-1])
    return not (own_property and one.element in r.target.iterancestors())


def _evidence(tree: Tree, readings: Iterable[_Reading], kind: str) -> Evidence:
    every = tuple(readings)
    by_value = {r.frame.signature_value: r.frame.id for r in every if r.frame.signature_value is not None}
    material = Material.united(m for r in every for m in (r.material, *(of_token(p.stamp.token) for p in r.stamps)))
    made = Evidence(
        kind,
        tuple(_countersigning(r, by_value) for r in every),
        tuple(p.stamp for r in every for p in r.stamps),
        certs=frozenset(material.certs) | frozenset(r.signature.signer for r in every if r.signature is not None and r.signature.signer is not None),
        crls=frozenset(material.crls),
        ocsps=frozenset(material.ocsps),
        uncovered=uncovered(tree, [r.frame for r in every], [x for r in every for x in r.references]),
        documents=tuple(d for r in every for d in _enveloped_data(r)),
    )
    for r in every:
        made |= r.records
    return made


def _loose(readings: Sequence[_Reading], given: Sequence[Document]) -> Iterator[Uncovered]:
    """Files that were given beside those that are signed, and that nothing signs. Where all is in the document, they are nobody's matter."""
    found = [x.document for r in readings for top in r.references for x in (top, *top.entries) if x.document is not None]
    if not found:
        return
    known = {d for document in found if (d := document.digest("sha256")) is not None}
    for one in given:
        if not any(one is document for document in found) and one.digest("sha256") not in known:
            yield Uncovered(one.name or "a file without a name", "given as signed content, and no signature covers it")


def _enveloped_data(reading: _Reading) -> Iterator[Document]:
    """What a ds:Object of the signature holds, decoded or canonical, as it was signed."""
    for r in reading.references:
        if r.sound and r.target is not None and r.target in reading.frame.objects and isinstance(r.data, bytes):
            yield Document.of(r.data, r.reference.name.removeprefix("#"), r.target.get("MimeType"))


def _countersigning(reading: _Reading, by_value: dict[Any, Id]) -> Signature:
    """EN 319 132-1 clause 5.2.7.3: a signature elsewhere in the document whose reference of this type leads to another's value."""
    signature = reading.signature
    if signature is None:
        raise Malformed("signature was not read")
    if signature.countersigns is None:
        for r in reading.references:
            if r.type == COUNTERSIGNED_TYPE and r.target in by_value and r.reaches(r.target):
                return replace(signature, countersigns=by_value[r.target])
    return signature
