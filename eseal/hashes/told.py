"""What the doors of hash-only sealing say to one another beyond signatures, as JSON: values, what a second step awaits, what a key is."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eseal.formats import cms, pdf_cms
from eseal.hashes.known import PATH, known_digests
from eseal.hashes.steps import COURSES, Course, First, Last
from eseal.levels import digest_for
from eseal.spec import Format, Level, Spec
from trust.codecs import asn1, identifiers
from trust.codecs.signed_data import cert, ocsp_response
from trust.errors import Malformed
from trust.model import Cert, Crl, Ocsp
from trust.ports import Key, Status

STEP = PATH + "/{step}"


def of_status(found: Status) -> dict[str, list[str]]:
    """Each object in DER, as base64; an answer as the OCSPResponse that a /DSS holds."""
    return {
        "certificates": [text(c.der) for c in found.certs],
        "crls": [text(c.der) for c in found.crls],
        "ocsps": [text(cms.ocsp_response(o)) for o in found.ocsps],
    }


def status_in(value: Any) -> Status:
    """Malformed for what of_status() does not write."""
    if not isinstance(value, dict):
        raise Malformed("values is an object")
    certs, crls, ocsps = ([octets_in(one, name) for one in listed_in(value, name)] for name in ("certificates", "crls", "ocsps"))
    answers = [ocsp_response(der) for der in ocsps]
    return Status(tuple(map(Crl, crls)), tuple(o for o in answers if isinstance(o, Ocsp)), tuple(map(cert, certs)))


def of_first(first: First, asked: Spec, step: str | None) -> dict[str, Any]:
    """The answer to the first of two steps; `step` names the second one."""
    sealed = first.sealed
    told: dict[str, Any] = {
        "format": str(asked.format),
        "level": str(sealed.spec.level),
        "asked_level": str(asked.level),
        "seal": sealed.index,
        "time": zulu(sealed.time),
        "warnings": list(sealed.warnings),
        "signature": text(sealed.document.read(1 << 26)),
    }
    if asked.format is Format.PADES:
        told["values"] = of_status(first.found)
    if first.open is not None and step is not None:
        due = first.open.awaited
        told["next"] = {
            "address": f"{PATH}/{step}",
            "digest": due.digest.replace("_", "-"),
            "documents": [d.name for d in first.open.documents],
            "then": text(due.then),
            "room": first.open.room,
        }
    return told


def of_last(last: Last, asked: Spec) -> dict[str, Any]:
    """The answer to the second step, where that is a token."""
    told = {"format": str(asked.format), "level": str(asked.level), "seal": last.index, "time": zulu(last.time), "warnings": list(last.warnings)}
    return {**told, "token": text(last.data), "values": of_status(last.found)}


def of_key(key: Key, spec: Spec, organisation: str, warnings: Sequence[str], now: datetime) -> dict[str, Any]:
    """What whoever has the documents needs to know of the key before."""
    digest = digest_for(key.algorithm, spec.digest)
    told: dict[str, Any] = {
        "organisation": organisation,
        "certificates": [text(c.der) for c in (key.certificate, *key.chain)],
        "algorithm": text(cms.algorithm_identifier(key.algorithm)),
        "digest": digest.replace("_", "-"),
        "digests": [name.replace("_", "-") for name in known_digests(digest)],
        "time": zulu(now),
        "warnings": list(warnings),
    }
    if spec.format is Format.PADES:
        told["room"] = pdf_cms.room(spec, key)
    return told


@dataclass(frozen=True, slots=True)
class Described:
    """A key as another server describes it."""

    certificates: tuple[Cert, ...]
    algorithm: Any
    time: datetime


def key_in(told: Mapping[str, Any]) -> Described:
    """Malformed for what of_key() does not write."""
    found = tuple(cert(octets_in(one, "certificates")) for one in listed_in(told, "certificates"))
    algorithm = identifiers.signature_algorithm(asn1.parse(octets_in(told.get("algorithm"), "algorithm")))
    try:
        at = datetime.fromisoformat(str(told.get("time")))
    except ValueError as error:
        raise Malformed("the server's time is no time") from error
    if not found or algorithm is None or at.tzinfo is None:
        raise Malformed("the server does not describe its key")
    return Described(found, algorithm, at)


def course_of(form: str, level: Level | None) -> Course | None:
    """How a level is reached from digests, where that takes more than one answer of bytes."""
    return next((course for (name, at), course in COURSES.items() if name == form.lower() and at is level), None)


def listed_in(told: Mapping[str, Any], name: str) -> list[Any]:
    found = told.get(name)
    if not isinstance(found, list):
        raise Malformed(f"{name} is a list")
    return found


def octets_in(value: Any, name: str) -> bytes:
    """What text() wrote. Malformed for anything else."""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise Malformed(f"{name} is base64") from error


def text(octets: bytes) -> str:
    """Base64 (RFC 4648 section 4)."""
    return base64.b64encode(octets).decode("ascii")


def zulu(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.isoformat().replace("+00:00", "Z")
