"""OCSP answers, RFC 6960 section 4.2."""

import functools
import hashlib
from dataclasses import dataclass
from datetime import datetime

from trust.algorithms import DIGEST_BY_OID, Algorithm, hasher
from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import Node, Rules
from trust.errors import Unacceptable
from trust.model import Cert, Ocsp
from verifier.chains import Facts, facts
from verifier.chains.certificate import name_key
from verifier.revocation.crl import REASONS

ARCHIVE_CUTOFF, CERT_HASH, NONCE, EXTENDED_REVOKE = "1.3.6.1.5.5.7.48.1.6", "1.3.36.8.3.13", "1.3.6.1.5.5.7.48.1.2", "1.3.6.1.5.5.7.48.1.9"
CRL_REFERENCE, SERVICE_LOCATOR = "1.3.6.1.5.5.7.48.1.3", "1.3.6.1.5.5.7.48.1.7"
_UNDERSTOOD = {ARCHIVE_CUTOFF, CERT_HASH, NONCE, EXTENDED_REVOKE, CRL_REFERENCE, SERVICE_LOCATOR}
_OCTETS = (asn1.OCTET_STRING, asn1.OCTET_STRING | 0x20)
_GOOD, _REVOKED, _UNKNOWN = 0x80, 0xA1, 0x82


@dataclass(frozen=True, slots=True)
class Single:
    """SingleResponse."""

    digest: str | None
    name_hash: bytes
    key_hash: bytes
    serial: bytes
    known: bool
    """False for the status `unknown`."""
    revoked_at: datetime | None
    reason: str
    this_update: datetime
    next_update: datetime | None
    archive_cutoff: datetime | None
    cert_hash: tuple[str, bytes] | None
    unknown_critical: tuple[str, ...]

    def concerns(self, cert: Facts, issuer: Facts) -> bool:
        """CertID (section 4.1.1): serial number, and the hashes of the issuer's name and key."""
        if self.digest is None or self.serial != cert.serial:
            return False
        return self.key_hash == _hashed(self.digest, issuer.key_bits) and self.name_hash in (
            _hashed(self.digest, cert.issuer),
            _hashed(self.digest, issuer.subject),
        )


@dataclass(frozen=True, slots=True)
class OcspFacts:
    responder_name: bytes | None
    """Folded for comparison."""
    responder_key: bytes | None
    """SHA-1 of the key's bits."""
    produced_at: datetime
    singles: tuple[Single, ...]
    algorithm: Algorithm | None
    tbs: bytes
    value: bytes
    certs: tuple[Cert, ...]
    unknown_critical: tuple[str, ...]

    def is_responder(self, cert: Cert) -> bool:
        """ResponderID: by name or by key."""
        own = facts(cert)
        if self.responder_key is not None:
            return hashlib.sha1(own.key_bits, usedforsecurity=False).digest() == self.responder_key
        return own.subject_key == self.responder_name


@functools.lru_cache(maxsize=4096)
def _hashed(digest: str, data: bytes) -> bytes | None:
    try:
        h = hasher(digest)
    except Unacceptable:
        return None
    h.update(data)
    return bytes(h.digest())


@functools.lru_cache(maxsize=4096)
def ocsp_facts(ocsp: Ocsp) -> OcspFacts:
    """Malformed where the bytes are no BasicOCSPResponse."""
    outer = asn1.parse(ocsp.der, Rules.BER).fields()
    tbs, outside, value = outer.take(asn1.SEQUENCE), outer.take(asn1.SEQUENCE), outer.take(asn1.BIT_STRING)
    certs = outer.maybe(asn1.context(0))
    outer.done()
    fields = tbs.fields()
    fields.maybe(asn1.context(0))
    responder = fields.take(asn1.context(1), asn1.context(2))
    produced_at = fields.take(asn1.GENERALIZED_TIME).time()
    singles = fields.take(asn1.SEQUENCE).children
    extensions = fields.maybe(asn1.context(1))
    fields.done()
    by_name = responder.tag == asn1.context(1)
    return OcspFacts(
        responder_name=name_key(responder.only(asn1.SEQUENCE).raw) if by_name else None,
        responder_key=None if by_name else responder.only(asn1.OCTET_STRING).octets(),
        produced_at=produced_at,
        singles=tuple(_single(n) for n in singles),
        algorithm=identifiers.signature_algorithm(outside),
        tbs=tbs.raw,
        value=value.content[1:],
        certs=tuple(Cert(n.raw) for n in certs.only(asn1.SEQUENCE).children) if certs else (),
        unknown_critical=_unknown(_extensions(extensions)),
    )


def _single(node: Node) -> Single:
    fields = node.fields()
    of = fields.take(asn1.SEQUENCE).fields()
    algorithm, name_hash, key_hash, serial = of.take(asn1.SEQUENCE), of.take(*_OCTETS), of.take(*_OCTETS), of.take(asn1.INTEGER)
    of.done()
    status = fields.take(_GOOD, _REVOKED, _UNKNOWN, 0xA0, 0xA2)
    this_update = fields.take(asn1.GENERALIZED_TIME).time()
    next_update = fields.maybe(asn1.context(0))
    extensions = _extensions(fields.maybe(asn1.context(1)))
    fields.done()
    revoked_at, reason = _revocation(status) if status.tag == _REVOKED else (None, REASONS[0])
    cutoff, cert_hash = extensions.get(ARCHIVE_CUTOFF), extensions.get(CERT_HASH)
    return Single(
        digest=_digest_name(algorithm),
        name_hash=name_hash.octets(),
        key_hash=key_hash.octets(),
        serial=serial.content,
        known=status.tag in (_GOOD, 0xA0, _REVOKED),
        revoked_at=revoked_at,
        reason=reason,
        this_update=this_update,
        next_update=next_update.only(asn1.GENERALIZED_TIME).time() if next_update else None,
        archive_cutoff=asn1.parse(cutoff[1], Rules.BER).time() if cutoff else None,
        cert_hash=_cert_hash(cert_hash[1]) if cert_hash else None,
        unknown_critical=_unknown(extensions),
    )


def _digest_name(algorithm: Node) -> str | None:
    known = DIGEST_BY_OID.get(identifiers.algorithm_identifier(algorithm)[0])
    return known.name if known else None


def _revocation(status: Node) -> tuple[datetime, str]:
    fields = asn1.Fields(status.children)
    when = fields.take(asn1.GENERALIZED_TIME).time()
    reason = fields.maybe(asn1.context(0))
    fields.done()
    code = reason.only(asn1.ENUMERATED).small() if reason else 0
    return when, REASONS[code] if 0 <= code < len(REASONS) and REASONS[code] else REASONS[0]


def _cert_hash(value: bytes) -> tuple[str, bytes] | None:
    fields = asn1.parse(value, Rules.BER).fields()
    algorithm, digest = fields.take(asn1.SEQUENCE), fields.take(*_OCTETS)
    fields.done()
    known = DIGEST_BY_OID.get(identifiers.algorithm_identifier(algorithm)[0])
    return (known.name, digest.octets()) if known else None


def _extensions(node: Node | None) -> dict[str, tuple[bool, bytes]]:
    read = {}
    for extension in node.only(asn1.SEQUENCE).children if node else ():
        fields = extension.fields()
        oid = fields.take(asn1.OID).oid()
        critical = fields.maybe(asn1.BOOLEAN)
        read[oid] = (critical is not None and critical.boolean(), fields.take(asn1.OCTET_STRING).octets())
    return read


def _unknown(extensions: dict[str, tuple[bool, bytes]]) -> tuple[str, ...]:
    return tuple(oid for oid, (critical, _) in extensions.items() if critical and oid not in _UNDERSTOOD)
