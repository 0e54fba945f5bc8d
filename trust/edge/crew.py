"""Much of the same work, done by several processes that stay: what one task has learnt serves the next one of its worker.

A task that crashes, loops or eats memory costs its own answer and its worker, which is replaced. Answers come in the order of the tasks. Not a
sandbox: a worker may do what its user may. Where keys are near, see trust.edge.sandbox.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess  # our own interpreter, no shell
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from trust.errors import KakuinError, Malformed, Misconfigured, TooLarge, Unavailable

Handle = Callable[[bytes], bytes]
"""A task -> its answer."""

AHEAD = 64
"""Tasks for each worker that may be begun, or answered and waiting, behind one that takes long."""
PATIENCE = 4
"""Times the processor time, by the wall clock: a loaded machine is no fault of the task."""
START_SECONDS = 60.0
"""For the imports of a worker, which take about half a second."""
TICK = 0.2
"""Seconds between looks at the clock."""

_LENGTH = struct.Struct(">Q")
_BOOT = "import json, sys; p = json.loads(sys.argv[1]); sys.path[:] = p.pop('path'); from trust.edge.crew import serve; serve(**p)"
_PR_SET_PDEATHSIG = 1
_SPENT = 75

_T = TypeVar("_T")


def processors(most: int = 8) -> int:
    """How many this process may use, at most `most`: more workers than that wait for the disk, or for memory."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(there, most))


@dataclass
class _Slot(Generic[_T]):
    """One task, until its answer is handed out."""

    task: _T
    data: bytes
    answer: bytes | KakuinError | None = None


@dataclass
class _Worker(Generic[_T]):
    process: "subprocess.Popen[bytes]"
    sock: socket.socket
    deadline: float
    ready: bool = False
    slot: _Slot[_T] | None = None
    received: bytearray = field(default_factory=bytearray)

    def frame(self) -> bytes | None:
        """One whole message of what was received so far."""
        if len(self.received) < _LENGTH.size:
            return None
        (size,) = _LENGTH.unpack_from(self.received)
        if len(self.received) < _LENGTH.size + size:
            return None
        data = bytes(self.received[_LENGTH.size : _LENGTH.size + size])
        del self.received[: _LENGTH.size + size]
        return data


class Crew(Generic[_T]):
    """`workers` processes that each call `target` (`module:function`) with `setup` once, and what it returns with every task.

    Limits of one task: `seconds` of processor time and four times that, plus `waiting` seconds for whatever else it does, by the wall clock;
    `memory_bytes` beyond the imports. `with Crew(...)`, or close() at the end.
    """

    def __init__(self, target: str, setup: bytes, *, workers: int, seconds: float = 60.0, waiting: float = 0.0, memory_bytes: int = 2 << 30) -> None:
        self._options = {"target": target, "seconds": seconds, "memory_bytes": memory_bytes, "path": sys.path}
        self._setup = setup
        self._most = workers
        self._seconds = seconds
        self._wall = seconds * PATIENCE + waiting
        self._workers: list[_Worker[_T]] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> "Crew[_T]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every worker, at once."""
        for worker in list(self._workers):
            self._dismiss(worker)
        self._selector.close()

    def answers(self, tasks: Iterable[_T | None], encode: Callable[[_T], bytes | None]) -> Iterator[tuple[_T, bytes | KakuinError]]:
        """Each task with its answer, in the order of the tasks, as soon as it and those before it are there.

        None among the tasks: there is none yet. A task that is encoded as None needs no worker: its answer is empty, in its turn.
        A KakuinError instead of an answer: TooLarge for a limit, Malformed for a task that crashed its worker. Misconfigured is raised where no
        worker comes up.
        """
        coming = iter(tasks)
        line: deque[_Slot[_T]] = deque()
        unbegun: deque[_Slot[_T]] = deque()
        more = True
        while True:
            while more and len(line) < AHEAD * self._most and len(unbegun) < self._most:
                try:
                    found = next(coming)
                except StopIteration:
                    more = False
                    break
                if found is None:
                    break
                data = encode(found)
                slot = _Slot(found, data or b"", b"" if data is None else None)
                line.append(slot)
                if data is not None:
                    unbegun.append(slot)
            if not line and not more:
                return
            self._begin(unbegun)
            if line and line[0].answer is None:
                self._wait()
            while line and line[0].answer is not None:
                done = line.popleft()
                if done.answer is not None:
                    yield done.task, done.answer

    def _begin(self, unbegun: "deque[_Slot[_T]]") -> None:
        """Hand tasks to whoever is free; call for help when there is more to do than hands."""
        for worker in [w for w in self._workers if w.ready and w.slot is None]:
            if not unbegun:
                return
            slot = unbegun.popleft()
            worker.deadline = time.monotonic() + self._wall
            try:
                _send(worker.sock, slot.data)
                worker.slot = slot
            except OSError:  # it died while it had nothing to do: no fault of the task
                unbegun.appendleft(slot)
                self._dismiss(worker)
        coming = sum(not w.ready for w in self._workers)
        while len(self._workers) < self._most and coming < len(unbegun):
            self._hire()
            coming += 1

    def _hire(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-c", _BOOT, json.dumps({**self._options, "handle": theirs.fileno()})],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # libraries in C write there what they think of a file
                start_new_session=True,  # Ctrl-C is for us to hear, and to end them
            )
        worker: _Worker[_T] = _Worker(process, ours, time.monotonic() + START_SECONDS)
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        with contextlib.suppress(OSError):  # what became of it shows when we listen
            _send(ours, self._setup)

    def _wait(self) -> None:
        """Listen for a moment, and see who is over his time."""
        for key, _ in self._selector.select(TICK):
            self._listen(key.data)
        now = time.monotonic()
        for worker in [w for w in self._workers if (w.slot is not None or not w.ready) and now > w.deadline]:
            self._lost(worker, TooLarge(f"work on this file took over {self._wall:g} seconds"))

    def _listen(self, worker: _Worker[_T]) -> None:
        try:
            received = worker.sock.recv(1 << 20)
        except OSError:
            received = b""
        if not received:
            self._lost(worker, None)
            return
        worker.received += received
        message = worker.frame()
        if message is None:
            return
        if not worker.ready:
            worker.ready = True
        elif worker.slot is not None:
            worker.slot.answer = message
            worker.slot = None

    def _lost(self, worker: _Worker[_T], why: KakuinError | None) -> None:
        """A worker is gone, or has to go: its task is answered with the reason."""
        slot, ready = worker.slot, worker.ready
        status = self._dismiss(worker, kill=why is not None)
        if slot is not None:
            slot.answer = why or _obituary(status, self._seconds)
        elif not ready:
            raise Misconfigured("a process for reading files did not start")

    def _dismiss(self, worker: _Worker[_T], *, kill: bool = True) -> int:
        self._selector.unregister(worker.sock)
        self._workers.remove(worker)
        if kill:
            worker.process.kill()
        worker.sock.close()
        try:
            return worker.process.wait(5)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            return worker.process.wait()


def _obituary(status: int, seconds: float) -> KakuinError:
    if status == _SPENT:
        return TooLarge("work on this file needs more memory than is allowed")
    if status >= 0:
        return Malformed("this file made its reader end without an answer")
    if -status == signal.SIGPROF:
        return TooLarge(f"work on this file took over {seconds:g} seconds of processor time")
    if -status == signal.SIGKILL:
        return Unavailable("the process that read this file was ended by this machine, which may be short of memory")
    return Malformed(f"this file made its reader crash ({signal.Signals(-status).name})")


def _send(sock: socket.socket, data: bytes) -> None:
    sock.sendall(_LENGTH.pack(len(data)) + data)


# The other side


def serve(handle: int, target: str, seconds: float, memory_bytes: int) -> NoReturn:
    """The life of a worker: until the other end of its socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    module, _, attribute = target.partition(":")
    try:
        with socket.socket(fileno=handle) as sock:
            setup = _receive(sock)  # before the imports: whoever sends it waits
            work: Handle = getattr(importlib.import_module(module), attribute)(setup)
            _limit_memory(memory_bytes)
            _send(sock, b"")
            while True:
                task = _receive(sock)
                # Processor time from now on; SIGPROF ends the process, and nothing here asks to hear it.
                signal.setitimer(signal.ITIMER_PROF, seconds)
                answer = work(task)
                signal.setitimer(signal.ITIMER_PROF, 0)
                _send(sock, answer)
    except MemoryError:
        os._exit(_SPENT)
    except (EOFError, OSError):
        os._exit(0)


def _receive(sock: socket.socket) -> bytes:
    (size,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size))
    return _exactly(sock, size)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = sock.recv(min(count - len(data), 1 << 20))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _limit_memory(memory_bytes: int) -> None:
    statm = Path("/proc/self/statm")
    imported = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
    _lower(resource.RLIMIT_AS, imported + memory_bytes)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(what: int, wanted: int) -> None:
    """The soft limit, within whatever hard one there is."""
    _, most = resource.getrlimit(what)
    resource.setrlimit(what, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
