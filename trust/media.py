"""Which media type a client would rather have, as its Accept says (RFC 9110 section 12.5.1)."""

from collections.abc import Sequence

MOST_RANGES = 50
"""Media ranges that are looked at."""


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The one with the greatest weight of those that are offered, in the order of preference where a client does not mind. None where none is wanted.

    The most specific range that names a type gives it its weight. What cannot be read is passed over; nothing readable is no preference.
    """
    ranges = _ranges(accept) or {"*/*": 1.0}
    weights = {kind: _weight(kind, ranges) for kind in offered}
    best = max(offered, key=lambda kind: weights[kind])
    return best if weights[best] > 0 else None


def _ranges(accept: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in accept.lower().split(",", MOST_RANGES)[:MOST_RANGES]:
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        if "/" in kind and weight.replace(".", "", 1).isdecimal():
            found.setdefault(kind, min(1.0, float(weight)))
    return found


def _weight(kind: str, ranges: dict[str, float]) -> float:
    family = kind.partition("/")[0] + "/*"
    return next((ranges[name] for name in (kind, family, "*/*") if name in ranges), 0.0)
