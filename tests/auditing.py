"""Logs for audits, entry by entry: certificates, clock events and tokens of one office, as `kakuin log export` writes them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests import pki
from tests.pki import CHECKED, DAY, SIGNED, Party
from trust.log.journal import Entry
from trust.log.page import entry_data, microseconds
from trust.log.reading import exported
from trust.log.tree import leaf_hash
from trust.model import Digest

OFFICE = pki.pki()
AT = CHECKED + DAY
SECOND = timedelta(seconds=1)


def unit_name(unit: Party = OFFICE.tsu) -> str:
    return f"tsu-{unit.certificate.id.hex()[:16]}"


@dataclass(frozen=True)
class Line:
    """An entry before it has a number."""

    kind: str
    body: bytes
    at: datetime
    unit: str | None = None
    serial: int | None = None


def event(after: int, **said: Any) -> Line:
    """Recorded so many seconds after SIGNED."""
    return Line("event", json.dumps(said, sort_keys=True).encode(), SIGNED + after * SECOND)


def clock(after: int, state: str = "good", node: str = "a", reason: str = "state") -> Line:
    return event(after, event="clock", node=node, state=state, reason=reason, was="starting", bound_us=900, accuracy_us=1_000_000, sources=[])


def certificate(party: Party) -> Line:
    return Line("certificate", party.certificate.der, SIGNED)


def imprint(number: int) -> Digest:
    return Digest.of("sha256", b"document %d" % number)


def stamp(serial: int, after: int | None = None, *, unit: Party = OFFICE.tsu, late: timedelta = timedelta(0), **more: Any) -> Line:
    """The token with this number, of the second of its number unless another is named."""
    when = SIGNED + (serial if after is None else after) * SECOND
    body = pki.token(unit, more.pop("over", imprint(serial)), when, serial=serial, **more)
    return Line("token", body, when + late, unit_name(unit), serial)


HEAD = (certificate(OFFICE.ca), certificate(OFFICE.tsu), clock(0))


def numbered(lines: Sequence[Line]) -> list[Entry]:
    return [entry(index, line) for index, line in enumerate(lines)]


def entry(index: int, line: Line) -> Entry:
    leaf = leaf_hash(entry_data(line.kind, microseconds(line.at), line.body))
    return Entry(index, line.kind, line.at, line.body, leaf, line.unit, line.serial)


def changed(found: Entry, body: bytes) -> Entry:
    """Its body another's, its leaf hash as it was."""
    return replace(found, body=body)


def export(path: Path, entries: Sequence[Entry]) -> Path:
    path.write_text("".join(exported(e) + "\n" for e in entries), "utf-8")
    return path


def beside(folder: Path) -> list[str]:
    """What an auditor gives beside: whom he trusts, and status."""
    (folder / "root.cer").write_bytes(OFFICE.root.certificate.der)
    (folder / "ca.cer").write_bytes(OFFICE.ca.certificate.der)
    names = ["root.crl", "ca.crl"]
    for name, found in zip(names, OFFICE.crls(CHECKED), strict=True):
        (folder / name).write_bytes(found.der)
    options = ["--trust", str(folder / "root.cer"), "--certificate", str(folder / "ca.cer"), "--at", AT.isoformat()]
    return options + [option for name in names for option in ("--crl", str(folder / name))]
