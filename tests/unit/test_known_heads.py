"""A head that a connection has seen is recognised by comparison, and nothing about the connection changes by it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from trust.edge.operations import metrics
from trust.edge.operations.clients import Clients
from trust.edge.operations.gate import CLASSES, Gate, Over
from trust.edge.operations.limits import rate
from trust.edge.operations.tally import Tally
from trust.edge.strict_http import MAX_KNOWN, Answer, StrictHttp, Take

FIELDS = b"content-type: text/plain\r\n"


class Application:
    """Answers by ASGI with `asgi` and the body, and otherwise when the test says so."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, Answer]] = []
        self.takes = True
        self.asked: list[bytes] = []

    def direct(self, scope: dict[str, Any]) -> Take | None:
        return self._take if scope["path"] == "/known" else None

    def _take(self, body: bytes, answer: Answer) -> bool:
        if self.takes:
            self.taken.append((body, answer))
        return self.takes

    async def __call__(self, _scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.asked.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain"), (b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"asgi"})


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 1)}.get(name, default)

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Connection:
    def __init__(self, application: Application) -> None:
        self.application = application
        config = uvicorn.Config(application, http=StrictHttp, lifespan="off", log_config=None, ws="none")
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"today")]
        self.transport = Transport()
        self.protocol = StrictHttp(config, state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.transport)

    async def send(self, data: bytes) -> bytes:
        """What was written since, once everything that can happen has."""
        self.transport.written = b""
        self.protocol.data_received(data)
        return await self.said()

    async def said(self) -> bytes:
        for _ in range(20):
            await asyncio.sleep(0)
        return self.transport.written

    def answer(self, body: bytes) -> None:
        self.application.taken.pop(0)[1](FIELDS, body)


def request(body: bytes = b"body", path: str = "/known", more: bytes = b"", method: str = "POST", version: str = "1.1") -> bytes:
    return f"{method} {path} HTTP/{version}\r\nHost: here\r\n".encode() + more + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def answered(body: bytes, close: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\ndate: today\r\n" + FIELDS + close + b"content-length: %d\r\n\r\n%b" % (len(body), body)


BY_ASGI = answered(b"asgi")
Story = Callable[[Connection], Awaitable[None]]


def told(story: Story) -> None:
    async def run() -> None:
        connection = Connection(Application())
        await story(connection)
        connection.protocol.connection_lost(None)

    asyncio.run(run())


def test_the_second_request_with_a_head_goes_to_the_application_at_once() -> None:
    async def story(connection: Connection) -> None:
        assert await connection.send(request(b"one!")) == BY_ASGI
        assert await connection.send(request(b"two!")) == b"" and connection.application.asked == [b"one!"]
        assert connection.application.taken[0][0] == b"two!"
        connection.answer(b"taken")
        assert await connection.said() == answered(b"taken")
        assert await connection.send(request(b"", "/other")) == BY_ASGI, "the parser goes on where it was"

    told(story)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(request(path="/other"), id="another path"),
        pytest.param(request(method="PUT"), id="another method"),
        pytest.param(request(version="1.0"), id="HTTP/1.0"),
        pytest.param(request(more=b"X-Request-Id: 12345678\r\n"), id="a request's id"),
        pytest.param(request(more=b"X-Forwarded-For: 192.0.2.7\r\n"), id="a proxy"),
        pytest.param(request(more=b"Forwarded: for=192.0.2.7\r\n"), id="another proxy"),
        pytest.param(request(more=b"Authorization: Bearer x\r\n"), id="a key"),
        pytest.param(request(more=b"Connection: keep-alive\r\n"), id="the connection"),
        pytest.param(request(more=b"Expect: 100-continue\r\n"), id="an expectation"),
        pytest.param(request(more=b"User-Agent: " + b"x" * 1024 + b"\r\n"), id="a long head"),
        pytest.param(b"POST /known HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", id="chunks"),
        pytest.param(b"POST /known HTTP/1.1\r\nHost: here\r\nContent-Length: 04\r\n\r\nbody", id="a length in another form"),
    ],
)
def test_what_concerns_one_request_or_the_connection_is_never_remembered(first: bytes) -> None:
    async def story(connection: Connection) -> None:
        await connection.send(first)
        if not connection.transport.closed:
            await connection.send(first)
        assert connection.application.taken == [] and connection.application.asked != []

    told(story)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param([request().replace(b"here", b"Here")], id="an octet differs"),
        pytest.param([request(b"longer body")], id="another length"),
        pytest.param([request()[:-1], request()[-1:]], id="in two pieces"),
        pytest.param([request() * 2], id="two at once"),
    ],
)
def test_what_is_not_one_whole_request_with_the_head_is_parsed(second: list[bytes]) -> None:
    async def story(connection: Connection) -> None:
        await connection.send(request())
        for piece in second:
            await connection.send(piece)
        assert connection.application.taken == [] and len(connection.application.asked) >= 2

    told(story)


def test_few_heads_are_remembered() -> None:
    async def story(connection: Connection) -> None:
        for size in range(MAX_KNOWN + 3):
            await connection.send(request(bytes(size)))
        await connection.send(request(bytes(MAX_KNOWN + 1)))
        assert connection.application.taken == []
        await connection.send(request(bytes(1)))
        assert len(connection.application.taken) == 1

    told(story)


def test_what_the_application_does_not_take_is_asked_by_asgi() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(request())
        connection.application.takes = False
        assert await connection.send(request(b"more")) == BY_ASGI
        assert connection.application.asked == [b"body", b"more"]

    told(story)


def test_what_comes_behind_is_answered_behind() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(request())
        await connection.send(request(b"two!"))
        assert await connection.send(request(b"3", "/other") + request(b"four")) == b"" and not connection.transport.reading
        connection.answer(b"second")
        assert await connection.said() == answered(b"second") + BY_ASGI * 2
        assert connection.application.asked == [b"body", b"3", b"four"] and connection.transport.reading

    told(story)


def test_what_is_no_request_is_refused_behind_the_answer() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(request())
        await connection.send(request())
        assert await connection.send(b"nonsense\r\n\r\n") == b""
        connection.answer(b"second")
        said = await connection.said()
        assert said.startswith(answered(b"second") + b"HTTP/1.1 ") and b"connection: close" in said and connection.transport.closed

    told(story)


def test_who_sends_no_more_still_gets_the_answer() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(request())
        await connection.send(request())
        assert connection.protocol.eof_received() is True and not connection.transport.closed
        connection.answer(b"last")
        assert await connection.said() == answered(b"last") and connection.transport.closed

    told(story)


def test_the_service_ends_with_the_answer() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(request())
        await connection.send(request())
        connection.protocol.shutdown()
        assert not connection.transport.closed
        connection.answer(b"last")
        assert await connection.said() == answered(b"last", b"connection: close\r\n") and connection.transport.closed

    told(story)


def test_a_client_that_has_gone_gets_nothing() -> None:
    async def story(connection: Connection) -> None:
        await connection.send(request())
        await connection.send(request())
        connection.transport.close()
        connection.answer(b"late")
        assert await connection.said() == b""

    told(story)


def test_an_idle_connection_is_closed_after_the_last_answer() -> None:
    async def story(connection: Connection) -> None:
        protocol = connection.protocol
        await connection.send(request())
        await connection.send(request())
        protocol.timeout_keep_alive_handler()
        assert not connection.transport.closed, "it is being answered"
        connection.answer(b"second")
        protocol.timeout_keep_alive_handler()
        assert not connection.transport.closed, "it was answered just now"
        protocol._answered_at -= protocol.timeout_keep_alive
        protocol.timeout_keep_alive_handler()
        assert connection.transport.closed

    told(story)


class Behind:
    """An application behind a gate, that takes everything."""

    def direct(self, _scope: dict[str, Any]) -> Take | None:
        return lambda _body, _answer: True


def gated(client: str, limit: str, path: str = "/tsa") -> Take | None:
    """What a gate makes of it."""
    clients = Clients(proxies=["203.0.113.0/24"], operators=[], unlimited=["192.0.2.0/24"])
    found = rate(limit)
    whatever: Any = None
    gate = Gate(
        Behind(),  # type: ignore[arg-type]
        clients=clients,
        limits={} if found is None else {"tsa": found},
        remembered=10,
        stamping=lambda at: at == "/tsa",
        over=Over(b"", b""),
        watch=whatever,
        tally=Tally(
            metrics.catalogue(
                routes=CLASSES, units=("tsu",), failures=(), formats=("pades",), kinds=("PDF",), levels=("B-T",), conclusions=("passed",)
            )
        ),
        schema=b"",
    )
    return gate.direct({"path": path, "method": "POST", "client": (client, 1), "headers": []})


@pytest.mark.parametrize(
    ("client", "limit", "taken"),
    [("198.51.100.1", "1/min burst 2", 2), ("192.0.2.1", "1/min burst 2", 5), ("198.51.100.1", "", 5)],
    ids=["a client", "one without limits", "no limit"],
)
def test_the_gate_counts_what_goes_past_it(client: str, limit: str, taken: int) -> None:
    take = gated(client, limit)
    assert take is not None
    assert [take(b"", lambda _fields, _body: None) for _ in range(5)] == [True] * taken + [False] * (5 - taken)


def test_the_gate_asks_a_proxy_each_time_for_whom_it_speaks() -> None:
    assert gated("203.0.113.7", "") is None
    assert gated("198.51.100.1", "", "/tsa/certificates") is None
