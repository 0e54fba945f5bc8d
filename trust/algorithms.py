"""Digest and signature algorithms: their names in every format, and the only verify().

Tables, not branches: an algorithm that is not in a table does not exist here. What is still acceptable, and until when, is `trust.suites`.
"""

import functools
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from trust.errors import Malformed, Unacceptable


@dataclass(frozen=True, slots=True)
class DigestAlgorithm:
    """A hash function under each of its names; `name` is hashlib's."""

    name: str
    oid: str
    size: int
    """Bytes."""
    xml: str
    """XML Signature or RFC 9231 identifier."""
    hash: Callable[[], hashes.HashAlgorithm] | None
    """cryptography's face, where it has one."""


_XML1 = "http://www.w3.org/2000/09/xmldsig#"
_XML11 = "http://www.w3.org/2001/04/xmldsig-more#"
_XMLENC = "http://www.w3.org/2001/04/xmlenc#"
_XML21 = "http://www.w3.org/2007/05/xmldsig-more#"
_XML2021 = "http://www.w3.org/2021/04/xmldsig-more#"
_NIST = "2.16.840.1.101.3.4."

DIGESTS: dict[str, DigestAlgorithm] = {
    d.name: d
    for d in (
        DigestAlgorithm("md5", "1.2.840.113549.2.5", 16, _XML11 + "md5", hashes.MD5),
        DigestAlgorithm("sha1", "1.3.14.3.2.26", 20, _XML1 + "sha1", hashes.SHA1),
        DigestAlgorithm("ripemd160", "1.3.36.3.2.1", 20, _XMLENC + "ripemd160", None),
        DigestAlgorithm("sha224", _NIST + "2.4", 28, _XML11 + "sha224", hashes.SHA224),
        DigestAlgorithm("sha256", _NIST + "2.1", 32, _XMLENC + "sha256", hashes.SHA256),
        DigestAlgorithm("sha384", _NIST + "2.2", 48, _XML11 + "sha384", hashes.SHA384),
        DigestAlgorithm("sha512", _NIST + "2.3", 64, _XMLENC + "sha512", hashes.SHA512),
        DigestAlgorithm("sha512_256", _NIST + "2.6", 32, "", hashes.SHA512_256),
        DigestAlgorithm("sha3_224", _NIST + "2.7", 28, _XML21 + "sha3-224", hashes.SHA3_224),
        DigestAlgorithm("sha3_256", _NIST + "2.8", 32, _XML21 + "sha3-256", hashes.SHA3_256),
        DigestAlgorithm("sha3_384", _NIST + "2.9", 48, _XML21 + "sha3-384", hashes.SHA3_384),
        DigestAlgorithm("sha3_512", _NIST + "2.10", 64, _XML21 + "sha3-512", hashes.SHA3_512),
    )
}
DIGEST_BY_OID = {d.oid: d for d in DIGESTS.values()}
DIGEST_BY_XML = {d.xml: d for d in DIGESTS.values() if d.xml}


def hasher(name: str) -> Any:
    """A running hashlib object. Unacceptable when this machine's OpenSSL has no such function (RIPEMD-160 since 3.0)."""
    if name not in DIGESTS:
        raise Unacceptable(f"unknown digest algorithm {name[:40]!r}")
    try:
        return hashlib.new(name, usedforsecurity=False)
    except ValueError as error:
        raise Unacceptable(f"digest algorithm {name} is not available here") from error


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A signature algorithm: scheme, and the digest that it hashes the message with (None where the scheme fixes its own)."""

    scheme: str
    """rsa-pkcs1, rsa-pss, ecdsa, dsa, ed25519, ed448, ml-dsa-44, ml-dsa-65, ml-dsa-87."""
    digest: str | None = None
    mgf_digest: str | None = None
    """RSASSA-PSS only: MGF1's digest."""
    salt: int | None = None
    """RSASSA-PSS only: salt length in bytes."""

    def __str__(self) -> str:
        return f"{self.scheme} with {self.digest}" if self.digest else self.scheme


def pss(digest: str) -> Algorithm:
    """RSASSA-PSS as everyone uses it: the same digest twice, the salt as long as the digest (RFC 4055 section 3.1)."""
    return Algorithm("rsa-pss", digest, digest, DIGESTS[digest].size)


def under(algorithm: Algorithm, digest: str) -> Algorithm:
    """The same scheme with another digest; unchanged where the scheme hashes for itself (EdDSA, ML-DSA)."""
    if algorithm.digest is None:
        return algorithm
    return pss(digest) if algorithm.scheme == "rsa-pss" else Algorithm(algorithm.scheme, digest)


# X.509 and CMS signature algorithm identifiers. RSASSA-PSS takes its digests from its parameters (trust.codecs.asn1).
_PKCS1 = "1.2.840.113549.1.1."
SIGNATURE_BY_OID: dict[str, Algorithm] = {
    _PKCS1 + "4": Algorithm("rsa-pkcs1", "md5"),
    _PKCS1 + "5": Algorithm("rsa-pkcs1", "sha1"),
    "1.3.14.3.2.29": Algorithm("rsa-pkcs1", "sha1"),
    "1.3.36.3.3.1.2": Algorithm("rsa-pkcs1", "ripemd160"),
    _PKCS1 + "14": Algorithm("rsa-pkcs1", "sha224"),
    _PKCS1 + "11": Algorithm("rsa-pkcs1", "sha256"),
    _PKCS1 + "12": Algorithm("rsa-pkcs1", "sha384"),
    _PKCS1 + "13": Algorithm("rsa-pkcs1", "sha512"),
    _NIST + "3.13": Algorithm("rsa-pkcs1", "sha3_224"),
    _NIST + "3.14": Algorithm("rsa-pkcs1", "sha3_256"),
    _NIST + "3.15": Algorithm("rsa-pkcs1", "sha3_384"),
    _NIST + "3.16": Algorithm("rsa-pkcs1", "sha3_512"),
    "1.2.840.10045.4.1": Algorithm("ecdsa", "sha1"),
    "1.2.840.10045.4.3.1": Algorithm("ecdsa", "sha224"),
    "1.2.840.10045.4.3.2": Algorithm("ecdsa", "sha256"),
    "1.2.840.10045.4.3.3": Algorithm("ecdsa", "sha384"),
    "1.2.840.10045.4.3.4": Algorithm("ecdsa", "sha512"),
    _NIST + "3.9": Algorithm("ecdsa", "sha3_224"),
    _NIST + "3.10": Algorithm("ecdsa", "sha3_256"),
    _NIST + "3.11": Algorithm("ecdsa", "sha3_384"),
    _NIST + "3.12": Algorithm("ecdsa", "sha3_512"),
    # BSI TR-03111 plain-ecdsa is deliberately absent: its value is not DER.
    "1.2.840.10040.4.3": Algorithm("dsa", "sha1"),
    _NIST + "3.1": Algorithm("dsa", "sha224"),
    _NIST + "3.2": Algorithm("dsa", "sha256"),
    _NIST + "3.3": Algorithm("dsa", "sha384"),
    _NIST + "3.4": Algorithm("dsa", "sha512"),
    "1.3.101.112": Algorithm("ed25519"),
    "1.3.101.113": Algorithm("ed448"),
    _NIST + "3.17": Algorithm("ml-dsa-44"),
    _NIST + "3.18": Algorithm("ml-dsa-65"),
    _NIST + "3.19": Algorithm("ml-dsa-87"),
}
OID_BY_SIGNATURE = {algorithm: oid for oid, algorithm in reversed(SIGNATURE_BY_OID.items())}
RSASSA_PSS_OID = _PKCS1 + "10"

# Key algorithm identifiers that CMS writers put where a signature algorithm belongs (RFC 5652 allows rsaEncryption): the digest is SignerInfo's.
SCHEME_BY_KEY_OID = {_PKCS1 + "1": "rsa-pkcs1", "1.2.840.10045.2.1": "ecdsa", "1.2.840.10040.4.1": "dsa"}

# XML Signature identifiers, RFC 9231. The `#rsa-pss` form with parameters is the XML codec's.
SIGNATURE_BY_XML: dict[str, Algorithm] = {
    _XML11 + "rsa-md5": Algorithm("rsa-pkcs1", "md5"),
    _XML1 + "rsa-sha1": Algorithm("rsa-pkcs1", "sha1"),
    _XML11 + "rsa-ripemd160": Algorithm("rsa-pkcs1", "ripemd160"),
    _XML11 + "rsa-sha224": Algorithm("rsa-pkcs1", "sha224"),
    _XML11 + "rsa-sha256": Algorithm("rsa-pkcs1", "sha256"),
    _XML11 + "rsa-sha384": Algorithm("rsa-pkcs1", "sha384"),
    _XML11 + "rsa-sha512": Algorithm("rsa-pkcs1", "sha512"),
    **{
        _XML21 + f"{d.replace('_', '-')}-rsa-MGF1": pss(d)
        for d in ("sha1", "sha224", "sha256", "sha384", "sha512", "sha3_224", "sha3_256", "sha3_384", "sha3_512")
    },
    **{_XML11 + f"ecdsa-{d}": Algorithm("ecdsa", d) for d in ("sha1", "sha224", "sha256", "sha384", "sha512")},
    # RFC 9231 section 2.3.6 has SHA3 in the name space of 2021; programs older than it wrote that of 2007.
    **{_XML21 + f"ecdsa-{d.replace('_', '-')}": Algorithm("ecdsa", d) for d in ("ripemd160", "sha3_224", "sha3_256", "sha3_384", "sha3_512")},
    **{_XML2021 + f"ecdsa-{d.replace('_', '-')}": Algorithm("ecdsa", d) for d in ("sha3_224", "sha3_256", "sha3_384", "sha3_512")},
    _XML1 + "dsa-sha1": Algorithm("dsa", "sha1"),
    "http://www.w3.org/2009/xmldsig11#dsa-sha256": Algorithm("dsa", "sha256"),
    _XML2021 + "eddsa-ed25519": Algorithm("ed25519"),
    _XML2021 + "eddsa-ed448": Algorithm("ed448"),
}
XML_BY_SIGNATURE = {algorithm: uri for uri, algorithm in SIGNATURE_BY_XML.items()}

# RFC 7518, RFC 8037, RFC 9864, and the ML-DSA registrations.
SIGNATURE_BY_JWA: dict[str, Algorithm] = {
    **{f"RS{bits}": Algorithm("rsa-pkcs1", f"sha{bits}") for bits in (256, 384, 512)},
    **{f"PS{bits}": pss(f"sha{bits}") for bits in (256, 384, 512)},
    **{f"ES{bits}": Algorithm("ecdsa", f"sha{bits}") for bits in (256, 384, 512)},
    "EdDSA": Algorithm("ed25519"),
    "Ed25519": Algorithm("ed25519"),
    "Ed448": Algorithm("ed448"),
    "ML-DSA-44": Algorithm("ml-dsa-44"),
    "ML-DSA-65": Algorithm("ml-dsa-65"),
    "ML-DSA-87": Algorithm("ml-dsa-87"),
}

# IANA COSE algorithms; the fully specified ones of RFC 9864 beside their elders.
SIGNATURE_BY_COSE: dict[int, Algorithm] = {
    -7: Algorithm("ecdsa", "sha256"),
    -9: Algorithm("ecdsa", "sha256"),
    -35: Algorithm("ecdsa", "sha384"),
    -51: Algorithm("ecdsa", "sha384"),
    -36: Algorithm("ecdsa", "sha512"),
    -52: Algorithm("ecdsa", "sha512"),
    -8: Algorithm("ed25519"),
    -19: Algorithm("ed25519"),
    -53: Algorithm("ed448"),
    -37: pss("sha256"),
    -38: pss("sha384"),
    -39: pss("sha512"),
    -257: Algorithm("rsa-pkcs1", "sha256"),
    -258: Algorithm("rsa-pkcs1", "sha384"),
    -259: Algorithm("rsa-pkcs1", "sha512"),
    -48: Algorithm("ml-dsa-44"),
    -49: Algorithm("ml-dsa-65"),
    -50: Algorithm("ml-dsa-87"),
}


def key_strength(key: PublicKeyTypes) -> tuple[str, int]:
    """Family (`rsa`, `ec`, `dsa`, `ed25519`, `ed448`, `ml-dsa-44`…) and size in bits, as the timetables name them."""
    match key:
        case rsa.RSAPublicKey():
            return "rsa", key.key_size
        case ec.EllipticCurvePublicKey():
            return "ec", key.curve.key_size
        case dsa.DSAPublicKey():
            return "dsa", key.key_size
        case ed25519.Ed25519PublicKey():
            return "ed25519", 256
        case ed448.Ed448PublicKey():
            return "ed448", 456
        case mldsa.MLDSA44PublicKey():
            return "ml-dsa-44", 44
        case mldsa.MLDSA65PublicKey():
            return "ml-dsa-65", 65
        case mldsa.MLDSA87PublicKey():
            return "ml-dsa-87", 87
    raise Unacceptable("key type cannot sign")


_FAMILY = {"rsa-pkcs1": "rsa", "rsa-pss": "rsa", "ecdsa": "ec"}


def fits(algorithm: Algorithm, key: PublicKeyTypes) -> bool:
    """Whether the scheme is one for this type of key: the check that stops algorithm confusion."""
    try:
        family, _ = key_strength(key)
    except Unacceptable:
        return False
    return family == _FAMILY.get(algorithm.scheme, algorithm.scheme)


def is_available(algorithm: Algorithm) -> bool:
    """Whether this installation can compute it: RIPEMD-160 has a name here and no implementation."""
    return all(name is None or DIGESTS[name].hash is not None for name in (algorithm.digest, algorithm.mgf_digest))


def _without_null(key: rsa.RSAPublicKey, digest: str, value: bytes, signed: bytes, *, prehashed: bool) -> bool:
    """RFC 8017 section 9.2 note 1: DigestInfo with its NULL parameters left out, as some signers write it. Compared whole, never parsed."""
    try:
        recovered = key.recover_data_from_signature(value, padding.PKCS1v15(), None)
    except (InvalidSignature, ValueError):
        return False
    hashed = signed if prehashed else hashlib.new(digest, signed, usedforsecurity=False).digest()
    return hmac.compare_digest(recovered, _digest_info(DIGESTS[digest].oid, hashed))


def _digest_info(oid: str, hashed: bytes) -> bytes:
    first, second, *rest = (int(arc) for arc in oid.split("."))
    body = b"".join(_base128(arc) for arc in (40 * first + second, *rest))
    algorithm = bytes((0x06, len(body))) + body
    inner = bytes((0x30, len(algorithm))) + algorithm + bytes((0x04, len(hashed))) + hashed
    return bytes((0x30, len(inner))) + inner


def _base128(arc: int) -> bytes:
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(0x80 | arc & 0x7F)
    return bytes(reversed(groups))


def verify(key: PublicKeyTypes, algorithm: Algorithm, value: bytes, signed: "bytes | bytearray | memoryview", *, prehashed: bool = False) -> bool:
    """Whether `value` is a signature over `signed` by `key`. ECDSA and DSA values are DER.

    With `prehashed`, `signed` is the digest under `algorithm.digest` (impossible for EdDSA and ML-DSA: Unacceptable).
    False for a wrong signature or a key of another type; Unacceptable when this installation lacks the algorithm.
    """
    if not fits(algorithm, key):
        return False
    face: Any = None
    if algorithm.digest is not None:
        digest = DIGESTS[algorithm.digest]
        if digest.hash is None:
            raise Unacceptable(f"digest algorithm {algorithm.digest} is not available here")
        face = digest.hash()
        if prehashed:
            if len(signed) != digest.size:
                raise Malformed(f"{algorithm.digest} digest is {digest.size} bytes, got {len(signed)}")
            face = Prehashed(face)
    elif prehashed:
        raise Unacceptable(f"{algorithm.scheme} hashes for itself: the message is needed, not its digest")
    try:
        match key:
            case rsa.RSAPublicKey() if algorithm.scheme == "rsa-pss":
                mgf = DIGESTS[algorithm.mgf_digest or algorithm.digest or ""].hash
                if mgf is None:
                    raise Unacceptable(f"digest algorithm {algorithm.mgf_digest} is not available here")
                key.verify(value, bytes(signed), padding.PSS(padding.MGF1(mgf()), algorithm.salt if algorithm.salt is not None else 20), face)
            case rsa.RSAPublicKey():
                try:
                    key.verify(value, bytes(signed), padding.PKCS1v15(), face)
                except InvalidSignature:
                    return _without_null(key, algorithm.digest or "", value, bytes(signed), prehashed=prehashed)
            case ec.EllipticCurvePublicKey():
                key.verify(value, bytes(signed), ec.ECDSA(face))
            case dsa.DSAPublicKey():
                key.verify(value, bytes(signed), face)
            case _:
                key.verify(value, bytes(signed))  # type: ignore[union-attr]  # fits() left EdDSA and ML-DSA only
    except (InvalidSignature, ValueError):
        return False
    except UnsupportedAlgorithm as error:
        raise Unacceptable(f"{algorithm} is not available here") from error
    return True


def checker(key: PublicKeyTypes, algorithm: Algorithm) -> Callable[[bytes, bytes], bool]:
    """`verify` with a key that checks again and again: value, signed -> whether it holds. What can be made ready is, once."""
    digest = DIGESTS.get(algorithm.digest or "")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not fits(algorithm, key) or digest is None or digest.hash is None:
        return functools.partial(verify, key, algorithm)
    check, face = key.verify, ec.ECDSA(digest.hash())

    def holds(value: bytes, signed: bytes) -> bool:
        try:
            check(value, signed, face)
        except (InvalidSignature, ValueError):
            return False
        return True

    return holds
