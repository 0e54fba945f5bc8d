"""RFC 3161 and EN 319 422 as others read them: OpenSSL and rfc3161-client make the requests and judge the tokens."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc3161_client
from asn1crypto import tsp as asn1_tsp
from cryptography import x509

from tests import tsu
from tests.services import program
from trust.codecs import tsp
from tsa.policy import Policy
from tsa.service import Authority

DATA = "一枚の書類\n".encode()
KEYS = ("p256", "p384", "p521", "rsa2048", "rsa3072")
"""What both programs know; Ed25519 and ML-DSA they do not."""


@pytest.fixture(scope="module", params=KEYS)
def authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    made, log = tsu.authority(
        tmp_path_factory.mktemp("tsa"),
        request.param,
        policy=Policy("1.3.6.1.4.1.32473.1.1", also=frozenset({"1.3.6.1.4.1.32473.1.2"}), accuracy_us=500_000),
    )
    yield made
    log.close()
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "root.pem").write_bytes(tsu.pem(tsu.issuers()[0]))
    return tmp_path


def openssl(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([program("openssl"), "ts", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def verified(done: "subprocess.CompletedProcess[str]") -> bool:
    said = done.stdout + done.stderr
    assert ("Verification: OK" in said) != ("Verification: FAILED" in said), said
    return "Verification: OK" in said and done.returncode == 0


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
@pytest.mark.parametrize(
    "options", [("-cert",), ("-no_nonce",), ("-cert", "-tspolicy", "1.3.6.1.4.1.32473.1.2"), ("-no_nonce", "-cert")], ids=" ".join
)
def test_openssl_asks_and_verifies(authority: Authority, folder: Path, digest: str, options: tuple[str, ...]) -> None:
    assert openssl(folder, "-query", "-data", "data", f"-{digest}", *options, "-out", "q").returncode == 0
    (folder / "r").write_bytes(authority.stamp((folder / "q").read_bytes()))
    (folder / "chain.pem").write_bytes(authority.pem())
    check = ("-verify", "-in", "r", "-CAfile", "root.pem", "-untrusted", "chain.pem")
    assert verified(openssl(folder, *check, "-queryfile", "q"))
    assert verified(openssl(folder, *check, "-data", "data"))
    (folder / "data").write_bytes(DATA + b" ")
    assert not verified(openssl(folder, *check, "-data", "data"))


def test_openssl_needs_nothing_but_the_root_where_certificates_were_asked_for(authority: Authority, folder: Path) -> None:
    openssl(folder, "-query", "-data", "data", "-sha256", "-cert", "-out", "q")
    (folder / "r").write_bytes(authority.stamp((folder / "q").read_bytes()))
    assert verified(openssl(folder, "-verify", "-in", "r", "-CAfile", "root.pem", "-queryfile", "q"))


def test_openssl_reads_the_token_as_it_was_meant(authority: Authority, folder: Path) -> None:
    openssl(folder, "-query", "-data", "data", "-sha256", "-out", "q")
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    (folder / "r").write_bytes(authority.stamp((folder / "q").read_bytes()))
    said = openssl(folder, "-reply", "-in", "r", "-text").stdout
    lines = dict(line.split(":", 1) for line in said.splitlines() if ":" in line and not line.startswith(" "))
    assert lines["Status"].strip() == "Granted."
    assert lines["Version"].strip() == "1"
    assert lines["Policy OID"].strip() == "1.3.6.1.4.1.32473.1.1"
    assert lines["Hash Algorithm"].strip() == "sha256"
    assert lines["Accuracy"].strip() == "unspecified seconds, 0x01F4 millis, unspecified micros"
    assert lines["Ordering"].strip() == "no"
    assert lines["TSA"].strip().startswith("DirName:")
    assert "CN = Example TSU 1" in lines["TSA"] or "CN=Example TSU 1" in lines["TSA"]
    assert lines["Extensions"] == ""
    stated = datetime.strptime(lines["Time stamp"].strip(), "%b %d %H:%M:%S.%f %Y GMT" if "." in lines["Time stamp"] else "%b %d %H:%M:%S %Y GMT")
    assert before <= stated.replace(tzinfo=UTC) <= datetime.now(UTC)


REFUSALS = {
    "badAlg": ("unrecognized or unsupported algorithm identifier", tsp.encode_request(tsu.Digest("sha1", bytes(20)))),
    "badDataFormat": ("the data submitted has the wrong format", b"\x30\x00"),
    "unacceptedPolicy": ("the requested TSA policy is not supported by the TSA", tsp.encode_request(tsu.DIGEST, policy="1.2.3")),
    "badRequest": ("transaction not permitted or supported", tsp.encode_request(tsu.DIGEST).replace(b"\x02\x01\x01", b"\x02\x01\x02", 1)),
}


@pytest.mark.parametrize("failure", REFUSALS)
def test_openssl_reads_refusals(folder: Path, failure: str) -> None:
    made, log = tsu.authority(folder)
    words, request = REFUSALS[failure]
    (folder / "r").write_bytes(made.stamp(request))
    log.close()
    said = openssl(folder, "-reply", "-in", "r", "-text").stdout
    assert "Status: Rejected." in said
    assert f"Failure info: {words}" in said
    assert f"Status description: {failure}" not in said
    assert "TST info:\nNot included." in said


@pytest.mark.parametrize("options", [{}, {"nonce": False}, {"cert_req": False}, {"hash_algorithm": rfc3161_client.HashAlgorithm.SHA256}], ids=str)
def test_rfc3161_client_asks_and_verifies(authority: Authority, options: dict[str, Any]) -> None:
    request = rfc3161_client.TimestampRequestBuilder(**{"data": DATA, **options}).build()
    response = rfc3161_client.decode_timestamp_response(authority.stamp(request.as_bytes()))
    assert response.status == rfc3161_client.PKIStatus.GRANTED
    assert response.tst_info.nonce == request.nonce
    root, issuing = tsu.issuers()
    verifier = (
        rfc3161_client.VerifierBuilder.from_request(request)
        .add_root_certificate(root.certificate.x509)
        .add_intermediate_certificate(issuing.certificate.x509)
        .tsa_certificate(authority.certificates[0].x509)
        .policy_id(x509.ObjectIdentifier("1.3.6.1.4.1.32473.1.1"))
        .build()
    )
    assert verifier.verify_message(response, DATA)
    with pytest.raises(rfc3161_client.VerificationError):
        verifier.verify_message(response, DATA + b"x")


# Clause by clause, what a token is. The reader is asn1crypto's: neither our writer nor our verifier's.


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> asn1_tsp.ContentInfo:
    made, log = tsu.authority(tmp_path_factory.mktemp("tsa"))
    response = made.stamp(tsp.encode_request(tsu.DIGEST, nonce=(1 << 160) - 1))
    log.close()
    return asn1_tsp.TimeStampResp.load(response, strict=True)["time_stamp_token"]


def test_2_4_2_the_content_is_tstinfo_in_signed_data(token: asn1_tsp.ContentInfo) -> None:
    assert token["content_type"].native == "signed_data"
    assert token["content"]["encap_content_info"]["content_type"].native == "tst_info"


def test_2_4_2_one_signature_and_no_other(token: asn1_tsp.ContentInfo) -> None:
    assert len(token["content"]["signer_infos"]) == 1


def test_2_4_2_the_certificate_is_identified_in_a_signed_attribute(token: asn1_tsp.ContentInfo) -> None:
    """And RFC 5816 section 2.2.1: by ESSCertIDv2, because the digest is not SHA-1."""
    [info] = token["content"]["signer_infos"]
    kinds = [attribute["type"].native for attribute in info["signed_attrs"]]
    assert kinds.count("signing_certificate_v2") == 1
    assert "signing_certificate" not in kinds
    assert sorted(kinds) == ["content_type", "message_digest", "signing_certificate_v2"]
    assert info["unsigned_attrs"].native is None


def test_2_4_2_the_token_repeats_the_request(token: asn1_tsp.ContentInfo) -> None:
    said = token["content"]["encap_content_info"]["content"].parsed
    assert said["message_imprint"].native["hashed_message"] == tsu.DIGEST.value
    assert said["nonce"].native == (1 << 160) - 1


def test_2_4_2_the_name_is_one_of_the_certificates(token: asn1_tsp.ContentInfo) -> None:
    said = token["content"]["encap_content_info"]["content"].parsed
    assert said["tsa"].chosen.untag().dump() == tsu.party().certificate.subject


def test_en_319_422_5_2_2_no_extension_is_critical_and_ordering_is_false(token: asn1_tsp.ContentInfo) -> None:
    said = token["content"]["encap_content_info"]["content"].parsed
    assert said["extensions"].native is None
    assert not said["ordering"].native


def test_en_319_422_5_2_2_the_accuracy_is_a_second_or_better(token: asn1_tsp.ContentInfo) -> None:
    assert tsu.token(tsp.granted(token.dump())).accuracy_us <= 1_000_000  # type: ignore[operator]
