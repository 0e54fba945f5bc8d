"""XAdES made for tests with lxml alone, so that nothing of the reader's own canonicaliser takes part. Keyword arguments state only the defect."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from tests.pki import SIGNED, Party, Pki
from trust.model import Cert, Crl, Digest, Ocsp
from trust.ports import Stamper

DS = "http://www.w3.org/2000/09/xmldsig#"
X132 = "http://uri.etsi.org/01903/v1.3.2#"
X141 = "http://uri.etsi.org/01903/v1.4.1#"
EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SIGNED_PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
METHODS = {
    ("rsa-pkcs1", "sha256"): "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    ("rsa-pss", "sha256"): "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    ("ecdsa", "sha256"): "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    ("ecdsa", "sha384"): "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    ("ecdsa", "sha512"): "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    ("ed25519", None): "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
}
PAPER = b'<Notice xmlns="urn:example:notice" Id="paper"><Title>Seal</Title><Total currency="JPY">1000</Total></Notice>'

Edit = Callable[[Any], None]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def c14n(element: Any, *, exclusive: bool = True) -> bytes:
    """libxml2's."""
    made: bytes = etree.tostring(element, method="c14n", exclusive=exclusive, with_comments=False)
    return made


def digest(data: bytes) -> str:
    return b64(hashlib.sha256(data).digest())


@dataclass(frozen=True)
class Made:
    """A reference to be: its URI, its transforms and the octets that they make."""

    uri: str
    octets: bytes
    transforms: str = ""
    type: str = ""
    id: str = ""
    mime: str = "text/xml"


def transform(algorithm: str, inside: str = "") -> str:
    return f'<ds:Transform Algorithm="{algorithm}">{inside}</ds:Transform>'


ENVELOPED = transform(DS + "enveloped-signature")
EXCLUSIVE = transform(EXC)


def signing_certificate(cert: Cert) -> str:
    return (
        f'<xades:SigningCertificateV2><xades:Cert><xades:CertDigest><ds:DigestMethod Algorithm="{SHA256}"/>'
        f"<ds:DigestValue>{digest(cert.der)}</ds:DigestValue></xades:CertDigest></xades:Cert></xades:SigningCertificateV2>"
    )


@dataclass(frozen=True)
class Shape:
    """What a signature says beside its references."""

    id: str = "sig"
    target: str | None = None
    properties: str = ""
    """More SignedSignatureProperties."""
    data_properties: str = ""
    objects: str = ""
    """More ds:Objects."""
    signing_certificate: str | None = None
    key_info: Sequence[Cert] | None = None
    properties_reference: bool = True
    algorithm: str | None = None
    edit: Edit | None = field(default=None)
    """Done to the ds:Signature before digests are taken."""
    late: Edit | None = field(default=None)
    """Done after."""


def _reference(r: Made, name: str) -> str:
    kind = f' Type="{r.type}"' if r.type else ""
    transforms = f"<ds:Transforms>{r.transforms}</ds:Transforms>" if r.transforms else ""
    return (
        f'<ds:Reference URI="{r.uri}" Id="{name}"{kind}>{transforms}<ds:DigestMethod Algorithm="{SHA256}"/>'
        f"<ds:DigestValue>{digest(r.octets)}</ds:DigestValue></ds:Reference>"
    )


def _format(name: str, mime: str) -> str:
    return f'<xades:DataObjectFormat ObjectReference="#{name}"><xades:MimeType>{mime}</xades:MimeType></xades:DataObjectFormat>'


def signature(party: Party, references: Sequence[Made], shape: Shape | None = None) -> Any:
    """A ds:Signature element that stands alone; its references are taken at their word."""
    shape = shape or Shape()
    certs = (party.certificate, *party.chain) if shape.key_info is None else shape.key_info
    method = shape.algorithm or METHODS[party.algorithm.scheme, party.algorithm.digest]
    rows = [_reference(r, r.id or f"{shape.id}-r{i}") for i, r in enumerate(references)]
    described = [(r.id or f"{shape.id}-r{i}", r.mime) for i, r in enumerate(references) if not r.type]
    formats = "".join(
        f'<xades:DataObjectFormat ObjectReference="#{name}"><xades:MimeType>{mime}</xades:MimeType></xades:DataObjectFormat>'
        for name, mime in described
    )
    if shape.properties_reference:
        rows.append(
            f'<ds:Reference Type="{SIGNED_PROPERTIES}" URI="#{shape.id}-sp"><ds:Transforms>{EXCLUSIVE}</ds:Transforms>'
            f'<ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue/></ds:Reference>'
        )
    named = signing_certificate(party.certificate) if shape.signing_certificate is None else shape.signing_certificate
    target = shape.target or f"#{shape.id}"
    data = f"<xades:SignedDataObjectProperties>{formats}{shape.data_properties}</xades:SignedDataObjectProperties>"
    text = (
        f'<ds:Signature xmlns:ds="{DS}" xmlns:xades="{X132}" Id="{shape.id}"><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{EXC}"/><ds:SignatureMethod Algorithm="{method}"/>{"".join(rows)}</ds:SignedInfo>'
        f'<ds:SignatureValue Id="{shape.id}-value"/>'
        f"<ds:KeyInfo><ds:X509Data>{''.join(f'<ds:X509Certificate>{b64(c.der)}</ds:X509Certificate>' for c in certs)}</ds:X509Data></ds:KeyInfo>"
        f'<ds:Object><xades:QualifyingProperties Target="{target}"><xades:SignedProperties Id="{shape.id}-sp">'
        f"<xades:SignedSignatureProperties><xades:SigningTime>{SIGNED:%Y-%m-%dT%H:%M:%SZ}</xades:SigningTime>{named}{shape.properties}"
        f"</xades:SignedSignatureProperties>{data}</xades:SignedProperties></xades:QualifyingProperties></ds:Object>{shape.objects}</ds:Signature>"
    )
    element = etree.fromstring(text)
    if shape.edit is not None:
        shape.edit(element)
    if shape.properties_reference:
        properties = element.find(f".//{{{X132}}}SignedProperties")
        element.findall(f".//{{{DS}}}DigestValue")[len(references)].text = digest(c14n(properties))
    finish(element, party)
    if shape.late is not None:
        shape.late(element)
    return element


def finish(element: Any, party: Party) -> None:
    """The signature value over SignedInfo as it stands."""
    value = party.sign(c14n(element.find(f"{{{DS}}}SignedInfo")))
    if party.algorithm.scheme == "ecdsa":
        size = (party.private.curve.key_size + 7) // 8
        r, s = decode_dss_signature(value)
        value = r.to_bytes(size) + s.to_bytes(size)
    element.find(f"{{{DS}}}SignatureValue").text = b64(value)


def inserted(paper: bytes, *signatures: Any) -> bytes:
    """The paper with signatures as its last children, as bytes: lxml's append would take namespace declarations away that the paper has too."""
    at = paper.rindex(b"</")
    return paper[:at] + b"".join(map(etree.tostring, signatures)) + paper[at:]


def enveloped(party: Party, shape: Shape | None = None, *, paper: bytes = PAPER, uri: str = "") -> bytes:
    """The paper with its signature as last child. The paper's c14n is the same before and after, because nothing else is put into it."""
    root = etree.fromstring(paper)
    made = signature(party, [Made(uri, c14n(root), ENVELOPED + EXCLUSIVE)], shape)
    return inserted(paper, made)


def detached(party: Party, files: dict[str, bytes], shape: Shape | None = None) -> bytes:
    made = signature(party, [Made(name, data, mime="text/plain") for name, data in files.items()], shape)
    return etree.tostring(made)


def unsigned_properties(element: Any) -> Any:
    """UnsignedSignatureProperties of a ds:Signature, made where there are none."""
    qualifying = element.find(f".//{{{X132}}}QualifyingProperties")
    found = qualifying.find(f"{{{X132}}}UnsignedProperties/{{{X132}}}UnsignedSignatureProperties")
    if found is None:
        holder = etree.SubElement(qualifying, f"{{{X132}}}UnsignedProperties")
        found = etree.SubElement(holder, f"{{{X132}}}UnsignedSignatureProperties")
    return found


def add_stamp(element: Any, name: str, octets: bytes, stamper: Stamper, *, space: str = X132) -> Any:
    """A time-stamp property over these octets, canonicalised exclusively."""
    holder = etree.SubElement(unsigned_properties(element), f"{{{space}}}{name}")
    etree.SubElement(holder, f"{{{DS}}}CanonicalizationMethod", Algorithm=EXC)
    etree.SubElement(holder, f"{{{X132}}}EncapsulatedTimeStamp").text = b64(stamper(Digest.of("sha256", octets)))
    return holder


def add_signature_stamp(element: Any, stamper: Stamper) -> Any:
    return add_stamp(element, "SignatureTimeStamp", c14n(element.find(f"{{{DS}}}SignatureValue")), stamper)


def add_values(element: Any, certs: Sequence[Cert], crls: Sequence[Crl] = (), ocsps: Sequence[Ocsp] = ()) -> None:
    """CertificateValues and RevocationValues. OCSP answers are given bare and wrapped here (RFC 6960 section 4.2.1)."""
    holder = unsigned_properties(element)
    values = etree.SubElement(holder, f"{{{X132}}}CertificateValues")
    for cert in certs:
        etree.SubElement(values, f"{{{X132}}}EncapsulatedX509Certificate").text = b64(cert.der)
    revocation = etree.SubElement(holder, f"{{{X132}}}RevocationValues")
    lists = etree.SubElement(revocation, f"{{{X132}}}CRLValues")
    for crl in crls:
        etree.SubElement(lists, f"{{{X132}}}EncapsulatedCRLValue").text = b64(crl.der)
    if ocsps:
        answers = etree.SubElement(revocation, f"{{{X132}}}OCSPValues")
        for ocsp in ocsps:
            etree.SubElement(answers, f"{{{X132}}}EncapsulatedOCSPValue").text = b64(ocsp.der)


def archive_octets(element: Any, data: Sequence[bytes]) -> bytes:
    """EN 319 132-1 clause 5.5.2.2 for a stamp that is put last: signed data, signature, key, unsigned properties so far, ds:Objects."""
    pieces = list(data)
    pieces.append(c14n(element.find(f".//{{{X132}}}SignedProperties")))
    pieces += [c14n(element.find(f"{{{DS}}}{name}")) for name in ("SignedInfo", "SignatureValue", "KeyInfo")]
    pieces += [c14n(p) for p in unsigned_properties(element)]
    pieces += [c14n(o) for o in element.findall(f"{{{DS}}}Object") if o.find(f"{{{X132}}}QualifyingProperties") is None]
    return b"".join(pieces)


def long_term(
    pki: Pki,
    stamper: Stamper,
    archive: Stamper | None = None,
    shape: Shape | None = None,
    *,
    paper: bytes = PAPER,
    crls: Sequence[Crl] | None = None,
) -> bytes:
    """Enveloped, with a signature time-stamp, certificates and lists, and an archive time-stamp where there is a stamper for it."""
    root = etree.fromstring(enveloped(pki.signer, shape, paper=paper))
    made = root[-1]
    add_signature_stamp(made, stamper)
    add_values(made, sorted(pki.certs, key=lambda c: c.der), pki.crls() if crls is None else crls)
    if archive is not None:
        # Exclusive c14n in place: prefixes declared on ds:Signature are rendered where they are used.
        octets = archive_octets(made, [c14n(etree.fromstring(paper))])
        add_stamp(made, "ArchiveTimeStamp", octets, archive, space=X141)
    return etree.tostring(root)
