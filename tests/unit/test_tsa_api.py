"""The authority's HTTP door: called as ASGI, and through a real uvicorn with httptools on a socket."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from fastapi import FastAPI

from tests import tsu
from trust.codecs import tsp
from trust.codecs.tsp import Failure
from trust.edge.strict_http import StrictHttp
from tsa.api import Endpoint, description, front
from tsa.service import Authority

REQUEST = tsp.encode_request(tsu.DIGEST, nonce=1 << 63)
QUERY = "application/timestamp-query"
LIMIT = 4096


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    made, log = tsu.authority(tmp_path_factory.mktemp("tsa"))
    yield made
    log.close()


@pytest.fixture
def endpoint(authority: Authority) -> Endpoint:
    return Endpoint(authority, limit=LIMIT)


def call(
    app: Any, method: str, path: str, body: list[Any] | bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes] | None:
    """Status, headers and body; None when nothing was answered. A `body` in pieces comes in as many messages; None among them is a disconnect."""
    pieces = [body] if isinstance(body, bytes) else body
    incoming = [
        {"type": "http.disconnect"} if piece is None else {"type": "http.request", "body": piece, "more_body": at + 1 < len(pieces)}
        for at, piece in enumerate(pieces)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    asyncio.run(app({"type": "http", "method": method, "path": path, "headers": raw}, receive, send))
    if not sent:
        return None
    start, *bodies = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    whole = b"".join(message["body"] for message in bodies)
    assert whole == b"" if start["status"] == 204 else int(found["content-length"]) == len(whole)
    return start["status"], found, whole


def problem(answer: tuple[int, dict[str, str], bytes] | None, status: int, slug: str) -> dict[str, str]:
    assert answer is not None
    assert (answer[0], answer[1]["content-type"]) == (status, "application/problem+json")
    document = json.loads(answer[2])
    assert (document["type"], document["status"]) == (f"urn:kakuin:problem:{slug}", status)
    assert document["detail"]
    return answer[1]


def stamped(answer: tuple[int, dict[str, str], bytes] | None) -> bytes:
    assert answer is not None
    assert (answer[0], answer[1]["content-type"]) == (200, "application/timestamp-reply")
    return answer[2]


def test_a_request_is_answered_with_a_token(endpoint: Endpoint) -> None:
    token = tsu.token(stamped(call(endpoint, "POST", "/tsa", REQUEST, {"Content-Type": QUERY})))
    assert (token.imprint, token.nonce) == (tsu.DIGEST, 1 << 63)


@pytest.mark.parametrize(
    "kind",
    [
        "application/timestamp-query",
        "Application/Timestamp-Query",
        "APPLICATION/TIMESTAMP-QUERY",
        "application/timestamp-query; charset=binary",
        "application/timestamp-query;charset=utf-8;x=y",
        "application/timestamp-query ; a=b",
        "  application/timestamp-query",
    ],
)
def test_the_media_type_may_have_parameters_and_any_case(endpoint: Endpoint, kind: str) -> None:
    """RFC 9110 section 8.3.1."""
    tsu.token(stamped(call(endpoint, "POST", "/tsa", REQUEST, {"Content-Type": kind})))


@pytest.mark.parametrize(
    "kind", [None, "", "application/octet-stream", "application/timestamp-reply", "application/timestamp-query2", "text/plain", "*/*"]
)
def test_another_media_type_is_told(endpoint: Endpoint, kind: str | None) -> None:
    problem(call(endpoint, "POST", "/tsa", REQUEST, {} if kind is None else {"Content-Type": kind}), 415, "unsupported-media-type")


def test_a_coded_body_is_told(endpoint: Endpoint) -> None:
    problem(call(endpoint, "POST", "/tsa", REQUEST, {"Content-Type": QUERY, "Content-Encoding": "gzip"}), 415, "unsupported-media-type")
    tsu.token(stamped(call(endpoint, "POST", "/tsa", REQUEST, {"Content-Type": QUERY, "Content-Encoding": "identity"})))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "post"])
def test_another_method_is_told_which_one_is_allowed(endpoint: Endpoint, method: str) -> None:
    """RFC 9110 section 15.5.6."""
    assert problem(call(endpoint, method, "/tsa", b"", {"Content-Type": QUERY}), 405, "method-not-allowed")["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(("path", "allowed"), [("/tsa", "OPTIONS, POST"), ("/tsa/tsu", "OPTIONS, POST"), ("/tsa/certificates", "GET, HEAD, OPTIONS")])
def test_who_asks_for_the_methods_is_told(endpoint: Endpoint, path: str, allowed: str) -> None:
    """RFC 9110 section 9.3.7."""
    answer = call(endpoint, "OPTIONS", path)
    assert answer is not None and (answer[0], answer[1]["allow"], answer[2]) == (204, allowed, b"")


def test_a_unit_is_asked_by_its_path(endpoint: Endpoint, authority: Authority) -> None:
    tsu.token(stamped(call(endpoint, "POST", "/tsa/tsu", REQUEST, {"Content-Type": QUERY})))
    answer = call(endpoint, "GET", "/tsa/tsu/certificates")
    assert answer is not None and answer[2] == authority.pem("tsu")


def test_refusals_of_the_protocol_are_http_200(endpoint: Endpoint) -> None:
    for body, failure in ((b"", Failure.BAD_DATA_FORMAT), (b"hello", Failure.BAD_DATA_FORMAT), (REQUEST + b"\0", Failure.BAD_DATA_FORMAT)):
        assert tsu.refused(stamped(call(endpoint, "POST", "/tsa", body, {"Content-Type": QUERY}))) == failure


@pytest.mark.parametrize("size", [1, 7, 30])
def test_a_body_in_pieces(endpoint: Endpoint, size: int) -> None:
    pieces = [REQUEST[at : at + size] for at in range(0, len(REQUEST), size)]
    tsu.token(stamped(call(endpoint, "POST", "/tsa", [*pieces, b""], {"Content-Type": QUERY})))
    tsu.token(stamped(call(endpoint, "POST", "/tsa", [b"", *pieces], {"Content-Type": QUERY})))


def test_the_limit_is_inclusive(endpoint: Endpoint) -> None:
    headers = {"Content-Type": QUERY}
    assert tsu.refused(stamped(call(endpoint, "POST", "/tsa", bytes(LIMIT), headers))) == Failure.BAD_DATA_FORMAT
    for body in (bytes(LIMIT + 1), [bytes(LIMIT), b"x", b""], [bytes(LIMIT), b"x"], [bytes(LIMIT * 2), b"thrown away"]):
        found = problem(call(endpoint, "POST", "/tsa", body, headers), 413, "too-large")
        assert found["connection"] == "close"


def test_a_body_that_is_announced_as_too_large_is_thrown_away(endpoint: Endpoint) -> None:
    problem(call(endpoint, "POST", "/tsa", [b"x", b""], {"Content-Type": QUERY, "Content-Length": str(LIMIT + 1)}), 413, "too-large")
    # `[]`: asking for the body would raise. A client that waits for leave to send is told at once.
    waiting = {"Content-Type": QUERY, "Content-Length": str(LIMIT + 1), "Expect": "100-continue"}
    problem(call(endpoint, "POST", "/tsa", [], waiting), 413, "too-large")


@pytest.mark.parametrize("pieces", [[None], [REQUEST[:10], None], [b"", b"", None]])
def test_a_client_that_goes_gets_nothing(endpoint: Endpoint, pieces: list[Any]) -> None:
    assert call(endpoint, "POST", "/tsa", pieces, {"Content-Type": QUERY}) is None


def test_two_media_types_are_one_too_many(endpoint: Endpoint) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": REQUEST}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", QUERY.encode()), (b"content-type", QUERY.encode())]
    asyncio.run(endpoint({"type": "http", "method": "POST", "path": "/tsa", "headers": headers}, receive, send))
    assert sent[0]["status"] == 415


def test_the_certificates(endpoint: Endpoint, authority: Authority) -> None:
    for method in ("GET", "HEAD"):
        answer = call(endpoint, method, "/tsa/certificates")
        assert answer is not None
        assert (answer[0], answer[1]["content-type"]) == (200, "application/pem-certificate-chain")
        found = x509.load_pem_x509_certificates(answer[2])
        assert found == [certificate.x509 for certificate in authority.certificates]
    assert problem(call(endpoint, "POST", "/tsa/certificates"), 405, "method-not-allowed")["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/", "/tsa/", "/tsa/x", "/TSA", "/v1/seals"])
def test_nothing_else_is_served(endpoint: Endpoint, path: str) -> None:
    assert not endpoint.serves(path)
    problem(call(endpoint, "POST", path, REQUEST, {"Content-Type": QUERY}), 404, "not-found")


def test_in_front_of_an_application_it_takes_its_own_addresses_only(endpoint: Endpoint) -> None:
    seen: list[str] = []

    async def rest(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope.get("path", scope["type"]))
        await send({"type": "http.response.start", "status": 204, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    app = front(endpoint, rest)
    stamped(call(app, "POST", "/tsa", REQUEST, {"Content-Type": QUERY}))
    assert call(app, "GET", "/tsa/certificates")
    assert seen == []
    for path in ("/", "/tsa2", "/docs"):
        call(app, "GET", path)
    assert seen == ["/", "/tsa2", "/docs"]


# On a socket.


@pytest.fixture(scope="module")
def port(authority: Authority) -> Iterator[int]:
    config = uvicorn.Config(
        Endpoint(authority, limit=LIMIT), port=0, http=StrictHttp, loop="uvloop", access_log=False, log_level="error", lifespan="on", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


class Wire:
    """A connection, and what comes back on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, *pieces: bytes, pause: float = 0) -> None:
        for piece in pieces:
            self.socket.sendall(piece)
            time.sleep(pause)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = self.file.readline()
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, value = line.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        return int(status.split()[1]), headers, self.file.read(int(headers.get("content-length", "0")))


HEAD = f"POST /tsa HTTP/1.1\r\nHost: tsa\r\nContent-Type: {QUERY}\r\n".encode()
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(REQUEST) + REQUEST


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def test_the_description_says_what_the_endpoint_does(endpoint: Endpoint) -> None:
    app = FastAPI()
    app.include_router(description())
    paths = app.openapi()["paths"]
    assert set(paths) == {"/tsa", "/tsa/{unit}", "/tsa/certificates"} and all(endpoint.serves(path.replace("{unit}", "tsu")) for path in paths)
    stamp = paths["/tsa"]["post"]
    assert set(stamp["requestBody"]["content"]) == {QUERY} and set(stamp["responses"]["200"]["content"]) == {"application/timestamp-reply"}
    assert {"413", "415"} <= set(stamp["responses"])
    # Described and not served: the endpoint in front does that.
    assert len(app.routes) and call(front(endpoint, app), "POST", "/tsa", REQUEST, {"content-type": QUERY}) is not None


def test_one_connection_serves_many_requests(port: int) -> None:
    with Wire(port) as wire:
        serials = []
        for _ in range(5):
            wire.send(WHOLE)
            serials.append(tsu.token(stamped(wire.answer())).serial)
        assert serials == sorted(set(serials))


def test_requests_in_one_packet_are_answered_in_turn(port: int) -> None:
    with Wire(port) as wire:
        wire.send(WHOLE * 3)
        serials = [tsu.token(stamped(wire.answer())).serial for _ in range(3)]
        assert serials == sorted(set(serials))


def test_a_request_in_many_packets(port: int) -> None:
    with Wire(port) as wire:
        wire.send(*(WHOLE[at : at + 20] for at in range(0, len(WHOLE), 20)), pause=0.002)
        tsu.token(stamped(wire.answer()))


def test_chunked_bodies(port: int) -> None:
    with Wire(port) as wire:
        for pieces in ([REQUEST], [REQUEST[:1], REQUEST[1:]], [bytes((octet,)) for octet in REQUEST]):
            wire.send(CHUNKED, *(chunk(piece) for piece in pieces), b"0\r\n\r\n", pause=0.001)
            tsu.token(stamped(wire.answer()))
        wire.send(CHUNKED + chunk(REQUEST, b";name=value") + b"0\r\nTrailer: x\r\n\r\n")
        tsu.token(stamped(wire.answer()))


def test_a_chunked_body_over_the_limit(port: int) -> None:
    with Wire(port) as wire:
        wire.send(CHUNKED + chunk(bytes(LIMIT)) + chunk(b"x"))
        assert problem(wire.answer(), 413, "too-large")["connection"] == "close"
        assert wire.file.read() == b"", "the connection ends"


def test_an_announced_body_over_the_limit(port: int) -> None:
    with Wire(port) as wire:
        wire.send(HEAD + b"Content-Length: 100000000\r\n\r\n")
        assert problem(wire.answer(), 413, "too-large")["connection"] == "close"
        assert wire.file.read() == b""


def test_a_client_that_waits_for_permission(port: int) -> None:
    """RFC 9110 section 10.1.1: Expect: 100-continue."""
    with Wire(port) as wire:
        wire.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(REQUEST))
        assert wire.answer()[0] == 100
        wire.send(REQUEST)
        tsu.token(stamped(wire.answer()))


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 5x\r\n",
    ],
    ids=lambda f: f.decode().replace("\r\n", " "),
)
def test_two_lengths_do_not_smuggle_a_request(port: int, framing: bytes) -> None:
    """RFC 9112 section 6.3: refused, and the connection ends."""
    with Wire(port) as wire:
        wire.send(HEAD + framing + b"\r\n" + b"0\r\n\r\n" + WHOLE)
        answers = wire.file.read()
        assert answers.count(b"HTTP/1.1 ") == 1
        assert answers.startswith(b"HTTP/1.1 400")


def test_head_has_no_body(port: int) -> None:
    with Wire(port) as wire:
        wire.send(b"HEAD /tsa/certificates HTTP/1.1\r\nHost: tsa\r\nConnection: close\r\n\r\n")
        answer = wire.file.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: 0" not in head.lower()
    assert body == b""


def test_http_1_0(port: int) -> None:
    with Wire(port) as wire:
        wire.send(WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"))
        tsu.token(stamped(wire.answer()))


def test_a_client_that_goes_in_the_middle_harms_nobody(port: int) -> None:
    for part in (HEAD, WHOLE[:-5], CHUNKED + b"5\r\nab"):
        with Wire(port) as wire:
            wire.send(part)
    for _ in range(20):
        with Wire(port) as wire:
            wire.send(WHOLE)  # and gone before the answer
    with Wire(port) as wire:
        wire.send(WHOLE)
        tsu.token(stamped(wire.answer()))


def test_many_clients_at_once(port: int) -> None:
    serials: list[int] = []

    def work() -> None:
        with Wire(port) as wire:
            for _ in range(10):
                wire.send(WHOLE)
                serials.append(tsu.token(stamped(wire.answer())).serial)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(serials)) == 80


def test_the_authority_stands_for_the_folder(tmp_path: Path) -> None:
    made, log = tsu.authority(tmp_path)
    endpoint = Endpoint(made, path="/somewhere/else")
    tsu.token(stamped(call(endpoint, "POST", "/somewhere/else", REQUEST, {"Content-Type": QUERY})))
    assert endpoint.serves("/somewhere/else/certificates")
    log.close()
