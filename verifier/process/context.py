"""What a validation is given beside the evidence, and the memo of one run."""

import functools
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeVar, cast

from trust.model import Cert, Crl, Evidence, Id, Ocsp, Signature, Stamp
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


_Answer = TypeVar("_Answer")


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
        self._finders: dict[tuple[str, ...] | None, Finder] = {}
        self._known: dict[Hashable, object] = {}

    def once(self, question: Hashable, answer: Callable[[], _Answer]) -> _Answer:
        """The answer to a pure question, worked out once: ten thousand signatures of one signer have one chain."""
        if question not in self._known:
            self._known[question] = answer()
        return cast("_Answer", self._known[question])

    def covered(self, stamp: Stamp) -> frozenset[Id]:
        """What the stamp covers, and what is inside of that: certificates in OCSP answers, all that a token carries (clause 5.6.2.3.4 step 1)."""
        found = set(stamp.covers)
        for thing in stamp.covers:
            found |= self._inside.get(thing, frozenset())
        return frozenset(found)

    @functools.cached_property
    def _inside(self) -> dict[Id, frozenset[Id]]:
        inside = dict(self.sources.carried_certs)
        for token in {s.token.id: s.token for s in self.evidence.stamps}.values():
            held = [x.id for x in (*token.certs, *token.crls, *token.ocsps)]
            inside[token.id] = frozenset([*held, *(c for x in held for c in inside.get(x, ()))])
        return inside

    def places_of(self, signature: Signature) -> tuple[int, ...]:
        """Places in Evidence.stamps of the stamps that cover the signature or sit in it. Ten thousand signatures must not look at each other's."""
        return self._places.get(signature.id, ())

    @functools.cached_property
    def _places(self) -> dict[Id, tuple[int, ...]]:
        known = {s.id for s in self.evidence.signatures}
        found: dict[Id, list[int]] = defaultdict(list)
        for place, stamp in enumerate(self.evidence.stamps):
            own = {stamp.of} if stamp.of is not None else set()
            for signature in (stamp.covers | own) & known:
                found[signature].append(place)
        return {signature: tuple(places) for signature, places in found.items()}

    @functools.cached_property
    def material(self) -> frozenset[Id]:
        """Status that the evidence carries."""
        return frozenset(x.id for x in (*self.evidence.crls, *self.evidence.ocsps))

    @property
    def timetable(self) -> Timetable:
        return self.policy.timetable

    def rules(self, purpose: Purpose) -> CertificateRules:
        rules: CertificateRules = getattr(self.policy, purpose.value)
        return rules

    def finder(self, purpose: Purpose) -> Finder:
        """The chains to the anchors that may serve this purpose."""
        only = self.rules(purpose).anchors
        if only not in self._finders:
            allowed = None if only is None else {fingerprint.lower() for fingerprint in only}
            self._finders[only] = Finder(self.pool, (a for a in self.context.anchors if allowed is None or a.id.hex() in allowed))
        return self._finders[only]

    def is_reliable(self, until: datetime, at: datetime) -> bool:
        """Whether an algorithm whose time ends at `until` is acceptable at `at` (clause 5.2.8.4, cryptographic constraints)."""
        forecast = until > self.timetable.issued and self.policy.algorithms.forecasts is not Level.FAIL
        return at < until or forecast
