"""JAdES as it is written: by libraries that are not ours (jwcrypto, jsonschema), by hand, and by the verifier under `strict`."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from eseal import drafting
from eseal.draft import Base64
from eseal.drafting import SIGNABLE, Holder
from eseal.formats import jades
from eseal.spec import OFFERED, Claims, Commitment, Format, Level, Mechanism, Packaging, Serialization, Spec, choose, media_type
from tests import pki as office
from tests.pki import SIGNED, Party
from tests.sealing import CSV, imprint, lists, means, whole
from tests.shared import SHARED, needs_shared
from trust.algorithms import Algorithm, pss, verify
from trust.errors import Malformed, TooLarge, Unacceptable, Unavailable
from trust.model import Digest, Document
from trust.ports import Status
from verifier.policy import load
from verifier.question import Question
from verifier.service import finding

DOCUMENT = Document.of(CSV, "prices.csv", "text/csv")
PKI = office.pki()
KINDS: dict[str, tuple[str, Party]] = {
    "p256": ("ES256", PKI.signer),
    "p384": ("ES384", replace(office.signer(PKI.ca, key="p384"), algorithm=Algorithm("ecdsa", "sha384"))),
    "p521": ("ES512", replace(office.signer(PKI.ca, key="p521"), algorithm=Algorithm("ecdsa", "sha512"))),
    "rsa": ("RS256", office.signer(PKI.ca, key="rsa2048")),
    "pss": ("PS256", office.signer(PKI.ca, key="rsa2048").with_pss()),
    "ed25519": ("EdDSA", office.signer(PKI.ca, key="ed25519")),
    "ml-dsa-65": ("ML-DSA-65", office.signer(PKI.ca, key="ml-dsa-65")),
}
ATTACHED, BY_HASH, AS_PAYLOAD = ("attached", None), ("detached", "uri-hash"), ("detached", "payload")
PLACES = pytest.mark.parametrize("place", [ATTACHED, BY_HASH, AS_PAYLOAD], ids=lambda p: p[1] or p[0])
Place = tuple[str, str | None]


def asked(place: Place = BY_HASH, level: str = "B-B", serialization: str | None = None, **more: Any) -> Spec:
    return choose(CSV, format="jades", level=level, packaging=place[0], mechanism=place[1], serialization=serialization, **more)


def made(spec: Spec, party: Party | None = None, document: Document = DOCUMENT, **changes: Any) -> bytes:
    return whole(document, jades.seal(document, spec, means(PKI, party, **changes)))


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header_of(data: bytes) -> dict[str, Any]:
    entry = json.loads(data)
    return dict(json.loads(plain(entry.get("signatures", [entry])[0]["protected"])))


def components(data: bytes) -> list[tuple[str, Any]]:
    entry = json.loads(data)
    listed = entry.get("signatures", [entry])[0]["header"]["etsiU"]
    return [next(iter(json.loads(plain(text)).items())) for text in listed]


def judged(data: bytes, place: Place, draft_value: bytes, level: str) -> tuple[bool, str, str]:
    """By our verifier, `strict`, a moment after; below B-LT with the lists that a seal of that level does not carry."""
    detached = () if place[0] == "attached" else (DOCUMENT,)
    given = () if "LT" in level else lists(PKI)
    question = Question(Document.of(data), SIGNED.replace(hour=12), load("strict"), (PKI.root.certificate,), detached, crls=given)
    return finding(question, draft_value)[:3]


@PLACES
@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("serialization", [Serialization.FLATTENED, Serialization.GENERAL])
@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_our_verifier_passes_each_at_its_level(place: Place, level: Level, serialization: str, kind: str) -> None:
    draft = jades.seal(DOCUMENT, asked(place, level, serialization), means(PKI, KINDS[kind][1]))
    found = judged(whole(DOCUMENT, draft), place, draft.signature, level)
    assert found == (True, f"JAdES-BASELINE-{level.removeprefix('B-')}", found[2])
    assert len(draft.stamps) == (0, 1, 1, 2)[list(Level).index(level)]


@PLACES
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_in_a_compact_jws(place: Place, kind: str) -> None:
    name, party = KINDS[kind]
    draft = jades.seal(DOCUMENT, asked(place, serialization="compact"), means(PKI, party))
    data = whole(DOCUMENT, draft)
    protected, payload, signature = data.decode("ascii").split(".")
    header = json.loads(plain(protected))
    assert header["alg"] == name
    assert header["typ"] == "jose"
    assert payload == (base64.urlsafe_b64encode(CSV).rstrip(b"=").decode() if place == ATTACHED else "")
    signed = {ATTACHED: payload.encode(), BY_HASH: b"", AS_PAYLOAD: CSV}[place]
    public = party.certificate.public_key
    assert public is not None
    assert verify(public, party.algorithm, draft.signature, protected.encode() + b"." + signed)
    assert len(plain(signature)) == {"p256": 64, "p384": 96, "p521": 132}.get(kind, len(draft.signature))
    assert judged(data, place, draft.signature, "B-B")[1] == "JAdES-BASELINE-B"


@PLACES
@pytest.mark.parametrize("serialization", Serialization)
@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa", "pss", "ed25519"])
def test_jwcrypto_verifies_the_core(place: Place, serialization: str, kind: str) -> None:
    from jwcrypto import jwk, jws
    from jwcrypto.common import JWSEHeaderParameter

    data = made(asked(place, "B-B" if serialization == "compact" else "B-LTA", serialization), KINDS[kind][1])
    known = ("sigD", "etsiU")
    token = jws.JWS(header_registry={name: JWSEHeaderParameter(name, False, True, None) for name in known})
    token.deserialize(data.decode())
    party = KINDS[kind][1]
    key = jwk.JWK.from_pyca(party.certificate.public_key)
    token.verify(key, detached_payload=None if place == ATTACHED else CSV if place == AS_PAYLOAD else b"")
    if place == ATTACHED:
        assert token.payload == CSV
    with pytest.raises(jws.InvalidJWSSignature):
        token.verify(jwk.JWK.from_pyca(PKI.ca.certificate.public_key), detached_payload=None if place == ATTACHED else CSV)


def test_the_protected_header_says_what_the_standard_asks() -> None:
    claims = Claims(location="東京都千代田区", commitment=Commitment.APPROVAL, role="会計課")
    header = header_of(made(asked(BY_HASH, claims=claims)))
    assert header == {
        "alg": "ES256",
        "typ": "jose+json",
        "iat": int(SIGNED.timestamp()),
        "x5t#S256": base64.urlsafe_b64encode(hashlib.sha256(PKI.signer.certificate.der).digest()).rstrip(b"=").decode(),
        "x5c": [base64.b64encode(c.der).decode() for c in (PKI.signer.certificate, PKI.ca.certificate)],
        "crit": ["b64", "sigD"],
        "b64": False,
        "sigD": {
            "mId": "http://uri.etsi.org/19182/ObjectIdByURIHash",
            "pars": ["prices.csv"],
            "hashM": "S256",
            "hashV": [base64.urlsafe_b64encode(hashlib.sha256(CSV).digest()).rstrip(b"=").decode()],
            "ctys": ["text/csv"],
        },
        "srCms": [{"commId": {"id": "http://uri.etsi.org/01903/v1.2.2#ProofOfApproval"}}],
        "sigPl": {"addressLocality": "東京都千代田区"},
        "srAts": {"claimed": [{"mediaType": "text/plain", "encoding": "binary", "qVals": ["会計課"]}]},
    }


def test_b64_is_false_only_where_the_payload_is_elsewhere() -> None:
    """RFC 7797 section 6: and then it is critical. Inside JSON the payload is base64url."""
    attached, payload = header_of(made(asked(ATTACHED))), header_of(made(asked(AS_PAYLOAD)))
    assert (attached.get("b64"), attached.get("crit"), attached["cty"]) == (None, None, "text/csv")
    assert (payload["b64"], payload["crit"], payload["cty"]) == (False, ["b64"], "text/csv")
    assert "sigD" not in payload


def test_a_file_name_is_a_uri_reference() -> None:
    document = Document.of(CSV, "価格/2025 1.csv")
    header = header_of(made(asked(), document=document))
    assert header["sigD"]["pars"] == ["%E4%BE%A1%E6%A0%BC/2025%201.csv"]
    assert "ctys" not in header["sigD"]
    undecodable = Document.of(CSV, b"\xff.csv".decode("utf-8", "surrogateescape"))
    assert header_of(made(asked(), document=undecodable))["sigD"]["pars"] == ["%3F.csv"]
    assert header_of(made(asked(), document=Document.of(CSV)))["sigD"]["pars"] == ["document"]


def test_several_documents_are_named_under_one_seal() -> None:
    documents = [Document.of(f"{n}\n".encode(), f"価格/{n}.csv") for n in range(3)]
    for level in Level:
        draft = jades.seal(documents[0], asked(level=level), means(PKI), documents[1:])
        data = whole(documents[0], draft)
        given = () if "LT" in level else lists(PKI)
        question = Question(Document.of(data), SIGNED.replace(hour=12), load("strict"), (PKI.root.certificate,), tuple(documents), crls=given)
        assert finding(question, draft.signature)[:2] == (True, f"JAdES-BASELINE-{level.removeprefix('B-')}")
        swapped = tuple(Document.of(f"{2 - n}\n".encode(), d.name) for n, d in enumerate(documents))
        assert not finding(replace(question, detached=swapped), draft.signature)[0]
    [stamp] = dict(components(data))["arcTst"]["tstTokens"]
    entry = json.loads(data)
    over = b".".join((b"0\n1\n2\n", entry["protected"].encode(), entry["signature"].encode(), "".join(entry["header"]["etsiU"][:4]).encode()))
    assert imprint(base64.b64decode(stamp["val"])) == Digest.of("sha256", over)


def test_several_documents_need_names_of_their_own_and_no_payload() -> None:
    same = [Document.of(b"x", "a.csv"), Document.of(b"y", "a.csv")]
    with pytest.raises(Unacceptable, match="each has a name of its own"):
        jades.seal(same[0], asked(), means(PKI), same[1:])
    other = Document.of(b"y", "b.csv")
    for place in (ATTACHED, AS_PAYLOAD):
        with pytest.raises(Unacceptable, match="as a payload it seals one at a time"):
            jades.seal(same[0], asked(place), means(PKI), [other])


@pytest.mark.parametrize(("kind", "digest"), [("p256", "sha256"), ("p384", "sha384"), ("p521", "sha512"), ("ed25519", "sha512")])
def test_the_digest_is_the_keys(kind: str, digest: str) -> None:
    data = made(asked(level="B-LTA"), KINDS[kind][1])
    reference = header_of(data)["sigD"]
    assert reference["hashM"] == f"S{digest[3:]}"
    assert plain(reference["hashV"][0]) == hashlib.new(digest, CSV).digest()


def test_a_key_that_hashes_for_itself_leaves_the_digest_of_the_document_to_the_caller() -> None:
    assert header_of(made(asked(digest="sha256"), KINDS["ed25519"][1]))["sigD"]["hashM"] == "S256"


@PLACES
def test_each_time_stamp_is_over_what_the_standard_says(place: Place) -> None:
    data = made(asked(place, "B-LTA"))
    entry, found = json.loads(data), components(data)
    assert [name for name, _ in found] == ["sigTst", "xVals", "rVals", "tstVD", "arcTst"]
    [stamp], [archive] = found[0][1]["tstTokens"], found[4][1]["tstTokens"]
    assert imprint(base64.b64decode(stamp["val"])) == Digest.of("sha256", entry["signature"].encode())
    payload = entry["payload"].encode() if place == ATTACHED else CSV
    over = b".".join((payload, entry["protected"].encode(), entry["signature"].encode(), "".join(entry["header"]["etsiU"][:4]).encode()))
    assert imprint(base64.b64decode(archive["val"])) == Digest.of("sha256", over)


def test_validation_data_stand_once() -> None:
    found = dict(components(made(asked(level="B-LT"))))
    certs = [base64.b64decode(v["x509Cert"]["val"]) for v in found["xVals"]]
    assert certs == [c.der for c in (PKI.signer.certificate, *PKI.signer.chain)]
    assert [base64.b64decode(v["val"]) for v in found["rVals"]["crlVals"]] == [c.der for c in lists(PKI)]
    assert "ocspVals" not in found["rVals"]
    [unit] = found["tstVD"]["xVals"]
    assert base64.b64decode(unit["x509Cert"]["val"]) == PKI.tsu.certificate.der
    assert "rVals" not in found["tstVD"]


def test_an_answer_of_a_responder_is_held_as_a_whole_response() -> None:
    from cryptography.x509 import ocsp

    answer = office.ocsp(PKI.signer, PKI.ca)
    status = Status(crls=lists(PKI), ocsps=(answer,))
    found = dict(components(made(asked(level="B-LT"), status=lambda _: status)))
    [held] = found["rVals"]["ocspVals"]
    response = ocsp.load_der_ocsp_response(base64.b64decode(held["val"]))
    assert response.serial_number == PKI.signer.certificate.serial


def test_an_archive_stamp_by_another_unit_brings_its_own_data() -> None:
    other = office.unit(PKI.ca, "Example TSU 2")
    units = iter((PKI.tsu, other))

    def stamp(digest: Digest) -> bytes:
        return office.stamper(next(units))(digest)

    data = made(asked(level="B-LTA"), stamp=stamp)
    name, late = components(data)[-1]
    assert name == "tstVD"
    assert base64.b64decode(late["xVals"][0]["x509Cert"]["val"]) == other.certificate.der


def test_a_document_is_named_and_never_copied() -> None:
    draft = jades.seal(DOCUMENT, asked(ATTACHED, "B-LTA"), means(PKI))
    assert Base64(0, len(CSV), url=True) in draft.pieces
    document = Document("large.bin", 10 << 30, None)
    with pytest.raises(Malformed, match="only digests of this document are known"):
        jades.seal(document, asked(), means(PKI))


@pytest.mark.parametrize("place", [ATTACHED, AS_PAYLOAD])
def test_a_payload_that_nobody_could_read_is_refused(place: Place) -> None:
    def opened() -> Any:
        raise AssertionError("read")

    with pytest.raises(TooLarge, match="at most 64 MiB; detached by uri-hash it has no limit"):
        jades.seal(Document("large.bin", jades.LARGEST + 1, opened), asked(place), means(PKI))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "jades", "serialization": "compact", "level": "B-T"}, "compact jades is at B-B only: it has no place for a time-stamp, got B-T"),
        ({"format": "cades", "serialization": "general"}, "a serialization belongs to jades"),
        ({"format": "jades", "packaging": "attached", "mechanism": "payload"}, "a mechanism belongs to detached jades"),
        ({"format": "jades", "packaging": "enveloped"}, "jades is detached or attached, got enveloped"),
        ({"format": "jades", "serialization": "yaml"}, "no serialization has that name; there are flattened, general and compact"),
        ({"format": "jades", "mechanism": "http"}, "no mechanism has that name; there are uri-hash, payload, uri and http-headers"),
        (
            {"format": "jades", "claims": Claims(reason="so")},
            "jades has no place for a reason; it has commitment, content_timestamp, location, mime_type, policy and role",
        ),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Unacceptable) as error:
        choose(CSV, **options)
    assert str(error.value) == message


def test_defaults() -> None:
    spec = choose(CSV, format="jades")
    assert (spec.level, spec.packaging) == (Level.B_LTA, Packaging.DETACHED)
    assert (spec.serialization, spec.mechanism) == (Serialization.FLATTENED, Mechanism.URI_HASH)
    assert media_type(spec) == ("application/jose+json", ".jades.json")
    short = choose(CSV, format="jades", serialization="compact")
    assert short.level is Level.B_B
    assert media_type(short) == ("application/jose", ".jws")
    assert OFFERED[Format.JADES, Packaging.ATTACHED] == tuple(Level)


@pytest.mark.parametrize(
    ("party", "message"),
    [
        (replace(PKI.signer, algorithm=Algorithm("ecdsa", "sha384")), "ES384 is for keys of 384 bits .RFC 7518 section 3.4., .* has 256"),
        (replace(KINDS["pss"][1], algorithm=replace(pss("sha256"), salt=20)), "has no name in JOSE"),
        (replace(PKI.signer, algorithm=Algorithm("ecdsa", "sha3_256")), "has no name in JOSE"),
    ],
)
def test_a_key_without_a_name_is_refused_before_it_signs(party: Party, message: str) -> None:
    with pytest.raises(Unacceptable, match=message):
        made(asked(ATTACHED), party)


def test_an_authority_that_is_away_is_no_weaker_seal() -> None:
    def away(_: object) -> bytes:
        raise Unavailable("it does not answer")

    with pytest.raises(Unavailable, match="it does not answer"):
        made(asked(level="B-T"), stamp=away)
    with pytest.raises(Unavailable, match="over something else than what was asked for"):
        made(asked(level="B-T"), stamp=lambda _: office.stamper(PKI.tsu)(Digest.of("sha256", b"x")))
    with pytest.raises(Unavailable, match="it does not answer"):
        made(asked(level="B-LT"), status=away)
    assert made(asked(level="B-B"), stamp=away, status=away)


@PLACES
def test_what_is_signed_is_told_from_its_first_bytes(place: Place) -> None:
    signed: list[bytes] = []

    def sign(data: bytes) -> bytes:
        signed.append(data)
        return PKI.signer.sign(data)

    drafting.draft(DOCUMENT, asked(place), Holder.of(PKI.signer), SIGNED, sign=sign, stamp=office.stamper(PKI.tsu), status=lambda _: Status())
    assert len(signed) == 1
    assert signed[0].startswith(SIGNABLE[Format.JADES].begins)
    assert SIGNABLE[Format.JADES].longest > jades.LARGEST * 4 // 3 + (1 << 20)


def test_a_claimed_time_is_stated_in_whole_seconds() -> None:
    claimed = datetime(2025, 2, 1, 12, 0, 0, 900_000, tzinfo=UTC)
    header = header_of(made(asked(claims=Claims(signing_time=claimed))))
    assert header["iat"] == int(claimed.timestamp())
    assert "sigT" not in header


@needs_shared
@PLACES
@pytest.mark.parametrize("serialization", ["flattened", "general"])
def test_etsis_schemas_hold(place: Place, serialization: str) -> None:
    import jsonschema
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT7

    folder = SHARED / "schemas" / "jades"
    schemas = {p.relative_to(folder).as_posix(): json.loads(p.read_bytes()) for p in folder.rglob("*.json")}
    etsi = schemas["19182-jsonSchema.json"]
    registry: Registry[Any] = Registry().with_resources((n, Resource(s, DRAFT7)) for n, s in schemas.items())
    claims = Claims(location="東京", commitment=Commitment.ORIGIN, role="会計課")
    data = made(asked(place, "B-LTA", serialization, claims=claims), status=lambda _: Status(lists(PKI), (office.ocsp(PKI.signer, PKI.ca),)))
    checked = 0
    for name, value in (*header_of(data).items(), *components(data)):
        if name in etsi["definitions"]:
            named = {"$ref": f"19182-jsonSchema.json#/definitions/{name}"}
            jsonschema.Draft7Validator(named, registry=registry).validate(value)
            checked += 1
    # Commitment, place, role, five components, and the reference where there is one.
    assert checked == 8 + (place == BY_HASH)
    entry = json.loads(data)
    unprotected = entry.get("signatures", [entry])[0]["header"]
    jsonschema.Draft7Validator(schemas["19182-unprotected-jsonSchema.json"], registry=registry).validate(unprotected)
    # The definition of the protected header refers to RFC 7515's schema, which ETSI does not publish: what it adds itself is checked.
    own = schemas["19182-protected-jsonSchema.json"]["definitions"]["jwsProtectedHeader"]["allOf"][2]
    wanted = {key: own[key] for key in ("required", "anyOf", "oneOf", "not")}
    jsonschema.Draft7Validator(wanted, registry=registry).validate(header_of(data))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(wanted, registry=registry).validate(header_of(data) | {"sigT": "2025-03-01T09:00:00Z"})
