"""trust.codecs.stencil: whatever the bytes, it reads what the general reader reads, or leaves it to that."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import pki
from tests.envelopes import integer, seq
from tests.pki import SIGNED
from trust.codecs import cms, stencil
from trust.codecs.asn1 import tlv
from trust.errors import KakuinError
from trust.model import Cert, Digest, Token
from verifier.formats import tst

CA = pki.authority(pki.root())
UNITS = {name: pki.unit(CA, key=name) for name in ("p256", "rsa2048", "ed25519")}
P256 = UNITS["p256"]
DIGEST = Digest.of("sha256", b"a dataset")
FIRST = pki.token(P256, DIGEST, nonce=77)
SECOND = pki.token(P256, Digest.of("sha256", b"another"), SIGNED + timedelta(microseconds=123_000), serial=3, nonce=1 << 62)

POOL = [pki.token(UNITS["ed25519"], DIGEST, serial=n, nonce=nonce) for n, nonce in ((1, None), (2, 5), (300, 1 << 62))]
"""Signatures of one length, so that places mean the same in every run."""


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stencil, "_known", {})


def generally(der: bytes, certs: tuple[Cert, ...] = ()) -> Token | tuple[type, str]:
    try:
        return cms.general_token(der, certs)
    except KakuinError as error:
        return type(error), str(error)


def as_ever(der: bytes, certs: tuple[Cert, ...] = ()) -> Token | tuple[type, str]:
    try:
        return cms.token(der, certs)
    except KakuinError as error:
        return type(error), str(error)


def warm(*tokens: bytes) -> None:
    for token in tokens or (FIRST,):
        cms.token(token)
    assert stencil._known


@pytest.mark.parametrize("key", UNITS)
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512", "sha3_256"])
def test_what_differs_between_tokens_is_read_from_each(key: str, digest: str) -> None:
    unit, moments = UNITS[key], [SIGNED, SIGNED + timedelta(microseconds=500_000), SIGNED + timedelta(days=800, microseconds=1)]
    warm(pki.token(unit, Digest.of(digest, b"0")), pki.token(unit, Digest.of(digest, b"0"), nonce=1))
    read = 0
    for serial in (1, 127, 128, 65_535, 1 << 64, (1 << 159) - 1):
        for nonce in (None, 0, 1 << 63, (1 << 159) - 1):
            when = moments[serial % 3]
            der = pki.token(unit, Digest.of(digest, b"%d" % serial), when, serial=serial, nonce=nonce)
            found = stencil.read(der, ())
            assert as_ever(der) == generally(der)
            if found is not None:
                read += 1
                assert (found.serial, found.nonce, found.gen_time) == (serial, nonce, when)
                assert found == generally(der)
    assert read == 24


def test_a_response_is_read_as_its_token() -> None:
    warm()
    for response in (seq(seq(integer(0)), SECOND), seq(seq(integer(1)), SECOND)):
        assert stencil.read(tst._bare(response), ()) == tst.token_of(response) == generally(SECOND)
    for other in (seq(seq(integer(2)), SECOND), seq(seq(integer(0)), SECOND) + b"\0", seq(seq(integer(0)), SECOND, SECOND), SECOND + b"\0"):
        assert stencil.read(tst._bare(other), ()) is None


def test_candidates_for_the_signer_are_part_of_what_is_alike() -> None:
    bare, second = (pki.token(P256, DIGEST, certificates=(), serial=n) for n in (1, 2))
    one, other = (P256.certificate,), (UNITS["rsa2048"].certificate,)
    for certs in (one, other, (), one):
        assert as_ever(bare, certs) == generally(bare, certs)
        assert as_ever(second, certs) == generally(second, certs)
    assert {t.signature.signer for certs in (one, other) if isinstance(t := as_ever(second, certs), Token)} == {P256.certificate, None}


def _oddly_written() -> Iterator[tuple[str, bytes]]:
    """Tokens that differ from a known one in a way that only reading shows."""
    for name, part, instead in (
        ("fraction with a zero", b"20260601000000.123Z", b"20260601000000.120Z"),
        ("no such day", b"20260601000000.123Z", b"20260631000000.123Z"),
        ("no such second", b"20260601000000.123Z", b"20260601000061.123Z"),
        ("no digits", b"20260601000000.123Z", b"20260601000000.1 3Z"),
        ("a comma", b"20260601000000.123Z", b"20260601000000,123Z"),
        ("a zone", b"20260601000000.123Z", b"20260601000000.123A"),
        ("other digits", b"20260601000000.123Z", "2026060100000٠.12Z".encode()),
    ):
        yield name, SECOND.replace(_time(), instead) if part else SECOND
    yield "serial below zero", SECOND.replace(b"\x02\x01\x03\x18", b"\x02\x01\xff\x18")
    yield "signature cut off", SECOND[:-1]
    yield "one byte more", SECOND + b"\0"
    yield "another imprint", SECOND.replace(Digest.of("sha256", b"another").value, bytes(32))
    yield "a certificate changed", SECOND.replace(P256.certificate.der, P256.certificate.der[:-1] + bytes((P256.certificate.der[-1] ^ 1,)))


def _time() -> bytes:
    return (SIGNED + timedelta(microseconds=123_000)).strftime("%Y%m%d%H%M%S.").encode() + b"123Z"


@pytest.mark.parametrize(("name", "der"), list(_oddly_written()), ids=[name for name, _ in _oddly_written()])
def test_odd_tokens_are_read_as_ever(name: str, der: bytes) -> None:
    assert der != SECOND
    warm()
    assert as_ever(der) == generally(der), name
    assert as_ever(SECOND) == generally(SECOND)


@pytest.mark.parametrize("change", ["flip the lowest", "flip the highest", "zero", "ones", "drop", "double"])
def test_every_octet_changed_in_turn(change: str) -> None:
    """The token that is known stays so; the changed ones are never learnt in its place."""
    warm()
    for at in range(len(SECOND)):
        octet = SECOND[at]
        instead = {
            "flip the lowest": bytes((octet ^ 1,)),
            "flip the highest": bytes((octet ^ 0x80,)),
            "zero": b"\0",
            "ones": b"\xff",
            "drop": b"",
            "double": bytes((octet, octet)),
        }[change]
        der = SECOND[:at] + instead + SECOND[at + 1 :]
        assert as_ever(der) == generally(der), at
    assert stencil.read(SECOND, ()) == generally(SECOND)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_spliced_tokens_are_read_as_ever(data: st.DataObject) -> None:
    stencil._known.clear()
    warm(*POOL)
    one, other = data.draw(st.sampled_from(POOL)), data.draw(st.sampled_from(POOL))
    begin = data.draw(st.integers(0, len(one)))
    end = data.draw(st.integers(begin, min(len(one), begin + 40)))
    source = data.draw(st.integers(0, len(other)))
    patch = data.draw(st.one_of(st.binary(max_size=8), st.just(other[source : source + end - begin])))
    der = one[:begin] + patch + one[end:]
    assert as_ever(der) == generally(der)


def test_a_decoy_digest_in_another_attribute_is_left_to_the_general_reader() -> None:
    """Two values that look like the message digest: which one it is, only reading tells."""
    md = bytes.fromhex("06092a864886f70d010904") + tlv(0x31, tlv(0x04, bytes(32)))
    spelled = SECOND.replace(md[:11], b"", 0)
    assert spelled.count(md[:11]) == 1
    inside = spelled.find(md[:11])
    longer = spelled[:inside] + md + spelled[inside:]
    warm()
    assert stencil.read(longer, ()) is None
    assert as_ever(longer) == generally(longer)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stencil, "MOST_STENCILS", 3)
    for n in range(8):
        cms.token(pki.token(P256, DIGEST, policy=f"1.2.3.{n}"))
        assert len(stencil._known) <= 3
    monkeypatch.setattr(stencil, "LONGEST", 100)
    stencil._known.clear()
    cms.token(FIRST)
    assert not stencil._known


def test_a_time_before_the_common_era_of_computing_is_a_time() -> None:
    early = pki.token(P256, DIGEST, datetime(1, 1, 1, tzinfo=UTC), nonce=5)
    warm()
    assert as_ever(early) == generally(early)
