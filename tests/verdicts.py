"""Verdicts made by hand: what reports and doors are tested with, without a reader or a process."""

import functools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests import pki
from trust.algorithms import Algorithm
from trust.codecs import cms
from trust.model import (
    Claims,
    Digest,
    Evidence,
    Form,
    Record,
    Reference,
    Scope,
    Signature,
    SignerReference,
    Stamp,
    StampKind,
    Token,
    Uncovered,
    identify,
)
from verifier.verdict import (
    ChainLink,
    Conclusion,
    Indication,
    Reason,
    RecordVerdict,
    SignatureVerdict,
    StampVerdict,
    Step,
    SubIndication,
    Verdict,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ORGANIZATION_IDENTIFIER = x509.ObjectIdentifier("2.5.4.97")


@functools.cache
def office() -> pki.Pki:
    """One key infrastructure for all, whose signer is a demonstration organisation."""
    made = pki.pki()
    subject = subject_of("Demo Seal", "株式会社角印", "NTRJP-9999999999999")
    return replace(made, signer=pki.signer(made.ca, subject=subject))


def subject_of(common: str, organisation: str | None = None, identifier: str | None = None, *more: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    named = [
        (NameOID.COUNTRY_NAME, "JP"),
        (NameOID.ORGANIZATION_NAME, organisation),
        (ORGANIZATION_IDENTIFIER, identifier),
        *more,
        (NameOID.COMMON_NAME, common),
    ]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in named if value])


def token(imprinted: bytes = b"signature", when: datetime = pki.SIGNED) -> Token:
    return cms.token(pki.token(office().tsu, Digest.of("sha256", imprinted), when))


def signature(**changes: Any) -> Signature:
    sound = Signature(
        id=identify(b"signature"),
        form=Form.PADES,
        level="PAdES-BASELINE-T",
        value=b"value",
        signed=b"signed",
        algorithm=Algorithm("ecdsa", "sha256"),
        signer=office().signer.certificate,
        signer_reference=SignerReference(1, digest_matches=True, digest_algorithm="sha256"),
        references=(Reference("notice.pdf", found=True, intact=True, digest=Digest.of("sha256", b"x")),),
        claims=Claims(time=pki.SIGNED),
        field="Signature1",
    )
    return replace(sound, **changes)


def links(trusted: bool = True) -> tuple[ChainLink, ...]:
    o = office()
    return (
        ChainLink(o.signer.certificate, trusted=False, revocation="good, CRL of 2025-03-02"),
        ChainLink(o.ca.certificate, trusted=False, revocation="good, CRL of 2025-03-02"),
        ChainLink(o.root.certificate, trusted=trusted, revocation="not needed"),
    )


def stamp_verdict(**changes: Any) -> StampVerdict:
    made = token()
    stamp = Stamp(made, StampKind.SIGNATURE, intact=True, covers=frozenset({identify(b"signature")}), of=identify(b"signature"))
    return replace(StampVerdict(stamp, Indication.PASSED, None, intact=True, chain=links(), trace=()), **changes)


def signature_verdict(
    indication: Indication = Indication.PASSED, sub: SubIndication | None = None, *, stamp: StampVerdict | None = None, **changes: Any
) -> SignatureVerdict:
    ok = indication is Indication.PASSED
    step = Step("5.2.7", "the signed digests are those of the data", ok, None if ok else indication, sub, "notice.pdf")
    sound = SignatureVerdict(
        signature=signature(),
        indication=indication,
        sub_indication=sub,
        intact=indication is not Indication.FAILED,
        value_intact=True,
        best_signature_time=stamp.stamp.token.gen_time if stamp else NOW,
        chain=links() if ok else (),
        stamps=(stamp.stamp.token.id,) if stamp else (),
        trace=(step,),
    )
    return replace(sound, **changes)


def verdict(
    conclusion: Conclusion = Conclusion.PASSED,
    *signatures: SignatureVerdict,
    stamps: tuple[StampVerdict, ...] = (),
    records: tuple[RecordVerdict, ...] = (),
    reasons: tuple[Reason, ...] = (),
    uncovered: tuple[Uncovered, ...] = (),
    kind: str = "PDF",
) -> Verdict:
    evidence = Evidence(
        kind,
        tuple(s.signature for s in signatures),
        tuple(s.stamp for s in stamps),
        tuple(r.record for r in records),
        uncovered=uncovered,
    )
    return Verdict(conclusion, reasons, NOW, "strict", signatures, stamps, records, evidence)


def record_verdict(stamp: StampVerdict) -> RecordVerdict:
    record = Record(
        identify(b"record"),
        "RFC4998",
        intact=True,
        references=(Reference("notice.pdf", found=True, intact=True, scope=Scope.DIGEST),),
        tokens=(stamp.stamp.token.id,),
        covers=frozenset(),
    )
    return RecordVerdict(record, Indication.PASSED, None, ())


def everything() -> dict[str, Verdict]:
    """One verdict of each kind."""
    stamp = stamp_verdict()
    passed = signature_verdict(stamp=stamp)
    failed = signature_verdict(Indication.FAILED, SubIndication.HASH_FAILURE)
    open_ = signature_verdict(Indication.INDETERMINATE, SubIndication.NO_CERTIFICATE_CHAIN_FOUND)
    counter = signature_verdict(
        signature=signature(
            id=identify(b"counter"), countersigns=identify(b"signature"), references=(Reference("signature", True, True, Scope.COUNTERSIGNED),)
        )
    )
    nameless = signature_verdict(
        Indication.INDETERMINATE, SubIndication.NO_SIGNING_CERTIFICATE_FOUND, signature=signature(signer=None, algorithm=None, claims=Claims())
    )
    return {
        "passed": verdict(Conclusion.PASSED, passed, stamps=(stamp,)),
        "countersigned": verdict(Conclusion.PASSED, passed, counter, stamps=(stamp,)),
        "failed": verdict(Conclusion.FAILED, passed, failed, stamps=(stamp,), reasons=(Reason("signature-failed", "Signature1", "HASH_FAILURE"),)),
        "uncovered": verdict(
            Conclusion.FAILED,
            passed,
            stamps=(stamp,),
            reasons=(
                Reason("not-covered", "page 2", "new content"),
                Reason("permitted-change", "form field Total", "filled in"),
            ),
            uncovered=(Uncovered("page 2", "new content"), Uncovered("form field Total", "filled in", grave=False)),
        ),
        "indeterminate": verdict(Conclusion.INDETERMINATE, open_),
        "nameless": verdict(Conclusion.INDETERMINATE, nameless),
        "nothing_signed": verdict(Conclusion.NOTHING_SIGNED, reasons=(Reason("nothing-signed"),)),
        "record": verdict(Conclusion.PASSED, stamps=(stamp,), records=(record_verdict(stamp),), kind="ERS"),
    }
