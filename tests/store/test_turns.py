"""Serials that were taken by a process that then died, stalled or came back late: PostgreSQL alone has turns."""

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, StaticPool, create_engine, insert, select, text, update

from tests import postgres
from tests.journals import AT, Counter, issue
from tests.store.conftest import Database
from tests.store.test_journal import clock, explained
from trust.edge.engine import bring_up, connect
from trust.edge.operations.watch import journal_seen
from trust.errors import KakuinError, Misconfigured, Unacceptable, Unavailable
from trust.log import turns as module
from trust.log.examine import Examiner
from trust.log.journal import Journal
from trust.log.page import Made
from trust.log.tables import ENTRY, NEXT, TURN
from trust.log.turns import Turn, Turns, voided


def ignored(_connection: object, _events: object) -> None:
    """Of a session that explains nothing."""


@pytest.fixture
def database(cluster: postgres.Cluster, template: str) -> Iterator[Database]:
    made = Database("postgresql", cluster.database(template))
    made.engine()
    yield made
    made.close()


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.engines[0]


@pytest.fixture
def journal(engine: Engine) -> Iterator[Journal]:
    with Journal(engine, clock) as made:
        yield made


def taken(session: Turns, count: int, at: datetime = AT) -> Turn:
    with session.session() as connection:
        turns, _ = session.take(connection, {"unit": count}, {"unit": lambda: at})
    turn = turns["unit"]
    assert isinstance(turn, Turn)
    return turn


def voids(journal: Journal) -> list[tuple[str, int, int]]:
    return [found for entry in journal.read() if entry.kind == "event" and (found := voided(json.loads(entry.body))) is not None]


def test_who_took_later_serials_waits(journal: Journal, database: Database) -> None:
    other = Turns(database.engine(), ignored)
    turn = taken(other, 3)
    waiting = issue(journal, Counter(), "x")
    assert not threading.Event().wait(0.3) and not waiting.done()
    with other.session() as connection, connection.begin():
        assert other.come(connection, [turn]) == frozenset()
        row = {"kind": "token", "at": 0, "body": b"", "leaf": bytes(32), "unit": "unit"}
        connection.execute(insert(ENTRY), [{**row, "number": n, "serial": n + 1} for n in range(3)])
        connection.execute(update(NEXT).where(NEXT.c.name == "").values(value=3))
    assert waiting.result(10) == (3, 4)
    other.close()


def test_what_a_dead_process_took_is_declared_void_before_what_follows(journal: Journal, database: Database) -> None:
    other = Turns(database.engine(), ignored)
    taken(other, 3)
    waiting = issue(journal, Counter(), "x")
    other.close()  # as death does
    assert waiting.result(10) == (1, 4)
    assert voids(journal) == [("unit", 1, 3)]
    assert explained(journal) == {"unit": [(1, 3), (4, 4)]}


def test_the_next_start_explains_what_nobody_waits_for(database: Database) -> None:
    other = Turns(database.engine(), ignored)
    taken(other, 2)
    other.close()
    with Journal(database.engine(), clock) as journal:
        assert voids(journal) == [("unit", 1, 2)]
        assert issue(journal, Counter(), "x").result(10) == (1, 3)


def test_a_start_leaves_the_living_alone(database: Database) -> None:
    other = Turns(database.engine(), ignored)
    turn = taken(other, 2)
    with Journal(database.engine(), clock) as journal:
        assert voids(journal) == []
        with other.session() as connection, connection.begin():
            assert turn.remove(connection)
    other.close()


def test_a_pooler_that_shares_sessions_is_refused(database: Database) -> None:
    """PgBouncer in transaction mode: the lock that tells that a process lives would be everybody's."""
    shared = create_engine(database.url.replace("postgresql", "postgresql+psycopg", 1), poolclass=StaticPool)
    with pytest.raises(Misconfigured, match="pool_mode = session"), Turns(shared, ignored).session():
        pass
    shared.dispose()


def test_nothing_is_recorded_of_a_turn_that_was_declared_void(journal: Journal, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was stopped, and comes back when everybody has given it up: its clients get refusals, whatever it has signed."""
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    reached, go_on = threading.Event(), threading.Event()

    class Slow(Counter):
        def make(self, first: int, requests: object, at: object = None) -> list[Made | KakuinError]:
            reached.set()
            assert go_on.wait(10)
            return super().make(first, requests, at)  # type: ignore[arg-type]

    late = issue(journal, Slow(), "late")
    assert reached.wait(10)
    with Journal(database.engine(), clock) as other:
        assert issue(other, Counter(), "quick").result(10) == (1, 2)
        go_on.set()
        with pytest.raises(Unavailable, match="declared void"):
            late.result(10)
        assert issue(journal, Counter(), "again").result(10) == (2, 3)
        assert explained(other) == {"unit": [(1, 1), (2, 2), (3, 3)]}


def test_serials_of_refusals_are_given_back_or_explained(journal: Journal, database: Database) -> None:
    with pytest.raises(Unacceptable):
        issue(journal, Counter(), "bad").result(10)
    assert issue(journal, Counter(), "x").result(10) == (0, 1)
    assert voids(journal) == []
    with database.engine().connect() as connection:
        assert connection.execute(select(TURN)).all() == []


def test_a_unit_that_is_stopped_while_it_signs_issues_nothing(journal: Journal, database: Database) -> None:
    from tsa import store

    class Stopping(Counter):
        def make(self, first: int, requests: object, at: object = None) -> list[Made | KakuinError]:
            if first == 1:
                store.stop(database.engine(), "unit")
            return super().make(first, requests, at)  # type: ignore[arg-type]

    with pytest.raises(Unacceptable):
        issue(journal, Stopping(), "x").result(10)
    assert [entry.kind for entry in journal.read()] == ["event"]
    assert voids(journal) == [("unit", 1, 1)]


def test_a_clock_that_is_behind_waits_a_little_and_refuses_a_lot(journal: Journal, database: Database) -> None:
    """Times rise with serials, also where nodes' clocks differ."""

    class Timed(Counter):
        def __init__(self, *moments: datetime) -> None:
            super().__init__()
            self.moments = list(moments)
            self.at: list[datetime | None] = []

        def ready(self) -> datetime:
            return self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]

        def make(self, first: int, requests: object, at: datetime | None = None) -> list[Made | KakuinError]:
            self.at.append(at)
            return super().make(first, requests, at)  # type: ignore[arg-type]

    assert issue(journal, Timed(AT), "x").result(10) == (0, 1)
    behind = Timed(AT - timedelta(milliseconds=1), AT - timedelta(milliseconds=1), AT + timedelta(milliseconds=1))
    assert issue(journal, behind, "x").result(10) == (1, 2)
    assert behind.at == [AT + timedelta(milliseconds=1)]
    with pytest.raises(Unavailable, match="clock is 60"):
        issue(journal, Timed(AT - timedelta(seconds=60)), "x").result(10)
    assert issue(journal, Timed(AT + timedelta(seconds=1)), "x").result(10) == (2, 3)


def test_health_knows_of_a_clock_that_is_behind(database: Database) -> None:
    """Time-stamps are refused there, and whatever else is recorded does not make that good."""
    with Journal(database.engine(), clock) as journal:
        assert issue(journal, Counter(), "x").result(10) == (0, 1)
        assert journal_seen(database.engines[0], journal, 0).fault is None
    with Journal(database.engine(), lambda: AT - timedelta(seconds=60)) as behind:
        behind.append("event", b"{}")
        told = journal_seen(database.engines[0], behind, 0)
        assert told.reachable and told.fault == "this node's clock is 60.000 seconds behind that of the last time-stamp"


def test_entries_times_rise_though_nodes_clocks_differ(database: Database) -> None:
    with Journal(database.engine(), lambda: AT) as one, Journal(database.engine(), lambda: AT - timedelta(milliseconds=3)) as other:
        one.append("event", b"{}")
        other.append("event", b"{}")
        assert [entry.at for entry in one.read()] == [AT, AT]
    with Journal(database.engine(), lambda: datetime(2020, 1, 1, tzinfo=UTC)) as wrong:
        wrong.append("event", b"{}")
        assert list(wrong.read())[-1].at.year == 2020, "a clock that is far off shows"


def test_the_database_gone_and_back(tmp_path: Path) -> None:
    """Refusals while it is away, in bounded time; no restart afterwards."""
    with postgres.cluster() as cluster:
        database = Database("postgresql", cluster.database())
        bring_up(database.engine())
        with Journal(database.engine(), clock) as journal:
            assert issue(journal, Counter(), "x").result(20)[1] == 1
            for how in ("fast", "immediate"):
                cluster.stop(how=how)
                with pytest.raises(Unavailable):
                    issue(journal, Counter(), "x").result(20)
                with pytest.raises(Unavailable):
                    journal.append("event", b"{}")
                cluster.start()
                assert issue(journal, Counter(), "x").result(20)
            explained(journal)
        database.close()


def test_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    """Stopped, it keeps its connections, and no keepalive tells. Whoever waited hears of it, and the next are served when it goes on."""
    with postgres.cluster() as cluster:
        database = Database("postgresql", cluster.database())
        bring_up(database.engine())
        url = f"{database.url}&connect_timeout=2"
        with contextlib.closing(database), Journal(made := connect(url, silence=0.5), clock) as journal:
            assert issue(journal, Counter(), "x").result(20)[1] == 1
            with cluster.frozen():
                futures = [issue(journal, Counter(), str(number)) for number in range(3)]
                for future in futures:
                    with pytest.raises(Unavailable, match=r"said nothing|timeout"):
                        future.result(20)
                assert journal.fault
            assert issue(journal, Counter(), "y").result(20)
            assert journal.fault is None
            explained(journal)
        made.dispose()


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes"])
def test_a_server_that_may_lose_what_it_commits_is_refused(database: Database, cluster: postgres.Cluster, name: str) -> None:
    if name == "synchronous_commit":
        with database.engine().begin() as connection:
            connection.execute(text(f"alter database {connection.engine.url.database} set {name} = off"))
        with pytest.raises(Misconfigured, match=name):
            Journal(database.engine(), clock)
        return
    cluster.sql(f"alter system set {name} = off")
    try:
        cluster.reload(name, "off")
        with pytest.raises(Misconfigured, match=name):
            Journal(database.engine(), clock)
    finally:
        cluster.sql(f"alter system reset {name}")
        cluster.reload(name, "on")


def test_an_examiner_takes_void_serials_for_no_gap(journal: Journal, database: Database) -> None:
    other = Turns(database.engine(), ignored)
    taken(other, 3)
    other.close()
    journal.append("event", module.void("tsu-00", 1, 4, module.ENDED))
    examiner = Examiner()
    found = [finding for entry in journal.read() for finding in examiner.entry(entry)]
    assert found == []
    assert examiner.seen.units["00"].last == 4


@pytest.mark.parametrize(
    "body",
    [b'{"event":"serials-void"}', b'{"event":"serials-void","unit":"u","first":3,"last":2}', b'{"event":"serials-void","unit":1,"first":1,"last":1}'],
)
def test_a_malformed_explanation_explains_nothing(body: bytes) -> None:
    with pytest.raises(ValueError, match="names a unit"):
        voided(json.loads(body))
