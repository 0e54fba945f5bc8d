"""What is missing, as values: an issuer, a list, an answer, and where its maker says that it is."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cryptography import x509

from tests import pki
from tests.stories import FORMATS, STORIES, Story, come_true
from trust.model import Cert, Evidence
from verifier.policy import load
from verifier.process import Context
from verifier.want import MAX_WANTS, Want, What, wants

BARE = Story("bare", "", None, stamped=(), archived=(), status=())


def wanted(story: Story, policy: str = "strict", **changes: Any) -> list[Want]:
    world = come_true(story)
    evidence = replace(FORMATS["plain"](world), **changes)
    return list(wants(evidence, Context(story.at, world.anchors, load(policy))))


def kinds(found: Iterable[Want]) -> list[tuple[str, str]]:
    return [(w.what.value, w.about.name) for w in found]


def test_nothing_is_missing_from_a_complete_file() -> None:
    assert wanted(next(s for s in STORIES if s.name == "sound")) == []


def test_status_of_each_certificate_below_the_anchor() -> None:
    found = wanted(BARE)
    assert kinds(found) == [("ocsp", "Example Seal"), ("crl", "Example Seal"), ("ocsp", "Example Issuing CA"), ("crl", "Example Issuing CA")]
    assert found[0].urls == (pki.OCSP_URL,)
    assert found[0].issuer is not None
    assert found[0].issuer.name == "Example Issuing CA"
    assert found[1].urls == (pki.CRL_URL,)


def test_status_that_cannot_be_used_is_missing_too() -> None:
    assert ("crl", "Example Seal") in kinds(wanted(replace(BARE, status=(pki.ISSUED - pki.DAY,))))


def test_status_of_the_unit() -> None:
    found = wanted(replace(BARE, stamped=(pki.SIGNED,), status=(pki.CHECKED,), list_unit=False))
    assert kinds(found) == [("ocsp", "Example TSU 1"), ("crl", "Example TSU 1")]


def test_the_issuer_where_the_chain_ends_too_soon() -> None:
    found = wanted(BARE, certs=frozenset())
    assert kinds(found) == [("issuer", "Example Seal")]
    assert found[0].urls == (pki.ISSUER_URL,)


def test_the_issuer_of_the_last_certificate_that_is_there() -> None:
    world = come_true(BARE)
    evidence = replace(FORMATS["plain"](world), certs=frozenset({world.ca.certificate}))
    found = wants(evidence, Context(BARE.at, frozenset({pki.root("Other").certificate}), load("strict")))
    assert kinds(found) == [("issuer", "Example Issuing CA")]


def test_nobody_can_bring_the_issuer_of_a_root() -> None:
    world = come_true(BARE)
    evidence = FORMATS["plain"](world)
    assert wants(evidence, Context(BARE.at, frozenset(), load("strict"))) == ()


def test_only_addresses_of_the_web() -> None:
    urls = ["ldap://ldap.example.test/cn=x", "file:///etc/passwd", "http://pki.example.test/a.crl", "http://pki.example.test/\u0007.crl"]
    points = x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier(u)], None, None, None) for u in urls])
    found = wanted(replace(BARE, signer={"status_urls": False, "extensions": ((points, False),)}))
    assert found[0].what is What.CRL
    assert found[0].urls == ("http://pki.example.test/a.crl",)


def test_without_an_address_there_is_nothing_to_want() -> None:
    found = wanted(replace(BARE, signer={"status_urls": False}, authority={"status_urls": False}))
    assert found == []


def test_wants_are_capped_and_without_duplicates() -> None:
    world = come_true(BARE)
    one = FORMATS["plain"](world).signatures[0]
    signers: list[Cert] = [pki.signer(world.ca, f"Signer {n}").certificate for n in range(60)]
    many = Evidence("CMS", tuple(replace(one, signer=c) for c in [*signers, *signers]), certs=world.certs)
    found = wants(many, Context(BARE.at, world.anchors, load("strict")))
    assert len(found) == MAX_WANTS
    assert len(set(found)) == MAX_WANTS
