"""Who signed a CMS: the signing-certificate attributes (RFC 2634, RFC 5035) and the signer identifier, held against candidates.

Errors: Malformed, nothing else.
"""

import functools
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import INTEGER, OCTET_STRING, SEQUENCE, SET, Node, Rules, context
from trust.codecs.signed_data import SignerInfo
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Digest, SignerReference

SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_OCTETS = (OCTET_STRING, OCTET_STRING | 0x20)


@functools.lru_cache(maxsize=512)
def certificate_identity(der: bytes) -> tuple[bytes, int, bytes | None] | None:
    """DER issuer, serial number and subject key identifier of a certificate; None when it is none."""
    try:
        tbs = asn1.parse(der, Rules.BER).fields().take(SEQUENCE).fields()
        tbs.maybe(context(0))
        serial = tbs.take(INTEGER).integer()
        tbs.take(SEQUENCE)
        issuer = tbs.take(SEQUENCE).raw
        key_id = None
        for extras in tbs.rest():
            if extras.tag == context(3):
                for extension in extras.only(SEQUENCE).children:
                    if extension.children[0].oid() == "2.5.29.14":
                        key_id = asn1.parse(extension.children[-1].octets()).expect(OCTET_STRING).content
    except (Malformed, IndexError):
        return None
    return issuer, serial, key_id


@dataclass(frozen=True, slots=True)
class CertReference:
    """An ESSCertID, ESSCertIDv2 or OtherCertID: the digest of a certificate, and who issued it under which number."""

    digest: Digest | None
    """None where the digest algorithm is unknown here."""
    issuer: Node | None
    """Name of the one directoryName in issuerSerial."""
    serial: int | None


def ess_cert_id(node: Node, *, v2: bool) -> CertReference:
    """RFC 5035 section 4: ESSCertIDv2, or ESSCertID whose digest is SHA-1."""
    fields = node.fields()
    algorithm: str | None = "sha1"
    if v2:
        found = fields.maybe(SEQUENCE) if node.children[:1] and node.children[0].tag == SEQUENCE else None
        algorithm = "sha256" if found is None else identifiers.digest_name(found)
    value = fields.take(*_OCTETS).octets()
    issuer, serial = issuer_serial(fields.maybe(SEQUENCE))
    fields.done()
    return CertReference(None if algorithm is None else Digest(algorithm, value), issuer, serial)


def issuer_serial(node: Node | None) -> tuple[Node | None, int | None]:
    """IssuerSerial of RFC 5035: GeneralNames with one directoryName [4], and the serial number."""
    if node is None:
        return None, None
    fields = node.fields()
    names, serial = fields.take(SEQUENCE).children, fields.take(INTEGER).integer()
    issuers = [n.only(SEQUENCE) for n in names if n.tag == context(4)]
    return issuers[0] if len(issuers) == 1 else None, serial


def signing_certificates(info: SignerInfo) -> tuple[tuple[CertReference, ...], ...]:
    """The references of each signing-certificate (v1, v2) attribute value, in order; an attribute that cannot be read gives an empty one."""
    return tuple(
        _references(value.raw, value.rules, value.depth, attribute.oid)
        for attribute in info.signed_of(SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2)
        for value in attribute.values
    )


@functools.lru_cache(maxsize=64)
def _references(raw: bytes, rules: Rules, depth: int, oid: str) -> tuple[CertReference, ...]:
    """The same in every token of a unit."""
    try:
        ids = asn1.parse_inner(raw, rules, depth).fields().take(SEQUENCE).children
        return tuple(ess_cert_id(n, v2=oid == SIGNING_CERTIFICATE_V2) for n in ids)
    except Malformed:
        return ()


def same_name(left: bytes, right: bytes) -> bool:
    """RFC 5280 section 7.1: names are compared by their text, without regard to string type, case and runs of spaces."""
    return left == right or _name_key(left) == _name_key(right)


@functools.lru_cache(maxsize=256)
def _name_key(der: bytes) -> tuple[frozenset[tuple[str, str]], ...] | bytes:
    try:
        name = asn1.parse(der, Rules.BER).expect(SEQUENCE)
        return tuple(
            frozenset((pair.children[0].oid(), " ".join(pair.children[1].text().casefold().split())) for pair in rdn.expect(SET).children)
            for rdn in name.children
        )
    except (Malformed, IndexError):
        return der


def names_issuer(reference: CertReference, candidate: Cert) -> bool | None:
    """Whether the reference's issuer and serial are the certificate's; None when it has none."""
    if reference.serial is None:
        return None
    identity = certificate_identity(candidate.der)
    if identity is None or reference.issuer is None:
        return False
    return identity[1] == reference.serial and same_name(reference.issuer.raw, identity[0])


def has_digest(reference: CertReference, data: bytes) -> bool:
    if reference.digest is None:
        return False
    try:
        return hmac.compare_digest(Digest.of(reference.digest.algorithm, data).value, reference.digest.value)
    except Unacceptable:
        return False


def _has_digest_of(reference: CertReference, candidate: Cert) -> bool:
    """The same of a certificate, whose SHA-256 is known."""
    if reference.digest is not None and reference.digest.algorithm == "sha256":
        return hmac.compare_digest(candidate.id, reference.digest.value)
    return has_digest(reference, candidate.der)


def identifies(info: SignerInfo, candidate: Cert) -> bool:
    """Whether the signer identifier names this certificate (RFC 5652 section 5.3)."""
    identity = certificate_identity(candidate.der)
    if identity is None:
        return False
    if info.issuer is not None:
        return identity[1] == info.serial and same_name(info.issuer.raw, identity[0])
    return identity[2] is not None and identity[2] == info.key_id


def signer_of(info: SignerInfo, candidates: Iterable[Cert]) -> tuple[Cert | None, SignerReference]:
    """The signing certificate among the candidates: the one whose digest is signed, or else the one that the signer identifier names."""
    attributes = signing_certificates(info)
    firsts = [ids[0] for ids in attributes if ids]
    pool = tuple(candidates)
    signer = next((c for first in firsts[:1] for c in pool if _has_digest_of(first, c)), None) or next((c for c in pool if identifies(info, c)), None)
    if not attributes:
        return signer, SignerReference(0)
    algorithm = firsts[0].digest.algorithm if firsts and firsts[0].digest else None
    if signer is None or len(firsts) < len(attributes):
        return signer, SignerReference(len(attributes), False, None, algorithm)
    matches = all(_has_digest_of(first, signer) for first in firsts)
    issued = [names_issuer(first, signer) for first in firsts]
    serials = None if all(i is None for i in issued) else all(i is not False for i in issued)
    return signer, SignerReference(len(attributes), matches, serials, algorithm)
