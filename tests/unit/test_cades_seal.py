"""CAdES as it is written, read by a library that is not ours, and by the verifier's reader."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eseal.draft import Span
from eseal.formats import cades, cms
from eseal.spec import Claims, Commitment, Level, Packaging, choose
from tests import pki as office
from tests.pki import SIGNED, Party
from tests.sealing import CSV, imprint, means, opened, whole
from trust.algorithms import Algorithm
from trust.errors import Malformed, Misconfigured, Unacceptable, Unavailable
from trust.model import Digest, Document

DOCUMENT = Document.of(CSV, "prices.csv", "text/csv")
PKI = office.pki()
KINDS: dict[str, Party] = {
    "p256": PKI.signer,
    "p384": replace(office.signer(PKI.ca, key="p384"), algorithm=Algorithm("ecdsa", "sha384")),
    "p521": replace(office.signer(PKI.ca, key="p521"), algorithm=Algorithm("ecdsa", "sha512")),
    "rsa": office.signer(PKI.ca, key="rsa2048"),
    "pss": office.signer(PKI.ca, key="rsa2048").with_pss(),
    "pss-sha512": office.signer(PKI.ca, key="rsa2048").with_pss("sha512"),
    "ed25519": office.signer(PKI.ca, key="ed25519"),
    "ml-dsa-65": office.signer(PKI.ca, key="ml-dsa-65"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packaging", [Packaging.ATTACHED, Packaging.DETACHED])
def test_every_kind_of_key_signs_what_the_standard_says(kind: str, packaging: Packaging) -> None:
    party = KINDS[kind]
    draft = cades.seal(DOCUMENT, choose(CSV, level="B-B", packaging=packaging), means(PKI, party))
    found = opened(whole(DOCUMENT, draft))
    found.check(party, CSV)
    assert found.content == (CSV if packaging is Packaging.ATTACHED else None)
    assert draft.signature == found.info["signature"].native
    assert found.unsigned == {}
    assert found.signed["content_type"] == "data"
    assert found.signed["signing_time"] == SIGNED
    # EN 319 122-1 clause 5.2.2.3: one signing-certificate-v2 whose first reference is the signer's.
    [reference] = found.signed["signing_certificate_v2"]["certs"]
    algorithm = reference["hash_algorithm"]["algorithm"]
    assert reference["cert_hash"] == Digest.of(algorithm, party.certificate.der).value
    protection = found.signed["cms_algorithm_protection"]
    assert protection["digest_algorithm"]["algorithm"] == found.info["digest_algorithm"]["algorithm"].native
    assert protection["signature_algorithm"] == found.info["signature_algorithm"].native
    assert set(found.certs) == {party.certificate, PKI.ca.certificate}


def test_the_reader_of_the_verifier_agrees() -> None:
    from verifier.formats import cades as reader

    for packaging in ("attached", "detached"):
        spec = choose(CSV, level="B-T", packaging=packaging, claims=Claims(location="東京", commitment=Commitment.APPROVAL))
        made = whole(DOCUMENT, cades.seal(DOCUMENT, spec, means(PKI)))
        evidence = reader.read(Document.of(made), () if packaging == "attached" else (DOCUMENT,))
        [signature] = evidence.signatures
        assert signature.level == "CAdES-BASELINE-T"
        assert signature.intact_references
        assert signature.defects == ()
        assert signature.signer == PKI.signer.certificate
        assert signature.signer_reference.digest_matches
        assert (signature.claims.place, signature.claims.commitments) == ("東京", ("1.2.840.113549.1.9.16.6.5",))
        assert signature.claims.content_type == "text/csv"
        [stamp] = evidence.stamps
        assert stamp.intact


def test_the_time_stamp_is_over_the_signature_value() -> None:
    draft = cades.seal(DOCUMENT, choose(CSV, level="B-T"), means(PKI))
    found = opened(whole(DOCUMENT, draft))
    [token] = draft.stamps
    assert "signature_time_stamp_token" in found.unsigned
    assert token in whole(DOCUMENT, draft)
    assert imprint(token) == Digest.of("sha256", draft.signature)


def test_a_document_of_any_size_is_only_named() -> None:
    size = 3_000_000

    class Endless(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Endless.most = max(Endless.most, len(data))
            return data

    document = Document("big.bin", size, lambda: Endless(bytes(size)))
    draft = cades.seal(document, choose(b"", packaging="attached", level="B-B"), means(PKI))
    head, span, tail = draft.pieces
    assert span == Span(0, size)
    assert isinstance(head, bytes) and isinstance(tail, bytes)
    assert Endless.most <= Document.CHUNK
    opened(whole(document, draft)).check(PKI.signer, bytes(size))


@pytest.mark.parametrize("size", [1, 100, 127, 128, 255, 256, 65_535, 65_536, 70_000])
def test_lengths_are_minimal_at_every_size(size: int) -> None:
    from trust.codecs import asn1

    data = bytes(size)
    made = whole(Document.of(data), cades.seal(Document.of(data), choose(data, packaging="attached"), means(PKI)))
    asn1.parse(made).children  # noqa: B018  # DER, or Malformed
    assert opened(made).content == data


def test_a_token_over_something_else_is_not_used() -> None:
    other = office.token(PKI.tsu, Digest.of("sha256", b"something else"))
    with pytest.raises(Unavailable, match="over something else"):
        cades.seal(DOCUMENT, choose(CSV), means(PKI, stamp=lambda _: other))
    with pytest.raises(Unavailable, match="not a token"):
        cades.seal(DOCUMENT, choose(CSV), means(PKI, stamp=lambda _: b"\x30\x00"))
    with pytest.raises(Unavailable, match="does not carry its certificate"):
        cades.seal(DOCUMENT, choose(CSV), means(PKI, stamp=office.stamper(PKI.tsu, certificates=[PKI.ca.certificate])))


def test_no_stamp_is_asked_for_at_b_b() -> None:
    def never(_: Digest) -> bytes:
        raise AssertionError("asked")

    assert cades.seal(DOCUMENT, choose(CSV, level=Level.B_B), means(PKI, stamp=never)).stamps == ()


def test_the_digest_is_the_keys() -> None:
    with pytest.raises(Unacceptable, match="signs with sha256, got sha512"):
        cades.seal(DOCUMENT, choose(CSV, digest="sha512"), means(PKI))
    assert cades.seal(DOCUMENT, choose(CSV, digest="sha384", level="B-B"), means(PKI, KINDS["p384"])).signature


def test_only_a_document_that_can_be_read_is_sealed() -> None:
    known = Document("x", None, None, (Digest.of("sha256", b"x"),))
    with pytest.raises(Malformed, match="only digests"):
        cades.seal(known, choose(CSV, packaging="attached"), means(PKI))
    with pytest.raises(Malformed, match="only digests"):
        cades.seal(Document("x", None, None, (Digest.of("sha384", b"x"),)), choose(CSV), means(PKI))


@pytest.mark.parametrize(
    ("claimed", "now", "error", "message"),
    [
        (SIGNED + timedelta(seconds=1), SIGNED, Unacceptable, "future"),
        (office.ISSUED - timedelta(seconds=1), SIGNED, Unacceptable, "before the seal certificate begins"),
        (None, office.ENDED + timedelta(days=1), Misconfigured, "renew it"),
        (None, office.ISSUED - timedelta(days=1), Misconfigured, "holds from"),
    ],
)
def test_a_seal_states_no_time_that_cannot_be_true(claimed: datetime | None, now: datetime, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cades.seal(DOCUMENT, choose(CSV, claims=Claims(signing_time=claimed)), means(PKI, now=now))


def test_a_claimed_time_is_stated() -> None:
    claimed = SIGNED - timedelta(days=2)
    draft = cades.seal(DOCUMENT, choose(CSV, level="B-B", claims=Claims(signing_time=claimed)), means(PKI))
    assert opened(whole(DOCUMENT, draft)).signed["signing_time"] == claimed


def test_times_after_2049_are_generalized() -> None:
    assert cms.time(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)) == b"\x17\x0d491231235959Z"
    assert cms.time(datetime(2050, 1, 1, tzinfo=UTC)) == b"\x18\x0f20500101000000Z"


@pytest.mark.parametrize("kind", KINDS)
def test_no_signature_is_longer_than_foreseen(kind: str) -> None:
    party = KINDS[kind]
    longest = cms.longest_signature(party.algorithm, party.certificate.public_key)
    assert max(len(party.sign(bytes([n]))) for n in range(20)) <= longest <= len(party.sign(b"")) + 12
