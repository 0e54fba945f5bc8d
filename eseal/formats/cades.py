"""CAdES (EN 319 122-1) over anything: attached, or detached beside a stream of any size."""

from eseal.draft import Draft, Span
from eseal.formats import cms
from eseal.levels import NEEDS, Means, digest_for, signing_time, stamped
from eseal.spec import Claims, Packaging, Spec
from trust.errors import Malformed
from trust.model import Digest, Document


def seal(document: Document, spec: Spec, means: Means) -> Draft:
    """EN 319 122-1 clause 6, levels B-B and B-T. The document is read once for its digest and, attached, once more by whoever reads the result.

    Unacceptable for a key without an identifier in CMS, Unavailable when the authority gives no token.
    """
    needs, key = NEEDS[spec.level], means.key
    digest = digest_for(key.algorithm, spec.digest)
    content = document.digest(digest)
    if content is None or document.size is None:
        raise Malformed("only digests of this document are known")
    at = signing_time(spec.claims.signing_time, means)
    signed = cms.signed_attributes(content, key, claimed(spec.claims, document.media_type), at)
    value = key.sign(signed)
    token = stamped(means.stamp, Digest.of(digest, value)).der if needs.stamp else None
    attached = spec.packaging is Packaging.ATTACHED
    made = cms.envelope(key, digest, signed, value, token=token, content_size=document.size if attached else None)
    pieces: tuple[bytes | Span, ...] = (made.head, Span(0, document.size), made.tail) if attached else (made.whole,)
    return Draft(pieces, value, (token,) if token else ())


def claimed(claims: Claims, media_type: str | None) -> list[bytes]:
    """Signed attributes of EN 319 122-1 clause 5.2 for what the seal says of itself and of its document."""
    found = []
    if claims.commitment is not None:
        found.append(cms.commitment_type(claims.commitment))
    if claims.location is not None:
        found.append(cms.signer_location(claims.location))
    if media_type is not None:
        found.append(cms.mime_type(media_type))
    return found
