"""The authority: requests in, answers out, each token recorded before it leaves.

The order of effects for one token: the request is read and judged (in the caller's thread, or on the event loop: microseconds); the
journal's writer opens a transaction and gives a serial; the clock is read; the key signs and the signature is checked; the token is
written; the transaction is flushed to disk; the answer leaves. Refusals take none of these steps and use no serial.

Several units may work here, each with its own key, policy and sequence of serials (`tsa.units`). A request goes to the unit that its path
names; else to the first one that offers its policy. What fails in a unit itself is tried under the unit that stands in for it, and is no
affair of the client's.

A serial is used for one token only. It is handed out inside the transaction that records its token, so a process that dies between
signing and commit takes number, token and record with it, and nobody has seen any of them (the crash story: `trust.log.journal`).
"""

import asyncio
import functools
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import serialization

from trust import algorithms
from trust.codecs import tsp
from trust.codecs.tsp import Failure, Request
from trust.edge.crew import processors
from trust.errors import KakuinError, Unavailable
from trust.log.journal import Journal
from trust.log.page import FIRST_SERIAL, Made
from trust.log.page import Request as Asked
from trust.log.turns import BEHIND
from trust.model import Cert, Digest
from trust.ports import Clock, Stamper
from tsa import events, issue
from tsa.issue import Refused, Response, Stopped, Unit, UnitFailed
from tsa.refusals import Refusals
from tsa.units import Desk, Issuer, Place, Standing, State, placed

STANDING_SECONDS = 1.0
"""How long it may take until a unit whose certificate was revoked in another process stops."""

QUICK = frozenset({("ec", 256), ("ed25519", 256)})
"""Keys that sign in tens of microseconds: handing such a signature to another thread costs more than making it."""

WAVE = 32
"""Tokens that a thread makes for one look at the clock at most: two milliseconds of work with a quick key. One where the policy says that times tell
the order."""

WAVE_SECONDS = 0.02
"""And no more than it makes in such a time, which is far below a stated accuracy: thirty of RSA-3072. Fewer would leave lanes of `trust.edge.eight`
empty, and threads that sign waiting for each other."""


_ROUNDED = 0.001
"""Seconds more than a clock is waited for, which may be slewed meanwhile."""


class _Issuer:
    """The unit, as the journal's writer calls it (trust.log.journal.Issuer)."""

    kind = "token"

    def __init__(self, unit: Unit, clock: Clock, threads: int, wave: int, standing: Standing | None = None) -> None:
        """`threads` that sign, one being the journal's own; each begins with a `wave` of tokens at a time."""
        self.unit = unit.name
        self._unit = unit
        self._clock = clock
        self._wide = 1 if unit.policy.ordering else threads
        self._most = 1 if unit.policy.ordering else WAVE
        self._wave = min(wave, self._most)
        self._standing = standing
        self._asked_at = -math.inf
        self._last = datetime.min.replace(tzinfo=UTC)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sign") if threads > 1 else None

    def ready(self) -> datetime:
        """The time of the next tokens, where several processes take serials (trust.log.turns). Raises what stands against them."""
        if (stopped := self._stopped(FIRST_SERIAL)) is not None:
            raise stopped
        return self._now()

    def _now(self) -> datetime:
        """The time, once it is not before that of the tokens before: a clock may be set back by less than counts as a step."""
        try:
            now = self._clock()
            if now < self._last <= now + timedelta(seconds=BEHIND):
                time.sleep((self._last - now).total_seconds() + _ROUNDED)
                now = self._clock()
            if now < self._last and self._unit.policy.ordering:
                raise Unavailable("the clock is behind that of the last time-stamp")
        except Unavailable as error:
            raise Refused(Failure.TIME_NOT_AVAILABLE, str(error)) from error
        self._last = now
        return now

    def make(self, first: int, requests: Sequence[Request], at: datetime | None = None) -> list[Made | KakuinError]:
        """Tokens whose times rise with their serials: the clock is read again for every wave, or all `at`. After a failure they are short."""
        if (stopped := self._stopped(first)) is not None:
            return [stopped] * len(requests)
        made: list[Made | KakuinError] = []
        serial = first
        while len(made) < len(requests):
            if (failed := _failed_again(made)) is not None:
                # A key store that is away takes its time to say so, and this happens under the database's lock: it is not asked 256 times.
                return made + [failed] * (len(requests) - len(made))
            some = requests[len(made) : len(made) + self._wide * self._wave]
            begun = time.perf_counter()
            for outcome in self._made(serial, some, at):
                made.append(outcome)
                if not isinstance(outcome, Made):
                    self._wave = 1
                    break  # those after it bear serials one too high: they are thrown away, unseen, and made again
                serial += 1
            else:
                self._pace(len(some) / self._wide, time.perf_counter() - begun)
        return made

    def _pace(self, count: float, seconds: float) -> None:
        """Each thread made so many in such a time."""
        self._wave = max(1, min(self._most, self._wave * 2, int(WAVE_SECONDS * count / max(seconds, 1e-6))))

    def _stopped(self, first: int) -> KakuinError | None:
        """Why it must not issue: it was taken out of service, or its certificate was revoked. The second is asked once in a `STANDING_SECONDS`."""
        if first < 1:
            return Stopped(f"unit {self.unit} was taken out of service")
        now = time.monotonic()
        if self._standing is None or now - self._asked_at < STANDING_SECONDS:
            return None
        try:
            why = self._standing(self._unit)
        except KakuinError as error:
            return error if isinstance(error, Unavailable) else Unavailable(str(error))
        if why is not None:
            return Stopped(f"unit {self.unit}: {why}")
        self._asked_at = now
        return None

    def _made(self, first: int, requests: Sequence[Request], at: datetime | None) -> Iterable[Made | KakuinError]:
        """A wave of each thread; up to the first that fails, what comes then is not to be looked at."""
        try:
            now = self._now() if at is None else at
        except Refused as error:
            return [error]
        if self._threads is None:
            return map(_made, issue.grant_all(requests, self._unit, now, first))
        size = math.ceil(len(requests) / self._wide)
        waves = [requests[start : start + size] for start in range(0, len(requests), size)]
        granted = self._threads.map(functools.partial(self._granted, now), range(first, first + len(requests), size), waves)
        return map(_made, itertools.chain.from_iterable(granted))

    def _granted(self, now: datetime, first: int, requests: Sequence[Request]) -> list[Response | KakuinError]:
        return issue.grant_all(requests, self._unit, now, first)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown()


def _made(response: Response | KakuinError) -> Made | KakuinError:
    return response if isinstance(response, KakuinError) else Made(response.token or b"", response)


def _failed_again(made: Sequence[Made | KakuinError]) -> UnitFailed | None:
    """The unit's failure, when it failed twice in a row."""
    if len(made) < 2 or isinstance(made[-1], Made):
        return None
    last, before = made[-1], made[-2]
    return last if isinstance(last, UnitFailed) and isinstance(before, UnitFailed) else None


class _Loop:
    """Brings what the writer's thread decided to the waiters of one event loop: one wake-up for a batch, not one for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._decided: deque[tuple[Callable[[bytes], None], bytes]] = deque()
        self._woken = False
        self._asked: list[Asked] = []

    def ask(self, journal: Journal, asked: Asked) -> None:
        """On the loop: the journal gets it with whatever else comes in this turn of the loop, so that its writer is woken once."""
        if not self._asked:
            self.loop.call_soon(self._hand_over, journal)
        self._asked.append(asked)

    def _hand_over(self, journal: Journal) -> None:
        asked, self._asked = self._asked, []
        try:
            journal.issue_all(asked)
        except KakuinError as error:
            for _, _, settle in asked:
                settle(-1, None, error)

    def settle(self, answer: Callable[[bytes], None], der: bytes) -> None:
        """From the writer's thread."""
        self._decided.append((answer, der))
        if not self._woken:
            self._woken = True
            self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # before the first look: what is added from now on wakes again
        while self._decided:
            answer, der = self._decided.popleft()
            try:
                answer(der)
            except Exception:  # noqa: BLE001  # one client's fault is not the others'
                _LOG.exception("an answer could not be given")


_UNDECIDED = Unavailable("nothing was decided")
Done = Callable[[Response | None, KakuinError | None], None]
"""What became of a request. Called in the journal's writer thread, or in the one that opens units anew."""

_LOG = logging.getLogger("kakuin.tsa")


class Authority:
    """A time-stamp authority with its units. Thread-safe."""

    def __init__(self, units: Unit | Sequence[Place], journal: Journal, clock: Clock) -> None:
        """One unit, or several: the first answers where a request names none. Misconfigured for places that do not fit together."""
        places = placed(units)
        self._journal = journal
        self._clock = clock
        self._desks = {place.name: Desk(place, self._issuer_of(place.unit, place.standing)) for place in places}
        self._first = self._desks[places[0].name]
        self._loop: _Loop | None = None
        self._refusals = Refusals()
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="unit")

    @property
    def unit(self) -> Unit:
        """The unit that answers where a request names none."""
        return self._first.unit

    @property
    def names(self) -> tuple[str, ...]:
        """Of the units, the first one first."""
        return tuple(self._desks)

    @property
    def states(self) -> tuple[State, ...]:
        """How each unit does, for those who watch."""
        return tuple(desk.state for desk in self._desks.values())

    def stamp(self, request: bytes, name: str | None = None) -> bytes:
        """RFC 3161: answer a TimeStampReq with a TimeStampResp, both DER. A token is in the journal, durably, when this returns.

        `name`: of the unit that is asked; None where any may answer that offers the policy. Never raises for what a request says or for what
        fails inside: each of these is a refusal with its PKIFailureInfo.
        """
        try:
            asked = issue.read(request)
            return self._issue(asked, self._desk(asked, name)).result().der
        except KakuinError as error:
            return self._refusals.answer(error)

    async def stamp_soon(self, request: bytes, name: str | None = None) -> bytes:
        """The same without blocking the event loop."""
        decided: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def answer(der: bytes) -> None:
            if not decided.done():  # its client may have gone
                decided.set_result(der)

        self.stamp_then(request, name, answer)
        return await decided

    def stamp_then(self, request: bytes, name: str | None, answer: Callable[[bytes], None]) -> None:
        """The same from a callback of the event loop, in which `answer` is called: now for a request that is refused, later for others."""
        loop = asyncio.get_running_loop()
        home = self._loop
        if home is None or home.loop is not loop:
            self._loop = home = _Loop(loop)
        try:
            asked = issue.read(request)
            self._submit(asked, self._desk(asked, name), functools.partial(self._answer, home, answer), home=home)
        except KakuinError as error:
            answer(self._refusals.answer(error))

    def _answer(self, home: _Loop, answer: Callable[[bytes], None], response: Response | None, error: KakuinError | None) -> None:
        home.settle(answer, self._refusals.answer(error or _UNDECIDED) if response is None else response.der)

    def stamper(self) -> Stamper:
        """For sealing in this process: Digest -> token, under the default policy, with the unit's certificates."""

        def stamp(digest: Digest) -> bytes:
            asked = issue.read(tsp.encode_request(digest))
            return self._issue(asked, self._first).result().token or b""

        return stamp

    # From the request to its unit.

    def _desk(self, asked: Request, name: str | None) -> Desk:
        """RFC 3161 section 2.4.1, reqPolicy: where no unit is named, the first that offers the policy."""
        if name is not None:
            return self._desks[name]
        if asked.policy is None or asked.policy in self._first.unit.policies:
            return self._first
        return next((desk for desk in self._desks.values() if asked.policy in desk.unit.policies), self._first)

    def _issue(self, asked: Request, desk: Desk) -> "Future[Response]":
        future: Future[Response] = Future()
        future.set_running_or_notify_cancel()

        def done(response: Response | None, error: KakuinError | None) -> None:
            if response is not None:
                future.set_result(response)
            else:
                future.set_exception(error or _UNDECIDED)

        self._submit(asked, desk, done)
        return future

    def _submit(self, asked: Request, desk: Desk, done: Done, tried: tuple[Desk, ...] = (), home: _Loop | None = None) -> None:
        """Have a token made at `desk`, or at that which stands in for it. Raises what the journal does, and Refused for what is not offered.

        `home`: the loop in whose thread this is called, if it is called in one."""
        while not desk.tries(time.monotonic()) and (other := self._stand_in(desk, (*tried, desk))) is not None:
            tried, desk = (*tried, desk), other
        issue.judge(asked, desk.unit.policy)
        issuer = desk.issuer
        settle = functools.partial(self._settled, asked, desk, issuer, done, tried)  # a function made here would cost ten times as much
        if home is None:
            self._journal.issue(issuer, asked, settle)
        else:
            home.ask(self._journal, Asked(issuer, asked, settle))

    def _settled(
        self,
        asked: Request,
        desk: Desk,
        issuer: Issuer,
        done: Done,
        tried: tuple[Desk, ...],
        _index: int,
        response: Response | None,
        error: KakuinError | None,
    ) -> None:
        """In the writer's thread, when it is decided."""
        if error is None:
            if desk.fault is not None and desk.issuer is issuer and desk.tries(time.monotonic()):
                self._recovered(desk)
            done(response, None)
        elif isinstance(error, UnitFailed):
            self._failed(asked, desk, issuer, error, done, tried)
        else:
            done(None, error)

    def _stand_in(self, desk: Desk, tried: tuple[Desk, ...]) -> Desk | None:
        other = None if desk.fallback is None else self._desks[desk.fallback]
        return None if other in tried else other

    # What goes wrong with a unit.

    def _failed(self, asked: Request, desk: Desk, issuer: Issuer, error: UnitFailed, done: Done, tried: tuple[Desk, ...]) -> None:
        """In the writer's thread: a stopped unit may have a successor, which is slow to open; else the unit that stands in gets the request."""
        if isinstance(error, Stopped) and desk.reopen is not None:
            try:
                self._opener.submit(self._reopen, asked, desk, issuer, error, done, tried)
                return
            except RuntimeError:  # the authority is being closed
                done(None, error)
                return
        self._pass_over(asked, desk, error, done, tried)

    def _reopen(self, asked: Request, desk: Desk, issuer: Issuer, error: UnitFailed, done: Done, tried: tuple[Desk, ...]) -> None:
        """In the opener's thread. Whatever happens, the client is answered."""
        try:
            if desk.issuer is issuer and desk.tries(time.monotonic()):
                try:
                    unit = desk.reopened()
                except KakuinError as failure:
                    unit, error = None, UnitFailed(f"unit {desk.unit.name}: its successor cannot be opened: {failure}")
                if unit is not None:
                    desk.take(unit, self._issuer_of(unit, desk.standing))
                    self._note(events.replaced(desk.name, issuer.unit, unit))
            if desk.issuer is issuer:
                self._pass_over(asked, desk, error, done, tried)
            else:
                self._submit(asked, desk, done, tried)
        except KakuinError as failure:
            done(None, failure)
        except Exception:  # noqa: BLE001  # a fault of ours, and somebody waits
            _LOG.exception("unit %s could not be opened anew", desk.name)
            done(None, error)

    def _pass_over(self, asked: Request, desk: Desk, error: UnitFailed, done: Done, tried: tuple[Desk, ...]) -> None:
        if desk.fails(error.why, time.monotonic()):
            self._note(events.failed(desk.name, desk.unit.name, error.why))
        other = self._stand_in(desk, (*tried, desk))
        if other is None:
            done(None, error)
            return
        try:
            self._submit(asked, other, done, (*tried, desk))
        except KakuinError as refused:
            done(None, refused)

    def _recovered(self, desk: Desk) -> None:
        desk.fault = None
        self._note(events.recovered(desk.name, desk.unit.name))

    def _note(self, body: bytes) -> None:
        """In the journal, for auditors, and in the log, for who is on duty. Nobody waits for it."""
        _LOG.warning("unit: %s", body.decode())
        try:
            self._journal.append_soon("event", body)
        except Unavailable:
            _LOG.exception("the journal took no event")

    def _issuer_of(self, unit: Unit, standing: Standing | None) -> _Issuer:
        quick = algorithms.key_strength(unit.public_key) in QUICK
        return _Issuer(unit, self._clock, 1 if quick else processors(), WAVE if quick else 1, standing)

    # What relying parties need.

    @property
    def certificates(self) -> tuple[Cert, ...]:
        """The first unit's, then its issuers' without the root."""
        return self.certificates_of(self._first.name)

    def certificates_of(self, name: str) -> tuple[Cert, ...]:
        """Those of one unit."""
        key = self._desks[name].unit.key
        return (key.certificate, *(c for c in key.chain if c.subject != c.issuer))

    def pem(self, name: str | None = None) -> bytes:
        """`certificates` as PEM, or those of the unit `name`."""
        return b"".join(c.x509.public_bytes(serialization.Encoding.PEM) for c in self.certificates_of(name or self._first.name))

    def close(self) -> None:
        """Let the signing threads go. The journal is closed by whoever opened it, first."""
        self._opener.shutdown()
        for desk in self._desks.values():
            desk.close()
        self._refusals.close()
