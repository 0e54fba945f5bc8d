"""What a validation is given beside the evidence, and the memo of one run."""

import functools
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from trust.model import Cert, Crl, Evidence, Id, Ocsp, Stamp
from trust.suites import Timetable
from verifier.chains import Finder
from verifier.policy import CertificateRules, Level, Policy
from verifier.revocation import Sources


@dataclass(frozen=True)
class Context:
    """EN 319 102-1 clause 5.1.3: the inputs beside the signature itself."""

    time: datetime
    """Validation time, aware UTC: the current time, unless another is asked for."""
    anchors: Collection[Cert]
    policy: Policy
    certs: Collection[Cert] = ()
    crls: Collection[Crl] = ()
    ocsps: Collection[Ocsp] = ()


class Purpose(Enum):
    """What a certificate is used for; the value is the field of Policy with its rules."""

    SIGNER = "signer"
    COUNTERSIGNER = "countersigner"
    UNIT = "unit"
    RESPONDER = "responder"


class Case:
    """One evidence in one context, with the pools indexed. Holds memos of pure answers, nothing else."""

    def __init__(self, evidence: Evidence, context: Context) -> None:
        self.evidence = evidence
        self.context = context
        self.now = context.time
        self.policy = context.policy
        tokens = [s.token for s in evidence.stamps]
        carried: list[Crl | Ocsp] = [*evidence.crls, *evidence.ocsps]
        for token in tokens:
            carried += (*token.crls, *token.ocsps)
        self.sources = Sources(carried, [*context.crls, *context.ocsps])
        pool = {*evidence.certs, *context.certs, *(c for t in tokens for c in t.certs), *self.sources.certs}
        pool |= {s.signer for s in (*evidence.signatures, *(t.signature for t in tokens)) if s.signer is not None}
        self.pool = frozenset(pool)

    def covered(self, stamp: Stamp) -> frozenset[Id]:
        """What the stamp covers, and what is inside of that: certificates in OCSP answers, all that a token carries (clause 5.6.2.3.4 step 1)."""
        found = set(stamp.covers)
        for thing in stamp.covers:
            found |= self._inside.get(thing, frozenset())
        return frozenset(found)

    @functools.cached_property
    def _inside(self) -> dict[Id, frozenset[Id]]:
        inside = dict(self.sources.carried_certs)
        for token in {s.token for s in self.evidence.stamps}:
            held = [x.id for x in (*token.certs, *token.crls, *token.ocsps)]
            inside[token.id] = frozenset([*held, *(c for x in held for c in inside.get(x, ()))])
        return inside

    @property
    def timetable(self) -> Timetable:
        return self.policy.timetable

    def rules(self, purpose: Purpose) -> CertificateRules:
        rules: CertificateRules = getattr(self.policy, purpose.value)
        return rules

    def finder(self, purpose: Purpose) -> Finder:
        """The chains to the anchors that may serve this purpose."""
        return self._finder(self.rules(purpose).anchors)

    @functools.cache  # noqa: B019  # lives as long as the case
    def _finder(self, only: tuple[str, ...] | None) -> Finder:
        allowed = None if only is None else {fingerprint.lower() for fingerprint in only}
        return Finder(self.pool, (a for a in self.context.anchors if allowed is None or a.id.hex() in allowed))

    def is_reliable(self, until: datetime, at: datetime) -> bool:
        """Whether an algorithm whose time ends at `until` is acceptable at `at` (clause 5.2.8.4, cryptographic constraints)."""
        forecast = until > self.timetable.issued and self.policy.algorithms.forecasts is not Level.FAIL
        return at < until or forecast
