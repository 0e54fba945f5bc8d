"""Tokens octet by octet, by a reader of its own that knows X.690 and nothing of ours: for every kind of key, and every policy that there may be."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from tests import pki, tsu
from trust import algorithms
from trust.algorithms import Algorithm
from trust.codecs import tsp
from trust.model import Cert
from tsa.policy import Policy

KEYS = ("p256", "p384", "p521", "rsa3072", "rsa2048", "ed25519", "ml-dsa-65")
"""rsa2048 signs by RSASSA-PSS here."""
POLICIES = {
    "as usual": Policy("1.2.3.4.1"),
    "to the microsecond": Policy("1.2.3.4.1", accuracy_us=1),
    "to 500 ms": Policy("1.2.3.4.1", accuracy_us=500_000),
    "to 1.001002 s": Policy("1.2.3.4.1", accuracy_us=1_001_002),
    "without a name": Policy("1.2.3.4.1", names_unit=False),
    "qualified": Policy("1.2.3.4.1", qualified=True),
    "in order": Policy("1.2.3.4.1", ordering=True),
}
REQUESTS = {
    "plain": tsp.encode_request(tsu.DIGEST, cert_req=False),
    "with certificates": tsp.encode_request(tsu.DIGEST, nonce=1 << 63),
    "with a negative nonce": tsp.encode_request(tsu.DIGEST, nonce=-129, cert_req=False),
}


class Tlv(NamedTuple):
    tag: int
    content: bytes
    whole: bytes

    @property
    def parts(self) -> "list[Tlv]":
        found, at = [], 0
        while at < len(self.content):
            found.append(tlv(self.content[at:]))
            at += len(found[-1].whole)
        return found

    @property
    def oid(self) -> str:
        assert self.tag == 0x06 and self.content
        numbers, value = [], 0
        for octet in self.content:
            value = value << 7 | octet & 0x7F
            if octet < 0x80:
                numbers.append(value)
                value = 0
        return ".".join(map(str, (min(numbers[0] // 40, 2), numbers[0] - 40 * min(numbers[0] // 40, 2), *numbers[1:])))

    @property
    def number(self) -> int:
        assert self.tag & 0x1F == 2 or self.tag in (0x80, 0x81)
        assert len(self.content) == 1 or not (self.content[0] in (0, 255) and (self.content[0] == 0) == (self.content[1] < 0x80)), "X.690 8.3.2"
        return int.from_bytes(self.content, "big", signed=True)


def tlv(data: bytes) -> Tlv:
    """X.690 clause 10.1: a definite length in the fewest octets."""
    size, begin = data[1], 2
    if size & 0x80:
        count = size & 0x7F
        assert count, "an indefinite length"
        size, begin = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
        assert size >= 0x80 and data[2], "a length that is not minimal"
    assert begin + size <= len(data)
    return Tlv(data[0], data[begin : begin + size], data[: begin + size])


def only(data: bytes) -> Tlv:
    found = tlv(data)
    assert found.whole == data, "something follows"
    return found


def set_of(found: Tlv) -> list[Tlv]:
    """X.690 clause 11.6: in the order of their encodings."""
    assert found.parts and [each.whole for each in found.parts] == sorted(each.whole for each in found.parts)
    return found.parts


@dataclass
class Seen:
    """A token, taken apart."""

    data: list[Tlv]
    """SignedData."""
    info: list[Tlv]
    """TSTInfo."""
    octets: bytes
    signer: list[Tlv]
    attributes: dict[str, Tlv]


def seen(response: bytes) -> Seen:
    """RFC 3161 section 2.4.2, RFC 5652 sections 3 and 5."""
    status, content = only(response).parts
    assert [each.whole for each in status.parts] == [b"\x02\x01\x00"], "granted, and nothing about failure"
    kind, body = content.parts
    assert kind.oid == "1.2.840.113549.1.7.2" and body.tag == 0xA0
    data = only(body.content).parts
    encapsulated, inner = data[2].parts
    assert encapsulated.oid == "1.2.840.113549.1.9.16.1.4" and inner.tag == 0xA0
    octets = only(inner.content)
    assert octets.tag == 0x04
    [signer] = set_of(data[-1])
    found: dict[str, Tlv] = {}
    for attribute in set_of(Tlv(0x31, signer.parts[3].content, b"")):
        name, values = attribute.parts
        assert name.oid not in found, "RFC 5652 section 5.3: one of each"
        [found[name.oid]] = set_of(values)
    return Seen(data, only(octets.content).parts, octets.content, signer.parts, found)


@pytest.fixture(scope="module", params=[(key, "as usual") for key in KEYS] + [("p256", name) for name in POLICIES], ids="-".join)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Policy, dict[str, Seen]]]:
    key, policy = request.param[0], POLICIES[request.param[1]]
    authority, log = tsu.authority(tmp_path_factory.mktemp("tsa"), key, policy=policy, holder=holder(key))
    yield key, policy, {name: seen(authority.stamp(asked)) for name, asked in REQUESTS.items()}
    log.close()
    authority.close()


Made = tuple[str, Policy, dict[str, Seen]]


def holder(key: str) -> pki.Party:
    party = tsu.party(key)
    return replace(party, algorithm=Algorithm("rsa-pss", "sha256", "sha256", 32)) if key == "rsa2048" else party


def test_5652_5_1_the_versions_and_what_there_is(made: Made) -> None:
    key, _, tokens = made
    unit = tsu.party(key).certificate
    for name, token in tokens.items():
        assert token.data[0].whole == b"\x02\x01\x03", "encapsulated content is not id-data"
        assert [each.tag for each in token.data] == [0x02, 0x31, 0x30, *([0xA0] if name == "with certificates" else []), 0x31], "no lists, no more"
        [digest] = set_of(token.data[1])
        assert digest.whole == token.signer[2].whole and len(digest.parts) == 1, "RFC 5754 section 2: no parameters"
        assert token.signer[0].whole == b"\x02\x01\x01" and token.signer[1].whole == sid(unit)
        assert [each.tag for each in token.signer] == [0x02, 0x30, 0x30, 0xA0, 0x30, 0x04], "RFC 3161: no unsigned attributes are made"


def sid(unit: Cert) -> bytes:
    """IssuerAndSerialNumber, out of the certificate."""
    fields = [each for each in only(unit.der).parts[0].parts if each.tag != 0xA0]
    body = fields[2].whole + fields[0].whole
    return b"\x30" + (bytes((len(body),)) if len(body) < 0x80 else bytes((0x81, len(body)))) + body


def test_2_4_1_certificates_are_the_units_and_its_issuers_in_order_without_the_root(made: Made) -> None:
    key, _, tokens = made
    there = [each.whole for each in set_of(Tlv(0x31, tokens["with certificates"].data[3].content, b""))]
    root, issuing = tsu.issuers()
    assert set(there) == {tsu.party(key).certificate.der, issuing.certificate.der} and root.certificate.der not in there


def test_5816_2_2_1_the_signed_attributes_and_no_others(made: Made) -> None:
    """RFC 5035 section 4: of SHA-256 the algorithm is the default and left out; the issuer is in the signer's identifier."""
    key, _, tokens = made
    certificate = hashlib.sha256(tsu.party(key).certificate.der).digest()
    for token in tokens.values():
        assert set(token.attributes) == {"1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.16.2.47"}
        assert token.attributes["1.2.840.113549.1.9.3"].oid == "1.2.840.113549.1.9.16.1.4"
        name = algorithms.DIGEST_BY_OID[token.signer[2].parts[0].oid].name
        assert token.attributes["1.2.840.113549.1.9.4"].content == hashlib.new(name, token.octets).digest()
        [identified] = token.attributes["1.2.840.113549.1.9.16.2.47"].parts
        [reference] = identified.parts
        assert [each.tag for each in reference.parts] == [0x04] and reference.parts[0].content == certificate


def test_5652_5_4_the_signature_is_over_the_attributes_as_a_set(made: Made) -> None:
    key, _, tokens = made
    party = holder(key)
    assert party.certificate.public_key is not None
    for token in tokens.values():
        assert algorithms.verify(party.certificate.public_key, party.algorithm, token.signer[5].content, b"\x31" + token.signer[3].whole[1:])


PARAMETERS = {"1.2.840.113549.1.1.1": 0x05, "1.2.840.113549.1.1.10": 0x30}
"""RFC 5754 section 3.2: NULL with rsaEncryption; RFC 4056: RSASSA-PSS has its own. Others have none (RFC 5754 section 3.3, RFC 8419, RFC 9882)."""


def test_the_signature_algorithm_has_the_parameters_of_its_kind(made: Made) -> None:
    for token in made[2].values():
        algorithm, *parameters = token.signer[4].parts
        assert [each.tag for each in parameters] == ([PARAMETERS[algorithm.oid]] if algorithm.oid in PARAMETERS else [])


def test_2_4_2_tstinfo(made: Made) -> None:
    key, policy, tokens = made
    asked = {name: only(request).parts for name, request in REQUESTS.items()}
    serials = []
    for name, token in tokens.items():
        version, oid, imprint, serial, time, *rest = token.info
        assert version.whole == b"\x02\x01\x01" and oid.oid == policy.oid and imprint.whole == asked[name][1].whole
        assert 0 < serial.number < 1 << 160
        serials.append(serial.number)
        assert time.tag == 0x18 and re.fullmatch(rb"\d{14}(\.\d{0,5}[1-9])?Z", time.content), "no trailing zeros, no point without a fraction"
        assert abs(moment(time.content) - datetime.now(UTC)) < timedelta(minutes=5)
        assert microseconds(rest.pop(0)) == policy.accuracy_us
        if policy.ordering:
            assert rest.pop(0).whole == b"\x01\x01\xff"
        nonces = [each.whole for each in asked[name] if each.tag == 0x02][1:]
        assert [each.whole for each in rest if each.tag == 0x02] == nonces
        rest = rest[len(nonces) :]
        if policy.names_unit:
            assert rest.pop(0).content == only(b"\xa4" + directory(tsu.party(key).certificate.subject)).whole
        if policy.qualified:
            [statement] = rest.pop(0).parts
            assert statement.parts[0].oid == "1.3.6.1.5.5.7.1.3" and len(statement.parts) == 2, "EN 319 422 clause 9.1: not critical"
            assert only(only(statement.parts[1].content).parts[0].whole).parts[0].oid == "0.4.0.19422.1.1"
        assert not rest, "DEFAULT values and what was not asked for are not there"
    assert serials == sorted(set(serials))


def directory(name: bytes) -> bytes:
    """Length and content of a directoryName."""
    return (bytes((len(name),)) if len(name) < 0x80 else bytes((0x81, len(name)))) + name


def moment(content: bytes) -> datetime:
    text = content.decode()
    return datetime.strptime(text, "%Y%m%d%H%M%S.%fZ" if "." in text else "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def microseconds(accuracy: Tlv) -> int:
    """Seconds, millis [0] and micros [1] of 1 to 999, each absent where zero."""
    assert accuracy.tag == 0x30 and [each.tag for each in accuracy.parts] == sorted(each.tag for each in accuracy.parts)
    total = 0
    for each in accuracy.parts:
        assert each.number > 0 and (each.tag == 0x02 or each.number < 1000)
        total += each.number * {0x02: 1_000_000, 0x80: 1_000, 0x81: 1}[each.tag]
    return total


def test_the_reader_is_strict() -> None:
    """It would not let through what is not DER."""
    for data in (b"\x30\x80\x00\x00", b"\x30\x81\x01\x00", b"\x30\x82\x00\x81" + bytes(0x81)):
        with pytest.raises(AssertionError):
            only(data)
    with pytest.raises(AssertionError):
        set_of(Tlv(0x31, b"\x02\x01\x02\x02\x01\x01", b""))
