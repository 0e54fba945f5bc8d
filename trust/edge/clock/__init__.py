"""The machine's clock, and what vouches for it: the one place that reads the time.

`now` is the time of everything that proves nothing by it. What stands in time-stamps comes from a `keeper`, which refuses while nobody vouches
for the time.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """Now, aware UTC: the `trust.ports.Clock` of a running installation."""
    return datetime.now(UTC)
