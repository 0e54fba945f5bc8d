"""CAdES at B-LT and B-LTA: what is where, read by asn1crypto, and what the verifier makes of it today and long after."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import core

from eseal.formats import archive, cades
from eseal.levels import Means
from eseal.spec import choose
from tests import pki as office
from tests.pki import SIGNED
from tests.sealing import CSV, imprint, lists, means, opened, whole
from trust.codecs import cms as reading
from trust.errors import Unavailable
from trust.model import Cert, Digest, Document
from trust.ports import Status

DOCUMENT = Document.of(CSV, "prices.csv", "text/csv")
PKI = office.pki()
OCSP_RESPONSE, ARCHIVE, INDEX = "1.3.6.1.5.5.7.16.2", "0.4.0.1733.2.4", "0.4.0.19122.1.5"


def answering(chain: Sequence[Cert]) -> Status:
    """Lists, and an answer for the signer."""
    answers = (office.ocsp(PKI.signer, PKI.ca, this_update=SIGNED, produced_at=SIGNED),) if chain[0] == PKI.signer.certificate else ()
    return Status(lists(PKI), answers, (PKI.root.certificate,))


def made(level: str, packaging: str = "detached", given: Means | None = None) -> bytes:
    return whole(DOCUMENT, cades.seal(DOCUMENT, choose(CSV, level=level, packaging=packaging), given or means(PKI, status=answering)))


def data_of(der: bytes) -> asn1_cms.SignedData:
    return asn1_cms.ContentInfo.load(der, strict=True)["content"]


@pytest.mark.parametrize("level", ["B-LT", "B-LTA"])
def test_certificates_and_status_stand_in_signed_data(level: str) -> None:
    der = made(level)
    data = data_of(der)
    assert set(opened(der).certs) == {p.certificate for p in (PKI.root, PKI.ca, PKI.signer, PKI.tsu)}
    kinds = [choice.name for choice in data["crls"]]
    assert sorted(kinds) == ["crl"] * len(lists(PKI)) + ["other"]
    [other] = [choice.chosen for choice in data["crls"] if choice.name == "other"]
    assert other["other_rev_info_format"].dotted == OCSP_RESPONSE
    # RFC 5652 section 5.1: another format than X.509's makes it version 5.
    assert data["version"].native == "v5"


def test_without_an_answer_the_version_is_the_old_one() -> None:
    assert data_of(made("B-LT", given=means(PKI)))["version"].native == "v1"


@pytest.mark.parametrize("packaging", ["attached", "detached"])
def test_the_archive_time_stamp_is_over_what_the_standard_says(packaging: str) -> None:
    der = made("B-LTA", packaging)
    data = data_of(der)
    [info] = data["signer_infos"]
    by_kind = {a["type"].dotted: a for a in info["unsigned_attrs"]}
    [token] = by_kind[ARCHIVE]["values"]
    [stamper] = asn1_cms.ContentInfo.load(token.dump())["content"]["signer_infos"]
    [attribute] = [a for a in stamper["unsigned_attrs"] if a["type"].dotted == INDEX]
    [index] = attribute["values"]
    # Clause 5.5.3: type of the content, its digest, the signer's fields, the index.
    fields = b"".join(info[name].dump() for name in ("version", "sid", "digest_algorithm", "signed_attrs", "signature_algorithm", "signature"))
    kind = data["encap_content_info"]["content_type"].dump()
    assert imprint(token.dump()) == Digest.of("sha256", kind + Digest.of("sha256", CSV).value + fields + index.dump())
    # Clause 5.5.2: every certificate, every revocation value, and type and value of every earlier unsigned attribute.
    _, *found = core.SequenceOf.load(index.dump(), spec=core.Any)
    stamp = by_kind["1.2.840.113549.1.9.16.2.14"]
    expected = (
        [c.dump() for c in data["certificates"]],
        [c.dump() for c in data["crls"]],
        [stamp["type"].dump() + stamp["values"][0].dump()],
    )
    for listed, items in zip(found, expected, strict=True):
        assert [o.native for o in core.SequenceOf.load(listed.dump(), spec=core.OctetString)] == [Digest.of("sha256", i).value for i in items]


@pytest.mark.parametrize("kind", ["p384", "rsa2048", "ed25519"])
def test_the_digest_is_the_keys_throughout(kind: str) -> None:
    from verifier.formats import cades as reader

    party = office.signer(PKI.ca, key=kind)
    evidence = reader.read(Document.of(made("B-LTA", given=means(PKI, party))), (DOCUMENT,))
    assert evidence.signatures[0].level == "CAdES-BASELINE-LTA"
    assert [s.intact for s in evidence.stamps] == [True, True]
    assert len({s.token.imprint.algorithm for s in evidence.stamps}) == 1


@pytest.mark.parametrize("packaging", ["attached", "detached"])
@pytest.mark.parametrize(("level", "at"), [("B-LT", SIGNED + timedelta(minutes=5)), ("B-LTA", SIGNED + timedelta(minutes=5)), ("B-LTA", None)])
def test_the_verifier_passes_it_then_and_far_later(level: str, packaging: str, at: datetime | None) -> None:
    from verifier.service import Verifier

    detached = (DOCUMENT,) if packaging == "detached" else ()
    later = at or PKI.signer.certificate.not_after + timedelta(days=200)
    verdict = Verifier(lambda: later, anchors=(PKI.root.certificate,)).verify(Document.of(made(level, packaging)), detached)
    assert verdict.conclusion == "passed", verdict


def test_another_units_chain_goes_into_the_archive_token() -> None:
    second = office.unit(PKI.ca, "Example TSU 2")
    units = iter((PKI.tsu, second))
    der = made("B-LTA", given=means(PKI, status=answering, stamp=lambda digest: office.token(next(units), digest)))
    assert second.certificate not in opened(der).certs
    [info] = data_of(der)["signer_infos"]
    [token] = [a["values"][0] for a in info["unsigned_attrs"] if a["type"].dotted == ARCHIVE]
    read = reading.token(token.dump())
    assert read.signature.signer == second.certificate
    assert set(read.crls) == set(lists(PKI))
    assert PKI.root.certificate in read.certs


def test_completing_a_token_leaves_what_it_signs() -> None:
    token = office.stamper(PKI.tsu)(Digest.of("sha256", CSV))
    twice = archive.completed(archive.completed(token, Status(lists(PKI))), Status(lists(PKI)), archive.Attribute(INDEX, b"\x30\x00"))
    before, after = reading.token(token), reading.token(twice)
    assert after.signature.signed == before.signature.signed
    assert after.crls == tuple(sorted(lists(PKI), key=lambda c: c.der))
    assert archive.completed(token, Status()) == token


def test_no_status_no_seal() -> None:
    def away(_: Sequence[Cert]) -> Status:
        raise Unavailable("does not answer")

    with pytest.raises(Unavailable, match="does not answer"):
        made("B-LT", given=means(PKI, status=away))
    assert made("B-T", given=means(PKI, status=away))


def test_a_change_of_what_is_held_breaks_the_archive_time_stamp() -> None:
    """The index names each list: one that was swapped is no longer proved by the stamp."""
    from verifier.formats import cades as reader

    der = made("B-LTA")
    sound = reader.read(Document.of(der), (DOCUMENT,))
    held = lists(PKI)[0].der
    forged = der.replace(held, held[:-1] + bytes((held[-1] ^ 1,)))
    broken = reader.read(Document.of(forged), (DOCUMENT,))
    assert sound.stamps[-1].defects == () and broken.stamps[-1].defects != ()
    assert replace(broken.stamps[-1], covers=frozenset()) != sound.stamps[-1]
