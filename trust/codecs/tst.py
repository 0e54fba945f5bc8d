"""The time-stamp token as an authority writes it: TSTInfo in a SignedData (RFC 3161 section 2.4.2, RFC 5816, RFC 5652).

Made by hand: everything about a unit that does not change is encoded once (`Signer`), so that a token costs a handful of
concatenations beside its signature. Reading tokens for a verdict is `trust.codecs.cms`, which shares no code with this module.
"""

import functools
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from trust.algorithms import DIGESTS, OID_BY_SIGNATURE, RSASSA_PSS_OID, Algorithm
from trust.codecs import asn1
from trust.codecs.asn1 import INTEGER, OID, SEQUENCE, SET, oid_content, tlv
from trust.errors import Unacceptable
from trust.model import Cert

NULL = b"\x05\x00"


_LENGTHS = tuple(asn1.length_octets(count) for count in range(2048))
"""Of everything in a token without certificates."""


def length(count: int) -> bytes:
    """DER length octets, quick for the short."""
    return _LENGTHS[count] if count < len(_LENGTHS) else asn1.length_octets(count)


def integer(value: int) -> bytes:
    """DER INTEGER."""
    return tlv(INTEGER, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True))


def identifier(dotted: str) -> bytes:
    """DER OBJECT IDENTIFIER."""
    return tlv(OID, oid_content(dotted))


VERSION_1 = integer(1)


def accuracy(microseconds: int) -> bytes:
    """DER Accuracy, RFC 3161 section 2.4.2: seconds, millis [0] and micros [1] of 1 to 999, each absent where zero."""
    if microseconds < 1:
        raise Unacceptable(f"accuracy is at least one microsecond, got {microseconds}")
    seconds, rest = divmod(microseconds, 1_000_000)
    millis, micros = divmod(rest, 1_000)
    parts = integer(seconds) if seconds else b""
    for tag, count in ((0x80, millis), (0x81, micros)):
        if count:
            parts += bytes((tag,)) + integer(count)[1:]
    return tlv(SEQUENCE, parts)


@functools.lru_cache(maxsize=16)
def generalized_time(moment: datetime, digits: int) -> bytes:
    """DER GeneralizedTime of an aware UTC time, cut (never rounded: it is not later than it was) to `digits` of a second.

    RFC 3161 section 2.4.2: no trailing zeros in the fraction, and no point without a fraction.
    """
    text = f"{moment.year:04}{moment.month:02}{moment.day:02}{moment.hour:02}{moment.minute:02}{moment.second:02}"
    fraction = f"{moment.microsecond:06}"[:digits].rstrip("0")
    body = (f"{text}.{fraction}Z" if fraction else text + "Z").encode("ascii")
    return bytes((asn1.GENERALIZED_TIME, len(body))) + body


def tst_info(
    *, policy: bytes, imprint: bytes, serial: int, gen_time: bytes, accuracy: bytes, ordering: bool, nonce: bytes | None, tail: bytes
) -> bytes:
    """DER TSTInfo. All parts are DER but `nonce` (content octets of its INTEGER); `tail` is tsa [0] and extensions [1]."""
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # positive
    parts = (
        _SERIAL_AFTER[len(number)],
        number,
        gen_time,
        accuracy,
        b"\x01\x01\xff" if ordering else b"",
        b"" if nonce is None else b"\x02" + length(len(nonce)) + nonce,
        tail,
    )
    body = b"".join((VERSION_1, policy, imprint, *parts))
    return b"\x30" + length(len(body)) + body


_SERIAL_AFTER = tuple(bytes((INTEGER, size)) for size in range(64))
"""Tag and length of a serial number, by its octets: there are at most 20 (RFC 3161 section 2.4.2)."""


def directory_name(name: bytes) -> bytes:
    """`tsa [0] GeneralName` of TSTInfo, as a directoryName [4], from a DER Name."""
    return tlv(asn1.context(0), tlv(asn1.context(4), name))


def qualified_statement() -> bytes:
    """`extensions [1]` of TSTInfo with qcStatements and esi4-qtstStatement-1 in it, not critical (EN 319 422 clause 9.1)."""
    statements = tlv(SEQUENCE, tlv(SEQUENCE, identifier(_EU_QUALIFIED)))
    return tlv(asn1.context(1), tlv(SEQUENCE, identifier(_QC_STATEMENTS) + tlv(asn1.OCTET_STRING, statements)))


_QC_STATEMENTS = "1.3.6.1.5.5.7.1.3"
_EU_QUALIFIED = "0.4.0.19422.1.1"
"""id-etsi-tsts-EuQCompliance."""
_ID_DATA = "1.2.840.113549.1.7."
_ATTRIBUTE = "1.2.840.113549.1.9."
_SIGNED_DATA = identifier(_ID_DATA + "2")
_TST_INFO = identifier(_ATTRIBUTE + "16.1.4")
_RSA_ENCRYPTION = tlv(SEQUENCE, identifier("1.2.840.113549.1.1.1") + NULL)


def _attribute(number: str, value: bytes) -> bytes:
    return tlv(SEQUENCE, identifier(_ATTRIBUTE + number) + tlv(SET, value))


def digest_identifier(name: str) -> bytes:
    """DER AlgorithmIdentifier of a digest, without parameters (RFC 5754 section 2)."""
    return tlv(SEQUENCE, identifier(DIGESTS[name].oid))


def signature_identifier(algorithm: Algorithm) -> bytes:
    """DER AlgorithmIdentifier for SignerInfo.signatureAlgorithm.

    rsaEncryption for PKCS #1 (RFC 5754 section 3.2: what every reader must know); RSASSA-PSS with its parameters (RFC 4056); else without
    parameters (RFC 5754 section 3.3, RFC 8419, RFC 9882).
    """
    if algorithm.scheme == "rsa-pkcs1":
        return _RSA_ENCRYPTION
    if algorithm.scheme != "rsa-pss":
        return tlv(SEQUENCE, identifier(OID_BY_SIGNATURE[algorithm]))
    digest = digest_identifier(algorithm.digest or "")
    mask = tlv(SEQUENCE, identifier("1.2.840.113549.1.1.8") + digest_identifier(algorithm.mgf_digest or ""))
    parts = tlv(asn1.context(0), digest) + tlv(asn1.context(1), mask) + tlv(asn1.context(2), integer(algorithm.salt or 0))
    return tlv(SEQUENCE, identifier(RSASSA_PSS_OID) + tlv(SEQUENCE, parts))


@dataclass(frozen=True, slots=True)
class Signer:
    """What all tokens of one unit share, encoded once."""

    digest: Callable[[bytes], "hashlib._Hash"]
    """Of messageDigest."""
    head: bytes
    """SignedData's version and digestAlgorithms."""
    certificates: bytes
    """`certificates [0]`, in the order of a DER SET OF."""
    before: bytes
    """Signed attributes before the message digest's value, …"""
    after: bytes
    """… and after it."""
    identity: bytes
    """SignerInfo's version, sid and digestAlgorithm."""
    signature: bytes
    """SignerInfo's signatureAlgorithm."""

    @classmethod
    def of(cls, certificate: Cert, chain: Iterable[Cert], algorithm: Algorithm) -> "Signer":
        """RFC 3161 section 2.4.2 and RFC 5816: one signer, and in its signed attributes the certificate's SHA-256 as ESSCertIDv2.

        signingTime is left out, so that a token states one time only. ESSCertIDv2's issuerSerial is left out, because the sid says it
        (RFC 5035 section 4). Of the chain the root is left out: a verifier has it from elsewhere, or not at all. Ed25519 and ML-DSA hash
        for themselves: their messageDigest is SHA-512 (RFC 8419, RFC 9882).
        """
        digest = algorithm.digest or "sha512"
        size = DIGESTS[digest].size
        reference = tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, tlv(asn1.OCTET_STRING, hashlib.sha256(certificate.der).digest()))))
        placeholder = _attribute("4", tlv(asn1.OCTET_STRING, bytes(size)))
        # X.690 clause 11.6: attributes in ascending order of their encodings. Their lengths differ, so the digest's value never matters.
        parts = sorted((_attribute("3", _TST_INFO), placeholder, _attribute("16.2.47", reference)))
        place = parts.index(placeholder)
        before = b"".join(parts[: place + 1])[:-size]
        after = b"".join(parts[place + 1 :])
        digests = digest_identifier(digest)
        issuer_and_serial = tlv(SEQUENCE, certificate.issuer + integer(certificate.serial))
        certificates = sorted({certificate.der, *(c.der for c in chain if c.subject != c.issuer)})
        return cls(
            getattr(hashlib, digest),
            integer(3) + tlv(SET, digests),
            tlv(asn1.context(0), b"".join(certificates)),
            before,
            after,
            VERSION_1 + issuer_and_serial + digests,
            signature_identifier(algorithm),
        )

    def attributes(self, info: bytes) -> bytes:
        """The signed attributes over a TSTInfo as the DER SET that the key signs (RFC 5652 section 5.4)."""
        body = self.before + self.digest(info).digest() + self.after
        return b"\x31" + length(len(body)) + body

    def token(self, info: bytes, attributes: bytes, signature: bytes, *, certificates: bool) -> bytes:
        """The TimeStampToken: ContentInfo of a SignedData over `info`; `attributes` as `attributes()` made them."""
        # From the inside to the outside, by lengths alone: each octet is copied once.
        value = length(len(signature))
        signer = len(self.identity) + len(attributes) + len(self.signature) + 1 + len(value) + len(signature)
        signer_length = length(signer)
        signers = 1 + len(signer_length) + signer
        signers_length = length(signers)
        octets_length = length(len(info))
        octets = 1 + len(octets_length) + len(info)
        explicit_length = length(octets)
        content = len(_TST_INFO) + 1 + len(explicit_length) + octets
        content_length = length(content)
        certified = self.certificates if certificates else b""
        data = len(self.head) + 1 + len(content_length) + content + len(certified) + 1 + len(signers_length) + signers
        data_length = length(data)
        outer = 1 + len(data_length) + data
        outer_length = length(outer)
        return b"".join(
            (
                b"\x30",
                length(len(_SIGNED_DATA) + 1 + len(outer_length) + outer),
                _SIGNED_DATA,
                b"\xa0",
                outer_length,
                b"\x30",
                data_length,
                self.head,
                b"\x30",
                content_length,
                _TST_INFO,
                b"\xa0",
                explicit_length,
                b"\x04",
                octets_length,
                info,
                certified,
                b"\x31",
                signers_length,
                b"\x30",
                signer_length,
                self.identity,
                b"\xa0",
                attributes[1:],
                self.signature,
                b"\x04",
                value,
                signature,
            )
        )
