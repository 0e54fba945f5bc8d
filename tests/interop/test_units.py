"""Tokens of every kind of key, held against clients that are not ours: OpenSSL, rfc3161-client, pyHanko's, BouncyCastle's."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import rfc3161_client
from asn1crypto import tsp as asn1_tsp
from pyhanko.sign.timestamps import TimeStamper

from tests import pki, tsu
from tests.services import program
from trust.algorithms import Algorithm, pss
from trust.codecs import tsp
from trust.edge.keystore import FileKey, algorithm_of, generate
from trust.log.journal import Journal
from tsa.issue import Unit
from tsa.policy import Policy
from tsa.service import Authority
from tsa.units import Place

ECDSA, RSA = ("p256", "p384", "p521"), ("rsa3072", "rsa4096")
POST_QUANTUM = ("ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
KINDS = (*ECDSA, *RSA, "rsa3072-pss", "ed25519", *POST_QUANTUM)
DATA = b"one document"
OIDS = {
    **{f"p{bits}": f"1.2.840.10045.4.3.{last}" for bits, last in ((256, 2), (384, 3), (521, 4))},
    "rsa3072": "1.2.840.113549.1.1.1",
    "rsa4096": "1.2.840.113549.1.1.1",
    "rsa3072-pss": "1.2.840.113549.1.1.10",
    "ed25519": "1.3.101.112",
    **{f"ml-dsa-{level}": f"2.16.840.1.101.3.4.3.{last}" for level, last in ((44, 17), (65, 18), (87, 19))},
}
"""RFC 5754, RFC 4056, RFC 8419 and RFC 9882: what stands in SignerInfo."""


def key(kind: str) -> FileKey:
    """A key of the key store's own making, certified for time-stamping."""
    private = pki.private_key(kind.removesuffix("-pss")) if kind.startswith("rsa") else generate(kind)
    algorithm: Algorithm = pss("sha256") if kind.endswith("-pss") else algorithm_of(private.public_key())
    issuer = tsu.issuers()[1]
    certificate = pki.unit(issuer, common=f"Example {kind}", private=private).certificate
    return FileKey(private, certificate, (issuer.certificate,), algorithm)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """One authority with a unit for each kind of key; half of them say that they are qualified."""
    with Journal(tsu.engine(tmp_path_factory.mktemp("units")), tsu.clock) as journal:
        places = [
            Place(kind, Unit.of(f"u-{kind}", Policy(f"1.2.3.{at}", qualified=at % 2 == 1, accuracy_us=10**at), key(kind)))
            for at, kind in enumerate(KINDS[:8])
        ]
        places += [Place(kind, Unit.of(f"u-{kind}", Policy("1.2.3.9"), key(kind))) for kind in KINDS[8:]]
        made = Authority(places, journal, tsu.clock)
        yield made
        made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "root.pem").write_bytes(tsu.pem(tsu.issuers()[0]))
    return tmp_path


@pytest.mark.parametrize("kind", [*ECDSA, *RSA])
def test_openssl(authority: Authority, folder: Path, kind: str) -> None:
    def ts(*arguments: str) -> str:
        done = subprocess.run([program("openssl"), "ts", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    ts("-query", "-data", "data", "-sha256", "-cert", "-out", "q")
    (folder / "r").write_bytes(authority.stamp((folder / "q").read_bytes(), kind))
    assert "Verification: OK" in ts("-verify", "-in", "r", "-queryfile", "q", "-CAfile", "root.pem")
    assert "Verification: OK" in ts("-verify", "-in", "r", "-data", "data", "-CAfile", "root.pem")


@pytest.mark.parametrize("kind", [*ECDSA, *RSA])
def test_rfc3161_client(authority: Authority, kind: str) -> None:
    request = rfc3161_client.TimestampRequestBuilder(data=DATA).build()
    response = rfc3161_client.decode_timestamp_response(authority.stamp(request.as_bytes(), kind))
    verifier = rfc3161_client.VerifierBuilder.from_request(request).add_root_certificate(tsu.issuers()[0].certificate.x509).build()
    assert verifier.verify_message(response, DATA)


class _Client(TimeStamper):
    def __init__(self, authority: Authority, unit: str) -> None:
        super().__init__(include_nonce=True)
        self._authority = authority
        self._unit = unit

    async def async_request_tsa_response(self, req: asn1_tsp.TimeStampReq) -> asn1_tsp.TimeStampResp:
        return asn1_tsp.TimeStampResp.load(await self._authority.stamp_soon(req.dump(), self._unit))


@pytest.mark.parametrize("kind", KINDS)
def test_pyhanko_takes_the_token(authority: Authority, kind: str) -> None:
    token = asyncio.run(_Client(authority, kind).async_timestamp(tsu.DIGEST.value, "sha256"))
    [info] = token["content"]["signer_infos"]
    assert info["signature_algorithm"]["algorithm"].dotted == OIDS[kind]
    assert info["digest_algorithm"]["algorithm"].native == {"p384": "sha384", "p521": "sha512", "ed25519": "sha512"}.get(
        kind, "sha512" if kind in POST_QUANTUM else "sha256"
    )


def test_bouncy_castle_verifies_every_kind(authority: Authority, folder: Path) -> None:
    """The one client that knows ML-DSA. Its jars are where Maven puts them: `mvn dependency:get -Dartifact=org.bouncycastle:bcpkix-jdk18on:1.83`."""
    maven = Path.home() / ".m2/repository/org/bouncycastle"
    jars = [next(maven.glob(f"{name}-jdk18on/1.83/*.jar"), None) for name in ("bcpkix", "bcprov", "bcutil")]
    if None in jars:
        pytest.skip("BouncyCastle's jars are not in Maven's repository")
    for kind in KINDS:
        request = tsp.encode_request(tsu.DIGEST, nonce=77)
        (folder / f"{kind}.tsq").write_bytes(request)
        (folder / f"{kind}.tsr").write_bytes(authority.stamp(request, kind))
    command = [program("java"), "-cp", ":".join(map(str, jars)), str(Path(__file__).with_name("TokenCheck.java")), *KINDS]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [f"{kind} {OIDS[kind]} valid" for kind in KINDS], done.stderr[-2000:]


def test_the_qualified_statement_is_there_where_the_operator_says_so_and_nowhere_else(authority: Authority) -> None:
    """EN 319 422 clause 9.1: one qcStatements in TSTInfo.extensions with esi4-qtstStatement-1, not critical (clause 5.2.2)."""
    for at, kind in enumerate(KINDS[:8]):
        reply = tsp.decode_response(authority.stamp(tsp.encode_request(tsu.DIGEST), kind))
        said = asn1_tsp.ContentInfo.load(reply.token)["content"]["encap_content_info"]["content"].parsed
        found = (
            []
            if said["extensions"].native is None
            else [(e["extn_id"].dotted, e["critical"].native, e["extn_value"].native) for e in said["extensions"]]
        )
        assert found == ([("1.3.6.1.5.5.7.1.3", False, bytes.fromhex("300b30090607040081975e0101"))] if at % 2 else [])
        accuracy = said["accuracy"]
        parts = (accuracy["seconds"].native or 0, accuracy["millis"].native or 0, accuracy["micros"].native or 0)
        assert parts == (10**at // 10**6, 10**at // 1000 % 1000, 10**at % 1000)
