"""The CMS of a seal in a PDF (EN 319 142-1 clause 6.3), over the digest of its byte range: no byte of the PDF is needed for it."""

from dataclasses import dataclass, field

from eseal.claims import Claims
from eseal.draft import Draft
from eseal.formats import cms
from eseal.levels import NEEDS, Means, digest_for, stamped
from eseal.spec import Spec
from trust.algorithms import DIGESTS
from trust.errors import Malformed
from trust.model import Digest, Document, Token
from trust.ports import Key, Status

TOKEN_ROOM = 6 << 10
"""Bytes kept free for a token before it is known: several times a P-256 token with its chain. One that is larger costs a second round."""
SLACK = 64
"""Bytes by which the next token of a unit may be longer than the last. What nothing signs (the padding of /Contents) stays short."""


@dataclass(frozen=True, slots=True)
class Made:
    """A signature over a byte range."""

    contents: bytes
    """What goes into /Contents."""
    value: bytes
    token: Token | None
    """Over the value."""
    before: Token | None
    """Over the byte range, and signed with it."""

    @property
    def stamps(self) -> tuple[Token, ...]:
        """In order of time."""
        return tuple(t for t in (self.before, self.token) if t is not None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sealer elsewhere gives for a digest of the PDF as it is now."""

    contents: bytes
    """Of /Contents."""
    found: Status = field(default_factory=Status)
    """For the /DSS."""
    room: int = TOKEN_ROOM
    """Bytes for the document time-stamp that comes next."""
    value: bytes = b""
    """Of the signature."""
    last: bool = True
    """No time-stamp comes next."""


def made(imprint: Digest, spec: Spec, means: Means) -> Made:
    """At B-B or with the time-stamp of B-T; higher levels are the PDF's, not the CMS's. `imprint` is by the digest that the key signs.

    Unacceptable for a key without an identifier in CMS, Unavailable when the authority gives no token.
    """
    key = means.key
    before = stamped(means.stamp, imprint) if spec.claims.content_timestamp else None
    attributes = _attributes(imprint, spec, key, before.der if before else None)
    value = key.sign(attributes)
    token = stamped(means.stamp, Digest.of(imprint.algorithm, value)) if NEEDS[spec.level].stamp else None
    return Made(_envelope(imprint.algorithm, key, attributes, value, token.der if token else None), value, token, before)


def room(spec: Spec, key: Key) -> int:
    """Bytes that it needs at most, as far as tokens are not longer than TOKEN_ROOM."""
    digest = digest_for(key.algorithm, spec.digest)
    blank = Digest(digest, bytes(DIGESTS[digest].size))
    longest = bytes(cms.longest_signature(key.algorithm, key.certificate.public_key))
    first = bytes(TOKEN_ROOM) if spec.claims.content_timestamp else None
    token = bytes(TOKEN_ROOM) if NEEDS[spec.level].stamp else None
    return len(_envelope(digest, key, _attributes(blank, spec, key, first), longest, token))


def seal(document: Document, spec: Spec, means: Means) -> Draft:
    """From the digest of a byte range: the CMS alone. Malformed where another digest is known than the key signs."""
    imprint = document.digest(digest_for(means.key.algorithm, spec.digest))
    if imprint is None:
        raise Malformed("only digests of this document are known, and not this one")
    found = made(imprint, spec, means)
    return Draft((found.contents,), found.value, tuple(t.der for t in found.stamps))


def _attributes(content: Digest, spec: Spec, key: Key, before: bytes | None) -> bytes:
    # EN 319 142-1 clause 6.3: content-time-stamp, over what the byte range covers.
    stamps = [cms.attribute(cms.CONTENT_TIME_STAMP, before)] if before is not None else []
    return cms.signed_attributes(content, key, [*_claimed(spec.claims), *stamps])


def _envelope(digest: str, key: Key, attributes: bytes, value: bytes, token: bytes | None) -> bytes:
    fields = cms.signer_fields(key, digest, attributes, value)
    stamp_over = [cms.attribute(cms.SIGNATURE_TIME_STAMP, token)] if token is not None else []
    return cms.envelope(digest, fields, cms.certificates(key), unsigned=stamp_over).whole


def _claimed(claims: Claims) -> list[bytes]:
    """EN 319 142-1 clause 6.3: what stands in signed attributes. Place and reason are entries of the PDF's own."""
    found = []
    if claims.commitment is not None:
        found.append(cms.commitment_type(claims.commitment))
    if claims.role is not None:
        found.append(cms.signer_role(claims.role))
    if claims.policy is not None:
        found.append(cms.signature_policy(claims.policy))
    return found
