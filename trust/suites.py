"""Until when an algorithm is acceptable: the timetables of ETSI TS 119 312 and CRYPTREC, as data (suites.toml beside this file).

An algorithm that no line names is never acceptable. Nothing here knows the time: callers compare.
"""

import functools
import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from trust.algorithms import DIGESTS, Algorithm
from trust.errors import Malformed

NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""The end of what was never acceptable."""
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of what has none."""


@dataclass(frozen=True)
class Timetable:
    """One catalogue: last moments by digest, and by signature scheme and key size."""

    name: str
    source: str
    issued: datetime
    """Dates after this one are the catalogue's forecast."""
    digests: Mapping[str, datetime]
    keys: Mapping[str, tuple[tuple[int, datetime], ...]]
    """Scheme -> (smallest size in bits, last moment), largest first."""

    def until_digest(self, name: str) -> datetime:
        """The last moment at which this digest is acceptable (hashlib's name)."""
        return self.digests.get(name, NEVER)

    def until_key(self, scheme: str, bits: int) -> datetime:
        """The last moment for a key of this size under this scheme (`trust.algorithms.Algorithm.scheme`)."""
        return next((until for smallest, until in self.keys.get(scheme, ()) if bits >= smallest), NEVER)

    def until(self, algorithm: Algorithm | None, bits: int) -> datetime:
        """The last moment for a signature: the earlier of its digests' and its key's. `bits` as `trust.algorithms.key_strength` tells them."""
        if algorithm is None:
            return NEVER
        names = {name for name in (algorithm.digest, algorithm.mgf_digest) if name}
        return min([self.until_key(algorithm.scheme, bits), *(self.until_digest(name) for name in names)])


@functools.cache
def shipped() -> Mapping[str, Timetable]:
    """The timetables that come with this program, by name."""
    return parse(importlib.resources.files("trust").joinpath("suites.toml").read_text("utf-8"))


def parse(text: str) -> dict[str, Timetable]:
    """Timetables by name, from TOML. Malformed names the line's place."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Malformed(f"timetables are not TOML: {error}") from error
    return {name: _timetable(name, part) for name, part in data.items()}


def _timetable(name: str, part: Mapping[str, Any]) -> Timetable:
    unknown = set(part) - {"source", "issued", "digests", "keys"}
    if unknown:
        raise Malformed(f"timetable {name}: unknown key {min(unknown)}")
    stranger = set(part["digests"]) - set(DIGESTS)
    if stranger:
        raise Malformed(f"timetable {name}: unknown digest {min(stranger)}")
    return Timetable(
        name,
        part["source"],
        _moment(name, part["issued"]),
        {digest: _moment(name, end) for digest, end in part["digests"].items()},
        {
            scheme: tuple(sorted(((int(bits), _moment(name, end)) for bits, end in sizes.items()), reverse=True))
            for scheme, sizes in part["keys"].items()
        },
    )


def _moment(name: str, value: object) -> datetime:
    if value is True:
        return FOREVER
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    raise Malformed(f"timetable {name}: a date or true expected, got {value!r:.40}")
