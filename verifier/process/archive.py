"""EN 319 102-1 clauses 5.4 and 5.6.3: stamps newest first, evidence records, and signatures that outlive their certificates."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trust.model import Id, Record, Signature, Stamp, StampKind
from verifier.chains import facts
from verifier.poe import Proofs
from verifier.process.basic import Basic, reliable_at, validate_basic
from verifier.process.context import Case, Purpose
from verifier.process.longterm import GOES_ON, accept_at, has_archive, validate_with_time
from verifier.process.past import Past, validate_past
from verifier.process.trace import PASSED, Concluded, Status, Trace, run
from verifier.verdict import Indication, RecordVerdict, SignatureVerdict, StampVerdict, SubIndication

RESCUED = (GOES_ON - {SubIndication.TRY_LATER}) | {
    SubIndication.REVOCATION_OUT_OF_BOUNDS_NO_POE,
    SubIndication.NO_CERTIFICATE_CHAIN_FOUND_NO_POE,
}
"""Clause 5.6.3.4 step 5 c): the statuses of a stamp that proofs may dissolve."""
SIGNATURE_RESCUED = RESCUED | {SubIndication.TRY_LATER, SubIndication.SIG_CONSTRAINTS_FAILURE}
"""Step 3: those of a signature."""


@dataclass
class Progress:
    """What is known so far; one run's."""

    proofs: Proofs
    basics: dict[int, Basic] = field(default_factory=dict)
    """Place in Evidence.stamps -> outcome of clause 5.4."""
    stamps: dict[int, StampVerdict] = field(default_factory=dict)

    def valid_now(self, places: Sequence[int]) -> tuple[Stamp, ...]:
        """Of these stamps, those that pass clause 5.4 at the current time."""
        return tuple(self.stamps[p].stamp for p in places if self._stands(p) and self.basics[p].status.passed)

    def passed(self, places: Sequence[int]) -> tuple[Stamp, ...]:
        """Of these stamps, those that pass, now or by proofs of newer ones."""
        return tuple(self.stamps[p].stamp for p in places if self._stands(p))

    def _stands(self, place: int) -> bool:
        return self.stamps[place].indication is Indication.PASSED


def validate_stamp(case: Case, place: int, progress: Progress) -> StampVerdict:
    """Clauses 5.4 and 5.6.3.4 step 5: the stamp at the current time, and by the proofs of newer stamps."""
    stamp = case.evidence.stamps[place]
    token = stamp.token
    trace = Trace(f"time-stamp of {token.gen_time:%Y-%m-%dT%H:%M:%SZ}")
    basic = validate_basic(case, token.signature, Purpose.UNIT, trace, stamp=stamp)
    progress.basics[place] = basic
    status = _consistent(stamp, basic, trace)
    if not status.passed and status.sub_indication in RESCUED:
        subject = Past(token.signature, token.id, Purpose.UNIT, basic, status, token.gen_time)
        status = validate_past(case, subject, progress.proofs, trace)
    if status.passed:
        status = _useful(case, basic, progress.proofs, token.id, trace)
    verdict = StampVerdict(stamp, status.indication, status.sub_indication, basic.intact, basic.chain.links, tuple(trace.steps))
    progress.stamps[place] = verdict
    return verdict


def extract_proofs(case: Case, place: int, progress: Progress) -> None:
    """Clause 5.6.2.3: what a stamp that passes covers existed at its time."""
    stamp = case.evidence.stamps[place]
    if progress.stamps[place].indication is Indication.PASSED and stamp.intact:
        progress.proofs = progress.proofs.extended(case.covered(stamp), stamp.token.gen_time)


def _consistent(stamp: Stamp, basic: Basic, trace: Trace) -> Status:
    """RFC 3161 section 2.2: a token that states a time at which its unit's certificate did not yet exist, or no longer, contradicts itself."""
    signer = stamp.token.signature.signer
    if basic.integrity.passed and signer is not None:
        known, time = facts(signer), stamp.token.gen_time
        try:
            trace.require(time >= known.not_before, "5.4", SubIndication.NOT_YET_VALID, "the time is not before the unit's certificate")
            trace.require(time <= known.not_after, "5.4", SubIndication.EXPIRED, "the time is not after the end of the unit's certificate")
        except Concluded as done:
            return done.status
    return basic.status


def _useful(case: Case, basic: Basic, proofs: Proofs, token: Id, trace: Trace) -> Status:
    """Step 5 b), c) ii: the token's algorithms were acceptable when it is first proved to have existed."""
    if not basic.acceptance.passed:
        return basic.acceptance
    return run(lambda: reliable_at(case, basic.algorithms, proofs.of(token), trace, "5.6.3.4 step 5"))


def newest_first(stamps: Sequence[Stamp], places: Sequence[int]) -> list[int]:
    """Step 5 a); of stamps of one second, the one that covers others first."""
    tokens = {stamps[p].token.id for p in places}
    return sorted(places, key=lambda p: (stamps[p].token.gen_time, len(stamps[p].covers & tokens), p), reverse=True)


def validate_record(case: Case, record: Record, progress: Progress) -> RecordVerdict:
    """Step 1: the record's own consistency, then its tokens from the newest to the oldest, each proved by the one after it."""
    trace = Trace(f"evidence record {record.id.hex()[:12]}")
    places = {s.token.id: p for p, s in enumerate(case.evidence.stamps) if s.kind is StampKind.EVIDENCE_RECORD}
    own = [places[t] for t in record.tokens if t in places]
    start = progress.proofs
    for newer, place in zip([None, *reversed(own)], reversed(own), strict=False):
        if newer is not None and progress.stamps[newer].indication is Indication.PASSED:
            time = case.evidence.stamps[newer].token.gen_time
            progress.proofs = progress.proofs.extended((case.evidence.stamps[place].token.id,), time)
        if place not in progress.stamps:
            validate_stamp(case, place, progress)
        extract_proofs(case, place, progress)
    try:
        _record_holds(record, own, progress, trace)
        status = PASSED
        first = case.evidence.stamps[own[0]].token.gen_time
        progress.proofs = progress.proofs.extended(record.covers, first)
    except Concluded as done:
        status = done.status
        progress.proofs = start
    trace.conclude("5.6.3.4 step 1", "the evidence record proves what it covers", status)
    return RecordVerdict(record, status.indication, status.sub_indication, tuple(trace.steps))


def _record_holds(record: Record, own: Sequence[int], progress: Progress, trace: Trace) -> None:
    for defect in record.defects:
        if defect.fatal or defect.refused:
            sub = SubIndication.FORMAT_FAILURE if defect.fatal else SubIndication.SIG_CONSTRAINTS_FAILURE
            trace.require(False, f"RFC 4998, RFC 6283, {defect.clause}", sub, defect.why)
    for reference in record.references:
        trace.require(reference.found, "5.6.3.4 step 1", SubIndication.SIGNED_DATA_NOT_FOUND, f"the data is found: {reference.name}")
        trace.require(reference.intact, "5.6.3.4 step 1", SubIndication.HASH_FAILURE, f"the data is in the hash tree: {reference.name}")
    complete = bool(record.tokens) and len(own) == len(record.tokens)
    trace.require(complete, "RFC 4998 5", SubIndication.FORMAT_FAILURE, "the time-stamps of the record are there")
    trace.require(record.intact, "RFC 4998 3.3", SubIndication.HASH_FAILURE, "hash trees, renewals and imprints are consistent")
    for place in own:
        verdict = progress.stamps[place]
        if verdict.indication is not Indication.PASSED:
            raise Concluded(Status(verdict.indication, verdict.sub_indication))


def validate_signature(case: Case, signature: Signature, progress: Progress) -> SignatureVerdict:
    """Clauses 5.3, 5.5 and 5.6.3.4 steps 3 to 9."""
    places = case.places_of(signature)
    purpose = Purpose.COUNTERSIGNER if signature.countersigns else Purpose.SIGNER
    trace = Trace()
    valid = progress.valid_now(places)
    contents = tuple(s.token.gen_time for s in valid if s.kind is StampKind.CONTENT and s.of == signature.id)
    basic = validate_basic(case, signature, purpose, trace, content_times=contents)
    timed = validate_with_time(case, signature, basic, valid, trace)
    status, best = timed.status, timed.best_signature_time
    if not status.passed and status.sub_indication in SIGNATURE_RESCUED and has_archive(case, signature):
        proofs = progress.proofs.extended((signature.id,), best)
        status = validate_past(case, Past(signature, signature.id, purpose, basic, status), proofs, trace)
        best = proofs.of(signature.id)
        if status.passed:
            proved = progress.passed(places)
            status = run(lambda: accept_at(case, signature, basic, proved, best, trace))
        trace.conclude("5.6.3.4", "signature with archival data", status)
    else:
        best = min(best, progress.proofs.of(signature.id))
    own = dict.fromkeys(case.evidence.stamps[place].token.id for place in places)
    return SignatureVerdict(
        signature=signature,
        indication=status.indication,
        sub_indication=status.sub_indication,
        intact=basic.intact,
        value_intact=basic.value_intact,
        best_signature_time=best,
        chain=basic.chain.links,
        stamps=tuple(own),
        trace=tuple(trace.steps),
        warnings=tuple(trace.warnings),
    )
