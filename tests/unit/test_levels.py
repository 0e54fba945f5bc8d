"""What a level needs, and chains from certificates that lie about in any order."""

import pytest

from eseal.levels import NEEDS, Needs, chain_of, digest_for, joined, material, token_chain
from eseal.spec import Level
from tests import pki as office
from tests.pki import SIGNED
from trust.algorithms import Algorithm, pss
from trust.codecs import cms
from trust.errors import Unacceptable, Unavailable
from trust.model import Cert, Digest
from trust.ports import Status

PKI = office.pki()
ROOT, CA, SIGNER, TSU = (p.certificate for p in (PKI.root, PKI.ca, PKI.signer, PKI.tsu))


def test_each_level_needs_what_the_one_below_needs_and_more() -> None:
    for lower, higher in zip(Level, tuple(Level)[1:], strict=False):
        less, more = NEEDS[lower], NEEDS[higher]
        assert less != more
        assert all(getattr(more, name) >= getattr(less, name) for name in Needs.__dataclass_fields__)


@pytest.mark.parametrize("pool", [(ROOT, CA), (CA, ROOT, TSU), (TSU, CA, SIGNER, ROOT)])
def test_chains_are_found_in_any_order(pool: tuple[Cert, ...]) -> None:
    assert chain_of(SIGNER, pool) == (SIGNER, CA, ROOT)


def test_chains_end_where_certificates_do() -> None:
    assert chain_of(SIGNER, ()) == (SIGNER,)
    assert chain_of(SIGNER, (ROOT,)) == (SIGNER,)
    assert chain_of(ROOT, (CA, ROOT)) == (ROOT,)


def test_a_name_alone_makes_no_issuer() -> None:
    impostor = office.authority(PKI.root).certificate
    assert impostor.subject == CA.subject
    assert chain_of(SIGNER, (impostor, ROOT)) == (SIGNER,)
    assert chain_of(SIGNER, (impostor, CA, ROOT)) == (SIGNER, CA, ROOT)


def test_certificates_that_certify_each_other_end() -> None:
    one, two = office.root("One"), office.root("Two")
    first = office.certify("One", two, private=one.private, ca=True, key_usage=("key_cert_sign",)).certificate
    second = office.certify("Two", one, private=two.private, ca=True, key_usage=("key_cert_sign",)).certificate
    assert chain_of(first, (first, second)) == (first, second)


def test_the_units_chain_is_completed_from_what_is_known() -> None:
    bare = cms.token(office.token(PKI.tsu, Digest.of("sha256", b""), certificates=[TSU]))
    assert token_chain(bare) == (TSU,)
    assert token_chain(bare, (CA, ROOT)) == (TSU, CA, ROOT)
    assert token_chain(cms.token(office.token(PKI.tsu, Digest.of("sha256", b""), certificates=[CA]))) == ()


def test_material_is_each_object_once() -> None:
    lists = PKI.crls(SIGNED)
    found = material([(SIGNER, CA, ROOT), (TSU, CA, ROOT), (SIGNER, CA, ROOT)], lambda _: Status(crls=lists, certs=(PKI.responder.certificate,)))
    assert found.crls == lists
    assert found.certs == (SIGNER, CA, ROOT, PKI.responder.certificate, TSU)
    assert joined(found, found) == found


def test_missing_status_is_not_passed_over() -> None:
    def away(_: object) -> Status:
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        material([(SIGNER, CA)], away)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (Algorithm("ecdsa", "sha384"), "sha384"),
        (Algorithm("rsa-pkcs1", "sha256"), "sha256"),
        (pss("sha512"), "sha512"),
    ],
)
def test_the_digest_belongs_to_the_key(algorithm: Algorithm, expected: str) -> None:
    assert digest_for(algorithm, None) == digest_for(algorithm, expected) == expected
    with pytest.raises(Unacceptable, match=f"signs with {expected}, got sha224"):
        digest_for(algorithm, "sha224")


@pytest.mark.parametrize("scheme", ["ed25519", "ed448", "ml-dsa-65"])
def test_where_the_scheme_hashes_for_itself_the_content_has_the_digest_that_was_asked_for(scheme: str) -> None:
    assert digest_for(Algorithm(scheme), None) == "sha512"
    assert digest_for(Algorithm(scheme), "sha3_512") == "sha3_512"


def test_a_scheme_without_a_digest_of_its_own_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Unacceptable, match="slh-dsa keys cannot seal"):
        digest_for(Algorithm("slh-dsa"), None)
