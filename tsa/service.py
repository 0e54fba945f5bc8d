"""The authority: requests in, answers out, each token recorded before it leaves.

The order of effects for one token: the request is read and judged (in the caller's thread, or on the event loop: microseconds); the
journal's writer opens a transaction and gives a serial; the clock is read; the key signs and the signature is checked; the token is
written; the transaction is flushed to disk; the answer leaves. Refusals take none of these steps and use no serial.

A serial is used for one token only. It is handed out inside the transaction that records its token, so a process that dies between
signing and commit takes number, token and record with it, and nobody has seen any of them (the crash story: `trust.log.journal`).
"""

import asyncio
import functools
import os
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

from cryptography.hazmat.primitives import serialization

from trust import algorithms
from trust.codecs import tsp
from trust.codecs.tsp import Failure, Request
from trust.errors import KakuinError, Unavailable
from trust.log.journal import Journal, Made
from trust.model import Cert, Digest
from trust.ports import Clock, Stamper
from tsa import issue
from tsa.issue import Refused, Response, Unit
from tsa.refusals import Refusals

QUICK = frozenset({("ec", 256), ("ed25519", 256)})
"""Keys that sign in tens of microseconds: handing such a signature to another thread costs more than making it."""


class _Issuer:
    """The unit, as the journal's writer calls it (trust.log.journal.Issuer)."""

    kind = "token"

    def __init__(self, unit: Unit, clock: Clock, width: int) -> None:
        self.unit = unit.name
        self._unit = unit
        self._clock = clock
        self._width = width
        self._threads = ThreadPoolExecutor(width, thread_name_prefix="sign") if width > 1 else None

    def make(self, first: int, requests: Sequence[Request]) -> list[Made | KakuinError]:
        """Tokens whose times rise with their serials: the clock is read again for every `width` of them, which are signed at once."""
        made: list[Made | KakuinError] = []
        serial = first
        while len(made) < len(requests):
            for outcome in self._wave(serial, requests[len(made) : len(made) + self._width]):
                made.append(outcome)
                if not isinstance(outcome, Made):
                    break  # those after it bear serials one too high: they are thrown away, unseen, and made again
                serial += 1
        return made

    def _wave(self, first: int, requests: Sequence[Request]) -> Iterable[Made | KakuinError]:
        try:
            now = self._clock()
        except Unavailable as error:
            return [Refused(Failure.TIME_NOT_AVAILABLE, str(error))]
        one = functools.partial(self._one, now)
        serials = range(first, first + len(requests))
        return map(one, serials, requests) if self._threads is None else self._threads.map(one, serials, requests)

    def _one(self, now: datetime, serial: int, request: Request) -> Made | KakuinError:
        try:
            response = issue.grant(request, self._unit, now, serial)
        except KakuinError as error:
            return error
        return Made(response.token or b"", response)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown()


class _Loop:
    """Brings what the writer's thread decided to the waiters of one event loop: one wake-up for a batch, not one for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._decided: deque[tuple[asyncio.Future[bytes], bytes]] = deque()
        self._woken = False

    def settle(self, future: "asyncio.Future[bytes]", der: bytes) -> None:
        """From the writer's thread."""
        self._decided.append((future, der))
        if not self._woken:
            self._woken = True
            self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # before the first look: what is added from now on wakes again
        while self._decided:
            future, der = self._decided.popleft()
            if not future.done():  # its client may have gone
                future.set_result(der)


class Authority:
    """A time-stamp authority with one unit. Thread-safe."""

    def __init__(self, unit: Unit, journal: Journal, clock: Clock) -> None:
        self.unit = unit
        self._journal = journal
        quick = algorithms.key_strength(unit.public_key) in QUICK
        self._issuer = _Issuer(unit, clock, 1 if quick else os.cpu_count() or 1)
        self._loop: _Loop | None = None
        self._refusals = Refusals()

    def stamp(self, request: bytes) -> bytes:
        """RFC 3161: answer a TimeStampReq with a TimeStampResp, both DER. A token is in the journal, durably, when this returns.

        Never raises for what a request says or for what fails inside: each of these is a refusal with its PKIFailureInfo.
        """
        try:
            return self._issue(issue.accept(request, self.unit.policy)).result().der
        except KakuinError as error:
            return self._refusals.answer(error)

    async def stamp_soon(self, request: bytes) -> bytes:
        """The same without blocking the event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is None or self._loop.loop is not loop:
            self._loop = _Loop(loop)
        home = self._loop
        decided: asyncio.Future[bytes] = loop.create_future()

        def settle(_index: int, response: Response, error: KakuinError | None) -> None:
            home.settle(decided, response.der if error is None else self._refusals.answer(error))

        try:
            self._journal.issue(self._issuer, issue.accept(request, self.unit.policy), settle)
        except KakuinError as error:
            return self._refusals.answer(error)
        return await decided

    def stamper(self) -> Stamper:
        """For sealing in this process: Digest -> token, under the default policy, with the unit's certificates."""

        def stamp(digest: Digest) -> bytes:
            asked = issue.accept(tsp.encode_request(digest), self.unit.policy)
            return self._issue(asked).result().token or b""

        return stamp

    def _issue(self, asked: Request) -> "Future[Response]":
        future: Future[Response] = Future()
        future.set_running_or_notify_cancel()

        def settle(_index: int, response: Response, error: KakuinError | None) -> None:
            if error is None:
                future.set_result(response)
            else:
                future.set_exception(error)

        self._journal.issue(self._issuer, asked, settle)
        return future

    @property
    def certificates(self) -> tuple[Cert, ...]:
        """The unit's, then its issuers' without the root."""
        key = self.unit.key
        return (key.certificate, *(c for c in key.chain if c.subject != c.issuer))

    def pem(self) -> bytes:
        """`certificates` as PEM."""
        return b"".join(c.x509.public_bytes(serialization.Encoding.PEM) for c in self.certificates)

    def close(self) -> None:
        """Let the signing threads go. The journal is closed by whoever opened it, first."""
        self._issuer.close()
        self._refusals.close()
