"""What the worker processes of one service count together, so that the operator's limits are the service's: connections, and clients' buckets.

In memory that is mapped before the workers are forked, and shared by them without a lock: whoever writes is never waited for, and one that dies
leaves nothing locked. The price is told where it is paid. What a worker has (its connections) is in a row of its own, as in `tally`; what clients
have used up is in one table, because a client's next request may come to any worker. Clients are known by Python's keyed hash, which the workers have
in common.
"""

import mmap
from collections.abc import Sequence

SLOTS = 1 << 14
"""Of connections by client, twice: one client's number is the smaller of two, and too large only where others fell into both of its slots."""
WAYS = 4
"""Clients that a place in the table has room for; a further one takes the place of that which asked longest ago."""
_MASK = (1 << 64) - 1


def _hashed(client: str) -> int:
    return hash(client) & _MASK


class Connections:
    """How many there are in all workers, and of one client. For one thread in each worker."""

    def __init__(self, memory: "memoryview[int]", workers: int, worker: int) -> None:
        """Who had the row before has died, and his connections with him."""
        width = 1 + 2 * SLOTS
        self._rows = [memory[at * width : (at + 1) * width] for at in range(workers)]
        self._mine = self._rows[worker]
        self._mine[:] = memoryview(bytes(4 * width)).cast("I")

    @property
    def count(self) -> int:
        return sum(row[0] for row in self._rows)

    def of(self, client: str) -> int:
        """At least as many as there are; another worker that lets in at the same moment is not seen yet."""
        first, second = self._places(client)
        return min(sum(row[first] for row in self._rows), sum(row[second] for row in self._rows))

    def add(self, client: str, by: int) -> None:
        """One more, or one less."""
        for place in (0, *self._places(client)):
            self._mine[place] += by

    @staticmethod
    def _places(client: str) -> tuple[int, int]:
        found = _hashed(client)
        return 1 + found % SLOTS, 1 + SLOTS + (found >> 32) % SLOTS


class Shelf:
    """When each client's bucket is full again (`trust.edge.operations.limits.Shelf`), for all workers.

    Two workers that count the same client in the same microsecond may count once for both.
    """

    def __init__(self, tags: "memoryview[int]", full: "memoryview[float]") -> None:
        self._tags, self._full = tags, full
        self._sets = len(tags) // WAYS

    def _place(self, client: str) -> tuple[int, range]:
        found = _hashed(client)
        first = (found >> 16) % self._sets * WAYS
        return found | 1, range(first, first + WAYS)

    def get(self, client: str, default: float, /) -> float:
        tag, places = self._place(client)
        for place in places:
            if self._tags[place] == tag:
                return float(self._full[place])
        return default

    def __setitem__(self, client: str, full: float, /) -> None:
        tag, places = self._place(client)
        chosen = next((place for place in places if self._tags[place] == tag), None)
        if chosen is None:
            chosen = min(places, key=self._full.__getitem__)
            self._tags[chosen] = 0  # nobody's while it changes hands
        self._full[chosen] = full
        self._tags[chosen] = tag

    def move_to_end(self, client: str, /) -> None:
        """There is no order here: a place is taken from that which is full first."""

    def popitem(self, *, last: bool) -> object:  # noqa: ARG002
        raise KeyError("nothing is taken out")

    def __len__(self) -> int:
        """Its memory is bounded by itself."""
        return 0


class Commons:
    """Made before the workers part; each then says which it is."""

    def __init__(self, workers: int, tables: Sequence[str], remembered: int) -> None:
        """`tables`: names of what clients have limits of; `remembered`: clients in each."""
        self.workers = workers
        self._connections = memoryview(mmap.mmap(-1, 4 * workers * (1 + 2 * SLOTS))).cast("I")
        cells = WAYS * max(1, 2 * remembered // WAYS)
        self._tables = {name: (memoryview(mmap.mmap(-1, 8 * cells)).cast("Q"), memoryview(mmap.mmap(-1, 8 * cells)).cast("d")) for name in tables}

    def connections(self, worker: int) -> Connections:
        return Connections(self._connections, self.workers, worker)

    def shelf(self, name: str) -> Shelf | None:
        """None for a table that is not there."""
        found = self._tables.get(name)
        return None if found is None else Shelf(*found)
