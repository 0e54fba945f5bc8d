"""The protected header of a JAdES signature: ETSI TS 119 182-1 clauses 5.1 and 5.2, and what RFC 7515 section 4 asks of any JWS."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from trust.algorithms import Algorithm, hasher
from trust.codecs import asn1, ess, jose
from trust.codecs.jose import Jws
from trust.errors import Malformed
from trust.model import Cert, Claims, Defect, Digest, SignerReference
from verifier.formats.jades.schema import HEADER, misshapen
from verifier.formats.validation_data import readable

# RFC 7515 section 4.1.11: `crit` names extensions only, never what RFC 7515 or RFC 7518 define.
_JWS = ("alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit")
REGISTERED = frozenset((*_JWS, "epk", "apu", "apv", "iv", "tag", "p2s", "p2c", "enc", "zip"))
_SIGNED = ("sigT", "x5t#o", "sigX5ts", "srCms", "sigPl", "srAts", "adoTst", "sigPId", "sigD")
UNDERSTOOD = frozenset((*_SIGNED, "iat", "exp", "nbf", "b64", "etsiU"))
"""Extensions that may stand in `crit`: their meaning is in this package. `exp` and `nbf` limit what the content says, not the signature."""
MUST_BE_CRITICAL = ("sigD", "b64")
REFERENCES = ("x5t#S256", "x5t#o", "sigX5ts")
"""Clause 5.1.7, 5.2.2: exactly one of them references the signing certificate."""
SIG_T_ENDS = datetime(2025, 7, 15, tzinfo=UTC)
"""Clause 5.2.1 of version 1.2.1: from then on the claimed time is `iat`."""


def flaws(jws: Jws, algorithm: Algorithm | None, signer: Cert | None) -> tuple[Defect, ...]:
    """What breaks the standard badly enough that no reader may rely on the signature, and oddities."""
    found = [Defect("RFC 7515 section 2", fault) for fault in jws.faults]
    name = jws.header.get("alg")
    if algorithm is None:
        shown = name[:20] if isinstance(name, str) and name.isascii() and name.isprintable() else "none that is text"
        found.append(Defect("RFC 7518 section 3.1", f"alg is one for signatures with certificates, got {shown}"))
    elif jose.der_value(name, jws.signature) is None:
        found.append(Defect("RFC 7518 section 3.4", f"{name} signature value has not its fixed length, got {len(jws.signature)} bytes"))
    if (bits := jose.curve_bits(name)) and signer and isinstance(key := signer.public_key, ec.EllipticCurvePublicKey) and key.curve.key_size != bits:
        found.append(Defect("RFC 7518 section 3.4", f"{name} is for a curve of {bits} bits, the signer's has {key.curve.key_size}"))
    if (count := sum(name in jws.header for name in REFERENCES)) > 1:
        found.append(Defect("ETSI TS 119 182-1 clause 5.1.7", f"the signing certificate is referenced once, got {count} references"))
    found += _crit_flaws(jws)
    found += _certificate_flaws(jws, signer)
    found += [Defect("ETSI TS 119 182-1 clause 5", f"{name} is not of its type", fatal=False, refused=True) for name in misshapen(jws.header, HEADER)]
    if any(isinstance(text := entry.get("digVal"), str) and jose.sloppy(text) for entry in _digests(jws)):
        found.append(Defect("RFC 7515 section 2", "a digest in the header is in sloppy base64url", fatal=False, refused=True))
    if "enc" in jws.header or "enc" in jws.unprotected:
        found.append(Defect("RFC 7516 section 9", "enc says that this is encrypted, and it is signed", fatal=False, refused=True))
    if "x5t" in jws.header and _is_etsi(jws):
        found.append(Defect("ETSI TS 119 182-1 clause 5.1.6", "x5t has no place in JAdES", fatal=False, refused=True))
    if not isinstance(jws.header.get("b64", True), bool):
        found.append(Defect("RFC 7797 section 3", "b64 is true or false, got something else"))
    misplaced = sorted(jws.unprotected.keys() & {"alg", "b64", *UNDERSTOOD} - {"etsiU"})
    found += [Defect("ETSI TS 119 182-1 clause 5.1.1", f"{p} stands in the unprotected header", fatal=p == "b64", refused=True) for p in misplaced]
    if "etsiU" in jws.unprotected and len(jws.unprotected) > 1:
        found.append(Defect("ETSI TS 119 182-1 clause 5.3.1", "etsiU stands with others in the unprotected header", fatal=False, refused=True))
    return tuple(found)


def _is_etsi(jws: Jws) -> bool:
    """Whether it speaks the language of JAdES, and is no plain JWS."""
    return "etsiU" in jws.unprotected or any(name in jws.header for name in _SIGNED)


def _crit_flaws(jws: Jws) -> Iterable[Defect]:
    clause = "RFC 7515 section 4.1.11"
    if "crit" in jws.unprotected:
        yield Defect(clause, "crit stands in the unprotected header")
    crit = jws.header.get("crit")
    present = jws.header.keys() | jws.unprotected.keys()
    entries = crit if isinstance(crit, list) else [crit]
    listed = list(dict.fromkeys(entry for entry in entries if isinstance(entry, str)))
    if "crit" in jws.header and (not isinstance(crit, list) or len(listed) < len(entries)):
        yield Defect(clause, "crit is an array of different names, got something else", fatal=False, refused=True)
    elif crit == []:
        yield Defect(clause, "crit is empty", fatal=False, refused=True)
    for entry in listed:
        if entry in REGISTERED:
            yield Defect(clause, f"crit names {entry}, which is no extension", fatal=False, refused=True)
        elif entry not in UNDERSTOOD:
            yield Defect(clause, "crit names an extension that is not understood here")
        elif entry not in present:
            yield Defect(clause, f"crit names {entry}, which is not in the header", fatal=False, refused=True)
    for name in MUST_BE_CRITICAL:
        if name in jws.header and name not in listed:
            clause = "RFC 7797 section 6" if name == "b64" else "ETSI TS 119 182-1 clause 5.2.8.1"
            hides = name == "b64" and jws.header[name] is False
            # A reader that does not know b64 would check another payload: two readings of one signature.
            yield Defect(clause, f"{name} is used and crit does not name it", fatal=hides, refused=name == "sigD")


def _digests(jws: Jws) -> list[dict[str, Any]]:
    """The objects of the header that hold a digest."""
    listed = jws.header.get("sigX5ts")
    return _objects([jws.header.get("x5t#o"), jws.header.get("sigPId"), *(listed if isinstance(listed, list) else ())])


def _certificate_flaws(jws: Jws, signer: Cert | None) -> Iterable[Defect]:
    """RFC 7515 sections 4.1.3 to 4.1.8: whatever names the key names the same one, in the one encoding that it has."""
    header = jws.header
    if "etsiU" in header:
        yield Defect("ETSI TS 119 182-1 clause 5.3.1", "etsiU stands in the protected header", fatal=False, refused=True)
    for name in ("x5t", "x5t#S256"):
        if name in header and (not isinstance(header[name], str) or _fault(header[name])):
            yield Defect("RFC 7515 section 2", f"{name} is no base64url", fatal=False, refused=True)
    listed = header.get("x5c", jws.unprotected.get("x5c"))
    held = certificates(jws)
    if any(not ess.same_name(below.issuer, above.subject) for below, above in pairwise(held)):
        yield Defect("RFC 7515 section 4.1.6", "x5c is not in the order of its issuers", fatal=False, refused=True)
    if listed is not None and (not isinstance(listed, list) or not listed or any(_x5c(entry) is None or jose.sloppy(entry) for entry in listed)):
        yield Defect("RFC 7515 section 4.1.6", "x5c is an array of certificates in base64, got something else", fatal=False, refused=True)
    if signer is None:
        return
    first = next(iter(held), signer)
    if first != signer:
        yield Defect("RFC 7515 section 4.1.6", "the first certificate of x5c is not the signer's", fatal=False, refused=True)
    either = jws.unprotected | header
    for name, digest in (("x5t", "sha1"), ("x5t#S256", "sha256")):
        thumb = either.get(name)
        bound = name in header and name in REFERENCES  # told where the signer is identified
        if not bound and isinstance(thumb, str) and (_fault(thumb) or not _has_digest(signer, Digest(digest, jose.octets(thumb).data))):
            yield Defect("RFC 7515 section 4.1.7", f"{name} is of another certificate than the signer's", fatal=False, refused=True)
    if "jwk" in either and not (_is_key(either["jwk"], signer) and _is_for(either["jwk"], header.get("alg"))):
        yield Defect("RFC 7515 section 4.1.3", "jwk is another key than the signer's", fatal=False, refused=True)


def _fault(text: str) -> str:
    try:
        return jose.octets(text).fault
    except Malformed as error:
        return str(error)


def _is_key(jwk: object, signer: Cert) -> bool:
    """RFC 7518 section 6, RFC 8037: whether a public key in JSON is the certificate's; one of a kind that is not known here contradicts nothing."""
    if not isinstance(jwk, dict) or "d" in jwk:
        return False
    key = signer.public_key
    try:
        match key:
            case rsa.RSAPublicKey():
                numbers = key.public_numbers()
                return jwk.get("kty") == "RSA" and (_number(jwk, "n"), _number(jwk, "e")) == (numbers.n, numbers.e)
            case ec.EllipticCurvePublicKey():
                point = key.public_numbers()
                return (
                    jwk.get("kty") == "EC"
                    and jwk.get("crv") == _CURVE_NAMES.get(key.curve.name)
                    and (_number(jwk, "x"), _number(jwk, "y")) == (point.x, point.y)
                )
    except Malformed:
        return False
    return True


_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "secp256k1"}
"""RFC 7518 section 6.2.1.1, RFC 8812 section 3.1."""


def _is_for(jwk: dict[str, Any], alg: object) -> bool:
    """RFC 7517 sections 4.2 to 4.4: what the key says of its use allows this signature."""
    operations = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and jwk.get("alg", alg) == alg and isinstance(operations, list) and "verify" in operations


def _number(jwk: dict[str, Any], name: str) -> int | None:
    value = jwk.get(name)
    return int.from_bytes(jose.octets(value).data) if isinstance(value, str) else None


def certificates(jws: Jws) -> tuple[Cert, ...]:
    """x5c (RFC 7515 section 4.1.6), what can be read of it. `x5u` and `jku` are never followed."""
    listed = jws.header.get("x5c", jws.unprotected.get("x5c"))
    return tuple(cert for entry in (listed if isinstance(listed, list) else ()) if (cert := _x5c(entry)))


def _x5c(entry: object) -> Cert | None:
    try:
        return readable(jose.pki_octets(entry))
    except Malformed:
        return None


def signer_of(jws: Jws, candidates: Iterable[Cert]) -> tuple[Cert | None, SignerReference]:
    """Clause 5.1.7 and 5.2.2: the certificate that the reference names, or else the first of x5c; and how the two agree."""
    given = [name for name in REFERENCES if name in jws.header]
    reference = _reference(jws, given[0]) if given else None
    pool = tuple(candidates)
    named = next((c for c in pool if reference is not None and _has_digest(c, reference)), None)
    signer = named or next(iter(certificates(jws)), None)
    return signer, SignerReference(
        len(given),
        None if reference is None else named is not None,
        None if signer is None else _issuer_serial(jws.header.get("kid"), signer),
        None if reference is None else reference.algorithm,
    )


def _reference(jws: Jws, name: str) -> Digest | None:
    value = jws.header[name]
    if name == "x5t#S256":
        try:
            return Digest("sha256", jose.octets(value).data) if isinstance(value, str) else None
        except Malformed:
            return None
    if name == "sigX5ts":
        value = value[0] if isinstance(value, list) and value else None
    return jose.digest_of(value)


def _has_digest(cert: Cert, digest: Digest) -> bool:
    running = hasher(digest.algorithm)
    running.update(cert.der)
    return bool(running.digest() == digest.value)


def _issuer_serial(kid: object, signer: Cert) -> bool | None:
    """Clause 5.1.4: `kid` is the base64 of an IssuerSerial; any other `kid` says nothing here."""
    try:
        issuer, serial = ess.issuer_serial(asn1.parse(jose.pki_octets(kid)))
    except Malformed:
        return None
    if issuer is None or serial is None:
        return None
    return serial == signer.serial and ess.same_name(issuer.raw, signer.issuer)


@dataclass(frozen=True, slots=True)
class Shape:
    """What level B asks of the header (clause 6.3), beside the digest of x5t."""

    holds: bool
    policy_with_hash: bool


def shape(jws: Jws, *, countersignature: bool) -> Shape:
    """Clause 6.3: whether the protected header is that of a baseline signature, as EU DSS counts it."""
    header = jws.header
    listed = header.get("crit")
    present = header.keys() | jws.unprotected.keys()
    crit_holds = "crit" not in header or (
        isinstance(listed, list)
        and bool(listed)
        and all(isinstance(e, str) and e in UNDERSTOOD - {"nbf"} and e in present for e in listed)
        and len(set(listed)) == len(listed)
    )
    critical = listed if isinstance(listed, list) else []
    policy = header.get("sigPId")
    return Shape(
        isinstance(header.get("alg"), str)
        and bool(header["alg"])
        and not (countersignature and header.get("cty"))
        and crit_holds
        and all(name in critical for name in MUST_BE_CRITICAL if name in header)
        and _time_holds(header)
        and sum(bool(header.get(name)) for name in REFERENCES) == 1,
        isinstance(policy, dict) and jose.digest_of(policy) is not None,
    )


def _time_holds(header: dict[str, Any]) -> bool:
    when = claimed_time(header)
    return when is not None and ("iat" in header or when < SIG_T_ENDS)


def claimed_time(header: dict[str, Any]) -> datetime | None:
    """Clauses 5.1.11 and 5.2.1: `iat` or `sigT`; None where there is neither, both, or no time in it."""
    iat, sig_t = header.get("iat"), header.get("sigT")
    try:
        if iat is not None and sig_t is None and isinstance(iat, int | float) and not isinstance(iat, bool):
            return datetime.fromtimestamp(int(iat), UTC)
        if isinstance(sig_t, str) and iat is None:
            return datetime.strptime(sig_t, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def claims(jws: Jws) -> Claims:
    """Clauses 5.1.3 and 5.2.1 to 5.2.7: what the signer says."""
    header = jws.header
    place = header.get("sigPl")
    policy = header.get("sigPId")
    policy = policy if isinstance(policy, dict) else {}
    content_type = header.get("cty")
    return Claims(
        time=claimed_time(header),
        place=", ".join(v for v in place.values() if isinstance(v, str)) or None if isinstance(place, dict) else None,
        commitments=tuple(i for c in _objects(header.get("srCms")) if (i := _identifier(c.get("commId")))),
        roles=tuple(_roles(header.get("srAts"))),
        policy=_identifier(policy.get("id")),
        policy_digest=jose.digest_of(policy),
        policy_uri=next((u for q in _objects(policy.get("sigPQuals")) if isinstance(u := q.get("spURI"), str)), None),
        content_type=content_type if isinstance(content_type, str) else None,
    )


def _roles(attributes: object) -> Iterable[str]:
    if isinstance(attributes, dict):
        for entry in _objects(attributes.get("claimed")):
            values = entry.get("qVals")
            yield from (v for v in values if isinstance(v, str)) if isinstance(values, list) else ()


def _objects(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _identifier(value: object) -> str | None:
    """Clause 5.4.1, an oId: a URI, or `urn:oid:` and the dotted numbers, of which the numbers are kept."""
    found = value.get("id") if isinstance(value, dict) else None
    return found.removeprefix("urn:oid:") if isinstance(found, str) else None
