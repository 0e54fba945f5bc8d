"""`kill -9` under load: every token that a client holds is in the journal, no serial was used twice, and none is missing."""

import contextlib
import http.client
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import tsu
from tests.crash import server
from tests.office import free_port
from trust.codecs import cms, tsp
from trust.model import Token

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 12
ROUNDS = 4


class Service:
    """A server process and clients that keep what it gave them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens: list[Token] = []
        server.found(folder)

    def start(self, moment: str = "") -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "tests.crash.server", str(self.folder), str(self.port), moment]
        self.process = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 20
        while self._asked("GET", "/tsa/certificates") is None:
            assert self.process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline, "the server did not answer"
            time.sleep(0.03)

    def _asked(self, method: str, path: str) -> bytes | None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection, contextlib.suppress(OSError):
            connection.request(method, path)
            return connection.getresponse().read()
        return None

    def load(self) -> list[threading.Thread]:
        """Clients that ask until the server is gone."""
        threads = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def _client(self, number: int) -> None:
        gone = (OSError, http.client.HTTPException)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection, contextlib.suppress(*gone):
            for count in range(1_000_000):
                nonce = number << 32 | count
                body = tsp.encode_request(tsu.DIGEST, nonce=nonce, cert_req=False)
                connection.request("POST", "/tsa", body, {"Content-Type": "application/timestamp-query"})
                answer = connection.getresponse().read()
                reply = tsp.decode_response(answer)
                assert reply.token is not None, reply.reason
                token = cms.token(reply.token)
                assert token.nonce == nonce
                self.tokens.append(token)

    def ended(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join(15)
            assert not thread.is_alive()
        self.process.wait(15)
        assert self.process.returncode == -9

    def examine(self) -> int:
        """What must hold whenever the server is down; how many entries nobody holds a token of."""
        journal = tsu.journal(self.folder)
        entries = list(journal.read())
        journal.close()
        assert [entry.index for entry in entries] == list(range(len(entries)))
        assert [entry.serial for entry in entries] == list(range(1, len(entries) + 1)), "a serial is missing or out of order"
        assert all(entry.sound for entry in entries)
        recorded = {entry.serial: entry.body for entry in entries}
        assert all(recorded[token.serial] == token.der for token in self.tokens), "a client holds a token that is not in the journal"
        assert len({token.serial for token in self.tokens}) == len(self.tokens), "a serial was used twice"
        return len(entries) - len(self.tokens)


@pytest.mark.timeout(60)
def test_killed_at_any_moment(tmp_path: Path) -> None:
    service = Service(tmp_path)
    chance = random.Random(20261121)
    for turn in range(1, ROUNDS + 1):
        service.start()
        before = len(service.tokens)
        threads = service.load()
        time.sleep(chance.uniform(0.2, 0.6))
        service.process.kill()
        service.ended(threads)
        assert len(service.tokens) > before, "nothing was issued"
        assert 0 <= service.examine() <= turn * CLIENTS, "recorded, and lost on the way: at most one for each client and kill"


@pytest.mark.timeout(60)
# Either way the answers to the batch before it may still have been on their way: at most one for each client.
@pytest.mark.parametrize(("moment", "lost"), [("before", range(CLIENTS + 1)), ("after", range(1, 2 * CLIENTS + 1))])
def test_killed_at_the_commit(tmp_path: Path, moment: str, lost: range) -> None:
    """Before it: what was signed is gone, and its serials are used for others. After it: recorded, and nobody got it."""
    service = Service(tmp_path)
    service.start(moment)
    service.ended(service.load())
    assert service.tokens
    assert service.examine() in lost
    service.start()
    threads = service.load()
    time.sleep(0.2)
    service.process.kill()
    service.ended(threads)
    service.examine()
