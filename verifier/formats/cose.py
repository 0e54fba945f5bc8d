"""COSE signatures (RFC 9052) with certificates (RFC 9360), hash envelopes (RFC 9995) and time-stamps (RFC 9921)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from trust.algorithms import Algorithm
from trust.codecs import cms, cose
from trust.codecs.cose import CoseSignature, Message
from trust.codecs.ess import same_name
from trust.errors import Malformed, TooLarge
from trust.model import (
    Cert,
    Claims,
    Defect,
    Digest,
    Document,
    Evidence,
    Form,
    Id,
    Reference,
    Scope,
    Signature,
    SignerReference,
    Stamp,
    StampKind,
    Token,
    Uncovered,
    identify,
)
from verifier.formats.contents import of_token
from verifier.formats.validation_data import readable

MAX_COSE = 64 << 20
"""Bytes of a message: bigger payloads are signed detached."""
MAX_SIGNED = 16 << 20
"""Bytes of a signed structure that is kept; a longer one is kept as its digest where the algorithm has one."""
MAX_WHOLE = 256 << 20
MAX_WORK = 256 << 20
"""Bytes of content over all signatures: each hashes the whole."""

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


def claims(head: bytes) -> bool:
    """Tag 18 or 98, after the tags that may stand around, or an untagged array of four that begins with a byte string and a map."""
    at = 0
    for wrapper in (b"\xd9\xd9\xf7", b"\xd8\x3d"):
        at += len(wrapper) if head[at:].startswith(wrapper) else 0
    if head[at : at + 1] == b"\xd2" or head[at : at + 2] == b"\xd8\x62":
        return True
    if head[:1] != b"\x84" or len(head) < 3 or not (0x40 <= head[1] <= 0x59):
        return False
    skip = 2 + (head[1] - 0x40 if head[1] < 0x58 else 1 + head[2] if head[1] == 0x58 else 2 + int.from_bytes(head[2:4], "big"))
    return skip >= len(head) or head[skip] >> 5 == 5


def read(document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """The evidence of a COSE message. `certs` are candidates for signers whose certificate it does not carry."""
    of = cose.message(document.read(MAX_COSE))
    given, pool = tuple(detached), tuple(certs)
    content = _content(of, given)
    if content.size * len(of.signatures) > max(MAX_WORK, content.size):
        raise TooLarge(f"COSE message has more than {MAX_WORK} bytes of content over all its signatures")
    found = [_signature(of, one, content, number, pool) for number, one in enumerate(of.signatures, start=1)]
    ids = frozenset(i for signature, carried in found for i in (signature.id, *(c.id for c in carried)))
    whole = _body_stamps(of, ids, pool) if of.context == "Signature" else _Stamps()
    stamps: list[Stamp] = list(whole.stamps)
    signatures: list[Signature] = []
    known: set[Cert] = set()
    for one, (signature, carried) in zip(of.signatures, found, strict=True):
        own = _stamps(of, one, content, signature, carried, pool)
        stamped = any(s.kind is StampKind.SIGNATURE and signature.id in s.covers for s in (*own.stamps, *whole.stamps))
        signatures.append(_finished(signature, (*own.defects, *whole.defects), stamped=stamped))
        stamps += own.stamps
        known |= {*carried, *((signature.signer,) if signature.signer else ())}
    known.update(c for s in stamps for c in s.token.certs)
    return Evidence(
        "COSE",
        tuple(signatures),
        tuple(stamps),
        certs=frozenset(known),
        crls=frozenset(c for s in stamps for c in s.token.crls),
        ocsps=frozenset(o for s in stamps for o in s.token.ocsps),
        uncovered=_uncovered(content, given),
        documents=content.documents,
    )


# What is signed.


@dataclass(frozen=True)
class _Content:
    """The payload as far as it is here."""

    pieces: Callable[[], Iterator[bytes]] | None
    size: int
    references: tuple[Reference, ...]
    documents: tuple[Document, ...]
    defects: tuple[Defect, ...] = ()

    @property
    def ids(self) -> frozenset[Id]:
        return frozenset(Id(d.value) for document in self.documents if (d := document.digest("sha256")) is not None)


def _content(of: Message, given: Sequence[Document]) -> _Content:
    payload = of.payload
    if payload is None:
        readable = [d for d in given if d.readable and d.size is not None]
        if len(given) != 1 or not readable:
            return _Content(None, 0, (Reference("payload", found=False, intact=False),), ())
        only = readable[0]
        return _Content(only.chunks, only.size or 0, (Reference(only.name or "payload", True, True),), (only,))

    def whole() -> Iterator[bytes]:
        return iter((payload,))

    hashed = of.header.get(cose.PAYLOAD_HASH_ALG)
    if hashed is None:
        return _Content(whole, len(payload), (Reference("payload", True, True),), (Document.of(payload, media_type=_media_type(of.header)),))
    return _envelope(payload, hashed, given, whole)


def _envelope(payload: bytes, hashed: object, given: Sequence[Document], whole: Callable[[], Iterator[bytes]]) -> _Content:
    """RFC 9995: the payload is the hash of what is meant."""
    name = cose.DIGEST_BY_COSE.get(hashed) if isinstance(hashed, int) else None
    if name is None:
        defect = Defect("RFC 9995 section 3", "payload hash algorithm is not one that is known here")
        return _Content(whole, len(payload), (Reference("payload", True, False, Scope.DIGEST),), (), (defect,))
    signed = Digest(name, payload)
    if not given:
        return _Content(whole, len(payload), (Reference("content", False, False, Scope.DIGEST, signed),), ())
    matched = next((d for d in given if d.digest(name) == signed), None)
    seen = matched or given[0]
    scope = Scope.FULL if seen.readable else Scope.DIGEST
    reference = Reference(seen.name or "content", True, matched is not None, scope, signed)
    return _Content(whole, len(payload), (reference,), (matched,) if matched else ())


def _media_type(header: dict[Any, Any]) -> str | None:
    value = header.get(cose.CONTENT_TYPE)
    return value if isinstance(value, str) else None


def _uncovered(content: _Content, given: Sequence[Document]) -> tuple[Uncovered, ...]:
    ids = content.ids
    loose = [d for d in given if d not in content.documents and ((sha := d.digest("sha256")) is None or Id(sha.value) not in ids)]
    return tuple(Uncovered(d.name or "a file without a name", "given as signed content, and no signature covers it") for d in loose)


# Who signed, and how.


def _signature(of: Message, one: CoseSignature, content: _Content, number: int, given: tuple[Cert, ...]) -> tuple[Signature, tuple[Cert, ...]]:
    name = one.header.get(cose.ALG)
    algorithm = cose.algorithm(name, one.value)
    carried = _certificates(of, one)
    signer, reference = _signer(one, carried, given)
    value = cose.der_value(algorithm, one.value)
    digests = (reference.digest_algorithm, *(r.digest.algorithm for r in content.references if r.digest))
    made = Signature(
        identify(of.protected + one.protected + one.field),
        Form.COSE,
        "COSE-B",
        b"" if value is None else value,  # no DER that somebody put there verifies
        _signed(of, one, content, algorithm),
        algorithm,
        signer,
        reference,
        content.references,
        _claims(of, one),
        (*_flaws(of, one, algorithm, signer), *content.defects),
        None,
        f"signature {number}",
        tuple(dict.fromkeys(d for d in digests if d)),
    )
    return made, carried


def _signed(of: Message, one: CoseSignature, content: _Content, algorithm: Algorithm | None) -> bytes | Digest:
    if content.pieces is None:
        return b""
    pieces = cose.signed_structure(of, one, content.size, content.pieces())
    if content.size > MAX_SIGNED // len(of.signatures) and algorithm is not None and algorithm.digest is not None:
        return cms.digest_of(pieces, algorithm.digest) or b""
    if content.size > MAX_WHOLE:
        raise TooLarge(f"content is over {MAX_WHOLE} bytes, and its signature's algorithm cannot be checked in pieces")
    return b"".join(pieces)


def _flaws(of: Message, one: CoseSignature, algorithm: Algorithm | None, signer: Cert | None) -> Iterator[Defect]:
    name = one.header.get(cose.ALG)
    if algorithm is None:
        shown = name if isinstance(name, int) else "none that is a number"
        yield Defect("RFC 9052 section 3.1", f"alg is protected and one for signatures with certificates, got {shown}")
    elif cose.der_value(algorithm, one.value) is None:
        yield Defect("RFC 9053 section 2.1", f"ECDSA value is two halves of equal length, got {len(one.value)} bytes")
    bits = cose.CURVE_BY_COSE.get(name) if isinstance(name, int) else None
    if bits and signer and isinstance(key := signer.public_key, ec.EllipticCurvePublicKey) and key.curve.key_size != bits:
        yield Defect("RFC 9864 section 2.1", f"alg is for a curve of {bits} bits, the signer's has {key.curve.key_size}")
    layers = ((of.header, of.unprotected), (one.header, one.unprotected)) if one.header is not of.header else ((of.header, of.unprotected),)
    for protected, unprotected in layers:
        if protected.keys() & unprotected.keys():
            yield Defect("RFC 9052 section 3", "a label stands in both headers")
        for label in _ONLY_PROTECTED:
            if label in unprotected:
                yield Defect("RFC 9052 section 3.1", f"label {label} stands in the unprotected header")
        if cose.SIGN_THEN_STAMP in protected:
            yield Defect("RFC 9921 section 3.1", "a time-stamp of the signature stands in the protected header", fatal=False, refused=True)
        if any(label in unprotected for label in cose.COUNTERSIGNATURES):
            yield Defect("RFC 9338 section 3", "a counter-signature is there, and is not judged here", fatal=False)
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


def _certificates(of: Message, one: CoseSignature) -> tuple[Cert, ...]:
    """x5chain and x5bag of either header (RFC 9360 section 2), what can be read of them. `x5u` is never followed."""
    headers = (one.header, one.unprotected, of.header, of.unprotected)
    values = [header.get(label) for header in headers for label in (cose.X5CHAIN, cose.X5BAG)]
    listed = [der for value in values for der in (value if isinstance(value, list) else [value])]
    return tuple(dict.fromkeys(cert for der in listed if isinstance(der, bytes) and (cert := readable(der)) is not None))


def _signer(one: CoseSignature, carried: tuple[Cert, ...], given: tuple[Cert, ...]) -> tuple[Cert | None, SignerReference]:
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


def _claims(of: Message, one: CoseSignature) -> Claims:
    """CWT claims in the header (RFC 9597): the time of issue; and the content type."""
    held = one.header.get(cose.CLAIMS, of.header.get(cose.CLAIMS))
    issued = held.get(cose.ISSUED_AT) if isinstance(held, dict) else None
    content_type = one.header.get(cose.CONTENT_TYPE, of.header.get(cose.CONTENT_TYPE))
    return Claims(time=_time(issued), content_type=None if content_type is None or isinstance(content_type, bytes) else str(content_type))


def _time(value: object) -> datetime | None:
    """NumericDate."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(int(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _finished(signature: Signature, defects: tuple[Defect, ...], *, stamped: bool) -> Signature:
    """No standard names levels of COSE here: `COSE-T` is stamped, `COSE-B` names its signer under the signature, the rest is plain COSE."""
    bound = signature.signer_reference.count == 1
    return replace(signature, level=("COSE-T" if stamped else "COSE-B") if bound else "COSE-NOT-ETSI", defects=(*signature.defects, *defects))


# Time-stamps (RFC 9921).


@dataclass(frozen=True, slots=True)
class _Stamps:
    stamps: tuple[Stamp, ...] = ()
    defects: tuple[Defect, ...] = ()


def _stamps(of: Message, one: CoseSignature, content: _Content, signature: Signature, carried: tuple[Cert, ...], given: tuple[Cert, ...]) -> _Stamps:
    defects: list[Defect] = []
    made: list[Stamp] = []
    token = _token(one.header.get(cose.STAMP_THEN_SIGN, of.header.get(cose.STAMP_THEN_SIGN)), (*carried, *given), defects)
    covers = {signature.id, *(c.id for c in carried), *content.ids}
    if token is not None:
        # Section 3.2: the payload's bytes, without the head of their byte string.
        pieces = None if content.pieces is None else content.pieces()
        made.append(_stamp(token, StampKind.CONTENT, pieces, content.ids, signature.id))
        covers |= of_token(token)
    if of.context == "Signature1" and (later := _token(one.unprotected.get(cose.SIGN_THEN_STAMP), (*carried, *given), defects)) is not None:
        # Section 3.1: the signature as it is encoded, head included.
        made.append(_stamp(later, StampKind.SIGNATURE, (of.field,), frozenset(covers), signature.id))
    return _Stamps(tuple(made), tuple(defects))


def _body_stamps(of: Message, covers: frozenset[Id], given: tuple[Cert, ...]) -> _Stamps:
    """Section 3.1: in COSE_Sign one token over the whole array of signatures."""
    defects: list[Defect] = []
    token = _token(of.unprotected.get(cose.SIGN_THEN_STAMP), given, defects)
    made = () if token is None else (_stamp(token, StampKind.SIGNATURE, (of.field,), covers, None),)
    return _Stamps(made, tuple(defects))


def _token(value: object, candidates: tuple[Cert, ...], defects: list[Defect]) -> Token | None:
    if value is None:
        return None
    try:
        if not isinstance(value, bytes):
            raise Malformed("byte string expected")
        return cms.token(value, candidates)
    except Malformed as error:
        defects.append(Defect("RFC 9921 section 3", f"time-stamp cannot be read: {error}", fatal=False, refused=True))
        return None


def _stamp(token: Token, kind: StampKind, pieces: Iterable[bytes] | None, covers: frozenset[Id], of: Id | None) -> Stamp:
    made = None if pieces is None else cms.digest_of(pieces, token.imprint.algorithm)
    intact = made is not None and made == token.imprint
    return Stamp(token, kind, intact, covers if intact else frozenset(), of, found=pieces is not None)
