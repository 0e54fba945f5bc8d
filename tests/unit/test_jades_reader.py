"""verifier.formats.jades: what is read, what is covered, and what an attacker may not gain. Each attack stands beside its lawful twin."""

import base64
import functools
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import pki
from tests.jades_maker import (
    ETSI,
    archive_stamp,
    b64,
    b64url,
    compact,
    component,
    container,
    dumps,
    flattened,
    header,
    parts,
    raw,
    signature_stamp,
    stamped,
    values,
)
from tests.reading import counted, fatal, intact, stamp_intact
from tests.shared import SHARED, needs_shared
from trust.algorithms import Algorithm
from trust.codecs import jose
from trust.errors import Malformed, TooLarge
from trust.model import Digest, Document, Evidence, Form, Id, Scope, Signature, StampKind, identify
from verifier.formats import jades

TEXT = b"a notice\n"


@functools.cache
def world() -> pki.Pki:
    return pki.pki()


def read(data: bytes | dict[str, Any], *files: Document, certs: tuple[Any, ...] = ()) -> Evidence:
    return jades.read(Document.of(dumps(data) if isinstance(data, dict) else data), files, certs)


def only(evidence: Evidence) -> Signature:
    (signature,) = evidence.signatures
    return signature


# Serialisations and keys.


@pytest.mark.parametrize("kind", ["rsa2048", "rsa2048-pss", "p256", "p384", "p521", "ed25519", "ml-dsa-65"])
def test_every_key_in_every_serialisation(kind: str) -> None:
    party = pki.signer(world().ca, key=kind.removesuffix("-pss"))
    party = party.with_pss() if kind.endswith("-pss") else party
    if kind in ("p384", "p521"):
        party = replace(party, algorithm=Algorithm("ecdsa", {"p384": "sha384", "p521": "sha512"}[kind]))
    jws = flattened(party, TEXT)
    general = {"payload": jws["payload"], "signatures": [{k: jws[k] for k in ("protected", "signature")}]}
    for data in (compact(party, TEXT), compact(party, TEXT) + b"\n", dumps(jws), dumps(general)):
        signature = only(read(data))
        assert intact(signature)
        assert signature.form is Form.JADES and signature.level == "JAdES-BASELINE-B"
        assert signature.signer == party.certificate and signature.signer_reference.digest_matches
        assert not signature.defects
        assert not intact(only(read(data.replace(jws["payload"].encode(), b64url(b"another\n").encode()))))


def test_what_jwcrypto_makes() -> None:
    jwk = pytest.importorskip("jwcrypto.jwk")
    jws = pytest.importorskip("jwcrypto.jws")
    party = world().signer
    key = jwk.JWK.from_pyca(party.private)
    head = header(party, iat=None)
    for made_compact in (True, False):
        made = jws.JWS(TEXT)
        made.add_signature(key, None, json.dumps(head), None)
        signature = only(read(made.serialize(compact=made_compact).encode()))
        assert intact(signature)
        assert signature.level == "JSON-NOT-ETSI"  # no claimed time
    raw_payload = jws.JWS("$.02")
    raw_payload.add_signature(key, None, json.dumps({**header(party), "b64": False, "crit": ["b64"]}), None)
    assert intact(only(read(raw_payload.serialize().encode())))


def test_signatures_side_by_side_each_for_itself() -> None:
    first, second = world().signer, pki.signer(world().ca, key="ed25519")
    one, two = flattened(first, TEXT), flattened(second, TEXT)
    both = {"payload": one["payload"], "signatures": [{k: j[k] for k in ("protected", "signature")} for j in (one, two)]}
    assert [intact(s) for s in read(both).signatures] == [True, True]
    both["signatures"][1]["signature"] = one["signature"]
    assert [intact(s) for s in read(both).signatures] == [True, False]


def test_json_without_a_signature_has_none_to_show() -> None:
    evidence = read(b'{"hello": "world"}')
    assert evidence.signatures == () and not evidence.uncovered


@pytest.mark.parametrize("data", [b"", b"a.b", b"[]", b"{", b'{"signature": 1}', b'{"signatures": {}}', b"e30.e30.!", b"\xff\xfe.a.b"])
def test_what_is_no_jws(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


# RFC 7515: attacks, each with its twin.


def test_hmac_with_the_public_key_is_not_a_signature() -> None:
    party = world().signer
    key = party.certificate.der
    protected = b64url(json.dumps(header(party, alg="HS256")).encode())
    text = f"{protected}.{b64url(TEXT)}"
    forged = f"{text}.{b64url(hmac.digest(key, text.encode(), hashlib.sha256))}".encode()
    for data in (forged, f"{b64url(json.dumps(header(party, alg='none')).encode())}.{b64url(TEXT)}.".encode()):
        signature = only(read(data))
        assert signature.algorithm is None and not intact(signature)
        assert fatal(signature)
    assert not fatal(only(read(compact(party, TEXT))))


def test_alg_in_the_unprotected_header_counts_for_nothing() -> None:
    party = world().signer
    jws = flattened(party, TEXT, header(party, alg=None), header={"alg": "ES256"})
    assert only(read(jws)).algorithm is None
    assert fatal(only(read(jws)))


def test_an_algorithm_names_its_curve() -> None:
    party = pki.signer(world().ca, key="p384")
    protected = b64url(json.dumps(header(party, alg="ES256")).encode())
    value = raw(party, party.sign(f"{protected}.{b64url(TEXT)}".encode()))
    assert fatal(only(read(f"{protected}.{b64url(TEXT)}.{b64url(value)}".encode())))


def test_a_der_value_is_not_that_of_a_jws() -> None:
    party = world().signer
    protected = b64url(json.dumps(header(party)).encode())
    der = party.sign(f"{protected}.{b64url(TEXT)}".encode())
    signature = only(read(f"{protected}.{b64url(TEXT)}.{b64url(der)}".encode()))
    assert not intact(signature) and any("length" in d.why for d in signature.defects)


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"crit": ["exp2"], "exp2": 1}, True),
        ({"crit": ["iat"]}, False),
        ({"crit": ["iat", "urn:example"], "urn:example": True}, True),
        ({"crit": []}, True),
        ({"crit": ["alg"]}, True),
        ({"crit": "iat"}, True),
        ({"crit": ["iat", "iat"]}, True),
        ({"crit": ["iat", 1]}, True),
        ({"crit": ["sigT"]}, True),
        ({"b64": True}, False),
        ({"crit": "urn:example", "urn:example": 1}, True),
        ({"urn:example": 1}, False),
    ],
)
def test_extensions_that_must_be_understood(more: dict[str, Any], refused: bool) -> None:
    signature = only(read(compact(world().signer, TEXT, header(world().signer, **more))))
    assert intact(signature)
    assert bool(fatal(signature)) is refused


_KEY = {"kty": "EC", "crv": "P-256"}


def _jwk(party: pki.Party, **more: Any) -> dict[str, Any]:
    point = party.certificate.public_key.public_numbers()  # type: ignore[union-attr]
    return {**_KEY, "x": b64url(point.x.to_bytes(32)), "y": b64url(point.y.to_bytes(32)), **more}


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        (lambda w: {"x5t": b64url(hashlib.sha1(w.signer.certificate.der).digest())}, False),
        (lambda w: {"x5t": b64url(hashlib.sha1(w.ca.certificate.der).digest())}, True),
        (lambda w: {"x5t#S256": b64url(w.signer.certificate.id) + "="}, True),
        (lambda w: {"x5c": [b64(w.ca.certificate.der), b64(w.signer.certificate.der)]}, True),
        (lambda w: {"x5c": [b64(w.signer.certificate.der), "e30"]}, True),
        (lambda w: {"x5c": [b64(w.signer.certificate.der)[:64] + "\n" + b64(w.signer.certificate.der)[64:]]}, True),
        (lambda w: {"x5c": b64(w.signer.certificate.der)}, True),
        (lambda w: {"x5c": [b64(w.signer.certificate.der)]}, False),
        (lambda w: {"jwk": _jwk(w.signer)}, False),
        (lambda w: {"jwk": _jwk(w.ca)}, True),
        (lambda w: {"jwk": _jwk(w.signer, d="AA")}, True),
        (lambda w: {"jwk": {"kty": "RSA", "n": "AQ", "e": "AQAB"}}, True),
        (lambda w: {"etsiU": []}, True),
    ],
    ids=[
        "thumb",
        "thumb-of-another",
        "padded",
        "swapped",
        "no-certificate",
        "lines",
        "no-array",
        "alone",
        "jwk",
        "jwk-of-another",
        "private",
        "rsa",
        "etsiU",
    ],
)
def test_whatever_names_the_key_names_the_same_one(more: Any, refused: bool) -> None:
    signature = only(read(compact(world().signer, TEXT, header(world().signer, **more(world())))))
    assert intact(signature) or refused
    assert bool(fatal(signature)) is refused


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"srCms": [{"commId": {"id": "urn:oid:1.2.3"}}]}, False),
        ({"srCms": {"commId": {"id": "urn:oid:1.2.3"}}}, True),
        ({"sigPl": "Tokyo"}, True),
        ({"sigPId": ["1.2.3"]}, True),
        ({"kid": 5}, True),
        ({"cty": ["text/plain"]}, True),
        ({"sigPId": {"id": {"id": "urn:oid:1.2.3"}, "digAlg": "S256", "digVal": b64url(bytes(32))}}, False),
        ({"sigPId": {"id": {"id": "urn:oid:1.2.3"}, "digAlg": "S256", "digVal": b64url(bytes(32)) + "=="}}, True),
    ],
)
def test_a_parameter_has_its_type_and_its_encoding(more: dict[str, Any], refused: bool) -> None:
    signature = only(read(compact(world().signer, TEXT, header(world().signer, **more))))
    assert intact(signature) and bool(fatal(signature)) is refused


def test_every_entry_of_signatures_is_one() -> None:
    jws = flattened(world().signer, TEXT)
    one = {k: jws[k] for k in ("protected", "signature")}
    assert not read({"payload": jws["payload"], "signatures": [one, one]}).defects
    assert read({"payload": jws["payload"], "signatures": [one, {"protected": jws["protected"]}]}).defects
    assert read({"payload": jws["payload"], "signatures": [{**one, "payload": b64url(b"another")}]}).defects


def test_crit_belongs_into_the_protected_header() -> None:
    assert fatal(only(read(flattened(world().signer, TEXT, header={"crit": ["iat"]}))))


@pytest.mark.parametrize(
    "twice",
    [
        lambda j: j.replace(b'"payload":', b'"payload": "e30", "payload":'),
        lambda j: j.replace(b'"signature":', b'"signatur\\u0065": "e30", "signature":'),
    ],
)
def test_a_member_that_stands_twice(twice: Any) -> None:
    data = dumps(flattened(world().signer, TEXT))
    assert intact(only(read(data)))
    assert twice(data) != data
    with pytest.raises(Malformed, match="twice"):
        read(twice(data))


def test_a_header_member_that_stands_twice() -> None:
    party = world().signer
    head = json.dumps(header(party))
    doubled = b64url((head[:-1] + ', "alg": "none"}').encode())
    value = raw(party, party.sign(f"{doubled}.{b64url(TEXT)}".encode()))
    with pytest.raises(Malformed, match="twice"):
        read(f"{doubled}.{b64url(TEXT)}.{b64url(value)}".encode())


def test_protected_and_unprotected_share_no_parameter() -> None:
    assert fatal(only(read(flattened(world().signer, TEXT, header={"typ": "x"}))))
    assert not fatal(only(read(flattened(world().signer, TEXT, header={"other": "x"}))))


_SLOPPY = {
    "padding": lambda text: text + "=" * (-len(text) % 4),
    "space": lambda text: text[:4] + " " + text[4:],
    "line": lambda text: text + "\n",
    "alphabet": lambda text: text.replace("-", "+").replace("_", "/"),
    "bits": lambda text: text[:-1] + _next(text[-1]),
}


@pytest.mark.parametrize(
    ("part", "sloppy"),
    [(p, s) for p in ("protected", "payload", "signature") for s in ("padding", "space", "line", "bits")] + [("payload", "alphabet")],
)
def test_base64url_has_one_text_for_its_bytes(part: str, sloppy: str) -> None:
    party = pki.signer(world().ca, key="ed25519")
    head = header(party)
    head["note"] = "x" * ((1 - len(json.dumps({**head, "note": ""}))) % 3)  # one byte over a multiple of three: there are unused bits
    jws = flattened(party, b"\xfb\xff\xfe\x00", head)
    changed = _SLOPPY[sloppy](jws[part])
    assert changed != jws[part] and not fatal(only(read(jws)))
    if part != "signature":  # signed as it stands: only the encoding is wrong
        text = f"{changed if part == 'protected' else jws['protected']}.{changed if part == 'payload' else jws['payload']}"
        jws = {**jws, "signature": b64url(party.sign(text.encode()))}
    signature = only(read({**jws, part: changed}))
    assert intact(signature)
    assert any(d.clause == "RFC 7515 section 2" and d.fatal for d in signature.defects)


def _next(character: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) + 1]


def test_two_syntaxes_in_one_text() -> None:
    jws = flattened(world().signer, TEXT)
    inner = {k: jws[k] for k in ("protected", "signature")}
    evidence = read({**jws, "signatures": [inner]})
    assert any(d.fatal for d in evidence.defects)
    assert not read({"payload": jws["payload"], "signatures": [inner]}).defects


def test_deep_nesting_and_long_numbers_are_refused_at_once() -> None:
    for text in (b'{"a":' * 200_000, b"[" * 500_000, b'{"n": ' + b"9" * 10_000 + b"}", b'{"n": NaN}', b'{"n": 1e999}', b'{"s": "\\ud800"}'):
        with pytest.raises(Malformed):
            jose.parse(text)
    assert jose.parse(b'{"n": 12, "s": "\\ud83d\\ude00"}') == {"n": 12, "s": "😀"}


def test_more_than_any_lawful_file_has() -> None:
    party = world().signer
    jws = flattened(party, TEXT)
    one = {k: jws[k] for k in ("protected", "signature")}
    stamp = signature_stamp(jws, pki.stamper(world().tsu))["header"]["etsiU"][0]
    assert len(read({"payload": jws["payload"], "signatures": [one] * 20}).signatures) == 20
    for many in ({"payload": jws["payload"], "signatures": [one] * 10_000}, stamped(jws, *[stamp] * 1_001)):
        with pytest.raises(TooLarge):
            read(many)
    long = flattened(party, b"x" * 3_000_000)
    with pytest.raises(TooLarge):
        read({"payload": long["payload"], "signatures": [{k: long[k] for k in ("protected", "signature")}] * 100})


# The signer.


def test_the_reference_decides_who_signed() -> None:
    party, other = world().signer, pki.signer(world().ca, "Somebody Else")
    swapped = header(party, x5c=[b64(other.certificate.der), b64(party.certificate.der)])
    assert only(read(compact(party, TEXT, swapped))).signer == party.certificate
    absent = header(party, x5c=[b64(other.certificate.der)])
    signature = only(read(compact(party, TEXT, absent)))
    assert signature.signer == other.certificate and signature.signer_reference.digest_matches is False
    found = only(read(compact(party, TEXT, header(party, x5c=None)), certs=(other.certificate, party.certificate)))
    assert found.signer == party.certificate and intact(found)


def test_one_reference_and_no_more() -> None:
    party = world().signer
    other = {"digAlg": "S512", "digVal": b64url(hashlib.sha512(party.certificate.der).digest())}
    both = only(read(compact(party, TEXT, header(party, **{"x5t#o": other}))))
    assert both.signer_reference.count == 2 and both.level == "JSON-NOT-ETSI" and fatal(both)
    one = only(read(compact(party, TEXT, header(party, **{"x5t#o": other, "x5t#S256": None}))))
    assert one.signer_reference.count == 1 and one.signer_reference.digest_algorithm == "sha512" and not fatal(one)
    assert one.level == "JAdES-BASELINE-B"


def test_what_the_signer_says() -> None:
    said = {
        "sigPl": {"addressCountry": "JP", "addressLocality": "東京"},
        "srCms": [{"commId": {"id": "urn:oid:1.2.840.113549.1.9.16.6.1"}}],
        "srAts": {"claimed": [{"mediaType": "text/plain", "encoding": "utf-8", "qVals": ["registrar"]}]},
        "sigPId": {"id": {"id": "urn:oid:1.2.3"}, "digAlg": "S256", "digVal": b64(bytes(32)), "sigPQuals": [{"spURI": "https://example.test/p"}]},
        "cty": "text/plain",
    }
    claims = only(read(compact(world().signer, TEXT, header(world().signer, **said)))).claims
    assert claims.time == pki.SIGNED and claims.place == "JP, 東京"
    assert claims.commitments == ("1.2.840.113549.1.9.16.6.1",) and claims.roles == ("registrar",)
    assert claims.policy == "1.2.3" and claims.policy_digest == Digest("sha256", bytes(32)) and claims.policy_uri == "https://example.test/p"
    assert claims.content_type == "text/plain"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iat": None},
        {"sigT": "2025-03-01T09:00:00Z"},
        {"iat": None, "sigT": "2026-03-01T09:00:00Z"},
        {"iat": "yesterday"},
        {"iat": None, "sigT": "2025-03-01 09:00"},
        {"x5t#S256": None},
        {"crit": []},
        {"b64": True},
    ],
)
def test_what_is_no_baseline_signature(wrong: dict[str, Any]) -> None:
    assert only(read(compact(world().signer, TEXT, header(world().signer, **wrong)))).level == "JSON-NOT-ETSI"
    lawful = {"iat": None, "sigT": "2025-03-01T09:00:00Z", "crit": ["sigT"]}
    assert only(read(compact(world().signer, TEXT, header(world().signer, **lawful)))).level == "JAdES-BASELINE-B"


# Detached content and sigD.

A, B = Document.of(b"contents of a", "a.txt"), Document.of(b"contents of b", "b.txt")


def by_hash(party: pki.Party, *files: Document, names: list[str] | None = None) -> dict[str, Any]:
    hashes = [b64url(hashlib.sha256(b64url(f.read(99)).encode()).digest()) for f in files]
    sig_d = {"mId": ETSI + "ObjectIdByURIHash", "pars": names or [f.name for f in files], "hashM": "S256", "hashV": hashes}
    return flattened(party, b"", header(party, sigD=sig_d, crit=["sigD"]), detached=True)


def test_files_by_hash() -> None:
    signed = by_hash(world().signer, A, B)
    evidence = read(signed, B, A)
    assert intact(only(evidence)) and not evidence.uncovered
    assert [(r.name, r.intact) for r in only(evidence).references] == [("a.txt", True), ("b.txt", True)]
    assert only(evidence).level == "JAdES-BASELINE-B"


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"ctys": ["text/plain"]}, False),
        ({"ctys": ["text/plain", "text/plain"]}, True),
        ({"ctys": []}, True),
        ({"hashV": lambda h: [h[0] + "="]}, True),
        ({"hashV": lambda h: [h[0][:9] + " " + h[0][9:]]}, True),
        ({"hashV": lambda h: [b64(base64.urlsafe_b64decode(h[0] + "="))]}, False),
        ({"crit": None}, True),
    ],
    ids=["type", "two-types", "no-type", "padded", "space", "base64", "uncritical"],
)
def test_what_sig_d_says_of_each_file(change: dict[str, Any], refused: bool) -> None:
    hashes = [b64url(hashlib.sha256(b64url(A.read(99)).encode()).digest())]
    more = {k: v(hashes) if callable(v) else v for k, v in change.items() if k != "crit"}
    sig_d = {"mId": ETSI + "ObjectIdByURIHash", "pars": ["a.txt"], "hashM": "S256", "hashV": hashes, **more}
    head = header(world().signer, sigD=sig_d, crit=change.get("crit", ["sigD"]))
    signature = only(read(flattened(world().signer, b"", head, detached=True), A))
    assert (bool(fatal(signature)) or not intact(signature)) is refused


def test_files_that_changed_places() -> None:
    exchanged = (Document.of(b"contents of b", "a.txt"), Document.of(b"contents of a", "b.txt"))
    evidence = read(by_hash(world().signer, A, B), *exchanged)
    assert not intact(only(evidence))
    assert all(r.found and not r.intact for r in only(evidence).references)
    assert sum(u.grave for u in evidence.uncovered) == 2


def test_a_renamed_file_is_known_by_its_content() -> None:
    assert intact(only(read(by_hash(world().signer, A), Document.of(b"contents of a", "download(1)"))))
    assert intact(only(read(by_hash(world().signer, A, B), A, Document.of(b"contents of b", "other"))))
    assert intact(only(read(by_hash(world().signer, A, B, names=["https://example.test/x/a.txt", "b%2etxt"]), A, B)))


def test_a_file_that_is_missing_or_too_many() -> None:
    missing = only(read(by_hash(world().signer, A, B), A))
    assert [r.found for r in missing.references] == [True, False]
    extra = read(by_hash(world().signer, A), A, B)
    assert intact(only(extra)) and [(u.name, u.grave) for u in extra.uncovered] == [("b.txt", True)]


def test_a_file_given_as_a_digest() -> None:
    known = Digest("sha256", hashlib.sha256(b64url(b"contents of a").encode()).digest())
    signature = only(read(by_hash(world().signer, A, B), Document("a.txt", None, None, (known,)), B))
    assert intact(signature) and signature.references[0].scope is Scope.DIGEST


def test_files_by_name() -> None:
    party = world().signer
    sig_d = {"mId": ETSI + "ObjectIdByURI", "pars": ["a.txt", "b.txt"]}
    head = header(party, sigD=sig_d, crit=["sigD"])
    text = b64url(b"contents of a") + b64url(b"contents of b")
    protected, _, value = parts(party, head, text)
    jws = {"protected": protected, "signature": value}
    assert intact(only(read(jws, B, A)))
    assert not intact(only(read(jws, Document.of(b"contents of b", "a.txt"), Document.of(b"contents of a", "b.txt"))))
    assert not only(read(jws, A)).references[1].found


def test_http_headers_and_the_body_behind_them() -> None:
    party, body = world().signer, Document.of(b'{"hello": "world"}', "body.json")
    digest = "SHA-256=" + b64(hashlib.sha256(b'{"hello": "world"}').digest())
    head = header(party, sigD={"mId": ETSI + "HttpHeaders", "pars": ["digest", "content-type"]}, crit=["sigD", "b64"], b64=False)
    text = f"digest: {digest}\ncontent-type: application/json"
    protected, _, value = parts(party, head, text)
    jws = {"protected": protected, "signature": value}
    kind, field = Document.of(b"application/json ", "Content-Type"), Document.of(digest.encode(), "Digest")
    for given_ in ((field, kind, body), (kind, body)):
        assert intact(only(read(jws, *given_)))
    assert not intact(only(read(jws, field, kind, Document.of(b'{"hello": "mars"}', "body.json"))))
    assert not intact(only(read(jws, Document.of(b"text/plain", "content-type"), body)))


@pytest.mark.parametrize("sig_d", [{}, {"mId": "urn:other", "pars": ["a"]}, {"mId": ETSI + "ObjectIdByURIHash", "pars": ["a.txt"], "hashV": []}])
def test_sig_d_that_is_not_understood(sig_d: dict[str, Any]) -> None:
    signature = only(read(flattened(world().signer, b"", header(world().signer, sigD=sig_d, crit=["sigD"]), detached=True), A))
    assert not intact(signature) and fatal(signature)


def test_a_detached_payload_encoded_or_not() -> None:
    party = world().signer
    assert intact(only(read(flattened(party, TEXT, detached=True), Document.of(TEXT, "notice.txt"))))
    assert not intact(only(read(flattened(party, TEXT, detached=True), Document.of(b"other", "notice.txt"))))
    assert not only(read(flattened(party, TEXT, detached=True))).references[0].found
    head = header(party, b64=False, crit=["b64"])
    protected, _, value = parts(party, head, b"\x00raw.bytes\xff", as_is=True)
    data = f"{protected}..{value}".encode()
    assert intact(only(read(data, Document.of(b"\x00raw.bytes\xff", "raw"))))


def test_unencoded_payload_must_be_critical() -> None:
    party = world().signer
    protected, text, value = parts(party, header(party, b64=False), "$.02")
    assert fatal(only(read({"payload": text, "protected": protected, "signature": value})))
    protected, text, value = parts(party, header(party, b64=False, crit=["b64"]), "$.02")
    twin = only(read({"payload": text, "protected": protected, "signature": value}))
    assert intact(twin) and not fatal(twin)


def test_a_file_beside_a_signature_that_has_its_own_content() -> None:
    data = compact(world().signer, TEXT)
    assert [u.name for u in read(data, A).uncovered if u.grave] == ["a.txt"]
    assert not read(data, Document.of(TEXT, "notice.txt")).uncovered


def test_long_content_is_never_held(tmp_path: Path) -> None:
    party, big = world().signer, tmp_path / "big"
    big.write_bytes(b"0123456789" * 3_000_000)
    protected = b64url(json.dumps(header(party)).encode())
    digest = hashlib.sha256(protected.encode() + b"." + base64.urlsafe_b64encode(big.read_bytes()).rstrip(b"="))
    value = raw(party, party.private.sign(digest.digest(), pki.ec.ECDSA(pki_prehashed())))
    document = Document("big", big.stat().st_size, lambda: big.open("rb"))
    with counted(document) as most:
        signature = only(read(f"{protected}..{b64url(value)}".encode(), document))
    assert isinstance(signature.signed, Digest) and intact(signature)
    assert max(most) <= Document.CHUNK


def pki_prehashed() -> Any:
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256

    return Prehashed(SHA256())


# Time-stamps.


def long_term() -> dict[str, Any]:
    w = world()
    jws = signature_stamp(flattened(w.signer, TEXT), pki.stamper(w.tsu))
    return stamped(jws, *values((w.tsu.certificate, w.ca.certificate, w.root.certificate), w.crls()))


def test_levels_and_what_stamps_cover() -> None:
    w = world()
    base = flattened(w.signer, TEXT)
    t = signature_stamp(base, pki.stamper(w.tsu))
    lt = long_term()
    lta = archive_stamp(lt, pki.stamper(w.tsu, pki.CHECKED + pki.DAY))
    renewed = archive_stamp(lta, pki.stamper(w.tsu, pki.CHECKED + 900 * pki.DAY))
    found = [read(j) for j in (base, t, lt, lta, renewed)]
    assert [only(e).level.removeprefix("JAdES-BASELINE-") for e in found] == ["B", "T", "LT", "LTA", "LTA"]
    assert all(stamp_intact(s) for e in found for s in e.stamps)
    last = found[-1]
    signature, first, archive, renewal = only(last), *last.stamps
    assert [s.kind for s in last.stamps] == [StampKind.SIGNATURE, StampKind.ARCHIVE, StampKind.ARCHIVE]
    document = identify(TEXT)
    assert {signature.id, w.signer.certificate.id, document} <= first.covers
    assert first.token.id not in first.covers and w.crls()[0].id not in first.covers
    assert {signature.id, first.token.id, w.root.certificate.id, document, *(c.id for c in last.crls)} <= archive.covers
    assert archive.token.id in renewal.covers and archive.token.id not in archive.covers


def test_an_archive_stamp_over_what_was_changed() -> None:
    w = world()
    lta = archive_stamp(long_term(), pki.stamper(w.tsu))
    etsi_u = lta["header"]["etsiU"]
    swapped = {**lta, "header": {"etsiU": [etsi_u[1], etsi_u[0], *etsi_u[2:]]}}
    dropped = {**lta, "header": {"etsiU": [etsi_u[0], *etsi_u[2:]]}}
    for changed in (swapped, dropped):
        archive = next(s for s in read(changed).stamps if s.kind is StampKind.ARCHIVE)
        assert not archive.intact and not archive.covers


def test_a_stamp_of_another_signature() -> None:
    w = world()
    foreign = signature_stamp(flattened(w.signer, b"other"), pki.stamper(w.tsu))["header"]
    (stamp,) = read({**flattened(w.signer, TEXT), "header": foreign}).stamps
    assert stamp.found and not stamp.intact and not stamp.covers


def test_a_stamp_after_the_signer_expired_makes_no_level_t() -> None:
    w = world()
    late = signature_stamp(flattened(w.signer, TEXT), pki.stamper(w.tsu, pki.ENDED + pki.DAY))
    assert only(read(late)).level == "JAdES-BASELINE-B"


def test_a_content_stamp_stands_in_the_signed_header() -> None:
    w = world()
    imprint = Digest("sha256", hashlib.sha256(b64url(TEXT).encode()).digest())
    token = container(pki.token(w.tsu, imprint, pki.SIGNED - pki.DAY))
    evidence = read(flattened(w.signer, TEXT, header(w.signer, adoTst=token)))
    (stamp,) = evidence.stamps
    assert stamp.kind is StampKind.CONTENT and stamp_intact(stamp) and stamp.covers == {Id(identify(TEXT))}


def test_stamps_over_references() -> None:
    w = world()
    jws = signature_stamp(flattened(w.signer, TEXT), pki.stamper(w.tsu))
    refs = component("xRefs", [{"digAlg": "S256", "digVal": b64(w.ca.certificate.id)}])
    jws = stamped(jws, refs)
    over_refs = Digest("sha256", hashlib.sha256(refs.encode()).digest())
    over_both = Digest("sha256", hashlib.sha256((jws["signature"] + "." + jws["header"]["etsiU"][0] + refs).encode()).digest())
    jws = stamped(jws, component("rfsTst", container(pki.token(w.tsu, over_refs))), component("sigRTst", container(pki.token(w.tsu, over_both))))
    first, only_refs, both = read(jws).stamps
    assert stamp_intact(only_refs) and only_refs.kind is StampKind.REFERENCES and only_refs.covers == {w.ca.certificate.id}
    assert stamp_intact(both) and both.kind is StampKind.VALIDATION_DATA
    assert {w.ca.certificate.id, only(read(jws)).id, first.token.id} <= both.covers


def test_what_cannot_be_read_beside_the_signature_is_a_remark() -> None:
    odd = ["!!", component("sigTst", {"tstTokens": [{"val": "AAAA"}]}), component("unknown", 1), component("cSig", "a.b.c"), 5]
    signature = only(read(stamped(flattened(world().signer, TEXT), *odd)))  # type: ignore[arg-type]
    assert intact(signature) and signature.level == "JAdES-BASELINE-B"
    assert signature.defects and not any(d.fatal for d in signature.defects)


# Counter-signatures.


def countersigned(value: bytes, *, attached: bool = True, compact_: bool = False) -> dict[str, Any]:
    w, jws = world(), flattened(world().signer, TEXT)
    counter = pki.signer(w.ca, "Counter")
    inner: Any = flattened(counter, value or jose.octets(jws["signature"]).data, detached=not attached)
    if compact_:
        inner = f"{inner['protected']}.{inner.get('payload', '')}.{inner['signature']}"
    return stamped(jws, component("cSig", inner))


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("compact_", [True, False])
def test_counter_signatures(attached: bool, compact_: bool) -> None:
    master, counter = read(countersigned(b"", attached=attached, compact_=compact_)).signatures
    assert intact(master) and intact(counter)
    assert counter.countersigns == master.id and counter.references[0].scope is Scope.COUNTERSIGNED


@pytest.mark.parametrize("attached", [True, False])
def test_a_counter_signature_of_something_else(attached: bool) -> None:
    master, counter = read(countersigned(b"not the value", attached=attached)).signatures
    assert intact(master) and not intact(counter)


def test_counter_signatures_without_end() -> None:
    text: Any = flattened(world().signer, TEXT)
    for _ in range(8):
        text = stamped(flattened(world().signer, TEXT), component("cSig", text))
    with pytest.raises(Malformed):
        read(text)


# Whatever the bytes are.


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 30), st.integers(0, 255), st.integers(0, 2))
def test_mutated_bytes_are_malformed_or_read(at: int, octet: int, how: int) -> None:
    source = _samples()[at % len(_samples())]
    at %= len(source)
    data = (source[:at] + bytes((octet,)) + source[at + 1 :], source[:at] + source[at + 1 :], source[:at])[how]
    try:
        jades.read(Document.of(data), (A, B))
    except (Malformed, TooLarge):
        return


@functools.cache
def _samples() -> tuple[bytes, ...]:
    return (
        dumps(archive_stamp(long_term(), pki.stamper(world().tsu))),
        compact(world().signer, TEXT),
        dumps(by_hash(world().signer, A, B)),
        dumps(countersigned(b"")),
    )


# What others made.


@needs_shared
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("corpus", "least"), [("corpus", 36), ("forged", 75)])
def test_what_others_made_is_read_as_they_and_dss_say(corpus: str, least: int) -> None:
    from tests.reading import agreement

    found = agreement(SHARED / corpus, lambda row: row["format"] == "JAdES", jades.read)
    assert found.files >= least
    assert found.falsely_intact == []
    assert found.of("intact") == 1 and found.of("level") == 1 and found.of("signatures") == 1 and found.of("timestamps") == 1
