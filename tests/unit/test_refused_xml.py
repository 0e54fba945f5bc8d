"""XML signatures that a clause refuses, each beside its lawful twin: what properties and keys say must be so, and stand as their schema has it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from lxml import etree

from tests import asic_maker, pki, xades_maker
from tests.refused import accepted, passes, world
from tests.xades_maker import (
    DS,
    EXCLUSIVE,
    PAPER,
    SHA256,
    SIGNED_PROPERTIES,
    X132,
    X141,
    Edit,
    Made,
    Shape,
    add_signature_stamp,
    b64,
    c14n,
    detached,
    digest,
    enveloped,
    inserted,
    signature,
    transform,
    unsigned_properties,
)
from trust.model import Document

HERE = ".//{http://www.w3.org/2000/09/xmldsig#}"
THERE = f".//{{{X132}}}"


def added(place: str, name: str, inside: str = "", space: str = DS, at: int | None = None) -> Edit:
    """One more element in the element of this name."""

    def edit(made: Any) -> None:
        holder = made.find(place)
        new = etree.fromstring(f'<n:{name} xmlns:n="{space}" xmlns:x="{X132}">{inside}</n:{name}>')
        holder.insert(len(holder) if at is None else at, new)

    return edit


def said(place: str, text: str) -> Edit:
    return lambda made: setattr(made.find(place), "text", text)


def marked(place: str, name: str, value: str | None) -> Edit:
    def edit(made: Any) -> None:
        element = made.find(place)
        element.attrib.pop(name, None) if value is None else element.set(name, value)

    return edit


def last_reference(name: str, value: str | None) -> Edit:
    """The one to the signed properties."""

    def edit(made: Any) -> None:
        element = made.findall(HERE + "Reference")[-1]
        element.attrib.pop(name, None) if value is None else element.set(name, value)

    return edit


# What is said of data objects.


def media_type(of: str, kind: str = "text/plain") -> str:
    return f'<xades:DataObjectFormat ObjectReference="{of}"><xades:MimeType>{kind}</xades:MimeType></xades:DataObjectFormat>'


def commitment(to: str) -> str:
    kind = "<xades:CommitmentTypeId><xades:Identifier>http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin</xades:Identifier></xades:CommitmentTypeId>"
    return f"<xades:CommitmentTypeIndication>{kind}<xades:ObjectReference>{to}</xades:ObjectReference></xades:CommitmentTypeIndication>"


@pytest.mark.parametrize(
    ("inside", "lawful"),
    [
        ("", True),
        (media_type("#sig-r0"), False),
        (media_type("#nobody"), False),
        (media_type("sig-r0"), False),
        (commitment("#sig-r0"), True),
        (commitment("#nobody"), False),
        (commitment("#sig-sp"), False),
        (commitment(""), False),
    ],
    ids=["one", "two formats", "format of nothing", "format of no reference", "commitment", "to nothing", "to properties", "empty"],
)
def test_what_is_said_of_data_objects_is_of_signed_ones(inside: str, lawful: bool) -> None:
    """EN 319 132-1 clauses 5.2.3 and 5.2.4."""
    assert accepted(enveloped(world().signer, Shape(data_properties=inside))) is lawful


@pytest.mark.parametrize(
    ("kind", "lawful"),
    [(SIGNED_PROPERTIES, True), (None, False), ("http://uri.etsi.org/01903/v1.2.2#SignedProperties", False), ("urn:example:type", False)],
    ids=["own", "none", "older", "another"],
)
def test_the_reference_to_the_properties_says_so(kind: str | None, lawful: bool) -> None:
    """EN 319 132-1 clause 4.4.2."""
    assert accepted(enveloped(world().signer, Shape(edit=last_reference("Type", kind)))) is lawful


def test_open_document_leaves_the_type_out() -> None:
    made = asic_maker.open_document(world().signer)
    assert passes(asic_maker.zipped(made))


@pytest.mark.parametrize(("target", "lawful"), [("#sig", True), ("sig", False), ("#other", False), ("#sig-sp", False)])
def test_properties_belong_to_their_signature(target: str, lawful: bool) -> None:
    """EN 319 132-1 clause 4.3.1."""
    assert accepted(enveloped(world().signer, Shape(target=target))) is lawful


@pytest.mark.parametrize(
    ("kind", "lawful"), [("urn:example:type", True), ("http://uri.etsi.org/01903#CountersignedSignature", False), (DS + "Manifest", False)]
)
def test_a_reference_is_to_what_its_type_says(kind: str, lawful: bool) -> None:
    assert accepted(enveloped(world().signer, Shape(edit=marked(HERE + "Reference", "Type", kind)))) is lawful


# Keys and certificates.


def name() -> str:
    return str(world().signer.certificate.x509.subject.rfc4514_string())


def certificate(der: bytes) -> Edit:
    return added(HERE + "X509Data", "X509Certificate", b64(der))


def key(*firsts: int) -> Edit:
    def edit(made: Any) -> None:
        for first in firsts:
            inside = f"<n:RSAKeyValue><n:Modulus>{b64(bytes([first]) * 256)}</n:Modulus><n:Exponent>AQAB</n:Exponent></n:RSAKeyValue>"
            added(HERE + "KeyInfo", "KeyValue", inside, at=0)(made)

    return edit


KEYS: dict[str, tuple[Callable[[], Edit], bool]] = {
    "own name": (lambda: added(HERE + "KeyInfo", "KeyName", name()), True),
    "any name": (lambda: added(HERE + "KeyInfo", "KeyName", "seal of 2025"), True),
    "another's distinguished name": (lambda: added(HERE + "KeyInfo", "KeyName", "CN=Somebody,C=JP"), False),
    "its authority's name": (lambda: added(HERE + "KeyInfo", "KeyName", "Example Issuing CA"), False),
    "another key": (lambda: key(0xC1), False),
    "two other keys": (lambda: key(0xC1, 0xC3), False),
    "root": (lambda: certificate(world().root.certificate.der), True),
    "another authority": (lambda: certificate(pki.root("Another Root").certificate.der), True),
    "a stranger": (lambda: certificate(pki.signer(world().ca, "Somebody").certificate.der), False),
    "no certificate": (lambda: certificate(b"\x30\x00"), False),
    "no base64": (lambda: added(HERE + "X509Data", "X509Certificate", "A!AA"), False),
    "no list": (lambda: added(HERE + "X509Data", "X509CRL", "AAAA"), False),
    "another element": (lambda: added(HERE + "KeyInfo", "Note"), False),
    "text": (lambda: said(HERE + "KeyInfo", "the key"), True),
}


@pytest.mark.parametrize("case", KEYS)
def test_key_info_is_about_the_signer(case: str) -> None:
    """XML Signature clause 4.5."""
    edit, lawful = KEYS[case]
    assert accepted(enveloped(world().signer, Shape(late=edit()))) is lawful


# Types and parameters.

SHAPES: dict[str, tuple[Edit, bool]] = {
    "zone": (said(THERE + "SigningTime", "2025-03-01T18:00:00+09:00"), True),
    "space": (said(THERE + "SigningTime", "\n2025-03-01T09:00:00Z\n"), True),
    "day": (said(THERE + "SigningTime", "2025-03-01"), False),
    "words": (said(THERE + "SigningTime", "1 March 2025"), False),
    "length of a MAC": (added(HERE + "SignatureMethod", "HMACOutputLength", "8"), False),
    "parameter of the method": (added(HERE + "SignatureMethod", "Note", space="urn:example"), False),
    "parameter of the digest": (added(HERE + "DigestMethod", "Note", space="urn:example"), False),
    "parameter of the form": (added(HERE + "CanonicalizationMethod", "Note", space="urn:example"), False),
    "prefixes": (added(HERE + "CanonicalizationMethod", "InclusiveNamespaces", space="http://www.w3.org/2001/10/xml-exc-c14n#"), True),
    "element in a digest": (added(HERE + "DigestValue", "Note"), False),
    "no algorithm": (marked(HERE + "DigestMethod", "Algorithm", None), False),
    "no target": (marked(THERE + "QualifyingProperties", "Target", None), False),
    "empty policy": (added(THERE + "SignedSignatureProperties", "SignaturePolicyIdentifier", "<x:SignaturePolicyId/>", X132), False),
    "place": (added(THERE + "SignedSignatureProperties", "SignatureProductionPlaceV2", "<x:City>Tokyo</x:City>", X132), True),
    "strange place": (added(THERE + "SignedSignatureProperties", "SignatureProductionPlaceV2", "<x:Planet/>", X132), False),
    "role": (
        added(THERE + "SignedSignatureProperties", "SignerRoleV2", "<x:ClaimedRoles><x:ClaimedRole>x</x:ClaimedRole></x:ClaimedRoles>", X132),
        True,
    ),
    "no role": (added(THERE + "SignedSignatureProperties", "SignerRoleV2", "<x:ClaimedRoles/>", X132), False),
}


@pytest.mark.parametrize("case", SHAPES)
def test_elements_are_of_their_types(case: str) -> None:
    edit, lawful = SHAPES[case]
    assert accepted(enveloped(world().signer, Shape(edit=edit))) is lawful


@pytest.mark.parametrize(
    ("changed", "lawful"),
    [(lambda t: t[:20] + "\n  " + t[20:], True), (lambda t: t[:20] + "!" + t[20:], False), (lambda t: t[:20] + "\u00a0" + t[20:], False)],
    ids=["line", "rubbish", "no-break space"],
)
def test_the_value_is_base64(changed: Callable[[str], str], lawful: bool) -> None:
    def edit(made: Any) -> None:
        value = made.find(f"{{{DS}}}SignatureValue")
        value.text = changed(value.text)

    assert accepted(enveloped(world().signer, Shape(late=edit))) is lawful


# Stamps and what stands beside.


def stamped(change: Callable[[Any], None]) -> bytes:
    return enveloped(world().signer, Shape(late=lambda made: change(add_signature_stamp(made, lambda imprint: pki.token(world().tsu, imprint)))))


def includes(uri: str) -> Callable[[Any], None]:
    return lambda stamp: stamp.insert(0, etree.Element(f"{{{X132}}}Include", URI=uri))


def encoded(kind: str) -> Callable[[Any], None]:
    return lambda stamp: stamp[-1].set("Encoding", f"http://uri.etsi.org/01903/v1.2.2#{kind}")


STAMPS: dict[str, tuple[Callable[[Any], None], bool]] = {
    "sound": (lambda _: None, True),
    "value": (includes("#sig-value"), True),
    "properties": (includes("#sig-sp"), False),
    "nothing": (includes("#nobody"), False),
    "elsewhere": (includes("http://example.test/"), False),
    "DER": (encoded("DER"), True),
    "XER": (encoded("XER"), False),
    "no base64": (lambda stamp: setattr(stamp[-1], "text", "!"), False),
    "no token": (lambda stamp: setattr(stamp[-1], "text", b64(b"token")), False),
    "order": (lambda stamp: stamp.append(stamp[0]), False),
    "empty": (lambda stamp: stamp.remove(stamp[-1]), False),
}


@pytest.mark.parametrize("case", STAMPS)
def test_a_stamp_covers_what_it_says(case: str) -> None:
    """EN 319 132-1 clauses 5.1.3 and 5.1.4.4.2."""
    change, lawful = STAMPS[case]
    assert accepted(stamped(change)) is lawful


RULES = b"what this seal is for"
IMPLIED = "<xades:SignaturePolicyIdentifier><xades:SignaturePolicyImplied/></xades:SignaturePolicyIdentifier>"


def policy(of: bytes = RULES) -> str:
    return (
        "<xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId><xades:Identifier>urn:oid:1.2.3.4</xades:Identifier>"
        f'</xades:SigPolicyId><xades:SigPolicyHash><ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{digest(of)}</ds:DigestValue>'
        "</xades:SigPolicyHash></xades:SignaturePolicyId></xades:SignaturePolicyIdentifier>"
    )


def store(text: bytes) -> Edit:
    inside = f"<n:SPDocSpecification><x:Identifier>urn:example:syntax</x:Identifier></n:SPDocSpecification><n:SignaturePolicyDocument>{b64(text)}"
    new = etree.fromstring(f'<n:SignaturePolicyStore xmlns:n="{X141}" xmlns:x="{X132}">{inside}</n:SignaturePolicyDocument></n:SignaturePolicyStore>')
    return lambda made: unsigned_properties(made).append(new)


# signPolicyHashAlg and signPolicyInfo, whose digest is that of the policy (TR 102 272), and its own hash after them.
FIELDS = b"\x30\x03\x06\x01\x2a" + b"\x30\x03\x02\x01\x07"
IN_ASN1 = bytes((0x30, len(FIELDS) + 4)) + FIELDS + b"\x04\x02hi"


@pytest.mark.parametrize(
    ("said", "text", "lawful"),
    [
        (policy(), RULES, True),
        (policy(FIELDS), IN_ASN1, True),
        (policy(), b"0 other rules", False),
        (policy(), IN_ASN1, False),
        (IMPLIED, RULES, False),
        ("", RULES, False),
    ],
    ids=["own", "in ASN.1", "another", "another in ASN.1", "implied", "none"],
)
def test_a_policy_beside_is_the_one_that_is_named(said: str, text: bytes, lawful: bool) -> None:
    """EN 319 132-1 clause 5.2.10."""
    assert accepted(enveloped(world().signer, Shape(properties=said, late=store(text)))) is lawful


@pytest.mark.parametrize(
    ("said", "lawful"),
    [(policy(), True), (IMPLIED, True), (policy().replace("urn:oid:1.2.3.4", ""), False), (policy().replace("SigPolicyHash>", "Hash>"), False)],
    ids=["named", "implied", "no name", "no hash"],
)
def test_a_policy_is_named_and_hashed(said: str, lawful: bool) -> None:
    assert accepted(enveloped(world().signer, Shape(properties=said))) is lawful


# Older versions.


OLD = "1.2.2", "1.1.1"


def of_old(version: str, monkeypatch: pytest.MonkeyPatch, **shape: Any) -> bytes:
    """A signature with properties of TS 101 903 V1.2.2 or V1.1.1."""
    space = f"http://uri.etsi.org/01903/v{version}#"
    monkeypatch.setattr(xades_maker, "X132", space)
    monkeypatch.setattr(xades_maker, "SIGNED_PROPERTIES", space + "SignedProperties")
    cert = world().signer.certificate
    named = (
        f'<xades:SigningCertificate><xades:Cert><xades:CertDigest><ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{digest(cert.der)}'
        f"</ds:DigestValue></xades:CertDigest><xades:IssuerSerial><ds:X509IssuerName>CN=Example Issuing CA,O=Example,C=JP</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{cert.serial}</ds:X509SerialNumber></xades:IssuerSerial></xades:Cert></xades:SigningCertificate>"
    )
    return enveloped(world().signer, Shape(**{"signing_certificate": named, **shape}))


def oldly(change: Callable[[Any], None]) -> Edit:
    """Done to the SignedSignatureProperties."""
    return lambda made: change(made.find(".//{*}SignedSignatureProperties"))


def joined(holder: Any) -> None:
    etree.SubElement(holder, holder.tag.replace("SignedSignatureProperties", "Note"))


OLDER: dict[str, tuple[dict[str, Any], bool]] = {
    "sound": ({}, True),
    "stranger": ({"edit": oldly(joined)}, False),
    "text": ({"edit": oldly(lambda holder: setattr(holder, "text", "and so"))}, False),
    "order": ({"edit": oldly(lambda holder: holder.append(holder[0]))}, False),
    "time": ({"edit": oldly(lambda holder: setattr(holder[0], "text", "1 March 2025"))}, False),
    "another target": ({"target": "#other"}, False),
    "format of nothing": ({"data_properties": media_type("#nobody")}, False),
    "two formats": ({"data_properties": media_type("#sig-r0")}, False),
}


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("case", OLDER)
def test_older_versions_have_their_schemas_too(case: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TS 101 903 V1.2.2 and V1.1.1."""
    shape, lawful = OLDER[case]
    assert accepted(of_old(version, monkeypatch, **shape)) is lawful


@pytest.mark.parametrize(("inside", "lawful"), [("", True), ("<p xmlns='urn:example'/>", False)], ids=["none", "one"])
def test_a_transform_has_no_parameters_of_others(inside: str, lawful: bool) -> None:
    """XML Signature clause 4.4.3.4."""
    octets = c14n(etree.fromstring(PAPER))
    made = signature(world().signer, [Made("", octets, transform(DS + "enveloped-signature", inside) + EXCLUSIVE)])
    assert accepted(inserted(PAPER, made)) is lawful


# What is signed beside the document.

FILES = {"a.txt": b"one", "b.txt": b"two"}


def unnamed(count: int) -> Edit:
    def edit(made: Any) -> None:
        for reference in made.findall(HERE + "Reference")[:count]:
            del reference.attrib["URI"]

    return edit


@pytest.mark.parametrize(
    ("names", "without", "given", "lawful"),
    [
        (("a.txt", "b.txt"), 0, FILES, True),
        (("a.txt",), 1, {"a.txt": b"one"}, True),
        (("a.txt", "b.txt"), 2, FILES, False),
        (("a.txt",), 0, FILES, False),
        (("a.txt", "b.txt"), 0, {"a.txt": b"two", "b.txt": b"one"}, False),
    ],
    ids=["two", "one without a name", "two without a name", "one too many", "exchanged"],
)
def test_files_are_signed_under_their_names(names: Sequence[str], without: int, given: Mapping[str, bytes], lawful: bool) -> None:
    """XML Signature clause 4.4.3.1."""
    made = detached(world().signer, {name: FILES[name] for name in names}, Shape(edit=unnamed(without)))
    assert accepted(made, *(Document.of(data, name) for name, data in given.items())) is lawful


PSS = "http://www.w3.org/2007/05/xmldsig-more#"
METHOD = f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{SHA256}"/>'


@pytest.mark.parametrize(
    ("inside", "lawful"),
    [("", True), ("<SaltLength>32</SaltLength>", True), ("<SaltLength>20</SaltLength><SaltLength>32</SaltLength>", False), (METHOD, False)],
    ids=["digest", "salt", "two salts", "two digests"],
)
def test_parameters_of_a_scheme_stand_once(inside: str, lawful: bool) -> None:
    party = pki.signer(world().ca, "Example RSA", key="rsa2048").with_pss()

    def edit(made: Any) -> None:
        method = made.find(HERE + "SignatureMethod")
        method.set("Algorithm", PSS + "rsa-pss")
        method.append(etree.fromstring(f'<RSAPSSParams xmlns="{PSS}">{METHOD}{inside}</RSAPSSParams>'))

    assert accepted(enveloped(party, Shape(edit=edit))) is lawful
