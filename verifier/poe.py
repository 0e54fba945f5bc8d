"""Proofs of existence (EN 319 102-1 clause 5.6.2.3): when an object is known to have been there already."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trust.model import Id

_RECENT = 64
"""Objects that one extension may copy, so that ten thousand extensions stay linear."""


@dataclass(frozen=True, slots=True)
class Proofs:
    """Object -> earliest proved time. Immutable; what nothing proves exists since `now` (clause 5.6.3.4 step 2)."""

    now: datetime
    _old: Mapping[Id, datetime] = field(default_factory=dict, repr=False)
    _recent: Mapping[Id, datetime] = field(default_factory=dict, repr=False)

    def of(self, thing: Id) -> datetime:
        """The earliest time at which the object is proved to have existed."""
        return min(self._old.get(thing, self.now), self._recent.get(thing, self.now))

    def extended(self, things: Iterable[Id], when: datetime) -> "Proofs":
        """With each of the things proved at `when` too; a proof never makes a thing younger, and never one from the future."""
        new = {thing: when for thing in things if when < self.of(thing)}
        if not new:
            return self
        recent = {**self._recent, **new}
        if len(recent) <= _RECENT:
            return Proofs(self.now, self._old, recent)
        old = dict(self._old)
        for thing, time in recent.items():
            old[thing] = min(time, old.get(thing, time))
        return Proofs(self.now, old)
