"""archive-time-stamp-v3 with its hash index (EN 319 122-1 clause 5.5): what the stamp is over, and the token as it stands in the attribute."""

from collections.abc import Sequence
from dataclasses import dataclass

from eseal.formats import cms
from eseal.formats.cms import oid, sequence
from trust.codecs.asn1 import OCTET_STRING, SET, Node, context, tlv
from trust.codecs.cades import ARCHIVE_TIME_STAMP_V3, ATS_HASH_INDEX_V3
from trust.codecs.signed_data import signed_data
from trust.codecs.tst import integer
from trust.model import Digest
from trust.ports import Status

UNSIGNED = context(1)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An unsigned attribute with one value."""

    kind: str
    value: bytes

    @property
    def der(self) -> bytes:
        return cms.attribute(self.kind, self.value)


def hash_index(digest: str, certificates: Sequence[bytes], revocations: Sequence[bytes], unsigned: Sequence[Attribute]) -> bytes:
    """Clause 5.5.2, ats-hash-index-v3: a digest of each certificate, each revocation value, and each unsigned attribute's type with its value."""
    values = [oid(a.kind) + a.value for a in unsigned]
    lists = (sequence(*(tlv(OCTET_STRING, Digest.of(digest, item).value) for item in items)) for items in (certificates, revocations, values))
    return sequence(cms.digest_identifier(digest), *lists)


def imprint(content: Digest, fields: bytes, index: bytes) -> Digest:
    """Clause 5.5.3: over the content's type, its digest, the signer's fields before the unsigned attributes, and the index."""
    return Digest.of(content.algorithm, oid(cms.DATA) + content.value + fields + index)


def attribute(token: bytes, index: bytes, found: Status) -> Attribute:
    """Clause 5.5.3: the token with the index among its own unsigned attributes."""
    return Attribute(ARCHIVE_TIME_STAMP_V3, completed(token, found, Attribute(ATS_HASH_INDEX_V3, index)))


def completed(token: bytes, found: Status, *more: Attribute) -> bytes:
    """A time-stamp token with what its own validation needs in its own fields, and more unsigned attributes: nothing of that is under its signature
    (RFC 5652 section 5.4). Malformed for what is no token."""
    signed = signed_data(token)
    [info] = signed.node.children[-1].children
    signer = _extended(info, [a.der for a in more])
    certificates = _joined(signed.certificates, [c.der for c in found.certs])
    revocations = _joined(signed.revocations, cms.revocations(found))
    version = cms.version(revocations, signed.version)
    parts = [integer(version), *(n.raw for n in signed.node.children[1:3])]
    parts += [tlv(context(n), b"".join(items)) for n, items in enumerate((certificates, revocations)) if items]
    return sequence(oid(cms.SIGNED_DATA), tlv(context(0), sequence(*parts, tlv(SET, signer))))


def _extended(info: Node, more: Sequence[bytes]) -> bytes:
    """A SignerInfo with more unsigned attributes."""
    fields = [n.raw for n in info.children]
    there = [n.raw for n in info.children[-1].children] if info.children[-1].tag == UNSIGNED else []
    kept = fields[:-1] if there else fields
    attributes = sorted((*there, *more))
    return sequence(*kept, tlv(UNSIGNED, b"".join(attributes)) if attributes else b"")


def _joined(there: Node | None, more: Sequence[bytes]) -> list[bytes]:
    """The elements of a SET with others, each once; untouched where there are none."""
    held = [] if there is None else [n.raw for n in there.children]
    added = set(more) - set(held)
    return sorted((*held, *added)) if added else held
