"""EN 319 102-1 clause 5.5: signatures with time, and with long-term validation material."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trust.model import Signature, Stamp, StampKind
from verifier.chains import facts
from verifier.policy import Level
from verifier.process.basic import Basic, reliable_at
from verifier.process.chain import Chain, Kind, Problem, is_fresh
from verifier.process.context import Case
from verifier.process.trace import PASSED, Concluded, Status, Trace
from verifier.verdict import Indication, SubIndication

GOES_ON = frozenset(
    {
        SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        SubIndication.REVOKED_NO_POE,
        SubIndication.REVOKED_CA_NO_POE,
        SubIndication.TRY_LATER,
        SubIndication.OUT_OF_BOUNDS_NO_POE,
        SubIndication.OUT_OF_BOUNDS_NOT_REVOKED,
    }
)
"""Clause 5.5.4 step 2: what time may dissolve."""

_AFTER_SIGNING = frozenset({StampKind.SIGNATURE, StampKind.DOCUMENT, StampKind.CONTAINER})
"""Stamps that say when the signature was there."""

_CARRIES_STATUS = ("-LT", "-LTA", "-XL", "-X-L", "-A", "-XLONG")


@dataclass(frozen=True)
class Timed:
    """The outcome of clause 5.5."""

    status: Status
    best_signature_time: datetime
    proved: bool
    """A valid time-stamp proves it."""


def signature_stamps(signature: Signature, stamps: Sequence[Stamp]) -> tuple[Stamp, ...]:
    """The stamps that prove when the signature existed."""
    return tuple(s for s in stamps if s.kind in _AFTER_SIGNING and signature.id in s.covers)


def validate_with_time(case: Case, signature: Signature, basic: Basic, valid: Sequence[Stamp], trace: Trace) -> Timed:
    """Clause 5.5.4. `valid` are the stamps that pass clause 5.4 at the current time."""
    best = min((s.token.gen_time for s in signature_stamps(signature, valid)), default=case.now)
    proved = best < case.now
    if basic.status.indication is Indication.FAILED or (not basic.status.passed and basic.status.sub_indication not in GOES_ON):
        return Timed(basic.status, best, proved)
    trace.about = ""
    try:
        _compare(basic, best, trace)
        _freshness(case, basic, best, trace)
        accept_at(case, signature, basic, valid, best, trace)
    except Concluded as done:
        return Timed(done.status, best, proved)
    trace.conclude("5.5.4", "signature with time and long-term validation material", PASSED)
    return Timed(PASSED, best, proved)


def accept_at(case: Case, signature: Signature, basic: Basic, valid: Sequence[Stamp], best: datetime, trace: Trace) -> None:
    """What is asked of the signature itself once its best signature time is known (clause 5.5.4 steps 4 e), 5, 8 and 9; 5.6.3.4 steps 8 and 9)."""
    _coherent(case, signature, valid, trace)
    _delay(case, signature, best, trace)
    _carried(case, signature, basic, best, trace)
    reliable_at(case, basic.algorithms, best, trace, "5.5.4 steps 4 c), 8")
    if not basic.acceptance.passed:
        raise Concluded(basic.acceptance)


def _compare(basic: Basic, best: datetime, trace: Trace) -> None:
    """Step 4: every problem of the certificate, in the chain's order, against the best signature time; what no time can dissolve stays."""
    chain = basic.chain
    for problem in chain.of(Kind.BROKEN):
        if problem.sub_indication is SubIndication.TRY_LATER:
            trace.require(False, problem.clause, problem.sub_indication, problem.why)
    anchored = chain.path is not None and len(chain.path.certs) == 1
    if chain.cert is not None and not anchored:
        why = "the best signature time is not before the certificate's validity"
        trace.require(best >= facts(chain.cert).not_before, "5.5.4 step 4", SubIndication.NOT_YET_VALID, why)
    for problem in chain.problems:
        _compare_one(chain, problem, best, trace)


def _compare_one(chain: Chain, problem: Problem, best: datetime, trace: Trace) -> None:
    match problem.kind:
        case Kind.REVOKED | Kind.ON_HOLD:
            before = problem.at is not None and best < problem.at
            what = "revocation" if problem.kind is Kind.REVOKED else "suspension"
            trace.require(before, "5.5.4 step 4 a), 7", problem.sub_indication, f"the best signature time is before the {what}")
        case Kind.OUTSIDE:
            told = any(p.index == 0 for p in chain.of(Kind.REVOKED))
            known = told or problem.sub_indication is SubIndication.OUT_OF_BOUNDS_NOT_REVOKED
            sub = SubIndication.OUT_OF_BOUNDS_NOT_REVOKED if known else problem.sub_indication
            why = "the best signature time is within the certificate's validity, and its status is known"
            within = chain.cert is not None and best <= facts(chain.cert).not_after
            trace.require(known and within, "5.5.4 step 4 a), b), d)", sub, why)
        case Kind.STALE:
            pass  # step 6
        case _:
            trace.require(False, problem.clause, problem.sub_indication, problem.why)


def _coherent(case: Case, signature: Signature, valid: Sequence[Stamp], trace: Trace) -> None:
    """Step 4 e): a stamp that covers another is not older, content time-stamps are not younger than the signature's (RFC 3161 section 2.4.2)."""
    if not signature_stamps(signature, valid):
        return
    own = [case.evidence.stamps[place] for place in case.places_of(signature)]
    contents = [s for s in own if s.kind is StampKind.CONTENT]
    pairs = [(c, s) for c in contents for s in signature_stamps(signature, own)]
    by_token = {s.token.id: s for s in own}
    pairs += [(by_token[token], outer) for outer in own for token in outer.covers & set(by_token) if by_token[token] is not outer]
    ok = all(not _surely_after(earlier, later, use_accuracy=case.policy.time.ordered_accuracy) for earlier, later in pairs)
    why = "the times of the stamps are in the order in which they cover one another"
    trace.require(ok, "5.5.4 step 4 e)", SubIndication.TIMESTAMP_ORDER_FAILURE, why, case.policy.time.coherence)


def _surely_after(one: Stamp, other: Stamp, *, use_accuracy: bool) -> bool:
    """Whether the first was made after the second, as far as their accuracies let anyone say."""
    slack = timedelta(microseconds=(one.token.accuracy_us or 0) + (other.token.accuracy_us or 0)) if use_accuracy else timedelta(0)
    return one.token.gen_time - slack > other.token.gen_time


def _delay(case: Case, signature: Signature, best: datetime, trace: Trace) -> None:
    """Step 5."""
    hours = case.policy.time.delay_hours
    if hours is None or best >= case.now:
        return
    claimed, sub = signature.claims.time, SubIndication.SIG_CONSTRAINTS_FAILURE
    trace.require(claimed is not None and claimed + timedelta(hours=hours) > best, "5.5.4 step 5", sub, "the time-stamp came in time")


def _freshness(case: Case, basic: Basic, best: datetime, trace: Trace) -> None:
    """Step 6."""
    for problem in basic.chain.of(Kind.STALE):
        answer = basic.chain.chosen[problem.index]
        trace.require(is_fresh(case, answer, best), "5.5.4 step 6", problem.sub_indication, "the status is fresh at the best signature time")


def _carried(case: Case, signature: Signature, basic: Basic, best: datetime, trace: Trace) -> None:
    """What a level promises: the status that the signature carries is itself enough (EN 319 122-1, 132-1, 142-1: the levels with long-term data)."""
    level = case.policy.status.embedded
    if level is Level.IGNORE or not signature.level.endswith(_CARRIES_STATUS):
        return
    for index in sorted(basic.chain.insisted):
        own = [a for a in basic.chain.acceptable.get(index, ()) if a.id in case.sources.carried]
        ok = any(is_fresh(case, a, best) for a in own)
        why = "the signature carries status that was fresh at the best signature time, as its level says"
        trace.require(ok, "5.2.5", SubIndication.SIG_CONSTRAINTS_FAILURE, why, level)


def has_archive(case: Case, signature: Signature) -> bool:
    """Clause 5.6.3.4 step 3: attributes for long-term availability and integrity, a stamp over other stamps or status beside the signature."""
    own = [s for place in case.places_of(signature) if (s := case.evidence.stamps[place]).kind is not StampKind.CONTENT]
    tokens = {s.token.id for s in own if signature.id in s.covers}
    for stamp in own:
        if stamp.kind in (StampKind.ARCHIVE, StampKind.EVIDENCE_RECORD):
            return True
        if stamp.kind is not StampKind.SIGNATURE and signature.id in stamp.covers and (stamp.covers - {stamp.token.id}) & (tokens | case.material):
            return True
    return any(signature.id in record.covers for record in case.evidence.records)
