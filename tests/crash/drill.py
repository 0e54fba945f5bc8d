"""Crash drills: `kill -9` at random moments under load, and what must hold afterwards.

A drill has a store (an SQLite file, or a PostgreSQL of its own), one or more nodes on it (`tests.crash.node`), and clients that keep what they are
given. After each kill, and at the end: no token without an entry, no serial twice, no gap unexplained, and no client left without an answer.
"""

import contextlib
import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import postgres, tsu
from tests.crash import server
from tests.office import free_port
from trust.codecs import cms, tsp
from trust.edge.engine import bring_up, connect, sqlite_url
from trust.log.journal import Journal
from trust.model import Token

ROOT = Path(__file__).resolve().parents[2]
ANSWERED = 30.0
"""Seconds in which a client has an answer or a closed connection."""
STARTS = 60.0
GONE = (OSError, http.client.HTTPException)


class Node:
    """One process that issues."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(self.command(), cwd=ROOT)
        deadline = time.monotonic() + STARTS
        while not self._answers():
            assert self.process.poll() is None, "the node did not start"
            assert time.monotonic() < deadline, "the node did not answer"
            time.sleep(0.03)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.crash.node", str(self._folder), str(self.port), self._url]

    def _answers(self) -> bool:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection, contextlib.suppress(*GONE):
            connection.request("GET", "/tsa/certificates")
            return connection.getresponse().status == 200
        return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class Load:
    """Clients that ask whichever node is theirs, as long as they are wanted."""

    node: Callable[[int], Node]
    count: int
    tokens: list[Token] = field(default_factory=list)
    refusals: int = 0
    cut: int = 0
    """Connections that were closed instead of an answer, or that nobody accepted."""
    late: list[str] = field(default_factory=list)
    """What clients have to complain of."""
    wanted: bool = True
    _threads: list[threading.Thread] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        for number in range(self.count):
            thread = threading.Thread(target=self._client, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _client(self, number: int) -> None:
        asked = 0
        while self.wanted:
            node = self.node(number)
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", node.port, timeout=ANSWERED)) as connection:
                try:
                    while self.wanted:
                        asked += 1
                        self._ask(connection, number << 32 | asked)
                except TimeoutError:
                    self.late.append(f"client {number} had no answer for {ANSWERED:g} s")
                except GONE:
                    self.cut += 1
                    time.sleep(0.02)  # the node is down: it is asked again soon
                except Exception as error:
                    self.late.append(f"client {number} got what is no answer: {error!r}")
                    raise

    def _ask(self, connection: http.client.HTTPConnection, nonce: int) -> None:
        body = tsp.encode_request(tsu.DIGEST, nonce=nonce, cert_req=False)
        connection.request("POST", "/tsa", body, {"Content-Type": "application/timestamp-query"})
        reply = tsp.decode_response(connection.getresponse().read())
        with self._changed:
            if reply.token is None:
                self.refusals += 1
            else:
                token = cms.token(reply.token)
                assert token.nonce == nonce
                self.tokens.append(token)
            self._changed.notify_all()
        if reply.token is None:
            time.sleep(0.02)

    def until(self, more: int, *, refusals: int = 0, seconds: float = STARTS) -> None:
        """So many tokens, or refusals, have come since now."""
        before, refused = len(self.tokens), self.refusals
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.tokens) >= before + more and self.refusals >= refused + refusals, seconds)
        assert enough, f"{len(self.tokens) - before} tokens and {self.refusals - refused} refusals in {seconds:g} s; {self.late}"

    def end(self) -> None:
        self.wanted = False
        for thread in self._threads:
            thread.join(ANSWERED + 10)
            assert not thread.is_alive(), "a client was left without an answer"
        assert not self.late, self.late


@dataclass(frozen=True)
class Examined:
    """What stands in the journal."""

    entries: int
    tokens: int
    voids: int
    """Serials that were declared void."""
    unheld: int
    """Entries whose token no client holds."""


def examine(url: str, held: list[Token]) -> Examined:
    """Fails where something is wrong. Opening the journal declares void what dead processes had taken, as any next start does."""
    engine = connect(url)
    with contextlib.closing(Journal(engine, tsu.clock)) as journal:
        entries = list(journal.read())
    engine.dispose()
    assert [entry.index for entry in entries] == list(range(len(entries)))
    assert all(entry.sound for entry in entries)
    following, voids, recorded = 1, 0, {}
    for entry in entries:
        if entry.serial is not None:
            assert entry.serial == following, f"serial {following} is missing without a word, or {entry.serial} out of order"
            recorded[entry.serial] = entry.body
            following += 1
        elif (said := json.loads(entry.body)).get("event") == "serials-void":
            assert said["first"] == following, f"serials from {said['first']} are declared void where {following} was next"
            voids += said["last"] - said["first"] + 1
            following = said["last"] + 1
    assert all(recorded.get(token.serial) == token.der for token in held), "a client holds a token that is not in the journal"
    assert len({token.serial for token in held}) == len(held), "a serial was used twice"
    return Examined(len(entries), len(recorded), voids, len(recorded) - len(held))


@dataclass
class Drill:
    """A store with its nodes."""

    url: str
    nodes: list[Node]
    cluster: postgres.Cluster | None


@contextlib.contextmanager
def drill(folder: Path, engine: str, nodes: int = 1, disk: int = 0) -> Iterator[Drill]:
    """`disk`: bytes of the one that PostgreSQL's database lies on, where it is a small one (tests.postgres.has_disks)."""
    server.found(folder)
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(postgres.cluster(disk)) if engine == "postgresql" else None
        url = cluster.database() if cluster else sqlite_url(folder / "journal.sqlite")
        made = connect(url)
        bring_up(made)
        made.dispose()
        found = Drill(url, [Node(folder, url) for _ in range(nodes)], cluster)
        try:
            for node in found.nodes:
                node.start()
            yield found
        finally:
            for node in found.nodes:
                node.kill()


def kills(folder: Path, engine: str, count: int, *, nodes: int, clients: int, tell: Callable[[str], None], seed: int = 20261121) -> Examined:
    """Kill one node, chosen by lot, at a moment chosen by lot, so many times; each is started again under the load of the others' clients."""
    chance = random.Random(seed)
    with drill(folder, engine, nodes) as made:
        load = Load(lambda number: made.nodes[number % nodes], clients)
        try:
            for number in range(1, count + 1):
                load.until(1)
                time.sleep(chance.uniform(0, 0.25))
                victim = chance.choice(made.nodes)
                victim.kill()
                if nodes > 1:
                    load.until(1)  # the others go on
                victim.start()
                if number % 10 == 0:
                    tell(f"{number} kills, {len(load.tokens)} tokens held, {load.cut} connections cut or not accepted, {load.refusals} refusals")
            load.until(1)
        finally:
            load.wanted = False
        load.end()
        for node in made.nodes:
            node.kill()
        return examine(made.url, load.tokens)
