"""Validation policies as readable data: what is required, and how hard (EN 319 102-1 clause 5.1.4: validation constraints).

A policy is a TOML file; the shipped ones are in verifier/policies. What a file does not say is the strict default, never a skipped
check; a key that is not known is an error. The classes here are the schema: their defaults are the policy `strict`.
"""

import dataclasses
import functools
import importlib.resources
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from trust import suites
from trust.errors import Malformed, NotFound

SHIPPED = ("strict", "eu", "japan", "archive")
MAX_HOURS = 1_000_000
"""About a century: longer ages are slips of the pen."""


class Level(StrEnum):
    """What follows when a constraint is not met."""

    FAIL = "fail"
    WARN = "warn"
    IGNORE = "ignore"


class Responder(StrEnum):
    """Whose delegated OCSP responder is believed (RFC 6960 section 4.2.2.2)."""

    ISSUER = "issuer"
    """The one that issued the certificate in question certified it."""
    CHAIN = "chain"
    """Any authority of the certificate's own chain, up to the anchor, certified it: section 4.2.2.2's `local configuration`, told by the anchor."""


class Freshness(StrEnum):
    """At what time status must be fresh (EN 319 102-1 clause 5.2.5)."""

    NOW = "now"
    """At the validation time; what is not may be fresh at the best signature time of a signature that proves one (clause 5.5.4 step 6)."""
    AT_USE = "at-use"
    """... and for a stamp at the time that it states, so that a file that was complete when it was made stays so.

    deviates: clause 5.4 asks for status of the unit that is fresh at the validation time, which no file can carry with it."""
    IGNORE = "ignore"


@dataclass(frozen=True)
class AlgorithmRules:
    """Which algorithms, until when (clause 4.2.5.x, TS 119 312)."""

    timetable: str = "kakuin"
    """A table of trust/suites.toml."""
    forecasts: Level = Level.FAIL
    """For ends that lie after the timetable's own date of issue."""


@dataclass(frozen=True)
class SignatureRules:
    """Of the signature itself: format, references, signed attributes (clauses 5.2.2 to 5.2.4, 5.2.7, 5.2.8)."""

    signing_certificate_reference: Level = Level.FAIL
    """A signed reference to the signing certificate is there."""
    one_signing_certificate_reference: Level = Level.FAIL
    """... and only one of a kind (RFC 5035 section 3, EN 319 122-1 clause 5.2.2)."""
    signing_certificate_digest: Level = Level.FAIL
    """The digest algorithm of that reference is acceptable. Never asked of stamps: their authorities still write SHA-1 there (RFC 3161)."""
    issuer_serial: Level = Level.WARN
    """Issuer and serial in that reference, where they are there, are the certificate's: clause 5.2.3 itself asks for a warning only."""
    signing_time: Level = Level.FAIL
    signing_time_in_certificate: Level = Level.FAIL
    """The claimed time lies in the signing certificate's validity."""
    signed_attributes: Level = Level.FAIL
    """CMS: the signature covers attributes, not the bare content."""
    manifest_entries_found: Level = Level.FAIL
    """Every entry of a signed manifest is there; one that is there and differs always fails."""
    structure: Level = Level.WARN
    """The format's lesser rules: oddities known from sound files of real makers."""
    policy: Level = Level.WARN
    """An explicit signature policy is one that this policy knows (`policies`)."""
    policies: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimeRules:
    """Of stamps beside signatures (clauses 5.5 and 5.6)."""

    coherence: Level = Level.FAIL
    """Clause 5.5.4 step 4 e): the stamps' times are in the order in which they cover one another."""
    delay_hours: float | None = None
    """Clause 5.5.4 step 5: the claimed time may be at most this much before the best signature time; None: no such constraint."""
    ordered_accuracy: bool = True
    """RFC 3161 section 2.4.2: times nearer than both accuracies say nothing of order."""


@dataclass(frozen=True)
class StatusRules:
    """Of revocation data (clauses 5.2.5 and 5.2.6)."""

    responder: Responder = Responder.ISSUER
    freshness: Freshness = Freshness.AT_USE
    max_age_hours: float | None = None
    """How old status may be and still be fresh; None: as long as from its thisUpdate to its nextUpdate, and never fresh without nextUpdate."""
    embedded: Level = Level.FAIL
    """A signature whose level says that it carries its status (-LT, -LTA, -XL, -A) carries status that is acceptable and fresh at the time of use."""
    short_term_extensions: bool = False
    """A certificate that says of itself that it needs no status (ETSI valassured-ST, RFC 9608 noRevAvail) needs none."""


@dataclass(frozen=True)
class CertificateRules:
    """Of the chain of one purpose."""

    status: Level = Level.FAIL
    """Acceptable status of the signing certificate is there."""
    issuer_status: Level = Level.FAIL
    """The same of the authorities above it."""
    status_issuer_valid: Level = Level.FAIL
    """Whoever signed the signing certificate's status is within its own validity now, or was proved to exist then (clause 5.6.2.4 step 1)."""
    key_usage: Level = Level.FAIL
    """keyUsage, where it is there, has one of `key_usages`."""
    key_usages: tuple[str, ...] = ("digital_signature", "content_commitment")
    purpose: Level = Level.FAIL
    """Extended key usage: timeStamping for units (OCSPSigning for responders is always asked); sealing and signing have none of their own."""
    subject_key_identifier: Level = Level.WARN
    """Authorities carry one (RFC 5280 section 4.2.1.2)."""
    name_constraints: Level = Level.FAIL
    certificate_policies: Level = Level.FAIL
    forbidden_extensions: Level = Level.FAIL
    """id-pkix-ocsp-nocheck in a certificate that is no responder's, noRevAvail in an authority's (RFC 6960, RFC 9608)."""
    purpose_alone: Level = Level.FAIL
    """A unit's extended key usage names nothing but timeStamping and is critical, and the unit is no authority (RFC 3161 section 2.3)."""
    anchors: tuple[str, ...] | None = None
    """SHA-256 fingerprints, in hexadecimal, of the anchors that may serve this purpose; None: all that are given."""


@dataclass(frozen=True)
class Policy:
    """One validation policy."""

    crosses_as_one: ClassVar[bool] = True
    """Between processes: see trust.edge.wire."""

    name: str
    description: str = ""
    algorithms: AlgorithmRules = field(default_factory=AlgorithmRules)
    signature: SignatureRules = field(default_factory=SignatureRules)
    time: TimeRules = field(default_factory=TimeRules)
    status: StatusRules = field(default_factory=StatusRules)
    signer: CertificateRules = field(default_factory=CertificateRules)
    """Of signatures and seals."""
    countersigner: CertificateRules = field(default_factory=CertificateRules)
    unit: CertificateRules = field(default_factory=CertificateRules)
    """Of timestamping units."""
    responder: CertificateRules = field(default_factory=CertificateRules)
    """Of those who sign status."""
    sunset: Mapping[str, datetime] = field(default_factory=dict, hash=False)
    """Anchors that are believed only for what was proved before a date: fingerprint -> date (clause 5.2.6.4 step 1 a)."""

    def without_signing_time(self) -> "Policy":
        """The same for a signature whose claimed time stands elsewhere: the CMS of a PDF, apart from the PDF."""
        return self._without_signing_time

    @functools.cached_property
    def _without_signing_time(self) -> "Policy":
        return replace(self, signature=replace(self.signature, signing_time=Level.WARN))

    @functools.cached_property
    def timetable(self) -> suites.Timetable:
        return timetables()[self.algorithms.timetable]

    def max_age(self, interval: timedelta | None) -> timedelta | None:
        """Clause 5.2.5: the longest age of status whose nextUpdate - thisUpdate is `interval`; None where any age will do."""
        if self.status.freshness is Freshness.IGNORE:
            return None
        if self.status.max_age_hours is not None:
            return timedelta(hours=self.status.max_age_hours)
        return interval if interval is not None else timedelta(0)


@functools.cache
def timetables() -> Mapping[str, suites.Timetable]:
    return suites.parse(importlib.resources.files("trust").joinpath("suites.toml").read_text("utf-8"))


@functools.lru_cache(maxsize=64)
def load(policy: str) -> Policy:
    """A policy by its shipped name, or from the text of a TOML file. NotFound for an unknown name, Malformed for a text that breaks the schema."""
    if "\n" not in policy and "=" not in policy:
        if policy not in SHIPPED:
            raise NotFound(f"unknown policy {policy[:40]!r}, one of {', '.join(SHIPPED)} expected")
        policy = importlib.resources.files("verifier").joinpath(f"policies/{policy}.toml").read_text("utf-8")
    try:
        data = tomllib.loads(policy)
    except (ValueError, RecursionError) as error:  # TOML that is none, and numbers and nesting of any size
        raise Malformed(f"policy is not TOML: {error}") from error
    made = _filled(Policy, data, "policy")
    if made.algorithms.timetable not in timetables():
        raise Malformed(f"policy: unknown timetable {made.algorithms.timetable[:40]!r}, one of {', '.join(timetables())} expected")
    return made


_T = TypeVar("_T")


def _filled(schema: type[_T], data: object, place: str) -> _T:
    """The dataclass with the table's values; what the table does not say keeps its default."""
    if not isinstance(data, dict):
        raise Malformed(f"{place}: a table expected, got {type(data).__name__}")
    hints = typing.get_type_hints(schema)
    known = {f.name: f for f in dataclasses.fields(schema)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise Malformed(f"{place}: unknown key {unknown[0][:40]!r}")
    missing = [n for n, f in known.items() if n not in data and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    if missing:
        raise Malformed(f"{place}: key {missing[0]!r} is missing")
    return schema(**{name: _value(hints[name], value, f"{place}.{name}") for name, value in data.items()})


def _value(kind: Any, value: object, place: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _one_of(typing.get_args(kind), value, place)
    if origin is tuple:
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise Malformed(f"{place}: a list of texts expected")
        return tuple(value)
    if origin is Mapping or kind is Mapping:
        return _dates(value, place)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _filled(kind, value, place)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if value not in list(kind):
            raise Malformed(f"{place}: one of {', '.join(kind)} expected, got {value!r:.40}")
        return kind(str(value))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_HOURS:
        return float(value)
    if kind in (str, bool) and isinstance(value, kind):
        return value
    raise Malformed(f"{place}: {getattr(kind, '__name__', kind)} expected, got {value!r:.40}")


def _one_of(kinds: tuple[Any, ...], value: object, place: str) -> Any:
    for kind in kinds:
        if kind is not types.NoneType:
            try:
                return _value(kind, value, place)
            except Malformed:
                continue
    names = ", ".join(str(getattr(k, "__name__", k)) for k in kinds if k is not types.NoneType)
    raise Malformed(f"{place}: {names} expected, got {value!r:.40}")


def _dates(value: object, place: str) -> dict[str, datetime]:
    if not isinstance(value, dict):
        raise Malformed(f"{place}: a table of dates expected")
    made: dict[str, datetime] = {}
    for name, when in value.items():
        if not isinstance(when, datetime) or when.tzinfo is None:
            raise Malformed(f"{place}: a date and time with its zone expected")
        made[name.lower()] = when.astimezone(UTC)
    return made
