"""The journal: everything that the installation issues, in one append-only table, durable before anybody sees it.

Entries are numbered from 0 without gaps. Each carries the RFC 6962 leaf hash of what it says: `trust.log.publish` makes a Merkle log of the
table as it stands. An entry's body is what was issued (a token, a certificate) or digests of it (a seal); never a document.

**Group commit.** One writer thread takes all requests that are waiting and records them in one transaction; while the disk flushes, the
next requests gather. No waiter is answered before the transaction that holds its entry is durable.

**Serials.** What an `Issuer` makes is made inside that transaction, under the database's write lock, with the numbers that follow those
already recorded. So the number, the thing that bears it and its record are one atomic step, for any number of processes on one database.

**The crash story** stands at the commit, in `_record`.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, RowMapping, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from trust.edge.engine import refused, writing
from trust.errors import KakuinError, Misconfigured, TooLarge, Unacceptable, Unavailable
from trust.log.tables import ENTRY, NEXT
from trust.log.tree import leaf_hash
from trust.ports import Clock

KINDS = ("token", "seal", "certificate", "revocation", "event")
MAX_BODY = 65_000
"""Bytes. An entry with its kind and time must fit 65,535: what a bundle of C2SP tlog-tiles can hold."""
MAX_BATCH = 256
"""Requests in one transaction: some thirty milliseconds of P-256 signatures, during which other processes wait."""
MAX_WAITING = 20_000
"""Requests that may wait for the writer: seconds of work, after which refusing at once is kinder."""
PAGE = 1_000
"""Entries read at a time."""

FIRST_SERIAL = 1

_ENTRIES = ""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LOG = logging.getLogger("kakuin.journal")


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """The reverse: aware, UTC."""
    return _EPOCH + at * _MICROSECOND


def entry_data(kind: str, at: int, body: bytes) -> bytes:
    """What an entry says, as bytes: its kind, a newline, its time (microseconds since 1970 UTC, eight octets), its body."""
    return kind.encode("ascii") + b"\n" + at.to_bytes(8, "big") + body


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


@dataclass(frozen=True, slots=True)
class Made:
    """Something issued: what is recorded of it, and what its requester gets once the record is durable."""

    body: bytes
    answer: Any


class Issuer(Protocol):
    """Makes things that bear consecutive serials."""

    @property
    def kind(self) -> str: ...

    @property
    def unit(self) -> str:
        """Names the sequence of serials."""

    def make(self, first: int, requests: Sequence[Any]) -> "Sequence[Made | KakuinError]":
        """One outcome per request, in order; the successes among them bear `first`, `first + 1`, … without gaps.

        Called in the writer's thread, inside the transaction. What it makes must not leave this call by another way than its result: if the
        transaction fails, the same serials are given out again."""


Settle = Callable[[int, Any, KakuinError | None], None]
"""Called in the writer's thread when it is decided: the entry's index and the answer, or an error. Must not block or raise."""


Write = Callable[[Connection], None]
"""Writes something else than an entry. Quick: entries wait for it."""


@dataclass(frozen=True, slots=True)
class _Alongside:
    work: Write


@dataclass(frozen=True, slots=True)
class _Request:
    issuer: Issuer | None
    matter: Any
    """For an issuer, its request; without one (kind, body), or what to write beside entries."""
    settle: Settle


@dataclass(frozen=True, slots=True)
class _Outcome:
    request: _Request
    index: int
    answer: Any
    error: KakuinError | None


class Journal:
    """Thread-safe. One per process and database; several processes may share the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        """Misconfigured when the engine does not flush at each commit, or when the table is not whole; Unavailable when it does not answer."""
        self._engine = engine
        self._writing = writing(engine)
        self._clock = clock
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        with refused(engine):
            self._require_whole()
        self._writer = threading.Thread(target=self._run, name="journal", daemon=True)
        self._writer.start()

    def _require_whole(self) -> None:
        with self._writing.begin() as connection:
            if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA synchronous").scalar_one() < 2:
                raise Misconfigured("the journal's database does not flush at each commit: synchronous is below FULL")
            head = connection.execute(select(NEXT.c.value).where(NEXT.c.name == _ENTRIES)).scalar()
            last = connection.execute(select(func.max(ENTRY.c.number))).scalar()
            if head is None and last is None:
                connection.execute(insert(NEXT), {"name": _ENTRIES, "value": 0})
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
        self._submit(_Request(None, (kind, body), settle))
        return future

    def issue(self, issuer: Issuer, matter: object, settle: Settle) -> None:
        """Have `issuer` make something of `matter`, under the next serial of its unit, and record it; then `settle`.

        Raises Unavailable at once when the journal is closed or too far behind."""
        self._submit(_Request(issuer, matter, settle))

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
        self._submit(_Request(None, _Alongside(work), settle))
        future.result()

    def _submit(self, request: _Request) -> None:
        if self._queue.qsize() >= MAX_WAITING:
            raise Unavailable("the journal is too far behind")
        with self._closing:
            if self._closed:
                raise Unavailable("the journal is closed")
            self._queue.put(request)

    def close(self) -> None:
        """Record what is waiting, then stop. Whatever comes later is refused."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        if threading.current_thread() is not self._writer:
            self._writer.join()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._gather()
            if batch:
                self._answer(self._attempt(batch))

    def _gather(self) -> tuple[list[_Request], bool]:
        """All that is waiting, at least one; and whether more may come."""
        batch: list[_Request] = []
        request = self._queue.get()
        while request is not None:
            batch.append(request)
            if len(batch) == MAX_BATCH:
                return batch, True
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _attempt(self, batch: list[_Request]) -> list[_Outcome]:
        """Record a batch, or tell every one of its waiters that it was not. Each attempt takes a connection of its own from the pool, which
        drops those that broke: so the writer goes on as soon as the database is back."""
        try:
            with refused(self._engine):
                return self._record(batch)
        except KakuinError as error:
            failure = error if isinstance(error, Unavailable) else Unavailable(f"the journal could not record: {error}")
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            failure = Unavailable("the journal could not record")
            failure.__cause__ = error
        _LOG.error("journal: %d entries not recorded: %s", len(batch), failure, exc_info=failure.__cause__)
        return [_Outcome(request, -1, None, failure) for request in batch]

    def _record(self, batch: list[_Request]) -> list[_Outcome]:
        """One transaction: take the lock and the numbers, make what is to be made, write, flush."""
        with self._writing.begin() as connection:
            # The first statement takes the write lock (SQLite) or the row's (PostgreSQL): until the commit no other process takes numbers.
            head = connection.execute(_LOCK).scalar()
            if head is None:
                raise Misconfigured("the journal's table of numbers is empty")
            page = _Page(head, microseconds(self._clock()))
            page.outcomes += [_wrote(connection, request) for request in batch if isinstance(request.matter, _Alongside)]
            for issuer, requests in _grouped(batch):
                if issuer is None:
                    page.put(requests)
                else:
                    page.have_made(connection, issuer, requests)
            if page.rows:
                connection.execute(_INSERT, page.rows)
                connection.execute(_ADVANCE, {"unit": _ENTRIES, "next": head + len(page.rows)})
            # The crash story. Leaving this block commits: SQLite writes the pages and the commit mark to the log and flushes it before the
            # call returns (synchronous=FULL), PostgreSQL likewise. Nobody outside this thread has seen an answer yet.
            # - Death before the commit is complete: the database drops the transaction at its next opening, numbers and entries together. The
            #   tokens signed in it are gone with this process's memory, and the next ones take the same serials: no duplicate, no gap.
            # - Death after it, before an answer leaves: entries stand in the journal whose tokens no client got. That is allowed; a token
            #   without an entry is not.
            # - An error from the commit itself: the waiters are told that nothing was issued. Should the transaction have become durable all
            #   the same, it is the case above; the next batch reads the numbers from the database, not from memory.
            # - A database put back from an older backup would give numbers out again: take the unit out of use first.
        return page.outcomes

    def _answer(self, outcomes: list[_Outcome]) -> None:
        for outcome in outcomes:
            try:
                outcome.request.settle(outcome.index, outcome.answer, outcome.error)
            except Exception:  # noqa: BLE001  # one waiter's fault is not the others'
                _LOG.exception("journal: a waiter could not be told")  # its event loop is gone; the entry stands

    # Reading.

    def size(self) -> int:
        """How many entries there are."""
        with refused(self._engine), self._engine.connect() as connection:
            return int(connection.execute(select(NEXT.c.value).where(NEXT.c.name == _ENTRIES)).scalar_one())

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


_LOCK = update(NEXT).where(NEXT.c.name == _ENTRIES).values(value=NEXT.c.value).returning(NEXT.c.value)
_NEXT_SERIAL = select(NEXT.c.value).where(NEXT.c.name == bindparam("unit"))
_ADVANCE = update(NEXT).where(NEXT.c.name == bindparam("unit")).values(value=bindparam("next"))
_INSERT = insert(ENTRY)


def _wrote(connection: Connection, request: _Request) -> _Outcome:
    """Let it write. A row that is there already and an error of the house are its own; whatever else fails, fails for all."""
    try:
        with connection.begin_nested():
            request.matter.work(connection)
    except IntegrityError as error:
        failure = Unavailable("another process wrote the same")
        failure.__cause__ = error
        return _Outcome(request, -1, None, failure)
    except KakuinError as error:
        return _Outcome(request, -1, None, error)
    return _Outcome(request, -1, None, None)


def _grouped(batch: list[_Request]) -> Iterator[tuple[Issuer | None, list[_Request]]]:
    """Requests by issuer, in the order of arrival."""
    groups: dict[int, list[_Request]] = {}
    for request in batch:
        if not isinstance(request.matter, _Alongside):
            groups.setdefault(id(request.issuer), []).append(request)
    return ((requests[0].issuer, requests) for requests in groups.values())


class _Page:
    """What one transaction adds."""

    def __init__(self, head: int, at: int) -> None:
        self._head = head
        self._at = at
        self.rows: list[dict[str, Any]] = []
        self.outcomes: list[_Outcome] = []

    def put(self, requests: list[_Request]) -> None:
        for request in requests:
            kind, body = request.matter
            self._add(request, kind, Made(body, None))

    def have_made(self, connection: Connection, issuer: Issuer, requests: list[_Request]) -> None:
        """Have things made, under the serials that come next."""
        found = connection.execute(_NEXT_SERIAL, {"unit": issuer.unit}).scalar()
        serial = first = FIRST_SERIAL if found is None else int(found)
        for request, made in zip(requests, issuer.make(first, [r.matter for r in requests]), strict=True):
            if isinstance(made, KakuinError):
                self.outcomes.append(_Outcome(request, -1, None, made))
                continue
            if len(made.body) > MAX_BODY:
                raise TooLarge(f"journal body is at most {MAX_BODY} bytes, unit {issuer.unit} made {len(made.body)}")
            self._add(request, issuer.kind, made, (issuer.unit, serial))
            serial += 1
        if found is None:
            connection.execute(insert(NEXT), {"name": issuer.unit, "value": serial})
        elif serial != first:
            connection.execute(_ADVANCE, {"unit": issuer.unit, "next": serial})

    def _add(self, request: _Request, kind: str, made: Made, number: tuple[str, int] | None = None) -> None:
        index = self._head + len(self.rows)
        unit, serial = number or (None, None)
        leaf = leaf_hash(entry_data(kind, self._at, made.body))
        self.rows.append({"number": index, "kind": kind, "at": self._at, "body": made.body, "leaf": leaf, "unit": unit, "serial": serial})
        self.outcomes.append(_Outcome(request, index, made.answer, None))


def entry_of(row: RowMapping) -> Entry:
    """A row of the table `ENTRY`."""
    return Entry(row["number"], row["kind"], moment(row["at"]), row["body"], row["leaf"], row["unit"], row["serial"])
