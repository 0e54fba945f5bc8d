"""Signatures checked eight at a time: what is taken for sound, and that nothing else is."""

import ctypes
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from tests import tsu
from trust.algorithms import Algorithm
from trust.codecs import tsp
from trust.edge import eight
from trust.errors import KakuinError
from tsa import issue

P256, PKCS1 = Algorithm("ecdsa", "sha256"), Algorithm("rsa-pkcs1", "sha256")
KEY = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
KINDS: dict[str, tuple[Any, Algorithm, Callable[[bytes], bytes]]] = {
    "p256": (KEY.public_key(), P256, lambda data: KEY.sign(data, ec.ECDSA(hashes.SHA256()))),
    "rsa": (RSA.public_key(), PKCS1, lambda data: RSA.sign(data, padding.PKCS1v15(), hashes.SHA256())),
}
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Verify = Callable[..., int]


class Library:
    """In the place of libcrypto_mb: the same interface, by the library that the project has anyway."""

    def __init__(self, answers: Callable[[int], int] = lambda status: status, applicable: int = 1, exponent: int = 65537) -> None:
        self.mbx_is_crypto_mb_applicable = Function(lambda _features: applicable)
        self.mbx_nistp256_ecdsa_verify_mb8 = Function(lambda *given: answers(_status(*given)))
        self.mbx_rsa_public_mb8 = Function(functools.partial(_powers, exponent))


class Function:
    """Has what ctypes lets a caller declare."""

    argtypes: Any = None
    restype: Any = None

    def __init__(self, call: Callable[..., int]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> int:
        return self._call(*arguments)


def _status(r: Any, s: Any, digest: Any, x: Any, y: Any, _z: None, _buffer: None) -> int:
    """Four bits a lane: 0 where the signature holds, 8 where it does not, 1 where a number is out of range."""
    status = 0
    for lane in range(eight.LANES):
        numbers = [int.from_bytes(ctypes.string_at(part[lane], 32), "big") for part in (r, s)]
        key = ec.EllipticCurvePublicNumbers(*(int.from_bytes(ctypes.string_at(part[lane], 32), "little") for part in (x, y)), curve=ec.SECP256R1())
        said = 0
        if not all(0 < number < ORDER for number in numbers):
            said = 1
        else:
            try:
                key.public_key().verify(encode_dss_signature(*numbers), ctypes.string_at(digest[lane], 32), ec.ECDSA(Prehashed(hashes.SHA256())))
            except InvalidSignature:
                said = 8
        status |= said << 4 * lane
    return status


def _powers(exponent: int, given: Any, found: Any, modulus: Any, bits: int, _method: None, _buffer: None) -> int:
    size = bits // 8
    for lane in range(eight.LANES):
        number, over = int.from_bytes(ctypes.string_at(given[lane], size), "big"), int.from_bytes(ctypes.string_at(modulus[lane], size), "little")
        ctypes.memmove(found[lane], pow(number, exponent, over).to_bytes(size, "big"), size)
    return 0


@pytest.fixture(params=["stand-in", "libcrypto_mb"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Both, where the real one is installed and the processor is one for it. It is optional on every machine, so its absence is no failure."""
    eight._library.cache_clear()
    if request.param == "stand-in":
        monkeypatch.setattr(ctypes, "CDLL", lambda _name: Library())
    if eight._library() is None:
        pytest.skip("libcrypto_mb is not installed, or not for this processor")
    yield eight._library()
    eight._library.cache_clear()


def sure_of(kind: str = "p256") -> Any:
    key, algorithm, _ = KINDS[kind]
    return eight.sure_of(key, algorithm)


def signatures(count: int, kind: str = "p256") -> tuple[list[bytes], list[bytes]]:
    signed = [b"attributes %d" % at for at in range(count)]
    return [KINDS[kind][2](each) for each in signed], signed


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "sure"), [(0, 0), (1, 0), (2, 0), (3, 3), (8, 8), (9, 8), (11, 11), (16, 16), (19, 19), (26, 24)])
def test_a_rest_of_one_or_two_is_left_to_be_checked_otherwise(kind: str, count: int, sure: int) -> None:
    assert sure_of(kind)(*signatures(count, kind)) == [True] * sure + [False] * (count - sure)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", range(11))
def test_a_signature_over_other_octets_is_found_in_its_place(kind: str, at: int) -> None:
    made, signed = signatures(11, kind)
    signed[at] += b"!"
    assert sure_of(kind)(made, signed) == [other != at for other in range(11)]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("kind", "other"), [("p256", ec.generate_private_key(ec.SECP256R1())), ("rsa", rsa.generate_private_key(65537, 2048))], ids=["p256", "rsa"]
)
def test_signatures_of_another_key_are_not_sure(kind: str, other: Any) -> None:
    check = eight.sure_of(other.public_key(), KINDS[kind][1])
    assert check is not None
    assert check(*signatures(8, kind)) == [False] * 8


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("change", ["cut", "longer", "modulus", "as much again", "zero", "padding of another digest"])
def test_rsa_signatures_that_are_odd_are_not_sure(change: str) -> None:
    made, signed = signatures(8, "rsa")
    modulus = RSA.public_key().public_numbers().n
    made[3] = {
        "cut": made[3][:-1],
        "longer": b"\x00" + made[3],
        "modulus": modulus.to_bytes(256, "big"),
        "as much again": (int.from_bytes(made[3], "big") + modulus).to_bytes(257, "big")[-256:],
        "zero": bytes(256),
        "padding of another digest": RSA.sign(signed[3], padding.PKCS1v15(), hashes.SHA512()),
    }[change]
    assert not sure_of("rsa")(made, signed)[3]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (ORDER, 1), (1, ORDER), (1, 1), (2**256 - 1, 2**256 - 1)])
def test_numbers_out_of_range_are_not_sure(r: int, s: int) -> None:
    made, signed = signatures(8)
    made[3] = encode_dss_signature(r, s)
    found = sure_of()(made, signed)
    assert not found[3]


def p256() -> eight._P256:
    return eight._P256(Library(), KEY.public_key().public_numbers())  # type: ignore[arg-type]


def _malformed() -> dict[str, bytes]:
    r = b"\x02\x20" + b"\x11" * 32
    return {
        "empty": b"",
        "no sequence": b"\x31\x44" + r + r,
        "length too long": b"\x30\x45" + r + r,
        "bytes behind": b"\x30\x44" + r + r + b"\x00",
        "long form of a length": b"\x30\x81\x44" + r + r,
        "one number": b"\x30\x22" + r,
        "no integer first": b"\x30\x44" + b"\x03" + r[1:] + r,
        "no integer second": b"\x30\x44" + r + b"\x03" + r[1:],
        "second too long": b"\x30\x44" + r + b"\x02\x21" + r[2:],
        "third": b"\x30\x47" + r + r + b"\x02\x01\x01",
        "first reaches over the end": b"\x30\x44\x02\x7e" + r[2:] + r,
        "empty number": b"\x30\x24" + r + b"\x02\x00",
        "negative": b"\x30\x44" + r + b"\x02\x20" + b"\x80" + b"\x11" * 31,
        "padded": b"\x30\x44" + r + b"\x02\x20" + b"\x00" + b"\x11" * 31,
        "33 octets": b"\x30\x45" + r + b"\x02\x21" + b"\x11" * 33,
    }


@pytest.mark.parametrize("case", _malformed())
def test_what_is_not_der_has_no_halves(case: str) -> None:
    assert p256().numbers(_malformed()[case]) is None


@pytest.mark.parametrize("number", [1, 0x7F, 0x80, 2**127, 2**247, 2**255 - 1, 2**255, ORDER - 1], ids=hex)
def test_the_halves_of_a_signature_are_its_numbers(number: int) -> None:
    assert p256().numbers(encode_dss_signature(number, 7)) == number.to_bytes(32, "big") + (7).to_bytes(32, "big")


@pytest.mark.usefixtures("library")
def test_der_of_another_kind_leaves_its_eight_to_be_checked_otherwise() -> None:
    made, signed = signatures(16)
    made[2] = _malformed()["padded"]
    assert sure_of()(made, signed) == [False] * 8 + [True] * 8


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP384R1()).public_key(), Algorithm("ecdsa", "sha384")),
        (ec.generate_private_key(ec.SECP256K1()).public_key(), P256),
        (KEY.public_key(), Algorithm("ecdsa", "sha384")),
        (ed25519.Ed25519PrivateKey.generate().public_key(), Algorithm("ed25519")),
        (RSA.public_key(), Algorithm("rsa-pkcs1", "sha512")),
        (RSA.public_key(), Algorithm("rsa-pss", "sha256", mgf_digest="sha256", salt=32)),
        (rsa.generate_private_key(3, 2048).public_key(), PKCS1),
        (rsa.generate_private_key(65537, 1024).public_key(), PKCS1),
    ],
    ids=["p384", "secp256k1", "another digest", "ed25519", "another digest of RSA", "PSS", "exponent 3", "1024 bits"],
)
def test_other_keys_are_checked_one_by_one(key: Any, algorithm: Algorithm) -> None:
    assert eight.sure_of(key, algorithm) is None


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(Library(lambda _status: 0), id="says yes to all"),
        pytest.param(Library(lambda _status: 0x88888888), id="says no to all"),
        pytest.param(Library(lambda status: status & 0x0FFFFFFF), id="blind in one lane"),
        pytest.param(Library(lambda status: status >> 4 | (status & 0xF) << 28), id="exchanges lanes"),
        pytest.param(Library(lambda status: status & 0x88888888), id="takes numbers out of range"),
        pytest.param(Library(applicable=0), id="not for this processor"),
        pytest.param(object(), id="another interface"),
    ],
)
def test_a_library_that_does_not_do_what_it_should_is_not_used(found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    eight._library.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: found)
    assert sure_of() is None
    eight._library.cache_clear()


def test_a_library_that_computes_wrong_powers_does_not_check_rsa(monkeypatch: pytest.MonkeyPatch) -> None:
    eight._library.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Library(exponent=3))
    assert sure_of("rsa") is None
    assert sure_of("p256") is not None
    eight._library.cache_clear()


def test_without_the_library_signatures_are_checked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    eight._library.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert sure_of() is None
    eight._library.cache_clear()


# In the authority.


class Faulty:
    """A key that signs something else, once."""

    def __init__(self, party: Any, wrong: int) -> None:
        self._party = party
        self._wrong = wrong
        self.signed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._party, name)

    def sign(self, data: bytes) -> bytes:
        self.signed += 1
        made: bytes = self._party.sign(data + b"!" if self.signed - 1 == self._wrong else data)
        return made


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("wrong", [0, 4, 8, 10, 16, 17])
@pytest.mark.parametrize("key", ["p256", "rsa2048"])
def test_no_token_leaves_from_a_signature_that_does_not_hold_on(key: str, wrong: int) -> None:
    unit = issue.Unit.of("tsu", tsu.POLICY, Faulty(tsu.party(key), wrong), eight.sure_of)
    asked = [issue.read(tsp.encode_request(tsu.DIGEST, nonce=at)) for at in range(18)]
    made = issue.grant_all(asked, unit, tsu.NOW, 1)
    assert len(made) == wrong + 1
    assert all(isinstance(each, issue.Response) and each.token for each in made[:wrong])
    assert isinstance(made[wrong], KakuinError)
    assert "does not verify" in str(made[wrong])


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("key", ["p256", "rsa2048", "p384"])
def test_tokens_are_the_same_whoever_checks_them(key: str) -> None:
    unit = issue.Unit.of("tsu", tsu.POLICY, tsu.party(key), eight.sure_of)
    asked = [issue.read(tsp.encode_request(tsu.DIGEST, nonce=at)) for at in range(18)]
    for serial, each in enumerate(issue.grant_all(asked, unit, tsu.NOW, 1), 1):
        assert isinstance(each, issue.Response)
        token = tsu.token(each.der, key)
        assert (token.serial, token.nonce) == (serial, serial - 1)


@pytest.mark.parametrize("count", [1, 8, 11])
def test_what_is_not_sure_is_checked_by_the_other_library(count: int) -> None:
    """A library that says no to everything costs time and nothing else."""
    unit = issue.Unit.of("tsu", tsu.POLICY, tsu.party(), lambda _key, _algorithm: lambda made, _signed: [False] * len(made))
    asked = [issue.read(tsp.encode_request(tsu.DIGEST, nonce=at)) for at in range(count)]
    assert all(isinstance(each, issue.Response) for each in issue.grant_all(asked, unit, tsu.NOW, 1))
