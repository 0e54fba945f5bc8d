"""Finds out how the service does: cheaply, at most once in a second, and never longer than somebody waits."""

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, select

from trust.edge.engine import refused
from trust.edge.operations.health import CertificateSeen, ClockSeen, Health, JournalSeen, Seen, UnitSeen, judge
from trust.errors import KakuinError
from trust.log.journal import Journal, microseconds
from trust.log.stored import Stored
from trust.log.tables import NEXT
from trust.log.turns import BEHIND
from trust.ports import Clock

FRESH = 1.0
"""Seconds for which what was found out is told again."""
PATIENCE = 2.0
"""Seconds that the database may take to answer; who asks for health has little time."""
CERTIFICATES_FRESH = 60.0
"""Seconds for which files of certificates are not read again."""


def _recorded(journal: Journal, number: int) -> datetime | None:
    return next((entry.at for entry in journal.read(number, number + 1)), None)


def journal_seen(engine: Engine, journal: Journal, quorum: int) -> JournalSeen:
    """What the database says: three rows. After a transaction that failed another one is tried, which writes nothing and flushes."""
    try:
        if not journal.alive:
            return JournalSeen(reachable=True, queue=journal.waiting, fault="nobody writes the journal any more: start the service again")
        if journal.fault is not None:
            journal.alongside(lambda _: None)
        newest = Stored(engine, quorum).checkpoint()
        with refused(engine), engine.connect() as connection:
            rows = {str(name): (int(value), at) for name, value, at in connection.execute(select(NEXT.c.name, NEXT.c.value, NEXT.c.at))}
        size, _ = rows.pop("", (0, None))
        covered = 0 if newest is None else newest.size
        committed = _recorded(journal, size - 1) if size else None
        uncovered = _recorded(journal, covered) if size > covered else None
    except KakuinError as error:
        return JournalSeen(reachable=False, why=str(error), queue=journal.waiting, fault=journal.fault)
    return JournalSeen(
        reachable=True,
        size=size,
        committed=committed,
        serials={unit: following for unit, (following, _) in rows.items()},
        checkpoint_size=None if newest is None else newest.size,
        checkpoint_at=None if newest is None else newest.at,
        uncovered_at=uncovered,
        queue=journal.waiting,
        busy=journal.busy,
        fault=journal.fault or _behind(journal, [at for _, at in rows.values() if at is not None]),
    )


def _behind(journal: Journal, given: Sequence[int]) -> str | None:
    """Another node's clock has given times to which this one's has not come: trust.log.turns refuses."""
    lag = (max(given, default=0) - microseconds(journal.now)) / 1e6
    return f"this node's clock is {lag:.3f} seconds behind that of the last time-stamp" if lag > BEHIND else None


class Watch:
    """For one event loop. close() at the end."""

    def __init__(
        self,
        journal: Callable[[], JournalSeen],
        *,
        now: Clock,
        clock: Callable[[], ClockSeen | None],
        units: Callable[[], tuple[UnitSeen, ...]],
        certificates: Callable[[], tuple[CertificateSeen, ...]],
        disk: Path | None,
        log: str | None,
        interval: float,
    ) -> None:
        """`journal` may take its time and is called in a thread; `clock` and `units` answer at once. `disk`: a folder on the database's disk."""
        self.draining = False
        self._journal, self._clock, self._units, self._certificates = journal, clock, units, certificates
        self._now, self._disk, self._log, self._interval = now, disk, log, interval
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._looking: asyncio.Future[JournalSeen] | None = None
        self._found: Health | None = None
        self._found_at = 0.0
        self._read: tuple[CertificateSeen, ...] = ()
        self._read_at: float | None = None

    async def health(self) -> Health:
        """As it was a second ago at most."""
        found = self._found
        if found is None or time.monotonic() - self._found_at >= FRESH:
            found = judge(self._seen(await self._asked()))
            self._found, self._found_at = found, time.monotonic()
        return judge(replace(found.seen, draining=True)) if self.draining else found

    async def _asked(self) -> JournalSeen:
        """One question at a time, however many want to know."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().run_in_executor(self._thread, self._journal)
        done, _ = await asyncio.wait({self._looking}, timeout=PATIENCE)
        if not done:
            return JournalSeen(reachable=False, why=f"the database has not answered for {PATIENCE:g} seconds")
        return self._looking.result()

    def _seen(self, journal: JournalSeen) -> Seen:
        return Seen(
            self._now(),
            self._clock(),
            journal,
            self._units(),
            self._read_certificates(),
            None if self._disk is None else shutil.disk_usage(self._disk).free,
            self._log,
            self._interval,
        )

    def _read_certificates(self) -> tuple[CertificateSeen, ...]:
        now = time.monotonic()
        if self._read_at is None or now - self._read_at >= CERTIFICATES_FRESH:
            self._read, self._read_at = self._certificates(), now
        return self._read

    def close(self) -> None:
        """An answer that is awaited is nobody's any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
