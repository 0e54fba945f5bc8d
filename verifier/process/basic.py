"""EN 319 102-1 clauses 5.2.2 to 5.2.4, 5.2.7, 5.2.8, 5.3 and 5.4: a signature at the current time. A stamp's token is a signature too."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from trust import algorithms
from trust.algorithms import DIGESTS
from trust.errors import KakuinError
from trust.model import Defect, Digest, Form, Reference, Signature, Stamp, StampKind
from verifier.chains import facts, public_key, readable
from verifier.policy import Level
from verifier.process.chain import Chain, Kind, validate_certificate
from verifier.process.context import Case, Purpose
from verifier.process.trace import PASSED, Concluded, Status, Trace, run
from verifier.verdict import Indication, SubIndication

FOR_ITSELF = frozenset({StampKind.DOCUMENT, StampKind.CONTAINER, StampKind.STANDALONE})
"""Stamps that state something of the document, not of a signature."""
_CMS = (Form.PADES, Form.CADES)


@dataclass(frozen=True, slots=True)
class Weak:
    """An algorithm of the signature itself that ends at some time."""

    what: str
    """`signature value`, `signed attribute`, `reference`."""
    until: datetime


@dataclass(frozen=True)
class Basic:
    """The outcome of the basic process, with what the long-term processes go on from."""

    status: Status
    chain: Chain
    acceptance: Status
    """Clause 5.2.8 without its algorithms."""
    algorithms: tuple[Weak, ...]
    """Every algorithm of the signature, with its end."""
    intact: bool
    value_intact: bool
    integrity: Status
    """Clauses 5.2.2 to 5.2.4 and 5.2.7: what no proof of existence changes."""


def validate_basic(
    case: Case, signature: Signature, purpose: Purpose, trace: Trace, *, stamp: Stamp | None = None, content_times: Sequence[datetime] = ()
) -> Basic:
    """Clause 5.3.4. `stamp` is the place of a token, whose imprint is its reference; `content_times` are those of valid content time-stamps."""
    value_intact = verify_value(signature)
    references = _references(signature, stamp)
    intact = value_intact and bool(references) and all(r.found and r.intact for r in references)
    used_at = stamp.token.gen_time if stamp else case.now
    chain = Chain(signature.signer, None, ())
    try:
        _format(case, signature, stamp, trace)
        _identify(case, signature, purpose, trace)
        _initialise(case, signature, trace)
    except Concluded as done:
        status = done.status
        if status.sub_indication is SubIndication.FORMAT_FAILURE and not value_intact:
            # What breaks the format so that the value does not verify is told as what it does: clause 5.2.7.
            broken = run(lambda: _verify(references, trace, value_intact=value_intact))
            status = broken if broken.indication is Indication.FAILED else status
        return Basic(status, chain, PASSED, (), intact, value_intact, status)
    if signature.signer is not None:
        chain = validate_certificate(case, signature.signer, purpose, used_at, trace)
    trace.about = ""
    integrity = run(lambda: _verify(references, trace, value_intact=value_intact))
    acceptance = run(lambda: _accept(case, signature, stamp, purpose, trace))
    used = algorithms_of(case, signature, stamp)
    status = integrity
    if status.passed:
        status = _certificate_status(chain, content_times, trace)
    if status.passed:
        status = acceptance
    if status.passed:
        status = run(lambda: _algorithms(case, used, content_times, trace))
    return Basic(status, chain, acceptance, used, intact, value_intact, integrity)


def verify_value(signature: Signature) -> bool:
    """Whether the signature value verifies with the signer's key, or with the bare key that stands in its place and names nobody."""
    key = _key(signature)
    if key is None or signature.algorithm is None:
        return False
    signed = signature.signed
    try:
        if isinstance(signed, Digest):
            if signed.algorithm != signature.algorithm.digest:
                return False
            return algorithms.verify(key, signature.algorithm, signature.value, signed.value, prehashed=True)
        return algorithms.verify(key, signature.algorithm, signature.value, signed)
    except KakuinError:
        return False


def _key(signature: Signature) -> PublicKeyTypes | None:
    if signature.signer is None:
        return None if signature.key is None else public_key(signature.key)
    return facts(signature.signer).key if readable((signature.signer,)) else None


def _references(signature: Signature, stamp: Stamp | None) -> tuple[Reference, ...]:
    """What must be found and match; for a token also the bytes that its imprint covers, first."""
    if stamp is None:
        return signature.references
    return (Reference("message imprint", stamp.found, stamp.intact, digest=stamp.token.imprint), *signature.references)


def _format(case: Case, signature: Signature, stamp: Stamp | None, trace: Trace) -> None:
    """Clause 5.2.2."""
    for defect in _defects(case, signature, stamp):
        if defect.fatal:
            trace.require(False, f"5.2.2, {defect.clause}", SubIndication.FORMAT_FAILURE, defect.why)
        elif not defect.refused:
            trace.note(False, f"5.2.2, {defect.clause}", None, defect.why, Level.WARN)
    trace.require(True, "5.2.2", SubIndication.FORMAT_FAILURE, "the signature conforms to its format")


def _defects(case: Case, signature: Signature, stamp: Stamp | None) -> tuple[Defect, ...]:
    """What is wrong with the whole file is wrong with what stands in it for itself, not with a stamp inside of a signature."""
    whole = case.evidence.defects if stamp is None or stamp.kind in FOR_ITSELF else ()
    return (*whole, *signature.defects, *(stamp.defects if stamp else ()))


def _identify(case: Case, signature: Signature, purpose: Purpose, trace: Trace) -> None:
    """Clause 5.2.3."""
    sub = SubIndication.NO_SIGNING_CERTIFICATE_FOUND
    found = signature.signer is not None and bool(readable((signature.signer,)))
    trace.require(found, "5.2.3", sub, "the signing certificate is found")
    reference = signature.signer_reference
    if reference.count:
        trace.require(reference.digest_matches is True, "5.2.3", sub, "the signed reference is to the signing certificate")
    if reference.issuer_serial_matches is not None:
        level = case.policy.signature.issuer_serial if purpose is not Purpose.UNIT else Level.WARN
        why = "issuer and serial number in the reference are the certificate's"
        trace.require(reference.issuer_serial_matches, "5.2.3", sub, why, level)


def _initialise(case: Case, signature: Signature, trace: Trace) -> None:
    """Clause 5.2.4: a signature policy that the verifier does not know leaves constraints unchecked."""
    named = signature.claims.policy
    if named and named != "implied":
        rules = case.policy.signature
        known = named in rules.policies
        trace.require(known, "5.2.4", SubIndication.SIGNATURE_POLICY_NOT_AVAILABLE, "the signature policy is known here", rules.policy)


def _verify(references: Sequence[Reference], trace: Trace, *, value_intact: bool) -> None:
    """Clause 5.2.7."""
    trace.require(bool(references), "5.2.7", SubIndication.SIGNED_DATA_NOT_FOUND, "the signature refers to data")
    for reference in references:
        trace.require(reference.found, "5.2.7", SubIndication.SIGNED_DATA_NOT_FOUND, f"the signed data is found: {reference.name}")
        trace.require(reference.intact, "5.2.7", SubIndication.HASH_FAILURE, f"the digest of the signed data matches: {reference.name}")
    trace.require(value_intact, "5.2.7", SubIndication.SIG_CRYPTO_FAILURE, "the signature value verifies with the signer's key")


def _accept(case: Case, signature: Signature, stamp: Stamp | None, purpose: Purpose, trace: Trace) -> None:
    """Clause 5.2.8, signed attributes."""
    rules, sub = case.policy.signature, SubIndication.SIG_CONSTRAINTS_FAILURE
    for defect in _defects(case, signature, stamp):
        trace.require(not defect.refused, f"5.2.8, {defect.clause}", sub, defect.why)
    count = signature.signer_reference.count
    trace.require(count > 0, "5.2.8", sub, "a signed reference to the signing certificate is there", rules.signing_certificate_reference)
    if purpose is Purpose.UNIT:
        # RFC 5816 section 2.2.1 lets a token carry ESSCertID and ESSCertIDv2 side by side; the reader holds both against the unit.
        return
    trace.require(count < 2, "5.2.8", sub, "there is one such reference", rules.one_signing_certificate_reference)
    claimed = signature.claims.time
    trace.require(claimed is not None, "5.2.8", sub, "the signing time is claimed", rules.signing_time)
    if claimed is not None and signature.signer is not None:
        signer = facts(signature.signer)
        within = signer.not_before <= claimed <= signer.not_after
        why = "the claimed signing time is within the validity of the signing certificate"
        trace.require(within, "5.2.8", sub, why, rules.signing_time_in_certificate)
    if signature.form in _CMS:
        covers = not isinstance(signature.signed, Digest)
        trace.require(covers, "5.2.8", sub, "the signature covers signed attributes", rules.signed_attributes)


def algorithms_of(case: Case, signature: Signature, stamp: Stamp | None = None) -> tuple[Weak, ...]:
    """Every algorithm that the signature itself rests on, with its end under the policy's timetable."""
    timetable = case.timetable
    bits = facts(signature.signer).bits if signature.signer and readable((signature.signer,)) else 0
    reference = signature.signer_reference.digest_algorithm
    own = reference if stamp is None and case.policy.signature.signing_certificate_digest is Level.FAIL else None
    # Among the mechanisms is the digest of the reference to the certificate, which has its own constraint.
    names = {r.digest.algorithm for r in _references(signature, stamp) if r.digest} | (set(signature.mechanisms) - {reference})

    def ends() -> tuple[Weak, ...]:
        used = [Weak("signature value", timetable.until(signature.algorithm, bits))]
        if own:
            used.append(Weak("signed attribute", timetable.until_digest(own)))
        return (*used, *(Weak("reference", timetable.until_digest(name)) for name in sorted(names) if name in DIGESTS))

    return case.once(("algorithms", signature.algorithm, bits, own, frozenset(names)), ends)


def reliable_at(case: Case, used: Sequence[Weak], at: datetime, trace: Trace, clause: str) -> None:
    """Cryptographic constraints at a time (clause 5.2.8.4)."""
    for algorithm in used:
        why = _acceptable(algorithm.what, at)
        trace.require(case.is_reliable(algorithm.until, at), clause, SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, why)


@functools.lru_cache(maxsize=256)
def _acceptable(what: str, at: datetime) -> str:
    return f"the algorithms of the {what} were acceptable at {at:%Y-%m-%dT%H:%M:%SZ}"


def _algorithms(case: Case, used: Sequence[Weak], content_times: Sequence[datetime], trace: Trace) -> None:
    """Clause 5.3.4 step 6: a content time-stamp later than the end of the value's algorithm proves that the signature came too late."""
    value = [w for w in used if w.what == "signature value"]
    for time in content_times:
        for weak in value:
            late = time > weak.until and not case.is_reliable(weak.until, case.now)
            why = "the signature was not made after the end of its algorithm"
            trace.require(not late, "5.3.4", SubIndication.CRYPTO_CONSTRAINTS_FAILURE, why)
    reliable_at(case, used, case.now, trace, "5.2.8.4")


def _certificate_status(chain: Chain, content_times: Sequence[datetime], trace: Trace) -> Status:
    """Clause 5.3.4 step 4: a content time-stamp later than revocation or expiry proves that the signature came too late."""
    status = chain.status
    first = chain.problems[0] if chain.problems else None
    if first is None or not content_times or chain.cert is None:
        return status
    newest = max(content_times)
    if first.kind is Kind.REVOKED and first.index == 0 and first.at is not None and newest > first.at:
        status = Status.of(SubIndication.REVOKED)
        trace.conclude("5.3.4", "a content time-stamp is later than the revocation", status)
    elif first.kind is Kind.OUTSIDE and newest > facts(chain.cert).not_after:
        status = Status.of(SubIndication.EXPIRED)
        trace.conclude("5.3.4", "a content time-stamp is later than the end of the certificate", status)
    return status
