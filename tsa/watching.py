"""What the authority's endpoint tells of its answers: counts, durations, and lines of the log under the request's id.

For a granted token this is three numbers in memory and a look at the names of headers (measured: 0.6 µs). A refusal gets a line with its id, a few
in a second at most: an authority that refuses everybody must not also fill the disk with saying so.
"""

import logging
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

from trust.codecs import tsp
from trust.codecs.tsp import Failure
from trust.edge.operations import metrics
from trust.edge.operations.gate import TSA
from trust.edge.operations.limits import Buckets, Rate
from trust.edge.operations.tally import Tally
from trust.edge.web import accepted_id
from trust.errors import KakuinError

Scope = MutableMapping[str, Any]
Headers = tuple[tuple[bytes, bytes], ...]

FAILURES = tuple(failure.label for failure in Failure)
LINES = Rate(0.2, 20)
"""Lines about refusals: five in a second, and twenty at once."""

_REQUEST_ID = b"x-request-id"
_STATUS_GRANTED = b"\x30\x03\x02\x01\x00"
"""PKIStatusInfo of a granted token, within the first octets of a TimeStampResp (tsp.granted)."""
_BEHIND = 11

_ACCESS = logging.getLogger("kakuin.access")
_LOG = logging.getLogger("kakuin.tsa")


class Watch(Protocol):
    """Both give what is added to the answer's head."""

    def answered(self, scope: Scope, asked: str | None, der: bytes, seconds: float) -> Headers:
        """`der`: the TimeStampResp for a request to the unit `asked`; None: to whichever offers what is requested."""

    def problem(self, scope: Scope, error: KakuinError) -> Headers:
        """What is answered instead, as HTTP."""


class Nobody:
    """Watches nothing."""

    def answered(self, scope: Scope, asked: str | None, der: bytes, seconds: float) -> Headers:  # noqa: ARG002
        return ()

    def problem(self, scope: Scope, error: KakuinError) -> Headers:  # noqa: ARG002
        return ()


class Counting:
    """For one event loop."""

    def __init__(self, tally: Tally, units: Sequence[str], *, every: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        """`every`: granted tokens leave a line too."""
        self._tally = tally
        self._every = every
        self._seconds = tally.meter(metrics.TSA_SECONDS)
        names: Mapping[str | None, str] = {None: metrics.ANY, **{unit: unit for unit in units}}
        self._granted = {asked: tally.counter(metrics.TSA, name, metrics.GRANTED) for asked, name in names.items()}
        self._names = names
        self._lines = Buckets[None](LINES, now)

    def answered(self, scope: Scope, asked: str | None, der: bytes, seconds: float) -> Headers:
        self._seconds(seconds)
        if _STATUS_GRANTED in der[:_BEHIND]:
            self._granted[asked]()
            if self._every:
                return self._line(scope, metrics.GRANTED, seconds)
            for name, _ in scope["headers"]:
                if name == _REQUEST_ID:
                    return _identified(scope)
            return ()
        return self._refused(scope, asked, der, seconds)

    def _refused(self, scope: Scope, asked: str | None, der: bytes, seconds: float) -> Headers:
        failures = tsp.decode_response(der).failures
        label = next((failure.label for failure in Failure if failure in failures), "")
        self._tally.count(metrics.TSA, self._names[asked], label)
        if self._every or self._lines.take(None):
            return self._line(scope, label or "refused", seconds)
        return _identified(scope)

    def _line(self, scope: Scope, outcome: str, seconds: float) -> Headers:
        headers, client = _identified(scope), scope.get("client")
        facts = {"path": scope["path"], "outcome": outcome, "ms": round(seconds * 1000, 2), "client": client[0] if client else None}
        _ACCESS.info("time-stamp", extra=facts)
        return headers

    def problem(self, scope: Scope, error: KakuinError) -> Headers:
        self._tally.count(metrics.HTTP, TSA, str(error.status))
        return _identified(scope)


def _identified(scope: Scope) -> Headers:
    """The line that is logged next bears the id, and so does the answer."""
    return ((_REQUEST_ID, accepted_id(scope["headers"]).encode()),)
