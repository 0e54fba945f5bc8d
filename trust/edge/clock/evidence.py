"""What the journal says of the clock: one JSON object for an entry of kind `event`, small and canonical. And how people read it."""

import json
from collections.abc import Mapping
from typing import Any

from trust.timekeeping import Assessment, Observation, Rules, Said, State, moment

NAME = "clock"
"""The event's name."""
MAX_SOURCES = 64
MAX_WHY = 200


def body(found: Assessment, rules: Rules, reason: str, was: State, node: str) -> bytes:
    """Keys sorted, no spaces, UTF-8. Durations in microseconds (`_us`), bounds rounded up; `reason` is state, leap, evidence or end.

    `node` is the process's own random name: several of them share a journal, each with a clock.
    """
    said: dict[str, Any] = {
        "event": NAME,
        "node": node,
        "reason": reason,
        "state": found.state,
        "was": was,
        "at": moment(found.sample.wall_ns).isoformat(),
        "accuracy_us": rules.accuracy_ns // 1000,
        "sources": [source_row(one) for one in found.said[:MAX_SOURCES]],
    }
    if found.low_ns or found.high_ns:
        said["bound_us"] = -(-found.bound_ns // 1000)
    if rules.servers:
        said["quorum"] = f"{rules.quorum} of {rules.servers}"
    if found.why:
        said["why"] = found.why
    if found.outvoted:
        said["outvoted"] = list(found.outvoted)
    if found.step_ns:
        said["step_us"] = found.step_ns // 1000
    if found.leap is not None:
        said["leap"] = {"kind": found.leap.kind, "at": moment(found.leap.at_ns).isoformat(), "mode": rules.leap, "applied": found.leapt}
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def source_row(one: Said) -> dict[str, Any]:
    """One source, for JSON."""
    if not isinstance(one, Observation):
        return {"source": one.source, "state": one.state, "why": one.why[:MAX_WHY]}
    row: dict[str, Any] = {"source": one.source, "offset_us": round(one.offset_ns / 1000), "bound_us": -(-one.bound_ns // 1000), **one.facts}
    if one.leap is not None:
        row["leap"] = one.leap
    return {name: value for name, value in row.items() if value is not None}


def told(facts: Mapping[str, Any]) -> str:
    """Such an entry in a few words."""
    bound = facts.get("bound_us")
    words = [NAME, str(facts.get("state", "?"))]
    if isinstance(bound, int):
        words.append(f"within {bound / 1000:g} ms")
    if facts.get("step_us"):
        words.append(f"by {facts['step_us'] / 1e6:+g} s")
    if facts.get("why"):
        words.append(f"({facts['why']})")
    return " ".join(words)
