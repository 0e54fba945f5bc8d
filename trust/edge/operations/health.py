"""How the service does: what was found out, and what it means. Purely; `trust.edge.operations.watch` finds out.

`fail` means that a request for a time-stamp would be refused now; `warn` that it is granted and somebody should look. Each finding says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from trust.log.line import MAX_WAITING

Fact = str | int | float | bool | None


class Level(StrEnum):
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


_ORDER = tuple(Level)

DAYS_LEFT = 30
"""Of a certificate: fewer want attention."""
FREE_BYTES, LEAST_BYTES = 2 << 30, 64 << 20
"""On the disk: fewer want attention; with fewer than the second nothing can be recorded for long."""
LAG_SECONDS = 60
"""An entry that no checkpoint covers after so long, or ten intervals."""
SLOW_SECONDS = 3
"""Of one transaction: more want attention."""
CROWDED = MAX_WAITING // 4
"""Requests that wait for the journal: more want attention."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    why: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Fact]:
        return {"status": self.level.value, **({"why": self.why} if self.why else {}), **self.facts}


@dataclass(frozen=True, slots=True)
class UnitSeen:
    """A time-stamping unit."""

    name: str
    algorithm: str
    ends: datetime
    """The last moment at which it may issue."""
    fault: str | None
    """Why it is passed over."""
    fallback: str | None


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    name: str
    """Of its key: root, ca, tsu, ocsp, seal-…"""
    ends: datetime | None
    """None where its file cannot be read."""


@dataclass(frozen=True, slots=True)
class JournalSeen:
    """What the database and the journal's writer said."""

    reachable: bool
    why: str = ""
    size: int = 0
    committed: datetime | None = None
    """When the newest entry was recorded."""
    serials: Mapping[str, int] = field(default_factory=dict)
    """The next serial number of each unit's sequence."""
    checkpoint_size: int | None = None
    checkpoint_at: datetime | None = None
    uncovered_at: datetime | None = None
    """When the oldest entry was recorded that no checkpoint covers."""
    queue: int = 0
    busy: float = 0.0
    """Seconds that a transaction has taken so far."""
    fault: str | None = None
    """Why the last transaction failed, and an attempt to make one now."""


@dataclass(frozen=True, slots=True)
class ClockSeen:
    """None where nobody keeps the clock: the development clock."""

    state: str
    why: str
    good: bool
    bound_us: int | None
    accuracy_us: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was looked at, at one moment."""

    at: datetime
    clock: ClockSeen | None
    journal: JournalSeen
    units: tuple[UnitSeen, ...]
    certificates: tuple[CertificateSeen, ...]
    disk_free: int | None
    """Bytes; None where the database is elsewhere."""
    log: str | None
    """The log's name; None while it has no key."""
    interval: float
    """Seconds between two checkpoints."""
    draining: bool = False
    serves_units: bool = True
    """This process makes time-stamps."""


@dataclass(frozen=True, slots=True)
class Health:
    """What it means."""

    seen: Seen
    checks: Mapping[str, Finding]
    units: Mapping[str, Finding]
    certificates: Mapping[str, Finding]

    @property
    def level(self) -> Level:
        every = (*self.checks.values(), *self.certificates.values(), *(_softer(each) for each in self.units.values()))
        return max((each.level for each in every), key=_ORDER.index)

    @property
    def ready(self) -> bool:
        """A request for a time-stamp would be granted."""
        return self.level is not Level.FAIL

    @property
    def document(self) -> dict[str, object]:
        """As health.schema.json says."""
        return {
            "status": self.level.value,
            "time": _text(self.seen.at),
            "draining": self.seen.draining,
            "checks": {name: each.document for name, each in self.checks.items()},
            "units": {name: each.document for name, each in self.units.items()},
            "certificates": {name: each.document for name, each in self.certificates.items()},
        }


def _softer(unit: Finding) -> Finding:
    """One unit that fails is not the service's end: `_tokens` says whether another stands in."""
    return Finding(min(unit.level, Level.WARN, key=_ORDER.index))


def judge(seen: Seen) -> Health:
    units = {each.name: _unit(each, seen) for each in seen.units}
    checks = {
        "clock": _clock(seen.clock),
        "database": Finding(Level.PASS) if seen.journal.reachable else Finding(Level.FAIL, seen.journal.why),
        "journal": _journal(seen),
        "tokens": _tokens(seen, units),
        "log": _log(seen),
        "disk": _disk(seen.disk_free),
        "service": Finding(Level.FAIL, "the service is ending") if seen.draining else Finding(Level.PASS),
    }
    return Health(seen, checks, units, {each.name: _certificate(each, seen.at) for each in seen.certificates})


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else round(max(0.0, (now - moment).total_seconds()), 3)


def days(until: datetime, now: datetime) -> int:
    """Whole days left; negative when it is over."""
    return (until - now) // timedelta(days=1)


def _clock(clock: ClockSeen | None) -> Finding:
    if clock is None:
        facts: dict[str, Fact] = {"state": "development", "bound_us": None, "accuracy_us": None}
        return Finding(Level.WARN, "the development clock: nobody checks this machine's time, so time-stamps prove nothing", facts)
    facts = {"state": clock.state, "bound_us": clock.bound_us, "accuracy_us": clock.accuracy_us}
    return Finding(Level.PASS, "", facts) if clock.good else Finding(Level.FAIL, clock.why, facts)


def _journal(seen: Seen) -> Finding:
    found = seen.journal
    facts: dict[str, Fact] = {
        "entries": found.size if found.reachable else None,
        "last_commit": _text(found.committed),
        "last_commit_age_seconds": _age(found.committed, seen.at),
        "queue": found.queue,
    }
    if found.fault is not None:
        return Finding(Level.FAIL, found.fault, facts)
    if found.queue >= CROWDED:
        level = Level.FAIL if found.queue >= MAX_WAITING else Level.WARN
        return Finding(level, f"{found.queue} requests wait for the journal, and {MAX_WAITING} may", facts)
    if found.busy >= SLOW_SECONDS:
        return Finding(Level.WARN, f"a transaction has taken {found.busy:.0f} seconds so far: the database is slow, or another node", facts)
    return Finding(Level.PASS, "", facts)


def _unit(unit: UnitSeen, seen: Seen) -> Finding:
    left = days(unit.ends, seen.at)
    facts: dict[str, Fact] = {"algorithm": unit.algorithm, "ends": _text(unit.ends), "days_left": left, "stand_in": unit.fallback}
    if unit.fault is not None:
        return Finding(Level.FAIL, unit.fault, facts)
    if unit.ends < seen.at:
        return Finding(Level.FAIL, "the private key's period has ended", facts)
    return Finding(Level.WARN, f"the private key's period ends in {left} days", facts) if left < DAYS_LEFT else Finding(Level.PASS, "", facts)


def _tokens(seen: Seen, units: Mapping[str, Finding]) -> Finding:
    """Which unit answers where a request names none: the first, or who stands in for it."""
    if not seen.serves_units:
        return Finding(Level.PASS, "", {"active": None})
    by_name = {each.name: each for each in seen.units}
    tried: list[str] = []
    name: str | None = seen.units[0].name if seen.units else None
    while name is not None and name in by_name and name not in tried:
        if units[name].level is not Level.FAIL:
            why = f"{name} stands in for {tried[0]}" if tried else ""
            return Finding(Level.WARN if tried else Level.PASS, why, {"active": name})
        tried.append(name)
        name = by_name[name].fallback
    return Finding(Level.FAIL, f"no unit can issue: {', '.join(tried) or 'there is none'}", {"active": None})


def _certificate(certificate: CertificateSeen, now: datetime) -> Finding:
    if certificate.ends is None:
        return Finding(Level.WARN, "its file cannot be read", {"ends": None, "days_left": None})
    left = days(certificate.ends, now)
    facts: dict[str, Fact] = {"ends": _text(certificate.ends), "days_left": left}
    if certificate.ends < now:
        return Finding(Level.WARN, "it has ended", facts)
    return Finding(Level.WARN, f"it ends in {left} days", facts) if left < DAYS_LEFT else Finding(Level.PASS, "", facts)


def _log(seen: Seen) -> Finding:
    found = seen.journal
    covered = found.checkpoint_size
    facts: dict[str, Fact] = {
        "origin": seen.log,
        "checkpoint_entries": covered,
        "checkpoint_time": _text(found.checkpoint_at),
        "checkpoint_age_seconds": _age(found.checkpoint_at, seen.at),
        "lag_seconds": _age(found.uncovered_at, seen.at) or 0.0,
    }
    if seen.log is None:
        return Finding(Level.WARN, "the log has no key yet: `kakuin log init` makes it", facts)
    lag = _age(found.uncovered_at, seen.at) or 0.0
    if found.reachable and lag > max(LAG_SECONDS, 10 * seen.interval):
        return Finding(Level.WARN, f"no checkpoint covers what was recorded {lag:.0f} seconds ago", facts)
    return Finding(Level.PASS, "", facts)


def _disk(free: int | None) -> Finding:
    if free is None:
        return Finding(Level.PASS)
    facts: dict[str, Fact] = {"free_bytes": free}
    if free < LEAST_BYTES:
        return Finding(Level.FAIL, "the disk is full", facts)
    return Finding(Level.WARN, "the disk is nearly full", facts) if free < FREE_BYTES else Finding(Level.PASS, "", facts)
