"""One statement about one certificate by someone who may make it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from trust.algorithms import Algorithm
from trust.model import Cert, Crl, Id, Ocsp
from verifier.chains import Facts, facts

ON_HOLD = "certificate_hold"
UNSPECIFIED = "unspecified"


class Authority(StrEnum):
    """Why the signer of the data may speak of the certificate."""

    ISSUER = "issuer"
    """It is the issuer: its key, its name."""
    DELEGATE = "delegate"
    """The issuer certified it for OCSP (RFC 6960 section 4.2.2.2), or names it as the issuer of its lists (RFC 5280 section 5.2.5)."""
    CHAIN = "chain"
    """An authority further up the certificate's chain certified it for OCSP."""
    ANCHOR = "anchor"
    """It is an anchor itself: configured locally."""


@dataclass(frozen=True, slots=True)
class Answer:
    source: Crl | Ocsp
    signer: Cert
    authority: Authority
    algorithm: Algorithm | None
    this_update: datetime
    next_update: datetime | None
    produced: datetime
    """OCSP: producedAt; a list: thisUpdate."""
    revoked_at: datetime | None = None
    reason: str = UNSPECIFIED
    """Name of the CRLReason, as in RFC 5280 section 5.3.1 with underscores."""
    knows_since: datetime | None = None
    """It tells of certificates that expired at this time or later (ExpiredCertsOnCRL, archive cutoff)."""
    certificate_hash_matches: bool | None = None
    """OCSP's certHash extension (Common PKI): None where it is absent."""
    others: tuple[Id, ...] = ()
    """Further lists that it takes to say this: the base of a delta, the lists of the other reasons."""

    @property
    def id(self) -> Id:
        return self.source.id

    @property
    def is_list(self) -> bool:
        return isinstance(self.source, Crl)

    @property
    def revoked(self) -> bool:
        return self.revoked_at is not None

    @property
    def on_hold(self) -> bool:
        return self.revoked and self.reason == ON_HOLD

    @property
    def interval(self) -> timedelta | None:
        return self.next_update - self.this_update if self.next_update is not None else None

    def told(self) -> str:
        """For people."""
        kind = "CRL" if self.is_list else "OCSP answer"
        if self.revoked_at is not None:
            return f"revoked {self.revoked_at:%Y-%m-%d} ({self.reason}), {kind} of {self.this_update:%Y-%m-%d}"
        return f"good, {kind} of {self.this_update:%Y-%m-%d}"


def has_information(answer: Answer, cert: Facts) -> bool:
    """EN 319 102-1 clause 5.2.6: whether the issuer still kept the certificate's status when it said this.

    A certificate that had expired before may have been dropped from the list, so that its absence says nothing, unless ExpiredCertsOnCRL
    (X.509 clause 9.5.2.8) or the archive cutoff (RFC 6960 section 4.4.4) says that it is still told of, or the responder shows its hash.
    """
    if answer.certificate_hash_matches:
        return True
    since = answer.this_update if answer.knows_since is None else min(answer.knows_since, answer.this_update)
    return cert.not_after >= since


def unusable(answer: Answer, cert: Cert) -> str | None:
    """Why the answer says nothing about the certificate, whenever it is looked at; None where it does. A revocation is heard from whenever it is."""
    own, signer = facts(cert), facts(answer.signer)
    if answer.this_update < own.not_before:
        return "it is older than the certificate"
    if not answer.revoked and not has_information(answer, own):
        return "it is younger than the certificate's end, and does not say that it keeps expired certificates"
    if answer.certificate_hash_matches is False:
        return "the responder knows another certificate under this serial number"
    if not answer.is_list and not signer.not_before <= answer.produced <= signer.not_after:
        return "the responder's certificate was not valid when the answer was made"
    return None
