"""NTP servers, asked directly: a quorum of them judges this machine's clock."""

import queue
import secrets
import socket
import threading
from collections.abc import Callable, Sequence

from trust.codecs import ntp
from trust.edge.clock.kernel import sample
from trust.errors import KakuinError, Malformed, Misconfigured, Unavailable
from trust.timekeeping import SECOND, Leap, Observation, Said, Sample, Silence, moved

PORT = 123
TIMEOUT = 1.0
"""Seconds for one packet there and back; EN 319 421's second would be gone anyway."""
TRIES = 2
PATIENCE = 4.0
"""Seconds for all servers together: names that nobody resolves must not hold up the poll."""
RETRY_NS = 16 * SECOND
"""After a server that did not answer."""
BANNED_NS = 86_400 * SECOND
"""After a server that asked not to be asked (kiss codes DENY and RSTR)."""

_LEAPS = {1: Leap.INSERT, 2: Leap.DELETE}


def address(server: str) -> tuple[str, int]:
    """host, host:port or [IPv6 address]:port. Misconfigured."""
    host, colon, port = server.rpartition(":") if server.count(":") == 1 or "]:" in server else (server, "", "")
    if colon and not (port.isdigit() and 0 < int(port) < 65_536):
        raise Misconfigured("clock.ntp_servers: a port is a number from 1 to 65535")
    return (host if colon else server).strip("[]"), int(port) if colon else PORT


def ask(server: str, samples: Callable[[], Sample] = sample, timeout: float = TIMEOUT) -> Observation:
    """One measurement. What is no answer to this question is waited past: whoever forges packets must not be able to silence a server.

    KissOfDeath and Unacceptable from the server itself; Unavailable when it does not answer in time.
    """
    name, port = address(server)
    with _connected(name, port) as connection:
        odd = 0
        cookie = secrets.randbits(64) or 1
        asked = samples()
        connection.send(ntp.question(cookie))
        while True:
            left = timeout - (samples().boot_ns - asked.boot_ns) / SECOND
            if left <= 0:
                break
            connection.settimeout(left)
            try:
                packet = connection.recv(ntp.SIZE + 1)
            except OSError:
                break
            got = samples()
            try:
                found = ntp.answer(packet, cookie, asked.wall_ns)
                offset, bound = ntp.measured(found, asked.wall_ns, got.raw_ns - asked.raw_ns + got.spread_ns)
            except Malformed:
                odd += 1
                continue
            if moved(asked, got, None, SECOND // 1000)[0]:
                raise Unavailable("the clock was set while the server was asked")
            facts = {"stratum": found.stratum, "delay_us": (got.raw_ns - asked.raw_ns) // 1000, "root_distance_us": found.root_distance_ns // 1000}
            return Observation(f"ntp {server}", "ntp", offset, bound, asked, mark=asked.boot_ns, leap=_LEAPS.get(found.leap), facts=facts)
    raise Unavailable(f"no answer but {odd} packets that are none" if odd else "no answer")


def _connected(name: str, port: int) -> socket.socket:
    """A socket that takes packets of this server alone."""
    try:
        places = socket.getaddrinfo(name, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise Unavailable("its name is not known") from None
    for family, kind, protocol, _, place in places:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.connect(place)
        except OSError:
            connection.close()
        else:
            return connection
    raise Unavailable("there is no way to it")


class NtpServers:
    """All of them as a source: each is asked in its own time, its last answer is repeated in between."""

    def __init__(
        self,
        servers: Sequence[str],
        every_ns: int,
        *,
        samples: Callable[[], Sample] = sample,
        question: Callable[[str, Callable[[], Sample]], Observation] = ask,
    ) -> None:
        for server in servers:
            address(server)
        self._every_ns = dict.fromkeys(servers, every_ns)
        self._seldom_ns = 2 * every_ns
        self._next_ns = dict.fromkeys(servers, 0)
        self._last: dict[str, Said] = {}
        self._banned: set[str] = set()
        self._sample = samples
        self._ask = question

    def __call__(self, anew: bool) -> tuple[Said, ...]:
        now = self._sample().boot_ns
        due = [server for server, when in self._next_ns.items() if now >= when or (anew and server not in self._banned)]
        answers: queue.SimpleQueue[tuple[str, Said, int]] = queue.SimpleQueue()
        for server in due:
            self._last[server] = Silence(f"ntp {server}", "ntp", "no answer")
            self._next_ns[server] = now + RETRY_NS
            threading.Thread(target=self._one, args=(server, answers), name="ntp", daemon=True).start()
        for _ in due:
            try:
                server, said, later = answers.get(timeout=max(0.0, PATIENCE - (self._sample().boot_ns - now) / SECOND))
            except queue.Empty:
                break  # those that are missing stay silent
            self._last[server], self._next_ns[server] = said, now + later
        return tuple(self._last.values())

    def _one(self, server: str, answers: "queue.SimpleQueue[tuple[str, Said, int]]") -> None:
        """In its own thread."""
        why = "no answer"
        for _ in range(TRIES):
            try:
                said = self._ask(server, self._sample)
            except ntp.KissOfDeath as kiss:
                answers.put((server, Silence(f"ntp {server}", "ntp", str(kiss)), self._kissed(server, kiss.code)))
                return
            except (KakuinError, OSError) as error:
                why = str(error) if isinstance(error, KakuinError) else "no answer"
            else:
                self._banned.discard(server)
                self._every_ns[server] = min(self._every_ns[server], self._seldom_ns)  # asked more seldom, it would be too old in between
                answers.put((server, said, self._every_ns[server]))
                return
        answers.put((server, Silence(f"ntp {server}", "ntp", why), min(RETRY_NS, self._every_ns[server])))

    def _kissed(self, server: str, code: str) -> int:
        """RFC 5905 section 7.4: RATE asks for a longer interval, DENY and RSTR for silence. A kiss carries no time. When to ask again."""
        self._banned.add(server)
        if code in ("DENY", "RSTR"):
            return BANNED_NS
        self._every_ns[server] = min(2 * self._every_ns[server], BANNED_NS)
        return self._every_ns[server]
