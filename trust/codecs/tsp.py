"""The Time-Stamp Protocol's messages (RFC 3161 sections 2.4.1 and 2.4.2), for the authority and for its client.

Requests are read strictly as DER, in one pass and by hand: this runs for every request of every client. Tokens are written by
`trust.codecs.tst` and read by `trust.codecs.cms`. Errors: Malformed, nothing else; what is well formed but not offered is for
`tsa.issue` to refuse.
"""

import functools
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from trust.algorithms import DIGESTS
from trust.codecs import asn1
from trust.codecs.asn1 import BIT_STRING, INTEGER, OID, SEQUENCE, oid_text, tlv
from trust.codecs.tst import NULL, VERSION_1, identifier, integer, length
from trust.errors import Malformed
from trust.model import Digest

MAX_REQUEST = 1 << 16
"""Bytes of a request: twenty times the largest that a client has a reason to send."""
MAX_RESPONSE = 1 << 20
"""Bytes of a response: a token with a long chain of large post-quantum certificates stays below."""
MAX_TEXTS = 32
"""Strings of a PKIFreeText that are kept."""


class Status(IntEnum):
    """PKIStatus, RFC 3161 section 2.4.2."""

    GRANTED = 0
    GRANTED_WITH_MODS = 1
    REJECTION = 2
    WAITING = 3
    REVOCATION_WARNING = 4
    REVOCATION_NOTIFICATION = 5


class Failure(IntEnum):
    """PKIFailureInfo, RFC 3161 section 2.4.2: the number of the bit."""

    BAD_ALG = 0
    BAD_REQUEST = 2
    BAD_DATA_FORMAT = 5
    TIME_NOT_AVAILABLE = 14
    UNACCEPTED_POLICY = 15
    UNACCEPTED_EXTENSION = 16
    ADD_INFO_NOT_AVAILABLE = 17
    SYSTEM_FAILURE = 25

    @property
    def label(self) -> str:
        """The standard's own name: `badAlg`, …"""
        first, *rest = self.name.lower().split("_")
        return first + "".join(word.title() for word in rest)


class Request(NamedTuple):
    """TimeStampReq, RFC 3161 section 2.4.1: what it says, whether or not it is offered."""

    version: int
    imprint: bytes
    """MessageImprint as it came (DER): it goes into the token unchanged."""
    digest: str
    """Dotted OID of the digest algorithm."""
    parameters: bool
    """The digest algorithm has parameters other than NULL."""
    value: bytes
    policy: str | None = None
    nonce: bytes | None = None
    """Content octets of the INTEGER, which the token must repeat exactly."""
    cert_req: bool = False
    extensions: tuple[str, ...] = ()
    """Their identifiers."""


@dataclass(frozen=True, slots=True)
class Reply:
    """TimeStampResp, RFC 3161 section 2.4.2, as a client sees it."""

    status: int
    texts: tuple[str, ...]
    failures: frozenset[int]
    """Numbers of the bits of PKIFailureInfo."""
    token: bytes | None
    """DER ContentInfo."""

    @property
    def granted(self) -> bool:
        return self.status in (Status.GRANTED, Status.GRANTED_WITH_MODS)

    @property
    def reason(self) -> str:
        """For people: the failures' names and the authority's own words."""
        known = {int(f): f.label for f in Failure}
        named = ", ".join(known.get(bit, f"failure {bit}") for bit in sorted(self.failures))
        words = "; ".join(asn1.printable(text)[:200] for text in self.texts)
        return ": ".join(part for part in (named or f"status {self.status}", words) if part)


# Reading a request: no objects, no slices that are not kept.


def _header(data: bytes, at: int, limit: int) -> tuple[int, int]:
    """Where the content of the value at `at` begins and ends. X.690 clause 10.1: a definite length in the fewest octets."""
    if at + 2 > limit:
        raise Malformed("request ends inside a value")
    size = data[at + 1]
    at += 2
    if size >= 0x80:
        octets = size & 0x7F
        if not 1 <= octets <= 3 or at + octets > limit:
            raise Malformed("request: length is indefinite, reserved, or over what a request can hold")
        size = int.from_bytes(data[at : at + octets], "big")
        if size < 0x80 or data[at] == 0:
            raise Malformed("request: length is not minimally encoded")
        at += octets
    if at + size > limit:
        raise Malformed("request: value is longer than the data")
    return at, at + size


def _enter(data: bytes, at: int, limit: int, tag: int, what: str) -> tuple[int, int]:
    if at >= limit or data[at] != tag:
        raise Malformed(f"request: {what} expected")
    return _header(data, at, limit)


def _integer(data: bytes, at: int, limit: int, what: str) -> tuple[bytes, int]:
    """Content octets of an INTEGER, and where it ends. X.690 clause 8.3.2: the first nine bits are not all alike."""
    body, end = _enter(data, at, limit, INTEGER, what)
    content = data[body:end]
    if not content or (len(content) > 1 and ((content[0] == 0 and content[1] < 0x80) or (content[0] == 0xFF and content[1] >= 0x80))):
        raise Malformed(f"request: {what} is not minimally encoded")
    return content, end


_oid = functools.lru_cache(maxsize=256)(oid_text)


def _identifier(data: bytes, at: int, limit: int, what: str) -> tuple[str, int]:
    body, end = _enter(data, at, limit, OID, what)
    return _oid(data[body:end]), end


def _imprint(data: bytes, at: int, limit: int) -> tuple[str, bool, bytes, int]:
    """MessageImprint: digest algorithm, whether it has parameters other than NULL, value, end.

    RFC 5754 section 2: of SHA-2 both absent parameters (what it tells makers to write) and NULL (what OpenSSL writes) are accepted.
    """
    body, end = _enter(data, at, limit, SEQUENCE, "messageImprint")
    inner, algorithm_end = _enter(data, body, end, SEQUENCE, "hashAlgorithm")
    digest, at = _identifier(data, inner, algorithm_end, "hashAlgorithm")
    parameters = at != algorithm_end and data[at:algorithm_end] != NULL
    if parameters:
        asn1.parse(data[at:algorithm_end])
    start, stop = _enter(data, algorithm_end, end, asn1.OCTET_STRING, "hashedMessage")
    if stop != end:
        raise Malformed("request: something follows hashedMessage")
    return digest, parameters, data[start:stop], end


def _extensions(data: bytes) -> tuple[str, ...]:
    """Extensions, RFC 5280 section 4.2 with an implicit tag: at least one, each whole."""
    found = []
    for extension in asn1.parse(data).children:
        fields = extension.fields()
        found.append(fields.take(OID).oid())
        if (critical := fields.maybe(asn1.BOOLEAN)) is not None:
            critical.boolean()
        fields.take(asn1.OCTET_STRING)
        fields.done()
    if not found:
        raise Malformed("request: extensions are empty")
    return tuple(found)


def decode_request(data: bytes) -> Request:
    """RFC 3161 section 2.4.1: a TimeStampReq in DER; Malformed for BER, for anything missing or left over, above MAX_REQUEST bytes."""
    return _usual(data) or decode_any_request(data)


def decode_any_request(data: bytes) -> Request:
    """The same for requests of every shape: what `decode_request` does with all that are not of the usual one."""
    size = len(data)
    if size > MAX_REQUEST:
        raise Malformed(f"request is over {MAX_REQUEST} bytes")
    at, end = _enter(data, 0, size, SEQUENCE, "a DER sequence")
    if end != size:
        raise Malformed("request: bytes follow its end")
    version, at = _integer(data, at, end, "version")
    start = at
    digest, parameters, value, at = _imprint(data, at, end)
    imprint = data[start:at]
    policy: str | None = None
    nonce: bytes | None = None
    cert_req = False
    extensions: tuple[str, ...] = ()
    if at < end and data[at] == OID:
        policy, at = _identifier(data, at, end, "reqPolicy")
    if at < end and data[at] == INTEGER:
        nonce, at = _integer(data, at, end, "nonce")
    if at < end and data[at] == asn1.BOOLEAN:
        cert_req, at = _boolean(data, at, end)
    if at < end and data[at] == asn1.context(0):
        _, stop = _header(data, at, end)
        extensions, at = _extensions(data[at:stop]), stop
    if at != end:
        raise Malformed("request: an element stands where none is expected")
    return Request(version[0] if len(version) == 1 else -1, imprint, digest, parameters, value, policy, nonce, cert_req, extensions)


def _boolean(data: bytes, at: int, limit: int) -> tuple[bool, int]:
    """certReq.

    deviates: DER forbids an encoded DEFAULT FALSE (X.690 clause 11.5), but clients whose ASN.1 declares the field without its default
    send one (Mozilla's winsign declared it so until 2022), and it has one meaning only. TRUE as anything but ff is refused (clause 11.1).
    """
    body, end = _header(data, at, limit)
    content = data[body:end]
    if content not in (b"\x00", b"\xff"):
        raise Malformed("request: certReq is not one octet of 00 or ff")
    return content == b"\xff", end


class _Shape(NamedTuple):
    """How a request begins that asks for one digest in the usual way."""

    digest: str
    """Dotted OID."""
    more: bytes
    """What follows the first `_BEGINNING` octets, up to the digest's value."""
    start: int
    end: int
    """Of the digest's value."""


_HEADER = 2
"""Octets of the sequence's tag and length."""
_BEGINNING = 20
"""Octets after it by which a shape is found: version, and hashAlgorithm as far as NULL."""
_SHORT = 0x80
"""Lengths below stand in one octet."""
_CERT_REQ = b"\x01\x01\xff"


def _shapes() -> dict[bytes, _Shape]:
    """Version 1 and a digest that is offered somewhere, its parameters NULL or absent."""
    found = {}
    for digest in DIGESTS.values():
        for parameters in (NULL, b""):
            algorithm = tlv(SEQUENCE, identifier(digest.oid) + parameters)
            imprint = tlv(SEQUENCE, algorithm + tlv(asn1.OCTET_STRING, bytes(digest.size)))
            before = VERSION_1 + imprint[: -digest.size]
            start = _HEADER + len(before)
            if len(before) >= _BEGINNING:
                found[before[:_BEGINNING]] = _Shape(digest.oid, before[_BEGINNING:], start, start + digest.size)
    return found


_SHAPES = _shapes()


def _usual(data: bytes) -> Request | None:
    """A request such as nearly all clients send: no policy, no extensions, a nonce of some octets or none. None for every other, sound or not.

    Each octet is compared or taken, so that it says of a request what `decode_any_request` says, at half of its cost; a test holds them together.
    """
    shape = _SHAPES.get(data[_HEADER : _HEADER + _BEGINNING])
    size = len(data)
    if shape is None or size < shape.end or data[0] != SEQUENCE or data[1] != size - _HEADER or data[1] >= _SHORT:
        return None
    if shape.more and data[_HEADER + _BEGINNING : shape.start] != shape.more:
        return None
    at = shape.end
    nonce: bytes | None = None
    if at + 2 < size and data[at] == INTEGER:
        begin = at + 2
        at = begin + data[at + 1]
        if begin == at or at > size or data[begin - 1] >= _SHORT:
            return None
        if at > begin + 1 and data[begin] in _PADDING and (data[begin] == 0) == (data[begin + 1] < 0x80):
            return None
        nonce = data[begin:at]
    cert_req = at < size
    if cert_req and data[at:] != _CERT_REQ:
        return None
    return Request(1, data[5 : shape.end], shape.digest, False, data[shape.start : shape.end], None, nonce, cert_req)


_PADDING = b"\x00\xff"
"""First octets of an INTEGER that are one too many where the sign is the same without them (X.690 clause 8.3.2)."""

# Writing a response.

_GRANTED = tlv(SEQUENCE, integer(Status.GRANTED))


def granted(token: bytes) -> bytes:
    """DER TimeStampResp with a token."""
    return b"\x30" + length(len(_GRANTED) + len(token)) + _GRANTED + token


def rejection(failure: Failure, text: str) -> bytes:
    """DER TimeStampResp without a token: one failure bit (X.690 clause 11.2.2: no trailing zero bits) and one line for people."""
    octets, bit = divmod(failure, 8)
    bits = bytes((7 - bit,)) + bytes(octets) + bytes((0x80 >> bit,))
    words = tlv(SEQUENCE, tlv(asn1.UTF8, text.encode("utf-8")))
    return tlv(SEQUENCE, tlv(SEQUENCE, integer(Status.REJECTION) + words + tlv(BIT_STRING, bits)))


# The client's side.


def encode_request(imprint: Digest, *, nonce: int | None = None, policy: str | None = None, cert_req: bool = True) -> bytes:
    """DER TimeStampReq. The digest's parameters are NULL, as in OpenSSL's requests, which each authority therefore takes."""
    algorithm = tlv(SEQUENCE, identifier(DIGESTS[imprint.algorithm].oid) + NULL)
    body = VERSION_1 + tlv(SEQUENCE, algorithm + tlv(asn1.OCTET_STRING, imprint.value))
    if policy is not None:
        body += identifier(policy)
    if nonce is not None:
        body += integer(nonce)
    if cert_req:
        body += b"\x01\x01\xff"
    return tlv(SEQUENCE, body)


def decode_response(data: bytes) -> Reply:
    """RFC 3161 section 2.4.2: a TimeStampResp. BER is let through, because authorities write it (Entrust: dotnet/runtime issue 66834)."""
    if len(data) > MAX_RESPONSE:
        raise Malformed(f"time-stamp response is over {MAX_RESPONSE} bytes")
    fields = asn1.parse(data, asn1.Rules.BER).fields()
    info = fields.take(SEQUENCE).fields()
    token = fields.maybe(SEQUENCE)
    fields.done()
    status = info.take(INTEGER).small()
    texts = info.maybe(SEQUENCE)
    failures = info.maybe(BIT_STRING)
    info.done()
    return Reply(
        status,
        () if texts is None else tuple(text.text() for text in texts.children[:MAX_TEXTS]),
        frozenset() if failures is None else _bits(failures.content),
        None if token is None else token.raw,
    )


def _bits(content: bytes) -> frozenset[int]:
    if not 1 <= len(content) <= 9:
        raise Malformed("time-stamp response: failInfo is not a bit string of up to 64 bits")
    return frozenset(8 * at + bit for at, octet in enumerate(content[1:]) for bit in range(8) if octet & (0x80 >> bit))
