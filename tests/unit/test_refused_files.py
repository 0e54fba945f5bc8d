"""Whole files that a clause refuses, each beside a lawful twin: no plain pass under the policy `eu`, whatever the key signed."""

import copy
import functools
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from lxml import etree

from tests import asic_maker, jades_maker, pki
from tests.envelopes import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SIGNED_DATA,
    SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
    algorithm,
    attribute,
    ess_v2,
    integer,
    octets,
    oid,
    seq,
    signer_info,
    usual_attributes,
)
from tests.jades_maker import b64url, dumps, flattened
from tests.refused import passes, world
from tests.xades_maker import DS, SHA256, X132, Shape, b64, digest, enveloped, unsigned_properties
from trust.algorithms import DIGESTS, OID_BY_SIGNATURE
from trust.codecs.asn1 import context, tlv
from trust.model import Digest

CONTENT = b"content\n"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
Edit = Callable[[Any], Any]


# XML: the frame of a signature, and what ds:KeyInfo says


def described(name: str, inside: str, space: str = DS, attributes: str = "") -> Edit:
    """More in ds:X509Data."""
    return lambda e: e.find(f".//{{{DS}}}X509Data").append(etree.fromstring(f'<d:{name} xmlns:d="{space}" {attributes}>{inside}</d:{name}>'))


def numbered(add: int = 0, issuer: str = "CN=Example Issuing CA,O=Example,C=JP") -> Edit:
    number = world().signer.certificate.serial + add
    return described("X509IssuerSerial", f"<d:X509IssuerName>{issuer}</d:X509IssuerName><d:X509SerialNumber>{number}</d:X509SerialNumber>")


def subject() -> str:
    return str(world().signer.certificate.x509.subject.rfc4514_string())


DSIG11 = "http://www.w3.org/2009/xmldsig11#"


@pytest.mark.parametrize(
    ("edit", "lawful"),
    [
        (numbered, True),
        (lambda: numbered(1), False),
        (lambda: numbered(issuer="CN=Somebody"), False),
        (lambda: described("X509SubjectName", subject()), True),
        (lambda: described("X509SubjectName", "CN=Somebody"), False),
        (lambda: described("X509Digest", digest(world().signer.certificate.der), DSIG11, f'Algorithm="{SHA256}"'), True),
        (lambda: described("X509Digest", b64(bytes(32)), DSIG11, f'Algorithm="{SHA256}"'), False),
        (lambda: described("X509SKI", b64(b"another")), False),
        (lambda: described("Note", "of a namespace of its own", "urn:example:note"), True),
    ],
    ids=["serial", "other-serial", "other-issuer", "subject", "other-subject", "digest", "other-digest", "other-key-identifier", "note"],
)
def test_what_key_info_says_is_of_the_signer(edit: Callable[[], Edit], lawful: bool) -> None:
    assert passes(enveloped(world().signer, Shape(edit=edit()))) is lawful


FRAME = ["SignedInfo", "Reference", "Transforms", "X509Data"]
PROPERTIES = ["QualifyingProperties", "SignedProperties", "SignedSignatureProperties", "SignedDataObjectProperties", "DataObjectFormat"]
PLACES = {name: f".//{{{DS}}}{name}" for name in FRAME} | {name: f".//{{{X132}}}{name}" for name in PROPERTIES} | {"Signature": "."}


def written(place: str) -> Edit:
    def edit(made: Any) -> None:
        holder = made.find(place)
        holder.text = f"{holder.text or ''}and so"

    return edit


def marked(place: str) -> Edit:
    return lambda made: made.find(place).set("Note", "x")


def joined(place: str) -> Edit:
    """An element of the same namespace that no schema knows."""

    def edit(made: Any) -> None:
        holder = made.find(place)
        etree.SubElement(holder, f"{{{etree.QName(holder).namespace}}}Note")

    return edit


def spaced(place: str) -> Edit:
    def edit(made: Any) -> None:
        holder = made.find(place)
        holder.text = f"{holder.text or ''}\n  "

    return edit


@pytest.mark.parametrize("place", PLACES)
def test_a_frame_holds_no_text_and_no_stranger(place: str) -> None:
    where = PLACES[place]
    assert passes(enveloped(world().signer, Shape(edit=spaced(where))))
    assert not passes(enveloped(world().signer, Shape(edit=written(where))))
    assert not passes(enveloped(world().signer, Shape(edit=marked(where))))
    assert not passes(enveloped(world().signer, Shape(edit=joined(where))))


def to_front(name: str) -> Edit:
    return lambda made: made.insert(0, made.find(f"{{{DS}}}{name}"))


def twisted(made: Any) -> None:
    reference = made.find(f".//{{{DS}}}Reference")
    reference.append(reference.find(f"{{{DS}}}DigestMethod"))


@pytest.mark.parametrize("edit", [to_front("KeyInfo"), to_front("Object"), twisted], ids=["key first", "object first", "method last"])
def test_the_parts_of_a_frame_have_an_order(edit: Edit) -> None:
    assert not passes(enveloped(world().signer, Shape(edit=edit)))


def committed(inside: str) -> str:
    kind = "<xades:CommitmentTypeId><xades:Identifier>http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin</xades:Identifier></xades:CommitmentTypeId>"
    return f"<xades:CommitmentTypeIndication>{kind}{inside}</xades:CommitmentTypeIndication>"


@pytest.mark.parametrize(
    ("inside", "lawful"),
    [
        ("<xades:AllSignedDataObjects/>", True),
        ("<xades:ObjectReference>#sig-r0</xades:ObjectReference>", True),
        ("", False),
        ("<xades:ObjectReference>#sig-r0</xades:ObjectReference><xades:AllSignedDataObjects/>", False),
    ],
    ids=["all", "one", "nothing", "both"],
)
def test_a_commitment_is_to_all_or_to_some(inside: str, lawful: bool) -> None:
    assert passes(enveloped(world().signer, Shape(data_properties=committed(inside)))) is lawful


# The policy that stands beside

X141 = "http://uri.etsi.org/01903/v1.4.1#"
RULES = b"what this seal is for"


def under_policy(text: bytes) -> bytes:
    named = (
        "<xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId><xades:Identifier>urn:oid:1.2.3.4</xades:Identifier>"
        f'</xades:SigPolicyId><xades:SigPolicyHash><ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{digest(RULES)}</ds:DigestValue>'
        "</xades:SigPolicyHash></xades:SignaturePolicyId></xades:SignaturePolicyIdentifier>"
    )
    store = f'<y:SignaturePolicyStore xmlns:y="{X141}"><y:SignaturePolicyDocument>{b64(text)}</y:SignaturePolicyDocument></y:SignaturePolicyStore>'
    return enveloped(world().signer, Shape(properties=named, late=lambda made: unsigned_properties(made).append(etree.fromstring(store))))


def under_policy_in_json(text: bytes) -> bytes:
    signer = world().signer
    said = {"id": {"id": "urn:oid:1.2.3.4"}, "digAlg": "S256", "digVal": b64url(Digest.of("sha256", RULES).value)}
    head = jades_maker.header(signer, sigPId=said)
    return dumps(flattened(signer, b"{}", head, header={"etsiU": [{"sigPSt": {"sigPolDoc": b64(text)}}]}))


@pytest.mark.parametrize("made", [under_policy, under_policy_in_json], ids=["XAdES", "JAdES"])
def test_a_policy_beside_is_the_one_that_was_signed(made: Callable[[bytes], bytes]) -> None:
    assert passes(made(RULES))
    assert not passes(made(b"what it is not for"))


@pytest.mark.parametrize(("names", "lawful"), [([["xVals"]], True), ([["xVals"], ["axVals"]], True), ([], False), ([["xVals", "axVals"]], False)])
def test_each_element_of_etsi_u_has_one_member(names: list[list[str]], lawful: bool) -> None:
    values = [{"x509Cert": {"val": b64(world().ca.certificate.der)}}]
    elements = [dict.fromkeys(each, values) for each in names]
    assert passes(dumps(flattened(world().signer, b"{}", header={"etsiU": elements}))) is lawful


# The list of files beside XAdES


@pytest.mark.parametrize(
    ("change", "lawful"),
    [
        (lambda listed: listed, True),
        (lambda listed: asic_maker.plain_manifest({"notice.txt": b""}), True),
        (lambda listed: listed.replace(b"</m:manifest>", b'<m:file-entry m:full-path="data/" m:media-type=""/></m:manifest>'), True),
        (lambda listed: asic_maker.plain_manifest({**asic_maker.FILES, "annex.pdf": b""}), False),
        (lambda listed: asic_maker.plain_manifest(asic_maker.FILES, asic_maker.ASIC_S), False),
        (lambda listed: listed.replace(b"</m:manifest>", b'<m:file-entry m:full-path="notice.txt" m:media-type="a/b"/></m:manifest>'), False),
        (lambda listed: listed.replace(b'"text/plain"/>', b'"text/plain"><m:encryption-data/></m:file-entry>', 1), False),
        (lambda listed: b"no list", False),
        (lambda listed: b"<list/>", False),
    ],
    ids=["sound", "shorter", "folder", "absent file", "other container", "two types", "encrypted", "no XML", "other element"],
)
def test_the_list_of_files_contradicts_nothing(change: Callable[[bytes], bytes], lawful: bool) -> None:
    made = asic_maker.extended_xades(world().signer)
    changed = {**made, "META-INF/manifest.xml": change(made["META-INF/manifest.xml"])}
    assert passes(asic_maker.zipped(changed)) is lawful


@pytest.mark.parametrize(
    ("change", "lawful"),
    [
        (lambda listed: listed.replace(b"</asic:ASiCManifest>", b"\n</asic:ASiCManifest>"), True),
        (lambda listed: listed.replace(b"</asic:ASiCManifest>", b"and so</asic:ASiCManifest>"), False),
        (lambda listed: listed.replace(b"</asic:ASiCManifest>", b"<asic:Note/></asic:ASiCManifest>"), False),
        (lambda listed: listed.replace(b"<asic:SigReference ", b'<asic:SigReference Note="x" '), False),
    ],
    ids=["space", "text", "element", "attribute"],
)
def test_a_manifest_is_of_its_schema(change: Callable[[bytes], bytes], lawful: bool) -> None:
    made = asic_maker.extended_cades(world().signer)
    listed = change(made["META-INF/ASiCManifest001.xml"])
    signed = asic_maker.cms(world().signer, listed)
    assert passes(asic_maker.zipped({**made, "META-INF/ASiCManifest001.xml": listed, "META-INF/signature001.p7s": signed})) is lawful


# CMS: what the envelope says


def message(info: bytes | None = None, *, version: int = 1, digests: Sequence[str] = ("sha256",)) -> bytes:
    party = world().signer
    signed = seq(
        integer(version),
        tlv(0x31, b"".join(map(algorithm, digests))),
        seq(oid(DATA), tlv(context(0), octets(CONTENT))),
        tlv(context(0), b"".join(c.der for c in (party.certificate, *party.chain))),
        tlv(0x31, info or signer_info(party, CONTENT)),
    )
    return seq(oid(SIGNED_DATA), tlv(context(0), signed))


def timed(tag: int, text: str) -> bytes:
    usual = usual_attributes(world().signer, CONTENT)
    usual[1] = attribute(SIGNING_TIME, tlv(tag, pki.SIGNED.strftime(text).encode()))
    return signer_info(world().signer, CONTENT, attributes=usual)


@pytest.mark.parametrize(
    ("made", "lawful"),
    [
        (message, True),
        (lambda: message(digests=("sha256", "sha512")), True),
        (lambda: message(version=3), True),
        (lambda: message(digests=()), False),
        (lambda: message(digests=("sha512",)), False),
        *((functools.partial(message, version=version), False) for version in (0, 2, 4, 5)),
        (lambda: message(timed(0x17, "%y%m%d%H%M%SZ")), True),
        (lambda: message(timed(0x17, "%y%m%d%H%MZ")), False),
        (lambda: message(timed(0x18, "%Y%m%d%H%M%SZ")), False),
    ],
    ids=["sound", "two-digests", "3", "no-digest", "other-digest", "0", "2", "4", "5", "time", "no-seconds", "generalized"],
)
def test_what_an_envelope_says_before_its_content(made: Callable[[], bytes], lawful: bool) -> None:
    assert passes(made()) is lawful


def test_cades_in_a_container_names_its_certificate() -> None:
    """Plain CMS need not (RFC 5652), and passes; CAdES in ASiC must (EN 319 122-1 clause 5.2.2)."""
    party = world().signer
    unnamed = message(signer_info(party, CONTENT, attributes=usual_attributes(party, CONTENT)[:3]))
    assert passes(unnamed)
    box = asic_maker.simple_cades(party, {"a.txt": CONTENT})
    assert passes(asic_maker.zipped(box))
    assert not passes(asic_maker.zipped({**box, "META-INF/signature.p7s": unnamed}))


# Time-stamp tokens


def token(
    *,
    time: bytes = b"20250301090000Z",
    accuracy: bytes = b"",
    serial: int = 1,
    parameters: bytes = b"",
    tail: bytes = b"",
    version: int = 3,
    digests: Sequence[str] = ("sha256",),
    bound: bool = True,
    unit: pki.Party | None = None,
) -> bytes:
    tsu = unit or world().tsu
    imprint = seq(seq(oid(DIGESTS["sha256"].oid), parameters), octets(Digest.of("sha256", CONTENT).value))
    info = seq(integer(1), oid("1.2.3.4.1"), imprint, integer(serial), tlv(0x18, time), accuracy, tail)
    attributes = [attribute(CONTENT_TYPE, oid(TST_INFO)), attribute(MESSAGE_DIGEST, octets(Digest.of("sha256", info).value))]
    body = b"".join(sorted([*attributes, *([attribute(SIGNING_CERTIFICATE_V2, ess_v2(tsu.certificate))] if bound else [])]))
    signer = seq(
        integer(1),
        seq(tsu.certificate.x509.issuer.public_bytes(), integer(tsu.serial)),
        algorithm("sha256"),
        tlv(context(0), body),
        seq(oid(OID_BY_SIGNATURE[tsu.algorithm])),
        octets(tsu.sign(tlv(0x31, body))),
    )
    signed = seq(
        integer(version),
        tlv(0x31, b"".join(map(algorithm, digests))),
        seq(oid(TST_INFO), tlv(context(0), octets(info))),
        tlv(context(0), b"".join(c.der for c in (tsu.certificate, *tsu.chain))),
        tlv(0x31, signer),
    )
    return seq(oid(SIGNED_DATA), tlv(context(0), signed))


TOKENS: dict[str, tuple[dict[str, Any], bool]] = {
    "sound": ({}, True),
    "fraction": ({"time": b"20250301090000.5Z"}, True),
    "trailing zero": ({"time": b"20250301090000.50Z"}, False),
    "fraction of zero": ({"time": b"20250301090000.0Z"}, False),
    "no zone": ({"time": b"20250301090000"}, False),
    "comma": ({"time": b"20250301090000,5Z"}, False),
    "zero seconds": ({"accuracy": seq(integer(0), tlv(0x80, b"\x05"))}, True),
    "millis of 0": ({"accuracy": seq(tlv(0x80, b"\0"))}, False),
    "micros of 0": ({"accuracy": seq(tlv(0x81, b"\0"))}, False),
    "millis of 1000": ({"accuracy": seq(tlv(0x80, b"\x03\xe8"))}, False),
    "serial of 160 bits": ({"serial": (1 << 160) - 1}, True),
    "serial of 168 bits": ({"serial": 1 << 167}, False),
    "NULL parameters": ({"parameters": b"\x05\x00"}, True),
    "other parameters": ({"parameters": octets(b"x")}, False),
    "an extension": ({"tail": tlv(context(1), seq(oid("1.2.3.4.5"), octets(b"x")))}, True),
    "no extension": ({"tail": tlv(context(1), b"")}, False),
    "version 1": ({"version": 1}, False),
    "two digests": ({"digests": ("sha256", "sha384")}, True),
    "another digest": ({"digests": ("sha384",)}, False),
    "no certificate named": ({"bound": False}, False),
}


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_that_a_clause_refuses(name: str) -> None:
    made, lawful = TOKENS[name]
    # Read twice: the second time among tokens alike.
    assert [passes(token(), CONTENT), passes(token(**made), CONTENT), passes(token(**made), CONTENT)] == [True, lawful, lawful]


STAMPING = ExtendedKeyUsageOID.TIME_STAMPING


@pytest.mark.parametrize(
    ("defects", "lawful"),
    [
        ({"key_usage": ("digital_signature", "content_commitment")}, True),
        ({"purposes_critical": False}, False),
        ({"purposes": (STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)}, False),
        ({"purposes": (STAMPING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)}, False),
        ({"key_usage": ("key_agreement",)}, False),
        ({"key_usage": ("digital_signature", "key_cert_sign")}, False),
        ({"key_usage": ("digital_signature", "crl_sign")}, False),
    ],
    ids=["both usages", "not critical", "more purposes", "any purpose", "key agreement", "certificates too", "lists too"],
)
def test_a_unit_is_for_stamping_alone(defects: dict[str, Any], lawful: bool) -> None:
    """Under `strict`: the constraints of EU DSS's default policy, which `eu` has, warn or do not look."""
    assert passes(token(unit=pki.unit(world().ca, **defects)), CONTENT, policy="strict") is lawful


# Evidence records (RFC 4998, RFC 6283)

NS = "urn:ietf:params:xml:ns:ers"
ONE, TWO = b"one", b"two"
RENEWED = pki.SIGNED + timedelta(hours=1)


def hashed(*parts: bytes) -> bytes:
    return Digest.of("sha256", b"".join(parts)).value


def stamped(value: bytes, tree: Sequence[Sequence[bytes]] = (), when: Any = pki.SIGNED, attributes: bytes = b"") -> tuple[bytes, bytes]:
    """An archive time-stamp, and its token."""
    made = pki.token(world().tsu, Digest("sha256", value), when)
    groups = b"".join(seq(*map(octets, group)) for group in tree)
    return seq(tlv(context(0), algorithm("sha256")[2:]), attributes, tlv(context(2), groups) if tree else b"", made), made


def record(*stamps: bytes, digests: Sequence[str] = ("sha256",), infos: bytes = b"") -> bytes:
    return seq(integer(1), seq(*map(algorithm, digests)), infos, seq(seq(*stamps)))


def renewed(when: Any) -> bytes:
    first, made = stamped(hashed(ONE))
    return record(first, stamped(hashed(made), [[hashed(made)]], when)[0])


FIRST = hashed(ONE)
RECORDS: dict[str, tuple[Callable[[], bytes], bool]] = {
    "sound": (lambda: record(stamped(FIRST)[0]), True),
    "more digests": (lambda: record(stamped(FIRST)[0], digests=("sha256", "sha512")), True),
    "no digest": (lambda: record(stamped(FIRST)[0], digests=()), False),
    "another digest": (lambda: record(stamped(FIRST)[0], digests=("sha512",)), False),
    "a digest twice": (lambda: record(stamped(FIRST)[0], digests=("sha256", "sha256")), False),
    "renewed": (lambda: renewed(RENEWED), True),
    "renewed before": (lambda: renewed(pki.SIGNED - timedelta(hours=1)), False),
    "an empty list": (lambda: record(stamped(FIRST, [[FIRST], []])[0]), False),
    "two lists": (lambda: record(stamped(hashed(*sorted((FIRST, hashed(TWO)))), [[FIRST], [hashed(TWO)]])[0]), True),
    "a long value": (lambda: record(stamped(hashed(*sorted((FIRST, bytes(64)))), [sorted((FIRST, bytes(64)))])[0]), False),
    "an empty value": (lambda: record(stamped(hashed(FIRST), [[b"", FIRST]])[0]), False),
    "information": (lambda: record(stamped(FIRST)[0], infos=tlv(context(0), attribute("1.2.3.4", octets(b"x")))), True),
    "no information": (lambda: record(stamped(FIRST)[0], infos=tlv(context(0), b"")), False),
    "odd information": (lambda: record(stamped(FIRST)[0], infos=tlv(context(0), integer(3))), False),
    "attributes": (lambda: record(stamped(FIRST, attributes=tlv(context(1), attribute("1.2.3.4", octets(b"x"))))[0]), True),
    "no attributes": (lambda: record(stamped(FIRST, attributes=tlv(context(1), b""))[0]), False),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records_that_a_clause_refuses(name: str) -> None:
    made, lawful = RECORDS[name]
    assert passes(made(), ONE) is lawful


def in_xml(edit: Edit) -> bytes:
    token = b64(pki.token(world().tsu, Digest("sha256", FIRST)))
    root = etree.fromstring(
        f'<EvidenceRecord xmlns="{NS}" Version="1.0"><ArchiveTimeStampSequence><ArchiveTimeStampChain Order="1"><DigestMethod Algorithm="{SHA256}"/>'
        '<CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/><ArchiveTimeStamp Order="1"><HashTree>'
        f'<Sequence Order="1"><DigestValue>{b64(FIRST)}</DigestValue></Sequence></HashTree><TimeStamp><TimeStampToken Type="RFC3161">{token}'
        "</TimeStampToken></TimeStamp></ArchiveTimeStamp></ArchiveTimeStampChain></ArchiveTimeStampSequence></EvidenceRecord>"
    )
    edit(root)
    return bytes(etree.tostring(root))


def beneath(name: str) -> str:
    return "." if name == "EvidenceRecord" else f".//{{{NS}}}{name}"


@pytest.mark.parametrize("name", ["EvidenceRecord", "ArchiveTimeStampSequence", "ArchiveTimeStampChain", "ArchiveTimeStamp", "HashTree", "TimeStamp"])
def test_an_xml_record_is_of_its_schema(name: str) -> None:
    assert passes(in_xml(spaced(beneath(name))), ONE)
    assert not passes(in_xml(written(beneath(name))), ONE)
    assert not passes(in_xml(marked(beneath(name))), ONE)
    assert not passes(in_xml(lambda root: etree.SubElement(root.find(beneath(name)), f"{{{NS}}}Note")), ONE)


@pytest.mark.parametrize(
    "edit",
    [
        lambda root: root.attrib.pop("Version"),
        lambda root: root.set("Version", "2.0"),
        lambda root: root.find(beneath("ArchiveTimeStamp")).insert(0, copy.deepcopy(root.find(beneath("HashTree")))),
        lambda root: root.find(beneath("ArchiveTimeStamp")).append(root.find(beneath("HashTree"))),
    ],
    ids=["no version", "another version", "two trees", "tree last"],
)
def test_an_xml_record_has_one_version_and_one_order(edit: Edit) -> None:
    assert not passes(in_xml(edit), ONE)
