"""Private keys in files: encrypted PKCS#8, one passphrase for an installation, used and never shown."""

import base64
import functools
import hashlib
import os
from collections.abc import Callable, MutableMapping
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from trust.algorithms import DIGESTS, Algorithm, key_strength, pss, under
from trust.codecs.asn1 import INTEGER, OCTET_STRING, OID, SEQUENCE, oid_content, tlv
from trust.edge.files import read_small, write_atomically
from trust.errors import KakuinError, Misconfigured, Unacceptable
from trust.model import Cert

PrivateKey = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)

KEY_TYPES: dict[str, Callable[[], PrivateKey]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
"""What a key can be, by the name that the settings and the command line use."""

UNIT_KEY_TYPES: dict[str, Callable[[], PrivateKey]] = {
    **KEY_TYPES,
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
}
"""What a time-stamping unit's key can be: whoever verifies its tokens needs to know the algorithm, and nobody else does."""

SEAL_KEY_TYPES: dict[str, Callable[[], PrivateKey]] = {**UNIT_KEY_TYPES, "ed448": ed448.Ed448PrivateKey.generate}
"""What an organisation's key can be: which formats have an identifier for it `eseal.suite` tells."""

PASSPHRASE = "KAKUIN_PASSPHRASE"
PASSPHRASE_FILE = "KAKUIN_PASSPHRASE_FILE"
SHORTEST_PASSPHRASE = 8
"""Bytes."""
_SCRYPT_COST, _SCRYPT_BLOCK = 1 << 14, 8
"""16 MiB and about 35 ms for each guess, and for each key once at start: the most that `openssl pkey` reads without being told to."""


def passphrase(file: Path | None = None, environ: MutableMapping[str, str] = os.environ) -> bytes | None:
    """The passphrase from `file`, or the file that KAKUIN_PASSPHRASE_FILE names, or KAKUIN_PASSPHRASE; None when none of them is given.

    Never from an argument, which every user of the machine can read. KAKUIN_PASSPHRASE is taken out of `environ`, so that no child inherits
    it: call this once and hold on to what it returns. One line end after the passphrase does not belong to it.
    """
    direct = environ.pop(PASSPHRASE, None)
    if file is None and environ.get(PASSPHRASE_FILE):
        file = Path(environ[PASSPHRASE_FILE])
    if file is not None:
        return secret_in(file, "passphrase file")
    return direct.encode() if direct else None


def secret_in(file: Path, what: str) -> bytes:
    """A secret from a file of its own; one line end after it does not belong to it. Misconfigured when there is none to be had."""
    try:
        secret = read_small(file, what, 4096)
    except Misconfigured:
        raise
    except KakuinError as error:
        raise Misconfigured(str(error)) from error
    secret = secret.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise Misconfigured(f"{what} {file} is empty")
    return secret


def text_in(file: Path, what: str) -> str:
    """The same as text."""
    try:
        return secret_in(file, what).decode()
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{what} {file} is not text in UTF-8") from error


def algorithm_of(key: PublicKeyTypes) -> Algorithm:
    """The algorithm that a key of this type signs with here."""
    match key:
        case ec.EllipticCurvePublicKey():
            return Algorithm("ecdsa", _CURVE_DIGESTS.get(key.curve.key_size, "sha384"))
        case rsa.RSAPublicKey():
            # PKCS#1 v1.5 and not PSS: `openssl ts`, and most clients of RFC 3161, cannot read PSS in a token.
            return Algorithm("rsa-pkcs1", "sha256")
    family, _ = key_strength(key)
    if Algorithm(family) not in _WITHOUT_DIGEST:
        raise Unacceptable("key type is not one that the key store makes")
    return Algorithm(family)


_CURVE_DIGESTS = {256: "sha256", 384: "sha384", 521: "sha512"}
"""RFC 5480 section 4: a digest as strong as the curve."""
_WITHOUT_DIGEST = frozenset(Algorithm(name) for name in ("ed25519", "ed448", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"))
SIGNING_DIGESTS = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512")
"""What signatures made here hash with."""
_HASHES: dict[str | None, Callable[[], hashes.HashAlgorithm]] = {name: face for name in SIGNING_DIGESTS if (face := DIGESTS[name].hash) is not None}


def padded(key: PrivateKey, padding_name: str) -> Algorithm:
    """The algorithm of `key` where RSA is padded as `padding_name` says: pkcs1 or pss."""
    if isinstance(key, rsa.RSAPrivateKey) and padding_name == "pss":
        return pss("sha256")
    return algorithm_of(key.public_key())


class FileKey:
    """`trust.ports.Key` over a private key that was read once from its file."""

    def __init__(self, private: PrivateKey, certificate: Cert, chain: tuple[Cert, ...], algorithm: Algorithm | None = None) -> None:
        """`algorithm`: where it is not the usual one of its type (RSASSA-PSS). Misconfigured when the certificate is another key's."""
        self._private = private
        self._certificate = certificate
        self._chain = chain
        self._algorithm = algorithm or algorithm_of(private.public_key())
        self._signing = signing(private, self._algorithm)
        if encoded(private.public_key()) != encoded(certificate.x509.public_key()):
            raise Misconfigured(f"the key does not belong to its certificate ({certificate.name})")

    @property
    def certificate(self) -> Cert:
        return self._certificate

    @property
    def chain(self) -> tuple[Cert, ...]:
        return self._chain

    @property
    def algorithm(self) -> Algorithm:
        return self._algorithm

    def sign(self, data: bytes) -> bytes:
        return self._signing(data)

    def under(self, digest: str) -> "FileKey":
        """trust.ports.SealKey."""
        if digest not in SIGNING_DIGESTS:
            raise Unacceptable(f"keys sign with one of {', '.join(SIGNING_DIGESTS)}")
        return FileKey(self._private, self._certificate, self._chain, under(self._algorithm, digest))

    def __repr__(self) -> str:
        return f"FileKey({self._certificate.name!r})"


def sign(private: PrivateKey, algorithm: Algorithm, data: bytes) -> bytes:
    """The signature over `data` (hashed inside), ECDSA as DER."""
    return signing(private, algorithm)(data)


def signing(private: PrivateKey, algorithm: Algorithm) -> Callable[[bytes], bytes]:
    """The same for a key that signs again and again: what can be made ready is, once."""
    match private:
        case ec.EllipticCurvePrivateKey():
            ecdsa = ec.ECDSA(_HASHES[algorithm.digest]())
            return lambda data: private.sign(data, ecdsa)
        case rsa.RSAPrivateKey() if algorithm.scheme == "rsa-pss":
            mask = padding.PSS(padding.MGF1(_HASHES[algorithm.mgf_digest]()), algorithm.salt or 0)
            return lambda data: private.sign(data, mask, _HASHES[algorithm.digest]())
        case rsa.RSAPrivateKey():
            return lambda data: private.sign(data, padding.PKCS1v15(), _HASHES[algorithm.digest]())
        case _:
            return private.sign


def encoded(public: PublicKeyTypes) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def generate(key_type: str) -> PrivateKey:
    """A new key of a type in SEAL_KEY_TYPES; Unacceptable for another."""
    if key_type not in SEAL_KEY_TYPES:
        raise Unacceptable(f"key type is one of {', '.join(SEAL_KEY_TYPES)}, got {key_type[:20]!r}")
    return SEAL_KEY_TYPES[key_type]()


def write_key(path: Path, private: PrivateKey, secret: bytes) -> None:
    """Encrypted PKCS#8 PEM, readable by its owner alone; Conflict when a key lies there already, which is never overwritten."""
    if len(secret) < SHORTEST_PASSPHRASE:
        raise Misconfigured(f"passphrase is at least {SHORTEST_PASSPHRASE} bytes, got {len(secret)}")
    write_atomically(path, _encrypted(private, secret), mode=0o600, replace=False)


def _encrypted(private: PrivateKey, secret: bytes) -> bytes:
    """RFC 5958 EncryptedPrivateKeyInfo with PBES2: scrypt (RFC 7914 section 7) and AES-256-CBC, as PEM.

    The library's own encryption derives its key with 2048 rounds of PBKDF2, which a graphics card undoes a million times a second.
    """
    salt, iv = os.urandom(16), os.urandom(16)
    key = hashlib.scrypt(secret, salt=salt, n=_SCRYPT_COST, r=_SCRYPT_BLOCK, p=1, maxmem=_SCRYPT_COST * _SCRYPT_BLOCK * 256, dklen=32)
    plain = private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    padder, encryptor = PKCS7(128).padder(), Cipher(AES(key), CBC(iv)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    cost = tlv(INTEGER, _SCRYPT_COST.to_bytes(2, "big")) + tlv(INTEGER, bytes([_SCRYPT_BLOCK])) + tlv(INTEGER, b"\x01")
    derivation = _algorithm("1.3.6.1.4.1.11591.4.11", tlv(SEQUENCE, tlv(OCTET_STRING, salt) + cost))
    encryption = _algorithm("2.16.840.1.101.3.4.1.42", tlv(OCTET_STRING, iv))
    scheme = _algorithm("1.2.840.113549.1.5.13", tlv(SEQUENCE, derivation + encryption))
    text = base64.b64encode(tlv(SEQUENCE, scheme + tlv(OCTET_STRING, sealed)))
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, b"-----END ENCRYPTED PRIVATE KEY-----", b""])


def _algorithm(oid: str, parameters: bytes) -> bytes:
    return tlv(SEQUENCE, tlv(OID, oid_content(oid)) + parameters)


def read_key(path: Path, secret: bytes) -> PrivateKey:
    """The key in a file of ours; Misconfigured for a wrong passphrase or a file that is no such key, NotFound when it is not there."""
    pem = read_small(path, "key")
    try:
        # The consistency check of an RSA-3072 key takes 225 ms, and we made this one ourselves.
        private = serialization.load_pem_private_key(pem, secret, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:
        raise Misconfigured(f"key {path} is not encrypted: encrypt it, or restore it from a backup") from error
    except UnsupportedAlgorithm as error:
        raise Misconfigured(f"key {path} is encrypted in a way that is not read here") from error
    except ValueError as error:
        if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem:
            raise Misconfigured(f"wrong passphrase for key {path} (or the file is damaged)") from error
        raise Misconfigured(f"key {path} is not an encrypted PKCS#8 private key") from error
    if not isinstance(private, PrivateKey):
        raise Misconfigured(f"key {path} is of a type that is not used here")
    return private


def read_certificates(path: Path | str) -> tuple[Cert, ...]:
    """Of a PEM file, in its order; Misconfigured when it holds none. Read again where the file is another than it was."""
    try:
        seen = os.stat(path)  # noqa: PTH116  # each seal looks ten times: a Path takes three times as long
    except OSError:
        return _certificates(path)  # which says what is wrong
    return _remembered(path, (seen.st_ino, seen.st_mtime_ns, seen.st_size))


@functools.lru_cache(maxsize=64)
def _remembered(path: Path | str, seen: tuple[int, int, int]) -> tuple[Cert, ...]:  # noqa: ARG001  # part of what is remembered
    """So the faces of our own certificates are made once, not for each seal."""
    return _certificates(path)


def _certificates(path: Path | str) -> tuple[Cert, ...]:
    pem = read_small(Path(path), "certificate")
    try:
        return tuple(Cert(c.public_bytes(serialization.Encoding.DER)) for c in x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise Misconfigured(f"{path} holds no PEM certificate that can be read") from error


def pem_of(certificates: tuple[Cert, ...]) -> bytes:
    return b"".join(c.x509.public_bytes(serialization.Encoding.PEM) for c in certificates)
