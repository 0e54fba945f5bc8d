"""The authority as an instance's settings want it: which units there are, what each says in its tokens, and by which clock."""

import functools
from typing import TYPE_CHECKING

from trust.edge.eight import sure_of
from trust.edge.keystore import FileKey
from trust.edge.operations.health import UnitSeen
from trust.edge.units import DEFAULT_UNIT, UnitSettings, key_name
from trust.errors import Unavailable
from trust.ports import Stamper
from tsa.events import serials
from tsa.issue import Refused, Unit, UnitFailed
from tsa.policy import Policy
from tsa.refusals import OWN
from tsa.service import Authority
from tsa.units import Place

if TYPE_CHECKING:
    from trust.edge.clock.keeper import Timekeeper
    from trust.edge.instance import Instance
    from trust.model import Digest


def authority_of(instance: "Instance", timekeeper: "Timekeeper | None") -> Authority:
    """`timekeeper` None: under the development clock."""
    places = places_of(instance)
    accuracy = min(place.unit.policy.accuracy_us for place in places)
    clock = instance.clock if timekeeper is None else timekeeper.clock(accuracy)
    return Authority(places, instance.journal, clock)


def places_of(instance: "Instance") -> list[Place]:
    """Its units, that of /tsa first. Misconfigured; Unavailable."""
    settings = instance.settings
    names = (DEFAULT_UNIT, *(name for name in instance.units if name != DEFAULT_UNIT))
    places = []
    for name in names:
        fallback = settings.units[name].fallback if name in settings.units else ""
        reopen = functools.partial(_reopened, instance, name)
        places.append(Place(name, unit_of(instance, name), fallback if fallback in names else None, reopen, functools.partial(_standing, instance)))
    return places


def fault_of(instance: "Instance", unit: Unit) -> str | None:
    """Why a unit could not issue now, as far as that is told without using its key; None where nothing is against it."""
    if (why := _standing(instance, unit)) is not None:
        return why
    if instance.clock() > unit.ends:
        return "its private key's period has ended"
    if not isinstance(unit.key, FileKey):
        from trust.edge.hsm import TokenKey

        try:
            if isinstance(unit.key, TokenKey):
                unit.key.find()
        except Unavailable as error:
            return str(error)
    return None


def unit_of(instance: "Instance", name: str) -> Unit:
    """The time-stamping unit `name`, as its settings say."""
    settings = instance.settings
    general, said = settings.tsa, settings.units.get(name, UnitSettings())
    policy = Policy(
        settings.token_policy(said.policy or general.policy),
        also=frozenset() if settings.development_clock else frozenset(said.policies),
        digests=frozenset(said.hashes or general.hashes),
        accuracy_us=said.accuracy_us or general.accuracy_ms * 1000,
        ordering=said.ordering,
        names_unit=said.names_unit,
        qualified=said.qualified,
    )
    key = instance.key(key_name(name))
    # Named after its certificate: a serial is never used twice under one name, whatever key comes later.
    return Unit.of(serials(key.certificate), policy, key, sure_of if general.eight_at_once else None)


def _reopened(instance: "Instance", name: str) -> Unit:
    instance.forget(key_name(name))
    return unit_of(instance, name)


def _standing(instance: "Instance", unit: Unit) -> str | None:
    """Why a unit must not issue: its certificate was revoked."""
    return "its certificate was revoked" if instance.authority.is_revoked(unit.key.certificate) else None


def seen(authority: Authority) -> tuple[UnitSeen, ...]:
    """Its units, for whoever watches over the service."""
    return tuple(UnitSeen(each.name, each.algorithm, each.ends, each.fault, each.fallback) for each in authority.states)


def for_documents(stamp: Stamper) -> Stamper:
    """Of an authority of one's own: a unit or a clock that fails is an authority that is away, and no fault of the document."""

    def stamped(digest: "Digest") -> bytes:
        try:
            return stamp(digest)
        except Refused as error:
            if error.failure not in OWN:
                raise
            why = "no unit can issue now, and `kakuin tsa list` says why" if isinstance(error, UnitFailed) else error.why
            raise Unavailable(why) from error

    return stamped
