"""chronyd as a source: asked over its command port (which tells how good the clock is) or its socket (which also tells of NTS)."""

import contextlib
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from trust.codecs import chrony
from trust.codecs.chrony import Tracking
from trust.edge.clock.kernel import sample
from trust.edge.clock.ntp import address
from trust.errors import KakuinError, Unavailable
from trust.timekeeping import Fact, Leap, Observation, Said, Sample, Silence, State

TIMEOUT = 1.0
"""Seconds. It is on this machine."""
_LEAPS = {1: Leap.INSERT, 2: Leap.DELETE}
_UNSYNCHRONISED = 3
_OWN_CLOCK = 0x7F7F0101
"""chrony.conf(5), local: chronyd follows nobody, and says that all is well."""
_MOST_SOURCES = 64


class Chrony:
    """One chronyd (trust.edge.clock.keeper.Source)."""

    def __init__(self, place: str, *, nts_required: bool = False, samples: Callable[[], Sample] = sample) -> None:
        """`place` is host:port or the path of a socket."""
        self._place = place
        self._nts_required = nts_required
        self._sample = samples

    def __call__(self, _anew: object = None) -> tuple[Said, ...]:
        try:
            with _connected(self._place) as connection:
                told, taken = self._tracking(connection), self._sample()
                nts = self._nts(connection) if self._place.startswith("/") else None
        except (KakuinError, OSError) as error:
            return (Silence("chrony", "chrony", str(error) if isinstance(error, KakuinError) else "chronyd does not answer"),)
        if told.leap == _UNSYNCHRONISED or told.reference in (0, _OWN_CLOCK):
            why = "chronyd follows its own clock" if told.reference == _OWN_CLOCK else "chronyd is not synchronised"
            return (Silence("chrony", "chrony", why, State.UNSYNCHRONISED),)
        if self._nts_required and not nts:
            return (Silence("chrony", "chrony", "chronyd's source is not authenticated by NTS, and that is required", State.UNSYNCHRONISED),)
        facts: dict[str, Fact] = {
            "reference": f"{told.reference:08X}",
            "stratum": told.stratum,
            "updated_us": told.updated_ns // 1000,
            "root_delay_us": told.root_delay_ns // 1000,
            "root_dispersion_us": told.root_dispersion_ns // 1000,
            "nts": nts,
        }
        leap = _LEAPS.get(told.leap)
        return (Observation("chrony", "chrony", told.correction_ns, told.bound_ns, taken, told.updated_ns, leap, facts),)

    def _tracking(self, connection: socket.socket) -> Tracking:
        number = secrets.randbits(32)
        return chrony.tracking(_exchange(connection, chrony.question(chrony.TRACKING, number)), number)

    def _nts(self, connection: socket.socket) -> bool:
        """Whether the source that chronyd follows is authenticated by NTS."""
        number = secrets.randbits(32)
        count = chrony.source_count(_exchange(connection, chrony.question(chrony.SOURCE_COUNT, number)), number)
        for index in range(min(count, _MOST_SOURCES)):
            source = chrony.selected(_exchange(connection, chrony.source_question(index, number)), number)
            if source is not None:
                return chrony.by_nts(_exchange(connection, chrony.authentication_question(source, number)), number)
        return False


def _exchange(connection: socket.socket, question: bytes) -> bytes:
    connection.send(question)
    return connection.recv(chrony.LARGEST)


@contextlib.contextmanager
def _connected(place: str) -> Iterator[socket.socket]:
    if not place.startswith("/"):
        name, port = address(place)
        with socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect((name, port))
            yield connection
        return
    own = Path(place).parent / f"kakuin.{os.getpid()}.{secrets.token_hex(4)}.sock"  # chronyd answers to a name that it can reach
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.settimeout(TIMEOUT)
        try:
            connection.bind(str(own))
            own.chmod(0o666)
            connection.connect(place)
            yield connection
        except PermissionError:
            raise Unavailable("chronyd's socket is not open to this user") from None
        finally:
            with contextlib.suppress(OSError):  # it was not made, where the folder is closed
                own.unlink()
