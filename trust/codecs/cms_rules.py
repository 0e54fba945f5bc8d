"""What CMS attributes and tokens must be beside readable: each in its place, once, and naming who signed. Facts for readers, as Defects.

Nothing of it leaves the bytes in doubt; programs differ in what they believe of it, and so nobody may accept it.
"""

import functools

from cryptography import x509

from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import INTEGER, OCTET_STRING, SEQUENCE, Node, Rules, context
from trust.codecs.cades import (
    ARCHIVE_TIME_STAMP_V2,
    ARCHIVE_TIME_STAMP_V3,
    CERTIFICATE_VALUES,
    COMMITMENT_TYPE,
    CONTENT_HINTS,
    CONTENT_TIME_STAMP,
    COUNTER_SIGNATURE,
    MIME_TYPE,
    REVOCATION_VALUES,
    SIGNATURE_POLICY,
    SIGNATURE_POLICY_STORE,
    SIGNATURE_TIME_STAMP,
    SIGNER_ATTRIBUTES_V2,
)
from trust.codecs.cms_attributes import CONTENT_IDENTIFIER, CONTENT_REFERENCE
from trust.codecs.ess import SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2, certificate_identity, same_name, signing_certificates
from trust.codecs.signed_data import ALGORITHM_PROTECTION, CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNING_TIME, SignedData, SignerInfo
from trust.errors import Malformed
from trust.model import Cert, Defect, SignerReference

_SIGNED_ONCE = {
    CONTENT_TYPE: "content-type",
    MESSAGE_DIGEST: "message-digest",
    SIGNING_TIME: "signing-time",
    SIGNING_CERTIFICATE: "signing-certificate",
    SIGNING_CERTIFICATE_V2: "signing-certificate-v2",
    SIGNATURE_POLICY: "signature-policy-identifier",
    "1.2.840.113549.1.9.16.2.17": "signer-location",
    "1.2.840.113549.1.9.16.2.18": "signer-attributes",
    SIGNER_ATTRIBUTES_V2: "signer-attributes-v2",
    MIME_TYPE: "mime-type",
    ALGORITHM_PROTECTION: "algorithm protection",
    CONTENT_HINTS: "content-hints",
    CONTENT_IDENTIFIER: "content-identifier",
    CONTENT_REFERENCE: "content-reference",
}
"""RFC 5652 section 11, RFC 2634 section 1.3.4, RFC 5035 section 3, RFC 6211 section 2, EN 319 122-1 clause 5.2: signed, and at most once with one
value."""
_NEVER_UNSIGNED = {**_SIGNED_ONCE, COMMITMENT_TYPE: "commitment-type-indication", CONTENT_TIME_STAMP: "content-time-stamp"}
_NEVER_SIGNED = {
    COUNTER_SIGNATURE: "counter-signature",
    SIGNATURE_TIME_STAMP: "signature-time-stamp",
    SIGNATURE_POLICY_STORE: "signature-policy-store",
    ARCHIVE_TIME_STAMP_V2: "archive-time-stamp",
    ARCHIVE_TIME_STAMP_V3: "archive-time-stamp-v3",
    CERTIFICATE_VALUES: "certificate-values",
    REVOCATION_VALUES: "revocation-values",
}
"""RFC 5652 section 11.4, EN 319 122-1 clauses 5.2.10, 5.3 to 5.5 and annex A."""
_CLAUSE = "RFC 5652 section 11"


def misplaced(info: SignerInfo) -> tuple[Defect, ...]:
    """Attributes that stand where nothing gives them a meaning, or twice."""
    kinds = {a.oid for a in info.signed}
    once = len(kinds) == len(info.signed) and all(len(a.values) == 1 for a in info.signed)
    if once and not info.unsigned and kinds.isdisjoint(_NEVER_SIGNED):
        return ()
    found = [_refused(_CLAUSE, f"{name} attribute is not signed") for oid, name in _NEVER_UNSIGNED.items() if info.unsigned_of(oid)]
    for oid, name in _SIGNED_ONCE.items():
        signed = info.signed_of(oid)
        if len(signed) > 1 or any(len(a.values) != 1 for a in signed):
            found.append(_refused(_CLAUSE, f"{name} attribute stands more than once"))
    return (*found, *(_refused(_CLAUSE, f"{name} attribute is signed") for oid, name in _NEVER_SIGNED.items() if info.signed_of(oid)))


def contradicted(info: SignerInfo, signer: Cert | None, reference: SignerReference) -> tuple[Defect, ...]:
    """RFC 5035 section 4: the reference's serial number is that of the certificate whose digest it has. RFC 5652 section 5.3: the version is that of
    the identifier. RFC 5758 section 3.2: ECDSA has no parameters (NULL is let through, because makers write it)."""
    found = []
    if info.version != (3 if info.issuer is None else 1):
        found.append(_refused("RFC 5652 section 5.3", "the version of the signer is not that of its identifier"))
    if signer is not None and reference.issuer_serial_matches is False and _renumbered(info, signer):
        # A name that differs is a matter of policy: makers write it in many ways.
        found.append(_refused("RFC 5035 section 4", "the reference to the certificate has another serial number"))
    if any(p.tag != asn1.NULL for p in _digest_id(info).children[1:]):
        found.append(_refused("RFC 5754 section 2", "the digest of the signer has parameters"))
    if info.algorithm is not None and info.algorithm.scheme == "ecdsa" and any(p.tag != asn1.NULL for p in _parameters(info)):
        found.append(_refused("RFC 5758 section 3.2", "ECDSA has parameters"))
    return tuple(found)


def _renumbered(info: SignerInfo, signer: Cert) -> bool:
    identity = certificate_identity(signer.der)
    firsts = [ids[0] for ids in signing_certificates(info) if ids]
    return identity is not None and any(first.serial is not None and first.serial != identity[1] for first in firsts)


def _digest_id(info: SignerInfo) -> Node:
    """After version and identifier."""
    return info.node.children[2]


def _parameters(info: SignerInfo) -> list[Node]:
    """Of the signature algorithm, which stands before the value."""
    at = next(n for n, child in enumerate(info.node.children) if child.tag in (OCTET_STRING, OCTET_STRING | 0x20))
    kind, *parameters = info.node.children[at - 1].children
    return [] if kind.oid() in identifiers.PLAIN_ECDSA else parameters


def undeclared(signed: SignedData, info: SignerInfo) -> tuple[Defect, ...]:
    """RFC 5652 section 5.1: what the envelope says before its content, from which programs decide what to hash and how to read on."""
    found = []
    if info.digest not in signed.digests:
        found.append(_refused("RFC 5652 section 5.1", "the digest of the signer is not among those of the message"))
    # deviates: 3 where 1 or 5 is due is let through, because several authorities and makers write it.
    if signed.version not in (3, *_other_versions(signed)) or (signed.version == 1 and any(i.version == 3 for i in signed.signers)):
        found.append(_refused("RFC 5652 section 5.1", "the version of the message is not that of its content"))
    if any(not _is_time_of_cms(value) for attribute in info.signed_of(SIGNING_TIME) for value in attribute.values):
        found.append(_refused("RFC 5652 section 11.3", "the signing time is not in the form of its century"))
    if any(p.tag != asn1.NULL for node in _declared(signed) for p in node.children[1:]):
        found.append(_refused("RFC 5754 section 2", "a digest of the message has parameters"))
    if not _sound(signed):
        found.append(_refused("RFC 5652 section 10.2", "the message holds what is no certificate or list among its certificates and lists"))
    return tuple(found)


def _declared(signed: SignedData) -> list[Node]:
    """digestAlgorithms, after the version."""
    return signed.node.children[1].children


def _sound(signed: SignedData) -> bool:
    """RFC 5652 sections 10.2.1 and 10.2.2; attribute certificates and other formats are let through as they are."""
    held = [] if signed.certificates is None else signed.certificates.children
    listed = [] if signed.revocations is None else signed.revocations.children
    return (
        all(n.tag in _FORMATS for n in held)
        and all(certificate_identity(c.der) is not None for c in signed.certs)
        and all(n.tag == context(1) or (n.tag == SEQUENCE and _is_list(n.raw)) for n in listed)
    )


_FORMATS = (SEQUENCE, context(0), context(1), context(2), context(3))


@functools.lru_cache(maxsize=64)
def _is_list(der: bytes) -> bool:
    """Whether it has the three parts of a CertificateList (RFC 5280 section 5.1)."""
    try:
        return [n.tag for n in asn1.parse(der, Rules.BER).children] == [SEQUENCE, SEQUENCE, asn1.BIT_STRING]
    except Malformed:
        return False


def _other_versions(signed: SignedData) -> tuple[int, ...]:
    kinds = {der[:1] for der in signed.attribute_certs}
    listed = () if signed.revocations is None else signed.revocations.children
    if b"\xa3" in kinds or any(child.tag != SEQUENCE for child in listed):
        return (4, 5)
    if b"\xa2" in kinds:
        return (4,)
    return () if signed.content_type != DATA else (1,)


def _is_time_of_cms(value: Node) -> bool:
    """Until 2049 UTCTime, then GeneralizedTime; with seconds, in UTC, without fractions."""
    if value.tag == asn1.UTC_TIME:
        return len(value.content) == len(b"YYMMDDhhmmssZ")
    return value.tag == asn1.GENERALIZED_TIME and len(value.content) == len(b"YYYYMMDDhhmmssZ") and value.content[:4] >= b"2050"


def unsound(tst_info: bytes) -> tuple[Defect, ...]:
    """RFC 3161 section 2.4.2: what TSTInfo asks of its values beside their types."""
    found: list[Defect] = []
    clause = "RFC 3161 section 2.4.2"
    _, _, imprint, serial, time, *rest = asn1.parse(tst_info).children
    if len(serial.content) > MAX_SERIAL:
        found.append(_refused(clause, "the serial number of the token has more than 160 bits"))
    if b"." in time.content and time.content[-2:-1] == b"0":
        found.append(_refused(clause, "fraction of the time has trailing zeros"))
    # deviates: zero seconds are let through, because several authorities write them.
    if any(part.tag != INTEGER and part.content == b"\0" for field in rest if field.tag == SEQUENCE for part in field.children):
        found.append(_refused(clause, "a part of the accuracy is not 1 to 999"))
    if any(field.tag == context(1) and not field.children for field in rest):
        found.append(_refused("RFC 5280 section 4.1", "the token has a list of extensions without one"))
    if any(parameters.tag != asn1.NULL for parameters in imprint.children[0].children[1:]):
        found.append(_refused("RFC 5754 section 2", "the digest of the token has parameters"))
    return tuple(found)


MAX_SERIAL = 21
"""Bytes of a serial number of 160 bits, its sign before it."""


def unbound(reference: SignerReference) -> tuple[Defect, ...]:
    """RFC 3161 section 2.4.2, RFC 5816 section 2.2.1: a token names its unit's certificate in its signed attributes."""
    return () if reference.count else (_refused("RFC 5816 section 2.2.1", "the token does not say which certificate signed it"),)


def misnamed(tst_info: bytes, unit: Cert | None) -> tuple[Defect, ...]:
    """RFC 3161 section 2.4.2: the `tsa` of a token corresponds to one of the names of its unit; and an extension stands once."""
    found: list[Defect] = []
    if b"\xa0" not in tst_info and b"\xa1" not in tst_info:
        return ()
    for field in asn1.parse(tst_info).children:
        if field.tag == context(0) and unit is not None and not _is_name_of(field.raw, unit):
            found.append(_refused("RFC 3161 section 2.4.2", "the token names another authority than its unit"))
        if field.tag == context(1):
            kinds = [extension.children[0].oid() for extension in field.children if extension.children]
            if len(set(kinds)) < len(kinds):
                found.append(_refused("RFC 5280 section 4.2", "an extension of the token stands twice"))
            if any(extension.children[0].oid() == _QC_STATEMENTS and not _are_statements(extension.children[-1]) for extension in field.children):
                found.append(_refused("EN 319 422 clause 9.1", "what the token says of its quality cannot be read"))
    return tuple(found)


def _refused(clause: str, why: str) -> Defect:
    return Defect(clause, why, fatal=False, refused=True)


_QC_STATEMENTS = "1.3.6.1.5.5.7.1.3"


def _are_statements(value: Node) -> bool:
    """RFC 3739 section 3.2.6: statements, each with its identifier."""
    try:
        return all(statement.expect(SEQUENCE).children[0].oid() for statement in asn1.parse(value.octets()).expect(SEQUENCE).children)
    except (Malformed, IndexError):
        return False


_CONTEXT = 0x80
"""The class of each kind of GeneralName (RFC 5280 section 4.2.1.6)."""


@functools.lru_cache(maxsize=256)
def _is_name_of(tsa: bytes, unit: Cert) -> bool:
    """Makers turn the order of the subject round. Names of other kinds than directoryName contradict nothing here."""
    try:
        held = asn1.parse(tsa).only()
        if held.tag != context(4):
            return held.tag & _CONTEXT == _CONTEXT
        name = held.only(SEQUENCE).raw
        return same_name(name, unit.subject) or _pairs(name) == _pairs(unit.subject) or name in _alternatives(unit)
    except Malformed:
        return False


def _alternatives(unit: Cert) -> list[bytes]:
    try:
        held = unit.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return []
    return [name.public_bytes() for name in held.get_values_for_type(x509.DirectoryName)]


def _pairs(name: bytes) -> frozenset[tuple[str, str]]:
    pairs = [pair.children for rdn in asn1.parse(name, Rules.BER).children for pair in rdn.children]
    if any(len(pair) != 2 for pair in pairs):
        raise Malformed("name: type and value expected")
    return frozenset((kind.oid(), " ".join(value.text().casefold().split())) for kind, value in pairs)
