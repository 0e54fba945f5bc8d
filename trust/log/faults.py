"""Why the journal does not record: for who watches, and in the log, which must not fill the disk with it."""

import logging
import math
import time
from collections.abc import Callable

from trust.errors import KakuinError

INTERVAL = 10.0
"""Seconds between two lines while it lasts; what is refused between them is counted."""

_LOG = logging.getLogger("kakuin.journal")


class Faults:
    """For the journal's writer; `why` for anybody."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: seconds, from whenever."""
        self.why: str | None = None
        """Why the last transaction failed; None when it did not."""
        self._now = now
        self._told_at = -math.inf
        self._lost = 0
        """Entries since the last line."""
        self._open = False
        """The last line says that it lasts."""

    def failed(self, failure: KakuinError, entries: int) -> None:
        self.why = str(failure)
        self._lost += entries
        now = self._now()
        if now - self._told_at >= INTERVAL:
            _LOG.error("journal: %d entries not recorded: %s", self._lost, failure, exc_info=failure.__cause__)
            self._told_at, self._lost, self._open = now, 0, True

    def over(self) -> None:
        """A transaction succeeded."""
        self.why = None
        if self._open:
            _LOG.warning("journal: entries are recorded again; %d more were not", self._lost)
            self._lost, self._open = 0, False
