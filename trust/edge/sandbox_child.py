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
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from trust.edge.landlock import confine
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


def main(control_fd: int, memory_bytes: int, seconds: float, answer_bytes: int, preload: list[str]) -> None:
    """Import, then fork a child for each job until the parent is gone."""
    for name in preload:
        importlib.import_module(name)
    readable = _readable()
    gc.collect()
    gc.freeze()  # what is imported stays in pages that the children share
    control = socket.socket(fileno=control_fd)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(woken, False)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # an end is the parent's business, which first answers what is in flight, and then hangs up
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    running: dict[int, tuple[int, int]] = {}  # job -> pid, pipe
    sources: list[Any] = [control, woken]
    with contextlib.suppress(BrokenPipeError):  # a parent that ended while this began: the loop finds nobody there, and ends too
        control.sendall(READY)
    while True:
        ready, _, _ = select.select(sources, [], [])
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 512)
            _reap(running)
        if control not in ready:
            continue
        message, handles, _, _ = socket.recv_fds(control, CONTROL.size, 2)
        if len(message) < CONTROL.size:
            for pid, _ in running.values():
                os.kill(pid, signal.SIGKILL)
            return
        order, job = CONTROL.unpack(message)
        if order == KILL:
            if job in running:  # not reaped yet, so the number is still this child's
                os.kill(running[job][0], signal.SIGKILL)
            continue
        theirs, ended = handles
        try:
            pid = os.fork()
        except OSError:
            os.write(ended, ENDED.pack(NOT_STARTED))
            os.close(theirs)
            os.close(ended)
            continue
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for handle in (control.detach(), woken, waker, ended, *(pipe for _, pipe in running.values())):
                os.close(handle)
            _child(theirs, memory_bytes, seconds, answer_bytes, readable)
        os.close(theirs)
        running[job] = (pid, ended)


def _reap(running: dict[int, tuple[int, int]]) -> None:
    for job, (pid, pipe) in list(running.items()):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            with contextlib.suppress(BrokenPipeError):
                os.write(pipe, ENDED.pack(status))
            os.close(pipe)
            del running[job]


def _child(handle: int, memory_bytes: int, seconds: float, answer_bytes: int, readable: Sequence[Path]) -> NoReturn:
    try:
        _confine(memory_bytes, seconds)
        with socket.socket(fileno=handle) as sock:
            send(sock, _answer(sock, answer_bytes, readable))
    except MemoryError:
        os._exit(SPENT)
    except (EOFError, OSError, KakuinError):
        os._exit(1)
    finally:
        os._exit(0)


def _confine(memory_bytes: int, seconds: float) -> None:
    """Limits of the kernel: more memory than the imports have, processor time, files, and no gaining of rights."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # libraries in C write what they think of a file
        os.dup2(nowhere, standard)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    statm = Path("/proc/self/statm")
    imported = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
    cpu = math.ceil(seconds)
    for what, soft, hard in (
        (resource.RLIMIT_AS, imported + memory_bytes, imported + memory_bytes),
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 512, 512),
    ):
        _, most = resource.getrlimit(what)
        ceiling = hard if most == resource.RLIM_INFINITY else min(hard, most)
        resource.setrlimit(what, (min(soft, ceiling), ceiling))


def _answer(sock: socket.socket, answer_bytes: int, readable: Sequence[Path]) -> bytes:
    """Do the job that comes over the socket; the frame that says how it went."""
    try:
        target, args, names, files = _job(sock)
        confine(readable, files)
        module, _, attribute = target.partition(":")
        function = getattr(importlib.import_module(module), attribute)
        done = encode((DONE, function(*args, **{name: _proxy(sock, name) for name in names})))
        if len(done) > answer_bytes:
            raise TooLarge(f"answer is over {answer_bytes} bytes, got {len(done)}")
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
