"""What a validation is given beside the evidence, and the memo of one run."""

import functools
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TypeVar, cast

from trust.model import Cert, Crl, Evidence, Id, Ocsp, Signature, Stamp
from trust.suites import Timetable
from verifier.chains import Finder
from verifier.policy import CertificateRules, Level, Policy
from verifier.revocation import Sources

MOST_GROUNDS = 16
"""Grounds that a context keeps: the units of one authority are a handful."""
LIGHT = 128 << 10
"""Bytes of certificates and status of a ground that is kept: what tokens carry has some 5 kB. With MOST_GROUNDS, what a context holds at most."""

_Answer = TypeVar("_Answer")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_TICK = timedelta.resolution


class Moment:
    """A time that is only ever compared, and how far what was compared goes: whatever was worked out with it and nothing else of the time is the same
    at every time from `since` until before `until`.

    So a chain need not be walked again for each of a thousand questions at a thousand times: nothing changes until a certificate or a list ends.
    """

    __slots__ = ("_time", "since", "until")

    def __init__(self, time: datetime) -> None:
        self._time = time
        self.since, self.until = _FIRST, _LAST

    def reaches(self, at: datetime) -> bool:
        """Whether it is `at` or later."""
        if self._time >= at:
            self.since = max(self.since, at)
            return True
        self.until = min(self.until, at)
        return False

    def passes(self, at: datetime) -> bool:
        """Whether it is later than `at`."""
        return at < _LAST and self.reaches(at + _TICK)

    def within(self, since: datetime, until: datetime) -> bool:
        """Whether what was worked out for that span holds at this time too; then it counts as asked."""
        if not (since <= self._time and (self._time < until or until is _LAST)):
            return False
        self.since, self.until = max(self.since, since), min(self.until, until)
        return True

    def alone(self) -> "Moment":
        """The same time, of which nothing was asked yet."""
        return Moment(self._time)


class Recent:
    """Answers to pure questions, the last few of them. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Hashable, object] = {}
        self._lock = threading.Lock()

    def once(self, question: Hashable, answer: Callable[[], _Answer]) -> _Answer:
        """The answer; worked out where it is not among those that are kept. The question holds everything that the answer depends on."""
        with self._lock:
            found = self._known.pop(question, None)
            if found is not None:
                self._known[question] = found
                return cast("_Answer", found)
        made = answer()  # outside: two threads may work out the same, and neither waits for the other
        with self._lock:
            self._known[question] = made
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        return made


@dataclass(frozen=True)
class Context:
    """EN 319 102-1 clause 5.1.3: the inputs beside the signature itself.

    Whoever judges many files in one context gives each of them the same Context, or the same `at` other times: what depends on nothing but it and the
    certificates and status of a file is then worked out once for all files that carry the same.
    """

    time: datetime
    """Validation time, aware UTC: the current time, unless another is asked for."""
    anchors: Collection[Cert]
    policy: Policy
    certs: Collection[Cert] = ()
    crls: Collection[Crl] = ()
    ocsps: Collection[Ocsp] = ()

    @functools.cached_property
    def _recent(self) -> Recent:
        return Recent(2 * MOST_GROUNDS)

    def at(self, time: datetime) -> "Context":
        """The same at another time. What was worked out stays: no answer of `once` depends on the time."""
        other = replace(self, time=time)
        other.__dict__["_recent"] = self._recent
        return other

    def once(self, kind: str, carried: Set[Cert | Crl | Ocsp], answer: Callable[[], _Answer]) -> _Answer:
        """The answer to a pure question of this kind about this context, but for its time, and these things, which are all that it depends on."""
        if sum(len(c.der) for c in carried) > LIGHT:
            return answer()
        return self._recent.once((kind, frozenset(carried)), answer)


class Purpose(Enum):
    """What a certificate is used for; the value is the field of Policy with its rules."""

    SIGNER = "signer"
    COUNTERSIGNER = "countersigner"
    UNIT = "unit"
    RESPONDER = "responder"

    __hash__ = object.__hash__


@dataclass(eq=False)
class Ground:
    """What judging a certificate rests on: policy and anchors, and the certificates and status that are there. No evidence, so that files share it,
    and no time, so that questions at different times do: the time comes as a Moment, which tells how far an answer goes.

    Holds memos of pure answers, nothing else.
    """

    policy: Policy
    anchors: Collection[Cert]
    sources: Sources
    pool: frozenset[Cert]
    _finders: dict[tuple[str, ...] | None, Finder] = field(default_factory=dict)
    _known: dict[Hashable, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.timetable: Timetable = self.policy.timetable

    @classmethod
    def of(cls, context: Context, certs: Set[Cert], carried: Set[Crl | Ocsp]) -> "Ground":
        """`certs` and `carried` are the certificates and the status of a file."""

        def made() -> "Ground":
            sources = Sources(carried, [*context.crls, *context.ocsps])
            return cls(context.policy, context.anchors, sources, frozenset({*certs, *context.certs, *sources.certs}))

        return context.once("ground", certs | carried, made)

    def once(self, question: Hashable, answer: Callable[[], _Answer]) -> _Answer:
        """The answer to a pure question, worked out once: ten thousand signatures of one signer have one chain."""
        if question not in self._known:
            self._known[question] = answer()
        return cast("_Answer", self._known[question])

    def rules(self, purpose: Purpose) -> CertificateRules:
        rules: CertificateRules = getattr(self.policy, purpose.value)
        return rules

    def finder(self, purpose: Purpose) -> Finder:
        """The chains to the anchors that may serve this purpose."""
        only = self.rules(purpose).anchors
        if only not in self._finders:
            allowed = None if only is None else {fingerprint.lower() for fingerprint in only}
            self._finders[only] = Finder(self.pool, (a for a in self.anchors if allowed is None or a.id.hex() in allowed))
        return self._finders[only]

    def is_reliable(self, until: datetime, at: datetime) -> bool:
        """Whether an algorithm whose time ends at `until` is acceptable at `at` (clause 5.2.8.4, cryptographic constraints)."""
        return at < until or self._is_forecast(until)

    def still_reliable(self, until: datetime, now: Moment) -> bool:
        """The same at a Moment."""
        return self._is_forecast(until) or not now.reaches(until)

    def _is_forecast(self, until: datetime) -> bool:
        return until > self.timetable.issued and self.policy.algorithms.forecasts is not Level.FAIL


class Case(Ground):
    """One evidence in one context."""

    def __init__(self, evidence: Evidence, context: Context) -> None:
        tokens = [s.token for s in evidence.stamps]
        carried: set[Crl | Ocsp] = {*evidence.crls, *evidence.ocsps}
        certs = set(evidence.certs)
        certs.update(s.signer for s in evidence.signatures if s.signer is not None)
        for token in tokens:
            carried.update(token.crls, token.ocsps)
            certs.update(token.certs)
            if token.signature.signer is not None:
                certs.add(token.signature.signer)
        self.evidence = evidence
        self.now: datetime = context.time
        self.ground = Ground.of(context, certs, carried)
        super().__init__(context.policy, context.anchors, self.ground.sources, self.ground.pool, self.ground._finders, self.ground._known)

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
