"""The other side of trust.edge.sandbox: a small process that has imported what jobs need and forks one child for each.

It is started with a bare environment and holds no key, no database and no socket but its own. A child gets its limits before it sees a byte of
the job.
"""

import contextlib
import ctypes
import gc
import importlib
import math
import os
import resource
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from trust.edge.landlock import confine, prepared
from trust.edge.wire import decode, encode
from trust.errors import KakuinError, TooLarge

CONTROL = struct.Struct(">cQ")
"""What the parent says: START with two descriptors (the job's socket, a pipe for how it ended), or KILL; and the job's number."""
START, KILL, READY = b"S", b"K", b"R"
ENDED = struct.Struct(">i")
"""How a child ended, as waitpid(2) tells it; NOT_STARTED when there was no process to be had."""
NOT_STARTED = -1
SPENT = 75
"""Exit status of a child that had not even the memory to say that it had none."""
LENGTH = struct.Struct(">Q")
MOST_FILES = 200
"""Descriptors that travel with one job; Linux takes 253."""

CALL, DONE, ERROR, FAILED = "call", "done", "error", "failed"

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)


def receive(sock: socket.socket, limit: int) -> bytes:
    """One frame. EOFError when the other side is gone, TooLarge above `limit` bytes."""
    (length,) = LENGTH.unpack(_exactly(sock, LENGTH.size))
    if length > limit:
        raise TooLarge(f"answer is over {limit} bytes")
    return _exactly(sock, length)


def _exactly(sock: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = sock.recv(min(count - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def send(sock: socket.socket, data: bytes) -> None:
    sock.sendall(LENGTH.pack(len(data)))
    sock.sendall(data)


@dataclass(frozen=True, slots=True)
class Terms:
    """What every child of a server process is given."""

    space: int
    """Bytes of addresses: what the imports have, and what a job may have besides."""
    seconds: float
    answer_bytes: int
    readable: tuple[Path, ...]
    rules: int | None
    """Of what lies in `readable`, for children that open no file besides."""
    again: tuple[str, ...]
    """What to rehearse before a job comes, ..."""
    made: object
    """... and with what."""


def main(
    control_fd: int,
    memory_bytes: int,
    seconds: float,
    answer_bytes: int,
    preload: list[str],
    rehearsal: Sequence[str] = (),
    again: Sequence[str] = (),
    known: str = "",
    waiting: int = 0,
) -> None:
    """Import, then fork a child for each job until the parent is gone."""
    for name in preload:
        importlib.import_module(name)
    try:
        made = rehearse(rehearsal, *(decode(bytes.fromhex(known)) if known else ()))
    except Exception:  # noqa: BLE001  # a fault of ours, and no reason to read no documents
        traceback.print_exc()
        made, again = None, ()
    readable = _readable()
    terms = Terms(_imported() + memory_bytes, seconds, answer_bytes, readable, prepared(readable), tuple(again), made)
    gc.collect()
    gc.freeze()  # what is imported stays in pages that the children share
    server = _Server(socket.socket(fileno=control_fd), terms, waiting)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # an end is the parent's business, which first answers what is in flight, and then hangs up
    server.serve()


def rehearse(functions: Sequence[str], *made: object, enough: Callable[[], bool] = bool) -> object:
    """Call them one after the other, each with what the one before it made: what work there is, on examples of our own, so that the first stranger's
    file does not wait for whatever is read, compiled and remembered once. Until it is `enough`.

    In a child besides, before it has a job: memory that it shares with the server process is copied page by page when it is first used.
    """
    for target in functions:
        if enough():
            break
        module, _, name = target.partition(":")
        made = (getattr(importlib.import_module(module), name)(*made),)
    return made[0] if made else None


class _Server:
    """The loop of the server process: a child for each job, one that waits for it or one that is made for it."""

    def __init__(self, control: socket.socket, terms: Terms, most: int) -> None:
        self._control = control
        self._terms = terms
        self._most = most
        self._jobs: dict[int, tuple[int, int]] = {}
        """Job -> process, and the pipe that tells how it ended."""
        self._waiting: dict[int, socket.socket] = {}
        """Process -> where it waits for the socket of a job. The eldest first."""
        self._scarce = False
        """No process was to be had; until one ends, none is made for later."""
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker)

    def serve(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # a parent that ended while this began: the loop finds nobody there, and ends too
            self._control.sendall(READY)
        sources: list[Any] = [self._control, self._woken]
        while True:
            # Others are made ready when there is nothing else to do: under load that is work for later in the way of work for now.
            idle = 0.0 if len(self._waiting) < self._most and not (self._jobs or self._scarce) else None
            ready, _, _ = select.select(sources, [], [], idle)
            if not ready:
                self._make_ready()
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 512)
                self._reap()
            if self._control in ready and not self._order():
                for pid in (*(pid for pid, _ in self._jobs.values()), *self._waiting):
                    os.kill(pid, signal.SIGKILL)
                return

    def _order(self) -> bool:
        """One of the parent's; False when it is gone."""
        message, handles, _, _ = socket.recv_fds(self._control, CONTROL.size, 2)
        if len(message) < CONTROL.size:
            return False
        order, job = CONTROL.unpack(message)
        if order == KILL:
            if job in self._jobs:  # not reaped yet, so the number is still this child's
                os.kill(self._jobs[job][0], signal.SIGKILL)
            return True
        theirs, ended = handles
        pid = self._hand_over(theirs) or self._fork(lambda: _child(theirs, self._terms), ended)
        if pid is None:
            os.write(ended, ENDED.pack(NOT_STARTED))
            os.close(ended)
        else:
            self._jobs[job] = (pid, ended)
        os.close(theirs)
        return True

    def _hand_over(self, theirs: int) -> int | None:
        """Give a job's socket to the eldest of those who wait; None where there is none."""
        while self._waiting:
            pid = next(iter(self._waiting))
            with self._waiting.pop(pid) as sock, contextlib.suppress(OSError):  # it died: the next one
                socket.send_fds(sock, [READY], [theirs])
                return pid
        return None

    def _make_ready(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            pid = self._fork(lambda: _waiting(theirs, self._terms), ours.fileno())
        if pid is None:
            ours.close()
            self._scarce = True
        else:
            self._waiting[pid] = ours

    def _fork(self, life: Callable[[], NoReturn], not_its: int) -> int | None:
        """A child with this life, and without what is the server's; None where no process is to be had."""
        try:
            pid = os.fork()
        except OSError:
            return None
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            pipes = (pipe for _, pipe in self._jobs.values())
            for handle in (self._control.detach(), self._woken, self._waker, not_its, *pipes, *(s.detach() for s in self._waiting.values())):
                os.close(handle)
            life()
        return pid

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._buried(*ended)

    def _buried(self, pid: int, status: int) -> None:
        job = next((job for job, (its, _) in self._jobs.items() if its == pid), None)
        if job is not None:
            _, pipe = self._jobs.pop(job)
            with contextlib.suppress(BrokenPipeError):
                os.write(pipe, ENDED.pack(status))
            os.close(pipe)
            self._scarce = False
        elif pid in self._waiting:
            self._waiting.pop(pid).close()
            self._scarce = True  # one that cannot even wait: no other is made for later until a job has ended


def _child(handle: int, terms: Terms) -> NoReturn:
    """The life of a child that is made for a job."""
    try:
        _confine(terms)
        _work(handle, terms)
    except MemoryError:
        os._exit(SPENT)
    except (EOFError, OSError, KakuinError):
        os._exit(1)
    finally:
        os._exit(0)


def _waiting(handle: socket.socket, terms: Terms) -> NoReturn:
    """The life of a child that is there before its job: everything that can be done without one, then one job, like any other."""
    try:
        _confine(terms)
        rehearse(terms.again, terms.made, enough=lambda: bool(select.select([handle], [], [], 0)[0]))
        _, handles, _, _ = socket.recv_fds(handle, len(READY), 1)
        handle.close()
        if handles:
            _work(handles[0], terms)
    except MemoryError:
        os._exit(SPENT)
    except (EOFError, OSError, KakuinError):
        os._exit(1)
    finally:
        os._exit(0)


def _work(handle: int, terms: Terms) -> None:
    with socket.socket(fileno=handle) as sock:
        send(sock, _answer(sock, terms))


def _imported() -> int:
    """Bytes of addresses that this process has."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0


def _confine(terms: Terms) -> None:
    """Limits of the kernel: more memory than the imports have, processor time, files, and no gaining of rights."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # libraries in C write what they think of a file
        os.dup2(nowhere, standard)
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        _PRCTL(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _PRCTL(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    cpu = math.ceil(terms.seconds)
    for what, soft, hard in (
        (resource.RLIMIT_AS, terms.space, terms.space),
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 512, 512),
    ):
        _, most = resource.getrlimit(what)
        ceiling = hard if most == resource.RLIM_INFINITY else min(hard, most)
        resource.setrlimit(what, (min(soft, ceiling), ceiling))


def _answer(sock: socket.socket, terms: Terms) -> bytes:
    """Do the job that comes over the socket; the frame that says how it went."""
    try:
        target, args, names, files = _job(sock)
        confine(_rules(terms, files), files)
        module, _, attribute = target.partition(":")
        function = getattr(importlib.import_module(module), attribute)
        done = encode((DONE, function(*args, **{name: _proxy(sock, name) for name in names})))
        if len(done) > terms.answer_bytes:
            raise TooLarge(f"answer is over {terms.answer_bytes} bytes, got {len(done)}")
        return done
    except KakuinError as error:
        return encode((ERROR, error))
    except MemoryError:
        return encode((ERROR, TooLarge("work on this input needs more memory than is allowed")))
    except RecursionError:
        return encode((ERROR, TooLarge("input is nested too deeply")))
    except EOFError:
        raise
    except Exception as error:  # noqa: BLE001  # a fault of ours or of a library: the parent logs where, and hears nothing of the input
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
        return encode((FAILED, f"{type(error).__name__} at {where}"))


def _rules(terms: Terms, files: Sequence[object]) -> int | None:
    """Those of all children, unless files are to be added: to rules of its own, and then nobody who reads a stranger's file holds the others'."""
    if not files or terms.rules is None:
        return terms.rules
    os.close(terms.rules)
    return prepared(terms.readable)


def _job(sock: socket.socket) -> tuple[str, tuple[Any, ...], tuple[str, ...], list[tuple[int, bool]]]:
    """What to call, with what, which calls are served, and the files that came along."""
    head, handles, _, _ = socket.recv_fds(sock, LENGTH.size, MOST_FILES)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    files: list[tuple[int, bool]] = []

    def opener(index: int, writable: bool) -> BinaryIO:
        files.append((handles[index], writable))
        return os.fdopen(handles[index], "r+b" if writable else "rb")

    target, args, names = decode(_exactly(sock, length), opener)
    return target, args, names, files


_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ssl", "/etc/fonts", "/etc/localtime", "/etc/mime.types", "/etc/ld.so.cache", os.devnull, "/dev/urandom")


def _readable() -> tuple[Path, ...]:
    """Where code and its data lie. Not the whole of sys.path: an instance may lie beside the code."""
    prefixes = tuple(Path(name) for name in sorted({*_SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix}))
    places: set[Path] = set()
    for name, module in list(sys.modules.items()):
        if "." not in name:
            file = getattr(module, "__file__", None)
            places.update(Path(place) for place in (*getattr(module, "__path__", ()), *([file] if file else ())))
    return prefixes + tuple(sorted(place for place in places if not any(place.is_relative_to(prefix) for prefix in prefixes)))


def _proxy(sock: socket.socket, name: str) -> Callable[..., Any]:
    """A function of the parent's, called over the socket."""

    def call(*args: Any) -> Any:
        send(sock, encode((CALL, name, args)))
        kind, value = decode(receive(sock, sys.maxsize))
        if kind == ERROR:
            raise value
        return value

    call.__name__ = name
    return call


def code_places() -> tuple[Path, ...]:
    """What a confined process may read besides its input: code and its data."""
    return _readable()
