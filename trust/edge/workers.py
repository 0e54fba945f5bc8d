"""Several processes behind one listening socket: started, watched, started again, and ended together.

The parent forks before it has opened anything else than the socket: no key, no database, no thread is in it. Every worker accepts from the same
socket, so a connection that waits is taken by whoever is free, and none is lost with a worker that dies.

A worker that dies is started again, at once for the first time, then after longer and longer pauses. One that dies before any was ready ends
everything: what is wrong then does not become right. The first SIGTERM or SIGINT is passed on, and each worker comes to its orderly end; the second
kills. A worker whose parent is gone ends orderly too.
"""

import contextlib
import functools
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

Work = Callable[[int, Callable[[], None]], int]
"""A worker: its number from 0, and what it calls when it serves. Returns an exit code after SIGTERM."""
Tell = Callable[[str], None]

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a worker that died again is started again; doubled each time."""
STEADY = 60.0
"""Seconds after which a worker's earlier deaths are forgotten."""
TICK = 0.5
"""Seconds between two looks where nothing happens."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class _Place:
    """One worker, now."""

    number: int
    process: int = 0
    began: float = 0.0
    starts_at: float = 0.0
    pause: float = 0.0


class Workers:
    """The parent's side. Before `run` no thread may have been started in this process."""

    def __init__(self, count: int, work: Work, *, ready: Callable[[], None], tell: Tell, ends: Callable[[], object] = lambda: None) -> None:
        """`ready`: called once, when all of them serve. `tell`: for the operator, one line. `ends`: called once, when the end begins."""
        self._ends = ends
        self._work = work
        self._ready = ready
        self._tell = tell
        self._places = [_Place(number) for number in range(count)]
        self._announced: set[int] = set()
        self._ending = 0
        self._code = 0

    def run(self) -> int:
        """Until all have ended; the exit code: 0 after an orderly end."""
        self._life, self._alive = os.pipe()  # nothing is ever written: it ends with the parent
        self._news, self._say = os.pipe()
        wake, alarm = os.pipe()
        for end in (self._news, alarm):
            os.set_blocking(end, False)
        before = {each: signal.signal(each, self._told) for each in SIGNALS}
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it wakes
        signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        try:
            while not self._ended():
                self._start()
                readable, _, _ = select.select([wake, self._news], [], [], TICK)
                if wake in readable:
                    os.read(wake, 4096)
                self._hear()
                self._bury()
        finally:
            signal.set_wakeup_fd(-1)
            for each, handler in before.items():
                signal.signal(each, handler)
            for end in (self._life, self._alive, self._news, self._say, wake, alarm):
                os.close(end)
        return self._code

    def _ended(self) -> bool:
        return bool(self._ending) and not any(place.process for place in self._places)

    def _told(self, _signal: int, _frame: FrameType | None) -> None:
        self._end(signal.SIGKILL if self._ending else signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        self._ending += 1
        if self._ending == 1:
            self._ends()
        for place in self._places:
            if place.process:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(place.process, how)

    def _start(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if not self._ending and not place.process and now >= place.starts_at:
                place.began = now
                blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # one that comes while it is born reaches it, or us who know of it
                try:
                    place.process = os.fork()
                    if not place.process:
                        self._be(place.number)
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _be(self, number: int) -> None:
        """In the child. Never returns."""
        code = os.EX_SOFTWARE
        try:
            signal.set_wakeup_fd(-1)
            for each in (*SIGNALS, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            os.setpgid(0, 0)  # Ctrl-C reaches the parent, which passes it on once
            for end in (self._alive, self._news):
                os.close(end)
            threading.Thread(target=_outlived, args=(self._life,), name="parent", daemon=True).start()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            code = self._work(number, functools.partial(self._serves, number))
        except Exception as error:  # noqa: BLE001  # nobody stands above
            frames = traceback.extract_tb(error.__traceback__)[-8:]
            where = ", ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in frames)  # noqa: PTH119
            self._tell(f"worker {number} failed: {type(error).__name__} ({where})")
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _serves(self, number: int) -> None:
        os.write(self._say, bytes((number,)))

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            whole = len(self._announced) == len(self._places)
            self._announced |= set(os.read(self._news, 4096))
            if not whole and len(self._announced) == len(self._places):
                self._ready()

    def _bury(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if not place.process:
                continue
            process, status = os.waitpid(place.process, os.WNOHANG)
            if not process:
                continue
            place.process = 0
            code = os.waitstatus_to_exitcode(status)
            if self._ending:
                # One that was still starting has nothing in flight, and dies of the signal.
                self._code = self._code or (0 if code == -signal.SIGTERM else code if code >= 0 else 128 - code)
                continue
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            if place.number not in self._announced:
                self._tell(f"worker {place.number} (process {process}) {how} before it served")
                self._code = code if code > 0 else os.EX_SOFTWARE
                self._end(signal.SIGTERM)
                continue
            place.pause = 0.0 if now - place.began >= STEADY else min(max(FIRST_PAUSE, place.pause * 2), LONGEST_PAUSE) if place.starts_at else 0.0
            place.starts_at = now + place.pause
            self._tell(f"worker {place.number} (process {process}) {how}; it is started again")


def _outlived(life: int) -> None:
    """Ends this process orderly when its parent is gone."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)
