"""Certificate revocation lists, RFC 5280 section 5: read once, searched by bytes."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from trust.algorithms import Algorithm
from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import Node, Rules
from trust.model import Crl
from verifier.chains.certificate import name_key

_CE = "2.5.29."
CRL_NUMBER, REASON_CODE, DELTA_INDICATOR = _CE + "20", _CE + "21", _CE + "27"
ISSUING_DISTRIBUTION_POINT, CERTIFICATE_ISSUER, AUTHORITY_KEY_IDENTIFIER = _CE + "28", _CE + "29", _CE + "35"
EXPIRED_CERTS_ON_CRL = _CE + "60"
_UNDERSTOOD = {CRL_NUMBER, DELTA_INDICATOR, ISSUING_DISTRIBUTION_POINT, AUTHORITY_KEY_IDENTIFIER, EXPIRED_CERTS_ON_CRL}

REASONS = (
    "unspecified", "key_compromise", "ca_compromise", "affiliation_changed", "superseded", "cessation_of_operation", "certificate_hold",
    "", "remove_from_crl", "privilege_withdrawn", "aa_compromise",
)  # fmt: skip
"""CRLReason by number; ReasonFlags by bit are the first seven without `unspecified` and the last two."""
ALL_REASONS = frozenset(REASONS[1:7]) | frozenset(REASONS[9:])
_REASON_BITS = (*REASONS[:7], REASONS[9], REASONS[10])


@dataclass(frozen=True, slots=True)
class Point:
    """IssuingDistributionPoint (RFC 5280 section 5.2.5)."""

    names: frozenset[bytes] | None
    """GeneralNames of the distribution point as DER, directory names folded; None where it names none."""
    users: bool
    authorities: bool
    attributes: bool
    indirect: bool
    reasons: frozenset[str]


@dataclass(frozen=True, slots=True)
class Entry:
    revoked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class CrlFacts:
    issuer: bytes
    issuer_key: bytes
    """The name folded for comparison."""
    this_update: datetime
    next_update: datetime | None
    algorithm: Algorithm | None
    tbs: bytes
    value: bytes
    number: int | None
    base: int | None
    """A delta's base number."""
    point: Point | None
    knows_since: datetime | None
    authority_key: bytes | None
    unknown_critical: tuple[str, ...]
    same_algorithms: bool
    entries: bytes
    """The content of revokedCertificates."""

    def entry(self, serial: bytes, issuer_key: bytes) -> Entry | None:
        """What it says of a certificate: serial as content octets, issuer as a folded name. Malformed where its entries are none.

        Entries may be hundreds of thousands: a serial that does not occur in the bytes is in none of them.
        """
        if asn1.tlv(asn1.INTEGER, serial) not in self.entries:
            return None
        current = self.issuer_key
        found: Entry | None = None
        for node in _entries(self.entries):
            fields = node.fields()
            number = fields.take(asn1.INTEGER).content
            if number != serial and not (self.point and self.point.indirect):
                continue
            when = fields.take(asn1.UTC_TIME, asn1.GENERALIZED_TIME).time()
            extensions = fields.maybe(asn1.SEQUENCE)
            reason = REASONS[0]
            for oid, _, value in _read_extensions(extensions):
                if oid == CERTIFICATE_ISSUER:
                    current = _directory_name(value) or current
                elif oid == REASON_CODE:
                    code = asn1.parse(value, Rules.BER).expect(asn1.ENUMERATED).small()
                    reason = REASONS[code] if 0 <= code < len(REASONS) else REASONS[0]
            if number == serial and current == issuer_key:
                # The earliest entry counts: a second one must not soften the first.
                entry = Entry(when, reason)
                found = entry if found is None or entry.revoked_at < found.revoked_at else found
        return found


def _entries(content: bytes) -> Iterator[Node]:
    at = 0
    while at < len(content):
        node = asn1.parse_head(content, Rules.BER, at)
        yield node
        at = node.stop


def _read_extensions(node: Node | None) -> list[tuple[str, bool, bytes]]:
    read = []
    for extension in node.children if node else ():
        fields = extension.fields()
        oid = fields.take(asn1.OID).oid()
        critical = fields.maybe(asn1.BOOLEAN)
        read.append((oid, critical is not None and critical.boolean(), fields.take(asn1.OCTET_STRING, asn1.OCTET_STRING | 0x20).octets()))
    return read


def _directory_name(general_names: bytes) -> bytes | None:
    names = [n for n in asn1.parse(general_names, Rules.BER).children if n.tag == asn1.context(4)]
    return name_key(names[0].only().raw) if names else None


@functools.lru_cache(maxsize=1024)
def crl_facts(crl: Crl) -> CrlFacts:
    """Malformed where the bytes are no list."""
    outer = asn1.parse(crl.der, Rules.BER).fields()
    tbs, outside, value = outer.take(asn1.SEQUENCE), outer.take(asn1.SEQUENCE), outer.take(asn1.BIT_STRING)
    outer.done()
    fields = tbs.fields()
    fields.maybe(asn1.INTEGER)
    inside = fields.take(asn1.SEQUENCE)
    issuer = fields.take(asn1.SEQUENCE).raw
    this_update = fields.take(asn1.UTC_TIME, asn1.GENERALIZED_TIME).time()
    next_update = fields.maybe(asn1.UTC_TIME, asn1.GENERALIZED_TIME)
    entries = fields.maybe(asn1.SEQUENCE)
    wrapped = fields.maybe(asn1.context(0))
    fields.done()
    extensions = {oid: (critical, v) for oid, critical, v in _read_extensions(wrapped.only(asn1.SEQUENCE) if wrapped else None)}

    def integer(oid: str) -> int | None:
        return asn1.parse(extensions[oid][1], Rules.BER).expect(asn1.INTEGER).integer() if oid in extensions else None

    since = extensions.get(EXPIRED_CERTS_ON_CRL)
    authority = extensions.get(AUTHORITY_KEY_IDENTIFIER)
    holder = asn1.parse(authority[1], Rules.BER).fields().maybe(0x80) if authority else None
    point = extensions.get(ISSUING_DISTRIBUTION_POINT)
    return CrlFacts(
        issuer=issuer,
        issuer_key=name_key(issuer),
        this_update=this_update,
        next_update=next_update.time() if next_update else None,
        algorithm=identifiers.signature_algorithm(outside),
        tbs=tbs.raw,
        value=value.content[1:],
        number=integer(CRL_NUMBER),
        base=integer(DELTA_INDICATOR),
        point=_point(point[1], issuer) if point else None,
        knows_since=asn1.parse(since[1], Rules.BER).time() if since else None,
        authority_key=holder.content if holder else None,
        unknown_critical=tuple(oid for oid, (critical, _) in extensions.items() if critical and oid not in _UNDERSTOOD),
        same_algorithms=inside.raw == outside.raw,
        entries=entries.content if entries else b"",
    )


def _point(value: bytes, issuer: bytes) -> Point:
    fields = asn1.parse(value, Rules.BER).fields()
    name = fields.maybe(asn1.context(0))
    users, authorities, reasons, indirect, attributes = (fields.maybe(0x80 | n) for n in range(1, 6))
    fields.done()
    return Point(
        names=point_names(name.only(), issuer) if name else None,
        users=users is not None and users.boolean(),
        authorities=authorities is not None and authorities.boolean(),
        attributes=attributes is not None and attributes.boolean(),
        indirect=indirect is not None and indirect.boolean(),
        reasons=reason_flags(reasons.content) if reasons else ALL_REASONS,
    )


def point_names(name: Node, issuer: bytes) -> frozenset[bytes]:
    """DistributionPointName: full names as DER (directory names folded), or the one relative to the issuer."""
    if name.tag == asn1.context(0):
        return frozenset(name_key(n.only().raw) if n.tag == asn1.context(4) else n.raw for n in name.children)
    relative = asn1.tlv(asn1.SET, name.content)
    return frozenset({name_key(asn1.tlv(asn1.SEQUENCE, asn1.parse(issuer, Rules.BER).content + relative))})


def reason_flags(content: bytes) -> frozenset[str]:
    """ReasonFlags as the names of reasons."""
    body = content[1:]
    return frozenset(name for i, name in enumerate(_REASON_BITS) if i and i // 8 < len(body) and body[i // 8] & 0x80 >> i % 8)
