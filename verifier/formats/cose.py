"""COSE signatures (RFC 9052) with certificates (RFC 9360), hash envelopes (RFC 9995) and time-stamps (RFC 9921)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trust.algorithms import Algorithm
from trust.codecs import cms, cose
from trust.codecs.cose import CoseSignature, Countersigned, Message
from trust.errors import Malformed, TooLarge
from trust.model import (
    Cert,
    Defect,
    Digest,
    Document,
    Evidence,
    Form,
    Id,
    Reference,
    Scope,
    Signature,
    Stamp,
    StampKind,
    Token,
    Uncovered,
    identify,
)
from verifier.formats import cose_signers
from verifier.formats.contents import of_token
from verifier.formats.cose_counters import MAX_COUNTERS, Counters, Master, counters

MAX_COSE = 64 << 20
"""Bytes of a message: bigger payloads are signed detached."""
MAX_SIGNED = 16 << 20
"""Bytes of a signed structure that is kept; a longer one is kept as its digest where the algorithm has one."""
MAX_WHOLE = 256 << 20
MAX_WORK = 256 << 20
"""Bytes of content over all signatures: each hashes the whole."""


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
    for found_there in _counters(of, content, signatures, pool):
        signatures[0] = replace(signatures[0], defects=(*signatures[0].defects, *found_there.defects))
        signatures += [made for made, _ in found_there.signatures]
        known.update(c for made, carried in found_there.signatures for c in (*carried, *((made.signer,) if made.signer else ())))
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
    carried = cose_signers.certificates((one.header, one.unprotected, of.header, of.unprotected))
    signer, reference = cose_signers.signer(one, carried, given)
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
        cose_signers.claims(one.header, of.header),
        (*cose_signers.flaws(cose_signers.layers(of, one), one, algorithm, signer), *content.defects),
        None,
        f"signature {number}",
        tuple(dict.fromkeys(d for d in digests if d)),
    )
    return made, carried


def _signed(of: Message, one: CoseSignature, content: _Content, algorithm: Algorithm | None) -> bytes | Digest:
    if content.pieces is None:
        return b""
    return _kept(cose.signed_structure(of, one, content.size, content.pieces()), content.size, algorithm, MAX_SIGNED // len(of.signatures))


def _kept(pieces: Iterable[bytes], size: int, algorithm: Algorithm | None, most: int) -> bytes | Digest:
    """What is signed; of what is long its digest, where the algorithm has one."""
    if size > most and algorithm is not None and algorithm.digest is not None:
        return cms.digest_of(pieces, algorithm.digest) or b""
    if size > MAX_WHOLE:
        raise TooLarge(f"content is over {MAX_WHOLE} bytes, and its signature's algorithm cannot be checked in pieces")
    return b"".join(pieces)


def _finished(signature: Signature, defects: tuple[Defect, ...], *, stamped: bool) -> Signature:
    """No standard names levels of COSE here: `COSE-T` is stamped, `COSE-B` names its signer under the signature, the rest is plain COSE."""
    bound = signature.signer_reference.count == 1
    return replace(signature, level=("COSE-T" if stamped else "COSE-B") if bound else "COSE-NOT-ETSI", defects=(*signature.defects, *defects))


# Counter-signatures (RFC 9338).


def _counters(of: Message, content: _Content, signatures: Sequence[Signature], given: tuple[Cert, ...]) -> Iterator[Counters]:
    """Of the message, and of each signature in it (RFC 9338 section 3)."""

    def kept(pieces: Iterable[bytes], size: int, algorithm: Algorithm | None) -> bytes | Digest:
        return _kept(pieces, size, algorithm, MAX_SIGNED // MAX_COUNTERS)

    alone = of.context == "Signature1"
    body = None
    if content.pieces is not None:
        body = Countersigned(of.protected, content.size, content.pieces, (of.signatures[0].value,) if alone else ())
    yield counters(Master(signatures[0].id, "message", body, of.unprotected), given, kept)
    for one, made in zip(() if alone else of.signatures, signatures, strict=False):
        yield counters(Master(made.id, made.field or "", Countersigned.of(one), one.unprotected), given, kept)


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
