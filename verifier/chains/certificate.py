"""What a certificate says of itself (RFC 5280 section 4), read once: values, no judgement.

Real certificates of twenty years break DER and each other's rules, so the reading is tolerant (BER) and what it cannot read is a `defect`:
no chain through such a certificate holds.
"""

import functools
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from trust import algorithms
from trust.algorithms import Algorithm
from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import Node, Rules
from trust.errors import KakuinError, Malformed
from trust.model import Cert

_CE = "2.5.29."
BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE = _CE + "19", _CE + "15", _CE + "37"
SUBJECT_KEY_IDENTIFIER, AUTHORITY_KEY_IDENTIFIER = _CE + "14", _CE + "35"
SUBJECT_ALTERNATIVE_NAME, NAME_CONSTRAINTS = _CE + "17", _CE + "30"
CERTIFICATE_POLICIES, POLICY_MAPPINGS, POLICY_CONSTRAINTS, INHIBIT_ANY_POLICY = _CE + "32", _CE + "33", _CE + "36", _CE + "54"
CRL_DISTRIBUTION_POINTS, FRESHEST_CRL, AUTHORITY_INFORMATION_ACCESS = _CE + "31", _CE + "46", "1.3.6.1.5.5.7.1.1"
NO_CHECK, NO_REV_AVAIL, SHORT_TERM = "1.3.6.1.5.5.7.48.1.5", _CE + "56", "0.4.0.194121.2.1"
QC_STATEMENTS = "1.3.6.1.5.5.7.1.3"
TIME_STAMPING, OCSP_SIGNING, ANY_PURPOSE = "1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.9", "2.5.29.37.0"
CA_ISSUERS, OCSP_ACCESS = "1.3.6.1.5.5.7.48.2", "1.3.6.1.5.5.7.48.1"

UNDERSTOOD = frozenset(
    {
        BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, SUBJECT_KEY_IDENTIFIER, AUTHORITY_KEY_IDENTIFIER, SUBJECT_ALTERNATIVE_NAME,
        NAME_CONSTRAINTS, CERTIFICATE_POLICIES, POLICY_MAPPINGS, POLICY_CONSTRAINTS, INHIBIT_ANY_POLICY, CRL_DISTRIBUTION_POINTS,
        AUTHORITY_INFORMATION_ACCESS, NO_CHECK, NO_REV_AVAIL, QC_STATEMENTS,
        # The Japanese commercial register (商業登記) marks these critical: policies, registrar, registered corporation. They narrow nothing.
        "1.2.392.100300.1.1.1", "1.2.392.100300.1.1.2", "1.2.392.100300.1.1.3",
    }
)  # fmt: skip
"""Extensions that may be critical, because they are obeyed here or narrow nothing."""

USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
"""RFC 5280 section 4.2.1.3, by bit."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one certificate."""

    version: int
    serial: bytes
    """Content octets as they stand."""
    subject: bytes
    issuer: bytes
    """DER Names as they stand."""
    subject_key: bytes
    issuer_key: bytes
    """The names, folded for comparison (`name_key`)."""
    not_before: datetime
    not_after: datetime
    key: PublicKeyTypes | None
    spki: bytes
    key_bits: bytes
    """The subjectPublicKey's bits: what OCSP hashes."""
    algorithm: Algorithm | None
    tbs: bytes
    value: bytes
    defects: tuple[str, ...]
    """Rules of RFC 5280 section 4 that it breaks so that it cannot be relied upon."""
    extensions: dict[str, tuple[bool, bytes]]
    """OID -> critical, value."""
    ca: bool
    path_length: int | None
    key_usage: frozenset[str] | None
    purposes: frozenset[str] | None
    key_identifier: bytes | None
    authority_key_identifier: bytes | None
    bits: int
    """Key size as the timetables count it; 0 for a key that cannot sign."""

    @property
    def self_issued(self) -> bool:
        return self.subject_key == self.issuer_key

    @property
    def unknown_critical(self) -> tuple[str, ...]:
        return tuple(oid for oid, (critical, _) in self.extensions.items() if critical and oid not in UNDERSTOOD)

    def has(self, oid: str) -> bool:
        return oid in self.extensions


@functools.lru_cache(maxsize=8192)
def facts(cert: Cert) -> Facts:
    """Malformed where the bytes are no certificate at all."""
    outer = asn1.parse(cert.der, Rules.BER).fields()
    tbs, outside, value = outer.take(asn1.SEQUENCE), outer.take(asn1.SEQUENCE), outer.take(asn1.BIT_STRING)
    outer.done()
    fields = tbs.fields()
    version = fields.maybe(asn1.context(0))
    serial = fields.take(asn1.INTEGER)
    inside = fields.take(asn1.SEQUENCE)
    issuer = fields.take(asn1.SEQUENCE).raw
    start, end = (n.time() for n in fields.take(asn1.SEQUENCE).children[:2])
    subject = fields.take(asn1.SEQUENCE).raw
    spki = fields.take(asn1.SEQUENCE)
    fields.maybe(0x81, 0xA1)
    fields.maybe(0x82, 0xA2)
    extensions = fields.maybe(asn1.context(3))
    fields.done()
    defects: list[str] = []
    number = version.only(asn1.INTEGER).small() + 1 if version else 1
    if extensions and number < 3:
        defects.append(f"version {number} has extensions")
    if inside.raw != outside.raw:
        defects.append("signature algorithms inside and outside differ")
    if _spelled_out(spki):
        defects.append("elliptic curve is spelled out")
    read = _extensions(extensions, defects)
    neither: tuple[bool, int | None] = (False, None)
    ca, path_length = _tried(defects, "basicConstraints", _basic_constraints, read.get(BASIC_CONSTRAINTS), neither)
    key = public_key(spki.raw)
    return Facts(
        version=number,
        serial=serial.content,
        subject=subject,
        issuer=issuer,
        subject_key=name_key(subject),
        issuer_key=name_key(issuer),
        not_before=start,
        not_after=end,
        key=key,
        spki=spki.raw,
        key_bits=spki.children[1].content[1:],
        algorithm=_tried([], "", identifiers.signature_algorithm, outside, None),
        tbs=tbs.raw,
        value=value.content[1:],
        extensions=read,
        ca=ca,
        path_length=path_length,
        key_usage=_tried(defects, "keyUsage", _usages, read.get(KEY_USAGE), None),
        purposes=_tried(defects, "extKeyUsage", _purposes, read.get(EXTENDED_KEY_USAGE), None),
        key_identifier=_tried([], "", lambda v: asn1.parse(v[1], Rules.BER).octets(), read.get(SUBJECT_KEY_IDENTIFIER), None),
        authority_key_identifier=_tried([], "", _authority_key, read.get(AUTHORITY_KEY_IDENTIFIER), None),
        defects=tuple(defects),
        bits=_bits(key),
    )


def _bits(key: PublicKeyTypes | None) -> int:
    try:
        return algorithms.key_strength(key)[1] if key is not None else 0
    except KakuinError:
        return 0


_Given = TypeVar("_Given")
_Read = TypeVar("_Read")


def _tried(defects: list[str], what: str, reading: Callable[[_Given], _Read], given: _Given | None, otherwise: _Read) -> _Read:
    """`reading(given)`; where it cannot be read, a defect and `otherwise`."""
    if given is None:
        return otherwise
    try:
        return reading(given)
    except (Malformed, IndexError, ValueError):
        defects.append(f"{what} cannot be read")
        return otherwise


def _extensions(node: Node | None, defects: list[str]) -> dict[str, tuple[bool, bytes]]:
    read: dict[str, tuple[bool, bytes]] = {}
    for extension in node.only(asn1.SEQUENCE).children if node else ():
        fields = extension.fields()
        oid = fields.take(asn1.OID).oid()
        critical = fields.maybe(asn1.BOOLEAN)
        value = fields.take(asn1.OCTET_STRING, asn1.OCTET_STRING | 0x20).octets()
        fields.done()
        if oid in read:
            defects.append(f"extension {oid} stands there twice")
        read[oid] = (critical is not None and critical.boolean(), value)
    return read


def _spelled_out(spki: Node) -> bool:
    """RFC 5480 section 2.1.1: a curve is named; whoever gives its parameters can choose a generator for which he knows the key (CVE-2020-0601)."""
    parts = spki.children[0].children if spki.children else []
    ec = bool(parts) and parts[0].tag == asn1.OID and parts[0].oid() == "1.2.840.10045.2.1"
    return ec and any(part.tag != asn1.OID for part in parts[1:])


def public_key(spki: bytes) -> PublicKeyTypes | None:
    """None where the key's type is not known here."""
    try:
        return load_der_public_key(spki)
    except Exception:  # noqa: BLE001  # ValueError, UnsupportedAlgorithm and others, by key type: a stranger's key proves nothing
        return _odd_rsa_key(spki)


def _odd_rsa_key(spki: bytes) -> PublicKeyTypes | None:
    """An RSA key whose modulus is not a minimal positive INTEGER: a whole generation of Estonian identity cards has such certificates."""
    try:
        algorithm, bits = asn1.parse(spki, Rules.BER).children
        if algorithm.children[0].oid() != "1.2.840.113549.1.1.1":
            return None
        modulus, exponent = asn1.parse(bits.bits(), Rules.BER).expect(asn1.SEQUENCE).children
        numbers = (int.from_bytes(n.expect(asn1.INTEGER).content, "big") for n in (exponent, modulus))
        return RSAPublicNumbers(*numbers).public_key()
    except (Malformed, ValueError, IndexError):
        return None


def _basic_constraints(extension: tuple[bool, bytes]) -> tuple[bool, int | None]:
    fields = asn1.parse(extension[1], Rules.BER).fields()
    ca, length = fields.maybe(asn1.BOOLEAN), fields.maybe(asn1.INTEGER)
    fields.done()
    return ca is not None and ca.boolean(), length.small() if length else None


def _usages(extension: tuple[bool, bytes]) -> frozenset[str]:
    body = asn1.parse(extension[1], Rules.BER).expect(asn1.BIT_STRING).content[1:]
    return frozenset(name for i, name in enumerate(USAGES) if i // 8 < len(body) and body[i // 8] & 0x80 >> i % 8)


def _purposes(extension: tuple[bool, bytes]) -> frozenset[str]:
    return frozenset(n.expect(asn1.OID).oid() for n in asn1.parse(extension[1], Rules.BER).expect(asn1.SEQUENCE).children)


def _authority_key(extension: tuple[bool, bytes]) -> bytes | None:
    first = asn1.parse(extension[1], Rules.BER).fields().maybe(0x80)
    return first.content if first else None


@functools.lru_cache(maxsize=8192)
def name_key(name: bytes) -> bytes:
    """A DER Name folded for comparison (RFC 5280 section 7.1): strings of any type without case, outer and repeated spaces; the rest as it stands."""
    try:
        rdns = []
        for rdn in asn1.parse(name, Rules.BER).expect(asn1.SEQUENCE).children:
            pairs = sorted(_folded(pair) for pair in rdn.expect(asn1.SET).children)
            rdns.append(b"".join(asn1.tlv(asn1.SEQUENCE, pair) for pair in pairs))
        return b"".join(asn1.tlv(asn1.SET, rdn) for rdn in rdns)
    except (Malformed, IndexError, ValueError):
        return b"\0" + name


_STRINGS = {asn1.UTF8, asn1.PRINTABLE, asn1.T61, asn1.IA5, asn1.VISIBLE, asn1.UNIVERSAL, asn1.BMP}


def _folded(pair: Node) -> bytes:
    kind, value = pair.expect(asn1.SEQUENCE).children
    if value.tag not in _STRINGS:
        return kind.raw + value.raw
    text = " ".join(unicodedata.normalize("NFKC", value.text()).casefold().split())
    return kind.raw + asn1.tlv(asn1.UTF8, text.encode("utf-8", "surrogatepass"))


def signed_by(cert: Cert, issuer: Cert) -> bool:
    """Whether the issuer's key made the signature on the certificate: no word about names, extensions or time."""
    return _signed_by(cert, facts(issuer).spki)


@functools.lru_cache(maxsize=16384)
def _signed_by(cert: Cert, spki: bytes) -> bool:
    return verifies(public_key(spki), facts(cert).algorithm, facts(cert).value, facts(cert).tbs)


def verifies(key: PublicKeyTypes | None, algorithm: Algorithm | None, value: bytes, signed: bytes) -> bool:
    """`trust.algorithms.verify`, where an unknown key or algorithm verifies nothing."""
    if key is None or algorithm is None:
        return False
    try:
        return algorithms.verify(key, algorithm, value, signed)
    except KakuinError:
        return False


def is_key_and_name(cert: Cert, other: Cert) -> bool:
    """Whether both are certificates of the same name and key: what makes a trust anchor (RFC 5280 section 6.1.1 d)."""
    return cert == other or (facts(cert).spki == facts(other).spki and facts(cert).subject_key == facts(other).subject_key)


def readable(certs: Iterable[Cert]) -> tuple[Cert, ...]:
    """Those that are certificates at all, in an order that does not depend on hashing."""
    found = {c for c in certs if _readable(c)}
    return tuple(sorted(found, key=lambda c: c.id) if len(found) > 1 else found)


@functools.lru_cache(maxsize=8192)
def _readable(cert: Cert) -> bool:
    try:
        facts(cert)
    except (Malformed, IndexError, ValueError):
        return False
    return True
