"""What is counted while the service runs, in memory that its worker processes share.

Each process writes a row of its own, so that no lock is shared and none waits; who reads adds the rows up, and any worker answers for all of them.
What is counted is known when the service starts: a label never has a value that a client chose.
"""

import bisect
import itertools
import mmap
import os
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

OTHER = "other"
"""Takes the place of a value that a label has not."""

CELLS = 4096
"""Of one process, where several share: five times what a service with one unit counts."""

Labels = tuple[tuple[str, tuple[str, ...]], ...]
"""Each label's name and the values that it can have."""


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that is counted."""

    name: str
    """As Prometheus has it, without `_total`."""
    help: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, the unbounded one left out. Empty: a counter, or a gauge."""
    gauge: bool = False
    """It goes down as well; over several processes it is added up."""

    @property
    def cells(self) -> int:
        """A histogram has its buckets, then the sum of what was observed."""
        return len(self.bounds) + 2 if self.bounds else 1

    @property
    def combinations(self) -> Iterator[tuple[str, ...]]:
        return itertools.product(*(values for _, values in self.labels))


@dataclass(frozen=True, slots=True)
class Reading:
    """A series at one combination of its labels, over all processes."""

    series: Series
    values: tuple[str, ...]
    cells: tuple[float, ...]


class Tally:
    """Thread-safe where it does not say otherwise. Costs: 0.1 µs for what is counted without a lock."""

    def __init__(self, series: Sequence[Series], *, rows: int = 1, row: int = 0, handle: int | None = None) -> None:
        """`rows`: of so many processes this one writes number `row`. `handle`: of memory that `shared` made for them; without it, or where it is too
        small for this catalogue, what is counted is this process's alone."""
        self._at: dict[tuple[str, ...], int] = {}
        self._series = {each.name: each for each in series}
        end = 1
        for each in series:
            for values in each.combinations:
                self._at[each.name, *values] = end
                end += each.cells
        alone = handle is None or end > CELLS
        self._rows = 1 if alone else rows
        self._width = end if alone else CELLS
        memory = mmap.mmap(-1, 8 * end) if handle is None or alone else mmap.mmap(handle, 8 * CELLS * rows)
        self._all = memoryview(memory).cast("d")
        first = 0 if alone else CELLS * row
        self._mine = self._all[first : first + self._width]
        self._lock = threading.Lock()
        self._begin(_mark(series))

    def _begin(self, mark: float) -> None:
        """Who had the row before has died: what he counted stays, what he had is gone. Under another catalogue nothing of it means anything."""
        if self._mine[0] != mark:
            for cell in range(self._width):
                self._mine[cell] = 0.0
            self._mine[0] = mark
        for each in self._series.values():
            for values in each.combinations if each.gauge else ():
                self._mine[self._at[each.name, *values]] = 0.0

    def cell(self, name: str, *values: str) -> int:
        """Where it is counted. A value that is not foreseen counts as `OTHER` where there is that; else KeyError."""
        known = self._series[name].labels
        chosen = (value if value in there else OTHER for value, (_, there) in zip(values, known, strict=True))
        return self._at[name, *chosen]

    def count(self, name: str, *values: str, by: float = 1.0) -> None:
        at = self.cell(name, *values)
        with self._lock:
            self._mine[at] += by

    def set(self, name: str, *values: str, to: float) -> None:
        """Of a gauge: what this process has of it."""
        self._mine[self.cell(name, *values)] = to

    def observe(self, name: str, *values: str, seen: float) -> None:
        """In a histogram."""
        with self._lock:
            self.meter(name, *values)(seen)

    def gauge(self, name: str, *values: str) -> Callable[[float], None]:
        """Sets a gauge, to what this process has of it."""
        mine, at = self._mine, self.cell(name, *values)

        def tell(now: float) -> None:
            mine[at] = now

        return tell

    def counter(self, name: str, *values: str) -> Callable[[], None]:
        """Counts one. For one thread, and nobody else may count there."""
        mine, at = self._mine, self.cell(name, *values)

        def count() -> None:
            mine[at] += 1.0

        return count

    def meter(self, name: str, *values: str) -> Callable[[float], None]:
        """Observes. For one thread, and nobody else may observe there."""
        mine, first = self._mine, self.cell(name, *values)
        bounds, find = self._series[name].bounds, bisect.bisect_left
        total = first + len(bounds) + 1

        def observe(seen: float) -> None:
            mine[first + find(bounds, seen)] += 1.0
            mine[total] += seen

        return observe

    def readings(self) -> Iterator[Reading]:
        """Everything, over all processes."""
        cells = self._all.tolist()
        rows = [at for at in range(0, self._width * self._rows, self._width) if cells[at] == self._mine[0]]
        for each in self._series.values():
            for values in each.combinations:
                first = self._at[each.name, *values]
                yield Reading(each, values, tuple(sum(cells[row + first + number] for row in rows) for number in range(each.cells)))


def shared(rows: int) -> int | None:
    """Memory for so many processes, as a file descriptor, which forks inherit; None where this system has none."""
    if not hasattr(os, "memfd_create"):
        return None
    handle = os.memfd_create("kakuin-tally")
    os.ftruncate(handle, 8 * CELLS * rows)
    return handle


def _mark(series: Sequence[Series]) -> float:
    """Of a catalogue: processes with the same one have the same cells. Never 0."""
    return float(1 + zlib.crc32(repr(series).encode()))
