"""`kakuin serve --workers`: processes behind one socket, on one database, ended together."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.office import KAKUIN, Office, run
from trust.codecs import cms, tsp
from trust.edge.engine import connect
from trust.edge.workers import Workers
from trust.log.journal import Journal
from trust.model import Digest

WORKERS = 2
GONE = (OSError, http.client.HTTPException)


def until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not in {seconds:g} s"
        time.sleep(0.05)


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


class Service:
    def __init__(self, office: Office) -> None:
        self.office = office
        self.log = office.folder / "serve.log"
        with self.log.open("wb") as log:
            command = [KAKUIN, "serve", "--instance", office.folder, "--port", str(office.port), "--workers", str(WORKERS)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "NO_COLOR": "1"}, start_new_session=True)
        until(lambda: "serving" in self.said() or self.process.poll() is not None, "serving")
        assert self.process.poll() is None, self.said()

    def said(self) -> str:
        return self.log.read_text()

    @property
    def workers(self) -> list[int]:
        """Those that serve: a worker has children of its own when it is there."""
        return children(self.process.pid)

    def stamp(self, nonce: int) -> bytes | None:
        """A token, or None when the connection was cut."""
        body = tsp.encode_request(Digest.of("sha256", b"x"), nonce=nonce)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.office.port, timeout=30)) as connection:
            try:
                connection.request("POST", "/tsa", body, {"Content-Type": "application/timestamp-query"})
                reply = tsp.decode_response(connection.getresponse().read())
            except GONE:
                return None
        assert reply.token is not None, reply.reason
        return reply.token

    def granted(self, nonce: int) -> bool:
        """Whether there was a token, over a connection of its own; asked again where that was one too many."""
        body = tsp.encode_request(Digest.of("sha256", b"x"), nonce=nonce)
        replies: list[tsp.Reply] = []

        def ask() -> bool:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.office.port, timeout=30)) as connection, contextlib.suppress(*GONE):
                connection.request("POST", "/tsa", body, {"Content-Type": "application/timestamp-query"})
                replies.append(tsp.decode_response(connection.getresponse().read()))
            return bool(replies)

        until(ask, "an answer")
        return replies[0].token is not None

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with contextlib.ExitStack() as stack:
        if request.param == "postgresql":
            url = stack.enter_context(postgres.cluster()).database()
            office = Office.create(tmp_path / "instance", "--database", url)
        else:
            office = Office.create(tmp_path / "instance")
        made = Service(office)
        stack.callback(made.end)
        yield made


def journal(office: Office) -> list[tuple[str, bytes, int | None]]:
    """Kind, body and serial of each entry."""
    from trust.edge.settings import load

    url = load(office.folder, {}).database.url
    if url:
        engine = connect(url)
        with contextlib.closing(Journal(engine, lambda: pytest.fail("nothing is written"))) as found:
            rows = [(entry.kind, entry.body, entry.serial) for entry in found.read()]
        engine.dispose()
        return rows
    with contextlib.closing(sqlite3.connect(f"file:{office.folder / 'kakuin.db'}?mode=ro", uri=True)) as database:
        return database.execute("select kind, body, serial from journal_entry order by number").fetchall()


@pytest.mark.timeout(180)
def test_a_worker_that_dies_is_replaced_and_all_end_together(service: Service) -> None:
    held: list[bytes] = []
    wanted = True

    def ask(client: int) -> None:
        asked = 0
        while wanted:
            asked += 1
            if (token := service.stamp(client << 32 | asked)) is not None:
                held.append(token)

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for client in clients:
        client.start()
    try:
        until(lambda: len(held) > 20, "tokens")
        before = service.workers
        os.kill(before[0], signal.SIGKILL)
        until(lambda: "was ended by SIGKILL; it is started again" in service.said(), "a word about it")
        until(lambda: len(service.workers) == WORKERS and before[0] not in service.workers, "its successor")
        there = len(held)
        until(lambda: len(held) > there + 20, "more tokens")
        wanted = False
        for client in clients:
            client.join(60)
            assert not client.is_alive()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
    finally:
        wanted = False
    entries = journal(service.office)
    assert set(held) <= {body for kind, body, _ in entries if kind == "token"}
    following = 1
    for kind, body, serial in entries:
        if serial is not None:
            assert serial == following
            following += 1
        elif kind == "event" and (said := json.loads(body))["event"] == "serials-void":
            assert said["first"] == following
            following = said["last"] + 1
    assert len({cms.token(token).serial for token in held}) == len(held)


SET = {"# tsa = ": 'tsa = "1/h burst 6"', "# unlimited = ": "unlimited = []", "# connections_each = ": "connections_each = 4"}


@pytest.mark.timeout(180)
def test_limits_are_the_services_and_not_a_workers(tmp_path: Path) -> None:
    office = Office.create(tmp_path / "instance")
    settings = office.folder / "kakuin.toml"
    lines = settings.read_text().splitlines()
    settings.write_text("\n".join(next((to for start, to in SET.items() if line.startswith(start)), line) for line in lines))
    made = Service(office)
    there: list[socket.socket] = []
    try:
        assert sum(made.granted(nonce) for nonce in range(24)) == 6, "each was asked for over a connection of its own"
        until(lambda: let_in(office, there) and len(there) == 4, "four connections, when those before are gone")
        assert not any(let_in(office, there) for _ in range(12))
        there.pop().close()
        until(lambda: let_in(office, there), "a connection for one that went")
    finally:
        for wire in there:
            wire.close()
        made.end()


def let_in(office: Office, there: list[socket.socket]) -> bool:
    """Whether one more connection was, which is kept."""
    wire = socket.create_connection(("127.0.0.1", office.port), 30)
    with contextlib.suppress(OSError):
        wire.sendall(b"GET /pki/root.crl HTTP/1.1\r\nHost: x\r\n\r\n")
        if wire.recv(65536).startswith(b"HTTP/1.1 200"):
            wire.sendall(b"GET /")  # one that has begun to ask is not idle, and stays
            there.append(wire)
            return True
    wire.close()
    return False


def test_workers_that_cannot_start_end_everything(tmp_path: Path) -> None:
    office = Office.create(tmp_path / "instance")
    (office.folder / "keys" / "passphrase").write_text("another\n")
    done = run("serve", "--instance", office.folder, "--port", str(office.port), "--workers", "2", check=False)
    assert done.returncode not in (0, 70), done.stderr
    assert b"before it served" in done.stderr
    assert b"Traceback" not in done.stderr


class Parent:
    """`Workers` in a process of its own, because it forks and takes signals."""

    def __init__(self, folder: Path, count: int, work: Callable[[int, Callable[[], None]], int]) -> None:
        self.told = folder / "told"
        self.told.touch()
        self.process = os.fork()
        if not self.process:
            code = 99
            with contextlib.suppress(BaseException):
                code = Workers(count, work, ready=lambda: self.tell("ready"), tell=self.tell).run()
            os._exit(code)

    def tell(self, line: str) -> None:
        with self.told.open("a") as file:
            file.write(line + "\n")

    def wait(self) -> int:
        deadline = time.monotonic() + 30
        while True:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, "it did not end"
            time.sleep(0.02)


def patient(_number: int, ready: Callable[[], None]) -> int:
    """Ends orderly."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    ready()
    signal.sigwait({signal.SIGTERM})
    return 0


def deaf(_number: int, ready: Callable[[], None]) -> int:
    """Does not end when it is asked to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready()
    while True:
        time.sleep(60)


def test_the_first_signal_asks_and_the_second_kills(tmp_path: Path) -> None:
    parent = Parent(tmp_path, 2, deaf)
    until(lambda: "ready" in parent.told.read_text(), "ready")
    os.kill(parent.process, signal.SIGTERM)
    assert not time.sleep(0.2) and len(children(parent.process)) == 2
    os.kill(parent.process, signal.SIGTERM)
    assert parent.wait() == 128 + signal.SIGKILL


def test_ctrl_c_is_an_orderly_end_too(tmp_path: Path) -> None:
    parent = Parent(tmp_path, 3, patient)
    until(lambda: "ready" in parent.told.read_text(), "ready")
    os.kill(parent.process, signal.SIGINT)
    assert parent.wait() == 0


def test_a_worker_whose_parent_is_gone_ends(tmp_path: Path) -> None:
    parent = Parent(tmp_path, 2, patient)
    until(lambda: "ready" in parent.told.read_text(), "ready")
    workers = children(parent.process)
    os.kill(parent.process, signal.SIGKILL)
    parent.wait()
    until(lambda: not any(Path(f"/proc/{worker}").exists() and "Z" not in _state(worker) for worker in workers), "their end")


def _state(process: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return "Z"


def test_what_dies_before_it_serves_ends_everything(tmp_path: Path) -> None:
    parent = Parent(tmp_path, 2, lambda number, ready: 3 if number else patient(number, ready))
    assert parent.wait() == 3
    assert "worker 1" in parent.told.read_text()


def test_a_worker_says_of_what_it_died(tmp_path: Path) -> None:
    """Of what nobody foresaw: its kind and place, and not its words, which may be anybody's."""

    def breaks(number: int, ready: Callable[[], None]) -> int:
        return patient(number, ready) if not number else int("swordfish")

    parent = Parent(tmp_path, 2, breaks)
    assert parent.wait() == os.EX_SOFTWARE
    told = parent.told.read_text()
    assert re.search(r"^worker 1 failed: ValueError \(.*test_workers\.py:\d+\)$", told, re.MULTILINE), told
    assert "swordfish" not in told
