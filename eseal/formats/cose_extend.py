"""COSE raised from B-B to B-T (RFC 9921 section 3.1): a time-stamp into the unprotected header; what is signed keeps its encoding."""

from collections.abc import Sequence
from typing import Any

from eseal.draft import Draft, Piece, Span
from eseal.extend import Extended, Tools, Wanted, digest_of
from trust.codecs import cbor, cose
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Document

LARGEST = 64 << 20
"""Bytes of a message."""


def extend(document: Document, wanted: Wanted, tools: Tools, detached: Sequence[Document] = ()) -> Draft:  # noqa: ARG001  # nothing of the content is stamped
    """COSE_Sign1, or COSE_Sign with one token over all of its signatures. Unacceptable for more than B-T, which COSE has not."""
    if wanted.status:
        raise Unacceptable(f"COSE messages are extended to B-T: no standard has a place for more, asked for {wanted.level}")
    data = document.read(LARGEST)
    message = cose.message(data)
    _, parts = cbor.elements(data)
    if cose.SIGN_THEN_STAMP in message.unprotected:
        raise Unacceptable("the COSE message has its time-stamp already")
    first = message.signatures[0]
    algorithm = cose.algorithm(first.header.get(cose.ALG, message.header.get(cose.ALG)), first.value)
    made = tools.stamped(Digest.of(digest_of(algorithm.digest if algorithm else None), message.field))
    # The array's last three items end the message: what stands before the unprotected header is kept as it is.
    after = len(data) - len(parts[2].raw) - len(parts[3].raw)
    start = after - len(parts[1].raw)
    if data[start:after] != parts[1].raw or data[after:] != parts[2].raw + parts[3].raw:
        raise Malformed("COSE message is not written in one piece")
    pieces: tuple[Piece, ...] = (Span(0, start), _with(parts[1].raw, made.der), Span(after, len(data)))
    return Extended(pieces, (made,)).draft()


def _with(raw: bytes, token: bytes) -> bytes:
    """The map with one entry more behind those that it has, each as it is encoded (RFC 8949 section 4.2 orders integers so: 270 comes late)."""
    entry = cbor.encode(cose.SIGN_THEN_STAMP) + cbor.encode(token)
    if raw[:1] == b"\xbf":
        return raw[:-1] + entry + b"\xff"
    held: dict[Any, Any] = cbor.decode(raw)
    before = cbor.head(5, len(held))
    length = 1 if raw[0] & 0x1F < 24 else 1 + (1 << (raw[0] & 0x1F) - 24)
    return cbor.head(5, len(held) + 1) + raw[length:] + entry if before else raw
