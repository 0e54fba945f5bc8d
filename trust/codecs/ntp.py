"""NTP version 4, the client's side of it (RFC 5905): one question of 48 octets, one answer judged strictly.

The question says nothing of the asker: its transmit timestamp is random, so that who cannot see the question cannot forge the answer, and so that
the server learns no clock (RFC 9109 and the data minimisation that chrony practises).
"""

from dataclasses import dataclass
from struct import Struct

from trust.errors import Malformed, Unacceptable

SIZE = 48
MAX_STRATUM = 15
MAX_DISTANCE_NS = 1_500_000_000
"""RFC 5905 section 12, MAXDIST with what PHI adds: a server that may itself be wrong by more is not synchronised in earnest."""

KISSES = {b"DENY", b"RSTR", b"RATE"}
"""RFC 5905 section 7.4: codes that ask for something. The others, such as INIT, say that there is no time: so does chronyd, without a code, until it
has synchronised."""

_PACKET = Struct("!BBbbII4sQQQQ")
_MODE_CLIENT, _MODE_SERVER = 3, 4
_VERSION = 4
_UNSYNCHRONISED = 3
_ERA_SECONDS = 1 << 32
_TO_1970 = 2_208_988_800
"""Seconds from 1900, where NTP's era 0 begins, to 1970."""


class KissOfDeath(Unacceptable):
    """RFC 5905 section 7.4: the server asks to be asked less, or not at all."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the server refuses to answer ({code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, checked."""

    leap: int
    """0 none, 1 the month's last minute has 61 seconds, 2 it has 59."""
    stratum: int
    reference: bytes
    root_delay_ns: int
    root_dispersion_ns: int
    received_ns: int
    """By the server's clock, since 1970 UTC."""
    sent_ns: int

    @property
    def root_distance_ns(self) -> int:
        """The most by which the server itself is wrong (RFC 5905 section 11.1, without what this way of asking adds)."""
        return self.root_delay_ns // 2 + self.root_dispersion_ns


def question(cookie: int) -> bytes:
    """A client's packet; `cookie` is 64 random bits, not 0."""
    return _PACKET.pack(_VERSION << 3 | _MODE_CLIENT, 0, 0, 0x20, 0, 0, bytes(4), 0, 0, 0, cookie)


def answer(packet: bytes, cookie: int, near_ns: int) -> Answer:
    """A server's packet. `near_ns`, since 1970 UTC, is within 68 years of the truth and chooses the era.

    Malformed for what is no answer to this question; KissOfDeath; Unacceptable from a server that has no good time itself.
    """
    if len(packet) != SIZE:
        raise Malformed(f"an NTP answer without extensions is {SIZE} bytes, got {len(packet)}")
    head, stratum, _poll, _precision, delay, dispersion, reference, referred, origin, received, sent = _PACKET.unpack(packet)
    leap, version, mode = head >> 6, head >> 3 & 7, head & 7
    if mode != _MODE_SERVER:
        raise Malformed(f"NTP mode {_MODE_SERVER} (server) expected, got {mode}")
    if version != _VERSION:
        raise Malformed(f"NTP version {_VERSION} expected, got {version}")
    if origin != cookie:
        raise Malformed("the NTP answer is to another question: its origin timestamp is not ours")
    if stratum == 0 and reference in KISSES:
        raise KissOfDeath(reference.decode("ascii"))
    if leap == _UNSYNCHRONISED or not 0 < stratum <= MAX_STRATUM:
        raise Unacceptable("the server is not synchronised")
    if not received or not sent or not referred:
        raise Malformed("the NTP answer lacks a timestamp")
    found = Answer(leap, stratum, reference, _short(delay), _short(dispersion), _moment(received, near_ns), _moment(sent, near_ns))
    if found.sent_ns < found.received_ns:
        raise Malformed("the NTP answer was sent before its question was received")
    if _moment(referred, near_ns) > found.sent_ns:
        raise Malformed("the NTP server's reference lies after its answer")
    if found.root_distance_ns > MAX_DISTANCE_NS:
        raise Unacceptable(f"the server may be wrong by {found.root_distance_ns // 1_000_000} ms itself")
    return found


def measured(found: Answer, asked_ns: int, round_trip_ns: int) -> tuple[int, int]:
    """RFC 5905 section 8: UTC minus this machine's clock, and the most by which that is wrong.

    `asked_ns` is when the question left, by this machine's clock; `round_trip_ns` how long the answer took, by one that nobody sets. The path may be
    wholly one-sided, so half of what the way took counts in full.
    """
    if found.sent_ns - found.received_ns > round_trip_ns:
        raise Malformed("the NTP server had the question for longer than its answer took")
    arrived_ns = asked_ns + round_trip_ns
    offset = (found.received_ns - asked_ns + found.sent_ns - arrived_ns) // 2
    delay = round_trip_ns - (found.sent_ns - found.received_ns)
    return offset, -(-delay // 2) + found.root_distance_ns + 1


def _short(value: int) -> int:
    """RFC 5905 section 6, NTP short format: 16.16 seconds -> ns, rounded up."""
    return -(-value * 1_000_000_000 // 65_536)


def _moment(stamp: int, near_ns: int) -> int:
    """RFC 5905 section 6, NTP timestamp format: 32.32 seconds since the era's beginning -> ns since 1970, in the era nearest to `near_ns`."""
    seconds, fraction = stamp >> 32, stamp & 0xFFFFFFFF
    near = near_ns // 1_000_000_000 + _TO_1970
    seconds += (near - seconds + _ERA_SECONDS // 2) // _ERA_SECONDS * _ERA_SECONDS
    return (seconds - _TO_1970) * 1_000_000_000 + (fraction * 1_000_000_000 >> 32)
