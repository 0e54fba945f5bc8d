"""EN 319 102-1 clause 5.6.2: what proofs of existence can still say of a signature or stamp whose certificate is expired, revoked or weak today."""

from dataclasses import dataclass
from datetime import datetime

from trust.model import Id, Signature
from verifier.chains import facts
from verifier.poe import Proofs
from verifier.policy import Freshness, Level
from verifier.process.basic import Basic
from verifier.process.chain import Chain, Kind, Problem, is_fresh, latest_answer, status_materials
from verifier.process.context import Case, Purpose
from verifier.process.trace import PASSED, Concluded, Status, Trace
from verifier.revocation import Answer
from verifier.verdict import SubIndication


@dataclass(frozen=True, slots=True)
class Past:
    """One subject of the past signature validation."""

    signature: Signature
    thing: Id
    """What proofs are about: the signature's id, or the token's."""
    purpose: Purpose
    basic: Basic
    current: Status
    """The current time status: what the processes before concluded."""
    used_at: datetime | None = None
    """Of a stamp: the time that it states."""


def validate_past(case: Case, subject: Past, proofs: Proofs, trace: Trace) -> Status:
    """Clause 5.6.2.4: past signature validation. A status that nothing dissolves is returned as it came."""
    chain = subject.basic.chain
    best = proofs.of(subject.thing)
    if chain.path is None or chain.cert is None or chain.broken:
        return subject.current
    try:
        known, usable = _status_known(case, subject, proofs)
        control = _slid(case, subject, usable, proofs, trace)
        _dissolve(case, subject, proofs, control, best, trace)
        if not known:
            # Step 7: the status of step 1.
            level = case.rules(subject.purpose).status_issuer_valid
            why = "the certificate of whoever signed the status is proved to have existed within its validity"
            trace.require(False, "5.6.2.4 step 1", SubIndication.REVOCATION_OUT_OF_BOUNDS_NO_POE, why, level)
    except Concluded as done:
        return done.status
    trace.conclude("5.6.2.4", f"past signature validation at {best:%Y-%m-%dT%H:%M:%SZ}", PASSED)
    return PASSED


def _status_known(case: Case, subject: Past, proofs: Proofs) -> tuple[bool, tuple[Answer, ...]]:
    """Step 1: the status of the signing certificate whose signer is an anchor, or is proved to have existed before his certificate ended."""
    chain = subject.basic.chain
    if 0 not in chain.needed:
        return True, ()
    given = chain.acceptable.get(0, ())
    finder = case.finder(Purpose.RESPONDER)
    proved = tuple(a for a in given if finder.anchor_of(a.signer) or proofs.of(a.signer.id) <= facts(a.signer).not_after)
    return bool(proved), proved or given


def _slid(case: Case, subject: Past, usable: tuple[Answer, ...], proofs: Proofs, trace: Trace) -> datetime:
    """Clauses 5.6.2.1 and 5.6.2.2: past certificate validation, with the control time slid along the chain from the anchor down.

    That the validities of the chain have a time in common (5.6.2.1 step 2, shell model) follows from step 3 of 5.6.2.4 as it is asked below: the
    best signature time lies in each of them.
    """
    chain = subject.basic.chain
    certs = chain.below_anchor
    control = case.now
    for problem in chain.of(Kind.SUNSET):
        control = min(control, problem.at or control)
    for index in range(len(certs) - 1, -1, -1):
        cert = certs[index]
        latest: Answer | None = None
        if index in chain.needed:
            given = usable if index == 0 else chain.acceptable.get(index, ())
            found = tuple(a for a in given if a.this_update < control and proofs.of(a.id) <= control and proofs.of(cert.id) <= control)
            if not found:
                if index in chain.insisted or index == 0:
                    trace.note(False, "5.6.2.2 step 2 a)", SubIndication.NO_POE, "status is there that is proved before the control time")
                    raise Concluded(subject.current)
            else:
                latest = latest_answer(found)
        if latest is not None and latest.revoked_at is not None:
            control = min(control, latest.revoked_at)
        elif latest is not None and not is_fresh(case, latest, freshness_time(case, control, proofs.of(subject.thing), subject.used_at)):
            control = min(control, latest.this_update)
        control = min(control, _weakened(case, chain, index, latest, control))
    trace.note(True, "5.6.2.2", None, f"control time is {control:%Y-%m-%dT%H:%M:%SZ}")
    return control


def freshness_time(case: Case, control: datetime, best: datetime, used_at: datetime | None) -> datetime:
    """When status must have been fresh: at the control time, or, where the policy says so, when the certificate was used."""
    if case.policy.status.freshness is Freshness.AT_USE:
        return min(control, best if used_at is None else used_at)
    return control


def _weakened(case: Case, chain: Chain, index: int, latest: Answer | None, control: datetime) -> datetime:
    """Clause 5.6.2.2 step 2 d): the last time at which the algorithms of the certificate and of its status were acceptable."""
    if chain.path is None:
        return control
    cert, issuer = facts(chain.path.certs[index]), facts(chain.path.certs[index + 1])
    ends = [case.timetable.until(cert.algorithm, issuer.bits)]
    if latest is not None:
        ends += [until for _, _, until in status_materials(case, latest)]
    return min((end for end in ends if not case.is_reliable(end, control)), default=control)


def _dissolve(case: Case, subject: Past, proofs: Proofs, control: datetime, best: datetime, trace: Trace) -> None:
    """Steps 3 to 6, for every problem that the chain has: not only for the first."""
    chain = subject.basic.chain
    cert = facts(chain.path.leaf) if chain.path else None
    if cert is None:
        raise Concluded(subject.current)
    timeless = {Kind.WEAK, Kind.STALE}
    needs_control = any(p.kind not in timeless for p in chain.problems)
    if needs_control and not trace.note(best <= control, "5.6.2.4 step 3", None, "the signature is proved to have existed before the control time"):
        raise Concluded(subject.current)
    anchored = chain.path is not None and len(chain.path.certs) == 1
    why = "the signature is not proved to be older than its certificate"
    trace.require(anchored or best >= cert.not_before, "5.6.2.4 step 3", SubIndication.NOT_YET_VALID, why)
    for problem in chain.problems:
        _dissolve_one(case, subject, problem, proofs, best, trace)
    _within_validity(subject, best, trace)


def _dissolve_one(case: Case, subject: Past, problem: Problem, proofs: Proofs, best: datetime, trace: Trace) -> None:
    chain = subject.basic.chain
    match problem.kind:
        case Kind.REVOKED | Kind.ON_HOLD:
            before = problem.at is not None and best < problem.at
            trace.require(before, "5.6.2.4 step 3", problem.sub_indication, "the signature is proved to have existed before the revocation")
            if problem.index:
                told = chain.acceptable.get(0, ())
                proved = 0 not in chain.needed or any(problem.at is not None and proofs.of(a.id) <= problem.at for a in told)
                why = "status of the signing certificate is proved to have existed before its authority was revoked"
                trace.require(proved, "5.6.2.4 step 3", SubIndication.REVOKED_CA_NO_POE, why)
        case Kind.WEAK:
            at = proofs.of(problem.material) if problem.material else case.now
            if problem.material == chain.path.leaf.id if chain.path else False:
                at = min(at, best)
            ok = problem.at is not None and case.is_reliable(problem.at, at)
            trace.require(ok, "5.6.2.4 step 4", problem.sub_indication, "what uses the weak algorithm is proved from before its end")
        case Kind.STALE:
            fresh = is_fresh(case, latest_answer(chain.acceptable[problem.index]), best)
            trace.require(fresh, "5.6.2.4 step 5", problem.sub_indication, "the status is fresh at the best signature time")
        case Kind.BROKEN:
            raise Concluded(subject.current)
        case _:
            pass


def _within_validity(subject: Past, best: datetime, trace: Trace) -> None:
    """Step 3 a) to c): the best signature time is within the validity of the signing certificate, and of the authorities above it."""
    chain = subject.basic.chain
    if not any(p.kind not in (Kind.WEAK, Kind.STALE) for p in chain.problems):
        return
    for index, cert in enumerate(chain.below_anchor):
        known = facts(cert)
        first = chain.problems[0].sub_indication
        outside = first if first in _OUT_OF_BOUNDS else _OUT_OF_BOUNDS[index > 0]
        whose = "authority's" if index else "signing"
        ok = known.not_before <= best <= known.not_after
        trace.require(ok, "5.6.2.4 step 3", outside, f"the signature is proved from within the validity of the {whose} certificate", Level.FAIL)


_OUT_OF_BOUNDS = (SubIndication.OUT_OF_BOUNDS_NOT_REVOKED, SubIndication.OUT_OF_BOUNDS_NO_POE)
