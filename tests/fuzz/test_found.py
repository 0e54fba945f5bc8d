"""What fuzzing found, one test each, made anew by the tests' own makers."""

import base64
import io
import json
import re
import zipfile
from datetime import UTC, datetime

import pikepdf
import pytest
from fontTools.ttLib import TTFont

from eseal import drafting, extend
from eseal.claims import Claims
from eseal.draft import assembled
from eseal.drafting import Holder
from eseal.extend import Kind, Wanted
from eseal.extend_material import Known
from eseal.formats.pades.letters import Face
from eseal.spec import Level, choose
from tests import pki
from tests.envelopes import SIGNING_CERTIFICATE_V2, attribute, envelope, seq, signer_info, usual_attributes
from tests.fuzz import writers
from trust.codecs import jose
from trust.codecs.asn1 import context, parse, tlv
from trust.codecs.ess import signer_of
from trust.codecs.signed_data import signed_data
from trust.edge.preferences import preferences
from trust.errors import Malformed, Unacceptable
from trust.log.examine import Examiner
from trust.log.journal import Entry
from trust.log.links import RELATION, linked
from trust.log.reading import said
from trust.model import Cert, Crl, Document
from trust.ports import Status
from tsa.batch import Lines
from verifier.formats.pdf import fonts, graph, syntax
from verifier.formats.pdf.fields import rich_text
from verifier.read import read
from verifier.sources import certificates_in, ocsps_in


def test_a_list_of_an_unknown_version_is_malformed() -> None:
    """cryptography has an exception of its own for it (found by `read-jades`: crlVals of a JSON signature)."""
    der = pki.crl(pki.root()).der
    version = der.index(b"\x02\x01\x01\x30")
    assert Crl(der).x509.last_update_utc
    with pytest.raises(Malformed):
        Crl(der[:version] + b"\x02\x01\x36" + der[version + 3 :]).x509  # noqa: B018


def test_an_empty_reference_to_the_signing_certificate_refers_to_nothing() -> None:
    """ESSCertIDv2 is a SEQUENCE of at least a digest (RFC 5035 section 4; found by `read-cose`: a token in a COSE header)."""
    party = pki.signer(pki.authority(pki.root()))
    attributes = [*usual_attributes(party, b"content")[:3], attribute(SIGNING_CERTIFICATE_V2, seq(seq(seq())))]
    data = envelope([signer_info(party, b"content", attributes=attributes)], content=b"content", certs=(party.certificate,))
    found = signed_data(data)
    assert signer_of(found.signers[0], found.certs)[1].digest_matches is not True
    assert read(Document.of(data)).signatures[0].signer_reference.digest_matches is not True


OFFICE = pki.pki()


def _drafted(data: bytes, **options: str) -> bytes:
    document = Document.of(data, "file")
    spec = choose(data, level="B-B", **options)
    sign, stamp = OFFICE.signer.sign, pki.stamper(OFFICE.tsu)
    made = drafting.draft(document, spec, Holder.of(OFFICE.signer), pki.SIGNED, sign=sign, stamp=stamp, status=lambda _: Status())
    return assembled(document, made.pieces, None, None).read(1 << 20)


def test_a_version_that_there_is_not_stays_as_it_stands() -> None:
    """RFC 5652 section 5.1 knows five; a writer that rewrote it would change what it does not understand (found by `add-cades`)."""
    kind, held = parse(_drafted(b"content", format="cades", packaging="attached")).children
    version = b"\x02\x02\x01\x00"
    odd = seq(kind.raw, tlv(context(0), seq(version, *(n.raw for n in held.children[0].children[1:]))))
    assert version + b"\x31" in _drafted(odd, format="cades", addition="parallel")


@pytest.mark.parametrize("component", [None, 1, "印"], ids=["null", "number", "no base64url"])
def test_a_component_that_is_none_is_refused(component: object) -> None:
    """ETSI TS 119 182-1 clause 5.3.1 (found by `extend-jades`)."""
    whole = json.loads(_drafted(b"content", format="jades", packaging="attached", serialization="flattened"))
    whole["header"] = {"etsiU": [component]}
    with pytest.raises(Malformed, match="component"):
        _drafted(json.dumps(whole).encode(), format="jades", addition="countersignature")


def test_a_compact_jws_with_text_for_a_payload_is_malformed() -> None:
    """Only unencoded payloads are not ASCII, and a second signature reads the first one's (found by `add-jades`)."""
    header, _, value = _drafted(b"content", format="jades", packaging="attached", serialization="compact").split(b".")
    with pytest.raises(Malformed, match="alphabet"):
        _drafted(b".".join((header, "印".encode(), value)), format="jades", addition="parallel")


def test_a_payload_in_another_text_gets_no_second_signature() -> None:
    """RFC 7515 section 5.1: a signature is over the text, and ours would be over the one that the bytes should have (found by `add-jades`)."""
    whole = json.loads(_drafted(b"conten", format="jades", packaging="attached", serialization="general"))
    whole["payload"] += "="
    with pytest.raises(Unacceptable, match="payload"):
        _drafted(json.dumps(whole).encode(), format="jades", addition="parallel")


def test_certificates_of_an_unknown_version_are_malformed() -> None:
    """cryptography has an exception of its own for it (found by `given`: a PKCS #7 beside a document)."""
    certificate = OFFICE.ca.certificate.der
    version = certificate.index(b"\xa0\x03\x02\x01\x02") + 4
    odd = certificate[:version] + b"\x1a" + certificate[version + 1 :]
    held = envelope([], content=None, certs=(Cert(odd),))
    assert Cert(certificate) in certificates_in(envelope([], content=None, certs=(Cert(certificate),)))
    with pytest.raises(Malformed):
        certificates_in(held)


NEVER_ENDING = 5_000
"""Repetitions: where a text can be read in several ways at each of them, no time is enough."""


def test_a_media_type_can_be_read_in_one_way() -> None:
    for odd in (";a" * NEVER_ENDING, ";" * NEVER_ENDING, "; " * NEVER_ENDING):
        with pytest.raises(Unacceptable):
            Claims(mime_type=f"text/csv{odd}\0")
    assert Claims(mime_type="text/csv; charset=utf-8;header=present").mime_type


def test_preferences_can_be_read_in_one_way() -> None:
    """RFC 7240 section 2: any client sends them."""
    for odd in ((";" + " " * 10) * NEVER_ENDING, (";x" + " " * 10) * NEVER_ENDING, ';x="' * NEVER_ENDING):
        assert preferences([f"receipt{odd}\0"]) == {}
    assert preferences(['receipt; a="b,c" ;; d, WAIT = 7 , x="q"', "wait=3"]) == {"receipt": "", "wait": "7", "x": "q"}


def test_a_link_can_be_read_in_one_way() -> None:
    for odd in ((";x" + " " * 10) * 300, ';x="' * 1000):
        assert linked(f"<a>{odd}!", "http://log.example/v1") is None
    assert linked(f'<a>; rel=x, </b> ; rel = "y {RELATION}" ; z', "http://log.example/v1") == "http://log.example/b"
    assert linked(f'<//[>; rel="{RELATION}"', "http://log.example/v1") is None


def test_certificates_that_begin_and_never_end() -> None:
    """Each octet is looked at once (POST /v1/verifications takes them from anybody)."""
    for many in (b"-----BEGIN CERTIFICATE-----\n" * 100_000, b"-----BEGIN " * 200_000):
        with pytest.raises(Malformed, match="expected a certificate"):
            certificates_in(many)
    with pytest.raises(Malformed, match="end as it begins"):
        certificates_in(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----\n")


def test_a_line_of_a_batch_with_blanks_behind_its_digest() -> None:
    lines = Lines(100_000)
    for _ in range(2_000):
        lines.feed(b"ab" * 32 + b"\t" * 1_900 + b"\n")
    lines.end()
    assert lines.ids == ["ab" * 32] * 2_000


def test_an_entry_of_another_log_whose_names_cannot_be_made_is_unreadable() -> None:
    """cryptography refuses some names with a TypeError (found by `tiles`): a log must not end its monitor by it."""
    der = OFFICE.ca.certificate.der
    for at in range(len(der) - 5):
        if der[at : at + 5] == b"\x06\x03\x55\x04\x0a" and der[at + 5] == 0x0C:  # organizationName, UTF8String
            der = der[: at + 5] + b"\x03" + der[at + 6 :]
    with pytest.raises(TypeError):
        _ = Cert(der).x509.subject
    at = datetime(2026, 1, 1, tzinfo=UTC)
    entry = Entry(0, "certificate", at, der, b"", None, None)
    assert [found.what for found in Examiner().entry(entry)] == ["unreadable"]
    assert set(said(entry)) == {"unreadable"}


def test_what_a_pdf_repeats_and_never_ends_is_looked_at_once() -> None:
    """Of each kind that would take minutes, if every beginning were followed to the end."""
    many = 200_000
    digits = b"1" * many
    assert graph.normal(digits) == digits and graph.normal(digits[:9] + b".50") == b"111111111.5"
    assert rich_text(pikepdf.String("<" * many + "b>")) == "<" * (many - 1)
    assert fonts._cmap(b"beginbfchar" * many + b"beginbfrange <00><00>[" + b"<00><00>[" * many + b" endbfrange") == {}
    with pytest.raises(Malformed, match="no end"):
        syntax.Parser(b"stream\n" + b" " * many).skip_stream(None)


def test_a_json_text_that_never_ends_is_looked_at_once() -> None:
    with pytest.raises(Malformed, match="not JSON"):
        jose.parse(b'{"a": "' + b'\\"' * 200_000)


def test_digests_without_a_value_name_nobody() -> None:
    """Of the signer's certificate, and of the content that an archive time-stamp is over (found by `extend-xades`)."""
    sealed = _drafted(b"content", format="xades", packaging="detached")
    odd = re.sub(rb"<ds:DigestValue>[^<]*</ds:DigestValue>", b"", sealed)
    assert odd != sealed
    wanted, stamp = Wanted(Level.B_LTA), pki.stamper(OFFICE.tsu)
    known, beside = Known(certificates=OFFICE.certs), Document.of(b"content", "another name")
    status = Status(crls=OFFICE.crls(pki.SIGNED), certs=(OFFICE.ca.certificate,))
    made = extend.draft(Document.of(odd), Kind.XML, wanted, known, pki.SIGNED, beside, stamp=stamp, status=lambda _: status)
    assert len(made.stamps) == 2


def _extended(data: bytes, kind: Kind, level: Level, *beside: Document) -> Document:
    known = Known(certificates=OFFICE.certs)
    status = Status(crls=OFFICE.crls(pki.SIGNED), certs=(OFFICE.ca.certificate,))
    document, stamp = Document.of(data, "file"), pki.stamper(OFFICE.tsu)
    made = extend.draft(document, kind, Wanted(level), known, pki.SIGNED, *beside, stamp=stamp, status=lambda _: status)
    return Document.of(assembled(document, made.pieces, None, None).read(1 << 20))


@pytest.mark.parametrize(("format_", "kind"), [("cades", Kind.CMS), ("xades", Kind.XML)], ids=["cades", "xades"])
def test_a_signers_certificate_that_nobody_can_read_is_no_reason_to_read_no_file(format_: str, kind: Kind) -> None:
    """With a time-stamp of a CMS, and in ds:KeyInfo of XML, the whole file could not be read (found by `extend-cades`)."""
    der = OFFICE.signer.certificate.der
    odd = der.replace(b"240101000000Z", b"240101x00000Z")
    with pytest.raises(Malformed):
        Cert(odd).not_after  # noqa: B018
    sealed = _drafted(b"content", format=format_, packaging="attached")
    data = sealed.replace(der, odd).replace(base64.b64encode(der), base64.b64encode(odd))
    for document in (Document.of(data), _extended(data, kind, Level.B_T)):
        assert [s.signer and s.signer.der for s in read(document).signatures] == [odd]


def test_a_time_stamp_has_whatever_letters_in_its_id() -> None:
    """What its validation data stand beside names it (found by `extend-asic`)."""
    stamped = _extended(_drafted(b"content", format="xades", packaging="attached"), Kind.XML, Level.B_T).read(1 << 20)
    odd, count = re.subn(rb'(<xades:SignatureTimeStamp[^>]* Id=")[^"]*', rb"\1" + "印".encode(), stamped)
    assert count == 1
    found = read(_extended(odd, Kind.XML, Level.B_LTA))
    assert len(found.stamps) == 2 and all(stamp.intact for stamp in found.stamps) and found.signatures[0].level == "XAdES-BASELINE-LTA"


def test_what_is_signed_in_a_container_is_inside() -> None:
    """Also where a file of that name is given beside it (found by `extend-asic`): the archive time-stamp was over the wrong one."""
    data = _drafted(b"content", format="asic-s-xades")
    [name] = [name for name in zipfile.ZipFile(io.BytesIO(data)).namelist() if "/" not in name and name != "mimetype"]
    renamed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(renamed, "w") as new:
        for entry in old.namelist():
            new.writestr("other.txt" if entry == name else entry, old.read(entry))
    made = read(_extended(renamed.getvalue(), Kind.ASIC_S, Level.B_LTA, Document.of(b"something else", name)))
    assert len(made.stamps) == 2 and all(stamp.intact for stamp in made.stamps)


def test_an_answer_whose_bit_strings_are_empty_is_malformed() -> None:
    """asn1crypto has an IndexError for it (found by `given`)."""
    der = pki.ocsp(OFFICE.signer, OFFICE.ca).der
    sha1 = b"\x06\x05\x2b\x0e\x03\x02\x1a"
    assert ocsps_in(der) and sha1 + b"\x05\x00" in der
    with pytest.raises(Malformed, match="OCSP"):
        ocsps_in(der.replace(sha1 + b"\x05\x00", sha1 + b"\x03\x00"))


def test_a_line_of_letters_higher_than_a_font_can_say_is_malformed() -> None:
    """16 bits (OpenType 1.9, hhea), and what is made has a thousand units to the em, whatever the font has that was given (found by `font`)."""
    data = writers._fonts()[0]
    font = TTFont(io.BytesIO(data))
    font["head"].unitsPerEm = 16
    out = io.BytesIO()
    font.save(out)
    with pytest.raises(Malformed, match="lines"):
        Face(Document.of(out.getvalue()))
