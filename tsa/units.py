"""Units at work: which there are, which of them cannot issue for now, and who stands in for them.

A unit that fails is passed over for `RETRY_SECONDS`, in which its stand-in answers; then the next request tries it again, and goes to the
stand-in if it still fails. So no client waits for a key store that is away, and no probe is signed with a key that is for time-stamps alone
(EN 319 421 TIS-7.7.1-08).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from trust.errors import Misconfigured
from trust.log.page import Issuer as Numbered
from tsa.issue import Unit

RETRY_SECONDS = 5.0
"""Between two attempts with a unit that failed."""

Standing = Callable[[Unit], str | None]
"""Why a unit must not issue any more, in words for the operator; None when nothing is against it. Raises Unavailable when that cannot be told."""


@dataclass(frozen=True, slots=True)
class Place:
    """A unit and what is arranged around it."""

    name: str
    """As in the path."""
    unit: Unit
    fallback: str | None = None
    """Name of the place that stands in."""
    reopen: Callable[[], Unit] | None = None
    """The unit as it is now, from its settings, certificate and key; asked when it was stopped, because a successor may be there."""
    standing: Standing | None = None


class Issuer(Numbered, Protocol):
    """What makes a unit's tokens for the journal."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class State:
    """How a unit does."""

    name: str
    unit: str
    algorithm: str
    policy: str
    ends: datetime
    """The last moment at which it may issue."""
    fault: str | None
    """Why it is passed over."""
    fallback: str | None


class Desk:
    """A place with what changes there. Read from every thread; written by the journal's writer and by the thread that opens units."""

    def __init__(self, place: Place, issuer: Issuer) -> None:
        self.name = place.name
        self.fallback = place.fallback
        self.reopen = place.reopen
        self.standing = place.standing
        self.unit = place.unit
        self.issuer = issuer
        self.fault: str | None = None
        self._retry_at = 0.0
        self._left: list[Issuer] = []

    def tries(self, now: float) -> bool:
        """Whether a request is given to the unit, rather than to its stand-in at once."""
        return self.fault is None or now >= self._retry_at

    def fails(self, why: str, now: float) -> bool:
        """It did not issue. Whether that is news."""
        news = self.fault is None
        self.fault = why
        self._retry_at = now + RETRY_SECONDS
        return news

    def reopened(self) -> Unit | None:
        """Its successor, where there is one. Raises what opening a key does."""
        found = None if self.reopen is None else self.reopen()
        return None if found is None or found.name == self.unit.name else found

    def take(self, unit: Unit, issuer: Issuer) -> None:
        self._left.append(self.issuer)  # what it was given already is decided first
        self.unit = unit
        self.issuer = issuer
        self.fault = None

    @property
    def state(self) -> State:
        unit = self.unit
        return State(self.name, unit.name, str(unit.key.algorithm), unit.policy.oid, unit.ends, self.fault, self.fallback)

    def close(self) -> None:
        for issuer in (self.issuer, *self._left):
            issuer.close()


def placed(units: Unit | Sequence[Place]) -> tuple[Place, ...]:
    """One unit in a place of its name, or the places as given. Misconfigured for none, two of one name, or a stand-in that is not there."""
    places = (Place(units.name, units),) if isinstance(units, Unit) else tuple(units)
    names = [place.name for place in places]
    if not places or len(set(names)) != len(names):
        raise Misconfigured(f"an authority has units of different names, got {', '.join(names) or 'none'}")
    if len({place.unit.name for place in places}) != len(places):
        raise Misconfigured("two units of one authority have the same certificate: they would use the same serial numbers")
    for place in places:
        if place.fallback is not None and (place.fallback not in names or place.fallback == place.name):
            raise Misconfigured(f"unit {place.name}: the unit that stands in for it is another one of {', '.join(names)}, got {place.fallback[:40]}")
    return places
