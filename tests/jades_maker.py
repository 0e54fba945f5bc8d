"""JWS and JAdES made for tests, by hand and with the standard library alone: nothing of the reader or its codec is used."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests import pki
from tests.pki import Party
from trust.model import Crl, Digest

ETSI = "http://uri.etsi.org/19182/"


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def name_of(party: Party) -> str:
    match party.private:
        case rsa.RSAPrivateKey():
            return ("PS" if party.algorithm.scheme == "rsa-pss" else "RS") + (party.algorithm.digest or "")[3:]
        case ec.EllipticCurvePrivateKey():
            return {256: "ES256", 384: "ES384", 521: "ES512"}[party.private.curve.key_size]
        case ed25519.Ed25519PrivateKey():
            return "EdDSA"
    return "ML-DSA-65"


def raw(party: Party, value: bytes) -> bytes:
    """R and S side by side, as RFC 7518 has them."""
    if not isinstance(party.private, ec.EllipticCurvePrivateKey):
        return value
    size = (party.private.curve.key_size + 7) // 8
    return b"".join(n.to_bytes(size, "big") for n in decode_dss_signature(value))


def header(party: Party, **more: Any) -> dict[str, Any]:
    """A baseline header; a member given as None is left out."""
    made = {
        "alg": name_of(party),
        "typ": "jose+json",
        "iat": int(pki.SIGNED.timestamp()),
        "x5t#S256": b64url(party.certificate.id),
        "x5c": [b64(party.certificate.der), *(b64(c.der) for c in party.chain)],
    }
    return {k: v for k, v in {**made, **more}.items() if v is not None}


def parts(party: Party, head: dict[str, Any], payload: bytes | str, *, as_is: bool = False) -> tuple[str, str, str]:
    """Header, payload and value as a JWS has them. `as_is`: the payload is already what the signing input has."""
    protected = b64url(json.dumps(head).encode())
    text = payload if isinstance(payload, str) else payload.decode("latin-1") if as_is else b64url(payload)
    value = party.sign(f"{protected}.".encode() + text.encode("latin-1" if as_is else "utf-8"))
    return protected, text, b64url(raw(party, value))


def compact(party: Party, payload: bytes, head: dict[str, Any] | None = None) -> bytes:
    return ".".join(parts(party, head or header(party), payload)).encode()


def flattened(party: Party, payload: bytes, head: dict[str, Any] | None = None, *, detached: bool = False, **members: Any) -> dict[str, Any]:
    protected, text, value = parts(party, head or header(party), payload)
    made = {"payload": text, "protected": protected, "signature": value, **members}
    return {k: v for k, v in made.items() if not (detached and k == "payload")}


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


# Unsigned components.


def component(name: str, value: Any) -> str:
    return b64url(json.dumps({name: value}).encode())


def container(token: bytes) -> dict[str, Any]:
    return {"tstTokens": [{"val": b64(token)}]}


def stamped(jws: dict[str, Any], *components: str) -> dict[str, Any]:
    return {**jws, "header": {"etsiU": [*jws.get("header", {}).get("etsiU", []), *components]}}


def signature_stamp(jws: dict[str, Any], stamp: Callable[[Digest], bytes]) -> dict[str, Any]:
    imprint = Digest("sha256", hashlib.sha256(jws["signature"].encode()).digest())
    return stamped(jws, component("sigTst", container(stamp(imprint))))


def values(certs: Iterable[Any], crls: Iterable[Crl]) -> tuple[str, str]:
    return (
        component("xVals", [{"x509Cert": {"val": b64(c.der)}} for c in certs]),
        component("rVals", {"crlVals": [{"val": b64(c.der)} for c in crls]}),
    )


def archive_stamp(jws: dict[str, Any], stamp: Callable[[Digest], bytes], payload: str | None = None) -> dict[str, Any]:
    """`payload` is what stands in its place where it is detached."""
    text = (jws["payload"] if payload is None else payload) + "." + jws["protected"] + "." + jws["signature"] + "."
    imprint = Digest("sha256", hashlib.sha256((text + "".join(jws["header"]["etsiU"])).encode()).digest())
    return stamped(jws, component("arcTst", container(stamp(imprint))))
