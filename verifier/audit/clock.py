"""What vouched for the time when a token was recorded, as the log's clock events say (EN 319 421 clause 7.7.2). Pure.

A token does not say which process issued it, and each process has a clock and a random name. None issues while its own clock is not good; so a token
is vouched for when, at its entry, the last word of some process is that its clock is good.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trust.timekeeping import State

GOOD = "good"
UNKNOWN = "unknown"
DEVELOPMENT = "development"
OVER = "ended"
"""The last word was good, and a goodbye."""
MOST_NODES = 256
"""Processes that are remembered; each start of the service is a new one."""
ENDED = 60_000_000
"""Microseconds for which a process that said goodbye still vouches: its last tokens were on their way."""


@dataclass(frozen=True, slots=True)
class Said:
    """The last word of a process about its clock."""

    state: str
    index: int
    """Of the entry."""
    at: int
    """When it was recorded: microseconds since 1970 UTC."""
    bound_us: int | None
    ended: bool = False


NOTHING = Said(UNKNOWN, -1, 0, None)


_STATES = frozenset(State)


class Clocks:
    """Takes the log's clock events in their order."""

    def __init__(self) -> None:
        self._nodes: dict[str, Said] = {}
        self._newest = NOTHING

    def take(self, index: int, at: int, body: Mapping[str, Any]) -> None:
        """An event of the clock; one that says less than such events say counts as a clock that is not good."""
        bound = body.get("bound_us")
        state = body.get("state")
        said = Said(
            state if isinstance(state, str) and state in _STATES else UNKNOWN,
            index,
            at,
            bound if isinstance(bound, int) else None,
            body.get("reason") == "end",
        )
        node = str(body.get("node", ""))[:80]
        self._nodes.pop(node, None)
        while len(self._nodes) >= MOST_NODES:
            del self._nodes[next(iter(self._nodes))]
        self._nodes[node] = said
        self._newest = said

    def at(self, at: int) -> Said:
        """For a token recorded then (microseconds since 1970 UTC): the newest good word, or else the newest of all."""
        newest = self._newest
        if newest.state == GOOD and not newest.ended:
            return newest
        for said in reversed(self._nodes.values()):
            if said.state == GOOD and (not said.ended or at - said.at <= ENDED):
                return said
        return replace(newest, state=OVER) if newest.state == GOOD else newest


def event(body: bytes) -> Mapping[str, Any]:
    """The facts of an entry of kind `event`; none where it is no JSON object."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
