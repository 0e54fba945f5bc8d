"""The batch that is open now, for many who ask for one record each: it closes after a while or when it is full, and all get their records.

Nothing is issued before it closes: a process that dies takes the open batch with it, and nobody was told anything. Whoever is let in gets an answer:
the record, or why there is none. Neighbours in the tree are strangers to each other, so every record is blinded (trust.codecs.ers).
"""

import asyncio
import logging
import os
from dataclasses import dataclass, field

from trust.errors import KakuinError, Unavailable
from trust.model import Digest
from trust.ports import Stamper
from tsa import batch
from tsa.batch import Random

_LOG = logging.getLogger("kakuin.tsa")


@dataclass
class _Open:
    """Of one digest algorithm."""

    digests: bytearray = field(default_factory=bytearray)
    waiting: "list[asyncio.Future[bytes]]" = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Aggregator:
    """For one event loop. `seconds` after its first digest a batch closes, or when it has `most`; `waiting`: how many may wait altogether."""

    def __init__(self, stamp: Stamper, *, seconds: float = 1.0, most: int = 10_000, waiting: int = 20_000, random: Random = os.urandom) -> None:
        self._stamp = stamp
        self._seconds = seconds
        self._most = most
        self._limit = waiting
        self._random = random
        self._waiting = 0
        self._open: dict[str, _Open] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._closed = False

    async def add(self, digest: Digest) -> bytes:
        """The digest's evidence record, once its batch is stamped. Unavailable when too many wait, and what the authority refuses."""
        if self._closed:
            raise Unavailable("no further batch is opened: the service is ending")
        if self._waiting >= self._limit:
            raise Unavailable(f"{self._limit} digests wait for their batches already")
        loop = asyncio.get_running_loop()
        decided: asyncio.Future[bytes] = loop.create_future()
        current = self._open.setdefault(digest.algorithm, _Open())
        current.digests += digest.value
        current.waiting.append(decided)
        if len(current.waiting) >= self._most:
            self._close(digest.algorithm)
        elif current.timer is None:
            current.timer = loop.call_later(self._seconds, self._close, digest.algorithm)
        self._waiting += 1
        try:
            return await decided
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Close the open batches at once, and answer all who wait; whoever comes later is refused."""
        self._closed = True
        for algorithm in tuple(self._open):
            self._close(algorithm)
        while self._working:
            await asyncio.gather(*self._working)

    def hurry(self) -> None:
        """Close the open batches at once; others may be opened."""
        for algorithm in tuple(self._open):
            self._close(algorithm)

    def _close(self, algorithm: str) -> None:
        closing = self._open.pop(algorithm)
        if closing.timer is not None:
            closing.timer.cancel()
        task = asyncio.get_running_loop().create_task(self._work(algorithm, closing))
        self._working.add(task)  # a task that nobody holds may be collected
        task.add_done_callback(self._working.discard)

    async def _work(self, algorithm: str, closing: _Open) -> None:
        try:
            made = await asyncio.to_thread(self._records, algorithm, bytes(closing.digests))
        except Exception as error:  # noqa: BLE001  # whatever it was, those who wait are told
            if not isinstance(error, KakuinError):
                _LOG.exception("a batch could not be stamped because of a defect")
                error = Unavailable("the batch could not be stamped")
            for each in closing.waiting:
                if not each.done():
                    each.set_exception(type(error)(str(error)))  # one of their own: each is raised, with a traceback, in a task of its own
            return
        for each, record in zip(closing.waiting, made, strict=True):
            if not each.done():  # its client may have gone
                each.set_result(record)

    def _records(self, algorithm: str, digests: bytes) -> list[bytes]:
        return list(batch.stamped(algorithm, digests, self._stamp, self._random).records())
