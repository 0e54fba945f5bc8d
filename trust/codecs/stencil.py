"""Tokens of one unit, read by what differs: all but six slices of a token are the same in each (RFC 3161 section 2.4.2).

`cms.token` reads a token whole and hands it here (`learn`). A later token whose other bytes are the same, octet by octet, and whose lengths are all
in the one form that DER allows, is then read by its imprint, serial number, time, nonce, message digest and signature value alone (`read`). Whatever
differs in shape, or is odd in one of the six, is not read here: None, and the general reader has its say. Nothing is accepted here that it refuses;
`tests/unit/test_stencil.py` holds both against each other.

A rule of `cms.general_token` that looks at one of the six slices must be kept here too, or the slice refused in `_moment`, `_integer` or `_cut`.
Errors: none.
"""

import functools
from dataclasses import dataclass
from datetime import UTC, datetime

from trust.algorithms import DIGESTS, hasher
from trust.codecs import asn1
from trust.codecs.cms_rules import MAX_SERIAL
from trust.errors import Malformed
from trust.model import Cert, Claims, Crl, Digest, Form, Ocsp, Reference, Signature, Token, identify

MOST_STENCILS = 64
"""Units, or ways of writing a token, that are remembered; beyond them all are learnt anew."""
LONGEST = 16 << 10
"""Bytes of a token that is remembered: one with a chain of four RSA certificates has some 6 kB."""

_SIGNED_DATA = asn1.tlv(asn1.OID, asn1.oid_content("1.2.840.113549.1.7.2")) + b"\xa0"
_TST_INFO = asn1.tlv(asn1.OID, asn1.oid_content("1.2.840.113549.1.9.16.1.4")) + b"\xa0"
_MESSAGE_DIGEST = asn1.tlv(asn1.OID, asn1.oid_content("1.2.840.113549.1.9.4")) + b"\x31"
_VERSION_1 = b"\x02\x01\x01"

_Shape = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bool, bytes]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A token in slices."""

    shape: _Shape
    """What tokens of a unit share: SignedData before the content; between content and signers; SignerInfo before the signed attributes; these before
    and after the message digest's value; the signature algorithm; TSTInfo up to the imprint's value; accuracy and ordering; whether there is a
    nonce; what follows it."""
    attributes: bytes
    message_digest: bytes
    value: bytes
    info: bytes
    imprint: bytes
    serial: bytes
    time: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class _Stencil:
    """What the general reader said of the first token of a shape, as far as it is the same for all."""

    digest: str
    """hashlib's name, of the message digest."""
    imprint: str
    accuracy_us: int | None
    ordering: bool
    policy: str
    tsa: str | None
    signature: Signature
    certs: tuple[Cert, ...]
    crls: tuple[Crl, ...]
    ocsps: tuple[Ocsp, ...]


_known: dict[tuple[_Shape, tuple[Cert, ...]], _Stencil] = {}


def read(der: bytes, certs: tuple[Cert, ...]) -> Token | None:
    """The token, exactly as the general reader reads it; None where that has to be asked."""
    if len(der) > LONGEST or not _known:
        return None
    cut = _cut(der)
    if cut is None or (found := _known.get((cut.shape, certs))) is None or (moment := _moment(cut.time)) is None:
        return None
    said = Digest(found.digest, cut.message_digest)
    intact = _digest(found.digest, cut.info) == cut.message_digest
    alike = found.signature
    signed = b"\x31" + cut.attributes[1:]
    signature = Signature(
        identify(signed + cut.value),
        Form.TOKEN,
        alike.level,
        cut.value,
        signed,
        alike.algorithm,
        alike.signer,
        alike.signer_reference,
        (Reference("TSTInfo", True, intact, digest=said),),
        Claims(moment),
        alike.defects,
        None,
        None,
        alike.mechanisms,
    )
    return Token(
        der,
        identify(der),
        moment,
        found.accuracy_us,
        found.ordering,
        found.policy,
        int.from_bytes(cut.serial, "big", signed=True),
        int.from_bytes(cut.nonce, "big", signed=True) if cut.nonce else None,
        Digest(found.imprint, cut.imprint),
        signature,
        found.certs,
        found.crls,
        found.ocsps,
        found.tsa,
    )


def learn(token: Token, certs: tuple[Cert, ...]) -> None:
    """What the general reader made of a token, for those alike. Only of plain ones: each value where DER has it, and nothing odd in its own six."""
    if len(token.der) > LONGEST:
        return
    cut = _cut(token.der)
    (reference,) = token.signature.references
    if cut is None or reference.digest is None or _moment(cut.time) != token.gen_time:
        return
    plain = (
        (token.signature.signed, token.signature.value, token.signature.claims) == (b"\x31" + cut.attributes[1:], cut.value, Claims(token.gen_time))
        and (reference.name, reference.found, reference.digest.value) == ("TSTInfo", True, cut.message_digest)
        and reference.intact == (_digest(reference.digest.algorithm, cut.info) == cut.message_digest)
        and DIGESTS[reference.digest.algorithm].size == len(cut.message_digest)
        and token.imprint.value == cut.imprint
        and token.serial == int.from_bytes(cut.serial, "big", signed=True)
        and token.nonce == (int.from_bytes(cut.nonce, "big", signed=True) if cut.nonce else None)
    )
    if not plain:
        return
    if len(_known) >= MOST_STENCILS:
        _known.clear()
    _known[cut.shape, certs] = _Stencil(
        reference.digest.algorithm,
        token.imprint.algorithm,
        token.accuracy_us,
        token.ordering,
        token.policy,
        token.tsa,
        token.signature,
        token.certs,
        token.crls,
        token.ocsps,
    )


def _digest(algorithm: str, data: bytes) -> bytes:
    running = hasher(algorithm)
    running.update(data)
    made: bytes = running.digest()
    return made


def _cut(data: bytes) -> _Cut | None:
    """The slices of a token; None where it is not of this shape: every length minimal and exact, one signer, no unsigned attributes."""
    try:
        at, end = _within(data, 0, 0x30, len(data))
        if not data.startswith(_SIGNED_DATA, at):
            return None
        at, end = _within(data, at + len(_SIGNED_DATA) - 1, 0xA0, end)
        begin, end = _within(data, at, 0x30, end)
        at = _after(data, _after(data, begin, 0x02, end), 0x31, end)
        head = data[begin:at]
        at, over = _open(data, at, 0x30, end)
        if not data.startswith(_TST_INFO, at):
            return None
        at, content = _within(data, at + len(_TST_INFO) - 1, 0xA0, over)
        at, content = _within(data, at, 0x04, content)
        info = data[at:content]
        at = over
        for tag in (0xA0, 0xA1):
            if data[at] == tag:
                at = _after(data, at, tag, end)
        between = data[over:at]
        at, end = _within(data, at, 0x31, end)
        begin, end = _within(data, at, 0x30, end)
        at = _after(data, begin, 0x02, end)
        at = _after(data, at, 0x30 if data[at] == 0x30 else 0x80, end)
        at = _after(data, at, 0x30, end)
        identity = data[begin:at]
        begin = at
        at = _after(data, at, 0xA0, end)
        attributes = data[begin:at]
        begin = at
        at = _after(data, at, 0x30, end)
        algorithm = data[begin:at]
        at, end = _within(data, at, 0x04, end)
        value = data[at:end]
        # The OID of message-digest and the SET behind it: `31 L 04 L value`. Twice, also by chance in another value: not read here.
        at = attributes.find(_MESSAGE_DIGEST)
        if at < 0 or attributes.find(_MESSAGE_DIGEST, at + 1) >= 0:
            return None
        at += len(_MESSAGE_DIGEST) + 3
        size = attributes[at - 1]
        if attributes[at - 2] != 0x04 or size >= 0x80 or attributes[at - 3] != size + 2 or at + size > len(attributes):
            return None
        return _info(
            info, attributes, value, (head, between, identity, attributes[:at], attributes[at + size :], algorithm), attributes[at : at + size]
        )
    except (IndexError, _OtherShape):
        return None


def _info(
    info: bytes, attributes: bytes, value: bytes, around: tuple[bytes, bytes, bytes, bytes, bytes, bytes], message_digest: bytes
) -> _Cut | None:
    begin, end = _within(info, 0, 0x30, len(info))
    if not info.startswith(_VERSION_1, begin):
        return None
    at = _after(info, begin + 3, 0x06, end)
    at, imprint_end = _open(info, at, 0x30, end)
    at = _after(info, at, 0x30, imprint_end)
    value_at, _ = _within(info, at, 0x04, imprint_end)
    serial_at, serial_end = _integer(info, imprint_end, end)
    if serial_end - serial_at > MAX_SERIAL:
        raise _OtherShape
    time_at, time_end = _open(info, serial_end, 0x18, end)
    at = time_end
    if at < end and info[at] == 0x30:
        at = _after(info, at, 0x30, end)
    if at < end and info[at] == 0x01:
        at = _after(info, at, 0x01, end)
    accuracy = info[time_end:at]
    nonce = b""
    if at < end and info[at] == 0x02:
        nonce_at, at = _integer(info, at, end)
        nonce = info[nonce_at:at]
    shape = (*around, info[begin:value_at], accuracy, bool(nonce), info[at:end])
    imprint, serial, time = info[value_at:imprint_end], info[serial_at:serial_end], info[time_at:time_end]
    return _Cut(shape, attributes, message_digest, value, info, imprint, serial, time, nonce)


class _OtherShape(Exception):
    """Never leaves this module."""


def _open(data: bytes, at: int, tag: int, limit: int) -> tuple[int, int]:
    """Where the content of the value at this place begins and ends: this tag, and its length as DER writes it (X.690 clause 10.1)."""
    if data[at] != tag:
        raise _OtherShape
    length = data[at + 1]
    body = at + 2
    if length >= 0x80:
        if length == 0x81:
            length, body = data[body], body + 1
            if length < 0x80:
                raise _OtherShape
        elif length == 0x82:
            length, body = data[body] << 8 | data[body + 1], body + 2
            if length < 0x100:
                raise _OtherShape
        else:
            raise _OtherShape
    end = body + length
    if end > limit:
        raise _OtherShape
    return body, end


def _within(data: bytes, at: int, tag: int, limit: int) -> tuple[int, int]:
    """The same of a value that is the last: it ends where what it stands in does."""
    body, end = _open(data, at, tag, limit)
    if end != limit:
        raise _OtherShape
    return body, end


def _after(data: bytes, at: int, tag: int, limit: int) -> int:
    return _open(data, at, tag, limit)[1]


def _integer(data: bytes, at: int, limit: int) -> tuple[int, int]:
    """Content of a minimal INTEGER (X.690 clause 8.3.2)."""
    body, end = _open(data, at, 0x02, limit)
    size = end - body
    if size == 0 or size > 64 or (size > 1 and data[body] in (0, 0xFF) and (data[body] ^ data[body + 1]) < 0x80):
        raise _OtherShape
    return body, end


def _moment(text: bytes) -> datetime | None:
    """GeneralizedTime `YYYYMMDDhhmmss[.f]Z`; None for one that is no time, or whose fraction ends with a zero."""
    size = len(text)
    if size < 15 or text[-1:] != b"Z":
        return None
    second = _second(text[:14])
    if second is None or size == 15:
        return second
    fraction = text[15:-1]
    if text[14:15] != b"." or not 1 <= len(fraction) <= 6 or not fraction.isdigit() or fraction.endswith(b"0"):
        return None
    return second.replace(microsecond=int(fraction.ljust(6, b"0")))


@functools.lru_cache(maxsize=256)
def _second(text: bytes) -> datetime | None:
    """Many tokens are of one second."""
    try:
        found = asn1.moment(text + b"Z", asn1.GENERALIZED_TIME)
    except Malformed:
        return None
    return found if found.tzinfo is UTC else None
