"""What the kernel says of its own clock."""

import ctypes
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from trust.errors import Unavailable
from trust.ports import Clock


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What the kernel says of its own clock (adjtimex(2))."""

    synchronised: bool
    max_error_us: int
    """Microseconds: the bound that the time daemon keeps; it grows by itself without one."""


_STA_UNSYNC = 0x40
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """struct timex of Linux on 64-bit machines; the tail only keeps room for what the kernel writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("tail", ctypes.c_long * 32),
    )


@functools.cache
def _adjtimex() -> "Callable[[object], int] | None":
    return getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None) if os.name == "posix" else None


def kernel_clock() -> KernelClock | None:
    """The kernel's own account of its clock; None where there is no adjtimex."""
    adjtimex = _adjtimex()
    if adjtimex is None:
        return None
    timex = _Timex()  # modes 0: only read
    state = adjtimex(ctypes.byref(timex))
    if state < 0:
        return None
    return KernelClock(state != _TIME_ERROR and not timex.status & _STA_UNSYNC, int(timex.maxerror))


def synchronised(accuracy_us: int) -> Clock:
    """The kernel's clock as long as the kernel vouches for it. Unavailable when it is not synchronised, or its error may exceed `accuracy_us`.

    EN 319 421 TIS-7.7.1-07: out of accuracy, nothing is issued.
    """

    def read() -> datetime:
        state = kernel_clock()
        if state is None or not state.synchronised:
            raise Unavailable("this machine's clock is not synchronised")
        if state.max_error_us > accuracy_us:
            raise Unavailable(f"this machine's clock may be wrong by {state.max_error_us} microseconds, and {accuracy_us} are stated")
        return datetime.now(UTC)

    return read
