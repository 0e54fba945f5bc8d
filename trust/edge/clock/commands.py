"""`kakuin clock`: what vouches for the time of time-stamps, now and in the journal."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from trust.edge import options

if TYPE_CHECKING:
    from trust.edge.clock.keeper import Status
    from trust.edge.instance import Instance
    from trust.log.journal import Entry


class House(Protocol):
    """What this command needs of an instance."""

    @property
    def instance(self) -> "Instance": ...


Open = Callable[[Path, Path | None], AbstractContextManager[House]]

_LOOKED_BACK = 100_000
"""Entries of the journal in which the clock's are looked for."""


@click.command()
@options.instance
@click.option("--last", type=click.IntRange(0, 1000), default=5, show_default=True, help="How many of the clock's entries in the journal are shown.")
@options.as_json
@click.pass_context
def clock(ctx: click.Context, instance: Path, last: int, as_json: bool) -> None:
    """Say what vouches for the time of time-stamps: state, bound, sources, history, and what to do.

    Looks once by itself and records nothing; what a running service saw is in its journal. Exit code 0: time-stamps are
    issued; 1: they are refused with timeNotAvailable.
    """
    import json

    from trust.edge.clock.keeper import looked

    open_house: Open = ctx.obj
    with open_house(instance, None) as house:
        settings = house.instance.settings
        found = None if settings.development_clock else looked(settings)
        history = _history(house.instance, last)
        if as_json:
            click.echo(json.dumps({**_row(found), "history": [_event(entry) for entry in history]}, ensure_ascii=False))
        else:
            for line in (*_told(found), *_told_history(history)):
                click.echo(line)
    if found is not None and not found.good:
        ctx.exit(1)


def _history(instance: "Instance", last: int) -> "list[Entry]":
    """The newest of the clock's entries, in their order."""
    from collections import deque

    from trust.edge.clock.evidence import NAME
    from trust.log.reading import Selection, entries, said

    wanted = Selection(kinds=("event",), last=_LOOKED_BACK)
    return list(deque((entry for entry in entries(instance.engine, wanted) if said(entry).get("event") == NAME), maxlen=last))


def _event(entry: "Entry") -> dict[str, Any]:
    from trust.log.reading import said

    return {"index": entry.index, **said(entry)}


def _row(found: "Status | None") -> dict[str, Any]:
    from trust.edge.clock.evidence import source_row
    from trust.edge.settings import DEVELOPMENT_CLOCK, DEVELOPMENT_POLICY

    if found is None:
        return {"state": DEVELOPMENT_CLOCK, "issues": True, "policy": DEVELOPMENT_POLICY}
    return {
        "state": found.state,
        "issues": found.good,
        "why": found.why,
        "bound_us": found.bound_us,
        "accuracy_us": found.accuracy_us,
        "sources": [source_row(one) for one in found.known.said],
        "outvoted": list(found.known.outvoted),
    }


def _told(found: "Status | None") -> Iterator[str]:
    from trust.edge.settings import DEVELOPMENT_CLOCK, DEVELOPMENT_POLICY
    from trust.timekeeping import REMEDIES, Observation

    if found is None:
        yield f"clock    {DEVELOPMENT_CLOCK}: nobody checks this machine's time"
        yield f"         every token says so by its policy, {DEVELOPMENT_POLICY}, and proves nothing"
        return
    within = "" if found.bound_us is None else f", wrong by {found.bound_us / 1000:g} ms at most"
    yield f"clock    {found.state}{f' ({found.why})' if found.why else ''}{within}; {found.accuracy_us / 1000:g} ms are stated"
    yield f"tokens   {'are issued' if found.good else 'are refused: timeNotAvailable'}"
    for one in found.known.said:
        if isinstance(one, Observation):
            outvoted = ", and most others contradict it" if one.source in found.known.outvoted else ""
            yield f"source   {one.source}: off by {one.offset_ns / 1e6:+.3f} ms, give or take {one.bound_ns / 1e6:.3f} ms{outvoted}"
        else:
            yield f"source   {one.source}: {one.state} ({one.why})"
    if found.known.leap is not None:
        yield f"leap     a second is announced: {found.known.leap.kind}"
    if not found.good:
        yield f"to do    {REMEDIES[found.state]}"


def _told_history(history: "list[Entry]") -> Iterator[str]:
    from trust.log.reading import summary

    for entry in history:
        yield f"journal  {entry.index} {entry.at:%Y-%m-%dT%H:%M:%SZ} {summary(entry)}"
