"""Work on strangers' files, in a process that has nothing to lose.

One small server process has imported what the work needs; each job is a fork of it, with limits on memory, processor time and wall-clock time, a
bare environment and no key. A service has some of them made before their jobs come. Each does one job and ends: nothing of one document is there when
another one is read, whoever sent the two. Where the kernel has Landlock it opens no file but code and what came with the job, reaches
no network, and cannot look into another process. What it needs of the parent (a signature, a stamp, a status) it asks for over a socket. Its answer
is treated as a stranger's: see trust.edge.wire.
"""

import contextlib
import itertools
import json
import logging
import os
import select
import signal
import socket
import subprocess  # our own interpreter, no shell
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from trust.edge.sandbox_child import (
    CALL,
    CONTROL,
    DONE,
    ENDED,
    ERROR,
    FAILED,
    KILL,
    LENGTH,
    MOST_FILES,
    NOT_STARTED,
    READY,
    SPENT,
    START,
    receive,
    send,
)
from trust.edge.wire import Luggage, decode, encode
from trust.errors import KakuinError, Malformed, Misconfigured, TooLarge, Unavailable
from trust.model import Cert, Crl

T = TypeVar("T")
_LOG = logging.getLogger("kakuin.sandbox")

_BOOT = "import json, sys; p = json.loads(sys.argv[1]); sys.path[:] = p.pop('path'); from trust.edge.sandbox_child import main; main(**p)"
_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent"}
"""All that the other side gets to see of the environment."""

_START_SECONDS = 60.0
"""For the imports. They take one or two seconds; a machine that needs more than a minute is out of order."""
_PATIENCE = 4
"""Times the processor time, by the wall clock: a loaded machine is no fault of the document."""
_MOST_CALLS = 1000
"""Calls of one job to its parent. A seal with all its long-term data needs about ten."""
_MOST_KNOWN = 40_000
"""Bytes of certificates and lists: some forty. An argument has 128 KiB, and hexadecimal takes two for each."""
_END_SECONDS = 5.0
"""From the end of a child's socket to word of how it ended."""


class Sandbox:
    """Runs functions in confined processes; thread-safe. `with Sandbox(...)`, or close() at the end."""

    def __init__(
        self,
        preload: Sequence[str],
        *,
        memory_bytes: int = 1 << 30,
        seconds: float = 30.0,
        jobs: int | None = None,
        answer_bytes: int = 64 << 20,
        waiting: int = 0,
        rehearsal: Sequence[str] = (),
        again: Sequence[str] = (),
        known: Callable[[], Sequence[Cert | Crl]] = tuple,
    ) -> None:
        """`preload`: modules that jobs need. Limits of one job: `memory_bytes` beyond the imports; `seconds` of processor time and four times that
        by the wall clock, not counting what its calls take in the parent; `answer_bytes` of what it says. `jobs` run at once (one for each
        processor).

        Once started by start(), `waiting` children are made before there are jobs, and others in their place. `rehearsal`: functions that do our own
        work on our own examples, each with what the one before made, so that jobs find everything read and remembered that does not come with them;
        `again`: what each waiting child does of it, with what the last of them made, until its job comes. The first of them is given what is `known`.
        """
        self._preload = list(preload)
        self._memory_bytes = memory_bytes
        self._seconds = seconds
        self._answer_bytes = answer_bytes
        self._ahead: dict[str, Any] = {"waiting": waiting, "rehearsal": list(rehearsal), "again": list(again)}
        self._known = known
        self._serves = False
        self._slots = threading.BoundedSemaphore(jobs or os.cpu_count() or 1)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._job = 0

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server process now, for a service: the first job need not wait for its imports, and small ones not for a process. Misconfigured
        when it does not come up."""
        with self._lock:
            self._serves = True
            self._running()

    def close(self) -> None:
        """End the server process and with it every job."""
        with self._lock:
            if self._control is not None:
                self._control.close()
            if self._process is not None:
                try:
                    self._process.wait(_END_SECONDS)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            self._control = self._process = None

    @overload
    def run(self, target: str, *args: Any, calls: Mapping[str, Callable[..., Any]] | None = None) -> Any: ...
    @overload
    def run(self, target: str, *args: Any, calls: Mapping[str, Callable[..., Any]] | None = None, returns: type[T]) -> T: ...
    def run(self, target: str, *args: Any, calls: Mapping[str, Callable[..., Any]] | None = None, returns: type[Any] = object) -> Any:
        """`module:function` called with `args`, and with each of `calls` as a keyword argument; what it returns.

        Arguments and results are plain values, our dataclasses, enumerations, certificates, CRLs, OCSP answers and paths. Open binary files and
        documents cross as arguments; documents come back without their content. `returns` is the type that is asked for: the child may be in a
        stranger's hands, so the fields of what it returns deserve no more trust than the file it read.

        A KakuinError of the child or of a call is raised here. TooLarge: a limit was met. Malformed: the input crashed its reader. Unavailable: no
        process or no free place to be had. KakuinError: a fault of ours, logged with its place.
        """
        luggage = Luggage()
        try:
            job = encode((target, args, tuple(calls or {})), luggage)
            if len(luggage.files) > MOST_FILES:
                raise TooLarge(f"a job takes at most {MOST_FILES} files, got {len(luggage.files)}")
            if not self._slots.acquire(timeout=self._seconds):
                raise Unavailable("all places for reading documents are taken, try again later")
            try:
                value = self._ask(job, luggage, calls or {})
            finally:
                self._slots.release()
        finally:
            for stream in luggage.opened:
                stream.close()
        if not isinstance(value, returns):
            raise Malformed(f"confined process answered with a {type(value).__name__}, expected a {returns.__name__}")
        return value

    def _ask(self, job: bytes, luggage: Luggage, calls: Mapping[str, Callable[..., Any]]) -> Any:
        with self._started() as (sock, ended, kill):
            try:
                return _Exchange(sock, self._seconds * _PATIENCE, self._answer_bytes).answer(job, luggage, calls)
            except EOFError:
                raise _obituary(ended, self._seconds) from None
            except TimeoutError:
                raise TooLarge(f"work on this input took over {self._seconds * _PATIENCE:g} seconds") from None
            finally:
                kill()  # nothing happens when it has ended by itself

    def _running(self) -> socket.socket:
        """The control socket of a live server; the lock is held."""
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        if self._control is not None:
            self._control.close()
        ours, theirs = socket.socketpair()
        options = {
            "path": sys.path,
            "control_fd": theirs.fileno(),
            "memory_bytes": self._memory_bytes,
            "seconds": self._seconds,
            "answer_bytes": self._answer_bytes,
            "preload": self._preload,
            **({**self._ahead, "known": encode(_few(self._known())).hex()} if self._serves else {}),
        }
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-c", _BOOT, json.dumps(options)],
                pass_fds=[theirs.fileno()],
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        ours.settimeout(_START_SECONDS)
        try:
            ready = ours.recv(1)
        except TimeoutError:
            ready = b""
        except BaseException:  # Ctrl-C: nobody would hear of this socket any more, and the other side wait for its end
            ours.close()
            self._process.kill()
            self._process.wait()
            self._process = None
            raise
        if ready != READY:
            ours.close()
            self._process.kill()
            self._process.wait()
            self._process = None
            raise Misconfigured(f"the process for reading documents did not start (it imports {', '.join(self._preload) or 'nothing'})")
        ours.settimeout(None)
        self._control = ours
        return ours

    @contextlib.contextmanager
    def _started(self) -> Iterator[tuple[socket.socket, int, Callable[[], None]]]:
        """A child: the socket to it, the pipe that will tell how it ended, and how to kill it."""
        ours, theirs = socket.socketpair()
        ended, end = os.pipe()
        try:
            with self._lock:
                self._job += 1
                job = self._job
                try:
                    socket.send_fds(self._running(), [CONTROL.pack(START, job)], [theirs.fileno(), end])
                except OSError as error:
                    raise Unavailable("the process for reading documents is gone, try again") from error
            theirs.close()
            os.close(end)
            end = -1
            yield ours, ended, lambda: self._kill(job)
        finally:
            ours.close()
            theirs.close()
            os.close(ended)
            if end >= 0:
                os.close(end)

    def _kill(self, job: int) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._control is not None:
                self._control.sendall(CONTROL.pack(KILL, job))


class _Exchange:
    """The talk with one child. Time runs while it works, not while it waits for us."""

    def __init__(self, sock: socket.socket, seconds: float, answer_bytes: int) -> None:
        self._sock = sock
        self._left = seconds
        self._answer_bytes = answer_bytes

    def answer(self, job: bytes, luggage: Luggage, calls: Mapping[str, Callable[..., Any]]) -> Any:
        """What the function returned. EOFError: the child is gone. TimeoutError: its time is up."""
        with self._timed():
            socket.send_fds(self._sock, [LENGTH.pack(len(job))], [f.fileno() for f in luggage.files])
            self._sock.sendall(job)
        for _ in range(_MOST_CALLS):
            with self._timed():
                message = decode(receive(self._sock, self._answer_bytes))
            match message:
                case (str(kind), value) if kind == DONE:
                    return value
                case (str(kind), KakuinError() as error) if kind == ERROR:
                    raise error
                case (str(kind), str(where)) if kind == FAILED:
                    _LOG.error("a confined process failed: %s", where[:500])
                    raise KakuinError("reading this input failed in a way that was not foreseen; the log says where")
                case (str(kind), str(name), tuple(values)) if kind == CALL and name in calls:
                    self._reply(calls[name], values)
                case _:
                    raise Malformed("confined process answered nothing that is understood")
        raise TooLarge(f"confined process made over {_MOST_CALLS} calls")

    def _reply(self, function: Callable[..., Any], values: tuple[Any, ...]) -> None:
        try:
            reply = encode((DONE, function(*values)))
        except KakuinError as error:  # the child may want to go on without; what else is raised here is a fault of the parent's and ends the job
            reply = encode((ERROR, error))
        with self._timed():
            send(self._sock, reply)

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        begun = time.monotonic()
        self._sock.settimeout(max(self._left, 0.001))
        try:
            yield
        except (BrokenPipeError, ConnectionResetError) as error:
            raise EOFError from error
        finally:
            self._left -= time.monotonic() - begun


def _few(known: Sequence[Cert | Crl]) -> tuple[Cert | Crl, ...]:
    """As many as fit into an argument of a program; the smaller ones, a list of thousands not being read any faster for being known."""
    smallest = sorted(known, key=lambda one: len(one.der))
    sizes = itertools.accumulate(len(one.der) for one in smallest)
    return tuple(one for one, size in zip(smallest, sizes, strict=True) if size <= _MOST_KNOWN)


def _obituary(ended: int, seconds: float) -> KakuinError:
    """Why a child went without an answer."""
    ready, _, _ = select.select([ended], [], [], _END_SECONDS)
    told = os.read(ended, ENDED.size) if ready else b""
    if len(told) < ENDED.size:
        return Unavailable("the process for reading documents is gone, try again")
    (status,) = ENDED.unpack(told)
    if status == NOT_STARTED:
        return Unavailable("no process to be had for reading documents, try again later")
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == SPENT:
        return TooLarge("work on this input needs more memory than is allowed")
    if not os.WIFSIGNALED(status):
        return Malformed("this input made its reader end without an answer")
    killer = os.WTERMSIG(status)
    if killer == signal.SIGXCPU:
        return TooLarge(f"work on this input took over {seconds:g} seconds of processor time")
    if killer == signal.SIGKILL:
        return Unavailable("the process for reading documents was ended by this machine, which may be short of memory")
    return Malformed(f"this input made its reader crash ({signal.Signals(killer).name})")
