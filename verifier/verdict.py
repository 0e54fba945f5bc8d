"""What the process concludes: indications of EN 319 102-1 clause 5.1, the trace that led there, and the verdict for the whole file.

A verdict is a value: the reports print it, the doors translate it, nothing in it needs the document again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trust.model import Cert, Evidence, Id, Record, Signature, Stamp


class Indication(StrEnum):
    """Of a building block or of the whole process; reports of whole signatures write TOTAL-PASSED and TOTAL-FAILED."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    INDETERMINATE = "INDETERMINATE"


class SubIndication(StrEnum):
    """EN 319 102-1 tables 5 and 6."""

    FORMAT_FAILURE = "FORMAT_FAILURE"
    HASH_FAILURE = "HASH_FAILURE"
    SIG_CRYPTO_FAILURE = "SIG_CRYPTO_FAILURE"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    SIG_CONSTRAINTS_FAILURE = "SIG_CONSTRAINTS_FAILURE"
    CHAIN_CONSTRAINTS_FAILURE = "CHAIN_CONSTRAINTS_FAILURE"
    CERTIFICATE_CHAIN_GENERAL_FAILURE = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    POLICY_PROCESSING_ERROR = "POLICY_PROCESSING_ERROR"
    SIGNATURE_POLICY_NOT_AVAILABLE = "SIGNATURE_POLICY_NOT_AVAILABLE"
    TIMESTAMP_ORDER_FAILURE = "TIMESTAMP_ORDER_FAILURE"
    NO_SIGNING_CERTIFICATE_FOUND = "NO_SIGNING_CERTIFICATE_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND = "NO_CERTIFICATE_CHAIN_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND_NO_POE = "NO_CERTIFICATE_CHAIN_FOUND_NO_POE"
    REVOKED_NO_POE = "REVOKED_NO_POE"
    REVOKED_CA_NO_POE = "REVOKED_CA_NO_POE"
    OUT_OF_BOUNDS_NOT_REVOKED = "OUT_OF_BOUNDS_NOT_REVOKED"
    OUT_OF_BOUNDS_NO_POE = "OUT_OF_BOUNDS_NO_POE"
    REVOCATION_OUT_OF_BOUNDS_NO_POE = "REVOCATION_OUT_OF_BOUNDS_NO_POE"
    CRYPTO_CONSTRAINTS_FAILURE_NO_POE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    NO_POE = "NO_POE"
    TRY_LATER = "TRY_LATER"
    SIGNED_DATA_NOT_FOUND = "SIGNED_DATA_NOT_FOUND"


class Conclusion(StrEnum):
    """For the whole file: what a reader may rely on."""

    PASSED = "passed"
    FAILED = "failed"
    INDETERMINATE = "indeterminate"
    NOTHING_SIGNED = "nothing_signed"


EXIT_CODE = {Conclusion.PASSED: 0, Conclusion.FAILED: 1, Conclusion.INDETERMINATE: 3, Conclusion.NOTHING_SIGNED: 4}


@dataclass(frozen=True, slots=True)
class Step:
    """One requirement that was looked at; the list of them is the detailed report."""

    clause: str
    """`5.2.7`, with the standard's name where it is not EN 319 102-1."""
    what: str
    """The requirement, as a short sentence."""
    ok: bool
    indication: Indication | None = None
    sub_indication: SubIndication | None = None
    about: str = ""
    """Which object, for people: `certificate of Example CA`, `timestamp of 2026-06-01T00:00:00Z`."""


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A certificate of the chain that was used, end entity first."""

    cert: Cert
    trusted: bool
    revocation: str
    """For people: `good, CRL of 2026-05-01`, `revoked 2026-04-01 (keyCompromise)`, `not checked`, `not needed`."""
    status: Id | None = None
    """The list or OCSP answer that says so."""
    revoked_at: datetime | None = None
    reason: str | None = None
    """Of the revocation: name of the CRLReason, as in RFC 5280 section 5.3.1 with underscores."""


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    signature: Signature
    indication: Indication
    sub_indication: SubIndication | None
    intact: bool
    """The signature value verifies with the signer's key, and every reference is found and matches: no word about trust."""
    value_intact: bool
    best_signature_time: datetime
    """Earliest proved time of existence; the validation time where nothing proves an earlier one."""
    chain: tuple[ChainLink, ...]
    stamps: tuple[Id, ...]
    """Ids of the tokens that cover it or sit in it."""
    trace: tuple[Step, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StampVerdict:
    stamp: Stamp
    indication: Indication
    sub_indication: SubIndication | None
    intact: bool
    """Imprint and signature value both."""
    chain: tuple[ChainLink, ...]
    trace: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class RecordVerdict:
    record: Record
    indication: Indication
    sub_indication: SubIndication | None
    trace: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the file is concluded as it is: a stable code for programs and translations, and its subject."""

    code: str
    """`signature-failed`, `changed-after-signing`, `not-covered`, `nothing-signed`, …; the texts are in verifier.report."""
    subject: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict for the whole file."""

    conclusion: Conclusion
    reasons: tuple[Reason, ...]
    validation_time: datetime
    policy: str
    signatures: tuple[SignatureVerdict, ...]
    stamps: tuple[StampVerdict, ...]
    records: tuple[RecordVerdict, ...]
    evidence: Evidence
