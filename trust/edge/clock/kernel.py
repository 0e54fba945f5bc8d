"""What the kernel says of its own clock, and the three of its clocks by which a step is seen."""

import ctypes
import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from trust.timekeeping import Leap, Observation, Said, Sample, Silence, State

_STA_PLL, _STA_PPSTIME, _STA_UNSYNC, _STA_NANO = 0x1, 0x4, 0x40, 0x2000
_TIME_INS, _TIME_DEL, _TIME_ERROR = 1, 2, 5
_TIGHT_NS = 50_000
"""Three clocks are read in a microsecond; more means that the process was interrupted in between."""
_ATTEMPTS = 4
_read, _BOOT, _WALL, _RAW = time.clock_gettime_ns, time.CLOCK_BOOTTIME, time.CLOCK_REALTIME, time.CLOCK_MONOTONIC_RAW


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What the kernel says of its own clock (adjtimex(2))."""

    synchronised: bool
    max_error_us: int
    """Microseconds: the bound that the time daemon keeps; it grows by itself without one."""
    estimated_error_us: int = 0
    leap: Leap | None = None
    """At the end of the day (UTC)."""
    tai_s: int = 0
    """Seconds from UTC to TAI; 0 where no daemon has said."""
    pending_ns: int = 0
    """What the kernel has still to turn the clock by; in no daemon's bound."""
    bounded: bool = True
    """A daemon has worked the bound out. systemd-timesyncd lets the kernel's loop keep the clock and writes that both errors are 0."""


class _Timex(ctypes.Structure):
    """struct timex of Linux on 64-bit machines."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant_precision_tolerance", ctypes.c_long * 3),
        ("time", ctypes.c_long * 2),
        ("tick", ctypes.c_long),
        ("pps", ctypes.c_long * 2),
        ("shift", ctypes.c_int),
        ("pps_counts", ctypes.c_long * 5),
        ("tai", ctypes.c_int),
        ("room", ctypes.c_int * 32),
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
    return told(timex, state)


def told(timex: _Timex, state: int) -> KernelClock:
    """What adjtimex filled in, and what it returned."""
    return KernelClock(
        state != _TIME_ERROR and not timex.status & _STA_UNSYNC,
        int(timex.maxerror),
        int(timex.esterror),
        {_TIME_INS: Leap.INSERT, _TIME_DEL: Leap.DELETE}.get(state),
        int(timex.tai),
        int(timex.offset) * (1 if timex.status & _STA_NANO else 1000),
        bool(timex.esterror or timex.status & _STA_PPSTIME or not timex.status & _STA_PLL),
    )


def sample() -> Sample:
    """The kernel's clocks, read as one: again where the process was interrupted in between, and then the tightest."""
    begun, wall, raw = _read(_BOOT), _read(_WALL), _read(_RAW)
    best = Sample(wall, begun, raw, _read(_BOOT) - begun)
    for _ in range(_ATTEMPTS):
        if best.spread_ns < _TIGHT_NS:
            break
        begun, wall, raw = _read(_BOOT), _read(_WALL), _read(_RAW)
        best = min(best, Sample(wall, begun, raw, _read(_BOOT) - begun), key=lambda taken: taken.spread_ns)
    return best


class Kernel:
    """The kernel as a source (trust.edge.clock.keeper.Source)."""

    def __init__(self, ask: Callable[[], KernelClock | None] = kernel_clock, samples: Callable[[], Sample] = sample) -> None:
        self._ask = ask
        self._sample = samples

    def __call__(self, _anew: object = None) -> tuple[Said, ...]:
        found, taken = self._ask(), self._sample()
        if found is None:
            return (Silence("kernel", "kernel", "this system's kernel does not say how good its clock is"),)
        if not found.synchronised:
            return (Silence("kernel", "kernel", "this machine's clock is not synchronised", State.UNSYNCHRONISED),)
        if not found.bounded:
            why = "what keeps this machine's clock does not work out how wrong it may be"
            return (Silence("kernel", "kernel", why, State.UNSYNCHRONISED),)
        facts = {"estimated_error_us": found.estimated_error_us, "tai_s": found.tai_s}
        if found.pending_ns:
            facts["pending_us"] = round(found.pending_ns / 1000)
        bound = found.max_error_us * 1000 + abs(found.pending_ns)
        return (Observation("kernel", "kernel", 0, bound, taken, leap=found.leap, facts=facts),)
