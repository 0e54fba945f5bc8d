"""The JAdES reader: a JWS's signatures with all that stands in and beside them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trust.algorithms import Algorithm
from trust.codecs import cms, jose
from trust.codecs.cades import ValidationData
from trust.codecs.jose import MAX_SIGNATURES, Jws, Serialization
from trust.errors import Malformed, TooLarge
from trust.model import Cert, Defect, Digest, Document, Evidence, Form, Id, Reference, Scope, Signature, Uncovered, identify
from verifier.formats.contents import of_evidence
from verifier.formats.jades import header, stamps, unsigned
from verifier.formats.jades.detached import Content, content
from verifier.formats.jades.level import Signed, level
from verifier.formats.jades.unsigned import Component

MAX_JWS = 128 << 20
"""Bytes: a JWS is read whole, as every JSON text must be."""
MAX_SIGNED = 16 << 20
"""Bytes of all signing inputs that are kept; longer ones are kept as digests where the algorithm has one."""
MAX_WORK = 256 << 20
"""Bytes that all signatures and time-stamps together hash: each its content, the later ones all before them."""
MAX_STAMPS = 1000
"""Of one file."""
MAX_WHOLE = 256 << 20
"""Bytes of a signing input for an algorithm that hashes for itself."""
MAX_NESTING = 6
"""Counter-signatures of counter-signatures."""

_COMPACT_HEAD = re.compile(rb"\s*[A-Za-z0-9_+/=-]{8,}(?:\.|$)")


def claims(head: bytes) -> bool:
    """A JSON object, or base64url of one up to a dot."""
    if head.lstrip()[:1] == b"{":
        return True
    found = _COMPACT_HEAD.match(head)
    if found is None:
        return False
    try:
        start = jose.octets(found.group().strip().rstrip(b".").decode("ascii")[:64]).data
    except Malformed:
        return False
    return start.lstrip()[:1] == b"{"


def read(document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """The evidence of a JWS. `certs` are candidates for signers whose certificate it does not carry.

    Malformed for what is no JWS, TooLarge above MAX_JWS; a JSON object without a signature has none to show.
    """
    found = jose.serialization(document.read(MAX_JWS))
    count = len(found.signatures)
    given, budget = tuple(certs), _Budget(MAX_SIGNED // max(1, count))
    signed = [
        _signature(jws, _Context(tuple(detached), f"signature {number}", budget, given)) for number, jws in enumerate(found.signatures, start=1)
    ]
    evidence = Evidence("JWS", defects=tuple(Defect("RFC 7515 section 7.2", fault) for fault in found.faults))
    for one, _ in signed:
        evidence |= one
    contents = [of for _, of in signed]
    documents = tuple({id(d): d for of in contents for d in of.documents}.values())
    return evidence | Evidence("JWS", uncovered=_uncovered(found, contents, detached), documents=documents)


def _uncovered(found: Serialization, contents: Sequence[Content], detached: Sequence[Document]) -> tuple[Uncovered, ...]:
    """Files that were given and that nothing signs, and members beside the signature, which RFC 7515 section 7.2.1 tells readers to ignore."""
    extra = [Uncovered(_shown(name), "a member that stands beside the signature", grave=name == "payload") for name in found.extra]
    if found.kind == "none" or not contents:
        return tuple(extra)
    covered = {id(d) for of in contents for d in of.documents} | {i for of in contents for i in of.ids}
    loose = [d for d in detached if id(d) not in covered and ((sha := d.digest("sha256")) is None or Id(sha.value) not in covered)]
    return (*extra, *(Uncovered(d.name or "a file without a name", "given as signed content, and no signature covers it") for d in loose))


def _shown(name: str) -> str:
    return name[:40] if name.isprintable() else "a member with an unprintable name"


@dataclass
class _Budget:
    """What one file may cost."""

    kept: int
    """Bytes of one signing input."""
    signatures: int = MAX_SIGNATURES
    stamps: int = MAX_STAMPS
    octets: int = MAX_WORK

    def spend(self, *, signatures: int = 0, stamps: int = 0, octets: int = 0) -> None:
        self.signatures -= signatures
        self.stamps -= stamps
        self.octets -= octets
        if min(self.signatures, self.stamps, self.octets) < 0:
            raise TooLarge(f"JWS has more than {MAX_SIGNATURES} signatures or {MAX_STAMPS} time-stamps, or these hash more than {MAX_WORK} bytes")


@dataclass(frozen=True, slots=True)
class _Context:
    """Where a signature stands."""

    given: tuple[Document, ...]
    field: str
    budget: _Budget
    certs: tuple[Cert, ...] = ()
    """Given beside the file."""
    master: Id | None = None
    """The signature that it countersigns."""
    value: bytes = b""
    """Of that signature."""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class _Counters:
    """The counter-signatures of one signature, by the position of their components."""

    found: dict[int, Evidence]
    defects: tuple[Defect, ...]


def _signature(jws: Jws, context: _Context) -> tuple[Evidence, Content]:
    """One signature with its stamps, its validation data and its counter-signatures."""
    context.budget.spend(signatures=1, octets=len(jws.encoded_payload))
    of = content(jws, context.given)
    components, odd = unsigned.components(jws)
    data = ValidationData(
        tuple(dict.fromkeys((*header.certificates(jws), *(cert for c in components for cert in c.data.certs)))),
        tuple(dict.fromkeys(crl for c in components for crl in c.data.crls)),
        tuple(dict.fromkeys(ocsp for c in components for ocsp in c.data.ocsps)),
    )
    pool = (*data.certs, *context.certs)
    draft = _drafted(jws, context, of, pool)
    counters = _countersignatures(components, draft, jws.signature, context)
    inside = {at: of_evidence(evidence) for at, evidence in counters.found.items()}
    carried = frozenset(c.id for c in (*header.certificates(jws), *((draft.signer,) if draft.signer else ())))
    tokens, octets = stamps.cost(jws, components)
    context.budget.spend(stamps=tokens, octets=octets)
    found = stamps.stamps(stamps.Place(jws, of, draft.id, carried, components, inside, pool))
    shape = header.shape(jws, countersignature=context.master is not None)
    policies = unsigned.policies(components, draft.claims.policy_digest, named="sigPId" in jws.header)
    named = level(Signed(shape, components, found, draft.signer, data, tuple(counters.found.values())))
    signature = replace(draft, level=named, defects=(*draft.defects, *of.defects, *odd, *policies, *found.defects, *counters.defects))
    known = frozenset(data.certs) | frozenset(s for s in (signature.signer,) if s)
    made = Evidence("JWS", (signature,), found.stamps, (), known, frozenset(data.crls), frozenset(data.ocsps))
    for evidence in counters.found.values():
        made |= evidence
    return made, of


def _drafted(jws: Jws, context: _Context, of: Content, pool: Sequence[Cert]) -> Signature:
    """What the protected header, the payload and the value say; level and stamps come after."""
    name = jws.header.get("alg")
    algorithm = jose.algorithm(name, jws.signature)
    signer, reference = header.signer_of(jws, pool)
    references = of.references if context.master is None else (_countersigned(of, context.value),)
    digests = [reference.digest_algorithm, *(r.digest.algorithm for r in references if r.digest)]
    return Signature(
        identify(f"{jws.encoded_header}.{jws.encoded_signature}".encode()),
        Form.JADES,
        "JSON-NOT-ETSI",
        jose.der_value(name, jws.signature) or b"",  # no DER that somebody put there verifies
        _signed(jws, of, algorithm, context.budget.kept),
        algorithm,
        signer,
        reference,
        references,
        header.claims(jws),
        (*header.flaws(jws, algorithm, signer), *(() if context.master is None else _described(jws))),
        context.master,
        context.field,
        tuple(dict.fromkeys(d for d in digests if d)),
    )


def _signed(jws: Jws, of: Content, algorithm: Algorithm | None, kept: int) -> bytes | Digest:
    """RFC 7515 section 5.1: the signing input; of a long one its digest, where the algorithm has one."""
    if of.payload is None:
        return b""
    pieces = jose.signing_input(jws, of.payload())
    if of.size > kept and algorithm is not None and algorithm.digest is not None:
        return cms.digest_of(pieces, algorithm.digest) or b""
    if of.size > MAX_WHOLE:
        raise TooLarge(f"content is over {MAX_WHOLE} bytes, and its signature's algorithm cannot be checked in pieces")
    return b"".join(pieces)


def _countersignatures(components: Sequence[Component], master: Signature, value: bytes, context: _Context) -> _Counters:
    """Clause 5.3.2: each `cSig` holds one signature over the value of the signature that it stands in."""
    found: dict[int, Evidence] = {}
    defects: list[Defect] = []
    for at, component in enumerate(components):
        if component.name != "cSig":
            continue
        if context.depth >= MAX_NESTING:
            raise Malformed(f"JAdES: counter-signatures are nested deeper than {MAX_NESTING}")
        try:
            text = component.value
            inner = jose.compact(text) if isinstance(text, str) else jose.from_json(text)
        except Malformed as error:
            defects.append(_broken(f"counter-signature cannot be read: {error}"))
            continue
        if len(inner.signatures) != 1:
            defects.append(_broken(f"one counter-signature expected, got {len(inner.signatures)}"))
            continue
        place = _Context(
            (Document.of(value),), f"counter-signature of {context.field}", context.budget, context.certs, master.id, value, context.depth + 1
        )
        found[at], _ = _signature(inner.signatures[0], place)
    return _Counters(found, tuple(defects))


def _described(jws: Jws) -> tuple[Defect, ...]:
    """Clauses 5.1.3 and 5.3.2: a counter-signature is over a signature value, and describes no other content."""
    told = [name for name in ("cty", "sigD") if name in jws.header]
    return tuple(_broken(f"{name} stands in a counter-signature") for name in told)


def _broken(why: str) -> Defect:
    return Defect("ETSI TS 119 182-1 clause 5.3.2", why, fatal=False, refused=True)


def _countersigned(of: Content, value: bytes) -> Reference:
    """Clause 5.3.2: what it signs is the other signature's value, inside or (then it was given as the content) detached."""
    same = len(of.documents) == 1 and of.documents[0].read(MAX_JWS) == value
    return Reference("signature value", True, same, Scope.COUNTERSIGNED)
