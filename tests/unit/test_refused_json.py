"""JSON signatures that a clause refuses, each beside its lawful twin: what is signed and what stands beside it has the shape of its schema."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests import pki
from tests.jades_maker import b64, b64url, component, container, dumps, flattened, header, parts, signature_stamp, stamped, values
from tests.refused import accepted, passes, world
from trust.model import Digest, Document

OID = {"id": "urn:oid:1.2.3.4"}
SAID = "2025-03-01T09:00:00Z"


def numbers() -> dict[str, Any]:
    """The signer's public key (RFC 7518 section 6.2)."""
    point = world().signer.private.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64url(point.x.to_bytes(32)), "y": b64url(point.y.to_bytes(32))}


def chain() -> list[str]:
    return [b64(c.der) for c in (world().signer.certificate, *world().signer.chain)]


def sha1() -> str:
    return b64url(hashlib.sha1(world().signer.certificate.der).digest())


HEADERS: dict[str, tuple[Callable[[], dict[str, Any]], bool]] = {
    "sound": (dict, True),
    "policy": (lambda: {"sigPId": {"id": OID}}, True),
    "policy without name": (lambda: {"sigPId": {"digAlg": "S256", "digVal": "AAAA"}}, False),
    "policy named by a text": (lambda: {"sigPId": {"id": OID["id"]}}, False),
    "policy with half a digest": (lambda: {"sigPId": {"id": OID, "digAlg": "S256"}}, False),
    "policy with more": (lambda: {"sigPId": {"id": OID, "note": "x"}}, False),
    "commitment": (lambda: {"srCms": [{"commId": OID}]}, True),
    "no commitment": (lambda: {"srCms": []}, False),
    "commitment to nothing": (lambda: {"srCms": [{}]}, False),
    "commitment as text": (lambda: {"srCms": ["proof of origin"]}, False),
    "place": (lambda: {"sigPl": {"addressCountry": "JP"}}, True),
    "no place": (lambda: {"sigPl": {}}, False),
    "place of a number": (lambda: {"sigPl": {"postalCode": 1000001}}, False),
    "role": (lambda: {"srAts": {"claimed": [{"mediaType": "text/plain", "encoding": "", "qVals": ["head"]}]}}, True),
    "no role": (lambda: {"srAts": {"claimed": []}}, False),
    "no stamp": (lambda: {"adoTst": {"tstTokens": []}}, False),
    "stamp that is none": (lambda: {"adoTst": container(b"token")}, False),
    "sigT": (lambda: {"iat": None, "sigT": SAID, "crit": ["sigT"]}, True),
    "sigT with a fraction": (lambda: {"iat": None, "sigT": "2025-03-01T09:00:00.5Z"}, False),
    "iat with a fraction": (lambda: {"iat": 1740819600.5}, False),
    "one reference in a list": (lambda: {"x5t#S256": None, "sigX5ts": [{"digAlg": "S512", "digVal": b64url(bytes(64))}]}, False),
    "kid of a number": (lambda: {"kid": 1}, False),
    "enc": (lambda: {"enc": "A128GCM"}, False),
    "unknown": (lambda: {"note": "x"}, True),
    "x5t": (lambda: {"x5t": sha1()}, True),
    "x5t in JAdES": (lambda: {"x5t": sha1(), "sigPl": {"addressCountry": "JP"}}, False),
    "key": (lambda: {"jwk": numbers()}, True),
    "key of another curve": (lambda: {"jwk": {**numbers(), "crv": "P-384"}}, False),
    "key for encryption": (lambda: {"jwk": {**numbers(), "use": "enc"}}, False),
    "key for another algorithm": (lambda: {"jwk": {**numbers(), "alg": "ES384"}}, False),
    "key for other operations": (lambda: {"jwk": {**numbers(), "key_ops": ["sign"]}}, False),
    "chain out of order": (lambda: {"x5c": [chain()[0], *chain()[:0:-1]]}, False),
    "chain with a stranger": (lambda: {"x5c": [*chain(), b64(pki.signer(world().ca, "Somebody").certificate.der)]}, False),
    "shorter chain": (lambda: {"x5c": chain()[:2]}, True),
}


@pytest.mark.parametrize("case", HEADERS)
def test_what_is_signed_has_the_shape_of_its_schema(case: str) -> None:
    changed, lawful = HEADERS[case]
    head = header(world().signer, **changed())
    assert accepted(dumps(flattened(world().signer, b"{}", head))) is lawful


def certificates() -> str:
    return values(world().certs, ())[0]


BESIDE: dict[str, tuple[Callable[[], dict[str, Any]], bool]] = {
    "kid": (lambda: {"kid": "1"}, True),
    "empty": (dict, False),
    "claimed time": (lambda: {"sigT": SAID}, False),
    "digest": (lambda: {"x5t#o": {"digAlg": "S256", "digVal": "AAAA"}}, False),
    "another certificate": (lambda: {"x5t": b64url(bytes(20))}, False),
    "another key": (lambda: {"jwk": {**numbers(), "x": "AA"}}, False),
    "etsiU": (lambda: {"etsiU": [certificates()]}, True),
    "etsiU and others": (lambda: {"etsiU": [certificates()], "kid": "1"}, False),
    "no JSON": (lambda: {"etsiU": [b64url(b"etsiU")]}, False),
    "number": (lambda: {"etsiU": [1]}, False),
    "member twice": (lambda: {"etsiU": [b64url(b'{"xVals":[],"xVals":[]}')]}, False),
    "no certificates": (lambda: {"etsiU": [component("xVals", [])]}, False),
    "no certificate": (lambda: {"etsiU": [component("xVals", [{"x509Cert": {"val": "AAAA"}}])]}, False),
    "no status": (lambda: {"etsiU": [component("rVals", {})]}, False),
    "list that is none": (lambda: {"etsiU": [component("rVals", {"crlVals": [{"val": "AAAA"}]})]}, False),
    "stamps that are none": (lambda: {"etsiU": [component("sigTst", {"tstTokens": []})]}, False),
    "stamp that is none": (lambda: {"etsiU": [component("sigTst", container(b"token"))]}, False),
    "counter-signature that is none": (lambda: {"etsiU": [component("cSig", "a.b.c")]}, False),
    "policy of nobody": (lambda: {"etsiU": [component("sigPSt", {"sigPolDoc": b64(b"rules")})]}, False),
}


@pytest.mark.parametrize("case", BESIDE)
def test_what_stands_beside_has_the_shape_of_its_schema(case: str) -> None:
    changed, lawful = BESIDE[case]
    assert accepted(dumps(flattened(world().signer, b"{}", header=changed()))) is lawful


@pytest.mark.parametrize(("more", "lawful"), [({}, True), ({"encoding": "http://uri.etsi.org/01903/v1.2.2#XER"}, False), ({"note": "x"}, False)])
def test_a_stamp_is_as_it_says(more: dict[str, str], lawful: bool) -> None:
    jws = flattened(world().signer, b"{}")
    token = pki.token(world().tsu, Digest.of("sha256", jws["signature"].encode()))
    assert accepted(dumps(signature_stamp(jws, lambda imprint: pki.token(world().tsu, imprint))))
    assert accepted(dumps(stamped(jws, component("sigTst", {"tstTokens": [{"val": b64(token), **more}]})))) is lawful


@pytest.mark.parametrize(
    ("more", "lawful"),
    [
        ({}, True),
        ({"ctys": ["text/plain", "text/plain"]}, True),
        ({"hashM": "S256"}, False),
        ({"hashV": ["AAAA", "AAAA"]}, False),
        ({"note": "x"}, False),
    ],
    ids=["sound", "types", "digest", "digests", "more"],
)
def test_files_that_are_signed_themselves_have_no_digests(more: dict[str, Any], lawful: bool) -> None:
    """ETSI TS 119 182-1 clause 5.2.8.3.2."""
    files = Document.of(b"one", "a.txt"), Document.of(b"two", "b.txt")
    said = {"mId": "http://uri.etsi.org/19182/ObjectIdByURI", "pars": ["a.txt", "b.txt"], **more}
    head = header(world().signer, crit=["sigD"], sigD=said)
    protected, _, value = parts(world().signer, head, b64url(b"one") + b64url(b"two"))
    made = dumps({"protected": protected, "signature": value})
    assert passes(made, *files) is lawful
    assert not passes(made, *(Document.of(d, n) for d, n in ((b"two", "a.txt"), (b"one", "b.txt"))))


@pytest.mark.parametrize(
    ("more", "lawful"),
    [
        ({}, True),
        ({"cty": "text/plain"}, False),
        ({"crit": ["sigD"], "sigD": {"mId": "http://uri.etsi.org/19182/ObjectIdByURI", "pars": ["value"]}}, False),
    ],
    ids=["sound", "type", "files"],
)
def test_a_counter_signature_describes_no_content(more: dict[str, Any], lawful: bool) -> None:
    """ETSI TS 119 182-1 clauses 5.1.3 and 5.3.2."""
    jws = flattened(world().signer, b"{}")
    witness = pki.signer(world().ca, "Example Witness")
    value = base64.urlsafe_b64decode(jws["signature"] + "==")
    counter = flattened(witness, value, header(witness, **more), detached=True)
    assert accepted(dumps(stamped(jws, component("cSig", counter)))) is lawful
