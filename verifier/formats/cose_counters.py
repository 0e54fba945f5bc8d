"""Counter-signatures of COSE (RFC 9338): over a message, a signature in it, or another counter-signature."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from trust.algorithms import Algorithm
from trust.codecs import cose
from trust.codecs.cose import CoseSignature, Countersigned
from trust.errors import Malformed, TooLarge
from trust.model import Cert, Defect, Digest, Form, Id, Reference, Scope, Signature, identify
from verifier.formats import cose_signers

MAX_NESTING = 4
"""Counter-signatures of counter-signatures."""
MAX_COUNTERS = 100
"""Over one signature: each hashes the content anew."""
_LATER = 11
"""The label of the version that covers the signature too."""

Kept = Callable[[Iterable[bytes], int, Algorithm | None], bytes | Digest]
"""What is kept of signed octets, of which the size is known."""


@dataclass(frozen=True, slots=True)
class Master:
    """What is countersigned."""

    id: Id
    name: str
    of: Countersigned | None
    """None where its content is not there."""
    unprotected: dict[Any, Any]
    """In which its counter-signatures stand."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Counter-signatures with the certificates that they carry, and what is no counter-signature where one should be."""

    signatures: tuple[tuple[Signature, tuple[Cert, ...]], ...]
    defects: tuple[Defect, ...]


def counters(master: Master, given: tuple[Cert, ...], kept: Kept) -> Counters:
    """Those of one signature, with those of theirs. `given` are candidates for signers. TooLarge beyond the limits."""
    found: list[tuple[Signature, tuple[Cert, ...]]] = []
    defects: list[Defect] = []
    stack = [(master, 0)]
    while stack:
        over, depth = stack.pop()
        for label, one in _held(over, defects):
            if len(found) >= MAX_COUNTERS or depth >= MAX_NESTING:
                raise TooLarge(f"COSE message has more than {MAX_COUNTERS} counter-signatures, or they are nested deeper than {MAX_NESTING}")
            made, carried = _signature(one, over, given, kept, later=label == _LATER)
            found.append((made, carried))
            stack.append((Master(made.id, made.field or "", Countersigned.of(one), one.unprotected), depth + 1))
    return Counters(tuple(found), tuple(defects))


def _held(over: Master, defects: list[Defect]) -> Iterator[tuple[int, CoseSignature]]:
    for label in cose.COUNTERSIGNATURES:
        if label not in over.unprotected:
            continue
        try:
            yield from ((label, one) for one in cose.counter_signatures(over.unprotected[label]))
        except Malformed as error:
            defects.append(Defect("RFC 9338 section 3.1", f"counter-signature cannot be read: {error}", fatal=False, refused=True))


def _signature(one: CoseSignature, over: Master, given: tuple[Cert, ...], kept: Kept, *, later: bool) -> tuple[Signature, tuple[Cert, ...]]:
    algorithm = cose.algorithm(one.header.get(cose.ALG), one.value)
    carried = cose_signers.certificates((one.header, one.unprotected))
    signer, reference = cose_signers.signer(one, carried, given)
    signed: bytes | Digest = b""
    if over.of is not None:
        signed = kept(cose.countersigned_structure(over.of, one.protected, with_others=later), over.of.size, algorithm)
    made = Signature(
        identify(over.id + one.protected + one.field),
        Form.COSE,
        "COSE-B" if reference.count == 1 else "COSE-NOT-ETSI",
        cose.der_value(algorithm, one.value) or b"",
        signed,
        algorithm,
        signer,
        reference,
        (Reference("signature value", over.of is not None, over.of is not None, Scope.COUNTERSIGNED),),
        cose_signers.claims(one.header, {}),
        tuple(cose_signers.flaws(((one.header, one.unprotected),), one, algorithm, signer)),
        over.id,
        f"counter-signature of {over.name}",
        tuple(d for d in (reference.digest_algorithm,) if d),
    )
    return made, carried
