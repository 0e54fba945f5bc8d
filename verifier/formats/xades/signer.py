"""Who signed: certificates in ds:KeyInfo, and the SigningCertificate property that binds one of them (EN 319 132-1 clause 5.2.2)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from trust.algorithms import verify
from trust.codecs import asn1
from trust.codecs.asn1 import Rules
from trust.codecs.ess import CertReference, certificate_identity, has_digest, issuer_serial, names_issuer, same_name
from trust.codecs.signed_data import cert
from trust.codecs.xml.names import digest_name, ds, number, octets_of, split, text_of
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Digest, SignerReference
from verifier.formats.xades.structure import Frame

_DSIG11: Final = "http://www.w3.org/2009/xmldsig11#"
MAX_CERTIFICATES: Final = 200
"""In one ds:KeyInfo."""


def certificates(elements: Iterable[Any]) -> tuple[Cert, ...]:
    """Those that are certificates, each once, in their order."""
    found: dict[Cert, None] = {}
    for element in elements:
        if len(found) >= MAX_CERTIFICATES:
            raise Malformed(f"at most {MAX_CERTIFICATES} certificates expected in one place")
        try:
            der = octets_of(element)
        except Malformed:
            continue
        if certificate_identity(der) is not None:
            found[cert(der)] = None
    return tuple(found)


def key_info_certificates(frame: Frame) -> tuple[Cert, ...]:
    """ds:KeyInfo/ds:X509Data/ds:X509Certificate."""
    if frame.key_info is None:
        return ()
    return certificates(c for data in frame.key_info.iterchildren(ds("X509Data")) for c in data.iterchildren(ds("X509Certificate")))


def unreadable(frame: Frame) -> bool:
    """Whether ds:X509Data has a certificate or list that is none (XML Signature clause 4.5.4)."""
    held = [] if frame.key_info is None else [c for data in frame.key_info.iterchildren(ds("X509Data")) for c in data.iterchildren("*")]
    return any(c.tag in (ds("X509Certificate"), ds("X509CRL")) and not _is_sequence(c) for c in held)


def _is_sequence(element: Any) -> bool:
    try:
        der = octets_of(element)
        if element.tag == ds("X509Certificate"):
            return certificate_identity(der) is not None
        return len(asn1.parse(der, Rules.BER).expect(asn1.SEQUENCE).children) == len(("tbsCertList", "signatureAlgorithm", "signatureValue"))
    except Malformed:
        return False


def strangers(frame: Frame, signer: Cert) -> bool:
    """Clause 4.5.4: certificates in ds:X509Data have the signer's key or belong to its chain. Authorities beside it are let through."""
    rest = [c for c in key_info_certificates(frame) if c != signer]
    related = [signer]
    for one in related:
        found = [c for c in rest if _names_issuer(one, c) or _same_key(c, signer)]
        related += found
        rest = [c for c in rest if c not in found]
    return any(not _is_authority(c) for c in rest)


def _names_issuer(one: Cert, other: Cert) -> bool:
    try:
        return same_name(one.issuer, other.subject)
    except Malformed:  # of one that nobody can read: no reason to read no signature of the file
        return False


def _same_key(one: Cert, other: Cert) -> bool:
    try:
        return one.public_key is not None and one.public_key == other.public_key
    except (Malformed, ValueError):
        return False


def _is_authority(cert: Cert) -> bool:
    try:
        return cert.x509.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, Malformed, ValueError):
        return False


_CURVES: Final = {"1.2.840.10045.3.1.7": ec.SECP256R1(), "1.3.132.0.34": ec.SECP384R1(), "1.3.132.0.35": ec.SECP521R1()}
_MAX_KEY: Final = 2_048
"""Bytes of an RSA modulus: above what OpenSSL verifies with."""


def bare_key(frame: Frame) -> bytes | None:
    """SubjectPublicKeyInfo of the one key in ds:KeyInfo (XML Signature clauses 4.5.2 and 4.5.10); None where there is none that is read here."""
    inner = _key_elements(frame)
    return _subject_key(inner[0]) if len(inner) == 1 else None


def bare_keys(frame: Frame) -> tuple[bytes, ...]:
    """All of them that are read here."""
    return tuple(key for element in _key_elements(frame) if (key := _subject_key(element)) is not None)


def _key_elements(frame: Frame) -> list[Any]:
    if frame.key_info is None:
        return []
    inner = [c for v in frame.key_info.iterchildren(ds("KeyValue")) for c in v.iterchildren("*")]
    return inner + [c for c in frame.key_info.iterchildren("*") if c.tag == f"{{{_DSIG11}}}DEREncodedKeyValue"]


def _subject_key(element: Any) -> bytes | None:
    try:
        key = _key(element)
        return None if key is None else key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (Malformed, ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _key(element: Any) -> PublicKeyTypes | None:
    parts = {split(c.tag)[1]: c for c in element.iterchildren("*")}

    def whole(name: str) -> int:
        if name not in parts:
            raise Malformed("key value is incomplete")
        octets = octets_of(parts[name])
        if len(octets) > _MAX_KEY:
            raise Malformed("key value is too large")
        return int.from_bytes(octets)

    match split(element.tag)[1]:
        case "RSAKeyValue":
            return rsa.RSAPublicNumbers(whole("Exponent"), whole("Modulus")).public_key()
        case "DSAKeyValue":
            return dsa.DSAPublicNumbers(whole("Y"), dsa.DSAParameterNumbers(whole("P"), whole("Q"), whole("G"))).public_key()
        case "ECKeyValue" if "NamedCurve" in parts and "PublicKey" in parts:
            curve = _CURVES.get((parts["NamedCurve"].get("URI") or "").removeprefix("urn:oid:"))
            return None if curve is None else ec.EllipticCurvePublicKey.from_encoded_point(curve, octets_of(parts["PublicKey"]))
        case "DEREncodedKeyValue":
            return load_der_public_key(octets_of(element))
    return None


def misnamed_key(frame: Frame, signer: Cert) -> str | None:
    """XML Signature clause 4.5.4: what ds:X509Data says beside its certificates is of the certificate with the signer's key. None where it is so."""
    if frame.key_info is None:
        return None
    said = [c for data in frame.key_info.iterchildren(ds("X509Data")) for c in data.iterchildren("*")]
    wrong = next((split(c.tag)[1] for c in said if (holds := _DESCRIPTIONS.get(c.tag)) is not None and not holds(c, signer)), None)
    if wrong is None and any(not _may_be_called(text_of(c), frame, signer) for c in frame.key_info.iterchildren(ds("KeyName"))):
        wrong = "KeyName"
    return None if wrong is None else f"{wrong} in ds:KeyInfo is of another certificate than the signer's"


def _may_be_called(text: str, frame: Frame, signer: Cert) -> bool:
    """Clause 4.5.1: a name is whatever the parties agree on; but a distinguished name is the signer's, and no other certificate's here."""
    if _PAIR.search(text):
        return _same_text(text, signer, subject=True)
    others = [c for c in key_info_certificates(frame) if c != signer]
    return text.strip() in _values(signer) or not any(text.strip() in _values(other) for other in others)


def _values(cert: Cert) -> frozenset[str]:
    """Of the subject."""
    try:
        return frozenset(str(a.value) for a in cert.x509.subject)
    except (Malformed, ValueError, TypeError):
        return frozenset()


def _is_serial_of(element: Any, signer: Cert) -> bool:
    serial, name = _child(element, "X509SerialNumber"), _child(element, "X509IssuerName")
    said = None if serial is None else _serial(text_of(serial))
    return _names(_Named(None, None, said, "" if name is None else text_of(name)), signer) is True


def _is_key_identifier_of(element: Any, signer: Cert) -> bool:
    try:
        held = signer.x509.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, x509.DuplicateExtension, Malformed, ValueError):
        return True  # the certificate does not say
    try:
        return octets_of(element) == held
    except Malformed:
        return False


def _is_digest_of(element: Any, signer: Cert) -> bool:
    algorithm = digest_name(element)
    try:
        return algorithm is None or Digest.of(algorithm, signer.der).value == octets_of(element)
    except (Malformed, Unacceptable):
        return False


def _is_subject_of(element: Any, signer: Cert) -> bool:
    return _same_text(text_of(element), signer, subject=True)


_DESCRIPTIONS: Final = {
    ds("X509IssuerSerial"): _is_serial_of,
    ds("X509SKI"): _is_key_identifier_of,
    ds("X509SubjectName"): _is_subject_of,
    f"{{{_DSIG11}}}X509Digest": _is_digest_of,
}


def signer_of(frame: Frame, candidates: Sequence[Cert], others: Sequence[Cert], *, properties_signed: bool) -> tuple[Cert | None, SignerReference]:
    """The certificate that the first reference names, or else the one that the key fits; and what the signed properties say of it.

    `candidates` are those of ds:KeyInfo; where it has none, `others` stand in. Properties that nothing signed bind nothing.
    """
    properties = frame.signed_property("SigningCertificate", "SigningCertificateV2") if properties_signed else ()
    references = [_references(p) for p in properties]
    first = references[0][0] if references and references[0] else None
    pool = candidates or others
    signer = None
    if first is not None:
        signer = next((c for c in (*pool, *others) if has_digest(first, c.der)), None)
    if signer is None:
        signer = _fitting(frame, pool)
    if first is None or signer is None:
        digest = None if first is None else first.digest
        return signer, SignerReference(len(properties), None if first is None else False, None, None if digest is None else digest.algorithm)
    return signer, SignerReference(
        len(properties),
        has_digest(first, signer.der),
        _names(first, signer),
        None if first.digest is None else first.digest.algorithm,
    )


def _fitting(frame: Frame, pool: Sequence[Cert]) -> Cert | None:
    """Identification only: of several certificates, the one whose key made the value; the first where none did."""
    if len(pool) > 1 and frame.algorithm is not None:
        for candidate in pool:
            try:
                key = candidate.public_key
                if key is not None and verify(key, frame.algorithm, frame.value, frame.signed):
                    return candidate
            except (Malformed, Unacceptable):
                continue
    return pool[0] if pool else None


@dataclass(frozen=True)
class _Named(CertReference):
    """A reference whose issuer is a string (ds:X509IssuerSerial)."""

    text: str = ""


def _references(signing_certificate: Any) -> list[CertReference]:
    """The Cert elements of SigningCertificate or SigningCertificateV2; one that cannot be read has neither digest nor issuer."""
    return [_reference(c) for c in signing_certificate.iterchildren("*") if split(c.tag)[1] == "Cert"]


def _reference(element: Any) -> CertReference:
    digest = digest_of(_child(element, "CertDigest"))
    v2 = _child(element, "IssuerSerialV2")
    if v2 is not None:
        try:
            issuer, serial = issuer_serial(asn1.parse(octets_of(v2), Rules.BER))
            return CertReference(digest, issuer, serial)
        except Malformed:
            return _Named(digest, None, None)
    v1 = _child(element, "IssuerSerial")
    if v1 is None:
        return CertReference(digest, None, None)
    serial_element, name = _child(v1, "X509SerialNumber"), _child(v1, "X509IssuerName")
    serial = None if serial_element is None else _serial(text_of(serial_element))
    return _Named(digest, None, serial, "" if name is None else text_of(name))


def _serial(text: str) -> int | None:
    text = text.strip()
    if text.startswith("-"):
        inner = number(text[1:], 1 << 200)
        return None if inner is None else -inner
    return int(text) if text.isascii() and text.isdigit() and len(text) < 60 else None


def _child(element: Any | None, name: str) -> Any | None:
    if element is None:
        return None
    return next((c for c in element.iterchildren("*") if split(c.tag)[1] == name), None)


def digest_of(element: Any | None) -> Digest | None:
    """A DigestAlgAndValueType; None where it is incomplete or its algorithm unknown."""
    method, value = _child(element, "DigestMethod"), _child(element, "DigestValue")
    algorithm = digest_name(method)
    if algorithm is None or value is None:
        return None
    try:
        return Digest(algorithm, octets_of(value))
    except Malformed:
        return None


def _names(reference: CertReference, candidate: Cert) -> bool | None:
    if not isinstance(reference, _Named):
        return names_issuer(reference, candidate)
    identity = certificate_identity(candidate.der)
    if identity is None or reference.serial is None:
        return False
    return identity[1] == reference.serial and _same_text(reference.text, candidate)


_PAIR: Final = re.compile(r"(?:^|[,+;])\s*(?:OID\.)?([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)\s*=", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[^\w]+")


def _same_text(text: str, candidate: Cert, *, subject: bool = False) -> bool:
    """Whether the values of an RFC 4514 or RFC 2253 string are those of the issuer (or subject), whatever their order, names and escapes.

    deviates: names of attribute types are not compared, because makers spell them in a dozen ways; the digest is what binds.
    """
    try:
        values = {_bare(str(a.value)) for a in (candidate.x509.subject if subject else candidate.x509.issuer)}
    except (Malformed, ValueError, TypeError):
        return False
    parts = _PAIR.split(text)
    said = {_bare(_unescaped(v)) for v in parts[2::2]}
    encoded = {v for v in parts[2::2] if v.strip().startswith("#")}
    return bool(said) and (said == values or (bool(encoded) and {_bare(v) for v in parts[2::2] if v not in encoded} <= values))


def _unescaped(value: str) -> str:
    value = value.strip().strip('"')
    raw = re.sub(r"(?:\\[0-9a-fA-F]{2})+", lambda m: bytes.fromhex(m[0].replace("\\", "")).decode("utf-8", "replace"), value)
    return raw.replace("\\", "")


def _bare(value: str) -> str:
    return _PLAIN.sub("", value).casefold()
