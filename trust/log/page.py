"""One transaction's entries: what was asked for, put into rows with the numbers that follow those already recorded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, bindparam, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from trust.edge.engine import driven
from trust.errors import KakuinError, TooLarge, Unavailable
from trust.log.tables import ENTRY, NEXT
from trust.log.tree import leaf_hash

MAX_BODY = 65_000
"""Bytes. An entry with its kind and time must fit 65,535: what a bundle of C2SP tlog-tiles can hold."""
FIRST_SERIAL = 1
ENTRIES = ""
"""The name of the entries' own numbers."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


LATEST = 253_402_300_799_999_999
"""Microseconds since 1970 UTC: the end of the year 9999, after which there is no `datetime`."""


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """The reverse: aware, UTC."""
    return _EPOCH + at * _MICROSECOND


def entry_data(kind: str, at: int, body: bytes) -> bytes:
    """What an entry says, as bytes: its kind, a newline, its time (microseconds since 1970 UTC, eight octets), its body."""
    return kind.encode("ascii") + b"\n" + at.to_bytes(8, "big") + body


class Made(NamedTuple):
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

    def ready(self) -> datetime:
        """The time that what is made next bears, before serials are taken for it. Raises KakuinError when nothing may be made now."""

    def make(self, first: int, requests: Sequence[Any], at: datetime | None = None) -> "Sequence[Made | KakuinError]":
        """One outcome per request, in order; the successes among them bear `first`, `first + 1`, … without gaps. A `first` below 1: the unit
        was taken out of service.

        `at`: what `ready` said; None where the clock is read here. Called in the writer's thread. What it makes must not leave this call by
        another way than its result: if the transaction fails, the same serials may be given out again."""


Settle = Callable[[int, Any, KakuinError | None], None]
"""Called in the writer's thread when it is decided: the entry's index and the answer, or an error. Must not block or raise."""


Write = Callable[[Connection], None]
"""Writes something else than an entry. Quick: entries wait for it."""


@dataclass(frozen=True, slots=True)
class Alongside:
    work: Write


class Request(NamedTuple):
    issuer: Issuer | None
    matter: Any
    """For an issuer, its request; without one (kind, body), or what to write beside entries."""
    settle: Settle


@dataclass(slots=True)
class Outcome:
    """Of one request. Not frozen, because one is made for each token and freezing costs three times as much."""

    request: Request | None
    """None: nobody waits for it."""
    index: int
    answer: Any
    error: KakuinError | None


LOCK = update(NEXT).where(NEXT.c.name == ENTRIES).values(value=NEXT.c.value).returning(NEXT.c.value, NEXT.c.at)
NEXT_SERIAL = select(NEXT.c.value).where(NEXT.c.name == bindparam("unit")).with_for_update()
"""Locks the row on PostgreSQL, where others take serials without the lock on entries (`trust.log.turns`)."""
_ADVANCE = update(NEXT).where(NEXT.c.name == bindparam("unit")).values(value=bindparam("next"))
_ADVANCE_ENTRIES = update(NEXT).where(NEXT.c.name == ENTRIES).values(value=bindparam("next"), at=bindparam("now"))
_COLUMNS = {"number": "bigint", "kind": "text", "at": "bigint", "body": "bytea", "leaf": "bytea", "unit": "text", "serial": "bigint"}
_INSERT_ARRAYS = text(
    f"with advanced as (update {NEXT.name} set value = :next, at = :now where name = '') "  # noqa: S608
    f"insert into {ENTRY.name} ({', '.join(_COLUMNS)}) "  # names of this module
    f"select * from unnest({', '.join(f'cast(:{name} as {kind}[])' for name, kind in _COLUMNS.items())})"
)
"""PostgreSQL: one statement for a transaction's entries, whatever their number."""
_INSERT_ROWS = f"insert into {ENTRY.name} ({', '.join(_COLUMNS)}) values ({', '.join('?' for _ in _COLUMNS)})"  # noqa: S608
"""SQLite: the same statement for each, as the driver takes it."""
_INSERT_ROW = insert(ENTRY)
"""... and where there is one."""


def wrote(connection: Connection, request: Request) -> Outcome:
    """Let it write. A row that is there already and an error of the house are its own; whatever else fails, fails for all."""
    try:
        with connection.begin_nested():
            request.matter.work(connection)
    except IntegrityError as error:
        failure = Unavailable("another process wrote the same")
        failure.__cause__ = error
        return Outcome(request, -1, None, failure)
    except KakuinError as error:
        return Outcome(request, -1, None, error)
    return Outcome(request, -1, None, None)


def grouped(batch: list[Request]) -> Iterator[tuple[Issuer | None, list[Request]]]:
    """Requests by issuer, in the order of arrival; without those that write beside entries."""
    groups: dict[int, list[Request]] = {}
    for request in batch:
        if not isinstance(request.matter, Alongside):
            groups.setdefault(id(request.issuer), []).append(request)
    return ((requests[0].issuer, requests) for requests in groups.values())


class Page:
    """What one transaction adds."""

    def __init__(self, head: int, at: int) -> None:
        self._head = head
        self._at = at
        self._said: dict[str, bytes] = {}
        """What each kind's entries of this page begin with."""
        self._rows: list[tuple[int, str, int, bytes, bytes, str | None, int | None]] = []
        """In the order of `_COLUMNS`."""
        self.outcomes: list[Outcome] = []

    @property
    def following(self) -> int:
        """The number after the last entry of it."""
        return self._head + len(self._rows)

    def put(self, requests: Sequence[Request]) -> None:
        for request in requests:
            kind, body = request.matter
            self._add(request, kind, Made(body, None))

    def note(self, body: bytes) -> None:
        """An event of the journal's own."""
        self._add(None, "event", Made(body, None))

    def have_made(self, connection: Connection, issuer: Issuer, requests: list[Request], now: Callable[[], int]) -> None:
        """Have things made, under the serials that come next. Entries bear the time, `now`, at which they were there: a key store may be slow."""
        rows = driven(connection, NEXT_SERIAL, unit=issuer.unit)
        first = int(rows[0][0]) if rows else FIRST_SERIAL
        made = issuer.make(first, [r.matter for r in requests])
        self._reach(now())
        serial = self.place(issuer, first, requests, made)
        if not rows:
            connection.execute(insert(NEXT), {"name": issuer.unit, "value": serial})
        elif serial != first:
            driven(connection, _ADVANCE, unit=issuer.unit, next=serial)

    def _reach(self, at: int) -> None:
        if at > self._at:
            self._at = at
            self._said.clear()

    def place(self, issuer: Issuer, first: int, requests: Sequence[Request], made: "Sequence[Made | KakuinError]") -> int:
        """Enter what was made from `first` on; the serial after the last of them."""
        serial = first
        for request, one in zip(requests, made, strict=True):
            if isinstance(one, KakuinError):
                self.refuse([request], one)
                continue
            if len(one.body) > MAX_BODY:
                raise TooLarge(f"journal body is at most {MAX_BODY} bytes, unit {issuer.unit} made {len(one.body)}")
            self._add(request, issuer.kind, one, (issuer.unit, serial))
            serial += 1
        return serial

    def refuse(self, requests: Sequence[Request], error: KakuinError) -> None:
        self.outcomes += [Outcome(request, -1, None, error) for request in requests]

    def write(self, connection: Connection) -> None:
        """The rows, and the number that follows them."""
        if not self._rows:
            return
        numbers = {"next": self.following, "now": self._at}
        if connection.dialect.name == "postgresql":
            arrays = {name: list(values) for name, values in zip(_COLUMNS, zip(*self._rows, strict=True), strict=True)}
            connection.execute(_INSERT_ARRAYS, arrays | numbers)
        else:
            if len(self._rows) == 1:
                driven(connection, _INSERT_ROW, **dict(zip(_COLUMNS, self._rows[0], strict=True)))
            else:
                connection.exec_driver_sql(_INSERT_ROWS, self._rows)
            driven(connection, _ADVANCE_ENTRIES, **numbers)

    def _add(self, request: Request | None, kind: str, made: Made, number: tuple[str, int] | None = None) -> None:
        index = self._head + len(self._rows)
        begin = self._said.get(kind)
        if begin is None:
            begin = self._said[kind] = entry_data(kind, self._at, b"")
        body = made.body
        unit, serial = number or (None, None)
        self._rows.append((index, kind, self._at, body, leaf_hash(begin + body), unit, serial))
        self.outcomes.append(Outcome(request, index, made.answer, None))


def found_empty(connection: Connection) -> None:
    """The first number, for a database that has nothing yet; another process may do the same at the same time."""
    if connection.execute(select(func.count()).select_from(ENTRY)).scalar_one() == 0:
        connection.execute(text(f"insert into {NEXT.name} (name, value) values ('', 0) on conflict do nothing"))  # noqa: S608
