"""What is told of time-stamps, and what the journal says of itself."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests import tsu
from trust.codecs import tsp
from trust.codecs.tsp import Failure
from trust.edge import web
from trust.edge.operations import gate, metrics
from trust.edge.operations.assembly import watched
from trust.edge.operations.tally import Tally
from trust.edge.operations.watch import journal_seen
from trust.edge.web import logging_to
from trust.errors import TooLarge, Unavailable
from trust.log.faults import Faults
from trust.log.journal import Journal
from tsa.watching import FAILURES, Counting

GRANTED = tsp.granted(b"\x30\x03\x02\x01\x07" + bytes(3000))


@pytest.fixture
def tally() -> Tally:
    return Tally(metrics.catalogue(routes=gate.CLASSES, units=("tsu",), failures=FAILURES, formats=(), kinds=(), levels=(), conclusions=()))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = tsu.engine(tmp_path)
    yield made
    made.dispose()


@pytest.fixture(autouse=True)
def _no_request() -> Iterator[None]:
    """What is answered here is answered in no task of its own, which would take its id away with it."""
    yield
    web._CURRENT.set(None)


def scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "path": "/tsa", "method": "POST", "client": ("192.0.2.1", 1), "headers": [(b"host", b"x"), *headers]}


def counted(tally: Tally, name: str) -> dict[tuple[str, ...], float]:
    return {each.values: each.cells[0] for each in tally.readings() if each.series.name == name and each.cells[0]}


def test_granted_tokens_are_counted_and_leave_no_line(tally: Tally, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    watch = Counting(tally, ("tsu",))
    assert watch.answered(scope(), None, GRANTED, 0.0004) == ()
    assert watch.answered(scope(), "tsu", GRANTED, 0.0004) == ()
    assert watch.answered(scope((b"x-request-id", b"abcdefgh")), None, GRANTED, 3.0) == ((b"x-request-id", b"abcdefgh"),)
    assert counted(tally, metrics.TSA) == {("any", "granted"): 2.0, ("tsu", "granted"): 1.0}
    [seconds] = [each.cells for each in tally.readings() if each.series.name == metrics.TSA_SECONDS]
    assert seconds[0] == 2.0 and seconds[-2] == 1.0 and seconds[-1] == pytest.approx(3.0008)
    assert not caplog.records


@pytest.mark.parametrize("failure", Failure, ids=lambda failure: failure.label)
def test_a_refusal_is_counted_by_its_reason(tally: Tally, failure: Failure) -> None:
    Counting(tally, ("tsu",)).answered(scope(), "tsu", tsp.rejection(failure, "\x30\x03\x02\x01\x00 is what granted looks like"), 0.001)
    assert counted(tally, metrics.TSA) == {("tsu", failure.label): 1.0}


def test_refusals_leave_lines_with_their_id_and_only_so_many(tally: Tally) -> None:
    watch, refusal = Counting(tally, (), now=lambda: 5.0), tsp.rejection(Failure.BAD_ALG, "sha1")
    log = io.StringIO()
    with logging_to(log):
        for number in range(50):
            [(name, value)] = watch.answered(scope((b"x-request-id", b"request-%d" % number)), None, refusal, 0.001)
            assert (name, value) == (b"x-request-id", b"request-%d" % number)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["request_id"] for line in lines] == [f"request-{number}" for number in range(20)]
    assert {line["outcome"] for line in lines} == {"badAlg"} and {line["client"] for line in lines} == {"192.0.2.1"}
    assert counted(tally, metrics.TSA) == {("any", "badAlg"): 50.0}


def test_every_token_leaves_a_line_where_that_is_wanted(tally: Tally) -> None:
    log = io.StringIO()
    with logging_to(log):
        Counting(tally, (), every=True).answered(scope((b"x-request-id", b"\x00not an id")), None, GRANTED, 0.0012)
    [line] = map(json.loads, log.getvalue().splitlines())
    assert (line["outcome"], line["ms"], line["path"]) == ("granted", 1.2, "/tsa") and len(line["request_id"]) == 16


def test_what_is_no_request_of_the_protocol_is_counted_as_http(tally: Tally) -> None:
    [(name, _)] = Counting(tally, ()).problem(scope(), TooLarge("too large"))
    assert name == b"x-request-id" and counted(tally, metrics.HTTP) == {("tsa", "413"): 1.0}


def test_lines_of_requests_can_be_left_out() -> None:
    log = io.StringIO()
    with logging_to(log, requests=False):
        logging.getLogger("kakuin.access").info("request")
        logging.getLogger("kakuin.error").error("fault")
    assert [json.loads(line)["message"] for line in log.getvalue().splitlines()] == ["fault"]
    quiet = io.StringIO()
    with logging_to(quiet, level=logging.ERROR):
        logging.getLogger("kakuin.serve").warning("left out")
    assert not quiet.getvalue()


# The journal.


def test_transactions_are_counted(tally: Tally, engine: Engine) -> None:
    with Journal(engine, tsu.clock) as journal:
        watched(journal, tally)
        for _ in range(3):
            journal.append("event", b"{}")
        done = threading.Event()
        journal.alongside(lambda _: done.set())
        assert done.is_set()
    [batches] = [each.cells for each in tally.readings() if each.series.name == metrics.BATCH]
    [seconds] = [each.cells for each in tally.readings() if each.series.name == metrics.COMMIT_SECONDS]
    assert batches[0] == batches[-1] == sum(seconds[:-1]) == 4.0 and seconds[-1] > 0


def test_what_the_journal_says(engine: Engine) -> None:
    with Journal(engine, tsu.clock) as journal:
        assert journal_seen(engine, journal, 0).committed is None
        journal.append("event", b"{}")
        journal.append("event", b"{}")
        found = journal_seen(engine, journal, 0)
        first, last = journal.read()
    assert found.reachable and found.size == 2 and found.fault is None and found.queue == 0
    assert (found.committed, found.uncovered_at, found.checkpoint_size) == (last.at, first.at, None)


def test_a_journal_without_a_writer_is_told(engine: Engine) -> None:
    journal = Journal(engine, tsu.clock)
    assert journal.alive
    journal.close()
    found = journal_seen(engine, journal, 0)
    assert not journal.alive and found.fault and "start the service again" in found.fault


def test_nobody_waits_for_a_writer_that_has_died(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever was recorded is told so, whoever waits or comes later is refused; health and the log say what to do."""
    reached, gate = threading.Event(), threading.Event()

    def dies(_requests: int, _seconds: float) -> None:
        reached.set()
        assert gate.wait(10)
        raise MemoryError

    with Journal(engine, tsu.clock) as journal:
        journal.watch = dies
        first = journal.append_soon("event", b"{}")
        assert reached.wait(10)
        waiting = [journal.append_soon("event", b"{}") for _ in range(300)]
        gate.set()
        assert first.result(10) == 0
        for each in waiting:
            with pytest.raises(Unavailable, match="nobody writes the journal any more"):
                each.result(10)
        with pytest.raises(Unavailable):
            journal.append("event", b"{}")
    assert not journal.alive and journal.size() == 1
    assert "until the service is started again" in caplog.text


def test_a_fault_is_told_until_a_transaction_succeeds_again(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Without a request that finds out: while it is not ready, nobody may send one."""
    with Journal(engine, tsu.clock) as journal:
        journal.append("event", b"{}")
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE journal_next RENAME TO hidden"))
        with pytest.raises(Unavailable):
            journal.append("event", b"{}")
        away = journal_seen(engine, journal, 0)
        assert not away.reachable and away.fault
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE hidden RENAME TO journal_next"))
        back = journal_seen(engine, journal, 0)
        assert back.reachable and back.fault is None and back.size == 1


def test_a_fault_that_lasts_leaves_a_line_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """And one when it is over. A service that refuses everybody must not fill the disk with saying so."""
    at = [0.0]
    faults = Faults(lambda: at[0])
    faults.over()
    for seconds in (0.0, 0.1, 9.9, 10.0, 10.1):
        at[0] = seconds
        faults.failed(Unavailable("the database is away"), 2)
    assert faults.why == "the database is away"
    faults.over()
    assert faults.why is None
    faults.failed(Unavailable("again, so soon"), 1)
    faults.over()
    assert faults.why is None
    assert [record.message for record in caplog.records] == [
        "journal: 2 entries not recorded: the database is away",
        "journal: 6 entries not recorded: the database is away",
        "journal: entries are recorded again; 2 more were not",
    ]
