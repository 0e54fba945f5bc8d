"""The Time-Stamp Protocol's encodings: strict where an attacker writes, exact where we do."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import core as asn1_core
from asn1crypto import tsp as asn1_tsp
from hypothesis import given
from hypothesis import strategies as st

from tests import tsu
from trust import algorithms
from trust.codecs import asn1, identifiers, tsp, tst
from trust.codecs.asn1 import tlv
from trust.codecs.tsp import Failure, Reply, Request
from trust.errors import Malformed, Unacceptable
from trust.model import Digest

VALUE = bytes(range(32))
SHA256 = bytes.fromhex("0609608648016503040201")
NULL = b"\x05\x00"
TRUE, FALSE = b"\x01\x01\xff", b"\x01\x01\x00"
V1 = b"\x02\x01\x01"
POLICY = bytes.fromhex("06042a030401")
NONCE = bytes.fromhex("020900ffeeddccbbaa9988")


def imprint(algorithm: bytes = SHA256 + NULL, value: bytes = VALUE) -> bytes:
    return tlv(0x30, tlv(0x30, algorithm) + tlv(0x04, value))


def query(*parts: bytes) -> bytes:
    return tlv(0x30, b"".join(parts))


def extension(oid: bytes = POLICY, critical: bytes = b"", value: bytes = b"\x04\x00") -> bytes:
    return tlv(0x30, oid + critical + value)


FULL = query(V1, imprint(), POLICY, NONCE, TRUE, tlv(0xA0, extension() + extension(critical=TRUE)))


def test_every_field_is_read() -> None:
    assert tsp.decode_request(FULL) == Request(
        version=1,
        imprint=imprint(),
        digest="2.16.840.1.101.3.4.2.1",
        parameters=False,
        value=VALUE,
        policy="1.2.3.4.1",
        nonce=bytes.fromhex("00ffeeddccbbaa9988"),
        cert_req=True,
        extensions=("1.2.3.4.1", "1.2.3.4.1"),
    )


def test_the_smallest_request_has_defaults() -> None:
    asked = tsp.decode_request(query(V1, imprint()))
    assert (asked.policy, asked.nonce, asked.cert_req, asked.extensions) == (None, None, False, ())


@pytest.mark.parametrize("options", range(16))
def test_any_optional_field_may_be_missing(options: int) -> None:
    parts = [part for bit, part in enumerate((POLICY, NONCE, TRUE, tlv(0xA0, extension()))) if options >> bit & 1]
    asked = tsp.decode_request(query(V1, imprint(), *parts))
    assert [asked.policy is not None, asked.nonce is not None, asked.cert_req, bool(asked.extensions)] == [
        bool(options >> bit & 1) for bit in range(4)
    ]


def test_an_encoded_false_is_let_through_because_clients_send_it() -> None:
    """Mozilla's winsign declared certReq without its default until 2022."""
    assert not tsp.decode_request(query(V1, imprint(), FALSE)).cert_req


@pytest.mark.parametrize("parameters", [b"", NULL], ids=["absent", "null"])
def test_digest_parameters_absent_and_null_are_both_read(parameters: bytes) -> None:
    """RFC 5754 section 2: absent is what it asks for, NULL is what OpenSSL writes."""
    asked = tsp.decode_request(query(V1, imprint(SHA256 + parameters)))
    assert not asked.parameters
    assert asked.imprint == imprint(SHA256 + parameters)


def test_other_digest_parameters_are_seen() -> None:
    assert tsp.decode_request(query(V1, imprint(SHA256 + b"\x04\x01\x00"))).parameters


@pytest.mark.parametrize(
    "content", ["00", "7f", "ff", "80", "0080", "ff7f", "00" + "ff" * 20, "80" + "00" * 40], ids=lambda c: f"{len(c) // 2}:{c[:4]}"
)
def test_nonces_of_any_size_and_sign_keep_their_octets(content: str) -> None:
    octets = bytes.fromhex(content)
    assert tsp.decode_request(query(V1, imprint(), tlv(0x02, octets))).nonce == octets


BAD = {
    "empty": b"",
    "one byte": b"\x30",
    "not a sequence": b"\x31" + FULL[1:],
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "a byte too many": FULL + b"\x00",
    "a line end after it": FULL + b"\n",
    "a byte too few": FULL[:-1],
    "two requests": FULL + FULL,
    "indefinite length": b"\x30\x80" + query(V1, imprint())[2:] + b"\x00\x00",
    "length in more octets than needed": b"\x30\x81\x39" + query(V1, imprint(), TRUE)[2:],
    "length with a leading zero": b"\x30\x82\x00\x39" + query(V1, imprint(), TRUE)[2:],
    "length of 2^31": b"\x30\x84\x7f\xff\xff\xff" + V1,
    "reserved length octet": b"\x30\xff" + V1,
    "empty sequence": query(),
    "no imprint": query(V1),
    "no version": query(imprint()),
    "version not minimal": query(b"\x02\x02\x00\x01", imprint()),
    "version empty": query(b"\x02\x00", imprint()),
    "version a boolean": query(TRUE, imprint()),
    "nonce not minimal": query(V1, imprint(), b"\x02\x02\x00\x7f"),
    "negative nonce not minimal": query(V1, imprint(), b"\x02\x02\xff\x80"),
    "nonce empty": query(V1, imprint(), b"\x02\x00"),
    "nonce before policy": query(V1, imprint(), NONCE, POLICY),
    "certReq before nonce": query(V1, imprint(), TRUE, NONCE),
    "two nonces": query(V1, imprint(), NONCE, NONCE),
    "two certReq": query(V1, imprint(), TRUE, TRUE),
    "certReq 01": query(V1, imprint(), b"\x01\x01\x01"),
    "certReq of two octets": query(V1, imprint(), b"\x01\x02\xff\xff"),
    "certReq empty": query(V1, imprint(), b"\x01\x00"),
    "extensions empty": query(V1, imprint(), b"\xa0\x00"),
    "extensions explicitly tagged": query(V1, imprint(), tlv(0xA0, tlv(0x30, extension()))),
    "extension without value": query(V1, imprint(), tlv(0xA0, tlv(0x30, POLICY))),
    "extension with BER true": query(V1, imprint(), tlv(0xA0, extension(critical=b"\x01\x01\x01"))),
    "extension with something after its value": query(V1, imprint(), tlv(0xA0, extension(value=b"\x04\x00\x05\x00"))),
    "extensions cut short": query(V1, imprint(), b"\xa0\x05\x30\x10\x06\x01\x2a"),
    "something after the extensions": query(V1, imprint(), tlv(0xA0, extension()), NULL),
    "an unknown tag": query(V1, imprint(), tlv(0xA1, b"")),
    "digest algorithm without identifier": query(V1, imprint(b"")),
    "identifier not minimal": query(V1, imprint(b"\x06\x03\x80\x2a\x03")),
    "identifier cut short": query(V1, imprint(b"\x06\x02\x2a\x83")),
    "identifier empty": query(V1, imprint(b"\x06\x00")),
    "identifier of 200 octets": query(V1, imprint(tlv(0x06, b"\x2a" * 200))),
    "parameters cut short": query(V1, imprint(SHA256 + b"\x05\x01")),
    "two parameters": query(V1, imprint(SHA256 + NULL + NULL)),
    "imprint with a third element": query(V1, tlv(0x30, tlv(0x30, SHA256) + tlv(0x04, VALUE) + NULL)),
    "imprint without a value": query(V1, tlv(0x30, tlv(0x30, SHA256))),
    "imprint's value constructed": query(V1, tlv(0x30, tlv(0x30, SHA256) + tlv(0x24, tlv(0x04, VALUE)))),
    "imprint's value a bit string": query(V1, tlv(0x30, tlv(0x30, SHA256) + tlv(0x03, VALUE))),
    "policy not minimal": query(V1, imprint(), b"\x06\x03\x2a\x80\x01"),
    "over the limit": query(V1, imprint(), tlv(0x02, b"\x01" * tsp.MAX_REQUEST)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_a_der_request_is_malformed(name: str) -> None:
    with pytest.raises(Malformed):
        tsp.decode_request(BAD[name])


@given(st.binary(max_size=200))
def test_garbage_is_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Malformed):
        tsp.decode_request(data)


@given(st.integers(0, len(FULL) - 1), st.integers(0, 255), st.binary(max_size=3))
def test_a_damaged_request_is_read_whole_or_malformed(at: int, octet: int, more: bytes) -> None:
    """And what is read is what stands there: encoded again by another library, it gives the same bytes."""
    data = FULL[:at] + bytes((octet,)) + more + FULL[at + 1 :]
    try:
        asked = tsp.decode_request(data)
    except Malformed:
        return
    assert asked.imprint in data
    theirs = asn1_tsp.TimeStampReq.load(data, strict=True)
    assert theirs["message_imprint"]["hashed_message"].native == asked.value
    assert theirs["cert_req"].native == asked.cert_req
    assert asked.nonce == (theirs["nonce"].contents if theirs["nonce"].native is not None else None)


def test_our_own_requests_are_read_by_us_and_by_another_library() -> None:
    for policy in (None, "1.2.3.4.1"):
        for nonce in (None, 0, 127, 128, (1 << 160) - 1):
            for cert_req in (False, True):
                data = tsp.encode_request(tsu.DIGEST, nonce=nonce, policy=policy, cert_req=cert_req)
                asked = tsp.decode_request(data)
                assert (asked.policy, asked.cert_req, asked.value) == (policy, cert_req, tsu.DIGEST.value)
                assert asked.nonce == (None if nonce is None else nonce.to_bytes(nonce.bit_length() // 8 + 1, "big"))
                theirs = asn1_tsp.TimeStampReq.load(data, strict=True)
                assert theirs["nonce"].native == nonce
                assert theirs["message_imprint"]["hash_algorithm"]["algorithm"].native == "sha256"


@given(st.integers(-(1 << 200), 1 << 200))
def test_integers_are_minimal(value: int) -> None:
    assert tst.integer(value) == asn1_core.Integer(value).dump()


ACCURACIES = {
    1_000_000: "3003020101",
    1: "3003810101",
    999: "3004810203e7",
    1_000: "3003800101",
    128_000: "300480020080",
    1_500_000: "3007020101800201f4",
    61_002_003: "300902013d800102810103",
}


@pytest.mark.parametrize("microseconds", ACCURACIES)
def test_accuracy_has_its_parts_where_they_are_not_zero(microseconds: int) -> None:
    assert tst.accuracy(microseconds).hex() == ACCURACIES[microseconds]
    theirs = asn1_tsp.Accuracy.load(tst.accuracy(microseconds), strict=True).native
    assert (theirs["seconds"] or 0) * 1_000_000 + (theirs["millis"] or 0) * 1_000 + (theirs["micros"] or 0) == microseconds


def test_no_accuracy_of_nothing() -> None:
    with pytest.raises(Unacceptable):
        tst.accuracy(0)


TIMES = [
    (0, 6, "20260102030405Z"),
    (0, 0, "20260102030405Z"),
    (120_000, 3, "20260102030405.12Z"),
    (120_000, 0, "20260102030405Z"),
    (999_999, 3, "20260102030405.999Z"),
    (999_999, 6, "20260102030405.999999Z"),
    (1_000, 3, "20260102030405.001Z"),
    (100, 3, "20260102030405Z"),
    (100_000, 6, "20260102030405.1Z"),
    (7, 6, "20260102030405.000007Z"),
]


@pytest.mark.parametrize(("microsecond", "digits", "expected"), TIMES)
def test_times_are_cut_and_bear_no_trailing_zeros(microsecond: int, digits: int, expected: str) -> None:
    made = tst.generalized_time(datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=UTC), digits)
    assert made == tlv(0x18, expected.encode())


REJECTIONS = {
    Failure.BAD_ALG: "03020780",
    Failure.BAD_REQUEST: "03020520",
    Failure.BAD_DATA_FORMAT: "03020204",
    Failure.TIME_NOT_AVAILABLE: "030301" + "0002",
    Failure.UNACCEPTED_POLICY: "030300" + "0001",
    Failure.UNACCEPTED_EXTENSION: "030407" + "000080",
    Failure.ADD_INFO_NOT_AVAILABLE: "030406" + "000040",
    Failure.SYSTEM_FAILURE: "030506" + "00000040",
}


@pytest.mark.parametrize("failure", Failure)
def test_a_rejection_has_one_bit_and_no_trailing_zeros(failure: Failure) -> None:
    data = tsp.rejection(failure, "why 角印")
    words = tlv(0x30, tlv(0x0C, "why 角印".encode()))
    assert data == tlv(0x30, tlv(0x30, b"\x02\x01\x02" + words + bytes.fromhex(REJECTIONS[failure])))
    assert tsp.decode_response(data) == Reply(2, ("why 角印",), frozenset({int(failure)}), None)


def test_failures_have_the_standards_names() -> None:
    assert [f.label for f in Failure] == [
        "badAlg", "badRequest", "badDataFormat", "timeNotAvailable",
        "unacceptedPolicy", "unacceptedExtension", "addInfoNotAvailable", "systemFailure",
    ]  # fmt: skip


def test_a_response_with_a_token_is_taken_apart() -> None:
    token = tlv(0x30, b"\x06\x01\x2a")
    assert tsp.decode_response(tsp.granted(token)) == Reply(0, (), frozenset(), token)


def test_a_bit_string_with_trailing_zero_bits_is_let_through() -> None:
    """BER and not DER, as authorities were seen to write failInfo (dotnet/runtime issue 66834)."""
    data = tlv(0x30, tlv(0x30, b"\x02\x01\x02" + b"\x03\x05\x00\x80\x00\x00\x00"))
    assert tsp.decode_response(data).failures == {0}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        tlv(0x30, b""),
        tlv(0x30, tlv(0x30, b"")),
        tlv(0x30, tlv(0x30, b"\x02\x01\x00")) + b"x",
        tlv(0x30, tlv(0x30, b"\x02\x01\x02\x03\x00")),
    ],
)
def test_what_is_not_a_response_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        tsp.decode_response(data)


@given(st.binary(max_size=100))
def test_garbage_responses_are_malformed_and_nothing_else(data: bytes) -> None:
    try:
        tsp.decode_response(tlv(0x30, data))
    except Malformed:
        return


def test_a_reason_is_one_harmless_line() -> None:
    reply = tsp.decode_response(tsp.rejection(Failure.BAD_ALG, "no\n\x1b[31m"))
    assert reply.reason == "badAlg: no\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m"


KEYS = ("p256", "p384", "rsa2048", "ed25519", "ml-dsa-65")
DIGESTS = {"p256": "sha256", "p384": "sha256", "rsa2048": "sha256", "ed25519": "sha512", "ml-dsa-65": "sha512"}


@pytest.mark.parametrize("key", KEYS)
def test_a_token_as_another_library_reads_it(key: str) -> None:
    party = tsu.party(key)
    signer = tst.Signer.of(party.certificate, party.chain, party.algorithm)
    info = tst.tst_info(
        policy=tst.identifier("1.2.3.4.1"),
        imprint=imprint(),
        serial=1 << 150,
        gen_time=tst.generalized_time(tsu.NOW, 3),
        accuracy=tst.accuracy(1_000_000),
        ordering=False,
        nonce=b"\x05",
        tail=tst.directory_name(party.certificate.subject),
    )
    attributes = signer.attributes(info)
    token = signer.token(info, attributes, party.sign(attributes), certificates=True)
    assert asn1.parse(token).raw == token  # strict DER as far as the tree goes
    signed = asn1_cms.ContentInfo.load(token, strict=True)["content"]
    assert signed["version"].native == "v3"
    assert signed["digest_algorithms"].native == [{"algorithm": DIGESTS[key], "parameters": None}]
    assert signed["encap_content_info"]["content_type"].native == "tst_info"
    content = signed["encap_content_info"]["content"]
    assert content.contents == info
    said = content.parsed.native
    assert (said["version"], said["policy"], said["serial_number"], said["nonce"], said["ordering"]) == ("v1", "1.2.3.4.1", 1 << 150, 5, False)
    assert said["gen_time"] == tsu.NOW
    assert content.parsed["tsa"].chosen.untag().dump() == party.certificate.subject
    certificates = [c.dump() for c in signed["certificates"]]
    assert certificates == sorted(certificates)
    assert set(certificates) == {party.certificate.der, party.chain[0].der}, "the root stays out"
    [info_of_signer] = signed["signer_infos"]
    assert info_of_signer["version"].native == "v1"
    assert info_of_signer["sid"].chosen["serial_number"].native == party.certificate.serial
    encodings = [a.dump() for a in info_of_signer["signed_attrs"]]
    assert encodings == sorted(encodings), "X.690 clause 11.6"
    found = {a["type"].native: a["values"][0] for a in info_of_signer["signed_attrs"]}
    assert found["message_digest"].native == Digest.of(DIGESTS[key], info).value
    assert found["content_type"].native == "tst_info"
    [reference] = found["signing_certificate_v2"]["certs"]
    assert reference["cert_hash"].native == Digest.of("sha256", party.certificate.der).value
    assert reference.dump()[2:4] == b"\x04\x20", "SHA-256 is the default, and so not encoded"
    # Dotted: the names that the library knows depend on who else has been imported.
    oids = {"rsa2048": "1.2.840.113549.1.1.1", "ed25519": "1.3.101.112", "ml-dsa-65": "2.16.840.1.101.3.4.3.18"}
    found_oid = info_of_signer["signature_algorithm"]["algorithm"].dotted
    assert found_oid == oids.get(key, "1.2.840.10045.4.3.2")
    assert algorithms.verify(party.certificate.public_key, party.algorithm, info_of_signer["signature"].native, attributes)
    without = asn1_cms.ContentInfo.load(signer.token(info, attributes, b"x", certificates=False), strict=True)["content"]
    assert without["certificates"].native is None


def test_pss_carries_its_parameters() -> None:
    data = tst.signature_identifier(algorithms.pss("sha384"))
    assert identifiers.signature_algorithm(asn1.parse(data)) == algorithms.pss("sha384")


def test_the_sizes_at_which_a_length_grows() -> None:
    for size in (127, 128, 255, 256, 65_535, 65_536):
        assert tst.length(size) == asn1.length_octets(size)


USUAL = [
    tsp.encode_request(Digest(name, bytes(range(1, size + 1))), nonce=nonce, cert_req=cert_req)
    for name, size in (("sha256", 32), ("sha384", 48), ("sha512", 64), ("sha3_256", 32))
    for nonce in (None, 0, 5, 127, 128, 1 << 63, (1 << 160) - 1)
    for cert_req in (False, True)
]


def outcome(read: Callable[[bytes], Request], data: bytes) -> Request | str:
    try:
        return read(data)
    except Malformed:
        return "malformed"


def test_the_usual_shape_is_read_quickly() -> None:
    assert all(tsp._usual(data) is not None for data in USUAL)


def test_the_quick_reader_says_what_the_strict_one_says() -> None:
    """Every octet of every usual request by five others, every cut, and every octet doubled."""
    tried = 0
    for data in USUAL:
        altered = [data[:at] + bytes((value,)) + data[at + 1 :] for at in range(len(data)) for value in (0, 1, 0x7F, 0x80, 0xFF, data[at] ^ 1)]
        altered += [data[:at] for at in range(len(data))]
        altered += [bytes((data[0], data[1] + 1)) + data[2 : at + 1] + data[at:] for at in range(2, len(data)) if data[1] < 0x7F]
        for each in (data, *altered):
            quick = tsp._usual(each)
            assert quick is None or quick == outcome(tsp.decode_any_request, each), each.hex()
            assert outcome(tsp.decode_request, each) == outcome(tsp.decode_any_request, each)
            tried += 1
    assert tried > 30_000
