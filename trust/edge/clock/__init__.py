"""The machine's clock, and what vouches for it: the one place that reads the time.

`now` is the time of everything that proves nothing by it. What stands in time-stamps comes from a clock that refuses while nobody vouches for it.
"""

from datetime import UTC, datetime

from trust.edge.clock.kernel import kernel_clock, synchronised

__all__ = ["kernel_clock", "now", "synchronised"]


def now() -> datetime:
    """Now, aware UTC: the `trust.ports.Clock` of a running installation."""
    return datetime.now(UTC)
