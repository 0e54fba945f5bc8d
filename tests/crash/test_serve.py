"""`kill -9` of `kakuin serve` under load, and a start again: every token and every seal that a client received is in the journal."""

import contextlib
import hashlib
import http.client
import json
import random
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from tests.office import Office
from trust.codecs import cms, tsp
from trust.model import Digest

ROUNDS = 3
CLIENTS = 8
GONE = (OSError, http.client.HTTPException)


class Load:
    """Clients that ask until the service is gone, and keep what it gave them."""

    def __init__(self, office: Office, key: str, document: bytes) -> None:
        self.office = office
        self.key = key
        self.document = document
        self.tokens: list[bytes] = []
        self.seals: list[bytes] = []

    def start(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._ask, args=(self._stamp,)) for _ in range(CLIENTS)]
        threads.append(threading.Thread(target=self._ask, args=(self._seal,)))
        for thread in threads:
            thread.start()
        return threads

    def _ask(self, once: "object") -> None:
        assert callable(once)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.office.port, timeout=20)) as connection, contextlib.suppress(*GONE):
            while True:
                once(connection)

    def _stamp(self, connection: http.client.HTTPConnection) -> None:
        request = tsp.encode_request(Digest.of("sha256", random.randbytes(16)), nonce=random.getrandbits(64))
        connection.request("POST", "/tsa", request, {"Content-Type": "application/timestamp-query"})
        reply = tsp.decode_response(connection.getresponse().read())
        assert reply.token is not None, reply.reason
        self.tokens.append(reply.token)

    def _seal(self, connection: http.client.HTTPConnection) -> None:
        headers = {"Content-Type": "text/csv", "Authorization": f"Bearer {self.key}"}
        connection.request("POST", "/v1/seals?level=B-T", self.document, headers)
        answer = connection.getresponse()
        sealed = answer.read()
        assert answer.status == 200, sealed[:200]
        self.seals.append(sealed)


def journal(office: Office) -> list[tuple[int, str, bytes, int | None]]:
    with contextlib.closing(sqlite3.connect(f"file:{office.folder / 'kakuin.db'}?mode=ro", uri=True)) as database:
        return database.execute("select number, kind, body, serial from journal_entry order by number").fetchall()


@pytest.mark.timeout(120)
def test_what_a_client_received_is_in_the_journal(tmp_path: Path, documents: dict[str, Path]) -> None:
    office = Office.create(tmp_path / "instance")
    load = Load(office, office.api_key(), documents["csv"].read_bytes())
    for _ in range(ROUNDS):
        office.start()
        before = len(load.tokens), len(load.seals)
        threads = load.start()
        deadline = time.monotonic() + 10
        while len(load.seals) == before[1] and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0.1, 0.5))
        office.kill()
        for thread in threads:
            thread.join(30)
        assert len(load.tokens) > before[0] and len(load.seals) > before[1], "nothing was issued"
        entries = journal(office)
        assert [number for number, *_ in entries] == list(range(len(entries)))
        tokens = {body for _, kind, body, _ in entries if kind == "token"}
        assert set(load.tokens) <= tokens, "a client holds a token that is not in the journal"
        serials = [serial for *_, serial in entries if serial is not None]
        assert serials == list(range(1, len(serials) + 1)), "a serial is missing, used twice or out of order"
        sealed = {json.loads(body)["sealed"] for _, kind, body, _ in entries if kind == "seal"}
        assert {hashlib.sha256(s).hexdigest() for s in load.seals} <= sealed, "a client holds a seal that is not in the journal"
    office.start()
    office.stop()
    # Each token is one that anybody can read, with a serial of its own.
    read = [cms.token(der) for der in load.tokens]
    assert len({token.serial for token in read}) == len(read)
