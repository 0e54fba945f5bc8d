"""Which algorithm and digest a seal is made with: what formats have identifiers for, what is refused and why, and until when it is accepted."""

import pytest

from eseal.spec import DIGEST_CHOICES, Format, choose
from eseal.suite import FAMILY, Family, Suite, suite, warnings
from tests import pki as office
from trust.algorithms import Algorithm, pss
from trust.errors import Unacceptable
from trust.suites import shipped

PKI = office.pki()
SHA2, SHA3 = ("sha256", "sha384", "sha512"), ("sha3_256", "sha3_384", "sha3_512")
FORMAT = {Family.CMS: Format.CADES, Family.XML: Format.XADES, Family.JOSE: Format.JADES, Family.COSE: Format.COSE}
SCHEMES = {
    "rsa-pkcs1": Algorithm("rsa-pkcs1", "sha256"),
    "rsa-pss": pss("sha256"),
    "ecdsa": Algorithm("ecdsa", "sha256"),
    **{name: Algorithm(name) for name in ("ed25519", "ed448", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")},
}
THERE = {
    (Family.CMS, "rsa-pkcs1"): SHA2 + SHA3,
    (Family.CMS, "rsa-pss"): SHA2 + SHA3,
    (Family.CMS, "ecdsa"): SHA2 + SHA3,
    (Family.CMS, "ed25519"): ("sha512",),
    (Family.CMS, "ml-dsa-44"): SHA2 + SHA3,
    (Family.CMS, "ml-dsa-65"): ("sha384", "sha512", "sha3_384", "sha3_512"),
    (Family.CMS, "ml-dsa-87"): ("sha512", "sha3_512"),
    (Family.XML, "rsa-pkcs1"): SHA2,
    (Family.XML, "rsa-pss"): SHA2 + SHA3,
    (Family.XML, "ecdsa"): SHA2 + SHA3,
    **{(Family.XML, name): SHA2 + SHA3 for name in ("ed25519", "ed448")},
    **{(Family.JOSE, name): SHA2 for name in SCHEMES},
    **{(Family.COSE, name): SHA2 for name in ("rsa-pkcs1", "rsa-pss", "ecdsa")},
    **{(Family.COSE, name): SHA2 + SHA3 for name in ("ed25519", "ed448", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")},
}


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_there_is_and_nothing_else(family: Family, scheme: str) -> None:
    found = []
    for digest in SHA2 + SHA3:
        try:
            made = suite(FORMAT[family], SCHEMES[scheme], None, digest)
        except Unacceptable:
            continue
        assert made.digest == digest and made.algorithm.scheme == scheme and made.algorithm.digest in (None, digest)
        found.append(digest)
    assert tuple(found) == THERE.get((family, scheme), ())


def test_every_format_has_a_family() -> None:
    assert set(FAMILY) == set(Format)


@pytest.mark.parametrize(("own", "expected"), [(Algorithm("ecdsa", "sha384"), "sha384"), (pss("sha256"), "sha256"), (Algorithm("ed25519"), "sha512")])
def test_without_a_wish_the_digest_is_the_keys(own: Algorithm, expected: str) -> None:
    assert suite(Format.CADES, own, None) == Suite(own, expected)


@pytest.mark.parametrize(
    ("form", "own", "asked", "message"),
    [
        (Format.XADES, Algorithm("ml-dsa-65"), None, "ml-dsa-65 has no identifier in XML yet: seal as cades, pades, jades or cose"),
        (Format.XADES, Algorithm("rsa-pkcs1", "sha256"), "sha3_256", "has no identifier in XML; there is rsa-pkcs1 with sha256, sha384, sha512"),
        (Format.JADES, Algorithm("ecdsa", "sha256"), "sha3_256", "has no identifier in JOSE; there is ecdsa with sha256, sha384, sha512"),
        (Format.JADES, Algorithm("ed25519"), "sha3_256", "jades hashes with SHA-2"),
        (Format.PADES, Algorithm("ed448"), None, r"in CMS they want SHAKE256 \(RFC 8419 section 3.1\)"),
        (Format.PADES, Algorithm("ed25519"), "sha256", "in CMS a key of ed25519 goes with sha512, got sha256"),
        (Format.CADES, Algorithm("ml-dsa-87"), "sha384", "in CMS a key of ml-dsa-87 goes with sha512 or sha3_512, got sha384"),
        (Format.CADES, Algorithm("rsa-pkcs1", "sha1"), None, "nothing is sealed with sha1"),
    ],
)
def test_what_has_no_identifier_is_refused_with_the_reason(form: Format, own: Algorithm, asked: str | None, message: str) -> None:
    with pytest.raises(Unacceptable, match=message):
        suite(form, own, None, asked)


@pytest.mark.parametrize("form", [Format.JADES, Format.COSE])
def test_where_a_name_is_that_of_a_curve_the_digest_goes_with_it(form: Format) -> None:
    public = PKI.signer.certificate.public_key
    assert suite(form, Algorithm("ecdsa", "sha256"), public).digest == "sha256"
    with pytest.raises(Unacceptable, match="for keys on P-384 alone, this organisation's is on P-256"):
        suite(form, Algorithm("ecdsa", "sha256"), public, "sha384")


def test_digests_are_named_in_any_spelling() -> None:
    assert [choose(b"", digest=name).digest for name in DIGEST_CHOICES] == [*SHA2, *SHA3]
    assert {choose(b"", digest=name).digest for name in ("SHA3-256", "sha3_256", "Sha3256")} == {"sha3_256"}


def _warned(kind: str, algorithm: Algorithm, digest: str = "sha256") -> tuple[str, ...]:
    public = office.signer(PKI.ca, key=kind).certificate.public_key
    assert public is not None
    return warnings(Suite(algorithm, digest), public, shipped())


@pytest.mark.parametrize(
    ("kind", "algorithm", "expected"),
    [
        ("p256", Algorithm("ecdsa", "sha256"), ()),
        ("rsa3072", pss("sha256"), ()),
        ("rsa3072", Algorithm("rsa-pkcs1", "sha256"), ("verifiers refuse RSA PKCS#1 v1.5 with 3072 bits from 2029-01-01 on (ETSI TS 119 312)",)),
        ("rsa2048", pss("sha256"), ("verifiers refuse RSASSA-PSS with 2048 bits from 2029-01-01 on (ETSI TS 119 312)",)),
        ("ed25519", Algorithm("ed25519"), ("ETSI TS 119 312 does not list ed25519",)),
        ("ml-dsa-65", Algorithm("ml-dsa-65"), ("ETSI TS 119 312 does not list ml-dsa-65",)),
    ],
)
def test_a_seal_says_from_when_on_verifiers_refuse_it(kind: str, algorithm: Algorithm, expected: tuple[str, ...]) -> None:
    found = _warned(kind, algorithm)
    assert len(found) == len(expected)
    assert all(line.startswith(begin) for line, begin in zip(found, expected, strict=True)), found
    assert all(line.isascii() and len(line) <= 200 for line in found)
