"""Signatures of P-256 and RSA checked eight at a time, in a third to a fifth of the time, by another library than the one that makes them.

Intel's Cryptography Primitives come with a multi-buffer library, libcrypto_mb (Apache-2.0; with pip the extra `eight`, on Debian 13 the package
`libcrypto-mb12`), which computes with eight numbers in the lanes of one register. Where it is installed, the processor has what it needs (AVX-512
IFMA: Intel since Ice Lake, AMD since Zen 4) and it passes a test of its own at the start, an authority checks its own tokens with it. It is handed
public things alone: signatures of this house, digests, the unit's public key. No stranger's bytes, and no private key.

Its yes counts. What it does not say yes to, and what is not written as DER wants it, is left to `trust.algorithms.checker`, whose answer decides: a
digest that is not below the order of the curve (one in four thousand million) is refused by this library, and no fault of the unit. Errors: none.
"""

import ctypes
import functools
import hashlib
import logging
import sysconfig
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from trust.algorithms import Algorithm
from trust.ports import SureOf

NAMES = ("libcrypto_mb.so.13", "libcrypto_mb.so.12")
"""Versions with the interface that is used here, newest first."""
RUNTIME = ("libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so")
"""What Intel's own build is linked with, in the order in which they need each other. No loader looks where pip puts them and it."""
LANES = 8
WORTH = 3
"""Signatures for which it pays: eight take as long as two or three by themselves."""
RSA_BITS = frozenset({2048, 3072, 4096})
_EXPONENT = 65537
_SCALAR = 32
"""Octets of a number of P-256, and of its digests."""
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""DER of a SHA-256 DigestInfo, up to the digest (RFC 8017 section 9.2 note 1)."""

_Lanes = ctypes.c_void_p * LANES
_LOG = logging.getLogger("kakuin.tsa")


def sure_of(key: PublicKeyTypes, algorithm: Algorithm) -> SureOf | None:
    """Which signatures of `key` surely hold; None where the library, the processor or the kind of key is another."""
    library = _library()
    if library is None:
        return None
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()) if algorithm == Algorithm("ecdsa", "sha256"):
            return _Eight(_P256(library, key.public_numbers()))
        case rsa.RSAPublicKey(key_size=bits) if algorithm == Algorithm("rsa-pkcs1", "sha256") and bits in RSA_BITS:
            numbers = key.public_numbers()
            powers = _Rsa(library, bits, numbers.n)
            return _Eight(powers) if numbers.e == _EXPONENT and powers.pass_test() else None
    return None


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The first that is there and does what it should."""
    for name in NAMES:
        try:
            library = _loaded(name)
            applicable = library.mbx_is_crypto_mb_applicable
            _declare(library.mbx_nistp256_ecdsa_verify_mb8, *(_Lanes,) * 5, ctypes.c_void_p, ctypes.c_void_p)
            _declare(library.mbx_rsa_public_mb8, *(_Lanes,) * 3, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        except (OSError, AttributeError):
            continue
        applicable.argtypes, applicable.restype = (ctypes.c_uint64,), ctypes.c_int
        if not applicable(0):
            _LOG.info("%s is there, but not for this processor: signatures are checked one by one", name)
        elif not _passes(library):
            _LOG.error("%s does not check signatures as it should: it is not used", name)
        else:
            _LOG.info("signatures of P-256 and RSA are checked eight at a time, by %s", name)
            return library
    return None


def _loaded(name: str) -> ctypes.CDLL:
    """The system's, or else what pip installed. OSError: neither is there."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        installed = Path(sysconfig.get_path("data"), "lib")
        needed = [ctypes.CDLL(str(installed / each)) for each in (*RUNTIME, name)]
        return needed[-1]


def _declare(function: "ctypes._NamedFuncPointer", *arguments: type) -> None:
    """Lanes in, and a status out: four bits a lane, zero for what went well."""
    function.argtypes, function.restype = arguments, ctypes.c_uint32


def _passes(library: ctypes.CDLL) -> bool:
    """It tells sound from unsound in each lane: other words, another's signature, halves that are zero, too large or exchanged."""
    key = ec.generate_private_key(ec.SECP256R1())
    kind = _P256(library, key.public_key().public_numbers())
    check = _Eight(kind)
    signed = [bytes([lane]) * 100 for lane in range(LANES)]
    sound = [key.sign(each, ec.ECDSA(hashes.SHA256())) for each in signed]
    if check(sound, signed) != [True] * LANES or any(check([*sound[1:], sound[0]], signed)):
        return False
    for lane in range(LANES):
        if check(sound, [*signed[:lane], b"", *signed[lane + 1 :]]) != [other != lane for other in range(LANES)]:
            return False
    halves = [kind.numbers(each) or b"" for each in sound]
    broken = [each[:_SCALAR] + half for each in halves[:3] for half in (bytes(_SCALAR), b"\xff" * _SCALAR)]
    broken += [each[_SCALAR:] + each[:_SCALAR] for each in halves[3:4]]
    return not any(kind.hold(broken, signed))


class _Kind(Protocol):
    """A public key in the library's hands."""

    def numbers(self, signature: bytes) -> bytes | None:
        """What the signature says, in full length; None where it is not written as it should be."""

    def hold(self, numbers: Sequence[bytes], signed: Sequence[bytes]) -> list[bool]:
        """For `LANES` at most; what stands in the others is not looked at."""


class _Eight:
    """One public key's signatures, eight by eight. Thread-safe."""

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        self._lock = threading.Lock()

    def __call__(self, signatures: Sequence[bytes], signed: Sequence[bytes]) -> list[bool]:
        numbers = [self.kind.numbers(each) for each in signatures]
        sure: list[bool] = []
        for at in range(0, len(numbers), LANES):
            some = [each for each in numbers[at : at + LANES] if each is not None]
            count = min(LANES, len(numbers) - at)
            if count < WORTH or len(some) < count:
                sure += [False] * count
                continue
            with self._lock:
                sure += self.kind.hold(some, signed[at : at + LANES])
        return sure


class _P256:
    """ECDSA with SHA-256."""

    def __init__(self, library: ctypes.CDLL, key: ec.EllipticCurvePublicNumbers) -> None:
        self._input = ctypes.create_string_buffer(3 * LANES * _SCALAR)
        """Of each lane r, s and the digest."""
        r, s, digest = (_pointers(self._input, 3 * _SCALAR, part * _SCALAR) for part in range(3))
        self._key = [ctypes.create_string_buffer(number.to_bytes(_SCALAR, "little"), _SCALAR) for number in (key.x, key.y)]
        x, y = (_pointers(number, 0) for number in self._key)
        self._verify: Callable[[], int] = functools.partial(library.mbx_nistp256_ecdsa_verify_mb8, r, s, digest, x, y, None, None)

    def numbers(self, signature: bytes) -> bytes | None:
        """r and s of a Dss-Sig-Value (RFC 3279 section 2.2.3)."""
        size = len(signature)
        if not 8 <= size < 0x80 or signature[0] != 0x30 or signature[1] != size - 2 or signature[2] != 0x02:
            return None
        end = 4 + signature[3]
        if end + 2 >= size or signature[end] != 0x02 or signature[end + 1] != size - end - 2:
            return None
        r, s = _scalar(signature[4:end]), _scalar(signature[end + 2 :])
        return None if r is None or s is None else r + s

    def hold(self, numbers: Sequence[bytes], signed: Sequence[bytes]) -> list[bool]:
        given = b"".join([each + hashlib.sha256(over).digest() for each, over in zip(numbers, signed, strict=False)])
        ctypes.memmove(self._input, given, len(given))
        status = self._verify()
        return [True] * len(numbers) if status == 0 else [_went_well(status, lane) for lane in range(len(numbers))]


class _Rsa:
    """PKCS #1 v1.5 with SHA-256 and the usual exponent: the library raises to that power, and all of what comes out is compared (RFC 8017 section
    8.2.2)."""

    def __init__(self, library: ctypes.CDLL, bits: int, modulus: int) -> None:
        self._size = bits // 8
        self._modulus = modulus.to_bytes(self._size, "big")
        self._before = b"\x00\x01" + b"\xff" * (self._size - 3 - len(_DIGEST_INFO) - _SCALAR) + b"\x00" + _DIGEST_INFO
        self._input, self._output = (ctypes.create_string_buffer(LANES * self._size) for _ in range(2))
        self._key = ctypes.create_string_buffer(self._modulus[::-1], self._size)
        lanes = _pointers(self._input, self._size), _pointers(self._output, self._size), _pointers(self._key, 0)
        self._raise: Callable[[], int] = functools.partial(library.mbx_rsa_public_mb8, *lanes, bits, None, None)

    def numbers(self, signature: bytes) -> bytes | None:
        """A number below the modulus, in full length."""
        return signature if len(signature) == self._size and signature < self._modulus else None

    def hold(self, numbers: Sequence[bytes], signed: Sequence[bytes]) -> list[bool]:
        powers = self._powers(numbers)
        return [power == self._before + hashlib.sha256(over).digest() for power, over in zip(powers, signed, strict=False)]

    def _powers(self, numbers: Sequence[bytes]) -> list[bytes]:
        """Empty where the library could not."""
        given = b"".join(numbers)
        ctypes.memmove(self._input, given, len(given))
        status, size = self._raise(), self._size
        found = self._output.raw
        return [found[lane * size : (lane + 1) * size] if _went_well(status, lane) else b"" for lane in range(len(numbers))]

    def pass_test(self) -> bool:
        """Its powers are those that Python computes."""
        modulus = int.from_bytes(self._modulus, "big")
        numbers = [int.from_bytes(hashlib.shake_256(bytes((lane,))).digest(self._size), "big") % modulus for lane in range(LANES)]
        wanted = [pow(number, _EXPONENT, modulus).to_bytes(self._size, "big") for number in numbers]
        right = self._powers([number.to_bytes(self._size, "big") for number in numbers]) == wanted
        if not right:
            _LOG.error("libcrypto_mb does not compute with this RSA key as it should: it is not used")
        return right


def _pointers(buffer: "ctypes.Array[ctypes.c_char]", step: int, first: int = 0) -> "ctypes.Array[ctypes.c_void_p]":
    """One for each lane, so many octets from one to the next."""
    return _Lanes(*(ctypes.addressof(buffer) + first + lane * step for lane in range(LANES)))


def _went_well(status: int, lane: int) -> bool:
    return status >> 4 * lane & 0xF == 0


def _scalar(content: bytes) -> bytes | None:
    """Of a positive INTEGER in the fewest octets (X.690 clause 8.3.2); None for any other, and for one that is too long."""
    if not content or content[0] >= 0x80 or (content[0] == 0 and content[1:2] < b"\x80"):
        return None
    return content.rjust(_SCALAR, b"\0") if len(content) <= _SCALAR else content[1:] if content[0] == 0 and len(content) == _SCALAR + 1 else None
