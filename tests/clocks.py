"""Clocks that are moved by hand, sources that say what they are told to, and NTP servers on the loopback interface, honest and otherwise."""

import queue
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from trust.timekeeping import SECOND, LeapMode, Observation, Rules, Said, Sample

NEVER = Sample(0, 0, 0)
START = datetime(2026, 11, 21, 9, 30, 15, tzinfo=UTC)
MS = SECOND // 1000

RULES = Rules(
    required=frozenset({"kernel"}),
    servers=0,
    quorum=1,
    accuracy_ns=SECOND,
    step_ns=10 * MS,
    leap=LeapMode.PAUSE,
    leap_window_ns=60 * SECOND,
    fresh_ns=25 * SECOND,
    fresh_ntp_ns=800 * SECOND,
)


def nanoseconds(when: datetime) -> int:
    return int(when.timestamp()) * SECOND


class Clocks:
    """The kernel's clocks (trust.timekeeping.Sample); called, they say what they show."""

    def __init__(self, when: datetime = START) -> None:
        self.shown = Sample(nanoseconds(when), 5_000 * SECOND, 4_000 * SECOND)

    def __call__(self) -> Sample:
        return self.shown

    def go(self, seconds: float) -> None:
        """Time passes."""
        ns = round(seconds * SECOND)
        now = self.shown
        self.shown = now._replace(wall_ns=now.wall_ns + ns, boot_ns=now.boot_ns + ns, raw_ns=now.raw_ns + ns)

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: its oscillator is not counted."""
        raw = self.shown.raw_ns
        self.go(seconds)
        self.shown = self.shown._replace(raw_ns=raw)

    def set_by(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.shown = self.shown._replace(wall_ns=self.shown.wall_ns + round(seconds * SECOND))

    def slew_by(self, seconds: float) -> None:
        """A daemon turns the wall clock, and the monotonic clocks with it but the raw one."""
        ns = round(seconds * SECOND)
        self.shown = self.shown._replace(wall_ns=self.shown.wall_ns + ns, boot_ns=self.shown.boot_ns + ns)


class Script:
    """A source that says what it was told to say, as of now; `asked` holds what the keeper asked it with."""

    def __init__(self, clocks: Clocks, *said: Said) -> None:
        self.clocks = clocks
        self.said: Sequence[Said] = said
        self.asked: list[bool] = []

    def __call__(self, anew: bool) -> Sequence[Said]:
        self.asked.append(anew)
        now = self.clocks()
        return tuple(replace(one, sample=now) if isinstance(one, Observation) and one.mark is None else one for one in self.said)


def seen(source: str = "kernel", kind: str = "kernel", offset: float = 0, bound: float = 1, sample: Sample = NEVER, **more: object) -> Observation:
    """An observation; offset and bound in milliseconds."""
    return Observation(source, kind, round(offset * MS), round(bound * MS), sample, **more)  # type: ignore[arg-type]


# NTP servers.

Answering = Callable[[bytes], Sequence[bytes]]
_PACKET = struct.Struct("!BBbbII4sQQQQ")
_TO_1970 = 2_208_988_800


@dataclass(frozen=True)
class Honest:
    """A server whose clock is `offset_ns` ahead of that of `clocks`; every field can be falsified."""

    clocks: Callable[[], Sample]
    offset_ns: int = 0
    leap: int = 0
    version: int = 4
    mode: int = 4
    stratum: int = 1
    reference: bytes = b"NICT"
    root_delay: int = 0
    root_dispersion: int = 0
    origin_xor: int = 0
    held_ns: int = 0
    """From receiving to sending, by its own account."""
    referred_ns: int = -SECOND

    def __call__(self, question: bytes) -> Sequence[bytes]:
        cookie = int.from_bytes(question[40:48], "big")
        received = self.clocks().wall_ns + self.offset_ns
        return (
            _PACKET.pack(
                self.leap << 6 | self.version << 3 | self.mode,
                self.stratum,
                0,
                -20,
                self.root_delay,
                self.root_dispersion,
                self.reference,
                stamp(received + self.referred_ns),
                cookie ^ self.origin_xor,
                stamp(received),
                stamp(received + self.held_ns),
            ),
        )


def stamp(wall_ns: int) -> int:
    """ns since 1970 -> NTP timestamp, rounded up so that reading it gives the same ns."""
    seconds, rest = divmod(wall_ns, SECOND)
    return ((seconds + _TO_1970) % (1 << 32)) << 32 | -(-(rest << 32) // SECOND)


def silent(_question: bytes) -> Sequence[bytes]:
    return ()


class Server:
    """Answers over UDP on the loopback interface. `answering` may be replaced while it runs; `questions` holds what came."""

    def __init__(self, answering: Answering = silent) -> None:
        self.answering = answering
        self.patience = 30.0
        """Seconds that a test waits for its answer: little where none is meant to come."""
        self.questions: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            question, peer = self._socket.recvfrom(1024)
            if not question:
                return
            self.questions.put(question)
            for packet in self.answering(question):
                self._socket.sendto(packet, peer)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()
