"""One input against one target: what escaped, and what it cost."""

import resource
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from trust.errors import Malformed, TooLarge

SECONDS = 2.0
"""Of processor time, for any one input (issue of the verifier, hostile files)."""
BYTES = 256 << 20
"""By which one input may raise the process's peak memory."""
STOP = 20.0
"""Seconds after which an input is given up."""
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finding:
    what: str
    """One line that is the same for all inputs with this fault."""
    detail: str
    data: bytes


class Overtime(BaseException):
    """Not an Exception: a reader that swallows everything must not swallow this."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Overtime


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def tried(run: Callable[[bytes], object], data: bytes, also: tuple[type[Exception], ...] = (), seconds: float = SECONDS) -> Finding | None:
    """None where the target answered or refused within its limits."""
    before = _resident()
    peak = _peak()
    previous = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, max(STOP, 2 * seconds))
    began = time.process_time()
    try:
        run(data)
    except (Malformed, TooLarge, *also):
        pass
    except Overtime:
        return Finding("overtime", f"given up after {STOP:g} s\n{traceback.format_exc()}", data)
    except Exception as error:
        return Finding(_fault(error), traceback.format_exc(), data)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
    if (took := time.process_time() - began) > seconds:
        return Finding("slow", f"{took:.1f} s of processor time for {len(data)} bytes", data)
    if (now := _peak()) > peak and now - before > BYTES:
        return Finding("memory", f"{(now - before) >> 20} MiB for {len(data)} bytes", data)
    return None


def _fault(error: BaseException) -> str:
    """The error's type and the last place in this project that it came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(str(_ROOT)) and "/.venv/" not in f.filename]
    inner = frames[-1] if frames else None
    where = f"{Path(inner.filename).relative_to(_ROOT)}:{inner.lineno} in {inner.name}" if inner else "?"
    return f"{type(error).__name__} at {where}"
