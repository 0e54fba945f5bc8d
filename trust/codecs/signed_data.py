"""CMS SignedData and SignerInfo (RFC 5652): bytes to values that still know where they stand in the bytes.

The envelope is let through as BER, because Adobe, Bouncy Castle's streams and Microsoft write indefinite lengths and split
octet strings. What is hashed for the signature is the DER encoding of the signed attributes as a SET OF (RFC 5652 section 5.4),
whatever order they stand in: a maker who signed another order made a broken signature, as EU DSS has it too.
Errors: Malformed, nothing else.
"""

import functools
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trust.algorithms import Algorithm
from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import INTEGER, OCTET_STRING, SEQUENCE, SET, Node, Rules, context
from trust.errors import Malformed, TooLarge
from trust.model import Cert, Crl, Defect, Document, Ocsp
from trust.streams import Blocks, Window

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"

CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52"

_BASIC_OCSP = "1.3.6.1.5.5.7.48.1.1"
_OCSP_RESPONSE = "1.3.6.1.5.5.7.16.2"
_OCTETS = (OCTET_STRING, OCTET_STRING | 0x20)

IN_MEMORY = 16 << 20
"""Bytes of a CMS file that is held in memory."""
MAX_SIGNERS = 2_000
"""Signers of one SignedData: parallel signatures of real files stay under ten."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An Attribute of RFC 5652: its type and values."""

    oid: str
    values: tuple[Node, ...]
    node: Node


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """RFC 5652 section 5.3. Exactly one of `issuer` with `serial`, and `key_id`, is there."""

    node: Node
    version: int
    issuer: Node | None
    serial: int | None
    key_id: bytes | None
    digest: str | None
    """hashlib's name; None when unknown here."""
    signed: tuple[Attribute, ...]
    signed_der: bytes | None
    """The DER SET OF that the key signed; None where the signature is over the content itself."""
    algorithm: Algorithm | None
    value: bytes
    unsigned: tuple[Attribute, ...]
    defects: tuple[Defect, ...] = ()

    def signed_of(self, *oids: str) -> tuple[Attribute, ...]:
        """Signed attributes of these types."""
        return tuple(a for a in self.signed if a.oid in oids)

    def one(self, oid: str) -> Node | None:
        """The single value of a signed attribute; None when there is none or more than one."""
        found = [value for attribute in self.signed if attribute.oid == oid for value in attribute.values]
        return found[0] if len(found) == 1 else None

    def unsigned_of(self, *oids: str) -> tuple[Attribute, ...]:
        """Unsigned attributes of these types."""
        return tuple(a for a in self.unsigned if a.oid in oids)

    @property
    def message_digest(self) -> bytes | None:
        found = self.one(MESSAGE_DIGEST)
        return found.octets() if found is not None and found.tag in _OCTETS else None


@dataclass(frozen=True, slots=True)
class SignedData:
    """RFC 5652 section 5.1."""

    node: Node
    version: int
    digests: tuple[str | None, ...]
    content_type: str
    encapsulated: Node
    content: Node | None
    """The OCTET STRING (or, in PKCS #7, whatever stands there); None when detached."""
    certificates: Node | None
    revocations: Node | None
    certs: tuple[Cert, ...]
    attribute_certs: tuple[bytes, ...]
    crls: tuple[Crl, ...]
    ocsps: tuple[Ocsp, ...]
    signers: tuple[SignerInfo, ...]

    def content_pieces(self) -> Iterable[bytes]:
        """What the message digest is computed over: the OCTET STRING's bytes, or (PKCS #7 with another type) the content octets of the value."""
        if self.content is None:
            return ()
        return self.content.pieces() if self.content.tag in _OCTETS else (self.content.content,)

    @property
    def attached(self) -> Document | None:
        """The same as a document, which is read where it lies; None when detached."""
        content = self.content
        if content is None or not isinstance(content.data, Blocks):
            return None if content is None else Document.of(b"".join(self.content_pieces()))
        source, ranges = content.data, tuple(content.ranges() if content.tag in _OCTETS else ((content.body, content.end),))
        size = sum(end - start for start, end in ranges)
        return Document(None, size, lambda: io.BufferedReader(Window(source, ranges), Document.CHUNK))


def content_info(document: Document, most: int) -> Node:
    """The ContentInfo that a document is: in memory where it is small, else read from where it lies as far as it is asked for, its content last.

    TooLarge above `most` bytes."""
    if document.size is None or document.size <= IN_MEMORY:
        return asn1.parse(document.read(most), Rules.BER)
    if document.size > most:
        raise TooLarge(f"a CMS file of at most {most} bytes is read, got {document.size}")
    return asn1.parse(Blocks(document.open, document.size), Rules.BER)


@functools.lru_cache(maxsize=512)
def cert(der: bytes) -> Cert:
    """The same Cert for the same bytes: its faces are made once for all the tokens and files that carry it."""
    return Cert(der)


def signed_data(der: bytes | Node) -> SignedData:
    """A ContentInfo that holds a SignedData."""
    node = asn1.parse(der, Rules.BER) if isinstance(der, bytes) else der
    info = node.fields()
    if (kind := info.take(asn1.OID).oid()) != SIGNED_DATA:
        raise Malformed(f"CMS: content type {SIGNED_DATA} (signed data) expected, got {kind}")
    signed = info.take(context(0)).only(SEQUENCE)
    info.done()
    fields = signed.fields()
    version = fields.take(INTEGER).small()
    digests = tuple(identifiers.digest_name(n) for n in fields.take(SET).children)
    encapsulated = fields.take(SEQUENCE)
    inner = encapsulated.fields()
    content_type = inner.take(asn1.OID).oid()
    wrapped = inner.maybe(context(0))
    inner.done()
    certificates = fields.maybe(context(0))
    revocations = fields.maybe(context(1))
    infos = fields.take(SET).children
    fields.done()
    if len(infos) > MAX_SIGNERS:
        raise Malformed(f"CMS: at most {MAX_SIGNERS} signers, got {len(infos)}")
    certs, others = _certificates(certificates)
    crls, ocsps = _revocations(revocations)
    return SignedData(
        signed,
        version,
        digests,
        content_type,
        encapsulated,
        None if wrapped is None else wrapped.only(),
        certificates,
        revocations,
        certs,
        others,
        crls,
        ocsps,
        tuple(signer_info(n) for n in infos),
    )


def _certificates(node: Node | None) -> tuple[tuple[Cert, ...], tuple[bytes, ...]]:
    """CertificateSet: certificates, and the attribute certificates and other formats beside them, kept as bytes."""
    children = [] if node is None else node.children
    certs = tuple(cert(n.raw) for n in children if n.tag == SEQUENCE)
    return certs, tuple(n.raw for n in children if n.tag != SEQUENCE)


def _revocations(node: Node | None) -> tuple[tuple[Crl, ...], tuple[Ocsp, ...]]:
    """RevocationInfoChoices (RFC 5652 section 10.2.1): CRLs, and OCSP answers as RFC 5940 and EN 319 122-1 clause 5.4.2.2 put them there."""
    crls: list[Crl] = []
    ocsps: list[Ocsp] = []
    for child in [] if node is None else node.children:
        if child.tag == SEQUENCE:
            crls.append(Crl(child.raw))
        elif child.tag == context(1) and len(child.children) == 2:
            kind, value = child.children[0].oid(), child.children[1].raw
            if kind == _BASIC_OCSP:
                ocsps.append(Ocsp(value))
            elif kind == _OCSP_RESPONSE and (found := ocsp_response(value)):
                ocsps.append(found)
    return tuple(crls), tuple(ocsps)


def ocsp_response(der: bytes) -> Ocsp | None:
    """The basic answer inside an OCSPResponse (RFC 6960 section 4.2.1), or bare; None when it is neither or reports an error."""
    try:
        node = asn1.parse(der, Rules.BER).expect(SEQUENCE)
        if node.children and node.children[0].tag == SEQUENCE:
            return Ocsp(der)
        fields = node.fields()
        if fields.take(asn1.ENUMERATED).content != b"\0":
            return None
        body = fields.take(context(0)).only(SEQUENCE).fields()
        return Ocsp(body.take(OCTET_STRING).content) if body.take(asn1.OID).oid() == _BASIC_OCSP else None
    except Malformed:
        return None


def signer_info(node: Node) -> SignerInfo:
    """One SignerInfo; also what a counter-signature attribute holds."""
    fields = node.fields()
    version = fields.take(INTEGER).small()
    sid = fields.take(SEQUENCE, context(0), context(0) & ~0x20)
    short = sid.stop - sid.start <= _SHORT
    issuer, serial, key_id = _short_identifier(sid.raw, sid.rules, sid.depth) if short else _signer_identifier(sid)
    digest_id = fields.take(SEQUENCE)
    digest = identifiers.digest_name(digest_id)
    signed = fields.maybe(context(0))
    algorithm_id = fields.take(SEQUENCE)
    algorithm = identifiers.signature_algorithm(algorithm_id, digest)
    value = fields.take(*_OCTETS).octets()
    if identifiers.is_plain_ecdsa(algorithm_id):
        value = identifiers.ecdsa_der(value)
    unsigned = fields.maybe(context(1))
    fields.done()
    defects: list[Defect] = []
    signed_der = None
    attributes: tuple[Attribute, ...] = ()
    if signed is not None:
        attributes, signed_der = _signed_attributes(signed)
        if signed_der[1:] != signed.raw[1:]:
            defects.append(Defect("RFC 5652 section 5.3", "signed attributes are not DER encoded", fatal=False))
    if algorithm is not None and algorithm.digest is not None and algorithm.digest != digest:
        # Section 5.4 hashes with digestAlgorithm; a signature algorithm that names another hash is a contradiction that no verifier resolves.
        defects.append(Defect("RFC 5652 section 5.3", f"digest algorithm is {digest}, but the signature algorithm says {algorithm.digest}"))
        algorithm = None
    if (why := _unprotected(attributes, digest_id, algorithm_id)) is not None:
        defects.append(Defect("RFC 6211 section 2", why))
        algorithm = None
    if signed is not None:
        defects += _attribute_defects(attributes)
    return SignerInfo(node, version, issuer, serial, key_id, digest, attributes, signed_der, algorithm, value, _attributes(unsigned), tuple(defects))


@functools.lru_cache(maxsize=256)
def _short_identifier(raw: bytes, rules: Rules, depth: int) -> tuple[Node | None, int | None, bytes | None]:
    return _signer_identifier(asn1.parse_inner(raw, rules, depth))


def _signer_identifier(node: Node) -> tuple[Node | None, int | None, bytes | None]:
    if node.tag != SEQUENCE:
        return None, None, node.only(OCTET_STRING).content if node.constructed else node.content
    fields = node.fields()
    issuer, serial = fields.take(SEQUENCE), fields.take(INTEGER).integer()
    fields.done()
    return issuer, serial, None


def _attributes(node: Node | None) -> tuple[Attribute, ...]:
    return tuple(_attribute(child) for child in ([] if node is None else node.children))


def _attribute(node: Node) -> Attribute:
    fields = node.fields()
    oid, values = fields.take(asn1.OID).oid(), fields.take(SET)
    fields.done()
    return Attribute(oid, tuple(values.children), node)


def _signed_attributes(node: Node) -> tuple[tuple[Attribute, ...], bytes]:
    """The attributes, and their DER as a SET OF (RFC 5652 section 5.4).

    All but two of a unit's signed attributes are the same in each of its tokens: short ones are read once.
    """
    both = []
    for child in node.children:
        if child.stop - child.start > _SHORT or child.data.startswith(_MESSAGE_DIGEST_HEAD, child.body):
            both.append(_encoded(child))
        else:
            both.append(_short_attribute(child.raw, child.rules, child.depth))
    return tuple(attribute for attribute, _ in both), asn1.tlv(SET, b"".join(sorted(encoded for _, encoded in both)))


_MESSAGE_DIGEST_HEAD = asn1.tlv(asn1.OID, asn1.oid_content(MESSAGE_DIGEST))
_SHORT = 1024
"""Bytes of an attribute that is kept: a reference to a certificate, with its issuer's name, has some 200."""


@functools.lru_cache(maxsize=512)
def _short_attribute(raw: bytes, rules: Rules, depth: int) -> tuple[Attribute, bytes]:
    return _encoded(asn1.parse_inner(raw, rules, depth))


def _encoded(node: Node) -> tuple[Attribute, bytes]:
    """An attribute, and its DER: as it stands, where it is one primitive value and all lengths are short."""
    attribute = _attribute(node)
    value = attribute.values[0] if len(attribute.values) == 1 else node
    inside = () if value.constructed else (node, *node.children, value)
    plain = inside and all(n.body - n.start == 2 and n.stop == n.end for n in inside)
    return attribute, node.raw if plain else asn1.der(node)


def _attribute_defects(signed: Sequence[Attribute]) -> list[Defect]:
    """RFC 5652 section 11: content-type, message-digest and signing-time stand at most once, with one value; message-digest must be there."""
    found = []
    for oid, name, least in ((CONTENT_TYPE, "content-type", 0), (MESSAGE_DIGEST, "message-digest", 1), (SIGNING_TIME, "signing-time", 0)):
        attributes = [a for a in signed if a.oid == oid]
        if not least <= len(attributes) <= 1 or any(len(a.values) != 1 for a in attributes):
            found.append(Defect("RFC 5652 section 11", f"{name} attribute: one with one value expected, got {len(attributes)}"))
    return found


def _unprotected(attributes: Sequence[Attribute], digest_id: Node, algorithm_id: Node) -> str | None:
    """RFC 6211 section 2: the algorithms that the signer protected are those of the SignerInfo."""
    found = [a for a in attributes if a.oid == ALGORITHM_PROTECTION]
    if not found:
        return None
    if len(found) > 1 or len(found[0].values) != 1:
        return "algorithm protection attribute stands more than once"
    fields = found[0].values[0].fields()
    digest, signature = fields.take(SEQUENCE), fields.maybe(context(1))
    if _algorithm_key(digest) != _algorithm_key(digest_id) or (signature is not None and _algorithm_key(signature) != _algorithm_key(algorithm_id)):
        return "the protected algorithms are not those of the signature"
    return None


def _algorithm_key(node: Node) -> tuple[str, bytes]:
    """An AlgorithmIdentifier for comparing: absent and NULL parameters are the same (RFC 5754 section 2)."""
    children = node.children
    if not children:
        raise Malformed("ASN.1: algorithm identifier is empty")
    return children[0].oid(), b"".join(n.raw for n in children[1:] if n.tag != asn1.NULL)
