"""The line before the journal's writer: requests of many threads, taken in groups by one."""

import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from trust.errors import Unavailable
from trust.log.page import Request

MAX_WAITING = 20_000
"""Requests that may wait: seconds of work, after which refusing at once is kinder."""


class Line:
    """`put` and `end` from any thread; what takes from it, in the writer's alone."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Sequence[Request] | None] = queue.SimpleQueue()
        self._put = 0
        """Requests that were ever put there, ..."""
        self._taken = 0
        """... and that were taken."""
        self._left: deque[Request] = deque()
        """Of what came together, what a group had no room for."""
        self._closing = threading.Lock()
        self._closed = False

    @property
    def waiting(self) -> int:
        """Requests that nobody has taken yet."""
        return self._put - self._taken

    def put(self, requests: Sequence[Request]) -> None:
        """Unavailable when the line is too long, or was ended."""
        if self.waiting >= MAX_WAITING:
            raise Unavailable("the journal is too far behind")
        with self._closing:
            if self._closed:
                raise Unavailable("the journal is closed")
            self._put += len(requests)
            self._queue.put(requests)

    def end(self) -> None:
        """What is there can still be taken; nothing comes behind it."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)

    def take(self, most: int) -> tuple[list[Request], bool]:
        """All that is waiting, at least one and at most so many; and whether more may come. Waits for the first."""
        group: list[Request] = []
        going = True
        while going and len(group) < most:
            if self._left:
                group.append(self._left.popleft())
                continue
            try:
                together = self._queue.get(block=not group)
            except queue.Empty:
                break
            if together is None:
                going = False
            else:
                self._left.extend(together)
        self._taken += len(group)
        return group, going

    def present(self, most: int) -> Iterator[list[Request]]:
        """Groups of those who wait now, without waiting for anybody."""
        left = self.waiting
        while left > 0:
            group, _ = self.take(min(left, most))
            left -= len(group)
            yield group
