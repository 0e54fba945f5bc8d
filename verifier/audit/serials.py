"""Serial numbers of units: what is missing, what came twice, what came late (RFC 3161 section 2.4.2: unique; here also consecutive). Pure."""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

MOST_GAPS = 50_000
"""Gaps that are remembered, of all units together; more than that is no sequence."""
MOST_UNITS = 10_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Since 1970 UTC, as the log counts."""
    return (moment - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that a unit did not use, as far as was seen."""

    unit: str
    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(slots=True)
class Sequence:
    """What was seen of one unit."""

    first: int
    last: int
    time: int
    """The latest time of its tokens: microseconds since 1970 UTC."""
    tokens: int = 0
    """Those of the period, as is whatever is told of the sequence."""
    least: int | None = None
    """The lowest number of them."""
    before: int | None = None
    """The highest number in front of the period: gaps up to it are an earlier audit's."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Ascending."""
    lost: int = 0
    """Numbers in gaps that are not remembered."""

    @property
    def missing(self) -> list[tuple[int, int]]:
        """The gaps of the period."""
        return self.gaps if self.before is None else [gap for gap in self.gaps if gap[1] > self.before]


class Serials:
    """Takes tokens in the order of their source. What it holds grows with gaps and units, never with tokens."""

    def __init__(self, *, from_one: bool, most: int = MOST_GAPS) -> None:
        """`from_one`: the source begins where units begin, so that a first number over 1 is a gap."""
        self.units: dict[str, Sequence] = {}
        self.scattered = False
        """More gaps or units than are remembered: doubles and late ones among them cannot be told apart."""
        self._from_one = from_one
        self._most = most
        self._kept = 0

    def take(self, unit: str, serial: int, time: int) -> tuple[str, ...]:
        """What is odd about this token after those before it: `serial-twice`, `serial-order`, `serial-gap`, `time-order`."""
        odd = self._placed(unit, serial, time)
        if (known := self.units.get(unit)) is not None:
            known.tokens += 1
            known.least = serial if known.least is None else min(known.least, serial)
        return odd

    def precede(self, unit: str, serial: int, time: int) -> None:
        """A token in front of the period: those of the period follow it, and nothing is told of it."""
        self._placed(unit, serial, time)
        if (known := self.units.get(unit)) is not None:
            known.before = known.last
            known.lost = 0

    def newest_gap(self, unit: str) -> tuple[int, int] | None:
        """First and last number of the gap that is furthest on."""
        known = self.units.get(unit)
        return known.gaps[-1] if known is not None and known.gaps else None

    def _placed(self, unit: str, serial: int, time: int) -> tuple[str, ...]:
        known = self.units.get(unit)
        if known is None:
            if len(self.units) >= MOST_UNITS:
                self.scattered = True
                return ()
            known = self.units[unit] = Sequence(serial, serial, time)
            if self._from_one and serial > 1:
                self._gap(known, 1, serial - 1)
                return ("serial-gap",)
            return ()
        odd: tuple[str, ...] = ()
        if serial <= known.last:
            known.time = max(known.time, time)
            return ("serial-order",) if self._came_late(known, serial) else ("serial-twice",)
        if serial > known.last + 1:
            self._gap(known, known.last + 1, serial - 1)
            odd = ("serial-gap",)
        if time < known.time:
            odd = (*odd, "time-order")
        known.last, known.time = serial, max(known.time, time)
        return odd

    def gaps(self) -> Iterator[Gap]:
        """Those that were not filled."""
        return (Gap(unit, *gap) for unit, known in self.units.items() for gap in known.missing)

    def _gap(self, known: Sequence, first: int, last: int) -> None:
        if self._kept >= self._most:
            self.scattered = True
            known.lost += last - first + 1
            return
        self._kept += 1
        known.gaps.append((first, last))

    def _came_late(self, known: Sequence, serial: int) -> bool:
        """Fill the gap in which the number lies; False where it lies in none."""
        if serial < known.first and not self._from_one:
            known.first = serial  # the source begins in the middle: nothing is known of what came before
            return True
        at = bisect.bisect_right(known.gaps, (serial, float("inf"))) - 1
        if at < 0 or known.gaps[at][1] < serial:
            return False
        first, last = known.gaps[at]
        rest = [part for part in ((first, serial - 1), (serial + 1, last)) if part[0] <= part[1]]
        known.gaps[at : at + 1] = rest
        self._kept += len(rest) - 1
        return True
