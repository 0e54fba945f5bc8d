"""`kakuin tsa`: the units of the authority from the command line."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from trust.edge import options

if TYPE_CHECKING:
    from trust.edge.instance import Instance
    from trust.model import Cert


class House(Protocol):
    """What these commands need of an instance."""

    @property
    def instance(self) -> "Instance": ...


Open = Callable[[Path, Path | None], AbstractContextManager[House]]


@click.group()
def tsa() -> None:
    """Time-stamping units of the authority."""


@tsa.command()
@click.argument("unit")
@options.instance
@options.passphrase_file
@click.option("--key-type", help="p256, p384, p521, rsa3072, rsa4096, ed25519, ml-dsa-44, ml-dsa-65 or ml-dsa-87.  [default: that of pki.key_type]")
@click.option("--policy", metavar="OID", help="Policy of its tokens.  [default: tsa.policy]")
@options.as_json
@click.pass_obj
def create(
    open_house: Open, unit: str, instance: Path, passphrase_file: Path | None, key_type: str | None, policy: str | None, as_json: bool
) -> None:
    """Make a time-stamping unit: a key and its certificate.

    What [unit.UNIT] in kakuin.toml says holds; where it says nothing yet, --key-type and --policy are written there. A service that runs
    answers at /tsa/UNIT when it is started again.
    """
    from tsa import events

    with open_house(instance, passphrase_file) as house:
        _write_settings(house.instance, unit, key_type, policy)
    with open_house(instance, passphrase_file) as house:
        made = house.instance.add_unit(unit)
        house.instance.journal.append("event", events.created(unit, made, _algorithm(house.instance, unit)))
        _tell(unit, made, f"unit {unit}: certificate {made.serial:x}, until {made.not_after:%Y-%m-%d}; start the service again", as_json)


@tsa.command(name="list")
@options.instance
@options.passphrase_file
@options.as_json
@click.pass_obj
def list_(open_house: Open, instance: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """List the units, that of /tsa first, with what each can do. Looks for keys behind PKCS#11, and changes nothing."""
    import json

    from tsa.assembly import fault_of, places_of

    with open_house(instance, passphrase_file) as house:
        for at, place in enumerate(places_of(house.instance)):
            unit, fault = place.unit, fault_of(house.instance, place.unit)
            if as_json:
                row = {
                    "name": place.name,
                    "path": f"/tsa/{place.name}" if at else "/tsa",
                    "unit": unit.name,
                    "algorithm": str(unit.key.algorithm),
                    "policy": unit.policy.oid,
                    "ends": unit.ends.isoformat(),
                    "certificate": f"{unit.key.certificate.serial:x}",
                    "fallback": place.fallback,
                    "fault": fault,
                }
                click.echo(json.dumps(row, ensure_ascii=False))
            else:
                told = f"until {unit.ends:%Y-%m-%d}  {fault or 'good'}"
                click.echo(f"{place.name:16}  {unit.key.algorithm!s:24}  {unit.policy.oid:24}  {told}")


@tsa.command()
@click.argument("unit")
@options.instance
@options.passphrase_file
@options.as_json
@click.pass_obj
def rollover(open_house: Open, unit: str, instance: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Give a unit a new key and certificate, under the same policy; the old key signs nothing from now on.

    A service that runs takes up the new key with the next request. The old certificate stays valid, so that its tokens stay so; when the old key
    may be in other hands, revoke it with `kakuin ca revoke`.
    """
    from trust.edge.units import key_name
    from tsa import events, store

    with open_house(instance, passphrase_file) as house:
        done = house.instance.renew(key_name(unit))
        store.stop(house.instance.engine, events.serials(done.retired))
        body = events.rolled_over(unit, done.certificate, done.retired, _algorithm(house.instance, unit))
        house.instance.journal.append("event", body)
        until = f"until {done.certificate.not_after:%Y-%m-%d}"
        _tell(unit, done.certificate, f"unit {unit}: certificate {done.certificate.serial:x}, {until}, after {done.retired.serial:x}", as_json)


@tsa.command()
@click.argument("unit")
@options.instance
@options.passphrase_file
@options.as_json
@click.pass_obj
def retire(open_house: Open, unit: str, instance: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Take a unit out of service for good: it signs nothing from now on, and its key and certificate are put away.

    Its tokens stay valid. A key behind PKCS#11 stays in its token: destroy it there, as your policy says.
    """
    from trust.edge.units import key_name
    from tsa import events, store

    with open_house(instance, passphrase_file) as house:
        there = house.instance
        if unit in there.units and unit != there.units[0]:
            store.stop(there.engine, events.serials(there.certificate(key_name(unit))))
        gone = there.remove_unit(unit)
        there.journal.append("event", events.retired(unit, gone))
        _tell(unit, gone, f"unit {unit} is retired: take [unit.{unit}] out of the settings, and start the service again", as_json)


def _algorithm(instance: "Instance", unit: str) -> str:
    from trust.edge.units import key_name

    return str(instance.key(key_name(unit)).algorithm)


def _write_settings(instance: "Instance", unit: str, key_type: str | None, policy: str | None) -> None:
    """Refused before anything is made where the settings say something already."""
    from trust.edge.files import write_atomically
    from trust.edge.settings import FILE
    from trust.edge.units import read_units, table
    from trust.errors import Conflict, Unacceptable

    if unit in instance.units:
        raise Conflict(f"there is a unit {unit} already: `kakuin tsa rollover {unit}` gives it a new key")
    if key_type is None and policy is None:
        return
    if unit in instance.settings.units:
        raise Conflict(f"[unit.{unit}] stands in {FILE}: change it there, and leave --key-type and --policy out")
    said = {name: value for name, value in (("key_type", key_type), ("policy", policy)) if value is not None}
    chosen = read_units({unit: said}, "option")[unit]
    path = instance.folder / FILE
    if path.is_symlink():
        raise Unacceptable(f"{path} is a link: write [unit.{unit}] where it leads")
    write_atomically(path, path.read_bytes().rstrip(b"\n") + b"\n\n" + table(unit, chosen).encode(), mode=0o600)


def _tell(unit: str, certificate: "Cert", said: str, as_json: bool) -> None:
    import json

    from trust.edge.units import key_name

    if as_json:
        row = {"name": unit, "key": key_name(unit), "certificate": f"{certificate.serial:x}", "not_after": certificate.not_after.isoformat()}
        said = json.dumps(row)
    click.echo(said)
