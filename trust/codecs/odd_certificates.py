"""Certificates of real issuers that a strict parser refuses: what can still be read of them, without touching what they say.

The certificate itself stays as it is: it is identified, compared and signed over by its own bytes. A face made from repaired
bytes verifies against its issuer only if the issuer signed the repaired bytes: leniency here can name a signer and check its
signatures, it cannot make a chain. Errors: none; None means that nothing can be read.
"""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import BIT_STRING, INTEGER, NULL, SEQUENCE, Node, Rules, context
from trust.errors import Malformed

_RSA = "1.2.840.113549.1.1.1"
_MAX_MODULUS = 16_384
"""Bits: larger ones only cost time."""


def repaired(der: bytes) -> bytes | None:
    """The certificate with the NULL taken out of its two ECDSA algorithm identifiers (RFC 5758 section 3.2 forbids it; TeleSec wrote it)."""
    try:
        tbs, outer, value = asn1.parse(der, Rules.BER).expect(SEQUENCE).children
        at = _offset(tbs)
        parts = [_without_null(n) if i == 1 + at else n.raw for i, n in enumerate(tbs.children)]
        return asn1.tlv(SEQUENCE, asn1.tlv(SEQUENCE, b"".join(parts)) + _without_null(outer) + value.raw)
    except (Malformed, ValueError, IndexError):
        return None


def _offset(tbs: Node) -> int:
    """1 where the optional version [0] stands first."""
    return int(tbs.children[0].tag == context(0))


def _without_null(node: Node) -> bytes:
    return asn1.tlv(SEQUENCE, b"".join(n.raw for n in node.children if n.tag != NULL))


def public_key(der: bytes) -> PublicKeyTypes | None:
    """The subject's key, read past the rest of the certificate.

    An RSA modulus without its leading zero, as Estonian cards of 2014 to 2017 have it, is read as the positive number that it is.
    """
    try:
        tbs = asn1.parse(der, Rules.BER).expect(SEQUENCE).children[0]
        info = tbs.children[5 + _offset(tbs)].expect(SEQUENCE)
        if identifiers.algorithm_identifier(info.children[0])[0] != _RSA:
            return load_der_public_key(info.raw)
        key = asn1.parse(info.children[1].expect(BIT_STRING).bits(), Rules.BER).fields()
        modulus, exponent = (int.from_bytes(key.take(INTEGER).content, "big") for _ in range(2))
        return rsa.RSAPublicNumbers(exponent, modulus).public_key() if modulus.bit_length() <= _MAX_MODULUS else None
    except (Malformed, ValueError, TypeError, IndexError, UnsupportedAlgorithm):
        return None
