"""CAdES (EN 319 122-1) over anything: attached, or detached beside a stream of any size."""

from dataclasses import dataclass

from eseal.claims import Claims
from eseal.draft import Draft, Span
from eseal.formats import archive, cms
from eseal.formats.archive import Attribute
from eseal.levels import NEEDS, Means, Needs, digest_for, gathered, joined, later, signing_time, stamped
from eseal.spec import Packaging, Spec
from trust.errors import Malformed, TooLarge
from trust.model import Digest, Document
from trust.ports import Status

LARGEST_ATTACHED = 8_000_000_000
"""Bytes: our own reader goes to 8 GiB, with room for what time-stamps bring."""


def seal(document: Document, spec: Spec, means: Means) -> Draft:
    """EN 319 122-1 clause 6, levels B-B to B-LTA. The document is read once for its digest and, attached, once more by whoever reads the result.

    Unacceptable for a key without an identifier in CMS, Unavailable when the authority gives no token or there is no status.
    """
    attached = spec.packaging is Packaging.ATTACHED
    if attached and (document.size or 0) > LARGEST_ATTACHED:
        raise TooLarge(f"a CMS file holds at most {LARGEST_ATTACHED:,} bytes here, got {document.size:,}: seal it detached or in a container")
    made = signed(document, spec, means, NEEDS[spec.level], attached=attached)
    head, tail = made.envelope.head, made.envelope.tail
    return Draft((head, Span(0, document.size or 0), tail) if attached else (made.envelope.whole,), made.value, made.stamps)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature with what its level needs."""

    envelope: cms.Envelope
    value: bytes
    stamps: tuple[bytes, ...]
    """As the authority gave them, in order of time."""
    held: Status
    """The validation data in it."""


def signed(document: Document, spec: Spec, means: Means, needs: Needs, *, attached: bool) -> Signed:
    """A signature over a document, with what it needs in the places of EN 319 122-1 clause 6.3: the time-stamp in an unsigned attribute,
    certificates and revocation values of signer and time-stamp in SignedData, the archive time-stamp (version 3) over all of that."""
    key = means.key
    digest = digest_for(key.algorithm, spec.digest)
    content = document.digest(digest)
    if content is None or (attached and document.size is None):
        raise Malformed("only digests of this document are known")
    at = signing_time(spec.claims.signing_time, means)
    claims, before = claimed(spec.claims, document.media_type), None
    if spec.claims.content_timestamp:
        # EN 319 122-1 clause 5.2.8: over the content's octets, without tag and length.
        before = stamped(means.stamp, content)
        claims.append(cms.attribute(cms.CONTENT_TIME_STAMP, before.der))
    attributes = cms.signed_attributes(content, key, claims, at)
    value = key.sign(attributes)
    fields = cms.signer_fields(key, digest, attributes, value)
    unsigned: list[Attribute] = []
    stamps: list[bytes] = [before.der] if before else []
    found = Status()
    if needs.stamp:
        token = stamped(means.stamp, Digest.of(digest, value))
        unsigned.append(Attribute(cms.SIGNATURE_TIME_STAMP, token.der))
        stamps.append(token.der)
        if needs.status:
            found = gathered(key, token, means.status)
            found = joined(found, later(before, found, means.status)) if before else found
    certificates, revocations = cms.certificates(key, found.certs), cms.revocations(found)
    if needs.archive:
        index = archive.hash_index(digest, certificates, revocations, unsigned)
        last = stamped(means.stamp, archive.imprint(content, fields, index))
        unsigned.append(archive.attribute(last.der, index, later(last, found, means.status)))
        stamps.append(last.der)
    size = document.size if attached else None
    made = cms.envelope(digest, fields, certificates, unsigned=[a.der for a in unsigned], revocations=revocations, content_size=size)
    return Signed(made, value, tuple(stamps), found)


def claimed(claims: Claims, media_type: str | None) -> list[bytes]:
    """Signed attributes of EN 319 122-1 clause 5.2 for what the seal says of itself and of its document."""
    found = []
    if claims.commitment is not None:
        found.append(cms.commitment_type(claims.commitment))
    if claims.location is not None:
        found.append(cms.signer_location(claims.location))
    if claims.role is not None:
        found.append(cms.signer_role(claims.role))
    if claims.policy is not None:
        found.append(cms.signature_policy(claims.policy))
    if claims.description is not None:
        found.append(cms.content_hints(claims.description))
    if media_type is not None:
        found.append(cms.mime_type(media_type))
    return found
