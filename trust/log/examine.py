"""What a log must not contain, entry by entry and root by root. Pure: the entries come in order from wherever they lie.

Two readers use it: `kakuin log check` looks at a whole log, `kakuin monitor` goes on where it stopped the last time.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trust.codecs import asn1, ess
from trust.codecs.cms import TST_INFO
from trust.codecs.signed_data import signed_data
from trust.edge.clock.evidence import NAME as CLOCK
from trust.errors import KakuinError, Malformed
from trust.log.journal import KINDS, NEAR, Entry
from trust.log.page import entry_data, microseconds
from trust.log.reading import JSON_KINDS, said
from trust.log.tree import EMPTY, Frontier, leaf_hash
from trust.log.turns import voided
from trust.model import Cert
from trust.timekeeping import State

PAGE = 4096
"""Leaves that the tree grows by at a time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a log must not contain, or not be."""

    what: str
    """For programs: `changed`, `missing`, `order`, `time`, `serial-twice`, `serial-gap`, `kind`, `unreadable`, `certificate`, `root`, `checkpoint`,
    `unexpected`."""
    detail: str
    index: int | None = None
    """Of the entry, where it is one."""


@dataclass(slots=True)
class Sequence:
    """The serial numbers of one unit, as far as they were seen."""

    last: int
    gen_time: int
    """Of the token with that number: microseconds since 1970 UTC."""
    name: str | None = None
    """What the journal's table calls the unit."""


@dataclass(slots=True)
class Seen:
    """What has to be remembered of the entries before; plain values, so that it can be kept."""

    at: int = 0
    """Time of the last entry: microseconds since 1970 UTC."""
    units: dict[str, Sequence] = field(default_factory=dict)
    """By the digest of the unit's certificate."""
    certificates: dict[str, int] = field(default_factory=dict)
    """Entries by issuer and serial number of certificates."""
    vouched_at: int = 0
    """Time of the last token, or entry that says that a clock is good."""


@dataclass(frozen=True, slots=True)
class _Token:
    unit: str
    """The beginning of its certificate's digest, hexadecimal."""
    serial: int
    gen_time: datetime


def _read(der: bytes) -> _Token:
    """RFC 3161 section 2.4.2, as far as it is needed here: the signature is for the verifier to judge."""
    signed = signed_data(der)
    if signed.content_type != TST_INFO or len(signed.signers) != 1 or signed.content is None:
        raise Malformed("not a time-stamp token")
    references = [reference for value in ess.signing_certificates(signed.signers[0]) for reference in value]
    if not references or references[0].digest is None:
        raise Malformed("the token does not say its signer's certificate")
    fields = asn1.parse(signed.content.octets()).fields()
    for tag in (asn1.INTEGER, asn1.OID, asn1.SEQUENCE):  # version, policy, imprint
        fields.take(tag)
    serial = fields.take(asn1.INTEGER).integer()
    return _Token(references[0].digest.value.hex()[:16], serial, fields.take(asn1.GENERALIZED_TIME).time())


class Examiner:
    """Looks at entries one after the other. Not thread-safe."""

    def __init__(
        self,
        seen: Seen | None = None,
        *,
        watched: Iterable[str] = (),
        expected: Iterable[str] = (),
        tokens: Callable[[Entry], Iterator[Finding]] | None = None,
    ) -> None:
        """`watched`: names; a certificate that has one of them in its subject is reported, unless its SHA-256 (hexadecimal) is `expected`.
        `tokens`: somebody who looks at time-stamps in this examiner's place."""
        self.seen = seen or Seen()
        self._watched = tuple(name.casefold() for name in watched)
        self._expected = frozenset(digest.lower() for digest in expected)
        self._tokens = tokens

    def entry(self, entry: Entry) -> Iterator[Finding]:
        """What is wrong with this one, given those before it."""
        if not self._in_order(entry):
            yield Finding("time", f"recorded at {entry.at.isoformat()}, before the entry in front of it", entry.index)
        if entry.kind not in KINDS:
            yield Finding("kind", f"kind is one of {', '.join(KINDS)}, got {ascii(entry.kind)[:30]}", entry.index)
            return
        try:
            yield from self._body(entry)
        except (KakuinError, ValueError, TypeError, RecursionError):  # TypeError: cryptography, over odd names
            yield Finding("unreadable", f"its body is not that of a {entry.kind}", entry.index)

    def _in_order(self, entry: Entry) -> bool:
        """Whether its time is not before that of the entries in front. A clock that was set back says so itself, and is believed as long as nothing
        is vouched for before what was vouched for already."""
        at, told = microseconds(entry.at), said(entry) if entry.kind == "event" else {}
        state, step = (told.get("state"), told.get("step_us")) if told.get("event") == CLOCK else (None, None)
        told_so = state == State.STEPPED and type(step) is int and self.seen.at - at <= NEAR - step
        vouched = entry.kind == "token" or state == State.GOOD
        right = (at >= self.seen.at or told_so) and not (vouched and at < self.seen.vouched_at)
        self.seen.at = at if told_so else max(at, self.seen.at)
        if vouched:
            self.seen.vouched_at = max(at, self.seen.vouched_at)
        return right

    def _body(self, entry: Entry) -> Iterator[Finding]:
        if entry.kind in JSON_KINDS:
            body = json.loads(entry.body)
            if not isinstance(body, dict):
                yield Finding("unreadable", f"its body is not that of a {entry.kind}", entry.index)
            elif entry.kind == "event" and self._tokens is None and (void := voided(body)) is not None:
                yield from self._void(entry.index, *void)
        elif entry.kind == "certificate":
            yield from self._certificate(entry.index, Cert(entry.body))
        elif self._tokens is not None:
            yield from self._tokens(entry)
        else:
            yield from self._token(entry, _read(entry.body))

    def _certificate(self, index: int, certificate: Cert) -> Iterator[Finding]:
        subject = certificate.x509.subject.rfc4514_string().casefold()
        number = f"{certificate.x509.issuer.rfc4514_string()} {certificate.serial:x}"
        before = self.seen.certificates.setdefault(number, index)
        if before != index:
            yield Finding("serial-twice", f"certificate {certificate.serial:x} has the number of entry {before}'s", index)
        named = [name for name in self._watched if name in subject]
        if named and certificate.id.hex() not in self._expected:
            detail = f"a certificate for {ascii(certificate.name)[1:-1]}, which is watched: {certificate.serial:x}, SHA-256 {certificate.id.hex()}"
            yield Finding("unexpected", detail, index)

    def _void(self, index: int, name: str, first: int, last: int) -> Iterator[Finding]:
        """Serial numbers of which no token was issued: they are no gap. `trust.log.turns` writes it where they would stand."""
        unit = name.removeprefix("tsu-")
        known = self.seen.units.get(unit, Sequence(0, 0, None))
        if first <= known.last:
            yield Finding("serial-twice", f"serial numbers from {first} of unit {unit} are declared void after {known.last}", index)
            return
        if first > known.last + 1:
            yield Finding("serial-gap", f"serial numbers {known.last + 1} to {first - 1} of unit {unit} are missing", index)
        self.seen.units[unit] = Sequence(last, known.gen_time, known.name)

    def _token(self, entry: Entry, token: _Token) -> Iterator[Finding]:
        unit, serial, gen_time = token.unit, token.serial, microseconds(token.gen_time)
        if entry.serial is not None and entry.serial != serial:
            yield Finding("changed", f"the table says serial number {entry.serial}, the token {serial}", entry.index)
        known = self.seen.units.get(unit)
        if known is None:
            if serial != 1:
                yield Finding("serial-gap", f"the first token of unit {unit} has serial number {serial}, not 1", entry.index)
            self.seen.units[unit] = Sequence(serial, gen_time, entry.unit)
            return
        if entry.unit is not None and known.name not in (None, entry.unit):
            yield Finding("changed", f"the table calls the unit {entry.unit}, and called it {known.name} before", entry.index)
        if serial <= known.last:
            yield Finding("serial-twice", f"serial number {serial} of unit {unit} comes after {known.last}", entry.index)
            return
        if serial > known.last + 1:
            yield Finding("serial-gap", f"serial numbers {known.last + 1} to {serial - 1} of unit {unit} are missing", entry.index)
        if gen_time < known.gen_time:
            yield Finding("time", f"token {serial} of unit {unit} says a time before that of its predecessor", entry.index)
        self.seen.units[unit] = Sequence(serial, max(gen_time, known.gen_time), entry.unit or known.name)


@dataclass(slots=True)
class Examined:
    """How far it went, and what was found so far."""

    frontier: Frontier = EMPTY
    mismatch: int | None = None
    """Size of the first checkpoint whose root is not that of the entries."""
    covered: int | None = None
    """Size of the last checkpoint that was compared; None while there was none."""
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """Hashes over full tiles as the entries give them, by level (1 and up) and number: one for 256 entries."""


Root = tuple[int, bytes, str]
"""A size, the root that somebody signed for it, and who: for telling."""


def examined(entries: Iterable[Entry], roots: Iterable[Root], examiner: Examiner, done: Examined) -> Iterator[Finding]:
    """Everything that is wrong with these entries, which continue `done`, and with these roots, in the order of their sizes.

    The tree is made of what the entries say, never of the leaf hashes that lie beside them.
    """
    waiting = iter(roots)
    pending = next(waiting, None)
    leaves: list[bytes] = []

    def compared() -> Iterator[Finding]:
        nonlocal pending
        done.frontier, full = done.frontier.grown(leaves)
        done.nodes |= {(node.level, node.number): node.hash for node in full}
        leaves.clear()
        while pending is not None and pending[0] <= done.frontier.size:
            size, root, who = pending
            done.covered = size
            if size == done.frontier.size and root != done.frontier.root():
                done.mismatch = done.mismatch or size
                yield Finding("root", f"the {size} entries are not those of the checkpoint {who}")
            pending = next(waiting, None)

    yield from compared()
    for entry in entries:
        expected = done.frontier.size + len(leaves)
        leaves.append(leaf_hash(entry_data(entry.kind, microseconds(entry.at), entry.body)))
        yield from _placed(entry, expected, leaves[-1])
        yield from examiner.entry(entry)
        if len(leaves) >= PAGE or (pending is not None and pending[0] == expected + 1):
            yield from compared()
    yield from compared()
    while pending is not None:
        yield Finding("missing", f"the checkpoint {pending[2]} is over {pending[0]} entries, and {done.frontier.size} are there")
        pending = next(waiting, None)


def continued(entries: Iterable[Entry], examiner: Examiner) -> Iterator[Finding]:
    """The same of a part of a log, from wherever it begins: without its beginning there is no root to compare."""
    expected: int | None = None
    for entry in entries:
        leaf = leaf_hash(entry_data(entry.kind, microseconds(entry.at), entry.body))
        yield from _placed(entry, entry.index if expected is None else expected, leaf)
        yield from examiner.entry(entry)
        expected = max(entry.index, -1 if expected is None else expected - 1) + 1


def _placed(entry: Entry, expected: int, leaf: bytes) -> Iterator[Finding]:
    if entry.index != expected:
        what = "order" if entry.index < expected else "missing"
        yield Finding(what, f"entry {entry.index} stands where {expected} belongs", entry.index)
    if entry.leaf != leaf:
        yield Finding("changed", "it was changed after it was recorded: its leaf hash is that of other data", entry.index)


def kept(seen: Seen) -> dict[str, Any]:
    """`Seen` as JSON values."""
    units = {unit: {"last": s.last, "gen_time": s.gen_time, "name": s.name} for unit, s in seen.units.items()}
    return {"at": seen.at, "units": units, "certificates": seen.certificates, "vouched_at": seen.vouched_at}


def remembered(row: dict[str, Any]) -> Seen:
    """The reverse. KeyError, TypeError or ValueError for anything else."""
    units = {str(unit): Sequence(int(s["last"]), int(s["gen_time"]), s["name"]) for unit, s in row["units"].items()}
    certificates = {str(number): int(index) for number, index in row["certificates"].items()}
    return Seen(int(row["at"]), units, certificates, int(row.get("vouched_at", 0)))  # 0: kept by an earlier version
