"""CMS SignedData with one signer (RFC 5652, EN 319 122-1), written in DER piece by piece: the envelope of CAdES and PAdES.

The content's octets are never here: an attached document is a gap between `Envelope.head` and `Envelope.tail`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from eseal.claims import Commitment, SignaturePolicy
from trust.algorithms import DIGESTS, OID_BY_SIGNATURE, RSASSA_PSS_OID, Algorithm
from trust.codecs import ess
from trust.codecs.asn1 import (
    ENUMERATED,
    GENERALIZED_TIME,
    IA5,
    INTEGER,
    NULL,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    UTC_TIME,
    UTF8,
    context,
    length_octets,
    oid_content,
    tlv,
)
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Digest, Ocsp
from trust.ports import Key, Status

_PKCS7 = "1.2.840.113549.1.7."
_PKCS9 = "1.2.840.113549.1.9."
DATA, SIGNED_DATA = _PKCS7 + "1", _PKCS7 + "2"
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME, ALGORITHM_PROTECTION = _PKCS9 + "3", _PKCS9 + "4", _PKCS9 + "5", _PKCS9 + "52"
SIGNING_CERTIFICATE_V2, COMMITMENT_TYPE, SIGNER_LOCATION = _PKCS9 + "16.2.47", _PKCS9 + "16.2.16", _PKCS9 + "16.2.17"
SIGNATURE_TIME_STAMP, CONTENT_TIME_STAMP = _PKCS9 + "16.2.14", _PKCS9 + "16.2.20"
SIGNATURE_POLICY, CONTENT_HINTS, SIGNER_ATTRIBUTES = _PKCS9 + "16.2.15", _PKCS9 + "16.2.4", "0.4.0.19122.1.1"
_POLICY_URI, _TITLE = _PKCS9 + "16.5.1", "2.5.4.12"
MIME_TYPE = "0.4.0.1733.2.1"
_BASIC_OCSP, _OCSP_RESPONSE = "1.3.6.1.5.5.7.48.1.1", "1.3.6.1.5.5.7.16.2"
_MGF1 = "1.2.840.113549.1.1.8"
_RSA_ENCRYPTION_LIKE = "rsa-pkcs1"

# EN 319 122-1 clause 5.2.3: id-cti-ets-proofOf…
_COMMITMENTS = {
    Commitment.ORIGIN: _PKCS9 + "16.6.1",
    Commitment.RECEIPT: _PKCS9 + "16.6.2",
    Commitment.DELIVERY: _PKCS9 + "16.6.3",
    Commitment.SENDER: _PKCS9 + "16.6.4",
    Commitment.APPROVAL: _PKCS9 + "16.6.5",
    Commitment.CREATION: _PKCS9 + "16.6.6",
}


def sequence(*parts: bytes) -> bytes:
    return tlv(SEQUENCE, b"".join(parts))


def oid(dotted: str) -> bytes:
    return tlv(OID, oid_content(dotted))


def integer(number: int) -> bytes:
    return tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def set_of(parts: Sequence[bytes]) -> bytes:
    """X.690 clause 11.6: a SET OF in DER is sorted."""
    return tlv(SET, b"".join(sorted(parts)))


def attribute(dotted: str, value: bytes) -> bytes:
    """RFC 5652 section 5.3, single-valued."""
    return sequence(oid(dotted), tlv(SET, value))


def digest_identifier(name: str) -> bytes:
    """AlgorithmIdentifier with the parameters absent (RFC 5754 section 2)."""
    return sequence(oid(DIGESTS[name].oid))


def algorithm_identifier(algorithm: Algorithm) -> bytes:
    """RFC 4055 for RSA (NULL parameters for PKCS #1 v1.5, RSASSA-PSS-params), RFC 5758 for ECDSA, RFC 8419 and RFC 9882: parameters absent."""
    if algorithm.scheme == "rsa-pss" and algorithm.digest and algorithm.salt is not None:
        mask = sequence(oid(_MGF1), _digest_with_null(algorithm.mgf_digest or algorithm.digest))
        named = ((0, _digest_with_null(algorithm.digest)), (1, mask), (2, integer(algorithm.salt)))
        return sequence(oid(RSASSA_PSS_OID), sequence(*(tlv(context(n), value) for n, value in named)))
    dotted = OID_BY_SIGNATURE.get(algorithm)
    if dotted is None:
        raise Unacceptable(f"{algorithm} has no identifier in CMS")
    return sequence(oid(dotted), tlv(NULL, b"")) if algorithm.scheme == _RSA_ENCRYPTION_LIKE else sequence(oid(dotted))


def _digest_with_null(name: str) -> bytes:
    """RFC 4055 section 2.1: inside the parameters of RSASSA-PSS the NULL is written."""
    return sequence(oid(DIGESTS[name].oid), tlv(NULL, b""))


def time(moment: datetime) -> bytes:
    """RFC 5652 section 11.3: UTCTime up to 2049, GeneralizedTime after, whole seconds."""
    at = moment.astimezone(UTC)
    if 1950 <= at.year < 2050:
        return tlv(UTC_TIME, at.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(GENERALIZED_TIME, at.strftime("%Y%m%d%H%M%SZ").encode())


def commitment_type(commitment: Commitment) -> bytes:
    """EN 319 122-1 clause 5.2.3: commitment-type-indication."""
    return attribute(COMMITMENT_TYPE, sequence(oid(_COMMITMENTS[commitment])))


def signer_location(place: str) -> bytes:
    """EN 319 122-1 clause 5.2.5: localityName [1] DirectoryString; the place as it was said."""
    return attribute(SIGNER_LOCATION, sequence(tlv(context(1), tlv(UTF8, place.encode()))))


def signer_role(role: str) -> bytes:
    """EN 319 122-1 clause 5.2.6.1: signer-attributes-v2 with a claimed attribute, the `title` of X.520 clause 6.4.3: position or function."""
    claimed = sequence(attribute(_TITLE, tlv(UTF8, role.encode())))
    return attribute(SIGNER_ATTRIBUTES, sequence(tlv(context(0), claimed)))


def signature_policy(policy: SignaturePolicy) -> bytes:
    """EN 319 122-1 clause 5.2.9.1: signature-policy-identifier; where its text is to be had stands in an SPuri qualifier (clause 5.2.9.2).

    Unacceptable for one that has no object identifier and hash.
    """
    if not policy.is_oid or policy.digest is None:
        raise Unacceptable("in CMS a policy is an object identifier with the hash of its text")
    hashed = sequence(digest_identifier(policy.digest.algorithm), tlv(OCTET_STRING, policy.digest.value))
    address = sequence(sequence(oid(_POLICY_URI), tlv(IA5, policy.uri.encode("ascii")))) if policy.uri is not None else b""
    return attribute(SIGNATURE_POLICY, sequence(oid(policy.id), hashed, address))


def content_hints(description: str) -> bytes:
    """EN 319 122-1 clause 5.2.4.1: what the innermost content is, in words."""
    return attribute(CONTENT_HINTS, sequence(tlv(UTF8, description.encode()), oid(DATA)))


def mime_type(media_type: str) -> bytes:
    """EN 319 122-1 clause 5.2.4.2."""
    return attribute(MIME_TYPE, tlv(UTF8, media_type.encode()))


def signing_certificate(certificate: Cert, digest: str) -> bytes:
    """RFC 5035 section 3, EN 319 122-1 clause 5.2.2.3: signing-certificate-v2, the certificate named by its digest alone.

    hashAlgorithm is DEFAULT sha256, so DER leaves it out. issuerSerial is left out too: the signer identifier says it.
    """
    named = b"" if digest == "sha256" else digest_identifier(digest)
    reference = sequence(named, tlv(OCTET_STRING, Digest.of(digest, certificate.der).value))
    return attribute(SIGNING_CERTIFICATE_V2, sequence(sequence(reference)))


def signed_attributes(content: Digest, key: Key, claimed: Sequence[bytes] = (), at: datetime | None = None, *, countersigning: bool = False) -> bytes:
    """What the key signs (RFC 5652 section 5.4): a DER SET OF with content-type, message-digest, signing-certificate-v2, algorithm protection
    (RFC 6211) and what is `claimed`. `at` is the signing-time, absent in PAdES (EN 319 142-1 clause 6.3: the PDF's /M says it)."""
    protection = sequence(digest_identifier(content.algorithm), _retagged(context(1), algorithm_identifier(key.algorithm)))
    attributes = [
        # RFC 5652 section 11.4: a countersignature has none.
        *(() if countersigning else (attribute(CONTENT_TYPE, oid(DATA)),)),
        attribute(MESSAGE_DIGEST, tlv(OCTET_STRING, content.value)),
        signing_certificate(key.certificate, content.algorithm),
        attribute(ALGORITHM_PROTECTION, protection),
        *claimed,
    ]
    if at is not None:
        attributes.append(attribute(SIGNING_TIME, time(at)))
    return set_of(attributes)


def _retagged(tag: int, value: bytes) -> bytes:
    """IMPLICIT: the same contents under another tag."""
    return bytes((tag,)) + value[1:]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A ContentInfo in two parts, between which an attached content's octets stand."""

    head: bytes
    tail: bytes

    @property
    def whole(self) -> bytes:
        """Of a detached signature."""
        return self.head + self.tail


def signer_fields(key: Key, digest: str, signed: bytes, value: bytes) -> bytes:
    """RFC 5652 section 5.3: every field of a SignerInfo but its unsigned attributes, one after the other."""
    return b"".join(
        (
            integer(1),
            _issuer_and_serial(key.certificate),
            digest_identifier(digest),
            _retagged(context(0), signed),
            algorithm_identifier(key.algorithm),
            tlv(OCTET_STRING, value),
        )
    )


def certificates(key: Key, more: Sequence[Cert] = ()) -> tuple[bytes, ...]:
    """The signer's certificates and `more`, as they stand in the SET. Of the signer's, a self-signed root is left to those who trust it."""
    own = [c for c in (key.certificate, *key.chain) if c.subject != c.issuer or c == key.certificate]
    return tuple(sorted({c.der for c in (*own, *more)}))


def revocations(found: Status) -> tuple[bytes, ...]:
    """RevocationInfoChoices (RFC 5652 section 10.2.1) as they stand in the SET: lists as they are, answers as RFC 5940 section 2.1 has them."""
    answers = {_retagged(context(1), sequence(oid(_OCSP_RESPONSE), ocsp_response(o))) for o in found.ocsps}
    return tuple(sorted({c.der for c in found.crls} | answers))


def ocsp_response(answer: Ocsp) -> bytes:
    """RFC 6960 section 4.2.1: the OCSPResponse around a BasicOCSPResponse."""
    inner = sequence(oid(_BASIC_OCSP), tlv(OCTET_STRING, answer.der))
    return sequence(tlv(ENUMERATED, b"\0"), tlv(context(0), inner))


def envelope(
    digest: str,
    fields: bytes,
    held: Sequence[bytes],
    *,
    unsigned: Sequence[bytes] = (),
    revocations: Sequence[bytes] = (),
    content_size: int | None = None,
) -> Envelope:
    """RFC 5652 section 5.1: SignedData with the certificates that are `held`, the `fields` of one signer and its unsigned attributes.

    `content_size` in bytes is that of the attached content; None: detached.
    """
    signer = sequence(fields, _retagged(context(1), set_of(unsigned)) if unsigned else b"")
    after = tlv(context(0), b"".join(held)) + (tlv(context(1), b"".join(revocations)) if revocations else b"") + tlv(SET, signer)
    before = integer(version(revocations, 1)) + tlv(SET, digest_identifier(digest))
    kind = oid(DATA)
    if content_size is None:
        return Envelope(b"", _content_info(before + sequence(kind) + after, 0))
    octets = bytes((OCTET_STRING,)) + length_octets(content_size)
    inner = bytes((context(0),)) + length_octets(len(octets) + content_size) + octets
    before += bytes((SEQUENCE,)) + length_octets(len(kind) + len(inner) + content_size) + kind + inner
    return Envelope(_content_info(before, content_size + len(after)), after)


def version(revocations: Sequence[bytes], otherwise: int) -> int:
    """RFC 5652 section 5.1: 5 where revocation information of another format than X.509's is there."""
    return 5 if any(r[0] == context(1) for r in revocations) else otherwise


def _content_info(begun: bytes, following: int) -> bytes:
    """ContentInfo around a SignedData of which `following` bytes come later."""
    data = bytes((SEQUENCE,)) + length_octets(len(begun) + following) + begun
    kind = oid(SIGNED_DATA)
    inner = bytes((context(0),)) + length_octets(len(data) + following)
    return bytes((SEQUENCE,)) + length_octets(len(kind) + len(inner) + len(data) + following) + kind + inner + data


def _issuer_and_serial(certificate: Cert) -> bytes:
    """The issuer's Name byte for byte as the certificate has it."""
    identity = ess.certificate_identity(certificate.der)
    if identity is None:
        raise Malformed("seal certificate is not valid X.509")
    return sequence(identity[0], integer(identity[1]))


_FIXED_SIZES = {"ed25519": 64, "ed448": 114, "ml-dsa-44": 2420, "ml-dsa-65": 3309, "ml-dsa-87": 4627}


def longest_signature(algorithm: Algorithm, public: PublicKeyTypes | None) -> int:
    """Bytes that a signature by this key has at most: an ECDSA value's length varies with its two integers."""
    match public:
        case rsa.RSAPublicKey():
            return (public.key_size + 7) // 8
        case ec.EllipticCurvePublicKey():
            part = (public.curve.key_size + 7) // 8 + 3
            return 2 * part + 3
    if algorithm.scheme not in _FIXED_SIZES:
        raise Unacceptable(f"{algorithm} keys cannot seal in this format")
    return _FIXED_SIZES[algorithm.scheme]
