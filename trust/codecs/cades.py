"""What CAdES attributes say (EN 319 122-1, TS 101 733, RFC 5126): claims of the signer, and validation data beside the signature.

Claims prove nothing, so one that cannot be read is left out. Errors: Malformed from the functions that say so, nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import OCTET_STRING, SEQUENCE, Node, context
from trust.codecs.signed_data import SIGNING_TIME, Attribute, SignerInfo, cert, ocsp_response
from trust.errors import Malformed
from trust.model import Cert, Claims, Crl, Digest, Ocsp

_AA = "1.2.840.113549.1.9.16.2."
COUNTER_SIGNATURE = "1.2.840.113549.1.9.6"
CONTENT_HINTS = _AA + "4"
SIGNATURE_TIME_STAMP = _AA + "14"
SIGNATURE_POLICY = _AA + "15"
COMMITMENT_TYPE = _AA + "16"
SIGNER_LOCATION = _AA + "17"
SIGNER_ATTRIBUTES = _AA + "18"
CONTENT_TIME_STAMP = _AA + "20"
CERTIFICATE_REFS = _AA + "21"
REVOCATION_REFS = _AA + "22"
CERTIFICATE_VALUES = _AA + "23"
REVOCATION_VALUES = _AA + "24"
ESC_TIME_STAMP = _AA + "25"
REFERENCES_TIME_STAMP = _AA + "26"
ARCHIVE_TIME_STAMP_V1 = _AA + "27"
ATTRIBUTE_CERTIFICATE_REFS = _AA + "44"
ATTRIBUTE_REVOCATION_REFS = _AA + "45"
ARCHIVE_TIME_STAMP_V2 = _AA + "48"
EVIDENCE_RECORD = _AA + "49"
EXTERNAL_EVIDENCE_RECORD = _AA + "50"
MIME_TYPE = "0.4.0.1733.2.1"
LONG_TERM_VALIDATION = "0.4.0.1733.2.2"
ARCHIVE_TIME_STAMP_V3 = "0.4.0.1733.2.4"
ATS_HASH_INDEX = "0.4.0.1733.2.5"
SIGNER_ATTRIBUTES_V2 = "0.4.0.19122.1.1"
SIGNATURE_POLICY_STORE = "0.4.0.19122.1.3"
ATS_HASH_INDEX_V2 = "0.4.0.19122.1.4"
ATS_HASH_INDEX_V3 = "0.4.0.19122.1.5"
ADOBE_REVOCATION = "1.2.840.113583.1.1.8"

_POLICY_URI = "1.2.840.113549.1.9.16.5.1"
_STRINGS = (asn1.UTF8, asn1.PRINTABLE, asn1.T61, asn1.IA5, asn1.VISIBLE, asn1.UNIVERSAL, asn1.BMP)


@dataclass(frozen=True, slots=True)
class ValidationData:
    """Certificates and revocation data that stand in attributes."""

    certs: tuple[Cert, ...] = ()
    crls: tuple[Crl, ...] = ()
    ocsps: tuple[Ocsp, ...] = ()

    def __or__(self, other: "ValidationData") -> "ValidationData":
        return ValidationData(self.certs + other.certs, self.crls + other.crls, self.ocsps + other.ocsps)


def values(info: SignerInfo) -> ValidationData:
    """certificate-values and revocation-values (EN 319 122-1 annex A.1), and Adobe's signed archive; what cannot be read is left out."""
    found = ValidationData()
    for attribute in (*info.unsigned, *info.signed_of(ADOBE_REVOCATION)):
        found |= values_of(attribute)
    return found


def values_of(attribute: Attribute) -> ValidationData:
    """The validation data in one attribute; empty for any other kind of attribute."""
    found = ValidationData()
    if (read := _VALUES.get(attribute.oid)) is not None:
        for value in attribute.values:
            try:
                found |= read(value)
            except Malformed:
                continue
    return found


def _certificate_values(node: Node) -> ValidationData:
    return ValidationData(certs=tuple(cert(n.expect(SEQUENCE).raw) for n in node.expect(SEQUENCE).children))


def _revocation_values(node: Node) -> ValidationData:
    """RevocationValues, and RevocationInfoArchival, which differs in that its OCSP answers are whole responses."""
    crls: list[Crl] = []
    ocsps: list[Ocsp] = []
    for choice in node.expect(SEQUENCE).children:
        if choice.tag == context(0):
            crls += [Crl(n.raw) for n in choice.only(SEQUENCE).children]
        elif choice.tag == context(1):
            ocsps += [found for n in choice.only(SEQUENCE).children if (found := ocsp_response(n.raw))]
    return ValidationData((), tuple(crls), tuple(ocsps))


_VALUES = {CERTIFICATE_VALUES: _certificate_values, REVOCATION_VALUES: _revocation_values, ADOBE_REVOCATION: _revocation_values}


def claims(info: SignerInfo) -> Claims:
    """What the signer says of time, place, role, commitment, policy and kind of content."""
    policy, digest, uri = _policy(info)
    return Claims(
        time=_time(info),
        place=_place(info),
        commitments=tuple(_commitments(info)),
        roles=tuple(_roles(info)),
        policy=policy,
        policy_digest=digest,
        policy_uri=uri,
        content_type=_content_type(info),
    )


def _time(info: SignerInfo) -> datetime | None:
    node = info.one(SIGNING_TIME)
    try:
        return None if node is None else node.time()
    except Malformed:
        return None


def _place(info: SignerInfo) -> str | None:
    """SignerLocation: countryName [0], localityName [1], postalAddress [2], each explicitly tagged."""
    node = info.one(SIGNER_LOCATION)
    try:
        parts = [] if node is None else [text for n in node.expect(SEQUENCE).children for text in _texts(n)]
    except Malformed:
        return None
    return ", ".join(reversed(parts)) or None


def _texts(node: Node) -> Iterator[str]:
    """Every character string below a node."""
    if node.constructed:
        for child in node.children:
            yield from _texts(child)
    elif node.tag in _STRINGS:
        yield node.text()


def _commitments(info: SignerInfo) -> Iterator[str]:
    for attribute in info.signed_of(COMMITMENT_TYPE):
        for value in attribute.values:
            try:
                yield value.fields().take(asn1.OID).oid()
            except Malformed:
                continue


def _roles(info: SignerInfo) -> Iterator[str]:
    """Claimed roles of signer-attributes and -v2: the strings in their claimedAttributes [0]."""
    for attribute in info.signed_of(SIGNER_ATTRIBUTES, SIGNER_ATTRIBUTES_V2):
        for value in attribute.values:
            try:
                claimed = [n for n in value.expect(SEQUENCE).children if n.tag == context(0)]
                yield from [text for n in claimed for text in _texts(n)]
            except Malformed:
                continue


def _policy(info: SignerInfo) -> tuple[str | None, Digest | None, str | None]:
    """SignaturePolicyIdentifier: identifier, digest (None where it is zero, empty or under an unknown algorithm) and where to find it."""
    node = info.one(SIGNATURE_POLICY)
    if node is None:
        return None, None, None
    if node.tag == asn1.NULL:
        return "implied", None, None
    try:
        fields = node.fields()
        name = fields.take(asn1.OID).oid()
        hashed, qualifiers = fields.maybe(SEQUENCE), fields.maybe(SEQUENCE)
        digest = None
        if hashed is not None:
            inner = hashed.fields()
            algorithm, value = identifiers.digest_name(inner.take(SEQUENCE)), inner.take(OCTET_STRING).content
            if algorithm is not None and value.strip(b"\0") not in (b"", b"0"):
                digest = Digest(algorithm, value)
        uri = None
        for qualifier in [] if qualifiers is None else qualifiers.children:
            parts = qualifier.fields()
            if parts.take(asn1.OID).oid() == _POLICY_URI:
                uri = parts.take(*_STRINGS).text()
    except Malformed:
        return "unreadable", None, None
    return name, digest, uri


def _content_type(info: SignerInfo) -> str | None:
    """mime-type, or else the description in content-hints."""
    try:
        if (node := info.one(MIME_TYPE)) is not None:
            return node.text() or None
        if (node := info.one(CONTENT_HINTS)) is not None:
            return next(_texts(node.expect(SEQUENCE)), None)
    except Malformed:
        return None
    return None


def reference_digests(info: SignerInfo) -> tuple[Digest, ...]:
    """The digests in complete-certificate-references and complete-revocation-references (EN 319 122-1 annex A.1.1); unreadable ones left out."""
    found: list[Digest] = []
    for attribute in info.unsigned_of(*_REFERENCES):
        for value in attribute.values:
            try:
                found += (
                    _certificate_digests(value) if attribute.oid in (CERTIFICATE_REFS, ATTRIBUTE_CERTIFICATE_REFS) else _revocation_digests(value)
                )
            except Malformed:
                continue
    return tuple(found)


def _certificate_digests(node: Node) -> list[Digest]:
    """SEQUENCE OF OtherCertID: its digest stands first."""
    return [d for n in node.expect(SEQUENCE).children if (d := _other_hash(n.fields().take())) is not None]


def _revocation_digests(node: Node) -> list[Digest]:
    """SEQUENCE OF CrlOcspRef: crlids [0] with the digest first, ocspids [1] with the digest second and optional."""
    found: list[Digest | None] = []
    for reference in node.expect(SEQUENCE).children:
        for choice in reference.expect(SEQUENCE).children:
            if choice.tag == context(0):
                found += [_other_hash(n.fields().take()) for n in choice.only(SEQUENCE).only(SEQUENCE).children]
            elif choice.tag == context(1):
                found += [_other_hash(n.children[1]) for n in choice.only(SEQUENCE).only(SEQUENCE).children if len(n.children) > 1]
    return [d for d in found if d is not None]


_REFERENCES = {
    CERTIFICATE_REFS: _certificate_digests,
    ATTRIBUTE_CERTIFICATE_REFS: _certificate_digests,
    REVOCATION_REFS: _revocation_digests,
    ATTRIBUTE_REVOCATION_REFS: _revocation_digests,
}


def _other_hash(node: Node) -> Digest | None:
    """OtherHash: a bare SHA-1 value, or algorithm and value."""
    if node.tag == OCTET_STRING:
        return Digest("sha1", node.content)
    fields = node.fields()
    algorithm = identifiers.digest_name(fields.take(SEQUENCE))
    return Digest(algorithm, fields.take(OCTET_STRING).content) if algorithm else None


@dataclass(frozen=True, slots=True)
class HashIndex:
    """ATSHashIndex, -v2 or -v3 (EN 319 122-1 clause 5.5.2, TS 101 733 clause 6.4.2)."""

    node: Node
    version: int
    algorithm: str
    certs: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    attributes: tuple[bytes, ...]


_INDEX_VERSION = {ATS_HASH_INDEX: 1, ATS_HASH_INDEX_V2: 2, ATS_HASH_INDEX_V3: 3}


def hash_index(token_signer: SignerInfo) -> HashIndex | None:
    """The one hash index among the unsigned attributes of an archive token; None where there is none or several. Malformed when it cannot be read."""
    found = token_signer.unsigned_of(*_INDEX_VERSION)
    if len(found) != 1 or len(found[0].values) != 1:
        return None
    node = found[0].values[0].expect(SEQUENCE)
    children = node.children
    # hashIndAlgorithm, SHA-256 when absent, stands first; the lists hold octet strings, so an identifier inside tells it from them.
    algorithm: str | None = "sha256"
    if children and children[0].tag == SEQUENCE and children[0].children and children[0].children[0].tag == asn1.OID:
        algorithm, children = identifiers.digest_name(children[0]), children[1:]
    if algorithm is None:
        raise Malformed("archive hash index: unknown digest algorithm")
    if len(children) != 3:
        raise Malformed(f"archive hash index: three lists expected, got {len(children)}")
    lists = [tuple(n.expect(OCTET_STRING).content for n in part.expect(SEQUENCE).children) for part in children]
    return HashIndex(node, _INDEX_VERSION[found[0].oid], algorithm, lists[0], lists[1], lists[2])


def indexed_octets(attribute: Attribute, version: int) -> list[bytes]:
    """What a hash index of this version hashes of an unsigned attribute: type and one value for each value (v3), or the whole Attribute."""
    if version < 3:
        return [attribute.node.raw]
    kind = attribute.node.children[0].raw
    return [kind + value.raw for value in attribute.values]
