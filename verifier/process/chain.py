"""EN 319 102-1 clauses 5.2.5 and 5.2.6: validation of a certificate with its chain, at the current time.

The clause returns at the first thing that is wrong. Here everything that is wrong is collected as `Problem`s, in the clause's order: the first one is
the block's status, and the long-term processes must dissolve every one of them, so that what a later check found is never forgotten.
"""

import functools
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from itertools import takewhile

from trust.model import Cert, Id
from verifier.chains import Facts, Fault, Path, facts, is_key_and_name, readable, signed_by
from verifier.chains.certificate import EXTENDED_KEY_USAGE, NO_CHECK, NO_REV_AVAIL, SHORT_TERM, TIME_STAMPING
from verifier.policy import CertificateRules, Freshness, Level, Responder
from verifier.process.context import Case, Ground, Moment, Purpose
from verifier.process.trace import PASSED, Status, Trace
from verifier.revocation import Answer, Authority, answers, has_information, unusable
from verifier.verdict import ChainLink, Step, SubIndication

MOST_OUTCOMES = 64
"""Of one certificate at different times that are kept: between two of them something ended or began."""


class Kind(Enum):
    """Of a problem: what could dissolve it."""

    BROKEN = "nothing"
    REVOKED = "proof of existence before the revocation"
    ON_HOLD = "proof of existence before the suspension"
    STALE = "status that is fresh at the best signature time"
    WEAK = "proof of existence of the material before its algorithm's end"
    OUTSIDE = "proof of existence within the certificate's validity"
    AUTHORITY_OUTSIDE = "proof of existence within the authority's validity"
    STATUS_OUTSIDE = "proof of existence of the status signer's certificate within its validity"
    SUNSET = "proof of existence before the anchor's sunset"


@dataclass(frozen=True, slots=True)
class Problem:
    kind: Kind
    sub_indication: SubIndication
    index: int
    """Of the certificate in the chain."""
    clause: str
    why: str
    at: datetime | None = None
    """REVOKED, ON_HOLD: since when; WEAK: until when; SUNSET: since when."""
    material: Id | None = None
    """WEAK: what uses the algorithm."""


@dataclass(frozen=True)
class Chain:
    """A certificate validated at the current time."""

    cert: Cert | None
    path: Path | None
    problems: tuple[Problem, ...]
    acceptable: dict[int, tuple[Answer, ...]] = field(default_factory=dict)
    """Index in the path -> its usable status, newest first."""
    chosen: dict[int, Answer] = field(default_factory=dict)
    """Index in the path -> the status that counts."""
    needed: frozenset[int] = frozenset()
    """Indexes that need status."""
    insisted: frozenset[int] = frozenset()
    """... and without which the policy goes no further."""

    @property
    def status(self) -> Status:
        return Status.of(self.problems[0].sub_indication) if self.problems else PASSED

    @property
    def broken(self) -> Problem | None:
        """What no proof can mend."""
        return next((p for p in self.problems if p.kind is Kind.BROKEN), None)

    def of(self, kind: Kind) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.kind is kind)

    @property
    def below_anchor(self) -> tuple[Cert, ...]:
        return self.path.certs[:-1] if self.path else ()

    @functools.cached_property
    def links(self) -> tuple[ChainLink, ...]:
        """For reports."""
        certs = self.path.certs if self.path else ((self.cert,) if self.cert else ())
        return tuple(self._link(index, cert, trusted=self.path is not None and index == len(certs) - 1) for index, cert in enumerate(certs))

    def _link(self, index: int, cert: Cert, *, trusted: bool) -> ChainLink:
        status = self.chosen.get(index)
        if status is None:
            return ChainLink(cert, trusted, "not checked" if index in self.needed else "not needed")
        return ChainLink(cert, trusted, status.told(), status.id, status.revoked_at, status.reason if status.revoked else None)


@dataclass(frozen=True)
class _Validated:
    """The outcome of clause 5.2.6 for a certificate that was used at any time of a span, at any time of another."""

    chain: Chain
    steps: tuple[Step, ...]
    warnings: tuple[str, ...]
    now: Moment
    used: Moment

    def holds(self, now: Moment, used: Moment) -> bool:
        return now.within(self.now.since, self.now.until) and used.within(self.used.since, self.used.until)


def validate_certificate(case: Case, cert: Cert, purpose: Purpose, used_at: datetime, trace: Trace) -> Chain:
    """Clause 5.2.6.4. `used_at`: when the certificate is known or said to have been used, for the policies that ask for freshness then."""
    ground, now, used = case.ground, Moment(case.now), Moment(used_at)
    # A unit's million tokens were made at a million times, between which its status was fresh or was not: a handful of outcomes.
    known: list[_Validated] = ground.once(("validated", cert, purpose), list)
    found = next((v for v in tuple(known) if v.holds(now, used)), None)
    if found is None:
        found = _validated(ground, cert, purpose, now.alone(), used.alone())
        known.append(found)
        del known[:-MOST_OUTCOMES]
    if found.chain.path is None:
        trace.note(False, "5.2.6", SubIndication.NO_CERTIFICATE_CHAIN_FOUND, _NO_CHAIN)
    trace.steps += found.steps
    trace.warnings += found.warnings
    return found.chain


_NO_CHAIN = "a chain from the certificate to a trust anchor is found"


def _validated(case: Ground, cert: Cert, purpose: Purpose, now: Moment, used: Moment) -> _Validated:
    paths = case.finder(purpose).paths(cert) if readable((cert,)) else ()
    tried: list[tuple[Chain, Trace]] = []
    for path in paths:
        own = Trace()
        chain = _Walk(case, path, purpose, now, used, own).chain()  # every chain that was tried had its part in the choice
        tried.append((chain, own))
        if not chain.problems:
            break
    if not tried:
        broken = Problem(Kind.BROKEN, SubIndication.NO_CERTIFICATE_CHAIN_FOUND, 0, "5.2.6", _NO_CHAIN)
        return _Validated(Chain(cert, None, (broken,)), (), (), now, used)
    chosen, own = min(tried, key=lambda pair: (pair[0].broken is not None, len(pair[0].problems)))
    return _Validated(chosen, tuple(own.steps), tuple(own.warnings), now, used)


class _Walk:
    """One prospective chain, certificate by certificate (step 4)."""

    def __init__(self, case: Ground, path: Path, purpose: Purpose, now: Moment, used: Moment, trace: Trace) -> None:
        self.case, self.path, self.purpose, self.trace = case, path, purpose, trace
        self.now, self.used = now, used
        self.rules = case.rules(purpose)
        self.problems: list[Problem] = []
        self.acceptable: dict[int, tuple[Answer, ...]] = {}
        self.chosen: dict[int, Answer] = {}
        self.needed: set[int] = set()

    def chain(self) -> Chain:
        self._sunset()
        last = len(self.path.certs) - 1
        for index in range(last) if last else range(1):
            self._structure(index)
            if index == last:
                break
            self._status(index)
            self._algorithms(index)
            self._validity(index)
        insisted = frozenset(i for i in self.needed if self._level(i) is Level.FAIL)
        return Chain(self.path.leaf, self.path, tuple(self.problems), self.acceptable, self.chosen, frozenset(self.needed), insisted)

    def _require(self, ok: bool, problem: Problem, level: Level = Level.FAIL) -> None:
        self.trace.about = f"certificate of {facts_name(self.path.certs[problem.index])}"
        if not self.trace.note(ok, problem.clause, problem.sub_indication, problem.why, level):
            self.problems.append(problem)

    def _sunset(self) -> None:
        """Steps 1 a) and 3."""
        since = self.case.policy.sunset.get(self.path.anchor.id.hex())
        if since is not None:
            index = len(self.path.certs) - 1
            why = "the anchor is still believed"
            problem = Problem(Kind.SUNSET, SubIndication.NO_CERTIFICATE_CHAIN_FOUND_NO_POE, index, "5.2.6", why, since)
            self._require(not self.now.reaches(since), problem)

    def _structure(self, index: int) -> None:
        """RFC 5280 section 6.1 but for time and status, and the purpose of the end entity."""
        for fault in self.path.faults:
            if fault.index == index:
                level = getattr(self.rules, fault.rule) if fault.rule else Level.FAIL
                self._require(False, _broken(fault), level)
        if index:
            return
        for ok, clause, why, sub, level in _purpose_checks(self.path.leaf, self.purpose, self.rules):
            self._require(ok, Problem(Kind.BROKEN, sub, 0, clause, why), level)

    def _level(self, index: int) -> Level:
        return self.rules.issuer_status if index else self.rules.status

    def _status(self, index: int) -> None:
        """Step 4, revocation."""
        cert = self.path.certs[index]
        if not needs_status(self.case, cert, self.purpose, index):
            return
        self.needed.add(index)
        usable = usable_answers(self.case, self.path, index, self.purpose, self.now)
        self.acceptable[index] = usable
        why = "acceptable status of the certificate is there"
        known = any(has_information(a, facts(cert)) for a in usable)
        self._require(known, Problem(Kind.BROKEN, SubIndication.TRY_LATER, index, "5.2.6", why), self._level(index))
        if not usable:
            return
        latest = self._counting(index, usable)
        self.chosen[index] = latest
        ended = latest.revoked_at is not None and self.now.reaches(latest.revoked_at)
        if ended and not latest.on_hold:
            sub = SubIndication.REVOKED_CA_NO_POE if index else SubIndication.REVOKED_NO_POE
            self._require(False, Problem(Kind.REVOKED, sub, index, "5.2.6", "the certificate is not revoked", latest.revoked_at))
        elif ended:
            why = "the certificate is not suspended"
            self._require(False, Problem(Kind.ON_HOLD, SubIndication.TRY_LATER, index, "5.2.6", why, latest.revoked_at))
        fresh = Problem(Kind.STALE, SubIndication.TRY_LATER, index, "5.2.5", "the status is fresh")
        self._require(self._fresh(latest), fresh)

    def _fresh(self, answer: Answer) -> bool:
        """Clause 5.2.5, and nothing else here looks at the time of use."""
        if (end := stale_from(self.case, answer)) is None or not self.now.reaches(end):
            return True
        return self.case.policy.status.freshness is Freshness.AT_USE and not self.used.reaches(end)

    def _counting(self, index: int, usable: tuple[Answer, ...]) -> Answer:
        """The answer that counts. One that cannot be confirmed now takes nothing from an older one that can: whatever is added to a file, status
        that sufficed still does. Past a revocation or suspension nobody looks: that is heard from whomever it is."""
        latest = latest_answer(usable)
        if latest.revoked or self._confirmed(index, latest):
            return latest
        return next((a for a in takewhile(lambda a: not a.revoked, usable) if self._confirmed(index, a)), latest)

    def _confirmed(self, index: int, answer: Answer) -> bool:
        """Whether neither its signer's certificate nor its algorithms have ended."""
        if not index and not self._status_signer_valid(answer):
            return False
        return all(self.case.still_reliable(until, self.now) for _, _, until in status_materials(self.case, answer))

    def _algorithms(self, index: int) -> None:
        """Cryptographic constraints on the certificate and its status, at the current time."""
        cert, issuer = facts(self.path.certs[index]), facts(self.path.certs[index + 1])
        materials = [(self.path.certs[index].id, "certificate", self.case.timetable.until(cert.algorithm, issuer.bits))]
        if index in self.chosen:
            materials += status_materials(self.case, self.chosen[index])
        for material, what, until in materials:
            why = f"the algorithms of the {what} are acceptable"
            problem = Problem(Kind.WEAK, SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, index, "5.2.8.4", why, until, material)
            self._require(self.case.still_reliable(until, self.now), problem)

    def _validity(self, index: int) -> None:
        """The end entity's validity is the block's own; an authority's is RFC 5280 section 6.1.3 (a) (2)."""
        valid = self._within(facts(self.path.certs[index]))
        if index:
            why = "the authority's certificate is within its validity"
            sub = SubIndication.OUT_OF_BOUNDS_NO_POE
            self._require(valid, Problem(Kind.AUTHORITY_OUTSIDE, sub, index, "RFC 5280 6.1.3 (a) (2)", why))
            return
        latest = self.chosen.get(0)
        signer_valid = latest is None or self._status_signer_valid(latest)
        known = latest is not None and not latest.revoked and signer_valid
        sub = SubIndication.OUT_OF_BOUNDS_NOT_REVOKED if known or 0 not in self.needed else SubIndication.OUT_OF_BOUNDS_NO_POE
        self._require(valid, Problem(Kind.OUTSIDE, sub, 0, "5.2.6", "the certificate is within its validity"))
        if latest is not None:
            why = "whoever signed the status is within the validity of his certificate"
            problem = Problem(Kind.STATUS_OUTSIDE, SubIndication.REVOCATION_OUT_OF_BOUNDS_NO_POE, 0, "5.2.6", why)
            self._require(signer_valid, problem, self.rules.status_issuer_valid)

    def _status_signer_valid(self, latest: Answer) -> bool:
        if self.rules.status_issuer_valid is not Level.FAIL or self.case.finder(Purpose.RESPONDER).anchor_of(latest.signer):
            return True
        return self._within(facts(latest.signer))

    def _within(self, cert: Facts) -> bool:
        return self.now.reaches(cert.not_before) and not self.now.passes(cert.not_after)


def facts_name(cert: Cert) -> str:
    """For people; a certificate whose names cannot be read is told by its fingerprint."""
    try:
        return cert.name
    except Exception:  # noqa: BLE001  # cryptography raises many kinds on strangers' names
        return cert.id.hex()[:16]


def _broken(fault: Fault) -> Problem:
    return Problem(Kind.BROKEN, SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE, fault.index, fault.clause, fault.why)


_OF_AUTHORITIES = frozenset(("key_cert_sign", "crl_sign"))
"""RFC 5280 section 4.2.1.3: usages that an authority's key has, and no other."""


def _purpose_checks(cert: Cert, purpose: Purpose, rules: CertificateRules) -> list[tuple[bool, str, str, SubIndication, Level]]:
    own = facts(cert)
    constraint = SubIndication.CHAIN_CONSTRAINTS_FAILURE
    checks = []
    if purpose is not Purpose.RESPONDER:
        forbidden = SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE
        ok = not own.has(NO_CHECK)
        checks.append((ok, "RFC 6960 4.2.2.2.1", "only a responder has id-pkix-ocsp-nocheck", forbidden, rules.forbidden_extensions))
    usages = own.key_usage
    allowed = usages is None or bool(usages & set(rules.key_usages))
    checks.append((allowed, "RFC 5280 4.2.1.3", f"key usage is one of {', '.join(rules.key_usages)}", constraint, rules.key_usage))
    if purpose is Purpose.UNIT:
        named = own.purposes is not None and TIME_STAMPING in own.purposes
        checks.append((named, "RFC 3161 2.3", "extended key usage is timeStamping", constraint, rules.purpose))
        authority = own.ca or (usages is not None and not usages.isdisjoint(_OF_AUTHORITIES))
        alone = own.purposes == frozenset({TIME_STAMPING}) and own.extensions[EXTENDED_KEY_USAGE][0] and not authority
        why = "extended key usage is timeStamping alone and critical, and the unit is no authority"
        checks.append((alone, "RFC 3161 2.3", why, constraint, rules.purpose_alone))
    return checks


def needs_status(case: Ground, cert: Cert, purpose: Purpose, index: int) -> bool:
    """Whether revocation has to be looked up: not for what is self-signed, short-lived by its own word, or a responder's with no-check."""
    own = facts(cert)
    if own.self_issued and signed_by(cert, cert):
        return False
    if index == 0 and purpose is Purpose.RESPONDER and own.has(NO_CHECK):
        return False
    return not (index == 0 and case.policy.status.short_term_extensions and (own.has(SHORT_TERM) or own.has(NO_REV_AVAIL)))


@dataclass(frozen=True)
class _Usable:
    answers: tuple[Answer, ...]
    now: Moment


def usable_answers(case: Ground, path: Path, index: int, purpose: Purpose, now: Moment) -> tuple[Answer, ...]:
    """The answers that pass clause 5.2.6's conditions on revocation data, newest first.

    Among them revocations told after the certificate's end by someone who does not say that he keeps expired certificates: such an answer is
    heard, but that it is there does not make the status known.
    """
    known: list[_Usable] = case.once(("usable", path, index, purpose), list)
    found = next((u for u in tuple(known) if now.within(u.now.since, u.now.until)), None)
    if found is None:
        own, given = now.alone(), answers(path, index, case.sources, case.finder(purpose))
        found = _Usable(tuple(a for a in given if _accepted(case, a, path, index, frozenset({path.certs[index]}), own)), own)
        now.within(own.since, own.until)
        known.append(found)
        del known[:-MOST_OUTCOMES]
    return found.answers


def latest_answer(usable: tuple[Answer, ...]) -> Answer:
    """The one that counts: the newest; but no later answer takes back a revocation that was no suspension (RFC 5280 section 5.3.1)."""
    return next((a for a in usable if a.revoked and not a.on_hold), usable[0])


def is_fresh(case: Ground, answer: Answer, at: datetime) -> bool:
    """Clause 5.2.5.4."""
    age = case.policy.max_age(answer.interval)
    return age is None or at - answer.this_update < age


def stale_from(case: Ground, answer: Answer) -> datetime | None:
    """The time from which on it is not fresh; None where it always is."""
    age = case.policy.max_age(answer.interval)
    return None if age is None or age >= datetime.max.replace(tzinfo=answer.this_update.tzinfo) - answer.this_update else answer.this_update + age


def _accepted(case: Ground, answer: Answer, path: Path, index: int, seen: frozenset[Cert], now: Moment) -> bool:
    """The answer speaks of the certificate, and its signer is himself beyond doubt: nobody vouches for himself."""
    if unusable(answer, path.certs[index]) is not None or is_key_and_name(answer.signer, path.certs[index]):
        return False
    if answer.authority is Authority.CHAIN and case.policy.status.responder is not Responder.CHAIN:
        return False
    if answer.authority is Authority.ANCHOR:
        return True
    signer_path = path_of_signer(case, answer, path, index)
    if signer_path is None:
        return False
    rules = case.rules(Purpose.RESPONDER)
    for position, cert in enumerate(signer_path.certs[:-1]):
        if cert in seen:
            continue
        seen |= {cert}
        if not needs_status(case, cert, Purpose.RESPONDER, position):
            continue
        if (rules.issuer_status if position else rules.status) is not Level.FAIL:
            continue
        found = answers(signer_path, position, case.sources, case.finder(Purpose.RESPONDER))
        usable = tuple(a for a in found if _accepted(case, a, signer_path, position, seen, now))
        if not any(has_information(a, facts(cert)) for a in usable):
            return False
        if position == 0 and answer.authority is not Authority.ISSUER and _disowned(latest_answer(usable), now):
            return False
    return True


def _disowned(status: Answer, now: Moment) -> bool:
    return status.revoked_at is not None and now.reaches(status.revoked_at)


def path_of_signer(case: Ground, answer: Answer, path: Path, index: int) -> Path | None:
    """The chain of the status's signer: the rest of this chain, or a branch of it."""
    finder = case.finder(Purpose.RESPONDER)
    if answer.authority is Authority.ISSUER:
        return Path(path.certs[index + 1 :])
    return next((p for p in finder.paths(answer.signer) if not p.faults), None)


def status_materials(case: Ground, answer: Answer) -> list[tuple[Id, str, datetime]]:
    """What a status rests on: its signature, and its signer's certificate where that is a delegate's."""
    signer = facts(answer.signer)
    found = [(answer.id, "status", case.timetable.until(answer.algorithm, signer.bits))]
    if answer.authority in (Authority.DELEGATE, Authority.CHAIN):
        above = next((p.certs[1] for p in case.finder(Purpose.RESPONDER).paths(answer.signer) if len(p.certs) > 1), None)
        bits = facts(above).bits if above else 0
        found.append((answer.signer.id, "status signer's certificate", case.timetable.until(signer.algorithm, bits)))
    return found
