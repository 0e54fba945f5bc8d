"""Serials for several processes on one PostgreSQL: taken at once, recorded in turn.

Signing is most of a token's work, and a serial stands inside what is signed. Under one lock for number, signature and record, processes would sign
one after the other. So a process takes serials first, in a transaction of its own that nobody waits for (`take`); signs; and then records, in the
order in which serials were taken (`in_turn`): who took later ones waits until those before are recorded or declared void. What stands in the log is
therefore in order, serials and times alike, as if one process had written it.

**A turn is a row** (`trust.log.tables.TURN`): unit, first and last serial, and the session that took them. The transaction that records deletes it;
where it is no longer there, nothing is recorded, and its waiters get a refusal. So of a turn that somebody else declared void no token ever leaves,
however late its holder comes back.

**The crash story.** A session holds an advisory lock of PostgreSQL for as long as its connection lives; a turn is recorded over the connection that
took it or not at all. Where the lock can be had, the holder is gone: whoever waits for its turn takes the row away and puts an entry
`serials-void` in its place, in one transaction. Every gap in a unit's serials is thus explained in the log before the serial that comes after it.

- Death before `take` is durable: nobody has seen the serials; they are taken again.
- `take` is not flushed by itself. PostgreSQL's log is one sequence, so the record that shows its serials flushes it too; and when the server dies
  between the two, both are gone, and nobody has seen either.
- Death between `take` and the record: void, as above. Death after the record: entries whose tokens no client got; that is allowed.
- A holder that lives and does nothing (a key store that hangs) is waited for `PATIENCE` seconds.

The sessions need connections of their own: a pooler between must keep one for each (PgBouncer: session mode).
"""

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from trust.edge.engine import unhurried
from trust.errors import Misconfigured, Unavailable
from trust.log.page import FIRST_SERIAL, microseconds
from trust.log.tables import NEXT, TURN

PATIENCE = 20.0
"""Seconds that somebody else's turn is waited for when its holder lives."""
BUSY = 10.0
"""Seconds more, after which its own clients are refused."""
LOOK = 0.05
"""Seconds of waiting after which it is asked whether the holder lives, and again after as many."""
PAUSE, LONGEST_PAUSE = 0.001, 0.008
"""Seconds between two looks whether it is one's turn: doubled each time, up to the longest."""
IDLE = 1.0
"""Seconds after which a session is tried before it is relied on: the server may have been started anew."""

TRIED = 3.0
"""Seconds that this may take."""

BEHIND = 0.1
"""Seconds that a node waits because its clock is behind that of another; one that is further behind refuses."""

REFUSED, ENDED, STALLED = "refused", "holder ended", "holder stalled"
"""Why serials are void."""

_TAKE = text(
    f"update {NEXT.name} set value = value + :count where name = :unit and value > 0 "  # noqa: S608  # names of the tables
    "returning value, at, set_config('synchronous_commit', 'off', true)"
)
_TIMED = update(NEXT).where(NEXT.c.name == bindparam("unit")).values(at=bindparam("now"))
_TAKE_ONE = text(
    f"with taken as (update {NEXT.name} set value = value + :count, at = :now "  # noqa: S608
    "where name = :unit and value > 0 and coalesce(at, 0) <= :now returning value, set_config('synchronous_commit', 'off', true)) "
    f"insert into {TURN.name} (unit, first, last, holder) select :unit, value - :count, value - 1, :holder from taken returning first"
)
"""In one round trip, where nothing is in the way."""
_CHECK = text(
    f"with removed as (delete from {TURN.name} where unit = :u and first = :f and last = :l and holder = :h returning 1) "  # noqa: S608
    f"select (select count(*) from {TURN.name} where unit = :u and first < :f), (select count(*) from removed), "
    f"(select value from {NEXT.name} where name = :u)"
)
"""How many turns come before, whether this one was there, and the unit's next serial (below 1 where it was taken out of service)."""
_FOUND = text(f"insert into {NEXT.name} (name, value) values (:unit, {FIRST_SERIAL}) on conflict do nothing")  # noqa: S608
_VALUE = select(NEXT.c.value).where(NEXT.c.name == bindparam("unit"))
_THIS = (TURN.c.unit == bindparam("u"), TURN.c.first == bindparam("f"), TURN.c.last == bindparam("l"), TURN.c.holder == bindparam("h"))
_REMOVE = delete(TURN).where(*_THIS)
_BEFORE = select(TURN.c.unit, TURN.c.first, TURN.c.last, TURN.c.holder).where(TURN.c.unit == bindparam("u"), TURN.c.first < bindparam("f"))
_GIVE_BACK = update(NEXT).where(NEXT.c.name == bindparam("u"), NEXT.c.value == bindparam("end")).values(value=bindparam("f"))
_ALL = select(TURN.c.unit, TURN.c.first, TURN.c.last, TURN.c.holder).order_by(TURN.c.unit, TURN.c.first)


@dataclass(frozen=True, slots=True)
class Turn:
    """Serials of a unit, `first` to `last`, taken by one session."""

    unit: str
    first: int
    last: int
    holder: int

    @property
    def row(self) -> dict[str, str | int]:
        return {"u": self.unit, "f": self.first, "l": self.last, "h": self.holder}

    def remove(self, connection: Connection) -> bool:
        """Whether it was still there."""
        return connection.execute(_REMOVE, self.row).rowcount == 1

    def give_back(self, connection: Connection, unused: int) -> bool:
        """Serials from `unused` on go to whoever comes next; False where somebody took later ones already."""
        return connection.execute(_GIVE_BACK, {"u": self.unit, "end": self.last + 1, "f": unused}).rowcount == 1


def void(unit: str, first: int, last: int, why: str) -> bytes:
    """The entry that explains a gap: no token with these serials was issued, and none ever will be."""
    said = {"event": "serials-void", "unit": unit, "first": first, "last": last, "why": why}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")


def voided(said: Mapping[str, Any]) -> tuple[str, int, int] | None:
    """Unit, first and last serial of such an entry's body; None for an event of another kind. ValueError for what is malformed."""
    if said.get("event") != "serials-void":
        return None
    unit, first, last = said.get("unit"), said.get("first"), said.get("last")
    if not (type(unit) is str and type(first) is int and type(last) is int and 0 < first <= last):
        raise ValueError("serials-void names a unit, and its first and last serial")
    return unit, first, last


def _not_before(before: int, clock: Callable[[], datetime]) -> datetime:
    """The time, once it is not before that of the serials before. Unavailable where that takes longer than `BEHIND`."""
    now = clock()
    lag = (before - microseconds(now)) / 1e6
    if lag > BEHIND:
        raise Unavailable(f"this node's clock is {lag:.3f} seconds behind that of the last time-stamp")
    while microseconds(now) < before:
        time.sleep(lag)
        now = clock()
    return now


@contextlib.contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Statements that are transactions of their own: without the round trips of a beginning and an end."""
    connection.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with connection.begin():
            yield
    finally:
        if not connection.invalidated:
            connection.execution_options(isolation_level="READ COMMITTED")


class Turns:
    """A process's session. For one thread, the journal's writer."""

    def __init__(self, engine: Engine, explain: Callable[[Connection, Sequence[bytes]], None]) -> None:
        """`explain` records events within a transaction; it takes the lock on entries first."""
        self._engine = engine
        self._explain = explain
        self._connection: Connection | None = None
        self._holder = 0
        self._used = 0.0

    @contextlib.contextmanager
    def session(self) -> Iterator[Connection]:
        """The session's connection, in no transaction. What fails inside ends it, and with it all turns that it holds."""
        connection = self._opened()
        try:
            yield connection
        except BaseException:
            self.close()
            raise
        self._used = time.monotonic()

    def _opened(self) -> Connection:
        if self._connection is not None and time.monotonic() - self._used > IDLE:
            try:
                with self._connection.begin(), unhurried(self._connection, TRIED):
                    self._connection.execute(text("select 1"))
            except DBAPIError:
                self.close()
        if self._connection is None:
            connection = self._engine.connect()
            self._holder = secrets.randbits(62)
            self._connection = connection
            try:
                with connection.begin():
                    connection.execute(text("select pg_advisory_lock(:holder)"), {"holder": self._holder})
                self._require_own()
            except BaseException:
                self.close()
                raise
        return self._connection

    def _require_own(self) -> None:
        """Misconfigured where another connection has our lock too: a pooler lends one session to both, and nobody could tell who lives."""
        with contextlib.suppress(OperationalError), self._engine.connect() as other:
            if self._ended(other, self._holder):
                raise Misconfigured("a pooler stands before the database and shares sessions: PgBouncer needs pool_mode = session here")

    def close(self) -> None:
        """Never back into the pool: the lock must end with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.invalidate()
            connection.close()

    def take(
        self, connection: Connection, wanted: Mapping[str, int], clocks: Mapping[str, Callable[[], datetime]]
    ) -> tuple[dict[str, Turn | int], dict[str, datetime]]:
        """Serials, so many of each unit; below 1 instead of a turn where the unit was taken out of service. And the time of each turn.

        Under the lock that gives serials the clock is read, so times rise with serials, whichever process takes them. Raises what the clock does.
        """
        taken: dict[str, Turn | int] = {}
        at: dict[str, datetime] = {}
        if len(wanted) == 1:
            [(unit, count)] = wanted.items()
            now = clocks[unit]()
            row = {"unit": unit, "count": count, "now": microseconds(now), "holder": self._holder}
            with _alone(connection):
                found = connection.execute(_TAKE_ONE, row).scalar()
            if found is not None:
                return {unit: Turn(unit, int(found), int(found) + count - 1, self._holder)}, {unit: now}
        with connection.begin():
            for unit, count in sorted(wanted.items()):  # everybody locks in this order
                end, before = self._advanced(connection, unit, count)
                if end < FIRST_SERIAL:
                    taken[unit] = end
                    continue
                at[unit] = now = _not_before(before, clocks[unit])
                taken[unit] = turn = Turn(unit, end - count, end - 1, self._holder)
                connection.execute(insert(TURN), {"unit": unit, "first": turn.first, "last": turn.last, "holder": turn.holder})
                connection.execute(_TIMED, {"unit": unit, "now": microseconds(now)})
        return taken, at

    def _advanced(self, connection: Connection, unit: str, count: int) -> tuple[int, int]:
        for _ in range(3):
            found = connection.execute(_TAKE, {"unit": unit, "count": count}).first()
            if found is not None:
                return int(found[0]), found[1] or 0
            stopped = connection.execute(_VALUE, {"unit": unit}).scalar()
            if stopped is None:
                connection.execute(_FOUND, {"unit": unit})
            elif stopped < FIRST_SERIAL:
                return int(stopped), 0  # otherwise another process has just made the row: it is there to be taken from now
        raise Unavailable("the journal's table of numbers changes under its reader")

    @staticmethod
    def come(connection: Connection, turns: Sequence[Turn]) -> frozenset[str] | None:
        """It is the turn of all of these, and they are used up: the units of which were meanwhile taken out of service. None while serials before
        them are not decided; Unavailable when one was declared void. Within the transaction that records, under the lock on entries."""
        stopped = set()
        for turn in turns:
            before, there, value = connection.execute(_CHECK, turn.row).one()
            if before:
                return None
            if not there:
                raise Unavailable("serials that were taken were declared void by another process")
            if value < FIRST_SERIAL:
                stopped.add(turn.unit)
        return frozenset(stopped)

    @staticmethod
    def _before(connection: Connection, turns: Sequence[Turn]) -> list[Turn]:
        return [Turn(*row) for turn in turns for row in connection.execute(_BEFORE, {"u": turn.unit, "f": turn.first})]

    def wait(self, connection: Connection, turns: Sequence[Turn]) -> None:
        """Until it is the turn of all of these."""
        begun = time.monotonic()
        look, pause = begun + LOOK, PAUSE
        while True:
            with _alone(connection):
                before = self._before(connection, turns)
            if not before:
                return
            now = time.monotonic()
            if now - begun >= PATIENCE + BUSY:
                raise Unavailable("serials before these are not decided")  # whatever the reason: nobody waits for ever
            if now >= look:
                look = now + LOOK
                self.sweep(connection, before, stalled=now - begun >= PATIENCE)
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def sweep(self, connection: Connection, turns: Sequence[Turn] | None = None, *, stalled: bool = False) -> None:
        """Declare void those of these turns (or of all) whose holder is gone; or all of these, where it is `stalled`."""
        with connection.begin():
            if turns is None:
                turns = [Turn(*row) for row in connection.execute(_ALL)]
            gone = [turn for turn in turns if turn.holder != self._holder and (stalled or self._ended(connection, turn.holder))]
            if gone:
                # The lock on entries comes first, as in the transaction that records: so one of the two finds the row, never both.
                connection.execute(text(f"select value from {NEXT.name} where name = '' for update"))  # noqa: S608
                why = STALLED if stalled else ENDED
                self._explain(connection, [void(t.unit, t.first, t.last, why) for t in gone if t.remove(connection)])

    @staticmethod
    def _ended(connection: Connection, holder: int) -> bool:
        return bool(connection.execute(text("select pg_try_advisory_xact_lock(:holder)"), {"holder": holder}).scalar())
