"""The load on an authority: time-stamp requests prepared beforehand, over connections that are kept alive.

Each costs a few microseconds, little beside the server's own work.
"""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from trust.codecs import tsp
from trust.model import Digest

WARM_UP = 0.3
"""Seconds."""


def request(path: str, cert_req: bool) -> bytes:
    body = tsp.encode_request(Digest("sha256", secrets.token_bytes(32)), nonce=secrets.randbits(64), cert_req=cert_req)
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/timestamp-query\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Client(asyncio.Protocol):
    """One connection. `done` is called with it when the answer to its request is whole."""

    def __init__(self, prepared: list[bytes], done: "Callable[[Client], None]") -> None:
        self.prepared = prepared
        self.done = done
        self.buffer = b""
        self.at = secrets.randbelow(len(prepared))
        self.since = 0.0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True

    def send(self, since: float) -> None:
        self.since = since
        self.at = (self.at + 1) % len(self.prepared)
        self.transport.write(self.prepared[self.at])  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = self.buffer + data
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            head = data[:end].lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            if len(data) == end + 4 + length:
                if not head.startswith(b"http/1.1 20") or length < 300:
                    print(f"no token: {data[:200]!r}", file=sys.stderr)
                    os._exit(1)
                self.buffer = b""
                self.done(self)
                return
        self.buffer = data


@dataclass(frozen=True)
class Load:
    rate: float
    """Answers a second."""
    p50: float
    p99: float
    """Milliseconds."""
    count: int


async def _connected(port: int, path: str, connections: int, cert_req: bool, done: Callable[[Client], None]) -> list[Client]:
    loop = asyncio.get_running_loop()
    prepared = [request(path, cert_req) for _ in range(256)]
    return [(await loop.create_connection(lambda: Client(prepared, done), "127.0.0.1", port))[1] for _ in range(connections)]


def _seen(took: list[float], elapsed: float) -> Load:
    if not took:
        raise ConnectionError("nothing was answered")
    took.sort()
    return Load(len(took) / elapsed, took[len(took) // 2] * 1000, took[int(len(took) * 0.99) - 1] * 1000, len(took))


async def flat_out(port: int, path: str, connections: int, seconds: float, cert_req: bool, spent: Callable[[], float]) -> tuple[Load, float]:
    """Each connection asks again as soon as it is answered. With it the processor time of an answer in microseconds."""
    took: list[float] = []
    going = True

    def done(client: Client) -> None:
        now = time.perf_counter()
        took.append(now - client.since)
        if going:
            client.send(now)

    clients = await _connected(port, path, connections, cert_req, done)
    for client in clients:
        client.send(time.perf_counter())
    await asyncio.sleep(WARM_UP)
    took.clear()
    began, before = time.perf_counter(), spent()
    await asyncio.sleep(seconds)
    elapsed, used, going = time.perf_counter() - began, spent() - before, False
    found = _seen(took[:], elapsed)
    await asyncio.sleep(0.1)
    _closed(clients)
    return found, used / found.count * 1e6


async def paced(port: int, path: str, connections: int, seconds: float, cert_req: bool, rate: float) -> Load:
    """`rate` requests a second, however long the answers take; the time of one counts from when it was due."""
    took: list[float] = []
    idle: list[Client] = []

    def done(client: Client) -> None:
        took.append(time.perf_counter() - client.since)
        idle.append(client)

    clients = await _connected(port, path, connections, cert_req, done)
    idle += clients
    began = time.perf_counter()
    due = began
    while (now := time.perf_counter()) < began + seconds:
        while due <= now and idle:
            idle.pop().send(due)
            due += 1 / rate
        await asyncio.sleep(0.0005)
    await asyncio.sleep(0.2)
    _closed(clients)
    return _seen(took[len(took) // 10 :], seconds * 0.9)


def _closed(clients: list[Client]) -> None:
    if any(client.lost for client in clients):
        raise ConnectionError("the server closed connections")
    for client in clients:
        client.transport.close()  # type: ignore[attr-defined]
