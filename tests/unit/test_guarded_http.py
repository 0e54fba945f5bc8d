"""Connections: how many, how slowly a body may come and an answer be taken; and the last answer of a connection."""

import asyncio
import resource
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from trust.edge.operations import guarded_http
from trust.edge.operations.clients import Clients
from trust.edge.operations.guarded_http import GuardedHttp, Hall, guarded

HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"
WHOLE = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"


class Transport(asyncio.Transport):
    """Holds what is written."""

    def __init__(self, peer: str = "198.51.100.9", unread: int = 0) -> None:
        super().__init__({"peername": (peer, 4711), "sockname": ("127.0.0.1", 80)})
        self.written = b""
        self.unread = unread
        self.closed = self.aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def reads(scope: Any, receive: Any, send: Any) -> None:
    """Waits for the whole body."""
    while (await receive()).get("more_body", False):
        pass
    await answers(scope, receive, send)


async def answers(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def hall(most: int = 10, each: int = 10, **networks: list[str]) -> Hall:
    return Hall(Clients(**networks), most=most, each=each)


def connected(there: Hall, transport: Transport, application: Any = reads, state: ServerState | None = None) -> GuardedHttp:
    config = uvicorn.Config(application, http=guarded(there), lifespan="off", log_config=None, interface="asgi3")
    config.load()
    made: Any = guarded(there)(config, state or ServerState(), {})
    made.connection_made(transport)
    return made  # type: ignore[no-any-return]


async def idle() -> None:
    """Until all tasks have done what they can."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_body_that_stops_coming_ends_the_connection() -> None:
    async def slow() -> tuple[Transport, Transport]:
        stopped, goes_on = Transport(), Transport()
        one, other = connected(hall(), stopped), connected(hall(), goes_on)
        for each in (one, other):
            each.data_received(HEAD)
            await idle()
            each._look_at_pace()
        assert not stopped.written, "it is not late yet"
        other.data_received(bytes(guarded_http.SLOWEST * int(guarded_http.LOOK_SECONDS)))
        for each in (one, other):
            each._look_at_pace()
            each.connection_lost(None)
        return stopped, goes_on

    stopped, goes_on = asyncio.run(slow())
    assert stopped.closed and stopped.written.startswith(b"HTTP/1.1 408 ")
    assert not goes_on.written


def test_a_body_that_is_not_asked_for_yet_is_not_late() -> None:
    async def asks_later(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    async def waits() -> tuple[bool, bytes]:
        transport = Transport()
        made = connected(hall(), transport, asks_later)
        made.data_received(HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        await idle()
        for _ in range(4):
            made._look_at_pace()
        return transport.closed, transport.written

    assert asyncio.run(waits()) == (False, b"")


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    async def unread() -> list[bool]:
        transport, gone = Transport(unread=70_000), []
        made = connected(hall(), transport)
        made.data_received(WHOLE)
        await idle()
        for look in range(guarded_http.ANSWER_LOOKS + 1):
            transport.unread -= 1 if look == 0 else 0  # it took a little at first
            made._look_at_pace()
            gone.append(transport.aborted)
        made.connection_lost(None)
        return gone

    assert asyncio.run(unread()) == [False] * guarded_http.ANSWER_LOOKS + [True]


def test_connections_are_limited_altogether_and_for_each_client() -> None:
    async def many() -> list[bool]:
        there = hall(most=4, each=2)
        peers = ["198.51.100.1", "198.51.100.1", "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"]
        made = [(transport := Transport(peer), connected(there, transport)) for peer in peers]
        refused = [transport.aborted for transport, _ in made]
        made[2][1].data_received(WHOLE)  # what a refused one still sends goes nowhere
        for _, each in made:
            each.connection_lost(None)
        assert there.connections == 0 and there.refused == 2
        again = Transport("198.51.100.1")
        connected(there, again).connection_lost(None)
        return [*refused, again.aborted]

    assert asyncio.run(many()) == [False, False, True, False, False, True, False]


@pytest.mark.parametrize(
    ("soft", "hard", "asked", "given"),
    [
        (1024, 4096, [2256], 2000),
        (1024, 1024, [1024], 768),
        (100, 200, [200], 100),
        (20_000, 20_000, [], 2000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, [], 2000),
        (1024, resource.RLIM_INFINITY, [2256], 2000),
    ],
    ids=["raised", "not-enough", "hardly-any", "enough", "any", "as-wanted"],
)
def test_there_are_files_for_the_connections(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, asked: list[int], given: int) -> None:
    limits: list[int] = []
    monkeypatch.setattr(guarded_http.resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(guarded_http.resource, "setrlimit", lambda _, both: limits.append(both[0]))
    assert guarded_http.room(2000) == given
    assert limits == asked


def test_proxies_and_the_unlimited_have_as_many_as_they_like() -> None:
    there = hall(each=1, proxies=["10.0.0.1"], unlimited=["127.0.0.0/8"])
    assert [there.enters(peer) for peer in ("10.0.0.1", "10.0.0.1", "127.0.0.1", "127.0.0.1")] == ["10.0.0.1"] * 2 + ["127.0.0.1"] * 2
    assert [there.enters("198.51.100.1") for _ in range(2)] == ["198.51.100.1", None]


@pytest.mark.parametrize("during", [True, False], ids=["in-flight", "next"])
def test_at_the_end_each_answer_is_the_last_one(during: bool) -> None:
    async def ends() -> Transport:
        there, transport = hall(), Transport()
        made = connected(there, transport)
        if during:
            made.data_received(HEAD)
            await idle()
            assert not made.idle
            there.draining = True
            made.last_answer()
            made.data_received(bytes(5000))
        else:
            assert made.idle
            there.draining = True
            made.last_answer()
            made.data_received(WHOLE)
        await idle()
        assert made.idle
        made.connection_lost(None)
        return transport

    transport = asyncio.run(ends())
    assert transport.written.startswith(b"HTTP/1.1 200 ") and b"\r\nconnection: close\r\n" in transport.written and transport.written.endswith(b"ok")
    assert transport.closed
