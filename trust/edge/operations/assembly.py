"""The parts of the operation as an instance's settings want them."""

import contextlib
import functools
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from trust.edge.operations.clients import Clients
from trust.edge.operations.commons import Commons, Connections
from trust.edge.operations.guarded_http import Hall, room
from trust.edge.operations.health import CertificateSeen, ClockSeen, UnitSeen
from trust.edge.operations.limits import Rate, rate
from trust.edge.operations.metrics import BATCH, COMMIT_SECONDS, CONNECTIONS, CONNECTIONS_REFUSED, QUEUE
from trust.edge.operations.tally import Tally
from trust.edge.operations.watch import Watch, journal_seen
from trust.errors import KakuinError, NotFound

if TYPE_CHECKING:
    from trust.edge.clock.keeper import Timekeeper
    from trust.edge.instance import Instance
    from trust.edge.settings import Settings
    from trust.log.journal import Journal

LIMITED = ("tsa", "batches", "seals", "verifications", "log", "pki")
"""Classes of routes with a setting in `[limits]`."""
KEYS = "keys"
"""What API keys have used up, by the setting of `seals`."""


def clients_of(settings: "Settings") -> Clients:
    return Clients(proxies=settings.service.trusted_proxies, operators=settings.operations.networks, unlimited=settings.limits.unlimited)


def limits_of(settings: "Settings") -> dict[str, Rate]:
    """Of each class that has one."""
    found = {name: rate(getattr(settings.limits, name)) for name in LIMITED}
    return {name: each for name, each in found.items() if each is not None}


def commons_of(settings: "Settings", workers: int) -> Commons:
    """What the workers of this service count together; made before they part."""
    return Commons(workers, (*LIMITED, KEYS), settings.limits.clients)


def hall_of(settings: "Settings", clients: Clients, tally: Tally, common: Connections | None = None) -> Hall:
    """Tells the tally of its connections. `common`: those of all workers."""
    service = settings.service

    def told(there: int, refused: int) -> None:
        tally.set(CONNECTIONS, to=there)
        tally.set(CONNECTIONS_REFUSED, to=refused)

    here = room(service.connections)
    return Hall(clients, most=service.connections, each=service.connections_each, told=told, common=common, here=here)


def watched(journal: "Journal", tally: Tally) -> None:
    """From now on the journal's transactions are counted."""
    batch, seconds, queue = tally.meter(BATCH), tally.meter(COMMIT_SECONDS), tally.gauge(QUEUE)

    def watch(requests: int, took: float) -> None:
        batch(requests)
        seconds(took)
        queue(journal.waiting)

    journal.watch = watch


def watch_of(instance: "Instance", timekeeper: "Timekeeper | None", units: Callable[[], tuple[UnitSeen, ...]]) -> Watch:
    settings = instance.settings
    try:
        log: str | None = instance.log_key.name
    except NotFound:
        log = None
    return Watch(
        functools.partial(journal_seen, instance.engine, instance.journal, settings.log.quorum),
        now=instance.clock,
        clock=functools.partial(_clock_seen, timekeeper),
        units=units,
        certificates=functools.partial(_certificates_seen, instance),
        disk=None if settings.database.url else instance.folder,
        log=log,
        interval=settings.log.interval_ms / 1000,
    )


def _clock_seen(timekeeper: "Timekeeper | None") -> ClockSeen | None:
    if timekeeper is None:
        return None
    found = timekeeper.status()
    return ClockSeen(found.state.value, found.why, found.good, found.bound_us, found.accuracy_us)


def _certificates_seen(instance: "Instance") -> tuple[CertificateSeen, ...]:
    """Those that lie in the folder, with their keys or without."""
    found = []
    for name in sorted(path.stem for path in (instance.folder / "certificates").glob("*.pem")):
        ends: datetime | None = None
        with contextlib.suppress(KakuinError):
            ends = instance.certificate(name).not_after
        found.append(CertificateSeen(name, ends))
    return tuple(found)


def level_of(settings: "Settings") -> int:
    """Of logging."""
    return logging.getLevelNamesMapping()[settings.operations.log_level.upper()]
