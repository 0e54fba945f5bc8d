"""What the authority grants and what it refuses, as a function of the request."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from tests import pki, tsu
from tests.unit.test_tsp import BAD, FALSE, NONCE, SHA256, TRUE, V1, VALUE, extension, imprint, query
from trust import algorithms
from trust.algorithms import DIGESTS
from trust.codecs import cms, tsp, tst
from trust.codecs.asn1 import tlv
from trust.codecs.tsp import Failure
from trust.errors import Misconfigured, Unavailable
from trust.model import Digest, Token
from tsa import issue
from tsa.issue import Unit
from tsa.policy import DIGESTS_OFFERED, Policy

UNIT = tsu.unit()


def granted(request: bytes, unit: Unit = UNIT, now: datetime = tsu.NOW, serial: int = 1) -> Token:
    response = issue.respond(request, unit, now, serial)
    assert response.failure is None, tsp.decode_response(response.der).reason
    assert response.token is not None
    assert response.der == tsp.granted(response.token)
    return cms.token(response.token, [unit.key.certificate])


def refused(request: bytes, unit: Unit = UNIT, now: datetime = tsu.NOW, serial: int = 1) -> Failure:
    response = issue.respond(request, unit, now, serial)
    assert response.token is None
    assert tsu.refused(response.der) == response.failure
    return response.failure  # type: ignore[return-value]


def test_a_token_says_what_was_asked_and_what_the_unit_promises() -> None:
    token = granted(tsp.encode_request(tsu.DIGEST, nonce=77, policy="1.2.3.4.2"), serial=41)
    assert token.imprint == tsu.DIGEST
    assert (token.serial, token.nonce, token.policy, token.ordering) == (41, 77, "1.2.3.4.2", False)
    assert (token.gen_time, token.accuracy_us) == (tsu.NOW, 1_000_000)
    assert token.tsa == "Example TSU 1"
    signature = token.signature
    assert signature.defects == ()
    assert signature.signer == UNIT.key.certificate
    assert signature.signer_reference.digest_matches
    assert signature.intact_references
    assert algorithms.verify(UNIT.public_key, signature.algorithm, signature.value, signature.signed)  # type: ignore[arg-type]


def test_without_a_policy_the_token_has_the_default() -> None:
    assert granted(tsp.encode_request(tsu.DIGEST)).policy == "1.2.3.4.1"


def test_certificates_come_when_asked_for_and_only_then() -> None:
    """RFC 3161 section 2.4.1, certReq."""
    with_them = granted(tsp.encode_request(tsu.DIGEST, cert_req=True))
    assert set(with_them.certs) == {UNIT.key.certificate, UNIT.key.chain[0]}
    for request in (tsp.encode_request(tsu.DIGEST, cert_req=False), query(V1, imprint(), FALSE)):
        assert granted(request).certs == ()


@pytest.mark.parametrize("name", sorted(DIGESTS_OFFERED))
def test_each_digest_offered_is_stamped(name: str) -> None:
    digest = Digest.of(name, b"x")
    assert granted(tsp.encode_request(digest)).imprint == digest


@pytest.mark.parametrize("name", sorted(DIGESTS.keys() - DIGESTS_OFFERED))
def test_other_digests_are_bad_algorithms(name: str) -> None:
    request = tsp.encode_request(Digest(name, bytes(DIGESTS[name].size)))
    assert refused(request) == Failure.BAD_ALG


def test_a_unit_may_offer_fewer_digests() -> None:
    unit = tsu.unit(policy=Policy("1.2.3", digests=frozenset({"sha512"})))
    assert refused(tsp.encode_request(tsu.DIGEST), unit) == Failure.BAD_ALG
    assert granted(tsp.encode_request(Digest.of("sha512", b"x")), unit).policy == "1.2.3"


def test_an_unknown_digest_is_a_bad_algorithm() -> None:
    assert refused(query(V1, imprint(tst.identifier("1.2.3")))) == Failure.BAD_ALG


def test_parameters_of_a_digest_are_a_bad_algorithm() -> None:
    assert refused(query(V1, imprint(SHA256 + b"\x04\x01\x00"))) == Failure.BAD_ALG


@pytest.mark.parametrize("parameters", [b"", b"\x05\x00"])
def test_the_imprint_is_repeated_octet_for_octet(parameters: bytes) -> None:
    """RFC 3161 section 2.4.2: messageImprint has the same value as in the request."""
    response = issue.respond(query(V1, imprint(SHA256 + parameters)), UNIT, tsu.NOW, 1)
    assert imprint(SHA256 + parameters) in response.der


@pytest.mark.parametrize("size", [0, 1, 20, 31, 33, 64])
def test_a_digest_of_another_length_is_bad_data(size: int) -> None:
    assert refused(query(V1, imprint(value=bytes(size)))) == Failure.BAD_DATA_FORMAT


@pytest.mark.parametrize("version", [b"\x00", b"\x02", b"\xff", b"\x01\x00", b"\x7f" * 20])
def test_other_versions_are_bad_requests(version: bytes) -> None:
    assert refused(query(tlv(0x02, version), imprint())) == Failure.BAD_REQUEST


def test_a_policy_that_is_not_accepted_is_refused() -> None:
    assert refused(tsp.encode_request(tsu.DIGEST, policy="1.2.3.4.3")) == Failure.UNACCEPTED_POLICY


@pytest.mark.parametrize("critical", [b"", FALSE, TRUE])
def test_any_extension_is_refused(critical: bytes) -> None:
    """RFC 3161 section 2.4.1: critical or not."""
    assert refused(query(V1, imprint(), tlv(0xA0, extension(critical=critical)))) == Failure.UNACCEPTED_EXTENSION


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_a_request_is_bad_data(name: str) -> None:
    assert refused(BAD[name]) == Failure.BAD_DATA_FORMAT


@pytest.mark.parametrize("bits", [1, 63, 64, 127, 128, 159, 160, 161, 256, 4096, 8191])
def test_a_nonce_of_any_size_is_repeated(bits: int) -> None:
    nonce = (1 << bits) - 1
    assert granted(tsp.encode_request(tsu.DIGEST, nonce=nonce)).nonce == nonce


@pytest.mark.parametrize("octets", [b"\x00", b"\xff", b"\x80", b"\x80" + bytes(20), b"\xfe" * 8])
def test_nought_and_negative_nonces_are_repeated(octets: bytes) -> None:
    """The standard's nonce is an INTEGER without a range, and the token's MUST have the same value."""
    token = granted(query(V1, imprint(), tlv(0x02, octets)))
    assert token.nonce == int.from_bytes(octets, "big", signed=True)
    assert tlv(0x02, octets) in token.der


def test_without_a_nonce_there_is_none() -> None:
    assert granted(tsp.encode_request(tsu.DIGEST)).nonce is None


def test_a_nonce_over_the_limit_is_a_bad_request() -> None:
    assert granted(query(V1, imprint(), tlv(0x02, b"\x01" * 1024))).nonce
    assert refused(query(V1, imprint(), tlv(0x02, b"\x01" * 1025))) == Failure.BAD_REQUEST


@given(st.binary(max_size=120))
def test_garbage_gives_bad_data_and_nothing_else(data: bytes) -> None:
    assert refused(data) == Failure.BAD_DATA_FORMAT


@given(st.data())
def test_a_damaged_request_gives_a_token_for_it_or_a_refusal(data: st.DataObject) -> None:
    request = bytearray(query(V1, imprint(), tst.identifier("1.2.3.4.1"), NONCE, TRUE))
    for at in data.draw(st.lists(st.integers(0, len(request) - 1), min_size=1, max_size=3)):
        request[at] = data.draw(st.integers(0, 255))
    response = issue.respond(bytes(request), UNIT, tsu.NOW, 1)
    if response.token is None:
        tsu.refused(response.der)
    else:
        asked = tsp.decode_request(bytes(request))
        token = cms.token(response.token)
        assert (token.imprint.value, token.policy) == (asked.value, asked.policy or "1.2.3.4.1")
        assert asked.imprint in token.der


DIGITS = {1_000_000: 3, 10_000_000: 2, 100_000: 4, 999_999: 4, 1_000: 6, 1: 6, 1_000_000_000: 0, 60_000_000: 2}


@pytest.mark.parametrize("accuracy", DIGITS)
def test_the_time_is_as_precise_as_the_accuracy_needs(accuracy: int) -> None:
    """EN 319 422 clause 5.2.2; what is cut off is a thousandth of the accuracy at most."""
    policy = Policy("1.2.3", accuracy_us=accuracy)
    assert policy.digits == DIGITS[accuracy]
    now = datetime(2026, 1, 2, 3, 4, 5, 987_654, tzinfo=UTC)
    token = granted(tsp.encode_request(tsu.DIGEST), tsu.unit(policy=policy), now)
    assert token.accuracy_us == accuracy
    assert timedelta(0) <= now - token.gen_time <= max(timedelta(microseconds=accuracy / 1000), timedelta(0))


def test_times_of_other_zones_are_told_in_utc() -> None:
    from datetime import timezone

    now = tsu.NOW.astimezone(timezone(timedelta(hours=9)))
    assert b"20261121093015.12Z" in granted(tsp.encode_request(tsu.DIGEST), now=now).der


def test_the_unit_need_not_be_named() -> None:
    assert granted(tsp.encode_request(tsu.DIGEST), tsu.unit(policy=Policy("1.2.3", names_unit=False))).tsa is None


def test_ordering_is_told_where_the_policy_says_so() -> None:
    assert granted(tsp.encode_request(tsu.DIGEST), tsu.unit(policy=Policy("1.2.3", ordering=True))).ordering


@pytest.mark.parametrize("serial", [1, 127, 128, 1 << 63, (1 << 160) - 1])
def test_serials_up_to_160_bits(serial: int) -> None:
    assert granted(tsp.encode_request(tsu.DIGEST), serial=serial).serial == serial


@pytest.mark.parametrize("serial", [-1, 0, 1 << 160])
def test_no_other_serials(serial: int) -> None:
    assert refused(tsp.encode_request(tsu.DIGEST), serial=serial) == Failure.SYSTEM_FAILURE


# The unit.


def test_a_unit_issues_within_its_period_only() -> None:
    request = tsp.encode_request(tsu.DIGEST)
    for moment in (pki.ISSUED, pki.UNIT_ENDED):
        assert granted(request, now=moment).gen_time == moment
    for moment in (pki.ISSUED - timedelta(microseconds=1), pki.UNIT_ENDED + timedelta(microseconds=1)):
        assert refused(request, now=moment) == Failure.SYSTEM_FAILURE


def test_a_unit_stops_at_the_end_of_its_private_keys_period() -> None:
    """EN 319 421 TIS-7.6.7-06, TIS-7.7.1-09."""
    usage = x509.PrivateKeyUsagePeriod(datetime(2024, 6, 1), datetime(2025, 6, 1))
    unit = tsu.unit(holder=pki.unit(tsu.issuers()[1], extensions=((usage, False),)))
    assert (unit.begins, unit.ends) == (datetime(2024, 6, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC))
    assert granted(tsp.encode_request(tsu.DIGEST), unit, unit.ends)
    assert refused(tsp.encode_request(tsu.DIGEST), unit, tsu.NOW) == Failure.SYSTEM_FAILURE


@pytest.mark.parametrize(
    "defect",
    [
        {"purposes": ()},
        {"purposes_critical": False},
        {"purposes": (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)},
        {"purposes": (ExtendedKeyUsageOID.CODE_SIGNING,)},
    ],
)
def test_a_certificate_that_no_verifier_takes_makes_no_unit(defect: dict[str, Any]) -> None:
    """RFC 3161 section 2.3."""
    with pytest.raises(Misconfigured):
        tsu.unit(holder=pki.unit(tsu.issuers()[1], **defect))


def test_a_key_of_another_kind_makes_no_unit() -> None:
    with pytest.raises(Misconfigured):
        tsu.unit(holder=replace(tsu.party(), algorithm=algorithms.Algorithm("rsa-pkcs1", "sha256")))


@pytest.mark.parametrize(
    "wrong",
    [{"digests": frozenset({"sha256", "sha-256"})}, {"digests": frozenset()}, {"accuracy_us": 0}, {"max_nonce": 8}],
    ids=lambda w: next(iter(w)),
)
def test_a_policy_that_cannot_be_kept_is_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        Policy("1.2.3", **wrong)


class Faulty(pki.Party):
    """A key whose signatures are one bit off."""

    def sign(self, data: bytes) -> bytes:
        value = bytearray(super().sign(data))
        value[-1] ^= 1
        return bytes(value)


class Absent(pki.Party):
    """A key store that does not answer."""

    def sign(self, data: bytes) -> bytes:
        raise Unavailable("hsm: slot 7 of 10.0.0.1 does not answer")


def holder(kind: type[pki.Party]) -> pki.Party:
    party = tsu.party()
    return kind(party.certificate, party.chain, party.algorithm, party.private)


def test_a_signature_that_does_not_verify_never_leaves() -> None:
    unit = tsu.unit(holder=holder(Faulty))
    assert refused(tsp.encode_request(tsu.DIGEST), unit) == Failure.SYSTEM_FAILURE


def test_another_key_than_the_certificates_never_signs_for_it() -> None:
    unit = tsu.unit(holder=replace(tsu.party(), private=pki.private_key("p256")))
    assert refused(tsp.encode_request(tsu.DIGEST), unit) == Failure.SYSTEM_FAILURE


def test_what_fails_inside_is_not_described_to_strangers() -> None:
    response = issue.respond(tsp.encode_request(tsu.DIGEST), tsu.unit(holder=holder(Absent)), tsu.NOW, 1)
    assert response.failure == Failure.SYSTEM_FAILURE
    assert "10.0.0.1" not in tsp.decode_response(response.der).reason


def test_a_refusal_never_repeats_a_strangers_bytes() -> None:
    marked = b"<script>!"
    for request in (marked, query(V1, imprint(value=marked)), query(V1, imprint(tlv(0x06, marked))), query(V1, imprint(), tlv(0x06, marked))):
        assert marked not in issue.respond(request, UNIT, tsu.NOW, 1).der


@pytest.mark.parametrize("key", ["p256", "p384", "p521", "rsa2048", "ed25519", "ml-dsa-65"])
def test_every_kind_of_key_makes_tokens_that_verify(key: str) -> None:
    unit = tsu.unit(key)
    signature = granted(tsp.encode_request(tsu.DIGEST), unit).signature
    assert signature.defects == ()
    assert algorithms.verify(unit.public_key, signature.algorithm, signature.value, signature.signed)  # type: ignore[arg-type]


def test_rsa_pss_too() -> None:
    unit = tsu.unit(holder=tsu.party("rsa2048").with_pss())
    signature = granted(tsp.encode_request(tsu.DIGEST), unit).signature
    assert signature.algorithm == algorithms.pss("sha256")
    assert algorithms.verify(unit.public_key, signature.algorithm, signature.value, signature.signed)


def test_value_is_of_the_tests_own_request() -> None:
    assert granted(query(V1, imprint())).imprint == Digest("sha256", VALUE)
