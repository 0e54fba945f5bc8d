"""JSON Web Signature (RFC 7515, RFC 7797): strict JSON, strict base64url, the three serialisations.

What the standard leaves no choice about is refused here (Malformed): JSON that is not JSON, a member that stands twice, a structure that
is no JWS. What a single signature gets wrong is kept as a fact beside it, so that its neighbours can still be judged.
"""

import base64
import binascii
import functools
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from trust.algorithms import SIGNATURE_BY_JWA, Algorithm
from trust.errors import Malformed, TooLarge
from trust.model import Digest

MAX_DEPTH = 32
"""Nesting of arrays and objects. A JAdES header needs 7; a counter-signature inside `etsiU` in the clear adds 5 a generation."""
MAX_SIGNATURES = 1000
MAX_MEMBERS = 200_000
"""Brackets and strings of one text together: what keeps a hostile header from costing seconds."""

DIGEST_BY_NAME = {
    "S224": "sha224",
    "S256": "sha256",
    "S384": "sha384",
    "S512": "sha512",
    "S3-256": "sha3_256",
    "S3-384": "sha3_384",
    "S3-512": "sha3_512",
    # The same under the names of RFC 5843 and RFC 8017, which makers write too.
    "sha-256": "sha256",
    "sha-384": "sha384",
    "sha-512": "sha512",
}
"""ETSI TS 119 182-1 clause 5.2.2.2, table 1: `digAlg` and `hashM`; keys without a capital S are looked up in lower case."""

_FIELD_BYTES = {"ES256": 32, "ES384": 48, "ES512": 66}
_CURVE = {"ES256": 256, "ES384": 384, "ES512": 521}
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def digest_name(text: object) -> str | None:
    """hashlib's name of a JAdES digest identifier; None for one that is not known here."""
    return (DIGEST_BY_NAME.get(text) or DIGEST_BY_NAME.get(text.lower())) if isinstance(text, str) else None


# Base64url (RFC 7515 section 2).


@dataclass(frozen=True, slots=True)
class Octets:
    """Decoded base64url, and what of RFC 7515 section 2 its text breaks (empty: nothing)."""

    data: bytes
    fault: str = ""


def octets(text: str) -> Octets:
    """Decode base64url. Padding, line breaks, the other alphabet and stray last bits are told as a fault; what is no base64 at all is Malformed.

    Two texts for the same bytes let one signature stand for two documents in whatever compares texts, and let one JWS pass filters as another.
    """
    fault = ""
    if _BASE64URL.fullmatch(text) is None:
        plain = "".join(text.split()).rstrip("=").replace("+", "-").replace("/", "_")
        if _BASE64URL.fullmatch(plain) is None:
            raise Malformed("base64url has characters outside its alphabet")
        fault, text = "base64url text with padding, white space or characters of plain base64", plain
    if len(text) % 4 == 1:
        raise Malformed("base64url text ends inside a byte")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    whole = len(text) - len(text) % 4
    if not fault and encoded(data[whole // 4 * 3 :]) != text[whole:]:
        fault = "base64url text whose unused last bits are not zero"
    return Octets(data, fault)


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def encoded_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Base64url of a stream, in pieces."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % 3
        rest = data[whole:]
        yield base64.urlsafe_b64encode(data[:whole])
    yield base64.urlsafe_b64encode(rest).rstrip(b"=")


def sloppy(text: str) -> bool:
    """Whether a text is neither base64 (RFC 4648 section 4, with its padding) nor base64url (without), each with unused bits of zero."""
    try:
        data = pki_octets(text)
    except Malformed:
        return True
    return text not in (encoded(data), base64.b64encode(data).decode("ascii"))


def pki_octets(value: object) -> bytes:
    """A `val` of ETSI TS 119 182-1 clause 5.4.1, or an entry of `x5c`: base64, from some makers base64url."""
    if not isinstance(value, str):
        raise Malformed("base64 text expected")
    text = "".join(value.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("value is not base64") from error


# JSON (RFC 8259), as strictly as I-JSON (RFC 7493).

_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{}]', re.DOTALL)
"""A text, also one that never ends: it would be looked for from each of its quotes."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: bytes) -> Any:
    """One JSON text. Malformed for a duplicate member, bytes that are not UTF-8, NaN, or nesting beyond MAX_DEPTH."""
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("JSON is not UTF-8") from error
    _within_caps(decoded)
    try:
        value = json.loads(decoded, object_pairs_hook=unique, parse_constant=_constant, parse_int=_integer, parse_float=_float)
        if _SURROGATE.search(decoded):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise Malformed("JSON has half a surrogate pair (RFC 7493 section 2.1)") from error
    except (ValueError, RecursionError) as error:
        raise Malformed("text is not JSON") from error
    return value


def _within_caps(text: str) -> None:
    depth = 0
    for count, found in enumerate(_STRUCTURE.finditer(text)):
        mark = text[found.start()]
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Malformed(f"JSON is nested deeper than {MAX_DEPTH}")
        elif mark in "]}":
            depth -= 1
        if count > MAX_MEMBERS:
            raise Malformed(f"JSON has more than {MAX_MEMBERS} strings and brackets")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object for `json.loads`, which by itself takes the last of members with the same name. Malformed for such."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed("JSON object has the same member twice")
    return made


def _constant(_: str) -> NoReturn:
    raise Malformed("JSON has a number that is not finite")


def _float(text: str) -> float:
    found = float(text)
    return found if math.isfinite(found) else _constant(text)


def _integer(digits: str) -> int:
    if len(digits) > 30:
        raise Malformed("JSON has an integer of more than 30 digits")
    return int(digits)


# JWS.


@dataclass(frozen=True)
class Payload:
    """The payload of one text: however many signatures it has, it is decoded once."""

    text: str

    @functools.cached_property
    def decoded(self) -> Octets:
        return octets(self.text)

    @functools.cached_property
    def octets(self) -> bytes:
        """As it stands in the signing input."""
        return self.text.encode("utf-8")


@dataclass(frozen=True, slots=True)
class Jws:
    """One signature of a JWS: header, payload as it stands in the text, value."""

    encoded_header: str
    header: dict[str, Any]
    """The protected header."""
    unprotected: dict[str, Any]
    content: Payload | None
    """None where there is none."""
    encoded_signature: str
    signature: bytes
    faults: tuple[str, ...] = ()
    """What this signature's encoding breaks."""

    @property
    def b64(self) -> bool:
        """RFC 7797 section 3: whether the payload is base64url in the signing input."""
        return self.header.get("b64") is not False

    @property
    def encoded_payload(self) -> str:
        """As it stands in the text; empty where it is detached."""
        return "" if self.content is None else self.content.text

    def payload(self) -> Octets | None:
        """What is signed, decoded; None where it is detached."""
        if self.content is None or not self.content.text:
            return None
        return self.content.decoded if self.b64 else Octets(self.content.octets)


@dataclass(frozen=True, slots=True)
class Serialization:
    """A whole JWS."""

    kind: str
    """`compact`, `flattened`, `general`; `none` for a JSON object that carries no signature at all."""
    signatures: tuple[Jws, ...]
    faults: tuple[str, ...] = ()
    extra: tuple[str, ...] = field(default=())
    """Members that stand beside the signature and mean nothing to JWS."""


_COMPACT = re.compile(r"[A-Za-z0-9_+/=-]+\.[^.]*\.[A-Za-z0-9_+/=-]*")


def serialization(data: bytes) -> Serialization:
    """RFC 7515 section 7: the serialisation is told from the first character."""
    if data.lstrip(b" \t\r\n")[:1] == b"{":
        return from_json(parse(data))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("JWS is not UTF-8") from error
    return compact(text)


def compact(text: str) -> Serialization:
    """RFC 7515 section 7.1: BASE64URL(header) . payload . BASE64URL(signature); line breaks at the end are let through."""
    text = text.rstrip("\r\n")
    if _COMPACT.fullmatch(text) is None:
        raise Malformed("not a compact JWS: three parts with dots between them expected")
    header, payload, signature = text.split(".")
    return Serialization("compact", (_jws({"protected": header, "payload": payload, "signature": signature}, Payload(payload)),))


def from_json(value: Any) -> Serialization:
    """RFC 7515 section 7.2, general and flattened, from the parsed object."""
    if not isinstance(value, dict):
        raise Malformed("JWS is a JSON object, got something else")
    payload, faults = value.get("payload"), []
    extra = set[str]()
    if payload is not None and not isinstance(payload, str):
        # What is no string was not signed as a payload: it is a member like any other that stands beside.
        payload, extra = None, {"payload"}
    content = None if payload is None else Payload(payload)
    if "signatures" not in value:
        if "signature" not in value:
            return Serialization("none", ())
        known = {"payload", "protected", "header", "signature"}
        return Serialization("flattened", (_jws(value, content),), (), tuple(sorted(extra | value.keys() - known)))
    entries = value["signatures"]
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise Malformed("`signatures` is an array of objects, got something else")
    if len(entries) > MAX_SIGNATURES:
        raise TooLarge(f"JWS has more than {MAX_SIGNATURES} signatures")
    # Section 7.2.2: the flattened syntax has no "signatures" member, and the general one no "signature".
    if value.keys() & {"signature", "protected", "header"}:
        faults.append("members of the flattened syntax beside `signatures`: two readings of one text")
    signatures = tuple(_jws(entry, content) for entry in entries if entry.get("signature") is not None)
    if len(signatures) < len(entries):
        faults.append("an entry of `signatures` has no signature")
    if any("payload" in entry for entry in entries):
        # A reader that looks for the payload beside the signature would show another.
        faults.append("an entry of `signatures` has a payload of its own")
    if len({s.b64 for s in signatures}) > 1:
        faults.append("b64 differs between the signatures of one payload (RFC 7797 section 3)")
    return Serialization("general", signatures, tuple(faults), tuple(sorted(extra | value.keys() - {"payload", "signatures"})))


def _jws(entry: dict[str, Any], content: Payload | None) -> Jws:
    faults: list[str] = []
    protected, signature, unprotected = entry.get("protected", ""), entry.get("signature"), entry.get("header", {})
    if not isinstance(protected, str) or not isinstance(signature, str) or not isinstance(unprotected, dict):
        raise Malformed("JWS members `protected` and `signature` are strings and `header` is an object, got something else")
    header: Any = {}
    if protected:
        decoded = octets(protected)
        faults += [f"protected header: {decoded.fault}"] if decoded.fault else []
        header = parse(decoded.data)
        if not isinstance(header, dict):
            raise Malformed("protected header is a JSON object, got something else")
    if entry.get("header") == {}:
        faults.append("header is empty, where it would be left out (RFC 7515 section 7.2.1)")
    if header.keys() & unprotected.keys():
        faults.append("a header parameter is both protected and unprotected (RFC 7515 section 4)")
    value = octets(signature)
    faults += [f"signature: {value.fault}"] if value.fault else []
    return Jws(protected, header, unprotected, content, signature, value.data, tuple(faults))


def signing_input(jws: Jws, payload: Iterable[bytes]) -> Iterator[bytes]:
    """RFC 7515 section 5.1: ASCII(BASE64URL(header)) . payload, in pieces; `payload` is already encoded if it is to be."""
    yield jws.encoded_header.encode("ascii") + b"."
    yield from payload


# Algorithms (RFC 7518).


def algorithm(name: object, value: bytes) -> Algorithm | None:
    """The algorithm of an `alg`; None for `none`, for HMACs (whose "key" would be the public one), and for what is not known here.

    `EdDSA` does not name its curve; RFC 8032's lengths do: 64 bytes for Ed25519, 114 for Ed448.
    """
    if name == "EdDSA" and len(value) == 114:
        return SIGNATURE_BY_JWA["Ed448"]
    return SIGNATURE_BY_JWA.get(name) if isinstance(name, str) else None


def curve_bits(name: object) -> int | None:
    """RFC 7518 section 3.4: an ECDSA `alg` names its curve too."""
    return _CURVE.get(name) if isinstance(name, str) else None


def der_value(name: object, value: bytes) -> bytes | None:
    """The value with ECDSA's R and S as DER; None where it has not the length that RFC 7518 section 3.4 says."""
    size = _FIELD_BYTES.get(name) if isinstance(name, str) else None
    if size is None:
        return value
    if len(value) != 2 * size:
        return None
    return encode_dss_signature(int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big"))


def digest_of(entry: Any) -> Digest | None:
    """`digAlg` and `digVal` (ETSI TS 119 182-1 clause 5.2.2.3 and others); None where either is missing or unknown."""
    if not isinstance(entry, dict):
        return None
    name, value = digest_name(entry.get("digAlg")), entry.get("digVal")
    if name is None or not isinstance(value, str):
        return None
    try:
        return Digest(name, pki_octets(value))
    except Malformed:
        return None
