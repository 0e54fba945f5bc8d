"""HTTP/1.1 on the wire, guarded: how many connections there may be, and how slowly a body may come or an answer be taken.

`trust.edge.strict_http` times the heads of requests. Here are the bodies and the answers, and the end of the service.
"""

import logging
import resource
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from trust.edge.operations.clients import Client, Clients
from trust.edge.operations.commons import Connections
from trust.edge.strict_http import StrictHttp

LOOK_SECONDS = 10.0
"""Between two looks at a connection that is sending a body or taking an answer."""
SLOWEST = 100
"""Octets a second that a body comes with at least; an answer's are counted by whether any were taken at all."""
ANSWER_LOOKS = 6
"""So many looks in a row an answer may stand still: a minute."""
OTHER_FILES = 256
"""Files of a process beside its connections: the database's, the documents' that are worked on."""

_LOG = logging.getLogger("kakuin.serve")


def room(wanted: int) -> int:
    """So many connections, or as many as this process may have files for; where that is too few, it first asks for as many as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= need:
        return wanted
    fewer = max(soft - OTHER_FILES, soft // 2)
    _LOG.warning("this process may have %d files: %d connections at most, and not %d (service.connections)", soft, fewer, wanted)
    return fewer


class Hall:
    """All connections of a process: how many, and how many of one client; of all the service's processes, where there are others."""

    def __init__(
        self,
        clients: Clients,
        *,
        most: int,
        each: int,
        told: Callable[[int, int], None] = lambda _there, _refused: None,
        common: Connections | None = None,
        here: int | None = None,
    ) -> None:
        """`most` altogether, `each` for one client that is neither a trusted proxy nor without limits, and `here` in this process. `told`: how many
        there are here, and how many were refused. `common`: those of all processes."""
        self.clients = clients
        self._common = common
        self._here = most if here is None else here
        self.draining = False
        """The service ends: every answer is the last one of its connection."""
        self.refused = 0
        self._most = most
        self._each = each
        self._there: Counter[str] = Counter()
        self._count = 0
        self._told = told

    @property
    def connections(self) -> int:
        return self._count

    def enters(self, address: str) -> str | None:
        """The client whose connection this is now; None when it is one too many."""
        client = self.clients.of(address)
        if not self._has_room(client):
            self.refused += 1
            self._told(self._count, self.refused)
            return None
        self._count += 1
        self._there[client.key] += 1
        if self._common is not None:
            self._common.add(client.key, 1)
        self._told(self._count, self.refused)
        return client.key

    def _has_room(self, client: Client) -> bool:
        if self._count >= self._here:
            return False
        counted = client.limited and not client.proxy
        if self._common is None:
            return self._count < self._most and not (counted and self._there[client.key] >= self._each)
        return self._common.count < self._most and not (counted and self._common.of(client.key) >= self._each)

    def leaves(self, key: str) -> None:
        if self._common is not None:
            self._common.add(key, -1)
        self._count -= 1
        self._there[key] -= 1
        if not self._there[key]:
            del self._there[key]
        self._told(self._count, self.refused)


def guarded(hall: Hall) -> type[StrictHttp]:
    """uvicorn makes the protocol of each connection from a class: this one knows its hall."""

    class Guarded(GuardedHttp):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._hall = hall

    return Guarded


class GuardedHttp(StrictHttp):
    """A connection in a hall."""

    _hall: Hall

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._key: str | None = None
        self._pace: Any = None
        """Looks at how a body comes and an answer goes: a timer for a connection, not one for each request."""
        self._came = 0
        """Octets since the last look."""
        self._coming: Any = None
        """The request whose body was coming at the last look."""
        self._stuck = 0
        """Octets of answers that nobody took, at the last look; how often they were as many."""
        self._still = 0

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        self._key = self._hall.enters(peer[0] if isinstance(peer, tuple) else "")
        if self._key is None:
            transport.abort()  # words would cost what is short
            self.transport = transport
            return
        super().connection_made(transport)
        self._pace = self.loop.call_later(LOOK_SECONDS, self._look_at_pace)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._key is None:
            return
        self._hall.leaves(self._key)
        if self._pace is not None:
            self._pace.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._key is None:
            return
        self._came += len(data)
        if self._hall.draining:
            self._known.clear()  # by ASGI, which ends the connection with the answer
        super().data_received(data)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio's own signature
        return None if self._key is None else super().eof_received()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        newest: Any = self.cycle
        if self._hall.draining and newest is not None:
            newest.keep_alive = False

    def _look_at_pace(self) -> None:
        self._pace = None
        if self.transport.is_closing() and not self._waits_for_reader():
            return
        newest: Any = self.cycle
        comes = newest is not None and newest.more_body and not (newest.response_complete or newest.waiting_for_100_continue)
        awaited = newest if comes and not self.flow.read_paused else None  # what we do not read yet is no fault of the client's
        if awaited is not None and awaited is self._coming and self._came < SLOWEST * LOOK_SECONDS and not self._is_over():
            self._say((HTTPStatus.REQUEST_TIMEOUT, f"the body of a request comes with {SLOWEST} bytes a second at least"))
            self.send_400_response("")
            return
        self._coming, self._came = awaited, 0
        waiting = self.transport.get_write_buffer_size()
        self._still = self._still + 1 if waiting and waiting == self._stuck else 0
        self._stuck = waiting
        if self._still >= ANSWER_LOOKS:
            self.transport.abort()
            return
        self._pace = self.loop.call_later(LOOK_SECONDS, self._look_at_pace)

    def _waits_for_reader(self) -> bool:
        return bool(self.transport.get_write_buffer_size())

    def last_answer(self) -> None:
        """The service ends: whatever is being answered is the last answer here."""
        newest: Any = self.cycle
        if self._answering:
            self._last = True
        elif newest is not None and not newest.response_complete and not newest.response_started:
            newest.keep_alive = False

    @property
    def idle(self) -> bool:
        """Nothing is being asked and nothing answered."""
        newest: Any = self.cycle
        return self._between and not self._answering and (newest is None or newest.response_complete) and not self.pipeline
