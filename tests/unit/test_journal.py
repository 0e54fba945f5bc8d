"""The journal: numbered without gaps, durable before anybody hears of it, and alive again after the database was not."""

import hashlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, insert, inspect, text, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from tests import tsu
from tests.journals import AT, Counter, issue
from trust.edge import engine as edge
from trust.edge.operations.watch import journal_seen
from trust.errors import KakuinError, Misconfigured, TooLarge, Unacceptable, Unavailable
from trust.log import journal as module
from trust.log import line, tables
from trust.log.journal import Entry, Journal
from trust.log.page import Request, entry_data
from trust.log.tree import leaf_hash


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = tsu.engine(tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def journal(engine: Engine) -> Iterator[Journal]:
    with Journal(engine, lambda: AT) as made:
        yield made


class Held:
    """Somebody else's write lock on the database."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("begin immediate")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("rollback")
        self._connection.close()


def outside(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    """What another process sees."""
    connection = sqlite3.connect(folder / "journal.sqlite")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_entries_are_numbered_from_zero_and_read_back(journal: Journal) -> None:
    assert [journal.append("event", body) for body in (b"one", b"", b"three")] == [0, 1, 2]
    assert journal.size() == 3
    expected = [
        Entry(index, "event", AT, body, leaf_hash(entry_data("event", 1_795_222_923_456_789, body)))
        for index, body in enumerate((b"one", b"", b"three"))
    ]
    assert list(journal.read()) == expected
    assert list(journal.read(1)) == expected[1:]
    assert list(journal.read(1, 2)) == expected[1:2]
    assert list(journal.read(2, 2)) == []
    assert list(journal.read(3)) == []
    assert all(entry.sound for entry in expected)


def test_reading_goes_on_over_pages(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    for number in range(10):
        journal.append("event", b"%d" % number)
    assert [entry.index for entry in journal.read()] == list(range(10))
    assert [entry.index for entry in journal.read(2, 9)] == list(range(2, 9))


def test_the_leaf_hash_is_rfc_6962s_over_all_that_an_entry_says() -> None:
    data = b"seal\n" + bytes.fromhex("00000000000f4240") + b"body"
    assert entry_data("seal", 1_000_000, b"body") == data
    assert leaf_hash(data) == hashlib.sha256(b"\x00" + data).digest()
    # The leaf without data: SHA-256 of one zero octet.
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize("change", ["kind", "at", "body"])
def test_an_altered_entry_is_not_sound(journal: Journal, change: str) -> None:
    journal.append("event", b"as it was")
    [entry] = journal.read()
    altered = {"kind": "seal", "at": datetime(2026, 1, 1, tzinfo=UTC), "body": b"as it is"}
    from dataclasses import replace

    assert entry.sound
    assert not replace(entry, **{change: altered[change]}).sound  # type: ignore[arg-type]


def test_an_entry_is_seen_by_others_when_append_returns(journal: Journal, tmp_path: Path) -> None:
    index = journal.append("certificate", b"der")
    assert outside(tmp_path, "select number, kind, body from journal_entry") == [(index, "certificate", b"der")]


def test_nobody_is_answered_before_the_commit(engine: Engine, tmp_path: Path) -> None:
    gate, reached = threading.Event(), threading.Event()

    with Journal(engine, lambda: AT) as journal:

        @event.listens_for(engine, "commit")
        def hold(_connection: object) -> None:
            reached.set()
            assert gate.wait(10)

        future = journal.append_soon("event", b"body")
        assert reached.wait(10)
        time.sleep(0.05)
        assert not future.done()
        assert outside(tmp_path, "select count(*) from journal_entry") == [(0,)]
        gate.set()
        assert future.result(10) == 0
        assert outside(tmp_path, "select count(*) from journal_entry") == [(1,)]


def test_many_requests_share_one_transaction(engine: Engine, tmp_path: Path) -> None:
    with Journal(engine, lambda: AT) as journal:
        commits: list[int] = []
        event.listen(engine, "commit", lambda _connection: commits.append(1))
        with Held(tmp_path):
            futures = [journal.append_soon("event", b"%d" % number) for number in range(100)]
            time.sleep(0.05)
        assert [future.result(10) for future in futures] == list(range(100))
        assert len(commits) <= 3, "the first alone, then what had gathered meanwhile"


def test_a_batch_has_a_limit(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BATCH", 10)
    with Journal(engine, lambda: AT) as journal:
        commits: list[int] = []
        event.listen(engine, "commit", lambda _connection: commits.append(1))
        with Held(tmp_path):
            futures = [journal.append_soon("event", b"%d" % number) for number in range(100)]
        assert [future.result(10) for future in futures] == list(range(100))
        assert len(commits) >= 10


def test_who_is_answered_and_asks_again_at_once_is_in_the_next_group(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the writer gives way, requests come one by one, and still share a transaction."""
    groups: list[int] = []
    done = threading.Event()
    answered: list[int] = []

    def settle(index: int, _answer: Any, _error: KakuinError | None) -> None:
        answered.append(index)
        if len(answered) == 20:
            done.set()

    def ask(count: int) -> list[Request]:
        return [Request(None, ("event", b"body"), settle)] * count

    def giving_way(_seconds: float) -> None:
        assert len(answered) >= 12, "answers leave first"
        if len(answered) == 12:
            for _ in range(8):
                journal.issue_all(ask(1))

    monkeypatch.setattr(module.time, "sleep", giving_way)
    journal.watch = lambda count, _seconds: groups.append(count)
    journal.issue_all(ask(12))
    assert done.wait(10)
    assert (groups, answered) == ([12, 8], list(range(20)))


def test_after_few_answers_nobody_gives_way(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: pytest.fail("nobody is to wait"))
    for _ in range(3):
        assert journal.append("event", b"body") >= 0


def impatient(engine: Engine) -> None:
    """Wait for another's lock 30 ms, not ten seconds."""

    @event.listens_for(engine, "checkout")
    def prepare(connection: Any, _record: object, _proxy: object) -> None:
        connection.execute("pragma busy_timeout = 30")


def test_each_waiter_hears_of_a_failure_and_the_writer_recovers(engine: Engine, tmp_path: Path) -> None:
    impatient(engine)
    with Journal(engine, lambda: AT) as journal:
        assert journal.append("event", b"before") == 0
        with Held(tmp_path):
            futures = [journal.append_soon("event", b"lost") for _ in range(20)] + [issue(journal, Counter(), "lost")]  # type: ignore[list-item]
            for future in futures:
                with pytest.raises(Unavailable):
                    future.result(10)
        assert journal.append("event", b"after") == 1
        assert issue(journal, Counter(), "first").result(10) == (2, 1)
        assert [entry.body for entry in journal.read()] == [b"before", b"after", b"unit 1 first"]


def test_a_full_disk_is_a_refusal_and_not_the_end(engine: Engine) -> None:
    pages = [0]

    @event.listens_for(engine, "checkout")
    def limit(connection: Any, _record: object, _proxy: object) -> None:
        connection.execute(f"pragma max_page_count = {pages[0] or 1_000_000}")

    with Journal(engine, lambda: AT) as journal:
        first = journal.append("event", bytes(5_000))
        pages[0] = 1  # the database cannot grow
        with pytest.raises(Unavailable):
            for _ in range(100):
                journal.append("event", bytes(50_000))
        pages[0] = 0
        here = journal.size()
        assert journal.append("event", b"after") == here
        assert [entry.index for entry in journal.read()] == list(range(first, here + 1))


@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_nothing_is_recorded_in_a_file_that_nobody_finds_again(name: str, how: str, engine: Engine, tmp_path: Path) -> None:
    """SQLite itself writes on in what has no name any more: with every token durably recorded, and none there at the next start."""
    with Journal(engine, lambda: AT) as journal:
        assert journal.append("event", b"before") == 0
        if how == "replaced":
            shutil.copy(tmp_path / name, tmp_path / "other")
            (tmp_path / "other").replace(tmp_path / name)
        else:
            (tmp_path / name).unlink()
        for _ in range(2):
            with pytest.raises(Unavailable, match="deleted or replaced while it was open"):
                journal.append("event", b"lost")
        assert journal.fault
        assert not journal_seen(engine, journal, 0).reachable


def test_a_damaged_database_is_not_written_on(engine: Engine) -> None:
    """Most of such a file can be written as before; what is in it afterwards, nobody can tell."""
    found = [True]
    with Journal(engine, lambda: AT) as journal:
        journal.append("event", b"before")

        @event.listens_for(engine, "commit")
        def damaged(_connection: object) -> None:
            if found:
                found.clear()
                raise DatabaseError("commit", {}, sqlite3.DatabaseError("database disk image is malformed"))

        for _ in range(2):
            with pytest.raises(Unavailable, match="is damaged"):
                journal.append("event", b"after")
        assert not found and journal.fault
        assert journal.size() == 1


def test_serials_are_consecutive_for_each_unit_and_failures_take_none(journal: Journal) -> None:
    one, other = Counter("one"), Counter("other")
    matters = [(one, "a"), (one, "bad"), (other, "b"), (one, "c"), (other, "bad"), (other, "d"), (one, "e")]
    futures = [(matter, issue(journal, issuer, matter)) for issuer, matter in matters]
    serials: dict[str, list[int]] = {"one": [], "other": []}
    for (issuer, matter), (_, future) in zip(matters, futures, strict=True):
        if matter == "bad":
            with pytest.raises(Unacceptable):
                future.result(10)
        else:
            serials[issuer.unit].append(future.result(10)[1])
    assert serials == {"one": [1, 2, 3], "other": [1, 2]}
    entries = list(journal.read())
    assert [entry.index for entry in entries] == list(range(5))
    assert all(entry.body.decode().startswith(f"{entry.unit} {entry.serial} ") for entry in entries)


def test_an_entry_is_found_by_its_serial(journal: Journal) -> None:
    for matter in "abc":
        issue(journal, Counter(), matter).result(10)
    journal.append("event", b"between")
    found = journal.find("unit", 2)
    assert found is not None
    assert (found.index, found.body, found.kind) == (1, b"unit 2 b", "token")
    assert journal.find("unit", 4) is None
    assert journal.find("other", 1) is None


def test_a_fault_in_making_loses_the_batch_and_no_serial(engine: Engine, tmp_path: Path) -> None:
    with Journal(engine, lambda: AT) as journal:
        issue(journal, Counter(), "first").result(10)
        with Held(tmp_path):  # so that they meet in one batch
            futures = [issue(journal, Counter(), matter) for matter in ("x", "y", "broken", "z")]
            time.sleep(0.02)
        errors = [future.exception(10) for future in futures]
        assert isinstance(errors[2], Unavailable)
        after = issue(journal, Counter(), "after").result(10)
        entries = list(journal.read())
        assert [entry.serial for entry in entries] == list(range(1, len(entries) + 1))
        assert after == (len(entries) - 1, len(entries))


def test_a_waiter_that_cannot_be_told_harms_nobody(journal: Journal) -> None:
    def settle(_index: int, _answer: object, _error: object) -> None:
        raise RuntimeError("event loop is closed")

    journal.issue(Counter(), "gone", settle)
    assert journal.append("event", b"next") == 1


def test_numbers_go_on_after_a_restart(engine: Engine) -> None:
    for turn in range(3):
        with Journal(engine, lambda: AT) as journal:
            assert issue(journal, Counter(), "x").result(10) == (2 * turn, turn + 1)
            assert journal.append("event", b"y") == 2 * turn + 1


def test_two_processes_on_one_database_share_the_numbers(tmp_path: Path, engine: Engine) -> None:
    engines = [engine, edge.connect(edge.sqlite_url(tmp_path / "journal.sqlite"))]
    journals = [Journal(e, lambda: AT) for e in engines]
    got: list[tuple[int, int]] = []

    def work(journal: Journal) -> None:
        for _ in range(5):
            futures = [issue(journal, Counter(), "x") for _ in range(10)]
            got.extend(future.result(30) for future in futures)

    threads = [threading.Thread(target=work, args=(journal,)) for journal in journals for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for journal in journals:
        journal.close()
    assert sorted(index for index, _ in got) == list(range(200))
    assert sorted(serial for _, serial in got) == list(range(1, 201))
    with Journal(engine, lambda: AT) as journal:
        assert [(entry.index, entry.serial) for entry in journal.read()] == [(n, n + 1) for n in range(200)]
    engines[1].dispose()


def test_closing_records_what_waits_and_refuses_what_comes(engine: Engine, tmp_path: Path) -> None:
    journal = Journal(engine, lambda: AT)
    with Held(tmp_path):
        futures = [journal.append_soon("event", b"x") for _ in range(10)]
        closing = threading.Thread(target=journal.close)
        closing.start()
        time.sleep(0.02)
    closing.join(10)
    assert [future.result(0) for future in futures] == list(range(10))
    with pytest.raises(Unavailable, match="closed"):
        journal.append("event", b"late")
    journal.close()


def test_a_writer_too_far_behind_refuses_at_once(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "MAX_WAITING", 3)
    with Held(tmp_path):
        futures = []
        with pytest.raises(Unavailable, match="too far behind"):
            for _ in range(20):
                futures.append(journal.append_soon("event", b"x"))
                time.sleep(0.005)
    assert [future.result(10) for future in futures] == list(range(len(futures)))


def test_what_cannot_be_an_entry_is_refused(journal: Journal) -> None:
    with pytest.raises(Unacceptable, match="kind is one of"):
        journal.append("document", b"")
    with pytest.raises(TooLarge):
        journal.append("seal", bytes(module.MAX_BODY + 1))
    assert journal.append("seal", bytes(module.MAX_BODY)) == 0
    assert len(entry_data("certificate", 0, bytes(module.MAX_BODY))) <= 65_535


def test_the_table_can_only_grow(journal: Journal, engine: Engine) -> None:
    journal.append("event", b"x")
    for statement in (update(tables.ENTRY).values(body=b"y"), delete(tables.ENTRY)):
        with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
            connection.execute(statement)


def test_the_database_forbids_a_serial_twice(journal: Journal, engine: Engine) -> None:
    issue(journal, Counter(), "x").result(10)
    row = {"number": 1, "kind": "token", "at": 0, "body": b"", "leaf": bytes(32), "unit": "unit", "serial": 1}
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(tables.ENTRY), row)


def test_a_table_that_is_not_whole_is_not_written_on(engine: Engine) -> None:
    with Journal(engine, lambda: AT) as journal:
        journal.append("event", b"x")
    with engine.begin() as connection:
        connection.execute(update(tables.NEXT).values(value=5))
    with pytest.raises(Misconfigured, match="not whole"):
        Journal(engine, lambda: AT)


def test_a_database_that_does_not_flush_is_refused(tmp_path: Path) -> None:
    engine = tsu.engine(tmp_path)

    @event.listens_for(engine, "checkout")
    def hurry(connection: Any, _record: object, _proxy: object) -> None:
        connection.execute("pragma synchronous = normal")

    with pytest.raises(Misconfigured, match="flush"):
        Journal(engine, lambda: AT)
    engine.dispose()


def test_a_database_without_the_tables_is_told_in_one_line(tmp_path: Path) -> None:
    engine = edge.connect(edge.sqlite_url(tmp_path / "empty.sqlite"))
    with pytest.raises(KakuinError) as caught:
        Journal(engine, lambda: AT)
    assert "\n" not in str(caught.value)
    engine.dispose()


def test_the_migration_makes_the_tables_that_the_code_knows(tmp_path: Path, engine: Engine) -> None:
    migrated = edge.connect(edge.sqlite_url(tmp_path / "migrated.sqlite"))
    edge.bring_up(migrated)

    def shape(one: Engine) -> dict[str, Any]:
        found = inspect(one)
        names = ("journal_entry", "journal_next")
        columns = {name: [{k: str(v) for k, v in c.items()} for c in found.get_columns(name)] for name in names}
        unique = {name: found.get_unique_constraints(name) for name in names}
        with one.connect() as connection:
            triggers = connection.execute(text("select name, sql from sqlite_master where type = 'trigger' and name like 'journal%' order by name"))
            return {"columns": columns, "unique": unique, "triggers": [tuple(row) for row in triggers]}

    assert shape(migrated) == shape(engine)
    with Journal(migrated, lambda: AT) as journal:
        assert journal.append("event", b"x") == 0
    migrated.dispose()
