"""COSE_Sign1 (RFC 9052) with the signer's certificate (RFC 9360) and time-stamps (RFC 9921): a seal for the messages of devices."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from eseal.draft import Draft, Piece, Span
from eseal.formats.halves import written
from eseal.levels import NEEDS, Means, digest_for, signing_time, stamped
from eseal.spec import Packaging, Spec
from trust.algorithms import SIGNATURE_BY_COSE, Algorithm
from trust.codecs import cbor, cose
from trust.errors import Malformed, TooLarge, Unacceptable
from trust.model import Digest, Document, Token
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
    if not document.readable or document.size is None:
        raise Malformed("only digests of this document are known")
    if document.size > LARGEST:
        raise TooLarge(f"as the payload of a COSE message a document is at most {LARGEST >> 20} MiB, got {document.size} bytes")
    key, digest = means.key, digest_for(means.key.algorithm, spec.digest)
    before = _stamped_before(document, digest, means).der if spec.claims.content_timestamp else None
    stated = {} if before is None else {cose.STAMP_THEN_SIGN: before}
    protected = cbor.encode(_protected(document, spec, means) | stated)
    # Section 4.4: Sig_structure with empty external data.
    begun = cbor.head(4, 4) + b"".join(cbor.encode(part) for part in ("Signature1", protected, b"")) + cbor.head(2, document.size)
    value = key.sign(b"".join((begun, *document.chunks())))
    signature = cbor.encode(written(key, value))
    # RFC 9921 section 3.1: over the signature as it is encoded, head included.
    token = stamped(means.stamp, Digest.of(digest, signature)).der if NEEDS[spec.level].stamp else None
    unprotected = {} if token is None else {cose.SIGN_THEN_STAMP: token}
    head = cbor.head(6, cose.SIGN1) + cbor.head(4, 4) + cbor.encode(protected) + cbor.encode(unprotected)
    pieces: tuple[Piece, ...] = (head + cbor.encode(None) + signature,)
    if spec.packaging is Packaging.ATTACHED:
        pieces = (head + cbor.head(2, document.size), Span(0, document.size), signature)
    return Draft(pieces, value, tuple(t for t in (before, token) if t is not None))


def _stamped_before(document: Document, digest: str, means: Means) -> Token:
    """RFC 9921 section 3.2, 3161-ttc: over the payload's bytes, without the head of their byte string; signed with it."""
    found = document.digest(digest)
    if found is None:
        raise Malformed("only digests of this document are known")
    return stamped(means.stamp, found)


def _protected(document: Document, spec: Spec, means: Means) -> dict[int, Any]:
    """Chain and thumbprint stand under the signature (RFC 9360 section 2): nobody can put another certificate for the same key in their place.

    The claimed time is `iat` among the CWT claims (RFC 9597).
    """
    key = means.key
    chain = [c.der for c in (key.certificate, *key.chain) if c.subject != c.issuer or c == key.certificate]
    header: dict[int, Any] = {
        cose.ALG: _algorithm(key),
        cose.CLAIMS: {cose.ISSUED_AT: int(signing_time(spec.claims.signing_time, means).timestamp())},
        cose.X5CHAIN: chain if len(chain) > 1 else chain[0],
        cose.X5T: [_SHA256, Digest.of("sha256", key.certificate.der).value],
    }
    return header if document.media_type is None else header | {cose.CONTENT_TYPE: document.media_type}


def _algorithm(key: Key) -> int:
    """IANA COSE algorithms."""
    label = _LABELS.get(key.algorithm)
    if label is None:
        raise Unacceptable(f"{key.algorithm} has no identifier in COSE")
    public = key.certificate.public_key
    if isinstance(public, ec.EllipticCurvePublicKey) and public.key_size != _CURVES[label]:
        raise Unacceptable(f"COSE algorithm {label} is for keys of {_CURVES[label]} bits here, this organisation's has {public.key_size}")
    return label
