"""How much one client may ask: a token bucket each, in bounded memory.

A bucket is one number, the moment at which it would be full again (the generic cell rate algorithm): nothing has to run to fill it.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from trust.errors import TooMany

_RATE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)/(s|min|h) burst ([0-9]{1,7})")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}

SYNTAX = "empty for no limit, or such as 10/s burst 100 (s, min or h)"

ROUNDING = 1e-5
"""Seconds: sums of floats are a little over."""

_K = TypeVar("_K", bound=Hashable)
_C_contra = TypeVar("_C_contra", bound=Hashable, contravariant=True)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests at once, and then one in each `interval` seconds."""

    interval: float
    burst: int

    @property
    def window(self) -> float:
        """Seconds until an empty bucket is full."""
        return self.interval * self.burst


def rate(text: str) -> Rate | None:
    """`10/s burst 100`; None for an empty text. ValueError."""
    if not text:
        return None
    found = _RATE.fullmatch(text)
    if found is None or float(found[1]) == 0 or int(found[3]) == 0:
        raise ValueError(f"expected {SYNTAX}")
    return Rate(_SECONDS[found[2]] / float(found[1]), int(found[3]))


def wrong_rate(text: str) -> str | None:
    """For a setting: what is expected instead."""
    try:
        rate(text)
    except ValueError:
        return SYNTAX
    return None


@dataclass(frozen=True, slots=True)
class Left:
    """What a client has left."""

    rate: Rate
    requests: int
    wait: float
    """Seconds until the next request is let in; 0: now."""
    full: float
    """Seconds until it has all of them again."""

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """RateLimit and RateLimit-Policy, as the draft of the IETF's working group on HTTP APIs has them; Retry-After where it is over."""
        fields = (
            (b"ratelimit-policy", b'"client";q=%d;w=%d' % (self.rate.burst, max(1, round(self.rate.window)))),
            (b"ratelimit", b'"client";r=%d;t=%d' % (self.requests, int(-(-self.full // 1)))),
        )
        return fields if self.wait == 0 else (*fields, (b"retry-after", b"%d" % self.seconds))

    @property
    def seconds(self) -> int:
        """To wait: whole ones, one at least."""
        return max(1, int(-(-self.wait // 1)))


class Shelf(Protocol[_C_contra]):
    """When each client's bucket is full again: an OrderedDict, or memory that processes share (`trust.edge.operations.commons`)."""

    def get(self, client: _C_contra, default: float, /) -> float: ...

    def __setitem__(self, client: _C_contra, full: float, /) -> None: ...

    def move_to_end(self, client: _C_contra, /) -> None: ...

    def popitem(self, *, last: bool) -> object: ...

    def __len__(self) -> int: ...


class Buckets(Generic[_K]):
    """One bucket a client, for one thread. The one that asked longest ago is forgotten when there are `most`: it is the fullest, most likely."""

    def __init__(self, rate: Rate, now: Callable[[], float], most: int = 10_000, shelf: Shelf[_K] | None = None) -> None:
        """`now`: seconds, from whenever; with a `shelf` of several processes, from where they all count."""
        self.rate = rate
        self._now = now
        self._most = most
        self._full: Shelf[_K] = OrderedDict[_K, float]() if shelf is None else shelf
        """When each is full again."""
        self._slack = rate.window - rate.interval

    def __len__(self) -> int:
        return len(self._full)

    def take(self, client: _K) -> bool:
        """Whether one more request is let in; then it is counted."""
        now, buckets = self._now(), self._full
        full = buckets.get(client, now)
        if full - now > self._slack + ROUNDING:
            return False
        buckets[client] = (max(now, full)) + self.rate.interval
        buckets.move_to_end(client)
        if len(buckets) > self._most:
            buckets.popitem(last=False)
        return True

    def left(self, client: _K) -> Left:
        """What the client has now; nothing is counted."""
        full = max(0.0, self._full.get(client, 0.0) - self._now())
        left = int((self.rate.window - full) / self.rate.interval + 0.001)
        wait = full - self._slack
        return Left(self.rate, max(0, left), wait if wait > ROUNDING else 0.0, full)


class KeyLimit:
    """The same for API keys, from many threads."""

    def __init__(self, rate: Rate, now: Callable[[], float], most: int = 10_000, shelf: Shelf[str] | None = None) -> None:
        self._buckets = Buckets[str](rate, now, most, shelf)
        self._lock = threading.Lock()

    def __call__(self, key: str) -> None:
        """One more request of this key. TooMany."""
        with self._lock:
            let_in, left = self._buckets.take(key), self._buckets.left(key)
        if not let_in:
            headers = {name.decode(): value.decode() for name, value in left.headers}
            raise TooMany(f"more requests than one API key may make: the next one in {left.seconds} s", headers)
