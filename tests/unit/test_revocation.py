"""What lists and OCSP answers say of a certificate, and of which of them nobody may believe a word."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests import pki
from tests.pki import CHECKED, DAY, ENDED, ISSUED, Party, Pki
from trust.codecs import asn1
from trust.model import Cert, Crl, Ocsp
from verifier.chains import Finder, Path, facts
from verifier.revocation import Answer, Authority, Sources, answers, crl_facts, has_information, ocsp_facts, unusable
from verifier.revocation.crl import ALL_REASONS
from verifier.revocation.status import MAX_SOURCES

WHEN = CHECKED - DAY


def path_of(p: Pki, leaf: Party) -> Path:
    return Finder(p.certs, [p.root.certificate]).paths(leaf.certificate)[0]


def told(p: Pki, *sources: Crl | Ocsp, leaf: Party | None = None, index: int = 0, certs: tuple[Cert, ...] = ()) -> tuple[Answer, ...]:
    finder = Finder(p.certs | frozenset(certs), [p.root.certificate])
    return answers(finder.paths((leaf or p.signer).certificate)[0], index, Sources(sources), finder)


def one(p: Pki, *sources: Crl | Ocsp, **more: Any) -> Answer:
    found = told(p, *sources, **more)
    assert len(found) == 1
    return found[0]


# Lists


def test_a_list_that_does_not_name_the_certificate() -> None:
    p = pki.pki()
    answer = one(p, pki.crl(p.ca))
    assert not answer.revoked
    assert answer.authority is Authority.ISSUER
    assert (answer.this_update, answer.produced, answer.next_update) == (CHECKED, CHECKED, CHECKED + 30 * DAY)
    assert answer.told() == "good, CRL of 2025-03-02"


def test_a_list_that_names_the_certificate() -> None:
    p = pki.pki()
    answer = one(p, pki.crl(p.ca, {p.signer.serial: (WHEN, x509.ReasonFlags.key_compromise), 5: CHECKED}))
    assert answer.revoked_at == WHEN
    assert answer.reason == "key_compromise"
    assert answer.told() == "revoked 2025-03-01 (key_compromise), CRL of 2025-03-02"
    held = one(p, pki.crl(p.ca, {p.signer.serial: (WHEN, x509.ReasonFlags.certificate_hold)}))
    assert held.on_hold


def test_of_two_entries_the_earlier_counts() -> None:
    p = pki.pki()
    listed = pki.crl(p.ca, {p.signer.serial: WHEN})
    entries = crl_facts(listed).entries
    later = pki.crl(p.ca, {p.signer.serial: WHEN + DAY})
    both = replace_entries(later, crl_facts(later).entries + entries, p.ca)
    assert one(p, both).revoked_at == WHEN


def replace_entries(crl: Crl, entries: bytes, by: Party) -> Crl:
    """The same list with other entries, signed again."""
    from asn1crypto import crl as asn1_crl

    made = asn1_crl.CertificateList.load(crl.der)
    tbs = made["tbs_cert_list"]
    tbs["revoked_certificates"] = asn1_crl.RevokedCertificates.load(asn1.tlv(asn1.SEQUENCE, entries))
    body = tbs.dump(force=True)
    return Crl(asn1.tlv(asn1.SEQUENCE, body + asn1.parse(crl.der).children[1].raw + asn1.tlv(asn1.BIT_STRING, b"\0" + by.sign(body))))


def test_a_serial_inside_of_other_bytes_is_no_entry() -> None:
    """The quick search by bytes only says where to look."""
    p = pki.pki(serial=0x0201)
    other = int.from_bytes(b"\x01\x02\x02\x02\x01\x03", "big")
    assert not one(p, pki.crl(p.ca, {other: WHEN})).revoked
    assert one(p, pki.crl(p.ca, {other: WHEN, 0x0201: WHEN})).revoked


AUTHORITIES_ONLY = (x509.IssuingDistributionPoint(None, None, False, True, None, False, False), True)
ATTRIBUTES_ONLY = (x509.IssuingDistributionPoint(None, None, False, False, None, False, True), True)


@pytest.mark.parametrize(
    "defects",
    [
        {"signed_by": pki.private_key("p256")},
        {"issuer_name": pki.name_of("Somebody")},
        {"extensions": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),)},
        {"extensions": (AUTHORITIES_ONLY,)},
        {"extensions": (ATTRIBUTES_ONLY,)},
        {"extensions": ((x509.DeltaCRLIndicator(1), True),)},
    ],
    ids=["another's signature", "another's name", "unknown critical extension", "about authorities only", "about attributes only", "a delta alone"],
)
def test_lists_that_say_nothing_of_the_certificate(defects: dict[str, Any]) -> None:
    p = pki.pki()
    assert told(p, pki.crl(p.ca, **defects)) == ()


def test_a_list_of_users_is_about_users() -> None:
    p = pki.pki()
    users = ((x509.IssuingDistributionPoint(None, None, True, False, None, False, False), True),)
    assert not one(p, pki.crl(p.ca, extensions=users)).revoked
    assert told(p, pki.crl(p.root, extensions=users), index=1) == ()


def test_a_partition_is_about_those_who_name_it() -> None:
    p = pki.pki()

    def partition(url: str) -> Crl:
        name = [x509.UniformResourceIdentifier(url)]
        return pki.crl(p.ca, extensions=((x509.IssuingDistributionPoint(name, None, False, False, None, False, False), True),))

    assert len(told(p, partition(pki.CRL_URL))) == 1
    assert told(p, partition("http://pki.example.test/other.crl")) == ()
    nameless = pki.signer(p.ca, status_urls=False)
    assert told(p, partition(pki.CRL_URL), leaf=nameless) == ()


def reasons(*names: str) -> tuple[x509.ExtensionType, bool]:
    flags = frozenset(x509.ReasonFlags[n] for n in names)
    return x509.IssuingDistributionPoint(None, None, False, False, flags, False, False), True


FIRST = ("key_compromise", "ca_compromise", "affiliation_changed")
REST = ("superseded", "cessation_of_operation", "certificate_hold", "privilege_withdrawn", "aa_compromise")


def test_lists_of_some_reasons_say_good_only_together() -> None:
    p = pki.pki()
    some, rest = pki.crl(p.ca, extensions=[reasons(*FIRST)]), pki.crl(p.ca, extensions=[reasons(*REST)], this_update=CHECKED - DAY)
    assert {*FIRST, *REST} == ALL_REASONS
    assert told(p, some) == ()
    together = one(p, some, rest)
    assert not together.revoked
    assert together.this_update == CHECKED - DAY
    assert together.others == (some.id,)


def test_a_list_of_some_reasons_says_revoked_alone() -> None:
    p = pki.pki()
    assert one(p, pki.crl(p.ca, {p.signer.serial: WHEN}, extensions=[reasons(*FIRST)])).revoked


def delta(p: Pki, base: int, number: int, revoked: pki.Revoked | None = None, at: datetime = CHECKED + DAY) -> Crl:
    return pki.crl(p.ca, revoked, number=number, this_update=at, extensions=((x509.DeltaCRLIndicator(base), True),))


def test_a_delta_brings_its_base_up_to_date() -> None:
    p = pki.pki()
    base = pki.crl(p.ca, number=5)
    newest = told(p, base, delta(p, 5, 6, {p.signer.serial: WHEN}))[0]
    assert newest.revoked
    assert newest.this_update == CHECKED + DAY
    assert newest.others == (base.id,)
    assert not told(p, base, delta(p, 5, 6))[0].revoked


@pytest.mark.parametrize(("base", "number"), [(6, 7), (3, 5), (3, 4)])
def test_a_delta_that_does_not_fit_its_base(base: int, number: int) -> None:
    """RFC 5280 section 5.2.4: the base is at least the one named, and older than the delta."""
    p = pki.pki()
    found = told(p, pki.crl(p.ca, number=5), delta(p, base, number, {p.signer.serial: WHEN}))
    assert [a.revoked for a in found] == [False]


def test_a_delta_takes_an_entry_back() -> None:
    p = pki.pki()
    base = pki.crl(p.ca, {p.signer.serial: (WHEN, x509.ReasonFlags.certificate_hold)}, number=5)
    found = told(p, base, delta(p, 5, 6, {p.signer.serial: (WHEN, x509.ReasonFlags.remove_from_crl)}))
    assert [a.revoked for a in found] == [False, True]


def test_an_authority_that_may_not_sign_lists() -> None:
    top = pki.root()
    ca = pki.authority(top, key_usage=("key_cert_sign",))
    p = Pki(top, ca, pki.signer(ca), pki.unit(ca), pki.responder(ca))
    assert told(p, pki.crl(ca)) == ()


def test_a_list_of_the_authority_under_its_next_key() -> None:
    """RFC 5280 section 6.3.3 (f): another key of the same name, under the same anchor."""
    p = pki.pki()
    rolled = pki.authority(p.root)
    answer = one(p, pki.crl(rolled), certs=(rolled.certificate,))
    assert answer.authority is Authority.DELEGATE
    stranger = pki.authority(pki.root("Other Root"), "Example Issuing CA")
    assert told(p, pki.crl(stranger), certs=(stranger.certificate, *stranger.chain)) == ()


def indirect(p: Pki, by: Party, for_: x509.Name) -> Crl:
    point = (x509.IssuingDistributionPoint(None, None, False, False, None, True, False), True)
    entry = ((x509.CertificateIssuer([x509.DirectoryName(for_)]), True),)
    return pki.crl(by, {p.signer.serial: WHEN}, extensions=[point], entry_extensions=entry)


def test_an_indirect_list_is_believed_where_the_certificate_names_its_issuer() -> None:
    top = pki.root()
    ca = pki.authority(top)
    lister = pki.authority(top, "Example List Issuer")
    point = x509.CRLDistributionPoints([x509.DistributionPoint(None, None, None, [x509.DirectoryName(lister.name)])])
    signer = pki.signer(ca, status_urls=False, extensions=((point, False),))
    p = Pki(top, ca, signer, pki.unit(ca), pki.responder(ca))
    answer = one(p, indirect(p, lister, ca.name), certs=(lister.certificate,))
    assert answer.revoked
    assert answer.authority is Authority.DELEGATE
    assert not one(p, indirect(p, lister, pki.name_of("Another CA")), certs=(lister.certificate,)).revoked
    plain = pki.crl(lister, {signer.serial: WHEN})
    assert told(p, plain, certs=(lister.certificate,)) == ()


# OCSP


def test_an_answer_of_the_issuer_by_name_and_by_key() -> None:
    p = pki.pki()
    for by_key in (True, False):
        answer = one(p, pki.ocsp(p.signer, p.ca, by_key=by_key))
        assert (answer.authority, answer.revoked) == (Authority.ISSUER, False)


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
def test_certificates_are_identified_by_any_digest(digest: str) -> None:
    p = pki.pki()
    assert one(p, pki.ocsp(p.signer, p.ca, cert_id_digest=digest)).authority is Authority.ISSUER


def test_an_answer_about_another_certificate() -> None:
    p = pki.pki()
    other = pki.authority(p.root, "Other CA")
    twin = pki.signer(other, serial=p.signer.serial)
    assert told(p, pki.ocsp(twin, other)) == ()
    assert told(p, pki.ocsp(p.tsu, p.ca)) == ()


def test_a_delegate() -> None:
    p = pki.pki()
    for by_key in (True, False):
        answer = one(p, pki.ocsp(p.signer, p.ca, p.responder, by_key=by_key, revoked_at=WHEN, reason=x509.ReasonFlags.superseded))
        assert (answer.authority, answer.signer) == (Authority.DELEGATE, p.responder.certificate)
        assert (answer.revoked_at, answer.reason) == (WHEN, "superseded")


def test_a_delegate_whose_certificate_is_known_from_elsewhere() -> None:
    p = pki.pki()
    for by_key in (True, False):
        assert one(p, pki.ocsp(p.signer, p.ca, p.responder, certificates=(), by_key=by_key)).authority is Authority.DELEGATE


def test_who_may_not_answer() -> None:
    p = pki.pki()
    other = pki.authority(p.root, "Other CA")
    strangers = [
        pki.signer(p.ca, "No Responder"),
        pki.unit(p.ca, "No Responder"),
        pki.responder(other),
        pki.responder(pki.root("Other Root")),
        pki.responder(p.ca, signed_by=pki.private_key("p256")),
        pki.responder(p.ca, key_usage=("key_encipherment",)),
        pki.responder(p.ca, extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True),)),
    ]
    for stranger in strangers:
        assert told(p, pki.ocsp(p.signer, p.ca, stranger)) == ()


def test_an_authority_above_may_certify_the_responder_and_the_policy_decides() -> None:
    p = pki.pki()
    assert one(p, pki.ocsp(p.signer, p.ca, pki.responder(p.root))).authority is Authority.CHAIN


def test_a_responder_who_is_an_anchor() -> None:
    p = pki.pki()
    alone = pki.responder(pki.root("Other Root"))
    finder = Finder(p.certs, [p.root.certificate, alone.certificate])
    found = answers(finder.paths(p.signer.certificate)[0], 0, Sources([pki.ocsp(p.signer, p.ca, alone)]), finder)
    assert [a.authority for a in found] == [Authority.ANCHOR]


def test_answers_that_say_nothing() -> None:
    p = pki.pki()
    unknown = pki.ocsp(p.signer, p.ca, status=pki.x509_ocsp.OCSPCertStatus.UNKNOWN)
    forged = pki.ocsp(p.signer, p.ca, signed_by=pki.private_key("p256"))
    critical = pki.ocsp(p.signer, p.ca, extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True),))
    for ocsp in (unknown, forged, critical, Ocsp(b""), Ocsp(b"\x30\x00"), Ocsp(forged.der[:-20])):
        assert told(p, ocsp) == ()


def test_a_nonce_is_no_hindrance() -> None:
    p = pki.pki()
    assert one(p, pki.ocsp(p.signer, p.ca, extensions=((x509.OCSPNonce(b"12345678"), False),))).authority is Authority.ISSUER


def test_status_that_cannot_be_read_is_no_status() -> None:
    p = pki.pki()
    assert told(p, Crl(b""), Crl(b"\x30\x03\x02\x01\x01"), Crl(pki.crl(p.ca).der[:-9])) == ()


# What an answer is worth


def test_newest_first_and_of_one_time_the_revocation_first() -> None:
    p = pki.pki()
    found = told(p, pki.crl(p.ca), pki.crl(p.ca, this_update=CHECKED - DAY), pki.ocsp(p.signer, p.ca, revoked_at=WHEN))
    assert [(a.produced, a.revoked) for a in found] == [(CHECKED, True), (CHECKED, False), (CHECKED - DAY, False)]


def test_older_than_the_certificate() -> None:
    p = pki.pki()
    assert unusable(one(p, pki.crl(p.ca, this_update=ISSUED - DAY)), p.signer.certificate) == "it is older than the certificate"
    assert unusable(one(p, pki.crl(p.ca, this_update=ISSUED)), p.signer.certificate) is None


def expired_kept_since(when: datetime) -> tuple[x509.ExtensionType, bool]:
    value = asn1.tlv(asn1.GENERALIZED_TIME, when.strftime("%Y%m%d%H%M%SZ").encode())
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.60"), value), False


@pytest.mark.parametrize(("since", "informed"), [(None, False), (ENDED - DAY, True), (ENDED, True), (ENDED + DAY, False)])
def test_a_list_from_after_the_certificate_ended(since: datetime | None, informed: bool) -> None:
    """X.509 clause 9.5.2.8: without ExpiredCertsOnCRL an expired certificate may have been dropped, so that its absence says nothing."""
    p = pki.pki()
    answer = one(p, pki.crl(p.ca, this_update=ENDED + 30 * DAY, extensions=[expired_kept_since(since)] if since else ()))
    assert has_information(answer, facts(p.signer.certificate)) is informed
    assert (unusable(answer, p.signer.certificate) is None) is informed


def test_a_revocation_is_heard_even_from_after_the_end() -> None:
    p = pki.pki()
    answer = one(p, pki.crl(p.ca, {p.signer.serial: WHEN}, this_update=ENDED + 30 * DAY))
    assert unusable(answer, p.signer.certificate) is None
    assert not has_information(answer, facts(p.signer.certificate))


def with_single_extension(p: Pki, oid: str, value: bytes, **defects: Any) -> Ocsp:
    """An answer of the issuer with an extension of its single response."""
    basic = asn1.parse(pki.ocsp(p.signer, p.ca, **defects).der).children
    responder, produced, responses = basic[0].children
    extension = asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.OID, asn1.oid_content(oid)) + asn1.tlv(asn1.OCTET_STRING, value))
    single = asn1.tlv(asn1.SEQUENCE, responses.children[0].content + asn1.tlv(asn1.context(1), asn1.tlv(asn1.SEQUENCE, extension)))
    body = asn1.tlv(asn1.SEQUENCE, responder.raw + produced.raw + asn1.tlv(asn1.SEQUENCE, single))
    return Ocsp(asn1.tlv(asn1.SEQUENCE, body + basic[1].raw + asn1.tlv(asn1.BIT_STRING, b"\0" + p.ca.sign(body))))


def test_an_archive_cutoff_keeps_expired_certificates() -> None:
    """RFC 6960 section 4.4.4."""
    p = pki.pki()
    late = {"this_update": ENDED + 30 * DAY}
    assert not has_information(one(p, pki.ocsp(p.signer, p.ca, **late)), facts(p.signer.certificate))
    for since, informed in ((ENDED - DAY, True), (ENDED + DAY, False)):
        value = asn1.tlv(asn1.GENERALIZED_TIME, since.strftime("%Y%m%d%H%M%SZ").encode())
        answer = one(p, with_single_extension(p, "1.3.6.1.5.5.7.48.1.6", value, **late))
        assert has_information(answer, facts(p.signer.certificate)) is informed


def test_a_hash_of_the_certificate_shows_that_the_responder_knows_it() -> None:
    p = pki.pki()
    sha256 = asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.OID, asn1.oid_content("2.16.840.1.101.3.4.2.1")))
    for digest, matches in ((p.signer.certificate.id, True), (bytes(32), False)):
        value = asn1.tlv(asn1.SEQUENCE, sha256 + asn1.tlv(asn1.OCTET_STRING, digest))
        answer = one(p, with_single_extension(p, "1.3.36.8.3.13", value, this_update=ENDED + 30 * DAY))
        assert answer.certificate_hash_matches is matches
        assert (unusable(answer, p.signer.certificate) is None) is matches


def test_a_responder_who_was_not_valid_when_he_answered() -> None:
    p = pki.pki()
    ended = pki.responder(p.ca, not_after=CHECKED - timedelta(hours=1))
    answer = one(p, pki.ocsp(p.signer, p.ca, ended))
    assert unusable(answer, p.signer.certificate) == "the responder's certificate was not valid when the answer was made"
    back_dated = one(p, pki.ocsp(p.signer, p.ca, ended, produced_at=CHECKED - DAY))
    assert unusable(back_dated, p.signer.certificate) is None


def test_no_answer_about_an_anchor() -> None:
    p = pki.pki()
    assert told(p, pki.crl(p.root), index=2) == ()


def test_what_the_caller_gives_cannot_be_buried_under_what_the_file_carries() -> None:
    p = pki.pki()
    noise = [pki.crl(p.ca, this_update=CHECKED + n * timedelta(minutes=1), signed_by=pki.private_key("p256")) for n in range(1, MAX_SOURCES + 9)]
    given = pki.crl(p.ca, {p.signer.serial: WHEN})
    finder = Finder(p.certs, [p.root.certificate])
    path = finder.paths(p.signer.certificate)[0]
    assert answers(path, 0, Sources([*noise, given]), finder) == ()
    assert [a.revoked for a in answers(path, 0, Sources(noise, [given]), finder)] == [True]


def test_facts_of_an_answer() -> None:
    p = pki.pki()
    known = ocsp_facts(pki.ocsp(p.signer, p.ca, p.responder, no_next_update=True, produced_at=CHECKED + DAY))
    assert known.produced_at == CHECKED + DAY
    assert known.certs == (p.responder.certificate,)
    assert known.singles[0].next_update is None
    assert p.responder.certificate.der == p.responder.certificate.x509.public_bytes(serialization.Encoding.DER)
