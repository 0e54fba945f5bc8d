"""The service in operation: what it tells of itself, and how it ends while it is asked."""

import hashlib
import http.client
import json
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from eseal import demonstration
from tests.office import Office, run
from tests.surface.test_workers import Service
from trust.codecs import tsp
from trust.model import Digest

QUERY = {"Content-Type": "application/timestamp-query"}
REQUEST = tsp.encode_request(Digest("sha256", hashlib.sha256(b"a document").digest()))
CLIENTS = 8


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Office]:
    """An office of its own: its end is what is tested."""
    made = Office.create(tmp_path / "instance")
    try:
        yield made
    finally:
        made.kill()


def asks(office: Office, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(office.url + path, body, headers or {}), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def issued(office: Office) -> int:
    lines = run("log", "list", "--instance", office.folder, "--json", "--kind", "token").stdout.splitlines()
    return len(lines)


def told(office: Office) -> dict[tuple[str, ...], float]:
    text = asks(office, "/metrics")[1].decode()
    return {(s.name, *s.labels.values()): s.value for family in text_string_to_metric_families(text) for s in family.samples}


def ends(office: Office) -> int:
    assert office.process is not None
    return office.process.wait(60)


class Client(threading.Thread):
    """Asks for time-stamps on one connection, until an answer says that it was the last one."""

    def __init__(self, office: Office, begun: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", office.port, timeout=60)
        self._begun = begun
        self.granted = 0
        self.other: list[str] = []

    def run(self) -> None:
        while True:
            try:
                self._connection.request("POST", "/tsa", REQUEST, QUERY)
                answer = self._connection.getresponse()
                data = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.other.append(type(error).__name__)
                return
            if tsp.decode_response(data).granted:
                self.granted += 1
                self._begun.release()
            else:
                self.other.append(tsp.decode_response(data).reason)
            if answer.will_close:
                return


def test_everybody_who_was_let_in_is_answered(fresh: Office) -> None:
    fresh.start()
    begun = threading.Semaphore(0)
    clients = [Client(fresh, begun) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(20 * CLIENTS):
        assert begun.acquire(timeout=60)
    assert fresh.process is not None
    fresh.process.send_signal(signal.SIGTERM)
    assert ends(fresh) == 0
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    # A connection may be closed between two requests where its client was slow; but what was issued was answered.
    assert [other for client in clients for other in client.other if other not in ("RemoteDisconnected", "ConnectionResetError")] == []
    assert sum(client.granted for client in clients) == issued(fresh)
    assert "Traceback" not in fresh.log.read_text()


def test_readiness_goes_first_and_a_second_signal_does_not_wait(fresh: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAKUIN_SERVICE_NOTICE_SECONDS", "600")
    fresh.start()
    assert asks(fresh, "/health/ready")[0] == 200
    assert fresh.process is not None
    fresh.process.send_signal(signal.SIGTERM)
    while asks(fresh, "/health/ready")[0] == 200:
        pass
    assert json.loads(asks(fresh, "/health")[1])["checks"]["service"] == {"status": "fail", "why": "the service is ending"}
    assert tsp.decode_response(asks(fresh, "/tsa", REQUEST, QUERY)[1]).granted
    fresh.process.send_signal(signal.SIGTERM)
    assert ends(fresh) == 0
    assert issued(fresh) == 1


def _until_nobody_is_let_in(port: int) -> None:
    """The end has begun for those who are connected, too: each answer is the last one of its connection."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except (ConnectionError, TimeoutError):
            return


def test_a_seal_that_was_begun_is_made(fresh: Office, tmp_path: Path) -> None:
    fresh.start()
    pdf, key = demonstration.pdf(), fresh.api_key()
    head = (
        "POST /v1/seals?level=B-LTA HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {key}",
        "Content-Type: application/pdf",
        f"Content-Length: {len(pdf)}",
        "Expect: 100-continue",
    )
    with socket.create_connection(("127.0.0.1", fresh.port), 60) as client:
        client.sendall("\r\n".join((*head, "", "")).encode())
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        assert fresh.process is not None
        fresh.process.send_signal(signal.SIGTERM)
        _until_nobody_is_let_in(fresh.port)
        client.sendall(pdf)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        sealed = tmp_path / "sealed.pdf"
        sealed.write_bytes(answer.read())
    assert answer.status == 200 and answer.getheader("connection") == "close"
    assert ends(fresh) == 0
    assert run("verify", sealed, "--trust", fresh.root).stdout.decode().lstrip().startswith("VALID")


def test_over_the_limit_no_serial_number_is_used(fresh: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one connection, as clients that ask much do it."""
    monkeypatch.setenv("KAKUIN_LIMITS_UNLIMITED", "192.0.2.1")
    monkeypatch.setenv("KAKUIN_LIMITS_TSA", "1/h burst 3")
    fresh.start()
    connection = http.client.HTTPConnection("127.0.0.1", fresh.port, timeout=60)
    said = []
    for _ in range(6):
        connection.request("POST", "/tsa", REQUEST, QUERY)
        answer = connection.getresponse()
        said.append((answer.status, tsp.decode_response(answer.read()), answer.getheader("retry-after")))
    connection.close()
    assert [(status, reply.granted) for status, reply, _ in said] == [(200, True)] * 3 + [(200, False)] * 3
    assert {reply.reason for _, reply, _ in said[3:]} == {"systemFailure: too many requests: try again later"}
    assert all(wait is None for *_, wait in said[:3]) and all(int(wait or 0) > 3000 for *_, wait in said[3:])
    assert issued(fresh) == 3
    assert told(fresh)["kakuin_http_limited_total", "tsa"] == 3.0


@pytest.mark.timeout(180)
def test_workers_are_counted_together_and_end_in_order(tmp_path: Path) -> None:
    office = Office.create(tmp_path / "instance")
    service = Service(office)
    try:
        asked = 12
        for nonce in range(1, asked + 1):
            assert service.stamp(nonce)  # each on a connection of its own: any worker may have it
        for _ in range(4):
            assert told(office)["kakuin_tsa_requests_total", "any", "granted"] == asked
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
        assert issued(office) == asked
    finally:
        service.end()


@contextmanager
def unfinished(office: Office) -> Iterator[socket.socket]:
    """A request whose body does not come to its end, and of which the service knows."""
    with socket.create_connection(("127.0.0.1", office.port), 60) as client:
        head = "POST /tsa HTTP/1.1\r\nHost: x\r\nContent-Type: application/timestamp-query\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        yield client


def test_nobody_waits_for_ever(fresh: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAKUIN_SERVICE_DRAIN_SECONDS", "0.2")
    fresh.start()
    with unfinished(fresh) as client:
        assert fresh.process is not None
        fresh.process.send_signal(signal.SIGTERM)
        assert ends(fresh) == 0
        with suppress(ConnectionResetError):
            assert client.recv(100) == b""
    assert "before 1 requests were answered" in fresh.log.read_text()


def test_what_a_service_tells_of_itself(fresh: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAKUIN_LIMITS_UNLIMITED", "192.0.2.1")
    monkeypatch.setenv("KAKUIN_LIMITS_VERIFICATIONS", "1/h burst 1")
    fresh.start()
    for _ in range(3):
        assert tsp.decode_response(asks(fresh, "/tsa", REQUEST, QUERY)[1]).granted
    refused = asks(fresh, "/tsa", tsp.encode_request(Digest("sha1", bytes(20))), {**QUERY, "X-Request-Id": "order-0815"})
    assert tsp.decode_response(refused[1]).reason.startswith("badAlg")
    assert asks(fresh, "/v1/verifications", b"no signature", {"Content-Type": "text/plain"})[0] in (200, 400, 415, 422)
    assert asks(fresh, "/v1/verifications", b"no signature", {"Content-Type": "text/plain"})[0] == 429
    found = told(fresh)
    assert found["kakuin_tsa_requests_total", "any", "granted"] == 3.0
    assert found["kakuin_tsa_requests_total", "any", "badAlg"] == 1.0
    assert found["kakuin_tsa_answer_seconds_count",] == 4.0
    assert found["kakuin_http_limited_total", "verifications"] == 1.0
    assert found["kakuin_journal_commit_seconds_count",] >= 1.0
    health = json.loads(asks(fresh, "/health")[1])
    assert health["checks"]["clock"]["state"] == "development" and health["checks"]["tokens"]["active"] == "tsu"
    assert set(health["certificates"]) >= {"root", "ca", "tsu", "ocsp"}
    assert health["checks"]["journal"]["entries"] >= 3
    lines = [json.loads(line) for line in fresh.log.read_text().splitlines() if line.startswith("{")]
    [line] = [line for line in lines if line.get("request_id") == "order-0815"]
    assert (line["message"], line["outcome"], line["path"]) == ("time-stamp", "badAlg", "/tsa")
    assert not [line for line in lines if line.get("outcome") == "granted"]
