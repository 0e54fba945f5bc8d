"""P-256 signatures checked eight at a time, in a third of the time, by another library than the one that makes them.

Intel's Cryptography Primitives come with a multi-buffer library, libcrypto_mb (Apache-2.0; the package `libcrypto-mb12` of Debian 13), which computes
with eight numbers in the lanes of one register. Where it is installed, the processor has what it needs (AVX-512 IFMA: Intel since Ice Lake, AMD since
Zen 4) and it passes a test of its own at the start, an authority checks its own tokens with it. It is handed public things alone: signatures of this
house, digests, the unit's public key. No stranger's bytes, and no private key.

Its yes counts. What it does not say yes to, and what is not written as DER wants it, is left to `trust.algorithms.checker`, whose answer decides: a
digest that is not below the order of the curve (one in four thousand million) is refused by this library, and no fault of the unit. Errors: none.
"""

import ctypes
import functools
import hashlib
import logging
import threading
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from trust.algorithms import Algorithm
from trust.ports import SureOf

NAMES = ("libcrypto_mb.so.13", "libcrypto_mb.so.12")
"""Versions with the interface that is used here, newest first."""
LANES = 8
WORTH = 3
"""Signatures for which it pays: eight take as long as two or three by themselves."""
_SCALAR = 32
"""Octets of a number of this curve, and of its digests."""
_ALL_SOUND = 0
"""Of a status: four bits a lane, zero for a signature that holds."""
_ALGORITHM = Algorithm("ecdsa", "sha256")

_Lanes = ctypes.c_void_p * LANES
_LOG = logging.getLogger("kakuin.tsa")


def sure_of(key: PublicKeyTypes, algorithm: Algorithm) -> SureOf | None:
    """Which signatures of `key` surely hold; None where the library, the processor or the kind of key is another."""
    library = _library()
    if library is None or algorithm != _ALGORITHM or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    return _Eight(library, key.public_numbers())


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The first that is there and does what it should."""
    for name in NAMES:
        try:
            library = ctypes.CDLL(name)
            applicable, verify = library.mbx_is_crypto_mb_applicable, library.mbx_nistp256_ecdsa_verify_mb8
        except (OSError, AttributeError):
            continue
        applicable.argtypes, applicable.restype = (ctypes.c_uint64,), ctypes.c_int
        verify.argtypes, verify.restype = (*(_Lanes,) * 5, ctypes.c_void_p, ctypes.c_void_p), ctypes.c_uint32
        if not applicable(0):
            _LOG.info("%s is there, but not for this processor: signatures are checked one by one", name)
        elif not _passes(library):
            _LOG.error("%s does not check signatures as it should: it is not used", name)
        else:
            _LOG.info("signatures of P-256 are checked eight at a time, by %s", name)
            return library
    return None


def _passes(library: ctypes.CDLL) -> bool:
    """It tells sound from unsound in each lane: other words, another's signature, halves that are zero, too large or exchanged."""
    key = ec.generate_private_key(ec.SECP256R1())
    check = _Eight(library, key.public_key().public_numbers())
    signed = [bytes([lane]) * 100 for lane in range(LANES)]
    sound = [key.sign(each, ec.ECDSA(hashes.SHA256())) for each in signed]
    if check(sound, signed) != [True] * LANES or any(check(sound[1:] + sound[:1], signed)):
        return False
    for lane in range(LANES):
        wrong = [*signed[:lane], b"", *signed[lane + 1 :]]
        if check(sound, wrong) != [other != lane for other in range(LANES)]:
            return False
    halves = [_halves(each) or b"" for each in sound]
    zero, largest = bytes(_SCALAR), b"\xff" * _SCALAR
    broken = [each[:_SCALAR] + half for each in halves[:3] for half in (zero, largest)]
    broken += [each[_SCALAR:] + each[:_SCALAR] for each in halves[3:4]]
    return not any(check.lanes(broken, signed))


class _Eight:
    """The library with one public key. Thread-safe."""

    def __init__(self, library: ctypes.CDLL, key: ec.EllipticCurvePublicNumbers) -> None:
        self._lock = threading.Lock()
        self._input = ctypes.create_string_buffer(3 * LANES * _SCALAR)
        """Of each lane r, s and the digest."""
        at = ctypes.addressof(self._input)
        r, s, digest = (_Lanes(*(at + (3 * lane + part) * _SCALAR for lane in range(LANES))) for part in range(3))
        self._key = [ctypes.create_string_buffer(number.to_bytes(_SCALAR, "little"), _SCALAR) for number in (key.x, key.y)]
        x, y = (_Lanes(*(ctypes.addressof(number),) * LANES) for number in self._key)
        self._verify = functools.partial(library.mbx_nistp256_ecdsa_verify_mb8, r, s, digest, x, y, None, None)

    def __call__(self, signatures: Sequence[bytes], signed: Sequence[bytes]) -> list[bool]:
        halves = [_halves(each) for each in signatures]
        sure: list[bool] = []
        for at in range(0, len(halves), LANES):
            some = halves[at : at + LANES]
            plain = len(some) >= WORTH and None not in some
            sure += self.lanes(some, signed[at : at + LANES]) if plain else [False] * len(some)  # type: ignore[arg-type]
        return sure

    def lanes(self, halves: Sequence[bytes], signed: Sequence[bytes]) -> list[bool]:
        """For `LANES` at most; what stands in the others is not looked at."""
        given = b"".join([half + hashlib.sha256(each).digest() for half, each in zip(halves, signed, strict=False)])
        with self._lock:
            ctypes.memmove(self._input, given, len(given))
            status: int = self._verify()
        if status == _ALL_SOUND:
            return [True] * len(halves)
        return [status >> 4 * lane & 0xF == 0 for lane in range(len(halves))]


def _halves(signature: bytes) -> bytes | None:
    """r and s of a Dss-Sig-Value (RFC 3279 section 2.2.3), each in full length; None where it is not DER."""
    size = len(signature)
    if not 8 <= size < 0x80 or signature[0] != 0x30 or signature[1] != size - 2 or signature[2] != 0x02:
        return None
    end = 4 + signature[3]
    if end + 2 >= size or signature[end] != 0x02 or signature[end + 1] != size - end - 2:
        return None
    r, s = _scalar(signature[4:end]), _scalar(signature[end + 2 :])
    return None if r is None or s is None else r + s


def _scalar(content: bytes) -> bytes | None:
    """Of a positive INTEGER in the fewest octets (X.690 clause 8.3.2); None for any other, and for one that is too long."""
    if not content or content[0] >= 0x80 or (content[0] == 0 and content[1:2] < b"\x80"):
        return None
    return content.rjust(_SCALAR, b"\0") if len(content) <= _SCALAR else content[1:] if content[0] == 0 and len(content) == _SCALAR + 1 else None
