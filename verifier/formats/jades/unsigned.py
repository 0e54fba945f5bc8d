"""The unsigned header `etsiU` of a JAdES signature: ETSI TS 119 182-1 clause 5.3 and annex A.1. What stands in it, read."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from trust.codecs import jose
from trust.codecs.cades import ValidationData
from trust.codecs.jose import Jws
from trust.codecs.signed_data import ocsp_response
from trust.errors import Malformed, TooLarge
from trust.model import Cert, Crl, Defect, Digest, Ocsp
from verifier.formats.jades.schema import ELEMENTS, misshapen
from verifier.formats.policy_text import exchanged, unnamed
from verifier.formats.validation_data import readable

MAX_COMPONENTS = 1000
REFERENCES = ("xRefs", "rRefs", "axRefs", "arRefs")
_CLAUSE = "ETSI TS 119 182-1 clause 5.3.1"
_VALUES = frozenset(("xVals", "axVals", "rVals", "arVals", "tstVD", "anyValData"))
_DER = "http://uri.etsi.org/01903/v1.2.2#DER"


@dataclass(frozen=True)
class Component:
    """One element of `etsiU`."""

    name: str
    """Empty where it cannot be read."""
    value: Any
    encoded: str | None
    """Its base64url as it stands; None where it stands in the clear."""

    @functools.cached_property
    def data(self) -> ValidationData:
        """Clauses 5.3.5 and 5.3.6.2: the certificates and status data in it."""
        if self.name in ("xVals", "axVals"):
            return ValidationData(_certs(self.value))
        if self.name in ("rVals", "arVals"):
            return _revocations(self.value)
        if self.name in ("tstVD", "anyValData") and isinstance(self.value, dict):
            return ValidationData(_certs(self.value.get("xVals"))) | _revocations(self.value.get("rVals"))
        return ValidationData()

    @property
    def unread(self) -> bool:
        """Whether it has certificates or status data, of the types that the schema gives them, that are none."""
        values = self.value if isinstance(self.value, dict) else {}
        certs, status = (self.value, {}) if self.name in ("xVals", "axVals") else (values.get("xVals", []), values.get("rVals", {}))
        status = values if self.name in ("rVals", "arVals") else status
        if self.name not in _VALUES:
            return False
        named = sum("x509Cert" in entry for entry in certs) + sum(len(status.get(name, [])) for name in ("crlVals", "ocspVals"))
        return named != len(self.data.certs) + len(self.data.crls) + len(self.data.ocsps)

    @functools.cached_property
    def digests(self) -> frozenset[Digest]:
        """Annex A.1: the digests by which a component of references names certificates and status data."""
        if self.name in ("xRefs", "axRefs"):
            entries = self.value if isinstance(self.value, list) else []
        elif self.name in ("rRefs", "arRefs") and isinstance(self.value, dict):
            entries = [e for part in ("crlRefs", "ocspRefs") if isinstance(found := self.value.get(part), list) for e in found]
        else:
            entries = []
        return frozenset(digest for entry in entries if (digest := jose.digest_of(entry)) is not None)


def components(jws: Jws) -> tuple[tuple[Component, ...], tuple[Defect, ...]]:
    """Clause 5.3.1: `etsiU` is an array, all of base64url texts or all of objects in the clear."""
    listed = jws.unprotected.get("etsiU", [])
    if not isinstance(listed, list):
        return (), (Defect(_CLAUSE, "etsiU is an array, got something else", fatal=False, refused=True),)
    if len(listed) > MAX_COMPONENTS:
        raise TooLarge(f"etsiU has more than {MAX_COMPONENTS} elements")
    one_each = all(len(entry) == 1 for entry in listed if isinstance(entry, dict) and entry)
    found = tuple(component for entry in listed for component in _read(entry))
    defects = [_refused(f"element {number} of etsiU cannot be read") for number, c in enumerate(found, start=1) if not c.name]
    if not one_each or ("etsiU" in jws.unprotected and not listed):
        defects.append(_refused("etsiU has one element or more, each with one member"))
    if len({c.encoded is None for c in found}) > 1:
        defects.append(_refused("etsiU has elements of both forms"))
    if any(c.name and c.encoded is not None and jose.octets(c.encoded).fault for c in found):
        defects.append(_refused("an element of etsiU is sloppy base64url", "RFC 7515 section 2"))
    odd = tuple(dict.fromkeys(name for c in found for name in misshapen({c.name: c.value}, ELEMENTS)))
    defects += [_refused(f"{name} is not of its type", "ETSI TS 119 182-1 clause 5.3") for name in odd]
    if any(c.name not in odd and c.unread for c in found):
        defects.append(_refused("validation data in etsiU cannot be read", "ETSI TS 119 182-1 clause 5.3.5"))
    return found, tuple(defects)


def _refused(why: str, clause: str = _CLAUSE) -> Defect:
    return Defect(clause, why, fatal=False, refused=True)


def policies(components: Iterable[Component], said: Digest | None, *, named: bool) -> tuple[Defect, ...]:
    """Clause 5.3.3: sigPSt stands beside a policy that the signer names, and its text has the digest that was signed."""
    if not named:
        return (unnamed("ETSI TS 119 182-1 clause 5.3.3"),) if any(c.name == "sigPSt" for c in components) else ()
    texts = (c.value.get("sigPolDoc") for c in components if c.name == "sigPSt" and isinstance(c.value, dict))
    found: list[Defect] = []
    for text in texts:
        try:
            found += exchanged(said, jose.pki_octets(text), "ETSI TS 119 182-1 clause 5.3.3") if isinstance(text, str) else ()
        except Malformed:
            found.append(Defect("ETSI TS 119 182-1 clause 5.3.3", "the signature policy that stands beside is not base64", fatal=False, refused=True))
    return tuple(found)


def _read(entry: object) -> Iterable[Component]:
    if isinstance(entry, dict) and entry:
        return [Component(name, value, None) for name, value in entry.items()]
    if not isinstance(entry, str):
        return [Component("", None, None)]
    try:
        value = jose.parse(jose.octets(entry).data)
    except Malformed:
        return [Component("", None, entry)]
    if not isinstance(value, dict) or len(value) != 1:
        return [Component("", None, entry)]
    ((name, inner),) = value.items()
    return [Component(name, inner, entry)]


def _certs(value: object) -> tuple[Cert, ...]:
    held = (entry.get("x509Cert") for entry in (value if isinstance(value, list) else ()) if isinstance(entry, dict))
    return tuple(cert for pki in held if (der := pki_object(pki)) is not None and (cert := readable(der)))


def _revocations(value: object) -> ValidationData:
    if not isinstance(value, dict):
        return ValidationData()
    crls = tuple(crl for der in _each(value.get("crlVals")) if (crl := _crl(der)))
    ocsps = tuple(ocsp for der in _each(value.get("ocspVals")) if (ocsp := _ocsp(der)))
    return ValidationData(crls=crls, ocsps=ocsps)


def _each(entries: object) -> Iterable[bytes]:
    return (der for entry in (entries if isinstance(entries, list) else ()) if (der := pki_object(entry)) is not None)


def pki_object(entry: object) -> bytes | None:
    """Clause 5.4.1, pkiOb: DER in base64; None for another encoding, or where it is none."""
    if not isinstance(entry, dict) or entry.get("encoding") not in (None, "", _DER):
        return None
    try:
        return jose.pki_octets(entry.get("val"))
    except Malformed:
        return None


def _crl(der: bytes) -> Crl | None:
    try:
        crl = Crl(der)
        crl.x509  # noqa: B018  # readable, or skipped
    except Malformed:
        return None
    return crl


def _ocsp(der: bytes) -> Ocsp | None:
    return ocsp_response(der)
