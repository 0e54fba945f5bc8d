"""Certificates as reports name them: who, under which number, until when.

A stranger's certificate may be broken in any place: what cannot be read is null.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from cryptography import x509

from trust.codecs.asn1 import parse
from trust.errors import KakuinError
from trust.model import Cert
from trust.registry import corporate_number

Json = dict[str, Any]

ORGANIZATION_IDENTIFIER = x509.ObjectIdentifier("2.5.4.97")
QC_STATEMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3")
QC_TYPE = "0.4.0.1862.1.6"
KIND_BY_QC_TYPE = {"0.4.0.1862.1.6.1": "person", "0.4.0.1862.1.6.2": "organisation", "0.4.0.1862.1.6.3": "website"}
"""EN 319 412-5 clause 4.2.3: what the issuer says that the certificate is for."""
PERSONAL = (x509.NameOID.GIVEN_NAME, x509.NameOID.SURNAME, x509.NameOID.PSEUDONYM)
JAPAN = "NTRJP-"

_T = TypeVar("_T")
_BROKEN = (KakuinError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def attempt(read: Callable[[], _T]) -> _T | None:
    """What `read` returns; None where the certificate is too broken to tell."""
    try:
        return read()
    except _BROKEN:
        return None


def party(cert: Cert) -> Json:
    """Who a certificate names."""
    return dict(_party(cert))


@functools.lru_cache(maxsize=2048)
def _party(cert: Cert) -> Json:
    identifier = attempt(lambda: _attribute(cert, ORGANIZATION_IDENTIFIER))
    return {
        "name": attempt(lambda: cert.name),
        "kind": attempt(lambda: kind(cert)) or "unknown",
        "subject": attempt(lambda: readable(cert.x509.subject)) or attempt(lambda: str(cert.asn1.subject.human_friendly)),
        "organization": attempt(lambda: _attribute(cert, x509.NameOID.ORGANIZATION_NAME)),
        "organization_identifier": identifier,
        "corporate_number": registered(identifier),
        "country": attempt(lambda: _attribute(cert, x509.NameOID.COUNTRY_NAME)),
        **identity(cert),
    }


def identity(cert: Cert) -> Json:
    """Which certificate it is."""
    return {
        "issuer": attempt(lambda: readable(cert.x509.issuer)) or attempt(lambda: str(cert.asn1.issuer.human_friendly)),
        "serial": attempt(lambda: format(cert.serial, "x")),
        "sha256": cert.id.hex(),
        "not_before": attempt(lambda: instant(cert.not_before)),
        "not_after": attempt(lambda: instant(cert.not_after)),
    }


def kind(cert: Cert) -> str:
    """person, organisation or website as the issuer's QcType says, or else as the subject looks; unknown where neither tells.

    An organizationName alone tells nothing: employees' certificates have it too (EN 319 412-2). Seals carry an organizationIdentifier (EN 319 412-3).
    """
    stated = attempt(lambda: _qc_type(cert))
    if stated:
        return stated
    if any(_attribute(cert, oid) for oid in PERSONAL):
        return "person"
    if _attribute(cert, ORGANIZATION_IDENTIFIER):
        return "organisation"
    return "unknown"


def registered(identifier: str | None) -> str | None:
    """The 法人番号 inside an organizationIdentifier of Japan's register (EN 319 412-1 clause 5.1.4), when its check digit is right."""
    if identifier is None or not identifier.startswith(JAPAN):
        return None
    return attempt(lambda: str(corporate_number(identifier.removeprefix(JAPAN))))


def instant(moment: Any) -> str:
    """RFC 3339 in UTC: `2026-06-01T00:00:00Z`."""
    return str(moment.isoformat()).replace("+00:00", "Z")


def _attribute(cert: Cert, oid: x509.ObjectIdentifier) -> str | None:
    found = cert.x509.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None


_NAMES = {ORGANIZATION_IDENTIFIER: "organizationIdentifier", x509.NameOID.EMAIL_ADDRESS: "emailAddress", x509.NameOID.SERIAL_NUMBER: "serialNumber"}


def readable(name: x509.Name) -> str:
    """RFC 4514, most specific first."""
    return name.rfc4514_string(_NAMES)


def _qc_type(cert: Cert) -> str | None:
    for extension in cert.asn1["tbs_certificate"]["extensions"] or ():
        if extension["extn_id"].dotted != QC_STATEMENTS.dotted_string:
            continue
        for statement in parse(extension["extn_value"].contents).children:
            statement_id, *info = statement.children
            if statement_id.oid() == QC_TYPE and info:
                types = [KIND_BY_QC_TYPE.get(one.oid()) for one in info[0].children]
                return types[0] if len(types) == 1 else None
    return None
