"""verifier.formats.tst: tokens and responses on their own."""

from typing import Any

import pytest

from tests.envelopes import envelope, indefinite, integer, seq, signer_info
from tests.pki import authority, root, signer, token, unit
from trust.codecs import tsp
from trust.errors import Malformed
from trust.model import Digest, Document, Scope, StampKind, identify
from verifier.formats import tst
from verifier.read import read

TSU = unit(authority(root()))
CONTENT = b"a dataset"
TOKEN = token(TSU, Digest.of("sha512", CONTENT))
RESPONSE = seq(seq(integer(0)), TOKEN)


@pytest.mark.parametrize("data", [TOKEN, RESPONSE, seq(seq(integer(1)), TOKEN)], ids=["token", "granted", "granted with modifications"])
def test_a_token_or_a_response_beside_its_document(data: bytes) -> None:
    found = read(Document.of(data), [Document.of(b"unrelated"), Document.of(CONTENT, "data.csv")])
    (stamp,) = found.stamps
    assert (found.kind, found.signatures, stamp.kind) == ("TST", (), StampKind.STANDALONE)
    assert (stamp.found, stamp.intact) == (True, True)
    assert stamp.covers == {identify(CONTENT)}
    assert stamp.references[0].name == "data.csv"
    assert stamp.token.signature.signer == TSU.certificate


def test_another_document_is_found_and_does_not_match() -> None:
    (stamp,) = read(Document.of(TOKEN), [Document.of(b"another")]).stamps
    assert (stamp.found, stamp.intact, stamp.covers) == (True, False, frozenset())


def test_without_a_document_nothing_is_covered() -> None:
    (stamp,) = read(Document.of(TOKEN)).stamps
    assert (stamp.found, stamp.intact, stamp.covers) == (False, False, frozenset())


def test_a_document_known_by_digest() -> None:
    known = Document("data.csv", None, None, (Digest.of("sha512", CONTENT), Digest.of("sha256", CONTENT)))
    (stamp,) = read(Document.of(TOKEN), [known]).stamps
    assert (stamp.intact, stamp.references[0].scope, stamp.covers) == (True, Scope.DIGEST, {identify(CONTENT)})


@pytest.mark.parametrize("status", [2, 3, 4, 5])
def test_a_refusal_holds_no_token(status: int) -> None:
    refusal = seq(seq(integer(status)))
    assert tst.claims(refusal)
    with pytest.raises(Malformed, match="refusal"):
        read(Document.of(refusal))


def test_granted_without_a_token_is_malformed() -> None:
    with pytest.raises(Malformed, match="no token"):
        tst.token_of(seq(seq(integer(0))))


def test_a_token_signed_without_its_certificate_takes_a_given_one() -> None:
    bare = token(TSU, Digest.of("sha256", CONTENT), certificates=())
    assert read(Document.of(bare)).stamps[0].token.signature.signer is None
    assert read(Document.of(bare), certs=[TSU.certificate]).stamps[0].token.signature.signer == TSU.certificate


def test_a_time_stamp_that_is_signed_itself_is_no_time_stamp() -> None:
    """Nor is a record, or whatever else has one near its beginning: it is content."""
    party = signer(authority(root()))
    for content in (TOKEN, seq(seq(integer(0)), TOKEN), b"x" * 40 + TOKEN):
        signed = envelope([signer_info(party, content)], content=content, certs=(party.certificate,))
        assert not tst.claims(signed[:4096])
        assert [s.intact_references for s in read(Document.of(signed)).signatures] == [True]
    assert tst.claims(TOKEN) and tst.claims(seq(seq(integer(0)), TOKEN)) and tst.claims(indefinite(TOKEN))


def test_other_bytes_are_not_claimed() -> None:
    for data in (b"", b"%PDF-1.7", b"\x30\x03\x02\x01\x01", b"\x30\x80", b"PK\x03\x04"):
        assert not tst.claims(data)


@pytest.mark.parametrize("more", [{}, {"nonce": 1 << 63}, {"policy": "1.2.3", "cert_req": False}])
def test_a_request_is_called_by_its_name(more: dict[str, Any]) -> None:
    """It is shaped like the beginning of an evidence record, and must not be called a signature that failed."""
    request = tsp.encode_request(Digest.of("sha256", CONTENT), **more)
    with pytest.raises(Malformed, match="is a time-stamp request"):
        read(Document.of(request))
    assert not tst.is_request(request + b"\0")
    assert not tst.is_request(TOKEN)
