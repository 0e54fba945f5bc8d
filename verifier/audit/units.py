"""Which units might issue when, as the log says: their certificates, retirement, revocation, and the end of their keys. Pure."""

import bisect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from trust.errors import KakuinError
from trust.model import Cert, Id

MOST = 1_000
"""Certificates of units and authorities that are remembered."""
MOST_VOIDS = 50_000
RETIRED = "unit-retired"
VOID = "serials-void"
"""Numbers that were taken and never borne: `trust.log.turns` records it in the place where the tokens would stand."""


_ODD = (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.InvalidVersion, ValueError, TypeError, KakuinError)
"""What the extensions of a stranger's certificate can raise: it is then nobody that counts here."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """What the log says of a certificate."""

    since: datetime
    index: int
    """Of the entry."""
    reason: str


class Units:
    """Takes the log's entries about units in their order."""

    def __init__(self) -> None:
        self.certificates: dict[Id, Cert] = {}
        """Of units and authorities: candidates for the signers of tokens that carry none."""
        self._void: dict[str, list[tuple[int, int, int]]] = {}
        """Numbers that a unit was recorded not to use, ascending: first, last, and the entry that says so."""
        self._voids = 0
        self._retired: dict[str, int] = {}
        self._revoked: dict[str, Revoked] = {}
        self._ends: dict[Id, tuple[datetime | None, datetime | None]] = {}

    def certificate(self, found: Cert) -> bool:
        """A certificate that was issued; whether it is one that tokens may need."""
        if len(self.certificates) >= MOST or not _may_matter(found):
            return False
        self.certificates[found.id] = found
        return True

    def revocation(self, index: int, body: bytes) -> None:
        try:
            said = json.loads(body)
            serial, moment = str(said["serial"]).lower(), datetime.fromisoformat(said["time"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if moment.tzinfo is not None and len(self._revoked) < 100 * MOST:
            self._revoked.setdefault(serial, Revoked(moment, index, str(said.get("reason", ""))[:40]))

    def revoked(self, signer: Cert) -> Revoked | None:
        """Whether, wherever in the log it stands."""
        return self._revoked.get(f"{signer.serial:x}") if self._revoked else None

    def event(self, index: int, said: Mapping[str, Any]) -> None:
        unit = str(said.get("unit", ""))[:80]
        if said.get("event") == RETIRED and len(self._retired) < MOST:
            self._retired.setdefault(unit, index)
        elif said.get("event") == VOID and self._voids < MOST_VOIDS:
            first, last = said.get("first"), said.get("last")
            if type(first) is int and type(last) is int and first <= last:
                self._voids += 1
                bisect.insort(self._void.setdefault(unit, []), (first, last, index))

    def explained(self, unit: str, first: int, last: int) -> int | None:
        """The entry that says that a unit did not use these numbers (the last, where several say it); None where some are left over."""
        known = self._void.get(unit, [])
        at = max(bisect.bisect_right(known, (first, float("inf"), 0)) - 1, 0)
        entry = None
        while first <= last and at < len(known) and known[at][0] <= first:
            begin, end, index = known[at]
            if begin <= first <= end:
                first, entry = end + 1, index
            at += 1
        return entry if first > last else None

    def odd(self, unit: str, signer: Cert | None, gen_time: datetime, *, listed: bool) -> tuple[str, ...]:
        """What speaks against this unit at this time: `unit-retired`, `unit-revoked`, `key-period`, `unit-unlisted` (where the log is there from its
        beginning)."""
        found = ["unit-retired"] if unit in self._retired else []
        if signer is None:
            return tuple(found)
        revoked = self.revoked(signer)
        if revoked is not None and revoked.since <= gen_time:
            found.append("unit-revoked")
        begin, end = self._period(signer)
        if (begin is not None and gen_time < begin) or (end is not None and gen_time > end):
            found.append("key-period")
        if listed and signer.id not in self.certificates:
            found.append("unit-unlisted")
        return tuple(found)

    def _period(self, signer: Cert) -> tuple[datetime | None, datetime | None]:
        """RFC 5280 PrivateKeyUsagePeriod, which EN 319 421 clause 7.6.2 has units keep."""
        if signer.id not in self._ends:
            if len(self._ends) >= MOST:
                self._ends.clear()
            self._ends[signer.id] = _usage(signer)
        return self._ends[signer.id]


def _usage(signer: Cert) -> tuple[datetime | None, datetime | None]:
    try:
        usage = signer.x509.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod).value
    except _ODD:
        return None, None
    return _aware(usage.not_before), _aware(usage.not_after)


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _may_matter(found: Cert) -> bool:
    """A unit's, or an authority's."""
    try:
        extensions = found.x509.extensions
        for extension in extensions:
            value = extension.value
            if isinstance(value, x509.BasicConstraints) and value.ca:
                return True
            if isinstance(value, x509.ExtendedKeyUsage) and ExtendedKeyUsageOID.TIME_STAMPING in value:
                return True
    except _ODD:
        return False
    return False
