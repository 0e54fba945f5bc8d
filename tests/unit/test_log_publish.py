"""Checkpoints of the journal: only over what is durable, never behind an older one, by several processes, and none over a rewritten history."""

import hashlib
import json
import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, insert, select

from tests import asgi, tsu
from trust.codecs import tsp
from trust.edge.engine import connect, sqlite_url
from trust.edge.web import application
from trust.errors import KakuinError, Misconfigured, NotFound, Unavailable
from trust.log import api, examine, layout, monitor, reading, receipt, sources, tree
from trust.log.journal import Journal
from trust.log.monitor import Round, State, Watch
from trust.log.note import Kind, VerifierKey, opened, parse_checkpoint, parse_note
from trust.log.page import entry_data, microseconds
from trust.log.publish import Publisher
from trust.log.stored import Published, Stored
from trust.log.tables import CHECKPOINT, NODE
from trust.log.tree import leaf_hash

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey("log.example/1", Kind.LOG, PRIVATE.public_key().public_bytes_raw())
AT = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Ticking:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = tsu.engine(tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def journal(engine: Engine, clock: Ticking) -> Iterator[Journal]:
    with Journal(engine, clock) as made:
        yield made


@pytest.fixture
def publisher(engine: Engine, clock: Ticking) -> Publisher:
    return Publisher(engine, KEY, PRIVATE.sign, clock, SECOND)


def fill(journal: Journal, count: int) -> None:
    """So many more entries: events that say their number."""
    first = journal.size()
    for each in [journal.append_soon("event", json.dumps({"event": "test", "n": n}).encode()) for n in range(first, first + count)]:
        each.result(30)


def made(published: Published | None) -> Published:
    assert published is not None
    return published


def test_a_checkpoint_is_over_all_that_is_there(journal: Journal, publisher: Publisher) -> None:
    assert publisher.publish() is None
    with pytest.raises(NotFound, match="no checkpoint yet"):
        publisher.stored.resource("checkpoint")
    fill(journal, 700)
    newest = made(publisher.publish())
    checkpoint, _ = opened(newest.note, KEY)
    leaves = [leaf_hash(entry_data(e.kind, microseconds(e.at), e.body)) for e in journal.read()]
    assert (checkpoint.size, checkpoint.root) == (700, tree.root_of(leaves))
    assert publisher.stored.resource("checkpoint") == newest.note
    assert tree.frontier_of(publisher.stored.tiles, 700).root() == checkpoint.root


def test_at_most_one_in_its_interval(journal: Journal, publisher: Publisher, clock: Ticking) -> None:
    fill(journal, 3)
    first = made(publisher.publish())
    fill(journal, 2)
    assert publisher.publish() == first
    clock.now += SECOND
    assert made(publisher.publish()).size == 5
    fill(journal, 1)
    assert made(publisher.publish(due=False)).size == 6
    assert publisher.publish(due=False) == publisher.publish()
    assert [c.size for c in publisher.stored.checkpoints()] == [3, 5, 6]


def test_two_publishers_take_turns(engine: Engine, journal: Journal, clock: Ticking) -> None:
    one, other = (Publisher(engine, KEY, PRIVATE.sign, clock, timedelta()) for _ in range(2))
    for count in (1, 255, 2, 300):
        fill(journal, count)
        assert made(one.publish()) == made(other.publish())
        fill(journal, 1)
        assert made(other.publish()) == made(one.publish())
    sizes = [c.size for c in one.stored.checkpoints()]
    assert sizes == sorted(set(sizes)) and sizes[-1] == journal.size()


def _publish(folder: Path, rounds: int) -> None:
    engine = connect(sqlite_url(folder / "journal.sqlite"))
    publisher = Publisher(engine, KEY, PRIVATE.sign, tsu.clock, timedelta())
    for _ in range(rounds):
        publisher.publish()
    engine.dispose()


def test_several_processes_publish_one_history(tmp_path: Path, engine: Engine, journal: Journal, publisher: Publisher) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_publish, args=(tmp_path, 60)) for _ in range(2)]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        fill(journal, 20)
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    made(publisher.publish(due=False))  # it goes through all of it and compares
    assert examined(engine) == []


def examined(engine: Engine) -> list[tuple[str, int | None]]:
    """What `kakuin log check` finds in the database."""
    roots = [(c.size, c.root, "signed") for c in Stored(engine).checkpoints()]
    found = examine.examined(reading.entries(engine), roots, examine.Examiner(), examine.Examined())
    return [(f.what, f.index) for f in found]


def tampered(folder: Path, *statements: str) -> None:
    """As somebody with the file in their hands would."""
    database = sqlite3.connect(folder / "journal.sqlite")
    for verb in ("update", "delete"):
        database.execute(f"DROP TRIGGER journal_entry_no_{verb}")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


FORGED = b'{"event": "forged"}'
LEAF = leaf_hash(entry_data("event", microseconds(AT), FORGED)).hex()
SWAP = "UPDATE journal_entry SET number = {0} WHERE number = {1}"
TAMPERING: dict[str, tuple[tuple[str, ...], list[tuple[str, int | None]], bool]] = {
    # what is done, what the check finds, whether a publisher that is started anew notices by itself
    "altered": ((f"UPDATE journal_entry SET body = x'{FORGED.hex()}' WHERE number = 5",), [("changed", 5), ("root", None)], False),
    "altered with its leaf hash": (
        (f"UPDATE journal_entry SET body = x'{FORGED.hex()}', leaf = x'{LEAF}' WHERE number = 5",),
        [("root", None)],
        True,
    ),
    "dropped": (("DELETE FROM journal_entry WHERE number = 5",), [("missing", n) for n in range(6, 300)] + [("missing", None)], True),
    "dropped and closed up": (
        (
            "DELETE FROM journal_entry WHERE number = 5",
            "UPDATE journal_entry SET number = -number WHERE number > 5",
            "UPDATE journal_entry SET number = -number - 1 WHERE number < 0",
            "UPDATE journal_next SET value = value - 1",
        ),
        [("missing", None)],
        True,
    ),
    "reordered": ((SWAP.format(-1, 5), SWAP.format(5, 6), SWAP.format(6, -1)), [("root", None)], True),
    "another root": (("UPDATE log_checkpoint SET root = zeroblob(32)",), [("root", None)], True),
    "another tile": (("UPDATE log_node SET hash = zeroblob(32)",), [], True),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_a_rewritten_history_is_found_and_never_signed(name: str, tmp_path: Path, engine: Engine, journal: Journal, clock: Ticking) -> None:
    statements, findings, noticed = TAMPERING[name]
    fill(journal, 300)
    made(Publisher(engine, KEY, PRIVATE.sign, clock, SECOND).publish())
    engine.dispose()
    tampered(tmp_path, *statements)
    assert examined(engine) == findings
    clock.now += SECOND
    again = Publisher(engine, KEY, PRIVATE.sign, clock, timedelta())
    if noticed:
        for _ in range(2):
            with pytest.raises(Misconfigured):
                again.publish()
        assert len(list(again.stored.checkpoints())) == 1
    with pytest.raises(KakuinError):
        Stored(engine).receipt(reading.entry(engine, 299 if name == "another tile" else 5), made(Stored(engine).checkpoint()))


def test_an_older_backup_is_noticed(tmp_path: Path, engine: Engine, journal: Journal, publisher: Publisher) -> None:
    fill(journal, 4)
    publisher.publish()
    engine.dispose()
    tampered(tmp_path, "DELETE FROM journal_entry WHERE number = 3", "UPDATE journal_next SET value = 3")
    with pytest.raises(Misconfigured, match="has 3 entries, and a checkpoint over 4 was signed"):
        publisher.publish()


def test_a_database_that_was_away_is_used_again(engine: Engine, journal: Journal, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(journal, 2)

    def away(_: object) -> None:
        raise Misconfigured("database cannot be written: the file or its disk is read-only")

    with monkeypatch.context() as patched:
        patched.setattr(publisher, "_write", away)
        with pytest.raises(Misconfigured, match="read-only"):
            publisher.publish()
    assert made(publisher.publish()).size == 2


def test_another_process_with_another_history(engine: Engine, journal: Journal, publisher: Publisher) -> None:
    fill(journal, 4)
    publisher.publish()
    fill(journal, 1)
    with engine.begin() as connection:
        connection.execute(insert(CHECKPOINT), {"size": 5, "root": bytes(32), "at": 0, "note": b"", "cosigned": 0})
    with pytest.raises(Misconfigured, match="history was rewritten"):
        publisher.publish(due=False)


def test_a_receipt_waits_for_its_checkpoint(journal: Journal, publisher: Publisher, clock: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(journal, 1)
    publisher.publish()
    fill(journal, 1)
    stored = publisher.stored
    assert made(publisher.covering(0, stored)).size == 1
    assert publisher.covering(1, stored) is None  # the clock stands still
    monkeypatch.setattr(api, "USUAL_WAIT", 0.0)
    with asgi.client(application("test", (api.router(stored, publisher, KEY),))) as client:
        answer = client.get("/v1/log/receipts/1")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        clock.now += SECOND
        assert client.get("/v1/log/receipts/1").status_code == 200


def test_a_seals_receipt_where_entries_are_not_served(journal: Journal, publisher: Publisher) -> None:
    sealed = b"a sealed file"
    digest = hashlib.sha256(sealed).hexdigest()
    journal.append("seal", json.dumps({"sealed": digest}).encode())
    with asgi.client(application("test", (api.router(publisher.stored, publisher, KEY, entries=False),))) as client:
        assert client.get("/v1/log/receipts/0").status_code == 404
        assert client.get(f"/v1/log/receipts/0?sha256={'0' * 64}").status_code == 404
        answer = client.get(f"/v1/log/receipts/0?sha256={digest}")
    assert receipt.verify(receipt.parse_receipt(answer.content), sealed, KEY).said.kind == "seal"


def test_it_publishes_by_itself(engine: Engine, journal: Journal) -> None:
    publisher = Publisher(engine, KEY, PRIVATE.sign, tsu.clock, timedelta(milliseconds=50))
    fill(journal, 1)
    publisher.start()
    while publisher.stored.checkpoint() is None:
        pass
    publisher.close()
    assert made(publisher.stored.checkpoint()).size == 1


# Over HTTP.


@pytest.fixture
def client(engine: Engine, journal: Journal, publisher: Publisher) -> Iterator[httpx.Client]:
    fill(journal, 600)
    publisher.publish()
    with asgi.client(application("test", (api.router(Stored(engine), publisher, KEY),))) as found:
        yield found


def test_full_tiles_may_be_kept_for_ever_and_others_shortly(client: httpx.Client) -> None:
    for path, caching in (
        ("/log/checkpoint", "max-age=2"),
        ("/log/tile/0/000", "immutable"),
        ("/log/tile/0/002.p/88", "max-age=60"),
        ("/log/tile/1/000.p/2", "max-age=60"),
        ("/log/tile/entries/001", "immutable"),
        ("/log/key", "max-age=60"),
    ):
        answer = client.get(path)
        assert answer.status_code == 200 and caching in answer.headers["cache-control"] and "public" in answer.headers["cache-control"]
        again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(path, headers={"If-None-Match": '"other"'}).content == answer.content
    assert client.head("/log/tile/0/000").headers["content-length"] == "8192"
    for name in (f"0/{'x000/' * 30}000", "0/999", "-1/000", "0/0"):
        assert client.get(f"/log/tile/{name}").status_code == 404
    assert client.get("/log/checkpoint").headers["content-type"] == "text/plain; charset=utf-8"
    assert client.get("/log/key").text == f"{KEY}\n"


@pytest.mark.parametrize("path", ["0/002", "0/003.p/1", "0/002.p/89", "1/000", "2/000.p/1", "0/0", "entries/002", "x", "0/000%2f..%2f000"])
def test_what_the_checkpoint_does_not_cover_is_not_there(client: httpx.Client, path: str) -> None:
    assert client.get(f"/log/tile/{path}").status_code == 404


def test_bundles_are_compressed_where_the_client_reads_it(client: httpx.Client) -> None:
    plain = client.get("/log/tile/entries/000", headers={"Accept-Encoding": "identity"})
    packed = client.get("/log/tile/entries/000", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip" and packed.content == plain.content and packed.headers["etag"] != plain.headers["etag"]
    assert "content-encoding" not in client.get("/log/tile/entries/000", headers={"Accept-Encoding": "gzip;q=0"}).headers
    assert packed.headers["vary"] == "Accept-Encoding"


def test_receipts_are_verified_with_nothing_but_the_key(client: httpx.Client, engine: Engine) -> None:
    answer = client.get("/v1/log/receipts/300")
    found = receipt.parse_receipt(answer.content)
    shown = receipt.verify(found, reading.entry(engine, 300).body, KEY)
    assert (found.index, shown.checkpoint.size, shown.said.kind) == (300, 600, "event")
    assert client.get("/v1/log/receipts/600").status_code == 404
    assert client.get("/v1/log/receipts?unit=tsu&serial=1").status_code == 404
    assert client.post("/v1/log/receipts", content=b"no token").status_code == 400
    assert client.post("/v1/log/receipts", content=b"x" * 80_000).status_code == 413


def test_a_token_finds_its_receipt(tmp_path: Path) -> None:
    authority, log = tsu.authority(tmp_path)
    request = tsp.encode_request(tsu.DIGEST)
    answers = [authority.stamp(request) for _ in range(3)]
    engine = connect(sqlite_url(tmp_path / "journal.sqlite"))
    publisher = Publisher(engine, KEY, PRIVATE.sign, tsu.clock, timedelta(milliseconds=1))
    with asgi.client(application("test", (api.router(Stored(engine), publisher, KEY, entries=False),))) as client:
        for index, answer in enumerate(answers):
            token = tsu.token(answer).der
            for body in (answer, token):
                found = client.post("/v1/log/receipts", content=body)
                assert found.status_code == 200 and found.headers["kakuin-log-index"] == str(index)
                assert receipt.verify(receipt.parse_receipt(found.content), token, KEY).said.kind == "token"
            assert client.get(f"/v1/log/receipts?unit=tsu&serial={index + 1}").content == found.content
        assert client.get("/log/tile/entries/000.p/3").status_code == 404
        assert client.get("/log/tile/0/000.p/3").status_code == 200
    authority.close()
    log.close()
    engine.dispose()


# Seen from outside.


def test_a_mirror_is_the_log(engine: Engine, journal: Journal, publisher: Publisher, clock: Ticking, tmp_path: Path) -> None:
    target = tmp_path / "mirror"
    for count in (10, 600, 1):
        fill(journal, count)
        clock.now += SECOND
        newest = made(publisher.publish())
        sources.mirror(publisher.stored.resource, newest.note, opened(newest.note, KEY)[0], target)
        copied = sources.folder(target)
        assert copied("checkpoint") == newest.note
        assert list(monitor.entries_of(copied, 0, newest.size)) == list(journal.read())
        assert tree.frontier_of(sources.tiles_of(copied), newest.size).root() == newest.root


def follow(resource: object, before: State, **options: object) -> tuple[State, list[tuple[str, int | None]]]:
    looked = Round(resource, Watch(KEY, **options), before)  # type: ignore[arg-type]
    found = [(f.what, f.index) for f in looked.findings()]
    return looked.state, found


def test_a_monitor_goes_on_where_it_stopped(journal: Journal, publisher: Publisher, clock: Ticking, tmp_path: Path) -> None:
    state = monitor.load(tmp_path / "state", KEY)
    for count in (3, 300, 0, 260):
        fill(journal, count)
        clock.now += SECOND
        publisher.publish()
        state, found = follow(publisher.stored.resource, state)
        assert found == [] and state.frontier.size == journal.size()
        monitor.save(tmp_path / "state", KEY, state)
        assert monitor.load(tmp_path / "state", KEY) == state
    with pytest.raises(Misconfigured, match="of another log"):
        monitor.load(tmp_path / "state", VerifierKey("other", Kind.LOG, KEY.public))


def test_a_monitor_sees_a_split_view_a_rewritten_history_and_a_rollback(tmp_path: Path, clock: Ticking) -> None:
    """Two histories under one key: they share the first 100 entries."""
    logs = []
    for name, word in (("one", b"1"), ("other", b"2")):
        (tmp_path / name).mkdir()
        engine = tsu.engine(tmp_path / name)
        with Journal(engine, clock) as journal:
            fill(journal, 100)
            publisher = Publisher(engine, KEY, PRIVATE.sign, clock, timedelta())
            publisher.publish()
            shorter = publisher.stored.resource("checkpoint")
            for _ in range(200):
                journal.append("event", b'{"history":' + word + b"}")
            longer = made(publisher.publish()).note
            fill(journal, 10)
            publisher.publish()
        logs.append((publisher.stored.resource, shorter, longer, engine))
    (one, _, longer, first), (other, shorter, differing, second) = logs

    def frozen(resource: object, note: bytes) -> object:
        return lambda path: note if path == layout.CHECKPOINT else resource(path)  # type: ignore[operator]

    state, found = follow(frozen(one, longer), State())
    assert found == [] and state.frontier.size == 300
    assert follow(frozen(other, differing), state) == (state, [("root", None)])
    assert follow(other, state) == (state, [("root", None), ("root", None)])
    assert follow(frozen(one, shorter), state) == (state, [("missing", None)])
    assert follow(one, state)[1] == []
    # The two checkpoints alone prove it.
    kept = monitor.checkpoints_of([("a", longer), ("b", differing)], KEY)
    assert kept[0][0].size == kept[1][0].size and kept[0][0].root != kept[1][0].root
    roots = [(c.size, c.root, name) for c, name in kept]
    assert [f.what for f in examine.examined(reading.entries(first), roots, examine.Examiner(), examine.Examined())] == ["root"]
    first.dispose()
    second.dispose()


def test_a_monitor_sees_entries_that_are_not_the_trees(journal: Journal, publisher: Publisher) -> None:
    fill(journal, 20)
    newest = made(publisher.publish())
    assert parse_checkpoint(parse_note(newest.note).text).size == 20

    def lying(path: str) -> bytes:
        data = publisher.stored.resource(path)
        return data.replace(b'"n": 7', b'"n": 8') if path.startswith("tile/entries") else data

    assert follow(lying, State())[1] == [("root", None), ("changed", 7)]
    assert follow(lambda path: publisher.stored.resource(path)[:-1], State())[1] == [("checkpoint", None)]
    assert follow(publisher.stored.resource, State(), quorum=1)[1] == [("checkpoint", None)]


# Beside entries.


def test_checkpoints_are_written_beside_entries(engine: Engine, journal: Journal) -> None:
    """While the journal's writer is never idle, and takes the lock again as soon as it gave it back."""
    publisher = Publisher(engine, KEY, PRIVATE.sign, tsu.clock, timedelta(), journal.alongside)
    going = threading.Event()
    waiting = [journal.append_soon("event", b'{"event": "load"}') for _ in range(64)]

    def load() -> None:
        while not going.is_set():
            waiting.pop(0).result(30)
            waiting.append(journal.append_soon("event", b'{"event": "load"}'))

    waiting[0].result(30)
    thread = threading.Thread(target=load)
    thread.start()
    try:
        sizes = {made(publisher.publish(due=False)).size for _ in range(20)}
    finally:
        going.set()
        thread.join()
    assert len(sizes) > 1
    for each in waiting:
        each.result(30)
    publisher.publish(due=False)
    assert examined(engine) == []


def test_what_fails_beside_entries_fails_alone(engine: Engine, journal: Journal) -> None:
    row = {"size": 5, "root": bytes(32), "at": 0, "note": b"", "cosigned": 0}

    def work(connection: Connection) -> None:
        connection.execute(insert(NODE), {"level": 1, "number": 7, "hash": bytes(32)})
        connection.execute(insert(CHECKPOINT), row)

    def first(connection: Connection) -> None:
        connection.execute(insert(CHECKPOINT), row)

    journal.alongside(first)
    entry = journal.append_soon("event", b"{}")
    with pytest.raises(Unavailable, match="another process wrote the same"):
        journal.alongside(work)
    with pytest.raises(Misconfigured, match="of the house"):
        journal.alongside(refuse)
    assert entry.result(30) == 0 and journal.append("event", b"{}") == 1
    with engine.connect() as connection:
        assert connection.execute(select(NODE)).all() == []  # the first of the two writes is undone with the second


def refuse(_: Connection) -> None:
    raise Misconfigured("an error of the house")
