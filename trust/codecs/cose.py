"""COSE_Sign1 and COSE_Sign (RFC 9052 section 4): structure, headers, what is signed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from trust.algorithms import SIGNATURE_BY_COSE, Algorithm
from trust.codecs import cbor
from trust.codecs.cbor import Item
from trust.errors import Malformed

SIGN1, SIGN = 18, 98
_SELF_DESCRIBED, _CWT = 55799, 61
_WRAPPERS = (_SELF_DESCRIBED, _CWT)
"""Tags that may stand around, in this order: self-described CBOR (RFC 8949 section 3.4.6), CWT (RFC 8392 section 6)."""

# IANA COSE header parameters: RFC 9052, RFC 9597, RFC 9596, RFC 9360, RFC 9995, RFC 9921, ETSI TS 119 152-1.
ALG, CRIT, CONTENT_TYPE, KID, IV, PARTIAL_IV, CLAIMS, TYP = 1, 2, 3, 4, 5, 6, 15, 16
X5BAG, X5CHAIN, X5T, X5U = 32, 33, 34, 35
PAYLOAD_HASH_ALG, PREIMAGE_CONTENT_TYPE, PAYLOAD_LOCATION = 258, 259, 260
STAMP_THEN_SIGN, SIGN_THEN_STAMP = 269, 270
COUNTERSIGNATURES = (7, 11)
"""RFC 8152 section 4.5 and RFC 9338 section 3.1, whose later version covers the signature too."""
ABBREVIATED = (9, 12)
"""RFC 9338 section 3.2: without headers, so that only the parties know whose they are."""
ISSUED_AT = 6
"""Of CWT claims (RFC 8392 section 3.1.6)."""

DIGEST_BY_COSE = {-14: "sha1", -16: "sha256", -17: "sha512_256", -43: "sha384", -44: "sha512"}
"""RFC 9054."""
CURVE_BY_COSE = {-9: 256, -51: 384, -52: 521}
"""RFC 9864: the fully specified names name the curve too."""

MAX_SIGNATURES = 1000


@dataclass(frozen=True, slots=True)
class CoseSignature:
    """One signature with its own headers."""

    protected: bytes
    """As it is hashed: empty for an empty map (RFC 9052 section 3)."""
    header: dict[Any, Any]
    unprotected: dict[Any, Any]
    value: bytes
    field: bytes
    """The CBOR item of the value, head included: what RFC 9921 section 3.1 stamps."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message."""

    context: str
    """`Signature1` or `Signature`."""
    protected: bytes
    header: dict[Any, Any]
    unprotected: dict[Any, Any]
    payload: bytes | None
    """None where it is detached."""
    signatures: tuple[CoseSignature, ...]
    """Of COSE_Sign1 the one, with the message's headers."""
    field: bytes
    """The CBOR item of the signature, or of the array of signatures."""


def message(data: bytes) -> Message:
    """A tagged message, or the array of an untagged COSE_Sign1."""
    tags, parts = cbor.elements(data)
    kinds = [tag for tag in tags if tag not in _WRAPPERS]
    around = tuple(tag for tag in _WRAPPERS if tag in tags)
    if kinds not in ([], [SIGN1], [SIGN]) or tags != (*around, *kinds) or (_CWT in tags and not kinds):
        raise Malformed(f"COSE: tag {SIGN1} or {SIGN} expected, and around it at most self-described CBOR and CWT in this order")
    if len(parts) != 4:
        raise Malformed(f"COSE: array of four elements expected, got {len(parts)}")
    protected, header, unprotected = _headers(parts[0], parts[1])
    payload = parts[2].value
    if payload is not None and not isinstance(payload, bytes):
        raise Malformed("COSE: payload is a byte string or nil, got something else")
    if kinds == [SIGN]:
        listed = parts[3].value
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_SIGNATURES:
            raise Malformed(f"COSE: 1 to {MAX_SIGNATURES} signatures expected")
        _, inner = cbor.elements(parts[3].raw)
        return Message("Signature", protected, header, unprotected, payload, tuple(_signature(i) for i in inner), parts[3].raw)
    if not isinstance(parts[3].value, bytes):
        raise Malformed("COSE: signature is a byte string, got something else")
    alone = CoseSignature(protected, header, unprotected, parts[3].value, parts[3].raw)
    return Message("Signature1", protected, header, unprotected, payload, (alone,), parts[3].raw)


def _signature(item: Item) -> CoseSignature:
    tags, parts = cbor.elements(item.raw)
    if tags or len(parts) != 3 or not isinstance(parts[2].value, bytes):
        raise Malformed("COSE: signature of a message is an array of two headers and a byte string")
    protected, header, unprotected = _headers(parts[0], parts[1])
    return CoseSignature(protected, header, unprotected, parts[2].value, parts[2].raw)


def _headers(protected: Item, unprotected: Item) -> tuple[bytes, dict[Any, Any], dict[Any, Any]]:
    if not isinstance(protected.value, bytes) or not isinstance(unprotected.value, dict):
        raise Malformed("COSE: headers are a byte string and a map, got something else")
    header = cbor.decode(protected.value) if protected.value else {}
    if not isinstance(header, dict):
        raise Malformed("COSE: protected header is a map, got something else")
    return (protected.value if header else b""), header, unprotected.value


def signed_structure(of: Message, signature: CoseSignature, size: int, payload: Iterable[bytes]) -> Iterator[bytes]:
    """RFC 9052 section 4.4: Sig_structure with empty external data, in pieces; `size` is the payload's in bytes."""
    first = [of.context, of.protected] if of.context == "Signature1" else [of.context, of.protected, signature.protected]
    yield cbor.head(4, len(first) + 2) + b"".join(cbor.encode(part) for part in (*first, b"")) + cbor.head(2, size)
    yield from payload


def counter_signatures(value: object) -> tuple[CoseSignature, ...]:
    """RFC 9338 section 3.1: one COSE_Countersignature or an array of several. Malformed for anything else."""
    several = isinstance(value, list) and bool(value) and all(isinstance(entry, list) for entry in value)
    listed = value if isinstance(value, list) and several else [value]
    if len(listed) > MAX_SIGNATURES:
        raise Malformed(f"COSE: up to {MAX_SIGNATURES} counter-signatures expected, got {len(listed)}")
    return tuple(_counter_signature(entry) for entry in listed)


def _counter_signature(entry: object) -> CoseSignature:
    match entry:
        case [bytes(protected), dict(unprotected), bytes(signature)]:
            header = cbor.decode(protected) if protected else {}
            if not isinstance(header, dict):
                raise Malformed("COSE: protected header is a map, got something else")
            return CoseSignature(protected if header else b"", header, unprotected, signature, cbor.encode(signature))
    raise Malformed("COSE: counter-signature is an array of two headers and a byte string")


@dataclass(frozen=True, slots=True)
class Countersigned:
    """What a counter-signature is over."""

    protected: bytes
    """Header of the message, or of the signature in it."""
    size: int
    payload: Callable[[], Iterable[bytes]]
    """The payload or, of a signature in a message, its value."""
    others: tuple[bytes, ...] = ()
    """The byte strings after it: of COSE_Sign1 its signature."""

    @classmethod
    def of(cls, signature: CoseSignature) -> "Countersigned":
        """A signature in a message, or a counter-signature."""

        def payload() -> tuple[bytes, ...]:
            return (signature.value,)

        return cls(signature.protected, len(signature.value), payload)


def countersigned_structure(of: Countersigned, protected: bytes, *, with_others: bool) -> Iterator[bytes]:
    """RFC 9338 section 3.3: Countersign_structure with empty external data, in pieces."""
    others = of.others if with_others else ()
    first = ("CounterSignatureV2" if others else "CounterSignature", of.protected, protected, b"")
    yield cbor.head(4, len(first) + (2 if others else 1)) + b"".join(cbor.encode(part) for part in first) + cbor.head(2, of.size)
    yield from of.payload()
    if others:
        yield cbor.encode(others)


def algorithm(name: object, value: bytes) -> Algorithm | None:
    """The algorithm of an `alg`; None for MACs, for ciphers, and for what is not known here. EdDSA's curve is told by RFC 8032's lengths."""
    if not isinstance(name, int) or isinstance(name, bool):
        return None
    return SIGNATURE_BY_COSE[-53] if name == -8 and len(value) == 114 else SIGNATURE_BY_COSE.get(name)


def der_value(of: Algorithm | None, value: bytes) -> bytes | None:
    """The value with ECDSA's R and S as DER (RFC 9053 section 2.1: two halves of equal length); None where it has no such length."""
    if of is None or of.scheme != "ecdsa":
        return value
    if not value or len(value) % 2 or len(value) > 132:
        return None
    half = len(value) // 2
    return encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
