"""Which algorithm a key signs with, and which digest the content gets: as the caller asked, where the format has a name for it.

Tables say what exists. What an identifier is missing for is refused with the reason, and never replaced by something near it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from eseal.spec import Format
from trust.algorithms import (
    DIGESTS,
    OID_BY_SIGNATURE,
    SIGNATURE_BY_COSE,
    SIGNATURE_BY_JWA,
    XML_BY_SIGNATURE,
    Algorithm,
    key_strength,
    under,
)
from trust.errors import Unacceptable
from trust.suites import FOREVER, NEVER, Timetable


class Family(StrEnum):
    """Formats that share their identifiers of algorithms."""

    CMS = "CMS"
    XML = "XML"
    JOSE = "JOSE"
    COSE = "COSE"


FAMILY: Mapping[Format, Family] = MappingProxyType(
    {
        Format.PADES: Family.CMS,
        Format.CADES: Family.CMS,
        Format.ASIC_S_CADES: Family.CMS,
        Format.ASIC_E_CADES: Family.CMS,
        Format.XADES: Family.XML,
        Format.ASIC_S_XADES: Family.XML,
        Format.ASIC_E_XADES: Family.XML,
        Format.JADES: Family.JOSE,
        Format.COSE: Family.COSE,
    }
)
_STRONG = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512")
_IN_CMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    # RFC 8419 section 3.1; RFC 9882 section 3.3, table 1: digests as strong as the key.
    {
        "ed25519": ("sha512",),
        "ml-dsa-44": _STRONG,
        "ml-dsa-65": ("sha384", "sha512", "sha3_384", "sha3_512"),
        "ml-dsa-87": ("sha512", "sha3_512"),
    }
)
"""Schemes that hash for themselves -> digests that may stand beside them in CMS."""
_USUAL = "sha512"
"""The digest of what is signed, where the scheme hashes for itself and nobody asked for another: in CMS there is no other for Ed25519."""
_NAMED: Mapping[Family, frozenset[Algorithm]] = MappingProxyType(
    {
        Family.CMS: frozenset(OID_BY_SIGNATURE),
        Family.XML: frozenset(XML_BY_SIGNATURE),
        Family.JOSE: frozenset(SIGNATURE_BY_JWA.values()),
        Family.COSE: frozenset(SIGNATURE_BY_COSE.values()),
    }
)
_PARAMETERS = frozenset({Family.CMS, Family.XML})
"""Where RSASSA-PSS says its digest in parameters (RFC 4055 section 3.1, RFC 9231 section 2.3.9), so that it may be any."""
_CURVE_OF = MappingProxyType({"sha256": 256, "sha384": 384, "sha512": 521})
"""RFC 7518 section 3.4, RFC 9864 section 2.1: in JOSE and COSE the name of an ECDSA algorithm is that of a curve too."""
_CURVE_NAMES = MappingProxyType({256: "P-256", 384: "P-384", 521: "P-521"})


@dataclass(frozen=True, slots=True)
class Suite:
    """What one seal is made with."""

    algorithm: Algorithm
    digest: str
    """Of the content, and of all that is named by a digest (hashlib's name)."""


def suite(form: Format, own: Algorithm, public: PublicKeyTypes | None, asked: str | None = None) -> Suite:
    """For a key whose algorithm is `own`, with the digest that was `asked` for. Unacceptable, with the reason, where the format has no identifier."""
    family = FAMILY[form]
    digest = asked or own.digest or _USUAL
    if digest not in _STRONG:
        raise Unacceptable(f"nothing is sealed with {digest}")
    algorithm = under(own, digest)
    if family is Family.CMS and algorithm.digest is None:
        _require_beside(algorithm.scheme, digest)
    if algorithm not in _NAMED[family] and not (algorithm.scheme == "rsa-pss" and family in _PARAMETERS):
        raise Unacceptable(_unnamed(family, algorithm))
    if family is Family.JOSE and digest.startswith("sha3_"):
        raise Unacceptable(f"jades hashes with SHA-2: JOSE has no signature algorithm with SHA3 (RFC 7518), got {digest}")
    if family in (Family.JOSE, Family.COSE) and isinstance(public, ec.EllipticCurvePublicKey) and public.key_size != _CURVE_OF[digest]:
        curve = _CURVE_NAMES[_CURVE_OF[digest]]
        raise Unacceptable(
            f"{family} has {algorithm} for keys on {curve} alone, this organisation's is on {_CURVE_NAMES.get(public.key_size, 'another')}"
        )
    return Suite(algorithm, digest)


def _require_beside(scheme: str, digest: str) -> None:
    there = _IN_CMS.get(scheme, ())
    if not there:
        raise Unacceptable(f"{scheme} keys seal in XML, JSON and COSE only: in CMS they want SHAKE256 (RFC 8419 section 3.1), which is not made here")
    if digest not in there:
        raise Unacceptable(f"in CMS a key of {scheme} goes with {' or '.join(there)}, got {digest}")


def _unnamed(family: Family, algorithm: Algorithm) -> str:
    if algorithm.scheme.startswith("ml-dsa"):
        return f"{algorithm} has no identifier in {family} yet: seal as cades, pades, jades or cose, or with another key"
    there = sorted({a.digest for a in _NAMED[family] if a.scheme == algorithm.scheme and a.digest in _STRONG} - {None}, key=str)
    return f"{algorithm} has no identifier in {family}" + (f"; there is {algorithm.scheme} with {', '.join(map(str, there))}" if there else "")


_CATALOGUES = MappingProxyType({"ts-119-312": "ETSI TS 119 312", "cryptrec": "CRYPTREC"})
_SPOKEN = MappingProxyType({"rsa-pkcs1": "RSA PKCS#1 v1.5", "rsa-pss": "RSASSA-PSS", "ecdsa": "ECDSA", "dsa": "DSA"})


def warnings(chosen: Suite, public: PublicKeyTypes, timetables: Mapping[str, Timetable]) -> tuple[str, ...]:
    """From when on verifiers refuse what a seal is made with, by the catalogues that they go by; nothing where none sets an end. In ASCII."""
    _, bits = key_strength(public)
    scheme = chosen.algorithm.scheme
    spoken = _SPOKEN.get(scheme, scheme) + (f" with {bits} bits" if scheme.startswith("rsa") else "")
    keys = {_CATALOGUES[name]: timetables[name].until_key(scheme, bits) for name in _CATALOGUES}
    digests = {_CATALOGUES[name]: timetables[name].until_digest(chosen.digest) for name in _CATALOGUES}
    found = []
    for what, ends, remedy in ((spoken, keys, "give the organisation another key"), (DIGESTS[chosen.digest].name, digests, "choose another digest")):
        dated = {name: end for name, end in ends.items() if end not in (NEVER, FOREVER)}
        if dated:
            source, end = min(dated.items(), key=lambda item: item[1])
            found.append(f"verifiers refuse {what} from {end:%Y-%m-%d} on ({source}): {remedy}")
        found += [f"{name} does not list {what}: verifiers that go by it may refuse it" for name, end in ends.items() if end == NEVER and not dated]
    return tuple(found)
