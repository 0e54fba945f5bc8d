"""`kakuin log`: what the installation issued, from the command line. Nothing here writes an entry; proofs are in `trust.log.proving`."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from trust.edge import options
from trust.log.proving import COMMANDS

if TYPE_CHECKING:
    from trust.edge.instance import Instance
    from trust.log.reading import Selection


class House(Protocol):
    """What these commands need of an instance."""

    @property
    def instance(self) -> "Instance": ...


Open = Callable[[Path, Path | None], AbstractContextManager[House]]
F = TypeVar("F", bound=Callable[..., Any])

KINDS = click.Choice(["token", "seal", "certificate", "revocation", "event"])


def _selecting(function: F) -> F:
    """Which entries: the same for each of these commands."""
    for option in (
        click.option("--to", "until", metavar="TIME", help="Recorded before: likewise the first moment of a day, month or year."),
        click.option("--from", "since", metavar="TIME", help="Recorded then or later: 2026-06-01T09:00:00+09:00, 2026-06-01+09:00, 2026-06 (UTC)."),
        click.option("--kind", "kinds", type=KINDS, multiple=True, help="Only this kind; may be given several times."),
    ):
        function = option(function)
    return function


def _selection(kinds: Iterable[str], since: str | None, until: str | None, last: int | None = None) -> "Selection":
    from trust.log.reading import Selection

    return Selection(tuple(kinds), options.moment(since) if since else None, options.moment(until) if until else None, last)


@click.group()
def log() -> None:
    """What was issued here: time-stamps, seals, certificates, revocations, events, as a log whose past cannot be changed unseen."""


for _command in COMMANDS:
    log.add_command(_command)


@log.command(name="list")
@options.instance
@_selecting
@click.option("--last", type=click.IntRange(1), metavar="N", help="Look at the newest N entries alone.")
@options.as_json
@click.pass_obj
def list_(open_house: Open, instance: Path, kinds: tuple[str, ...], since: str | None, until: str | None, last: int | None, as_json: bool) -> None:
    """List entries, oldest first: number, time (UTC), kind, and what it is in a few words."""
    from trust.log import reading

    wanted = _selection(kinds, since, until, last)
    with open_house(instance, None) as house:
        for entry in reading.entries(house.instance.engine, wanted):
            click.echo(
                reading.listed(entry) if as_json else f"{entry.index:>9}  {entry.at:%Y-%m-%dT%H:%M:%SZ}  {entry.kind:11}  {reading.summary(entry)}"
            )


@log.command()
@click.argument("index", type=click.IntRange(0), metavar="NUMBER")
@options.instance
@options.output
@options.as_json
@click.pass_obj
def show(open_house: Open, index: int, instance: Path, output: Path | None, as_json: bool) -> None:
    """Show one entry by its number, and check it against its leaf hash.

    With -o its body is written: the token or the certificate as DER, or the JSON that was recorded.
    """
    import io

    from trust.log import reading

    with open_house(instance, None) as house:
        entry = reading.entry(house.instance.engine, index)
    reading.require_sound(entry)
    if output is not None:
        options.written(options.pieces(io.BytesIO(entry.body)), output, replace=True)
        return
    if as_json:
        click.echo(reading.listed(entry))
        return
    numbered = {"unit": entry.unit, "number": entry.serial} if entry.unit is not None else {}
    head = {"entry": entry.index, "recorded": entry.at.isoformat(), "kind": entry.kind, **numbered, "leaf": entry.leaf.hex()}
    for name, value in {**head, **reading.said(entry)}.items():
        click.echo(f"{name:12} {', '.join(map(str, value)) if isinstance(value, list) else value}")


@log.command()
@options.instance
@_selecting
@options.output
@click.pass_obj
def export(open_house: Open, instance: Path, kinds: tuple[str, ...], since: str | None, until: str | None, output: Path | None) -> None:
    """Write entries whole, as JSON lines: index, at, kind, unit, serial, leaf (hexadecimal) and body (base64).

    The leaf is SHA-256 over a zero octet, the kind, a line feed, the time (microseconds since 1970 UTC in eight octets) and the
    body. Each entry is checked against it; the first that was changed ends the export.
    """
    from trust.log import reading

    wanted = _selection(kinds, since, until)
    with open_house(instance, None) as house:
        options.written(_lines(reading.entries(house.instance.engine, wanted)), output or options.STDIO, replace=True)


def _lines(entries: Iterable[Any]) -> Iterable[bytes]:
    from trust.log import reading

    for entry in entries:
        reading.require_sound(entry)
        yield reading.exported(entry).encode() + b"\n"


@log.command()
@options.instance
@_selecting
@options.as_json
@click.pass_obj
def count(open_house: Open, instance: Path, kinds: tuple[str, ...], since: str | None, until: str | None, as_json: bool) -> None:
    """Count entries by kind and, for time-stamps, by unit, with the first and last serial number."""
    import json
    from dataclasses import asdict

    from trust.log import reading

    wanted = _selection(kinds, since, until)
    with open_house(instance, None) as house:
        for found in reading.counts(house.instance.engine, wanted):
            if as_json:
                click.echo(json.dumps(asdict(found)))
            else:
                numbered = f"  {found.unit}, serial numbers {found.first} to {found.last}" if found.unit is not None else ""
                click.echo(f"{found.kind:11}  {found.entries:>9}{numbered}")
