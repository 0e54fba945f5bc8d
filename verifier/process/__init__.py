"""EN 319 102-1 V1.4.1, once, over the format-independent model: `validate(evidence, context)`.

| module | clauses |
|---|---|
| `chain` | 5.2.5 revocation freshness, 5.2.6 X.509 certificate validation |
| `basic` | 5.2.2 format, 5.2.3 signing certificate, 5.2.4 context, 5.2.7 cryptographic verification, 5.2.8 acceptance, 5.3, 5.4 |
| `longterm` | 5.5 signatures with time and long-term validation material |
| `past` | 5.6.2 past certificate validation, validation time sliding, past signature validation |
| `archive` | 5.6.3 evidence records, stamps newest first, signatures |

Pure: no clock, no file, no network; the same evidence in the same context has the same verdict for ever.
"""

from typing import NamedTuple

from trust.model import Evidence, StampKind, utc
from verifier.poe import Proofs
from verifier.process.archive import Progress, extract_proofs, newest_first, validate_record, validate_signature, validate_stamp
from verifier.process.context import Case, Context, Purpose
from verifier.verdict import RecordVerdict, SignatureVerdict, StampVerdict

__all__ = ["Context", "Purpose", "Verdicts", "validate"]


class Verdicts(NamedTuple):
    """Of everything that can be judged, in the order of the evidence."""

    signatures: tuple[SignatureVerdict, ...]
    stamps: tuple[StampVerdict, ...]
    records: tuple[RecordVerdict, ...]


def validate(evidence: Evidence, context: Context) -> Verdicts:
    """Every signature, stamp and evidence record. Raises Malformed for a validation time without zone, and nothing else."""
    utc(context.time)
    case = Case(evidence, context)
    progress = Progress(Proofs(context.time))
    if len(evidence.stamps) == 1 and not evidence.signatures and not evidence.records:
        # A time-stamp by itself, as in bulk: what it proves, nothing here needs.
        return Verdicts((), (validate_stamp(case, 0, progress),), ())
    # Evidence records may stand around one another: the newest first, so that its proofs are there for the older ones.
    times = {s.token.id: s.token.gen_time for s in evidence.stamps}
    order = sorted(evidence.records, key=lambda r: max((times.get(t, context.time) for t in r.tokens), default=context.time), reverse=True)
    records = {record.id: validate_record(case, record, progress) for record in order}
    places = range(len(evidence.stamps))
    for place in newest_first(evidence.stamps, [p for p in places if p not in progress.stamps]):
        validate_stamp(case, place, progress)
        if evidence.stamps[place].kind is not StampKind.EVIDENCE_RECORD:  # a token of a record proves what its record proves, or nothing
            extract_proofs(case, place, progress)
    signatures = tuple(validate_signature(case, s, progress) for s in evidence.signatures)
    return Verdicts(signatures, tuple(progress.stamps[p] for p in places), tuple(records[r.id] for r in evidence.records))
