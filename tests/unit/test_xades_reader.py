"""verifier.formats.xades: what is read, what is covered, and what an attacker may not gain. Each attack stands beside its lawful twin."""

import copy
import functools
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_der_public_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from tests import pki as infrastructure
from tests.reading import fatal
from tests.services import program
from tests.shared import SHARED, needs_shared
from tests.xades_maker import (
    DS,
    ENVELOPED,
    EXC,
    EXCLUSIVE,
    PAPER,
    X132,
    X141,
    Made,
    Shape,
    add_signature_stamp,
    add_stamp,
    add_values,
    archive_octets,
    b64,
    c14n,
    detached,
    enveloped,
    finish,
    inserted,
    long_term,
    signature,
    signing_certificate,
    transform,
    unsigned_properties,
)
from trust.algorithms import DIGESTS, verify
from trust.errors import Malformed, Unacceptable
from trust.model import Crl, Digest, Document, Evidence, Form, Scope, Signature, StampKind
from verifier.formats import xades

XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"


@functools.cache
def world() -> infrastructure.Pki:
    return infrastructure.pki()


def read(data: bytes, **files: bytes) -> Evidence:
    return xades.read(Document.of(data), [Document.of(content, name) for name, content in files.items()])


def value_holds(one: Signature) -> bool:
    key = one.signer.public_key if one.signer is not None else load_der_public_key(one.key) if one.key is not None else None
    if key is None or one.algorithm is None or not isinstance(one.signed, bytes):
        return False
    try:
        return verify(key, one.algorithm, one.value, one.signed)
    except Unacceptable:
        return False


def intact(one: Signature) -> bool:
    return value_holds(one) and one.intact_references


def sound(evidence: Evidence) -> bool:
    """What a plain pass needs of the reader's facts: all intact, bound to the signer, nothing fatal, nothing grave uncovered."""
    return (
        bool(evidence.signatures)
        and all(intact(s) and s.signer_reference.digest_matches is True and s.signer_reference.count == 1 for s in evidence.signatures)
        and not any(d.fatal for s in evidence.signatures for d in s.defects)
        and not any(u.grave for u in evidence.uncovered)
    )


def grave(evidence: Evidence) -> list[str]:
    return [u.name for u in evidence.uncovered if u.grave]


# What is read


def test_enveloped_signature_with_its_claims() -> None:
    shape = Shape(
        properties="<xades:SignaturePolicyIdentifier><xades:SignaturePolicyImplied/></xades:SignaturePolicyIdentifier>"
        "<xades:SignatureProductionPlaceV2><xades:City>Tokyo</xades:City><xades:CountryName>JP</xades:CountryName></xades:SignatureProductionPlaceV2>"
        "<xades:SignerRoleV2><xades:ClaimedRoles><xades:ClaimedRole>Registrar</xades:ClaimedRole></xades:ClaimedRoles></xades:SignerRoleV2>",
        data_properties="<xades:CommitmentTypeIndication><xades:CommitmentTypeId><xades:Identifier>http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin"
        "</xades:Identifier></xades:CommitmentTypeId><xades:AllSignedDataObjects/></xades:CommitmentTypeIndication>",
    )
    evidence = read(enveloped(world().signer, shape))
    (one,) = evidence.signatures
    assert sound(evidence)
    assert (one.form, one.level, one.field) == (Form.XADES, "XAdES-BASELINE-B", "sig")
    assert one.signer == world().signer.certificate
    assert one.claims.time == infrastructure.SIGNED
    assert (one.claims.policy, one.claims.place, one.claims.roles) == ("implied", "Tokyo, JP", ("Registrar",))
    assert one.claims.commitments == ("http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin",)
    assert one.claims.content_type == "text/xml"
    assert [(r.name, r.scope) for r in one.references] == [("whole document", Scope.FULL), ("signed properties", Scope.PARTIAL)]
    assert world().signer.certificate in evidence.certs
    assert evidence.uncovered == ()


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519", "rsa2048"])
def test_every_key_type(kind: str) -> None:
    party = infrastructure.signer(world().ca, key=kind)
    assert sound(read(enveloped(party)))


@pytest.mark.parametrize(
    "params", ["", '<p:RSAPSSParams xmlns:p="http://www.w3.org/2007/05/xmldsig-more#"><p:SaltLength>32</p:SaltLength></p:RSAPSSParams>']
)
def test_rsa_pss_with_parameters(params: str) -> None:
    party = infrastructure.signer(world().ca, key="rsa2048").with_pss()

    def parameters(element: Any) -> None:
        if params:
            element.find(f"{{{DS}}}SignedInfo/{{{DS}}}SignatureMethod").append(etree.fromstring(params))

    shape = Shape(algorithm="http://www.w3.org/2007/05/xmldsig-more#rsa-pss", edit=parameters)
    (one,) = read(enveloped(party, shape)).signatures
    assert intact(one)
    assert one.algorithm is not None
    assert (one.algorithm.scheme, one.algorithm.salt, one.algorithm.mgf_digest) == ("rsa-pss", 32, "sha256")


def test_unknown_pss_parameter_is_no_algorithm() -> None:
    party = infrastructure.signer(world().ca, key="rsa2048").with_pss()

    def trailer(element: Any) -> None:
        holder = element.find(f"{{{DS}}}SignedInfo/{{{DS}}}SignatureMethod")
        holder.append(
            etree.fromstring('<p:RSAPSSParams xmlns:p="http://www.w3.org/2007/05/xmldsig-more#"><p:TrailerField>2</p:TrailerField></p:RSAPSSParams>')
        )

    (one,) = read(enveloped(party, Shape(algorithm="http://www.w3.org/2007/05/xmldsig-more#rsa-pss", edit=trailer))).signatures
    assert one.algorithm is None
    assert not intact(one)


def test_detached_files_by_name_and_by_content() -> None:
    data = detached(world().signer, {"na%C3%AFve%20file.txt": b"one", "b.txt": b"two"})
    named = xades.read(Document.of(data), [Document.of(b"one", "naïve file.txt"), Document.of(b"two", "b.txt")])
    renamed = xades.read(Document.of(data), [Document.of(b"one", "x"), Document.of(b"two", "y")])
    assert sound(named)
    assert sound(renamed)


def test_detached_by_digest_alone() -> None:
    data = detached(world().signer, {"a.txt": b"one"})
    known = Document("a.txt", None, None, (Digest.of("sha256", b"one"),))
    (one,) = xades.read(Document.of(data), [known]).signatures
    assert intact(one)
    assert one.references[0].scope is Scope.DIGEST


@pytest.mark.parametrize("files", [[], [b"other"], [b"one", b"other"]])
def test_detached_file_missing_or_changed(files: list[bytes]) -> None:
    data = detached(world().signer, {"a.txt": b"two", "b.txt": b"one"})
    (one,) = xades.read(Document.of(data), [Document.of(f, f"{i}") for i, f in enumerate(files)]).signatures
    assert value_holds(one)
    assert not one.intact_references


def test_enveloping_object_in_base64() -> None:
    holder = f'<ds:Object xmlns:ds="{DS}" Id="o" Encoding="{DS}base64">{b64(b"plain text")}</ds:Object>'
    made = signature(world().signer, [Made("#o", b"plain text", transform(DS + "base64"), type=DS + "Object")], Shape(objects=holder))
    evidence = read(etree.tostring(made))
    assert sound(evidence)
    assert [d.read(100) for d in evidence.documents] == [b"plain text"]
    changed = etree.tostring(made).replace(b64(b"plain text").encode(), b64(b"plain texT").encode())
    assert not intact(read(changed).signatures[0])


def test_manifest_entries_are_references_and_those_not_given_are_told() -> None:
    entries = "".join(
        f'<ds:Reference URI="{name}"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<ds:DigestValue>{b64(Digest.of('sha256', data).value)}</ds:DigestValue></ds:Reference>"
        for name, data in (("a.txt", b"one"), ("b.txt", b"two"))
    )
    holder = f'<ds:Object xmlns:ds="{DS}"><ds:Manifest Id="m">{entries}</ds:Manifest></ds:Object>'
    octets = c14n(etree.fromstring(holder)[0])
    made = etree.tostring(signature(world().signer, [Made("#m", octets, EXCLUSIVE, type=DS + "Manifest")], Shape(objects=holder)))
    both = xades.read(Document.of(made), [Document.of(b"one", "a.txt"), Document.of(b"two", "b.txt")])
    assert sound(both)
    assert [r.name for r in both.signatures[0].references[:3]] == ["#m", "a.txt", "b.txt"]
    one = xades.read(Document.of(made), [Document.of(b"one", "a.txt")])
    assert intact(one.signatures[0])
    assert grave(one) == ["b.txt"]
    wrong = xades.read(Document.of(made), [Document.of(b"one", "a.txt"), Document.of(b"TWO", "b.txt")])
    assert not intact(wrong.signatures[0])


def test_two_signatures_side_by_side() -> None:
    root = etree.fromstring(PAPER)
    other = infrastructure.signer(world().ca, common="Other Seal")
    filtered = transform(XPATH, f'<ds:XPath xmlns:ds="{DS}">not(ancestor-or-self::ds:Signature)</ds:XPath>') + EXCLUSIVE
    made = [signature(p, [Made("", c14n(root), filtered)], Shape(id=f"s{i}")) for i, p in enumerate((world().signer, other))]
    evidence = read(inserted(PAPER, *made))
    assert sound(evidence)
    assert [s.signer for s in evidence.signatures] == [world().signer.certificate, other.certificate]


def countersigned(reference: str = "#sig-value") -> bytes:
    root = etree.fromstring(enveloped(world().signer))
    master = root[-1]
    other = infrastructure.signer(world().ca, common="Countersigner")
    value = master.find(f"{{{DS}}}SignatureValue")
    octets = c14n(value)
    counter = signature(other, [Made(reference, octets, EXCLUSIVE, type="http://uri.etsi.org/01903#CountersignedSignature")], Shape(id="counter"))
    etree.SubElement(unsigned_properties(master), f"{{{X132}}}CounterSignature").append(counter)
    return etree.tostring(root)


def test_counter_signature() -> None:
    evidence = read(countersigned())
    first, second = evidence.signatures
    assert sound(evidence)
    assert (first.countersigns, second.countersigns) == (None, first.id)


def test_counter_signature_of_something_else() -> None:
    """EN 319 132-1 clause 5.2.7.2: it must countersign the value of the signature in which it stands."""
    evidence = read(countersigned("#sig-sp"))
    assert not intact(evidence.signatures[1])
    assert intact(evidence.signatures[0])


def test_signature_over_nothing_but_its_own_properties() -> None:
    """XML Signature signs data: a signature whose references lead to its own parts alone signs none."""
    made = signature(world().signer, [])
    (one,) = read(etree.tostring(made)).signatures
    assert value_holds(one)
    assert [(r.name, r.intact) for r in one.references] == [("signed properties", True), ("signed data", False)]


def test_signed_document_inside_another_signature() -> None:
    inner = enveloped(world().signer)
    holder = f'<ds:Object xmlns:ds="{DS}" Id="o">{inner.decode()}</ds:Object>'
    outer = signature(world().signer, [Made("#o", c14n(etree.fromstring(holder)), EXCLUSIVE)], Shape(id="outer", objects=holder))
    evidence = read(etree.tostring(outer))
    assert [s.field for s in evidence.signatures] == ["outer", "sig"]
    assert intact(evidence.signatures[0])


def test_comments_belong_to_xpointers_and_not_to_bare_names() -> None:
    """XML Signature clause 4.4.3.3, with a canonicalisation that would keep them."""
    paper = PAPER.replace(b"<Title>", b"<!-- draft --><Title>")
    kept = transform(EXC + "WithComments")
    bare, whole = c14n(etree.fromstring(paper)), etree.tostring(etree.fromstring(paper), method="c14n", exclusive=True, with_comments=True)
    assert bare != whole
    for uri, octets in (("", bare), ("#paper", bare), ("#xpointer(/)", whole), ("#xpointer(id('paper'))", whole)):
        for other in (bare, whole):
            (one,) = read(inserted(paper, signature(world().signer, [Made(uri, other, ENVELOPED + kept)]))).signatures
            assert intact(one) == (other == octets), uri


# Levels and time-stamps


def test_levels_from_b_to_lta() -> None:
    stamper = infrastructure.stamper(world().tsu)
    b = enveloped(world().signer)
    root = etree.fromstring(b)
    add_signature_stamp(root[-1], stamper)
    lt, lta = long_term(world(), stamper), long_term(world(), stamper, infrastructure.stamper(world().tsu, infrastructure.CHECKED))
    levels = [read(data).signatures[0].level for data in (b, etree.tostring(root), lt, lta)]
    assert levels == ["XAdES-BASELINE-B", "XAdES-BASELINE-T", "XAdES-BASELINE-LT", "XAdES-BASELINE-LTA"]


def test_stamps_say_what_they_cover() -> None:
    lists = world().crls()
    evidence = read(lta(lists))
    first, archive = evidence.stamps
    (one,) = evidence.signatures
    assert (first.kind, archive.kind) == (StampKind.SIGNATURE, StampKind.ARCHIVE)
    assert first.intact
    assert archive.intact
    assert first.of == archive.of == one.id
    assert first.covers == {one.id, world().signer.certificate.id}
    assert archive.covers >= {one.id, first.token.id, *(c.id for c in world().certs), *(c.id for c in lists)}


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.find(f".//{{{X132}}}EncapsulatedCRLValue").getparent().remove(x.find(f".//{{{X132}}}EncapsulatedCRLValue")),
        lambda x: x.find(f".//{{{DS}}}KeyInfo").set("Id", "late"),
        lambda x: x.find("{urn:example:notice}Total").set("currency", "USD"),
        lambda x: x.find(f".//{{{X132}}}SigningTime").__setattr__("text", "2031-01-01T00:00:00Z"),
    ],
    ids=["a list is taken out", "the key element changes", "the paper changes", "the signed properties change"],
)
def test_archive_stamp_over_something_else_covers_nothing(change: Callable[[Any], None]) -> None:
    data = long_term(world(), infrastructure.stamper(world().tsu), infrastructure.stamper(world().tsu, infrastructure.CHECKED))
    root = etree.fromstring(data)
    change(root)
    archive = read(etree.tostring(root)).stamps[-1]
    assert not archive.intact
    assert archive.covers == frozenset()


@pytest.mark.parametrize(("space", "with_object"), [(X141, True), (X132, False)])
def test_archive_stamp_and_referenced_objects(space: str, *, with_object: bool) -> None:
    """TS 101 903 V1.3.2 clause 7.7.1 leaves out the ds:Objects that a reference names; EN 319 132-1 clause 5.5.2.2 takes them all."""
    holder = f'<ds:Object xmlns:ds="{DS}" Id="o"><Data>1</Data></ds:Object>'
    data = c14n(etree.fromstring(holder))
    made = signature(world().signer, [Made("#o", data, EXCLUSIVE, type=DS + "Object")], Shape(objects=holder))
    add_signature_stamp(made, infrastructure.stamper(world().tsu))
    octets = archive_octets(made, [data])
    if not with_object:
        octets = octets.removesuffix(data)
    add_stamp(made, "ArchiveTimeStamp", octets, infrastructure.stamper(world().tsu, infrastructure.CHECKED), space=space)
    assert [s.intact for s in read(etree.tostring(made)).stamps] == [True, True]


def test_archive_stamp_covers_counter_signatures_and_the_key_element() -> None:
    root = etree.fromstring(countersigned())
    made = root[-1]
    add_stamp(made, "ArchiveTimeStamp", archive_octets(made, [c14n(etree.fromstring(PAPER))]), infrastructure.stamper(world().tsu), space=X141)
    evidence = read(etree.tostring(root))
    (archive,) = evidence.stamps
    assert archive.intact
    assert archive.covers >= {
        *(s.id for s in evidence.signatures),
        *(s.signer.id for s in evidence.signatures if s.signer),
        world().ca.certificate.id,
    }


def test_renewal_covers_the_archive_stamp_before() -> None:
    tsu = world().tsu
    root = etree.fromstring(long_term(world(), infrastructure.stamper(tsu), infrastructure.stamper(tsu, infrastructure.CHECKED)))
    made = root[-1]
    add_stamp(
        made, "ArchiveTimeStamp", archive_octets(made, [c14n(etree.fromstring(PAPER))]), infrastructure.stamper(tsu, infrastructure.ENDED), space=X141
    )
    *_, before, renewed = read(etree.tostring(root)).stamps
    assert renewed.intact
    assert before.token.id in renewed.covers
    assert renewed.token.id not in before.covers


def with_references(digest: str = "sha256") -> tuple[bytes, Any]:
    """A signature of type X: references to the issuer's certificate and its list, and stamps over them."""
    crl = world().crls()[0]
    root = etree.fromstring(enveloped(world().signer))
    made = root[-1]
    add_values(made, [world().ca.certificate], [crl])
    values = list(unsigned_properties(made))
    method = f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{DIGESTS[digest].xml}"/>'

    def reference(data: bytes) -> str:
        value = Digest.of(digest, data).value if digest != "ripemd160" else bytes(20)
        return f'{method}<ds:DigestValue xmlns:ds="{DS}">{b64(value)}</ds:DigestValue>'

    certs = (
        f'<y:CompleteCertificateRefsV2 xmlns:y="{X141}"><y:CertRefs xmlns:x="{X132}"><x:Cert><x:CertDigest>{reference(world().ca.certificate.der)}'
        "</x:CertDigest></x:Cert></y:CertRefs></y:CompleteCertificateRefsV2>"
    )
    lists = (
        f'<x:CompleteRevocationRefs xmlns:x="{X132}"><x:CRLRefs><x:CRLRef><x:DigestAlgAndValue>{reference(crl.der)}</x:DigestAlgAndValue>'
        "</x:CRLRef></x:CRLRefs></x:CompleteRevocationRefs>"
    )
    holder = unsigned_properties(made)
    add_signature_stamp(made, infrastructure.stamper(world().tsu))
    for text in (certs, lists):
        holder.append(etree.fromstring(text))
    stamp, *refs = [p for p in holder if p not in values]
    over = b"".join(map(c14n, refs))
    stamper = infrastructure.stamper(world().tsu, infrastructure.CHECKED)
    add_stamp(made, "RefsOnlyTimeStampV2", over, stamper, space=X141)
    add_stamp(made, "SigAndRefsTimeStampV2", c14n(made.find(f"{{{DS}}}SignatureValue")) + c14n(stamp) + over, stamper, space=X141)
    return etree.tostring(root), crl


def test_stamps_over_references_cover_what_the_digests_name() -> None:
    data, crl = with_references()
    evidence = read(data)
    (one,) = evidence.signatures
    signed, refs, both = evidence.stamps
    assert [s.kind for s in evidence.stamps] == [StampKind.SIGNATURE, StampKind.REFERENCES, StampKind.VALIDATION_DATA]
    assert all(s.intact for s in evidence.stamps)
    assert refs.covers == {world().ca.certificate.id, crl.id}
    assert both.covers >= {one.id, signed.token.id, *refs.covers}
    assert one.level in ("XAdES-X", "XAdES-XL")


def test_references_by_a_digest_that_is_not_available_name_nothing() -> None:
    data, _ = with_references("ripemd160")
    assert read(data).stamps[1].covers == frozenset()


def test_properties_of_which_a_filter_takes_a_part_are_not_signed() -> None:
    """The digest matches, and the time is nobody's."""

    def filtered(element: Any) -> None:
        reference = element.find(f"{{{DS}}}SignedInfo")[-1]
        inside = transform(XPATH, "<ds:XPath>not(ancestor-or-self::xades:SigningTime)</ds:XPath>")
        reference.replace(reference[0], etree.fromstring(f'<ds:Transforms xmlns:ds="{DS}">{inside}{EXCLUSIVE}</ds:Transforms>'))

    def redo(element: Any) -> None:
        properties = copy.deepcopy(element.find(f".//{{{X132}}}SignedProperties"))
        group = properties[0]
        group.remove(group.find(f"{{{X132}}}SigningTime"))
        element.find(f"{{{DS}}}SignedInfo")[-1].find(f"{{{DS}}}DigestValue").text = b64(Digest.of("sha256", c14n(properties)).value)
        finish(element, world().signer)

    (one,) = read(enveloped(world().signer, Shape(edit=filtered, late=redo))).signatures
    assert intact(one)
    assert one.claims.time is None
    assert one.signer_reference.count == 0
    assert any(d.fatal for d in one.defects)


def test_a_stamp_with_unreadable_token_is_a_remark() -> None:
    root = etree.fromstring(enveloped(world().signer))
    add_signature_stamp(root[-1], lambda _: b"rubbish")
    (one,) = read(etree.tostring(root)).signatures
    assert one.level == "XAdES-BASELINE-B"
    assert [d.fatal for d in one.defects] == [False]


def content_stamped(*, include: str = "sig-r0", referenced: str = ' referencedData="true"', individual: bool = True) -> bytes:
    imprint = Digest.of("sha256", c14n(etree.fromstring(PAPER)))
    name = "IndividualDataObjectsTimeStamp" if individual else "AllDataObjectsTimeStamp"
    inside = f'<xades:Include URI="#{include}"{referenced}/>' if individual else ""
    stamp = (
        f'<xades:{name}>{inside}<ds:CanonicalizationMethod Algorithm="{EXC}"/>'
        f"<xades:EncapsulatedTimeStamp>{b64(infrastructure.token(world().tsu, imprint))}</xades:EncapsulatedTimeStamp></xades:{name}>"
    )
    return enveloped(world().signer, Shape(data_properties=stamp))


@pytest.mark.parametrize("individual", [True, False])
def test_content_stamps(*, individual: bool) -> None:
    evidence = read(content_stamped(individual=individual))
    assert sound(evidence)
    assert [(s.kind, s.intact) for s in evidence.stamps] == [(StampKind.CONTENT, True)]


@pytest.mark.parametrize("change", [{"include": "sig-sp"}, {"referenced": ""}, {"include": "nothing"}])
def test_content_stamp_that_includes_no_signed_data(change: dict[str, str]) -> None:
    (stamp,) = read(content_stamped(**change)).stamps
    assert not stamp.intact
    assert stamp.covers == frozenset()


# Attacks, each with its lawful twin


def boxed(inner: str, *, decoy: str = "") -> tuple[bytes, Any]:
    """A signed element inside an envelope, the signature beside it."""
    root = etree.fromstring(f'<Envelope xmlns="urn:example:box">{decoy}{inner}</Envelope>')
    return etree.tostring(root), root


def sealed_part(decoy: str = "") -> Any:
    part = '<Body xmlns="urn:example:box" Id="body"><Pay>10</Pay></Body>'
    _, root = boxed(part, decoy=decoy)
    body = root.find("{urn:example:box}Body[@Id='body']")
    root.append(signature(world().signer, [Made("#body", c14n(body), EXCLUSIVE)]))
    return root


def test_part_alone_in_its_envelope_is_sound() -> None:
    assert sound(read(etree.tostring(sealed_part())))


def test_decoy_beside_the_signed_element_is_told() -> None:
    evidence = read(etree.tostring(sealed_part('<Body Id="other"><Pay>99999</Pay></Body>')))
    assert intact(evidence.signatures[0])
    assert grave(evidence) == ["/Envelope/Body"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r.set("total", "5"), "/Envelope/@total"),
        (lambda r: r.__setattr__("text", "pay 99"), "/Envelope"),
        (lambda r: r[-1].append(etree.fromstring(f'<ds:Object xmlns:ds="{DS}"><Pay>9</Pay></ds:Object>')), "/Envelope/Signature/Object/Pay"),
        (lambda r: r[-1].append(etree.fromstring("<Pay>9</Pay>")), "/Envelope/Signature/Pay"),
        (lambda r: r.addprevious(etree.ProcessingInstruction("xml-stylesheet", 'href="evil.xsl"')), "xml-stylesheet"),
        (
            lambda r: r.append(etree.fromstring(f'<x:Any xmlns:x="{X132}"><ds:Signature xmlns:ds="{DS}"><Pay>9</Pay></ds:Signature></x:Any>')),
            "/Envelope/Any/Signature/Pay",
        ),
    ],
    ids=["attribute", "text", "unsigned ds:Object", "stranger in the signature", "style sheet", "content dressed as a signature"],
)
def test_what_is_added_around_the_signed_element_is_told(change: Callable[[Any], None], told: str) -> None:
    root = sealed_part()
    change(root)
    evidence = xades.read(Document.of(etree.tostring(root.getroottree())))
    assert told in grave(evidence)


def test_wrapped_original_and_a_decoy_with_the_same_id() -> None:
    """Duplicate Ids: which of the two was signed is anybody's guess, so neither is."""
    root = sealed_part()
    original = root[0]
    hidden = etree.SubElement(root, "Hidden")
    root.replace(original, etree.fromstring('<Body xmlns="urn:example:box" Id="body"><Pay>99999</Pay></Body>'))
    hidden.append(original)
    (one,) = read(etree.tostring(root)).signatures
    assert value_holds(one)
    assert not one.references[0].found


def test_wrapped_original_and_a_decoy_in_its_place() -> None:
    root = sealed_part()
    original = root[0]
    root.replace(original, etree.fromstring('<Body xmlns="urn:example:box" Id="fake"><Pay>99999</Pay></Body>'))
    holder = etree.SubElement(root[-1], f"{{{DS}}}Object")
    holder.append(original)
    evidence = read(etree.tostring(root))
    assert intact(evidence.signatures[0])
    assert grave(evidence) == ["/Envelope/Body"]


@pytest.mark.parametrize("spelling", ["Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id"])
def test_ids_in_every_spelling_and_doubled_across_spellings(spelling: str) -> None:
    root = sealed_part()
    other = copy.deepcopy(root)
    etree.SubElement(other, "Other").set(spelling, "body")
    assert intact(read(etree.tostring(root)).signatures[0])
    assert not intact(read(etree.tostring(other)).signatures[0])


def moved_properties(element: Any) -> None:
    """The signed properties stand elsewhere, and forged ones of another Id in their place."""
    qualifying = element.find(f".//{{{X132}}}QualifyingProperties")
    genuine = qualifying[0]
    forged = copy.deepcopy(genuine)
    forged.set("Id", "forged")
    forged.find(f".//{{{X132}}}SigningTime").text = "2001-01-01T00:00:00Z"
    qualifying.replace(genuine, forged)
    etree.SubElement(element, f"{{{DS}}}Object").append(genuine)


def test_moved_signed_properties() -> None:
    (one,) = read(enveloped(world().signer, Shape(late=moved_properties))).signatures
    assert value_holds(one)
    assert not one.intact_references
    assert one.claims.time is None
    assert one.signer_reference.count == 0


def test_properties_that_no_reference_covers_claim_nothing() -> None:
    (one,) = read(enveloped(world().signer, Shape(properties_reference=False))).signatures
    assert one.claims.time is None
    assert any(d.fatal for d in one.defects)


def test_properties_reached_without_its_type_still_count() -> None:
    def untyped(element: Any) -> None:
        del element.find(f"{{{DS}}}SignedInfo")[-1].attrib["Type"]

    (one,) = read(enveloped(world().signer, Shape(edit=untyped))).signatures
    assert intact(one)
    assert one.claims.time == infrastructure.SIGNED


@pytest.mark.parametrize("target", ["#other", "sig", "sig-sp", "#", "#sig-sp", "#Sig "])
def test_wrong_target(target: str) -> None:
    """EN 319 132-1 clause 4.3.1; EU DSS lets it pass."""
    (one,) = read(enveloped(world().signer, Shape(target=target))).signatures
    assert any(d.fatal and "Target" in d.why for d in one.defects)


@pytest.mark.parametrize("target", ["#SIG", "#Sig"])
def test_target_that_can_mean_no_other(target: str) -> None:
    (one,) = read(enveloped(world().signer, Shape(target=target))).signatures
    assert [d.fatal for d in one.defects] == [False]
    root = etree.fromstring(enveloped(world().signer, Shape(target="#SIG")))
    etree.SubElement(root, "Other").set("Id", "SIG")
    assert any(d.fatal for d in read(etree.tostring(root)).signatures[0].defects)


def test_second_qualifying_properties() -> None:
    def doubled(element: Any) -> None:
        holder = element.find(f".//{{{X132}}}QualifyingProperties").getparent()
        holder.append(etree.fromstring(f'<q:QualifyingProperties xmlns:q="{X132}" Target="#sig"/>'))

    (one,) = read(enveloped(world().signer, Shape(late=doubled))).signatures
    assert any(d.fatal for d in one.defects)


def test_another_certificate_in_the_key_info() -> None:
    other = infrastructure.signer(world().ca, common="Somebody Else")
    (one,) = read(enveloped(world().signer, Shape(key_info=(other.certificate,)))).signatures
    assert one.signer_reference.digest_matches is False
    assert not value_holds(one)


def test_signer_is_the_one_who_is_named_even_where_the_value_is_broken() -> None:
    """Candidates in any order, and a value that fits none of them."""

    def broken(element: Any) -> None:
        element.find(f"{{{DS}}}SignatureValue").text = b64(bytes(64))

    chain = (world().ca.certificate, world().root.certificate, world().signer.certificate)
    for late in (None, broken):
        (one,) = read(enveloped(world().signer, Shape(key_info=chain, late=late))).signatures
        assert one.signer == world().signer.certificate
        assert one.signer_reference.digest_matches is True
        assert value_holds(one) == (late is None)


_TIME = "<xades:SigningTime>2025-01-01T00:00:00Z</xades:SigningTime>"
_IMPLIED = "<xades:SignaturePolicyIdentifier><xades:SignaturePolicyImplied/></xades:SignaturePolicyIdentifier>"
_PLACE = "<xades:SignatureProductionPlaceV2><xades:City>Tokyo</xades:City></xades:SignatureProductionPlaceV2>"
_OLD_PLACE = "<xades:SignatureProductionPlace><xades:City>Osaka</xades:City></xades:SignatureProductionPlace>"


@pytest.mark.parametrize(
    ("properties", "refused"),
    [(_TIME, True), (_IMPLIED, False), (_IMPLIED * 2, True), (_PLACE, False), (_PLACE + _OLD_PLACE, True), (_IMPLIED + _PLACE, False)],
    ids=["two-times", "policy", "two-policies", "place", "two-places", "both"],
)
def test_signed_properties_say_one_thing(properties: str, refused: bool) -> None:
    (one,) = read(enveloped(world().signer, Shape(properties=properties))).signatures
    assert value_holds(one) and bool(fatal(one)) is refused


def test_a_second_group_of_signed_properties() -> None:
    def doubled(element: Any) -> None:
        properties = element.find(f".//{{{X132}}}SignedProperties")
        properties.append(etree.fromstring(f'<q:SignedSignatureProperties xmlns:q="{X132}"/>'))

    (one,) = read(enveloped(world().signer, Shape(edit=doubled))).signatures
    assert value_holds(one) and fatal(one)


@pytest.mark.parametrize("own", [True, False])
def test_another_key_beside_the_certificate(*, own: bool) -> None:
    w = world()
    key = (w.signer if own else w.ca).certificate.public_key
    assert key is not None
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def beside(element: Any) -> None:
        holder = etree.SubElement(element.find(f"{{{DS}}}KeyInfo"), "{http://www.w3.org/2009/xmldsig11#}DEREncodedKeyValue")
        holder.text = b64(der)

    (one,) = read(enveloped(w.signer, Shape(late=beside))).signatures
    assert value_holds(one) and bool(fatal(one)) is not own


@pytest.mark.parametrize(
    ("sloppy", "refused"),
    [
        (lambda text: text[:-3] + chr(ord(text[-3]) + 1) + "==", True),
        (lambda text: "\n  ".join((text[:40], text[40:])), False),
    ],
    ids=["bits", "lines"],
)
def test_base64_has_one_text_for_its_octets(sloppy: Callable[[str], str], refused: bool) -> None:
    def changed(element: Any) -> None:
        value = element.find(f"{{{DS}}}SignatureValue")
        assert value.text.endswith("==")
        value.text = sloppy(value.text)

    (one,) = read(enveloped(world().signer, Shape(late=changed))).signatures
    assert value_holds(one) and bool(fatal(one)) is refused


def test_two_signing_certificate_properties() -> None:
    twice = signing_certificate(world().signer.certificate) * 2
    evidence = read(enveloped(world().signer, Shape(signing_certificate=twice)))
    assert evidence.signatures[0].signer_reference.count == 2
    assert evidence.signatures[0].level == "XML-NOT-ETSI"


def with_transforms(transforms: str, octets: bytes, uri: str = "") -> Evidence:
    return read(inserted(PAPER, signature(world().signer, [Made(uri, octets, transforms)])))


def xpath(expression: str) -> str:
    return transform(XPATH, f'<ds:XPath xmlns:ds="{DS}" xmlns:n="urn:example:notice">{expression}</ds:XPath>') + EXCLUSIVE


def test_filter_that_keeps_the_whole_paper_is_sound() -> None:
    assert sound(with_transforms(xpath("not(ancestor-or-self::ds:Signature)"), c14n(etree.fromstring(PAPER))))
    assert sound(with_transforms(xpath("not(ancestor-or-self::ds:Signature) and true()"), c14n(etree.fromstring(PAPER))))


def test_filter_that_selects_nothing_covers_nothing() -> None:
    for expression in ("false()", "self::comment()", "ancestor-or-self::nothing"):
        evidence = with_transforms(xpath(expression), b"")
        assert not intact(evidence.signatures[0]), expression
    filtered = transform(
        FILTER2, f'<f:XPath xmlns:f="{FILTER2}" Filter="intersect">//*[local-name() = "nothing"]</f:XPath>'.replace('"nothing"', "'nothing'")
    )
    assert not intact(with_transforms(filtered + EXCLUSIVE, b"").signatures[0])


def test_filter_that_drops_a_field_is_told() -> None:
    kept = etree.fromstring(PAPER)
    kept.remove(kept[1])
    evidence = with_transforms(xpath("not(ancestor-or-self::ds:Signature or ancestor-or-self::n:Total)"), c14n(kept))
    assert intact(evidence.signatures[0])
    assert grave(evidence) == ["/Notice/Total"]


def test_filter_that_drops_an_attribute_or_text_is_told() -> None:
    kept = etree.fromstring(PAPER)
    del kept[1].attrib["currency"]
    bare = with_transforms(xpath("not(ancestor-or-self::ds:Signature) and not(self::node()[name() = 'currency'])"), c14n(kept))
    assert intact(bare.signatures[0])
    assert grave(bare) == ["/Notice/Total/@currency"]
    kept = etree.fromstring(PAPER)
    kept[1].text = None
    silent = with_transforms(xpath("not(ancestor-or-self::ds:Signature) and not(self::text()[. = '1000'])"), c14n(kept))
    assert intact(silent.signatures[0])
    assert grave(silent) == ["/Notice/Total"]


def test_filter_after_canonicalisation_hides_nothing() -> None:
    """What a filter leaves of a document parsed anew cannot be told: nothing of this one counts as covered."""
    inside = transform(XPATH, "<ds:XPath>self::text() and parent::*[local-name() = 'Title']</ds:XPath>")
    evidence = with_transforms(ENVELOPED + EXCLUSIVE + inside + EXCLUSIVE, b"Seal")
    assert intact(evidence.signatures[0])
    assert "/Notice/Total" in grave(evidence)


def test_base64_covers_text_and_no_structure() -> None:
    paper = f'<N><T a="1">{b64(b"hello!")}</T></N>'.encode()
    text = transform(XPATH, "<ds:XPath>self::text() and parent::T</ds:XPath>")
    evidence = read(inserted(paper, signature(world().signer, [Made("", b"hello!", text + transform(DS + "base64"))])))
    assert intact(evidence.signatures[0])
    assert grave(evidence)


@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/2001/WD-xptr-20010108",
        "urn:example:unknown",
        "http://www.w3.org/2000/09/xmldsig#",
    ],
)
def test_transforms_that_are_not_applied(algorithm: str) -> None:
    (one,) = with_transforms(transform(algorithm), c14n(etree.fromstring(PAPER))).signatures
    assert (one.references[0].found, one.references[0].intact) == (True, False)
    assert any("transform" in d.why for d in one.defects)


@pytest.mark.parametrize(
    "expression",
    [
        "count(//*[count(//*[count(//*[count(//*)])])])",
        "//*[//*[//*[//*[//*[//*[//*]]]]]] and " * 20 + "true()",
        "(" * 200 + "1" + ")" * 200,
        "a" * 5000,
        "concat(string(/),string(/),string(/),string(/),string(/),string(/))",
        "document('http://127.0.0.1:9/')",
        "$variable",
        "1 div",
        "//n:Title[",
        "undeclared:Title",
    ],
)
def test_xpath_bombs_and_rubbish(expression: str) -> None:
    paper = "<N>" + "<T>x</T>" * 300 + "</N>"
    made = signature(world().signer, [Made("", b"", xpath(expression.replace("<", "&lt;")))])
    assert not intact(read(inserted(paper.encode(), made)).signatures[0])


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/paper.xml", "file:///etc/passwd", "//host/share", "ftp://x/y", "../../etc/passwd"])
def test_external_references_are_asked_of_the_caller_and_never_fetched(uri: str) -> None:
    asked: list[str | None] = []
    data = detached(world().signer, {uri: b"x"})

    def resolve(name: str | None) -> Document | None:
        asked.append(name)
        return None

    (one,) = xades.signatures(data, resolve).signatures
    assert not one.references[0].found
    assert asked[0] == uri


@pytest.mark.parametrize("uri", ["#xpointer(/Notice)", "#xpointer(id('a')/b)", "#element(/1)", "#", "#nothing"])
def test_pointers_that_are_not_followed(uri: str) -> None:
    evidence = with_transforms(ENVELOPED + EXCLUSIVE, c14n(etree.fromstring(PAPER)), uri)
    assert not evidence.signatures[0].references[0].found


@pytest.mark.parametrize("uri", ["", "#paper", "#xpointer(/)", "#xpointer(id('paper'))"])
def test_pointers_that_are(uri: str) -> None:
    assert sound(with_transforms(ENVELOPED + EXCLUSIVE, c14n(etree.fromstring(PAPER)), uri))


BOMBS = {
    "entities": b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;&b;</a>',
    "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "external subset": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
    "plain doctype": b"<!DOCTYPE a><a/>",
    "doctype after a comment": b"<!-- x --><?p i?>\n<!DOCTYPE a><a/>",
    "doctype in utf-16": "<!DOCTYPE a><a/>".encode("utf-16"),
    "depth": b"<a>" * 5000 + b"</a>" * 5000,
    "depth within libxml2's limit": b"<a>" * 230 + b"</a>" * 230,
    "attributes": b"<a " + b" ".join(b'a%d="1"' % i for i in range(3000)) + b"/>",
    "elements": b"<a>" + b"<b/>" * 1_100_000 + b"</a>",
    "namespaces": b"<a " + b" ".join(b'xmlns:p%d="u:%d"' % (i, i) for i in range(300)) + b"/>",
    "namespaces on the way down": b"".join(b"<a xmlns:p%d='u' xmlns:q%d='u'>" % (i, i) for i in range(150)) + b"</a>" * 150,
    "cut off": PAPER[:-4],
    "two roots": PAPER + PAPER,
    "no xml": b"hello",
    "empty": b"",
    "nul": b"<a>\x00</a>",
    "undeclared entity": b"<a>&x;</a>",
    "unbound prefix": b"<p:a/>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_malformed(name: str) -> None:
    with pytest.raises(Malformed):
        read(BOMBS[name])


def test_many_namespaces_one_after_another_are_lawful() -> None:
    read(b"<a>" + b"".join(b"<b xmlns:p%d='u:x' p%d:y='1'/>" % (i, i) for i in range(1000)) + b"</a>")


def test_lawful_odd_encodings() -> None:
    for data in (
        "<?xml version='1.0' encoding='UTF-16'?><a>é</a>".encode("utf-16"),
        "<?xml version='1.0' encoding='Shift_JIS'?><a>角印</a>".encode("shift_jis"),
    ):
        assert read(data).signatures == ()


def test_ten_thousand_signatures() -> None:
    with pytest.raises(Malformed, match="signatures"):
        read(b"<a>" + b"<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/>" * 10_000 + b"</a>")


def test_the_same_data_asked_for_over_and_over() -> None:
    """References to each of many elements around the same large text: time must not grow with their product."""
    digest = f'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>{b64(bytes(32))}</ds:DigestValue>'
    rows = "".join(f'<ds:Reference URI="#n{i}">{digest}</ds:Reference>' for i in range(150))
    nested = "".join(f'<b Id="n{i}">' for i in range(150)) + "x" * 1_000_000 + "</b>" * 150
    data = (
        f'<a xmlns:ds="{DS}">{nested}<ds:Signature><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXC}"/>'
        f'<ds:SignatureMethod Algorithm="urn:x"/>{rows}</ds:SignedInfo><ds:SignatureValue/></ds:Signature></a>'
    )
    with pytest.raises(Malformed, match="over and over"):
        read(data.encode())


def test_many_filters_share_one_budget() -> None:
    """A thousand references, each with a filter that is lawful alone: they end together."""
    paper = b"<N>" + b"<T>x</T>" * 200 + b"</N>"
    slow = transform(XPATH, "<ds:XPath>count(//*) &gt; 0 and not(ancestor-or-self::*[local-name() = 'Signature'])</ds:XPath>") + EXCLUSIVE
    made = signature(world().signer, [Made("", b"", slow)] * 100)
    (one,) = read(inserted(paper, made)).signatures
    assert any("steps" in d.why for d in one.defects)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_files_are_malformed_or_read(data: st.DataObject) -> None:
    raw = bytearray(lta())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "double", "swap"])):
            case "flip":
                raw[at] = data.draw(st.integers(0, 255))
            case "cut":
                del raw[at : at + data.draw(st.integers(1, 40))]
            case "double":
                raw[at:at] = raw[at : at + data.draw(st.integers(1, 200))]
            case _:
                raw[at : at + 1] = data.draw(st.sampled_from([b"<", b">", b"&", b'"', b"#", b"/", b"Id", b"ds:", b"xades:"]))
        if not raw:
            return
    try:
        evidence = read(bytes(raw))
    except Malformed:
        return
    assert isinstance(evidence, Evidence)


@functools.cache
def lta(crls: tuple[Crl, ...] = ()) -> bytes:
    tsu = world().tsu
    return long_term(world(), infrastructure.stamper(tsu), infrastructure.stamper(tsu, infrastructure.CHECKED), crls=crls or None)


# Independent hands


def test_xmlsec_agrees_on_what_we_read(tmp_path: Path) -> None:
    """The maker and libxmlsec1 agree, so the reader is held against both."""
    path, anchor = tmp_path / "paper.xml", tmp_path / "root.pem"
    path.write_bytes(enveloped(infrastructure.signer(world().ca, key="rsa2048")))
    anchor.write_bytes(world().root.certificate.x509.public_bytes(Encoding.PEM))
    ids = [f"--id-attr:Id={X132}:SignedProperties", "--id-attr:Id", f"{X132}:SignedProperties"][1:]
    done = subprocess.run(
        [program("xmlsec1"), "--verify", "--trusted-pem", str(anchor), "--verification-time", "2025-03-01 09:00:00", *ids, str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sound(read(path.read_bytes()))


def test_what_xmlsec_signs(tmp_path: Path) -> None:
    """An XML Signature made by libxmlsec1 with inclusive C14N 1.1 of a part that inherits from its ancestors."""
    party = infrastructure.signer(world().ca, key="rsa2048")
    template = (
        f'<a xml:lang="ja" xml:base="http://example.test/x/" xmlns:q="urn:q"><b xml:base="y/"><c Id="part" q:k="1">角印</c></b>'
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"/>'
        f'<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><ds:Reference URI="#part"><ds:Transforms>'
        f'<ds:Transform Algorithm="http://www.w3.org/2006/12/xml-c14n11"/></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/>'
        f"<ds:KeyInfo><ds:X509Data/></ds:KeyInfo></ds:Signature></a>"
    )
    (tmp_path / "key.pem").write_bytes(party.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "cert.pem").write_bytes(party.certificate.x509.public_bytes(Encoding.PEM))
    (tmp_path / "template.xml").write_text(template)
    done = subprocess.run(
        [program("xmlsec1"), "--sign", "--privkey-pem", "key.pem,cert.pem", "--id-attr:Id", "c", "template.xml"],
        capture_output=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    (one,) = read(done.stdout).signatures
    assert one.level == "XML-NOT-ETSI"
    assert intact(one)
    tampered = done.stdout.replace(b'xml:lang="ja"', b'xml:lang="en"')
    assert not intact(read(tampered).signatures[0])


# The corpora


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    return {r["id"]: r for r in map(json.loads, (folder / "manifest.jsonl").read_text().splitlines()) if r["format"] in ("XAdES", "DDOC")}


def given_beside(folder: Path, row: dict[str, Any]) -> list[Document]:
    names = (row.get("context") or {}).get("detached_names") or []
    found = []
    for i, path in enumerate(row["detached"] or []):
        name = names[i] if i < len(names) and names[i] else Path(path).name
        found.append(Document.of((folder / path).read_bytes(), name))
    return found


def token_holds(one: Any) -> bool:
    return one.intact and intact(one.token.signature)


def read_rows(folder: Path) -> dict[str, Evidence | None]:
    made: dict[str, Evidence | None] = {}
    for name, row in rows(folder).items():
        try:
            made[name] = xades.read(Document.of((folder / row["file"]).read_bytes()), given_beside(folder, row))
        except Malformed:
            made[name] = None
    return made


@functools.cache
def figures(corpus: str) -> Counter[str]:
    """How often the reader and EU DSS say the same of each signature and stamp, and how often we call intact what nobody does."""
    folder = SHARED / corpus
    read_ = read_rows(folder)
    count: Counter[str] = Counter()
    seen = set()
    for line in (folder / "worlds.jsonl").read_text().splitlines():
        entry = json.loads(line)
        name = entry["id"]
        if name not in read_ or name in seen or "error" in entry["dss"]:
            continue
        seen.add(name)
        if (rows(folder)[name].get("context") or {}).get("detached_evidence_records"):
            continue  # what stands beside the file is not this reader's
        evidence, dss = read_[name], entry["dss"]
        ours = evidence.signatures if evidence is not None else ()
        for figure, mine, theirs in (
            ("level", [s.level for s in ours], [s["level"] for s in dss["signatures"]]),
            ("intact", [intact(s) for s in ours], [s["intact"] for s in dss["signatures"]]),
            ("stamps", [token_holds(s) for s in (evidence.stamps if evidence else ())], [t["intact"] for t in dss["timestamps"]]),
            ("records", [r.intact for r in (evidence.records if evidence else ())], [r["intact"] for r in dss["evidence_records"]]),
        ):
            count[figure] += sum((Counter(mine) & Counter(theirs)).values())
            count[f"{figure} of"] += max(len(mine), len(theirs))
        want = rows(folder)[name]["expected"].get("intact")
        if want is False and any(map(intact, ours)) and not any(s["intact"] for s in dss["signatures"]):
            count["false intact"] += 1
    return count


@needs_shared
@pytest.mark.parametrize(("corpus", "figure", "floor"), [
    ("corpus", "level", 0.99), ("corpus", "intact", 0.995), ("corpus", "stamps", 0.98), ("corpus", "records", 0.86),
    ("forged", "level", 1.0), ("forged", "intact", 1.0), ("forged", "stamps", 0.98),
])  # fmt: skip
def test_figures_against_eu_dss(corpus: str, figure: str, floor: float) -> None:
    count = figures(corpus)
    assert count[f"{figure} of"] > (15 if figure == "records" else 60)
    assert count[figure] >= floor * count[f"{figure} of"], count


@needs_shared
def test_nothing_is_intact_that_the_makers_and_dss_call_broken() -> None:
    assert figures("corpus")["intact of"] > 100
    assert figures("corpus")["false intact"] == 0


@needs_shared
def test_sound_forged_files_leave_nothing_uncovered() -> None:
    evidence = [e for n, e in read_rows(SHARED / "forged").items() if ".sound" in n or ".renewed" in n]
    assert len(evidence) > 20
    for one in evidence:
        assert one is not None
        assert all(intact(s) for s in one.signatures)


def test_finish_signs_what_stands_there() -> None:
    """The maker itself: a signature value over another SignedInfo is seen to be wrong."""
    element = etree.fromstring(enveloped(world().signer))[-1]
    element.find(f"{{{DS}}}SignedInfo")[0].set("Id", "changed")
    assert not value_holds(read(etree.tostring(element)).signatures[0])
    finish(element, world().signer)
    assert value_holds(read(etree.tostring(element)).signatures[0])
