"""Settings of organisations' seal keys: `[organisation.NUMBER]` in `kakuin.toml`, one table an organisation, named by its corporate number.

A table says of what kind the key is and where it is: in a file, or behind PKCS#11. What it leaves out is what [pki] says. Changed, it counts for
the next key: `kakuin ca renew seal-NUMBER` makes it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trust.edge.keystore import SEAL_KEY_TYPES
from trust.edge.units import KeySettings, table, typed_values, wrong_key
from trust.errors import Conflict, KakuinError, Misconfigured, Unacceptable
from trust.registry import corporate_number

if TYPE_CHECKING:
    from trust.edge.instance import Instance

SEALS = "organisation"
_KEY = "seal-"
_PSS = "-pss"
CHOICES = tuple(choice for kind in SEAL_KEY_TYPES for choice in ((kind, kind + _PSS) if kind.startswith("rsa") else (kind,)))
"""What an operator may ask for by one word: a type of key, and for RSA its padding."""


def organisation_of(key: str) -> str | None:
    """The corporate number of the organisation whose key has this name; None for a key of another purpose."""
    return key.removeprefix(_KEY) if key.startswith(_KEY) else None


def seal_settings(choice: str) -> dict[str, str]:
    """Of one of CHOICES. Unacceptable."""
    if choice not in CHOICES:
        raise Unacceptable(f"a seal's key is one of {', '.join(CHOICES)}, got {choice[:20]!r}")
    kind = choice.removesuffix(_PSS)
    return {"key_type": kind} if kind == choice else {"key_type": kind, "padding": "pss"}


def read_seals(tables: Any, source: str) -> dict[str, KeySettings]:
    """`[organisation.*]`, checked. Misconfigured, naming the setting."""
    if not isinstance(tables, dict):
        raise Misconfigured(f"{source}: {SEALS} is a section of tables, expected [{SEALS}.number]")
    found = {}
    for name, said in tables.items():
        try:
            number = corporate_number(name)
        except KakuinError as error:
            raise Misconfigured(f"{source}: [{SEALS}.{name[:40]!r}]: {error}") from error
        if not isinstance(said, dict):
            raise Misconfigured(f"{source}: {SEALS}.{name} is a table, expected [{SEALS}.{name}]")
        where = f"{source}: {SEALS}.{name}"
        made = KeySettings(**typed_values(KeySettings, said, where))
        for setting, expected in wrong_key(made, SEAL_KEY_TYPES):
            raise Misconfigured(f"{where}.{setting}: expected {expected}")
        found[str(number)] = made
    return found


def write_settings(instance: "Instance", number: str, choice: str | None) -> None:
    """Say in kakuin.toml of what kind an organisation's next key is; nothing where no choice was made, or the same stands there already.

    Conflict where something else stands there.
    """
    if choice is None:
        return
    from trust.edge.files import write_atomically
    from trust.edge.settings import FILE

    digits = str(corporate_number(number))
    chosen, there = KeySettings(**seal_settings(choice)), instance.settings.seals.get(digits)
    if there is not None:
        if replace(there, key_type=chosen.key_type, padding=chosen.padding) == there:
            return
        raise Conflict(f"[{SEALS}.{digits}] stands in {FILE}: change its key_type and padding there, and leave --key out")
    path = instance.folder / FILE
    if path.is_symlink():
        raise Unacceptable(f"{path} is a link: write [{SEALS}.{digits}] where it leads")
    write_atomically(path, path.read_bytes().rstrip(b"\n") + b"\n\n" + table(digits, chosen, SEALS).encode(), mode=0o600)
