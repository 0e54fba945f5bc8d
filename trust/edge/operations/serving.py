"""Serving until a signal says that it is enough, and then coming to an orderly end.

The end, in its order: `ready` says no, so that whoever distributes requests looks elsewhere (`notice` seconds); no further connection is accepted,
and those that knocked before are let in; every answer is the last one of its connection; what is being answered is answered; connections that are
idle are closed; when nobody is left, or after `deadline` seconds, the server has ended. A second signal ends it at once.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

import uvicorn

from trust.edge.operations.guarded_http import GuardedHttp, Hall, guarded
from trust.edge.strict_http import collect_seldom

TICK = 0.05
"""Seconds between two looks at who is left."""
LINGER = 1.0
"""Seconds in which a client that keeps its connection may still ask, and is told with the answer that it was the last one."""

_LOG = logging.getLogger("kakuin.serve")


def _nothing() -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the service comes to its end. Times are seconds."""

    notice: float = 0.0
    """How long requests are taken as ever after `ready` has begun to say no."""
    deadline: float = 30.0
    """For what is being answered when no connection is accepted any more."""
    shared: bool = False
    """Other processes accept from the same socket, and may go on."""
    begins: Callable[[], None] = _nothing
    """Called when the first signal comes."""
    hurry: Callable[[], None] = _nothing
    """Called in the event loop, again and again, while requests are waited for: what waits for company waits no longer."""


class Server(uvicorn.Server):
    """uvicorn's server with another end. For one process with one event loop."""

    def __init__(self, application: Any, hall: Hall, ending: Ending, *, started: Callable[[], None] = _nothing) -> None:
        """`started`: called when requests are answered. `application` is ASGI."""
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                http=guarded(hall),
                ws="none",
                interface="asgi3",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,  # who asks is worked out by trust.edge.operations.clients
            )
        )
        self._hall = hall
        self._ending = ending
        self._started = started
        self.unanswered = 0
        """Requests that were being answered when the deadline came, or a second signal."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        collect_seldom()
        await super().startup(sockets)
        self._started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the signal's
        """The first one begins the end, the second one is the end. Neither is raised again: the house has to be closed."""
        if self.should_exit:
            self.force_exit = True
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, signal.SIG_DFL)  # a third one waits for nothing at all
            return
        self.should_exit = True
        self._ending.begins()
        _LOG.info("the service ends: %s", signal.Signals(sig).name)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._until(self._ending.notice, lambda: False)
        await self._accept_no_more(sockets or [])
        self._hall.draining = True
        for connection in self._connections:
            connection.last_answer()
        await self._until(min(LINGER, self._ending.deadline), lambda: not self._connections)
        await self._until(self._ending.deadline, self._nobody_is_left)
        self.unanswered = max(len(self.server_state.tasks), sum(not each.idle for each in self._connections))
        if self.unanswered:
            _LOG.error("the service ended before %d requests were answered", self.unanswered)
            for task in tuple(self.server_state.tasks):
                task.cancel()
        for connection in self._connections:
            connection.transport.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self.lifespan.shutdown()

    @property
    def _connections(self) -> tuple[GuardedHttp, ...]:
        return cast("tuple[GuardedHttp, ...]", tuple(self.server_state.connections))

    async def _accept_no_more(self, sockets: Sequence[socket.socket]) -> None:
        """Whoever is in the kernel's queue has been told that he is connected: he is let in."""
        for each in () if self._ending.shared else sockets:
            with contextlib.suppress(OSError):
                each.listen(0)  # nobody else comes into the queue
        await asyncio.sleep(TICK)  # the loop accepts all that wait
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()

    def _nobody_is_left(self) -> bool:
        self._ending.hurry()
        for connection in self._connections:
            if connection.idle:
                connection.transport.close()
        return not self._connections and not self.server_state.tasks

    async def _until(self, seconds: float, done: Callable[[], bool]) -> None:
        """Wait so long, or until it is done, or a second signal has come."""
        end = asyncio.get_running_loop().time() + seconds
        while not self.force_exit and not done() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(TICK)
