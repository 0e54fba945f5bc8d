"""What chronyd answers to those who watch it: version 6 of its command protocol, the three reports that tell of the clock.

The protocol has no other description than chrony's `candm.h`; it has been stable since chrony 2.0, and the tests ask a real chronyd.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Any

from trust.errors import Malformed, Unacceptable

LARGEST = 512
"""Octets of an answer that is taken."""
TRACKING, SOURCE_COUNT, SOURCE, AUTHENTICATION = 33, 14, 15, 67
"""Commands."""

_VERSION = 6
_REQUEST, _REPLY = 1, 2
_ASKED = Struct("!BBxxHHI8x")
_ANSWERED = Struct("!BBxxHHH6xI8x")
_TRACKING = Struct("!I16sH2xHHIII9I")
_COUNT = Struct("!I")
_SOURCE = Struct("!16sH2xhHHHHHIIII")
_AUTHENTICATION = Struct("!HHIHHIHHH2x")
_FORMATS = {TRACKING: (5, _TRACKING), SOURCE_COUNT: (2, _COUNT), SOURCE: (3, _SOURCE), AUTHENTICATION: (20, _AUTHENTICATION)}
_STATUSES = {2: "not permitted", 6: "no such source", 18: "another version of its protocol"}
_END = Struct("!i")
_SELECTED = 0
_NTS = 2


@dataclass(frozen=True, slots=True)
class Tracking:
    """`chronyc tracking`."""

    reference: int
    stratum: int
    leap: int
    """0 none, 1 insert, 2 delete, 3 not synchronised."""
    updated_ns: int
    """When it last measured, by the wall clock, since 1970."""
    correction_ns: int
    """UTC minus the system's clock, as chronyd would still slew."""
    root_delay_ns: int
    root_dispersion_ns: int

    @property
    def bound_ns(self) -> int:
        """chronyc(1), tracking: the clock's error is at most the offset, the root dispersion and half the root delay together."""
        return self.root_dispersion_ns + -(-self.root_delay_ns // 2)


def question(command: int, sequence: int, data: bytes = b"") -> bytes:
    """A request, padded to its answer's length, as chronyd demands."""
    whole = _ASKED.pack(_VERSION, _REQUEST, command, 0, sequence) + data
    return whole.ljust(_ANSWERED.size + _FORMATS[command][1].size + _END.size, b"\0")


def _data(packet: bytes, command: int, sequence: int) -> tuple[Any, ...]:
    kind, form = _FORMATS[command]
    if len(packet) < _ANSWERED.size:
        raise Malformed(f"chrony's answer has {_ANSWERED.size} bytes or more, got {len(packet)}")
    version, which, asked, reply, status, number = _ANSWERED.unpack_from(packet)
    if (version, which, asked, number) != (_VERSION, _REPLY, command, sequence):
        raise Malformed("chrony's answer is to another question")
    if status:
        raise Unacceptable(f"chrony refuses: {_STATUSES.get(status, f'status {status}')}")
    if reply != kind or len(packet) < _ANSWERED.size + form.size:
        raise Malformed("chrony's answer is no such report")
    return form.unpack_from(packet, _ANSWERED.size)


def tracking(packet: bytes, sequence: int) -> Tracking:
    """The answer to TRACKING. Malformed, Unacceptable."""
    reference, _address, _family, stratum, leap, high, low, nanos, correction, *_rest, delay, dispersion, _interval = _data(
        packet, TRACKING, sequence
    )
    updated = ((high << 32 | low) if high != 0x7FFFFFFF else low) * 1_000_000_000 + nanos
    return Tracking(reference, stratum, leap, updated, _nanoseconds(correction), _nanoseconds(delay), _nanoseconds(dispersion))


def source_count(packet: bytes, sequence: int) -> int:
    """The answer to SOURCE_COUNT."""
    return int(_data(packet, SOURCE_COUNT, sequence)[0])


def source_question(index: int, sequence: int) -> bytes:
    """Which source is number `index`?"""
    return question(SOURCE, sequence, index.to_bytes(4, "big"))


def selected(packet: bytes, sequence: int) -> bytes | None:
    """The answer to a source_question: its address (as authentication_question takes it) if chronyd follows this source."""
    address, family, _poll, _stratum, state, *_ = _data(packet, SOURCE, sequence)
    return address + family.to_bytes(2, "big") + bytes(2) if state == _SELECTED else None


def authentication_question(address: bytes, sequence: int) -> bytes:
    """How is the source at this address authenticated? chronyd answers it over its socket alone."""
    return question(AUTHENTICATION, sequence, address)


def by_nts(packet: bytes, sequence: int) -> bool:
    """The answer to an authentication_question."""
    return bool(_data(packet, AUTHENTICATION, sequence)[0] == _NTS)


def _nanoseconds(word: int) -> int:
    """candm.h, Float: seven bits of exponent and twenty-five of coefficient, both signed: coefficient * 2^(exponent - 25) seconds."""
    exponent, coefficient = word >> 25, word & 0x1FFFFFF
    exponent = exponent - 128 if exponent >= 64 else exponent
    coefficient = coefficient - (1 << 25) if coefficient >= 1 << 24 else coefficient
    return round(coefficient * 2.0 ** (exponent - 25) * 1e9)
