"""The verdict for the whole file: what a reader may rely on, not only what a key signed.

One rule for all formats, from the worst down:

- failed: a signature failed; or a stamp or evidence record that stands for the document itself failed; or something is shown or enclosed today that
  nothing signed covers, or that was changed after the last signature; or the file breaks its format in a way that makes its reading ambiguous; or a
  certificate in it is not what its issuer signed.
- indeterminate: a signature is not confirmed; or, where nothing is signed, a stamp or record is not.
- passed: every signature passes; where nothing is signed, every stamp and record does.
- nothing signed: neither signature, nor stamp, nor evidence record.

A stamp inside a signature that is not valid takes nothing from a signature that passes without it: that is a remark.
"""

from collections import defaultdict
from collections.abc import Iterator, Set

from trust.algorithms import is_available
from trust.errors import Malformed
from trust.model import Cert, Evidence, StampKind
from verifier.chains import Facts, facts, readable, signed_by
from verifier.process import Verdicts
from verifier.process.basic import FOR_ITSELF
from verifier.process.context import Context
from verifier.verdict import Conclusion, Indication, Reason, RecordVerdict, SignatureVerdict, StampVerdict, SubIndication, Verdict

MOST_CERTIFICATES = 200
"""Certificates of a file that are held against their issuers; the largest lawful files have some fifty."""

MOST_CHANGED = 16
"""Bytes in which a changed copy of a certificate may differ and still be told for one."""

UNREADABLE = "unreadable"
"""Kind of a file that was signed, and breaks its format so that no signature in it can be read."""


def conclude(evidence: Evidence, verdicts: Verdicts, context: Context) -> Verdict:
    """The verdict, with a reason for everything that kept it from passing and a remark for what a careful reader would want to know."""
    failing = [*_malformed(evidence, verdicts), *_failed(verdicts), *_grave(evidence), *_damaged(evidence, context)]
    wavering = _indeterminate(verdicts)
    remarks = [*_remarks(verdicts), *(Reason("permitted-change", u.name, u.why) for u in evidence.uncovered if not u.grave)]
    if not (verdicts.signatures or verdicts.stamps or verdicts.records or evidence.kind == UNREADABLE):
        conclusion, reasons = Conclusion.NOTHING_SIGNED, [Reason("nothing-signed"), *failing]
    elif failing:
        conclusion, reasons = Conclusion.FAILED, [*failing, *wavering, *remarks]
    elif wavering:
        conclusion, reasons = Conclusion.INDETERMINATE, [*wavering, *remarks]
    else:
        conclusion, reasons = Conclusion.PASSED, remarks
    return Verdict(
        conclusion=conclusion,
        reasons=tuple(reasons),
        validation_time=context.time,
        policy=context.policy.name,
        signatures=verdicts.signatures,
        stamps=verdicts.stamps,
        records=verdicts.records,
        evidence=evidence,
    )


def _failed(verdicts: Verdicts) -> list[Reason]:
    found = [_of_signature("signature-failed", s) for s in verdicts.signatures if _has_failed(s)]
    found += [_of_stamp("stamp-failed", s) for s in verdicts.stamps if _has_failed(s) and _matters(s)]
    return found + [_of_record("record-failed", r) for r in verdicts.records if r.indication is Indication.FAILED]


def _matters(verdict: StampVerdict) -> bool:
    """A stamp that stands for the document; or any whose token contradicts itself: no maker's habit does that, only changed bytes."""
    broken = verdict.sub_indication is SubIndication.SIG_CRYPTO_FAILURE or not verdict.stamp.token.signature.intact_references
    return verdict.stamp.kind in FOR_ITSELF or broken


def _has_failed(verdict: SignatureVerdict | StampVerdict) -> bool:
    """It failed; or the process ended before the signature value was looked at, and that value is wrong with the key that it names."""
    if verdict.indication is not Indication.INDETERMINATE or verdict.intact:
        return verdict.indication is Indication.FAILED
    signature = verdict.signature if isinstance(verdict, SignatureVerdict) else verdict.stamp.token.signature
    found = all(r.found for r in signature.references) if isinstance(verdict, SignatureVerdict) else verdict.stamp.found
    known = signature.signer is not None and signature.signer.public_key is not None
    return found and known and signature.algorithm is not None and is_available(signature.algorithm)


def _indeterminate(verdicts: Verdicts) -> list[Reason]:
    """Of signatures; where there is none, of what stands in their place."""
    if verdicts.signatures:
        return [
            _of_signature("signature-indeterminate", s)
            for s in verdicts.signatures
            if s.indication is Indication.INDETERMINATE and not _has_failed(s)
        ]
    found = [
        _of_stamp("stamp-indeterminate", s)
        for s in verdicts.stamps
        if s.indication is not Indication.PASSED and s.stamp.kind is not StampKind.EVIDENCE_RECORD and not (_has_failed(s) and _matters(s))
    ]
    return found + [_of_record("record-indeterminate", r) for r in verdicts.records if r.indication is Indication.INDETERMINATE]


def _remarks(verdicts: Verdicts) -> list[Reason]:
    """What a signature that passes does not need."""
    if not verdicts.signatures:
        return []
    found = [
        _of_stamp("stamp-not-valid", s) for s in verdicts.stamps if s.indication is not Indication.PASSED and not (_has_failed(s) and _matters(s))
    ]
    return found + [_of_record("record-not-valid", r) for r in verdicts.records if r.indication is Indication.INDETERMINATE]


def _grave(evidence: Evidence) -> list[Reason]:
    """What is shown or enclosed, and covered by nothing."""
    return [Reason("not-covered", u.name, u.why) for u in evidence.uncovered if u.grave]


def _malformed(evidence: Evidence, verdicts: Verdicts) -> list[Reason]:
    """Defects of the file that no signature, stamp or record has told already."""
    if verdicts.signatures or verdicts.stamps:
        return []
    return [Reason("malformed", d.clause, d.why) for d in evidence.defects if d.fatal]


def _damaged(evidence: Evidence, context: Context) -> tuple[Reason, ...]:
    """Certificates of which bytes were changed, even where another copy serves: they name a key that is at hand and are not signed by it, or they
    are signed by nobody and nearly the same as one that is."""
    carried = {*evidence.certs, *(c for s in evidence.stamps for c in s.token.certs)}
    return context.once("damaged", carried, lambda: tuple(_found_damaged(carried, context)))


def _found_damaged(carried: Set[Cert], context: Context) -> Iterator[Reason]:
    known = sorted(carried, key=lambda c: c.id)[:MOST_CERTIFICATES]
    pool = readable(dict.fromkeys((*known, *context.certs, *context.anchors)))
    named: dict[bytes, list[Cert]] = defaultdict(list)
    for cert in pool:
        named[facts(cert).subject_key].append(cert)
    confirmed = {cert for cert in pool if any(signed_by(cert, issuer) for issuer in named.get(facts(cert).issuer_key, ()))}
    keys = {facts(cert).key_identifier for cert in pool} - {None}
    for cert in known:
        if cert in confirmed:
            continue
        if any(_nearly(cert.der, sound.der) for sound in confirmed) or (cert in pool and _disowned(facts(cert), keys)):
            yield Reason("damaged-certificate", _name(cert))


def _disowned(cert: Facts, keys: Set[bytes | None]) -> bool:
    return cert.authority_key_identifier in keys and cert.algorithm is not None and is_available(cert.algorithm)


def _nearly(one: bytes, other: bytes) -> bool:
    """Two certificates that differ differ in their signatures too, by dozens of bytes; a changed copy differs where it was changed."""
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) <= MOST_CHANGED


def _name(cert: Cert) -> str:
    """What is left of it to name it by."""
    try:
        return cert.name
    except Malformed:
        if not readable((cert,)):
            return "a certificate that cannot be read"
        return f"serial number {int.from_bytes(facts(cert).serial, 'big'):x}"


def _of_signature(code: str, verdict: SignatureVerdict) -> Reason:
    return Reason(code, verdict.signature.field or "", verdict.sub_indication or "")


def _of_stamp(code: str, verdict: StampVerdict) -> Reason:
    return Reason(code, f"{verdict.stamp.token.gen_time:%Y-%m-%dT%H:%M:%SZ}", verdict.sub_indication or "")


def _of_record(code: str, verdict: RecordVerdict) -> Reason:
    return Reason(code, verdict.record.form, verdict.sub_indication or "")
