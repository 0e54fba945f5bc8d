"""What values of CMS attributes look like (RFC 5652 section 11, RFC 2634, RFC 5035, RFC 6211, EN 319 122-1 clause 5.2): facts, as Defects.

A value that is none of its type is read by nobody, or by some: it is told and not accepted.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from trust.algorithms import DIGESTS
from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import OCTET_STRING, OID, SEQUENCE, Node, Rules, context
from trust.codecs.cades import (
    ATTRIBUTE_CERTIFICATE_REFS,
    ATTRIBUTE_REVOCATION_REFS,
    CERTIFICATE_REFS,
    COMMITMENT_TYPE,
    CONTENT_HINTS,
    CONTENT_TIME_STAMP,
    COUNTER_SIGNATURE,
    MIME_TYPE,
    REVOCATION_REFS,
    SIGNATURE_POLICY,
    SIGNATURE_POLICY_STORE,
    SIGNER_LOCATION,
)
from trust.codecs.ess import SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2, ess_cert_id
from trust.codecs.signed_data import ALGORITHM_PROTECTION, Attribute, SignerInfo
from trust.errors import Malformed
from trust.model import Defect

CONTENT_IDENTIFIER: Final = "1.2.840.113549.1.9.16.2.7"
CONTENT_REFERENCE: Final = "1.2.840.113549.1.9.16.2.10"
_OCTETS: Final = (OCTET_STRING, OCTET_STRING | 0x20)
_STRINGS: Final = (asn1.UTF8, asn1.PRINTABLE, asn1.T61, asn1.IA5, asn1.VISIBLE, asn1.UNIVERSAL, asn1.BMP)
_TEXT_NOT_KNOWN: Final = (b"", b"\0", b"0")
"""RFC 5126 section 5.8.1: the hash of a policy that the signer does not know."""


def _each(node: Node, check: Callable[[Node], object]) -> None:
    if not node.children:
        raise Malformed("at least one value expected")
    for child in node.children:
        check(child)


def _signing_certificate(value: Node, *, v2: bool) -> None:
    """RFC 5035 sections 3 and 5: certificates, and policies perhaps."""
    fields = value.fields()
    _each(fields.take(SEQUENCE), lambda node: ess_cert_id(node, v2=v2))
    if (policies := fields.maybe(SEQUENCE)) is not None:
        _each(policies, _begins_with_oid)
    fields.done()


def _begins_with_oid(node: Node) -> None:
    node.fields().take(OID).oid()


def _content_hints(value: Node) -> None:
    """RFC 2634 section 2.9. deviates: the description may be an OCTET STRING, as Italian makers write it."""
    fields = value.fields()
    if fields.maybe(asn1.UTF8) is None:
        fields.maybe(OCTET_STRING)
    fields.take(OID).oid()
    fields.done()


def _content_reference(value: Node) -> None:
    """RFC 2634 section 2.11."""
    fields = value.fields()
    fields.take(OID).oid()
    fields.take(*_OCTETS)
    fields.take(*_OCTETS)
    fields.done()


def _commitment(value: Node) -> None:
    """EN 319 122-1 clause 5.2.3."""
    fields = value.fields()
    fields.take(OID).oid()
    if (qualifiers := fields.maybe(SEQUENCE)) is not None:
        _each(qualifiers, _begins_with_oid)
    fields.done()


def _location(value: Node) -> None:
    """EN 319 122-1 clause 5.2.5: country, locality, address, of which there is one at least, in this order."""
    tags = [node.tag for node in value.expect(SEQUENCE).children]
    if not tags or tags != sorted(set(tags)) or not set(tags) <= {context(0), context(1), context(2)}:
        raise Malformed("parts of a location expected")


def _policy(value: Node) -> None:
    """EN 319 122-1 clause 5.2.9.1; NULL is implied."""
    if value.tag == asn1.NULL:
        return
    fields = value.fields()
    fields.take(OID).oid()
    hashed = fields.maybe(SEQUENCE)
    if hashed is not None and hashed.children and hashed.children[0].tag == SEQUENCE:
        inner = hashed.fields()
        algorithm, digest = identifiers.digest_name(inner.take(SEQUENCE)), inner.take(*_OCTETS).octets()
        inner.done()
        if algorithm is not None and len(digest) != DIGESTS[algorithm].size and digest not in _TEXT_NOT_KNOWN:
            raise Malformed("digest of the length of its algorithm expected")
        fields.maybe(SEQUENCE)
    fields.done()


def _protection(value: Node) -> None:
    """RFC 6211 section 2: in signed data the algorithm of the signature, and no MAC's."""
    fields = value.fields()
    fields.take(SEQUENCE)
    fields.take(context(1))
    fields.done()


def _store(value: Node) -> None:
    """EN 319 122-1 clause 5.2.10."""
    fields = value.fields()
    fields.take(*_STRINGS, OID)
    fields.take(*_OCTETS, asn1.IA5)
    fields.done()


_CHECKS: Final[Mapping[str, tuple[str, Callable[[Node], object]]]] = {
    SIGNING_CERTIFICATE: ("signing-certificate", functools.partial(_signing_certificate, v2=False)),
    SIGNING_CERTIFICATE_V2: ("signing-certificate-v2", functools.partial(_signing_certificate, v2=True)),
    CONTENT_HINTS: ("content-hints", _content_hints),
    CONTENT_IDENTIFIER: ("content-identifier", lambda value: value.expect(*_OCTETS)),
    CONTENT_REFERENCE: ("content-reference", _content_reference),
    MIME_TYPE: ("mime-type", lambda value: value.expect(asn1.UTF8)),
    COMMITMENT_TYPE: ("commitment-type-indication", _commitment),
    SIGNER_LOCATION: ("signer-location", _location),
    SIGNATURE_POLICY: ("signature-policy-identifier", _policy),
    ALGORITHM_PROTECTION: ("algorithm protection", _protection),
    SIGNATURE_POLICY_STORE: ("signature-policy-store", _store),
}
_NEVER_EMPTY: Final = {
    COUNTER_SIGNATURE: "counter-signature",
    CONTENT_TIME_STAMP: "content-time-stamp",
    CERTIFICATE_REFS: "complete-certificate-references",
    REVOCATION_REFS: "complete-revocation-references",
    ATTRIBUTE_CERTIFICATE_REFS: "attribute-certificate-references",
    ATTRIBUTE_REVOCATION_REFS: "attribute-revocation-references",
}
"""RFC 5652 section 11.4: one value at least."""


def misshapen(info: SignerInfo) -> Iterator[Defect]:
    """Known attributes whose values are not of their type."""
    for attribute in (*info.signed, *info.unsigned):
        name, check = _CHECKS.get(attribute.oid, (_NEVER_EMPTY.get(attribute.oid), None))
        if name is not None and (not attribute.values or (check is not None and not _fits(attribute))):
            yield Defect("RFC 5652 section 5.3", f"{name} attribute is not of its type", fatal=False, refused=True)


def _fits(attribute: Attribute) -> bool:
    node = attribute.node
    return _short(node.raw, node.rules, node.depth, attribute.oid) if node.stop - node.start <= _KEPT else _all_fit(attribute.values, attribute.oid)


_KEPT: Final = 1024
"""Bytes of an attribute whose verdict is kept: a unit's are the same in each of its tokens."""


@functools.lru_cache(maxsize=512)
def _short(raw: bytes, rules: Rules, depth: int, oid: str) -> bool:
    return _all_fit(asn1.parse_inner(raw, rules, depth).children[1].children, oid)


def _all_fit(values: "tuple[Node, ...] | list[Node]", oid: str) -> bool:
    check = _CHECKS[oid][1]
    try:
        for value in values:
            check(value)
    except (Malformed, IndexError):
        return False
    return True
