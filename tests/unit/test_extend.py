"""Raising signatures to a higher level and renewing their archive time-stamps: what is reached, what stays as it was, and what is refused."""

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pikepdf
import pytest
from lxml import etree

from eseal import drafting
from eseal.demonstration import pdf
from eseal.draft import assembled
from eseal.drafting import Holder
from eseal.extend import Wanted
from eseal.extend_material import Known
from eseal.extend_service import NO_ROOT, Asked, extended_name, rank
from eseal.formats.container import Entry, archive
from eseal.spec import Level, Spec, choose
from tests import envelopes, xades_maker
from tests import pki as office
from tests.envelopes import envelope, oid, seq, signer_info
from tests.extending import Desk
from tests.papers import Paper, paper, stream
from tests.pki import SIGNED, Pki
from tests.sealing import CSV, means
from trust.codecs.asn1 import context, parse, tlv
from trust.codecs.signed_data import signed_data
from trust.errors import KakuinError, Malformed, Unacceptable, Unavailable
from trust.model import Digest, Document, StampKind
from verifier.policy import load
from verifier.question import Question
from verifier.read import read
from verifier.service import answer

PKI = office.pki()
LATER = SIGNED + timedelta(hours=3)
PDF = pdf()
XML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<通知 xml:lang="ja">\n <額 単位="円>/">1000</額><!-- </通知> --><空/><![CDATA[<a>]]>\n</通知>\n'
).encode()

MADE: dict[str, tuple[dict[str, str], bytes]] = {
    "pades": ({"format": "pades"}, PDF),
    "cades-attached": ({"format": "cades", "packaging": "attached"}, CSV),
    "cades-detached": ({"format": "cades", "packaging": "detached"}, CSV),
    "xades-enveloped": ({"format": "xades", "packaging": "enveloped"}, XML),
    "xades-attached": ({"format": "xades", "packaging": "attached"}, CSV),
    "xades-detached": ({"format": "xades", "packaging": "detached"}, CSV),
    "jades-attached": ({"format": "jades", "packaging": "attached"}, CSV),
    "jades-general": ({"format": "jades", "packaging": "attached", "serialization": "general"}, CSV),
    "jades-hash": ({"format": "jades", "packaging": "detached"}, CSV),
    "jades-payload": ({"format": "jades", "packaging": "detached", "mechanism": "payload"}, CSV),
    "asic-s-cades": ({"format": "asic-s-cades"}, CSV),
    "asic-e-cades": ({"format": "asic-e-cades"}, CSV),
    "asic-s-xades": ({"format": "asic-s-xades"}, CSV),
    "asic-e-xades": ({"format": "asic-e-xades"}, CSV),
}
RISES = [("B-B", "B-T"), ("B-B", "B-LT"), ("B-B", "B-LTA"), ("B-T", "B-LT"), ("B-T", "B-LTA"), ("B-LT", "B-LTA"), ("B-LTA", "B-LTA")]


def sealed(name: str, level: str, pki: Pki = PKI) -> tuple[Document, tuple[Document, ...]]:
    """A seal of ours, and the document beside it where it stands apart."""
    options, data = MADE[name]
    document = Document.of(data, "document.csv")
    spec = choose(data[:1024], level=level, **options)
    return _sealed(document, spec, pki), (document,) if spec.packaging == "detached" else ()


def _sealed(document: Document, spec: Spec, pki: Pki) -> Document:
    with_ = means(pki)
    made = drafting.draft(document, spec, Holder.of(pki.signer), SIGNED, sign=pki.signer.sign, stamp=with_.stamp, status=with_.status)
    return Document.of(assembled(document, made.pieces, None, None).read(1 << 30), "sealed")


def bytes_of(made: Document) -> bytes:
    return made.read(1 << 30)


def signatures(document: Document, detached: Sequence[Document] = ()) -> list[tuple[bytes, object]]:
    """What each signature is and signs."""
    return [(s.id, s.signed) for s in read(document, detached, PKI.certs).signatures]


@pytest.mark.parametrize(("low", "high"), RISES, ids=[f"{low}-to-{high}" for low, high in RISES])
@pytest.mark.parametrize("name", MADE)
def test_each_format_rises_from_each_level_to_each(name: str, low: str, high: str) -> None:
    document, detached = sealed(name, low)
    desk = Desk(PKI, LATER)
    made = desk.extend(document, high, *detached)
    assert made.conclusion == "passed"
    assert {rank(level) for level in made.after} == {list(Level).index(Level(high))}
    assert signatures(made.document, detached) == signatures(document, detached)
    [(kind, body)] = desk.recorded
    entry = json.loads(body)
    assert (kind, entry["event"], entry["level"]) == ("event", "extension", high)
    assert entry["extended"] == made.sha256.hex()
    assert len(entry["stamps"]) == (low == "B-B") + (high == "B-LTA")


@pytest.mark.parametrize("packaging", ["attached", "detached"])
def test_cose_rises_to_b_t_and_no_further(packaging: str) -> None:
    document = Document.of(CSV, "document.csv")
    given = _sealed(document, choose(CSV, format="cose", level="B-B", packaging=packaging), PKI)
    beside = (document,) if packaging == "detached" else ()
    made = Desk(PKI, LATER).extend(given, "B-T", *beside)
    assert made.after == ("COSE-T",)
    assert signatures(made.document, beside) == signatures(given, beside)
    with pytest.raises(Unacceptable, match="no standard has a place for more"):
        Desk(PKI, LATER).extend(given, "B-LTA", *beside)


@pytest.mark.parametrize("name", MADE)
def test_a_renewed_document_outlives_the_first_authoritys_certificate(name: str) -> None:
    """The first unit's certificate ends in 2030; a second one, of another root, stamps in 2029; in 2032 the first chain is gone."""
    document, detached = sealed(name, "B-LTA")
    second = _later_office()
    at = datetime(2029, 6, 1, tzinfo=UTC)
    desk = Desk(second, at, policy="archive")
    first = (PKI.root.certificate,)
    known = Known(anchors=first, certificates=(PKI.ca.certificate,), crls=PKI.crls(at))
    made = desk.extend(document, "B-LTA", *detached, known=known)
    assert made.conclusion == "passed"
    anchors, end = (*first, second.root.certificate), datetime(2032, 6, 1, tzinfo=UTC)
    lists_then = second.crls(end)

    def conclusion(what: Document) -> str:
        return str(answer(Question(what, end, load("archive"), anchors, detached, (second.ca.certificate,), lists_then))["conclusion"])

    assert conclusion(made.document) == "passed"
    assert conclusion(document) == "indeterminate"


def _later_office() -> Pki:
    born, died = datetime(2028, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)
    top = office.root("Second Root CA", not_before=born, not_after=died)
    ca = office.authority(top, "Second Issuing CA", not_before=born, not_after=died)
    kept = {"not_before": born, "not_after": died}
    return Pki(top, ca, office.signer(ca, **kept), office.unit(ca, "Second TSU", **kept), office.responder(ca, **kept))


def refused(document: Document | bytes, level: str, *detached: Document, pki: Pki = PKI, **asked: object) -> str:
    """The reason; and nothing was recorded."""
    desk = Desk(pki, LATER)
    with pytest.raises(KakuinError) as found:
        desk.extend(document, level, *detached, **asked)  # type: ignore[arg-type]
    assert desk.recorded == []
    return f"{type(found.value).__name__}: {found.value}"


def test_what_failed_is_never_extended() -> None:
    document, _ = sealed("cades-attached", "B-B")
    broken = bytes_of(document).replace(b"300", b"301")
    assert refused(broken, "B-LTA", allow_indeterminate=True).startswith("Unacceptable: what failed is not extended")


def test_what_cannot_be_concluded_about_is_extended_only_when_the_caller_says_so() -> None:
    stranger = office.pki()
    stranger = replace(stranger, root=office.root("Nobody's Root"))
    stranger = replace(stranger, ca=office.authority(stranger.root, "Nobody's CA"))
    stranger = replace(stranger, signer=office.signer(stranger.ca), tsu=office.unit(stranger.ca))
    document, _ = sealed("cades-attached", "B-B", stranger)
    assert "cannot conclude" in refused(document, "B-T")
    made = Desk(PKI, LATER).extend(document, "B-T", allow_indeterminate=True)
    assert (made.conclusion, made.after) == ("indeterminate", ("CAdES-BASELINE-T",))
    assert "no revocation data" in refused(document, "B-LT", allow_indeterminate=True)
    known = Known((stranger.root.certificate,), (stranger.ca.certificate,), stranger.crls(LATER))
    made = Desk(PKI, LATER).extend(document, "B-LT", known=known)
    assert (made.conclusion, made.after) == ("passed", ("CAdES-BASELINE-LT",))
    without = replace(known, crls=())
    assert refused(document, "B-LT", known=without, allow_indeterminate=True).startswith("Unavailable: no revocation data for the certificate")


def test_a_chain_ends_at_an_anchor_that_is_no_root_and_that_is_said() -> None:
    """Status above it is nobody's to give; who knows no anchors cannot tell."""
    top = office.root("Far Root")
    ca = office.authority(top, "Near CA")
    stranger = Pki(top, ca, office.signer(ca), office.unit(ca), office.responder(ca))
    document, _ = sealed("cades-attached", "B-B", stranger)
    known = Known((ca.certificate,), (), stranger.crls(LATER)[1:])
    made = Desk(PKI, LATER).extend(document, "B-LTA", known=known)
    assert (made.conclusion, made.after, made.draft.warnings) == ("passed", ("CAdES-BASELINE-T",), (NO_ROOT,))
    below = replace(known, anchors=(top.certificate,), certificates=(ca.certificate,))
    assert "no revocation data for the certificate Near CA" in refused(document, "B-LTA", known=below, allow_indeterminate=True)


def test_a_signature_whose_document_is_missing_is_refused_whatever_is_allowed() -> None:
    document, _ = sealed("cades-detached", "B-B")
    assert "SIGNED_DATA_NOT_FOUND" in refused(document, "B-LTA", allow_indeterminate=True)


def test_a_document_without_a_signature_is_refused() -> None:
    assert "no signature" in refused(PDF, "B-LTA")
    assert "no signature" in refused(CSV, "B-LTA")
    assert "empty" in refused(b"", "B-LTA")


def test_a_level_that_is_there_already_is_refused_below_b_lta() -> None:
    document, _ = sealed("pades", "B-LT")
    assert "at PAdES-BASELINE-LT already, asked for B-T" in refused(document, "B-T")
    with pytest.raises(Unacceptable, match="got B-B"):
        Wanted(Level.B_B)


def test_a_signer_whose_certificate_has_ended_gets_no_late_time_stamp() -> None:
    document, _ = sealed("cades-attached", "B-B")
    desk = Desk(PKI, datetime(2028, 1, 1, tzinfo=UTC))
    with pytest.raises(Unacceptable, match="ended on 2027-01-01"):
        desk.extend(document, "B-T", allow_indeterminate=True)


def test_an_authority_that_is_away_leaves_nothing_behind() -> None:
    document, _ = sealed("pades", "B-B")
    desk = Desk(PKI, LATER)

    def away(_: object) -> bytes:
        raise Unavailable("it does not answer")

    with pytest.raises(Unavailable, match="B-LTA needs a time-stamp"):
        replace(desk.extender(), stamp=away).extend(document, Asked(Wanted(Level.B_LTA)))
    assert desk.recorded == []


def test_what_our_verifier_does_not_find_again_does_not_leave() -> None:
    """The confined process is in a stranger's hands: it hands back another document."""
    document, _ = sealed("cades-attached", "B-B")
    other, _ = sealed("cades-attached", "B-T", office.pki())
    desk = Desk(PKI, LATER)

    def lying(*_: object, **__: object) -> object:
        from eseal.draft import Draft

        return Draft((bytes_of(other),), b"", (b"token",))

    desk.run = lying  # type: ignore[assignment]
    with pytest.raises(KakuinError):
        desk.extend(document, "B-T")
    assert desk.recorded == []


def test_nothing_is_fetched_where_the_service_may_not() -> None:
    document, _ = sealed("cades-attached", "B-B")
    with pytest.raises(Unacceptable, match="fetches nothing"):
        Desk(PKI, LATER).extender().extend(document, Asked(Wanted(Level.B_T), online=True))


# The bytes of others.


def indefinite(der: bytes, depth: int = 3) -> bytes:
    """The outer values with indefinite lengths, as streaming makers write them."""
    node = parse(der)
    if depth == 0 or not node.constructed:
        return der
    return bytes((node.tag, 0x80)) + b"".join(indefinite(n.raw, depth - 1) for n in node.children) + b"\0\0"


@pytest.mark.parametrize("level", ["B-T", "B-LT", "B-LTA"])
def test_cms_in_ber_keeps_every_encoding_that_is_signed_or_stamped(level: str) -> None:
    document, _ = sealed("cades-attached", "B-T")
    given = indefinite(bytes_of(document))
    assert given != bytes_of(document)
    made = Desk(PKI, LATER).extend(given, level if level != "B-T" else "B-LT")
    assert made.conclusion == "passed"
    info = parse(bytes_of(document)).children[1].children[0].children[-1].children[0]
    fields = b"".join(n.raw for n in info.children[:-1])
    assert fields in bytes_of(made.document)


def test_each_of_several_signers_is_raised() -> None:
    from eseal.formats import cms

    document, _ = sealed("cades-attached", "B-B")
    second = replace(PKI, signer=office.signer(PKI.ca, "Second Seal"))
    other, _ = sealed("cades-attached", "B-B", second)
    one, two = (parse(bytes_of(d)).children[1].children[0] for d in (document, other))
    version, digests, content, certs, infos = (n.raw for n in one.children)
    both = [*(n.raw for n in one.children[3].children), *(n.raw for n in two.children[3].children)]
    signers = [*(n.raw for n in one.children[4].children), *(n.raw for n in two.children[4].children)]
    assert certs and infos
    inner = cms.sequence(version, digests, content, cms.tlv(0xA0, b"".join(sorted(set(both)))), cms.set_of(signers))
    whole = cms.sequence(cms.oid(cms.SIGNED_DATA), cms.tlv(0xA0, inner))
    for level in ("B-T", "B-LT", "B-LTA"):
        made = Desk(PKI, LATER).extend(whole, level, known=Known(crls=PKI.crls(LATER)))
        assert made.conclusion == "passed"
        assert made.after == (f"CAdES-BASELINE-{level.removeprefix('B-')}",) * 2
    again = Desk(PKI, LATER + timedelta(hours=1)).extend(made.document, "B-LTA")
    assert again.conclusion == "passed"
    assert len(again.draft.stamps) == 2


def test_what_an_archive_time_stamp_of_version_2_hashes_stays_as_it_is() -> None:
    """TS 101 733 clause 6.4.1: it is over certificates and lists of the SignedData, so that new ones go into the newest archive token."""
    info = parse(envelopes.signer_info(PKI.signer, CSV))
    stamped = envelopes.attribute(envelopes.SIGNATURE_TIME_STAMP, office.token(PKI.tsu, Digest.of("sha256", envelopes.value_of(info.raw))))
    certs, crls = (PKI.signer.certificate, PKI.ca.certificate), PKI.crls(SIGNED)
    held = tlv(context(0), b"".join(c.der for c in certs)) + tlv(context(1), b"".join(c.der for c in crls))
    fields = b"".join(n.raw for n in info.children)
    pieces = envelopes.seq(envelopes.oid(envelopes.DATA)) + CSV + held + fields + tlv(context(1), stamped)
    older = envelopes.attribute(envelopes.ARCHIVE_V2, office.token(PKI.tsu, Digest.of("sha256", pieces), SIGNED + timedelta(hours=1)))
    signer = envelopes.seq(fields, tlv(context(1), stamped + older))
    given = envelopes.envelope([signer], certs=certs, crls=crls)
    made = Desk(PKI, LATER).extend(given, "B-LTA", Document.of(CSV, "document.csv"))
    assert made.conclusion == "passed"
    assert held in bytes_of(made.document)
    assert [(s.kind, s.intact) for s in read(made.document, [Document.of(CSV)], PKI.certs).stamps] == [
        (StampKind.SIGNATURE, True),
        (StampKind.ARCHIVE, True),
        (StampKind.ARCHIVE, True),
    ]


@pytest.mark.parametrize("user", ["", "user"], ids=["anybody opens it", "its readers need a password"])
def test_an_encrypted_pdf_is_extended_with_its_password(user: str) -> None:
    paper = io.BytesIO()
    with pikepdf.open(io.BytesIO(PDF)) as opened:
        opened.save(paper, encryption=pikepdf.Encryption(owner="owner", user=user, R=6))
    document = Document.of(paper.getvalue(), "secret.pdf")
    given = _sealed(document, choose(PDF[:1024], format="pades", level="B-B", password="owner"), PKI)
    made = Desk(PKI, LATER).extend(given, "B-LTA", password="owner")
    assert (made.conclusion, made.after) == ("passed", ("PAdES-BASELINE-LTA",))
    assert "its password" in refused(given, "B-LTA")


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("</xades:QualifyingProperties>", "<xades:UnsignedProperties/></xades:QualifyingProperties>"),
        ("</xades:QualifyingProperties>", "<xades:UnsignedProperties >\n</xades:UnsignedProperties\n></xades:QualifyingProperties>"),
        (
            "</xades:QualifyingProperties>",
            "<xades:UnsignedProperties><xades:UnsignedSignatureProperties Id='u'/></xades:UnsignedProperties></xades:QualifyingProperties>",
        ),
        (
            "</xades:QualifyingProperties>",
            (
                "<x:UnsignedProperties xmlns:x='http://uri.etsi.org/01903/v1.3.2#' xmlns:xades='urn:other' xmlns:ds='urn:more'>"
                "<x:UnsignedSignatureProperties><!-- </x:UnsignedSignatureProperties> --></x:UnsignedSignatureProperties></x:UnsignedProperties>"
                "</xades:QualifyingProperties>"
            ),
        ),
    ],
    ids=["empty-element", "white-space", "empty-with-id", "other-prefixes"],
)
@pytest.mark.parametrize("name", ["xades-enveloped", "xades-attached"])
def test_xml_is_inserted_wherever_the_maker_left_a_place(name: str, there: str, instead: str) -> None:
    document, _ = sealed(name, "B-B")
    given = bytes_of(document).replace(there.encode(), instead.encode())
    # Empty places are against the schema, so that the verifier concludes when they are filled.
    made = Desk(PKI, LATER).extend(given, "B-LTA", allow_indeterminate=True)
    assert made.conclusion == "passed"
    assert made.after == ("XAdES-BASELINE-LTA",)
    assert _without_insertion(given, bytes_of(made.document))


def _without_insertion(old: bytes, new: bytes) -> bool:
    """Whether the new document is the old one with one run of bytes put in (or in the place of an empty element's end)."""
    before = next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    after = next(i for i, (a, b) in enumerate(zip(reversed(old), reversed(new), strict=False)) if a != b)
    return before + after >= len(old) - 2


def test_a_signature_over_another_one_forbids_to_extend_that() -> None:
    """The first is over one element; the second, enveloped in the same document, is over everything else, the first included."""
    paper = b'<r xmlns="urn:example:r"><a Id="a">1000</a></r>'
    part = xades_maker.c14n(etree.fromstring(paper)[0])
    transforms = xades_maker.transform(xades_maker.EXC)
    first = xades_maker.inserted(paper, xades_maker.signature(PKI.signer, [xades_maker.Made("#a", part, transforms, id="r1")]))
    assert Desk(PKI, LATER).extend(first, "B-LTA").conclusion == "passed"
    both = _sealed(Document.of(first, "twice.xml"), choose(first, format="xades", level="B-B", packaging="enveloped"), PKI)
    assert "another one covers what extending changes" in refused(both, "B-T")


def test_a_compact_jws_becomes_flattened_json() -> None:
    document = Document.of(CSV, "document.csv")
    given = _sealed(document, choose(CSV, format="jades", level="B-B", packaging="attached", serialization="compact"), PKI)
    made = Desk(PKI, LATER).extend(given, "B-LTA")
    header, payload, signature = bytes_of(given).decode().split(".")
    told = json.loads(bytes_of(made.document))
    assert (told["protected"], told["payload"], told["signature"]) == (header, payload, signature)
    assert made.after == ("JAdES-BASELINE-LTA",)
    assert "compact" in made.draft.warnings[0]


def test_components_in_the_clear_stay_in_the_clear() -> None:
    from trust.codecs import jose

    document, _ = sealed("jades-attached", "B-T")
    told = json.loads(bytes_of(document))
    told["header"]["etsiU"] = [json.loads(jose.octets(entry).data) for entry in told["header"]["etsiU"]]
    made = Desk(PKI, LATER).extend(json.dumps(told, indent=1).encode(), "B-LTA")
    after = json.loads(bytes_of(made.document))["header"]["etsiU"]
    assert all(isinstance(entry, dict) for entry in after)
    assert made.conclusion == "passed"
    assert made.after == ("JAdES-BASELINE-LTA",)


def test_the_container_keeps_every_other_file_byte_for_byte() -> None:
    document, _ = sealed("asic-e-cades", "B-T")
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bytes_of(document))) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info), zipfile.ZIP_STORED if info.filename == "mimetype" else zipfile.ZIP_DEFLATED)
        new.comment = b"mimetype=application/vnd.etsi.asic-e+zip"
    made = Desk(PKI, LATER).extend(packed.getvalue(), "B-LTA")
    again = Desk(PKI, LATER + timedelta(hours=1)).extend(made.document, "B-LTA")
    assert again.conclusion == "passed"
    with zipfile.ZipFile(io.BytesIO(packed.getvalue())) as old, zipfile.ZipFile(io.BytesIO(bytes_of(again.document))) as new:
        assert new.testzip() is None
        assert new.comment == old.comment
        assert new.namelist()[0] == "mimetype"
        assert {"META-INF/ASiCArchiveManifest.xml", "META-INF/ASiCArchiveManifest001.xml"} <= set(new.namelist())
        assert b'Rootfile="true"' in new.read("META-INF/ASiCArchiveManifest.xml")
        for info in old.infolist():
            if not info.filename.endswith(".p7s"):
                assert new.read(info.filename) == old.read(info.filename)
                assert new.getinfo(info.filename).date_time == info.date_time


def test_a_container_that_programs_read_differently_is_refused() -> None:
    document, _ = sealed("asic-e-cades", "B-B")
    with zipfile.ZipFile(io.BytesIO(bytes_of(document))) as old:
        held = [(i.filename, old.read(i)) for i in old.infolist()]
    import zlib

    entries = [Entry(name, data, zlib.crc32(data)) for name, data in (*held, held[-1])]
    twice = b"".join(p for p in archive(entries, SIGNED) if isinstance(p, bytes))
    assert "Unacceptable" in refused(twice, "B-T", allow_indeterminate=True)


def test_a_pdf_is_only_ever_appended_to() -> None:
    document, _ = sealed("pades", "B-B")
    made = Desk(PKI, LATER).extend(document, "B-LTA")
    again = Desk(PKI, LATER + timedelta(hours=1)).extend(made.document, "B-LTA")
    assert bytes_of(made.document).startswith(bytes_of(document))
    assert bytes_of(again.document).startswith(bytes_of(made.document))
    assert again.conclusion == "passed"


THEIRS = office.pki()


def _with_status(made: Paper, place: str) -> Paper:
    """A PDF of others' whose lists stand in one place alone."""
    lists = THEIRS.crls(SIGNED)
    if place == "an earlier store":
        return made.stored(crls=lists).stored()
    objects = {made.fresh + number: stream(one.der) for number, one in enumerate(lists)}
    related = " ".join(f"{number} 0 R" for number in objects)
    return made.rearranged(objects, catalogue=f"{made.catalogue} /DSS << /VRI << /{'0' * 40} << /CRL [{related}] >> >> >>")


@pytest.mark.parametrize("place", ["an earlier store", "beside a signature"])
def test_status_is_found_wherever_a_pdf_holds_it(place: str) -> None:
    made = _with_status(paper().signed(THEIRS.signer).stamped(THEIRS.tsu), place)
    raised = Desk(PKI, LATER).extend(made.data, "B-LTA", known=Known((THEIRS.root.certificate,)), allow_indeterminate=True)
    assert raised.after == ("PAdES-BASELINE-LTA",)
    assert bytes_of(raised.document).startswith(made.data)
    bare = paper().signed(THEIRS.signer).stamped(THEIRS.tsu)
    with pytest.raises(Unavailable, match="no revocation data for the certificate"):
        Desk(PKI, LATER).extend(bare.data, "B-LTA", known=Known((THEIRS.root.certificate,)), allow_indeterminate=True)


def test_a_linearised_pdf_is_extended() -> None:
    """Its first section is no revision by itself (ISO 32000-1 annex F)."""
    made = io.BytesIO()
    with pikepdf.open(io.BytesIO(PDF)) as opened:
        opened.save(made, linearize=True)
    given = _sealed(Document.of(made.getvalue(), "fast.pdf"), choose(PDF[:1024], format="pades", level="B-B"), PKI)
    assert Desk(PKI, LATER).extend(given, "B-LTA").after == ("PAdES-BASELINE-LTA",)


def test_an_older_shape_of_pdf_signature_gets_its_time_stamp() -> None:
    """EN 319 142-2: with signing-time among the signed attributes it is PAdES-BES, with a time-stamp after it too."""
    made = paper().signed(PKI.signer, cms=lambda over: envelope([signer_info(PKI.signer, over)], certs=(PKI.signer.certificate, *PKI.signer.chain)))
    raised = Desk(PKI, LATER).extend(made.data, "B-T")
    assert (raised.before, raised.after, len(raised.draft.stamps)) == (("PAdES-BES",), ("PAdES-BES",), 1)
    with pytest.raises(Unacceptable, match="holds all that B-T needs already"):
        Desk(PKI, LATER).extend(raised.document, "B-T")


def test_status_of_a_token_is_found_in_the_signature_beside_it() -> None:
    """The newest archive time-stamp of others came without its status, which the signature that it is over carries."""
    entries = []
    with zipfile.ZipFile(io.BytesIO(bytes_of(_sealed(Document.of(CSV, "a.csv"), choose(CSV, format="asic-e-cades"), THEIRS)))) as box:
        for info in box.infolist():
            data = box.read(info)
            if info.filename == "META-INF/timestamp001.tst":
                bare = [n.raw for n in signed_data(data).node.children if n.tag != context(1)]
                data = seq(oid("1.2.840.113549.1.7.2"), tlv(context(0), seq(*bare)))
            entries.append(Entry(info.filename, data, zlib.crc32(data)))
    made = b"".join(p for p in archive(entries, SIGNED) if isinstance(p, bytes))
    raised = Desk(PKI, LATER).extend(made, "B-LTA", known=Known((THEIRS.root.certificate,)), allow_indeterminate=True)
    assert raised.after == ("CAdES-BASELINE-LTA",)


@pytest.mark.parametrize(
    ("name", "given"),
    [("contract.sealed.pdf", "contract.sealed.extended.pdf"), ("a.extended.p7s", "a.extended.p7s"), ("noending", "noending.extended.p7s")],
)
def test_names_of_what_is_extended(name: str, given: str) -> None:
    assert extended_name(name, ".p7s") == given


def test_malformed_input_is_malformed() -> None:
    document, _ = sealed("cades-attached", "B-B")
    with pytest.raises((Malformed, Unacceptable)):
        Desk(PKI, LATER).extend(bytes_of(document)[:-20], "B-T")
