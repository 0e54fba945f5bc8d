"""COSE_Sign1 as it is written: by libraries that are not ours (cwt, cbor2), by hand, and by the verifier under `strict`."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from eseal import drafting
from eseal.draft import Span
from eseal.drafting import SIGNABLE, Holder
from eseal.formats import cose
from eseal.service import sealed_name
from eseal.spec import NO_HIGHER, Claims, Format, Level, Packaging, Spec, choose, media_type
from tests import pki as office
from tests.pki import SIGNED, Party
from tests.sealing import CSV, imprint, lists, means, whole
from trust.algorithms import Algorithm, pss, verify
from trust.errors import Malformed, TooLarge, Unacceptable, Unavailable
from trust.model import Digest, Document, StampKind
from trust.ports import Status
from verifier.formats import cose as reader
from verifier.policy import load
from verifier.question import Question
from verifier.service import finding

DOCUMENT = Document.of(CSV, "reading.csv", "text/csv")
PKI = office.pki()
KINDS: dict[str, tuple[int, Party]] = {
    "p256": (-7, PKI.signer),
    "p384": (-35, replace(office.signer(PKI.ca, key="p384"), algorithm=Algorithm("ecdsa", "sha384"))),
    "p521": (-36, replace(office.signer(PKI.ca, key="p521"), algorithm=Algorithm("ecdsa", "sha512"))),
    "ed25519": (-8, office.signer(PKI.ca, key="ed25519")),
    "pss": (-37, office.signer(PKI.ca, key="rsa2048").with_pss()),
    "rsa": (-257, office.signer(PKI.ca, key="rsa2048")),
    "ml-dsa-65": (-49, office.signer(PKI.ca, key="ml-dsa-65")),
}
PACKAGINGS = pytest.mark.parametrize("packaging", ["attached", "detached"])


def asked(packaging: str = "attached", level: str = "B-B", **more: Any) -> Spec:
    return choose(CSV, format="cose", level=level, packaging=packaging, **more)


def made(spec: Spec, party: Party | None = None, document: Document = DOCUMENT, **changes: Any) -> bytes:
    return whole(document, cose.seal(document, spec, means(PKI, party, **changes)))


def opened(data: bytes) -> tuple[dict[int, Any], dict[int, Any], bytes | None, bytes, bytes]:
    """Protected header, unprotected header, payload, signature, and the protected header as it stands; read by cbor2."""
    import cbor2

    tag = cbor2.loads(data)
    protected, unprotected, payload, signature = tag.value
    assert tag.tag == 18
    return cbor2.loads(protected), unprotected, payload, signature, protected


@PACKAGINGS
@pytest.mark.parametrize("level", ["B-B", "B-T"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_signs_what_the_standard_says(packaging: str, level: str, kind: str) -> None:
    import cbor2

    label, party = KINDS[kind]
    draft = cose.seal(DOCUMENT, asked(packaging, level), means(PKI, party))
    data = whole(DOCUMENT, draft)
    header, unprotected, payload, signature, protected = opened(data)
    assert header == {
        1: label,
        3: "text/csv",
        15: {6: int(SIGNED.timestamp())},
        33: [party.certificate.der, PKI.ca.certificate.der],
        34: [-16, hashlib.sha256(party.certificate.der).digest()],
    }
    assert payload == (CSV if packaging == "attached" else None)
    public = party.certificate.public_key
    assert public is not None
    # RFC 9052 section 4.4.
    assert verify(public, party.algorithm, draft.signature, cbor2.dumps(["Signature1", protected, b"", CSV]))
    assert len(signature) == {"p256": 64, "p384": 96, "p521": 132}.get(kind, len(draft.signature))
    assert set(unprotected) == ({270} if level == "B-T" else set())
    # RFC 8949 section 4.2.1: what a deterministic encoder would write of it.
    assert cbor2.dumps(cbor2.loads(data), canonical=True) == data
    assert cbor2.dumps(header, canonical=True) == protected


@PACKAGINGS
@pytest.mark.parametrize("level", ["B-B", "B-T"])
@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa", "pss"])
def test_our_verifier_passes_each_at_its_level(packaging: str, level: str, kind: str) -> None:
    draft = cose.seal(DOCUMENT, asked(packaging, level), means(PKI, KINDS[kind][1]))
    detached = () if packaging == "attached" else (DOCUMENT,)
    question = Question(
        Document.of(whole(DOCUMENT, draft)), SIGNED.replace(hour=12), load("strict"), (PKI.root.certificate,), detached, crls=lists(PKI)
    )
    passed, found, why, _ = finding(question, draft.signature)
    assert (passed, found) == (True, f"COSE-{level[-1]}"), why
    broken = replace(question, document=Document.of(whole(DOCUMENT, draft).replace(b"reading", b"Reading").replace(b"text/csv", b"text/css")))
    assert not finding(broken, draft.signature)[0]


@pytest.mark.filterwarnings("ignore:::cwt")
@PACKAGINGS
@pytest.mark.parametrize("level", ["B-B", "B-T"])
@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519", "rsa", "pss"])
def test_cwt_verifies_it(packaging: str, level: str, kind: str) -> None:
    import cwt
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    names = {-7: "ES256", -35: "ES384", -36: "ES512", -8: "EdDSA", -257: "RS256", -37: "PS256"}
    label, party = KINDS[kind]
    public = party.certificate.public_key
    assert public is not None
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = cwt.COSEKey.from_pem(pem, kid="01", alg=names[label])
    data = made(asked(packaging, level), party)
    reader = cwt.COSE.new()
    assert reader.decode(data, [key], detached_payload=None if packaging == "attached" else CSV) == CSV
    with pytest.raises(cwt.VerifyError):
        reader.decode(data[:-1] + bytes((data[-1] ^ 1,)), [key], detached_payload=None if packaging == "attached" else CSV)


def test_the_time_stamp_is_over_the_signature_as_it_is_encoded() -> None:
    """RFC 9921 section 3.1, with the vector of section 3.1.1 for what `encoded` means."""
    import cbor2

    value = bytes.fromhex(
        "8eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36"
    )
    assert hashlib.sha256(cbor2.dumps(value)).hexdigest() == "44c2419d131d53d55584b5dd33b788c24e551c6d44b1afc8b2b85e6954763b4e"
    data = made(asked(level="B-T"))
    _, unprotected, _, signature, _ = opened(data)
    assert isinstance(unprotected[270], bytes)
    assert imprint(unprotected[270]) == Digest.of("sha256", cbor2.dumps(signature))


def test_a_document_is_only_named() -> None:
    draft = cose.seal(DOCUMENT, asked(), means(PKI))
    assert Span(0, len(CSV)) in draft.pieces
    assert not any(isinstance(p, Span) for p in cose.seal(DOCUMENT, asked("detached"), means(PKI)).pieces)


@pytest.mark.parametrize("size", [1, 23, 24, 255, 256, 65_535, 65_536])
def test_lengths_are_minimal_at_every_size(size: int) -> None:
    import cbor2

    document = Document.of(b"x" * size)
    data = made(asked(), document=document)
    assert cbor2.dumps(cbor2.loads(data), canonical=True) == data
    header, _, payload, _, protected = opened(data)
    assert payload == b"x" * size
    assert 3 not in header
    public = PKI.signer.certificate.public_key
    assert public is not None
    draft = cose.seal(document, asked(), means(PKI))
    assert verify(public, PKI.signer.algorithm, draft.signature, cbor2.dumps(["Signature1", protected, b"", payload]))


def test_a_certificate_without_issuers_stands_alone() -> None:
    """RFC 9360 section 2: one certificate is a byte string, two or more are an array."""
    alone = replace(PKI.signer, chain=())
    header, *_ = opened(made(asked(), alone))
    assert header[33] == PKI.signer.certificate.der


@PACKAGINGS
@pytest.mark.parametrize("level", ["B-B", "B-T"])
def test_a_time_stamp_before_signing_is_over_the_payload_and_under_the_signature(packaging: str, level: str) -> None:
    draft = cose.seal(DOCUMENT, asked(packaging, level, claims=Claims(content_timestamp=True)), means(PKI))
    data = whole(DOCUMENT, draft)
    header, unprotected, *_ = opened(data)
    # RFC 9921 section 3.2: label 269, protected; section 3.1: label 270, unprotected.
    assert (header[269], *unprotected.values()) == draft.stamps
    assert list(unprotected) == ([270] if level == "B-T" else [])
    assert imprint(header[269]) == Digest.of("sha256", CSV)
    detached = () if packaging == "attached" else (DOCUMENT,)
    question = Question(Document.of(data), SIGNED.replace(hour=12), load("strict"), (PKI.root.certificate,), detached, crls=lists(PKI))
    assert finding(question, draft.signature)[:2] == (True, f"COSE-{level[-1]}")
    evidence = reader.read(Document.of(data), detached)
    assert [(s.kind, s.intact) for s in evidence.stamps] == [(StampKind.CONTENT, True), (StampKind.SIGNATURE, True)][: len(draft.stamps)]
    away = office.stamper(PKI.tsu)
    with pytest.raises(Unavailable, match="something else"):
        cose.seal(DOCUMENT, asked(packaging, claims=Claims(content_timestamp=True)), means(PKI, stamp=lambda _: away(Digest.of("sha256", b"x"))))


def test_a_payload_that_nobody_could_read_is_refused() -> None:
    def opener() -> Any:
        raise AssertionError("read")

    with pytest.raises(TooLarge, match="at most 48 MiB, got 50331649 bytes"):
        cose.seal(Document("large.bin", cose.LARGEST + 1, opener), asked(), means(PKI))
    with pytest.raises(Malformed, match="only digests of this document are known"):
        cose.seal(Document("large.bin", 1, None), asked(), means(PKI))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"level": "B-LT"},
            f"cose is made at B-B and B-T{NO_HIGHER[Format.COSE]}, got B-LT",
        ),
        ({"packaging": "enveloped"}, "cose is attached or detached, got enveloped"),
        ({"claims": Claims(location="Tokyo")}, "cose has no place for a location; it has content_timestamp and mime_type"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Unacceptable) as error:
        choose(CSV, format="cose", **options)
    assert str(error.value) == message


def test_defaults() -> None:
    spec = choose(CSV, format="cose")
    assert (spec.level, spec.packaging) == (Level.B_T, Packaging.ATTACHED)
    assert media_type(spec)[0] == "application/cose"
    assert sealed_name("reading.json", spec) == "reading.json.cose"


@pytest.mark.parametrize(
    ("party", "message"),
    [
        (replace(PKI.signer, algorithm=Algorithm("ecdsa", "sha384")), "COSE algorithm -35 is for keys of 384 bits here, .* has 256"),
        (replace(KINDS["pss"][1], algorithm=replace(pss("sha256"), salt=20)), "has no identifier in COSE"),
    ],
)
def test_a_key_without_an_identifier_is_refused_before_it_signs(party: Party, message: str) -> None:
    with pytest.raises(Unacceptable, match=message):
        made(asked(), party)


def test_what_is_signed_is_told_from_its_first_bytes() -> None:
    signed: list[bytes] = []

    def sign(data: bytes) -> bytes:
        signed.append(data)
        return PKI.signer.sign(data)

    drafting.draft(DOCUMENT, asked(), Holder.of(PKI.signer), SIGNED, sign=sign, stamp=office.stamper(PKI.tsu), status=lambda _: Status())
    assert len(signed) == 1
    assert signed[0].startswith(SIGNABLE[Format.COSE].begins)
    assert SIGNABLE[Format.COSE].longest > cose.LARGEST + (1 << 20)


def away(_: object) -> bytes:
    raise Unavailable("it does not answer")


def other(_: object) -> bytes:
    return office.stamper(PKI.tsu)(Digest.of("sha256", b"x"))


@pytest.mark.parametrize("stamp", [away, other])
def test_an_authority_that_is_away_is_no_weaker_seal(stamp: Any) -> None:
    with pytest.raises(Unavailable):
        made(asked(level="B-T"), stamp=stamp)
    assert made(asked(), stamp=stamp)
