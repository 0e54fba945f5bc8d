"""Who signed a COSE message, and how: what headers say of algorithm, key and certificates (RFC 9052 section 3, RFC 9360)."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from trust.algorithms import Algorithm
from trust.codecs import cose
from trust.codecs.cose import CoseSignature, Message
from trust.codecs.ess import same_name
from trust.model import Cert, Claims, Defect, Digest, SignerReference
from verifier.formats.cose_shapes import misshapen
from verifier.formats.validation_data import readable

UNDERSTOOD = frozenset(
    (
        cose.ALG,
        cose.CONTENT_TYPE,
        cose.KID,
        cose.CLAIMS,
        cose.TYP,
        cose.X5CHAIN,
        cose.X5T,
        cose.PAYLOAD_HASH_ALG,
        cose.PREIMAGE_CONTENT_TYPE,
        cose.PAYLOAD_LOCATION,
        cose.STAMP_THEN_SIGN,
    )
)
"""Labels that may stand in `crit`. ETSI's (261 to 268) are let through where they are not critical."""
_ONLY_PROTECTED = (cose.CRIT, cose.PAYLOAD_HASH_ALG, cose.STAMP_THEN_SIGN)


Layer = tuple[dict[Any, Any], dict[Any, Any]]
"""A protected header and an unprotected one."""


def layers(of: Message, one: CoseSignature) -> tuple[Layer, ...]:
    """The headers that speak of a signature: the message's, and in COSE_Sign its own."""
    body = (of.header, of.unprotected)
    return (body,) if one.header is of.header else (body, (one.header, one.unprotected))


def flaws(spoken: tuple[Layer, ...], one: CoseSignature, algorithm: Algorithm | None, signer: Cert | None) -> Iterator[Defect]:
    """What the headers of a signature break."""
    name = one.header.get(cose.ALG)
    if algorithm is None:
        shown = name if isinstance(name, int) else "none that is a number"
        yield Defect("RFC 9052 section 3.1", f"alg is protected and one for signatures with certificates, got {shown}")
    elif cose.der_value(algorithm, one.value) is None:
        yield Defect("RFC 9053 section 2.1", f"ECDSA value is two halves of equal length, got {len(one.value)} bytes")
    bits = cose.CURVE_BY_COSE.get(name) if isinstance(name, int) else None
    if bits and signer and isinstance(key := signer.public_key, ec.EllipticCurvePublicKey) and key.curve.key_size != bits:
        yield Defect("RFC 9864 section 2.1", f"alg is for a curve of {bits} bits, the signer's has {key.curve.key_size}")
    for protected, unprotected in spoken:
        if protected.keys() & unprotected.keys():
            yield Defect("RFC 9052 section 3", "a label stands in both headers")
        for label in _ONLY_PROTECTED:
            if label in unprotected:
                yield Defect("RFC 9052 section 3.1", f"label {label} stands in the unprotected header")
        if cose.SIGN_THEN_STAMP in protected:
            yield Defect("RFC 9921 section 3.1", "a time-stamp of the signature stands in the protected header", fatal=False, refused=True)
        if any(label in unprotected for label in cose.ABBREVIATED):
            yield Defect("RFC 9338 section 3.2", "a counter-signature does not say who made it", fatal=False, refused=True)
        if any(label in protected for label in (*cose.ABBREVIATED, *cose.COUNTERSIGNATURES)):
            yield Defect("RFC 9338 section 3", "a counter-signature stands in the protected header", fatal=False, refused=True)
        yield from misshapen(protected, unprotected)
        yield from _crit(protected)
        yield from _chain_flaws(protected, unprotected)
    thumbs = [h[cose.X5T] for h in (one.header, one.unprotected) if cose.X5T in h]
    if signer is not None and not all(_is_of(thumb, signer) for thumb in thumbs):
        yield Defect("RFC 9360 section 2", "x5t is of another certificate than the signer's", fatal=False, refused=True)
    firsts = [_first(h[cose.X5CHAIN]) for h in (one.header, one.unprotected) if cose.X5CHAIN in h]
    if signer is not None and any(first != signer for first in firsts):
        yield Defect("RFC 9360 section 2", "the first certificate of x5chain is not the signer's", fatal=False, refused=True)


def _chain_flaws(*headers: dict[Any, Any]) -> Iterator[Defect]:
    """RFC 9360 section 2: x5chain is one certificate, or an array in which each is followed by that of its issuer."""
    for header in headers:
        value = header.get(cose.X5CHAIN)
        if value is None:
            continue
        listed = value if isinstance(value, list) else [value]
        certs = [readable(der) if isinstance(der, bytes) else None for der in listed]
        known = [cert for cert in certs if cert is not None]
        if not certs or len(known) < len(certs):
            yield Defect("RFC 9360 section 2", "x5chain holds what is no certificate", fatal=False, refused=True)
        elif not all(same_name(below.issuer, above.subject) for below, above in pairwise(known)):
            yield Defect("RFC 9360 section 2", "x5chain is not in the order of its issuers", fatal=False, refused=True)


def _is_of(thumb: object, cert: Cert) -> bool:
    digest = _thumbprint(thumb)
    return digest is not None and Digest.of(digest.algorithm, cert.der) == digest


def _crit(header: dict[Any, Any]) -> Iterator[Defect]:
    clause = "RFC 9052 section 3.1"
    if cose.CRIT not in header:
        return
    listed = header[cose.CRIT]
    if not isinstance(listed, list) or not listed:
        yield Defect(clause, "crit is an array of at least one label, got something else")
        return
    for label in listed:
        if not isinstance(label, int | str) or isinstance(label, bool) or label not in header:
            yield Defect(clause, "crit names a label that is not in the protected header")
        elif label not in UNDERSTOOD:
            yield Defect(clause, "crit names a header parameter that is not understood here")


def certificates(headers: Iterable[dict[Any, Any]]) -> tuple[Cert, ...]:
    """x5chain and x5bag of either header (RFC 9360 section 2), what can be read of them. `x5u` is never followed."""
    values = [header.get(label) for header in headers for label in (cose.X5CHAIN, cose.X5BAG)]
    listed = [der for value in values for der in (value if isinstance(value, list) else [value])]
    return tuple(dict.fromkeys(cert for der in listed if isinstance(der, bytes) and (cert := readable(der)) is not None))


def signer(one: CoseSignature, carried: tuple[Cert, ...], given: tuple[Cert, ...]) -> tuple[Cert | None, SignerReference]:
    """RFC 9360 section 2: x5t names the certificate by its digest, x5chain begins with it; either binds it where it is protected."""
    thumb = one.header.get(cose.X5T)
    chain = _first(one.header.get(cose.X5CHAIN))
    loose = _first(one.unprotected.get(cose.X5CHAIN))
    if thumb is not None:
        digest = _thumbprint(thumb)
        named = next((c for c in (*carried, *given) if digest is not None and Digest.of(digest.algorithm, c.der) == digest), None)
        matches = digest is not None and named is not None
        return named or chain or loose, SignerReference(1, matches, None, digest.algorithm if digest else None)
    if chain is not None:
        return chain, SignerReference(1, digest_matches=True)
    return loose or (carried[0] if len(carried) == 1 else None), SignerReference(0)


def _first(value: object) -> Cert | None:
    der = value[0] if isinstance(value, list) and value else value
    return readable(der) if isinstance(der, bytes) else None


def _thumbprint(value: object) -> Digest | None:
    """COSE_CertHash: algorithm and value."""
    match value:
        case [int(name), bytes(digest)] if name in cose.DIGEST_BY_COSE:
            return Digest(cose.DIGEST_BY_COSE[name], digest)
    return None


def claims(own: dict[Any, Any], body: dict[Any, Any]) -> Claims:
    """CWT claims in the header (RFC 9597): the time of issue; and the content type. What the signature's own does not say, the message's does."""
    held = own.get(cose.CLAIMS, body.get(cose.CLAIMS))
    issued = held.get(cose.ISSUED_AT) if isinstance(held, dict) else None
    content_type = own.get(cose.CONTENT_TYPE, body.get(cose.CONTENT_TYPE))
    return Claims(time=_time(issued), content_type=None if content_type is None or isinstance(content_type, bytes) else str(content_type))


def _time(value: object) -> datetime | None:
    """NumericDate."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(int(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None
