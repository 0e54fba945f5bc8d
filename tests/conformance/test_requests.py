"""RFC 3161 section 2.4.1 and EN 319 422 clause 5.1, clause by clause, asked of `kakuin serve` over HTTP: what is granted, what refused, and how."""

import http.client
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import tsp as asn1_tsp

from tests import tsu
from tests.office import Office
from tests.unit.test_tsp import BAD, FALSE, NONCE, SHA256, TRUE, V1, extension, imprint, query
from trust.codecs import tsp, tst
from trust.codecs.asn1 import tlv
from trust.codecs.tsp import Failure

pytestmark = pytest.mark.xdist_group("office")

NULL = b"\x05\x00"
SIZES = {"2.16.840.1.101.3.4.2.1": 32, "2.16.840.1.101.3.4.2.2": 48, "2.16.840.1.101.3.4.2.3": 64}
SIZES |= {"2.16.840.1.101.3.4.2.8": 32, "2.16.840.1.101.3.4.2.9": 48, "2.16.840.1.101.3.4.2.10": 64}
WEAK = {"1.2.840.113549.2.5": 16, "1.3.14.3.2.26": 20, "1.3.36.3.2.1": 20, "2.16.840.1.101.3.4.2.4": 28}


@pytest.fixture
def wire(office: Office) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", office.port, timeout=20)
    yield connection
    connection.close()


def post(wire: http.client.HTTPConnection, request: bytes) -> bytes:
    """RFC 3161 section 3.4, EN 319 422 clause 7: whatever is asked, HTTP 200 and a TimeStampResp."""
    wire.request("POST", "/tsa", request, {"Content-Type": "application/timestamp-query"})
    answer = wire.getresponse()
    body = answer.read()
    assert (answer.status, answer.getheader("content-type"), answer.getheader("content-length")) == (
        200,
        "application/timestamp-reply",
        str(len(body)),
    )
    return body


def hashed(oid: str, size: int, parameters: bytes = b"") -> bytes:
    return query(V1, imprint(tst.identifier(oid) + parameters, bytes(size)))


GRANTED: dict[str, bytes] = {
    "the smallest request": query(V1, imprint()),
    **{f"messageImprint {oid} {'null' if p else 'absent'}": hashed(oid, size, p) for oid, size in SIZES.items() for p in (b"", NULL)},
    "nonce 0": query(V1, imprint(), tlv(0x02, b"\x00")),
    "nonce -1": query(V1, imprint(), tlv(0x02, b"\xff")),
    "nonce of 160 bits": query(V1, imprint(), tlv(0x02, b"\x7f" + bytes(19))),
    "nonce of 161 bits, as DER has it": query(V1, imprint(), tlv(0x02, b"\x00\xff" + bytes(19))),
    "nonce of 256 octets": query(V1, imprint(), tlv(0x02, b"\x01" * 256)),
    "nonce of 1024 octets": query(V1, imprint(), tlv(0x02, b"\x01" * 1024)),
    "certReq TRUE": query(V1, imprint(), TRUE),
    "certReq FALSE, encoded by clients whose ASN.1 has no default": query(V1, imprint(), FALSE),
    "nonce and certReq": query(V1, imprint(), NONCE, TRUE),
}


@pytest.mark.parametrize("name", GRANTED)
def test_what_is_asked_for_is_granted(wire: http.client.HTTPConnection, name: str) -> None:
    request = GRANTED[name]
    before = datetime.now(UTC) - timedelta(milliseconds=2)
    response = asn1_tsp.TimeStampResp.load(post(wire, request), strict=True)
    asked = asn1_tsp.TimeStampReq.load(request)
    assert response["status"]["status"].native == "granted" and response["status"]["fail_info"].native is None
    signed = response["time_stamp_token"]["content"]
    said = signed["encap_content_info"]["content"].parsed
    assert said["version"].native == "v1"
    assert said["message_imprint"].dump() == asked["message_imprint"].dump(), "2.4.2: the same value, octet for octet"
    assert said["nonce"].dump() == asked["nonce"].dump(), "2.4.2: the same value, and absent where it was"
    assert said["accuracy"].native is not None, "EN 319 422 clause 5.2.2"
    assert not said["ordering"].native and said["extensions"].native is None, "EN 319 422 clause 5.2.2"
    assert before <= said["gen_time"].native <= datetime.now(UTC)
    assert (signed["certificates"].native is not None) == bool(asked["cert_req"].native), "2.4.1: asked for, and only then"


def with_extension(*extensions: bytes) -> bytes:
    return query(V1, imprint(), tlv(0xA0, b"".join(extensions)))


REFUSED: dict[str, tuple[Failure, bytes]] = {
    **{f"messageImprint {oid} is weak": (Failure.BAD_ALG, hashed(oid, size, NULL)) for oid, size in WEAK.items()},
    "messageImprint, an unknown algorithm": (Failure.BAD_ALG, hashed("1.2.3.4", 32)),
    "messageImprint, a signature algorithm": (Failure.BAD_ALG, hashed("1.2.840.113549.1.1.11", 32, NULL)),
    "messageImprint, SHAKE256": (Failure.BAD_ALG, hashed("2.16.840.1.101.3.4.2.12", 64)),
    "messageImprint, parameters that SHA-256 has not": (Failure.BAD_ALG, query(V1, imprint(SHA256 + b"\x04\x00"))),
    **{f"hashedMessage of {size} octets": (Failure.BAD_DATA_FORMAT, hashed("2.16.840.1.101.3.4.2.1", size)) for size in (0, 1, 20, 31, 33, 64)},
    "hashedMessage of SHA-512 with 32 octets": (Failure.BAD_DATA_FORMAT, hashed("2.16.840.1.101.3.4.2.3", 32)),
    **{f"version {v.hex()}": (Failure.BAD_REQUEST, query(tlv(0x02, v), imprint())) for v in (b"\x00", b"\x02", b"\xff", b"\x01\x00")},
    **{
        f"reqPolicy {oid}": (Failure.UNACCEPTED_POLICY, query(V1, imprint(), tst.identifier(oid)))
        for oid in ("0.0", "1.2.3", "2.999", "0.4.0.2023.1.1", "2.25.329800735698586629295641978511506172918", "2.5.29.32.0")
    },
    "nonce of 1025 octets": (Failure.BAD_REQUEST, query(V1, imprint(), tlv(0x02, b"\x01" * 1025))),
    **{
        f"extensions, {name}": (Failure.UNACCEPTED_EXTENSION, with_extension(*more))
        for name, more in {
            "one": (extension(),),
            "critical": (extension(critical=TRUE),),
            "two": (extension(), extension(tst.identifier("1.2.3"))),
            "one twice": (extension(), extension()),
            "with a large value": (extension(value=tlv(0x04, bytes(4000))),),
        }.items()
    },
    **{f"encoding, {name}": (Failure.BAD_DATA_FORMAT, request) for name, request in BAD.items() if name != "over the limit"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_offered_is_refused_with_one_reason(wire: http.client.HTTPConnection, name: str) -> None:
    """RFC 3161 section 2.4.2: rejection, no token, one PKIFailureInfo, and words."""
    failure, request = REFUSED[name]
    assert tsu.refused(post(wire, request)) == failure


def test_a_refusal_takes_no_serial(wire: http.client.HTTPConnection) -> None:
    """EN 319 421: each serial of a unit is that of a token."""
    first = tsp.decode_response(post(wire, query(V1, imprint())))
    for _, request in list(REFUSED.values())[:5]:
        tsu.refused(post(wire, request))
    second = tsp.decode_response(post(wire, query(V1, imprint())))
    serials = [
        asn1_tsp.ContentInfo.load(reply.token)["content"]["encap_content_info"]["content"].parsed["serial_number"].native for reply in (first, second)
    ]
    assert serials[1] == serials[0] + 1
