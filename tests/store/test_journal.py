"""The journal on both engines: numbered without gaps, durable before anybody hears of it, one sequence for any number of processes."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, event, insert, inspect, select, text, update
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from tests import tsu
from tests.journals import AT, Counter, issue
from tests.store.conftest import Database
from trust.codecs import cms, tsp
from trust.errors import KakuinError, Misconfigured, TooLarge, Unacceptable, Unavailable
from trust.log import journal as module
from trust.log import tables
from trust.log.journal import MAX_BATCH, Journal, Made
from trust.log.page import MAX_BODY
from tsa import store
from tsa.service import Authority


def clock() -> datetime:
    return AT


@pytest.fixture
def journal(engine: Engine) -> Iterator[Journal]:
    with Journal(engine, clock) as made:
        yield made


def explained(journal: Journal) -> dict[str, list[tuple[int, int]]]:
    """Each unit's serials in the journal's order, issued and void, as ranges; fails where one is missing, twice or out of order."""
    found: dict[str, list[tuple[int, int]]] = {}
    for number, entry in enumerate(journal.read()):
        assert entry.index == number
        assert entry.sound
        said = json.loads(entry.body) if entry.kind == "event" and entry.body.startswith(b"{") else {}
        if entry.serial is not None:
            found.setdefault(str(entry.unit), []).append((entry.serial, entry.serial))
        elif said.get("event") == "serials-void":
            found.setdefault(said["unit"], []).append((said["first"], said["last"]))
    for ranges in found.values():
        following = 1
        for first, last in ranges:
            assert first == following
            following = last + 1
    return found


def test_an_entry_is_not_older_than_what_it_is_of(engine: Engine) -> None:
    """A key store may take its seconds: what it signs then is recorded as of afterwards, and so is all that comes behind it."""
    now = AT

    class Slow(Counter):
        def make(self, first: int, requests: object, at: object = None) -> list[Made | KakuinError]:
            nonlocal now
            now += timedelta(seconds=5)
            return super().make(first, requests, at)

    with Journal(engine, lambda: now) as journal:
        journal.append("event", b"before")
        issue(journal, Slow(), "x").result()
        journal.append("event", b"behind")
        assert [(entry.at - AT).seconds for entry in journal.read()] == [0, 5, 5]
        assert all(entry.sound for entry in journal.read())


def test_entries_are_numbered_from_zero_and_read_back(journal: Journal) -> None:
    assert [journal.append("event", body) for body in (b"one", b"", b"\x00three\xff")] == [0, 1, 2]
    assert [(entry.body, entry.at, entry.sound) for entry in journal.read()] == [(b"one", AT, True), (b"", AT, True), (b"\x00three\xff", AT, True)]
    assert [entry.index for entry in journal.read(1, 2)] == [1]
    assert journal.size() == 3


def test_an_entry_is_seen_by_others_when_append_returns(journal: Journal, database: Database) -> None:
    index = journal.append("certificate", b"der")
    with database.engine().connect() as other:
        assert other.execute(select(tables.ENTRY.c.number, tables.ENTRY.c.body)).all() == [(index, b"der")]


def test_nobody_is_answered_before_the_commit(engine: Engine, database: Database) -> None:
    gate, reached = threading.Event(), threading.Event()
    other = database.engine()
    with Journal(engine, clock) as journal:

        @event.listens_for(engine, "commit")
        def hold(_connection: object) -> None:
            reached.set()
            assert gate.wait(10)

        future = journal.append_soon("event", b"body")
        assert reached.wait(10)
        with other.connect() as connection:
            assert connection.execute(text("select count(*) from journal_entry")).scalar() == 0
        assert not future.done()
        gate.set()
        assert future.result(10) == 0


@pytest.mark.parametrize("slow", [True, False])
def test_who_comes_during_a_slow_failure_is_refused_with_it(slow: bool, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two groups wait behind one that fails. After a slow failure they are told at once; after a quick one they get their chance."""
    monkeypatch.setattr(module, "LONG", 0.0 if slow else 3600.0)
    gate, attempts = threading.Event(), []
    with Journal(engine, clock) as journal:

        @event.listens_for(engine, "commit")
        def hold(_connection: object) -> None:
            attempts.append(1)
            if len(attempts) == 1:
                assert gate.wait(10)
                raise OperationalError("commit", {}, Exception("the disk is away"))

        first = journal.append_soon("event", b"first")
        while journal.waiting:
            pass
        waiting = [journal.append_soon("event", b"later") for _ in range(MAX_BATCH + 1)]
        gate.set()
        for future in [first, *waiting] if slow else [first]:
            with pytest.raises(Unavailable, match="the disk is away"):
                future.result(10)
        assert len(attempts) == 1 or not slow
        if not slow:
            assert [future.result(10) for future in waiting] == list(range(MAX_BATCH + 1))
        assert journal.append("event", b"after") == (0 if slow else MAX_BATCH + 1)


def test_a_database_that_went_back_is_not_written_on(journal: Journal, database: Database) -> None:
    """A standby that lagged, a backup under a running service: the numbers would be given out again. Nor is it when others have written on there."""
    assert [journal.append("event", b"{}") for _ in range(3)] == [0, 1, 2]
    with database.engine().begin() as other:
        other.execute(update(tables.NEXT).where(tables.NEXT.c.name == "").values(value=2))
    for _ in range(2):
        with pytest.raises(Unavailable, match="went back from 3 entries to 2"):
            issue(journal, Counter(), "x").result(10)
        with database.engine().begin() as other:
            other.execute(update(tables.NEXT).where(tables.NEXT.c.name == "").values(value=8))
    assert journal.fault


def test_serials_are_consecutive_for_each_unit_and_failures_take_none(journal: Journal) -> None:
    one, other = Counter("one"), Counter("other")
    matters = [(one, "a"), (one, "bad"), (other, "b"), (one, "c"), (other, "bad"), (other, "d"), (one, "e")]
    futures = [(matter, issue(journal, issuer, matter)) for issuer, matter in matters]
    for matter, future in futures:
        if matter == "bad":
            with pytest.raises(Unacceptable):
                future.result(10)
        else:
            future.result(10)
    assert explained(journal) == {"one": [(n, n) for n in (1, 2, 3)], "other": [(1, 1), (2, 2)]}
    found = journal.find("other", 2)
    assert found is not None and found.body == b"other 2 d"
    assert journal.find("other", 3) is None


def test_a_fault_in_making_harms_its_batch_alone(journal: Journal) -> None:
    assert issue(journal, Counter(), "first").result(10) == (0, 1)
    with pytest.raises(Unavailable):
        issue(journal, Counter(), "broken").result(10)
    assert issue(journal, Counter(), "after").result(10)[1] >= 2
    explained(journal)


def test_several_processes_share_the_numbers(database: Database) -> None:
    journals = [Journal(database.engine(), clock) for _ in range(3)]
    got: list[tuple[int, int]] = []

    def work(journal: Journal) -> None:
        for turn in range(5):
            futures = [issue(journal, Counter(), "x") for _ in range(8)]
            refused = issue(journal, Counter(), "bad") if turn % 2 else None
            journal.append("event", b"between")
            got.extend(future.result(60) for future in futures)
            assert refused is None or refused.exception(60)

    threads = [threading.Thread(target=work, args=(journal,)) for journal in journals for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    try:
        assert len({serial for _, serial in got}) == len({index for index, _ in got}) == len(got) == 240
        issued = [first for ranges in explained(journals[0]).values() for first, last in ranges]
        assert set(issued) >= {serial for _, serial in got}
        assert {entry.serial: entry.index for entry in journals[0].read() if entry.serial is not None} == {serial: index for index, serial in got}
    finally:
        for journal in journals:
            journal.close()


def test_numbers_go_on_after_a_restart(engine: Engine) -> None:
    for turn in range(3):
        with Journal(engine, clock) as journal:
            assert issue(journal, Counter(), "x").result(10) == (2 * turn, turn + 1)
            assert journal.append("event", b"y") == 2 * turn + 1


def test_a_unit_out_of_service_issues_nothing_anywhere(journal: Journal, database: Database) -> None:
    assert issue(journal, Counter(), "x").result(10) == (0, 1)
    store.stop(database.engine(), "unit")
    with pytest.raises(Unacceptable):
        issue(journal, Counter(), "y").result(10)
    store.stop(database.engine(), "never used")
    with pytest.raises(Unacceptable):
        issue(journal, Counter("never used"), "y").result(10)
    assert explained(journal) == {"unit": [(1, 1)]}


def test_what_is_written_beside_entries_fails_alone(journal: Journal, database: Database) -> None:
    row = {"size": 1, "root": bytes(32), "at": 0, "note": b"x", "cosigned": 0}
    journal.alongside(lambda connection: connection.execute(insert(tables.CHECKPOINT), row) and None)
    with pytest.raises(Unavailable) as caught:
        journal.alongside(lambda connection: connection.execute(insert(tables.CHECKPOINT), row) and None)
    assert isinstance(caught.value.__cause__, IntegrityError)
    assert journal.append("event", b"x") == 0


def test_the_table_only_grows(journal: Journal, engine: Engine) -> None:
    journal.append("event", b"x")
    for statement in ("update journal_entry set body = null", "delete from journal_entry"):
        with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))


def test_the_database_forbids_a_serial_twice(journal: Journal, engine: Engine) -> None:
    issue(journal, Counter(), "x").result(10)
    row = {"number": 1, "kind": "token", "at": 0, "body": b"", "leaf": bytes(32), "unit": "unit", "serial": 1}
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(tables.ENTRY), row)


def test_a_table_that_is_not_whole_is_not_written_on(engine: Engine) -> None:
    with Journal(engine, clock) as journal:
        journal.append("event", b"x")
    with engine.begin() as connection:
        connection.execute(update(tables.NEXT).values(value=5))
    with pytest.raises(Misconfigured, match="not whole"):
        Journal(engine, clock)


def test_large_bodies_and_numbers(journal: Journal, engine: Engine) -> None:
    with pytest.raises(TooLarge):
        journal.append("seal", bytes(MAX_BODY + 1))
    assert journal.append("seal", bytes(MAX_BODY)) == 0
    with engine.begin() as connection:
        connection.execute(insert(tables.NEXT), {"name": "unit", "value": 2**40})
    assert issue(journal, Counter(), "x").result(10) == (1, 2**40)


def test_the_migrations_make_the_tables_that_the_code_knows(engine: Engine, database: Database) -> None:
    found = inspect(engine)
    for name, table in tables.METADATA.tables.items():
        assert {column["name"]: column["nullable"] for column in found.get_columns(name)} == {c.name: c.nullable for c in table.columns}
        assert found.get_pk_constraint(name)["constrained_columns"] == [c.name for c in table.primary_key]
    assert [c["column_names"] for c in found.get_unique_constraints("journal_entry")] == [["unit", "serial"]]


def test_tokens_of_two_processes_are_one_sequence_in_the_order_of_their_times(database: Database) -> None:
    """Serials, times and entries rise together, as an auditor expects of one log."""
    journals = [Journal(database.engine(), tsu.clock) for _ in range(2)]
    units = [Authority(tsu.unit(name=f"tsu-{tsu.party().certificate.id.hex()[:16]}"), journal, tsu.clock) for journal in journals]

    def work(authority: Authority) -> None:
        for number in range(25):
            reply = tsp.decode_response(authority.stamp(tsp.encode_request(tsu.DIGEST, nonce=number)))
            assert reply.granted, reply.reason

    threads = [threading.Thread(target=work, args=(authority,)) for authority in units for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    entries = list(journals[0].read())
    for each in (*units, *journals):
        each.close()
    tokens = [cms.token(entry.body) for entry in entries if entry.kind == "token"]
    assert [token.serial for token in tokens] == list(range(1, 101))
    times = [token.gen_time for token in tokens]
    assert times == sorted(times)
    assert max(entry.at for entry in entries) - times[0] < timedelta(hours=1)
