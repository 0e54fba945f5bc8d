"""COSE_Sign1 (RFC 9052) with the signer's certificate (RFC 9360) and time-stamps (RFC 9921): a seal for the messages of devices.

Of a document that is known by its digest alone it is a hash envelope (RFC 9995): the digest is the payload.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from eseal.draft import Draft, Piece, Span
from eseal.formats.halves import written
from eseal.levels import NEEDS, Means, digest_for, signing_time, stamped
from eseal.spec import Packaging, Spec
from trust.algorithms import SIGNATURE_BY_COSE, Algorithm
from trust.codecs import cbor, cose
from trust.errors import Malformed, TooLarge, Unacceptable
from trust.model import Digest, Document
from trust.ports import Key

LARGEST = 48 << 20
"""Bytes of a payload: the key signs it whole, and a reader holds it whole."""

_LABELS = {algorithm: label for label, algorithm in reversed(SIGNATURE_BY_COSE.items())} | {Algorithm("ed448"): -8}
"""The first that has the algorithm: the elder names, which libraries know, before those of RFC 9864."""
_CURVES = {-7: 256, -35: 384, -36: 521}
"""RFC 9053 section 2.1 lets any curve stand under ES256; readers that know RFC 9864 take it as P-256, so only that is written."""
_SHA256 = -16


def seal(document: Document, spec: Spec, means: Means) -> Draft:
    """RFC 9052 section 4.2, deterministically encoded: the message, or with the payload left out (section 4.1, nil) where it is detached.

    Unacceptable for a key without an identifier in COSE, TooLarge for a payload that nobody could read, Unavailable when the authority gives no
    token.
    """
    key, digest = means.key, digest_for(means.key.algorithm, spec.digest)
    payload = _payload(document, digest)
    before = stamped(means.stamp, payload.imprint).der if spec.claims.content_timestamp else None
    stated = {} if before is None else {cose.STAMP_THEN_SIGN: before}
    protected = cbor.encode(_protected(spec, means) | payload.said | stated)
    # Section 4.4: Sig_structure with empty external data.
    begun = cbor.head(4, 4) + b"".join(cbor.encode(part) for part in ("Signature1", protected, b"")) + cbor.head(2, payload.size)
    value = key.sign(b"".join((begun, *payload.chunks)))
    signature = cbor.encode(written(key, value))
    # RFC 9921 section 3.1: over the signature as it is encoded, head included.
    token = stamped(means.stamp, Digest.of(digest, signature)).der if NEEDS[spec.level].stamp else None
    unprotected = {} if token is None else {cose.SIGN_THEN_STAMP: token}
    head = cbor.head(6, cose.SIGN1) + cbor.head(4, 4) + cbor.encode(protected) + cbor.encode(unprotected)
    pieces: tuple[Piece, ...] = (head + cbor.encode(payload.inside) + signature,)
    if spec.packaging is Packaging.ATTACHED:
        pieces = (head + cbor.head(2, payload.size), Span(0, payload.size), signature)
    return Draft(pieces, value, tuple(t for t in (before, token) if t is not None))


@dataclass(frozen=True, slots=True)
class _Payload:
    """What is signed."""

    size: int
    """Bytes."""
    chunks: Iterable[bytes]
    imprint: Digest
    """RFC 9921 section 3.2, 3161-ttc: over the payload's bytes, without the head of their byte string; signed with it."""
    said: dict[int, Any]
    """In the protected header."""
    inside: bytes | None = None
    """What stands in a detached message: nil, or the digest that is the payload."""


def _payload(document: Document, digest: str) -> _Payload:
    """The document; RFC 9995: the digest of one that nobody here can read. Malformed where that is not known."""
    if document.readable and (document.size is None or document.size > LARGEST):
        raise TooLarge(f"as the payload of a COSE message a document is at most {LARGEST >> 20} MiB, got {document.size} bytes")
    known = document.digest(digest)
    if known is None:
        raise Malformed("only digests of this document are known, and not this one")
    if not document.readable:
        said = {cose.PAYLOAD_HASH_ALG: _hash(digest)} | ({} if document.media_type is None else {cose.PREIMAGE_CONTENT_TYPE: document.media_type})
        return _Payload(len(known.value), (known.value,), Digest.of(digest, known.value), said, known.value)
    return _Payload(document.size or 0, document.chunks(), known, {} if document.media_type is None else {cose.CONTENT_TYPE: document.media_type})


def _hash(digest: str) -> int:
    """RFC 9054."""
    label = next((label for label, name in cose.DIGEST_BY_COSE.items() if name == digest), None)
    if label is None:
        raise Unacceptable(f"{digest.replace('_', '-')} has no identifier in COSE")
    return label


def _protected(spec: Spec, means: Means) -> dict[int, Any]:
    """Chain and thumbprint stand under the signature (RFC 9360 section 2): nobody can put another certificate for the same key in their place.

    The claimed time is `iat` among the CWT claims (RFC 9597).
    """
    key = means.key
    chain = [c.der for c in (key.certificate, *key.chain) if c.subject != c.issuer or c == key.certificate]
    return {
        cose.ALG: _algorithm(key),
        cose.CLAIMS: {cose.ISSUED_AT: int(signing_time(spec.claims.signing_time, means).timestamp())},
        cose.X5CHAIN: chain if len(chain) > 1 else chain[0],
        cose.X5T: [_SHA256, Digest.of("sha256", key.certificate.der).value],
    }


def _algorithm(key: Key) -> int:
    """IANA COSE algorithms."""
    label = _LABELS.get(key.algorithm)
    if label is None:
        raise Unacceptable(f"{key.algorithm} has no identifier in COSE")
    public = key.certificate.public_key
    if isinstance(public, ec.EllipticCurvePublicKey) and public.key_size != _CURVES[label]:
        raise Unacceptable(f"COSE algorithm {label} is for keys of {_CURVES[label]} bits here, this organisation's has {public.key_size}")
    return label
