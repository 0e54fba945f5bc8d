"""ECDSA values as JOSE and COSE have them (RFC 7518 section 3.4, RFC 9053 section 2.1): R and S side by side, each as long as the curve's order."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from trust.ports import Key


def written(key: Key, value: bytes) -> bytes:
    """A signature by `key`, whose ECDSA values are DER, as it stands in a JWS or a COSE message."""
    public = key.certificate.public_key
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return value
    size = (public.key_size + 7) // 8
    return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(value))
