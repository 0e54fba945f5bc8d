"""A connection to PostgreSQL whose statements end, whatever the server does.

A server that is stopped, or hangs on its disk, keeps its connections: the kernel answers for it, and neither keepalives nor libpq's time limits tell.
Whoever waits for such a statement would wait as long as that lasts, and so would everybody behind.
"""

import math
import time
from collections.abc import Generator
from typing import Any

import psycopg

INTERVAL = 0.1
"""Seconds between two looks; psycopg's own."""


class Impatient(psycopg.Connection[Any]):
    """Given up, and closed, when the server says nothing for `silence` seconds in the middle of a statement."""

    silence = math.inf
    """Seconds."""

    def wait(self, gen: Generator[Any, Any, Any], interval: float = INTERVAL, timeout: float | None = None) -> Any:
        """As psycopg's, through which every statement, commit and rollback goes. `gen` hears every `interval` seconds that nothing has come."""
        speaking = _while_it_speaks(gen, self.silence)
        try:
            return super().wait(speaking, interval) if timeout is None else super().wait(speaking, interval, timeout)
        except _Silent as silent:
            self.close()  # so that the pool knows
            raise psycopg.OperationalError(f"it has said nothing for {self.silence:g} seconds") from silent


class _Silent(Exception):
    """Nobody else hears of it."""


def _while_it_speaks(gen: Generator[Any, Any, Any], silence: float) -> Generator[Any, Any, Any]:
    """The same generator, until it has waited so long in vain."""
    end = time.monotonic() + silence
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                end = time.monotonic() + silence
            elif time.monotonic() >= end:
                raise _Silent
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value
