"""The journal: everything that the installation issues, in one append-only table, durable before anybody sees it.

Entries are numbered from 0 without gaps. Each carries the RFC 6962 leaf hash of what it says: `trust.log.publish` makes a Merkle log of the
table as it stands. An entry's body is what was issued (a token, a certificate) or digests of it (a seal); never a document.

**Group commit.** One writer thread takes all requests that are waiting and records them in one transaction; while the disk flushes, the
next requests gather. No waiter is answered before the transaction that holds its entry is durable. After a group the writer gives way for a moment
(`GIVEN_WAY`), so that whoever was answered and asks again at once is in the next one: otherwise two halves of the clients take turns for ever.

**Serials.** On SQLite what an `Issuer` makes is made inside that transaction, under the database's write lock, with the numbers that follow those
already recorded. So the number, the thing that bears it and its record are one atomic step, for any number of processes on one database. On
PostgreSQL, which carries several processes and nodes, serials are taken first and what bears them is recorded in turn, so that processes sign side by
side: `trust.log.turns`.

**The crash story** stands at the commit, in `_record`; that of serials that were taken, in `trust.log.turns`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, RowMapping, func, insert, select

from trust.edge.engine import Damaged, driven, refused, writing
from trust.errors import Altered, KakuinError, Misconfigured, TooLarge, Unacceptable, Unavailable
from trust.log.faults import Faults
from trust.log.line import Line
from trust.log.making import Making, clocks, counted, made_of, split
from trust.log.page import (
    ENTRIES,
    LATEST,
    LOCK,
    MAX_BODY,
    Alongside,
    Issuer,
    Made,
    Outcome,
    Page,
    Request,
    Settle,
    Write,
    entry_data,
    grouped,
    microseconds,
    moment,
    wrote,
)
from trust.log.tables import ENTRY, NEXT
from trust.log.tree import leaf_hash
from trust.log.turns import REFUSED, Turn, Turns, void
from trust.ports import Clock

__all__ = ["KINDS", "MAX_BODY", "Entry", "Issuer", "Journal", "Made", "Settle", "Watch", "Write", "entry_data", "microseconds", "moment"]

KINDS = ("token", "seal", "certificate", "revocation", "event")
MAX_BATCH = 256
"""Requests in one transaction: some thirty milliseconds of P-256 signatures, during which other processes wait."""
GIVEN_WAY, MOST_GIVEN = 0.1, 15e-6
"""Until the next group closes: this share of the time that the last one took, at most so many seconds for each of its answers, which is what it takes
to send one and to read what is asked next. A transaction for 32 costs little more than one for 16, and of PostgreSQL most is waiting for it."""
FEW = 4
"""Answers after which nobody gives way: there is nothing to be gained."""
LONG = 1.0
"""Seconds after which a transaction that fails takes with it whoever came meanwhile."""
NEAR = 1_000_000
"""Microseconds by which nodes' clocks may differ without a trace in the entries' times."""
PAGE = 1_000
"""Entries read at a time."""

SHARE = 0.1
"""Seconds of making things for which serials are taken at once on PostgreSQL: who takes serials later waits so long, and so old is their time."""

_LOG = logging.getLogger("kakuin.journal")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as recorded."""

    index: int
    kind: str
    at: datetime
    """When it was recorded, by the installation's clock."""
    body: bytes
    leaf: bytes
    unit: str | None = None
    serial: int | None = None

    @property
    def sound(self) -> bool:
        """The leaf hash is that of what the entry says today."""
        return self.leaf == leaf_hash(entry_data(self.kind, microseconds(self.at), self.body))


Watch = Callable[[int, float], None]
"""Told of each transaction, in the writer's thread: how many requests it had, and its seconds. Must not block or raise."""


class Journal:
    """Thread-safe. One per process and database; several processes may share the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        """Misconfigured when the engine does not flush at each commit, or when the table is not whole; Unavailable when it does not answer."""
        self._engine = engine
        self._writing = writing(engine)
        self._clock = clock
        self._line = Line()
        self.watch: Watch | None = None
        self._faults = Faults()
        self._reached = 0
        """The number after the last entry that this process knows to be recorded."""
        self._ended: Misconfigured | None = None
        """Why nothing will be recorded any more, whatever the database says next: it is damaged, or it has forgotten entries and would give their
        numbers out again."""
        self._begun: float | None = None
        self._turns = Turns(engine, self._explain) if engine.dialect.name == "postgresql" else None
        self._limit = MAX_BATCH
        with refused(engine):
            self._require_whole()
            if self._turns is not None:
                with self._turns.session() as connection:
                    self._turns.sweep(connection)
        self._writer = threading.Thread(target=self._run, name="journal", daemon=True)
        self._writer.start()

    def _require_whole(self) -> None:
        with self._writing.begin() as connection:
            _require_flushing(connection)
            # One statement, one moment: on PostgreSQL others write between two.
            next_number = select(NEXT.c.value).where(NEXT.c.name == ENTRIES).scalar_subquery()
            head, last = connection.execute(select(next_number, select(func.max(ENTRY.c.number)).scalar_subquery())).one()
            if head is None and last is None:
                connection.execute(insert(NEXT), {"name": ENTRIES, "value": 0})
            elif head != (-1 if last is None else last) + 1:
                raise Misconfigured(f"the journal is not whole: entry {head} is next, but the last is {last}; restore it from a backup")

    # Writing.

    def append(self, kind: str, body: bytes) -> int:
        """Record; the entry's index. Durable when it returns. Unavailable when it could not be recorded."""
        return self.append_soon(kind, body).result()

    def append_soon(self, kind: str, body: bytes) -> "Future[int]":
        """The same, as a future: done when the entry is durable."""
        if kind not in KINDS:
            raise Unacceptable(f"journal kind is one of {', '.join(KINDS)}, got {kind!r}")
        if len(body) > MAX_BODY:
            raise TooLarge(f"journal body is at most {MAX_BODY} bytes, got {len(body)}")
        future: Future[int] = Future()

        def settle(index: int, _answer: object, error: KakuinError | None) -> None:
            if error is None:
                future.set_result(index)
            else:
                future.set_exception(error)

        future.set_running_or_notify_cancel()  # from here on it cannot be cancelled: the record is made whether or not anybody waits
        self._line.put((Request(None, (kind, body), settle),))
        return future

    def issue(self, issuer: Issuer, matter: object, settle: Settle) -> None:
        """Have `issuer` make something of `matter`, under the next serial of its unit, and record it; then `settle`.

        Raises Unavailable at once when the journal is closed or too far behind."""
        self._line.put((Request(issuer, matter, settle),))

    def issue_all(self, requests: Sequence[Request]) -> None:
        """The same for many: the writer is woken once."""
        self._line.put(requests)

    def alongside(self, work: Write) -> None:
        """Have `work` write within the next transaction, beside entries, and wait until that is durable: a writer of its own would wait for a gap
        between transactions, and under load there is none. What it raises is raised here, and undoes what it wrote and nothing else."""
        future: Future[None] = Future()

        def settle(_index: int, _answer: object, error: KakuinError | None) -> None:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        future.set_running_or_notify_cancel()
        self._line.put((Request(None, Alongside(work), settle),))
        future.result()

    @property
    def alive(self) -> bool:
        """Its writer lives: without one nothing is ever recorded again."""
        return self._writer.is_alive()

    @property
    def fault(self) -> str | None:
        """Why the last transaction failed; None when it did not."""
        return self._faults.why

    @property
    def busy(self) -> float:
        """Seconds that the present transaction has taken so far."""
        begun = self._begun
        return 0.0 if begun is None else time.perf_counter() - begun

    @property
    def now(self) -> datetime:
        """By the clock that entries bear."""
        return self._clock()

    @property
    def waiting(self) -> int:
        """Requests that no transaction has taken up yet."""
        return self._line.waiting

    def close(self) -> None:
        """Record what is waiting, then stop. Whatever comes later is refused."""
        self._line.end()
        if threading.current_thread() is not self._writer:
            self._writer.join()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._write()
        except Exception:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            _LOG.critical("journal: its writer has died, and everything is refused until the service is started again", exc_info=True)
            self._line.end()
            self._refuse_who_waits(Unavailable("nobody writes the journal any more"))
        finally:
            if self._turns is not None:
                self._turns.close()

    def _write(self) -> None:
        going = True
        while going:
            batch, going = self._line.take(min(self._limit, MAX_BATCH))
            if batch:
                self._begun = begun = time.perf_counter()
                outcomes = self._attempt(batch)
                taken = time.perf_counter() - begun
                self._begun = None
                self._answer(outcomes)
                if self.watch is not None:
                    self.watch(len(batch), taken)
                if self.fault is not None and taken >= LONG:
                    self._refuse_who_waits(outcomes[0].error)
                if len(batch) > FEW and self.waiting < MAX_BATCH:
                    time.sleep(min(taken * GIVEN_WAY, len(batch) * MOST_GIVEN))

    def _refuse_who_waits(self, failure: KakuinError | None) -> None:
        """All that came while a transaction failed slowly: to wait as long for each next group of them would leave the last without an answer."""
        for batch in self._line.present(MAX_BATCH):
            self._answer([Outcome(request, -1, None, failure) for request in batch])

    def _attempt(self, batch: list[Request]) -> list[Outcome]:
        """Record a batch, or tell every one of its waiters that it was not. Each attempt takes a connection of its own from the pool, which
        drops those that broke: so the writer goes on as soon as the database is back."""
        try:
            if self._ended is not None:
                raise self._ended
            with refused(self._engine):
                outcomes = self._record(batch) if self._turns is None else self._record_in_turn(self._turns, batch)
            self._faults.over()
            return outcomes
        except KakuinError as error:
            if isinstance(error, Damaged):
                self._ended = error
            failure = error if isinstance(error, Unavailable) else Unavailable(f"the journal could not record: {error}")
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            failure = Unavailable("the journal could not record")
            failure.__cause__ = error
        failure.inward = True
        self._faults.failed(failure, len(batch))
        return [Outcome(request, -1, None, failure) for request in batch]

    def _record(self, batch: list[Request]) -> list[Outcome]:
        """One transaction: take the lock and the numbers, make what is to be made, write, flush."""
        with self._writing.begin() as connection:
            # The first statement takes the write lock: until the commit no other process takes numbers.
            page = self._page(connection, batch)
            for issuer, requests in grouped(batch):
                if issuer is None:
                    page.put(requests)
                else:
                    page.have_made(connection, issuer, requests, self._microseconds)
            page.write(connection)
            # The crash story. Leaving this block commits: SQLite writes the pages and the commit mark to the log and flushes it before the
            # call returns (synchronous=FULL), PostgreSQL likewise. Nobody outside this thread has seen an answer yet.
            # - Death before the commit is complete: the database drops the transaction at its next opening, numbers and entries together. The
            #   tokens signed in it are gone with this process's memory, and the next ones take the same serials: no duplicate, no gap.
            # - Death after it, before an answer leaves: entries stand in the journal whose tokens no client got. That is allowed; a token
            #   without an entry is not.
            # - An error from the commit itself: the waiters are told that nothing was issued. Should the transaction have become durable all
            #   the same, it is the case above; the next batch reads the numbers from the database, not from memory.
            # - A database put back from an older backup would give numbers out again: take the unit out of use first.
        self._reached = page.following
        return page.outcomes

    def _page(self, connection: Connection, batch: Sequence[Request]) -> Page:
        """Take the lock on entries; what is to be written beside them is."""
        rows = driven(connection, LOCK)
        if not rows:
            raise Misconfigured("the journal's table of numbers is empty")
        head, last = rows[0]
        if head < self._reached:
            self._ended = Misconfigured(
                f"the journal went back from {self._reached} entries to {head}: an older state of the database was put in its place; "
                "what was issued since is lost there, so look at it before you start the service again"
            )
            raise self._ended
        self._reached = head
        now = self._microseconds()
        # Nodes' clocks differ by a little, and the log's times rise; a clock that is far off shows.
        page = Page(head, last if last is not None and now < last <= now + NEAR else now)
        page.outcomes += [wrote(connection, request) for request in batch if isinstance(request.matter, Alongside)]
        return page

    def _microseconds(self) -> int:
        return microseconds(self._clock())

    def _record_in_turn(self, turns: Turns, batch: list[Request]) -> list[Outcome]:
        """The same in two transactions: take serials; make what bears them, beside other processes that do; record when it is their turn."""
        plain, asked = split(batch)
        refusals: list[Outcome] = []
        for issuer, requests in tuple(asked):
            try:
                issuer.ready()
            except KakuinError as error:
                refusals += [Outcome(request, -1, None, error) for request in requests]
                asked.remove((issuer, requests))
        with turns.session() as connection:
            taken, at = turns.take(connection, counted(asked), clocks(asked)) if asked else ({}, {})
            begun = time.monotonic()
            made = made_of(asked, taken, at)
            if asked:
                self._paced(time.monotonic() - begun, sum(len(requests) for _, requests in asked))
            mine = [turn for turn in taken.values() if isinstance(turn, Turn)]
            while (page := self._recorded(turns, connection, batch, plain, made, mine)) is None:
                turns.wait(connection, mine)
        return refusals + page.outcomes

    def _recorded(
        self, turns: Turns, connection: Connection, batch: list[Request], plain: list[Request], made: "list[Making]", mine: list[Turn]
    ) -> Page | None:
        """The transaction that records; None, and nothing done, while it is somebody else's turn. Leaving the block commits, as in `_record`."""
        with connection.begin() as transaction:
            page = self._page(connection, batch)
            stopped = turns.come(connection, mine)
            if stopped is None:
                transaction.rollback()
                return None
            page.put(plain)
            ends = {turn.unit: turn.first for turn in mine}
            for each in made:
                if each.issuer.unit in stopped:  # meanwhile
                    refused_now = each.issuer.make(-1, [request.matter for request in each.requests])
                    page.place(each.issuer, 0, each.requests, refused_now)
                else:
                    ends[each.issuer.unit] = page.place(each.issuer, each.first, each.requests, each.outcomes)
            for turn in mine:
                unused = ends[turn.unit]
                if unused <= turn.last and not turn.give_back(connection, unused):
                    page.note(void(turn.unit, unused, turn.last, REFUSED))
            page.write(connection)
        self._reached = page.following
        return page

    def _paced(self, seconds: float, count: int) -> None:
        """Take no more serials at once than what bears them is made in `SHARE`."""
        self._limit = max(1, min(MAX_BATCH, int(SHARE * count / max(seconds, 1e-6)), self._limit * 2))

    def _explain(self, connection: Connection, events: Sequence[bytes]) -> None:
        page = self._page(connection, ())
        for each in events:
            page.note(each)
        page.write(connection)

    def _answer(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.request is None:
                continue
            try:
                outcome.request.settle(outcome.index, outcome.answer, outcome.error)
            except Exception:  # noqa: BLE001  # one waiter's fault is not the others'
                _LOG.exception("journal: a waiter could not be told")  # its event loop is gone; the entry stands

    # Reading.

    def size(self) -> int:
        """How many entries there are."""
        with refused(self._engine), self._engine.connect() as connection:
            return int(connection.execute(select(NEXT.c.value).where(NEXT.c.name == ENTRIES)).scalar_one())

    def read(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Entries from `start` up to, without, `end` (or the last there is), in order."""
        while end is None or start < end:
            count = PAGE if end is None else min(PAGE, end - start)
            query = select(ENTRY).where(ENTRY.c.number >= start).order_by(ENTRY.c.number).limit(count)
            with refused(self._engine), self._engine.connect() as connection:
                rows = connection.execute(query).mappings().all()
            yield from (entry_of(row) for row in rows if end is None or row["number"] < end)
            if len(rows) < count:
                return
            start = int(rows[-1]["number"]) + 1

    def find(self, unit: str, serial: int) -> Entry | None:
        """The entry of what `unit` issued under `serial`."""
        query = select(ENTRY).where(ENTRY.c.unit == unit, ENTRY.c.serial == serial)
        with refused(self._engine), self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else entry_of(row)


def _require_flushing(connection: Connection) -> None:
    """Misconfigured when what is committed may be lost: then a client could hold a token without an entry."""
    if connection.dialect.name == "sqlite":
        if connection.exec_driver_sql("PRAGMA synchronous").scalar_one() < 2:
            raise Misconfigured("the journal's database does not flush at each commit: synchronous is below FULL")
        return
    for name, loose in (("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")):
        if connection.exec_driver_sql(f"show {name}").scalar_one() == loose:
            raise Misconfigured(f"the journal's database does not keep what it commits: {name} is {loose}")


def entry_of(row: RowMapping) -> Entry:
    """A row of the table `ENTRY`. Altered where a column holds what nobody records: SQLite keeps whatever it is given."""
    kind, at, body, leaf = row["kind"], row["at"], row["body"], row["leaf"]
    if not (
        isinstance(kind, str) and kind.isascii() and isinstance(at, int) and 0 <= at <= LATEST and isinstance(body, bytes) and isinstance(leaf, bytes)
    ):
        raise Altered(f"entry {row['number']} holds what no entry has")
    return Entry(row["number"], kind, moment(at), row["body"], row["leaf"], row["unit"], row["serial"])
