"""Settings of time-stamping units: `[unit.NAME]` in `kakuin.toml`, one table a unit.

The unit `tsu` is there from the beginning and answers at `/tsa`; another answers at `/tsa/NAME`. What a table leaves out is what [tsa] and [pki]
say. A table says how a unit works; whether there is one is told by its certificate, which `kakuin tsa create NAME` makes.
"""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from trust.edge.keystore import UNIT_KEY_TYPES, secret_in
from trust.errors import Misconfigured

DEFAULT_UNIT = "tsu"
"""The unit of `POST /tsa`."""
TABLE = "unit"
PADDINGS = ("pkcs1", "pss")
MOST_ACCURACY_US = 60_000_000
RESERVED = frozenset({"certificates", "next", "retired", "batches"})
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST_NAME = 32
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){1,30}")
_HASHES = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512")


@dataclass(frozen=True, slots=True)
class KeySettings:
    """Where a key is and of what kind. An empty text means: in a file, as [pki] says."""

    key_type: str = ""
    """Type of its next key."""
    padding: str = "pkcs1"
    """Of an RSA key's signatures: pkcs1 or pss."""
    pkcs11_module: str = ""
    """Path of the PKCS#11 library. Empty: the key lies in a file."""
    pkcs11_token: str = ""
    """Label of the token."""
    pkcs11_key: str = ""
    """Label of the key pair. Empty: kakuin-NAME."""
    pkcs11_pin_file: str = ""
    """File with the PIN, readable by the service alone."""
    pkcs11_pin_variable: str = ""
    """Or the environment variable with the PIN."""

    @property
    def in_token(self) -> bool:
        """The key lies behind PKCS#11."""
        return bool(self.pkcs11_module)

    def pin(self, environ: Mapping[str, str] = os.environ) -> str:
        """The token's PIN. Misconfigured where there is none."""
        if self.pkcs11_pin_file:
            return secret_in(Path(self.pkcs11_pin_file), "pin file").decode()
        if pin := environ.get(self.pkcs11_pin_variable):
            return pin
        raise Misconfigured(f"the token's PIN is missing: environment variable {self.pkcs11_pin_variable} is not set")


@dataclass(frozen=True, slots=True)
class UnitSettings(KeySettings):
    """How one time-stamping unit works. An empty text, an empty list and 0 mean: as [tsa] and [pki] say."""

    policy: str = ""
    """Policy of its tokens (OID) where the request names none."""
    policies: tuple[str, ...] = ()
    """Further policies that a request may name."""
    hashes: tuple[str, ...] = ()
    """Digest algorithms that it stamps."""
    accuracy_us: int = 0
    """Accuracy stated in its tokens, in microseconds."""
    ordering: bool = False
    """Whether its tokens can be ordered by their time alone (EN 319 422 wants false)."""
    names_unit: bool = True
    """Whether its tokens name it (TSTInfo.tsa)."""
    qualified: bool = False
    """Whether its tokens say that they are qualified (EN 319 422 clause 9.1): true for a qualified provider alone."""
    fallback: str = ""
    """The unit that answers in its place when it cannot."""


def key_name(unit: str) -> str:
    """Of a unit: the name of its key and certificate in the instance's folder."""
    return DEFAULT_UNIT if unit == DEFAULT_UNIT else f"{DEFAULT_UNIT}-{unit}"


def unit_name(key: str) -> str | None:
    """The unit whose key has this name; None for a key of another purpose."""
    if key == DEFAULT_UNIT:
        return DEFAULT_UNIT
    return key.removeprefix(f"{DEFAULT_UNIT}-") if key.startswith(f"{DEFAULT_UNIT}-") else None


def wrong_name(name: str) -> str | None:
    """What is expected of a unit's name instead; None for a good one."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or name in RESERVED:
        return f"a name of small letters, digits and hyphens, at most {_LONGEST_NAME}, and none of {', '.join(sorted(RESERVED))}"
    return None


def read_units(tables: Any, source: str) -> dict[str, UnitSettings]:
    """`[unit.*]`, checked. Misconfigured, naming the setting."""
    if not isinstance(tables, dict):
        raise Misconfigured(f"{source}: {TABLE} is a section of tables, expected [{TABLE}.name]")
    found = {}
    for name, table in tables.items():
        if expected := wrong_name(name):
            raise Misconfigured(f"{source}: [{TABLE}.{name[:40]!r}]: expected {expected}")
        if not isinstance(table, dict):
            raise Misconfigured(f"{source}: {TABLE}.{name} is a table, expected [{TABLE}.{name}]")
        found[name] = _unit(table, f"{source}: {TABLE}.{name}")
    for name, unit in found.items():
        if unit.fallback and (unit.fallback == name or unit.fallback not in {DEFAULT_UNIT, *found}):
            others = ", ".join(sorted({DEFAULT_UNIT, *found} - {name}))
            raise Misconfigured(f"{source}: {TABLE}.{name}.fallback: expected another unit ({others}), got {unit.fallback[:40]!r}")
    return found


def _unit(table: Mapping[str, Any], where: str) -> UnitSettings:
    made = UnitSettings(**typed_values(UnitSettings, table, where))
    for name, expected in _wrong(made):
        raise Misconfigured(f"{where}.{name}: expected {expected}")
    return made


def typed_values(kind: type[KeySettings], table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A table's settings, each of its type. Misconfigured."""
    kinds, values = get_type_hints(kind), {}
    for name, value in table.items():
        if name not in kinds:
            raise Misconfigured(f"{where}.{name[:40]}: unknown setting, expected one of {', '.join(kinds)}")
        values[name] = _typed(kinds[name], value, f"{where}.{name}")
    return values


_WORDS = {str: "text", int: "a whole number", bool: "true or false", tuple[str, ...]: "a list of texts"}


def _typed(kind: Any, value: Any, where: str) -> Any:
    if kind == tuple[str, ...] and type(value) is list and all(type(item) is str for item in value):
        return tuple(value)
    if type(value) is not kind:
        raise Misconfigured(f"{where}: expected {_WORDS[kind]}, got {type(value).__name__}")
    return value


def _wrong(unit: UnitSettings) -> "list[tuple[str, str]]":
    """Settings that cannot be, with what is expected instead."""
    oid = "an object identifier such as 1.3.6.1.4.1.99999.1"
    found = []
    if unit.policy and not _OID.fullmatch(unit.policy):
        found.append(("policy", oid))
    if not all(map(_OID.fullmatch, unit.policies)):
        found.append(("policies", f"object identifiers, each such as {oid.rpartition(' ')[2]}"))
    if not set(unit.hashes) <= set(_HASHES) or len(set(unit.hashes)) != len(unit.hashes):
        found.append(("hashes", f"some of {', '.join(_HASHES)}, each once"))
    if not 0 <= unit.accuracy_us <= MOST_ACCURACY_US:
        found.append(("accuracy_us", f"a number from 1 to {MOST_ACCURACY_US}"))
    return found + wrong_key(unit, UNIT_KEY_TYPES)


def wrong_key(key: KeySettings, types: Collection[str]) -> "list[tuple[str, str]]":
    """What of a key's settings cannot be, where its type is one of `types`, with what is expected instead."""
    found = []
    if key.key_type and key.key_type not in types:
        found.append(("key_type", f"one of {', '.join(types)}"))
    if key.padding not in PADDINGS:
        found.append(("padding", f"one of {', '.join(PADDINGS)}"))
    if key.padding == "pss" and key.key_type and not key.key_type.startswith("rsa"):
        found.append(("padding", f"pkcs1: {key.key_type} is no RSA key"))
    return found + _wrong_token(key)


def _wrong_token(unit: KeySettings) -> "list[tuple[str, str]]":
    given = bool(unit.pkcs11_token or unit.pkcs11_key or unit.pkcs11_pin_file or unit.pkcs11_pin_variable)
    if not unit.in_token:
        return [("pkcs11_module", "the path of the PKCS#11 library, because other pkcs11 settings are there")] if given else []
    if not Path(unit.pkcs11_module).is_absolute():
        return [("pkcs11_module", "an absolute path")]
    if not unit.pkcs11_token:
        return [("pkcs11_token", "the token's label")]
    if bool(unit.pkcs11_pin_file) == bool(unit.pkcs11_pin_variable):
        return [("pkcs11_pin_file", "either pkcs11_pin_file or pkcs11_pin_variable")]
    return []


def table(name: str, unit: KeySettings, section: str = TABLE) -> str:
    """`[unit.NAME]` as TOML: what differs from the defaults."""
    from trust.edge.settings import _toml

    lines = [f"[{section}.{name}]"]
    for known in fields(unit):
        value = getattr(unit, known.name)
        if known.default is not MISSING and value != known.default:
            lines.append(f"{known.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"
