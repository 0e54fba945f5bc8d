"""The timetables: until when each algorithm is acceptable."""

from datetime import UTC, datetime

import pytest

from trust.algorithms import SIGNATURE_BY_OID, Algorithm, pss
from trust.errors import Malformed
from trust.suites import FOREVER, NEVER, parse
from verifier.policy import timetables

ETSI, CRYPTREC, OWN = (timetables()[name] for name in ("ts-119-312", "cryptrec", "kakuin"))


def day(year: int, month: int, number: int = 1) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("algorithm", "bits", "until"),
    [
        (Algorithm("ecdsa", "sha256"), 256, FOREVER),
        (Algorithm("ecdsa", "sha256"), 255, day(2021, 10)),
        (Algorithm("ecdsa", "sha1"), 256, day(2012, 8)),
        (Algorithm("rsa-pkcs1", "sha256"), 4096, day(2029, 1)),
        (Algorithm("rsa-pkcs1", "sha256"), 2048, day(2029, 1)),
        (Algorithm("rsa-pkcs1", "sha256"), 1899, day(2019, 10)),
        (Algorithm("rsa-pkcs1", "sha256"), 785, NEVER),
        (Algorithm("rsa-pkcs1", "md5"), 2048, day(2004, 8)),
        (pss("sha256"), 3072, FOREVER),
        (pss("sha256"), 2048, day(2029, 1)),
        (Algorithm("rsa-pss", "sha256", "sha1", 20), 3072, day(2012, 8)),
        (Algorithm("dsa", "sha256"), 1024, day(2015, 12)),
        (Algorithm("ed25519"), 256, NEVER),
        (Algorithm("ml-dsa-65"), 65, NEVER),
        (None, 256, NEVER),
    ],
)
def test_the_european_catalogue(algorithm: Algorithm | None, bits: int, until: datetime) -> None:
    """As EU DSS 6.4 applies TS 119 312 V1.5.1 (its constraint.xml)."""
    assert ETSI.until(algorithm, bits) == until


def test_the_japanese_list_ends_112_bits_with_2030() -> None:
    assert CRYPTREC.until(Algorithm("rsa-pkcs1", "sha256"), 2048) == day(2031, 1)
    assert CRYPTREC.until(Algorithm("rsa-pkcs1", "sha256"), 3072) == FOREVER
    assert CRYPTREC.until(Algorithm("ed25519"), 256) == FOREVER


def test_our_own_table_is_the_earlier_of_both_and_knows_the_new_schemes() -> None:
    for algorithm in set(SIGNATURE_BY_OID.values()):
        for bits in (512, 1024, 1536, 2048, 3072, 4096, 160, 224, 256, 384):
            if not algorithm.scheme.startswith(("ed", "ml")) and algorithm.digest not in ("md5", "ripemd160", "sha3_224"):
                known = [t.until(algorithm, bits) for t in (ETSI, CRYPTREC) if t.until(algorithm, bits) != NEVER]
                assert OWN.until(algorithm, bits) <= min(known, default=FOREVER), (algorithm, bits)
    for scheme, bits in (("ed25519", 256), ("ed448", 456), ("ml-dsa-44", 44), ("ml-dsa-65", 65), ("ml-dsa-87", 87)):
        assert OWN.until(Algorithm(scheme), bits) == FOREVER


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a\n", "not TOML"),
        ('[a]\nsource = ""\nissued = 2020-01-01\nextra = 1\n[a.digests]\n[a.keys]\n', "unknown key extra"),
        ('[a]\nsource = ""\nissued = 2020-01-01\n[a.digests]\nsha0 = true\n[a.keys]\n', "unknown digest sha0"),
        ('[a]\nsource = ""\nissued = 2020-01-01\n[a.digests]\nsha1 = false\n[a.keys]\n', "a date or true expected"),
        ('[a]\nsource = ""\nissued = "x"\n[a.digests]\n[a.keys]\n', "a date or true expected"),
    ],
)
def test_a_table_that_is_none(text: str, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        parse(text)
