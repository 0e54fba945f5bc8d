"""trust.codecs.asn1: strict where it must be, lenient where makers are, Malformed and nothing else on anything."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trust.algorithms import Algorithm, pss
from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import Rules, parse
from trust.errors import Malformed


def test_der_refuses_what_ber_lets_through() -> None:
    for data in (bytes.fromhex("30800201010000"), bytes.fromhex("308103020101"), bytes.fromhex("3083000003020101")):
        with pytest.raises(Malformed):
            parse(data)
        assert parse(data, Rules.BER).only(asn1.INTEGER).integer() == 1


@pytest.mark.parametrize(
    "data",
    ["", "30", "3003020101ff", "300302", "308400000001", "1f", "1f8080808001", "3080", "30800201", "0480", "308900000000000000000101"],
)
def test_broken_values_are_malformed(data: str) -> None:
    with pytest.raises(Malformed):
        parse(bytes.fromhex(data + "0" * (len(data) % 2)), Rules.BER)


def test_nesting_is_capped() -> None:
    data = b""
    for _ in range(asn1.MAX_DEPTH + 10):
        data = asn1.tlv(asn1.SEQUENCE, data)
    node = parse(data)
    with pytest.raises(Malformed, match="deeper"):
        while True:
            node = node.children[0]
    with pytest.raises(Malformed, match="deeper"):
        parse(b"\x30\x80" * 5000, Rules.BER)


def test_constructed_octet_strings_are_joined_in_ber_only() -> None:
    data = bytes.fromhex("24800402abcd0401ef0000")
    assert parse(data, Rules.BER).octets() == bytes.fromhex("abcdef")
    with pytest.raises(Malformed):
        parse(bytes.fromhex("24070402abcd0401ef")).octets()


def test_der_of_ber_is_der() -> None:
    ber = bytes.fromhex("318002010202010124800401aa00000000")
    assert asn1.der(parse(ber, Rules.BER)) == bytes.fromhex("31090201010201020401aa")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (b"20260601120000Z", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        (b"20260601120000.25Z", datetime(2026, 6, 1, 12, 0, 0, 250_000, tzinfo=UTC)),
        (b"20260601120000.123456789Z", datetime(2026, 6, 1, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_generalized_time(text: bytes, moment: datetime) -> None:
    assert asn1.moment(text, asn1.GENERALIZED_TIME) == moment


@pytest.mark.parametrize("text", [b"20260601120000", b"20260601120000+0900", b"20261301120000Z", b"202606011200Z", b"20260601120060Z", b"", b"x"])
def test_times_that_are_none(text: bytes) -> None:
    with pytest.raises(Malformed):
        asn1.moment(text, asn1.GENERALIZED_TIME)


def test_utc_time_centuries_and_zones() -> None:
    assert asn1.moment(b"490101000000Z", asn1.UTC_TIME).year == 2049
    assert asn1.moment(b"500101000000Z", asn1.UTC_TIME).year == 1950
    assert asn1.moment(b"2601010000+0900", asn1.UTC_TIME) == datetime(2025, 12, 31, 15, tzinfo=UTC)


@given(st.lists(st.integers(0, 2**70), min_size=1, max_size=8), st.integers(0, 2), st.integers(0, 39))
def test_object_identifiers_come_back(arcs: list[int], first: int, second: int) -> None:
    dotted = ".".join(map(str, (first, second, *arcs)))
    body = asn1.oid_content(dotted)
    if len(body) <= 128:
        assert asn1.oid_text(body) == dotted


@pytest.mark.parametrize("body", [b"", b"\x80\x01", b"\x2a\x80\x01", b"\x2a\x86"])
def test_object_identifiers_that_are_none(body: bytes) -> None:
    with pytest.raises(Malformed):
        asn1.oid_text(body)


def _pss(*fields: str) -> asn1.Node:
    inner = bytes.fromhex("".join(fields))
    return parse(asn1.tlv(0x30, bytes.fromhex("06092a864886f70d01010a") + asn1.tlv(0x30, inner)))


SHA256 = "300b0609608648016503040201"
MGF_SHA256 = "301806092a864886f70d010108" + SHA256


def test_pss_parameters() -> None:
    full = _pss("a00d" + SHA256, "a11a" + MGF_SHA256, "a203020120")
    assert identifiers.signature_algorithm(full) == pss("sha256")
    assert identifiers.signature_algorithm(_pss()) == Algorithm("rsa-pss", "sha1", "sha1", 20)
    assert identifiers.signature_algorithm(_pss("a303020102")) is None, "a trailer field other than 1 is nobody's PSS"
    assert identifiers.signature_algorithm(_pss("a2030201ff")) is None, "a salt is not negative"


def test_a_key_identifier_takes_the_digest_beside_it() -> None:
    node = parse(bytes.fromhex("300d06092a864886f70d0101010500"))
    assert identifiers.signature_algorithm(node, "sha384") == Algorithm("rsa-pkcs1", "sha384")
    assert identifiers.signature_algorithm(node, None) is None


def test_plain_ecdsa_becomes_der() -> None:
    assert identifiers.ecdsa_der(bytes.fromhex("80" + "01")) == bytes.fromhex("300702020080020101")
    for wrong in (b"", b"\x01\x02\x03", b"\0" * 258):
        with pytest.raises(Malformed):
            identifiers.ecdsa_der(wrong)


def test_strangers_text_is_made_printable() -> None:
    assert asn1.printable("a\x1b[31m\n\u202eb") == "a\ufffd[31m\ufffd\ufffdb"
    assert len(asn1.printable("x" * 1000)) == 200


def _walk(node: asn1.Node) -> None:
    for read in (node.oid, node.integer, node.boolean, node.octets, node.bits, node.text, node.time):
        try:
            read()
        except Malformed:
            continue
    if node.constructed:
        for child in node.children:
            _walk(child)
    asn1.der(node)


@given(st.binary(max_size=200), st.sampled_from(Rules))
@example(b"\x30\x80\x30\x80\0\0", Rules.BER)
def test_any_bytes_are_a_value_or_malformed(data: bytes, rules: Rules) -> None:
    try:
        _walk(parse(data, rules))
    except Malformed:
        return
