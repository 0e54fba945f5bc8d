"""Refusals of the protocol in the log: why, and how many. An authority that refuses everybody must not also fill the disk with saying so."""

import logging
import threading
import time
from collections.abc import Callable

from trust.codecs.tsp import Failure
from trust.errors import KakuinError
from tsa import issue

INTERVAL = 10.0
"""Seconds between two lines about one PKIFailureInfo; those in between are counted."""

OWN = frozenset({Failure.TIME_NOT_AVAILABLE, Failure.SYSTEM_FAILURE})
"""What the operator has to mend; the others are for the client."""

_LOG = logging.getLogger("kakuin.tsa")


class Refusals:
    """Thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: seconds, from whenever."""
        self._now = now
        self._lock = threading.Lock()
        self._next: dict[Failure | None, float] = {}
        """From when on the next one is told."""
        self._untold: dict[Failure | None, int] = {}

    def answer(self, error: KakuinError) -> bytes:
        """The error as the protocol's answer (TimeStampResp, DER), noted."""
        response = issue.refusal(error)
        self._note(response.failure, str(error))
        return response.der

    def _note(self, failure: Failure | None, why: str) -> None:
        with self._lock:
            now = self._now()
            if now < self._next.get(failure, now):
                self._untold[failure] = self._untold.get(failure, 0) + 1
                return
            before = self._untold.pop(failure, 0)
            self._next[failure] = now + INTERVAL
        _LOG.log(logging.WARNING if failure in OWN else logging.INFO, "refused: %s%s", why, f" ({before} more since the last line)" if before else "")

    def close(self) -> None:
        """Tell what was only counted."""
        with self._lock:
            untold, self._untold = self._untold, {}
        for failure, count in untold.items():
            _LOG.info("refused: %d more (%s)", count, "no reason" if failure is None else failure.label)
