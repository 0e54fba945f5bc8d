"""The journal, read: entries of a period and of some kinds, in pages, and how many there are. Nothing here writes."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Engine, func, select

from trust.codecs import cms
from trust.edge.clock import evidence
from trust.edge.engine import refused, unhurried
from trust.errors import KakuinError, Malformed, NotFound, Unacceptable
from trust.log.journal import KINDS, PAGE, Entry, entry_of
from trust.log.page import microseconds
from trust.log.tables import ENTRY
from trust.model import Cert

JSON_KINDS = frozenset({"seal", "revocation", "event"})
"""Their bodies are JSON objects; the others' are DER: a token's TimeStampToken, a certificate."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries. All of them where nothing is said."""

    kinds: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    """Without this moment itself, so that periods stand side by side."""
    last: int | None = None
    """Of all entries, the newest so many are looked at."""

    def __post_init__(self) -> None:
        if unknown := set(self.kinds) - set(KINDS):
            raise Unacceptable(f"journal kind is one of {', '.join(KINDS)}, got {min(unknown)[:20]!r}")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise Unacceptable("the period ends before it begins")

    def clauses(self) -> tuple[ColumnElement[bool], ...]:
        found: list[ColumnElement[bool]] = []
        if self.kinds:
            found.append(ENTRY.c.kind.in_(self.kinds))
        if self.since is not None:
            found.append(ENTRY.c.at >= microseconds(self.since))
        if self.until is not None:
            found.append(ENTRY.c.at < microseconds(self.until))
        if self.last is not None:
            newest = select(func.coalesce(func.max(ENTRY.c.number), -1)).scalar_subquery()
            found.append(ENTRY.c.number > newest - self.last)
        return tuple(found)


def entries(engine: Engine, wanted: Selection = Selection()) -> Iterator[Entry]:
    """In their order, a page at a time: as many as there are, in the memory of a page. What is appended meanwhile is read too."""
    after = -1
    while True:
        query = select(ENTRY).where(ENTRY.c.number > after, *wanted.clauses()).order_by(ENTRY.c.number).limit(PAGE)
        with refused(engine), engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        yield from map(entry_of, rows)
        if len(rows) < PAGE:
            return
        after = int(rows[-1]["number"])


def entry(engine: Engine, index: int) -> Entry:
    """NotFound where the journal does not reach."""
    with refused(engine), engine.connect() as connection:
        row = connection.execute(select(ENTRY).where(ENTRY.c.number == index)).mappings().first()
        if row is None:
            last = connection.execute(select(func.max(ENTRY.c.number))).scalar()
            there = "the journal is empty" if last is None else f"the journal has entries 0 to {last}"
            raise NotFound(f"there is no entry {index}: {there}")
    return entry_of(row)


@dataclass(frozen=True, slots=True)
class Count:
    """Of one kind and, where things are numbered, of one unit."""

    kind: str
    unit: str | None
    entries: int
    first: int | None
    """Serial numbers; None where nothing is numbered."""
    last: int | None


def counts(engine: Engine, wanted: Selection = Selection()) -> list[Count]:
    """How many entries of each kind and unit, counted by the database."""
    columns = (
        ENTRY.c.kind,
        ENTRY.c.unit,
        func.count().label("entries"),
        func.min(ENTRY.c.serial).label("first"),
        func.max(ENTRY.c.serial).label("last"),
    )
    query = select(*columns).where(*wanted.clauses()).group_by(ENTRY.c.kind, ENTRY.c.unit).order_by(ENTRY.c.kind, func.min(ENTRY.c.number))
    with refused(engine), engine.connect() as connection, unhurried(connection):
        return [Count(*row) for row in connection.execute(query)]


def exported(found: Entry) -> str:
    """One line of JSON with everything that the entry is, so that its leaf hash can be computed again."""
    row = {**_head(found), "leaf": found.leaf.hex(), "body": base64.b64encode(found.body).decode()}
    return json.dumps(row, ensure_ascii=False)


def listed(found: Entry) -> str:
    """One line of JSON without the body."""
    return json.dumps({**_head(found), "said": dict(said(found))}, ensure_ascii=False)


def _head(found: Entry) -> dict[str, Any]:
    return {"index": found.index, "at": found.at.isoformat(timespec="microseconds"), "kind": found.kind, "unit": found.unit, "serial": found.serial}


def said(found: Entry) -> Mapping[str, Any]:
    """What the body says, by name. A body that cannot be read says so: the journal is shown as it is."""
    try:
        if found.kind in JSON_KINDS:
            told = json.loads(found.body)
            return MappingProxyType(told if isinstance(told, dict) else {"body": told})
        return MappingProxyType(_token(found.body) if found.kind == "token" else _certificate(found.body))
    except (KakuinError, ValueError, TypeError, RecursionError):  # TypeError: cryptography, over odd names
        return MappingProxyType({"unreadable": f"{len(found.body)} bytes"})


def _token(body: bytes) -> dict[str, Any]:
    made = cms.token(body)
    return {
        "time": made.gen_time.isoformat(),
        "policy": made.policy,
        "digest": made.imprint.algorithm,
        "imprint": made.imprint.value.hex(),
        "authority": made.signature.signer.name if made.signature.signer else None,
    }


def _certificate(body: bytes) -> dict[str, Any]:
    certificate = Cert(body)
    return {
        "subject": certificate.x509.subject.rfc4514_string(),
        "issuer": certificate.x509.issuer.rfc4514_string(),
        "certificate": f"{certificate.serial:x}",
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
    }


def summary(found: Entry) -> str:
    """In a few words, without reading more than it takes."""
    if found.kind == "token":
        return f"{found.unit} {found.serial}"
    facts = said(found)
    match found.kind:
        case "certificate" if "subject" in facts:
            return f"{facts['certificate']} {Cert(found.body).name}"
        case "revocation":
            return " ".join(str(facts.get(name, "?")) for name in ("serial", "reason", "time"))
        case "seal":
            return " ".join(str(facts.get(name, "?")) for name in ("organisation", "level", "sealed"))
    if facts.get("event") == evidence.NAME:
        return evidence.told(facts)
    return " ".join(f"{name} {value}" if name != "event" else str(value) for name, value in facts.items())


def require_sound(found: Entry) -> None:
    """Malformed where the entry is not what was recorded."""
    if not found.sound:
        raise Malformed(f"entry {found.index} was changed after it was recorded: its leaf hash is that of other data")
