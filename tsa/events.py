"""What happens to a unit's key, as entries of the journal (kind `event`): small JSON, keys in order, no spaces, so that equal is equal in bytes.

Each has `event`, `unit` (the name of its sequence of serials, which holds its certificate's digest) and `name` (that of its settings).
"""

import json

from trust.model import Cert
from tsa.issue import Unit

_LONGEST = 200
"""Characters of a reason."""


def _body(event: str, name: str, unit: str, more: dict[str, str]) -> bytes:
    found = {"event": event, "name": name, "unit": unit, **more}
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def serials(certificate: Cert) -> str:
    """Name of the sequence of serials of the unit with this certificate: whatever key comes later, no serial is used twice under one name."""
    return f"tsu-{certificate.id.hex()[:16]}"


def created(name: str, certificate: Cert, algorithm: str) -> bytes:
    return _body("unit-created", name, serials(certificate), {"algorithm": algorithm, "certificate": f"{certificate.serial:x}"})


def rolled_over(name: str, certificate: Cert, before: Cert, algorithm: str) -> bytes:
    more = {"algorithm": algorithm, "certificate": f"{certificate.serial:x}", "retired": serials(before), "retired_certificate": f"{before.serial:x}"}
    return _body("unit-rolled-over", name, serials(certificate), more)


def retired(name: str, certificate: Cert) -> bytes:
    return _body("unit-retired", name, serials(certificate), {"certificate": f"{certificate.serial:x}"})


def failed(name: str, unit: str, why: str) -> bytes:
    """It does not issue for now, and its stand-in does where there is one."""
    return _body("unit-failed", name, unit, {"why": why[:_LONGEST]})


def recovered(name: str, unit: str) -> bytes:
    return _body("unit-recovered", name, unit, {})


def replaced(name: str, before: str, unit: Unit) -> bytes:
    """A process that runs has taken up the unit's successor."""
    return _body("unit-replaced", name, unit.name, {"retired": before})
